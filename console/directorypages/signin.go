package directorypages

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
)

// SessionCookie is the name of the cookie that holds the secret of an operator's session. Its path
// is /d/.
const SessionCookie = "rollcall-operator"

// operatorVisit holds what the guard found out about a request to a page of operators.
type operatorVisit struct {
	Operator operator.Operator // the signed-in operator; zero on routes for anyone
	page     console.Page      // the frame; pages fill in the menu
}

// operatorGuard checks who the visitor of a page of operators is. It also serves the pages for
// signing in and out.
type operatorGuard struct {
	console   *console.Console
	operators *operator.Operators
	openID    *operator.OpenID // nil if operators sign in only with one-time links
}

func (p *Pages) operatorGuard() operatorGuard {
	return operatorGuard{console: p.Console, operators: p.Operators, openID: p.OpenID}
}

// routes lists the routes for signing in and out. They are a table of their own, because one
// ServeMux cannot hold both /d/sign-in/{secret} and /d/{directory}/users.
func (d operatorGuard) routes() []console.Route[*operatorVisit] {
	return []console.Route[*operatorVisit]{
		{Pattern: "GET /d/sign-in/{secret}", Access: console.Anyone, Handle: d.showLink},
		{Pattern: "POST /d/sign-in/{secret}", Access: console.Anyone, Handle: d.redeemLink},
		{Pattern: "POST /d/sign-out", Access: console.Anyone, Handle: d.signOut},
	}
}

// guard finds the signed-in operator of a request. It returns an error if the operator lacks the
// access that the route needs. It reads the session from the store for every request, so a removed
// operator gets the sign-in page on the next click.
func (d operatorGuard) guard(w http.ResponseWriter, r *http.Request, need console.Access) (*operatorVisit, error) {
	v := &operatorVisit{}
	if need == console.Anyone {
		return v, nil
	}
	op, err := d.operators.UseSession(r.Context(), d.console.SessionSecret(r, SessionCookie), console.BrowserOf(r))
	if errors.Is(err, refusal.Unauthorized) {
		return v, d.signInError(r)
	}
	if err != nil {
		return v, err
	}
	v.Operator = op
	if need == console.FreshAdministrator {
		if err := d.requireFreshSignIn(r); err != nil {
			return v, err
		}
	}
	v.page = console.Page{
		Area:   console.AreaName{Name: "Directories", Kind: "Operators", URL: "/d/"},
		Who:    &console.Visitor{Name: op.Name, Role: "Operator", Home: accountURL, SignOut: "/d/sign-out"},
		Notice: d.console.TakeNotice(w, r),
	}
	return v, nil
}

// requireFreshSignIn returns a console.OldSignIn error if the operator's last sign-in is older than
// session.FreshTime.
func (d operatorGuard) requireFreshSignIn(r *http.Request) error {
	fresh, err := d.operators.HasFreshSession(r.Context(), d.console.SessionSecret(r, SessionCookie))
	if err == nil && !fresh {
		return &console.OldSignIn{RenewURL: renewURL}
	}
	return err
}

// renewURL is the address of the page that asks an operator for a fresh sign-in.
const renewURL = "/d/-/account/sign-in-again"

// showSignInAgain asks for a fresh sign-in. Actions that cannot be undone, or that could give
// someone else control of an application, need one.
func (p *Pages) showSignInAgain(_ http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	s := &console.SignInPage{
		Page:    console.Page{Title: "Sign in again", Narrow: true},
		Text:    "You signed in more than 30 minutes ago. The Tenant URL, the Secret Token, API keys, linking an identity, connecting accounts by hand and deleting need a fresh sign-in. Nothing was changed.",
		Command: "rollcall operator link " + v.Operator.Name,
		Also:    "You stay signed in for everything else.",
	}
	offerProvider(s, p.OpenID, loginURL+"?renew=yes&to="+url.QueryEscape(r.URL.Query().Get("to")))
	return &console.PageError{Status: http.StatusOK, Title: s.Title, Text: s.Text, SignIn: s}
}

// offerProvider adds the operators' OpenID provider to a sign-in page, if there is one.
func offerProvider(s *console.SignInPage, o *operator.OpenID, address string) {
	if o != nil {
		s.SSO, s.Provider, s.Silent = address, o.ProviderName(), !o.Answers()
	}
}

// signInError returns the error that shows the sign-in page.
func (d operatorGuard) signInError(r *http.Request) *console.PageError {
	p := &console.SignInPage{
		Page:    console.Page{Title: "Sign in as an operator", Narrow: true},
		Text:    "These pages are for whoever runs this installation. They open with a one-time link.",
		Command: "rollcall operator link NAME",
		Also:    "While there is no operator yet, rollcall serve prints the first link when it starts in a terminal.",
	}
	if d.openID != nil {
		p.Text = "These pages are for whoever runs this installation."
	}
	if d.console.SessionSecret(r, SessionCookie) != "" {
		p.Text = "You are signed out: the session has ended. These pages open again with a one-time link."
		if d.openID != nil {
			p.Text = "You are signed out: the session has ended."
		}
	}
	offerProvider(p, d.openID, loginURL+"?to="+url.QueryEscape(pathOf(r)))
	return &console.PageError{Status: http.StatusUnauthorized, Title: p.Title, Text: p.Text, SignIn: p}
}

// showLink shows who signs in with a one-time link, and a button that signs them in. It does not
// use up the link, because mail programs open links before people do.
func (d operatorGuard) showLink(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	pending, err := d.checkLink(w, r)
	if err != nil {
		return err
	}
	return d.console.View(w, r, http.StatusOK, "signin_link", console.SignInLinkPage{
		Page:    console.Page{Title: "Sign in as " + pending.Name, Narrow: true},
		Text:    "This opens the directories, the enterprise applications and their provisioning in this browser. The link works once.",
		Action:  r.URL.Path,
		Button:  "Sign in as " + pending.Name,
		Expires: pending.Expires,
	})
}

// checkLink returns the pending sign-in to which a one-time link leads. It returns an error if too
// many sign-ins from the client's network have failed.
func (d operatorGuard) checkLink(w http.ResponseWriter, r *http.Request) (operator.PendingSignIn, error) {
	d.console.KeepPathSecret(w, r)
	if err := d.console.RefuseFlood(w, r); err != nil {
		return operator.PendingSignIn{}, err
	}
	pending, err := d.operators.LookUpLink(r.Context(), r.PathValue("secret"))
	if closed, ok := refusal.DataOf[operator.ClosedLink](err); ok && closed.Reason == onetime.Unknown {
		d.console.CountFailure(r) // only for unknown links: used and expired links were not guessed
	}
	return pending, err
}

func (d operatorGuard) redeemLink(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	if _, err := d.checkLink(w, r); err != nil {
		return err
	}
	s, err := d.operators.Redeem(r.Context(), r.PathValue("secret"), console.BrowserOf(r))
	if err != nil {
		return err
	}
	return d.enter(w, r, s, "/d/")
}

// enter gives the browser a new session and redirects it to the address in to.
func (d operatorGuard) enter(w http.ResponseWriter, r *http.Request, s operator.Session, to string) error {
	d.endOldSession(r)
	d.console.SetSession(w, r, SessionCookie, s.Secret)
	d.console.RememberStart(w, r, "/d/")
	return d.console.Redirect(w, r, to, console.DoneNotice("You are signed in as "+s.Operator.Name+"."))
}

// endOldSession ends the browser's current session, before the browser gets another one. If that
// fails, it only logs the error, because the session also expires by itself.
func (d operatorGuard) endOldSession(r *http.Request) {
	if old := d.console.SessionSecret(r, SessionCookie); old != "" {
		if err := d.operators.EndSession(r.Context(), old); err != nil {
			d.console.Options.Log.Warn("replaced session not ended", "error", err)
		}
	}
}

func (d operatorGuard) signOut(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	if err := d.operators.SignOut(r.Context(), d.console.SessionSecret(r, SessionCookie)); err != nil {
		return err
	}
	d.console.SetSession(w, r, SessionCookie, "")
	d.console.RememberStart(w, r, "")
	return d.console.Redirect(w, r, "/d/", console.Notice{})
}
