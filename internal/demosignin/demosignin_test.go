package demosignin_test

import (
	"errors"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/internal/demosignin"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/store"
)

// company is a directory with an application and people, and its identity provider on a server.
type company struct {
	t        *testing.T
	h        *directory.Handle
	app      directory.Application
	provider *demosignin.Provider
	server   *httptest.Server
	sp       saml.ServiceProvider
}

func newCompany(t *testing.T) *company {
	t.Helper()
	all := &directory.Directories{Store: store.Directories{DB: storetest.New(t)}, Now: time.Now, NewID: uuid.NewString}
	d, err := all.Create(t.Context(), "contoso", "cli")
	if err != nil {
		t.Fatal(err)
	}
	c := &company{t: t, h: all.Open(d), sp: saml.ServiceProvider{EntityID: "https://people.example/acme", ACS: "https://people.example/acme/post"}}
	if c.app, err = c.h.CreateApplication(t.Context(), "Acme", "cli"); err != nil {
		t.Fatal(err)
	}
	c.server = httptest.NewUnstartedServer(nil)
	if c.provider, err = demosignin.New(c.server.Listener.Addr(), "", all, time.Now); err != nil {
		t.Fatal(err)
	}
	c.server.Config.Handler = c.provider.Handler(nil)
	c.server.Start()
	t.Cleanup(c.server.Close)
	c.update(func(s *demosignin.Settings) { s.Identifier, s.ReplyURL = c.sp.EntityID, c.sp.ACS })
	return c
}

func (c *company) update(change func(*demosignin.Settings)) {
	c.t.Helper()
	if err := c.provider.Update(c.h.Directory.ID, c.app.ID, func(s *demosignin.Settings) error { change(s); return nil }); err != nil {
		c.t.Fatal(err)
	}
}

// person makes an assigned user.
func (c *company) person(name string) directory.User {
	c.t.Helper()
	u := c.unassigned(name)
	if _, err := c.h.Assign(c.t.Context(), c.app.ID, []string{u.ObjectID}, "cli"); err != nil {
		c.t.Fatal(err)
	}
	return u
}

func (c *company) unassigned(name string) directory.User {
	c.t.Helper()
	u, _, err := c.h.PutUser(c.t.Context(), directory.User{AccountEnabled: true, Attributes: map[string]any{
		"userPrincipalName": name + "@contoso.example", "displayName": strings.ToUpper(name[:1]) + name[1:], "mail": name + "@mail.example", "jobTitle": "Engineer",
	}}, "cli")
	if err != nil {
		c.t.Fatal(err)
	}
	return u
}

func (c *company) connection() demosignin.Connection {
	c.t.Helper()
	connection, err := c.provider.Connection(c.h.Directory.ID, c.app.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	return connection
}

// known is the identity provider as its published metadata describes it.
func (c *company) known() saml.IdentityProvider {
	c.t.Helper()
	status, text := c.get(c.connection().MetadataURL)
	if status != http.StatusOK {
		c.t.Fatalf("%d %s", status, text)
	}
	idp, err := saml.ParseMetadata([]byte(text))
	if err != nil {
		c.t.Fatal(err)
	}
	return idp
}

func (c *company) get(address string) (int, string) {
	c.t.Helper()
	return answer(c.t, http.MethodGet, address, nil)
}

func answer(t *testing.T, method, address string, form url.Values) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// request is the address to which the application sends the browser.
func (c *company) request() string {
	c.t.Helper()
	address, err := c.sp.Request(c.known(), saml.RequestOptions{ID: "_request", RelayState: "relay"}, time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	return address
}

// pick picks an account on the sign-in page.
func (c *company) pick(u directory.User) (int, string) {
	c.t.Helper()
	return answer(c.t, http.MethodPost, c.request(), url.Values{"account": {u.ObjectID}})
}

var inputs = regexp.MustCompile(`name="(SAMLResponse|RelayState)" value="([^"]*)"`)

// verified has the application verify the response on a page.
func (c *company) verified(page string) (saml.Assertion, error) {
	c.t.Helper()
	form := url.Values{}
	for _, m := range inputs.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	if !strings.Contains(page, `action="`+c.sp.ACS+`"`) || form.Get("RelayState") != "relay" {
		c.t.Fatalf("the page posts no response to the application:\n%s", page)
	}
	return c.sp.Verify(c.known(), form.Get("SAMLResponse"), saml.Expected{RequestID: "_request"}, time.Now())
}

func TestAPersonOfTheDirectorySignsInWithTheClaimsOfEntraID(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	noah := c.person("noah")
	status, page := c.get(c.request())
	if status != http.StatusOK || !strings.Contains(page, "Pick an account") || !strings.Contains(page, "noah@contoso.example") || !strings.Contains(page, "Acme") {
		t.Fatalf("%d\n%s", status, page)
	}
	status, page = c.pick(noah)
	if status != http.StatusOK {
		t.Fatalf("%d\n%s", status, page)
	}
	a, err := c.verified(page)
	if err != nil {
		t.Fatal(err)
	}
	tenant := string(c.h.Directory.ID)
	if a.Issuer != "https://sts.windows.net/"+tenant+"/" || a.NameID != "noah@contoso.example" {
		t.Errorf("issuer %q, NameID %q", a.Issuer, a.NameID)
	}
	got := make(map[string]string)
	for _, attribute := range a.Attributes {
		got[attribute.Name] = strings.Join(attribute.Values, ",")
	}
	for name, want := range map[string]string{
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name":         "noah@contoso.example",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": "noah@mail.example",
		"http://schemas.microsoft.com/identity/claims/displayname":           "Noah",
		"http://schemas.microsoft.com/identity/claims/objectidentifier":      noah.ObjectID,
		"http://schemas.microsoft.com/identity/claims/tenantid":              tenant,
		"jobtitle": "Engineer",
	} {
		if got[name] != want {
			t.Errorf("claim %s: got %q, want %q", name, got[name], want)
		}
	}
	if _, ok := got["department"]; ok {
		t.Error("a claim without a value is sent")
	}
}

func TestSigningOptionsOfTheDemosProvider(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	noah := c.person("noah")
	for option, want := range map[string]string{demosignin.SignAssertion: "assertion", demosignin.SignResponse: "response", demosignin.SignBoth: "response and assertion"} {
		c.update(func(s *demosignin.Settings) { s.Option = option })
		_, page := c.pick(noah)
		a, err := c.verified(page)
		if err != nil || !strings.HasPrefix(a.SignedElements, want+",") {
			t.Errorf("%s: signed %q, %v", option, a.SignedElements, err)
		}
	}
	c.update(func(s *demosignin.Settings) { s.Algorithm = demosignin.SHA1 })
	_, page := c.pick(noah)
	if _, err := c.verified(page); err == nil || !strings.Contains(err.Error(), string(saml.WeakAlgorithm)) {
		t.Errorf("SHA-1: got %v", err)
	}
}

// TestEveryFaultOfTheDemosProviderIsRefused picks an account with each wrong response.
func TestEveryFaultOfTheDemosProviderIsRefused(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	noah := c.person("noah")
	want := map[string]saml.Reason{
		"audience": saml.AudienceMismatch, "recipient": saml.WrongRecipient, "request": saml.UnknownRequest, "expired": saml.Expired, "unsigned": saml.Unsigned,
		"sha1": saml.WeakAlgorithm, "tampered": saml.BadSignature, "two": saml.Structure, "doctype": saml.Directive,
	}
	_, list := c.get(c.request())
	for _, f := range demoidp.Faults() {
		if !strings.Contains(list, `<option value="`+f.Name+`">`) {
			t.Errorf("the page does not offer %s", f.Name)
		}
		_, page := answer(t, http.MethodPost, c.request(), url.Values{"account": {noah.ObjectID}, "fault": {f.Name}})
		a, err := c.verified(page)
		if f.Name == "comment" {
			if err != nil || a.NameID != "noah@contoso.example.other.example" {
				t.Errorf("comment: the NameID is read as %q, %v", a.NameID, err)
			}
			continue
		}
		var wrong *saml.Error
		if !errors.As(err, &wrong) || wrong.Reason != want[f.Name] {
			t.Errorf("%s: got %v, want %q", f.Name, err, want[f.Name])
		}
	}
}

func TestASignInBeginsAtTheDemosProvider(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	noah := c.person("noah")
	address := c.connection().AccessURL
	if status, page := c.get(address); status != http.StatusOK || !strings.Contains(page, "to continue to <bdi>Acme</bdi>") {
		t.Fatalf("%d\n%s", status, page)
	}
	_, page := answer(t, http.MethodPost, address, url.Values{"account": {noah.ObjectID}})
	form := inputs.FindAllStringSubmatch(page, -1)
	if len(form) != 1 || form[0][1] != "SAMLResponse" {
		t.Fatalf("the page posts %v\n%s", form, page)
	}
	response := html.UnescapeString(form[0][2])
	if _, err := c.sp.Verify(c.known(), response, saml.Expected{AllowUnsolicited: true}, time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := c.sp.Verify(c.known(), response, saml.Expected{RequestID: "_request"}, time.Now()); err == nil {
		t.Error("it passes for the answer to a request")
	}
	other, err := c.h.CreateApplication(t.Context(), "Other", "cli")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{other.ID, "nothing", "Acme"} {
		if status, page := c.get(strings.Replace(address, c.app.ID, id, 1)); status != http.StatusBadRequest || !strings.Contains(page, "AADSTS700016") {
			t.Errorf("%s: %d\n%s", id, status, page)
		}
	}
}

func TestANewCertificateSignsOnceItIsActive(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	noah := c.person("noah")
	old := c.known()
	if err := c.provider.AddCertificate(c.h.Directory.ID, c.app.ID); err != nil {
		t.Fatal(err)
	}
	if both := c.known(); len(both.Certificates) != 2 {
		t.Fatalf("the metadata has %d certificates", len(both.Certificates))
	}
	// The application still knows the old certificate alone.
	verify := func() error {
		_, page := c.pick(noah)
		for _, m := range inputs.FindAllStringSubmatch(page, -1) {
			if m[1] == "SAMLResponse" {
				_, err := c.sp.Verify(old, html.UnescapeString(m[2]), saml.Expected{RequestID: "_request"}, time.Now())
				return err
			}
		}
		t.Fatalf("no response on the page:\n%s", page)
		return nil
	}
	if err := verify(); err != nil {
		t.Errorf("before the new one is active: %v", err)
	}
	if err := c.provider.Activate(c.h.Directory.ID, c.app.ID, c.connection().Certificates[1].Thumbprint()); err != nil {
		t.Fatal(err)
	}
	if err := verify(); err == nil {
		t.Error("the old certificate still signs")
	}
	if _, page := c.pick(noah); !strings.Contains(page, "SAMLResponse") {
		t.Errorf("no response:\n%s", page)
	}
}

func TestTheDemosProviderRefusesInTheWordsOfEntraID(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	disabled, deleted, stranger := c.person("dina"), c.person("fiona"), c.unassigned("sam")
	var err error
	if disabled, err = c.h.Disable(t.Context(), disabled.ObjectID, "cli"); err != nil {
		t.Fatal(err)
	}
	if deleted, err = c.h.SoftDelete(t.Context(), deleted.ObjectID, "cli"); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, status int, page, want string) {
		t.Helper()
		if status != http.StatusBadRequest || !strings.Contains(html.UnescapeString(page), want) || !strings.Contains(page, "Correlation Id") || strings.Contains(page, "SAMLResponse\"") {
			t.Errorf("%s: %d, want %q\n%s", what, status, want, page)
		}
	}
	for want, u := range map[string]directory.User{
		"AADSTS50057: The user account is disabled.":                              disabled,
		"AADSTS50034: The user account fiona@contoso.example does not exist":      deleted,
		"AADSTS50105: Your administrator has configured the application Acme":     stranger,
		"AADSTS50034: The user account nobody does not exist in the contoso dire": {ObjectID: "nobody"},
	} {
		status, page := c.pick(u)
		refused(u.UPN(), status, page, want)
	}
	address := c.request()
	for what, one := range map[string]struct{ address, want string }{
		"no request":     {c.connection().LoginURL, "AADSTS750054"},
		"garbage":        {c.connection().LoginURL + "?SAMLRequest=%40%40", "AADSTS75005"},
		"unknown tenant": {strings.Replace(address, string(c.h.Directory.ID), uuid.NewString(), 1), "AADSTS90002"},
	} {
		status, page := c.get(one.address)
		refused(what, status, page, one.want)
	}
	right := c.sp
	for want, sp := range map[string]saml.ServiceProvider{
		"AADSTS700016: Application with identifier 'https://other.example' was not found in the directory 'contoso'": {EntityID: "https://other.example", ACS: right.ACS},
		"AADSTS50011: The reply URL 'https://evil.example/post' specified in the request does not match":             {EntityID: right.EntityID, ACS: "https://evil.example/post"},
	} {
		c.sp = sp
		status, page := c.get(c.request())
		refused(want, status, page, want)
		status, page = c.pick(disabled)
		refused(want, status, page, want)
	}
	// A member of an assigned group is let in.
	c.sp = right
	group, _, err := c.h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Sales"}}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.h.AddMembers(t.Context(), group.ObjectID, []string{stranger.ObjectID}, "cli"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.h.Assign(t.Context(), c.app.ID, []string{group.ObjectID}, "cli"); err != nil {
		t.Fatal(err)
	}
	if status, page := c.pick(stranger); status != http.StatusOK {
		t.Errorf("a member of an assigned group: %d\n%s", status, page)
	}
}

func TestTheDemosProviderChecksItsSettings(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	other, err := c.h.CreateApplication(t.Context(), "Other", "cli")
	if err != nil {
		t.Fatal(err)
	}
	for field, s := range map[string]demosignin.Settings{
		"identifier": {Identifier: "", ReplyURL: "https://a.example/post"},
		"replyURL":   {Identifier: "x", ReplyURL: "javascript:alert(1)"},
		"option":     {Identifier: "x", ReplyURL: "https://a.example/post", Option: "none"},
		"algorithm":  {Identifier: "x", ReplyURL: "https://a.example/post", Option: demosignin.SignBoth, Algorithm: "MD5"},
	} {
		err := c.provider.Update(c.h.Directory.ID, other.ID, func(next *demosignin.Settings) error { *next = s; return nil })
		if e, ok := refusal.Find(err); !ok || e.Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	err = c.provider.Update(c.h.Directory.ID, other.ID, func(next *demosignin.Settings) error {
		next.Identifier, next.ReplyURL = c.sp.EntityID, "http://evil.example/post"
		return nil
	})
	if err == nil {
		t.Error("plain http is accepted for another machine")
	}
	err = c.provider.Update(c.h.Directory.ID, other.ID, func(next *demosignin.Settings) error {
		next.Identifier, next.ReplyURL = c.sp.EntityID, "http://127.0.0.1:1/post"
		return nil
	})
	if e, ok := refusal.Find(err); !ok || e.Kind != refusal.Taken {
		t.Errorf("an identifier twice: got %v", err)
	}
}

// TestOnlyThisMachineReachesTheDemosProvider is about whoever is not at this machine, and about pages
// of other sites whose name leads to it.
func TestOnlyThisMachineReachesTheDemosProvider(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"0.0.0.0:8081", "192.0.2.1:8081", "[::]:8081", "[2001:db8::1]:8081"} {
		if _, err := demosignin.New(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(at)), "", nil, time.Now); err == nil {
			t.Errorf("it is served at %s", at)
		}
	}
	ln, err := demosignin.Listen("0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if host, _, err := net.SplitHostPort(ln.Addr().String()); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("it listens at %s", ln.Addr())
	}
	c := newCompany(t)
	handler := c.provider.Handler(nil)
	for _, one := range []struct {
		host, from string
		want       int
	}{
		{"127.0.0.1:8081", "127.0.0.1:5000", http.StatusOK},
		{"localhost:8081", "127.0.0.1:5000", http.StatusOK},
		{"[::1]:8081", "[::1]:5000", http.StatusOK},
		{"rebound.example:8081", "127.0.0.1:5000", http.StatusForbidden},
		{"127.0.0.1:8081", "192.0.2.1:5000", http.StatusForbidden},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host, r.RemoteAddr = one.host, one.from
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != one.want {
			t.Errorf("%s from %s: got %d, want %d", one.host, one.from, w.Code, one.want)
		}
	}
	// Another origin cannot pick an account.
	noah := c.person("noah")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.request(), strings.NewReader(url.Values{"account": {noah.ObjectID}}.Encode()))
	r.RemoteAddr = "127.0.0.1:5000"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-site")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("a form of another origin: got %d", w.Code)
	}
}
