// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

func TestNames(t *testing.T) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ServerResourcesForGroupVersion(selfsigned.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	for plural, short := range map[string]string{"selfsignedissuers": "ssi", "clusterselfsignedissuers": "cssi"} {
		i := slices.IndexFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == plural })
		if i < 0 {
			t.Fatalf("%s is not served", plural)
		}
		resource := list.APIResources[i]
		if !slices.Equal(resource.ShortNames, []string{short}) || !slices.Equal(resource.Categories, []string{"cert-manager"}) {
			t.Errorf("%s: got short names %v and categories %v", plural, resource.ShortNames, resource.Categories)
		}
		if resource.Namespaced != (short == "ssi") {
			t.Errorf("%s: namespaced is %v", plural, resource.Namespaced)
		}
		if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == plural+"/status" }) {
			t.Errorf("%s has no status subresource", plural)
		}
	}
}

// TestIssuerTypeIdentifiers expects that signer names start with the names of the resources.
func TestIssuerTypeIdentifiers(t *testing.T) {
	for got, want := range map[string]string{
		(&selfsigned.SelfSignedIssuer{}).GetIssuerTypeIdentifier():        "selfsignedissuers.selfsigned.cert-manager.io",
		(&selfsigned.ClusterSelfSignedIssuer{}).GetIssuerTypeIdentifier(): "clusterselfsignedissuers.selfsigned.cert-manager.io",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestColumns requests the columns of kubectl get; those of priority 1 are only in -o wide.
func TestColumns(t *testing.T) {
	type column struct {
		name     string
		priority int32
	}
	want := []column{{"Name", 0}, {"Ready", 0}, {"Status", 1}, {"Age", 0}}
	for _, plural := range []string{"selfsignedissuers", "clusterselfsignedissuers"} {
		var table metav1.Table
		if err := restClient(t).Get().Resource(plural).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").
			Do(t.Context()).Into(&table); err != nil {
			t.Fatal(err)
		}
		var got []column
		for _, c := range table.ColumnDefinitions {
			got = append(got, column{c.Name, c.Priority})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got columns %v, want %v", plural, got, want)
		}
	}
}

func restClient(t *testing.T) rest.Interface {
	t.Helper()
	copied := rest.CopyConfig(config)
	copied.APIPath, copied.GroupVersion = "/apis", &selfsigned.GroupVersion
	copied.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(copied)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
