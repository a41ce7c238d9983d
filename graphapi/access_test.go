package graphapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/graphapi"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/store"
)

// fill puts values into the path of a route. A part without a value fails the test, so that every
// route is tried.
func fill(t *testing.T, path string, values map[string]string) string {
	t.Helper()
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	if strings.Contains(path, "{") {
		t.Fatalf("%s: the test has no value for a part of this path", path)
	}
	return path
}

// values are those of Acme.
func (w *world) values() map[string]string {
	definition, _ := w.send("GET", "v1.0", w.s()+"/templates/scim/schema", "").get("directories", 0, "id").(string)
	return map[string]string{
		"servicePrincipal": w.acme.ID, "job": w.jobID(), "template": "scim", "definition": definition, "applicationTemplate": "8adf8e6e-67b2-4cf2-a259-e3dc5476c621",
		"objectConnection": "x", "user": "x", "group": "x", "appRoleAssignment": "x",
	}
}

// TestEveryRouteIsRefusedAlike sends every request without a right key. The answer is the same
// whether the directory and what the path names exist or not, and nothing changes.
func TestEveryRouteIsRefusedAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setUp("v1.0")
	other := w.directory("other")
	gone, revoked, err := w.keys.CreateKey(t.Context(), operator.KeyRequest{Directory: string(w.contoso.Directory.ID), Name: "gone", Level: operator.Configure, Actor: "cli"})
	w.must(err)
	w.must(w.keys.RevokeKey(t.Context(), string(w.contoso.Directory.ID), gone.ID, "cli"))
	_, expiring, err := w.keys.CreateKey(t.Context(), operator.KeyRequest{Directory: string(w.contoso.Directory.ID), Name: "x", Level: operator.Configure, Expires: w.clock().Add(time.Hour), Actor: "cli"})
	w.must(err)
	values := w.values()
	w.pass(2 * time.Hour)
	strangers := map[string]string{
		"of_another_directory": w.makeKey(other, operator.Configure), "revoked": revoked, "expired": expiring, "a_SCIM_token": w.token, "nonsense": "x", "cut": w.key[:len(w.key)-1],
	}
	before, err := w.jobs.Get(t.Context(), w.jobKey())
	w.must(err)
	for _, version := range append(versions, "v9") {
		for _, rt := range graphapi.Routes() {
			path := version + "/" + fill(t, rt.Path, values)
			w.sendAs("", rt.Method, "contoso", path, "").wantError(http.StatusUnauthorized, "InvalidAuthenticationToken")
			for name, key := range strangers {
				for _, directoryName := range []string{"contoso", "nowhere"} {
					if directoryName == "nowhere" && name != "revoked" {
						continue
					}
					w.pass(time.Minute) // wrong keys are limited
					got := w.sendAs(key, rt.Method, directoryName, path, `{}`)
					got.wantError(http.StatusUnauthorized, "InvalidAuthenticationToken", "the directory or the API key is unknown")
					if got.Header.Get("WWW-Authenticate") == "" {
						t.Errorf("%s %s: no WWW-Authenticate", rt.Method, path)
					}
				}
			}
		}
	}
	after, err := w.jobs.Get(t.Context(), w.jobKey())
	w.must(err)
	if after.Version != before.Version {
		t.Error("a refused request changed the job")
	}
}

// TestAKeyGetsNothingOfAnotherDirectory sends every request to a key's own directory, with the ids of
// another one.
func TestAKeyGetsNothingOfAnotherDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.person("ada@contoso.example")
	w.setUp("v1.0")
	w.cycle()
	values := w.values()
	other := w.directory("other")
	key := w.makeKey(other, operator.Configure)
	app, err := other.CreateApplication(t.Context(), "Own", "cli")
	w.must(err)
	before, err := w.jobs.Get(t.Context(), w.jobKey())
	w.must(err)
	for _, version := range versions {
		for _, rt := range graphapi.Routes() {
			if !strings.Contains(rt.Path, "{servicePrincipal}") {
				continue
			}
			for _, principal := range []string{w.acme.ID, app.ID} {
				values["servicePrincipal"], values["job"], values["objectConnection"] = principal, w.jobID(), ada
				if principal == app.ID && !strings.Contains(rt.Path, "{job}") {
					continue
				}
				got := w.sendAs(key, rt.Method, "other", version+"/"+fill(t, rt.Path, values), w.secrets())
				got.wantError(http.StatusNotFound, "Request_ResourceNotFound")
			}
		}
		for path, want := range map[string][]any{"servicePrincipals": {"Own"}, "auditLogs/provisioning": nil, "servicePrincipals?$filter=id%20eq%20'" + w.acme.ID + "'": nil} {
			var names []any
			for _, v := range w.sendAs(key, "GET", "other", version+"/"+path, "").want(http.StatusOK).get("value").([]any) {
				names = append(names, at(v, "displayName"))
			}
			if diff := cmp.Diff(names, want); diff != "" {
				t.Errorf("%s: %s", path, diff)
			}
		}
	}
	after, err := w.jobs.Get(t.Context(), w.jobKey())
	w.must(err)
	if after.Version != before.Version {
		t.Error("a request to another directory changed the job")
	}
}

// TestEveryRouteNeedsItsLevel sends every request with each level. A level that is too low is refused
// before anything is read or changed.
func TestEveryRouteNeedsItsLevel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setUp("v1.0")
	values := w.values()
	for _, level := range operator.Levels {
		key := w.makeKey(w.contoso, level)
		for _, rt := range graphapi.Routes() {
			w.pass(time.Second)
			if level.Allows(rt.Level) {
				continue
			}
			got := w.sendAs(key, rt.Method, "contoso", "beta/"+fill(t, rt.Path, values), `{}`)
			got.wantError(http.StatusForbidden, "Authorization_RequestDenied", "This key may "+string(level), "may "+string(rt.Level))
		}
	}
	for _, rt := range graphapi.Routes() {
		changes := rt.Method != http.MethodGet && !strings.HasSuffix(rt.Path, "/parseExpression") && !strings.HasSuffix(rt.Path, "/discover")
		if changes == (rt.Level == operator.Read) {
			t.Errorf("%s %s may be done with %s", rt.Method, rt.Path, rt.Level)
		}
	}
}

// TestNoCookieIsAKey sends the session of a signed-in operator, which no script may use.
func TestNoCookieIsAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operators := &operator.Operators{Store: store.Operators{DB: w.db}, Now: w.clock, NewID: w.newID}
	link, err := operators.Link(t.Context(), "sam", "cli")
	w.must(err)
	s, err := operators.Redeem(t.Context(), link.Secret, session.Browser{})
	w.must(err)
	for _, path := range []string{"v1.0/servicePrincipals", "v1.0/" + w.s() + "/jobs"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/d/contoso/graph/"+path, nil)
		w.must(err)
		r.AddCookie(&http.Cookie{Name: "rollcall-operator", Value: s.Secret})
		r.AddCookie(&http.Cookie{Name: "__Host-rollcall-operator", Value: w.key})
		got := w.do(r)
		got.wantError(http.StatusUnauthorized, "InvalidAuthenticationToken")
		if len(got.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("the answer sets cookies: %v", got.Header)
		}
		r.Header.Set("Authorization", "Basic "+w.key)
		w.do(r).wantError(http.StatusUnauthorized, "InvalidAuthenticationToken")
	}
}

func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 200 {
		w.send("GET", "v1.0", "servicePrincipals", "").want(http.StatusOK)
	}
	got := w.send("GET", "v1.0", "servicePrincipals", "")
	got.wantError(http.StatusTooManyRequests, "TooManyRequests", "too many requests")
	if got.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// Another key goes on.
	w.sendAs(w.makeKey(w.contoso, operator.Read), "GET", "contoso", "v1.0/servicePrincipals", "").want(http.StatusOK)
	w.pass(50 * time.Millisecond)
	w.send("GET", "v1.0", "servicePrincipals", "").want(http.StatusOK)

	for range 20 {
		w.sendAs("wrong", "GET", "contoso", "v1.0/servicePrincipals", "").wantError(http.StatusUnauthorized, "InvalidAuthenticationToken")
	}
	w.sendAs("wrong", "GET", "contoso", "v1.0/servicePrincipals", "").wantError(http.StatusTooManyRequests, "TooManyRequests", "wrong keys")
	w.pass(50 * time.Millisecond)
	w.send("GET", "v1.0", "servicePrincipals", "").want(http.StatusOK) // a right key of the same address goes on
}

func TestHostileRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setUp("v1.0")
	job := w.s() + "/jobs/" + w.jobID()
	big := strings.Repeat("x", 257<<10)
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "v2.0/servicePrincipals", "", 400, "BadRequest"},
		{"GET", "v1.0/devices", "", 400, "BadRequest"},
		{"GET", "v1.0/" + w.s() + "/nothing", "", 400, "BadRequest"},
		{"GET", "v1.0/", "", 404, "Request_ResourceNotFound"},
		{"GET", "v1.0", "", 404, "Request_ResourceNotFound"},
		{"GET", "v1.0/servicePrincipals/x%00y", "", 404, "Request_ResourceNotFound"},
		{"GET", "v1.0/servicePrincipals/%FF", "", 404, "Request_ResourceNotFound"},
		{"GET", "v1.0/servicePrincipals/'%20or%201=1--/synchronization/jobs", "", 404, "Request_ResourceNotFound"},
		{"PUT", "v1.0/" + job, "{}", 405, "Request_MethodNotAllowed"},
		{"POST", "v1.0/" + w.s() + "/jobs", big, 413, "RequestEntityTooLarge"},
		{"POST", "v1.0/" + w.s() + "/jobs", `{"templateId": 1}`, 400, "BadRequest"},
		{"POST", "v1.0/" + w.s() + "/jobs", `{"templateId": "scim"} {}`, 400, "BadRequest"},
		{"POST", "v1.0/" + w.s() + "/jobs", `{"templateId": "` + "\xff" + `"}`, 400, "BadRequest"},
		{"POST", "v1.0/" + w.s() + "/jobs", `{"templateId": "\u0000"}`, 400, "BadRequest"},
		{"POST", "v1.0/" + job + "/restart", `[]`, 400, "BadRequest"},
		{"POST", "v1.0/" + job + "/provisionOnDemand", strings.Repeat("[", 100_000), 400, "BadRequest"},
		{"PUT", "v1.0/" + job + "/schema", strings.Repeat(`{"a":`, 100_000), 400, "Request_BadRequest"},
	} {
		got := w.sendAs(w.key, c.method, "contoso", c.path, c.body)
		if got.Status != c.status || got.get("error", "code") != c.code {
			t.Errorf("%s %.60s %.40s: got %d %.300s, want %d %s", c.method, c.path, c.body, got.Status, got.Text, c.status, c.code)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+"/d/contoso/graph/v1.0/"+w.s()+"/jobs", strings.NewReader("templateId=scim"))
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+w.key)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.do(r).wantError(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "application/json")
	if got := w.send("PUT", "v1.0", job, "{}"); got.Header.Get("Allow") != "GET, DELETE" {
		t.Errorf("got Allow %q", got.Header.Get("Allow"))
	}
}

// TestPathsAsClientsWriteThem reads one job by each way to write its address.
func TestPathsAsClientsWriteThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setUp("v1.0")
	for _, path := range []string{
		"servicePrincipals/" + w.acme.ID + "/synchronization/jobs/" + w.jobID(),
		"serviceprincipals/" + strings.ToUpper(w.acme.ID) + "/Synchronization/Jobs/" + strings.ToUpper(w.jobID()),
		"servicePrincipals('" + w.acme.ID + "')/synchronization/jobs('" + w.jobID() + "')",
		"servicePrincipals(appId='" + w.acme.ID + "')/synchronization/jobs/" + w.jobID() + "/",
		"applications/" + w.acme.ID + "/synchronization/jobs/" + w.jobID(),
	} {
		got := w.send("GET", "v1.0", path, "").want(http.StatusOK)
		if got.get("id") != w.jobID() {
			t.Errorf("%s: got %s", path, got.Text)
		}
		if got.Header.Get("request-id") == "" || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("OData-Version") != "4.0" {
			t.Errorf("got the headers %v", got.Header)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/d/contoso/graph/v1.0/servicePrincipals/x", nil)
	w.must(err)
	r.Header.Set("Authorization", "bearer "+w.key)
	r.Header.Set("client-request-id", "my-own-1")
	got := w.do(r)
	if got.get("error", "innerError", "client-request-id") != "my-own-1" || got.Header.Get("client-request-id") != "my-own-1" || got.get("error", "innerError", "request-id") != got.Header.Get("request-id") {
		t.Errorf("got %s with %v", got.Text, got.Header)
	}
}

// A deleted directory has no API any more.
func TestADeletedDirectoryAnswersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.send("GET", "v1.0", "servicePrincipals", "").want(http.StatusOK)
	_, err := w.directories.Delete(t.Context(), directory.Directory{ID: w.contoso.Directory.ID, Name: "contoso"}, "cli")
	w.must(err)
	w.send("GET", "v1.0", "servicePrincipals", "").wantError(http.StatusUnauthorized, "InvalidAuthenticationToken")
}
