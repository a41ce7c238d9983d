package sqldb_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// notes returns the keys of a database's notes, in the order in which the notes were made.
func notes(t testing.TB, db *sqldb.DB) []string {
	t.Helper()
	return column(t, db, "select key from note where key <> 'touched' order by rowid")
}

// TestBackupIsOneMoment copies a database while other transactions write to it. The copy must have
// everything that was acknowledged before the backup began. Of the later writes, it must have
// exactly those up to one moment.
func TestBackupIsOneMoment(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	count := func(n int) {
		if err := note(t, db, strconv.Itoa(n)); err != nil {
			t.Error(err)
		}
	}
	const before = 20
	for n := range before {
		count(n)
	}
	ctx, stop := context.WithCancel(t.Context())
	wrote := make(chan int)
	go func() {
		n := before
		for ; ctx.Err() == nil; n++ {
			count(n)
		}
		wrote <- n
	}()
	file := filepath.Join(t.TempDir(), "copy.db")
	made, err := db.Backup(t.Context(), file, false)
	stop()
	total := <-wrote
	if err != nil {
		t.Fatal(err)
	}
	if version, err := db.Version(t.Context()); err != nil || made.Version != version || made.Newest.IsZero() {
		t.Errorf("got %+v; the database has version %d, %v", made, version, err)
	}
	if files, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); err != nil || len(files) > 0 {
		t.Errorf("the backup left %v behind, %v", files, err)
	}
	other, err := sqldb.Open(t.Context(), file, testSchema, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	got := notes(t, other)
	if len(got) < before || len(got) > total {
		t.Errorf("the copy has %d events, want %d to %d", len(got), before, total)
	}
	for n, subject := range got {
		if subject != strconv.Itoa(n) {
			t.Fatalf("event %d of the copy is %s", n, subject)
		}
	}
}

func TestACopyWithFaultsIsNotRestored(t *testing.T) {
	t.Parallel()
	for fault, statements := range map[string][]string{
		"refers to a row of note":    {"pragma foreign_keys = off", "insert into child (id, key) values ('c', 'nowhere')"},
		"never used":                 {"pragma writable_schema = on", "delete from sqlite_master where name = 'child_key'"},
		"not a database of Rollcall": {"drop table migration"},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			from := sqliteURL(t)
			openWith(t, from, sqldb.Options{}).Close()
			if err := sqldb.Statement(from, statements...); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "rollcall.db")
			if err := os.WriteFile(path, []byte("as it was"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := testSchema.Restore(t.Context(), path, from, "now", func(string, sqldb.Copy) error { return nil })
			if c, is := errors.AsType[*sqldb.CorruptError](err); !is || !strings.Contains(c.Error(), fault) || !strings.Contains(c.Error(), from) {
				t.Errorf("got %v", err)
			}
			if text, err := os.ReadFile(path); string(text) != "as it was" || err != nil {
				t.Errorf("the database of before is %q, %v", text, err)
			}
			if files, err := filepath.Glob(path + ".*"); err != nil || len(files) > 0 {
				t.Errorf("the restore left %v behind, %v", files, err)
			}
		})
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	ready := func(string, sqldb.Copy) error { return nil }
	fresh := func(t *testing.T, subject string) string {
		url := sqliteURL(t)
		db := openWith(t, url, sqldb.Options{})
		if err := errors.Join(note(t, db, subject), db.Close()); err != nil {
			t.Fatal(err)
		}
		return url
	}
	t.Run("not while a command has the database open", func(t *testing.T) {
		t.Parallel()
		from, path := fresh(t, "copy"), fresh(t, "old")
		db := openWith(t, path, sqldb.Options{})
		if got := notes(t, db); len(got) != 1 {
			t.Fatal(got)
		}
		if _, err := testSchema.Restore(t.Context(), path, from, "now", ready); !errors.Is(err, sqldb.ErrInUse) {
			t.Errorf("got %v, want ErrInUse", err)
		}
		if got := notes(t, db); len(got) != 1 || got[0] != "old" {
			t.Errorf("the database has %v", got)
		}
	})
	t.Run("the log of a damaged database is kept with it and not given to the copy", func(t *testing.T) {
		t.Parallel()
		from, path := fresh(t, "copy"), filepath.Join(t.TempDir(), "rollcall.db")
		for _, file := range []string{"", "-wal", "-shm"} {
			if err := os.WriteFile(path+file, []byte(strings.Repeat("damaged"+file, 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		done, err := testSchema.Restore(t.Context(), path, from, "now", ready)
		if err != nil || done.KeptAs != path+".replaced-now" {
			t.Fatalf("got %+v, %v", done, err)
		}
		if text, err := os.ReadFile(done.KeptAs); err != nil || !strings.HasPrefix(string(text), "damaged") {
			t.Errorf("kept is %.20q, %v", text, err)
		}
		if got := notes(t, openWith(t, path, sqldb.Options{})); len(got) != 1 || got[0] != "copy" {
			t.Errorf("the database has %v", got)
		}
	})
	t.Run("two restores in one second keep both databases", func(t *testing.T) {
		t.Parallel()
		from, path := fresh(t, "copy"), fresh(t, "old")
		for _, want := range []string{path + ".replaced-now", path + ".replaced-now-2"} {
			done, err := testSchema.Restore(t.Context(), path, from, "now", ready)
			if err != nil || done.KeptAs != want {
				t.Fatalf("got %+v, %v, want %s", done, err, want)
			}
		}
		if got := notes(t, openWith(t, path+".replaced-now", sqldb.Options{})); len(got) != 1 || got[0] != "old" {
			t.Errorf("the first one kept has %v", got)
		}
	})
	t.Run("what a killed restore left is taken away", func(t *testing.T) {
		t.Parallel()
		from, path := fresh(t, "copy"), filepath.Join(t.TempDir(), "rollcall.db")
		if err := os.WriteFile(path+".restoring", []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		done, err := testSchema.Restore(t.Context(), path, from, "now", ready)
		if err != nil || done.KeptAs != "" {
			t.Fatalf("got %+v, %v", done, err)
		}
		if got := notes(t, openWith(t, path, sqldb.Options{})); len(got) != 1 {
			t.Errorf("the database has %v", got)
		}
	})
}
