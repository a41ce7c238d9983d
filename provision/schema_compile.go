package provision

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// CompiledMapping is a row of a mapping that is ready for evaluation. It includes properties from
// the definition of the target attribute.
type CompiledMapping struct {
	Row              int        // the number of the row in the mapping, from 1
	Target           string     // the name of the target attribute, a SCIM path
	Expr             *expr.Expr // nil if the row has only a default value
	MatchingPriority int        // lower numbers come first; 0 if the row is not a matching attribute
	FlowType         AttributeFlowType
	FlowBehavior     FlowBehavior
	DefaultValue     string // used when the account is created; "" means none
	Type             AttributeType
	CaseExact        bool
	Multivalued      bool
	Required         bool
	FlowNull         bool // whether an empty source value also removes a value that the job did not write
}

// RowError describes a problem in a schema and its place.
type RowError struct {
	Mapping string // the object mapping's name; "" if the problem concerns the whole schema
	Row     int    // the number of the row, from 1; 0 if the problem concerns the whole mapping
	Target  string // the row's target attribute
	Message string // a sentence that says what is wrong and how to correct it
	Err     error  // the cause, such as an *expr.SyntaxError; may be nil
}

func (e *RowError) Error() string {
	var b strings.Builder
	if e.Mapping != "" {
		fmt.Fprintf(&b, "mapping %q: ", e.Mapping)
	}
	if e.Row > 0 {
		fmt.Fprintf(&b, "row %d (%s): ", e.Row, e.Target)
	}
	b.WriteString(e.Message)
	return b.String()
}

func (e *RowError) Unwrap() error { return e.Err }

// Compile compiles the rows of one object mapping, in their order. Its error joins a *RowError for
// each problem.
func (s *Schema) Compile(m *ObjectMapping, c Catalog) ([]CompiledMapping, error) {
	source, target, err := s.objects(m)
	if err != nil {
		return nil, err
	}
	v := mappingCheck{catalog: c, mapping: m, source: source, target: target}
	return v.run()
}

// Matching returns the rows that are used to find an existing object in the target. They are sorted
// by their precedence, the lowest number first.
func Matching(rows []CompiledMapping) []CompiledMapping {
	var matching []CompiledMapping
	for _, row := range rows {
		if row.MatchingPriority > 0 {
			matching = append(matching, row)
		}
	}
	slices.SortStableFunc(matching, func(a, b CompiledMapping) int { return cmp.Compare(a.MatchingPriority, b.MatchingPriority) })
	return matching
}

// Validate checks everything in the schema that a job relies on. The directories, objects and
// attributes that the mappings name must exist. All expressions must compile. Each enabled
// mapping needs a matching attribute, and each object needs exactly one anchor. The error of
// Validate joins a *RowError for each problem.
func (s *Schema) Validate(c Catalog) error {
	var errs []error
	for i := range s.Directories {
		for j := range s.Directories[i].Objects {
			errs = append(errs, s.Directories[i].Objects[j].validate(s.Directories[i].Name))
		}
	}
	if len(s.ObjectMappings()) == 0 {
		errs = append(errs, &RowError{Message: "the schema has no object mappings: add one, or restore the default mappings"})
	}
	names := map[string]bool{}
	for _, m := range s.ObjectMappings() {
		if names[m.Name] {
			errs = append(errs, &RowError{Mapping: m.Name, Message: "another object mapping has this name: give each its own"})
		}
		names[m.Name] = true
		_, err := s.Compile(m, c)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkTexts finds sources of rows whose string differs from their tree. Its error joins a
// *RowError for each difference, with its path in the document.
func (s *Schema) checkTexts() error {
	var errs []error
	for i := range s.SynchronizationRules {
		for j := range s.SynchronizationRules[i].ObjectMappings {
			m := &s.SynchronizationRules[i].ObjectMappings[j]
			for k := range m.AttributeMappings {
				row := &m.AttributeMappings[k]
				for _, d := range row.Source.Disagreements() {
					path := fmt.Sprintf("/synchronizationRules/%d/objectMappings/%d/attributeMappings/%d/source%s", i, j, k, d.Path)
					errs = append(errs, &RowError{Mapping: m.Name, Row: k + 1, Target: row.TargetAttributeName, Message: path + " " + d.String()})
				}
			}
		}
	}
	return errors.Join(errs...)
}

// SourceAttributes returns the attributes of a mapping's source object.
func (s *Schema) SourceAttributes(m *ObjectMapping) []string {
	source, _, err := s.objects(m)
	if err != nil {
		return nil
	}
	names := make([]string, len(source.Attributes))
	for i := range source.Attributes {
		names[i] = source.Attributes[i].Name
	}
	return names
}

// TargetAttributes returns the attributes of a mapping's target object that a row can write. These
// are all attributes except the application's own key.
func (s *Schema) TargetAttributes(m *ObjectMapping) []string {
	_, target, err := s.objects(m)
	if err != nil {
		return nil
	}
	var names []string
	for _, a := range target.Attributes {
		if !a.Anchor {
			names = append(names, a.Name)
		}
	}
	return names
}

// objects returns the definitions of the two objects that a mapping connects.
func (s *Schema) objects(m *ObjectMapping) (source, target *ObjectDefinition, err error) {
	for _, r := range s.rules() {
		for i := range r.ObjectMappings {
			if &r.ObjectMappings[i] != m {
				continue
			}
			source, sourceErr := s.object(m, r.SourceDirectoryName, m.SourceObjectName)
			target, targetErr := s.object(m, r.TargetDirectoryName, m.TargetObjectName)
			return source, target, errors.Join(sourceErr, targetErr)
		}
	}
	return nil, nil, &RowError{Mapping: m.Name, Message: "the mapping belongs to no rule of this schema"}
}

// object returns the definition of an object that a mapping uses. It returns a *RowError if there
// is none.
func (s *Schema) object(m *ObjectMapping, directory, object string) (*ObjectDefinition, error) {
	d, err := s.Directory(directory)
	if err != nil {
		return nil, &RowError{Mapping: m.Name, Message: err.Error(), Err: err}
	}
	o, err := d.Object(object)
	if err != nil {
		return nil, &RowError{Mapping: m.Name, Message: err.Error(), Err: err}
	}
	return o, nil
}

func (o *ObjectDefinition) validate(directory string) error {
	var errs []error
	anchors := 0
	seen := map[string]bool{}
	fail := func(format string, args ...any) {
		errs = append(errs, &RowError{Message: fmt.Sprintf("directory %q, object %q: ", directory, o.Name) + fmt.Sprintf(format, args...)})
	}
	for _, a := range o.Attributes {
		if a.Anchor {
			anchors++
		}
		switch {
		case a.Name == "":
			fail("an attribute has no name")
		case seen[a.Name]:
			fail("the attribute %s is defined twice: remove one", a.Name)
		}
		seen[a.Name] = true
		if !a.Type.known() {
			fail("the attribute %s has the type %q: write String, Integer, Reference, Binary, Boolean or DateTime", a.Name, a.Type)
		}
	}
	if anchors != 1 {
		fail("it has %d anchors: mark exactly one attribute as anchor", anchors)
	}
	return errors.Join(errs...)
}

// known reports whether t is one of the constants.
func (t AttributeType) known() bool {
	switch t {
	case TypeString, TypeInteger, TypeReference, TypeBinary, TypeBoolean, TypeDateTime:
		return true
	}
	return false
}

// known reports whether t is one of the constants.
func (t AttributeFlowType) known() bool {
	switch t {
	case FlowAlways, FlowObjectAddOnly, FlowMultiValueAddOnly, FlowValueAddOnly, FlowAttributeAddOnly:
		return true
	}
	return false
}

// mappingCheck compiles one object mapping and collects all problems of that mapping.
type mappingCheck struct {
	catalog        Catalog
	mapping        *ObjectMapping
	source, target *ObjectDefinition
	rows           []CompiledMapping
	errs           []error
}

// run compiles the mapping. If it has problems, run returns all of them as one error.
func (v *mappingCheck) run() ([]CompiledMapping, error) {
	seen := map[string]int{}
	for i := range v.mapping.AttributeMappings {
		row := &v.mapping.AttributeMappings[i]
		if earlier, twice := seen[row.TargetAttributeName]; twice {
			v.fail(i, nil, fmt.Sprintf("row %d has the same target attribute: remove one", earlier))
		}
		seen[row.TargetAttributeName] = i + 1
		v.checkAttributeRow(i, row)
	}
	if v.mapping.Enabled && len(Matching(v.rows)) == 0 && len(v.errs) == 0 {
		v.failWhole("no row has a matching precedence: give one, such as userName, precedence 1")
	}
	v.scope()
	if len(v.errs) > 0 {
		return nil, errors.Join(v.errs...)
	}
	return v.rows, nil
}

// checkAttributeRow compiles the row with the index i, or adds its problems.
func (v *mappingCheck) checkAttributeRow(i int, row *AttributeMapping) {
	definition, ok := v.target.Attribute(row.TargetAttributeName)
	if !ok {
		v.fail(i, nil, fmt.Sprintf("the target object %s has no such attribute%s", v.target.Name, v.target.attributeHint(row.TargetAttributeName)))
		return
	}
	compiled := CompiledMapping{
		Row: i + 1, Target: row.TargetAttributeName,
		MatchingPriority: row.MatchingPriority, FlowType: cmp.Or(row.FlowType, FlowAlways), FlowBehavior: cmp.Or(row.FlowBehavior, FlowWhenChanged),
		Type: definition.Type, CaseExact: definition.CaseExact, Multivalued: definition.Multivalued, Required: definition.Required,
	}
	compiled.DefaultValue, _ = row.Default()
	switch {
	case definition.Anchor:
		v.fail(i, nil, "the target's key cannot be mapped: remove the row")
	case !compiled.FlowType.known():
		v.fail(i, nil, fmt.Sprintf("flowType is %q: write Always or ObjectAddOnly", row.FlowType))
	case compiled.FlowBehavior != FlowWhenChanged && compiled.FlowBehavior != FlowUnchanged:
		v.fail(i, nil, fmt.Sprintf("flowBehavior is %q: write FlowWhenChanged or FlowAlways", row.FlowBehavior))
	case row.MatchingPriority < 0:
		v.fail(i, nil, fmt.Sprintf("the matching precedence is %d: write 1 or more, or 0 for none", row.MatchingPriority))
	case row.MatchingPriority > 0 && row.Source == nil:
		v.fail(i, nil, "a matching attribute needs a source: give the row one")
	}
	if row.Source != nil {
		compiled.Expr = v.expression(i, row)
	}
	compiled.FlowNull = definition.FlowNullValues && v.sourcesFlowNull(compiled.Expr)
	v.rows = append(v.rows, compiled)
}

// expression compiles a row's source and checks the names that it reads.
func (v *mappingCheck) expression(i int, row *AttributeMapping) *expr.Expr {
	e, err := expr.FromSource(row.Source)
	if err != nil {
		v.fail(i, err, err.Error())
		return nil
	}
	for _, name := range e.Attributes() {
		if _, ok := v.source.Attribute(name); !ok {
			v.fail(i, nil, fmt.Sprintf("the source object %s has no attribute %s%s", v.source.Name, name, v.source.attributeHint(name)))
		}
	}
	return e
}

// sourcesFlowNull reports whether Flow null values is on for every source attribute that an
// expression reads.
func (v *mappingCheck) sourcesFlowNull(e *expr.Expr) bool {
	if e == nil {
		return false
	}
	for _, name := range e.Attributes() {
		if a, ok := v.source.Attribute(name); !ok || !a.FlowNullValues {
			return false
		}
	}
	return true
}

// scope checks the attribute names in the scoping filters. It also refuses a clause that has the
// same result for all users.
func (v *mappingCheck) scope() {
	if v.mapping.Scope.Empty() {
		return
	}
	f := v.mapping.Scope
	for _, group := range slices.Concat(f.Groups, f.InputFilterGroups, f.CategoryFilterGroups) {
		for _, clause := range group.Clauses {
			if _, ok := v.source.Attribute(clause.SourceOperandName); !ok {
				v.failWhole(fmt.Sprintf("the scope %q reads %s, which the source object %s does not have%s",
					group.Name, clause.SourceOperandName, v.source.Name, v.source.attributeHint(clause.SourceOperandName)))
				continue
			}
			if problem := whyHarmful(clause, v.catalog); problem != "" && v.mapping.SourceObjectName == "User" {
				v.failWhole(fmt.Sprintf("the scope %q: %s", group.Name, problem))
			}
		}
	}
}

// fail adds an error about the row with the index i. cause is the error that led to it; nil if
// there is none.
func (v *mappingCheck) fail(i int, cause error, message string) {
	v.errs = append(v.errs, &RowError{
		Mapping: v.mapping.Name, Row: i + 1, Target: v.mapping.AttributeMappings[i].TargetAttributeName,
		Message: message, Err: cause,
	})
}

// failWhole adds an error that concerns the whole mapping and not a single row.
func (v *mappingCheck) failWhole(message string) {
	v.errs = append(v.errs, &RowError{Mapping: v.mapping.Name, Message: message})
}
