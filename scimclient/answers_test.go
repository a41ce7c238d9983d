package scimclient_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

func TestNumericIDs(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{"41": "41", "0": "0", "-7": "-7", "9007199254740993": "9007199254740993", "340282366920938463463374607431768211456": "340282366920938463463374607431768211456"} {
		x := newExchange(t, 200, fmt.Sprintf(`{"totalResults":1,"Resources":[{"id":%s,"userName":"ada","employeeNumber":%s}]}`, number, number))
		c := open(t, x.URL, "")
		found, err := c.Find(t.Context(), "userName", "ada")
		if err != nil || len(found) != 1 || found[0].ID != want || found[0].Resource["id"] != want || fmt.Sprint(found[0].Resource["employeeNumber"]) != number {
			t.Errorf("%s in a list: got %+v, %v", number, found, err)
		}
		x.answer = fmt.Sprintf(`{"id":%s,"userName":"ada","active":true}`, number)
		if o, err := c.Get(t.Context(), want); err != nil || o.ID != want || x.request != "GET /Users/"+want {
			t.Errorf("%s read: got %+v, %v for %s", number, o, err, x.request)
		}
		if _, err := c.Patch(t.Context(), want, []provision.Change{{Path: "active", Old: false, New: true}}); err != nil {
			t.Errorf("%s patched: %v", number, err)
		}
		x.status = 201
		if o, err := c.Create(t.Context(), []provision.Change{{Path: "userName", New: "ada"}}); err != nil || o.ID != want {
			t.Errorf("%s created: got %+v, %v", number, o, err)
		}
	}
	x := newExchange(t, 200, `{"ID":7,"id":"","userName":"ada"}`)
	if o, err := open(t, x.URL, "").Get(t.Context(), "7"); err != nil || o.ID != "7" {
		t.Errorf("twice: got %+v, %v", o, err)
	}
}

func TestOneAccountNamedTwiceIsOne(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int{
		`{"totalResults":2,"Resources":[{"id":"7"},{"id":"7"}]}`:            1,
		`{"totalResults":3,"Resources":[{"id":7},{"id":"7"},{"id":"7"}]}`:   1,
		`{"totalResults":1,"Resources":[{"id":"7"},{"id":"7"}]}`:            1,
		`{"totalResults":3,"Resources":[{"id":"7"},{"id":"8"},{"id":"7"}]}`: 2,
	} {
		found, err := open(t, newExchange(t, 200, answer).URL, "").Find(t.Context(), "userName", "ada")
		if err != nil || len(found) != want {
			t.Errorf("%s: got %+v, %v, want %d", answer, found, err, want)
		}
	}
	_, err := open(t, newExchange(t, 200, `{"totalResults":3,"Resources":[{"id":"7"},{"id":"7"}]}`).URL, "").Find(t.Context(), "userName", "ada")
	if te := problem(t, err); te.Code != "DuplicateTargetEntries" {
		t.Errorf("a third one that is not shown: got %+v", te)
	}
}

func TestTheCountOfAllAccountsIsExplained(t *testing.T) {
	t.Parallel()
	c := open(t, newExchange(t, 200, `{"totalResults":500,"Resources":[]}`).URL, "")
	te := problem(t, c.Test(t.Context(), "userName", provision.TypeString))
	if te.Kind != provision.Unsearchable || strings.Contains(te.Words(), guid) || !strings.Contains(te.Words(), "counts 500 accounts") || !strings.Contains(te.Words(), "totalResults must count the accounts that the filter finds") {
		t.Errorf("got %s %q", te.Kind, te.Words())
	}
}

func TestRandomValuesFitTheirType(t *testing.T) {
	t.Parallel()
	x := newExchange(t, 200, emptyList)
	c := open(t, x.URL, "")
	for kind, want := range map[provision.AttributeType]string{
		provision.TypeString:   "%22" + guid + "%22",
		provision.TypeInteger:  "", // digits
		provision.TypeDateTime: "Z%22",
	} {
		if err := c.Test(t.Context(), "x", kind); err != nil {
			t.Error(err)
		}
		value := strings.TrimPrefix(x.request, "GET /Users?filter=x+eq+")
		if !strings.HasSuffix(value, want) || kind == provision.TypeInteger && strings.Trim(value, "0123456789") != "" {
			t.Errorf("%s: got %s", kind, value)
		}
	}
	if te := problem(t, c.Test(t.Context(), "active", provision.TypeBoolean)); te.Kind != provision.Unsearchable {
		t.Errorf("a boolean: got %+v", te)
	}
}

// relocated redirects every request to the address that the function returns.
func relocated(t *testing.T, location func(r *http.Request) string, next http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := location(r); to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
		next(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	nobody := func(w http.ResponseWriter, _ *http.Request) { t.Error("the redirect was followed") }
	for name, tt := range map[string]struct {
		location func(r *http.Request) string
		words    []string
	}{
		"another_host": {
			func(r *http.Request) string { return "https://new.example" + r.URL.RequestURI() },
			[]string{"redirects to https://new.example/scim/v2/Users;", "Enter the final address as Tenant URL: https://new.example/scim/v2?aadOptscim062020"},
		},
		"another_path": {
			func(r *http.Request) string { return "/api" + r.URL.RequestURI() },
			[]string{"Enter the final address as Tenant URL: http://", "/api/scim/v2?aadOptscim062020"},
		},
		"another_host_with_a_slash": {
			func(r *http.Request) string { return "https://new.example" + r.URL.Path + "/?" + r.URL.RawQuery },
			[]string{"Enter the final address as Tenant URL: https://new.example/scim/v2?aadOptscim062020"},
		},
		"a_sign_in_page": {
			func(r *http.Request) string { return "https://login.example/?next=" + r.URL.Path },
			[]string{"redirects to https://login.example/;", "it may be a sign-in page"},
		},
		"itself": {
			func(r *http.Request) string { return r.URL.RequestURI() },
			[]string{"leads in a circle"},
		},
		"slash_and_back": {
			func(r *http.Request) string {
				if strings.HasSuffix(r.URL.Path, "/") {
					return strings.TrimSuffix(r.URL.Path, "/")
				}
				return r.URL.Path + "/"
			},
			[]string{"leads in a circle"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := relocated(t, tt.location, nobody)
			te := problem(t, open(t, s.URL+"/scim/v2?aadOptscim062020", "secret").Test(t.Context(), "userName", provision.TypeString))
			if te.Kind != provision.Incompatible || strings.Contains(te.Words(), guid) {
				t.Errorf("got %s %q", te.Kind, te.Words())
			}
			for _, w := range tt.words {
				if !strings.Contains(te.Words(), w) {
					t.Errorf("%q does not say %q", te.Words(), w)
				}
			}
		})
	}
	t.Run("to_a_slash_at_the_end_is_asked_there", func(t *testing.T) {
		t.Parallel()
		var redirected, bodies atomic.Int32
		s := relocated(t, func(r *http.Request) string {
			if strings.HasSuffix(r.URL.Path, "/") {
				return ""
			}
			redirected.Add(1)
			return r.URL.Path + "/?" + r.URL.RawQuery
		}, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer secret" {
				t.Errorf("%s came without the token", r.URL)
			}
			if body, _ := io.ReadAll(r.Body); len(body) > 0 {
				bodies.Add(1)
			}
			switch {
			case r.Method == http.MethodPost:
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, `{"id":"7"}`)
			case strings.Contains(r.URL.RawQuery, "filter="):
				_, _ = io.WriteString(w, emptyList)
			default:
				_, _ = io.WriteString(w, `{"id":"7"}`)
			}
		})
		c := open(t, s.URL+"/scim", "secret")
		for range 3 {
			if err := c.Test(t.Context(), "userName", provision.TypeString); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Create(t.Context(), []provision.Change{{Path: "userName", New: "ada"}}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Get(t.Context(), "7"); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Patch(t.Context(), "7", []provision.Change{{Path: "title", New: "x"}}); err != nil {
				t.Fatal(err)
			}
		}
		if redirected.Load() != 2 || bodies.Load() != 6 {
			t.Errorf("redirected %d times with %d bodies, want 2 (once for the list, once for an account) and 6", redirected.Load(), bodies.Load())
		}
	})
}

func TestA404ToASearchIsExplained(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("filter") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404","detail":"User not found"}`)
			return
		}
		_, _ = io.WriteString(w, `{"totalResults":1,"Resources":[{"id":"7"}]}`)
	}))
	t.Cleanup(s.Close)
	te := problem(t, open(t, s.URL, "").Test(t.Context(), "userName", provision.TypeString))
	if te.Kind != provision.Unsearchable || !strings.Contains(te.Words(), "answers 404 to a search by userName that finds no account") || !strings.Contains(te.Words(), "The Tenant URL is right") {
		t.Errorf("got %s %q", te.Kind, te.Words())
	}
}

func TestA404WithoutSCIMIsNoProof(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]provision.Kind{
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404"}`:   provision.NotFound,
		`{"SCHEMAS":"URN:IETF:PARAMS:SCIM:API:MESSAGES:2.0:ERROR","detail":"Unknown"}`: provision.NotFound,
		"":                               provision.NotFound, // the engine searches for the account before it believes this
		"<html><h1>404</h1></html>":      provision.Transient,
		"default backend - 404":          provision.Transient,
		`{"message":"no Route matched"}`: provision.Transient,
		`{"detail":"Not Found"}`:         provision.Transient,
		`{"timestamp":1,"status":404,"path":"/"}`: provision.Transient,
	} {
		x := newExchange(t, http.StatusNotFound, body)
		x.kind = ""
		_, err := open(t, x.URL, "").Get(t.Context(), "7")
		if te := problem(t, err); te.Kind != want || te.Advice == "" {
			t.Errorf("%s: got %s %q, want %s", body, te.Kind, te.Words(), want)
		}
	}
}

func TestAnotherAccountThanAskedForIsRefused(t *testing.T) {
	t.Parallel()
	_, err := open(t, newExchange(t, 200, `{"id":"8","userName":"eve"}`).URL, "").Get(t.Context(), "7")
	if te := problem(t, err); te.Kind != provision.Incompatible || !strings.Contains(te.Detail, "asked for the account 7 and answered with 8") {
		t.Errorf("got %+v", te)
	}
}

// TestAResourceOfAnotherTypeIsRefused has an application that answers questions about groups with
// accounts, and the other way round.
func TestAResourceOfAnotherTypeIsRefused(t *testing.T) {
	t.Parallel()
	const user, group = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"
	for name, tt := range map[string]struct {
		resource     string
		users, group bool // whether it counts as an account, and as a group
	}{
		"a user by its schema":       {`{"id":"7","displayName":"Sales","schemas":["` + user + `"]}`, true, false},
		"a group by its schema":      {`{"id":"7","displayName":"Sales","schemas":["` + group + `"]}`, false, true},
		"a user by its meta":         {`{"id":"7","displayName":"Sales","meta":{"resourceType":"User"}}`, true, false},
		"a group by its meta":        {`{"ID":"7","displayName":"Sales","Meta":{"resourceType":"group"}}`, false, true},
		"neither":                    {`{"id":"7","displayName":"Sales"}`, true, true},
		"both schemas":               {`{"id":"7","displayName":"Sales","schemas":["` + user + `","` + group + `"]}`, true, true},
		"a type of its own":          {`{"id":"7","displayName":"Sales","meta":{"resourceType":"Employee"},"schemas":["urn:x"]}`, true, true},
		"schemas that are no list":   {`{"id":"7","displayName":"Sales","schemas":"` + group + `"}`, true, true},
		"a schema in other capitals": {`{"id":"7","displayName":"Sales","schemas":["` + strings.ToUpper(group) + `"]}`, false, true},
	} {
		x := newExchange(t, 200, "")
		c := open(t, x.URL, "")
		for target, right := range map[provision.Target]bool{c: tt.users, c.Groups(): tt.group} {
			x.status, x.answer = 200, `{"totalResults":1,"Resources":[`+tt.resource+`]}`
			if found, err := target.Find(t.Context(), "displayName", "Sales"); (err == nil) != right || right && len(found) != 1 {
				t.Errorf("%s: a search found %+v, %v", name, found, err)
			}
			x.answer = tt.resource
			if o, err := target.Get(t.Context(), "7"); (err == nil) != right {
				t.Errorf("%s: a read found %+v, %v", name, o, err)
			}
			x.status = 201
			if o, err := target.Create(t.Context(), []provision.Change{{Path: "displayName", New: "Sales"}}); (err == nil) != right || !right && !problem(t, err).Sent {
				t.Errorf("%s: a create made %+v, %v", name, o, err)
			}
		}
	}
}

// TestMembersInOtherCapitals has an application that shows ids in other capitals than it gave out.
func TestMembersInOtherCapitals(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/scim+json")
		if r.URL.Query().Has("filter") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"id":"g1","members":[{"value":"ABC-1"}]}`)
	}))
	defer s.Close()
	groups := open(t, s.URL, "").Groups()
	if has, err := groups.HasMember(t.Context(), "G1", "abc-1"); err != nil || !has {
		t.Errorf("got %v, %v", has, err)
	}
}

// TestAGroupOfASecondFormMayExist has an application that refuses the first form of a new group, and
// then fails while it makes the group in the second form.
func TestAGroupOfASecondFormMayExist(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/scim+json")
		if strings.Contains(string(b), "schemas.microsoft.com") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(s.Close)
	_, err := open(t, s.URL, "").Groups().Create(t.Context(), []provision.Change{{Path: "displayName", New: "Team Blue"}})
	if te := problem(t, err); te.Kind != provision.Transient || !te.Sent {
		t.Errorf("got %+v", te)
	}
}
