package provision

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/scim"
)

// ListSide selects one of the two attribute lists of a mapping: the list of the directory or the
// list of the application.
type ListSide string

// The two attribute lists of a mapping.
const (
	SourceList ListSide = "source"
	TargetList ListSide = "target"
)

// ListedAttribute is one attribute of a list, in the words of Entra's page "Edit attribute list".
type ListedAttribute struct {
	Name       string
	Type       AttributeType
	PrimaryKey bool // whether the attribute is the object's primary key; each object has exactly one
	Required   bool
	MultiValue bool
	ExactCase  bool
	// APIExpression is the property apiExpressions of Graph, as JSON. Only Entra uses it, so it is
	// kept unchanged. It is "" if there is none.
	APIExpression string
	// Referenced is the Referenced Object Attribute of a Reference: the name of the object that the
	// attribute leads to, or OBJECT.ATTRIBUTE. Commas separate several of them. It is "" for other
	// types.
	Referenced string
	FlowNull   bool     // Flow null values: whether the engine sends the attribute when its value is empty
	Uses       []string // the reasons why the attribute is needed, in words; only AttributeList sets it
}

// AttributeTypes returns the types that an attribute can have, in the order of Entra's page.
func AttributeTypes() []AttributeType {
	return []AttributeType{TypeString, TypeInteger, TypeBoolean, TypeDateTime, TypeBinary, TypeReference}
}

// Limits of an attribute list.
const (
	maxAttributeName = 500  // the largest length of a name, in characters
	maxAttributes    = 1000 // the largest number of attributes
)

// AttributeList returns one of a mapping's attribute lists, in the order of the schema document. If
// it fails, it returns an *InputError.
func (s *Schema) AttributeList(m *ObjectMapping, side ListSide) ([]ListedAttribute, error) {
	o, err := s.listedObject(m, side)
	if err != nil {
		return nil, err
	}
	list := make([]ListedAttribute, len(o.Attributes))
	for i := range o.Attributes {
		list[i] = listedAttribute(&o.Attributes[i])
		list[i].Uses = s.attributeUses(o, side, o.Attributes[i].Name)
	}
	return list, nil
}

// listedObject returns the object whose attributes a mapping's list shows.
func (s *Schema) listedObject(m *ObjectMapping, side ListSide) (*ObjectDefinition, error) {
	source, target, err := s.objects(m)
	switch {
	case err != nil:
		return nil, &InputError{Field: "Mapping", Text: err.Error()}
	case side == SourceList:
		return source, nil
	case side == TargetList:
		return target, nil
	}
	return nil, &InputError{Field: "Attribute list", Text: fmt.Sprintf("is %q: write source or target", side)}
}

func listedAttribute(a *AttributeDefinition) ListedAttribute {
	l := ListedAttribute{
		Name: a.Name, Type: a.Type, PrimaryKey: a.Anchor, Required: a.Required, MultiValue: a.Multivalued, ExactCase: a.CaseExact, FlowNull: a.FlowNullValues,
	}
	var expressions []string
	for _, raw := range a.APIExpressions {
		expressions = append(expressions, string(raw))
	}
	l.APIExpression = strings.Join(expressions, ", ")
	var objects []string
	for _, r := range a.ReferencedObjects {
		name := r.ReferencedObjectName
		if r.ReferencedProperty != nil && *r.ReferencedProperty != "" {
			name += "." + *r.ReferencedProperty
		}
		objects = append(objects, name)
	}
	l.Referenced = strings.Join(objects, ", ")
	return l
}

// AddAttribute returns a copy of the job with a new attribute in one of a mapping's lists. c is the
// catalog of the mapping's source objects. If c is nil, the source's list accepts every name. If
// AddAttribute refuses the attribute, it returns an *InputError.
func (job Job) AddAttribute(mapping string, side ListSide, a ListedAttribute, c Catalog) (Job, error) {
	return job.editList(mapping, side, c, func(s *Schema, o *ObjectDefinition) error {
		if err := o.checkNewName(side, a.Name, c); err != nil {
			return err
		}
		if len(o.Attributes) >= maxAttributes {
			return &InputError{Field: "Attribute list", Text: fmt.Sprintf("has %d attributes, and more are not kept: remove some that no row uses", maxAttributes)}
		}
		d := AttributeDefinition{Name: a.Name, Mutability: ReadWrite, Metadata: []MetadataEntry{{Key: "IsCustomerDefined", Value: "true"}}}
		o.Attributes = append(o.Attributes, d)
		return s.setListed(o, side, &o.Attributes[len(o.Attributes)-1], a, c)
	})
}

// ChangeAttribute returns a copy of the job in which the attribute named a.Name has the properties
// of a. It returns an *InputError if a property is wrong, or if a row would no longer work.
func (job Job) ChangeAttribute(mapping string, side ListSide, a ListedAttribute, c Catalog) (Job, error) {
	return job.editList(mapping, side, c, func(s *Schema, o *ObjectDefinition) error {
		d, err := o.existingAttribute(a.Name)
		if err != nil {
			return err
		}
		return s.setListed(o, side, d, a, c)
	})
}

// RemoveAttribute returns a copy of the job without this attribute. It returns an *InputError if
// the attribute is a primary key, or if a row or a scoping filter uses it.
func (job Job) RemoveAttribute(mapping string, side ListSide, name string, c Catalog) (Job, error) {
	return job.editList(mapping, side, c, func(s *Schema, o *ObjectDefinition) error {
		if _, err := o.existingAttribute(name); err != nil {
			return err
		}
		if uses := s.attributeUses(o, side, name); len(uses) > 0 {
			return &InputError{Field: name, Text: "stays in the attribute list: " + strings.Join(uses, "; ")}
		}
		o.Attributes = slices.DeleteFunc(o.Attributes, func(a AttributeDefinition) bool { return a.Name == name })
		return nil
	})
}

// existingAttribute returns the attribute with this name, or an *InputError if the list does not
// have it.
func (o *ObjectDefinition) existingAttribute(name string) (*AttributeDefinition, error) {
	d, ok := o.Attribute(name)
	if !ok {
		return nil, &InputError{Field: "Name", Text: fmt.Sprintf("%q is not in the attribute list of %s%s", name, o.Name, o.attributeHint(name))}
	}
	return d, nil
}

// editList returns a copy of the job in which edit has changed an attribute list. It returns an
// *InputError if a row that worked before would no longer work.
func (job Job) editList(mapping string, side ListSide, c Catalog, edit func(*Schema, *ObjectDefinition) error) (Job, error) {
	schema := job.Schema.Clone()
	schema.ownDefinitions()
	m, err := schema.ObjectMapping(mapping)
	if err != nil {
		return job, &InputError{Field: "Mapping", Text: err.Error()}
	}
	o, err := schema.listedObject(m, side)
	if err != nil {
		return job, err
	}
	if err := edit(schema, o); err != nil {
		return job, err
	}
	if err := job.checkStillUsable(schema); err != nil {
		return job, err
	}
	if m.SourceObjectName == string(UserKind) {
		if _, err := usableMapping(schema, c); err != nil {
			return job, err
		}
	}
	job.Schema = schema
	return job, nil
}

// checkStillUsable returns an *InputError for the first row that works with the job's attribute lists
// but not with those of the changed schema.
func (job Job) checkStillUsable(changed *Schema) error {
	was, is := job.Schema.ObjectMappings(), changed.ObjectMappings()
	for i, m := range is {
		for j := range m.AttributeMappings {
			row := changed.Row(m, &m.AttributeMappings[j])
			err := changed.checkRow(m, row.Target, row, job.Scope)
			if err == nil || job.Schema.checkRow(was[i], row.Target, row, job.Scope) != nil {
				continue
			}
			return &InputError{Field: "Attribute list", Text: fmt.Sprintf("cannot be like this, because the row %s of %q would no longer work: %v", row.Target, m.Name, err)}
		}
	}
	return nil
}

// setListed checks the properties of a, and copies them to the definition d.
func (s *Schema) setListed(o *ObjectDefinition, side ListSide, d *AttributeDefinition, a ListedAttribute, c Catalog) error {
	switch {
	case !a.Type.known():
		return &InputError{Field: "Type", Text: fmt.Sprintf("is %q: write String, Integer, Boolean, DateTime, Binary or Reference", a.Type)}
	case a.PrimaryKey && !d.Anchor:
		return &InputError{Field: "Primary key", Text: "is " + o.anchor() + ", which cannot be changed: provisioning knows each object by it"}
	case !a.PrimaryKey && d.Anchor:
		return &InputError{Field: "Primary key", Text: "stays " + d.Name + ": provisioning knows each object by it"}
	}
	check := checkTargetProperties
	if side == SourceList {
		check = checkSourceProperties
	}
	if err := check(d, &a, c); err != nil {
		return err
	}
	references, err := s.referencesOf(o, side, d, a)
	if err != nil {
		return err
	}
	d.Type, d.Required, d.Multivalued, d.CaseExact, d.ReferencedObjects = a.Type, a.Required, a.MultiValue, a.ExactCase, references
	if side == SourceList {
		d.FlowNullValues = a.FlowNull // for a target attribute, Flow null values is a setting of the row
	}
	return nil
}

// anchor returns the name of the object's primary key.
func (o *ObjectDefinition) anchor() string {
	for _, a := range o.Attributes {
		if a.Anchor {
			return a.Name
		}
	}
	return ""
}

// checkTargetProperties returns an *InputError if an attribute of the application cannot have the
// properties of a.
func checkTargetProperties(d *AttributeDefinition, a *ListedAttribute, _ Catalog) error {
	p, err := scim.ParsePath(nil, d.Name, scim.Lenient)
	if err != nil {
		return &InputError{Field: "Name", Text: "cannot be written to an application: " + err.Error()}
	}
	switch {
	case a.MultiValue && (p.Filter != nil || p.Sub != ""):
		return &InputError{Field: "Multi-value", Text: d.Name + " is the path of a single value: clear Multi-value, or add the attribute itself, " + d.Name[:strings.IndexAny(d.Name+"[", "[")]}
	case a.MultiValue && a.Type == TypeReference && !d.Multivalued:
		return &InputError{Field: "Multi-value", Text: "cannot be ticked for a Reference: provisioning sends one reference, or the members of a group"}
	case d.Anchor && a.Type != d.Type, d.Anchor && a.MultiValue:
		return &InputError{Field: "Type", Text: "of " + d.Name + " stays " + string(d.Type) + ": it is the application's own key"}
	}
	return nil
}

// checkSourceProperties returns an *InputError if an attribute of the directory cannot have the
// properties of a. Only the directory decides whether an attribute is multi-valued.
func checkSourceProperties(d *AttributeDefinition, a *ListedAttribute, c Catalog) error {
	if c == nil {
		return nil
	}
	known, ok := c.Attribute(d.Name)
	if !ok {
		if a.Type == d.Type && a.MultiValue == d.Multivalued {
			return nil
		}
		return &InputError{Field: "Type", Text: "of " + d.Name + " stays as it is: the directory has no such attribute"}
	}
	switch {
	case a.Type != known.Type && a.Type != d.Type && known.Type != TypeString:
		return &InputError{Field: "Type", Text: fmt.Sprintf("of %s is %s in the directory: write that", d.Name, known.Type)}
	case a.MultiValue != known.MultiValued && a.MultiValue != d.Multivalued:
		return &InputError{Field: "Multi-value", Text: fmt.Sprintf("of %s is what the directory says: it has %s", d.Name, multiValueAdvice(known.MultiValued))}
	}
	return nil
}

// multiValueAdvice returns the end of a sentence about the check box Multi-value.
func multiValueAdvice(several bool) string {
	if several {
		return "several values, so tick it"
	}
	return "one value, so clear it"
}

// referencesOf parses the Referenced Object Attribute of a. It returns an *InputError if the text
// does not fit the type of a, or names no object.
func (s *Schema) referencesOf(o *ObjectDefinition, side ListSide, d *AttributeDefinition, a ListedAttribute) ([]ReferencedObject, error) {
	if strings.TrimSpace(a.Referenced) == "" {
		if a.Type == TypeReference {
			return nil, &InputError{Field: "Referenced Object Attribute", Text: "is empty: a Reference leads to an object, such as " + o.Name}
		}
		return []ReferencedObject{}, nil
	}
	switch {
	case a.Type != TypeReference:
		return nil, &InputError{Field: "Referenced Object Attribute", Text: "belongs to the type Reference only: clear it, or choose that type"}
	case a.Referenced == listedAttribute(d).Referenced:
		return d.ReferencedObjects, nil
	}
	list := []ReferencedObject{}
	for text := range strings.SplitSeq(a.Referenced, ",") {
		r, err := s.referenceOf(o, strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	if side == TargetList && (len(list) > 1 || list[0].ReferencedObjectName != o.Name) {
		return nil, &InputError{Field: "Referenced Object Attribute", Text: "must be " + o.Name + ": provisioning sends references from an account to an account"}
	}
	return list, nil
}

// referenceOf parses a string of the form OBJECT or OBJECT.ATTRIBUTE. The object must be in the
// same directory as o, and the attribute must be the object's primary key.
func (s *Schema) referenceOf(o *ObjectDefinition, text string) (ReferencedObject, error) {
	var names []string
	for i := range s.Directories {
		if !slices.ContainsFunc(s.Directories[i].Objects, func(x ObjectDefinition) bool { return x.Name == o.Name }) {
			continue
		}
		for j := range s.Directories[i].Objects {
			other := &s.Directories[i].Objects[j]
			names = append(names, other.Name)
			property, of := strings.CutPrefix(text, other.Name+".")
			switch {
			case text == other.Name:
				return ReferencedObject{ReferencedObjectName: other.Name}, nil
			case of && property == other.anchor():
				return ReferencedObject{ReferencedObjectName: other.Name, ReferencedProperty: &property}, nil
			case of:
				return ReferencedObject{}, &InputError{Field: "Referenced Object Attribute", Text: fmt.Sprintf("names %s, and a reference holds the primary key: write %s.%s", text, other.Name, other.anchor())}
			}
		}
	}
	return ReferencedObject{}, &InputError{Field: "Referenced Object Attribute", Text: fmt.Sprintf("names no object: write %s", strings.Join(names, " or "))}
}

// customURN matches the URN of a SCIM extension's schema.
var customURN = regexp.MustCompile(`^(?i:urn):[A-Za-z0-9][A-Za-z0-9-]{0,31}:[A-Za-z0-9()+,.:=@;$_!*'%-]+$`)

const exampleURN = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:tag"

// checkNewName checks the name of an attribute that is added to a list.
func (o *ObjectDefinition) checkNewName(side ListSide, name string, c Catalog) error {
	refuse := func(format string, args ...any) error {
		return &InputError{Field: "Name", Text: fmt.Sprintf(format, args...)}
	}
	if strings.TrimSpace(name) == "" {
		return refuse("is empty: write the name of the attribute")
	}
	for _, a := range o.Attributes {
		if scim.Fold(a.Name) == scim.Fold(name) {
			return refuse("%s is in the attribute list already, as %s: edit that", name, a.Name)
		}
	}
	switch {
	case strings.TrimSpace(name) != name:
		return refuse("%q begins or ends with a space: leave it out", name)
	case len([]rune(name)) > maxAttributeName:
		return refuse("has more than %d characters", maxAttributeName)
	case side == TargetList:
		return checkTargetName(name, refuse)
	case c == nil:
		return nil
	}
	if _, ok := c.Attribute(name); ok {
		return nil
	}
	if near := c.Suggest(name); near != "" {
		return refuse("%q is no attribute of the directory: did you mean %s?", name, near)
	}
	return refuse("%q is no attribute of the directory", name)
}

// checkTargetName checks the SCIM path of a new attribute.
func checkTargetName(name string, refuse func(string, ...any) error) error {
	path, err := scim.ParsePath(nil, name, scim.Lenient)
	switch urn := path.URN; {
	case strings.HasSuffix(name, ":") || strings.HasSuffix(name, ":User") || strings.HasSuffix(name, ":Group"):
		return refuse("%s is a schema, not an attribute: add the attribute after it, as in %s", strings.TrimSuffix(name, ":"), exampleURN)
	case err != nil:
		return refuse("%q is not the name of a SCIM attribute: write a name such as nickName, a path such as emails[type eq \"work\"].value, or %s", name, exampleURN)
	case urn == "":
		return nil
	case !customURN.MatchString(urn):
		return refuse("%s has no full URN: write it whole, as in %s", name, exampleURN)
	case strings.EqualFold(urn, scim.UserURN) || strings.EqualFold(urn, scim.GroupURN):
		return refuse("%s belongs to the core schema: write it without its URN, %s", name, strings.TrimPrefix(name[len(urn):], ":"))
	}
	return nil
}

// attributeUses returns the reasons why an attribute of an object is needed, in words: it is the
// primary key, or rows or scoping filters use it.
func (s *Schema) attributeUses(o *ObjectDefinition, side ListSide, name string) []string {
	var uses []string
	if d, ok := o.Attribute(name); ok && d.Anchor {
		uses = append(uses, "it is the primary key")
	}
	if side == SourceList && o.Name == string(UserKind) && (name == attrSoftDeleted || name == attrEnabled) {
		uses = append(uses, "provisioning decides by it who may have an account")
	}
	for _, m := range s.ObjectMappings() {
		source, target, err := s.objects(m)
		switch {
		case err != nil:
		case side == TargetList && target == o:
			if i, err := m.rowIndex(name); err == nil && i >= 0 {
				uses = append(uses, fmt.Sprintf("row %d of %q writes it", i+1, m.Name))
			}
		case side == SourceList && source == o:
			uses = append(uses, m.sourceUses(name)...)
		}
	}
	return uses
}

// sourceUses lists the rows and scoping filters of a mapping that read a source attribute, in
// words.
func (m *ObjectMapping) sourceUses(name string) []string {
	var uses []string
	for i := range m.AttributeMappings {
		row := &m.AttributeMappings[i]
		if e, err := expr.FromSource(row.Source); row.Source != nil && err == nil && slices.Contains(e.Attributes(), name) {
			uses = append(uses, fmt.Sprintf("the row %s of %q reads it", row.TargetAttributeName, m.Name))
		}
	}
	if m.Scope == nil {
		return uses
	}
	for _, g := range slices.Concat(m.Scope.Groups, m.Scope.InputFilterGroups, m.Scope.CategoryFilterGroups) {
		if slices.ContainsFunc(g.Clauses, func(c FilterClause) bool { return c.SourceOperandName == name }) {
			uses = append(uses, fmt.Sprintf("the scoping filter %q of %q reads it", g.Name, m.Name))
		}
	}
	return uses
}

// UnmappedRequired returns the target attributes that the attribute list marks as required but that
// no row of the mapping writes.
func (s *Schema) UnmappedRequired(m *ObjectMapping) []string {
	_, target, err := s.objects(m)
	if err != nil {
		return nil
	}
	var names []string
	for _, a := range target.Attributes {
		if i, err := m.rowIndex(a.Name); a.Required && !a.Anchor && (err != nil || i < 0) {
			names = append(names, a.Name)
		}
	}
	return names
}
