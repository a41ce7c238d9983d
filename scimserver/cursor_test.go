package scimserver_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// unreserved matches the characters that a cursor may consist of. RFC 9865 §2.
var unreserved = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)

// walk follows the cursors of a query from its first page, and returns the ids of each page.
func (w *world) walk(t *testing.T, query string) (pages [][]string, previous []string) {
	t.Helper()
	cursor := ""
	for len(pages) < 50 {
		got := w.send("GET " + query + "&cursor=" + cursor)
		wantStatus(t, got, 200)
		list := body(t, got)
		if _, there := list["startIndex"]; there {
			t.Error("a page by cursor has a startIndex")
		}
		var ids []string
		resources, _ := list["Resources"].([]any)
		for _, r := range resources {
			ids = append(ids, fmt.Sprint(r.(map[string]any)["id"]))
		}
		if list["itemsPerPage"] != float64(len(ids)) {
			t.Errorf("got itemsPerPage %v for %d resources", list["itemsPerPage"], len(ids))
		}
		before, _ := list["previousCursor"].(string)
		pages, previous = append(pages, ids), append(previous, before)
		next, more := list["nextCursor"].(string)
		if !more {
			return pages, previous
		}
		if !unreserved.MatchString(next) {
			t.Errorf("the cursor %q has characters that a URL reserves", next)
		}
		cursor = next
	}
	t.Fatal("the pages do not end")
	return nil, nil
}

func TestCursorsLeadThroughEverythingOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	var users, groups []string
	for i := range 11 {
		users = append(users, w.bring(fmt.Sprintf(`{"userName":"p%02d","displayName":"%c"}`, 10-i, 'a'+i%3))[0].ID)
	}
	for i := range 3 {
		groups = append(groups, w.bringGroups(fmt.Sprintf(`{"displayName":"g%d","members":[{"value":%q}]}`, i, users[0]))[0].ID)
	}
	reversed := slices.Clone(users)
	slices.Reverse(reversed)
	for query, want := range map[string][]string{
		"/Users?count=3":                 users,
		"/Users?count=11":                users,
		"/Users?count=4&sortBy=userName": reversed,
		"/Users?count=2&filter=" + url.QueryEscape(`displayName eq "b"`): {users[1], users[4], users[7], users[10]},
		"/Groups?count=2": groups,
		"/?count=4":       append(slices.Clone(users), groups...),
		"/?count=2&attributes=id&filter=" + url.QueryEscape("displayName pr"): append(slices.Clone(users), groups...),
	} {
		pages, previous := w.walk(t, query)
		if diff := cmp.Diff(slices.Concat(pages...), want); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
		if previous[0] != "" {
			t.Errorf("%s: the first page has a previousCursor", query)
		}
	}
	t.Run("and_back", func(t *testing.T) {
		pages, previous := w.walk(t, "/Users?count=3")
		back := body(t, w.send("GET /Users?count=3&cursor="+previous[2]))
		var ids []string
		for _, r := range back["Resources"].([]any) {
			ids = append(ids, fmt.Sprint(r.(map[string]any)["id"]))
		}
		if diff := cmp.Diff(ids, pages[1]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("in_a_search_too", func(t *testing.T) {
		search := func(cursor string) map[string]any {
			return body(t, w.send("POST /Users/.search\n\n"+`{"schemas":["`+scim.SearchRequestURN+`"],"count":6,"cursor":"`+cursor+`"}`))
		}
		first := search("")
		second := search(fmt.Sprint(first["nextCursor"]))
		if len(second["Resources"].([]any)) != 5 || second["nextCursor"] != nil || second["totalResults"] != 11.0 {
			t.Errorf("got %v", second)
		}
	})
}

func TestCursorsAreGoodForTheirQueryAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	for i := range 5 {
		w.bring(fmt.Sprintf(`{"userName":"p%d"}`, i))
	}
	_, token, _ := w.newSite("globex", site.Full)
	cursor := fmt.Sprint(body(t, w.send("GET /Users?cursor&count=2"))["nextCursor"])
	wantError(t, w.send("GET /Users?count=3&cursor="+cursor), 400, "invalidCount")
	wantError(t, w.send("GET /Users?count=2&filter=active+eq+true&cursor="+cursor), 400, "invalidCursor")
	wantError(t, w.send("GET /Users?count=2&sortBy=userName&cursor="+cursor), 400, "invalidCursor")
	wantError(t, w.send("GET /Groups?count=2&cursor="+cursor), 400, "invalidCursor")
	wantError(t, w.send("GET /?count=2&cursor="+cursor), 400, "invalidCursor")
	wantError(t, w.send("GET /?count=2&cursor=1-"+cursor), 400, "invalidCursor")
	wantError(t, w.send("GET /Users?count=2&cursor="+cursor[:len(cursor)-2]), 400, "invalidCursor")
	wantError(t, w.send("GET =/c/globex/auth/scim/v2/Users?count=2&cursor="+cursor+"\nAuthorization: Bearer "+token), 400, "invalidCursor")
	wantStatus(t, w.send("GET /Users?count=2&cursor="+cursor), 200)
	w.setClock(w.clock().Add(2 * time.Hour))
	wantError(t, w.send("GET /Users?count=2&cursor="+cursor), 400, "expiredCursor")
}

func TestCursorsSurviveWhatComesAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	for i := range 6 {
		w.bring(fmt.Sprintf(`{"userName":"p%d"}`, i))
	}
	first := body(t, w.send("GET /Users?cursor&count=2"))
	wantStatus(t, w.send("DELETE /Users/u-1"), 204)
	wantStatus(t, w.send("DELETE /Users/u-2"), 204)
	second := w.send("GET /Users?count=2&cursor=" + fmt.Sprint(first["nextCursor"]))
	wantStatus(t, second, 200)
	if text := second.Body.String(); !strings.Contains(text, `"u-3"`) || !strings.Contains(text, `"u-4"`) {
		t.Errorf("two were deleted and two more skipped: %s", text)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.set(func(s *site.Site) { s.RateLimit = 25 })
	still := w.clock()
	send := func() int {
		w.setClock(still.Add(-time.Minute)) // no time passes
		got := w.send("GET /ServiceProviderConfig")
		if got.Code == 429 {
			wantError(t, got, 429, "")
			if after := got.Header().Get("Retry-After"); after != "1" {
				t.Errorf("got Retry-After %q, want 1", after)
			}
		}
		return got.Code
	}
	for i := range 25 {
		if code := send(); code != 200 {
			t.Fatalf("request %d of the second: got %d", i+1, code)
		}
	}
	if code := send(); code != 429 {
		t.Errorf("the 26th request of the second: got %d, want 429", code)
	}
	_, token, _ := w.newSite("globex", site.Full)
	wantStatus(t, w.send("GET =/c/globex/auth/scim/v2/ServiceProviderConfig\nAuthorization: Bearer "+token), 200)
	still = still.Add(time.Second)
	if code := send(); code != 200 {
		t.Errorf("a second later: got %d", code)
	}
	rows := w.requests()
	refused := slices.IndexFunc(rows, func(r requestlog.Request) bool { return r.Status == 429 })
	if refused < 0 || !strings.Contains(rows[refused].Sentence, "25 SCIM requests per second") {
		t.Errorf("the request log does not tell: %+v", rows)
	}
}
