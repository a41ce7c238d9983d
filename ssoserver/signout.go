package ssoserver

import (
	"errors"
	"mime"
	"net/http"

	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
)

// signOutByRedirect accepts a sign-out message of SAML's redirect binding. But if the query has the
// parameter "go", the request comes from a person who has just signed out at the site. Then
// signOutByRedirect redirects the person to the identity provider, so that the session there ends
// too.
func (h *Handler) signOutByRedirect(w http.ResponseWriter, r *http.Request) {
	r = withBrowserActor(r)
	relay := r.URL.Query().Get("go")
	if relay == "" {
		h.acceptSignOut(w, r, saml.SignOutMessage{Query: r.URL.RawQuery})
		return
	}
	st, err := h.findSite(r)
	if err != nil {
		h.internalError(w, r, err)
		return
	}
	address, err := h.SSO.SignOutAddress(r.Context(), st, relay)
	h.redirectToProvider(w, r, address, err)
}

// signOutByPost accepts a sign-out message of SAML's POST binding.
func (h *Handler) signOutByPost(w http.ResponseWriter, r *http.Request) {
	r = withBrowserActor(r)
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		h.Show(w, r, Message{http.StatusUnsupportedMediaType, "This is not a sign-out", "An identity provider sends its message here as a form (HTTP-POST) or by redirect."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		h.failures.Count(web.SiteSource(r), h.Now())
		h.Show(w, r, Message{http.StatusRequestEntityTooLarge, "This message cannot be read", "A message of an identity provider has at most 512 KiB."})
		return
	}
	h.acceptSignOut(w, r, saml.SignOutMessage{Form: r.PostForm})
}

// acceptSignOut accepts a SAML sign-out message and answers it. It does not need the browser's
// cookie, because the message is signed and says which sessions end.
func (h *Handler) acceptSignOut(w http.ResponseWriter, r *http.Request, m saml.SignOutMessage) {
	source := web.SiteSource(r)
	if h.mustSlowDown(w, r, h.failures, source) {
		return
	}
	st, err := h.findSite(r)
	if err != nil {
		h.internalError(w, r, err)
		return
	}
	done, err := h.SSO.FinishSignOut(r.Context(), st, m)
	switch {
	case errors.Is(err, signin.ErrSSOOff):
		h.failures.Count(source, h.Now())
		h.Show(w, r, unavailableMessage)
	case err != nil:
		h.refuseSignOut(w, r, source, err)
	case done.Address != "":
		h.redirectToProvider(w, r, done.Address, nil)
	default:
		h.showSignedOut(w, r, done.EndedAtProvider)
	}
}

// refuseSignOut answers a sign-out message that was not accepted, and counts the failure.
func (h *Handler) refuseSignOut(w http.ResponseWriter, r *http.Request, source string, err error) {
	failed, ok := refusal.DataOf[signin.FailedSignIn](err)
	if !ok {
		h.internalError(w, r, err)
		return
	}
	h.failures.Count(source, h.Now())
	h.Show(w, r, Message{
		http.StatusForbidden, "No session was ended", "What your identity provider sent could not be accepted. Sign out on the page of the site instead. An administrator of the site finds the reason in the audit log, with the reference " + failed.Reference + ".",
	})
}

// signOutByOpenID redirects a person who has just signed out at the site to the OpenID provider, if
// the query has the parameter "go". Otherwise it shows the page after a sign-out, to which the
// provider redirects.
func (h *Handler) signOutByOpenID(w http.ResponseWriter, r *http.Request) {
	r = withBrowserActor(r)
	st, err := h.findSite(r)
	if err != nil {
		h.internalError(w, r, err)
		return
	}
	q := r.URL.Query()
	if state := q.Get("go"); state != "" {
		address, err := h.SSO.SignOutAddress(r.Context(), st, state)
		h.redirectToProvider(w, r, address, err)
		return
	}
	there, err := h.SSO.FinishOpenIDSignOut(r.Context(), st, q.Get("state"))
	if err != nil {
		h.internalError(w, r, err)
		return
	}
	h.showSignedOut(w, r, there)
}

// showSignedOut shows the page after a sign-out. endedAtProvider says whether the identity provider
// has ended its session too.
func (h *Handler) showSignedOut(w http.ResponseWriter, r *http.Request, endedAtProvider bool) {
	if endedAtProvider {
		h.Show(w, r, Message{http.StatusOK, "You are signed out", "You are signed out of this site and of your identity provider."})
		return
	}
	h.Show(w, r, Message{http.StatusOK, "You are signed out here", "You are signed out of this site. Your identity provider may still have a session of yours."})
}
