// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"testing"
)

// overlay is one of deploy/overlays, with its expected properties.
type overlay struct {
	name string
	// an administrator applies deploy/admin first
	apart bool
	// supports ClusterSelfSignedIssuers
	clusterKind bool
	replicas    int
	metrics     metrics
}

var overlays = []overlay{
	{name: "default", clusterKind: true, replicas: 1, metrics: open},
	{name: "production", clusterKind: true, replicas: 2, metrics: authenticated},
	{name: "namespaced", apart: true, replicas: 1, metrics: none},
}

// TestOverlay installs, uses and removes each overlay.
func TestOverlay(t *testing.T) {
	for _, o := range overlays {
		t.Run(o.name, func(t *testing.T) {
			before := inventory(t)
			i := install(t, o)
			t.Run("available", i.testAvailable)
			if t.Failed() {
				return // the other tests would fail too
			}
			t.Run("certificates", i.testCertificates)
			t.Run("metrics", i.testMetrics)
			t.Run("killed", i.testKilled)
			t.Run("rolling update", i.testRollingUpdate)
			t.Run("removal", func(t *testing.T) { i.testRemoval(t, before) })
		})
	}
}
