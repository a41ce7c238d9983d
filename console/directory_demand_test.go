package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// TestProvisionOnDemand provisions one person and then a group from the page, while provisioning is
// off, and looks at the application for what became of them.
func TestProvisionOnDemand(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "userPrincipalName,displayName,mailNickname\nada@contoso.example,Ada Lund,ada\nbo@contoso.example,Bo Lund,bo\ncy@contoso.example,Cy Lund,cy\n")
	app, err := h.CreateApplication(t.Context(), "Acme", "cli")
	if err != nil {
		t.Fatal(err)
	}
	b := o.operator()
	page := acmeProvisioning + "/on-demand"
	b.get(page).wantWords("Provisioning is not set up")

	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	all := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.Off, Scope: provision.AssignedOnly, Actions: &all}, "cli"); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, name := range []string{"ada", "bo", "cy"} {
		u, err := h.UserByUPN(t.Context(), name+"@contoso.example")
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = u.ObjectID
	}
	group, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Sales"}}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddMembers(t.Context(), group.ObjectID, []string{ids["bo"]}, "cli"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Assign(t.Context(), app.ID, []string{ids["ada"], group.ObjectID}, "cli"); err != nil {
		t.Fatal(err)
	}

	accounts := func() map[string]string {
		t.Helper()
		s, err := o.sites.ByName(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		people, _, err := o.rosters.Open(s).People(t.Context(), roster.PeopleQuery{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]string{}
		for _, one := range people {
			names[one.UserName] = one.DisplayName
		}
		return names
	}
	chooser := b.get(page+"?search=lund").wantStatus(http.StatusOK).wantWords("Ada Lund", "Bo Lund", "Cy Lund")
	done := chooser.press("Provision", url.Values{"object": {ids["ada"]}}).wantStatus(http.StatusOK)
	done.wantWords("Ada Lund was provisioned", "Import user", "Determine if user is in scope", "Match user between source and target", "Perform action", "userName")
	b.get(done.Path).wantWords("Ada Lund was provisioned") // the address can be kept
	if names := accounts(); names["ada@contoso.example"] != "Ada Lund" || len(names) != 1 {
		t.Errorf("the site has %v, want only Ada", names)
	}
	b.get(page).press("Provision", url.Values{"object": {ids["cy"]}}).wantWords("Nothing had to be sent for Cy Lund", "is not assigned to the application")
	b.get(page+"?kind=groups").press("Provision", url.Values{"object": {group.ObjectID}}).wantWords("Sales was provisioned", "members")
	if names := accounts(); names["bo@contoso.example"] != "Bo Lund" || len(names) != 2 {
		t.Errorf("the site has %v, want Bo too", names)
	}
	b.get("/d/contoso/audit").wantWords("Provisioned on demand: Sales")
	b.get(page).press("Provision", url.Values{"object": {"nobody"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("knows nobody with the object id nobody")
}

// TestWhy asks on a page why a person or group has, or does not have, an account.
func TestWhy(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "userPrincipalName,displayName,mailNickname,country\nada@contoso.example,Ada Lund,ada,Norway\nbo@contoso.example,Bo Lund,bo,Sweden\n")
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	all := provision.FlowAdd | provision.FlowUpdate
	job, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.Off, Scope: provision.AssignedOnly, Actions: &all}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	b := o.operator()
	ada, err := h.UserByUPN(t.Context(), "ada@contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	page := acmeProvisioning + "/why?object="
	b.get(page+ada.ObjectID).wantStatus(http.StatusOK).wantWords("No account", "The next look creates the account", "Provisioning is paused", "Not sent", "directly")

	// From the person's page, from the list and from the log, a link leads here.
	b.get("/d/contoso/users/" + ada.ObjectID).click("why?").wantWords("In scope?")
	o.cycle(h, app)
	b.get(page+ada.ObjectID).wantWords("Has an active account", "The same", "Last exchange").press("Provision now", nil).wantWords("Nothing had to be sent for Ada Lund")
	b.get(acmeProvisioning + "/logs?object=" + ada.ObjectID).click("Ada Lund").click("Why?").wantWords("Has an active account")

	// The clause of a filter and the value that fails it are named.
	filter := []provision.FilterGroup{{Name: "Norway", Clauses: []provision.FilterClause{{SourceOperandName: "country", OperatorName: "EQUALS", TargetOperand: provision.FilterOperand{Values: []string{"Norway"}}}}}}
	mapping, err := job.Schema.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.jobs.SetMapping(t.Context(), key, mapping.Name, provision.MappingEdit{Scope: &filter}, "cli"); err != nil {
		t.Fatal(err)
	}
	bo, err := h.UserByUPN(t.Context(), "bo@contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	b.get(page+bo.ObjectID).wantWords("country EQUALS Norway", "country is “Sweden”", "The next look disables the account")

	group, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Sales"}}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	b.get(page+group.ObjectID).wantWords("No group at the application", "Sales", "not assigned to the application", "Members")
	b.get(page + "nobody").wantStatus(http.StatusNotFound)
	b.get(page).wantWords("Provision on demand")
}
