package console_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/console/sitepages"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// openRoutes are the routes that ask for no session: the secret in a link is the key, signing out needs none, and a path
// without its last slash is out of the cookie's reach. A new one has to be added here on purpose.
func openRoutes() map[string]bool {
	return map[string]bool{
		"GET /c/{site}":                   true,
		"GET /c/{site}/sign-in/{secret}":  true,
		"POST /c/{site}/sign-in/{secret}": true,
		"GET /c/{site}/recover":           true,
		"POST /c/{site}/recover":          true,
		"POST /c/{site}/sign-out":         true,
		"GET /d":                          true,
		"GET /d/-/openid/login":           true,
		"GET /d/-/openid/callback":        true,
		"GET /d/sign-in/{secret}":         true,
		"POST /d/sign-in/{secret}":        true,
		"POST /d/sign-out":                true,
	}
}

// knock is a request with one cookie, straight to the handler.
func knock(t *testing.T, h http.Handler, pattern string, params map[string]string, cookie, secret string) *httptest.ResponseRecorder {
	t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	path = strings.TrimSuffix(path, "{$}")
	for name, value := range params {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	if strings.Contains(path, "{") {
		t.Fatalf("%s: the test has no value for a part of the path", pattern)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "https://rollcall.example"+path, strings.NewReader(""))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if secret != "" {
		r.AddCookie(&http.Cookie{Name: secureName(path, cookie), Value: secret})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// secureName is what an area's cookie is called over https: a browser takes __Host- cookies only from this host, and they
// have no path of their own.
func secureName(path, cookie string) string {
	if site, ok := strings.CutPrefix(path, "/c/"); ok {
		site, _, _ = strings.Cut(site, "/")
		return "__Host-" + cookie + "-" + url.QueryEscape(site)
	}
	return "__Host-" + cookie
}

// startSession signs somebody in without a browser and returns the cookie's value.
func (w *world) startSession(s site.Site, person string) string {
	w.t.Helper()
	secret, err := w.pages.Rosters.Open(s).StartSession(w.t.Context(), person, session.Limits{Length: 12 * time.Hour, Idle: 12 * time.Hour}, session.Browser{})
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

func (w *world) startOperator(name string) string {
	w.t.Helper()
	link, err := w.operators.Link(w.t.Context(), name, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := w.operators.Redeem(w.t.Context(), link.Secret, session.Browser{})
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Secret
}

func TestSiteAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme, other := w.site("acme", site.Full), w.site("other", site.Full)
	kim := w.person(acme, "kim@acme.example", "Kim", roster.RoleAdmin)
	lee := w.person(acme, "lee@acme.example", "Lee", roster.RoleAdmin)
	ada := w.person(acme, "ada@acme.example", "Ada", roster.RoleRegistered)
	mod := w.person(acme, "mod@acme.example", "Mod", roster.RoleModerator)
	elsewhere := w.person(other, "kim@acme.example", "Kim", roster.RoleAdmin)
	token, _, err := w.pages.Sites.CreateToken(t.Context(), acme.ID, site.TokenRequest{Actor: "cli"})
	if err != nil {
		t.Fatal(err)
	}

	expired := w.startSession(acme, kim.ID)
	w.pass(13 * time.Hour)
	ended := w.startSession(acme, kim.ID)
	if err := w.pages.Rosters.Open(acme).EndSession(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	cut := w.startSession(acme, lee.ID)
	if _, err := w.pages.Rosters.Open(acme).Deactivate(t.Context(), lee.ID, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
		t.Fatal(err)
	}
	operatorsSecret := w.startOperator("sam")
	deleted := w.site("deleted", site.Full)
	orphaned := w.startSession(deleted, w.person(deleted, "kim@acme.example", "Kim", roster.RoleAdmin).ID)
	if err := w.pages.Sites.Delete(t.Context(), deleted.ID, "deleted", "cli"); err != nil {
		t.Fatal(err)
	}
	adminSecret := w.startSession(acme, kim.ID)

	declared := w.declare(acme, "title")

	handler := w.pages.Handler()
	params := map[string]string{"site": "acme", "person": ada.ID, "token": token.ID, "declared": declared, "secret": "unknown", "attribute": "userName", "decision": "apply", "conflict": "c"}
	strangers := map[string]string{
		"without_a_session":              "",
		"with_an_unknown_session":        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"with_an_expired_session":        expired,
		"with_an_ended_session":          ended,
		"of_somebody_deactivated":        cut,
		"with_an_operators_session":      operatorsSecret,
		"with_a_session_of_another_site": w.startSession(other, elsewhere.ID),
		"with_a_session_of_a_site_gone":  orphaned,
	}
	before := len(w.ofSite(acme))
	for _, rt := range w.pages.Routes() {
		t.Run(rt.Pattern, func(t *testing.T) {
			if rt.Access == console.Anyone {
				if !openRoutes()[rt.Pattern] {
					t.Fatalf("%s is open to anyone and not on the list of open routes", rt.Pattern)
				}
				return
			}
			refusal := map[bool]string{} // with a cookie, and without
			for name, secret := range strangers {
				got := knock(t, handler, rt.Pattern, params, sitepages.SessionCookie, secret)
				if got.Code != http.StatusUnauthorized {
					t.Errorf("%s: got %d, want 401", name, got.Code)
				}
				if page := got.Body.String(); refusal[secret != ""] == "" {
					refusal[secret != ""] = page
				} else if diff := cmp.Diff(page, refusal[secret != ""]); diff != "" {
					t.Errorf("%s: the page is another one:\n%s", name, diff)
				}
			}
			// A site that is not there answers like one that is: nobody learns the names of customers.
			for _, name := range []string{"nowhere", "deleted"} {
				gone := map[string]string{"site": name, "person": ada.ID, "token": token.ID, "declared": declared, "attribute": "userName", "decision": "apply", "conflict": "c"}
				for _, secret := range []string{"", adminSecret, orphaned} {
					got := knock(t, handler, rt.Pattern, gone, sitepages.SessionCookie, secret)
					if got.Code != http.StatusUnauthorized {
						t.Errorf("the site %s: got %d, want 401", name, got.Code)
					}
					if diff := cmp.Diff(strings.ReplaceAll(got.Body.String(), name, "acme"), refusal[secret != ""]); diff != "" {
						t.Errorf("the site %s is told apart from one that exists:\n%s", name, diff)
					}
				}
			}
			for _, plain := range []roster.Person{ada, mod} {
				want := http.StatusForbidden
				switch {
				case rt.Access == console.SignedIn && strings.HasPrefix(rt.Pattern, "POST "):
					want = http.StatusSeeOther
					before++ // the event of what they did
				case rt.Access == console.SignedIn:
					want = http.StatusOK
				}
				if got := knock(t, handler, rt.Pattern, params, sitepages.SessionCookie, w.startSession(acme, plain.ID)); got.Code != want {
					t.Errorf("as %s: got %d, want %d", plain.Role, got.Code, want)
				}
			}
		})
	}
	if after := len(w.ofSite(acme)); after != before {
		t.Errorf("refused requests left %d events", after-before)
	}
	for _, rt := range w.pages.Routes() {
		if !strings.HasPrefix(rt.Pattern, "GET ") || rt.Access == console.Anyone {
			continue
		}
		if got := knock(t, handler, rt.Pattern, params, sitepages.SessionCookie, adminSecret); got.Code >= http.StatusBadRequest {
			t.Errorf("%s: an administrator gets %d", rt.Pattern, got.Code)
		}
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)

	t.Run("keep_the_two_ends_apart_in_one_browser", func(t *testing.T) {
		link, err := w.pages.SignIns.IssueSiteLink(t.Context(), s, "kim@acme.example", "cli")
		if err != nil {
			t.Fatal(err)
		}
		b := w.browser()
		b.get(link.Path).submit("Sign in as Kim", nil).wantStatus(http.StatusOK)
		b.get("/d/").wantStatus(http.StatusUnauthorized)
		own, err := w.operators.Link(t.Context(), "sam", "cli")
		if err != nil {
			t.Fatal(err)
		}
		b.get(own.Path).submit("Sign in as sam", nil).wantStatus(http.StatusOK)
		b.get("/d/").wantStatus(http.StatusOK)
		b.get("/c/acme/").wantStatus(http.StatusOK).wantWords("kim@acme.example")
	})

	t.Run("are_bound_to_their_area_and_hidden_from_scripts", func(t *testing.T) {
		for public, want := range map[string]*http.Cookie{
			"https://rollcall.example": {Name: "__Host-rollcall-site-acme", Path: "/", Secure: true},
			"http://rollcall.example":  {Name: "rollcall-site", Path: "/c/acme/"},
		} {
			c := *w.pages.Console
			c.Options.PublicURL = public
			rec := httptest.NewRecorder()
			c.SetSession(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/c/acme/sign-in/x", nil), sitepages.SessionCookie, "secret")
			got := rec.Result().Cookies()[0]
			want.Value, want.HttpOnly, want.SameSite = "secret", true, http.SameSiteLaxMode
			got.Raw = ""
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("got -, want +:\n%s", diff)
			}
		}
	})

	// Another host under the same domain can set any cookie for all of the domain, but none whose name begins with __Host-.
	t.Run("of_other_hosts_under_the_domain_change_nothing", func(t *testing.T) {
		site, person := w.site("cookies", site.Documented), "kim@cookies.example"
		secret := w.startSession(site, w.person(site, person, "Kim", roster.RoleRegistered).ID)
		page := func(cookies ...*http.Cookie) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://rollcall.example/c/cookies/", nil)
			for _, cookie := range cookies {
				r.AddCookie(cookie)
			}
			rec := httptest.NewRecorder()
			w.pages.Handler().ServeHTTP(rec, r)
			return rec
		}
		forged := base64.RawURLEncoding.EncodeToString([]byte(`{"Tone":"ok","Text":"Call 555-0100 to keep your account"}`))
		var foreign []*http.Cookie
		for _, prefix := range []string{"", "__Secure-"} {
			for name, value := range map[string]string{sitepages.SessionCookie: "x", sitepages.SessionCookie + "-cookies": "x", console.NoticeCookie: forged, console.NoticeCookie + "-cookies": forged} {
				foreign = append(foreign, &http.Cookie{Name: prefix + name, Value: value})
			}
		}
		own := &http.Cookie{Name: "__Host-rollcall-site-cookies", Value: secret}
		if got := page(append(foreign, own)...); got.Code != http.StatusOK || strings.Contains(got.Body.String(), "555-0100") {
			t.Errorf("got %d: %s", got.Code, got.Body)
		}
		if got := page(foreign...); got.Code != http.StatusUnauthorized {
			t.Errorf("without a session of its own: got %d", got.Code)
		}
		// The same session is no session of another site.
		if got := page(&http.Cookie{Name: "__Host-rollcall-site-acme", Value: secret}); got.Code != http.StatusUnauthorized {
			t.Errorf("under the name of another site: got %d", got.Code)
		}
	})
}

func TestForeignForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	kim := w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	handler := web.Front{}.Handler(w.pages.Handler())
	send := func(t *testing.T, header, value string) int {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://rollcall.example/c/acme/admin/access/scim/roles", strings.NewReader("roles=on"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(header, value)
		r.AddCookie(&http.Cookie{Name: "__Host-rollcall-site-acme", Value: w.startSession(s, kim.ID)})
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		return rec.Code
	}
	for _, foreign := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
		if got := send(t, foreign[0], foreign[1]); got != http.StatusForbidden {
			t.Errorf("%s %s: got %d, want 403", foreign[0], foreign[1], got)
		}
	}
	if now, _ := w.pages.Sites.Get(t.Context(), s.ID); now.ManageRoles {
		t.Error("a foreign form changed a setting")
	}
	if got := send(t, "Origin", "https://rollcall.example"); got != http.StatusSeeOther {
		t.Errorf("our own form: got %d, want 303", got)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	handler := w.pages.Handler()
	t.Run("wrong_method_says_which_are_right", func(t *testing.T) {
		got := knock(t, handler, "DELETE /c/acme/admin/people", nil, sitepages.SessionCookie, "")
		if got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("got %d, Allow %q", got.Code, got.Header().Get("Allow"))
		}
		if !strings.Contains(got.Body.String(), "This address does not take DELETE") {
			t.Error("the page does not say so")
		}
	})
	t.Run("unknown_path_is_a_page", func(t *testing.T) {
		got := knock(t, handler, "GET /c/acme/nothing", nil, sitepages.SessionCookie, "")
		if got.Code != http.StatusNotFound || !strings.Contains(got.Body.String(), "There is nothing here") {
			t.Errorf("got %d", got.Code)
		}
	})
	t.Run("head_has_no_body", func(t *testing.T) {
		got := knock(t, handler, "HEAD /c/acme/", nil, sitepages.SessionCookie, "")
		if got.Code != http.StatusUnauthorized || got.Body.Len() != 0 {
			t.Errorf("got %d with %d bytes", got.Code, got.Body.Len())
		}
	})
}
