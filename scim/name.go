package scim

import "strings"

// validName reports whether s is a valid attribute name.
//
// RFC 7643 §2.1: ATTRNAME = ALPHA *(nameChar); "$ref" is valid too.
func validName(s string) bool {
	s = strings.TrimPrefix(s, "$")
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		if !isLetter(c) && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isLetter reports whether a byte is an ASCII letter.
func isLetter(c byte) bool { c = lowerByte(c); return 'a' <= c && c <= 'z' }

// target is the attribute or schema that is meant by a name in a filter, in a path or as a JSON
// key.
type target struct {
	AttrPath
	schema *Schema    // the schema whose URN the name contains, or the extension that has the attribute; nil if the name has no URN and is a core or common attribute
	attr   *Attribute // the attribute; nil for a URN alone, or if there is no resource type
	sub    *Attribute // the sub-attribute; nil if there is none
}

// leaf returns the sub-attribute of the target, or the attribute if there is no sub-attribute.
func (t target) leaf() *Attribute {
	if t.sub != nil {
		return t.sub
	}
	return t.attr
}

// unknownError is the error for a well-formed name that no attribute has.
type unknownError struct{ name string }

func (e *unknownError) Error() string { return "there is no attribute " + quote(e.name) }

// nameError is the error for a name that is not well formed.
type nameError struct{ name string }

func (e *nameError) Error() string { return quote(e.name) + " is not an attribute name" }

// resolve looks up "[URN:]name[.sub]", or a URN alone, in the schemas of rt. If rt is nil, it only
// splits the name. It returns *nameError for a malformed name and *unknownError for a name that rt
// lacks.
func (d *reader) resolve(rt *ResourceType, text string) (target, error) {
	t, rest, found := d.splitURN(rt, text)
	if !found {
		t.URN, rest = splitLastColon(text)
	}
	if found && rest == "" {
		return t, nil
	}
	name, sub, dotted := strings.Cut(rest, ".")
	if !validName(name) || dotted && !validName(sub) {
		return target{}, &nameError{text}
	}
	t.Name, t.Sub = name, sub
	switch {
	case rt == nil:
		return t, nil
	case t.schema == nil && t.URN != "":
		return target{}, &unknownError{text}
	}
	if err := d.findAttribute(rt, &t, text); err != nil {
		return target{}, err
	}
	return t, nil
}

// findAttribute sets the attribute and sub-attribute of t and the canonical spelling of their
// names.
func (d *reader) findAttribute(rt *ResourceType, t *target, text string) error {
	if t.URN != "" {
		t.attr = t.schema.Attribute(t.Name)
	} else if t.attr = rt.coreAttribute(t.Name); t.attr == nil && t.schema == nil && d.mode == Lenient {
		// The name is an enterprise attribute without its URN, such as "manager".
		if t.schema, t.attr = rt.onlyExtensionWith(t.Name); t.attr != nil {
			t.URN = t.schema.ID
			d.addFix("extension-attribute", text, "read as %s:%s", t.URN, t.attr.Name)
		}
	}
	if t.attr == nil {
		return &unknownError{text}
	}
	t.Name = t.attr.Name
	if t.Sub == "" {
		return nil
	}
	if t.sub = t.attr.Sub(t.Sub); t.sub == nil {
		return &unknownError{text}
	}
	t.Sub = t.sub.Name
	return nil
}

// splitURN splits a name after the URN of a schema of rt. rest is the part after the URN and its
// colon. found is false if the name does not begin with such a URN. splitURN compares the name with
// the URNs of all schemas, because a URN itself contains colons and dots ("2.0").
func (d *reader) splitURN(rt *ResourceType, text string) (t target, rest string, found bool) {
	if rt == nil || strings.IndexByte(text, ':') < 0 {
		return target{}, text, false
	}
	schema, n := d.schemaAtFront(rt, text)
	if schema == nil {
		return target{}, text, false
	}
	t.schema = schema
	if schema != rt.Schema {
		t.URN = schema.ID
	}
	rest = text[n:]
	if rest != "" {
		rest = rest[1:]
		if rest == "" {
			return target{}, text, false
		}
	}
	return t, rest, true
}

// schemaAtFront finds the schema of rt with the longest URN at the front of text. After the URN,
// text must end, or continue with a colon or with the dot that old Entra jobs write. It returns the
// schema, or nil, and the length of the URN in text.
func (d *reader) schemaAtFront(rt *ResourceType, text string) (*Schema, int) {
	best, length := (*Schema)(nil), 0
	consider := func(s *Schema, n int) {
		ends := len(text) == n || len(text) > n && (text[n] == ':' || text[n] == '.')
		if n > length && ends {
			best, length = s, n
		}
	}
	eachSchema(rt, func(s *Schema) {
		if len(text) >= len(s.ID) && equalName(text[:len(s.ID)], s.ID) {
			consider(s, len(s.ID))
		}
	})
	if best != nil || d.mode == Strict {
		return best, length
	}
	for i := 0; i <= len(text) && i < maxURNBytes; i++ {
		if i < len(text) && text[i] != ':' && text[i] != '.' {
			continue
		}
		if s := rt.schemaForMisspelledURN(text[:i]); s != nil {
			consider(s, i)
		}
	}
	if best != nil {
		d.addFix("schema-urn", text, "%s read as %s", quote(text[:length]), best.ID)
	}
	return best, length
}

// maxURNBytes is the largest accepted length of a URN.
const maxURNBytes = 256

// eachSchema calls f for the core schema of a type and then for the schema of each extension.
func eachSchema(rt *ResourceType, f func(*Schema)) {
	f(rt.Schema)
	for _, e := range rt.Extensions {
		f(e.Schema)
	}
}

// schemaForMisspelledURN returns the schema that is most likely meant by a wrong URN. The URN may
// lack a colon, as "…enterprise:2.0User" in Microsoft's documentation, or may be from SCIM 1.x or a
// draft, as in OneLogin's templates. It returns nil if no schema is likely.
func (rt *ResourceType) schemaForMisspelledURN(urn string) *Schema {
	if !strings.HasPrefix(lowerName(urn), "urn:") {
		return nil
	}
	key := withoutColons(urn)
	var found *Schema
	eachSchema(rt, func(s *Schema) {
		if withoutColons(s.ID) == key {
			found = s
		}
	})
	if found != nil {
		return found
	}
	switch lowerName(urn) {
	case "urn:scim:schemas:core:1.0", "urn:scim:schemas:core:2.0", "urn:scim:schemas:core:2.0:user", "urn:scim:schemas:core:2.0:group":
		return rt.Schema
	case "urn:scim:schemas:extension:enterprise:1.0", "urn:scim:schemas:extension:enterprise:2.0", "urn:scim:schemas:extension:enterprise:2.0:user":
		return rt.Extension(EnterpriseURN)
	}
	return nil
}

// withoutColons returns a URN in lower case and without colons, to compare it with misspelled ones.
func withoutColons(urn string) string { return strings.ReplaceAll(lowerName(urn), ":", "") }

// splitLastColon splits a name with an unknown URN at the last colon (RFC 7644 §3.10). If the name
// has no colon, urn is "".
func splitLastColon(text string) (urn, rest string) {
	colon := strings.LastIndexByte(text, ':')
	if colon <= 0 {
		return "", text
	}
	return text[:colon], text[colon+1:]
}
