package ssoserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/openidtest"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/oidcclient"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// newOpenIDWorld is a world whose site acme is connected to an OpenID provider. Its clock is that of
// the provider, which has the time of day.
func newOpenIDWorld(t *testing.T) (*world, *openidtest.Provider) {
	t.Helper()
	w := newWorld(t)
	w.catchUp()
	op := openidtest.New(t)
	op.AddUser(openidtest.User{ID: "ada-1", Name: "ada@acme.example", Email: "ada@acme.example"})
	op.AddUser(openidtest.User{ID: "kim-1", Name: "kim@acme.example", Email: "kim@acme.example"})
	w.sso.OpenID = oidcclient.New(outbound.Options{AllowLoopback: true}, w.clock)
	w.connectOpenID(w.acme, op)
	return w, op
}

func (w *world) catchUp() { w.pass(time.Since(w.clock())) }

// connectOpenID connects a site with a provider, as a client of its own.
func (w *world) connectOpenID(st site.Site, op *openidtest.Provider) {
	w.t.Helper()
	op.AddClient(st.Name+"-client", st.Name+"-secret", publicURL+"/c/"+st.Name+"/auth/oidc/callback")
	if _, err := w.sso.SetConnection(w.t.Context(), st, -1, "cli", func(c *signin.Connection) error {
		c.Protocol, c.Mode = signin.OpenID, signin.SSOOptional
		c.OpenID.Issuer, c.OpenID.ClientID, c.OpenID.Secret = op.Issuer, st.Name+"-client", st.Name+"-secret"
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

// signInAt begins a sign-in and signs the person in at the provider. It returns the path with which
// the browser comes back.
func (b *browser) signInAt(op *openidtest.Provider, path, userName string) string {
	b.w.t.Helper()
	a := b.get(path)
	if a.StatusCode != http.StatusSeeOther {
		b.w.t.Fatalf("%s: got %d\n%s", path, a.StatusCode, a.text)
	}
	if a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" {
		b.w.t.Errorf("%s: the headers are %v", path, a.Header)
	}
	back := op.SignIn(b.w.t, a.Header.Get("Location"), userName)
	if !strings.HasPrefix(back.String(), publicURL+"/") {
		b.w.t.Fatalf("the provider leads to %s", back)
	}
	b.w.catchUp()
	return back.RequestURI()
}

func TestASignInWithARealOpenIDProvider(t *testing.T) {
	t.Parallel()
	w, op := newOpenIDWorld(t)
	// The address on the sign-in page is the same for every site and protocol.
	for _, start := range []string{"/c/acme/auth/saml2/login?to=/c/acme/sign-out-everywhere", "/c/acme/auth/oidc/login?to=/c/acme/sign-out-everywhere"} {
		b := w.browser()
		back := b.signInAt(op, start, "ada@acme.example")
		a := b.get(back)
		if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/c/acme/sign-out-everywhere" {
			t.Fatalf("got %d to %s\n%s", a.StatusCode, a.Header.Get("Location"), a.text)
		}
		want(t, b.get("/c/acme/"), http.StatusOK, "ada@acme.example")
		want(t, b.get(back), http.StatusForbidden, "could not be accepted") // the state is used up
	}
	b := w.browser()
	back := b.signInAt(op, "/c/acme/auth/oidc/login?to=https://evil.example/", "ada@acme.example")
	if a := b.get(back); a.Header.Get("Location") != "/c/acme/" {
		t.Errorf("the sign-in ends at %s", a.Header.Get("Location"))
	}
}

func TestTheOpenIDAnswerMustComeFromTheBrowserThatAsked(t *testing.T) {
	t.Parallel()
	w, op := newOpenIDWorld(t)
	op.AddUser(openidtest.User{ID: "mallory-1", Name: "mallory@acme.example"})
	victim, attacker := w.browser(), w.browser()
	back := attacker.signInAt(op, "/c/acme/auth/oidc/login", "mallory@acme.example")
	victim.get("/c/acme/auth/oidc/login")
	want(t, victim.get(back), http.StatusForbidden, "could not be accepted")
	want(t, victim.get("/c/acme/"), http.StatusUnauthorized, "Sign in")

	// The attacker's code with the state of the victim: the verifier does not fit.
	own, err := url.Parse(victim.signInAt(op, "/c/acme/auth/oidc/login", "ada@acme.example"))
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := url.Parse(attacker.signInAt(op, "/c/acme/auth/oidc/login", "mallory@acme.example"))
	if err != nil {
		t.Fatal(err)
	}
	q := own.Query()
	q.Set("code", stolen.Query().Get("code"))
	want(t, victim.get("/c/acme/auth/oidc/callback?"+q.Encode()), http.StatusForbidden, "could not be accepted")
	want(t, victim.get("/c/acme/"), http.StatusUnauthorized, "Sign in")
}

func TestFailedOpenIDSignInsAreThrottledAndGoodOnesNever(t *testing.T) {
	t.Parallel()
	w, op := newOpenIDWorld(t)
	bad, good := w.browser(), w.browser()
	for range 20 {
		want(t, bad.get("/c/acme/auth/oidc/callback?state=x&code=y"), http.StatusForbidden, "reference")
	}
	if a := bad.get("/c/acme/auth/oidc/callback?state=x&code=y"); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("got %d", a.StatusCode)
	}
	// A person at the same address signs in, because this browser asked.
	back := good.signInAt(op, "/c/acme/auth/oidc/login", "ada@acme.example")
	if a := good.get(back); a.StatusCode != http.StatusSeeOther {
		t.Errorf("a good sign-in: got %d\n%s", a.StatusCode, a.text)
	}
	// A provider that is down locks nobody out.
	op.Replace("/.well-known/openid-configuration", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	w.sso.OpenID = oidcclient.New(outbound.Options{AllowLoopback: true}, w.clock)
	other := w.browser()
	other.address = "192.0.2.77:1"
	for range 30 {
		want(t, other.get("/c/acme/auth/oidc/login"), http.StatusForbidden, "reference")
	}
	want(t, other.get("/c/acme/auth/oidc/callback?state=x&code=y"), http.StatusForbidden, "reference") // it does not wait
	op.Replace("/.well-known/openid-configuration", nil)
	w.sso.OpenID = oidcclient.New(outbound.Options{AllowLoopback: true}, w.clock)
	back = other.signInAt(op, "/c/acme/auth/oidc/login", "ada@acme.example")
	if a := other.get(back); a.StatusCode != http.StatusSeeOther {
		t.Errorf("after the provider was down: got %d\n%s", a.StatusCode, a.text)
	}
}

// TestNoOpenIDAnswerOfOneSiteOpensAnother asks every endpoint of a site with the answer that is good at
// another site, in the browser that asked there. Both sites have the same provider.
func TestNoOpenIDAnswerOfOneSiteOpensAnother(t *testing.T) {
	t.Parallel()
	w, op := newOpenIDWorld(t)
	twin := w.site("twin")
	w.connectOpenID(twin, op)
	b := w.browser()
	back, err := url.Parse(b.signInAt(op, "/c/acme/auth/oidc/login", "ada@acme.example"))
	if err != nil {
		t.Fatal(err)
	}
	signedIn := func(b *browser, name string) bool { return b.get("/c/"+name+"/").StatusCode == http.StatusOK }
	for _, pattern := range w.saml.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.ReplaceAll(path, "{site}", "twin")
		b.send(method, path+"?"+back.RawQuery, back.Query(), false)
		if signedIn(b, "twin") {
			t.Fatalf("%s: the answer for acme opens twin", pattern)
		}
	}
	// With a request of its own at twin, and the code for acme.
	own, err := url.Parse(b.signInAt(op, "/c/twin/auth/oidc/login", "ada@acme.example"))
	if err != nil {
		t.Fatal(err)
	}
	q := own.Query()
	q.Set("code", back.Query().Get("code"))
	want(t, b.get(own.Path+"?"+q.Encode()), http.StatusForbidden, "could not be accepted")
	// With the ID token that the provider made for the client of acme.
	var token string
	op.Forge(func(header, claims map[string]any) string {
		token = op.Sign(header, claims, "RS256")
		return token
	})
	ada := w.browser()
	if a := ada.get(ada.signInAt(op, "/c/acme/auth/oidc/login", "ada@acme.example")); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("got %d\n%s", a.StatusCode, a.text)
	}
	op.Forge(func(map[string]any, map[string]any) string { return token })
	want(t, b.get(b.signInAt(op, "/c/twin/auth/oidc/login", "ada@acme.example")), http.StatusForbidden, "could not be accepted")
	op.Forge(nil)
	if signedIn(b, "twin") {
		t.Error("acme's ID token opens twin")
	}
	// All of it was good, and nothing of it was used up.
	if a := b.get(back.RequestURI()); a.StatusCode != http.StatusSeeOther {
		t.Errorf("the answer does not open its own site: %d\n%s", a.StatusCode, a.text)
	}
}

func TestSigningOutAtTheOpenIDProvider(t *testing.T) {
	t.Parallel()
	w, op := newOpenIDWorld(t)
	const page = "/c/acme/auth/oidc/sign-out"
	op.AllowSignOut("acme-client", publicURL+page)
	if _, err := w.sso.SetConnection(t.Context(), w.acme, -1, "cli", func(c *signin.Connection) error { c.SignsOut = true; return nil }); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.get(b.signInAt(op, "/c/acme/auth/oidc/login", "ada@acme.example"))
	want(t, b.get("/c/acme/"), http.StatusOK, "ada@acme.example")
	out := b.send(http.MethodPost, "/c/acme/sign-out", nil, false)
	want(t, out, http.StatusOK, "Sign out at the identity provider")
	want(t, b.get("/c/acme/"), http.StatusUnauthorized, "Sign in")
	_, rest, _ := strings.Cut(out.text, page+"?go=")
	state, _, _ := strings.Cut(rest, `"`)
	want(t, b.get(b.signInAt(op, page+"?go="+state, "ada@acme.example")), http.StatusOK, "You are signed out of this site and of your identity provider.")
	for _, path := range []string{page, page + "?state=" + state, "/c/nowhere/auth/oidc/sign-out?state=" + state} {
		want(t, b.get(path), http.StatusOK, "may still have a session of yours")
	}
	if a := b.get(page + "?go=" + state); a.StatusCode != http.StatusNotFound {
		t.Errorf("the request is used, and leads on: %d to %s", a.StatusCode, a.Header.Get("Location"))
	}
}
