package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	installLimit = 5 * time.Minute
	toolLimit    = 5 * time.Minute
)

// tools are programs of other projects. Each is installed once, from its registry, into a temporary
// directory.
type tools struct {
	dir    string
	python *environment
}

// runProgram runs a program and returns its standard output. The error contains the end of its other
// output. A program that exits with a failure but has printed results is not an error; exitCode
// shows the failure.
func runProgram(ctx context.Context, limit time.Duration, env []string, name string, args ...string) (out []byte, exitCode int, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 10 * time.Second
	var printed, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &problem
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, 0, fmt.Errorf("%s did not end within %s: %w", filepath.Base(name), limit, ctx.Err())
	case errors.As(err, &exit):
		return printed.Bytes(), exit.ExitCode(), errors.New(reasonIn(problem.String() + "\n" + printed.String()))
	}
	return printed.Bytes(), 0, err
}

// reasonIn returns the line of a program's output that explains its failure: the first line that
// starts like an error (pip, npm), otherwise the last line (Python).
func reasonIn(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		if lower := strings.ToLower(strings.TrimSpace(line)); strings.HasPrefix(lower, "error") || strings.HasPrefix(lower, "npm error") {
			return oneLine(line)
		}
	}
	return oneLine(lines[len(lines)-1])
}

// environment is a Python virtual environment with the testers.
type environment struct {
	bin      string
	versions map[string]string
	problem  error // why the environment could not be created; nil if it was
}

// installTesters installs the newest testers. It remembers a failure, because the installation would fail
// for the next suite too.
func (t *tools) installTesters(ctx context.Context) (*environment, error) {
	if t.python == nil {
		t.python = &environment{}
		t.python.problem = t.python.install(ctx, filepath.Join(t.dir, "python"))
	}
	return t.python, t.python.problem
}

func (e *environment) install(ctx context.Context, dir string) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return newMissingTool("python3 is not installed")
	}
	if _, _, err := runProgram(ctx, installLimit, nil, python, "-m", "venv", dir); err != nil {
		return newMissingTool("python3 makes no virtual environment: %v", err)
	}
	e.bin = filepath.Join(dir, "bin")
	pip := filepath.Join(e.bin, "pip")
	quiet := []string{"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1"}
	if _, _, err := runProgram(ctx, installLimit, quiet, pip, "install", "--quiet", "scim2-cli", "scim2-tester", "scim-sanity"); err != nil {
		return newMissingTool("pip does not install scim2-cli, scim2-tester and scim-sanity: %v", err)
	}
	out, _, err := runProgram(ctx, installLimit, quiet, pip, "list", "--format", "json")
	if err != nil {
		return fmt.Errorf("pip list: %w", err)
	}
	var installed []struct{ Name, Version string }
	if err := json.Unmarshal(out, &installed); err != nil {
		return fmt.Errorf("pip list: %w", err)
	}
	e.versions = map[string]string{}
	for _, p := range installed {
		e.versions[p.Name] = p.Version
	}
	return nil
}
