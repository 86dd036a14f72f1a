// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"bytes"
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
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// large is a string that makes an object large.
var large = bytes.Repeat([]byte("x"), 8<<10)

// stripped returns an object as a reader of the cache gets it.
func stripped[T client.Object](t *testing.T, object T) T {
	t.Helper()
	return transformed(t, object).(client.Object).DeepCopyObject().(T)
}

const uid = "0e7c3d0a-7f9c-4a36-8d5e-4b8f5f0a3c11"

// transformed returns an object as the cache keeps it.
func transformed(t *testing.T, object any) any {
	t.Helper()
	for _, transform := range []toolscache.TransformFunc{
		CertificateRequests().Transform, CertificateSigningRequests("", AccessReviewer{}).Transform, TransformSecret, TransformIssuer,
	} {
		var err error
		if object, err = transform(object); err != nil {
			t.Fatal(err)
		}
	}
	return object
}

// decorate adds unused metadata.
func decorate(o client.Object) {
	annotations := map[string]string{"example.com/large": string(large)}
	maps.Copy(annotations, o.GetAnnotations())
	o.SetAnnotations(annotations)
	o.SetLabels(map[string]string{"example.com/large": string(large[:1<<10])})
	o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "somebody"}})
	o.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Certificate", Name: string(large[:1<<10])}})
	o.SetResourceVersion("7")
}

// TestStripKeepsTheDecision: the dropped fields do not change how a request is handled.
func TestStripKeepsTheDecision(t *testing.T) {
	t.Parallel()
	key := testsupport.Key(t)
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
		"large metadata":      func(r *cmapi.CertificateRequest) { r.Finalizers = []string{string(large)} },
		"no Secret":           func(r *cmapi.CertificateRequest) { r.Annotations = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := testsupport.ApprovedRequest(t, key, time.Now())
			request.Annotations[cmapi.CertificateNameKey] = "example"
			request.UID = uid
			change(request)
			decorate(request)
			before := certificateRequest{request.DeepCopy()}
			after := certificateRequest{stripped(t, request)}
			checkSameDecision(t, before, after)
			_, ours := before.Issuer()
			if ours && !before.Finished() && (before.ReadyMessage() != after.ReadyMessage() || !before.WaitingSince().Equal(after.WaitingSince())) {
				t.Errorf("%q since %s, want %q since %s", after.ReadyMessage(), after.WaitingSince(), before.ReadyMessage(), before.WaitingSince())
			}
			if ours && !before.Finished() && before.FromCertificate() != after.FromCertificate() {
				t.Error("it is no longer known that the request is for a Certificate")
			}
			if ours && IsPending(before) && !after.Partial() && !reflect.DeepEqual(certificateDetails(t, before), certificateDetails(t, after)) {
				t.Errorf("the spec is %+v", after.cr.Spec)
			}
			if ours && (name == "large request" || name == "many usages" || name == "large metadata") != after.Partial() {
				t.Errorf("partial: %t", after.Partial())
			}
			again := stripped(t, after.cr.DeepCopy())
			if !reflect.DeepEqual(again, after.cr) {
				t.Errorf("stripped again it is %+v, want %+v", again, after.cr)
			}
		})
	}
}

func checkSameDecision(t *testing.T, before, after Request) {
	t.Helper()
	if before.Finished() != after.Finished() {
		t.Fatalf("finished: %t, want %t", after.Finished(), before.Finished())
	}
	wantRef, wantOurs := before.Issuer()
	ref, ours := after.Issuer()
	was, is := before.Object(), after.Object()
	if client.ObjectKeyFromObject(was) != client.ObjectKeyFromObject(is) || ours != wantOurs || ours && was.GetUID() != is.GetUID() {
		t.Errorf("the identity is %s %s, ours: %t", client.ObjectKeyFromObject(is), is.GetUID(), ours)
	}
	if !wantOurs || before.Finished() {
		return
	}
	if ref != wantRef || is.GetResourceVersion() != "7" {
		t.Errorf("version %s for %v, want %v", is.GetResourceVersion(), ref, wantRef)
	}
	if before.Approved() != after.Approved() || before.Denied() != after.Denied() || before.DenialRecorded() != after.DenialRecorded() {
		t.Errorf("approved: %t, denied: %t, %t", after.Approved(), after.Denied(), after.DenialRecorded())
	}
	if after.KeySecret() != before.KeySecret() {
		t.Errorf("the Secret is %s, want %s", after.KeySecret(), before.KeySecret())
	}
	if len(was.GetOwnerReferences()) != len(is.GetOwnerReferences()) {
		t.Error("whether it has an owner is not known")
	}
}

func certificateDetails(t *testing.T, r Request) any {
	t.Helper()
	details, err := r.Details().GetCertificateDetails()
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
		"approved":       func(*certificatesv1.CertificateSigningRequest) {},
		"not approved":   func(c *certificatesv1.CertificateSigningRequest) { c.Status.Conditions = nil },
		"denied":         func(c *certificatesv1.CertificateSigningRequest) { c.Status.Conditions[0].Type = "Denied" },
		"failed":         func(c *certificatesv1.CertificateSigningRequest) { c.Status.Conditions[0].Type = "Failed" },
		"signed":         func(c *certificatesv1.CertificateSigningRequest) { c.Status.Certificate = large },
		"foreign":        func(c *certificatesv1.CertificateSigningRequest) { c.Spec.SignerName = "example.com/signer" },
		"large metadata": func(c *certificatesv1.CertificateSigningRequest) { c.Finalizers = []string{string(large)} },
		"large request":  func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Request = large },
		"many groups":    func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Groups = make([]string, 8<<10) },
		"long duration": func(c *certificatesv1.CertificateSigningRequest) {
			c.Annotations["experimental.cert-manager.io/request-duration"] = strings.Repeat("1h", 8<<10)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			csr := model()
			change(csr)
			before := certificateSigningRequest{csr.DeepCopy(), "cluster-resources"}
			after := certificateSigningRequest{stripped(t, csr), "cluster-resources"}
			checkSameDecision(t, before, after)
			if partial := name == "large request" || name == "large metadata" || name == "many groups" || name == "long duration"; after.Partial() != partial {
				t.Errorf("partial: %t, want %t", after.Partial(), partial)
			}
			if name == "approved" && (!reflect.DeepEqual(after.csr.Spec, before.csr.Spec) || !reflect.DeepEqual(certificateDetails(t, after), certificateDetails(t, before))) {
				t.Errorf("the spec is %+v", after.csr.Spec)
			}
		})
	}
}

// TestCachedSizes measures the memory of requests in the cache. The API server does not accept
// larger objects than these.
func TestCachedSizes(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	hostile := func(i int) *cmapi.CertificateRequest {
		request := testsupport.ApprovedRequest(t, key, time.Now())
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
			before := testsupport.Heap()
			for i := range kept {
				kept[i] = stripped(t, test.object(i))
			}
			size := (testsupport.Heap() - before) / n
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
	longest := strings.Repeat("x", 1000) // more than is used of it
	for s := range outcome.Table {
		words := outcome.Args{}
		for _, word := range []string{"kind", "annotation", "secret", "issuer", "reference", "grace", "minimum", "user", "overlay", "role", "detail"} {
			words[word] = longest
		}
		if message := words.Message(s); len(message) > maxCachedMessage {
			t.Errorf("%s: %d bytes", s, len(message))
		}
	}
}

func TestStripSecretAndIssuer(t *testing.T) {
	t.Parallel()
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "key"}}
	decorate(secret)
	want := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "key", ResourceVersion: "7"}}
	if got := stripped(t, secret); !reflect.DeepEqual(got, want) {
		t.Errorf("a Secret: %+v", got)
	}
	issuer, wantIssuer := testsupport.ReadyIssuer(), testsupport.ReadyIssuer()
	decorate(issuer)
	wantIssuer.ResourceVersion = "7"
	if got := stripped(t, issuer); !reflect.DeepEqual(got, wantIssuer) {
		t.Errorf("an issuer: %+v", got)
	}
}
