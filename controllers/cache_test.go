// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// large is a string that makes an object large.
var large = bytes.Repeat([]byte("x"), 8<<10)

// strip returns an object as a reader of the cache gets it.
func strip[T client.Object](t *testing.T, object T) T {
	t.Helper()
	stripped, err := stripUnusedFields(object)
	if err != nil {
		t.Fatal(err)
	}
	return stripped.(client.Object).DeepCopyObject().(T)
}

const uid = "0e7c3d0a-7f9c-4a36-8d5e-4b8f5f0a3c11"

// decorate adds unused metadata.
func decorate(o client.Object) {
	annotations := map[string]string{"example.com/large": string(large)}
	maps.Copy(annotations, o.GetAnnotations())
	o.SetAnnotations(annotations)
	o.SetLabels(map[string]string{"example.com/large": string(large)})
	o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "somebody"}})
	o.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Certificate", Name: string(large)}})
	o.SetResourceVersion("7")
}

func ecdsaKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestStripKeepsTheDecision: the dropped fields do not change how a request is handled.
func TestStripKeepsTheDecision(t *testing.T) {
	t.Parallel()
	key := ecdsaKey(t)
	condition := func(conditionType cmapi.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason, message string) func(*cmapi.CertificateRequest) {
		return func(r *cmapi.CertificateRequest) {
			now := metav1.NewTime(time.Now())
			r.Status.Conditions = append(r.Status.Conditions, cmapi.CertificateRequestCondition{
				Type: conditionType, Status: status, Reason: reason, Message: message, LastTransitionTime: &now,
			})
		}
	}
	for name, change := range map[string]func(*cmapi.CertificateRequest){
		"approved":            func(*cmapi.CertificateRequest) {},
		"not approved":        func(r *cmapi.CertificateRequest) { r.Status.Conditions = nil },
		"pending":             condition("Ready", "False", "Pending", "Waiting for a Secret."),
		"denied, not written": condition("Denied", "True", "Policy", string(large)),
		"not invalid":         condition("InvalidRequest", "False", "Webhook", string(large)),
		"unknown condition":   condition("Other", "True", "Other", string(large)),
		"issued":              condition("Ready", "True", "Issued", string(large)),
		"failed":              condition("Ready", "False", "Failed", string(large)),
		"denied":              condition("Ready", "False", "Denied", string(large)),
		"invalid":             condition("InvalidRequest", "True", "Webhook", string(large)),
		"only a certificate":  func(r *cmapi.CertificateRequest) { r.Status.Certificate = large },
		"foreign issuer":      func(r *cmapi.CertificateRequest) { r.Spec.IssuerRef.Group = "example.com" },
		"unknown kind":        func(r *cmapi.CertificateRequest) { r.Spec.IssuerRef.Kind = "Issuer" },
		"large request":       func(r *cmapi.CertificateRequest) { r.Spec.Request = large },
		"many usages":         func(r *cmapi.CertificateRequest) { r.Spec.Usages = make([]cmapi.KeyUsage, 1000) },
		"no Secret":           func(r *cmapi.CertificateRequest) { r.Annotations = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := approvedRequest(t, key, time.Now())
			request.Annotations[cmapi.CertificateNameKey] = "example"
			request.UID = uid
			change(request)
			decorate(request)
			before := certificateRequest{request.DeepCopy()}
			after := certificateRequest{strip(t, request)}
			checkSameDecision(t, before, after)
			_, ours := before.issuer()
			if ours && !before.finished() && (before.readyMessage() != after.readyMessage() || !before.waitingSince().Equal(after.waitingSince())) {
				t.Errorf("%q since %s, want %q since %s", after.readyMessage(), after.waitingSince(), before.readyMessage(), before.waitingSince())
			}
			if ours && !before.finished() && before.fromCertificate() != after.fromCertificate() {
				t.Error("it is no longer known that the request is for a Certificate")
			}
			if ours && waiting(before) && !after.partial() && !reflect.DeepEqual(certificateDetails(t, before), certificateDetails(t, after)) {
				t.Errorf("the spec is %+v", after.cr.Spec)
			}
			if ours && (name == "large request" || name == "many usages") != after.partial() {
				t.Errorf("partial: %t", after.partial())
			}
			again := strip(t, after.cr.DeepCopy())
			if !reflect.DeepEqual(again, after.cr) {
				t.Errorf("stripped again it is %+v, want %+v", again, after.cr)
			}
		})
	}
}

func checkSameDecision(t *testing.T, before, after request) {
	t.Helper()
	if before.finished() != after.finished() {
		t.Fatalf("finished: %t, want %t", after.finished(), before.finished())
	}
	wantRef, wantOurs := before.issuer()
	ref, ours := after.issuer()
	was, is := before.object(), after.object()
	if client.ObjectKeyFromObject(was) != client.ObjectKeyFromObject(is) || ours != wantOurs || ours && was.GetUID() != is.GetUID() {
		t.Errorf("the identity is %s %s, ours: %t", client.ObjectKeyFromObject(is), is.GetUID(), ours)
	}
	if !wantOurs || before.finished() {
		return
	}
	if ref != wantRef || is.GetResourceVersion() != "7" {
		t.Errorf("version %s for %v, want %v", is.GetResourceVersion(), ref, wantRef)
	}
	if before.approved() != after.approved() || before.denied() != after.denied() || before.denialRecorded() != after.denialRecorded() {
		t.Errorf("approved: %t, denied: %t, %t", after.approved(), after.denied(), after.denialRecorded())
	}
	if after.keySecret() != before.keySecret() {
		t.Errorf("the Secret is %s, want %s", after.keySecret(), before.keySecret())
	}
	if len(was.GetOwnerReferences()) != len(is.GetOwnerReferences()) {
		t.Error("whether it has an owner is not known")
	}
}

func certificateDetails(t *testing.T, r request) any {
	t.Helper()
	details, err := r.details().GetCertificateDetails()
	if err != nil {
		t.Fatal(err)
	}
	return details
}

func TestStripCSR(t *testing.T) {
	t.Parallel()
	approval := certificatesv1.CertificateSigningRequestCondition{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(time.Now())}
	model := func() *certificatesv1.CertificateSigningRequest {
		csr := &certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "csr", UID: uid, Annotations: map[string]string{
				"experimental.cert-manager.io/private-key-secret-name": "key",
				"experimental.cert-manager.io/request-is-ca":           "true",
				"experimental.cert-manager.io/request-duration":        "2h",
			}},
			Spec: certificatesv1.CertificateSigningRequestSpec{
				SignerName: "selfsignedissuers.selfsigned.cert-manager.io/sandbox.issuer", Request: large[:1<<10], Username: "jane",
				Groups: []string{"team"}, Extra: map[string]certificatesv1.ExtraValue{"scope": {"a"}}, Usages: []certificatesv1.KeyUsage{"server auth"},
			},
			Status: certificatesv1.CertificateSigningRequestStatus{Conditions: []certificatesv1.CertificateSigningRequestCondition{approval}},
		}
		decorate(csr)
		return csr
	}
	for name, change := range map[string]func(*certificatesv1.CertificateSigningRequest){
		"approved":      func(*certificatesv1.CertificateSigningRequest) {},
		"not approved":  func(c *certificatesv1.CertificateSigningRequest) { c.Status.Conditions = nil },
		"denied":        func(c *certificatesv1.CertificateSigningRequest) { c.Status.Conditions[0].Type = "Denied" },
		"failed":        func(c *certificatesv1.CertificateSigningRequest) { c.Status.Conditions[0].Type = "Failed" },
		"signed":        func(c *certificatesv1.CertificateSigningRequest) { c.Status.Certificate = large },
		"foreign":       func(c *certificatesv1.CertificateSigningRequest) { c.Spec.SignerName = "example.com/signer" },
		"large request": func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Request = large },
		"many groups":   func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Groups = make([]string, 8<<10) },
		"long duration": func(c *certificatesv1.CertificateSigningRequest) {
			c.Annotations["experimental.cert-manager.io/request-duration"] = strings.Repeat("1h", 8<<10)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			csr := model()
			change(csr)
			before := certificateSigningRequest{csr.DeepCopy(), "cluster-resources"}
			after := certificateSigningRequest{strip(t, csr), "cluster-resources"}
			checkSameDecision(t, before, after)
			if partial := name == "large request" || name == "many groups" || name == "long duration"; after.partial() != partial {
				t.Errorf("partial: %t, want %t", after.partial(), partial)
			}
			if name == "approved" && (!reflect.DeepEqual(after.csr.Spec, before.csr.Spec) || !reflect.DeepEqual(certificateDetails(t, after), certificateDetails(t, before))) {
				t.Errorf("the spec is %+v", after.csr.Spec)
			}
		})
	}
}

// TestStripKeepsMessages: an invalid name is truncated, and its message is the same.
func TestStripKeepsMessages(t *testing.T) {
	t.Parallel()
	key := ecdsaKey(t)
	for _, name := range []string{
		strings.Repeat("a", 253), strings.Repeat("a", 254), strings.Repeat("a", 400), strings.Repeat("ä", 200), strings.Repeat("ä%", 100<<10),
		strings.Repeat("\u2028", 10<<10), strings.Repeat("\U0001f512", 10<<10), strings.Repeat("\U000e0001", 10<<10), " " + strings.Repeat(".", 1000),
	} {
		request := approvedRequest(t, key, time.Now())
		request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey], request.Spec.IssuerRef.Name = name, name
		decorate(request)
		before, after := certificateRequest{request.DeepCopy()}, certificateRequest{strip(t, request)}
		if got, want := after.keySecret().Name, before.keySecret().Name; len(want) <= 253 && got != want || len(got) > 410 {
			t.Errorf("%d bytes of the Secret's name are kept", len(got))
		}
		for _, s := range []Reason{ReasonSecretNotFound, ReasonIssuerNotFound} {
			if got, want := messageAbout(after, s), messageAbout(before, s); got != want {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
		}
	}
}

func messageAbout(r certificateRequest, s Reason) string {
	a := &attempt{request: r, requestReconciler: &requestReconciler{kind: certificateRequests()}}
	a.decide(&decision{reason: s})
	return a.decision.message
}

// TestCachedSizes measures the memory of requests in the cache. The API server does not accept
// larger objects than these.
func TestCachedSizes(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	hostile := func(i int) *cmapi.CertificateRequest {
		request := approvedRequest(t, key, time.Now())
		request.Name = fmt.Sprintf("request-%d", i)
		request.Annotations["example.com/large"] = strings.Repeat("a", 100<<10)
		request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = strings.Repeat("b", 150<<10)
		request.Spec.IssuerRef.Name = strings.Repeat(fmt.Sprint(i%10), 100<<10)
		request.Labels = map[string]string{}
		for k := range 10 {
			request.Labels[fmt.Sprintf("%d-%d.example.com/large", i, k)] = strings.Repeat("v", 100<<10)
		}
		return request
	}
	for name, test := range map[string]struct {
		object func(i int) *cmapi.CertificateRequest
		limit  int64
	}{
		"not approved": {func(i int) *cmapi.CertificateRequest {
			request := hostile(i)
			request.Status = cmapi.CertificateRequestStatus{}
			return request
		}, 4 << 10},
		"approved": {hostile, 8 << 10},
		"approved, large request": {func(i int) *cmapi.CertificateRequest {
			request := hostile(i)
			request.Spec.Request = bytes.Repeat([]byte("x"), 36<<10)
			return request
		}, 4 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 100
			kept := make([]client.Object, n)
			before := heap()
			for i := range kept {
				kept[i] = strip(t, test.object(i))
			}
			size := (heap() - before) / n
			t.Logf("%d bytes", size)
			if size > test.limit {
				t.Errorf("%d bytes are kept of a request, want at most %d", size, test.limit)
			}
			runtime.KeepAlive(kept)
		})
	}
}

// TestOwnMessagesAreCachedWhole: a truncated message in the cache would be written again.
func TestOwnMessagesAreCachedWhole(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", maxArg)
	for s := range outcomes {
		words := messageArgs{}
		for _, word := range []string{"kind", "annotation", "secret", "issuer", "reference", "grace", "minimum", "user", "overlay", "role", "detail"} {
			words[word] = longest
		}
		if message := words.message(s); len(message) > maxCachedMessage {
			t.Errorf("%s: %d bytes", s, len(message))
		}
	}
}

func TestStripSecretAndIssuer(t *testing.T) {
	t.Parallel()
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "key"}}
	decorate(secret)
	want := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "key", ResourceVersion: "7"}}
	if got := strip(t, secret); !reflect.DeepEqual(got, want) {
		t.Errorf("a Secret: %+v", got)
	}
	issuer, stripped := readyIssuer(), readyIssuer()
	decorate(issuer)
	stripped.ResourceVersion = "7"
	if got := strip(t, issuer); !reflect.DeepEqual(got, stripped) {
		t.Errorf("an issuer: %+v", got)
	}
}
