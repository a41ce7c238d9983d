package scim

import (
	"slices"
	"strconv"
)

// identityKey returns the key of an element of a multi-valued attribute. Two elements with the same
// key count as the same element. If "value" is immutable, as for members, the key is "value" alone.
// Otherwise the key is "value" and type together, because RFC 7643 §2.4 allows no two elements with
// the same type and value. The key of an element without "value" is "".
func identityKey(a *Attribute, element any) string {
	if a.Type != Complex {
		return "=" + scalarKey(a, element)
	}
	m, ok := element.(map[string]any)
	if !ok {
		return ""
	}
	sub := a.Sub("value")
	if sub == nil || isUnassigned(m[sub.Name]) {
		return ""
	}
	key := "=" + scalarKey(sub, m[sub.Name])
	if sub.Mutability == Immutable {
		return key
	}
	if typ := a.Sub("type"); typ != nil && !isUnassigned(m[typ.Name]) {
		key += "\x00" + scalarKey(typ, m[typ.Name])
	}
	return key
}

// scalarKey returns a string for a value of an attribute. The strings of two values are the same if
// the values are equal. Strings are folded, but not for a caseExact attribute or if a is nil.
func scalarKey(a *Attribute, v any) string {
	switch v := v.(type) {
	case string:
		if a == nil || a.CaseExact {
			return v
		}
		return Fold(v)
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return string(appendSorted(nil, v))
}

// identityOrContent returns the identityKey of an element, or the JSON of the whole element if it
// has no key.
func identityOrContent(a *Attribute, element any) string {
	if key := identityKey(a, element); key != "" {
		return key
	}
	return string(appendSorted(nil, element))
}

// withoutDuplicates removes repeated elements, because a list of values is a set. Only elements
// that are equal in all sub-attributes count as repeated. But if "value" is immutable, as for
// members, only "value" is compared.
func withoutDuplicates(a *Attribute, list []any) []any {
	if len(list) < 2 {
		return list
	}
	same := equalityOf(a)
	const few = 16
	if len(list) <= few {
		return withoutDuplicatesFew(list, same)
	}
	seen := make(map[string]bool, len(list))
	kept := list[:0]
	for _, e := range list {
		if key := same.key(a, e); !seen[key] {
			seen[key] = true
			kept = append(kept, e)
		}
	}
	return kept
}

// withoutDuplicatesFew is like withoutDuplicates, for few elements. It compares every pair, which
// is faster for few elements than a map.
func withoutDuplicatesFew(list []any, same elementEquality) []any {
	kept := list[:0]
	for _, e := range list {
		if !slices.ContainsFunc(kept, func(k any) bool { return same.equal(k, e) }) {
			kept = append(kept, e)
		}
	}
	return kept
}

// elementEquality says when two elements of a list are equal.
type elementEquality struct {
	attr *Attribute // the sub-attribute or simple attribute to compare; nil means that the whole element is compared
}

// equalityOf returns the rule by which the elements of an attribute are compared.
func equalityOf(a *Attribute) elementEquality {
	if a.Type != Complex {
		return elementEquality{a}
	}
	if sub := a.Sub("value"); sub != nil && sub.Mutability == Immutable {
		return elementEquality{sub}
	}
	return elementEquality{}
}

// key returns a string that is the same for equal elements.
func (s elementEquality) key(a *Attribute, e any) string {
	if s.attr == nil {
		return string(appendSorted(nil, e))
	}
	return identityOrContent(a, e)
}

// equal reports whether two elements are equal.
func (s elementEquality) equal(x, y any) bool {
	if s.attr == nil {
		return equalValues(x, y)
	}
	m, ok := x.(map[string]any)
	n, ok2 := y.(map[string]any)
	if ok && ok2 {
		x, y = m[s.attr.Name], n[s.attr.Name]
		if isUnassigned(x) || isUnassigned(y) {
			return equalMaps(m, n, false)
		}
	}
	return scalarKey(s.attr, x) == scalarKey(s.attr, y)
}

// isUnassigned reports whether a value is nil or has no content, and so counts as unassigned. RFC
// 7643 §2.5.
func isUnassigned(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case keepExisting:
		return len(v.list) == 0
	case map[string]any:
		for _, e := range v {
			if !isUnassigned(e) {
				return false
			}
		}
		return true
	}
	return false
}

// listOf returns the values of an attribute without unassigned ones. For a single-valued attribute
// it returns at most one value.
func listOf(v any) []any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []any
	for _, e := range list {
		if !isUnassigned(e) {
			out = append(out, e)
		}
	}
	return out
}

// firstOf returns the first of the values that listOf returns, or nil if there are none.
func firstOf(v any) any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, e := range list {
		if !isUnassigned(e) {
			return e
		}
	}
	return nil
}
