package scim

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
)

// groupsAttribute names the User attribute that is made from membership rows when a
// resource is served; it is never part of the stored document.
const groupsAttribute = "groups"

// Encode writes a resource as it is stored: schemas, id, externalId, the core
// attributes in schema order, the extensions, and meta last, so that Splice can
// add what is not stored. The same resource gives the same bytes. What is never
// returned, groups and meta.location are left out.
func Encode(rt *ResourceType, r Resource) []byte {
	b := make([]byte, 0, 1024)
	b = append(b, `{"schemas":`...)
	b = appendSorted(b, rt.schemas(r))
	c := common()
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

func appendMeta(b []byte, a *Attribute, meta map[string]any) []byte {
	b = append(b, '{')
	for _, sub := range a.SubAttributes {
		if sub.Name != "location" {
			b = appendMember(b, sub, meta)
		}
	}
	return append(b, '}')
}

func appendExtension(b []byte, s *Schema, r Resource) []byte {
	ext, ok := r[s.ID].(map[string]any)
	if !ok || empty(ext) {
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

// appendMember writes one attribute, with a comma where one is due, or nothing
// when it is unassigned.
func appendMember(b []byte, a *Attribute, from map[string]any) []byte {
	v, ok := from[a.Name]
	if !ok || hidden(a) || empty(v) {
		return b
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = AppendString(b, a.Name)
	b = append(b, ':')
	return appendValue(b, a, v)
}

func appendValue(b []byte, a *Attribute, v any) []byte {
	switch v := v.(type) {
	case []any:
		b = append(b, '[')
		for _, e := range v {
			if empty(e) {
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

// appendSorted writes a value without a schema: the members of objects sorted
// by name, so that equal values give equal bytes.
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

// Added is what an answer has that is not stored in the document.
type Added struct {
	Groups   []byte // the attribute groups, a JSON array; nil for none
	Version  string // meta.version in the place of the stored one; empty: the stored one
	Location string // meta.location; empty: none
}

// Splice adds groups before meta, and meta.version and meta.location within it,
// to bytes made by Encode, without reading them: meta is the last member there,
// and version the last one of meta. A document without meta gets groups alone,
// one without meta.version no version.
func Splice(doc []byte, add Added) []byte {
	out := make([]byte, 0, len(doc)+len(add.Groups)+len(add.Version)+len(add.Location)+32)
	at := bytes.LastIndex(doc, []byte(`,"meta":{`))
	if at < 0 {
		at = len(doc) - 1
		if at < 0 || doc[at] != '}' {
			return append(out, doc...)
		}
		add.Version, add.Location = "", ""
	}
	out = append(out, doc[:at]...)
	if add.Groups != nil {
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(out, `"groups":`...)
		out = append(out, add.Groups...)
	}
	if add.Version == "" && add.Location == "" {
		return append(out, doc[at:]...)
	}
	meta := doc[at : len(doc)-2] // up to the brace that closes meta
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

// Parse reads stored bytes back to a resource: JSON only, no schema. Names are
// kept as they stand in the document.
func Parse(doc []byte) (Resource, error) { return parse(doc, nil) }

// ParseAttributes is Parse for some of the attributes and extensions, whose
// names may be in any letter case. The others are stepped over: nothing is
// allocated for them, and their values are not checked.
func ParseAttributes(doc []byte, names []string) (Resource, error) {
	return parse(doc, func(name string) bool {
		return slices.ContainsFunc(names, func(wanted string) bool { return equalName(name, wanted) })
	})
}

func parse(doc []byte, wanted func(name string) bool) (Resource, error) {
	sc := scanner{s: string(doc), asMaps: true, isWanted: wanted}
	v, err := sc.document()
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, InvalidSyntax("A JSON object is expected, not %s", describe(v))
	}
	return m, nil
}
