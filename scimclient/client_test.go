package scimclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimclient"
)

const guid = "3e59e27b-68ad-41f5-bb0e-dadf130e2ac8"

var now = time.Date(2025, 1, 9, 9, 0, 0, 0, time.UTC)

// exchange is what a test server received and what it answers.
type exchange struct {
	request string // method and request URI
	header  http.Header
	body    string
	status  int
	answer  string
	kind    string
	retry   string
	*httptest.Server
}

func newExchange(t *testing.T, status int, answer string) *exchange {
	t.Helper()
	x := &exchange{status: status, answer: answer, kind: "application/scim+json"}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		x.request, x.header, x.body = r.Method+" "+r.RequestURI, r.Header, string(b)
		w.Header().Set("Content-Type", x.kind)
		if x.retry != "" {
			w.Header().Set("Retry-After", x.retry)
		}
		w.WriteHeader(x.status)
		_, _ = io.WriteString(w, x.answer)
	}))
	t.Cleanup(x.Close)
	return x
}

func open(t *testing.T, tenantURL, token string) *scimclient.Client {
	t.Helper()
	return openWith(t, tenantURL, token, outbound.Options{AllowLoopback: true})
}

func openWith(t *testing.T, tenantURL, token string, o outbound.Options) *scimclient.Client {
	t.Helper()
	c, err := scimclient.New(tenantURL, token, scimclient.Options{
		HTTP: outbound.New(o), Now: func() time.Time { return now }, NewID: func() string { return guid },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func problem(t *testing.T, err error) *provision.TargetError {
	t.Helper()
	var te *provision.TargetError
	if !errors.As(err, &te) {
		t.Fatalf("got %v, want a *provision.TargetError", err)
	}
	return te
}

const emptyList = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}`

func TestConnection(t *testing.T) {
	t.Parallel()
	t.Run("asks_for_a_random_guid_by_the_first_matching_attribute", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 200, emptyList)
		if err := open(t, x.URL+"/c/acme/auth/scim/v2", "s3cret").Test(t.Context(), "userName", provision.TypeString); err != nil {
			t.Fatal(err)
		}
		if want := "GET /c/acme/auth/scim/v2/Users?filter=userName+eq+%22" + guid + "%22"; x.request != want {
			t.Errorf("got %s, want %s", x.request, want)
		}
		if got := x.header.Get("Authorization"); got != "Bearer s3cret" {
			t.Errorf("got Authorization %q", got)
		}
		if got := x.header.Get("Accept"); !strings.Contains(got, "application/scim+json") {
			t.Errorf("got Accept %q", got)
		}
	})
	t.Run("joins_the_tenant_url_without_doubled_slashes_and_keeps_its_flags", func(t *testing.T) {
		t.Parallel()
		filter := "filter=userName+eq+%22" + guid + "%22"
		for suffix, want := range map[string]string{
			"":                           "/scim/Users?" + filter,
			"/":                          "/scim/Users?" + filter,
			"//":                         "/scim/Users?" + filter,
			"?aadOptscim062020":          "/scim/Users?aadOptscim062020&" + filter,
			"/?aadOptscim062020":         "/scim/Users?aadOptscim062020&" + filter,
			"/?a=1&AzureAdScimPatch2017": "/scim/Users?a=1&AzureAdScimPatch2017&" + filter,
			"/#fragment":                 "/scim/Users?" + filter,
		} {
			x := newExchange(t, 200, emptyList)
			if err := open(t, x.URL+"/scim"+suffix, "").Test(t.Context(), "userName", provision.TypeString); err != nil {
				t.Fatal(err)
			}
			if x.request != "GET "+want {
				t.Errorf("%q: got %s, want GET %s", suffix, x.request, want)
			}
			if _, sent := x.header["Authorization"]; sent {
				t.Errorf("%q: an empty token was sent", suffix)
			}
		}
	})
	t.Run("flags_stay_on_requests_about_one_account", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 204, "")
		if err := open(t, x.URL+"/scim/?aadOptscim062020", "").Delete(t.Context(), "7c0f"); err != nil {
			t.Fatal(err)
		}
		if want := "DELETE /scim/Users/7c0f?aadOptscim062020"; x.request != want {
			t.Errorf("got %s, want %s", x.request, want)
		}
	})
	t.Run("says_in_words_what_is_wrong", func(t *testing.T) {
		t.Parallel()
		for name, tt := range map[string]struct {
			status       int
			kind, answer string
			want         provision.Kind
			code         string
			words        []string
		}{
			"wrong_token": {
				401, "application/scim+json", `{"detail":"Unknown token"}`, provision.Credentials,
				"SystemForCrossDomainIdentityManagementInvalidCredentials",
				[]string{"refused the Secret Token", "Unknown token", "Generate a new token"},
			},
			"scim_switched_off": {
				403, "application/scim+json", `{"detail":"SCIM is off"}`, provision.Credentials,
				"SystemForCrossDomainIdentityManagementInvalidCredentials",
				[]string{"does not allow SCIM", "SCIM is off", "Enable SCIM"},
			},
			"wrong_path": {
				404, "text/plain", "404 page not found", provision.Incompatible, "SystemForCrossDomainIdentityManagementServiceIncompatible",
				[]string{"Nothing answers SCIM", "Tenant URL"},
			},
			"a_web_page": {
				200, "text/html", "<!doctype html><title>Welcome</title>", provision.Incompatible, "SystemForCrossDomainIdentityManagementServiceIncompatible",
				[]string{"web page instead of SCIM"},
			},
			"other_json": {
				200, "application/json", `{"hello":"world"}`, provision.Incompatible, "SystemForCrossDomainIdentityManagementServiceIncompatible",
				[]string{"not a SCIM list"},
			},
			"filters_ignored": {
				200, "application/json", `{"totalResults":2,"Resources":[{"id":"1"},{"id":"2"}]}`, provision.Unsearchable,
				"SystemForCrossDomainIdentityManagementServiceIncompatible",
				[]string{
					"ignores filters by userName", "answered a search for a random value with 2 accounts",
					"match by another attribute that the application can search by, such as externalId or emails", "clear the one of userName, save, and test the connection again",
					`GET /Users?filter=userName eq "nobody" must return 200 and an empty list`,
				},
			},
			"a_redirect": {
				302, "text/html", "", provision.Incompatible, "SystemForCrossDomainIdentityManagementServiceIncompatible", []string{"redirects", "final address"},
			},
			"out_of_order": {500, "text/html", "<h1>Oops</h1>", provision.Transient, "InternalServerError", []string{"500", "problem of its own"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				x := newExchange(t, tt.status, tt.answer)
				x.kind = tt.kind
				te := problem(t, open(t, x.URL, "").Test(t.Context(), "userName", provision.TypeString))
				if te.Kind != tt.want || te.Code != tt.code || te.Status != tt.status || te.Request != "GET /Users" {
					t.Errorf("got %+v, want %s %s", te, tt.want, tt.code)
				}
				for _, w := range tt.words {
					if !strings.Contains(te.Words(), w) {
						t.Errorf("%q does not say %q", te.Words(), w)
					}
				}
			})
		}
	})
	t.Run("says_what_is_in_the_way", func(t *testing.T) {
		t.Parallel()
		refused, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed := refused.Addr().String()
		_ = refused.Close()
		secure := httptest.NewUnstartedServer(http.NotFoundHandler())
		secure.Config.ErrorLog = log.New(io.Discard, "", 0)
		secure.StartTLS()
		t.Cleanup(secure.Close)
		plain := newExchange(t, 200, emptyList)
		hang := make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
		t.Cleanup(slow.Close)
		t.Cleanup(func() { close(hang) })
		for name, tt := range map[string]struct {
			url   string
			kind  provision.Kind
			words string
		}{
			"connection_refused": {"http://" + closed, provision.Unreachable, "connection refused"},
			"unknown_authority":  {secure.URL, provision.Unreachable, "not signed by an authority"},
			"no_tls":             {strings.Replace(plain.URL, "http:", "https:", 1), provision.Unreachable, "does not speak TLS"},
			"too_slow":           {slow.URL, provision.Transient, "did not answer in time"},
			"no_such_host":       {"https://rollcall-test.invalid/scim", provision.Unreachable, "rollcall-test.invalid"},
			"private_address":    {"https://192.168.7.7/scim", provision.Unreachable, "private address"},
			"http_outside":       {"http://example.com/scim", provision.Unreachable, "https"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				timeout := time.Minute // the machine may be busy
				if tt.url == slow.URL {
					timeout = 300 * time.Millisecond
				}
				te := problem(t, openWith(t, tt.url, "", outbound.Options{AllowLoopback: true, Timeout: timeout}).Test(t.Context(), "userName", provision.TypeString))
				if te.Kind != tt.kind || !strings.Contains(te.Words(), tt.words) {
					t.Errorf("got %s %q, want %s with %q", te.Kind, te.Words(), tt.kind, tt.words)
				}
			})
		}
	})
	t.Run("a_tenant_url_that_is_none_is_refused_at_once", func(t *testing.T) {
		t.Parallel()
		for _, u := range []string{"", "acme", "acme.example.com/scim", "ldap://example.com", "https://", "https://:", "https://:443/scim", "http://[::1"} {
			_, err := scimclient.New(u, "", scimclient.Options{})
			if te := problem(t, err); !strings.Contains(te.Words(), "complete address") {
				t.Errorf("%q: %q", u, te.Words())
			}
		}
		if _, err := scimclient.New("https://example.com", "a\nb", scimclient.Options{}); problem(t, err).Kind != provision.Credentials {
			t.Errorf("got %v", err)
		}
	})
}

// TestList reads pages of the list of accounts and of groups.
func TestList(t *testing.T) {
	t.Parallel()
	x := newExchange(t, 200, `{"totalResults":5,"Resources":[{"id":"7","userName":"ada"},{"id":"8","userName":"bob"},{"id":"7","userName":"ada"}]}`)
	page, err := open(t, x.URL+"/?aadOptscim062020", "").List(t.Context(), 3, 100)
	if err != nil || len(page.Objects) != 2 || page.Named != 3 || page.Total != 5 || page.Objects[1].ID != "8" {
		t.Errorf("got %+v, %v", page, err)
	}
	if want := "GET /Users?aadOptscim062020&startIndex=3&count=100"; x.request != want {
		t.Errorf("got %s, want %s", x.request, want)
	}
	x = newExchange(t, 200, emptyList)
	if _, err := open(t, x.URL, "").Groups().List(t.Context(), 1, 10); err != nil || x.request != "GET /Groups?excludedAttributes=members&startIndex=1&count=10" {
		t.Errorf("got %s, %v", x.request, err)
	}
	x = newExchange(t, 403, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"403","detail":"No lists."}`)
	var te *provision.TargetError
	if _, err := open(t, x.URL, "").List(t.Context(), 1, 10); !errors.As(err, &te) || te.Status != 403 || !strings.Contains(te.Detail, "No lists.") {
		t.Errorf("got %v", err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	t.Run("writes_the_filter_forms_of_entra", func(t *testing.T) {
		t.Parallel()
		for _, tt := range []struct {
			path  string
			value any
			want  string
		}{
			{"userName", "ada@example.com", "userName+eq+%22ada%40example.com%22"},
			{`emails[type eq "work"].value`, "a&b=c", `emails%5Btype+eq+%22work%22%5D.value+eq+%22a%26b%3Dc%22`},
			{"externalId", `a"b\c`, `externalId+eq+%22a%5C%22b%5C%5Cc%22`},
			{"displayName", "Ås <1>", "displayName+eq+%22%C3%85s+%3C1%3E%22"},
			{"active", true, "active+eq+true"},
			{scim.EnterpriseURN + ":employeeNumber", "701984", "urn%3Aietf%3Aparams%3Ascim%3Aschemas%3Aextension%3Aenterprise%3A2.0%3AUser%3AemployeeNumber+eq+%22701984%22"},
		} {
			x := newExchange(t, 200, emptyList)
			if _, err := open(t, x.URL, "").Find(t.Context(), tt.path, tt.value); err != nil {
				t.Fatal(err)
			}
			if want := "GET /Users?filter=" + tt.want; x.request != want {
				t.Errorf("got %s, want %s", x.request, want)
			}
		}
	})
	t.Run("reads_lists_as_servers_write_them", func(t *testing.T) {
		t.Parallel()
		for _, answer := range []string{
			"\xef\xbb\xbf" + `{"totalResults":1,"Resources":[{"id":"7","userName":"ada","n":3,"f":1.5}]}`,
			`{"TOTALRESULTS":1,"resources":[{"ID":"7","userName":"ada","n":3,"f":1.5}]}`,
			`{"Resources":[{"id":"7","userName":"ada","n":3,"f":1.5}]}`,
			`{"totalResults":"1","Resources":[{"id":"7","userName":"ada","n":3,"f":1.5}]}`,
		} {
			x := newExchange(t, 200, answer)
			x.kind = "text/json"
			found, err := open(t, x.URL, "").Find(t.Context(), "userName", "ada")
			if err != nil {
				t.Errorf("%s: %v", answer, err)
				continue
			}
			if len(found) != 1 || found[0].ID != "7" || found[0].Resource["n"] != int64(3) || found[0].Resource["f"] != 1.5 {
				t.Errorf("%s: got %+v", answer, found)
			}
		}
	})
	t.Run("none_is_no_error", func(t *testing.T) {
		t.Parallel()
		for _, answer := range []string{emptyList, `{"totalResults":0}`} {
			x := newExchange(t, 200, answer)
			if found, err := open(t, x.URL, "").Find(t.Context(), "userName", "ada"); err != nil || len(found) != 0 {
				t.Errorf("%s: got %v, %v", answer, found, err)
			}
		}
	})
	t.Run("answers_that_are_no_list_are_refused", func(t *testing.T) {
		t.Parallel()
		for _, answer := range []string{
			"", "null", "[]", `"x"`, `{"id":"7","userName":"ada"}`, `{"totalResults":1,"Resources":[{"userName":"ada"}]}`,
			`{"totalResults":1,"Resources":{}}`, `{"totalResults":1,"Resources":[null]}`, `{"totalResults":1,"Resources":[{"id":7.5}]}`,
		} {
			x := newExchange(t, 200, answer)
			_, err := open(t, x.URL, "").Find(t.Context(), "userName", "ada")
			if te := problem(t, err); te.Kind != provision.Incompatible {
				t.Errorf("%s: got %+v", answer, te)
			}
		}
	})
	t.Run("a_page_that_hides_a_second_account_is_ambiguous", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 200, `{"totalResults":2,"Resources":[{"id":"7"}]}`)
		_, err := open(t, x.URL, "").Find(t.Context(), "userName", "ada")
		if te := problem(t, err); te.Code != "DuplicateTargetEntries" {
			t.Errorf("got %+v", te)
		}
	})
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	t.Run("ids_are_escaped_into_paths", func(t *testing.T) {
		t.Parallel()
		for id, want := range map[string]string{
			"7c0f":           "/scim/Users/7c0f",
			"a/b?c#d":        "/scim/Users/a%2Fb%3Fc%23d",
			"../Groups/1":    "/scim/Users/..%2FGroups%2F1",
			"ada@example.io": "/scim/Users/ada@example.io",
			"å %":            "/scim/Users/%C3%A5%20%25",
		} {
			x := newExchange(t, 200, fmt.Sprintf(`{"id":%q}`, id))
			if _, err := open(t, x.URL+"/scim", "").Get(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if x.request != "GET "+want {
				t.Errorf("%q: got %s, want GET %s", id, x.request, want)
			}
		}
	})
	t.Run("ids_that_would_climb_are_refused", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 200, "{}")
		for _, id := range []string{"", ".", ".."} {
			if err := open(t, x.URL, "").Delete(t.Context(), id); problem(t, err).Kind != provision.Incompatible {
				t.Errorf("%q: got %v", id, err)
			}
		}
		if x.request != "" {
			t.Errorf("sent %s", x.request)
		}
	})
	t.Run("an_account_that_is_gone_is_deleted", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 404, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404"}`)
		if err := open(t, x.URL, "").Delete(t.Context(), "7"); err != nil {
			t.Error(err)
		}
		if _, err := open(t, x.URL, "").Get(t.Context(), "7"); problem(t, err).Kind != provision.NotFound || problem(t, err).Code != "InvalidAnchor" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a_create_is_sent_as_entra_sends_it", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 201, `{"id":"7","userName":"grace@example.com"}`)
		o, err := open(t, x.URL, "").Create(t.Context(), []provision.Change{
			{Path: "userName", New: "grace@example.com"},
			{Path: "active", New: true},
			{Path: "displayName", New: "Grace <Hopper>"},
			{Path: `emails[type eq "work"].value`, New: "grace@example.com"},
			{Path: `emails[type eq "home"].value`, New: "g@home.example"},
			{Path: "name.givenName", New: "Grace"},
			{Path: "name.familyName", New: "Hopper"},
			{Path: `addresses[type eq "work"].locality`, New: "Arlington"},
			{Path: `addresses[type eq "work"].country`, New: "US"},
			{Path: scim.EnterpriseURN + ":department", New: "Navy"},
		})
		if err != nil || o.ID != "7" {
			t.Fatalf("got %+v, %v", o, err)
		}
		want := `{"active":true,"addresses":[{"country":"US","locality":"Arlington","type":"work"}],"displayName":"Grace <Hopper>",` +
			`"emails":[{"primary":true,"type":"work","value":"grace@example.com"},{"type":"home","value":"g@home.example"}],` +
			`"meta":{"resourceType":"User"},"name":{"familyName":"Hopper","givenName":"Grace"},"roles":[],` +
			`"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],` +
			`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Navy"},"userName":"grace@example.com"}`
		if d := cmp.Diff(want, x.body); d != "" {
			t.Errorf("body (-want +got):\n%s", d)
		}
		if got := x.header.Get("Content-Type"); got != "application/scim+json" {
			t.Errorf("got Content-Type %q", got)
		}
	})
	t.Run("a_created_account_without_an_id_may_exist", func(t *testing.T) {
		t.Parallel()
		for _, answer := range []string{"", "{}", "<html>"} {
			x := newExchange(t, 201, answer)
			_, err := open(t, x.URL, "").Create(t.Context(), []provision.Change{{Path: "userName", New: "a"}})
			if te := problem(t, err); !te.Sent || te.Kind != provision.Incompatible {
				t.Errorf("%q: got %+v", answer, te)
			}
		}
	})
}

func TestPatch(t *testing.T) {
	t.Parallel()
	changes := []provision.Change{
		{Path: "displayName", Old: "Grace", New: "Grace Hopper"},
		{Path: `emails[type eq "work"].value`, New: "grace@example.com"},
		{Path: "name.familyName", Old: "Murray", New: "Hopper"},
		{Path: `addresses[type eq "work"].locality`, Old: "New York", New: "Arlington"},
		{Path: "active", Old: true, New: false},
		{Path: "nickName", New: "Amazing Grace"},
	}
	for name, tt := range map[string]struct {
		flag    string
		changes []provision.Change
		want    string
	}{
		"the_default_dialect_has_one_operation_per_attribute": {
			"", changes,
			`{"op":"Replace","path":"displayName","value":"Grace Hopper"},` +
				`{"op":"Add","path":"emails[type eq \"work\"].value","value":"grace@example.com"},` +
				`{"op":"Replace","path":"name.familyName","value":"Hopper"},` +
				`{"op":"Replace","path":"addresses[type eq \"work\"].locality","value":"Arlington"},` +
				`{"op":"Replace","path":"active","value":"False"},` +
				`{"op":"Add","path":"nickName","value":"Amazing Grace"}`,
		},
		"the_compliant_dialect_merges_plain_paths": {
			"?aadOptscim062020", changes,
			`{"op":"add","path":"emails[type eq \"work\"].value","value":"grace@example.com"},` +
				`{"op":"add","path":"nickName","value":"Amazing Grace"},` +
				`{"op":"replace","path":"addresses[type eq \"work\"].locality","value":"Arlington"},` +
				`{"op":"replace","value":{"active":false,"displayName":"Grace Hopper","name.familyName":"Hopper"}}`,
		},
		"active_alone_keeps_its_path_and_is_a_boolean": {
			"/?AADOPTSCIM062020", changes[4:5], `{"op":"replace","path":"active","value":false}`,
		},
		"several_adds_are_merged": {
			"?aadOptscim062020",
			[]provision.Change{{Path: "nickName", New: "G"}, {Path: scim.EnterpriseURN + ":employeeNumber", New: "1906"}},
			`{"op":"add","value":{"nickName":"G","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber":"1906"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t, 204, "")
			if _, err := open(t, x.URL+tt.flag, "").Patch(t.Context(), "7", tt.changes); err != nil {
				t.Fatal(err)
			}
			want := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + tt.want + `]}`
			if d := cmp.Diff(want, x.body); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
			if !strings.HasPrefix(x.request, "PATCH /Users/7") {
				t.Errorf("got %s", x.request)
			}
			p, _, err := scim.DecodePatch(scim.UserType(), []byte(x.body), scim.Strict)
			if tt.flag != "" && (err != nil || len(p.Operations) == 0) {
				t.Errorf("the compliant body is not compliant: %v", err)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	patch := func(c *scimclient.Client) error {
		_, err := c.Patch(context.Background(), "7", []provision.Change{{Path: "title", New: "x"}})
		return err
	}
	for status, want := range map[int]struct {
		kind provision.Kind
		code string
		sent bool
	}{
		400: {provision.Permanent, "UnprocessableEntity", false},
		401: {provision.Credentials, "Unauthorized", false},
		403: {provision.Permanent, "InsufficientRights", false},
		404: {provision.NotFound, "InvalidAnchor", false},
		405: {provision.Permanent, "MethodNotAllowed", false},
		408: {provision.Transient, "Timeout", true},
		409: {provision.Conflict, "EntryConflict", false},
		422: {provision.Permanent, "UnprocessableEntity", false},
		429: {provision.Throttled, "TooManyRequests", false},
		500: {provision.Transient, "InternalServerError", true},
		501: {provision.Permanent, "NotImplemented", false},
		503: {provision.Transient, "InternalServerError", true},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			x := newExchange(t, status, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"x","detail":"Because it is so"}`)
			te := problem(t, patch(open(t, x.URL, "")))
			if te.Kind != want.kind || te.Code != want.code || te.Sent != want.sent || te.Detail != "Because it is so." || te.Request != "PATCH /Users/7" {
				t.Errorf("got %+v, want %+v", te, want)
			}
		})
	}
	t.Run("uniqueness_in_a_400_is_a_conflict", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 400, `{"scimType":"uniqueness"}`)
		if te := problem(t, patch(open(t, x.URL, ""))); te.Kind != provision.Conflict {
			t.Errorf("got %+v", te)
		}
	})
	t.Run("long_and_broken_details_are_cut_at_a_character", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 400, `{"detail":"`+strings.Repeat("å", 2000)+`"}`)
		if te := problem(t, patch(open(t, x.URL, ""))); len(te.Detail) > 1010 || !strings.HasSuffix(te.Detail, "å….") {
			t.Errorf("got %d bytes", len(te.Detail))
		}
	})
	t.Run("retry_after_is_read_in_all_its_forms", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string]time.Duration{
			"":                              0,
			"7":                             7 * time.Second,
			" 0.25 ":                        250 * time.Millisecond,
			"-3":                            0,
			"NaN":                           0,
			"soon":                          0,
			"1e12":                          6 * time.Hour,
			"Thu, 09 Jan 2025 09:01:30 GMT": 90 * time.Second,
			"Thu, 09 Jan 2025 08:00:00 GMT": 0,
			"Fri, 10 Jan 2025 09:00:00 GMT": 6 * time.Hour,
		} {
			x := newExchange(t, 429, "")
			x.retry = text
			if te := problem(t, patch(open(t, x.URL, ""))); te.RetryAfter != want || te.Kind != provision.Throttled {
				t.Errorf("%q: got %s, want %s", text, te.RetryAfter, want)
			}
		}
	})
	t.Run("503_with_a_time_is_a_pause", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 503, "")
		x.retry = "2"
		if te := problem(t, patch(open(t, x.URL, ""))); te.Kind != provision.Throttled || te.RetryAfter != 2*time.Second {
			t.Errorf("got %+v", te)
		}
	})
	t.Run("an_answer_that_breaks_off_may_have_been_carried_out", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}))
		defer s.Close()
		if te := problem(t, patch(open(t, s.URL, ""))); te.Kind != provision.Transient || !te.Sent {
			t.Errorf("got %+v", te)
		}
	})
	t.Run("an_answer_that_is_too_large_is_no_scim", func(t *testing.T) {
		t.Parallel()
		x := newExchange(t, 200, `{"x":"`+strings.Repeat("x", 1<<12)+`"}`)
		_, err := openWith(t, x.URL, "", outbound.Options{AllowLoopback: true, MaxBody: 1 << 10}).Get(t.Context(), "7")
		if te := problem(t, err); te.Kind != provision.Incompatible || !strings.Contains(te.Detail, "larger") {
			t.Errorf("got %+v", te)
		}
	})
}

func TestIDsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{"NUL": `a\u0000b`, "a_megabyte": strings.Repeat("x", 1<<20), "nothing": "", "a_fraction": `7.5`, "a_boolean": `true`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t, http.StatusOK, `{"totalResults":1,"Resources":[{"id":"`+id+`","userName":"ada"}]}`)
			x.answer = strings.NewReplacer(`"7.5"`, `7.5`, `"true"`, `true`).Replace(x.answer)
			_, err := open(t, x.URL, "t").Find(t.Context(), "userName", "ada")
			if te := problem(t, err); te.Kind != provision.Incompatible || !strings.Contains(te.Detail, "id") {
				t.Errorf("got %+v", te)
			}
		})
	}
}

func TestAnErrorOfBlanksIsNotEmpty(t *testing.T) {
	t.Parallel()
	_, err := open(t, newExchange(t, http.StatusTeapot, `{"detail":"  ","message":"\t"}`).URL, "t").Get(t.Context(), "u-1")
	if te := problem(t, err); te.Detail != "The application answered 418 I'm a teapot." {
		t.Errorf("got %q", te.Detail)
	}
}
