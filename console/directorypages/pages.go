package directorypages

import (
	"context"
	"embed"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/demosignin"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

//go:embed *.html
var templateFiles embed.FS

// Pages serves the pages for operators: directories, their users and applications, and sites.
type Pages struct {
	Console       *console.Console
	Operators     *operator.Operators
	OpenID        *operator.OpenID            // signs operators in at their provider; nil for one-time links alone
	Keys          *operator.Keys              // the API keys of directories
	Notifications *notification.Notifications // mail about directories
	Directories   *directory.Directories
	Jobs          *provision.Jobs
	Engine        *provision.Engine // makes plans and provisions on demand; the pages do not run cycles
	Sites         *site.Sites       // creates, renames and deletes sites
	Rosters       *roster.Rosters
	SignIns       *signin.SignIns
	Eraser        *erasure.Eraser
	Events        event.Trail
	// SignOn is the identity provider of the directories. Only the demo has one; otherwise it is
	// nil.
	SignOn *demosignin.Provider
	// ReadUsers and WriteUsers read and write files for import and export; see directory/csv.
	ReadUsers  func(io.Reader, directory.FileOptions) (directory.File, error)
	WriteUsers func(io.Writer) UserWriter

	// Lifetime ends when the server ends. Work that pages have started then ends too. A nil
	// Lifetime never ends.
	Lifetime context.Context
	// Owner is the name of this process when it claims jobs.
	Owner string

	background sync.WaitGroup // work that continues after the response

	drafts  console.Memory // values that were typed into a Provisioning page and are not saved yet
	imports console.Memory // files between preview and import

	parse sync.Once
	views *console.Views
}

// UserWriter writes users to a file. manager is the manager's userPrincipalName. Flush completes
// the file.
type UserWriter interface {
	Write(u directory.User, manager string) error
	Flush() error
}

// maxImportBytes is the largest size of an uploaded file. It suffices for several hundred thousand
// people.
const maxImportBytes = 64 << 20

// routes lists all pages except the sign-in.
func (p *Pages) routes() []console.Route[*operatorVisit] {
	return []console.Route[*operatorVisit]{
		// Directories
		{Pattern: "GET /d", Access: console.Anyone, Handle: p.redirectToDirectories}, // outside the cookie's path
		{Pattern: "GET /d/{$}", Access: console.Administrator, Handle: p.showDirectories},
		{Pattern: "POST /d/{$}", Access: console.Administrator, Handle: p.createDirectory},
		{Pattern: "GET /d/{directory}", Access: console.Administrator, Handle: p.inDirectory(p.redirectToUsers)},
		{Pattern: "GET /d/{directory}/{$}", Access: console.Administrator, Handle: p.inDirectory(p.redirectToUsers)},
		{Pattern: "GET /d/{directory}/settings", Access: console.Administrator, Handle: p.inDirectory(p.showDirectorySettings)},
		{Pattern: "POST /d/{directory}/settings/domain", Access: console.Administrator, Handle: p.inDirectory(p.saveDomain)},
		{Pattern: "POST /d/{directory}/settings", Access: console.Administrator, Handle: p.renamedDirectory(p.renameDirectory)},
		{Pattern: "GET /d/{directory}/delete", Access: console.FreshAdministrator, Handle: p.inDirectory(p.askDeleteDirectory)},
		{Pattern: "POST /d/{directory}/delete", Access: console.FreshAdministrator, Handle: p.inDirectory(p.deleteDirectory)},
		{Pattern: "GET /d/{directory}/keys", Access: console.Administrator, Handle: p.inDirectory(p.showKeys)},
		{Pattern: "GET /d/{directory}/keys/new", Access: console.FreshAdministrator, Handle: p.inDirectory(p.newKey)},
		{Pattern: "POST /d/{directory}/keys", Access: console.FreshAdministrator, Handle: p.inDirectory(p.makeKey)},
		{Pattern: "GET /d/{directory}/keys/{key}/revoke", Access: console.Administrator, Handle: p.inDirectory(p.askRevokeKey)},
		{Pattern: "POST /d/{directory}/keys/{key}/revoke", Access: console.Administrator, Handle: p.inDirectory(p.revokeKey)},
		{Pattern: "GET /d/{directory}/notifications", Access: console.Administrator, Handle: p.inDirectory(p.showRecipients)},
		{Pattern: "GET /d/{directory}/notifications/new", Access: console.Administrator, Handle: p.inDirectory(p.newRecipient)},
		{Pattern: "POST /d/{directory}/notifications", Access: console.Administrator, Handle: p.inDirectory(p.addRecipient)},
		{Pattern: "POST /d/{directory}/notifications/{recipient}/test", Access: console.Administrator, Handle: p.inDirectory(p.testRecipient)},
		{Pattern: "POST /d/{directory}/notifications/{recipient}/resume", Access: console.Administrator, Handle: p.inDirectory(p.resumeRecipient)},
		{Pattern: "GET /d/{directory}/notifications/{recipient}/remove", Access: console.Administrator, Handle: p.inDirectory(p.askRemoveRecipient)},
		{Pattern: "POST /d/{directory}/notifications/{recipient}/remove", Access: console.Administrator, Handle: p.inDirectory(p.removeRecipient)},
		{Pattern: "GET /d/{directory}/audit", Access: console.Administrator, Handle: p.inDirectory(p.showAudit)},
		{Pattern: "GET /d/{directory}/audit/export", Access: console.Administrator, Handle: p.inDirectory(p.exportAudit)},

		// The operator's own account. No directory can be named "-".
		{Pattern: "GET /d/-/account", Access: console.Administrator, Handle: p.showAccount},
		{Pattern: "GET /d/-/account/sign-in-again", Access: console.Administrator, Handle: p.showSignInAgain},
		{Pattern: "GET /d/-/account/identities/{identity}/unlink", Access: console.Administrator, Handle: p.askUnlink},
		{Pattern: "POST /d/-/account/identities/{identity}/unlink", Access: console.Administrator, Handle: p.unlink},
		{Pattern: "GET /d/-/account/sign-out", Access: console.Administrator, Handle: p.askSignOutEverywhere},
		{Pattern: "POST /d/-/account/sign-out", Access: console.Administrator, Handle: p.signOutEverywhere},

		// Sign-in at the operators' OpenID provider
		{Pattern: "GET /d/-/openid/login", Access: console.Anyone, Handle: p.startSignIn},
		{Pattern: "GET /d/-/openid/link", Access: console.FreshAdministrator, Handle: p.startLink},
		{Pattern: "GET /d/-/openid/callback", Access: console.Anyone, Handle: p.takeAnswer},

		// The audit log of the installation
		{Pattern: "GET /d/-/audit", Access: console.Administrator, Handle: p.showWholeAudit},
		{Pattern: "GET /d/-/audit/export", Access: console.Administrator, Handle: p.exportWholeAudit},

		// Sites
		{Pattern: "GET /d/-/sites", Access: console.Administrator, Handle: p.showSites},
		{Pattern: "POST /d/-/sites", Access: console.Administrator, Handle: p.createSite},
		{Pattern: "GET /d/-/sites/{site}", Access: console.Administrator, Handle: p.ofSite(p.showSiteSettings)},
		{Pattern: "POST /d/-/sites/{site}", Access: console.Administrator, Handle: p.ofSite(p.renameSite)},
		{Pattern: "GET /d/-/sites/{site}/delete", Access: console.FreshAdministrator, Handle: p.ofSite(p.askDeleteSite)},
		{Pattern: "POST /d/-/sites/{site}/delete", Access: console.FreshAdministrator, Handle: p.ofSite(p.deleteSite)},

		// Users
		{Pattern: "GET /d/{directory}/users", Access: console.Administrator, Handle: p.inDirectory(p.showUsers)},
		{Pattern: "POST /d/{directory}/users", Access: console.Administrator, Handle: p.inDirectory(p.addUser)},
		{Pattern: "POST /d/{directory}/users/change", Access: console.Administrator, Handle: p.inDirectory(p.changeUsers)},
		{Pattern: "GET /d/{directory}/users/new", Access: console.Administrator, Handle: p.inDirectory(p.newUser)},
		{Pattern: "GET /d/{directory}/users/import", Access: console.Administrator, Handle: p.inDirectory(p.showImport)},
		{Pattern: "POST /d/{directory}/users/import", Access: console.Administrator, Handle: p.inDirectory(p.importUsers), MaxBody: maxImportBytes},
		{Pattern: "GET /d/{directory}/users/export", Access: console.Administrator, Handle: p.inDirectory(p.exportUsers)},
		{Pattern: "GET /d/{directory}/users/{user}", Access: console.Administrator, Handle: p.inDirectory(p.showUser)},
		{Pattern: "POST /d/{directory}/users/{user}", Access: console.Administrator, Handle: p.inDirectory(p.saveUser)},
		{Pattern: "GET /d/{directory}/users/{user}/{change}", Access: console.Administrator, Handle: p.inDirectory(p.askUserChange)},
		{Pattern: "POST /d/{directory}/users/{user}/{change}", Access: console.Administrator, Handle: p.inDirectory(p.changeUser)},

		// Groups
		{Pattern: "GET /d/{directory}/groups", Access: console.Administrator, Handle: p.inDirectory(p.showGroups)},
		{Pattern: "POST /d/{directory}/groups", Access: console.Administrator, Handle: p.inDirectory(p.addGroup)},
		{Pattern: "GET /d/{directory}/groups/new", Access: console.Administrator, Handle: p.inDirectory(p.newGroup)},
		{Pattern: "GET /d/{directory}/groups/{group}", Access: console.Administrator, Handle: p.ofGroup(p.showGroup)},
		{Pattern: "POST /d/{directory}/groups/{group}", Access: console.Administrator, Handle: p.ofGroup(p.saveGroup)},
		{Pattern: "POST /d/{directory}/groups/{group}/members", Access: console.Administrator, Handle: p.ofGroup(p.removeMembers)},
		{Pattern: "GET /d/{directory}/groups/{group}/members/add", Access: console.Administrator, Handle: p.ofGroup(p.showOthers)},
		{Pattern: "POST /d/{directory}/groups/{group}/members/add", Access: console.Administrator, Handle: p.ofGroup(p.addMembers)},
		{Pattern: "GET /d/{directory}/groups/{group}/{step}", Access: console.Administrator, Handle: p.ofGroup(p.askGroupChange)},
		{Pattern: "POST /d/{directory}/groups/{group}/{step}", Access: console.Administrator, Handle: p.ofGroup(p.changeGroup)},

		// Enterprise applications
		{Pattern: "GET /d/{directory}/applications", Access: console.Administrator, Handle: p.inDirectory(p.showApplications)},
		{Pattern: "POST /d/{directory}/applications", Access: console.Administrator, Handle: p.inDirectory(p.createApplication)},
		{Pattern: "GET /d/{directory}/applications/{app}", Access: console.Administrator, Handle: p.ofApp(p.showApplication)},
		{Pattern: "GET /d/{directory}/applications/{app}/settings", Access: console.Administrator, Handle: p.ofApp(p.showApplicationSettings)},
		{Pattern: "POST /d/{directory}/applications/{app}/settings", Access: console.Administrator, Handle: p.ofApp(p.renameApplication)},
		{Pattern: "GET /d/{directory}/applications/{app}/delete", Access: console.FreshAdministrator, Handle: p.ofApp(p.askDeleteApplication)},
		{Pattern: "POST /d/{directory}/applications/{app}/delete", Access: console.FreshAdministrator, Handle: p.ofApp(p.deleteApplication)},
		{Pattern: "GET /d/{directory}/applications/{app}/users-and-groups", Access: console.Administrator, Handle: p.ofApp(p.showAssignments)},
		{Pattern: "POST /d/{directory}/applications/{app}/users-and-groups", Access: console.Administrator, Handle: p.ofApp(p.unassign)},
		{Pattern: "GET /d/{directory}/applications/{app}/users-and-groups/add", Access: console.Administrator, Handle: p.ofApp(p.showUnassigned)},
		{Pattern: "POST /d/{directory}/applications/{app}/users-and-groups/add", Access: console.Administrator, Handle: p.ofApp(p.assign)},

		{Pattern: "GET /d/{directory}/applications/{app}/roles", Access: console.Administrator, Handle: p.ofApp(p.showRoles)},
		{Pattern: "POST /d/{directory}/applications/{app}/roles", Access: console.Administrator, Handle: p.ofApp(p.addRole)},
		{Pattern: "GET /d/{directory}/applications/{app}/roles/{role}", Access: console.Administrator, Handle: p.ofApp(p.showRole)},
		{Pattern: "POST /d/{directory}/applications/{app}/roles/{role}", Access: console.Administrator, Handle: p.ofApp(p.saveRole)},
		{Pattern: "GET /d/{directory}/applications/{app}/roles/{role}/delete", Access: console.Administrator, Handle: p.ofApp(p.askDeleteRole)},
		{Pattern: "POST /d/{directory}/applications/{app}/roles/{role}/delete", Access: console.Administrator, Handle: p.ofApp(p.deleteRole)},

		// Single sign-on
		{Pattern: "GET /d/{directory}/applications/{app}/single-sign-on", Access: console.Administrator, Handle: p.ofApp(p.showSignOn)},
		{Pattern: "POST /d/{directory}/applications/{app}/single-sign-on", Access: console.Administrator, Handle: p.ofApp(p.saveSignOn)},
		{Pattern: "POST /d/{directory}/applications/{app}/single-sign-on/signing", Access: console.Administrator, Handle: p.ofApp(p.saveSigning)},
		{Pattern: "POST /d/{directory}/applications/{app}/single-sign-on/certificates", Access: console.Administrator, Handle: p.ofApp(p.changeCertificates)},
		{Pattern: "GET /d/{directory}/applications/{app}/single-sign-on/certificate", Access: console.Administrator, Handle: p.ofApp(p.downloadCertificate)},
		{Pattern: "GET /d/{directory}/applications/{app}/single-sign-on/metadata", Access: console.Administrator, Handle: p.ofApp(p.downloadSignOnMetadata)},

		// Connections
		{Pattern: "GET /d/{directory}/applications/{app}/connections", Access: console.Administrator, Handle: p.ofApp(p.showConnections)},
		{Pattern: "POST /d/{directory}/applications/{app}/connections", Access: console.FreshAdministrator, Handle: p.ofApp(p.connect)},
		{Pattern: "GET /d/{directory}/applications/{app}/connections/new", Access: console.FreshAdministrator, Handle: p.ofApp(p.newConnection)},
		{Pattern: "GET /d/{directory}/applications/{app}/connections/{connection}/forget", Access: console.Administrator, Handle: p.ofApp(p.askForget)},
		{Pattern: "POST /d/{directory}/applications/{app}/connections/{connection}/forget", Access: console.Administrator, Handle: p.ofApp(p.forget)},

		// Provisioning
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning", Access: console.Administrator, Handle: p.ofApp(p.showProvisioning)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning", Access: console.Administrator, Handle: p.ofApp(p.saveProvisioning)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/test", Access: console.Administrator, Handle: p.ofApp(p.redirectToProvisioning)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/test", Access: console.Administrator, Handle: p.ofApp(p.testConnection)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/discard", Access: console.Administrator, Handle: p.ofApp(p.discardProvisioning)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/restore", Access: console.Administrator, Handle: p.ofApp(p.askRestore)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/restore", Access: console.Administrator, Handle: p.ofApp(p.restore)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/restart", Access: console.Administrator, Handle: p.ofApp(p.askRestart)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/restart", Access: console.Administrator, Handle: p.ofApp(p.restart)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/held", Access: console.Administrator, Handle: p.ofApp(p.showHeld)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/held/decide", Access: console.Administrator, Handle: p.ofApp(p.askHeld)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/held/decide", Access: console.Administrator, Handle: p.ofApp(p.decideHeld)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}", Access: console.Administrator, Handle: p.ofApp(p.showMapping)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}", Access: console.Administrator, Handle: p.ofApp(p.saveMapping)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row", Access: console.Administrator, Handle: p.ofApp(p.showRow)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row", Access: console.Administrator, Handle: p.ofApp(p.saveRow)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row/remove", Access: console.Administrator, Handle: p.ofApp(p.askRemoveRow)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row/remove", Access: console.Administrator, Handle: p.ofApp(p.removeRow)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}", Access: console.Administrator, Handle: p.ofApp(p.ofList(p.showAttributes))},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}", Access: console.Administrator, Handle: p.ofApp(p.ofList(p.addAttribute))},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/edit", Access: console.Administrator, Handle: p.ofApp(p.ofAttribute(p.showAttribute))},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/edit", Access: console.Administrator, Handle: p.ofApp(p.ofAttribute(p.saveAttribute))},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/remove", Access: console.Administrator, Handle: p.ofApp(p.ofAttribute(p.askRemoveAttribute))},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/remove", Access: console.Administrator, Handle: p.ofApp(p.ofAttribute(p.removeAttribute))},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/scope", Access: console.Administrator, Handle: p.ofApp(p.showScope)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/scope", Access: console.Administrator, Handle: p.ofApp(p.saveScope)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/versions", Access: console.Administrator, Handle: p.ofApp(p.showVersions)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/versions/{version}", Access: console.Administrator, Handle: p.ofApp(p.showVersion)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/versions/{version}", Access: console.Administrator, Handle: p.ofApp(p.setVersion)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/schema", Access: console.Administrator, Handle: p.ofApp(p.exportSchema)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/schema", Access: console.Administrator, Handle: p.ofApp(p.importSchema), MaxBody: 2 * maxSchemaFile},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/on-demand", Access: console.Administrator, Handle: p.ofApp(p.showOnDemand)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/on-demand", Access: console.Administrator, Handle: p.ofApp(p.provisionOnDemand)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/why", Access: console.Administrator, Handle: p.ofApp(p.showWhy)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/plan", Access: console.Administrator, Handle: p.ofApp(p.showPlan)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/plan", Access: console.Administrator, Handle: p.ofApp(p.makePlan)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/plan/decide", Access: console.Administrator, Handle: p.ofApp(p.askPlan)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/plan/decide", Access: console.Administrator, Handle: p.ofApp(p.decidePlan)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/logs", Access: console.Administrator, Handle: p.ofApp(p.showLogs)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/logs/{entry}", Access: console.Administrator, Handle: p.ofApp(p.showLogEntry)},
	}
}

// Routes lists every route under /d/ with its required access.
func (p *Pages) Routes() []console.RouteInfo {
	return console.RouteInfos(p.operatorGuard().routes(), p.routes())
}

// show responds with a page from this package's templates.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, view string, data any) error {
	p.parse.Do(func() { p.views = p.Console.Views("directory", templateFiles) })
	return p.views.Show(w, r, status, view, data)
}

// Handler serves /d/.
func (p *Pages) Handler() http.Handler {
	door := p.operatorGuard()
	pages := p.routes()
	for i := range pages {
		pages[i].Handle = explainErrors(pages[i].Handle)
	}
	return console.Area[*operatorVisit]{
		Console: p.Console,
		Tables:  [][]console.Route[*operatorVisit]{door.routes(), pages},
		Guard:   door.guard,
		Actor:   (*operatorVisit).eventActor,
		Scope:   func(*operatorVisit) event.Scope { return event.Installation() },
		Frame:   func(v *operatorVisit) console.Page { return v.page },
	}.Handler()
}

// explainErrors turns errors of the domain packages into error pages that explain them.
func explainErrors(handle func(http.ResponseWriter, *http.Request, *operatorVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return func(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
		err := handle(w, r, v)
		var input *provision.InputError
		if errors.Is(err, context.DeadlineExceeded) && r.Context().Err() != nil {
			return &console.PageError{
				Status: http.StatusServiceUnavailable, Title: "This took too long", Text: "It was cut off. What was done until then stays: send the form again to go on from there. The command line has no such limit.",
			}
		}
		if errors.As(err, &input) {
			return &console.PageError{Status: http.StatusUnprocessableEntity, Title: "This was not done", Text: console.AsSentence(input.Field + " " + input.Text)}
		}
		return err
	}
}

// directoryVisit is a request for a page of one directory, with the data that all such pages need.
type directoryVisit struct {
	*operatorVisit
	*directory.Handle
}

// inDirectory opens the directory that the path names, fills in the page's area and menu, and calls
// handle.
func (p *Pages) inDirectory(handle func(http.ResponseWriter, *http.Request, *directoryVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return func(w http.ResponseWriter, r *http.Request, o *operatorVisit) error {
		h, err := p.Directories.OpenNamed(r.Context(), r.PathValue("directory"))
		if err != nil {
			return err
		}
		v := &directoryVisit{operatorVisit: o, Handle: h}
		o.page.Area = console.AreaName{Name: h.Directory.Name, Kind: "Directory", URL: v.url("users")}
		o.page.Menu = console.MarkCurrent(v.menu(), r.URL.Path)
		return handle(w, r, v)
	}
}

func (v *directoryVisit) menu() []console.MenuItem {
	return []console.MenuItem{
		{Text: "Directory"},
		{Text: "Users", Icon: "users", URL: v.url("users")},
		{Text: "Groups", Icon: "layers", URL: v.url("groups")},
		{Text: "Import users", Icon: "upload", URL: v.url("users/import")},
		{Text: "Audit log", Icon: "history", URL: v.url("audit")},
		{Text: "Notifications", Icon: "mail", URL: v.url("notifications")},
		{Text: "API keys", Icon: "key-round", URL: v.url("keys")},
		{Text: "Rename or delete", Icon: "settings", URL: v.url("settings")},
		{Text: "Applications"},
		{Text: "Enterprise applications", Icon: "app-window", URL: v.url("applications")},
		{Text: "Installation"},
		{Text: "All directories", Icon: "building-2", URL: "/d/"},
		{Text: "Sites", Icon: "users", URL: sitesURL},
		{Text: "Audit log of everything", Icon: "history", URL: auditURL},
	}
}

// url returns an address below the directory. rest has no leading slash.
func (v *directoryVisit) url(rest string) string {
	return "/d/" + url.PathEscape(v.Directory.Name) + "/" + rest
}

func (v *directoryVisit) crumbs(more ...console.Crumb) []console.Crumb {
	return append([]console.Crumb{{Text: "Directories", URL: "/d/"}, {Text: v.Directory.Name, URL: v.url("users")}}, more...)
}

// eventActor returns the operator as the actor of events; zero if no one is signed in.
func (v *operatorVisit) eventActor() event.Actor {
	if v.Operator.ID == "" {
		return event.Actor{}
	}
	return event.Actor{Kind: event.Operator, ID: v.Operator.ID, Name: v.Operator.Name}
}

// actor returns the short label that events use for the operator.
func (v *operatorVisit) actor() string { return v.eventActor().Label() }

// appVisit is a request for a page of one enterprise application, with the data that all such pages
// need.
type appVisit struct {
	*directoryVisit
	App directory.Application
}

// ofApp finds the application that the path names, fills in the menu, and calls handle.
func (p *Pages) ofApp(handle func(http.ResponseWriter, *http.Request, *appVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return p.inDirectory(func(w http.ResponseWriter, r *http.Request, d *directoryVisit) error {
		app, err := d.Application(r.Context(), r.PathValue("app"))
		if err != nil {
			return err
		}
		v := &appVisit{directoryVisit: d, App: app}
		if belowApplication(r.URL.Path) != "" {
			v.page.Within = app.Name // the overview itself has this name as its title
		}
		// The path may name the application in a different case or by id. So build the address for
		// the menu from the application's name.
		v.page.Menu = console.MarkCurrent(v.menu(), v.url(belowApplication(r.URL.Path)))
		return handle(w, r, v)
	})
}

// belowApplication returns the part of the path after /d/{directory}/applications/{app}, with its
// slash.
func belowApplication(path string) string {
	parts := strings.SplitN(path, "/", 6)
	if len(parts) < 6 {
		return ""
	}
	return "/" + parts[5]
}

func (v *appVisit) menu() []console.MenuItem {
	return []console.MenuItem{
		{Text: v.App.Name},
		{Text: "Overview", Icon: "layout-dashboard", URL: v.url("")},
		{Text: "Users and groups", Icon: "users", URL: v.url("/users-and-groups")},
		{Text: "Roles", Icon: "shield", URL: v.url("/roles")},
		{Text: "Single sign-on", Icon: "log-in", URL: v.url("/single-sign-on")},
		{Text: "Provisioning", Icon: "refresh-cw", URL: v.url("/provisioning")},
		{Text: "Provision on demand", Icon: "user-check", URL: v.url("/provisioning/on-demand")},
		{Text: "Plan", Icon: "list-checks", URL: v.url("/provisioning/plan")},
		{Text: "Connections", Icon: "link", URL: v.url("/connections")},
		{Text: "Provisioning logs", Icon: "scroll-text", URL: v.url("/provisioning/logs")},
		{Text: "Rename or delete", Icon: "settings", URL: v.url("/settings")},
		{Text: "Directory"},
		{Text: "Users", Icon: "user-round", URL: v.directoryVisit.url("users")},
		{Text: "Groups", Icon: "layers", URL: v.directoryVisit.url("groups")},
		{Text: "Enterprise applications", Icon: "app-window", URL: v.directoryVisit.url("applications")},
		{Text: "All directories", Icon: "building-2", URL: "/d/"},
	}
}

// url returns an address below the application. rest is empty or begins with a slash.
func (v *appVisit) url(rest string) string { return v.appURL(v.App) + rest }

// appURL returns the address of an application's overview.
func (v *directoryVisit) appURL(a directory.Application) string {
	return v.url("applications/" + url.PathEscape(a.Name))
}

func (v *appVisit) crumbs(more ...console.Crumb) []console.Crumb {
	way := v.directoryVisit.crumbs(console.Crumb{Text: "Enterprise applications", URL: v.directoryVisit.url("applications")})
	if more == nil {
		return way
	}
	return append(append(way, console.Crumb{Text: v.App.Name, URL: v.url("")}), more[1:]...)
}
