package provision_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
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

// said returns the texts of the events of a name.
func (g *groupWorld) said(name string) (texts []string) {
	g.t.Helper()
	all, err := store.Events{DB: g.db}.Recent(g.t.Context(), event.Directory(string(g.key.Directory)), "", event.Position{}, 10_000)
	g.must(err)
	for _, e := range all {
		if e.Name == name {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// planRow returns the row of a kept plan about the members of a group or, if follows is true, about
// the reference of a person.
func (g *groupWorld) planRow(p provision.StoredPlan, id string, follows bool) provision.PlannedRow {
	g.t.Helper()
	rows, err := g.engine.PlannedRows(g.t.Context(), p, provision.PlanFilter{All: true, Limit: 1000})
	g.must(err)
	for _, r := range rows {
		if r.ObjectID == id && r.Follows == follows && (follows || len(r.Added)+len(r.Removed) > 0) {
			return r
		}
	}
	g.t.Fatalf("the plan has no such row about %s", id)
	return provision.PlannedRow{}
}

// nothingPlanned makes another plan, which must be empty.
func (g *groupWorld) nothingPlanned(when string) {
	g.t.Helper()
	report, rows := g.plannedMembers()
	if report.SomethingToDo() || len(rows) > 0 {
		g.t.Errorf("%s: another plan has %+v, %q", when, report, rows)
	}
}

// TestAPlanSendsMembersAndManagers applies plans of memberships and managers while provisioning is
// off. Exactly the planned ones are sent.
func TestAPlanSendsMembersAndManagers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db, off)
		g.mapManager()
		ada, bo := g.hire("ada", true), g.hire("bo", true)
		cy := g.hire("cy", true)
		g.manage(bo, ada)
		g.manage(ada, cy)
		blue := g.group("Team Blue", ada, bo)
		p := g.keptPlan()
		g.approvePlan(p)
		p, counts := g.applyPlan(p)
		if want := (provision.PlanCounts{Listed: 7, Shown: 7, Sent: 6, MembersSent: 2}); counts != want || p.State != provision.PlanApplied {
			t.Errorf("applied %+v, want %+v; the plan is %s", counts, want, p.State)
		}
		g.expect("Team Blue: ada bo")
		if got := g.managerOf("bo") + " " + g.managerOf("ada"); got != "ada cy" {
			t.Errorf("the managers are %q", got)
		}
		g.nothingPlanned("everything is new")

		// Bo moves and gets a manager whose account is new. She joins the group, which Ada and Cy leave
		// and join. Before the plan is applied, Ada comes back and Cy leaves; Eve joins after the plan.
		dee, eve := g.hire("dee", true), g.hire("eve", true)
		g.move(bo, "Bergen")
		g.manage(bo, dee)
		g.leave(blue, ada)
		g.join(blue, dee, cy)
		p = g.keptPlan()
		if r := p.Report; r.Creates != 2 || r.Updates != 1 || r.References != 2 || r.MembersAdded != 2 || r.MembersRemoved != 1 {
			t.Fatalf("planned %+v", r)
		}
		g.join(blue, ada, eve)
		g.leave(blue, cy)
		g.approvePlan(p)
		p, counts = g.applyPlan(p)
		if counts.Sent != 4 || counts.Failed+counts.LeftOut+counts.Due != 0 || counts.MembersSent != 1 || counts.MembersLeftOut != 2 {
			t.Errorf("applied %+v", counts)
		}
		g.expect("Team Blue: ada bo dee")
		if got := g.managerOf("bo"); got != "dee" {
			t.Errorf("the manager of Bo is %q", got)
		}
		row := g.planRow(p, blue, false)
		for _, m := range append(row.Added, row.Removed...) {
			want := map[string]string{
				dee: "applied ", cy: "changed It is not a member in the directory any more, or has no account that may be used.",
				ada: "changed It is a member in the directory again.",
			}[m.ObjectID]
			if got := string(m.Outcome) + " " + m.OutcomeText; got != want {
				t.Errorf("%s: %q, want %q", m.DisplayName, got, want)
			}
		}
		if row.Outcome != provision.PlanLeftOut {
			t.Errorf("the row of the group is %q", row.Outcome)
		}
		if r := g.planRow(p, bo, true); r.Outcome != provision.PlanSent {
			t.Errorf("the row of the manager is %+v", r)
		}
		// What is left is in the next plan: Eve.
		next := g.keptPlan()
		if r := next.Report; r.Operations() != 0 || r.MembersAdded != 1 || r.MembersRemoved != 0 || r.References != 0 {
			t.Errorf("the next plan has %+v", r)
		}
		g.approvePlan(next)
		g.applyPlan(next)
		g.expect("Team Blue: ada bo dee eve")
		g.nothingPlanned("everything was applied")
		if r := g.report(); r.OnHold+r.Escrowed != 0 {
			t.Errorf("report %+v", r)
		}
		// The cycles that follow have nothing to send, either.
		if got := g.sync(); len(got) != 0 {
			t.Errorf("a cycle sends %q", got)
		}
		g.expect("Team Blue: ada bo dee eve")
	})
}

// TestAManagerOfAPlanHasChanged gives a person another manager, and another title, after the plan
// was made. Nothing about them is sent.
func TestAManagerOfAPlanHasChanged(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t, off)
	g.mapManager()
	bo, cy := g.hire("bo", true), g.hire("cy", true)
	first := g.keptPlan()
	g.approvePlan(first)
	g.applyPlan(first)
	ada, dee := g.hire("ada", true), g.hire("dee", true)
	g.manage(bo, ada)
	g.manage(cy, ada)
	p := g.keptPlan()
	g.approvePlan(p)
	g.manage(bo, dee)
	g.move(cy, "Bergen")
	p, counts := g.applyPlan(p)
	if counts.Sent != 2 || counts.LeftOut != 2 {
		t.Errorf("applied %+v", counts)
	}
	for _, id := range []string{bo, cy} {
		if r := g.planRow(p, id, true); r.Outcome != provision.PlanLeftOut || !strings.Contains(r.OutcomeText, "changed after the plan was made") {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if got := g.managerOf("bo") + g.managerOf("cy"); got != "" {
		t.Errorf("the managers are %q", got)
	}
}

// TestACycleSentWhatAPlanLists runs a cycle after a plan was approved. It sends the memberships and
// managers of the plan, which then count as sent.
func TestACycleSentWhatAPlanLists(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.mapManager()
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	g.manage(bo, ada)
	blue := g.group("Team Blue", ada, bo)
	p := g.keptPlan()
	g.approvePlan(p)
	g.sync()
	p, counts := g.applyPlan(p)
	if counts.Sent != 1 || counts.LeftOut != 3 || counts.MembersSent != 2 || counts.MembersLeftOut != 0 || counts.Due != 0 {
		t.Errorf("applied %+v", counts)
	}
	if r := g.planRow(p, blue, false); r.Outcome != provision.PlanSent {
		t.Errorf("the members are %+v", r)
	}
	g.expect("Team Blue: ada bo")
	g.nothingPlanned("after both")
}

// TestAnApprovedPlanRemovesMembersOnHold applies a plan that removes more members than the guard
// lets through, before the guard has seen them and after it.
func TestAnApprovedPlanRemovesMembersOnHold(t *testing.T) {
	t.Parallel()
	for name, cycle := range map[string]bool{"before_a_cycle": false, "after_a_cycle": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				c := newCrew(t, db, 30)
				c.removeByFile(c.people[:6]...)
				if cycle {
					c.sync()
				}
				p := c.keptPlan()
				if p.Report.MembersOnHold != 6 || p.Report.Operations() != 0 {
					t.Fatalf("planned %+v", p.Report)
				}
				c.join(c.blue, c.people[2])
				c.leave(c.blue, c.people[20])
				c.approvePlan(p)
				p, counts := c.applyPlan(p)
				if counts.MembersSent != 5 || counts.MembersLeftOut != 1 || counts.Due != 0 || p.State != provision.PlanApplied {
					t.Errorf("applied %+v", counts)
				}
				c.wantMembers("applied", 25)
				if said := strings.Join(c.said(event.ProvisioningPlanApplied), " "); !strings.Contains(said, "members: 5 sent, 0 failed, 1 left out.") {
					t.Errorf("the event says %q", said)
				}
				c.sync()
				c.wantMembers("after a cycle", 24)
				c.nothingHeld("after a cycle")
				c.nothingPlanned("after a cycle")
			})
		})
	}
}

// TestMembersOfAPlanFailAndWait has the application refuse one member and ask for a pause before it
// takes others. The plan goes on after the pause, or is cancelled.
func TestMembersOfAPlanFailAndWait(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]bool{"goes_on": false, "cancelled": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrew(t, storetest.New(t), 12)
			blue, green := c.blue, c.group("Team Green")
			c.sync()
			c.leave(blue, c.people[:4]...)
			c.join(green, c.people[:3]...)
			p := c.keptPlan()
			c.approvePlan(p)
			refused := c.app.user("p01@contoso.example").String("id")
			pausing := true
			c.teams.mu.Lock()
			c.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
				switch {
				case r.Method != http.MethodPatch:
				case strings.HasSuffix(r.URL.Path, c.teams.order[0]) && strings.Contains(body, refused):
					refuse(w, http.StatusBadRequest, "invalidValue", "Not this one.")
					return true
				case strings.HasSuffix(r.URL.Path, c.teams.order[1]) && pausing:
					w.Header().Set("Retry-After", "3600")
					refuse(w, http.StatusTooManyRequests, "", "Too many changes.")
					return true
				}
				return false
			}
			c.teams.mu.Unlock()
			p, counts := c.applyPlan(p)
			if counts.Due == 0 || p.State != provision.PlanApplying {
				t.Fatalf("applied %+v, %s", counts, p.State)
			}
			c.teams.mu.Lock()
			pausing = false
			c.teams.mu.Unlock()
			c.clock.advance(2 * time.Hour)
			if cancel {
				_, err := c.engine.CancelPlan(t.Context(), c.key, p.Hash, "kim")
				c.must(err)
				if r := c.planRow(p, green, false); r.Outcome != provision.PlanNotBegun {
					t.Errorf("the members that waited are %+v", r)
				}
				if _, _, err := c.engine.ApplyPlan(t.Context(), c.key, p.Hash, "test", "kim", nil); err == nil || !strings.Contains(err.Error(), "is cancelled already") {
					t.Errorf("got %v", err)
				}
				return
			}
			p, counts = c.applyPlan(p)
			if counts.MembersSent != 6 || counts.MembersFailed != 1 || counts.Due != 0 || p.State != provision.PlanApplied {
				t.Errorf("applied %+v, %s", counts, p.State)
			}
			for _, m := range c.planRow(p, blue, false).Removed {
				result, reason := provision.PlanSent, ""
				if m.ObjectID == c.people[1] {
					result, reason = provision.PlanFailed, "Not this one."
				}
				if m.Outcome != result || !strings.Contains(m.OutcomeText, reason) || (m.OutcomeText == "") != (reason == "") {
					t.Errorf("%s: %s %q, want %s %q", m.DisplayName, m.Outcome, m.OutcomeText, result, reason)
				}
			}
			c.expect("Team Blue: p01 p04 p05 p06 p07 p08 p09 p10 p11", "Team Green: p00 p01 p02")
		})
	}
}

// TestAPlanOfMembersIsInterrupted stops the process while it sends the members of a plan. Another
// call sends the rest, and counts each member once.
func TestAPlanOfMembersIsInterrupted(t *testing.T) {
	t.Parallel()
	c := newCrew(t, storetest.New(t), 3)
	var all []string
	for i := range 8 {
		all = append(all, c.group(fmt.Sprintf("Team %d", i)))
	}
	c.sync()
	for _, id := range all {
		c.join(id, c.people...)
	}
	p := c.keptPlan()
	c.approvePlan(p)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writes atomic.Int32
	c.teams.mu.Lock()
	c.teams.answer = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method == http.MethodPatch && writes.Add(1) == 3 {
			stop()
		}
		return false
	}
	c.teams.mu.Unlock()
	if _, _, err := c.engine.ApplyPlan(ctx, c.key, p.Hash, "test", "kim", nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	p, counts := c.applyPlan(p)
	if counts.MembersSent != 24 || counts.MembersLeftOut+counts.MembersFailed+counts.Due != 0 || p.State != provision.PlanApplied {
		t.Errorf("applied %+v", counts)
	}
	for _, group := range c.has() {
		if !strings.HasSuffix(group, ": p00 p01 p02") {
			t.Errorf("the application has %q", group)
		}
	}
}

// TestAPlanEndsAManager plans a change of Bo, and the end of the account of his manager. When his
// change is sent, that account has ended already, so the same request removes the manager.
func TestAPlanEndsAManager(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t, off)
	g.mapManager()
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	g.manage(bo, ada)
	first := g.keptPlan()
	g.approvePlan(first)
	g.applyPlan(first)
	if got := g.managerOf("bo"); got != "ada" {
		t.Fatalf("the manager is %q", got)
	}
	g.assign(ada, false)
	g.edit(bo, func(u *directory.User) { u.Attributes["displayName"] = "Bo Byte" })
	p := g.keptPlan()
	if r := p.Report; r.Updates != 1 || r.Disables != 1 || r.References != 1 {
		t.Fatalf("planned %+v", r)
	}
	g.approvePlan(p)
	// The application asks Bo's change to wait until Ada's account has ended.
	ended, done := make(chan struct{}), false
	var once sync.Once
	serve, boID := g.app.answer, g.app.user("bo@contoso.example").String("id")
	g.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && !strings.HasSuffix(r.URL.Path, boID) {
			once.Do(func() { close(ended) })
		}
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, boID) && !done {
			<-ended
			w.Header().Set("Retry-After", "3600")
			refuse(w, http.StatusTooManyRequests, "", "Too many changes.")
			return true
		}
		return serve(w, r)
	}
	if _, counts := g.applyPlan(p); counts.Due == 0 {
		t.Fatalf("applied %+v", counts)
	}
	done = true
	g.clock.advance(2 * time.Hour)
	p, counts := g.applyPlan(p)
	if counts.Sent != 3 || counts.LeftOut+counts.Failed+counts.Due != 0 || p.State != provision.PlanApplied {
		t.Errorf("applied %+v", counts)
	}
	if got := g.managerOf("bo"); got != "" || g.app.user("bo@contoso.example").String("displayName") != "Bo Byte" {
		t.Errorf("the manager is %q, the account %v", got, g.app.user("bo@contoso.example"))
	}
	g.nothingPlanned("applied")
}

// TestAGroupOfAPlanIsListedTwice puts more rows of a group on the work list while its first row is
// being sent. Each row counts as sent only after its own members were sent.
func TestAGroupOfAPlanIsListedTwice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCrew(t, db, 30)
		c.removeByFile(c.people[:6]...) // more than the guard lets through: a row of its own
		c.leave(c.blue, c.people[20])
		p := c.keptPlan()
		if p.Report.MembersOnHold != 6 || p.Report.MembersRemoved != 1 {
			t.Fatalf("planned %+v", p.Report)
		}
		c.approvePlan(p)
		ctx := t.Context()
		p.State = provision.PlanApplying
		c.must(c.store.ChangePlan(ctx, p, []provision.PlanState{provision.PlanApproved}, nil))
		demand := func(after int) int {
			last, err := c.store.DemandPlanned(ctx, c.key, p.ID, provision.PlanMembers, after, 1)
			c.must(err)
			return last
		}
		first := demand(0)
		var once sync.Once
		c.teams.mu.Lock()
		c.teams.answer = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
			if r.Method == http.MethodPatch {
				once.Do(func() {
					if demand(first) == 0 {
						t.Error("there is no second row")
					}
				})
			}
			return false
		}
		c.teams.mu.Unlock()
		p, counts := c.applyPlan(p)
		if counts.MembersSent != 7 || counts.Due != 0 || p.State != provision.PlanApplied {
			t.Errorf("applied %+v, %s", counts, p.State)
		}
		c.wantMembers("applied", 23)
	})
}

// TestNamesOfPlannedMembers asks for the names of one member of each group.
func TestNamesOfPlannedMembers(t *testing.T) {
	t.Parallel()
	c := newCrew(t, storetest.New(t), 3)
	c.leave(c.blue, c.people...)
	p := c.keptPlan()
	rows, err := c.engine.PlannedRows(t.Context(), p, provision.PlanFilter{Limit: 10, Names: 1})
	c.must(err)
	named := 0
	for _, row := range rows {
		for _, m := range row.Removed {
			if m.DisplayName != m.ObjectID {
				named++
			}
		}
	}
	if named != 1 {
		t.Errorf("%d members have a name", named)
	}
}

// TestAMemberThatIsLeftOutIsNotRemembered has a member leave before the plan that adds it is applied.
// Nothing waits for the member afterwards.
func TestAMemberThatIsLeftOutIsNotRemembered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db, off)
		ada, bo, cy := g.hire("ada", true), g.hire("bo", true), g.hire("cy", true)
		blue := g.group("Team Blue", ada)
		first := g.keptPlan()
		g.approvePlan(first)
		g.applyPlan(first)
		g.expect("Team Blue: ada")
		g.join(blue, bo, cy)
		p := g.keptPlan()
		g.approvePlan(p)
		g.leave(blue, bo)
		if _, counts := g.applyPlan(p); counts.MembersSent != 1 || counts.MembersLeftOut != 1 {
			t.Errorf("applied %+v", counts)
		}
		g.expect("Team Blue: ada cy")
		todo, err := g.store.Memberships(t.Context(), g.key, blue, 10)
		if err != nil || len(todo.Open) != 0 {
			t.Errorf("open memberships %+v, %v", todo.Open, err)
		}
	})
}
