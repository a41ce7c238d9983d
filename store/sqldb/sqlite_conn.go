package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// sqliteConn is one connection with its prepared statements. One goroutine at a time uses it, for
// one query at a time. It calls the driver directly, because database/sql adds locks, a goroutine
// and conversions to every statement, which cost more than a read by primary key.
type sqliteConn struct {
	driverConn driver.Conn
	stmts      map[string]*sqliteStmt
	// interruptible means that a statement may be stopped when its context ends. It is never set on
	// the writer, where stopping one statement would roll back every update that shares the
	// transaction.
	interruptible bool

	args   []driver.NamedValue // the arguments of the statement that is being started
	values []driver.Value      // the values of the current row

	version      int64          // the database's version, which changes with each commit of another connection
	cachedValues map[string]any // values that were read when the database had that version, by key
}

// sqliteStmt is a prepared statement. argumentNumbers has the number of the argument for each
// placeholder, counted from 1.
type sqliteStmt struct {
	driverStmt
	argumentNumbers []int
}

// driverStmt has the methods of the SQLite driver's prepared statements that sqliteConn calls.
type driverStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// openSQLiteConn opens a connection. The caller must call close.
func openSQLiteConn(ctx context.Context, dsn string) (*sqliteConn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteConn{driverConn: c, stmts: map[string]*sqliteStmt{}}, nil
}

func (c *sqliteConn) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	ctx = c.statementContext(ctx)
	stmt, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := c.bindArguments(stmt, args); err != nil {
		return nil, err
	}
	defer clear(c.args)
	return stmt.ExecContext(ctx, c.args)
}

func (c *sqliteConn) query(ctx context.Context, query string, args []any) (cursor, error) {
	ctx = c.statementContext(ctx)
	stmt, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := c.bindArguments(stmt, args); err != nil {
		return nil, err
	}
	defer clear(c.args)
	rows, err := stmt.QueryContext(ctx, c.args)
	if err != nil {
		return nil, err
	}
	if n := len(rows.Columns()); n > cap(c.values) {
		c.values = make([]driver.Value, n)
	} else {
		c.values = c.values[:n]
	}
	return &sqliteRows{ctx: ctx, rows: rows, values: c.values}, nil
}

func (c *sqliteConn) statementContext(ctx context.Context) context.Context {
	if c.interruptible {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// bindArguments sets c.args to the arguments of the statement. Byte slices are bound as text,
// because SQLite would store them as blobs, and a blob never equals a value of type text.
func (c *sqliteConn) bindArguments(stmt *sqliteStmt, args []any) error {
	c.args = c.args[:0]
	for i, n := range stmt.argumentNumbers {
		if n > len(args) {
			return fmt.Errorf("argument $%d is missing: there are %d", n, len(args))
		}
		value, err := driverValue(args[n-1])
		if err != nil {
			return fmt.Errorf("argument $%d: %w", n, err)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: value})
	}
	return nil
}

func driverValue(arg any) (driver.Value, error) {
	switch arg := arg.(type) {
	case nil, string, int64, bool:
		return arg, nil
	case int:
		return int64(arg), nil
	case []byte:
		return string(arg), nil
	}
	return driver.DefaultParameterConverter.ConvertValue(arg)
}

// runStatement runs a statement that no caller's context can stop, such as "commit".
func (c *sqliteConn) runStatement(query string) error {
	stmt, err := c.prepare(query)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(context.Background(), nil)
	return err
}

// prepare returns the prepared statement of a query. If there are too many prepared statements, it
// closes all of them first. Queries are parts of the program and not of requests, so there is a
// limited number of them.
func (c *sqliteConn) prepare(query string) (*sqliteStmt, error) {
	if stmt := c.stmts[query]; stmt != nil {
		return stmt, nil
	}
	if len(c.stmts) >= maxStatements {
		if err := c.closeStatements(); err != nil {
			return nil, err
		}
	}
	text, takes := replacePlaceholders(query)
	prepared, err := c.driverConn.Prepare(text)
	if err != nil {
		return nil, err
	}
	stmt, ok := prepared.(driverStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's statement %T takes no context", prepared), prepared.Close())
	}
	c.stmts[query] = &sqliteStmt{stmt, takes}
	return c.stmts[query], nil
}

// replacePlaceholders replaces each placeholder such as $1 by ?. It also returns the number of the
// argument for each placeholder. SQLite treats $1 as a name, and the driver searches all names of
// the statement for each placeholder, which is slow.
func replacePlaceholders(query string) (text string, takes []int) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(query); i++ {
		if query[i] == '\'' {
			quoted = !quoted
		}
		end := i + 1
		for !quoted && query[i] == '$' && end < len(query) && '0' <= query[end] && query[end] <= '9' {
			end++
		}
		if n, err := strconv.Atoi(query[i+1 : end]); err == nil {
			b.WriteByte('?')
			takes = append(takes, n)
			i = end - 1
			continue
		}
		b.WriteByte(query[i])
	}
	return b.String(), takes
}

// closeStatements closes the prepared statements.
func (c *sqliteConn) closeStatements() (err error) {
	for _, stmt := range c.stmts {
		err = errors.Join(err, stmt.Close())
	}
	clear(c.stmts)
	return err
}

// readRow runs a statement that returns one row, and that no caller's context can stop.
func (c *sqliteConn) readRow(query string, dest ...any) (err error) {
	rows, err := c.query(context.Background(), query, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return errors.Join(fmt.Errorf("%s: no row", query), rows.Err())
	}
	return rows.Scan(dest...)
}

// dropStaleValues drops the cached values if any process has committed since they were read. The
// version is read before the values that are cached under it. A commit in between therefore makes
// the next call drop them.
func (c *sqliteConn) dropStaleValues() error {
	var version int64
	if err := c.readRow("pragma data_version", &version); err != nil {
		return fmt.Errorf("version of the database: %w", err)
	}
	if version != c.version {
		clear(c.cachedValues)
		c.version = version
	}
	return nil
}

// maxCachedValues is how many values a connection caches before it drops all of them.
const maxCachedValues = 1_000

func (c *sqliteConn) cacheValue(key string, v any) {
	if c.cachedValues == nil || len(c.cachedValues) >= maxCachedValues {
		c.cachedValues = map[string]any{}
	}
	c.cachedValues[key] = v
}

// checkpoint copies the write-ahead log into the database and returns how many pages the log has
// and how many of them are copied.
func (c *sqliteConn) checkpoint(mode string) (pages, copied int, err error) {
	var busy int
	err = c.readRow("pragma wal_checkpoint("+mode+")", &busy, &pages, &copied)
	return pages, copied, err
}

// emptyLog copies the whole write-ahead log into the database and empties the log. done is false if
// a reader or another checkpoint still needs the log at the time end. SQLite reports that in a
// column of the result, not as an error. emptyLog tries at least once.
func (c *sqliteConn) emptyLog(ctx context.Context, end time.Time) (done bool, err error) {
	for {
		var busy, pages, copied int
		err := c.readRow("pragma wal_checkpoint(truncate)", &busy, &pages, &copied)
		if err == nil && busy == 0 {
			return true, nil
		}
		if err != nil && !isBusy(err) || !time.Now().Before(end) {
			if isBusy(err) {
				err = nil
			}
			return false, err
		}
		select {
		case <-time.After(writerLockWait):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (c *sqliteConn) close() error { return errors.Join(c.closeStatements(), c.driverConn.Close()) }

// sqliteRows is the result of a query.
type sqliteRows struct {
	ctx    context.Context
	rows   driver.Rows
	values []driver.Value // the values of the current row
	err    error          // the error that ended Next; io.EOF after the last row
}

// Next reads the next row.
func (r *sqliteRows) Next() bool {
	if r.err == nil {
		r.err = r.ctx.Err()
	}
	if r.err == nil {
		r.err = r.rows.Next(r.values)
	}
	return r.err == nil
}

// Err returns the error that ended Next early; nil if Next read all rows.
func (r *sqliteRows) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// Close ends the query.
func (r *sqliteRows) Close() error {
	clear(r.values)
	return r.rows.Close()
}

// Scan copies the values of the current row into dest.
func (r *sqliteRows) Scan(dest ...any) error {
	if len(dest) != len(r.values) {
		return fmt.Errorf("the row has %d columns, not %d", len(r.values), len(dest))
	}
	for i, d := range dest {
		if err := assignValue(d, r.values[i]); err != nil {
			return fmt.Errorf("column %s: %w", r.rows.Columns()[i], err)
		}
	}
	return nil
}

// assignValue stores a column's value in a variable of a domain's type.
func assignValue(dest any, value driver.Value) error {
	switch value := value.(type) {
	case string:
		if assignText(dest, value) {
			return nil
		}
	case int64:
		if assignNumber(dest, value) {
			return nil
		}
	case []byte:
		if dest, ok := dest.(*[]byte); ok {
			*dest = value
			return nil
		}
	}
	if scanner, ok := dest.(sql.Scanner); ok { // a type such as sql.NullString
		return scanner.Scan(value)
	}
	return fmt.Errorf("a %T cannot be read into a %T", value, dest)
}

func assignNumber(dest any, value int64) bool {
	switch d := dest.(type) {
	case *int64:
		*d = value
	case *int:
		*d = int(value)
	case *bool:
		*d = value != 0
	default:
		return false
	}
	return true
}

// assignText assigns to a variable of any type whose underlying type is string. It uses reflection,
// as database/sql does for PostgreSQL, because a list of the domains' string types would soon be
// incomplete.
func assignText(dest any, value string) bool {
	switch d := dest.(type) {
	case *string:
		*d = value
	case *[]byte:
		*d = []byte(value)
	default:
		v := reflect.ValueOf(dest)
		if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.String {
			return false
		}
		v.Elem().SetString(value)
	}
	return true
}
