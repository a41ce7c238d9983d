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

// SiteSessionCookie carries the session of one of a site's people, on /c/{site}/.
const SiteSessionCookie = "rollcall-site"

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
	page   Page
}

// routes is every page of the application's end.
func (p *SitePages) routes() []Route[*siteVisit] {
	return []Route[*siteVisit]{
		// Getting in and out
		{Pattern: "GET /c/{site}/sign-in/{secret}", Access: Anyone, Handle: p.showLink},
		{Pattern: "POST /c/{site}/sign-in/{secret}", Access: Anyone, Handle: p.redeemLink},
		{Pattern: "POST /c/{site}/sign-out", Access: Anyone, Handle: p.signOut},

		// Everybody
		{Pattern: "GET /c/{site}", Access: Anyone, Handle: p.toHome}, // the cookie's path ends in a slash
		{Pattern: "GET /c/{site}/{$}", Access: SignedIn, Handle: p.showHome},
		{Pattern: "GET /c/{site}/sign-out-everywhere", Access: SignedIn, Handle: p.askSignOutEverywhere},
		{Pattern: "POST /c/{site}/sign-out-everywhere", Access: SignedIn, Handle: p.signOutEverywhere},

		// Access management
		{Pattern: "GET /c/{site}/admin", Access: Administrator, Handle: p.toOverview},
		{Pattern: "GET /c/{site}/admin/{$}", Access: Administrator, Handle: p.toOverview},
		{Pattern: "GET /c/{site}/admin/access", Access: Administrator, Handle: p.showOverview},
		{Pattern: "GET /c/{site}/admin/access/scim", Access: Administrator, Handle: p.showSCIM},
		{Pattern: "POST /c/{site}/admin/access/scim", Access: Administrator, Handle: p.saveSCIM},
		{Pattern: "GET /c/{site}/admin/access/scim/guide", Access: Administrator, Handle: p.showGuide},
		{Pattern: "POST /c/{site}/admin/access/scim/enabled", Access: Administrator, Handle: p.saveEnabled},
		{Pattern: "GET /c/{site}/admin/access/scim/off", Access: Administrator, Handle: p.askOff},
		{Pattern: "POST /c/{site}/admin/access/scim/off", Access: Administrator, Handle: p.switchOff},
		{Pattern: "POST /c/{site}/admin/access/scim/roles", Access: Administrator, Handle: p.saveRoles},
		{Pattern: "GET /c/{site}/admin/access/scim/schemas", Access: Administrator, Handle: p.showSchemas},
		{Pattern: "POST /c/{site}/admin/access/scim/schemas", Access: Administrator, Handle: p.saveSchemas, MaxBody: 2 << 20},
		{Pattern: "GET /c/{site}/admin/access/scim/schemas/forced", Access: Administrator, Handle: p.toSchemas},
		{Pattern: "POST /c/{site}/admin/access/scim/schemas/forced", Access: Administrator, Handle: p.forceSchemas, MaxBody: 2 << 20},
		{Pattern: "GET /c/{site}/admin/access/scim/searchable", Access: Administrator, Handle: p.showSearchable},
		{Pattern: "POST /c/{site}/admin/access/scim/searchable", Access: Administrator, Handle: p.declareSearchable},
		{Pattern: "GET /c/{site}/admin/access/scim/searchable/{declared}/remove", Access: Administrator, Handle: p.askRemoveSearchable},
		{Pattern: "POST /c/{site}/admin/access/scim/searchable/{declared}/remove", Access: Administrator, Handle: p.removeSearchable},
		{Pattern: "GET /c/{site}/admin/access/scim/tokens", Access: Administrator, Handle: p.afterToken},
		{Pattern: "POST /c/{site}/admin/access/scim/tokens", Access: Administrator, Handle: p.generateToken},
		{Pattern: "GET /c/{site}/admin/access/scim/tokens/new", Access: Administrator, Handle: p.askReplace},
		{Pattern: "GET /c/{site}/admin/access/scim/tokens/{token}/revoke", Access: Administrator, Handle: p.askRevoke},
		{Pattern: "POST /c/{site}/admin/access/scim/tokens/{token}/revoke", Access: Administrator, Handle: p.revokeToken},
		{Pattern: "GET /c/{site}/admin/access/log", Access: Administrator, Handle: p.showLog},
		{Pattern: "GET /c/{site}/admin/access/log/export", Access: Administrator, Handle: p.exportLog},

		// People
		{Pattern: "GET /c/{site}/admin/people", Access: Administrator, Handle: p.showPeople},
		{Pattern: "GET /c/{site}/admin/people/change", Access: Administrator, Handle: p.toPeople},
		{Pattern: "POST /c/{site}/admin/people/change", Access: Administrator, Handle: p.changePeople},
		{Pattern: "GET /c/{site}/admin/people/{person}", Access: Administrator, Handle: p.showPerson},
		{Pattern: "GET /c/{site}/admin/people/{person}/role", Access: Administrator, Handle: p.askRole},
		{Pattern: "POST /c/{site}/admin/people/{person}/role", Access: Administrator, Handle: p.setRole},
		{Pattern: "GET /c/{site}/admin/people/{person}/deactivate", Access: Administrator, Handle: p.askDeactivate},
		{Pattern: "POST /c/{site}/admin/people/{person}/deactivate", Access: Administrator, Handle: p.deactivate},
		{Pattern: "GET /c/{site}/admin/people/{person}/reactivate", Access: Administrator, Handle: p.askReactivate},
		{Pattern: "POST /c/{site}/admin/people/{person}/reactivate", Access: Administrator, Handle: p.reactivate},
		{Pattern: "GET /c/{site}/admin/people/{person}/erase", Access: Administrator, Handle: p.askErase},
		{Pattern: "POST /c/{site}/admin/people/{person}/erase", Access: Administrator, Handle: p.erase},
		{Pattern: "GET /c/{site}/admin/people/{person}/held/{attribute}/{decision}", Access: Administrator, Handle: p.askHeld},
		{Pattern: "POST /c/{site}/admin/people/{person}/held/{attribute}/{decision}", Access: Administrator, Handle: p.decideHeld},
		{Pattern: "GET /c/{site}/admin/people/{person}/sign-out", Access: Administrator, Handle: p.askSignOutPerson},
		{Pattern: "POST /c/{site}/admin/people/{person}/sign-out", Access: Administrator, Handle: p.signOutPerson},
		{Pattern: "GET /c/{site}/admin/people/{person}/block", Access: Administrator, Handle: p.askBlock},
		{Pattern: "POST /c/{site}/admin/people/{person}/block", Access: Administrator, Handle: p.block},
		{Pattern: "GET /c/{site}/admin/people/{person}/unblock", Access: Administrator, Handle: p.askUnblock},
		{Pattern: "POST /c/{site}/admin/people/{person}/unblock", Access: Administrator, Handle: p.unblock},
		{Pattern: "GET /c/{site}/admin/audit", Access: Administrator, Handle: p.showAudit},
		{Pattern: "GET /c/{site}/admin/audit/export", Access: Administrator, Handle: p.exportAudit},
	}
}

// Routes lists every route under /c/, with who may ask for it.
func (p *SitePages) Routes() []RouteInfo { return RouteInfos(p.routes()) }

// Handler serves /c/…, all but the SCIM subtree, which cmd dispatches before it.
func (p *SitePages) Handler() http.Handler {
	return Area[*siteVisit]{
		Console: p.Console,
		Tables:  [][]Route[*siteVisit]{p.routes()},
		Guard:   p.guard,
		Actor:   (*siteVisit).who,
		Scope:   (*siteVisit).trail,
		Frame:   func(v *siteVisit) Page { return v.page },
	}.Handler()
}

// guard asks the store each time: who was deactivated is at the sign-in page with the next click. A site that does not exist
// answers like one that does, so that nobody learns the names of customers.
func (p *SitePages) guard(w http.ResponseWriter, r *http.Request, need Access) (*siteVisit, error) {
	v := &siteVisit{}
	found, err := p.Sites.ByName(r.Context(), r.PathValue("site"))
	unknown := errors.Is(err, refusal.NotFound)
	if err != nil && !unknown {
		return v, err
	}
	if !unknown {
		v.Site, v.Roster = found, p.Rosters.Open(found)
	}
	if need == Anyone {
		return v, nil
	}
	if unknown {
		return v, p.askIn(r)
	}
	v.Person, err = v.Roster.UseSession(r.Context(), p.Console.SessionSecret(r, SiteSessionCookie), BrowserOf(r))
	if errors.Is(err, refusal.Unauthorized) {
		return v, p.askIn(r)
	}
	if err != nil {
		return v, err
	}
	v.page = v.frame(r)
	if need == Administrator && v.Person.Role != roster.RoleAdmin {
		return v, &PageError{
			Status: http.StatusForbidden, Title: "This page is for administrators",
			Text:   "You are signed in as " + v.Person.Name() + " with the role " + string(v.Person.Role) + ". An administrator of this site can give you the role Admin.",
			Action: &Action{Text: "My account", Icon: "user-round", URL: v.url("")},
		}
	}
	v.page.Notice = p.Console.TakeNotice(w, r)
	return v, nil
}

// frame is what surrounds every page for this person.
func (v *siteVisit) frame(r *http.Request) Page {
	menu := []MenuItem{{Text: "You"}, {Text: "My account", Icon: "user-round", URL: v.url("")}}
	if v.Person.Role == roster.RoleAdmin {
		menu = append(
			menu,
			MenuItem{Text: "Access management"},
			MenuItem{Text: "Overview", Icon: "activity", URL: v.url("admin/access")},
			MenuItem{Text: "SCIM integration", Icon: "waypoints", URL: v.url("admin/access/scim")},
			MenuItem{Text: "Request log", Icon: "scroll-text", URL: v.url("admin/access/log")},
			MenuItem{Text: "People"},
			MenuItem{Text: "People", Icon: "users", URL: v.url("admin/people")},
			MenuItem{Text: "Audit log", Icon: "history", URL: v.url("admin/audit")},
		)
	}
	return Page{
		Area: AreaName{Name: v.Site.Name, Kind: "Site", URL: v.url("")},
		Menu: MarkCurrent(menu, r.URL.Path),
		Who:  &Visitor{Name: v.Person.Name(), Role: string(v.Person.Role), Home: v.url(""), SignOut: v.url("sign-out")},
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
func (v *siteVisit) crumbs(more ...Crumb) []Crumb {
	return append([]Crumb{{Text: v.Site.Name, URL: v.url("")}}, more...)
}

func (p *SitePages) toHome(w http.ResponseWriter, r *http.Request, _ *siteVisit) error {
	if site.CheckName(r.PathValue("site")) != nil {
		return ErrNotFound
	}
	return p.Console.Redirect(w, r, r.URL.Path+"/", Notice{})
}

func (p *SitePages) toOverview(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.Redirect(w, r, v.url("admin/access"), Notice{})
}
