package console

import "net/http"

// accountURL is the page of the operator who is signed in.
const accountURL = "/d/-/account"

// accountPage is the view "directory_account".
type accountPage struct {
	Page
	Sessions SessionList
}

func (p *DirectoryPages) ownSessions(r *http.Request, v *operatorVisit) (SessionList, error) {
	all, err := p.Operators.Sessions(r.Context(), v.Operator.Name, p.Console.SessionSecret(r, OperatorSessionCookie))
	list := SessionList{SignOut: accountURL + "/sign-out"}
	for _, s := range all {
		list.Rows = append(list.Rows, NewSessionRow(s.Record, s.Own))
	}
	return list, err
}

func (p *DirectoryPages) showAccount(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	list, err := p.ownSessions(r, v)
	if err != nil {
		return err
	}
	pg := accountPage{Page: v.page, Sessions: list}
	pg.Title, pg.Menu = "My account", installationMenu("")
	pg.StatusLine = "You are signed in as the operator " + v.Operator.Name + "."
	pg.Crumbs = []Crumb{{Text: "Directories", URL: "/d/"}}
	return p.Console.View(w, r, http.StatusOK, "directory_account", pg)
}

func (p *DirectoryPages) askSignOutEverywhere(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	list, err := p.ownSessions(r, v)
	if err != nil {
		return err
	}
	c := SignOutQuestion(v.Operator.Name, len(list.Rows), true)
	title := c.Title
	c.Page = v.page
	c.Title, c.Narrow, c.Menu = title, true, installationMenu("")
	c.Crumbs = []Crumb{{Text: "Directories", URL: "/d/"}, {Text: "My account", URL: accountURL}}
	c.Action, c.Cancel = r.URL.Path, accountURL
	return p.Console.View(w, r, http.StatusOK, "confirm", c)
}

func (p *DirectoryPages) signOutEverywhere(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	if _, err := p.Operators.SignOutEverywhere(r.Context(), v.Operator.Name, v.actor()); err != nil {
		return err
	}
	p.Console.SetSession(w, r, OperatorSessionCookie, "")
	p.Console.RememberStart(w, r, "")
	return p.Console.Redirect(w, r, "/d/", Notice{})
}
