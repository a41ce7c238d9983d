package console_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

func (w *world) identityProvider() *demoidp.Provider {
	w.t.Helper()
	idp, err := demoidp.New("https://login.example.com/saml2", w.clock)
	if err != nil {
		w.t.Fatal(err)
	}
	return idp
}

// tested has an administrator test single sign-on as a person of the identity provider.
func (w *world) tested(s site.Site, idp *demoidp.Provider, personID, nameID, userName string, more ...demoidp.Claim) {
	w.t.Helper()
	address, err := w.pages.SSO.StartTest(w.t.Context(), s, "browser", personID)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := demoidp.ParseRequest(address)
	if err != nil {
		w.t.Fatal(err)
	}
	a := r.Answer(nameID)
	a.Claims = append([]demoidp.Claim{{Name: demoidp.ClaimName, Values: []string{userName}}}, more...)
	encoded, err := idp.Respond(a)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.pages.SSO.Finish(w.t.Context(), s, signin.Response{SAMLResponse: encoded, RelayState: r.RelayState, Browser: "browser"}, session.Browser{}); err != nil {
		w.t.Fatal(err)
	}
}

func TestSingleSignOnIsSetUpWithThePageAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	kim := w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	b := w.signIn(s, "kim@acme.example")
	idp := w.identityProvider()
	const path = "/c/acme/admin/access/authentication"
	page := b.get(path).wantStatus(http.StatusOK)
	page.wantWords("Not set up", "Display Name Assertion")
	for _, value := range []string{`value="https://rollcall.example/c/acme/auth/saml2/metadata"`, `value="https://rollcall.example/c/acme/auth/saml2/post"`} {
		if !strings.Contains(page.Text, value) {
			t.Errorf("the page lacks %s", value)
		}
	}
	page.submit("Save", url.Values{"mode": {"optional"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Import its metadata first")
	page.submit("Import", url.Values{"metadata": {"<html/>"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("this is not SAML metadata")

	// What would change is shown before it is saved.
	ask := page.submit("Import", url.Values{"metadata": {idp.Metadata()}}).wantStatus(http.StatusOK)
	ask.wantWords("The identity provider changes from nothing to " + idp.EntityID)
	if c, err := w.pages.SSO.Connection(t.Context(), s); err != nil || c.Ready() {
		t.Fatalf("saved already: %+v, %v", c, err)
	}
	page = ask.submit("Save the identity provider", nil).wantStatus(http.StatusOK).wantWords("The identity provider is saved")
	page.wantWords(saml.Fingerprint(idp.Cert)[:16])

	w.tested(s, idp, kim.ID, "kim-1", "kim@acme.example", demoidp.Claim{Name: "urn:title", Values: []string{"Boss"}})
	page = b.get(path)
	page.wantWords("The test failed").wantWords("unproved").wantWords("Boss").wantWords("signature of the assertion, ECDSA-SHA256")
	page.submit("Link this identity to me", nil).wantWords("Linked. You can sign in with single sign-on now")
	w.tested(s, idp, kim.ID, "kim-1", "kim@acme.example")
	page = b.get(path).wantWords("The test passed").wantWords("It would sign in kim@acme.example")

	person := "/c/acme/admin/people/" + kim.ID
	b.get(person).wantWords("User identifier kim-1")

	page = page.submit("Save", url.Values{"mode": {"optional"}, "matches": {site.MatchesEmail}, "email": {demoidp.ClaimName}, "hours": {"8"}, "creates": {}, "jobTitle": {"urn:title"}}).wantWords("Saved.")
	c, err := w.pages.SSO.Connection(t.Context(), s)
	if err != nil || c.Mode != signin.SSOOptional || c.Claims.Email != demoidp.ClaimName || c.Claims.JobTitle != "urn:title" || c.Creates || c.Length != 8*time.Hour {
		t.Errorf("got %+v, %v", c, err)
	}
	if now, err := w.pages.Sites.Get(t.Context(), s.ID); err != nil || now.MatchesUserName != site.MatchesEmail {
		t.Errorf("got %+v, %v", now, err)
	}
	page.wantWords("The settings have changed since")
	old := b.get(path)
	page.submit("Save", url.Values{"hours": {"9"}}).wantWords("Saved.")
	old.submit("Save", url.Values{"hours": {"10"}}).wantStatus(http.StatusConflict)
	page.submit("Save", url.Values{"hours": {"x"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Write hours")

	// A new certificate is added, and the old one stays until it is removed.
	first := idp.Cert
	if err := idp.Roll(); err != nil {
		t.Fatal(err)
	}
	page = b.get(path).submit("Import", url.Values{"metadata": {idp.Metadata()}}).wantWords("The certificates changes from").submit("Save the identity provider", nil)
	page.wantWords(saml.Fingerprint(first)[:16]).wantWords(saml.Fingerprint(idp.Cert)[:16])
	b.send(http.MethodPost, path+"/certificates/remove", url.Values{"certificate": {saml.Fingerprint(first)}}).wantWords("no longer trusted")
	b.send(http.MethodPost, path+"/certificates/remove", url.Values{"certificate": {saml.Fingerprint(idp.Cert)}}).wantStatus(http.StatusConflict).wantWords("The last certificate stays")
	if text := b.get(path + "/metadata").Text; !strings.Contains(text, "AssertionConsumerService") {
		t.Errorf("the metadata is %s", text)
	}
	// Another administrator removes the link; it opens nothing afterwards, and Kim is signed out.
	w.person(s, "lee@acme.example", "Lee", roster.RoleAdmin)
	lee := w.signIn(s, "lee@acme.example")
	lee.get(person+"/unlink").wantWords("kim-1", "every session ends").submit("Remove the user identifier", nil).wantWords("is removed")
	lee.get(person).wantWords("User identifier none")
	lee.get(person + "/unlink").wantWords("has no user identifier")
	b.get(path).wantStatus(http.StatusUnauthorized)

	all, err := w.pages.Events.Recent(t.Context(), event.Site(string(s.ID)), "", event.Position{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	for _, e := range all {
		if e.Name == event.SiteSSOChanged && e.By.Kind == event.Admin {
			changes++
		}
	}
	if changes != 5 {
		t.Errorf("%d events about changes, want 5", changes)
	}
}

func TestSingleSignOnIsRequiredAndRecoveryCodesOpenTheSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	kim := w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	w.person(s, "lee@acme.example", "Lee", roster.RoleRegistered)
	b := w.signIn(s, "kim@acme.example")
	idp := w.identityProvider()
	const path = "/c/acme/admin/access/authentication"
	b.get(path).submit("Import", url.Values{"metadata": {idp.Metadata()}}).submit("Save the identity provider", nil)
	page := b.get(path).wantWords("Not yet: pass a test sign-in of your own")
	page.submit("Save", url.Values{"mode": {"required"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("pass a test sign-in")
	w.tested(s, idp, kim.ID, "kim-1", "kim@acme.example")
	b.get(path).submit("Link this identity to me", nil)
	w.tested(s, idp, kim.ID, "kim-1", "kim@acme.example")
	page = b.get(path).wantWords("Not yet: make recovery codes first", "You have none yet")

	made := page.submit("Make recovery codes", nil).wantStatus(http.StatusOK).wantWords("Save these codes", "Earlier codes open nothing")
	if got := made.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("Cache-Control: got %q", got)
	}
	codes := regexp.MustCompile(`\b(?:[a-z2-7]{4}-){3}[a-z2-7]{4}\b`).FindAllString(made.Text, -1)
	if len(codes) != signin.CodesInASet {
		t.Fatalf("the page shows %d codes", len(codes))
	}
	// The form of before, sent again, makes nothing; nor does a reload show a code.
	page.submit("Make recovery codes", nil).wantWords("Nothing new was made")
	page = b.get(path+"/recovery-codes").wantWords("Nothing new was made", "10 codes are left")
	if strings.Contains(page.Text, codes[0]) {
		t.Error("a code is shown again")
	}
	page.submit("Save", url.Values{"mode": {"required"}, "hours": {"9"}}).wantWords("Saved.", "Required")
	if c, err := w.pages.SSO.Connection(t.Context(), s); err != nil || c.Mode != signin.SSORequired || c.Length != 9*time.Hour {
		t.Fatalf("got %+v, %v", c, err)
	}
	if _, err := w.pages.SignIns.IssueSiteLink(t.Context(), s, "lee@acme.example", "cli"); !errors.Is(err, signin.ErrSSORequired) {
		t.Errorf("a link for Lee: got %v", err)
	}

	// A code opens the site once, and the page says how many are left.
	door := w.browser()
	door.get("/c/acme/").wantStatus(http.StatusUnauthorized).wantWords("use a recovery code")
	door.get("/c/acme/recover").submit("Sign in", url.Values{"code": {"aaaa-aaaa-aaaa-aaaa"}}).wantStatus(http.StatusForbidden).wantWords("This code does not open the site")
	door.get("/c/acme/recover").submit("Sign in", url.Values{"code": {codes[0]}}).wantStatus(http.StatusOK).wantWords("You are signed in as Kim", "9 codes are left")
	w.browser().get("/c/acme/recover").submit("Sign in", url.Values{"code": {codes[0]}}).wantStatus(http.StatusForbidden)
}

func TestGuessedCodesAndLinksAreThrottledAndGoodOnesNever(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	kim := w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	codes, err := w.pages.SSO.MakeRecoveryCodes(t.Context(), s, kim, time.Time{}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	for _, code := range codes[:3] {
		b.send(http.MethodPost, "/c/acme/recover", url.Values{"code": {code}}).wantStatus(http.StatusOK)
	}
	for range 10 {
		b.send(http.MethodPost, "/c/acme/recover", url.Values{"code": {"aaaa-aaaa-aaaa-aaaa"}}).wantStatus(http.StatusForbidden)
		b.get("/c/acme/sign-in/" + strings.Repeat("A", 43)).wantStatus(http.StatusGone)
	}
	refused := b.send(http.MethodPost, "/c/acme/recover", url.Values{"code": {codes[3]}}).wantStatus(http.StatusTooManyRequests)
	if got := refused.Header.Get("Retry-After"); got != "15" {
		t.Errorf("Retry-After: got %q, want 15", got)
	}
	b.get("/c/acme/sign-in/" + strings.Repeat("A", 43)).wantStatus(http.StatusTooManyRequests)
	// Another site, even one that does not exist, is not concerned; time pays off what was counted.
	b.send(http.MethodPost, "/c/none/recover", url.Values{"code": {codes[3]}}).wantStatus(http.StatusForbidden)
	w.pass(15 * time.Second)
	b.send(http.MethodPost, "/c/acme/recover", url.Values{"code": {codes[3]}}).wantStatus(http.StatusOK)
}
