package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

const acmeRow = acmeUsersMapping + "/row?row="

// storedRow returns the row that writes the target attribute, as it is stored, or nil.
func (o *office) storedRow(key provision.Key, target string) *provision.RowEdit {
	o.t.Helper()
	job := o.job(key)
	m, err := job.Schema.UserMapping()
	if err != nil {
		o.t.Fatal(err)
	}
	for i := range m.AttributeMappings {
		if m.AttributeMappings[i].TargetAttributeName == target {
			row := job.Schema.Row(m, &m.AttributeMappings[i])
			return &row
		}
	}
	return nil
}

// assignedOffice is provisioned with everybody assigned.
func assignedOffice(t *testing.T) (*office, provision.Key) {
	t.Helper()
	o, key, _ := provisioned(t)
	h := must(o.directories.OpenNamed(t.Context(), "contoso"))
	var ids []string
	if err := h.EachUser(t.Context(), directory.UserQuery{}, func(u directory.User) error {
		ids = append(ids, u.ObjectID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	must(h.Assign(t.Context(), key.App, ids, "cli"))
	return o, key
}

// A row is added, changed, moved and removed on its page, and each input has its effect.
func TestRowsOfAMapping(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operator()
	add := b.get(acmeUsersMapping).click("Add New Mapping").wantStatus(http.StatusOK)
	ask := add.press("Save", url.Values{"target": {"nickName"}, "source": {"givenName"}, "default": {" none "}, "match": {"yes"}, "precedence": {"2"}, "apply": {"ObjectAddOnly"}, "flownull": {"yes"}})
	ask.wantWords("The mapping of nickName was saved.", "givenName", "Default value if null: none", "Only during object creation")
	if got, want := o.storedRow(key, "nickName"), (provision.RowEdit{Type: provision.DirectMapping, Source: "givenName", Default: " none ", Target: "nickName", Precedence: 2, Apply: provision.FlowObjectAddOnly, FlowNull: true}); got == nil || *got != want {
		t.Errorf("stored %+v, want %+v", got, want)
	}
	row := b.get(acmeRow + "nickName")
	ask = row.press("Save", url.Values{"type": {"Expression"}, "expression": {`ToUpper([givenName], )`}, "match": {"no"}, "apply": {"Always"}, "flownull": nil, "default": {""}})
	ask.wantWords("Change values at Acme?", "3 users in scope get other values at Acme.", "nickName changes for 3 users.", "Ada Lovelace: no value → ADA")
	if got := o.storedRow(key, "nickName"); got.Type != provision.DirectMapping {
		t.Errorf("saved before the answer: %+v", got)
	}
	back := ask.click("Cancel").wantStatus(http.StatusOK)
	if got := back.byID("expression").text(); got != `ToUpper([givenName], )` {
		t.Errorf("Cancel lost the expression: %q", got)
	}
	ask.press("Save the mapping", nil).wantWords("The mapping of nickName was saved.")
	if got, want := o.storedRow(key, "nickName"), (provision.RowEdit{Type: provision.ExpressionMapping, Source: `ToUpper([givenName], )`, Target: "nickName", Apply: provision.FlowAlways}); *got != want {
		t.Errorf("stored %+v, want %+v", got, want)
	}
	b.get(acmeRow+"nickName").press("Save", nil).wantWords("Nothing was changed")
	b.get(acmeRow+"nickName").press("Save", url.Values{"place": {"1"}}).wantWords("was saved")
	if m := must(o.job(key).Schema.UserMapping()); m.AttributeMappings[0].TargetAttributeName != "nickName" || m.AttributeMappings[1].TargetAttributeName != "userName" {
		t.Errorf("the first rows are %s and %s", m.AttributeMappings[0].TargetAttributeName, m.AttributeMappings[1].TargetAttributeName)
	}
	remove := b.get(acmeRow+"nickName").click("Delete").wantWords("Remove the mapping of nickName?", "The value that it has now stays.")
	remove.press("Remove the mapping of nickName", nil).wantWords("The mapping of nickName was removed.")
	if o.storedRow(key, "nickName") != nil {
		t.Error("the row is still there")
	}
	b.get(acmeRow + "nickName").wantStatus(http.StatusNotFound).wantWords("This attribute is not mapped")
}

func TestRowsThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operator()
	before := *o.storedRow(key, "title")
	for _, wrong := range []struct {
		form  url.Values
		words []string
	}{
		{url.Values{"type": {"Expression"}, "expression": {`Join(" ", ToUper([surname]))`}}, []string{`Join(" ", ToUper([surname]))`, "^", "there is no function ToUper; did you mean ToUpper?"}},
		{url.Values{"source": {"jobtitle"}}, []string{"the source object has no attribute jobtitle: case counts: write [jobTitle]"}},
		{url.Values{"source": {""}}, []string{"Source attribute is empty: choose an attribute"}},
		{url.Values{"match": {"yes"}, "precedence": {"1"}}, []string{"1 is another row's"}},
		{url.Values{"match": {"yes"}, "precedence": {"first"}}, []string{"is a number from 1"}},
		{url.Values{"target": {"displayName"}}, []string{"displayName is mapped already"}},
		{url.Values{"type": {"None"}}, []string{"the row would do nothing"}},
		{url.Values{"place": {"99"}}, []string{"the mapping has the rows 1 to 19"}},
	} {
		page := b.get(acmeRow+"title").press("Save", wrong.form).wantStatus(http.StatusUnprocessableEntity).wantWords(wrong.words...)
		for name, values := range wrong.form {
			if in := page.byID(name); in != nil && in.tag == "textarea" && in.text() != values[0] {
				t.Errorf("%s lost what was typed: %q", name, in.text())
			}
		}
		if got := *o.storedRow(key, "title"); got != before {
			t.Errorf("%v was saved: %+v", wrong.form, got)
		}
	}
	b.get(acmeUsersMapping+"/row/remove?row=userName").wantWords("The mapping was not removed", "userName stays mapped")
}

// The page shows what a row yields before it is saved, for a person, for some drawn at random and for those who get nothing.
func TestARowIsTried(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operator()
	page := b.get(acmeRow+"title").press("Try", url.Values{"type": {"Expression"}, "expression": {`ToUpper([jobTitle], )`}, "person": {"ada@contoso.example"}}).wantStatus(http.StatusOK)
	page.wantWords("Ada Lovelace", "ANALYST", "REAR ADMIRAL", "[jobTitle] Analyst", "山田 雪 no value", "Of all 3 active users that the job can reach, 1 has no value, and the mapping fails for 0.")
	if got := page.byID("expression").text(); got != `ToUpper([jobTitle], )` {
		t.Errorf("Try lost the expression: %q", got)
	}
	page.press("Try", url.Values{"person": {"nobody@contoso.example"}}).wantWords("There is no user nobody@contoso.example in this directory.")
	page.press("Try", url.Values{"expression": {`[jobTitle`}}).wantWords("^")
	if got := o.storedRow(key, "title"); got.Type != provision.DirectMapping {
		t.Errorf("Try saved the row: %+v", got)
	}
}

// Without active nobody is switched off any more: the question says so with the number of accounts.
func TestRemovingActiveNamesTheAccounts(t *testing.T) {
	t.Parallel()
	o, _, _ := running(t)
	b := o.operator()
	b.get(acmeUsersMapping+"/row/remove?row=active").wantWords("Remove the mapping of active?", "No mapping tells Acme any more who must not have access. The 6 linked accounts stay as they are when their users leave.")
	// So does its row that writes another attribute: that row still reads IsSoftDeleted.
	for _, typed := range []url.Values{{"target": {"userType"}}, {"apply": {"ObjectAddOnly"}}} {
		b.get(acmeRow+"active").press("Save", typed).wantWords("Stop switching accounts off?", "No mapping tells Acme any more who must not have access.")
	}
}

func TestTheMappingOfGroupsSpeaksOfGroups(t *testing.T) {
	t.Parallel()
	o, _, _ := running(t)
	b := o.operator()
	b.get(acmeGroupsMapping).wantWords("Create makes a group that is not there yet.").wantNoWords("Create makes an account")
	b.get(acmeUsersMapping).wantWords("Create makes an account for a person who has none there.").wantNoWords("Create makes a group")
	b.get(acmeGroupsMapping + "/row/remove?row=members").wantWords("members of a group at Acme is not kept up to date any more.")
}

// A filter that leaves people out names the clause and the people before it is saved.
func TestAFilterNamesWhoLeavesAndWhy(t *testing.T) {
	t.Parallel()
	o, _ := assignedOffice(t)
	ask := o.operator().get(acmeUsersMapping+"/scope").press("Save", url.Values{"filter1.title": {"Engines"}, "filter1.clause1.attribute": {"department"}, "filter1.clause1.value": {"Engines"}})
	ask.wantWords("Leave users out?", "1 user leaves the scope because of: department EQUALS Engines.", "For example Grace Hopper.")
}

func TestStaleForm_of_a_row(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	stale := o.operator().get(acmeRow + "title")
	o.operatorNamed("sam").get(acmeRow+"title").press("Save", url.Values{"default": {"Guest"}}).wantWords("was saved")
	stale.press("Save", url.Values{"flownull": {"yes"}}).wantWords("was saved", "Changed meanwhile by sam (operator), and kept: Default value if null.")
	if got := o.storedRow(key, "title"); got.Default != "Guest" || !got.FlowNull {
		t.Errorf("stored %+v, want both changes", got)
	}
	stale = o.operator().get(acmeRow + "title")
	o.operatorNamed("sam").get(acmeRow+"title").press("Save", url.Values{"default": {"Theirs"}}).wantWords("was saved")
	stale.press("Save", url.Values{"default": {"Mine"}}).wantStatus(http.StatusConflict).wantWords("Theirs", "Mine")
}

// Rows of groups have the same page: the expression builder, and what the row yields for groups of the directory.
func TestARowOfGroupsIsTried(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	h := must(o.directories.OpenNamed(t.Context(), "contoso"))
	var ids []string
	for _, name := range []string{"Sales", "Engines"} {
		g, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": name, "description": "of " + name}}, "cli")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, g.ObjectID)
	}
	ada := must(h.UserByUPN(t.Context(), "ada@contoso.example"))
	if _, err := h.AddMembers(t.Context(), ids[0], []string{ada.ObjectID}, "cli"); err != nil {
		t.Fatal(err)
	}
	must(h.Assign(t.Context(), key.App, ids, "cli"))
	b := o.operator()
	groups := acmeProvisioning + "/mappings/Provision%20Azure%20Active%20Directory%20Groups/row?row="
	page := b.get(groups + "displayName").wantStatus(http.StatusOK)
	page.wantWords("What this mapping yields for groups of the directory", "Functions", "Sales", "Engines", "Of all 2 groups that the job can reach, 0 have no value")
	page = page.press("Try", url.Values{"type": {"Expression"}, "expression": {`ToUpper([displayName], )`}, "person": {"sales"}}).wantStatus(http.StatusOK)
	page.wantWords("SALES", "[displayName] Sales", "ENGINES")
	page.press("Try", url.Values{"person": {"Marketing"}}).wantWords("There is no group Marketing in this directory. Type a display name or an object id.")
	page.press("Try", url.Values{"expression": {`ToUpper([surname], )`}}).wantWords("no attribute surname", "^")
	page.press("Save", nil).wantWords("The mapping of displayName was saved.")
	b.get(groups+"members").wantWords("1 member", "1 has no value")
}
