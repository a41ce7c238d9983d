// Package refusal is the one form in which every domain refuses what it was
// asked: what kind of refusal it is, which field it is about, what was refused
// and why, and what to do next.
//
// Domains make refusals. Each edge turns them into its own answer in one place:
// scimserver into a SCIM error, console into a page or into words beside a form
// field, cmd/rollcall into a sentence on standard error. Advice therefore names
// no button and no command; an edge that has one adds it there.
//
// Every other error is a failure: its reason is for the log and not for people.
package refusal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind says why something was refused, as far as every edge has to know. It is
// an error, so that callers can ask errors.Is(err, refusal.NotFound).
type Kind string

// The kinds of refusals.
const (
	Invalid      Kind = "invalid"      // a value cannot be accepted, whatever is stored
	NotFound     Kind = "not found"    // what was named does not exist
	Gone         Kind = "gone"         // it existed, and has ended
	Taken        Kind = "taken"        // another one has a value that must be unique
	Conflict     Kind = "conflict"     // the present state does not allow it
	Stale        Kind = "stale"        // it was changed since the caller read it
	Unauthorized Kind = "unauthorized" // nobody knows who asks
	Forbidden    Kind = "forbidden"    // whoever asks may not do this
	Off          Kind = "off"          // it is switched off or does not exist here
	TooLarge     Kind = "too large"    // more than is stored of one thing
	TooMuch      Kind = "too much"     // the question would cost too much to answer
	Busy         Kind = "busy"         // nothing was done; the same request may be accepted later
)

func (k Kind) Error() string { return string(k) }

// Error is one refusal. A domain keeps those that callers ask for by name in
// variables, and returns copies of them with more detail.
type Error struct {
	Kind   Kind
	Code   string // names this refusal among its kind; empty where nobody asks for it by name
	Field  string // the attribute, form field, column or setting; empty where it is about none
	Detail string // what was refused and why: a clause without a full stop
	Advice string // what to do next, in words that hold at every edge; may be empty
	About  any    // what an edge may show beside the words; its type belongs to the domain

	keepsCase bool // Detail begins with a value
}

// New makes a refusal about a field, which may be empty. The detail begins in
// lower case unless it begins with a name.
func New(kind Kind, field, detail string, args ...any) *Error {
	return (&Error{Kind: kind, Field: field}).Because(detail, args...)
}

// Because returns the refusal with another detail.
func (e *Error) Because(detail string, args ...any) *Error {
	c := *e
	c.Detail, c.keepsCase = fmt.Sprintf(detail, args...), strings.HasPrefix(detail, "%")
	return &c
}

// Advise returns the refusal with what to do next.
func (e *Error) Advise(advice string, args ...any) *Error {
	c := *e
	c.Advice = fmt.Sprintf(advice, args...)
	return &c
}

// Coded returns the refusal with a code. Two refusals of one code are the same
// one to errors.Is.
func (e *Error) Coded(code string) *Error {
	c := *e
	c.Code = code
	return &c
}

// At returns the refusal about another field.
func (e *Error) At(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// With returns the refusal with what it is about, for edges that show it.
func (e *Error) With(about any) *Error {
	c := *e
	c.About = about
	return &c
}

// Error is the refusal as part of a line: detail; advice.
func (e *Error) Error() string {
	if e.Advice == "" {
		return e.Detail
	}
	return e.Detail + "; " + e.Advice
}

// Is reports whether target is the refusal's kind, or a refusal of its code.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Kind:
		return e.Kind == t
	case *Error:
		return t.Code != "" && e.Code == t.Code
	}
	return false
}

// Sentences is the refusal as prose: Detail. Advice.
func (e *Error) Sentences() string {
	text := closed(e.Detail)
	if !e.keepsCase && !e.startsWithField() {
		text = capital(text)
	}
	if e.Advice != "" {
		text += " " + capital(closed(e.Advice))
	}
	return text
}

// startsWithField reports whether the detail begins with the name of an
// attribute, whose case counts.
func (e *Error) startsWithField() bool {
	first, _, _ := strings.Cut(e.Detail, " ")
	first = strings.TrimRight(first, ":,")
	return e.Field != "" && slices.Contains(strings.Split(e.Field, "."), first) || first == e.Field
}

// Find returns the first refusal in err's chain.
func Find(err error) (*Error, bool) {
	var e *Error
	return e, errors.As(err, &e)
}

// About returns what the first refusal in err's chain is about, where that is a T.
func About[T any](err error) (T, bool) {
	if e, ok := Find(err); ok {
		about, is := e.About.(T)
		return about, is
	}
	var none T
	return none, false
}

func closed(text string) string {
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".?!") {
		return text
	}
	return text + "."
}

// capital begins a sentence, unless its first word is a name with capitals in it.
func capital(text string) string {
	first, _, _ := strings.Cut(text, " ")
	if first == "" || strings.ToLower(first) != first || strings.ContainsAny(first, "\"@") {
		return text
	}
	r, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[size:]
}
