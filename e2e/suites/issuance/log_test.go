// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// TestOneLogLineADecision checks all log lines about one request.
func TestOneLogLineADecision(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	barrier(t, namespace, key) // by then the issuer is Ready
	request := newRequest(t, namespace, key)
	request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = "late"
	env.Create(t, request)
	waiting := awaitEvent(t, request, "Normal", "MissingSecret")

	// The request is reconciled again without a change.
	empty := keySecret(namespace, "late", nil)
	env.Create(t, empty)
	noKey := awaitEvent(t, request, "Warning", "MissingPrivateKey")
	for i := range 3 {
		env.Get(t, empty)
		empty.Data = map[string][]byte{fmt.Sprint(i): nil}
		if err := env.Client.Update(t.Context(), empty); err != nil {
			t.Fatal(err)
		}
	}
	empty.Data = map[string][]byte{"tls.key": keyPEM(t, key)}
	if err := env.Client.Update(t.Context(), empty); err != nil {
		t.Fatal(err)
	}
	issued := awaitEvent(t, request, "Normal", "CertificateIssued")

	about := func(reason, message string) map[string]any {
		return map[string]any{
			"level": "INFO", "msg": message, "reason": reason,
			"kind": "CertificateRequest", "namespace": namespace, "name": request.Name, "uid": string(request.UID),
			"issuer": "SelfSignedIssuer " + namespace + "/issuer",
		}
	}
	checkLog(t, request,
		about("MissingSecret", waiting),
		about("MissingPrivateKey", noKey),
		about("CertificateIssued", issued),
	)
	issuer := &selfsigned.SelfSignedIssuer{}
	issuer.Namespace, issuer.Name = namespace, "issuer"
	env.Get(t, issuer)
	checkLog(t, issuer, map[string]any{
		"level": "INFO", "msg": "The issuer is Ready", "generation": 1.0,
		"kind": "SelfSignedIssuer", "namespace": namespace, "name": "issuer", "uid": string(issuer.UID),
	})
}

// checkLog waits for the number of lines about the object, and compares them without the time and
// the reconcileID.
func checkLog(t *testing.T, about client.Object, want ...map[string]any) {
	t.Helper()
	var got []map[string]any
	env.Eventually(t, "log of "+about.GetName(), func(context.Context) error {
		if got = logLines(t, about); len(got) < len(want) {
			return fmt.Errorf("%d lines, want %d", len(got), len(want))
		}
		return nil
	})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n %v\nwant\n %v", got, want)
	}
}

func logLines(t *testing.T, about client.Object) (lines []map[string]any) {
	t.Helper()
	file, err := os.Open(env.Issuer.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line map[string]any
		if json.Unmarshal(scanner.Bytes(), &line) != nil || line["uid"] != string(about.GetUID()) {
			continue
		}
		if line["time"] == nil || line["reconcileID"] == nil {
			t.Errorf("a line without a time or a reconcileID: %v", line)
		}
		delete(line, "time")
		delete(line, "reconcileID")
		lines = append(lines, line)
	}
	return lines
}
