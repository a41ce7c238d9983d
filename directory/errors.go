package directory

import (
	"errors"
	"fmt"
)

// What an Error is about; compare with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
	ErrInvalid  = errors.New("invalid")
	// ErrStale says that the object changed since the caller read it.
	ErrStale = errors.New("changed meanwhile")
)

// Error is a broken rule, in words for an administrator. Attribute is the attribute it is about, or empty.
type Error struct {
	Kind      error
	Attribute string
	Detail    string
}

func (e *Error) Error() string { return e.Detail }

func (e *Error) Unwrap() error { return e.Kind }

func notFound(format string, args ...any) error {
	return &Error{Kind: ErrNotFound, Detail: fmt.Sprintf(format, args...)}
}

func conflict(attribute, format string, args ...any) error {
	return &Error{Kind: ErrConflict, Attribute: attribute, Detail: fmt.Sprintf(format, args...)}
}

func invalid(attribute, format string, args ...any) error {
	return &Error{Kind: ErrInvalid, Attribute: attribute, Detail: fmt.Sprintf(format, args...)}
}
