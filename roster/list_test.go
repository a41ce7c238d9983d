package roster_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"pgregory.net/rapid"
)

func sortBy(t *testing.T, rt *scim.ResourceType, by, order string) *scim.Sort {
	t.Helper()
	s, err := scim.ParseSort(rt, by, order)
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

// parsed returns the parsed JSON of a document.
func parsed(t *testing.T, doc roster.Document) scim.Resource {
	t.Helper()
	r, err := scim.Parse(doc.JSON)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSort(t *testing.T) {
	t.Run("lists_come_in_the_order_asked_for", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			const head = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],`
			a := f.user(t, f.full, head+`"userName":"Zoe","displayName":"beta","title":"b","emails":[{"value":"z@x"},{"value":"a@x","primary":true}]}`)
			b := f.user(t, f.full, head+`"userName":"adam","title":"A","name":{"familyName":"Young"}}`)
			c := f.user(t, f.full, head+`"userName":"Mia","displayName":"Alpha","active":false,"emails":[{"value":"m@x"}],"name":{"familyName":"adams"}}`)
			d := f.user(t, f.full, head+`"userName":"mia2","displayName":"ALPHA","externalId":"x"}`)
			for _, test := range []struct {
				by   string
				want []string
			}{
				{"userName", []string{b, c, d, a}},
				{"displayName", []string{c, d, a, b}},
				{"externalId", []string{d, a, b, c}},
				{"id", []string{a, b, c, d}},
				{"meta.created", []string{a, b, c, d}},
				{"title", []string{b, a, c, d}},
				{"name.familyName", []string{c, b, a, d}},
				{"emails", []string{a, c, b, d}},
				{"emails.value", []string{a, c, b, d}},
				{"active", []string{c, a, b, d}},
			} {
				ids, total := f.list(t, f.full, roster.Query{SortBy: sortBy(t, scim.UserType(), test.by, ""), Count: 10})
				if diff := cmp.Diff(ids, test.want); diff != "" || total != 4 {
					t.Errorf("%s: %d altogether, got - want +\n%s", test.by, total, diff)
				}
				var paged []string
				for start := range 5 {
					ids, _ := f.list(t, f.full, roster.Query{SortBy: sortBy(t, scim.UserType(), test.by, "ascending"), StartIndex: start + 1, Count: 1})
					paged = append(paged, ids...)
				}
				if diff := cmp.Diff(paged, test.want); diff != "" {
					t.Errorf("%s by pages, got - want +\n%s", test.by, diff)
				}
			}
			for by, want := range map[string][]string{
				"userName":    {a, d, c, b},
				"displayName": {b, a, c, d}, // b has no display name; people with equal names come in the order of creation
				"title":       {c, d, a, b},
			} {
				ids, _ := f.list(t, f.full, roster.Query{SortBy: sortBy(t, scim.UserType(), by, "descending"), Count: 10})
				if diff := cmp.Diff(ids, want); diff != "" {
					t.Errorf("%s descending, got - want +\n%s", by, diff)
				}
			}
			ids, total := f.list(t, f.full, roster.Query{SortBy: sortBy(t, scim.UserType(), "userName", "descending"), Filter: filter(t, `displayName pr`), Count: 2})
			if diff := cmp.Diff(ids, []string{a, d}); diff != "" || total != 3 {
				t.Errorf("%d, got - want +\n%s", total, diff)
			}
			ids, total = f.list(t, f.full, roster.Query{SortBy: sortBy(t, scim.UserType(), "userName", ""), Filter: filter(t, `title pr`), Count: 2})
			if diff := cmp.Diff(ids, []string{b, a}); diff != "" || total != 2 {
				t.Errorf("%d, got - want +\n%s", total, diff)
			}
		})
	})
	t.Run("groups_are_sorted_too", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			b := f.group(t, f.full, "beta")
			a := f.group(t, f.full, "Alpha", b)
			ids, _ := f.list(t, f.full, roster.Query{Kind: roster.Group, SortBy: sortBy(t, scim.GroupType(), "displayName", ""), Count: 10})
			if diff := cmp.Diff(ids, []string{a, b}); diff != "" {
				t.Error(diff)
			}
			ids, _ = f.list(t, f.full, roster.Query{Kind: roster.Group, SortBy: sortBy(t, scim.GroupType(), "members", ""), Count: 10})
			if diff := cmp.Diff(ids, []string{a, b}); diff != "" {
				t.Error(diff)
			}
		})
	})
}

// walk follows next cursors through all pages and returns the ids. It checks that each previous
// cursor leads to the page before.
func (f fixture) walk(t *testing.T, s site.Site, q roster.Query) (ids []string) {
	t.Helper()
	q.ByCursor = true
	r := f.rosters.Open(s)
	var before []string
	for {
		page, err := r.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var here []string
		for _, doc := range page.Documents {
			here = append(here, doc.ID)
		}
		ids = append(ids, here...)
		if (page.PreviousCursor == "") != (before == nil) {
			t.Errorf("previous cursor %q, and %v were before", page.PreviousCursor, before)
		}
		if page.PreviousCursor != "" {
			back := q
			back.Cursor = page.PreviousCursor
			got, err := r.List(t.Context(), back)
			if err != nil || len(got.Documents) != len(before) || got.Documents[0].ID != before[0] || got.NextCursor == "" {
				t.Errorf("back: got %d documents, %v, want %v", len(got.Documents), err, before)
			}
		}
		if page.NextCursor == "" {
			return ids
		}
		if strings.Trim(page.NextCursor, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") != "" {
			t.Errorf("RFC 9865 §2 allows unreserved characters only: %s", page.NextCursor)
		}
		q.Cursor, before = page.NextCursor, here
	}
}

func TestCursor(t *testing.T) {
	t.Run("cursors_lead_through_every_kind_of_list", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			var all, odd []string
			for i := range 11 {
				title := "even"
				if i%2 == 1 {
					title = "odd"
				}
				id := f.user(t, f.full, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u%02d","title":%q,"displayName":%q}`, (i*7)%11, title, title))
				all = append(all, id)
				if title == "odd" {
					odd = append(odd, id)
				}
			}
			byName := sortBy(t, scim.UserType(), "userName", "")
			sorted, _ := f.list(t, f.full, roster.Query{SortBy: byName, Count: 100})
			for name, c := range map[string]struct {
				q    roster.Query
				want []string
			}{
				"all":              {roster.Query{}, all},
				"by an index":      {roster.Query{Filter: filter(t, `displayName eq "odd"`)}, odd},
				"by a walk":        {roster.Query{Filter: filter(t, `displayName co "od"`)}, odd},
				"by the documents": {roster.Query{Filter: filter(t, `title eq "odd"`)}, odd},
				"sorted":           {roster.Query{SortBy: byName}, sorted},
			} {
				for _, count := range []int{1, 3, 5, 11, 50} {
					c.q.Count = count
					if diff := cmp.Diff(f.walk(t, f.full, c.q), c.want); diff != "" {
						t.Errorf("%s by %d, got - want +\n%s", name, count, diff)
					}
				}
			}
		})
	})
	t.Run("nobody_is_skipped_or_repeated_while_people_go_and_come", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 6)
			r := f.rosters.Open(f.full)
			page, err := r.List(t.Context(), roster.Query{ByCursor: true, Count: 2})
			if err != nil {
				t.Fatal(err)
			}
			for _, gone := range u[:2] {
				if _, err := r.Delete(t.Context(), roster.User, gone, bySCIM); err != nil {
					t.Fatal(err)
				}
			}
			late := f.user(t, f.full, registered("late"))
			rest := f.walkFrom(t, f.full, roster.Query{Count: 2}, page.NextCursor)
			if diff := cmp.Diff(rest, append(slices.Clone(u[2:]), late)); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
		})
	})
	t.Run("a_cursor_is_good_for_its_query_alone_and_for_an_hour", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.users(t, f.full, 4)
			other := f.site(t, "other", site.Full)
			f.users(t, other, 4)
			r := f.rosters.Open(f.full)
			first := func() string {
				page, err := r.List(t.Context(), roster.Query{ByCursor: true, Count: 2})
				if err != nil || page.NextCursor == "" {
					t.Fatal(page, err)
				}
				return page.NextCursor
			}
			c := first()
			sealed, _ := base64.RawURLEncoding.DecodeString(c)
			sealed[3] ^= 1
			good := roster.Query{ByCursor: true, Count: 2, Cursor: c}
			for name, q := range map[string]roster.Query{
				"forged":           {ByCursor: true, Count: 2, Cursor: base64.RawURLEncoding.EncodeToString(sealed)},
				"no base64":        {ByCursor: true, Count: 2, Cursor: "!"},
				"short":            {ByCursor: true, Count: 2, Cursor: "YQ"},
				"another filter":   {ByCursor: true, Count: 2, Cursor: c, Filter: filter(t, `userName pr`)},
				"another order":    {ByCursor: true, Count: 2, Cursor: c, SortBy: sortBy(t, scim.UserType(), "id", "")},
				"another resource": {ByCursor: true, Count: 2, Cursor: c, Kind: roster.Group},
			} {
				_, err := r.List(t.Context(), q)
				if isError(t, err, 400, "invalidCursor") == "" {
					t.Error(name)
				}
			}
			_, err := f.rosters.Open(other).List(t.Context(), good)
			isError(t, err, 400, "invalidCursor")
			_, err = r.List(t.Context(), roster.Query{ByCursor: true, Count: 3, Cursor: c})
			isError(t, err, 400, "invalidCount")
			for _, count := range []int{-1, 501} {
				_, err = r.List(t.Context(), roster.Query{ByCursor: true, Count: count})
				isError(t, err, 400, "invalidCount")
			}
			again := &roster.Rosters{Store: store.Rosters{DB: f.db}, Now: f.clock.Now, NewID: f.rosters.NewID}
			if page, err := again.Open(f.full).List(t.Context(), good); err != nil || len(page.Documents) != 2 {
				t.Errorf("another process: got %+v, %v", page, err)
			}
			f.clock.add(roster.CursorTimeout + time.Minute)
			_, err = r.List(t.Context(), good)
			isError(t, err, 400, "expiredCursor")
		})
	})
}

func (f fixture) walkFrom(t *testing.T, s site.Site, q roster.Query, cursor string) (ids []string) {
	t.Helper()
	q.ByCursor, q.Cursor = true, cursor
	for q.Cursor != "" {
		page, err := f.rosters.Open(s).List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range page.Documents {
			ids = append(ids, doc.ID)
		}
		q.Cursor = page.NextCursor
	}
	return ids
}

// TestListProperty compares the lists of groups and users that the store returns with those of the
// filter evaluator and the sort order of package scim. The filters also cover values that are rows
// and not part of the documents, like memberships.
func TestListProperty(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			s := f.site(t, fmt.Sprintf("round-%d", round), site.Full)
			r := f.rosters.Open(s)
			var users, groups []scim.Resource
			var ids []string
			for n := range rapid.IntRange(1, 4).Draw(rt, "users") {
				out, err := r.Create(t.Context(), roster.User, drawUser(rt, n), bySCIM)
				if err != nil {
					rt.Fatal(err)
				}
				users = append(users, parsed(t, out.Document))
				ids = append(ids, out.Document.ID)
			}
			for n := range rapid.IntRange(1, 4).Draw(rt, "groups") {
				members := rapid.SliceOfDistinct(rapid.SampledFrom(ids), rapid.ID[string]).Draw(rt, "members")
				slices.Sort(members) // members are read in the order of their ids
				name := fmt.Sprintf("%s%d", word(rt), n)
				id := f.group(t, s, name, members...)
				doc, err := r.Get(t.Context(), roster.Group, id)
				if err != nil {
					rt.Fatal(err)
				}
				g := parsed(t, doc)
				var list []any
				for _, m := range members {
					kind := "User"
					for _, other := range groups {
						if other.String("id") == m {
							kind = "Group"
						}
					}
					e := map[string]any{"value": m, "type": kind}
					for _, other := range slices.Concat(users, groups) {
						if name := other.String("displayName"); other.String("id") == m && name != "" {
							e["display"] = name
						}
					}
					list = append(list, e)
					for _, u := range users {
						if u.String("id") == m {
							of, _ := u["groups"].([]any)
							u["groups"] = append(of, map[string]any{"value": id, "display": name, "type": "direct"})
						}
					}
				}
				if len(list) > 0 {
					g["members"] = list
				}
				groups = append(groups, g)
				ids = append(ids, id)
			}
			versions := []string{`W/"1"`, `W/"1.0"`}
			for _, u := range users {
				var in []roster.Membership
				for _, g := range asList(u["groups"]) {
					m := g.(map[string]any)
					in = append(in, roster.Membership{Group: m["value"].(string), Display: m["display"].(string)})
				}
				version := roster.ETag(1, in)
				u["meta"].(map[string]any)["version"] = version
				versions = append(versions, version)
			}
			for range 10 {
				kind, rtype, docs, attribute := roster.Group, scim.GroupType(), groups, "members"
				if rapid.Bool().Draw(rt, "of users") {
					kind, rtype, docs, attribute = roster.User, scim.UserType(), users, "groups"
				}
				text := drawMembership(rt, attribute, ids, 2)
				if rapid.IntRange(0, 3).Draw(rt, "by version") == 0 {
					text = "meta.version " + rapid.SampledFrom([]string{"eq", "ne", "co"}).Draw(rt, "op") + " " + quoted(rapid.SampledFrom(versions).Draw(rt, "version")) + " or (" + text + ")"
				}
				parsedFilter, _, err := scim.ParseFilter(rtype, text, scim.Lenient)
				if err != nil {
					rt.Fatalf("%s: %v", text, err)
				}
				order, err := scim.ParseSort(rtype, rapid.SampledFrom([]string{"displayName", "id", "externalId", "meta.created", "meta.version", attribute}).Draw(rt, "by"), rapid.SampledFrom([]string{"ascending", "descending"}).Draw(rt, "order"))
				if err != nil {
					rt.Fatal(err)
				}
				var matching []scim.Resource
				for _, doc := range docs {
					if parsedFilter.Match(doc) {
						matching = append(matching, doc)
					}
				}
				q := roster.Query{Kind: kind, Filter: parsedFilter, Count: 100}
				if rapid.Bool().Draw(rt, "sorted") {
					q.SortBy = &order
					slices.SortStableFunc(matching, order.Compare)
				}
				var want []string
				for _, doc := range matching {
					want = append(want, doc.String("id"))
				}
				page, err := r.List(t.Context(), q)
				if err != nil {
					rt.Fatalf("%s: %v", text, err)
				}
				var got []string
				for _, doc := range page.Documents {
					got = append(got, doc.ID)
				}
				if diff := cmp.Diff(got, want); diff != "" || page.TotalResults != len(want) {
					rt.Fatalf("%s %s by %v: %d altogether, got - want +\n%s", kind, text, q.SortBy, page.TotalResults, diff)
				}
			}
		})
	})
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// drawMembership draws a filter on the attribute members or groups. Some comparisons are with the
// id or the display name of the resource itself.
func drawMembership(t *rapid.T, attribute string, ids []string, depth int) string {
	id := rapid.SampledFrom(append(slices.Clone(ids), "nobody")).Draw(t, "id")
	switch kind := rapid.IntRange(0, 9).Draw(t, "node"); {
	case kind == 0 && depth > 0:
		return "(" + drawMembership(t, attribute, ids, depth-1) + " and " + drawMembership(t, attribute, ids, depth-1) + ")"
	case kind == 1 && depth > 0:
		return "(" + drawMembership(t, attribute, ids, depth-1) + " or " + drawMembership(t, attribute, ids, depth-1) + ")"
	case kind == 2 && depth > 0:
		return "not (" + drawMembership(t, attribute, ids, depth-1) + ")"
	case kind == 3:
		return attribute + rapid.SampledFrom([]string{"", ".value", ".type", ".display"}).Draw(t, "sub") + " " + rapid.SampledFrom([]string{"pr", "eq null", "ne null"}).Draw(t, "presence")
	case kind == 4:
		return attribute + `[value eq ` + quoted(id) + rapid.SampledFrom([]string{`]`, ` and type eq "User"]`, ` or type eq "Group"]`, ` and display co "a"]`}).Draw(t, "rest")
	case kind == 5:
		return attribute + `.type ` + rapid.SampledFrom([]string{`eq "Group"`, `ne "User"`, `eq "direct"`}).Draw(t, "type")
	case kind == 6:
		return drawComparison(t, rapid.SampledFrom([]string{"displayName", attribute + ".display"}).Draw(t, "name"))
	case kind == 7:
		return "id eq " + quoted(id)
	}
	op := rapid.SampledFrom([]string{"eq", "ne", "co", "eq"}).Draw(t, "op")
	if rapid.Bool().Draw(t, "upper") {
		id = strings.ToUpper(id)
	}
	return attribute + rapid.SampledFrom([]string{"", ".value"}).Draw(t, "of") + " " + op + " " + quoted(id)
}
