package store

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// What tests outside the package need of its inside. They are outside because
// storetest imports the package.

func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error { return db.update(ctx, fn) }

func (db *DB) View(ctx context.Context, fn func(*Tx) error) error { return db.view(ctx, fn) }

func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error { return db.read(ctx, fn) }

func (tx *Tx) Send(ctx context.Context, query string, args ...any) error {
	return tx.send(ctx, query, args...)
}

func (tx *Tx) AppendEvent(ctx context.Context, e event.Event) error { return tx.appendEvent(ctx, e) }

func (tx *Tx) CheckLease(ctx context.Context, kind, key string, epoch int64) error {
	return tx.checkLease(ctx, kind, key, epoch)
}

func (tx *Tx) ForUpdate() string { return tx.forUpdate() }

// Plan says how SQLite finds what a list asks for, a line for each table or index that it reads.
func (db *DB) Plan(ctx context.Context, id site.ID, q roster.ListQuery) (lines []string, err error) {
	l := newListing(id, q, declaredRows{})
	err = db.read(ctx, func(tx *Tx) error {
		args, n := l.with(q.Count)
		lines, err = collect(ctx, tx, func(row scanner) (line string, err error) {
			var number, parent, unused int
			err = row.Scan(&number, &parent, &unused, &line)
			return line, err
		}, `
			explain query plan
			select `+documentColumns+`
			from resource r
			where `+l.where+`
			limit $`+strconv.Itoa(n), args...)
		return err
	})
	return lines, err
}

var (
	UniqueViolation   = uniqueViolation
	PostgresMigration = postgresMigration
)

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

// Checkpoint tells the checkpointer of a SQLite database that many updates were made.
func (db *DB) Checkpoint() { db.engine.(*sqliteDB).check.filled(checkpointUpdates) }

// MigrationNames returns the names of the embedded migrations without the
// suffix of a pair, and how many files each has.
func MigrationNames() (map[string]int, error) {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return nil, err
	}
	names := map[string]int{}
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(e.Name(), ".sql"), "."+SQLite), "."+PostgreSQL)
		names[name]++
	}
	return names, nil
}

// MigrationFiles returns the names of the files that a kind of database sees.
func MigrationFiles(kind string) ([]string, error) { return fs.Glob(migrationsFor(kind), "*.sql") }

// MigrateTo brings an older database into being.
func (db *DB) MigrateTo(ctx context.Context, version int64) error {
	m, err := db.engine.migrator(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	_, err = m.provider.UpTo(ctx, version)
	return err
}

// WriteOrder returns the keys of updates in the order in which the writer takes them.
func WriteOrder(keys ...string) (order []string) {
	q := newWriteQueue()
	for _, key := range keys {
		q.put(&write{key: key})
	}
	for u := q.take(); u != nil; u = q.take() {
		order = append(order, u.key)
	}
	return order
}

// RefuseWrites makes a SQLite database fail every write, or take writes again. Nobody writes while it is called.
func (db *DB) RefuseWrites(on bool) error {
	return db.engine.(*sqliteDB).writer.conn.do("pragma query_only = " + strconv.FormatBool(on))
}

// PlanCountAssignments says how SQLite counts the users of an application.
func (db *DB) PlanCountAssignments(ctx context.Context) (lines []string, err error) {
	err = db.read(ctx, func(tx *Tx) error {
		lines, err = collect(ctx, tx, func(row scanner) (line string, err error) {
			var a, b, c int
			return line, row.Scan(&a, &b, &c, &line)
		}, "explain query plan"+countAssignments, "d", "a")
		return err
	})
	return lines, err
}

// Statement runs statements on a SQLite file by a connection of its own.
func Statement(path string, statements ...string) error {
	s := sqliteDB{path: path}
	conn, err := s.openConn(context.Background(), readerCache, busyReader, false)
	if err != nil {
		return err
	}
	for _, query := range statements {
		err = errors.Join(err, conn.do(query))
	}
	return errors.Join(err, conn.close())
}

// Stamp stamps a served SQLite database as its checkpointer does, and calls at after each step.
func (db *DB) Stamp(ctx context.Context, at func(step string)) error {
	s := db.engine.(*sqliteDB)
	if err := s.stamp.begins(ctx, func(stamp int32) error {
		at("noted")
		defer at("written")
		return s.check.writeStamp(stamp)
	}); err != nil {
		return err
	}
	conn, err := s.openConn(ctx, readerCache, busyReader, false)
	if err != nil {
		return err
	}
	if _, _, err = conn.checkpoint("passive"); err == nil {
		at("copied")
		err = s.stamp.ends(ctx)
	}
	return errors.Join(err, conn.close())
}

// WithoutCheckpoints ends the checkpointer of a SQLite database, so that a test can do its work step by step.
func (db *DB) WithoutCheckpoints() {
	c := db.engine.(*sqliteDB).check
	c.close()
	c.stop = make(chan struct{}) // for Close
}

// Slices does a slice of work as often as lengths are asked for, and returns how long each next one should take.
func (db *DB) Slices(ctx context.Context, n int, fn func(*Tx) error) (lengths []time.Duration, err error) {
	work := db.slicer(time.Time{})
	for range n {
		if err := work.write(ctx, fn); err != nil {
			return nil, err
		}
		lengths = append(lengths, work.Length())
	}
	return lengths, nil
}

// CheckpointNow does what the checkpointer does when it is time, after WithoutCheckpoints. A log of more pages than held is
// worth a warning, one of fewer than long is none.
func (db *DB) CheckpointNow(ctx context.Context, held, long int) error {
	s := db.engine.(*sqliteDB)
	s.check.held, s.check.long = held, long
	conn, err := s.openConn(ctx, readerCache, busyReader, false)
	if err != nil {
		return err
	}
	return errors.Join(s.check.look(ctx, conn), conn.close())
}

// PlanOfSlice says how the database finds a slice of the audit trail. PostgreSQL has just counted its rows.
func (db *DB) PlanOfSlice(ctx context.Context, s event.Slice) (lines []string, err error) {
	name := ""
	if len(s.Names) > 0 {
		name = s.Names[0]
	}
	query, args := sliceQuery(s, name)
	explain, text := "explain query plan ", func(row scanner) (line string, err error) {
		var a, b, c int
		return line, row.Scan(&a, &b, &c, &line)
	}
	if db.kind == PostgreSQL {
		if err := db.update(ctx, func(tx *Tx) error { return tx.send(ctx, "analyze event") }); err != nil {
			return nil, err
		}
		explain, text = "explain ", func(row scanner) (line string, err error) { return line, row.Scan(&line) }
	}
	err = db.view(ctx, func(tx *Tx) error {
		lines, err = collect(ctx, tx, text, explain+query, args...)
		return err
	})
	return lines, err
}

// UpdateOf runs an update in the line of a site.
func (db *DB) UpdateOf(ctx context.Context, key string, fn func(*Tx) error) error {
	return db.of(key).update(ctx, fn)
}

// WriterClock gives the writer of a SQLite database another clock, and returns how many updates each commit has had since. It is
// called before the first update.
func (db *DB) WriterClock(now func() time.Time) (commits func() []int) {
	w := db.engine.(*sqliteDB).writer
	var mu sync.Mutex
	var sizes []int
	filled := w.filled
	w.now = now
	w.filled = func(updates int) {
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

// GroupTime is how long updates go on joining a commit.
const GroupTime = groupTime
