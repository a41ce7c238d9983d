package scim

import (
	"fmt"
	"slices"
)

// SchemaDifference is a difference between two registries, the old and the next one, that can harm
// stored resources: the next schemas have no attribute for some of their values, or some values
// break the new rules.
type SchemaDifference struct {
	Type   TypeName
	Path   AttrPath // the attribute; the whole extension if Name is ""; the whole type if URN is "" too
	Reason string   // the difference in words, such as "is removed" or "becomes required"

	affectsMissing bool       // whether the difference harms the resources without a value, instead of those with a value
	newForm        *Attribute // the new definition of the attribute if its values stay valid but are compared in another way; otherwise nil
}

// Subject returns the name of what differs: an attribute such as "urn:example:Badge:color.code of
// User", an extension, or a resource type.
func (l SchemaDifference) Subject() string {
	switch {
	case l.Path == AttrPath{}:
		return "the resource type " + string(l.Type)
	case l.Path.Name == "":
		return "the extension " + l.Path.URN + " of " + string(l.Type)
	}
	return l.Path.String() + " of " + string(l.Type)
}

// AffectsMissing reports whether the difference harms the resources without a value, instead of
// those with a value. This is so if the value becomes required.
func (l SchemaDifference) AffectsMissing() bool { return l.affectsMissing }

// AffectsWholeType reports whether the difference harms all resources of the type.
func (l SchemaDifference) AffectsWholeType() bool { return l.Path == AttrPath{} }

// KeepsValues reports whether each value stays valid by itself, and only the comparison of values
// changes, such as for an attribute that becomes unique.
func (l SchemaDifference) KeepsValues() bool { return l.newForm != nil }

// DropValues removes the values that the difference makes invalid from a stored resource, and
// reports whether there were any. It removes nothing when AffectsMissing, KeepsValues or
// AffectsWholeType is true.
func (l SchemaDifference) DropValues(r Resource) bool {
	if l.affectsMissing || l.KeepsValues() || l.AffectsWholeType() || !l.Affects(r) {
		return false
	}
	m := l.memberMap(r)
	switch {
	case l.Path.Name == "":
		delete(r, l.Path.URN)
	case l.Path.Sub == "":
		delete(m, l.Path.Name)
	default:
		for _, e := range listOf(m[l.Path.Name]) {
			dropSub(e, l.Path.Sub)
		}
	}
	l.removeEmpty(r)
	return true
}

// ElementKeys is for an attribute that becomes unique. It returns a key for each element of the
// attribute in a resource. Elements with the same key break the new rule. The key of an element
// without a value is "". If the attribute does not become unique, the result is nil.
func (l SchemaDifference) ElementKeys(r Resource) []string {
	if !l.KeepsValues() || l.newForm.Uniqueness == UniquenessNone {
		return nil
	}
	list := listOf(l.memberMap(r)[l.Path.Name])
	keys := make([]string, len(list))
	for i, e := range list {
		if m, ok := e.(map[string]any); ok {
			e = m[l.Path.Sub]
		}
		if !isUnassigned(e) {
			keys[i] = scalarKey(l.newForm, e)
		}
	}
	return keys
}

// DropElement removes the value at a path from the element with this index. A single value has the
// index 0.
func DropElement(r Resource, path AttrPath, element int) {
	l := SchemaDifference{Path: path}
	m := l.memberMap(r)
	list, isList := m[path.Name].([]any)
	switch {
	case !isList && path.Sub == "":
		delete(m, path.Name)
	case !isList:
		dropSub(m[path.Name], path.Sub)
	case element < len(list) && path.Sub == "":
		list[element] = nil
	case element < len(list):
		dropSub(list[element], path.Sub)
	}
	l.removeEmpty(r)
}

// memberMap returns the map that has the attribute as a member: the resource or an extension. It
// returns nil if the resource does not have the extension.
func (l SchemaDifference) memberMap(r Resource) map[string]any {
	if l.Path.URN == "" {
		return r
	}
	m, _ := r[l.Path.URN].(map[string]any)
	return m
}

// removeEmpty removes empty elements of the attribute, the attribute if it is empty, and the
// extension if it is empty.
func (l SchemaDifference) removeEmpty(r Resource) {
	m := l.memberMap(r)
	if list, ok := m[l.Path.Name].([]any); ok {
		m[l.Path.Name] = slices.DeleteFunc(list, isUnassigned)
	}
	if _, there := m[l.Path.Name]; there && isUnassigned(m[l.Path.Name]) {
		delete(m, l.Path.Name)
	}
	if l.Path.URN != "" && len(m) == 0 {
		delete(r, l.Path.URN)
	}
}

// dropSub deletes a sub-attribute of a complex value.
func dropSub(v any, sub string) {
	if m, ok := v.(map[string]any); ok {
		delete(m, sub)
	}
}

// Affects reports whether the difference harms a stored resource of the type.
func (l SchemaDifference) Affects(r Resource) bool {
	if l.AffectsWholeType() {
		return true
	}
	m := map[string]any(r)
	if l.Path.URN != "" {
		m, _ = r[l.Path.URN].(map[string]any)
		if l.Path.Name == "" {
			return isUnassigned(m) == l.affectsMissing
		}
		if isUnassigned(m) {
			return false // a resource without the extension cannot break the rules of the extension's attributes
		}
	}
	v := m[l.Path.Name]
	if l.Path.Sub == "" {
		return isUnassigned(v) == l.affectsMissing
	}
	return anyElement(v, func(e any) bool {
		m, _ := e.(map[string]any)
		return isUnassigned(m[l.Path.Sub]) == l.affectsMissing
	})
}

// NoLongerUnique lists the attributes that are unique in this registry but not in the next one,
// each as a SchemaDifference.
func (g *Registry) NoLongerUnique(next *Registry) (list []SchemaDifference) {
	for _, old := range g.types {
		var still []UniqueAttribute
		if rt, ok := next.ByName(old.ID); ok {
			still = rt.Unique()
		}
		for _, u := range old.Unique() {
			if !slices.ContainsFunc(still, func(s UniqueAttribute) bool { return s.Path == u.Path }) {
				list = append(list, SchemaDifference{Type: old.ID, Path: u.Path, Reason: "is no longer unique"})
			}
		}
	}
	return list
}

// BreakingDifferences lists the differences between this registry and the next one that stored
// resources may not satisfy. An added attribute or extension is listed only if it is required,
// because stored resources may not have it.
func (g *Registry) BreakingDifferences(next *Registry) []SchemaDifference {
	var differences []SchemaDifference
	for _, old := range g.types {
		index := slices.IndexFunc(next.types, func(rt *ResourceType) bool { return rt.Name == old.Name })
		switch {
		case index < 0:
			differences = append(differences, SchemaDifference{Type: old.ID, Reason: "is removed"})
		case next.types[index].Schema.ID != old.Schema.ID:
			differences = append(differences, SchemaDifference{Type: old.ID, Reason: "changes its schema to " + next.types[index].Schema.ID})
		default:
			differences = append(differences, typeDifferences(old, next.types[index])...)
		}
	}
	return differences
}

// typeDifferences lists the differences between two versions of a resource type, for
// BreakingDifferences.
func typeDifferences(old, next *ResourceType) []SchemaDifference {
	d := differenceCollector{typeName: next.ID}
	d.compareAttributes(AttrPath{}, old.Schema.Attributes, next.Schema.Attributes)
	for _, e := range old.Extensions {
		if s := next.Extension(e.Schema.ID); s == nil || s.ID != e.Schema.ID {
			d.addBreaking(AttrPath{URN: e.Schema.ID}, "is removed")
		}
	}
	for _, e := range next.Extensions {
		was := slices.IndexFunc(old.Extensions, func(o Extension) bool { return o.Schema.ID == e.Schema.ID })
		if e.Required && (was < 0 || !old.Extensions[was].Required) {
			d.addRequired(AttrPath{URN: e.Schema.ID})
		}
		if was >= 0 {
			d.compareAttributes(AttrPath{URN: e.Schema.ID}, old.Extensions[was].Schema.Attributes, e.Schema.Attributes)
		}
	}
	return d.differences
}

// differenceCollector collects the differences between two versions of one resource type.
type differenceCollector struct {
	typeName    TypeName
	differences []SchemaDifference
}

// addBreaking records a difference that makes stored values invalid.
func (d *differenceCollector) addBreaking(path AttrPath, format string, args ...any) {
	d.differences = append(d.differences, SchemaDifference{Type: d.typeName, Path: path, Reason: fmt.Sprintf(format, args...)})
}

// addNewComparison records a change after which every value is still valid but is compared in
// another way.
func (d *differenceCollector) addNewComparison(path AttrPath, next *Attribute, reason string) {
	d.differences = append(d.differences, SchemaDifference{Type: d.typeName, Path: path, Reason: reason, newForm: next})
}

// addRequired records that a value becomes required.
func (d *differenceCollector) addRequired(path AttrPath) {
	d.differences = append(d.differences, SchemaDifference{Type: d.typeName, Path: path, Reason: "becomes required", affectsMissing: true})
}

// compareAttributes records the differences between two versions of a list of attributes. The
// attributes are those of a schema, or the sub-attributes of the attribute at the path.
func (d *differenceCollector) compareAttributes(path AttrPath, old, next []*Attribute) {
	under := func(name string) AttrPath {
		if path.Name == "" {
			return AttrPath{URN: path.URN, Name: name}
		}
		return AttrPath{URN: path.URN, Name: path.Name, Sub: name}
	}
	for _, a := range old {
		b := attributeWithSpelling(next, a.Name)
		if b == nil {
			d.addBreaking(under(a.Name), "is removed")
			continue
		}
		d.compareAttribute(under(a.Name), a, b)
	}
	for _, b := range next {
		if a := attributeWithSpelling(old, b.Name); b.Required && b.Mutability != ReadOnly && !isHidden(b) && (a == nil || !a.Required) {
			d.addRequired(under(b.Name))
		}
	}
}

// attributeWithSpelling returns the attribute with exactly this name, or nil. Stored documents use
// the exact spelling, so a name that differs in case is another name here.
func attributeWithSpelling(list []*Attribute, name string) *Attribute {
	index := slices.IndexFunc(list, func(a *Attribute) bool { return a.Name == name })
	if index < 0 {
		return nil
	}
	return list[index]
}

// compareAttribute records the first difference between two versions of an attribute. It looks
// first for differences that make values invalid, and then for differences that only change how
// values are compared.
func (d *differenceCollector) compareAttribute(path AttrPath, a, b *Attribute) {
	switch {
	case a.Type != b.Type:
		d.addBreaking(path, "changes its type from %s to %s", a.Type, b.Type)
		return
	case a.MultiValued != b.MultiValued && b.MultiValued:
		d.addBreaking(path, "becomes multi-valued")
		return
	case a.MultiValued != b.MultiValued:
		d.addBreaking(path, "becomes single-valued")
		return
	case !isHidden(a) && isHidden(b):
		d.addBreaking(path, "is no longer returned")
		return
	case a.CaseExact != b.CaseExact:
		d.addNewComparison(path, b, "changes whether case counts (caseExact)")
	case !a.IsUnique() && b.IsUnique():
		d.addNewComparison(path, b, "becomes unique")
	}
	if a.Type == Complex {
		d.compareAttributes(path, a.SubAttributes, b.SubAttributes)
	}
}

// isHidden reports whether an attribute accepts values but never shows them. RFC 7643 §7: a
// writeOnly attribute is not returned, whatever "returned" says.
func isHidden(a *Attribute) bool { return a.Returned == ReturnedNever || a.Mutability == WriteOnly }
