package console_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// The start page leads to where the reader is signed in: at once if that is one place, with links if it is several.
func TestFront_knows_who_is_signed_in(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.site("acme", site.Full)
	w.person(acme, "kim@acme.example", "Kim", roster.RoleAdmin)
	w.browser().get("/").wantWords("The application’s end", "rollcall site link", "rollcall operator link", "Is this rollcall demo? Press Enter where it runs").wantNoWords("You are signed in to")
	b := w.signIn(acme, "kim@acme.example")
	page := b.get("/").wantStatus(http.StatusOK)
	if page.Path != "/c/acme/admin/access" {
		t.Errorf("got to %s, want the site's overview", page.Path)
	}
	b.send(http.MethodPost, "/c/acme/sign-out", nil)
	b.get("/").wantStatus(http.StatusOK).wantNoWords("You are signed in to")
}

func TestFront_leads_nowhere_else(t *testing.T) {
	t.Parallel()
	c, err := console.New(console.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]int{
		"/d/": http.StatusSeeOther, "/c/acme/": http.StatusSeeOther, "/d/|/c/acme/admin/access": http.StatusOK,
		"//evil.example/": http.StatusOK, "/d/../x": http.StatusOK, "https://evil.example/d/": http.StatusOK, "/c/acme/sign-out": http.StatusOK,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: console.StartCookie, Value: value})
		got := httptest.NewRecorder()
		c.Front().ServeHTTP(got, r)
		if got.Code != want {
			t.Errorf("%s: got %d to %q, want %d", value, got.Code, got.Header().Get("Location"), want)
		}
	}
}
