package scim

// Equal reports whether two resources say the same: meta does not count, lists
// are sets, unassigned is the same as absent.
func Equal(a, b Resource) bool { return equalMaps(a, b, true) }

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
		if _, both := a[k]; !both && !empty(v) {
			return false
		}
	}
	return true
}

func equalValues(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return empty(a) && empty(b)
		}
		return equalMaps(x, y, false)
	case []any:
		y, ok := b.([]any)
		if !ok {
			return empty(a) && empty(b)
		}
		return equalLists(x, y)
	case int64, float64:
		order, ok := compareNumbers(a, b)
		_, text := b.(string)
		return ok && !text && order == 0
	case string, bool:
		return a == b || empty(a) && empty(b)
	}
	return empty(a) && empty(b)
}

func equalLists(a, b []any) bool {
	if len(a) == len(b) && equalInOrder(a, b) {
		return true
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

func equalInOrder(a, b []any) bool {
	for i := range a {
		if !equalValues(a[i], b[i]) {
			return false
		}
	}
	return true
}

func elementKeys(list []any) map[string]bool {
	keys := make(map[string]bool, len(list))
	for _, e := range list {
		if !empty(e) {
			keys[string(appendSorted(nil, e))] = true
		}
	}
	return keys
}

func sameValue(a, b any) bool { return Equal(Resource{"v": a}, Resource{"v": b}) }
