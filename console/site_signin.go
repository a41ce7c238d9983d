package console

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// askIn shows how to sign in to the site. Visitors of a site that does not exist see the same.
func (p *SitePages) askIn(r *http.Request) *pageError {
	name := r.PathValue("site")
	if site.CheckName(name) != nil {
		return errNotFound
	}
	s := &signInPage{
		page:    page{Title: "Sign in to " + name, Narrow: true},
		Text:    "You are not signed in. This site opens with a one-time link.",
		Command: "rollcall site link " + name + " USERNAME",
		Also:    "Links open for active people only. An administrator of the site can reactivate an account.",
	}
	if p.Console.sessionSecret(r, siteCookie) != "" {
		s.Text = "You are signed out: your session has ended, or your account was deactivated. This site opens again with a one-time link."
	}
	return &pageError{Status: http.StatusUnauthorized, Title: s.Title, Text: s.Text, signIn: s}
}

// showLink says whose link it is and leaves it unused: mail programs open links before people do.
func (p *SitePages) showLink(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	pending, err := p.look(w, r, v)
	if err != nil {
		return err
	}
	return p.Console.view(w, r, http.StatusOK, "signin_link", p.linkPage(r, v, pending))
}

func (p *SitePages) look(w http.ResponseWriter, r *http.Request, v *siteVisit) (signin.Pending, error) {
	p.Console.keepSecret(w, r)
	if v.Roster == nil {
		// What an existing site answers, so that nobody learns which sites there are.
		name := r.PathValue("site")
		if site.CheckName(name) != nil {
			return signin.Pending{}, errNotFound
		}
		return signin.Pending{}, signin.ClosedLink{Reason: onetime.Unknown, Site: name}.Refuse()
	}
	return p.SignIns.Look(r.Context(), v.Site, r.PathValue("secret"))
}

func (p *SitePages) linkPage(r *http.Request, v *siteVisit, pending signin.Pending) signInLinkPage {
	s := signInLinkPage{Action: r.URL.Path, Expires: pending.Expires}
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

func (p *SitePages) redeemLink(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	pending, err := p.look(w, r, v)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	form := signin.Form{Name: r.PostForm.Get("name"), Email: r.PostForm.Get("email")}
	started, err := p.SignIns.Redeem(r.Context(), v.Site, r.PathValue("secret"), form, browserOf(r))
	if wrong := beside(err, inputs{"name": "name", "email": "email"}); wrong != nil {
		s := p.linkPage(r, v, pending)
		s.Name, s.Email = form.Name, form.Email
		if wrong.For == "email" {
			s.EmailErr = wrong
		} else {
			s.NameErr = wrong
		}
		return p.Console.view(w, r, http.StatusUnprocessableEntity, "signin_link", s)
	}
	if err != nil {
		return err
	}
	p.endOld(r, v)
	p.Console.setSession(w, r, siteCookie, started.Secret)
	start := v.url("")
	if started.Person.Role == roster.RoleAdmin {
		start = v.url("admin/access")
	}
	p.Console.rememberStart(w, r, start)
	return p.Console.redirect(w, r, start, done("You are signed in as "+started.Person.Name()+"."))
}

// endOld ends the session that the browser is about to forget. A failure costs nothing: it expires by itself.
func (p *SitePages) endOld(r *http.Request, v *siteVisit) {
	if old := p.Console.sessionSecret(r, siteCookie); old != "" {
		if err := v.Roster.EndSession(r.Context(), old); err != nil {
			p.Console.options.Log.Warn("replaced session not ended", "error", err)
		}
	}
}

func (p *SitePages) signOut(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	name := r.PathValue("site")
	if site.CheckName(name) != nil {
		return errNotFound
	}
	// A site that does not exist answers like one where nobody is signed in.
	if v.Roster != nil {
		if err := v.Roster.SignOut(r.Context(), p.Console.sessionSecret(r, siteCookie)); err != nil {
			return err
		}
	}
	p.Console.setSession(w, r, siteCookie, "")
	p.Console.rememberStart(w, r, "")
	return p.Console.redirect(w, r, "/c/"+name+"/", notice{})
}
