package expr

import (
	"slices"
	"strings"
)

// ValueType is the type of a function's result or argument, as far as it can be known before the
// evaluation.
type ValueType string

// The types of values. AnyType means that the type is unknown, or that every type is accepted.
const (
	AnyType      ValueType = ""
	TextType     ValueType = "string"
	NumberType   ValueType = "number"
	BooleanType  ValueType = "boolean"
	DateTimeType ValueType = "date"
	ListType     ValueType = "list"
	ComplexType  ValueType = "list of complex values"
	IntervalType ValueType = "interval" // a word for an interval, such as "d" for days
	PatternType  ValueType = "pattern"  // a regular expression
)

// intervals returns the words for intervals in DateAdd and DateDiff.
func intervals() []string { return []string{"yyyy", "m", "d", "ww", "h", "n", "s"} }

// constantText returns the value of a string or number literal, as a string. It returns false for
// any other part.
func (n *node) constantText() (string, bool) {
	return n.value.text, n.kind == stringNode || n.kind == numberNode
}

// possibleResults returns the parts of n whose value may become the value of n, such as the
// branches of IIF and the values of Switch. If n is not a call of such a function, it returns n
// itself.
func (n *node) possibleResults() []*node {
	if n.kind != callNode || n.fn == nil || n.fn.passedArguments == nil {
		return []*node{n}
	}
	var all []*node
	for _, i := range n.fn.passedArguments(len(n.args)) {
		if n.hasArgument(i) {
			all = append(all, n.args[i].possibleResults()...)
		}
	}
	return all
}

// resultType returns the type of a part's value, or AnyType if it depends on the source object.
// lookup returns the types of attributes; it may be nil.
func (n *node) resultType(lookup func(name string) ValueType) ValueType {
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
		return n.callResultType(lookup)
	default:
		return TextType
	}
}

// callResultType returns the type of the result of a call. lookup returns the types of attributes.
func (n *node) callResultType(lookup func(name string) ValueType) ValueType {
	if n.fn.appliesToEachValue {
		if t := n.args[0].resultType(lookup); t == ListType || t == AnyType {
			return t
		}
		return TextType
	}
	if n.fn.passedArguments == nil {
		return n.fn.Yields
	}
	common := ValueType("nothing yet")
	for _, part := range n.possibleResults() {
		t := part.resultType(lookup)
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

// describeMismatch returns a phrase that says why the value of a part does not fit a parameter or
// target attribute of the type takes. It returns "" if the value fits, or if only the evaluation
// can show whether it fits.
func describeMismatch(n *node, takes ValueType, lookup func(name string) ValueType) string {
	text, constant := n.constantText()
	has := n.resultType(lookup)
	list := has == ListType || has == ComplexType
	switch takes {
	case NumberType:
		if _, ok := wholeNumber(text); constant && !ok {
			return "must be a whole number"
		}
		if has == BooleanType || has == DateTimeType || list {
			return "must be a whole number, not " + withArticle(has)
		}
	case DateTimeType:
		if _, ok := readDate(text); constant && !ok {
			return "must be a date such as 2020-03-16"
		}
		if has == BooleanType || list {
			return "must be a date, not " + withArticle(has)
		}
	case BooleanType:
		if constant && !strings.EqualFold(text, "True") && !strings.EqualFold(text, "False") {
			return `must be "True" or "False"`
		}
		if has == DateTimeType || has == NumberType && !constant || list {
			return "must be True or False, not " + withArticle(has)
		}
	case IntervalType:
		if constant && !isInterval(text) {
			return "must be one of " + strings.Join(intervals(), ", ")
		}
	case TextType:
		if list {
			return "takes one value, not " + withArticle(has)
		}
	}
	return ""
}

// isInterval reports whether a word names an interval of time, such as "d" for days. Case does not
// matter.
func isInterval(word string) bool {
	return slices.ContainsFunc(intervals(), func(known string) bool { return strings.EqualFold(known, word) })
}

func withArticle(t ValueType) string { return "a " + string(t) }
