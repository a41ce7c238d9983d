package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/pgtest"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// MustRunAll reports whether every test must run. If so, a test that cannot run fails. Otherwise it
// is skipped.
func MustRunAll() bool { return pgtest.MustRunAll() }

// HasPostgres reports whether tests can use PostgreSQL on this machine. A test that compares both
// databases, but is also useful with SQLite alone, calls it first. HasPostgres also returns true if
// no test may be skipped; then a test fails if PostgreSQL is missing.
func HasPostgres() bool { return pgtest.Available() }

// Each runs the test on a migrated, empty database of each kind, in parallel.
func Each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	EachURL(t, func(t *testing.T, url string) { test(t, Open(t, url)) })
}

// EachURL is like Each, but passes the URL of the database, for tests that open the database more
// than once or in other processes.
func EachURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for kind, url := range map[string]func(testing.TB) string{
		sqldb.SQLite:     SQLiteURL,
		sqldb.PostgreSQL: PostgresURL,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, url(t))
		})
	}
}

// New returns a migrated, empty SQLite database. It is closed when the test ends.
func New(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, SQLiteURL(t))
}

// Postgres returns a migrated, empty PostgreSQL database. It is closed and dropped when the test
// ends.
func Postgres(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, PostgresURL(t))
}

// Open opens a database. It is closed when the test ends.
func Open(t testing.TB, url string) *store.DB {
	t.Helper()
	return OpenWith(t, url, store.Options{})
}

// eventWait is how long a test waits until it can read its events. On PostgreSQL, an event can be
// read only when all older transactions of the server have ended, such as the creation of another
// test's database. On a busy machine that takes seconds.
const eventWait = time.Minute

// OpenWith opens a database with options. It is closed when the test ends.
func OpenWith(t testing.TB, url string, o store.Options) *store.DB {
	t.Helper()
	o.Settle = cmp.Or(o.Settle, eventWait)
	db, err := store.Open(t.Context(), url, o)
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

// SQLiteURL returns the URL of a migrated, empty SQLite database, which is a copy of a template.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	content, err := migratedFile()
	if err != nil {
		t.Fatal(err)
	}
	url := filepath.Join(t.TempDir(), "rollcall.db")
	if err := os.WriteFile(url, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return url
}

// migratedFile returns the content of a migrated, empty SQLite database.
var migratedFile = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "rollcall-template-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	url := filepath.Join(dir, "rollcall.db")
	if err := migrate(context.Background(), url); err != nil {
		return nil, err
	}
	// The file must hold all data, so no write-ahead log may be left beside it. SQLite copies the
	// log into the file when the last connection to the database is closed.
	if _, err := os.Stat(url + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the log of the migrated database is still there (error %w)", err)
	}
	return os.ReadFile(url)
})

// postgresTemplate returns the name of the migrated, empty database of which tests get copies. The
// first call creates it.
var postgresTemplate = pgtest.Template("rollcall_template", migrate)

// PostgresURL returns the URL of a migrated, empty PostgreSQL database. It is dropped when the test
// ends.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return pgtest.Database(t, postgresTemplate)
}

// EmptyPostgresURL returns the URL of a PostgreSQL database without tables. It is dropped when the
// test ends.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	return pgtest.EmptyDatabase(t)
}

// migrate creates the tables in an empty database.
func migrate(ctx context.Context, url string) error {
	db, err := store.Open(ctx, url, store.Options{})
	if err != nil {
		return err
	}
	return errors.Join(db.Migrate(ctx), db.Close())
}

// Main runs a package's tests and waits for PostgreSQL to stop. Use it as
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
func Main(m *testing.M) int { return pgtest.Main(m) }
