package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Tx is a transaction. Only the function that was passed to Update or View may use it, in one
// goroutine and until the function returns.
type Tx struct {
	db       *DB
	conn     statements // runs the SQL
	openRows *Rows      // the rows of the previous query, if they are not closed yet
	failed   error      // the first statement that failed; it ends the transaction

	singleQuery, queryStarted bool // whether only one query is allowed, as in Read; and whether it was started
	signalsCommit             bool // whether SignalCommit was called
}

// SignalCommit makes [DB.CommitSignals] signal once this transaction is on disk.
func (tx *Tx) SignalCommit() { tx.signalsCommit = true }

// statements is a connection that runs SQL with $1 placeholders.
type statements interface {
	exec(ctx context.Context, query string, args []any) (sql.Result, error)
	query(ctx context.Context, query string, args []any) (cursor, error)
}

// cursor is the result of a query, used like [sql.Rows].
type cursor interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// The errors for a wrong use of a Tx or Rows.
var (
	errRowsOpen  = errors.New("a statement was started before the rows of the one before were closed")
	errNotSingle = errors.New("a read is one query")
	errEnded     = errors.New("the transaction has ended")
	errClosedRow = errors.New("the rows are closed")
)

// Exec runs a statement that returns no rows.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := tx.checkReady(ctx); err != nil {
		return nil, err
	}
	if tx.singleQuery {
		return nil, tx.Fail(errNotSingle)
	}
	result, err := tx.conn.exec(ctx, query, args)
	if err != nil {
		return nil, tx.Fail(err)
	}
	return result, nil
}

// Query runs a statement that returns rows. The caller must close the rows.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	if err := tx.checkReady(ctx); err != nil {
		return nil, err
	}
	rows, err := tx.conn.query(ctx, query, args)
	if err != nil {
		return nil, tx.Fail(err)
	}
	tx.queryStarted = true
	tx.openRows = &Rows{rows: rows, tx: tx}
	return tx.openRows, nil
}

// QueryRow runs a statement that returns at most one row. The returned row must be scanned.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *Row {
	rows, err := tx.Query(ctx, query, args...)
	return &Row{rows: rows, err: err}
}

// checkReady returns the reason why no further statement can run, or nil.
func (tx *Tx) checkReady(ctx context.Context) error {
	if tx.failed != nil {
		return fmt.Errorf("transaction has failed: %w", tx.failed)
	}
	if tx.openRows != nil {
		return tx.Fail(errRowsOpen)
	}
	if tx.singleQuery && tx.queryStarted {
		return tx.Fail(errNotSingle)
	}
	return ctx.Err()
}

// Fail ends the transaction with an error, as if a statement had failed, and returns the error.
func (tx *Tx) Fail(err error) error {
	if tx.failed == nil {
		tx.failed = err
	}
	return err
}

// Failed returns the error that ended the transaction, or nil.
func (tx *Tx) Failed() error { return tx.failed }

// Kind returns the kind of the database: SQLite or PostgreSQL.
func (tx *Tx) Kind() string { return tx.db.kind }

// Now returns the time of the database's clock, Options.Now.
func (tx *Tx) Now() time.Time { return tx.db.now() }

// run calls fn and turns a panic into an error. If a statement failed and fn returned nil, run
// returns the statement's error. It closes rows that fn left open.
func (tx *Tx) run(fn func(*Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
		if tx.openRows != nil {
			tx.openRows.Close()
			err = cmp.Or(err, errRowsOpen)
		}
		if tx.failed == nil {
			tx.failed = errEnded
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.failed
}

// Rows is the result of Query, used like [sql.Rows].
type Rows struct {
	rows   cursor
	tx     *Tx
	closed bool
	err    error
}

// Next moves to the next row. After the last row it closes the rows.
func (r *Rows) Next() bool {
	if r.closed { // the connection may run another query by now
		return false
	}
	if r.rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Scan reads the current row.
func (r *Rows) Scan(dest ...any) error {
	if r.closed {
		return errClosedRow
	}
	return r.rows.Scan(dest...)
}

// Err returns the error that ended Next early, or nil if Next has returned all rows.
func (r *Rows) Err() error { return r.err }

// Close ends the query. A second Close does nothing.
func (r *Rows) Close() error {
	if r.closed {
		return r.err
	}
	r.closed, r.tx.openRows = true, nil
	err := r.rows.Err()
	if e := r.rows.Close(); err == nil {
		err = e
	}
	if err != nil {
		r.err = r.tx.Fail(err)
	}
	return r.err
}

// Appender is a destination for Scan. Scan appends the text of a column to Bytes, which needs no
// allocation for each row.
type Appender struct{ Bytes []byte }

// ScanBytes lets pgx scan a column into the Appender.
func (a *Appender) ScanBytes(text []byte) error {
	if text == nil {
		return errors.New("a null cannot be appended")
	}
	a.Bytes = append(a.Bytes, text...)
	return nil
}

// Row is the result of QueryRow: at most one row.
type Row struct {
	rows *Rows
	err  error
}

// Scan reads the row. It returns [sql.ErrNoRows] if there is no row.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	if err := r.rows.Close(); err != nil {
		return err
	}
	return nil
}
