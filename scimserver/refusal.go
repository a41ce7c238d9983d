package scimserver

import (
	"errors"
	"net/http"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// toSCIMError returns a refusal as a SCIM error. It returns a *scim.Error, which package scim makes
// for a mistake in a client's input, unchanged. For any other error it returns nil.
func toSCIMError(err error) *scim.Error {
	var wire *scim.Error
	if errors.As(err, &wire) {
		return wire
	}
	e, ok := refusal.Find(err)
	if !ok {
		return nil
	}
	answer := errorForKind(e.Kind)
	answer.Detail = e.Sentences()
	return &answer
}

// errorForKind returns an error with the status and the scimType for a kind of refusal, and without
// a detail. RFC 7644 §3.12.
func errorForKind(k refusal.Kind) scim.Error {
	switch k {
	case refusal.Invalid:
		return scim.Error{Status: http.StatusBadRequest, ScimType: "invalidValue"}
	case refusal.Unauthorized:
		return scim.Error{Status: http.StatusUnauthorized}
	case refusal.Forbidden:
		return scim.Error{Status: http.StatusForbidden}
	case refusal.NotFound, refusal.Gone:
		return scim.Error{Status: http.StatusNotFound}
	case refusal.Taken:
		return scim.Error{Status: http.StatusConflict, ScimType: "uniqueness"}
	case refusal.Stale:
		return scim.Error{Status: http.StatusPreconditionFailed}
	case refusal.TooLarge:
		return scim.Error{Status: http.StatusRequestEntityTooLarge}
	case refusal.TooMuch:
		return scim.Error{Status: http.StatusBadRequest, ScimType: "tooMany"}
	case refusal.Off:
		return scim.Error{Status: http.StatusNotImplemented}
	case refusal.Busy:
		return scim.Error{Status: http.StatusServiceUnavailable}
	default:
		return scim.Error{Status: http.StatusConflict}
	}
}
