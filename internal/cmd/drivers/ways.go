package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	ncruces "github.com/ncruces/go-sqlite3"
	modernc "modernc.org/sqlite"
	zombiezen "zombiezen.com/go/sqlite"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// database is an open SQLite database, as one of the compared ways uses it.
type database interface {
	// read reads a user and their groups.
	read(ctx context.Context, id string) (doc []byte, groups int, err error)
	// write changes a user. It returns when the change is on disk.
	write(ctx context.Context, id string, c change) error
	close() error
}

// way is one of the compared ways to use SQLite.
type way struct {
	name, title string                                                   // the name on the command line, and a description for the table
	open        func(ctx context.Context, file string) (database, error) // opens a database for this way
}

// ways lists the compared ways.
var ways = []way{
	{"sql", "modernc.org/sqlite through database/sql", openSQL},
	{"driver", "modernc.org/sqlite through its driver", poolWay(openDriver)},
	{"zombiezen", "zombiezen.com/go/sqlite", poolWay(openZombiezen)},
	{"ncruces", "github.com/ncruces/go-sqlite3", poolWay(openNcruces)},
	{"sqldb", "package store/sqldb: modernc.org/sqlite's library, called directly, with our page cache", openStore},
}

const (
	readers     = 4      // how many connections read
	readerCache = 2_000  // the size of a reader's page cache, in KiB
	writerCache = 16_384 // the size of the writer's page cache, in KiB
	maxGroup    = 256    // the largest number of changes that share a commit
	busyTimeout = 10_000 // how long a connection waits for a lock, in milliseconds
)

// pragmas returns the pragmas with which every connection is opened. The product uses the same.
// cache is the size of the page cache, in KiB.
func pragmas(cache int) []string {
	return []string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout), fmt.Sprintf("cache_size(-%d)", cache), "foreign_keys(1)", "secure_delete(fast)",
		"synchronous(full)", "temp_store(memory)", "wal_autocheckpoint(0)",
	}
}

// dataSourceName returns the URL with which a connection is opened. cache is the size of its page
// cache, in KiB.
func dataSourceName(file string, cache int) string {
	return (&url.URL{Scheme: "file", OmitHost: true, Path: file, RawQuery: url.Values{"_pragma": pragmas(cache)}.Encode()}).String()
}

// conn is one connection to the database. One goroutine at a time uses it.
type conn interface {
	// read reads a user and their groups.
	read(id string) (doc []byte, groups int, err error)
	change(id string, c change) error // changes a user, within a transaction that exec has begun
	exec(statement string) error      // runs a statement without arguments
	close() error
}

// pool is a database with one connection that writes and a few that read. Changes that wait at the
// same time share a commit.
type pool struct {
	idle    chan conn           // the readers that are not in use
	writer  conn                // the connection that writes
	waiting chan *waitingChange // the changes that wait for the writer
	ended   chan struct{}       // closed when commitAll has ended
}

// waitingChange is a change that waits for the writer.
type waitingChange struct {
	id     string // the id of the changed user
	change change
	done   chan error // gets the result of the change
}

// poolWay returns the function open of a way that uses a pool. Its argument opens one connection of
// the pool.
func poolWay(open func(ctx context.Context, file string, cache int) (conn, error)) func(context.Context, string) (database, error) {
	return func(ctx context.Context, file string) (database, error) {
		p := &pool{idle: make(chan conn, readers), waiting: make(chan *waitingChange, maxGroup), ended: make(chan struct{})}
		var err error
		if p.writer, err = open(ctx, file, writerCache); err != nil {
			return nil, err
		}
		for range readers {
			c, err := open(ctx, file, readerCache)
			if err != nil {
				return nil, err
			}
			p.idle <- c
		}
		go p.commitAll()
		return p, nil
	}
}

// read lets an idle reader read a user and their groups.
func (p *pool) read(_ context.Context, id string) ([]byte, int, error) {
	c := <-p.idle
	defer func() { p.idle <- c }()
	return c.read(id)
}

// write gives a change to commitAll and waits for the result.
func (p *pool) write(_ context.Context, id string, c change) error {
	w := &waitingChange{id, c, make(chan error, 1)}
	p.waiting <- w
	return <-w.done
}

// commitAll carries out changes until waiting is closed. It commits changes together that wait at
// the same time, but at most maxGroup of them.
func (p *pool) commitAll() {
	defer close(p.ended)
	commits := 0
	for first := range p.waiting {
		group := []*waitingChange{first}
		err := p.writer.exec("begin immediate")
		for i := 0; i < len(group) && err == nil; i++ {
			if err = p.writer.exec("savepoint one"); err == nil {
				if err = p.writer.change(group[i].id, group[i].change); err == nil {
					err = p.writer.exec("release one")
				}
			}
			if len(group) < maxGroup {
				select {
				case next, open := <-p.waiting:
					if open {
						group = append(group, next)
					}
				default:
				}
			}
		}
		if err == nil {
			err = p.writer.exec("commit")
		}
		for _, w := range group {
			w.done <- err
		}
		if commits++; err == nil && commits%200 == 0 {
			if err := p.writer.exec("pragma wal_checkpoint(passive)"); err != nil {
				panic(err)
			}
		}
	}
}

// close waits until all changes are committed, and closes all connections.
func (p *pool) close() error {
	close(p.waiting)
	<-p.ended
	var errs []error
	for range readers {
		errs = append(errs, (<-p.idle).close())
	}
	return errors.Join(append(errs, p.writer.close())...)
}

// openSQL opens the way "sql": a pool of database/sql for reads, and one connection for writes.
func openSQL(ctx context.Context, file string) (database, error) {
	if _, err := modernc.Fdatasync(true); err != nil {
		return nil, err
	}
	reads, err := sql.Open("sqlite", dataSourceName(file, readerCache))
	if err != nil {
		return nil, err
	}
	reads.SetMaxOpenConns(readers)
	reads.SetMaxIdleConns(readers)
	read, err := reads.PrepareContext(ctx, readStatement)
	if err != nil {
		return nil, err
	}
	writes, err := poolWay(func(ctx context.Context, file string, cache int) (conn, error) {
		if cache != writerCache {
			return unusedConn{}, nil
		}
		return openSQLWriter(ctx, file)
	})(ctx, file)
	return &sqlWay{writes, reads, read}, err
}

// sqlWay is the way "sql". It reads through database/sql. The embedded database writes.
type sqlWay struct {
	database
	reads     *sql.DB   // the pool of database/sql for reads
	statement *sql.Stmt // readStatement, prepared
}

// read reads a user and their groups.
func (w *sqlWay) read(ctx context.Context, id string) (doc []byte, groups int, err error) {
	rows, err := w.statement.QueryContext(ctx, siteID, userKind, id)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var isGroup, version, modified, seq, active int64
		var found string
		var text []byte
		if err := rows.Scan(&isGroup, &found, &version, &modified, &text, &seq, &active); err != nil {
			return nil, 0, err
		}
		if isGroup == 1 {
			groups++
			continue
		}
		doc = text
	}
	return doc, groups, rows.Err()
}

func (w *sqlWay) close() error {
	return errors.Join(w.statement.Close(), w.reads.Close(), w.database.close())
}

// unusedConn stands for a reader in a pool whose readers are not used. Only its method close works.
type unusedConn struct{ conn }

func (unusedConn) close() error { return nil }

// sqlWriter is a connection of database/sql that writes.
type sqlWriter struct {
	db    *sql.DB              // the pool of database/sql to which conn belongs
	conn  *sql.Conn            // the only connection
	stmts map[string]*sql.Stmt // the prepared statements, by their text
}

// openSQLWriter opens the connection of database/sql that writes.
func openSQLWriter(ctx context.Context, file string) (conn, error) {
	db, err := sql.Open("sqlite", dataSourceName(file, writerCache))
	if err != nil {
		return nil, err
	}
	c, err := db.Conn(ctx)
	return &sqlWriter{db, c, map[string]*sql.Stmt{}}, err
}

// prepare returns the prepared statement with this text. It prepares each statement only once.
func (w *sqlWriter) prepare(statement string) (*sql.Stmt, error) {
	if s := w.stmts[statement]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), statement)
	w.stmts[statement] = s
	return s, err
}

// exec runs a statement without arguments.
func (w *sqlWriter) exec(statement string) error { return w.run(statement) }

// run runs a statement with arguments that returns no rows.
func (w *sqlWriter) run(statement string, args ...any) error {
	s, err := w.prepare(statement)
	if err == nil {
		_, err = s.ExecContext(context.Background(), args...)
	}
	return err
}

// read returns an error, because the writer never reads a user.
func (w *sqlWriter) read(string) ([]byte, int, error) {
	return nil, 0, errors.New("the writer does not read")
}

// change changes a user, and adds an event and a row of the request log.
func (w *sqlWriter) change(id string, c change) error {
	s, err := w.prepare(oldRowStatement)
	if err != nil {
		return err
	}
	var found, role string
	var version, modified, seq, active int64
	var doc []byte
	if err := s.QueryRow(siteID, userKind, id).Scan(&found, &version, &modified, &doc, &seq, &active, &role); err != nil {
		return err
	}
	return errors.Join(
		w.run(updateStatement, c.active, c.at, c.text, c.doc, siteID, userKind, id),
		w.run(eventStatement, siteID, c.at, "changed", c.text),
		w.run(requestStatement, siteID, c.at, c.requestID, "/Users", 200, c.text))
}

func (w *sqlWriter) close() error { return errors.Join(w.conn.Close(), w.db.Close()) }

// driverConn is a connection of the driver of modernc.org/sqlite. It calls the driver without
// database/sql, as earlier versions of the product did.
type driverConn struct {
	conn  driver.Conn
	stmts map[string]driverStmt // the prepared statements, by their text
	row   []driver.Value        // the current row of a query
}

// driverStmt is a prepared statement of the driver.
type driverStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// openDriver opens a connection of the way "driver".
func openDriver(ctx context.Context, file string, cache int) (conn, error) {
	if _, err := modernc.Fdatasync(true); err != nil {
		return nil, err
	}
	connector, err := modernc.NewConnector(dataSourceName(file, cache))
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(ctx)
	return &driverConn{conn: c, stmts: map[string]driverStmt{}, row: make([]driver.Value, 7)}, err
}

// prepare returns the prepared statement with this text. It prepares each statement only once.
func (d *driverConn) prepare(statement string) (driverStmt, error) {
	if s := d.stmts[statement]; s != nil {
		return s, nil
	}
	// The driver looks up numbered placeholders by name, which is slow. Earlier versions of the
	// product had the same statements.
	s, err := d.conn.Prepare(statement)
	if err != nil {
		return nil, err
	}
	d.stmts[statement] = s.(driverStmt)
	return d.stmts[statement], nil
}

// namedValues returns arguments in the form that the driver takes.
func namedValues(args ...driver.Value) []driver.NamedValue {
	list := make([]driver.NamedValue, len(args))
	for i, v := range args {
		list[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return list
}

// query runs a query and calls each for every row.
func (d *driverConn) query(statement string, each func(row []driver.Value), args ...driver.Value) error {
	s, err := d.prepare(statement)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), namedValues(args...))
	if err != nil {
		return err
	}
	for err == nil {
		if err = rows.Next(d.row); err == nil {
			each(d.row)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

// read reads a user and their groups.
func (d *driverConn) read(id string) (doc []byte, groups int, err error) {
	statement := strings.NewReplacer("?1", "?", "?2", "?", "?3", "?").Replace(readStatement)
	err = d.query(statement, func(row []driver.Value) {
		if row[0] == int64(1) {
			groups++
			return
		}
		doc = []byte(row[4].(string))
	}, siteID, userKind, id, siteID, id)
	return doc, groups, err
}

// exec runs a statement without arguments.
func (d *driverConn) exec(statement string) error { return d.run(statement) }

// run runs a statement with arguments that returns no rows.
func (d *driverConn) run(statement string, args ...driver.Value) error {
	s, err := d.prepare(statement)
	if err == nil {
		_, err = s.ExecContext(context.Background(), namedValues(args...))
	}
	return err
}

// change changes a user, and adds an event and a row of the request log.
func (d *driverConn) change(id string, c change) error {
	return errors.Join(
		d.query(oldRowStatement, func([]driver.Value) {}, siteID, userKind, id),
		d.run(updateStatement, c.active, c.at, c.text, c.doc, siteID, userKind, id),
		d.run(eventStatement, siteID, c.at, "changed", c.text),
		d.run(requestStatement, siteID, c.at, c.requestID, "/Users", int64(200), c.text))
}

func (d *driverConn) close() error {
	for _, s := range d.stmts {
		s.Close()
	}
	return d.conn.Close()
}

// zombiezenConn is a connection of the library zombiezen.com/go/sqlite.
type zombiezenConn struct{ conn *zombiezen.Conn }

// openZombiezen opens a connection of the way "zombiezen".
func openZombiezen(_ context.Context, file string, cache int) (conn, error) {
	if _, err := modernc.Fdatasync(true); err != nil {
		return nil, err
	}
	c, err := zombiezen.OpenConn(file, zombiezen.OpenReadWrite|zombiezen.OpenWAL)
	if err != nil {
		return nil, err
	}
	z := &zombiezenConn{c}
	for _, p := range pragmas(cache) {
		if err := z.exec("pragma " + p); err != nil {
			return nil, err
		}
	}
	return z, nil
}

// read reads a user and their groups.
func (z *zombiezenConn) read(id string) (doc []byte, groups int, err error) {
	s, err := z.conn.Prepare(readStatement)
	if err != nil {
		return nil, 0, err
	}
	s.BindText(1, siteID)
	s.BindText(2, userKind)
	s.BindText(3, id)
	for {
		more, err := s.Step()
		if err != nil || !more {
			return doc, groups, errors.Join(err, s.Reset())
		}
		if s.ColumnInt64(0) == 1 {
			groups++
			continue
		}
		_, _, _, _, _ = s.ColumnText(1), s.ColumnInt64(2), s.ColumnInt64(3), s.ColumnInt64(5), s.ColumnInt64(6)
		doc = make([]byte, s.ColumnLen(4))
		s.ColumnBytes(4, doc)
	}
}

// exec runs a statement without arguments.
func (z *zombiezenConn) exec(statement string) error { return z.run(statement) }

// run runs a statement with arguments that returns no rows.
func (z *zombiezenConn) run(statement string, args ...any) error {
	s, err := z.conn.Prepare(statement)
	if err != nil {
		return err
	}
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			s.BindText(i+1, arg)
		case int64:
			s.BindInt64(i+1, arg)
		}
	}
	for {
		more, err := s.Step()
		if err != nil || !more {
			return errors.Join(err, s.Reset())
		}
	}
}

// change changes a user, and adds an event and a row of the request log.
func (z *zombiezenConn) change(id string, c change) error {
	return errors.Join(
		z.run(oldRowStatement, siteID, userKind, id),
		z.run(updateStatement, c.active, c.at, c.text, c.doc, siteID, userKind, id),
		z.run(eventStatement, siteID, c.at, "changed", c.text),
		z.run(requestStatement, siteID, c.at, c.requestID, "/Users", int64(200), c.text))
}

func (z *zombiezenConn) close() error { return z.conn.Close() }

// ncrucesConn is a connection of the library github.com/ncruces/go-sqlite3.
type ncrucesConn struct {
	conn  *ncruces.Conn
	stmts map[string]*ncruces.Stmt // the prepared statements, by their text
}

// openNcruces opens a connection of the way "ncruces".
func openNcruces(_ context.Context, file string, cache int) (conn, error) {
	c, err := ncruces.Open(dataSourceName(file, cache))
	return &ncrucesConn{c, map[string]*ncruces.Stmt{}}, err
}

// prepare returns the prepared statement with this text. It prepares each statement only once.
func (n *ncrucesConn) prepare(statement string) (*ncruces.Stmt, error) {
	if s := n.stmts[statement]; s != nil {
		return s, nil
	}
	s, _, err := n.conn.PrepareFlags(statement, ncruces.PREPARE_PERSISTENT)
	n.stmts[statement] = s
	return s, err
}

// read reads a user and their groups.
func (n *ncrucesConn) read(id string) (doc []byte, groups int, err error) {
	s, err := n.prepare(readStatement)
	if err != nil {
		return nil, 0, err
	}
	if err := errors.Join(s.BindText(1, siteID), s.BindText(2, userKind), s.BindText(3, id)); err != nil {
		return nil, 0, err
	}
	for s.Step() {
		if s.ColumnInt64(0) == 1 {
			groups++
			continue
		}
		_, _, _, _, _ = s.ColumnText(1), s.ColumnInt64(2), s.ColumnInt64(3), s.ColumnInt64(5), s.ColumnInt64(6)
		doc = append([]byte(nil), s.ColumnRawText(4)...)
	}
	return doc, groups, errors.Join(s.Err(), s.Reset())
}

// exec runs a statement without arguments.
func (n *ncrucesConn) exec(statement string) error { return n.run(statement) }

// run runs a statement with arguments that returns no rows.
func (n *ncrucesConn) run(statement string, args ...any) error {
	s, err := n.prepare(statement)
	if err != nil {
		return err
	}
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			err = errors.Join(err, s.BindText(i+1, arg))
		case int64:
			err = errors.Join(err, s.BindInt64(i+1, arg))
		}
	}
	for s.Step() {
	}
	return errors.Join(err, s.Err(), s.Reset())
}

// change changes a user, and adds an event and a row of the request log.
func (n *ncrucesConn) change(id string, c change) error {
	return errors.Join(
		n.run(oldRowStatement, siteID, userKind, id),
		n.run(updateStatement, c.active, c.at, c.text, c.doc, siteID, userKind, id),
		n.run(eventStatement, siteID, c.at, "changed", c.text),
		n.run(requestStatement, siteID, c.at, c.requestID, "/Users", int64(200), c.text))
}

func (n *ncrucesConn) close() error {
	for _, s := range n.stmts {
		s.Close()
	}
	return n.conn.Close()
}

// storeWay is the way "sqldb": the product's package store/sqldb. Unlike the other ways, this
// package lets sites take turns, checks the file, and makes checkpoints in a separate goroutine.
type storeWay struct{ db *sqldb.DB }

// openStore opens the way "sqldb".
func openStore(ctx context.Context, file string) (database, error) {
	db, err := sqldb.Open(ctx, file, sqldb.Schema{}, sqldb.Options{})
	return &storeWay{db}, err
}

// read reads a user and their groups.
func (w *storeWay) read(ctx context.Context, id string) (doc []byte, groups int, err error) {
	err = w.db.Lane(siteID).Read(ctx, func(tx *sqldb.Tx) error {
		doc, groups = nil, 0
		rows, err := tx.Query(ctx, storeStatement(readStatement), siteID, userKind, id)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var isGroup, version, modified, seq, active int64
			var found string
			var text []byte
			if err := rows.Scan(&isGroup, &found, &version, &modified, &text, &seq, &active); err != nil {
				return err
			}
			if isGroup == 1 {
				groups++
				continue
			}
			doc = text
		}
		return rows.Err()
	})
	return doc, groups, err
}

// storeStatements maps each statement to the same statement with placeholders such as $1, which the
// package sqldb needs.
var storeStatements = map[string]string{}

func init() {
	for _, s := range []string{readStatement, oldRowStatement, updateStatement, eventStatement, requestStatement} {
		storeStatements[s] = strings.ReplaceAll(s, "?", "$")
	}
}

// storeStatement returns a statement with placeholders such as $1.
func storeStatement(statement string) string { return storeStatements[statement] }

// write changes a user, and adds an event and a row of the request log, in one transaction.
func (w *storeWay) write(ctx context.Context, id string, c change) error {
	return w.db.Lane(siteID).Update(ctx, func(tx *sqldb.Tx) error {
		var found, role string
		var version, modified, seq, active int64
		var doc []byte
		if err := tx.QueryRow(ctx, storeStatement(oldRowStatement), siteID, userKind, id).Scan(&found, &version, &modified, &doc, &seq, &active, &role); err != nil {
			return err
		}
		if err := tx.Send(ctx, storeStatement(updateStatement), c.active, c.at, c.text, c.doc, siteID, userKind, id); err != nil {
			return err
		}
		if err := tx.Send(ctx, storeStatement(eventStatement), siteID, c.at, "changed", c.text); err != nil {
			return err
		}
		return tx.Send(ctx, storeStatement(requestStatement), siteID, c.at, c.requestID, "/Users", 200, c.text)
	})
}

func (w *storeWay) close() error { return w.db.Close() }
