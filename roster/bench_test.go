package roster_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// crowd is a site with n users. Almost all of them are in the group large, and ten are in the group
// small.
type crowd struct {
	*roster.Roster
	n            int
	ids          []string
	small, large string
}

func newCrowd(b *testing.B, db *store.DB, n int) *crowd {
	b.Helper()
	var ids atomic.Int64
	newID := func() string { return fmt.Sprintf("%032x", uint64(ids.Add(1))*0x9e3779b97f4a7c15) } // spread like random ids
	sites := &site.Sites{Store: store.Sites{DB: db}, Now: time.Now, NewID: newID}
	s, err := sites.Create(b.Context(), "acme", site.Full, "cli")
	if err != nil {
		b.Fatal(err)
	}
	rosters := &roster.Rosters{Store: store.Rosters{DB: db}, Now: time.Now, NewID: newID}
	c := &crowd{Roster: rosters.Open(s), n: n}
	rows := make([]roster.ImportRow, n)
	for i := range rows {
		rows[i] = roster.ImportRow{UserName: fmt.Sprintf("user%06d@acme.test", i), DisplayName: fmt.Sprintf("User %d", i), Email: fmt.Sprintf("user%06d@mail.test", i)}
	}
	if report, err := c.Import(b.Context(), rows, byFile); err != nil || report.Created != n {
		b.Fatalf("%+v, %v", report, err)
	}
	q := roster.Query{ByCursor: true, Count: roster.MaxCount}
	for {
		page, err := c.List(b.Context(), q)
		if err != nil {
			b.Fatal(err)
		}
		for _, doc := range page.Documents {
			c.ids = append(c.ids, doc.ID)
		}
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			break
		}
	}
	c.small, c.large = c.group(b, "Small", c.ids[1:11]), c.group(b, "Large", c.ids[1:])
	return c
}

func (c *crowd) group(b *testing.B, name string, members []string) string {
	b.Helper()
	var list roster.MemberList
	for _, id := range members {
		list.Add(id)
	}
	began := time.Now()
	out, err := c.CreateGroup(b.Context(), scim.Resource{"displayName": name}, &list, bySCIM)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("group of %d made in %s", len(members), time.Since(began).Round(time.Millisecond))
	return out.Document.ID
}

func (c *crowd) page(ctx context.Context, b *testing.B, q roster.Query) roster.Page {
	page, err := c.List(ctx, q)
	if err != nil || len(page.Documents) == 0 {
		b.Fatalf("%d documents, %v", len(page.Documents), err)
	}
	return page
}

// toggle adds the first user to a group if i is even, and removes the user again if i is odd.
func (c *crowd) toggle(ctx context.Context, b *testing.B, group string, i int) {
	op := `{"op":"Add","path":"members","value":[{"$ref":null,"value":"` + c.ids[0] + `"}]}`
	if i%2 == 1 {
		op = `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"` + c.ids[0] + `"}]}`
	}
	p, _, err := scim.DecodePatch(scim.GroupType(), []byte(patchHead+op+`]}`), scim.Lenient)
	if err != nil {
		b.Fatal(err)
	}
	if out, err := c.Patch(ctx, roster.Group, group, p, bySCIM); err != nil || !out.Changed {
		b.Fatalf("%+v, %v", out, err)
	}
}

// BenchmarkCrowd runs each kind of request on a small site and on a large one, to show which
// requests get slower on the large site.
func BenchmarkCrowd(b *testing.B) {
	for _, kind := range []struct {
		name string
		url  func(testing.TB) string
	}{{sqldb.SQLite, storetest.SQLiteURL}, {sqldb.PostgreSQL, storetest.PostgresURL}} {
		for _, n := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				c := newCrowd(b, storetest.Open(b, kind.url(b)), n)
				c.run(b)
			})
		}
	}
}

func (c *crowd) run(b *testing.B) {
	last := c.n - 99
	deep := c.page(b.Context(), b, roster.Query{ByCursor: true, Count: 100})
	for deep.NextCursor != "" {
		next := c.page(b.Context(), b, roster.Query{ByCursor: true, Count: 100, Cursor: deep.NextCursor})
		if next.NextCursor == "" {
			break
		}
		deep = next
	}
	lookup, _, err := scim.ParseFilter(scim.UserType(), fmt.Sprintf(`userName eq "USER%06d@acme.test"`, c.n/2), scim.Strict)
	if err != nil {
		b.Fatal(err)
	}
	byName, err := scim.ParseSort(scim.UserType(), "userName", "")
	if err != nil {
		b.Fatal(err)
	}
	member, _, err := scim.ParseFilter(scim.GroupType(), fmt.Sprintf(`id eq "%s" and members eq "%s"`, c.large, c.ids[c.n/2]), scim.Strict)
	if err != nil {
		b.Fatal(err)
	}
	unindexed, _, err := scim.ParseFilter(scim.UserType(), `not (title co "x")`, scim.Strict)
	if err != nil {
		b.Fatal(err)
	}
	byTitle, err := scim.ParseSort(scim.UserType(), "title", "")
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name string
		do   func(i int)
	}{
		{"lookup", func(int) { c.page(b.Context(), b, roster.Query{Filter: lookup, Count: 100}) }},
		{"first_page", func(int) { c.page(b.Context(), b, roster.Query{Count: 100}) }},
		{"middle_page", func(int) { c.page(b.Context(), b, roster.Query{Count: 100, StartIndex: c.n / 2}) }},
		{"last_page", func(int) { c.page(b.Context(), b, roster.Query{Count: 100, StartIndex: last}) }},
		{"last_page_by_cursor", func(int) {
			c.page(b.Context(), b, roster.Query{ByCursor: true, Count: 100, Cursor: deep.NextCursor})
		}},
		{"sorted_first_page", func(int) { c.page(b.Context(), b, roster.Query{SortBy: &byName, Count: 100}) }},
		{"unindexed_filter", func(int) { c.page(b.Context(), b, roster.Query{Filter: unindexed, Count: 100}) }},
		{"unindexed_sort", func(int) { c.page(b.Context(), b, roster.Query{SortBy: &byTitle, Count: 100}) }},
		{"member_of_small", func(i int) { c.toggle(b.Context(), b, c.small, i) }},
		{"member_of_large", func(i int) { c.toggle(b.Context(), b, c.large, i) }},
		{"group_with_member", func(int) {
			c.page(b.Context(), b, roster.Query{Kind: roster.Group, Filter: member, Count: 1})
		}},
		{"large_without_members", func(int) {
			if _, err := c.Get(b.Context(), roster.Group, c.large); err != nil {
				b.Fatal(err)
			}
		}},
		{"all_members_of_large", func(int) {
			n := 0
			for _, err := range c.Members(b.Context(), c.large, false) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n < c.n-1 {
				b.Fatalf("%d members", n)
			}
		}},
	} {
		turn := 0 // kept from one run to the next, so that adding and removing alternate
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				bench.do(turn)
				turn++
			}
		})
	}
}
