package scimserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

const tenantURL = "/c/acme/auth/scim/v2"

// deviceSchemas defines a small resource type of a site.
const deviceSchemas = `{
  "schemas": [{"id": "urn:example:Device", "name": "Device", "description": "A device.", "attributes": [
    {"name": "serial", "type": "string", "multiValued": false, "description": "Serial number.", "required": true, "caseExact": true, "mutability": "immutable", "returned": "default", "uniqueness": "server"},
    {"name": "displayName", "type": "string", "multiValued": false, "description": "Name.", "required": false, "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "none"}
  ]}],
  "resourceTypes": [{"id": "Device", "name": "Device", "endpoint": "/Devices", "description": "Device", "schema": "urn:example:Device"}]
}`

// world is a Handler on a real SQLite store, with the site acme and a clock that advances one
// minute with each request.
type world struct {
	t          testing.TB
	handler    *scimserver.Handler
	sites      *site.Sites
	requestLog *requestlog.Log
	rosters    *roster.Rosters
	db         *store.DB
	site       site.Site
	token      string // of acme
	tokenID    string

	mu  sync.Mutex
	now time.Time
	ids map[string]int
}

func newWorld(t testing.TB, p site.Profile) *world {
	t.Helper()
	return newWorldOn(t, storetest.New(t), p)
}

func newWorldOn(t testing.TB, db *store.DB, p site.Profile) *world {
	t.Helper()
	w := &world{t: t, db: db, now: time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC), ids: map[string]int{}}
	w.sites = &site.Sites{Store: store.Sites{DB: w.db}, Now: w.clock, NewID: w.newID("s")}
	w.rosters = &roster.Rosters{Store: store.Rosters{DB: w.db}, Now: w.clock, NewID: w.newID("u")}
	w.requestLog = &requestlog.Log{Store: store.RequestLogs{DB: w.db}, Sites: w.sites, Now: w.clock, NewID: w.newID("s")}
	w.handler = &scimserver.Handler{
		Sites:    w.sites,
		Requests: w.requestLog,
		Rosters:  w.rosters,
		BaseURL:  func(*http.Request) string { return "https://scim.test" },
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now:      w.clock,
	}
	w.site, w.token, w.tokenID = w.newSite("acme", p)
	return w
}

func (w *world) newSite(name string, p site.Profile) (made site.Site, token, tokenID string) {
	w.t.Helper()
	made, err := w.sites.Create(w.ctx(), name, p, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
	tok, secret, err := w.sites.CreateToken(w.ctx(), made.ID, site.TokenRequest{Actor: "cli"})
	if err != nil {
		w.t.Fatal(err)
	}
	made.SCIMEnabled = true
	return made, secret, tok.ID
}

func (w *world) ctx() context.Context { return w.t.Context() }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) setClock(to time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = to
}

func (w *world) newID(prefix string) func() string {
	return func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ids[prefix]++
		if prefix == "s" { // rows of the request log with one time are in the order of their ids
			return fmt.Sprintf("%s-%06d", prefix, w.ids[prefix])
		}
		return fmt.Sprintf("%s-%d", prefix, w.ids[prefix])
	}
}

func (w *world) set(change func(*site.Site)) {
	w.t.Helper()
	var err error
	w.site, err = w.sites.Update(w.ctx(), w.site.ID, "cli", func(s *site.Site) error {
		change(s)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// setSchemas gives acme a document of schemas and resource types.
func (w *world) setSchemas(doc string) {
	w.t.Helper()
	var err error
	if w.site, err = w.sites.SetSchemas(w.ctx(), w.site.ID, []byte(doc), "cli"); err != nil {
		w.t.Fatal(err)
	}
}

// bring adds people to the roster, whatever the site's profile.
func (w *world) bring(docs ...string) []roster.Document {
	w.t.Helper()
	return w.bringTo(scim.UserType(), docs...)
}

// bringGroups adds groups to the roster.
func (w *world) bringGroups(docs ...string) []roster.Document {
	w.t.Helper()
	return w.bringTo(scim.GroupType(), docs...)
}

func (w *world) bringTo(rt *scim.ResourceType, docs ...string) []roster.Document {
	w.t.Helper()
	open := w.site
	open.Choose(site.Full)
	open.ManageRoles = true
	var made []roster.Document
	for _, doc := range docs {
		res, _, err := scim.Decode(rt, []byte(doc), scim.Lenient)
		if err != nil {
			w.t.Fatal(err)
		}
		out, err := w.rosters.Open(open).Create(w.ctx(), rt.ID, res, roster.Change{Actor: "cli", Via: roster.ViaImport})
		if err != nil {
			w.t.Fatal(err)
		}
		made = append(made, out.Document)
	}
	return made
}

// send sends one request as it is written on the wire: "METHOD path", headers, an empty line, the
// body. A path is below the Tenant URL unless it starts with "=". The request carries the token of
// acme unless it has an Authorization header.
func (w *world) send(text string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.serve(w.request(text))
}

// request is what send sends.
func (w *world) request(text string) *http.Request {
	w.t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	name, path, _ := strings.Cut(strings.TrimSpace(lines[0]), " ")
	if absolute, found := strings.CutPrefix(path, "="); found {
		path = absolute
	} else {
		path = tenantURL + path
	}
	var wire bytes.Buffer
	fmt.Fprintf(&wire, "%s %s HTTP/1.1\r\nHost: scim.test\r\n", name, path)
	authorized, typed := false, false
	for _, line := range lines[1:] {
		header, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		authorized = authorized || strings.EqualFold(header, "Authorization")
		typed = typed || strings.EqualFold(header, "Content-Type")
		if value = strings.TrimSpace(value); value != "none" {
			fmt.Fprintf(&wire, "%s: %s\r\n", header, strings.ReplaceAll(value, "{token}", w.token))
		}
	}
	if !authorized {
		fmt.Fprintf(&wire, "Authorization: Bearer %s\r\n", w.token)
	}
	if body = strings.TrimRight(body, "\n"); body != "" {
		if !typed {
			wire.WriteString("Content-Type: application/scim+json\r\n")
		}
		fmt.Fprintf(&wire, "Content-Length: %d\r\n", len(body))
	}
	wire.WriteString("\r\n" + body)
	r, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		w.t.Fatalf("%s: %v", lines[0], err)
	}
	r.RemoteAddr = "192.0.2.7:4711"
	return r.WithContext(w.ctx())
}

// serve passes the request to the handler and checks what every answer must have.
func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	w.t.Helper()
	w.mu.Lock()
	w.now = w.now.Add(time.Minute)
	w.mu.Unlock()
	if !scimserver.Serves(r) {
		w.t.Fatalf("%s is not taken for a SCIM request", r.URL)
	}
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	w.checkAnswer(r, got)
	return got
}

func (w *world) checkAnswer(r *http.Request, got *httptest.ResponseRecorder) {
	w.t.Helper()
	what := r.Method + " " + r.URL.String()
	if cache := got.Header().Get("Cache-Control"); cache != "no-store" {
		w.t.Errorf("%s: got Cache-Control %q, want no-store", what, cache)
	}
	if got.Code/100 == 3 && got.Code != http.StatusNotModified {
		w.t.Errorf("%s: got a redirect, %d", what, got.Code)
	}
	if got.Code == http.StatusNotModified && got.Header().Get("Content-Location") == "" {
		w.t.Errorf("%s: got 304 without Content-Location", what)
	}
	if media := got.Header().Get("Content-Type"); r.Method == http.MethodPatch && got.Code == http.StatusNoContent && media != "application/scim+json" {
		w.t.Errorf("%s: got 204 with Content-Type %q, want application/scim+json", what, media)
	}
	if got.Code == http.StatusNoContent || got.Code == http.StatusNotModified {
		if got.Body.Len() > 0 {
			w.t.Errorf("%s: got a body with %d: %s", what, got.Code, got.Body)
		}
		return
	}
	if media := got.Header().Get("Content-Type"); media != "application/scim+json" {
		w.t.Errorf("%s: got Content-Type %q, want application/scim+json", what, media)
	}
	list := bytes.HasPrefix(got.Body.Bytes(), []byte(`{"schemas":["`+scim.ListResponseURN+`"]`))
	if (got.Code == http.StatusOK || got.Code == http.StatusCreated) && !list {
		// RFC 7643 §3.1: meta.location is the same as Content-Location. A list has none of its own, and may have megabytes.
		var one struct{ Meta struct{ Location string } }
		if err := json.Unmarshal(got.Body.Bytes(), &one); err == nil && one.Meta.Location != "" && one.Meta.Location != got.Header().Get("Content-Location") {
			w.t.Errorf("%s: got Content-Location %q with a body at %q", what, got.Header().Get("Content-Location"), one.Meta.Location)
		}
	}
	if got.Code >= 400 {
		var e struct {
			Schemas        []string
			Status, Detail string
		}
		if err := json.Unmarshal(got.Body.Bytes(), &e); err != nil {
			w.t.Fatalf("%s: the error is not JSON: %v: %s", what, err, got.Body)
		}
		if len(e.Schemas) != 1 || e.Schemas[0] != scim.ErrorURN || e.Status != fmt.Sprint(got.Code) || e.Detail == "" {
			w.t.Errorf("%s: %d is not in the SCIM form: %s", what, got.Code, got.Body)
		}
	}
}

// requests returns the request log of acme, oldest first, including gathered rows.
func (w *world) requests() []requestlog.Request {
	w.t.Helper()
	return w.requestsOf(w.site.ID)
}

func (w *world) requestsOf(id site.ID) []requestlog.Request {
	w.t.Helper()
	if err := w.requestLog.Flush(w.ctx()); err != nil {
		w.t.Fatal(err)
	}
	rows, _, err := w.requestLog.Page(w.ctx(), id, requestlog.Query{Limit: 500})
	if err != nil {
		w.t.Fatal(err)
	}
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return rows
}

// holds returns the content of the roster, in order. A group ends with the ids of its members.
func (w *world) holds() []string {
	w.t.Helper()
	return w.holdsOf(w.site)
}

func (w *world) holdsOf(open site.Site) []string {
	w.t.Helper()
	open.Choose(site.Full)
	people := w.rosters.Open(open)
	var docs []string
	for _, rt := range people.Types().Types() {
		page, err := people.List(w.ctx(), roster.Query{Kind: rt.ID, StartIndex: 1, Count: 500})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, d := range page.Documents {
			doc := string(d.JSON)
			if rt.ID == roster.Group {
				doc = strings.TrimSuffix(doc, "}") + w.membersOf(people, d.ID) + "}"
			}
			docs = append(docs, doc)
		}
	}
	return docs
}

func (w *world) membersOf(people *roster.Roster, group string) string {
	w.t.Helper()
	var ids []string
	for m, err := range people.Members(w.ctx(), group, false) {
		if err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, fmt.Sprintf("%q", m.ID))
	}
	if len(ids) == 0 {
		return ""
	}
	return `,"members":[` + strings.Join(ids, ",") + "]"
}

// body reads an answer's JSON object.
func body(t testing.TB, got *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(got.Body.Bytes(), &m); err != nil {
		t.Fatalf("%v: %s", err, got.Body)
	}
	return m
}

func wantStatus(t testing.TB, got *httptest.ResponseRecorder, want int) {
	t.Helper()
	if got.Code != want {
		text, _ := io.ReadAll(got.Body)
		t.Fatalf("got %d, want %d: %s", got.Code, want, text)
	}
}

func wantError(t testing.TB, got *httptest.ResponseRecorder, status int, scimType string) {
	t.Helper()
	text := got.Body.String()
	wantStatus(t, got, status)
	var e struct{ ScimType string }
	if err := json.Unmarshal([]byte(text), &e); err != nil || e.ScimType != scimType {
		t.Errorf("got %s, want scimType %q", text, scimType)
	}
}
