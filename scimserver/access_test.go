package scimserver_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
)

// TestEveryRouteIsRefusedAlike asks every route of the table, and some that are none, with every credential that must not
// open it: the answers may not differ by a byte, or they would tell what exists.
func TestEveryRouteIsRefusedAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.setSchemas(deviceSchemas)
	w.bring(`{"userName":"ada@acme.test"}`)
	_, other, _ := w.newSite("globex", site.Full)
	_, revoked, revokedID := w.newSite("initech", site.Full)
	initech, err := w.sites.ByName(w.ctx(), "initech")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sites.RevokeToken(w.ctx(), initech.ID, revokedID, "cli"); err != nil {
		t.Fatal(err)
	}
	hooli, _, _ := w.newSite("hooli", site.Full)
	_, expired, err := w.sites.CreateToken(w.ctx(), hooli.ID, site.TokenRequest{Actor: "cli", Mode: site.Replace, Expires: w.clock().Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	credentials := map[string]struct{ site, authorization string }{
		"none":                    {"acme", "none"},
		"another scheme":          {"acme", "Basic YTpi"},
		"wrong":                   {"acme", "Bearer rollcall_" + strings.Repeat("A", 49)},
		"another site's":          {"acme", "Bearer " + other},
		"of a site that is not":   {"nosuchsite", "Bearer " + w.token},
		"revoked":                 {"initech", "Bearer " + revoked},
		"expired":                 {"hooli", "Bearer " + expired},
		"almost right":            {"acme", "Bearer " + w.token[:len(w.token)-1]},
		"right with more after":   {"acme", "Bearer " + w.token + "x"},
		"right in other case":     {"acme", "Bearer " + strings.ToUpper(w.token)},
		"right, given twice":      {"acme", "Bearer " + w.token + "\nAuthorization: Bearer " + w.token},
		"right, site in capitals": {"ACME", "Bearer " + w.token},
	}
	requests := append(scimserver.Offered(w.rosters.Open(w.site).Types().Types()...), "GET /nothing", "DELETE /Users", "GET /Users/a%2fb", "GET /v1/x", "PATCH /Users/u-1/x", "PROPFIND /Users")
	before := w.holds()
	var want string
	for _, request := range requests {
		for name, c := range credentials {
			method, path, _ := strings.Cut(request, " ")
			got := w.send(method + " =/c/" + c.site + "/auth/scim/v2" + path + "\nAuthorization: " + c.authorization)
			if got.Code != http.StatusUnauthorized {
				t.Errorf("%s with token %s: got %d, want 401", request, name, got.Code)
			}
			challenge := got.Header().Get("WWW-Authenticate")
			if !strings.HasPrefix(challenge, `Bearer realm="`) {
				t.Errorf("%s with token %s: got the challenge %q", request, name, challenge)
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
	if diff := cmp.Diff(w.holds(), before); diff != "" {
		t.Errorf("the roster has changed: %s", diff)
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
	for _, request := range scimserver.Offered(w.rosters.Open(w.site).Types().Types()...) {
		wantError(t, w.send(request), 403, "")
	}
}

// TestBehindTheFront runs the handler as serve does: over the network, behind internal/web, before a ServeMux that would
// redirect.
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
