package expr

import (
	"bytes"
	"errors"
	"time"
)

// A literal argument can make a call fail for everyone, for example a culture that does not exist.
// The check therefore evaluates each call with its literal arguments and with harmless values for
// the others. If every such trial fails because of a literal argument, or because of the call as a
// whole, no object can have a value.

// probe holds the values that a trial uses for arguments that are not literal.
type probe struct{ text, number, date string }

func probes() []probe {
	return []probe{{"a", "1", "0001-01-01"}, {"1", "0", "9999-12-31"}, {"CN=a, b", "2", "2020-03-16"}}
}

// checkLiterals refuses a call that its literal arguments make impossible.
func (c *attributeCheck) checkLiterals(n *node) {
	switch {
	case n.kind != callNode, n.text == "Error", n.text == "SelectUniqueValue": // an Error is meant to fail
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
	for _, p := range probes() {
		if found = n.tryLiterals(literal, p); found == nil {
			return
		}
	}
	for _, e := range c.errs {
		if e.Offset == found.Offset {
			return // this problem is already reported
		}
	}
	line, column := position(c.text, found.Offset)
	c.errs = append(c.errs, &SyntaxError{
		Offset: found.Offset, Line: line, Column: column,
		Message: found.Message + ", so that " + n.text + " fails for everybody", Suggestion: "write " + n.fn.Signature() + " with values that it takes",
	})
}

// isLiteral reports whether a part has the same value for every object.
func (n *node) isLiteral() bool {
	same := true
	n.walk(func(part *node) {
		if part.kind == attributeNode || part.fn != nil && (part.fn.draws || part.fn.readsClock || part.text == "DefaultDomain" || part.text == "Error") {
			same = false
		}
	})
	return same
}

// tryLiterals evaluates a call with one probe. It returns the error if a literal argument, or the
// call as a whole, causes the failure.
func (n *node) tryLiterals(literal []bool, p probe) *EvalError {
	call := *n
	call.args = make([]*node, len(n.args))
	attributes := map[string]Value{}
	for i, arg := range n.args {
		call.args[i] = arg
		if arg.kind == emptyNode || literal[i] {
			continue
		}
		name := string(rune('a' + i%26))
		attributes[name] = n.probeValue(i, p)
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

// probeValue returns the value that a trial uses for argument i.
func (n *node) probeValue(i int, p probe) Value {
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
	if n.text == "Item" { // the number of values depends on the object
		return List(make([]string, 10_000))
	}
	return String(p.text)
}
