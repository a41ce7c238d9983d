package scimserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/fair"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/scim"
)

// answer is a successful answer, ready to be written.
type answer struct {
	status   int
	body     []byte // the body; nil if there is none or if stream is set
	stream   stream // writes the body; nil if body holds it or if there is no body
	size     int    // the number of bytes that the stream keeps in memory until it has been written
	location string // the absolute URL of the resource; only for an answer about one resource
	etag     string // the version of the resource; "" if the answer has none
}

// stream writes a body that is too long to build in memory first, such as a group with its members.
type stream func(w *bufio.Writer) error

// headerError is an error whose answer must have an additional header.
type headerError struct {
	err    *scim.Error
	header string // the name of the header
	value  string // the value of the header
}

func (r *headerError) Error() string { return r.err.Error() }
func (r *headerError) Unwrap() error { return r.err }

// writeResource writes a successful answer, with resources or discovery documents. It returns an
// error if a stream fails; the start of the answer has then already been sent.
func writeResource(w http.ResponseWriter, a answer) error {
	h := w.Header()
	setCommonHeaders(h)
	if a.location != "" && a.status != http.StatusNotModified {
		h.Set("Location", a.location)
	}
	if a.location != "" && a.status != http.StatusNoContent {
		// RFC 7643 §3.1: meta.location equals Content-Location. RFC 9110 §15.4.5: a 304 carries the
		// same headers as the 200 that it replaces.
		h.Set("Content-Location", a.location)
	}
	if a.etag != "" {
		h.Set("ETag", a.etag)
	}
	switch {
	case a.stream != nil:
		h["Content-Type"] = mediaTypeHeader
		w.WriteHeader(a.status)
		return writeStream(w, a.stream)
	case a.body == nil:
		if a.status == http.StatusNoContent && a.location != "" {
			// RFC 9110 §15.3.5: in a 204, Content-Type describes the current resource. Without
			// Content-Type, SCIM-SDK treats a PATCH as failed; see testdata/scim_sdk.txtar.
			h["Content-Type"] = mediaTypeHeader
		}
		w.WriteHeader(a.status)
		return nil
	}
	h["Content-Type"] = mediaTypeHeader
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	w.Write(a.body) //nolint:errcheck // fails only if the client has disconnected; the request log says what was done
	return nil
}

// writeStream writes the body of an answer, part by part.
func writeStream(w http.ResponseWriter, s stream) error {
	out := bufio.NewWriterSize(w, 32<<10)
	if err := s(out); err != nil {
		return err
	}
	return out.Flush()
}

// sendAnswer writes a successful answer. If a stream fails, sendAnswer breaks the connection.
// Otherwise the client would take half a group for a complete group.
func (x *exchange) sendAnswer(a answer) {
	if x.request.Method == http.MethodHead && a.stream != nil {
		a.stream = func(*bufio.Writer) error { return nil }
	}
	err := writeResource(x.writer, a)
	if err == nil {
		return
	}
	if x.request.Context().Err() == nil {
		x.handler.log().Error("scim answer broke off", "request", web.RequestID(x.request), "error", err)
	}
	panic(http.ErrAbortHandler)
}

// writeError writes an error answer. If cause contains a *headerError, the answer gets the header
// of that error.
//
// RFC 7644 §3.12: the body repeats the status.
func writeError(w http.ResponseWriter, e *scim.Error, cause error) {
	h := w.Header()
	setCommonHeaders(h)
	var r *headerError
	if errors.As(cause, &r) {
		h.Set(r.header, r.value)
	}
	switch {
	case e.Status == http.StatusServiceUnavailable:
		h.Set("Retry-After", "10")
	case e.Status == http.StatusTooManyRequests && h.Get("Retry-After") == "":
		h.Set("Retry-After", "5")
	}
	body, err := json.Marshal(e)
	if err != nil {
		body = []byte(`{"schemas":["` + scim.ErrorURN + `"],"status":"` + strconv.Itoa(e.Status) + `"}`)
	}
	h["Content-Type"] = mediaTypeHeader
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	w.Write(body) //nolint:errcheck // fails only if the client has disconnected
}

// Header values that every answer has; they never change.
var (
	mediaTypeHeader = []string{"application/scim+json"}
	noStoreHeader   = []string{"no-store"}
	noSniffHeader   = []string{"nosniff"}
)

// setCommonHeaders sets the headers that every answer has.
func setCommonHeaders(h http.Header) {
	h["Cache-Control"] = noStoreHeader
	h["X-Content-Type-Options"] = noSniffHeader
}

// publicError returns the SCIM error that the client gets for an error. A refusal becomes a SCIM
// error with the same words. Overload, an unavailable database and a passed time limit become 429
// or 503. Any other error is logged, and becomes 500 with the request number.
func (h *Handler) publicError(r *http.Request, err error) *scim.Error {
	if scimErr := toSCIMError(err); scimErr != nil {
		return scimErr
	}
	switch {
	case errors.Is(err, fair.ErrKeyLimit):
		return scim.TooManyRequests("This site sends more requests at the same time than its share. Send this request again later, and fewer of them in parallel.")
	case errors.Is(err, fair.ErrOverloaded):
		return scim.Unavailable("This server is overloaded. Send this request again later.")
	}
	if isDatabaseUnavailable(err) {
		return scim.Unavailable("The database of this server is unavailable; its operator finds the reason in the server's log. Send this request again later.")
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return scim.Unavailable("The request took too long and was cancelled. Read the resource to see whether it was changed, or send the request again.")
	}
	h.log().Error("scim request failed", "request", web.RequestID(r), "method", r.Method, "error", err)
	return internalError(r)
}

// isDatabaseUnavailable reports whether the error means that the database is not available at the
// moment.
func isDatabaseUnavailable(err error) bool {
	var e interface{ DatabaseUnavailable() bool }
	return errors.As(err, &e) && e.DatabaseUnavailable()
}

// internalError returns the 500 error. Its detail has the request number, never the cause.
func internalError(r *http.Request) *scim.Error {
	if id := web.RequestID(r); id != "" {
		return scim.Internal("Something broke on our side. Tell the operator of this server the request number %s.", id)
	}
	return scim.Internal("Something broke on our side. The operator of this server finds the cause in its log.")
}

// parseTags returns the entity tags of a header, each without W/ and quotes. If the header contains
// "*", anyTag is true and tags is nil.
//
// RFC 7644 §3.14: versions are weak entity tags, which begin with W/. Clients send weak tags in
// If-Match too. So only the part in quotes is compared.
func parseTags(header []string) (tags []string, anyTag bool) {
	if len(header) == 0 {
		return nil, false
	}
	for _, part := range strings.Split(strings.Join(header, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "*" {
			return nil, true
		}
		if part = opaqueTag(part); part != "" {
			tags = append(tags, part)
		}
	}
	return tags, false
}

// opaqueTag returns an entity tag without W/ and quotes.
func opaqueTag(tag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimPrefix(tag, "W/"), "w/"), `"`)
}
