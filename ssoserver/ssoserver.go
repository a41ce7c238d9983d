// Package ssoserver answers the single sign-on endpoints of a site. The endpoints of SAML are:
//
//	GET  /c/{site}/auth/saml2/metadata  describes the site to an identity provider
//	GET  /c/{site}/auth/saml2/login     starts a sign-in, at the identity provider
//	GET  /c/{site}/auth/saml2/test      starts a test for a signed-in administrator
//	GET, POST /c/{site}/auth/saml2/sign-out  receives messages about the end of a session
//	POST /c/{site}/auth/saml2/post      receives the response: the assertion consumer
//
// It also answers the endpoints of OpenID Connect:
//
//	GET  /c/{site}/auth/oidc/login      starts a sign-in, at the provider
//	GET  /c/{site}/auth/oidc/test       starts a test for a signed-in administrator
//	GET  /c/{site}/auth/oidc/callback   receives the answer: the redirect address
//	GET  /c/{site}/auth/oidc/sign-out   ends the session at the provider, and is the page after it
//
// Both login addresses start a sign-in with the protocol that the site uses now. So sign-in pages
// and bookmarks still work after the site changes its protocol.
//
// The address names the site, and a message never does. Package signin decides whether a response
// signs a person in. Package console owns the pages and the session cookies. So console gives the
// Handler functions that show pages and set cookies. A source, in this package, is a client network
// at one site; requests are limited for each source.
//
// If there is no site of this name, the answers are those of a site without single sign-on, and the
// metadata is the same as if the site existed. So the answers do not tell which sites exist.
package ssoserver

import (
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// The patterns under which a mux must mount the handler: SAMLPrefix for the endpoints of SAML,
// OpenIDPrefix for those of OpenID Connect.
const (
	SAMLPrefix   = "/c/{site}/auth/saml2/"
	OpenIDPrefix = "/c/{site}/auth/oidc/"
)

// Prefixes lists the patterns under which a mux must mount the handler.
var Prefixes = []string{SAMLPrefix, OpenIDPrefix}

// cookieName is the name of the cookie with a secret of the browser. It shows that a response comes
// from the browser that began the sign-in.
const cookieName = "rollcall-saml"

// maxBody is the largest size of a posted SAML response, in bytes.
const maxBody = saml.MaxResponse

// The limits for starting sign-ins. From one client network, startsAtOnce sign-ins at a site may
// begin at once, and after that one more in each startInterval. Successful sign-ins do not count,
// because a whole company may use one address.
const (
	startsAtOnce  = 1000
	startInterval = 50 * time.Millisecond
)

// Message is the content of a page that says what happened, such as "You are not signed in".
type Message struct {
	Status int // the HTTP status of the page
	Title  string
	Text   string
}

// Handler answers the single sign-on endpoints. All exported fields except Log are required.
type Handler struct {
	Sites  *site.Sites
	SSO    *signin.SingleSignOn
	Secure bool // whether the public address is https
	Log    *slog.Logger
	Now    func() time.Time

	// Enter sets the cookie for the session s, and redirects the browser to path.
	Enter func(w http.ResponseWriter, r *http.Request, st site.Site, s signin.Session, path string) error
	// Show answers with the page for the message.
	Show func(w http.ResponseWriter, r *http.Request, m Message)
	// Administrator returns the id of the signed-in administrator of the site; ok is false for
	// every other visitor.
	Administrator func(r *http.Request, st site.Site) (id string, ok bool, err error)

	failures *web.Throttle // limits the failed sign-ins of a client network at a site
	starts   *web.Throttle // limits the sign-ins that begin in a client network at a site
}

// Routes returns the handler of all paths below SAMLPrefix and OpenIDPrefix.
func (h *Handler) Routes() http.Handler {
	h.failures, h.starts = web.NewFailureThrottle(), web.NewThrottle(startsAtOnce, startInterval)
	mux := http.NewServeMux()
	for _, e := range h.endpoints() {
		mux.HandleFunc(e.pattern, e.handle)
	}
	mux.HandleFunc(SAMLPrefix, func(w http.ResponseWriter, r *http.Request) {
		h.Show(w, r, Message{http.StatusNotFound, "There is nothing here", "The address may be mistyped. An identity provider posts its response to …/auth/saml2/post."})
	})
	mux.HandleFunc(OpenIDPrefix, func(w http.ResponseWriter, r *http.Request) {
		h.Show(w, r, Message{http.StatusNotFound, "There is nothing here", "The address may be mistyped. An OpenID provider sends people back to …/auth/oidc/callback."})
	})
	return mux
}

// endpoint is one address that the handler answers.
type endpoint struct {
	pattern string
	handle  http.HandlerFunc
}

// endpoints lists all endpoints of the handler.
func (h *Handler) endpoints() []endpoint {
	return []endpoint{
		{"GET " + SAMLPrefix + "metadata", h.serveMetadata},
		{"GET " + SAMLPrefix + "login", h.startSignIn},
		{"GET " + SAMLPrefix + "test", h.startTest(signin.SAML)},
		{"GET " + SAMLPrefix + "sign-out", h.signOutByRedirect},
		{"POST " + SAMLPrefix + "sign-out", h.signOutByPost},
		{"POST " + SAMLPrefix + "post", h.acceptResponse},
		{"GET " + OpenIDPrefix + "login", h.startSignIn},
		{"GET " + OpenIDPrefix + "test", h.startTest(signin.OpenID)},
		{"GET " + OpenIDPrefix + "callback", h.acceptAnswer},
		{"GET " + OpenIDPrefix + "sign-out", h.signOutByOpenID},
	}
}

// Patterns returns the patterns of all endpoints, for tests that call each of them.
func (h *Handler) Patterns() []string {
	var all []string
	for _, e := range h.endpoints() {
		all = append(all, e.pattern)
	}
	return all
}

// unavailableMessage is the answer for a site that does not exist, and for a site without single
// sign-on.
var unavailableMessage = Message{
	http.StatusNotFound, "Single sign-on is not available here",
	"The address may be mistyped, or this site does not use single sign-on. Ask an administrator of the site how to sign in.",
}

// findSite returns the site that the address names. If there is no such site, it returns a site
// with that name and no id, which the other code treats like a site without single sign-on.
func (h *Handler) findSite(r *http.Request) (site.Site, error) {
	name := r.PathValue("site")
	st, err := h.Sites.ByName(r.Context(), name)
	if errors.Is(err, refusal.NotFound) {
		return site.Site{Name: name}, nil
	}
	return st, err
}

// serveMetadata answers with the site's SAML metadata. The metadata does not depend on whether the
// site exists, and contains no certificates. Administrators find those on the page Single sign-on.
func (h *Handler) serveMetadata(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("site")
	if site.CheckName(name) != nil {
		h.Show(w, r, unavailableMessage)
		return
	}
	body, err := h.SSO.ServiceProvider(name, signin.Connection{}).Metadata()
	if err != nil {
		h.internalError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body) //nolint:errcheck // fails only if the client has gone
}

// startSignIn starts a sign-in: it redirects the browser to the site's identity provider.
func (h *Handler) startSignIn(w http.ResponseWriter, r *http.Request) {
	r = withBrowserActor(r)
	source := web.SiteSource(r)
	if h.mustSlowDown(w, r, h.starts, source) {
		return
	}
	h.starts.Count(source, h.Now())
	st, err := h.findSite(r)
	if err != nil {
		h.internalError(w, r, err)
		return
	}
	address, err := h.SSO.Start(r.Context(), st, h.browserSecret(w, r), r.URL.Query().Get("to"), r.URL.Query().Get("renew") != "")
	h.redirectToProvider(w, r, address, err)
}

// startTest returns the handler that starts a test of single sign-on with this protocol, for an
// administrator of the site.
func (h *Handler) startTest(by signin.Protocol) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r = withBrowserActor(r)
		st, err := h.findSite(r)
		if err != nil {
			h.internalError(w, r, err)
			return
		}
		id, ok, err := h.Administrator(r, st)
		if err != nil {
			h.internalError(w, r, err)
			return
		}
		if !ok || r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			h.Show(w, r, Message{http.StatusForbidden, "A test is for administrators", "Sign in to the site as an administrator, and start the test from the page Single sign-on."})
			return
		}
		address, err := h.SSO.StartTest(r.Context(), st, by, h.browserSecret(w, r), id)
		h.redirectToProvider(w, r, address, err)
	}
}

// redirectToProvider redirects the browser to the address at the identity provider. If err is not
// nil, it shows a page about the error instead.
func (h *Handler) redirectToProvider(w http.ResponseWriter, r *http.Request, address string, err error) {
	if errors.Is(err, signin.ErrSSOOff) {
		h.Show(w, r, unavailableMessage)
		return
	}
	if err != nil {
		h.showRefusal(w, r, err) // do not count this failure: the person did not cause it
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, address, http.StatusSeeOther)
}

// acceptResponse accepts a SAML response that a browser brings from the identity provider.
func (h *Handler) acceptResponse(w http.ResponseWriter, r *http.Request) {
	r = withBrowserActor(r)
	source := web.SiteSource(r)
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		h.Show(w, r, Message{http.StatusUnsupportedMediaType, "This is not a sign-in", "An identity provider sends its response here as a form (HTTP-POST)."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		h.failures.Count(source, h.Now())
		h.Show(w, r, Message{http.StatusRequestEntityTooLarge, "This response cannot be read", "A response of an identity provider has at most 512 KiB. Send fewer attributes, such as fewer groups."})
		return
	}
	st, err := h.findSite(r)
	if err != nil {
		h.internalError(w, r, err)
		return
	}
	in := signin.Response{SAMLResponse: r.PostForm.Get("SAMLResponse"), RelayState: r.PostForm.Get("RelayState"), Browser: h.sentSecret(r)}
	if h.mustWait(w, r, st, source, in) {
		return
	}
	done, err := h.SSO.Finish(r.Context(), st, in, session.Browser{Address: web.RemoteIP(r), Agent: r.UserAgent()})
	h.finishSignIn(w, r, st, source, done, err)
}

// mustWait reports whether a source must wait after too many failures, and answers the request if
// so. A browser that brings the response to its own request never waits, so that failures of other
// people at the same address do not lock a person out.
func (h *Handler) mustWait(w http.ResponseWriter, r *http.Request, st site.Site, source string, in signin.Response) bool {
	if h.failures.Wait(source, h.Now()) <= 0 {
		return false
	}
	answersRequest, err := h.SSO.AnswersRequest(r.Context(), st, in)
	if err != nil {
		h.internalError(w, r, err)
		return true
	}
	return !answersRequest && h.mustSlowDown(w, r, h.failures, source)
}

// finishSignIn answers the request in which the browser brought the identity provider's response.
// done and err are the result of the sign-in or test.
func (h *Handler) finishSignIn(w http.ResponseWriter, r *http.Request, st site.Site, source string, done signin.Finished, err error) {
	switch {
	case errors.Is(err, signin.ErrSSOOff):
		h.failures.Count(source, h.Now())
		h.Show(w, r, unavailableMessage)
	case err != nil:
		h.refuseSignIn(w, r, source, err)
	case done.Purpose == signin.ToTest:
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, done.ReturnTo, http.StatusSeeOther)
	default:
		h.starts.UndoCount(source)
		if err := h.Enter(w, r, st, done.Session, done.ReturnTo); err != nil {
			h.internalError(w, r, err)
		}
	}
}

// mustSlowDown reports whether a source must wait according to a throttle, and answers the request
// with status 429 if so.
func (h *Handler) mustSlowDown(w http.ResponseWriter, r *http.Request, t *web.Throttle, source string) bool {
	wait := t.Wait(source, h.Now())
	if wait <= 0 {
		return false
	}
	w.Header().Set("Retry-After", web.Seconds(wait))
	h.Show(w, r, Message{http.StatusTooManyRequests, "Too many sign-ins", "Sign-ins from your address came or failed too often. Wait " + web.Seconds(wait) + " seconds, then try again."})
	return true
}

// refuseSignIn shows a person that they are not signed in, and counts the failure. It shows the
// reason only if the reason is about their account, because then the identity provider has
// identified them. Administrators find other reasons in the audit log.
func (h *Handler) refuseSignIn(w http.ResponseWriter, r *http.Request, source string, err error) {
	if _, about := refusal.DataOf[signin.FailedSignIn](err); about {
		h.failures.Count(source, h.Now())
	}
	h.showRefusal(w, r, err)
}

// showRefusal shows the page for a refused sign-in, or for an error of this server.
func (h *Handler) showRefusal(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := refusal.Find(err)
	failed, about := refusal.DataOf[signin.FailedSignIn](err)
	if !ok || !about {
		h.internalError(w, r, err)
		return
	}
	m := Message{http.StatusForbidden, "You are not signed in", e.Sentences()}
	if errors.Is(err, signin.ErrSSOFailed) {
		m.Text = "What your identity provider sent could not be accepted. Start again from the sign-in page of the site. If it happens again, tell an administrator of the site"
	} else {
		m.Text += " If you need help, tell an administrator of the site"
	}
	m.Text += " the reference " + failed.Reference + ": the audit log has the reason."
	h.Show(w, r, m)
}

// internalError logs an error of this server, and shows a page with status 500.
func (h *Handler) internalError(w http.ResponseWriter, r *http.Request, err error) {
	if h.Log != nil {
		h.Log.Error("single sign-on failed", "request", web.RequestID(r), "error", err)
	}
	h.Show(w, r, Message{
		http.StatusInternalServerError, "Something broke on our side",
		"You are not signed in. Try again; if it happens again, give the request number " + web.RequestID(r) + " to whoever runs this server.",
	})
}

// browserSecret returns the secret in the cookie of this browser. If there is no cookie, it sets
// one. Over https, the cookie is SameSite=None: the browser must also send it with a SAML response,
// which the identity provider's page posts.
func (h *Handler) browserSecret(w http.ResponseWriter, r *http.Request) string {
	if known := h.sentSecret(r); known != "" {
		return known
	}
	made := secret.New()
	c := &http.Cookie{Name: h.cookieNameFor(r), Value: made, Path: "/", HttpOnly: true, MaxAge: 3600, SameSite: http.SameSiteLaxMode}
	if h.isSecure(r) {
		c.Secure, c.SameSite = true, http.SameSiteNoneMode
	}
	http.SetCookie(w, c)
	return made
}

// sentSecret returns the secret in the cookie that the browser sent, or an empty string.
func (h *Handler) sentSecret(r *http.Request) string {
	c, err := r.Cookie(h.cookieNameFor(r))
	if err != nil || len(c.Value) < 20 || len(c.Value) > 100 {
		return ""
	}
	return c.Value
}

// cookieNameFor returns the cookie's name for a request. Over https it has the prefix __Host-, with
// which browsers accept a cookie only from this host.
func (h *Handler) cookieNameFor(r *http.Request) string {
	if h.isSecure(r) {
		return "__Host-" + cookieName
	}
	return cookieName
}

// isSecure reports whether the browser uses https.
func (h *Handler) isSecure(r *http.Request) bool { return h.Secure || web.IsSecure(r) }

// withBrowserActor puts the client's address and browser into the context of the request. The
// events of the request then show this address and browser.
func withBrowserActor(r *http.Request) *http.Request {
	return r.WithContext(event.WithActor(r.Context(), event.Actor{Kind: event.Anybody, Address: web.RemoteIP(r), UserAgent: r.UserAgent()}))
}
