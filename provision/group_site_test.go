package provision_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// TestGroupsAtARealSite provisions groups into a site, on both databases.
func TestGroupsAtARealSite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBothEnds(t, db, site.Full, allActions)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		ada, bo := b.hire("ada@contoso.com", "Ada", "Lund"), b.hire("bo@contoso.com", "Bo", "Lund")
		made, _, err := b.handle.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Team Blue"}}, "cli")
		must(err)
		_, err = b.handle.AddMembers(t.Context(), made.ObjectID, []string{ada, bo}, "cli")
		must(err)
		_, err = b.handle.Assign(t.Context(), b.app.ID, []string{made.ObjectID}, "cli")
		must(err)
		// groupsOf returns the groups of a person at the site.
		groupsOf := func(name string) string {
			t.Helper()
			r, found := b.member(name)
			if !found {
				return "no account"
			}
			id := r.String("id")
			groups, err := b.roster.Groups(t.Context(), id)
			must(err)
			var names []string
			for _, g := range groups[id] {
				names = append(names, g.Display)
			}
			slices.Sort(names)
			return strings.Join(names, " ")
		}
		expect := func(what, ofAda, ofBo string) {
			t.Helper()
			b.cycle()
			if got := groupsOf("ada@contoso.com"); got != ofAda {
				t.Errorf("%s: Ada has %q, want %q", what, got, ofAda)
			}
			if got := groupsOf("bo@contoso.com"); got != ofBo {
				t.Errorf("%s: Bo has %q, want %q", what, got, ofBo)
			}
		}
		expect("both are members", "Team Blue", "Team Blue")
		_, err = b.handle.RemoveMembers(t.Context(), made.ObjectID, []string{ada}, "cli")
		must(err)
		expect("Ada left", "", "Team Blue")
		made.Attributes = map[string]string{"displayName": "Team Navy"}
		_, _, err = b.handle.PutGroup(t.Context(), made, "cli")
		must(err)
		expect("renamed", "", "Team Navy")
		if r := b.report(); r.Groups != 1 || r.Members != 1 || r.Escrowed != 0 {
			t.Errorf("%d groups, %d members, %d are tried again", r.Groups, r.Members, r.Escrowed)
		}
		_, err = b.handle.SoftDeleteGroup(t.Context(), made.ObjectID, "cli")
		must(err)
		expect("deleted", "", "")
	})
}
