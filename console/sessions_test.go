package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

func TestSessionsPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.site("acme", site.Full)
	w.person(acme, "kim@acme.example", "Kim", roster.RoleAdmin)
	ada := w.person(acme, "ada@acme.example", "Ada", roster.RoleRegistered)
	admin, one, two := w.signIn(acme, "kim@acme.example"), w.signIn(acme, "ada@acme.example"), w.signIn(acme, "ada@acme.example")

	home := one.get("/c/acme/").wantStatus(http.StatusOK)
	if words := home.words(); strings.Count(words, "Go-http-client this session") != 1 || strings.Count(words, "Go-http-client") != 2 {
		t.Errorf("the own page: %s", words)
	}
	person := "/c/acme/admin/people/" + ada.ID
	if words := admin.get(person).words(); strings.Contains(words, "this session") || strings.Count(words, "Go-http-client") != 2 {
		t.Errorf("the page of a person: %s", words)
	}
	ask := admin.get(person + "/sign-out").wantStatus(http.StatusOK)
	if !strings.Contains(ask.words(), "2 sessions") {
		t.Errorf("the question: %s", ask.words())
	}
	one.get("/c/acme/").wantStatus(http.StatusOK)
	if after := ask.submit("Sign out everywhere", nil); !strings.Contains(after.words(), "2 sessions ended") {
		t.Errorf("after it: %s", after.words())
	}
	one.get("/c/acme/").wantStatus(http.StatusUnauthorized)
	two.get("/c/acme/").wantStatus(http.StatusUnauthorized)

	other := w.signIn(acme, "kim@acme.example")
	other.get("/c/acme/sign-out-everywhere").submit("Sign out everywhere", nil).wantStatus(http.StatusUnauthorized)
	admin.get("/c/acme/").wantStatus(http.StatusUnauthorized)
	names := map[string]int{}
	for _, e := range w.ofSite(acme) {
		names[e.Name]++
	}
	if names["user.signed_out_everywhere"] != 2 {
		t.Errorf("got events %v", names)
	}
}

// TestClicksKeepASessionUntilItIsIdle reads that a click counts, and that an open page without clicks ends.
func TestClicksKeepASessionUntilItIsIdle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.site("acme", site.Full)
	w.person(acme, "kim@acme.example", "Kim", roster.RoleAdmin)
	b := w.signIn(acme, "kim@acme.example")
	for range 3 {
		w.pass(90 * time.Minute)
		b.get("/c/acme/admin/access").wantStatus(http.StatusOK)
	}
	w.pass(2 * time.Hour)
	b.get("/c/acme/admin/access").wantStatus(http.StatusUnauthorized)
}
