package sqldb_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestStatementsOnPostgreSQLArePlannedOnce checks that PostgreSQL uses one plan for a prepared
// statement. By default, PostgreSQL makes a new plan for each of the first five executions. Later
// it still makes a new plan if it expects that a plan for the values reads fewer rows.
func TestStatementsOnPostgreSQLArePlannedOnce(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	ctx := t.Context()
	err := db.View(ctx, func(tx *sqldb.Tx) error {
		for range 10 {
			if _, err := tx.Exec(ctx, "select n.key from note n where n.key = $1 and n.value = $2", "s", "team"); err != nil {
				return err
			}
		}
		var once, anew int
		err := tx.QueryRow(ctx, `
			select sum(generic_plans), sum(custom_plans)
			from pg_prepared_statements
			where statement like '%n.value = $2' and statement <> $1`, "").Scan(&once, &anew)
		if err == nil && (once != 10 || anew != 0) {
			t.Errorf("%d executions with the plan at hand and %d that were planned for", once, anew)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTablesOnPostgreSQLGetStatisticsAsTheyGrow checks that a table gets statistics as it grows.
// Tests run without autovacuum. Statements that were planned while the table was empty are planned
// again when there are statistics.
func TestTablesOnPostgreSQLGetStatisticsAsTheyGrow(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	things(t, db)
	ctx := t.Context()
	known := func() (rows int) {
		t.Helper()
		err := db.View(ctx, func(tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, "select cast(reltuples as bigint) from pg_class where relname = 'thing' and relkind = $1", "r").Scan(&rows)
		})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if rows := known(); rows != -1 {
		t.Fatalf("the table is known to have %d rows before any were written", rows)
	}
	deadline := time.Now().Add(time.Minute)
	for n := 0; known() < 1000; {
		if time.Now().After(deadline) {
			t.Fatalf("after %d rows PostgreSQL knows of %d", n, known())
		}
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			for range 1000 {
				if err := sendThing(ctx, tx, fmt.Sprint("n", n)); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
