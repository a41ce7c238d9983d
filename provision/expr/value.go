package expr

import (
	"strings"
	"time"
)

// Kind is the kind of a Value.
type Kind uint8

// The kinds of Value. The zero Value is Null.
const (
	KindNull     Kind = iota // the attribute is absent on the object
	KindString               // a string, which may be empty
	KindNumber               // a whole or decimal number, stored as its digits
	KindBoolean              // the value True or False
	KindDateTime             // an instant, in UTC
	KindList                 // several strings
	KindNoFlow               // the target attribute must be left out of the request
)

// Value is the value of an attribute or the result of an expression. The zero Value is Null.
//
// An evaluation copies values often, so the struct is kept small.
type Value struct {
	text string
	list []string
	when *time.Time // the instant of a DateTime; otherwise nil

	kind     Kind
	complex  bool // whether the elements are JSON objects
	redacted bool // whether logs must not show the value
}

// Null returns the value of an absent attribute. It differs from the empty string.
func Null() Value { return Value{} }

// NoFlow returns the value that leaves the target attribute out of the request.
func NoFlow() Value { return Value{kind: KindNoFlow} }

// String returns a string value. The empty string is a value, not null.
func String(s string) Value { return Value{kind: KindString, text: s} }

// Number returns a number with these decimal digits, which it does not check.
func Number(decimal string) Value { return Value{kind: KindNumber, text: decimal} }

// Boolean returns the value True or False.
func Boolean(b bool) Value {
	if b {
		return Value{kind: KindBoolean, text: "True"}
	}
	return Value{kind: KindBoolean, text: "False"}
}

// DateTime returns an instant. The value stores it in UTC. Its text has whole seconds.
func DateTime(t time.Time) Value {
	t = t.UTC()
	return Value{kind: KindDateTime, text: t.Format("1/2/2006 3:04:05 PM"), when: &t}
}

// List returns a multi-valued value and keeps the slice. For an empty slice it returns null,
// because an attribute without values is absent.
func List(values []string) Value {
	if len(values) == 0 {
		return Null()
	}
	return Value{kind: KindList, list: values}
}

// complexList returns a list whose elements are JSON objects, written as strings.
func complexList(objects []string) Value {
	v := List(objects)
	v.complex = v.kind == KindList
	return v
}

// IsComplex reports whether v is a list of complex values. Then each of its strings is a JSON
// object, and is sent as an object.
func (v Value) IsComplex() bool { return v.complex }

// IsRedacted reports whether the value went through Redact. Logs then show Redacted(v) instead.
func (v Value) IsRedacted() bool { return v.redacted }

// Redacted returns the value's text for logs: [Redact] if the value went through Redact.
func Redacted(v Value) string {
	if v.redacted {
		return redactedText
	}
	return v.Text()
}

// Kind returns the kind of the value.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether v is null. The empty string is not.
func (v Value) IsNull() bool { return v.kind == KindNull }

// IsNoFlow reports whether the target attribute must be left out of the request.
func (v Value) IsNoFlow() bool { return v.kind == KindNoFlow }

// IsNullOrEmpty reports whether v is null, no-flow, the empty string, or a list of empty strings.
func (v Value) IsNullOrEmpty() bool {
	if v.kind != KindList {
		return v.text == ""
	}
	for _, s := range v.list {
		if s != "" {
			return false
		}
	}
	return true
}

// Text returns the value as a string for people: True or False, a number's digits, an instant as
// M/d/yyyy h:mm:ss tt, or a list's elements separated by ", ". It returns "" for null and no-flow.
func (v Value) Text() string {
	if v.kind == KindList {
		return strings.Join(v.list, ", ")
	}
	return v.text
}

// Strings returns the value's strings: none for null and no-flow, one for a single value, or all
// elements of a list. The caller must not change the slice.
func (v Value) Strings() []string {
	switch v.kind {
	case KindNull, KindNoFlow:
		return nil
	case KindList:
		return v.list
	default:
		return []string{v.text}
	}
}

// Time returns the instant of a DateTime. It returns false for every other kind.
func (v Value) Time() (time.Time, bool) {
	if v.when == nil {
		return time.Time{}, false
	}
	return *v.when, true
}

// single returns the only element of a list, or a value that is not a list. ok is false for a list
// of several elements.
func (v Value) single() (one Value, ok bool) {
	if v.kind != KindList {
		return v, true
	}
	if len(v.list) == 1 {
		return String(v.list[0]), true
	}
	return v, false
}
