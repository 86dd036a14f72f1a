// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"maps"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// TestTransformed checks that all selectors select the Pods.
func TestHighAvailability(t *testing.T) {
	objects := render(t, issuer.ProductionOverlay)
	spec := deployment(t, objects).Spec
	expect.Equal(t, "replicas", int32(2), ptr.Deref(spec.Replicas, 1))
	var keys []string
	for _, constraint := range spec.Template.Spec.TopologySpreadConstraints {
		keys = append(keys, constraint.TopologyKey)
	}
	expect.Equal(t, "spread over", []string{corev1.LabelHostname, corev1.LabelTopologyZone}, keys)
	budget := get[*policyv1.PodDisruptionBudget](t, objects, "PodDisruptionBudget/"+name).Spec
	expect.Equal(t, "how many Pods may be evicted at once", new(intstr.FromInt32(1)), budget.MaxUnavailable)
}

func TestNetworkPolicy(t *testing.T) {
	for installation, want := range map[string]connections{
		issuer.ProductionOverlay: {
			In:  []string{"metrics/TCP"},
			Out: []string{"443/TCP", "6443/TCP", "53/UDP", "53/TCP"},
			// The namespace and the labels of Prometheus in kube-prometheus.
			Peers: [][2]string{{"kubernetes.io/metadata.name in (monitoring)", "app.kubernetes.io/name in (prometheus)"}},
		},
		adjusted: {
			In:    []string{"metrics/TCP"},
			Out:   []string{"443/TCP", "6443/TCP", "8443/TCP", "53/UDP", "53/TCP"},
			Peers: [][2]string{{"kubernetes.io/metadata.name in (openshift-user-workload-monitoring)", "app.kubernetes.io/name in (prometheus)"}},
		},
	} {
		objects := render(t, installation)
		spec := get[*networkingv1.NetworkPolicy](t, objects, "NetworkPolicy/"+name).Spec
		expect.Equal(t, installation+": restricts", []networkingv1.PolicyType{"Ingress", "Egress"}, spec.PolicyTypes)
		expect.Equal(t, installation, want, connectionsOf(spec))
	}
}

// connections are the readable rules of a NetworkPolicy.
type connections struct {
	In, Out []string
	Peers   [][2]string // who may connect: the selectors of the namespace and of the Pods
}

func connectionsOf(spec networkingv1.NetworkPolicySpec) connections {
	var p connections
	for _, rule := range spec.Ingress {
		p.In = append(p.In, ports(rule.Ports)...)
		for _, peer := range rule.From {
			p.Peers = append(p.Peers, [2]string{metav1.FormatLabelSelector(peer.NamespaceSelector), metav1.FormatLabelSelector(peer.PodSelector)})
		}
	}
	for _, rule := range spec.Egress {
		p.Out = append(p.Out, ports(rule.Ports)...)
	}
	return p
}

func ports(list []networkingv1.NetworkPolicyPort) []string {
	var lines []string
	for _, port := range list {
		lines = append(lines, port.Port.String()+"/"+string(ptr.Deref(port.Protocol, corev1.ProtocolTCP)))
	}
	return lines
}

// TestTransformed checks the labels from the ServiceMonitor to the Pods, and this test the ports: without
// them, there would be no metrics for alerts.
func TestScraping(t *testing.T) {
	objects := render(t, issuer.ProductionOverlay)
	port := get[*corev1.Service](t, objects, "Service/"+metricsService).Spec.Ports[0]
	expectPort(t, container(t, objects), port.TargetPort)
	monitor := get[*unstructured.Unstructured](t, objects, "ServiceMonitor/"+name)
	endpoints, _, _ := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	expect.True(t, len(endpoints) == 1 && endpoints[0].(map[string]any)["port"] == port.Name,
		"the ServiceMonitor scrapes %v, want the port %s of the Service", endpoints, port.Name)
}

// The server of the metrics, Prometheus and the certificate use the same name. The ServiceMonitor
// uses no files, which OpenShift rejects.
func TestSecureMetrics(t *testing.T) {
	fromSecret := func(name, key string) map[string]any { return map[string]any{"name": name, "key": key} }
	const client = "selfsigned-issuer-metrics-client"
	for installation, want := range map[string]struct {
		args     []string
		endpoint map[string]any
	}{
		issuer.ProductionOverlay: {
			args: []string{"--metrics-client-ca-file=/etc/selfsigned-issuer/metrics/ca.crt"},
			endpoint: map[string]any{"tlsConfig": map[string]any{
				"serverName": metricsService,
				"ca":         map[string]any{"secret": fromSecret(client, "ca.crt")},
				"cert":       map[string]any{"secret": fromSecret(client, "tls.crt")},
				"keySecret":  fromSecret(client, "tls.key"),
			}},
		},
		metricsTLS: {endpoint: map[string]any{
			"authorization": map[string]any{"credentials": fromSecret("selfsigned-issuer-metrics-reader", "token")},
			"tlsConfig": map[string]any{
				"serverName": metricsService,
				"ca":         map[string]any{"secret": fromSecret(metricsSecret, "ca.crt")},
			},
		}},
	} {
		objects := render(t, installation)
		c := container(t, objects)
		args := append([]string{"--metrics-secure", "--metrics-cert-dir=" + c.VolumeMounts[0].MountPath}, want.args...)
		expect.Equal(t, installation+": the last arguments", args, c.Args[len(c.Args)-len(args):])
		maps.Copy(want.endpoint, map[string]any{"port": "metrics", "path": "/metrics", "scheme": "https", "interval": "30s"})
		monitor := get[*unstructured.Unstructured](t, objects, "ServiceMonitor/"+name)
		endpoints, _, _ := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
		expect.Equal(t, installation+": what Prometheus scrapes", []any{want.endpoint}, endpoints)
		checkServedCertificate(t, objects)
	}
}

func checkServedCertificate(t *testing.T, objects rendered) {
	t.Helper()
	certificate := get[*cmapi.Certificate](t, objects, "Certificate/selfsigned-issuer-metrics").Spec
	expect.Equal(t, "DNS names", []string{metricsService}, certificate.DNSNames)
	mount, volume := container(t, objects).VolumeMounts[0], deployment(t, objects).Spec.Template.Spec.Volumes[0]
	expect.True(t, mount.ReadOnly && mount.Name == volume.Name && volume.Secret.SecretName == certificate.SecretName,
		"Secret %s is not mounted: %+v, %+v", certificate.SecretName, mount, volume)
}

// A new key of the authority would invalidate all its certificates at once.
func TestMetricsKeys(t *testing.T) {
	objects := render(t, issuer.ProductionOverlay)
	for certificate, want := range map[string]cmapi.PrivateKeyRotationPolicy{
		"selfsigned-issuer-metrics-ca":     cmapi.RotationPolicyNever,
		"selfsigned-issuer-metrics":        cmapi.RotationPolicyAlways,
		"selfsigned-issuer-metrics-client": cmapi.RotationPolicyAlways,
	} {
		spec := get[*cmapi.Certificate](t, objects, "Certificate/"+certificate).Spec
		expect.Equal(t, certificate+": rotationPolicy", want, spec.PrivateKey.RotationPolicy)
	}
}
