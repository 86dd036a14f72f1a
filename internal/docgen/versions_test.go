// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docgen

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// row is a minor version of Kubernetes in e2e/versions/supported.txt, with one of cert-manager.
type row struct{ kubernetes, certManager string }

// TestGeneratedVersions writes the tested versions, which are pinned in go.mod files.
func TestGeneratedVersions(t *testing.T) {
	content, err := os.ReadFile(root + "/e2e/versions/supported.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); fields[0] != "#" {
			rows = append(rows, row{fields[0], fields[1]})
		}
	}
	kubernetes, certManager := pins(t, "kubernetes", "k8s.io/kubernetes "), pins(t, "certmanager", "github.com/cert-manager/cert-manager ")
	newest, oldest := row{minor(kubernetes[""]), minor(certManager[""])}, rows[0].certManager
	table := "| | Version | Tests |\n| --- | --- | --- |\n"
	table += fmt.Sprintf("| cert-manager | %s (%s) | `make test`: all tests |\n", newest.certManager, certManager[""])
	table += fmt.Sprintf("| | %s (%s) | `make test-previous`: core end-to-end tests |\n", oldest, certManager[oldest])
	product := " Kubernetes"
	for i, r := range slices.Backward(rows) {
		if kubernetes[r.kubernetes] == "" || certManager[r.certManager] == "" {
			t.Errorf("no go.mod file pins %v", r)
		}
		by := "`make test-versions`, weekly: core end-to-end tests"
		if r == newest {
			by = "`make test`: control plane; `make test-cluster`: a node"
		}
		if i < len(rows)-1 && rows[i+1].kubernetes == r.kubernetes {
			table = strings.TrimSuffix(table, " |\n") + ", " + r.certManager + " |\n"
			continue
		}
		table += fmt.Sprintf("|%s | %s (%s) | %s; with cert-manager %s |\n", product, r.kubernetes, kubernetes[r.kubernetes], by, r.certManager)
		product = ""
	}
	trustManager := pinned(t, "e2e/versions/trustmanager/go.mod", "github.com/cert-manager/trust-manager ")
	approverPolicy := pinned(t, "e2e/versions/approverpolicy/go.mod", "github.com/cert-manager/approver-policy ")
	goVersion := minor(pinned(t, "go.mod", "\ngo "))
	table += fmt.Sprintf("| trust-manager | %s (%s) | `make test`: distribution of a root |\n", minor(trustManager), trustManager)
	table += fmt.Sprintf("| approver-policy | %s (%s) | `make test`: example policies |\n", minor(approverPolicy), approverPolicy)
	table += fmt.Sprintf("| Go | %s | all of the above |", goVersion)
	Quotes(t, root+"/docs/compatibility.md", "versions: ", map[string]string{"table": table})
	Quotes(t, root+"/docs/tutorial.md", "versions: ", map[string]string{"install": "```sh not-run=\"the test of this page has no nodes for Pods\"\n" +
		"helm install cert-manager oci://quay.io/jetstack/charts/cert-manager --version " + certManager[""] + " \\\n" +
		"  --namespace cert-manager --create-namespace --set crds.enabled=true --wait\n```"})
	Quotes(t, root+"/README.md", "versions: ", map[string]string{
		"cert-manager": newest.certManager, "oldest cert-manager": oldest,
		"Kubernetes": newest.kubernetes, "Go": goVersion,
	})
}

// pins returns the pinned versions in a directory of e2e/versions by their minor version, which is the name
// of the file, or empty and the minor version for go.mod.
func pins(t *testing.T, directory, name string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(root + "/e2e/versions/" + directory + "/[gv]*.mod")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range files {
		base := filepath.Base(file)
		version := pinned(t, "e2e/versions/"+directory+"/"+base, name)
		if base == "go.mod" {
			found[""] = version
		} else if base != minor(version)+".mod" {
			t.Errorf("%s pins %s", file, version)
		}
		found[minor(version)] = version
	}
	return found
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
