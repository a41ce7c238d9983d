package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// TestOperationsOnHold_are_shown_and_decided blocks eight people with one file, and decides on the pages what becomes of their accounts.
func TestOperationsOnHold_are_shown_and_decided(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	file := func(enabled string) string {
		var b strings.Builder
		b.WriteString("objectId,userPrincipalName,displayName,accountEnabled\n")
		for i := range 8 {
			fmt.Fprintf(&b, "0000000%d-0000-4000-8000-00000000cafe,p%d@contoso.example,Person %d,%s\n", i, i, i, enabled)
		}
		return b.String()
	}
	h := o.directory("contoso", file("true"))
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	all := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.Everyone, Actions: &all}, "cli"); err != nil {
		t.Fatal(err)
	}
	cycle := func(disabled int) {
		t.Helper()
		report, err := o.engine.RunCycle(t.Context(), key, "test", nil)
		if err != nil || report.Disabled != disabled {
			t.Fatalf("the cycle: %+v, %v; want %d disabled", report, err, disabled)
		}
	}
	importFile := func(text string) {
		t.Helper()
		f, err := csv.Open(strings.NewReader(text), directory.FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := h.Import(t.Context(), f.Rows, directory.ImportOptions{Actor: "operator:sam"}); err != nil || len(r.Errors) > 0 {
			t.Fatal(r, err)
		}
	}
	cycle(0)
	b := o.operator()
	held := acmeProvisioning + "/held"
	b.get(held).wantStatus(http.StatusOK).wantWords("Nothing is on hold")
	b.get(acmeProvisioning).wantNoWords("operation is on hold", "operations are on hold")

	importFile(file("false"))
	cycle(0)
	b.get("/d/contoso/applications").wantWords("8 on hold")
	b.get("/d/contoso/applications/Acme").wantWords("8 operations are on hold: somebody has to decide", "See and decide")
	page := b.get(acmeProvisioning).wantWords("8 operations are on hold", "Nothing of it is sent until somebody decides").click("See and decide")
	page.wantWords("Import of users by sam (operator)", "8 operations of 8 active accounts", "8: blocked from sign-in in the directory", "p0@contoso.example", "…").wantNoWords("p7@contoso.example")
	page.click("Show all").wantWords("p7@contoso.example")
	ask := page.click("Reject").wantWords("Reject 8 operations?", "8 accounts at Acme will stay as they are", "Import of users by sam")
	ask.press("Reject 8 operations", nil).wantStatus(http.StatusOK).wantWords("8 operations were rejected. The accounts stay as they are.", "Nothing is on hold")
	ask.press("Reject 8 operations", nil).wantWords("Nothing was decided.", "What is on hold has changed since this page was made")
	cycle(0)
	b.get(acmeProvisioning).wantWords("Rejected").wantNoWords("are on hold")

	// Another file: they come back and are blocked again. One of them comes back before the approval.
	importFile(file("true"))
	importFile(file("false"))
	cycle(0)
	ask = b.get(held).click("Approve").wantWords("Approve 8 operations?", "8 accounts at Acme will be disabled or deleted")
	u, err := h.User(t.Context(), "00000003-0000-4000-8000-00000000cafe")
	if err != nil {
		t.Fatal(err)
	}
	u.AccountEnabled = true
	if _, _, err := h.PutUser(t.Context(), u, "cli"); err != nil {
		t.Fatal(err)
	}
	cycle(0)
	ask.press("Approve 8 operations", nil).wantStatus(http.StatusOK).wantWords("7 operations were approved", "1 more has changed meanwhile and is left out", "Nothing is on hold")
	cycle(7)
}

// TestMembersOnHold_are_shown_and_decided ends eight memberships with one file, and decides on the pages what becomes of them.
func TestMembersOnHold_are_shown_and_decided(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var b strings.Builder
	b.WriteString("userPrincipalName,displayName\n")
	for i := range 8 {
		fmt.Fprintf(&b, "p%d@contoso.example,Person %d\n", i, i)
	}
	h := o.directory("contoso", b.String())
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	all := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.Everyone, Actions: &all}, "cli"); err != nil {
		t.Fatal(err)
	}
	sales, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Sales"}}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	members := func(remove bool) {
		t.Helper()
		var f directory.GroupFile
		for i := range 8 {
			f.Rows = append(f.Rows, directory.Row{Line: i + 2, Values: map[string]string{directory.RowMember: fmt.Sprintf("p%d@contoso.example", i)}})
		}
		if r, err := h.ImportMembers(t.Context(), f, directory.MemberImport{Group: sales.ObjectID, Remove: remove, Actor: "operator:sam"}); err != nil || r.Changed != 8 {
			t.Fatal(r, err)
		}
	}
	wantAt := func(when string, want int) {
		t.Helper()
		o.cycle(h, app)
		if r, err := o.jobs.Report(t.Context(), key); err != nil || r.Members != want {
			t.Errorf("%s: %d members, %v; want %d", when, r.Members, err, want)
		}
	}
	members(false)
	wantAt("at first", 8)
	o.operator().get(acmeProvisioning).wantWords("Users linked 8", "Groups linked 1", "Members of groups 8")
	members(true)
	wantAt("on hold", 8)
	page := o.operator().get(acmeProvisioning).wantWords("8 operations are on hold", "more accounts or memberships than it may").click("See and decide")
	page.wantWords("Import of memberships by sam (operator)", "8 removals of members of 8 memberships", "8: no member of group 'Sales' in the directory", "p0@contoso.example")
	page.click("Show all").wantWords("p7@contoso.example")
	page.click("Reject").wantWords("Reject 8 operations?", "8 members of groups at Acme will stay").wantNoWords("accounts at Acme will")
	ask := page.click("Approve").wantWords("Approve 8 operations?", "8 members of groups at Acme will be removed").wantNoWords("will be disabled")
	ask.press("Approve 8 operations", nil).wantStatus(http.StatusOK).wantWords("8 operations were approved", "Nothing is on hold")
	wantAt("approved", 0)
}
