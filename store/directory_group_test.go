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

// TestWhatLeftAGroupStaysAsLongAsItsEvents prunes the events about groups. It checks that the rows
// of ended memberships and assignments stay as long as their events.
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
		_, err = h.AddMembers(ctx, left, []string{kept}, "cli") // a new event, which is not pruned
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

// TestAssignmentsAreLookedUpByUser checks SQLite's plan of the query for the assignments of some
// users. SQLite once read all memberships of the directory for this query: an evaluation of 164,000
// people without a change took four minutes.
func TestAssignmentsAreLookedUpByUser(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if db.Kind() != sqldb.SQLite {
			return // PostgreSQL chooses its plan by its own statistics
		}
		lines, err := store.PlanOfRoles(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		byID := strings.Count(plan, "SEARCH m USING COVERING INDEX directory_member_of (directory=? AND member=? AND gone=?)")
		first := strings.Count(plan, "SEARCH m EXISTS USING COVERING INDEX directory_member_of (directory=? AND member=? AND gone=?)")
		byPage := strings.Count(plan, "SEARCH m USING COVERING INDEX directory_member_of (directory=? AND member>? AND member<?)")
		if byID != 2 || first != 2 || byPage != 2 {
			t.Errorf("all memberships of users are looked up in %d places, the first in %d and those of a page in %d, want 2 of each:\n%s", byID, first, byPage, plan)
		}
	})
}

// TestGroupsOfAnAccountAreLookedUpByMember checks SQLite's plan of the query for the groups of an
// account that was created or removed. SQLite once read all memberships of the job for each such
// account.
func TestGroupsOfAnAccountAreLookedUpByMember(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if db.Kind() != sqldb.SQLite {
			return // PostgreSQL chooses its plan by its own statistics
		}
		lines, err := store.PlanOfGroupsWithMember(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if plan != "SEARCH job_member USING INDEX job_member_of (<expr>=?)" {
			t.Errorf("the groups are looked up like this:\n%s", plan)
		}
	})
}

// TestAssignmentsOfManyUsersAreThoseOfEachUser reads the assignments of many users together, and of
// each user alone. Both results must be equal. The assignments are direct and through groups, with
// a role and without one. They include a deleted group, an ended membership and an ended
// assignment.
func TestAssignmentsOfManyUsersAreThoseOfEachUser(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, ids := t.Context(), 0
		all := &directory.Directories{
			Store: store.Directories{DB: db}, Now: func() time.Time { return time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC) },
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
		var users []string
		for i := range 36 {
			u, _, err := h.PutUser(ctx, directory.User{Attributes: map[string]any{"userPrincipalName": fmt.Sprintf("u%02d@contoso.example", i)}}, "cli")
			must(err)
			users = append(users, u.ObjectID)
		}
		app, err := h.CreateApplication(ctx, "Acme", "cli")
		must(err)
		other, err := h.CreateApplication(ctx, "Other", "cli")
		must(err)
		role := func(app, name string) string {
			r, _, err := h.PutRole(ctx, app, directory.AppRole{Value: name, DisplayName: name, Enabled: true}, "cli")
			must(err)
			return r.ID
		}
		editor, author := role(app.ID, "editor"), role(app.ID, "author")
		group := func(name, app, role string, members ...string) string {
			g, _, err := h.PutGroup(ctx, directory.Group{Attributes: map[string]string{"displayName": name}}, "cli")
			must(err)
			_, err = h.AddMembers(ctx, g.ObjectID, members, "cli")
			must(err)
			_, err = h.AssignRole(ctx, app, role, []string{g.ObjectID}, "cli")
			must(err)
			return g.ObjectID
		}
		_, err = h.Assign(ctx, app.ID, users[0:2], "cli")
		must(err)
		_, err = h.AssignRole(ctx, app.ID, editor, users[2:4], "cli")
		must(err)
		group("Plain", app.ID, "", users[3:8]...)
		group("Editors", app.ID, editor, users[6:12]...)
		group("Authors", app.ID, author, users[10:14]...)
		group("Of another application", other.ID, "", users[14:16]...)
		deleted := group("Deleted", app.ID, author, users[16:18]...)
		_, err = h.SoftDeleteGroup(ctx, deleted, "cli")
		must(err)
		left := group("Left", app.ID, "", users[18:20]...)
		_, err = h.RemoveMembers(ctx, left, users[18:19], "cli")
		must(err)
		ended := group("Ended", app.ID, editor, users[20:22]...)
		_, err = h.Unassign(ctx, app.ID, []string{ended}, "cli")
		must(err)

		var alone []directory.Object
		for _, id := range users {
			one, err := h.Objects(ctx, app.ID, []string{id})
			must(err)
			alone = append(alone, one...)
		}
		together, err := h.Objects(ctx, app.ID, users)
		must(err)
		page, err := h.Snapshot(ctx, directory.SnapshotQuery{App: app.ID, Limit: 100})
		must(err)
		if diff := cmp.Diff(alone, together); diff != "" {
			t.Errorf("many users together (-alone +together):\n%s", diff)
		}
		if diff := cmp.Diff(alone, page); diff != "" {
			t.Errorf("a page of users (-alone +page):\n%s", diff)
		}
		var assigned, roles []string
		for i, o := range together {
			if o.Assigned {
				assigned = append(assigned, fmt.Sprint(i))
			}
			for _, r := range o.Roles {
				roles = append(roles, fmt.Sprint(i, r.Value))
			}
		}
		if got, want := strings.Join(assigned, " "), "0 1 2 3 4 5 6 7 8 9 10 11 12 13 19"; got != want {
			t.Errorf("assigned are %s, want %s", got, want)
		}
		if got, want := strings.Join(roles, " "), "2editor 3editor 6editor 7editor 8editor 9editor 10author 10editor 11author 11editor 12author 13author"; got != want {
			t.Errorf("roles are %s, want %s", got, want)
		}
	})
}
