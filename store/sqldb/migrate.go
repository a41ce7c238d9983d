package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrator applies the migrations to one database.
type migrator struct {
	provider *goose.Provider
	applied  func(ctx context.Context) ([]int64, error) // returns the numbers of the migrations that the database has
	close    func() error                               // closes the connections of the migrator
}

// appliedMigrations returns a function that reads the numbers of the applied migrations from
// goose's table.
func appliedMigrations(pool *sql.DB) func(ctx context.Context) ([]int64, error) {
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

// migrateTries is how many times Migrate tries, because another process may apply the same
// migration first.
const migrateTries = 50

// Migrate applies the migrations that this program needs and the database does not have yet.
// Several processes may call it at once. It returns an error if the database is newer than the
// program.
func (db *DB) Migrate(ctx context.Context) error {
	m, err := db.engine.migrator(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer m.close()
	for try := 1; ; try++ {
		err := m.applyMigrations(ctx)
		if err == nil && db.schema.Migrated != nil {
			err = db.schema.Migrated(ctx, db)
		}
		if err == nil {
			return nil
		}
		if db.kind == PostgreSQL || try == migrateTries || ctx.Err() != nil || errors.Is(err, errNewer) || errors.Is(err, errMigrationOrder) {
			return fmt.Errorf("migrate: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(20 * time.Millisecond)):
		}
	}
}

// Version returns the number of the newest migration that the database has, or 0 if it has none.
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

// errNewer refuses a database with migrations that this program does not have.
var errNewer = errors.New("the database was made by a newer rollcall: use that version or a later one")

// applyMigrations checks the migrations of the database, and applies the missing ones.
func (m *migrator) applyMigrations(ctx context.Context) error {
	if err := m.checkMigrations(ctx); err != nil {
		return err
	}
	_, err := m.provider.Up(ctx)
	return err
}

// errMigrationOrder refuses a database whose migrations were applied in a different order than in
// this program.
var errMigrationOrder = errors.New("the database was made by a version of rollcall between two releases, whose migrations had another order; it cannot be brought up to date")

// checkMigrations compares all migrations of the database, not only the highest number, with the
// migrations of this program. It returns errNewer or errMigrationOrder if they do not fit.
func (m *migrator) checkMigrations(ctx context.Context) error {
	version, err := m.provider.GetDBVersion(ctx) // also creates goose's table if it is missing
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
			errMigrationOrder, version, strings.Join(missing, ", "))
	}
	return nil
}

// dataSourceName returns the name of the file in the form that database/sql needs. goose works
// through database/sql.
func (s *sqliteDB) dataSourceName() string {
	q := url.Values{"_pragma": connPragmas(readerCacheKiB, readerLockWait, false), "_txlock": {"immediate"}}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(s.path), RawQuery: q.Encode()}).String()
}

func (s *sqliteDB) migrator(context.Context) (*migrator, error) {
	pool, err := sql.Open("sqlite", s.dataSourceName())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	provider, err := goose.NewProvider(goose.DialectSQLite3, pool, migrationsFor(s.db.schema.Migrations, SQLite), goose.WithTableName("migration"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &migrator{provider: provider, applied: appliedMigrations(pool), close: pool.Close}, nil
}

func (p *postgresDB) migrator(context.Context) (*migrator, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	pool := stdlib.OpenDBFromPool(p.conns)
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, migrationsFor(p.db.schema.Migrations, PostgreSQL),
		goose.WithTableName("migration"), goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(locker))
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &migrator{provider: provider, applied: appliedMigrations(pool), close: pool.Close}, nil
}

// migrationsFor returns the folder of migrations for one kind of database. If a migration has two
// files, such as 0012_name.sqlite.sql and 0012_name.postgres.sql, the folder contains only the file
// for that kind.
func migrationsFor(all fs.FS, kind string) fs.FS {
	other := "." + PostgreSQL + ".sql"
	if kind == PostgreSQL {
		other = "." + SQLite + ".sql"
	}
	return migrationFiles{all: all, kind: kind, excludedSuffix: other}
}

// migrationFiles is a folder of migrations without the files for the other kind of database, whose
// names end with excludedSuffix.
type migrationFiles struct {
	all                  fs.FS
	kind, excludedSuffix string
}

func (m migrationFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(m.all, name)
	var mine []fs.DirEntry
	for _, e := range all {
		if !strings.HasSuffix(e.Name(), m.excludedSuffix) {
			mine = append(mine, e)
		}
	}
	return mine, err
}

func (m migrationFiles) Open(name string) (fs.File, error) {
	f, err := m.all.Open(name)
	if err != nil || name == "." || m.kind != PostgreSQL {
		return f, err
	}
	defer f.Close()
	text, err := fs.ReadFile(m.all, name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return migrationFile{Reader: bytes.NewReader(postgresMigration(text)), info: info}, nil
}

// migrationFile is the text of a migration, with the file information of the embedded file.
type migrationFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f migrationFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f migrationFile) Close() error               { return nil }
