// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
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
		expect.NoError(t, err)
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
	status, body, err := scrape(t.Context(), client, "")
	expect.True(t, err == nil && status == http.StatusOK, "with a client certificate: %d %.100s %v", status, body, err)
	strangers := newAuthority(t)
	for what, client := range map[string]*http.Client{
		"without a certificate":                   served.client(),
		"with a certificate of another authority": served.client(strangers.issue(t, x509.ExtKeyUsageClientAuth)),
		"with a server's certificate":             served.client(served.issue(t, x509.ExtKeyUsageServerAuth)),
		"with a token and nothing else ":          served.client(),
	} {
		status, body, err := scrape(t.Context(), client, "token")
		expect.True(t, err != nil, "%s: %d %.100s, want no connection", what, status, body)
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
		response, err := get(ctx, client, "")
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

// get reads the metrics with a token, if it is not empty.
func get(ctx context.Context, client *http.Client, token string) (*http.Response, error) {
	url := strings.Replace(env.Issuer.MetricsURL, "http:", "https:", 1) + "/metrics"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return client.Do(request)
}

func scrape(ctx context.Context, client *http.Client, token string) (status int, body string, err error) {
	response, err := get(ctx, client, token)
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
	expect.NoError(t, os.WriteFile(next, content, 0o600))
	expect.NoError(t, os.Rename(next, filepath.Clean(path)))
}

// authority issues the certificates of deploy/components/metrics-certificate, and writes them to a
// directory, as the kubelet does.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	directory   string
	serial      int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{directory: t.TempDir(), serial: 1}
	template := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.certificate, a.key = a.sign(t, template)
	a.trust(t, a)
	return a
}

// trust accepts only clients of another authority.
func (a *authority) trust(t *testing.T, other *authority) {
	t.Helper()
	replace(t, a.directory+"/ca.crt", encode(t, other.certificate))
}

func (a *authority) serve(t *testing.T) *x509.Certificate {
	t.Helper()
	issued := a.issue(t, x509.ExtKeyUsageServerAuth)
	key, err := pki.EncodePKCS8PrivateKey(issued.PrivateKey)
	expect.NoError(t, err)
	replace(t, a.directory+"/tls.key", key)
	replace(t, a.directory+"/tls.crt", encode(t, issued.Leaf))
	return issued.Leaf
}

func (a *authority) issue(t *testing.T, usage x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	leaf, key := a.sign(t, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	})
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// sign signs the certificate of a new key; the first one is self-signed.
func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := pki.GenerateECPrivateKey(256)
	expect.NoError(t, err)
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.Subject = pkix.Name{CommonName: t.Name(), SerialNumber: template.SerialNumber.String()}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	issuer, signer := a.certificate, a.key
	if issuer == nil {
		issuer, signer = template, key
	}
	_, certificate, err := pki.SignCertificate(template, issuer, key.Public(), signer)
	expect.NoError(t, err)
	return certificate, key
}

func encode(t *testing.T, certificate *x509.Certificate) []byte {
	t.Helper()
	pem, err := pki.EncodeX509(certificate)
	expect.NoError(t, err)
	return pem
}
