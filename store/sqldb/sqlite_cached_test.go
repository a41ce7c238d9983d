package sqldb_test

import (
	"context"
	"testing"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestACachedValueEndsWithEachCommit reads a cached value after each commit of this connection and of
// another one, also after the write-ahead log was emptied.
func TestACachedValueEndsWithEachCommit(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := sqliteURL(t)
	here, other := openWith(t, url, sqldb.Options{}), openWith(t, url, sqldb.Options{})
	if err := here.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, "create table counter (n bigint not null)")
		if err == nil {
			_, err = tx.Exec(ctx, "insert into counter (n) values (0)")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	reads := 0
	read := func() int {
		n, err := sqldb.ReadCached(ctx, here, "counter", func(tx *sqldb.Tx) (n int, err error) {
			reads++
			err = tx.QueryRow(ctx, "select n from counter").Scan(&n)
			return n, err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range 200 {
		writer := []*sqldb.DB{here, other}[i%2]
		if err := writer.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "update counter set n = $1", i)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if i%5 == 4 {
			if err := sqldb.Statement(here.File(), "pragma wal_checkpoint(truncate)"); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			if n := read(); n != i {
				t.Fatalf("read %d after %d was committed", n, i)
			}
		}
	}
	if reads > 200*10 { // each reader reads it once after a commit
		t.Errorf("the value was read %d times from the database, want at most a few times after each commit", reads)
	}
}

// TestACachedValueOutlivesCommitsOfOtherTables commits changes of other tables, of the table that the
// value is read from, and of another process.
func TestACachedValueOutlivesCommitsOfOtherTables(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	schema := testSchema
	schema.Cached = []string{"counter"}
	url := sqliteURL(t)
	open := func() *sqldb.DB {
		db, err := sqldb.Open(ctx, url, schema, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	here, other := open(), open()
	exec := func(db *sqldb.DB, statements ...string) {
		t.Helper()
		if err := db.Update(ctx, func(tx *sqldb.Tx) error {
			for _, s := range statements {
				if _, err := tx.Exec(ctx, s); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	exec(here, "create table counter (n bigint not null)", "create table elsewhere (n bigint not null)", "insert into counter (n) values (0)")
	reads := 0
	read := func() int {
		t.Helper()
		n, err := sqldb.ReadCached(ctx, here, "counter", func(tx *sqldb.Tx) (n int, err error) {
			reads++
			err = tx.QueryRow(ctx, "select n from counter").Scan(&n)
			return n, err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, step := range []struct {
		name       string
		do         func()
		want       int
		readsAgain bool
	}{
		{"the first read", func() {}, 0, true},
		{"a commit of another table", func() { exec(here, "insert into elsewhere (n) values (1)") }, 0, false},
		{"a second one", func() { exec(here, "update elsewhere set n = 2", "delete from elsewhere") }, 0, false},
		{"a commit of the table", func() { exec(here, "insert into elsewhere (n) values (3)", "update counter set n = 1") }, 1, true},
		{"a commit of the table in other words", func() {
			exec(here, "with next as (select 2 as n) insert into counter (n) select n from next", "delete from counter where n < 2")
		}, 2, true},
		{"a commit of another process", func() { exec(other, "update counter set n = 3") }, 3, true},
		{"one of another process and one of this", func() {
			exec(other, "update counter set n = 4")
			exec(here, "insert into elsewhere (n) values (5)")
		}, 4, true},
		{"an update that fails, during which another process commits", func() {
			err := here.Update(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, "insert into elsewhere (n) values (null)")
				return err
			})
			if err == nil {
				t.Error("a row without a value was written")
			}
			exec(other, "update counter set n = 5")
		}, 5, true},
		{"a transaction that changes nothing", func() {
			if err := here.Update(ctx, func(tx *sqldb.Tx) error { return readNothing(ctx, tx) }); err != nil {
				t.Fatal(err)
			}
		}, 5, false},
		{"a restart of the log", func() {
			if err := sqldb.Statement(here.File(), "pragma wal_checkpoint(truncate)"); err != nil {
				t.Fatal(err)
			}
			exec(here, "insert into elsewhere (n) values (6)")
		}, 5, true},
	} {
		before := reads
		step.do()
		if n := read(); n != step.want {
			t.Errorf("after %s: got %d, want %d", step.name, n, step.want)
		}
		if again := reads > before; again != step.readsAgain {
			t.Errorf("after %s: read again is %v, want %v", step.name, again, step.readsAgain)
		}
	}
}

func readNothing(ctx context.Context, tx *sqldb.Tx) error {
	var n int
	return tx.QueryRow(ctx, "select count(*) from elsewhere").Scan(&n)
}

func TestOnlyPlainChangesOfOtherTablesKeepCachedValues(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		"insert into event (n) values (1)":       false,
		"\n\t\tupdate tokens\n\t\tset n = 1":     false,
		"delete from token_form":                 false,
		"insert into token (n) values (1)":       true,
		"insert into token(n) values (1)":        true,
		"\n\t\tupdate token\n\t\tset n = 1":      true,
		"delete from token":                      true,
		`update "token" set n = 1`:               true,
		"update or replace token set n = 1":      true,
		"insert or ignore into event values (1)": true,
		"replace into event values (1)":          true,
		"with x as (select 1) delete from event": true,
		"update main.token set n = 1":            true,
		"create table token (n bigint)":          true,
		"drop table event":                       true,
		"alter table token add column n bigint":  true,
		"insert  into token (n) values (1)":      true,
		"INSERT INTO token (n) values (1)":       true,
	} {
		if got := sqldb.MayChange(query, "site", "token"); got != want {
			t.Errorf("%q: got %v, want %v", query, got, want)
		}
	}
}
