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

	// startTimeout bounds a start that takes some seconds where nothing is wrong.
	startTimeout = 3 * time.Minute
)

// Options describes a cluster. The zero value is etcd and kube-apiserver alone.
type Options struct {
	// Report receives progress and, on failure, where the logs are.
	Report build.Reporter
	// APIServerArgs is appended to kube-apiserver's arguments, and wins over them.
	APIServerArgs []string
	// EtcdArgs is appended to etcd's arguments, and wins over them.
	EtcdArgs []string
	// ControllerManager adds kube-controller-manager. Without it namespaces are not
	// deleted, nothing is garbage collected and aggregated ClusterRoles stay empty.
	ControllerManager bool
	// AuditLog makes kube-apiserver write every request, without bodies, to AuditLogPath.
	AuditLog bool
}

// ControlPlane is a running control plane. Its methods may be called from any goroutine,
// except that a Restart and Stop must not overlap.
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
	ready           bool // Start has returned the cluster
	failed          bool
	stopped         bool
}

// programs are the files to run.
type programs struct{ etcd, apiServer, controllerManager string }

// Start builds what is missing, starts a cluster and returns when its API server is ready,
// which takes seconds, or three minutes at most, not counting the build. Of a cluster that
// does not start nothing is left running, and the error says where its logs are. Ending ctx afterwards does not stop the cluster; that is what Stop is for.
func Start(ctx context.Context, opts Options) (*ControlPlane, error) {
	programs, err := buildPrograms(ctx, opts)
	if err != nil {
		return nil, err
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
	// Said at once: a test that panics has no other chance to say it.
	c.opts.Report.Say("starting the control plane, with its logs in %s", c.LogDir())
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
		LogFile:          c.path(logFolder + "/" + name + ".log"),
		OnUnexpectedExit: c.childEnded,
	})
}

func (c *ControlPlane) childEnded(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ready {
		return // Start finds out by itself
	}
	c.failed = true
	c.opts.Report.Say("%v", err)
}

// AdminConfig returns a new client configuration of a user in system:masters, who may do
// everything. Like all configurations of this package it has client-go's default rate
// limit; set QPS to -1 to have none.
func (c *ControlPlane) AdminConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// AdminKubeconfig returns the file with the configuration of the same user.
func (c *ControlPlane) AdminKubeconfig() string { return c.kubeconfigPath("admin") }

// Dir returns the cluster's directory, which ceases to exist with Stop.
func (c *ControlPlane) Dir() string { return c.dir }

// LogDir returns the directory with a log file for each process; whoever runs a program
// against the cluster may put its log there too.
func (c *ControlPlane) LogDir() string { return c.path(logFolder) }

// AuditLogPath returns the file with the audit events, a JSON object in each line, if
// Options.AuditLog was set.
func (c *ControlPlane) AuditLogPath() string { return c.path(auditLogFile) }

// MarkFailed makes Stop keep the cluster's directory and tell where the logs are.
func (c *ControlPlane) MarkFailed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = true
}

// Stop ends all processes and removes the cluster's directory, unless MarkFailed was called,
// a process had ended unexpectedly, or SELFSIGNED_ISSUER_KEEP is set. Calling it again does
// nothing.
func (c *ControlPlane) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	c.stopped = true
	var errs []error
	// Clients first, so that none of them complains about a server that went away. Nothing
	// has to be saved, hence no grace.
	for _, p := range []*process.Process{c.controllers, c.apiServer, c.etcd} {
		if p != nil {
			errs = append(errs, p.Kill())
		}
	}
	if c.failed || os.Getenv(keepEnv) != "" {
		c.opts.Report.Say("the logs are in %s", c.LogDir())
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}
