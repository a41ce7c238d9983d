package scim

import (
	"cmp"
)

// Sort is an order of resources. RFC 7644 §3.4.2.3.
type Sort struct {
	Path       AttrPath
	Attr       *Attribute // what is compared
	Descending bool
}

// ParseSort reads sortBy and sortOrder ("" is ascending).
func ParseSort(rt *ResourceType, by, order string) (Sort, error) {
	descending := equalName(order, "descending")
	if order != "" && !descending && !equalName(order, "ascending") {
		return Sort{}, InvalidValue("sortOrder must be ascending or descending, not %s", quote(order))
	}
	t, err := (&reader{}).resolve(rt, by)
	if err != nil || t.Name == "" {
		return Sort{}, InvalidValue("sortBy: %s has no attribute %s", rt.Name, quote(by))
	}
	if hidden(t.attr) || t.sub != nil && hidden(t.sub) {
		return Sort{}, Sensitive("%s cannot be sorted by", t.AttrPath)
	}
	a := t.leaf()
	if a.Type == Complex {
		sub := a.Sub("value")
		if sub == nil {
			return Sort{}, InvalidValue("sortBy: %s is complex; name one of its sub-attributes", t.AttrPath)
		}
		t.Sub, a = sub.Name, sub
	}
	return Sort{t.AttrPath, a, descending}, nil
}

// Compare orders two resources; 0 when the attribute does not tell them apart.
// A resource without the attribute comes last, in descending order first.
func (s Sort) Compare(a, b Resource) int {
	x, y := s.key(a), s.key(b)
	order := s.compare(x, y)
	if s.Descending {
		return -order
	}
	return order
}

func (s Sort) compare(x, y any) int {
	switch {
	case empty(x) && empty(y):
		return 0
	case empty(x):
		return 1
	case empty(y):
		return -1
	}
	text, isText := x.(string)
	other, isText2 := y.(string)
	if !isText && !isText2 {
		if order, ok := compareNumbers(x, y); ok {
			return order
		}
	}
	if s.Attr.Type == DateTime {
		t, ok := parseTime(text)
		u, ok2 := parseTime(other)
		if ok && ok2 {
			return t.Compare(u)
		}
	}
	return cmp.Compare(scalarKey(s.Attr, x), scalarKey(s.Attr, y))
}

// key is the value a resource is sorted by: of several the primary one, else
// the first.
func (s Sort) key(r Resource) any {
	found := values{m: r}.get(s.Path.URN, s.Path.Name, false)
	if list, ok := found.([]any); ok {
		found = nil
		for i, e := range list {
			m, _ := e.(map[string]any)
			if i == 0 || m["primary"] == true {
				found = e
			}
		}
	}
	if m, ok := found.(map[string]any); ok {
		return m[s.Path.Sub]
	}
	return found
}
