package sitepages

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/roster"
)

// siteSessions lists the sessions of a person of the site. signOut is the address that ends them
// all.
func (p *Pages) siteSessions(r *http.Request, v *siteVisit, person roster.Person, signOut string) (console.SessionList, error) {
	all, err := v.Roster.Sessions(r.Context(), person.ID, p.Console.SessionSecret(r, SessionCookie))
	list := console.SessionList{SignOut: signOut}
	for _, s := range all {
		list.Rows = append(list.Rows, console.NewSessionRow(s.Record, s.Own))
	}
	return list, err
}

func (p *Pages) askSignOutEverywhere(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	list, err := p.siteSessions(r, v, v.Person, "")
	if err != nil {
		return err
	}
	c := console.SignOutQuestion(v.Person.Name(), len(list.Rows), true)
	title := c.Title
	c.Page = v.page
	c.Title, c.Narrow, c.Crumbs = title, true, v.crumbs()
	c.FormURL, c.CancelURL = r.URL.Path, v.url("")
	return p.Console.View(w, r, http.StatusOK, "confirm", c)
}

func (p *Pages) signOutEverywhere(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	by := roster.Change{Actor: v.actorLabel(), Via: roster.ViaAdmin, Person: v.Person.ID}
	if v.Person.Role != roster.RoleAdmin {
		by.Actor = event.Actor{Kind: event.Person, Name: v.Person.UserName}.Label()
	}
	if _, err := v.Roster.SignOutEverywhere(r.Context(), v.Person.ID, by); err != nil {
		return err
	}
	p.Console.SetSession(w, r, SessionCookie, "")
	p.Console.RememberStart(w, r, "")
	return p.Console.Redirect(w, r, v.url(""), console.Notice{})
}

func (p *Pages) askSignOutPerson(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	list, err := p.siteSessions(r, v, person, "")
	if err != nil {
		return err
	}
	c := console.SignOutQuestion(person.Name(), len(list.Rows), person.ID == v.Person.ID)
	title := c.Title
	c.Page = v.page
	c.Title, c.Narrow = title, true
	c.Crumbs = v.crumbs(console.Crumb{Text: "People", URL: v.url("admin/people")}, console.Crumb{Text: person.Name(), URL: v.personURL(person.ID, "")})
	c.FormURL, c.CancelURL = r.URL.Path, v.personURL(person.ID, "")
	return p.Console.View(w, r, http.StatusOK, "confirm", c)
}

func (p *Pages) signOutPerson(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	ended, err := v.Roster.SignOutEverywhere(r.Context(), person.ID, roster.Change{Actor: v.actorLabel(), Via: roster.ViaAdmin, Person: v.Person.ID})
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.DoneNotice(person.Name()+" is signed out everywhere: "+console.Plural(ended, "session")+" ended."))
}
