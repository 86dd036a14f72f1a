// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/secretscan"
)

// watchKeys collects all private keys in the cluster until Stop.
func (e *Environment) watchKeys(ctx context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.keys, e.endWatch = secretscan.NewFinder(), cancel
	return e.keys.Watch(ctx, e.ControlPlane.AdminConfig())
}

// ScanForKeys searches everything that selfsigned-issuer has written (logs, events, conditions and metrics)
// for the private keys in the cluster. The error says where each one is.
func (e *Environment) ScanForKeys(ctx context.Context) error {
	texts, err := e.written(ctx)
	if err != nil {
		return err
	}
	var found []error
	for name, text := range texts {
		for _, finding := range e.keys.Find(name, text) {
			found = append(found, errors.New(finding))
		}
	}
	return errors.Join(found...)
}

// FindKeys returns a sentence for each private key in a text.
func (e *Environment) FindKeys(name string, text []byte) []string { return e.keys.Find(name, text) }

// WatchedKeys is the number of private numbers that ScanForKeys searches for.
func (e *Environment) WatchedKeys() int { return e.keys.Len() }

func (e *Environment) written(ctx context.Context) (map[string][]byte, error) {
	texts, err := e.issuerLogs()
	if err != nil {
		return nil, err
	}
	for name, list := range map[string]client.ObjectList{
		"an event":                    &eventsv1.EventList{},
		"a CertificateRequest":        &cmapi.CertificateRequestList{},
		"a CertificateSigningRequest": &certificatesv1.CertificateSigningRequestList{},
		"a SelfSignedIssuer":          &selfsigned.SelfSignedIssuerList{},
		"a ClusterSelfSignedIssuer":   &selfsigned.ClusterSelfSignedIssuerList{},
	} {
		if err := e.Client.List(ctx, list); err != nil {
			return nil, fmt.Errorf("listing objects that can contain a key: %w", err)
		}
		if texts[name], err = json.MarshalIndent(list, "", " "); err != nil {
			return nil, err
		}
	}
	if e.Issuer != nil && e.Issuer.Running() {
		_, metrics := issuer.Get(ctx, e.Issuer.MetricsURL+"/metrics")
		texts["the metrics"] = []byte(metrics)
	}
	return texts, nil
}

// issuerLogs returns the logs of all replicas of selfsigned-issuer.
func (e *Environment) issuerLogs() (map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(e.ControlPlane.LogDir(), "*.log"))
	if err != nil {
		return nil, err
	}
	logs := map[string][]byte{}
	for _, file := range files {
		name := filepath.Base(file)
		if name == "audit.log" || name == "etcd.log" || strings.HasPrefix(name, "kube-") || strings.HasPrefix(name, "cert-manager") {
			continue
		}
		if logs["the log "+name], err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	return logs, nil
}
