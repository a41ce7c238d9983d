package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// TestTenQuestions asks ten questions that a support engineer gets, of the form "why does X (not)
// have Y". The page Why? of one person answers each of them: the engineer clicks the person in the
// list of users and then Why? of the application.
func TestTenQuestions(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", strings.Join([]string{
		"userPrincipalName,displayName,mailNickname,country",
		"ada@contoso.example,Ada Lund,ada,Norway",
		"bo@contoso.example,Bo Berg,bo,Norway",
		"cy@contoso.example,Cy Dahl,cy,Sweden",
		"dee@contoso.example,Dee Holm,dee,Norway",
		"eve@contoso.example,Eve Lie,eve,Norway",
		"gus@contoso.example,Gus Moen,gus,Norway",
		"hal@contoso.example,Hal Vik,hal,Norway",
		"",
	}, "\n"))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	group := func(name string, members ...string) string {
		t.Helper()
		g, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": name}}, "cli")
		must(err)
		if len(members) > 0 {
			_, err = h.AddMembers(t.Context(), g.ObjectID, members, "cli")
			must(err)
		}
		return g.ObjectID
	}
	ids := map[string]string{}
	must(h.EachUser(t.Context(), directory.UserQuery{}, func(u directory.User) error {
		ids[u.UPN()] = u.ObjectID
		return nil
	}))
	id := func(name string) string { return ids[name+"@contoso.example"] }
	set := func(name, attribute, value string) {
		t.Helper()
		u, err := h.User(t.Context(), id(name))
		must(err)
		u.Attributes[attribute] = value
		_, _, err = h.PutUser(t.Context(), u, "operator:kim")
		must(err)
	}
	app, err := h.CreateApplication(t.Context(), "Acme", "cli")
	must(err)
	editor, _, err := h.PutRole(t.Context(), app.ID, directory.AppRole{DisplayName: "Editor", Value: "editor", Enabled: true}, "cli")
	must(err)
	inner := group("Bergen", id("bo"), id("ada"))
	outer := group("Norway", inner, id("dee"))
	_, err = h.Assign(t.Context(), app.ID, []string{outer, id("cy"), id("eve"), id("gus"), id("hal")}, "cli")
	must(err)
	_, err = h.AssignRole(t.Context(), app.ID, editor.ID, []string{id("ada")}, "cli")
	must(err)

	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	all := provision.FlowAdd | provision.FlowUpdate | provision.FlowDelete
	job, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.AssignedOnly, Actions: &all}, "cli")
	must(err)
	mapping, err := job.Schema.UserMapping()
	must(err)
	filter := []provision.FilterGroup{{Name: "Norway", Clauses: []provision.FilterClause{{SourceOperandName: "country", OperatorName: "EQUALS", TargetOperand: provision.FilterOperand{Values: []string{"Norway"}}}}}}
	_, err = o.jobs.SetMapping(t.Context(), key, mapping.Name, provision.MappingEdit{Scope: &filter}, "cli")
	must(err)
	o.cycle(h, app)

	b := o.operator()
	ask := func(name string) *shown {
		t.Helper()
		return b.get("/d/contoso/users/" + id(name)).click("why").wantStatus(http.StatusOK)
	}

	// 1. Why has Bo no account, although a group that contains Bo's group is assigned?
	ask("bo").wantWords("Bo Berg has no account through this job", "the group “Norway” is assigned, but Bo Berg is in it only through the group “Bergen”", "only direct members count")

	// 2. Why has Cy no account, although Cy is assigned?
	ask("cy").wantWords("Assigned to the application Yes directly", "country EQUALS Norway Scoping filter Norway No country is “Sweden”")

	// 3. Why has Ada the role Editor?
	ask("ada").wantWords("directly with the role “Editor”", "was assigned to Acme with the role Editor command line")

	// 4. Why is Ada not in the group Norway at the application?
	ask("ada").wantWords("Norway Not there The person is in it only through the group “Bergen”, and only direct members are sent")

	// 5. Why does Eve's account have no e-mail address?
	ask("eve").wantWords("emails[type eq \"work\"].value no value from mail no value The same")

	// 6. Why is the active attribute of Ada's account True?
	ask("ada").wantWords("active True How the value is made Switch([IsSoftDeleted]")

	// 7. Why can Hal not use the application, although the account is active here?
	acme, err := o.sites.ByName(t.Context(), "acme")
	must(err)
	people := o.rosters.Open(acme)
	hal, err := people.PersonByUserName(t.Context(), "hal@contoso.example")
	must(err)
	_, err = people.Block(t.Context(), hal.ID, roster.Change{Actor: "admin:kim@acme.example", Via: roster.ViaAdmin})
	must(err)
	set("hal", "jobTitle", "Mate")
	o.cycle(h, app)
	ask("hal").wantWords("Has the account, which the application keeps blocked", "The application keeps the account blocked, although it was told that the person may use it")

	// 8. Who blocked Dee, and when was the account disabled?
	_, err = h.Disable(t.Context(), id("dee"), "operator:kim")
	must(err)
	o.cycle(h, app)
	ask("dee").wantWords("Has a disabled account", "Active in the directory No blocked from sign-in", "Disable User 'dee@contoso.example'", "Dee Holm (dee@contoso.example) was disabled: accountEnabled kim (operator)")

	// 9. Why is Gus still active at the application, although Gus left?
	_, err = o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Status: provision.Off, Scope: provision.AssignedOnly, Actions: &all}, "cli")
	must(err)
	_, err = h.SoftDelete(t.Context(), id("gus"), "operator:kim")
	must(err)
	ask("gus").wantWords("Provisioning is paused, so nothing is sent until it is started", "Has an active account", "The next look disables the account", "deleted on")

	// 10. Why does Ada's account not have the new title?
	set("ada", "jobTitle", "Captain")
	ask("ada").wantWords("title Captain", "no value Differs", "Provisioning is paused", "The next look updates one attribute")
}
