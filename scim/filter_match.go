package scim

import (
	"cmp"
	"strconv"
	"strings"
)

// Match reports whether the resource satisfies the filter.
//
// A comparison with a multi-valued attribute is true if it is true for at least one value; this
// also applies to ne. For an unassigned attribute, ne is true and every other comparison is false.
// Attributes that are not in the resource, such as a stored User's groups or meta.location, count
// as unassigned.
func (f *Filter) Match(r Resource) bool { return f.Root.match(scope{members: r}) }

// scope is the value in which a filter looks up its attribute names: a resource, or one element of
// a multi-valued attribute.
type scope struct {
	members     map[string]any // the attributes by name; nil for an element that is not complex
	simpleValue any            // the element if it is not complex; a filter names it "value"
}

// lookUp returns the value of an attribute, or nil. If ignoreCase is true, the spelling of names
// may differ in case.
func (v scope) lookUp(urn, name string, ignoreCase bool) any {
	if v.members == nil {
		if equalName(name, "value") {
			return v.simpleValue
		}
		return nil
	}
	m := v.members
	if urn != "" {
		m, _ = memberOf(v.members, urn, ignoreCase).(map[string]any)
	}
	return memberOf(m, name, ignoreCase)
}

// memberOf returns the member of m with a name, or nil. If ignoreCase is true, it also finds a name
// that differs in case. Callers without a schema need this, because they do not know the canonical
// spelling.
func memberOf(m map[string]any, name string, ignoreCase bool) any {
	if v, ok := m[name]; ok || !ignoreCase {
		return v
	}
	return m[keyOf(m, name)]
}

// keyOf returns the spelling of a name in m, or the name itself if m does not have it.
func keyOf(m map[string]any, name string) string {
	if _, ok := m[name]; ok {
		return name
	}
	found := name
	for k := range m {
		if equalName(k, name) && (found == name || k < found) {
			found = k
		}
	}
	return found
}

func (n And) match(v scope) bool { return n.Left.match(v) && n.Right.match(v) }
func (n Or) match(v scope) bool  { return n.Left.match(v) || n.Right.match(v) }
func (n Not) match(v scope) bool { return !n.Node.match(v) }

func (n Present) match(v scope) bool {
	ignoreCase := n.Attr == nil
	found := v.lookUp(n.Path.URN, n.Path.Name, ignoreCase)
	if n.Path.Sub == "" {
		return !isUnassigned(found)
	}
	return anyElement(found, func(e any) bool {
		m, _ := e.(map[string]any)
		return !isUnassigned(memberOf(m, n.Path.Sub, ignoreCase))
	})
}

func (n ValuePath) match(v scope) bool {
	return anyElement(v.lookUp(n.Path.URN, n.Path.Name, n.Attr == nil), func(e any) bool {
		return n.Filter.match(elementScope(e))
	})
}

// elementScope returns the scope of one element, for the filter of a value path.
func elementScope(e any) scope {
	if m, ok := e.(map[string]any); ok {
		return scope{members: m}
	}
	return scope{simpleValue: e}
}

// anyElement reports whether f is true for at least one value of an attribute.
func anyElement(v any, f func(any) bool) bool {
	list, ok := v.([]any)
	if !ok {
		return !isUnassigned(v) && f(v)
	}
	for _, e := range list {
		if !isUnassigned(e) && f(e) {
			return true
		}
	}
	return false
}

func (c Compare) match(v scope) bool {
	if !c.operand.isPrepared {
		c.operand = c.prepareOperand() // the node was not made by ParseFilter, which prepares the operand
	}
	if c.Value == nil {
		return Present{c.Path, c.Attr}.match(v) == (c.Op == Ne)
	}
	ignoreCase := c.Attr == nil
	found := v.lookUp(c.Path.URN, c.Path.Name, ignoreCase)
	if isUnassigned(found) {
		return c.Op == Ne
	}
	return anyElement(found, func(e any) bool {
		if m, ok := e.(map[string]any); ok {
			sub := c.Path.Sub
			if sub == "" {
				sub = "value" // without a schema, Sub may be empty, and then the filter means the sub-attribute "value"
			}
			e = memberOf(m, sub, ignoreCase)
		} else if c.Path.Sub != "" && !equalName(c.Path.Sub, "value") {
			e = nil
		}
		if isUnassigned(e) {
			return c.Op == Ne
		}
		if list, ok := e.([]any); ok { // the sub-attribute has several values
			return anyElement(list, c.matchesValue)
		}
		return c.matchesValue(e)
	})
}

// matchesValue reports whether one value satisfies the comparison.
func (c Compare) matchesValue(e any) bool {
	switch e := e.(type) {
	case string:
		return c.matchesString(e)
	case bool:
		b, ok := c.Value.(bool)
		if s, text := c.Value.(string); text {
			b, ok = parseBoolean(s)
		}
		return ok && (e == b) == (c.Op == Eq) && (c.Op == Eq || c.Op == Ne)
	case int64, float64:
		if order, ok := compareNumbers(e, c.Value); ok {
			return c.matchesOrder(order)
		}
	}
	return c.Op == Ne
}

// matchesString reports whether a string satisfies the comparison. For a dateTime attribute, it
// compares the time in the string.
func (c Compare) matchesString(s string) bool {
	if c.operand.isTime {
		if t, ok := parseTime(s); ok && c.Op != Co && c.Op != Sw && c.Op != Ew {
			return c.matchesOrder(t.Compare(c.operand.time))
		}
	}
	want := c.operand.text
	switch v := c.Value.(type) {
	case string:
	case bool: // without a schema, a stored boolean may be a string
		b, ok := parseBoolean(s)
		return ok && (b == v) == (c.Op == Eq)
	default:
		want = scalarKey(nil, v)
	}
	if !c.caseExact() {
		s = Fold(s)
	}
	switch c.Op {
	case Co:
		return strings.Contains(s, want)
	case Sw:
		return strings.HasPrefix(s, want)
	case Ew:
		return strings.HasSuffix(s, want)
	}
	return c.matchesOrder(strings.Compare(s, want))
}

// matchesOrder reports whether the operator accepts the result of a three-way comparison: order is
// negative, 0 or positive.
func (c Compare) matchesOrder(order int) bool {
	switch c.Op {
	case Eq:
		return order == 0
	case Ne:
		return order != 0
	case Gt:
		return order > 0
	case Ge:
		return order >= 0
	case Lt:
		return order < 0
	case Le:
		return order <= 0
	}
	return false
}

// compareNumbers compares two numbers. The comparison is exact if both are whole. ok is false if a
// or b is not a number.
func compareNumbers(a, b any) (order int, ok bool) {
	i, okI := a.(int64)
	j, okJ := b.(int64)
	if okI && okJ {
		return cmp.Compare(i, j), true
	}
	x, okX := asFloat(a)
	y, okY := asFloat(b)
	return cmp.Compare(x, y), okX && okY
}

// asFloat returns a number as float64. ok is false if v is not a number.
func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	return 0, false
}

// The precedence of the operators, from low to high: how tightly they bind. String uses it to
// decide where parentheses are needed.
const (
	orPrecedence = iota
	andPrecedence
	factorPrecedence // of everything else than "or" and "and"
)

// String returns the filter as text. Parsing this text gives the same tree.
func (f *Filter) String() string { return string(f.Root.appendText(nil, orPrecedence)) }

// appendBinary appends two nodes with the word " and " or " or " between them. level is the
// precedence of the word. appendBinary adds parentheses if the node around them binds tighter.
func appendBinary(b []byte, left, right Node, word string, level, parent int) []byte {
	if parent > level {
		b = append(b, '(')
	}
	b = left.appendText(b, level)
	b = append(b, word...)
	b = right.appendText(b, level+1) // the parser groups from the left, so a right side with the same operator needs parentheses
	if parent > level {
		b = append(b, ')')
	}
	return b
}

func (n Or) appendText(b []byte, parent int) []byte {
	return appendBinary(b, n.Left, n.Right, " or ", orPrecedence, parent)
}

func (n And) appendText(b []byte, parent int) []byte {
	return appendBinary(b, n.Left, n.Right, " and ", andPrecedence, parent)
}

func (n Not) appendText(b []byte, _ int) []byte {
	b = append(b, "not ("...)
	b = n.Node.appendText(b, orPrecedence)
	return append(b, ')')
}

func (n Present) appendText(b []byte, _ int) []byte {
	return append(append(b, n.Path.String()...), " pr"...)
}

func (c Compare) appendText(b []byte, _ int) []byte {
	b = append(b, c.Path.String()...)
	b = append(b, ' ')
	b = append(b, c.Op...)
	b = append(b, ' ')
	return appendSorted(b, c.Value)
}

func (n ValuePath) appendText(b []byte, _ int) []byte {
	b = append(b, n.Path.String()...)
	b = append(b, '[')
	b = n.Filter.appendText(b, orPrecedence)
	return append(b, ']')
}
