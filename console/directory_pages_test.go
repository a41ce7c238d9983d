package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/console/directorypages"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

const peopleFile = `userPrincipalName,displayName,givenName,surname,mail,jobTitle,department,manager
ada@contoso.example,Ada Lovelace,Ada,Lovelace,ada@contoso.example,Analyst,Engines,grace@contoso.example
grace@contoso.example,Grace Hopper,Grace,Hopper,grace@contoso.example,Rear Admiral,Navy,
yuki@contoso.example,山田 雪,雪,山田,yuki@contoso.example,,Engines,grace@contoso.example
`

func TestDirectoryPages_make_a_directory_and_its_first_user(t *testing.T) {
	t.Parallel()
	b := newOffice(t).operator()
	b.get("/d").wantStatus(http.StatusOK).wantWords("No directory yet")
	b.get("/d/").press("Create directory", url.Values{"name": {"Contoso"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("small letters, digits and hyphens")
	users := b.get("/d/").press("Create directory", url.Values{"name": {"contoso"}}).wantStatus(http.StatusOK)
	users.wantWords("Directory contoso was created", "No users yet")
	b.get("/d/").press("Create directory", url.Values{"name": {"contoso"}}).wantStatus(http.StatusUnprocessableEntity).wantWords(`There is already a directory "contoso"`)
	b.get("/d/").wantWords("contoso", "None")

	form := users.click("New user").wantStatus(http.StatusOK)
	form.press("Add user", url.Values{"userPrincipalName": {"ada"}, "city": {"London"}}).wantStatus(http.StatusUnprocessableEntity).
		wantWords(`userPrincipalName has the form name@domain without spaces, unlike "ada".`)
	form.press("Add user", url.Values{"userPrincipalName": {"ada@contoso.example"}, "manager": {"nobody@contoso.example"}}).wantStatus(http.StatusUnprocessableEntity).
		wantWords("There is no user nobody@contoso.example")
	ada := form.press("Add user", url.Values{"userPrincipalName": {"ada@contoso.example"}, "displayName": {"Ada <b>Lovelace"}, "streetAddress": {"1 Main St\nFloor 2"}, "otherMails": {"a@x.example; b@x.example"}})
	ada.wantStatus(http.StatusOK).wantWords("Ada <b>Lovelace was added.", "Enabled", "kim (operator)", "Not assigned to any.")
	if got := ada.byID("streetAddress").rawText(); got != "1 Main St\nFloor 2" {
		t.Errorf("got street address %q", got)
	}
	ada.press("Save", nil).wantStatus(http.StatusOK).wantWords("Nothing was changed")
	stale := ada
	ada.press("Save", url.Values{"city": {"London"}}).wantStatus(http.StatusOK).wantWords("was saved", "was updated: city")
	stale.press("Save", url.Values{"city": {"Rome"}}).wantStatus(http.StatusConflict).wantWords("Which value counts?", "London", "Rome")
	form.press("Add user", url.Values{"userPrincipalName": {"ADA@contoso.example"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("belongs to another user")
}

func TestDirectoryPages_list_search_and_change_users(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	o.app(h, "Stack Overflow for Teams")
	b := o.operator()
	list := b.get("/d/contoso").wantStatus(http.StatusOK)
	list.wantWords("3 users, 0 of them disabled.", "Ada Lovelace", "山田 雪", "Analyst, Engines")
	list.press("Search", url.Values{"search": {"ENGINES ada"}}).wantWords("Ada Lovelace").wantNoWords("Grace Hopper")
	list.press("Search", url.Values{"search": {"nobody"}}).wantWords("Nobody matches “nobody”")

	ada := list.click("Ada Lovelace").wantStatus(http.StatusOK).wantWords("Stack Overflow for Teams")
	ask := ada.click("Disable").wantStatus(http.StatusOK)
	ask.wantWords("Disable Ada Lovelace?", "sign-in is blocked", "Stack Overflow for Teams: nothing happens, because provisioning is not set up.")
	disabled := ask.press("Disable Ada Lovelace", nil).wantStatus(http.StatusOK).wantWords("Ada Lovelace was disabled.", "Disabled")
	ask.press("Disable Ada Lovelace", nil).wantWords("Nothing was changed: Ada Lovelace is disabled already.")
	b.get("/d/contoso/users?status=disabled").wantWords("Ada Lovelace").wantNoWords("Grace Hopper")
	disabled.click("Enable").press("Enable Ada Lovelace", nil).wantWords("was enabled")

	grace := list.click("Grace Hopper")
	deleted := grace.click("Delete").wantWords("The user principal name becomes free").press("Delete Grace Hopper", nil)
	deleted.wantWords("Grace Hopper was deleted.", "Restore the user to change anything")
	deleted.wantNoWords("Save")
	b.get("/d/contoso/users?status=deleted").wantWords("Grace Hopper").wantNoWords("Ada Lovelace")
	deleted.click("Restore").press("Restore Grace Hopper", nil).wantWords("was restored")
	grace.click("Delete").press("Delete Grace Hopper", nil).click("Delete permanently").wantWords("This cannot be undone.").
		press("Delete permanently Grace Hopper", nil).wantWords("Grace Hopper was deleted permanently.", "No deleted users")
	b.get(grace.Path).wantStatus(http.StatusNotFound).wantWords("There is no user")
	b.get("/d/contoso/users/nonsense/disable").wantStatus(http.StatusNotFound)
	b.get("/d/contoso/users?after=nonsense").wantStatus(http.StatusUnprocessableEntity).wantWords("Begin with the first page")
	b.get("/d/contoso/").wantStatus(http.StatusOK).wantWords("Ada Lovelace")
	b.get("/d/contoso/audit").wantStatus(http.StatusOK).wantWords("Grace Hopper (grace@contoso.example) was deleted permanently", "kim (operator)", "command line")
	b.get("/d/contoso/audit?kind=user.enabled").wantWords("Ada Lovelace (ada@contoso.example) was enabled", "accountEnabled false → true", "127.0.0.1", "Go-http-client").
		click("Open its page").wantWords("Object ID")
	b.get("/d/contoso/audit?before=x").wantStatus(http.StatusOK)
	b.get("/d/fabrikam/users").wantStatus(http.StatusNotFound).wantWords("There is contoso")
}

func TestDirectoryPages_walk_through_many_users(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var file strings.Builder
	file.WriteString("userPrincipalName,displayName\n")
	for i := range 120 {
		name := "User " + string(rune('A'+i/26)) + string(rune('A'+i%26))
		file.WriteString(strings.ToLower(strings.ReplaceAll(name, " ", "")) + "@contoso.example," + name + "\n")
	}
	o.directory("contoso", file.String())
	page := o.operator().get("/d/contoso/users")
	seen := map[string]bool{}
	for range 3 {
		for _, a := range page.Root.all("a") {
			if a.attr["class"] == "row-link" {
				seen[a.text()] = true
			}
		}
		if strings.Contains(page.words(), "Next page") {
			page = page.click("Next page").wantStatus(http.StatusOK)
		}
	}
	if len(seen) != 120 {
		t.Errorf("saw %d users, want 120", len(seen))
	}
	page.wantNoWords("Next page").click("First page").wantWords("User AA")
}

func TestApplicationPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.directory("contoso", peopleFile)
	b := o.operator()
	list := b.get("/d/contoso/applications").wantStatus(http.StatusOK).wantWords("No enterprise application yet")
	list.press("Create application", url.Values{"name": {"a/b"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("has 1 to 100 letters")
	app := list.press("Create application", url.Values{"name": {"Stack Overflow & Co (Teams)"}}).wantStatus(http.StatusOK)
	app.wantWords("Stack Overflow & Co (Teams)", "Nobody is assigned yet.", "Not set up")
	list.press("Create application", url.Values{"name": {"stack overflow & co (teams)"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("already has an application")

	assigned := app.click("Users and groups").wantStatus(http.StatusOK).wantWords("Nobody is assigned")
	add := assigned.click("Add user").wantStatus(http.StatusOK).wantWords("Ada Lovelace", "Grace Hopper")
	add.press("Assign", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Tick at least one user.")
	add.press("Assign all 3", nil).wantWords("Assign 3 users to Stack Overflow & Co (Teams)?").press("Assign 3 users", nil).wantStatus(http.StatusOK).wantWords("3 users were assigned")
	assigned = b.get(assigned.Path).wantWords("3 users and 0 groups assigned to Stack Overflow & Co (Teams).")
	assigned.press("Remove", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Tick at least one user.")
	id := ""
	for _, n := range assigned.Root.all("input") {
		if n.attr["aria-label"] == "Choose Grace Hopper" {
			id = n.attr["value"]
		}
	}
	ask := assigned.press("Remove", url.Values{"user": {id}}).wantStatus(http.StatusOK).wantWords("Remove 1 user from Stack Overflow & Co (Teams)?", "Grace Hopper will no longer be assigned")
	ask.press("Remove", nil).wantStatus(http.StatusOK).wantWords("1 user is no longer assigned", "2 users and 0 groups assigned").wantNoWords("Grace Hopper")
	add = b.get(add.Path).wantWords("Grace Hopper").wantNoWords("Ada Lovelace")
	add.press("Search", url.Values{"search": {"zzz"}}).wantWords("Nobody matches")
	b.send(http.MethodPost, add.Path, url.Values{}).wantStatus(http.StatusUnprocessableEntity).wantWords("Tick at least one user.")
	b.send(http.MethodPost, add.Path, url.Values{"user": {id}}).wantWords("1 user was assigned")
	b.get(add.Path).wantWords("Everybody is assigned")
	b.get("/d/contoso/applications").wantWords("Stack Overflow & Co (Teams)", "Not set up")
	b.get("/d/contoso/applications/nothing").wantStatus(http.StatusNotFound).wantWords("There is Stack Overflow & Co (Teams)")
}

func TestProvisioningPage_follows_the_guide(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	app := o.app(h, "Stack Overflow for Teams")
	tenantURL, token := o.site("acme", site.Documented, "ada@contoso.example", "grace@contoso.example")
	b := o.operator()
	const base = "/d/contoso/applications/Stack%20Overflow%20for%20Teams"

	page := b.get(base).click("Provisioning").wantStatus(http.StatusOK).wantWords("Get started").wantNoWords("Tenant URL *")
	page = page.click("Get started").wantStatus(http.StatusOK)
	page.wantWords("Provisioning Mode", "Manual", "Automatic",
		"Use Azure AD to manage the creation and synchronization of user accounts in Stack Overflow for Teams based on user and group assignment.",
		"Admin Credentials", "Azure AD needs the following information to connect to Stack Overflow for Teams's API and synchronize user data.",
		"Tenant URL *", "Secret Token", "Test Connection", "Save", "Discard")
	page.wantNoWords("Mappings", "Provisioning Status")

	// Wrong turns first.
	page.press("Save", url.Values{"mode": {"Automatic"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Tenant URL is needed")
	page.press("Test Connection", url.Values{"mode": {"Automatic"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Tenant URL is needed")
	wrong := url.Values{"mode": {"Automatic"}, "tenantURL": {tenantURL}, "secretToken": {"wrong"}}
	refused := page.press("Test Connection", wrong).wantStatus(http.StatusOK)
	refused.wantWords("You appear to have entered invalid credentials", "HTTP 401", "SystemForCrossDomainIdentityManagementInvalidCredentials").wantNoWords("The connection works")

	right := url.Values{"mode": {"Automatic"}, "tenantURL": {tenantURL}, "secretToken": {token}}
	tested := page.press("Test Connection", right).wantStatus(http.StatusOK)
	tested.wantWords("The supplied credentials are authorized to enable provisioning", "The connection works")
	if got := tested.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("the page that shows what was typed has Cache-Control %q", got)
	}
	saved := tested.press("Save", nil).wantStatus(http.StatusOK)
	saved.wantWords("Provisioning was saved.", "Mappings allow you to define how data should flow between Azure Active Directory and customappsso.",
		"Provision Azure Active Directory Groups", "Provision Azure Active Directory Users", "Restore default mappings",
		"Settings", "Sync only assigned users and groups", "Provisioning Status", "A token is saved.", "Not started")
	if strings.Contains(saved.Text, token) {
		t.Error("the saved token is on the page")
	}
	saved.press("Test Connection", nil).wantWords("The supplied credentials are authorized")
	saved.press("Save", nil).wantWords("Nothing was changed")
	saved.press("Test Connection", url.Values{"tenantURL": {"http://127.0.0.1:1/scim"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Secret Token must be entered again for another host")
	saved.press("Save", url.Values{"mode": {"Manual"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("cannot go back to Manual")

	mapping := saved.click("Provision Azure Active Directory Users").wantStatus(http.StatusOK)
	wantMapping(t, mapping)
	mapping = mapping.press("Save", url.Values{"create": nil, "delete": nil}).wantStatus(http.StatusOK).wantWords("The mapping was saved.")
	for name, want := range map[string]bool{"create": false, "update": true, "delete": false} {
		if got := mapping.byID(name).has("checked"); got != want {
			t.Errorf("Target Object Actions: %s is ticked: %v, want %v", name, got, want)
		}
	}
	mapping.press("Save", nil).wantWords("Nothing was changed")

	plan := o.settled(b.get(base+"/provisioning/plan").wantWords("No plan yet").press("Make a plan", nil))
	plan.wantWords("Ada Lovelace", "name.givenName", "title", "Analyst", "no value")
	if left, err := o.engine.Store.Counts(t.Context(), provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}); err != nil || left.Linked != 0 {
		t.Errorf("the plan left links: %+v, %v", left, err)
	}
	b.get(base+"/provisioning/plan?show=all").wantWords("山田 雪", "Skipped")

	saved = b.get(base + "/provisioning")
	saved.press("Save", url.Values{"status": {"On"}}).wantStatus(http.StatusOK).wantWords("Provisioning Status is On", "On. The first cycle begins within moments.")
	o.cycle(h, app)
	b.get(base+"/provisioning").wantWords("On. The last cycle ended", "2 updated", "Initial cycle", "Completed")
	b.get(base).wantWords("On")
	o.settled(b.get(base+"/provisioning/plan").press("Make it again", nil)).wantWords("Nothing to do").wantNoWords("cannot be applied")
	sales, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Sales"}}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	must(h.AddMembers(t.Context(), sales.ObjectID, []string{o.userID(h, "ada@contoso.example")}, "cli"))
	must(h.Assign(t.Context(), app.ID, []string{sales.ObjectID}, "cli"))
	o.settled(b.get(base+"/provisioning/plan").press("Make it again", nil)).wantWords("Add members 1", "Sales", "Members to add: Ada Lovelace").click("Sales").wantStatus(http.StatusOK)

	logs := b.get(base+"/provisioning/logs").wantStatus(http.StatusOK).wantWords("Ada Lovelace", "Update", "Success", "title", "Analyst", "1 skipped entry is hidden.").wantNoWords("山田 雪")
	logs.click("Show it").wantWords("山田 雪", "Skipped").wantNoWords("is hidden")
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	logs.press("Filter", url.Values{"from": {tomorrow}}).wantWords("No entry fits")
	logs.press("Filter", url.Values{"until": {tomorrow}}).wantWords("Ada Lovelace")
	logs.press("Filter", url.Values{"search": {"grace"}}).wantWords("Grace Hopper").wantNoWords("Ada Lovelace")
	logs.press("Filter", url.Values{"status": {"failure"}}).wantWords("No entry fits")
	entry := logs.click("Ada Lovelace").wantStatus(http.StatusOK)
	entry.wantWords("Steps", "Import user", "Determine if user is in scope", "Match user between source and target", "Perform action",
		"Troubleshooting & Recommendations", "Modified Properties", "title", "Analyst", "Summary", "customappsso")
	b.get(base + "/provisioning/logs/nothing").wantStatus(http.StatusNotFound).wantWords("There is no such log entry")

	ask := b.get("/d/contoso/users").click("Ada Lovelace").click("Disable")
	ask.wantWords("Stack Overflow for Teams: the account is switched off with the next provisioning cycle")
	ask.press("Disable Ada Lovelace", nil)
	o.cycle(h, app)
	b.get(base+"/provisioning/logs?action=disable").wantWords("Ada Lovelace", "Disable")

	saved = b.get(base + "/provisioning")
	saved.click("Restart provisioning").wantWords("A new initial cycle begins").press("Restart provisioning", nil).wantWords("Provisioning was restarted")
	b.get(base+"/provisioning").press("Provision now", nil).wantWords("A cycle begins now.")
	restore := b.get(base+"/provisioning").press("Save", url.Values{"restore": {"yes"}, "status": {"Off"}}).wantWords("Provisioning was saved", "Restore default mappings?")
	restore.wantWords("Create and Delete will be on again in Provision Azure Active Directory Users.", "2 linked accounts",
		"Provision Azure Active Directory Users: Target Object Actions: Update → Add,Update,Delete.", "The mappings of today stay as a version and can be set again.")
	if kept := b.get(mapping.Path); kept.byID("create").has("checked") {
		t.Error("Restore default mappings did not ask")
	}
	restore.press("Restore default mappings", nil).wantWords("The default mappings are restored", "Off")
	if restored := b.get(mapping.Path); !restored.byID("create").has("checked") {
		t.Error("Restore default mappings did not tick Create again")
	}
	b.get(base+"/provisioning").press("Start provisioning", nil).wantWords("A cycle begins now.")
}

// wantMapping demands the guide's mapping page letter by letter.
func wantMapping(t *testing.T, page *shown) {
	t.Helper()
	page.wantWords("Name", "Enabled", "Yes", "No", "Source Object", "Source Object Scope", "Target Object", "Target Object Actions", "Create", "Update", "Delete",
		"Attribute Mappings", "Attribute mappings define how attributes are synchronized between Azure Active Directory and customappsso")
	page.wantWords("Name Provision Azure Active Directory Users Source Object User Source Object Scope All records",
		"Target Object urn:ietf:params:scim:schemas:extension:enterprise:2.0:User").wantNoWords("The guide prints")
	var got []string
	for _, tr := range page.Root.all("tr") {
		var cells []string
		for _, c := range tr.all("th", "td") {
			cells = append(cells, c.text())
		}
		got = append(got, strings.Join(strings.Fields(strings.Join(cells, " | ")), " "))
	}
	want := []string{
		`Azure Active Directory Attribute | customappsso Attribute | Matching precedence | Remove`,
		`userPrincipalName | userName | 1 | Required`,
		`Switch([IsSoftDeleted], , "False", "True", "True", "False") | active | | Delete`,
		`displayName | displayName | | Delete`,
		`jobTitle | title | | Delete`,
		`mail | emails[type eq "work"].value | | Delete`,
		`preferredLanguage | preferredLanguage | | Delete`,
		`givenName | name.givenName | | Delete`,
		`surname | name.familyName | | Delete`,
		`Join(" ", [givenName], [surname]) | name.formatted | | Delete`,
		`physicalDeliveryOfficeName | addresses[type eq "work"].formatted | | Delete`,
		`streetAddress | addresses[type eq "work"].streetAddress | | Delete`,
		`city | addresses[type eq "work"].locality | | Delete`,
		`state | addresses[type eq "work"].region | | Delete`,
		`postalCode | addresses[type eq "work"].postalCode | | Delete`,
		`country | addresses[type eq "work"].country | | Delete`,
		`telephoneNumber | phoneNumbers[type eq "work"].value | | Delete`,
		`mobile | phoneNumbers[type eq "mobile"].value | | Delete`,
		`facsimileTelephoneNumber | phoneNumbers[type eq "fax"].value | | Delete`,
		`mailNickname | externalId | | Delete`,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the table (-got +want):\n%s", diff)
	}
}

func TestProvisioningPage_explains_trouble(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	app := o.app(h, "Teams")
	tenantURL, token := o.site("acme", site.Documented, "ada@contoso.example")
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	b := o.operator()
	const base = "/d/contoso/applications/Teams/provisioning"
	for _, path := range []string{"/plan", "/mappings/x", "/restart"} {
		b.get(base + path).wantStatus(http.StatusOK).wantWords("Provisioning is not set up for Teams yet. Click Get started.")
	}
	b.send(http.MethodPost, base, url.Values{"do": {"start"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("The form is incomplete")
	b.get(base + "/logs").wantStatus(http.StatusOK).wantWords("Nothing logged yet")
	b.get(base + "/test").wantStatus(http.StatusOK).wantWords("Get started")

	form := b.get(base + "?get-started=yes")
	for address, want := range map[string]string{
		"http://127.0.0.1:1/scim": "The application cannot be reached at this Tenant URL",
		o.server.URL + "/nothing": "There is no SCIM endpoint at this Tenant URL",
	} {
		form.press("Test Connection", url.Values{"mode": {"Automatic"}, "tenantURL": {address}, "secretToken": {"x"}}).wantStatus(http.StatusOK).
			wantWords(want, "The request was GET").wantNoWords("The connection works")
	}
	form.press("Test Connection", url.Values{"mode": {"Automatic"}, "tenantURL": {"acme"}}).wantNoWords("The connection works").wantWords("is not a Tenant URL")

	secret := "wrong"
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &secret, Status: provision.On, Scope: provision.AssignedOnly}, "cli"); err != nil {
		t.Fatal(err)
	}
	o.settled(b.get(base+"/plan").press("Make a plan", nil)).wantWords("No plan could be made", "The application refused the Secret Token", "HTTP 401")
	if _, err := o.engine.RunCycle(t.Context(), key, "test", nil); err == nil {
		t.Fatal("a cycle with a wrong token went through")
	}
	b.get(base).wantWords("Quarantine", "In quarantine since", "What to do:", "HTTP 401", "1 attempt")

	// With Create left on, a site of the guide's kind refuses everybody who has no account there, and the log says what to do.
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.AssignedOnly}, "cli"); err != nil {
		t.Fatal(err)
	}
	o.cycle(h, app)
	b.get(base).wantNoWords("In quarantine since").wantWords("Completed with errors", "2 failed")
	// Two entries with one cause are one line, which leads to both of them; a filter that leaves one of them leaves no line.
	logs := b.get(base+"/logs").wantWords("Same cause", "2 entries (Create, Failure), same cause:")
	logs.click("Show these entries").wantWords("Grace Hopper", "山田 雪").wantNoWords("Ada Lovelace", "All groups")
	b.get(base + "/logs?search=grace").wantWords("Grace Hopper").wantNoWords("Same cause")
	// An entry leads to its cycle, and only to that one.
	b.get(base+"/logs?status=failure").click("Grace Hopper").click("All entries of this cycle").wantWords("One cycle:", "Grace Hopper")
	b.get(base + "/logs?cycle=another").wantWords("No entry fits")
	entry := b.get(base + "/logs?status=failure").wantWords("Grace Hopper").click("Grace Hopper")
	entry.wantWords("Failure", "Error code", "What to do")

	wrongName := b.get(base + "/mappings/Nothing")
	wrongName.wantStatus(http.StatusNotFound).wantWords("There is no such mapping")
	users := b.get(base + "/mappings/Provision%20Azure%20Active%20Directory%20Users")
	users.press("Save", url.Values{"enabled": {"no"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("the user mapping cannot be switched off")
	groups := b.get(base + "/mappings/Provision%20Azure%20Active%20Directory%20Groups")
	groups.press("Save", url.Values{"enabled": {"no"}}).wantStatus(http.StatusOK).wantWords("The mapping was saved.")
	ask := b.get("/d/contoso/users").click("Ada Lovelace").click("Delete")
	ask.wantWords("Teams: the account is switched off, and not deleted, with the next provisioning cycle")
	users.press("Save", url.Values{"update": nil}).wantStatus(http.StatusOK)
	b.get(ask.Path).wantWords("Teams: nothing happens, because the target object action Update is off in its mapping.")
}

func TestDirectoryPages_let_in_operators_only(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.directory("contoso", peopleFile)
	pages := &directorypages.Pages{}
	stranger := &browser{t: t, base: o.server.URL, client: newClient(t, o.server)}
	for _, rt := range pages.Routes() {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		if rt.Access == console.Anyone {
			continue // TestDirectoryAccess knows these
		}
		path = strings.NewReplacer("{$}", "", "{directory}", "contoso", "{user}", "x", "{change}", "disable", "{app}", "x", "{mapping}", "x", "{entry}", "x", "{site}", "acme").Replace(path)
		got := stranger.send(method, path, url.Values{})
		if got.Status != http.StatusUnauthorized || strings.Contains(got.Text, "contoso.example") {
			t.Errorf("%s without a session: status %d", rt.Pattern, got.Status)
		}
	}
}
