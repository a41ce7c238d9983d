package roster_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
)

func TestSessionsAreListedAndEndWhenTheyAreIdle(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		id := f.user(t, f.full, ada)
		r := f.rosters.Open(f.full)
		limits := session.Limits{Length: 12 * time.Hour, Idle: 2 * time.Hour}
		office := session.Browser{Address: "192.0.2.1", Agent: "curl/8"}
		secret, err := r.StartSession(t.Context(), id, limits, office)
		if err != nil {
			t.Fatal(err)
		}
		f.clock.add(90 * time.Minute)
		home := session.Browser{Address: "2001:db8::5", Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Firefox/145.0"}
		if _, err := r.UseSession(t.Context(), secret, home); err != nil {
			t.Fatal(err)
		}
		f.clock.add(90 * time.Minute)
		other, err := r.StartSession(t.Context(), id, limits, home)
		if err != nil {
			t.Fatal(err)
		}
		all, err := r.Sessions(t.Context(), id, other)
		if err != nil || len(all) != 2 {
			t.Fatalf("got %+v, %v", all, err)
		}
		if !all[0].Own || all[1].Own || all[1].From != office || all[1].Last != home || all[1].Used.Sub(all[1].Created) < 90*time.Minute {
			t.Errorf("got %+v", all)
		}
		f.clock.add(time.Hour)
		if _, err := r.UseSession(t.Context(), secret, home); !errors.Is(err, roster.ErrNoSession) {
			t.Errorf("an idle session: got %v", err)
		}
		if all, err = r.Sessions(t.Context(), id, ""); err != nil || len(all) != 1 || all[0].Own {
			t.Errorf("got %+v, %v", all, err)
		}
	})
}

// TestSignOutEverywhere signs out through a second Rosters, as another process would.
func TestSignOutEverywhere(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		id := f.user(t, f.full, ada)
		bob := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob","active":true}`)
		one, two, bobs := f.session(t, f.full, id, time.Hour), f.session(t, f.full, id, time.Hour), f.session(t, f.full, bob, time.Hour)
		elsewhere := &roster.Rosters{Store: f.rosters.Store, Now: f.rosters.Now, NewID: f.rosters.NewID}
		ended, err := elsewhere.Open(f.full).SignOutEverywhere(t.Context(), id, byKim)
		if err != nil || ended != 2 {
			t.Errorf("got %d, %v", ended, err)
		}
		r := f.rosters.Open(f.full)
		for _, secret := range []string{one, two} {
			if _, err := r.UseSession(t.Context(), secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("got %v", err)
			}
		}
		if _, err := r.UseSession(t.Context(), bobs, session.Browser{}); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		if _, err := r.SignOutEverywhere(t.Context(), "nobody", byKim); err == nil {
			t.Error("nobody was signed out")
		}
	})
}
