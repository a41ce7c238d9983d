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

// Access says who may ask for a route.
type Access int

const (
	Anyone        Access = iota // sign-in links: the secret in the path is the key
	SignedIn                    // a session of this area
	Administrator               // a session of this area that may change it; every operator is one
)

// maxFormBytes is the body limit of a route that sets none.
const maxFormBytes = 256 << 10

// Route is one line of an area's table. V is what the area's guard found out about the visitor.
type Route[V any] struct {
	Pattern string // "GET /c/{site}/admin/people"
	Access  Access
	Handle  func(w http.ResponseWriter, r *http.Request, v V) error
	MaxBody int64 // bytes; 0 means maxFormBytes
}

// RouteInfo is a route without its handler.
type RouteInfo struct {
	Pattern string
	Access  Access
}

// RouteInfos lists the routes of an area.
func RouteInfos[V any](tables ...[]Route[V]) (list []RouteInfo) {
	for _, table := range tables {
		for _, rt := range table {
			list = append(list, RouteInfo{Pattern: rt.Pattern, Access: rt.Access})
		}
	}
	return list
}

// Area serves one half: its routes, behind its guard.
type Area[V any] struct {
	Console *Console
	// tables are tried in order; the first that knows the path answers. Two tables only because ServeMux refuses to hold
	// /d/sign-in/{secret} and /d/{directory}/users at once.
	Tables [][]Route[V]
	// guard finds out who asks and whether they may have what needs this access. Its error is shown as a page.
	Guard func(w http.ResponseWriter, r *http.Request, need Access) (V, error)
	// actor is who the guard found, for the events of what they do; the zero actor where it found nobody.
	Actor func(v V) event.Actor
	// scope is whose audit trail a refusal belongs to.
	Scope func(v V) event.Scope
	// frame is what surrounds an error page for this visitor.
	Frame func(v V) Page
}

// Handler builds the muxes. ServeMux panics on patterns that contradict each other; a test builds both areas.
func (a Area[V]) Handler() http.Handler {
	var muxes []*http.ServeMux
	for _, table := range a.Tables {
		mux := http.NewServeMux()
		for _, rt := range table {
			mux.Handle(rt.Pattern, a.serve(rt))
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
			lost := *ErrNotFound
			lost.Action = &Action{Text: "Go to the start", Icon: "house", URL: areaPath(r.URL.Path)}
			a.Console.showError(w, r, Page{}, &lost)
			return
		}
		w.Header().Set("Allow", allow)
		a.Console.showError(w, r, Page{}, &PageError{
			Status: http.StatusMethodNotAllowed, Title: "This address does not take " + r.Method,
			Text: "It takes " + allow + ". Go back and use the page's own buttons.",
		})
	})
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.Console.noteForeignForm(r)
		a.Console.showError(w, r, Page{}, &PageError{
			Status: http.StatusForbidden, Title: "This form came from another site",
			Text: "Nothing was changed. Open the page here and send its form again.",
		})
	}))
	return cross.Handler(dispatch)
}

func (a Area[V]) serve(rt Route[V]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := rt.MaxBody
		if limit == 0 {
			limit = maxFormBytes
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		r = seen(r)
		v, err := a.Guard(w, r, rt.Access)
		if who := a.Actor(v); !who.IsZero() {
			r = acting(r, who)
		}
		if err == nil {
			err = rt.Handle(w, r, v)
		}
		if err != nil {
			a.Console.noteRefused(r, a.Scope(v), rt.Pattern, err)
			a.Console.showError(w, r, a.Frame(v), err)
		}
	})
}

// seen notes in the request's context from where it comes, for the events of what it does.
func seen(r *http.Request) *http.Request {
	return acting(r, event.Actor{Kind: event.Anybody})
}

// acting notes in the request's context who it comes from.
func acting(r *http.Request, who event.Actor) *http.Request {
	who.Address, who.UserAgent = web.RemoteIP(r), r.UserAgent()
	return r.WithContext(event.WithActor(r.Context(), who))
}

// allowed asks the answer that ServeMux has for a path it knows under other methods.
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

// PageError is an error that was foreseen: it is shown as it is.
type PageError struct {
	Status int
	Title  string
	Text   string // what happened and what to do next
	Action *Action
	SignIn *SignInPage // set by a guard: show how to get in
}

func (e *PageError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Title, e.Text) }

var ErrNotFound = &PageError{
	Status: http.StatusNotFound, Title: "There is nothing here",
	Text: "The address may be mistyped, or what it showed is gone.",
}

// errorPage is the view "error".
type errorPage struct {
	Page
	Status  int
	Text    string
	Request string // to be told to an administrator; empty if there is nothing to look up
	Action  *Action
}

// backTo leads to the start of the area that a frame belongs to.
func backTo(frame Page) *Action {
	if frame.Area.URL == "" {
		return nil
	}
	return &Action{Text: "Back to " + frame.Area.Name, URL: frame.Area.URL}
}

// showError is the one place where an error becomes a page.
func (c *Console) showError(w http.ResponseWriter, r *http.Request, frame Page, err error) {
	var (
		shown *PageError
		large *http.MaxBytesError
	)
	if e, ok := refused(err); ok && !errors.As(err, &shown) {
		err = c.refusedPage(e, backTo(frame))
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the reader has gone
	}
	e := errorPage{Page: frame}
	switch {
	case errors.As(err, &shown) && shown.SignIn != nil:
		w.Header().Set("HX-Refresh", "true") // a script that asked for part of a page: load the whole one
		shown.SignIn.NewLinks = c.Options.NewLinks
		if err := c.View(w, r, shown.Status, "signin", shown.SignIn); err != nil {
			c.Options.Log.Error("sign-in page broken", "request", web.RequestID(r), "error", err)
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
		c.Options.Log.Error("page failed", "request", e.Request, "route", r.Pattern, "error", err)
	}
	e.Narrow = true
	if err := c.View(w, r, e.Status, "error", e); err != nil {
		c.Options.Log.Error("error page broken", "request", web.RequestID(r), "error", err)
		http.Error(w, e.Text, e.Status)
	}
}

// SessionSecret is the value of the area's session cookie, or empty.
func (c *Console) SessionSecret(r *http.Request, name string) string {
	if secret := c.areaCookieValue(r, name); len(secret) <= 200 {
		return secret
	}
	return ""
}

// SetSession gives the browser the secret; an empty one takes it away. The server, not the browser, decides when it ends, so
// the cookie lasts as long as the browser is open.
func (c *Console) SetSession(w http.ResponseWriter, r *http.Request, name, secret string) {
	http.SetCookie(w, c.areaCookie(r, name, secret))
}

// KeepPathSecret keeps a path that holds a secret out of Referer headers. Browsers also drop Origin under no-referrer, and on
// plain http that is all the cross-origin check has, so there the origin alone is sent.
func (c *Console) KeepPathSecret(w http.ResponseWriter, r *http.Request) {
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

// BrowserOf is what is kept about the browser that asks.
func BrowserOf(r *http.Request) session.Browser {
	return session.Browser{Address: web.RemoteIP(r), Agent: r.UserAgent()}
}
