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
	mode  Mode
	patch bool // values of PATCH operations: null stands for "unassign this sub-attribute"
	fixes []Fix
	more  int // fixes left out

	dropped []*Attribute // top-level attributes that were sent and are not kept
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

// value reads a value of an attribute; nil stands for unassigned.
// RFC 7643 §2.5: null and the empty list are the same as nothing.
func (d *reader) value(a *Attribute, at AttrPath, raw any) (any, error) {
	if raw == nil || raw == "" && a.Type != Boolean {
		return nil, nil
	}
	if a.MultiValued {
		return d.list(a, at, raw)
	}
	return d.single(a, at, raw)
}

func (d *reader) list(a *Attribute, at AttrPath, raw any) (any, error) {
	items, ok := raw.([]any)
	if !ok {
		if !d.patch {
			if err := d.tolerate("single-for-list", at, "a list", raw, "one value where a list belongs"); err != nil {
				return nil, err
			}
		}
		items = []any{raw}
	}
	list := make([]any, 0, len(items))
	for _, item := range items {
		if _, nested := item.([]any); nested {
			return nil, InvalidValue("%s: a list inside the list", at)
		}
		if item == nil || item == "" {
			continue
		}
		v, err := d.single(a, at, item)
		if err != nil {
			return nil, err
		}
		if v != nil {
			list = append(list, v)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	list = distinct(a, list)
	return list, onePrimary(a, at, list)
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
	s, ok := raw.(string)
	if !ok {
		return nil, wrongType(at, "a text", raw)
	}
	return s, checkText(a, at, s)
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
	if s, ok := raw.(string); ok {
		if b, ok := textBoolean(s); ok {
			return b, d.tolerate("text-boolean", at, "true or false", raw, "%s read as %t", quote(s), b)
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
	readOnly := "" // one that was sent
	for _, mem := range o {
		sub, err := d.subOf(a, at, mem.name, o)
		if err != nil {
			return nil, err
		}
		if sub == nil {
			continue
		}
		if sub.Mutability == ReadOnly {
			if mem.value != nil && mem.value != "" {
				readOnly = sub.Name
			}
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
		if v != nil || d.patch {
			m[sub.Name] = v
		}
	}
	if nothing(m) && a.MultiValued && readOnly != "" {
		// A member told by its name alone would be left out, and the answer be a success.
		return nil, InvalidValue("%s: a value has only %s, which a client cannot set", at, readOnly)
	}
	if nothing(m) && (!d.patch || a.MultiValued) {
		return nil, nil
	}
	return m, nil
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

// subOf finds the sub-attribute a member stands for; nil when it is ignored.
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
	d.fix("unknown-attribute", full.String(), "ignored: no such sub-attribute")
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
// {"value":"{\"id\":…,\"value\":\"Admin\",\"displayName\":\"Admin\"}"}.
func (d *reader) expand(a *Attribute, at AttrPath, o object) object {
	if d.mode == Strict || a.Sub("display") == nil || a.Sub("value") == nil {
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
	value, display := textOf(fields, "value"), textOf(fields, "displayName")
	if display == "" {
		display = textOf(fields, "display")
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
