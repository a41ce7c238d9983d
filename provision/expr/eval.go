package expr

import (
	"fmt"
	"strings"
	"unicode"
)

// eval computes a checked node. Errors are *EvalError without line and column.
func (n *node) eval(env Env) (Value, error) {
	switch n.kind {
	case attributeNode:
		if env.Attribute == nil {
			return Null(), nil
		}
		return env.Attribute(n.text), nil
	case stringNode, numberNode:
		return n.value, nil
	case compareNode:
		return n.evalCompare(env)
	case concatNode:
		return n.evalConcat(env)
	case callNode:
		return n.fn.eval(n, env)
	default:
		return Null(), nil
	}
}

// one computes argument i, which must not have several values.
func (n *node) one(env Env, i int) (Value, error) {
	v, err := n.args[i].eval(env)
	if err != nil {
		return Null(), err
	}
	v, ok := v.single()
	if !ok {
		return Null(), n.failAt(n.args[i], fmt.Sprintf("%s has %d values where %s takes one; Join joins several into one string", printNode(n.args[i]), len(v.list), n.title()))
	}
	return v, nil
}

func (n *node) failAt(place *node, message string) error {
	return &EvalError{Function: n.text, Offset: place.at, Message: message}
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

// given reports whether an optional argument was written.
func (n *node) given(i int) bool {
	return i < len(n.args) && n.args[i].kind != emptyNode
}

func (n *node) evalConcat(env Env) (Value, error) {
	var b strings.Builder
	for i := range n.args {
		v, err := n.one(env, i)
		if err != nil {
			return Null(), err
		}
		b.WriteString(v.Text())
	}
	return String(b.String()), nil
}

func (n *node) evalCompare(env Env) (Value, error) {
	left, err := n.one(env, 0)
	if err != nil {
		return Null(), err
	}
	right, err := n.one(env, 1)
	if err != nil {
		return Null(), err
	}
	order := compareValues(left, right)
	switch n.text {
	case "=":
		return Boolean(order == 0), nil
	case "<>":
		return Boolean(order != 0), nil
	case ">":
		return Boolean(order > 0), nil
	case ">=":
		return Boolean(order >= 0), nil
	case "<":
		return Boolean(order < 0), nil
	default:
		return Boolean(order <= 0), nil
	}
}

// compareValues orders two single values: instants by time, numbers by size, everything else by its characters. Case
// counts. Null counts as the empty string.
func compareValues(a, b Value) int {
	if a.kind == KindDateTime && b.kind == KindDateTime {
		return a.when.Compare(b.when)
	}
	if x, ok := parseDecimal(a); ok {
		if y, ok := parseDecimal(b); ok {
			return x.compare(y)
		}
	}
	return strings.Compare(a.Text(), b.Text())
}

// decimal is a number taken apart for comparing at any length.
type decimal struct {
	negative bool
	whole    string // without leading zeros
	fraction string // without trailing zeros
}

// parseDecimal takes a number, or a string in the one form that a number has: Graph's tree keeps numbers as strings, so the
// two must compare alike. "007" and "1.10" stay strings, or two identifiers could count as equal.
func parseDecimal(v Value) (decimal, bool) {
	text, negative := strings.CutPrefix(v.text, "-")
	whole, fraction, dotted := strings.Cut(text, ".")
	if !allDigits(whole) || dotted && !allDigits(fraction) {
		return decimal{}, false
	}
	d := decimal{negative: negative, whole: strings.TrimLeft(whole, "0"), fraction: strings.TrimRight(fraction, "0")}
	if d.whole == "" && d.fraction == "" {
		d.negative = false
	}
	return d, v.kind == KindNumber || v.text == d.text()
}

func (d decimal) text() string {
	text := d.whole
	if text == "" {
		text = "0"
	}
	if d.fraction != "" {
		text += "." + d.fraction
	}
	if d.negative {
		text = "-" + text
	}
	return text
}

func (d decimal) compare(other decimal) int {
	if d.negative != other.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	order := len(d.whole) - len(other.whole)
	if order == 0 {
		order = strings.Compare(d.whole, other.whole)
	}
	if order == 0 {
		order = strings.Compare(d.fraction, other.fraction)
	}
	if d.negative {
		return -order
	}
	return order
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// evalSwitch compares the source with each key in turn and evaluates only the value that is chosen.
func evalSwitch(n *node, env Env) (Value, error) {
	source, err := n.one(env, 0)
	if err != nil {
		return Null(), err
	}
	for i := 2; i < len(n.args); i += 2 {
		key, err := n.one(env, i)
		if err != nil {
			return Null(), err
		}
		if key.text == source.text { // null counts as ""
			return n.args[i+1].eval(env)
		}
	}
	return n.args[1].eval(env)
}

// evalJoin leaves out null and empty sources together with their separator.
func evalJoin(n *node, env Env) (Value, error) {
	separator, err := n.one(env, 0)
	if err != nil {
		return Null(), err
	}
	var b strings.Builder
	for _, arg := range n.args[1:] {
		v, err := arg.eval(env)
		if err != nil {
			return Null(), err
		}
		if v.kind != KindList {
			appendPart(&b, separator.text, v.text)
			continue
		}
		for _, part := range v.list {
			appendPart(&b, separator.text, part)
		}
	}
	return String(b.String()), nil
}

func appendPart(b *strings.Builder, separator, part string) {
	if part == "" {
		return
	}
	if b.Len() > 0 {
		b.WriteString(separator)
	}
	b.WriteString(part)
}

// evalCoalesce takes the first argument that is not null; the empty string is not null.
func evalCoalesce(n *node, env Env) (Value, error) {
	for _, arg := range n.args {
		v, err := arg.eval(env)
		if err != nil || !v.IsNull() {
			return v, err
		}
	}
	return Null(), nil
}

func evalIsNullOrEmpty(n *node, env Env) (Value, error) {
	v, err := n.args[0].eval(env)
	if err != nil {
		return Null(), err
	}
	return Boolean(v.IsNullOrEmpty()), nil
}

// evalIIF evaluates only the branch that the condition chooses.
func evalIIF(n *node, env Env) (Value, error) {
	condition, err := n.one(env, 0)
	if err != nil {
		return Null(), err
	}
	switch {
	case strings.EqualFold(condition.text, "True"):
		return n.args[1].eval(env)
	case condition.text == "", strings.EqualFold(condition.text, "False"):
		return n.args[2].eval(env)
	default:
		return Null(), n.failAt(n.args[0], fmt.Sprintf("the condition of IIF must be True or False and is %q", condition.text))
	}
}

func evalToLower(n *node, env Env) (Value, error) {
	return evalCase(n, env, invariantLower, strings.ToLowerSpecial)
}

func evalToUpper(n *node, env Env) (Value, error) {
	return evalCase(n, env, invariantUpper, strings.ToUpperSpecial)
}

func evalCase(n *node, env Env, invariant func(string) string, special func(unicode.SpecialCase, string) string) (Value, error) {
	source, err := n.args[0].eval(env)
	if err != nil {
		return Null(), err
	}
	convert := invariant
	if n.given(1) {
		culture, err := n.one(env, 1)
		if err != nil {
			return Null(), err
		}
		turkic, ok := parseCulture(culture.text)
		if !ok {
			return Null(), n.failAt(n.args[1], fmt.Sprintf("%q is not a culture name such as en-US or tr-TR", culture.text))
		}
		if turkic {
			convert = func(s string) string { return special(unicode.TurkishCase, s) }
		}
	}
	switch source.kind {
	case KindNull, KindNoFlow:
		return source, nil
	case KindList:
		converted := make([]string, len(source.list))
		for i, s := range source.list {
			converted[i] = convert(s)
		}
		return List(converted), nil
	default:
		return String(convert(source.text)), nil
	}
}

// invariantLower leaves the dotted capital I alone, as .NET's invariant culture does.
func invariantLower(s string) string {
	return keeping(s, "İ", strings.ToLower)
}

// invariantUpper leaves the dotless small i alone, as .NET's invariant culture does.
func invariantUpper(s string) string {
	return keeping(s, "ı", strings.ToUpper)
}

func keeping(s, kept string, convert func(string) string) string {
	if !strings.Contains(s, kept) {
		return convert(s)
	}
	parts := strings.Split(s, kept)
	for i, part := range parts {
		parts[i] = convert(part)
	}
	return strings.Join(parts, kept)
}

// parseCulture reads a language tag by its form; turkic is true where the letter i has its own case rule. The empty name
// is the invariant culture.
//
// RFC 4646 §2.1: a language of letters, then subtags of at most eight letters and digits.
func parseCulture(name string) (turkic, ok bool) {
	if name == "" {
		return false, true
	}
	subtags := strings.Split(name, "-")
	for i, subtag := range subtags {
		if len(subtag) == 0 || len(subtag) > 8 || i == 0 && len(subtag) < 2 {
			return false, false
		}
		for j := range len(subtag) {
			c := subtag[j]
			if c == '_' || !isLetter(c) && (i == 0 || !isDigit(c)) {
				return false, false
			}
		}
	}
	return strings.EqualFold(subtags[0], "tr") || strings.EqualFold(subtags[0], "az"), true
}
