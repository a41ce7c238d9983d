package scim

import (
	"encoding/base64"
	"strings"
	"time"
)

// maxFixes is the largest number of fixes of one request that the request log lists.
const maxFixes = 50

// reader converts the values in a request to the canonical values of a Resource, and records each
// deviation from the RFC that it tolerates as a Fix. At most one of forPatch, forReplace and
// forCreate is set, depending on the kind of the request.
type reader struct {
	mode         Mode
	forPatch     bool // whether the values belong to a PATCH; there, null unassigns a sub-attribute
	keepHollow   bool // whether to keep hollow elements, because a later operation may fill them
	forRemoval   bool // whether the values belong to a remove operation and select the elements to remove
	forReplace   bool // whether the body belongs to a PUT; there, null means something else than a missing member
	forCreate    bool // whether the body belongs to a POST; there, no stored value can be lost
	fixes        []Fix
	omittedFixes int // how many fixes were not recorded because there were maxFixes already

	notStored []*Attribute // top-level attributes that the client sent but that are never stored
	pathKeys  []member     // the members of the body whose names are paths; they are read last
}

// addFix records a fix, up to maxFixes of them.
func (d *reader) addFix(code, path, format string, args ...any) {
	if len(d.fixes) == maxFixes {
		d.omittedFixes++
		return
	}
	d.fixes = append(d.fixes, Fix{code, path, formatMessage(format, args)})
}

// allFixes returns the recorded fixes. If some were left out, the last Fix says how many.
func (d *reader) allFixes() []Fix {
	if d.omittedFixes > 0 {
		last := &d.fixes[len(d.fixes)-1]
		*last = Fix{"more", "", itoa(d.omittedFixes+1) + " more like these"}
		d.omittedFixes = 0
	}
	return d.fixes
}

// tolerate is called for a value whose form deviates from the RFC. In Lenient mode it records a
// fix. In Strict mode it returns invalidValue, which names the expected form in want.
func (d *reader) tolerate(code string, path AttrPath, want string, raw any, format string, args ...any) error {
	if d.mode == Strict {
		return InvalidValue("%s must be %s, not %s; strict mode takes no other form", path, want, describeValue(raw))
	}
	d.addFix(code, path.String(), format, args...)
	return nil
}

// readValue returns one of these types if it could not read a value in full. Callers must not treat
// such a value as empty and erase the stored value.
type (
	// notUnderstood is the result for an object with content, of which no name is known. names has
	// its names.
	notUnderstood struct{ names []string }
	// hollowList is the result for a list of which no element has content, such as
	// [{"value":null}].
	hollowList struct{}
	// partlyRead is the result for a list of which only some elements were understood. list has
	// these elements, and names has the unknown names in the others.
	partlyRead struct {
		list  []any
		names []string
	}
)

// readValue reads a value of an attribute. It returns nil for an unassigned value. It may also
// return notUnderstood, hollowList or partlyRead. RFC 7643 §2.5: null and the empty list mean
// unassigned.
func (d *reader) readValue(a *Attribute, path AttrPath, raw any) (any, error) {
	if raw == nil {
		return nil, nil
	}
	switch {
	case a.MultiValued && raw == "" && d.forCreate:
		return nil, nil
	case a.MultiValued:
		return d.readList(a, path, raw)
	case raw == "":
		return d.readEmptyString(a, path)
	}
	return d.readSingle(a, path, raw)
}

// readEmptyString reads "" as a single value. RFC 7643 §2.5 does not say what "" means for types
// that have no empty string.
func (d *reader) readEmptyString(a *Attribute, path AttrPath) (any, error) {
	switch a.Type {
	case Boolean:
		return d.readBoolean(path, "")
	case Integer, Decimal, DateTime, Binary:
		if d.mode == Strict {
			return nil, InvalidValue("%s is of type %s, and an empty string is not a value of that type; send null to unassign it", path, a.Type)
		}
	}
	return nil, nil
}

// grantsRights reports whether an attribute is members, roles or entitlements, whose elements give
// rights to people. The reader never guesses the meaning of such elements.
func grantsRights(a *Attribute, path AttrPath) bool {
	return a.MultiValued && path.Sub == "" && (equalName(a.Name, "members") || equalName(a.Name, "roles") || equalName(a.Name, "entitlements"))
}

// readList reads the values of a multi-valued attribute.
func (d *reader) readList(a *Attribute, path AttrPath, raw any) (any, error) {
	items, ok := raw.([]any)
	if !ok {
		if inner, wrapped := wrappedList(a, raw); wrapped && d.mode == Lenient {
			d.addFix("wrapped-list", path.String(), "a list inside an object under its own name")
			return d.readValue(a, path, inner)
		}
		if !d.forPatch && raw != "" {
			if err := d.tolerate("single-for-list", path, "a list", raw, "one value where a list belongs"); err != nil {
				return nil, err
			}
		}
		items = []any{raw}
	}
	if len(items) == 0 {
		return nil, nil
	}
	list := make([]any, 0, len(items))
	var names []string
	hollow := 0 // the number of elements without content
	for i, item := range items {
		v, err := d.readElement(a, path, item, i+1)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case nil:
			if _, ok := item.(object); ok {
				hollow++
			}
		case notUnderstood:
			names = append(names, v.names...)
		default:
			list = append(list, v)
		}
	}
	switch {
	case len(list) == 0 && len(names) > 0:
		return notUnderstood{names}, nil
	case len(list) == 0:
		return hollowList{}, nil
	}
	if hollow > 0 {
		d.addFix("says-nothing", path.String(), "values without content were left out")
	}
	list = withoutDuplicates(a, list)
	if err := checkOnePrimary(a, path, list); err != nil || len(names) == 0 {
		return list, err
	}
	return partlyRead{list, names}, nil
}

// wrappedList returns the list inside an object such as {"members": […]}, which Salesforce
// documents as the value of members, in place of the list itself. ok is false for any other value.
func wrappedList(a *Attribute, raw any) (list any, ok bool) {
	o, ok := raw.(object)
	if !ok || len(o) != 1 || !equalName(o[0].name, a.Name) || a.Sub(o[0].name) != nil {
		return nil, false
	}
	switch o[0].value.(type) {
	case []any, object:
		return o[0].value, true
	}
	return nil, false
}

// readElement reads one value of a list. number is its position, counted from 1. It returns nil if
// the value has no content.
func (d *reader) readElement(a *Attribute, path AttrPath, raw any, number int) (any, error) {
	if _, nested := raw.([]any); nested {
		return nil, InvalidValue("%s: a list inside the list", path)
	}
	var v any
	var err error
	if raw != nil && raw != "" {
		if v, err = d.readSingle(a, path, raw); err != nil {
			return nil, err
		}
	}
	if grantsRights(a, path) && !d.identifiesTarget(a, v) {
		return nil, unidentifiedError(a, path, raw, number)
	}
	m, isMap := v.(map[string]any)
	if isMap && (allUnassigned(m) || !d.forRemoval && !d.keepHollow && isHollow(a, m)) {
		return nil, nil
	}
	return v, nil
}

// identifiesTarget reports whether a value of members, roles or entitlements says which user,
// group, role or entitlement is meant. If the value only selects elements to remove, the type of a
// role or entitlement is enough.
func (d *reader) identifiesTarget(a *Attribute, v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		_, nothingRead := v.(notUnderstood)
		return !isUnassigned(v) && !nothingRead
	}
	for name, value := range m {
		sub := a.Sub(name)
		switch {
		case isUnassigned(value) || sub.Name == "$ref" || sub.Name == "primary":
		case sub.Name == "type":
			if d.forRemoval && a.Sub("value").isReadWrite() {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// isReadWrite reports whether a sub-attribute exists and can be set more than once.
func (a *Attribute) isReadWrite() bool { return a != nil && a.Mutability == ReadWrite }

// unidentifiedError returns the error for a value for which identifiesTarget is false.
func unidentifiedError(a *Attribute, path AttrPath, raw any, number int) error {
	what := "has no content"
	o, _ := raw.(object)
	var names []string
	for _, m := range o {
		if hasContent(m.value) {
			names = append(names, m.name)
		}
	}
	if len(names) > 0 {
		what = "has only " + joinQuoted(names)
	}
	by := `"value"`
	if equalName(a.Name, "members") {
		by += ", the id of a user or group"
	}
	return InvalidValue("%s: value %d %s. Each value must say what it refers to in %s", path, number, what, by)
}

// isHollow reports whether an element has no content: it has no other sub-attributes than type,
// primary and display, which only describe a value.
func isHollow(a *Attribute, m map[string]any) bool {
	hasOwn := false // whether the attribute has a sub-attribute that carries content
	for _, sub := range a.SubAttributes {
		switch {
		case sub.Name == "type" || sub.Name == "primary" || sub.Name == "display" || sub.Mutability == ReadOnly:
		case !isUnassigned(m[sub.Name]):
			return false
		default:
			hasOwn = true
		}
	}
	return hasOwn || allUnassigned(m)
}

// checkOnePrimary returns invalidValue if two values of a list are primary. RFC 7643 §2.4: primary
// true may appear only once.
func checkOnePrimary(a *Attribute, path AttrPath, list []any) error {
	if a.Type != Complex {
		return nil
	}
	seen := false
	for _, e := range list {
		m, _ := e.(map[string]any)
		if m["primary"] != true {
			continue
		}
		if seen {
			return InvalidValue("%s: two values are primary; at most one may be", path)
		}
		seen = true
	}
	return nil
}

// readSingle reads one value of an attribute.
func (d *reader) readSingle(a *Attribute, path AttrPath, raw any) (any, error) {
	if items, ok := raw.([]any); ok {
		if len(items) == 0 {
			return nil, nil
		}
		if len(items) > 1 {
			return nil, InvalidValue("%s has one value, and %d were sent", path, len(items))
		}
		if err := d.tolerate("list-for-single", path, "a single value", raw, "a list of one where a single value belongs"); err != nil {
			return nil, err
		}
		if items[0] == nil || items[0] == "" && a.Type != Boolean {
			return nil, nil
		}
		raw = items[0]
	}
	if o, ok := raw.(object); ok && a.Type != Complex && d.mode == Lenient && !requiresExactForm(a, path) {
		if inner, ok := d.unwrapValue(path, o); ok {
			if inner == nil || inner == "" && a.Type != Boolean {
				return nil, nil
			}
			raw = inner
		}
	}
	switch a.Type {
	case Complex:
		return d.readComplex(a, path, raw)
	case Boolean:
		return d.readBoolean(path, raw)
	case Integer:
		return d.readNumber(path, raw, "a whole number of at most 64 bits", func(s string) (any, bool) {
			i, ok := parseInteger(s)
			return i, ok
		})
	case Decimal:
		return d.readNumber(path, raw, "a number of at most 17 digits", parseDecimal)
	}
	if n, ok := raw.(number); ok && a.Type == String && !requiresExactForm(a, path) {
		return string(n), d.tolerate("number-for-text", path, "a string", raw, "the number %s read as a string", n)
	}
	s, ok := raw.(string)
	if !ok {
		return nil, wrongTypeError(path, "a string", raw)
	}
	return s, checkString(a, path, s)
}

// requiresExactForm reports whether clients must send an attribute in its declared form, without
// any tolerance. They must for attributes that identify people and resources, and for hidden
// attributes.
func requiresExactForm(a *Attribute, path AttrPath) bool {
	switch {
	case isHidden(a):
		return true
	case path.URN != "":
		return false
	case path.Sub == "":
		return equalName(a.Name, "userName") || equalName(a.Name, "id") || equalName(a.Name, "members")
	}
	return equalName(path.Name, "members") && equalName(a.Name, "value")
}

// unwrapValue returns the "value" of an object such as {"$ref": null, "value": "False"}.
// Microsoft's library and scripts for other products send a simple value in this form. ok is false
// for an object with other members.
func (d *reader) unwrapValue(path AttrPath, o object) (value any, ok bool) {
	for _, m := range o {
		if !equalName(m.name, "value") && !equalName(m.name, "$ref") && !equalName(m.name, "display") && !equalName(m.name, "type") {
			return nil, false
		}
	}
	v, ok := o.get("value")
	if _, nested := v.(object); nested || !ok {
		return nil, false
	}
	if _, nested := v.([]any); nested {
		return nil, false
	}
	d.addFix("object-for-value", path.String(), "an object read as its value")
	return v, true
}

// checkString returns invalidValue if a dateTime or binary value has the wrong format.
func checkString(a *Attribute, path AttrPath, s string) error {
	switch a.Type {
	case DateTime:
		if _, ok := parseTime(s); !ok {
			return InvalidValue("%s: %s is not a time such as 2026-01-31T08:00:00Z", path, quote(s))
		}
	case Binary:
		if !validBase64(s) {
			return InvalidValue("%s: the value is not base64", path)
		}
	}
	return nil
}

// parseTime reads an xsd:dateTime. A time without an offset is in UTC. RFC 7643 §2.3.5.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// validBase64 reports whether a binary value is base64. RFC 7643 §2.3.6: either alphabet of RFC
// 4648 §4 and §5 is valid, and padding may be missing.
func validBase64(s string) bool {
	s = strings.TrimRight(s, "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	_, err := encoding.DecodeString(s)
	return err == nil
}

// wrongTypeError is the invalidValue error for a value of the wrong type.
func wrongTypeError(path AttrPath, want string, raw any) error {
	return InvalidValue("%s must be %s, not %s", path, want, describeValue(raw))
}

// describeValue describes a JSON value for a message, such as "a number".
func describeValue(raw any) string {
	switch v := raw.(type) {
	case nil:
		return "null"
	case bool:
		if v {
			return "true"
		}
		return "false"
	case number, int64, float64:
		return "a number"
	case []any:
		return "a list"
	case string:
		return "the string " + quote(v)
	}
	return "an object"
}

// readBoolean reads true or false. It never guesses: a string that is not clearly true or false is
// an error, and so is "". A wrong guess could reactivate a deactivated person.
func (d *reader) readBoolean(path AttrPath, raw any) (any, error) {
	if b, ok := raw.(bool); ok {
		return b, nil
	}
	switch raw := raw.(type) {
	case string:
		if b, ok := parseBoolean(raw); ok {
			return b, d.tolerate("text-boolean", path, "true or false", raw, "%s read as %t", quote(raw), b)
		}
	case number:
		if raw == "0" || raw == "1" {
			return raw == "1", d.tolerate("number-boolean", path, "true or false", raw, "%s read as %t", raw, raw == "1")
		}
	}
	return nil, wrongTypeError(path, "true or false", raw)
}

// parseBoolean reads a string that clients send for true or false. ok is false for other strings.
func parseBoolean(s string) (value, ok bool) {
	switch {
	case equalName(s, "true") || s == "1":
		return true, true
	case equalName(s, "false") || s == "0":
		return false, true
	}
	return false, false
}

// readNumber reads a number, or a string that contains a number. The argument read converts the
// text of the number to a value. want describes the expected number for messages.
func (d *reader) readNumber(path AttrPath, raw any, want string, read func(string) (any, bool)) (any, error) {
	switch raw := raw.(type) {
	case number:
		if v, ok := read(string(raw)); ok {
			return v, nil
		}
	case string:
		if numberLength(raw) != len(raw) {
			break
		}
		if v, ok := read(raw); ok {
			return v, d.tolerate("text-number", path, want, raw, "%s read as a number", quote(raw))
		}
	}
	return nil, wrongTypeError(path, want, raw)
}

// readComplex reads a value of a complex attribute, which is an object.
func (d *reader) readComplex(a *Attribute, path AttrPath, raw any) (any, error) {
	if s, ok := raw.(string); ok {
		return d.readStringAsComplex(a, path, s)
	}
	o, ok := raw.(object)
	if !ok {
		return nil, wrongTypeError(path, "an object", raw)
	}
	o = d.expandJSONString(a, path, o)
	m := make(map[string]any, len(o))
	knownNames := 0 // how many members have a known name, including members that set nothing
	var names []string
	for _, mem := range o {
		sub, err := d.findSub(a, path, mem.name, o)
		if err != nil {
			return nil, err
		}
		if sub == nil {
			if !hasContent(mem.value) {
				continue // an unknown name without content does not matter
			}
			names = append(names, AttrPath{path.URN, path.Name, mem.name}.String())
			continue
		}
		knownNames++
		if sub.Mutability == ReadOnly {
			continue // RFC 7643 §7: a readOnly value that a client sends is ignored.
		}
		v, err := d.readValue(sub, AttrPath{path.URN, path.Name, sub.Name}, mem.value)
		if err != nil {
			return nil, err
		}
		if isHidden(sub) {
			d.addFix("not-kept", AttrPath{path.URN, path.Name, sub.Name}.String(), "accepted and not kept")
			continue
		}
		if _, ok := v.(hollowList); ok {
			d.addFix("says-nothing", AttrPath{path.URN, path.Name, sub.Name}.String(), "values without content were left out")
			continue
		}
		if v != nil || d.forPatch {
			m[sub.Name] = v
		}
	}
	// A value that selects elements to remove must be understood in full; otherwise it could select
	// too much.
	if len(names) > 0 && (knownNames == 0 || len(m) == 0 || d.forRemoval && isUnassigned(m["value"]) || a.MultiValued && !d.forRemoval && isHollow(a, m)) {
		return notUnderstood{names}, nil
	}
	for _, name := range names {
		d.addFix("unknown-attribute", name, "ignored: no such sub-attribute")
	}
	if allUnassigned(m) && (!d.forPatch || a.MultiValued) {
		return nil, nil
	}
	return m, nil
}

// hasContent reports whether a JSON value is something other than null, "" or an empty list.
func hasContent(raw any) bool {
	switch raw := raw.(type) {
	case nil:
		return false
	case string:
		return raw != ""
	case []any:
		return len(raw) > 0
	}
	return true
}

// allUnassigned reports whether every sub-attribute of a complex value is unassigned.
func allUnassigned(m map[string]any) bool {
	for _, v := range m {
		if v != nil {
			return false
		}
	}
	return true
}

// findSub returns the sub-attribute for a member of the object o with this name, or nil if there is
// none. In Strict mode it returns invalidSyntax for an unknown name.
func (d *reader) findSub(a *Attribute, path AttrPath, name string, o object) (*Attribute, error) {
	if sub := a.Sub(name); sub != nil {
		return sub, nil
	}
	fullPath := AttrPath{path.URN, path.Name, name}
	if d.mode == Strict {
		return nil, InvalidSyntax("%s: no such sub-attribute", fullPath)
	}
	// Entra's roles have displayName in the place of display (RFC 7643 §2.4).
	if display := a.Sub("display"); display != nil && equalName(name, "displayName") {
		if _, both := o.get("display"); !both {
			d.addFix("display-name", fullPath.String(), "read as %s.display", path.Name)
			return display, nil
		}
	}
	return nil, nil
}

// readStringAsComplex reads a string that the client sent in the place of an object. The string
// becomes the sub-attribute "value".
func (d *reader) readStringAsComplex(a *Attribute, path AttrPath, s string) (any, error) {
	if a.Sub("value") == nil {
		return nil, wrongTypeError(path, "an object", s)
	}
	if s == "" {
		return nil, nil
	}
	if err := d.tolerate("text-for-object", path, "an object", s, "a string read as the value"); err != nil {
		return nil, err
	}
	return d.readComplex(a, path, object{{"value", s}})
}

// expandJSONString is for an object whose "value" is a string that contains a JSON object. Entra
// sends app roles so: {"value":"{\"id\":…,\"value\":\"Admin\",\"displayName\":\"Admin\"}"}. Clients
// also send other attributes with a "value", such as the manager, in this form. expandJSONString
// returns an object with the value and the display name of the inner object. It returns any other
// object unchanged, and also a member of a group, whose id is never read from such a string.
func (d *reader) expandJSONString(a *Attribute, path AttrPath, o object) object {
	sub := a.Sub("value")
	if d.mode == Strict || sub == nil || sub.Type != String || requiresExactForm(sub, AttrPath{path.URN, path.Name, sub.Name}) {
		return o
	}
	raw, _ := o.get("value")
	quoted, _ := raw.(string)
	if !strings.HasPrefix(strings.TrimLeft(quoted, " "), "{") {
		return o
	}
	inner, err := scanBody([]byte(quoted))
	fields, ok := inner.(object)
	if err != nil || !ok {
		return o // a string that only starts with a brace is an ordinary value
	}
	value, display := stringMember(fields, "value"), ""
	if a.Sub("display") != nil {
		if display = stringMember(fields, "displayName"); display == "" {
			display = stringMember(fields, "display")
		}
	}
	if value == "" {
		value = display // Entra's default role has only a display name
	}
	if value == "" {
		return o
	}
	d.addFix("json-text", path.String(), "a JSON string read as an object")
	out := object{{"value", value}}
	if display != "" {
		out = append(out, member{"display", display})
	}
	for _, m := range o {
		if !equalName(m.name, "value") && !(display != "" && (equalName(m.name, "display") || equalName(m.name, "displayName"))) {
			out = append(out, m)
		}
	}
	return out
}

// stringMember returns the member with a name if it is a string, and otherwise "".
func stringMember(o object, name string) string {
	v, _ := o.get(name)
	s, _ := v.(string)
	return s
}
