package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// TestAPlanIsReviewedAndApplied makes a plan on its page, approves it and applies it. The site then has exactly what the plan says.
func TestAPlanIsReviewedAndApplied(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	people := "objectId,userPrincipalName,displayName\n" +
		"00000001-0000-4000-8000-00000000cafe,ada@contoso.example,Ada Lovelace\n" +
		"00000002-0000-4000-8000-00000000cafe,bo@contoso.example,Bo Li\n"
	h := o.directory("contoso", people)
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	all := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.Off, Scope: provision.Everyone, Actions: &all}, "cli"); err != nil {
		t.Fatal(err)
	}
	linked := func(want int) {
		t.Helper()
		if c, err := o.engine.Store.Counts(t.Context(), key); err != nil || c.Linked != want {
			t.Errorf("%d people have accounts, want %d; %v", c.Linked, want, err)
		}
	}
	b := o.operator()
	at := acmeProvisioning + "/plan"
	b.get(at).wantStatus(http.StatusOK).wantWords("No plan yet").wantNoWords("Approve…")
	b.get(at + "/decide?do=approve&plan=abcdef01").wantWords("This plan is not kept any more.")
	page := o.settled(b.get(at).press("Make a plan", nil)).wantWords("Ready", "Ada Lovelace", "Bo Li", "It can be approved and applied until")
	plans, err := o.engine.ListPlans(t.Context(), key)
	if err != nil || len(plans) != 1 {
		t.Fatalf("got %d plans, %v", len(plans), err)
	}
	now := o.pages.Console.Options.Now
	o.pages.Console.Options.Now = func() time.Time { return plans[0].Made }
	b.get(at).wantWords("made just now by kim")
	o.pages.Console.Options.Now = now
	ask := page.click("Approve…").wantStatus(http.StatusOK).wantWords("Approve this plan?", "2 accounts will be created at Acme.", "Nothing is sent before the plan is applied.")
	page = ask.press("Approve 2 operations", nil).wantWords("The plan is approved. Nothing was sent yet.", "Approved", "approved by kim").wantNoWords("Approve…")
	linked(0)
	// The same question again, from a page that is out of date.
	ask.press("Approve 2 operations", nil).wantWords("Nothing was decided.", "is approved already")
	o.settled(page.click("Apply…").wantWords("Exactly these are sent.").press("Apply 2 operations", nil)).wantWords("This plan was applied by kim", "2 sent, 0 failed, 0 left out", "Sent.").wantNoWords("Apply…", "Cancel")
	linked(2)

	// Cy joins. The next plan has one operation, and is cancelled.
	f, err := csv.Open(strings.NewReader(people+"00000003-0000-4000-8000-00000000cafe,cy@contoso.example,Cy Young\n"), directory.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := h.Import(t.Context(), f.Rows, directory.ImportOptions{Actor: "operator:sam"}); err != nil || len(r.Errors) > 0 {
		t.Fatal(r, err)
	}
	page = o.settled(b.get(at).press("Make it again", nil)).wantWords("Cy Young").wantNoWords("Bo Li")
	page.click("Cancel").wantWords("Cancel this plan?").press("Cancel the plan", nil).wantWords("The plan is cancelled.", "Cancelled").wantNoWords("Approve…")

	// A plan that was made with other settings is not applied.
	page = o.settled(b.get(at).press("Make it again", nil)).click("Approve…").press("Approve 1 operation", nil)
	apply := page.click("Apply…")
	only := provision.FlowUpdate
	if _, err := o.jobs.SetMapping(t.Context(), key, "Provision Azure Active Directory Users", provision.MappingEdit{Actions: &only}, "cli"); err != nil {
		t.Fatal(err)
	}
	apply.press("Apply 1 operation", nil).wantWords("Nothing was decided.", "was made with other settings")
	b.get(at).wantWords("This plan cannot be applied any more").wantNoWords("Apply…")
	linked(2)
}

// TestAPlanSendsMembersOnItsPage approves and applies a plan of members. One of them leaves the
// group before the plan is applied, and the page names her.
func TestAPlanSendsMembersOnItsPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "userPrincipalName,displayName\nada@contoso.example,Ada Lovelace\nbo@contoso.example,Bo Li\n")
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	all := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.Off, Scope: provision.Everyone, Actions: &all}, "cli"); err != nil {
		t.Fatal(err)
	}
	sales, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Sales"}}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	ada, bo := o.userID(h, "ada@contoso.example"), o.userID(h, "bo@contoso.example")
	if _, err := h.AddMembers(t.Context(), sales.ObjectID, []string{ada, bo}, "cli"); err != nil {
		t.Fatal(err)
	}
	b := o.operator()
	at := acmeProvisioning + "/plan"
	page := o.settled(b.get(at).press("Make a plan", nil)).wantWords("Add members 2", "Members to add:")
	page = page.click("Approve…").wantWords("2 members will be added to groups at Acme.").press("Approve 3 operations", nil)
	if _, err := h.RemoveMembers(t.Context(), sales.ObjectID, []string{ada}, "cli"); err != nil {
		t.Fatal(err)
	}
	o.settled(page.click("Apply…").wantWords("a member of a group that has changed").press("Apply 3 operations", nil)).
		wantWords("3 sent, 0 failed, 0 left out", "Members of groups: 1 sent, 0 failed, 1 left out.", "Some members were left out because something had changed.",
			"Ada Lovelace left out: It is not a member in the directory any more", "Take back…")
	if c, err := o.engine.Store.Counts(t.Context(), key); err != nil || c.Linked != 2 || c.Groups != 1 || c.Members != 1 {
		t.Errorf("the job has %+v, %v", c, err)
	}

	// A plan of nothing but a removal can be approved and applied, too.
	if _, err := h.RemoveMembers(t.Context(), sales.ObjectID, []string{bo}, "cli"); err != nil {
		t.Fatal(err)
	}
	page = o.settled(b.get(at).press("Make it again", nil)).wantWords("Remove members 1", "Members to remove: Bo Li")
	page = page.click("Approve…").wantWords("1 member will be removed from a group at Acme.").press("Approve this plan", nil)
	o.settled(page.click("Apply…").press("Apply this plan", nil)).wantWords("0 sent, 0 failed, 0 left out", "Members of groups: 1 sent, 0 failed, 0 left out.")
	if c, err := o.engine.Store.Counts(t.Context(), key); err != nil || c.Members != 0 {
		t.Errorf("the job has %+v, %v", c, err)
	}
}

// TestASecondOperatorApprovesOnThePage switches Second approval on. Kim cannot approve the plan that
// she made, in no session, and cannot switch the setting off again. Sam approves it.
func TestASecondOperatorApprovesOnThePage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "userPrincipalName,displayName\nada@contoso.example,Ada Lovelace\n")
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	all := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.Off, Scope: provision.Everyone, Actions: &all}, "cli"); err != nil {
		t.Fatal(err)
	}
	kim, sam := o.operator(), o.operatorNamed("sam")
	at := acmeProvisioning + "/plan"
	kim.get(acmeProvisioning).press("Save", url.Values{"second": {"on"}}).wantStatus(http.StatusOK).wantWords("Provisioning was saved.", "It can be switched off only on the server")
	kim.get(acmeProvisioning).press("Save", url.Values{"second": {"maybe"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Second approval must be on or off.")
	kim.get(acmeProvisioning).press("Save", url.Values{"second": {"off"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Second approval can be switched off only on the server")
	if !o.job(key).SecondApproval {
		t.Error("the setting is off")
	}
	kim.get("/d/contoso/applications/Acme/delete").wantWords("Nothing was deleted.", "Second approval is on").wantNoWords("Delete Acme?")
	kim.send(http.MethodPost, "/d/contoso/applications/Acme/delete", url.Values{"name": {"Acme"}}).wantNoWords("was deleted, with")
	kim.get("/d/contoso/delete").wantWords("Nothing was deleted.", "Second approval is on for Acme, so the directory can be deleted only on the server").wantNoWords("Delete directory contoso?")
	kim.send(http.MethodPost, "/d/contoso/delete", url.Values{"name": {"contoso"}}).wantNoWords("was deleted, with")
	if !o.job(key).SecondApproval {
		t.Error("the application was deleted")
	}
	o.settled(kim.get(at).press("Make a plan", nil)).wantWords("Another operator has to approve this plan", "was made by you").wantNoWords("Approve…")
	plan, err := o.engine.FindPlan(t.Context(), key, "")
	if err != nil {
		t.Fatal(err)
	}
	o.operator().get(at).wantWords("was made by you").wantNoWords("Approve…")
	ask := at + "/decide?do=approve&plan=" + plan.ID
	o.operator().get(ask).press("Approve 1 operation", nil).wantWords("Nothing was decided.", "was made by you")
	sam.get(at).wantNoWords("was made by you").click("Approve…").press("Approve 1 operation", nil).wantWords("The plan is approved.", "approved by sam")
	o.settled(kim.get(at).wantWords("approved by sam").click("Apply…").press("Apply 1 operation", nil)).wantWords("This plan was applied by kim", "approved by sam", "1 sent")
	if c, err := o.engine.Store.Counts(t.Context(), key); err != nil || c.Linked != 1 {
		t.Errorf("the job has %+v, %v", c, err)
	}
	// What is on hold is approved with a plan.
	kim.get(acmeProvisioning+"/held").wantWords("Another operator has to approve", "Make a plan").wantNoWords("Approve ")
}
