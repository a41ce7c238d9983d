package sitepages

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// askToSignIn returns the error for a visitor who is not signed in. The error shows the sign-in
// page. It is the same if the site does not exist.
func (p *Pages) askToSignIn(r *http.Request) *console.PageError {
	name := r.PathValue("site")
	if site.CheckName(name) != nil {
		return console.ErrNotFound
	}
	s := &console.SignInPage{
		Page:    console.Page{Title: "Sign in to " + name, Narrow: true},
		Text:    "You are not signed in. This site opens with single sign-on, or with a one-time link.",
		SSO:     "/c/" + name + "/auth/saml2/login",
		Command: "rollcall site link " + name + " USERNAME",
		Recover: "/c/" + name + "/recover",
		Also:    "Links open for active people only. An administrator of the site can reactivate an account.",
	}
	if p.Console.SessionSecret(r, SessionCookie) != "" {
		s.Text = "You are signed out: your session has ended, or your account was deactivated. This site opens again with single sign-on, or with a one-time link."
	}
	if r.Method == http.MethodGet && r.URL.Path != "/c/"+name+"/" {
		s.SSO += "?to=" + url.QueryEscape(r.URL.RequestURI())
	}
	return &console.PageError{Status: http.StatusUnauthorized, Title: s.Title, Text: s.Text, SignIn: s}
}

// showSignInAgain asks for a fresh sign-in. Actions that could give someone else control of the
// site need one.
func (p *Pages) showSignInAgain(_ http.ResponseWriter, r *http.Request, v *siteVisit) error {
	s := &console.SignInPage{
		Page:    console.Page{Title: "Sign in again", Narrow: true},
		Text:    "Your last sign-in, here or at the identity provider, is more than 30 minutes old. Tokens, roles, single sign-on and deleting need a fresh sign-in. Nothing was changed.",
		SSO:     v.url("auth/saml2/login?renew=yes&to=" + url.QueryEscape(r.URL.Query().Get("to"))),
		Command: "rollcall site link " + v.Site.Name + " " + v.Person.UserName,
		Also:    "You stay signed in for everything else.",
	}
	return &console.PageError{Status: http.StatusOK, Title: s.Title, Text: s.Text, SignIn: s}
}

// showLink shows who signs in with a one-time link, and a button that signs them in. It does not
// use up the link, because mail programs open links before people do.
func (p *Pages) showLink(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	pending, err := p.checkLink(w, r, v)
	if err != nil {
		return err
	}
	return p.Console.View(w, r, http.StatusOK, "signin_link", p.linkPage(r, v, pending))
}

func (p *Pages) checkLink(w http.ResponseWriter, r *http.Request, v *siteVisit) (signin.PendingSignIn, error) {
	p.Console.KeepPathSecret(w, r)
	if err := p.Console.RefuseFlood(w, r); err != nil {
		return signin.PendingSignIn{}, err
	}
	pending, err := p.findLink(r, v)
	if closed, ok := refusal.DataOf[signin.ClosedLink](err); ok && closed.Reason == onetime.Unknown {
		p.Console.CountFailure(r) // only for unknown links: used and expired links were not guessed
	}
	return pending, err
}

func (p *Pages) findLink(r *http.Request, v *siteVisit) (signin.PendingSignIn, error) {
	if v.Roster == nil {
		// The site does not exist. Respond as an existing site responds to an unknown link, so that
		// no one can find out which sites exist.
		name := r.PathValue("site")
		if site.CheckName(name) != nil {
			return signin.PendingSignIn{}, console.ErrNotFound
		}
		return signin.PendingSignIn{}, signin.ClosedLink{Reason: onetime.Unknown, Site: name}.Refuse()
	}
	return p.SignIns.LookUpLink(r.Context(), v.Site, r.PathValue("secret"))
}

func (p *Pages) linkPage(r *http.Request, v *siteVisit, pending signin.PendingSignIn) console.SignInLinkPage {
	s := console.SignInLinkPage{Action: r.URL.Path, Expires: pending.Expires}
	s.Narrow = true
	if pending.Kind == signin.FirstAdmin {
		s.Title = "Become the first administrator of " + v.Site.Name
		s.Text = "This site has no administrator yet. The link makes your account with the role Admin and signs you in. It works once."
		s.Button, s.AskName = "Make my account and sign in", true
		return s
	}
	s.Title = "Sign in as " + pending.Person.Name()
	s.Text = "This opens the site " + v.Site.Name + " in this browser as " + pending.Person.UserName + ". The link works once."
	s.Button = s.Title
	return s
}

func (p *Pages) redeemLink(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	pending, err := p.checkLink(w, r, v)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	form := signin.Form{Name: r.PostForm.Get("name"), Email: r.PostForm.Get("email")}
	started, err := p.SignIns.Redeem(r.Context(), v.Site, r.PathValue("secret"), form, console.BrowserOf(r))
	if wrong := console.InputError(err, console.InputIDs{"name": "name", "email": "email"}); wrong != nil {
		s := p.linkPage(r, v, pending)
		s.Name, s.Email = form.Name, form.Email
		if wrong.For == "email" {
			s.EmailErr = wrong
		} else {
			s.NameErr = wrong
		}
		return p.Console.View(w, r, http.StatusUnprocessableEntity, "signin_link", s)
	}
	if err != nil {
		return err
	}
	return p.enter(w, r, v, started, "")
}

// enter gives the browser its new session and redirects it to the address in to. If to is empty, it
// redirects to the person's start page.
func (p *Pages) enter(w http.ResponseWriter, r *http.Request, v *siteVisit, started signin.Session, to string) error {
	p.endOldSession(r, v)
	p.Console.SetSession(w, r, SessionCookie, started.Secret)
	start := v.url("")
	if started.Person.Role == roster.RoleAdmin {
		start = v.url("admin/access")
	}
	p.Console.RememberStart(w, r, start)
	if to == "" || to == v.url("") {
		to = start
	}
	return p.Console.Redirect(w, r, to, console.DoneNotice("You are signed in as "+started.Person.Name()+"."))
}

// Enter gives the browser its session after single sign-on, and redirects it to the address in to.
func (p *Pages) Enter(w http.ResponseWriter, r *http.Request, st site.Site, started signin.Session, to string) error {
	return p.enter(w, r, &siteVisit{Site: st, Roster: p.Rosters.Open(st)}, started, to)
}

// Administrator returns the id of the signed-in person, if that person is an administrator of the
// site. Otherwise ok is false.
func (p *Pages) Administrator(r *http.Request, st site.Site) (id string, ok bool, err error) {
	if st.ID == "" {
		return "", false, nil
	}
	person, err := p.Rosters.Open(st).UseSession(r.Context(), p.Console.SessionSecret(r, SessionCookie), console.BrowserOf(r))
	if errors.Is(err, refusal.Unauthorized) {
		return "", false, nil
	}
	return person.ID, err == nil && person.Role == roster.RoleAdmin, err
}

// endOldSession ends the browser's current session, before the browser gets another one. If that
// fails, it only logs the error, because the session also expires by itself.
func (p *Pages) endOldSession(r *http.Request, v *siteVisit) {
	if old := p.Console.SessionSecret(r, SessionCookie); old != "" {
		if err := v.Roster.EndSession(r.Context(), old); err != nil {
			p.Console.Options.Log.Warn("replaced session not ended", "error", err)
		}
	}
}

func (p *Pages) signOut(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	name := r.PathValue("site")
	if site.CheckName(name) != nil {
		return console.ErrNotFound
	}
	// If the site does not exist, the response is the same as that of an existing site where no one
	// is signed in.
	var origin roster.Origin
	if v.Roster != nil {
		var err error
		_, origin, err = v.Roster.SessionOrigin(r.Context(), p.Console.SessionSecret(r, SessionCookie))
		if err != nil && !errors.Is(err, roster.ErrNoSession) {
			return err
		}
		if err := v.Roster.SignOut(r.Context(), p.Console.SessionSecret(r, SessionCookie)); err != nil {
			return err
		}
	}
	p.Console.SetSession(w, r, SessionCookie, "")
	p.Console.RememberStart(w, r, "")
	elsewhere, err := p.SSO.StartSignOut(r.Context(), v.Site, origin)
	if err != nil {
		return err
	}
	if elsewhere != "" {
		p.Console.ShowProblem(w, r, &console.PageError{
			Status: http.StatusOK, Title: "You are signed out here", Text: "Your identity provider still has a session of yours. Sign out there too if others use this browser.",
			Action: &console.Action{Text: "Sign out at the identity provider", URL: elsewhere},
		})
		return nil
	}
	return p.Console.Redirect(w, r, "/c/"+name+"/", console.Notice{})
}
