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
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
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

// foreignHosts remembers the hosts that were warned of, as many as maxForeignHosts.
type foreignHosts struct {
	mu    sync.Mutex
	named map[string]bool
}

// maxForeignHosts bounds the warnings, because a client sends whatever Host it likes.
const maxForeignHosts = 20

// isNew says whether a host is to be warned of now.
func (f *foreignHosts) isNew(host string) bool {
	host = strings.ToLower(host)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.named[host] || len(f.named) >= maxForeignHosts {
		return false
	}
	if f.named == nil {
		f.named = map[string]bool{}
	}
	f.named[host] = true
	return true
}

// exchange is one request of a site whose token was accepted, or one operation of a bulk request.
type exchange struct {
	*Handler
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context // the request's, with the time limit

	cancel context.CancelFunc // ends ctx

	place       place
	method      string   // HEAD is GET
	ifMatch     []string // the versions that a change was made for
	ifNoneMatch []string // the versions that the client has
	namesJSON   bool     // Accept names application/scim+json or application/json
	open        func(limit int64) (body, error)
	outer       *http.Request // as it was given to the handler: its Pattern names the route to whoever stands before

	site   site.Site
	token  site.Token
	roster *roster.Roster
	base   string // "https://…/c/acme/auth/scim/v2", for locations
	mode   scim.Mode
	rt     *scim.ResourceType // of the place; nil where it has none

	row    site.Request // the row that this request leaves in the request log
	logged bool         // it was written, with the change
	held   int          // bytes of memory that this request was let in with
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

// authenticate finds the site and the token that the request speaks for.
//
// RFC 6750 §3: without credentials the challenge names no error.
func (x *exchange) authenticate() error {
	bearer, given := bearerOf(x.r.Header)
	if !given {
		return unauthorized(`Bearer realm="SCIM"`)
	}
	var err error
	x.row.TokenLast4 = last4(bearer)
	x.site, x.token, err = x.Sites.Authenticate(x.ctx, x.place.site, bearer)
	switch {
	case errors.Is(err, refusal.Unauthorized):
		if ended, ok := refusal.About[site.Token](err); ok {
			x.row.TokenID, x.row.TokenLast4 = ended.ID, ended.Last4
		}
		return unauthorized(`Bearer realm="SCIM", error="invalid_token"`)
	case errors.Is(err, site.ErrSCIMOff):
		x.row.TokenID = x.token.ID
		return err
	case err != nil:
		return err
	}
	x.row.TokenID, x.row.TokenLast4 = x.token.ID, x.token.Last4
	x.row.Site = x.site.ID
	x.act()
	x.roster = x.Rosters.Open(x.site)
	address := x.BaseURL(x.r)
	x.otherAddress(address)
	x.base = address + "/c/" + x.site.Name + "/auth/scim/v2"
	if x.site.Strict {
		x.mode = scim.Strict
	}
	return nil
}

// act notes in the contexts of the request that it comes from the token, for the events of what it does.
func (x *exchange) act() {
	who := x.token.Who().At(event.ActorIn(x.ctx))
	x.ctx = event.WithActor(x.ctx, who)
	x.r = x.r.WithContext(event.WithActor(x.r.Context(), who))
}

// otherAddress warns, once for each host, of accepted requests that came to another address than the public one, by which every location
// goes: some clients refuse a meta.location that is not where they sent their request.
func (x *exchange) otherAddress(public string) {
	_, host, found := strings.Cut(public, "://")
	shown := clip(x.r.Host)
	if !found || strings.EqualFold(host, x.r.Host) || !x.foreign.isNew(shown) {
		return
	}
	x.log().Warn("scim requests come in by another address than the public one; locations in answers go by the public one",
		"address", shown, "public", public, "hint", "make --public-url what identity providers have as the Tenant URL")
}

// unauthorized is one answer for an unknown site, and for a missing, wrong, expired or revoked token.
func unauthorized(challenge string) error {
	return &headerError{
		err: scim.Unauthorized("The token is missing, wrong, expired or revoked, or there is no such site." +
			" Copy the Tenant URL and a newly generated token from the site's page SCIM integration."),
		header: "WWW-Authenticate",
		value:  challenge,
	}
}

// RFC 9110 §11.1: the name of the scheme is case-insensitive.
func bearerOf(h http.Header) (token string, given bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(strings.TrimSpace(values[0]), " ")
	token = strings.TrimSpace(token)
	return token, found && strings.EqualFold(scheme, "Bearer") && token != ""
}

// last4 is what the log may show of a credential: nothing of a short one.
func last4(bearer string) string {
	if len(bearer) < 20 {
		return ""
	}
	return strings.ToValidUTF8(bearer[len(bearer)-4:], "")
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

// nameSubject finds out, for the log, whom a refused request was about.
func (x *exchange) nameSubject() {
	known := (x.row.Status < http.StatusInternalServerError || x.row.Status == http.StatusNotImplemented) && x.row.Status != http.StatusNotFound
	if x.row.Status == http.StatusTooManyRequests {
		return // to read the resource is what there is no room for
	}
	if !known || x.row.UserName != "" || x.row.Subject == "" {
		return
	}
	kind := roster.User
	if x.rt != nil {
		kind = roster.Kind(x.rt.ID)
	}
	if doc, err := x.roster.Get(x.ctx, kind, x.row.Subject); err == nil {
		x.row.UserName = nameOf(kind, doc.JSON)
	}
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

// write puts the row on disk, or gathers it while the database takes none. What was done stays done if that fails, so the client is told of it all the same.
func (x *exchange) write() {
	x.row.Duration = x.Now().Sub(x.row.Time)
	// The client may have gone; its row is written nevertheless.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), logTime)
	defer cancel()
	err := x.Sites.Log().Write(ctx, x.row)
	if unavailable(err) {
		x.Sites.Log().Gather(x.row) // it is written when the database takes writes again
		return
	}
	if err != nil {
		x.log().Error("request log row lost", "request", web.RequestID(x.r), "error", err)
	}
}

func (h *Handler) log() *slog.Logger {
	return cmp.Or(h.Log, slog.New(slog.DiscardHandler))
}

// method is a request's method as the log may show it.
func method(name string) string { return clip(name) }

// fixed notes the tolerances that a request needed.
func (x *exchange) fixed(fixes []scim.Fix) {
	for _, f := range fixes {
		x.row.Fixes = note(x.row.Fixes, labelled(f.Path, f.Text))
	}
}

// ignored notes what was understood and deliberately not applied.
func (x *exchange) ignored(list []scim.Ignored) {
	for _, i := range list {
		x.row.Ignored = note(x.row.Ignored, labelled(i.Path, i.Reason))
	}
}

// note adds a line unless there are so many that one request would fill the log.
func note(lines []string, line string) []string {
	const most = 100
	switch {
	case len(lines) < most:
		return append(lines, line)
	case len(lines) == most:
		return append(lines, "more like these")
	}
	return lines
}

func labelled(path, text string) string {
	if path == "" {
		return text
	}
	return path + ": " + text
}
