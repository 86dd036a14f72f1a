// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// validateMetrics rejects flags without an effect, and unusable certificates.
func (o *options) validateMetrics() error {
	for _, flag := range []struct{ name, value string }{
		{"metrics-cert-dir", o.metricsCertDir}, {"metrics-client-ca-file", o.metricsClientCA},
	} {
		if flag.value != "" && !o.metricsSecure {
			return fmt.Errorf("--%s=%q: has no effect without --metrics-secure", flag.name, flag.value)
		}
	}
	if o.metricsCertDir != "" {
		if _, err := tls.LoadX509KeyPair(o.metricsCertDir+"/tls.crt", o.metricsCertDir+"/tls.key"); err != nil {
			return fmt.Errorf("--metrics-cert-dir=%q: must contain a certificate and its key in tls.crt and tls.key: %w", o.metricsCertDir, err)
		}
	}
	if o.metricsClientCA != "" {
		if _, err := readCAs(o.metricsClientCA); err != nil {
			return fmt.Errorf("--metrics-client-ca-file=%q: %w", o.metricsClientCA, err)
		}
	}
	return nil
}

// addMetrics adds the metrics server to the manager.
func addMetrics(ctx context.Context, mgr manager.Manager, o options) error {
	if o.metricsAddress == noAddress {
		return nil
	}
	server, err := newMetricsServer(ctx, o, mgr.GetConfig(), mgr.GetLogger())
	if err != nil {
		return err
	}
	return mgr.Add(server)
}

// newMetricsServer returns a server that already listens.
func newMetricsServer(ctx context.Context, o options, config *rest.Config, logger logr.Logger) (*manager.Server, error) {
	var metrics http.Handler = newMetricsPages(ctrlmetrics.Registry)
	var secure *tls.Config
	var err error
	if o.metricsSecure {
		if secure, err = metricsTLS(o); err != nil {
			return nil, err
		}
	}
	if o.metricsSecure && o.metricsClientCA == "" {
		if metrics, err = authorizeClients(config, logger, metrics); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics)
	return newServer(ctx, "metrics", o.metricsAddress, mux, secure, logger)
}

// metricsTLS uses the certificate in --metrics-cert-dir, or a generated one.
func metricsTLS(o options) (*tls.Config, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if o.metricsClientCA != "" {
		requireClientCertificate(secure, o.metricsClientCA)
	}
	if o.metricsCertDir == "" {
		certificate, err := generateCertificate()
		secure.Certificates = []tls.Certificate{certificate}
		return secure, err
	}
	files := &certificateFiles{dir: o.metricsCertDir}
	secure.GetCertificate = files.certificate
	return secure, files.read()
}

// certificateMaxAge is how long a certificate is used before its files are read again.
const certificateMaxAge = time.Second

// certificateFiles reads a certificate again when it is needed. It uses no inotify, which other
// Pods with the same user ID can exhaust on a node: signing does not depend on the metrics.
type certificateFiles struct {
	dir string

	mu      sync.Mutex
	current *tls.Certificate
	readAt  time.Time
}

// certificate returns the current one, and the former one while the files cannot be used.
func (f *certificateFiles) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.readAt) < certificateMaxAge {
		return f.current, nil
	}
	_ = f.read() // they are being replaced
	return f.current, nil
}

func (f *certificateFiles) read() error {
	f.readAt = time.Now()
	certificate, err := tls.LoadX509KeyPair(filepath.Join(f.dir, "tls.crt"), filepath.Join(f.dir, "tls.key"))
	if err == nil {
		f.current = &certificate
	}
	return err
}

// generateCertificate returns a self-signed certificate, which clients cannot verify. controller-runtime
// generates an RSA key instead, whose handshakes take many times as long.
func generateCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key}, err
}

// requireClientCertificate reloads the CA certificates for each connection, of which Prometheus makes few.
func requireClientCertificate(config *tls.Config, path string) {
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		authorities, err := readCAs(path)
		if err != nil {
			return nil, err
		}
		// The server's certificate was set after this function was created.
		current := config.Clone()
		current.ClientCAs = authorities
		return current, nil
	}
}

func readCAs(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the path is a flag
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(content) {
		return nil, errors.New("must contain at least one PEM-encoded certificate")
	}
	return authorities, nil
}
