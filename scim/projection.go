package scim

import "strings"

// Projection says which attributes an answer shows. RFC 7644 §3.9.
type Projection struct {
	attributesGiven bool // whether the request has the parameter "attributes"
	// subsByName has an entry for each attribute that the request names, by name or URN:name. The
	// entry has the named sub-attributes; nil means the whole attribute.
	subsByName      map[string]map[string]bool
	wholeExtensions map[string]bool // the URNs of the extensions that the request names as a whole
	hasRequestOnly  bool            // whether the type has attributes that are returned only if a request names them
	rt              *ResourceType
}

// ParseProjection reads the values of the parameters attributes and excludedAttributes. Each string
// may have several names, separated by commas. Names that rt lacks are ignored. ParseProjection
// returns invalidValue if both parameters are given.
func ParseProjection(rt *ResourceType, attributes, excluded []string) (Projection, error) {
	wanted, unwanted := splitNames(attributes), splitNames(excluded)
	if len(wanted) > 0 && len(unwanted) > 0 {
		return Projection{}, InvalidValue("attributes and excludedAttributes cannot be used together")
	}
	p := Projection{attributesGiven: len(wanted) > 0, hasRequestOnly: hasRequestOnlyAttributes(rt), rt: rt}
	if len(wanted)+len(unwanted) == 0 {
		return p, nil
	}
	p.subsByName, p.wholeExtensions = map[string]map[string]bool{}, map[string]bool{}
	d := reader{}
	for _, name := range append(wanted, unwanted...) {
		t, err := d.resolve(rt, name)
		if err != nil {
			continue
		}
		p.addTarget(t)
	}
	return p, nil
}

// splitNames splits the values of a parameter at commas. It drops empty names.
func splitNames(params []string) []string {
	var names []string
	for _, param := range params {
		for name := range strings.SplitSeq(param, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// addTarget adds an attribute or an extension that the request names.
func (p *Projection) addTarget(t target) {
	if t.Name == "" {
		if t.URN != "" {
			p.wholeExtensions[t.URN] = true
			return
		}
		for _, a := range t.schema.Attributes {
			p.subsByName[a.Name] = nil
		}
		return
	}
	key := projectionKey(t.URN, t.Name)
	subs, there := p.subsByName[key]
	switch {
	case t.Sub == "":
		p.subsByName[key] = nil
	case !there:
		p.subsByName[key] = map[string]bool{t.Sub: true}
	case subs != nil:
		subs[t.Sub] = true
	}
}

// projectionKey returns the key of an attribute in subsByName.
func projectionKey(urn, name string) string {
	if urn == "" {
		return name
	}
	return urn + ":" + name
}

// hasRequestOnlyAttributes reports whether a type has attributes or sub-attributes that are
// returned only if a request names them.
func hasRequestOnlyAttributes(rt *ResourceType) bool {
	found := false
	eachSchema(rt, func(s *Schema) {
		for _, a := range s.Attributes {
			found = found || a.Returned == ReturnedRequest
			for _, sub := range a.SubAttributes {
				found = found || sub.Returned == ReturnedRequest
			}
		}
	})
	return found
}

// IsDefault reports whether the answer shows the whole stored document.
func (p Projection) IsDefault() bool {
	return !p.attributesGiven && len(p.subsByName) == 0 && len(p.wholeExtensions) == 0 && !p.hasRequestOnly
}

// Wants reports whether the answer shows an attribute, such as "members", or a sub-attribute, such
// as "meta.location". It is true for an attribute of which the answer shows at least one
// sub-attribute. Callers use Wants to avoid reading parts that the answer does not show.
func (p Projection) Wants(attr string) bool {
	if p.rt == nil {
		return true
	}
	t, err := (&reader{}).resolve(p.rt, attr)
	if err != nil || t.attr == nil {
		return false
	}
	if t.sub != nil && !p.shows(t.attr, AttrPath{URN: t.URN, Name: t.Name}) {
		return false
	}
	return p.shows(t.leaf(), t.AttrPath)
}

// shows reports whether the answer shows the attribute a. If path.Sub is set, a is a sub-attribute
// of an attribute that the answer shows. RFC 7643 §7 "returned", RFC 7644 §3.9.
func (p Projection) shows(a *Attribute, path AttrPath) bool {
	switch {
	case isHidden(a):
		return false
	case a.Returned == ReturnedAlways:
		return true
	}
	subs, named := p.subsByName[projectionKey(path.URN, path.Name)]
	whole := named && subs == nil || path.URN != "" && p.wholeExtensions[path.URN]
	switch {
	case path.Sub != "" && p.attributesGiven:
		return subs[path.Sub] || whole && a.Returned == ReturnedDefault
	case p.attributesGiven:
		return named || whole
	case a.Returned == ReturnedRequest:
		return false
	}
	return !whole && !(path.Sub != "" && subs[path.Sub])
}

// Apply returns a resource with only the attributes that the answer shows. It leaves r unchanged.
// The result shares values with r.
func (p Projection) Apply(rt *ResourceType, r Resource) Resource {
	out := make(Resource, len(r))
	p.copyAttributes(commonSchema().Attributes, "", r, out)
	p.copyAttributes(rt.Schema.Attributes, "", r, out)
	for _, e := range rt.Extensions {
		from, ok := r[e.Schema.ID].(map[string]any)
		if !ok {
			continue
		}
		ext := map[string]any{}
		p.copyAttributes(e.Schema.Attributes, e.Schema.ID, from, ext)
		if len(ext) > 0 {
			out[e.Schema.ID] = ext
		}
	}
	return out
}

// copyAttributes copies the attributes of one schema that the answer shows.
func (p Projection) copyAttributes(attributes []*Attribute, urn string, from, to map[string]any) {
	for _, a := range attributes {
		v, ok := from[a.Name]
		path := AttrPath{URN: urn, Name: a.Name}
		if !ok || !p.shows(a, path) {
			continue
		}
		if v = p.projectValue(a, path, v); v != nil {
			to[a.Name] = v
		}
	}
}

// projectValue returns a value with only the sub-attributes that the answer shows, or nil if there
// are none. meta is returned even if it is empty, because Splice needs it.
func (p Projection) projectValue(a *Attribute, path AttrPath, v any) any {
	if a.Type != Complex {
		return v
	}
	switch v := v.(type) {
	case []any:
		list := make([]any, 0, len(v))
		for _, e := range v {
			if e = p.projectValue(a, path, e); !isUnassigned(e) {
				list = append(list, e)
			}
		}
		if len(list) == 0 {
			return nil
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		whole := a.Returned == ReturnedAlways && p.omits(path)
		for _, sub := range a.SubAttributes {
			path.Sub = sub.Name
			if e, ok := v[sub.Name]; ok && (p.shows(sub, path) || whole && !isHidden(sub) && sub.Returned != ReturnedRequest) {
				m[sub.Name] = e
			}
		}
		if len(m) == 0 && a.Name != "meta" {
			return nil
		}
		return m
	}
	return v
}

// omits reports whether the parameters of the request leave an attribute out. An attribute that is
// always returned is shown nevertheless, with all sub-attributes that are returned by default.
func (p Projection) omits(path AttrPath) bool {
	subs, named := p.subsByName[projectionKey(path.URN, path.Name)]
	if p.attributesGiven {
		return !named && !p.wholeExtensions[path.URN]
	}
	return named && subs == nil || path.URN != "" && p.wholeExtensions[path.URN]
}

// Render returns a stored document with only the attributes that the answer shows. It adds the
// parts of add that the answer shows.
func (p Projection) Render(rt *ResourceType, doc []byte, add UnstoredParts) ([]byte, error) {
	return p.AppendRendered(nil, rt, doc, add)
}

// AppendRendered is like Render, but appends the result to out.
func (p Projection) AppendRendered(out []byte, rt *ResourceType, doc []byte, add UnstoredParts) ([]byte, error) {
	if p.IsDefault() && out == nil {
		return Splice(doc, add), nil
	}
	if p.IsDefault() {
		return AppendSpliced(out, doc, add), nil
	}
	r, err := Parse(doc)
	if err != nil {
		return nil, err
	}
	if add.Groups, err = p.renderGroups(rt, add.Groups); err != nil {
		return nil, err
	}
	if !p.Wants("meta.location") {
		add.Location = ""
	}
	return AppendSpliced(out, Encode(rt, p.Apply(rt, r)), add), nil
}

// renderGroups applies the projection to the JSON of a user's groups. It returns nil if the answer
// shows no groups.
func (p Projection) renderGroups(rt *ResourceType, groups []byte) ([]byte, error) {
	a := rt.Schema.Attribute(groupsAttribute)
	path := AttrPath{Name: groupsAttribute}
	if groups == nil || a == nil || !p.shows(a, path) {
		return nil, nil
	}
	sc := scanner{text: string(groups), asMaps: true}
	v, err := sc.readDocument()
	if err != nil {
		return nil, err
	}
	if v = p.projectValue(a, path, v); v == nil {
		return nil, nil
	}
	return appendValue(nil, a, v), nil
}
