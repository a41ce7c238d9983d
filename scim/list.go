package scim

import "strconv"

// identity is the key under which two values of a multi-valued attribute are
// the same one. A value that cannot be changed (a member) is its "value" alone;
// others are value and type together, as RFC 7643 §2.4 has no two of one type
// and value. What has neither is compared whole: "".
func identity(a *Attribute, element any) string {
	if a.Type != Complex {
		return "=" + scalarKey(a, element)
	}
	m, ok := element.(map[string]any)
	if !ok {
		return ""
	}
	sub := a.Sub("value")
	if sub == nil || empty(m[sub.Name]) {
		return ""
	}
	key := "=" + scalarKey(sub, m[sub.Name])
	if sub.Mutability == Immutable {
		return key
	}
	if typ := a.Sub("type"); typ != nil && !empty(m[typ.Name]) {
		key += "\x00" + scalarKey(typ, m[typ.Name])
	}
	return key
}

// scalarKey gives two values of an attribute the same text when they are equal.
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

// wholeKey is the identity of an element, or all of it when it has none.
func wholeKey(a *Attribute, element any) string {
	if key := identity(a, element); key != "" {
		return key
	}
	return string(appendSorted(nil, element))
}

// distinct drops repeated values: a list of values is a set. Of two that have
// the same identity and differ elsewhere both stay, unless the identity is all
// there is to it.
func distinct(a *Attribute, list []any) []any {
	if len(list) < 2 {
		return list
	}
	sub := a.Sub("value")
	byIdentity := a.Type != Complex || sub != nil && sub.Mutability == Immutable
	seen := make(map[string]bool, len(list))
	kept := list[:0]
	for _, e := range list {
		var key string
		if byIdentity {
			key = wholeKey(a, e)
		} else {
			key = string(appendSorted(nil, e))
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		kept = append(kept, e)
	}
	return kept
}

// empty reports whether a value is the same as none. RFC 7643 §2.5.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, e := range v {
			if !empty(e) {
				return false
			}
		}
		return true
	}
	return false
}
