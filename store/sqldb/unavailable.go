package sqldb

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
)

// UnavailableError says that the database cannot work now: it has no room, takes no writes, or
// cannot be reached. The same request may succeed later.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return "the database is not available: " + e.Err.Error() }
func (e *UnavailableError) Unwrap() error { return e.Err }

// DatabaseUnavailable marks the error for packages that must not import this one: they look for the
// method.
func (e *UnavailableError) DatabaseUnavailable() bool { return true }

// errReplaced refuses every write to a file that was removed or replaced while it was open.
var errReplaced = errors.New("the database file was removed or replaced while it was open: stop this process, put the file in its place, remove the -wal and -shm files of another one, and start again")

// isUnavailable reports whether an error comes from the state of the database and not from the
// request. If several errors are joined, one such error is enough: after a full disk, SQLite may
// also report that the savepoint is gone.
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
		if e.Code == "25006" { // the transaction may only read: the server takes no writes
			return true
		}
		// These classes mean: no connection, no room, shutting down or starting, a failing disk,
		// damaged data.
		for _, class := range []string{"08", "53", "57P", "58", "XX001", "XX002"} {
			if strings.HasPrefix(e.Code, class) {
				return true
			}
		}
		return false
	}
	return err == errReplaced || err == errOverwritten || err == io.ErrUnexpectedEOF || pgconn.SafeToRetry(err) || isUnavailable(errors.Unwrap(err)) //nolint:errorlint // as above
}

// health remembers whether the database works, and logs each change once.
type health struct {
	log *slog.Logger

	// probe asks whether the database takes writes. It is called when a transaction succeeds while
	// the database counts as down, because that transaction may have written nothing.
	probe func()

	mu         sync.Mutex
	down       error     // why the last write failed, or nil
	proved     time.Time // when a probe last succeeded, on the machine's clock
	lastLogged time.Time // when the log last said that the database is down
	quiet      bool      // set if the log is not told that the database is down, because it was told shortly before

	writes, unavailable int64 // the numbers of transactions so far

	probing sync.Mutex // held while a probe runs, so that there is one at a time
}

const (
	// probeEvery is how long a successful probe stays valid.
	probeEvery = time.Second
	// probeTimeout is how long a probe in the background may take.
	probeTimeout = 5 * time.Second
	// downReportEvery is how often the log may report that the database is down. A nearly full disk
	// has room for small writes but not for large ones, so the state changes often.
	downReportEvery = time.Minute
)

// recordOutcome records how a transaction ended. If the database was not available, it returns an
// UnavailableError.
func (h *health) recordOutcome(ctx context.Context, err error, wrote bool) error {
	switch {
	case err == nil && wrote:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.writes++
		if h.down != nil {
			go h.probe()
		}
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
		h.quiet = time.Since(h.lastLogged) < downReportEvery
	}
	if h.down == nil && !h.quiet {
		h.lastLogged = time.Now()
		h.log.Error("the database does not do its work: requests are answered 503 until it does", "error", err)
	}
	h.down = err
	h.unavailable++
	return err
}

// recordProbe records that a probe succeeded.
func (h *health) recordProbe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down != nil && !h.quiet {
		h.log.Info("the database takes writes again")
	}
	h.down, h.proved = nil, time.Now()
}

// probedJustNow reports whether a probe succeeded within the last probeEvery.
func (h *health) probedJustNow() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down == nil && time.Since(h.proved) < probeEvery
}

// Ready returns the reason why the database does not take writes, or nil if it takes them. It finds
// out by writing, unless a write has just succeeded.
func (db *DB) Ready(ctx context.Context) error {
	db.health.probing.Lock()
	defer db.health.probing.Unlock()
	if db.health.probedJustNow() {
		return nil
	}
	if db.schema.Touch == nil {
		return db.Ping(ctx)
	}
	err := db.Update(ctx, func(tx *Tx) error {
		if err := db.schema.Touch(ctx, tx); err != nil {
			return fmt.Errorf("write to the database: %w", err)
		}
		return nil
	})
	if err == nil {
		db.health.recordProbe()
	}
	return err
}

// startProbe calls Ready in the background.
func (db *DB) startProbe() {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	if err := db.Ready(ctx); err != nil {
		db.health.log.Debug("probe", "error", err)
	}
}

// identity identifies the file that was opened, in case another file takes its name.
type identity struct {
	path string
	info os.FileInfo
}

func identify(path string) (identity, error) {
	info, err := os.Stat(path)
	return identity{path, info}, err
}

// check returns errReplaced if the name now belongs to another file, or to none.
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
