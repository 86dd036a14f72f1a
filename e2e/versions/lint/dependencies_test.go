// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lint tests the configuration of the linter.
package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

const (
	project    = "github.com/cert-manager/selfsigned-issuer"
	internal   = project + "/controllers/internal/"
	issuerLib  = "github.com/cert-manager/issuer-lib"
	repository = "../../.."
)

// imports are what a package under each directory may and may not import.
var imports = []struct {
	directory         string
	allowed, rejected []string
}{{
	directory: "signer",
	allowed:   []string{"crypto/x509", "k8s.io/api/certificates/v1", "github.com/cert-manager/cert-manager/pkg/util/pki"},
	rejected: []string{
		"k8s.io/client-go/kubernetes", "sigs.k8s.io/controller-runtime/pkg/client",
		issuerLib + "/api/v1alpha1", issuerLib + "/controllers",
		project + "/api/v1alpha1", project + "/controllers", project + "/cmd/selfsigned-issuer/app", project + "/e2e/probe",
	},
}, {
	directory: "api",
	allowed:   []string{"k8s.io/apimachinery/pkg/apis/meta/v1", issuerLib + "/api/v1alpha1"},
	rejected: []string{
		"sigs.k8s.io/controller-runtime/pkg/client", issuerLib + "/conditions", issuerLib + "/controllers",
		project + "/controllers", project + "/signer", project + "/cmd/selfsigned-issuer/app", project + "/e2e/probe",
	},
}, {
	directory: "controllers",
	allowed: []string{
		"k8s.io/client-go/kubernetes", "sigs.k8s.io/controller-runtime/pkg/client",
		issuerLib + "/conditions", issuerLib + "/controllers", project + "/api/v1alpha1", project + "/signer",
	},
	rejected: []string{project + "/cmd/selfsigned-issuer/app", project + "/e2e/probe"},
}, {
	directory: "controllers/internal/outcome",
	allowed:   []string{"sigs.k8s.io/controller-runtime/pkg/client", project + "/api/v1alpha1", project + "/signer"},
	rejected:  []string{project + "/controllers", internal + "events", internal + "metrics", internal + "request", issuerLib + "/conditions", issuerLib + "/controllers/signer"},
}, {
	directory: "controllers/internal/request",
	allowed:   []string{"sigs.k8s.io/controller-runtime/pkg/client", issuerLib + "/api/v1alpha1", issuerLib + "/controllers/signer", internal + "outcome"},
	rejected:  []string{project + "/controllers", internal + "events", internal + "metrics", issuerLib + "/conditions", issuerLib + "/controllers"},
}, {
	directory: "controllers/internal/events",
	allowed:   []string{"sigs.k8s.io/controller-runtime/pkg/client", internal + "outcome"},
	rejected:  []string{project + "/controllers", internal + "metrics", internal + "request", issuerLib + "/controllers/signer"},
}, {
	directory: "controllers/internal/metrics",
	allowed:   []string{"sigs.k8s.io/controller-runtime/pkg/client", internal + "outcome", internal + "request", issuerLib + "/api/v1alpha1"},
	rejected:  []string{project + "/controllers", internal + "events", issuerLib + "/controllers/signer"},
}, {
	directory: "cmd/selfsigned-issuer",
	allowed:   []string{"sigs.k8s.io/controller-runtime/pkg/client", project + "/controllers", project + "/cmd/selfsigned-issuer/app"},
	rejected:  []string{issuerLib + "/controllers", project + "/api/v1alpha1", project + "/signer", project + "/e2e/probe"},
}, {
	directory: "cmd/kubectl-selfsigned",
	allowed:   []string{"sigs.k8s.io/controller-runtime/pkg/client", project + "/api/v1alpha1"},
	rejected:  []string{issuerLib + "/controllers", project + "/controllers", project + "/signer", project + "/cmd/selfsigned-issuer/app", project + "/e2e/probe"},
}, {
	directory: "e2e",
	allowed:   []string{project + "/api/v1alpha1", project + "/signer"},
	rejected:  []string{issuerLib + "/controllers", project + "/cmd/selfsigned-issuer/app"},
}, {
	directory: "e2e/suites",
	allowed:   []string{project + "/e2e/framework/probe"},
	rejected:  []string{project + "/e2e/suites/probe", project + "/e2e/tools/probe"},
}, {
	directory: "e2e/framework",
	allowed:   []string{project + "/e2e/framework/probe"},
	rejected:  []string{project + "/e2e/suites/probe", project + "/e2e/tools/probe"},
}, {
	directory: "e2e/tools",
	allowed:   []string{project + "/e2e/framework/probe", project + "/e2e/tools/probe"},
	rejected:  []string{project + "/e2e/suites/probe"},
}}

func TestDependencyRule(t *testing.T) {
	dir := copyOfRepository(t)
	for _, directory := range []string{"e2e", "e2e/suites", "e2e/framework", "e2e/tools"} {
		write(t, filepath.Join(dir, directory, "probe/probe.go"), source(nil))
	}
	for _, i := range imports {
		write(t, filepath.Join(dir, i.directory, "imports/imports.go"), source(slices.Concat(i.allowed, i.rejected)))
	}
	got := lint(t, dir)
	for _, i := range imports {
		file := i.directory + "/imports/imports.go"
		for _, path := range i.rejected {
			if !slices.Contains(got[file], path) {
				t.Errorf("%s can import %s, which is forbidden", i.directory, path)
			}
		}
		for _, path := range i.allowed {
			if slices.Contains(got[file], path) {
				t.Errorf("%s cannot import %s, which it needs", i.directory, path)
			}
		}
		delete(got, file)
	}
	for file, paths := range got {
		t.Errorf("%s may not import %q", file, paths)
	}
}

func source(imports []string) string {
	text := "// Package imports only imports.\npackage imports\n"
	for _, path := range imports {
		text += fmt.Sprintf("\nimport _ %q\n", path)
	}
	return text
}

// lint returns the imports that the linter rejects, by file.
func lint(t *testing.T, dir string) map[string][]string {
	t.Helper()
	modfile, err := filepath.Abs("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile="+modfile, "golangci-lint-kube-api-linter", "run",
		"--allow-parallel-runners", "--tests=false", "--enable-only=depguard", "--show-stats=false", "--output.json.path=stdout")
	cmd.Dir = dir
	out, err := cmd.Output()
	var failed *exec.ExitError
	if !errors.As(err, &failed) || failed.ExitCode() != 1 {
		t.Fatalf("golangci-lint: want exit status 1, got %v: %s", err, out)
	}
	return refused(t, out)
}

var refusal = regexp.MustCompile(`^import '(.*)' is not allowed`)

func refused(t *testing.T, report []byte) map[string][]string {
	t.Helper()
	var parsed struct {
		Issues []struct {
			Text string
			Pos  struct{ Filename string }
		}
	}
	if err := json.Unmarshal(report, &parsed); err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{}
	for _, issue := range parsed.Issues {
		match := refusal.FindStringSubmatch(issue.Text)
		if match == nil {
			t.Fatalf("%s: %s", issue.Pos.Filename, issue.Text)
		}
		files[issue.Pos.Filename] = append(files[issue.Pos.Filename], match[1])
	}
	return files
}

// copyOfRepository copies the sources of selfsigned-issuer and the configuration of the linter.
func copyOfRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, directory := range []string{"api", "cmd/selfsigned-issuer", "controllers", "signer"} {
		if err := os.CopyFS(filepath.Join(dir, directory), os.DirFS(filepath.Join(repository, directory))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", ".golangci.yml"} {
		content, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(content))
	}
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
