package sqldb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"modernc.org/sqlite"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

const (
	sqliteReaders = 5 // the number of connections that read
	// reservedReaders is how many readers are reserved for the lane of fair.System.
	reservedReaders = 1
	// The sizes of the page caches of the writer and of each reader.
	writerCacheKiB = 8 << 10
	readerCacheKiB = 2000
	// writerLockWait is how long SQLite waits for the write lock while another process holds it.
	// Then the writer checks whether a caller still waits, and tries again. SQLite waits 1, 2 and 5
	// ms between its first tries, and longer between later ones. Because the writer begins again so
	// soon, the tries are frequent enough to get the lock from a busy process.
	writerLockWait = 8 * time.Millisecond
	readerLockWait = 10 * time.Second // how long SQLite waits for a lock that a reader needs
	// maxStatements is the largest number of prepared statements that a connection keeps.
	maxStatements = 400
)

// sqliteDB is a SQLite file with its connections: one writer and a few readers.
type sqliteDB struct {
	db           *DB
	path         string
	file         fileIdentity // identifies the file that was opened
	stamp        *stamper     // stamps the file; see sqlite_stamp.go
	log          *slog.Logger
	writer       *writer
	cache        *valueCache
	checkpointer *checkpointer
	readers      chan *sqliteConn // idle readers; a nil element is a reader that is not open
	readerGate   *fair.Gate       // lets the sites take turns in using readers
	shutdown     chan struct{}    // closed when the database is closed
	closeOnce    sync.Once        // makes close run only once

	mu         sync.Mutex
	serverLock *sqliteConn // the connection that holds the server's lock; nil unless this process serves the file
}

// openSQLite opens a SQLite file, and creates it if it does not exist.
func openSQLite(ctx context.Context, db *DB, path string, o Options) (*sqliteDB, error) {
	if path == "" || path == ":memory:" {
		return nil, fmt.Errorf("open database %q: name a file, such as rollcall.db", path)
	}
	if err := configurePageCache(); err != nil { // before checkMixed opens the file through database/sql
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	path, err := resolveLinks(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := makePrivate(path, o.Log); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.resolvedPath = path
	file, err := identifyFile(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	// Fdatasync makes a commit wait until the data and the size of the log are on disk. It does not
	// wait for the log's timestamps.
	if _, err := sqlite.Fdatasync(true); err != nil && !errors.Is(err, sqlite.ErrFdatasyncUnavailable) {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if err := checkMixed(ctx, path); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &sqliteDB{db: db, path: path, file: file, stamp: &stamper{path: path}, log: o.Log, readers: make(chan *sqliteConn, sqliteReaders), readerGate: fair.NewGate(fair.Options{Capacity: sqliteReaders, Reserved: reservedReaders}), shutdown: make(chan struct{})}
	if err := s.start(ctx, o); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return s, nil
}

// start opens the connections, and starts the writer and the checkpointer.
func (s *sqliteDB) start(ctx context.Context, o Options) error {
	conn, err := s.openWriter(ctx)
	if err != nil {
		return err
	}
	s.cache = &valueCache{open: func() (*sqliteConn, error) {
		return s.openConn(context.Background(), readerCacheKiB, readerLockWait, true)
	}}
	group := maxUpdatesPerCommit
	if o.SerialCommits {
		group = 1
	}
	s.writer = &writer{
		db: s.db, open: s.openWriter, conn: conn, cache: s.cache, file: s.file, stamp: s.stamp, log: s.log, maxJoined: group,
		queue: newWriteQueue(), closed: make(chan struct{}), goroutineDone: make(chan struct{}), now: time.Now,
	}
	s.checkpointer = &checkpointer{
		open: func() (*sqliteConn, error) {
			return s.openConn(context.Background(), readerCacheKiB, readerLockWait, false)
		},
		writer: s.writer, stamp: s.stamp, log: s.log,
		copyDue: make(chan struct{}, 1), stop: make(chan struct{}), goroutineDone: make(chan struct{}),
		warnPages: warnLogPages, restartPages: restartLogPages,
	}
	s.writer.onCommit = s.checkpointer.countUpdates
	for range sqliteReaders {
		s.readers <- nil
	}
	go s.writer.run()
	go s.checkpointer.run()
	return nil
}

// openWriter opens the writer's connection, and makes SQLite use a write-ahead log. It tries again
// after a failure, because SQLite does not wait while another process opens the same file.
func (s *sqliteDB) openWriter(ctx context.Context) (*sqliteConn, error) {
	conn, err := s.openConn(ctx, writerCacheKiB, readerLockWait, false)
	if err != nil {
		return nil, err
	}
	// This pragma has an effect only while the file is empty.
	if err := conn.runStatement("pragma auto_vacuum = incremental"); err != nil {
		conn.close()
		return nil, err
	}
	var mode string
	for deadline := time.Now().Add(3 * readerLockWait); ; {
		err = conn.readRow("pragma journal_mode = wal", &mode)
		if !isBusy(err) || time.Now().After(deadline) {
			break
		}
		time.Sleep(writerLockWait)
	}
	if err == nil && mode != "wal" {
		err = fmt.Errorf("the file system does not support a write-ahead log (journal mode %q)", mode)
	}
	if err == nil {
		err = conn.runStatement("pragma busy_timeout = " + strconv.FormatInt(writerLockWait.Milliseconds(), 10))
	}
	conn.cachedTables = s.db.schema.Cached
	if err == nil {
		err = conn.gatherLogWrites()
	}
	if err != nil {
		conn.close()
		return nil, err
	}
	return conn, nil
}

// connPragmas returns the pragmas that set up a connection.
func connPragmas(cache int, busy time.Duration, readOnly bool) []string {
	pragmas := []string{
		fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()),
		fmt.Sprintf("cache_size(-%d)", cache),
		"foreign_keys(1)",
		"secure_delete(fast)", // SQLite overwrites deleted rows in pages that it writes anyway
		fmt.Sprintf("journal_size_limit(%d)", 2*restartLogPages*4096),
		"synchronous(full)",
		"temp_store(memory)",
		"wal_autocheckpoint(0)",
	}
	if readOnly {
		pragmas = append(pragmas, "query_only(1)")
	}
	return pragmas
}

// openConn opens a connection. cache is the size of its page cache in KiB, and busy is how long
// SQLite waits for a lock.
func (s *sqliteDB) openConn(ctx context.Context, cache int, busy time.Duration, readOnly bool) (*sqliteConn, error) {
	if err := s.file.checkNotReplaced(); err != nil {
		return nil, err
	}
	conn, err := openSQLiteConn(ctx, s.path, connPragmas(cache, busy, readOnly))
	if err != nil {
		return nil, err
	}
	conn.interruptible, conn.busyWait = readOnly, busy
	return conn, nil
}

func (s *sqliteDB) update(ctx context.Context, key string, fn func(*Tx) error) error {
	return s.writer.update(ctx, key, fn)
}

func (s *sqliteDB) view(ctx context.Context, key string, fn func(*Tx) error) error {
	return s.withReader(ctx, key, func(conn *sqliteConn) (broken bool, err error) {
		if err := conn.runStatement("begin"); err != nil {
			return true, fmt.Errorf("read transaction: %w", err)
		}
		// The transaction has written nothing, so rolling back only ends the snapshot. If rolling
		// back fails, the connection is not used again.
		defer func() { broken = conn.isStepping || conn.runStatement("rollback") != nil }()
		tx := &Tx{db: s.db, conn: conn}
		return false, tx.run(fn)
	})
}

// read needs no transaction, because a single statement sees one snapshot.
func (s *sqliteDB) read(ctx context.Context, key string, fn func(*Tx) error) error {
	return s.withReader(ctx, key, func(conn *sqliteConn) (bool, error) {
		conn.interruptible = false
		defer func() { conn.interruptible = true }()
		tx := &Tx{db: s.db, conn: conn, singleQuery: true}
		return false, tx.run(fn)
	})
}

// readCached returns the cached value, unless a process may have changed it since. Then it calls fn
// for the value, and caches it.
func (s *sqliteDB) readCached(ctx context.Context, key string, fn func(*Tx) (any, error)) (v any, err error) {
	if err := s.checkUsable(); err != nil {
		return nil, err
	}
	v, found, header, err := s.cache.find(key)
	if found || err != nil {
		return v, err
	}
	if err = s.read(ctx, fair.System, func(tx *Tx) (err error) {
		v, err = fn(tx)
		return err
	}); err == nil {
		s.cache.put(key, v, header)
	}
	return v, err
}

// checkUsable returns an error if the database is closed, or if another program has overwritten it.
func (s *sqliteDB) checkUsable() error {
	select {
	case <-s.shutdown:
		return errClosed
	default:
	}
	return s.stamp.overwrittenError()
}

// withReader calls fn with a reader. fn reports whether the reader is broken, so that it is not
// used again.
func (s *sqliteDB) withReader(ctx context.Context, key string, fn func(*sqliteConn) (broken bool, err error)) (err error) {
	var conn *sqliteConn
	if err := s.checkUsable(); err != nil {
		return err
	}
	if err := s.readerGate.Enter(ctx, key, 1); err != nil {
		return err
	}
	defer s.readerGate.Leave(key, 1)
	select {
	case conn = <-s.readers: // nearly always, because the gate lets only as many in as there are readers
	default:
		select {
		case conn = <-s.readers:
		case <-s.shutdown:
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { s.readers <- conn }()
	if conn == nil {
		if conn, err = s.openConn(ctx, readerCacheKiB, readerLockWait, true); err != nil {
			return fmt.Errorf("open a reader: %w", err)
		}
	}
	broken, err := fn(conn)
	if broken || conn.isStepping {
		if e := conn.closeAfterPanic(); e != nil {
			s.log.Debug("close a reader", "error", e)
		}
		conn = nil
	}
	return err
}

func (s *sqliteDB) ping(ctx context.Context) error {
	return s.read(ctx, fair.System, func(tx *Tx) error {
		var one int
		return tx.QueryRow(ctx, "select 1").Scan(&one)
	})
}

func (s *sqliteDB) pool(context.Context) (*pgxpool.Pool, error) { return nil, ErrNoPool }

// serve makes this process the server of the file. It also starts to stamp the file (see
// sqlite_stamp.go).
func (s *sqliteDB) serve(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	if err := s.stamp.start(); err != nil {
		return err
	}
	s.checkpointer.countUpdates(checkpointUpdates)
	return nil
}

// lock takes the server's lock, which is a lock on a second file in the same folder. The second
// file is a SQLite file too: on every system, SQLite can lock its files so that the lock ends with
// the process.
func (s *sqliteDB) lock(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serverLock != nil {
		return nil
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if n := countOtherLinks(info); n > 0 {
		return fmt.Errorf("the database file %s has another name (a hard link), under which a second server would not see this one; remove the other name", s.path)
	}
	s.serverLock, err = lockServer(ctx, s.path)
	return err
}

// lockServer takes the lock of the one process that may serve a SQLite file. The lock ends with the
// connection. lockServer returns ErrServed if another process has the lock.
func lockServer(ctx context.Context, path string) (*sqliteConn, error) {
	beside := sqliteDB{path: path + "-server"}
	if err := createPrivate(beside.path); err != nil {
		return nil, fmt.Errorf("lock %s: %w", beside.path, err)
	}
	conn, err := beside.openConn(ctx, readerCacheKiB, time.Second, false)
	if err == nil {
		if err = conn.runStatement("begin exclusive"); err == nil {
			return conn, nil
		}
		conn.close()
	}
	if isBusy(err) {
		return nil, ErrServed
	}
	return nil, fmt.Errorf("lock %s: %w", beside.path, err)
}

// close waits for the running transactions. It closes the writer's connection last, because closing
// the last connection copies the whole log into the database. If another program has overwritten
// the file, close leaves the connections open until the process ends.
func (s *sqliteDB) close() (err error) {
	s.closeOnce.Do(func() {
		close(s.shutdown)
		s.writer.close()
		s.checkpointer.close()
		if err = s.stamp.overwrittenError(); err != nil {
			return
		}
		err = s.cache.close()
		for range sqliteReaders {
			if conn := <-s.readers; conn != nil {
				err = errors.Join(err, conn.close())
			}
		}
		if s.writer.conn != nil {
			err = errors.Join(err, s.writer.conn.close())
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.serverLock != nil {
			err = errors.Join(err, s.serverLock.runStatement("rollback"), s.serverLock.close())
		}
	})
	return err
}
