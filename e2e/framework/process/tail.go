// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"io"
	"os"
)

// maxTailBytes limits what Tail reads, because logs can be large.
const maxTailBytes = 64 << 10

// LogPath returns the file that receives the stdout and stderr of the process.
func (p *Process) LogPath() string { return p.opts.LogFile }

// Tail returns the last n lines of the log, at most 64 KiB, or a note in parentheses if there are none.
func (p *Process) Tail(n int) string { return Tail(p.opts.LogFile, n) }

// Tail returns the last n lines of a file like [Process.Tail].
func Tail(path string, n int) string {
	end, err := readEnd(path)
	if err != nil {
		return "(the log cannot be read: " + err.Error() + ")"
	}
	lines := bytes.Split(bytes.TrimRight(end, "\n"), []byte("\n"))
	tail := bytes.Join(lines[max(0, len(lines)-n):], []byte("\n"))
	if len(tail) == 0 {
		return "(the log is empty)"
	}
	return string(tail)
}

func readEnd(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-maxTailBytes), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, maxTailBytes))
}
