package store

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrator brings one database up to date.
type migrator struct {
	provider *goose.Provider
	settle   func(ctx context.Context) error            // what the tables' content needs; nil: nothing
	applied  func(ctx context.Context) ([]int64, error) // the numbers of the migrations that the database has
	close    func() error
}

// appliedIn reads goose's table.
func appliedIn(pool *sql.DB) func(ctx context.Context) ([]int64, error) {
	return func(ctx context.Context) (applied []int64, err error) {
		rows, err := pool.QueryContext(ctx, "select version_id from migration where is_applied order by version_id")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var v int64
			if err := rows.Scan(&v); err != nil {
				return nil, err
			}
			applied = append(applied, v)
		}
		return applied, rows.Err()
	}
}

// migrateTries is how often Migrate starts over after another process was
// quicker with the same migration.
const migrateTries = 50

// Migrate brings the database to the version this program needs. Several
// processes may call it at once. A database that is newer than the program is
// an error.
func (db *DB) Migrate(ctx context.Context) error {
	m, err := db.engine.migrator(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer m.close()
	for try := 1; ; try++ {
		err := m.up(ctx)
		if err == nil {
			return nil
		}
		if db.kind == PostgreSQL || try == migrateTries || ctx.Err() != nil || errors.Is(err, errNewer) || errors.Is(err, errHole) {
			return fmt.Errorf("migrate: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(20 * time.Millisecond)):
		}
	}
}

// Version returns the number of the newest migration the database has, 0
// before the first.
func (db *DB) Version(ctx context.Context) (int64, error) {
	m, err := db.engine.migrator(ctx)
	if err != nil {
		return 0, fmt.Errorf("database version: %w", err)
	}
	defer m.close()
	version, err := m.provider.GetDBVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("database version: %w", err)
	}
	return version, nil
}

var errNewer = errors.New("the database was made by a newer rollcall: use that version or a later one")

func (m *migrator) up(ctx context.Context) error {
	if err := m.checkSet(ctx); err != nil {
		return err
	}
	if _, err := m.provider.Up(ctx); err != nil || m.settle == nil {
		return err
	}
	return m.settle(ctx)
}

// errHole is a database that another order of migrations made.
var errHole = errors.New("the database was made by a version of rollcall between two releases, whose migrations had another order; it cannot be brought up to date")

// checkSet compares the migrations that the database has with those that this program knows: all of them, not the highest
// number alone.
func (m *migrator) checkSet(ctx context.Context) error {
	version, err := m.provider.GetDBVersion(ctx) // makes the table
	if err != nil {
		return err
	}
	applied, err := m.applied(ctx)
	if err != nil {
		return err
	}
	known := map[int64]bool{0: true} // goose writes a row 0 when it makes the table
	var missing []string
	for _, source := range m.provider.ListSources() {
		known[source.Version] = true
		if source.Version < version && !slices.Contains(applied, source.Version) {
			missing = append(missing, strconv.FormatInt(source.Version, 10))
		}
	}
	for _, v := range applied {
		if !known[v] {
			return fmt.Errorf("%w (the database has migration %d, which this program does not know)", errNewer, v)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w (it has migration %d but not %s). Nothing in it was changed. Start the version that made it, export users and people there, and import them into a new database",
			errHole, version, strings.Join(missing, ", "))
	}
	return nil
}

// settleEvents makes the positions of events go on growing after the database
// was moved (dumped and restored) to a server that counts its transactions from
// a lower number: otherwise the events it has would be held back as if they
// were of transactions to come, and new ones would sort before them.
func (p *postgresDB) settleEvents(ctx context.Context) error {
	var ahead bool
	if err := p.conns.QueryRow(ctx, eventsAhead).Scan(&ahead); err != nil || !ahead {
		return err
	}
	return p.update(ctx, fair.System, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, "lock table event in access exclusive mode"); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, eventsAhead).Scan(&ahead); err != nil || !ahead {
			return err
		}
		var base int64
		if err := tx.QueryRow(ctx, "update event_base set base = (select max(tx) from event) returning base").Scan(&base); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf(`
			alter table event
			alter column tx set default (pg_current_xact_id()::text::bigint + %d)`, base))
		return err
	})
}

// eventsAhead asks whether one of the newest events is of a transaction that
// this server has not begun yet.
const eventsAhead = `
	select coalesce(max(newest.tx) - (select base from event_base) >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint, false)
	from (select tx from event order by seq desc limit 1000) newest`

func (s *sqliteDB) migrator(context.Context) (*migrator, error) {
	pool, err := sql.Open("sqlite", s.dsn(readerCache, busyReader, false)+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	provider, err := goose.NewProvider(goose.DialectSQLite3, pool, migrationsFor(SQLite), goose.WithTableName("migration"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &migrator{provider: provider, applied: appliedIn(pool), close: pool.Close}, nil
}

func (p *postgresDB) migrator(context.Context) (*migrator, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	pool := stdlib.OpenDBFromPool(p.conns)
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, migrationsFor(PostgreSQL),
		goose.WithTableName("migration"), goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(locker))
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &migrator{provider: provider, settle: p.settleEvents, applied: appliedIn(pool), close: pool.Close}, nil
}

// migrationsFor is the folder of migrations as one kind of database sees it: of
// a pair 0012_name.sqlite.sql and 0012_name.postgres.sql only its own.
func migrationsFor(kind string) fs.FS {
	other := "." + PostgreSQL + ".sql"
	if kind == PostgreSQL {
		other = "." + SQLite + ".sql"
	}
	return migrationFiles{kind: kind, other: other}
}

type migrationFiles struct{ kind, other string }

func (m migrationFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := migrations.ReadDir("migrations")
	var mine []fs.DirEntry
	for _, e := range all {
		if !strings.HasSuffix(e.Name(), m.other) {
			mine = append(mine, e)
		}
	}
	return mine, err
}

func (m migrationFiles) Open(name string) (fs.File, error) {
	if name == "." {
		return migrations.Open("migrations")
	}
	f, err := migrations.Open("migrations/" + name)
	if err != nil || m.kind != PostgreSQL {
		return f, err
	}
	defer f.Close()
	text, err := migrations.ReadFile("migrations/" + name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return migrationFile{Reader: bytes.NewReader(postgresMigration(text)), info: info}, nil
}

// migrationFile is a migration's text with the embedded file's name.
type migrationFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f migrationFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f migrationFile) Close() error               { return nil }
