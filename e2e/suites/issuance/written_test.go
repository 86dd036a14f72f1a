// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

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
	if got := writtenFields(t, object); !slices.Equal(got, want) {
		t.Errorf("selfsigned-issuer has written %q, want %q", got, want)
	}
	conditions := []string{"Approved"}
	for _, field := range want {
		if condition, ok := strings.CutPrefix(field, "conditions "); ok {
			conditions = append(conditions, condition)
		}
	}
	if got := conditionTypes(object); !slices.Equal(got, conditions) {
		t.Errorf("the conditions are %q, want %q", got, conditions)
	}
}

// writtenFields returns the fields of selfsigned-issuer in managedFields.
func writtenFields(t *testing.T, object client.Object) []string {
	t.Helper()
	var written []string
	for _, entry := range object.GetManagedFields() {
		if entry.Manager != selfsigned.GroupName {
			continue
		}
		var fields struct {
			Status map[string]json.RawMessage `json:"f:status"`
		}
		decoder := json.NewDecoder(entry.FieldsV1.GetRawReader())
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&fields); err != nil || entry.Subresource != "status" {
			t.Errorf("selfsigned-issuer has written to %q: %s", entry.Subresource, entry.FieldsV1.GetRawString())
		}
		for name, value := range fields.Status {
			written = append(written, expand(t, strings.TrimPrefix(name, "f:"), value)...)
		}
	}
	slices.Sort(written)
	return written
}

// expand returns the name of a field, or a name for each condition.
func expand(t *testing.T, name string, value json.RawMessage) []string {
	t.Helper()
	if name != "conditions" {
		return []string{name}
	}
	var list map[string]json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for key := range list {
		var id struct{ Type string }
		if err := json.Unmarshal([]byte(strings.TrimPrefix(key, "k:")), &id); err == nil {
			names = append(names, name+" "+id.Type)
		}
	}
	return names
}

func conditionTypes(object client.Object) []string {
	var types []string
	switch request := object.(type) {
	case *cmapi.CertificateRequest:
		for _, condition := range request.Status.Conditions {
			types = append(types, string(condition.Type))
		}
	case *certificatesv1.CertificateSigningRequest:
		for _, condition := range request.Status.Conditions {
			types = append(types, string(condition.Type))
		}
	}
	slices.Sort(types)
	return types
}

// awaitPending waits for a condition and an event of a pending CertificateRequest, and checks that
// nothing else was written.
func awaitPending(t *testing.T, request *cmapi.CertificateRequest, eventType, event string, mentions ...string) {
	t.Helper()
	awaitOutcome(t, request, cmmeta.ConditionFalse, cmapi.CertificateRequestReasonPending, eventType, event, mentions...)
	checkWrites(t, request, writesPending)
	checkEvents(t, request, event)
}

// checkLogsNoError expects no logged errors about a namespace.
func checkLogsNoError(t *testing.T, namespace string) {
	t.Helper()
	for _, line := range loggedErrors(t, namespace) {
		t.Errorf("logged as an error: %s", line)
	}
}

// isError is in each log line of an error.
const isError = `"level":"ERROR"`

// loggedErrors returns the logged errors about a namespace.
func loggedErrors(t *testing.T, namespace string) []string {
	t.Helper()
	return loggedLines(t, env.Issuer.LogPath(), namespace, isError)
}

// loggedLines returns the lines of a log that contain all parts.
func loggedLines(t *testing.T, path string, parts ...string) (lines []string) {
	t.Helper()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(log), "\n") {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			lines = append(lines, line)
		}
	}
	return lines
}
