package provision

import (
	"strings"
	"testing"
)

func TestScopingClauses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		operator string
		values   []string
		have     any
		want     bool
	}{
		{"EQUALS", []string{"Oslo"}, "Oslo", true},
		{"EQUALS", []string{"Oslo"}, "oslo", false},
		{"EQUALS", []string{"Oslo"}, nil, false},
		{"EQUALS", []string{"True"}, true, true},
		{"NOT EQUALS", []string{"Oslo"}, "Bergen", true},
		{"NOT EQUALS", []string{"Oslo"}, "Oslo", false},
		{"NOT EQUALS", []string{"Oslo"}, nil, false}, // an empty attribute does not pass negative clauses either
		{"NOT EQUALS", []string{"Oslo"}, "", false},
		{"is_true", nil, true, true},
		{"IS TRUE", nil, "true", true},
		{"IS TRUE", nil, nil, false},
		{"IS FALSE", nil, false, true},
		{"IS FALSE", nil, nil, false},
		{"IS NULL", nil, nil, true},
		{"IS NULL", nil, "", true},
		{"IS NULL", nil, []string{}, true},
		{"IS NULL", nil, "x", false},
		{"IS NOT NULL", nil, "x", true},
		{"IS NOT NULL", nil, nil, false},
		{"REGEX MATCH", []string{"([1-9][0-9])"}, "a42b", true}, // not anchored
		{"REGEX MATCH", []string{"^x"}, "ax", false},
		{"REGEX MATCH", []string{"x"}, nil, false},
		{"REGEX MATCH", []string{`^(?!Ext)(\w)\1`}, "aab", true}, // look-around and back-references, as in .NET
		{"REGEX MATCH", []string{`^(?!Ext)`}, "Extern", false},
		{"NOT REGEX MATCH", []string{`^(?!Ext)`}, "Extern", true},
		{"NOT REGEX MATCH", []string{"x"}, "abc", true},
		{"NOT REGEX MATCH", []string{"x"}, "", false},
		{"Greater_Than", []string{"10"}, "11", true},
		{"Greater_Than", []string{"10"}, "10", false},
		{"Greater_Than", []string{"10"}, "many", false},
		{"GREATER_THAN_OR_EQUALS", []string{"10"}, " 10 ", true},
		{"Includes", []string{"gin"}, "Engineer", true},
		{"Includes", []string{"GIN"}, "Engineer", false},
		{"ENDS_WITH", []string{"@contoso.com"}, "ada@contoso.com", true},
		{"&", []string{"4"}, "6", true},
		{"&", []string{"1"}, "6", false},
		{"!&", []string{"1"}, "6", true},
		{"!&", []string{"1"}, nil, false},
	} {
		test, err := compileClause(FilterClause{SourceOperandName: "a", OperatorName: tt.operator, TargetOperand: FilterOperand{Values: tt.values}})
		if err != nil {
			t.Errorf("%s %v: %v", tt.operator, tt.values, err)
			continue
		}
		if got, err := test(tt.have); got != tt.want || err != nil {
			t.Errorf("%#v %s %v: got %v, %v, want %v", tt.have, tt.operator, tt.values, got, err, tt.want)
		}
	}
	for _, c := range []FilterClause{
		{SourceOperandName: "a", OperatorName: "LIKES", TargetOperand: FilterOperand{Values: []string{"x"}}},
		{SourceOperandName: "a", OperatorName: "EQUALS"},
		{SourceOperandName: "a", OperatorName: "REGEX MATCH", TargetOperand: FilterOperand{Values: []string{"("}}},
		{SourceOperandName: "a", OperatorName: "&", TargetOperand: FilterOperand{Values: []string{"x"}}},
	} {
		if _, err := compileClause(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// If a pattern runs out of time, nobody counts as a leaver. The error matters only if the result
// depends on the pattern.
func TestAPatternWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	slow := FilterClause{SourceOperandName: "city", OperatorName: "REGEX MATCH", TargetOperand: FilterOperand{Values: []string{`^(a+)+$`}}}
	sales := FilterClause{SourceOperandName: "department", OperatorName: "EQUALS", TargetOperand: FilterOperand{Values: []string{"Sales"}}}
	text := strings.Repeat("a", 40) + "!"
	for name, tt := range map[string]struct {
		groups     []FilterGroup
		department string
		in, fails  bool
	}{
		"alone":                      {[]FilterGroup{{Name: "f", Clauses: []FilterClause{slow}}}, "Sales", false, true},
		"beside a clause that holds": {[]FilterGroup{{Name: "f", Clauses: []FilterClause{slow, sales}}}, "Sales", false, true},
		"beside one that does not":   {[]FilterGroup{{Name: "f", Clauses: []FilterClause{slow, sales}}}, "IT", false, false},
		"beside a filter that holds": {[]FilterGroup{{Name: "f", Clauses: []FilterClause{slow}}, {Name: "g", Clauses: []FilterClause{sales}}}, "Sales", true, false},
		"beside one that is false":   {[]FilterGroup{{Name: "f", Clauses: []FilterClause{slow}}, {Name: "g", Clauses: []FilterClause{sales}}}, "IT", false, true},
	} {
		f, err := compileScope(&ObjectMapping{Scope: &Filter{Groups: tt.groups}})
		if err != nil {
			t.Fatal(err)
		}
		in, _, err := f.admits(map[string]any{"city": text, "department": tt.department})
		if in != tt.in || (err != nil) != tt.fails {
			t.Errorf("%s: got %v, %v", name, in, err)
		}
	}
}

func TestScopingGroups(t *testing.T) {
	t.Parallel()
	clause := func(name, value string) FilterClause {
		return FilterClause{SourceOperandName: name, OperatorName: "EQUALS", TargetOperand: FilterOperand{Values: []string{value}}}
	}
	m := &ObjectMapping{Name: "users", Scope: &Filter{Groups: []FilterGroup{
		{Name: "Oslo engineers", Clauses: []FilterClause{clause("city", "Oslo"), clause("department", "Engineering")}},
		{Name: "Bergen", Clauses: []FilterClause{clause("city", "Bergen")}},
	}}}
	f, err := compileScope(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		city, department string
		want             bool
	}{
		{"Oslo", "Engineering", true}, {"Oslo", "Sales", false}, {"Bergen", "Sales", true}, {"Molde", "Engineering", false},
	} {
		got, results, err := f.admits(map[string]any{"city": tt.city, "department": tt.department})
		if got != tt.want || len(results) != 3 || err != nil {
			t.Errorf("%s, %s: got %v (%v), %v, want %v", tt.city, tt.department, got, results, err, tt.want)
		}
	}
	if in, _, err := (*scopingFilter)(nil).admits(nil); !in || err != nil {
		t.Error("without a filter somebody is out")
	}
	m.Scope = &Filter{InputFilterGroups: []FilterGroup{{Name: "x"}}}
	if _, err := compileScope(m); err == nil {
		t.Error("inputFilterGroups were accepted")
	}
}
