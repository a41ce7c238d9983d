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
	"github.com/rollcall-scim/rollcall/internal/openidtest"
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
	answer                     url.Values // a good response of the identity provider, with its relay state or state
	browser                    string     // the cookie of the browser that asked for it
	metadata                   string     // of the site's identity provider
	signOut                    string     // names a sign-out that waits to go on at the identity provider
	message                    url.Values // a good message of the identity provider that ends the person's sessions; only SAML has it
}

// provider is an identity provider of either protocol.
type provider struct {
	saml   *demoidp.Provider
	openID *openidtest.Provider
}

const (
	kim         = "kim@acme.example"
	kimAtOpenID = "kim-1" // her user identifier at OpenID providers
)

// connectTo connects a site with an identity provider that also signs people out.
func (w *world) connectTo(st site.Site, p provider) {
	w.t.Helper()
	if p.openID != nil {
		w.connectOpenID(st, p.openID)
		p.openID.AllowSignOut(st.Name+"-client", publicURL+"/c/"+st.Name+"/auth/oidc/sign-out")
	} else {
		w.idp = p.saml
		w.connect(st)
	}
	if _, err := w.sso.SetConnection(w.t.Context(), st, -1, "cli", func(c *signin.Connection) error { c.SignsOut = true; return nil }); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.sites.Update(w.t.Context(), st.ID, "cli", func(s *site.Site) error { s.SCIMEnabled = true; return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// answered begins a sign-in of Kim, and returns the identity provider's response.
func (b *browser) answered(st site.Site, p provider) url.Values {
	b.w.t.Helper()
	if p.openID != nil {
		back, err := url.Parse(b.signInAt(p.openID, "/c/"+st.Name+"/auth/oidc/login", kim))
		if err != nil {
			b.w.t.Fatal(err)
		}
		return back.Query()
	}
	r := b.start("/c/" + st.Name + "/auth/saml2/login")
	encoded, err := p.saml.Respond(about(r, kim))
	if err != nil {
		b.w.t.Fatal(err)
	}
	return url.Values{"SAMLResponse": {encoded}, "RelayState": {r.RelayState}}
}

// bring brings a response to a site.
func (b *browser) bring(st site.Site, p provider, answer url.Values) answered {
	b.w.t.Helper()
	if p.openID != nil {
		return b.get("/c/" + st.Name + "/auth/oidc/callback?" + answer.Encode())
	}
	return b.send(http.MethodPost, "/c/"+st.Name+"/auth/saml2/post", answer, true)
}

// holdings makes everything that a person with the role Admin of a site may hold.
func (w *world) holdings(st site.Site, p provider) belongings {
	w.t.Helper()
	ctx := w.t.Context()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	people, identifier := w.rosters.Open(st), "id of "+kim
	if p.openID != nil {
		identifier = kimAtOpenID
	}
	_, err := people.Import(ctx, []roster.ImportRow{{UserName: kim, Role: roster.RoleAdmin, UserIdentifier: identifier}}, roster.Change{Actor: "cli", Via: roster.ViaImport})
	must(err)
	person, err := people.PersonByUserName(ctx, kim)
	must(err)
	h := belongings{person: person.ID}
	// A session that has been signed out here waits to go on at the identity provider.
	b := w.browser()
	if in := b.bring(st, p, b.answered(st, p)); in.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("Kim does not sign in at %s: %d\n%s", st.Name, in.StatusCode, in.text)
	}
	out := b.send(http.MethodPost, "/c/"+st.Name+"/sign-out", nil, false)
	_, rest, found := strings.Cut(out.text, "/sign-out?go=")
	if h.signOut, _, _ = strings.Cut(rest, `"`); !found {
		w.t.Fatalf("no sign-out at the identity provider:\n%s", out.text)
	}
	if p.saml != nil {
		h.metadata = p.saml.Metadata()
		h.message, err = p.saml.SignOutForm(demoidp.SignOut{Destination: publicURL + "/c/" + st.Name + "/auth/saml2/sign-out", NameID: identifier, RelayState: "x"})
		must(err)
	}
	b = w.browser()
	h.answer = b.answered(st, p)
	for name, c := range b.cookies {
		if strings.Contains(name, "rollcall-saml") {
			h.browser = c.Value
		}
	}
	h.session, err = people.StartSession(ctx, person.ID, session.Limits{}, session.Browser{})
	must(err)
	codes, err := w.sso.MakeRecoveryCodes(ctx, st, person, time.Time{}, "cli")
	must(err)
	h.code = codes[0]
	link, err := w.pages.SignIns.IssueSiteLink(ctx, st, kim, "cli")
	must(err)
	h.link = link.Secret
	_, h.token, err = w.sites.CreateToken(ctx, st.ID, site.TokenRequest{Name: "Entra ID", FormNumber: st.Name, Actor: "cli"})
	must(err)
	return h
}

// request is one way to ask a route.
type request struct {
	session, bearer, browser string
	form, query              url.Values
}

func (w *world) ask(n int, method, path string, q request) *httptest.ResponseRecorder {
	w.t.Helper()
	if q.query != nil {
		path += "?" + q.query.Encode()
	}
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
	person, err := people.PersonByUserName(ctx, kim)
	must(err)
	sessions, err := people.Sessions(ctx, person.ID, "")
	must(err)
	codes, err := w.sso.RecoverySet(ctx, st, person.ID)
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
	return map[string]any{"settings": now.Settings, "connection": c, "kim": person, "sessions": len(sessions), "codes": codes, "keys": len(keys), "events": names, "tokens": live}
}

// TestNothingOfOneSiteOpensAnother asks every route of a site with everything that an administrator
// of another site holds: session, recovery code, one-time link, SCIM token, the response of an
// identity provider, metadata, and sign-outs of both directions. Each answer must be that of a
// stranger with nothing, and nothing at the site may change. One of the sites asked has an identity
// provider of its own, the other one has the same as the first.
func TestNothingOfOneSiteOpensAnother(t *testing.T) {
	t.Parallel()
	t.Run("SAML", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		shared := provider{saml: w.idp}
		shared.saml.SignOutURL = "https://login.example.com/saml2/logout"
		own, err := demoidp.New("https://login.other.example/saml2", w.clock)
		if err != nil {
			t.Fatal(err)
		}
		own.EntityID, own.SignOutURL = "https://login.other.example/", "https://login.other.example/saml2/logout"
		w.nothingOfAcmeOpensAnother(t, shared, provider{saml: own})

		// The identity provider of one site makes nothing that another trusts, whatever it writes.
		b := w.browser()
		r := b.start("/c/other/auth/saml2/login")
		encoded, err := shared.saml.Respond(about(r, kim))
		if err != nil {
			t.Fatal(err)
		}
		want(t, b.send(http.MethodPost, "/c/other/auth/saml2/post", url.Values{"SAMLResponse": {encoded}, "RelayState": {r.RelayState}}, true), http.StatusForbidden, "could not be accepted")
	})
	t.Run("OpenID Connect", func(t *testing.T) {
		t.Parallel()
		w, shared := newOpenIDWorld(t)
		own := openidtest.New(t)
		own.AddUser(openidtest.User{ID: kimAtOpenID, Name: kim, Email: kim})
		w.nothingOfAcmeOpensAnother(t, provider{openID: shared}, provider{openID: own})
	})
}

func (w *world) nothingOfAcmeOpensAnother(t *testing.T, shared, own provider) {
	other, twin := w.site("other"), w.site("twin")
	w.connectTo(w.acme, shared)
	w.connectTo(other, own)
	w.connectTo(twin, shared)
	ours := w.holdings(w.acme, shared)
	theirs := map[string]belongings{"other": w.holdings(other, own), "twin": w.holdings(twin, shared)}

	patterns := w.saml.Patterns()
	for _, rt := range w.pages.Routes() {
		patterns = append(patterns, rt.Pattern)
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		for _, path := range []string{"", "/Users", "/Users/{person}", "/Users/.search", "/Groups", "/Groups/{person}", "/Bulk", "/ServiceProviderConfig", "/Schemas", "/ResourceTypes"} {
			patterns = append(patterns, method+" /c/{site}/auth/scim/v2"+path)
		}
	}
	// What a stranger sends instead of each thing that acme's administrator holds.
	unknown := url.Values{"code": {"aaaa-aaaa-aaaa-aaaa"}, "SAMLResponse": {"AAAA"}, "RelayState": {"x"}, "state": {"x"}, "go": {"x"}, "SAMLRequest": {"AAAA"}}
	replaced := func(all url.Values) url.Values {
		if all == nil {
			return nil
		}
		with := url.Values{}
		for name, values := range all {
			with[name] = values
			if u, secret := unknown[name]; secret {
				with[name] = u
			}
		}
		return with
	}
	form := url.Values{"code": {ours.code}, "secret": {ours.link}, "metadata": {ours.metadata}, "mode": {"off"}, "confirm": {"x"}, "enabled": {"yes"}, "version": {"1"}, "form": {"1"}}
	everything := url.Values{}
	for _, some := range []url.Values{form, ours.answer} {
		for k, v := range some {
			everything[k] = v
		}
	}
	everything.Set("code", ours.code) // the code of OpenID Connect goes in the address
	n := 0
	for _, victim := range []site.Site{other, twin} {
		before := w.state(victim)
		everything.Set("confirm", victim.Name)
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
			target := theirs[victim.Name].person
			for name, q := range map[string]request{
				"session":           {session: ours.session},
				"session, form":     {session: ours.session, form: everything},
				"token":             {bearer: ours.token},
				"form":              {form: everything},
				"posted answer":     {form: ours.answer, browser: ours.browser},
				"answer":            {query: ours.answer, browser: ours.browser},
				"sign-out":          {query: url.Values{"go": {ours.signOut}}, browser: ours.browser},
				"end of a sign-out": {query: url.Values{"state": {ours.signOut}}, browser: ours.browser},
				"sign-out message":  {form: ours.message},
				"everything":        {session: ours.session, browser: ours.browser, form: everything, query: ours.answer, bearer: ours.token},
			} {
				n++
				got := w.ask(n, method, fill(ours.link, target), q)
				n++
				nothing := request{form: replaced(q.form), query: replaced(q.query)}
				if q.bearer != "" {
					nothing.bearer = "rollcall_unknown"
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

	// All of it was good, and nothing of it was used up. The sign-out message ends all sessions, so it
	// comes last.
	n = 70000
	opens := func(name, method, path string, q request) {
		t.Helper()
		n++
		if got := w.ask(n, method, "/c/acme/"+path, q); !slices.Contains([]int{http.StatusOK, http.StatusSeeOther}, got.Code) {
			t.Errorf("the %s does not open its own site: %d\n%s", name, got.Code, got.Body)
		}
	}
	opens("session", http.MethodGet, "admin/people", request{session: ours.session})
	opens("code", http.MethodPost, "recover", request{form: url.Values{"code": {ours.code}}})
	opens("link", http.MethodPost, "sign-in/"+ours.link, request{form: url.Values{}})
	opens("token", http.MethodGet, "auth/scim/v2/Users", request{bearer: ours.token})
	goOn := request{query: url.Values{"go": {ours.signOut}}}
	if shared.openID != nil {
		opens("answer", http.MethodGet, "auth/oidc/callback", request{query: ours.answer, browser: ours.browser})
		opens("sign-out", http.MethodGet, "auth/oidc/sign-out", goOn)
		return
	}
	opens("answer", http.MethodPost, "auth/saml2/post", request{form: ours.answer, browser: ours.browser})
	opens("sign-out", http.MethodGet, "auth/saml2/sign-out", goOn)
	opens("sign-out message", http.MethodPost, "auth/saml2/sign-out", request{form: ours.message})
}
