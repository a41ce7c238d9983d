package sitepages

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"sync"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// SessionCookie is the name of the cookie that holds the secret of a person's session. Its path is
// /c/{site}/.
const SessionCookie = "rollcall-site"

//go:embed *.html
var templateFiles embed.FS

// Pages serves the pages for the people and administrators of a site.
type Pages struct {
	Console  *console.Console
	Sites    *site.Sites
	Requests *requestlog.Log
	Rosters  *roster.Rosters
	SignIns  *signin.SignIns
	SSO      *signin.SingleSignOn
	Events   event.Store
	Eraser   *erasure.Eraser

	// LocalProvider allows people to sign in over plain http at an identity provider that runs on
	// this machine. Only the demo sets it.
	LocalProvider bool
	// FetchMetadata downloads the metadata of an identity provider from an address. If it is nil,
	// administrators must upload or paste the metadata.
	FetchMetadata func(ctx context.Context, address string) ([]byte, error)

	parseOnce sync.Once      // parses the templates when the first page is shown
	views     *console.Views // the parsed templates
}

// siteVisit holds what the guard found out about a request to a page of a site.
type siteVisit struct {
	Site   site.Site // the site in the path; zero only for sign-in links to a site that does not exist
	Roster *roster.Roster
	Person roster.Person // the signed-in person; zero on routes for anyone
	page   console.Page  // the frame around the page, such as the menu
}

// routes lists all pages of a site.
func (p *Pages) routes() []console.Route[*siteVisit] {
	return []console.Route[*siteVisit]{
		// Routes for signing in and out:
		{Pattern: "GET /c/{site}/sign-in/{secret}", Access: console.Anyone, Handle: p.showLink},
		{Pattern: "POST /c/{site}/sign-in/{secret}", Access: console.Anyone, Handle: p.redeemLink},
		{Pattern: "GET /c/{site}/recover", Access: console.Anyone, Handle: p.showRecovery},
		{Pattern: "POST /c/{site}/recover", Access: console.Anyone, Handle: p.useRecoveryCode},
		{Pattern: "POST /c/{site}/sign-out", Access: console.Anyone, Handle: p.signOut},

		// Routes for every signed-in person:
		{Pattern: "GET /c/{site}", Access: console.Anyone, Handle: p.redirectToHome}, // browsers send no session cookie to this address, because the cookie's path ends with a slash
		{Pattern: "GET /c/{site}/{$}", Access: console.SignedIn, Handle: p.showHome},
		{Pattern: "GET /c/{site}/sign-in-again", Access: console.SignedIn, Handle: p.showSignInAgain},
		{Pattern: "GET /c/{site}/sign-out-everywhere", Access: console.SignedIn, Handle: p.askSignOutEverywhere},
		{Pattern: "POST /c/{site}/sign-out-everywhere", Access: console.SignedIn, Handle: p.signOutEverywhere},

		// Routes for access management:
		{Pattern: "GET /c/{site}/admin", Access: console.Administrator, Handle: p.redirectToOverview},
		{Pattern: "GET /c/{site}/admin/{$}", Access: console.Administrator, Handle: p.redirectToOverview},
		{Pattern: "GET /c/{site}/admin/access", Access: console.Administrator, Handle: p.showOverview},
		{Pattern: "GET /c/{site}/admin/access/scim", Access: console.Administrator, Handle: p.showSCIM},
		{Pattern: "POST /c/{site}/admin/access/scim", Access: console.FreshAdministrator, Handle: p.requireUnlockedSetUp(p.saveSCIM)},
		{Pattern: "POST /c/{site}/admin/access/scim/roles/off", Access: console.Administrator, Handle: p.saveRolesOff},
		{Pattern: "POST /c/{site}/admin/access/scim/unlock", Access: console.FreshAdministrator, Handle: p.unlockSetUp},
		{Pattern: "GET /c/{site}/admin/access/scim/guide", Access: console.Administrator, Handle: p.showGuide},
		{Pattern: "POST /c/{site}/admin/access/scim/enabled", Access: console.Administrator, Handle: p.requireUnlockedSetUp(p.saveEnabled)},
		{Pattern: "GET /c/{site}/admin/access/scim/off", Access: console.Administrator, Handle: p.askSwitchOff},
		{Pattern: "POST /c/{site}/admin/access/scim/off", Access: console.Administrator, Handle: p.switchSCIMOff},
		{Pattern: "POST /c/{site}/admin/access/scim/roles", Access: console.FreshAdministrator, Handle: p.requireUnlockedSetUp(p.saveRoles)},
		{Pattern: "GET /c/{site}/admin/access/scim/schemas", Access: console.Administrator, Handle: p.showSchemas},
		{Pattern: "POST /c/{site}/admin/access/scim/schemas", Access: console.Administrator, Handle: p.requireUnlockedSetUp(p.saveSchemas), MaxBodyBytes: 2 << 20},
		{Pattern: "GET /c/{site}/admin/access/scim/schemas/forced", Access: console.Administrator, Handle: p.redirectToSchemas},
		{Pattern: "POST /c/{site}/admin/access/scim/schemas/forced", Access: console.Administrator, Handle: p.requireUnlockedSetUp(p.forceSchemas), MaxBodyBytes: 2 << 20},
		{Pattern: "GET /c/{site}/admin/access/scim/searchable", Access: console.Administrator, Handle: p.showSearchable},
		{Pattern: "POST /c/{site}/admin/access/scim/searchable", Access: console.Administrator, Handle: p.requireUnlockedSetUp(p.declareSearchable)},
		{Pattern: "GET /c/{site}/admin/access/scim/searchable/{declared}/remove", Access: console.Administrator, Handle: p.askRemoveSearchable},
		{Pattern: "POST /c/{site}/admin/access/scim/searchable/{declared}/remove", Access: console.Administrator, Handle: p.removeSearchable},
		{Pattern: "GET /c/{site}/admin/access/scim/tokens", Access: console.Administrator, Handle: p.redirectFromToken},
		{Pattern: "POST /c/{site}/admin/access/scim/tokens", Access: console.FreshAdministrator, Handle: p.requireUnlockedSetUp(p.generateToken)},
		{Pattern: "GET /c/{site}/admin/access/scim/tokens/new", Access: console.FreshAdministrator, Handle: p.requireUnlockedSetUp(p.askReplace)},
		{Pattern: "GET /c/{site}/admin/access/scim/tokens/{token}/revoke", Access: console.Administrator, Handle: p.askRevoke},
		{Pattern: "POST /c/{site}/admin/access/scim/tokens/{token}/revoke", Access: console.Administrator, Handle: p.revokeToken},
		{Pattern: "GET /c/{site}/admin/access/authentication", Access: console.Administrator, Handle: p.showSSO},
		{Pattern: "POST /c/{site}/admin/access/authentication", Access: console.FreshAdministrator, Handle: p.saveSSO},
		{Pattern: "POST /c/{site}/admin/access/authentication/protocol", Access: console.FreshAdministrator, Handle: p.useProtocol},
		{Pattern: "GET /c/{site}/admin/access/authentication/openid", Access: console.Administrator, Handle: p.redirectToOpenID},
		{Pattern: "POST /c/{site}/admin/access/authentication/openid", Access: console.FreshAdministrator, Handle: p.saveOpenID},
		{Pattern: "GET /c/{site}/admin/access/authentication/metadata", Access: console.Administrator, Handle: p.downloadMetadata},
		{Pattern: "GET /c/{site}/admin/access/authentication/import", Access: console.Administrator, Handle: p.redirectToSSO},
		{Pattern: "POST /c/{site}/admin/access/authentication/import", Access: console.Administrator, Handle: p.importSSO, MaxBodyBytes: maxMetadataForm},
		{Pattern: "POST /c/{site}/admin/access/authentication/import/save", Access: console.FreshAdministrator, Handle: p.saveImport, MaxBodyBytes: 4 * maxMetadataForm},
		{Pattern: "POST /c/{site}/admin/access/authentication/certificates/remove", Access: console.Administrator, Handle: p.removeCertificate},
		{Pattern: "POST /c/{site}/admin/access/authentication/conflicts/{conflict}/link", Access: console.FreshAdministrator, Handle: p.linkConflict},
		{Pattern: "POST /c/{site}/admin/access/authentication/conflicts/{conflict}/dismiss", Access: console.FreshAdministrator, Handle: p.dismissConflict},
		{Pattern: "POST /c/{site}/admin/access/authentication/keys", Access: console.FreshAdministrator, Handle: p.makeKey},
		{Pattern: "POST /c/{site}/admin/access/authentication/keys/use", Access: console.FreshAdministrator, Handle: p.useKey},
		{Pattern: "POST /c/{site}/admin/access/authentication/keys/remove", Access: console.FreshAdministrator, Handle: p.removeOldKey},
		{Pattern: "POST /c/{site}/admin/access/authentication/link", Access: console.FreshAdministrator, Handle: p.linkTested},
		{Pattern: "GET /c/{site}/admin/access/authentication/recovery-codes", Access: console.Administrator, Handle: p.redirectFromRecoveryCodes},
		{Pattern: "POST /c/{site}/admin/access/authentication/recovery-codes", Access: console.FreshAdministrator, Handle: p.makeRecoveryCodes},
		{Pattern: "GET /c/{site}/admin/access/log", Access: console.Administrator, Handle: p.showLog},
		{Pattern: "GET /c/{site}/admin/access/log/export", Access: console.Administrator, Handle: p.exportLog},

		// Routes for people and the audit log:
		{Pattern: "GET /c/{site}/admin/people", Access: console.Administrator, Handle: p.showPeople},
		{Pattern: "GET /c/{site}/admin/people/change", Access: console.Administrator, Handle: p.redirectToPeople},
		{Pattern: "POST /c/{site}/admin/people/change", Access: console.Administrator, Handle: p.changePeople},
		{Pattern: "GET /c/{site}/admin/people/{person}", Access: console.Administrator, Handle: p.showPerson},
		{Pattern: "GET /c/{site}/admin/people/{person}/role", Access: console.FreshAdministrator, Handle: p.askRole},
		{Pattern: "POST /c/{site}/admin/people/{person}/role", Access: console.FreshAdministrator, Handle: p.setRole},
		{Pattern: "GET /c/{site}/admin/people/{person}/deactivate", Access: console.Administrator, Handle: p.askDeactivate},
		{Pattern: "POST /c/{site}/admin/people/{person}/deactivate", Access: console.Administrator, Handle: p.deactivate},
		{Pattern: "GET /c/{site}/admin/people/{person}/reactivate", Access: console.Administrator, Handle: p.askReactivate},
		{Pattern: "POST /c/{site}/admin/people/{person}/reactivate", Access: console.Administrator, Handle: p.reactivate},
		{Pattern: "GET /c/{site}/admin/people/{person}/erase", Access: console.FreshAdministrator, Handle: p.askErase},
		{Pattern: "POST /c/{site}/admin/people/{person}/erase", Access: console.FreshAdministrator, Handle: p.erase},
		{Pattern: "GET /c/{site}/admin/people/{person}/held/{attribute}/{decision}", Access: console.Administrator, Handle: p.askHeldDecision},
		{Pattern: "POST /c/{site}/admin/people/{person}/held/{attribute}/{decision}", Access: console.Administrator, Handle: p.decideHeld},
		{Pattern: "GET /c/{site}/admin/people/{person}/sign-out", Access: console.Administrator, Handle: p.askSignOutPerson},
		{Pattern: "POST /c/{site}/admin/people/{person}/sign-out", Access: console.Administrator, Handle: p.signOutPerson},
		{Pattern: "GET /c/{site}/admin/people/{person}/block", Access: console.Administrator, Handle: p.askBlock},
		{Pattern: "POST /c/{site}/admin/people/{person}/block", Access: console.Administrator, Handle: p.block},
		{Pattern: "GET /c/{site}/admin/people/{person}/unblock", Access: console.Administrator, Handle: p.askUnblock},
		{Pattern: "POST /c/{site}/admin/people/{person}/unblock", Access: console.Administrator, Handle: p.unblock},
		{Pattern: "GET /c/{site}/admin/people/{person}/unlink", Access: console.Administrator, Handle: p.askUnlink},
		{Pattern: "POST /c/{site}/admin/people/{person}/unlink", Access: console.Administrator, Handle: p.unlink},
		{Pattern: "GET /c/{site}/admin/audit", Access: console.Administrator, Handle: p.showAudit},
		{Pattern: "GET /c/{site}/admin/audit/export", Access: console.Administrator, Handle: p.exportAudit},
	}
}

// Routes lists every route under /c/ with its required access.
func (p *Pages) Routes() []console.RouteInfo { return console.ListRoutes(p.routes()) }

// show responds with the page that the named view, a template of this package, makes from data.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, view string, data any) error {
	p.parseOnce.Do(func() { p.views = p.Console.Views("site", templateFiles) })
	return p.views.Show(w, r, status, view, data)
}

// Handler serves every address under /c/ except the SCIM and single sign-on endpoints. Package
// cmd/rollcall gives requests for those to other handlers.
func (p *Pages) Handler() http.Handler {
	return console.PageSet[*siteVisit]{
		Console: p.Console,
		Tables:  [][]console.Route[*siteVisit]{p.routes()},
		Guard:   p.guard,
		Actor:   (*siteVisit).eventActor,
		Scope:   (*siteVisit).auditScope,
		Frame:   func(v *siteVisit) console.Page { return v.page },
	}.Handler()
}

// guard finds the site and the signed-in person of a request. It returns an error if the person
// lacks the access that the route needs. It reads the session from the store for every request, so
// a deactivated person gets the sign-in page on the next click. A site that does not exist gets the
// same response as an existing site, so that no one can find out the names of customers.
func (p *Pages) guard(w http.ResponseWriter, r *http.Request, need console.Access) (*siteVisit, error) {
	v := &siteVisit{}
	found, err := p.Sites.ByName(r.Context(), r.PathValue("site"))
	unknown := errors.Is(err, refusal.NotFound)
	if err != nil && !unknown {
		return v, err
	}
	if !unknown {
		v.Site, v.Roster = found, p.Rosters.Open(found)
	}
	if need == console.Anyone {
		return v, nil
	}
	if unknown {
		return v, p.askToSignIn(r)
	}
	v.Person, err = v.Roster.UseSession(r.Context(), p.Console.SessionSecret(r, SessionCookie), console.BrowserOf(r))
	if errors.Is(err, refusal.Unauthorized) {
		return v, p.askToSignIn(r)
	}
	if err != nil {
		return v, err
	}
	v.page = v.frame(r)
	if need >= console.Administrator && v.Person.Role != roster.RoleAdmin {
		return v, &console.PageError{
			Status: http.StatusForbidden, Title: "This page is for administrators",
			Text:   "You are signed in as " + v.Person.Name() + " with the role " + string(v.Person.Role) + ". An administrator of this site can give you the role Admin.",
			Action: &console.Action{Text: "My account", Icon: "user-round", URL: v.url("")},
		}
	}
	if need == console.FreshAdministrator {
		if err := p.requireFreshSignIn(r, v); err != nil {
			return v, err
		}
	}
	v.page.Notice = p.Console.TakeNotice(w, r)
	return v, nil
}

// requireFreshSignIn returns a console.OldSignIn error if the person's last sign-in is older than
// session.FreshTime.
func (p *Pages) requireFreshSignIn(r *http.Request, v *siteVisit) error {
	fresh, err := v.Roster.HasFreshSession(r.Context(), p.Console.SessionSecret(r, SessionCookie))
	if err == nil && !fresh {
		return &console.OldSignIn{RenewURL: v.url("sign-in-again")}
	}
	return err
}

// frame returns the frame of every page for this person: the site's name, the menu and the
// signed-in user.
func (v *siteVisit) frame(r *http.Request) console.Page {
	menu := []console.MenuItem{{Text: "You"}, {Text: "My account", Icon: "user-round", URL: v.url("")}}
	if v.Person.Role == roster.RoleAdmin {
		menu = append(
			menu,
			console.MenuItem{Text: "Access management"},
			console.MenuItem{Text: "Overview", Icon: "activity", URL: v.url("admin/access")},
			console.MenuItem{Text: "Single sign-on", Icon: "log-in", URL: v.url("admin/access/authentication")},
			console.MenuItem{Text: "SCIM integration", Icon: "waypoints", URL: v.url("admin/access/scim")},
			console.MenuItem{Text: "Request log", Icon: "scroll-text", URL: v.url("admin/access/log")},
			console.MenuItem{Text: "People"},
			console.MenuItem{Text: "People", Icon: "users", URL: v.url("admin/people")},
			console.MenuItem{Text: "Audit log", Icon: "history", URL: v.url("admin/audit")},
		)
	}
	return console.Page{
		Area: console.AreaName{Name: v.Site.Name, Kind: "Site", URL: v.url("")},
		Menu: console.MarkCurrent(menu, r.URL.Path),
		Who:  &console.Visitor{Name: v.Person.Name(), Role: string(v.Person.Role), Home: v.url(""), SignOut: v.url("sign-out")},
	}
}

// url returns the address of a page of the site. rest is the address below /c/{site}/.
func (v *siteVisit) url(rest string) string { return "/c/" + v.Site.Name + "/" + rest }

// eventActor returns the signed-in person as the actor of events. It returns the zero actor if no
// one is signed in.
func (v *siteVisit) eventActor() event.Actor {
	switch {
	case v.Person.ID == "":
		return event.Actor{}
	case v.Person.Role == roster.RoleAdmin:
		return event.Actor{Kind: event.Admin, ID: v.Person.ID, Name: v.Person.UserName}
	}
	return event.Actor{Kind: event.Person, ID: v.Person.ID, Name: v.Person.UserName}
}

// auditScope returns the scope of the audit log in which events of this request are recorded: the
// site, or the installation if the site does not exist.
func (v *siteVisit) auditScope() event.Scope {
	if v.Site.ID == "" {
		return event.Installation()
	}
	return event.Site(string(v.Site.ID))
}

// actorLabel returns the signed-in person as the label by which events name an actor.
func (v *siteVisit) actorLabel() string { return v.eventActor().Label() }

// crumbs returns the links above the title of a page: a link to the site, then the links in more.
func (v *siteVisit) crumbs(more ...console.Crumb) []console.Crumb {
	return append([]console.Crumb{{Text: v.Site.Name, URL: v.url("")}}, more...)
}

func (p *Pages) redirectToHome(w http.ResponseWriter, r *http.Request, _ *siteVisit) error {
	if site.CheckName(r.PathValue("site")) != nil {
		return console.ErrNotFound
	}
	return p.Console.Redirect(w, r, r.URL.Path+"/", console.Notice{})
}

func (p *Pages) redirectToOverview(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.Redirect(w, r, v.url("admin/access"), console.Notice{})
}
