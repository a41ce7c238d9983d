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
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// Handler answers every request that Serves reports.
type Handler struct {
	Sites   *site.Sites
	Rosters *roster.Rosters

	// BaseURL is the public URL before "/c/": what --public-url says, else what the client used. No slash at its end.
	BaseURL func(*http.Request) string

	Log *slog.Logger // failures that the client is not told; nil: nowhere
	Now func() time.Time

	limits limiter
	memory memory

	foreign foreignHosts // see otherAddress
}

// Before answers what Serves reports and leaves everything else to next, which may be a ServeMux.
func (h *Handler) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Serves(r) {
			h.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// timeLimit is how long the work for a request may take: well below the minute after which Okta gives up. How long a large
// body takes on its way in or out is the server's business.
const (
	timeLimit = 30 * time.Second
	logTime   = 5 * time.Second
)

// ServeHTTP answers one request. It never redirects.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Pattern = basePattern
	outer := r
	from := event.Actor{Kind: event.Anybody, Address: web.RemoteIP(r), UserAgent: r.UserAgent()}
	r = r.WithContext(event.WithActor(r.Context(), from))
	x := &exchange{Handler: h, w: w, r: r, outer: outer, place: locate(r.URL), method: r.Method}
	x.ctx, x.cancel = context.WithTimeout(r.Context(), timeLimit)
	defer func() { x.cancel() }()
	defer x.letGo()
	x.ifMatch, x.ifNoneMatch = r.Header.Values("If-Match"), r.Header.Values("If-None-Match")
	if x.method == http.MethodHead {
		x.method = http.MethodGet
	}
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	x.namesJSON = strings.Contains(accept, "application/scim+json") || strings.Contains(accept, "application/json")
	x.open = x.openRequest
	x.row = site.Request{Time: h.Now(), Method: method(r.Method), Path: x.place.shown, Remote: web.RemoteIP(r)}
	if err := x.authenticate(); err != nil {
		x.refuse(err)
		return
	}
	if err := x.allowed(); err != nil {
		x.throttle(err)
		return
	}
	a, err := x.answered()
	if err != nil {
		x.fail(err)
		return
	}
	x.succeed(a)
}

// guarded runs the action that route finds; a panic becomes an error, as nothing is written before it returns.
func (x *exchange) guarded(route func(*exchange) (action, error)) (a answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			if e, ok := cause.(error); ok && errors.Is(e, http.ErrAbortHandler) {
				panic(cause)
			}
			x.log().Error("scim request panicked", "request", web.RequestID(x.r), "panic", cause, "stack", string(debug.Stack()))
			err = broken(x.r)
		}
	}()
	act, err := route(x)
	if err != nil {
		return answer{}, err
	}
	return act(x)
}

// refuse answers a request that was not accepted. The answer leaves first, so that its time does not tell whether the site
// exists; then, if it does, the site's log gets its row: at once for a right token while SCIM is off, else gathered and only
// so many of them, as whoever has no token must neither fill the disk nor make it wait.
func (x *exchange) refuse(err error) {
	e := x.public(x.r, err)
	x.row.Status, x.row.Sentence = e.Status, e.Detail
	writeError(x.w, e, err)
	// Not every ResponseWriter can flush; then the answer leaves when the handler returns.
	if err := http.NewResponseController(x.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}
	if x.row.Site = x.site.ID; x.row.Site != "" {
		x.write()
		return
	}
	x.row.Duration = x.Now().Sub(x.row.Time)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), logTime)
	defer cancel()
	if err := x.Sites.Log().GatherRefused(ctx, x.place.site, x.row); err != nil {
		x.log().Error("request log row lost", "request", web.RequestID(x.r), "error", err)
	}
}

// throttle answers a request beyond the site's rate. Its row is gathered: a write for each would cost what the limit saves.
func (x *exchange) throttle(err error) {
	e := x.public(x.r, err)
	x.row.Status, x.row.Sentence = e.Status, e.Detail
	writeError(x.w, e, err)
	x.Sites.Log().Gather(x.row)
}

// fail logs, then answers, a request of an accepted token that got an error.
func (x *exchange) fail(err error) {
	e := x.public(x.r, err)
	x.row.Status, x.row.Sentence = e.Status, e.Detail
	x.nameSubject()
	x.write()
	if e.Status != http.StatusRequestEntityTooLarge {
		writeError(x.w, e, err)
		return
	}
	// What still comes of the body must not be taken for the next request.
	x.w.Header().Set("Connection", "close")
	writeError(x.w, e, err)
	x.drain()
}

// What is still taken of a body that was refused for its size, so that a client that sends all of it before it reads finds
// the answer instead of a broken connection.
const (
	drainMost = 64 << 20 // bytes
	drainTime = 5 * time.Second
)

// drain sends the answer and drops what still comes of the body. A connection that cannot do this is closed, as it would
// be anyway, and so is that of a client that asks first (Expect: 100-continue), which reads before it sends.
func (x *exchange) drain() {
	if x.r.Header.Get("Expect") != "" {
		return
	}
	c := http.NewResponseController(x.w)
	if c.EnableFullDuplex() != nil || c.Flush() != nil || c.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return
	}
	io.CopyN(io.Discard, x.r.Body, drainMost) //nolint:errcheck // nobody is left to be told
}

// succeed answers a read and gathers its row; the row of a write is on disk before its answer leaves.
func (x *exchange) succeed(a answer) {
	if x.logged {
		x.send(a)
		return
	}
	x.row.Status = a.status
	if x.row.IsChange() {
		x.write()
		x.send(a)
		return
	}
	x.send(a)
	x.row.Duration = x.Now().Sub(x.row.Time)
	x.Sites.Log().Gather(x.row)
}

func (h *Handler) log() *slog.Logger {
	return cmp.Or(h.Log, slog.New(slog.DiscardHandler))
}
