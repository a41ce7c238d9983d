package roster_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// A change parses the stored document once, whatever follows from it: the values with rows of their
// own, the declared ones among them, and the looks of the names. Neither the test nor its parts are
// parallel, because it counts for the whole process.
func TestAChangeParsesTheStoredDocumentOnce(t *testing.T) {
	parses := func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		id := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@acme.test","title":"Engineer","emails":[{"value":"ada@acme.test","type":"work"}]}`)
		group := f.group(t, f.full, "Team", id)
		if _, err := f.sites.DeclareSearchable(t.Context(), f.full.ID, "User", []string{"title", "name.familyName", "addresses.locality"}, "cli"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name   string
			want   int64
			change func(r *roster.Roster) (roster.Outcome, error)
		}{
			{"PATCH active", 1, func(r *roster.Roster) (roster.Outcome, error) {
				return r.Patch(t.Context(), roster.User, id, replace(t, "active", "false"), bySCIM)
			}},
			{"PATCH of a declared attribute", 1, func(r *roster.Roster) (roster.Outcome, error) {
				return r.Patch(t.Context(), roster.User, id, replace(t, "title", `"Lead"`), bySCIM)
			}},
			{"PATCH of the name", 1, func(r *roster.Roster) (roster.Outcome, error) {
				return r.Patch(t.Context(), roster.User, id, replace(t, "displayName", `"Ada"`), bySCIM)
			}},
			{"PATCH that changes nothing", 1, func(r *roster.Roster) (roster.Outcome, error) {
				return r.Patch(t.Context(), roster.User, id, replace(t, "title", `"Lead"`), bySCIM)
			}},
			{"PUT", 1, func(r *roster.Roster) (roster.Outcome, error) {
				return r.Replace(t.Context(), roster.User, id, decode(t, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@acme.test","title":"Head"}`), bySCIM)
			}},
			{"PATCH of a group", 1, func(r *roster.Roster) (roster.Outcome, error) {
				return r.Patch(t.Context(), roster.Group, group, groupPatch(t, `{"op":"replace","path":"displayName","value":"Crew"}`), bySCIM)
			}},
			{"POST", 0, func(r *roster.Roster) (roster.Outcome, error) {
				return r.Create(t.Context(), roster.User, decode(t, registered("bob")), bySCIM)
			}},
		} {
			r, count := f.rosters.Open(f.full), roster.CountParses(t)
			if _, err := c.change(r); err != nil {
				t.Fatal(c.name, err)
			}
			if got := count.Load(); got != c.want {
				t.Errorf("%s parsed the stored document %d times, want %d", c.name, got, c.want)
			}
		}
	}
	t.Run(sqldb.SQLite, func(t *testing.T) { parses(t, storetest.New(t)) })
	t.Run(sqldb.PostgreSQL, func(t *testing.T) { parses(t, storetest.Postgres(t)) })
}
