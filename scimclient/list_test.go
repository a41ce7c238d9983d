package scimclient_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// TestList reads pages by number and by cursor, and refuses answers that are no list of accounts.
func TestList(t *testing.T) {
	t.Parallel()
	two := `"Resources":[{"id":"u1","userName":"a"},{"id":"u2","userName":"b"}]`
	for name, c := range map[string]struct {
		answer, from, request, next string
	}{
		"the first page":             {`{"totalResults":3,` + two + `}`, "", "GET /scim/v2/Users?count=2&startIndex=1", "3"},
		"the last page":              {`{"totalResults":4,` + two + `}`, "3", "GET /scim/v2/Users?count=2&startIndex=3", ""},
		"a page that is short":       {`{"totalResults":9,` + two + `}`, "3", "GET /scim/v2/Users?count=2&startIndex=3", "5"},
		"an empty page":              {`{"totalResults":9,"Resources":[]}`, "3", "GET /scim/v2/Users?count=2&startIndex=3", ""},
		"a page with a cursor":       {`{"totalResults":3,"nextCursor":"x y",` + two + `}`, "", "GET /scim/v2/Users?count=2&startIndex=1", "cursor:x y"},
		"the page of a cursor":       {`{"totalResults":3,` + two + `}`, "cursor:x y", "GET /scim/v2/Users?count=2&cursor=x+y", ""},
		"an answer without a number": {`{` + two + `}`, "", "GET /scim/v2/Users?count=2&startIndex=1", ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			x := newExchange(t, http.StatusOK, c.answer)
			page, next, err := open(t, x.URL+"/scim/v2", "secret").List(t.Context(), c.from, 2)
			if err != nil || x.request != c.request {
				t.Fatalf("asked %q, %v; want %q", x.request, err, c.request)
			}
			if want := strings.Count(c.answer, `"id"`); len(page) != want || next != c.next {
				t.Errorf("got %d accounts and next %q, want %d and %q", len(page), next, want, c.next)
			}
		})
	}
	for _, answer := range []string{`{}`, `[]`, `{"totalResults":1,"Resources":{}}`, `{"totalResults":1,"Resources":[{"id":"g1","schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]}]}`} {
		x := newExchange(t, http.StatusOK, answer)
		if _, _, err := open(t, x.URL, "secret").List(t.Context(), "", 2); problem(t, err).Kind != provision.Incompatible {
			t.Errorf("%s: %v", answer, err)
		}
	}
}
