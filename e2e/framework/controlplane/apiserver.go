// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

// portAttempts limits the retries if another process takes the port before kube-apiserver listens on it.
const portAttempts = 5

// startAPIServerOnFreePort starts kube-apiserver for the first time.
func (c *ControlPlane) startAPIServerOnFreePort(ctx context.Context) error {
	var err error
	for range portAttempts {
		if c.port, err = FreePort(); err != nil {
			return err
		}
		if err = c.prepareAdmin(); err != nil {
			return err
		}
		if err = c.startAPIServer(ctx); !portTaken(err) {
			return err
		}
	}
	return err
}

func portTaken(err error) bool {
	return err != nil && strings.Contains(err.Error(), "address already in use")
}

func (c *ControlPlane) startAPIServer(ctx context.Context) error {
	apiServer, err := c.start("kube-apiserver", c.programs.apiServer, c.apiServerArgs()...)
	if err != nil {
		return err
	}
	c.setAPIServer(apiServer)
	return apiServer.Await(ctx, c.apiServerReady)
}

func (c *ControlPlane) apiServerArgs() []string {
	args := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.port),
		"--tls-cert-file=" + servingCertFile,
		"--tls-private-key-file=" + servingKeyFile,
		"--client-ca-file=" + caFile,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + serviceAccountPub,
		"--service-account-signing-key-file=" + serviceAccountKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		// No Pods need the Service of the API server, and it cannot have a loopback address as its
		// endpoint.
		"--endpoint-reconciler-type=none",
		"--profiling=false",
	}
	if c.opts.AuditLog {
		args = append(args,
			"--audit-policy-file="+auditPolicyFile,
			"--audit-log-path="+auditLogFile,
			"--audit-log-maxsize=2048", // MiB: it is not rotated
		)
	}
	return slices.Concat(args, c.opts.APIServerArgs)
}

func (c *ControlPlane) apiServerReady(ctx context.Context) error {
	_, err := c.Get(ctx, "/readyz")
	return err
}

// Get returns the response to a request of the administrator for a path such as /metrics. A status
// other than 200 is an error with the body.
func (c *ControlPlane) Get(ctx context.Context, path string) ([]byte, error) {
	client, err := rest.HTTPClientFor(c.AdminConfig())
	if err != nil {
		return nil, err
	}
	return get(ctx, client, c.URL()+path)
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %s", url, response.Status, body)
	}
	return body, nil
}

// URL is the address of the API server. It does not change with restarts.
func (c *ControlPlane) URL() string { return fmt.Sprintf("https://127.0.0.1:%d", c.port) }

// APIServer returns the running, or last run, kube-apiserver.
func (c *ControlPlane) APIServer() *process.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apiServer
}

func (c *ControlPlane) setAPIServer(p *process.Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apiServer = p
}

// RestartAPIServer kills kube-apiserver, if it is running, starts it on the same port, and waits
// until it is ready.
func (c *ControlPlane) RestartAPIServer(ctx context.Context) error {
	if err := c.APIServer().Kill(); err != nil {
		return err
	}
	return c.startAPIServer(ctx)
}

// Version returns the API server's version, such as v1.36.3.
func (c *ControlPlane) Version(ctx context.Context) (string, error) {
	body, err := c.Get(ctx, "/version")
	if err != nil {
		return "", err
	}
	var info version.Info
	err = json.Unmarshal(body, &info)
	return info.GitVersion, err
}
