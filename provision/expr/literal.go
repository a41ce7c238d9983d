package expr

import (
	"bytes"
	"errors"
	"time"
)

// A literal argument can make a call fail for every object, for example a culture that does not
// exist. Therefore checkLiterals tries each call: it evaluates the call with its literal arguments
// and with harmless values for the other arguments. If every trial fails because of a literal
// argument, or because of the call as a whole, no object can have a value.

// trialValues holds the values that a trial uses for arguments that are not literal: one value for
// each type of argument.
type trialValues struct{ text, number, date string }

func allTrialValues() []trialValues {
	return []trialValues{{"a", "1", "0001-01-01"}, {"1", "0", "9999-12-31"}, {"CN=a, b", "2", "2020-03-16"}}
}

// checkLiterals adds an error for a call that fails for every object because of its literal
// arguments.
func (c *attributeCheck) checkLiterals(n *node) {
	switch {
	case n.kind != callNode, n.text == "Error", n.text == "SelectUniqueValue": // Error always fails, and SelectUniqueValue asks the target
		return
	}
	literal, any := make([]bool, len(n.args)), len(n.args) == 0
	for i, arg := range n.args {
		literal[i] = arg.kind != emptyNode && arg.isLiteral()
		any = any || literal[i] && arg.kind != wordNode
	}
	if !any || n.text == "DefaultDomain" {
		return
	}
	var found *EvalError
	for _, p := range allTrialValues() {
		if found = n.tryLiterals(literal, p); found == nil {
			return
		}
	}
	for _, e := range c.errs {
		if e.Offset == found.Offset {
			return // there is an error about this part already
		}
	}
	line, column := position(c.text, found.Offset)
	c.errs = append(c.errs, &SyntaxError{
		Offset: found.Offset, Line: line, Column: column,
		Message: found.Message + ", so that " + n.text + " fails for everybody", Suggestion: "write " + n.fn.Signature() + " with values that it takes",
	})
}

// isLiteral reports whether a part of an expression has the same value for every object.
func (n *node) isLiteral() bool {
	same := true
	n.walk(func(part *node) {
		if part.kind == attributeNode || part.fn != nil && (part.fn.drawsValue || part.fn.readsClock || part.text == "DefaultDomain" || part.text == "Error") {
			same = false
		}
	})
	return same
}

// tryLiterals makes one trial of a call, with the values p. literal says which arguments are
// literal. tryLiterals returns the error if a literal argument or the call as a whole causes it. It
// returns nil if there is no error, or if another argument causes the error.
func (n *node) tryLiterals(literal []bool, p trialValues) *EvalError {
	call := *n
	call.args = make([]*node, len(n.args))
	attributes := map[string]Value{}
	for i, arg := range n.args {
		call.args[i] = arg
		if arg.kind == emptyNode || literal[i] {
			continue
		}
		name := string(rune('a' + i%26))
		attributes[name] = n.trialValue(i, p)
		call.args[i] = &node{kind: attributeNode, offset: -1, text: name}
	}
	r := &evaluation{env: Env{
		Attribute: func(name string) Value { return attributes[name] }, Now: time.Unix(0, 0).UTC(), Random: bytes.NewReader(make([]byte, 4096)), DefaultDomain: "example.com",
	}}
	_, err := call.compute(r)
	var failed *EvalError
	if !errors.As(err, &failed) || failed.Offset < 0 {
		return nil
	}
	return failed
}

// trialValue returns the value of p that a trial uses for argument i.
func (n *node) trialValue(i int, p trialValues) Value {
	switch n.fn.parameterAt(i).Takes {
	case NumberType:
		return Number(p.number)
	case DateTimeType:
		return String(p.date)
	case BooleanType:
		return Boolean(true)
	case IntervalType:
		return String("d")
	case AnyType, TextType, ListType, ComplexType, PatternType:
	}
	if n.text == "Item" { // a list with many values, so that no index is too large
		return List(make([]string, 10_000))
	}
	return String(p.text)
}
