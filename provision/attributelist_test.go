package provision_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/provision"
)

const tagURN = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:tag"

// listedAs returns an attribute of the default job's lists after export and import. It returns nil
// if the list does not have the attribute.
func listedAs(t *testing.T, job provision.Job, side provision.ListSide, name string) *provision.ListedAttribute {
	t.Helper()
	document, err := job.Schema.JSON()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := provision.ParseSchema(document)
	if err != nil {
		t.Fatal(err)
	}
	m, err := schema.ObjectMapping(userRows)
	if err != nil {
		t.Fatal(err)
	}
	list, err := schema.AttributeList(m, side)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if a.Name == name {
			return &a
		}
	}
	return nil
}

func TestAListedAttributeIsReadBackAsItWasSet(t *testing.T) {
	t.Parallel()
	user := "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	for _, want := range []provision.ListedAttribute{
		{Name: tagURN, Type: provision.TypeString},
		{Name: "level", Type: provision.TypeInteger, Required: true},
		{Name: "tags", Type: provision.TypeString, MultiValue: true, ExactCase: true},
		{Name: "since", Type: provision.TypeDateTime},
		{Name: "key", Type: provision.TypeBinary},
		{Name: "billable", Type: provision.TypeBoolean},
		{Name: "assistant", Type: provision.TypeReference, Referenced: user},
		{Name: "assistant", Type: provision.TypeReference, Referenced: user + ".id"},
	} {
		job := defaultJob(t)
		added, err := job.AddAttribute(userRows, provision.TargetList, want, nil)
		if err != nil {
			t.Fatal(want.Name, err)
		}
		if got := listedAs(t, added, provision.TargetList, want.Name); !cmp.Equal(got, &want) {
			t.Errorf("got (-) want (+) %s", cmp.Diff(got, &want))
		}
		if listedAs(t, job, provision.TargetList, want.Name) != nil {
			t.Error("the job that was given has changed")
		}
		changed := want
		changed.Required = !want.Required
		again, err := added.ChangeAttribute(userRows, provision.TargetList, changed, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := listedAs(t, again, provision.TargetList, want.Name); !cmp.Equal(got, &changed) {
			t.Errorf("changed: got (-) want (+) %s", cmp.Diff(got, &changed))
		}
		gone, err := again.RemoveAttribute(userRows, provision.TargetList, want.Name, nil)
		if err != nil || listedAs(t, gone, provision.TargetList, want.Name) != nil {
			t.Errorf("%s was not removed: %v", want.Name, err)
		}
	}
	want := provision.ListedAttribute{Name: "mailNickname", Type: provision.TypeInteger, FlowNull: true}
	changed, err := defaultJob(t).ChangeAttribute(userRows, provision.SourceList, want, source.UserAttributes{})
	got := listedAs(t, changed, provision.SourceList, "mailNickname")
	if err != nil || got.Type != want.Type || !got.FlowNull || len(got.Uses) == 0 {
		t.Errorf("the source attribute is %+v, %v", got, err)
	}
}

func TestAnAttributeThatCannotBeListedIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		side  provision.ListSide
		edit  provision.ListedAttribute
		field string
		says  string
	}{
		"no_name":             {"target", provision.ListedAttribute{}, "Name", "is empty"},
		"there_already":       {"target", provision.ListedAttribute{Name: "DisplayName"}, "Name", "as displayName"},
		"space":               {"target", provision.ListedAttribute{Name: "tag "}, "Name", "ends with a space"},
		"no_path":             {"target", provision.ListedAttribute{Name: "my tag"}, "Name", "not the name of a SCIM attribute"},
		"short_urn":           {"target", provision.ListedAttribute{Name: "CustomExtensionName:tag"}, "Name", "no full URN: write it whole, as in " + tagURN},
		"schema_only":         {"target", provision.ListedAttribute{Name: strings.TrimSuffix(tagURN, ":tag")}, "Name", "is a schema, not an attribute"},
		"space_in_urn":        {"target", provision.ListedAttribute{Name: strings.Replace(tagURN, "Custom", "My ", 1)}, "Name", "no full URN"},
		"core_urn":            {"target", provision.ListedAttribute{Name: "urn:ietf:params:scim:schemas:core:2.0:User:shoeSize"}, "Name", "write it without its URN, shoeSize"},
		"too_long":            {"target", provision.ListedAttribute{Name: strings.Repeat("a", 501)}, "Name", "500 characters"},
		"type":                {"target", provision.ListedAttribute{Name: "tag", Type: "Number"}, "Type", "String, Integer, Boolean, DateTime, Binary or Reference"},
		"second_key":          {"target", provision.ListedAttribute{Name: "tag", Type: provision.TypeString, PrimaryKey: true}, "Primary key", "is id"},
		"several_in_a_filter": {"target", provision.ListedAttribute{Name: `ims[type eq "x"].value`, Type: provision.TypeString, MultiValue: true}, "Multi-value", "add the attribute itself, ims"},
		"several_references":  {"target", provision.ListedAttribute{Name: "tag", Type: provision.TypeReference, MultiValue: true}, "Multi-value", "cannot be ticked"},
		"reference_to_what":   {"target", provision.ListedAttribute{Name: "tag", Type: provision.TypeReference}, "Referenced Object Attribute", "is empty"},
		"reference_to_none":   {"target", provision.ListedAttribute{Name: "tag", Type: provision.TypeReference, Referenced: "Device"}, "Referenced Object Attribute", "names no object"},
		"reference_to_groups": {"target", provision.ListedAttribute{Name: "tag", Type: provision.TypeReference, Referenced: "urn:ietf:params:scim:schemas:core:2.0:Group"}, "Referenced Object Attribute", "from an account to an account"},
		"reference_to_a_name": {"target", provision.ListedAttribute{Name: "tag", Type: provision.TypeReference, Referenced: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.userName"}, "Referenced Object Attribute", "2.0:User.id"},
		"string_that_refers":  {"target", provision.ListedAttribute{Name: "tag", Type: provision.TypeString, Referenced: "x"}, "Referenced Object Attribute", "type Reference only"},
		"unknown_source":      {"source", provision.ListedAttribute{Name: "shoeSize", Type: provision.TypeString}, "Name", "no attribute of the directory"},
		"which_list":          {"both", provision.ListedAttribute{Name: "tag"}, "Attribute list", "source or target"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := defaultJob(t)
			before, _ := job.Schema.JSON()
			_, err := job.AddAttribute(userRows, tt.side, tt.edit, source.UserAttributes{})
			var input *provision.InputError
			if !errors.As(err, &input) || input.Field != tt.field || !strings.Contains(input.Text, tt.says) {
				t.Errorf("got %v, want field %q with %q", err, tt.field, tt.says)
			}
			if after, _ := job.Schema.JSON(); !slices.Equal(before, after) {
				t.Error("the refused attribute changed the job")
			}
		})
	}
}

func TestWhatIsUsedStaysInTheList(t *testing.T) {
	t.Parallel()
	job, err := defaultJob(t).WithScope(userRows, []provision.FilterGroup{filterOf("country", "EQUALS", "Norway")})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		side provision.ListSide
		says string
	}{
		"id":            {"target", "it is the primary key"},
		"displayName":   {"target", `of "` + userRows + `" writes it`},
		"surname":       {"source", "the row name.familyName of"},
		"country":       {"source", "reads it"},
		"objectId":      {"source", "it is the primary key"},
		"IsSoftDeleted": {"source", "who may have an account"},
		"missing":       {"source", "is not in the attribute list"},
	} {
		_, err := job.RemoveAttribute(userRows, tt.side, name, source.UserAttributes{})
		var input *provision.InputError
		if !errors.As(err, &input) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want %q", name, err, tt.says)
		}
	}
	for _, change := range []struct {
		side provision.ListSide
		a    provision.ListedAttribute
		says string
	}{
		{"target", provision.ListedAttribute{Name: "active", Type: provision.TypeInteger}, "the row active of"},
		{"target", provision.ListedAttribute{Name: "id", Type: provision.TypeString}, "stays id"},
		{"source", provision.ListedAttribute{Name: "accountEnabled", Type: provision.TypeString}, "is Boolean in the directory"},
		{"source", provision.ListedAttribute{Name: "city", Type: provision.TypeString, MultiValue: true}, "it has one value"},
	} {
		if _, err := job.ChangeAttribute(userRows, change.side, change.a, source.UserAttributes{}); err == nil || !strings.Contains(err.Error(), change.says) {
			t.Errorf("%+v: got %v, want %q", change.a, err, change.says)
		}
	}
}

func filterOf(attribute, operator string, values ...string) provision.FilterGroup {
	return provision.FilterGroup{Name: "filter", Clauses: []provision.FilterClause{{SourceOperandName: attribute, OperatorName: operator, TargetOperand: provision.FilterOperand{Values: values}}}}
}

// The attribute list decides what a row may say. The pickers of the page and the checker of
// expressions use it.
func TestTheRowsFollowTheAttributeLists(t *testing.T) {
	t.Parallel()
	job := defaultJob(t)
	custom := row(func(r *provision.RowEdit) { r.Target = tagURN })
	if _, err := job.SetRow(userRows, "", custom, source.UserAttributes{}); err == nil || !strings.Contains(err.Error(), "Add it to the list first") {
		t.Errorf("before it is listed: %v", err)
	}
	listed, err := job.AddAttribute(userRows, provision.TargetList, provision.ListedAttribute{Name: tagURN, Type: provision.TypeInteger, Required: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := listed.Schema.ObjectMapping(userRows)
	if got := listed.Schema.UnmappedRequired(m); !slices.Equal(got, []string{tagURN}) {
		t.Errorf("required and not mapped: %v", got)
	}
	custom.Type, custom.Source = provision.ConstantMapping, "many"
	if _, err := listed.SetRow(userRows, "", custom, source.UserAttributes{}); err == nil || !strings.Contains(err.Error(), "Integer") {
		t.Errorf("a constant that is no number: %v", err)
	}
	custom.Source = "7"
	mapped, err := listed.SetRow(userRows, "", custom, source.UserAttributes{})
	if err != nil {
		t.Fatal(err)
	}
	m, _ = mapped.Schema.ObjectMapping(userRows)
	if got := mapped.Schema.UnmappedRequired(m); len(got) != 0 {
		t.Errorf("required and not mapped: %v", got)
	}
	less, err := job.RemoveAttribute(userRows, provision.SourceList, "employeeType", source.UserAttributes{})
	if err != nil {
		t.Fatal(err)
	}
	gone := row(func(r *provision.RowEdit) { r.Source = "employeeType" })
	if _, err := less.SetRow(userRows, "", gone, source.UserAttributes{}); err == nil || !strings.Contains(err.Error(), "no attribute employeeType") {
		t.Errorf("after it is no longer listed: %v", err)
	}
	back, err := less.AddAttribute(userRows, provision.SourceList, provision.ListedAttribute{Name: "employeeType", Type: provision.TypeString}, source.UserAttributes{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := back.SetRow(userRows, "", gone, source.UserAttributes{}); err != nil {
		t.Error(err)
	}
}

// TestTypesOfTheListOnTheWire maps one attribute of each type and reads the values that the
// application receives.
func TestTypesOfTheListOnTheWire(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		list   provision.ListedAttribute
		source string // an expression
		want   string // the JSON value in the create; "" if the person fails
		says   string
	}{
		"string":       {provision.ListedAttribute{Name: tagURN, Type: provision.TypeString}, `"007"`, `"urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User":{"tag":"007"}`, ""},
		"integer":      {provision.ListedAttribute{Name: tagURN, Type: provision.TypeInteger}, `[employeeId]`, `{"tag":7}`, ""},
		"boolean":      {provision.ListedAttribute{Name: tagURN, Type: provision.TypeBoolean}, `IIF([city]="Oslo", "True", "False")`, `{"tag":true}`, ""},
		"date":         {provision.ListedAttribute{Name: tagURN, Type: provision.TypeDateTime}, `Trim("2026-01-31")`, `{"tag":"2026-01-31T00:00:00Z"}`, ""},
		"binary":       {provision.ListedAttribute{Name: tagURN, Type: provision.TypeBinary}, `"SGVsbG8="`, `{"tag":"SGVsbG8="}`, ""},
		"several":      {provision.ListedAttribute{Name: "tags", Type: provision.TypeString, MultiValue: true}, `Split("a,b", ",")`, `"tags":["a","b"]`, ""},
		"one_of_many":  {provision.ListedAttribute{Name: "tags", Type: provision.TypeString, MultiValue: true}, `"a"`, `"tags":["a"]`, ""},
		"several_ints": {provision.ListedAttribute{Name: "levels", Type: provision.TypeInteger, MultiValue: true}, `Split("1,20", ",")`, `"levels":[1,20]`, ""},
		"no_integer":   {provision.ListedAttribute{Name: tagURN, Type: provision.TypeInteger}, `[displayName]`, "", `takes a whole number, and the mapping yields "Ada Lovelace"`},
		"no_date":      {provision.ListedAttribute{Name: tagURN, Type: provision.TypeDateTime}, `[displayName]`, "", "takes a date and time"},
		"no_binary":    {provision.ListedAttribute{Name: tagURN, Type: provision.TypeBinary}, `[displayName]`, "", "takes bytes in Base64"},
		"too_many":     {provision.ListedAttribute{Name: tagURN, Type: provision.TypeString}, `[otherMails]`, "", "takes one value, and there are 2"},
		"missing":      {provision.ListedAttribute{Name: tagURN, Type: provision.TypeString, Required: true}, `[faxNumber]`, "", "The application needs " + tagURN},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ada := person("ada@contoso.com", "Ada", "Lovelace")
			ada["employeeId"], ada["otherMails"] = "7", []string{"a@b.example", "c@d.example"}
			w.people.put("p1", ada)
			w.mapListed(tt.list, strings.ReplaceAll(tt.source, "faxNumber", "facsimileTelephoneNumber"))
			_, entries := w.cycle()
			w.app.mu.Lock()
			sent := strings.Join(w.app.bodies, "\n")
			w.app.mu.Unlock()
			if tt.want == "" {
				if said, _ := json.Marshal(entries["p1"]); sent != "" || !strings.Contains(strings.ReplaceAll(string(said), `\"`, `"`), tt.says) {
					t.Errorf("sent %q and logged %s, want nothing and %q", sent, said, tt.says)
				}
				return
			}
			if !strings.Contains(sent, tt.want) {
				t.Errorf("sent %s, want it to hold %s", sent, tt.want)
			}
			if strings.HasPrefix(tt.list.Name, "urn:") && !strings.Contains(sent, `2.0:User","urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"]`) {
				t.Errorf("the extension is not in schemas: %s", sent)
			}
		})
	}
}

// mapListed adds an attribute to the application's list, and a row that writes it.
func (w *world) mapListed(a provision.ListedAttribute, expression string) {
	w.t.Helper()
	_, err := w.jobs.EditSchema(w.t.Context(), w.key, func(now provision.Job) (provision.Job, error) {
		now, err := now.AddAttribute(userRows, provision.TargetList, a, nil)
		if err != nil {
			return now, err
		}
		return now.SetRow(userRows, "", provision.RowEdit{Type: provision.ExpressionMapping, Source: expression, Target: a.Name, Apply: provision.FlowAlways}, source.UserAttributes{})
	}, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
}

// An instant that the application shows in another form is not sent again.
func TestADateThatAnApplicationShowsDifferentlyIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.mapListed(provision.ListedAttribute{Name: "since", Type: provision.TypeDateTime}, `Trim("2026-01-31T09:00:00Z")`)
	w.app.add(map[string]any{
		"userName": "ada@contoso.com", "active": true, "displayName": "Ada Lovelace", "since": "2026-01-31T10:00:00.000+01:00",
	})
	w.cycle()
	w.app.mu.Lock()
	sent := strings.Join(w.app.bodies, "\n")
	w.app.mu.Unlock()
	if strings.Contains(sent, "since") {
		t.Errorf("the same instant was sent: %s", sent)
	}
}

// Flow null values has an effect only if both the row and the source attribute have the setting.
func TestFlowNullValuesOfTheSourceAttribute(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			w.app.add(map[string]any{"userName": "ada@contoso.com", "active": true, "nickName": "Countess"})
			_, err := w.jobs.EditSchema(t.Context(), w.key, func(now provision.Job) (provision.Job, error) {
				now, err := now.ChangeAttribute(userRows, provision.SourceList, provision.ListedAttribute{Name: "employeeId", Type: provision.TypeString, FlowNull: on}, source.UserAttributes{})
				if err != nil {
					return now, err
				}
				return now.SetRow(userRows, "", row(func(r *provision.RowEdit) { r.FlowNull = true }), source.UserAttributes{})
			}, "cli")
			if err != nil {
				t.Fatal(err)
			}
			w.cycle()
			if _, has := w.app.user("ada@contoso.com")["nickName"]; has == on {
				t.Errorf("with Flow null values %t at the source, the account has a nickName: %t", on, has)
			}
		})
	}
}

func TestAChangedListIsAVersionAndInTheAuditTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mapListed(provision.ListedAttribute{Name: tagURN, Type: provision.TypeString}, `"x"`)
	versions, err := w.jobs.Versions(t.Context(), w.key, 0, 5)
	if err != nil || len(versions) < 2 || !strings.Contains(versions[0].Words, "Attribute list of customappsso") {
		t.Fatalf("got %+v, %v", versions, err)
	}
	job, err := w.jobs.GoBack(t.Context(), w.key, versions[1].Number, allowed, "cli")
	if err != nil || listedAs(t, job, provision.TargetList, tagURN) != nil {
		t.Errorf("the earlier version has the attribute: %v", err)
	}
}
