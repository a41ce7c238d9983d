package scim

import "strings"

// Validate checks a whole resource before it is stored. It returns invalidValue if a required
// attribute is missing, a value has the wrong type, or a list has more than one primary value.
func Validate(rt *ResourceType, r Resource) error {
	if err := validateAll(rt.Schema.Attributes, "", r); err != nil {
		return err
	}
	if err := validateAll(commonSchema().Attributes, "", r); err != nil {
		return err
	}
	for _, e := range rt.Extensions {
		v, there := r[e.Schema.ID]
		if !there || isUnassigned(v) {
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

// validateAll checks the attributes of one schema. m is the map that has them.
func validateAll(attributes []*Attribute, urn string, m map[string]any) error {
	for _, a := range attributes {
		path := AttrPath{URN: urn, Name: a.Name}
		v := m[a.Name]
		if isUnassigned(v) {
			if a.Required && a.Mutability != ReadOnly && !isHidden(a) {
				return InvalidValue("%s is required", path)
			}
			continue
		}
		if a.Required && isBlankString(v) {
			return InvalidValue("%s is required; a string of spaces does not count", path)
		}
		if err := validateAttribute(a, path, v); err != nil {
			return err
		}
	}
	return nil
}

// isBlankString reports whether v is a string that is empty or has only white space.
func isBlankString(v any) bool {
	s, ok := v.(string)
	return ok && strings.TrimSpace(s) == ""
}

// validateAttribute checks the value of one attribute.
func validateAttribute(a *Attribute, path AttrPath, v any) error {
	if !a.MultiValued {
		return validateValue(a, path, v)
	}
	list, ok := v.([]any)
	if !ok {
		return InvalidValue("%s must be a list", path)
	}
	for _, e := range list {
		if err := validateValue(a, path, e); err != nil {
			return err
		}
	}
	return checkOnePrimary(a, path, list)
}

// validateValue checks a single value, or one element of a list.
func validateValue(a *Attribute, path AttrPath, v any) error {
	ok := true
	switch a.Type {
	case Complex:
		m, isMap := v.(map[string]any)
		if !isMap {
			return wrongTypeError(path, "an object", v)
		}
		return validateSubs(a, path, m)
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
		s, isString := v.(string)
		if isString {
			return checkString(a, path, s)
		}
		ok = false
	}
	if !ok {
		return wrongTypeError(path, "of type "+a.Type, v)
	}
	return nil
}

// validateSubs checks the sub-attributes of a complex value.
func validateSubs(a *Attribute, path AttrPath, m map[string]any) error {
	for _, sub := range a.SubAttributes {
		path.Sub = sub.Name
		v := m[sub.Name]
		if isUnassigned(v) {
			if sub.Required && sub.Mutability != ReadOnly && !isHidden(sub) {
				return InvalidValue("%s is required", path)
			}
			continue
		}
		if err := validateAttribute(sub, path, v); err != nil {
			return err
		}
	}
	return nil
}
