// Package apptest runs the real binary in tests: as a process that tests can start, call, stop and
// kill, and through its pages in a real browser.
//
// The binary is built once, without the race detector. The race detector would slow down tests that
// kill processes, run a browser or process many rows.
package apptest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/binary"
)

// Binary returns the path of the real binary.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary.Build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// MustRunAll reports whether every test must run. If so, a test that cannot run fails. Otherwise it
// is skipped.
func MustRunAll() bool { return os.Getenv("ROLLCALL_TEST_ALL") == "1" }

// Run runs one rollcall command and returns its standard output. It fails the test if the command
// fails.
func Run(t testing.TB, env []string, args ...string) string {
	t.Helper()
	stdout, stderr, err := Try(t, env, args...)
	if err != nil {
		t.Fatalf("rollcall %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout
}

// Try runs one rollcall command. It returns the standard output and the standard error, and an
// error if the command fails.
func Try(t testing.TB, env []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command(Binary(t), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

// Process is a running rollcall.
type Process struct {
	process *binary.Process // the process of the binary
	mu      sync.Mutex      // guards stderr
	stderr  bytes.Buffer    // what the process has written to standard error so far
	stdout  *bufio.Reader   // reads what the process writes to standard output
}

// Start starts rollcall with args and leaves it running. If it still runs at the end of the test,
// it is killed.
func Start(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{}
	cmd := exec.Command(Binary(t), args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	cmd.Stderr = writerFunc(func(b []byte) (int, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.stderr.Write(b)
	})
	if p.process, err = binary.Start(cmd, "rollcall", ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p
}

// writerFunc is a function that serves as an io.Writer.
type writerFunc func([]byte) (int, error)

// Write calls the function.
func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// ReadJSON decodes into v the first JSON object that the process prints on standard output.
func (p *Process) ReadJSON(t testing.TB, v any) {
	t.Helper()
	if err := json.NewDecoder(p.stdout).Decode(v); err != nil {
		t.Fatalf("read what rollcall prints: %v\n%s", err, p.Stderr())
	}
	go io.Copy(io.Discard, p.stdout)
}

// PID returns the process id.
func (p *Process) PID() int { return p.process.PID() }

// Await waits until a line of standard error contains the text, and returns the line.
func (p *Process) Await(t testing.TB, text string) string {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for time.Now().Before(end) {
		for line := range strings.Lines(p.Stderr()) {
			if strings.Contains(line, text) {
				return line
			}
		}
		select {
		case <-p.process.Done():
			t.Fatalf("rollcall ended before it said %q: %v\n%s", text, p.process.Err(), p.Stderr())
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("rollcall did not say %q\n%s", text, p.Stderr())
	return ""
}

// Stderr returns the text that the process has written to standard error so far.
func (p *Process) Stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// Kill ends the process at once (SIGKILL), like a power cut, and waits until it has ended.
func (p *Process) Kill() { _ = p.process.Kill() } // an error means that the process could not be signalled

// Stop asks the process to end (SIGTERM), and waits until it has ended, but no longer than
// patience. It returns an error if the process fails or does not end in time.
func (p *Process) Stop(patience time.Duration) error { return p.process.Interrupt(patience) }

// Done returns a channel that is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.process.Done() }
