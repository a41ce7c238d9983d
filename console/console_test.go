package console_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/console/directorypages"
	"github.com/rollcall-scim/rollcall/console/sitepages"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// world is a whole server over a real SQLite file, with a clock of its own.
type world struct {
	t         *testing.T
	pages     *sitepages.Pages
	operators *operator.Operators
	server    *httptest.Server

	mu  sync.Mutex
	now time.Time
	ids int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	// The tests speak plain http to a server whose public URL is https behind a proxy, as most are run.
	return newWorldAt(t, "https://rollcall.example")
}

func newWorldAt(t *testing.T, publicURL string) *world {
	t.Helper()
	return newWorldOn(t, storetest.New(t), publicURL)
}

func newWorldOn(t *testing.T, db *store.DB, publicURL string) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)}
	c, err := console.New(console.Options{PublicURL: publicURL, Now: w.clock, Version: "test", Events: store.Events{DB: db}})
	if err != nil {
		t.Fatal(err)
	}
	sites := &site.Sites{Store: store.Sites{DB: db}, Now: w.clock, NewID: w.id}
	rosters := &roster.Rosters{Store: store.Rosters{DB: db}, Now: w.clock, NewID: w.id}
	w.operators = &operator.Operators{Store: store.Operators{DB: db}, Now: w.clock, NewID: w.id}
	w.pages = &sitepages.Pages{
		Console: c, Sites: sites, Rosters: rosters, Events: store.Events{DB: db},
		Requests: &requestlog.Log{Store: store.RequestLogs{DB: db}, Sites: sites, Now: w.clock, NewID: w.id},
		Eraser:   &erasure.Eraser{Store: store.Erasures{DB: db}, Rosters: rosters, Now: w.clock},
		SignIns:  &signin.SignIns{Store: store.SignIns{DB: db}, Rosters: rosters, Now: w.clock},
		SSO:      &signin.SingleSignOn{Store: store.SingleSignOn{DB: db}, Rosters: rosters, Sites: sites, Now: w.clock, PublicURL: publicURL, Sealer: newSealer(t)},
	}
	operators := &directorypages.Pages{Console: c, Operators: w.operators, Directories: &directory.Directories{Store: store.Directories{DB: db}, Now: w.clock, NewID: w.id}}
	mux := http.NewServeMux()
	mux.Handle("/assets/", c.Assets())
	mux.Handle("/c/", w.pages.Handler())
	mux.Handle("/d/", operators.Handler())
	mux.Handle("/", c.Front())
	proxies, err := web.ParseProxies([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(web.Front{Proxies: proxies, Now: w.clock}.Handler(mux))
	t.Cleanup(w.server.Close)
	return w
}

// newSealer returns a sealer with a key file of its own.
func newSealer(t *testing.T) *seal.Sealer {
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

func (w *world) site(name string, p site.Profile) site.Site {
	w.t.Helper()
	s := w.newSite(name, p)
	s, err := w.pages.Sites.Update(w.t.Context(), s.ID, "cli", func(s *site.Site) error { s.SetUpLocked = false; return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// newSite makes a site without any sign-in so far: its set-up of SCIM is locked.
func (w *world) newSite(name string, p site.Profile) site.Site {
	w.t.Helper()
	s, err := w.pages.Sites.Create(w.t.Context(), name, p, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// person makes or changes somebody.
func (w *world) person(s site.Site, userName, displayName string, role roster.Role) roster.Person {
	w.t.Helper()
	r := w.pages.Rosters.Open(s)
	report, err := r.Import(w.t.Context(), []roster.ImportRow{{UserName: userName, DisplayName: displayName, Email: userName, Role: role}}, roster.Change{Actor: "cli", Via: roster.ViaImport})
	if err != nil || len(report.Errors) > 0 {
		w.t.Fatal(err, report.Errors)
	}
	p, err := r.PersonByUserName(w.t.Context(), userName)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// signIn opens a one-time link the way a person does: look, then press the button.
func (w *world) signIn(s site.Site, userName string) *browser {
	w.t.Helper()
	link, err := w.pages.SignIns.IssueSiteLink(w.t.Context(), s, userName, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	page := b.get(link.Path)
	page.wantStatus(http.StatusOK)
	page.submit("Sign in as", nil).wantStatus(http.StatusOK)
	return b
}

func (w *world) operator(name string) *browser {
	w.t.Helper()
	link, err := w.operators.Link(w.t.Context(), name, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	b.get(link.Path).submit("Sign in as "+name, nil).wantStatus(http.StatusOK)
	return b
}

// browser is a cookie jar that follows redirects, behind a proxy that speaks https to it.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
}

func (w *world) browser() *browser {
	w.t.Helper()
	return &browser{t: w.t, base: w.server.URL, client: newClient(w.t, w.server)}
}

func newClient(t *testing.T, s *httptest.Server) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: viaProxy{s.Client().Transport}}
}

// viaProxy lets the client believe in https://rollcall.example while it talks to the test's server.
type viaProxy struct{ next http.RoundTripper }

func (p viaProxy) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "rollcall.example" { // a redirect to another server, such as an identity provider, is followed no further
		return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	to := r.Clone(r.Context())
	to.URL.Scheme, to.URL.Host = "http", r.Header.Get("X-Test-Server")
	to.Header.Del("X-Test-Server")
	to.Header.Set("X-Forwarded-Proto", "https")
	to.Header.Set("X-Forwarded-Host", "rollcall.example")
	return p.next.RoundTrip(to)
}

func (b *browser) get(path string) *shown {
	b.t.Helper()
	return b.send(http.MethodGet, path, nil)
}

func (b *browser) send(method, path string, form url.Values) *shown {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, "https://rollcall.example"+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("X-Test-Server", strings.TrimPrefix(b.base, "http://"))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	s := &shown{b: b, Status: answer.StatusCode, Header: answer.Header, Path: answer.Request.URL.RequestURI(), URL: answer.Request.URL.String(), Text: string(text)}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
		s.Root = parseHTML(b.t, s.Text)
	}
	return s
}

// shown is a page as a browser shows it.
type shown struct {
	b      *browser
	Status int
	Header http.Header
	Path   string // where redirects led
	URL    string // the same with scheme and host
	Text   string
	Root   *node
}

func (s *shown) wantStatus(want int) *shown {
	s.b.t.Helper()
	if s.Status != want {
		s.b.t.Fatalf("%s: got status %d, want %d: %s", s.Path, s.Status, want, s.words())
	}
	return s
}

// wantWords demands each text on the page, read as a person does.
func (s *shown) wantWords(texts ...string) *shown {
	s.b.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.words(), text) {
			s.b.t.Errorf("%s: %q is not on the page:\n%s", s.Path, text, s.words())
		}
	}
	return s
}

func (s *shown) wantNoWords(texts ...string) *shown {
	s.b.t.Helper()
	for _, text := range texts {
		if strings.Contains(s.words(), text) {
			s.b.t.Errorf("%s: %q is on the page", s.Path, text)
		}
	}
	return s
}

// words is the text of the page's main part, one blank between words.
func (s *shown) words() string {
	if s.Root == nil {
		return s.Text
	}
	if found := s.Root.all("main"); len(found) > 0 {
		return found[0].text()
	}
	return s.Root.text()
}

// form finds the form of the button whose text begins so, in the main part of the page.
func (s *shown) form(button string) (form, pressed *node) {
	s.b.t.Helper()
	for _, f := range s.Root.all("form") {
		for _, n := range f.all("button") {
			if strings.HasPrefix(n.text(), button) {
				return f, n
			}
		}
	}
	s.b.t.Fatalf("%s: no button %q: %s", s.Path, button, s.words())
	return nil, nil
}

// submit sends the form of that button with the values it shows, changed as said; an empty list leaves a field out.
func (s *shown) submit(button string, change url.Values) *shown {
	s.b.t.Helper()
	form, pressed := s.form(button)
	if pressed.has("disabled") {
		s.b.t.Fatalf("%s: the button %q is disabled", s.Path, button)
	}
	values := form.values()
	for name, list := range change {
		values[name] = list
	}
	action := form.attr["action"]
	if other := pressed.attr["formaction"]; other != "" {
		action = other
	}
	if form.attr["method"] == "get" {
		return s.b.get(action + "?" + values.Encode())
	}
	return s.b.send(http.MethodPost, action, values)
}

// node is an element of a page.
type node struct {
	tag    string
	attr   map[string]string
	kids   []*node
	chars  string // of a node without a tag
	parent *node
}

// voidTags have no end tag.
var voidTags = []string{"meta", "link", "input", "br", "hr", "img", "path", "rect", "use"}

// parseHTML reads what our templates write: every element is closed, which the test so proves too.
func parseHTML(t *testing.T, text string) *node {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = false
	d.AutoClose = voidTags
	d.Entity = xml.HTMLEntity
	root := &node{}
	at := root
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("page cannot be read: %v\n%s", err, text)
		}
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{tag: token.Name.Local, attr: map[string]string{}, parent: at}
			for _, a := range token.Attr {
				n.attr[a.Name.Local] = a.Value
			}
			at.kids = append(at.kids, n)
			at = n
		case xml.EndElement:
			if at.tag != token.Name.Local {
				t.Fatalf("page is not well formed: <%s> is closed by </%s>", at.tag, token.Name.Local)
			}
			at = at.parent
		case xml.CharData:
			at.kids = append(at.kids, &node{chars: string(token), parent: at})
		}
	}
	return root
}

func (n *node) has(attr string) bool {
	_, ok := n.attr[attr]
	return ok
}

// all finds the elements of these tags, in document order.
func (n *node) all(tags ...string) []*node {
	var found []*node
	for _, k := range n.kids {
		if slices.Contains(tags, k.tag) {
			found = append(found, k)
		}
		found = append(found, k.all(tags...)...)
	}
	return found
}

func (n *node) text() string { return strings.Join(strings.Fields(n.rawText()), " ") }

func (n *node) rawText() string {
	if n.tag == "" && n.chars != "" {
		return n.chars
	}
	var b strings.Builder
	for _, k := range n.kids {
		inline := slices.Contains([]string{"", "span", "a", "b", "i", "em", "code", "bdi", "time"}, k.tag)
		if inline && !strings.Contains(k.attr["class"], "under") {
			b.WriteString(k.rawText())
			continue
		}
		b.WriteString(" " + k.rawText() + " ")
	}
	return b.String()
}

// values is what a browser would send of this form as it stands.
func (n *node) values() url.Values {
	v := url.Values{}
	for _, f := range n.all("input", "select", "textarea") {
		name := f.attr["name"]
		kind := f.attr["type"]
		tick := kind == "checkbox" || kind == "radio"
		if name == "" || f.has("disabled") || (tick && !f.has("checked")) {
			continue
		}
		if f.tag == "select" {
			for _, o := range f.all("option") {
				if o.has("selected") {
					v.Add(name, o.attr["value"])
				}
			}
			continue
		}
		v.Add(name, f.attr["value"])
	}
	return v
}

// ofSite is the events of a site, newest first.
func (w *world) ofSite(s site.Site) []event.Event {
	w.t.Helper()
	events, err := w.pages.Events.Recent(w.t.Context(), event.Site(string(s.ID)), "", event.Position{}, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}
