package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestAShortenedIndexOfTheLogIsAnError shortens the file that SQLite maps into memory. A read of the
// missing part is an error and does not end the process.
func TestAShortenedIndexOfTheLogIsAnError(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	db, err := sqldb.Open(t.Context(), url, testSchema, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := note(t, db, "a"); err != nil {
		t.Fatal(err)
	}
	read := func() (int, error) {
		return sqldb.ReadCached(t.Context(), db, "count", func(tx *sqldb.Tx) (n int, err error) {
			err = tx.QueryRow(t.Context(), "select count(*) from note").Scan(&n)
			return n, err
		})
	}
	for range 20 { // each reader finds the index of the log
		if _, err := read(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(db.File()+"-shm", 0); err != nil {
		t.Fatal(err)
	}
	_, err = read()
	if _, unavailable := errors.AsType[*sqldb.UnavailableError](err); !unavailable {
		t.Errorf("got error %v, want that the database is not available", err)
	}
	db.Close() //nolint:errcheck // SQLite has no index of the log, so whether this succeeds depends on what it still has in memory
}

// TestAPanicInsideSQLiteEndsTheConnection lets SQLite panic in an update, and in a read. Later
// updates and reads work. The updates that shared the transaction have left nothing.
func TestAPanicInsideSQLiteEndsTheConnection(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	ctx := t.Context()
	began := time.Now()
	db.WriterClock(func() time.Time { return began }) // while the clock stands still, each waiting update joins the commit
	for _, rowsOpen := range []bool{false, true} {
		fail := func(run func(context.Context, func(*sqldb.Tx) error) error) error {
			return run(ctx, func(tx *sqldb.Tx) error {
				const query = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 9) select i from n"
				if !rowsOpen {
					tx.PanicInside()
				}
				rows, err := tx.Query(ctx, query)
				if err != nil {
					return err
				}
				tx.PanicInside()
				for rows.Next() {
				}
				return rows.Close()
			})
		}
		var group sync.WaitGroup
		running, goOn := make(chan struct{}), make(chan struct{})
		var first, second error
		group.Go(func() {
			first = db.Update(ctx, func(tx *sqldb.Tx) error {
				close(running)
				<-goOn
				return putNote(ctx, tx, "shares the transaction")
			})
		})
		<-running
		group.Go(func() { second = fail(db.Update) })
		for db.Waiting() == 0 {
		}
		close(goOn)
		group.Wait()
		if second == nil || !strings.Contains(second.Error(), "inside SQLite") {
			t.Errorf("got error %v, want the panic", second)
		}
		if err := note(t, db, "after"); err != nil {
			t.Error(err)
		}
		n := 0
		if err := db.View(ctx, func(tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, "select count(*) from note where key = 'shares the transaction'").Scan(&n)
		}); err != nil {
			t.Error(err)
		}
		if first == nil || n > 0 {
			t.Errorf("the update that shared the transaction: got error %v and %d rows, want an error and none", first, n)
		}
		for _, read := range []func(context.Context, func(*sqldb.Tx) error) error{db.View, db.Read} {
			if err := fail(read); err == nil || !strings.Contains(err.Error(), "inside SQLite") {
				t.Errorf("got error %v, want the panic", err)
			}
			for range 20 { // each reader
				if err := read(ctx, func(tx *sqldb.Tx) error {
					return tx.QueryRow(ctx, "select count(*) from note").Scan(&n)
				}); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TestRowsAndTransactionsEnd uses rows after they are closed, and a transaction after its function
// has returned.
func TestRowsAndTransactionsEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		for _, key := range []string{"a", "b"} {
			if err := note(t, db, key); err != nil {
				t.Fatal(err)
			}
		}
		var kept *sqldb.Tx
		if err := db.View(ctx, func(tx *sqldb.Tx) error {
			kept = tx
			query := func() *sqldb.Rows {
				rows, err := tx.Query(ctx, "select key from note order by key")
				if err != nil {
					t.Fatal(err)
				}
				return rows
			}
			first := query()
			if err := first.Close(); err != nil {
				return err
			}
			second := query()
			var key string
			if first.Next() {
				t.Error("closed rows have a next row")
			}
			if second.Next(); first.Scan(&key) == nil {
				t.Errorf("closed rows have the value %q", key)
			}
			if err := second.Scan(&key); err != nil || key != "a" {
				t.Errorf("got %q, %v; want the first note", key, err)
			}
			return second.Close()
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := kept.Query(ctx, "select key from note"); err == nil {
			t.Error("a transaction runs a query after its end")
		}
	})
}

// TestRestoreOpensTheFirstDatabaseOfAProcess restores a copy in a process that has opened no
// database before, where there is none yet.
func TestRestoreOpensTheFirstDatabaseOfAProcess(t *testing.T) {
	if from := os.Getenv("STORE_TEST_RESTORE"); from != "" {
		if _, err := testSchema.Restore(t.Context(), t.TempDir()+"/new.db", from, "now", func(file string, _ sqldb.Copy) error {
			db, err := sqldb.Open(t.Context(), file, testSchema, sqldb.Options{})
			if err != nil {
				return err
			}
			return db.Close()
		}); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Parallel()
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v") //nolint:gosec // this test itself
	again.Env = append(os.Environ(), "STORE_TEST_RESTORE="+sqliteURL(t))
	if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAReaderStopsWaitingForALockWithItsContext asks SQLite's busy handler while a query runs.
func TestAReaderStopsWaitingForALockWithItsContext(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	if err := note(t, db, "a"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := db.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, "select key from note")
		if err != nil {
			return err
		}
		defer rows.Close()
		if !tx.WaitsForLock(0) || !tx.WaitsForLock(100) {
			t.Error("the reader does not wait for a lock")
		}
		if tx.WaitsForLock(1 << 20) {
			t.Error("the reader waits for a lock forever")
		}
		cancel()
		if tx.WaitsForLock(0) {
			t.Error("the reader still waits for a lock after its caller has gone")
		}
		return rows.Close()
	})
	if err != nil {
		t.Error(err)
	}
}

// TestAnErrorOfSQLiteIsFoundBehindAnother joins two errors of SQLite, as after a rollback that fails.
func TestAnErrorOfSQLiteIsFoundBehindAnother(t *testing.T) {
	t.Parallel()
	const busy, full = 5, 13
	err := fmt.Errorf("rollback: %w (after %w)", sqldb.SQLiteError(full), sqldb.SQLiteError(busy))
	if !sqldb.HasCode(err, busy) || !sqldb.HasCode(errors.Join(err), full) || sqldb.HasCode(err, 1) {
		t.Errorf("not found in %v", err)
	}
}
