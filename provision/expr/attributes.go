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

// Attribute is what the checker knows of an attribute.
type Attribute struct {
	Name        string
	Type        AttributeType
	Multivalued bool
}

// Place is where an expression stands: what it may read and what it is for.
type Place struct {
	Source   []Attribute // of the source object
	Target   *Attribute  // nil: nothing is known of the target
	Matching bool        // the target attribute finds accounts
	Everyone bool        // the job provisions everyone, not only people with an assignment
}

// Check compares an expression with the attributes of both sides. It returns everything that cannot work, in the order of the
// text, and notes about what works here and not in Entra, or not for everyone.
func (e *Expr) Check(p Place) ([]*SyntaxError, []Note) {
	c := attributeCheck{checker: checker{text: e.text}, place: p}
	c.visit(e.root)
	c.target(e.root)
	c.advice(e.root)
	slices.SortStableFunc(c.errs, func(a, b *SyntaxError) int { return a.Offset - b.Offset })
	return c.errs, c.notes
}

type attributeCheck struct {
	checker
	place Place
	errs  []*SyntaxError
}

func (c *attributeCheck) refuse(n *node, message, suggestion string) {
	c.errs = append(c.errs, c.fail(n, message, suggestion))
}

func (c *attributeCheck) find(name string) *Attribute {
	for i := range c.place.Source {
		if c.place.Source[i].Name == name {
			return &c.place.Source[i]
		}
	}
	return nil
}

// lookup is the type of an attribute's value. Several values may be one, so that only the evaluation can tell.
func (c *attributeCheck) lookup(name string) ValueType {
	a := c.find(name)
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
	if n.kind == attributeNode && c.find(n.text) == nil {
		c.refuse(n, "the source object has no attribute "+n.text, c.suggestAttribute(n.text))
	}
	for i, arg := range n.args {
		c.visit(arg)
		if n.kind != callNode || arg.kind == emptyNode || arg.kind == wordNode {
			continue
		}
		p := n.fn.parameter(i)
		if problem := mismatch(arg, p.Takes, c.lookup); problem != "" {
			c.refuse(arg, fmt.Sprintf("the argument %s of %s %s", p.Name, n.text, problem), "write "+n.fn.Signature())
		}
		if a := c.find(arg.text); arg.kind == attributeNode && a != nil && a.Multivalued && p.Takes != AnyType {
			c.note(arg, fmt.Sprintf("%s can have several values and %s takes one; Item picks one, Join makes one string of them", a.Name, n.text))
		}
	}
}

// suggestAttribute finds what an unknown name was meant to be.
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

// target compares each possible result with the target attribute.
func (c *attributeCheck) target(root *node) {
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
	for _, n := range root.results() {
		if text, constant := n.constant(); constant && text == "" {
			continue // the empty string is no value
		}
		yields := n.yields(c.lookup)
		if a := c.find(n.text); n.kind == attributeNode && a != nil && a.Multivalued && !t.Multivalued {
			c.note(n, fmt.Sprintf("%s can have several values and %s takes one; a person with several fails", a.Name, t.Name))
		}
		list := yields == ListType || yields == ComplexType
		if t.Multivalued && list {
			continue
		}
		if problem := mismatch(n, takes, c.lookup); problem != "" {
			c.refuse(n, fmt.Sprintf("%s %s", t.Name, problem), fmt.Sprintf("the target attribute has the type %s; change the expression or the attribute's type", t.Type))
		}
	}
	if t.Type == AttributeReference && root.kind != attributeNode {
		c.note(root, t.Name+" is a reference; Entra maps references directly, as in [manager]")
	}
}

func (c *attributeCheck) advice(root *node) {
	if root.kind == attributeNode && root.text == "appRoleAssignments" {
		c.note(root, "Entra does not map appRoleAssignments directly; write SingleAppRoleAssignment or AssertiveAppRoleAssignmentsComplex around it")
	}
	root.walk(func(n *node) {
		switch {
		case n.kind != callNode:
		case n.text == "SelectUniqueValue" && c.place.Matching:
			c.note(n, "Entra does not take SelectUniqueValue for a matching attribute: accounts are found by it before there is a value")
		case strings.Contains(n.text, "AppRoleAssignment") && c.place.Everyone:
			c.note(n, n.text+" has no roles when the job provisions everyone: roles come from assignments")
		}
	})
}
