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
	startLimit = 30 * time.Second // until a server says where it listens
	stopLimit  = 20 * time.Second // between SIGTERM and SIGKILL
)

// Process is a program that was started.
type Process struct {
	Name string
	Log  string // the file that its output goes to, empty when the caller reads the output

	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; read after done is closed
}

// Start starts a command. What it prints is added to the log file, unless log is empty. When the context of the command ends,
// the process is asked to end, and killed when it does not.
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
	if cmd.Cancel != nil { // set by exec.CommandContext
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

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the process ended, after Done is closed.
func (p *Process) Err() error { return p.err }

var addressText = regexp.MustCompile(`address"?[=:]"?((?:\d+\.){3}\d+:\d+)`)

// Address waits for the line of the log that says where a server listens, as host:port.
func (p *Process) Address(ctx context.Context) (addr string, err error) {
	err = p.Await(ctx, startLimit, "say where it listens", func(log []byte) bool {
		if m := addressText.FindSubmatch(log); m != nil {
			addr = string(m[1])
		}
		return addr != ""
	})
	return addr, err
}

var errEnded = errors.New("the process is gone")

// Await waits until found is true for what the process has printed. The error says what it did not do within the limit.
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

// Tail is the end of what the process printed.
func (p *Process) Tail() string {
	log, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-2000):])
}

// Stop asks the process to end with SIGTERM and waits. A process that does not end in time is killed, which is an error.
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

// Interrupt asks the process to end with SIGTERM and returns how it did. A process that does not end in time runs on.
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

// Kill ends the process with SIGKILL, as a power cut would, and waits for its end.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	<-p.done
	return nil
}

// CleanEnv returns this process's environment without what configures rollcall, and with the given settings.
func CleanEnv(settings ...string) []string {
	env := settings
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ROLLCALL_") {
			env = append(env, e)
		}
	}
	return env
}

// Output runs a rollcall command to its end and returns what it printed. The error has what it said.
func Output(cmd *exec.Cmd) (string, error) {
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("rollcall %s: %w: %s", strings.Join(cmd.Args[1:], " "), err, bytes.TrimSpace(problem.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}
