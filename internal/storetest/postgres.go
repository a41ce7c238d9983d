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

	"github.com/rollcall-scim/rollcall/internal/pgserver"
	"github.com/rollcall-scim/rollcall/store"
)

// cluster is a running PostgreSQL server.
type cluster struct {
	*pgserver.Server
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
		},
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c := &cluster{Server: server}
	started.Store(c)
	return c, c.makeTemplate()
}

func (c *cluster) makeTemplate() error {
	ctx := context.Background()
	if err := c.Exec(ctx, "create database rollcall_template"); err != nil {
		return err
	}
	db, err := store.Open(ctx, c.URL("rollcall_template"), store.Options{})
	if err != nil {
		return err
	}
	return errors.Join(db.Migrate(ctx), db.Close())
}

// database makes a database of its own for a test.
func (c *cluster) database(t testing.TB, template string) string {
	t.Helper()
	name := "test_" + strconv.FormatInt(c.databases.Add(1), 10)
	if err := c.Exec(t.Context(), "create database "+name+" template "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Exec(context.Background(), "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
	})
	return c.URL(name)
}
