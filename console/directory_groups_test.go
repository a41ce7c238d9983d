package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// grouped is an office with a directory of four people.
func grouped(t *testing.T) (*office, *directory.Handle, *browser) {
	t.Helper()
	o := newOffice(t)
	h := o.directory("contoso", manyPeople(4))
	return o, h, o.operator()
}

func (o *office) userID(h *directory.Handle, upn string) string {
	o.t.Helper()
	u, err := h.UserByUPN(o.t.Context(), upn)
	if err != nil {
		o.t.Fatal(err)
	}
	return u.ObjectID
}

func (o *office) wantMembers(h *directory.Handle, group string, users, groups int) {
	o.t.Helper()
	if n := must(h.CountMembers(o.t.Context(), group)); n != (directory.MemberCounts{Users: users, Groups: groups}) {
		o.t.Errorf("the group has %+v, want %d users and %d groups", n, users, groups)
	}
}

func TestGroupsPages(t *testing.T) {
	t.Parallel()
	o, h, b := grouped(t)
	b.get("/d/contoso/groups").wantWords("No groups yet").click("New group").press("Create group", url.Values{"displayName": {"Sales"}, "mailNickname": {"a b"}}).
		wantStatus(http.StatusUnprocessableEntity).wantWords("mailNickname has at most 64 characters, and no space or @")
	page := b.get("/d/contoso/groups/new").press("Create group", url.Values{"displayName": {"Sales"}, "description": {"Who sells"}}).wantWords("Sales was created.", "No members yet")
	sales := must(h.GroupNamed(t.Context(), "Sales"))
	at := "/d/contoso/groups/" + sales.ObjectID
	b.get("/d/contoso/groups/new").press("Create group", url.Values{"displayName": {"sales"}}).wantWords("sales was created.", "Another group has a name that looks the same, Sales")

	// Members: users and groups.
	page = page.click("Add members").wantWords("Choose who becomes a direct member of Sales.")
	page.press("Add", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Tick at least one row.")
	ids := []string{o.userID(h, "u0000@contoso.example"), o.userID(h, "u0001@contoso.example")}
	page.press("Add", url.Values{"member": ids}).wantWords("2 members were added to Sales.", "u0000@contoso.example", "Direct members: 2 users.")
	o.wantMembers(h, sales.ObjectID, 2, 0)
	b.get(at + "/members/add").wantWords("u0002@contoso.example").wantNoWords("u0000@contoso.example")
}

func TestGroupPage(t *testing.T) {
	t.Parallel()
	o, h, b := grouped(t)
	group := func(name string) (directory.Group, string) {
		g, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": name}}, "cli")
		if err != nil {
			t.Fatal(err)
		}
		return g, "/d/contoso/groups/" + g.ObjectID
	}
	sales, at := group("Sales")
	inner, innerAt := group("Inner")
	b.get(at+"/members/add?kind=groups").wantWords("are not in scope of the applications that Sales is assigned to, as in Entra").press("Add", url.Values{"member": {inner.ObjectID}}).wantWords("1 member was added to Sales.")
	b.get(innerAt).wantWords("Member of", "Sales")
	must(h.AddMembers(t.Context(), sales.ObjectID, []string{o.userID(h, "u0000@contoso.example"), o.userID(h, "u0001@contoso.example")}, "cli"))
	b.get("/d/contoso/users/"+o.userID(h, "u0000@contoso.example")).wantWords("Member of", "Sales", "Not assigned to any.")
	if rows := b.get(at + "?search=u0001").byID("found").all("tr"); len(rows) != 2 { // with the head
		t.Errorf("a search shows %d rows", len(rows))
	}
	b.get(at + "?search=nobody").wantWords("No member matches “nobody”")

	// Two people edit: both changes stay.
	tab := b.get(at)
	o.operatorNamed("sam").get(at).press("Save", url.Values{"description": {"Who sells"}}).wantWords("Sales was saved.")
	tab.press("Save", url.Values{"mailNickname": {"sales"}}).wantWords("Sales was saved.", "Changed meanwhile by sam (operator), and kept: Description.")
	tab.press("Save", url.Values{"description": {"Others"}}).wantStatus(http.StatusConflict).wantWords("Who sells", "Others")
	if g := must(h.Group(t.Context(), sales.ObjectID)); g.Text("description") != "Who sells" || g.Text("mailNickname") != "sales" {
		t.Errorf("stored is %+v", g)
	}

	// Without an application nothing is asked; with one, removing and deleting say what happens.
	first := o.userID(h, "u0000@contoso.example")
	b.get(at).press("Remove", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Tick at least one member.")
	b.get(at).press("Remove", url.Values{"member": {inner.ObjectID}}).wantWords("1 member was removed from Sales.")
	app := must(h.CreateApplication(t.Context(), "Acme", "cli"))
	b.get("/d/contoso/applications/Acme/users-and-groups?kind=groups").wantWords("No group is assigned").click("Add group").wantWords("Members of a group within a group are not in scope, as in Entra").
		press("Assign", url.Values{"group": {sales.ObjectID}}).wantWords("1 group was assigned to Acme.", "0 users and 1 group assigned to Acme.")
	b.get("/d/contoso/users/" + first).wantWords("Acme through Sales")
	b.get("/d/contoso/applications/Acme").wantWords("1 group is assigned.")
	ask := b.get(at).press("Remove", url.Values{"member": {first}}).wantWords("Remove 1 member from Sales?", "Acme: nothing happens, because provisioning is not set up.")
	o.wantMembers(h, sales.ObjectID, 2, 0)
	ask.press("Remove 1 member", nil).wantWords("1 member was removed from Sales.")
	o.wantMembers(h, sales.ObjectID, 1, 0)

	tenantURL, token := o.site("acme", "full")
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	must(o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.AssignedOnly}, "cli"))
	o.cycle(h, app)
	if n := must(o.engine.Store.Counts(t.Context(), key)).Linked; n != 1 {
		t.Errorf("%d people have an account through the group, want 1", n)
	}
	b.get(at).click("Delete").wantWords("Delete Sales?", "It has 1 user as direct members.", "Acme: direct members who are not assigned in another way leave the scope, and their accounts are switched off with the next provisioning cycle").
		press("Delete Sales", nil).wantWords("Sales was deleted.", "Nobody is in scope of an application through this group.")
	b.get("/d/contoso/groups").wantNoWords("Sales")
	b.get(at).click("Restore").press("Restore Sales", nil).wantWords("Sales was restored.")
	b.get(at + "/restore").wantWords("Nothing was changed: Sales is not deleted already.")
	b.get(at).click("Delete").press("Delete Sales", nil)
	b.get(at).click("Delete permanently").wantWords("The users themselves stay.").press("Delete permanently Sales", nil).wantWords("Sales was deleted permanently.")
	b.get(at).wantStatus(http.StatusNotFound)
	b.get("/d/contoso/audit").wantWords("Group Sales was deleted permanently")
}

func TestRolesPages(t *testing.T) {
	t.Parallel()
	o, h, b := grouped(t)
	app := must(h.CreateApplication(t.Context(), "Acme", "cli"))
	at := "/d/contoso/applications/Acme"
	b.get(at).wantWords("Default Access alone.")
	b.get(at+"/roles").wantWords("Default Access").press("Create role", url.Values{"value": {"a b"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("without spaces")
	b.get(at+"/roles").press("Create role", url.Values{"value": {"editor"}, "displayName": {"Editor"}}).wantWords("The role Editor was created.")
	editor := must(h.Role(t.Context(), app, "editor"))
	ada := o.userID(h, "u0000@contoso.example")
	b.get(at+"/users-and-groups/add").press("Assign", url.Values{"user": {ada}, "role": {editor.ID}}).wantWords("1 user was assigned to Acme.", "Editor")
	has := func(want string) {
		t.Helper()
		if r := must(h.RolesOf(t.Context(), app.ID, []string{ada}))[ada]; r.DisplayName != want {
			t.Errorf("the role is %q, want %q", r.DisplayName, want)
		}
	}
	has("Editor")
	b.get(at+"/roles/"+editor.ID+"/delete").press("Delete Editor", nil).wantWords("The role was not deleted", "1 assignment has it")
	b.get(at+"/users-and-groups").press("Give role", url.Values{"user": {ada}, "role": {directory.DefaultAccess.ID}}).wantWords("1 user has another role now.")
	has("Default Access")
	b.get(at+"/roles").click("Editor").press("Save", url.Values{"displayName": {"Author"}}).wantWords("The role Author was saved.")
	if r := must(h.Role(t.Context(), app, "editor")); r.DisplayName != "Author" || !r.Enabled {
		t.Errorf("stored is %+v", r)
	}
	b.get(at+"/roles/"+editor.ID+"/delete").press("Delete Author", nil).wantWords("The role Author was deleted.")
	b.get(at + "/roles/" + editor.ID).wantStatus(http.StatusNotFound)
}
