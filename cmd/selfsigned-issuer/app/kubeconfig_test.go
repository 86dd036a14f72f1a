// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestKubeconfigSources starts a process that finds the kubeconfig where any controller-runtime program
// does. The address in each file is invalid, so that the process exits with a line that quotes it. The Pod,
// whose credentials have a fixed path, is not covered.
func TestKubeconfigSources(t *testing.T) {
	t.Parallel()
	path, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	flag, variable := writeKubeconfig(t, "https://flag:100000"), writeKubeconfig(t, "https://variable:100000")
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".kube"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(writeKubeconfig(t, "https://home:100000"), filepath.Join(home, ".kube", "config")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		env  []string
		want string
	}{
		"flag":           {[]string{"--kubeconfig=" + flag}, []string{"KUBECONFIG=" + variable, "HOME=" + home}, `"https://flag:100000"`},
		"KUBECONFIG":     {nil, []string{"KUBECONFIG=" + variable, "HOME=" + home}, `"https://variable:100000"`},
		"home directory": {nil, []string{"HOME=" + home}, `"https://home:100000"`},
		"none":           {nil, []string{"HOME=" + t.TempDir()}, "set --kubeconfig or KUBECONFIG, or run in a Pod"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), path, append(test.args, "--metrics-bind-address=0", "--health-probe-bind-address=0")...)
			command.Env = test.env
			output, err := command.CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(output)), "\n")
			if err == nil || command.ProcessState.ExitCode() != 1 || !strings.Contains(lines[len(lines)-1], test.want) {
				t.Errorf("%v, want exit status 1 and a last line with %s:\n%s", err, test.want, output)
			}
			if name != "none" && len(lines) != 1 { // controller-runtime logs that this is no Pod
				t.Errorf("want one line:\n%s", output)
			}
		})
	}
}
