package provision_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// filter returns a scoping filter of one clause.
func filter(attribute, operator string, values ...string) []provision.FilterGroup {
	return []provision.FilterGroup{{Name: attribute, Clauses: []provision.FilterClause{{SourceOperandName: attribute, OperatorName: operator, TargetOperand: provision.FilterOperand{Values: values}}}}}
}

// effect returns the effect of a change of the job.
func (w *world) effect(change func(provision.Job) (provision.Job, error)) provision.Effect {
	w.t.Helper()
	before := w.report().Job
	after, err := change(before)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := w.jobs.Effect(w.t.Context(), before, after)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// setting returns a change of the row that writes a target attribute of users.
func setting(target string, edit func(r *provision.RowEdit)) func(provision.Job) (provision.Job, error) {
	return func(job provision.Job) (provision.Job, error) {
		m, err := job.Schema.ObjectMapping(userRows)
		if err != nil {
			return job, err
		}
		r, replaces := provision.RowEdit{Target: target, Apply: provision.FlowAlways}, ""
		for i := range m.AttributeMappings {
			if m.AttributeMappings[i].TargetAttributeName == target {
				r, replaces = job.Schema.Row(m, &m.AttributeMappings[i]), target
			}
		}
		edit(&r)
		return job.SetRow(userRows, replaces, r, source.UserAttributes{})
	}
}

func (w *world) save(change func(provision.Job) (provision.Job, error)) {
	w.t.Helper()
	if _, err := w.jobs.EditSchema(w.t.Context(), w.key, change, "cli"); err != nil {
		w.t.Fatal(err)
	}
}

func said(e provision.Effect) string {
	return strings.Join(append(e.ValueSentences("Acme", phrase.Count), e.Sentences("Acme", phrase.Count)...), "\n")
}

func wantSaid(t *testing.T, e provision.Effect, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(said(e), part) {
			t.Errorf("%q is not said:\n%s", part, said(e))
		}
	}
}

func TestAnEffectCountsWhoComesIntoScope(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		for i, city := range []string{"London", "London", "Paris", "Rome"} {
			attributes := person(fmt.Sprintf("p%d@contoso.com", i), "Given", fmt.Sprint("Number", i))
			attributes["city"] = city
			w.people.put(fmt.Sprint("p", i), attributes)
		}
		w.cycle()
		scope := filter("city", "EQUALS", "London")
		if _, err := w.jobs.SetMapping(t.Context(), w.key, userRows, provision.MappingEdit{Scope: &scope, Confirmed: 2}, "cli"); err != nil {
			t.Fatal(err)
		}
		w.cycle() // switches the accounts of Paris and Rome off
		wider := func(job provision.Job) (provision.Job, error) {
			return job.WithScope(userRows, append(filter("city", "EQUALS", "London"), filter("city", "EQUALS", "Paris")...))
		}
		got := w.effect(wider)
		if got.Come != 1 || got.On != 1 || got.Join != 0 || len(got.Came) != 1 || got.Came[0].Clause != "city EQUALS Paris" || got.Came[0].Examples[0].Name != "Given Number2" || !got.Matters() {
			t.Errorf("with Paris: %+v", got)
		}
		wantSaid(t, got, "1 user comes into scope because of: city EQUALS Paris. For example Given Number2.")
		got = w.effect(func(job provision.Job) (provision.Job, error) { return job.WithScope(userRows, nil) })
		if got.Come != 2 || got.On != 2 || len(got.Came) != 1 || got.Came[0].Clause != "no scoping filter (until now: city EQUALS London)" {
			t.Errorf("without a filter: %+v", got)
		}
		if got = w.effect(func(job provision.Job) (provision.Job, error) { return job, nil }); got.Matters() {
			t.Errorf("without a change: %+v", got)
		}
	})
}

func TestAnEffectIgnoresADifferenceInCaseUnlessCaseCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	lower := func(target string) provision.Effect {
		return w.effect(setting(target, func(r *provision.RowEdit) {
			r.Type, r.Source = provision.ExpressionMapping, "ToUpper(["+map[string]string{"displayName": "displayName", "externalId": "mailNickname"}[target]+"])"
		}))
	}
	if got := lower("displayName"); got.Changed != 0 || got.Matters() {
		t.Errorf("displayName in capital letters: %+v", got)
	}
	if got := lower("externalId"); got.Changed != 1 { // the case of externalId counts
		t.Errorf("externalId in capital letters: %+v", got)
	}
	w.people.set("p1", "displayName", "ADA LOVELACE")
	w.cycle()
	if got := w.app.user("ada@contoso.com")["displayName"]; got != "ADA LOVELACE" {
		t.Fatalf("displayName is %v", got)
	}
	w.people.set("p1", "displayName", "Ada Lovelace")
	if _, entries := w.cycle(); entries["p1"].Action == provision.Update {
		t.Errorf("a cycle sends a difference in case: %+v", entries["p1"])
	}
}

func TestAnEffectOfWritingEveryAccountCountsThoseWhoseValueDiffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.people.put("p2", person("bo@contoso.com", "Bo", "Berg"))
	w.save(setting("nickName", func(r *provision.RowEdit) {
		r.Type, r.Source, r.Apply = provision.DirectMapping, "city", provision.FlowObjectAddOnly
	}))
	w.cycle()
	w.people.put("p3", person("cy@contoso.com", "Cy", "Cole")) // has no account yet
	w.people.set("p2", "city", "Rome")
	w.cycle()
	w.people.put("p4", person("di@contoso.com", "Di", "Dahl"))
	if got := w.app.user("bo@contoso.com")["nickName"]; got != "Oslo" {
		t.Fatalf("nickName is %v", got)
	}
	got := w.effect(setting("nickName", func(r *provision.RowEdit) { r.Apply = provision.FlowAlways }))
	if got.Changed != 1 || got.Attributes[0].People != 1 || got.Attributes[0].Examples[0].ObjectID != "p2" || got.Attributes[0].Examples[0].Before != "Oslo" || got.Attributes[0].Examples[0].After != "Rome" {
		t.Errorf("from creation to always: %+v", got)
	}
	if got := w.effect(setting("title", func(r *provision.RowEdit) { r.Apply = provision.FlowObjectAddOnly })); got.Matters() {
		t.Errorf("from always to creation: %+v", got)
	}
}

func TestAnEffectOnWhatFindsAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, mail := range map[string]string{"p1": "p1@mail.com", "p2": "p2@mail.com", "p3": ""} {
		attributes := person(id+"@contoso.com", "Given"+id, "Surname")
		if attributes["mail"] = mail; mail == "" {
			delete(attributes, "mail")
		}
		w.people.put(id, attributes)
	}
	w.cycle()
	got := w.effect(setting("userName", func(r *provision.RowEdit) { r.Source = "mail" }))
	if got.Changed != 3 || got.Keyless != 1 || got.NoKey[0].ObjectID != "p3" || !got.Attributes[0].Keeps || got.Attributes[0].Emptied != 1 || len(got.Shared) != 0 {
		t.Errorf("from mail: %+v", got)
	}
	wantSaid(t, got, "1 of them gets no value from the mapping, and an account keeps the value that it has", "1 user has no value in any matching attribute then: no account is found or made for them. For example Givenp3 Surname.")
	for name, edit := range map[string]func(r *provision.RowEdit){
		"a_constant":    func(r *provision.RowEdit) { r.Type, r.Source = provision.ConstantMapping, "everyone" },
		"an_expression": func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, `ToLower([city])` },
	} {
		got := w.effect(setting("userName", edit))
		if len(got.Shared) != 1 || got.Shared[0].People != 3 {
			t.Errorf("%s: %+v", name, got)
		}
		wantSaid(t, got, "userName is the same for 3 users who share it with another one, and Acme may take it only once")
	}
	if got := w.effect(setting("userName", func(r *provision.RowEdit) { r.Source = "displayName" })); len(got.Shared) != 0 {
		t.Errorf("values that differ: %+v", got.Shared)
	}
}

func TestAnEffectOfAnotherExpressionForActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.people.put(fmt.Sprint("p", i), person(fmt.Sprintf("p%d@contoso.com", i), "Given", fmt.Sprint("Number", i)))
	}
	w.people.set("p0", "city", "Rome")
	w.cycle()
	w.people.put("p9", person("p9@contoso.com", "Given", "Nine")) // without an account
	off := setting("active", func(r *provision.RowEdit) {
		r.Type, r.Source = provision.ExpressionMapping, `IIF([city] = "Rome", Not([IsSoftDeleted]), "False")`
	})
	got := w.effect(off)
	if got.SwitchedOff != 2 || got.SwitchedOn != 0 || got.MayDisable() != 3 {
		t.Errorf("off: %+v, may disable %d", got, got.MayDisable())
	}
	wantSaid(t, got, "2 linked accounts at Acme will be switched off by the new value of active.")
	w.save(off)
	got = w.effect(setting("active", func(r *provision.RowEdit) { r.Source = `Not([IsSoftDeleted])` }))
	if got.SwitchedOn != 2 || got.SwitchedOff != 0 || got.MayDisable() != 0 {
		t.Errorf("on: %+v, may disable %d", got, got.MayDisable())
	}
	wantSaid(t, got, "2 linked accounts at Acme will be switched on by the new value of active.")
}

func TestAnEffectNamesNewFailuresOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.save(setting("nickName", func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, `CDate([city])` }))
	if got := w.effect(setting("title", func(r *provision.RowEdit) { r.Source = "employeeId" })); got.Failing != 0 || got.Matters() {
		t.Errorf("another row: %+v", got)
	}
	if got := w.effect(setting("locale", func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, `CDate([displayName])` })); got.Failing != 0 {
		t.Errorf("a second failure of the same person: %+v", got)
	}
}

func TestAnEffectOnGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db)
		ada := g.hire("ada", true)
		for _, name := range []string{"Team Blue", "Team Red", "Board"} {
			g.group(name, ada)
		}
		g.sync()
		filtered := func(job provision.Job) (provision.Job, error) {
			return job.WithScope(groupRows, filter("displayName", "INCLUDES", "Team"))
		}
		got := g.effect(filtered)
		if got.Groups == nil || got.Groups.Leave != 1 || got.Groups.Off != 1 || got.Groups.Left[0].Clause != "displayName INCLUDES Team" || got.Groups.Left[0].Examples[0].Name != "Board" || got.MayDisable() != 1 || got.Leave != 0 {
			t.Errorf("the filter: %+v", got.Groups)
		}
		wantSaid(t, got, "1 group leaves the scope because of: displayName INCLUDES Team. For example Board.", "1 group is deleted at Acme, because Delete is among the Target Object Actions.")
		got = g.effect(func(job provision.Job) (provision.Job, error) {
			return job.SetRow(groupRows, "externalId", provision.RowEdit{Type: provision.ExpressionMapping, Source: `Append([displayName], "!")`, Target: "externalId", Apply: provision.FlowAlways}, source.GroupAttributes{})
		})
		if got.Groups == nil || got.Groups.Changed != 3 || got.Changed != 0 || !got.Matters() {
			t.Errorf("the row: %+v", got.Groups)
		}
		wantSaid(t, got, "3 groups in scope get other values at Acme.", "externalId changes for 3 groups")
		if got = g.effect(setting("title", func(r *provision.RowEdit) { r.Source = "department" })); got.Groups != nil {
			t.Errorf("a row of users: %+v", got.Groups)
		}
		scope := filter("displayName", "INCLUDES", "Team")
		_, err := g.jobs.SetMapping(t.Context(), g.key, groupRows, provision.MappingEdit{Scope: &scope, Confirmed: 1}, "cli")
		g.must(err)
		g.sync()
		got = g.effect(func(job provision.Job) (provision.Job, error) { return job.WithScope(groupRows, nil) })
		if got.Groups == nil || got.Groups.Come != 1 || got.Groups.Make != 1 {
			t.Errorf("without the filter: %+v", got.Groups)
		}
		wantSaid(t, got, "1 group comes into scope because of: no scoping filter (until now: displayName INCLUDES Team). For example Board.", "1 group is made at Acme")
	})
}

func TestRestoringTheDefaultMappingsPassesTheConfirmedNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(setting("title", func(r *provision.RowEdit) { r.Source = "department" }))
	before := w.report().Job
	job, err := w.jobs.RestoreDefaultMappings(t.Context(), w.key, before.LookAtAll, 7, "cli")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.report().Job; got.Confirmed != before.Confirmed+7 || job.Confirmed != got.Confirmed {
		t.Errorf("confirmed are %d, were %d", got.Confirmed, before.Confirmed)
	}
	if got := rowFor(t, job, "title").Source; got != "jobTitle" {
		t.Errorf("title is %s", got)
	}
}

func TestAPlanMarksDrawnValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(setting("nickName", func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, "Guid()" }))
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	drawn := map[string]bool{}
	if _, err := w.engine.Plan(t.Context(), w.key, func(o provision.PlannedObject) error {
		for _, c := range o.Changes {
			drawn[c.Path] = c.Drawn
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if is, planned := drawn["nickName"]; !is || !planned || drawn["displayName"] {
		t.Errorf("the plan marks %v", drawn)
	}
	job := w.report().Job
	got, err := w.jobs.Try(t.Context(), job, userRows, "nickName", *rowFor(t, job, "nickName"), "p1")
	if err != nil || !got.Example {
		t.Errorf("a trial of Guid(): %+v, %v", got, err)
	}
	if got, err = w.jobs.Try(t.Context(), job, userRows, "title", *rowFor(t, job, "title"), "p1"); err != nil || got.Example {
		t.Errorf("a trial of title: %+v, %v", got, err)
	}
	// A value is stable over cycles.
	w.cycle()
	first := w.app.user("ada@contoso.com")["nickName"]
	for range 3 {
		w.people.set("p1", "city", "Rome")
		w.cycle()
	}
	if now := w.app.user("ada@contoso.com")["nickName"]; now != first || now == nil {
		t.Errorf("nickName was %v and is %v", first, now)
	}
}

func TestAnEffectNamesWhoGetsNoAccountForWantOfARequiredValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.cycle()
	w.people.put("p2", person("bo@contoso.com", "Bo", "Berg")) // neither has an account yet
	w.people.put("p3", person("cy@contoso.com", "Cy", "Cole"))
	w.people.set("p3", "jobTitle", "Engineer")
	requires := func(job provision.Job) (provision.Job, error) {
		m, err := job.Schema.UserMapping()
		if err != nil {
			return job, err
		}
		return job.ChangeAttribute(m.Name, provision.TargetList, provision.ListedAttribute{Name: "title", Type: provision.TypeString, Required: true}, source.UserAttributes{})
	}
	got := w.effect(requires)
	if len(got.Lacking) != 1 || got.Lacking[0].People != 1 || !got.Matters() {
		t.Errorf("got %+v, want p2 alone", got)
	}
	wantSaid(t, got, "1 user without an account has no value for title, which is required: no account is made for them. For example Bo Berg.")
	w.save(requires)
	if got := w.effect(setting("title", func(r *provision.RowEdit) { r.Default = "Staff" })); len(got.Lacking) != 0 {
		t.Errorf("with a default value: %+v", got.Lacking)
	}
	if got := w.effect(setting("nickName", func(r *provision.RowEdit) { r.Type, r.Source = provision.DirectMapping, "city" })); len(got.Lacking) != 0 {
		t.Errorf("they lack it already: %+v", got.Lacking)
	}
}

func TestNoneFillsInTheDefaultValueWhereAnAccountHasNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.people.put("p2", person("bo@contoso.com", "Bo", "Berg"))
	w.people.set("p1", "jobTitle", "Engineer")
	w.cycle()
	none := setting("title", func(r *provision.RowEdit) { r.Type, r.Source, r.Default = provision.NoMapping, "", "Staff" })
	if got := w.effect(none); got.Changed != 1 || got.Attributes[0].Examples[0].ObjectID != "p2" {
		t.Errorf("effect: %+v, want p2 alone", got)
	}
	w.save(none)
	w.people.put("p3", person("cy@contoso.com", "Cy", "Cole"))
	w.cycle()
	for upn, want := range map[string]string{"ada@contoso.com": "Engineer", "bo@contoso.com": "Staff", "cy@contoso.com": "Staff"} {
		if got := w.app.user(upn)["title"]; got != want {
			t.Errorf("title of %s: got %v, want %s", upn, got, want)
		}
	}
	if a := attribute(t, w.explain("p1"), "title"); a.State != provision.AttributeKept || a.Account[0] != "Engineer" {
		t.Errorf("Why?: %+v, want that the account keeps its value", a)
	}
	if _, entries := w.cycle(); len(entries) != 0 {
		t.Errorf("one more cycle: %+v, want nothing to do", entries)
	}
}

func TestWhySaysThatAnAccountKeepsAValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.people.set("p1", "jobTitle", "Engineer")
	w.save(setting("title", func(r *provision.RowEdit) {
		r.Type, r.Source = provision.ExpressionMapping, "IgnoreFlowIfNullOrEmpty([jobTitle])"
	}))
	w.cycle()
	if a := attribute(t, w.explain("p1"), "title"); a.State != provision.AttributeSame {
		t.Errorf("with a value: %+v", a)
	}
	w.people.set("p1", "jobTitle", "")
	w.cycle()
	if a := attribute(t, w.explain("p1"), "title"); a.State != provision.AttributeKept || len(a.Values) != 0 || a.Account[0] != "Engineer" {
		t.Errorf("without a value: %+v, want that the account keeps its value", a)
	}
	if got := w.app.user("ada@contoso.com")["title"]; got != "Engineer" {
		t.Errorf("title: got %v", got)
	}
}
