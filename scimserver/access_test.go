package scimserver_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// everyMethod lists the methods that are tried at every place, supported or not.
var everyMethod = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"}

// everyRequest returns every method at every place of a site with the types of the world, and at
// some places that it does not have.
func (w *world) everyRequest() (requests []string) {
	places := map[string]bool{
		"/nothing": true, "/Users/a%2fb": true, "/v1/x": true, "/Users/u-1/x": true, "/Groups/.search": true, "//Users//": true, "/users": true, "": true,
		"?aadOptscim062020/Users": true, "/Users?filter=userName+eq+%22ada@acme.test%22": true, "/Schemas?filter=x": true, "/Users?count=x": true,
	}
	for _, offered := range scimserver.Offered(w.rosters.Open(w.site).Types().Types()...) {
		_, path, _ := strings.Cut(offered, " ")
		places[path] = true
	}
	for _, path := range slices.Sorted(maps.Keys(places)) {
		for _, method := range everyMethod {
			requests = append(requests, method+" "+path)
		}
	}
	return requests
}

// TestEveryRouteIsRefusedAlike sends every method to every place with every credential that must
// not work. The answers must be equal byte for byte, or they would reveal what exists, and they
// must change nothing.
func TestEveryRouteIsRefusedAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.setSchemas(deviceSchemas)
	ada := w.bring(`{"userName":"ada@acme.test"}`)[0].ID
	w.bringGroups(`{"displayName":"Team","members":[{"value":"` + ada + `"}]}`)
	globex, other, _ := w.newSite("globex", site.Full)
	initech, revoked, revokedID := w.newSite("initech", site.Full)
	if err := w.sites.RevokeToken(w.ctx(), initech.ID, revokedID, "cli"); err != nil {
		t.Fatal(err)
	}
	hooli, replaced, _ := w.newSite("hooli", site.Full)
	_, expired, err := w.sites.CreateToken(w.ctx(), hooli.ID, site.TokenRequest{Actor: "cli", Mode: site.Replace, Expires: w.clock().Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	off, _, _ := w.newSite("off", site.Full)
	if _, err := w.sites.Update(w.ctx(), off.ID, "cli", func(s *site.Site) error { s.SCIMEnabled = false; return nil }); err != nil {
		t.Fatal(err)
	}
	gone, deleted, _ := w.newSite("gone", site.Full)
	if err := w.sites.Delete(w.ctx(), gone.ID, "gone", "cli"); err != nil {
		t.Fatal(err)
	}
	// RFC 6750 §3: without bearer credentials, the challenge names no error.
	const nothing, wrong = `Bearer realm="SCIM"`, `Bearer realm="SCIM", error="invalid_token"`
	bearer := func(token string) string { return "Authorization: Bearer " + token }
	credentials := map[string]struct{ site, headers, challenge string }{
		"none":                               {"acme", "Authorization: none", nothing},
		"none, site unknown":                 {"nosuchsite", "Authorization: none", nothing},
		"another scheme":                     {"acme", "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+w.token)), nothing},
		"the token without a scheme":         {"acme", "Authorization: " + w.token, nothing},
		"nothing behind the scheme":          {"acme", "Authorization: Bearer ", nothing},
		"wrong":                              {"acme", bearer("rollcall_" + strings.Repeat("A", 49)), wrong},
		"of no form at all":                  {"acme", bearer("x"), wrong},
		"another site's":                     {"acme", bearer(other), wrong},
		"another site's, SCIM off":           {"off", bearer(other), wrong},
		"of a site that is not":              {"nosuchsite", bearer(w.token), wrong},
		"revoked":                            {"initech", bearer(revoked), wrong},
		"replaced":                           {"hooli", bearer(replaced), wrong},
		"expired":                            {"hooli", bearer(expired), wrong},
		"of a site that was deleted":         {"gone", bearer(deleted), wrong},
		"of a site that was deleted, here":   {"acme", bearer(deleted), wrong},
		"almost right":                       {"acme", bearer(w.token[:len(w.token)-1]), wrong},
		"right with more after":              {"acme", bearer(w.token + "x"), wrong},
		"right in other case":                {"acme", bearer(strings.ToUpper(w.token)), wrong},
		"right, given twice":                 {"acme", bearer(w.token) + "\n" + bearer(w.token), nothing},
		"right, beside another one's":        {"acme", bearer(other) + "\n" + bearer(w.token), nothing},
		"right, in a list":                   {"acme", "Authorization: Basic eDp5, Bearer " + w.token, nothing},
		"right, site in capitals":            {"ACME", bearer(w.token), wrong},
		"right, site escaped oddly":          {"acme%00", bearer(w.token), wrong},
		"right, in another header":           {"acme", "Authorization: none\nProxy-Authorization: Bearer " + w.token + "\nX-Authorization: Bearer " + w.token + "\nCookie: token=" + w.token, nothing},
		"right, in the query and in no body": {"acme?", "Authorization: none", nothing},
	}
	before := map[site.ID]string{w.site.ID: fmt.Sprint(w.holds()), globex.ID: fmt.Sprint(w.holdsOf(globex))}
	eventsBefore := w.eventsOf(w.site)
	var want string
	for _, request := range w.everyRequest() {
		for name, c := range credentials {
			method, path, _ := strings.Cut(request, " ")
			at, inQuery := strings.CutSuffix(c.site, "?")
			if inQuery {
				path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "access_token=" + w.token
			}
			got := w.send(method + " =/c/" + at + "/auth/scim/v2" + path + "\nIf-Match: *\n" + c.headers)
			if got.Code != http.StatusUnauthorized {
				t.Errorf("%s with token %s: got %d, want 401", request, name, got.Code)
			}
			if challenge := got.Header().Get("WWW-Authenticate"); challenge != c.challenge {
				t.Errorf("%s with token %s: got the challenge %q, want %q", request, name, challenge, c.challenge)
			}
			got.Header().Del("WWW-Authenticate")
			answer := got.Body.String() + headerText(got.Header())
			if want == "" {
				want = answer
			}
			if diff := cmp.Diff(answer, want); diff != "" {
				t.Errorf("%s with token %s is answered in another way: %s", request, name, diff)
			}
		}
	}
	for id, held := range map[site.ID]string{w.site.ID: fmt.Sprint(w.holds()), globex.ID: fmt.Sprint(w.holdsOf(globex))} {
		if diff := cmp.Diff(held, before[id]); diff != "" {
			t.Errorf("the roster of site %s has changed: %s", id, diff)
		}
		tokens, err := w.sites.Tokens(w.ctx(), id)
		if err != nil || !tokens[0].LastUsed.IsZero() {
			t.Errorf("a refused request counts as a use of the token: %+v, %v", tokens, err)
		}
	}
	if n := w.eventsOf(w.site); n != eventsBefore {
		t.Errorf("refused requests left %d events", n-eventsBefore)
	}
}

func (w *world) eventsOf(s site.Site) int {
	w.t.Helper()
	all, err := (store.Events{DB: w.db}).Recent(w.ctx(), event.Site(string(s.ID)), "", event.Position{}, 1_000)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(all)
}

// askedStore records the calls of the store.
type askedStore struct {
	site.Store
	mu    sync.Mutex
	asked []string
}

func (s *askedStore) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
}

func (s *askedStore) Credential(ctx context.Context, name string, hash secret.Hash) (site.Site, site.Token, error) {
	s.note("credential")
	return s.Store.Credential(ctx, name, hash)
}

func (s *askedStore) SiteByName(ctx context.Context, name string) (site.Site, error) {
	s.note("site by name")
	return s.Store.SiteByName(ctx, name)
}

// askedLog records the writes of the request log in the same list.
type askedLog struct {
	requestlog.Store
	asked *askedStore
}

func (s askedLog) AppendRequests(ctx context.Context, rows []requestlog.Request, uses []requestlog.TokenUse) error {
	s.asked.note("append requests")
	return s.Store.AppendRequests(ctx, rows, uses)
}

func (s *askedStore) UpdateSite(ctx context.Context, id site.ID, fn func(site.Tx) error) error {
	s.note("update site")
	return s.Store.UpdateSite(ctx, id, fn)
}

// TestARefusalDoesTheSameWorkWhetherTheSiteExists compares the calls of the store, because timing
// could reveal what the answer hides.
func TestARefusalDoesTheSameWorkWhetherTheSiteExists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	_, other, _ := w.newSite("globex", site.Full)
	asked := &askedStore{Store: w.sites.Store}
	w.sites.Store = asked
	w.requestLog.Store = askedLog{w.requestLog.Store, asked}
	work := func(of, authorization string) string {
		asked.asked = nil
		wantStatus(t, w.send("PATCH =/c/"+of+"/auth/scim/v2/Users/u-1\nAuthorization: "+authorization+"\n\n{}"), 401)
		return strings.Join(asked.asked, ", ")
	}
	for name, authorization := range map[string]string{
		"none": "none", "wrong": "Bearer rollcall_x", "another site's": "Bearer " + other, "wrong, in the right form": "Bearer " + other[:len(other)-1] + "A",
	} {
		exists, not := work("acme", authorization), work("nosuchsite", authorization)
		if exists != not {
			t.Errorf("token %s: asked for %q of a site that exists, for %q of one that does not", name, exists, not)
		}
	}
}

func headerText(h http.Header) string {
	var b strings.Builder
	h.Write(&b) //nolint:errcheck // a strings.Builder takes everything
	return b.String()
}

func TestRightTokenWhileSCIMIsOffIsRefusedOnEveryRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.set(func(s *site.Site) { s.SCIMEnabled = false })
	w.bring(`{"userName":"ada"}`)
	before := w.holds()
	for _, request := range w.everyRequest() {
		got := w.send(request)
		if strings.HasPrefix(request, "HEAD") {
			wantStatus(t, got, 403)
			continue
		}
		wantError(t, got, 403, "")
		if detail := body(t, got)["detail"]; !strings.Contains(fmt.Sprint(detail), "SCIM is switched off") {
			t.Errorf("%s: got %v", request, detail)
		}
	}
	if diff := cmp.Diff(w.holds(), before); diff != "" {
		t.Errorf("the roster has changed: %s", diff)
	}
}

// TestBehindTheFront runs the handler as serve does: over the network, behind internal/web, before
// a ServeMux that would redirect.
func TestBehindTheFront(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.bring(`{"userName":"ada@acme.test"}`)
	var log strings.Builder
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a page", http.StatusTeapot) })
	front := web.Front{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: w.clock}
	server := httptest.NewServer(front.Handler(w.handler.Before(mux)))
	defer server.Close()
	ask := func(method, path, token string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		got, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		text, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		return got.StatusCode, string(text)
	}
	for path, want := range map[string]int{
		"/c/acme/auth/scim/v2//Users/u-1":                                       200,
		"/c/acme/auth/scim/v2/users/":                                           200,
		"/c/acme/auth/scim/v2/Users?filter=userName%20eq%20%22ada@acme.test%22": 200,
		"/c/acme/auth/scim/v2/Users/../Groups":                                  400,
		"/c/acme/auth/scim/v2":                                                  200,
		"/c/acme/admin":                                                         418,
		"/c/acme/auth/saml2/metadata":                                           418,
	} {
		if code, text := ask("GET", path, w.token); code != want {
			t.Errorf("%s: got %d, want %d: %s", path, code, want, text)
		}
	}
	if code, text := ask("GET", "/c/acme/auth/scim/v2/Users", "wrong"); code != 401 || !strings.Contains(text, scim.ErrorURN) {
		t.Errorf("got %d: %s", code, text)
	}
	if code, text := ask("HEAD", "/c/acme/auth/scim/v2/Users/u-1", w.token); code != 200 || text != "" {
		t.Errorf("HEAD: got %d with %q", code, text)
	}
	server.Close() // waits for the handlers, which log last
	if text := log.String(); strings.Contains(text, "ada") || strings.Contains(text, w.token) || !strings.Contains(text, `route=/c/{site}/auth/scim/v2/Users/{id}`) {
		t.Errorf("the access log names people, or not the route:\n%s", text)
	}
}

// TestTheLogKnowsAnEndedTokenFromAStranger: the answer is the same, but the log shows whether the
// site's identity provider used an old token or a stranger knows the address.
func TestTheLogKnowsAnEndedTokenFromAStranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	initech, revoked, id := w.newSite("initech", site.Full)
	if err := w.sites.RevokeToken(w.ctx(), initech.ID, id, "cli"); err != nil {
		t.Fatal(err)
	}
	for _, credentials := range []string{"none", "Bearer " + w.token, "Bearer a-random-string-of-nobody", "Bearer " + revoked} {
		wantStatus(t, w.send("GET =/c/initech/auth/scim/v2/Users\nAuthorization: "+credentials), 401)
	}
	var ended, strangers int
	for _, r := range w.requestsOf(initech.ID) {
		switch {
		case r.TokenEnded() && r.TokenID == id:
			ended++
		case r.IsStranger() && !r.TokenEnded():
			strangers++
		}
	}
	if ended != 1 || strangers != 3 {
		t.Errorf("the log has %d calls with the ended token and %d of strangers, want 1 and 3", ended, strangers)
	}
	tokens, err := w.sites.Tokens(w.ctx(), initech.ID)
	if err != nil || !tokens[0].LastUsed.IsZero() {
		t.Errorf("a refused call counts as a use: %+v, %v", tokens, err)
	}
}
