package sitepages

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/site"
)

// requireUnlockedSetUp wraps the handler of a form that sets up SCIM. The wrapped handler refuses
// the form while the site's set-up is locked. Forms that protect the site, such as the form that
// revokes a token, are never locked.
func (p *Pages) requireUnlockedSetUp(handle func(http.ResponseWriter, *http.Request, *siteVisit) error) func(http.ResponseWriter, *http.Request, *siteVisit) error {
	return func(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
		if !v.Site.SetUpLocked {
			return handle(w, r, v)
		}
		return &console.PageError{
			Status: http.StatusConflict, Title: "Set up single sign-on first",
			Text:   "SCIM is set up on this site once single sign-on has let a person in. Nothing was changed.",
			Action: &console.Action{Text: "SCIM integration", URL: v.url("admin/access/scim")},
		}
	}
}

// unlockSetUp allows setting up SCIM without single sign-on, for sites that will have none.
func (p *Pages) unlockSetUp(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if _, err := p.Sites.Update(r.Context(), v.Site.ID, v.actorLabel(), func(s *site.Site) error { s.SetUpLocked = false; return nil }); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/access/scim"), console.DoneNotice("You can set up SCIM now, without single sign-on."))
}

// saveRolesOff saves that SCIM may not manage roles. It works even while the set-up is locked.
func (p *Pages) saveRolesOff(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.saveSwitch(w, r, v, console.DoneNotice(rolesChangedText(false)), func(s *site.Site) { s.ManageRoles = false })
}
