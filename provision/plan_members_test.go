package provision_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// plannedMembers makes a plan. It returns the planned members by group and sign, and the references
// by person.
func (g *groupWorld) plannedMembers() (provision.PlanReport, map[string][]string) {
	g.t.Helper()
	found := map[string][]string{}
	report, err := g.engine.Plan(g.t.Context(), g.key, func(o provision.PlannedObject) error {
		key := o.DisplayName + " " + string(o.Result)
		for _, m := range o.Added {
			found[key] = append(found[key], "+"+m.DisplayName)
		}
		for _, m := range o.Removed {
			found[key] = append(found[key], "-"+m.DisplayName)
		}
		for _, c := range o.Changes {
			if c.Type == "Reference" {
				found[key] = append(found[key], show(c.Old)+" → "+show(c.New))
			}
		}
		return nil
	})
	g.must(err)
	report.Notes = nil
	return report, found
}

func show(v any) string {
	if v == nil {
		return "none"
	}
	return v.(string)
}

// TestPlanNamesMembersAndManagers reads plans of memberships and managers. Planning sends no
// changes.
func TestPlanNamesMembersAndManagers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db)
		g.mapManager()
		ada, bo := g.hire("ada", true), g.hire("bo", true)
		cy := g.hire("cy", false)
		g.manage(bo, ada)
		blue := g.group("Team Blue", ada, bo)
		step := func(when string, want map[string][]string, report provision.PlanReport) {
			t.Helper()
			before := g.has()
			r, got := g.plannedMembers()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
			if diff := cmp.Diff(report, r, cmpopts.IgnoreUnexported(provision.PlanReport{})); diff != "" {
				t.Errorf("%s: the report (-want +got):\n%s", when, diff)
			}
			if diff := cmp.Diff(before, g.has()); diff != "" {
				t.Errorf("%s: the plan changed the application:\n%s", when, diff)
			}
			g.sync()
		}
		step("everything is new", map[string][]string{
			"Team Blue success": {"+ada Lund", "+bo Lund"}, "bo Lund success": {"none → (new) " + ada},
		}, provision.PlanReport{Kind: "initial", Read: 3, Creates: 3, MembersAdded: 2, References: 1})
		g.expect("Team Blue: ada bo")
		g.leave(blue, ada)
		g.leave(blue, ada)
		step("one leaves the group", map[string][]string{"Team Blue success": {"-ada Lund"}}, provision.PlanReport{Kind: "incremental", Read: 1, Skips: 1, MembersRemoved: 1})
		g.expect("Team Blue: bo")
		g.join(blue, cy)
		g.assign(ada, false)
		step("one gets an account, and a manager loses hers", map[string][]string{
			"Team Blue success": {"+cy Lund"}, "bo Lund success": {g.app.user("ada@contoso.example").String("id") + " → none"},
		}, provision.PlanReport{Kind: "incremental", Read: 2, Creates: 1, Disables: 1, MembersAdded: 1, References: 1})
		g.expect("Team Blue: bo cy")
		g.rename(blue, "Team Green")
		step("only its name changes", map[string][]string{}, provision.PlanReport{Kind: "incremental", Read: 1, Updates: 1})
		g.assign(bo, false)
		g.move(cy, "Bergen")
		step("an assignment through the group is enough", map[string][]string{}, provision.PlanReport{Kind: "incremental", Read: 2, Updates: 1, Skips: 1})
		g.assign(blue, false)
		step("the group goes, and everyone with it", map[string][]string{}, provision.PlanReport{Kind: "incremental", Read: 4, Deletes: 1, Disables: 2, Skips: 1})
		g.expect()
	})
}

// TestPlanHoldsMembersAsTheGuardDoes plans an import that ends most memberships of a group.
func TestPlanHoldsMembersAsTheGuardDoes(t *testing.T) {
	t.Parallel()
	c := newCrew(t, storetest.New(t), 30)
	c.removeByFile(c.people[:6]...)
	for _, when := range []string{"before the cycle", "after it"} {
		report, found := c.plannedMembers()
		if report.MembersOnHold != 6 || report.MembersRemoved != 0 || len(found["Team Blue skipped"]) != 6 {
			t.Errorf("%s: %+v, %q", when, report, found)
		}
		c.sync()
		c.wantMembers(when, 30)
	}
	h := c.held()
	_, err := c.jobs.Approve(t.Context(), c.key, h.ID, provision.AnyBatch, "cli")
	c.must(err)
	if report, found := c.plannedMembers(); report.MembersOnHold != 0 || report.MembersRemoved != 6 || len(found["Team Blue success"]) != 6 {
		t.Errorf("approved: %+v, %q", report, found)
	}
	c.sync()
	c.wantMembers("approved", 24)
}
