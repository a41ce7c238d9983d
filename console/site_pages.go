package console

import (
	"errors"
	"net/http"

	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// siteCookie carries the session of one of a site's people, on /c/{site}/.
const siteCookie = "rollcall-site"

// SitePages are the pages of the application's end.
type SitePages struct {
	Console *Console
	Sites   *site.Sites
	Rosters *roster.Rosters
	SignIns *signin.SignIns
	Events  event.Store
	Eraser  *erasure.Eraser
}

// siteVisit is what the guard of /c/{site}/ knows about a request.
type siteVisit struct {
	Site   site.Site // zero only for links to a site that does not exist
	Roster *roster.Roster
	Person roster.Person // zero on routes for anyone
	page   page
}

// routes is every page of the application's end.
func (p *SitePages) routes() []route[*siteVisit] {
	return []route[*siteVisit]{
		// Getting in and out
		{pattern: "GET /c/{site}/sign-in/{secret}", access: anyone, handle: p.showLink},
		{pattern: "POST /c/{site}/sign-in/{secret}", access: anyone, handle: p.redeemLink},
		{pattern: "POST /c/{site}/sign-out", access: anyone, handle: p.signOut},

		// Everybody
		{pattern: "GET /c/{site}", access: anyone, handle: p.toHome}, // the cookie's path ends in a slash
		{pattern: "GET /c/{site}/{$}", access: signedIn, handle: p.showHome},
		{pattern: "GET /c/{site}/sign-out-everywhere", access: signedIn, handle: p.askSignOutEverywhere},
		{pattern: "POST /c/{site}/sign-out-everywhere", access: signedIn, handle: p.signOutEverywhere},

		// Access management
		{pattern: "GET /c/{site}/admin", access: administrator, handle: p.toOverview},
		{pattern: "GET /c/{site}/admin/{$}", access: administrator, handle: p.toOverview},
		{pattern: "GET /c/{site}/admin/access", access: administrator, handle: p.showOverview},
		{pattern: "GET /c/{site}/admin/access/scim", access: administrator, handle: p.showSCIM},
		{pattern: "POST /c/{site}/admin/access/scim", access: administrator, handle: p.saveSCIM},
		{pattern: "GET /c/{site}/admin/access/scim/guide", access: administrator, handle: p.showGuide},
		{pattern: "POST /c/{site}/admin/access/scim/enabled", access: administrator, handle: p.saveEnabled},
		{pattern: "GET /c/{site}/admin/access/scim/off", access: administrator, handle: p.askOff},
		{pattern: "POST /c/{site}/admin/access/scim/off", access: administrator, handle: p.switchOff},
		{pattern: "POST /c/{site}/admin/access/scim/roles", access: administrator, handle: p.saveRoles},
		{pattern: "GET /c/{site}/admin/access/scim/schemas", access: administrator, handle: p.showSchemas},
		{pattern: "POST /c/{site}/admin/access/scim/schemas", access: administrator, handle: p.saveSchemas, maxBody: 2 << 20},
		{pattern: "GET /c/{site}/admin/access/scim/schemas/forced", access: administrator, handle: p.toSchemas},
		{pattern: "POST /c/{site}/admin/access/scim/schemas/forced", access: administrator, handle: p.forceSchemas, maxBody: 2 << 20},
		{pattern: "GET /c/{site}/admin/access/scim/searchable", access: administrator, handle: p.showSearchable},
		{pattern: "POST /c/{site}/admin/access/scim/searchable", access: administrator, handle: p.declareSearchable},
		{pattern: "GET /c/{site}/admin/access/scim/searchable/{declared}/remove", access: administrator, handle: p.askRemoveSearchable},
		{pattern: "POST /c/{site}/admin/access/scim/searchable/{declared}/remove", access: administrator, handle: p.removeSearchable},
		{pattern: "GET /c/{site}/admin/access/scim/tokens", access: administrator, handle: p.afterToken},
		{pattern: "POST /c/{site}/admin/access/scim/tokens", access: administrator, handle: p.generateToken},
		{pattern: "GET /c/{site}/admin/access/scim/tokens/new", access: administrator, handle: p.askReplace},
		{pattern: "GET /c/{site}/admin/access/scim/tokens/{token}/revoke", access: administrator, handle: p.askRevoke},
		{pattern: "POST /c/{site}/admin/access/scim/tokens/{token}/revoke", access: administrator, handle: p.revokeToken},
		{pattern: "GET /c/{site}/admin/access/log", access: administrator, handle: p.showLog},
		{pattern: "GET /c/{site}/admin/access/log/export", access: administrator, handle: p.exportLog},

		// People
		{pattern: "GET /c/{site}/admin/people", access: administrator, handle: p.showPeople},
		{pattern: "GET /c/{site}/admin/people/change", access: administrator, handle: p.toPeople},
		{pattern: "POST /c/{site}/admin/people/change", access: administrator, handle: p.changePeople},
		{pattern: "GET /c/{site}/admin/people/{person}", access: administrator, handle: p.showPerson},
		{pattern: "GET /c/{site}/admin/people/{person}/role", access: administrator, handle: p.askRole},
		{pattern: "POST /c/{site}/admin/people/{person}/role", access: administrator, handle: p.setRole},
		{pattern: "GET /c/{site}/admin/people/{person}/deactivate", access: administrator, handle: p.askDeactivate},
		{pattern: "POST /c/{site}/admin/people/{person}/deactivate", access: administrator, handle: p.deactivate},
		{pattern: "GET /c/{site}/admin/people/{person}/reactivate", access: administrator, handle: p.askReactivate},
		{pattern: "POST /c/{site}/admin/people/{person}/reactivate", access: administrator, handle: p.reactivate},
		{pattern: "GET /c/{site}/admin/people/{person}/erase", access: administrator, handle: p.askErase},
		{pattern: "POST /c/{site}/admin/people/{person}/erase", access: administrator, handle: p.erase},
		{pattern: "GET /c/{site}/admin/people/{person}/held/{attribute}/{decision}", access: administrator, handle: p.askHeld},
		{pattern: "POST /c/{site}/admin/people/{person}/held/{attribute}/{decision}", access: administrator, handle: p.decideHeld},
		{pattern: "GET /c/{site}/admin/people/{person}/sign-out", access: administrator, handle: p.askSignOutPerson},
		{pattern: "POST /c/{site}/admin/people/{person}/sign-out", access: administrator, handle: p.signOutPerson},
		{pattern: "GET /c/{site}/admin/people/{person}/block", access: administrator, handle: p.askBlock},
		{pattern: "POST /c/{site}/admin/people/{person}/block", access: administrator, handle: p.block},
		{pattern: "GET /c/{site}/admin/people/{person}/unblock", access: administrator, handle: p.askUnblock},
		{pattern: "POST /c/{site}/admin/people/{person}/unblock", access: administrator, handle: p.unblock},
		{pattern: "GET /c/{site}/admin/audit", access: administrator, handle: p.showAudit},
		{pattern: "GET /c/{site}/admin/audit/export", access: administrator, handle: p.exportAudit},
	}
}

// Routes lists every route under /c/, with who may ask for it.
func (p *SitePages) Routes() []RouteInfo { return routeInfos(p.routes()) }

// Handler serves /c/…, all but the SCIM subtree, which cmd dispatches before it.
func (p *SitePages) Handler() http.Handler {
	return area[*siteVisit]{
		console: p.Console,
		tables:  [][]route[*siteVisit]{p.routes()},
		guard:   p.guard,
		actor:   (*siteVisit).who,
		scope:   (*siteVisit).trail,
		frame:   func(v *siteVisit) page { return v.page },
	}.handler()
}

// guard asks the store each time: who was deactivated is at the sign-in page with the next click. A site that does not exist
// answers like one that does, so that nobody learns the names of customers.
func (p *SitePages) guard(w http.ResponseWriter, r *http.Request, need access) (*siteVisit, error) {
	v := &siteVisit{}
	found, err := p.Sites.ByName(r.Context(), r.PathValue("site"))
	unknown := errors.Is(err, refusal.NotFound)
	if err != nil && !unknown {
		return v, err
	}
	if !unknown {
		v.Site, v.Roster = found, p.Rosters.Open(found)
	}
	if need == anyone {
		return v, nil
	}
	if unknown {
		return v, p.askIn(r)
	}
	v.Person, err = v.Roster.UseSession(r.Context(), p.Console.sessionSecret(r, siteCookie), browserOf(r))
	if errors.Is(err, refusal.Unauthorized) {
		return v, p.askIn(r)
	}
	if err != nil {
		return v, err
	}
	v.page = v.frame(r)
	if need == administrator && v.Person.Role != roster.RoleAdmin {
		return v, &pageError{
			Status: http.StatusForbidden, Title: "This page is for administrators",
			Text:   "You are signed in as " + v.Person.Name() + " with the role " + string(v.Person.Role) + ". An administrator of this site can give you the role Admin.",
			Action: &action{Text: "My account", Icon: "user-round", URL: v.url("")},
		}
	}
	v.page.Notice = p.Console.takeNotice(w, r)
	return v, nil
}

// frame is what surrounds every page for this person.
func (v *siteVisit) frame(r *http.Request) page {
	menu := []menuItem{{Text: "You"}, {Text: "My account", Icon: "user-round", URL: v.url("")}}
	if v.Person.Role == roster.RoleAdmin {
		menu = append(
			menu,
			menuItem{Text: "Access management"},
			menuItem{Text: "Overview", Icon: "activity", URL: v.url("admin/access")},
			menuItem{Text: "SCIM integration", Icon: "waypoints", URL: v.url("admin/access/scim")},
			menuItem{Text: "Request log", Icon: "scroll-text", URL: v.url("admin/access/log")},
			menuItem{Text: "People"},
			menuItem{Text: "People", Icon: "users", URL: v.url("admin/people")},
			menuItem{Text: "Audit log", Icon: "history", URL: v.url("admin/audit")},
		)
	}
	return page{
		Area: areaName{Name: v.Site.Name, Kind: "Site", URL: v.url("")},
		Menu: mark(menu, r.URL.Path),
		Who:  &who{Name: v.Person.Name(), Role: string(v.Person.Role), Home: v.url(""), SignOut: v.url("sign-out")},
	}
}

// url is a path of the site; rest has no leading slash.
func (v *siteVisit) url(rest string) string { return "/c/" + v.Site.Name + "/" + rest }

// who is the person in events.
func (v *siteVisit) who() event.Actor {
	switch {
	case v.Person.ID == "":
		return event.Actor{}
	case v.Person.Role == roster.RoleAdmin:
		return event.Actor{Kind: event.Admin, ID: v.Person.ID, Name: v.Person.UserName}
	}
	return event.Actor{Kind: event.Person, ID: v.Person.ID, Name: v.Person.UserName}
}

// trail is the audit trail of the site; that of the installation for a site that does not exist.
func (v *siteVisit) trail() event.Scope {
	if v.Site.ID == "" {
		return event.Installation()
	}
	return event.Site(string(v.Site.ID))
}

// actor is how events name the person in short.
func (v *siteVisit) actor() string { return v.who().Label() }

// crumbs is the way from the site to a page below these.
func (v *siteVisit) crumbs(more ...crumb) []crumb {
	return append([]crumb{{Text: v.Site.Name, URL: v.url("")}}, more...)
}

func (p *SitePages) toHome(w http.ResponseWriter, r *http.Request, _ *siteVisit) error {
	if site.CheckName(r.PathValue("site")) != nil {
		return errNotFound
	}
	return p.Console.redirect(w, r, r.URL.Path+"/", notice{})
}

func (p *SitePages) toOverview(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.redirect(w, r, v.url("admin/access"), notice{})
}
