package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/console/directorypages"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

func TestDirectoryAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.site("acme", site.Full)
	kim := w.person(acme, "kim@acme.example", "Kim", roster.RoleAdmin)
	expired := w.startOperator("sam")
	w.pass(13 * time.Hour)
	removed := w.startOperator("max")
	if err := w.operators.Remove(t.Context(), "max", "cli"); err != nil {
		t.Fatal(err)
	}
	ended := w.startOperator("sam")
	if err := w.operators.EndSession(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	pages := &directorypages.Pages{Console: w.pages.Console, Operators: w.operators}
	handler := pages.Handler()
	strangers := map[string]string{
		"without_a_session":                  "",
		"with_an_unknown_session":            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"with_an_expired_session":            expired,
		"with_an_ended_session":              ended,
		"of_a_removed_operator":              removed,
		"with_a_site_administrators_session": w.startSession(acme, kim.ID),
	}
	for _, rt := range pages.Routes() {
		t.Run(rt.Pattern, func(t *testing.T) {
			t.Parallel()
			if rt.Access == console.Anyone {
				if !openRoutes()[rt.Pattern] {
					t.Fatalf("%s is open to anyone and not on the list of open routes", rt.Pattern)
				}
				return
			}
			for name, secret := range strangers {
				if got := knock(t, handler, rt.Pattern, anyValue(rt.Pattern), directorypages.SessionCookie, secret); got.Code != http.StatusUnauthorized {
					t.Errorf("%s: got %d, want 401", name, got.Code)
				}
			}
		})
	}
}

// anyValue fills every part of a pattern with a name.
func anyValue(pattern string) map[string]string {
	params := make(map[string]string)
	for rest := pattern; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return params
		}
		name, behind, _ := strings.Cut(after, "}")
		params[strings.TrimSuffix(name, "...")], rest = "x", behind
	}
}
