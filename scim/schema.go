package scim

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
	CanonicalValues []string // suggestions: other values are stored too
	ReferenceTypes  []string
	SubAttributes   []*Attribute // of a complex attribute, in the order they are written
}

// Sub returns the sub-attribute of that name in any letter case, or nil.
func (a *Attribute) Sub(name string) *Attribute { return findAttribute(a.SubAttributes, name) }

// Schema is a named list of attributes. RFC 7643 §7.
type Schema struct {
	ID          string // the URN
	Name        string
	Description string
	Attributes  []*Attribute
}

// Attribute returns the attribute of that name in any letter case, or nil.
func (s *Schema) Attribute(name string) *Attribute { return findAttribute(s.Attributes, name) }

// Extension is a schema that adds attributes to a resource type, kept in an
// object under the schema's URN. RFC 7643 §3.3.
type Extension struct {
	Schema   *Schema
	Required bool
}

// ResourceType says which schemas the resources of one endpoint have. RFC 7643 §6.
type ResourceType struct {
	ID          string
	Name        string
	Endpoint    string // "/Users"
	Description string
	Schema      *Schema
	Extensions  []Extension
}

// Extension returns the extension schema of that URN in any letter case, or nil.
func (rt *ResourceType) Extension(urn string) *Schema {
	for _, e := range rt.Extensions {
		if equalName(e.Schema.ID, urn) {
			return e.Schema
		}
	}
	return nil
}

// RFC 7643 §2.1: attribute names are case-insensitive.
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
