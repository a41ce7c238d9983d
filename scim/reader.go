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
	mode      Mode
	patch     bool // values of PATCH operations: null stands for "unassign this sub-attribute"
	keepHusks bool // an element that says nothing yet may say something by the end of the PATCH
	selecting bool // the values say which elements are meant
	replaces  bool // the body of a PUT: what was sent as null differs from what was left out
	creates   bool // the body of a POST: nothing is there that could be lost
	fixes     []Fix
	more      int // fixes left out

	dropped []*Attribute // top-level attributes that were sent and are not kept
	keys    []member     // of a body: those whose names are paths
}

func (d *reader) fix(code, path, format string, args ...any) {
	if len(d.fixes) == maxFixes {
		d.more++
		return
	}
	d.fixes = append(d.fixes, Fix{code, path, sentence(format, args)})
}

// noted gives the fixes, and how many more there were.
func (d *reader) noted() []Fix {
	if d.more > 0 {
		last := &d.fixes[len(d.fixes)-1]
		*last = Fix{"more", "", itoa(d.more+1) + " more like these"}
		d.more = 0
	}
	return d.fixes
}

// tolerate notes a fix in lenient mode; in strict mode it gives an error that
// says what belongs there.
func (d *reader) tolerate(code string, at AttrPath, want string, raw any, format string, args ...any) error {
	if d.mode == Strict {
		return InvalidValue("%s must be %s, not %s; strict mode takes no other form", at, want, describe(raw))
	}
	d.fix(code, at.String(), format, args...)
	return nil
}

// What reading a value can come to beside the value itself, and nil for
// unassigned. None of them is "no value": nothing is emptied by them.
type (
	// unread is a value that has something in it of which nothing was understood.
	unread struct{ names []string }
	// husks is a list that was sent with elements none of which says anything, as
	// [{"value":null}].
	husks struct{}
	// partly is a list with elements that were understood beside others that were not.
	partly struct {
		list  []any
		names []string
	}
)

// value reads a value of an attribute; nil stands for unassigned. It may also
// be one of unread, husks and partly.
// RFC 7643 §2.5: null and the empty list are the same as nothing.
func (d *reader) value(a *Attribute, at AttrPath, raw any) (any, error) {
	if raw == nil {
		return nil, nil
	}
	switch {
	case a.MultiValued && raw == "" && d.creates:
		return nil, nil
	case a.MultiValued:
		return d.list(a, at, raw)
	case raw == "":
		return d.emptyText(a, at)
	}
	return d.single(a, at, raw)
}

// emptyText reads "" for one value. RFC 7643 §2.5 leaves open what it is of a
// type that has no such text.
func (d *reader) emptyText(a *Attribute, at AttrPath) (any, error) {
	switch a.Type {
	case Boolean:
		return d.boolean(at, "")
	case Integer, Decimal, DateTime, Binary:
		if d.mode == Strict {
			return nil, InvalidValue("%s is of type %s, and an empty string is not a value of that type; send null to unassign it", at, a.Type)
		}
	}
	return nil, nil
}

// grants reports whether the elements of an attribute say who may do what:
// those are never guessed.
func grants(a *Attribute, at AttrPath) bool {
	return a.MultiValued && at.Sub == "" && (equalName(a.Name, "members") || equalName(a.Name, "roles") || equalName(a.Name, "entitlements"))
}

func (d *reader) list(a *Attribute, at AttrPath, raw any) (any, error) {
	items, ok := raw.([]any)
	if !ok {
		if inner, wrapped := wrappedList(a, raw); wrapped && d.mode == Lenient {
			d.fix("wrapped-list", at.String(), "a list inside an object under its own name")
			return d.value(a, at, inner)
		}
		if !d.patch && raw != "" {
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
		v, err := d.element(a, at, item, i+1)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case nil:
			if _, ok := item.(object); ok {
				left++
			}
		case unread:
			names = append(names, v.names...)
		default:
			list = append(list, v)
		}
	}
	switch {
	case len(list) == 0 && len(names) > 0:
		return unread{names}, nil
	case len(list) == 0:
		return husks{}, nil
	}
	if left > 0 {
		d.fix("says-nothing", at.String(), "values that say nothing were left out")
	}
	list = distinct(a, list)
	if err := onePrimary(a, at, list); err != nil || len(names) == 0 {
		return list, err
	}
	return partly{list, names}, nil
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

// element reads one value of a list, the number-th; nil is one that says
// nothing.
func (d *reader) element(a *Attribute, at AttrPath, raw any, number int) (any, error) {
	if _, nested := raw.([]any); nested {
		return nil, InvalidValue("%s: a list inside the list", at)
	}
	var v any
	var err error
	if raw != nil && raw != "" {
		if v, err = d.single(a, at, raw); err != nil {
			return nil, err
		}
	}
	if grants(a, at) && !d.names(a, v) {
		return nil, unnamed(a, at, raw, number)
	}
	m, isMap := v.(map[string]any)
	if isMap && (nothing(m) || !d.selecting && !d.keepHusks && saysNothing(a, m)) {
		return nil, nil
	}
	return v, nil
}

// names reports whether a value of members, roles or entitlements names
// somebody or something. To say which are to be removed, any part of one will do.
func (d *reader) names(a *Attribute, v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		_, nothingRead := v.(unread)
		return !empty(v) && !nothingRead
	}
	for name, value := range m {
		sub := a.Sub(name)
		switch {
		case empty(value) || sub.Name == "$ref" || sub.Name == "primary":
		case sub.Name == "type":
			if d.selecting && a.Sub("value").changeable() {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// changeable reports whether a sub-attribute is there and can be set more than once.
func (a *Attribute) changeable() bool { return a != nil && a.Mutability == ReadWrite }

// unnamed is the error about a value of members, roles or entitlements that
// names nothing that can be read: who may do what is never guessed.
func unnamed(a *Attribute, at AttrPath, raw any, number int) error {
	what := "says nothing"
	o, _ := raw.(object)
	var names []string
	for _, m := range o {
		if says(m.value) {
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

// saysNothing reports whether a value of a list has only what describes a
// value: its type, whether it is primary, and the text to show for it.
func saysNothing(a *Attribute, m map[string]any) bool {
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
	return tells || nothing(m)
}

// onePrimary refuses two values of one list that are both primary.
// RFC 7643 §2.4: primary true may appear no more than once.
func onePrimary(a *Attribute, at AttrPath, list []any) error {
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

func (d *reader) single(a *Attribute, at AttrPath, raw any) (any, error) {
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
	if o, ok := raw.(object); ok && a.Type != Complex && d.mode == Lenient && !exactForm(a, at) {
		if inner, ok := d.onlyValue(at, o); ok {
			if inner == nil || inner == "" && a.Type != Boolean {
				return nil, nil
			}
			raw = inner
		}
	}
	switch a.Type {
	case Complex:
		return d.complex(a, at, raw)
	case Boolean:
		return d.boolean(at, raw)
	case Integer:
		return d.number(at, raw, "a whole number of at most 64 bits", func(s string) (any, bool) {
			i, ok := integer(s)
			return i, ok
		})
	case Decimal:
		return d.number(at, raw, "a number of at most 17 digits", decimal)
	}
	if n, ok := raw.(number); ok && a.Type == String && !exactForm(a, at) {
		return string(n), d.tolerate("number-for-text", at, "a text", raw, "the number %s read as a text", n)
	}
	s, ok := raw.(string)
	if !ok {
		return nil, wrongType(at, "a text", raw)
	}
	return s, checkText(a, at, s)
}

// exactForm reports an attribute that is read in its own form alone: by it people
// and resources are told apart.
func exactForm(a *Attribute, at AttrPath) bool {
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

// onlyValue takes the value out of {"$ref": null, "value": "False"}, the form
// in which Microsoft's library and scripts for other products write one value.
func (d *reader) onlyValue(at AttrPath, o object) (any, bool) {
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
	d.fix("object-for-value", at.String(), "an object read as its value")
	return v, true
}

func checkText(a *Attribute, at AttrPath, s string) error {
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

// boolean never guesses: a text that is not clearly true or false is an error,
// "" included, because reading it either way could let a leaver back in.
func (d *reader) boolean(at AttrPath, raw any) (any, error) {
	if b, ok := raw.(bool); ok {
		return b, nil
	}
	switch raw := raw.(type) {
	case string:
		if b, ok := textBoolean(raw); ok {
			return b, d.tolerate("text-boolean", at, "true or false", raw, "%s read as %t", quote(raw), b)
		}
	case number:
		if raw == "0" || raw == "1" {
			return raw == "1", d.tolerate("number-boolean", at, "true or false", raw, "%s read as %t", raw, raw == "1")
		}
	}
	return nil, wrongType(at, "true or false", raw)
}

func textBoolean(s string) (value, ok bool) {
	switch {
	case equalName(s, "true") || s == "1":
		return true, true
	case equalName(s, "false") || s == "0":
		return false, true
	}
	return false, false
}

func (d *reader) number(at AttrPath, raw any, want string, read func(string) (any, bool)) (any, error) {
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

func (d *reader) complex(a *Attribute, at AttrPath, raw any) (any, error) {
	if s, ok := raw.(string); ok {
		return d.textForComplex(a, at, s)
	}
	o, ok := raw.(object)
	if !ok {
		return nil, wrongType(at, "an object", raw)
	}
	o = d.expand(a, at, o)
	m := make(map[string]any, len(o))
	known := 0 // members that stand for something, were it nothing to set
	var names []string
	for _, mem := range o {
		sub, err := d.subOf(a, at, mem.name, o)
		if err != nil {
			return nil, err
		}
		if sub == nil {
			if !says(mem.value) {
				continue // as if it were not there
			}
			names = append(names, AttrPath{at.URN, at.Name, mem.name}.String())
			continue
		}
		known++
		if sub.Mutability == ReadOnly {
			continue // RFC 7643 §7: a readOnly value that a client sends is ignored.
		}
		v, err := d.value(sub, AttrPath{at.URN, at.Name, sub.Name}, mem.value)
		if err != nil {
			return nil, err
		}
		if hidden(sub) {
			d.fix("not-kept", AttrPath{at.URN, at.Name, sub.Name}.String(), "accepted and not kept")
			continue
		}
		if _, ok := v.(husks); ok {
			d.fix("says-nothing", AttrPath{at.URN, at.Name, sub.Name}.String(), "the values say nothing and were left out")
			continue
		}
		if v != nil || d.patch {
			m[sub.Name] = v
		}
	}
	// What selects must be understood whole, lest it selects too much.
	if len(names) > 0 && (known == 0 || len(m) == 0 || d.selecting && empty(m["value"]) || a.MultiValued && !d.selecting && saysNothing(a, m)) {
		return unread{names}, nil
	}
	for _, name := range names {
		d.fix("unknown-attribute", name, "ignored: no such sub-attribute")
	}
	if nothing(m) && (!d.patch || a.MultiValued) {
		return nil, nil
	}
	return m, nil
}

// says reports whether a value of a name that is not known says anything.
func says(raw any) bool {
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

// nothing reports whether all values of a complex value are unassigned.
func nothing(m map[string]any) bool {
	for _, v := range m {
		if v != nil {
			return false
		}
	}
	return true
}

// subOf finds the sub-attribute a member stands for; nil when none.
func (d *reader) subOf(a *Attribute, at AttrPath, name string, o object) (*Attribute, error) {
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
			d.fix("display-name", full.String(), "read as %s.display", at.Name)
			return display, nil
		}
	}
	return nil, nil
}

// textForComplex reads a bare text as the sub-attribute value.
func (d *reader) textForComplex(a *Attribute, at AttrPath, s string) (any, error) {
	if a.Sub("value") == nil {
		return nil, wrongType(at, "an object", s)
	}
	if s == "" {
		return nil, nil
	}
	if err := d.tolerate("text-for-object", at, "an object", s, "a text read as the value"); err != nil {
		return nil, err
	}
	return d.complex(a, at, object{{"value", s}})
}

// expand takes apart a value that is a JSON text, as Entra sends app roles:
// {"value":"{\"id\":…,\"value\":\"Admin\",\"displayName\":\"Admin\"}"}. Other
// attributes with a value, such as the manager, come so as well; a member's id
// is never looked for in a text.
func (d *reader) expand(a *Attribute, at AttrPath, o object) object {
	sub := a.Sub("value")
	if d.mode == Strict || sub == nil || sub.Type != String || exactForm(sub, AttrPath{at.URN, at.Name, sub.Name}) {
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
	value, display := textOf(fields, "value"), ""
	if a.Sub("display") != nil {
		if display = textOf(fields, "displayName"); display == "" {
			display = textOf(fields, "display")
		}
	}
	if value == "" {
		value = display // Entra's default role has no value of its own
	}
	if value == "" {
		return o
	}
	d.fix("json-text", at.String(), "a JSON text read as an object")
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

func textOf(o object, name string) string {
	v, _ := o.get(name)
	s, _ := v.(string)
	return s
}
