// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// missing are missing permissions, each as "verb group/resource", and their visible effect.
type missing struct {
	what        string
	permissions []string
	// unasked are those among them that the process does not try to use.
	unasked []string
	// see uses the process, and returns a check for after its requests were denied, or nil.
	see func(t *testing.T) (check func())
}

const csrs = "certificates.k8s.io/certificatesigningrequests"

var missingPermissions = []missing{
	{what: "nothing can be read", see: expectNotReady, permissions: []string{
		"list selfsigned.cert-manager.io/selfsignedissuers", "watch selfsigned.cert-manager.io/selfsignedissuers",
		"list selfsigned.cert-manager.io/clusterselfsignedissuers", "watch selfsigned.cert-manager.io/clusterselfsignedissuers",
		"list cert-manager.io/certificaterequests", "watch cert-manager.io/certificaterequests",
		"list /secrets", "watch /secrets", "list " + csrs, "watch " + csrs, "get coordination.k8s.io/leases",
	}},
	{what: "the Lease cannot be created", see: expectNoStatus, permissions: []string{"create coordination.k8s.io/leases"}},
	{what: "the Lease cannot be renewed", see: expectReady, permissions: []string{"update coordination.k8s.io/leases"}},
	{what: "no status can be written", see: expectNoStatus, permissions: []string{
		"patch selfsigned.cert-manager.io/selfsignedissuers/status", "patch selfsigned.cert-manager.io/clusterselfsignedissuers/status",
		"patch cert-manager.io/certificaterequests/status",
	}},
	{what: "keys, reviews and events are forbidden", see: expectForbiddenSecret, permissions: []string{
		"get /secrets", "create authorization.k8s.io/subjectaccessreviews", "create events.k8s.io/events", "create /events",
	}},
	{what: "a CSR cannot be written", see: expectUnsigned, permissions: []string{"patch " + csrs + "/status"}},
	// The API server rejects the certificate in this status.
	{what: "a CSR cannot be signed", see: expectUnsigned, permissions: []string{"sign certificates.k8s.io/signers", "patch " + csrs + "/status"}, unasked: []string{"sign certificates.k8s.io/signers"}},
}

// TestWithoutPermission removes each rule from the roles of the process, and checks that no status
// reports success.
func TestWithoutPermission(t *testing.T) {
	for _, m := range missingPermissions {
		t.Run(m.what, func(t *testing.T) {
			log := openAuditLog(t)
			startWithout(t, m)
			check := m.see(t)
			var denied []string
			env.Eventually(t, "denied requests", func(context.Context) error {
				_, more := log.asked(t, account)
				for _, r := range more {
					denied = append(denied, r.verb+" "+r.resource)
				}
				for _, want := range m.permissions {
					// A client that may not watch does not list, and vice versa.
					instead := strings.NewReplacer("list ", "watch ", "watch ", "list ").Replace(want)
					if !slices.Contains(denied, want) && !slices.Contains(denied, instead) && !slices.Contains(m.unasked, want) {
						return fmt.Errorf("%q is not among %q", want, denied)
					}
				}
				return nil
			})
			if check != nil {
				check()
			}
		})
	}
}

// startWithout installs all permissions and removes the missing ones before it starts the process.
func startWithout(t *testing.T, m missing) {
	t.Helper()
	installed := install(t, "e2e/suites/testdata/kubernetes-csrs")
	for _, object := range installed.Objects {
		if strings.HasSuffix(object.GetKind(), "Role") {
			expect.NoError(t, manifest.Apply(t.Context(), env.ControlPlane.AdminConfig(), withoutPermissions(t, object, m)))
		}
	}
	env.Eventually(t, "fewer permissions", func(context.Context) error {
		for _, line := range reviewed(t, installed.Deployment.Spec.Template.Spec.ServiceAccountName, ownHome) {
			resource, rest, _ := strings.Cut(line, "[")
			_, verb, _ := strings.Cut(rest, "] ")
			if slices.Contains(m.permissions, verb+" "+resource) && (m.unasked == nil || resource != csrs+"/status") {
				return errors.New(line)
			}
		}
		return nil
	})
	run(t, installed)
}

func withoutPermissions(t *testing.T, object *unstructured.Unstructured, m missing) *unstructured.Unstructured {
	t.Helper()
	var role rbacv1.ClusterRole // a Role has the same fields
	expect.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role))
	var rules []any
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			left := rule.DeepCopy()
			left.Resources = []string{resource}
			left.Verbs = slices.DeleteFunc(left.Verbs, func(verb string) bool {
				name := verb + " " + strings.Join(rule.APIGroups, "") + "/" + resource
				return slices.Contains(m.permissions, name) && (m.unasked == nil || slices.Contains(m.unasked, name))
			})
			if len(left.Verbs) == 0 {
				continue
			}
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(left)
			expect.NoError(t, err)
			rules = append(rules, content)
		}
	}
	changed := object.DeepCopy()
	changed.Object["rules"] = rules
	return changed
}

// expectNotReady expects a healthy process that reports why it is not ready.
func expectNotReady(t *testing.T) func() {
	env.Eventually(t, "a process that is not ready", func(ctx context.Context) error {
		live, _ := issuer.Get(ctx, env.Issuer.HealthURL+"/healthz")
		ready, _ := issuer.Get(ctx, env.Issuer.HealthURL+"/readyz")
		log := env.Issuer.Tail(100)
		if live == http.StatusOK && ready == http.StatusInternalServerError && strings.Contains(log, "Not ready: selfsigned-issuer is not allowed to list") {
			return nil
		}
		return fmt.Errorf("live %d, ready %d: %s", live, ready, log)
	})
	return nil
}

// expectReady expects a ready process, which is the leader until its Lease expires.
func expectReady(t *testing.T) func() {
	expect.NoError(t, env.Issuer.AwaitReady(t.Context()))
	return nil
}

// expectNoStatus expects a request without conditions, and an issuer with the status of the CRD's
// default.
func expectNoStatus(t *testing.T) func() {
	expect.NoError(t, env.Issuer.AwaitReady(t.Context()))
	issuer, request := newIssuerAndRequest(t)
	return func() {
		env.Get(t, issuer)
		env.Get(t, request)
		unchecked := len(issuer.Status.Conditions) == 1 && issuer.Status.Conditions[0].Reason == "Pending" && issuer.Status.ObservedGeneration == 0
		expect.True(t, unchecked && len(request.Status.Conditions) <= 1,
			"something was written: %+v %+v", issuer.Status, request.Status)
	}
}

func newIssuerAndRequest(t *testing.T) (*selfsigned.SelfSignedIssuer, *cmapi.CertificateRequest) {
	t.Helper()
	issuer := &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: sandbox, Name: "issuer"}}
	cluster := &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "issuer"}}
	createForTest(t, issuer, cluster)
	csr, key := newCSR(t)
	request := newRequest(t, sandbox, "SelfSignedIssuer", csr)
	env.Create(t, keySecret(t, sandbox, request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey], key))
	return issuer, request
}

func expectForbiddenSecret(t *testing.T) func() {
	_, request := newIssuerAndRequest(t)
	newKubernetesCSR(t)
	env.Await(t, "the message", request, func() bool {
		return slices.ContainsFunc(request.Status.Conditions, func(condition cmapi.CertificateRequestCondition) bool {
			return strings.Contains(condition.Message, "ClusterRole selfsigned-issuer-manager")
		})
	})
	return nil
}

// expectUnsigned expects a CSR without a certificate and without a failure.
func expectUnsigned(t *testing.T) func() {
	newIssuerAndRequest(t)
	csr, key := newKubernetesCSR(t)
	env.Create(t, keySecret(t, sandbox, csr.Annotations[keyAnnotation], key))
	return func() {
		env.Get(t, csr)
		expect.True(t, len(csr.Status.Certificate) == 0 && len(csr.Status.Conditions) <= 1,
			"something was written: %+v", csr.Status)
	}
}

// TestReviewsForbidden expects that without the permissions of metrics-tls, no client can read metrics.
func TestReviewsForbidden(t *testing.T) {
	for _, cut := range []string{"none", "subjectaccessreviews", "tokenreviews"} {
		t.Run(cut, func(t *testing.T) {
			metrics := newAuthority(t)
			installed := start(t, metricsTLS, metrics)
			account := installed.Deployment.Spec.Template.Spec.ServiceAccountName
			token, err := env.ControlPlane.ServiceAccountToken(t.Context(), ownHome, account, time.Hour)
			expect.NoError(t, err)
			review := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "selfsigned-issuer-metrics-review"}}
			env.Change(t, review, func() {
				review.Rules = slices.DeleteFunc(review.Rules, func(rule rbacv1.PolicyRule) bool { return rule.Resources[0] == cut })
			})
			want, logged := http.StatusInternalServerError, cut+".auth"
			if cut == "none" {
				want, logged = http.StatusForbidden, ""
			}
			env.Eventually(t, "metrics without the permission to create "+cut, func(ctx context.Context) error {
				status, _, err := scrape(ctx, metrics.client(), token)
				if log := env.Issuer.Tail(10); status != want || !strings.Contains(log, logged) {
					return fmt.Errorf("status %d (%s), log:\n%s", status, fmt.Sprint(err), log)
				}
				return nil
			})
		})
	}
}
