// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	experimental "github.com/cert-manager/cert-manager/pkg/apis/experimental/v1alpha1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
	"github.com/cert-manager/selfsigned-issuer/internal/docgen"
)

// messageCase causes an outcome of a request.
type messageCase struct {
	name    string
	server  interceptor.Funcs // the API server's behavior
	arrange func(*testing.T, *fixture)
	csr     bool // a Kubernetes CSR instead of a CertificateRequest
}

var (
	errEtcdDown = apierrors.NewServiceUnavailable("etcd is down")
	errNoGet    = apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "key", errors.New("no permission"))
)

var (
	subject         = pkix.Name{CommonName: "example.com"}
	withoutSubject  = pkcs10(x509.CertificateRequest{})
	isCA            = requestWith(func(r *cmapi.CertificateRequest) { r.Spec.IsCA = true })
	fromCertificate = requestWith(func(r *cmapi.CertificateRequest) { r.Annotations[cmapi.CertificateNameKey] = "example" })
	toAnotherIssuer = requestWith(func(r *cmapi.CertificateRequest) { r.Spec.IssuerRef.Name = "later" })
	namespaced      = func(_ *testing.T, f *fixture) { f.reconciler.namespaced = true }
)

var messageCases = []messageCase{
	{name: "signed"},
	{name: "signed, empty subject", arrange: withoutSubject},
	{name: "signed, backdate reduced", arrange: issuerWith(func(i *selfsigned.SelfSignedIssuer) {
		i.Spec.Backdate = &metav1.Duration{Duration: 24 * time.Hour}
	})},
	{name: "signed, another algorithm", arrange: inOrder(fromCertificate,
		pkcs10(x509.CertificateRequest{Subject: subject, SignatureAlgorithm: x509.ECDSAWithSHA384}))},
	{name: "signed, path length ignored", arrange: inOrder(isCA, pkcs10(x509.CertificateRequest{Subject: subject, ExtraExtensions: []pkix.Extension{
		{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x02}}, // 2
	}}))},

	{name: "denied", arrange: func(t *testing.T, f *fixture) {
		request := f.request(t)
		request.Status.Conditions[0].Type = cmapi.CertificateRequestConditionDenied
		if err := f.client.Status().Update(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "no annotation", arrange: requestWith(func(r *cmapi.CertificateRequest) { r.Annotations = nil })},
	{name: "malformed request", arrange: requestWith(func(r *cmapi.CertificateRequest) { r.Spec.Request = []byte("text") })},
	{name: "empty subject rejected", arrange: inOrder(withoutSubject,
		issuerWith(func(i *selfsigned.SelfSignedIssuer) { i.Spec.EmptySubject = selfsigned.EmptySubjectReject }))},

	{name: "no Secret", arrange: secretData(nil)},
	{name: "no Secret for a restored request", arrange: inOrder(secretData(nil), fromCertificate)},
	{name: "no key in the Secret", arrange: secretData(map[string][]byte{"other": nil})},
	{name: "unusable key", arrange: secretData(map[string][]byte{"tls.key": []byte("text")})},
	{name: "another key", arrange: anotherKey},
	{name: "another key for the grace period", arrange: func(t *testing.T, f *fixture) {
		anotherKey(t, f)
		now := f.reconciler.clock.Now()
		f.reconciler.clock = clocktesting.NewFakePassiveClock(now.Add(-time.Minute))
		if _, err := f.reconcile(); err != nil {
			t.Fatal(err)
		}
		f.reconciler.clock = clocktesting.NewFakePassiveClock(now)
	}},
	{name: "Secret forbidden", server: noSecret(errNoGet)},
	{name: "Secret forbidden, --namespaces", server: noSecret(errNoGet), arrange: namespaced},
	{name: "Secret not read", server: noSecret(errEtcdDown)},
	{name: "large request not read", arrange: func(t *testing.T, f *fixture) {
		*f = newLargeFixture(t, func(*cmapi.CertificateRequestList) error { return errEtcdDown })
	}},

	{name: "no issuer", server: listed(nil), arrange: toAnotherIssuer},
	{name: "issuer not read", server: listed(errEtcdDown), arrange: toAnotherIssuer},
	{name: "new issuer", arrange: issuerWith(func(i *selfsigned.SelfSignedIssuer) { i.Status.Conditions = nil })},
	{name: "changed issuer", arrange: issuerWith(func(i *selfsigned.SelfSignedIssuer) { i.Generation = 2 })},
	{name: "issuer not Ready", arrange: issuerWith(func(i *selfsigned.SelfSignedIssuer) {
		i.Status.Conditions[0].Status, i.Status.Conditions[0].Message = metav1.ConditionFalse, "Failed permanently: spec.backdate: Invalid value."
	})},
	{name: "cluster issuer, --namespaces", arrange: inOrder(namespaced,
		requestWith(func(r *cmapi.CertificateRequest) { r.Spec.IssuerRef.Kind = request.ClusterIssuerKind }))},

	{name: "CSR signed", csr: true, server: reviewed(true, nil)},
	{name: "CSR without Secret", csr: true, server: reviewed(true, nil), arrange: secretData(nil)},
	{name: "CSR without annotation", csr: true, server: reviewed(true, nil), arrange: csrWith(func(csr *certificatesv1.CertificateSigningRequest) { csr.Annotations = nil })},
	{name: "CSR for a short time", csr: true, server: reviewed(true, nil), arrange: csrWith(func(csr *certificatesv1.CertificateSigningRequest) { csr.Spec.ExpirationSeconds = new(int32(599)) })},
	{name: "CSR of a user without permission", csr: true, server: reviewed(false, nil)},
	{name: "CSR not reviewed", csr: true, server: reviewed(false, errEtcdDown)},
}

// hintCases cause events about requests that are not processed.
var hintCases = []struct {
	name   string
	kind   request.Kind
	object client.Object
}{
	{"not approved", request.CertificateRequests(), hintableRequest(time.Minute, request.IssuerKind)},
	{"unknown kind of issuer", request.CertificateRequests(), hintableRequest(time.Minute, "Issuer")},
	{"CSR not approved", request.CertificateSigningRequests("cert-manager", request.AccessReviewer{}), hintableCSR("clusterselfsignedissuers.selfsigned.cert-manager.io/issuer")},
	{"CSR with an unknown signer", request.CertificateSigningRequests("cert-manager", request.AccessReviewer{}), hintableCSR("selfsignedissuers.selfsigned.cert-manager.io/issuer")},
}

// TestGeneratedMessages causes each outcome, and compares conditions and events word by word with
// testdata/messages.txt. No other test repeats a message.
func TestGeneratedMessages(t *testing.T) {
	var text strings.Builder
	reported := map[string]bool{}
	add := func(name string, lines ...string) {
		fmt.Fprintf(&text, "%s\n", name)
		for _, line := range lines {
			fmt.Fprintf(&text, "  %s\n", line)
			reported[strings.Fields(line)[1]] = true
		}
	}
	for _, c := range messageCases {
		add(c.name, c.messages(t)...)
	}
	for _, c := range hintCases {
		h, recorder := newHinter(t, c.kind, c.object)
		if _, err := h.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(c.object)}); err != nil {
			t.Error(err)
		}
		add(c.name, sent(recorder)...)
	}
	docgen.File(t, "testdata/messages.txt", text.String())
	for _, reason := range allReasons() {
		if !reported[reason] {
			t.Errorf("no case causes %s", reason)
		}
	}
}

// messages returns the Ready condition and the events that a request gets.
func (c messageCase) messages(t *testing.T) []string {
	t.Helper()
	f, key := newFixture(t, c.server), requestKey
	if c.csr {
		key.Namespace = ""
		f.serveCSRs(t)
	}
	if c.arrange != nil {
		c.arrange(t, &f)
	}
	// In some cases, the API server returns an error.
	_, _ = f.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	events := sent(f.recorder)
	if c.csr {
		return events
	}
	ready := f.ready(t)
	if ready.Reason == cmapi.CertificateRequestReasonDenied { // without an event
		return []string{"Ready=False Denied " + ready.Message}
	}
	if !slices.ContainsFunc(events, func(event string) bool { return strings.HasSuffix(event, " "+ready.Message) }) {
		t.Errorf("%s: the condition is %q, unlike the events %q", c.name, ready.Message, events)
	}
	return append([]string{fmt.Sprintf("Ready=%s %s", ready.Status, ready.Reason)}, events...)
}

// sent returns the recorded events.
func sent(recorder *events.FakeRecorder) []string {
	var sent []string
	for len(recorder.Events) > 0 {
		sent = append(sent, <-recorder.Events)
	}
	return sent
}

// allReasons returns the reasons of all events and of the Denied condition.
func allReasons() []string {
	reasons := slices.Collect(maps.Keys(outcome.Warnings))
	for reason := range outcome.Table {
		reasons = append(reasons, string(reason))
	}
	for _, hint := range []outcome.Hint{outcome.ApprovalHint, outcome.CSRApprovalHint, outcome.KindHint, outcome.SignerNameHint} {
		reasons = append(reasons, string(hint.Reason))
	}
	return reasons
}

// serveCSRs replaces the CertificateRequest by a Kubernetes CSR of the same name.
func (f fixture) serveCSRs(t *testing.T) {
	t.Helper()
	f.reconciler.kind = request.CertificateSigningRequests("cert-manager", request.AccessReviewer{Client: f.client})
	csr := hintableCSR("selfsignedissuers.selfsigned.cert-manager.io/sandbox.issuer")
	csr.Name, csr.Spec.Request, csr.Spec.Username = requestKey.Name, f.request(t).Spec.Request, "jane"
	csr.Spec.Usages = []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature}
	csr.Annotations = map[string]string{experimental.CertificateSigningRequestPrivateKeyAnnotationKey: "key"}
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue}}
	if err := f.client.Create(t.Context(), csr); err != nil {
		t.Fatal(err)
	}
}

// reviewed is an API server that reviews accesses and accepts each status.
func reviewed(allowed bool, err error) interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			review, ok := object.(*authorizationv1.SubjectAccessReview)
			if !ok {
				return c.Create(ctx, object, options...)
			}
			review.Status.Allowed = allowed
			return err
		},
		SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return nil
		},
	}
}

// noSecret is an API server that refuses reads of Secrets with an error.
func noSecret(failure error) interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if _, isSecret := object.(*corev1.Secret); isSecret {
				return failure
			}
			return c.Get(ctx, key, object, options...)
		},
	}
}

// listed is an API server that returns empty lists or an error.
func listed(failure error) interceptor.Funcs {
	return interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return failure },
	}
}

func requestWith(change func(*cmapi.CertificateRequest)) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) { f.changeRequest(t, change) }
}

func csrWith(change func(*certificatesv1.CertificateSigningRequest)) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		csr := &certificatesv1.CertificateSigningRequest{}
		if err := f.client.Get(t.Context(), client.ObjectKey{Name: requestKey.Name}, csr); err != nil {
			t.Fatal(err)
		}
		change(csr)
		if err := f.client.Update(t.Context(), csr); err != nil {
			t.Fatal(err)
		}
	}
}

func issuerWith(change func(*selfsigned.SelfSignedIssuer)) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		var issuer selfsigned.SelfSignedIssuer
		if err := f.client.Get(t.Context(), issuerKey, &issuer); err != nil {
			t.Fatal(err)
		}
		change(&issuer)
		if err := f.client.Update(t.Context(), &issuer); err != nil {
			t.Fatal(err)
		}
	}
}

// pkcs10 replaces spec.request.
func pkcs10(template x509.CertificateRequest) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		der, err := x509.CreateCertificateRequest(rand.Reader, &template, f.key(t))
		if err != nil {
			t.Fatal(err)
		}
		f.changeRequest(t, func(r *cmapi.CertificateRequest) {
			r.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
		})
	}
}

func secretData(data map[string][]byte) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) { f.setSecret(t, data) }
}

func anotherKey(t *testing.T, f *fixture) { f.setSecret(t, secretWith(t, testsupport.Key(t)).Data) }

func inOrder(steps ...func(*testing.T, *fixture)) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		for _, step := range steps {
			step(t, f)
		}
	}
}
