package scim

import (
	"fmt"
	"slices"
)

// Loss is a difference between two registries that stored resources may not
// survive: data would have no attribute any more, or break its rules.
type Loss struct {
	Type   string   // name of the resource type
	Path   AttrPath // the attribute; without Name the whole extension, empty the whole type
	Reason string   // "is removed", "becomes required"

	missing bool       // it is what lacks a value that suffers
	next    *Attribute // of values that stay what they are and are told apart in another way: the attribute as it will be
}

// Subject names what changes: "urn:example:Badge:color.code of User".
func (l Loss) Subject() string {
	switch {
	case l.Path == AttrPath{}:
		return "the resource type " + l.Type
	case l.Path.Name == "":
		return "the extension " + l.Path.URN + " of " + l.Type
	}
	return l.Path.String() + " of " + l.Type
}

// Missing reports whether the resources that lack a value suffer, not those
// that have one.
func (l Loss) Missing() bool { return l.missing }

// Whole reports whether all resources of the type suffer.
func (l Loss) Whole() bool { return l.Path == AttrPath{} }

// Keeps reports whether values stay valid one by one: only which of them are
// the same becomes another question.
func (l Loss) Keeps() bool { return l.next != nil }

// Drop takes out of a stored resource what the change would strand, and reports
// whether there was any. It is nothing where values are lacking or stay, and
// where the whole resource suffers.
func (l Loss) Drop(r Resource) bool {
	if l.missing || l.Keeps() || l.Whole() || !l.Affects(r) {
		return false
	}
	m := l.holder(r)
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

// Identities gives for each element of the attribute a text that the values
// share which may not be had twice; empty where they may, or there is none.
func (l Loss) Identities(r Resource) []string {
	if !l.Keeps() || l.next.Uniqueness == UniquenessNone {
		return nil
	}
	list := listOf(l.holder(r)[l.Path.Name])
	keys := make([]string, len(list))
	for i, e := range list {
		if m, ok := e.(map[string]any); ok {
			e = m[l.Path.Sub]
		}
		if !empty(e) {
			keys[i] = scalarKey(l.next, e)
		}
	}
	return keys
}

// DropElement takes the value at the path out of one element of the attribute.
func DropElement(r Resource, at AttrPath, element int) {
	l := Loss{Path: at}
	m := l.holder(r)
	list, isList := m[at.Name].([]any)
	switch {
	case !isList && at.Sub == "":
		delete(m, at.Name)
	case !isList:
		dropSub(m[at.Name], at.Sub)
	case element < len(list) && at.Sub == "":
		list[element] = nil
	case element < len(list):
		dropSub(list[element], at.Sub)
	}
	l.removeEmpty(r)
}

// holder is what has the attribute as a member: the resource or an extension;
// nil where there is none.
func (l Loss) holder(r Resource) map[string]any {
	if l.Path.URN == "" {
		return r
	}
	m, _ := r[l.Path.URN].(map[string]any)
	return m
}

// removeEmpty takes away the elements, the attribute and the extension of which
// nothing is left.
func (l Loss) removeEmpty(r Resource) {
	m := l.holder(r)
	if list, ok := m[l.Path.Name].([]any); ok {
		m[l.Path.Name] = slices.DeleteFunc(list, empty)
	}
	if _, there := m[l.Path.Name]; there && empty(m[l.Path.Name]) {
		delete(m, l.Path.Name)
	}
	if l.Path.URN != "" && len(m) == 0 {
		delete(r, l.Path.URN)
	}
}

func dropSub(v any, sub string) {
	if m, ok := v.(map[string]any); ok {
		delete(m, sub)
	}
}

// Affects reports whether a stored resource of the type would suffer.
func (l Loss) Affects(r Resource) bool {
	if l.Whole() {
		return true
	}
	m := map[string]any(r)
	if l.Path.URN != "" {
		m, _ = r[l.Path.URN].(map[string]any)
		if l.Path.Name == "" {
			return empty(m) == l.missing
		}
		if empty(m) {
			return false // an extension that is absent breaks no rule of its attributes
		}
	}
	v := m[l.Path.Name]
	if l.Path.Sub == "" {
		return empty(v) == l.missing
	}
	return anyElement(v, func(e any) bool {
		m, _ := e.(map[string]any)
		return empty(m[l.Path.Sub]) == l.missing
	})
}

// NoLongerUnique lists the attributes, with the names of their types, that a
// registry keeps unique and the one that is to take its place does not.
func (g *Registry) NoLongerUnique(next *Registry) (list []Loss) {
	for _, old := range g.types {
		var still []UniqueAttribute
		if rt, ok := next.ByName(old.Name); ok {
			still = rt.Unique()
		}
		for _, u := range old.Unique() {
			if !slices.ContainsFunc(still, func(s UniqueAttribute) bool { return s.Path == u.Path }) {
				list = append(list, Loss{Type: old.Name, Path: u.Path, Reason: "is no longer unique"})
			}
		}
	}
	return list
}

// Losses compares a registry with the one that is to take its place. What is
// added is no loss, except where it is required of what is stored already.
func (g *Registry) Losses(next *Registry) []Loss {
	var losses []Loss
	for _, old := range g.types {
		at := slices.IndexFunc(next.types, func(rt *ResourceType) bool { return rt.Name == old.Name })
		switch {
		case at < 0:
			losses = append(losses, Loss{Type: old.Name, Reason: "is removed"})
		case next.types[at].Schema.ID != old.Schema.ID:
			losses = append(losses, Loss{Type: old.Name, Reason: "changes its schema to " + next.types[at].Schema.ID})
		default:
			losses = append(losses, typeLosses(old, next.types[at])...)
		}
	}
	return losses
}

func typeLosses(old, next *ResourceType) []Loss {
	d := differ{typeName: next.Name}
	d.compare(AttrPath{}, old.Schema.Attributes, next.Schema.Attributes)
	for _, e := range old.Extensions {
		if s := next.Extension(e.Schema.ID); s == nil || s.ID != e.Schema.ID {
			d.add(AttrPath{URN: e.Schema.ID}, "is removed")
		}
	}
	for _, e := range next.Extensions {
		was := slices.IndexFunc(old.Extensions, func(o Extension) bool { return o.Schema.ID == e.Schema.ID })
		if e.Required && (was < 0 || !old.Extensions[was].Required) {
			d.require(AttrPath{URN: e.Schema.ID})
		}
		if was >= 0 {
			d.compare(AttrPath{URN: e.Schema.ID}, old.Extensions[was].Schema.Attributes, e.Schema.Attributes)
		}
	}
	return d.losses
}

type differ struct {
	typeName string
	losses   []Loss
}

func (d *differ) add(at AttrPath, format string, args ...any) {
	d.losses = append(d.losses, Loss{Type: d.typeName, Path: at, Reason: fmt.Sprintf(format, args...)})
}

// addKept adds what strands no value by itself.
func (d *differ) addKept(at AttrPath, next *Attribute, reason string) {
	d.losses = append(d.losses, Loss{Type: d.typeName, Path: at, Reason: reason, next: next})
}

func (d *differ) require(at AttrPath) {
	d.losses = append(d.losses, Loss{Type: d.typeName, Path: at, Reason: "becomes required", missing: true})
}

func (d *differ) compare(at AttrPath, old, next []*Attribute) {
	under := func(name string) AttrPath {
		if at.Name == "" {
			return AttrPath{URN: at.URN, Name: name}
		}
		return AttrPath{URN: at.URN, Name: at.Name, Sub: name}
	}
	for _, a := range old {
		b := attributeSpelled(next, a.Name)
		if b == nil {
			d.add(under(a.Name), "is removed")
			continue
		}
		d.attribute(under(a.Name), a, b)
	}
	for _, b := range next {
		if a := attributeSpelled(old, b.Name); b.Required && b.Mutability != ReadOnly && !hidden(b) && (a == nil || !a.Required) {
			d.require(under(b.Name))
		}
	}
}

// attributeSpelled finds an attribute by its spelling, which is that of stored documents.
func attributeSpelled(list []*Attribute, name string) *Attribute {
	at := slices.IndexFunc(list, func(a *Attribute) bool { return a.Name == name })
	if at < 0 {
		return nil
	}
	return list[at]
}

// attribute names the first difference: what strands values comes before what
// only tells them apart in another way.
func (d *differ) attribute(at AttrPath, a, b *Attribute) {
	switch {
	case a.Type != b.Type:
		d.add(at, "changes its type from %s to %s", a.Type, b.Type)
		return
	case a.MultiValued != b.MultiValued && b.MultiValued:
		d.add(at, "becomes multi-valued")
		return
	case a.MultiValued != b.MultiValued:
		d.add(at, "becomes single-valued")
		return
	case !hidden(a) && hidden(b):
		d.add(at, "is never returned any more")
		return
	case a.CaseExact != b.CaseExact:
		d.addKept(at, b, "changes whether letter case counts (caseExact)")
	case !a.IsUnique() && b.IsUnique():
		d.addKept(at, b, "becomes unique")
	}
	if a.Type == Complex {
		d.compare(at, a.SubAttributes, b.SubAttributes)
	}
}

// hidden reports whether an attribute's values are taken and never shown.
// RFC 7643 §7: those of a writeOnly attribute are not returned, whatever
// "returned" says.
func hidden(a *Attribute) bool { return a.Returned == ReturnedNever || a.Mutability == WriteOnly }
