package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/web"
)

// access says who may ask for a route.
type access int

const (
	anyone        access = iota // sign-in links: the secret in the path is the key
	signedIn                    // a session of this area
	administrator               // a session of this area that may change it; every operator is one
)

// maxFormBytes is the body limit of a route that sets none.
const maxFormBytes = 256 << 10

// route is one line of an area's table. V is what the area's guard found out about the visitor.
type route[V any] struct {
	pattern string // "GET /c/{site}/admin/people"
	access  access
	handle  func(w http.ResponseWriter, r *http.Request, v V) error
	maxBody int64 // bytes; 0 means maxFormBytes
}

// RouteInfo is a route without its handler.
type RouteInfo struct {
	Pattern string
	Access  access
}

// routeInfos lists the routes of an area.
func routeInfos[V any](tables ...[]route[V]) (list []RouteInfo) {
	for _, table := range tables {
		for _, rt := range table {
			list = append(list, RouteInfo{Pattern: rt.pattern, Access: rt.access})
		}
	}
	return list
}

// area serves one half: its routes, behind its guard.
type area[V any] struct {
	console *Console
	// tables are tried in order; the first that knows the path answers. Two tables only because ServeMux refuses to hold
	// /d/sign-in/{secret} and /d/{directory}/users at once.
	tables [][]route[V]
	// guard finds out who asks and whether they may have what needs this access. Its error is shown as a page.
	guard func(w http.ResponseWriter, r *http.Request, need access) (V, error)
	// actor returns the visitor that the guard found, for the events of its acts. It is zero if the
	// guard found none.
	actor func(v V) event.Actor
	// scope returns the audit trail to which a refusal belongs.
	scope func(v V) event.Scope
	// frame returns the menu and heading around an error page for this visitor.
	frame func(v V) page
}

// handler builds the muxes. ServeMux panics on patterns that contradict each other; a test builds both areas.
func (a area[V]) handler() http.Handler {
	var muxes []*http.ServeMux
	for _, table := range a.tables {
		mux := http.NewServeMux()
		for _, rt := range table {
			mux.Handle(rt.pattern, a.serve(rt))
		}
		muxes = append(muxes, mux)
	}
	dispatch := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allow := ""
		for _, mux := range muxes {
			h, pattern := mux.Handler(r)
			if pattern != "" {
				mux.ServeHTTP(w, r)
				return
			}
			if methods := allowed(h, r); methods != "" {
				allow = methods
			}
		}
		if allow == "" {
			lost := *errNotFound
			lost.Action = &action{Text: "Go to the start", Icon: "house", URL: areaPath(r.URL.Path)}
			a.console.showError(w, r, page{}, &lost)
			return
		}
		w.Header().Set("Allow", allow)
		a.console.showError(w, r, page{}, &pageError{
			Status: http.StatusMethodNotAllowed, Title: "This address does not take " + r.Method,
			Text: "It takes " + allow + ". Go back and use the page's own buttons.",
		})
	})
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.console.noteForeignForm(r)
		a.console.showError(w, r, page{}, &pageError{
			Status: http.StatusForbidden, Title: "This form came from another site",
			Text: "Nothing was changed. Open the page here and send its form again.",
		})
	}))
	return cross.Handler(dispatch)
}

func (a area[V]) serve(rt route[V]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := rt.maxBody
		if limit == 0 {
			limit = maxFormBytes
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		r = seen(r)
		v, err := a.guard(w, r, rt.access)
		if who := a.actor(v); !who.IsZero() {
			r = acting(r, who)
		}
		if err == nil {
			err = rt.handle(w, r, v)
		}
		if err != nil {
			a.console.noteRefused(r, a.scope(v), rt.pattern, err)
			a.console.showError(w, r, a.frame(v), err)
		}
	})
}

// seen stores the client's address and browser in the request's context, for events.
func seen(r *http.Request) *http.Request {
	return acting(r, event.Actor{Kind: event.Anybody})
}

// acting stores the actor in the request's context, for events.
func acting(r *http.Request, who event.Actor) *http.Request {
	who.Address, who.UserAgent = web.RemoteIP(r), r.UserAgent()
	return r.WithContext(event.WithActor(r.Context(), who))
}

// allowed returns the methods that ServeMux knows for a path.
func allowed(h http.Handler, r *http.Request) string {
	var out headerOnly
	h.ServeHTTP(&out, r)
	if out.status != http.StatusMethodNotAllowed {
		return ""
	}
	return out.Header().Get("Allow")
}

// headerOnly keeps the header and status of an answer.
type headerOnly struct {
	header http.Header
	status int
}

func (w *headerOnly) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}
func (w *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (w *headerOnly) WriteHeader(status int)      { w.status = status }

// pageError is an error whose text the reader sees.
type pageError struct {
	Status int
	Title  string
	Text   string // what happened and what to do next
	Action *action
	signIn *signInPage // set by a guard: show how to get in
}

func (e *pageError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Title, e.Text) }

var errNotFound = &pageError{
	Status: http.StatusNotFound, Title: "There is nothing here",
	Text: "The address may be mistyped, or what it showed is gone.",
}

// errorPage is the view "error".
type errorPage struct {
	page
	Status  int
	Text    string
	Request string // a number for the administrator to look up; empty if there is nothing to find
	Action  *action
}

// backTo leads to the start of the area that a frame belongs to.
func backTo(frame page) *action {
	if frame.Area.URL == "" {
		return nil
	}
	return &action{Text: "Back to " + frame.Area.Name, URL: frame.Area.URL}
}

// showError is the one place where an error becomes a page.
func (c *Console) showError(w http.ResponseWriter, r *http.Request, frame page, err error) {
	var (
		shown *pageError
		large *http.MaxBytesError
	)
	if e, ok := refused(err); ok && !errors.As(err, &shown) {
		err = c.refusedPage(e, backTo(frame))
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the reader has gone
	}
	e := errorPage{page: frame}
	switch {
	case errors.As(err, &shown) && shown.signIn != nil:
		w.Header().Set("HX-Refresh", "true") // a script that asked for part of a page: load the whole one
		shown.signIn.NewLinks = c.options.NewLinks
		if err := c.view(w, r, shown.Status, "signin", shown.signIn); err != nil {
			c.options.Log.Error("sign-in page broken", "request", web.RequestID(r), "error", err)
			http.Error(w, shown.Text, shown.Status)
		}
		return
	case errors.As(err, &shown):
		e.Status, e.Title, e.Text, e.Action = shown.Status, shown.Title, shown.Text, shown.Action
	case errors.As(err, &large):
		e.Status, e.Title = http.StatusRequestEntityTooLarge, "That is too much at once"
		e.Text = fmt.Sprintf("This form takes at most %d KiB.", large.Limit>>10)
	case errors.Is(err, context.DeadlineExceeded):
		e.Status, e.Title = http.StatusServiceUnavailable, "This took too long"
		e.Text = "It was given up, and may or may not have been done: open the page again to see. The server may be busy; try once more in a minute."
	default:
		e.Status, e.Title = http.StatusInternalServerError, "Something broke on our side"
		e.Text = "What you asked for was not done. Try again; if it happens again, give the request number below to whoever runs this server: it finds the reason in the log."
		e.Request = web.RequestID(r)
		c.options.Log.Error("page failed", "request", e.Request, "route", r.Pattern, "error", err)
	}
	e.Narrow = true
	if err := c.view(w, r, e.Status, "error", e); err != nil {
		c.options.Log.Error("error page broken", "request", web.RequestID(r), "error", err)
		http.Error(w, e.Text, e.Status)
	}
}

// sessionSecret is the value of the area's session cookie, or empty.
func (c *Console) sessionSecret(r *http.Request, name string) string {
	if secret := c.areaCookieValue(r, name); len(secret) <= 200 {
		return secret
	}
	return ""
}

// setSession sends the session's secret to the browser; an empty secret removes the cookie. The
// server, not the browser, decides when it ends, so the cookie lasts as long as the browser is
// open.
func (c *Console) setSession(w http.ResponseWriter, r *http.Request, name, secret string) {
	http.SetCookie(w, c.areaCookie(r, name, secret))
}

// keepSecret keeps a path that holds a secret out of Referer headers. Browsers also drop Origin under no-referrer, and on
// plain http that is all the cross-origin check has, so there the origin alone is sent.
func (c *Console) keepSecret(w http.ResponseWriter, r *http.Request) {
	policy := "no-referrer"
	if !c.secure(r) && !loopback(r.Host) {
		policy = "origin"
	}
	w.Header().Set("Referrer-Policy", policy)
}

func loopback(host string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(host, "["), ":")
	return name == "localhost" || strings.HasPrefix(name, "127.") || strings.HasPrefix(host, "[::1]")
}

// browserOf returns what sessions and events keep about the browser.
func browserOf(r *http.Request) session.Browser {
	return session.Browser{Address: web.RemoteIP(r), Agent: r.UserAgent()}
}
