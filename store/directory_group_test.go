package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestWhatLeftAGroupStaysAsLongAsItsEvents prunes the events about a group, and looks at its rows.
func TestWhatLeftAGroupStaysAsLongAsItsEvents(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, now, ids := t.Context(), time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC), 0
		all := &directory.Directories{
			Store: store.Directories{DB: db}, Now: func() time.Time { now = now.Add(time.Second); return now },
			NewID: func() string { ids++; return fmt.Sprintf("00000000-0000-4000-8000-%012x", ids) },
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		d, err := all.Create(ctx, "contoso", "cli")
		must(err)
		h := all.Open(d)
		ada, _, err := h.PutUser(ctx, directory.User{Attributes: map[string]any{"userPrincipalName": "ada@contoso.example"}}, "cli")
		must(err)
		app, err := h.CreateApplication(ctx, "Acme", "cli")
		must(err)
		group := func(name string) string {
			g, _, err := h.PutGroup(ctx, directory.Group{Attributes: map[string]string{"displayName": name}}, "cli")
			must(err)
			_, err = h.AddMembers(ctx, g.ObjectID, []string{ada.ObjectID}, "cli")
			must(err)
			_, err = h.Assign(ctx, app.ID, []string{g.ObjectID}, "cli")
			must(err)
			return g.ObjectID
		}
		left, purged, kept := group("Left"), group("Purged"), group("Kept")
		_, err = h.RemoveMembers(ctx, left, []string{ada.ObjectID}, "cli")
		must(err)
		_, err = h.Unassign(ctx, app.ID, []string{left}, "cli")
		must(err)
		_, err = h.SoftDeleteGroup(ctx, purged, "cli")
		must(err)
		must(h.PurgeGroup(ctx, purged, "cli"))
		rows := func() [][]string {
			return texts(t, db, 2, `
				select 'member', group_id from directory_member
				union all select 'assignment', group_id from directory_group_assignment
				union all select 'group', object_id from directory_group
				order by 1, 2`)
		}
		prune := func(before time.Time) {
			t.Helper()
			if _, done, err := (store.Retention{DB: db}).Prune(ctx, retention.Events, before, time.Time{}); !done || err != nil {
				t.Fatalf("prune: %v, %v", done, err)
			}
		}
		prune(now.Add(-time.Hour))
		if got := rows(); len(got) != 9 {
			t.Errorf("before its time there are %v", got)
		}
		now = now.Add(30 * day)
		_, err = h.AddMembers(ctx, left, []string{kept}, "cli") // a new event, which stays
		must(err)
		prune(now.Add(-20 * day))
		want := [][]string{{"assignment", kept}, {"group", left}, {"group", kept}, {"member", left}, {"member", kept}}
		if diff := cmp.Diff(want, rows()); diff != "" {
			t.Errorf("afterwards (-want +got):\n%s", diff)
		}
		if events, err := (store.Events{DB: db}).Recent(ctx, event.Directory(string(d.ID)), "", event.Position{}, 100); err != nil || len(events) != 1 {
			t.Errorf("events left: %d, %v", len(events), err)
		}
	})
}

// TestAssignmentsAreLookedUpByUser reads the plan of the query for the assignments of some users. SQLite once read all memberships
// of the directory for it: 164,000 evaluations of people without a change took four minutes.
func TestAssignmentsAreLookedUpByUser(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if db.Kind() != sqldb.SQLite {
			return // PostgreSQL makes statistics of its own
		}
		lines, err := store.PlanOfRoles(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		for _, want := range []string{
			"SEARCH m USING INDEX directory_member_of (directory=? AND member=? AND gone=?)",
			"SEARCH m USING INDEX directory_member_of (directory=? AND member>? AND member<?)",
		} {
			if !strings.Contains(plan, want) {
				t.Errorf("the plan has no %q:\n%s", want, plan)
			}
		}
	})
}
