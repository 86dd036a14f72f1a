// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// start returns a proxy of a server that responds with the path, and a client with the kubeconfig
// of the proxy.
func start(t *testing.T) (*Proxy, func(path string) (int, string, error)) {
	t.Helper()
	upstream := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+" "+r.URL.Path)
	}))
	t.Cleanup(upstream.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw})
	proxy, err := Start(&rest.Config{Host: upstream.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}})
	expect.NoError(t, err)
	t.Cleanup(proxy.Close)

	original := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		CurrentContext: "c",
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: upstream.URL, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: "token"}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "u"}},
	}, original); err != nil {
		t.Fatal(err)
	}
	path, err := proxy.Kubeconfig(original)
	expect.NoError(t, err)
	config, err := clientcmd.BuildConfigFromFlags("", path)
	expect.NoError(t, err)
	client, err := rest.HTTPClientFor(config)
	expect.NoError(t, err)
	return proxy, func(path string) (int, string, error) {
		response, err := client.Get(config.Host + path)
		if err != nil {
			return 0, "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return response.StatusCode, string(body), err
	}
}

func TestForwards(t *testing.T) {
	proxy, get := start(t)
	rule := proxy.Inject(On("POST", "/a"), Reset())
	if status, body, err := get("/a"); status != http.StatusOK || body != "Bearer token /a" || err != nil {
		t.Errorf("got %d %q, %v", status, body, err)
	}
	expect.True(t, rule.Hits() == 0, "the rule for POST matched a GET")
}

func TestStatus(t *testing.T) {
	proxy, get := start(t)
	rule := proxy.Inject(On("GET", "/a.*"), Status(http.StatusTooManyRequests, "TooManyRequests", "slow down"))
	if status, body, err := get("/ab"); status != http.StatusTooManyRequests || !bytes.Contains([]byte(body), []byte(`"message":"slow down"`)) || err != nil {
		t.Errorf("got %d %q, %v", status, body, err)
	}
	if status, _, err := get("/b/a"); status != http.StatusOK || err != nil {
		t.Errorf("another path: got %d, %v", status, err)
	}
	expect.True(t, rule.Hits() == 1, "%d hits, want 1", rule.Hits())
	rule.Remove()
	rule.Remove()
	if status, _, err := get("/ab"); status != http.StatusOK || err != nil {
		t.Errorf("after the fault: got %d, %v", status, err)
	}
}

func TestReset(t *testing.T) {
	proxy, get := start(t)
	rule := proxy.Inject(On("", "/a"), Reset())
	if status, _, err := get("/a"); err == nil {
		t.Errorf("got the answer %d, want a broken connection", status)
	}
	rule.Remove()
	if status, _, err := get("/a"); status != http.StatusOK || err != nil {
		t.Errorf("after the fault: got %d, %v", status, err)
	}
}

func TestGate(t *testing.T) {
	proxy, get := start(t)
	gate := NewGate()
	proxy.Inject(On("", "/a"), gate.Hold)
	answered := make(chan error)
	go func() {
		_, _, err := get("/a")
		answered <- err
	}()
	<-gate.Arrived()
	select {
	case err := <-answered:
		t.Fatalf("response before the gate was opened: %v", err)
	default:
	}
	gate.Open()
	expect.NoError(t, <-answered)
}

// TestGateOutlivesTheSender forwards a request whose client has disconnected.
func TestGateOutlivesTheSender(t *testing.T) {
	proxy, get := start(t)
	gate, statuses := NewGate(), make(chan int, 1)
	t.Cleanup(gate.Open)
	proxy.Inject(On("", "/a"), Record(func(status int) { statuses <- status }))
	proxy.Inject(On("", "/a"), gate.Hold)
	failed := make(chan error)
	go func() {
		_, _, err := get("/a")
		failed <- err
	}()
	<-gate.Arrived()
	proxy.CutConnections()
	expect.True(t, <-failed != nil, "the client got a response over a closed connection")
	gate.Open()
	expect.Equal(t, "status", http.StatusOK, <-statuses)
}
