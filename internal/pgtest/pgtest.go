// Package pgtest gives each test its own PostgreSQL database.
//
// The first test that needs PostgreSQL starts it, once for each test process. The server uses the
// programs that Debian installs, runs as an unprivileged user, and listens on a socket in a
// temporary folder. It stops when the test process ends, even if the process is killed. [Main]
// waits until it has stopped. Without PostgreSQL the tests are skipped, or fail if
// ROLLCALL_TEST_ALL=1.
//
// The server sorts text by the rules of a language, as production servers do. So tests find queries
// that rely on the order of bytes.
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

// cluster is the running PostgreSQL server of a test process.
type cluster struct {
	*pgserver.Server
	copyClause string       // the last clause of "create database", which says how to copy the template
	databases  atomic.Int64 // how many databases were created for tests; the number is part of the name of each
}

var (
	// startedCluster is the server of this test process; it is nil until a test needs the server.
	startedCluster atomic.Pointer[cluster]
	// sharedCluster returns the server of this test process. The first call starts the server.
	sharedCluster = sync.OnceValues(func() (*cluster, error) {
		c, err := start()
		if err != nil {
			return nil, fmt.Errorf("start PostgreSQL: %w", err)
		}
		return c, nil
	})
)

// stop ends the server of this test process, if it was started.
func stop() error {
	c := startedCluster.Load()
	if c == nil {
		return nil
	}
	return c.Stop()
}

// start starts a server. The server sorts by English rules if it can, otherwise by bytes. The
// server does not flush to disk, because no test needs its data after a crash.
func start() (*cluster, error) {
	// Do not use t.TempDir: the path of a socket has at most 107 bytes, and the folder must outlive
	// this test.
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
	startedCluster.Store(c)
	if c.copyClause, err = fileCopyClause(context.Background(), server); err != nil {
		return nil, err
	}
	return c, nil
}

// Template returns a function that can be passed to Database. The first call of that function
// creates a database with this name and fills it by calling fill. Each call returns the name.
func Template(name string, fill func(ctx context.Context, url string) error) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		c, err := sharedCluster()
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

// EmptyDatabase returns the URL of a new database without tables. The database is dropped when the
// test ends.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	return requireCluster(t).createDatabase(t, "template1")
}

// Database returns the URL of a new database that is a copy of a template. The database is dropped
// when the test ends.
func Database(t testing.TB, template func() (string, error)) string {
	t.Helper()
	c := requireCluster(t)
	name, err := template()
	if err != nil {
		t.Fatal(err)
	}
	return c.createDatabase(t, name)
}

// requireCluster returns the PostgreSQL server of this process. It starts the server if necessary.
// If PostgreSQL is not installed, requireCluster skips the test, or fails it if MustRunAll returns
// true. If PostgreSQL does not start, it fails the test.
func requireCluster(t testing.TB) *cluster {
	t.Helper()
	c, err := sharedCluster()
	skipOrFail(t, err)
	return c
}

// RequireInstalled skips or fails the test if PostgreSQL is not installed.
func RequireInstalled(t testing.TB) {
	t.Helper()
	skipOrFail(t, pgserver.Available())
}

// skipOrFail does nothing if err is nil. It skips the test if PostgreSQL is not installed, unless
// no test may be skipped. For any other error it fails the test.
func skipOrFail(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, pgserver.ErrNoBinaries) && !MustRunAll():
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// MustRunAll reports whether every test must run. If so, a test that cannot run fails. Otherwise it
// is skipped.
func MustRunAll() bool { return os.Getenv("ROLLCALL_TEST_ALL") == "1" }

// Available reports whether PostgreSQL is installed. It also returns true if no test may be
// skipped.
func Available() bool { return pgserver.Available() == nil || MustRunAll() }

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

// fileCopyClause returns the clause of "create database" that makes PostgreSQL copy a template file
// by file. Versions before 15 always copy that way and have no such clause. Without the clause,
// later versions copy page by page through the write-ahead log, which takes four times the
// processor time.
func fileCopyClause(ctx context.Context, c *pgserver.Server) (clause string, err error) {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, `
		select case when current_setting('server_version_num')::int >= 150000 then ' strategy file_copy' else '' end`).Scan(&clause)
	return clause, errors.Join(err, conn.Close(ctx))
}

// createDatabase creates a database for a test, as a copy of a template, and returns its URL. The
// database is dropped when the test ends.
func (c *cluster) createDatabase(t testing.TB, template string) string {
	t.Helper()
	name := "test_" + strconv.FormatInt(c.databases.Add(1), 10)
	if err := c.Exec(t.Context(), "create database "+name+" template "+template+c.copyClause); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Exec(context.Background(), "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
	})
	return c.URL(name)
}
