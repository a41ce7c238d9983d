package roster_test

import (
	"context"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// TestNeverAgain checks that defects of other servers do not appear here. TestGroup checks those
// about a single PATCH.
func TestNeverAgain(t *testing.T) {
	t.Run("a_site_never_sees_another_sites_rows", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			other := f.site(t, "other", site.Full)
			theirs := f.user(t, other, ada)
			group := f.group(t, other, "Team", theirs)
			mine := f.group(t, f.full, "Team")
			r := f.rosters.Open(f.full)
			f.finds(t, f.full, `userName eq "ada@acme.test"`)
			f.finds(t, f.full, `id eq "`+theirs+`"`)
			f.finds(t, f.full, `groups eq "`+group+`"`)
			for _, text := range []string{`members eq "` + theirs + `"`, `id eq "` + group + `"`, `members pr`} {
				parsed, _, err := scim.ParseFilter(scim.GroupType(), text, scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				if ids, total := f.list(t, f.full, roster.Query{Kind: roster.Group, Filter: parsed, Count: 10}); total != 0 {
					t.Errorf("%s found %v", text, ids)
				}
			}
			for kind, id := range map[scim.TypeName]string{roster.User: theirs, roster.Group: group} {
				_, err := r.Get(t.Context(), kind, id)
				isError(t, err, 404, "")
				_, err = r.Delete(t.Context(), kind, id, bySCIM)
				isError(t, err, 404, "")
			}
			f.hasMembers(t, f.full, group)
			if groups, err := r.Groups(t.Context(), theirs); err != nil || len(groups) > 0 {
				t.Errorf("got %v, %v", groups, err)
			}
			_, err := r.Patch(t.Context(), roster.Group, group, groupPatch(t, `{"op":"remove","path":"members"}`), bySCIM)
			isError(t, err, 404, "")
			if _, err := r.Patch(t.Context(), roster.Group, mine, groupPatch(t, `{"op":"add","path":"members","value":`+values(theirs)+`}`), bySCIM); err != nil {
				t.Error(err)
			}
			f.hasMembers(t, f.full, mine)
			f.hasMembers(t, other, group, theirs)
		})
	})
	t.Run("an_external_id_never_selects_by_an_id_of_ours", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			first := f.user(t, f.full, registered("first"))
			for _, external := range []string{first, "1", "0", "00000000-0000-0000-0000-000000000001"} {
				id := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u`+external+`","externalId":"`+external+`"}`)
				f.finds(t, f.full, `externalId eq "`+external+`"`, id)
				if external != first {
					_, err := f.rosters.Open(f.full).Get(t.Context(), roster.User, external)
					isError(t, err, 404, "")
				}
			}
			f.finds(t, f.full, `id eq "`+first+`"`, first)
		})
	})
	t.Run("the_same_post_again_makes_nobody_and_no_group_twice", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if _, err := r.Create(context.Background(), roster.User, decode(t, ada), bySCIM); err != nil {
						isError(t, err, 409, "uniqueness")
					}
				})
				all.Go(func() {
					if _, err := r.Create(context.Background(), roster.Group, scim.Resource{"displayName": "Team"}, bySCIM); err != nil {
						isError(t, err, 409, "uniqueness")
					}
				})
			}
			all.Wait()
			for _, kind := range []scim.TypeName{roster.User, roster.Group} {
				if ids, total := f.list(t, f.full, roster.Query{Kind: kind, Count: 10}); len(ids) != 1 || total != 1 {
					t.Errorf("%s: got %v of %d", kind, ids, total)
				}
			}
		})
	})
}
