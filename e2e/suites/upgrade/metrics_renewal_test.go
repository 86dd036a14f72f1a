// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

const (
	// mounted is where the Deployment mounts the certificate of the metrics.
	mounted = "/etc/selfsigned-issuer/metrics"

	prefix       = "team-a-"
	authority    = "selfsigned-issuer-metrics-ca"
	server       = "selfsigned-issuer-metrics-tls"
	scraper      = "selfsigned-issuer-metrics-client"
	metricsName  = "selfsigned-issuer-metrics" // the serverName of the ServiceMonitor
	aMetric      = "selfsigned_issuer_build_info{"
	renewTimeout = 10 * time.Second
)

// testMetricsRenewal renews the certificates of authority, client and server in sequence, in both
// orders. Prometheus can read the metrics after each step.
func (l *life) testMetricsRenewal(t *testing.T, overlay string) {
	mount := t.TempDir()
	for _, secret := range []string{server, scraper} {
		found := &corev1.Secret{}
		l.Eventually(t, "Secret "+secret, func(ctx context.Context) error {
			err := l.Client.Get(ctx, client.ObjectKey{Namespace: certManager, Name: secret}, found)
			if err == nil && len(found.Data["tls.crt"]) == 0 {
				return errors.New("no certificate")
			}
			return err
		})
	}
	l.mount(t, mount)
	p := l.startOverlay(t, overlay, mount)
	url := strings.Replace(p.MetricsURL, "http:", "https:", 1) + "/metrics"
	before := l.leaf(t, authority)
	l.expectScrape(t, url, "before any renewal")
	for _, step := range []string{authority, scraper, server, authority, server, scraper} {
		l.renew(t, step)
		l.mount(t, mount)
		l.expectScrape(t, url, "after the renewal of "+step)
	}
	after := l.leaf(t, authority)
	expect.True(t, !after.Equal(before) && bytes.Equal(after.RawSubjectPublicKeyInfo, before.RawSubjectPublicKeyInfo),
		"want a renewed authority with the same key")
}

// mount writes the server's Secret to a directory, as the kubelet does.
func (l *life) mount(t *testing.T, directory string) {
	t.Helper()
	for name, content := range l.secret(t, server).Data {
		path := filepath.Join(directory, name)
		if before, err := os.ReadFile(path); err == nil && bytes.Equal(before, content) {
			continue
		}
		next := path + ".next"
		expect.NoError(t, os.WriteFile(next, content, 0o600))
		expect.NoError(t, os.Rename(next, path))
	}
}

func (l *life) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: certManager, Name: name}}
	l.Get(t, secret)
	return secret
}

func (l *life) leaf(t *testing.T, secret string) *x509.Certificate {
	t.Helper()
	leaf, err := certtext.Parse(l.secret(t, secret).Data["tls.crt"])
	expect.NoError(t, err)
	return leaf
}

// renew renews the certificate in a Secret like `cmctl renew`.
func (l *life) renew(t *testing.T, secret string) {
	t.Helper()
	before := l.leaf(t, secret)
	name := prefix + strings.TrimSuffix(secret, "-tls")
	certificate := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: certManager, Name: name}}
	l.ChangeStatus(t, certificate, func() {
		cmutil.SetCertificateCondition(certificate, certificate.Generation, cmapi.CertificateConditionIssuing, cmmeta.ConditionTrue,
			"ManuallyTriggered", "Renewed by the test")
	})
	l.Eventually(t, "the renewal of "+name, func(context.Context) error {
		if l.leaf(t, secret).Equal(before) {
			return errors.New("the Secret has the same certificate")
		}
		return nil
	})
}

// expectScrape reads the metrics like Prometheus, with the client's Secret, and waits until the
// server uses its Secret.
func (l *life) expectScrape(t *testing.T, url, when string) {
	t.Helper()
	secret, served := l.secret(t, scraper).Data, l.leaf(t, server)
	certificate, err := tls.X509KeyPair(secret["tls.crt"], secret["tls.key"])
	expect.NoError(t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(secret["ca.crt"]) {
		t.Fatal("no authority in the client's Secret")
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{certificate}, ServerName: metricsName},
		DisableKeepAlives: true,
	}
	scraping := &http.Client{Transport: transport, Timeout: renewTimeout}
	l.Eventually(t, "metrics "+when, func(context.Context) error {
		response, err := scraping.Get(url)
		if err != nil {
			t.Fatalf("%s: %v", when, err) // each scrape must succeed
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(aMetric)) {
			t.Fatalf("%s: status %d %v: %.100s", when, response.StatusCode, err, body)
		}
		if got := response.TLS.PeerCertificates[0]; !got.Equal(served) {
			return fmt.Errorf("serial number %d, want %d", got.SerialNumber, served.SerialNumber)
		}
		return nil
	})
}
