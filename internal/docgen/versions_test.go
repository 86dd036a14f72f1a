// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docgen

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestGeneratedVersions writes the tested versions, which are pinned in go.mod files.
func TestGeneratedVersions(t *testing.T) {
	older, err := filepath.Glob(root + "/e2e/versions/certmanager/v*.mod")
	if err != nil || len(older) != 1 {
		t.Fatalf("go.mod files of older versions of cert-manager: %q, %v; want one", older, err)
	}
	certManager := pinned(t, "e2e/versions/certmanager/go.mod", "github.com/cert-manager/cert-manager ")
	previous := pinned(t, "e2e/versions/certmanager/"+filepath.Base(older[0]), "github.com/cert-manager/cert-manager ")
	kubernetes := pinned(t, "e2e/versions/kubernetes/go.mod", "k8s.io/kubernetes ")
	trustManager := pinned(t, "e2e/versions/trustmanager/go.mod", "github.com/cert-manager/trust-manager ")
	goVersion := minor(pinned(t, "go.mod", "\ngo "))
	Quotes(t, root+"/docs/compatibility.md", "versions: ", map[string]string{"table": fmt.Sprintf(`| | Version | Tested by |
| --- | --- | --- |
| cert-manager | %s (%s) | `+"`make test`"+`: all tests |
| | %s (%s) | `+"`make test-previous`"+`: Certificates, outcomes of requests, approval |
| Kubernetes | %s (%s) | `+"`make test`: control plane; `make test-cluster`"+`: a node |
| trust-manager | %s (%s) | `+"`make test`"+`: distribution of a root |
| Go | %s | all of the above |`,
		minor(certManager), certManager, minor(previous), previous, minor(kubernetes), kubernetes, minor(trustManager), trustManager, goVersion)})
	Quotes(t, root+"/docs/tutorial.md", "versions: ", map[string]string{"install": "```sh not-run=\"the test of this page has no nodes for Pods\"\n" +
		"helm install cert-manager oci://quay.io/jetstack/charts/cert-manager --version " + certManager + " \\\n" +
		"  --namespace cert-manager --create-namespace --set crds.enabled=true --wait\n```"})
	Quotes(t, root+"/README.md", "versions: ", map[string]string{
		"cert-manager": minor(certManager), "previous cert-manager": minor(previous), "Kubernetes": minor(kubernetes), "Go": goVersion,
	})
}

// pinned returns the version after a name in a go.mod.
func pinned(t *testing.T, path, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(regexp.QuoteMeta(name) + `(v?[0-9.]+)`).FindSubmatch(content)
	if found == nil {
		t.Fatalf("%s does not pin %s", path, name)
	}
	return string(found[1])
}

// minor returns the first two numbers of a version.
func minor(version string) string { return regexp.MustCompile(`^v?\d+\.\d+`).FindString(version) }
