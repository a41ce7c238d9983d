package provision_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// driftedGroup is a real site with one group of four people, in which somebody changes members.
type driftedGroup struct {
	*bothEnds
	group, target string   // the object id of the group, and its id at the site
	ids           []string // the object ids of six people; the first four are members
	accounts      []string // the ids of their accounts
}

func newDriftedGroup(t *testing.T, db *store.DB) *driftedGroup {
	t.Helper()
	g := &driftedGroup{bothEnds: newBothEnds(t, db, site.Full, allActions)}
	for i := range 6 {
		g.ids = append(g.ids, g.hire(fmt.Sprintf("p%d@contoso.com", i), "P", fmt.Sprint(i)))
	}
	blue, _, err := g.handle.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Blue"}}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	g.group = blue.ObjectID
	if _, err := g.handle.AddMembers(t.Context(), g.group, g.ids[:4], "cli"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.handle.Assign(t.Context(), g.app.ID, []string{g.group}, "cli"); err != nil {
		t.Fatal(err)
	}
	g.cycle()
	c, err := g.jobs.Connection(t.Context(), g.key, g.group)
	if err != nil {
		t.Fatal(err)
	}
	g.target = c.TargetID
	for i := range g.ids {
		r, _ := g.member(fmt.Sprintf("p%d@contoso.com", i))
		g.accounts = append(g.accounts, r.String("id"))
	}
	return g
}

// change adds an account to the group at the site by hand, or removes it.
func (g *driftedGroup) change(add bool, account string) {
	g.t.Helper()
	if add {
		g.edit(roster.Group, g.target, `{"op":"add","path":"members","value":[{"value":"`+account+`"}]}`)
	} else {
		g.edit(roster.Group, g.target, `{"op":"remove","path":"members[value eq \"`+account+`\"]"}`)
	}
}

// members returns the ids of the members of the group at the site, in order.
func (g *driftedGroup) members() []string {
	g.t.Helper()
	var ids []string
	for m, err := range g.roster.Members(g.t.Context(), g.target, false) {
		if err != nil {
			g.t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	return ids
}

func (g *driftedGroup) expect(when string, want ...string) {
	g.t.Helper()
	slices.Sort(want)
	if got := g.members(); !slices.Equal(got, want) {
		g.t.Errorf("%s: members %q, want %q", when, got, want)
	}
}

// stranger makes an account at the site that the job does not know.
func (g *driftedGroup) stranger(name string) string {
	g.t.Helper()
	made, err := g.roster.Create(g.t.Context(), roster.User, account(name), roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin})
	if err != nil {
		g.t.Fatal(err)
	}
	return made.Document.ID
}

// reassert makes a plan that corrects the last comparison.
func (g *driftedGroup) reassert() provision.StoredPlan {
	g.t.Helper()
	p, err := g.engine.BeginReassert(g.t.Context(), g.key, "sam")
	if err == nil {
		p, err = g.engine.FillPlan(g.t.Context(), p, nil)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

// TestReassertOfMembers has somebody change the members of a group at the application. A plan gives
// the group its members again, and leaves out a member that has come in the directory meanwhile.
func TestReassertOfMembers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newDriftedGroup(t, db)
		stranger := g.stranger("intruder@old.example")
		g.change(false, g.accounts[0])
		g.change(true, stranger)
		g.change(true, g.accounts[4]) // of a person who is not in the group
		g.change(true, g.accounts[5]) // of a person who joins the group after the plan
		if report, _ := g.drift(); report.Members != 4 {
			t.Fatalf("drift %+v", report)
		}
		p := g.reassert()
		rows, err := g.engine.PlannedRows(t.Context(), p, provision.PlanFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if p.Report.MembersAdded != 1 || p.Report.MembersRemoved != 3 || p.Report.Operations() != 0 {
			t.Errorf("plan %+v: %+v", p.Report, rows)
		}
		names := ""
		for _, row := range rows {
			for _, m := range slices.Concat(row.Added, row.Removed) {
				names += m.ObjectID + "=" + m.DisplayName + " "
			}
		}
		if !strings.Contains(names, g.ids[0]+"=P 0 ") || !strings.Contains(names, provision.WorkOfAccount(stranger)+"="+stranger) {
			t.Errorf("members of the plan: %s", names)
		}
		g.expect("before it is approved", append([]string{stranger}, g.accounts[1:]...)...)
		if _, err := g.handle.AddMembers(t.Context(), g.group, []string{g.ids[5]}, "cli"); err != nil {
			t.Fatal(err)
		}
		g.approvePlan(p)
		if _, counts := g.applyPlan(p); counts.MembersSent != 3 || counts.MembersLeftOut != 1 || counts.MembersFailed+counts.Due != 0 {
			t.Errorf("applied %+v", counts)
		}
		want := append(slices.Clone(g.accounts[:4]), g.accounts[5])
		g.expect("applied", want...)
		g.cycle()
		g.expect("after a cycle", want...)
		if report, found := g.drift(); report.Changed != 0 {
			t.Errorf("afterwards: %+v, %v", report, found)
		}
		if p := g.reassert(); p.Report.SomethingToDo() {
			t.Errorf("planned again: %+v", p.Report)
		}
	})
}

// TestAnEmptiedGroupIsDrift empties the only group at the site, so that no group shows a member.
func TestAnEmptiedGroupIsDrift(t *testing.T) {
	t.Parallel()
	g := newDriftedGroup(t, storetest.New(t))
	for _, id := range g.accounts[:4] {
		g.change(false, id)
	}
	report, found := g.drift()
	if report.Members != 4 || len(found[g.group].Removed) != 4 {
		t.Errorf("report %+v, %+v", report, found)
	}
}

// TestTheGuardJudgesStrangers adds many accounts to a group. A plan shows that more of them would be
// removed than the guard lets through, and its approval removes them.
func TestTheGuardJudgesStrangers(t *testing.T) {
	t.Parallel()
	g := newDriftedGroup(t, storetest.New(t))
	for i := range 8 {
		g.change(true, g.stranger(fmt.Sprintf("intruder%d@old.example", i)))
	}
	g.drift()
	p := g.reassert()
	if p.Report.MembersOnHold != 8 || p.Report.MembersRemoved != 0 {
		t.Errorf("plan %+v", p.Report)
	}
	g.approvePlan(p)
	if _, counts := g.applyPlan(p); counts.MembersSent != 8 {
		t.Errorf("applied %+v", counts)
	}
	g.expect("applied", g.accounts[:4]...)
}

// TestAScheduleRestoresMembers adds members again that somebody removed. It leaves accounts that
// somebody added in a plan for a person.
func TestAScheduleRestoresMembers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newDriftedGroup(t, db)
		g.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
		stranger := g.stranger("intruder@old.example")
		g.change(false, g.accounts[0])
		g.change(true, stranger)
		g.clock.advance(25 * time.Hour)
		_, s := g.advanceDrift()
		if !strings.Contains(s.Done, "Members of groups: 1 sent, 0 failed, 0 left out.") || !strings.Contains(s.Done, "would remove One member that somebody added, so it waits for your approval") {
			t.Errorf("done: %q, problem %q", s.Done, s.Problem)
		}
		g.expect("re-asserted", append(slices.Clone(g.accounts[:4]), stranger)...)
		plans, err := g.engine.ListPlans(t.Context(), g.key)
		if err != nil || plans[0].State != provision.PlanReady || plans[0].Report.MembersRemoved != 1 {
			t.Fatalf("plans %+v, %v", plans, err)
		}
		g.approvePlan(plans[0])
		g.applyPlan(plans[0])
		g.expect("approved", g.accounts[:4]...)
	})
}
