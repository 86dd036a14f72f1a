// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin runs kubectl-selfsigned with the permissions in deploy/examples/kubectl-selfsigned.
package plugin

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// env is the environment of all tests, which use their own namespaces.
var env *testenv.Environment

// program is the path of kubectl-selfsigned.
var program string

func TestMain(m *testing.M) { os.Exit(testenv.RunSuite(m, startEnvironment)) }

func startEnvironment(ctx context.Context, report build.Reporter) (*environment.Environment, error) {
	var err error
	if program, err = build.Build(ctx, build.KubectlPlugin(), report); err != nil {
		return nil, err
	}
	started, err := environment.Start(ctx, environment.Options{Report: report})
	env = &testenv.Environment{Environment: started}
	return started, err
}

// serviceAccount is the name of each user's ServiceAccount.
const serviceAccount = "user"

// newUser returns the kubeconfig of a ServiceAccount that has only the rules.
func newUser(t *testing.T, rules ...rbacv1.PolicyRule) (kubeconfig string) {
	t.Helper()
	namespace := expect.NewNamespace(t, env.Client)
	meta := metav1.ObjectMeta{Name: namespace}
	env.Create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: serviceAccount}})
	env.Create(t, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules})
	env.Create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: namespace},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: serviceAccount}},
	})
	kubeconfig, err := env.ControlPlane.ServiceAccountKubeconfig(t.Context(), namespace, serviceAccount)
	expect.NoError(t, err)
	return kubeconfig
}

// rules returns those of the ClusterRole for a subcommand.
func rules(t *testing.T, subcommand string) []rbacv1.PolicyRule {
	t.Helper()
	objects, err := manifest.Decode([]byte(repo.Read(t, "deploy/examples/kubectl-selfsigned/"+subcommand+".yaml")))
	expect.NoError(t, err)
	role := &rbacv1.ClusterRole{}
	expect.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(objects[0].Object, role))
	return role.Rules
}

// result is what a run of the program has printed, and its exit status.
type result struct {
	Out, Err string
	Status   int
}

// run runs the program as a user.
func run(t *testing.T, kubeconfig string, args ...string) result {
	t.Helper()
	return start(t, exec.CommandContext(t.Context(), program, append(args, "--kubeconfig="+kubeconfig)...))
}

func start(t *testing.T, command *exec.Cmd) result {
	t.Helper()
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	command.Env = append(os.Environ(), "KUBECACHEDIR="+t.TempDir(),
		"PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	err := command.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	for _, printed := range []string{out.String(), errOut.String()} {
		expect.True(t, !strings.Contains(printed, "PRIVATE KEY") && !strings.Contains(printed, "LS0tLS1CRUdJTiBQUklWQVRF"),
			"%s prints a private key", command)
	}
	return result{out.String(), errOut.String(), command.ProcessState.ExitCode()}
}
