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
	settle   func(ctx context.Context) error // what the tables' content needs; nil: nothing
	close    func() error
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
		if db.kind == PostgreSQL || try == migrateTries || ctx.Err() != nil || errors.Is(err, errNewer) {
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
	version, err := m.provider.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	sources := m.provider.ListSources()
	if newest := sources[len(sources)-1].Version; version > newest {
		return fmt.Errorf("%w (the database is at version %d, this program knows up to %d)", errNewer, version, newest)
	}
	if _, err = m.provider.Up(ctx); err != nil || m.settle == nil {
		return err
	}
	return m.settle(ctx)
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
	return &migrator{provider: provider, close: pool.Close}, nil
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
	return &migrator{provider: provider, settle: p.settleEvents, close: pool.Close}, nil
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
