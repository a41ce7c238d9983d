package scim

// Equal reports whether two resources have the same content. It ignores meta and schemas, and the
// order and repetition of list elements. An unassigned attribute equals an absent attribute.
func Equal(a, b Resource) bool { return equalMaps(a, b, true) }

// equalMaps compares two maps. If top is true, the maps are whole resources, and equalMaps ignores
// their meta and schemas.
func equalMaps(a, b map[string]any, top bool) bool {
	for k, v := range a {
		if top && (k == "meta" || k == "schemas") {
			continue
		}
		if !equalValues(v, b[k]) {
			return false
		}
	}
	for k, v := range b {
		if top && (k == "meta" || k == "schemas") {
			continue
		}
		if _, both := a[k]; !both && !isUnassigned(v) {
			return false
		}
	}
	return true
}

// equalValues reports whether two values are equal, as Equal does.
func equalValues(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return isUnassigned(a) && isUnassigned(b)
		}
		return equalMaps(x, y, false)
	case []any:
		y, ok := b.([]any)
		if !ok {
			return isUnassigned(a) && isUnassigned(b)
		}
		return equalLists(x, y)
	case int64, float64:
		order, ok := compareNumbers(a, b)
		_, isString := b.(string)
		return ok && !isString && order == 0
	case string, bool:
		return a == b || isUnassigned(a) && isUnassigned(b)
	}
	return isUnassigned(a) && isUnassigned(b)
}

// equalLists compares two lists as sets, without regard to order and repetition.
func equalLists(a, b []any) bool {
	if len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || equalInOrder(a, b)) {
		return true // lists that no change has touched are the same list
	}
	x, y := elementKeys(a), elementKeys(b)
	if len(x) != len(y) {
		return false
	}
	for k := range x {
		if !y[k] {
			return false
		}
	}
	return true
}

// equalInOrder reports whether two lists of the same length have equal elements in the same order.
func equalInOrder(a, b []any) bool {
	for i := range a {
		if !equalValues(a[i], b[i]) {
			return false
		}
	}
	return true
}

// elementKeys returns the set of the JSON forms of all assigned elements.
func elementKeys(list []any) map[string]bool {
	keys := make(map[string]bool, len(list))
	for _, e := range list {
		if !isUnassigned(e) {
			keys[string(appendSorted(nil, e))] = true
		}
	}
	return keys
}

// EqualValues reports whether two values of one attribute are equal, in the sense of Equal.
func EqualValues(a, b any) bool { return equalValues(a, b) }

// sameValue reports whether two values of an attribute are equal.
func sameValue(a, b any) bool { return equalValues(a, b) }
