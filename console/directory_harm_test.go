package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// manyPeople is a file of n people; every tenth is in Engines.
func manyPeople(n int) string {
	var file strings.Builder
	file.WriteString("userPrincipalName,displayName,department\n")
	for i := range n {
		department := "Navy"
		if i%10 == 0 {
			department = "Engines"
		}
		fmt.Fprintf(&file, "u%04d@contoso.example,User %04d,%s\n", i, i, department)
	}
	return file.String()
}

// Assign all and Remove all say how many people they are about, on the button and on the page that asks, and do nothing before the answer.
func TestAssignAll_asks_with_its_number(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", manyPeople(1200))
	a, err := h.CreateApplication(t.Context(), "Acme", "cli")
	if err != nil {
		t.Fatal(err)
	}
	assigned := func(want int) {
		t.Helper()
		if got, err := h.CountAssignments(t.Context(), a.ID); err != nil || got != want {
			t.Errorf("got %d assignments, %v, want %d", got, err, want)
		}
	}
	b := o.operator()
	const list = "/d/contoso/applications/Acme/users-and-groups"
	ask := b.get(list+"/add").wantWords("Assign all 1,200").press("Assign all 1,200", nil).wantStatus(http.StatusOK)
	ask.wantWords("Assign 1,200 users to Acme?", "Everybody in contoso who is not assigned yet will be assigned: 1,200 users.", "provisioning is not set up")
	assigned(0)

	// Somebody came meanwhile: the number that was agreed to is not the number any more.
	if _, _, err := h.PutUser(t.Context(), directory.User{AccountEnabled: true, Attributes: map[string]any{"userPrincipalName": "new@contoso.example"}}, "cli"); err != nil {
		t.Fatal(err)
	}
	again := ask.press("Assign 1,200 users", nil).wantWords("Assign 1,201 users to Acme?")
	assigned(0)
	again.press("Assign 1,201 users", nil).wantWords("1,201 users were assigned to Acme.", "Remove all 1,201")
	assigned(1201)

	found := b.get(list+"?search=engines").wantWords("Remove all 120 found").press("Remove all 120 found", nil)
	found.wantWords("Remove 120 users from Acme?", "User 0000, User 0010, User 0020, User 0030, User 0040 and 115 more will no longer be assigned to Acme.")
	assigned(1201)
	found.press("Remove 120 users", nil).wantWords("120 users are no longer assigned to Acme.")
	assigned(1081)
	if u, err := h.UserByUPN(t.Context(), "u0010@contoso.example"); err != nil || len(must(h.ApplicationsOf(t.Context(), u.ObjectID))) > 0 {
		t.Error("User 0010 is still assigned")
	}
	b.get(list).press("Remove all 1,081", nil).press("Remove 1,081 users", nil).wantWords("Nobody is assigned")
	assigned(0)
	b.send(http.MethodPost, list, url.Values{"all": {"yes"}, "sure": {"0"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Tick at least one user.")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Opening the Plan page calls nobody. Its button makes a plan, which is kept and shown page by page.
func TestPlan_is_made_by_a_button(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", manyPeople(120))
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.Off, Scope: provision.AssignedOnly}, "cli"); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	target := o.scim.Config.Handler
	o.scim.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		target.ServeHTTP(w, r)
	})
	b := o.operator()
	page := b.get(acmeProvisioning+"/plan").wantWords("No plan yet", "Make a plan")
	if n := calls.Load(); n > 0 {
		t.Errorf("opening the page made %d calls", n)
	}
	page = o.settled(page.press("Make a plan", nil)).wantWords("Looked at 120", "Create 120", "1 to 50 of 120 people")
	made := calls.Load()
	seen := map[string]bool{}
	for range 3 {
		for _, a := range page.Root.all("a") {
			if strings.HasPrefix(a.attr["class"], "row-link") {
				seen[a.text()] = true
			}
		}
		if strings.Contains(page.words(), "Next page") {
			page = page.click("Next page").wantStatus(http.StatusOK)
		}
	}
	if len(seen) != 120 {
		t.Errorf("saw %d people, want 120", len(seen))
	}
	page.click("First page").wantWords("1 to 50 of 120 people")
	o.operatorNamed("sam").get(acmeProvisioning + "/plan").wantWords("Create 120")
	if n := calls.Load(); n != made {
		t.Errorf("reading the plan made %d calls", n-made)
	}
}

func TestApplicationSettings_rename_and_delete(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	h := must(o.directories.OpenByID(t.Context(), directory.ID(key.Directory)))
	b := o.operator()
	list := b.get("/d/contoso/applications").wantWords("Acme")
	page := list.click("Rename or delete").wantStatus(http.StatusOK).wantWords("3 assignments", "0 linked accounts")
	page.press("Rename", url.Values{"name": {"a/b"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("has 1 to 100 letters")
	if _, err := h.CreateApplication(t.Context(), "Other", "cli"); err != nil {
		t.Fatal(err)
	}
	page.press("Rename", url.Values{"name": {"Other"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("already has an application")
	page.press("Rename", url.Values{"name": {"Acme & Sons"}}).wantStatus(http.StatusOK).wantWords("Acme was renamed to Acme & Sons.")
	page.press("Rename", url.Values{"name": {"Acme 2"}}).wantStatus(http.StatusConflict).wantWords("Acme & Sons", "Acme 2") // two people renamed it

	at := "/d/contoso/applications/Acme%20&%20Sons"
	ask := b.get(at+"/settings").click("Delete this application").wantWords("Delete Acme & Sons?", "3 assignments are removed.", "0 linked accounts at Acme & Sons stay as they are.")
	ask.press("Delete Acme", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("That is not the name of this application. Nothing was deleted.")
	if _, err := h.Application(t.Context(), key.App); err != nil {
		t.Fatal(err)
	}
	ask.press("Delete Acme", url.Values{"confirm": {"Acme & Sons"}}).wantWords("Acme & Sons was deleted, with 3 assignments.")
	if _, err := o.jobs.Get(t.Context(), key); err == nil {
		t.Error("the job is still there")
	}
	b.get(at).wantStatus(http.StatusNotFound)
}

func TestDirectorySettings_rename_and_delete(t *testing.T) {
	t.Parallel()
	o, _, _ := provisioned(t)
	b := o.operator()
	page := b.get("/d/").click("Rename or delete").wantStatus(http.StatusOK).wantWords("3 users", "1 enterprise application")
	page.press("Rename", url.Values{"name": {"Contoso"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("small letters, digits and hyphens")
	stale := b.get("/d/contoso/settings")
	page.press("Rename", url.Values{"name": {"fabrikam"}}).wantStatus(http.StatusOK).wantWords("contoso was renamed to fabrikam.")
	stale.press("Rename", url.Values{"name": {"northwind"}}).wantStatus(http.StatusConflict).wantWords("contoso was renamed to fabrikam meanwhile.", "northwind").
		press("Save", url.Values{"name": {"fabrikam"}}).wantStatus(http.StatusOK).wantWords("the name is fabrikam already")
	b.get("/d/contoso/users").wantStatus(http.StatusNotFound)
	ask := b.get("/d/fabrikam/settings").click("Delete this directory").wantWords("3 users are removed", "1 enterprise application is removed, with 3 assignments")
	ask.press("Delete fabrikam", url.Values{"confirm": {"contoso"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Nothing was deleted.")
	ask.press("Delete fabrikam", url.Values{"confirm": {"fabrikam"}}).wantWords("Directory fabrikam was deleted, with 3 users.", "No directory yet")
}

func TestSitesPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	b := o.operator()
	page := b.get("/d/-/sites").wantStatus(http.StatusOK).wantWords("No site yet")
	page.press("Create site", url.Values{"name": {"Acme"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("lower-case letters, digits and hyphens")
	made := page.press("Create site", url.Values{"name": {"acme"}, "profile": {"full"}}).wantStatus(http.StatusOK).wantWords("Site acme was created.", "Link for the first administrator of acme")
	if link := made.byID("first-link").attr["value"]; !strings.HasPrefix(link, "https://rollcall.example/c/acme/sign-in/") {
		t.Errorf("got the link %q", link)
	}
	if s, err := o.sites.ByName(t.Context(), "acme"); err != nil || !s.Creates {
		t.Errorf("got %+v, %v, want a site of profile full", s, err)
	}
	b.get("/d/-/sites").wantWords("acme", "full").wantNoWords("sign-in/")
	page.press("Create site", url.Values{"name": {"acme"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("There is a site of that name already")

	settings := b.get("/d/-/sites").click("Rename or delete").wantWords("The Tenant URL changes")
	settings.press("Rename", url.Values{"name": {"-"}}).wantStatus(http.StatusUnprocessableEntity)
	stale := b.get("/d/-/sites/acme")
	sure := settings.press("Rename", url.Values{"name": {"apex"}}).wantStatus(http.StatusOK).wantWords("Rename site acme to apex?", "0 people", "0 tokens in use")
	sure.press("Rename acme", url.Values{"confirm": {"apex"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Nothing was changed.")
	if _, err := o.sites.ByName(t.Context(), "acme"); err != nil {
		t.Errorf("renamed before the answer: %v", err)
	}
	sure.press("Rename acme", url.Values{"confirm": {"acme"}}).wantStatus(http.StatusOK).wantWords("acme was renamed to apex.")
	// A tab that was open before.
	asked := stale.press("Rename", url.Values{"name": {"zenith"}}).wantStatus(http.StatusConflict).wantWords("acme was renamed to apex meanwhile.", "zenith")
	asked.press("Save", url.Values{"name": {"zenith"}}).wantStatus(http.StatusOK).wantWords("Rename site apex to zenith?")
	b.get("/d/-/sites/acme").wantStatus(http.StatusNotFound).wantWords("There is no such site")
	ask := b.get("/d/-/sites/apex").click("Delete this site").wantWords("Delete site apex?", "0 people")
	ask.press("Delete apex", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Nothing was deleted.")
	ask.press("Delete apex", url.Values{"confirm": {"apex"}}).wantWords("Site apex was deleted.", "No site yet")
}

func TestUsers_several_are_disabled_with_their_number(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	o.app(h, "Acme")
	b := o.operator()
	list := b.get("/d/contoso/users")
	list.press("Disable", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Tick at least one user.")
	ada, grace := must(h.UserByUPN(t.Context(), "ada@contoso.example")).ObjectID, must(h.UserByUPN(t.Context(), "grace@contoso.example")).ObjectID
	ask := list.press("Disable", url.Values{"user": {ada, grace}}).wantWords("Disable 2 users?", "Ada Lovelace, Grace Hopper", "2 of them have Acme: nothing happens, because provisioning is not set up.")
	if !must(h.User(t.Context(), ada)).AccountEnabled {
		t.Error("Ada was disabled before the answer")
	}
	ask.press("Disable 2 users", nil).wantWords("2 users were disabled.", "2 of them disabled")
	b.get("/d/contoso/users").press("Disable", url.Values{"user": {ada}}).wantWords("Nothing was changed")
	b.get("/d/contoso/users").press("Enable", url.Values{"user": {ada, grace}}).press("Enable 2 users", nil).wantWords("2 users were enabled.", "0 of them disabled")
	b.send(http.MethodPost, "/d/contoso/users/change", url.Values{"change": {"purge"}, "user": {ada}}).wantStatus(http.StatusNotFound)
}

func TestDirectoryAudit_is_searched_and_exported(t *testing.T) {
	t.Parallel()
	o, _, _ := provisioned(t)
	b := o.operator()
	page := b.get("/d/contoso/audit").wantWords("Ada Lovelace", "Provisioning was set up")
	page.press("Filter", url.Values{"kind": {"provisioning."}}).wantWords("Provisioning was set up").wantNoWords("Ada Lovelace")
	page.press("Filter", url.Values{"q": {"LOVELACE"}}).wantWords("Ada Lovelace").wantNoWords("Grace Hopper (")
	page.press("Filter", url.Values{"actor": {"nobody"}}).wantWords("No event fits")
	page.press("Filter", url.Values{"to": {"2020-01-01"}}).wantWords("No event fits")
	file := b.get("/d/contoso/audit/export?kind=application.").wantStatus(http.StatusOK)
	if got := file.Header.Get("Content-Disposition"); got != `attachment; filename="contoso-audit.csv"` {
		t.Errorf("got %q", got)
	}
	lines := strings.Split(strings.TrimSpace(file.Text), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "time,event,text,actorKind,actor,actorId,address,userAgent,") || !strings.Contains(lines[1], "application.created,") {
		t.Errorf("got the file\n%s", file.Text)
	}
}
