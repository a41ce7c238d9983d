package scim

import "strings"

// Validate checks a resource as a whole before it is stored: required
// attributes, types, and at most one primary value in a list.
func Validate(rt *ResourceType, r Resource) error {
	if err := validateAll(rt.Schema.Attributes, "", r); err != nil {
		return err
	}
	if err := validateAll(common().Attributes, "", r); err != nil {
		return err
	}
	for _, e := range rt.Extensions {
		v, there := r[e.Schema.ID]
		if !there || empty(v) {
			if e.Required {
				return InvalidValue("%s is required", e.Schema.ID)
			}
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			return InvalidValue("%s must be an object", e.Schema.ID)
		}
		if err := validateAll(e.Schema.Attributes, e.Schema.ID, m); err != nil {
			return err
		}
	}
	return nil
}

func validateAll(attributes []*Attribute, urn string, m map[string]any) error {
	for _, a := range attributes {
		at := AttrPath{URN: urn, Name: a.Name}
		v := m[a.Name]
		if empty(v) {
			if a.Required && a.Mutability != ReadOnly && !hidden(a) {
				return InvalidValue("%s is required", at)
			}
			continue
		}
		if a.Required && blankText(v) {
			return InvalidValue("%s is required, and a text of blanks names nothing", at)
		}
		if err := validateAttribute(a, at, v); err != nil {
			return err
		}
	}
	return nil
}

func blankText(v any) bool {
	s, ok := v.(string)
	return ok && strings.TrimSpace(s) == ""
}

func validateAttribute(a *Attribute, at AttrPath, v any) error {
	if !a.MultiValued {
		return validateValue(a, at, v)
	}
	list, ok := v.([]any)
	if !ok {
		return InvalidValue("%s must be a list", at)
	}
	for _, e := range list {
		if err := validateValue(a, at, e); err != nil {
			return err
		}
	}
	return onePrimary(a, at, list)
}

func validateValue(a *Attribute, at AttrPath, v any) error {
	ok := true
	switch a.Type {
	case Complex:
		m, isMap := v.(map[string]any)
		if !isMap {
			return wrongType(at, "an object", v)
		}
		return validateSubs(a, at, m)
	case Boolean:
		_, ok = v.(bool)
	case Integer:
		_, ok = v.(int64)
	case Decimal:
		switch v.(type) {
		case int64, float64:
		default:
			ok = false
		}
	default:
		s, isText := v.(string)
		if isText {
			return checkText(a, at, s)
		}
		ok = false
	}
	if !ok {
		return wrongType(at, "of type "+a.Type, v)
	}
	return nil
}

func validateSubs(a *Attribute, at AttrPath, m map[string]any) error {
	for _, sub := range a.SubAttributes {
		at.Sub = sub.Name
		v := m[sub.Name]
		if empty(v) {
			if sub.Required && sub.Mutability != ReadOnly && !hidden(sub) {
				return InvalidValue("%s is required", at)
			}
			continue
		}
		if err := validateAttribute(sub, at, v); err != nil {
			return err
		}
	}
	return nil
}

// MergePut gives what a PUT of new, as Decode read it, makes of old.
// RFC 7644 §3.5.1: what is left out is cleared. These stay as they were all the
// same: what a client cannot set, what is never shown or only on request, as
// whoever puts back what a GET showed has not seen it, externalId, and an
// attribute that is true or false, because leaving out active must not let a
// leaver back in.
func MergePut(rt *ResourceType, old, new Resource) (Resource, error) {
	merged := new.Clone()
	if merged == nil {
		merged = Resource{}
	}
	put := func(attributes []*Attribute, urn string, from, to map[string]any) error {
		for _, a := range attributes {
			if err := mergeAttribute(a, AttrPath{URN: urn, Name: a.Name}, from, to); err != nil {
				return err
			}
		}
		return nil
	}
	if err := put(common().Attributes, "", old, merged); err != nil {
		return nil, err
	}
	if err := put(rt.Schema.Attributes, "", old, merged); err != nil {
		return nil, err
	}
	for _, e := range rt.Extensions {
		urn := e.Schema.ID
		from, _ := old[urn].(map[string]any)
		to, _ := merged[urn].(map[string]any)
		if to == nil {
			to = map[string]any{}
		}
		if err := put(e.Schema.Attributes, urn, from, to); err != nil {
			return nil, err
		}
		if len(to) > 0 {
			merged[urn] = to
		}
	}
	merged["schemas"] = rt.schemas(merged)
	return merged, nil
}

// keeping is a list in the body of a PUT that does not empty what is there: none
// of its values, or not all, could be read. Those that could are added.
type keeping struct{ list []any }

// keptWhenLeftOut reports an attribute that a PUT without it leaves as it was.
func keptWhenLeftOut(a *Attribute, at AttrPath) bool {
	return a.Type == Boolean && !a.MultiValued || a.Returned == ReturnedRequest || a.Name == "externalId" && at.URN == ""
}

// kept gives the values that are there, and after them those sent that are new.
func (k keeping) kept(a *Attribute, before any) any {
	list, _ := cloneValue(before).([]any)
	there := make(map[string]bool, len(list))
	for _, e := range list {
		there[wholeKey(a, e)] = true
	}
	primary := len(primaries(list)) > 0
	for _, e := range k.list {
		if there[wholeKey(a, e)] {
			continue
		}
		if m, ok := e.(map[string]any); ok && primary && m["primary"] == true {
			m["primary"] = false
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

func mergeAttribute(a *Attribute, at AttrPath, old, merged map[string]any) error {
	if k, ok := merged[a.Name].(keeping); ok {
		if merged[a.Name] = k.kept(a, old[a.Name]); merged[a.Name] == nil {
			delete(merged, a.Name)
		}
	}
	given, sent := merged[a.Name]
	before := old[a.Name]
	if sent && given == nil {
		delete(merged, a.Name)
	}
	keep := false
	switch {
	case a.Name == "schemas" && at.URN == "":
	case a.Mutability == ReadOnly:
		keep = true
	case empty(before):
	case a.Mutability == Immutable:
		if !empty(given) && !sameValue(before, given) {
			return Mutability("%s cannot be changed once it is set", at)
		}
		keep = true
	case empty(given):
		// RFC 7644 §3.5.1: what is sent as null is cleared; active is never.
		keep = keptWhenLeftOut(a, at) && (!sent || a.Name == "active" && at.URN == "")
	case a.Type == Complex && !a.MultiValued:
		if err := mergeSubs(a, at, before, given); err != nil {
			return err
		}
	}
	if !keep {
		return nil
	}
	if empty(before) {
		delete(merged, a.Name)
	} else {
		merged[a.Name] = cloneValue(before)
	}
	return nil
}

// mergeSubs puts back into a complex value what a client cannot set, such as
// the manager's name while the manager is the same, what it has not seen, and
// what can be set once.
func mergeSubs(a *Attribute, at AttrPath, before, given any) error {
	from, ok := before.(map[string]any)
	to, ok2 := given.(map[string]any)
	if !ok || !ok2 {
		return nil
	}
	same := sameValue(from["value"], to["value"])
	for _, sub := range a.SubAttributes {
		v, there := from[sub.Name]
		if !there {
			continue
		}
		switch {
		case sub.Mutability == ReadOnly, sub.Returned == ReturnedRequest && empty(to[sub.Name]):
			if same {
				to[sub.Name] = cloneValue(v)
			}
		case sub.Mutability == Immutable:
			if given := to[sub.Name]; !empty(given) && !sameValue(v, given) {
				at.Sub = sub.Name
				return Mutability("%s cannot be changed once it is set", at)
			}
			to[sub.Name] = cloneValue(v)
		}
	}
	return nil
}

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
	x, y := keysOf(a), keysOf(b)
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

func keysOf(list []any) map[string]bool {
	keys := make(map[string]bool, len(list))
	for _, e := range list {
		if !empty(e) {
			keys[string(appendSorted(nil, e))] = true
		}
	}
	return keys
}
