// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

const (
	// startTimeout includes building the programs.
	startTimeout = 20 * time.Minute
	// timeout is how long an expected condition may take.
	timeout = time.Minute
	// negativeTimeout is how long a condition is checked that must not become true.
	negativeTimeout = 10 * time.Second
)

// shared is the cluster of most tests, each of which has its own namespace.
var shared struct {
	cluster *controlplane.ControlPlane
	admin   client.Client
}

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	c, err := controlplane.Start(ctx, controlplane.Options{Report: report})
	if err != nil {
		report("%v", err)
		return 1
	}
	defer func() { code = max(code, stopped(c.Stop())) }()
	installation, err := Install(ctx, c, Options{Report: report})
	if err != nil {
		report("%v", err)
		return 1
	}
	defer func() { code = max(code, stopped(installation.Stop())) }()
	if err := connectShared(c); err != nil {
		report("%v", err)
		return 1
	}
	return m.Run()
}

func stopped(err error) int {
	if err == nil {
		return 0
	}
	report("%v", err)
	return 1
}

func report(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

func connectShared(c *controlplane.ControlPlane) (err error) {
	shared.cluster = c
	shared.admin, err = client.New(c.AdminConfig(), client.Options{Scheme: scheme})
	return err
}

// startCluster starts a cluster for one test.
func startCluster(t *testing.T) *controlplane.ControlPlane {
	t.Helper()
	c, err := controlplane.Start(t.Context(), controlplane.Options{Report: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { requireNoError(t, c.Stop()) })
	return c
}

// install installs cert-manager with its defaults for one test.
func install(t *testing.T, c *controlplane.ControlPlane) {
	t.Helper()
	installation, err := Install(waitContext(t), c, Options{Report: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { requireNoError(t, installation.Stop()) })
}

// approverClient returns a client with the permissions of cert-manager's controllers.
func approverClient(t *testing.T, c *controlplane.ControlPlane) client.Client {
	t.Helper()
	kubeconfig, err := c.ServiceAccountKubeconfig(t.Context(), Namespace, ControllerServiceAccount)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, config)
}

func buildProgram(t *testing.T) {
	t.Helper()
	if _, err := build.Build(t.Context(), build.CertManager(), t.Logf); err != nil {
		t.Fatal(err)
	}
}

var scheme = newScheme()

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(apiextensionsv1.AddToScheme(s))
	utilruntime.Must(cmapi.AddToScheme(s))
	return s
}

func newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func waitContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

func step(t *testing.T, f func(context.Context) error) {
	t.Helper()
	if err := f(waitContext(t)); err != nil {
		t.Fatal(err)
	}
}

// eventually reads the object until the condition holds.
func eventually(t *testing.T, c client.Client, object client.Object, condition func() bool) {
	t.Helper()
	expect.Eventually(t, fmt.Sprintf("%T %s", object, object.GetName()), timeout, func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		if !condition() {
			return fmt.Errorf("the condition does not hold for %+v", object)
		}
		return nil
	})
}
