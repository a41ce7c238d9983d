package scim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of a document of schemas.
const (
	MaxRegistryBytes     = 512 << 10
	maxSchemas           = 64
	maxResourceTypes     = 32
	maxSchemaAttributes  = 1000
	maxSubAttributes     = 200
	maxCanonicalValues   = 500
	maxNameBytes         = 64
	maxDescriptionBytes  = 2000
	maxRegistryProblems  = 30                                                       // the largest number of problems in a RegistryError
	registryURNCharacter = "letters, digits, colons, dots, hyphens and underscores" // the allowed characters of a URN, in words
)

// Problem is one mistake in a document of schemas.
type Problem struct {
	Where string // the place, such as "schema urn:example:Badge"; "" for the document as a whole
	Text  string // what is wrong and how to correct it
}

func (p Problem) String() string {
	if p.Where == "" {
		return p.Text
	}
	return p.Where + ": " + p.Text
}

// RegistryError is the error for a document of schemas that is not accepted. It lists all problems.
type RegistryError struct{ Problems []Problem }

func (e *RegistryError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// registryReader reads a document of schemas and records all problems in it.
type registryReader struct {
	problems      []Problem
	schemas       []*Schema
	schemaByURN   map[string]*Schema // the schemas of the document by their URNs in lower case
	placeBySchema map[*Schema]string // the place of each schema in the document, for messages
	types         []*ResourceType
	references    []reference
}

// reference is a name in the referenceTypes of an attribute. It is checked after all types have
// been read. place is the place of the attribute in the document.
type reference struct{ place, name string }

// addProblem records a problem at a place of the document.
func (d *registryReader) addProblem(place, format string, args ...any) {
	if len(d.problems) < maxRegistryProblems {
		d.problems = append(d.problems, Problem{place, fmt.Sprintf(format, args...)})
	}
}

// readDocument reads the whole document.
func (d *registryReader) readDocument(doc []byte) {
	if len(doc) > MaxRegistryBytes {
		d.addProblem("", "the document has %d bytes; at most %d are read", len(doc), MaxRegistryBytes)
		return
	}
	raw, err := scanBody(doc)
	var unreadable *Error
	if errors.As(err, &unreadable) {
		d.addProblem("", "%s", strings.TrimSuffix(strings.Replace(unreadable.Detail, "The body", "the document", 1), "."))
		return
	}
	o, ok := raw.(object)
	if !ok {
		d.addProblem("", "the document must be a JSON object with schemas, resourceTypes and extensions, not %s", describeValue(raw))
		return
	}
	f := documentObject{d, "", o}
	f.allowOnly("schemas", "resourceTypes", "extensions")
	for i, raw := range f.readList("schemas", maxSchemas) {
		d.readSchema(fmt.Sprintf("schemas[%d]", i), raw)
	}
	d.checkPrefixes()
	user, group := *UserType(), *GroupType()
	user.Extensions = slices.Clone(user.Extensions)
	d.types = []*ResourceType{&user, &group}
	for i, raw := range f.readList("resourceTypes", maxResourceTypes) {
		d.readResourceType(fmt.Sprintf("resourceTypes[%d]", i), raw)
	}
	for i, raw := range f.readList("extensions", maxSchemas) {
		d.readExtension(fmt.Sprintf("extensions[%d]", i), raw)
	}
	d.checkUnused()
	d.checkReferences()
}

// readSchema reads one schema of the document.
func (d *registryReader) readSchema(place string, raw any) {
	o, ok := raw.(object)
	if !ok {
		d.addProblem(place, "a schema must be an object, not %s", describeValue(raw))
		return
	}
	f := documentObject{d, place, o}
	s := &Schema{ID: f.readString("id", maxURNBytes)}
	if s.ID != "" {
		f.place = "schema " + s.ID
	}
	f.allowOnly("schemas", "id", "name", "description", "attributes", "meta")
	d.checkURN(f.place, s.ID)
	s.Name, s.Description = f.readString("name", maxDescriptionBytes), f.readString("description", maxDescriptionBytes)
	list := f.readList("attributes", maxSchemaAttributes)
	if len(list) == 0 {
		d.addProblem(f.place, "it has no attributes; add at least one to \"attributes\"")
	}
	s.Attributes = d.readAttributes(f.place, nil, list)
	d.schemas = append(d.schemas, s)
	d.schemaByURN[lowerName(s.ID)] = s
	d.placeBySchema[s] = f.place
}

// reservedURNs are the URNs that a document must not define: those of the built-in schemas and of
// the discovery documents.
var reservedURNs = []string{UserURN, GroupURN, EnterpriseURN, SchemaURN, ResourceTypeURN, ConfigURN}

// checkURN records a problem for a URN that a schema of the document cannot have.
func (d *registryReader) checkURN(place, urn string) {
	if urn == "" {
		d.addProblem(place, "it has no id; give it a URN of its own such as urn:example:params:scim:schemas:Badge:2.0:User")
		return
	}
	if !validURN(urn) {
		d.addProblem(place, "%s cannot be the id of a schema: write urn:, a namespace and a name, of %s, as in urn:example:params:scim:schemas:Badge:2.0:User",
			quote(urn), registryURNCharacter)
		return
	}
	for _, r := range reservedURNs {
		if withoutColons(r) == withoutColons(urn) {
			d.addProblem(place, "this schema is built in and cannot be replaced; give yours a URN of its own and add it as an extension")
			return
		}
	}
	if strings.HasPrefix(lowerName(urn), "urn:ietf:params:scim:api:") {
		d.addProblem(place, "URNs that begin with urn:ietf:params:scim:api: name messages of the protocol; choose another")
		return
	}
	for _, s := range d.schemas {
		if withoutColons(s.ID) == withoutColons(urn) {
			d.addProblem(place, "two schemas have this id, or ids that differ only in case or colons; each needs its own")
			return
		}
	}
}

// validURN reports whether s is a URN that a schema may have. RFC 8141 §2: urn:NID:NSS. Only
// characters that need no escaping anywhere are allowed.
func validURN(s string) bool {
	parts := strings.Split(s, ":")
	if len(parts) < 3 || !equalName(parts[0], "urn") || len(parts[1]) < 2 {
		return false
	}
	for _, part := range parts[1:] {
		if part == "" || part[0] == '.' || part[len(part)-1] == '.' {
			return false
		}
		for i := range len(part) {
			if c := part[i]; !isLetter(c) && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
				return false
			}
		}
	}
	return true
}

// checkPrefixes records a problem for a schema whose URN could also be read as an attribute of
// another schema. For example, urn:a:b could mean attribute b of the schema urn:a.
func (d *registryReader) checkPrefixes() {
	for _, s := range slices.Concat(d.schemas, standardRegistry().schemas) {
		for _, longer := range d.schemas {
			rest, ok := cutPrefixFold(longer.ID, s.ID+":")
			if !ok {
				continue
			}
			name, _, _ := strings.Cut(strings.ReplaceAll(rest, ".", ":"), ":")
			if s.Attribute(name) != nil {
				d.addProblem("schema "+longer.ID, "its id could also be read as attribute %s of schema %s; choose another id", name, s.ID)
			}
		}
	}
}

// cutPrefixFold is like strings.CutPrefix but ignores case. It also returns false if nothing
// follows the prefix.
func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) <= len(prefix) || !equalName(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// readAttributes reads the attributes of a schema, or the sub-attributes of parent if parent is not
// nil.
func (d *registryReader) readAttributes(place string, parent *Attribute, list []any) []*Attribute {
	var attributes []*Attribute
	for i, raw := range list {
		a := d.readAttribute(place, i, parent, raw)
		if a == nil {
			continue
		}
		if findAttribute(attributes, a.Name) != nil {
			d.addProblem(attributePlace(place, parent, a.Name), "two attributes have this name (case does not count); remove or rename one")
			continue
		}
		attributes = append(attributes, a)
	}
	return attributes
}

// attributePlace returns the place of an attribute in the document, for a Problem.
func attributePlace(place string, parent *Attribute, name string) string {
	if parent != nil {
		name = parent.Name + "." + name
	}
	return place + ", attribute " + name
}

// readAttribute reads one attribute, which has the index i in its list. It returns nil if it cannot
// be read.
func (d *registryReader) readAttribute(place string, i int, parent *Attribute, raw any) *Attribute {
	o, ok := raw.(object)
	if !ok {
		d.addProblem(attributePlace(place, parent, fmt.Sprintf("[%d]", i)), "an attribute must be an object, not %s", describeValue(raw))
		return nil
	}
	f := documentObject{d, attributePlace(place, parent, fmt.Sprintf("[%d]", i)), o}
	name := f.readString("name", maxNameBytes)
	if name == "" {
		d.addProblem(f.place, "it has no name; give it one")
		return nil
	}
	f.place = attributePlace(place, parent, name)
	f.allowOnly("name", "type", "description", "multiValued", "required", "caseExact", "canonicalValues",
		"mutability", "returned", "uniqueness", "referenceTypes", "subAttributes")
	d.checkName(f.place, name, parent != nil)
	// RFC 7643 §2.2: defaults of characteristics.
	a := &Attribute{
		Name:        name,
		Type:        f.readChoice("type", String, String, Boolean, Decimal, Integer, DateTime, Binary, Reference, Complex),
		Description: f.readString("description", maxDescriptionBytes),
		MultiValued: f.readFlag("multiValued"), Required: f.readFlag("required"),
		Mutability:      f.readChoice("mutability", ReadWrite, ReadOnly, ReadWrite, Immutable, WriteOnly),
		Returned:        f.readChoice("returned", ReturnedDefault, ReturnedAlways, ReturnedNever, ReturnedDefault, ReturnedRequest),
		Uniqueness:      f.readChoice("uniqueness", UniquenessNone, UniquenessNone, UniquenessServer, UniquenessGlobal),
		CanonicalValues: f.readStrings("canonicalValues", maxCanonicalValues),
		ReferenceTypes:  f.readStrings("referenceTypes", maxResourceTypes),
	}
	a.CaseExact = f.readFlag("caseExact")
	if !f.hasMember("caseExact") {
		a.CaseExact = a.Type == Binary || a.Type == Reference // RFC 7643 §2.3.6, §2.3.7
	}
	d.checkCharacteristics(f, a)
	d.readSubAttributes(f, place, parent, a)
	return a
}

// readSubAttributes reads the sub-attributes of the attribute a.
func (d *registryReader) readSubAttributes(f documentObject, place string, parent, a *Attribute) {
	list := f.readList("subAttributes", maxSubAttributes)
	switch {
	case a.Type == Complex && parent != nil:
		d.addProblem(f.place, "a sub-attribute cannot be complex; make it simple, or make it an attribute of its own (RFC 7643 §2.3.8)")
	case a.Type == Complex && len(list) == 0:
		d.addProblem(f.place, "a complex attribute needs subAttributes; add at least one")
	case a.Type != Complex && len(list) > 0:
		d.addProblem(f.place, "only a complex attribute has subAttributes; set its type to complex or take them out")
	default:
		a.SubAttributes = d.readAttributes(place, a, list)
	}
}

// reservedWords are words of the filter grammar. They cannot be attribute names, because filters
// with such names would be ambiguous.
var reservedWords = []string{"and", "or", "not", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "true", "false", "null"}

// checkName records a problem for a name that an attribute cannot have. sub says whether it is a
// sub-attribute.
func (d *registryReader) checkName(place, name string, sub bool) {
	switch {
	case sub && name == "$ref":
	case !validName(name) || name[0] == '$':
		// RFC 7643 §2.1: ATTRNAME = ALPHA *(nameChar)
		d.addProblem(place, "%s cannot be a name: begin with a letter and use letters, digits, - and _", quote(name))
	case !sub && commonSchema().Attribute(name) != nil || equalName(name, "schemas"):
		d.addProblem(place, "every resource has %s of its own (RFC 7643 §3); leave it out or choose another name", name)
	case slices.ContainsFunc(reservedWords, func(w string) bool { return equalName(w, name) }):
		d.addProblem(place, "%s has a meaning in filters and cannot be a name; choose another", name)
	}
}

// checkCharacteristics records a problem for characteristics of an attribute that do not fit
// together.
func (d *registryReader) checkCharacteristics(f documentObject, a *Attribute) {
	isString := a.Type == String || a.Type == Reference
	if len(a.CanonicalValues) > 0 && !isString {
		d.addProblem(f.place, "canonicalValues belong to attributes of type string or reference, not %s; take them out", a.Type)
	}
	for i, v := range a.CanonicalValues {
		same := func(w string) bool { return scalarKey(a, v) == scalarKey(a, w) }
		if slices.ContainsFunc(a.CanonicalValues[:i], same) {
			d.addProblem(f.place, "canonicalValues has %s twice; remove one", quote(v))
		}
	}
	if len(a.ReferenceTypes) > 0 && a.Type != Reference {
		d.addProblem(f.place, "referenceTypes belong to attributes of type reference, not %s; take them out", a.Type)
		return
	}
	for _, name := range a.ReferenceTypes {
		d.references = append(d.references, reference{f.place, name})
	}
}

// checkReferences records a problem for each name in referenceTypes that is not allowed. RFC 7643
// §7: a resource type, external or uri.
func (d *registryReader) checkReferences() {
	g := Registry{types: d.types}
	for _, r := range d.references {
		if _, ok := g.ByName(TypeName(r.name)); !ok && r.name != "external" && r.name != "uri" {
			d.addProblem(r.place, "referenceTypes has %s, which is not a resource type here; use the name of one, external or uri", quote(r.name))
		}
	}
}

// reservedSegments are the endpoints that the protocol defines, which a site's own types cannot
// have. RFC 7644 §3.2.
var reservedSegments = []string{"Users", "Groups", "Schemas", "ResourceTypes", "ServiceProviderConfig", "Bulk", "Me"}

// reservedTypes are names with a meaning in the protocol, which a site's own types cannot have.
var reservedTypes = []string{"Schema", "ResourceType", "ServiceProviderConfig", "Bulk", "Me", "external", "uri"}

// readResourceType reads one resource type of the document.
func (d *registryReader) readResourceType(place string, raw any) {
	o, ok := raw.(object)
	if !ok {
		d.addProblem(place, "a resource type must be an object, not %s", describeValue(raw))
		return
	}
	f := documentObject{d, place, o}
	rt := &ResourceType{Name: f.readString("name", maxNameBytes), Description: f.readString("description", maxDescriptionBytes)}
	rt.ID = TypeName(rt.Name)
	if rt.Name != "" {
		f.place = "resource type " + rt.Name
	}
	f.allowOnly("schemas", "id", "name", "endpoint", "description", "schema", "schemaExtensions", "meta")
	if id := f.readString("id", maxNameBytes); id != "" && id != rt.Name {
		d.addProblem(f.place, "its id %s is not its name; make them the same or leave the id out", quote(id))
	}
	named := d.checkTypeName(f.place, rt.Name)
	segment := d.readEndpoint(f, rt)
	rt.Schema = d.readCoreSchema(f)
	if rt.Schema == nil || !named || !segment {
		return
	}
	d.types = append(d.types, rt)
	for i, raw := range f.readList("schemaExtensions", maxSchemas) {
		place := fmt.Sprintf("%s, schemaExtensions[%d]", f.place, i)
		o, ok := raw.(object)
		if !ok {
			d.addProblem(place, "an extension must be an object with schema and required, not %s", describeValue(raw))
			continue
		}
		e := documentObject{d, place, o}
		e.allowOnly("schema", "required")
		d.addExtensions(e, rt)
	}
}

// checkTypeName records a problem for a name that a resource type cannot have. It reports whether
// the name is allowed.
func (d *registryReader) checkTypeName(place, name string) bool {
	g := Registry{types: d.types}
	_, taken := g.ByName(TypeName(name))
	switch {
	case name == "":
		d.addProblem(place, "it has no name; give it one such as Device")
	case equalName(name, "User") || equalName(name, "Group"):
		d.addProblem(place, "User and Group are built in; add schemas to them with \"extensions\"")
	case !validName(name) || name[0] == '$':
		d.addProblem(place, "%s cannot be the name of a resource type: begin with a letter and use letters, digits, - and _", quote(name))
	case slices.ContainsFunc(reservedTypes, func(w string) bool { return equalName(w, name) }):
		d.addProblem(place, "%s is a name of the protocol; choose another", name)
	case taken:
		d.addProblem(place, "two resource types have this name (case does not count); rename one")
	default:
		return true
	}
	return false
}

// readEndpoint reads the endpoint of a resource type. It reports whether the endpoint is allowed.
func (d *registryReader) readEndpoint(f documentObject, rt *ResourceType) bool {
	rt.Endpoint = f.readString("endpoint", maxNameBytes+1)
	segment := strings.TrimPrefix(rt.Endpoint, "/")
	g := Registry{types: d.types}
	_, taken := g.ByEndpoint(segment)
	switch {
	case segment == "" || segment == rt.Endpoint || !validName(segment) || segment[0] == '$':
		d.addProblem(f.place, "its endpoint %s is not valid: write a slash, a letter, and letters, digits, - or _, as in /Devices", quote(rt.Endpoint))
	case slices.ContainsFunc(reservedSegments, func(w string) bool { return equalName(w, segment) }):
		d.addProblem(f.place, "the endpoint %s is the protocol's own; choose another", rt.Endpoint)
	case taken:
		d.addProblem(f.place, "another resource type has the endpoint %s (case does not count); choose another", rt.Endpoint)
	default:
		return true
	}
	return false
}

// readCoreSchema returns the core schema of a resource type, or nil if the document has no such
// schema.
func (d *registryReader) readCoreSchema(f documentObject) *Schema {
	urn := f.readString("schema", maxURNBytes)
	s := d.schemaByURN[lowerName(urn)]
	if s == nil {
		d.addProblem(f.place, "its schema %s is not in this document; put it into \"schemas\"", quote(urn))
	}
	return s
}

// readExtension reads one entry of the list "extensions".
func (d *registryReader) readExtension(place string, raw any) {
	o, ok := raw.(object)
	if !ok {
		d.addProblem(place, "an extension must be an object with resourceType, schema and required, not %s", describeValue(raw))
		return
	}
	f := documentObject{d, place, o}
	f.allowOnly("resourceType", "schema", "required")
	name := f.readString("resourceType", maxNameBytes)
	g := Registry{types: d.types}
	rt, ok := g.ByName(TypeName(name))
	if !ok {
		d.addProblem(place, "there is no resource type %s; use User, Group or one of this document's", quote(name))
		return
	}
	d.addExtensions(f, rt)
}

// addExtensions adds the extension that an object of the document describes to a resource type.
func (d *registryReader) addExtensions(f documentObject, rt *ResourceType) {
	urn := f.readString("schema", maxURNBytes)
	s := d.schemaByURN[lowerName(urn)]
	if s == nil && equalName(urn, EnterpriseURN) {
		s = UserType().Extension(EnterpriseURN)
	}
	switch {
	case s == nil:
		d.addProblem(f.place, "its schema %s is not in this document; put it into \"schemas\"", quote(urn))
	case s == rt.Schema:
		d.addProblem(f.place, "%s is the schema of %s itself and cannot extend it too", s.ID, rt.Name)
	case rt.Extension(s.ID) != nil:
		d.addProblem(f.place, "%s has the extension %s already; remove this one", rt.Name, s.ID)
	default:
		rt.Extensions = append(rt.Extensions, Extension{Schema: s, Required: f.readFlag("required")})
	}
}

// checkUnused records a problem for each schema that no resource type uses, because the document is
// probably incomplete.
func (d *registryReader) checkUnused() {
	for _, s := range d.schemas {
		used := slices.ContainsFunc(d.types, func(rt *ResourceType) bool { return rt.Schema == s || rt.Extension(s.ID) == s })
		if !used {
			d.addProblem(d.placeBySchema[s], "no resource type has this schema; add it to \"extensions\" or give a resource type to it")
		}
	}
}

// documentObject is one object of the document, with its place. Its methods read the members of the
// object and record problems.
type documentObject struct {
	reader  *registryReader
	place   string
	members object
}

// hasMember reports whether the object has the member, and it is not null.
func (f documentObject) hasMember(name string) bool {
	raw, ok := f.members.get(name)
	return ok && raw != nil
}

// allowOnly records a problem for each member with another name than these. Otherwise a misspelled
// member would be ignored.
func (f documentObject) allowOnly(names ...string) {
	for _, m := range f.members {
		if !slices.ContainsFunc(names, func(n string) bool { return equalName(n, m.name) }) {
			f.reader.addProblem(f.place, "%s does not belong here; use %s", quote(m.name), strings.Join(names, ", "))
		}
	}
}

// readString returns a member that must be a string of at most limit bytes, or "" if it is missing
// or wrong.
func (f documentObject) readString(name string, limit int) string {
	raw, _ := f.members.get(name)
	if raw == nil {
		return ""
	}
	s, ok := raw.(string)
	if !ok {
		f.reader.addProblem(f.place, "%s must be a string, not %s", name, describeValue(raw))
		return ""
	}
	if len(s) > limit {
		f.reader.addProblem(f.place, "%s has %d bytes; at most %d are allowed", name, len(s), limit)
		return s[:0]
	}
	return s
}

// readChoice returns a member that must be one of the allowed strings, or otherwise if it is
// missing.
func (f documentObject) readChoice(name, otherwise string, allowed ...string) string {
	s := f.readString(name, maxNameBytes)
	if s == "" {
		return otherwise
	}
	if slices.Contains(allowed, s) {
		return s
	}
	f.reader.addProblem(f.place, "%s cannot be %s; use one of %s", name, quote(s), strings.Join(allowed, ", "))
	return otherwise
}

// readFlag returns a member that must be a boolean, or false if it is missing.
func (f documentObject) readFlag(name string) bool {
	raw, _ := f.members.get(name)
	b, ok := raw.(bool)
	if raw != nil && !ok {
		f.reader.addProblem(f.place, "%s must be true or false, not %s", name, describeValue(raw))
	}
	return b
}

// readList returns a member that must be a list of at most limit elements, or nil if it is missing.
func (f documentObject) readList(name string, limit int) []any {
	raw, _ := f.members.get(name)
	list, ok := raw.([]any)
	if raw != nil && !ok {
		f.reader.addProblem(f.place, "%s must be a list, not %s", name, describeValue(raw))
	}
	if len(list) > limit {
		f.reader.addProblem(f.place, "%s has %d entries; at most %d are allowed", name, len(list), limit)
		return nil
	}
	return list
}

// readStrings is like readList, for a list of strings.
func (f documentObject) readStrings(name string, limit int) []string {
	var list []string
	for _, raw := range f.readList(name, limit) {
		s, ok := raw.(string)
		if !ok || s == "" || len(s) > maxDescriptionBytes {
			f.reader.addProblem(f.place, "%s must be a list of strings of 1 to %d bytes; it holds %s", name, maxDescriptionBytes, describeValue(raw))
			continue
		}
		list = append(list, s)
	}
	return list
}
