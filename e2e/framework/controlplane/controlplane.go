// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

const (
	keepEnv = "SELFSIGNED_ISSUER_KEEP"

	// startTimeout limits a start, which usually takes seconds.
	startTimeout = 3 * time.Minute
)

// Options describes a cluster. The zero value is etcd and kube-apiserver.
type Options struct {
	// Report receives progress and, after a failure, the directory of the logs.
	Report build.Reporter
	// APIServerArgs are appended to kube-apiserver's arguments, and override them.
	APIServerArgs []string
	// EtcdArgs are appended to etcd's arguments, and override them.
	EtcdArgs []string
	// ControllerManager adds kube-controller-manager. Without it, namespaces are not deleted, there
	// is no garbage collection, and aggregated ClusterRoles are empty.
	ControllerManager bool
	// AuditLog enables the audit log at AuditLogPath, with every request, but without bodies.
	AuditLog bool
	// OnBuilt is called when all programs are built, before they are started.
	OnBuilt func()
}

// ControlPlane is a running control plane. Its methods are safe for concurrent use, except for
// restarts and Stop.
type ControlPlane struct {
	opts     Options
	dir      string
	ca       *authority
	port     int
	admin    *rest.Config
	programs programs

	mu              sync.Mutex
	etcd, apiServer *process.Process
	controllers     *process.Process
	ready           bool // Start has returned
	failed          bool
	stopped         bool
}

// programs are the paths of the programs.
type programs struct{ etcd, apiServer, controllerManager string }

// Start builds missing programs, starts a cluster and returns when its API server is ready, which
// takes seconds, at most three minutes, without the build. After an error, no process runs, and the
// error has the directory of the logs. Canceling ctx after Start has returned does not stop the
// cluster: use Stop.
func Start(ctx context.Context, opts Options) (*ControlPlane, error) {
	programs, err := buildPrograms(ctx, opts)
	if err != nil {
		return nil, err
	}
	if opts.OnBuilt != nil {
		opts.OnBuilt()
	}
	dir, err := os.MkdirTemp("", "selfsigned-issuer-")
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{opts: opts, dir: dir, programs: programs}
	if err := c.bringUp(ctx); err != nil {
		if !errors.Is(err, context.Canceled) {
			c.MarkFailed()
		}
		return nil, errors.Join(fmt.Errorf("the control plane did not start: %w", err), c.Stop())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = true
	return c, nil
}

func buildPrograms(ctx context.Context, opts Options) (programs, error) {
	var p programs
	var err error
	if p.etcd, err = build.Build(ctx, build.Etcd(), opts.Report); err != nil {
		return p, err
	}
	if p.apiServer, err = build.Build(ctx, build.KubeAPIServer(), opts.Report); err != nil {
		return p, err
	}
	if opts.ControllerManager {
		p.controllerManager, err = build.Build(ctx, build.KubeControllerManager(), opts.Report)
	}
	return p, err
}

func (c *ControlPlane) bringUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	// Reported now, because a test may panic.
	c.opts.Report.Printf("starting the control plane, with its logs in %s", c.LogDir())
	var err error
	if c.ca, err = newAuthority(); err != nil {
		return err
	}
	if err := c.writeFiles(); err != nil {
		return err
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.startAPIServerOnFreePort(ctx); err != nil {
		return err
	}
	if c.opts.ControllerManager {
		return c.startControllers(ctx)
	}
	return nil
}

func (c *ControlPlane) prepareAdmin() error {
	var err error
	c.admin, _, err = c.AddUser("admin", "system:masters")
	return err
}

// start starts one of the cluster's programs, in the cluster's directory.
func (c *ControlPlane) start(name, program string, args ...string) (*process.Process, error) {
	return process.Start(process.Options{
		Name: name, Path: program, Args: args, Dir: c.dir,
		LogFile:          c.path(logDirectory + "/" + name + ".log"),
		OnUnexpectedExit: c.childEnded,
	})
}

func (c *ControlPlane) childEnded(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ready {
		return // Start returns the error
	}
	c.failed = true
	c.opts.Report.Printf("%v", err)
}

// AdminConfig returns a new client configuration of a user in system:masters. It has client-go's
// default rate limit; set QPS to -1 to disable it.
func (c *ControlPlane) AdminConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// AdminKubeconfig returns the path of a kubeconfig of this user.
func (c *ControlPlane) AdminKubeconfig() string { return c.kubeconfigPath("admin") }

// Dir returns the cluster's directory, which Stop removes.
func (c *ControlPlane) Dir() string { return c.dir }

// LogDir returns the directory with a log file of each process. Programs that use the cluster can
// write their logs there too.
func (c *ControlPlane) LogDir() string { return c.path(logDirectory) }

// AuditLogPath returns the path of the audit log, with one JSON object per line.
func (c *ControlPlane) AuditLogPath() string { return c.path(auditLogFile) }

// MarkFailed makes Stop keep the cluster's directory and report the path of the logs.
func (c *ControlPlane) MarkFailed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = true
}

// Stop ends all processes. It removes the cluster's directory, unless MarkFailed was called, a
// process has ended unexpectedly, or SELFSIGNED_ISSUER_KEEP is set. Further calls do nothing.
func (c *ControlPlane) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	c.stopped = true
	var errs []error
	// Clients first, so that they log no errors about a missing server. No data must be saved, so
	// the processes are killed.
	for _, p := range []*process.Process{c.controllers, c.apiServer, c.etcd} {
		if p != nil {
			errs = append(errs, p.Kill())
		}
	}
	if c.failed || os.Getenv(keepEnv) != "" {
		c.opts.Report.Printf("the logs are in %s", c.LogDir())
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}
