// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package lab

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
	"github.com/cert-manager/selfsigned-issuer/e2e/leaks"
	"github.com/cert-manager/selfsigned-issuer/e2e/plugin"
)

// watchKeys collects every private key of the cluster from now on.
func (l *Lab) watchKeys(ctx context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // Stop ends it
	l.keys, l.endWatch = leaks.NewFinder(), cancel
	return l.keys.Watch(ctx, l.Cluster.AdminConfig())
}

// Leaks looks for every private key that was in the cluster, in all that the plugin has
// written: logs, events, conditions and metrics. It returns an error that says where one is.
func (l *Lab) Leaks(ctx context.Context) error {
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
func (l *Lab) FindKeys(name string, text []byte) []string { return l.keys.Find(name, text) }

// KeysWatched is how many private numbers Leaks looks for.
func (l *Lab) KeysWatched() int { return l.keys.Len() }

func (l *Lab) written(ctx context.Context) (map[string][]byte, error) {
	texts, err := l.pluginLogs()
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
	if l.Plugin != nil && l.Plugin.Running() {
		_, metrics := plugin.Get(ctx, l.Plugin.MetricsURL+"/metrics")
		texts["the metrics"] = []byte(metrics)
	}
	return texts, nil
}

// pluginLogs returns the logs of all replicas; those of other programs are not our concern.
func (l *Lab) pluginLogs() (map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(l.Cluster.LogDir(), "*.log"))
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
