// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process runs programs as child processes that end with this process.
//
// It supports only Unix. On Linux, the kernel kills a child when its parent ends (prctl(2),
// PR_SET_PDEATHSIG). On other systems, a shell per child waits for a pipe that is closed when the
// parent ends.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// tailLines is how many log lines the error of an unexpected end has.
const tailLines = 15

// Options describes a child process.
type Options struct {
	// Name is the name in messages. It defaults to the base name of Path.
	Name string
	// Path is the path of the program and Args are its arguments, without the name.
	Path string
	Args []string
	// Env is the environment; nil: that of the parent.
	Env []string
	// Dir is the working directory; empty: that of the parent.
	Dir string
	// LogFile receives stdout and stderr, which are appended. Its directory must exist.
	LogFile string
	// OnUnexpectedExit, if set, is called once, from another goroutine, if the process ends before
	// Stop or Kill is called. The error has the last log lines.
	OnUnexpectedExit func(error)
}

// Process is a child process. Its methods are safe for concurrent use.
type Process struct {
	opts Options
	cmd  *exec.Cmd
	done chan struct{}

	started time.Time

	mu      sync.Mutex
	wanted  bool  // the process was asked to end
	waitErr error // what Wait returned; valid once done is closed
}

// Start starts a child process.
func Start(opts Options) (*Process, error) {
	if opts.Name == "" {
		opts.Name = filepath.Base(opts.Path)
	}
	// The child writes to the file itself, so that its log is complete if this process ends.
	log, err := os.OpenFile(opts.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the log of %s: %w", opts.Name, err)
	}
	defer log.Close()

	cmd := exec.Command(opts.Path, opts.Args...)
	cmd.Env, cmd.Dir = opts.Env, opts.Dir
	cmd.Stdout, cmd.Stderr = log, log
	started := time.Now()
	release, err := startBound(cmd)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", opts.Name, err)
	}
	p := &Process{opts: opts, cmd: cmd, done: make(chan struct{}), started: started}
	go p.wait(release)
	return p, nil
}

func (p *Process) wait(release func()) {
	err := p.cmd.Wait()
	release()

	p.mu.Lock()
	p.waitErr = err
	unexpected := !p.wanted
	p.mu.Unlock()
	close(p.done)

	if unexpected && p.opts.OnUnexpectedExit != nil {
		p.opts.OnUnexpectedExit(p.Err())
	}
}

// Name returns the name in messages.
func (p *Process) Name() string { return p.opts.Name }

// PID returns the process ID, which may be reused after Done is closed.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Started returns when the process was started.
func (p *Process) Started() time.Time { return p.started }

// Done returns a channel that is closed when the process has ended and has been reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running reports whether the process has not ended yet; a paused process is running.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ExitError returns the error of os/exec: nil for exit status 0, otherwise an *exec.ExitError. It
// is nil while the process runs.
func (p *Process) ExitError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waitErr
}

// Err returns why the process ended unexpectedly, with its last log lines. It is nil while the
// process runs and after Stop or Kill. Exit status 0 is also an error, because these programs do
// not end.
func (p *Process) Err() error {
	if p.Running() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted {
		return nil
	}
	reason := "exit status 0"
	if p.waitErr != nil {
		reason = p.waitErr.Error()
	}
	return fmt.Errorf("%s ended unexpectedly (%s); the last lines of %s:\n%s",
		p.opts.Name, reason, p.opts.LogFile, p.Tail(tailLines))
}

// Stop sends SIGTERM, kills the process if it has not ended after the grace period, and returns
// when it has ended.
func (p *Process) Stop(grace time.Duration) error {
	p.expectEnd()
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	// A paused process does not handle SIGTERM.
	if err := p.signal(syscall.SIGCONT); err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return p.Kill()
	}
}

// Kill sends SIGKILL, and returns when the process has ended. It also ends a paused process.
func (p *Process) Kill() error {
	p.expectEnd()
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Interrupt sends SIGINT, as Ctrl-C does, and does not wait. The process is expected to end.
func (p *Process) Interrupt() error {
	p.expectEnd()
	return p.signal(syscall.SIGINT)
}

// Pause stops the process (SIGSTOP) until Resume. It fails if the process has ended.
func (p *Process) Pause() error { return p.signalRunning(syscall.SIGSTOP) }

// Resume continues a paused process (SIGCONT). It fails if the process has ended.
func (p *Process) Resume() error { return p.signalRunning(syscall.SIGCONT) }

func (p *Process) expectEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	// If the process has already ended, this was unexpected.
	if p.Running() {
		p.wanted = true
	}
}

func (p *Process) signalRunning(sig syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("cannot send %s to %s: it has ended", sig, p.opts.Name)
	}
	return p.signal(sig)
}

// signal uses os.Process, which does not signal a reaped process ID that may be reused.
func (p *Process) signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot send %s to %s: %w", sig, p.opts.Name, err)
	}
	return nil
}
