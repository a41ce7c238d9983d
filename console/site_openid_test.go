package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/internal/openidtest"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/oidcclient"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// testedByOpenID has an administrator test single sign-on as a person of the OpenID provider.
func (w *world) testedByOpenID(s site.Site, op *openidtest.Provider, personID, userName string) {
	w.t.Helper()
	address, err := w.pages.SSO.StartTest(w.t.Context(), s, signin.OpenID, "browser", personID)
	if err != nil {
		w.t.Fatal(err)
	}
	back := op.SignIn(w.t, address, userName)
	in := codeflow.Answer{Answer: oidc.ReadAnswer(back.Query()), Browser: "browser"}
	if _, err := w.pages.SSO.FinishOpenID(w.t.Context(), s, in, session.Browser{}); err != nil {
		w.t.Fatal(err)
	}
}

// wantValue wants an input with this value, and none with the secret that was typed.
func (s *shown) wantValue(t *testing.T, value string) {
	t.Helper()
	if !strings.Contains(s.Text, `value="`+value+`"`) || strings.Contains(s.Text, "typed-secret") {
		t.Errorf("no input has the value %s, or the secret is shown:\n%s", value, s.Text)
	}
}

func TestOpenIDConnectIsSetUpWithThePageAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pass(time.Since(w.clock())) // the provider has the time of day
	s := w.site("acme", site.Documented)
	kim := w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	b := w.signIn(s, "kim@acme.example")
	op := openidtest.New(t)
	op.AddClient("acme-client", "acme-secret", "https://rollcall.example/c/acme/auth/oidc/callback")
	op.AddUser(openidtest.User{ID: "kim-1", Name: "kim@acme.example", Email: "kim@acme.example"})
	w.pages.SSO.OpenID = oidcclient.New(outbound.Options{AllowLoopback: true}, w.clock)
	const path = "/c/acme/admin/access/authentication"

	// The choice at the top leads to the settings of the other protocol, and changes nothing.
	b.get(path).wantStatus(http.StatusOK).wantWords("SAML in use")
	page := b.get(path+"?protocol=oidc").wantStatus(http.StatusOK).wantWords("Redirect URI", "Post-logout redirect URI", "Connect the provider first", "Use OpenID Connect")
	if !strings.Contains(page.Text, `value="https://rollcall.example/c/acme/auth/oidc/callback"`) || strings.Contains(page.Text, "Keys of this site") {
		t.Errorf("the page is not that of OpenID Connect:\n%s", page.Text)
	}
	page = page.submit("Use OpenID Connect", nil).wantStatus(http.StatusOK).wantWords("OpenID Connect in use")
	page.submit("Save", url.Values{"mode": {"optional"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Save its issuer, client id and client secret first", "Redirect URI")

	page.submit("Connect the provider", url.Values{"issuer": {"https://login.microsoftonline.com/common/v2.0"}, "clientID": {"typed"}, "clientSecret": {"typed-secret"}}).
		wantStatus(http.StatusUnprocessableEntity).wantWords("signs in people of every tenant").wantValue(t, "typed")
	page = page.submit("Connect the provider", url.Values{"issuer": {op.Issuer}, "clientID": {"acme-client"}, "clientSecret": {"acme-secret"}}).wantStatus(http.StatusOK).wantWords("Saved. Test the sign-in now.")
	if strings.Contains(page.Text, "acme-secret") || !strings.Contains(page.Text, "Stored. Empty keeps it.") {
		t.Errorf("the secret is shown, or not said to be stored:\n%s", page.Text)
	}
	page.submit("Connect the provider", url.Values{"issuer": {"https://login.evil.example"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Enter the secret for the new issuer")

	w.testedByOpenID(s, op, kim.ID, "kim@acme.example")
	page = b.get(path).wantWords("The test failed", "unproved", "signature of the ID token (RS256)", "nonce", "PKCE", "preferred_username", "Received: kim@acme.example")
	page.submit("Link this identity to me", nil).wantWords("Linked. You can sign in with single sign-on now")
	w.testedByOpenID(s, op, kim.ID, "kim@acme.example")
	page = b.get(path).wantWords("The test passed", "It would sign in kim@acme.example")
	page.submit("Save", url.Values{"mode": {"optional"}, "signsOut": {"yes"}}).wantStatus(http.StatusOK)
	if c, err := w.pages.SSO.Connection(t.Context(), s); err != nil || !c.SignsOut {
		t.Errorf("the switch of the sign-out was not saved: %+v, %v", c, err)
	}
	page = b.get(path)
	page.submit("Save", url.Values{"mode": {"optional"}, "userIdentifier": {"email"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("another person can get its value")
	page.submit("Make recovery codes", nil)
	b.get(path).submit("Save", url.Values{"mode": {"required"}}).wantStatus(http.StatusOK).wantWords("Saved.", "Required")
	c, err := w.pages.SSO.Connection(t.Context(), s)
	if err != nil || c.Mode != signin.SSORequired || c.Protocol != signin.OpenID || c.OpenID.ClientID != "acme-client" || c.Claims.DisplayName == "preferred_username" {
		t.Errorf("got %+v, %v", c, err)
	}

	// SAML can be set up beside it, and is not used before it was tested.
	idp := w.identityProvider()
	saml := b.get(path+"?protocol=saml").wantWords("OpenID Connect in use", "Set this up and test it, then use it")
	saml.submit("Import", url.Values{"metadata": {"<html/>"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("this is not SAML metadata")
	saml.submit("Import", url.Values{"metadata": {idp.Metadata()}}).submit("Save the identity provider", nil).wantWords("The identity provider is saved", idp.EntityID)
	b.get(path+"?protocol=saml").submit("Use SAML", nil).wantStatus(http.StatusConflict).wantWords("Single sign-on cannot be required yet")
	if c, err := w.pages.SSO.Connection(t.Context(), s); err != nil || c.Protocol != signin.OpenID {
		t.Errorf("got %+v, %v", c, err)
	}
	// A form of the other protocol's page leaves the mode as it is.
	b.get(path+"?protocol=saml").submit("Save", url.Values{"jobTitle": {"urn:title"}}).wantWords("Saved.")
	if c, err := w.pages.SSO.Connection(t.Context(), s); err != nil || c.Mode != signin.SSORequired || c.Claims.JobTitle != "urn:title" || c.OpenID.Claims.JobTitle != "" {
		t.Errorf("got %+v, %v", c, err)
	}
}
