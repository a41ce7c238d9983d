// Package foreign installs programs of other projects from their registries, and runs them.
// Everything goes into a folder that the caller removes, except the packages of
// InstallDebianPackages, which stay installed on the machine.
package foreign

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

// The time limits for installing one program, and for running one program.
const (
	InstallLimit = 5 * time.Minute
	RunLimit     = 5 * time.Minute
)

// Missing is the error for a program, package or file that this machine lacks and that could not be
// installed.
type Missing struct{ Message string }

func (m Missing) Error() string { return m.Message }

// NewMissing returns a Missing error with this message, on one line.
func NewMissing(format string, args ...any) error {
	return Missing{OneLine(fmt.Sprintf(format, args...))}
}

// OneLine replaces every run of white space by one space. It cuts the result after 600 characters.
func OneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > 600 {
		s = string(runes[:600]) + "…"
	}
	return s
}

// Run runs a program and returns its standard output. If the program exits with a code other than
// 0, Run also returns that code, and an error with the line of output that explains the failure. If
// the program does not start, or does not end within limit, exitCode is 0.
func Run(ctx context.Context, limit time.Duration, env []string, name string, args ...string) (out []byte, exitCode int, err error) {
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
// begins with "error", as pip and npm write it; otherwise the last line, as Python writes it.
func reasonIn(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		if lower := strings.ToLower(strings.TrimSpace(line)); strings.HasPrefix(lower, "error") || strings.HasPrefix(lower, "npm error") || strings.HasPrefix(lower, "[error]") {
			return OneLine(line)
		}
	}
	return OneLine(lines[len(lines)-1])
}

// Python is a virtual environment of Python.
type Python struct {
	Bin      string            // the folder with the programs of the environment
	Versions map[string]string // the versions of the installed packages, by name
}

// InstallPython makes a virtual environment in dir and installs the newest versions of packages. It
// returns a Missing error on a machine without Python, or if the packages cannot be installed.
func InstallPython(ctx context.Context, dir string, packages ...string) (*Python, error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return nil, NewMissing("python3 is not installed")
	}
	if _, _, err := Run(ctx, InstallLimit, nil, python, "-m", "venv", dir); err != nil {
		return nil, NewMissing("python3 makes no virtual environment: %v", err)
	}
	p := &Python{Bin: filepath.Join(dir, "bin"), Versions: map[string]string{}}
	pip := filepath.Join(p.Bin, "pip")
	quiet := []string{"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1"}
	if _, _, err := Run(ctx, InstallLimit, quiet, pip, append([]string{"install", "--quiet"}, packages...)...); err != nil {
		return nil, NewMissing("pip does not install %s: %v", strings.Join(packages, ", "), err)
	}
	out, _, err := Run(ctx, InstallLimit, quiet, pip, "list", "--format", "json")
	if err != nil {
		return nil, fmt.Errorf("pip list: %w", err)
	}
	var installed []struct{ Name, Version string }
	if err := json.Unmarshal(out, &installed); err != nil {
		return nil, fmt.Errorf("pip list: %w", err)
	}
	for _, one := range installed {
		p.Versions[one.Name] = one.Version
	}
	return p, nil
}

// InstallNPMPackages installs packages of npm into dir. It returns a Missing error on a machine
// without npm, or if the packages cannot be installed.
func InstallNPMPackages(ctx context.Context, dir string, packages ...string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return NewMissing("npm is not installed")
	}
	args := append([]string{"install", "--prefix", dir, "--no-audit", "--no-fund"}, packages...)
	if _, _, err := Run(ctx, InstallLimit, nil, npm, args...); err != nil {
		return NewMissing("npm does not install %s: %v", strings.Join(packages, ", "), err)
	}
	return nil
}

// NPMPackageVersion returns the version of a package that InstallNPMPackages has installed into
// dir.
func NPMPackageVersion(dir, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "node_modules", name, "package.json"))
	if err != nil {
		return "", err
	}
	var about struct{ Version string }
	err = json.Unmarshal(text, &about)
	return about.Version, err
}

// InstallDebianPackages installs the Debian packages that are not installed yet. It runs apt-get as
// root, or with sudo. It returns a Missing error if the system has no apt-get, or if apt-get fails,
// for example without the rights of root.
func InstallDebianPackages(ctx context.Context, packages ...string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return NewMissing("this is not Debian, or a system based on it; %s cannot be installed", strings.Join(packages, ", "))
	}
	var missing []string
	for _, name := range packages {
		out, _, err := Run(ctx, RunLimit, nil, "dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}", name)
		if err != nil || !strings.HasPrefix(string(out), "ii") {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	install := append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends"}, missing...)
	if os.Getuid() != 0 {
		install = append([]string{"sudo", "-n"}, install...)
	}
	if err := updateDebian(ctx); err != nil {
		return err
	}
	if _, _, err := Run(ctx, InstallLimit, nil, install[0], install[1:]...); err != nil {
		return NewMissing("apt-get does not install %s: %v", strings.Join(missing, ", "), err)
	}
	return nil
}

// updateDebian runs apt-get update, which gets the newest lists of Debian's packages.
func updateDebian(ctx context.Context) error {
	update := []string{"apt-get", "update", "-q"}
	if os.Getuid() != 0 {
		update = append([]string{"sudo", "-n"}, update...)
	}
	if _, _, err := Run(ctx, InstallLimit, nil, update[0], update[1:]...); err != nil {
		return NewMissing("apt-get update: %v", err)
	}
	return nil
}

// UnpackDebianPackage downloads a Debian package and unpacks it into dir. It installs neither the
// package nor what the package depends on. It returns the version of the package.
func UnpackDebianPackage(ctx context.Context, dir, name string) (version string, err error) {
	// apt-get downloads into the folder in which it runs.
	download := []string{"env", "-C", dir, "apt-get", "download", "-q", name}
	if _, _, err = Run(ctx, InstallLimit, nil, download[0], download[1:]...); err != nil {
		if err := updateDebian(ctx); err != nil {
			return "", err
		}
		if _, _, err = Run(ctx, InstallLimit, nil, download[0], download[1:]...); err != nil {
			return "", NewMissing("apt-get does not download %s: %v", name, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("apt-get downloaded %d files of %s: %w", len(files), name, err)
	}
	if _, _, err := Run(ctx, InstallLimit, nil, "dpkg-deb", "--extract", files[0], dir); err != nil {
		return "", fmt.Errorf("unpack %s: %w", name, err)
	}
	out, _, err := Run(ctx, RunLimit, nil, "dpkg-deb", "--field", files[0], "Version")
	return strings.TrimSpace(string(out)), err
}
