package expr

import (
	"fmt"
	"slices"
	"strings"
)

// AttributeType is the type of an attribute of a source or target object, as Microsoft Graph names it.
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

// Attribute describes an attribute to the checker.
type Attribute struct {
	Name        string
	Type        AttributeType
	Multivalued bool
}

// Place describes the mapping that an expression is part of: the attributes that it may read, and
// the target attribute that gets its value.
type Place struct {
	Source   []Attribute // the attributes of the source object
	Target   *Attribute  // the target attribute; nil if nothing is known about it
	Matching bool        // whether the job finds accounts by the target attribute
	Everyone bool        // whether the job provisions everyone, not only people with an assignment
}

// Check compares an expression with the attributes of both sides. It returns an error for each part
// that cannot work, in the order of the text, and notes about parts that work here but not in
// Entra, or not for everyone.
func (e *Expr) Check(p Place) ([]*SyntaxError, []Note) {
	c := attributeCheck{checker: checker{text: e.text}, place: p}
	c.visit(e.root)
	c.checkTarget(e.root)
	c.advise(e.root)
	slices.SortStableFunc(c.errs, func(a, b *SyntaxError) int { return a.Offset - b.Offset })
	return c.errs, c.notes
}

type attributeCheck struct {
	checker
	place Place
	errs  []*SyntaxError
}

func (c *attributeCheck) refuse(n *node, message, suggestion string) {
	c.errs = append(c.errs, c.errorAt(n, message, suggestion))
}

func (c *attributeCheck) findAttribute(name string) *Attribute {
	for i := range c.place.Source {
		if c.place.Source[i].Name == name {
			return &c.place.Source[i]
		}
	}
	return nil
}

// typeOf returns the type of an attribute's value. It returns AnyType for a multi-valued attribute,
// because an object may have one value or several.
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

func (c *attributeCheck) visit(n *node) {
	if n.kind == attributeNode && c.findAttribute(n.text) == nil {
		c.refuse(n, "the source object has no attribute "+n.text, c.suggestAttribute(n.text))
	}
	for i, arg := range n.args {
		c.visit(arg)
		if n.kind != callNode || arg.kind == emptyNode || arg.kind == wordNode {
			continue
		}
		p := n.fn.parameterAt(i)
		if problem := mismatch(arg, p.Takes, c.typeOf); problem != "" {
			c.refuse(arg, fmt.Sprintf("the argument %s of %s %s", p.Name, n.text, problem), "write "+n.fn.Signature())
		}
		if a := c.findAttribute(arg.text); arg.kind == attributeNode && a != nil && a.Multivalued && p.Takes != AnyType {
			c.addNote(arg, fmt.Sprintf("%s can have several values and %s takes one; Item picks one, Join makes one string of them", a.Name, n.text))
		}
	}
}

// suggestAttribute returns advice about the attribute that an unknown name probably means.
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

// checkTarget compares each possible result with the target attribute.
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
		if text, constant := n.constant(); constant && text == "" {
			continue // the empty string means that there is no value
		}
		yields := n.resultType(c.typeOf)
		if a := c.findAttribute(n.text); n.kind == attributeNode && a != nil && a.Multivalued && !t.Multivalued {
			c.addNote(n, fmt.Sprintf("%s can have several values and %s takes one; a person with several fails", a.Name, t.Name))
		}
		list := yields == ListType || yields == ComplexType
		if t.Multivalued && list {
			continue
		}
		if problem := mismatch(n, takes, c.typeOf); problem != "" {
			c.refuse(n, fmt.Sprintf("%s %s", t.Name, problem), fmt.Sprintf("the target attribute has the type %s; change the expression or the attribute's type", t.Type))
		}
	}
	if t.Type == AttributeReference && root.kind != attributeNode {
		c.addNote(root, t.Name+" is a reference; Entra maps references directly, as in [manager]")
	}
}

func (c *attributeCheck) advise(root *node) {
	if root.kind == attributeNode && root.text == "appRoleAssignments" {
		c.addNote(root, "Entra does not map appRoleAssignments directly; write SingleAppRoleAssignment or AssertiveAppRoleAssignmentsComplex around it")
	}
	root.walk(func(n *node) {
		switch {
		case n.kind != callNode:
		case n.text == "SelectUniqueValue" && c.place.Matching:
			c.addNote(n, "Entra does not take SelectUniqueValue for a matching attribute: accounts are found by it before there is a value")
		case strings.Contains(n.text, "AppRoleAssignment") && c.place.Everyone:
			c.addNote(n, n.text+" has no roles when the job provisions everyone: roles come from assignments")
		}
	})
}
