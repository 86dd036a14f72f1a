// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"net"
	"net/http"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

// etcdURL is a socket in the cluster's directory: only its owner can access the data, and no port
// is needed. The path is relative to the working directory of etcd and kube-apiserver, because a
// socket's path is limited to about 100 bytes.
const etcdURL = "unix://" + etcdSocket

func (c *ControlPlane) startEtcd(ctx context.Context) error {
	const peerURL = "unix://" + etcdPeerSocket
	args := []string{
		"--name=default",
		"--data-dir=" + etcdData,
		"--listen-client-urls=" + etcdURL,
		"--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + peerURL,
		"--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=default=" + peerURL,
		// Without fsync, only a crash of the machine loses data.
		"--unsafe-no-fsync",
	}
	etcd, err := c.start("etcd", c.programs.etcd, append(args, c.opts.EtcdArgs...)...)
	if err != nil {
		return err
	}
	c.setEtcd(etcd)
	return etcd.Await(ctx, c.etcdHealthy)
}

func (c *ControlPlane) etcdHealthy(ctx context.Context) error {
	client := c.EtcdClient()
	defer client.CloseIdleConnections()
	_, err := get(ctx, client, "http://etcd/readyz")
	return err
}

// EtcdClient returns an HTTP client that connects to etcd, for any host in a URL.
func (c *ControlPlane) EtcdClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.path(etcdSocket))
		},
	}}
}

// Etcd returns the running, or last run, etcd.
func (c *ControlPlane) Etcd() *process.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.etcd
}

func (c *ControlPlane) setEtcd(p *process.Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.etcd = p
}

// RestartEtcd kills etcd, if it is running, starts it with the same data, and waits until the API
// server is ready.
func (c *ControlPlane) RestartEtcd(ctx context.Context) error {
	if err := c.Etcd().Kill(); err != nil {
		return err
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	return c.APIServer().Await(ctx, c.apiServerReady)
}
