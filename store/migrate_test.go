package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// emptyDatabases runs the test with the URL of a database of each kind that
// was never migrated.
func emptyDatabases(t *testing.T, test func(t *testing.T, url string)) {
	t.Run(store.SQLite, func(t *testing.T) {
		t.Parallel()
		test(t, filepath.Join(t.TempDir(), "rollcall.db"))
	})
	t.Run(store.PostgreSQL, func(t *testing.T) {
		t.Parallel()
		test(t, storetest.EmptyPostgresURL(t))
	})
}

func TestMigrateFromEmpty(t *testing.T) {
	t.Parallel()
	emptyDatabases(t, func(t *testing.T, url string) {
		ctx := t.Context()
		db := storetest.Open(t, url)
		if v, err := db.Version(ctx); err != nil || v != 0 {
			t.Errorf("before: got version %d, error %v", v, err)
		}
		for range 2 {
			if err := db.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
		}
		names, err := store.MigrationNames()
		if err != nil {
			t.Fatal(err)
		}
		if v, err := db.Version(ctx); err != nil || v < int64(len(names)) {
			t.Errorf("after: got version %d, error %v, want at least %d", v, err, len(names))
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
				db, err := store.Open(ctx, url, store.Options{})
				if err != nil {
					errs[i] = err
					return
				}
				errs[i] = errors.Join(db.Migrate(ctx), (store.Leases{DB: db}).Ensure(ctx, "k", fmt.Sprint(i)), db.Close())
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
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		err := db.Update(ctx, func(tx *store.Tx) error {
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

// A database may have a higher number and lack a lower one, or have one in between that this program does not know.
func TestMigrateComparesAllMigrations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, change, want string }{
		{"one is missing", "delete from migration where version_id = 7", "has migration 14 but not 7"},
		{"one is unknown", "update migration set version_id = 8 where version_id = 7", "has migration 8, which this program does not know"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				statement(t, db, "delete from migration where version_id > 14")
				statement(t, db, c.change)
				if err := db.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
			})
		})
	}
}

func TestMigrationsThatDifferComeInPairs(t *testing.T) {
	t.Parallel()
	names, err := store.MigrationNames()
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{}
	for name := range names {
		number, _, _ := strings.Cut(name, "_")
		if other, taken := numbers[number]; taken {
			t.Errorf("%s and %s have the same number", name, other)
		}
		numbers[number] = name
	}
	for _, kind := range []string{store.SQLite, store.PostgreSQL} {
		files, err := store.MigrationFiles(kind)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != len(names) {
			t.Errorf("%s sees %v: want one file of each of %d migrations", kind, files, len(names))
		}
	}
}

// What a query can name is the same on both databases.
func TestSchemasAreTheSame(t *testing.T) {
	t.Parallel()
	sqlite := columns(t, storetest.New(t), `
		select t.name, c.name, lower(c.type)
		from sqlite_master t
		join pragma_table_info(t.name) c
		where t.type = 'table' and t.name not like 'sqlite_%'`)
	postgres := columns(t, storetest.Postgres(t), `
		select table_name, column_name, data_type
		from information_schema.columns
		where table_schema = current_schema()`)
	if diff := cmp.Diff(sqlite, postgres); diff != "" {
		t.Errorf("SQLite -, PostgreSQL +\n%s", diff)
	}
}

// columns returns the type of each "table.column". Integers are of one size
// where they are read.
func columns(t *testing.T, db *store.DB, query string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := db.View(context.Background(), func(tx *store.Tx) error {
		rows, err := tx.Query(context.Background(), query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var table, column, kind string
			if err := rows.Scan(&table, &column, &kind); err != nil {
				return err
			}
			if table == "migration" { // goose's own
				continue
			}
			if kind == "integer" {
				kind = "bigint"
			}
			all[table+"."+column] = kind
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if all["event.seq"] != "bigint" || all["lease.key"] != "text" {
		t.Fatalf("the query found %v", all)
	}
	return all
}

// Every text column compares by code point.
func TestPostgresTextColumnsHaveCCollation(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	err := db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query(t.Context(), `
			select table_name || '.' || column_name
			from information_schema.columns
			where table_schema = current_schema() and data_type = 'text' and collation_name is distinct from 'C'`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			t.Errorf("%s does not: write its definition on a line of its own", name)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
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
			if diff := cmp.Diff(string(store.PostgresMigration([]byte(c.text))), c.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}
