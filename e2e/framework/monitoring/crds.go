// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"context"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// InstallCRDs installs the CRDs of the Prometheus operator that deploy/components/monitoring uses.
func InstallCRDs(ctx context.Context, config *rest.Config) error {
	operator, err := build.FindModule(ctx, "prometheus", "github.com/prometheus-operator/prometheus-operator")
	if err != nil {
		return err
	}
	for _, plural := range []string{"servicemonitors", "prometheusrules"} {
		content, err := os.ReadFile(filepath.Join(operator.Dir, "example/prometheus-operator-crd/monitoring.coreos.com_"+plural+".yaml"))
		if err != nil {
			return err
		}
		definitions, err := manifest.Decode(content)
		if err != nil {
			return err
		}
		if err := manifest.ApplyCRDs(ctx, config, definitions...); err != nil {
			return err
		}
	}
	return nil
}
