package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/pgtest"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// emptyDatabases runs the test on each kind of database, with the URL of a database that was never
// migrated.
func emptyDatabases(t *testing.T, test func(t *testing.T, url string)) {
	t.Run(sqldb.SQLite, func(t *testing.T) {
		t.Parallel()
		test(t, filepath.Join(t.TempDir(), "rollcall.db"))
	})
	t.Run(sqldb.PostgreSQL, func(t *testing.T) {
		t.Parallel()
		test(t, pgtest.EmptyDatabase(t))
	})
}

func TestMigrateFromEmpty(t *testing.T) {
	t.Parallel()
	emptyDatabases(t, func(t *testing.T, url string) {
		ctx := t.Context()
		db := open(t, url)
		if v, err := db.Version(ctx); err != nil || v != 0 {
			t.Errorf("before: got version %d, error %v", v, err)
		}
		for range 2 {
			if err := db.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if v, err := db.Version(ctx); err != nil || v != 3 {
			t.Errorf("after: got version %d, error %v, want 3", v, err)
		}
	})
}

func TestMigrateByManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	emptyDatabases(t, func(t *testing.T, url string) {
		ctx := t.Context()
		errs := make([]error, 6)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				db, err := sqldb.Open(ctx, url, testSchema, sqldb.Options{})
				if err != nil {
					errs[i] = err
					return
				}
				errs[i] = errors.Join(db.Migrate(ctx), note(t, db, fmt.Sprint(i)), db.Close())
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
}

func TestMigrateRefusesANewerDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "insert into migration (version_id, is_applied) values (9999, true)")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(ctx); err == nil || !strings.Contains(err.Error(), "newer rollcall") {
			t.Errorf("got error %v", err)
		}
	})
}

// TestMigrateComparesAllMigrations checks databases whose newest migration is known. A database may
// still lack an older migration, or may have an older migration that this program does not know.
func TestMigrateComparesAllMigrations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, change, want string }{
		{"one is missing", "delete from migration where version_id = 2", "has migration 3 but not 2"},
		{"one is unknown", "update migration set version_id = 7 where version_id = 2", "has migration 7, which this program does not know"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, db *sqldb.DB) {
				statement(t, db, c.change)
				if err := db.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
			})
		})
	}
}

func TestPostgresMigration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"columns", "create table a (\n    b text not null,\n\ttext   text,\n    n bigint\n);", "create table a (\n    b text collate \"C\" not null,\n\ttext   text collate \"C\",\n    n bigint\n);"},
		{"an added column", "alter table a add column b text not null default 'text';", "alter table a add column b text collate \"C\" not null default 'text';"},
		{"an added column on its own line", "alter table a\n  add column b text;", "alter table a\n  add column b text collate \"C\";"},
		{"names and values called text", "create index i on a (text);\ninsert into a values ('b text');", "create index i on a (text);\ninsert into a values ('b text');"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(string(sqldb.PostgresMigration([]byte(c.text))), c.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestEachDatabaseSeesItsOwnMigrations checks that each kind of database uses its own file if a
// migration has two files.
func TestEachDatabaseSeesItsOwnMigrations(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string][]string{
		sqldb.SQLite:     {"0001_note.sql", "0002_rules.sqlite.sql", "0003_place.sql"},
		sqldb.PostgreSQL: {"0001_note.sql", "0002_rules.postgres.sql", "0003_place.sql"},
	} {
		files, err := sqldb.MigrationFiles(testSchema.Migrations, kind)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, files); diff != "" {
			t.Errorf("%s: want -, got +\n%s", kind, diff)
		}
	}
	each(t, func(t *testing.T, db *sqldb.DB) {
		query := "select name from sqlite_master where name = 'note_time'"
		want := 0
		if db.Kind() == sqldb.PostgreSQL {
			query, want = "select indexname::text from pg_indexes where indexname = 'note_time'", 1
		}
		if got := column(t, db, query); len(got) != want {
			t.Errorf("got indexes %v, want %d", got, want)
		}
	})
}

// TestMigratedRunsAfterTheMigrations checks that the function Migrated of the schema runs at the
// end of each Migrate.
func TestMigratedRunsAfterTheMigrations(t *testing.T) {
	t.Parallel()
	emptyDatabases(t, func(t *testing.T, url string) {
		schema := testSchema
		schema.Migrated = func(ctx context.Context, db *sqldb.DB) error {
			return db.Update(ctx, func(tx *sqldb.Tx) error { return putNote(ctx, tx, "migrated") })
		}
		db, err := sqldb.Open(t.Context(), url, schema, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for range 2 {
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := column(t, db, "select cast(count as text) from note where key = 'migrated'"); !cmp.Equal(got, []string{"2"}) {
			t.Errorf("got %v", got)
		}
	})
}
