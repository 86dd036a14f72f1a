// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"helm.sh/helm/v4/pkg/chart/common"
	chartutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/manifest"
)

// Namespace is where cert-manager is installed, as its documentation does it.
const Namespace = "cert-manager"

// DisableValidationLabel on a namespace, with the value "true", keeps cert-manager's
// validating webhook away from the objects in it.
const DisableValidationLabel = "cert-manager.io/disable-validation"

// The ServiceAccounts that the chart creates in Namespace.
const (
	ControllerServiceAccount = "cert-manager"
	WebhookServiceAccount    = "cert-manager-webhook"
)

// render returns what the Helm chart creates with its default values, but for the programs
// that do not run here and for the webhook, which listens on webhookAddress (host:port)
// instead of behind a Service.
func (s source) render(webhookAddress string) ([]*unstructured.Unstructured, error) {
	chart, err := s.chart()
	if err != nil {
		return nil, fmt.Errorf("cannot load cert-manager's chart: %w", err)
	}
	values, err := chartutil.ToRenderValues(chart, map[string]any{
		"cainjector":      map[string]any{"enabled": false},
		"startupapicheck": map[string]any{"enabled": false},
		"webhook":         map[string]any{"url": map[string]any{"host": webhookAddress}},
	}, common.ReleaseOptions{Name: "cert-manager", Namespace: Namespace, Revision: 1, IsInstall: true}, nil)
	if err != nil {
		return nil, fmt.Errorf("cert-manager's chart does not take the values: %w", err)
	}
	files, err := engine.Render(chart, values)
	if err != nil {
		return nil, fmt.Errorf("cannot render cert-manager's chart: %w", err)
	}
	return decodeTemplates(files)
}

// chart loads the Helm chart as their release process would publish it.
func (s source) chart() (*chartv2.Chart, error) {
	folder := os.DirFS(filepath.Join(s.Dir, "deploy", "charts", "cert-manager"))
	var files []*archive.BufferedFile
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(folder, name)
		if name == "Chart.template.yaml" { // its name in v1.20
			name = "Chart.yaml"
		}
		files = append(files, &archive.BufferedFile{Name: name, Data: content})
		return err
	})
	if err != nil {
		return nil, err
	}
	loaded, err := loader.LoadFiles(files)
	if err != nil {
		return nil, err
	}
	loaded.Metadata.AppVersion = s.Version // v0.0.0 in the repository
	return loaded, nil
}

func decodeTemplates(files map[string]string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if filepath.Ext(name) != ".yaml" {
			continue // NOTES.txt
		}
		decoded, err := manifest.Decode([]byte(files[name]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		objects = append(objects, decoded...)
	}
	return objects, nil
}

// ofKind returns the objects of the given kinds, in the order of the kinds.
func ofKind(objects []*unstructured.Unstructured, kinds ...string) []*unstructured.Unstructured {
	var selected []*unstructured.Unstructured
	for _, kind := range kinds {
		for _, object := range objects {
			if object.GetKind() == kind {
				selected = append(selected, object)
			}
		}
	}
	return selected
}
