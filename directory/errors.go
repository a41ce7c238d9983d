package directory

import "github.com/rollcall-scim/rollcall/refusal"

// A Store answers with the bare kind of a refusal (refusal.NotFound, refusal.Taken). These
// functions add the words.

// ErrNoDirectory refuses a directory's name if no directory exists yet. Its field is the name.
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

// hasWords reports whether a refusal already has its words.
func hasWords(err error) bool {
	_, ok := refusal.Find(err)
	return ok
}
