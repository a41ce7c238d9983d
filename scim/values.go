package scim

import (
	"slices"
	"strconv"
)

// identityKey returns a key that is equal for two values of a multi-valued attribute when they are
// the same value. For elements that cannot be changed (members), the key is "value" alone. For
// other elements, the key is "value" and type together, because RFC 7643 §2.4 allows no two with
// the same type and value. An element without "value" has no identity: the key is "".
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

// scalarKey returns a string that is the same for two values of an attribute when they are equal.
// Strings are folded unless the attribute is caseExact.
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

// identityOrContent returns the identity of an element, or its whole content when it has no
// identity.
func identityOrContent(a *Attribute, element any) string {
	if key := identityKey(a, element); key != "" {
		return key
	}
	return string(appendSorted(nil, element))
}

// distinct drops repeated values, because a list of values is a set. Two elements with the same
// identity that differ otherwise both stay. Elements whose "value" cannot be changed (members) are
// compared by "value" alone.
func distinct(a *Attribute, list []any) []any {
	if len(list) < 2 {
		return list
	}
	same := equalityOf(a)
	const few = 16
	if len(list) <= few {
		return distinctFew(list, same)
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

// distinctFew compares every pair, which is faster than a map for few elements.
func distinctFew(list []any, same elementEquality) []any {
	kept := list[:0]
	for _, e := range list {
		if !slices.ContainsFunc(kept, func(k any) bool { return same.equal(k, e) }) {
			kept = append(kept, e)
		}
	}
	return kept
}

// elementEquality decides when two elements of a list are the same.
type elementEquality struct {
	attr *Attribute // the sub-attribute or simple attribute to compare; nil compares the whole element
}

// equalityOf returns how to compare the elements of an attribute.
func equalityOf(a *Attribute) elementEquality {
	if a.Type != Complex {
		return elementEquality{a}
	}
	if sub := a.Sub("value"); sub != nil && sub.Mutability == Immutable {
		return elementEquality{sub}
	}
	return elementEquality{}
}

func (s elementEquality) key(a *Attribute, e any) string {
	if s.attr == nil {
		return string(appendSorted(nil, e))
	}
	return identityOrContent(a, e)
}

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

// isUnassigned reports whether a value counts as unassigned. RFC 7643 §2.5.
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

// listOf returns the assigned values of an attribute, single-valued or multi-valued.
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
