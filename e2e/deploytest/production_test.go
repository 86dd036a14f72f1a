// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package deploytest

import (
	"slices"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/cert-manager/selfsigned-issuer/e2e/plugin"
)

func TestHighAvailability(t *testing.T) {
	objects := render(t, plugin.ProductionOverlay)
	spec := deployment(t, objects).Spec
	if spec.Replicas == nil || *spec.Replicas != 2 {
		t.Errorf("%v replicas, want 2", spec.Replicas)
	}
	var keys []string
	for _, constraint := range spec.Template.Spec.TopologySpreadConstraints {
		keys = append(keys, constraint.TopologyKey)
		expectSelectsPods(t, objects, constraint.LabelSelector)
	}
	if want := []string{corev1.LabelHostname, corev1.LabelTopologyZone}; !slices.Equal(keys, want) {
		t.Errorf("spread over %q, want %q", keys, want)
	}
	budget := get[*policyv1.PodDisruptionBudget](t, objects, "PodDisruptionBudget/"+name).Spec
	expectSelectsPods(t, objects, budget.Selector)
	if got := budget.MaxUnavailable; got == nil || *got != intstr.FromInt32(1) {
		t.Errorf("%v Pods may be evicted at once, want 1", got)
	}
}

func TestNetworkPolicy(t *testing.T) {
	objects := render(t, plugin.ProductionOverlay)
	spec := get[*networkingv1.NetworkPolicy](t, objects, "NetworkPolicy/"+name).Spec
	expectSelectsPods(t, objects, &spec.PodSelector)
	if want := []networkingv1.PolicyType{"Ingress", "Egress"}; !slices.Equal(spec.PolicyTypes, want) {
		t.Errorf("restricts %q, want %q", spec.PolicyTypes, want)
	}
	var in, out []string
	for _, rule := range spec.Ingress {
		for _, port := range rule.Ports {
			in = append(in, port.Port.String())
		}
	}
	for _, rule := range spec.Egress {
		for _, port := range rule.Ports {
			out = append(out, port.Port.String())
		}
	}
	if want := []string{"metrics"}; !slices.Equal(in, want) {
		t.Errorf("may be reached at %q, want %q", in, want)
	}
	if want := []string{"443", "6443"}; !slices.Equal(out, want) {
		t.Errorf("may reach %q, want %q", out, want)
	}
}

// From the ServiceMonitor to the port of the container: a link that selects nothing would
// stay unnoticed, as there would be no metrics to alert on.
func TestScraping(t *testing.T) {
	objects := render(t, plugin.ProductionOverlay)
	service := get[*corev1.Service](t, objects, "Service/"+metricsService)
	expectSelectsPods(t, objects, &metav1.LabelSelector{MatchLabels: service.Spec.Selector})
	port := service.Spec.Ports[0]
	if !slices.ContainsFunc(container(t, objects).Ports, func(p corev1.ContainerPort) bool { return p.Name == port.TargetPort.StrVal }) {
		t.Errorf("the Service wants the port %s of the container, which it does not have", &port.TargetPort)
	}
	monitor := get[*unstructured.Unstructured](t, objects, "ServiceMonitor/"+name)
	selector, _, _ := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(service.Labels)) {
		t.Errorf("the ServiceMonitor selects %v, which the Service %v is not", selector, service.Labels)
	}
	endpoints, _, _ := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	if len(endpoints) != 1 || endpoints[0].(map[string]any)["port"] != port.Name {
		t.Errorf("the ServiceMonitor scrapes %v, want the port %s of the Service", endpoints, port.Name)
	}
}

// What serves the metrics, what Prometheus expects to be served, and the certificate in
// between, all have to be about the same name.
func TestMetricsTLS(t *testing.T) {
	objects := render(t, plugin.ProductionOverlay)
	certificate := get[*cmapi.Certificate](t, objects, "Certificate/selfsigned-issuer-metrics").Spec
	service := metricsService + "." + namespace + ".svc"
	if !slices.Equal(certificate.DNSNames, []string{service}) {
		t.Errorf("the certificate is for %q, want %s", certificate.DNSNames, service)
	}
	if certificate.SecretName != metricsSecret {
		t.Errorf("the certificate is in Secret %s, want %s", certificate.SecretName, metricsSecret)
	}
	c := container(t, objects)
	mount := c.VolumeMounts[0]
	if want := []string{"--metrics-secure", "--metrics-cert-dir=" + mount.MountPath}; !slices.Equal(c.Args[len(c.Args)-2:], want) {
		t.Errorf("the last arguments of %q are not %q", c.Args, want)
	}
	if !mount.ReadOnly || mount.Name != deployment(t, objects).Spec.Template.Spec.Volumes[0].Name {
		t.Errorf("the certificate is not mounted to be read: %+v", mount)
	}
	monitor := get[*unstructured.Unstructured](t, objects, "ServiceMonitor/"+name)
	endpoints, _, _ := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	want := map[string]any{
		"port": "metrics", "path": "/metrics", "scheme": "https", "interval": "30s",
		"bearerTokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token",
		"tlsConfig": map[string]any{
			"serverName": service,
			"ca":         map[string]any{"secret": map[string]any{"name": metricsSecret, "key": "ca.crt"}},
		},
	}
	if diff := cmp.Diff([]any{want}, endpoints); diff != "" {
		t.Errorf("what Prometheus scrapes (-want +got):\n%s", diff)
	}
}

func expectSelectsPods(t *testing.T, objects rendered, selector *metav1.LabelSelector) {
	t.Helper()
	pods := labels.Set(deployment(t, objects).Spec.Template.Labels)
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil || s.Empty() || !s.Matches(pods) {
		t.Errorf("%v selects other Pods than those with the labels %v (%v)", selector, pods, err)
	}
}
