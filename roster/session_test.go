package roster_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

func (f fixture) session(t *testing.T, s site.Site, person string, ttl time.Duration) string {
	t.Helper()
	secret, err := f.rosters.Open(s).StartSession(t.Context(), person, session.Limits{Length: ttl, Idle: ttl}, session.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestSession(t *testing.T) {
	t.Run("it_is_whose_it_is_until_it_expires", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, ada)
			secret := f.session(t, f.full, id, time.Hour)
			got, err := f.rosters.Open(f.full).UseSession(t.Context(), secret, session.Browser{})
			if err != nil || got.ID != id || got.UserName != "Ada@Acme.test" || got.LastSignIn.IsZero() {
				t.Errorf("got %+v, %v", got, err)
			}
			f.clock.add(time.Hour)
			if _, err := f.rosters.Open(f.full).UseSession(t.Context(), secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("got %v, want ErrNoSession", err)
			}
		})
	})
	t.Run("it_is_good_at_its_own_site_only", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			secret := f.session(t, f.full, f.user(t, f.full, ada), time.Hour)
			for _, wrong := range []string{secret + "x", "", "\x00"} {
				if _, err := f.rosters.Open(f.full).UseSession(t.Context(), wrong, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
					t.Errorf("got %v, want ErrNoSession", err)
				}
			}
			if _, err := f.rosters.Open(f.documented).UseSession(t.Context(), secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("got %v, want ErrNoSession", err)
			}
		})
	})
	t.Run("signing_out_ends_one", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, ada)
			one, other := f.session(t, f.full, id, time.Hour), f.session(t, f.full, id, time.Hour)
			r := f.rosters.Open(f.full)
			for range 2 {
				if err := r.EndSession(t.Context(), one); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := r.UseSession(t.Context(), one, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("got %v, want ErrNoSession", err)
			}
			if _, err := r.UseSession(t.Context(), other, session.Browser{}); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("somebody_deactivated_starts_none", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob","active":false}`)
			_, err := f.rosters.Open(f.full).StartSession(t.Context(), id, session.Limits{Length: time.Hour, Idle: time.Hour}, session.Browser{})
			isError(t, err, 403, "")
		})
	})
	t.Run("signing_in_is_no_new_version", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, ada)
			before := f.person(t, f.full, id)
			f.session(t, f.full, id, time.Hour)
			after := f.person(t, f.full, id)
			if after.Version != before.Version || !after.LastSignIn.After(before.LastSignIn) {
				t.Errorf("got %+v after %+v", after, before)
			}
		})
	})
}

func TestSession_started_while_being_deactivated_does_not_survive(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		id := f.user(t, f.full, ada)
		r := f.rosters.Open(f.full)
		for round := range 10 {
			var secret string
			var all sync.WaitGroup
			all.Go(func() {
				secret, _ = r.StartSession(t.Context(), id, session.Limits{Length: time.Hour, Idle: time.Hour}, session.Browser{})
			}) // fails if the deactivation came first
			all.Go(func() {
				if _, err := r.Deactivate(t.Context(), id, byKim); err != nil {
					t.Error(err)
				}
			})
			all.Wait()
			if _, err := r.Reactivate(t.Context(), id, byKim); err != nil {
				t.Fatal(err)
			}
			if _, err := r.UseSession(t.Context(), secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Fatalf("round %d: a session outlived the deactivation: %v", round, err)
			}
		}
	})
}
