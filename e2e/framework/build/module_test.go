// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"strings"
	"testing"
)

func TestMinorVersionIsSelected(t *testing.T) {
	for env, program := range map[string]func() Program{certManagerEnv: CertManager, kubernetesEnv: KubeAPIServer} {
		minors := program().Minors()
		for minor, want := range map[string]string{"": minors[0], minors[0]: minors[0], minors[1]: minors[1]} {
			t.Setenv(env, minor)
			b, err := newBuild(program(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if version, err := b.version(t.Context()); err != nil || !strings.HasPrefix(version, want+".") {
				t.Errorf("%s=%q gives %s, %v", env, minor, version, err)
			}
		}
	}
	t.Setenv(certManagerEnv, "")
	module, err := FindModule(t.Context(), "certmanager", certManagerModule)
	if err != nil || !strings.HasSuffix(module.Dir, "@"+module.Version) {
		t.Errorf("got %v, %v", module, err)
	}
}
