package provision_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/provision/templates"
)

func guideSchema(t testing.TB) *provision.Schema {
	t.Helper()
	b, err := templates.Get(templates.Guide)
	if err != nil {
		t.Fatal(err)
	}
	s, err := provision.ParseSchema(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func gallerySchema(t testing.TB) (*provision.Schema, []byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/gallery-app-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := provision.ParseSchema(b)
	if err != nil {
		t.Fatal(err)
	}
	return s, b
}

func TestSchema_compiles_the_guides_user_mapping(t *testing.T) {
	t.Parallel()
	s := guideSchema(t)
	users, err := s.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := s.Compile(users, source.UserAttributes{})
	if err != nil {
		t.Fatal(err)
	}
	if len(compiled) != 19 {
		t.Fatalf("got %d rows, want 19", len(compiled))
	}
	active, externalID := compiled[1], compiled[18]
	got := []any{active.Row, active.Target, active.Expr.String(), active.Type, active.Required, active.FlowType, externalID.Row, externalID.Target, externalID.CaseExact}
	want := []any{2, "active", `Switch([IsSoftDeleted], , "False", "True", "True", "False")`, provision.TypeBoolean, true, provision.FlowAlways, 19, "externalId", true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	matching := provision.Matching(compiled)
	if len(matching) != 1 || matching[0].Target != "userName" {
		t.Errorf("matching rows: got %v, want userName alone", matching)
	}
	groups, err := s.GroupMapping()
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := s.Compile(groups, source.UserAttributes{}); err != nil || len(rows) != 3 || rows[2].Type != provision.TypeReference || !rows[2].Multivalued {
		t.Errorf("group rows: got %v, %v", rows, err)
	}
}

func TestMatching_follows_the_precedence(t *testing.T) {
	t.Parallel()
	s := guideSchema(t)
	users, _ := s.UserMapping()
	users.AttributeMappings[0].MatchingPriority = 2
	users.AttributeMappings[18].MatchingPriority = 1
	compiled, err := s.Compile(users, source.UserAttributes{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range provision.Matching(compiled) {
		got = append(got, row.Target)
	}
	if diff := cmp.Diff([]string{"externalId", "userName"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSchema_keeps_a_foreign_document(t *testing.T) {
	t.Parallel()
	s, document := gallerySchema(t)
	written, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := errors.Join(json.Unmarshal(document, &want), json.Unmarshal(written, &got)); err != nil {
		t.Fatal(err)
	}
	// Graph writes flags with and without spaces; Rollcall keeps one form.
	mapping := want.(map[string]any)["synchronizationRules"].([]any)[0].(map[string]any)["objectMappings"].([]any)[0].(map[string]any)
	mapping["flowTypes"] = "Add,Update,Delete"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-document +written):\n%s", diff)
	}
}

func TestSchema_Validate_takes_every_function_of_a_foreign_document(t *testing.T) {
	t.Parallel()
	s, _ := gallerySchema(t)
	if err := s.Validate(source.UserAttributes{}); err != nil {
		t.Errorf("%v", err)
	}
}

// rowErrors returns all row errors in an error, including those in joined errors inside.
func rowErrors(t *testing.T, err error) []*provision.RowError {
	t.Helper()
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*provision.RowError
		for _, e := range joined.Unwrap() {
			all = append(all, rowErrors(t, e)...)
		}
		return all
	}
	row, ok := err.(*provision.RowError)
	if !ok {
		t.Fatalf("got %T (%v), want a *RowError", err, err)
	}
	return []*provision.RowError{row}
}

func TestSchema_Validate_explains(t *testing.T) {
	t.Parallel()
	sourceOf := func(text string) *provision.AttributeMappingSource {
		e, err := expr.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return e.Source()
	}
	tests := []struct {
		name   string
		change func(s *provision.Schema, users *provision.ObjectMapping)
		want   []string
	}{
		{"an_unknown_target_attribute", func(_ *provision.Schema, m *provision.ObjectMapping) {
			m.AttributeMappings[3].TargetAttributeName = "Title"
		}, []string{
			`mapping "Provision Azure Active Directory Users": row 4 (Title): the target object urn:ietf:params:scim:schemas:extension:enterprise:2.0:User has no such attribute; case counts, write title`,
		}},
		{"an_unknown_source_attribute", func(_ *provision.Schema, m *provision.ObjectMapping) {
			m.AttributeMappings[8].Source = sourceOf(`Join(" ", [GivenName], [nickname])`)
		}, []string{
			`mapping "Provision Azure Active Directory Users": row 9 (name.formatted): the source object User has no attribute GivenName; case counts, write givenName`,
			`mapping "Provision Azure Active Directory Users": row 9 (name.formatted): the source object User has no attribute nickname`,
		}},
		{"an_expression_that_cannot_be_read", func(_ *provision.Schema, m *provision.ObjectMapping) {
			m.AttributeMappings[1].Source = &provision.AttributeMappingSource{Type: expr.TypeFunction, Name: "switch", Expression: `switch([IsSoftDeleted], "a", "b")`}
		}, []string{
			`mapping "Provision Azure Active Directory Users": row 2 (active): line 1, column 1: there is no function switch; case counts: write Switch`,
		}},
		{"no_matching_attribute", func(_ *provision.Schema, m *provision.ObjectMapping) { m.AttributeMappings[0].MatchingPriority = 0 }, []string{
			`mapping "Provision Azure Active Directory Users": no row has a matching precedence: give one, such as userName, precedence 1`,
		}},
		{"nothing_about_matching_in_a_disabled_mapping", func(_ *provision.Schema, m *provision.ObjectMapping) {
			m.AttributeMappings[0].MatchingPriority = 0
			m.Enabled = false
		}, nil},
		{"a_negative_precedence", func(_ *provision.Schema, m *provision.ObjectMapping) { m.AttributeMappings[2].MatchingPriority = -1 }, []string{
			`mapping "Provision Azure Active Directory Users": row 3 (displayName): the matching precedence is -1: write 1 or more, or 0 for none`,
		}},
		{"a_matching_attribute_without_source", func(_ *provision.Schema, m *provision.ObjectMapping) { m.AttributeMappings[0].Source = nil }, []string{
			`mapping "Provision Azure Active Directory Users": row 1 (userName): a matching attribute needs a source: give the row one`,
		}},
		{"a_target_attribute_twice", func(_ *provision.Schema, m *provision.ObjectMapping) {
			m.AttributeMappings[3].TargetAttributeName = "displayName"
		}, []string{
			`mapping "Provision Azure Active Directory Users": row 4 (displayName): row 3 has the same target attribute: remove one`,
		}},
		{"a_mapped_key", func(_ *provision.Schema, m *provision.ObjectMapping) {
			m.AttributeMappings[3].TargetAttributeName = "id"
		}, []string{
			`mapping "Provision Azure Active Directory Users": row 4 (id): the target's key cannot be mapped: remove the row`,
		}},
		{"an_unknown_flow_type", func(_ *provision.Schema, m *provision.ObjectMapping) { m.AttributeMappings[3].FlowType = "Sometimes" }, []string{
			`mapping "Provision Azure Active Directory Users": row 4 (title): flowType is "Sometimes": write Always or ObjectAddOnly`,
		}},
		{"an_unknown_flow_behavior", func(_ *provision.Schema, m *provision.ObjectMapping) {
			m.AttributeMappings[3].FlowBehavior = "Sometimes"
		}, []string{
			`mapping "Provision Azure Active Directory Users": row 4 (title): flowBehavior is "Sometimes": write FlowWhenChanged or FlowAlways`,
		}},
		{"an_unknown_target_object", func(_ *provision.Schema, m *provision.ObjectMapping) { m.TargetObjectName = "Person" }, []string{
			`mapping "Provision Azure Active Directory Users": the directory "customappsso" has no object "Person"`,
		}},
		{"an_unknown_directory", func(s *provision.Schema, _ *provision.ObjectMapping) {
			s.SynchronizationRules[0].TargetDirectoryName = "elsewhere"
			s.SynchronizationRules[0].ObjectMappings = s.SynchronizationRules[0].ObjectMappings[1:]
		}, []string{
			`mapping "Provision Azure Active Directory Users": the schema has no directory "elsewhere"`,
		}},
		{"two_anchors", func(s *provision.Schema, _ *provision.ObjectMapping) {
			s.Directories[0].Objects[0].Attributes[1].Anchor = true
		}, []string{
			`directory "Azure Active Directory", object "User": it has 2 anchors: mark exactly one attribute as anchor`,
		}},
		{"an_unknown_type", func(s *provision.Schema, _ *provision.ObjectMapping) {
			s.Directories[0].Objects[0].Attributes[3].Type = "Text"
		}, []string{
			`directory "Azure Active Directory", object "User": the attribute appRoleAssignments has the type "Text": write String, Integer, Reference, Binary, Boolean or DateTime`,
		}},
		{"an_attribute_defined_twice", func(s *provision.Schema, _ *provision.ObjectMapping) {
			s.Directories[0].Objects[0].Attributes[3].Name = "city"
		}, []string{
			`directory "Azure Active Directory", object "User": the attribute city is defined twice: remove one`,
		}},
		{"two_mappings_of_one_name", func(s *provision.Schema, m *provision.ObjectMapping) {
			s.SynchronizationRules[0].ObjectMappings[0].Name = m.Name
		}, []string{
			`mapping "Provision Azure Active Directory Users": another object mapping has this name: give each its own`,
		}},
		{"no_mappings", func(s *provision.Schema, _ *provision.ObjectMapping) { s.SynchronizationRules[0].ObjectMappings = nil }, []string{
			`the schema has no object mappings: add one, or restore the default mappings`,
		}},
		{"a_scope_that_reads_an_unknown_attribute", func(_ *provision.Schema, m *provision.ObjectMapping) {
			m.Scope = &provision.Filter{Groups: []provision.FilterGroup{{Name: "Oslo", Clauses: []provision.FilterClause{{SourceOperandName: "City", OperatorName: "EQUALS"}}}}}
		}, []string{
			`mapping "Provision Azure Active Directory Users": the scope "Oslo" reads City, which the source object User does not have; case counts, write city`,
		}},
		{"nothing_about_the_sources_newer_name", func(s *provision.Schema, _ *provision.ObjectMapping) { s.Directories[0].Name = "Microsoft Entra ID" }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := guideSchema(t)
			users, err := s.UserMapping()
			if err != nil {
				t.Fatal(err)
			}
			tt.change(s, users)
			var got []string
			for _, e := range rowErrors(t, s.Validate(source.UserAttributes{})) {
				got = append(got, e.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSchema_Compile_refuses_a_mapping_of_another_schema(t *testing.T) {
	t.Parallel()
	foreign, err := guideSchema(t).UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guideSchema(t).Compile(foreign, source.UserAttributes{}); err == nil || !strings.Contains(err.Error(), "belongs to no rule") {
		t.Errorf("got %v", err)
	}
}

func TestSchema_Clone_leaves_the_original_alone(t *testing.T) {
	t.Parallel()
	s := guideSchema(t)
	before, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	c := s.Clone()
	users, err := c.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	users.FlowTypes = users.FlowTypes.With(provision.FlowAdd|provision.FlowDelete, false)
	users.AttributeMappings[0].MatchingPriority = 5
	users.AttributeMappings = users.AttributeMappings[:3]
	users.Metadata[0].Value = "true"
	c.SynchronizationRules[0].ObjectMappings[0].Enabled = false
	after, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("the original changed (-before +after):\n%s", diff)
	}
}

func TestParseSchema(t *testing.T) {
	t.Parallel()
	s, err := provision.ParseSchema([]byte("\xef\xbb\xbf" + `{"@odata.context": "x", "synchronizationRules": [{"name": "r", "objectMappings": [
		{"name": "m", "flowTypes": " add , UPDATE", "unknown": {"deep": [1]}, "attributeMappings": [{"targetAttributeName": "title", "defaultValue": "", "source": {"name": "jobTitle", "type": "Attribute"}}]}]}],
		"directories": [{"name": "d", "objects": [{"name": "o", "attributes": [{"name": "a"}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	m := s.ObjectMappings()[0]
	a := s.Directories[0].Objects[0].Attributes[0]
	_, hasDefault := m.AttributeMappings[0].Default()
	got := []any{m.FlowTypes.String(), m.AttributeMappings[0].FlowType, m.AttributeMappings[0].FlowBehavior, hasDefault, a.Type, a.Mutability}
	want := []any{"Add,Update", provision.FlowAlways, provision.FlowWhenChanged, false, provision.TypeString, provision.ReadWrite}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Graph's defaults (-want +got):\n%s", diff)
	}
	b, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{`"parameters": []`, `"metadata": []`, `"referencedObjects": []`, `"scope": null`} {
		if !strings.Contains(string(b), member) {
			t.Errorf("the written document lacks %s:\n%s", member, b)
		}
	}
}

func TestParseSchema_explains(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"no_json", `schema`, "read the schema document: line 1 is not JSON"},
		{"an_end_that_is_missing", "{\n\"id\": [", "line 2 is not JSON"},
		{"a_list", `[1]`, "the document is of the kind array, and has to be an object"},
		{"a_string_for_true", `{"synchronizationRules": [{"objectMappings": [{"enabled": "yes"}]}]}`, "synchronizationRules.objectMappings.enabled is of the kind string, and has to be true or false"},
		{"another_document", `{"value": []}`, "no synchronizationRules"},
		{"an_unknown_action", `{"synchronizationRules": [{"objectMappings": [{"flowTypes": "Add,Upsert"}]}]}`, `"Upsert" is no flow type`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := provision.ParseSchema([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestFlowTypes(t *testing.T) {
	t.Parallel()
	all := provision.FlowAdd | provision.FlowUpdate | provision.FlowDelete
	update := all.With(provision.FlowAdd, false).With(provision.FlowDelete, false)
	if update != provision.FlowUpdate || update.Has(provision.FlowAdd) || !all.Has(provision.FlowAdd|provision.FlowDelete) || update.Has(all) {
		t.Errorf("got %s, want Update alone", update)
	}
	got := []string{all.String(), update.String(), provision.FlowTypes(0).String(), update.With(provision.FlowAdd, true).String()}
	if diff := cmp.Diff([]string{"Add,Update,Delete", "Update", "None", "Add,Update"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{"None", "", "Add, Update, Delete", "delete,add,update"} {
		f, err := provision.ParseFlowTypes(text)
		if err != nil || !slices.Contains([]provision.FlowTypes{0, all}, f) {
			t.Errorf("ParseFlowTypes(%q): got %s, %v", text, f, err)
		}
	}
}
