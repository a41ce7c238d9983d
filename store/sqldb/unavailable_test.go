package sqldb_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

func isUnavailable(err error) bool {
	_, is := errors.AsType[*sqldb.UnavailableError](err)
	return is
}

// wantUnavailable checks that a write and Ready agree whether the database is available.
func wantUnavailable(t *testing.T, db *sqldb.DB, want bool) {
	t.Helper()
	write := note(t, db, "a")
	for what, err := range map[string]error{"write": write, "ready": db.Ready(t.Context())} {
		if is := isUnavailable(err); is != want || !want && err != nil {
			t.Errorf("%s: got %v, want unavailable: %t", what, err, want)
		}
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	t.Run("SQLite takes no writes, then takes them again; the log says each once", func(t *testing.T) {
		t.Parallel()
		var lines bytes.Buffer
		db := openWith(t, sqliteURL(t), sqldb.Options{Log: slog.New(slog.NewTextHandler(&lines, nil))})
		refuse := func(on bool) {
			if err := db.RefuseWrites(on); err != nil {
				t.Fatal(err)
			}
		}
		wantUnavailable(t, db, false)
		refuse(true)
		wantUnavailable(t, db, true)
		wantUnavailable(t, db, true)
		refuse(false)
		wantUnavailable(t, db, false)
		if down, up := strings.Count(lines.String(), "does not do its work"), strings.Count(lines.String(), "takes writes again"); down != 1 || up != 1 {
			t.Errorf("the log says %d times that it is down and %d times that it is up:\n%s", down, up, lines.String())
		}
	})
	t.Run("SQLite has no room", func(t *testing.T) {
		t.Parallel()
		db := newSQLite(t)
		statement(t, db, "pragma max_page_count = 1") // the database already has as many pages
		fill := func() error {
			return db.Update(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), "insert into note (key, value, count, time) values ('big', $1, 0, 0)", strings.Repeat("x", 1<<20))
				return err
			})
		}
		if err := fill(); !isUnavailable(err) {
			t.Errorf("a write that does not fit: %v", err)
		}
		statement(t, db, "pragma max_page_count = 100000")
		if err := fill(); err != nil {
			t.Error(err)
		}
	})
	t.Run("the file of SQLite is moved away, then back", func(t *testing.T) {
		t.Parallel()
		db := newSQLite(t)
		away := filepath.Join(t.TempDir(), "away.db")
		if err := os.Rename(db.File(), away); err != nil {
			t.Fatal(err)
		}
		wantUnavailable(t, db, true)
		if err := os.WriteFile(db.File(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wantUnavailable(t, db, true)
		if err := os.Rename(away, db.File()); err != nil {
			t.Fatal(err)
		}
		wantUnavailable(t, db, false)
	})
	t.Run("PostgreSQL is read-only", func(t *testing.T) {
		t.Parallel()
		url := postgresURL(t)
		mark := "?"
		if strings.Contains(url, "?") {
			mark = "&"
		}
		db, err := sqldb.Open(t.Context(), url+mark+"default_transaction_read_only=on", testSchema, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		wantUnavailable(t, db, true)
	})
	t.Run("PostgreSQL is gone, then there again", func(t *testing.T) {
		t.Parallel()
		db, other := newPostgres(t), newPostgres(t)
		var name string
		if err := db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow(t.Context(), "select current_database()").Scan(&name)
		}); err != nil {
			t.Fatal(err)
		}
		statement(t, other, `alter database "`+name+`" with allow_connections false`)
		statement(t, other, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '`+name+`'`)
		wantUnavailable(t, db, true)
		statement(t, other, `alter database "`+name+`" with allow_connections true`)
		wantUnavailable(t, db, false)
	})
	t.Run("PostgreSQL ended all connections: one request notices, no other does", func(t *testing.T) {
		t.Parallel()
		db, other := newPostgres(t), newPostgres(t)
		var name string
		const clients = 8
		together := func() (failed int) {
			var begun, ended sync.WaitGroup
			var n atomic.Int64
			begun.Add(clients)
			for range clients {
				ended.Go(func() {
					if err := db.View(t.Context(), func(tx *sqldb.Tx) error {
						err := tx.QueryRow(t.Context(), "select current_database()").Scan(new(string))
						begun.Done()
						begun.Wait() // each query holds its own connection now
						return err
					}); err != nil {
						n.Add(1)
					}
				})
			}
			ended.Wait()
			return int(n.Load())
		}
		if failed := together(); failed > 0 {
			t.Fatalf("%d of %d failed", failed, clients)
		}
		if err := db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow(t.Context(), "select current_database()").Scan(&name)
		}); err != nil {
			t.Fatal(err)
		}
		statement(t, other, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '`+name+`'`)
		if err := note(t, db, "a"); !isUnavailable(err) {
			t.Errorf("the first request: got %v", err)
		}
		if failed := together(); failed > 0 {
			t.Errorf("%d of %d failed after that", failed, clients)
		}
	})
	t.Run("a caller who gave up says nothing about the database", func(t *testing.T) {
		t.Parallel()
		each(t, func(t *testing.T, db *sqldb.DB) {
			gone, stop := context.WithCancel(t.Context())
			stop()
			err := db.Update(gone, func(*sqldb.Tx) error { return nil })
			if isUnavailable(err) || err == nil {
				t.Errorf("got %v", err)
			}
		})
	})
}
