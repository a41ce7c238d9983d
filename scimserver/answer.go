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

// answer is a success, ready to be written.
type answer struct {
	status   int
	body     []byte // nil: none, unless there is a stream
	stream   stream
	size     int    // bytes that are held while the stream is written
	location string // absolute, of the one resource that the answer is about
	etag     string
}

// stream writes a body that is too long to be held: groups with their members.
type stream func(w *bufio.Writer) error

// headerError is an error of the protocol together with the header that belongs to it.
type headerError struct {
	err    *scim.Error
	header string
	value  string
}

func (r *headerError) Error() string { return r.err.Error() }
func (r *headerError) Unwrap() error { return r.err }

// writeResource writes every answer that is not an error. It fails when a stream does, after the answer has begun.
func writeResource(w http.ResponseWriter, a answer) error {
	h := w.Header()
	setCommon(h)
	if a.location != "" && a.status != http.StatusNotModified {
		h.Set("Location", a.location)
	}
	if a.location != "" && a.status != http.StatusNoContent {
		// RFC 7643 §3.1: meta.location is the same as Content-Location. RFC 9110 §15.4.5: a 304 has what the 200 would have.
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
			// RFC 9110 §15.3.5: it speaks of the resource as it is now. SCIM-SDK takes a PATCH without it for failed, see
			// testdata/scim_sdk.txtar.
			h["Content-Type"] = mediaType
		}
		w.WriteHeader(a.status)
		return nil
	}
	h["Content-Type"] = mediaType
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	w.Write(a.body) //nolint:errcheck // the client has gone; its request log row says what was done
	return nil
}

func writeStream(w http.ResponseWriter, s stream) error {
	out := bufio.NewWriterSize(w, 32<<10)
	if err := s(out); err != nil {
		return err
	}
	return out.Flush()
}

// send writes a success. A stream that breaks off cuts the connection, so that half a group is never taken for a whole one.
func (x *exchange) send(a answer) {
	if x.r.Method == http.MethodHead && a.stream != nil {
		a.stream = func(*bufio.Writer) error { return nil }
	}
	err := writeResource(x.w, a)
	if err == nil {
		return
	}
	if x.r.Context().Err() == nil {
		x.log().Error("scim answer broke off", "request", web.RequestID(x.r), "error", err)
	}
	panic(http.ErrAbortHandler)
}

// writeError writes every error.
//
// RFC 7644 §3.12: the status stands in the body too.
func writeError(w http.ResponseWriter, e *scim.Error, cause error) {
	h := w.Header()
	setCommon(h)
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
	w.Write(body) //nolint:errcheck // the client has gone
}

// Header values that every answer has; nobody changes them.
var (
	mediaType = []string{"application/scim+json"}
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
)

func setCommon(h http.Header) {
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
}

// public is the error as the client may see it: refusals, and all others as 500 with the request's number.
func (h *Handler) public(r *http.Request, err error) *scim.Error {
	if known := refused(err); known != nil {
		return known
	}
	switch {
	case errors.Is(err, fair.ErrOwn):
		return scim.TooManyRequests("This site asks for more at once than its share. Send this request again later, and fewer of its kind at the same time.")
	case errors.Is(err, fair.ErrOverloaded):
		return scim.Unavailable("The server has more to do than it can do at once. Send this request again later.")
	}
	if unavailable(err) {
		return scim.Unavailable("The database of this server cannot be used now; its operator finds the reason in the server's log. Send this request again later.")
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return scim.Unavailable("The request took too long and was given up. Read the resource to see whether it was changed, or send the request again.")
	}
	h.log().Error("scim request failed", "request", web.RequestID(r), "method", r.Method, "error", err)
	return broken(r)
}

// unavailable reports whether the database does not do its work now.
func unavailable(err error) bool {
	var e interface{ DatabaseUnavailable() bool }
	return errors.As(err, &e) && e.DatabaseUnavailable()
}

func broken(r *http.Request) *scim.Error {
	if id := web.RequestID(r); id != "" {
		return scim.Internal("Something broke on our side. Tell whoever runs this server the request number %s.", id)
	}
	return scim.Internal("Something broke on our side. Whoever runs this server finds the cause in its log.")
}

// RFC 7644 §3.14: versions travel as weak entity tags; clients send weak ones in If-Match too, so the opaque value counts.
func tagsOf(header []string) (tags []string, anyTag bool) {
	for _, part := range strings.Split(strings.Join(header, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "*" {
			return nil, true
		}
		if part = opaque(part); part != "" {
			tags = append(tags, part)
		}
	}
	return tags, false
}

func opaque(tag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimPrefix(tag, "W/"), "w/"), `"`)
}
