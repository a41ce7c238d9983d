package ssoserver

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/signin"
)

// acceptAnswer accepts the answer of an OpenID provider. The provider redirects the browser here,
// and the address contains the answer. The answer is accepted only if the browser's cookie shows that
// this browser began the sign-in. This protects against forged requests, as the CSRF token in a form
// does on other pages.
func (h *Handler) acceptAnswer(w http.ResponseWriter, r *http.Request) {
	r = withBrowserActor(r)
	w.Header().Set("Referrer-Policy", "no-referrer") // the address contains the code
	source := web.SiteSource(r)
	st, err := h.findSite(r)
	if err != nil {
		h.internalError(w, r, err)
		return
	}
	in := codeflow.Answer{Answer: oidc.ReadAnswer(r.URL.Query()), Browser: h.sentSecret(r)}
	if h.mustWait(w, r, st, source, signin.Response{RelayState: in.State, Browser: in.Browser}) {
		return
	}
	done, err := h.SSO.FinishOpenID(r.Context(), st, in, session.Browser{Address: web.RemoteIP(r), Agent: r.UserAgent()})
	h.finishSignIn(w, r, st, source, done, err)
}
