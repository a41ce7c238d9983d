package sqldb_test

import (
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
