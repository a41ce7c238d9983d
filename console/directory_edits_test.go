package console

import (
	"net/http"
	"net/url"
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
	key = provision.Key{Directory: h.Directory.ID, App: app.ID}
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.Off, Scope: provision.AssignedOnly}, "cli"); err != nil {
		t.Fatal(err)
	}
	return o, key, token
}

const (
	acmeProvisioning = "/d/contoso/applications/Acme/provisioning"
	acmeUsersMapping = acmeProvisioning + "/mappings/Provision%20Azure%20Active%20Directory%20Users"
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
	tab.press("Save", url.Values{"status": {"On"}}).wantStatus(http.StatusOK).wantWords("Provisioning was saved.", "Changed meanwhile by sam (operator), and kept: Scope.")
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
	stale.press("Save", url.Values{"delete": {"yes"}}).wantStatus(http.StatusOK).wantWords("The mapping was saved.", "Changed meanwhile by sam (operator), and kept: Create.")
	m, err := o.job(key).Schema.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.FlowTypes.String(), "Add,Update,Delete"; got != want {
		t.Errorf("got actions %s, want %s", got, want)
	}
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

// Test Connection leads back to the page with GET: a reload, Back and another visit show what was typed and what was found, and the Secret
// Token is in none of them.
func TestTestConnection_survives_reload(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full, "ada@contoso.example")
	b := o.operator()
	tested := b.get(acmeProvisioning+"?get-started=yes").press("Test Connection", url.Values{"mode": {"Automatic"}, "tenantURL": {tenantURL}, "secretToken": {token}})
	if tested.wantStatus(http.StatusOK).Path != acmeProvisioning {
		t.Errorf("the answer is at %s, want a redirect to %s", tested.Path, acmeProvisioning)
	}
	for _, page := range []*shown{tested, b.get(acmeProvisioning), b.get(acmeProvisioning + "?get-started=yes")} {
		page.wantWords("The supplied credentials are authorized", "not saved yet", "You typed a token.")
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
	o.operatorNamed("sam").get(acmeProvisioning+"?get-started=yes").wantNoWords("The supplied credentials", "You typed a token.")

	key := provision.Key{Directory: h.Directory.ID, App: app.ID}
	b.get(acmeProvisioning).press("Save", nil).wantWords("Provisioning was saved.", "A token is saved.").wantNoWords("not saved yet")
	if _, err := o.jobs.TestConnection(t.Context(), key, tenantURL, nil); err != nil {
		t.Errorf("the saved token is not the one that was typed: %v", err)
	}
	again := b.get(acmeProvisioning).press("Test Connection", url.Values{"scope": {"all"}, "secretToken": {"other"}}).wantWords("invalid credentials", "not saved yet")
	again.press("Discard", nil).wantNoWords("not saved yet")
	if b.get(acmeProvisioning).byID("scope").all("option")[1].has("selected") {
		t.Error("Discard kept what was typed")
	}
}

func TestTypedSecret_is_forgotten(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	b := o.operator()
	tested := b.get(acmeProvisioning).press("Test Connection", url.Values{"secretToken": {"other"}})
	o.pages.drafts = memory{}
	tested.press("Save", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Secret Token was typed too long ago; type it again.")
	if _, err := o.jobs.TestConnection(t.Context(), key, o.job(key).TenantURL, nil); err != nil {
		t.Errorf("the saved token is gone: %v", err)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	s := memory{most: 2}
	s.put("a", 1, now, time.Minute)
	s.put("b", 2, now, time.Hour)
	if got := s.get("a", now.Add(59*time.Second)); got != 1 {
		t.Errorf("got %v, want 1", got)
	}
	if got := s.get("a", now.Add(time.Minute)); got != nil {
		t.Errorf("got %v after its time", got)
	}
	s.put("c", 3, now, time.Hour) // a ends first
	if s.get("a", now) != nil || s.get("b", now) != 2 || s.get("c", now) != 3 {
		t.Error("the wrong value made room")
	}
	s.drop("b")
	if s.get("b", now) != nil {
		t.Error("drop kept the value")
	}
}
