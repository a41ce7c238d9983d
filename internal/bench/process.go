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
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 30 * time.Second
	stopLimit  = 20 * time.Second
	// tick is the unit of processor times in /proc: USER_HZ, 100 on every
	// architecture Go runs on.
	tick = 10 * time.Millisecond
)

// server is a child process that listens.
type server struct {
	name string
	addr string // host:port
	log  string // file of what it printed
	cmd  *exec.Cmd
	in   io.Closer // a child of ours ends when this closes, also when the parent was killed
	done chan struct{}
	err  error     // how it ended; read after done is closed
	db   *postgres // its database server, whose processor time counts too; nil on SQLite
}

var addressText = regexp.MustCompile(`address"?[=:]"?((?:\d+\.){3}\d+:\d+)`)

// start runs a program until stop, or until ctx ends, and returns once it has said where it listens.
func (b *bench) start(ctx context.Context, name, program string, args ...string) (*server, error) {
	b.started++
	s := &server{name: name, log: filepath.Join(b.dir, fmt.Sprintf("%02d-%s.log", b.started, name)), done: make(chan struct{})}
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s.cmd = exec.CommandContext(ctx, program, args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = b.dir, out, out
	s.cmd.Env = b.childEnv()
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = stopLimit
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	b.running = append(b.running, s)
	if s.addr, err = s.address(ctx); err != nil {
		return nil, errors.Join(err, b.stop(s))
	}
	return s, nil
}

// childEnv is the parent's, with nothing that configures rollcall but the file of its key.
func (b *bench) childEnv() []string {
	env := []string{
		"ROLLCALL_KEY_FILE=" + filepath.Join(b.dir, "key"),
		"ROLLCALL_ALLOW_PRIVATE_TARGETS=1", "ROLLCALL_ALLOW_LOOPBACK_TARGETS=1",
	}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ROLLCALL_") {
			env = append(env, e)
		}
	}
	return env
}

// address waits for the line that says where the server listens.
func (s *server) address(ctx context.Context) (addr string, err error) {
	err = s.await(ctx, startLimit, "say where it listens", func(log []byte) bool {
		if m := addressText.FindSubmatch(log); m != nil {
			addr = string(m[1])
		}
		return addr != ""
	})
	return addr, err
}

// await waits until what the server has printed satisfies found.
func (s *server) await(ctx context.Context, limit time.Duration, what string, found func(log []byte) bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		log, err := os.ReadFile(s.log)
		if err != nil {
			return err
		}
		if found(log) {
			return nil
		}
		select {
		case <-look.C:
		case <-s.done:
			return fmt.Errorf("%s ended: %w\n%s", s.name, errors.Join(s.err, errEnded), s.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s did not %s: %w\n%s", s.name, what, ctx.Err(), s.tail())
		}
	}
}

var errEnded = errors.New("the process is gone")

// tail is the end of what the server printed, for errors.
func (s *server) tail() string {
	log, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-1500):])
}

// requests counts the requests that a rollcall serve has logged.
func (s *server) requests() (int, error) {
	log, err := os.ReadFile(s.log)
	return bytes.Count(log, []byte("msg=request ")), err
}

// stop ends a server and waits for its end.
func (b *bench) stop(s *server) error {
	s.in.Close()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill %s: %w", s.name, err)
		}
		<-s.done
	}
	for i, r := range b.running {
		if r == s {
			b.running = append(b.running[:i], b.running[i+1:]...)
			break
		}
	}
	return nil
}

// stopAll ends what still runs, the youngest first, and database servers last.
func (b *bench) stopAll() error {
	var errs []error
	for len(b.running) > 0 {
		n := len(b.running)
		errs = append(errs, b.stop(b.running[n-1]))
		if len(b.running) == n {
			break
		}
	}
	for _, p := range b.servers {
		errs = append(errs, p.Stop())
	}
	b.servers = nil
	return errors.Join(errs...)
}

// cpu is the processor time the server has used so far, in user and kernel mode.
func (s *server) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", s.name, err)
	}
	used, err := statOf(string(text))
	return used.own, err
}

func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// peak is the greatest resident size the server has had so far, in bytes.
func (s *server) peak() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("peak memory of %s: %w", s.name, err)
	}
	return parsePeak(string(text))
}

func parsePeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("no VmHWM in /proc/PID/status")
}

// rollcall runs one command to its end and returns what it printed. The settings stand in the environment: a command refuses
// a flag that it does not look at.
func (b *bench) rollcall(ctx context.Context, database string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.binary, args...)
	cmd.Dir, cmd.Env = b.dir, append(b.childEnv(), "ROLLCALL_DATABASE="+database)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("rollcall %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(problem.Bytes()))
	}
	return out, nil
}

// serve starts the product on a database.
func (b *bench) serve(ctx context.Context, name, database string) (*server, error) {
	return b.start(ctx, name, b.binary, "serve", "--database", database, "--listen", "127.0.0.1:0")
}

// child starts this program again as one of the contenders.
func (b *bench) child(ctx context.Context, kind string, args ...string) (*server, error) {
	return b.start(ctx, kind, b.self, append([]string{"-child", kind}, args...)...)
}
