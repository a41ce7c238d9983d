package roster_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

func filter(t *testing.T, text string) *scim.Filter {
	t.Helper()
	parsed, _, err := scim.ParseFilter(scim.UserType(), text, scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func (f fixture) list(t *testing.T, s site.Site, q roster.Query) (ids []string, total int) {
	t.Helper()
	page, err := f.rosters.Open(s).List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range page.Documents {
		ids = append(ids, doc.ID)
	}
	return ids, page.TotalResults
}

// finds fails the test unless the filter finds exactly the given users, in this order.
func (f fixture) finds(t *testing.T, s site.Site, text string, want ...string) {
	t.Helper()
	ids, total := f.list(t, s, roster.Query{Filter: filter(t, text), Count: 100})
	if diff := cmp.Diff(ids, want); diff != "" || total != len(want) {
		t.Errorf("%s: %d altogether, got - want +\n%s", text, total, diff)
	}
}

func TestList(t *testing.T) {
	t.Run("filters_find_by_every_attribute", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			a := f.user(t, f.full, ada)
			b := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob%x","displayName":"Straße","active":false,"userType":"Moderator","externalId":"ada-1","emails":[{"value":"bob@acme.test","type":"home"}]}`)
			c := f.user(t, f.full, registered("carol_x"))
			f.user(t, f.documented, ada) // this user of another site must never be found
			for text, want := range map[string][]string{
				`userName eq "ADA@acme.TEST"`:                                    {a},
				`userName ne "ada@acme.test"`:                                    {b, c},
				`userName sw "BOB%"`:                                             {b},
				`userName co "_"`:                                                {c},
				`userName ew "X"`:                                                {b, c},
				`id eq "` + a + `"`:                                              {a},
				`id eq "` + a[:2] + `"`:                                          nil,
				`externalId eq "Ada-1"`:                                          {a},
				`externalId eq "ada-1"`:                                          {b},
				`externalId co "-"`:                                              {a, b},
				`externalId pr`:                                                  {a, b},
				`not (externalId pr)`:                                            {c},
				`displayName eq "straße"`:                                        {b},
				`displayName pr`:                                                 {a, b},
				`active eq "False"`:                                              {b},
				`active ne false`:                                                {a, c},
				`userType eq "moderator"`:                                        {b},
				`userType eq "Admn"`:                                             nil,
				`userType ne "Moderator"`:                                        {a, c},
				`emails.value eq "ADA@acme.test"`:                                {a},
				`emails eq "ada@home.test"`:                                      {a},
				`emails.value ew "acme.test"`:                                    {a, b},
				`emails[type eq "work" and value eq "ada@acme.test"]`:            {a},
				`emails[type eq "work" and value eq "ada@home.test"]`:            nil,
				`emails[value co "acme" and value co "home"]`:                    nil,
				`emails.value co "acme" and emails.value co "home"`:              {a},
				`emails.type eq "work" and emails.value eq "ada@home.test"`:      {a},
				`not (emails[type eq "work" and value co "acme"])`:               {b, c},
				`title eq "engineer"`:                                            {a},
				`title eq "engineer" or userName eq "carol_x"`:                   {a, c},
				`not (title eq "engineer") and active eq true`:                   {c},
				`title eq "engineer" and userName eq "carol_x"`:                  nil,
				`name.familyName sw "love"`:                                      {a},
				`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "carol"`: {c},
				`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "engines"`: {a},
				`schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`:            {a},
				`meta.lastModified gt "2020-01-01T00:00:00Z"`:                                        {a, b, c},
				`meta.lastModified lt "2020-01-01T00:00:00+01:00"`:                                   nil,
				`meta.resourceType eq "User"`:                                                        {a, b, c},
				`userName eq "x' or '1'='1"`:                                                         nil,
				`userName eq null`:                                                                   nil,
				`userName gt "c"`:                                                                    {c},
			} {
				f.finds(t, f.full, text, want...)
			}
		})
	})
	t.Run("pages_are_stable_and_totals_exact", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			var all, some []string
			for i := range 23 {
				title := "even"
				if i%2 == 1 {
					title = "odd"
				}
				id := f.user(t, f.full, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u%02d","title":%q,"displayName":%q}`, (i*7)%23, title, title))
				all = append(all, id)
				if title == "odd" {
					some = append(some, id)
				}
			}
			for _, c := range []struct {
				name   string
				filter *scim.Filter
				want   []string
			}{
				{"no filter", nil, all},
				{"by an index", filter(t, `displayName eq "odd"`), some},
				{"by the documents", filter(t, `title eq "odd"`), some},
			} {
				var got []string
				for start := 1; start <= len(c.want)+5; start += 5 {
					ids, total := f.list(t, f.full, roster.Query{Filter: c.filter, StartIndex: start, Count: 5})
					if total != len(c.want) {
						t.Errorf("%s from %d: %d altogether, want %d", c.name, start, total, len(c.want))
					}
					got = append(got, ids...)
				}
				if diff := cmp.Diff(got, c.want); diff != "" {
					t.Errorf("%s: got - want +\n%s", c.name, diff)
				}
				for _, q := range []roster.Query{
					{Count: 0}, {Count: -1}, {StartIndex: 1000, Count: 10},
				} {
					q.Filter = c.filter
					if ids, total := f.list(t, f.full, q); len(ids) > 0 || total != len(c.want) {
						t.Errorf("%s %+v: got %v of %d", c.name, q, ids, total)
					}
				}
				page, err := f.rosters.Open(f.full).List(t.Context(), roster.Query{Filter: c.filter, StartIndex: -3, Count: 1000})
				if err != nil || page.StartIndex != 1 || len(page.Documents) != len(c.want) {
					t.Errorf("%s: got %+v, %v", c.name, page, err)
				}
			}
		})
	})
	t.Run("a_page_has_at_most_500", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			var rows []roster.ImportRow
			for i := range 510 {
				rows = append(rows, roster.ImportRow{UserName: fmt.Sprintf("u%d", i)})
			}
			if report, err := f.rosters.Open(f.full).Import(t.Context(), rows, byFile); err != nil || report.Created != 510 {
				t.Fatalf("%+v, %v", report, err)
			}
			if ids, total := f.list(t, f.full, roster.Query{Count: 10_000}); len(ids) != 500 || total != 510 {
				t.Errorf("got %d of %d", len(ids), total)
			}
		})
	})
	t.Run("a_filter_that_would_read_too_much_says_so", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for i := range 6 {
				f.user(t, f.full, registered(fmt.Sprintf("u%d", i)))
			}
			f.rosters.ScanLimit = 5
			_, err := f.rosters.Open(f.full).List(t.Context(), roster.Query{Filter: filter(t, `title eq "x"`), Count: 1})
			isError(t, err, 400, "tooMany")
			f.finds(t, f.full, `title pr and userName sw "u1"`)
			ids, total := f.list(t, f.full, roster.Query{Filter: filter(t, `userName sw "u"`), Count: 2})
			if len(ids) != 2 || total != 6 {
				t.Errorf("by an index: got %v of %d", ids, total)
			}
			f.rosters.ScanLimit = 6
			f.finds(t, f.full, `title eq "x"`)
		})
	})
}
