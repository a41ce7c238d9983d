package expr_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

func TestExpr_Check(t *testing.T) {
	t.Parallel()
	source := []expr.Attribute{
		{Name: "givenName", Type: expr.AttributeString},
		{Name: "mail", Type: expr.AttributeString},
		{Name: "accountEnabled", Type: expr.AttributeBoolean},
		{Name: "level", Type: expr.AttributeInteger},
		{Name: "otherMails", Type: expr.AttributeString, Multivalued: true},
		{Name: "manager", Type: expr.AttributeReference},
		{Name: "appRoleAssignments", Type: expr.AttributeString, Multivalued: true},
	}
	text := &expr.Attribute{Name: "title", Type: expr.AttributeString}
	boolean := &expr.Attribute{Name: "active", Type: expr.AttributeBoolean}
	integer := &expr.Attribute{Name: "level", Type: expr.AttributeInteger}
	date := &expr.Attribute{Name: "hireDate", Type: expr.AttributeDateTime}
	several := &expr.Attribute{Name: "roles", Type: expr.AttributeString, Multivalued: true}
	reference := &expr.Attribute{Name: "manager", Type: expr.AttributeReference}
	tests := []struct {
		name, text string
		place      expr.Place
		errs       []string
		notes      []string
	}{
		{"nothing_wrong", `Join(" ", [givenName], [mail])`, expr.Place{Target: text}, nil, nil},
		{
			"an_unknown_attribute", `Join(" ", [GivenName], [maill], [nothing])`,
			expr.Place{},
			[]string{
				"1:11 the source object has no attribute GivenName; case counts: write [givenName]",
				"1:24 the source object has no attribute maill; did you mean [mail]?",
				"1:33 the source object has no attribute nothing; write the name of one of its attributes, or add the attribute to its list",
			},
			nil,
		},
		{"a_boolean_where_a_number_belongs", `Left([mail], [accountEnabled])`, expr.Place{}, []string{
			"1:14 the argument numChars of Left must be a whole number, not a boolean; write Left(string, numChars)",
		}, nil},
		{"an_integer_where_a_number_belongs", `Left([mail], [level])`, expr.Place{}, nil, nil},
		{"several_values_where_one_belongs", `Left([otherMails], 3)`, expr.Place{}, nil, []string{"1:6 otherMails can have several values and Left takes one; Item picks one, Join makes one string of them"}},
		{"several_values_where_they_belong", `Join(",", [otherMails])`, expr.Place{}, nil, nil},
		{"a_constant_that_a_boolean_cannot_be", `Switch([mail], , "a", "True", "b", "Yes")`, expr.Place{Target: boolean}, []string{
			`1:36 active must be "True" or "False"; the target attribute has the type Boolean; change the expression or the attribute's type`,
		}, nil},
		{"booleans_for_a_boolean", `IIF([mail] = "a", Not([accountEnabled]), "false")`, expr.Place{Target: boolean}, nil, nil},
		{"a_date_for_a_boolean", `IIF([mail] = "a", Now(), [accountEnabled])`, expr.Place{Target: boolean}, []string{
			"1:19 active must be True or False, not a date; the target attribute has the type Boolean; change the expression or the attribute's type",
		}, nil},
		{"a_number_for_a_boolean", `Count([otherMails])`, expr.Place{Target: boolean}, []string{
			"1:1 active must be True or False, not a number; the target attribute has the type Boolean; change the expression or the attribute's type",
		}, nil},
		{"a_boolean_for_an_integer", `IsPresent([mail])`, expr.Place{Target: integer}, []string{
			"1:1 level must be a whole number, not a boolean; the target attribute has the type Integer; change the expression or the attribute's type",
		}, nil},
		{"a_number_for_an_integer", `Coalesce([level], 7, Count([otherMails]))`, expr.Place{Target: integer}, nil, nil},
		{"a_boolean_for_a_date", `Redact(IsNull([mail]))`, expr.Place{Target: date}, []string{
			"1:8 hireDate must be a date, not a boolean; the target attribute has the type DateTime; change the expression or the attribute's type",
		}, nil},
		{"a_date_for_a_date", `DateAdd("d", 1, CDate([mail]))`, expr.Place{Target: date}, nil, nil},
		{"a_list_for_one_value", `IgnoreFlowIfNullOrEmpty(Split([mail], "@"))`, expr.Place{Target: text}, []string{
			"1:25 title takes one value, not a list; the target attribute has the type String; change the expression or the attribute's type",
		}, nil},
		{"a_list_for_several_values", `Split([mail], "@")`, expr.Place{Target: several}, nil, nil},
		{"an_attribute_with_several_values_for_one", `[otherMails]`, expr.Place{Target: text}, nil, []string{"1:1 otherMails can have several values and title takes one; a person with several fails"}},
		{"roles_for_several_values", `AssertiveAppRoleAssignmentsComplex([appRoleAssignments])`, expr.Place{Target: several}, nil, nil},
		{"roles_for_one_value", `AppRoleAssignmentsComplex([appRoleAssignments])`, expr.Place{Target: text}, []string{
			"1:1 title takes one value, not a list of complex values; the target attribute has the type String; change the expression or the attribute's type",
		}, nil},
		{"roles_of_everyone", `SingleAppRoleAssignment([appRoleAssignments])`, expr.Place{Target: text, ProvisionsEveryone: true}, nil, []string{
			"1:1 SingleAppRoleAssignment has no roles when the job provisions everyone: roles come from assignments",
		}},
		{"roles_without_a_function", `[appRoleAssignments]`, expr.Place{Target: several}, nil, []string{
			"1:1 Entra does not map appRoleAssignments directly; write SingleAppRoleAssignment or AssertiveAppRoleAssignmentsComplex around it",
		}},
		{"a_reference", `[manager]`, expr.Place{Target: reference}, nil, nil},
		{"a_reference_by_switch", `Switch([mail], [manager], "a", "b")`, expr.Place{Target: reference}, nil, []string{
			"1:1 manager is a reference; Entra maps references directly, as in [manager]",
		}},
		{"a_unique_value_that_finds_accounts", `SelectUniqueValue([mail], [givenName])`, expr.Place{Target: text, IsMatching: true}, []string{
			"1:1 SelectUniqueValue draws a value when an account is created, and accounts are found by this attribute before there is one; match by another attribute, or write an expression that always yields the same value",
		}, nil},
		{"the_empty_string_for_an_integer", `IIF([mail] = "a", "", [level])`, expr.Place{Target: integer}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.place.Source = source
			problems, notes := parse(t, tt.text).Check(tt.place)
			var gotErrs, gotNotes []string
			for _, p := range problems {
				gotErrs = append(gotErrs, fmt.Sprintf("%d:%d %s; %s", p.Line, p.Column, p.Message, p.Suggestion))
			}
			for _, n := range notes {
				gotNotes = append(gotNotes, fmt.Sprintf("%d:%d %s", n.Line, n.Column, n.Message))
			}
			if diff := cmp.Diff(tt.errs, gotErrs); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.notes, gotNotes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}
