// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// peakLimit leaves headroom below the container's limit of 256 MiB.
	peakLimit = 200

	// pause is what a client that repeats a large request leaves between two of them: the
	// process is tested, not the machine.
	pause = 3 * time.Second

	// logLimit is how many lines an attack may add to the log.
	logLimit = 10
)

// target is a port of the process.
type target struct {
	url, address string
	tokens       atomic.Int64
}

// ask sends one request.
func ask(ctx context.Context, transport *http.Transport, url, token string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func newTransport() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
}

// withRace is true with the race detector, as in `make test`. `make test-faults` runs without it.
var withRace = sync.OnceValue(func() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
})

// answerTimeout is how long a client with permission waits during an attack.
func answerTimeout() time.Duration {
	if withRace() {
		return 20 * time.Second
	}
	return time.Second
}

// An attack goes on until ctx ends. It returns when it has begun.
type attack func(ctx context.Context, t *target, attackers *sync.WaitGroup)

// junkTokens has 150 clients ask with a new invalid token each time.
func junkTokens(ctx context.Context, t *target, attackers *sync.WaitGroup) {
	begin(attackers, 150, func(begun func()) {
		transport := newTransport()
		defer transport.CloseIdleConnections()
		for ctx.Err() == nil {
			_, _, _ = ask(ctx, transport, t.url, fmt.Sprintf("junk-%d", t.tokens.Add(1)))
			begun()
		}
	})
}

// largeTokens has 300 clients ask with a token of 1 MB, again and again.
func largeTokens(ctx context.Context, t *target, attackers *sync.WaitGroup) {
	token := strings.Repeat("a", 1_000_000)
	begin(attackers, 300, func(begun func()) {
		transport := newTransport()
		defer transport.CloseIdleConnections()
		for ctx.Err() == nil {
			_, _, _ = ask(ctx, transport, t.url, token)
			begun()
			pauseIn(ctx)
		}
	})
}

// unfinishedHeaders has 300 connections stay in the middle of a header of 1 MB. Those that the
// server closes are made again.
func unfinishedHeaders(ctx context.Context, t *target, attackers *sync.WaitGroup) {
	header := []byte("GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 1_000_000))
	connect := (&net.Dialer{}).DialContext
	if strings.HasPrefix(t.url, "https:") {
		connect = (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext
	}
	begin(attackers, 300, func(begun func()) {
		for ctx.Err() == nil {
			connection, err := connect(ctx, "tcp", t.address)
			if err == nil {
				_, _ = connection.Write(header[:8000])
				_, _ = connection.Write(header)
				stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
				begun()
				_, _ = io.Copy(io.Discard, connection) // until the server closes it
				stop()
				_ = connection.Close()
			}
			begun()
			pauseIn(ctx)
		}
	})
}

// abandonedRequests has clients give up 2,000 requests, each with its own invalid token.
func abandonedRequests(ctx context.Context, t *target, attackers *sync.WaitGroup) {
	begin(attackers, 100, func(begun func()) {
		transport := newTransport()
		defer transport.CloseIdleConnections()
		for range 20 {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			_, _, _ = ask(ctx, transport, t.url, fmt.Sprintf("junk-%d", t.tokens.Add(1)))
			cancel()
		}
		begun()
	})
}

// slowReaders has 300 clients ask for the page and read nothing of it.
func slowReaders(ctx context.Context, t *target, attackers *sync.WaitGroup) {
	begin(attackers, 300, func(begun func()) {
		for ctx.Err() == nil {
			connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
			if err == nil {
				_ = connection.(*net.TCPConn).SetReadBuffer(4096)
				_, _ = io.WriteString(connection, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 100))
				begun()
				pauseIn(ctx)
				_ = connection.Close()
			}
			begun()
		}
	})
}

func pauseIn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pause)
	defer cancel()
	<-ctx.Done()
}

// begin starts clients, and returns when each of them has called begun. With the race detector, it
// starts fewer: the attackers run in the process of the client with permission, which would not send
// its header in time.
func begin(attackers *sync.WaitGroup, clients int, client func(begun func())) {
	if withRace() {
		clients /= 5
	}
	var starting sync.WaitGroup
	starting.Add(clients)
	for range clients {
		attackers.Go(func() {
			begun := sync.OnceFunc(starting.Done)
			defer begun()
			client(begun)
		})
	}
	starting.Wait()
}

// TestPortsUnderAttack: a client without credentials cannot exclude other clients, exhaust the memory or
// fill the log.
func TestPortsUnderAttack(t *testing.T) {
	metrics := func(address, scheme string) *target {
		return &target{url: scheme + "://" + address + "/metrics", address: address}
	}
	tokens := []string{"good-known", "good-known", "good-known", "good-new-1", "good-new-2"}
	for _, port := range []struct {
		name    string
		args    []string
		target  func(p *program) *target
		tokens  []string
		attacks map[string]attack
	}{
		{
			"metrics by HTTPS", []string{"--metrics-secure"},
			func(p *program) *target { return metrics(p.address("metrics"), "https") }, tokens,
			map[string]attack{"junk tokens": junkTokens, "large tokens": largeTokens, "unfinished headers": unfinishedHeaders, "abandoned requests": abandonedRequests},
		},
		{
			"metrics by HTTP", nil,
			func(p *program) *target { return metrics(p.address("metrics"), "http") }, make([]string, 5),
			map[string]attack{"unfinished headers": unfinishedHeaders, "slow readers": slowReaders},
		},
		{
			"probes", nil,
			func(p *program) *target {
				address := p.address("health probe")
				return &target{url: "http://" + address + "/healthz", address: address}
			}, make([]string, 5),
			map[string]attack{"unfinished headers": unfinishedHeaders, "large headers": largeTokens},
		},
	} {
		for name, attack := range port.attacks {
			t.Run(port.name+", "+name, func(t *testing.T) {
				process := startProgram(t, startReviewServer(t), port.args...)
				target := port.target(process)
				process.await(func() string { // also makes the token known
					if status, body, err := ask(t.Context(), newTransport(), target.url, port.tokens[0]); err != nil || status != http.StatusOK {
						return fmt.Sprint("before the attack: ", status, body, err)
					}
					return ""
				})
				lines := process.log.lines()
				ctx, stop := context.WithCancel(t.Context())
				var attackers sync.WaitGroup
				attack(ctx, target, &attackers)
				var took []time.Duration
				for _, token := range port.tokens {
					start := time.Now()
					status, body, err := ask(t.Context(), newTransport(), target.url, token)
					took = append(took, time.Since(start).Round(time.Millisecond))
					if err != nil || status != http.StatusOK {
						t.Errorf("during the attack: %d %.100s %v", status, body, err)
					}
				}
				stop()
				attackers.Wait()
				peak, added := process.peakMemory(), process.log.lines()-lines
				t.Logf("peak %d MiB, answers in %v, %d lines in the log", peak, took, added)
				if slices.Sort(took); took[len(took)/2] > answerTimeout() {
					t.Errorf("answers took %v, want %s", took, answerTimeout())
				}
				if peak >= peakLimit {
					t.Errorf("the peak of the memory was %d MiB, want less than %d", peak, peakLimit)
				}
				if added > logLimit {
					t.Errorf("%d lines in the log, want %d at most:\n%.5000s", added, logLimit, process.log)
				}
			})
		}
	}
}

// TestMetricsAccess: only clients that the API server allows can read the metrics. Others get the correct
// status.
func TestMetricsAccess(t *testing.T) {
	process := startProgram(t, startReviewServer(t), "--metrics-secure")
	url := "https://" + process.address("metrics") + "/metrics"
	transport := newTransport()
	// Any method would be part of the key under which the library keeps its decision.
	request, err := http.NewRequestWithContext(t.Context(), strings.Repeat("&", 9000), url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+otherToken)
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if _ = response.Body.Close(); response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("an unknown method: %d, want %d", response.StatusCode, http.StatusMethodNotAllowed)
	}
	for _, test := range []struct {
		client, token string
		status        int
	}{
		{"without a token", "", http.StatusUnauthorized},
		{"with an invalid token", "junk", http.StatusUnauthorized},
		{"with a token that is too long", goodToken + strings.Repeat("a", 9000), http.StatusUnauthorized},
		{"without permission", otherToken, http.StatusForbidden},
		{"with permission", goodToken, http.StatusOK},
		{"without permission after one that has it", otherToken, http.StatusForbidden},
	} {
		status, body, err := ask(t.Context(), transport, url, test.token)
		if err != nil || status != test.status {
			t.Errorf("a client %s: %d %v, want %d", test.client, status, err, test.status)
		}
		if metrics := strings.Contains(body, "selfsigned_issuer_build_info"); metrics != (test.status == http.StatusOK) {
			t.Errorf("a client %s sees the metrics: %v\n%.200s", test.client, metrics, body)
		}
	}
}

// TestMetricsReviewFails: an API server that does not review clients fills no log, and a
// client whose token it has just reviewed still reads the metrics.
func TestMetricsReviewFails(t *testing.T) {
	var down atomic.Bool
	reviews := reviewServer()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if down.Load() && request.Method == http.MethodPost {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		reviews.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	process := startProgram(t, server.URL, "--metrics-secure")
	url := "https://" + process.address("metrics") + "/metrics"
	if status, _, err := ask(t.Context(), newTransport(), url, goodToken); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	down.Store(true)
	lines := process.log.lines()
	var clients sync.WaitGroup
	for i := range 50 {
		clients.Go(func() {
			if status, _, err := ask(t.Context(), newTransport(), url, fmt.Sprint(goodToken, i)); err != nil || status != http.StatusInternalServerError {
				t.Errorf("a token that could not be reviewed: %d %v, want 500", status, err)
			}
		})
	}
	clients.Wait()
	if added := process.log.lines() - lines; added != 1 || !strings.Contains(process.log.String(), "the API server did not answer: 503 Service Unavailable") {
		t.Errorf("%d lines in the log, want 1 with the reason:\n%s", added, process.log)
	}
	if status, _, err := ask(t.Context(), newTransport(), url, goodToken); err != nil || status != http.StatusOK {
		t.Errorf("a token that was reviewed: %d %v, want 200", status, err)
	}
}
