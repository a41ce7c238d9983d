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

// Limits of one evaluation. They prevent a hostile expression from stopping a cycle.
const (
	MaxResult = 1 << 20  // bytes of one value
	MaxWork   = 16 << 20 // bytes of all values that are read and computed
)

// Env has everything outside the expression that its evaluation may use.
type Env struct {
	// Attribute returns the value of a source attribute, by its exact name. If the function is nil,
	// every attribute is null.
	Attribute func(name string) Value

	// Now is the time of the evaluation. It is the same for every expression of one object. If it
	// is zero, Now() fails.
	Now time.Time

	// Random is a cryptographic source for RandomString and Guid. If it is nil, both fail.
	//
	// If Draws reports true, the engine evaluates the expression only once for each account, when
	// it creates the account. It stores the value before it sends the create. If the outcome of
	// that create is unknown, it repeats the create with the same value.
	Random io.Reader

	// Taken reports whether an account of the target already has the value, for SelectUniqueValue.
	// If Taken is nil, SelectUniqueValue fails, because it could not guarantee that the value is
	// unique. An error ends the evaluation and is kept in EvalError.Err. So the caller can try
	// again later if the target cannot be reached.
	Taken func(value string) (bool, error)

	// DefaultDomain is the default domain of the source directory. If it is "", DefaultDomain()
	// fails.
	DefaultDomain string
}

// evaluation holds the Env of one evaluation and counts its work.
type evaluation struct {
	env      Env
	workDone int       // bytes of the values that were read and computed
	matching stopwatch // measures the time that regular expressions take
	redacted bool      // whether a Redact was evaluated
	trace    *tracer   // records the trace; nil if none is wanted
}

// Eval computes the expression for one object. Every error is an *EvalError.
func (e *Expr) Eval(env Env) (Value, error) {
	if e.root.kind == attributeNode {
		if env.Attribute == nil {
			return Null(), nil
		}
		return env.Attribute(e.root.text), nil
	}
	r := evaluations.Get().(*evaluation)
	r.env = env
	v, err := e.root.eval(r)
	v, err = e.finish(r, v, err)
	*r = evaluation{}
	evaluations.Put(r)
	return v, err
}

// evaluations is a pool of finished evaluations for reuse, because a mapping needs one for each row
// and person.
var evaluations = sync.Pool{New: func() any { return new(evaluation) }}

// finish marks a result that logs must not show, and adds the line and column to an error.
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

// eval computes a checked node. An error is an *EvalError without line and column.
func (n *node) eval(r *evaluation) (Value, error) {
	if r.trace != nil {
		return r.trace.record(n, r)
	}
	return n.compute(r)
}

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

// countWork adds the size of a value to the evaluation's work. It returns an error if the work
// exceeds the limit.
func (n *node) countWork(r *evaluation, v Value) (Value, error) {
	size := len(v.text)
	for _, s := range v.list {
		size += len(s) + 16
	}
	r.workDone += size
	switch {
	case size > MaxResult && n.kind != attributeNode:
		return Null(), n.tooLarge()
	case r.workDone > MaxWork:
		return Null(), n.failAt(n, fmt.Sprintf("the expression handles more than %d bytes; simplify it", MaxWork))
	}
	return v, nil
}

// checkSize refuses a result that would be too large, before it is computed.
func (n *node) checkSize(size int) error {
	if size > MaxResult {
		return n.tooLarge()
	}
	return nil
}

func (n *node) tooLarge() error {
	return n.failAt(n, fmt.Sprintf("%s makes a value of more than %d bytes", n.title(), MaxResult))
}

// evalSingle evaluates argument i. It returns an error if the argument has several values.
func (n *node) evalSingle(r *evaluation, i int) (Value, error) {
	v, err := n.args[i].eval(r)
	if err != nil {
		return Null(), err
	}
	v, ok := v.single()
	if !ok {
		return Null(), n.failAt(n.args[i], fmt.Sprintf("%s has %d values where %s takes one; Join makes one string of them, Item picks one", printNode(n.args[i]), len(v.list), n.title()))
	}
	return v, nil
}

// evalWhole evaluates argument i as a whole number. null is true if the argument has no value.
func (n *node) evalWhole(r *evaluation, i int) (number int64, null bool, err error) {
	v, err := n.evalSingle(r, i)
	if err != nil || v.text == "" {
		return 0, true, err
	}
	number, ok := wholeNumber(v.text)
	if !ok {
		return 0, false, n.failAt(n.args[i], fmt.Sprintf("%s of %s must be a whole number and is %s", n.fn.parameterAt(i).Name, n.text, r.quoteForMessage(v)))
	}
	return number, false, nil
}

// evalRequiredWhole is like evalWhole, but returns an error if the argument has no value.
func (n *node) evalRequiredWhole(r *evaluation, i int) (int64, error) {
	number, null, err := n.evalWhole(r, i)
	if err == nil && null {
		err = n.failAt(n.args[i], fmt.Sprintf("%s of %s has no value and must be a whole number", n.fn.parameterAt(i).Name, n.text))
	}
	return number, err
}

// wholeNumber parses decimal digits, or hexadecimal digits after &H. It ignores zeros after a
// decimal point.
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

// evalEach evaluates argument 0 and calls change with its value, or with each of its values. Null
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

// quoteForMessage returns a value in quotes for a message, shortened. If the value went through
// Redact, it returns [Redact] instead.
func (r *evaluation) quoteForMessage(v Value) string {
	if r.redacted || v.redacted {
		return redactedText
	}
	return strconv.Quote(clip(v.Text(), 60))
}

// clip shortens s to about most bytes without splitting a character.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

func (n *node) failAt(place *node, message string) error {
	return &EvalError{Function: n.text, Offset: place.offset, Message: message}
}

func (n *node) title() string {
	switch n.kind {
	case compareNode:
		return "the comparison"
	case concatNode:
		return "&"
	default:
		return n.text
	}
}

// hasArgument reports whether argument i is present in the call.
func (n *node) hasArgument(i int) bool {
	return i < len(n.args) && n.args[i].kind != emptyNode
}
