// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// validateMetrics finds what would leave the metrics open, or with a certificate that was not
// meant: controller-runtime makes one up where it finds none.
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
			return fmt.Errorf("--metrics-cert-dir=%q: want a certificate and its key in tls.crt and tls.key: %w", o.metricsCertDir, err)
		}
	}
	if o.metricsClientCA != "" {
		if _, err := readAuthorities(o.metricsClientCA); err != nil {
			return fmt.Errorf("--metrics-client-ca-file=%q: %w", o.metricsClientCA, err)
		}
	}
	return nil
}

func metricsOptions(o options) server.Options {
	metrics := server.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure, CertDir: o.metricsCertDir}
	switch {
	case o.metricsClientCA != "":
		metrics.TLSOpts = append(metrics.TLSOpts, requireClientCertificate(o.metricsClientCA))
	case o.metricsSecure:
		metrics.FilterProvider = reviewClients
	}
	return metrics
}

// requireClientCertificate reads the authorities anew for each connection, of which a scraper
// makes few: they can be replaced while the process runs.
func requireClientCertificate(path string) func(*tls.Config) {
	return func(config *tls.Config) {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			authorities, err := readAuthorities(path)
			if err != nil {
				return nil, err
			}
			// A copy of the configuration as it is by now, with the server's certificate.
			current := config.Clone()
			current.ClientCAs = authorities
			return current, nil
		}
	}
}

func readAuthorities(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the file that the operator named
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(content) {
		return nil, errors.New("want at least one certificate, PEM-encoded")
	}
	return authorities, nil
}
