package sitepages

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/roster"
)

// homePage is the data of the view "home", which shows a person's own account and rights. A
// deactivated person can no longer open the page.
type homePage struct {
	console.Page
	Person      roster.Person
	RoleText    string // a sentence that says what people with the person's role can do
	IsAdmin     bool   // whether the person is an administrator
	OverviewURL string // address of the overview
	PeopleURL   string // address of the list of people
	Sessions    console.SessionList
}

func (p *Pages) showHome(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	pg := v.page
	pg.Title = "My account"
	pg.StatusLine = "You are signed in to " + v.Site.Name + " as " + v.Person.Name() + "."
	pg.Crumbs = []console.Crumb{{Text: v.Site.Name, URL: v.url("")}}
	sessions, err := p.siteSessions(r, v, v.Person, v.url("sign-out-everywhere"))
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "home", homePage{
		Page: pg, Sessions: sessions, Person: v.Person, RoleText: roleText(v.Person.Role),
		IsAdmin: v.Person.Role == roster.RoleAdmin, OverviewURL: v.url("admin/access"), PeopleURL: v.url("admin/people"),
	})
}

// roleText returns a sentence that says what people with a role can do.
func roleText(role roster.Role) string {
	switch role {
	case roster.RoleAdmin:
		return "Manages this site’s people and how they are provisioned."
	case roster.RoleModerator:
		return "Looks after what people write here."
	default:
		return "Uses this site."
	}
}
