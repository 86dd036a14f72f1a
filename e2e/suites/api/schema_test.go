// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// kinds are both issuer kinds, with the namespace of their objects.
var kinds = map[string]string{"SelfSignedIssuer": "default", "ClusterSelfSignedIssuer": ""}

// fullSpec is a valid spec that sets every field. Each case replaces one.
var fullSpec = map[string]any{
	"crlDistributionPoints": []any{"http://crl.example.com/root.crl", "ldap:///CN=root?certificateRevocationList"},
	"emptySubject":          "Fill",
	"signatureAlgorithm":    "SHA256WithRSAPSS",
	"maxPathLength":         int64(0),
	"backdate":              "5m",
	"subjectKeyIdentifier":  "SHA1",
}

func TestAccepted(t *testing.T) {
	for _, test := range []struct {
		field string
		value any
	}{
		{"crlDistributionPoints", []any{}},
		{"crlDistributionPoints", []any{"https://crl.example.com:8443/a%20b.crl?x=y#z"}},
		{"crlDistributionPoints", []any{"http://[2001:db8::1]/root.crl", "http://192.0.2.1", "ldaps://ldap.example.com/CN=a", "ldap:///CN=a"}},
		{"crlDistributionPoints", []any{"http://xn--zrich-kva.example/root.crl"}},
		{"crlDistributionPoints", distributionPoints(16)},
		{"crlDistributionPoints", []any{"http://a/" + strings.Repeat("x", 2048-len("http://a/"))}},
		{"emptySubject", "Warn"}, {"emptySubject", "Reject"}, {"emptySubject", "Fill"},
		{"signatureAlgorithm", "FromKey"}, {"signatureAlgorithm", "FromRequest"},
		{"signatureAlgorithm", "SHA256WithRSA"}, {"signatureAlgorithm", "SHA384WithRSA"}, {"signatureAlgorithm", "SHA512WithRSA"},
		{"signatureAlgorithm", "SHA256WithRSAPSS"}, {"signatureAlgorithm", "SHA384WithRSAPSS"}, {"signatureAlgorithm", "SHA512WithRSAPSS"},
		{"signatureAlgorithm", "ECDSAWithSHA256"}, {"signatureAlgorithm", "ECDSAWithSHA384"}, {"signatureAlgorithm", "ECDSAWithSHA512"},
		{"signatureAlgorithm", "PureEd25519"},
		{"maxPathLength", int64(0)}, {"maxPathLength", int64(1)}, {"maxPathLength", int64(1<<31 - 1)},
		{"backdate", "0s"}, {"backdate", "24h"}, {"backdate", "1h30m"}, {"backdate", "23h59m60s"}, {"backdate", "86400s"},
		{"subjectKeyIdentifier", "SHA256"}, {"subjectKeyIdentifier", "SHA1"},
	} {
		t.Run(fmt.Sprintf("%s %.60v", test.field, test.value), func(t *testing.T) {
			spec := with(test.field, test.value)
			for kind := range kinds {
				err := dryRun(t, kind, spec)
				expect.True(t, err == nil, "%s: %v", kind, err)
			}
			typed, err := decode(spec)
			expect.NoError(t, err)
			errs := typed.Validate()
			expect.True(t, len(errs) == 0, "the API server accepts it, but Validate does not: %v", errs)
		})
	}
}

func TestRefused(t *testing.T) {
	const (
		scheme     = "write an absolute URI that starts with http://, https://, ldap:// or ldaps://"
		ascii      = "use ASCII without spaces; percent-encode other characters"
		wellFormed = "write a well-formed URI, with a host name after http:// or https://"
		backdate   = "write 0s to 24h as whole hours (h), minutes (m) and seconds (s)"
	)
	for _, test := range []struct {
		field string
		value any
		want  string
	}{
		{"crlDistributionPoints", []any{""}, scheme},
		{"crlDistributionPoints", []any{"crl.example.com/root.crl"}, scheme},
		{"crlDistributionPoints", []any{"/root.crl"}, scheme},
		{"crlDistributionPoints", []any{"ftp://crl.example.com/root.crl"}, scheme},
		{"crlDistributionPoints", []any{"HTTP://crl.example.com/root.crl"}, scheme},
		{"crlDistributionPoints", []any{"http:crl.example.com"}, scheme},
		{"crlDistributionPoints", []any{"http://a", "file:///root.crl"}, "crlDistributionPoints[1]"},
		{"crlDistributionPoints", []any{"http://crl.example.com/root crl"}, ascii},
		{"crlDistributionPoints", []any{"http://crl.example.com/\troot.crl"}, ascii},
		{"crlDistributionPoints", []any{"http://zürich.example/root.crl"}, ascii},
		{"crlDistributionPoints", []any{"http:///root.crl"}, wellFormed},
		{"crlDistributionPoints", []any{"https://:443/root.crl"}, wellFormed},
		{"crlDistributionPoints", []any{"http://crl.example.com/%zz"}, wellFormed},
		{"crlDistributionPoints", []any{"http://[::1/root.crl"}, wellFormed},
		{"crlDistributionPoints", []any{"http://a/" + strings.Repeat("x", 2048)}, "may not be more than 2048 bytes"},
		{"crlDistributionPoints", distributionPoints(17), "must have at most 16 items"},
		{"crlDistributionPoints", []any{"http://a", "http://b", "http://a"}, "name each URI once; remove the duplicate"},
		{"emptySubject", "Ignore", `supported values: "Warn", "Reject", "Fill"`},
		{"emptySubject", "warn", `supported values: "Warn", "Reject", "Fill"`},
		{"signatureAlgorithm", "SHA1WithRSA", `supported values: "FromKey", "FromRequest", "SHA256WithRSA"`},
		{"maxPathLength", int64(-1), "should be greater than or equal to 0"},
		{"maxPathLength", int64(1 << 31), "spec.maxPathLength"},
		{"backdate", "", backdate},
		{"backdate", "5", backdate},
		{"backdate", "-5m", backdate},
		{"backdate", "1.5h", backdate},
		{"backdate", "24h1s", backdate},
		{"backdate", "99999h", backdate},
		{"backdate", "1d", backdate},
		{"backdate", "999999h", backdate},
		{"backdate", "one hour before now", "may not be more than 18 bytes"},
		{"subjectKeyIdentifier", "MD5", `supported values: "SHA256", "SHA1"`},
		{"crlDistributionPoint", []any{}, "unknown field"},
	} {
		t.Run(fmt.Sprintf("%s %.60v", test.field, test.value), func(t *testing.T) {
			spec := with(test.field, test.value)
			for kind := range kinds {
				err := dryRun(t, kind, spec)
				expect.True(t, err != nil && strings.Contains(err.Error(), test.want) && strings.Contains(err.Error(), test.field),
					"%s: got error %v, want it to name %s and contain %q", kind, err, test.field, test.want)
			}
			checkValidateRefuses(t, spec, test.field)
		})
	}
}

// onlyInSchema are invalid specs that look valid after decoding, and why.
var onlyInSchema = map[string]string{
	"crlDistributionPoint: []": "unknown fields are dropped",
	"backdate: 1.5h":           "it is a duration in the allowed range",
}

// checkValidateRefuses expects that Validate rejects a spec, if it can be decoded.
func checkValidateRefuses(t *testing.T, spec map[string]any, field string) {
	t.Helper()
	typed, err := decode(spec)
	if err != nil {
		return
	}
	if _, listed := onlyInSchema[fmt.Sprintf("%s: %v", field, spec[field])]; listed {
		return
	}
	errs := fmt.Sprint(typed.Validate())
	expect.True(t, strings.Contains(errs, "spec."+field), "the API server rejects it, but Validate returns: %s", errs)
}

// TestNothingIsRequired expects that an empty spec is valid, as in-tree, and that no default is
// written into it.
func TestNothingIsRequired(t *testing.T) {
	for kind := range kinds {
		for _, spec := range []map[string]any{nil, {}} {
			object := issuer(kind, spec)
			err := admin.Create(t.Context(), object, client.DryRunAll)
			expect.True(t, err == nil, "%s with spec %v: %v", kind, spec, err)
			got, _, _ := unstructured.NestedMap(object.Object, "spec")
			expect.True(t, len(got) == 0, "%s: got spec %v, want an empty one", kind, got)
		}
	}
}

func with(field string, value any) map[string]any {
	spec := maps.Clone(fullSpec)
	spec[field] = value
	return spec
}

func distributionPoints(count int) []any {
	var uris []any
	for i := range count {
		// Of the maximum length, so that the rules have the maximum cost.
		uri := fmt.Sprintf("http://crl.example.com/%02d/", i)
		uris = append(uris, uri+strings.Repeat("x", 2048-len(uri)))
	}
	return uris
}

func issuer(kind string, spec map[string]any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(selfsigned.GroupVersion.WithKind(kind))
	object.SetNamespace(kinds[kind])
	object.SetName("issuer")
	if spec != nil {
		object.Object["spec"] = spec
	}
	return object
}

func dryRun(t *testing.T, kind string, spec map[string]any) error {
	t.Helper()
	strict := client.WithFieldValidation(admin, metav1.FieldValidationStrict)
	return strict.Create(t.Context(), issuer(kind, spec), client.DryRunAll)
}

func decode(spec map[string]any) (*selfsigned.SelfSignedIssuerSpec, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	typed := &selfsigned.SelfSignedIssuerSpec{}
	return typed, json.Unmarshal(data, typed)
}

func TestNames(t *testing.T) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	expect.NoError(t, err)
	list, err := client.ServerResourcesForGroupVersion(selfsigned.GroupVersion.String())
	expect.NoError(t, err)
	for plural, short := range map[string]string{"selfsignedissuers": "ssi", "clusterselfsignedissuers": "cssi"} {
		i := slices.IndexFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == plural })
		if i < 0 {
			t.Fatalf("%s is not served", plural)
		}
		resource := list.APIResources[i]
		expect.Equal(t, plural+": short names", []string{short}, resource.ShortNames)
		expect.Equal(t, plural+": categories", []string{"cert-manager"}, resource.Categories)
		expect.Equal(t, plural+": namespaced", short == "ssi", resource.Namespaced)
		status := slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == plural+"/status" })
		expect.True(t, status, "%s has no status subresource", plural)
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
		table := getTable(t, plural, "")
		var got []column
		for _, c := range table.ColumnDefinitions {
			got = append(got, column{c.Name, c.Priority})
		}
		expect.True(t, slices.Equal(got, want), "%s: got columns %v, want %v", plural, got, want)
	}
}

// TestUncheckedIssuer: kubectl get shows an issuer as Unknown until selfsigned-issuer has checked it,
// although its manifest has a status.
func TestUncheckedIssuer(t *testing.T) {
	object := issuer("ClusterSelfSignedIssuer", nil)
	object.Object["status"] = map[string]any{"conditions": []any{map[string]any{
		"type": "Ready", "status": "True", "reason": "Checked", "message": "Succeeded checking the issuer",
		"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": int64(1),
	}}}
	expect.Create(t, admin, object)
	t.Cleanup(func() {
		if err := admin.Delete(context.Background(), object); err != nil {
			t.Error(err)
		}
	})
	want := []any{object.GetName(), "Unknown", "Waiting for selfsigned-issuer"}
	expect.Equal(t, "cells of kubectl get -o wide", want, getTable(t, "clusterselfsignedissuers", object.GetName()).Rows[0].Cells[:3])
}

// getTable returns what kubectl get prints of one object, or of all.
func getTable(t *testing.T, plural, name string) *metav1.Table {
	t.Helper()
	copied := rest.CopyConfig(config)
	copied.APIPath, copied.GroupVersion = "/apis", &selfsigned.GroupVersion
	copied.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(copied)
	expect.NoError(t, err)
	request := client.Get().Resource(plural).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	if name != "" {
		request.Name(name)
	}
	table := &metav1.Table{}
	expect.NoError(t, request.Do(t.Context()).Into(table))
	return table
}
