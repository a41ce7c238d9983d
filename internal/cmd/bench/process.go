package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/internal/binary"
)

const (
	// clockTick is the unit of processor times in /proc. It is USER_HZ, which is 100 on every
	// architecture that Go supports.
	clockTick = 10 * time.Millisecond
)

// server is a child process that listens for requests.
type server struct {
	name     string          // the name of the server, for messages and its log file
	addr     string          // the address that the server listens on, as host:port
	pid      int             // the process id
	process  *binary.Process // the running program
	stdin    io.Closer       // the standard input of the process, which is closed if this program is killed; a child then ends
	database *postgres       // the PostgreSQL server, whose processor time is measured too; nil on SQLite
}

// done returns a channel that is closed when the process has ended.
func (s *server) done() <-chan struct{} {
	if s.process == nil {
		return nil // the server was never started, so it cannot end
	}
	return s.process.Done()
}

// start runs a program until stop is called or ctx ends. It returns when the program has logged its
// address.
func (b *bench) start(ctx context.Context, name, program string, args ...string) (*server, error) {
	b.started++
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = b.dir, b.childEnv()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	process, err := binary.Start(cmd, name, filepath.Join(b.dir, fmt.Sprintf("%02d-%s.log", b.started, name)))
	if err != nil {
		return nil, err
	}
	s := &server{name: name, pid: process.PID(), process: process, stdin: in}
	b.runningServers = append(b.runningServers, s)
	if s.addr, err = process.Address(ctx); err != nil {
		return nil, errors.Join(err, b.stop(s))
	}
	return s, nil
}

// childEnv returns the environment of this process without the variables that configure rollcall.
// It adds variables that name the run's key file and allow provisioning to this machine.
func (b *bench) childEnv() []string {
	return binary.CleanEnv(
		"ROLLCALL_KEY_FILE="+filepath.Join(b.dir, "key"),
		"ROLLCALL_ALLOW_PRIVATE_TARGETS=1", "ROLLCALL_ALLOW_LOOPBACK_TARGETS=1",
	)
}

// countRequests returns the number of requests that a rollcall server has logged.
func (s *server) countRequests() (int, error) {
	log, err := os.ReadFile(s.process.Log)
	return bytes.Count(log, []byte("msg=request ")), err
}

// stop stops a server and waits until it has ended.
func (b *bench) stop(s *server) error {
	s.stdin.Close()
	if err := s.process.Stop(); err != nil {
		return err
	}
	for i, r := range b.runningServers {
		if r == s {
			b.runningServers = append(b.runningServers[:i], b.runningServers[i+1:]...)
			break
		}
	}
	return nil
}

// stopAll stops all running servers, the newest first, and then the database servers.
func (b *bench) stopAll() error {
	var errs []error
	for len(b.runningServers) > 0 {
		n := len(b.runningServers)
		errs = append(errs, b.stop(b.runningServers[n-1]))
		if len(b.runningServers) == n {
			break
		}
	}
	for _, p := range b.postgresServers {
		errs = append(errs, p.Stop())
	}
	b.postgresServers = nil
	return errors.Join(errs...)
}

// processorTime returns the processor time that the server has used so far, in user and kernel
// mode.
func (s *server) processorTime() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", s.name, err)
	}
	used, err := parseStat(string(text))
	return used.ownTime, err
}

// cutLast is like strings.Cut, but cuts at the last separator.
func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// peakMemory returns the server's peak resident size so far, in bytes.
func (s *server) peakMemory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return 0, fmt.Errorf("peak memory of %s: %w", s.name, err)
	}
	return parsePeak(string(text))
}

// parsePeak returns the peak resident size, in bytes, from the content of /proc/PID/status.
func parsePeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("no VmHWM in /proc/PID/status")
}

// runRollcall runs one rollcall command and returns its output. It passes the settings in the
// environment, because commands refuse flags that they do not use.
func (b *bench) runRollcall(ctx context.Context, database string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.binary, args...)
	cmd.Dir, cmd.Env = b.dir, append(b.childEnv(), "ROLLCALL_DATABASE="+database)
	return binary.Output(cmd)
}

// startProduct starts `rollcall serve` on a database.
func (b *bench) startProduct(ctx context.Context, name, database string) (*server, error) {
	return b.startProductAt(ctx, name, database, anyPort)
}

// startProductAt starts `rollcall serve` on a database, at an address of the form host:port.
func (b *bench) startProductAt(ctx context.Context, name, database, addr string) (*server, error) {
	return b.start(ctx, name, b.binary, "serve", "--database", database, "--listen", addr)
}

// startChild starts this program again, as a child of a kind.
func (b *bench) startChild(ctx context.Context, kind string, args ...string) (*server, error) {
	return b.start(ctx, kind, b.programPath, append([]string{"-child", kind}, args...)...)
}
