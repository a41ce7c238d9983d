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

// sqliteConn is one connection with its prepared statements, used by one goroutine at a time and
// for one query after the other. It speaks to the driver itself: what database/sql does around
// every statement (locks, a goroutine, conversions of any type into any other) costs more than a
// read by primary key.
type sqliteConn struct {
	c     driver.Conn
	stmts map[string]*sqliteStmt
	// interruptible: a statement may be stopped when its context ends. Never on the writer:
	// stopping one statement would roll back every update that shares the transaction.
	interruptible bool

	args   []driver.NamedValue // the arguments of the statement that is being started
	values []driver.Value      // the values of the current row

	version int64          // the version of the database: it grows with each commit of another connection
	known   map[string]any // values that were read from that version
}

// sqliteStmt is a prepared statement with the arguments that its placeholders take, one after the
// other, counted from 1.
type sqliteStmt struct {
	driverStmt
	takes []int
}

// driverStmt is a prepared statement of the driver.
type driverStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// openSQLiteConn opens a connection of its own, which closes with c.close.
func openSQLiteConn(ctx context.Context, dsn string) (*sqliteConn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteConn{c: c, stmts: map[string]*sqliteStmt{}}, nil
}

func (c *sqliteConn) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	ctx = c.context(ctx)
	stmt, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := c.bind(stmt, args); err != nil {
		return nil, err
	}
	defer clear(c.args)
	return stmt.ExecContext(ctx, c.args)
}

func (c *sqliteConn) query(ctx context.Context, query string, args []any) (cursor, error) {
	ctx = c.context(ctx)
	stmt, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := c.bind(stmt, args); err != nil {
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

func (c *sqliteConn) context(ctx context.Context) context.Context {
	if c.interruptible {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// bind makes c.args of the arguments that the statement takes. Byte slices are bound as text:
// SQLite would store a blob, which equals no text.
func (c *sqliteConn) bind(stmt *sqliteStmt, args []any) error {
	c.args = c.args[:0]
	for i, n := range stmt.takes {
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

// do runs a statement of the connection itself, whatever becomes of the caller.
func (c *sqliteConn) do(query string) error {
	stmt, err := c.prepare(query)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(context.Background(), nil)
	return err
}

// prepare returns the prepared statement of the text. When there are very many they are forgotten
// together: texts come from the program, a filter's too, so that they repeat.
func (c *sqliteConn) prepare(query string) (*sqliteStmt, error) {
	if stmt := c.stmts[query]; stmt != nil {
		return stmt, nil
	}
	if len(c.stmts) >= maxStatements {
		if err := c.forget(); err != nil {
			return nil, err
		}
	}
	text, takes := nameless(query)
	prepared, err := c.c.Prepare(text)
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

// nameless replaces each $1 by ?, and returns which arguments the placeholders take. To SQLite $1
// is a name, and the driver looks up the name of each placeholder by walking over all names of the
// statement.
func nameless(query string) (text string, takes []int) {
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

// forget closes the prepared statements.
func (c *sqliteConn) forget() (err error) {
	for _, stmt := range c.stmts {
		err = errors.Join(err, stmt.Close())
	}
	clear(c.stmts)
	return err
}

// row runs a statement of the connection itself that returns one row.
func (c *sqliteConn) row(query string, dest ...any) (err error) {
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

// refresh forgets what is known if any process has committed since.
//
// The version is read before anything that is known under it, so that a commit in between makes the
// next refresh forget.
func (c *sqliteConn) refresh() error {
	var version int64
	if err := c.row("pragma data_version", &version); err != nil {
		return fmt.Errorf("version of the database: %w", err)
	}
	if version != c.version {
		clear(c.known)
		c.version = version
	}
	return nil
}

// mostKnown is how much a connection remembers before it begins anew.
const mostKnown = 1_000

func (c *sqliteConn) know(key string, v any) {
	if c.known == nil || len(c.known) >= mostKnown {
		c.known = map[string]any{}
	}
	c.known[key] = v
}

// checkpoint copies the write-ahead log into the database and returns how many pages the log has
// and how many of them are copied.
func (c *sqliteConn) checkpoint(mode string) (pages, copied int, err error) {
	var busy int
	err = c.row("pragma wal_checkpoint("+mode+")", &busy, &pages, &copied)
	return pages, copied, err
}

// emptyLog copies the whole write-ahead log into the database and empties it. done is false when a
// reader or another checkpoint still holds the log at end: SQLite tells that in the answer, not as an
// error. It tries at least once.
func (c *sqliteConn) emptyLog(ctx context.Context, end time.Time) (done bool, err error) {
	for {
		var busy, pages, copied int
		err := c.row("pragma wal_checkpoint(truncate)", &busy, &pages, &copied)
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
		case <-time.After(busyWriter):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (c *sqliteConn) close() error { return errors.Join(c.forget(), c.c.Close()) }

// sqliteRows is the result of a query.
type sqliteRows struct {
	ctx    context.Context
	rows   driver.Rows
	values []driver.Value
	err    error
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

// Err is what ended Next early, nil at the natural end.
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

// Scan stores the current row's values.
func (r *sqliteRows) Scan(dest ...any) error {
	if len(dest) != len(r.values) {
		return fmt.Errorf("the row has %d columns, not %d", len(r.values), len(dest))
	}
	for i, d := range dest {
		if err := assign(d, r.values[i]); err != nil {
			return fmt.Errorf("column %s: %w", r.rows.Columns()[i], err)
		}
	}
	return nil
}

// assign stores a column's value in a variable of a domain's type.
func assign(dest any, value driver.Value) error {
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
	if scanner, ok := dest.(sql.Scanner); ok { // such as sql.NullString
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

// assignText reads into text of any named type. The domains have many of these, and database/sql,
// which PostgreSQL goes through, takes them all by reflection; a list of them here would be
// forgotten one day.
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
