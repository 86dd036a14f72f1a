// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// startTimeout is long enough for a busy machine.
const startTimeout = 60 * time.Second

var programDirectory string

func TestMain(m *testing.M) {
	var err error
	if programDirectory, err = os.MkdirTemp("", "selfsigned-issuer"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(programDirectory)
	os.Exit(status)
}

// buildProgram builds without the race detector, which would multiply the memory.
var buildProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programDirectory, "selfsigned-issuer")
	output, err := exec.Command("go", "build", "-race=false", "-o", path, "..").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return path, nil
})

// program is a running process with the memory settings of the Deployment.
type program struct {
	t      *testing.T
	pid    int
	log    *logBuffer
	exited chan struct{}
}

// logBuffer collects a log that is read while it is written.
type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer // not embedded, since io.Copy would find its ReadFrom, which does not lock
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func (b *logBuffer) lines() int { return strings.Count(b.String(), "\n") }

// startProgram starts the process against an API server at the URL.
func startProgram(t *testing.T, apiServer string, args ...string) *program {
	t.Helper()
	path, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"--kubeconfig=" + writeKubeconfig(t, apiServer), "--leader-elect=false",
		"--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0",
	}, args...)
	p := &program{t: t, log: &logBuffer{}, exited: make(chan struct{})}
	command := exec.CommandContext(t.Context(), path, args...)
	command.Env = append(os.Environ(), "GOMEMLIMIT=200MiB", "GOGC=50")
	command.Stderr = p.log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = command.Process.Pid
	go func() {
		defer close(p.exited)
		_ = command.Wait() // it is killed when the test ends
	}()
	t.Cleanup(func() { <-p.exited })
	return p
}

func writeKubeconfig(t *testing.T, apiServer string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
		"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u"}],
		"clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}]}`, apiServer)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// await waits until look returns nothing, and fails with what it returned last if the process
// ends before.
func (p *program) await(look func() string) {
	p.t.Helper()
	timeout := time.After(startTimeout)
	for {
		problem := look()
		if problem == "" {
			return
		}
		select {
		case <-p.exited:
			p.t.Fatalf("exited; %s\n%s", problem, p.log)
		case <-timeout:
			p.t.Fatalf("%s\n%s", problem, p.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// address returns where a server of the process listens.
func (p *program) address(server string) string {
	p.t.Helper()
	pattern := regexp.MustCompile(`msg="starting server" name="?` + server + `"? addr=(\S+)`)
	var address string
	p.await(func() string {
		if match := pattern.FindStringSubmatch(p.log.String()); match != nil {
			address = match[1]
			return ""
		}
		return "no server " + server + " in the log"
	})
	return address
}

// peakMemory returns the largest resident set in MiB.
func (p *program) peakMemory() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		p.t.Skip("the peak of a process's memory can only be read on Linux:", err)
	}
	match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if match == nil {
		p.t.Fatalf("no peak of the memory in\n%s", status)
	}
	kilobytes, err := strconv.Atoi(string(match[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return kilobytes / 1024
}

// Tokens that begin like this are valid; the second one may not read the metrics.
const (
	goodToken  = "good"
	otherToken = "other"
)

// reviewServer is an API server that reviews tokens, and knows no CRDs.
func reviewServer() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		writeObject(w, http.StatusOK, map[string]string{"gitVersion": "v1.36.0"})
	})
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, _ *http.Request) {
		writeObject(w, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}})
	})
	mux.HandleFunc("GET /apis", func(w http.ResponseWriter, _ *http.Request) {
		writeObject(w, http.StatusOK, metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}})
	})
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", func(w http.ResponseWriter, request *http.Request) {
		var review authenticationv1.TokenReview
		if body, err := io.ReadAll(request.Body); err != nil || json.Unmarshal(body, &review) != nil {
			http.Error(w, "no TokenReview", http.StatusBadRequest)
			return
		}
		review.TypeMeta = metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview"}
		review.Status.Error = "invalid bearer token"
		for _, user := range []string{goodToken, otherToken} {
			if strings.HasPrefix(review.Spec.Token, user) {
				review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: user}}
			}
		}
		writeObject(w, http.StatusCreated, review)
	})
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", func(w http.ResponseWriter, request *http.Request) {
		var review authorizationv1.SubjectAccessReview
		if body, err := io.ReadAll(request.Body); err != nil || json.Unmarshal(body, &review) != nil {
			http.Error(w, "no SubjectAccessReview", http.StatusBadRequest)
			return
		}
		review.TypeMeta = metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SubjectAccessReview"}
		attributes := review.Spec.NonResourceAttributes
		review.Status.Allowed = review.Spec.User == goodToken && attributes != nil && attributes.Path == "/metrics" && attributes.Verb == "get"
		writeObject(w, http.StatusCreated, review)
	})
	return mux
}

func writeObject(w http.ResponseWriter, status int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object) // to a client that may be gone
}

func startReviewServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(reviewServer())
	t.Cleanup(server.Close)
	return server.URL
}

// freeAddress returns an unused address.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}
