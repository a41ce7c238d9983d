package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"time"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// This file gives tests outside the package access to unexported parts.

var PostgresMigration = postgresMigration

// Waiting returns how many updates wait for the writer of a SQLite database.
func (db *DB) Waiting() int {
	q := db.engine.(*sqliteDB).writer.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, line := range q.waiting {
		n += len(line)
	}
	return n
}

// Checkpoint makes the checkpointer of a SQLite database behave as after many updates.
func (db *DB) Checkpoint() { db.engine.(*sqliteDB).checkpointer.countUpdates(checkpointUpdates) }

// MigrationFiles returns the names of the migration files for a kind of database.
func MigrationFiles(all fs.FS, kind string) ([]string, error) {
	return fs.Glob(migrationsFor(all, kind), "*.sql")
}

// WriteOrder returns the keys of updates in the order in which the writer takes them.
func WriteOrder(keys ...string) (order []string) {
	q := newWriteQueue()
	for _, key := range keys {
		q.put(&queuedUpdate{key: key})
	}
	for u := q.take(); u != nil; u = q.take() {
		order = append(order, u.key)
	}
	return order
}

// RefuseWrites makes every write to a SQLite database fail, or makes writes work again. No write
// may run during the call.
func (db *DB) RefuseWrites(on bool) error {
	return db.engine.(*sqliteDB).writer.conn.runStatement("pragma query_only = " + strconv.FormatBool(on))
}

// Statement runs statements on a SQLite file, on its own connection.
func Statement(path string, statements ...string) error {
	s := sqliteDB{path: path}
	conn, err := s.openConn(context.Background(), readerCacheKiB, readerLockWait, false)
	if err != nil {
		return err
	}
	for _, query := range statements {
		err = errors.Join(err, conn.runStatement(query))
	}
	return errors.Join(err, conn.close())
}

// Stamp stamps a served SQLite database as its checkpointer does, and calls at after each step.
func (db *DB) Stamp(ctx context.Context, at func(step string)) error {
	s := db.engine.(*sqliteDB)
	if err := s.stamp.beginStamp(ctx, func(stamp int32) error {
		at("noted")
		defer at("written")
		return s.checkpointer.writeStamp(stamp)
	}); err != nil {
		return err
	}
	conn, err := s.openConn(ctx, readerCacheKiB, readerLockWait, false)
	if err != nil {
		return err
	}
	if _, _, err = conn.checkpoint("passive"); err == nil {
		at("copied")
		err = s.stamp.endStamp(ctx)
	}
	return errors.Join(err, conn.close())
}

// WithoutCheckpoints stops the checkpointer of a SQLite database, so that a test can do the
// checkpointer's work step by step.
func (db *DB) WithoutCheckpoints() {
	c := db.engine.(*sqliteDB).checkpointer
	c.close()
	c.stop = make(chan struct{}) // Close closes this channel
}

// Slices does n slices of work. It returns, after each slice, how long the next slice should take.
func (db *DB) Slices(ctx context.Context, n int, fn func(*Tx) error) (lengths []time.Duration, err error) {
	work := db.Slicer(time.Time{})
	for range n {
		if err := work.Write(ctx, fn); err != nil {
			return nil, err
		}
		lengths = append(lengths, work.Length())
	}
	return lengths, nil
}

// CheckpointNow does the work of the checkpointer once. Call WithoutCheckpoints before. held is the
// number of pages of the log above which a warning is logged. long is the number of pages above
// which the log should begin anew.
func (db *DB) CheckpointNow(ctx context.Context, held, long int) error {
	s := db.engine.(*sqliteDB)
	s.checkpointer.warnPages, s.checkpointer.restartPages = held, long
	conn, err := s.openConn(ctx, readerCacheKiB, readerLockWait, false)
	if err != nil {
		return err
	}
	return errors.Join(s.checkpointer.copyLog(ctx, conn), conn.close())
}

// WriterClock gives the writer of a SQLite database another clock. It returns a function that
// returns the number of updates in each commit since then. Call WriterClock before the first
// update.
func (db *DB) WriterClock(now func() time.Time) (commits func() []int) {
	w := db.engine.(*sqliteDB).writer
	var mu sync.Mutex
	var sizes []int
	filled := w.onCommit
	w.now = now
	w.onCommit = func(updates int) {
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, updates)
		filled(updates)
	}
	return func() []int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(sizes)
	}
}

// GroupTime is how long an open commit accepts more updates.
const GroupTime = joinTime

// PageCache is a page cache as SQLite uses it.
type PageCache struct {
	tls    *libc.TLS
	handle uintptr
}

// NewPageCache returns a cache of pages of 16 bytes that should hold at most that many pages.
func NewPageCache(most int32) *PageCache {
	c := &PageCache{tls: libc.NewTLS()}
	c.handle = createPageCache(c.tls, 16, 8, 1)
	setCacheSize(c.tls, c.handle, most)
	return c
}

func (c *PageCache) Fetch(key uint32, create int32) uintptr {
	return fetchPage(c.tls, c.handle, key, create)
}

func (c *PageCache) Unpin(page uintptr, discard bool) {
	unpinPage(c.tls, c.handle, page, int32(boolNumber(discard)))
}

func (c *PageCache) Rekey(page uintptr, old, key uint32) {
	rekeyPage(c.tls, c.handle, page, old, key)
}

func (c *PageCache) Truncate(first uint32) { truncatePages(c.tls, c.handle, first) }

func (c *PageCache) Shrink() { shrinkPageCache(c.tls, c.handle) }

func (c *PageCache) Count() int { return int(countPages(c.tls, c.handle)) }

func (c *PageCache) Destroy() {
	destroyPageCache(c.tls, c.handle)
	c.tls.Close()
}

// Content returns the first eight bytes of a page, and of SQLite's own data of the page.
func (c *PageCache) Content(page uintptr) (content, extra *uint64) {
	slot := at[pageSlot](page)
	return at[uint64](slot.page), at[uint64](slot.extra)
}

// PanicInside makes SQLite panic in the next statement of this SQLite transaction that takes some steps.
func (tx *Tx) PanicInside() {
	c := tx.conn.(*sqliteConn)
	sqlite3.Xsqlite3_progress_handler(c.tls, c.handle, 1, functionPointer(func(*libc.TLS, uintptr) int32 { panic("inside SQLite") }), 0)
}

// WaitsForLock reports whether a statement of a reader, which runs in this read of a SQLite database,
// would go on waiting for the lock of another process after that many tries.
func (tx *Tx) WaitsForLock(tries int32) bool {
	c := tx.conn.(*sqliteConn)
	return waitForLock(c.tls, c.handle, tries) != 0
}

// HasCode reports whether err contains an error of SQLite with this result code.
func HasCode(err error, code int32) bool { return hasCode(err, code) }

// SQLiteError returns an error of SQLite.
func SQLiteError(code int32) error { return &sqliteError{code, fmt.Sprint("error ", code)} }

// MayChange reports whether a statement may change one of the cached tables.
func MayChange(query string, tables ...string) bool { return mayChange(query, tables) }
