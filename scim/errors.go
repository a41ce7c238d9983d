package scim

import (
	"fmt"
	"strconv"
	"strings"
)

// Error is a SCIM error that a client may see. Detail is a sentence for an administrator and never
// holds secrets; the constructors end it with a full stop. RFC 7644 §3.12.
type Error struct {
	Status   int    // HTTP status
	ScimType string // keyword from RFC 7644 §3.12 Table 9; "" if none fits
	Detail   string
}

func (e *Error) Error() string {
	if e.ScimType == "" {
		return strconv.Itoa(e.Status) + ": " + e.Detail
	}
	return strconv.Itoa(e.Status) + " " + e.ScimType + ": " + e.Detail
}

// MarshalJSON returns the body of the error answer.
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

// newError makes an Error from a format and its arguments.
func newError(status int, scimType, format string, args []any) *Error {
	return &Error{Status: status, ScimType: scimType, Detail: withFullStop(formatMessage(format, args))}
}

// withFullStop adds a full stop to a sentence that does not end with ".", "!" or "?".
func withFullStop(s string) string {
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

// formatMessage is like fmt.Sprintf. But if there are no arguments, it returns the format
// unchanged, so that such a format may contain percent signs.
func formatMessage(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// InvalidSyntax returns error 400: the body is not JSON or has the wrong structure.
func InvalidSyntax(format string, args ...any) *Error {
	return newError(400, "invalidSyntax", format, args)
}

// InvalidFilter returns error 400: the filter cannot be read or is not supported.
func InvalidFilter(format string, args ...any) *Error {
	return newError(400, "invalidFilter", format, args)
}

// InvalidPath returns error 400: the path of a PATCH operation cannot be read, or selects no
// attribute.
func InvalidPath(format string, args ...any) *Error {
	return newError(400, "invalidPath", format, args)
}

// InvalidValue returns error 400: a value is missing or has the wrong type.
func InvalidValue(format string, args ...any) *Error {
	return newError(400, "invalidValue", format, args)
}

// NoTarget returns error 400: the path of a PATCH operation selects no value that could be changed.
func NoTarget(format string, args ...any) *Error {
	return newError(400, "noTarget", format, args)
}

// Mutability returns error 400: the attribute's mutability forbids the change.
func Mutability(format string, args ...any) *Error {
	return newError(400, "mutability", format, args)
}

// TooMany returns error 400: the query has more results than the server returns.
func TooMany(format string, args ...any) *Error {
	return newError(400, "tooMany", format, args)
}

// InvalidVers returns error 400: the protocol version in the URL is not served.
func InvalidVers(format string, args ...any) *Error {
	return newError(400, "invalidVers", format, args)
}

// Sensitive returns error 403: the request filters or sorts by a hidden attribute, which would
// reveal its values.
func Sensitive(format string, args ...any) *Error {
	return newError(403, "sensitive", format, args)
}

// InvalidCursor returns error 400: the server did not issue this cursor for this query. RFC 9865
// §2.1.
func InvalidCursor(format string, args ...any) *Error {
	return newError(400, "invalidCursor", format, args)
}

// ExpiredCursor returns error 400: the cursor is too old. RFC 9865 §2.1.
func ExpiredCursor(format string, args ...any) *Error {
	return newError(400, "expiredCursor", format, args)
}

// InvalidCount returns error 400: the count is not allowed with this cursor. RFC 9865 §2.1.
func InvalidCount(format string, args ...any) *Error {
	return newError(400, "invalidCount", format, args)
}

// BadRequest returns error 400 for a mistake that no scimType describes.
func BadRequest(format string, args ...any) *Error { return newError(400, "", format, args) }

// Unauthorized returns error 401: the credential is missing or not valid.
func Unauthorized(format string, args ...any) *Error { return newError(401, "", format, args) }

// Forbidden returns error 403: the credential is valid but does not allow this request.
func Forbidden(format string, args ...any) *Error { return newError(403, "", format, args) }

// NotFound returns error 404: there is no such resource or endpoint.
func NotFound(format string, args ...any) *Error { return newError(404, "", format, args) }

// MethodNotAllowed returns error 405: the endpoint does not take this method.
func MethodNotAllowed(format string, args ...any) *Error { return newError(405, "", format, args) }

// Conflict returns error 409 for conflicts other than uniqueness.
func Conflict(format string, args ...any) *Error { return newError(409, "", format, args) }

// PreconditionFailed returns error 412: If-Match or If-None-Match forbids the request.
func PreconditionFailed(format string, args ...any) *Error { return newError(412, "", format, args) }

// PayloadTooLarge returns error 413: the request exceeds an advertised limit.
func PayloadTooLarge(format string, args ...any) *Error { return newError(413, "", format, args) }

// UnsupportedMediaType returns error 415: the Content-Type is not JSON.
func UnsupportedMediaType(format string, args ...any) *Error {
	return newError(415, "", format, args)
}

// TooManyRequests returns error 429: the client must wait before its next request.
func TooManyRequests(format string, args ...any) *Error { return newError(429, "", format, args) }

// Internal returns error 500: the server failed. The detail must not name the cause.
func Internal(format string, args ...any) *Error { return newError(500, "", format, args) }

// NotImplemented returns error 501: the server does not offer this feature.
func NotImplemented(format string, args ...any) *Error { return newError(501, "", format, args) }

// Unavailable returns error 503: the same request may succeed a little later.
func Unavailable(format string, args ...any) *Error { return newError(503, "", format, args) }
