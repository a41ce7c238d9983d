package directorypages

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/console"
)

// accountURL is the address of the page "My account", which shows the signed-in operator.
const accountURL = "/d/-/account"

// accountPage is the data of the view "account", the page "My account".
type accountPage struct {
	console.Page
	Sessions   console.SessionList
	Identities []identityRow
	Provider   string // the name of the operators' OpenID provider; empty if there is none
	LinkURL    string // the address that links an identity
}

func (p *Pages) ownSessions(r *http.Request, v *operatorVisit) (console.SessionList, error) {
	all, err := p.Operators.Sessions(r.Context(), v.Operator.Name, p.Console.SessionSecret(r, SessionCookie))
	list := console.SessionList{SignOut: accountURL + "/sign-out"}
	for _, s := range all {
		list.Rows = append(list.Rows, console.NewSessionRow(s.Record, s.Own))
	}
	return list, err
}

func (p *Pages) showAccount(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	list, err := p.ownSessions(r, v)
	if err != nil {
		return err
	}
	rows, err := p.identityRows(r, v)
	if err != nil {
		return err
	}
	pg := accountPage{Page: v.page, Sessions: list, Identities: rows, LinkURL: linkURL}
	if p.OpenID != nil {
		pg.Provider = p.OpenID.ProviderName()
	}
	pg.Title, pg.Menu = "My account", installationMenu("")
	pg.StatusLine = "You are signed in as the operator " + v.Operator.Name + "."
	pg.Crumbs = []console.Crumb{{Text: "Directories", URL: "/d/"}}
	return p.show(w, r, http.StatusOK, "account", pg)
}

func (p *Pages) askSignOutEverywhere(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	list, err := p.ownSessions(r, v)
	if err != nil {
		return err
	}
	c := console.SignOutQuestion(v.Operator.Name, len(list.Rows), true)
	title := c.Title
	c.Page = v.page
	c.Title, c.Narrow, c.Menu = title, true, installationMenu("")
	c.Crumbs = []console.Crumb{{Text: "Directories", URL: "/d/"}, {Text: "My account", URL: accountURL}}
	c.FormURL, c.CancelURL = r.URL.Path, accountURL
	return p.Console.View(w, r, http.StatusOK, "confirm", c)
}

func (p *Pages) signOutEverywhere(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	if _, err := p.Operators.SignOutEverywhere(r.Context(), v.Operator.Name, v.actorLabel()); err != nil {
		return err
	}
	p.Console.SetSession(w, r, SessionCookie, "")
	p.Console.RememberStart(w, r, "")
	return p.Console.Redirect(w, r, "/d/", console.Notice{})
}
