// Command rollcall is the one binary of both ends: it serves sites and
// directories, and its other commands do from the command line what the pages
// do, beside a running server on the same database.
//
// This package parses flags and environment into the structs that the rooms
// define, wires them, and prints. Rules live in the domains, SQL in store,
// protocols in the edges.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases (-X main.version=v1.2.3).
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], process{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, now: time.Now,
		terminal: isTerminal(os.Stdin) && isTerminal(os.Stderr), screen: isTerminal(os.Stdout),
	})
	stop()
	os.Exit(code)
}

// process is what a command may touch of the process it runs in, so that
// tests run commands without starting one.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	terminal       bool // somebody sits at it: questions can be asked
	screen         bool // standard output is a terminal, so that a sign-in link on it is kept in no log
}

// run executes one command line and returns its exit code: 0 done, 1 it
// failed with one sentence on standard error, 2 wrong usage.
func run(ctx context.Context, args []string, p process) int {
	root := newRoot(p)
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	text, code := answer(root.ExecuteContext(ctx))
	fmt.Fprint(forPeople{p.stderr}, text)
	return code
}

// errSaid ends a command with exit code 1 whose reason is already printed.
var errSaid = errors.New("said")

// usageError is a command line that cannot be carried out as written.
type usageError struct {
	command string // path of the command, with a trailing blank, or ""
	err     error
}

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return usageError{command: commandPath(cmd), err: fmt.Errorf(format, args...)}
}

func commandPath(cmd *cobra.Command) string {
	path := ""
	for c := cmd; c != nil && c.HasParent(); c = c.Parent() {
		path = c.Name() + " " + path
	}
	return path
}

// versionText is the stamped version, or what the build recorded.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return buildVersion(info)
}

// buildVersion is the version of a build that nobody stamped: of the module where it has one, else of the commit, else "devel".
func buildVersion(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	text := "devel"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			text += "-" + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			text += "+dirty"
		}
	}
	return text + " (" + info.GoVersion + ")"
}
