package sqldb_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/pgtest"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

func TestMain(m *testing.M) {
	if url := os.Getenv("STORE_TEST_WRITE"); url != "" {
		writeUntilKilled(url)
		return
	}
	os.Exit(pgtest.Main(m))
}

// testSchema is a schema of a few tables that belong to no domain.
var testSchema = sqldb.Schema{
	Migrations: os.DirFS("testdata/migrations"),
	Tables:     []string{"note", "child"},
	Newest:     "select coalesce(max(time), 0) from note",
	Touch:      func(ctx context.Context, tx *sqldb.Tx) error { return putNote(ctx, tx, "touched") },
}

// putNote stores a note, or increases its count if it exists.
func putNote(ctx context.Context, tx *sqldb.Tx, key string) error {
	_, err := tx.Exec(ctx, `
		insert into note (key, value, count, time)
		values ($1, '', 1, $2)
		on conflict (key) do update
		set count = note.count + 1`, key, tx.Now().UnixMicro())
	return err
}

// note stores a note in a transaction of its own.
func note(t testing.TB, db *sqldb.DB, key string) error {
	t.Helper()
	return db.Update(t.Context(), func(tx *sqldb.Tx) error { return putNote(t.Context(), tx, key) })
}

// each runs the test on a migrated, empty database of each kind, in parallel.
func each(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	eachURL(t, func(t *testing.T, url string) { test(t, open(t, url)) })
}

// eachURL runs the test with the URL of a migrated, empty database of each kind, in parallel.
func eachURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for kind, url := range map[string]func(testing.TB) string{sqldb.SQLite: sqliteURL, sqldb.PostgreSQL: postgresURL} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, url(t))
		})
	}
}

func newSQLite(t testing.TB) *sqldb.DB {
	t.Helper()
	return open(t, sqliteURL(t))
}

func newPostgres(t testing.TB) *sqldb.DB {
	t.Helper()
	return open(t, postgresURL(t))
}

func open(t testing.TB, url string) *sqldb.DB {
	t.Helper()
	return openWith(t, url, sqldb.Options{})
}

func openWith(t testing.TB, url string, o sqldb.Options) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url, testSchema, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func sqliteURL(t testing.TB) string {
	t.Helper()
	content, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	url := filepath.Join(t.TempDir(), "rollcall.db")
	if err := os.WriteFile(url, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return url
}

var migrated = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "sqldb-template-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	url := filepath.Join(dir, "rollcall.db")
	if err := migrate(context.Background(), url); err != nil {
		return nil, err
	}
	return os.ReadFile(url)
})

var template = pgtest.Template("sqldb_template", migrate)

func postgresURL(t testing.TB) string {
	t.Helper()
	return pgtest.Database(t, template)
}

func migrate(ctx context.Context, url string) error {
	db, err := sqldb.Open(ctx, url, testSchema, sqldb.Options{})
	if err != nil {
		return err
	}
	return errors.Join(db.Migrate(ctx), db.Close())
}

// statement runs statements without arguments in one transaction.
func statement(t testing.TB, db *sqldb.DB, statements ...string) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// column returns the rows of a query with one text column.
func column(t testing.TB, db *sqldb.DB, query string) (all []string) {
	t.Helper()
	if err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		all = nil
		rows, err := tx.Query(t.Context(), query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			all = append(all, text)
		}
		return rows.Err()
	}); err != nil {
		t.Fatal(err)
	}
	return all
}
