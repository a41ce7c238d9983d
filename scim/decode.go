package scim

import "slices"

// Decode reads the body of a POST or PUT. The result has canonical names and
// types; what the client may not set (readOnly) and what is never kept
// (returned never) is left out; required attributes are Validate's business.
//
// Each tolerance used in Lenient mode is reported; Strict refuses it.
func Decode(rt *ResourceType, body []byte, m Mode) (Resource, []Fix, error) {
	d := reader{mode: m}
	r, err := d.body(rt, body)
	if err != nil {
		return nil, nil, err
	}
	return r, d.noted(), nil
}

// DecodeNew is Decode for a POST: it also demands the required attributes that
// Validate cannot miss, because their values are not kept. A PUT may leave them
// out, as it may send back what a GET showed.
func DecodeNew(rt *ResourceType, body []byte, m Mode) (Resource, []Fix, error) {
	d := reader{mode: m}
	r, err := d.body(rt, body)
	if err == nil {
		err = d.hiddenAreThere(rt, r)
	}
	if err != nil {
		return nil, nil, err
	}
	return r, d.noted(), nil
}

func (d *reader) body(rt *ResourceType, body []byte) (Resource, error) {
	raw, err := scan(body)
	if err != nil {
		return nil, err
	}
	o, ok := raw.(object)
	if !ok {
		return nil, InvalidSyntax("The body must be a JSON object, not %s", describe(raw))
	}
	return d.resource(rt, o)
}

func (d *reader) resource(rt *ResourceType, o object) (Resource, error) {
	r := make(Resource, len(o)+1)
	for _, m := range o {
		if err := d.member(rt, r, o, m); err != nil {
			return nil, err
		}
	}
	if err := d.declared(rt, r, o); err != nil {
		return nil, err
	}
	r["schemas"] = rt.schemas(r)
	return r, nil
}

// member reads one top-level member of a body.
func (d *reader) member(rt *ResourceType, r Resource, o object, m member) error {
	if equalName(m.name, "schemas") {
		return nil // RFC 7643 §3: it follows from what is present; see declared.
	}
	if a := rt.attribute(m.name); a != nil {
		return d.put(r, a, AttrPath{Name: a.Name}, m.value)
	}
	if s := rt.Extension(m.name); s != nil {
		return d.extension(r, s, m.value)
	}
	if d.mode == Strict {
		return InvalidSyntax("%s: no schema of %s has this attribute", quote(m.name), rt.Name)
	}
	if s := rt.misspelt(m.name); s != nil {
		d.fix("schema-urn", m.name, "read as %s", s.ID)
		if s == rt.Schema {
			return d.nested(rt, r, o, m.value)
		}
		if _, both := o.get(s.ID); both {
			return nil
		}
		return d.extension(r, s, m.value)
	}
	if s, a := rt.onlyExtensionWith(m.name); a != nil {
		return d.misplaced(r, s, a, o, m)
	}
	d.fix("unknown-attribute", m.name, "ignored: no schema of %s has this attribute", rt.Name)
	return nil
}

// nested reads core attributes that were sent in an object under the core URN.
func (d *reader) nested(rt *ResourceType, r Resource, outer object, raw any) error {
	o, ok := raw.(object)
	if !ok {
		return nil
	}
	for _, m := range o {
		a := rt.attribute(m.name)
		if _, both := outer.get(m.name); a == nil || both {
			continue
		}
		if err := d.put(r, a, AttrPath{Name: a.Name}, m.value); err != nil {
			return err
		}
	}
	return nil
}

// misplaced reads an extension's attribute that was sent at the top level, as
// misconfigured Entra jobs do. The extension's own object wins.
func (d *reader) misplaced(r Resource, s *Schema, a *Attribute, o object, m member) error {
	if own, ok := o.get(s.ID); ok {
		if fields, ok := own.(object); ok {
			if _, both := fields.get(a.Name); both {
				return nil
			}
		}
	}
	d.fix("extension-attribute", m.name, "read as %s:%s", s.ID, a.Name)
	ext, _ := r[s.ID].(map[string]any)
	if ext == nil {
		ext = map[string]any{}
	}
	if err := d.put(ext, a, AttrPath{URN: s.ID, Name: a.Name}, m.value); err != nil {
		return err
	}
	if len(ext) > 0 {
		r[s.ID] = ext
	}
	return nil
}

func (d *reader) extension(r Resource, s *Schema, raw any) error {
	if raw == nil || raw == "" {
		return nil
	}
	o, ok := raw.(object)
	if !ok {
		return InvalidValue("%s must be an object, not %s", s.ID, describe(raw))
	}
	ext, _ := r[s.ID].(map[string]any)
	if ext == nil {
		ext = make(map[string]any, len(o))
	}
	for _, m := range o {
		if namesItself(s, m) {
			continue
		}
		a := s.Attribute(m.name)
		if a == nil {
			at := AttrPath{URN: s.ID, Name: m.name}
			if d.mode == Strict {
				return InvalidSyntax("%s: no such attribute", at)
			}
			d.fix("unknown-attribute", at.String(), "ignored: no such attribute")
			continue
		}
		if err := d.put(ext, a, AttrPath{URN: s.ID, Name: a.Name}, m.value); err != nil {
			return err
		}
	}
	if len(ext) > 0 {
		r[s.ID] = ext
	}
	return nil
}

// namesItself reports whether a member of an extension's object is schemas with
// that extension's URN alone. Libraries that model an extension like a resource
// (scim2-models) send it; it says what the name of the object says.
func namesItself(s *Schema, m member) bool {
	list, ok := m.value.([]any)
	if !ok || !equalName(m.name, "schemas") {
		return false
	}
	for _, e := range list {
		if urn, _ := e.(string); !equalName(urn, s.ID) {
			return false
		}
	}
	return true
}

func (d *reader) put(into map[string]any, a *Attribute, at AttrPath, raw any) error {
	if a.Mutability == ReadOnly {
		return nil // RFC 7644 §3.3: values of readOnly attributes are ignored.
	}
	v, err := d.value(a, at, raw)
	if err != nil || v == nil {
		return err
	}
	if hidden(a) {
		d.fix("not-kept", at.String(), "accepted and not kept")
		d.dropped = append(d.dropped, a)
		return nil
	}
	into[a.Name] = v
	return nil
}

// hiddenAreThere checks the required attributes whose values are not kept.
func (d *reader) hiddenAreThere(rt *ResourceType, r Resource) error {
	var err error
	each(rt, func(s *Schema) {
		urn := ""
		if s != rt.Schema {
			if urn = s.ID; empty(r[urn]) {
				return
			}
		}
		for _, a := range s.Attributes {
			if a.Required && hidden(a) && a.Mutability != ReadOnly && !slices.Contains(d.dropped, a) {
				err = InvalidValue("%s is required", AttrPath{URN: urn, Name: a.Name})
			}
		}
	})
	return err
}

// declared checks the schemas member against what the body has.
func (d *reader) declared(rt *ResourceType, r Resource, o object) error {
	raw, _ := o.get("schemas")
	list, ok := raw.([]any)
	if s, one := raw.(string); one && d.mode == Lenient {
		list, ok = []any{s}, true
	}
	if raw != nil && !ok {
		return InvalidSyntax("schemas must be a list of URNs, not %s", describe(raw))
	}
	has := map[*Schema]bool{}
	for _, e := range list {
		urn, ok := e.(string)
		if !ok {
			return InvalidSyntax("schemas must be a list of URNs; it holds %s", describe(e))
		}
		if err := d.declaredURN(rt, urn, has); err != nil {
			return err
		}
	}
	return d.undeclared(rt, r, has)
}

func (d *reader) declaredURN(rt *ResourceType, urn string, has map[*Schema]bool) error {
	if equalName(urn, rt.Schema.ID) {
		has[rt.Schema] = true
		return nil
	}
	if s := rt.Extension(urn); s != nil {
		has[s] = true
		return nil
	}
	if d.mode == Strict {
		return InvalidSyntax("schemas: %s is no schema of %s", quote(urn), rt.Name)
	}
	if s := rt.misspelt(urn); s != nil {
		has[s] = true
		d.fix("schema-urn", "schemas", "%s read as %s", quote(urn), s.ID)
		return nil
	}
	// Entra's groups name a schema of Microsoft's own.
	d.fix("unknown-schema", "schemas", "%s ignored", quote(urn))
	return nil
}

func (d *reader) undeclared(rt *ResourceType, r Resource, has map[*Schema]bool) error {
	var missing []string
	each(rt, func(s *Schema) {
		if !has[s] && (s == rt.Schema || !empty(r[s.ID])) {
			missing = append(missing, s.ID)
		}
	})
	for _, urn := range missing {
		if d.mode == Strict {
			return InvalidSyntax("schemas does not name %s, whose attributes the body has", urn)
		}
		d.fix("undeclared-schema", "schemas", "%s added", urn)
	}
	return nil
}
