// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faultproxy injects faults between a program and the API server: a Proxy forwards all
// requests, except for those that a rule matches.
package faultproxy

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Proxy is a TLS server on a loopback address. It uses HTTP/1.1, so that a fault of one request is
// that of one connection. Clients authenticate with a token: client certificates are not forwarded.
type Proxy struct {
	server    *httptest.Server
	transport *http.Transport
	forward   http.Handler

	mu    sync.Mutex
	rules []*Rule
}

// Start starts a proxy of the API server in config.
func Start(config *rest.Config) (*Proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	// Without the client certificate: clients of the proxy must not act as its user.
	tlsConfig, err := rest.TLSConfigFor(rest.AnonymousClientConfig(config))
	if err != nil {
		return nil, err
	}
	p := &Proxy{transport: &http.Transport{TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true}}
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     p.transport,
		FlushInterval: -1, // events of a watch are sent at once
		ErrorLog:      log.New(io.Discard, "", 0),
		// Without the API server, there is no response, not even one of the proxy.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.StartTLS()
	return p, nil
}

// Close closes all connections and stops the proxy.
func (p *Proxy) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
	p.transport.CloseIdleConnections()
}

// CutConnections closes all connections, including watches. New ones are accepted.
func (p *Proxy) CutConnections() { p.server.CloseClientConnections() }

// Kubeconfig writes a copy of a kubeconfig with the address of the proxy, and returns its path.
func (p *Proxy) Kubeconfig(path string) (string, error) {
	kubeconfig, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return "", err
	}
	current := kubeconfig.Contexts[kubeconfig.CurrentContext]
	if current == nil || kubeconfig.Clusters[current.Cluster] == nil {
		return "", errors.New(path + " has no current cluster")
	}
	cluster := kubeconfig.Clusters[current.Cluster]
	cluster.Server = p.server.URL
	cluster.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	copied := path + ".proxied"
	if err := clientcmd.WriteToFile(*kubeconfig, copied); err != nil {
		return "", fmt.Errorf("writing the kubeconfig of the proxy: %w", err)
	}
	return copied, nil
}

// ServeHTTP handles a request. The rules that match wrap the handler that forwards it, the latest
// outermost.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler := p.forward
	for _, rule := range p.current() {
		if rule.match(r) {
			rule.hits.Add(1)
			handler = rule.fault(handler)
		}
	}
	handler.ServeHTTP(w, r)
}

func (p *Proxy) current() []*Rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.rules)
}
