package sqldb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// The kinds of database.
const (
	SQLite     = "sqlite"
	PostgreSQL = "postgres"
)

// Options are optional settings of a DB. The zero value works.
type Options struct {
	Log *slog.Logger     // gets messages about work outside requests, such as checkpoints; nil logs nothing
	Now func() time.Time // the clock that DB.Now and Tx.Now read; nil means time.Now

	// Settle is for readers of rows in commit order on PostgreSQL. Older transactions that still
	// run can add rows that come before the newest rows. Settle is how long such a reader waits for
	// them. Zero means one second.
	Settle time.Duration

	// SerialCommits makes SQLite commit each update on its own, for measurements. Otherwise waiting
	// updates share one commit, which is faster.
	SerialCommits bool
}

// DB is an open database. It is safe for concurrent use, and other processes may have the same
// database open.
type DB struct {
	kind          string
	now           func() time.Time
	settle        time.Duration // how long readers in commit order wait; see Options.Settle
	schema        Schema
	engine        engine
	resolvedPath  string        // the path that File returns
	workGate      *fair.Gate    // limits costly work
	commitSignals chan struct{} // the channel that CommitSignals returns
	health        *health       // records whether the database is available
}

// engine has the methods that differ between SQLite and PostgreSQL.
type engine interface {
	update(ctx context.Context, key string, fn func(*Tx) error) error
	view(ctx context.Context, key string, fn func(*Tx) error) error
	read(ctx context.Context, key string, fn func(*Tx) error) error
	readCached(ctx context.Context, key string, fn func(*Tx) (any, error)) (any, error)
	ping(ctx context.Context) error
	pool(ctx context.Context) (*pgxpool.Pool, error)
	migrator(ctx context.Context) (*migrator, error)
	serve(ctx context.Context) error
	close() error
}

// ErrNoPool is returned by Pool on SQLite.
var ErrNoPool = errors.New("a SQLite database has no connection pool")

// Open opens a database. "postgres://…" and "postgresql://…" name a PostgreSQL database. Anything
// else ("rollcall.db", "file:/var/lib/rollcall.db") names a SQLite file, which is created with mode
// 0600 if it does not exist. Open does not migrate.
func Open(ctx context.Context, url string, schema Schema, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	db := &DB{kind: Kind(url), now: o.Now, settle: cmp.Or(o.Settle, time.Second), schema: schema, workGate: newWorkGate(), health: &health{log: o.Log}, commitSignals: make(chan struct{}, 1)}
	db.health.probe = db.probe
	var err error
	switch db.kind {
	case PostgreSQL:
		db.engine, err = openPostgres(ctx, db, url, o)
	default:
		db.engine, err = openSQLite(ctx, db, Path(url), o)
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// Kind returns the kind of database that url names: SQLite or PostgreSQL.
func Kind(url string) string {
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return PostgreSQL
	}
	return SQLite
}

// Path returns the file that the url of a SQLite database names.
func Path(url string) string {
	path := strings.TrimPrefix(url, "file:")
	if rest, found := strings.CutPrefix(path, "//"); found {
		path = "/" + strings.TrimLeft(rest, "/")
	}
	return path
}

// Kind returns SQLite or PostgreSQL.
func (db *DB) Kind() string { return db.kind }

// File returns the path of the SQLite file, with symbolic links resolved, or "" for PostgreSQL. The
// log and the other files of the database are in the same folder.
func (db *DB) File() string { return db.resolvedPath }

// Now returns the time of the clock in Options.
func (db *DB) Now() time.Time { return db.now() }

// Settle returns Options.Settle.
func (db *DB) Settle() time.Duration { return db.settle }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.engine.ping(ctx); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

// Pool returns a pgx pool on the same PostgreSQL database. The first call opens it, and Close
// closes it. On SQLite Pool returns ErrNoPool.
func (db *DB) Pool(ctx context.Context) (*pgxpool.Pool, error) { return db.engine.pool(ctx) }

// ErrServed is returned by Serve while another process serves the same SQLite file.
var ErrServed = errors.New("another rollcall serves this database: a SQLite file has one server; to run several, use PostgreSQL")

// Serve makes this process the server of a SQLite file until Close. A file has at most one server.
// Other processes can still read and write the file. Serve returns ErrServed if another process is
// the server. On PostgreSQL Serve does nothing, because a database there may have many servers.
func (db *DB) Serve(ctx context.Context) error { return db.engine.serve(ctx) }

// Close waits for running transactions and closes the database.
func (db *DB) Close() error {
	if err := db.engine.close(); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

// Update runs fn in a write transaction and returns when the transaction is on disk. If fn fails,
// Update keeps nothing and returns fn's error. fn must follow the rules in the package comment. If
// ctx ends before fn has started, fn never runs.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return db.Lane(fair.System).Update(ctx, fn)
}

// View runs fn on one snapshot of the database. fn cannot write.
func (db *DB) View(ctx context.Context, fn func(tx *Tx) error) error {
	return db.Lane(fair.System).View(ctx, fn)
}

// Read runs fn, which must run exactly one query that an index answers quickly. The query sees one
// snapshot and needs no transaction. It runs to its end even if ctx ends. A second statement
// returns an error.
func (db *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	return db.Lane(fair.System).Read(ctx, fn)
}

// Lane is the access of one site to the database. When the database is busy, the lanes take turns,
// so that one site cannot delay the others for long. The lane of fair.System (authentication,
// pages, health checks, provisioning) goes before all others.
type Lane struct {
	db  *DB
	key string
}

// Lane returns the access of the site with this key.
func (db *DB) Lane(key string) Lane { return Lane{db: db, key: key} }

// Update is like DB.Update, for the site of this lane.
func (l Lane) Update(ctx context.Context, fn func(tx *Tx) error) error {
	var noted bool
	err := l.db.engine.update(ctx, l.key, func(tx *Tx) error {
		err := fn(tx)
		noted = tx.signalsCommit
		return err
	})
	if noted && err == nil {
		select {
		case l.db.commitSignals <- struct{}{}:
		default: // the channel is full: its reader has not received the last signal yet
		}
	}
	return l.db.health.recordOutcome(ctx, err, true)
}

// CommitSignals returns a channel. After a transaction of this process that called
// [Tx.SignalCommit] is on disk, the channel gets a signal. Only one goroutine may receive from it.
// One signal may stand for several transactions.
func (db *DB) CommitSignals() <-chan struct{} { return db.commitSignals }

// View is like DB.View, for the site of this lane.
func (l Lane) View(ctx context.Context, fn func(tx *Tx) error) error {
	return l.db.health.recordOutcome(ctx, l.db.engine.view(ctx, l.key, fn), false)
}

// Read is like DB.Read, for the site of this lane.
func (l Lane) Read(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.db.health.recordOutcome(ctx, l.db.engine.read(ctx, l.key, fn), false)
}

// ReadCached is like Read, for values that are read often and rarely change. key names the value.
// If ReadCached knows that no process has committed a transaction since it last called fn for this
// key, it returns that earlier result. Callers must not change the value. Errors are not kept.
func ReadCached[T any](ctx context.Context, db *DB, key string, fn func(tx *Tx) (T, error)) (T, error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, err
	}
	v, err := db.engine.readCached(ctx, key, func(tx *Tx) (any, error) { return fn(tx) })
	err = db.health.recordOutcome(ctx, err, false)
	if err != nil {
		var none T
		return none, err
	}
	return v.(T), nil
}

// createPrivate creates the file with mode 0600 unless it exists. SQLite gives the same mode to the
// other files of the database.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}
