// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package clustertest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/process"
)

// metrics is how an overlay serves them.
type metrics int

const (
	none metrics = iota
	open
	authenticated
)

// aMetric is one that every replica has.
const aMetric = "\nselfsigned_issuer_build_info{"

func (i *installation) testMetrics(t *testing.T) {
	service := i.metricsService(t)
	if i.metrics == none {
		if service != nil {
			t.Errorf("Service %s serves metrics, want none", service.Name)
		}
		return
	}
	if service == nil {
		t.Fatal("no Service has a port for metrics")
	}
	address := forward(t, service)
	if i.metrics == open {
		expectStatus(t, "http://"+address, "", http.StatusOK)
		return
	}
	url := "https://" + address
	expectStatus(t, url, "", http.StatusUnauthorized)
	reader, nobody := i.account(t, "reader"), i.account(t, "nobody")
	i.grantMetrics(t, "reader")
	expectStatus(t, url, nobody, http.StatusForbidden)
	expectStatus(t, url, reader, http.StatusOK)
}

func (i *installation) metricsService(t *testing.T) *corev1.Service {
	t.Helper()
	var list corev1.ServiceList
	if err := env.Client.List(t.Context(), &list, client.InNamespace(i.deployment.Namespace)); err != nil {
		t.Fatal(err)
	}
	for _, service := range list.Items {
		for _, port := range service.Spec.Ports {
			if strings.Contains(port.Name, "metrics") {
				return &service
			}
		}
	}
	return nil
}

// forward opens a way to a Pod behind the Service, from wherever the tests run, and returns
// the address on this machine.
func forward(t *testing.T, service *corev1.Service) string {
	t.Helper()
	p, err := process.Start(process.Options{
		Name: "port-forward", Path: kubectl.Path,
		Args: []string{
			"--kubeconfig=" + env.Cluster.AdminKubeconfig(), "port-forward", "-n", service.Namespace,
			"service/" + service.Name, fmt.Sprintf(":%d", service.Spec.Ports[0].Port),
		},
		LogFile: filepath.Join(t.TempDir(), "port-forward.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	forwarding := regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)
	var found []string
	await(t, "kubectl port-forward", func() string {
		found = forwarding.FindStringSubmatch(p.Tail(5))
		if found == nil {
			return p.Tail(5)
		}
		return ""
	})
	return found[1]
}

// expectStatus asks for the metrics with a token, or without any.
func expectStatus(t *testing.T, url, token string, want int) {
	t.Helper()
	// Who serves is not the question here: the certificate is for the Service's name.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 30 * time.Second}
	await(t, fmt.Sprintf("status %d of %s", want, url), func() string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err.Error()
		}
		if response.StatusCode != want {
			return response.Status
		}
		if got := strings.Contains(string(body), aMetric); got != (want == http.StatusOK) {
			t.Errorf("status %d, and the metrics are there: %t", want, got)
		}
		return ""
	})
}

// account makes a ServiceAccount, and returns a token of it.
func (i *installation) account(t *testing.T, name string) string {
	t.Helper()
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: name}})
	token, err := env.Cluster.ServiceAccountToken(t.Context(), i.namespace, name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// grantMetrics gives the account what the overlay's documentation says a Prometheus needs.
func (i *installation) grantMetrics(t *testing.T, name string) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "clustertest-metrics-reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "selfsigned-issuer-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: i.namespace, Name: name}},
	}
	create(t, binding)
	t.Cleanup(func() { show(t, "delete", "clusterrolebinding", binding.Name) })
}
