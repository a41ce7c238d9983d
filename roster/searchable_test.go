package roster_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// searchable adds the badge extension to the site full and declares attributes of users searchable.
func (f fixture) searchable(t *testing.T, attributes ...string) site.Site {
	t.Helper()
	s, err := f.sites.SetSchemas(t.Context(), f.full.ID, []byte(badgeSchema), "cli")
	if err != nil {
		t.Fatal(err)
	}
	f.declare(t, s, attributes...)
	return s
}

func (f fixture) declare(t *testing.T, s site.Site, attributes ...string) {
	t.Helper()
	if _, err := f.sites.DeclareSearchable(t.Context(), s.ID, "User", attributes, "cli"); err != nil {
		t.Fatal(err)
	}
}

// lease takes the lease for filling the value rows of a site.
func (f fixture) lease(t *testing.T, s site.Site, owner string) (epoch int64) {
	t.Helper()
	epoch, err := store.Leases{DB: f.db}.Claim(t.Context(), roster.LeaseKind, string(s.ID), owner, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

// advance fills the value rows of a site until nothing is left to do. It returns how many calls of
// Advance that took.
func (f fixture) advance(t *testing.T, s site.Site) (slices int) {
	t.Helper()
	epoch := f.lease(t, s, "test")
	for {
		next, err := f.rosters.Advance(t.Context(), string(s.ID), epoch)
		if err != nil {
			t.Fatal(err)
		}
		if slices++; next.IsZero() {
			return slices
		}
	}
}

func (f fixture) indexing(t *testing.T, s site.Site) []roster.Indexing {
	t.Helper()
	all, err := f.rosters.Open(s).Indexing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// progress returns the progress of each declared attribute, like "title 1/2" or "title 2/2
// complete".
func (f fixture) progress(t *testing.T, s site.Site) (all []string) {
	t.Helper()
	for _, i := range f.indexing(t, s) {
		text := fmt.Sprintf("%s %d/%d", i.Path, i.Done, i.Total)
		if i.Complete {
			text += " complete"
		}
		all = append(all, text)
	}
	return all
}

// found returns the user names that a filter finds, or "too many" if no index answers the filter.
// The store may read at most limit documents without an index.
func (f fixture) found(t *testing.T, s site.Site, limit int, filter string) string {
	t.Helper()
	parsed, _, err := scim.ParseFilter(mustType(t, s), filter, scim.Lenient)
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	few := roster.Rosters{Store: f.rosters.Store, Now: f.rosters.Now, NewID: f.rosters.NewID, ScanLimit: limit}
	page, err := few.Open(s).List(t.Context(), roster.Query{Filter: parsed, Count: 100})
	if err != nil {
		isError(t, err, 400, "tooMany")
		return "too many"
	}
	return f.userNames(t, page)
}

func (f fixture) userNames(t *testing.T, page roster.Page) string {
	t.Helper()
	var names []string
	for _, doc := range page.Documents {
		r, err := scim.Parse(doc.JSON)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, r.String("userName"))
	}
	return strings.Join(names, " ")
}

func TestSearchable(t *testing.T) {
	user := func(name, more string) string { return fmt.Sprintf(`{"schemas":["u"],"userName":%q,%s}`, name, more) }

	t.Run("an_index_answers_what_is_declared_and_complete", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.searchable(t)
			for i := range 10 {
				f.user(t, s, fmt.Sprintf(`{"schemas":["u"],"userName":"u%d","title":"Title %d","name":{"familyName":"F"}}`, i, i%5))
			}
			const limit = 3
			if got := f.found(t, s, limit, `title eq "title 1"`); got != "too many" {
				t.Fatalf("not declared: got %s", got)
			}
			f.declare(t, s, "title", "name.familyName")
			if got := f.found(t, s, limit, `title eq "title 1"`); got != "too many" {
				t.Errorf("declared and not filled: got %s", got)
			}
			f.advance(t, s)
			for filter, want := range map[string]string{
				`title eq "TITLE 1"`:                                 "u1 u6",
				`title sw "title 1"`:                                 "u1 u6",
				`title co "LE 1"`:                                    "u1 u6",
				`title ew " 1"`:                                      "u1 u6",
				`title eq "title 1" and userName sw "u6"`:            "u6",
				`title eq "title 1" and nickName ne "x"`:             "u1 u6",
				`title eq "title 1" or userName eq "u2"`:             "u1 u6 u2",
				`name.familyName eq "f" and title eq "title 4"`:      "u4 u9",
				`title eq "title 1" and not (name.familyName pr)`:    "",
				`not (title ne "title 1") and title eq "title 1"`:    "u1 u6",
				`title eq "title 1" or nickName eq "x"`:              "too many",
				`title ne "title 1"`:                                 "too many",
				`title gt "title 1"`:                                 "too many",
				`not (name.familyName eq "f")`:                       "",
				`nickName eq "x" and title eq "nobody has this one"`: "",
			} {
				got := f.found(t, s, limit, filter)
				if filter == `title eq "title 1" or userName eq "u2"` {
					want = "u1 u2 u6"
				}
				if got != want {
					t.Errorf("%s: got %q, want %q", filter, got, want)
				}
			}
			if err := f.sites.WithdrawSearchable(t.Context(), s.ID, "User", []string{"title"}, "cli"); err != nil {
				t.Fatal(err)
			}
			if got := f.found(t, s, limit, `title eq "title 1"`); got != "too many" {
				t.Errorf("withdrawn: got %s", got)
			}
			f.advance(t, s)
			f.declare(t, s, "title")
			if got := f.found(t, s, limit, `title eq "title 1"`); got != "too many" {
				t.Errorf("declared again: got %s", got)
			}
			f.advance(t, s)
			if got := f.found(t, s, limit, `title eq "title 1"`); got != "u1 u6" {
				t.Errorf("filled again: got %s", got)
			}
		})
	})

	t.Run("values_of_every_kind_are_found", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.searchable(t, searchables...)
			add := func(name, more string) {
				doc, _, err := scim.Decode(mustType(t, s), []byte(user(name, more)), scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.rosters.Open(s).Create(t.Context(), roster.User, doc, bySCIM); err != nil {
					t.Fatal(err)
				}
			}
			tail := strings.Repeat("x", 2000)
			add("ada", `"title":"Straße","urn:example:Badge":{"number":7,"code":"Ab","tags":["x","y"],"level":[1.5]},"addresses":[{"type":"work","locality":"Oslo"},{"type":"home","locality":"Bergen"}]`)
			add("bo", `"title":"STRASSE","urn:example:Badge":{"number":9007199254740993,"code":"aB","tags":["X"],"level":[7.0]},"addresses":[{"type":"home","locality":"Oslo"}]`)
			add("cy", `"title":"`+tail+`1","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Sales"}`)
			add("di", `"title":"`+tail+`2","urn:example:Badge":{"number":9007199254740992,"code":"e\u0301x"}`)
			f.advance(t, s)
			const limit = 3 // of four users
			for filter, want := range map[string]string{
				`title eq "STRAßE"`:                                   "ada",
				`title eq "` + tail + `1"`:                            "cy",
				`not (title eq "` + tail + `1") and title sw "xx"`:    "di",
				`title ew "x2"`:                                       "di",
				`title co "xxx"`:                                      "cy di",
				`title sw "` + tail + `"`:                             "cy di",
				`title sw "` + tail[:250] + `"`:                       "cy di",
				`title eq "` + tail[:250] + `"`:                       "",
				badge + `:number eq 7`:                                "ada",
				badge + `:number eq 7.0`:                              "ada",
				badge + `:number eq 9007199254740993`:                 "bo",
				badge + `:number eq 9007199254740992`:                 "di",
				badge + `:level eq 7`:                                 "bo",
				badge + `:level eq 1.5`:                               "ada",
				badge + `:code eq "Ab"`:                               "ada",
				badge + `:code eq "AB"`:                               "",
				badge + `:code sw "a"`:                                "bo",
				badge + `:code co "B"`:                                "bo",
				badge + `:code co "e"`:                                "di",
				badge + `:code sw "e"`:                                "di",
				badge + `:code eq "éx"`:                               "",
				badge + `:tags eq "x"`:                                "ada bo",
				badge + `:tags[value eq "y"]`:                         "ada",
				`addresses.locality eq "oslo"`:                        "ada bo",
				`addresses[type eq "work" and locality eq "oslo"]`:    "ada",
				`addresses[type eq "home" and locality eq "oslo"]`:    "bo",
				`addresses[type eq "work" and locality eq "bergen"]`:  "",
				`addresses[type eq "work"].locality eq "Oslo"`:        "ada",
				`department eq "sales"`:                               "cy",
				scim.EnterpriseURN + `:department pr`:                 "cy",
				`title eq "straße" and addresses.locality eq "Paris"`: "",
			} {
				if got := f.found(t, s, limit, filter); got != want {
					t.Errorf("%.60s: got %q, want %q", filter, got, want)
				}
			}
		})
	})

	t.Run("who_has_very_many_values_is_found_by_each", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.searchable(t, "entitlements.value")
			crowd := func(from, n int) string {
				list := make([]string, n)
				for i := range list {
					list[i] = fmt.Sprintf(`{"value":"e%d"}`, from+i)
				}
				return `"entitlements":[` + strings.Join(list, ",") + `]`
			}
			f.user(t, s, user("many", crowd(0, roster.MaxIndexedValues+1)))
			edge := f.user(t, s, user("edge", crowd(0, roster.MaxIndexedValues)))
			f.user(t, s, user("few", crowd(1, 2)))
			f.user(t, s, user("none", `"title":"T"`))
			ask := func(want map[string]string) {
				t.Helper()
				for filter, names := range want {
					if got := f.found(t, s, 3, filter); got != names {
						t.Errorf("%s: got %q, want %q", filter, got, names)
					}
				}
			}
			f.advance(t, s)
			ask(map[string]string{
				`entitlements eq "E1"`:                      "many edge few",
				`entitlements eq "e100"`:                    "many",
				`entitlements eq "e99"`:                     "many edge",
				`entitlements eq "nothing"`:                 "",
				`entitlements sw "e10"`:                     "many edge",
				`entitlements co "100"`:                     "many",
				`entitlements.value pr`:                     "many edge few",
				`not (entitlements.value pr)`:               "none",
				`entitlements[value eq "e100"]`:             "many",
				`title eq "T" and entitlements eq "e1"`:     "",
				`userName eq "none" or entitlements sw "e"`: "too many",
			})
			// The patches add a value to edge and remove others, and the value rows must follow.
			change := func(body string) {
				if _, err := f.rosters.Open(s).Patch(t.Context(), roster.User, edge, patchOf(t, scim.UserType(), body), bySCIM); err != nil {
					t.Fatal(err)
				}
			}
			change(`{"op":"add","path":"entitlements","value":[{"value":"more"}]}`)
			ask(map[string]string{`entitlements eq "more"`: "edge", `entitlements eq "e99"`: "many edge"})
			change(`{"op":"remove","path":"entitlements[value sw \"e\"]"}`)
			ask(map[string]string{`entitlements eq "more"`: "edge", `entitlements eq "e99"`: "many"})
		})
	})

	t.Run("other_types_have_their_own", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s, types := f.configured(t)
			if _, err := f.sites.SetSchemas(t.Context(), s.ID, s.Schemas, "cli"); err != nil {
				t.Fatal(err)
			}
			for _, d := range []struct{ kind, attribute string }{{"Device", "displayName"}, {"Device", "ports"}, {"User", "urn:example:Badge:number"}} {
				if _, err := f.sites.DeclareSearchable(t.Context(), s.ID, scim.TypeName(d.kind), []string{d.attribute}, "cli"); err != nil {
					t.Fatal(err)
				}
			}
			device, _ := types.ByName("Device")
			var ids []string
			for _, body := range []string{`"serial":"A","displayName":"Eins","ports":[80,443]`, `"serial":"B","displayName":"Zwei","ports":[8080]`} {
				doc, _, err := scim.Decode(device, []byte(`{"schemas":["urn:example:Device"],`+body+`}`), scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				out, err := f.rosters.Open(s).Create(t.Context(), "Device", doc, bySCIM)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, out.Document.ID)
			}
			f.user(t, s, `{"schemas":["u"],"userName":"ada","displayName":"Eins"}`)
			f.advance(t, s)
			few := roster.Rosters{Store: f.rosters.Store, Now: f.rosters.Now, NewID: f.rosters.NewID, ScanLimit: 1}
			for text, want := range map[string]string{`displayName eq "eins"`: ids[0], `ports eq 8080`: ids[1]} {
				parsed, _, err := scim.ParseFilter(device, text, scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				page, err := few.Open(s).List(t.Context(), roster.Query{Kind: "Device", Filter: parsed, Count: 10})
				if err != nil || page.TotalResults != 1 || page.Documents[0].ID != want {
					t.Errorf("%s: got %+v, %v", text, page, err)
				}
			}
			if diff := cmp.Diff(f.progress(t, s), []string{"displayName 2/2 complete", "ports 2/2 complete", "urn:example:Badge:number 1/1 complete"}); diff != "" {
				t.Error(diff)
			}
		})
	})

	t.Run("a_site_has_only_its_own", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.searchable(t, "title")
			other := f.site(t, "other", site.Full)
			f.user(t, s, user("ada", `"title":"T"`))
			f.user(t, other, user("eve", `"title":"T"`))
			f.advance(t, s)
			if got := f.found(t, s, 1, `title eq "T"`); got != "ada" {
				t.Errorf("got %s", got)
			}
			if got := f.indexing(t, other); got != nil {
				t.Errorf("the other site: got %v", got)
			}
			f.declare(t, other, "title")
			f.advance(t, other)
			if got := f.found(t, other, 1, `title eq "T"`); got != "eve" {
				t.Errorf("the other site: got %s", got)
			}
		})
	})
}

func TestAdvance(t *testing.T) {
	t.Run("goes_on_where_it_was_stopped_and_tells_how_far_it_is", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.searchable(t)
			for i := range 7 {
				f.user(t, s, fmt.Sprintf(`{"schemas":["u"],"userName":"u%d","title":"T"}`, i))
			}
			f.declare(t, s, "title", "nickName")
			if diff := cmp.Diff(f.progress(t, s), []string{"title 0/7", "nickName 0/7"}); diff != "" {
				t.Error(diff)
			}
			rows := store.Rosters{DB: f.db}
			first := f.lease(t, s, "killed")
			for range 2 {
				if more, err := rows.Index(t.Context(), s.ID, first, 2); err != nil || !more {
					t.Fatalf("got %t, %v", more, err)
				}
			}
			if diff := cmp.Diff(f.progress(t, s), []string{"title 4/7", "nickName 4/7"}); diff != "" {
				t.Error(diff)
			}
			second := f.lease(t, s, "killed") // the restarted process
			if _, err := rows.Index(t.Context(), s.ID, first, 2); err == nil || !strings.Contains(err.Error(), "lease was lost") {
				t.Errorf("under the epoch that is over: got %v", err)
			}
			f.declare(t, s, "locale") // declared while the rows of the other attributes are being filled
			next, err := f.rosters.Advance(t.Context(), string(s.ID), second)
			if err != nil || !next.IsZero() {
				t.Errorf("got %s, %v; want nothing left", next, err)
			}
			want := []string{"title 7/7 complete", "nickName 7/7 complete", "locale 7/7 complete"}
			if diff := cmp.Diff(f.progress(t, s), want); diff != "" {
				t.Error(diff)
			}
		})
	})

	t.Run("many_take_more_than_one_slice", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.searchable(t)
			var rows []roster.ImportRow
			for i := range 5_100 {
				rows = append(rows, roster.ImportRow{UserName: fmt.Sprintf("u%d", i), GivenName: fmt.Sprintf("g%d", i)})
			}
			if _, err := f.rosters.Open(s).Import(t.Context(), rows, byFile); err != nil {
				t.Fatal(err)
			}
			f.declare(t, s, "name.givenName")
			if got := f.advance(t, s); got != 2 {
				t.Errorf("got %d slices, want 2", got)
			}
			if got := f.found(t, s, 1, `name.givenName eq "g5099"`); got != "u5099" {
				t.Errorf("got %q", got)
			}
			// So many users match that the store walks through the list of users.
			for filter, want := range map[string]string{
				`name.givenName sw "g"`:                            "u5000 u5001 u5002",
				`name.givenName sw "g" and not (userName eq "u1")`: "u5001 u5002 u5003",
			} {
				parsed, _, err := scim.ParseFilter(mustType(t, s), filter, scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				page, err := f.rosters.Open(s).List(t.Context(), roster.Query{Filter: parsed, StartIndex: 5001, Count: 3})
				if err != nil || page.TotalResults < 5_099 || f.userNames(t, page) != want {
					t.Errorf("%s: got %d altogether and %s, %v; want %s", filter, page.TotalResults, f.userNames(t, page), err, want)
				}
				sorted, err := f.rosters.Open(s).List(t.Context(), roster.Query{Filter: parsed, SortBy: sortBy(t, mustType(t, s), "userName", "descending"), Count: 2})
				if err != nil || f.userNames(t, sorted) != "u999 u998" {
					t.Errorf("%s, sorted: got %s, %v", filter, f.userNames(t, sorted), err)
				}
			}
			// The index finds many candidates here, and the evaluator decides about each of them.
			if got := f.found(t, s, 10_000, `name.givenName sw "g" and nickName ne "x" and not (userName sw "u1")`); !strings.HasPrefix(got, "u0 u2 u3") || !strings.HasSuffix(got, " u209 u210") {
				t.Errorf("got %q", got)
			}
			if got := f.found(t, s, 5_000, `name.givenName sw "g" and nickName ne "x"`); got != "too many" {
				t.Errorf("beyond the limit: got %q", got)
			}
		})
	})

	t.Run("a_site_that_is_gone_needs_nothing", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.searchable(t, "title")
			epoch := f.lease(t, s, "test")
			if err := f.sites.Delete(t.Context(), s.ID, s.Name, "cli"); err != nil {
				t.Fatal(err)
			}
			if next, err := f.rosters.Advance(t.Context(), string(s.ID), epoch); err != nil || !next.IsZero() {
				t.Errorf("got %s, %v", next, err)
			}
			if got, err := (store.Leases{DB: f.db}).Epoch(t.Context(), roster.LeaseKind, string(s.ID)); err != nil || got != 0 {
				t.Errorf("its lease is still there: %d, %v", got, err)
			}
		})
	})
}
