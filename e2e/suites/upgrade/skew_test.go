// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// testOldCRDs runs the program with the CRDs of the first release, as if they were forgotten.
func (l *life) testOldCRDs(t *testing.T) {
	installed, err := issuer.Find(l.ControlPlane, overlay)
	expect.NoError(t, err)
	l.CreateNamespace(t, testenv.Namespace)
	l.testSkew(t, l.Binary, installed)
}

// testOldProgram runs the last release, or before the first one the program before the last change of the
// CRDs, with the current CRDs, as during an upgrade and after a downgrade.
func (l *life) testOldProgram(t *testing.T) {
	l.End(t)
	commit := strings.TrimSpace(repo.Run(t, repo.Root(t), nil, "sh", "-c",
		`git describe --tags --abbrev=0 2>/dev/null || git rev-parse "$(git log -1 --format=%H -- deploy/crds)^"`))
	binary, installed, err := issuer.Earlier(t.Context(), l.ControlPlane, commit, build.IssuerRace(), t.Logf)
	expect.NoError(t, err)
	l.testSkew(t, binary, installed)
	l.startIssuer(t)
}

// testSkew applies an installation without its CRDs, and issues with new issuers and those of the first
// release.
func (l *life) testSkew(t *testing.T, binary string, installed *issuer.Installation) {
	t.Helper()
	objects := slices.DeleteFunc(slices.Clone(installed.Objects), func(object *unstructured.Unstructured) bool {
		return object.GetKind() == "CustomResourceDefinition"
	})
	expect.NoError(t, manifest.Apply(t.Context(), l.ControlPlane.AdminConfig(), objects...))
	current := l.Binary
	l.Binary = binary
	l.Run(t, installed)
	l.Binary = current
	l.issue(t, "SelfSignedIssuer", "http://crl.example.com/root.crl")
	l.issue(t, "ClusterSelfSignedIssuer", "http://crl.example.com/cluster-root.crl")
	l.Issue(t)
	l.End(t)
}
