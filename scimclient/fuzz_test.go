package scimclient_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scimclient"
)

// answering is a transport that gives the same answer to every request, and remembers the last
// request.
type answering struct {
	status int
	header http.Header
	body   string
	asked  *http.Request
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked = r
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// client returns a client that uses this transport.
func (a *answering) client(t testing.TB, tenantURL string) (*scimclient.Client, error) {
	t.Helper()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	return scimclient.New(tenantURL, "secret", scimclient.Options{
		HTTP:  &http.Client{Transport: a, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Now:   func() time.Time { return now },
		NewID: func() string { return "3e59e27b-68ad-41f5-bb0e-dadf130e2ac8" },
	})
}

// storableText reports whether every database can store a string.
func storableText(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

func checkStorable(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case string:
		if !storableText(v) {
			t.Errorf("the text %q cannot be kept", v)
		}
	case []any:
		for _, e := range v {
			checkStorable(t, e)
		}
	case map[string]any:
		for name, e := range v {
			checkStorable(t, name)
			checkStorable(t, e)
		}
	}
}

func checkAccount(t *testing.T, o provision.TargetObject) {
	t.Helper()
	if o.ID == "" || len(o.ID) > 1_000 || !storableText(o.ID) {
		t.Errorf("got the id %q", o.ID)
	}
	checkStorable(t, map[string]any(o.Resource))
}

// FuzzAnswer reads arbitrary answers of an application. The result is an account that can be
// stored, or an error that an administrator can read.
func FuzzAnswer(f *testing.F) {
	list := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"Resources":[{"id":"u-1","userName":"a"}]}`
	for _, status := range []int{200, 201, 204, 301, 400, 401, 403, 404, 405, 408, 409, 418, 422, 429, 500, 501, 503} {
		f.Add(status, "application/scim+json", "1.5", `{"status":"409","scimType":"uniqueness","detail":"taken"}`)
	}
	f.Add(200, "", "", list)
	f.Add(200, "text/html", "Wed, 21 Oct 2099 07:28:00 GMT", "<!doctype html>")
	f.Add(200, "application/json", "-1", `{"totalResults":"2","Resources":null}`)
	f.Add(200, "application/json", "1e400", "\xef\xbb\xbf"+`{"ID":"a\u0000","id":"","Resources":[{"id":7}],"totalResults":1e400}`)
	f.Add(400, "application/json", "NaN", `{"detail":"\u0000\ud800","error":"x"}`)
	f.Add(200, "application/json", "", `{"id":"u","x\u0000":{"y\u0000":["\u0000"]}}`)
	f.Fuzz(func(t *testing.T, status int, kind, retryAfter, body string) {
		if status < 200 || status > 599 {
			t.Skip("net/http knows no such answer")
		}
		net := &answering{status: status, header: http.Header{"Content-Type": {kind}, "Retry-After": {retryAfter}, "Location": {kind}}, body: body}
		c, err := net.client(t, "https://app.example/scim")
		if err != nil {
			t.Fatal(err)
		}
		change := []provision.Change{{Path: "userName", New: "ada", Type: "String"}}
		check := func(what string, err error) {
			t.Helper()
			var refused *provision.TargetError
			switch {
			case err == nil && status >= 300 && (what != "delete" || status != http.StatusNotFound):
				t.Errorf("%s: %d passes for a success", what, status)
			case err == nil:
			case !errors.As(err, &refused):
				t.Errorf("%s: got %v", what, err)
			case refused.Detail == "" || !storableText(refused.Words()) || refused.Kind == "" || refused.Code == "":
				t.Errorf("%s: got %+v", what, refused)
			case refused.RetryAfter < 0 || refused.RetryAfter > 6*time.Hour:
				t.Errorf("%s: come again in %s", what, refused.RetryAfter)
			}
		}
		check("test", c.Test(t.Context(), "userName", provision.TypeString))
		found, err := c.Find(t.Context(), `emails[type eq "work"].value`, "ada@x")
		check("find", err)
		for _, o := range found {
			checkAccount(t, o)
		}
		o, err := c.Get(t.Context(), "u-1")
		if check("get", err); err == nil {
			checkAccount(t, o)
		}
		o, err = c.Create(t.Context(), change)
		if check("create", err); err == nil {
			checkAccount(t, o)
		}
		_, err = c.Patch(t.Context(), "u-1", change)
		check("patch", err)
		check("delete", c.Delete(t.Context(), "u-1"))
	})
}

// FuzzTenantURL uses arbitrary Tenant URLs and arbitrary ids of an application. The request must go
// to that host, below that path, for that id, with the token.
func FuzzTenantURL(f *testing.F) {
	f.Add("https://acme.example/c/acme/auth/scim/v2", "u-1")
	f.Add("https://acme.example/scim/?aadOptscim062020", "../../admin?x=1#y")
	f.Add(" http://[::1]:8080//?a=b&c ", "%2f/..;\\")
	f.Add("https://acme.example@evil.example/#/Users", "..")
	f.Add("https://evil.example\\@acme.example/", "a\r\nX: y")
	f.Fuzz(func(t *testing.T, tenantURL, id string) {
		net := &answering{status: http.StatusNoContent, header: http.Header{}}
		c, err := net.client(t, tenantURL)
		if err != nil {
			var refused *provision.TargetError
			if !errors.As(err, &refused) || refused.Advice == "" {
				t.Fatalf("got %v", err)
			}
			return
		}
		typed, err := url.Parse(strings.TrimSpace(tenantURL))
		if err != nil {
			t.Fatalf("%q is no URL and was taken", tenantURL)
		}
		if err := c.Delete(t.Context(), id); err != nil || net.asked == nil {
			return // no URL can contain it
		}
		to := net.asked.URL
		if host := strings.TrimSuffix(typed.Host, ":"); to.Scheme != typed.Scheme || to.Host != host || to.Fragment != "" || to.RawQuery != typed.RawQuery {
			t.Errorf("%q, %q: asked %s", tenantURL, id, to)
		}
		rest, below := strings.CutPrefix(to.EscapedPath(), strings.TrimRight(typed.EscapedPath(), "/"))
		about, isUser := strings.CutPrefix(rest, "/Users/")
		if name, err := url.PathUnescape(about); !below || !isUser || strings.Contains(about, "/") || err != nil || name != id {
			t.Errorf("%q, %q: asked %s", tenantURL, id, to)
		}
		if got := net.asked.Header.Get("Authorization"); got != "Bearer secret" {
			t.Errorf("got Authorization %q", got)
		}
	})
}
