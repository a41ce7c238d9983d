package scim

import (
	_ "embed"
	"encoding/json"
	"sync"
)

//go:embed schemas/user.json
var userJSON []byte

//go:embed schemas/group.json
var groupJSON []byte

//go:embed schemas/enterprise.json
var enterpriseJSON []byte

//go:embed schemas/common.json
var commonJSON []byte

// The built-in types are constant. They are read on first use.
var (
	userType = sync.OnceValue(func() *ResourceType {
		return &ResourceType{
			ID: "User", Name: "User", Endpoint: "/Users", Description: "User Account",
			Schema:     mustSchema(userJSON),
			Extensions: []Extension{{Schema: mustSchema(enterpriseJSON)}},
		}
	})
	groupType = sync.OnceValue(func() *ResourceType {
		return &ResourceType{
			ID: "Group", Name: "Group", Endpoint: "/Groups", Description: "Group",
			Schema: mustSchema(groupJSON),
		}
	})
	commonSchema = sync.OnceValue(func() *Schema { return mustSchema(commonJSON) })
)

// UserType is the User of RFC 7643 §4.1 with the enterprise extension of §4.3. All callers share it
// and must not change it.
func UserType() *ResourceType { return userType() }

// GroupType is the Group of RFC 7643 §4.2. All callers share it and must not change it.
func GroupType() *ResourceType { return groupType() }

func mustSchema(b []byte) *Schema {
	s, err := ParseSchema(b)
	if err != nil {
		panic("embedded schema: " + err.Error()) // the embedded file is broken; no input can cause this
	}
	return s
}

// Extension returns the extension schema with a URN, in any case, or nil.
func (rt *ResourceType) Extension(urn string) *Schema {
	for _, e := range rt.Extensions {
		if equalName(e.Schema.ID, urn) {
			return e.Schema
		}
	}
	return nil
}

// NeverSet reports whether no resource ever has a value of the attribute: clients cannot set it,
// and the server does not set it. The attributes that the server sets are id, meta, a user's groups
// and the names of a group's members.
func (rt *ResourceType) NeverSet(p AttrPath) bool {
	attributes := rt.Schema.Attributes
	if p.URN != "" {
		s := rt.Extension(p.URN)
		if s == nil {
			return false
		}
		attributes = s.Attributes
	}
	a := findAttribute(attributes, p.Name)
	switch {
	case a == nil || p.URN == "" && a.Name == groupsAttribute && a.Mutability == ReadOnly:
		return false // resources can have a value of the attribute: it belongs to another schema, is common to all types, or the server makes it
	case a.Mutability == ReadOnly:
		return true
	case rt.Schema.ID == GroupURN && p.URN == "" && a.Name == "members":
		return false
	}
	sub := a.Sub(p.Sub)
	return p.Sub != "" && sub != nil && sub.Mutability == ReadOnly
}

// requiresExtension reports whether every resource must have the extension with that URN.
func (rt *ResourceType) requiresExtension(urn string) bool {
	for _, e := range rt.Extensions {
		if equalName(e.Schema.ID, urn) {
			return e.Required
		}
	}
	return false
}

// coreAttribute finds a core or common attribute.
func (rt *ResourceType) coreAttribute(name string) *Attribute {
	if a := rt.Schema.Attribute(name); a != nil {
		return a
	}
	return commonSchema().Attribute(name)
}

// Resolve finds the attribute that a name stands for, as a lenient filter reads it: "title",
// "name.familyName", "urn:…:User:department". sub is the sub-attribute if the name has one. ok is
// false when the type has no such attribute.
func (rt *ResourceType) Resolve(name string) (path AttrPath, attr, sub *Attribute, ok bool) {
	t, err := (&reader{}).resolve(rt, name)
	return t.AttrPath, t.attr, t.sub, err == nil && t.Name != ""
}

// UniqueAttribute is an attribute whose value may occur only once among the resources of a type.
type UniqueAttribute struct {
	Path AttrPath
	Leaf *Attribute // the attribute or sub-attribute whose values are compared
}

// Unique lists the unique attributes and sub-attributes of a type.
func (rt *ResourceType) Unique() []UniqueAttribute {
	var list []UniqueAttribute
	all := func(urn string, attributes []*Attribute) {
		for _, a := range attributes {
			if a.IsUnique() {
				list = append(list, UniqueAttribute{AttrPath{URN: urn, Name: a.Name}, a})
			}
			for _, sub := range a.SubAttributes {
				if sub.IsUnique() {
					list = append(list, UniqueAttribute{AttrPath{URN: urn, Name: a.Name, Sub: sub.Name}, sub})
				}
			}
		}
	}
	all("", rt.Schema.Attributes)
	for _, e := range rt.Extensions {
		all(e.Schema.ID, e.Schema.Attributes)
	}
	return list
}

// IsUnique reports whether two resources of a type must have different values of the attribute.
//
// RFC 7643 §2.2: "server" and "global" differ in reach, but values are compared only within one
// site, so both mean the same here.
func (a *Attribute) IsUnique() bool {
	return a.Type != Complex && a.Returned != ReturnedNever && a.Uniqueness != UniquenessNone
}

// onlyExtensionWith finds the one extension that has an attribute with the name. It returns nil
// when no extension, or more than one, has the attribute.
func (rt *ResourceType) onlyExtensionWith(name string) (*Schema, *Attribute) {
	var schema *Schema
	var attr *Attribute
	for _, e := range rt.Extensions {
		a := e.Schema.Attribute(name)
		if a == nil {
			continue
		}
		if attr != nil {
			return nil, nil
		}
		schema, attr = e.Schema, a
	}
	return schema, attr
}

// schemaURNs lists the URNs of the schemas whose attributes the resource has. RFC 7643 §3: the core
// schema comes first.
func (rt *ResourceType) schemaURNs(r Resource) []any {
	list := []any{rt.Schema.ID}
	for _, e := range rt.Extensions {
		if !isUnassigned(r[e.Schema.ID]) {
			list = append(list, e.Schema.ID)
		}
	}
	return list
}

// MarshalJSON writes the resource type in its discovery form; the server adds meta.location with
// Splice. RFC 7643 §6.
func (rt *ResourceType) MarshalJSON() ([]byte, error) {
	b := append([]byte(nil), `{"schemas":["`+ResourceTypeURN+`"],"id":`...)
	b = AppendString(b, string(rt.ID))
	b = append(b, `,"name":`...)
	b = AppendString(b, rt.Name)
	b = append(b, `,"endpoint":`...)
	b = AppendString(b, rt.Endpoint)
	b = append(b, `,"description":`...)
	b = AppendString(b, rt.Description)
	b = append(b, `,"schema":`...)
	b = AppendString(b, rt.Schema.ID)
	if len(rt.Extensions) > 0 {
		type extension struct {
			Schema   string `json:"schema"`
			Required bool   `json:"required"`
		}
		list := make([]extension, len(rt.Extensions))
		for i, e := range rt.Extensions {
			list[i] = extension{e.Schema.ID, e.Required}
		}
		j, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"schemaExtensions":`...), j...)
	}
	return append(b, `,"meta":{"resourceType":"ResourceType"}}`...), nil
}
