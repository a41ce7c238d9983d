package binary

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Build returns the path of the real binary: the one that ROLLCALL_TEST_BINARY names, which scripts/test builds once for all
// packages, or one that is built when first asked for. It is built without the race detector: tests that kill
// processes, run a browser or move many rows measure the product, not its instrumentation.
func Build() (string, error) {
	if path := os.Getenv("ROLLCALL_TEST_BINARY"); path != "" {
		return path, nil
	}
	asked.Store(true)
	return build()
}

var asked atomic.Bool // whether this process has built one

var build = sync.OnceValues(func() (string, error) {
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

// Clean removes the binary at the end of a test process that may have built it, and
// returns the exit code of that: 0, or 1 when it could not.
func Clean() int {
	if !asked.Load() {
		return 0
	}
	path, err := build()
	if err != nil {
		return 0 // it could not be built
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		fmt.Fprintln(os.Stderr, "remove the binary:", err)
		return 1
	}
	return 0
}
