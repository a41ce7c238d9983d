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

// Access says which visitors may use a route. Each value requires more than the one before.
type Access int

const (
	Anyone             Access = iota // anyone may use the route, such as a sign-in link, whose path contains a secret
	SignedIn                         // the visitor needs a session of this area
	Administrator                    // the visitor needs a session of an administrator; operators count as administrators
	FreshAdministrator               // the administrator also signed in within session.FreshTime
)

// maxFormBytes limits the body of a request if the route sets no limit.
const maxFormBytes = 256 << 10

// Route is one route of a page set. V is the type of the guard's result, which describes the visitor.
type Route[V any] struct {
	Pattern      string // the method and the path, such as "GET /c/{site}/admin/people"
	Access       Access
	Handle       func(w http.ResponseWriter, r *http.Request, v V) error
	MaxBodyBytes int64 // the largest request body in bytes; 0 means maxFormBytes
}

// RouteInfo is a route without its handler.
type RouteInfo struct {
	Pattern string
	Access  Access
}

// ListRoutes lists the routes of a page set, without their handlers.
func ListRoutes[V any](tables ...[]Route[V]) (list []RouteInfo) {
	for _, table := range tables {
		for _, rt := range table {
			list = append(list, RouteInfo{Pattern: rt.Pattern, Access: rt.Access})
		}
	}
	return list
}

// PageSet serves the routes of one page set: those of sites, or those of operators. A guard checks
// each request first. V is the type of the guard's result, which describes the visitor.
type PageSet[V any] struct {
	Console *Console
	// Tables hold the routes. The first table that has a route for the request responds. There can
	// be several tables, because one ServeMux cannot hold both /d/sign-in/{secret} and
	// /d/{directory}/users.
	Tables [][]Route[V]
	// Guard finds out who the visitor is. It returns an error if the visitor lacks the access that
	// the route needs; the visitor gets the error as a page.
	Guard func(w http.ResponseWriter, r *http.Request, need Access) (V, error)
	// Actor returns the visitor as an actor of events. It returns the zero actor if no one is
	// signed in.
	Actor func(v V) event.Actor
	// Scope returns the scope of the audit log in which a refusal for this visitor is recorded.
	Scope func(v V) event.Scope
	// Frame returns the frame of an error page for this visitor, such as the menu.
	Frame func(v V) Page
}

// Handler returns the handler of the page set. It panics if two routes of a table conflict, so a
// test calls it for both page sets.
func (a PageSet[V]) Handler() http.Handler {
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
			if methods := allowedMethods(h, r); methods != "" {
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
		a.Console.recordForeignForm(r)
		a.Console.showError(w, r, Page{}, &PageError{
			Status: http.StatusForbidden, Title: "This form came from another site",
			Text: "Nothing was changed. Open the page here and send its form again.",
		})
	}))
	return cross.Handler(dispatch)
}

func (a PageSet[V]) serve(rt Route[V]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := rt.MaxBodyBytes
		if limit == 0 {
			limit = maxFormBytes
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		r = withBrowser(r)
		v, err := a.Guard(w, r, rt.Access)
		if who := a.Actor(v); !who.IsZero() {
			r = withActor(r, who)
		}
		if err == nil {
			err = rt.Handle(w, r, v)
		}
		if old, ok := errors.AsType[*OldSignIn](err); ok {
			err = a.Console.AskToRenew(w, r, old.RenewURL)
		}
		if err != nil {
			a.Console.recordRefusal(r, a.Scope(v), rt.Pattern, err)
			a.Console.showError(w, r, a.Frame(v), err)
		}
	})
}

// withBrowser returns the request with the visitor's address and browser in its context. Events
// that the request causes contain them.
func withBrowser(r *http.Request) *http.Request {
	return withActor(r, event.Actor{Kind: event.Anybody})
}

// withActor is like withBrowser, and also puts the actor into the context.
func withActor(r *http.Request, who event.Actor) *http.Request {
	who.Address, who.UserAgent = web.RemoteIP(r), r.UserAgent()
	return r.WithContext(event.WithActor(r.Context(), who))
}

// allowedMethods returns the methods that h allows for the request's path. It returns "" if h does
// not respond with status 405.
func allowedMethods(h http.Handler, r *http.Request) string {
	var out headerRecorder
	h.ServeHTTP(&out, r)
	if out.status != http.StatusMethodNotAllowed {
		return ""
	}
	return out.Header().Get("Allow")
}

// headerRecorder is a response writer that records the header and the status, and drops the body.
type headerRecorder struct {
	header http.Header
	status int
}

func (w *headerRecorder) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}
func (w *headerRecorder) Write(b []byte) (int, error) { return len(b), nil }
func (w *headerRecorder) WriteHeader(status int)      { w.status = status }

// PageError is an error that a page explains to the user with this title and text.
type PageError struct {
	Status int
	Title  string
	Text   string      // what happened and what to do next
	Action *Action     // a button below the text; may be nil
	SignIn *SignInPage // if not nil, this page is shown instead of the error page
}

func (e *PageError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Title, e.Text) }

// OldSignIn is the error of a guard for a route that needs a fresh sign-in, if the visitor's
// sign-in is too old. RenewURL is the address of the page that asks for a fresh sign-in.
type OldSignIn struct{ RenewURL string }

func (e *OldSignIn) Error() string { return "the sign-in is too old for this page" }

// ErrNotFound is the error for an address that leads to nothing.
var ErrNotFound = &PageError{
	Status: http.StatusNotFound, Title: "There is nothing here",
	Text: "The address may be mistyped, or what it showed is gone.",
}

// errorPage is the data of the view "error".
type errorPage struct {
	Page
	Status        int
	Text          string
	RequestNumber string  // the request number, for the server's administrator; may be empty
	Action        *Action // a button below the text; may be nil
}

// backLink returns a link to the start page of the frame's area. It returns nil if the frame has no
// area.
func backLink(frame Page) *Action {
	if frame.Area.URL == "" {
		return nil
	}
	return &Action{Text: "Back to " + frame.Area.Name, URL: frame.Area.URL}
}

// showError shows the page for an error. No other function turns errors into pages.
func (c *Console) showError(w http.ResponseWriter, r *http.Request, frame Page, err error) {
	var (
		shown *PageError
		large *http.MaxBytesError
	)
	if e, ok := asRefusal(err); ok && !errors.As(err, &shown) {
		err = c.refusalPage(e, backLink(frame))
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has disconnected
	}
	e := errorPage{Page: frame}
	switch {
	case errors.As(err, &shown) && shown.SignIn != nil:
		w.Header().Set("HX-Refresh", "true") // makes the script load the whole page
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
		e.RequestNumber = web.RequestID(r)
		c.Options.Log.Error("page failed", "request", e.RequestNumber, "route", r.Pattern, "error", err)
	}
	e.Narrow = true
	if err := c.View(w, r, e.Status, "error", e); err != nil {
		c.Options.Log.Error("error page broken", "request", web.RequestID(r), "error", err)
		http.Error(w, e.Text, e.Status)
	}
}

// ShowProblem shows the page for an error of an endpoint that belongs to no area.
func (c *Console) ShowProblem(w http.ResponseWriter, r *http.Request, e *PageError) {
	c.showError(w, r, Page{}, e)
}

// SessionSecret returns the secret in the area's session cookie. It returns "" if there is none.
func (c *Console) SessionSecret(r *http.Request, name string) string {
	if secret := c.areaCookieValue(r, name); len(secret) <= 200 {
		return secret
	}
	return ""
}

// SetSession sets the session cookie. An empty secret deletes it. The cookie lasts until the
// browser is closed, and the server decides when the session ends.
func (c *Console) SetSession(w http.ResponseWriter, r *http.Request, name, secret string) {
	http.SetCookie(w, c.areaCookie(r, name, secret))
}

// KeepPathSecret sets a referrer policy, so that browsers do not send the secret in this page's
// path to other pages, in the header Referer. With the policy "no-referrer", browsers also leave
// out the header Origin. On plain HTTP, except on loopback, the cross-origin check
// needs that header, so the policy there is "origin".
func (c *Console) KeepPathSecret(w http.ResponseWriter, r *http.Request) {
	policy := "no-referrer"
	if !c.isSecure(r) && !isLoopback(r.Host) {
		policy = "origin"
	}
	w.Header().Set("Referrer-Policy", policy)
}

func isLoopback(host string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(host, "["), ":")
	return name == "localhost" || strings.HasPrefix(name, "127.") || strings.HasPrefix(host, "[::1]")
}

// BrowserOf returns the details of the request's browser, which a session stores.
func BrowserOf(r *http.Request) session.Browser {
	return session.Browser{Address: web.RemoteIP(r), Agent: r.UserAgent()}
}
