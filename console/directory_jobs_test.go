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

// TestJobsOfAllApplications_are_on_one_page lists 52 applications, of which one has operations on
// hold.
func TestJobsOfAllApplications_are_on_one_page(t *testing.T) {
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
	b := o.operator()
	b.get("/d/contoso/provisioning").wantStatus(http.StatusOK).wantWords("No enterprise application yet").click("Enterprise applications").wantWords("Create application")
	b.get("/d/contoso/provisioning?show=attention").wantWords("No enterprise application yet")

	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	all := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.Everyone, Actions: &all}, "cli"); err != nil {
		t.Fatal(err)
	}
	for i := range 51 {
		if _, err := h.CreateApplication(t.Context(), fmt.Sprintf("other%02d", i), "cli"); err != nil {
			t.Fatal(err)
		}
	}
	o.cycle(h, app)
	b.get("/d/contoso/provisioning?show=attention").wantWords("Nothing needs attention").wantNoWords("Acme")
	f, err := csv.Open(strings.NewReader(file("false")), directory.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := h.Import(t.Context(), f.Rows, directory.ImportOptions{Actor: "operator:sam"}); err != nil || len(r.Errors) > 0 {
		t.Fatal(r, err)
	}
	o.cycle(h, app)

	page := b.get("/d/contoso/provisioning")
	page.wantStatus(http.StatusOK).wantWords("Acme", "8 operations are on hold", "other48", "Not set up").wantNoWords("other49")
	page.click("Next page").wantWords("other49", "other50").wantNoWords("Acme", "other48").click("First page").wantWords("Acme")
	some := page.click("Needs attention").wantWords("Acme", "8 operations are on hold").wantNoWords("other", "Next page")
	some.click("8 operations are on hold").wantWords("8 operations of 8 active accounts")
	page.click("Acme").wantWords("Current cycle status")
}
