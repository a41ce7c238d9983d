package provision

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// scopingFilter holds the compiled scoping filters of an object mapping. An object passes if it
// passes at least one group. It passes a group if all clauses of the group are true.
type scopingFilter struct {
	groups []scopingGroup
}

// scopingGroup is a group of clauses. An object passes the group if all clauses are true.
type scopingGroup struct {
	name    string
	clauses []scopingClause
}

// scopingClause is a clause with the compiled function that tests a value.
type scopingClause struct {
	FilterClause
	test clauseTest
}

// clauseTest is a function that reports whether a clause is true for a value. It returns an error
// if the result is unknown, because a regular expression exceeded a limit.
type clauseTest func(v any) (bool, error)

// scopeResult is one clause with its result, for the log.
type scopeResult struct {
	Clause string // the clause in words
	Holds  bool   // whether the clause is known to be true
}

// compileScope compiles the scoping filters of a mapping. It returns nil if the mapping has none.
// Every object passes a nil filter.
func compileScope(m *ObjectMapping) (*scopingFilter, error) {
	if m.Scope.Empty() {
		return nil, nil
	}
	if len(m.Scope.InputFilterGroups) > 0 || len(m.Scope.CategoryFilterGroups) > 0 {
		return nil, &RowError{Mapping: m.Name, Message: "inputFilterGroups and categoryFilterGroups are not available in this version: move their clauses to groups"}
	}
	f := &scopingFilter{}
	for _, g := range m.Scope.Groups {
		group := scopingGroup{name: g.Name}
		for _, c := range g.Clauses {
			test, err := compileClause(c)
			if err != nil {
				return nil, &RowError{Mapping: m.Name, Message: fmt.Sprintf("scope %q: %v", g.Name, err), Err: err}
			}
			group.clauses = append(group.clauses, scopingClause{FilterClause: c, test: test})
		}
		f.groups = append(f.groups, group)
	}
	return f, nil
}

// compileClause compiles a clause with one of the operators of Entra's portal. It ignores case,
// spaces and underscores in operator names. If the attribute is empty, only IS NULL is true; every
// other clause is false, also a negative one such as NOT EQUALS.
func compileClause(c FilterClause) (clauseTest, error) {
	op := normalizedOperator(c)
	switch op {
	case "ISNULL":
		return func(v any) (bool, error) { return isEmptyValue(v), nil }, nil
	case "ISNOTNULL":
		return func(v any) (bool, error) { return !isEmptyValue(v), nil }, nil
	case "ISTRUE", "ISFALSE":
		return ifNotEmpty(func(v string) bool { b, ok := parseBool(v); return ok && b == (op == "ISTRUE") }), nil
	}
	operands := c.TargetOperand.Values
	if len(operands) == 0 {
		return nil, fmt.Errorf("%s %s needs a value to compare with", c.SourceOperandName, c.OperatorName)
	}
	switch op {
	case "EQUALS":
		return ifNotEmpty(func(v string) bool { return slices.Contains(operands, v) }), nil
	case "NOTEQUALS":
		return ifNotEmpty(func(v string) bool { return !slices.Contains(operands, v) }), nil
	case "INCLUDES":
		return ifNotEmpty(func(v string) bool { return strings.Contains(v, operands[0]) }), nil
	case "ENDSWITH":
		return ifNotEmpty(func(v string) bool { return strings.HasSuffix(v, operands[0]) }), nil
	case "REGEXMATCH", "NOTREGEXMATCH":
		return compilePatternClause(c, op == "REGEXMATCH")
	case "GREATERTHAN", "GREATERTHANOREQUALS", "&", "!&":
		n, err := strconv.ParseInt(operands[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s %s takes a whole number, not %q", c.SourceOperandName, c.OperatorName, operands[0])
		}
		return ifNotEmpty(func(v string) bool { return compareNumber(op, v, n) }), nil
	}
	return nil, fmt.Errorf("there is no operator %q", c.OperatorName)
}

// compilePatternClause compiles REGEX MATCH, or NOT REGEX MATCH if wants is false. Patterns have
// the syntax of .NET, as in expressions: they may match a part of the value, and may have
// look-around and back-references.
func compilePatternClause(c FilterClause, wants bool) (clauseTest, error) {
	source := c.TargetOperand.Values[0]
	pattern, err := expr.CompilePattern(source)
	if err != nil {
		return nil, fmt.Errorf("%s: the pattern %q cannot be used: %w", c.SourceOperandName, source, err)
	}
	return func(v any) (bool, error) {
		if isEmptyValue(v) {
			return false, nil
		}
		matches, err := pattern.Matches(text(v))
		if err != nil {
			return false, fmt.Errorf("%s: %w", c.Words(), err)
		}
		return matches == wants, nil
	}, nil
}

// whyHarmful says why a clause must not be used; it returns "" if the clause may be used. A harmful
// clause has the same result for every user who may have an account. Usually it is false for all of
// them, so that the engine would disable everyone.
func whyHarmful(c FilterClause, source Catalog) string {
	name := c.SourceOperandName
	if name == attrSoftDeleted {
		return "a scoping filter cannot use IsSoftDeleted. The engine computes it from the scoping filters, so that everyone would be out of scope and would be disabled. " +
			"Remove the clause: users who are deleted, blocked or unassigned are disabled without it"
	}
	if source == nil {
		return ""
	}
	a, ok := source.Attribute(name)
	op := normalizedOperator(c)
	nullTest := op == "ISNULL" || op == "ISNOTNULL"
	test, err := compileClause(c)
	switch {
	case !ok:
		hint := "Remove the clause, or use another attribute"
		if near := source.Suggest(name); near != "" && near != name {
			hint = "Write " + near + ", or remove the clause"
		}
		return fmt.Sprintf("users of this directory have no attribute %s, so that the clause is the same for everyone. %s", name, hint)
	case err != nil:
		return "" // the clause does not compile; compileScope reports it
	case a.MultiValued && !nullTest:
		return fmt.Sprintf("%s has several values, and a scoping filter compares one. Use IS NULL or IS NOT NULL, or another attribute", name)
	case a.Type == TypeReference && !nullTest:
		return fmt.Sprintf("%s refers to another user, and a scoping filter compares plain values. Use IS NULL or IS NOT NULL, or another attribute", name)
	case a.Always && op == "ISNULL":
		return fmt.Sprintf("every user has a value of %s, so that nobody would be in scope and everyone would be disabled. Remove the clause", name)
	case a.Type == TypeBoolean && !holds(test, true):
		return fmt.Sprintf("only users whose %s is True can have an account, and this clause leaves them out, so that everyone would be disabled. Write %s IS TRUE, or remove the clause", name, name)
	case op == "EQUALS" && !slices.ContainsFunc(c.TargetOperand.Values, func(v string) bool { return v != "" }):
		return fmt.Sprintf("%s EQUALS an empty value is never true, so that nobody would be in scope and everyone would be disabled. Write %s IS NULL", name, name)
	}
	return ""
}

// holds reports whether a clause is known to be true for a value. It returns false if the result is
// unknown.
func holds(test clauseTest, v any) bool {
	is, err := test(v)
	return is && err == nil
}

// normalizedOperator returns the operator of a clause in upper case, without spaces and
// underscores.
func normalizedOperator(c FilterClause) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "_", "").Replace(c.OperatorName))
}

// compareNumber compares a value with n. It returns false if the value is not a whole number.
func compareNumber(op, v string, n int64) bool {
	have, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil {
		return false
	}
	switch op {
	case "GREATERTHAN":
		return have > n
	case "GREATERTHANOREQUALS":
		return have >= n
	case "&":
		return have&n != 0
	}
	return have&n == 0
}

// ifNotEmpty returns a test that fails for an empty value, and otherwise tests the value's text.
func ifNotEmpty(test func(string) bool) clauseTest {
	return func(v any) (bool, error) { return !isEmptyValue(v) && test(text(v)), nil }
}

func isEmptyValue(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []string:
		return len(v) == 0
	}
	return false
}

// admits reports whether a person passes the filter, and returns the result of each clause. It
// returns an error if the result of a clause is unknown and could change whether the person passes.
func (f *scopingFilter) admits(attributes map[string]any) (bool, []scopeResult, error) {
	if f == nil || len(f.groups) == 0 {
		return true, nil, nil
	}
	in := false
	var unclear error
	var results []scopeResult
	for _, g := range f.groups {
		all, doubt := g.holds(attributes, &results)
		switch {
		case !all:
		case doubt == nil:
			in = true
		case unclear == nil:
			unclear = fmt.Errorf("the scoping filter %q cannot be evaluated: %w", g.name, doubt)
		}
	}
	if in {
		unclear = nil
	}
	return in, results, unclear
}

// holds reports whether no clause of the group is false. It appends the result of each clause to
// results. doubt is the error of a clause whose result is unknown.
func (g scopingGroup) holds(attributes map[string]any, results *[]scopeResult) (all bool, doubt error) {
	all = true
	for _, c := range g.clauses {
		is, err := c.test(attributes[c.SourceOperandName])
		if err != nil {
			doubt = err
		}
		all = all && (is || err != nil)
		*results = append(*results, scopeResult{
			Clause: strings.TrimSpace(fmt.Sprintf("%s %s %s %s", g.name, c.SourceOperandName, c.OperatorName, strings.Join(c.TargetOperand.Values, ", "))),
			Holds:  is,
		})
	}
	return all, doubt
}

// Operators returns the operators that a clause can have, by their names in Entra's portal.
func Operators() []Operator {
	return []Operator{
		{"EQUALS", true},
		{"NOT EQUALS", true},
		{"INCLUDES", true},
		{"ENDS_WITH", true},
		{"REGEX MATCH", true},
		{"NOT REGEX MATCH", true},
		{"IS NULL", false},
		{"IS NOT NULL", false},
		{"IS TRUE", false},
		{"IS FALSE", false},
		{"GREATER_THAN", true},
		{"GREATER_THAN_OR_EQUALS", true},
		{"&", true},
		{"!&", true},
	}
}

// Operator compares a source attribute with a value, or tests the attribute alone.
type Operator struct {
	Name  string
	Value bool // whether the operator needs a value
}

// Is reports whether name is the name of this operator. It ignores case, spaces and underscores.
func (o Operator) Is(name string) bool {
	return normalizedOperator(FilterClause{OperatorName: o.Name}) == normalizedOperator(FilterClause{OperatorName: name})
}

// Words returns the clause in words, for a sentence: "department EQUALS Sales".
func (c FilterClause) Words() string {
	return strings.TrimSpace(c.SourceOperandName + " " + c.OperatorName + " " + strings.Join(c.TargetOperand.Values, ", "))
}

// Words returns the filter in words, for a sentence: "department EQUALS Sales and city IS NOT NULL,
// or city EQUALS London".
func (f *Filter) Words() string {
	if f.Empty() {
		return "all records"
	}
	var groups []string
	for _, g := range f.Groups {
		groups = append(groups, g.Words())
	}
	return strings.Join(groups, ", or ")
}

// Words returns the group in words, for a sentence: "department EQUALS Sales and city IS NOT NULL".
func (g FilterGroup) Words() string {
	clauses := make([]string, len(g.Clauses))
	for i, c := range g.Clauses {
		clauses[i] = c.Words()
	}
	return strings.Join(clauses, " and ")
}

// SetScope replaces the scoping filters. If groups is empty, every object passes.
func (m *ObjectMapping) SetScope(groups []FilterGroup) {
	if len(groups) == 0 {
		m.Scope = nil
		return
	}
	scope := Filter{InputFilterGroups: []FilterGroup{}, CategoryFilterGroups: []FilterGroup{}}
	if m.Scope != nil {
		scope = *m.Scope
	}
	scope.Groups = groups
	m.Scope = &scope
}

// CheckScope returns an *InputError if a mapping of this schema cannot use the scoping filters.
func (s *Schema) CheckScope(mapping string, groups []FilterGroup, source Catalog) error {
	s = s.Clone()
	m, err := s.ObjectMapping(mapping)
	if err != nil {
		return &InputError{Field: "Mapping", Text: err.Error()}
	}
	m.SetScope(groups)
	if m.Scope.Empty() {
		return nil
	}
	for _, g := range m.Scope.Groups {
		if len(g.Clauses) == 0 {
			return &InputError{Field: "Scoping filter", Text: fmt.Sprintf("%q has no clause, so that everyone would pass it: add a clause, or remove the filter", g.Name)}
		}
		for _, c := range g.Clauses {
			i := slices.IndexFunc(Operators(), func(o Operator) bool { return o.Is(c.OperatorName) })
			if i >= 0 && !Operators()[i].Value && len(c.TargetOperand.Values) > 0 {
				return &InputError{Field: "Scoping filter", Text: fmt.Sprintf("%q: %s %s takes no value: clear it", g.Name, c.SourceOperandName, c.OperatorName)}
			}
		}
	}
	_, err = s.Compile(m, source)
	if err == nil {
		_, err = compileScope(m)
	}
	var row *RowError
	switch {
	case errors.As(err, &row):
		return &InputError{Field: "Scoping filter", Text: "cannot be used: " + row.Message}
	case err != nil:
		return &InputError{Field: "Scoping filter", Text: "cannot be used: " + err.Error()}
	}
	return nil
}

// Admits returns a function that reports whether an object passes the scoping filters of the
// mapping. The function returns an error if the filters cannot be evaluated for the object.
func (m *ObjectMapping) Admits() (func(Object) (bool, error), error) {
	filter, err := compileScope(m)
	if err != nil {
		return nil, err
	}
	return func(o Object) (bool, error) {
		in, _, err := filter.admits(o.Attributes)
		return in, err
	}, nil
}

// sameGroup reports whether two groups have the same name and the same clauses in the same order.
func sameGroup(a, b FilterGroup) bool {
	return a.Name == b.Name && slices.EqualFunc(a.Clauses, b.Clauses, func(x, y FilterClause) bool {
		return x.SourceOperandName == y.SourceOperandName && x.OperatorName == y.OperatorName && slices.Equal(x.TargetOperand.Values, y.TargetOperand.Values)
	})
}
