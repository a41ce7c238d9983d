package store_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
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

func TestMigrationsThatDifferComeInPairs(t *testing.T) {
	t.Parallel()
	names, err := store.MigrationNames()
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{}
	for name, kinds := range names {
		number, _, _ := strings.Cut(name, "_")
		if other, taken := numbers[number]; taken {
			t.Errorf("%s and %s have the same number", name, other)
		}
		numbers[number] = name
		if one := slices.Equal(kinds, []string{""}); !one && !slices.Equal(kinds, []string{sqldb.PostgreSQL, sqldb.SQLite}) {
			t.Errorf("%s has files for %q: want one for both databases, or one for each", name, kinds)
		}
	}
}

// TestSchemasAreTheSame checks that both databases have the same tables and columns, so that the
// same queries work on both.
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

// columns returns the type of each column, by "table.column". It returns the same type for integers
// of all sizes, because queries read them in the same way.
func columns(t *testing.T, db *store.DB, query string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := db.View(context.Background(), func(tx *sqldb.Tx) error {
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
			if table == "migration" { // the table of goose, the migration library
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

// TestPostgresTextColumnsHaveCCollation checks that every text column compares strings by code
// point.
func TestPostgresTextColumnsHaveCCollation(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
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
