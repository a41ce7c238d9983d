package roster_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"pgregory.net/rapid"
)

// moving is a roster that changes while a test walks through its pages.
type moving struct {
	*roster.Roster
	sort  *scim.Sort
	group string

	order  []string          // the ids of the people at the start, in the order of creation
	stable map[string]string // the sort keys of people of order who are neither deleted nor sorted differently since
	all    []string          // the ids of the people now

	made, changed int
}

// TestCursorProperty walks through all pages forward and backward while people are created, deleted
// and changed. A person who exists during the whole walk and keeps their sort key must come exactly
// once, and in order.
func TestCursorProperty(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			m := newMoving(rt, t, f, f.site(t, fmt.Sprintf("round-%d", round), site.Full))
			q := roster.Query{ByCursor: true, SortBy: m.sort, Count: rapid.IntRange(1, 3).Draw(rt, "count")}
			// Each of these filters matches everybody: the empty one needs no decision, the second
			// is answered by an index, and the third by the documents.
			if text := rapid.SampledFrom([]string{"", `userName pr`, `title ne "none"`}).Draw(rt, "filter"); text != "" {
				q.Filter = filter(t, text)
			}
			var forward [][]string
			page := m.page(rt, t, q)
			if page.PreviousCursor != "" {
				rt.Fatal("the first page has a previous cursor")
			}
			for {
				forward = append(forward, idsOf(page))
				if page.NextCursor == "" {
					break
				}
				if len(forward) > 80 {
					rt.Fatal("the walk does not end")
				}
				m.change(rt, t)
				q.Cursor = page.NextCursor
				page = m.page(rt, t, q)
			}
			m.check(rt, "forward", slices.Concat(forward...))

			last := idsOf(page)
			back := [][]string{last}
			for page.PreviousCursor != "" {
				if len(back) > 80 {
					rt.Fatal("the walk back does not end")
				}
				m.change(rt, t)
				q.Cursor = page.PreviousCursor
				if page = m.page(rt, t, q); page.NextCursor == "" {
					rt.Fatal("a page that was gone back to has no next one")
				}
				back = append(back, idsOf(page))
			}
			if len(last) > 0 {
				slices.Reverse(back)
				m.check(rt, "back", slices.Concat(back...))
			}
		})
	})
}

func newMoving(rt *rapid.T, t *testing.T, f fixture, s site.Site) *moving {
	m := &moving{Roster: f.rosters.Open(s), stable: map[string]string{}}
	by := rapid.SampledFrom([]string{
		"", "userName", "displayName", "externalId", "id", "meta.created", "meta.lastModified", // sorted by a column
		"title", "name.familyName", "emails", "active", "groups.display", "meta.version", scim.EnterpriseURN + ":department",
	}).Draw(rt, "by")
	if by != "" {
		m.sort = sortBy(t, scim.UserType(), by, rapid.SampledFrom([]string{"ascending", "descending"}).Draw(rt, "order"))
	}
	for range rapid.IntRange(1, 8).Draw(rt, "people") {
		m.create(rt, t)
	}
	m.order = slices.Clone(m.all)
	m.group = f.group(t, s, "Team", m.all[0])
	for _, id := range m.order {
		m.stable[id] = m.key(rt, t, id)
	}
	return m
}

// some draws a value that several people may share, or the empty string.
func some(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "a", "B", "b", "ß"}).Draw(rt, "value")
}

func (m *moving) create(rt *rapid.T, t *testing.T) {
	m.made++
	doc := scim.Resource{"schemas": []any{scim.UserURN}, "userName": fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"a", "B", "c"}).Draw(rt, "name"), m.made)}
	for _, name := range []string{"displayName", "externalId", "title"} {
		if value := some(rt); value != "" {
			doc[name] = value
		}
	}
	if value := some(rt); value != "" {
		doc["name"] = map[string]any{"familyName": value}
		doc["emails"] = []any{map[string]any{"value": value}}
		doc[scim.EnterpriseURN] = map[string]any{"department": value}
	}
	out, err := m.Create(t.Context(), roster.User, doc, bySCIM)
	if err != nil {
		rt.Fatal(err)
	}
	m.all = append(m.all, out.Document.ID)
}

// changes is the highest number of changes during one walk, so that the walk ends.
const changes = 30

// change creates, deletes or changes up to three people.
func (m *moving) change(rt *rapid.T, t *testing.T) {
	for range rapid.IntRange(0, min(3, changes-m.changed)).Draw(rt, "changes") {
		m.changed++
		if len(m.all) == 0 {
			m.create(rt, t)
			continue
		}
		id := rapid.SampledFrom(m.all).Draw(rt, "resource")
		op := ""
		switch rapid.IntRange(0, 6).Draw(rt, "change") {
		case 0, 1:
			m.create(rt, t)
			continue
		case 2:
			if _, err := m.Delete(t.Context(), roster.User, id, bySCIM); err != nil {
				rt.Fatal(err)
			}
			m.all = slices.DeleteFunc(m.all, func(other string) bool { return other == id })
			delete(m.stable, id)
			continue
		case 3:
			op = `{"op":"replace","path":"nickName","value":` + quoted(some(rt)) + `}`
		case 4:
			op = `{"op":"replace","path":` + quoted(rapid.SampledFrom([]string{"displayName", "title", "externalId", "name.familyName"}).Draw(rt, "path")) + `,"value":` + quoted(some(rt)) + `}`
		case 5:
			m.made++
			op = `{"op":"replace","path":"userName","value":` + quoted(fmt.Sprintf("b%d", m.made)) + `}`
		case 6:
			p := patchOf(t, scim.GroupType(), `{"op":"add","path":"members","value":[{"value":`+quoted(id)+`}]}`)
			if _, err := m.Patch(t.Context(), roster.Group, m.group, p, bySCIM); err != nil {
				rt.Fatal(err)
			}
		}
		if op != "" {
			if _, err := m.Patch(t.Context(), roster.User, id, patchOf(t, scim.UserType(), op), bySCIM); err != nil {
				rt.Fatal(err)
			}
		}
		if key, there := m.stable[id]; there && key != m.key(rt, t, id) {
			delete(m.stable, id)
		}
	}
}

// key returns the sort key of a person.
func (m *moving) key(rt *rapid.T, t *testing.T, id string) string {
	if m.sort == nil {
		return ""
	}
	doc, err := m.Get(t.Context(), roster.User, id)
	if err != nil {
		rt.Fatal(err)
	}
	groups, err := m.Groups(t.Context(), id)
	if err != nil {
		rt.Fatal(err)
	}
	r := parsed(t, doc)
	for _, g := range groups[id] {
		r["groups"] = append(asList(r["groups"]), map[string]any{"value": g.Group, "display": g.Display})
	}
	r["meta"].(map[string]any)["version"] = roster.ETag(doc.Version, groups[id])
	return m.sort.Key(r)
}

func (m *moving) page(rt *rapid.T, t *testing.T, q roster.Query) roster.Page {
	page, err := m.List(t.Context(), q)
	if err != nil {
		rt.Fatal(err)
	}
	if page.TotalResults != len(m.all) {
		rt.Fatalf("got totalResults %d, want %d", page.TotalResults, len(m.all))
	}
	return page
}

// check fails the test unless the walk met each person of m.stable once and in order.
func (m *moving) check(rt *rapid.T, way string, walked []string) {
	want := slices.DeleteFunc(slices.Clone(m.order), func(id string) bool {
		_, stable := m.stable[id]
		return !stable
	})
	if m.sort != nil {
		slices.SortStableFunc(want, func(a, b string) int { return m.sort.CompareKeys(m.stable[a], m.stable[b]) })
	}
	got := slices.DeleteFunc(slices.Clone(walked), func(id string) bool { return !slices.Contains(want, id) })
	if diff := cmp.Diff(got, want); diff != "" {
		rt.Fatalf("%s: came by %v, got - want +\n%s", way, walked, diff)
	}
}

func idsOf(page roster.Page) (ids []string) {
	for _, doc := range page.Documents {
		ids = append(ids, doc.ID)
	}
	return ids
}

func patchOf(t *testing.T, rt *scim.ResourceType, op string) *scim.Patch {
	t.Helper()
	p, _, err := scim.DecodePatch(rt, []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+op+`]}`), scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSortedCursor(t *testing.T) {
	orders := map[string]string{"userName": "an index", "displayName": "columns", "meta.created": "a time", "title": "the documents"}
	t.Run("a_page_before_which_nothing_is_any_more_leads_on", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			for by, how := range orders {
				u := f.users(t, f.full, 4)
				q := roster.Query{ByCursor: true, Count: 2, SortBy: sortBy(t, scim.UserType(), by, "")}
				page, err := r.List(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				q.Cursor = page.NextCursor
				if page, err = r.List(t.Context(), q); err != nil {
					t.Fatal(err)
				}
				second := idsOf(page)
				for _, gone := range u[:2] {
					if _, err := r.Delete(t.Context(), roster.User, gone, bySCIM); err != nil {
						t.Fatal(err)
					}
				}
				q.Cursor = page.PreviousCursor
				if page, err = r.List(t.Context(), q); err != nil || len(page.Documents) > 0 || page.PreviousCursor != "" {
					t.Fatalf("by %s: got %v, %v", how, idsOf(page), err)
				}
				q.Cursor = page.NextCursor
				if page, err = r.List(t.Context(), q); err != nil || len(second) != 2 || cmp.Diff(idsOf(page), second) != "" {
					t.Errorf("by %s: got %v, %v, want %v", how, idsOf(page), err, second)
				}
				for _, gone := range u[2:] {
					if _, err := r.Delete(t.Context(), roster.User, gone, bySCIM); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	})
	t.Run("long_values_make_no_long_cursors", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			long := strings.Repeat("ä", 4*scim.MaxSortKeyBytes)
			var want []string
			for i := range 5 {
				want = append(want, f.user(t, f.full, fmt.Sprintf(`{"userName":"u%d","title":%q,"name":{"familyName":%q}}`, i, long, long)))
			}
			q := roster.Query{Count: 2, SortBy: sortBy(t, scim.UserType(), "title", "descending")}
			if diff := cmp.Diff(f.walk(t, f.full, q), want); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			q.ByCursor = true
			page, err := f.rosters.Open(f.full).List(t.Context(), q)
			if err != nil || len(page.NextCursor) > 3*scim.MaxSortKeyBytes {
				t.Errorf("%d bytes of cursor, %v", len(page.NextCursor), err)
			}
		})
	})
	t.Run("a_cursor_that_counts_is_refused_and_one_of_a_place_goes_on", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 5)
			r := f.rosters.Open(f.full)
			key, err := f.rosters.Store.CursorKey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// sealed makes cursors in the form of an earlier version, where a cursor of a sorted
			// list held an offset from the start of the list.
			sealed := func(order, place string) string {
				h := sha256.New()
				if err := json.NewEncoder(h).Encode([]string{string(f.full.ID), "User", "", order}); err != nil {
					t.Fatal(err)
				}
				query := base64.StdEncoding.EncodeToString(h.Sum(nil)[:16])
				b := fmt.Appendf(nil, `{"e":%d,"q":%q,"c":2%s}`, f.clock.Now().Add(roster.CursorTimeout).Unix(), query, place)
				mac := hmac.New(sha256.New, key)
				mac.Write(b)
				return base64.RawURLEncoding.EncodeToString(append(b, mac.Sum(nil)[:16]...))
			}
			byName := sortBy(t, scim.UserType(), "userName", "")
			for name, cursor := range map[string]string{
				"second page":    sealed("sort userName false", `,"o":2`),
				"first page":     sealed("sort userName false", ``),
				"of no place":    sealed("sort by key userName false", `,"o":2`),
				"of two places":  sealed("sort by key userName false", `,"a":{"Position":1,"ID":"x"},"b":{"Position":1,"ID":"x"}`),
				"of no sorting":  sealed("", `,"a":{"Position":2,"ID":"x"}`),
				"of other bytes": sealed("sort by key userName false", `,"a":7`),
			} {
				_, err := r.List(t.Context(), roster.Query{ByCursor: true, Count: 2, SortBy: byName, Cursor: cursor})
				if isError(t, err, 400, "invalidCursor") == "" {
					t.Error(name)
				}
			}
			doc, err := r.Get(t.Context(), roster.User, u[1])
			if err != nil {
				t.Fatal(err)
			}
			after := sealed("", fmt.Sprintf(`,"a":{"Position":%d,"ID":%q}`, doc.Position, doc.ID))
			page, err := r.List(t.Context(), roster.Query{ByCursor: true, Count: 2, Cursor: after})
			if err != nil || cmp.Diff(idsOf(page), u[2:4]) != "" {
				t.Errorf("got %v, %v, want %v", idsOf(page), err, u[2:4])
			}
		})
	})
}
