package signin_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/internal/openidtest"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/oidcclient"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// openIDCompany is a company whose site is connected to an OpenID provider. Its clock is that of
// the provider, which has the time of day.
type openIDCompany struct {
	*company
	op *openidtest.Provider
}

func newOpenIDCompany(t testing.TB, db *store.DB) *openIDCompany {
	t.Helper()
	c := &openIDCompany{company: newCompany(t, db), op: openidtest.New(t)}
	c.catchUp()
	c.op.AddClient("acme-client", "acme-secret", "https://people.example.com/c/acme/auth/oidc/callback")
	for _, u := range []openidtest.User{
		{ID: "ada-1", Name: "ada@acme.example", Email: "ada@acme.example"},
		{ID: "bo-1", Name: "bo@acme.example", Email: "bo@acme.example"},
		{ID: "kim-1", Name: "kim@acme.example", Email: "kim@acme.example"},
	} {
		c.op.AddUser(u)
	}
	c.sso = c.process()
	c.connectOpenID(t, c.site, "acme-client", "acme-secret")
	return c
}

// catchUp sets the clock to the time of day.
func (c *openIDCompany) catchUp() { c.pass(time.Since(c.clock())) }

func (c *openIDCompany) process() *signin.SingleSignOn {
	s := c.company.process()
	s.OpenID = oidcclient.New(outbound.Options{AllowLoopback: true}, c.clock)
	return s
}

func (c *openIDCompany) connectOpenID(t testing.TB, st site.Site, client, clientSecret string) {
	t.Helper()
	if _, err := c.sso.SetConnection(c.ctx, st, -1, "admin:kim", func(n *signin.Connection) error {
		n.Protocol, n.Mode = signin.OpenID, signin.SSOOptional
		n.OpenID.Issuer, n.OpenID.ClientID, n.OpenID.Secret = c.op.Issuer, client, clientSecret
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func (c *openIDCompany) begin(t testing.TB) (address string) {
	t.Helper()
	address, err := c.sso.Start(c.ctx, c.site, browser, "", false)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// signIn signs a person in at the provider, and returns the answer that the browser brings.
func (c *openIDCompany) signIn(t testing.TB, address, userName string) codeflow.Answer {
	t.Helper()
	back := c.op.SignIn(t, address, userName)
	c.catchUp()
	return codeflow.Answer{Answer: oidc.ReadAnswer(back.Query()), Browser: browser}
}

func (c *openIDCompany) finish(in codeflow.Answer) (signin.Finished, error) {
	return c.sso.FinishOpenID(c.ctx, c.site, in, session.Browser{})
}

// refused fails the test unless the answer is refused for this reason.
func (c *openIDCompany) refused(t *testing.T, in codeflow.Answer, want string) signin.FailedSignIn {
	t.Helper()
	got, err := c.finish(in)
	f, _ := refusal.DataOf[signin.FailedSignIn](err)
	if err == nil || f.Reason != want || f.Reference == "" {
		t.Errorf("got %+v, %v (%+v); want the reason %s", got, err, f, want)
	}
	return f
}

func TestOpenIDConnect(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newOpenIDCompany(t, db)
		t.Run("a person signs in, and SCIM cuts them off at the next click", func(t *testing.T) {
			address, err := c.sso.Start(c.ctx, c.site, browser, "/c/acme/admin/people", false)
			if err != nil {
				t.Fatal(err)
			}
			q, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			if got := q.Query(); got.Get("code_challenge_method") != "S256" || len(got.Get("code_challenge")) != 43 || got.Get("nonce") == "" || got.Get("state") == "" || got.Get("response_type") != "code" {
				t.Errorf("the request is %s", address)
			}
			got, err := c.finish(c.signIn(t, address, "ada@acme.example"))
			if err != nil || got.ReturnTo != "/c/acme/admin/people" || got.Session.Person.UserName != "ada@acme.example" || got.Session.Person.Email != "ada@acme.example" {
				t.Fatalf("got %+v, %v", got, err)
			}
			if i, err := c.people.IdentityOf(c.ctx, got.Session.Person.ID); err != nil || i.Identifier != "ada-1" || i.Issuer != c.op.Issuer {
				t.Errorf("the identity is %+v, %v", i, err)
			}
			if fresh, err := c.people.HasFreshSession(c.ctx, got.Session.Secret); err != nil || !fresh {
				t.Errorf("the provider says that she just signed in, and the session is fresh: %t, %v", fresh, err)
			}
			if _, err := c.people.Deactivate(c.ctx, got.Session.Person.ID, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.people.UseSession(c.ctx, got.Session.Secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("the session goes on: %v", err)
			}
			c.refused(t, c.signIn(t, c.begin(t), "ada@acme.example"), "deactivated")
		})
		t.Run("a state is good once, in its browser, for ten minutes, in every process", func(t *testing.T) {
			in := c.signIn(t, c.begin(t), "bo@acme.example")
			if _, err := c.process().FinishOpenID(c.ctx, c.site, in, session.Browser{}); err != nil {
				t.Fatal(err)
			}
			c.refused(t, in, "unknown_request")
			for _, other := range []string{"another browser", ""} {
				in := c.signIn(t, c.begin(t), "bo@acme.example")
				in.Browser = other
				c.refused(t, in, "other_browser")
				in.Browser = browser
				c.refused(t, in, "unknown_request") // the first try used the state up
			}
			in = c.signIn(t, c.begin(t), "bo@acme.example")
			c.pass(10*time.Minute + time.Second)
			c.refused(t, in, "unknown_request")
			c.catchUp()
		})
		t.Run("a code counts with the request of its own browser alone", func(t *testing.T) {
			// The attacker's code arrives with the state of the victim's own request: the verifier
			// of PKCE is another one, so the provider gives nothing for it.
			stolen := c.signIn(t, c.begin(t), "ada@acme.example")
			victims := c.signIn(t, c.begin(t), "bo@acme.example")
			victims.Code = stolen.Code
			if f := c.refused(t, victims, string(oidc.ProviderRefused)); !strings.Contains(f.Detail, "invalid_grant") {
				t.Errorf("got %+v", f)
			}
		})
		t.Run("a test shows what would happen, and does nothing", func(t *testing.T) {
			c.bring(t, "kim@acme.example Admin")
			kim, err := c.people.PersonByUserName(c.ctx, "kim@acme.example")
			if err != nil {
				t.Fatal(err)
			}
			before, err := c.people.Counts(c.ctx)
			if err != nil {
				t.Fatal(err)
			}
			address, err := c.sso.StartTest(c.ctx, c.site, signin.OpenID, browser, kim.ID)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.finish(c.signIn(t, address, "kim@acme.example"))
			if err != nil || got.Purpose != signin.ToTest || got.Session.Secret != "" || got.ReturnTo != "/c/acme/admin/access/authentication" {
				t.Fatalf("got %+v, %v", got, err)
			}
			found, ok, err := c.sso.LastTest(c.ctx, c.site, kim.ID)
			if !ok || err != nil || found.Passed || found.Result.Reason != "unproved" || found.Result.Protocol != signin.OpenID || found.Result.Identifier != "kim-1" || found.Result.Signed != "ID token (RS256)" {
				t.Errorf("got %+v, %t, %v", found, ok, err)
			}
			var names []string
			for _, a := range found.Result.Attributes {
				names = append(names, a.Name)
			}
			for _, name := range []string{"sub", "preferred_username", "email"} {
				if !slices.Contains(names, name) {
					t.Errorf("the test received %q, not %s", names, name)
				}
			}
			if after, err := c.people.Counts(c.ctx); err != nil || after != before {
				t.Errorf("got %+v, %v; want %+v", after, err, before)
			}
			c.refused(t, c.signIn(t, c.begin(t), "kim@acme.example"), "unproved")
			if err := c.sso.LinkTested(c.ctx, c.site, kim, roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin, Person: kim.ID}); err != nil {
				t.Fatal(err)
			}
			if got, err := c.finish(c.signIn(t, c.begin(t), "kim@acme.example")); err != nil || got.Session.Person.ID != kim.ID {
				t.Errorf("got %+v, %v", got, err)
			}
		})
		t.Run("the client secret is sealed, and bound to its issuer", func(t *testing.T) {
			stored, err := c.sso.Connection(c.ctx, c.site)
			if err != nil || stored.OpenID.Secret != "" || len(stored.OpenID.Sealed) == 0 || bytes.Contains(stored.OpenID.Sealed, []byte("acme-secret")) {
				t.Fatalf("got %+v, %v", stored.OpenID, err)
			}
			_, err = c.sso.SetConnection(c.ctx, c.site, -1, "admin:kim", func(n *signin.Connection) error { n.OpenID.Issuer = "https://evil.example"; return nil })
			if !strings.Contains(refusalOf(err), "the stored client secret is for "+c.op.Issuer) {
				t.Errorf("another issuer: %v", err)
			}
			all, err := c.events.Recent(c.ctx, event.Site(string(c.site.ID)), "", event.Position{}, 1000)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(all)
			if err != nil || bytes.Contains(text, []byte("acme-secret")) || !bytes.Contains(text, []byte("client secret")) {
				t.Errorf("the events: %v\n%s", err, text)
			}
			if done, lost, err := c.sso.ResealKeys(c.ctx); done != 1 || len(lost) > 0 || err != nil {
				t.Errorf("sealed again: %d, %v, %v", done, lost, err)
			}
			if opens, sealed, err := c.sso.CountOpenKeys(c.ctx); opens != 1 || sealed != 1 || err != nil {
				t.Errorf("counted: %d of %d, %v", opens, sealed, err)
			}
			if _, err := c.finish(c.signIn(t, c.begin(t), "bo@acme.example")); err != nil {
				t.Errorf("after sealing again: %v", err)
			}
			lost := c.process()
			lost.Sealer = newSealer(t)
			if _, secrets, err := lost.DiscardLostKeys(c.ctx, "cli"); err != nil || !slices.Equal(secrets, []string{"acme"}) {
				t.Errorf("discarded: %v, %v", secrets, err)
			}
			if now, err := c.sso.Connection(c.ctx, c.site); err != nil || now.IsReady() {
				t.Errorf("got %+v, %v", now.OpenID, err)
			}
			if _, err := c.sso.Start(c.ctx, c.site, browser, "", false); !errors.Is(err, signin.ErrSSOOff) {
				t.Errorf("without a secret: %v", err)
			}
		})
	})
}

// TestIDTokensThatAreNotTakenOver sends ID tokens of the real provider, changed in one thing each.
// The first row changes nothing, and is accepted.
func TestIDTokensThatAreNotTakenOver(t *testing.T) {
	t.Parallel()
	c := newOpenIDCompany(t, storetest.New(t))
	another, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name string, value any) func(header, claims map[string]any) string {
		return func(header, claims map[string]any) string {
			claims[name] = value
			return c.op.Sign(header, claims, "RS256")
		}
	}
	now := time.Now().Unix()
	for _, tt := range []struct {
		name, want string
		forge      func(header, claims map[string]any) string
	}{
		{"nothing", "", func(header, claims map[string]any) string { return c.op.Sign(header, claims, "RS256") }},
		{"several clients, and this one asked", "", func(header, claims map[string]any) string {
			claims["aud"], claims["azp"] = []string{"acme-client", "other-client"}, "acme-client"
			return c.op.Sign(header, claims, "RS256")
		}},
		{"the nonce of another request", "wrong_nonce", set("nonce", "another")},
		{"no nonce", "wrong_nonce", func(header, claims map[string]any) string {
			delete(claims, "nonce")
			return c.op.Sign(header, claims, "RS256")
		}},
		{"the client of another site", "audience_mismatch", func(header, claims map[string]any) string {
			claims["aud"], claims["azp"] = "other-client", "other-client"
			return c.op.Sign(header, claims, "RS256")
		}},
		{"another client alone, though this one asked", "audience_mismatch", func(header, claims map[string]any) string {
			claims["aud"], claims["azp"] = "other-client", "acme-client"
			return c.op.Sign(header, claims, "RS256")
		}},
		{"several clients, and nobody knows who asked", "audience_mismatch", func(header, claims map[string]any) string {
			claims["aud"] = []string{"acme-client", "other-client"}
			delete(claims, "azp")
			return c.op.Sign(header, claims, "RS256")
		}},
		{"several clients, and another one asked", "audience_mismatch", func(header, claims map[string]any) string {
			claims["aud"], claims["azp"] = []string{"acme-client", "other-client"}, "other-client"
			return c.op.Sign(header, claims, "RS256")
		}},
		{"another issuer", "wrong_issuer", set("iss", "https://login.evil.example")},
		{"the issuer with a slash", "wrong_issuer", set("iss", c.op.Issuer+"/")},
		{"expired", "expired", set("exp", now-181)},
		{"made in the future", "not_yet_valid", set("iat", now+600)},
		{"good from later on", "not_yet_valid", set("nbf", now+600)},
		{"no expiry", "malformed", func(header, claims map[string]any) string {
			delete(claims, "exp")
			return c.op.Sign(header, claims, "RS256")
		}},
		{"no subject", "identifier", set("sub", "")},
		{"another access token", "wrong_access_token", set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")},
		{"no signature (alg none)", "weak_algorithm", func(header, claims map[string]any) string { return c.op.Sign(header, claims, "none") }},
		{"the public key as a shared secret (HS256)", "weak_algorithm", func(header, claims map[string]any) string { return c.op.Sign(header, claims, "HS256") }},
		{"another key under the same name", "bad_signature", func(header, claims map[string]any) string { return c.op.SignWith(another, header, claims) }},
		{"another key without a name", "bad_signature", func(header, claims map[string]any) string {
			delete(header, "kid")
			return c.op.SignWith(another, header, claims)
		}},
		{"a key that is not announced", "unknown_key", func(header, claims map[string]any) string {
			header["kid"] = "another"
			return c.op.Sign(header, claims, "RS256")
		}},
		{"the signature cut off", "bad_signature", func(header, claims map[string]any) string {
			made := c.op.Sign(header, claims, "RS256")
			return made[:strings.LastIndex(made, ".")+1]
		}},
		{"no token", "malformed", func(map[string]any, map[string]any) string { return "" }},
		{"too large", "malformed", set("padding", strings.Repeat("A", 200<<10))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.op.Forge(tt.forge)
			in := c.signIn(t, c.begin(t), "bo@acme.example")
			if tt.want != "" {
				if tt.name == "too large" {
					tt.want = string(oidc.ProviderFailed) // no answer of a provider may be so large
				}
				c.refused(t, in, tt.want)
			} else if _, err := c.finish(in); err != nil {
				t.Errorf("refused: %v (%+v)", err, errors.Unwrap(err))
			}
		})
	}
	c.op.Forge(nil)
	if all, err := c.people.Sessions(c.ctx, personNamed(t, c, "bo@acme.example").ID, ""); err != nil || len(all) != 2 {
		t.Errorf("%d sessions, %v; want those of the two rows that are accepted", len(all), err)
	}
}

func personNamed(t testing.TB, c *openIDCompany, userName string) roster.Person {
	t.Helper()
	p, err := c.people.PersonByUserName(c.ctx, userName)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnswersOfAnotherProviderCountForNothing(t *testing.T) {
	t.Parallel()
	c := newOpenIDCompany(t, storetest.New(t))
	in := c.signIn(t, c.begin(t), "bo@acme.example")
	in.Issuer = "https://login.evil.example"
	c.refused(t, in, "wrong_issuer")

	in = c.signIn(t, c.begin(t), "bo@acme.example")
	in.Code, in.Error, in.ErrorDescription = "", "access_denied", "AADSTS50105: not assigned"
	if f := c.refused(t, in, "provider_refused"); f.Detail != "the provider reports access_denied: AADSTS50105: not assigned" {
		t.Errorf("got %+v", f)
	}
	in = c.signIn(t, c.begin(t), "bo@acme.example")
	in.Code = ""
	c.refused(t, in, "no_code")

	// The site changes to another provider while somebody is on the way.
	in = c.signIn(t, c.begin(t), "bo@acme.example")
	other := openidtest.New(t)
	if _, err := c.sso.SetConnection(c.ctx, c.site, -1, "admin:kim", func(n *signin.Connection) error {
		n.OpenID.Issuer, n.OpenID.Secret = other.Issuer, "s"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.refused(t, in, "unknown_request")

	// Neither protocol answers a request of the other.
	c.connectOpenID(t, c.site, "acme-client", "acme-secret")
	in = c.signIn(t, c.begin(t), "bo@acme.example")
	_, err := c.sso.Finish(c.ctx, c.site, signin.Response{SAMLResponse: "AAAA", RelayState: in.State, Browser: browser}, session.Browser{})
	if reasonOf(err) != "unknown_request" {
		t.Errorf("a SAML response: %v", err)
	}
	if _, err := c.sso.SetConnection(c.ctx, c.site, -1, "admin:kim", func(n *signin.Connection) error { n.Protocol = signin.SAML; return nil }); err != nil {
		t.Fatal(err)
	}
	answer := codeflow.Answer{Answer: oidc.Answer{State: c.start(t, "").RelayState, Code: "x"}, Browser: browser}
	if f := c.refused(t, answer, "unknown_request"); !strings.Contains(f.Detail, "the request was one of SAML") {
		t.Errorf("got %+v", f)
	}
}

func TestASiteUsesTheProtocolThatItChose(t *testing.T) {
	t.Parallel()
	c := newOpenIDCompany(t, storetest.New(t))
	in := c.signIn(t, c.begin(t), "bo@acme.example")
	if _, err := c.sso.SetConnection(c.ctx, c.site, -1, "admin:kim", func(n *signin.Connection) error { n.Protocol = signin.SAML; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := c.finish(in); !errors.Is(err, signin.ErrSSOOff) {
		t.Errorf("an answer of OpenID Connect at a site that uses SAML: %v", err)
	}
	saml := c.about(t, c.start(t, ""), "bo-1", "bo@acme.example", "bo@acme.example")
	c.connectOpenID(t, c.site, "acme-client", "acme-secret")
	if _, err := c.company.finish(saml); !errors.Is(err, signin.ErrSSOOff) {
		t.Errorf("a response of SAML at a site that uses OpenID Connect: %v", err)
	}

	// An administrator requires it, and cannot change the protocol afterwards without a test of the
	// other.
	c.bring(t, "kim@acme.example Admin")
	kim := personNamed(t, c, "kim@acme.example")
	mine := roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin, Person: kim.ID}
	test := func() {
		address, err := c.sso.StartTest(c.ctx, c.site, signin.OpenID, browser, kim.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.finish(c.signIn(t, address, "kim@acme.example")); err != nil {
			t.Fatal(err)
		}
	}
	test()
	if err := c.sso.LinkTested(c.ctx, c.site, kim, mine); err != nil {
		t.Fatal(err)
	}
	test()
	if _, err := c.sso.MakeRecoveryCodes(c.ctx, c.site, kim, time.Time{}, "admin:kim"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.sso.Require(c.ctx, c.site, -1, "admin:kim", kim.ID); err != nil {
		t.Fatal(err)
	}
	_, err := c.sso.SetConnectionAs(c.ctx, c.site, -1, "admin:kim", kim.ID, func(n *signin.Connection) error { n.Protocol = signin.SAML; return nil })
	if !errors.Is(err, signin.ErrCannotRequire) {
		t.Errorf("another protocol without a test of it: %v", err)
	}
}

func TestAnOpenIDSignInIsRenewedByAPersonWhoJustSignedIn(t *testing.T) {
	t.Parallel()
	c := newOpenIDCompany(t, storetest.New(t))
	for name, tt := range map[string]struct {
		signedIn any // the claim auth_time; nil for none
		want     string
	}{
		"just now":       {time.Now().Unix(), ""},
		"an hour ago":    {time.Now().Add(-time.Hour).Unix(), "old_sign_in"},
		"nobody says it": {nil, "old_sign_in"},
	} {
		c.op.Forge(func(header, claims map[string]any) string {
			claims["auth_time"] = tt.signedIn
			if tt.signedIn == nil {
				delete(claims, "auth_time")
			}
			return c.op.Sign(header, claims, "RS256")
		})
		address, err := c.sso.Start(c.ctx, c.site, browser, "", true)
		if err != nil || !strings.Contains(address, "prompt=login") || !strings.Contains(address, "max_age=0") {
			t.Fatalf("%s: %s, %v", name, address, err)
		}
		got, err := c.finish(c.signIn(t, address, "bo@acme.example"))
		if reasonOf(err) != tt.want || err != nil && tt.want == "" {
			t.Errorf("%s: got %v; want %q", name, err, tt.want)
		}
		if f, _ := refusal.DataOf[signin.FailedSignIn](err); strings.Contains(f.Detail, "does not say when") != (tt.signedIn == nil) {
			t.Errorf("%s: got %+v", name, f)
		}
		if tt.want != "" {
			continue
		}
		if fresh, err := c.people.HasFreshSession(c.ctx, got.Session.Secret); err != nil || !fresh {
			t.Errorf("%s: fresh is %t, %v", name, fresh, err)
		}
	}
	// Without auth_time a sign-in is good, but never fresh.
	c.op.Forge(func(header, claims map[string]any) string {
		delete(claims, "auth_time")
		return c.op.Sign(header, claims, "RS256")
	})
	got, err := c.finish(c.signIn(t, c.begin(t), "bo@acme.example"))
	if err != nil {
		t.Fatal(err)
	}
	if fresh, err := c.people.HasFreshSession(c.ctx, got.Session.Secret); err != nil || fresh {
		t.Errorf("fresh is %t, %v", fresh, err)
	}
}

func TestAnAddressThatTheProviderHasNotVerifiedIsNotUsed(t *testing.T) {
	t.Parallel()
	c := newOpenIDCompany(t, storetest.New(t))
	for name, say := range map[string]func(claims map[string]any){
		"in the ID token": func(claims map[string]any) { claims["email"], claims["email_verified"] = "bo@acme.example", false },
		// What the ID token says about no address does not count for that of the UserInfo endpoint.
		"at the UserInfo endpoint": func(claims map[string]any) { claims["email_verified"] = true },
	} {
		c.op.AddUser(openidtest.User{ID: name, Name: name, Email: "bo@acme.example"})
		c.op.Forge(func(header, claims map[string]any) string { say(claims); return c.op.Sign(header, claims, "RS256") })
		c.op.Replace("/userinfo", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"sub":%q,"preferred_username":%q,"email":"bo@acme.example","email_verified":false}`, name, name)
		})
		got, err := c.finish(c.signIn(t, c.begin(t), name))
		if err != nil || got.Session.Person.UserName != name || got.Session.Person.Email != "" {
			t.Errorf("%s: got %+v, %v", name, got.Session.Person, err)
		}
	}
	c.op.Forge(nil)
	c.op.Replace("/userinfo", nil)
	// A verified address that another account has never selects that account.
	if _, err := c.finish(c.signIn(t, c.begin(t), "bo@acme.example")); err != nil {
		t.Fatal(err)
	}
	c.op.AddUser(openidtest.User{ID: "dan-1", Name: "dan@acme.example", Email: "bo@acme.example"})
	c.refused(t, c.signIn(t, c.begin(t), "dan@acme.example"), "email_conflict")
	if all, err := c.sso.Conflicts(c.ctx, c.site); err != nil || len(all) != 1 || all[0].Identifier != "dan-1" || all[0].Issuer != c.op.Issuer {
		t.Errorf("%+v wait, %v", all, err)
	}
	for _, name := range []string{"email", "preferred_username", "upn"} {
		_, err := c.sso.SetConnection(c.ctx, c.site, -1, "admin:kim", func(n *signin.Connection) error { n.OpenID.Claims.UserIdentifier = name; return nil })
		if !strings.Contains(refusalOf(err), "another person can get its value") {
			t.Errorf("%s as the user identifier: %v", name, err)
		}
	}
}

func TestProvidersThatAnswerAsTheyShouldNot(t *testing.T) {
	t.Parallel()
	c := newOpenIDCompany(t, storetest.New(t))
	discovery := func(change func(map[string]any)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			d := map[string]any{
				"issuer": c.op.Issuer, "authorization_endpoint": c.op.Issuer + "/authorize", "token_endpoint": c.op.Issuer + "/oauth/token", "jwks_uri": c.op.Issuer + "/keys",
				"id_token_signing_alg_values_supported": []string{"RS256"},
			}
			change(d)
			json.NewEncoder(w).Encode(d) //nolint:errcheck // the client has gone
		}
	}
	const path = "/.well-known/openid-configuration"
	start := func() error {
		c.sso = c.process() // one that knows nothing yet
		_, err := c.sso.Start(c.ctx, c.site, browser, "", false)
		return err
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		words  string
	}{
		"redirects to a private address": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		}, "status 302; redirects are not followed"},
		"calls itself otherwise":         {discovery(func(d map[string]any) { d["issuer"] = "https://login.evil.example" }), `calls itself "https://login.evil.example"`},
		"serves every tenant of Entra":   {discovery(func(d map[string]any) { d["issuer"] = "https://login.microsoftonline.com/{tenantid}/v2.0" }), "signs in people of every tenant"},
		"has its keys at http":           {discovery(func(d map[string]any) { d["jwks_uri"] = "http://login.evil.example/keys" }), "must begin with https://"},
		"signs with shared secrets only": {discovery(func(d map[string]any) { d["id_token_signing_alg_values_supported"] = []string{"HS256", "none"} }), "no algorithm that is accepted"},
		"has no PKCE":                    {discovery(func(d map[string]any) { d["code_challenge_methods_supported"] = []string{"plain"} }), "PKCE with S256"},
		"has no code flow":               {discovery(func(d map[string]any) { d["response_types_supported"] = []string{"id_token"} }), "the code flow"},
		"takes no client secret":         {discovery(func(d map[string]any) { d["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"} }), "takes no client secret"},
		"is not JSON":                    {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>secret of the inside</html>") }, "is not JSON as OpenID Connect Discovery has it"},
		"is larger than allowed":         {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 300<<10)) }, "larger than 256 KiB"}, //nolint:errcheck // the client has gone
	} {
		c.op.Replace(path, tt.answer)
		err := start()
		f, _ := refusal.DataOf[signin.FailedSignIn](err)
		if f.Reason != string(oidc.ProviderFailed) || !strings.Contains(f.Detail, tt.words) || strings.Contains(f.Detail, "secret of the inside") {
			t.Errorf("a provider that %s: got %v (%+v); want %q", name, err, f, tt.words)
		}
	}
	c.op.Replace(path, nil)

	for name, tt := range map[string]struct{ keys, words string }{
		"a thousand keys":   {`{"keys":[` + strings.TrimSuffix(strings.Repeat(`{"kty":"oct","k":"AA"},`, 1000), ",") + `]}`, "1000 keys"},
		"300 KiB of keys":   {`{"keys":["` + strings.Repeat("A", 300<<10) + `"]}`, "larger than 256 KiB"},
		"no usable key":     {`{"keys":[{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}]}`, "no key that can be used"},
		"something else":    {`<html>`, "not a JSON Web Key Set"},
		"a short RSA key":   {shortKeys(t), "no key that can be used"},
		"a private address": {"", "status 302"},
	} {
		c.op.Replace("/keys", func(w http.ResponseWriter, r *http.Request) {
			if tt.keys == "" {
				http.Redirect(w, r, "http://10.0.0.1/keys", http.StatusFound)
				return
			}
			fmt.Fprint(w, tt.keys)
		})
		c.sso = c.process()
		if f := c.refused(t, c.signIn(t, c.begin(t), "bo@acme.example"), string(oidc.ProviderFailed)); !strings.Contains(f.Detail, tt.words) {
			t.Errorf("%s: got %+v; want %q", name, f, tt.words)
		}
	}
	c.op.Replace("/keys", nil)

	// What the UserInfo endpoint says about another person counts for nothing.
	c.op.Replace("/userinfo", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"sub":"kim-1","preferred_username":"kim@acme.example"}`)
	})
	c.sso = c.process()
	if f := c.refused(t, c.signIn(t, c.begin(t), "bo@acme.example"), string(oidc.ProviderFailed)); !strings.Contains(f.Detail, "about another person") {
		t.Errorf("got %+v", f)
	}

	// A server that may not call loopback does not.
	strict := c.process()
	strict.OpenID = oidcclient.New(outbound.Options{}, c.clock)
	_, err := strict.Start(c.ctx, c.site, browser, "", false)
	if f, _ := refusal.DataOf[signin.FailedSignIn](err); !strings.Contains(f.Detail, "is this machine") {
		t.Errorf("got %v (%+v)", err, f)
	}
	for _, issuer := range []string{
		"https://login.microsoftonline.com/common/v2.0", "https://login.microsoftonline.com/organizations/v2.0", "https://login.microsoftonline.com/consumers/v2.0",
		"http://login.example.com", "https://user@login.example.com", "https://login.example.com/?x=1", "https://login.example.com/.well-known/openid-configuration", "ftp://login.example.com", "login",
	} {
		_, err := c.sso.SetConnection(c.ctx, c.site, -1, "admin:kim", func(n *signin.Connection) error { n.OpenID.Issuer, n.OpenID.Secret = issuer, "s"; return nil })
		if e, ok := refusal.Find(err); !ok || e.Field != "issuer" {
			t.Errorf("the issuer %s: %v", issuer, err)
		}
	}
}

// shortKeys is a JWKS with one RSA key of 1024 bits.
func shortKeys(t *testing.T) string {
	t.Helper()
	return `{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"k","e":"AQAB","n":"` + strings.Repeat("v", 171) + `"}]}`
}

func TestKeysAreReadAgainWhenTheProviderHasANewOne(t *testing.T) {
	t.Parallel()
	c := newOpenIDCompany(t, storetest.New(t))
	reads := 0
	old := `{"keys":[{"kty":"EC","crv":"P-256","use":"sig","kid":"old","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`
	c.op.Replace("/keys", func(w http.ResponseWriter, _ *http.Request) { reads++; fmt.Fprint(w, old) })
	c.refused(t, c.signIn(t, c.begin(t), "bo@acme.example"), "unknown_key")
	if reads != 1 {
		t.Errorf("the keys were read %d times; want once a minute", reads)
	}
	c.op.Replace("/keys", nil) // the provider announces its key
	c.pass(time.Minute)
	in := c.op.SignIn(t, c.begin(t), "bo@acme.example")
	if _, err := c.finish(codeflow.Answer{Answer: oidc.ReadAnswer(in.Query()), Browser: browser}); err != nil {
		t.Errorf("with the new key: %v", err)
	}
}

func TestNothingStoredOpensACode(t *testing.T) {
	t.Parallel()
	c := newOpenIDCompany(t, storetest.New(t))
	address := c.begin(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r, err := store.SingleSignOn{DB: c.db}.FindRequest(c.ctx, c.site.ID, secret.HashOf(u.Query().Get("state")), c.clock())
	if err != nil || r.Issuer != c.op.Issuer || r.ID != u.Query().Get("nonce") {
		t.Fatalf("got %+v, %v", r, err)
	}
	if strings.Contains(fmt.Sprintf("%+v", r), u.Query().Get("state")) {
		t.Error("the state itself is stored")
	}
}

func TestPeopleSignOutAtTheOpenIDProviderToo(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newOpenIDCompany(t, db)
		const page = "/c/acme/auth/oidc/sign-out"
		c.op.AllowSignOut("acme-client", "https://people.example.com"+page)
		start := func() string {
			t.Helper()
			got, err := c.finish(c.signIn(t, c.begin(t), "ada@acme.example"))
			if err != nil {
				t.Fatal(err)
			}
			_, origin, err := c.people.SessionOrigin(c.ctx, got.Session.Secret)
			if err != nil || origin.Issuer != c.op.Issuer || origin.NameID != "" {
				t.Fatalf("the session began at %+v, %v", origin, err)
			}
			path, err := c.sso.StartSignOut(c.ctx, c.site, origin)
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
		if path := start(); path != "" {
			t.Errorf("it is off, and offered: %s", path)
		}
		if _, err := c.sso.SetConnection(c.ctx, c.site, -1, "admin:kim", func(n *signin.Connection) error { n.SignsOut = true; return nil }); err != nil {
			t.Fatal(err)
		}
		state, ok := strings.CutPrefix(start(), page+"?go=")
		if !ok {
			t.Fatal("nothing is offered")
		}
		address, err := c.sso.SignOutAddress(c.ctx, c.site, state)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if q := u.Query(); !strings.HasPrefix(address, c.op.Issuer+"/") || q.Get("client_id") != "acme-client" || q.Get("post_logout_redirect_uri") != "https://people.example.com"+page || q.Get("state") != state || q.Has("id_token_hint") {
			t.Errorf("the provider is asked by %s", address)
		}
		// The state of a sign-out signs nobody in.
		c.refused(t, codeflow.Answer{Answer: oidc.Answer{State: strings.TrimPrefix(start(), page+"?go="), Code: "x"}, Browser: browser}, "other_browser")
		back := c.op.SignIn(t, address, "ada@acme.example")
		if got := back.Scheme + "://" + back.Host + back.Path; got != "https://people.example.com"+page {
			t.Errorf("the provider redirects to %s", back)
		}
		begun := c.begin(t) // the state of a sign-in is none of a sign-out, and stays
		sent, err := url.Parse(begun)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			state string
			want  bool
		}{{"", false}, {"unknown", false}, {sent.Query().Get("state"), false}, {back.Query().Get("state"), true}, {back.Query().Get("state"), false}} {
			if there, err := c.sso.FinishOpenIDSignOut(c.ctx, c.site, step.state); there != step.want || err != nil {
				t.Errorf("%q: got %t, %v", step.state, there, err)
			}
		}
		if _, err := c.finish(c.signIn(t, begun, "ada@acme.example")); err != nil {
			t.Errorf("the sign-in: %v", err)
		}

		// A provider that is down, or has no good address for it, is not offered; signing out goes
		// through.
		offered := func(issuer string) {
			t.Helper()
			c.sso = c.process()
			if path, err := c.sso.StartSignOut(c.ctx, c.site, roster.Origin{Issuer: issuer}); path != "" || err != nil {
				t.Errorf("%s: got %q, %v", issuer, path, err)
			}
		}
		c.op.Replace("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"%[2]s/authorize","token_endpoint":"%[2]s/oauth/token","jwks_uri":"%[2]s/keys","end_session_endpoint":"http://login.evil.example/out"}`, c.op.Issuer, c.op.Issuer)
		})
		offered(c.op.Issuer)
		c.op.Replace("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		offered(c.op.Issuer)
		offered("https://login.other.example")
	})
}
