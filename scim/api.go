package scim

import "encoding/json"

type values struct{ m map[string]any }
type operand struct{}

func (And) match(values) bool       { return false }
func (Or) match(values) bool        { return false }
func (Not) match(values) bool       { return false }
func (Compare) match(values) bool   { return false }
func (Present) match(values) bool   { return false }
func (ValuePath) match(values) bool { return false }

func (And) append(b []byte, _ int) []byte       { return b }
func (Or) append(b []byte, _ int) []byte        { return b }
func (Not) append(b []byte, _ int) []byte       { return b }
func (Compare) append(b []byte, _ int) []byte   { return b }
func (Present) append(b []byte, _ int) []byte   { return b }
func (ValuePath) append(b []byte, _ int) []byte { return b }

func appendString(b []byte, s string) []byte { j, _ := json.Marshal(s); return append(b, j...) }

// ParseFilter reads a filter.
func ParseFilter(rt *ResourceType, text string, m Mode) (*Filter, []Fix, error) {
	return nil, nil, NotImplemented("filter")
}

// Match reports whether the resource satisfies the filter.
func (f *Filter) Match(r Resource) bool { return f.Root.match(values{r}) }

func (f *Filter) String() string { return "" }

// UserType is RFC 7643's User with the enterprise extension.
func UserType() *ResourceType { return nil }

// GroupType is RFC 7643's Group.
func GroupType() *ResourceType { return nil }

// ParseSchema reads a schema in the form of RFC 7643 §7.
func ParseSchema(b []byte) (*Schema, error) { return nil, NotImplemented("schema") }

// Decode reads a request body.
func Decode(rt *ResourceType, body []byte, m Mode) (Resource, []Fix, error) {
	return nil, nil, NotImplemented("decode")
}

// Validate checks a resource against its schemas.
func Validate(rt *ResourceType, r Resource) error { return nil }

// Encode writes a resource in schema order.
func Encode(rt *ResourceType, r Resource) []byte { return nil }

// Splice adds groups and meta.location to bytes made by Encode.
func Splice(doc []byte, location string, groups []byte) []byte { return doc }

// Parse reads stored bytes.
func Parse(doc []byte) (Resource, error) { return nil, NotImplemented("parse") }

// MergePut gives what a PUT of new leaves of old.
func MergePut(rt *ResourceType, old, new Resource) (Resource, error) { return new, nil }

// Equal compares two resources without meta.
func Equal(a, b Resource) bool { return false }

// Path is a PATCH path.
type Path struct {
	URN    string
	Name   string
	Filter Node
	Sub    string
}

// ParsePath reads a path.
func ParsePath(rt *ResourceType, text string, m Mode) (Path, error) {
	return Path{}, NotImplemented("path")
}

// Get returns the values at the path.
func (p Path) Get(r Resource) []any { return nil }

// Set puts a value at the path.
func (p Path) Set(r Resource, value any) error { return nil }

// Clear removes what the path selects.
func (p Path) Clear(r Resource) {}

func (p Path) String() string { return "" }

// Patch is a decoded PATCH request.
type Patch struct {
	Operations []Operation
}

// Operation is one change.
type Operation struct {
	Op    string // "add", "remove", "replace"
	Path  *Path
	Value any
}

// PatchResult is what Apply gives.
type PatchResult struct {
	Resource Resource
	Changed  bool
	Fixes    []Fix
	Ignored  []Ignored
}

// DecodePatch reads a PATCH body.
func DecodePatch(rt *ResourceType, body []byte, m Mode) (*Patch, []Fix, error) {
	return nil, nil, NotImplemented("patch")
}

// Apply gives the resource after the patch; r stays as it is.
func (p *Patch) Apply(rt *ResourceType, r Resource) (PatchResult, error) {
	return PatchResult{}, NotImplemented("patch")
}

// Projection says which attributes an answer has.
type Projection struct{}

// ParseProjection reads the attributes and excludedAttributes parameters.
func ParseProjection(rt *ResourceType, attributes, excluded []string) (Projection, error) {
	return Projection{}, nil
}

// IsDefault reports whether nothing was asked for.
func (p Projection) IsDefault() bool { return true }

// Wants reports whether the answer has the attribute.
func (p Projection) Wants(attr string) bool { return true }

// Apply shapes a resource.
func (p Projection) Apply(rt *ResourceType, r Resource) Resource { return r }

// ListResponse is the answer to a query. RFC 7644 §3.4.2.
type ListResponse struct {
	TotalResults int
	StartIndex   int
	ItemsPerPage int
	Resources    []json.RawMessage
}

// AppendJSON writes the list.
func (l ListResponse) AppendJSON(b []byte) []byte { return b }

// Encode writes the list.
func (l ListResponse) Encode() []byte { return l.AppendJSON(nil) }
