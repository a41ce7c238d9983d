package scim

import (
	"encoding/base64"
	"strings"
	"time"
)

// maxFixes bounds what one request can write into the request log.
const maxFixes = 50

// reader turns what a client wrote into canonical values, noting each
// tolerance it needed.
type reader struct {
	mode         Mode
	forPatch     bool // values of PATCH operations: null stands for "unassign this sub-attribute"
	keepHollow   bool // an element that says nothing yet may say something by the end of the PATCH
	forRemoval   bool // the values say which elements are meant
	forReplace   bool // the body of a PUT: what was sent as null differs from what was left out
	forCreate    bool // the body of a POST: nothing is there that could be lost
	fixes        []Fix
	omittedFixes int // fixes left out

	discarded []*Attribute // top-level attributes that were sent and are not kept
	pathKeys  []member     // of a body: those whose names are paths
}

func (d *reader) addFix(code, path, format string, args ...any) {
	if len(d.fixes) == maxFixes {
		d.omittedFixes++
		return
	}
	d.fixes = append(d.fixes, Fix{code, path, formatMessage(format, args)})
}

// allFixes gives the fixes, and how many more there were.
func (d *reader) allFixes() []Fix {
	if d.omittedFixes > 0 {
		last := &d.fixes[len(d.fixes)-1]
		*last = Fix{"more", "", itoa(d.omittedFixes+1) + " more like these"}
		d.omittedFixes = 0
	}
	return d.fixes
}

// tolerate notes a fix in lenient mode; in strict mode it gives an error that
// says what belongs there.
func (d *reader) tolerate(code string, at AttrPath, want string, raw any, format string, args ...any) error {
	if d.mode == Strict {
		return InvalidValue("%s must be %s, not %s; strict mode takes no other form", at, want, describe(raw))
	}
	d.addFix(code, at.String(), format, args...)
	return nil
}

// What reading a value can come to beside the value itself, and nil for
// unassigned. None of them is "no value": nothing is emptied by them.
type (
	// notUnderstood is a value that has something in it of which nothing was understood.
	notUnderstood struct{ names []string }
	// hollowList is a list that was sent with elements none of which says anything, as
	// [{"value":null}].
	hollowList struct{}
	// partlyRead is a list with elements that were understood beside others that were not.
	partlyRead struct {
		list  []any
		names []string
	}
)

// readValue reads a value of an attribute; nil stands for unassigned. It may also
// be one of unread, husks and partly.
// RFC 7643 §2.5: null and the empty list are the same as nothing.
func (d *reader) readValue(a *Attribute, at AttrPath, raw any) (any, error) {
	if raw == nil {
		return nil, nil
	}
	switch {
	case a.MultiValued && raw == "" && d.forCreate:
		return nil, nil
	case a.MultiValued:
		return d.readList(a, at, raw)
	case raw == "":
		return d.readEmptyString(a, at)
	}
	return d.readSingle(a, at, raw)
}

// readEmptyString reads "" for one value. RFC 7643 §2.5 leaves open what it is of a
// type that has no such text.
func (d *reader) readEmptyString(a *Attribute, at AttrPath) (any, error) {
	switch a.Type {
	case Boolean:
		return d.readBoolean(at, "")
	case Integer, Decimal, DateTime, Binary:
		if d.mode == Strict {
			return nil, InvalidValue("%s is of type %s, and an empty string is not a value of that type; send null to unassign it", at, a.Type)
		}
	}
	return nil, nil
}

// grantsRights reports whether the elements of an attribute say who may do what:
// those are never guessed.
func grantsRights(a *Attribute, at AttrPath) bool {
	return a.MultiValued && at.Sub == "" && (equalName(a.Name, "members") || equalName(a.Name, "roles") || equalName(a.Name, "entitlements"))
}

func (d *reader) readList(a *Attribute, at AttrPath, raw any) (any, error) {
	items, ok := raw.([]any)
	if !ok {
		if inner, wrapped := wrappedList(a, raw); wrapped && d.mode == Lenient {
			d.addFix("wrapped-list", at.String(), "a list inside an object under its own name")
			return d.readValue(a, at, inner)
		}
		if !d.forPatch && raw != "" {
			if err := d.tolerate("single-for-list", at, "a list", raw, "one value where a list belongs"); err != nil {
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
	left := 0 // objects that say nothing
	for i, item := range items {
		v, err := d.readElement(a, at, item, i+1)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case nil:
			if _, ok := item.(object); ok {
				left++
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
	if left > 0 {
		d.addFix("says-nothing", at.String(), "values that say nothing were left out")
	}
	list = distinct(a, list)
	if err := checkOnePrimary(a, at, list); err != nil || len(names) == 0 {
		return list, err
	}
	return partlyRead{list, names}, nil
}

// wrappedList finds the list in {"members": […]} where the list of members
// belongs, as Salesforce documents it.
func wrappedList(a *Attribute, raw any) (any, bool) {
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

// readElement reads one value of a list, the number-th; nil is one that says
// nothing.
func (d *reader) readElement(a *Attribute, at AttrPath, raw any, number int) (any, error) {
	if _, nested := raw.([]any); nested {
		return nil, InvalidValue("%s: a list inside the list", at)
	}
	var v any
	var err error
	if raw != nil && raw != "" {
		if v, err = d.readSingle(a, at, raw); err != nil {
			return nil, err
		}
	}
	if grantsRights(a, at) && !d.identifiesTarget(a, v) {
		return nil, unidentified(a, at, raw, number)
	}
	m, isMap := v.(map[string]any)
	if isMap && (allUnassigned(m) || !d.forRemoval && !d.keepHollow && isHollow(a, m)) {
		return nil, nil
	}
	return v, nil
}

// identifiesTarget reports whether a value of members, roles or entitlements names
// somebody or something. To say which are to be removed, any part of one will do.
func (d *reader) identifiesTarget(a *Attribute, v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		_, nothingRead := v.(notUnderstood)
		return !empty(v) && !nothingRead
	}
	for name, value := range m {
		sub := a.Sub(name)
		switch {
		case empty(value) || sub.Name == "$ref" || sub.Name == "primary":
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

// isReadWrite reports whether a sub-attribute is there and can be set more than once.
func (a *Attribute) isReadWrite() bool { return a != nil && a.Mutability == ReadWrite }

// unidentified is the error about a value of members, roles or entitlements that
// names nothing that can be read: who may do what is never guessed.
func unidentified(a *Attribute, at AttrPath, raw any, number int) error {
	what := "says nothing"
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
	return InvalidValue("%s: value %d %s. Each value has to name what is meant, by %s", at, number, what, by)
}

// isHollow reports whether a value of a list has only what describes a
// value: its type, whether it is primary, and the text to show for it.
func isHollow(a *Attribute, m map[string]any) bool {
	tells := false
	for _, sub := range a.SubAttributes {
		switch {
		case sub.Name == "type" || sub.Name == "primary" || sub.Name == "display" || sub.Mutability == ReadOnly:
		case !empty(m[sub.Name]):
			return false
		default:
			tells = true
		}
	}
	return tells || allUnassigned(m)
}

// checkOnePrimary refuses two values of one list that are both primary.
// RFC 7643 §2.4: primary true may appear no more than once.
func checkOnePrimary(a *Attribute, at AttrPath, list []any) error {
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
			return InvalidValue("%s: two values are primary; at most one may be", at)
		}
		seen = true
	}
	return nil
}

func (d *reader) readSingle(a *Attribute, at AttrPath, raw any) (any, error) {
	if items, ok := raw.([]any); ok {
		if len(items) == 0 {
			return nil, nil
		}
		if len(items) > 1 {
			return nil, InvalidValue("%s has one value, and %d were sent", at, len(items))
		}
		if err := d.tolerate("list-for-single", at, "a single value", raw, "a list of one where a single value belongs"); err != nil {
			return nil, err
		}
		if items[0] == nil || items[0] == "" && a.Type != Boolean {
			return nil, nil
		}
		raw = items[0]
	}
	if o, ok := raw.(object); ok && a.Type != Complex && d.mode == Lenient && !requiresExactForm(a, at) {
		if inner, ok := d.unwrapValue(at, o); ok {
			if inner == nil || inner == "" && a.Type != Boolean {
				return nil, nil
			}
			raw = inner
		}
	}
	switch a.Type {
	case Complex:
		return d.readComplex(a, at, raw)
	case Boolean:
		return d.readBoolean(at, raw)
	case Integer:
		return d.readNumber(at, raw, "a whole number of at most 64 bits", func(s string) (any, bool) {
			i, ok := integer(s)
			return i, ok
		})
	case Decimal:
		return d.readNumber(at, raw, "a number of at most 17 digits", decimal)
	}
	if n, ok := raw.(number); ok && a.Type == String && !requiresExactForm(a, at) {
		return string(n), d.tolerate("number-for-text", at, "a text", raw, "the number %s read as a text", n)
	}
	s, ok := raw.(string)
	if !ok {
		return nil, wrongType(at, "a text", raw)
	}
	return s, checkString(a, at, s)
}

// requiresExactForm reports an attribute that is read in its own form alone: by it people
// and resources are told apart.
func requiresExactForm(a *Attribute, at AttrPath) bool {
	switch {
	case hidden(a):
		return true
	case at.URN != "":
		return false
	case at.Sub == "":
		return equalName(a.Name, "userName") || equalName(a.Name, "id") || equalName(a.Name, "members")
	}
	return equalName(at.Name, "members") && equalName(a.Name, "value")
}

// unwrapValue takes the value out of {"$ref": null, "value": "False"}, the form
// in which Microsoft's library and scripts for other products write one value.
func (d *reader) unwrapValue(at AttrPath, o object) (any, bool) {
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
	d.addFix("object-for-value", at.String(), "an object read as its value")
	return v, true
}

func checkString(a *Attribute, at AttrPath, s string) error {
	switch a.Type {
	case DateTime:
		if _, ok := parseTime(s); !ok {
			return InvalidValue("%s: %s is no time such as 2026-01-31T08:00:00Z", at, quote(s))
		}
	case Binary:
		if !validBase64(s) {
			return InvalidValue("%s: the value is not base64", at)
		}
	}
	return nil
}

// parseTime reads an xsd:dateTime; without an offset it is UTC. RFC 7643 §2.3.5.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// RFC 7643 §2.3.6: base64 as in RFC 4648 §4 or §5, padding may be left out.
func validBase64(s string) bool {
	s = strings.TrimRight(s, "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	_, err := encoding.DecodeString(s)
	return err == nil
}

func wrongType(at AttrPath, want string, raw any) error {
	return InvalidValue("%s must be %s, not %s", at, want, describe(raw))
}

func describe(raw any) string {
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
		return "the text " + quote(v)
	}
	return "an object"
}

// readBoolean never guesses: a text that is not clearly true or false is an error,
// "" included, because reading it either way could let a leaver back in.
func (d *reader) readBoolean(at AttrPath, raw any) (any, error) {
	if b, ok := raw.(bool); ok {
		return b, nil
	}
	switch raw := raw.(type) {
	case string:
		if b, ok := parseBoolean(raw); ok {
			return b, d.tolerate("text-boolean", at, "true or false", raw, "%s read as %t", quote(raw), b)
		}
	case number:
		if raw == "0" || raw == "1" {
			return raw == "1", d.tolerate("number-boolean", at, "true or false", raw, "%s read as %t", raw, raw == "1")
		}
	}
	return nil, wrongType(at, "true or false", raw)
}

func parseBoolean(s string) (value, ok bool) {
	switch {
	case equalName(s, "true") || s == "1":
		return true, true
	case equalName(s, "false") || s == "0":
		return false, true
	}
	return false, false
}

func (d *reader) readNumber(at AttrPath, raw any, want string, read func(string) (any, bool)) (any, error) {
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
			return v, d.tolerate("text-number", at, want, raw, "%s read as a number", quote(raw))
		}
	}
	return nil, wrongType(at, want, raw)
}

func (d *reader) readComplex(a *Attribute, at AttrPath, raw any) (any, error) {
	if s, ok := raw.(string); ok {
		return d.readStringAsComplex(a, at, s)
	}
	o, ok := raw.(object)
	if !ok {
		return nil, wrongType(at, "an object", raw)
	}
	o = d.expandJSONString(a, at, o)
	m := make(map[string]any, len(o))
	known := 0 // members that stand for something, were it nothing to set
	var names []string
	for _, mem := range o {
		sub, err := d.findSub(a, at, mem.name, o)
		if err != nil {
			return nil, err
		}
		if sub == nil {
			if !hasContent(mem.value) {
				continue // as if it were not there
			}
			names = append(names, AttrPath{at.URN, at.Name, mem.name}.String())
			continue
		}
		known++
		if sub.Mutability == ReadOnly {
			continue // RFC 7643 §7: a readOnly value that a client sends is ignored.
		}
		v, err := d.readValue(sub, AttrPath{at.URN, at.Name, sub.Name}, mem.value)
		if err != nil {
			return nil, err
		}
		if hidden(sub) {
			d.addFix("not-kept", AttrPath{at.URN, at.Name, sub.Name}.String(), "accepted and not kept")
			continue
		}
		if _, ok := v.(hollowList); ok {
			d.addFix("says-nothing", AttrPath{at.URN, at.Name, sub.Name}.String(), "the values say nothing and were left out")
			continue
		}
		if v != nil || d.forPatch {
			m[sub.Name] = v
		}
	}
	// What selects must be understood whole, lest it selects too much.
	if len(names) > 0 && (known == 0 || len(m) == 0 || d.forRemoval && empty(m["value"]) || a.MultiValued && !d.forRemoval && isHollow(a, m)) {
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

// hasContent reports whether a value of a name that is not known says anything.
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

// allUnassigned reports whether all values of a complex value are unassigned.
func allUnassigned(m map[string]any) bool {
	for _, v := range m {
		if v != nil {
			return false
		}
	}
	return true
}

// findSub finds the sub-attribute a member stands for; nil when none.
func (d *reader) findSub(a *Attribute, at AttrPath, name string, o object) (*Attribute, error) {
	if sub := a.Sub(name); sub != nil {
		return sub, nil
	}
	full := AttrPath{at.URN, at.Name, name}
	if d.mode == Strict {
		return nil, InvalidSyntax("%s: no such sub-attribute", full)
	}
	// Entra's roles carry displayName where RFC 7643 §2.4 has display.
	if display := a.Sub("display"); display != nil && equalName(name, "displayName") {
		if _, both := o.get("display"); !both {
			d.addFix("display-name", full.String(), "read as %s.display", at.Name)
			return display, nil
		}
	}
	return nil, nil
}

// readStringAsComplex reads a bare text as the sub-attribute value.
func (d *reader) readStringAsComplex(a *Attribute, at AttrPath, s string) (any, error) {
	if a.Sub("value") == nil {
		return nil, wrongType(at, "an object", s)
	}
	if s == "" {
		return nil, nil
	}
	if err := d.tolerate("text-for-object", at, "an object", s, "a text read as the value"); err != nil {
		return nil, err
	}
	return d.readComplex(a, at, object{{"value", s}})
}

// expandJSONString takes apart a value that is a JSON text, as Entra sends app roles:
// {"value":"{\"id\":…,\"value\":\"Admin\",\"displayName\":\"Admin\"}"}. Other
// attributes with a value, such as the manager, come so as well; a member's id
// is never looked for in a text.
func (d *reader) expandJSONString(a *Attribute, at AttrPath, o object) object {
	sub := a.Sub("value")
	if d.mode == Strict || sub == nil || sub.Type != String || requiresExactForm(sub, AttrPath{at.URN, at.Name, sub.Name}) {
		return o
	}
	raw, _ := o.get("value")
	text, _ := raw.(string)
	if !strings.HasPrefix(strings.TrimLeft(text, " "), "{") {
		return o
	}
	inner, err := scan([]byte(text))
	fields, ok := inner.(object)
	if err != nil || !ok {
		return o // a text that merely begins with a brace is a value like any other
	}
	value, display := stringMember(fields, "value"), ""
	if a.Sub("display") != nil {
		if display = stringMember(fields, "displayName"); display == "" {
			display = stringMember(fields, "display")
		}
	}
	if value == "" {
		value = display // Entra's default role has no value of its own
	}
	if value == "" {
		return o
	}
	d.addFix("json-text", at.String(), "a JSON text read as an object")
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

func stringMember(o object, name string) string {
	v, _ := o.get(name)
	s, _ := v.(string)
	return s
}
