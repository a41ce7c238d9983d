package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// manyRows fills the request log of a new site.
func manyRows(t *testing.T, db *store.DB) {
	t.Helper()
	if err := (store.Sites{DB: db}).CreateSite(t.Context(), site.Site{ID: "acme", Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	write(t, db, `
		insert into request_log (site, time, id, token, token_last4, method, path, status, duration, user_name, subject, sentence, fixes, ignored, remote, result, change)
		with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
		select 'acme', i, 'r' || i, 't', '', 'GET', '/Users?filter=userName%20eq%20%22ada%40example.com%22', 200, 0, '', '', '', '', '', '', 'done', false from n`)
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// openFile opens a SQLite database and returns a function that closes it, which copies its log into the file.
func openFile(t *testing.T, url string) (*store.DB, func()) {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.Options{})
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
	url := storetest.SQLiteURL(t)
	db, closeDB := openFile(t, url)
	manyRows(t, db)
	closeDB()
	full := size(t, url)
	db, closeDB = openFile(t, url)
	write(t, db, "delete from request_log")
	if pages, done, err := (store.Retention{DB: db}).Reclaim(t.Context(), time.Now().Add(-time.Second)); pages != 0 || done || err != nil {
		t.Errorf("without time: got %d, %v, %v", pages, done, err)
	}
	if pages, done, err := (store.Retention{DB: db}).Reclaim(t.Context(), time.Time{}); pages < 300 || !done || err != nil {
		t.Errorf("got %d, %v, %v", pages, done, err)
	}
	closeDB()
	if got := size(t, url); got > full*2/3 {
		t.Errorf("the file has %d bytes, %d when it was full", got, full)
	}
}

func TestCompactTurnsAnOldFileIntoANewOne(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	asOld(t, url)
	db, closeDB := openFile(t, url)
	manyRows(t, db)
	write(t, db, "delete from request_log where time > 500")
	if pages, done, err := (store.Retention{DB: db}).Reclaim(t.Context(), time.Time{}); pages != 0 || !done || err != nil {
		t.Errorf("an old file: got %d, %v, %v", pages, done, err)
	}
	server, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Compact(t.Context()); !errors.Is(err, store.ErrServed) {
		t.Errorf("while it is served: got %v", err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	before, after, err := db.Compact(t.Context())
	if err != nil || after > before/2 || after != size(t, url) {
		t.Errorf("got %d to %d bytes, %v; the file has %d", before, after, err, size(t, url))
	}
	if mode := texts(t, db, 1, "select cast(auto_vacuum as text) from pragma_auto_vacuum"); mode[0][0] != "2" {
		t.Errorf("auto_vacuum is %v", mode)
	}
	if left := texts(t, db, 1, "select cast(count(*) as text) from request_log"); left[0][0] != "500" {
		t.Errorf("left %v rows", left)
	}
	closeDB()
}

// asOld makes a file one of before auto_vacuum was used.
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
	db := storetest.Postgres(t)
	if _, _, err := db.Compact(t.Context()); !errors.Is(err, store.ErrNoCompact) {
		t.Errorf("got %v", err)
	}
	if pages, done, err := (store.Retention{DB: db}).Reclaim(t.Context(), time.Time{}); pages != 0 || !done || err != nil {
		t.Errorf("got %d, %v, %v", pages, done, err)
	}
}
