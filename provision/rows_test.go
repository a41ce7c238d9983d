package provision_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/store"
)

// row returns a valid row that edit has changed.
func row(edit func(r *provision.RowEdit)) provision.RowEdit {
	r := provision.RowEdit{Type: provision.DirectMapping, Source: "employeeId", Target: "nickName", Apply: provision.FlowAlways}
	edit(&r)
	return r
}

func defaultJob(t *testing.T) provision.Job {
	t.Helper()
	schema, err := template()
	if err != nil {
		t.Fatal(err)
	}
	return provision.Job{Schema: schema, Scope: provision.AssignedOnly}
}

func rowFor(t *testing.T, job provision.Job, target string) *provision.RowEdit {
	t.Helper()
	m, err := job.Schema.ObjectMapping(userRows)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.AttributeMappings {
		if m.AttributeMappings[i].TargetAttributeName == target {
			r := job.Schema.Row(m, &m.AttributeMappings[i])
			return &r
		}
	}
	return nil
}

func TestARowIsReadBackAsItWasSet(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(r *provision.RowEdit){
		"direct":      func(*provision.RowEdit) {},
		"constant":    func(r *provision.RowEdit) { r.Type, r.Source = provision.ConstantMapping, `Say "hi", [x]` },
		"expression":  func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, `ToUpper([givenName], )` },
		"none":        func(r *provision.RowEdit) { r.Type, r.Source, r.Default = provision.NoMapping, "", "n/a" },
		"default":     func(r *provision.RowEdit) { r.Default = "none yet" },
		"precedence":  func(r *provision.RowEdit) { r.Precedence = 2 },
		"only_create": func(r *provision.RowEdit) { r.Apply = provision.FlowObjectAddOnly },
		"flow_null":   func(r *provision.RowEdit) { r.FlowNull = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job, want := defaultJob(t), row(edit)
			changed, err := job.SetRow(userRows, "", want, source.UserAttributes{})
			if err != nil {
				t.Fatal(err)
			}
			got := rowFor(t, changed, "nickName")
			if got == nil || *got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if rowFor(t, job, "nickName") != nil {
				t.Error("the job that was given has changed")
			}
			document, err := changed.Schema.JSON()
			if err != nil {
				t.Fatal(err)
			}
			again, err := provision.ParseSchema(document)
			if err != nil {
				t.Fatal(err)
			}
			if got := rowFor(t, provision.Job{Schema: again}, "nickName"); got == nil || *got != want {
				t.Errorf("after export and import: got %+v, want %+v", got, want)
			}
		})
	}
}

func TestAnExpressionOfOneAttributeIsDirect(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]provision.MappingType{"[employeeId]": provision.DirectMapping, `"x"`: provision.ConstantMapping} {
		changed, err := defaultJob(t).SetRow(userRows, "", row(func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, text }), source.UserAttributes{})
		if err != nil {
			t.Fatal(err)
		}
		if got := rowFor(t, changed, "nickName"); got.Type != want {
			t.Errorf("%s became %+v, want type %s", text, got, want)
		}
	}
}

func TestARowThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		replaces string
		edit     func(r *provision.RowEdit)
		field    string
		says     string
	}{
		"a_long_default":       {"", func(r *provision.RowEdit) { r.Default = strings.Repeat("ä", 10_001) }, "Default value if null", "more than 10000 characters"},
		"a_long_constant":      {"", func(r *provision.RowEdit) { r.Type, r.Source = provision.ConstantMapping, strings.Repeat("x", 9_999) }, "Constant Value", "more than 9998 characters"},
		"no_target":            {"", func(r *provision.RowEdit) { r.Target = "" }, "Target attribute", "choose an attribute"},
		"unknown_target":       {"", func(r *provision.RowEdit) { r.Target = "nickname" }, "Target attribute", "case counts, write nickName"},
		"the_key":              {"", func(r *provision.RowEdit) { r.Target = "id" }, "Target attribute", "only the application sets"},
		"mapped_already":       {"", func(r *provision.RowEdit) { r.Target = "title" }, "Target attribute", "title is mapped already"},
		"moved_onto_another":   {"displayName", func(r *provision.RowEdit) { r.Target = "title" }, "Target attribute", "title is mapped already"},
		"row_that_is_gone":     {"nickName", func(*provision.RowEdit) {}, "Target attribute", `"nickName" is not mapped`},
		"user_name_renamed":    {"userName", func(*provision.RowEdit) {}, "userName", "stays mapped"},
		"no_source":            {"", func(r *provision.RowEdit) { r.Source = "" }, "Source attribute", "choose an attribute"},
		"unknown_source":       {"", func(r *provision.RowEdit) { r.Source = "employeeid" }, "Source attribute", "case counts: write [employeeId]"},
		"empty_constant":       {"", func(r *provision.RowEdit) { r.Type, r.Source = provision.ConstantMapping, "" }, "Constant Value", "is empty"},
		"empty_expression":     {"", func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, " " }, "Expression", "is empty"},
		"none_without_default": {"", func(r *provision.RowEdit) { r.Type, r.Source = provision.NoMapping, "" }, "Default value if null", "would do nothing"},
		"unknown_type":         {"", func(r *provision.RowEdit) { r.Type = "Magic" }, "Mapping type", "Direct, Constant, Expression or None"},
		"precedence_taken":     {"", func(r *provision.RowEdit) { r.Precedence = 1 }, "Matching precedence", "another row's"},
		"precedence_negative":  {"", func(r *provision.RowEdit) { r.Precedence = -1 }, "Matching precedence", "from 1"},
		"match_without_value": {"", func(r *provision.RowEdit) {
			r.Type, r.Source, r.Default, r.Precedence = provision.NoMapping, "", "x", 2
		}, "Match objects using this attribute", "needs a value"},
		"unknown_apply": {"", func(r *provision.RowEdit) { r.Apply = "Sometimes" }, "Apply this mapping", "Always or ObjectAddOnly"},
		"text_for_a_boolean": {"active", func(r *provision.RowEdit) {
			r.Target, r.Type, r.Source = "active", provision.ConstantMapping, "perhaps"
		}, "Constant Value", "Boolean"},
		"meta":                   {"", func(r *provision.RowEdit) { r.Target = "meta.created" }, "Target attribute", "read-only"},
		"groups_of_a_user":       {"", func(r *provision.RowEdit) { r.Target = "groups" }, "Target attribute", "read-only"},
		"marked_read_only":       {"", func(r *provision.RowEdit) { r.Target = "badge" }, "Target attribute", "read-only"},
		"string_for_a_reference": {"", func(r *provision.RowEdit) { r.Target = managerPath }, "Source attribute", "leads to no other object"},
		"constant_for_a_reference": {"", func(r *provision.RowEdit) {
			r.Type, r.Source, r.Target = provision.ConstantMapping, "Ada", managerPath
		}, "Constant Value", "leads to no other object"},
		"last_matching_goes": {"userName", func(r *provision.RowEdit) { r.Target, r.Source, r.Precedence = "userName", "userPrincipalName", 0 }, "Mapping", "no row has a matching precedence"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := defaultJob(t)
			users, err := job.Schema.Directories[len(job.Schema.Directories)-1].Object("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"meta.created", "groups", "badge"} {
				users.Attributes = append(users.Attributes, provision.AttributeDefinition{Name: name, Type: provision.TypeString, Mutability: map[string]provision.Mutability{"badge": provision.ReadOnly}[name]})
			}
			before, _ := job.Schema.JSON()
			_, err = job.SetRow(userRows, tt.replaces, row(tt.edit), source.UserAttributes{})
			var input *provision.InputError
			if !errors.As(err, &input) || input.Field != tt.field || !strings.Contains(input.Text, tt.says) {
				t.Errorf("got %v, want field %q with %q", err, tt.field, tt.says)
			}
			if after, _ := job.Schema.JSON(); !slices.Equal(before, after) {
				t.Error("the refused row changed the job")
			}
		})
	}
}

func TestAWrongExpressionIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for text, column := range map[string]int{
		`Join(" ", [givenName], [surnam])`: 24, `ToLower([givenName], "xx_YY")`: 22, `DateAdd("yyyy", 99999, [employeeHireDate])`: 1,
		`RandomString(5, 0, 0, 0, 5, "abcdefghijklmnopqrstuvwxyz")`: 29, `Append(SelectUniqueValue([mail], [givenName]), "x")`: 8, `ToUper([givenName])`: 1, `Join(" ", [givenName]`: 1,
	} {
		_, err := defaultJob(t).SetRow(userRows, "", row(func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, text }), source.UserAttributes{})
		var wrong *provision.ExpressionError
		var place *expr.SyntaxError
		if !errors.As(err, &wrong) || !errors.As(err, &place) || place.Column != column || place.Suggestion == "" {
			t.Errorf("%s: got %v (%+v), want column %d", text, err, place, column)
		}
	}
}

func TestRowsAreRemovedAndMoved(t *testing.T) {
	t.Parallel()
	job := defaultJob(t)
	targets := func(j provision.Job) []string {
		m, err := j.Schema.ObjectMapping(userRows)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, r := range m.AttributeMappings {
			list = append(list, r.TargetAttributeName)
		}
		return list
	}
	before := targets(job)
	less, err := job.RemoveRow(userRows, "title", source.UserAttributes{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := targets(less), slices.DeleteFunc(slices.Clone(before), func(s string) bool { return s == "title" }); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	moved, err := job.MoveRow(userRows, "externalId", 2, source.UserAttributes{})
	if err != nil {
		t.Fatal(err)
	}
	if got := targets(moved); got[1] != "externalId" || got[2] != before[1] || len(got) != len(before) {
		t.Errorf("after the move: %v", got)
	}
	for _, place := range []int{0, len(before) + 1} {
		if _, err := job.MoveRow(userRows, "externalId", place, source.UserAttributes{}); err == nil {
			t.Errorf("place %d was accepted", place)
		}
	}
	second, err := job.SetRow(userRows, "externalId", row(func(r *provision.RowEdit) { r.Target, r.Source, r.Precedence = "externalId", "mailNickname", 2 }), source.UserAttributes{})
	if err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string]error{
		"userName": refusalOf(second.RemoveRow(userRows, "userName", source.UserAttributes{})),
		"nickName": refusalOf(second.RemoveRow(userRows, "nickName", source.UserAttributes{})),
	} {
		var input *provision.InputError
		if !errors.As(refused, &input) {
			t.Errorf("%s: got %v, want an InputError", name, refused)
		}
	}
	if !slices.Equal(targets(job), before) {
		t.Error("the job that was given has changed")
	}
}

func refusalOf(_ provision.Job, err error) error { return err }

func TestAChangedRowIsInTheAuditTrailAndReachesTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.cycle()
	edit := row(func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, `ToUpper([givenName], )` })
	job, err := w.jobs.EditSchema(t.Context(), w.key, func(now provision.Job) (provision.Job, error) {
		return now.SetRow(userRows, "", edit, source.UserAttributes{})
	}, "kim@contoso.com")
	if err != nil {
		t.Fatal(err)
	}
	w.cycle()
	if got := w.app.user("ada@contoso.com")["nickName"]; got != "ADA" {
		t.Errorf("nickName is %v", got)
	}
	events, err := store.Events{DB: w.db}.Read(t.Context(), eventScope(w.key), zeroPosition, 100)
	if err != nil {
		t.Fatal(err)
	}
	last := events[len(events)-1]
	if last.Name != event.ProvisioningMappingChanged || last.Actor != "kim@contoso.com" || !strings.Contains(last.Text, "nickName") || !strings.Contains(string(last.Data), "ToUpper") {
		t.Errorf("the last event is %+v", last)
	}
	again, err := w.jobs.EditSchema(t.Context(), w.key, func(now provision.Job) (provision.Job, error) {
		return now.SetRow(userRows, "nickName", edit, source.UserAttributes{})
	}, "kim@contoso.com")
	if err != nil || again.Version != job.Version {
		t.Errorf("the same row again: version %d, was %d, %v", again.Version, job.Version, err)
	}
}

func TestEffectOfAMappingAndAFilter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, city := range map[string]string{"p1": "London", "p2": "London", "p3": "Paris", "p4": ""} {
		attributes := person(id+"@contoso.com", "Given"+id, "Surname")
		delete(attributes, "city")
		if city != "" {
			attributes["city"] = city
		}
		attributes["jobTitle"] = "Clerk"
		w.people.put(id, attributes)
	}
	before := w.report().Job
	after, err := before.SetRow(userRows, "title", provision.RowEdit{Type: provision.DirectMapping, Source: "city", Target: "title", Apply: provision.FlowAlways}, source.UserAttributes{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.jobs.Effect(t.Context(), before, after)
	if err != nil {
		t.Fatal(err)
	}
	if got.Examined != 4 || got.Changed != 4 || len(got.Attributes) != 1 || got.Attributes[0].Target != "title" || got.Attributes[0].People != 4 || got.Attributes[0].Emptied != 1 {
		t.Errorf("the effect of the row is %+v", got)
	}
	if e := got.Attributes[0].Examples[0]; e.ObjectID != "p1" || e.Before != "Clerk" || e.After != "London" {
		t.Errorf("the first example is %+v", e)
	}
	filtered, err := before.WithScope(userRows, []provision.FilterGroup{{Name: "London", Clauses: []provision.FilterClause{{SourceOperandName: "city", OperatorName: "EQUALS", TargetOperand: provision.FilterOperand{Values: []string{"London"}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err = w.jobs.Effect(t.Context(), before, filtered); err != nil {
		t.Fatal(err)
	}
	if got.Leave != 2 || len(got.Left) != 1 || got.Left[0].Clause != "city EQUALS London" || got.Left[0].People != 2 || got.Left[0].Examples[0].ObjectID != "p3" || got.Changed != 0 {
		t.Errorf("the effect of the filter is %+v", got)
	}
}

func TestTryShowsTheValuesOfARow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, title := range map[string]string{"p1": "Clerk", "p2": "", "p3": "20240101"} {
		attributes := person(id+"@contoso.com", "Given"+id, "Surname")
		if title != "" {
			attributes["jobTitle"] = title
		}
		w.people.put(id, attributes)
	}
	job := w.report().Job
	edit := provision.RowEdit{Type: provision.ExpressionMapping, Source: `ToUpper([jobTitle], )`, Target: "title", Apply: provision.FlowAlways}
	got, err := w.jobs.Try(t.Context(), job, userRows, "title", edit, "p1")
	if err != nil {
		t.Fatal(err)
	}
	if got.Chosen == nil || !slices.Equal(got.Chosen.Values, []string{"CLERK"}) || got.Trace == nil || got.Trace.Value.Text() != "CLERK" || len(got.Trace.Steps) != 1 {
		t.Errorf("the chosen person has %+v, by %+v", got.Chosen, got.Trace)
	}
	if got.Examined != 3 || !got.All || got.Empties != 1 || got.Empty[0].ObjectID != "p2" || got.Failures != 0 || len(got.Drawn) == 0 {
		t.Errorf("got %+v", got)
	}
	edit.Source = `FormatDateTime([jobTitle], , "yyyyMMdd", "yyyy")`
	if got, err = w.jobs.Try(t.Context(), job, userRows, "title", edit, ""); err != nil {
		t.Fatal(err)
	}
	if got.Chosen == nil || got.Failures != 1 || got.Failing[0].ObjectID != "p1" || got.Failing[0].Problem == "" {
		t.Errorf("got %+v", got)
	}
	edit.Source = `Redact([jobTitle])`
	if got, err = w.jobs.Try(t.Context(), job, userRows, "title", edit, "p1"); err != nil {
		t.Fatal(err)
	}
	if !got.Chosen.Hidden || got.Chosen.Values != nil || !got.Trace.IsRedacted() {
		t.Errorf("the value behind Redact is shown: %+v", got.Chosen)
	}
	if _, err := w.jobs.Try(t.Context(), job, userRows, "title", row(func(r *provision.RowEdit) { r.Target = "title"; r.Source = "nothing" }), ""); err == nil {
		t.Error("an unknown attribute was tried")
	}
}

func TestAChangeStopsDisablingWhenActiveNoLongerTellsWhoMustNotHaveAccess(t *testing.T) {
	t.Parallel()
	rows := func(sources map[string]string) *provision.ObjectMapping {
		m := &provision.ObjectMapping{Name: "Users"}
		for _, target := range slices.Sorted(maps.Keys(sources)) {
			e, err := expr.Parse(sources[target])
			if err != nil {
				t.Fatal(err)
			}
			m.AttributeMappings = append(m.AttributeMappings, provision.AttributeMapping{TargetAttributeName: target, Source: e.Source()})
		}
		return m
	}
	const state = "Not([IsSoftDeleted])"
	onlyNew := rows(map[string]string{"active": state})
	onlyNew.AttributeMappings[0].FlowType = provision.FlowObjectAddOnly
	if always := rows(map[string]string{"active": state}); !provision.StopsDisabling(always, onlyNew) || provision.StopsDisabling(onlyNew, always) {
		t.Error("a row that writes only new accounts switches nobody off")
	}
	for name, tt := range map[string]struct {
		was, is map[string]string
		stops   bool
	}{
		"the row is removed":        {map[string]string{"active": state}, map[string]string{}, true},
		"another value":             {map[string]string{"active": state}, map[string]string{"active": `"True"`}, true},
		"another target":            {map[string]string{"active": state}, map[string]string{"userType": state}, true},
		"accountEnabled instead":    {map[string]string{"active": state}, map[string]string{"active": "[accountEnabled]"}, false},
		"another row goes":          {map[string]string{"active": state, "userType": state}, map[string]string{"active": state}, false},
		"active goes, another stay": {map[string]string{"active": state, "userType": state}, map[string]string{"userType": state}, true},
		"an attribute of its own":   {map[string]string{"enabled": state}, map[string]string{"enabled": state}, false},
		"it did not before":         {map[string]string{"active": `"True"`}, map[string]string{}, false},
	} {
		if got := provision.StopsDisabling(rows(tt.was), rows(tt.is)); got != tt.stops {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestAProblemOfARowHasItsPlaceInTheTextAsItWasTyped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := setting("nickName", func(r *provision.RowEdit) {
		r.Type, r.Source = provision.ExpressionMapping, "Join(\" \",\n [city],\n [nope])"
	})(w.report().Job)
	var syntax *expr.SyntaxError
	if !errors.As(err, &syntax) || syntax.Line != 3 || syntax.Column != 2 {
		t.Errorf("got %v, want a problem in line 3, column 2", err)
	}
}
