package storetest

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

// running starts the server when first called; started is what it made, for
// stop. There is one for each test process.
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

// start runs a server that sorts by English rules where it can, and by bytes
// where it cannot. Nothing that a test leaves is worth waiting for the disk.
func start() (*cluster, error) {
	// Not t.TempDir: a socket's path has at most 107 bytes, and the folder outlives the test that made it.
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
	return c, c.makeTemplate()
}

func (c *cluster) makeTemplate() error {
	ctx := context.Background()
	if err := c.Exec(ctx, "create database rollcall_template"); err != nil {
		return err
	}
	return migrate(ctx, c.URL("rollcall_template"))
}

// byFile makes a database by copying the template's files, as every PostgreSQL before 15 does and later ones when asked.
// What they do otherwise, page by page through the log, takes four times the processor time.
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
