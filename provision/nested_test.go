package provision_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// nest sets whether groups are sent as members of other groups.
func (g *groupWorld) nest(on bool) {
	g.t.Helper()
	_, err := g.jobs.Edit(g.t.Context(), g.key, func(s *provision.Settings) { s.Nested = &on }, "cli")
	g.must(err)
}

// TestNestedGroupsAreMembersWhileTheSwitchIsOn sets the switch Nested groups, and reads the groups
// of the application.
func TestNestedGroupsAreMembersWhileTheSwitchIsOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db)
		ada := g.hire("ada", true)
		inner := g.group("Inner")
		outer := g.group("Outer", ada, inner)
		g.sync()
		id := map[string]string{}
		for group, r := range g.teams.byID {
			id[r.String("displayName")] = group
		}
		step := func(when string, want ...string) {
			t.Helper()
			_, planned := g.plannedMembers()
			var wantPlanned, wantSent []string
			for _, w := range want {
				wantPlanned = append(wantPlanned, w+"Inner")
				op := `{"op":"Add","path":"members","value":[{"$ref":null,"value":"` + id["Inner"] + `"}]}`
				if w == "-" {
					op = `{"op":"Remove","path":"members","value":[{"value":"` + id["Inner"] + `"}]}`
				}
				wantSent = append(wantSent, patchOf(id["Outer"], op))
			}
			if diff := cmp.Diff(wantPlanned, planned["Outer success"]); diff != "" {
				t.Errorf("%s: the plan (-want +got):\n%s", when, diff)
			}
			if diff := cmp.Diff(wantSent, g.sync(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: sent (-want +got):\n%s", when, diff)
			}
			if again := g.sync(); len(again) != 0 {
				t.Errorf("%s: the next cycle sends %q", when, again)
			}
		}
		g.expect("Inner: ", "Outer: ada")
		g.leave(outer, inner)
		g.join(outer, inner)
		step("off, as in Entra")
		g.nest(true)
		step("switched on", "+")
		g.expect("Inner: ", "Outer: ada "+id["Inner"])
		g.leave(outer, inner)
		step("the group leaves", "-")
		g.join(outer, inner)
		step("the group comes", "+")
		g.nest(true)
		step("switched on again")
		g.nest(false)
		step("switched off", "-")
		g.expect("Inner: ", "Outer: ada")
		g.leave(outer, inner)
		step("the group leaves while the switch is off")
		g.expect("Inner: ", "Outer: ada")

		// A group that is provisioned later becomes a member at that time. A group that leaves is
		// no longer a member.
		g.nest(true)
		g.assign(inner, false)
		g.join(outer, inner)
		g.sync()
		g.expect("Outer: ada")
		g.assign(inner, true)
		g.sync()
		g.expect("Inner: ", "Outer: ada g3")
		g.assign(inner, false)
		g.sync()
		g.expect("Outer: ada")
		if r := g.report(); r.Members != 1 || len(r.Failing) != 0 {
			t.Errorf("the status counts %d members and failures %v", r.Members, r.Failing)
		}
	})
}

// TestNestedGroupsAreTakenAwayThroughTheGuard turns Nested groups off while many groups are
// members.
func TestNestedGroupsAreTakenAwayThroughTheGuard(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db)
		var inner []string
		for i := range 6 {
			inner = append(inner, g.group(fmt.Sprintf("Inner %d", i)))
		}
		g.group("Outer", inner...)
		g.nest(true)
		g.sync()
		c := &crew{groupWorld: g}
		all := g.has()
		g.nest(false)
		if r, _ := g.plannedMembers(); r.MembersOnHold != 6 || r.MembersRemoved != 0 {
			t.Errorf("planned: %d on hold, %d to remove", r.MembersOnHold, r.MembersRemoved)
		}
		if sent := g.sync(); len(sent) != 0 {
			t.Errorf("before somebody decides: %q", sent)
		}
		if diff := cmp.Diff(all, g.has()); diff != "" {
			t.Errorf("before somebody decides (-want +got):\n%s", diff)
		}
		h := c.held()
		want := []provision.HeldReason{{Reason: "group in group 'Outer', which is left out because Nested groups is off", Count: 6}}
		if diff := cmp.Diff(want, h.Reasons); diff != "" || h.Members != 6 {
			t.Errorf("on hold are %d (-want +got):\n%s", h.Members, diff)
		}
		_, err := g.jobs.Approve(t.Context(), g.key, h.ID, h.Batch, "cli")
		g.must(err)
		g.sync()
		if all := g.has(); all[6] != "Outer: " {
			t.Errorf("after the approval: %q", all)
		}
		c.nothingHeld("after the approval")
	})
}
