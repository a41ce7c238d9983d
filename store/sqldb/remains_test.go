package sqldb_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestForgetDeletedOverwritesWhatMovedRowsLeft inserts rows in random order. SQLite then moves rows
// between pages, and leaves some of their bytes in the old places.
func TestForgetDeletedOverwritesWhatMovedRowsLeft(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), sqliteURL(t)
	db := open(t, url)
	random := rand.New(rand.NewPCG(1, 2))
	exec := func(query string, args ...any) {
		t.Helper()
		if err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	exec("create table moved (key integer primary key, text text) without rowid")
	if err := db.Update(ctx, func(tx *sqldb.Tx) error {
		for _, key := range random.Perm(3_000) {
			text := "Bob Byte " + strings.Repeat("b", random.IntN(600))
			if key%3 == 0 {
				text = "Zebulon Hagelström " + strings.Repeat("z", random.IntN(600))
			}
			if _, err := tx.Exec(ctx, "insert into moved (key, text) values ($1, $2)", key, text); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// This row fills several pages. The end of its last page is unused, and had other rows before.
	exec("insert into moved (key, text) values (5000, $1)", strings.Repeat("Bob Byte ", 2_000))
	exec("update moved set text = 'nobody' where key % 3 = 0")

	bob := 0
	forget := func(words ...string) {
		t.Helper()
		complete, err := db.ForgetDeleted(ctx, time.Now().Add(time.Minute), func(unused []byte) bool {
			return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(unused, []byte(word)) })
		})
		if err != nil || !complete {
			t.Fatalf("%q: got %v, %v", words, complete, err)
		}
	}
	count := func(word string) int {
		t.Helper()
		n := 0
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(url + suffix)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			n += bytes.Count(b, []byte(word))
		}
		return n
	}
	forget()
	if count("Hagelström") == 0 {
		t.Fatal("nothing was left in unused parts: the test tests nothing")
	}
	forget("Zebulon", "Hagel", "elström")
	for _, word := range []string{"Hagelström", "Zebulon", "Hagel", "elström"} {
		if n := count(word); n > 0 {
			t.Errorf("%q is in the file %d times", word, n)
		}
	}
	if err := db.View(ctx, func(tx *sqldb.Tx) error {
		if err := integrity(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "select count(*) from moved where text like 'Bob Byte %'").Scan(&bob)
	}); err != nil {
		t.Fatal(err)
	}
	if bob != 2_001 {
		t.Errorf("%d of 2,001 other rows are left", bob)
	}
	// The writer still has the page in memory, and writes to it again.
	exec("insert into moved (key, text) select 10000 + key, text from moved")
	if err := db.View(ctx, func(tx *sqldb.Tx) error { return integrity(ctx, tx) }); err != nil {
		t.Error(err)
	}
}

// TestForgetDeletedSaysThatAReaderHoldsTheLog calls ForgetDeleted while a reader needs the
// write-ahead log. The database then keeps old pages. ForgetDeleted must say that it could not
// overwrite everything.
func TestForgetDeletedSaysThatAReaderHoldsTheLog(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), sqliteURL(t)
	db := open(t, url)
	forget := func(within time.Duration) bool {
		t.Helper()
		complete, err := db.ForgetDeleted(ctx, time.Now().Add(within), func([]byte) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		return complete
	}
	write := func(query string) {
		t.Helper()
		if err := db.Update(ctx, func(tx *sqldb.Tx) error { _, err := tx.Exec(ctx, query); return err }); err != nil {
			t.Fatal(err)
		}
	}
	write("create table secret (text text)")
	write("insert into secret (text) values ('Hagelstrom')")
	forget(time.Minute)
	if err := db.View(ctx, func(tx *sqldb.Tx) error {
		var text string
		if err := tx.QueryRow(ctx, "select text from secret").Scan(&text); err != nil {
			return err
		}
		write("update secret set text = 'nobody'")
		if forget(time.Second) {
			t.Error("a reader holds the log, and everything is said to be forgotten")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !forget(time.Minute) {
		t.Error("the reader is gone, and the log is not emptied")
	}
	if file, err := os.ReadFile(url); err != nil || bytes.Contains(file, []byte("Hagelstrom")) {
		t.Errorf("the file has the name still, %v", err)
	}
}

func integrity(ctx context.Context, tx *sqldb.Tx) error {
	var verdict string
	if err := tx.QueryRow(ctx, "pragma integrity_check").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("the file: %s", verdict)
	}
	return nil
}
