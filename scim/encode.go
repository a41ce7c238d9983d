package scim

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
)

// groupsAttribute is the name of the User attribute that lists a user's groups. The server builds
// it from membership rows for each answer. The stored document never has it.
const groupsAttribute = "groups"

// Encode writes a resource in its stored form: schemas, id, externalId, the core attributes in
// schema order, the extensions, and meta last, so that Splice can add the parts that are not
// stored. The same resource always gives the same bytes. Encode leaves out attributes that are
// never returned, groups, and meta.location.
func Encode(rt *ResourceType, r Resource) []byte {
	b := make([]byte, 0, 1024)
	b = append(b, `{"schemas":`...)
	b = appendSorted(b, rt.schemaURNs(r))
	c := commonSchema()
	for _, name := range []string{"id", "externalId"} {
		b = appendMember(b, c.Attribute(name), r)
	}
	for _, a := range rt.Schema.Attributes {
		if a.Name != groupsAttribute || a.Mutability != ReadOnly {
			b = appendMember(b, a, r)
		}
	}
	for _, e := range rt.Extensions {
		b = appendExtension(b, e.Schema, r)
	}
	if meta, ok := r["meta"].(map[string]any); ok {
		b = append(b, `,"meta":`...)
		b = appendMeta(b, c.Attribute("meta"), meta)
	}
	return append(b, '}')
}

// appendMeta appends the value of the attribute meta, without location, which Splice adds later.
func appendMeta(b []byte, a *Attribute, meta map[string]any) []byte {
	b = append(b, '{')
	for _, sub := range a.SubAttributes {
		if sub.Name != "location" {
			b = appendMember(b, sub, meta)
		}
	}
	return append(b, '}')
}

// appendExtension appends the object of an extension, or nothing if the extension has no values.
func appendExtension(b []byte, s *Schema, r Resource) []byte {
	ext, ok := r[s.ID].(map[string]any)
	if !ok || isUnassigned(ext) {
		return b
	}
	b = append(b, ',')
	b = AppendString(b, s.ID)
	b = append(b, ':', '{')
	for _, a := range s.Attributes {
		b = appendMember(b, a, ext)
	}
	return append(b, '}')
}

// appendMember appends the name and value of one attribute, after a comma if one is needed. It
// appends nothing for an unassigned or hidden attribute.
func appendMember(b []byte, a *Attribute, from map[string]any) []byte {
	v, ok := from[a.Name]
	if !ok || isHidden(a) || isUnassigned(v) {
		return b
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = AppendString(b, a.Name)
	b = append(b, ':')
	return appendValue(b, a, v)
}

// appendValue appends a value of an attribute. Sub-attributes come in schema order; empty elements
// are left out.
func appendValue(b []byte, a *Attribute, v any) []byte {
	switch v := v.(type) {
	case []any:
		b = append(b, '[')
		for _, e := range v {
			if isUnassigned(e) {
				continue
			}
			if b[len(b)-1] != '[' {
				b = append(b, ',')
			}
			b = appendValue(b, a, e)
		}
		return append(b, ']')
	case keepExisting:
		return appendValue(b, a, v.list)
	case map[string]any:
		b = append(b, '{')
		for _, sub := range a.SubAttributes {
			b = appendMember(b, sub, v)
		}
		return append(b, '}')
	}
	return appendSorted(b, v)
}

// appendSorted appends a value as JSON without a schema. It sorts the members of objects by name,
// so that equal values give equal bytes.
func appendSorted(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return AppendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case float64:
		return appendFloat(b, v)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendSorted(b, e)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendString(b, k)
			b = append(b, ':')
			b = appendSorted(b, v[k])
		}
		return append(b, '}')
	case Resource:
		return appendSorted(b, map[string]any(v))
	}
	return append(b, "null"...)
}

// UnstoredParts holds the parts of a resource that are not in the stored document. Splice adds them
// to an answer.
type UnstoredParts struct {
	Groups   []byte // the value of the attribute "groups" as a JSON array; nil if the answer has none
	Version  string // the value that replaces meta.version; "" keeps the stored version
	Location string // the value of meta.location; "" if the answer has none
}

// Splice returns a stored document with the parts in add: "groups" before meta, and version and
// location inside meta. doc must come from Encode. Splice does not parse it: it relies on meta
// being the last member of the document, and version the last member of meta. A document without
// meta gets only groups. A document without meta.version gets no version.
func Splice(doc []byte, add UnstoredParts) []byte {
	return AppendSpliced(make([]byte, 0, len(doc)+len(add.Groups)+len(add.Version)+len(add.Location)+32), doc, add)
}

// AppendSpliced is like Splice, but appends the result to out.
func AppendSpliced(out, doc []byte, add UnstoredParts) []byte {
	before, after := SplitBeforeMeta(doc)
	switch {
	case len(after) == 0 || after[len(after)-1] != '}':
		return append(out, doc...)
	case after[0] == '}': // the document has no meta
		add.Version, add.Location = "", ""
	}
	out = append(out, before...)
	if add.Groups != nil {
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(out, `"groups":`...)
		out = append(out, add.Groups...)
	}
	if add.Version == "" && add.Location == "" {
		return append(out, after...)
	}
	meta := after[:len(after)-2] // ends before the brace that closes meta
	version := []byte(`"version":`)
	if v := bytes.LastIndex(meta, version); v >= 0 && add.Version != "" {
		out = append(out, meta[:v+len(version)]...)
		out = AppendString(out, add.Version)
	} else {
		out = append(out, meta...)
	}
	if add.Location != "" {
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(out, `"location":`...)
		out = AppendString(out, add.Location)
	}
	return append(out, '}', '}')
}

// Parse reads a stored document into a resource. It uses no schema and keeps the document's
// spelling of names. It returns invalidSyntax for bytes that are not a JSON object.
func Parse(doc []byte) (Resource, error) { return parse(doc, nil) }

// ParseAttributes is like Parse, but reads only the attributes and extensions with these names, in
// any case. It skips all other members without allocating or checking their values.
func ParseAttributes(doc []byte, names []string) (Resource, error) {
	return parse(doc, func(name string) bool {
		return slices.ContainsFunc(names, func(wanted string) bool { return equalName(name, wanted) })
	})
}

// parse reads the top-level members of a document whose names are wanted. If wanted is nil, it
// reads all.
func parse(doc []byte, wanted func(name string) bool) (Resource, error) {
	sc := scanner{text: string(doc), asMaps: true, isWanted: wanted}
	v, err := sc.readDocument()
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, InvalidSyntax("A JSON object is expected, not %s", describeValue(v))
	}
	return m, nil
}
