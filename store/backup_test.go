package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// subjects are those of the events of a database, in order.
func subjects(t *testing.T, db *store.DB) (all []string) {
	t.Helper()
	for _, row := range texts(t, db, 1, "select subject from event where name = 'counted' order by seq") {
		all = append(all, row[0])
	}
	return all
}

// TestBackupIsOneMoment copies a database while others write to it: the copy has what was acknowledged before, and of
// what was written meanwhile everything up to one moment.
func TestBackupIsOneMoment(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	count := func(n int) {
		appendEvents(t, db, event.Event{Scope: event.Installation(), Name: "counted", Subject: strconv.Itoa(n)})
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
	other, err := store.Open(t.Context(), file, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	got := subjects(t, other)
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
		"refers to a row of site":    {"pragma foreign_keys = off", "insert into site_session (site, hash, person, created, expires) values ('nowhere', 'h', 'p', 0, 0)"},
		"never used":                 {"pragma writable_schema = on", "delete from sqlite_master where name = 'operator_session_operator'"},
		"not a database of Rollcall": {"drop table migration"},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			from := storetest.SQLiteURL(t)
			storetest.OpenWith(t, from, store.Options{}).Close()
			if err := store.Statement(from, statements...); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "rollcall.db")
			if err := os.WriteFile(path, []byte("as it was"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := store.Restore(t.Context(), path, from, "now", func(string, store.Copy) error { return nil })
			if c, is := errors.AsType[*store.CorruptError](err); !is || !strings.Contains(c.Error(), fault) || !strings.Contains(c.Error(), from) {
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
	ready := func(string, store.Copy) error { return nil }
	fresh := func(t *testing.T, subject string) string {
		url := storetest.SQLiteURL(t)
		db := storetest.OpenWith(t, url, store.Options{})
		appendEvents(t, db, event.Event{Scope: event.Installation(), Name: "counted", Subject: subject})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return url
	}
	t.Run("not while a command has the database open", func(t *testing.T) {
		t.Parallel()
		from, path := fresh(t, "copy"), fresh(t, "old")
		db := storetest.OpenWith(t, path, store.Options{})
		if got := subjects(t, db); len(got) != 1 {
			t.Fatal(got)
		}
		if _, err := store.Restore(t.Context(), path, from, "now", ready); !errors.Is(err, store.ErrInUse) {
			t.Errorf("got %v, want ErrInUse", err)
		}
		if got := subjects(t, db); len(got) != 1 || got[0] != "old" {
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
		done, err := store.Restore(t.Context(), path, from, "now", ready)
		if err != nil || done.Kept != path+".replaced-now" {
			t.Fatalf("got %+v, %v", done, err)
		}
		if text, err := os.ReadFile(done.Kept); err != nil || !strings.HasPrefix(string(text), "damaged") {
			t.Errorf("kept is %.20q, %v", text, err)
		}
		if got := subjects(t, storetest.OpenWith(t, path, store.Options{})); len(got) != 1 || got[0] != "copy" {
			t.Errorf("the database has %v", got)
		}
	})
	t.Run("two restores in one second keep both databases", func(t *testing.T) {
		t.Parallel()
		from, path := fresh(t, "copy"), fresh(t, "old")
		for _, want := range []string{path + ".replaced-now", path + ".replaced-now-2"} {
			done, err := store.Restore(t.Context(), path, from, "now", ready)
			if err != nil || done.Kept != want {
				t.Fatalf("got %+v, %v, want %s", done, err, want)
			}
		}
		if got := subjects(t, storetest.OpenWith(t, path+".replaced-now", store.Options{})); len(got) != 1 || got[0] != "old" {
			t.Errorf("the first one kept has %v", got)
		}
	})
	t.Run("what a killed restore left is taken away", func(t *testing.T) {
		t.Parallel()
		from, path := fresh(t, "copy"), filepath.Join(t.TempDir(), "rollcall.db")
		if err := os.WriteFile(path+".restoring", []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		done, err := store.Restore(t.Context(), path, from, "now", ready)
		if err != nil || done.Kept != "" {
			t.Fatalf("got %+v, %v", done, err)
		}
		if got := subjects(t, storetest.OpenWith(t, path, store.Options{})); len(got) != 1 {
			t.Errorf("the database has %v", got)
		}
	})
}

// TestEndSessions fills every table of sessions and links that there is.
func TestEndSessions(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	statement(t, db, "insert into site (id, name, profile, scim_enabled, manage_roles, strict, matches, created) values ('s', 'acme', 'full', true, true, false, '', 0)")
	statement(t, db, "insert into operator (id, name, name_folded, created, last_sign_in) values ('o', 'Ada', 'ada', 0, 0)")
	statement(t, db, "insert into site_session (site, hash, person, created, expires) values ('s', 'h', 'p', 0, 0)")
	statement(t, db, "insert into operator_session (hash, operator, created, expires) values ('h', 'o', 0, 0)")
	statement(t, db, "insert into signin_link (site, hash, kind, person, created, expires) values ('s', 'h', 'k', 'p', 0, 0)")
	statement(t, db, "insert into operator_link (hash, name, name_folded, created, expires) values ('h', 'Ada', 'ada', 0, 0)")
	n, err := db.EndSessions(t.Context(), event.Event{Scope: event.Installation(), Name: "database.restored"})
	if err != nil || n != 2 {
		t.Errorf("got %d, %v", n, err)
	}
	tables := 0
	for _, row := range texts(t, db, 1, "select name from sqlite_master where type = 'table' and (name like '%session' or name like '%\\_link' escape '\\')") {
		if row[0] == "job_link" {
			continue // of an account at an application
		}
		tables++
		if left := texts(t, db, 1, "select cast(count(*) as text) from "+row[0]); left[0][0] != "0" {
			t.Errorf("%s has %s rows", row[0], left[0][0])
		}
	}
	if tables < 4 {
		t.Errorf("found %d tables", tables)
	}
	if got := texts(t, db, 1, "select name from event where name = 'database.restored'"); len(got) != 1 {
		t.Errorf("got events %v", got)
	}
}
