package expr

import (
	"strings"
	"time"
)

// Kind is the kind of a Value.
type Kind uint8

// The kinds of Value. The zero Value is Null.
const (
	KindNull     Kind = iota // no value, such as that of an absent attribute
	KindString               // a string, which may be empty
	KindNumber               // a whole or decimal number, stored as a string of digits
	KindBoolean              // the value True or False
	KindDateTime             // an instant, in UTC
	KindList                 // several strings
	KindNoFlow               // the target attribute must be left out of the request
)

// Value is the value of an attribute or the result of an expression. The zero Value is Null.
//
// An evaluation often copies values, so the struct is kept small.
type Value struct {
	text    string
	list    []string
	instant *time.Time // the instant of a DateTime; otherwise nil

	kind            Kind
	complexElements bool // whether the elements of the list are JSON objects
	redacted        bool // whether logs must not show the value
}

// Null returns the value of an absent attribute. It is not the empty string.
func Null() Value { return Value{} }

// NoFlow returns the value that means that the target attribute must be left out of the request.
func NoFlow() Value { return Value{kind: KindNoFlow} }

// String returns a string value. String("") is not null.
func String(s string) Value { return Value{kind: KindString, text: s} }

// Number returns the number with these decimal digits. It does not check the digits.
func Number(decimal string) Value { return Value{kind: KindNumber, text: decimal} }

// Boolean returns the value True if b is true, and otherwise False.
func Boolean(b bool) Value {
	if b {
		return Value{kind: KindBoolean, text: "True"}
	}
	return Value{kind: KindBoolean, text: "False"}
}

// DateTime returns the value of an instant. The value stores it in UTC. Value.Text shows only whole
// seconds.
func DateTime(t time.Time) Value {
	t = t.UTC()
	return Value{kind: KindDateTime, text: t.Format("1/2/2006 3:04:05 PM"), instant: &t}
}

// List returns a multi-valued value. The caller must not change the slice afterwards. If the slice
// is empty, List returns null, because an attribute without values is absent.
func List(values []string) Value {
	if len(values) == 0 {
		return Null()
	}
	return Value{kind: KindList, list: values}
}

// complexList returns a list of complex values. Each string must be a JSON object.
func complexList(objects []string) Value {
	v := List(objects)
	v.complexElements = v.kind == KindList
	return v
}

// IsComplex reports whether v is a list of complex values. If so, each of its strings is a JSON
// object, and must be sent as an object instead of a string.
func (v Value) IsComplex() bool { return v.complexElements }

// IsRedacted reports whether the value went through Redact. If so, logs must not show it.
func (v Value) IsRedacted() bool { return v.redacted }

// LogText returns the text that logs show for a value: [Redact] if the value went through Redact,
// and otherwise its text.
func LogText(v Value) string {
	if v.redacted {
		return redactedText
	}
	return v.Text()
}

// Kind returns the kind of the value.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether v is null. The empty string is not null.
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

// Text returns the value as a string: True or False, the digits of a number, an instant in the form
// M/d/yyyy h:mm:ss tt, or the elements of a list separated by ", ". It returns "" for null and
// no-flow.
func (v Value) Text() string {
	if v.kind == KindList {
		return strings.Join(v.list, ", ")
	}
	return v.text
}

// Strings returns the value as a list of strings. The list is empty for null and no-flow, and has
// one string for a single value. The caller must not change the slice.
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

// Time returns the instant of a DateTime. It returns false for a value of any other kind.
func (v Value) Time() (time.Time, bool) {
	if v.instant == nil {
		return time.Time{}, false
	}
	return *v.instant, true
}

// singleValue returns v if it is not a list, or the element of a list with one element. ok is false
// for a list of several elements.
func (v Value) singleValue() (one Value, ok bool) {
	if v.kind != KindList {
		return v, true
	}
	if len(v.list) == 1 {
		return String(v.list[0]), true
	}
	return v, false
}
