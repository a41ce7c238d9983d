// Package pgtest gives a test a PostgreSQL database of its own.
//
// PostgreSQL is started when the first test asks for it, once for each test process, from the
// binaries Debian installs, as an unprivileged user, on a socket in a temporary folder. It stops
// when the test process ends, in whatever way that happens; [Main] waits for it. Where the binaries
// are missing those tests are skipped, or fail when ROLLCALL_TEST_ALL=1.
//
// The server sorts text by the rules of a language, as production servers do, so that a query which
// relies on the order of bytes is found out.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rollcall-scim/rollcall/internal/pgserver"
)

// cluster is a running PostgreSQL server.
type cluster struct {
	*pgserver.Server
	byFile    string // the end of the statement that makes a database
	databases atomic.Int64
}

// running starts the server when first called; started is what it made, for stop. There is one for
// each test process.
var (
	started atomic.Pointer[cluster]
	running = sync.OnceValues(func() (*cluster, error) {
		c, err := start()
		if err != nil {
			return nil, fmt.Errorf("start PostgreSQL: %w", err)
		}
		return c, nil
	})
)

func stop() error {
	c := started.Load()
	if c == nil {
		return nil
	}
	return c.Stop()
}

// start runs a server that sorts by English rules where it can, and by bytes where it cannot.
// Nothing that a test leaves is worth waiting for the disk.
func start() (*cluster, error) {
	// Not t.TempDir: a socket's path has at most 107 bytes, and the folder outlives the test that
	// made it.
	dir, err := os.MkdirTemp("", "rollcall-pg-")
	if err != nil {
		return nil, err
	}
	server, err := pgserver.Start(context.Background(), pgserver.Options{
		Dir: dir, RemoveDir: true,
		Locales: [][]string{
			{"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"},
			{"--locale=C"},
		},
		Settings: []string{
			"fsync=off", "full_page_writes=off", "max_connections=400", "shared_buffers=64MB", "autovacuum=off", "log_min_messages=fatal",
			"wal_init_zero=off",
		},
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c := &cluster{Server: server}
	started.Store(c)
	if c.byFile, err = byFile(context.Background(), server); err != nil {
		return nil, err
	}
	return c, nil
}

// Template returns a template for Database: a function that makes the database of this name when
// first called, and has fill fill it.
func Template(name string, fill func(ctx context.Context, url string) error) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		c, err := running()
		if err != nil {
			return "", err
		}
		ctx := context.Background()
		if err := c.Exec(ctx, "create database "+name); err != nil {
			return "", err
		}
		return name, fill(ctx, c.URL(name))
	})
}

// Empty returns the URL of a database without tables, dropped when the test ends.
func Empty(t testing.TB) string {
	t.Helper()
	return server(t).database(t, "template1")
}

// Database returns the URL of a copy of a template, dropped when the test ends.
func Database(t testing.TB, template func() (string, error)) string {
	t.Helper()
	c := server(t)
	name, err := template()
	if err != nil {
		t.Fatal(err)
	}
	return c.database(t, name)
}

// server returns the process's PostgreSQL server, or ends the test.
func server(t testing.TB) *cluster {
	t.Helper()
	c, err := running()
	switch {
	case errors.Is(err, pgserver.ErrNoBinaries) && !All():
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return c
}

// All reports whether this run must not skip anything.
func All() bool { return os.Getenv("ROLLCALL_TEST_ALL") == "1" }

// Available reports whether PostgreSQL can be started here. Where nothing may be skipped it reports
// true.
func Available() bool { return pgserver.Available() == nil || All() }

// Main runs a package's tests and waits for PostgreSQL to stop. Use it as
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if err := stop(); err != nil {
		os.Stderr.WriteString("stop PostgreSQL: " + err.Error() + "\n")
		return max(code, 1)
	}
	return code
}

// byFile makes a database by copying the template's files, as every PostgreSQL before 15 does and
// later ones when asked. What they do otherwise, page by page through the log, takes four times the
// processor time.
func byFile(ctx context.Context, c *pgserver.Server) (clause string, err error) {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, `
		select case when current_setting('server_version_num')::int >= 150000 then ' strategy file_copy' else '' end`).Scan(&clause)
	return clause, errors.Join(err, conn.Close(ctx))
}

// database makes a database of its own for a test.
func (c *cluster) database(t testing.TB, template string) string {
	t.Helper()
	name := "test_" + strconv.FormatInt(c.databases.Add(1), 10)
	if err := c.Exec(t.Context(), "create database "+name+" template "+template+c.byFile); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Exec(context.Background(), "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
	})
	return c.URL(name)
}
