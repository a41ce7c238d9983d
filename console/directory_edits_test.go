package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// provisioned is an office whose application Acme is set up, Off, for everybody of contoso.
func provisioned(t *testing.T) (o *office, key provision.Key, token string) {
	t.Helper()
	o = newOffice(t)
	h := o.directory("contoso", peopleFile)
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full, "ada@contoso.example", "grace@contoso.example")
	key = provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.Off, Scope: provision.AssignedOnly}, "cli"); err != nil {
		t.Fatal(err)
	}
	return o, key, token
}

const (
	acmeProvisioning  = "/d/contoso/applications/Acme/provisioning"
	acmeUsersMapping  = acmeProvisioning + "/mappings/Provision%20Azure%20Active%20Directory%20Users"
	acmeGroupsMapping = acmeProvisioning + "/mappings/Provision%20Azure%20Active%20Directory%20Groups"
)

func (o *office) job(key provision.Key) provision.Job {
	o.t.Helper()
	job, err := o.jobs.Get(o.t.Context(), key)
	if err != nil {
		o.t.Fatal(err)
	}
	return job
}

// operatorNamed is another browser with another operator.
func (o *office) operatorNamed(name string) *browser {
	o.t.Helper()
	link, err := o.operators.Link(o.t.Context(), name, "cli")
	if err != nil {
		o.t.Fatal(err)
	}
	b := &browser{t: o.t, base: o.server.URL, client: newClient(o.t, o.server)}
	b.get(link.Path).submit("Sign in as "+name, nil).wantStatus(http.StatusOK)
	return b
}

// Two tabs change different settings: both changes stay, and the second tab is told.
func TestStaleForm_of_provisioning_merges(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	tab := o.operator().get(acmeProvisioning)
	o.operatorNamed("sam").get(acmeProvisioning).press("Save", url.Values{"scope": {"all"}}).wantWords("Provisioning was saved.")
	tab.press("Save", url.Values{"tenantURL": {o.job(key).TenantURL + "?aadOptscim062020"}}).wantStatus(http.StatusOK).wantWords("Provisioning was saved.", "Changed meanwhile by sam (operator), and kept: Scope.")
	tab = o.operator().get(acmeProvisioning)
	o.operatorNamed("sam").get(acmeProvisioning).press("Save", url.Values{"secretToken": {"new"}}).wantWords("Provisioning was saved.")
	tab.press("Save", url.Values{"status": {"On"}}).wantStatus(http.StatusOK).wantWords("Provisioning was saved.", "Changed meanwhile by sam (operator), and kept: Secret Token.")
	if job := o.job(key); job.Scope != provision.Everyone || job.Status != provision.On {
		t.Errorf("got scope %s and status %s, want all and On", job.Scope, job.Status)
	}
}

func TestStaleForm_of_provisioning_asks_about_one_field(t *testing.T) {
	t.Parallel()
	o, key, token := provisioned(t)
	before := o.job(key)
	tab := o.operator().get(acmeProvisioning)
	o.operatorNamed("sam").get(acmeProvisioning).press("Save", url.Values{"tenantURL": {before.TenantURL + "/"}, "secretToken": {"sams-token"}}).wantWords("Provisioning was saved.")
	ask := tab.press("Save", url.Values{"tenantURL": {before.TenantURL + "?aadOptscim062020"}, "secretToken": {token}, "scope": {"all"}}).wantStatus(http.StatusConflict)
	ask.wantWords("sam (operator) changed 2 fields that you changed too", before.TenantURL+"/", before.TenantURL+"?aadOptscim062020", "The token that you typed", "The token that is saved now")
	if strings.Contains(ask.Text, token) || strings.Contains(ask.Text, "sams-token") {
		t.Error("the page that asks shows a Secret Token")
	}
	if job := o.job(key); job.Scope != provision.AssignedOnly || job.TenantURL != before.TenantURL+"/" {
		t.Errorf("something was saved before the answer: %s %s", job.Scope, job.TenantURL)
	}
	ask.press("Save", nil).wantStatus(http.StatusConflict) // no answer is no answer
	ask.press("Save", url.Values{"tenantURL": {before.TenantURL + "/"}, "secret": {"typed"}}).wantStatus(http.StatusOK).wantWords("Provisioning was saved.")
	job := o.job(key)
	if job.TenantURL != before.TenantURL+"/" || job.Scope != provision.Everyone {
		t.Errorf("got %s and scope %s, want theirs and mine", job.TenantURL, job.Scope)
	}
	if _, err := o.jobs.TestConnection(t.Context(), key, job.TenantURL, nil); err != nil {
		t.Errorf("the token that was typed is not the saved one: %v", err)
	}
}

func TestStaleForm_of_a_mapping_merges(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	b := o.operator()
	b.get(acmeUsersMapping).press("Save", url.Values{"create": nil, "delete": nil})
	stale := b.get(acmeUsersMapping)
	o.operatorNamed("sam").get(acmeUsersMapping).press("Save", url.Values{"create": {"yes"}}).wantWords("The mapping was saved.")
	ask := stale.press("Save", url.Values{"delete": {"yes"}}).wantStatus(http.StatusOK).wantWords("Let provisioning delete accounts at Acme?", "Changed meanwhile by sam (operator), and kept: Create.")
	ask.press("Save the mapping", nil).wantStatus(http.StatusOK).wantWords("The mapping was saved.")
	m, err := o.job(key).Schema.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.FlowTypes.String(), "Add,Update,Delete"; got != want {
		t.Errorf("got actions %s, want %s", got, want)
	}
}

// The rules for names, and the attributes whose case counts, are set on the pages and read back.
func TestRulesForNamesAndExactCase(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	b := o.operatorNamed("kim")
	b.get(acmeProvisioning).press("Save", url.Values{"rehire": {"adopt"}, "swaps": {"temporary"}}).wantStatus(http.StatusOK)
	if job := o.job(key); job.Rehire != provision.RehireAdopt || job.Swaps != provision.SwapsTemporary {
		t.Errorf("the rules are %q and %q", job.Rehire, job.Swaps)
	}
	b.get(acmeProvisioning).press("Save", url.Values{"nested": {"on"}}).wantStatus(http.StatusOK)
	if !o.job(key).Nested {
		t.Error("nested groups are not switched on")
	}
	b.get(acmeProvisioning).press("Save", url.Values{"swaps": {"ask"}}).wantStatus(http.StatusOK)
	if job := o.job(key); !job.Nested || job.Rehire != provision.RehireAdopt {
		t.Errorf("another field changed them: nested groups %v, re-hire %q", job.Nested, job.Rehire)
	}
	b.get(acmeProvisioning).press("Save", url.Values{"nested": {"maybe"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Nested groups must be on or off.")
	b.get(acmeProvisioning).press("Save", url.Values{"nested": {"off"}}).wantStatus(http.StatusOK)
	if o.job(key).Nested {
		t.Error("nested groups are not switched off")
	}
	b.get(acmeProvisioning).press("Save", url.Values{"rules": {"entra"}, "threshold": {"20"}}).wantStatus(http.StatusOK)
	if job := o.job(key); job.Rules != provision.RulesEntra || job.DeleteThreshold != 20 || job.Rehire != provision.RehireAdopt {
		t.Errorf("the rules are %q with the threshold %d", job.Rules, job.DeleteThreshold)
	}
	for _, wrong := range []string{"-1", "many", "10000001", ""} {
		b.get(acmeProvisioning).press("Save", url.Values{"threshold": {wrong}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Deletion threshold must be a number")
	}
	b.get(acmeProvisioning).press("Save", url.Values{"rules": {"okta"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Rules must be rollcall or entra.")
	b.get(acmeProvisioning).press("Save", url.Values{"rules": {"rollcall"}}).wantStatus(http.StatusOK)
	if job := o.job(key); job.Rules != provision.RulesRollcall || job.DeleteThreshold != 20 {
		t.Errorf("the rules are %q with the threshold %d", job.Rules, job.DeleteThreshold)
	}
	b.get(acmeUsersMapping).press("Save", url.Values{"exact:displayName": {"yes"}}).wantWords("The mapping was saved.")
	job := o.job(key)
	m, err := job.Schema.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	if got := job.Schema.ExactCase(m); !slices.Contains(got, "displayName") || slices.Contains(got, "title") {
		t.Errorf("case counts for %v", got)
	}
}

// Scoping filters are set on the page of the mapping's scope. People who would be left out are counted first, and two people who change the
// scope are asked which one counts.
func TestScopingFilters(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	b := o.operator()
	b.get(acmeProvisioning).press("Save", url.Values{"scope": {"all"}})
	mapping := b.get(acmeUsersMapping).wantWords("Source Object Scope All records")
	page := mapping.click("All records").wantStatus(http.StatusOK)
	stale := b.get(page.Path)
	want := func(what string) {
		t.Helper()
		m, err := o.job(key).Schema.UserMapping()
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Scope.Words(); got != what {
			t.Errorf("the stored scope is %q, want %q", got, what)
		}
	}
	first := url.Values{"filter1.title": {"One person"}, "filter1.clause1.attribute": {"userPrincipalName"}, "filter1.clause1.value": {"ada@contoso.example\r\nnobody@contoso.example"}}

	ask := page.press("Save", first).wantWords("Leave users out?", "users who are in scope now are left out", "1 user is in scope then")
	want("all records")
	ask.press("Save the scoping filters", nil).wantWords("The scoping filters were saved.", "1 scoping filter", "userPrincipalName EQUALS ada@contoso.example, nobody@contoso.example")
	want("userPrincipalName EQUALS ada@contoso.example, nobody@contoso.example")

	// A second clause of the first filter, and a second filter, in the rows that "More rows" adds.
	page = b.get(page.Path)
	if got := page.byID("filter1.clause1.value").text(); got != "ada@contoso.example nobody@contoso.example" {
		t.Errorf("got the values %q", got)
	}
	page = page.press("More rows", nil)
	want("userPrincipalName EQUALS ada@contoso.example, nobody@contoso.example")
	page.press("Save", url.Values{
		"filter1.clause3.attribute": {"accountEnabled"}, "filter1.clause3.operator": {"IS TRUE"},
		"filter2.clause2.attribute": {"userPrincipalName"}, "filter2.clause2.operator": {"ENDS_WITH"}, "filter2.clause2.value": {"example"},
	}).wantWords("Take more users into scope?", "2 users come into scope because of: userPrincipalName ENDS_WITH example. For example Grace Hopper, 山田 雪.").
		press("Save the scoping filters", nil).wantWords("The scoping filters were saved.", "2 scoping filters")
	both := "userPrincipalName EQUALS ada@contoso.example, nobody@contoso.example and accountEnabled IS TRUE, or userPrincipalName ENDS_WITH example"
	want(both)
	b.get(page.Path).press("Save", nil).wantWords("Nothing was changed")

	asked := stale.press("Save", url.Values{"filter1.clause1.attribute": {"city"}, "filter1.clause1.operator": {"IS NOT NULL"}}).wantStatus(http.StatusConflict).wantWords("city IS NOT NULL", both)
	want(both)
	mine := asked.valuesOf("scope")[0] // mine, then what is saved
	asked.press("Save", url.Values{"scope": {mine}}).wantWords("Leave users out?").press("Save the scoping filters", nil).wantWords("The scoping filters were saved.")
	want("city IS NOT NULL")

	for _, wrong := range []struct {
		form  url.Values
		words string
	}{
		{url.Values{"filter2.title": {"Empty"}}, "has no clause"},
		{url.Values{"filter2.clause1.value": {"London"}}, "Choose a Source Attribute for the value"},
		{url.Values{"filter1.clause1.value": {"London"}}, "city IS NOT NULL takes no value"},
		{url.Values{"filter1.clause1.operator": {"REGEX MATCH"}, "filter1.clause1.value": {"("}}, "cannot be used"},
		{url.Values{"filter1.clause1.attribute": {"accountEnabled"}, "filter1.clause1.operator": {"IS FALSE"}}, "everyone would be disabled"},
	} {
		b.get(page.Path).press("Save", wrong.form).wantStatus(http.StatusUnprocessableEntity).wantWords("This was not saved", wrong.words)
		want("city IS NOT NULL")
	}
	b.get(page.Path).press("Save", url.Values{"filter1.remove": {"yes"}}).wantWords("3 users come into scope because of: no scoping filter (until now: city IS NOT NULL)").
		press("Save the scoping filters", nil).wantWords("The scoping filters were saved.", "All records")
	want("all records")
	lines := []provision.FilterGroup{{Name: "Lines", Clauses: []provision.FilterClause{{SourceOperandName: "streetAddress", OperatorName: "EQUALS", TargetOperand: provision.FilterOperand{Values: []string{"a\nb"}}}}}}
	if _, err := o.jobs.SetMapping(t.Context(), key, "Provision Azure Active Directory Users", provision.MappingEdit{Scope: &lines}, "cli"); err != nil {
		t.Fatal(err)
	}
	b.get(page.Path).wantStatus(http.StatusConflict).wantWords("These scoping filters are edited as a file")
	b.get(strings.Replace(acmeUsersMapping, "Users", "Groups", 1) + "/scope").wantStatus(http.StatusOK).wantWords("Groups that pass one of the scoping filters are in scope")
}

func TestStaleForm_of_a_user(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	ada, err := h.UserByUPN(t.Context(), "ada@contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	path := "/d/contoso/users/" + ada.ObjectID
	stale := o.operator().get(path)
	o.operatorNamed("sam").get(path).press("Save", url.Values{"jobTitle": {"Countess"}, "otherMails": {"a@x.example;b@x.example"}}).wantWords("was saved")

	stale.press("Save", url.Values{"department": {"Analytics"}}).wantStatus(http.StatusOK).
		wantWords("Ada Lovelace was saved. Changed meanwhile by sam (operator), and kept: Other emails, Job title.")
	ask := stale.press("Save", url.Values{"jobTitle": {"Programmer"}, "city": {"London"}}).wantStatus(http.StatusConflict)
	ask.wantWords("Countess", "Programmer").wantNoWords("London")
	want := map[string]string{"jobTitle": "Countess", "department": "Analytics", "city": "", "otherMails": "a@x.example;b@x.example", "manager": ada.Text("manager")}
	wantUser(t, h, ada.ObjectID, want)
	ask.press("Save", url.Values{"jobTitle": {"Programmer"}}).wantStatus(http.StatusOK).wantWords("was saved")
	want["jobTitle"], want["city"] = "Programmer", "London"
	wantUser(t, h, ada.ObjectID, want)
}

func wantUser(t *testing.T, h *directory.Handle, id string, want map[string]string) {
	t.Helper()
	u, err := h.User(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name := range want {
		got[name] = u.Text(name)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the stored user (-got +want):\n%s", diff)
	}
}

// Start provisioning and Provision now are buttons of the page's form: what was typed is saved first.
func TestStartProvisioning_saves_the_page(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	b := o.operator()
	page := b.get(acmeProvisioning).press("Start provisioning", url.Values{"scope": {"all"}}).wantStatus(http.StatusOK)
	page.wantWords("Provisioning was saved. A cycle begins now.")
	if job := o.job(key); job.Scope != provision.Everyone || job.Status != provision.On {
		t.Errorf("got scope %s, status %s; want all, On", job.Scope, job.Status)
	}
	page.press("Provision now", url.Values{"scope": {"assigned"}}).wantWords("Provisioning was saved. A cycle begins now.")
	if job := o.job(key); job.Scope != provision.AssignedOnly {
		t.Errorf("got scope %s, want assigned", job.Scope)
	}
	wrong := b.get(acmeProvisioning).press("Provision now", url.Values{"tenantURL": {""}, "scope": {"all"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Tenant URL is needed")
	if job := o.job(key); job.Scope != provision.AssignedOnly || !wrong.byID("scope").all("option")[1].has("selected") {
		t.Error("a refused page was saved, or forgot what was typed")
	}
}

// Test Connection leads to an address of its own: a reload of it and Back to it show what was typed and what was found. A fresh visit shows
// what is saved, and nobody else sees the test. The Secret Token is in no page.
func TestTestConnection_keeps_what_was_typed_at_its_address(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full, "ada@contoso.example")
	now := time.Now()
	o.pages.Console.Options.Now = func() time.Time { return now }
	b := o.operator()
	tested := b.get(acmeProvisioning+"?get-started=yes").press("Test Connection", url.Values{"mode": {"Automatic"}, "tenantURL": {tenantURL}, "secretToken": {token}}).wantStatus(http.StatusOK)
	address, ok := strings.CutPrefix(tested.Path, acmeProvisioning+"?tested=")
	if !ok || address == "" {
		t.Fatalf("the answer is at %s, want a redirect to %s?tested=…", tested.Path, acmeProvisioning)
	}
	at := now.UTC().Format("2006-01-02 15:04:05")
	now = now.Add(12 * time.Minute)
	for _, page := range []*shown{tested, b.get(tested.Path)} {
		page.wantWords("The supplied credentials are authorized", "Tested "+at+", not saved yet", "You typed a token.")
		if got := page.byID("tenantURL").attr["value"]; got != tenantURL {
			t.Errorf("got Tenant URL %q, want what was typed", got)
		}
		if strings.Contains(page.Text, token) {
			t.Error("the page contains the Secret Token that was typed")
		}
		if form, _ := page.button("Save"); form.attr["data-edits"] != "unsaved" {
			t.Error("leaving the page would ask nothing")
		}
	}
	fresh := b.get(acmeProvisioning+"?get-started=yes").wantNoWords("The supplied credentials", "You typed a token.", "not saved yet")
	if got := fresh.byID("tenantURL").attr["value"]; got != "" {
		t.Errorf("a fresh visit shows %q, which is not saved", got)
	}
	o.operatorNamed("sam").get(tested.Path).wantWords("This test is over").wantNoWords("The supplied credentials", "You typed a token.")

	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	tested.press("Save", nil).wantWords("Provisioning was saved.", "A token is saved.").wantNoWords("not saved yet")
	if _, err := o.jobs.TestConnection(t.Context(), key, tenantURL, nil); err != nil {
		t.Errorf("the saved token is not the one that was typed: %v", err)
	}
	b.get(tested.Path).wantWords("This test is over", "A token is saved.").wantNoWords("not saved yet", "You typed a token.")

	again := b.get(acmeProvisioning).press("Test Connection", url.Values{"scope": {"all"}, "secretToken": {"other"}}).wantWords("invalid credentials", "not saved yet")
	fresh = b.get(acmeProvisioning)
	if fresh.byID("scope").all("option")[1].has("selected") {
		t.Error("a fresh visit shows a scope that is not saved")
	}
	fresh.press("Save", nil).wantWords("Nothing was changed")
	if _, err := o.jobs.TestConnection(t.Context(), key, tenantURL, nil); err != nil {
		t.Errorf("Save of a fresh visit stored the token of a test elsewhere: %v", err)
	}
	again.press("Discard", nil).wantNoWords("not saved yet")
	b.get(again.Path).wantWords("This test is over").wantNoWords("invalid credentials")

	late := b.get(acmeProvisioning).press("Test Connection", url.Values{"secretToken": {"other"}})
	now = now.Add(31 * time.Minute)
	b.get(late.Path).wantWords("This test is over").wantNoWords("You typed a token.")
}

func TestTypedSecret_is_forgotten(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	b := o.operator()
	tested := b.get(acmeProvisioning).press("Test Connection", url.Values{"secretToken": {"other"}})
	o.start()
	tested.press("Save", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Secret Token was typed too long ago; type it again.")
	if _, err := o.jobs.TestConnection(t.Context(), key, o.job(key).TenantURL, nil); err != nil {
		t.Errorf("the saved token is gone: %v", err)
	}
}
