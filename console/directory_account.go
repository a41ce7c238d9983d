package console

import "net/http"

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
