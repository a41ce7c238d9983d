// Command rollcall is the whole product. It serves sites and directories. Its other commands do the
// same as the pages, even while a server runs on the same database.
//
// This package reads flags and environment variables, connects the other packages, and prints
// results. Rules live in the domain packages, SQL in store, protocols in scimserver and scimclient.
//
// A method that is named after a command returns this command: appCreate returns `rollcall app
// create`. A type whose name ends in JSON is the form of an object in --json output. A function
// whose name ends in Words or Text describes something for people. A function with Harm in its name
// describes what a change would do to people's accounts, so that the command can ask first.
//
// A job provisions one application. A credential is sealed if it is encrypted with the key in the
// key file. A lease is an entry in the database by which one process claims some work, so that no
// other process does it too; it expires if it is not renewed.
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
		isInteractive: isTerminal(os.Stdin) && isTerminal(os.Stderr), outputIsTerminal: isTerminal(os.Stdout),
	})
	stop()
	os.Exit(code)
}

// process holds the parts of the operating-system process that a command uses. Tests set them to
// run commands without starting a process.
type process struct {
	stdin            io.Reader
	stdout, stderr   io.Writer
	getenv           func(string) string
	now              func() time.Time
	isInteractive    bool // whether a person uses the command, so that it may ask questions
	outputIsTerminal bool // whether standard output is a terminal; if not, no sign-in link is printed, because a log may keep the output
}

// run executes one command line and returns its exit code: 0 for success; 1 for a failure, with one
// sentence on standard error; 2 for wrong usage, or for a plan that has operations; 3 if some work
// is left that has to wait; 4 for a question that no one can answer, because there is no terminal.
func run(ctx context.Context, args []string, p process) int {
	root := newRoot(p)
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	text, code := describeError(root.ExecuteContext(ctx))
	fmt.Fprint(peopleWriter{p.stderr}, text)
	return code
}

// errAlreadyPrinted ends a command with exit code 1 when the command has already printed the
// reason.
var errAlreadyPrinted = errors.New("said")

// errLeftWaiting ends a command with exit code 3: nothing failed, but some work is left that has to
// wait.
var errLeftWaiting = errors.New("waits")

// errTimeout is the cause of a context that ended because the command took longer than --timeout
// allows.
var errTimeout = errors.New("timeout")

// usageError means that the command line is wrong.
type usageError struct {
	command string // the path of the command with a space at the end; "" if no command was found
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

// versionText returns the version that the linker set. If it set none, versionText returns the
// result of buildVersion.
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

// buildVersion returns the version of a build without a version from the linker: the version of the
// module, otherwise the commit, otherwise "devel".
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
