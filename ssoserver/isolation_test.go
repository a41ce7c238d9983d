package ssoserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/console/sitepages"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// belongings is what somebody of one site may hold.
type belongings struct {
	session, code, link, token string
	person                     string
	assertion                  url.Values // a good response for the site, with its relay state
	browser                    string     // the cookie of the browser that asked for it
	metadata                   string     // of the site's identity provider
}

// holdings makes everything that a person with the role Admin of a site may hold.
func (w *world) holdings(st site.Site, idp *demoidp.Provider) belongings {
	w.t.Helper()
	ctx := w.t.Context()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	people := w.rosters.Open(st)
	_, err := people.Import(ctx, []roster.ImportRow{{UserName: "kim@acme.example", Role: roster.RoleAdmin, UserIdentifier: "id of kim@acme.example"}}, roster.Change{Actor: "cli", Via: roster.ViaImport})
	must(err)
	kim, err := people.PersonByUserName(ctx, "kim@acme.example")
	must(err)
	h := belongings{person: kim.ID, metadata: idp.Metadata()}
	h.session, err = people.StartSession(ctx, kim.ID, session.Limits{}, session.Browser{})
	must(err)
	codes, err := w.sso.MakeRecoveryCodes(ctx, st, kim, time.Time{}, "cli")
	must(err)
	h.code = codes[0]
	link, err := w.pages.SignIns.IssueSiteLink(ctx, st, "kim@acme.example", "cli")
	must(err)
	h.link = link.Secret
	_, h.token, err = w.sites.CreateToken(ctx, st.ID, site.TokenRequest{Name: "Entra ID", FormNumber: st.Name, Actor: "cli"})
	must(err)
	b := w.browser()
	r := b.start("/c/" + st.Name + "/auth/saml2/login")
	encoded, err := idp.Respond(about(r, "kim@acme.example"))
	must(err)
	h.assertion = url.Values{"SAMLResponse": {encoded}, "RelayState": {r.RelayState}}
	for name, c := range b.cookies {
		if strings.Contains(name, "rollcall-saml") {
			h.browser = c.Value
		}
	}
	return h
}

// request is one way to ask a route.
type request struct {
	session, bearer, browser string
	form                     url.Values
}

func (w *world) ask(n int, method, path string, q request) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, publicURL+path, strings.NewReader(q.form.Encode()))
	r.RemoteAddr = fmt.Sprintf("198.%d.%d.%d:1", 18+n>>16&1, n>>8&255, n&255) // nobody is throttled by others
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if q.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+q.bearer)
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for _, name := range []string{"acme", "other", "twin"} {
		if q.session != "" {
			r.AddCookie(&http.Cookie{Name: "__Host-" + sitepages.SessionCookie + "-" + name, Value: q.session})
		}
	}
	if q.browser != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-rollcall-saml", Value: q.browser})
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// state is what a site holds: nothing of it may change.
func (w *world) state(st site.Site) map[string]any {
	w.t.Helper()
	ctx := w.t.Context()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	now, err := w.sites.Get(ctx, st.ID)
	must(err)
	c, err := w.sso.Connection(ctx, st)
	must(err)
	people := w.rosters.Open(st)
	kim, err := people.PersonByUserName(ctx, "kim@acme.example")
	must(err)
	sessions, err := people.Sessions(ctx, kim.ID, "")
	must(err)
	codes, err := w.sso.RecoverySet(ctx, st, kim.ID)
	must(err)
	keys, err := w.sso.SiteKeys(ctx, st)
	must(err)
	all, err := store.Events{DB: w.sso.Store.(store.SingleSignOn).DB}.Recent(ctx, event.Site(string(st.ID)), "", event.Position{}, 200)
	must(err)
	var names []string
	for _, e := range all {
		if !strings.HasSuffix(e.Name, "refused") {
			names = append(names, e.Name)
		}
	}
	tokens, err := w.sites.Tokens(ctx, st.ID)
	must(err)
	live := 0
	for _, t := range tokens {
		if t.IsLive(w.clock()) {
			live++
		}
	}
	return map[string]any{"settings": now.Settings, "connection": c, "kim": kim, "sessions": len(sessions), "codes": codes, "keys": len(keys), "events": names, "tokens": live}
}

// TestNothingOfOneSiteOpensAnother asks every route of a site with everything that an administrator
// of another site holds: session, recovery code, one-time link, SCIM token, assertion, and
// metadata. Each answer must be that of a stranger with nothing, and nothing at the site may
// change. One of the sites asked has an identity provider of its own, the other one has the same as
// the first.
func TestNothingOfOneSiteOpensAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, twin := w.site("other"), w.site("twin")
	w.connect(twin)
	shared := w.idp
	var err error
	if w.idp, err = demoidp.New("https://login.other.example/saml2", w.clock); err != nil {
		t.Fatal(err)
	}
	w.idp.EntityID = "https://login.other.example/"
	w.connect(other)
	ours := w.holdings(w.acme, shared)
	theirs := map[string]belongings{"other": w.holdings(other, w.idp), "twin": w.holdings(twin, shared)}
	for _, st := range []site.Site{w.acme, other, twin} {
		if _, err := w.sites.Update(t.Context(), st.ID, "cli", func(s *site.Site) error { s.SCIMEnabled = true; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := w.sso.SetConnection(t.Context(), st, -1, "cli", func(c *signin.Connection) error { c.SignsOut = true; return nil }); err != nil {
			t.Fatal(err)
		}
	}

	patterns := w.saml.Patterns()
	for _, rt := range w.pages.Routes() {
		patterns = append(patterns, rt.Pattern)
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		for _, path := range []string{"", "/Users", "/Users/{person}", "/Users/.search", "/Groups", "/Groups/{person}", "/Bulk", "/ServiceProviderConfig", "/Schemas", "/ResourceTypes"} {
			patterns = append(patterns, method+" /c/{site}/auth/scim/v2"+path)
		}
	}
	n := 0
	for _, victim := range []site.Site{other, twin} {
		before := w.state(victim)
		for _, pattern := range patterns {
			method, path, _ := strings.Cut(pattern, " ")
			fill := func(secret, person string) string {
				p := strings.TrimSuffix(path, "{$}")
				for name, value := range map[string]string{"site": victim.Name, "secret": secret, "person": person, "token": "t", "declared": "d", "attribute": "userName", "decision": "apply", "conflict": "c"} {
					p = strings.ReplaceAll(p, "{"+name+"}", url.PathEscape(value))
				}
				if strings.Contains(p, "{") {
					t.Fatalf("%s: this test has no value for a part of the path", pattern)
				}
				return p
			}
			form := url.Values{"code": {ours.code}, "secret": {ours.link}, "metadata": {ours.metadata}, "mode": {"off"}, "confirm": {victim.Name}, "enabled": {"yes"}, "version": {"1"}, "form": {"1"}}
			for k, v := range ours.assertion {
				form[k] = v
			}
			target := theirs[victim.Name].person
			for name, q := range map[string]request{
				"session":       {session: ours.session},
				"session, form": {session: ours.session, form: form},
				"token":         {bearer: ours.token},
				"form":          {form: form},
				"assertion":     {form: ours.assertion, browser: ours.browser},
				"everything":    {session: ours.session, browser: ours.browser, form: form, bearer: ours.token},
			} {
				n++
				got := w.ask(n, method, fill(ours.link, target), q)
				n++
				nothing := q
				nothing.session, nothing.browser = "", ""
				if q.bearer != "" {
					nothing.bearer = "rollcall_unknown"
				}
				if q.form != nil {
					nothing.form = url.Values{"code": {"aaaa-aaaa-aaaa-aaaa"}, "SAMLResponse": {"AAAA"}, "RelayState": {"x"}}
				}
				stranger := w.ask(n, method, fill(strings.Repeat("A", 43), target), nothing)
				if got.Code != stranger.Code {
					t.Errorf("%s at %s with the %s of acme: %d, and a stranger gets %d\n%s", pattern, victim.Name, name, got.Code, stranger.Code, got.Body)
				}
				for _, c := range got.Result().Cookies() {
					if strings.Contains(c.Name, sitepages.SessionCookie) && c.MaxAge >= 0 && c.Value != "" {
						t.Errorf("%s at %s with the %s of acme: got a session", pattern, victim.Name, name)
					}
				}
				if text := got.Body.String(); strings.Contains(text, target) && !strings.Contains(path, "{person}") {
					t.Errorf("%s at %s with the %s of acme shows a person:\n%s", pattern, victim.Name, name, text)
				}
			}
		}
		if after := w.state(victim); !reflect.DeepEqual(before, after) {
			for k := range before {
				if !reflect.DeepEqual(before[k], after[k]) {
					t.Errorf("%s at %s changed: %+v\n%+v", k, victim.Name, before[k], after[k])
				}
			}
		}
	}

	// The identity provider of one site makes nothing that another trusts, whatever it writes.
	b := w.browser()
	r := b.start("/c/other/auth/saml2/login")
	forged := about(r, "kim@acme.example")
	encoded, err := shared.Respond(forged)
	if err != nil {
		t.Fatal(err)
	}
	want(t, b.send(http.MethodPost, "/c/other/auth/saml2/post", url.Values{"SAMLResponse": {encoded}, "RelayState": {r.RelayState}}, true), http.StatusForbidden, "could not be accepted")

	// All of it was good, and nothing of it was used up.
	for name, got := range map[string]*httptest.ResponseRecorder{
		"session":   w.ask(70000, http.MethodGet, "/c/acme/admin/people", request{session: ours.session}),
		"code":      w.ask(70001, http.MethodPost, "/c/acme/recover", request{form: url.Values{"code": {ours.code}}}),
		"link":      w.ask(70002, http.MethodPost, "/c/acme/sign-in/"+ours.link, request{form: url.Values{}}),
		"token":     w.ask(70003, http.MethodGet, "/c/acme/auth/scim/v2/Users", request{bearer: ours.token}),
		"assertion": w.ask(70004, http.MethodPost, "/c/acme/auth/saml2/post", request{form: ours.assertion, browser: ours.browser}),
	} {
		if !slices.Contains([]int{http.StatusOK, http.StatusSeeOther}, got.Code) {
			t.Errorf("the %s does not open its own site: %d\n%s", name, got.Code, got.Body)
		}
	}
}
