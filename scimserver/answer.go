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
	stream   stream
	size     int    // the number of bytes in memory while the stream is written
	location string // the absolute URL of the resource; only for an answer about one resource
	etag     string
}

// stream writes a body that is too long to hold in memory, such as groups with their members.
type stream func(w *bufio.Writer) error

// headerError is a protocol error with a response header that must be sent with it.
type headerError struct {
	err    *scim.Error
	header string // name of the header
	value  string // value of the header
}

func (r *headerError) Error() string { return r.err.Error() }
func (r *headerError) Unwrap() error { return r.err }

// writeResource writes every answer that is not an error. It returns an error when a stream fails;
// by then, the start of the answer has already been sent.
func writeResource(w http.ResponseWriter, a answer) error {
	h := w.Header()
	setCommonHeaders(h)
	if a.location != "" && a.status != http.StatusNotModified {
		h.Set("Location", a.location)
	}
	if a.location != "" && a.status != http.StatusNoContent {
		// RFC 7643 §3.1: meta.location equals Content-Location. RFC 9110 §15.4.5: a 304 carries the
		// headers that the 200 would have.
		h.Set("Content-Location", a.location)
	}
	if a.etag != "" {
		h.Set("ETag", a.etag)
	}
	switch {
	case a.stream != nil:
		h["Content-Type"] = mediaType
		w.WriteHeader(a.status)
		return writeStream(w, a.stream)
	case a.body == nil:
		if a.status == http.StatusNoContent && a.location != "" {
			// RFC 9110 §15.3.5: in a 204, the header describes the resource as it is now. Without
			// it, SCIM-SDK treats a PATCH as failed; see testdata/scim_sdk.txtar.
			h["Content-Type"] = mediaType
		}
		w.WriteHeader(a.status)
		return nil
	}
	h["Content-Type"] = mediaType
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	w.Write(a.body) //nolint:errcheck // the client has disconnected; the request log says what was done
	return nil
}

func writeStream(w http.ResponseWriter, s stream) error {
	out := bufio.NewWriterSize(w, 32<<10)
	if err := s(out); err != nil {
		return err
	}
	return out.Flush()
}

// sendAnswer writes a successful answer. When a stream fails, sendAnswer closes the connection, so
// that the client does not take half a group for a complete group.
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

// writeError writes an error answer. When cause contains a *headerError, the answer gets the header
// of that error.
//
// RFC 7644 §3.12: the body contains the status too.
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
	h["Content-Type"] = mediaType
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	w.Write(body) //nolint:errcheck // the client has disconnected
}

// Header values that every answer has; they never change.
var (
	mediaType = []string{"application/scim+json"}
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
)

func setCommonHeaders(h http.Header) {
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
}

// publicError returns the error that the client may see. Refusals come back as SCIM errors; every
// other error is logged and becomes 500 with the request number.
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
	if databaseUnavailable(err) {
		return scim.Unavailable("The database of this server is unavailable; its operator finds the reason in the server's log. Send this request again later.")
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return scim.Unavailable("The request took too long and was cancelled. Read the resource to see whether it was changed, or send the request again.")
	}
	h.log().Error("scim request failed", "request", web.RequestID(r), "method", r.Method, "error", err)
	return internalError(r)
}

// databaseUnavailable reports whether the error means that the database is not available at the
// moment.
func databaseUnavailable(err error) bool {
	var e interface{ DatabaseUnavailable() bool }
	return errors.As(err, &e) && e.DatabaseUnavailable()
}

// internalError returns the 500 answer. Its text has the request number, never the cause.
func internalError(r *http.Request) *scim.Error {
	if id := web.RequestID(r); id != "" {
		return scim.Internal("Something broke on our side. Tell the operator of this server the request number %s.", id)
	}
	return scim.Internal("Something broke on our side. The operator of this server finds the cause in its log.")
}

// parseTags reads the entity tags of a header. anyTag means that it contains "*".
//
// RFC 7644 §3.14: versions are weak entity tags, and clients send weak ones in If-Match too, so
// only the opaque value counts.
func parseTags(header []string) (tags []string, anyTag bool) {
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
