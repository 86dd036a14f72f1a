// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/console"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
)

// story has the steps of the demo, in one environment.
type story struct {
	console *console.Console
	env     *environment.Environment
	kubectl environment.Kubectl
}

type step struct {
	title string
	run   func(context.Context) error
}

func (s *story) steps() []step {
	return []step{
		{"Start a control plane with cert-manager, and install selfsigned-issuer", s.start},
		{"Create a SelfSignedIssuer and a ClusterSelfSignedIssuer", s.issuers},
		{"Bootstrap a private PKI in a namespace: root, CA Issuer, leaf", s.namespacedPKI},
		{"Bootstrap a private PKI for the whole cluster: root, CA ClusterIssuer, leaf", s.clusterPKI},
		{"Issue a certificate with CRL distribution points", s.distributionPoints},
		{"Issue a certificate without a subject, and be warned", s.emptySubject},
		{"Stop everything", s.stop},
	}
}

func (s *story) issuers(ctx context.Context) error {
	if err := s.apply(ctx, "issuer.yaml", "cluster-issuer.yaml"); err != nil {
		return err
	}
	for _, issuer := range [][]string{
		{"selfsignedissuers", "-n", "sandbox"},
		{"clusterselfsignedissuers"},
	} {
		if err := s.quietly(ctx, append([]string{"wait", "--for=condition=Ready", "--all", "--timeout=60s"}, issuer...)...); err != nil {
			return err
		}
		if err := s.show(ctx, append(append([]string{"get"}, issuer...), "-o", "wide")...); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) namespacedPKI(ctx context.Context) error {
	return s.pki(ctx, "ca-issuer.yaml", "sandbox", "my-leaf")
}

func (s *story) clusterPKI(ctx context.Context) error {
	return s.pki(ctx, "ca-cluster-issuer.yaml", "cert-manager", "my-cluster-leaf")
}

// pki issues a root in a namespace and a leaf from it in namespace sandbox.
func (s *story) pki(ctx context.Context, file, namespace, leaf string) error {
	if err := s.apply(ctx, file); err != nil {
		return err
	}
	root, err := s.issued(ctx, namespace, "my-selfsigned-ca")
	if err != nil {
		return err
	}
	leafSecret, err := s.issued(ctx, "sandbox", leaf)
	if err != nil {
		return err
	}
	return s.verify(root, leafSecret)
}

// verify verifies the leaf with the root's ca.crt, as a client does.
func (s *story) verify(root, leaf *corev1.Secret) error {
	if !bytes.Equal(root.Data["ca.crt"], root.Data["tls.crt"]) {
		return errors.New("the root's ca.crt is not the root")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root.Data["ca.crt"]) {
		return errors.New("the root's ca.crt cannot be read")
	}
	certificate, err := certtext.Parse(leaf.Data["tls.crt"])
	if err != nil {
		return err
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: certificate.DNSNames[0]}); err != nil {
		return fmt.Errorf("the leaf does not verify: %w", err)
	}
	s.console.Printf("Verified: clients that trust the root's ca.crt accept %s.", certificate.DNSNames[0])
	return nil
}

func (s *story) distributionPoints(ctx context.Context) error {
	if err := s.apply(ctx, "crl-distribution-points.yaml"); err != nil {
		return err
	}
	secret, err := s.issued(ctx, "sandbox", "with-crl")
	if err != nil {
		return err
	}
	certificate, err := certtext.Parse(secret.Data["tls.crt"])
	if err != nil {
		return err
	}
	if len(certificate.CRLDistributionPoints) == 0 {
		return errors.New("the certificate has no CRL distribution point")
	}
	return nil
}

func (s *story) emptySubject(ctx context.Context) error {
	if err := s.apply(ctx, "empty-subject.yaml"); err != nil {
		return err
	}
	if _, err := s.issued(ctx, "sandbox", "empty-subject"); err != nil {
		return err
	}
	// The event can be later than the certificate.
	if err := s.awaitEvent(ctx, "sandbox", "BadConfig"); err != nil {
		return err
	}
	return s.show(ctx, "get", "events", "-n", "sandbox", "--field-selector", "reason=BadConfig")
}

func (s *story) stop(context.Context) error {
	err := s.env.Stop()
	s.env = nil
	return err
}

// issued waits for a Certificate to be Ready and prints it.
func (s *story) issued(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	if err := s.quietly(ctx, "wait", "--for=condition=Ready", "--timeout=60s", "-n", namespace, "certificate/"+name); err != nil {
		return nil, err
	}
	secretName, err := s.kubectl.Run(ctx, "get", "-n", namespace, "certificate/"+name, "-o", "jsonpath={.spec.secretName}")
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{}
	if err := s.env.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: strings.TrimSpace(secretName)}, secret); err != nil {
		return nil, err
	}
	certificate, err := certtext.Parse(secret.Data["tls.crt"])
	if err != nil {
		return nil, err
	}
	s.console.Printf("Certificate %s in namespace %s is Ready:", name, namespace)
	s.console.Block("  " + strings.ReplaceAll(strings.TrimSpace(certtext.Describe(certificate)), "\n", "\n  "))
	return secret, nil
}
