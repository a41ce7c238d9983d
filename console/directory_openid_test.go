package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/internal/openidtest"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/oidcclient"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// openID lets operators sign in at a real OpenID provider, which has a stranger and these people.
func (o *office) openID(userNames ...string) *openidtest.Provider {
	o.t.Helper()
	op := openidtest.New(o.t)
	op.AddClient("operators", "their-secret", "https://rollcall.example"+operator.CallbackPath)
	for _, name := range append(userNames, "stranger") {
		op.AddUser(openidtest.User{ID: name + "-1", Name: name, Email: name})
	}
	o.pages.OpenID = &operator.OpenID{
		Operators: o.operators, Requests: o.operators.Store.(store.Operators), Providers: oidcclient.New(outbound.Options{AllowLoopback: true}, time.Now),
		Issuer: op.Issuer, ClientID: "operators", Secret: "their-secret", PublicURL: "https://rollcall.example",
		Refused: &event.Refused{Recorder: o.events, Now: time.Now},
	}
	o.handler.Store(o.pages.Handler())
	return op
}

// signInAtProvider opens an address that leads to the provider, signs a person in there, and returns
// the page to which the answer leads.
func (o *office) signInAtProvider(b *browser, op *openidtest.Provider, path, userName string) *shown {
	o.t.Helper()
	return b.get(o.answerOf(b, op, path, userName))
}

// answerOf is like signInAtProvider, and returns the address with the answer.
func (o *office) answerOf(b *browser, op *openidtest.Provider, path, userName string) string {
	o.t.Helper()
	to := b.get(path)
	if !strings.HasPrefix(to.URL, op.Issuer+"/") {
		o.t.Fatalf("%s leads to %s, not to the provider: %s", path, to.URL, to.Text)
	}
	return op.SignIn(o.t, to.URL, userName).RequestURI()
}

func (o *office) browser() *browser {
	return &browser{t: o.t, base: o.server.URL, client: newClient(o.t, o.server)}
}

func TestOperatorsLinkAnIdentityAndSignInWithIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.directory("contoso", "")
	if page := o.browser().get("/d/").wantStatus(http.StatusUnauthorized); strings.Contains(page.words(), "Sign in with") {
		t.Errorf("without a provider: %s", page.words())
	}
	op := o.openID("kim@corp.example", "lee@corp.example")
	host := strings.TrimPrefix(op.Issuer, "http://")
	kim := o.operator()
	kim.get("/d/-/account").wantWords("No identity is linked")
	kim.get("/d/-/account").wantLink(t, "/d/-/openid/link")
	page := o.signInAtProvider(kim, op, "/d/-/openid/link", "kim@corp.example").wantStatus(http.StatusOK)
	page.wantWords("The identity kim@corp.example is linked", "kim@corp.example-1", host, "never")
	if page.Path != "/d/-/account" {
		t.Errorf("leads to %s", page.Path)
	}

	b := o.browser()
	asked := b.get("/d/contoso/users?search=a").wantStatus(http.StatusUnauthorized).wantWords("Sign in with "+host, "one-time link")
	start := asked.wantLink(t, "/d/-/openid/login?to="+url.QueryEscape("/d/contoso/users?search=a"))
	in := o.signInAtProvider(b, op, start, "kim@corp.example").wantStatus(http.StatusOK).wantWords("You are signed in as kim.")
	if in.Path != "/d/contoso/users?search=a" {
		t.Errorf("leads to %s", in.Path)
	}
	b.get("/d/-/account").wantWords("kim@corp.example", "just now")

	// A stranger learns nothing, and others with the same name neither.
	for _, name := range []string{"stranger", "lee@corp.example"} {
		words := o.signInAtProvider(o.browser(), op, "/d/-/openid/login", name).wantStatus(http.StatusForbidden).wantWords("You are not signed in", "This identity opens nothing here", "one-time link").words()
		if strings.Contains(words, "kim") {
			t.Errorf("a stranger reads %s", words)
		}
	}

	// Unlinking asks first. The session goes on, and the identity opens nothing.
	unlink := b.get("/d/-/account").wantLink(t, "/unlink")
	b.get(unlink).wantWords("Unlink the identity kim@corp.example?").press("Unlink identity", nil).wantStatus(http.StatusOK).wantWords("The identity kim@corp.example is unlinked.", "No identity is linked")
	b.get("/d/").wantStatus(http.StatusOK)
	o.signInAtProvider(o.browser(), op, "/d/-/openid/login", "kim@corp.example").wantStatus(http.StatusForbidden)
	b.get(unlink).wantStatus(http.StatusNotFound)
}

// wantLink demands a link whose address has this end or beginning, and returns its address.
func (s *shown) wantLink(t *testing.T, part string) string {
	t.Helper()
	for _, n := range s.Root.all("a") {
		if at := n.attr["href"]; strings.HasPrefix(at, part) || strings.HasSuffix(at, part) {
			return at
		}
	}
	t.Fatalf("%s has no link to %s:\n%s", s.Path, part, s.Text)
	return ""
}

func TestAnIdentityIsLinkedByItsOperatorAloneWithAFreshSignIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	op := o.openID("kim@corp.example")
	kim := o.operator()
	identities := func(name string) int {
		all, err := o.operators.Identities(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}

	// Another website cannot begin it.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://rollcall.example/d/-/openid/link", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Test-Server", strings.TrimPrefix(kim.base, "http://"))
	client := *kim.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, from := range []string{"cross-site", "same-site"} {
		r.Header.Set("Sec-Fetch-Site", from)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if to := answer.Header.Get("Location"); to != "/d/-/account" {
			t.Errorf("another website (%s) leads an operator to %s", from, to)
		}
	}

	// Whoever signs out, or in as someone else, before the answer comes links nothing.
	at := o.answerOf(kim, op, "/d/-/openid/link", "kim@corp.example")
	kim.send(http.MethodPost, "/d/sign-out", url.Values{})
	kim.get(at).wantStatus(http.StatusForbidden).wantWords("could not be accepted")
	if n := identities("kim"); n != 0 {
		t.Errorf("%d identities", n)
	}

	// Of another operator, and of oneself twice.
	kim = o.operator()
	o.signInAtProvider(kim, op, "/d/-/openid/link", "kim@corp.example").wantWords("is linked")
	o.signInAtProvider(kim, op, "/d/-/openid/link", "kim@corp.example").wantStatus(http.StatusConflict).wantWords("No identity was linked", "linked to your account already")
	link, err := o.operators.Link(t.Context(), "lee", "cli")
	if err != nil {
		t.Fatal(err)
	}
	lee := o.browser()
	lee.get(link.Path).submit("Sign in as lee", nil)
	words := o.signInAtProvider(lee, op, "/d/-/openid/link", "kim@corp.example").wantStatus(http.StatusConflict).wantWords("linked to another operator").words()
	if strings.Contains(words, "kim") || identities("kim") != 1 || identities("lee") != 0 {
		t.Errorf("lee reads %s; kim has %d identities, lee %d", words, identities("kim"), identities("lee"))
	}
	all, err := o.operators.Identities(t.Context(), "kim")
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		lee.send(method, "/d/-/account/identities/"+all[0].ID+"/unlink", url.Values{}).wantStatus(http.StatusNotFound)
	}

	// With an old sign-in the page asks for a fresh one, which the provider can give.
	o.operators.Now = func() time.Time { return time.Now().Add(session.FreshTime) }
	again := kim.get("/d/-/openid/link").wantWords("Sign in again", "linking an identity").wantLink(t, "/d/-/openid/login?renew=yes&to="+url.QueryEscape("/d/-/openid/link"))
	o.operators.Now = func() time.Time { return time.Now().Add(time.Minute) } // the token is not too old for the clock
	to := kim.get(again)
	if !strings.Contains(to.URL, "prompt=login") || !strings.Contains(to.URL, "max_age=0") {
		t.Errorf("a fresh sign-in begins at %s", to.URL)
	}
	back := op.SignIn(t, to.URL, "kim@corp.example")
	if page := kim.get(back.RequestURI()).wantStatus(http.StatusOK); page.Path != "/d/-/account" {
		t.Errorf("leads to %s", page.Path)
	}
}

// A browser has one session: the one before ends when its person signs in again.
func TestASignInOfAnOperatorReplacesTheSessionOfTheBrowser(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	op := o.openID("kim@corp.example")
	kim := o.operator()
	o.signInAtProvider(kim, op, "/d/-/openid/link", "kim@corp.example").wantWords("is linked")
	live := func() int {
		t.Helper()
		all, err := o.operators.Sessions(t.Context(), "kim", "")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if n := live(); n != 1 {
		t.Fatalf("%d sessions before", n)
	}
	o.signInAtProvider(kim, op, "/d/-/openid/login", "kim@corp.example").wantWords("You are signed in as kim.")
	if n := live(); n != 1 {
		t.Errorf("%d sessions after a sign-in in the same browser, want 1", n)
	}
	o.signInAtProvider(o.browser(), op, "/d/-/openid/login", "kim@corp.example").wantWords("You are signed in as kim.")
	if n := live(); n != 2 {
		t.Errorf("%d sessions after a sign-in in another browser, want 2", n)
	}
	kim.send(http.MethodPost, "/d/sign-out", url.Values{})
	if n := live(); n != 1 {
		t.Errorf("%d sessions after a sign-out, want 1", n)
	}
}

func TestTheAddressAtTheProviderIsNotKeptOrPassedOn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.openID("kim@corp.example")
	b := o.browser()
	client := *b.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://rollcall.example/d/-/openid/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Test-Server", strings.TrimPrefix(b.base, "http://"))
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Referrer-Policy") != "no-referrer" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d with %v", answer.StatusCode, answer.Header)
	}
}

func TestTheAnswerForAnOperatorMustComeFromTheBrowserThatAskedOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	op := o.openID("kim@corp.example")
	o.signInAtProvider(o.operator(), op, "/d/-/openid/link", "kim@corp.example").wantWords("is linked")
	b, thief := o.browser(), o.browser()
	at := o.answerOf(b, op, "/d/-/openid/login", "kim@corp.example")
	page := b.get(at).wantStatus(http.StatusOK).wantWords("You are signed in as kim.")
	if page.Path != "/d/" {
		t.Errorf("leads to %s", page.Path)
	}
	b.get(at).wantStatus(http.StatusForbidden)
	thief.get(at).wantStatus(http.StatusForbidden)
	at = o.answerOf(b, op, "/d/-/openid/login", "kim@corp.example")
	thief.get("/d/-/openid/login") // the thief has a cookie of its own
	refused := thief.get(at).wantStatus(http.StatusForbidden).wantWords("could not be accepted")
	if got := refused.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy: got %q", got)
	}
	thief.get("/d/").wantStatus(http.StatusUnauthorized)
	b.get(at).wantStatus(http.StatusForbidden)
	if err := o.pages.OpenID.Refused.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := o.events.Recent(t.Context(), event.Installation(), "", event.Position{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range entries {
		texts = append(texts, e.Name+" "+e.Text)
	}
	if all := strings.Join(texts, "\n"); !strings.Contains(all, "operator.sign_in_refused A sign-in of an operator by OpenID Connect was refused (other_browser)") || strings.Contains(all, "page.refused") {
		t.Errorf("the events are\n%s", all)
	}
}

func TestFailedSignInsOfOperatorsAreThrottledAndGoodOnesNever(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	now := time.Now()
	o.pages.Console.Options.Now = func() time.Time { return now } // no time passes, so nobody may try once more
	op := o.openID("kim@corp.example")
	o.signInAtProvider(o.operator(), op, "/d/-/openid/link", "kim@corp.example").wantWords("is linked")
	attacker, kim := o.browser(), o.browser()
	// The failures of the provider are not those of the people who sign in.
	op.Replace("/oauth/token", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	for range 21 {
		o.signInAtProvider(kim, op, "/d/-/openid/login", "kim@corp.example").wantStatus(http.StatusServiceUnavailable)
	}
	op.Replace("/oauth/token", nil)
	waits := 0
	for range 30 {
		if page := attacker.get("/d/-/openid/callback?state=guessed&code=x"); page.Status == http.StatusTooManyRequests {
			waits++
			if page.Header.Get("Retry-After") == "" {
				t.Error("it does not say how long")
			}
		}
	}
	if waits != 10 {
		t.Errorf("%d of 30 guesses had to wait, want 10", waits)
	}
	page := o.signInAtProvider(kim, op, "/d/-/openid/login", "kim@corp.example").wantStatus(http.StatusOK).wantWords("You are signed in as kim.")
	if page.Header.Get("Retry-After") != "" {
		t.Error("the page of a good sign-in says that it should wait")
	}
	// Sign-ins that begin and never end are throttled too, and later than any operator begins them.
	began := 0
	for range 130 {
		if page := attacker.get("/d/-/openid/login"); page.Status == http.StatusOK {
			began++
		}
	}
	if want := 100 - 21; began != want { // the good sign-in does not count
		t.Errorf("%d of 130 sign-ins began at once, want %d", began, want)
	}
}

func TestGuessedLinksOfOperatorsAreThrottledAndGoodOnesNever(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.operator()
	b := o.browser()
	var last string
	for range 3 {
		link, err := o.operators.Link(t.Context(), "kim", "cli")
		if err != nil {
			t.Fatal(err)
		}
		last = link.Path
		b.get(last).submit("Sign in as kim", nil).wantStatus(http.StatusOK)
	}
	// Neither good links count nor used ones, which no one has guessed.
	for range 30 {
		b.get(last).wantStatus(http.StatusGone)
	}
	guessed, waits := "/d/sign-in/"+strings.Repeat("A", 43), 0
	for i := range 30 {
		method := []string{http.MethodGet, http.MethodPost}[i%2]
		if page := b.send(method, guessed, nil); page.Status == http.StatusTooManyRequests {
			waits++
			if page.Header.Get("Retry-After") == "" {
				t.Error("it does not say how long")
			}
		}
	}
	if waits < 5 {
		t.Errorf("%d of 30 guesses had to wait", waits)
	}
}

// TestNoOpenIDAnswerOfASiteOpensAnOperatorAndTheOtherWayRound uses one provider for a site and for the
// operators, and brings the answer for one to the other.
func TestNoOpenIDAnswerOfASiteOpensAnOperatorAndTheOtherWayRound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pass(time.Since(w.clock())) // the provider has the time of day
	s := w.site("acme", site.Documented)
	w.person(s, "kim@acme.example", "Kim", roster.RoleRegistered)
	op := openidtest.New(t)
	op.AddClient("both", "secret", "https://rollcall.example/c/acme/auth/oidc/callback", "https://rollcall.example"+operator.CallbackPath)
	op.AddUser(openidtest.User{ID: "kim-1", Name: "kim@acme.example", Email: "kim@acme.example"})
	providers := oidcclient.New(outbound.Options{AllowLoopback: true}, w.clock)
	w.pages.SSO.OpenID = providers
	if _, err := w.pages.SSO.SetConnection(t.Context(), s, -1, "cli", func(n *signin.Connection) error {
		n.Protocol, n.Mode = signin.OpenID, signin.SSOOptional
		n.OpenID.Issuer, n.OpenID.ClientID, n.OpenID.Secret = op.Issuer, "both", "secret"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	operators := &operator.OpenID{
		Operators: w.operators, Requests: w.operators.Store.(store.Operators), Providers: providers, Issuer: op.Issuer, ClientID: "both", Secret: "secret", PublicURL: "https://rollcall.example",
	}
	const browser = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	sam := w.startOperator("sam")
	who, err := w.operators.UseSession(t.Context(), sam, session.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	bring := func(address string) codeflow.Answer {
		t.Helper()
		return codeflow.Answer{Answer: oidc.ReadAnswer(op.SignIn(t, address, "kim@acme.example").Query()), Browser: browser}
	}
	address, err := operators.StartLink(t.Context(), browser, who)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := operators.Finish(t.Context(), bring(address), sam, session.Browser{}); err != nil {
		t.Fatal(err)
	}

	ofSite := func() string {
		address, err := w.pages.SSO.Start(t.Context(), s, browser, "", false)
		if err != nil {
			t.Fatal(err)
		}
		return address
	}
	ofOperators := func() string {
		address, err := operators.Start(t.Context(), browser, "", false)
		if err != nil {
			t.Fatal(err)
		}
		return address
	}
	got, err := operators.Finish(t.Context(), bring(ofSite()), "", session.Browser{})
	if f, _ := refusal.DataOf[operator.RefusedSignIn](err); f.Reason != "unknown_request" {
		t.Errorf("a site's answer, for operators: %+v, %v", got, err)
	}
	in, err := w.pages.SSO.FinishOpenID(t.Context(), s, bring(ofOperators()), session.Browser{})
	if f, _ := refusal.DataOf[signin.FailedSignIn](err); f.Reason != "unknown_request" {
		t.Errorf("an operator's answer, at a site: %+v, %v", in, err)
	}
	// The code of one with the state of the other: the redirect address and the verifier differ.
	mixed, code := bring(ofOperators()), bring(ofSite())
	mixed.Code = code.Code
	if got, err := operators.Finish(t.Context(), mixed, "", session.Browser{}); err == nil {
		t.Errorf("a site's code with the state of an operator: %+v", got)
	}
	// Each is good where it belongs.
	if _, err := operators.Finish(t.Context(), bring(ofOperators()), "", session.Browser{}); err != nil {
		t.Error(err)
	}
	if _, err := w.pages.SSO.FinishOpenID(t.Context(), s, bring(ofSite()), session.Browser{}); err != nil {
		t.Error(err)
	}
}
