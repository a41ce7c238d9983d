package scimserver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

func setActive(value string) string {
	return "PATCH /Users/u-1\n\n" + `{"schemas":["` + scim.PatchOpURN + `"],"Operations":[{"op":"Replace","path":"active","value":` + value + `}]}`
}

func TestDeactivationOverSCIMEndsTheSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Documented)
	w.bring(`{"userName":"ada"}`, `{"userName":"bob"}`)
	people := w.rosters.Open(w.site)
	start := func(id string) string {
		t.Helper()
		secret, err := people.StartSession(w.ctx(), id, session.Limits{Length: time.Hour, Idle: time.Hour}, session.Browser{})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	first, second, bobs := start("u-1"), start("u-1"), start("u-2")
	wantStatus(t, w.send(setActive(`"False"`)), 200)
	for _, secret := range []string{first, second} {
		if _, err := people.UseSession(w.ctx(), secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
			t.Errorf("got %v for a session of a deactivated person, want ErrNoSession", err)
		}
	}
	if _, err := people.UseSession(w.ctx(), bobs, session.Browser{}); err != nil {
		t.Errorf("the session of another person: %v", err)
	}
	rows := w.requests()
	if got, want := rows[len(rows)-1].Sentence, "Deactivated · 2 sessions ended"; got != want {
		t.Errorf("got %q in the request log, want %q", got, want)
	}
}

func TestSCIMThatReversesAnAdministratorSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Documented)
	w.bring(`{"userName":"ada"}`)
	by := roster.Change{Actor: "admin:kim@acme.test", Via: roster.ViaAdmin}
	if _, err := w.rosters.Open(w.site).Deactivate(w.ctx(), "u-1", by); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, w.send(setActive("true")), 200)
	rows := w.requests()
	if diff := cmp.Diff(rows[len(rows)-1].Sentence, "Reactivated · reverses the change by hand of admin:kim@acme.test"); diff != "" {
		t.Error(diff)
	}
}

func TestFirstUseOfANewTokenEndsTheOneItReplaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Documented)
	_, next, err := w.sites.CreateToken(w.ctx(), w.site.ID, site.TokenRequest{Actor: "cli", Mode: site.KeepUntilUsed})
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, w.send("GET /Users"), 200)
	wantStatus(t, w.send("GET /Users\nAuthorization: Bearer "+next), 200)
	wantStatus(t, w.send("GET /Users"), 401)
	wantStatus(t, w.send("GET /Users\nAuthorization: Bearer "+next), 200)
}
