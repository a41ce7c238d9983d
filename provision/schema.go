package provision

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// Schema says what a job synchronizes, in the form of Microsoft Graph's synchronizationSchema. It
// holds the attributes of both directories, and the rules that compute target values from source
// values.
type Schema struct {
	ID                   string                `json:"id"`
	Version              string                `json:"version"` // a string that differs after each change of the schema
	SynchronizationRules []SynchronizationRule `json:"synchronizationRules"`
	Directories          []DirectoryDefinition `json:"directories"`
}

// SynchronizationRule holds the object mappings from one directory to another.
type SynchronizationRule struct {
	ID                  string           `json:"id"`
	Name                string           `json:"name"`
	Editable            bool             `json:"editable"`
	Priority            int              `json:"priority"` // rules with a lower number apply first
	SourceDirectoryName string           `json:"sourceDirectoryName"`
	TargetDirectoryName string           `json:"targetDirectoryName"`
	ObjectMappings      []ObjectMapping  `json:"objectMappings"`
	ContainerFilter     *ContainerFilter `json:"containerFilter"`
	GroupFilter         *GroupFilter     `json:"groupFilter"`
	Metadata            []MetadataEntry  `json:"metadata"`
}

// ContainerFilter lists the containers of an Active Directory that are read.
type ContainerFilter struct {
	IncludedContainers []string `json:"includedContainers"`
}

// GroupFilter lists the groups of an Active Directory that are read.
type GroupFilter struct {
	IncludedGroups []string `json:"includedGroups"`
}

// MetadataEntry is one named string of a rule, mapping, directory, object or attribute.
type MetadataEntry struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// ObjectMapping says how objects of a source become objects of a target, such as users.
type ObjectMapping struct {
	Name              string             `json:"name"`
	Enabled           bool               `json:"enabled"`
	FlowTypes         FlowTypes          `json:"flowTypes"` // the Target Object Actions
	SourceObjectName  string             `json:"sourceObjectName"`
	TargetObjectName  string             `json:"targetObjectName"`
	Scope             *Filter            `json:"scope"` // the scoping filters; nil means all objects
	AttributeMappings []AttributeMapping `json:"attributeMappings"`
	Metadata          []MetadataEntry    `json:"metadata"`
}

// AttributeMapping is a row of a mapping. It says how one target attribute gets its value.
type AttributeMapping struct {
	TargetAttributeName     string                  `json:"targetAttributeName"`
	Source                  *AttributeMappingSource `json:"source"`           // nil if only the default value applies
	DefaultValue            *string                 `json:"defaultValue"`     // nil or "" if there is none
	MatchingPriority        int                     `json:"matchingPriority"` // the Matching precedence; 0 if it is not a matching attribute
	FlowType                AttributeFlowType       `json:"flowType"`
	FlowBehavior            FlowBehavior            `json:"flowBehavior"`
	ExportMissingReferences bool                    `json:"exportMissingReferences"`
}

// AttributeMappingSource is an expression, both as a string and as a tree.
type AttributeMappingSource = expr.Node

// AttributeFlowType says when a row applies.
type AttributeFlowType string

// The flow types of a row. The pages offer the first two, as Always and "Only during object
// creation". A row that has one of the others keeps it.
const (
	FlowAlways            AttributeFlowType = "Always"
	FlowObjectAddOnly     AttributeFlowType = "ObjectAddOnly"
	FlowMultiValueAddOnly AttributeFlowType = "MultiValueAddOnly"
	FlowValueAddOnly      AttributeFlowType = "ValueAddOnly"
	FlowAttributeAddOnly  AttributeFlowType = "AttributeAddOnly"
)

// FlowBehavior says whether to send a value that has not changed.
type FlowBehavior string

// The flow behaviors of a row.
const (
	FlowWhenChanged FlowBehavior = "FlowWhenChanged"
	FlowUnchanged   FlowBehavior = "FlowAlways"
)

// Filter holds the scoping filters of an object mapping. An object passes if all clauses of at
// least one group are true. An object that does not pass is not in scope, and is deprovisioned.
type Filter struct {
	Groups               []FilterGroup `json:"groups"`
	InputFilterGroups    []FilterGroup `json:"inputFilterGroups"`
	CategoryFilterGroups []FilterGroup `json:"categoryFilterGroups"`
}

// Empty reports whether the filter has no groups, so that every object passes.
func (f *Filter) Empty() bool {
	return f == nil || len(f.Groups) == 0 && len(f.InputFilterGroups) == 0 && len(f.CategoryFilterGroups) == 0
}

// FilterGroup is a list of clauses that must all be true.
type FilterGroup struct {
	Name    string         `json:"name"`
	Clauses []FilterClause `json:"clauses"`
}

// FilterClause is a condition that compares a source attribute with values.
type FilterClause struct {
	SourceOperandName string        `json:"sourceOperandName"`
	OperatorName      string        `json:"operatorName"`
	TargetOperand     FilterOperand `json:"targetOperand"`
}

// FilterOperand holds the values with which a clause compares the attribute. It is empty for
// operators that need no value, such as IS NULL.
type FilterOperand struct {
	Values []string `json:"values"`
}

// DirectoryDefinition lists the objects of a source or target.
type DirectoryDefinition struct {
	ID                string             `json:"id"`
	Name              string             `json:"name"`
	Version           string             `json:"version"`
	ReadOnly          bool               `json:"readOnly"`
	DiscoveryDateTime *string            `json:"discoveryDateTime"`
	Discoverabilities string             `json:"discoverabilities"`
	Objects           []ObjectDefinition `json:"objects"`
	Metadata          []MetadataEntry    `json:"metadata"`
}

// ObjectDefinition lists the attributes of one kind of object, such as User.
type ObjectDefinition struct {
	Name          string                `json:"name"`
	Attributes    []AttributeDefinition `json:"attributes"`
	SupportedAPIs []string              `json:"supportedApis"`
	Metadata      []MetadataEntry       `json:"metadata"`
}

// AttributeDefinition describes an attribute. The name of a target attribute is a SCIM path.
type AttributeDefinition struct {
	Name              string             `json:"name"`
	Type              AttributeType      `json:"type"`
	Anchor            bool               `json:"anchor"`    // whether the attribute is the object's primary key, which never changes
	CaseExact         bool               `json:"caseExact"` // whether a difference only in case counts as a change
	Multivalued       bool               `json:"multivalued"`
	Required          bool               `json:"required"`
	Mutability        Mutability         `json:"mutability"`
	DefaultValue      *string            `json:"defaultValue"`
	FlowNullValues    bool               `json:"flowNullValues"`
	ReferencedObjects []ReferencedObject `json:"referencedObjects"`
	APIExpressions    []json.RawMessage  `json:"apiExpressions"` // used only by Entra, so kept unchanged
	Metadata          []MetadataEntry    `json:"metadata"`
}

// AttributeType is the type of an attribute's values.
type AttributeType string

// The attribute types.
const (
	TypeString    AttributeType = "String"
	TypeInteger   AttributeType = "Integer"
	TypeReference AttributeType = "Reference"
	TypeBinary    AttributeType = "Binary"
	TypeBoolean   AttributeType = "Boolean"
	TypeDateTime  AttributeType = "DateTime"
)

// Mutability says who may change an attribute.
type Mutability string

// The mutabilities.
const (
	ReadWrite Mutability = "ReadWrite"
	ReadOnly  Mutability = "ReadOnly"
	Immutable Mutability = "Immutable"
	WriteOnly Mutability = "WriteOnly"
)

// ReferencedObject names the object to which a Reference leads.
type ReferencedObject struct {
	ReferencedObjectName string  `json:"referencedObjectName"`
	ReferencedProperty   *string `json:"referencedProperty"`
}

// ParseSchema parses a schema document. It ignores members that Graph does not have, and sets
// absent members to Graph's defaults. It does not check whether the schema can be used; Validate
// does.
func ParseSchema(b []byte) (*Schema, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	var s Schema
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read the schema document: %w", explainJSON(b, err))
	}
	if len(s.SynchronizationRules) == 0 {
		return nil, fmt.Errorf("the schema document has no synchronizationRules: is it a synchronizationSchema?")
	}
	s.fill()
	return &s, nil
}

// explainJSON returns an error that says in words why a document could not be read, and where.
func explainJSON(document []byte, err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		before := document[:min(int(syntax.Offset), len(document))]
		return fmt.Errorf("line %d is not JSON: %w", bytes.Count(before, []byte("\n"))+1, err)
	case errors.As(err, &wrong):
		return fmt.Errorf("%s is of the kind %s, and has to be %s", cmp.Or(wrong.Field, "the document"), wrong.Value, jsonKind(wrong.Type))
	}
	return err
}

// jsonKind returns the kind of JSON value that can be decoded into a Go type, in words.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	case reflect.Int:
		return "a whole number"
	default:
		return "an object"
	}
}

// JSON returns the schema as an indented document in Graph's form. Empty lists are [], not null.
func (s *Schema) JSON() ([]byte, error) {
	c := s.Clone()
	c.fill()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(c); err != nil {
		return nil, fmt.Errorf("write the schema document: %w", err)
	}
	return b.Bytes(), nil
}

// Clone returns a copy of the schema in which rules, mappings and rows may be changed. The copy
// shares attribute definitions and the sources of rows with the original.
func (s *Schema) Clone() *Schema {
	c := *s
	c.Directories = slices.Clone(s.Directories)
	c.SynchronizationRules = slices.Clone(s.SynchronizationRules)
	for i := range c.SynchronizationRules {
		r := &c.SynchronizationRules[i]
		r.ObjectMappings = slices.Clone(r.ObjectMappings)
		for j := range r.ObjectMappings {
			m := &r.ObjectMappings[j]
			m.AttributeMappings = slices.Clone(m.AttributeMappings)
			m.Metadata = slices.Clone(m.Metadata)
		}
	}
	return &c
}

// ObjectMappings returns all object mappings, in the order in which their rules apply.
func (s *Schema) ObjectMappings() []*ObjectMapping {
	var mappings []*ObjectMapping
	for _, r := range s.rules() {
		for i := range r.ObjectMappings {
			mappings = append(mappings, &r.ObjectMappings[i])
		}
	}
	return mappings
}

// ObjectMapping returns the object mapping with exactly this name.
func (s *Schema) ObjectMapping(name string) (*ObjectMapping, error) {
	for _, m := range s.ObjectMappings() {
		if m.Name == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("the schema has no object mapping %q", name)
}

// UserMapping returns the first object mapping whose source object is User.
func (s *Schema) UserMapping() (*ObjectMapping, error) { return s.mappingOf("User") }

// GroupMapping returns the first object mapping whose source object is Group.
func (s *Schema) GroupMapping() (*ObjectMapping, error) { return s.mappingOf("Group") }

// mappingOf returns the first object mapping with this source object.
func (s *Schema) mappingOf(source string) (*ObjectMapping, error) {
	for _, m := range s.ObjectMappings() {
		if m.SourceObjectName == source {
			return m, nil
		}
	}
	return nil, fmt.Errorf("the schema has no object mapping with the source object %s", source)
}

// rules returns the rules, ordered by priority.
func (s *Schema) rules() []*SynchronizationRule {
	rules := make([]*SynchronizationRule, len(s.SynchronizationRules))
	for i := range s.SynchronizationRules {
		rules[i] = &s.SynchronizationRules[i]
	}
	slices.SortStableFunc(rules, func(a, b *SynchronizationRule) int { return cmp.Compare(a.Priority, b.Priority) })
	return rules
}

// Directory returns the directory definition with this name. The names Azure Active Directory and
// Microsoft Entra ID count as equal.
func (s *Schema) Directory(name string) (*DirectoryDefinition, error) {
	for i := range s.Directories {
		if sameDirectory(s.Directories[i].Name, name) {
			return &s.Directories[i], nil
		}
	}
	return nil, fmt.Errorf("the schema has no directory %q", name)
}

// sameDirectory reports whether two names mean the same directory. Entra ID has two names.
func sameDirectory(a, b string) bool {
	renamed := func(name string) string {
		if name == "Azure Active Directory" {
			return "Microsoft Entra ID"
		}
		return name
	}
	return renamed(a) == renamed(b)
}

// Object returns the definition of the object with exactly this name.
func (d *DirectoryDefinition) Object(name string) (*ObjectDefinition, error) {
	for i := range d.Objects {
		if d.Objects[i].Name == name {
			return &d.Objects[i], nil
		}
	}
	return nil, fmt.Errorf("the directory %q has no object %q", d.Name, name)
}

// Attribute returns the definition of the attribute with exactly this name.
func (o *ObjectDefinition) Attribute(name string) (*AttributeDefinition, bool) {
	for i := range o.Attributes {
		if o.Attributes[i].Name == name {
			return &o.Attributes[i], true
		}
	}
	return nil, false
}

// rowHint returns a hint for an error message about an unknown target attribute: the attribute that
// the mapping writes and whose name differs from name only in case. It returns "" if there is none.
func (m *ObjectMapping) rowHint(name string) string {
	for _, row := range m.AttributeMappings {
		if strings.EqualFold(row.TargetAttributeName, name) {
			return "; case counts, write " + row.TargetAttributeName
		}
	}
	return ""
}

// ExactCase returns the target attributes of a mapping for which a difference only in case counts
// as a change, in the order of the rows.
func (s *Schema) ExactCase(m *ObjectMapping) []string {
	_, target, err := s.objects(m)
	if err != nil {
		return nil
	}
	exact := []string{}
	for i := range m.AttributeMappings {
		if a, ok := target.Attribute(m.AttributeMappings[i].TargetAttributeName); ok && a.CaseExact && !slices.Contains(exact, a.Name) {
			exact = append(exact, a.Name)
		}
	}
	return exact
}

// setExactCase sets for which target attributes of a mapping a difference only in case counts as a
// change. It returns a description of the changes. The schema must be a clone. setExactCase returns
// an *InputError if the mapping does not write one of the attributes.
func (s *Schema) setExactCase(m *ObjectMapping, exact []string) (string, error) {
	for _, name := range exact {
		if !slices.ContainsFunc(m.AttributeMappings, func(row AttributeMapping) bool { return row.TargetAttributeName == name }) {
			return "", &InputError{Field: "Exact case", Text: fmt.Sprintf("names %q, which the mapping does not write%s", name, m.rowHint(name))}
		}
	}
	s.ownDefinitions()
	_, target, err := s.objects(m)
	if err != nil {
		return "", &InputError{Field: "Mapping", Text: err.Error()}
	}
	var on, off []string
	for i := range m.AttributeMappings {
		a, ok := target.Attribute(m.AttributeMappings[i].TargetAttributeName)
		want := ok && slices.Contains(exact, a.Name)
		switch {
		case !ok || a.CaseExact == want:
			continue
		case want:
			on = append(on, a.Name)
		default:
			off = append(off, a.Name)
		}
		a.CaseExact = want
	}
	var words []string
	if len(on) > 0 {
		words = append(words, "case now counts for "+strings.Join(on, ", "))
	}
	if len(off) > 0 {
		words = append(words, "case no longer counts for "+strings.Join(off, ", "))
	}
	return strings.Join(words, ", "), nil
}

// attributeHint returns a hint for an error message about an unknown attribute: the attribute whose
// name differs from name only in case. It returns "" if there is none.
func (o *ObjectDefinition) attributeHint(name string) string {
	for _, a := range o.Attributes {
		if strings.EqualFold(a.Name, name) {
			return "; case counts, write " + a.Name
		}
	}
	return ""
}

// Default returns the row's default value, which is used for a new account if the source is null.
// ok is false if there is none.
func (m *AttributeMapping) Default() (value string, ok bool) {
	if m.DefaultValue == nil || *m.DefaultValue == "" {
		return "", false
	}
	return *m.DefaultValue, true
}

// fill sets absent lists and enumerations to Graph's defaults.
func (s *Schema) fill() {
	for i := range s.SynchronizationRules {
		r := &s.SynchronizationRules[i]
		r.ObjectMappings = orEmpty(r.ObjectMappings)
		r.Metadata = orEmpty(r.Metadata)
		for j := range r.ObjectMappings {
			r.ObjectMappings[j].fill()
		}
	}
	s.SynchronizationRules = orEmpty(s.SynchronizationRules)
	s.Directories = orEmpty(s.Directories)
	for i := range s.Directories {
		s.Directories[i].fill()
	}
}

// fill gives absent properties their default values.
func (m *ObjectMapping) fill() {
	m.AttributeMappings = orEmpty(m.AttributeMappings)
	m.Metadata = orEmpty(m.Metadata)
	for i := range m.AttributeMappings {
		row := &m.AttributeMappings[i]
		row.FlowType = cmp.Or(row.FlowType, FlowAlways)
		row.FlowBehavior = cmp.Or(row.FlowBehavior, FlowWhenChanged)
	}
	if f := m.Scope; f != nil {
		m.Scope = &Filter{Groups: fillGroups(f.Groups), InputFilterGroups: fillGroups(f.InputFilterGroups), CategoryFilterGroups: fillGroups(f.CategoryFilterGroups)}
	}
}

// fillGroups returns a copy of the groups in which no list is nil.
func fillGroups(groups []FilterGroup) []FilterGroup {
	groups = slices.Clone(orEmpty(groups))
	for i := range groups {
		groups[i].Clauses = slices.Clone(orEmpty(groups[i].Clauses))
		for j := range groups[i].Clauses {
			operand := &groups[i].Clauses[j].TargetOperand
			operand.Values = orEmpty(operand.Values)
		}
	}
	return groups
}

// fill gives absent properties their default values.
func (d *DirectoryDefinition) fill() {
	d.Discoverabilities = cmp.Or(d.Discoverabilities, "None")
	d.Metadata = orEmpty(d.Metadata)
	d.Objects = slices.Clone(orEmpty(d.Objects))
	for i := range d.Objects {
		o := &d.Objects[i]
		o.Metadata = orEmpty(o.Metadata)
		o.SupportedAPIs = orEmpty(o.SupportedAPIs)
		o.Attributes = slices.Clone(orEmpty(o.Attributes))
		for j := range o.Attributes {
			a := &o.Attributes[j]
			a.Type = cmp.Or(a.Type, TypeString)
			a.Mutability = cmp.Or(a.Mutability, ReadWrite)
			a.ReferencedObjects = orEmpty(a.ReferencedObjects)
			a.APIExpressions = orEmpty(a.APIExpressions)
			a.Metadata = orEmpty(a.Metadata)
		}
	}
}

// orEmpty returns the list, or an empty one instead of nil. JSON would write nil as null.
func orEmpty[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
