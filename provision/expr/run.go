package expr

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Limits of one evaluation. Without them, a hostile expression could stop a cycle.
const (
	MaxResultBytes = 1 << 20  // how many bytes one value may have
	MaxWorkBytes   = 16 << 20 // how many bytes all values that are read and computed may have together
)

// Env holds everything outside an expression that its evaluation may use.
type Env struct {
	// Attribute returns the value of the source attribute with exactly this name. If Attribute is
	// nil, every attribute is null.
	Attribute func(name string) Value

	// Now is the time of the evaluation. It should be the same for all expressions of one object.
	// If it is zero, the function Now() fails.
	Now time.Time

	// Random is a cryptographic source of random bytes for RandomString and Guid. If it is nil,
	// both functions fail.
	//
	// If Expr.Draws returns true, the engine evaluates the expression only once for each account,
	// when it creates the account. It stores the value before it sends the create. If it does not
	// know whether that create succeeded, it repeats the create with the same value.
	Random io.Reader

	// Taken reports whether an account of the target has this value already. SelectUniqueValue
	// calls it. If Taken is nil, SelectUniqueValue fails. An error of Taken ends the evaluation and
	// is in EvalError.Err. So the caller can recognise that the target could not be reached and try
	// again later.
	Taken func(value string) (bool, error)

	// DefaultDomain is the default domain of the source directory. If it is "", the function
	// DefaultDomain() fails.
	DefaultDomain string
}

// evaluation is the state of one evaluation: its Env, and how much work it has done.
type evaluation struct {
	env       Env
	workDone  int            // how many bytes the values that were read and computed have together
	matchTime matchStopwatch // measures how long regular expressions take
	redacted  bool           // whether a call of Redact has been evaluated
	trace     *tracer        // records the steps for Trace; nil for Eval
}

// Eval returns the value of the expression for one object. Every error is an *EvalError.
func (e *Expr) Eval(env Env) (Value, error) {
	if e.root.kind == attributeNode {
		if env.Attribute == nil {
			return Null(), nil
		}
		return env.Attribute(e.root.text), nil
	}
	r := evaluationPool.Get().(*evaluation)
	r.env = env
	v, err := e.root.eval(r)
	v, err = e.finish(r, v, err)
	*r = evaluation{}
	evaluationPool.Put(r)
	return v, err
}

// evaluationPool holds finished evaluations for reuse, because a job needs an evaluation for each
// mapping of each user.
var evaluationPool = sync.Pool{New: func() any { return new(evaluation) }}

// finish completes the result of an evaluation. It marks a value that logs must not show, and adds
// the line and column to an error.
func (e *Expr) finish(r *evaluation, v Value, err error) (Value, error) {
	if err == nil {
		v.redacted = v.redacted || r.redacted
		return v, nil
	}
	var failed *EvalError
	if errors.As(err, &failed) {
		failed.Line, failed.Column = position(e.text, failed.Offset)
	}
	return Value{}, err
}

// eval returns the value of a checked node. Its error is an *EvalError without line and column.
func (n *node) eval(r *evaluation) (Value, error) {
	if r.trace != nil {
		return r.trace.record(n, r)
	}
	return n.compute(r)
}

// compute evaluates a node. Its caller eval also records the step in a trace.
func (n *node) compute(r *evaluation) (Value, error) {
	switch n.kind {
	case attributeNode:
		if r.env.Attribute == nil {
			return Null(), nil
		}
		return n.countWork(r, r.env.Attribute(n.text))
	case stringNode, numberNode:
		return n.value, nil
	case compareNode:
		return n.evalCompare(r)
	case concatNode:
		v, err := n.evalConcat(r)
		if err != nil {
			return Null(), err
		}
		return n.countWork(r, v)
	case callNode:
		v, err := n.fn.eval(n, r)
		if err != nil {
			return Null(), err
		}
		return n.countWork(r, v)
	default:
		return Null(), nil
	}
}

// countWork adds the size of a value to the evaluation's work. It returns the value, or an error if
// the value or the work exceeds its limit.
func (n *node) countWork(r *evaluation, v Value) (Value, error) {
	size := len(v.text)
	for _, s := range v.list {
		size += len(s) + 16
	}
	r.workDone += size
	switch {
	case size > MaxResultBytes && n.kind != attributeNode:
		return Null(), n.tooLargeError()
	case r.workDone > MaxWorkBytes:
		return Null(), n.errorAt(n, fmt.Sprintf("the expression handles more than %d bytes; simplify it", MaxWorkBytes))
	}
	return v, nil
}

// checkSize returns an error if a result of this size would be too large. It is called before the
// result is computed.
func (n *node) checkSize(size int) error {
	if size > MaxResultBytes {
		return n.tooLargeError()
	}
	return nil
}

func (n *node) tooLargeError() error {
	return n.errorAt(n, fmt.Sprintf("%s makes a value of more than %d bytes", n.displayName(), MaxResultBytes))
}

// evalSingle evaluates argument i as a single value. It returns an error if the argument has
// several values.
func (n *node) evalSingle(r *evaluation, i int) (Value, error) {
	v, err := n.args[i].eval(r)
	if err != nil {
		return Null(), err
	}
	v, ok := v.singleValue()
	if !ok {
		return Null(), n.errorAt(n.args[i], fmt.Sprintf("%s has %d values where %s takes one; Join makes one string of them, Item picks one", printNode(n.args[i]), len(v.list), n.displayName()))
	}
	return v, nil
}

// evalWhole evaluates argument i as a whole number. null is true if the argument is null or empty.
func (n *node) evalWhole(r *evaluation, i int) (number int64, null bool, err error) {
	v, err := n.evalSingle(r, i)
	if err != nil || v.text == "" {
		return 0, true, err
	}
	number, ok := wholeNumber(v.text)
	if !ok {
		return 0, false, n.errorAt(n.args[i], fmt.Sprintf("%s of %s must be a whole number and is %s", n.fn.parameterAt(i).Name, n.text, r.quoteForMessage(v)))
	}
	return number, false, nil
}

// evalRequiredWhole is evalWhole, but returns an error if the argument is null or empty.
func (n *node) evalRequiredWhole(r *evaluation, i int) (int64, error) {
	number, null, err := n.evalWhole(r, i)
	if err == nil && null {
		err = n.errorAt(n.args[i], fmt.Sprintf("%s of %s has no value and must be a whole number", n.fn.parameterAt(i).Name, n.text))
	}
	return number, err
}

// wholeNumber parses a whole number of decimal digits, or of hexadecimal digits after &H. Zeros
// after a decimal point are ignored.
func wholeNumber(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	if digits, ok := strings.CutPrefix(text, "&H"); ok {
		number, err := strconv.ParseInt(digits, 16, 64)
		return number, err == nil && digits[0] != '-' && digits[0] != '+'
	}
	if whole, fraction, dotted := strings.Cut(text, "."); dotted && fraction != "" && strings.Trim(fraction, "0") == "" {
		text = whole
	}
	number, err := strconv.ParseInt(text, 10, 64)
	return number, err == nil && text[0] != '+'
}

// evalEach evaluates argument 0 and changes its value, or each of its values, with change. Null
// stays null.
func (n *node) evalEach(r *evaluation, change func(string) (string, error)) (Value, error) {
	source, err := n.args[0].eval(r)
	if err != nil {
		return Null(), err
	}
	switch source.kind {
	case KindNull, KindNoFlow:
		return source, nil
	case KindList:
		changed := make([]string, len(source.list))
		size := 0
		for i, s := range source.list {
			if changed[i], err = change(s); err != nil {
				return Null(), err
			}
			size += len(changed[i])
			if err := n.checkSize(size); err != nil {
				return Null(), err
			}
		}
		return List(changed), nil
	default:
		s, err := change(source.text)
		if err != nil {
			return Null(), err
		}
		return String(s), nil
	}
}

// quoteForMessage returns a value for a message: shortened and in quotes, or [Redact] if the value
// must not be shown.
func (r *evaluation) quoteForMessage(v Value) string {
	if r.redacted || v.redacted {
		return redactedText
	}
	return strconv.Quote(truncate(v.Text(), 60))
}

// truncate shortens s to about most bytes without splitting a character.
func truncate(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// errorAt returns an error of the function n about a part of its call.
func (n *node) errorAt(place *node, message string) error {
	return &EvalError{Function: n.text, Offset: place.offset, Message: message}
}

// displayName returns the name of the function or operator for messages.
func (n *node) displayName() string {
	switch n.kind {
	case compareNode:
		return "the comparison"
	case concatNode:
		return "&"
	default:
		return n.text
	}
}

// hasArgument reports whether the call has argument i and it is not empty.
func (n *node) hasArgument(i int) bool {
	return i < len(n.args) && n.args[i].kind != emptyNode
}
