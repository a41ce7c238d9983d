package ssoserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/signin"
)

func TestSigningOutEndsBothSides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const here = publicURL + "/c/acme/auth/saml2/sign-out"
	w.idp.SignOutURL = "https://login.example.com/saml2/logout"
	w.connect(w.acme)
	if _, err := w.sso.SetConnection(t.Context(), w.acme, -1, "cli", func(c *signin.Connection) error { c.SignsOut = true; return nil }); err != nil {
		t.Fatal(err)
	}
	signIn := func() *browser {
		b := w.browser()
		r := b.start("/c/acme/auth/saml2/login")
		if a := b.respond(r, about(r, "ada@acme.example")); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("got %d\n%s", a.StatusCode, a.text)
		}
		return b
	}

	// Here first: the session ends at once, and the page leads on to the identity provider.
	b := signIn()
	page := b.send(http.MethodPost, "/c/acme/sign-out", nil, false)
	want(t, page, http.StatusOK, "Sign out at the identity provider")
	want(t, b.get("/c/acme/"), http.StatusUnauthorized, "Sign in")
	_, rest, found := strings.Cut(page.text, `href="/c/acme/auth/saml2/sign-out?go=`)
	if !found {
		t.Fatalf("no link on the page:\n%s", page.text)
	}
	relay, _, _ := strings.Cut(rest, `"`)
	sent := b.get("/c/acme/auth/saml2/sign-out?go=" + relay)
	u, err := url.Parse(sent.Header.Get("Location"))
	if err != nil || sent.StatusCode != http.StatusSeeOther || !strings.HasPrefix(u.String(), w.idp.SignOutURL+"?SAMLRequest=") {
		t.Fatalf("got %d to %s, %v", sent.StatusCode, sent.Header.Get("Location"), err)
	}
	asked, err := demoidp.ParseSignOut(u.String())
	if err != nil || asked.NameID != "id of ada@acme.example" {
		t.Fatalf("got %+v, %v", asked, err)
	}
	query, err := w.idp.SignOutQuery(demoidp.SignOut{Destination: here, InResponseTo: asked.ID, RelayState: u.Query().Get("RelayState")})
	if err != nil {
		t.Fatal(err)
	}
	want(t, b.get("/c/acme/auth/saml2/sign-out?"+query), http.StatusOK, "You are signed out of this site and of your identity provider")

	// There first, by redirect and by POST: the sessions of that person end, in whatever browser the
	// message arrives.
	bo := w.browser()
	r := bo.start("/c/acme/auth/saml2/login")
	bo.respond(r, about(r, "bo@acme.example"))
	for _, post := range []bool{false, true} {
		b = signIn()
		s := demoidp.SignOut{Destination: here, NameID: "id of ada@acme.example", RelayState: "theirs"}
		var got answered
		if post {
			form, err := w.idp.SignOutForm(s)
			if err != nil {
				t.Fatal(err)
			}
			got = w.browser().send(http.MethodPost, "/c/acme/auth/saml2/sign-out", form, true)
		} else {
			query, err := w.idp.SignOutQuery(s)
			if err != nil {
				t.Fatal(err)
			}
			got = w.browser().get("/c/acme/auth/saml2/sign-out?" + query)
		}
		if got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), w.idp.SignOutURL+"?SAMLResponse=") || !strings.Contains(got.Header.Get("Location"), "RelayState=theirs") {
			t.Errorf("POST %v: got %d to %s\n%s", post, got.StatusCode, got.Header.Get("Location"), got.text)
		}
		want(t, b.get("/c/acme/"), http.StatusUnauthorized, "Sign in")
		want(t, bo.get("/c/acme/"), http.StatusOK, "bo@acme.example")
	}

	// An unsigned message ends nothing, and failures are throttled.
	b = signIn()
	query, err = w.idp.SignOutQuery(demoidp.SignOut{Destination: here, NameID: "id of ada@acme.example", Unsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	stranger := w.browser()
	stranger.address = "198.51.100.7:99"
	for range 20 {
		want(t, stranger.get("/c/acme/auth/saml2/sign-out?"+query), http.StatusForbidden, "No session was ended")
	}
	if got := stranger.get("/c/acme/auth/saml2/sign-out?" + query); got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("got %d", got.StatusCode)
	}
	want(t, b.get("/c/acme/"), http.StatusOK, "ada@acme.example")
}
