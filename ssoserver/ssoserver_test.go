package ssoserver_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/console/sitepages"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/ssoserver"
	"github.com/rollcall-scim/rollcall/store"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

const publicURL = "https://people.example.com"

// world is a server with the site acme, which is connected to an identity provider. It is reached
// behind a proxy that ends TLS.
type world struct {
	t       testing.TB
	handler http.Handler
	idp     *demoidp.Provider
	sites   *site.Sites
	rosters *roster.Rosters
	sso     *signin.SingleSignOn
	acme    site.Site
	pages   *sitepages.Pages
	saml    *ssoserver.Handler

	mu  sync.Mutex
	now time.Time
	ids int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db := storetest.New(t)
	w := &world{t: t, now: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)}
	w.sites = &site.Sites{Store: store.Sites{DB: db}, Now: w.clock, NewID: w.id}
	w.rosters = &roster.Rosters{Store: store.Rosters{DB: db}, Now: w.clock, NewID: w.id}
	w.sso = &signin.SingleSignOn{Store: store.SingleSignOn{DB: db}, Rosters: w.rosters, Sites: w.sites, Now: w.clock, PublicURL: publicURL, Refused: &event.Refused{Recorder: store.Events{DB: db}, Now: w.clock}, Sealer: newSealer(t)}
	requests := &requestlog.Log{Store: store.RequestLogs{DB: db}, Sites: w.sites, Now: w.clock, NewID: w.id}
	c, err := console.New(console.Options{PublicURL: publicURL, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	pages := &sitepages.Pages{
		Console: c, Sites: w.sites, Rosters: w.rosters, SSO: w.sso, Requests: requests, Events: store.Events{DB: db},
		SignIns: &signin.SignIns{Store: store.SignIns{DB: db}, Rosters: w.rosters, Now: w.clock},
	}
	h := &ssoserver.Handler{
		Sites: w.sites, SSO: w.sso, Secure: true, Now: w.clock, Enter: pages.Enter, Administrator: pages.Administrator,
		Show: func(rw http.ResponseWriter, r *http.Request, m ssoserver.Message) {
			c.ShowProblem(rw, r, &console.PageError{Status: m.Status, Title: m.Title, Text: m.Text})
		},
	}
	w.pages, w.saml = pages, h
	mux := http.NewServeMux()
	mux.Handle("/c/", pages.Handler())
	routes := h.Routes()
	for _, prefix := range ssoserver.Prefixes {
		mux.Handle(prefix, routes)
	}
	scim := &scimserver.Handler{Sites: w.sites, Rosters: w.rosters, Requests: requests, Now: w.clock, BaseURL: func(*http.Request) string { return publicURL }}
	w.handler = web.Front{Now: w.clock}.Handler(scim.Before(mux))
	if w.idp, err = demoidp.New("https://login.example.com/saml2", w.clock); err != nil {
		t.Fatal(err)
	}
	w.acme = w.site("acme")
	w.connect(w.acme)
	return w
}

// newSealer returns a sealer with a key file of its own.
func newSealer(t testing.TB) *seal.Sealer {
	t.Helper()
	s, _, err := seal.OpenOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) id() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("id-%04d", w.ids)
}

func (w *world) site(name string) site.Site {
	w.t.Helper()
	made, err := w.sites.Create(w.t.Context(), name, site.Documented, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

func (w *world) connect(st site.Site) {
	w.t.Helper()
	idp, err := saml.ParseMetadata([]byte(w.idp.Metadata()))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.sso.SetConnection(w.t.Context(), st, -1, "cli", func(c *signin.Connection) error { c.Provider, c.Mode = idp, signin.SSOOptional; return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// browser keeps cookies as browsers do: of each it knows whether it goes with a form that another
// site posts.
type browser struct {
	w       *world
	cookies map[string]*http.Cookie
	address string
}

func (w *world) browser() *browser {
	return &browser{w: w, cookies: map[string]*http.Cookie{}, address: "192.0.2.1:1234"}
}

// answered is a response with its body.
type answered struct {
	*http.Response
	text string
}

func (b *browser) send(method, path string, form url.Values, fromElsewhere bool) answered {
	b.w.t.Helper()
	r := httptest.NewRequestWithContext(b.w.t.Context(), method, publicURL+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if fromElsewhere {
		r.Header.Set("Origin", "https://login.example.com")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	r.RemoteAddr = b.address
	for _, c := range b.cookies {
		if !fromElsewhere || c.SameSite == http.SameSiteNoneMode && c.Secure {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	rec := httptest.NewRecorder()
	b.w.handler.ServeHTTP(rec, r)
	a := rec.Result()
	for _, c := range a.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c
	}
	text, err := io.ReadAll(a.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return answered{a, string(text)}
}

func (b *browser) get(path string) answered { return b.send(http.MethodGet, path, nil, false) }

// start begins a sign-in and returns the request at the identity provider.
func (b *browser) start(path string) demoidp.Request {
	b.w.t.Helper()
	a := b.get(path)
	if a.StatusCode != http.StatusSeeOther {
		b.w.t.Fatalf("%s: got %d\n%s", path, a.StatusCode, a.text)
	}
	r, err := demoidp.ParseRequest(a.Header.Get("Location"))
	if err != nil {
		b.w.t.Fatal(err)
	}
	return r
}

// respond posts the identity provider's answer, from its page.
func (b *browser) respond(r demoidp.Request, a demoidp.Answer) answered {
	b.w.t.Helper()
	encoded, err := b.w.idp.Respond(a)
	if err != nil {
		b.w.t.Fatal(err)
	}
	u, err := url.Parse(a.ACS)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return b.send(http.MethodPost, u.Path, url.Values{"SAMLResponse": {encoded}, "RelayState": {r.RelayState}}, true)
}

func about(r demoidp.Request, userName string) demoidp.Answer {
	a := r.Answer("id of " + userName)
	a.Claims = []demoidp.Claim{{Name: demoidp.ClaimName, Values: []string{userName}}, {Name: demoidp.ClaimEmail, Values: []string{userName}}}
	return a
}

func want(t *testing.T, a answered, status int, words string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.text, words) {
		t.Fatalf("got %d, want %d and %q\n%s", a.StatusCode, status, words, a.text)
	}
}

func TestASignInWithAnEntraShapedIdentityProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	r := b.start("/c/acme/auth/saml2/login?to=/c/acme/sign-out-everywhere")
	if r.Issuer != publicURL+"/c/acme/auth/saml2/metadata" || r.ACS != publicURL+"/c/acme/auth/saml2/post" {
		t.Errorf("the request is %+v", r)
	}
	a := b.respond(r, about(r, "ada@acme.example"))
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/c/acme/sign-out-everywhere" {
		t.Fatalf("got %d to %s\n%s", a.StatusCode, a.Header.Get("Location"), a.text)
	}
	for _, c := range b.cookies {
		if !c.Secure || !c.HttpOnly || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("the cookie %+v", c)
		}
	}
	want(t, b.get("/c/acme/"), http.StatusOK, "ada@acme.example")

	// The company's Entra ID deactivates her: the next click is the sign-in page.
	st, err := w.sites.Update(t.Context(), w.acme.ID, "cli", func(s *site.Site) error { s.SCIMEnabled = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := w.sites.CreateToken(t.Context(), st.ID, site.TokenRequest{Name: "Entra ID", FormNumber: "1", Actor: "cli"})
	if err != nil {
		t.Fatal(err)
	}
	person, err := w.rosters.Open(st).PersonByUserName(t.Context(), "ada@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	patch := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, publicURL+"/c/acme/auth/scim/v2/Users/"+person.ID, strings.NewReader(
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`))
	patch.Header.Set("Authorization", "Bearer "+token)
	patch.Header.Set("Content-Type", "application/scim+json")
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, patch)
	if rec.Code != http.StatusOK {
		t.Fatalf("PATCH: %d %s", rec.Code, rec.Body)
	}
	want(t, b.get("/c/acme/"), http.StatusUnauthorized, "Sign in with single sign-on")
	if all, err := w.rosters.Open(st).Sessions(t.Context(), person.ID, ""); err != nil || len(all) > 0 {
		t.Errorf("sessions %+v, %v", all, err)
	}
	rows, _, err := (&requestlog.Log{Store: w.requestStore(), Sites: w.sites, Now: w.clock}).Page(t.Context(), st.ID, requestlog.Query{Filter: requestlog.Filter{OnlyChanges: true}, Limit: 10})
	if err != nil || len(rows) != 1 || !strings.Contains(rows[0].Sentence, "1 session ended") {
		t.Errorf("the request log has %+v, %v", rows, err)
	}
	r = b.start("/c/acme/auth/saml2/login")
	want(t, b.respond(r, about(r, "ada@acme.example")), http.StatusForbidden, "This account is deactivated")
}

func (w *world) requestStore() requestlog.Store {
	return store.RequestLogs{DB: w.sso.Store.(store.SingleSignOn).DB}
}

func TestTheResponseMustComeFromTheBrowserThatAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	victim, attacker := w.browser(), w.browser()
	r := attacker.start("/c/acme/auth/saml2/login")
	victim.start("/c/acme/auth/saml2/login")
	// The attacker signs in as Mallory and has the victim's browser post the response.
	a := victim.respond(r, about(r, "mallory@acme.example"))
	want(t, a, http.StatusForbidden, "could not be accepted")
	want(t, victim.get("/c/acme/"), http.StatusUnauthorized, "Sign in")
}

func TestNobodyLearnsWhichSitesThereAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.site("unconnected") // without single sign-on
	same := func(method, rest string, form url.Values) {
		t.Helper()
		var seen []string
		for _, name := range []string{"unconnected", "absent"} {
			a := w.browser().send(method, strings.ReplaceAll("/c/"+name+"/auth/saml2/"+rest, "saml2/../", ""), form, method == http.MethodPost)
			if a.StatusCode >= 500 {
				t.Errorf("%s %s: %d", method, rest, a.StatusCode)
			}
			text := strings.ReplaceAll(a.text, name, "NAME")
			seen = append(seen, fmt.Sprintf("%d %v %s", a.StatusCode, a.Header["Content-Type"], text))
		}
		if seen[0] != seen[1] {
			t.Errorf("%s %s:\n%s\n%s", method, rest, seen[0], seen[1])
		}
	}
	same(http.MethodGet, "metadata", nil)
	same(http.MethodGet, "login", nil)
	same(http.MethodGet, "login?to=/c/absent/admin", nil)
	same(http.MethodGet, "test", nil)
	same(http.MethodGet, "sign-out", nil)
	same(http.MethodGet, "sign-out?go=x", nil)
	same(http.MethodGet, "sign-out?SAMLRequest=AAAA", nil)
	same(http.MethodPost, "sign-out", url.Values{"SAMLRequest": {"AAAA"}})
	same(http.MethodGet, "other", nil)
	same(http.MethodPost, "post", nil)
	same(http.MethodPost, "post", url.Values{"SAMLResponse": {"AAAA"}, "RelayState": {"x"}})
	for _, rest := range []string{"login", "test", "callback", "callback?state=x&code=y", "callback?error=access_denied", "other"} {
		same(http.MethodGet, "../oidc/"+rest, nil)
	}
	connected, absent := w.browser().get("/c/acme/auth/saml2/metadata"), w.browser().get("/c/absent/auth/saml2/metadata")
	want(t, connected, http.StatusOK, "AssertionConsumerService")
	if strings.ReplaceAll(connected.text, "acme", "absent") != absent.text {
		t.Errorf("the metadata of a connected site differs:\n%s\n%s", connected.text, absent.text)
	}
}

func TestAGoodSignInGoesThroughWhileItsSourceIsThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad, good := w.browser(), w.browser()
	forged := func(b *browser, relay string) answered {
		return b.send(http.MethodPost, "/c/acme/auth/saml2/post", url.Values{"SAMLResponse": {"AAAA"}, "RelayState": {relay}}, true)
	}
	for range 20 {
		want(t, forged(bad, ""), http.StatusForbidden, "reference")
	}
	r := good.start("/c/acme/auth/saml2/login")
	// Forgeries of the same address wait, with a relay state of another browser too.
	for _, relay := range []string{"", "unknown", r.RelayState} {
		if a := forged(bad, relay); a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "15" {
			t.Errorf("relay state %q: got %d, %v", relay, a.StatusCode, a.Header)
		}
	}
	if a := good.respond(r, about(r, "bo@acme.example")); a.StatusCode != http.StatusSeeOther {
		t.Errorf("a good sign-in: got %d\n%s", a.StatusCode, a.text)
	}
	want(t, good.get("/c/acme/"), http.StatusOK, "bo@acme.example")
	// A request opens the way once: the second response to it waits.
	r = bad.start("/c/acme/auth/saml2/login")
	want(t, forged(bad, r.RelayState), http.StatusForbidden, "reference")
	if a := forged(bad, r.RelayState); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the second response to one request: got %d", a.StatusCode)
	}
}

func TestACompanyBehindOneAddressSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	for i := range 1200 {
		r := b.start("/c/acme/auth/saml2/login")
		if a := b.respond(r, about(r, "bo@acme.example")); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("sign-in %d: got %d\n%s", i, a.StatusCode, a.text)
		}
	}
	for i := range 1000 {
		if a := b.get("/c/acme/auth/saml2/login"); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("start %d without an end: got %d", i, a.StatusCode)
		}
	}
	if a := b.get("/c/acme/auth/saml2/login"); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one start more: got %d", a.StatusCode)
	}
}

func TestFailedSignInsAreThrottledAndGoodOnesNever(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.browser()
	for range 30 {
		r := good.start("/c/acme/auth/saml2/login")
		if a := good.respond(r, about(r, "bo@acme.example")); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("got %d\n%s", a.StatusCode, a.text)
		}
	}
	bad := w.browser()
	bad.address = "[2001:db8::1]:99"
	post := func() answered {
		return bad.send(http.MethodPost, "/c/acme/auth/saml2/post", url.Values{"SAMLResponse": {"AAAA"}}, true)
	}
	for range 20 {
		want(t, post(), http.StatusForbidden, "reference")
	}
	bad.address = "[2001:db8::2]:99" // of the same network
	if a := post(); a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "15" {
		t.Errorf("got %d, %v", a.StatusCode, a.Header)
	}
	r := good.start("/c/acme/auth/saml2/login")
	if a := good.respond(r, about(r, "bo@acme.example")); a.StatusCode != http.StatusSeeOther {
		t.Errorf("another source: got %d", a.StatusCode)
	}
	w.pass(15 * time.Second)
	want(t, post(), http.StatusForbidden, "reference")
	if err := w.sso.Refused.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTheConsumerTakesFormsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	want(t, b.send(http.MethodPost, "/c/acme/auth/saml2/post", url.Values{"SAMLResponse": {strings.Repeat("A", 600<<10)}}, true), http.StatusRequestEntityTooLarge, "512 KiB")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, publicURL+"/c/acme/auth/saml2/post", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	if rec.Code != http.StatusUnsupportedMediaType {
		t.Errorf("JSON: got %d", rec.Code)
	}
	if a := b.get("/c/acme/auth/saml2/post"); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d", a.StatusCode)
	}
}

func TestATestIsForAdministrators(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	r := ada.start("/c/acme/auth/saml2/login")
	ada.respond(r, about(r, "ada@acme.example"))
	for name, b := range map[string]*browser{"nobody": w.browser(), "a person without a role": ada} {
		if a := b.get("/c/acme/auth/saml2/test"); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: got %d", name, a.StatusCode)
		}
	}
	people := w.rosters.Open(w.acme)
	if _, err := people.Import(t.Context(), []roster.ImportRow{{UserName: "kim@acme.example", Role: roster.RoleAdmin}}, roster.Change{Actor: "cli", Via: roster.ViaImport}); err != nil {
		t.Fatal(err)
	}
	kim, err := people.PersonByUserName(t.Context(), "kim@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := people.StartSession(t.Context(), kim.ID, session.Limits{}, session.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.cookies["s"] = &http.Cookie{Name: "__Host-" + sitepages.SessionCookie + "-acme", Value: secret, SameSite: http.SameSiteLaxMode}
	r = b.start("/c/acme/auth/saml2/test")
	a := b.respond(r, about(r, "new@acme.example"))
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/c/acme/admin/access/authentication" {
		t.Fatalf("got %d, %v\n%s", a.StatusCode, a.Header, a.text)
	}
	if _, err := people.PersonByUserName(t.Context(), "new@acme.example"); err == nil {
		t.Error("the test made an account")
	}
	if got, ok, err := w.sso.LastTest(t.Context(), w.acme, kim.ID); !ok || err != nil || !got.Passed {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
}
