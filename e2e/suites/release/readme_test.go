// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/page"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// followedHere is the not-run reason of these blocks in the README.
const followedHere = "TestRehearsal in e2e/suites/release follows these commands"

// followReadme runs the commands in the README's section Install, first for kubectl, then for Helm.
// Only the addresses of downloads are replaced.
func (r *rehearsal) followReadme(t *testing.T, e *testenv.Environment) {
	readme, err := page.Read(r.clone, "README.md")
	expect.NoError(t, err)
	var commands []string
	for _, block := range readme.Blocks {
		if block.NotRun == followedHere {
			commands = append(commands, r.fromHere(t, block.Code))
		}
	}
	if len(commands) != 3 {
		t.Fatalf("the README has the commands %q, want those for kubectl, Helm, and a certificate", commands)
	}
	path := r.programs(t, e)
	byKubectl, byHelm, firstCertificate := commands[0], commands[1], commands[2]
	for _, way := range []struct{ name, install, remove string }{
		{"kubectl", byKubectl, strings.Replace(byKubectl, "apply --server-side", "delete", 1)},
		{"Helm", byHelm, "helm uninstall selfsigned-issuer --namespace selfsigned-issuer-system"},
	} {
		t.Run(way.name, func(t *testing.T) {
			bash(t, e, path, way.install)
			e.Run(t, r.installed(t, e))
			bash(t, e, path, firstCertificate)
			e.End(t)
			bash(t, e, path, "kubectl delete --namespace sandbox certificate/selfsigned secret/selfsigned-tls")
			bash(t, e, path, way.remove)
		})
	}
}

// fromHere replaces the addresses of GitHub by a server with the assets and the files of the tag.
// The registry is already that of the rehearsal.
func (r *rehearsal) fromHere(t *testing.T, code string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/assets/", http.StripPrefix("/assets/", http.FileServer(http.Dir(r.assets))))
	mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(r.clone))))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	organization := filepath.Base(r.registry)
	return strings.NewReplacer(
		"https://github.com/"+organization+"/selfsigned-issuer/releases/download/"+tag+"/", server.URL+"/assets/",
		"https://raw.githubusercontent.com/"+organization+"/selfsigned-issuer/"+tag+"/", server.URL+"/files/",
		"helm install", "helm install --plain-http",
	).Replace(code)
}

// programs returns a directory with kubectl and Helm.
func (r *rehearsal) programs(t *testing.T, e *testenv.Environment) string {
	t.Helper()
	k, err := e.Kubectl(t.Context(), t.Logf)
	expect.NoError(t, err)
	directory := t.TempDir()
	expect.NoError(t, os.Symlink(k.Path, filepath.Join(directory, "kubectl")))
	repo.Run(t, filepath.Join(repo.Root(t), "e2e"), nil, "go", "build", "-o", filepath.Join(directory, "helm"), "helm.sh/helm/v4/cmd/helm")
	return directory
}

// installed returns the current installation.
func (r *rehearsal) installed(t *testing.T, e *testenv.Environment) *issuer.Installation {
	t.Helper()
	deployment := &appsv1.Deployment{}
	expect.NoError(t, e.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, deployment))
	expect.Equal(t, "image", r.registry+"/"+name+":"+tag, deployment.Spec.Template.Spec.Containers[0].Image)
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(deployment)
	expect.NoError(t, err)
	object["kind"] = "Deployment"
	installed, err := issuer.Installed(e.ControlPlane, []*unstructured.Unstructured{{Object: object}})
	expect.NoError(t, err)
	return installed
}

// bash runs commands with the kubeconfig of the cluster.
func bash(t *testing.T, e *testenv.Environment, path, commands string) {
	t.Helper()
	t.Log(commands)
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	home := t.TempDir()
	command.Dir = home
	command.Env = append(os.Environ(), "HOME="+home, "KUBECONFIG="+e.ControlPlane.AdminKubeconfig(),
		"PATH="+path+string(filepath.ListSeparator)+os.Getenv("PATH"))
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}
