package scim

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Schema URNs of RFC 7643 and message URNs of RFC 7644.
const (
	UserURN         = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupURN        = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseURN   = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	SchemaURN       = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	ResourceTypeURN = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	ConfigURN       = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

	ListResponseURN  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	PatchOpURN       = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	SearchRequestURN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	BulkRequestURN   = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	BulkResponseURN  = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
	ErrorURN         = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// Attribute types. RFC 7643 §2.3.
const (
	String    = "string"
	Boolean   = "boolean"
	Decimal   = "decimal"
	Integer   = "integer"
	DateTime  = "dateTime"
	Binary    = "binary"
	Reference = "reference"
	Complex   = "complex"
)

// Values of Attribute.Mutability. RFC 7643 §7.
const (
	ReadOnly  = "readOnly"
	ReadWrite = "readWrite"
	Immutable = "immutable"
	WriteOnly = "writeOnly"
)

// Values of Attribute.Returned. RFC 7643 §7.
const (
	ReturnedAlways  = "always"
	ReturnedNever   = "never"
	ReturnedDefault = "default"
	ReturnedRequest = "request"
)

// Values of Attribute.Uniqueness. RFC 7643 §7.
const (
	UniquenessNone   = "none"
	UniquenessServer = "server"
	UniquenessGlobal = "global"
)

// Attribute is one attribute with its characteristics. RFC 7643 §2.2, §7.
type Attribute struct {
	Name            string
	Type            string
	Description     string
	MultiValued     bool
	Required        bool
	CaseExact       bool
	Mutability      string
	Returned        string
	Uniqueness      string
	CanonicalValues []string // suggested values; other values are accepted too
	ReferenceTypes  []string
	SubAttributes   []*Attribute // only for a complex attribute; in the order of the document
}

// Sub returns the sub-attribute with a name, in any case. It returns nil if there is none.
func (a *Attribute) Sub(name string) *Attribute { return findAttribute(a.SubAttributes, name) }

// Schema is a named list of attributes. RFC 7643 §7.
type Schema struct {
	ID          string // the URN
	Name        string
	Description string
	Attributes  []*Attribute
}

// Attribute returns the attribute with a name, in any case. It returns nil if there is none.
func (s *Schema) Attribute(name string) *Attribute { return findAttribute(s.Attributes, name) }

// Extension is a schema that adds attributes to a resource type. In a resource, these attributes
// are in an object under the schema's URN. RFC 7643 §3.3.
type Extension struct {
	Schema   *Schema
	Required bool
}

// TypeName is the name of a resource type, such as "User". The resources of the type have it as
// meta.resourceType.
type TypeName string

// ResourceType is a kind of resource, such as User, with its endpoint and its schemas. RFC 7643 §6.
type ResourceType struct {
	ID          TypeName
	Name        string
	Endpoint    string // the path of the endpoint, such as "/Users"
	Description string
	Schema      *Schema
	Extensions  []Extension
}

// findAttribute returns the attribute with a name, or nil. RFC 7643 §2.1: attribute names are
// case-insensitive. An attribute with the exact spelling is preferred.
func findAttribute(list []*Attribute, name string) *Attribute {
	for _, a := range list {
		if a.Name == name {
			return a
		}
	}
	for _, a := range list {
		if equalName(a.Name, name) {
			return a
		}
	}
	return nil
}

// attributeDocument is the JSON form of an attribute (RFC 7643 §7).
type attributeDocument struct {
	Name            string              `json:"name"`
	Type            string              `json:"type"`
	MultiValued     bool                `json:"multiValued"`
	Description     string              `json:"description"`
	Required        bool                `json:"required"`
	CaseExact       bool                `json:"caseExact"`
	CanonicalValues []string            `json:"canonicalValues,omitempty"`
	Mutability      string              `json:"mutability"`
	Returned        string              `json:"returned"`
	Uniqueness      string              `json:"uniqueness"`
	ReferenceTypes  []string            `json:"referenceTypes,omitempty"`
	SubAttributes   []attributeDocument `json:"subAttributes,omitempty"`
}

// metaDocument is the attribute meta of a schemaDocument.
type metaDocument struct {
	ResourceType string `json:"resourceType"`
}

// schemaDocument is the JSON form of a schema (RFC 7643 §7).
type schemaDocument struct {
	Schemas     []string            `json:"schemas,omitempty"`
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Description string              `json:"description,omitempty"`
	Attributes  []attributeDocument `json:"attributes"`
	Meta        metaDocument        `json:"meta"`
}

// ParseSchema reads a schema in the form of RFC 7643 §7. Missing characteristics get the defaults
// of §2.2. It returns an error for characteristics that contradict each other or that the RFC does
// not know.
func ParseSchema(b []byte) (*Schema, error) {
	var j schemaDocument
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	if j.ID == "" {
		return nil, fmt.Errorf("read schema: it has no id")
	}
	attributes, err := parseAttributes(j.Attributes, "")
	if err != nil {
		return nil, fmt.Errorf("read schema %s: %w", j.ID, err)
	}
	return &Schema{ID: j.ID, Name: j.Name, Description: j.Description, Attributes: attributes}, nil
}

// parseAttributes converts a list of attributes. parent is the name of the attribute if they are
// sub-attributes, and "" otherwise.
func parseAttributes(list []attributeDocument, parent string) ([]*Attribute, error) {
	var attributes []*Attribute
	for _, j := range list {
		if parent != "" {
			j.Name = parent + "." + j.Name
		}
		a, err := parseAttribute(j, parent)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", j.Name, err)
		}
		if findAttribute(attributes, a.Name) != nil {
			return nil, fmt.Errorf("attribute %s is defined twice", j.Name)
		}
		attributes = append(attributes, a)
	}
	return attributes, nil
}

// parseAttribute converts one attribute with its sub-attributes.
func parseAttribute(j attributeDocument, parent string) (*Attribute, error) {
	a := &Attribute{
		Name: j.Name, Type: j.Type, Description: j.Description, MultiValued: j.MultiValued,
		Required: j.Required, CaseExact: j.CaseExact, Mutability: j.Mutability, Returned: j.Returned,
		Uniqueness: j.Uniqueness, CanonicalValues: j.CanonicalValues, ReferenceTypes: j.ReferenceTypes,
	}
	if parent != "" {
		a.Name = j.Name[len(parent)+1:]
	}
	// RFC 7643 §2.2: the defaults of characteristics.
	a.Type = orDefault(a.Type, String)
	a.Mutability = orDefault(a.Mutability, ReadWrite)
	a.Returned = orDefault(a.Returned, ReturnedDefault)
	a.Uniqueness = orDefault(a.Uniqueness, UniquenessNone)
	if err := checkAttribute(a, parent, len(j.SubAttributes)); err != nil {
		return nil, err
	}
	if a.Type != Complex {
		return a, nil
	}
	subs, err := parseAttributes(j.SubAttributes, a.Name)
	a.SubAttributes = subs
	return a, err
}

// orDefault returns s, or otherwise if s is empty.
func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// checkAttribute returns an error for wrong or contradicting characteristics. subs is the number of
// sub-attributes.
func checkAttribute(a *Attribute, parent string, subs int) error {
	checkOneOf := func(what, got string, allowed ...string) error {
		if slices.Contains(allowed, got) {
			return nil
		}
		return fmt.Errorf("%s %q is none of %q", what, got, allowed)
	}
	if !validName(a.Name) {
		return fmt.Errorf("%q is not an attribute name", a.Name)
	}
	if err := checkOneOf("type", a.Type, String, Boolean, Decimal, Integer, DateTime, Binary, Reference, Complex); err != nil {
		return err
	}
	if err := checkOneOf("mutability", a.Mutability, ReadOnly, ReadWrite, Immutable, WriteOnly); err != nil {
		return err
	}
	if err := checkOneOf("returned", a.Returned, ReturnedAlways, ReturnedNever, ReturnedDefault, ReturnedRequest); err != nil {
		return err
	}
	if err := checkOneOf("uniqueness", a.Uniqueness, UniquenessNone, UniquenessServer, UniquenessGlobal); err != nil {
		return err
	}
	if a.Type == Complex && parent != "" {
		return fmt.Errorf("a complex attribute cannot have complex sub-attributes") // RFC 7643 §2.3.8
	}
	if (a.Type == Complex) != (subs > 0) {
		return fmt.Errorf("sub-attributes belong to complex attributes, which need at least one")
	}
	return nil
}

// MarshalJSON returns the schema in the form of RFC 7643 §7 without meta.location, which the server
// adds with Splice.
func (s *Schema) MarshalJSON() ([]byte, error) {
	return json.Marshal(schemaDocument{
		Schemas: []string{SchemaURN}, ID: s.ID, Name: s.Name, Description: s.Description,
		Attributes: attributeDocuments(s.Attributes), Meta: metaDocument{"Schema"},
	})
}

// attributeDocuments returns the JSON form of attributes.
func attributeDocuments(list []*Attribute) []attributeDocument {
	out := make([]attributeDocument, len(list))
	for i, a := range list {
		out[i] = attributeDocument{
			Name: a.Name, Type: a.Type, MultiValued: a.MultiValued, Description: a.Description,
			Required: a.Required, CaseExact: a.CaseExact, CanonicalValues: a.CanonicalValues,
			Mutability: a.Mutability, Returned: a.Returned, Uniqueness: a.Uniqueness,
			ReferenceTypes: a.ReferenceTypes, SubAttributes: attributeDocuments(a.SubAttributes),
		}
	}
	return out
}
