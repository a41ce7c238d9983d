package sqldb_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// partsOfSQLite are the endings of the files that exist after a crash.
var partsOfSQLite = []string{"", "-wal", "-stamp"}

func copyPart(t *testing.T, to, from string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	// Overwrite the file without replacing it, as cp does.
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeFirstPage(t *testing.T, to, from string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(text[:4096], 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// crashed copies the files that would exist if the server was killed now. It returns the path of
// the copy.
func crashed(t *testing.T, url string) (copied string) {
	t.Helper()
	copied = filepath.Join(t.TempDir(), "r.db")
	for _, part := range partsOfSQLite {
		copyPart(t, copied+part, url+part)
	}
	return copied
}

// opens opens a database, counts its things, checks that it is not damaged, and closes it.
func opens(t *testing.T, url string) (n int, err error) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url, testSchema, sqldb.Options{})
	if err != nil {
		return 0, err
	}
	n = len(thingNames(t, db))
	if problems := column(t, db, "pragma integrity_check"); len(problems) != 1 || problems[0] != "ok" {
		t.Errorf("%s is damaged: %v", filepath.Base(url), problems)
	}
	return n, db.Close()
}

// TestACopyBesideTheLogOfAnotherFileIsRefused kills a server at each step of several checkpoints.
// The remaining files must open with all rows. Then the test replaces the database file with older
// copies of different kinds. Such a copy must be refused until the write-ahead log is moved away.
func TestACopyBesideTheLogOfAnotherFileIsRefused(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	db := open(t, url)
	if err := db.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.WithoutCheckpoints()
	things(t, db)
	rows := 0
	add := func() {
		t.Helper()
		for range 20 {
			rows++
			if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				return addThing(t.Context(), tx, fmt.Sprint(rows, strings.Repeat("x", 500)))
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	older := map[string]string{} // older copies of the database file, by a description of each
	inLog := false               // whether a wrong database file must be noticed
	check := func(step string) {
		t.Helper()
		left := crashed(t, url)
		if n, err := opens(t, left); err != nil || n != rows {
			t.Errorf("%s: a server that was killed left %d of %d rows, %v", step, n, rows, err)
		}
		if !inLog {
			return
		}
		for kind, file := range older {
			left := crashed(t, url)
			copyPart(t, left, file)
			before, err := os.ReadFile(left)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := opens(t, left); err == nil || !strings.Contains(err.Error(), "move "+left+"-wal and") {
				t.Errorf("%s, with %s: got %d rows, %v", step, kind, n, err)
			}
			if after, err := os.ReadFile(left); err != nil || string(after) != string(before) {
				t.Errorf("%s, with %s: the copy was changed", step, kind)
			}
			if err := os.Rename(left+"-wal", left+"-away"); err != nil {
				t.Fatal(err)
			}
			if _, err := opens(t, left); err != nil {
				t.Errorf("%s, with %s alone: %v", step, kind, err)
			}
		}
	}
	for round := range 4 {
		var begun string // a copy of the files before the log was copied
		stamp := func(step string) {
			switch step {
			case "written":
				begun = crashed(t, url)
			case "copied":
				// The server is killed after it has copied only the first page.
				writeFirstPage(t, begun, url)
				if n, err := opens(t, begun); err != nil || n != rows {
					t.Errorf("round %d, after one page: got %d of %d rows, %v", round, n, rows, err)
				}
			}
			check(fmt.Sprint("round ", round, ", ", step))
		}
		add()
		stamp("before")
		if err := db.Stamp(t.Context(), stamp); err != nil {
			t.Fatal(err)
		}
		inLog = false
		stamp("after")
		// Copy the database now. The copies are outdated after the next write.
		backup := filepath.Join(t.TempDir(), "copy.db")
		if _, err := db.Backup(t.Context(), backup, false); err != nil {
			t.Fatal(err)
		}
		older[fmt.Sprint("backup of round ", round)] = backup
		same := filepath.Join(t.TempDir(), "copy.db")
		copyPart(t, same, url)
		add()
		if err := db.Stamp(t.Context(), func(string) {}); err != nil {
			t.Fatal(err)
		}
		older[fmt.Sprint("cp of round ", round)] = same
		add() // the log begins anew, and belongs to the present file
		inLog = true
	}
}

// TestAFileThatIsOverwrittenIsNoticed copies another database over the file of a running server.
// After that, the server must neither serve nor write anything, and must leave the copied file as
// it is.
func TestAFileThatIsOverwrittenIsNoticed(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	other := sqliteURL(t)
	db, err := sqldb.Open(t.Context(), url, testSchema, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.WithoutCheckpoints()
	things(t, db)
	if err := db.Stamp(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, db, false)
	copyPart(t, url, other)
	wantUnavailable(t, db, true)
	if err := db.View(t.Context(), func(*sqldb.Tx) error { return nil }); !isUnavailable(err) {
		t.Errorf("a read: got %v", err)
	}
	if err := db.Close(); err == nil || !strings.Contains(err.Error(), "overwritten") {
		t.Errorf("close: got %v", err)
	}
	copied, err := os.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	want, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(copied); err != nil || string(got) != string(want) {
		t.Error("the copy was changed")
	}
}

// TestOthersMayGiveTheDatabaseAVersion sets user_version with another program. Neither the running
// server nor a server after a crash may take this for a replaced file.
func TestOthersMayGiveTheDatabaseAVersion(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	db := open(t, url)
	if err := db.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.WithoutCheckpoints()
	things(t, db)
	if err := db.Stamp(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.Statement(url, "pragma user_version = 5", "pragma wal_checkpoint(passive)"); err != nil {
		t.Fatal(err)
	}
	if _, err := opens(t, crashed(t, url)); err != nil {
		t.Error(err)
	}
	wantUnavailable(t, db, false)
	if _, err := opens(t, crashed(t, url)); err != nil {
		t.Error(err)
	}
}

// TestCommandsBesideAServerAreNotRefused opens the database again and again while a server stamps
// it all the time.
func TestCommandsBesideAServerAreNotRefused(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	db := open(t, url)
	if err := db.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.WithoutCheckpoints()
	things(t, db)
	opened, stamped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stamped)
		for n := 0; ; n++ {
			select {
			case <-opened:
				return
			default:
			}
			if err := errors.Join(
				db.Update(t.Context(), func(tx *sqldb.Tx) error { return addThing(t.Context(), tx, fmt.Sprint(n)) }),
				db.Stamp(t.Context(), func(string) {}),
			); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for range 100 {
		other, err := sqldb.Open(t.Context(), url, testSchema, sqldb.Options{})
		if err == nil {
			err = other.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}
	close(opened)
	<-stamped
}
