package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

const (
	postgresConns = 16 // the largest number of connections of this process
	// reservedConns is how many connections are reserved for the lane of fair.System.
	reservedConns = 2
	// postgresTries is how many times an update is tried if it conflicts with other transactions.
	postgresTries = 10
)

// postgresDB is a PostgreSQL database.
type postgresDB struct {
	db       *DB
	config   *pgxpool.Config
	conns    *pgxpool.Pool
	connGate *fair.Gate // lets the sites take turns in using connections
	analyzer *analyzer

	mu         sync.Mutex
	sharedPool *pgxpool.Pool // the pool that Pool returns; opened on the first call
}

// openPostgres opens a PostgreSQL database.
func openPostgres(ctx context.Context, db *DB, url string, o Options) (*postgresDB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if params := config.ConnConfig.RuntimeParams; params["application_name"] == "" {
		params["application_name"] = "rollcall"
	}
	ours := config.Copy()
	ours.MaxConns = postgresConns
	ours.AfterConnect = configureConn
	conns, err := pgxpool.NewWithConfig(ctx, ours)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := conns.Ping(ctx); err != nil {
		conns.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return &postgresDB{db: db, config: config, conns: conns, connGate: fair.NewGate(fair.Options{Capacity: postgresConns, Reserved: reservedConns}), analyzer: startAnalyzer(conns, o.Log)}, nil
}

// configureConn sets options of a new connection. With them, a commit is on disk before PostgreSQL
// acknowledges it, even if the server is configured otherwise.
//
// The options also make each prepared statement keep one plan, which uses an index and one process.
// The statements are written for such a plan. By default PostgreSQL plans some statements again for
// each execution, which costs more than it saves. It may also read a whole table for a group of ten
// members, because another group has a hundred thousand. And it may start processes and compile
// code to read a single page, because it assumes that an unknown limit is a tenth of all rows.
func configureConn(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `
		set plan_cache_mode = force_generic_plan;
		set enable_seqscan = off;
		set max_parallel_workers_per_gather = 0;
		set jit = off;
		select set_config('synchronous_commit', 'on', false)
		where current_setting('synchronous_commit') = 'off'`)
	return err
}

func (p *postgresDB) update(ctx context.Context, key string, fn func(*Tx) error) error {
	again := true // after a unique violation, run fn once more, because it can then see the row that has the value
	for try := 1; ; try++ {
		statements, err := p.runTransaction(ctx, key, "begin", fn)
		if err == nil {
			p.analyzer.countStatements(statements)
			return nil
		}
		_, taken := UniqueViolation(err)
		if ctx.Err() != nil || try == postgresTries || !isConflict(err) && (!taken || !again) {
			return err
		}
		again = again && !taken
	}
}

func (p *postgresDB) view(ctx context.Context, key string, fn func(*Tx) error) error {
	_, err := p.runTransaction(ctx, key, "begin isolation level repeatable read read only", fn)
	return err
}

// read needs no transaction, because a single statement sees one snapshot.
func (p *postgresDB) read(ctx context.Context, key string, fn func(*Tx) error) error {
	conn, err := p.acquire(ctx, key)
	if err != nil {
		return err
	}
	defer p.release(ctx, key, conn)
	tx := &Tx{db: p.db, conn: postgresRead{conn.Conn()}, singleQuery: true}
	return tx.run(fn)
}

// readCached always reads from the database, because asking PostgreSQL whether anything has changed
// would take as long as the read.
func (p *postgresDB) readCached(ctx context.Context, _ string, fn func(*Tx) (any, error)) (v any, err error) {
	err = p.read(ctx, fair.System, func(tx *Tx) error {
		v, err = fn(tx)
		return err
	})
	return v, err
}

// runTransaction runs fn in a transaction. It also returns how many statements fn has run.
func (p *postgresDB) runTransaction(ctx context.Context, key, begin string, fn func(*Tx) error) (statements int, err error) {
	conn, err := p.acquire(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	defer p.release(ctx, key, conn)
	t := &postgresTx{conn: conn.Conn()}
	t.addToBatch(begin, nil)
	tx := &Tx{db: p.db, conn: t}
	// The end of the caller's context stops statements. It does not stop the commit, because the
	// outcome of the commit would then be unknown.
	whole := context.WithoutCancel(ctx)
	err = tx.run(fn)
	if err == nil {
		if err = t.commit(whole); err == nil {
			return t.statements, nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	t.rollback(whole)
	return 0, err
}

// acquire waits until it is the key's turn, and returns a connection. If the server accepts no
// further connection, acquire tries again as long as the caller waits, because another connection
// of this pool may become free.
func (p *postgresDB) acquire(ctx context.Context, key string) (*pgxpool.Conn, error) {
	if err := p.connGate.Enter(ctx, key, 1); err != nil {
		return nil, err
	}
	for {
		conn, err := p.conns.Acquire(ctx)
		if err == nil {
			return conn, nil
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == tooManyConnections {
			select {
			case <-time.After(connectPause):
				continue
			case <-ctx.Done():
			}
		}
		p.connGate.Leave(key, 1)
		return nil, err
	}
}

const (
	tooManyConnections = "53300"              // PostgreSQL's error code when it accepts no further connection
	connectPause       = 5 * time.Millisecond // how long acquire waits before it tries again
)

// release gives a connection back to the pool. It closes a connection that is still in a
// transaction. If the server has ended the connection, release replaces all connections of the
// pool: the server may have ended all of them, as it does after a crash.
func (p *postgresDB) release(ctx context.Context, key string, conn *pgxpool.Conn) {
	ended := conn.Conn().IsClosed() && ctx.Err() == nil
	conn.Release()
	if ended {
		p.conns.Reset()
	}
	p.connGate.Leave(key, 1)
}

func (p *postgresDB) serve(context.Context) error { return nil }

func (p *postgresDB) ping(ctx context.Context) error { return p.conns.Ping(ctx) }

func (p *postgresDB) pool(ctx context.Context) (*pgxpool.Pool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sharedPool != nil {
		return p.sharedPool, nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, p.config.Copy())
	if err != nil {
		return nil, fmt.Errorf("open connection pool: %w", err)
	}
	p.sharedPool = pool
	return pool, nil
}

func (p *postgresDB) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sharedPool != nil {
		p.sharedPool.Close()
		p.sharedPool = nil
	}
	p.analyzer.close()
	p.conns.Close()
	return nil
}

// postgresTx is a transaction on PostgreSQL. It does not send a statement whose result no caller
// needs, such as "begin", at once. It sends such statements together with the next statement whose
// result a caller needs. This saves round trips to the server, which cost more than most
// statements.
type postgresTx struct {
	conn  *pgx.Conn
	batch *pgx.Batch // the statements that are not sent yet; nil if there are none

	statements int // how many statements the transaction has run
}

// maxBatch is the largest number of unsent statements of a transaction.
const maxBatch = 100

// addToBatch adds a statement to those that the next flush sends.
func (t *postgresTx) addToBatch(query string, args []any) {
	if t.batch == nil {
		t.batch = &pgx.Batch{}
	}
	t.batch.Queue(query, args...)
}

func (t *postgresTx) send(ctx context.Context, query string, args []any) error {
	t.statements++
	if t.addToBatch(query, args); t.batch.Len() < maxBatch {
		return nil
	}
	_, err := t.flush(ctx)
	return err
}

// flush sends the statements in the batch, and returns the result of the last statement.
func (t *postgresTx) flush(ctx context.Context) (last pgconn.CommandTag, err error) {
	results, n := t.startBatch(ctx)
	for range n {
		if last, err = results.Exec(); err != nil {
			break
		}
	}
	return last, cmp.Or(err, results.Close())
}

// startBatch sends the statements in the batch, and returns their number n. The caller reads their
// results.
func (t *postgresTx) startBatch(ctx context.Context) (results pgx.BatchResults, n int) {
	results, n = t.conn.SendBatch(ctx, t.batch), t.batch.Len()
	t.batch = nil
	return results, n
}

func (t *postgresTx) exec(ctx context.Context, query string, args []any) (_ sql.Result, err error) {
	t.statements++
	var done pgconn.CommandTag
	if t.batch == nil {
		done, err = t.conn.Exec(ctx, query, args...)
	} else {
		t.addToBatch(query, args)
		done, err = t.flush(ctx)
	}
	return driver.RowsAffected(done.RowsAffected()), err
}

func (t *postgresTx) query(ctx context.Context, query string, args []any) (cursor, error) {
	t.statements++
	if t.batch == nil {
		return newCursor(t.conn.Query(ctx, query, args...))
	}
	t.addToBatch(query, args)
	results, n := t.startBatch(ctx)
	for range n - 1 {
		if _, err := results.Exec(); err != nil {
			return nil, cmp.Or(err, results.Close())
		}
	}
	rows, err := results.Query()
	if err != nil {
		return nil, cmp.Or(err, results.Close())
	}
	return postgresRows{rows, results}, nil
}

// errRolledBack is returned if PostgreSQL answers a commit with a rollback.
var errRolledBack = errors.New("PostgreSQL rolled the transaction back")

func (t *postgresTx) commit(ctx context.Context) error {
	if t.isIdle() && t.batch.Len() == 1 {
		return nil // no statement ran, so no transaction has begun
	}
	t.addToBatch("commit", nil)
	done, err := t.flush(ctx)
	if err == nil && done.String() == "ROLLBACK" {
		return errRolledBack
	}
	return err
}

// rollback ends the transaction, so that the connection can be used again. If that fails, the
// connection is closed.
func (t *postgresTx) rollback(ctx context.Context) {
	if !t.isIdle() && !t.conn.IsClosed() {
		_, _ = t.conn.Exec(ctx, "rollback")
	}
}

// isIdle reports whether the connection is in no transaction.
func (t *postgresTx) isIdle() bool { return t.conn.PgConn().TxStatus() == 'I' }

// postgresRead runs a query without a transaction.
type postgresRead struct{ conn *pgx.Conn }

func (postgresRead) exec(context.Context, string, []any) (sql.Result, error) {
	return nil, errNotSingle
}

func (p postgresRead) query(ctx context.Context, query string, args []any) (cursor, error) {
	return newCursor(p.conn.Query(ctx, query, args...))
}

// postgresRows are the rows of a query. If the query was sent in a batch, batch has the results of
// the batch, of which the query is the last statement.
type postgresRows struct {
	pgx.Rows
	batch pgx.BatchResults
}

// newCursor returns the rows of a query that was sent alone.
func newCursor(rows pgx.Rows, err error) (cursor, error) {
	if err != nil {
		return nil, err
	}
	return postgresRows{rows, nil}, nil
}

func (r postgresRows) Close() error {
	r.Rows.Close()
	err := r.Rows.Err()
	if r.batch != nil {
		err = cmp.Or(err, r.batch.Close())
	}
	return err
}

// Shard returns a number for a counter that has several rows, of which each transaction changes the
// row with its number. Transactions that run at the same time mostly get different numbers, so they
// rarely wait for each other. The number is less than the number of connections. On PostgreSQL it
// comes from the process id of the connection. On SQLite, where one transaction writes at a time,
// it is 0.
func (tx *Tx) Shard() int {
	if t, ok := tx.conn.(*postgresTx); ok {
		return int(t.conn.PgConn().PID() % postgresConns)
	}
	return 0
}
