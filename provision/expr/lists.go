package expr

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// listFunctions returns the functions for multi-valued attributes.
func listFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "Count", DocumentedIn: Provisioning, Yields: NumberType,
				Parameters: []Parameter{required("attribute")},
				Summary:    "How many values a multi-valued attribute has.",
				Details:    []string{"An absent attribute has 0 values, a single value counts as 1."},
				Examples: []Example{
					{Expression: `Count(Split([extensionAttribute5], ","))`, Given: attributesOf("extensionAttribute5", "a,b,c"), Result: "3"},
					{Expression: `Count([otherMails])`, Result: "0"},
				},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				v, err := n.args[0].eval(r)
				return numberValue(int64(len(v.Strings()))), err
			},
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Item", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("attribute"), required("index").ofType(NumberType)},
				Summary:    "One value of a multi-valued attribute, counted from 1.",
				Details:    []string{"An index below 1 or above the number of values is an error. If the attribute is absent, the result is null."},
				Examples: []Example{
					{Expression: `Item(Split([extensionAttribute5], ","), 2)`, Given: attributesOf("extensionAttribute5", "a,b,c"), Result: "b"},
					{Expression: `Item([otherMails], 1)`, ResultIsNull: true},
				},
			},
			eval: evalItem,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "RemoveDuplicates", DocumentedIn: Provisioning, Yields: ListType,
				Parameters: []Parameter{required("attribute")},
				Summary:    "A multi-valued attribute with each value once.",
				Details:    []string{"The first of equal values stays in its place. Case counts."},
				Examples:   []Example{{Expression: `Join("+", RemoveDuplicates(Split("a,b,a,A", ",")))`, Result: "a+b+A"}},
			},
			eval: evalRemoveDuplicates,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Split", DocumentedIn: Provisioning, Yields: ListType,
				Parameters: []Parameter{required("source").ofType(TextType), required("delimiter").ofType(TextType)},
				Summary:    "The parts of the source between delimiters, as a multi-valued value.",
				Details:    []string{"The delimiter is one character. Spaces at the ends of each part go, and so do empty parts. Null stays null."},
				Examples: []Example{
					{Expression: `Split([extensionAttribute5], ",")`, Given: attributesOf("extensionAttribute5", "PermissionSetOne, PermissionSetTwo"), Result: "PermissionSetOne, PermissionSetTwo", ResultIsList: true},
				},
			},
			eval:           evalSplit,
			checkArguments: refuseSplit,
		},
	}
}

func numberValue(n int64) Value { return Number(strconv.FormatInt(n, 10)) }

func evalItem(n *node, r *evaluation) (Value, error) {
	list, err := n.args[0].eval(r)
	if err != nil {
		return Null(), err
	}
	index, err := n.evalRequiredWhole(r, 1)
	if err != nil {
		return Null(), err
	}
	values := list.Strings()
	switch {
	case len(values) == 0:
		return Null(), nil
	case index < 1 || index > int64(len(values)):
		return Null(), n.failAt(n.args[1], fmt.Sprintf("there is no value %d in %s, which has %d; the first is 1", index, printNode(n.args[0]), len(values)))
	}
	return String(values[index-1]), nil
}

func evalRemoveDuplicates(n *node, r *evaluation) (Value, error) {
	v, err := n.args[0].eval(r)
	if err != nil || v.kind != KindList {
		return v, err
	}
	seen := make(map[string]bool, len(v.list))
	var kept []string
	for _, s := range v.list {
		if !seen[s] {
			seen[s] = true
			kept = append(kept, s)
		}
	}
	v.list = kept
	return v, nil
}

func refuseSplit(c *checker, n *node) error {
	if delimiter, ok := n.args[1].constantText(); ok && utf8.RuneCountInString(delimiter) != 1 {
		return c.errorAt(n.args[1], fmt.Sprintf("the delimiter of Split is one character, and this has %d", utf8.RuneCountInString(delimiter)), `write one, such as ","`)
	}
	return nil
}

func evalSplit(n *node, r *evaluation) (Value, error) {
	source, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	delimiter, err := n.evalSingle(r, 1)
	if err != nil {
		return Null(), err
	}
	if utf8.RuneCountInString(delimiter.text) != 1 {
		return Null(), n.failAt(n.args[1], "the delimiter of Split must be one character and is "+r.quoteForMessage(delimiter))
	}
	if err := n.checkSize(16 * strings.Count(source.text, delimiter.text)); err != nil {
		return Null(), err
	}
	var parts []string
	for part := range strings.SplitSeq(source.text, delimiter.text) {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return List(parts), nil
}
