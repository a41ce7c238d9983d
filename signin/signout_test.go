package signin_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

func TestSingleSignOut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		c.SignOutURL = "https://login.example.com/saml2/logout"
		c.connect(t, c.site, func(n *signin.Connection) { n.SignsOut = true })
		const here = "https://people.example.com/c/acme/auth/saml2/sign-out"
		// signIn signs a person in and returns the session's secret.
		signIn := func(name, index string) string {
			r := c.start(t, "")
			a := r.Answer(name)
			a.Claims, a.SessionIndex = claims(name+"@acme.example", name+"@acme.example"), index
			got, err := c.finish(c.answer(t, r, a))
			if err != nil {
				t.Fatal(err)
			}
			return got.Session.Secret
		}
		live := func(secret string) bool {
			_, err := c.people.UseSession(c.ctx, secret, session.Browser{})
			if err != nil && !errors.Is(err, roster.ErrNoSession) {
				t.Fatal(err)
			}
			return err == nil
		}
		take := func(s demoidp.SignOut) (signin.SignedOut, error) {
			query, err := c.SignOutQuery(s)
			if err != nil {
				t.Fatal(err)
			}
			p := c.process()
			got, err := p.FinishSignOut(c.ctx, c.site, saml.SignOutMessage{Query: query})
			if flushed := p.Refused.Flush(c.ctx); flushed != nil {
				t.Fatal(flushed)
			}
			return got, err
		}

		t.Run("the identity provider ends exactly the sessions that it names", func(t *testing.T) {
			first, second, other := signIn("ada", "one"), signIn("ada", "two"), signIn("bo", "one")
			got, err := take(demoidp.SignOut{Destination: here, NameID: "ada", SessionIndexes: []string{"one"}, RelayState: "theirs"})
			if err != nil || got.Ended != 1 || live(first) || !live(second) || !live(other) {
				t.Fatalf("one index: %+v, %v; the sessions are %v, %v, %v", got, err, live(first), live(second), live(other))
			}
			if !strings.HasPrefix(got.Address, c.SignOutURL+"?SAMLResponse=") || !strings.Contains(got.Address, "RelayState=theirs") || !strings.Contains(got.Address, "Signature=") {
				t.Errorf("the answer goes to %s", got.Address)
			}
			if got, err = take(demoidp.SignOut{Destination: here, NameID: "ada"}); err != nil || got.Ended != 1 || live(second) || !live(other) {
				t.Errorf("no index: %+v, %v", got, err)
			}
			if got, err = take(demoidp.SignOut{Destination: here, NameID: "nobody"}); err != nil || got.Ended != 0 || !live(other) {
				t.Errorf("a stranger: %+v, %v", got, err)
			}
			form, err := c.SignOutForm(demoidp.SignOut{Destination: here, NameID: "bo"})
			if err != nil {
				t.Fatal(err)
			}
			if got, err = c.sso.FinishSignOut(c.ctx, c.site, saml.SignOutMessage{Form: form}); err != nil || got.Ended != 1 || live(other) {
				t.Errorf("by POST: %+v, %v", got, err)
			}
		})
		t.Run("a message counts once, in all processes", func(t *testing.T) {
			s := demoidp.SignOut{Destination: here, NameID: "ada", ID: "_once"}
			if _, err := take(s); err != nil {
				t.Fatal(err)
			}
			again := signIn("ada", "three")
			if _, err := take(s); reasonOf(err) != "replayed" || !live(again) {
				t.Errorf("again: %v", err)
			}
		})
		t.Run("what is not signed, or for another site, ends nothing", func(t *testing.T) {
			stays := signIn("ada", "four")
			if _, err := take(demoidp.SignOut{Destination: here, NameID: "ada", Unsigned: true}); reasonOf(err) != string(saml.Unsigned) {
				t.Errorf("unsigned: %v", err)
			}
			if _, err := take(demoidp.SignOut{Destination: strings.Replace(here, "acme", "other", 1), NameID: "ada"}); reasonOf(err) != string(saml.WrongDestination) {
				t.Errorf("of another site: %v", err)
			}
			other, err := c.sites.Create(c.ctx, "other", site.Documented, "cli")
			if err != nil {
				t.Fatal(err)
			}
			c.connect(t, other, func(n *signin.Connection) { n.Mode, n.SignsOut = signin.SSOOptional, true })
			query, err := c.SignOutQuery(demoidp.SignOut{Destination: strings.Replace(here, "acme", "other", 1), NameID: "ada"})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.sso.FinishSignOut(c.ctx, other, saml.SignOutMessage{Query: query}); err != nil || got.Ended != 0 {
				t.Errorf("at another site of the same identity provider: %+v, %v", got, err)
			}
			if !live(stays) {
				t.Error("the session ended")
			}
		})
		t.Run("a person who signs out here is sent to the identity provider", func(t *testing.T) {
			secret := signIn("cy", "five")
			_, origin, err := c.people.SessionOrigin(c.ctx, secret)
			if err != nil || origin != (roster.Origin{Issuer: c.EntityID, NameID: "cy", NameFormat: origin.NameFormat, Index: "five"}) {
				t.Fatalf("the origin is %+v, %v", origin, err)
			}
			path, err := c.sso.StartSignOut(c.ctx, c.site, origin)
			if err != nil || !strings.HasPrefix(path, "/c/acme/auth/saml2/sign-out?go=") {
				t.Fatalf("got %s, %v", path, err)
			}
			_, relay, _ := strings.Cut(path, "go=")
			address, err := c.process().SignOutAddress(c.ctx, c.site, relay)
			if err != nil || !strings.HasPrefix(address, c.SignOutURL) {
				t.Fatalf("got %s, %v", address, err)
			}
			// The identity provider reads the request with the site's certificate.
			keys, err := c.sso.SiteKeys(c.ctx, c.site)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			us := saml.IdentityProvider{EntityID: "https://people.example.com/c/acme/auth/saml2/metadata"}
			us.Certificates = append(us.Certificates, keys[0].Certificate)
			asked, err := saml.ServiceProvider{SignOut: c.SignOutURL}.ReadSignOut(us, saml.SignOutMessage{Query: u.RawQuery}, c.clock())
			if err != nil || asked.NameID != "cy" || len(asked.SessionIndexes) != 1 || asked.SessionIndexes[0] != "five" {
				t.Fatalf("got %+v, %v", asked, err)
			}
			answer := demoidp.SignOut{Destination: here, InResponseTo: asked.ID, RelayState: asked.RelayState}
			if _, err := take(demoidp.SignOut{Destination: here, InResponseTo: "_other", RelayState: "x"}); reasonOf(err) != "unknown_request" {
				t.Errorf("an answer to nothing: %v", err)
			}
			if got, err := take(answer); err != nil || !got.EndedAtProvider || got.Address != "" {
				t.Errorf("the answer: %+v, %v", got, err)
			}
			if _, err := take(answer); reasonOf(err) != "unknown_request" {
				t.Errorf("the answer again: %v", err)
			}
			if _, err := c.sso.SignOutAddress(c.ctx, c.site, relay); !errors.Is(err, signin.ErrSSOOff) {
				t.Errorf("the address afterwards: %v", err)
			}
			// The relay state of a sign-in leads nowhere.
			if _, err := c.sso.SignOutAddress(c.ctx, c.site, c.start(t, "").RelayState); !errors.Is(err, signin.ErrSSOOff) {
				t.Errorf("the relay state of a sign-in: %v", err)
			}
		})
		t.Run("without the switch nothing is taken and nothing is sent", func(t *testing.T) {
			secret := signIn("cy", "six")
			c.connect(t, c.site, func(n *signin.Connection) { n.SignsOut = false })
			_, origin, err := c.people.SessionOrigin(c.ctx, secret)
			if err != nil {
				t.Fatal(err)
			}
			if path, err := c.sso.StartSignOut(c.ctx, c.site, origin); err != nil || path != "" {
				t.Errorf("got %s, %v", path, err)
			}
			if _, err := take(demoidp.SignOut{Destination: here, NameID: "cy"}); !errors.Is(err, signin.ErrSSOOff) || !live(secret) {
				t.Errorf("got %v", err)
			}
		})
		c.pass(time.Minute)
		var ended, refused int
		for _, e := range c.recent(t) {
			switch e.Name {
			case event.SignInSSOEnded:
				ended++
			case event.SignInSSOEndRefused:
				refused++
			}
		}
		if ended != 3 || refused != 5 {
			t.Errorf("%d events of ended sessions and %d of refused messages; want 3 and 5", ended, refused)
		}
	})
}
