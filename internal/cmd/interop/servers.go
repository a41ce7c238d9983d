package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rollcall-scim/rollcall/internal/binary"
	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// server is a running target.
type server struct {
	software string                                     // the software and its version
	base     string                                     // the server's SCIM address, without a query such as compliantFlag
	process  *binary.Process                            // the process of the target; nil for a Rollcall site
	site     *binary.Installation                       // the installation, if the target is a Rollcall site; otherwise nil
	token    string                                     // the token that Rollcall sends to the target
	restart  func(ctx context.Context) (*server, error) // starts the target again, with no data
}

// stop ends the target.
func (s *server) stop() error {
	if s.site != nil {
		return s.site.Close()
	}
	if s.process == nil {
		return nil
	}
	return s.process.Stop()
}

// target is a server to provision into, before it is installed and started. Each target has a row
// in the report's table.
type target struct {
	name        string // the name of the target, and of the application that provisions into it
	description string // what the target is, for the report
	flag        string // the query of the Tenant URL, such as compliantFlag; empty for none
	// start installs the target into the folder dir and starts it. binary is the path of the
	// rollcall binary.
	start func(ctx context.Context, dir, binary string) (*server, error)
}

// targets returns all targets, in the order of the report.
func targets() []target {
	return []target{
		{name: "rollcall", description: "a Rollcall site, profile full", start: startSite},
		{name: "scimmy", description: "SCIMMY with scimmy-routers on Express, from npm", start: startSCIMMY},
		{name: "scim2-server", description: "scim2-server, from PyPI", start: startSCIM2Server},
		{name: "elimity", description: "elimity-com/scim, a Go module, behind a small handler", start: startElimity},
		{name: "rollcall-flag", description: "a Rollcall site, with aadOptscim062020", flag: compliantFlag, start: startSite},
		{name: "elimity-flag", description: "elimity-com/scim, with aadOptscim062020", flag: compliantFlag, start: startElimity},
	}
}

// compliantFlag asks Entra's client for the PATCH bodies of RFC 7644.
const compliantFlag = "?aadOptscim062020"

// startSite starts another Rollcall installation with a site.
func startSite(ctx context.Context, dir, path string) (*server, error) {
	in, err := binary.New(ctx, binary.Options{Binary: path})
	if err != nil {
		return nil, err
	}
	site, err := in.CreateSite(ctx, "acme")
	if err == nil {
		err = in.Serve(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return &server{software: "this version", base: "http://" + in.Addr + "/c/acme/auth/scim/v2", site: in, token: site.Token, restart: func(ctx context.Context) (*server, error) {
		return startSite(ctx, dir, path)
	}}, nil
}

// secret is the token of the targets, and the client secret at the OpenID provider. It need not be
// secret, because they listen only on this machine and only during a run.
const secret = "interop-secret"

// scimmyProgram is our small server that uses SCIMMY.
//
//go:embed servers/scimmy.mjs
var scimmyProgram []byte

// startSCIMMY installs SCIMMY and starts our small server that uses it.
func startSCIMMY(ctx context.Context, dir, _ string) (*server, error) {
	if err := foreign.InstallNPMPackages(ctx, dir, "express@4", "scimmy", "scimmy-routers"); err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "scimmy.mjs")
	if err := os.WriteFile(program, scimmyProgram, 0o600); err != nil {
		return nil, err
	}
	with := ""
	for _, name := range []string{"scimmy", "scimmy-routers"} {
		version, err := foreign.NPMPackageVersion(dir, name)
		if err != nil {
			return nil, err
		}
		with += name + " " + version + " "
	}
	return start(ctx, dir, with, "/scim/v2", func(port string) *exec.Cmd {
		return exec.CommandContext(ctx, "node", program, port, secret)
	})
}

// startSCIM2Server installs scim2-server and starts its command.
func startSCIM2Server(ctx context.Context, dir, _ string) (*server, error) {
	python, err := foreign.InstallPython(ctx, dir, "scim2-server")
	if err != nil {
		return nil, err
	}
	return start(ctx, dir, "scim2-server "+python.Versions["scim2-server"], "/v2", func(port string) *exec.Cmd {
		return exec.CommandContext(ctx, filepath.Join(python.Bin, "scim2-server"), "--hostname", "127.0.0.1", "--port", port, "--bearer-token", secret)
	})
}

// elimityModule is a Go module with our small server that uses elimity-com/scim.
//
//go:embed servers/elimity.txtar
var elimityModule []byte

// startElimity builds our server that uses elimity-com/scim, and starts it.
func startElimity(ctx context.Context, dir, _ string) (*server, error) {
	for _, f := range txtar.Parse(elimityModule).Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			return nil, err
		}
	}
	program := filepath.Join(dir, "elimity")
	if _, _, err := foreign.Run(ctx, foreign.InstallLimit, nil, "go", "build", "-C", dir, "-o", program, "."); err != nil {
		return nil, foreign.NewMissing("go does not build the server on elimity-com/scim: %v", err)
	}
	const library = "github.com/elimity-com/scim"
	version, _, err := foreign.Run(ctx, foreign.RunLimit, nil, "go", "list", "-C", dir, "-m", "-f", "{{.Version}}", library)
	if err != nil {
		return nil, err
	}
	return start(ctx, dir, library+" "+strings.TrimSpace(string(version)), "/v2", func(port string) *exec.Cmd {
		return exec.CommandContext(ctx, program, port, secret)
	})
}

// start starts a target on a free port and waits until it answers. with names the software of the
// target, and path is the path of its SCIM address.
func start(ctx context.Context, dir, with, path string, command func(port string) *exec.Cmd) (*server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	if err := ln.Close(); err != nil {
		return nil, err
	}
	s := &server{software: with, base: "http://127.0.0.1:" + port + path, token: secret, restart: func(ctx context.Context) (*server, error) {
		return start(ctx, dir, with, path, command)
	}}
	if s.process, err = binary.Start(command(port), with, filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	err = s.process.Await(ctx, time.Minute, "answer", func([]byte) bool {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/Users?count=1", nil)
		if err != nil {
			return false
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		answer, err := http.DefaultClient.Do(r)
		return err == nil && answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", with, err), s.stop())
	}
	return s, nil
}
