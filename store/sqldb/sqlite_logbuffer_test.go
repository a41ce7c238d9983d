package sqldb_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestTheLogHasWhatWasCommitted commits and rolls back transactions of all sizes, also of more pages
// than the writer's cache has room for. After each, another process's connection reads exactly what
// was committed, and finds the file sound.
func TestTheLogHasWhatWasCommitted(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := sqliteURL(t)
	here, other := openWith(t, url, sqldb.Options{}), openWith(t, url, sqldb.Options{})
	if err := here.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, "create table piece (n bigint not null primary key, text text not null)")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	errWanted := errors.New("roll back")
	rng := rand.New(rand.NewPCG(1, 1))
	rows, next := 0, 0
	for i, size := range []int{1, 3, 30, 6_000, 1, 12_000, 3_000, 12_000, 2} {
		fails := i%3 == 2 || i == 5
		err := here.Update(ctx, func(tx *sqldb.Tx) error {
			if i == 5 { // from here on SQLite writes pages out soon, and reads them from the log again
				if _, err := tx.Exec(ctx, "pragma cache_size = 5"); err != nil {
					return err
				}
			}
			for range size {
				next++
				if _, err := tx.Exec(ctx, "insert into piece (n, text) values ($1, $2)", rng.Int64(), fmt.Sprintf("%03000d", next)); err != nil {
					return err
				}
			}
			if fails {
				return errWanted
			}
			return nil
		})
		if fails && errors.Is(err, errWanted) {
			err = nil
		} else {
			rows += size
		}
		if err != nil {
			t.Fatal(err)
		}
		found, sound := 0, ""
		if err := other.View(ctx, func(tx *sqldb.Tx) error {
			if err := tx.QueryRow(ctx, "select count(text) from piece").Scan(&found); err != nil {
				return err
			}
			return tx.QueryRow(ctx, "pragma integrity_check").Scan(&sound)
		}); err != nil {
			t.Fatal(err)
		}
		if found != rows || sound != "ok" {
			t.Fatalf("transaction %d: got %d rows and %q, want %d and ok", i, found, sound, rows)
		}
		if i%4 == 3 {
			if err := sqldb.Statement(here.File(), "pragma wal_checkpoint(truncate)"); err != nil {
				t.Fatal(err)
			}
		}
	}
}
