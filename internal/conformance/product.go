package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 30 * time.Second
	stopLimit  = 20 * time.Second
)

// product is the built binary with a fresh database.
type product struct {
	binary string
	dir    string // holds the database and the server's log
	addr   string // host:port of the running server
	cmd    *exec.Cmd
	done   chan struct{}
	err    error // how the server ended; read after done is closed
}

func (p *product) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.binary, append([]string{"--database", filepath.Join(p.dir, "rollcall.db")}, args...)...)
	cmd.Dir = p.dir
	// Nothing of the surroundings configures the server under test.
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ROLLCALL_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	return cmd
}

// output runs one command to its end.
func (p *product) output(ctx context.Context, args ...string) (string, error) {
	cmd := p.command(ctx, args...)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("rollcall %s: %w: %s", strings.Join(args, " "), err, problem.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// createSite makes an empty site with profile full and returns a token for it.
func (p *product) createSite(ctx context.Context, name string, strict bool) (token string, err error) {
	if _, err := p.output(ctx, "site", "create", name, "--profile", "full"); err != nil {
		return "", err
	}
	if strict {
		if _, err := p.output(ctx, "site", "set", name, "--strict"); err != nil {
			return "", err
		}
	}
	return p.output(ctx, "token", "create", name)
}

func (p *product) siteURL(name string) string {
	return "http://" + p.addr + "/c/" + name + "/auth/scim/v2"
}

var addressText = regexp.MustCompile(`address"?[=:]"?((?:\d+\.){3}\d+:\d+)`)

// serve starts the server on a free port and returns once it has said where it listens.
func (p *product) serve(ctx context.Context) error {
	log, err := os.Create(p.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = p.command(ctx, "serve", "--listen", "127.0.0.1:0")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopLimit
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start rollcall serve: %w", err)
	}
	p.done = make(chan struct{})
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := p.awaitAddress(ctx); err != nil {
		return errors.Join(err, p.stop())
	}
	return nil
}

func (p *product) logFile() string { return filepath.Join(p.dir, "serve.log") }

func (p *product) awaitAddress(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		log, err := os.ReadFile(p.logFile())
		if err != nil {
			return err
		}
		if m := addressText.FindSubmatch(log); m != nil {
			p.addr = string(m[1])
			return nil
		}
		select {
		case <-look.C:
		case <-p.done:
			return fmt.Errorf("rollcall serve ended before it listened: %v\n%s", p.err, log)
		case <-ctx.Done():
			return fmt.Errorf("rollcall serve did not say where it listens: %w\n%s", ctx.Err(), log)
		}
	}
}

func (p *product) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop rollcall serve: %w", err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopLimit):
		err := p.cmd.Process.Kill()
		<-p.done
		return errors.Join(fmt.Errorf("rollcall serve did not stop within %s", stopLimit), err)
	}
}
