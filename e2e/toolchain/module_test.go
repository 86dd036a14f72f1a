// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package toolchain

import (
	"strings"
	"testing"
)

func TestCertManagerOfEachMinorVersion(t *testing.T) {
	for minor, want := range map[string]string{"": newestCertManager, newestCertManager: newestCertManager, "v1.20": "v1.20"} {
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
