package directorypages

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
)

// The addresses that begin a sign-in at the operators' OpenID provider. Links lead to them, not
// forms: the Content-Security-Policy lets no form lead to another server.
const (
	loginURL = "/d/-/openid/login"
	linkURL  = "/d/-/openid/link"
)

// pathOf returns the address of the requested page, so that the sign-in can lead back to it. It
// returns "" if the request sends a form.
func pathOf(r *http.Request) string {
	if r.Method != http.MethodGet {
		return ""
	}
	return r.URL.RequestURI()
}

// startSignIn sends the browser to the provider.
func (p *Pages) startSignIn(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	if p.OpenID == nil {
		return console.ErrNotFound
	}
	if err := p.Console.RefuseStart(w, r); err != nil {
		return err
	}
	q := r.URL.Query()
	address, err := p.OpenID.Start(r.Context(), p.Console.BrowserSecret(w, r), q.Get("to"), q.Get("renew") != "")
	return p.redirectToProvider(w, r, address, err)
}

// startLink sends a signed-in operator to the provider, to link an identity. It does nothing if a
// page of another website sent the browser here.
func (p *Pages) startLink(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	if p.OpenID == nil {
		return console.ErrNotFound
	}
	if from := r.Header.Get("Sec-Fetch-Site"); from == "cross-site" || from == "same-site" {
		return p.Console.Redirect(w, r, accountURL, console.Notice{Tone: console.ToneInfo, Text: "Nothing was linked yet: press the button on this page."})
	}
	address, err := p.OpenID.StartLink(r.Context(), p.Console.BrowserSecret(w, r), v.Operator)
	return p.redirectToProvider(w, r, address, err)
}

// redirectToProvider redirects to an address of the identity provider, or returns err if it is not
// nil.
func (p *Pages) redirectToProvider(w http.ResponseWriter, r *http.Request, address string, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// takeAnswer accepts the answer of the provider, which the browser brings by a redirect. The answer
// is accepted only from the browser that sent the request. So the browser's cookie protects against
// forged requests.
func (p *Pages) takeAnswer(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	w.Header().Set("Referrer-Policy", "no-referrer") // the address contains the code
	if p.OpenID == nil {
		return console.ErrNotFound
	}
	in := codeflow.Answer{Answer: oidc.ReadAnswer(r.URL.Query()), Browser: p.Console.SentBrowserSecret(r)}
	if err := p.refuseFlood(w, r, in); err != nil {
		return err
	}
	done, err := p.OpenID.Finish(r.Context(), in, p.Console.SessionSecret(r, SessionCookie), console.BrowserOf(r))
	if _, refused := refusal.DataOf[operator.RefusedSignIn](err); refused && !errors.Is(err, operator.ErrOpenIDSilent) {
		p.Console.CountFailure(r)
	}
	if err != nil {
		return err
	}
	p.Console.UncountStart(r)
	if done.Purpose == operator.ToLink {
		return p.Console.Redirect(w, r, done.ReturnTo, console.DoneNotice("The identity "+console.Shorten(done.Identity.Label())+" is linked: it signs you in from now on."))
	}
	return p.operatorGuard().enter(w, r, done.Session, done.ReturnTo)
}

// refuseFlood refuses answers from a network whose sign-ins failed too often. Failures of other
// people at the same address do not lock an operator out: an answer to a request that this browser
// sent need not wait.
func (p *Pages) refuseFlood(w http.ResponseWriter, r *http.Request, in codeflow.Answer) error {
	flood := p.Console.RefuseFlood(w, r)
	if flood == nil {
		return nil
	}
	asked, err := p.OpenID.HasRequestFor(r.Context(), in)
	if err != nil || !asked {
		return errors.Join(err, flood)
	}
	w.Header().Del("Retry-After")
	return nil
}

// identityRow is one linked identity on the page My account.
type identityRow struct {
	operator.Identity
	Provider  string // the host of the issuer
	IsForeign bool   // whether the identity belongs to an earlier provider, so that it signs no one in
	UnlinkURL string // the address of the page that asks whether to unlink the identity
}

func (p *Pages) identityRows(r *http.Request, v *operatorVisit) ([]identityRow, error) {
	all, err := p.Operators.Identities(r.Context(), v.Operator.Name)
	var rows []identityRow
	for _, i := range all {
		row := identityRow{Identity: i, Provider: (&operator.OpenID{Issuer: i.Issuer}).ProviderName(), UnlinkURL: unlinkURL(i.ID)}
		row.IsForeign = p.OpenID == nil || p.OpenID.Issuer != i.Issuer
		rows = append(rows, row)
	}
	return rows, err
}

func unlinkURL(id string) string {
	return accountURL + "/identities/" + url.PathEscape(id) + "/unlink"
}

// findIdentity returns the operator's own identity that the path names.
func (p *Pages) findIdentity(r *http.Request, v *operatorVisit) (operator.Identity, error) {
	all, err := p.Operators.Identities(r.Context(), v.Operator.Name)
	for _, i := range all {
		if i.ID == r.PathValue("identity") {
			return i, nil
		}
	}
	if err != nil {
		return operator.Identity{}, err
	}
	return operator.Identity{}, operator.ErrIdentityGone
}

func (p *Pages) askUnlink(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	i, err := p.findIdentity(r, v)
	if err != nil {
		return err
	}
	c := console.ConfirmPage{
		Page: v.page,
		Consequences: []string{
			"This identity no longer signs you in. One-time links still do.",
			"Sessions go on. Sign out everywhere ends them.",
		},
		Undo: "You can link it again.", Button: "Unlink identity", IsDangerous: true, FormURL: unlinkURL(i.ID), CancelURL: accountURL,
	}
	c.Title, c.Narrow, c.Menu = "Unlink the identity "+console.Shorten(i.Label())+"?", true, installationMenu("")
	c.Crumbs = []console.Crumb{{Text: "Directories", URL: "/d/"}, {Text: "My account", URL: accountURL}}
	return p.Console.View(w, r, http.StatusOK, "confirm", c)
}

func (p *Pages) unlink(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	i, err := p.Operators.Unlink(r.Context(), v.Operator.Name, r.PathValue("identity"), v.actorLabel())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, accountURL, console.DoneNotice("The identity "+console.Shorten(i.Label())+" is unlinked."))
}
