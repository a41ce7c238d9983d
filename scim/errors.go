package scim

import (
	"fmt"
	"strconv"
	"strings"
)

// Error is what a client may see: one SCIM error answer. Detail is a sentence
// for an administrator and never holds secrets; the constructors close it with a
// full stop. RFC 7644 §3.12.
type Error struct {
	Status   int    // HTTP status
	ScimType string // RFC 7644 §3.12 Table 9 keyword, "" when none fits
	Detail   string
}

func (e *Error) Error() string {
	if e.ScimType == "" {
		return strconv.Itoa(e.Status) + ": " + e.Detail
	}
	return strconv.Itoa(e.Status) + " " + e.ScimType + ": " + e.Detail
}

// MarshalJSON writes the error body.
//
// RFC 7644 §3.12: status is a JSON string.
func (e *Error) MarshalJSON() ([]byte, error) {
	b := append([]byte(nil), `{"schemas":["`+ErrorURN+`"],"status":"`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, '"')
	if e.ScimType != "" {
		b = append(b, `,"scimType":`...)
		b = AppendString(b, e.ScimType)
	}
	if e.Detail != "" {
		b = append(b, `,"detail":`...)
		b = AppendString(b, e.Detail)
	}
	return append(b, '}'), nil
}

func newError(status int, scimType, format string, args []any) *Error {
	return &Error{Status: status, ScimType: scimType, Detail: withFullStop(formatMessage(format, args))}
}

// withFullStop ends a sentence with a full stop, so that all details read alike.
func withFullStop(s string) string {
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

func formatMessage(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// InvalidSyntax is 400: the body is not JSON or has the wrong structure.
func InvalidSyntax(format string, args ...any) *Error {
	return newError(400, "invalidSyntax", format, args)
}

// InvalidFilter is 400: the filter cannot be read or is not supported.
func InvalidFilter(format string, args ...any) *Error {
	return newError(400, "invalidFilter", format, args)
}

// InvalidPath is 400: the path of a PATCH operation cannot be read or names nothing.
func InvalidPath(format string, args ...any) *Error {
	return newError(400, "invalidPath", format, args)
}

// InvalidValue is 400: a value is missing or of the wrong type.
func InvalidValue(format string, args ...any) *Error {
	return newError(400, "invalidValue", format, args)
}

// NoTarget is 400: a PATCH path selects nothing that could be changed.
func NoTarget(format string, args ...any) *Error {
	return newError(400, "noTarget", format, args)
}

// Mutability is 400: the change is against the attribute's mutability.
func Mutability(format string, args ...any) *Error {
	return newError(400, "mutability", format, args)
}

// Uniqueness is 409: another resource has the value.
func Uniqueness(format string, args ...any) *Error {
	return newError(409, "uniqueness", format, args)
}

// TooMany is 400: the query gives more results than the server is willing to return.
func TooMany(format string, args ...any) *Error {
	return newError(400, "tooMany", format, args)
}

// InvalidVers is 400: the protocol version in the URL is not served.
func InvalidVers(format string, args ...any) *Error {
	return newError(400, "invalidVers", format, args)
}

// Sensitive is 403: the request would put a secret into a URL.
func Sensitive(format string, args ...any) *Error {
	return newError(403, "sensitive", format, args)
}

// InvalidCursor is 400. RFC 9865 §2.1.
func InvalidCursor(format string, args ...any) *Error {
	return newError(400, "invalidCursor", format, args)
}

// ExpiredCursor is 400. RFC 9865 §2.1.
func ExpiredCursor(format string, args ...any) *Error {
	return newError(400, "expiredCursor", format, args)
}

// InvalidCount is 400. RFC 9865 §2.1.
func InvalidCount(format string, args ...any) *Error {
	return newError(400, "invalidCount", format, args)
}

// BadRequest is 400 where no scimType fits.
func BadRequest(format string, args ...any) *Error { return newError(400, "", format, args) }

// Unauthorized is 401: no credential, or one that is not valid.
func Unauthorized(format string, args ...any) *Error { return newError(401, "", format, args) }

// Forbidden is 403: a valid credential that may not do this.
func Forbidden(format string, args ...any) *Error { return newError(403, "", format, args) }

// NotFound is 404: no such resource or endpoint.
func NotFound(format string, args ...any) *Error { return newError(404, "", format, args) }

// MethodNotAllowed is 405.
func MethodNotAllowed(format string, args ...any) *Error { return newError(405, "", format, args) }

// Conflict is 409 where it is not about uniqueness.
func Conflict(format string, args ...any) *Error { return newError(409, "", format, args) }

// PreconditionFailed is 412: If-Match names another version.
func PreconditionFailed(format string, args ...any) *Error { return newError(412, "", format, args) }

// PayloadTooLarge is 413: over an advertised limit.
func PayloadTooLarge(format string, args ...any) *Error { return newError(413, "", format, args) }

// UnsupportedMediaType is 415: the body is not JSON by its Content-Type.
func UnsupportedMediaType(format string, args ...any) *Error {
	return newError(415, "", format, args)
}

// TooManyRequests is 429.
func TooManyRequests(format string, args ...any) *Error { return newError(429, "", format, args) }

// Internal is 500. Its detail names the request, never the cause.
func Internal(format string, args ...any) *Error { return newError(500, "", format, args) }

// NotImplemented is 501: a feature this server does not offer.
func NotImplemented(format string, args ...any) *Error { return newError(501, "", format, args) }

// Unavailable is a 503: the same request may pass a little later.
func Unavailable(format string, args ...any) *Error { return newError(503, "", format, args) }
