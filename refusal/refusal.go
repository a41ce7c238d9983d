// Package refusal is the form in which packages such as roster and directory refuse a request: the
// kind of the refusal, the field that it is about, what was refused and why, and what to do next.
//
// The packages that answer users turn a refusal into their own form of answer, each in one place:
// scimserver into a SCIM error, console into a page or a message next to a form field, cmd/rollcall
// into a sentence on standard error. So Advice names no button and no command; these packages add
// their own button or command.
//
// Every other error is a failure of the system. Its text goes into the log and is not shown to the
// user.
package refusal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is the kind of a refusal; pages, commands and APIs choose their answer by it. It implements
// error, so that callers can test errors.Is(err, refusal.NotFound).
type Kind string

// The kinds of refusals.
const (
	Invalid      Kind = "invalid"      // the value itself is wrong, independent of stored data
	NotFound     Kind = "not found"    // there is nothing with the name or id in the request
	Gone         Kind = "gone"         // the object that the request names existed, but has ended or was removed
	Taken        Kind = "taken"        // another record has this value, which must be unique
	Conflict     Kind = "conflict"     // the current state of the object does not allow the request
	Stale        Kind = "stale"        // the record was changed after the caller read it
	Unauthorized Kind = "unauthorized" // the caller is unknown
	Forbidden    Kind = "forbidden"    // the caller may not do this
	Off          Kind = "off"          // the feature is switched off or does not exist on this site
	TooLarge     Kind = "too large"    // the value is larger than may be stored
	TooMuch      Kind = "too much"     // the request would cost too much to answer
	Busy         Kind = "busy"         // nothing was done; the same request may be accepted later
)

func (k Kind) Error() string { return string(k) }

// Error is one refusal. For each refusal that callers test for, a package has a variable, and
// returns copies of that variable with more detail.
type Error struct {
	Kind   Kind
	Code   string // the code that identifies this refusal; empty if no caller tests for it
	Field  string // the attribute, form field, column or setting with the problem; empty if there is none
	Detail string // says what was refused and why, in a clause without a full stop
	Advice string // says what to do next, in words that fit pages, commands and APIs; may be empty
	Data   any    // data that a page, command or API may show besides the words; the package that makes the refusal defines its type

	keepsCase bool // whether Sentences must not capitalize Detail, because Detail starts with a value
}

// New makes a refusal. field names the field with the problem and may be empty. The detail should
// start in lower case, unless it starts with a name.
func New(kind Kind, field, detail string, args ...any) *Error {
	return (&Error{Kind: kind, Field: field}).Because(detail, args...)
}

// Because returns a copy of the refusal with a different detail.
func (e *Error) Because(detail string, args ...any) *Error {
	c := *e
	c.Detail, c.keepsCase = fmt.Sprintf(detail, args...), strings.HasPrefix(detail, "%")
	return &c
}

// Advise returns a copy of the refusal with advice.
func (e *Error) Advise(advice string, args ...any) *Error {
	c := *e
	c.Advice = fmt.Sprintf(advice, args...)
	return &c
}

// Coded returns a copy of the refusal with a code. errors.Is treats refusals with the same code as
// equal.
func (e *Error) Coded(code string) *Error {
	c := *e
	c.Code = code
	return &c
}

// At returns a copy of the refusal with a different field.
func (e *Error) At(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// WithData returns a copy of the refusal with data that pages, commands and APIs may show.
func (e *Error) WithData(data any) *Error {
	c := *e
	c.Data = data
	return &c
}

// Error returns the refusal in the form "detail; advice", without a full stop.
func (e *Error) Error() string {
	if e.Advice == "" {
		return e.Detail
	}
	return e.Detail + "; " + e.Advice
}

// Is reports whether target is the kind of e, or a refusal with the same code as e. errors.Is calls
// it.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Kind:
		return e.Kind == t
	case *Error:
		return t.Code != "" && e.Code == t.Code
	}
	return false
}

// Sentences returns the refusal as sentences, in the form "Detail. Advice."
func (e *Error) Sentences() string {
	text := withFullStop(e.Detail)
	if !e.keepsCase && !e.startsWithField() {
		text = capitalize(text)
	}
	if e.Advice != "" {
		text += " " + capitalize(withFullStop(e.Advice))
	}
	return text
}

// startsWithField reports whether the detail starts with the name in Field or with one part of it.
// Sentences must not capitalize such a name.
func (e *Error) startsWithField() bool {
	first, _, _ := strings.Cut(e.Detail, " ")
	first = strings.TrimRight(first, ":,")
	return e.Field != "" && slices.Contains(strings.Split(e.Field, "."), first) || first == e.Field
}

// Find returns the first refusal in err's chain. ok is false if there is none.
func Find(err error) (*Error, bool) {
	var e *Error
	return e, errors.As(err, &e)
}

// DataOf returns the data of the first refusal in err's chain. ok is false if there is no
// refusal, or if its data is not a T.
func DataOf[T any](err error) (T, bool) {
	if e, ok := Find(err); ok {
		data, is := e.Data.(T)
		return data, is
	}
	var none T
	return none, false
}

// withFullStop ends a clause with a full stop, unless it ends with a punctuation mark that ends
// sentences.
func withFullStop(text string) string {
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".?!") {
		return text
	}
	return text + "."
}

// capitalize returns the text with a capital as its first letter. It changes nothing if the first
// word contains a capital already, as userName does.
func capitalize(text string) string {
	first, _, _ := strings.Cut(text, " ")
	if first == "" || strings.ToLower(first) != first || strings.ContainsAny(first, "\"@") {
		return text
	}
	r, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[size:]
}
