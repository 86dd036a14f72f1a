// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

// metrics is how an overlay exposes metrics.
type metrics int

const (
	none metrics = iota
	open
	authenticated
)

// aMetric is a metric of every replica.
const aMetric = "\nselfsigned_issuer_build_info{"

func (i *installation) testMetrics(t *testing.T) {
	service := i.metricsService(t)
	if i.metrics == none {
		expect.True(t, service == nil, "a Service serves metrics, want none: %v", service)
		return
	}
	if service == nil {
		t.Fatal("no Service has a port for metrics")
	}
	if i.metrics == open {
		expectMetrics(t, "http://"+forward(t, service), nil)
		return
	}
	certificate := i.clientCertificate(t)
	expectMetrics(t, "https://"+forward(t, service), &certificate)

	// kubectl port-forward can end when a connection is refused, so this client has one of its own.
	url := "https://" + forward(t, service)
	_, err := ask(url, nil)
	expect.True(t, err != nil, "%s answers a client without a certificate", url)
}

func (i *installation) metricsService(t *testing.T) *corev1.Service {
	t.Helper()
	var list corev1.ServiceList
	env.List(t, &list, client.InNamespace(i.deployment.Namespace))
	for _, service := range list.Items {
		for _, port := range service.Spec.Ports {
			if strings.Contains(port.Name, "metrics") {
				return &service
			}
		}
	}
	return nil
}

// forward forwards a port to a Pod of the Service, and returns the local address.
func forward(t *testing.T, service *corev1.Service) string {
	t.Helper()
	p, err := process.Start(process.Options{
		Name: "port-forward", Path: kubectl.Path,
		Args: []string{
			"--kubeconfig=" + env.ControlPlane.AdminKubeconfig(), "port-forward", "-n", service.Namespace,
			"service/" + service.Name, fmt.Sprintf(":%d", service.Spec.Ports[0].Port),
		},
		LogFile: filepath.Join(t.TempDir(), "port-forward.log"),
	})
	expect.NoError(t, err)
	t.Cleanup(func() { expect.NoError(t, p.Kill()) })
	forwarding := regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)
	var found []string
	env.Eventually(t, "kubectl port-forward", func(context.Context) error {
		found = forwarding.FindStringSubmatch(p.Tail(5))
		if found == nil {
			return errors.New(p.Tail(5))
		}
		return nil
	})
	return found[1]
}

// expectMetrics waits for the metrics, with an optional client certificate.
func expectMetrics(t *testing.T, url string, certificate *tls.Certificate) {
	t.Helper()
	env.Eventually(t, "metrics of "+url, func(context.Context) error {
		body, err := ask(url, certificate)
		if err != nil {
			return err
		}
		if !strings.Contains(body, aMetric) {
			return fmt.Errorf("no %s in %.200s", aMetric, body)
		}
		return nil
	})
}

func ask(url string, certificate *tls.Certificate) (string, error) {
	// The name in the certificate is not that of the forwarded port.
	config := &tls.Config{InsecureSkipVerify: true}
	if certificate != nil {
		config.Certificates = []tls.Certificate{*certificate}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 30 * time.Second}
	response, err := client.Get(url + "/metrics")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", response.Status)
	}
	return string(body), err
}

// clientCertificate returns the certificate for Prometheus.
func (i *installation) clientCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: i.deployment.Namespace, Name: "selfsigned-issuer-metrics-client"}}
	env.Get(t, secret)
	certificate, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	expect.NoError(t, err)
	return certificate
}
