package console_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

func TestLink(t *testing.T) {
	t.Parallel()

	t.Run("looking_leaves_it_unused_and_pressing_signs_in_once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s := w.site("acme", site.Documented)
		w.person(s, "ada@acme.example", "Ada Lovelace", roster.RoleRegistered)
		link, err := w.pages.SignIns.IssueSiteLink(t.Context(), s, "ada@acme.example", "cli")
		if err != nil {
			t.Fatal(err)
		}
		mailScanner, ada, thief := w.browser(), w.browser(), w.browser()
		mailScanner.get(link.Path).wantStatus(http.StatusOK).wantWords("Sign in as Ada Lovelace", "Expires in 15 minutes")
		mailScanner.get("/c/acme/").wantStatus(http.StatusUnauthorized)
		page := ada.get(link.Path)
		if got := page.Header.Get("Referrer-Policy"); got != "no-referrer" {
			t.Errorf("Referrer-Policy: got %q", got)
		}
		home := page.submit("Sign in as Ada Lovelace", nil).wantStatus(http.StatusOK)
		home.wantWords("You are signed in as Ada Lovelace.", "ada@acme.example", "Registered")
		if home.Path != "/c/acme/" {
			t.Errorf("leads to %s, want /c/acme/", home.Path)
		}
		thief.get(link.Path).wantStatus(http.StatusGone).wantWords("This link does not open", "used already", "rollcall site link acme ada@acme.example")
		thief.send(http.MethodPost, link.Path, url.Values{}).wantStatus(http.StatusGone)
		thief.get("/c/acme/").wantStatus(http.StatusUnauthorized)
	})

	t.Run("expires_after_fifteen_minutes", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s := w.site("acme", site.Documented)
		w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		link, err := w.pages.SignIns.IssueSiteLink(t.Context(), s, "ada@acme.example", "cli")
		if err != nil {
			t.Fatal(err)
		}
		page := w.browser().get(link.Path)
		w.pass(15 * time.Minute)
		page.submit("Sign in as Ada", nil).wantStatus(http.StatusGone).wantWords("expired")
	})

	t.Run("of_the_first_administrator_asks_who_they_are", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s := w.site("acme", site.Documented)
		link, err := w.pages.SignIns.IssueFirstAdminLink(t.Context(), s, "", "cli")
		if err != nil {
			t.Fatal(err)
		}
		b := w.browser()
		page := b.get(link.Path).wantWords("Become the first administrator of acme", "Your name", "Your e-mail address")
		again := page.submit("Make my account", url.Values{"name": {"Kim"}, "email": {"kim"}}).wantStatus(http.StatusUnprocessableEntity)
		again.wantWords("is not an e-mail address")
		if form, _ := again.form("Make my account"); form.values().Get("name") != "Kim" {
			t.Error("the form forgot the name")
		}
		again.submit("Make my account", url.Values{"name": {""}, "email": {"kim@acme.example"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Enter your name.")
		again.submit("Make my account", url.Values{"email": {"kim@acme.example"}}).wantStatus(http.StatusOK).wantWords("You are signed in as Kim.", "Access management")
		b.get("/c/acme/admin/people").wantStatus(http.StatusOK).wantWords("Kim", "kim@acme.example", "Admin")
	})

	t.Run("unknown_and_of_an_unknown_site_look_the_same", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.site("acme", site.Documented)
		for _, path := range []string{"/c/acme/sign-in/nothing", "/c/nowhere/sign-in/nothing", "/d/sign-in/nothing"} {
			w.browser().get(path).wantStatus(http.StatusGone).wantWords("This link does not open", "is not known here")
		}
	})

	t.Run("keeps_the_origin_on_plain_http_where_browsers_send_nothing_else", func(t *testing.T) {
		t.Parallel()
		for host, want := range map[string]string{"10.1.2.3:8080": "origin", "127.0.0.1:8080": "no-referrer", "localhost": "no-referrer", "[::1]:80": "no-referrer"} {
			c, err := console.New(console.Options{PublicURL: "http://" + host})
			if err != nil {
				t.Fatal(err)
			}
			rec := httptest.NewRecorder()
			c.KeepPathSecret(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/c/acme/sign-in/x", nil))
			if got := rec.Header().Get("Referrer-Policy"); got != want {
				t.Errorf("%s: got %q, want %q", host, got, want)
			}
		}
	})

	t.Run("is_not_in_the_access_log", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s := w.site("acme", site.Documented)
		w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		link, err := w.pages.SignIns.IssueSiteLink(t.Context(), s, "ada@acme.example", "cli")
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		h := web.Front{Log: slog.New(slog.NewTextHandler(&log, nil))}.Handler(w.pages.Handler())
		for _, path := range []string{link.Path, "/c/acme/admin/people?q=ada%40acme.example", "/c/acme/admin/people/id-0002"} {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		}
		for _, private := range []string{link.Secret, "ada", "id-0002"} {
			if strings.Contains(log.String(), private) {
				t.Errorf("the log names %q:\n%s", private, log.String())
			}
		}
		if !strings.Contains(log.String(), `area=/c/acme`) || !strings.Contains(log.String(), "sign-in/{secret}") {
			t.Errorf("the log does not name the site and the route:\n%s", log.String())
		}
	})
}

// An administrator lands on the overview, everybody else on their account.
func TestSignInLandsWhereTheRoleWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	for role, want := range map[roster.Role]string{
		roster.RoleAdmin: "/c/acme/admin/access", roster.RoleModerator: "/c/acme/", roster.RoleRegistered: "/c/acme/",
	} {
		name := strings.ToLower(string(role)) + "@acme.example"
		w.person(s, name, "Ada Lovelace", role)
		link, err := w.pages.SignIns.IssueSiteLink(t.Context(), s, name, "cli")
		if err != nil {
			t.Fatal(err)
		}
		page := w.browser().get(link.Path).submit("Sign in as Ada Lovelace", nil).wantStatus(http.StatusOK).wantWords("You are signed in as Ada Lovelace.")
		if page.Path != want {
			t.Errorf("%s lands on %s, want %s", role, page.Path, want)
		}
	}
}

func TestSignedOut(t *testing.T) {
	t.Parallel()

	t.Run("the_page_says_how_to_get_in", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.site("acme", site.Documented)
		w.browser().get("/c/acme/admin/people").wantStatus(http.StatusUnauthorized).wantWords("Sign in to acme", "You are not signed in.", "rollcall site link acme USERNAME")
		w.browser().get("/d/").wantStatus(http.StatusUnauthorized).wantWords("Sign in as an operator", "rollcall operator link NAME")
		w.browser().get("/").wantStatus(http.StatusOK).wantWords("rollcall site link", "rollcall operator link")
		w.browser().get("/c/Not%20A%20Name/").wantStatus(http.StatusNotFound)
	})

	t.Run("by_the_button", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s := w.site("acme", site.Documented)
		w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		b := w.signIn(s, "ada@acme.example")
		b.get("/c/acme").wantStatus(http.StatusOK).wantWords("My account")
		b.get("/c/acme/").submit("Sign out", nil).wantStatus(http.StatusUnauthorized).wantWords("You are not signed in.")
		o := w.operator("sam")
		o.get("/d/").wantStatus(http.StatusOK).submit("Sign out", nil).wantStatus(http.StatusUnauthorized)
	})

	t.Run("by_deactivation_at_the_next_click", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, admin := w.admin(site.Documented)
		ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		b := w.signIn(s, "ada@acme.example")
		b.get("/c/acme/").wantStatus(http.StatusOK)
		admin.get("/c/acme/admin/people/"+ada.ID).submit("Deactivate", nil).submit("Deactivate Ada", nil).wantWords("Deactivated · 1 session ended.")
		b.get("/c/acme/").wantStatus(http.StatusUnauthorized).wantWords("your session has ended, or your account was deactivated")
	})
}
