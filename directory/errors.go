package directory

import "github.com/rollcall-scim/rollcall/refusal"

// A Store returns refusals without a message, such as refusal.NotFound or refusal.Taken. The
// functions below make refusals with a message.

// ErrNoDirectory is the error if a caller names a directory although no directory exists yet.
var ErrNoDirectory = refusal.New(refusal.NotFound, "", "there is no directory yet").Coded("no_directory")

func notFound(format string, args ...any) *refusal.Error {
	return refusal.New(refusal.NotFound, "", format, args...)
}

func taken(attribute, format string, args ...any) *refusal.Error {
	return refusal.New(refusal.Taken, attribute, format, args...)
}

func conflict(attribute, format string, args ...any) *refusal.Error {
	return refusal.New(refusal.Conflict, attribute, format, args...)
}

func invalid(attribute, format string, args ...any) *refusal.Error {
	return refusal.New(refusal.Invalid, attribute, format, args...)
}

// hasMessage reports whether an error is a refusal that already has a message.
func hasMessage(err error) bool {
	_, ok := refusal.Find(err)
	return ok
}
