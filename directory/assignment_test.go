package directory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store"
)

// app makes an application and assigns users and groups to it.
func (c company) app(t *testing.T, name string, ids ...string) directory.Application {
	t.Helper()
	a := ok[directory.Application](t)(c.CreateApplication(t.Context(), name, "cli"))
	if n, err := c.Assign(t.Context(), a.ID, ids, "cli"); err != nil || n != len(ids) {
		t.Fatalf("assign %v: %d, %v", ids, n, err)
	}
	return a
}

// scope lists who is assigned to an application, as a snapshot says it in pages of two.
func (c company) scope(t *testing.T, app string, only bool) []string {
	t.Helper()
	var list []string
	q := directory.SnapshotQuery{App: app, AssignedOnly: only, Limit: 2}
	for {
		page, err := c.Snapshot(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			if one := ok[directory.Object](t)(c.Object(t.Context(), app, o.User.ObjectID)); one.Assigned != o.Assigned || len(one.Roles) != len(o.Roles) {
				t.Errorf("alone %+v, in the snapshot %+v", one, o)
			}
			if o.Assigned {
				list = append(list, o.User.DisplayName())
			} else if only {
				t.Errorf("%s is not assigned", o.User.DisplayName())
			}
		}
		if len(page) < q.Limit {
			slices.Sort(list)
			return list
		}
		q.After = page[len(page)-1].User.ObjectID
	}
}

// news names the users that changed after a position, read in pages of two, and says how many pages
// it took.
func (c company) news(t *testing.T, app string, from event.Position) (names []string, pages int) {
	t.Helper()
	end, after := c.position(t), directory.Progress{Position: from}
	seen := map[string]bool{}
	for {
		page, err := c.Changes(t.Context(), app, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		if len(page.ObjectIDs) > 2 {
			t.Fatalf("a page of %d", len(page.ObjectIDs))
		}
		for _, id := range page.ObjectIDs {
			name := "purged"
			if u, err := c.User(t.Context(), id); err == nil {
				name = u.DisplayName()
			}
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
		if after, err = directory.ParseProgress(page.Progress.String()); err != nil { // as a job stores it
			t.Fatal(err)
		}
		if !page.More {
			if after != (directory.Progress{Position: end}) {
				t.Errorf("ends at %v, want %v", after, end)
			}
			slices.Sort(names)
			return names, pages
		}
	}
}

func TestDirectMembersOfAnAssignedGroupAreInScope(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, c := t.Context(), newCompany(t, db)
		ada, bo, cy, dee := c.add(t, "Ada"), c.add(t, "Bo"), c.add(t, "Cy"), c.add(t, "Dee")
		c.add(t, "Eve")
		outer, inner, other := c.group(t, "Outer"), c.group(t, "Inner"), c.group(t, "Other")
		c.join(t, outer, ada.ObjectID, bo.ObjectID, inner.ObjectID)
		c.join(t, inner, cy.ObjectID)
		c.join(t, other, dee.ObjectID)
		acme := c.app(t, "Acme", bo.ObjectID, outer.ObjectID)
		c.app(t, "Beta", other.ObjectID)
		want := func(when string, names ...string) {
			t.Helper()
			for _, only := range []bool{true, false} {
				if diff := cmp.Diff(names, c.scope(t, acme.ID, only)); diff != "" {
					t.Errorf("%s, assigned only %v (-want +got):\n%s", when, only, diff)
				}
			}
		}
		want("Cy is a member of a member", "Ada", "Bo")
		if apps := ok[[]directory.Assignment](t)(c.AssignmentsOf(ctx, bo.ObjectID)); len(apps) != 2 || !apps[0].IsDirect() || apps[1].Through.DisplayName() != "Outer" {
			t.Errorf("Bo has %+v", apps)
		}
		if apps := ok[[]directory.Application](t)(c.ApplicationsOf(ctx, bo.ObjectID)); len(apps) != 1 {
			t.Errorf("Bo has %+v", apps)
		}
		ok[directory.Group](t)(c.SoftDeleteGroup(ctx, outer.ObjectID, "cli"))
		want("the group is deleted", "Bo")
		ok[directory.Group](t)(c.RestoreGroup(ctx, outer.ObjectID, "cli"))
		want("the group is restored", "Ada", "Bo")
		ok[int](t)(c.RemoveMembers(ctx, outer.ObjectID, []string{ada.ObjectID}, "cli"))
		want("Ada left", "Bo")
		ok[int](t)(c.Unassign(ctx, acme.ID, []string{bo.ObjectID}, "cli"))
		want("Bo is a member", "Bo")
		ok[int](t)(c.Unassign(ctx, acme.ID, []string{outer.ObjectID}, "cli"))
		want("the group is not assigned")

		// More groups than are read one by one.
		var ids []string
		for i := range 40 {
			g := c.group(t, fmt.Sprintf("Group %d", i))
			c.join(t, g, []directory.User{ada, bo, cy}[i%3].ObjectID)
			ids = append(ids, g.ObjectID)
		}
		ok[int](t)(c.Assign(ctx, acme.ID, ids, "cli"))
		want("40 groups", "Ada", "Bo", "Cy")
	})
}

func TestChangesNameEverybodyAGroupConcerns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, c := t.Context(), newCompany(t, db)
		var ids, names []string
		for _, name := range []string{"Ada", "Bo", "Cy", "Dee", "Eve"} {
			ids, names = append(ids, c.add(t, name).ObjectID), append(names, name)
		}
		fay := c.add(t, "Fay")
		g := c.group(t, "Sales")
		c.join(t, g, ids...)
		acme, beta := c.app(t, "Acme"), c.app(t, "Beta")
		step := func(what string, do func() error, want ...string) {
			t.Helper()
			from := c.position(t)
			if err := do(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			got, pages := c.news(t, acme.ID, from)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
			if len(want) == 5 && pages < 3 {
				t.Errorf("%s: 5 people in %d pages of 2", what, pages)
			}
			if others, _ := c.news(t, beta.ID, from); what != "Fay is deleted" && len(others) > 0 {
				t.Errorf("%s concerns %v at another application", what, others)
			}
		}
		did := func(_ any, err error) error { return err }
		member := func(id string) func() error {
			return func() error { return did(c.AddMembers(ctx, g.ObjectID, []string{id}, "cli")) }
		}
		step("a member of a group that is not assigned", member(fay.ObjectID))
		step("who left it", func() error { return did(c.RemoveMembers(ctx, g.ObjectID, []string{fay.ObjectID}, "cli")) })
		// Fay is named too: she was a member.
		withFay := append(slices.Clone(names), "Fay")
		step("the group is assigned", func() error { return did(c.Assign(ctx, acme.ID, []string{g.ObjectID}, "cli")) }, withFay...)
		step("a new name", func() error {
			g.Attributes = map[string]string{"displayName": "Sales Europe"}
			return did2(c.PutGroup(ctx, g, "cli"))
		})
		step("a new member", member(fay.ObjectID), "Fay")
		step("a group as member", func() error {
			inner := c.group(t, "Inner")
			return did(c.AddMembers(ctx, g.ObjectID, []string{inner.ObjectID}, "cli"))
		})
		step("the group is deleted", func() error { return did(c.SoftDeleteGroup(ctx, g.ObjectID, "cli")) }, withFay...)
		step("it is restored", func() error { return did(c.RestoreGroup(ctx, g.ObjectID, "cli")) }, withFay...)
		// Read late: the group is unassigned, then a member leaves, then the group goes for good.
		step("all at once", func() error {
			for _, do := range []func() error{
				func() error { return did(c.Unassign(ctx, acme.ID, []string{g.ObjectID}, "cli")) },
				func() error { return did(c.RemoveMembers(ctx, g.ObjectID, ids[:2], "cli")) },
				func() error { return did(c.SoftDeleteGroup(ctx, g.ObjectID, "cli")) },
				func() error { return c.PurgeGroup(ctx, g.ObjectID, "cli") },
			} {
				if err := do(); err != nil {
					return err
				}
			}
			return nil
		}, withFay...)
		step("Fay is deleted", func() error { return did(c.SoftDelete(ctx, fay.ObjectID, "cli")) }, "Fay")
	})
}

func did2(_ directory.Group, _ bool, err error) error { return err }

func TestRolesOfAnApplication(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, c := t.Context(), newCompany(t, db)
		ada, bo := c.add(t, "Ada"), c.add(t, "Bo")
		sales := c.group(t, "Sales")
		c.join(t, sales, ada.ObjectID)
		acme := c.app(t, "Acme", bo.ObjectID)
		put := func(r directory.AppRole) (directory.AppRole, error) {
			r, _, err := c.PutRole(ctx, acme.ID, r, "op")
			return r, err
		}
		editor := ok[directory.AppRole](t)(put(directory.AppRole{Value: "editor", DisplayName: "Editor", Enabled: true}))
		reader := ok[directory.AppRole](t)(put(directory.AppRole{Value: "reader", Enabled: true}))
		_, err := put(directory.AppRole{Value: "EDITOR", Enabled: true})
		wantError(t, err, refusal.Taken, `already has a role with the value "EDITOR"`)
		_, err = put(directory.AppRole{Value: "two words", Enabled: true})
		wantError(t, err, refusal.Invalid, "without spaces")
		_, err = put(directory.AppRole{Value: "x", DisplayName: "default access", Enabled: true})
		wantError(t, err, refusal.Invalid, "every application has")
		for _, name := range []string{"EDITOR", "Editor", editor.ID} {
			if r := ok[directory.AppRole](t)(c.Role(ctx, acme, name)); r != editor {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if r := ok[directory.AppRole](t)(c.Role(ctx, acme, "default access")); r != directory.DefaultAccess {
			t.Errorf("got %+v", r)
		}
		_, err = c.Role(ctx, acme, "edtor")
		wantError(t, err, refusal.NotFound, "did you mean Editor?")

		roles := func(id string) []string {
			o := ok[directory.Object](t)(c.Object(ctx, acme.ID, id))
			all := ok[[]directory.Object](t)(c.Objects(ctx, acme.ID, []string{"nobody", sales.ObjectID, id, strings.ToUpper(id)}))
			if diff := cmp.Diff([]directory.Object{o}, all); diff != "" {
				t.Errorf("read with others (-alone +together):\n%s", diff)
			}
			list, _ := o.Attributes()["appRoleAssignments"].([]string)
			return list
		}
		if got := roles(bo.ObjectID); got != nil {
			t.Errorf("Default Access has no value, got %v", got)
		}
		start := c.position(t)
		ok[int](t)(c.AssignRole(ctx, acme.ID, editor.ID, []string{ada.ObjectID, bo.ObjectID}, "op"))
		ok[int](t)(c.AssignRole(ctx, acme.ID, reader.ID, []string{sales.ObjectID}, "op"))
		want := []string{
			`{"id":"` + editor.ID + `","value":"editor","displayName":"Editor"}`,
			`{"id":"` + reader.ID + `","value":"reader","displayName":"reader"}`,
		}
		if diff := cmp.Diff(want, roles(ada.ObjectID)); diff != "" {
			t.Errorf("Ada herself and through Sales (-want +got):\n%s", diff)
		}
		if n, err := c.Assign(ctx, acme.ID, []string{bo.ObjectID}, "op"); n != 0 || err != nil || !strings.Contains(roles(bo.ObjectID)[0], "editor") {
			t.Errorf("assigned again without a role: %d, %v, %v", n, err, roles(bo.ObjectID))
		}
		if diff := cmp.Diff(map[string]directory.AppRole{ada.ObjectID: editor, bo.ObjectID: editor, sales.ObjectID: reader},
			ok[map[string]directory.AppRole](t)(c.RolesOf(ctx, acme.ID, []string{ada.ObjectID, bo.ObjectID, sales.ObjectID, id(99)}))); diff != "" {
			t.Errorf("roles (-want +got):\n%s", diff)
		}
		wantError(t, c.DeleteRole(ctx, acme.ID, reader.ID, "op"), refusal.Conflict, "1 assignment has it", "another role first")

		// Who has a role is named when the role changes, those who have it through a group too.
		reader.Value, reader.Enabled = "viewer", false
		before := c.position(t)
		ok[directory.AppRole](t)(put(reader))
		if got, _ := c.news(t, acme.ID, before); !slices.Equal(got, []string{"Ada"}) {
			t.Errorf("the role of Sales concerns %v", got)
		}
		if got := roles(ada.ObjectID); !strings.Contains(got[1], `"viewer"`) {
			t.Errorf("a disabled role stays: %v", got)
		}
		_, err = c.AssignRole(ctx, acme.ID, reader.ID, []string{bo.ObjectID}, "op")
		wantError(t, err, refusal.Conflict, "is disabled")
		ok[int](t)(c.AssignRole(ctx, acme.ID, directory.DefaultAccess.ID, []string{sales.ObjectID}, "op"))
		if err := c.DeleteRole(ctx, acme.ID, reader.ID, "op"); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{
			"assignment.added by op: Ada (ada@contoso.example) was assigned to Acme with the role Editor",
			"assignment.changed by op: Bo (bo@contoso.example) now has the role Editor of Acme",
			"assignment.added by op: Group Sales was assigned to Acme with the role reader",
			"application.role_changed by op: Role reader of Acme was changed",
			"assignment.changed by op: Group Sales now has the role Default Access of Acme",
			"application.role_deleted by op: Role reader of Acme was deleted",
		}, c.happened(start)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}
