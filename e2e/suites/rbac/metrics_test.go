// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// mounted is the mount path of the certificate of the metrics.
const mounted = "/etc/selfsigned-issuer/metrics"

// withCertificate returns the arguments with files in the mounted Secret, with their paths in directory.
func withCertificate(installed *issuer.Installation, directory string) []string {
	var args []string
	for _, arg := range installed.Deployment.Spec.Template.Spec.Containers[0].Args {
		if strings.Contains(arg, mounted) {
			args = append(args, strings.ReplaceAll(arg, mounted, directory))
		}
	}
	return args
}

// scrapeWithToken reads the metrics as Prometheus, and as clients without permission.
func scrapeWithToken(t *testing.T, served *authority) {
	reader := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: unserved, Name: "prometheus"}}
	env.Create(t, reader)
	env.Create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "selfsigned-issuer-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: reader.Namespace, Name: reader.Name}},
	})
	tokens := map[string]int{"": http.StatusUnauthorized, "nonsense": http.StatusUnauthorized}
	for account, status := range map[string]int{unserved + "/prometheus": http.StatusOK, ownHome + "/nobody": http.StatusForbidden} {
		namespace, name, _ := strings.Cut(account, "/")
		token, err := env.ControlPlane.ServiceAccountToken(t.Context(), namespace, name, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		tokens[token] = status
	}
	client := served.client()
	for token, want := range tokens {
		env.Eventually(t, "a response to a client of the metrics", func(ctx context.Context) error { // when the binding has taken effect
			status, body, err := scrape(ctx, client, token)
			if err != nil || status != want || strings.Contains(body, "selfsigned_issuer_build_info") != (want == http.StatusOK) {
				return fmt.Errorf("%d %.100s %s, want %d", status, body, fmt.Sprint(err), want)
			}
			return nil
		})
	}
	expectRotation(t, served, client)
}

// scrapeWithCertificate does the same with client certificates.
func scrapeWithCertificate(t *testing.T, served *authority) {
	client := served.client(served.issue(t, x509.ExtKeyUsageClientAuth))
	if status, body, err := scrape(t.Context(), client, ""); err != nil || status != http.StatusOK {
		t.Errorf("with a client certificate: %d %.100s %v", status, body, err)
	}
	strangers := newAuthority(t)
	for what, client := range map[string]*http.Client{
		"without a certificate":                   served.client(),
		"with a certificate of another authority": served.client(strangers.issue(t, x509.ExtKeyUsageClientAuth)),
		"with a server's certificate":             served.client(served.issue(t, x509.ExtKeyUsageServerAuth)),
		"with a token and nothing else ":          served.client(),
	} {
		if status, body, err := scrape(t.Context(), client, "token"); err == nil {
			t.Errorf("%s: %d %.100s, want no connection", what, status, body)
		}
	}
	expectRotation(t, served, client)
	// The authority is also replaced while the process runs.
	served.trust(t, strangers)
	env.Eventually(t, "another authority of clients", func(ctx context.Context) error {
		client := served.client(strangers.issue(t, x509.ExtKeyUsageClientAuth))
		if status, _, err := scrape(ctx, client, ""); err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %w", status, err)
		}
		return nil
	})
}

// expectRotation replaces the served certificate, as the kubelet does after a renewal.
func expectRotation(t *testing.T, served *authority, client *http.Client) {
	t.Helper()
	renewed := served.serve(t)
	env.Eventually(t, "the renewed certificate", func(ctx context.Context) error {
		client.CloseIdleConnections()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, metricsURL(), http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if got := response.TLS.PeerCertificates[0]; !got.Equal(renewed) {
			return fmt.Errorf("serial number %d, want %d", got.SerialNumber, renewed.SerialNumber)
		}
		return nil
	})
}

func metricsURL() string {
	return strings.Replace(env.Issuer.MetricsURL, "http:", "https:", 1) + "/metrics"
}

func scrape(ctx context.Context, client *http.Client, token string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, metricsURL(), http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

// client returns a client that trusts only the authority.
func (a *authority) client(certificates ...tls.Certificate) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certificates}}}
}

// replace writes a file atomically.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Clean(path)); err != nil {
		t.Fatal(err)
	}
}
