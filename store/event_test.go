package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

func appendEvents(t testing.TB, db *store.DB, events ...event.Event) {
	t.Helper()
	for _, e := range events {
		if err := db.Update(context.Background(), func(tx *sqldb.Tx) error { return store.AppendEvent(context.Background(), tx, e) }); err != nil {
			t.Error(err)
		}
	}
}

func eventNames(events []event.Event) (names []string) {
	for _, e := range events {
		names = append(names, e.Name)
	}
	return names
}

func TestEvents(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := t.Context()
		now := time.Date(2020, 2, 29, 12, 0, 0, 123456000, time.UTC)
		db := storetest.OpenWith(t, url, store.Options{Now: func() time.Time { return now }})
		events := store.Events{DB: db}
		site, other := event.Site("a"), event.Site("b")
		if last, err := events.Last(ctx, site); err != nil || !last.IsZero() {
			t.Errorf("before the first: got last %v, error %v", last, err)
		}
		first := event.Event{
			Time: now.Add(-time.Hour), Scope: site, Name: "1", Actor: "cli", Subject: "kim",
			By:   event.Actor{Kind: event.Command, ID: "1000", Name: "ann@host", Address: "192.0.2.7", UserAgent: "curl/8"},
			Text: "Made Kim „x“ 𝄞.", Data: []byte(`{"a":1}`),
		}
		appendEvents(t, db, first,
			event.Event{Scope: other, Name: "not ours"},
			event.Event{Scope: site, Name: "2", Subject: "sam"},
			event.Event{Scope: site, Name: "3", Subject: "kim"},
			event.Event{Scope: event.Installation(), Name: "not ours either"},
			event.Event{Scope: site, Name: "4"})

		t.Run("are read as they were written", func(t *testing.T) {
			got, err := events.Read(ctx, site, event.Position{}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, []event.Event{first}, cmpopts.IgnoreFields(event.Event{}, "Position")); diff != "" {
				t.Error(diff)
			}
		})
		t.Run("are followed by position, without gap or repetition", func(t *testing.T) {
			var got []string
			var at event.Position
			for {
				page, err := events.Read(ctx, site, at, 2)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				got = append(got, eventNames(page)...)
				at = page[len(page)-1].Position
			}
			if diff := cmp.Diff(got, []string{"1", "2", "3", "4"}); diff != "" {
				t.Error(diff)
			}
			if last, err := events.Last(ctx, site); err != nil || last != at {
				t.Errorf("got last %v, error %v, want %v", last, err, at)
			}
		})
		t.Run("have the store's time when they bring none", func(t *testing.T) {
			got, err := events.Recent(ctx, site, "", event.Position{}, 1)
			if err != nil || len(got) != 1 || !got[0].Time.Equal(now) {
				t.Errorf("got %v, error %v", got, err)
			}
		})
		t.Run("are listed newest first, of everybody or of one subject, page by page", func(t *testing.T) {
			page, err := events.Recent(ctx, site, "", event.Position{}, 3)
			if err != nil {
				t.Fatal(err)
			}
			rest, err := events.Recent(ctx, site, "", page[len(page)-1].Position, 3)
			if err != nil {
				t.Fatal(err)
			}
			kim, err := events.Recent(ctx, site, "kim", event.Position{}, 10)
			if err != nil {
				t.Fatal(err)
			}
			got := [][]string{eventNames(page), eventNames(rest), eventNames(kim)}
			if diff := cmp.Diff(got, [][]string{{"4", "3", "2"}, {"1"}, {"3", "1"}}); diff != "" {
				t.Error(diff)
			}
		})
		t.Run("of a change that fails are not written", func(t *testing.T) {
			_ = db.Update(ctx, func(tx *sqldb.Tx) error {
				if err := store.AppendEvent(ctx, tx, event.Event{Scope: site, Name: "never"}); err != nil {
					return err
				}
				return context.Canceled
			})
			got, err := events.Recent(ctx, site, "", event.Position{}, 1)
			if err != nil || got[0].Name != "4" {
				t.Errorf("got %v, error %v", got, err)
			}
		})
	})
}

// TestEventPositionsGrowAfterPruning checks that no position is given to two events, even if events
// are pruned.
func TestEventPositionsGrowAfterPruning(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		site := event.Site("a")
		events := store.Events{DB: db}
		appendEvents(t, db, event.Event{Scope: site, Name: "1"}, event.Event{Scope: site, Name: "2"})
		before, err := events.Last(ctx, site)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "delete from event")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		appendEvents(t, db, event.Event{Scope: site, Name: "3"})
		got, err := events.Read(ctx, site, before, 10)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(eventNames(got), []string{"3"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestInterleavedTransactionsOnPostgreSQLSkipNoEvent runs two transactions whose events commit in
// the reverse order of their numbers. A sequence gives out its numbers before the commit. So a
// reader that follows the numbers skips an event, and a reader that uses Read does not.
func TestInterleavedTransactionsOnPostgreSQLSkipNoEvent(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	db := storetest.OpenWith(t, url, store.Options{Settle: 50 * time.Millisecond})
	ctx := t.Context()
	site := event.Site("a")
	events := store.Events{DB: db}
	follow := follower(t, events.Read, site)
	naive := follower(t, readBySequence(db), site)

	written, finish, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- db.Update(ctx, func(tx *sqldb.Tx) error {
			if err := store.AppendEvent(ctx, tx, event.Event{Scope: site, Name: "slow"}); err != nil {
				return err
			}
			// The next statement whose result is awaited also sends the event.
			if _, err := tx.Exec(ctx, "select 1"); err != nil {
				return err
			}
			close(written)
			<-finish
			return nil
		})
	}()
	<-written
	appendEvents(t, db, event.Event{Scope: site, Name: "quick"})

	if diff := cmp.Diff(naive(), []string{"quick"}); diff != "" {
		t.Errorf("by sequence, while slow runs: %s", diff)
	}
	if diff := cmp.Diff(follow(), []string(nil)); diff != "" {
		t.Errorf("while slow runs: %s", diff)
	}
	if last, err := events.Last(ctx, site); err != nil || !last.IsZero() {
		t.Errorf("while slow runs: got last %v, error %v", last, err)
	}
	// The audit trail shows a committed event at once.
	if recent, err := events.Recent(ctx, site, "", event.Position{}, 10); err != nil || len(recent) != 1 {
		t.Errorf("got recent %v, error %v", recent, err)
	}
	close(finish)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	// With a longer Options.Settle, Read waits until older transactions have ended.
	follow = follower(t, store.Events{DB: storetest.Open(t, url)}.Read, site)
	if diff := cmp.Diff(follow(), []string{"slow", "quick"}); diff != "" {
		t.Error(diff)
	}
	// Check that this order of commits makes a reader by number lose an event. Otherwise this test
	// would prove nothing.
	if diff := cmp.Diff(naive(), []string(nil)); diff != "" {
		t.Errorf("by sequence, the event of the slow transaction was not skipped: %s", diff)
	}
}

// TestEventsGoOnAfterAMoveToAnotherPostgreSQLServer restores a dump on a server whose transaction
// numbers are lower.
func TestEventsGoOnAfterAMoveToAnotherPostgreSQLServer(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	db := storetest.Open(t, url)
	ctx := t.Context()
	site := event.Site("a")
	for round := range 2 {
		follow := follower(t, store.Events{DB: db}.Read, site)
		before := follow()
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `
				insert into event (tx, time, scope_kind, scope_id, name, actor, subject, text, data)
				values ($1, 0, 'site', 'a', $2, '', '', '', '')`, int64(round+1)<<40, fmt.Sprint("moved ", round))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, db := range []*store.DB{db, storetest.Open(t, url)} {
			if err := db.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
		}
		appendEvents(t, db, event.Event{Scope: site, Name: fmt.Sprint("new ", round)})
		got := append(before, follow()...)
		var want []string
		for r := range round + 1 {
			want = append(want, fmt.Sprint("moved ", r), fmt.Sprint("new ", r))
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Error(diff)
		}
	}
}

type read func(ctx context.Context, scope event.Scope, after event.Position, limit int) ([]event.Event, error)

// follower returns a function that reads the events that were added since its last call.
func follower(t *testing.T, read read, scope event.Scope) func() []string {
	var at event.Position
	return func() []string {
		t.Helper()
		got, err := read(t.Context(), scope, at, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > 0 {
			at = got[len(got)-1].Position
		}
		return eventNames(got)
	}
}

// readBySequence returns a function that reads events in the order of their numbers, without regard
// to the order of commits.
func readBySequence(db *store.DB) read {
	return func(ctx context.Context, scope event.Scope, after event.Position, limit int) (all []event.Event, err error) {
		err = db.View(ctx, func(tx *sqldb.Tx) error {
			all = nil
			rows, err := tx.Query(ctx, `
				select seq, name
				from event
				where scope_kind = $1 and scope_id = $2 and seq > $3
				order by seq
				limit $4`, scope.Kind, scope.ID, after.Seq, limit)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var e event.Event
				if err := rows.Scan(&e.Position.Seq, &e.Name); err != nil {
					return err
				}
				all = append(all, e)
			}
			return rows.Err()
		})
		return all, err
	}
}

// TestFollowingConcurrentWritersMissesNothing lets a reader follow several writers that write at
// full speed.
func TestFollowingConcurrentWritersMissesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const writers, each = 8, 30
		site := event.Site("a")
		done := make(chan struct{})
		go func() {
			defer close(done)
			ended := make(chan struct{}, writers)
			for w := range writers {
				go func() {
					for i := range each {
						appendEvents(t, db, event.Event{Scope: site, Name: fmt.Sprintf("%d-%02d", w, i)})
					}
					ended <- struct{}{}
				}()
			}
			for range writers {
				<-ended
			}
		}()
		follow := follower(t, store.Events{DB: db}.Read, site)
		var got []string
		for finished := false; ; {
			page := follow()
			got = append(got, page...)
			if len(page) == 0 && finished {
				break
			}
			select {
			case <-done:
				finished = true
			default:
			}
		}
		var want []string
		for w := range writers {
			for i := range each {
				want = append(want, fmt.Sprintf("%d-%02d", w, i))
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(got, want); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAFollowerReadsOnlyWhatIsNew checks that SQLite finds the events after a position in an index,
// and reads no earlier events.
func TestAFollowerReadsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	lines, err := store.PlanReadEvents(t.Context(), storetest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "event_scope (scope_kind=? AND scope_id=? AND tx=? AND seq>?)") {
		t.Errorf("got %q", lines)
	}
}
