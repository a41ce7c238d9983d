package graphapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
)

// graphError is an error in Graph's form.
type graphError struct {
	Status         int
	Code           string
	Message        string
	RetryAfter     time.Duration // how long the client should wait before it tries again; 0 if another try would not help
	AllowedMethods []string      // the methods that the address supports, if it does not support the method of the request
}

func (e *graphError) Error() string { return e.Code + ": " + e.Message }

// Graph's error codes.
const (
	codeUnauthorized    = "InvalidAuthenticationToken"
	codeForbidden       = "Authorization_RequestDenied"
	codeNotFound        = "Request_ResourceNotFound"
	codeBadRequest      = "BadRequest"
	codeInvalid         = "Request_BadRequest"
	codeMissing         = "RequestMissingRequiredParameter"
	codeCredentials     = "CredentialValidationUnavailable"
	codeConflict        = "Conflict"
	codeUnsupported     = "Request_UnsupportedQuery"
	codeTooManyRequests = "TooManyRequests"
	codeTooLarge        = "RequestEntityTooLarge"
	codeMediaType       = "UnsupportedMediaType"
	codeMethod          = "Request_MethodNotAllowed"
	codeUnavailable     = "ServiceUnavailable"
	codeInternal        = "InternalServerError"
)

// refuse returns an error in Graph's form; message is in the format of fmt.Sprintf.
func refuse(status int, code, message string, args ...any) *graphError {
	return &graphError{Status: status, Code: code, Message: fmt.Sprintf(message, args...)}
}

// invalid returns the error for a request with a wrong value.
func invalid(message string, args ...any) *graphError {
	return refuse(http.StatusBadRequest, codeInvalid, message, args...)
}

// notFound returns the error for a request about an object that does not exist.
func notFound(message string, args ...any) *graphError {
	return refuse(http.StatusNotFound, codeNotFound, message, args...)
}

// noResource returns Graph's error for an id that no user, group or service principal has.
func noResource(id string) *graphError {
	return notFound("Resource '%s' does not exist or one of its queried reference-property objects are not present.", toPrintable(id))
}

// asGraphError converts an error to Graph's form. If ok is false, the error is a failure of this
// server: the client gets a general error, and the caller must log the cause.
func asGraphError(err error) (e *graphError, ok bool) {
	var (
		input  *provision.InputError
		target *provision.TargetError
		large  *http.MaxBytesError
		own    *graphError
		other  *provision.HeldError
	)
	switch {
	case errors.As(err, &own):
		return own, true
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "The body of this request has at most %d KiB.", large.Limit>>10), true
	case errors.As(err, &input):
		return invalid("%s", toSentence(input.Field+" "+input.Text)), true
	case errors.As(err, &target):
		return refuse(http.StatusBadRequest, target.Code, "%s", target.Words()), true
	case errors.As(err, &other):
		e := refuse(http.StatusConflict, codeConflict, "Another process works on the job now. Pause it, or try again.")
		e.RetryAfter = 5 * time.Second
		return e, true
	case errors.Is(err, provision.ErrNoJob):
		return notFound("The application has no synchronization job."), true
	case errors.Is(err, provision.ErrChanged):
		return refuse(http.StatusConflict, codeConflict, "Another request changed the job at the same moment. Nothing was changed; send this one again."), true
	case errors.Is(err, context.DeadlineExceeded):
		e := refuse(http.StatusServiceUnavailable, codeUnavailable, "This took too long and was cut off. It may or may not have been done.")
		e.RetryAfter = 10 * time.Second
		return e, true
	}
	if r, found := refusal.Find(err); found {
		return refuse(statusOf(r.Kind), codeOf(r.Kind), "%s", r.Sentences()), true
	}
	return refuse(http.StatusInternalServerError, codeInternal, "Something broke on our side. The server's log has the reason, by the request id."), false
}

// statusOf returns the HTTP status for a kind of refusal.
func statusOf(k refusal.Kind) int {
	switch k {
	case refusal.NotFound, refusal.Gone:
		return http.StatusNotFound
	case refusal.Taken, refusal.Conflict, refusal.Stale:
		return http.StatusConflict
	case refusal.Unauthorized:
		return http.StatusUnauthorized
	case refusal.Forbidden:
		return http.StatusForbidden
	case refusal.Off:
		return http.StatusNotImplemented
	case refusal.TooLarge:
		return http.StatusRequestEntityTooLarge
	case refusal.Busy:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// codeOf returns Graph's error code for a kind of refusal.
func codeOf(k refusal.Kind) string {
	switch statusOf(k) {
	case http.StatusNotFound:
		return codeNotFound
	case http.StatusConflict:
		return codeConflict
	case http.StatusUnauthorized:
		return codeUnauthorized
	case http.StatusForbidden:
		return codeForbidden
	case http.StatusRequestEntityTooLarge:
		return codeTooLarge
	case http.StatusServiceUnavailable:
		return codeUnavailable
	default:
		return codeInvalid
	}
}

// toSentence returns a message with a capital first letter and a full stop.
func toSentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.ContainsAny(text[len(text)-1:], ".?!") {
		text += "."
	}
	return text
}

// errorBody is the body of an error answer in Graph's form.
type errorBody struct {
	Error struct {
		Code    string     `json:"code"`
		Message string     `json:"message"`
		Inner   innerError `json:"innerError"`
	} `json:"error"`
}

// innerError is the part of an error that identifies the request.
type innerError struct {
	Date            string `json:"date"`
	RequestID       string `json:"request-id"`
	ClientRequestID string `json:"client-request-id"`
}

// writeError answers with an error. All error answers are written here.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has disconnected
	}
	e, ok := asGraphError(err)
	if !ok {
		h.Log.Error("graph request failed", "request", web.RequestID(r), "route", r.Pattern, "error", err)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", web.Seconds(e.RetryAfter))
	}
	if len(e.AllowedMethods) > 0 {
		w.Header().Set("Allow", strings.Join(e.AllowedMethods, ", "))
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="rollcall"`)
	}
	var body errorBody
	body.Error.Code, body.Error.Message = e.Code, e.Message
	body.Error.Inner = innerError{Date: h.Now().UTC().Format("2006-01-02T15:04:05"), RequestID: web.RequestID(r), ClientRequestID: clientRequestID(r)}
	writeJSON(w, e.Status, body)
}

// clientRequestID returns the id that the client gave to the request, or the server's id if the
// client gave none or an invalid one.
func clientRequestID(r *http.Request) string {
	id := r.Header.Get("client-request-id")
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return web.RequestID(r)
	}
	return id
}

// writeJSON writes an answer. It forbids caching, because answers may contain personal data.
func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
	h.Set("OData-Version", "4.0")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.Encode(v) //nolint:errcheck // fails only if the client has disconnected
}
