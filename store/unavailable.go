package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// UnavailableError is a database that does not do its work now: it has no room, takes no writes, or cannot be reached.
// The same request may succeed later.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return "the database is not available: " + e.Err.Error() }
func (e *UnavailableError) Unwrap() error { return e.Err }

// DatabaseUnavailable tells packages that do not know this one.
func (e *UnavailableError) DatabaseUnavailable() bool { return true }

// errReplaced ends every write to a file that is no longer the one that was opened.
var errReplaced = errors.New("the database file was removed or replaced while it was open: stop this process, put the file in its place, remove the -wal and -shm files of another one, and start again")

// isUnavailable reports whether an error is the database's state and not the request's fault. Of several errors joined
// any one decides: after a full disk SQLite may also miss the savepoint that went with the transaction.
func isUnavailable(err error) bool {
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case nil:
		return false
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), isUnavailable)
	case *sqlite.Error:
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
			sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_BUSY:
			return true
		}
		return false
	case *pgconn.ConnectError, *net.OpError:
		return true
	case *pgconn.PgError:
		if e.Code == "25006" { // read_only_sql_transaction
			return true
		}
		// No connection, no room, shut down or starting, a failing disk, damaged data.
		for _, class := range []string{"08", "53", "57P", "58", "XX001", "XX002"} {
			if strings.HasPrefix(e.Code, class) {
				return true
			}
		}
		return false
	}
	return err == errReplaced || err == io.ErrUnexpectedEOF || pgconn.SafeToRetry(err) || isUnavailable(errors.Unwrap(err)) //nolint:errorlint // as above
}

// health remembers whether the database does its work, and tells of each change once.
type health struct {
	log *slog.Logger

	mu      sync.Mutex
	down    error     // why the last write failed; nil: it did not
	written time.Time // when a write last succeeded, on the machine's clock

	writes, unavailable int64 // transactions so far

	asking sync.Mutex // one probe at a time
}

// probeEvery is how long a write that succeeded answers for the next.
const probeEvery = time.Second

// outcome notes how a transaction ended, and marks the error of one that the database could not do.
func (h *health) outcome(ctx context.Context, err error, wrote bool) error {
	switch {
	case err == nil && wrote:
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.down != nil {
			h.log.Info("the database takes writes again")
		}
		h.down, h.written = nil, time.Now()
		h.writes++
		return nil
	case err == nil || ctx.Err() != nil || !isUnavailable(err):
		return err
	}
	if _, marked := errors.AsType[*UnavailableError](err); !marked {
		err = &UnavailableError{err}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down == nil {
		h.log.Error("the database does not do its work: requests are answered 503 until it does", "error", err)
	}
	h.down = err
	h.unavailable++
	return err
}

// fresh reports whether a write succeeded just now.
func (h *health) fresh() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down == nil && time.Since(h.written) < probeEvery
}

// Ready returns why the database does not take writes, or nil. It writes, unless a write has just succeeded.
func (db *DB) Ready(ctx context.Context) error {
	db.health.asking.Lock()
	defer db.health.asking.Unlock()
	if db.health.fresh() {
		return nil
	}
	return db.of(fair.System).update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, "update event_base set base = base"); err != nil {
			return fmt.Errorf("write to the database: %w", err)
		}
		return nil
	})
}

// identity tells the file that was opened from another one of its name.
type identity struct {
	path string
	info os.FileInfo
}

func identify(path string) (identity, error) {
	info, err := os.Stat(path)
	return identity{path, info}, err
}

// check returns errReplaced when the name stands for another file, or none, now.
func (i identity) check() error {
	if i.info == nil {
		return nil
	}
	info, err := os.Stat(i.path)
	if err != nil || !os.SameFile(i.info, info) {
		return errReplaced
	}
	return nil
}
