package scimserver

import (
	"errors"
	"net/http"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// toSCIMError turns a refusal into a SCIM error; no other code does this. It returns a *scim.Error
// unchanged, because the scim package makes these for mistakes in a client's input. It returns nil
// for any other error.
func toSCIMError(err error) *scim.Error {
	var wire *scim.Error
	if errors.As(err, &wire) {
		return wire
	}
	e, ok := refusal.Find(err)
	if !ok {
		return nil
	}
	answer := wireErrorOf(e.Kind)
	answer.Detail = e.Sentences()
	return &answer
}

// wireErrorOf returns the status and the scimType for a kind of refusal. RFC 7644 §3.12.
func wireErrorOf(k refusal.Kind) scim.Error {
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
