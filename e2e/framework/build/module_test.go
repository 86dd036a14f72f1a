// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"strings"
	"testing"
)

func TestCertManagerOfEachMinorVersion(t *testing.T) {
	minors := CertManagerMinors()
	if len(minors) != 2 {
		t.Fatalf("%q are pinned, want the newest and the one before", minors)
	}
	for minor, want := range map[string]string{"": minors[0], minors[0]: minors[0], minors[1]: minors[1]} {
		t.Setenv(certManagerEnv, minor)
		p := CertManager()
		module, err := FindModule(t.Context(), "certmanager", p.versionModule, p.ModfileFlags()...)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(module.Version, want+".") || !strings.HasSuffix(module.Dir, "@"+module.Version) {
			t.Errorf("%s=%q gives %s in %s", certManagerEnv, minor, module.Version, module.Dir)
		}
	}
}
