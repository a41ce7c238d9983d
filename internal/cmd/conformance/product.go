package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"

	"github.com/rollcall-scim/rollcall/internal/binary"
)

// product is the rollcall binary under test, with a fresh database.
type product struct {
	binary string          // the path of the binary
	dir    string          // the folder with the database and the server's log
	addr   string          // the address of the running server, as host:port
	server *binary.Process // the running server
}

// command returns a rollcall command for the database, not yet started.
func (p *product) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.binary, append([]string{"--database", filepath.Join(p.dir, "rollcall.db")}, args...)...)
	cmd.Dir = p.dir
	cmd.Env = binary.CleanEnv() // remove Rollcall's settings, so that the environment of this process does not configure the server under test
	return cmd
}

// runCommand runs one rollcall command and returns its output.
func (p *product) runCommand(ctx context.Context, args ...string) (string, error) {
	return binary.Output(p.command(ctx, args...))
}

// createSite creates an empty site with the profile "full" and returns a token for it.
func (p *product) createSite(ctx context.Context, name string, strict bool) (token string, err error) {
	if _, err := p.runCommand(ctx, "site", "create", name, "--profile", "full"); err != nil {
		return "", err
	}
	if strict {
		if _, err := p.runCommand(ctx, "site", "set", name, "--strict"); err != nil {
			return "", err
		}
	}
	return p.runCommand(ctx, "token", "create", name)
}

// siteURL returns the tenant URL of a site.
func (p *product) siteURL(name string) string {
	return "http://" + p.addr + "/c/" + name + "/auth/scim/v2"
}

// serve starts the server on a free port and waits until it has logged its address.
func (p *product) serve(ctx context.Context) (err error) {
	p.server, err = binary.Start(p.command(ctx, "serve", "--listen", "127.0.0.1:0"), "rollcall serve", filepath.Join(p.dir, "serve.log"))
	if err != nil {
		return err
	}
	if p.addr, err = p.server.Address(ctx); err != nil {
		return errors.Join(err, p.stop())
	}
	return nil
}

// stop ends the server.
func (p *product) stop() error { return p.server.Stop() }
