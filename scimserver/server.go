package scimserver

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// Handler answers the SCIM requests of all sites. It must get every request for which Serves
// returns true.
type Handler struct {
	Sites    *site.Sites
	Rosters  *roster.Rosters
	Requests *requestlog.Log

	// BaseURL returns the part of this server's URLs before "/c/": --public-url, or the address
	// that the client used if the flag is not set. It has no slash at the end.
	BaseURL func(*http.Request) string

	Log *slog.Logger // receives the internal errors that clients do not see; nil discards them
	Now func() time.Time

	limits limiter
	memory memory

	foreignHosts foreignHosts // the hosts that warnOfOtherAddress has warned of
}

// Before returns a handler that answers SCIM requests and passes all other requests to next, which
// may be a ServeMux.
func (h *Handler) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Serves(r) {
			h.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// timeLimit is how long the work for a request may take. It is well below one minute, after which
// Okta gives up. It does not include the time in which a large body arrives or is sent; the HTTP
// server's own timeouts limit that.
const (
	timeLimit  = 30 * time.Second
	logTimeout = 5 * time.Second // the time limit for writing the row of a request to the request log
)

// ServeHTTP answers one request. It never redirects.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Pattern = basePattern
	outer := r
	from := event.Actor{Kind: event.Anybody, Address: web.RemoteIP(r), UserAgent: r.UserAgent()}
	r = r.WithContext(event.WithActor(r.Context(), from))
	x := &exchange{handler: h, writer: w, request: r, originalRequest: outer, place: locate(r.URL), method: r.Method}
	x.ctx, x.cancel = web.WithTimeout(r.Context(), timeLimit)
	defer func() { x.cancel() }()
	defer x.releaseMemory()
	x.ifMatch, x.ifNoneMatch = r.Header.Values("If-Match"), r.Header.Values("If-None-Match")
	if x.method == http.MethodHead {
		x.method = http.MethodGet
	}
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	x.acceptsJSON = strings.Contains(accept, "application/scim+json") || strings.Contains(accept, "application/json")
	x.openBody = x.openRequest
	x.requestRow = requestlog.Request{Time: h.Now(), Method: loggedMethod(r.Method), Path: x.place.logText, Remote: web.RemoteIP(r)}
	if err := x.authenticate(); err != nil {
		x.refuse(err)
		return
	}
	if err := x.checkRate(); err != nil {
		x.throttle(err)
		return
	}
	a, err := x.answerWithinMemory()
	if err != nil {
		x.fail(err)
		return
	}
	x.succeed(a)
}

// runGuarded runs the action that the function route returns. If the action panics, runGuarded logs
// the panic and returns 500. This is possible because actions do not write to the connection.
func (x *exchange) runGuarded(route func(*exchange) (action, error)) (a answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			if e, ok := cause.(error); ok && errors.Is(e, http.ErrAbortHandler) {
				panic(cause)
			}
			x.handler.log().Error("scim request panicked", "request", web.RequestID(x.request), "panic", cause, "stack", string(debug.Stack()))
			err = internalError(x.request)
		}
	}()
	act, err := route(x)
	if err != nil {
		return answer{}, err
	}
	return act(x)
}

// refuse answers a request whose token was not accepted. It sends the answer first, so that timing
// does not reveal whether the site exists. Then it logs the request, if the site exists. A request
// with a valid token while SCIM is off is logged at once. The rows of other requests are kept in
// memory, in limited number, and written together later. Otherwise a client without a token could
// fill the disk or slow it down.
func (x *exchange) refuse(err error) {
	e := x.handler.publicError(x.request, err)
	x.requestRow.Status, x.requestRow.Sentence = e.Status, e.Detail
	writeError(x.writer, e, err)
	// If the ResponseWriter cannot flush, the answer is sent when the handler returns.
	if err := http.NewResponseController(x.writer).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}
	if x.requestRow.Site = x.site.ID; x.requestRow.Site != "" {
		x.writeRow()
		return
	}
	x.requestRow.Duration = x.handler.Now().Sub(x.requestRow.Time)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), logTimeout)
	defer cancel()
	if err := x.handler.Requests.GatherRefused(ctx, x.place.site, x.requestRow); err != nil {
		x.handler.log().Error("request log row lost", "request", web.RequestID(x.request), "error", err)
	}
}

// throttle answers a request that exceeds the site's limit of requests per second. It keeps the
// request-log row in memory, to be written later together with others. Writing each row at once
// would cost as much as the limit saves.
func (x *exchange) throttle(err error) {
	e := x.handler.publicError(x.request, err)
	x.requestRow.Status, x.requestRow.Sentence = e.Status, e.Detail
	writeError(x.writer, e, err)
	x.handler.Requests.Gather(x.requestRow)
}

// fail answers a request whose token was accepted but which ended in an error. It logs the request
// before that.
func (x *exchange) fail(err error) {
	e := x.handler.publicError(x.request, err)
	x.requestRow.Status, x.requestRow.Sentence = e.Status, e.Detail
	x.addSubjectName()
	x.writeRow()
	if e.Status != http.StatusRequestEntityTooLarge {
		writeError(x.writer, e, err)
		return
	}
	// Close the connection, because the unread bytes of the body would be read as the next request.
	x.writer.Header().Set("Connection", "close")
	writeError(x.writer, e, err)
	x.discardBody()
}

// If a body is refused because it is too large, the server still reads and discards a part of it.
// This helps a client that sends the whole body before it reads the answer: it gets the answer
// instead of a broken connection.
const (
	maxDrainBytes = 64 << 20        // the largest number of bytes that are read and discarded
	drainTimeout  = 5 * time.Second // the longest time of reading and discarding
)

// discardBody sends the buffered answer and then reads and discards the remaining body. If the
// connection does not support this, discardBody returns at once, and the connection is closed. It
// also returns at once if the client waits for permission to send (Expect: 100-continue), because
// such a client reads the answer first.
func (x *exchange) discardBody() {
	if x.request.Header.Get("Expect") != "" {
		return
	}
	c := http.NewResponseController(x.writer)
	if c.EnableFullDuplex() != nil || c.Flush() != nil || c.SetReadDeadline(time.Now().Add(drainTimeout)) != nil {
		return
	}
	io.CopyN(io.Discard, x.request.Body, maxDrainBytes) //nolint:errcheck // the answer has been sent, so an error no longer matters
}

// succeed sends the answer and logs the request. The row of a change is written before the answer
// is sent. The row of a read is kept in memory and written later.
func (x *exchange) succeed(a answer) {
	if x.rowWritten {
		x.sendAnswer(a)
		return
	}
	x.requestRow.Status = a.status
	if x.requestRow.IsChange() {
		x.writeRow()
		x.sendAnswer(a)
		return
	}
	x.sendAnswer(a)
	x.requestRow.Duration = x.handler.Now().Sub(x.requestRow.Time)
	x.handler.Requests.Gather(x.requestRow)
}

// log returns the logger, which may discard everything.
func (h *Handler) log() *slog.Logger {
	return cmp.Or(h.Log, slog.New(slog.DiscardHandler))
}
