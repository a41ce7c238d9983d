package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// running is an office with 6 people, 2 of them assigned to Acme, whose job has Scope all. After a cycle everybody has a linked account.
func running(t *testing.T) (o *office, h *directory.Handle, key provision.Key) {
	t.Helper()
	return runningWith(t, 6)
}

func runningWith(t *testing.T, people int) (o *office, h *directory.Handle, key provision.Key) {
	t.Helper()
	o = newOffice(t)
	h = o.directory("contoso", manyPeople(people))
	app := must(h.CreateApplication(t.Context(), "Acme", "cli"))
	var ids []string
	for _, upn := range []string{"u0000@contoso.example", "u0001@contoso.example"} {
		ids = append(ids, must(h.UserByUPN(t.Context(), upn)).ObjectID)
	}
	must(h.Assign(t.Context(), app.ID, ids, "cli"))
	tenantURL, token := o.site("acme", site.Full)
	key = provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	must(o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.Everyone}, "cli"))
	o.cycle(h, app)
	if n := must(o.engine.Store.Counts(t.Context(), key)).Linked; n != people {
		t.Fatalf("got %d linked accounts, want %d", n, people)
	}
	return o, h, key
}

func (o *office) wantScope(key provision.Key, scope provision.Scope, status provision.Status) {
	o.t.Helper()
	if job := o.job(key); job.Scope != scope || job.Status != status {
		o.t.Errorf("got scope %s and status %s, want %s and %s", job.Scope, job.Status, scope, status)
	}
}

// A narrower Scope is asked about with the accounts that it switches off, by Save and by Provision now. Nothing typed is lost.
func TestScope_that_switches_accounts_off_is_asked_about(t *testing.T) {
	t.Parallel()
	o, h, key := running(t)
	b := o.operator()
	before := o.job(key)
	ask := b.get(acmeProvisioning).press("Save", url.Values{"scope": {"assigned"}, "tenantURL": {before.TenantURL + "?aadOptscim062020"}, "secretToken": {"typed-token"}})
	ask.wantWords("Leave users out?", "4 users who are in scope now are left out.", "4 linked accounts at Acme will be switched off with the next cycle.", "2 users are in scope then.").wantNoWords("typed-token")
	o.wantScope(key, provision.Everyone, provision.On)

	back := ask.click("Cancel").wantStatus(http.StatusOK)
	if got := back.byID("tenantURL").attr["value"]; got != before.TenantURL+"?aadOptscim062020" || back.byID("scope").all("option")[1].has("selected") {
		t.Errorf("Cancel lost what was typed: Tenant URL %q", got)
	}
	back.wantWords("You typed a token.")
	o.wantScope(key, provision.Everyone, provision.On)

	// Provision now saves the page, so it asks too, and begins its cycle after the answer.
	ask = b.get(acmeProvisioning).press("Provision now", url.Values{"scope": {"assigned"}}).wantWords("4 linked accounts at Acme will be switched off")
	// The number moved: one more is assigned.
	must(h.Assign(t.Context(), key.App, []string{must(h.UserByUPN(t.Context(), "u0002@contoso.example")).ObjectID}, "cli"))
	ask = ask.press("Save", nil).wantWords("3 linked accounts at Acme will be switched off")
	o.wantScope(key, provision.Everyone, provision.On)
	ask.press("Save", nil).wantWords("Provisioning was saved. A cycle begins now.")
	o.wantScope(key, provision.AssignedOnly, provision.On)
}

// What an operator was asked about is not put on hold afterwards, although it is more than one change may do unasked.
func TestScope_that_was_confirmed_is_not_held(t *testing.T) {
	t.Parallel()
	o, h, key := runningWith(t, 10)
	app := must(h.Application(t.Context(), key.App))
	b := o.operator()
	ask := b.get(acmeProvisioning).press("Save", url.Values{"scope": {"assigned"}}).wantWords("8 linked accounts at Acme will be switched off")
	ask.press("Save", nil).wantWords("Provisioning was saved.")
	if r := o.cycle(h, app); r.Disabled != 8 {
		t.Errorf("the cycle disabled %d", r.Disabled)
	}
	b.get(acmeProvisioning).wantNoWords("operation is on hold", "operations are on hold")

	// Everyone is back, and a filter leaves eight out.
	must(o.jobs.Edit(t.Context(), key, func(s *provision.Settings) { s.Scope = provision.Everyone }, "cli"))
	o.cycle(h, app)
	scope := []provision.FilterGroup{{Name: "two", Clauses: []provision.FilterClause{{SourceOperandName: "userPrincipalName", OperatorName: "REGEX MATCH"}}}}
	scope[0].Clauses[0].TargetOperand.Values = []string{"u000[01]@.*"}
	schema := o.job(key).Schema.Clone()
	must(schema.UserMapping()).Scope = &provision.Filter{Groups: scope}
	document := must(schema.JSON())
	b.upload(acmeProvisioning+"/schema", "schema.json", string(document), nil).wantWords("8 linked accounts at Acme will be switched off").press("Import the mappings", nil).wantWords("The mappings were imported")
	if r := o.cycle(h, app); r.Disabled != 8 {
		t.Errorf("the cycle after the import disabled %d", r.Disabled)
	}
}

// While Status is Off a narrower Scope is asked about too: On would switch the accounts off without a word.
func TestScope_is_asked_about_while_off(t *testing.T) {
	t.Parallel()
	o, _, key := running(t)
	must(o.jobs.Pause(t.Context(), key, "cli"))
	ask := o.operator().get(acmeProvisioning).press("Save", url.Values{"scope": {"assigned"}}).wantWords("4 linked accounts at Acme will be switched off once Provisioning Status is On.")
	o.wantScope(key, provision.Everyone, provision.Off)
	ask.press("Save", nil).wantWords("Provisioning was saved.")
	o.wantScope(key, provision.AssignedOnly, provision.Off)
}

// A wider Scope is asked about with the accounts that it makes, where Create is ticked.
func TestScope_that_makes_accounts_is_asked_about(t *testing.T) {
	t.Parallel()
	o, h, key := running(t)
	b := o.operator()
	b.get(acmeProvisioning).press("Save", url.Values{"scope": {"assigned"}}).press("Save", nil).wantWords("Provisioning was saved.")
	for _, upn := range []string{"new1@contoso.example", "new2@contoso.example"} {
		if _, _, err := h.PutUser(t.Context(), directory.User{AccountEnabled: true, Attributes: map[string]any{"userPrincipalName": upn, "displayName": upn}}, "cli"); err != nil {
			t.Fatal(err)
		}
	}
	ask := b.get(acmeProvisioning).press("Save", url.Values{"scope": {"all"}}).wantWords("Take more users into scope?", "2 accounts will be made at Acme with the next cycle", "8 users are in scope then.")
	o.wantScope(key, provision.AssignedOnly, provision.On)

	b.get(acmeUsersMapping).press("Save", url.Values{"create": nil}).wantWords("The mapping was saved.")
	ask.press("Save", nil).wantWords("Provisioning was saved.") // nothing is made any more, so nothing is asked
	o.wantScope(key, provision.Everyone, provision.On)

	// Create itself is asked about in the same way.
	made := b.get(acmeUsersMapping).press("Save", url.Values{"create": {"yes"}}).wantWords("Make accounts at Acme?", "2 accounts will be made at Acme")
	if m := must(o.job(key).Schema.UserMapping()); m.FlowTypes.Has(provision.FlowAdd) {
		t.Error("Create was saved before the answer")
	}
	made.press("Save the mapping", nil).wantWords("The mapping was saved.")
	if m := must(o.job(key).Schema.UserMapping()); !m.FlowTypes.Has(provision.FlowAdd) {
		t.Error("Create was not saved")
	}
}

// Whoever switches on starts what their page showed. What moved since is asked about, whichever button and however it moved.
func TestStaleForm_that_switches_on_is_asked_about(t *testing.T) {
	t.Parallel()
	for _, button := range []string{"Save", "Start provisioning"} {
		for _, moved := range []struct {
			how   string
			move  func(*office, provision.Key)
			words []string
			scope provision.Scope
		}{
			{"scope", func(o *office, _ provision.Key) {
				o.operatorNamed("sam").get(acmeProvisioning).press("Save", url.Values{"scope": {"all"}}).wantWords("Provisioning was saved.")
			}, []string{"Scope was changed since you opened the page. It is now: Sync all users and groups.", "Changed meanwhile by sam (operator), and kept: Scope.", "6 accounts will be made at Acme", "6 users are in scope then."}, provision.Everyone},
			{"actions", func(o *office, key provision.Key) {
				m := must(o.job(key).Schema.UserMapping())
				actions := m.FlowTypes.With(provision.FlowDelete, false)
				must(o.jobs.SetMapping(o.t.Context(), key, m.Name, provision.MappingEdit{Actions: &actions}, "cli"))
			}, []string{"The scope or the mappings were changed since you opened the page.", "Target Object Actions are Add, Update.", "2 accounts will be made", "2 users are in scope then."}, provision.AssignedOnly},
		} {
			t.Run(button+" "+moved.how, func(t *testing.T) {
				t.Parallel()
				o := newOffice(t)
				h := o.directory("contoso", manyPeople(2))
				app := o.app(h, "Acme")
				for _, upn := range []string{"a@contoso.example", "b@contoso.example", "c@contoso.example", "d@contoso.example"} {
					if _, _, err := h.PutUser(t.Context(), directory.User{AccountEnabled: true, Attributes: map[string]any{"userPrincipalName": upn}}, "cli"); err != nil {
						t.Fatal(err)
					}
				}
				tenantURL, token := o.site("acme", site.Full)
				key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
				must(o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.Off, Scope: provision.AssignedOnly}, "cli"))
				tab := o.operator().get(acmeProvisioning)
				moved.move(o, key)
				change := url.Values{}
				if button == "Save" {
					change.Set("status", "On")
				}
				ask := tab.press(button, change).wantWords(append(moved.words, "Start with what was changed meanwhile?")...)
				o.wantScope(key, moved.scope, provision.Off)
				ask.press("Set Provisioning Status to On", nil).wantWords("Provisioning was saved.")
				o.wantScope(key, moved.scope, provision.On)
			})
		}
	}
}

// Delete is asked about with its numbers before it is saved.
func TestMapping_with_Delete_is_asked_about(t *testing.T) {
	t.Parallel()
	o, h, key := running(t)
	b := o.operator()
	b.get(acmeUsersMapping).press("Save", url.Values{"delete": nil}).wantWords("The mapping was saved.")
	must(h.SoftDelete(t.Context(), must(h.UserByUPN(t.Context(), "u0003@contoso.example")).ObjectID, "cli"))
	deletes := func() bool { return must(o.job(key).Schema.UserMapping()).FlowTypes.Has(provision.FlowDelete) }
	ask := b.get(acmeUsersMapping).press("Save", url.Values{"delete": {"yes"}}).wantStatus(http.StatusOK)
	ask.wantWords("Let provisioning delete accounts at Acme?", "the account at Acme is deleted too", "6 accounts are linked", "1 of them belongs to a user who is soft-deleted now")
	if deletes() {
		t.Fatal("Delete was saved before the answer")
	}
	// The number moved.
	must(h.SoftDelete(t.Context(), must(h.UserByUPN(t.Context(), "u0004@contoso.example")).ObjectID, "cli"))
	ask = ask.press("Save the mapping", nil).wantWords("2 of them belong to users who are soft-deleted now")
	if deletes() {
		t.Fatal("Delete was saved although its number moved")
	}
	ask.press("Save the mapping", nil).wantWords("The mapping was saved.")
	if !deletes() {
		t.Error("Delete was not saved")
	}
}

// Restore default mappings is asked about again when the mappings moved after the question.
func TestRestoreDefaultMappings_asks_again_when_they_moved(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	ask := o.operator().get(acmeProvisioning + "/restore")
	o.operatorNamed("sam").get(acmeUsersMapping).press("Save", url.Values{"create": nil}).wantWords("The mapping was saved.")
	creates := func() bool { return must(o.job(key).Schema.UserMapping()).FlowTypes.Has(provision.FlowAdd) }
	again := ask.press("Restore default mappings", nil).wantStatus(http.StatusConflict).wantWords("Nothing was restored yet. sam (operator) changed the scope or the mappings", "Create will be on again")
	if creates() {
		t.Fatal("a stale answer erased what another tab saved")
	}
	o.operator().send(http.MethodPost, acmeProvisioning+"/restore", nil).wantWords("Restore default mappings?")
	if creates() {
		t.Fatal("an answer that names no question erased the mappings")
	}
	again.press("Restore default mappings", nil).wantWords("The default mappings are restored")
	if !creates() {
		t.Error("the mappings were not restored")
	}
}

// Cancel of a question leads back to the form as it was filled in; the page's own address shows what is saved.
func TestCancel_of_a_question_keeps_what_was_typed(t *testing.T) {
	t.Parallel()
	o, _, key := running(t)
	b := o.operator()
	b.get(acmeUsersMapping).press("Save", url.Values{"delete": nil, "create": nil}).wantWords("The mapping was saved.")
	ask := b.get(acmeUsersMapping).press("Save", url.Values{"delete": {"yes"}, "create": {"yes"}}).wantWords("Let provisioning delete accounts at Acme?")
	back := ask.click("Cancel").wantStatus(http.StatusOK)
	if !back.byID("delete").has("checked") || !back.byID("create").has("checked") {
		t.Error("Cancel lost the ticks")
	}
	if m := must(o.job(key).Schema.UserMapping()); m.FlowTypes.Has(provision.FlowDelete) {
		t.Error("Cancel saved the mapping")
	}
	back.press("Save", url.Values{"delete": nil}).wantWords("The mapping was saved.")
	if m := must(o.job(key).Schema.UserMapping()); m.FlowTypes.Has(provision.FlowDelete) || !m.FlowTypes.Has(provision.FlowAdd) {
		t.Errorf("got the actions %s, want those of the form that Cancel showed, without Delete", m.FlowTypes)
	}
	if b.get(acmeUsersMapping).byID("delete").has("checked") {
		t.Error("the page's own address shows what was typed")
	}

	scope := acmeUsersMapping + "/scope"
	filter := url.Values{"filter1.title": {"Engines"}, "filter1.clause1.attribute": {"department"}, "filter1.clause1.value": {"Engines"}}
	back = b.get(scope).press("Save", filter).wantWords("Leave users out?", "5 linked accounts at Acme will be switched off with the next cycle.").click("Cancel").wantStatus(http.StatusOK)
	if title, value := back.byID("filter1.title").attr["value"], back.byID("filter1.clause1.value").text(); title != "Engines" || value != "Engines" {
		t.Errorf("Cancel lost the filter: title %q, value %q", title, value)
	}
	back.press("Save", nil).press("Save the scoping filters", nil).wantWords("The scoping filters were saved.", "department EQUALS Engines")
}

// Without Update no account is switched off: the pages say so, and promise nothing else. Update asks when it would switch accounts off.
func TestMapping_without_Update_switches_nothing_off(t *testing.T) {
	t.Parallel()
	o, _, key := running(t)
	b := o.operator()
	b.get(acmeUsersMapping).press("Save", url.Values{"update": nil}).wantWords("The mapping was saved.", "Update is not ticked: accounts at Acme are not kept up to date, and the account of someone who leaves stays switched on.")
	b.get(acmeUsersMapping).press("Save", url.Values{"create": nil, "delete": nil}).wantWords("No Target Object Action is ticked: nothing is sent to Acme")
	filter := url.Values{"filter1.clause1.attribute": {"department"}, "filter1.clause1.value": {"Engines"}}
	ask := b.get(acmeUsersMapping+"/scope").press("Save", filter)
	ask.wantWords("Leave users out?", "5 users who are in scope now are left out. Their accounts at Acme stay as they are: Update is not among the Target Object Actions.").wantNoWords("switched off")
	ask.press("Save the scoping filters", nil).wantWords("The scoping filters were saved.")

	ask = b.get(acmeUsersMapping).press("Save", url.Values{"update": {"yes"}}).wantWords("Switch accounts off at Acme?", "5 linked accounts at Acme will be switched off with the next cycle.")
	if m := must(o.job(key).Schema.UserMapping()); m.FlowTypes.Has(provision.FlowUpdate) {
		t.Error("Update was saved before the answer")
	}
	ask.press("Save the mapping", nil).wantWords("The mapping was saved.").wantNoWords("is not ticked")
}

// Restart provisioning says how many people it looks at again.
func TestRestart_asks_with_its_numbers(t *testing.T) {
	t.Parallel()
	o, h, _ := running(t)
	must(h.SoftDelete(t.Context(), must(h.UserByUPN(t.Context(), "u0003@contoso.example")).ObjectID, "cli"))
	o.operator().get(acmeProvisioning+"/restart").wantWords("Restart provisioning?", "compared with Acme: 5 users, 6 linked accounts.")
}

// A Tenant URL at another application is asked about with the accounts that stay behind.
func TestTenantURL_of_another_application_is_asked_about(t *testing.T) {
	t.Parallel()
	o, h, key := running(t)
	b := o.operator()
	before := o.job(key)
	must(h.SoftDelete(t.Context(), must(h.UserByUPN(t.Context(), "u0005@contoso.example")).ObjectID, "cli"))
	elsewhere := strings.Replace(before.TenantURL, "/c/acme/", "/c/other/", 1)
	ask := b.get(acmeProvisioning).press("Save", url.Values{"tenantURL": {elsewhere}})
	ask.wantWords("Leave the accounts at the old address?", "6 linked accounts at the old one stay as they are", "1 of them belongs to a user who should not have access any more and is switched off first, if the old application allows it.")
	if got := o.job(key).TenantURL; got != before.TenantURL {
		t.Errorf("the Tenant URL is %q before the answer", got)
	}
	ask.press("Save", nil).wantWords("Provisioning was saved.", "1 account at the old application was switched off.")
	if got := o.job(key).TenantURL; got != elsewhere {
		t.Errorf("the Tenant URL is %q, want %q", got, elsewhere)
	}
}
