package scim

import (
	"slices"
	"strings"
)

// Decode reads the body of a PUT. The resource has canonical names and types. Decode leaves out
// readOnly attributes, which a client may not set, and attributes that are never returned, which
// are not stored. It does not check whether required attributes are present; Validate does.
//
// The resource may have nil for attributes that were sent as null, and markers of type keepExisting
// for lists that could not be read in full. MergePut removes both.
//
// In Lenient mode, the fixes report each deviation from the RFC that was tolerated. In Strict mode,
// Decode returns an *Error for a deviation. The expected errors are invalidSyntax and invalidValue
// (RFC 7644 §3.12).
func Decode(rt *ResourceType, body []byte, m Mode) (Resource, []Fix, error) {
	d := reader{mode: m, forReplace: true}
	r, err := d.readBody(rt, body)
	if err != nil {
		return nil, nil, err
	}
	return r, d.allFixes(), nil
}

// DecodeNew is like Decode, for a POST. It also returns invalidValue if a required attribute that
// is never stored, such as a password, is missing. Validate cannot check this. A PUT may leave such
// an attribute out, because a client may send back the body of a GET.
func DecodeNew(rt *ResourceType, body []byte, m Mode) (Resource, []Fix, error) {
	d := reader{mode: m, forCreate: true}
	r, err := d.readBody(rt, body)
	if err == nil {
		err = d.checkHiddenRequired(rt, r)
	}
	if err != nil {
		return nil, nil, err
	}
	return r, d.allFixes(), nil
}

// readBody reads the body of a POST or PUT into a resource.
func (d *reader) readBody(rt *ResourceType, body []byte) (Resource, error) {
	raw, err := scanBody(body)
	if err != nil {
		return nil, err
	}
	o, ok := raw.(object)
	if !ok {
		return nil, InvalidSyntax("The body must be a JSON object, not %s", describeValue(raw))
	}
	return d.readResource(rt, o)
}

// readResource reads the members of a body. It reads members whose names are paths after all
// others. Then it checks "schemas".
func (d *reader) readResource(rt *ResourceType, o object) (Resource, error) {
	r := make(Resource, len(o)+1)
	for _, m := range o {
		if err := d.readMember(rt, r, o, m); err != nil {
			return nil, err
		}
	}
	var err error
	if r, err = d.readPathKeys(rt, r); err != nil {
		return nil, err
	}
	if err := d.checkSchemas(rt, r, o); err != nil {
		return nil, err
	}
	r["schemas"] = rt.schemaURNs(r)
	return r, nil
}

// readMember reads one top-level member of a body.
func (d *reader) readMember(rt *ResourceType, r Resource, o object, m member) error {
	if equalName(m.name, "schemas") {
		return nil // RFC 7643 §3: the server derives "schemas" from the attributes. checkSchemas checks the sent list later.
	}
	if a := rt.coreAttribute(m.name); a != nil {
		return d.readAttribute(r, a, AttrPath{Name: a.Name}, m.value)
	}
	if s := rt.Extension(m.name); s != nil {
		return d.readExtension(r, s, m.value)
	}
	if d.mode == Strict {
		return InvalidSyntax("%s: no schema of %s has this attribute", quote(m.name), rt.Name)
	}
	if s := rt.schemaForMisspelledURN(m.name); s != nil {
		d.addFix("schema-urn", m.name, "read as %s", s.ID)
		if s == rt.Schema {
			return d.readNested(rt, r, o, m.value)
		}
		if _, both := o.get(s.ID); both {
			return nil
		}
		return d.readExtension(r, s, m.value)
	}
	if s, a := rt.onlyExtensionWith(m.name); a != nil {
		return d.readMisplaced(r, s, a, o, m)
	}
	if strings.ContainsAny(m.name, ".:[") {
		d.pathKeys = append(d.pathKeys, m)
		return nil
	}
	d.noteUnknownKey(rt, m.name)
	return nil
}

// noteUnknownKey records a fix for a member that is ignored, because no schema has its name.
func (d *reader) noteUnknownKey(rt *ResourceType, name string) {
	d.addFix("unknown-attribute", name, "ignored: no schema of %s has this attribute", rt.Name)
}

// readPathKeys reads the members of a body whose names are paths, such as "name.givenName" or
// "urn:…:User:department", as a PATCH would. If the body also has the attribute under its plain
// name, readPathKeys ignores the path.
func (d *reader) readPathKeys(rt *ResourceType, r Resource) (Resource, error) {
	for _, m := range d.pathKeys {
		p := patchDecoder{reader: reader{mode: d.mode, forPatch: true}, rt: rt, patch: &Patch{mode: d.mode}, readsKeys: true}
		if path, err := p.readPath(rt, m.name); err != nil || path.Name == "" || requiresExactForm(path.attr, AttrPath{URN: path.URN, Name: path.Name}) ||
			path.sub != nil && requiresExactForm(path.sub, AttrPath{path.URN, path.Name, path.Sub}) {
			d.noteUnknownKey(rt, m.name)
			continue
		}
		p.reader.fixes = nil
		if err := p.readOperationAt("add", m.name, m.value); err != nil {
			return nil, err
		}
		ops := p.patch.Operations[:0]
		for _, op := range p.patch.Operations {
			readOnly := op.Path.attr.Mutability == ReadOnly || op.Path.sub != nil && op.Path.sub.Mutability == ReadOnly
			if !readOnly && len(op.Path.Get(r)) == 0 && !isUnassigned(op.Value) {
				ops = append(ops, op)
			}
		}
		if p.patch.Operations = ops; len(ops) > 0 {
			result, err := p.patch.Apply(rt, r)
			if err != nil {
				return nil, err
			}
			r = result.Resource
			d.addFix("path-key", m.name, "read as a path")
		}
		for _, f := range p.allFixes() {
			d.addFix(f.Code, f.Path, "%s", f.Text)
		}
		for _, i := range p.patch.ignored {
			d.addFix("ignored", i.Path, "ignored: %s", i.Reason)
		}
	}
	return r, nil
}

// readNested reads core attributes that the client sent in an object under the core URN. It skips
// an attribute that the client also sent at the top level.
func (d *reader) readNested(rt *ResourceType, r Resource, outer object, raw any) error {
	o, ok := raw.(object)
	if !ok {
		if hasContent(raw) {
			d.addFix("unknown-attribute", rt.Schema.ID, "ignored: it is not an object")
		}
		return nil
	}
	for _, m := range o {
		a := rt.coreAttribute(m.name)
		if a == nil && !equalName(m.name, "schemas") {
			d.noteUnknownKey(rt, m.name)
			continue
		}
		if _, both := outer.get(m.name); a == nil || both {
			continue
		}
		if err := d.readAttribute(r, a, AttrPath{Name: a.Name}, m.value); err != nil {
			return err
		}
	}
	return nil
}

// readMisplaced reads an extension's attribute that the client sent at the top level, as
// misconfigured Entra jobs do. It skips an attribute that the client also sent in the extension's
// own object.
func (d *reader) readMisplaced(r Resource, s *Schema, a *Attribute, o object, m member) error {
	if own, ok := o.get(s.ID); ok {
		if fields, ok := own.(object); ok {
			if _, both := fields.get(a.Name); both {
				return nil
			}
		}
	}
	d.addFix("extension-attribute", m.name, "read as %s:%s", s.ID, a.Name)
	ext, _ := r[s.ID].(map[string]any)
	if ext == nil {
		ext = map[string]any{}
	}
	if err := d.readAttribute(ext, a, AttrPath{URN: s.ID, Name: a.Name}, m.value); err != nil {
		return err
	}
	if len(ext) > 0 {
		r[s.ID] = ext
	}
	return nil
}

// readExtension reads the object of an extension into the resource.
func (d *reader) readExtension(r Resource, s *Schema, raw any) error {
	if raw == nil || raw == "" {
		return nil
	}
	o, ok := raw.(object)
	if !ok {
		return InvalidValue("%s must be an object, not %s", s.ID, describeValue(raw))
	}
	ext, _ := r[s.ID].(map[string]any)
	if ext == nil {
		ext = make(map[string]any, len(o))
	}
	var unknown []string
	knownNames := 0
	for _, m := range o {
		if repeatsOwnURN(s, m) {
			continue
		}
		a := s.Attribute(m.name)
		if a == nil {
			path := AttrPath{URN: s.ID, Name: m.name}
			switch {
			case d.mode == Strict:
				return InvalidSyntax("%s: no such attribute", path)
			case strings.ContainsAny(m.name, ".["):
				d.pathKeys = append(d.pathKeys, member{path.String(), m.value})
				knownNames++
				continue
			}
			d.addFix("unknown-attribute", path.String(), "ignored: no such attribute")
			if hasContent(m.value) {
				unknown = append(unknown, path.String())
			}
			continue
		}
		knownNames++
		if err := d.readAttribute(ext, a, AttrPath{URN: s.ID, Name: a.Name}, m.value); err != nil {
			return err
		}
	}
	if knownNames == 0 && len(unknown) > 0 && len(ext) == 0 {
		return noKnownNamesError(AttrPath{URN: s.ID}, unknown)
	}
	if len(ext) > 0 {
		r[s.ID] = ext
	}
	return nil
}

// noKnownNamesError is the error for an object in which every name is unknown. If the server
// ignored the object instead, it would report success although nothing was set, and a PUT would
// even erase the stored value.
func noKnownNamesError(path AttrPath, names []string) error {
	place := path.URN
	if path.Name != "" {
		place = path.String()
	}
	return InvalidValue("%s has no name that is known here, only %s; correct the names or leave the attribute out", place, joinQuoted(names))
}

// repeatsOwnURN reports whether a member of an extension's object is "schemas" with only that
// extension's URN. Libraries that treat an extension like a resource, such as scim2-models, send
// this member. It has no effect.
func repeatsOwnURN(s *Schema, m member) bool {
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

// readAttribute reads the value of one attribute and puts it into the map into.
func (d *reader) readAttribute(into map[string]any, a *Attribute, path AttrPath, raw any) error {
	if a.Mutability == ReadOnly {
		return nil // RFC 7644 §3.3: values of readOnly attributes are ignored.
	}
	v, err := d.readValue(a, path, raw)
	if err != nil {
		return err
	}
	switch read := v.(type) {
	case notUnderstood:
		return noKnownNamesError(path, read.names)
	case hollowList:
		d.addFix("says-nothing", path.String(), "values without content were left out")
		if v = nil; d.forReplace {
			v = keepExisting{}
		}
	case partlyRead:
		for _, name := range read.names {
			d.addFix("unknown-attribute", name, "ignored: no such sub-attribute")
		}
		if v = read.list; d.forReplace {
			d.addFix("unread-values", path.String(), "not all values could be read, so the existing ones stay as well")
			v = keepExisting{read.list}
		}
	case nil:
		if d.forReplace && keptWhenLeftOut(a, path) {
			into[a.Name] = nil // nil tells MergePut that the attribute was sent as null, not left out
		}
	}
	if v == nil {
		return nil
	}
	if isHidden(a) {
		d.addFix("not-kept", path.String(), "accepted and not kept")
		d.notStored = append(d.notStored, a)
		return nil
	}
	into[a.Name] = v
	return nil
}

// checkHiddenRequired returns invalidValue if the body lacks a required attribute that is never
// stored, because it is hidden.
func (d *reader) checkHiddenRequired(rt *ResourceType, r Resource) error {
	var err error
	eachSchema(rt, func(s *Schema) {
		urn := ""
		if s != rt.Schema {
			if urn = s.ID; isUnassigned(r[urn]) {
				return
			}
		}
		for _, a := range s.Attributes {
			if a.Required && isHidden(a) && a.Mutability != ReadOnly && !slices.Contains(d.notStored, a) {
				err = InvalidValue("%s is required", AttrPath{URN: urn, Name: a.Name})
			}
		}
	})
	return err
}

// checkSchemas checks the member "schemas" of a body, and compares it with the attributes in the
// body.
func (d *reader) checkSchemas(rt *ResourceType, r Resource, o object) error {
	raw, _ := o.get("schemas")
	list, ok := raw.([]any)
	if s, one := raw.(string); one && d.mode == Lenient {
		list, ok = []any{s}, true
	}
	if raw != nil && !ok {
		return InvalidSyntax("schemas must be a list of URNs, not %s", describeValue(raw))
	}
	has := map[*Schema]bool{}
	for _, e := range list {
		urn, ok := e.(string)
		if !ok {
			return InvalidSyntax("schemas must be a list of URNs; it holds %s", describeValue(e))
		}
		if err := d.checkSchemaURN(rt, urn, has); err != nil {
			return err
		}
	}
	return d.checkUndeclaredSchemas(rt, r, has)
}

// checkSchemaURN finds the schema with a URN from the member "schemas", and adds it to the set has.
// For an unknown URN it returns invalidSyntax in Strict mode, and records a fix in Lenient mode.
func (d *reader) checkSchemaURN(rt *ResourceType, urn string, has map[*Schema]bool) error {
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
	if s := rt.schemaForMisspelledURN(urn); s != nil {
		has[s] = true
		d.addFix("schema-urn", "schemas", "%s read as %s", quote(urn), s.ID)
		return nil
	}
	// Entra's groups name one of Microsoft's own schemas, which no registry has.
	d.addFix("unknown-schema", "schemas", "%s ignored", quote(urn))
	return nil
}

// checkUndeclaredSchemas reports schemas whose attributes are in the body but whose URNs are not in
// the schemas member. Strict returns invalidSyntax, Lenient records a Fix.
func (d *reader) checkUndeclaredSchemas(rt *ResourceType, r Resource, has map[*Schema]bool) error {
	var missing []string
	eachSchema(rt, func(s *Schema) {
		if !has[s] && (s == rt.Schema || !isUnassigned(r[s.ID])) {
			missing = append(missing, s.ID)
		}
	})
	for _, urn := range missing {
		if d.mode == Strict {
			return InvalidSyntax("schemas does not name %s, but the body has attributes of it", urn)
		}
		d.addFix("undeclared-schema", "schemas", "%s added", urn)
	}
	return nil
}
