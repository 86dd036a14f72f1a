// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

const readme = "deploy/README.md"

var (
	roleHeading   = regexp.MustCompile(`^### ((?:Cluster)?Role) (\S+)$`)
	permissionRow = regexp.MustCompile("^\\| `([^`]+)` \\| ([a-z ]+) \\| .+ \\|$")
)

// TestReadmePermissions compares the page with the roles of the process.
func TestReadmePermissions(t *testing.T) {
	want := map[string][]string{}
	for _, installation := range []string{metricsTLS, issuer.NamespacedOverlay, kubernetesCSR} {
		objects := render(t, installation)
		roles := rules(objects)
		for _, b := range bindings(objects) {
			if id := b.role.Kind + "/" + b.role.Name; b.subjects[0].Name == name {
				want[id] = ruleLines(roles[id])
			}
		}
	}
	got, role := map[string][]string{}, ""
	for line := range strings.Lines(repo.Read(t, readme)) {
		line = strings.TrimSuffix(line, "\n")
		if found := roleHeading.FindStringSubmatch(line); found != nil {
			role = found[1] + "/" + found[2]
		} else if strings.HasPrefix(line, "#") {
			role = ""
		}
		if found := permissionRow.FindStringSubmatch(line); found != nil && role != "" {
			got[role] = append(got[role], fmt.Sprintf("%s [%s]", found[1], found[2]))
		}
	}
	expect.Equal(t, "roles and "+readme, want, got)
}

// TestReadmeIsComplete expects a description of each overlay and component.
func TestReadmeIsComplete(t *testing.T) {
	page := repo.Read(t, readme)
	for _, pattern := range []string{"deploy/overlays/*/kustomization.yaml", "deploy/components/*/kustomization.yaml"} {
		for _, path := range list(t, pattern) {
			directory := strings.Split(path, "/")[2]
			expect.True(t, strings.Contains(page, "| ["+directory+"]("), "%s has no row for %s", readme, path)
		}
	}
}
