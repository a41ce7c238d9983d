package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// clock is a clock that moves only when Add is called.
type clock struct{ offset atomic.Int64 }

func (c *clock) Now() time.Time {
	return time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.offset.Load()))
}

func (c *clock) Add(d time.Duration) { c.offset.Add(int64(d)) }

const ttl = 30 * time.Second

// eachLeases runs a test on each kind of database, with the leases of two processes.
func eachLeases(t *testing.T, test func(t *testing.T, c *clock, a, b store.Leases)) {
	t.Helper()
	storetest.EachURL(t, func(t *testing.T, url string) {
		c := &clock{}
		o := store.Options{Now: c.Now}
		test(t, c, store.Leases{DB: storetest.OpenWith(t, url, o)}, store.Leases{DB: storetest.OpenWith(t, url, o)})
	})
}

func claim(t *testing.T, l store.Leases, owner string) int64 {
	t.Helper()
	epoch, err := l.Claim(t.Context(), "job", "k", owner, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

func due(t *testing.T, l store.Leases, c *clock) []string {
	t.Helper()
	keys, err := l.Due(t.Context(), "job", c.Now(), 10)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLeaseIsHeldByOneOwner(t *testing.T) {
	t.Parallel()
	eachLeases(t, func(t *testing.T, c *clock, a, b store.Leases) {
		ctx := t.Context()
		epoch := claim(t, a, "a")
		_, err := b.Claim(ctx, "job", "k", "b", ttl)
		var held store.ErrHeld
		if !errors.As(err, &held) {
			t.Fatalf("got error %v, want ErrHeld", err)
		}
		want := store.ErrHeld{Kind: "job", Key: "k", Owner: "a", Until: c.Now().Add(ttl)}
		if diff := cmp.Diff(held, want); diff != "" {
			t.Error(diff)
		}
		c.Add(ttl - time.Second)
		noError(t, a.Renew(ctx, "job", "k", "a", epoch, ttl))
		c.Add(ttl - time.Second)
		if _, err := b.Claim(ctx, "job", "k", "b", ttl); !errors.As(err, &held) {
			t.Errorf("renewed: got error %v, want ErrHeld", err)
		}
		noError(t, a.Release(ctx, "job", "k", "a", epoch, c.Now().Add(time.Hour)))
		if got := claim(t, b, "b"); got != epoch+1 {
			t.Errorf("got epoch %d after %d", got, epoch)
		}
		if _, err := a.Claim(ctx, "job", "another", "a", ttl); err != nil {
			t.Errorf("another key: %v", err)
		}
	})
}

func TestLeaseOfAKilledOwnerIsTakenOverWhenItExpires(t *testing.T) {
	t.Parallel()
	eachLeases(t, func(t *testing.T, c *clock, a, b store.Leases) {
		ctx := t.Context()
		late := claim(t, a, "a")
		if diff := cmp.Diff(due(t, b, c), []string(nil)); diff != "" {
			t.Errorf("held: %s", diff)
		}
		c.Add(ttl)
		if diff := cmp.Diff(due(t, b, c), []string{"k"}); diff != "" {
			t.Errorf("expired: %s", diff)
		}
		epoch := claim(t, b, "b")

		// The former owner can no longer write.
		write(t, a.DB, "create table thing (name text primary key)")
		change := func(l store.Leases, epoch int64, name string) error {
			return l.DB.Update(ctx, func(tx *sqldb.Tx) error {
				if err := store.CheckLease(ctx, tx, "job", "k", epoch); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, "insert into thing (name) values ($1)", name)
				return err
			})
		}
		got := []bool{
			errors.Is(change(a, late, "late"), store.ErrLeaseLost),
			errors.Is(a.Renew(ctx, "job", "k", "a", late, ttl), store.ErrLeaseLost),
			errors.Is(a.Release(ctx, "job", "k", "a", late, time.Time{}), store.ErrLeaseLost),
			errors.Is(change(a, 0, "of nobody"), store.ErrLeaseLost),
			change(b, epoch, "in time") == nil,
		}
		if diff := cmp.Diff(got, []bool{true, true, true, true, true}); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(texts(t, b.DB, 1, "select name from thing"), [][]string{{"in time"}}); diff != "" {
			t.Error(diff)
		}
		var lost interface{ LeaseLost() bool }
		if !errors.As(store.ErrLeaseLost, &lost) || !lost.LeaseLost() {
			t.Error("ErrLeaseLost does not say so")
		}
	})
}

// TestExpiredLeaseNobodyTookIsRenewed checks that the owner of an expired lease still holds it
// while no other process has claimed it.
func TestExpiredLeaseNobodyTookIsRenewed(t *testing.T) {
	t.Parallel()
	eachLeases(t, func(t *testing.T, c *clock, a, b store.Leases) {
		epoch := claim(t, a, "a")
		c.Add(2 * ttl)
		noError(t, a.DB.Update(t.Context(), func(tx *sqldb.Tx) error { return store.CheckLease(t.Context(), tx, "job", "k", epoch) }))
		noError(t, a.Renew(t.Context(), "job", "k", "a", epoch, ttl))
		var held store.ErrHeld
		if _, err := b.Claim(t.Context(), "job", "k", "b", ttl); !errors.As(err, &held) {
			t.Errorf("got error %v, want ErrHeld", err)
		}
	})
}

func TestRestartTakesItsOwnLeasesBackAtOnce(t *testing.T) {
	t.Parallel()
	eachLeases(t, func(t *testing.T, c *clock, before, after store.Leases) {
		ctx := t.Context()
		old := claim(t, before, "server")
		keys, err := after.Held(ctx, "job", "server")
		if diff := cmp.Diff(keys, []string{"k"}); err != nil || diff != "" {
			t.Errorf("error %v, held: %s", err, diff)
		}
		epoch := claim(t, after, "server")
		if epoch != old+1 {
			t.Errorf("got epoch %d after %d", epoch, old)
		}
		if err := before.Renew(ctx, "job", "k", "server", old, ttl); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("its life before renews: got error %v", err)
		}
		noError(t, after.Release(ctx, "job", "k", "server", epoch, time.Time{}))
		if keys, err := after.Held(ctx, "job", "server"); err != nil || len(keys) != 0 {
			t.Errorf("released: still holds %v, error %v", keys, err)
		}
	})
}

func TestLeaseIsDue(t *testing.T) {
	t.Parallel()
	eachLeases(t, func(t *testing.T, c *clock, a, b store.Leases) {
		ctx := t.Context()
		type step struct {
			Name string
			Due  []string
		}
		var got []step
		note := func(name string) { got = append(got, step{name, due(t, b, c)}) }

		note("unknown")
		noError(t, a.Ensure(ctx, "job", "k"))
		note("new")
		noError(t, a.Ensure(ctx, "other kind", "x"))
		epoch := claim(t, a, "a")
		noError(t, a.Ensure(ctx, "job", "k"))
		note("held")
		noError(t, a.Release(ctx, "job", "k", "a", epoch, c.Now().Add(time.Minute)))
		note("released until later")
		c.Add(time.Minute)
		note("later")
		epochs, err := b.DueEpochs(ctx, "job", c.Now(), 10)
		if diff := cmp.Diff(epochs, map[string]int64{"k": epoch}); err != nil || diff != "" {
			t.Errorf("error %v, epochs: %s", err, diff)
		}
		epoch = claim(t, a, "a")
		noError(t, a.Release(ctx, "job", "k", "a", epoch, time.Time{}))
		c.Add(1000 * time.Hour)
		note("released until woken")
		noError(t, b.Wake(ctx, "job", "k"))
		note("woken")
		epoch = claim(t, a, "a")
		noError(t, b.Wake(ctx, "job", "k"))
		note("woken while held")
		noError(t, a.Release(ctx, "job", "k", "a", epoch, c.Now().Add(time.Hour)))
		note("released after it was woken while held")
		noError(t, b.Wake(ctx, "job", "a new one"))
		note("another one, woken before it was known")
		noError(t, b.Forget(ctx, "job", "k"))
		note("forgotten")

		want := []step{
			{"unknown", nil},
			{"new", []string{"k"}},
			{"held", nil},
			{"released until later", nil},
			{"later", []string{"k"}},
			{"released until woken", nil},
			{"woken", []string{"k"}},
			{"woken while held", nil},
			{"released after it was woken while held", []string{"k"}},
			{"another one, woken before it was known", []string{"a new one", "k"}},
			{"forgotten", []string{"a new one"}},
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Error(diff)
		}
	})
}

// TestNobodyTakesTheLeaseFromARunningTransaction checks that a transaction that has checked its
// epoch ends before another owner can claim the lease. The test is not parallel, because the events
// of the server wait while its transaction runs.
func TestNobodyTakesTheLeaseFromARunningTransaction(t *testing.T) {
	eachLeases(t, func(t *testing.T, c *clock, a, b store.Leases) {
		ctx := t.Context()
		write(t, a.DB, "create table thing (name text primary key)")
		epoch := claim(t, a, "a")
		c.Add(2 * ttl)
		claimed := make(chan error, 1)
		err := a.DB.Update(ctx, func(tx *sqldb.Tx) error {
			if err := store.CheckLease(ctx, tx, "job", "k", epoch); err != nil {
				return err
			}
			go func() {
				// The new owner must see everything that was written under the old epoch.
				if _, err := b.Claim(ctx, "job", "k", "b", ttl); err != nil {
					claimed <- err
					return
				}
				claimed <- b.DB.View(context.Background(), func(tx *sqldb.Tx) error {
					var n int
					if err := tx.QueryRow(ctx, "select count(*) from thing").Scan(&n); err != nil {
						return err
					}
					if n != 1 {
						return fmt.Errorf("the new owner sees %d rows", n)
					}
					return nil
				})
			}()
			select {
			case err := <-claimed:
				return fmt.Errorf("claimed under a running transaction (error %w)", err)
			case <-time.After(100 * time.Millisecond): // no signal says that a transaction waits for a lock
			}
			_, err := tx.Exec(ctx, "insert into thing (name) values ('under the old epoch')")
			return err
		})
		noError(t, err)
		noError(t, <-claimed)
	})
}

func TestOneOfManyClaimsSucceeds(t *testing.T) {
	t.Parallel()
	eachLeases(t, func(t *testing.T, c *clock, a, b store.Leases) {
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 10 {
			leases := []store.Leases{a, b}[i%2]
			wg.Go(func() {
				_, err := leases.Claim(t.Context(), "job", "k", fmt.Sprint(i), ttl)
				var held store.ErrHeld
				switch {
				case err == nil:
					won.Add(1)
				case !errors.As(err, &held):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d claims succeeded", won.Load())
		}
	})
}

func TestHeldNowKnowsWhoLives(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, l := t.Context(), store.Leases{DB: db}
		for key, ttl := range map[string]time.Duration{"short": time.Minute, "long": time.Hour, "dead": -time.Minute} {
			if _, err := l.Claim(ctx, "address", key, "me", ttl); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Claim(ctx, "job", "other", "me", time.Hour); err != nil {
			t.Fatal(err)
		}
		for range 2 { // forgetting expired leases must not change the other leases
			if keys, err := l.HeldByAny(ctx, "address"); err != nil || cmp.Diff(keys, []string{"long", "short"}) != "" {
				t.Errorf("got %v, %v", keys, err)
			}
			if err := l.ForgetExpired(ctx, "address"); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := l.Epoch(ctx, "address", "dead"); err != nil || n != 0 {
			t.Errorf("the dead one is known still: %d, %v", n, err)
		}
		if keys, err := l.HeldByAny(ctx, "job"); err != nil || cmp.Diff(keys, []string{"other"}) != "" {
			t.Errorf("another kind: %v, %v", keys, err)
		}
	})
}
