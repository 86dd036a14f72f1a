// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

func ready(request *cmapi.CertificateRequest) cmapi.CertificateRequestCondition {
	condition := cmutil.GetCertificateRequestCondition(request, cmapi.CertificateRequestConditionReady)
	return *cmp.Or(condition, &cmapi.CertificateRequestCondition{})
}

// awaitReady waits until the Ready condition has this reason, its message contains the mentions, and
// it is true only if the request is Issued. The complete messages are in
// controllers/testdata/messages.txt.
func awaitReady(t *testing.T, request *cmapi.CertificateRequest, reason string, mentions ...string) {
	t.Helper()
	status := cmmeta.ConditionFalse
	if reason == cmapi.CertificateRequestReasonIssued {
		status = cmmeta.ConditionTrue
	}
	env.Await(t, fmt.Sprintf("Ready %s %s that mentions %q", status, reason, mentions), request, func() bool {
		got := ready(request)
		return got.Status == status && got.Reason == reason && mentionsAll(got.Message, mentions)
	})
}

// awaitEvent waits for an event about an object whose note contains the mentions, and returns the
// note. An empty type is any type.
func awaitEvent(t *testing.T, about client.Object, eventType, reason string, mentions ...string) (note string) {
	t.Helper()
	env.Eventually(t, "event "+reason+" of "+about.GetName(), func(context.Context) error {
		seen := ""
		for _, event := range eventsOf(t, about) {
			if event.Type == cmp.Or(eventType, event.Type) && event.Reason == reason && mentionsAll(event.Note, mentions) {
				note = event.Note
				return nil
			}
			seen += fmt.Sprintf("\n got %s %s: %s", event.Type, event.Reason, event.Note)
		}
		return fmt.Errorf("%s\nwant %s %s that mentions %q", seen, eventType, reason, mentions)
	})
	return note
}

// awaitEventReason waits for an event with a reason, any type and any note.
func awaitEventReason(t *testing.T, about client.Object, reason string) {
	t.Helper()
	awaitEvent(t, about, "", reason)
}

// awaitOutcome waits for an event, and for a Ready condition with the same message.
func awaitOutcome(
	t *testing.T, request *cmapi.CertificateRequest, reason, eventType, event string, mentions ...string,
) {
	t.Helper()
	note := awaitEvent(t, request, eventType, event, mentions...)
	awaitReady(t, request, reason, note)
	expect.Equal(t, "condition and event", note, ready(request).Message)
}

// awaitPending waits for a condition and an event of a pending CertificateRequest, and checks that
// nothing else was written.
func awaitPending(t *testing.T, request *cmapi.CertificateRequest, eventType, event string, mentions ...string) {
	t.Helper()
	awaitOutcome(t, request, cmapi.CertificateRequestReasonPending, eventType, event, mentions...)
	checkWrites(t, request, writesPending)
	checkEvents(t, request, event)
}

func mentionsAll(text string, mentions []string) bool {
	return !slices.ContainsFunc(mentions, func(mention string) bool { return !strings.Contains(text, mention) })
}

func eventsOf(t *testing.T, about client.Object) []eventsv1.Event {
	t.Helper()
	var list eventsv1.EventList
	env.List(t, &list, client.InNamespace(cmp.Or(about.GetNamespace(), metav1.NamespaceDefault)))
	return slices.DeleteFunc(list.Items, func(event eventsv1.Event) bool {
		return event.Regarding.UID != about.GetUID() || event.ReportingController != selfsigned.GroupName
	})
}

// checkEvents expects exactly these events, once each. They can be later than the status.
func checkEvents(t *testing.T, request client.Object, reasons ...string) {
	t.Helper()
	for _, reason := range reasons {
		awaitEventReason(t, request, reason)
	}
	count := map[string]int{}
	for _, event := range eventsOf(t, request) {
		count[event.Reason]++
		expect.True(t, event.Series == nil, "event %s was sent again: %v", event.Reason, event.Series)
	}
	for _, reason := range reasons {
		expect.True(t, count[reason] == 1, "event %s was sent %d times, want once", reason, count[reason])
		delete(count, reason)
	}
	for reason := range count {
		// Approval can take long on a slow machine.
		expect.True(t, reason == "IssuerNotChecked" || reason == "WaitingForApproval", "unexpected event %s", reason)
	}
}

// awaitFailed waits for the failure, whose event has these mentions, and checks the status, the
// events and the written fields. There are no other events than its own and the earlier ones.
func awaitFailed(t *testing.T, request *cmapi.CertificateRequest, event string, mentions []string, earlier ...string) {
	t.Helper()
	awaitOutcome(t, request, cmapi.CertificateRequestReasonFailed, corev1.EventTypeWarning, event, mentions...)
	checkFailed(t, request)
	checkEvents(t, request, append(earlier, event)...)
}

func checkFailed(t *testing.T, request *cmapi.CertificateRequest) {
	t.Helper()
	expect.True(t, request.Status.FailureTime != nil, "a failed request has no failure time")
	expect.True(t, len(request.Status.Certificate) == 0, "a failed request has a certificate")
	expect.Equal(t, "written fields", writesFailed, writtenFields(t, request))
}

// checkIssued waits for the certificate and checks its fields, event and written fields.
func checkIssued(t *testing.T, request *cmapi.CertificateRequest) *x509.Certificate {
	t.Helper()
	awaitOutcome(t, request, cmapi.CertificateRequestReasonIssued, corev1.EventTypeNormal, "CertificateIssued",
		"Secret "+request.Namespace+"/key")
	certificate := mustParse(t, request.Status.Certificate)
	expect.True(t, certificate.Subject.String() == "CN=example.com" && certificate.DNSNames[0] == "example.com",
		"the certificate is for %s, %s", certificate.Subject, certificate.DNSNames)
	expect.True(t, string(request.Status.CA) == string(request.Status.Certificate),
		"status.ca is not the certificate itself")
	checkWrites(t, request, writesIssued)
	return certificate
}

func checkNotWritten(t *testing.T, object client.Object) {
	t.Helper()
	before := object.GetResourceVersion()
	env.Get(t, object)
	expect.True(t, object.GetResourceVersion() == before,
		"%s was written, by selfsigned-issuer the fields %q", object.GetName(), writtenFields(t, object))
}

// mustParse parses a certificate and checks that it is self-signed.
func mustParse(t *testing.T, bundle []byte) *x509.Certificate {
	t.Helper()
	c, err := certtext.Parse(bundle)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, bundle)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		t.Fatalf("the certificate is not self-signed: %v", err)
	}
	return c
}

// The written fields of a request, by state.
var (
	writesNothing []string
	writesPending = []string{"conditions Ready"}
	writesFailed  = []string{"conditions Ready", "failureTime"}
	writesIssued  = []string{"ca", "certificate", "conditions Ready"}
	writesCSR     = []string{"certificate"}
)

// checkWrites checks that selfsigned-issuer has written exactly these fields of the status, and
// that the conditions are these and the approver's.
func checkWrites(t *testing.T, object client.Object, want []string) {
	t.Helper()
	env.Get(t, object)
	expect.Equal(t, "written fields", want, writtenFields(t, object))
	conditions := []string{"Approved"}
	for _, field := range want {
		if condition, ok := strings.CutPrefix(field, "conditions "); ok {
			conditions = append(conditions, condition)
		}
	}
	expect.Equal(t, "conditions", conditions, conditionTypes(object))
}

// writtenFields returns the fields of selfsigned-issuer in managedFields, with a name for each
// condition.
func writtenFields(t *testing.T, object client.Object) []string {
	t.Helper()
	var written []string
	for _, entry := range object.GetManagedFields() {
		if entry.Manager != selfsigned.GroupName {
			continue
		}
		var fields struct {
			Status map[string]map[string]json.RawMessage `json:"f:status"`
		}
		decoder := json.NewDecoder(entry.FieldsV1.GetRawReader())
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&fields); err != nil || entry.Subresource != "status" {
			t.Errorf("selfsigned-issuer has written to %q: %s", entry.Subresource, entry.FieldsV1.GetRawString())
		}
		for field, keys := range fields.Status {
			name := strings.TrimPrefix(field, "f:")
			if name != "conditions" {
				written = append(written, name)
			}
			for key := range keys {
				var id struct{ Type string }
				if json.Unmarshal([]byte(strings.TrimPrefix(key, "k:")), &id) == nil {
					written = append(written, name+" "+id.Type)
				}
			}
		}
	}
	slices.Sort(written)
	return written
}

func conditionTypes(object client.Object) []string {
	var types []string
	switch request := object.(type) {
	case *cmapi.CertificateRequest:
		for _, condition := range request.Status.Conditions {
			types = append(types, string(condition.Type))
		}
	case *CSR:
		for _, condition := range request.Status.Conditions {
			types = append(types, string(condition.Type))
		}
	}
	slices.Sort(types)
	return types
}

func checkLogsNoError(t *testing.T, namespace string) {
	t.Helper()
	for _, line := range loggedErrors(t, namespace) {
		t.Errorf("logged as an error: %s", line)
	}
}

const isError = `"level":"ERROR"`

func loggedErrors(t *testing.T, namespace string) []string {
	t.Helper()
	return loggedLines(t, env.Issuer.LogPath(), namespace, isError)
}

// loggedLines returns the lines of a log that contain all parts.
func loggedLines(t *testing.T, path string, parts ...string) (lines []string) {
	t.Helper()
	log, err := os.ReadFile(path)
	expect.NoError(t, err)
	for line := range strings.SplitSeq(string(log), "\n") {
		if mentionsAll(line, parts) {
			lines = append(lines, line)
		}
	}
	return lines
}

// Counters of controller-runtime, for CertificateRequests.
const (
	reconcileTotal  = "controller_runtime_reconcile_total{controller=\"certificaterequest."
	reconcileErrors = "controller_runtime_reconcile_errors_total{controller=\"certificaterequest."
)

// metric waits for metrics whose line starts with prefix, and returns their sum. Controllers have
// none before they start.
func metric(t *testing.T, prefix string) float64 {
	t.Helper()
	var sum float64
	env.Eventually(t, "metric "+prefix, func(ctx context.Context) error {
		status, body := issuer.Get(ctx, env.Issuer.MetricsURL+"/metrics")
		if status != http.StatusOK {
			return fmt.Errorf("/metrics answers %d: %s", status, body)
		}
		problem := errors.New("is not there")
		sum = 0
		for line := range strings.SplitSeq(body, "\n") {
			if !strings.HasPrefix(line, prefix) {
				continue
			}
			value, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
			if err != nil {
				return err
			}
			sum, problem = sum+value, nil
		}
		return problem
	})
	return sum
}

func checkErrorsSince(t *testing.T, before float64) {
	t.Helper()
	expect.Equal(t, "counted errors", 0.0, metric(t, reconcileErrors)-before)
}
