package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// manyNotes stores 20,000 notes.
func manyNotes(t *testing.T, db *sqldb.DB) {
	t.Helper()
	statement(t, db, `
		insert into note (key, value, count, time)
		with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
		select 'key ' || i, '/Users?filter=userName%20eq%20%22ada%40example.com%22', i, 0 from n`)
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// openFile opens a SQLite database. It also returns a function that closes the database, which
// copies the write-ahead log into the file.
func openFile(t *testing.T, url string) (*sqldb.DB, func()) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url, testSchema, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return db, func() {
		t.Helper()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestANewFileGivesSpaceBack(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	db, closeDB := openFile(t, url)
	manyNotes(t, db)
	closeDB()
	full := size(t, url)
	db, closeDB = openFile(t, url)
	statement(t, db, "delete from note")
	if pages, done, err := db.Reclaim(t.Context(), time.Now().Add(-time.Second)); pages != 0 || done || err != nil {
		t.Errorf("without time: got %d, %v, %v", pages, done, err)
	}
	if pages, done, err := db.Reclaim(t.Context(), time.Time{}); pages < 100 || !done || err != nil {
		t.Errorf("got %d, %v, %v", pages, done, err)
	}
	closeDB()
	if got := size(t, url); got > full*2/3 {
		t.Errorf("the file has %d bytes, %d when it was full", got, full)
	}
}

func TestCompactTurnsAnOldFileIntoANewOne(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	asOld(t, url)
	db, closeDB := openFile(t, url)
	manyNotes(t, db)
	statement(t, db, "delete from note where count > 500")
	if pages, done, err := db.Reclaim(t.Context(), time.Time{}); pages != 0 || !done || err != nil {
		t.Errorf("an old file: got %d, %v, %v", pages, done, err)
	}
	server, err := sqldb.Open(t.Context(), url, testSchema, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Compact(t.Context()); !errors.Is(err, sqldb.ErrServed) {
		t.Errorf("while it is served: got %v", err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	before, after, err := db.Compact(t.Context())
	if err != nil || after > before/2 || after != size(t, url) {
		t.Errorf("got %d to %d bytes, %v; the file has %d", before, after, err, size(t, url))
	}
	if mode := column(t, db, "select cast(auto_vacuum as text) from pragma_auto_vacuum"); mode[0] != "2" {
		t.Errorf("auto_vacuum is %v", mode)
	}
	if left := column(t, db, "select cast(count(*) as text) from note"); left[0] != "500" {
		t.Errorf("left %v rows", left)
	}
	closeDB()
}

// asOld turns a file into a file of an old version, which did not use auto_vacuum.
func asOld(t *testing.T, url string) {
	t.Helper()
	db, err := sql.Open("sqlite", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range []string{"pragma auto_vacuum = none", "vacuum"} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPostgreSQLIsNotCompacted(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	if _, _, err := db.Compact(t.Context()); !errors.Is(err, sqldb.ErrNoCompact) {
		t.Errorf("got %v", err)
	}
	if pages, done, err := db.Reclaim(t.Context(), time.Time{}); pages != 0 || !done || err != nil {
		t.Errorf("got %d, %v, %v", pages, done, err)
	}
}
