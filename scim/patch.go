package scim

import (
	"errors"
	"strings"
)

// Limits of a PATCH request.
const (
	MaxPatchOperations = 1000  // the largest number of operations that the client sends
	MaxPatchValues     = 10000 // the largest number of values of one multi-valued attribute in one operation
	MaxPatchChanges    = 5000  // the largest number of operations after those without a path have been split
)

// maxIgnored is how many ignored parts of one request the request log lists.
const maxIgnored = 50

// Patch is a PATCH request that DecodePatch has read for a resource type. If an operation of the
// request has no path, Operations has an operation for each key of its value instead.
type Patch struct {
	Operations []Operation

	mode           Mode
	ignored        []Ignored
	operationCount int        // how many operations the client sent
	shownForms     []Resource // the forms in which a GET may show the resource
}

// SetShownForms gives the patch the resource in each form in which a GET may show it. The forms
// include parts that are not stored, such as groups. If the patch sets a readOnly attribute to the
// value in one of the forms, this counts as unchanged, not as an error.
func (p *Patch) SetShownForms(forms ...Resource) { p.shownForms = forms }

// NeedsShownForms reports whether the patch names readOnly attributes that answers show but
// documents do not store (meta and groups). If so, the caller must call SetShownForms before Apply.
func (p *Patch) NeedsShownForms() bool {
	for _, op := range p.Operations {
		if op.Path.URN == "" && op.Path.isReadOnly() && (op.Path.Name == "meta" || op.Path.Name == groupsAttribute) {
			return true
		}
	}
	return false
}

// Addresses reports whether an operation of the patch is about the core attribute with that name,
// or about a part of it.
func (p *Patch) Addresses(name string) bool {
	for _, op := range p.Operations {
		if op.Path.URN == "" && equalName(op.Path.Name, name) {
			return true
		}
	}
	return false
}

// isReadOnly reports whether the path selects a value that clients cannot set.
func (p Path) isReadOnly() bool {
	return p.attr != nil && p.attr.Mutability == ReadOnly || p.sub != nil && p.sub.Mutability == ReadOnly
}

// Operation is one change of one attribute or of one whole extension.
type Operation struct {
	Op   string // the operation: "add", "remove" or "replace"
	Path *Path  // the path of the values to change; never nil

	// Value has the form of the attribute: a []any for a multi-valued attribute, a map[string]any
	// for a complex attribute or for an element. nil means that the attribute is unassigned; this
	// also applies inside a map. For remove, nil removes everything that the path selects, and a
	// []any removes only these values.
	Value any

	index   int  // the position of the operation in the request, counted from 0
	fromKey bool // whether the client sent the path as a key in the value of an operation without a path
}

// PatchResult is the result of Patch.Apply.
type PatchResult struct {
	Resource Resource
	Changed  bool // whether the resource differs from the resource before the patch
	Fixes    []Fix
	Ignored  []Ignored
}

// DecodePatch reads a PATCH request. RFC 7644 §3.5.2.
//
// In Lenient mode, operations on attributes that rt lacks are ignored, and Apply reports them in
// Ignored. If the request has only such operations, DecodePatch returns invalidPath with the names
// of the attributes. Other expected errors are invalidSyntax, invalidPath, invalidValue, noTarget,
// mutability, and 413 above the limits.
func DecodePatch(rt *ResourceType, body []byte, m Mode) (*Patch, []Fix, error) {
	raw, err := scanBody(body)
	if err != nil {
		return nil, nil, err
	}
	o, ok := raw.(object)
	if !ok {
		return nil, nil, InvalidSyntax("The body must be a JSON object, not %s", describeValue(raw))
	}
	d := patchDecoder{reader: reader{mode: m, forPatch: true}, rt: rt, patch: &Patch{mode: m}}
	if err := d.readRequest(o); err != nil {
		return nil, nil, err
	}
	return d.patch, d.allFixes(), nil
}

// patchDecoder reads the body of a PATCH into a Patch.
type patchDecoder struct {
	reader
	rt    *ResourceType
	patch *Patch

	index           int      // the position of the current operation, counted from 0
	readsKeys       bool     // whether the decoder is reading the keys of an operation without a path
	hasValue        bool     // whether the operation has the member "value", even if it is null
	understoodCount int      // how many paths of the current operation are known attributes
	unknownNames    []string // the names in the request that rt lacks
}

// readRequest reads the whole body.
func (d *patchDecoder) readRequest(o object) error {
	if err := d.checkEnvelope(o); err != nil {
		return err
	}
	raw, ok := o.get("Operations")
	list, isList := raw.([]any)
	switch {
	case !ok:
		return InvalidSyntax("The body has no Operations")
	case !isList:
		return InvalidSyntax("Operations must be a list, not %s", describeValue(raw))
	case len(list) > MaxPatchOperations:
		return PayloadTooLarge("The request has %d operations; at most %d are allowed", len(list), MaxPatchOperations)
	case len(list) == 0 && d.mode == Strict:
		return InvalidSyntax("Operations is empty")
	}
	d.patch.operationCount = len(list)
	useful := len(list) == 0 // a request without operations is accepted, because Microsoft's validator sends it
	for i, raw := range list {
		d.index, d.understoodCount, d.readsKeys = i, 0, false
		before := len(d.unknownNames)
		if err := d.readOperation(raw); err != nil {
			return withOperationNumber(err, i, len(list), operationLabel(raw))
		}
		useful = useful || d.understoodCount > 0 || len(d.unknownNames) == before
	}
	if !useful {
		return InvalidPath("%s has no attribute %s, and the request changes nothing else", d.rt.Name, joinQuoted(d.unknownNames))
	}
	return nil
}

// joinQuoted lists names for a message, at most 20 of them.
func joinQuoted(names []string) string {
	const most = 20
	var b strings.Builder
	for i, n := range names {
		if i == most {
			b.WriteString(" and more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(n))
	}
	return b.String()
}

// withOperationNumber returns an error with the number and the label of the operation in front, if
// the request has several operations. of is the number of all operations.
func withOperationNumber(err error, index, of int, label string) error {
	var e *Error
	if of < 2 || !errors.As(err, &e) {
		return err
	}
	if label != "" {
		label = " (" + label + ")"
	}
	return &Error{e.Status, e.ScimType, "Operation " + itoa(index+1) + label + ": " + e.Detail}
}

// operationLabel returns the op and the path of an operation in the client's spelling, such as
// "Replace title".
func operationLabel(raw any) string {
	o, _ := raw.(object)
	op, path := stringMember(o, "op"), stringMember(o, "path")
	if len(op) > len("replace") {
		return ""
	}
	if short := truncate(path); short != path {
		path = short + "…"
	}
	return strings.TrimSpace(op + " " + path)
}

// checkEnvelope checks that the member "schemas" of the request names PatchOp.
func (d *patchDecoder) checkEnvelope(o object) error {
	raw, _ := o.get("schemas")
	list, _ := raw.([]any)
	found := false
	for _, e := range list {
		s, _ := e.(string)
		found = found || equalName(s, PatchOpURN)
	}
	if found {
		return nil
	}
	if d.mode == Strict {
		return InvalidSyntax("schemas must name %s", PatchOpURN)
	}
	d.addFix("undeclared-schema", "schemas", "%s added", PatchOpURN)
	return nil
}

// readOperation reads one operation of the request.
func (d *patchDecoder) readOperation(raw any) error {
	o, ok := raw.(object)
	if !ok {
		return InvalidSyntax("An operation must be an object, not %s", describeValue(raw))
	}
	rawOp, _ := o.get("op")
	name, _ := rawOp.(string)
	op := strings.ToLower(name) // Entra writes Add, Replace, Remove
	if op != "add" && op != "remove" && op != "replace" {
		return InvalidSyntax("op must be add, remove or replace, not %s", describeValue(rawOp))
	}
	rawPath, _ := o.get("path")
	path, ok := rawPath.(string)
	if !ok && rawPath != nil {
		return InvalidPath("path must be a string, not %s", describeValue(rawPath))
	}
	value, given := o.get("value")
	if op != "remove" && !given {
		return InvalidSyntax("%s needs a value", strings.TrimSpace(op+" "+path))
	}
	path = strings.TrimSpace(path)
	if path == "" || equalName(path, d.rt.Schema.ID) {
		return d.readWithoutPath(op, value)
	}
	d.hasValue = given
	return d.readOperationAt(op, path, value)
}

// readWithoutPath reads an operation without a path. Each key of its value is a path: an attribute,
// a sub-attribute after a dot, a name with a URN, a path with a filter, or a whole extension.
func (d *patchDecoder) readWithoutPath(op string, value any) error {
	if op == "remove" {
		return NoTarget("remove needs a path") // RFC 7644 §3.5.2.2
	}
	if list, ok := value.([]any); ok && len(list) == 1 && d.mode == Lenient {
		d.addFix("list-for-single", "value", "a list of one where an object belongs")
		value = list[0]
	}
	o, ok := value.(object)
	if !ok {
		return InvalidValue("%s without a path needs an object of attributes as its value, not %s", op, describeValue(value))
	}
	if len(o) == 0 {
		d.recordIgnored("value", "it names no attribute")
	}
	d.readsKeys = true
	for _, m := range o {
		if err := d.readKey(op, m); err != nil {
			return err
		}
	}
	return nil
}

// readKey reads one key, with its value, of an operation without a path.
func (d *patchDecoder) readKey(op string, m member) error {
	if equalName(m.name, "schemas") {
		return nil // the server derives "schemas" from the attributes
	}
	if equalName(m.name, d.rt.Schema.ID) {
		return d.readWithoutPath(op, m.value)
	}
	if equalName(m.name, "meta") && d.mode == Lenient {
		d.recordIgnored(m.name, "the server maintains it")
		return nil
	}
	return d.readOperationAt(op, m.name, m.value)
}

// recordIgnored records a part of the request that is not applied. It records at most maxIgnored
// parts.
func (d *patchDecoder) recordIgnored(path, reason string) {
	if len(d.patch.ignored) == maxIgnored {
		d.patch.ignored = append(d.patch.ignored, Ignored{"", "more like these"})
	}
	if len(d.patch.ignored) > maxIgnored {
		return
	}
	d.patch.ignored = append(d.patch.ignored, Ignored{path, reason})
}

// readOperationAt reads an operation on the path in text.
func (d *patchDecoder) readOperationAt(op, text string, raw any) error {
	p, err := d.readPath(d.rt, text)
	var unknown *unknownError
	if errors.As(err, &unknown) {
		if d.mode == Strict {
			return InvalidPath("%s: %s has no such attribute", quote(text), d.rt.Name)
		}
		d.unknownNames = append(d.unknownNames, text)
		d.recordIgnored(text, d.rt.Name+" has no such attribute")
		return nil
	}
	if err != nil {
		return err
	}
	d.understoodCount++
	if p.Name == "" {
		return d.readExtensionOperation(op, p, raw)
	}
	if done, err := d.handleReadOnly(op, p, raw); done || err != nil {
		return err
	}
	if op == "remove" {
		return d.readRemove(p, raw)
	}
	return d.readAssignment(op, p, raw)
}

// handleReadOnly handles an operation on an attribute that a client cannot set, or whose value is
// never stored. done is true if the operation needs no further reading.
func (d *patchDecoder) handleReadOnly(op string, p Path, raw any) (done bool, err error) {
	switch {
	case p.attr.Name == "schemas" && p.URN == "" && op == "remove":
		return true, Mutability("schemas is required and cannot be removed; to drop a schema, remove its attributes")
	case p.attr.Name == "schemas" && p.URN == "":
		d.recordIgnored(p.String(), "it follows from the attributes of the resource")
		return true, nil
	case p.isReadOnly() && (op == "remove" || !d.readsKeys && isHidden(p.attr)):
		return true, Mutability("%s cannot be changed by a client", p)
	case isHidden(p.attr) || p.sub != nil && isHidden(p.sub):
		d.recordIgnored(p.String(), "accepted and not kept")
		return true, nil
	case !p.isReadOnly():
		return false, nil
	}
	// Okta sends the id when it renames a group, and other clients send back everything that they
	// have read. So keep the operation; Apply accepts it if the value equals the current value.
	return true, d.addOperation(op, p, toUntyped(raw))
}

// toUntyped converts a scanned value to the types of a Resource, without a schema.
func toUntyped(raw any) any {
	switch raw := raw.(type) {
	case number:
		if v, ok := parseDecimal(string(raw)); ok {
			return v
		}
		return string(raw)
	case []any:
		list := make([]any, len(raw))
		for i, e := range raw {
			list[i] = toUntyped(e)
		}
		return list
	case object:
		m := make(map[string]any, len(raw))
		for _, e := range raw {
			m[e.name] = toUntyped(e.value)
		}
		return m
	}
	return raw
}

// addOperation appends an operation. It returns 413 above MaxPatchChanges.
func (d *patchDecoder) addOperation(op string, p Path, value any) error {
	if len(d.patch.Operations) == MaxPatchChanges {
		return PayloadTooLarge("The request changes more than %d attributes", MaxPatchChanges)
	}
	d.patch.Operations = append(d.patch.Operations, Operation{op, &p, value, d.index, d.readsKeys})
	return nil
}

// readExtensionOperation reads an operation whose path is the URN of an extension.
func (d *patchDecoder) readExtensionOperation(op string, p Path, raw any) error {
	if op == "remove" || raw == nil || raw == "" {
		if op == "add" {
			return nil
		}
		if d.rt.requiresExtension(p.URN) {
			// RFC 7644 §3.5.2.2: a required attribute cannot be removed.
			return Mutability("%s is required and cannot be removed", p.URN)
		}
		return d.addOperation("remove", p, nil)
	}
	o, ok := raw.(object)
	if !ok {
		return InvalidValue("%s needs an object of attributes, not %s", p.URN, describeValue(raw))
	}
	d.understoodCount--
	outer := d.readsKeys
	d.readsKeys = true
	for _, m := range o {
		if repeatsOwnURN(d.rt.Extension(p.URN), m) {
			continue
		}
		if err := d.readOperationAt(op, p.URN+":"+m.name, m.value); err != nil {
			return err
		}
	}
	d.readsKeys = outer
	if len(o) == 0 {
		d.recordIgnored(p.String(), "the value names no attribute")
	}
	return nil
}

// readRemove reads the value of a remove operation.
func (d *patchDecoder) readRemove(p Path, raw any) error {
	if p.Filter == nil {
		if err := d.checkRemovable(p); err != nil {
			return err
		}
	}
	if !d.hasValue || !d.removesValues(p) {
		return d.addOperation("remove", p, nil)
	}
	// RFC 7644 §3.5.2.2 defines no value for remove. Entra sends a value if only these values are
	// to be removed, so a value that selects nothing must remove nothing.
	if d.mode == Strict {
		return InvalidSyntax("remove takes no value; use a filter in the path, as in %s[value eq \"…\"]", AttrPath{URN: p.URN, Name: p.Name})
	}
	value, err := d.valuesToRemove(p, raw)
	if err != nil {
		return err
	}
	if none, ok := value.(notUnderstood); ok {
		d.noteNotUnderstood(p, none.names)
		return nil
	}
	if some, ok := value.(partlyRead); ok {
		value = some.list
		for _, name := range some.names {
			d.recordIgnored(name, "no such sub-attribute, so the value with it selects nothing")
		}
	}
	list, _ := value.([]any)
	if len(list) == 0 {
		d.recordIgnored(p.String(), "the value selects nothing, so nothing is removed")
		return nil
	}
	d.addFix("remove-values", p.String(), "only the values sent are removed")
	return d.addOperation("remove", p, list)
}

// removesValues reports whether the value of a remove selects which values to remove. It is false
// for a single-valued attribute, and if a filter in the path selects them.
func (d *patchDecoder) removesValues(p Path) bool {
	return p.sub != nil && p.sub.MultiValued || p.attr.MultiValued && p.Filter == nil
}

// valuesToRemove reads the value of a remove operation as a list of the values to remove.
func (d *patchDecoder) valuesToRemove(p Path, raw any) (any, error) {
	if raw == nil || raw == "" {
		return nil, nil
	}
	if list, ok := raw.([]any); ok && len(list) > MaxPatchValues {
		return nil, tooManyValuesError(p, len(list))
	}
	d.reader.forPatch, d.forRemoval = false, true
	defer func() { d.reader.forPatch, d.forRemoval = true, false }()
	a := p.attr
	if p.sub != nil {
		one := *p.sub
		one.MultiValued = true // the request may name several values of the sub-attribute
		a = &one
	}
	return d.readValue(a, AttrPath{p.URN, p.Name, p.Sub}, asList(a, raw))
}

// noteNotUnderstood records that an operation is ignored, because the resource type has none of the
// attributes in its value. names has the names of these attributes.
func (d *patchDecoder) noteNotUnderstood(p Path, names []string) {
	d.understoodCount--
	for _, name := range names {
		d.unknownNames = append(d.unknownNames, name)
		d.recordIgnored(name, d.rt.Name+" has no such attribute")
	}
	if len(names) == 0 {
		d.recordIgnored(p.String(), "the value has no name that is known here")
	}
}

// checkRemovable returns a mutability error if the attribute at the path is required and therefore
// cannot be removed. RFC 7644 §3.5.2.2.
func (d *patchDecoder) checkRemovable(p Path) error {
	if p.sub == nil && p.attr.Required || p.sub != nil && p.sub.Required && !p.attr.MultiValued {
		return Mutability("%s is required and cannot be removed", p)
	}
	return nil
}

// readAssignment reads an add or replace operation.
func (d *patchDecoder) readAssignment(op string, p Path, raw any) error {
	value, err := d.readOperationValue(op, p, raw)
	if err != nil {
		return err
	}
	switch v := value.(type) {
	case notUnderstood:
		d.noteNotUnderstood(p, v.names)
		return nil
	case hollowList:
		d.recordIgnored(p.String(), "the values that were sent have no content, so nothing is changed")
		return nil
	case partlyRead:
		value = v.list
		for _, name := range v.names {
			d.recordIgnored(name, d.rt.Name+" has no such attribute")
		}
		if op == "replace" {
			op = "add" // the values that could not be read may be stored already, and then a replace would remove them
			d.addFix("unread-values", p.String(), "not all values could be read, so those that are there stay as well")
		}
	case map[string]any:
		switch {
		case p.sub == nil && hasEmptyValue(p.attr, raw):
			value = nil // {"value": ""} removes a manager
		case len(v) == 0:
			d.recordIgnored(p.String(), "the value names no sub-attribute to change")
			return nil
		}
	case nil:
		if o, ok := raw.(object); ok && len(o) == 0 || ok && p.sub == nil && p.attr.Type == Complex && !hasEmptyValue(p.attr, raw) {
			d.recordIgnored(p.String(), "the value names no sub-attribute to change")
			return nil
		}
	}
	if value == nil && p.Filter == nil {
		if err := d.checkRemovable(p); err != nil {
			return err
		}
	}
	return d.addOperation(op, p, value)
}

// hasEmptyValue reports whether an object has a member "value" that is null or "".
func hasEmptyValue(a *Attribute, raw any) bool {
	if list, ok := raw.([]any); ok && len(list) == 1 {
		raw = list[0]
	}
	o, ok := raw.(object)
	if !ok || a.Sub("value") == nil {
		return false
	}
	v, given := o.get("value")
	return given && (v == nil || v == "")
}

// tooManyValuesError is the error for an operation with n values.
func tooManyValuesError(p Path, n int) error {
	return PayloadTooLarge("%s: %d values in one operation; at most %d are allowed", p, n, MaxPatchValues)
}

// readOperationValue reads the value of an add or replace in the form that the attribute at the
// path requires.
func (d *patchDecoder) readOperationValue(op string, p Path, raw any) (any, error) {
	items, isList := raw.([]any)
	if len(items) > MaxPatchValues {
		return nil, tooManyValuesError(p, len(items))
	}
	path := AttrPath{p.URN, p.Name, p.Sub}
	switch {
	case p.sub != nil:
		return d.readValue(p.sub, path, raw)
	case p.Filter != nil && isList && d.mode == Strict:
		return nil, InvalidValue("%s selects values one by one: the value must be what each of them becomes, not a list", p)
	case p.Filter != nil || !p.attr.MultiValued:
		if raw == nil {
			return nil, nil
		}
		one := *p.attr
		one.MultiValued = false
		return d.readValue(&one, path, raw)
	}
	// Elements of a sent list are complete, so null inside an element means that the sub-attribute
	// is absent. An added element may be hollow, because a later operation may set its value.
	d.reader.forPatch, d.keepHollow = false, op == "add"
	value, err := d.readValue(p.attr, path, asList(p.attr, raw))
	d.reader.forPatch, d.keepHollow = true, false
	return value, err
}

// asList returns a list with the value, or the value itself if it already is a list. Clients send
// members as a list or as one object.
func asList(a *Attribute, raw any) any {
	if raw == nil {
		return nil
	}
	if _, wrapped := wrappedList(a, raw); wrapped {
		return raw
	}
	if _, ok := raw.([]any); ok {
		return raw
	}
	return []any{raw}
}
