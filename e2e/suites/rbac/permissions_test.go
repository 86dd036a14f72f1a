// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// installation is an overlay or chart, and how its process uses all permissions.
type installation struct {
	overlay    string
	namespaces []string // selected ones; none: all
	use        func(t *testing.T, metrics *authority)
}

var installations = []installation{
	{overlay: issuer.DefaultOverlay},
	{overlay: issuer.ProductionOverlay, use: scrapeWithCertificate},
	{overlay: metricsTLS, use: scrapeWithToken},
	{overlay: "e2e/suites/testdata/kubernetes-csrs", use: signKubernetesCSR},
	{overlay: "e2e/suites/testdata/no-secret-watch"},
	{overlay: issuer.NamespacedOverlay, namespaces: []string{sandbox}, use: rejectClusterIssuer},
	{overlay: "e2e/suites/testdata/namespaced-metrics", namespaces: []string{sandbox, second}, use: scrapeWithCertificate},
	{overlay: chartWith + "{kubernetesCSRs: {enabled: true}}", use: signKubernetesCSR},
	{
		overlay:    chartWith + "{app: {namespaces: [sandbox, second], watchSecrets: false}, metrics: {tls: {enabled: true}}}",
		namespaces: []string{sandbox, second}, use: scrapeWithCertificate,
	},
}

// chartWith is the prefix of an installation of the Helm chart with values.
const chartWith = "chart with "

// metricsTLS is the default overlay with the component metrics-tls.
const metricsTLS = "e2e/suites/testdata/metrics-tls"

// TestPermissions uses all features of each installation, and compares the audit log with its
// roles: all granted permissions are used, and all used permissions are granted.
func TestPermissions(t *testing.T) {
	env.Create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ownHome, Name: "nobody"}})
	for _, i := range installations {
		t.Run(strings.NewReplacer("deploy/overlays/", "", "e2e/suites/testdata/", "").Replace(i.overlay), func(t *testing.T) { testPermissions(t, i) })
	}
}

func testPermissions(t *testing.T, i installation) {
	log := openAuditLog(t)
	metrics := newAuthority(t)
	installed := start(t, i.overlay, metrics)
	for _, namespace := range i.namespaces {
		useIssuer(t, namespace)
		requestCertificate(t, namespace, "SelfSignedIssuer")
	}
	if len(i.namespaces) == 0 {
		useIssuer(t, "")
		useIssuer(t, sandbox)
		requestCertificate(t, sandbox, "ClusterSelfSignedIssuer")
	}
	if i.use != nil {
		i.use(t, metrics)
	}
	grants := grantsOf(t, installed)
	checkReviewed(t, grants, installed)
	if err := env.Issuer.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
	allowed, denied := log.asked(t, account)
	permissions := flatten(grants)
	if slices.Contains(permissions, signing) {
		allowed = append(allowed, signing)
	}
	for _, r := range unused(permissions, allowed) {
		t.Errorf("granted and never used: %s", r)
	}
	for _, r := range denied {
		t.Errorf("used and not granted: %s", r)
	}
}

// start installs an overlay, with strict validation by the API server, and starts its process. The
// process and its permissions are removed when the test ends.
func start(t *testing.T, overlay string, metrics *authority) *issuer.Installation {
	t.Helper()
	installed := install(t, overlay)
	metrics.serve(t)
	// As with an API server that cannot stream a list: the client lists and then watches.
	t.Setenv("KUBE_FEATURE_WatchListClient", "false")
	var err error
	if env.Issuer, err = installed.Start(t.Context(), env.Binary, "selfsigned-issuer", withCertificate(installed, metrics.directory)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Issuer.Kill(); err != nil {
			t.Error(err)
		}
	})
	if err := env.Issuer.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return installed
}

func install(t *testing.T, overlay string) *issuer.Installation {
	t.Helper()
	var installed *issuer.Installation
	var err error
	if values, ok := strings.CutPrefix(overlay, chartWith); ok {
		installed, err = installChart(t, values)
	} else {
		installed, err = issuer.Install(t.Context(), env.ControlPlane, overlay)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { uninstall(t, installed) })
	return installed
}

func installChart(t *testing.T, text string) (*issuer.Installation, error) {
	t.Helper()
	values := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		return nil, err
	}
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	objects, err := chart.Release{Name: "selfsigned-issuer", Namespace: ownHome, Values: values}.Render(build.Module{Dir: root})
	if err != nil {
		return nil, err
	}
	if err := manifest.Apply(t.Context(), env.ControlPlane.AdminConfig(), objects...); err != nil {
		return nil, err
	}
	return issuer.Installed(env.ControlPlane, objects)
}

// uninstall removes the permissions, but keeps CRDs and namespaces for the next installation.
func uninstall(t *testing.T, installed *issuer.Installation) {
	t.Helper()
	for _, object := range installed.Objects {
		if object.GroupVersionKind().Group == rbacv1.GroupName {
			remove(t, object)
		}
	}
	remove(t, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: ownHome, Name: "selfsigned-issuer.selfsigned.cert-manager.io"}})
}

// checkReviewed compares the rules review of the API server with the roles.
func checkReviewed(t *testing.T, grants []grant, installed *issuer.Installation) {
	t.Helper()
	for _, namespace := range []string{ownHome, sandbox, second, unserved} {
		everybodys := reviewed(t, "nobody", namespace)
		got := slices.DeleteFunc(reviewed(t, installed.Deployment.Spec.Template.Spec.ServiceAccountName, namespace), func(line string) bool {
			return slices.Contains(everybodys, line)
		})
		var want []string
		for _, g := range grants {
			if g.namespace == "" || g.namespace == namespace {
				want = append(want, ruleLines(g.rule.APIGroups, g.rule.Resources, g.rule.ResourceNames, g.rule.Verbs)...)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(slices.Compact(want), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the permissions of the account in %s differ from its roles (-roles +review):\n%s", namespace, diff)
		}
	}
}

// rejectClusterIssuer expects that a process for selected namespaces reports that it does not sign
// for cluster issuers, and does not try to read them.
func rejectClusterIssuer(t *testing.T, _ *authority) {
	csr, _ := newCSR(t)
	request := newRequest(t, sandbox, "ClusterSelfSignedIssuer", csr)
	got := awaitReason(t, request, "Pending").Message
	for _, mention := range []string{"ClusterSelfSignedIssuer issuer", "--namespaces", "deploy/overlays/default"} {
		if !strings.Contains(got, mention) {
			t.Errorf("the message %q does not mention %s", got, mention)
		}
	}
}
