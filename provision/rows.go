package provision

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/scim"
)

// maxConstant is the largest length of a constant, in characters. A constant with two quotation
// marks around it is an expression, so its length must not exceed the limit for expressions.
const maxConstant = expr.MaxLength - 2

// MappingType says where the value of a row comes from, in the words of Entra's page "Edit
// Attribute".
type MappingType string

// The mapping types.
const (
	DirectMapping     MappingType = "Direct"     // the value of one source attribute
	ConstantMapping   MappingType = "Constant"   // a fixed string
	ExpressionMapping MappingType = "Expression" // the result of an expression
	NoMapping         MappingType = "None"       // no source: only accounts without a value get the default value
)

// MappingTypes lists the mapping types in the order of the page.
func MappingTypes() []MappingType {
	return []MappingType{DirectMapping, ConstantMapping, ExpressionMapping, NoMapping}
}

// RowEdit is a row of a mapping, with the fields of Entra's page "Edit Attribute".
type RowEdit struct {
	Type       MappingType
	Source     string            // the source attribute, constant value or expression; "" for NoMapping
	Default    string            // the Default value if null; "" if there is none
	Target     string            // the target attribute
	Precedence int               // the Matching precedence; 0 if the row is not used to find accounts
	Apply      AttributeFlowType // the field "Apply this mapping"
	// FlowNull is the setting Flow null values of the target attribute. The source attributes of
	// the row have this setting, too.
	FlowNull bool
}

// Row returns an attribute mapping of the schema as a RowEdit.
func (s *Schema) Row(m *ObjectMapping, a *AttributeMapping) RowEdit {
	r := RowEdit{Type: NoMapping, Target: a.TargetAttributeName, Precedence: a.MatchingPriority, Apply: a.FlowType}
	r.Default, _ = a.Default()
	if n := a.Source; n != nil {
		switch n.Type {
		case expr.TypeAttribute:
			r.Type, r.Source = DirectMapping, n.Name
		case expr.TypeConstant:
			r.Type, r.Source = ConstantMapping, n.Name
		default:
			r.Type, r.Source = ExpressionMapping, sourceExpression(n)
		}
	}
	if _, target, err := s.objects(m); err == nil {
		if d, ok := target.Attribute(a.TargetAttributeName); ok {
			r.FlowNull = d.FlowNullValues
		}
	}
	return r
}

// sourceExpression returns the expression of a source as a string. If the source has only a tree,
// it makes the string from the tree.
func sourceExpression(n *expr.Node) string {
	if n.Expression != "" {
		return n.Expression
	}
	if e, err := expr.FromSource(n); err == nil {
		return e.String()
	}
	return n.Name
}

// SourceNode returns the source of the row in Graph's form, or nil for NoMapping. An expression
// that is just one attribute or one constant becomes a Direct or Constant source, as in Graph. If
// the expression has an error, SourceNode returns an *ExpressionError. If another field is wrong,
// it returns an *InputError.
func (r RowEdit) SourceNode() (*AttributeMappingSource, error) {
	switch r.Type {
	case NoMapping:
		return nil, nil
	case ConstantMapping:
		if r.Source == "" {
			return nil, &InputError{Field: "Constant Value", Text: "is empty: write a value, or choose the mapping type None"}
		}
		if utf8.RuneCountInString(r.Source) > maxConstant {
			return nil, &InputError{Field: "Constant Value", Text: fmt.Sprintf("has more than %d characters: shorten it", maxConstant)}
		}
		return nodeOf(expr.TypeConstant, r.Source)
	case DirectMapping:
		if r.Source == "" {
			return nil, &InputError{Field: "Source attribute", Text: "is empty: choose an attribute"}
		}
		return nodeOf(expr.TypeAttribute, r.Source)
	case ExpressionMapping:
		if strings.TrimSpace(r.Source) == "" {
			return nil, &InputError{Field: "Expression", Text: "is empty: write an expression"}
		}
		e, err := expr.Parse(r.Source)
		if err != nil {
			return nil, &ExpressionError{Err: err}
		}
		return e.Source(), nil
	}
	return nil, &InputError{Field: "Mapping type", Text: fmt.Sprintf("is %q: write Direct, Constant, Expression or None", r.Type)}
}

// nodeOf returns a source that consists of one attribute or one constant.
func nodeOf(kind expr.Type, name string) (*expr.Node, error) {
	e, err := expr.FromSource(&expr.Node{Type: kind, Name: name})
	if err != nil {
		return nil, &ExpressionError{Err: err}
	}
	return e.Source(), nil
}

// ExpressionError is the error for an expression that cannot be used. Err is an *expr.SyntaxError,
// which says where in the expression the problem is.
type ExpressionError struct{ Err error }

func (e *ExpressionError) Error() string { return "Expression: " + e.Err.Error() }

func (e *ExpressionError) Unwrap() error { return e.Err }

// SetRow returns a copy of the job with one changed row in a mapping. replaces is the target
// attribute of the row to replace. If it is "", SetRow adds a row at the end. SetRow checks the row
// against the attribute lists of both sides. If the row is wrong, it returns an *InputError or an
// *ExpressionError.
func (job Job) SetRow(mapping, replaces string, row RowEdit, c Catalog) (Job, error) {
	return job.editRows(mapping, func(s *Schema, m *ObjectMapping) error {
		at, err := m.rowIndex(replaces)
		if err != nil {
			return err
		}
		changed := AttributeMapping{FlowBehavior: FlowWhenChanged}
		if at >= 0 {
			changed = m.AttributeMappings[at]
		}
		if err := s.checkRow(m, replaces, row, job.Scope); err != nil {
			return err
		}
		changed.TargetAttributeName, changed.MatchingPriority, changed.FlowType = row.Target, row.Precedence, row.Apply
		if changed.Source, err = row.SourceNode(); err != nil {
			return err
		}
		if was, _ := changed.Default(); was != row.Default {
			changed.DefaultValue = &row.Default
			if row.Default == "" {
				changed.DefaultValue = nil
			}
		}
		if at >= 0 {
			if replaces != row.Target && m.SourceObjectName == "User" && replaces == attrUserName {
				return errKeepUserName
			}
			m.AttributeMappings[at] = changed
		} else {
			m.AttributeMappings = append(m.AttributeMappings, changed)
		}
		s.setFlowNull(m, row.Target, row.FlowNull)
		return nil
	}, c)
}

// RemoveRow returns a copy of the job without one row of a mapping. It returns an *InputError if
// there is no such row, and for the row of userName and the last matching row, which must stay.
func (job Job) RemoveRow(mapping, target string, c Catalog) (Job, error) {
	return job.editRows(mapping, func(_ *Schema, m *ObjectMapping) error {
		at, err := m.existingRow(target)
		if err != nil {
			return err
		}
		matching := 0
		for _, row := range m.AttributeMappings {
			if row.MatchingPriority > 0 {
				matching++
			}
		}
		switch {
		case m.SourceObjectName == "User" && target == attrUserName:
			return errKeepUserName
		case matching == 1 && m.AttributeMappings[at].MatchingPriority > 0:
			return &InputError{Field: target, Text: "is the last matching attribute, so that it stays: give another row a matching precedence first"}
		}
		m.AttributeMappings = slices.Delete(slices.Clone(m.AttributeMappings), at, at+1)
		return nil
	}, c)
}

// MoveRow returns a copy of the job with one row of a mapping in another place. place is the new
// number of the row, from 1. The order of the rows is the order of the attributes on the page and
// in requests. MoveRow returns an *InputError if there is no such row or place.
func (job Job) MoveRow(mapping, target string, place int, c Catalog) (Job, error) {
	return job.editRows(mapping, func(_ *Schema, m *ObjectMapping) error {
		at, err := m.existingRow(target)
		if err != nil {
			return err
		}
		if place < 1 || place > len(m.AttributeMappings) {
			return &InputError{Field: "Place", Text: fmt.Sprintf("is %d: the mapping has the rows 1 to %d", place, len(m.AttributeMappings))}
		}
		row := m.AttributeMappings[at]
		rows := slices.Delete(slices.Clone(m.AttributeMappings), at, at+1)
		m.AttributeMappings = slices.Insert(rows, place-1, row)
		return nil
	}, c)
}

var errKeepUsers = &InputError{Field: "Enabled", Text: "the user mapping cannot be switched off; set Provisioning Status to Off instead"}

var errKeepUserName = &InputError{Field: attrUserName, Text: "stays mapped: every account needs it"}

// attrUserName is the target attribute that every user mapping must have.
const attrUserName = "userName"

// rowIndex returns the index of the row that writes the target attribute. It returns -1 if target
// is "", and an *InputError if there is no such row.
func (m *ObjectMapping) rowIndex(target string) (int, error) {
	if target == "" {
		return -1, nil
	}
	i := slices.IndexFunc(m.AttributeMappings, func(row AttributeMapping) bool { return row.TargetAttributeName == target })
	if i < 0 {
		return i, &InputError{Field: "Target attribute", Text: fmt.Sprintf("%q is not mapped%s", target, m.rowHint(target))}
	}
	return i, nil
}

// existingRow returns the index of the row that writes the target attribute. It returns an
// *InputError if target is "" or if there is no such row.
func (m *ObjectMapping) existingRow(target string) (int, error) {
	if target == "" {
		return -1, &InputError{Field: "Target attribute", Text: "is empty: name a mapped attribute"}
	}
	return m.rowIndex(target)
}

// editRows returns a copy of the job in which edit has changed a mapping. It returns an *InputError
// if the changed schema cannot be used.
func (job Job) editRows(mapping string, edit func(s *Schema, m *ObjectMapping) error, c Catalog) (Job, error) {
	schema := job.Schema.Clone()
	m, err := schema.ObjectMapping(mapping)
	if err != nil {
		return job, &InputError{Field: "Mapping", Text: err.Error()}
	}
	if err := edit(schema, m); err != nil {
		return job, err
	}
	if _, err := schema.Compile(m, c); err != nil {
		return job, &InputError{Field: "Mapping", Text: "cannot be used: " + err.Error()}
	}
	if _, err := usableMapping(schema, c); err != nil {
		return job, err
	}
	job.Schema = schema
	return job, nil
}

// checkRow returns an *InputError or *ExpressionError for a row that a mapping cannot have. The row
// would replace the row whose target attribute is replaces.
func (s *Schema) checkRow(m *ObjectMapping, replaces string, row RowEdit, scope Scope) error {
	source, target, err := s.objects(m)
	if err != nil {
		return &InputError{Field: "Mapping", Text: err.Error()}
	}
	definition, ok := target.Attribute(row.Target)
	switch {
	case row.Target == "":
		return &InputError{Field: "Target attribute", Text: "is empty: choose an attribute"}
	case !ok:
		return &InputError{Field: "Target attribute", Text: fmt.Sprintf("%q is not in the attribute list of %s%s. Add it to the list first", row.Target, target.Name, target.attributeHint(row.Target))}
	case definition.Anchor:
		return &InputError{Field: "Target attribute", Text: row.Target + " is the application's own key, which only the application sets: choose another"}
	case readOnlyTarget(definition):
		return &InputError{Field: "Target attribute", Text: row.Target + " is read-only: only the application sets it, and ignores or refuses a value. Choose another"}
	case row.Target != replaces && slices.ContainsFunc(m.AttributeMappings, func(a AttributeMapping) bool { return a.TargetAttributeName == row.Target }):
		return &InputError{Field: "Target attribute", Text: row.Target + " is mapped already: edit that row"}
	case row.Apply != FlowAlways && row.Apply != FlowObjectAddOnly && !s.hasFlow(m, replaces, row.Apply):
		return &InputError{Field: "Apply this mapping", Text: fmt.Sprintf("is %q: write Always or ObjectAddOnly", row.Apply)}
	case row.Precedence < 0:
		return &InputError{Field: "Matching precedence", Text: "is a number from 1, lowest first"}
	case row.Precedence > 0 && row.Type == NoMapping:
		return &InputError{Field: "Match objects using this attribute", Text: "needs a value: choose another mapping type, or set it to No"}
	case row.Precedence > 0 && slices.ContainsFunc(m.AttributeMappings, func(a AttributeMapping) bool {
		return a.MatchingPriority == row.Precedence && a.TargetAttributeName != replaces
	}):
		return &InputError{Field: "Matching precedence", Text: fmt.Sprintf("%d is another row's: give each matching attribute its own", row.Precedence)}
	case row.Type == NoMapping && row.Default == "":
		return &InputError{Field: "Default value if null", Text: "is empty, and the mapping type is None, so that the row would do nothing: write a value, or remove the row"}
	}
	if utf8.RuneCountInString(row.Default) > expr.MaxLength {
		return &InputError{Field: "Default value if null", Text: fmt.Sprintf("has more than %d characters: shorten it", expr.MaxLength)}
	}
	e, err := row.parsed()
	if err != nil || e == nil {
		return err
	}
	problems, _ := e.Check(row.place(source, definition, scope))
	switch {
	case len(problems) == 0:
		return nil
	case row.Type == ExpressionMapping:
		return &ExpressionError{Err: problems[0]}
	case row.Type == ConstantMapping:
		return &InputError{Field: "Constant Value", Text: problemText(problems[0])}
	}
	return &InputError{Field: "Source attribute", Text: problemText(problems[0])}
}

// parsed returns the parsed source of the row, or nil for NoMapping. The positions in its errors
// are positions in the expression as the user typed it.
func (r RowEdit) parsed() (*expr.Expr, error) {
	node, err := r.SourceNode()
	if err != nil || node == nil {
		return nil, err
	}
	e, err := expr.FromSource(node)
	if r.Type == ExpressionMapping {
		e, err = expr.Parse(r.Source)
	}
	if err != nil {
		return nil, &ExpressionError{Err: err}
	}
	return e, nil
}

// readOnlyTarget reports whether only the application may set a target attribute.
//
// RFC 7643 §3.1: id and meta; §4.1.2: the groups of a user; §4.3: the name of a manager.
func readOnlyTarget(d *AttributeDefinition) bool {
	if d.Mutability == ReadOnly {
		return true
	}
	path, err := scim.ParsePath(nil, d.Name, scim.Lenient)
	if err != nil {
		return false
	}
	switch strings.ToLower(path.Name) {
	case "id", "meta", "groups", "schemas":
		return path.URN == "" || strings.EqualFold(path.URN, scim.UserURN) || strings.EqualFold(path.URN, scim.GroupURN)
	case "manager":
		return strings.EqualFold(path.Sub, "displayName")
	}
	return false
}

// problemText returns the message of an error in an expression without the position, which has no
// meaning if the expression is only one attribute or constant.
func problemText(e *expr.SyntaxError) string {
	if e.Suggestion == "" {
		return e.Message
	}
	return e.Message + ": " + e.Suggestion
}

// hasFlow reports whether the row of a target attribute already has this flow type. Graph has flow
// types that the page does not offer, but a row that has such a type may keep it.
func (s *Schema) hasFlow(m *ObjectMapping, target string, flow AttributeFlowType) bool {
	i, err := m.rowIndex(target)
	return err == nil && i >= 0 && m.AttributeMappings[i].FlowType == flow
}

// StopsDisabling reports whether a changed mapping no longer disables accounts: it had rows that
// depend on whether the person is blocked or deleted, and now it has none, or the row of active is
// no longer one of them.
func StopsDisabling(was, is *ObjectMapping) bool {
	before, after := was.disablingRows(), is.disablingRows()
	return len(before) > 0 && (len(after) == 0 || slices.ContainsFunc(before, isActive) && !slices.ContainsFunc(after, isActive))
}

// disablingRows returns the target attributes whose value depends on whether the person may have
// access. It leaves out rows that apply only to new accounts, because they cannot switch an account
// off.
func (m *ObjectMapping) disablingRows() []string {
	var targets []string
	for i := range m.AttributeMappings {
		if m.AttributeMappings[i].FlowType == FlowObjectAddOnly {
			continue
		}
		if e, err := expr.FromSource(m.AttributeMappings[i].Source); err == nil && readsState(e) {
			targets = append(targets, m.AttributeMappings[i].TargetAttributeName)
		}
	}
	return targets
}

// RowNotes returns warnings about a row that SetRow accepts. They are about parts that do not work
// in Entra, or that do not work for every person.
func (job Job) RowNotes(mapping string, row RowEdit) []expr.Note {
	m, err := job.Schema.ObjectMapping(mapping)
	if err != nil {
		return nil
	}
	source, target, err := job.Schema.objects(m)
	if err != nil {
		return nil
	}
	definition, ok := target.Attribute(row.Target)
	e, err := row.parsed()
	if !ok || err != nil || e == nil {
		return nil
	}
	_, notes := e.Check(row.place(source, definition, job.Scope))
	if row.Precedence > 0 || row.Target == attrUserName {
		if len(e.Attributes()) == 0 && !e.Draws() {
			notes = append(notes, expr.Note{Line: 1, Column: 1, Message: row.Target + " is the same for everybody, and an application tells its accounts apart by it"})
		}
	}
	return append(e.Notes(), notes...)
}

// ExpressionPlace describes a row of one of the job's mappings, so that package expr can check
// expressions for it. target is the attribute that the row writes; "" if it is not known.
// ExpressionPlace returns an *InputError if there is no such attribute.
func (job Job) ExpressionPlace(m *ObjectMapping, target string) (expr.Place, error) {
	source, object, err := job.Schema.objects(m)
	if err != nil {
		return expr.Place{}, &InputError{Field: "Mapping", Text: err.Error()}
	}
	if target == "" {
		return expr.Place{Source: attributesOf(source), ProvisionsEveryone: job.Scope == Everyone}, nil
	}
	definition, err := object.existingAttribute(target)
	if err != nil {
		return expr.Place{}, err
	}
	row := RowEdit{Target: target}
	if i, err := m.rowIndex(target); err == nil {
		row.Precedence, row.Apply = m.AttributeMappings[i].MatchingPriority, m.AttributeMappings[i].FlowType
	}
	return row.place(source, definition, job.Scope), nil
}

// FitsTarget returns a function that checks whether an expression's value can be sent for a target
// attribute. The function returns nil if it can, and otherwise an error with the reason. FitsTarget
// itself returns an *InputError if the attribute is not in the list.
func (job Job) FitsTarget(m *ObjectMapping, target string) (func(expr.Value) error, error) {
	_, object, err := job.Schema.objects(m)
	if err != nil {
		return nil, &InputError{Field: "Mapping", Text: err.Error()}
	}
	d, err := object.existingAttribute(target)
	if err != nil {
		return nil, err
	}
	r := row{CompiledMapping: CompiledMapping{Target: d.Name, Type: d.Type, Multivalued: d.Multivalued}}
	return func(v expr.Value) error {
		if v.IsNoFlow() || v.IsNullOrEmpty() {
			return nil
		}
		if _, problem := r.convert(v); problem != nil {
			return errors.New(strings.TrimSuffix(problem.Text, "."))
		}
		return nil
	}, nil
}

// place describes the row, so that package expr can check expressions for it.
func (r RowEdit) place(source *ObjectDefinition, target *AttributeDefinition, scope Scope) expr.Place {
	return expr.Place{
		Source: attributesOf(source), IsMatching: r.Precedence > 0, ProvisionsEveryone: scope == Everyone, OnlyAtCreation: r.Apply == FlowObjectAddOnly,
		Target: &expr.Attribute{Name: target.Name, Type: expr.AttributeType(target.Type), Multivalued: target.Multivalued},
	}
}

// attributesOf returns the attributes of an object in the form that expressions use.
func attributesOf(o *ObjectDefinition) []expr.Attribute {
	list := make([]expr.Attribute, len(o.Attributes))
	for i, a := range o.Attributes {
		list[i] = expr.Attribute{Name: a.Name, Type: expr.AttributeType(a.Type), Multivalued: a.Multivalued}
	}
	return list
}

// setFlowNull sets the setting Flow null values of a target attribute. The schema must be a clone.
func (s *Schema) setFlowNull(m *ObjectMapping, target string, on bool) {
	_, object, err := s.objects(m)
	if err != nil {
		return
	}
	if d, ok := object.Attribute(target); !ok || d.FlowNullValues == on {
		return
	}
	s.ownDefinitions()
	_, object, _ = s.objects(m)
	d, _ := object.Attribute(target)
	d.FlowNullValues = on
}

// ownDefinitions gives a clone its own copies of the attribute definitions, so that they can be
// changed without changing the original.
func (s *Schema) ownDefinitions() {
	for i := range s.Directories {
		s.Directories[i].Objects = slices.Clone(s.Directories[i].Objects)
		for j := range s.Directories[i].Objects {
			s.Directories[i].Objects[j].Attributes = slices.Clone(s.Directories[i].Objects[j].Attributes)
		}
	}
}
