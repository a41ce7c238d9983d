package scim

// MergePut returns the resource after a PUT, in which new replaces old. new must come from Decode.
// RFC 7644 §3.5.1: attributes that new leaves out are cleared. But these attributes keep their old
// value if new leaves them out:
//
//   - attributes that a client cannot set;
//   - attributes that are hidden, or returned only on request, because a client that sends back the
//     result of a GET has not seen them;
//   - externalId;
//   - boolean attributes: a PUT without active must not reactivate a deactivated person.
//
// MergePut returns a mutability error if new changes an immutable attribute that has a value.
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
	if err := put(commonSchema().Attributes, "", old, merged); err != nil {
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
	merged["schemas"] = rt.schemaURNs(merged)
	return merged, nil
}

// keepExisting takes the place of a list in the body of a PUT if some or all of its values could
// not be read. Such a list must not erase the stored list. list has the values that could be read;
// MergePut adds them to the stored list.
type keepExisting struct{ list []any }

// keptWhenLeftOut reports whether an attribute keeps its value if a PUT leaves it out. Its callers
// handle readOnly and immutable attributes before.
func keptWhenLeftOut(a *Attribute, path AttrPath) bool {
	return a.Type == Boolean && !a.MultiValued || a.Returned == ReturnedRequest || a.Name == "externalId" && path.URN == ""
}

// mergeWith returns the list before, followed by the sent values that are not in it.
func (k keepExisting) mergeWith(a *Attribute, before any) any {
	list, _ := cloneValue(before).([]any)
	there := make(map[string]bool, len(list))
	for _, e := range list {
		there[identityOrContent(a, e)] = true
	}
	primary := len(primaryIndexes(list)) > 0
	for _, e := range k.list {
		if there[identityOrContent(a, e)] {
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

// mergeAttribute sets one attribute of merged to its value after the PUT. Before the call, merged
// has the sent value.
func mergeAttribute(a *Attribute, path AttrPath, old, merged map[string]any) error {
	if k, ok := merged[a.Name].(keepExisting); ok {
		if merged[a.Name] = k.mergeWith(a, old[a.Name]); merged[a.Name] == nil {
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
	case a.Name == "schemas" && path.URN == "":
	case a.Mutability == ReadOnly:
		keep = true
	case isUnassigned(before):
	case a.Mutability == Immutable:
		if !isUnassigned(given) && !sameValue(before, given) {
			return Mutability("%s cannot be changed once it is set", path)
		}
		keep = true
	case isUnassigned(given):
		// RFC 7644 §3.5.1: null clears an attribute; "active" is never cleared.
		keep = keptWhenLeftOut(a, path) && (!sent || a.Name == "active" && path.URN == "")
	case a.Type == Complex && !a.MultiValued:
		if err := mergeSubs(a, path, before, given); err != nil {
			return err
		}
	}
	if !keep {
		return nil
	}
	if isUnassigned(before) {
		delete(merged, a.Name)
	} else {
		merged[a.Name] = cloneValue(before)
	}
	return nil
}

// mergeSubs copies those sub-attributes from the old value before to the sent value given that a
// PUT cannot set or that the client has not seen. It always copies immutable sub-attributes. It
// copies sub-attributes that are readOnly or returned only on request if "value" is unchanged. For
// example, the manager's displayName stays if the manager is the same.
func mergeSubs(a *Attribute, path AttrPath, before, given any) error {
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
		case sub.Mutability == ReadOnly, sub.Returned == ReturnedRequest && isUnassigned(to[sub.Name]):
			if same {
				to[sub.Name] = cloneValue(v)
			}
		case sub.Mutability == Immutable:
			if given := to[sub.Name]; !isUnassigned(given) && !sameValue(v, given) {
				path.Sub = sub.Name
				return Mutability("%s cannot be changed once it is set", path)
			}
			to[sub.Name] = cloneValue(v)
		}
	}
	return nil
}
