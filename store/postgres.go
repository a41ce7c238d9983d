package store

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	postgresConns = 16
	// postgresTries is how often an update runs before its conflict with
	// others is returned.
	postgresTries = 10
)

// postgresDB is a PostgreSQL database.
type postgresDB struct {
	db     *DB
	config *pgxpool.Config
	sql    *sql.DB

	mu    sync.Mutex
	river *pgxpool.Pool // opened on demand
}

func openPostgres(ctx context.Context, db *DB, url string) (*postgresDB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if params := config.ConnConfig.RuntimeParams; params["application_name"] == "" {
		params["application_name"] = "rollcall"
	}
	pool := stdlib.OpenDB(*config.ConnConfig, stdlib.OptionAfterConnect(commitToDisk))
	pool.SetMaxOpenConns(postgresConns)
	pool.SetMaxIdleConns(postgresConns)
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return &postgresDB{db: db, config: config, sql: pool}, nil
}

// commitToDisk overrules a server or database set to acknowledge commits that
// are not on disk.
func commitToDisk(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `
		select set_config('synchronous_commit', 'on', false)
		where current_setting('synchronous_commit') = 'off'`)
	return err
}

func (p *postgresDB) update(ctx context.Context, fn func(*Tx) error) error {
	again := true // when a unique value was taken meanwhile: once, to see who has it
	for try := 1; ; try++ {
		err := p.run(ctx, nil, fn)
		_, taken := uniqueViolation(err)
		if err == nil || ctx.Err() != nil || try == postgresTries || !isConflict(err) && (!taken || !again) {
			return err
		}
		again = again && !taken
	}
}

func (p *postgresDB) view(ctx context.Context, fn func(*Tx) error) error {
	return p.run(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, fn)
}

// read needs no transaction: a statement alone sees one snapshot.
func (p *postgresDB) read(_ context.Context, fn func(*Tx) error) error {
	tx := &Tx{db: p.db, runs: postgresRead{p.sql}, single: true}
	return tx.run(fn)
}

// recall reads: to ask whether anything has changed would take as long.
func (p *postgresDB) recall(ctx context.Context, _ string, fn func(*Tx) (any, error)) (v any, err error) {
	err = p.read(ctx, func(tx *Tx) error {
		v, err = fn(tx)
		return err
	})
	return v, err
}

func (p *postgresDB) run(ctx context.Context, o *sql.TxOptions, fn func(*Tx) error) error {
	conn, err := p.sql.Conn(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer conn.Close()
	// Statements end with the caller's context, the commit does not: its outcome would be unknown.
	t, err := conn.BeginTx(context.WithoutCancel(ctx), o)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer t.Rollback()
	tx := &Tx{db: p.db, runs: postgresTx{t}}
	if err := tx.run(fn); err != nil {
		return err
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (p *postgresDB) serve(context.Context) error { return nil }

func (p *postgresDB) ping(ctx context.Context) error { return p.sql.PingContext(ctx) }

func (p *postgresDB) pool(ctx context.Context) (*pgxpool.Pool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.river != nil {
		return p.river, nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, p.config.Copy())
	if err != nil {
		return nil, fmt.Errorf("open connection pool: %w", err)
	}
	p.river = pool
	return pool, nil
}

func (p *postgresDB) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.river != nil {
		p.river.Close()
		p.river = nil
	}
	return p.sql.Close()
}

// postgresTx runs statements; pgx keeps them prepared on each connection.
type postgresTx struct{ t *sql.Tx }

func (p postgresTx) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	return p.t.ExecContext(ctx, query, args...)
}

func (p postgresTx) query(ctx context.Context, query string, args []any) (cursor, error) {
	rows, err := p.t.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err // and no cursor, which a nil *sql.Rows would be
	}
	return rows, nil
}

// postgresRead runs a query without a transaction, on any connection.
type postgresRead struct{ sql *sql.DB }

func (p postgresRead) exec(context.Context, string, []any) (sql.Result, error) {
	return nil, errNotSingle
}

func (p postgresRead) query(ctx context.Context, query string, args []any) (cursor, error) {
	rows, err := p.sql.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return rows, nil
}
