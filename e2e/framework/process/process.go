// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

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

// tailLines is how much of its log an unexpectedly ended process is reported with.
const tailLines = 15

// Options describes a child process.
type Options struct {
	// Name is what messages call the process. Defaults to the base name of Path.
	Name string
	// Path is the program's file and Args its arguments, without the program's name.
	Path string
	Args []string
	// Env is the whole environment; nil means the parent's.
	Env []string
	// Dir is the working directory; empty means the parent's.
	Dir string
	// LogFile receives stdout and stderr. It is appended to, so that the log of a
	// restarted program continues; its directory must exist.
	LogFile string
	// OnUnexpectedExit, when set, is called once, from another goroutine, if the process
	// ends though neither Stop nor Kill was called. The error carries the last log lines.
	OnUnexpectedExit func(error)
}

// Process is a child process. Its methods may be called from any goroutine.
type Process struct {
	opts Options
	cmd  *exec.Cmd
	done chan struct{}

	started time.Time

	mu      sync.Mutex
	wanted  bool  // the end of the process was asked for
	waitErr error // what Wait returned; valid once done is closed
}

// Start starts a child process and returns without waiting for it to do anything.
func Start(opts Options) (*Process, error) {
	if opts.Name == "" {
		opts.Name = filepath.Base(opts.Path)
	}
	// The child writes to the file itself: nothing is lost when this process dies, and
	// no goroutine of ours sits between a busy child and its log.
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

// Name returns what messages call the process.
func (p *Process) Name() string { return p.opts.Name }

// PID returns the process id. It may belong to another process once Done is closed.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Started returns when the process was started.
func (p *Process) Started() time.Time { return p.started }

// Done returns a channel that is closed when the process has ended and was reaped.
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

// ExitError returns what os/exec says about the end of the process, whoever caused it:
// nil for exit status 0, an *exec.ExitError otherwise. It is nil while the process runs.
func (p *Process) ExitError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waitErr
}

// Err returns why the process ended unexpectedly, with its last log lines. It is nil
// while the process runs and after Stop or Kill. Ending with exit status 0 is an error
// as well: the programs run here are meant to stay.
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

// Stop asks the process to end (SIGTERM) and kills it when it has not ended after the
// grace period. It returns once the process is gone, and does nothing when it already is.
func (p *Process) Stop(grace time.Duration) error {
	p.expectEnd()
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	// SIGTERM stays pending in a paused process.
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

// Kill ends the process with SIGKILL and returns once it is gone. A paused process ends
// too; one that has already ended is left alone.
func (p *Process) Kill() error {
	p.expectEnd()
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Interrupt sends SIGINT, as Ctrl-C does, and does not wait. The end that follows counts
// as asked for.
func (p *Process) Interrupt() error {
	p.expectEnd()
	return p.signal(syscall.SIGINT)
}

// Pause freezes the process (SIGSTOP) until Resume. It is an error if it has ended.
func (p *Process) Pause() error { return p.signalRunning(syscall.SIGSTOP) }

// Resume continues a paused process (SIGCONT). It is an error if it has ended.
func (p *Process) Resume() error { return p.signalRunning(syscall.SIGCONT) }

func (p *Process) expectEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	// An end that already happened unasked stays unexpected.
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

// signal goes through os.Process, which never signals a process id that was reaped and
// may have been given to somebody else.
func (p *Process) signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot send %s to %s: %w", sig, p.opts.Name, err)
	}
	return nil
}
