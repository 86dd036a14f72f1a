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

// watchKeys collects every private key of the cluster from now on.
func (l *Environment) watchKeys(ctx context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // Stop ends it
	l.keys, l.endWatch = secretscan.NewFinder(), cancel
	return l.keys.Watch(ctx, l.ControlPlane.AdminConfig())
}

// Leaks looks for every private key that was in the cluster, in all that the plugin has
// written: logs, events, conditions and metrics. It returns an error that says where one is.
func (l *Environment) Leaks(ctx context.Context) error {
	texts, err := l.written(ctx)
	if err != nil {
		return err
	}
	var found []error
	for name, text := range texts {
		for _, finding := range l.keys.Find(name, text) {
			found = append(found, errors.New(finding))
		}
	}
	return errors.Join(found...)
}

// FindKeys is Leaks for one more text: it returns a sentence for each key that is in there.
func (l *Environment) FindKeys(name string, text []byte) []string { return l.keys.Find(name, text) }

// KeysWatched is how many private numbers Leaks looks for.
func (l *Environment) KeysWatched() int { return l.keys.Len() }

func (l *Environment) written(ctx context.Context) (map[string][]byte, error) {
	texts, err := l.issuerLogs()
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
		if err := l.Client.List(ctx, list); err != nil {
			return nil, fmt.Errorf("listing what may hold a key: %w", err)
		}
		if texts[name], err = json.MarshalIndent(list, "", " "); err != nil {
			return nil, err
		}
	}
	if l.Issuer != nil && l.Issuer.Running() {
		_, metrics := issuer.Get(ctx, l.Issuer.MetricsURL+"/metrics")
		texts["the metrics"] = []byte(metrics)
	}
	return texts, nil
}

// issuerLogs returns the logs of all replicas; those of other programs are not our concern.
func (l *Environment) issuerLogs() (map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(l.ControlPlane.LogDir(), "*.log"))
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
