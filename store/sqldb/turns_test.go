package sqldb_test

import (
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/pgtest"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestSitesTakeTurnsAtTheWriter queues many updates of one site before single updates of other
// sites.
func TestSitesTakeTurnsAtTheWriter(t *testing.T) {
	t.Parallel()
	got := sqldb.WriteOrder("big", "big", "big", "big", "small", "big", "", "other", "big")
	if want := "[ big small other big big big big big]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestAFreeConnectionIsWaitedFor runs many updates although the PostgreSQL server allows only three
// connections.
func TestAFreeConnectionIsWaitedFor(t *testing.T) {
	t.Parallel()
	admin := newPostgres(t)
	address := pgtest.EmptyDatabase(t)
	role := "few_" + fmt.Sprintf("%p", t)[2:]
	for _, statement := range []string{
		"create role " + role + " login superuser connection limit 3",
		// The limit does not apply to superusers.
		"alter role " + role + " nosuperuser createdb",
		"grant all on schema public to " + role,
	} {
		if err := admin.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), statement)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	db, err := sqldb.Open(t.Context(), u.String(), testSchema, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	var all sync.WaitGroup
	failed := make(chan error, 300)
	for range 30 {
		all.Go(func() {
			for range 10 {
				failed <- db.Update(t.Context(), func(tx *sqldb.Tx) error {
					var one int
					return tx.QueryRow(t.Context(), "select 1").Scan(&one)
				})
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			t.Fatal(errors.Unwrap(err), err)
		}
	}
}

// TestSlicesAreShorterWhileOthersWait lets updates wait behind some slices, and no updates wait
// behind others.
func TestSlicesAreShorterWhileOthersWait(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	alone, err := db.Slices(t.Context(), 1, func(*sqldb.Tx) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	defer others.Wait()
	behind, err := db.Slices(t.Context(), 2, func(*sqldb.Tx) error {
		others.Go(func() {
			if err := db.Update(t.Context(), func(*sqldb.Tx) error { return nil }); err != nil {
				t.Error(err)
			}
		})
		for db.Waiting() == 0 {
			runtime.Gosched()
		}
		return nil
	})
	if err != nil || behind[0] != alone[0]/2 || behind[1] != alone[0]/4 {
		t.Errorf("alone %v, with others waiting %v, %v", alone, behind, err)
	}
}

// TestACommitIsNotJoinedForLong checks that the commit of a long update does not accept the updates
// that waited meanwhile. Otherwise the caller of the long update would wait for them too.
func TestACommitIsNotJoinedForLong(t *testing.T) {
	t.Parallel()
	db := open(t, sqliteURL(t))
	var now atomic.Int64
	commits := db.WriterClock(func() time.Time { return time.Unix(0, now.Load()) })
	for _, c := range []struct {
		name string
		took time.Duration
		want []int
	}{
		{"a short one", sqldb.GroupTime / 2, []int{4}},
		{"a long one", sqldb.GroupTime, []int{1, 3}},
	} {
		before := len(commits())
		var all sync.WaitGroup
		update := func(key string, fn func()) {
			all.Go(func() {
				if err := db.Lane(key).Update(t.Context(), func(*sqldb.Tx) error { fn(); return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		update("long", func() {
			for _, key := range []string{"a", "b", "c"} {
				update(key, func() {})
			}
			for db.Waiting() < 3 {
				runtime.Gosched()
			}
			now.Add(int64(c.took))
		})
		all.Wait()
		if got := commits()[before:]; !slices.Equal(got, c.want) {
			t.Errorf("%s: got commits of %v updates, want %v", c.name, got, c.want)
		}
	}
}
