package pgserver_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/pgserver"
	"github.com/rollcall-scim/rollcall/internal/pgtest"
)

// start starts a server in a new folder with a short path.
func start(t *testing.T, settings ...string) (*pgserver.Server, string, error) {
	t.Helper()
	pgtest.RequireInstalled(t)
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server, err := pgserver.Start(t.Context(), pgserver.Options{
		Dir: dir, RemoveDir: true, Locales: [][]string{{"--locale=C.UTF-8"}, {"--locale=C"}}, Settings: append(settings, "fsync=off"),
	})
	return server, dir, err
}

// TestAServerThatCannotStartIsNoticed starts a server with a setting that PostgreSQL refuses. The
// error says why.
func TestAServerThatCannotStartIsNoticed(t *testing.T) {
	t.Parallel()
	_, dir, err := start(t, "shared_buffers=nonsense")
	if err == nil || !strings.Contains(err.Error(), "PostgreSQL ended: exit status 1") || !strings.Contains(err.Error(), "shared_buffers") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
}

// TestAServerEndsWithStop stops a server that runs, and one that was killed before.
func TestAServerEndsWithStop(t *testing.T) {
	t.Parallel()
	for name, killed := range map[string]bool{"running": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, dir, err := start(t)
			if err != nil {
				t.Fatal(err)
			}
			if err := server.Exec(t.Context(), "select 1"); err != nil {
				t.Error(err)
			}
			if killed {
				text, err := server.PID()
				if err != nil {
					t.Fatal(err)
				}
				pid, err := strconv.Atoi(text)
				if err != nil {
					t.Fatal(err)
				}
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder is left: %v", err)
			}
		})
	}
}
