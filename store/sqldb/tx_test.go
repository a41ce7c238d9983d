package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// things creates a table named thing, for tests of transactions.
func things(t testing.TB, db *sqldb.DB) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), `
			create table thing (
				site  text    not null,
				name  text    not null,
				size  bigint  not null,
				alive boolean not null,
				primary key (site, name))`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func addThing(ctx context.Context, tx *sqldb.Tx, name string) error {
	_, err := tx.Exec(ctx, `
		insert into thing (site, name, size, alive)
		values ('s', $1, 0, true)`, name)
	return err
}

func thingNames(t testing.TB, db *sqldb.DB) (names []string) {
	t.Helper()
	err := db.View(context.Background(), func(tx *sqldb.Tx) error {
		names = nil
		rows, err := tx.Query(context.Background(), "select name from thing order by name")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		things(t, db)
		type row struct {
			Site, Name string
			Size       int64
			Alive      bool
		}
		var got []row
		err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			// The placeholders are not in order, one of them occurs twice, and a string is passed
			// as bytes.
			if _, err := tx.Exec(t.Context(), `
				insert into thing (size, alive, name, site)
				values ($3, $4, $1, $2), ($3, not $4, $2, $2)`, []byte("a'b"), "s", int64(1)<<62, true); err != nil {
				return err
			}
			got = nil
			for _, name := range []string{"a'b", "s"} {
				var r row
				if err := tx.QueryRow(t.Context(), `
					select site, name, size, alive
					from thing
					where name = $1 and $1 = name and name <> 'it''s $1'`, name).Scan(&r.Site, &r.Name, &r.Size, &r.Alive); err != nil {
					return err
				}
				got = append(got, r)
			}
			var alive int
			if err := tx.QueryRow(t.Context(), "select count(*) from thing where alive").Scan(&alive); err != nil {
				return err
			}
			if alive != 1 {
				return fmt.Errorf("%d alive", alive)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []row{{"s", "a'b", 1 << 62, true}, {"s", "s", 1 << 62, false}}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Error(diff)
		}
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		things(t, db)
		ctx := t.Context()
		boom := errors.New("boom")

		t.Run("keeps nothing of a function that fails", func(t *testing.T) {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				return errors.Join(addThing(ctx, tx, "failed"), boom)
			})
			if !errors.Is(err, boom) {
				t.Errorf("got error %v, want %v", err, boom)
			}
		})
		t.Run("turns a panic into an error and goes on", func(t *testing.T) {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				if err := addThing(ctx, tx, "panicked"); err != nil {
					return err
				}
				panic("boom")
			})
			if err == nil || !strings.Contains(err.Error(), "panic in a transaction: boom") {
				t.Errorf("got error %v", err)
			}
		})
		t.Run("returns the failure of a statement that the function swallowed", func(t *testing.T) {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				if err := addThing(ctx, tx, "twice"); err != nil {
					return err
				}
				_ = addThing(ctx, tx, "twice")
				if err := addThing(ctx, tx, "after"); err == nil {
					t.Error("a statement ran after one had failed")
				}
				return nil
			})
			if _, taken := sqldb.UniqueViolation(err); !taken {
				t.Errorf("got error %v, want a unique violation", err)
			}
		})
		t.Run("takes the absence of a row as an answer", func(t *testing.T) {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				var name string
				if err := tx.QueryRow(ctx, "select name from thing where name = 'none'").Scan(&name); !errors.Is(err, sql.ErrNoRows) {
					t.Errorf("got error %v, want %v", err, sql.ErrNoRows)
				}
				return addThing(ctx, tx, "kept")
			})
			if err != nil {
				t.Error(err)
			}
		})
		t.Run("refuses a statement while rows are open, and closes rows left open", func(t *testing.T) {
			for range 2 {
				err := db.Update(ctx, func(tx *sqldb.Tx) error {
					if _, err := tx.Query(ctx, "select name from thing"); err != nil {
						return err
					}
					return addThing(ctx, tx, "while open")
				})
				if err == nil || !strings.Contains(err.Error(), "before the rows") {
					t.Errorf("got error %v", err)
				}
			}
		})
		t.Run("does not run for a context that has ended", func(t *testing.T) {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			err := db.Update(ended, func(*sqldb.Tx) error {
				t.Error("ran")
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v", err)
			}
		})
		t.Run("is kept when its context ends after the last statement", func(t *testing.T) {
			short, cancel := context.WithCancel(ctx)
			defer cancel()
			err := db.Update(short, func(tx *sqldb.Tx) error {
				defer cancel()
				return addThing(short, tx, "kept too")
			})
			if err != nil {
				t.Error(err)
			}
		})
		if diff := cmp.Diff(thingNames(t, db), []string{"kept", "kept too"}); diff != "" {
			t.Error(diff)
		}
	})
}

func sendThing(ctx context.Context, tx *sqldb.Tx, name string) error {
	return tx.Send(ctx, `
		insert into thing (site, name, size, alive)
		values ('s', $1, 0, true)`, name)
}

func TestSend(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		things(t, db)
		ctx := t.Context()
		send := func(names ...string) func(*sqldb.Tx) error {
			return func(tx *sqldb.Tx) error {
				for _, name := range names {
					if err := sendThing(ctx, tx, name); err != nil {
						return err
					}
				}
				return nil
			}
		}

		t.Run("is seen by what follows", func(t *testing.T) {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				if err := send("a", "b")(tx); err != nil {
					return err
				}
				var n int
				if err := tx.QueryRow(ctx, "select count(*) from thing").Scan(&n); err != nil || n != 2 {
					return fmt.Errorf("a query finds %d, error %w", n, err)
				}
				if err := send("c")(tx); err != nil {
					return err
				}
				done, err := tx.Exec(ctx, "update thing set size = 1")
				if err != nil {
					return err
				}
				if n, err := done.RowsAffected(); err != nil || n != 3 {
					return fmt.Errorf("an update changes %d, error %w", n, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		t.Run("is committed without anything that is waited for", func(t *testing.T) {
			var many []string
			for i := range 250 {
				many = append(many, fmt.Sprintf("d%03d", i))
			}
			if err := db.Update(ctx, send(many...)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(thingNames(t, db), append([]string{"a", "b", "c"}, many...)); diff != "" {
				t.Error(diff)
			}
		})
		before := thingNames(t, db)
		t.Run("fails the commit, which keeps nothing", func(t *testing.T) {
			if _, taken := sqldb.UniqueViolation(db.Update(ctx, send("e", "a", "f"))); !taken {
				t.Error("want a unique violation")
			}
		})
		t.Run("fails the statement that follows", func(t *testing.T) {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				if err := send("e", "a", "f")(tx); err != nil {
					return err
				}
				var n int
				err := tx.QueryRow(ctx, "select count(*) from thing").Scan(&n)
				if err == nil {
					t.Error("a query ran after a statement had failed")
				}
				return err
			})
			if _, taken := sqldb.UniqueViolation(err); !taken {
				t.Errorf("got error %v, want a unique violation", err)
			}
		})
		t.Run("is refused while rows are open", func(t *testing.T) {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				if _, err := tx.Query(ctx, "select name from thing"); err != nil {
					return err
				}
				return send("e")(tx)
			})
			if err == nil || !strings.Contains(err.Error(), "before the rows") {
				t.Errorf("got error %v", err)
			}
		})
		t.Run("is refused where only one query is allowed", func(t *testing.T) {
			if err := db.Read(ctx, send("e")); err == nil {
				t.Error("a read wrote")
			}
		})
		if diff := cmp.Diff(thingNames(t, db), before); diff != "" {
			t.Error(diff)
		}
	})
}

func TestUpdateLosesNoIncrement(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		// The two handles act like two processes.
		dbs := []*sqldb.DB{open(t, url), open(t, url)}
		things(t, dbs[0])
		ctx := t.Context()
		if err := dbs[0].Update(ctx, func(tx *sqldb.Tx) error { return addThing(ctx, tx, "counter") }); err != nil {
			t.Fatal(err)
		}
		const writers, each = 8, 25
		var wg sync.WaitGroup
		for i := range writers {
			db := dbs[i%len(dbs)]
			wg.Go(func() {
				for range each {
					if err := db.Update(ctx, increment(ctx)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var got int
		err := dbs[1].View(ctx, func(tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, "select size from thing where name = 'counter'").Scan(&got)
		})
		if err != nil || got != writers*each {
			t.Errorf("got %d (error %v), want %d", got, err, writers*each)
		}
	})
}

// increment reads a number and writes it back in two statements, as the domains do.
func increment(ctx context.Context) func(*sqldb.Tx) error {
	return func(tx *sqldb.Tx) error {
		var size int64
		if err := tx.QueryRow(ctx, "select size from thing where name = 'counter'"+tx.ForUpdate()).Scan(&size); err != nil {
			return err
		}
		runtime.Gosched()
		_, err := tx.Exec(ctx, "update thing set size = $1 where name = 'counter'", size+1)
		return err
	}
}

// TestUpdateRunsAgainWhenAUniqueValueWasTakenMeanwhile lets several functions check whether a name
// is free, and then take the name. A function that loses the race must not get the error of the
// unique index. It must run again, and then see that the name is taken.
func TestUpdateRunsAgainWhenAUniqueValueWasTakenMeanwhile(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		dbs := []*sqldb.DB{open(t, url), open(t, url)}
		things(t, dbs[0])
		ctx := t.Context()
		errTaken := errors.New("taken")
		take := func(name string) func(*sqldb.Tx) error {
			return func(tx *sqldb.Tx) error {
				var n int
				if err := tx.QueryRow(ctx, "select count(*) from thing where name = $1", name).Scan(&n); err != nil {
					return err
				}
				if n > 0 {
					return errTaken
				}
				runtime.Gosched()
				return addThing(ctx, tx, name)
			}
		}
		for round := range 20 {
			name := fmt.Sprint("n", round)
			errs := make([]error, 4)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() { errs[i] = dbs[i%2].Update(ctx, take(name)) })
			}
			wg.Wait()
			taken := 0
			for _, err := range errs {
				if errors.Is(err, errTaken) {
					taken++
				} else if err != nil {
					t.Error(err)
				}
			}
			if taken != len(errs)-1 {
				t.Errorf("round %d: %d of %d were told that the name is taken", round, taken, len(errs))
			}
		}
	})
}

func TestUniqueViolationNamesTableAndColumnsAlike(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		things(t, db)
		ctx := t.Context()
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "create unique index thing_live on thing (site, size) where alive")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		violate := func(nameB string, sizeB int64) string {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `
					insert into thing (site, name, size, alive)
					values ('s', 'a', 1, true), ('s', $1, $2, true)`, nameB, sizeB)
				return err
			})
			columns, taken := sqldb.UniqueViolation(fmt.Errorf("wrapped: %w", err))
			if !taken {
				t.Errorf("got error %v, want a unique violation", err)
			}
			return columns
		}
		got := []string{violate("a", 2), violate("b", 1)}
		want := []string{"thing(site, name)", "thing(site, size)"}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Error(diff)
		}
		if _, taken := sqldb.UniqueViolation(sql.ErrNoRows); taken {
			t.Error("the absence of a row is no unique violation")
		}
	})
}

func TestView(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		things(t, db)
		ctx := t.Context()
		count := func(tx *sqldb.Tx) (n int) {
			if err := tx.QueryRow(ctx, "select count(*) from thing").Scan(&n); err != nil {
				t.Error(err)
			}
			return n
		}
		t.Run("is a snapshot", func(t *testing.T) {
			err := db.View(ctx, func(tx *sqldb.Tx) error {
				before := count(tx)
				written := make(chan error)
				go func() {
					written <- db.Update(ctx, func(tx *sqldb.Tx) error { return addThing(ctx, tx, "meanwhile") })
				}()
				if err := <-written; err != nil {
					return err
				}
				if after := count(tx); after != before {
					t.Errorf("got %d rows, then %d", before, after)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		t.Run("cannot write", func(t *testing.T) {
			if err := db.View(ctx, func(tx *sqldb.Tx) error { return addThing(ctx, tx, "by a reader") }); err == nil {
				t.Error("a reader wrote")
			}
		})
		t.Run("ends with its context, and the next one works", func(t *testing.T) {
			short, cancel := context.WithCancel(ctx)
			err := db.View(short, func(tx *sqldb.Tx) error {
				rows, err := tx.Query(short, `
					with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000000000)
					select i from n`)
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
					cancel()
				}
				return rows.Err()
			})
			if err == nil {
				t.Error("the scan went on to its end")
			}
			for range 8 {
				if err := db.Ping(ctx); err != nil {
					t.Error(err)
				}
			}
		})
		if diff := cmp.Diff(thingNames(t, db), []string{"meanwhile"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRead checks that Read runs only one query, shows committed data, refuses writes, and leaves
// its connection in a good state.
func TestRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		things(t, db)
		const query = "select name from thing where site = 's'"
		read := func(fn func(tx *sqldb.Tx) error) error { return db.Read(t.Context(), fn) }

		var got string
		one := func(tx *sqldb.Tx) (err error) {
			err = tx.QueryRow(t.Context(), query).Scan(&got)
			return err
		}
		if err := read(one); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("of nothing: got %v, want sql.ErrNoRows", err)
		}
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error { return addThing(t.Context(), tx, "ada") }); err != nil {
			t.Fatal(err)
		}
		if err := read(one); err != nil || got != "ada" {
			t.Errorf("got %q, %v; want what was just committed", got, err)
		}
		if err := read(func(tx *sqldb.Tx) error {
			if err := one(tx); err != nil {
				return err
			}
			return one(tx)
		}); err == nil || !strings.Contains(err.Error(), "one query") {
			t.Errorf("two queries: got %v, want an error", err)
		}
		if err := read(func(tx *sqldb.Tx) error {
			tx.Exec(t.Context(), "delete from thing") // the statement makes the read fail
			return nil
		}); err == nil {
			t.Error("a statement that writes: got no error")
		}
		if err := read(func(tx *sqldb.Tx) error {
			_, err := tx.Query(t.Context(), query)
			return err
		}); err == nil {
			t.Error("rows left open: got no error")
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := db.Read(ended, one); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: got %v", err)
		}
		// None of the failed reads may leave anything behind on its connection.
		for range 10 {
			if err := read(one); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := thingNames(t, db), []string{"ada"}; !cmp.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestScan(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		things(t, db)
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error { return addThing(t.Context(), tx, "ada") }); err != nil {
			t.Fatal(err)
		}
		scan := func(query string, dest ...any) error {
			return db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(t.Context(), query).Scan(dest...) })
		}
		var text string
		var number int64
		var alive bool
		var raw []byte
		var null sql.NullString
		if err := scan("select name, size, alive, name, nullif(name, 'ada') from thing", &text, &number, &alive, &raw, &null); err != nil {
			t.Fatal(err)
		}
		if text != "ada" || number != 0 || !alive || string(raw) != "ada" || null.Valid {
			t.Errorf("got %q, %d, %t, %q, %v", text, number, alive, raw, null)
		}
		if err := scan("select nullif(name, 'ada') from thing", &text); err == nil {
			t.Error("null into a string: got no error")
		}
		if err := scan("select name from thing", &number); err == nil {
			t.Error("text into a number: got no error")
		}
		if err := scan("select name, size from thing", &text); err == nil {
			t.Error("two columns into one variable: got no error")
		}
	})
}

func TestTextComparesByCodePoint(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		want := []string{"", "A", "Z", "a b", "a-b", "ab", "z", "É", "é", "日", "𝄞"}
		for i := range want {
			if err := note(t, db, want[len(want)-1-i]); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		err := db.View(ctx, func(tx *sqldb.Tx) error {
			got = nil
			rows, err := tx.Query(ctx, "select key from note order by key")
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var key string
				if err := rows.Scan(&key); err != nil {
					return err
				}
				got = append(got, key)
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCloseWaitsForRunningTransactionsAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		ctx := t.Context()
		db, err := sqldb.Open(ctx, url, testSchema, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		things(t, db)
		running, closed := make(chan struct{}), make(chan error, 1)
		written := make(chan error, 1)
		go func() {
			written <- db.Update(ctx, func(tx *sqldb.Tx) error {
				close(running)
				time.Sleep(10 * time.Millisecond) // give Close time to wait for the transaction
				return addThing(ctx, tx, "last")
			})
		}()
		<-running
		go func() { closed <- db.Close() }()
		if err := errors.Join(<-written, <-closed, db.Close()); err != nil {
			t.Fatal(err)
		}
		if err := db.Update(ctx, func(tx *sqldb.Tx) error { return nil }); err == nil {
			t.Error("update ran on a closed database")
		}
		if err := db.View(ctx, func(tx *sqldb.Tx) error { return nil }); err == nil {
			t.Error("view ran on a closed database")
		}
		if diff := cmp.Diff(thingNames(t, open(t, url)), []string{"last"}); diff != "" {
			t.Error(diff)
		}
	})
}
