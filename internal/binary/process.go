package binary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 30 * time.Second // how long a server may take to log its address
	stopLimit  = 20 * time.Second // how long a process may take to end after SIGTERM, before SIGKILL
)

// Process is a started program.
type Process struct {
	Name string // what the process is, for messages
	Log  string // the file that receives the process's output; empty if the caller reads the output

	cmd  *exec.Cmd     // the command that was started
	done chan struct{} // closed when the process has ended
	err  error         // how the process ended; read it only after done is closed
}

// Start starts a command. Its output is appended to the log file, unless log is empty. When the
// command's context ends, the process gets SIGTERM. If it does not end in time, it is killed.
func Start(cmd *exec.Cmd, name, log string) (*Process, error) {
	p := &Process{Name: name, Log: log, cmd: cmd, done: make(chan struct{})}
	if log != "" {
		out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
	}
	if cmd.Cancel != nil { // Cancel is set only if the command was made by exec.CommandContext
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = stopLimit
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done returns a channel that is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns the error with which the process ended, or nil if its exit code was 0. Call it after
// Done is closed.
func (p *Process) Err() error { return p.err }

// addressPattern matches the address in the log line in which a server says where it listens.
var addressPattern = regexp.MustCompile(`address"?[=:]"?((?:\d+\.){3}\d+:\d+)`)

// Address waits for the log line with the address that a server listens on, and returns host:port.
func (p *Process) Address(ctx context.Context) (addr string, err error) {
	err = p.Await(ctx, startLimit, "say where it listens", func(log []byte) bool {
		if m := addressPattern.FindSubmatch(log); m != nil {
			addr = string(m[1])
		}
		return addr != ""
	})
	return addr, err
}

// errEnded is a part of the error of Await if the process has ended.
var errEnded = errors.New("the process is gone")

// Await waits until the function found returns true for the output so far. It returns an error if
// that takes longer than limit. The error contains what, the end of a sentence such as "the server
// did not start".
func (p *Process) Await(ctx context.Context, limit time.Duration, what string, found func(log []byte) bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		log, err := os.ReadFile(p.Log)
		if err != nil {
			return err
		}
		if found(log) {
			return nil
		}
		select {
		case <-look.C:
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.Name, errors.Join(p.err, errEnded), p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s did not %s: %w\n%s", p.Name, what, ctx.Err(), p.Tail())
		}
	}
}

// Tail returns the end of the process's output.
func (p *Process) Tail() string {
	log, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-2000):])
}

// Stop sends SIGTERM and waits for the process to end. It kills a process that does not end in
// time, and returns an error in that case.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("%s did not stop within %s", p.Name, stopLimit), p.Kill())
	}
}

// Interrupt sends SIGTERM and returns the error with which the process ended. A process that does
// not end in time keeps running.
func (p *Process) Interrupt(patience time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		return fmt.Errorf("still running %s after SIGTERM", patience)
	}
}

// Kill ends the process with SIGKILL, as a power cut would, and waits until it has ended.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	<-p.done
	return nil
}

// CleanEnv returns this process's environment without the variables that configure rollcall, plus
// the given settings.
func CleanEnv(settings ...string) []string {
	env := settings
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ROLLCALL_") {
			env = append(env, e)
		}
	}
	return env
}

// Output runs a rollcall command and returns its output. The error contains the command's error
// output.
func Output(cmd *exec.Cmd) (string, error) {
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("rollcall %s: %w: %s", strings.Join(cmd.Args[1:], " "), err, bytes.TrimSpace(problem.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}
