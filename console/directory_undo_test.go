package console_test

import (
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// TestACycleIsTakenBack takes a cycle with a wrong filter back on the pages, with and without
// reverting its cause, and one person's last change.
func TestACycleIsTakenBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "objectId,userPrincipalName,displayName,city\n"+
		"00000001-0000-4000-8000-00000000cafe,ada@contoso.example,Ada Lovelace,Oslo\n"+
		"00000002-0000-4000-8000-00000000cafe,bo@contoso.example,Bo Li,Bergen\n")
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	actions := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.Everyone, Actions: &actions}, "cli"); err != nil {
		t.Fatal(err)
	}
	b := o.operator()
	at := acmeProvisioning + "/undo"
	b.get(at+"?cycle=nonsense").wantWords("Nothing was taken back.", "has nothing to take back")
	o.cycle(h, app)
	wrong := []provision.FilterGroup{{Name: "Bergen", Clauses: []provision.FilterClause{{SourceOperandName: "city", OperatorName: "EQUALS", TargetOperand: provision.FilterOperand{Values: []string{"Bergen"}}}}}}
	if _, err := o.jobs.SetMapping(t.Context(), key, "Provision Azure Active Directory Users", provision.MappingEdit{Scope: &wrong}, "operator:sam"); err != nil {
		t.Fatal(err)
	}
	if r := o.cycle(h, app); r.Disabled != 1 {
		t.Fatalf("the cycle of the wrong filter: %+v", r)
	}
	state := func() (provision.LinkState, provision.Status) {
		t.Helper()
		c, err := o.jobs.Connection(t.Context(), key, "00000001-0000-4000-8000-00000000cafe")
		if err != nil {
			t.Fatal(err)
		}
		return c.State, o.job(key).Status
	}

	// From the log entry and from the page of the application. The cause stays in force.
	ask := b.get(acmeProvisioning).click("Take this cycle back…").wantWords("Take this cycle back?", "What made the changes: Version", "by sam", "Applying the plan pauses provisioning.", "of the mappings again first")
	b.get(acmeProvisioning + "/logs?q=Ada").click("Ada Lovelace").click("Take this cycle back…").wantWords("Take this cycle back?")
	plan := o.settled(ask.press("Make the plan", map[string][]string{"cause": {"keep"}})).wantWords("This plan gives accounts the values that they had before.", "Ada Lovelace", "active", "These mappings are still in force.").wantNoWords("Bo Li")
	if s, status := state(); s != provision.Released || status != provision.On {
		t.Errorf("making the plan changed something: %s, %s", s, status)
	}
	applied := o.settled(plan.click("Approve…").press("Approve 1 operation", nil).click("Apply…").press("Apply 1 operation", nil)).wantWords("1 sent, 0 failed, 0 left out")
	if s, status := state(); s != provision.Active || status != provision.Off {
		t.Errorf("after the plan: %s, %s", s, status)
	}
	applied.click("Take back…").wantWords("Take this plan back?", "approved by kim (operator) and applied by kim (operator)")

	last, err := o.engine.FindUndo(t.Context(), key, provision.Undo{Object: "00000001-0000-4000-8000-00000000cafe"})
	if err != nil {
		t.Fatal(err)
	}
	o.pages.Console.Options.Now = func() time.Time { return last.Since }
	// The last change of a person was the plan. The earlier mappings are set again first.
	b.get(acmeProvisioning+"/why?object=00000001-0000-4000-8000-00000000cafe").click("Take the last change back…").wantWords("Take the last change back?", "The last change of Ada Lovelace, just now: update.")
	o.settled(ask.press("Make the plan", map[string][]string{"cause": {"revert"}})).wantWords("Nothing to do")
	if found, err := o.engine.FindUndo(t.Context(), key, provision.Undo{Object: "00000001-0000-4000-8000-00000000cafe"}); err != nil || found.InForce {
		t.Errorf("the mappings are still in force: %+v, %v", found, err)
	}
	ask.press("Make the plan", map[string][]string{"cause": {"revert"}}).wantWords("Nothing was taken back.", "no change of the mappings that is still in force")
}
