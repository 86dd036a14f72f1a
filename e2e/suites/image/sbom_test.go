// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"debug/buildinfo"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// TestSBOM compares the bill of materials with the build information of the program.
func TestSBOM(t *testing.T) {
	root := repo.Root(t)
	bin := t.TempDir()
	run(t, "make", "-C", root, "sbom", "BIN="+bin)
	var bom struct {
		BOMFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version string }
	}
	expect.NoError(t, json.Unmarshal([]byte(repo.ReadFile(t, bin, program+".cdx.json")), &bom))
	expect.Equal(t, "format", "CycloneDX", bom.BOMFormat)
	info, err := buildinfo.ReadFile(filepath.Join(bin, program))
	expect.NoError(t, err)
	expect.Equal(t, "version", git(t, root, "describe", "--tags", "--always", "--dirty"), bom.Metadata.Component.Version)
	var got, want []string
	for _, component := range bom.Components {
		got = append(got, component.Name+" "+component.Version)
	}
	want = append(want, "std "+info.GoVersion)
	for _, module := range info.Deps {
		want = append(want, module.Path+" "+module.Version)
	}
	slices.Sort(got)
	slices.Sort(want)
	expect.Equal(t, "modules", want, got)
}
