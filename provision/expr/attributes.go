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

// Place describes the mapping that contains an expression: the attributes that the expression may
// read, and the target attribute that gets its value.
type Place struct {
	Source   []Attribute // the attributes of the source object
	Target   *Attribute  // the target attribute; nil if nothing is known about it
	Matching bool        // whether the job finds accounts by this target attribute
	Everyone bool        // whether the job provisions everyone, not only people with an assignment
	OnlyNew  bool        // whether the mapping applies only during object creation
}

// Check compares an expression with the attributes of both sides. It returns an error for each part
// that cannot work, in the order of the expression. It also returns notes about parts that work
// here but not in Entra, or not for everyone.
func (e *Expr) Check(p Place) ([]*SyntaxError, []Note) {
	c := attributeCheck{checker: checker{text: e.text}, place: p}
	c.visit(e.root)
	e.root.walk(c.checkLiterals)
	c.checkTarget(e.root)
	c.checkDrawn(e.root, nil)
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

// suggestAttribute returns advice that names the attribute an unknown name probably means.
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

// checkTarget checks whether each possible result fits the target attribute.
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
		if problem := mismatch(n, takes, c.typeOf); problem != "" {
			c.refuse(n, fmt.Sprintf("%s %s", t.Name, problem), fmt.Sprintf("the target attribute has the type %s; change the expression or the attribute's type", t.Type))
		}
	}
	if t.Type == AttributeReference {
		c.checkReference(root)
	}
}

// checkReference refuses an expression for a reference if none of its results can lead to another
// object. A result can if it is an attribute that refers to an object.
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
		c.refuse(place, fmt.Sprintf("%s is a reference, and this leads to no other object", c.place.Target.Name), c.suggestReference())
	}
	if root.kind != attributeNode {
		c.addNote(root, c.place.Target.Name+" is a reference; Entra maps references directly, as in [manager]")
	}
}

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

// checkDrawn refuses a random or unique value in a place where it could not be kept as it was
// generated. within has the calls that contain the part, the innermost last.
func (c *attributeCheck) checkDrawn(n *node, within []*node) {
	if n.kind == callNode && n.fn.draws {
		c.refuseDrawn(n, within)
	}
	for _, arg := range n.args {
		c.checkDrawn(arg, append(slices.Clip(within), n))
	}
}

func (c *attributeCheck) refuseDrawn(n *node, within []*node) {
	if c.place.Matching {
		c.refuse(n, n.text+" draws a value when an account is created, and accounts are found by this attribute before there is one", "match by another attribute, or write an expression that always yields the same value")
		return
	}
	for i, outer := range within {
		switch {
		case n.text == "SelectUniqueValue":
			c.refuse(n, "SelectUniqueValue asks the application whether its value is taken, and "+outer.title()+" makes another value of it", "write SelectUniqueValue around the whole expression, and "+outer.title()+" inside each rule")
			return
		case outer.kind == callNode && outer.text == "SelectUniqueValue":
			return // the rules of SelectUniqueValue may contain random values
		case outer.kind == callNode && outer.fn.passes != nil && !c.place.OnlyNew && readsMore(within[i], n):
			c.refuse(n, n.text+" is drawn once and then stays, so that the other values of "+outer.text+" would never be sent again", "give it a row of its own, or set Apply this mapping to Only during object creation")
			return
		}
	}
}

// readsMore reports whether a call reads an attribute outside one of its parts.
func readsMore(call, part *node) bool {
	if call == part {
		return false
	}
	if call.kind == attributeNode {
		return true
	}
	return slices.ContainsFunc(call.args, func(arg *node) bool { return readsMore(arg, part) })
}

func (c *attributeCheck) advise(root *node) {
	if root.kind == attributeNode && root.text == "appRoleAssignments" {
		c.addNote(root, "Entra does not map appRoleAssignments directly; write SingleAppRoleAssignment or AssertiveAppRoleAssignmentsComplex around it")
	}
	root.walk(func(n *node) {
		switch {
		case n.kind != callNode:
		case strings.Contains(n.text, "AppRoleAssignment") && c.place.Everyone:
			c.addNote(n, n.text+" has no roles when the job provisions everyone: roles come from assignments")
		}
	})
}
