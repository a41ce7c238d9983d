package console

import (
	"net/http"
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
)

// sessionList is the part "sessions": where somebody is signed in.
type sessionList struct {
	Rows    []sessionRow
	SignOut string // GET asks
	Hint    string
}

// sessionRow is one session.
type sessionRow struct {
	Own     bool
	Browser string
	Agent   string // all that the browser said
	Address string
	Last    string // where it was used last, if elsewhere
	Created time.Time
	Used    time.Time
	Ends    time.Time
}

func rowOfSession(s session.Record, own bool) sessionRow {
	row := sessionRow{
		Own: own, Browser: s.Last.String(), Agent: s.Last.Agent, Address: s.From.Address,
		Created: s.Created, Used: s.LastUse(), Ends: s.Ends(),
	}
	if s.Last.Address != s.From.Address {
		row.Last = s.Last.Address
	}
	return row
}

// siteSessions are the sessions of a person of the site.
func (p *SitePages) siteSessions(r *http.Request, v *siteVisit, person roster.Person, signOut string) (sessionList, error) {
	all, err := v.Roster.Sessions(r.Context(), person.ID, p.Console.sessionSecret(r, siteCookie))
	list := sessionList{SignOut: signOut}
	for _, s := range all {
		list.Rows = append(list.Rows, rowOfSession(s.Record, s.Own))
	}
	return list, err
}

// signOutQuestion asks before every session of somebody ends.
func signOutQuestion(name string, sessions int, own bool) confirmPage {
	c := confirmPage{
		Consequences: []string{"Every session of " + briefly(name) + " ends with its next click, in each browser: " + count(sessions, "session") + "."},
		Undo:         "A new sign-in link opens the account again.",
		Button:       "Sign out everywhere", Danger: true,
	}
	if own {
		c.Consequences[0] = "All your sessions end with their next click, in each browser: " + count(sessions, "session") + "."
		c.Consequences = append(c.Consequences, "You are signed out here too.")
	}
	c.Title, c.Narrow = "Sign out "+name+" everywhere?", true
	if own {
		c.Title = "Sign out everywhere?"
	}
	return c
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
		by.Actor = "user:" + v.Person.UserName
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

// accountURL is the page of the operator who is signed in.
const accountURL = "/d/-/account"

// accountPage is the view "directory_account".
type accountPage struct {
	page
	Sessions sessionList
}

func (p *DirectoryPages) ownSessions(r *http.Request, v *operatorVisit) (sessionList, error) {
	all, err := p.Operators.Sessions(r.Context(), v.Operator.Name, p.Console.sessionSecret(r, operatorCookie))
	list := sessionList{SignOut: accountURL + "/sign-out"}
	for _, s := range all {
		list.Rows = append(list.Rows, rowOfSession(s.Record, s.Own))
	}
	return list, err
}

func (p *DirectoryPages) showAccount(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	list, err := p.ownSessions(r, v)
	if err != nil {
		return err
	}
	pg := accountPage{page: v.page, Sessions: list}
	pg.Title, pg.Menu = "My account", installationMenu("")
	pg.StatusLine = "You are signed in as the operator " + v.Operator.Name + "."
	pg.Crumbs = []crumb{{Text: "Directories", URL: "/d/"}}
	return p.Console.view(w, r, http.StatusOK, "directory_account", pg)
}

func (p *DirectoryPages) askSignOutEverywhere(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	list, err := p.ownSessions(r, v)
	if err != nil {
		return err
	}
	c := signOutQuestion(v.Operator.Name, len(list.Rows), true)
	title := c.Title
	c.page = v.page
	c.Title, c.Narrow, c.Menu = title, true, installationMenu("")
	c.Crumbs = []crumb{{Text: "Directories", URL: "/d/"}, {Text: "My account", URL: accountURL}}
	c.Action, c.Cancel = r.URL.Path, accountURL
	return p.Console.view(w, r, http.StatusOK, "confirm", c)
}

func (p *DirectoryPages) signOutEverywhere(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	if _, err := p.Operators.SignOutEverywhere(r.Context(), v.Operator.Name, v.actor()); err != nil {
		return err
	}
	p.Console.setSession(w, r, operatorCookie, "")
	p.Console.rememberStart(w, r, "")
	return p.Console.redirect(w, r, "/d/", notice{})
}
