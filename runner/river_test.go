package runner_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rollcall-scim/rollcall/internal/storetest"
)

// faultyConn closes itself when a certain string is written to it.
type faultyConn struct {
	net.Conn
	text   string
	faults *atomic.Int64 // how many faults are still to happen
}

func (c faultyConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(c.text)) && c.faults.Add(-1) >= 0 {
		c.Close() //nolint:errcheck // it is broken on purpose
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(b)
}

// riverPool returns a pool whose connections can be changed.
func riverPool(t *testing.T, url string, change func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	change(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// TestRiverStartsAgain makes PostgreSQL go away twice while River starts: before there is a
// connection, and while River makes its tables.
func TestRiverStartsAgain(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	slices := make(chan string, 1)
	r := newRunner(t, url, "a", func(_ context.Context, key string, _ int64) (time.Time, error) {
		slices <- key
		return time.Time{}, nil
	})
	var refused, broken atomic.Int64
	refused.Store(1)
	broken.Store(1)
	r.Pool = riverPool(t, url, func(c *pgxpool.Config) {
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if refused.Add(-1) >= 0 {
				return nil, syscall.ECONNREFUSED
			}
			conn, err := dial(ctx, network, addr)
			return faultyConn{conn, "CREATE TABLE", &broken}, err
		}
	})
	var lines bytes.Buffer
	r.Log = slog.New(slog.NewTextHandler(&lines, nil))
	stop := start(t, r)
	wake(t, r, "k")
	if got := receive(t, slices, "a slice after the database is back"); got != "k" {
		t.Errorf("got %q", got)
	}
	stop()
	if refused.Load() >= 0 || broken.Load() >= 0 {
		t.Fatalf("not every fault happened: %d, %d", refused.Load(), broken.Load())
	}
	if n := strings.Count(lines.String(), "River does not start; trying again"); n != 2 {
		t.Errorf("the log says %d times that River does not start:\n%s", n, lines.String())
	}
}

// TestRiverThatIsRefusedDoesNotTryAgain lets River start without a schema for its tables. Trying
// again cannot help.
func TestRiverThatIsRefusedDoesNotTryAgain(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	r := newRunner(t, url, "a", func(context.Context, string, int64) (time.Time, error) { return time.Time{}, nil })
	r.Pool = riverPool(t, url, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["search_path"] = "nowhere" })
	ended := make(chan error, 1)
	go func() { ended <- r.Run(t.Context()) }()
	if err := receive(t, ended, "the end of Run"); err == nil || !strings.Contains(err.Error(), "make River's tables") {
		t.Errorf("got %v", err)
	}
}
