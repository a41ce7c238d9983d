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
	sqlite3 "modernc.org/sqlite/lib"
)

// UnavailableError says that the database cannot work now: its disk is full, it accepts no writes,
// or it cannot be reached. The same request may succeed later.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return "the database is not available: " + e.Err.Error() }
func (e *UnavailableError) Unwrap() error { return e.Err }

// DatabaseUnavailable lets packages that must not import sqldb recognize the error by this method.
// It returns true.
func (e *UnavailableError) DatabaseUnavailable() bool { return true }

// errReplaced refuses every write to a file that was removed or replaced while it was open.
var errReplaced = errors.New("the database file was removed or replaced while it was open: stop this process, put the file in its place, remove the -wal and -shm files of another one, and start again")

// isUnavailable reports whether an error comes from the state of the database, and not from the
// request. If several errors are joined, it is enough that one of them does. For example, when the
// disk is full, SQLite may also report that a savepoint does not exist.
func isUnavailable(err error) bool {
	switch e := err.(type) { //nolint:errorlint // this function walks the tree of errors itself
	case nil:
		return false
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), isUnavailable)
	case *sqliteError:
		return hasCode(e, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
			sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_BUSY)
	case *pgconn.ConnectError, *net.OpError:
		return true
	case *pgconn.PgError:
		if e.Code == "25006" { // read_only_sql_transaction: the server does not take writes
			return true
		}
		// These classes of errors mean that there is no connection or no disk space, that the
		// server is starting or shutting down, that the disk fails, or that data is damaged.
		for _, class := range []string{"08", "53", "57P", "58", "XX001", "XX002"} {
			if strings.HasPrefix(e.Code, class) {
				return true
			}
		}
		return false
	}
	return err == errReplaced || err == errOverwritten || err == io.ErrUnexpectedEOF || pgconn.SafeToRetry(err) || isUnavailable(errors.Unwrap(err)) //nolint:errorlint // this function walks the tree of errors itself
}

// health records whether the database is available, and logs each change.
type health struct {
	log *slog.Logger

	// probe finds out whether the database accepts writes again. It is called when a transaction
	// succeeds after a write has failed. The success alone does not show this, because the
	// transaction may have written nothing.
	probe func()

	mu                sync.Mutex
	writeFailure      error     // why the last write failed, or nil
	lastProbe         time.Time // when a probe last succeeded, on the machine's clock
	lastLogged        time.Time // when the last message that the database is down was logged
	messageSuppressed bool      // whether the present failure was not logged, because a message was logged shortly before

	writes, unavailable int64 // how many transactions wrote, and how many ended as unavailable

	probeMutex sync.Mutex // held while a probe runs, so that only one probe runs at a time
}

const (
	// probeInterval is how long a successful probe stays valid.
	probeInterval = time.Second
	// probeTimeout is how long a probe in the background may take.
	probeTimeout = 5 * time.Second
	// downReportInterval is the shortest time between two log messages that the database is down. A
	// nearly full disk has room for small writes but not for large ones, so the state changes
	// often.
	downReportInterval = time.Minute
)

// recordOutcome records the outcome of a transaction, which is its error, and whether it wrote. It
// returns the error; if the database was not available, it returns an UnavailableError instead.
func (h *health) recordOutcome(ctx context.Context, err error, wrote bool) error {
	switch {
	case err == nil && wrote:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.writes++
		if h.writeFailure != nil {
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
	if h.writeFailure == nil {
		h.messageSuppressed = time.Since(h.lastLogged) < downReportInterval
	}
	if h.writeFailure == nil && !h.messageSuppressed {
		h.lastLogged = time.Now()
		h.log.Error("the database does not do its work: requests are answered 503 until it does", "error", err)
	}
	h.writeFailure = err
	h.unavailable++
	return err
}

// recordProbe records that a probe succeeded.
func (h *health) recordProbe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.writeFailure != nil && !h.messageSuppressed {
		h.log.Info("the database takes writes again")
	}
	h.writeFailure, h.lastProbe = nil, time.Now()
}

// probedJustNow reports whether a probe succeeded within the last probeInterval.
func (h *health) probedJustNow() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.writeFailure == nil && time.Since(h.lastProbe) < probeInterval
}

// Ready returns an error if the database does not take writes. It makes a small write to find out,
// unless a probe has succeeded within the last second.
func (db *DB) Ready(ctx context.Context) error {
	db.health.probeMutex.Lock()
	defer db.health.probeMutex.Unlock()
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

// probe calls Ready, with a time limit. The health of the database calls it in a goroutine of its own,
// to find out whether the database answers again.
func (db *DB) probe() {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	if err := db.Ready(ctx); err != nil {
		db.health.log.Debug("probe", "error", err)
	}
}

// fileIdentity identifies an open file, to notice when another file takes its name.
type fileIdentity struct {
	path string
	info os.FileInfo
}

// identifyFile returns the identity of the file that now has this path.
func identifyFile(path string) (fileIdentity, error) {
	info, err := os.Stat(path)
	return fileIdentity{path, info}, err
}

// checkNotReplaced returns errReplaced if the path now belongs to another file, or to none.
func (i fileIdentity) checkNotReplaced() error {
	if i.info == nil {
		return nil
	}
	info, err := os.Stat(i.path)
	if err != nil || !os.SameFile(i.info, info) {
		return errReplaced
	}
	return nil
}
