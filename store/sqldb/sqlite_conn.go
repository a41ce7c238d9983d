package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteConn is one connection with its prepared statements. One goroutine at a time uses it, for
// one query at a time. It calls SQLite directly, and not through package database/sql, because that
// adds locks, a goroutine and conversions to every statement. These cost more than a read by
// primary key. The driver for database/sql also makes two allocations for each column.
type sqliteConn struct {
	tls    *libc.TLS
	handle uintptr // SQLite's handle of the connection; 0 after close
	stmts  map[string]*sqliteStmt
	// interruptible says whether a statement is stopped when its context ends. It is false for the
	// writer, because stopping one statement would roll back every update that shares the
	// transaction.
	interruptible bool
	stoppable     bool // whether stopWithContext was called, without which no statement can be stopped
	// isStepping says whether SQLite runs a statement. It stays true when SQLite panics; the
	// connection must not be used after that.
	isStepping bool

	busyWait time.Duration // how long a statement waits for the lock of another process; see waitForLock

	args     []driver.Value // the arguments of the statement that is being started
	texts    uintptr        // memory of SQLite that holds the text of these arguments
	textSize int            // the size of that memory, in bytes
	rows     sqliteRows     // the current query

	logBuffer uintptr // the memory of gatherLogWrites; 0 unless that was called
	logIndex  uintptr // the address of the index of the write-ahead log in memory; 0 until findLogIndex has found it

	// cachedTables has the tables whose rows are in the cache of values; if there are none, all tables
	// count. changesCached means that a statement may have changed one of them. Only the writer uses
	// these fields.
	cachedTables  []string
	changesCached bool
}

// keptTextBytes is the largest size of the memory for arguments that a connection keeps after the
// statement.
const keptTextBytes = 64 << 10

// sqliteStmt is a prepared statement.
type sqliteStmt struct {
	handle          uintptr // SQLite's handle of the statement
	argumentNumbers []int   // for each placeholder, the number of its argument, counted from 1
	changesCached   bool    // whether the statement may change a table of cachedTables
}

// sqliteError is an error that SQLite has returned.
type sqliteError struct {
	code int32 // an extended result code, see https://sqlite.org/rescode.html
	text string
}

func (e *sqliteError) Error() string { return e.text }

// hasCode reports whether err contains an error of SQLite with one of the result codes. An extended
// code matches its primary code too.
func hasCode(err error, codes ...int32) bool {
	switch e := err.(type) { //nolint:errorlint // this function walks the tree of errors itself, because errors.As finds only the first error of SQLite
	case nil:
		return false
	case *sqliteError:
		return slices.ContainsFunc(codes, func(code int32) bool { return e.code == code || e.code&0xff == code })
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), func(err error) bool { return hasCode(err, codes...) })
	}
	return hasCode(errors.Unwrap(err), codes...)
}

// openSQLiteConn opens a connection and runs the pragmas. path is the absolute path of the file, or a
// URI that begins with "file:". The caller must call close.
func openSQLiteConn(ctx context.Context, path string, pragmas []string) (*sqliteConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := configurePageCache(); err != nil {
		return nil, err
	}
	c := &sqliteConn{tls: libc.NewTLS(), stmts: map[string]*sqliteStmt{}}
	c.rows.conn = c
	err := c.open(path)
	for i := 0; i < len(pragmas) && err == nil; i++ {
		err = c.runStatement("pragma " + pragmas[i])
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// open opens the connection to the file.
func (c *sqliteConn) open(path string) error {
	name, err := libc.CString(path)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, name)
	out := libc.Xcalloc(c.tls, 1, libc.Tsize_t(unsafe.Sizeof(c.handle)))
	if out == 0 {
		return errOutOfMemory
	}
	defer libc.Xfree(c.tls, out)
	// One goroutine at a time uses a connection, so it needs no lock of its own.
	code := sqlite3.Xsqlite3_open_v2(c.tls, name, out, sqlite3.SQLITE_OPEN_READWRITE|sqlite3.SQLITE_OPEN_CREATE|sqlite3.SQLITE_OPEN_URI|sqlite3.SQLITE_OPEN_NOMUTEX|sqlite3.SQLITE_OPEN_EXRESCODE, 0)
	c.handle = *at[uintptr](out) // set even after an error
	return c.errorOf(code)
}

// errOutOfMemory is returned if SQLite cannot allocate memory.
var errOutOfMemory = errors.New("SQLite is out of memory")

// errorOf returns the error for a result code, or nil if the code means success.
func (c *sqliteConn) errorOf(code int32) error {
	switch code {
	case sqlite3.SQLITE_OK, sqlite3.SQLITE_ROW, sqlite3.SQLITE_DONE:
		return nil
	}
	text := libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, code))
	if c.handle != 0 {
		if more := libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.handle)); more != text {
			text += ": " + more
		}
	}
	return &sqliteError{code, fmt.Sprintf("%s (%d)", text, code)}
}

// exec runs a statement to its end and returns the number of rows that it changed.
func (c *sqliteConn) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	rows, err := c.start(ctx, query, args)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	return driver.RowsAffected(sqlite3.Xsqlite3_changes64(c.tls, c.handle)), nil
}

// query starts a statement that returns rows.
func (c *sqliteConn) query(ctx context.Context, query string, args []any) (cursor, error) {
	rows, err := c.start(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// start starts a statement and runs it up to its first row. So if a statement that changes rows
// fails, the caller gets the error at once, and not only when it reads a row.
func (c *sqliteConn) start(ctx context.Context, query string, args []any) (*sqliteRows, error) {
	if !c.interruptible {
		ctx = nil
	} else if err := ctx.Err(); err != nil {
		return nil, err
	}
	stmt, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := c.bindArguments(stmt, args); err != nil {
		return nil, err
	}
	c.changesCached = c.changesCached || stmt.changesCached
	r := &c.rows
	*r = sqliteRows{conn: c, ctx: ctx, stmt: stmt.handle}
	if ctx != nil {
		c.stopWithContext()
	}
	if r.step(); r.err != nil {
		err := r.err
		r.Close() //nolint:errcheck // the statement has failed already
		return nil, err
	}
	return r, nil
}

// stopInterval is the number of steps of SQLite's virtual machine after which it asks whether to
// stop a query.
const stopInterval = 1000

// stoppable has the connections whose queries stop when their contexts end, by their handles.
// SQLite's callback knows only the handle.
var stoppable sync.Map

// stopWithContext makes SQLite stop the queries of this connection when their contexts end.
func (c *sqliteConn) stopWithContext() {
	if c.stoppable {
		return
	}
	c.stoppable = true
	stoppable.Store(c.handle, c)
	sqlite3.Xsqlite3_progress_handler(c.tls, c.handle, stopInterval, functionPointer(isStopped), c.handle)
	sqlite3.Xsqlite3_busy_handler(c.tls, c.handle, functionPointer(waitForLock), c.handle)
}

// lockRetryInterval is how long a statement waits before it tries again to get a lock.
const lockRetryInterval = 2 * time.Millisecond

// waitForLock is SQLite's busy handler of the connections in stoppable. SQLite calls it while another
// process holds a lock, with the number of earlier calls. It returns 0 to give up: after busyWait, or
// when the context of the query has ended.
func waitForLock(tls *libc.TLS, handle uintptr, tries int32) int32 {
	c, ok := stoppable.Load(handle)
	if !ok || isStopped(tls, handle) != 0 || time.Duration(tries)*lockRetryInterval >= c.(*sqliteConn).busyWait {
		return 0
	}
	time.Sleep(lockRetryInterval)
	return 1
}

// isStopped returns 1 if the context of the connection's query has ended.
func isStopped(_ *libc.TLS, handle uintptr) int32 {
	if c, ok := stoppable.Load(handle); ok {
		if ctx := c.(*sqliteConn).rows.ctx; ctx != nil && ctx.Err() != nil {
			return 1
		}
	}
	return 0
}

// bindArguments sets the arguments of a statement. Byte slices are bound as text, because SQLite
// would store them as blobs, and a blob never equals a value of type text.
func (c *sqliteConn) bindArguments(stmt *sqliteStmt, args []any) error {
	c.args = c.args[:0]
	defer func() { clear(c.args) }()
	size := 0
	for _, n := range stmt.argumentNumbers {
		if n > len(args) {
			return fmt.Errorf("argument $%d is missing: there are %d", n, len(args))
		}
		value, err := driverValue(args[n-1])
		if err != nil {
			return fmt.Errorf("argument $%d: %w", n, err)
		}
		switch value := value.(type) {
		case string:
			size += len(value)
		case []byte:
			size += len(value)
		}
		c.args = append(c.args, value)
	}
	if size > math.MaxInt32 {
		return fmt.Errorf("the arguments have %d bytes together, which is too much", size)
	}
	if err := c.reserveTexts(size); err != nil {
		return err
	}
	next := c.texts
	for i, value := range c.args {
		var code int32
		index := int32(i + 1)
		switch value := value.(type) {
		case nil:
			code = sqlite3.Xsqlite3_bind_null(c.tls, stmt.handle, index)
		case bool:
			code = sqlite3.Xsqlite3_bind_int64(c.tls, stmt.handle, index, boolNumber(value))
		case int64:
			code = sqlite3.Xsqlite3_bind_int64(c.tls, stmt.handle, index, value)
		case float64:
			code = sqlite3.Xsqlite3_bind_double(c.tls, stmt.handle, index, value)
		case string:
			code = sqlite3.Xsqlite3_bind_text(c.tls, stmt.handle, index, next, int32(copy(bytesAt(next, len(value)), value)), sqliteStatic)
			next += uintptr(len(value))
		case []byte:
			code = sqlite3.Xsqlite3_bind_text(c.tls, stmt.handle, index, next, int32(copy(bytesAt(next, len(value)), value)), sqliteStatic)
			next += uintptr(len(value))
		default:
			return fmt.Errorf("argument $%d: a %T cannot be stored", stmt.argumentNumbers[i], value)
		}
		if err := c.errorOf(code); err != nil {
			return fmt.Errorf("argument $%d: %w", stmt.argumentNumbers[i], err)
		}
	}
	return nil
}

// sqliteStatic tells SQLite that the memory of an argument does not change before the statement has
// ended.
const sqliteStatic = uintptr(0)

// reserveTexts makes sure that c.texts has this size, for the text of a statement's arguments.
func (c *sqliteConn) reserveTexts(size int) error {
	if c.texts != 0 && size <= c.textSize {
		return nil
	}
	c.freeTexts()
	size = max(size, 4<<10)
	if c.texts = libc.Xmalloc(c.tls, libc.Tsize_t(size)); c.texts == 0 {
		return errOutOfMemory
	}
	c.textSize = size
	return nil
}

// freeTexts frees the memory for the text of arguments.
func (c *sqliteConn) freeTexts() {
	libc.Xfree(c.tls, c.texts)
	c.texts, c.textSize = 0, 0
}

// bytesAt returns the bytes at an address in SQLite's memory.
func bytesAt(address uintptr, size int) []byte {
	if size == 0 {
		return nil
	}
	return unsafe.Slice(at[byte](address), size)
}

// boolNumber returns 1 for true and 0 for false, as SQLite stores booleans.
func boolNumber(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// driverValue converts an argument of a domain's type to one of the types that SQLite can store.
func driverValue(arg any) (driver.Value, error) {
	switch arg := arg.(type) {
	case nil, string, int64, bool, []byte:
		return arg, nil
	case int:
		return int64(arg), nil
	}
	return driver.DefaultParameterConverter.ConvertValue(arg)
}

// runStatement runs a statement that no caller's context can stop, such as "commit".
func (c *sqliteConn) runStatement(query string) error {
	before := c.interruptible
	c.interruptible = false
	defer func() { c.interruptible = before }()
	_, err := c.exec(context.Background(), query, nil)
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
		c.closeStatements()
	}
	text, numbers := replacePlaceholders(query)
	handle, err := c.compile(text)
	if err != nil {
		return nil, err
	}
	writes := sqlite3.Xsqlite3_stmt_readonly(c.tls, handle) == 0
	stmt := &sqliteStmt{handle, numbers, writes && mayChange(query, c.cachedTables)}
	c.stmts[query] = stmt
	return stmt, nil
}

// errSeveralStatements is returned for an SQL text with more than one statement.
var errSeveralStatements = errors.New("several statements were given at once; run them one by one")

// compile prepares the one statement of an SQL text.
func (c *sqliteConn) compile(text string) (handle uintptr, err error) {
	code, err := libc.CString(text)
	if err != nil {
		return 0, err
	}
	defer libc.Xfree(c.tls, code)
	out := libc.Xcalloc(c.tls, 2, libc.Tsize_t(unsafe.Sizeof(handle)))
	if out == 0 {
		return 0, errOutOfMemory
	}
	defer libc.Xfree(c.tls, out)
	rest := out + unsafe.Sizeof(handle)
	result := sqlite3.Xsqlite3_prepare_v3(c.tls, c.handle, code, -1, sqlite3.SQLITE_PREPARE_PERSISTENT, out, rest)
	if err := c.errorOf(result); err != nil {
		return 0, err
	}
	handle = *at[uintptr](out)
	if strings.Trim(libc.GoString(*at[uintptr](rest)), "; \t\r\n") != "" {
		sqlite3.Xsqlite3_finalize(c.tls, handle)
		return 0, errSeveralStatements
	}
	if handle == 0 {
		return 0, fmt.Errorf("there is no statement in %q", text)
	}
	return handle, nil
}

// replacePlaceholders replaces each placeholder such as $1 by ?, because SQLite treats $1 as a
// name, not as a number. takes has the number of the argument for each placeholder, in the order of
// the placeholders.
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

// closeStatements closes the prepared statements. A statement whose last run failed returns that
// error again when it is closed, so the results say nothing new.
func (c *sqliteConn) closeStatements() {
	for _, stmt := range c.stmts {
		sqlite3.Xsqlite3_finalize(c.tls, stmt.handle)
	}
	clear(c.stmts)
}

// readRow runs a statement that returns one row, and that no caller's context can stop.
func (c *sqliteConn) readRow(query string, dest ...any) (err error) {
	before := c.interruptible
	c.interruptible = false
	defer func() { c.interruptible = before }()
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

// logHeader is the header of the index of the write-ahead log. SQLite keeps the index in memory that
// all processes share, and writes the header before a commit returns. The header has a checksum of
// the whole log, so it is different after each commit (https://sqlite.org/walformat.html#walidxfmt).
type logHeader [6]uint64

// readLogHeader reads the header without a lock, as SQLite does at the start of each transaction.
// If a commit writes the header at the same time, the result is a mixture that differs from the
// header of every commit.
//
// The memory is a mapped file, which another program may have shortened, or which the disk may fail
// to read. Reading the memory then ends the whole process, unless the fault is turned into a panic,
// as here.
func readLogHeader(logIndex uintptr) (header logHeader, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = &sqliteError{sqlite3.SQLITE_IOERR_IN_PAGE, "the index of the write-ahead log cannot be read"}
		}
	}()
	shared := at[logHeader](logIndex)
	for i := range header {
		header[i] = atomic.LoadUint64(&shared[i])
	}
	return header, nil
}

// logIndexBytes is the size of the first part of the index of the log.
const logIndexBytes = 32 << 10

// openLog opens the write-ahead log, which SQLite does at the first read.
func (c *sqliteConn) openLog() error {
	var version int64
	return c.readRow("pragma data_version", &version)
}

// findLogIndex finds the index of the log in the memory of this process.
func (c *sqliteConn) findLogIndex() error {
	if err := c.openLog(); err != nil {
		return err
	}
	name, err := libc.CString("main")
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, name)
	out := libc.Xcalloc(c.tls, 1, libc.Tsize_t(unsafe.Sizeof(c.logIndex)))
	if out == 0 {
		return errOutOfMemory
	}
	defer libc.Xfree(c.tls, out)
	if err := c.errorOf(sqlite3.Xsqlite3_file_control(c.tls, c.handle, name, sqlite3.SQLITE_FCNTL_FILE_POINTER, out)); err != nil {
		return err
	}
	file := *at[uintptr](out)
	methods := at[sqlite3.Tsqlite3_io_methods](at[sqlite3.Tsqlite3_file](file).FpMethods)
	*at[uintptr](out) = 0
	mapIndex := *(*func(tls *libc.TLS, file uintptr, part, size, extend int32, out uintptr) int32)(unsafe.Pointer(&struct{ f uintptr }{methods.FxShmMap}))
	if err := c.errorOf(mapIndex(c.tls, file, 0, logIndexBytes, 0, out)); err != nil {
		return err
	}
	if c.logIndex = *at[uintptr](out); c.logIndex == 0 {
		return errors.New("the database has no write-ahead log")
	}
	return nil
}

// checkpoint copies the write-ahead log into the database, as far as the mode of SQLite's
// wal_checkpoint allows. It returns the number of pages of the log, and how many of them are now
// copied.
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

// closeAfterPanic closes a connection in which SQLite has panicked. If closing it panics too, its memory
// and its locks stay until the process ends.
func (c *sqliteConn) closeAfterPanic() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("close a connection in which SQLite has panicked: %v", p)
		}
	}()
	return c.close()
}

// close closes the connection. The connection must not be used afterwards.
func (c *sqliteConn) close() error {
	c.closeStatements()
	c.freeTexts()
	stoppable.Delete(c.handle)
	err := c.errorOf(sqlite3.Xsqlite3_close_v2(c.tls, c.handle))
	c.handle = 0
	libc.Xfree(c.tls, c.logBuffer) // the log is closed
	c.tls.Close()
	return err
}

// sqliteRows is the result of a query. A connection has one, because it runs one query at a time.
type sqliteRows struct {
	conn    *sqliteConn
	ctx     context.Context // stops the query when it ends; nil if nothing stops the query
	stmt    uintptr         // SQLite's handle of the statement
	stepped bool            // whether SQLite has already moved to the row that the next call of Next returns
	hasRow  bool            // whether there is a current row
	err     error           // the error that ended the query
}

// step runs the statement up to its next row or its end.
func (r *sqliteRows) step() {
	r.stepped = true
	r.hasRow = false
	if r.ctx != nil {
		if r.err = r.ctx.Err(); r.err != nil {
			return
		}
	}
	r.conn.isStepping = true
	code := sqlite3.Xsqlite3_step(r.conn.tls, r.stmt)
	r.conn.isStepping = false
	switch code {
	case sqlite3.SQLITE_ROW:
		r.hasRow = true
	case sqlite3.SQLITE_DONE:
	default:
		r.err = r.conn.errorOf(code)
		if (code == sqlite3.SQLITE_INTERRUPT || code&0xff == sqlite3.SQLITE_BUSY) && r.ctx != nil && r.ctx.Err() != nil {
			r.err = r.ctx.Err()
		}
	}
}

// Next reads the next row.
func (r *sqliteRows) Next() bool {
	switch {
	case r.stepped:
		r.stepped = false
	case r.hasRow:
		r.step()
		r.stepped = false
	}
	return r.hasRow
}

// Err returns the error that ended Next early; nil if Next read all rows.
func (r *sqliteRows) Err() error { return r.err }

// Close ends the query. A second Close does nothing.
func (r *sqliteRows) Close() error {
	if r.stmt == 0 || r.conn.isStepping {
		return nil
	}
	// After an error, which Err returns, sqlite3_reset returns the same error again.
	code := sqlite3.Xsqlite3_reset(r.conn.tls, r.stmt)
	r.stmt, r.hasRow = 0, false
	r.ctx = nil
	if r.conn.textSize > keptTextBytes {
		r.conn.freeTexts()
	}
	if r.err != nil {
		return nil
	}
	return r.conn.errorOf(code)
}

// Scan copies the values of the current row into dest.
func (r *sqliteRows) Scan(dest ...any) error {
	if n := int(sqlite3.Xsqlite3_column_count(r.conn.tls, r.stmt)); len(dest) != n {
		return fmt.Errorf("the row has %d columns, not %d", n, len(dest))
	}
	for i, d := range dest {
		if err := r.scanColumn(int32(i), d); err != nil {
			name := libc.GoString(sqlite3.Xsqlite3_column_name(r.conn.tls, r.stmt, int32(i)))
			return fmt.Errorf("column %s: %w", name, err)
		}
	}
	return nil
}

// scanColumn stores a column's value in a variable of a domain's type.
func (r *sqliteRows) scanColumn(i int32, dest any) error {
	var value driver.Value
	switch sqlite3.Xsqlite3_column_type(r.conn.tls, r.stmt, i) {
	case sqlite3.SQLITE_INTEGER:
		n := sqlite3.Xsqlite3_column_int64(r.conn.tls, r.stmt, i)
		if assignNumber(dest, n) {
			return nil
		}
		value = n
	case sqlite3.SQLITE_FLOAT:
		value = sqlite3.Xsqlite3_column_double(r.conn.tls, r.stmt, i)
	case sqlite3.SQLITE_TEXT:
		start := sqlite3.Xsqlite3_column_text(r.conn.tls, r.stmt, i)
		text := bytesAt(start, int(sqlite3.Xsqlite3_column_bytes(r.conn.tls, r.stmt, i)))
		if assignText(dest, text) {
			return nil
		}
		value = string(text)
	case sqlite3.SQLITE_BLOB:
		start := sqlite3.Xsqlite3_column_blob(r.conn.tls, r.stmt, i)
		blob := bytes.Clone(bytesAt(start, int(sqlite3.Xsqlite3_column_bytes(r.conn.tls, r.stmt, i))))
		if dest, ok := dest.(*[]byte); ok {
			*dest = blob
			return nil
		}
		value = blob
	}
	if scanner, ok := dest.(sql.Scanner); ok { // a type such as sql.NullString
		return scanner.Scan(value)
	}
	return fmt.Errorf("a %T cannot be read into a %T", value, dest)
}

// assignNumber assigns a number to a variable of a number or boolean type. It returns false for a
// variable of another type.
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

// assignText assigns a copy of text to a variable of any type whose underlying type is string. It
// returns false for a variable of another type. It uses reflection, because a list of the string
// types of all packages would soon be incomplete.
func assignText(dest any, text []byte) bool {
	switch d := dest.(type) {
	case *string:
		*d = string(text)
	case *[]byte:
		*d = append(make([]byte, 0, len(text)), text...)
	case *Appender:
		d.Bytes = append(d.Bytes, text...)
	default:
		v := reflect.ValueOf(dest)
		if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.String {
			return false
		}
		v.Elem().SetString(string(text))
	}
	return true
}
