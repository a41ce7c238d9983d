package scim

import (
	_ "embed"
	"encoding/json"
	"sync"
)

// The embedded schemas of RFC 7643 in their JSON form.
//
//go:embed schemas/user.json
var userJSON []byte

//go:embed schemas/group.json
var groupJSON []byte

//go:embed schemas/enterprise.json
var enterpriseJSON []byte

//go:embed schemas/common.json
var commonJSON []byte

// The built-in types and the schema of the attributes that all types have. They are read on first
// use and never change.
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

// UserType returns the resource type User of RFC 7643 §4.1 with the enterprise extension of §4.3.
// All callers share it and must not change it.
func UserType() *ResourceType { return userType() }

// GroupType returns the resource type Group of RFC 7643 §4.2. All callers share it and must not
// change it.
func GroupType() *ResourceType { return groupType() }

// mustSchema reads an embedded schema.
func mustSchema(b []byte) *Schema {
	s, err := ParseSchema(b)
	if err != nil {
		panic("embedded schema: " + err.Error()) // only a broken embedded file can cause this, never a client's input
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

// NeverSet reports whether an attribute never has a value, because neither clients nor the server
// can set it. The attributes that the server sets are id, meta, a user's groups and the names of a
// group's members.
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
		return false // the attribute can have a value: it is common to all types, or the server sets it
	case a.Mutability == ReadOnly:
		return true
	case rt.Schema.ID == GroupURN && p.URN == "" && a.Name == "members":
		return false
	}
	sub := a.Sub(p.Sub)
	return p.Sub != "" && sub != nil && sub.Mutability == ReadOnly
}

// requiresExtension reports whether every resource of the type must have the extension with this
// URN.
func (rt *ResourceType) requiresExtension(urn string) bool {
	for _, e := range rt.Extensions {
		if equalName(e.Schema.ID, urn) {
			return e.Required
		}
	}
	return false
}

// coreAttribute returns the attribute with a name that the core schema has or that is common to all
// types. It returns nil if there is none.
func (rt *ResourceType) coreAttribute(name string) *Attribute {
	if a := rt.Schema.Attribute(name); a != nil {
		return a
	}
	return commonSchema().Attribute(name)
}

// Resolve returns the attribute for a name such as "title", "name.familyName" or
// "urn:…:User:department", as a filter in Lenient mode would find it. sub is the sub-attribute if
// the name has one. ok is false if the type has no such attribute.
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

// IsUnique reports whether no two resources of a type may have the same value of the attribute.
//
// RFC 7643 §2.2: "global" demands more than "server". Rollcall compares values only within one
// site, so it treats both alike.
func (a *Attribute) IsUnique() bool {
	return a.Type != Complex && a.Returned != ReturnedNever && a.Uniqueness != UniquenessNone
}

// onlyExtensionWith returns the extension that has an attribute with the name, and the attribute.
// It returns nil if no extension, or more than one, has such an attribute.
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

// schemaURNs returns the value of the attribute "schemas" of a resource: the URNs of the core
// schema and of the extensions that have values. RFC 7643 §3.
func (rt *ResourceType) schemaURNs(r Resource) []any {
	list := []any{rt.Schema.ID}
	for _, e := range rt.Extensions {
		if !isUnassigned(r[e.Schema.ID]) {
			list = append(list, e.Schema.ID)
		}
	}
	return list
}

// MarshalJSON returns the discovery document of the resource type (RFC 7643 §6) without
// meta.location, which the server adds with Splice.
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
