package expr

import (
	"fmt"
	"slices"
	"strings"
)

// AttributeType is the type of an attribute of a source or target object. The names of the types
// are those of Microsoft Graph.
type AttributeType string

// The types of attributes.
const (
	AttributeString    AttributeType = "String"
	AttributeInteger   AttributeType = "Integer"
	AttributeReference AttributeType = "Reference"
	AttributeBinary    AttributeType = "Binary"
	AttributeBoolean   AttributeType = "Boolean"
	AttributeDateTime  AttributeType = "DateTime"
)

// Attribute describes an attribute of a source or target object.
type Attribute struct {
	Name        string
	Type        AttributeType
	Multivalued bool
}

// Place describes the mapping for which Check checks an expression: the attributes that the
// expression may read, and the target attribute that gets its value.
type Place struct {
	Source             []Attribute // the attributes of the source object
	Target             *Attribute  // the target attribute; nil if nothing is known about it
	IsMatching         bool        // whether the job searches for accounts by this target attribute
	ProvisionsEveryone bool        // whether the job provisions everyone instead of only assigned users and groups
	OnlyAtCreation     bool        // whether the mapping applies only when an account is created
}

// Check checks whether an expression can work in a mapping. It returns an error for each part that
// cannot work, in the order of the expression. It also returns notes about parts that work here but
// not in Entra, or that do not work for everyone.
func (e *Expr) Check(p Place) ([]*SyntaxError, []Note) {
	c := attributeCheck{checker: checker{text: e.text}, place: p}
	c.checkPart(e.root)
	e.root.walk(c.checkLiterals)
	c.checkTarget(e.root)
	c.checkDrawnValues(e.root, nil)
	c.addNotes(e.root)
	slices.SortStableFunc(c.errs, func(a, b *SyntaxError) int { return a.Offset - b.Offset })
	return c.errs, c.notes
}

// attributeCheck checks an expression against the mapping that place describes, and collects the
// errors.
type attributeCheck struct {
	checker
	place Place
	errs  []*SyntaxError
}

func (c *attributeCheck) addError(n *node, message, suggestion string) {
	c.errs = append(c.errs, c.errorAt(n, message, suggestion))
}

// findAttribute returns the source attribute with this name, or nil.
func (c *attributeCheck) findAttribute(name string) *Attribute {
	for i := range c.place.Source {
		if c.place.Source[i].Name == name {
			return &c.place.Source[i]
		}
	}
	return nil
}

// typeOf returns the type of a source attribute's value. It returns AnyType for a multi-valued
// attribute, because an object may have one value or several.
func (c *attributeCheck) typeOf(name string) ValueType {
	a := c.findAttribute(name)
	switch {
	case a == nil || a.Multivalued:
		return AnyType
	case a.Type == AttributeInteger:
		return NumberType
	case a.Type == AttributeBoolean:
		return BooleanType
	default:
		return AnyType // a string may hold a number or a date
	}
}

// checkPart adds an error for each unknown attribute in a part of an expression, and for each
// argument of a wrong type.
func (c *attributeCheck) checkPart(n *node) {
	if n.kind == attributeNode && c.findAttribute(n.text) == nil {
		c.addError(n, "the source object has no attribute "+n.text, c.suggestAttribute(n.text))
	}
	for i, arg := range n.args {
		c.checkPart(arg)
		if n.kind != callNode || arg.kind == emptyNode || arg.kind == wordNode {
			continue
		}
		p := n.fn.parameterAt(i)
		if problem := describeMismatch(arg, p.Takes, c.typeOf); problem != "" {
			c.addError(arg, fmt.Sprintf("the argument %s of %s %s", p.Name, n.text, problem), "write "+n.fn.Signature())
		}
		if a := c.findAttribute(arg.text); arg.kind == attributeNode && a != nil && a.Multivalued && p.Takes != AnyType {
			c.addNote(arg, fmt.Sprintf("%s can have several values and %s takes one; Item picks one, Join makes one string of them", a.Name, n.text))
		}
	}
}

// suggestAttribute returns the suggestion for an unknown attribute name. It names the attribute
// that the name probably means, if there is one.
func (c *attributeCheck) suggestAttribute(name string) string {
	best, distance := "", 3
	for _, a := range c.place.Source {
		if strings.EqualFold(a.Name, name) {
			return "case counts: write [" + a.Name + "]"
		}
		if d := editDistance(strings.ToLower(a.Name), strings.ToLower(name)); d < distance && d*2 < len(name) {
			best, distance = a.Name, d
		}
	}
	if best != "" {
		return "did you mean [" + best + "]?"
	}
	return "write the name of one of its attributes, or add the attribute to its list"
}

// checkTarget adds an error for each possible result that does not fit the target attribute.
func (c *attributeCheck) checkTarget(root *node) {
	t := c.place.Target
	if t == nil {
		return
	}
	takes := AnyType
	switch t.Type {
	case AttributeInteger:
		takes = NumberType
	case AttributeBoolean:
		takes = BooleanType
	case AttributeDateTime:
		takes = DateTimeType
	case AttributeString, AttributeReference, AttributeBinary:
		takes = TextType
	}
	for _, n := range root.possibleResults() {
		if text, constant := n.constantText(); constant && text == "" {
			continue // the empty string means no value
		}
		yields := n.resultType(c.typeOf)
		if a := c.findAttribute(n.text); n.kind == attributeNode && a != nil && a.Multivalued && !t.Multivalued {
			c.addNote(n, fmt.Sprintf("%s can have several values and %s takes one; a person with several fails", a.Name, t.Name))
		}
		list := yields == ListType || yields == ComplexType
		if t.Multivalued && list {
			continue
		}
		if problem := describeMismatch(n, takes, c.typeOf); problem != "" {
			c.addError(n, fmt.Sprintf("%s %s", t.Name, problem), fmt.Sprintf("the target attribute has the type %s; change the expression or the attribute's type", t.Type))
		}
	}
	if t.Type == AttributeReference {
		c.checkReference(root)
	}
}

// checkReference adds an error if the target attribute is a reference but no possible result refers
// to an object. A result refers to an object if it reads an attribute that is a reference.
func (c *attributeCheck) checkReference(root *node) {
	results := root.possibleResults()
	refers := slices.ContainsFunc(results, func(n *node) bool {
		found := false
		n.walk(func(part *node) {
			a := c.findAttribute(part.text)
			found = found || part.kind == attributeNode && (a == nil || a.Type == AttributeReference)
		})
		return found
	})
	if !refers {
		place := root
		if len(results) > 0 {
			place = results[0]
		}
		c.addError(place, fmt.Sprintf("%s is a reference, and this leads to no other object", c.place.Target.Name), c.suggestReference())
	}
	if root.kind != attributeNode {
		c.addNote(root, c.place.Target.Name+" is a reference; Entra maps references directly, as in [manager]")
	}
}

// suggestReference suggests the source attributes that are references.
func (c *attributeCheck) suggestReference() string {
	var names []string
	for _, a := range c.place.Source {
		if a.Type == AttributeReference {
			names = append(names, "["+a.Name+"]")
		}
	}
	if len(names) == 0 {
		return "give the row a source attribute of the type Reference"
	}
	return "write " + strings.Join(names, " or ")
}

// checkDrawnValues adds an error for each random or unique value in n where the expression or the
// mapping does not allow one. Such a value is generated only once, when the account is created, and
// then stored. within has the parts that contain n, the innermost last.
func (c *attributeCheck) checkDrawnValues(n *node, within []*node) {
	if n.kind == callNode && n.fn.drawsValue {
		c.refuseDrawn(n, within)
	}
	for _, arg := range n.args {
		c.checkDrawnValues(arg, append(slices.Clip(within), n))
	}
}

// refuseDrawn adds an error if n, the call that draws a value, is not allowed where it is. within
// has the parts that contain n, the innermost last.
func (c *attributeCheck) refuseDrawn(n *node, within []*node) {
	if c.place.IsMatching {
		c.addError(n, n.text+" draws a value when an account is created, and accounts are found by this attribute before there is one", "match by another attribute, or write an expression that always yields the same value")
		return
	}
	for i, outer := range within {
		switch {
		case n.text == "SelectUniqueValue":
			c.addError(n, "SelectUniqueValue asks the application whether its value is taken, and "+outer.displayName()+" makes another value of it", "write SelectUniqueValue around the whole expression, and "+outer.displayName()+" inside each rule")
			return
		case outer.kind == callNode && outer.text == "SelectUniqueValue":
			return // the rules of SelectUniqueValue may contain random values
		case outer.kind == callNode && outer.fn.passedArguments != nil && !c.place.OnlyAtCreation && readsOutside(within[i], n):
			c.addError(n, n.text+" is drawn once and then stays, so that the other values of "+outer.text+" would never be sent again", "give it a row of its own, or set Apply this mapping to Only during object creation")
			return
		}
	}
}

// readsOutside reports whether a call reads an attribute somewhere outside the given part of the
// call.
func readsOutside(call, part *node) bool {
	if call == part {
		return false
	}
	if call.kind == attributeNode {
		return true
	}
	return slices.ContainsFunc(call.args, func(arg *node) bool { return readsOutside(arg, part) })
}

// addNotes adds notes about parts that are allowed but probably do not do what the author wants.
func (c *attributeCheck) addNotes(root *node) {
	if root.kind == attributeNode && root.text == "appRoleAssignments" {
		c.addNote(root, "Entra does not map appRoleAssignments directly; write SingleAppRoleAssignment or AssertiveAppRoleAssignmentsComplex around it")
	}
	root.walk(func(n *node) {
		switch {
		case n.kind != callNode:
		case strings.Contains(n.text, "AppRoleAssignment") && c.place.ProvisionsEveryone:
			c.addNote(n, n.text+" has no roles when the job provisions everyone: roles come from assignments")
		}
	})
}
