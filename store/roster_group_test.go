package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestNamesOfMembersThatWereWrittenBeforeTheColumn reads display names of members that an older version
// has stored. A migration copies the names into the rows of the members. A resource that was last
// written before resources had a column for the name has its name only in the document.
func TestNamesOfMembersThatWereWrittenBeforeTheColumn(t *testing.T) {
	t.Parallel()
	emptyDatabases(t, func(t *testing.T, url string) {
		ctx := t.Context()
		db := storetest.Open(t, url)
		if err := store.MigrateTo(ctx, url, 129); err != nil {
			t.Fatal(err)
		}
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, `
				insert into site (id, name, profile, scim_enabled, manage_roles, strict, matches, created)
				values ('s', 's', 'full', true, false, false, '', 0)`); err != nil {
				return err
			}
			for _, r := range []struct {
				id, folded, doc string
				display         any
			}{
				{"u-1", "ada lund", `{"displayName":"Ada Lund"}`, nil},
				{"u-2", "bob", `{"displayName":"not read"}`, "Bob"},
				{"u-3", "", `{}`, nil},
				{"u-4", "", `{}`, ""},
			} {
				if _, err := tx.Exec(ctx, `
					insert into resource (site, kind, id, list, seq, version, user_name, external_id, display_name, active, role, created, modified,
						last_by, last_via, last_at, last_text, active_by, active_via, active_at, role_by, role_via, role_at, last_sign_in, doc, display)
					values ('s', 'User', $1, 's/User', 1, 1, $1, '', $2, true, 'Registered', 0, 0, '', '', 0, '', '', '', 0, '', '', 0, 0, $3, $4)`,
					r.id, r.folded, r.doc, r.display); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `
					insert into membership (site, group_id, member, member_kind, added)
					values ('s', 'g', $1, 'User', 0)`, r.id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := store.Rosters{DB: db}.Members(ctx, "s", "g", "", 10, true)
		if err != nil {
			t.Fatal(err)
		}
		want := []roster.Member{
			{ID: "u-1", Kind: roster.User, Display: "Ada Lund"},
			{ID: "u-2", Kind: roster.User, Display: "Bob"},
			{ID: "u-3", Kind: roster.User},
			{ID: "u-4", Kind: roster.User},
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("got - want +\n%s", diff)
		}
	})
}
