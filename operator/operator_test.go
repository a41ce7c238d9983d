package operator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store"
)

// world is an Operators service on a real store, with a clock that the test owns.
type world struct {
	*operator.Operators
	ctx    context.Context
	events store.Events

	mu  sync.Mutex
	now time.Time
	ids int
}

func newWorld(t *testing.T, db *store.DB) *world {
	w := &world{ctx: t.Context(), events: store.Events{DB: db}, now: time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC)}
	w.Operators = &operator.Operators{
		Store: store.Operators{DB: db},
		Now:   w.clock,
		NewID: func() string {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ids++
			return fmt.Sprintf("op-%d", w.ids)
		},
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) link(t *testing.T, name string) operator.Link {
	t.Helper()
	l, err := w.Link(w.ctx, name, "cli")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (w *world) redeem(t *testing.T, secret string) operator.Session {
	t.Helper()
	s, err := w.Redeem(w.ctx, secret, session.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) story(t *testing.T) []string {
	t.Helper()
	events, err := w.events.Recent(w.ctx, event.Installation(), "", event.Position{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(events)
	var lines []string
	for _, e := range events {
		lines = append(lines, e.Name+" by "+e.Actor+": "+e.Text)
	}
	return lines
}

// wantRefused checks for a closed link with this reason, whose text says what to do.
func wantRefused(t *testing.T, err error, want onetime.Reason) {
	t.Helper()
	refused, ok := refusal.DataOf[operator.ClosedLink](err)
	if !ok || !errors.Is(err, operator.ErrLinkEnded) || !errors.Is(err, refusal.Gone) {
		t.Fatalf("got error %v, want ErrLinkEnded with its link", err)
	}
	if refused.Reason != want {
		t.Errorf("got reason %q, want %q", refused.Reason, want)
	}
	if text := err.Error(); !strings.HasSuffix(text, "; a new one is made on the server") {
		t.Errorf("the refusal does not say what to do: %q", text)
	}
}

func TestLink(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		t.Run("looking_does_not_use_it_up_and_redeeming_does", func(t *testing.T) {
			w := newWorld(t, db)
			l := w.link(t, "Sam")
			if want := "/d/sign-in/" + l.Secret; l.Path != want {
				t.Errorf("got path %q, want %q", l.Path, want)
			}
			for range 2 {
				p, err := w.LookUpLink(w.ctx, l.Secret)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(p, operator.PendingSignIn{Name: "Sam", Expires: w.now.Add(15 * time.Minute)}); diff != "" {
					t.Error(diff)
				}
			}
			s := w.redeem(t, l.Secret)
			who, err := w.UseSession(w.ctx, s.Secret, session.Browser{})
			if err != nil {
				t.Fatal(err)
			}
			if who.Name != "Sam" || who.Actor() != "operator:Sam" || who.ID == "" {
				t.Errorf("got %+v", who)
			}
			_, err = w.Redeem(w.ctx, l.Secret, session.Browser{})
			wantRefused(t, err, onetime.Used)
			_, err = w.LookUpLink(w.ctx, l.Secret)
			wantRefused(t, err, onetime.Used)
		})
	})
}

func TestLinkLifetime(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		l := w.link(t, "Sam")
		w.pass(15*time.Minute - time.Second)
		if _, err := w.LookUpLink(w.ctx, l.Secret); err != nil {
			t.Errorf("a second before its end: %v", err)
		}
		w.pass(time.Second)
		_, err := w.Redeem(w.ctx, l.Secret, session.Browser{})
		wantRefused(t, err, onetime.Expired)
		if there, err := w.HasOperators(w.ctx); err != nil || there {
			t.Errorf("an expired link made an operator: %v, %v", there, err)
		}
		// Long afterwards the link is forgotten, when another one is made.
		w.pass(31 * 24 * time.Hour)
		w.link(t, "Sam")
		_, err = w.Redeem(w.ctx, l.Secret, session.Browser{})
		wantRefused(t, err, onetime.Unknown)
	})
}

func TestLinkUnknown(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for _, secret := range []string{"", "nonsense", strings.Repeat("x", 5000), "' or 1=1 --", "\x00"} {
			_, err := w.LookUpLink(w.ctx, secret)
			wantRefused(t, err, onetime.Unknown)
			_, err = w.Redeem(w.ctx, secret, session.Browser{})
			wantRefused(t, err, onetime.Unknown)
		}
	})
}

func TestLinkNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t))
	for _, name := range []string{"", "  ", "a\nb", "\xff", strings.Repeat("n", 101)} {
		if _, err := w.Link(w.ctx, name, "cli"); !errors.Is(err, refusal.Invalid) || !strings.Contains(err.Error(), "not a name for an operator: it ") {
			t.Errorf("name %q: got %v, want refusal.Invalid that says why", name, err)
		}
	}
	if l := w.link(t, "  Søren 李 "); l.Name != "Søren 李" {
		t.Errorf("got name %q", l.Name)
	}
}

func TestRedeemedOnceByManyAtTheSameMoment(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		l := w.link(t, "Sam")
		const many = 8
		results := make(chan error, many)
		for range many {
			go func() {
				_, err := w.Redeem(w.ctx, l.Secret, session.Browser{})
				results <- err
			}()
		}
		redeemed := 0
		for range many {
			if err := <-results; err == nil {
				redeemed++
			} else {
				wantRefused(t, err, onetime.Used)
			}
		}
		if redeemed != 1 {
			t.Errorf("got %d sessions of one link, want 1", redeemed)
		}
	})
}

func TestOperatorIsTheSameInAnyLetterCase(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		first := w.redeem(t, w.link(t, "Sam").Secret)
		w.pass(time.Hour)
		second := w.redeem(t, w.link(t, "SAM").Secret)
		if first.Operator.ID != second.Operator.ID {
			t.Errorf("two operators, %q and %q, for one name", first.Operator.ID, second.Operator.ID)
		}
		all, err := w.List(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := []operator.Operator{{ID: first.Operator.ID, Name: "Sam", Created: first.Operator.Created, LastSignIn: w.now}}
		if diff := cmp.Diff(all, want); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSession(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		s := w.redeem(t, w.link(t, "Sam").Secret)
		other := w.redeem(t, w.link(t, "Sam").Secret)
		if err := w.EndSession(w.ctx, s.Secret); err != nil {
			t.Fatal(err)
		}
		if err := w.EndSession(w.ctx, s.Secret); err != nil {
			t.Errorf("ending it again: %v", err)
		}
		for _, secret := range []string{s.Secret, "", "unknown"} {
			if _, err := w.UseSession(w.ctx, secret, session.Browser{}); !errors.Is(err, operator.ErrNoSession) {
				t.Errorf("session %q: got %v, want ErrNoSession", secret, err)
			}
		}
		if _, err := w.UseSession(w.ctx, other.Secret, session.Browser{}); err != nil {
			t.Errorf("the other session ended too: %v", err)
		}
		w.pass(session.DefaultLength)
		if _, err := w.UseSession(w.ctx, other.Secret, session.Browser{}); !errors.Is(err, operator.ErrNoSession) {
			t.Errorf("expired: got %v, want ErrNoSession", err)
		}
	})
}

func TestRemove(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		if there, err := w.HasOperators(w.ctx); err != nil || there {
			t.Fatalf("got %v, %v on a new installation", there, err)
		}
		sam, kim := w.redeem(t, w.link(t, "Sam").Secret), w.redeem(t, w.link(t, "Kim").Secret)
		waiting := w.link(t, "sam")
		if err := w.Remove(w.ctx, "SAM", "operator:Kim"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.UseSession(w.ctx, sam.Secret, session.Browser{}); !errors.Is(err, operator.ErrNoSession) {
			t.Errorf("the removed operator's session: got %v, want ErrNoSession", err)
		}
		_, err := w.Redeem(w.ctx, waiting.Secret, session.Browser{})
		wantRefused(t, err, onetime.Unknown)
		if _, err := w.UseSession(w.ctx, kim.Secret, session.Browser{}); err != nil {
			t.Errorf("another operator's session ended: %v", err)
		}
		if err := w.Remove(w.ctx, "sam", "cli"); !errors.Is(err, operator.ErrUnknown) {
			t.Errorf("removed again: got %v, want ErrUnknown", err)
		}
		want := []string{
			"operator.link_created by cli: One-time sign-in link made for the operator Sam",
			"operator.signed_in by operator:Sam: Sam signed in by one-time link",
			"operator.link_created by cli: One-time sign-in link made for the operator Kim",
			"operator.signed_in by operator:Kim: Kim signed in by one-time link",
			"operator.link_created by cli: One-time sign-in link made for the operator sam",
			"operator.removed by operator:Kim: SAM is no longer an operator; sessions and links ended",
		}
		if diff := cmp.Diff(w.story(t), want); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRemoveTakesBackALinkThatNobodyOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t))
	l := w.link(t, "Sam")
	if err := w.Remove(w.ctx, "Sam", "cli"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Redeem(w.ctx, l.Secret, session.Browser{})
	wantRefused(t, err, onetime.Unknown)
}

func TestEndedSessionIsRefusedByTheNextRequestToAnotherProcess(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		here, there := newWorld(t, storetest.Open(t, url)), newWorld(t, storetest.Open(t, url))
		signedOut, removed := here.redeem(t, here.link(t, "Sam").Secret), here.redeem(t, here.link(t, "Kim").Secret)
		for _, s := range []operator.Session{signedOut, removed} {
			if _, err := there.UseSession(there.ctx, s.Secret, session.Browser{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := here.EndSession(here.ctx, signedOut.Secret); err != nil {
			t.Fatal(err)
		}
		if err := here.Remove(here.ctx, "Kim", "cli"); err != nil {
			t.Fatal(err)
		}
		for _, s := range []operator.Session{signedOut, removed} {
			if _, err := there.UseSession(there.ctx, s.Secret, session.Browser{}); !errors.Is(err, operator.ErrNoSession) {
				t.Errorf("%s: got %v, want ErrNoSession", s.Operator.Name, err)
			}
		}
	})
}

func TestSessionsOfAnOperator(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		office := session.Browser{Address: "192.0.2.1", Agent: "curl/8"}
		old, err := w.Redeem(w.ctx, w.link(t, "Sam").Secret, office)
		if err != nil {
			t.Fatal(err)
		}
		w.pass(time.Hour)
		if _, err := w.UseSession(w.ctx, old.Secret, session.Browser{Address: "192.0.2.2"}); err != nil {
			t.Fatal(err)
		}
		w.pass(90 * time.Minute)
		sam, kim := w.redeem(t, w.link(t, "Sam").Secret), w.redeem(t, w.link(t, "Kim").Secret)
		all, err := w.Sessions(w.ctx, "SAM", sam.Secret)
		if err != nil || len(all) != 2 || !all[0].Own || all[1].From != office || all[1].Last.Address != "192.0.2.2" {
			t.Errorf("got %+v, %v", all, err)
		}
		w.pass(time.Hour)
		if _, err := w.UseSession(w.ctx, old.Secret, session.Browser{}); !errors.Is(err, operator.ErrNoSession) {
			t.Errorf("an idle session: got %v", err)
		}
		if ended, err := w.SignOutEverywhere(w.ctx, "sam", "cli"); err != nil || ended != 1 {
			t.Errorf("got %d, %v", ended, err)
		}
		if _, err := w.UseSession(w.ctx, sam.Secret, session.Browser{}); !errors.Is(err, operator.ErrNoSession) {
			t.Errorf("signed out everywhere: got %v", err)
		}
		if _, err := w.UseSession(w.ctx, kim.Secret, session.Browser{}); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		if _, err := w.SignOutEverywhere(w.ctx, "nobody", "cli"); !errors.Is(err, operator.ErrUnknown) {
			t.Errorf("got %v", err)
		}
		if story := w.story(t); story[len(story)-1] != "operator.signed_out_everywhere by cli: The operator sam was signed out everywhere; 1 session ended" {
			t.Errorf("got %q", story)
		}
	})
}
