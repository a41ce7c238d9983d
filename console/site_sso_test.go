package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/console"
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
	address, err := w.pages.SSO.StartTest(w.t.Context(), s, signin.SAML, "browser", personID)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.pages.SSO.Finish(w.t.Context(), s, w.answered(idp, address, nameID, userName, more...), session.Browser{}); err != nil {
		w.t.Fatal(err)
	}
}

// answered is the identity provider's answer to a request, about one of its people.
func (w *world) answered(idp *demoidp.Provider, address, nameID, userName string, more ...demoidp.Claim) signin.Response {
	w.t.Helper()
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
	return signin.Response{SAMLResponse: encoded, RelayState: r.RelayState, Browser: "browser"}
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
	refused := page.submit("Import", url.Values{"metadata": {"<html/>"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("this is not SAML metadata")
	if !strings.Contains(refused.Text, ">&lt;html/&gt;</textarea>") {
		t.Error("the refused metadata is not in the form")
	}

	// What would change is shown before it is saved.
	ask := page.submit("Import", url.Values{"metadata": {idp.Metadata()}}).wantStatus(http.StatusOK)
	ask.wantWords("The identity provider changes from nothing to " + idp.EntityID)
	if c, err := w.pages.SSO.Connection(t.Context(), s); err != nil || c.IsReady() {
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
	if err := idp.ReplaceKey(); err != nil {
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

func TestTheSetUpOfSCIMIsLockedUntilASignInSucceeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.newSite("acme", site.Documented)
	kim := w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	b := w.signIn(s, "kim@acme.example")
	const scim = "/c/acme/admin/access/scim"
	// What the command line has set can be seen and switched off.
	token, _, err := w.pages.Sites.CreateToken(t.Context(), s.ID, site.TokenRequest{Name: "by command", Actor: "cli"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.pages.Sites.Update(t.Context(), s.ID, "cli", func(s *site.Site) error { s.ManageRoles = true; return nil }); err != nil {
		t.Fatal(err)
	}
	page := b.get(scim).wantStatus(http.StatusOK).wantWords("Set up single sign-on first", "by command", "Turn SCIM off", "Stop that")
	if strings.Contains(page.Text, "Enable SCIM</label>") {
		t.Error("the locked page shows the form that sets up SCIM")
	}
	for _, path := range []string{"", "/enabled", "/roles", "/tokens", "/schemas", "/schemas/forced", "/searchable"} {
		b.send(http.MethodPost, scim+path, url.Values{"enabled": {"yes"}, "roles": {"yes"}, "form": {"1"}}).wantStatus(http.StatusConflict).wantWords("Nothing was changed")
	}
	b.get(scim + "/tokens/new").wantStatus(http.StatusConflict)
	page.submit("Stop that", nil).wantStatus(http.StatusOK)
	b.send(http.MethodPost, scim+"/tokens/"+token.ID+"/revoke", nil).wantStatus(http.StatusOK)
	b.send(http.MethodPost, scim+"/off", url.Values{"confirm": {"acme"}}).wantStatus(http.StatusOK)
	now, err := w.pages.Sites.Get(t.Context(), s.ID)
	if err != nil || now.SCIMEnabled || now.ManageRoles || !now.SetUpLocked || len(w.liveTokens(s)) != 0 {
		t.Fatalf("got %+v, %v and %d live tokens", now.Settings, err, len(w.liveTokens(s)))
	}

	// A test of single sign-on opens nothing; a sign-in does.
	idp := w.identityProvider()
	const sso = "/c/acme/admin/access/authentication"
	b.get(sso).submit("Import", url.Values{"metadata": {idp.Metadata()}}).submit("Save the identity provider", nil)
	w.tested(s, idp, kim.ID, "kim-1", "kim@acme.example")
	b.get(sso).submit("Link this identity to me", nil)
	b.get(sso).submit("Save", url.Values{"mode": {"optional"}})
	b.get(scim).wantWords("Set up single sign-on first")
	w.signedInBySAML(s, idp, "kim-1", "kim@acme.example")
	b.get(scim).wantWords("Enable SCIM", "Generate a SCIM authorization token")

	// Without single sign-on there is an explicit way round.
	other := w.newSite("other", site.Documented)
	w.person(other, "kim@acme.example", "Kim", roster.RoleAdmin)
	o := w.signIn(other, "kim@acme.example")
	o.get("/c/other/admin/access/scim").submit("Set up SCIM without single sign-on", nil).wantStatus(http.StatusOK).wantWords("without single sign-on", "Generate a SCIM authorization token")
	events := 0
	for _, st := range []site.Site{s, other} {
		for _, e := range w.ofSite(st) {
			if e.Name == event.SiteSetUpUnlocked {
				events++
			}
		}
	}
	if events != 2 {
		t.Errorf("got %d events about the unlocked set-up, want 2", events)
	}
}

// signedInBySAML has a person of the identity provider sign in.
func (w *world) signedInBySAML(s site.Site, idp *demoidp.Provider, nameID, userName string) signin.Session {
	w.t.Helper()
	current, err := w.pages.Sites.Get(w.t.Context(), s.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	address, err := w.pages.SSO.Start(w.t.Context(), current, "browser", "", false)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := w.pages.SSO.Finish(w.t.Context(), current, w.answered(idp, address, nameID, userName), session.Browser{})
	if err != nil {
		w.t.Fatal(err)
	}
	return got.Session
}

func TestAFreshSignInIsNeededForWhatCouldGiveTheSiteAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	kim := w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
	b := w.signIn(s, "kim@acme.example")
	const scim, people = "/c/acme/admin/access/scim", "/c/acme/admin/people/"
	role := people + ada.ID + "/role"
	b.get(role).wantStatus(http.StatusOK)
	page := b.get(scim)
	w.pass(30 * time.Minute)
	page.submit("Generate", nil).wantWords("Sign in again", "Nothing was changed", "rollcall site link acme kim@acme.example")
	asked := b.get(role).wantWords("Sign in again")
	if !strings.Contains(asked.Text, "/c/acme/auth/saml2/login?renew=yes&amp;to="+strings.ReplaceAll(url.QueryEscape(role), "+", "&#43;")) {
		t.Errorf("the page does not lead back:\n%s", asked.Text)
	}
	if n := len(w.liveTokens(s)); n != 0 {
		t.Errorf("%d tokens were made", n)
	}
	for _, rt := range w.pages.Routes() {
		if rt.Access != console.FreshAdministrator {
			continue
		}
		method, path, _ := strings.Cut(rt.Pattern, " ")
		path = strings.NewReplacer("{site}", "acme", "{person}", ada.ID).Replace(path)
		b.send(method, path, url.Values{}).wantWords("Sign in again")
	}
	// What protects works with an old sign-in, and so do pages.
	b.get(people + ada.ID).wantStatus(http.StatusOK).wantWords("Ada")
	b.get(people+ada.ID+"/deactivate").submit("Deactivate", nil).wantWords("Deactivated")
	b.get(scim + "/off").wantStatus(http.StatusOK)

	fresh := w.signIn(s, "kim@acme.example")
	fresh.get(role).wantStatus(http.StatusOK)
	if kim.Role != roster.RoleAdmin {
		t.Errorf("Kim has the role %s", kim.Role)
	}
}

func TestSwitchingSCIMOnNeedsAFreshSignInAndSwitchingOffDoesNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	b := w.signIn(s, "kim@acme.example")
	w.pass(30 * time.Minute)
	const enabled = "/c/acme/admin/access/scim/enabled"
	set := func(on bool) {
		t.Helper()
		if _, err := w.pages.Sites.Update(t.Context(), s.ID, "cli", func(s *site.Site) error { s.SCIMEnabled = on; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	want := func(on bool) {
		t.Helper()
		if now, err := w.pages.Sites.Get(t.Context(), s.ID); err != nil || now.SCIMEnabled != on {
			t.Errorf("SCIM is on: %t, %v; want %t", now.SCIMEnabled, err, on)
		}
	}
	set(false)
	b.send(http.MethodPost, enabled, url.Values{"enabled": {"yes"}}).wantWords("Sign in again", "Nothing was changed")
	want(false)
	set(true)
	b.send(http.MethodPost, enabled, url.Values{}).wantStatus(http.StatusOK).wantNoWords("Sign in again")
	b.send(http.MethodPost, "/c/acme/admin/access/scim/off", url.Values{"confirm": {"acme"}}).wantWords("SCIM is off")
	want(false)
	w.signIn(s, "kim@acme.example").send(http.MethodPost, enabled, url.Values{"enabled": {"yes"}}).wantWords("SCIM is on")
	want(true)
}

// A sign-in that renews asks the identity provider to ask the person again, and does not take an
// older answer.
func TestARenewedSignInIsFresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	kim := w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	b := w.signIn(s, "kim@acme.example")
	idp := w.identityProvider()
	b.get("/c/acme/admin/access/authentication").submit("Import", url.Values{"metadata": {idp.Metadata()}}).submit("Save the identity provider", nil)
	w.tested(s, idp, kim.ID, "kim-1", "kim@acme.example")
	b.get("/c/acme/admin/access/authentication").submit("Link this identity to me", nil)
	b.get("/c/acme/admin/access/authentication").submit("Save", url.Values{"mode": {"optional"}})
	for _, c := range []struct {
		renew bool
		ago   time.Duration
		in    bool
	}{{false, time.Hour, true}, {true, 0, true}, {true, 20 * time.Minute, false}} {
		address, err := w.pages.SSO.Start(t.Context(), s, "browser", "", c.renew)
		if err != nil {
			t.Fatal(err)
		}
		r, err := demoidp.ParseRequest(address)
		if err != nil || r.ForceAuthn != c.renew {
			t.Fatalf("ForceAuthn is %t, want %t; %v", r.ForceAuthn, c.renew, err)
		}
		a := r.Answer("kim-1")
		a.Claims = []demoidp.Claim{{Name: demoidp.ClaimName, Values: []string{"kim@acme.example"}}}
		a.SignedIn = w.clock().Add(-c.ago)
		encoded, err := idp.Respond(a)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.pages.SSO.Finish(t.Context(), s, signin.Response{SAMLResponse: encoded, RelayState: r.RelayState, Browser: "browser"}, session.Browser{})
		if (err == nil) != c.in {
			t.Errorf("renew %t, %s ago: got %v", c.renew, c.ago, err)
		}
	}
}

func TestARefusedRequiredSavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	kim := w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	b := w.signIn(s, "kim@acme.example")
	idp := w.identityProvider()
	const path = "/c/acme/admin/access/authentication"
	b.get(path).submit("Import", url.Values{"metadata": {idp.Metadata()}}).submit("Save the identity provider", nil)
	refused := func(typed url.Values) {
		t.Helper()
		before, err := w.pages.SSO.Connection(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		typed.Set("mode", "required")
		b.get(path).submit("Save", typed).wantStatus(http.StatusUnprocessableEntity).wantWords("cannot be required yet", "ass a test sign-in of your own with these settings first")
		after, err := w.pages.SSO.Connection(t.Context(), s)
		if err != nil || after.Version != before.Version || after.Mode != before.Mode || len(signin.Differences(before, after)) != 0 {
			t.Errorf("%v: saved %+v, %v", typed, after, err)
		}
		if now, err := w.pages.Sites.Get(t.Context(), s.ID); err != nil || now.MatchesUserName != s.MatchesUserName {
			t.Errorf("%v: saved the userName rule %s, %v", typed, now.MatchesUserName, err)
		}
	}
	all := url.Values{"displayName": {"urn:other"}, "unsolicited": {"yes"}, "entityID": {"urn:acme"}, "hours": {"3"}, "matches": {site.MatchesEmail}}
	refused(all)
	w.tested(s, idp, kim.ID, "kim-1", "kim@acme.example")
	b.get(path).submit("Link this identity to me", nil)
	w.tested(s, idp, kim.ID, "kim-1", "kim@acme.example")
	b.get(path).submit("Make recovery codes", nil)
	// The test passed, but not with these settings.
	refused(all)
	refused(url.Values{"displayName": {"urn:other"}})
	refused(url.Values{"matches": {site.MatchesEmail}})

	// A change of the userName rule alone ends the test, and makes a form of before stale.
	old := b.get(path)
	old.submit("Save", url.Values{"matches": {site.MatchesEmail}}).wantWords("Saved.", "The settings have changed since")
	old.submit("Save", url.Values{"matches": {site.MatchesDisplayName}}).wantStatus(http.StatusConflict)
	b.get(path).submit("Save", url.Values{"matches": {site.MatchesDisplayName}}).wantWords("Saved.")
	refused(url.Values{})
	w.tested(s, idp, kim.ID, "kim-1", "kim@acme.example")
	b.get(path).submit("Save", url.Values{"mode": {"required"}}).wantWords("Saved.", "Required")
}

func TestTheKeyOfASiteIsRotatedOnThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	b := w.signIn(s, "kim@acme.example")
	const path = "/c/acme/admin/access/authentication"
	certificates := func() int { return strings.Count(b.get(path+"/metadata").Text, "<X509Certificate>") }
	b.get(path).wantWords("Keys of this site", "There is none yet").submit("Save", url.Values{"signs": {"yes"}}).wantWords("In use")
	if c, err := w.pages.SSO.Connection(t.Context(), s); err != nil || !c.SignRequests || certificates() != 2 {
		t.Errorf("got %+v, %v and %d certificates", c, err, certificates())
	}
	w.pass(time.Minute)
	b.get(path).submit("Announce a new key", nil).wantWords("The key is made", "Announced", "In use")
	if got := certificates(); got != 4 {
		t.Errorf("announced: %d certificates", got)
	}
	b.get(path).submit("Use the new key", nil).wantWords("The new key is in use", "Old")
	if got := certificates(); got != 2 {
		t.Errorf("used: %d certificates", got)
	}
	b.get(path).submit("Remove the old key", nil).wantWords("The old key is removed").wantNoWords("Still decrypts")
	// A step that is not the next one changes nothing.
	b.send(http.MethodPost, path+"/keys/use", nil).wantStatus(http.StatusConflict).wantWords("No new key is announced")
	// The public metadata is that of any site.
	if text := b.get("/c/acme/auth/saml2/metadata").Text; strings.Contains(text, "X509Certificate") {
		t.Errorf("the public metadata names a key: %s", text)
	}
}

func TestThePageSingleSignOnWarnsOfPlainHTTP(t *testing.T) {
	t.Parallel()
	for public, warns := range map[string]bool{"http://rollcall.example": true, "https://rollcall.example": false} {
		w := newWorldAt(t, public)
		s := w.site("acme", site.Documented)
		w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
		page := w.signIn(s, "kim@acme.example").get("/c/acme/admin/access/authentication").wantStatus(http.StatusOK)
		if warns {
			page.wantWords("Single sign-on needs https")
		} else {
			page.wantNoWords("Single sign-on needs https")
		}
	}
}

func TestThePageSingleSignOnSaysThatMetadataWasNotTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	idp := w.identityProvider()
	text := idp.Metadata()
	w.pages.FetchMetadata = func(context.Context, string) ([]byte, error) { return []byte(text), nil }
	w.pages.SSO.ReadMetadata = w.pages.FetchMetadata
	b := w.signIn(s, "kim@acme.example")
	const path = "/c/acme/admin/access/authentication"
	b.get(path).submit("Import", url.Values{"url": {"https://login.example.com/metadata"}}).submit("Save the identity provider", nil)
	refresh := func() *shown {
		w.pass(25 * time.Hour)
		if _, err := w.pages.SSO.AdvanceRefresh(t.Context(), signin.RefreshKey, 1); err != nil {
			t.Fatal(err)
		}
		return w.signIn(s, "kim@acme.example").get(path).wantStatus(http.StatusOK)
	}
	refresh().wantWords("Read again").wantNoWords("not taken over")
	text = strings.ReplaceAll(text, idp.EntityID, "https://other.example/")
	refresh().wantWords("The metadata was not taken over", "it is of another identity provider, https://other.example/")
}

func TestConflictsAreShownSideBySide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site("acme", site.Documented)
	w.person(s, "kim@acme.example", "Kim", roster.RoleAdmin)
	ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
	people := w.pages.Rosters.Open(s)
	if err := people.Link(t.Context(), ada.ID, roster.Asserted{Issuer: "https://idp.example/", Identifier: "ada-1"}, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
		t.Fatal(err)
	}
	wait := func(identifier string) {
		c := signin.Conflict{ID: "id of " + identifier, PersonID: ada.ID, Reason: "identity_conflict", Issuer: "https://idp.example/", Identifier: identifier, Match: "ada@acme.example", DisplayName: "Ada Lovelace", FirstTry: w.clock(), LastTry: w.clock()}
		if err := w.pages.SSO.Store.PutConflict(t.Context(), s.ID, c, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	b := w.signIn(s, "kim@acme.example")
	const path = "/c/acme/admin/access/authentication"
	b.get(path).wantNoWords("Sign-ins that wait")
	wait("ada-2")
	b.get(path).wantWords("Sign-ins that wait", "ada-2", "ada-1", "Ada Lovelace", "Matches", "Differs", "ada-1 no longer opens it").submit("Link to this account ada-2", nil).wantWords("The identity is linked to ada@acme.example").wantNoWords("Sign-ins that wait")
	if i, err := people.IdentityOf(t.Context(), ada.ID); err != nil || i.Identifier != "ada-2" {
		t.Errorf("the identity is %+v, %v", i, err)
	}
	wait("ada-3")
	b.get(path).submit("Dismiss ada-3", nil).wantWords("The sign-in is dismissed").wantNoWords("Sign-ins that wait")
	b.send(http.MethodPost, path+"/conflicts/gone/link", nil).wantStatus(http.StatusNotFound)
}
