package console

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/roster"
)

// siteSessions are the sessions of a person of the site.
func (p *SitePages) siteSessions(r *http.Request, v *siteVisit, person roster.Person, signOut string) (sessionList, error) {
	all, err := v.Roster.Sessions(r.Context(), person.ID, p.Console.sessionSecret(r, siteCookie))
	list := sessionList{SignOut: signOut}
	for _, s := range all {
		list.Rows = append(list.Rows, rowOfSession(s.Record, s.Own))
	}
	return list, err
}

func (p *SitePages) askSignOutEverywhere(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	list, err := p.siteSessions(r, v, v.Person, "")
	if err != nil {
		return err
	}
	c := signOutQuestion(v.Person.Name(), len(list.Rows), true)
	title := c.Title
	c.page = v.page
	c.Title, c.Narrow, c.Crumbs = title, true, v.crumbs()
	c.Action, c.Cancel = r.URL.Path, v.url("")
	return p.Console.view(w, r, http.StatusOK, "confirm", c)
}

func (p *SitePages) signOutEverywhere(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	by := roster.Change{Actor: v.actor(), Via: roster.ViaAdmin, Person: v.Person.ID}
	if v.Person.Role != roster.RoleAdmin {
		by.Actor = event.Actor{Kind: event.Person, Name: v.Person.UserName}.Label()
	}
	if _, err := v.Roster.SignOutEverywhere(r.Context(), v.Person.ID, by); err != nil {
		return err
	}
	p.Console.setSession(w, r, siteCookie, "")
	p.Console.rememberStart(w, r, "")
	return p.Console.redirect(w, r, v.url(""), notice{})
}

func (p *SitePages) askSignOutPerson(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.person(r, v)
	if err != nil {
		return err
	}
	list, err := p.siteSessions(r, v, person, "")
	if err != nil {
		return err
	}
	c := signOutQuestion(person.Name(), len(list.Rows), person.ID == v.Person.ID)
	title := c.Title
	c.page = v.page
	c.Title, c.Narrow = title, true
	c.Crumbs = v.crumbs(crumb{"People", v.url("admin/people")}, crumb{person.Name(), v.personURL(person.ID, "")})
	c.Action, c.Cancel = r.URL.Path, v.personURL(person.ID, "")
	return p.Console.view(w, r, http.StatusOK, "confirm", c)
}

func (p *SitePages) signOutPerson(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.person(r, v)
	if err != nil {
		return err
	}
	ended, err := v.Roster.SignOutEverywhere(r.Context(), person.ID, roster.Change{Actor: v.actor(), Via: roster.ViaAdmin, Person: v.Person.ID})
	if err != nil {
		return err
	}
	return p.Console.redirect(w, r, v.personURL(person.ID, ""), done(person.Name()+" is signed out everywhere: "+count(ended, "session")+" ended."))
}
