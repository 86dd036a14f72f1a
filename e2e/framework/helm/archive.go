// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/registry"
)

// Package writes the chart in directory as an archive into output and returns its path. The
// archive has the given time, so that the same commit makes the same archive.
func Package(directory, output string, at time.Time) (string, error) {
	chart, err := loader.LoadDir(directory)
	if err != nil {
		return "", err
	}
	chart.ModTime, chart.SchemaModTime = at, at
	for _, files := range [][]*common.File{chart.Raw, chart.Templates, chart.Files} {
		for _, f := range files {
			f.ModTime = at
		}
	}
	return chartutil.Save(chart, output)
}

// Push pushes a packaged chart to a repository, such as ghcr.io/cert-manager/charts, and returns
// its digest.
func Push(archive, repository string, plainHTTP bool, at time.Time) (string, error) {
	content, err := os.ReadFile(archive)
	if err != nil {
		return "", err
	}
	chart, err := loader.LoadArchive(bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	client, err := newClient(plainHTTP)
	if err != nil {
		return "", err
	}
	reference := fmt.Sprintf("%s/%s:%s", repository, chart.Name(), tag(chart.Metadata.Version))
	pushed, err := client.Push(content, reference, registry.PushOptCreationTime(at.Format(time.RFC3339)))
	if err != nil {
		return "", fmt.Errorf("cannot push the chart to %s: %w", reference, err)
	}
	return pushed.Manifest.Digest, nil
}

// Pull returns a chart from a repository.
func Pull(repository, name, version string, plainHTTP bool) (*v2.Chart, error) {
	client, err := newClient(plainHTTP)
	if err != nil {
		return nil, err
	}
	pulled, err := client.Pull(fmt.Sprintf("%s/%s:%s", repository, name, tag(version)))
	if err != nil {
		return nil, err
	}
	return loader.LoadArchive(bytes.NewReader(pulled.Chart.Data))
}

func newClient(plainHTTP bool) (*registry.Client, error) {
	options := []registry.ClientOption{registry.ClientOptWriter(io.Discard)}
	if plainHTTP {
		options = append(options, registry.ClientOptPlainHTTP())
	}
	return registry.NewClient(options...)
}

// tag returns the tag of a version: tags cannot contain "+".
func tag(version string) string { return strings.ReplaceAll(version, "+", "_") }
