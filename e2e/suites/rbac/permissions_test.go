// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
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
		name := strings.NewReplacer("deploy/overlays/", "", "e2e/suites/testdata/", "").Replace(i.overlay)
		t.Run(name, func(t *testing.T) { testPermissions(t, i) })
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
	env.End(t)
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
	run(t, installed, withCertificate(installed, metrics.directory)...)
	expect.NoError(t, env.Issuer.AwaitReady(t.Context()))
	return installed
}

// run starts the process of an installation until the test ends.
func run(t *testing.T, installed *issuer.Installation, args ...string) {
	t.Helper()
	process, err := installed.Start(t.Context(), env.Binary, "selfsigned-issuer", args...)
	expect.NoError(t, err)
	t.Cleanup(func() { _ = process.Kill() }) // it may have ended
	env.Issuer = process
}

func install(t *testing.T, overlay string) *issuer.Installation {
	t.Helper()
	var installed *issuer.Installation
	if values, isChart := strings.CutPrefix(overlay, chartWith); isChart {
		installed = installChart(t, values)
	} else {
		var err error
		installed, err = issuer.Install(t.Context(), env.ControlPlane, overlay)
		expect.NoError(t, err)
	}
	t.Cleanup(func() { uninstall(t, installed) })
	return installed
}

func installChart(t *testing.T, text string) *issuer.Installation {
	t.Helper()
	release := chart.Release{Name: "selfsigned-issuer", Namespace: ownHome}
	expect.NoError(t, yaml.UnmarshalStrict([]byte(text), &release.Values))
	root, err := build.Root()
	expect.NoError(t, err)
	objects, err := release.Render(build.Module{Dir: root})
	expect.NoError(t, err)
	expect.NoError(t, manifest.Apply(t.Context(), env.ControlPlane.AdminConfig(), objects...))
	installed, err := issuer.Installed(env.ControlPlane, objects)
	expect.NoError(t, err)
	return installed
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
		diff := cmp.Diff(slices.Compact(want), got, cmpopts.EquateEmpty())
		expect.True(t, diff == "", "the permissions of the account in %s differ from its roles (-roles +review):\n%s", namespace, diff)
	}
}

// rejectClusterIssuer expects that a process for selected namespaces reports that it does not sign
// for cluster issuers, and does not try to read them.
func rejectClusterIssuer(t *testing.T, _ *authority) {
	csr, _ := newCSR(t)
	request := newRequest(t, sandbox, "ClusterSelfSignedIssuer", csr)
	got := awaitReason(t, request, "Pending")
	for _, mention := range []string{"ClusterSelfSignedIssuer issuer", "--namespaces", "deploy/overlays/default"} {
		expect.True(t, strings.Contains(got, mention), "the message %q does not mention %s", got, mention)
	}
}

// TestDryRun has the API server validate manifests that TestPermissions does not apply.
func TestDryRun(t *testing.T) {
	for _, kustomization := range []string{
		issuer.DevelopmentOverlay, issuer.AdminStep, issuer.NamespaceStep,
		"deploy/examples/adjusted", "deploy/examples/kubernetes-csr", "deploy/examples/other-cert-manager",
	} {
		t.Run(kustomization, func(t *testing.T) {
			objects, err := issuer.Render(kustomization)
			expect.NoError(t, err)
			expect.NoError(t, manifest.DryRun(t.Context(), env.ControlPlane.AdminConfig(), objects...))
		})
	}
}

// permission is one verb on one resource in a namespace, or in all if it is empty.
type permission struct{ namespace, resource, verb string }

func (p permission) String() string {
	where := " in all namespaces"
	if p.namespace != "" {
		where = " in " + p.namespace
	}
	return p.verb + " " + p.resource + where
}

// signing is checked by the API server for a write of the certificate of a Kubernetes CSR, so it is
// not in the audit log.
var signing = permission{resource: "certificates.k8s.io/signers", verb: "sign"}

// grant is one rule of a role, in the namespace of its binding, or in all.
type grant struct {
	namespace string
	rule      rbacv1.PolicyRule
}

// grantsOf returns what the installation's roles grant to the account of its process.
func grantsOf(t *testing.T, installed *issuer.Installation) []grant {
	t.Helper()
	roles := map[string][]rbacv1.PolicyRule{} // by namespace and name
	var bindings []rbacv1.RoleBinding
	for _, object := range installed.Objects {
		convert := func(into any) {
			expect.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into))
		}
		switch object.GetKind() {
		case "ClusterRole", "Role":
			var role rbacv1.Role // a ClusterRole has the same fields
			convert(&role)
			roles[role.Namespace+"/"+role.Name] = role.Rules
		case "ClusterRoleBinding", "RoleBinding":
			var binding rbacv1.RoleBinding
			convert(&binding)
			bindings = append(bindings, binding)
		}
	}
	var grants []grant
	for _, binding := range bindings {
		ours := binding.Subjects[0].Name == installed.Deployment.Spec.Template.Spec.ServiceAccountName
		if binding.Namespace == "" && !ours {
			continue
		}
		for _, rule := range roles[binding.Namespace+"/"+binding.RoleRef.Name] {
			grants = append(grants, grant{binding.Namespace, rule})
		}
	}
	return grants
}

func flatten(grants []grant) []permission {
	var flat []permission
	for _, g := range grants {
		for _, group := range g.rule.APIGroups {
			for _, resource := range g.rule.Resources {
				for _, verb := range g.rule.Verbs {
					flat = append(flat, permission{g.namespace, group + "/" + resource, verb})
				}
			}
		}
	}
	return flat
}

// auditEvent has the relevant fields of a line in the audit log.
type auditEvent struct {
	Verb      string
	User      struct{ Username string }
	ObjectRef *struct{ Resource, Subresource, Namespace, APIGroup string }

	ResponseStatus struct{ Code int }
}

func (e auditEvent) permission() permission {
	resource := e.ObjectRef.APIGroup + "/" + e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		resource += "/" + e.ObjectRef.Subresource
	}
	return permission{e.ObjectRef.Namespace, resource, e.Verb}
}

// auditLog reads new lines of the audit log.
type auditLog struct {
	reader *bufio.Reader
	begun  []byte // of an incomplete line
}

func openAuditLog(t *testing.T) *auditLog {
	t.Helper()
	file, err := os.Open(env.ControlPlane.AuditLogPath())
	expect.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	return &auditLog{reader: bufio.NewReader(file)}
}

// asked returns the allowed and the denied requests of a user.
func (l *auditLog) asked(t *testing.T, user string) (allowed, denied []permission) {
	t.Helper()
	for {
		line, err := l.reader.ReadBytes('\n')
		l.begun = append(l.begun, line...)
		if errors.Is(err, io.EOF) {
			return allowed, denied
		}
		var event auditEvent
		expect.NoError(t, errors.Join(err, json.Unmarshal(l.begun, &event)))
		l.begun = nil
		if event.User.Username != user || event.ObjectRef == nil {
			continue // discovery, which all users may read
		}
		if event.ResponseStatus.Code == http.StatusForbidden {
			denied = append(denied, event.permission())
		} else {
			allowed = append(allowed, event.permission())
		}
	}
}

func unused(granted, asked []permission) []permission {
	return slices.DeleteFunc(slices.Clone(granted), func(g permission) bool {
		return slices.ContainsFunc(asked, func(a permission) bool {
			return a == g || g.namespace == "" && a.resource == g.resource && a.verb == g.verb
		})
	})
}

// reviewed returns the permissions of a ServiceAccount in a namespace, from a SelfSubjectRulesReview.
func reviewed(t *testing.T, serviceAccount, namespace string) []string {
	t.Helper()
	c, err := environment.ClientAs(env.ControlPlane.AdminConfig(), "system:serviceaccount:"+ownHome+":"+serviceAccount)
	expect.NoError(t, err)
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	expect.NoError(t, c.Create(t.Context(), review))
	expect.True(t, !review.Status.Incomplete, "the review is incomplete: %s", review.Status.EvaluationError)
	var lines []string
	for _, rule := range review.Status.ResourceRules {
		lines = append(lines, ruleLines(rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs)...)
	}
	for _, rule := range review.Status.NonResourceRules {
		lines = append(lines, strings.Join(rule.NonResourceURLs, " ")+" "+strings.Join(rule.Verbs, " "))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func ruleLines(groups, resources, names, verbs []string) []string {
	var lines []string
	for _, group := range groups {
		for _, resource := range resources {
			for _, verb := range verbs {
				lines = append(lines, group+"/"+resource+"["+strings.Join(names, " ")+"] "+verb)
			}
		}
	}
	return lines
}
