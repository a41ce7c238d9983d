package expr

import (
	"slices"
	"strings"
)

// ValueType is what a function yields or an argument takes, as far as it is known before anything is evaluated.
type ValueType string

// The types of values. AnyType says that nothing is known, or that everything is taken.
const (
	AnyType      ValueType = ""
	TextType     ValueType = "string"
	NumberType   ValueType = "number"
	BooleanType  ValueType = "boolean"
	DateTimeType ValueType = "date"
	ListType     ValueType = "list"
	ComplexType  ValueType = "list of complex values"
	IntervalType ValueType = "interval" // a word such as d
	PatternType  ValueType = "pattern"  // a regular expression
)

// intervals are the words of DateAdd and DateDiff.
func intervals() []string { return []string{"yyyy", "m", "d", "ww", "h", "n", "s"} }

// constant is the text of a string or a number that is written in the expression.
func (n *node) constant() (string, bool) {
	return n.value.text, n.kind == stringNode || n.kind == numberNode
}

// results are the parts whose value the expression may yield: the branches of IIF, the values of Switch.
func (n *node) results() []*node {
	if n.kind != callNode || n.fn == nil || n.fn.passes == nil {
		return []*node{n}
	}
	var all []*node
	for _, i := range n.fn.passes(len(n.args)) {
		if n.given(i) {
			all = append(all, n.args[i].results()...)
		}
	}
	return all
}

// yields is the type of the value, AnyType if it depends on the object. lookup knows the attributes; it may be nil.
func (n *node) yields(lookup func(name string) ValueType) ValueType {
	switch n.kind {
	case attributeNode:
		if lookup == nil {
			return AnyType
		}
		return lookup(n.text)
	case numberNode:
		return NumberType
	case compareNode:
		return BooleanType
	case callNode:
		return n.callYields(lookup)
	default:
		return TextType
	}
}

func (n *node) callYields(lookup func(name string) ValueType) ValueType {
	if n.fn.each {
		if t := n.args[0].yields(lookup); t == ListType || t == AnyType {
			return t
		}
		return TextType
	}
	if n.fn.passes == nil {
		return n.fn.Yields
	}
	common := ValueType("nothing yet")
	for _, part := range n.results() {
		t := part.yields(lookup)
		if common != "nothing yet" && t != common {
			return AnyType
		}
		common = t
	}
	if common == "nothing yet" {
		return AnyType
	}
	return common
}

// mismatch says why a part cannot be what a parameter or a target attribute takes; "" if it can, or if only the evaluation can tell.
func mismatch(n *node, takes ValueType, lookup func(name string) ValueType) string {
	text, constant := n.constant()
	has := n.yields(lookup)
	list := has == ListType || has == ComplexType
	switch takes {
	case NumberType:
		if _, ok := wholeNumber(text); constant && !ok {
			return "must be a whole number"
		}
		if has == BooleanType || has == DateTimeType || list {
			return "must be a whole number, not " + article(has)
		}
	case DateTimeType:
		if _, ok := readDate(text); constant && !ok {
			return "must be a date such as 2020-03-16"
		}
		if has == BooleanType || list {
			return "must be a date, not " + article(has)
		}
	case BooleanType:
		if constant && !strings.EqualFold(text, "True") && !strings.EqualFold(text, "False") {
			return `must be "True" or "False"`
		}
		if has == DateTimeType || has == NumberType && !constant || list {
			return "must be True or False, not " + article(has)
		}
	case IntervalType:
		if constant && !isInterval(text) {
			return "must be one of " + strings.Join(intervals(), ", ")
		}
	case TextType:
		if list {
			return "takes one value, not " + article(has)
		}
	}
	return ""
}

func isInterval(word string) bool {
	return slices.ContainsFunc(intervals(), func(known string) bool { return strings.EqualFold(known, word) })
}

func article(t ValueType) string { return "a " + string(t) }
