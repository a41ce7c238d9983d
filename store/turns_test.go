package store_test

import (
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// TestSitesTakeTurnsAtTheWriter lets one site stand in line many times before another comes once.
func TestSitesTakeTurnsAtTheWriter(t *testing.T) {
	t.Parallel()
	got := store.WriteOrder("big", "big", "big", "big", "small", "big", "", "other", "big")
	if want := "[ big small other big big big big big]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestAFreeConnectionIsWaitedFor runs many updates where the server lets us have three connections.
func TestAFreeConnectionIsWaitedFor(t *testing.T) {
	t.Parallel()
	admin := storetest.Postgres(t)
	address := storetest.EmptyPostgresURL(t)
	role := "few_" + fmt.Sprintf("%p", t)[2:]
	for _, statement := range []string{
		"create role " + role + " login superuser connection limit 3",
		// The limit counts for everybody but superusers.
		"alter role " + role + " nosuperuser createdb",
		"grant all on schema public to " + role,
	} {
		if err := admin.Update(t.Context(), func(tx *store.Tx) error {
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
	db, err := store.Open(t.Context(), u.String(), store.Options{})
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
				failed <- db.Update(t.Context(), func(tx *store.Tx) error {
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

// TestSlicesAreShorterWhileOthersWait has updates wait behind some slices, and none behind others.
func TestSlicesAreShorterWhileOthersWait(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	alone, err := db.Slices(t.Context(), 1, func(*store.Tx) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	defer others.Wait()
	behind, err := db.Slices(t.Context(), 2, func(*store.Tx) error {
		others.Go(func() {
			if err := db.Update(t.Context(), func(*store.Tx) error { return nil }); err != nil {
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
