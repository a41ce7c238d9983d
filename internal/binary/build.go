package binary

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Build returns the path of the real binary. If ROLLCALL_TEST_BINARY is set, its value is the path,
// because scripts/test builds one binary for all packages. Otherwise the first call builds the
// binary. It is built without the race detector, because tests that kill processes, run a browser
// or move many rows should measure the product, not its instrumentation.
func Build() (string, error) {
	if path := os.Getenv("ROLLCALL_TEST_BINARY"); path != "" {
		return path, nil
	}
	buildCalled.Store(true)
	return buildOnce()
}

var buildCalled atomic.Bool // whether this process has called buildOnce

// buildOnce builds the binary at its first call. It returns the path of the binary.
var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rollcall-binary-")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "rollcall")
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, "github.com/rollcall-scim/rollcall/cmd/rollcall")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rollcall: %w\n%s", err, text)
	}
	return out, nil
})

// Clean removes the binary at the end of a test process that may have built it. It returns an exit
// code: 0, or 1 if it could not remove the binary.
func Clean() int {
	if !buildCalled.Load() {
		return 0
	}
	path, err := buildOnce()
	if err != nil {
		return 0 // the build failed, so there is no binary to remove
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		fmt.Fprintln(os.Stderr, "remove the binary:", err)
		return 1
	}
	return 0
}
