package scimserver_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
)

// TestHostileInputsAreRefusedAtOnce sends malicious requests. Each gets its own answer.
func TestHostileInputsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.bring(`{"userName":"ada"}`)
	w.bringGroups(`{"displayName":"Team","members":[{"value":"u-1"}]}`)
	patch := func(operations string) string {
		return "PATCH /Users/u-1\n\n" + `{"schemas":["` + scim.PatchOpURN + `"],"Operations":[` + operations + `]}`
	}
	bulk := func(operations string) string {
		return "POST /Bulk\n\n" + `{"schemas":["` + scim.BulkRequestURN + `"],"Operations":[` + operations + `]}`
	}
	user := func(rest string) string {
		return "POST /Users\n\n" + `{"schemas":["` + scim.UserURN + `"],"userName":"x"` + rest + `}`
	}
	group := func(rest string) string {
		return "POST /Groups\n\n" + `{"schemas":["` + scim.GroupURN + `"],"displayName":"x"` + rest + `}`
	}
	times := func(n int, text string) string { return strings.Repeat(text+",", n-1) + text }
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	set := `{"op":"replace","path":"title","value":"x"}`
	members := func(n int) string {
		return `{"schemas":["` + scim.PatchOpURN + `"],"Operations":[{"op":"add","path":"members","value":[` + times(n, `{"value":"u"}`) + `]}]}`
	}
	for name, c := range map[string]struct {
		request  string
		status   int
		scimType string
	}{
		"filter_nested_10_000_deep":                {"GET /Users?filter=" + url.QueryEscape(strings.Repeat("(", 10_000)+"id pr"+strings.Repeat(")", 10_000)), 400, "invalidFilter"},
		"filter_of_10_000_negations":               {"GET /Users?filter=" + url.QueryEscape(strings.Repeat("not ", 10_000)+"(id pr)"), 400, "invalidFilter"},
		"filter_with_65_terms":                     {"GET /Users?filter=" + url.QueryEscape(strings.Repeat("id pr or ", 64)+"id pr"), 400, "invalidFilter"},
		"filter_of_4_097_bytes":                    {"GET /Users?filter=" + url.QueryEscape(`userName eq "`+strings.Repeat("x", 4_097-14)+`"`), 400, "invalidFilter"},
		"nested_filter_at_the_base":                {"POST /.search\n\n" + `{"filter":"` + strings.Repeat("(", 10_000) + `id pr"}`, 400, "invalidFilter"},
		"nested_filter_in_a_path":                  {patch(`{"op":"remove","path":"emails[` + strings.Repeat("(", 10_000) + `value pr]"}`), 400, "invalidFilter"},
		"patch_with_100_000_operations":            {patch(times(20_000, set)), 413, ""},
		"patch_with_1_001_operations":              {patch(times(1_001, set)), 413, ""},
		"patch_with_10_001_members":                {"PATCH /Groups/u-2\n\n" + members(10_001), 413, ""},
		"bulk_with_1_001_operations":               {bulk(times(1_001, `{"method":"DELETE","path":"/Users/u-9"}`)), 413, ""},
		"bulk_beyond_its_size":                     {bulk(`"` + strings.Repeat("x", scimserver.MaxBulkBytes) + `"`), 413, ""},
		"bulk_nested_10_000_deep":                  {bulk(deep), 400, "invalidSyntax"},
		"group_beyond_32_MiB":                      {group(`,"members":[` + strings.Repeat(" ", scimserver.MaxGroupBody) + `]`), 413, ""},
		"group_whose_rest_is_beyond_1_MiB":         {group(`,"externalId":"` + strings.Repeat("x", 2<<20) + `"`), 413, ""},
		"group_patch_beyond_1_MiB":                 {"PATCH /Groups/u-2\n\n" + members(100_000), 413, ""},
		"duplicate_keys":                           {user(`,"userName":"y"`), 400, "invalidSyntax"},
		"duplicate_keys_in_other_case":             {user(`,"USERNAME":"y"`), 400, "invalidSyntax"},
		"duplicate_keys_inside":                    {user(`,"name":{"givenName":"a","givenname":"b"}`), 400, "invalidSyntax"},
		"duplicate_members":                        {group(`,"members":[],"Members":[{"value":"u-1"}]`), 400, "invalidSyntax"},
		"duplicate_keys_in_a_member":               {group(`,"members":[{"value":"u-1","value":"u-2"}]`), 400, "invalidSyntax"},
		"duplicate_keys_in_an_operation":           {patch(`{"op":"remove","path":"title","path":"name"}`), 400, "invalidSyntax"},
		"invalid_UTF-8":                            {user(",\"title\":\"\xff\""), 400, "invalidSyntax"},
		"invalid_UTF-8_in_a_member":                {group(",\"members\":[{\"value\":\"\xff\"}]"), 400, "invalidSyntax"},
		"invalid_UTF-8_in_a_search":                {"POST /Users/.search\n\n{\"filter\":\"userName eq \\\"\xff\\\"\"}", 400, "invalidSyntax"},
		"invalid_UTF-8_in_a_bulk":                  {bulk("{\"method\":\"\xff\"}"), 400, "invalidSyntax"},
		"invalid_UTF-8_in_a_filter":                {"GET /Users?filter=userName+eq+%22%ff%22", 400, "invalidFilter"},
		"a_lone_surrogate":                         {user(`,"title":"\ud800"`), 400, "invalidSyntax"},
		"NUL_in_a_text":                            {user(`,"title":"\u0000"`), 400, "invalidValue"},
		"deep_JSON":                                {user(`,"name":` + deep), 400, "invalidSyntax"},
		"deep_JSON_in_a_member":                    {group(`,"members":[` + deep + `]`), 400, "invalidSyntax"},
		"members_that_do_not_end":                  {"POST /Groups\n\n" + `{"schemas":["` + scim.GroupURN + `"],"displayName":"x","members":[{"value":"u-1"},`, 400, "invalidSyntax"},
		"members_with_nothing_between_commas":      {group(`,"members":[{"value":"u-1"},,{"value":"u-1"}]`), 400, "invalidSyntax"},
		"a_gzip_bomb":                              {"POST /Users\nContent-Encoding: gzip\n\n\x1f\x8b\x08", 415, ""},
		"a_bomb_in_a_group":                        {"POST /Groups\nContent-Encoding: identity, br\n\n{}", 415, ""},
		"an_encoded_slash":                         {"GET /Users/..%2fGroups", 400, ""},
		"an_encoded_slash_twice":                   {"GET /Users/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 400, ""},
		"an_encoded_backslash":                     {"GET /Users/..%5cGroups", 400, ""},
		"dots":                                     {"GET /Users/../Groups", 400, ""},
		"encoded_dots":                             {"GET /Users/%2e%2e/Groups", 400, ""},
		"an_encoded_NUL":                           {"GET /Users/u-1%00", 400, ""},
		"an_id_that_is_SQL":                        {"GET /Users/" + url.PathEscape(`' or '1'='1`), 404, ""},
		"a_cursor_that_is_anything":                {"GET /Users?cursor=" + strings.Repeat("A", 4_000), 400, "invalidCursor"},
		"a_startIndex_that_no_list_reaches":        {"GET /Users?startIndex=99999999999999999999999", 400, "invalidValue"},
		"a_startIndex_that_no_number_type_has":     {"POST /Users/.search\n\n" + `{"startIndex":1e400}`, 400, "invalidValue"},
		"the_largest_startIndex_sorted_at_root":    {"POST /.search\n\n" + `{"sortBy":"userName","startIndex":9223372036854775807}`, 400, "tooMany"},
		"a_count_that_is_no_number":                {"GET /Users?count=1e9", 400, "invalidValue"},
		"an_operation_that_nests_more_than_itself": {bulk(`{"method":"POST","path":"/Bulk","bulkId":"b","data":{"schemas":["` + scim.BulkRequestURN + `"],"Operations":[]}}`), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.send(c.request)
			if c.status == 200 {
				wantStatus(t, got, 200)
				if text := got.Body.String(); !strings.Contains(text, `"status":"400"`) {
					t.Errorf("got %s", text)
				}
				return
			}
			wantError(t, got, c.status, c.scimType)
		})
	}
	if got := w.send("PATCH /Users/u-1\nContent-Type: " + strings.Repeat("\xf3", 10_000) + "\n\n{}").Body.Len(); got > 1_000 {
		t.Errorf("a media type of 10 kB comes back in %d bytes", got)
	}
	if got := w.send("PATCH /Users/u-1\nContent-Encoding: zstd\n\n{}").Header().Get("Accept-Encoding"); got != "identity" {
		t.Errorf("got Accept-Encoding %q, want identity", got)
	}
	wantError(t, w.send("PATCH /Users/u-1\nContent-Encoding: identity\n\n{}"), 400, "invalidSyntax")
	if got := w.holds(); len(got) != 2 {
		t.Errorf("something was written: %s", got)
	}
}

// TestIndexesThatOverflow asks every list for pages at the limits of an integer.
func TestIndexesThatOverflow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.bring(`{"userName":"ada","title":"x"}`)
	edges := []int64{math.MinInt64, -1, 0, 1, math.MaxInt32, math.MaxInt64 - 1, math.MaxInt64}
	for _, place := range []string{"/Users", "/Groups", ""} {
		for _, how := range []string{"", `,"sortBy":"userName"`, `,"sortBy":"displayName","sortOrder":"descending"`, `,"sortBy":"title"`, `,"filter":"id pr"`, `,"filter":"title eq \"x\"","sortBy":"title"`} {
			for _, start := range edges {
				for _, count := range edges {
					got := w.send(fmt.Sprintf("POST %s/.search\n\n"+`{"startIndex":%d,"count":%d%s}`, place, start, count, how))
					if got.Code == 400 { // sorted across types, a page that far would have to be merged from the beginning; groups have no title
						continue
					}
					wantStatus(t, got, 200)
					list := body(t, got)
					resources, _ := list["Resources"].([]any)
					if n := float64(len(resources)); list["itemsPerPage"] != n || list["startIndex"].(float64) < 1 || start > 1 && n > 0 {
						t.Errorf("%s from %d, %d of them, %s: got %v", place, start, count, how, list)
					}
				}
			}
		}
	}
}

// TestBulkWithReferencesByTheHundredThousand fills a bulk request with references. Resolving them
// must not cost more than reading them.
func TestBulkWithReferencesByTheHundredThousand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	group := func(id int, references ...int) string {
		members := make([]string, len(references))
		for i, r := range references {
			members[i] = fmt.Sprintf(`{"value":"bulkId:%d"}`, r)
		}
		return fmt.Sprintf(`{"method":"POST","path":"/Groups","bulkId":"%d","data":{"displayName":"Group %d","members":[%s]}}`, id, id, strings.Join(members, ","))
	}
	send := func(operations ...string) []any {
		got := w.send("POST /Bulk\n\n" + `{"schemas":["` + scim.BulkRequestURN + `"],"Operations":[` + strings.Join(operations, ",") + `]}`)
		wantStatus(t, got, 200)
		return body(t, got)["Operations"].([]any)
	}
	t.Run("to_nothing", func(t *testing.T) {
		many := make([]int, 150_000)
		for i := range many {
			many[i] = 1 + i
		}
		if got := fmt.Sprint(send(group(0, many...))); !strings.Contains(got, "status:400") || !strings.Contains(got, `No POST of this bulk request has the bulkId "1"`) {
			t.Errorf("got %.200s", got)
		}
	})
	t.Run("from_everything_to_everything", func(t *testing.T) {
		const n = 40
		operations := make([]string, n)
		for i := range n {
			var others []int
			for j := range n {
				if j != i {
					others = append(others, j)
				}
			}
			operations[i] = group(i, others...)
		}
		for i, result := range send(operations...) {
			if status := result.(map[string]any)["status"]; status != "201" {
				t.Errorf("operation %d: got %v", i, result)
			}
		}
		for _, doc := range w.holds() {
			if members := strings.Count(doc[strings.LastIndex(doc, `"members":`):], `"`)/2 - 1; members != n-1 {
				t.Errorf("got %d members, want %d: %s", members, n-1, doc)
			}
		}
	})
}

// TestFilterNestingCVE202646689 covers the published stack overflow of another server by nested
// parentheses: every place that takes a filter, at growing depths.
func TestFilterNestingCVE202646689(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.bring(`{"userName":"ada","emails":[{"value":"a@x"}]}`)
	for _, depth := range []int{17, 1_000, 100_000} {
		nested := strings.Repeat("(", depth) + "value pr" + strings.Repeat(")", depth)
		search := func(filter string) string {
			return fmt.Sprintf("\n\n"+`{"schemas":[%q],"filter":%q}`, scim.SearchRequestURN, filter)
		}
		for what, request := range map[string]string{
			"a search of users":  "POST /Users/.search" + search(nested),
			"a search of groups": "POST /Groups/.search" + search(nested),
			"a search at root":   "POST /.search" + search(nested),
			"a value path":       "POST /Users/.search" + search("emails["+nested+"]"),
			"negations":          "POST /Users/.search" + search(strings.Repeat("not (", depth)+"id pr"+strings.Repeat(")", depth)),
			"a list":             "GET /Users?filter=" + url.QueryEscape(nested),
		} {
			got := w.send(request)
			if got.Code != 400 {
				t.Errorf("%s, %d deep: got %d", what, depth, got.Code)
			}
		}
		got := w.send("PATCH /Users/u-1" + fmt.Sprintf("\n\n"+`{"schemas":[%q],"Operations":[{"op":"remove","path":%q}]}`, scim.PatchOpURN, "emails["+nested+"]"))
		if got.Code != 400 {
			t.Errorf("a PATCH path, %d deep: got %d", depth, got.Code)
		}
	}
}

// TestBodyOf50MBGetsItsAnswer sends the whole body before it reads, as Python's http.client does.
// The refusal must arrive all the same.
func TestBodyOf50MBGetsItsAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	front := web.Front{Now: w.clock}
	server := httptest.NewServer(front.Handler(w.handler.Before(http.NotFoundHandler())))
	defer server.Close()
	for _, length := range []string{"Content-Length: 50000000", "Transfer-Encoding: chunked"} {
		t.Run(length, func(t *testing.T) {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(2 * time.Minute)) //nolint:errcheck // reads and writes fail then
			fmt.Fprintf(conn, "POST %s/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\n%s\r\n\r\n", tenantURL, w.token, length)
			block := bytes.Repeat([]byte("a"), 1_000_000)
			for range 50 {
				if strings.HasPrefix(length, "Transfer") {
					fmt.Fprintf(conn, "%x\r\n", len(block))
				}
				if _, err := conn.Write(block); err != nil {
					t.Fatalf("the connection broke while the body was sent: %v", err)
				}
				if strings.HasPrefix(length, "Transfer") {
					io.WriteString(conn, "\r\n") //nolint:errcheck // the next write would fail
				}
			}
			got, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			text, err := io.ReadAll(got.Body)
			if err != nil || got.StatusCode != 413 || !strings.Contains(string(text), "larger than") {
				t.Errorf("got %d %s %v", got.StatusCode, text, err)
			}
			if !got.Close {
				t.Error("the connection stays open: what was not read of the body would be taken for another request")
			}
		})
	}
}
