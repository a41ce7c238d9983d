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
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/demosignin"
	"github.com/rollcall-scim/rollcall/internal/live"
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
	OpenID        *operator.OpenID            // signs operators in at their provider; nil if they sign in only with one-time links
	Keys          *operator.Keys              // the API keys of directories
	Notifications *notification.Notifications // the recipients of mail about directories
	Webhooks      *notification.Webhooks      // the endpoints that get news about directories
	Directories   *directory.Directories
	Jobs          *provision.Jobs
	Engine        *provision.Engine // makes and applies plans, and provisions on demand; the pages do not run cycles
	Sites         *site.Sites       // creates, renames and deletes sites
	Rosters       *roster.Rosters
	SignIns       *signin.SignIns
	Eraser        *erasure.Eraser
	Events        event.Trail
	// SignOn is the identity provider of the directories. It is nil except in the demo.
	SignOn *demosignin.Provider
	// ReadUsers reads the files of an import, and WriteUsers writes the file of an export. Package
	// directory/csv implements both.
	ReadUsers  func(io.Reader, directory.FileOptions) (directory.File, error)
	WriteUsers func(io.Writer) UserWriter

	// Lifetime ends when the server ends. Background work that pages have started then ends too.
	// nil means that it never ends.
	Lifetime context.Context
	// Owner is the name under which this process claims jobs.
	Owner string
	// Live is the board at which viewers of running work, such as a plan that is being made, wait for
	// changes. All viewers of the same work share one read of its state. If Live is nil, the pages
	// use a board of their own. Nothing announces changes there, so viewers notice them later.
	Live *live.Board
	// BeatEvery is how often an event stream sends a heartbeat, and checks that the operator may
	// still read it; 0 means ten seconds.
	BeatEvery time.Duration

	background sync.WaitGroup // work that continues after the response was sent

	drafts  console.Memory // typed values of forms about provisioning that are not saved yet
	imports console.Memory // files that are kept between their preview and their import

	streams streamCount // the open event streams
	ownLive live.Board  // is used if Live is nil

	parseOnce sync.Once // parses the templates when the first page is shown
	parsed    *console.Views
}

// UserWriter writes users to a file. manager is the manager's userPrincipalName. Call Flush after
// the last user, to complete the file.
type UserWriter interface {
	Write(u directory.User, manager string) error
	Flush() error
}

// maxImportBytes is the largest size of an uploaded file with users. Such a file can hold several
// hundred thousand people.
const maxImportBytes = 64 << 20

// routes lists all routes except those for signing in and out.
func (p *Pages) routes() []console.Route[*operatorVisit] {
	return []console.Route[*operatorVisit]{
		// Routes for directories:
		{Pattern: "GET /d", Access: console.Anyone, Handle: p.redirectToDirectories}, // browsers send no session cookie to this address, because the cookie's path ends with a slash
		{Pattern: "GET /d/{$}", Access: console.Administrator, Handle: p.showDirectories},
		{Pattern: "POST /d/{$}", Access: console.Administrator, Handle: p.createDirectory},
		{Pattern: "GET /d/{directory}", Access: console.Administrator, Handle: p.withDirectory(p.redirectToUsers)},
		{Pattern: "GET /d/{directory}/{$}", Access: console.Administrator, Handle: p.withDirectory(p.redirectToUsers)},
		{Pattern: "GET /d/{directory}/settings", Access: console.Administrator, Handle: p.withDirectory(p.showDirectorySettings)},
		{Pattern: "POST /d/{directory}/settings/domain", Access: console.Administrator, Handle: p.withDirectory(p.saveDomain)},
		{Pattern: "POST /d/{directory}/settings", Access: console.Administrator, Handle: p.withDirectoryByID(p.renameDirectory)},
		{Pattern: "GET /d/{directory}/delete", Access: console.FreshAdministrator, Handle: p.withDirectory(p.askDeleteDirectory)},
		{Pattern: "POST /d/{directory}/delete", Access: console.FreshAdministrator, Handle: p.withDirectory(p.deleteDirectory)},
		{Pattern: "GET /d/{directory}/keys", Access: console.Administrator, Handle: p.withDirectory(p.showKeys)},
		{Pattern: "GET /d/{directory}/keys/new", Access: console.FreshAdministrator, Handle: p.withDirectory(p.showKeyForm)},
		{Pattern: "POST /d/{directory}/keys", Access: console.FreshAdministrator, Handle: p.withDirectory(p.makeKey)},
		{Pattern: "GET /d/{directory}/keys/{key}/revoke", Access: console.Administrator, Handle: p.withDirectory(p.askRevokeKey)},
		{Pattern: "POST /d/{directory}/keys/{key}/revoke", Access: console.Administrator, Handle: p.withDirectory(p.revokeKey)},
		{Pattern: "GET /d/{directory}/notifications", Access: console.Administrator, Handle: p.withDirectory(p.showRecipients)},
		{Pattern: "GET /d/{directory}/notifications/new", Access: console.Administrator, Handle: p.withDirectory(p.showRecipientForm)},
		{Pattern: "POST /d/{directory}/notifications", Access: console.Administrator, Handle: p.withDirectory(p.addRecipient)},
		{Pattern: "POST /d/{directory}/notifications/{recipient}/test", Access: console.Administrator, Handle: p.withDirectory(p.testRecipient)},
		{Pattern: "POST /d/{directory}/notifications/{recipient}/resume", Access: console.Administrator, Handle: p.withDirectory(p.resumeRecipient)},
		{Pattern: "GET /d/{directory}/notifications/{recipient}/remove", Access: console.Administrator, Handle: p.withDirectory(p.askRemoveRecipient)},
		{Pattern: "POST /d/{directory}/notifications/{recipient}/remove", Access: console.Administrator, Handle: p.withDirectory(p.removeRecipient)},
		{Pattern: "GET /d/{directory}/webhooks", Access: console.Administrator, Handle: p.withDirectory(p.showWebhooks)},
		{Pattern: "GET /d/{directory}/webhooks/new", Access: console.FreshAdministrator, Handle: p.withDirectory(p.showWebhookForm)},
		{Pattern: "POST /d/{directory}/webhooks", Access: console.FreshAdministrator, Handle: p.withDirectory(p.addWebhook)},
		{Pattern: "GET /d/{directory}/webhooks/{webhook}", Access: console.Administrator, Handle: p.withDirectory(p.showWebhook)},
		{Pattern: "GET /d/{directory}/webhooks/{webhook}/edit", Access: console.FreshAdministrator, Handle: p.withDirectory(p.showWebhookEdit)},
		{Pattern: "POST /d/{directory}/webhooks/{webhook}/edit", Access: console.FreshAdministrator, Handle: p.withDirectory(p.saveWebhook)},
		{Pattern: "POST /d/{directory}/webhooks/{webhook}/test", Access: console.Administrator, Handle: p.withDirectory(p.testWebhook)},
		{Pattern: "GET /d/{directory}/webhooks/{webhook}/rotate", Access: console.FreshAdministrator, Handle: p.withDirectory(p.askRotateWebhook)},
		{Pattern: "POST /d/{directory}/webhooks/{webhook}/rotate", Access: console.FreshAdministrator, Handle: p.withDirectory(p.rotateWebhook)},
		{Pattern: "POST /d/{directory}/webhooks/{webhook}/enable", Access: console.Administrator, Handle: p.withDirectory(p.switchWebhook(true))},
		{Pattern: "POST /d/{directory}/webhooks/{webhook}/disable", Access: console.Administrator, Handle: p.withDirectory(p.switchWebhook(false))},
		{Pattern: "POST /d/{directory}/webhooks/{webhook}/deliveries/{delivery}", Access: console.Administrator, Handle: p.withDirectory(p.sendDeliveryAgain)},
		{Pattern: "GET /d/{directory}/webhooks/{webhook}/remove", Access: console.Administrator, Handle: p.withDirectory(p.askRemoveWebhook)},
		{Pattern: "POST /d/{directory}/webhooks/{webhook}/remove", Access: console.Administrator, Handle: p.withDirectory(p.removeWebhook)},
		{Pattern: "GET /d/{directory}/audit", Access: console.Administrator, Handle: p.withDirectory(p.showAudit)},
		{Pattern: "GET /d/{directory}/audit/export", Access: console.Administrator, Handle: p.withDirectory(p.exportAudit)},

		// Routes for the operator's own account. No directory can be named "-".
		{Pattern: "GET /d/-/account", Access: console.Administrator, Handle: p.showAccount},
		{Pattern: "GET /d/-/account/sign-in-again", Access: console.Administrator, Handle: p.showSignInAgain},
		{Pattern: "GET /d/-/account/identities/{identity}/unlink", Access: console.Administrator, Handle: p.askUnlink},
		{Pattern: "POST /d/-/account/identities/{identity}/unlink", Access: console.Administrator, Handle: p.unlink},
		{Pattern: "GET /d/-/account/sign-out", Access: console.Administrator, Handle: p.askSignOutEverywhere},
		{Pattern: "POST /d/-/account/sign-out", Access: console.Administrator, Handle: p.signOutEverywhere},

		// Routes for the sign-in at the operators' OpenID provider:
		{Pattern: "GET /d/-/openid/login", Access: console.Anyone, Handle: p.startSignIn},
		{Pattern: "GET /d/-/openid/link", Access: console.FreshAdministrator, Handle: p.startLink},
		{Pattern: "GET /d/-/openid/callback", Access: console.Anyone, Handle: p.takeAnswer},

		// Routes for the audit log of the installation:
		{Pattern: "GET /d/-/audit", Access: console.Administrator, Handle: p.showInstallationAudit},
		{Pattern: "GET /d/-/audit/export", Access: console.Administrator, Handle: p.exportInstallationAudit},

		// Routes for sites:
		{Pattern: "GET /d/-/sites", Access: console.Administrator, Handle: p.showSites},
		{Pattern: "POST /d/-/sites", Access: console.Administrator, Handle: p.createSite},
		{Pattern: "GET /d/-/sites/{site}", Access: console.Administrator, Handle: p.withSite(p.showSiteSettings)},
		{Pattern: "POST /d/-/sites/{site}", Access: console.Administrator, Handle: p.withSite(p.renameSite)},
		{Pattern: "GET /d/-/sites/{site}/delete", Access: console.FreshAdministrator, Handle: p.withSite(p.askDeleteSite)},
		{Pattern: "POST /d/-/sites/{site}/delete", Access: console.FreshAdministrator, Handle: p.withSite(p.deleteSite)},

		// Routes for users:
		{Pattern: "GET /d/{directory}/users", Access: console.Administrator, Handle: p.withDirectory(p.showUsers)},
		{Pattern: "POST /d/{directory}/users", Access: console.Administrator, Handle: p.withDirectory(p.addUser)},
		{Pattern: "POST /d/{directory}/users/change", Access: console.Administrator, Handle: p.withDirectory(p.changeUsers)},
		{Pattern: "GET /d/{directory}/users/new", Access: console.Administrator, Handle: p.withDirectory(p.showNewUser)},
		{Pattern: "GET /d/{directory}/users/import", Access: console.Administrator, Handle: p.withDirectory(p.showImport)},
		{Pattern: "POST /d/{directory}/users/import", Access: console.Administrator, Handle: p.withDirectory(p.importUsers), MaxBodyBytes: maxImportBytes},
		{Pattern: "GET /d/{directory}/users/export", Access: console.Administrator, Handle: p.withDirectory(p.exportUsers)},
		{Pattern: "GET /d/{directory}/users/{user}", Access: console.Administrator, Handle: p.withDirectory(p.showUser)},
		{Pattern: "POST /d/{directory}/users/{user}", Access: console.Administrator, Handle: p.withDirectory(p.saveUser)},
		{Pattern: "GET /d/{directory}/users/{user}/{change}", Access: console.Administrator, Handle: p.withDirectory(p.askUserChange)},
		{Pattern: "POST /d/{directory}/users/{user}/{change}", Access: console.Administrator, Handle: p.withDirectory(p.changeUser)},

		// Routes for groups:
		{Pattern: "GET /d/{directory}/groups", Access: console.Administrator, Handle: p.withDirectory(p.showGroups)},
		{Pattern: "POST /d/{directory}/groups", Access: console.Administrator, Handle: p.withDirectory(p.addGroup)},
		{Pattern: "GET /d/{directory}/groups/new", Access: console.Administrator, Handle: p.withDirectory(p.showNewGroup)},
		{Pattern: "GET /d/{directory}/groups/{group}", Access: console.Administrator, Handle: p.withGroup(p.showGroup)},
		{Pattern: "POST /d/{directory}/groups/{group}", Access: console.Administrator, Handle: p.withGroup(p.saveGroup)},
		{Pattern: "POST /d/{directory}/groups/{group}/members", Access: console.Administrator, Handle: p.withGroup(p.removeMembers)},
		{Pattern: "GET /d/{directory}/groups/{group}/members/add", Access: console.Administrator, Handle: p.withGroup(p.showAddMembers)},
		{Pattern: "POST /d/{directory}/groups/{group}/members/add", Access: console.Administrator, Handle: p.withGroup(p.addMembers)},
		{Pattern: "GET /d/{directory}/groups/{group}/{step}", Access: console.Administrator, Handle: p.withGroup(p.askGroupChange)},
		{Pattern: "POST /d/{directory}/groups/{group}/{step}", Access: console.Administrator, Handle: p.withGroup(p.changeGroup)},

		// Routes for enterprise applications:
		{Pattern: "GET /d/{directory}/provisioning", Access: console.Administrator, Handle: p.withDirectory(p.showJobs)},
		{Pattern: "GET /d/{directory}/applications", Access: console.Administrator, Handle: p.withDirectory(p.showApplications)},
		{Pattern: "POST /d/{directory}/applications", Access: console.Administrator, Handle: p.withDirectory(p.createApplication)},
		{Pattern: "GET /d/{directory}/applications/{app}", Access: console.Administrator, Handle: p.withApplication(p.showApplication)},
		{Pattern: "GET /d/{directory}/applications/{app}/settings", Access: console.Administrator, Handle: p.withApplication(p.showApplicationSettings)},
		{Pattern: "POST /d/{directory}/applications/{app}/settings", Access: console.Administrator, Handle: p.withApplication(p.renameApplication)},
		{Pattern: "GET /d/{directory}/applications/{app}/delete", Access: console.FreshAdministrator, Handle: p.withApplication(p.askDeleteApplication)},
		{Pattern: "POST /d/{directory}/applications/{app}/delete", Access: console.FreshAdministrator, Handle: p.withApplication(p.deleteApplication)},
		{Pattern: "GET /d/{directory}/applications/{app}/users-and-groups", Access: console.Administrator, Handle: p.withApplication(p.showAssignments)},
		{Pattern: "POST /d/{directory}/applications/{app}/users-and-groups", Access: console.Administrator, Handle: p.withApplication(p.unassign)},
		{Pattern: "GET /d/{directory}/applications/{app}/users-and-groups/add", Access: console.Administrator, Handle: p.withApplication(p.showUnassigned)},
		{Pattern: "POST /d/{directory}/applications/{app}/users-and-groups/add", Access: console.Administrator, Handle: p.withApplication(p.assign)},

		{Pattern: "GET /d/{directory}/applications/{app}/roles", Access: console.Administrator, Handle: p.withApplication(p.showRoles)},
		{Pattern: "POST /d/{directory}/applications/{app}/roles", Access: console.Administrator, Handle: p.withApplication(p.addRole)},
		{Pattern: "GET /d/{directory}/applications/{app}/roles/{role}", Access: console.Administrator, Handle: p.withApplication(p.showRole)},
		{Pattern: "POST /d/{directory}/applications/{app}/roles/{role}", Access: console.Administrator, Handle: p.withApplication(p.saveRole)},
		{Pattern: "GET /d/{directory}/applications/{app}/roles/{role}/delete", Access: console.Administrator, Handle: p.withApplication(p.askDeleteRole)},
		{Pattern: "POST /d/{directory}/applications/{app}/roles/{role}/delete", Access: console.Administrator, Handle: p.withApplication(p.deleteRole)},

		// Routes for single sign-on:
		{Pattern: "GET /d/{directory}/applications/{app}/single-sign-on", Access: console.Administrator, Handle: p.withApplication(p.showSignOn)},
		{Pattern: "POST /d/{directory}/applications/{app}/single-sign-on", Access: console.Administrator, Handle: p.withApplication(p.saveSignOn)},
		{Pattern: "POST /d/{directory}/applications/{app}/single-sign-on/signing", Access: console.Administrator, Handle: p.withApplication(p.saveSigning)},
		{Pattern: "POST /d/{directory}/applications/{app}/single-sign-on/certificates", Access: console.Administrator, Handle: p.withApplication(p.changeCertificates)},
		{Pattern: "GET /d/{directory}/applications/{app}/single-sign-on/certificate", Access: console.Administrator, Handle: p.withApplication(p.downloadCertificate)},
		{Pattern: "GET /d/{directory}/applications/{app}/single-sign-on/metadata", Access: console.Administrator, Handle: p.withApplication(p.downloadSignOnMetadata)},

		// Routes for connections:
		{Pattern: "GET /d/{directory}/applications/{app}/connections", Access: console.Administrator, Handle: p.withApplication(p.showConnections)},
		{Pattern: "POST /d/{directory}/applications/{app}/connections", Access: console.FreshAdministrator, Handle: p.withApplication(p.connect)},
		{Pattern: "GET /d/{directory}/applications/{app}/connections/new", Access: console.FreshAdministrator, Handle: p.withApplication(p.showConnectForm)},
		{Pattern: "GET /d/{directory}/applications/{app}/connections/{connection}/forget", Access: console.Administrator, Handle: p.withApplication(p.askForgetConnection)},
		{Pattern: "POST /d/{directory}/applications/{app}/connections/{connection}/forget", Access: console.Administrator, Handle: p.withApplication(p.forgetConnection)},

		// Routes for provisioning:
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning", Access: console.Administrator, Handle: p.withApplication(p.showProvisioning)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning", Access: console.Administrator, Handle: p.withApplication(p.saveProvisioning)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/stream", Access: console.Administrator, Handle: p.withApplication(p.streamProvisioning)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/test", Access: console.Administrator, Handle: p.withApplication(p.redirectToProvisioning)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/test", Access: console.Administrator, Handle: p.withApplication(p.testConnection)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/discard", Access: console.Administrator, Handle: p.withApplication(p.discardProvisioning)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/restore", Access: console.Administrator, Handle: p.withApplication(p.askRestore)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/restore", Access: console.Administrator, Handle: p.withApplication(p.restore)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/restart", Access: console.Administrator, Handle: p.withApplication(p.askRestart)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/restart", Access: console.Administrator, Handle: p.withApplication(p.restart)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/held", Access: console.Administrator, Handle: p.withApplication(p.showHeld)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/held/decide", Access: console.Administrator, Handle: p.withApplication(p.askHeldDecision)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/held/decide", Access: console.Administrator, Handle: p.withApplication(p.decideHeld)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}", Access: console.Administrator, Handle: p.withApplication(p.showMapping)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}", Access: console.Administrator, Handle: p.withApplication(p.saveMapping)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row", Access: console.Administrator, Handle: p.withApplication(p.showRow)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row", Access: console.Administrator, Handle: p.withApplication(p.saveRow)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row/remove", Access: console.Administrator, Handle: p.withApplication(p.askRemoveRow)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row/remove", Access: console.Administrator, Handle: p.withApplication(p.removeRow)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}", Access: console.Administrator, Handle: p.withApplication(p.withAttributeList(p.showAttributes))},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}", Access: console.Administrator, Handle: p.withApplication(p.withAttributeList(p.addAttribute))},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/edit", Access: console.Administrator, Handle: p.withApplication(p.withAttribute(p.showAttribute))},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/edit", Access: console.Administrator, Handle: p.withApplication(p.withAttribute(p.saveAttribute))},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/remove", Access: console.Administrator, Handle: p.withApplication(p.withAttribute(p.askRemoveAttribute))},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/remove", Access: console.Administrator, Handle: p.withApplication(p.withAttribute(p.removeAttribute))},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/scope", Access: console.Administrator, Handle: p.withApplication(p.showScope)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/scope", Access: console.Administrator, Handle: p.withApplication(p.saveScope)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/versions", Access: console.Administrator, Handle: p.withApplication(p.showVersions)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/versions/{version}", Access: console.Administrator, Handle: p.withApplication(p.showVersion)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/versions/{version}", Access: console.Administrator, Handle: p.withApplication(p.setVersion)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/schema", Access: console.Administrator, Handle: p.withApplication(p.exportSchema)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/schema", Access: console.Administrator, Handle: p.withApplication(p.importSchema), MaxBodyBytes: 2 * maxSchemaFile},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/on-demand", Access: console.Administrator, Handle: p.withApplication(p.showOnDemand)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/on-demand", Access: console.Administrator, Handle: p.withApplication(p.provisionOnDemand)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/why", Access: console.Administrator, Handle: p.withApplication(p.showWhy)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/plan", Access: console.Administrator, Handle: p.withApplication(p.showPlan)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/plan", Access: console.Administrator, Handle: p.withApplication(p.makePlan)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/plan/stream", Access: console.Administrator, Handle: p.withApplication(p.streamPlan)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/plan/decide", Access: console.Administrator, Handle: p.withApplication(p.askPlanDecision)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/plan/decide", Access: console.Administrator, Handle: p.withApplication(p.decidePlan)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/discovered", Access: console.Administrator, Handle: p.withApplication(p.showDiscovered)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/discovered", Access: console.Administrator, Handle: p.withApplication(p.startDiscovery)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/discovered/change", Access: console.Administrator, Handle: p.withApplication(p.changeDiscovered)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/discovered/account", Access: console.Administrator, Handle: p.withApplication(p.showDiscoveredAccount)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/discovered/export", Access: console.Administrator, Handle: p.withApplication(p.exportDiscovered)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/drift", Access: console.Administrator, Handle: p.withApplication(p.showDrift)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/drift", Access: console.Administrator, Handle: p.withApplication(p.changeDrift)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/undo", Access: console.Administrator, Handle: p.withApplication(p.askUndo)},
		{Pattern: "POST /d/{directory}/applications/{app}/provisioning/undo", Access: console.Administrator, Handle: p.withApplication(p.makeUndo)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/logs", Access: console.Administrator, Handle: p.withApplication(p.showLogs)},
		{Pattern: "GET /d/{directory}/applications/{app}/provisioning/logs/{entry}", Access: console.Administrator, Handle: p.withApplication(p.showLogEntry)},
	}
}

// Routes lists every route under /d/ with its required access.
func (p *Pages) Routes() []console.RouteInfo {
	return console.ListRoutes(p.operatorGuard().routes(), p.routes())
}

// show responds with the page that the named view, a template of this package, makes from data.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, view string, data any) error {
	return p.views().Show(w, r, status, view, data)
}

// views returns the templates of this package.
func (p *Pages) views() *console.Views {
	p.parseOnce.Do(func() { p.parsed = p.Console.Views("directory", templateFiles) })
	return p.parsed
}

// Handler serves all routes under /d/.
func (p *Pages) Handler() http.Handler {
	door := p.operatorGuard()
	pages := p.routes()
	for i := range pages {
		pages[i].Handle = explainErrors(pages[i].Handle)
	}
	return console.PageSet[*operatorVisit]{
		Console: p.Console,
		Tables:  [][]console.Route[*operatorVisit]{door.routes(), pages},
		Guard:   door.guard,
		Actor:   (*operatorVisit).eventActor,
		Scope:   func(*operatorVisit) event.Scope { return event.Installation() },
		Frame:   func(v *operatorVisit) console.Page { return v.page },
	}.Handler()
}

// explainErrors returns a handler that calls handle and turns some of its errors, such as a
// provision.InputError, into pages that explain them.
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

// withDirectory returns a handler that opens the directory that the path names, sets the page's
// area and menu, and calls handle.
func (p *Pages) withDirectory(handle func(http.ResponseWriter, *http.Request, *directoryVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
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

// menu returns the menu of a directory.
func (v *directoryVisit) menu() []console.MenuItem {
	return []console.MenuItem{
		{Text: "Directory"},
		{Text: "Users", Icon: "users", URL: v.url("users")},
		{Text: "Groups", Icon: "layers", URL: v.url("groups")},
		{Text: "Import users", Icon: "upload", URL: v.url("users/import")},
		{Text: "Audit log", Icon: "history", URL: v.url("audit")},
		{Text: "Notifications", Icon: "mail", URL: v.url("notifications")},
		{Text: "Webhooks", Icon: "plug", URL: v.url("webhooks")},
		{Text: "API keys", Icon: "key-round", URL: v.url("keys")},
		{Text: "Rename or delete", Icon: "settings", URL: v.url("settings")},
		{Text: "Applications"},
		{Text: "Enterprise applications", Icon: "app-window", URL: v.url("applications")},
		{Text: "Provisioning", Icon: "activity", URL: v.url("provisioning")},
		{Text: "Installation"},
		{Text: "All directories", Icon: "building-2", URL: "/d/"},
		{Text: "Sites", Icon: "users", URL: sitesURL},
		{Text: "Audit log of everything", Icon: "history", URL: installationAuditURL},
	}
}

// url returns the address of a page of the directory. rest is the address below /d/{directory}/.
func (v *directoryVisit) url(rest string) string {
	return "/d/" + url.PathEscape(v.Directory.Name) + "/" + rest
}

// crumbs returns links to the pages above a page of the directory, followed by more.
func (v *directoryVisit) crumbs(more ...console.Crumb) []console.Crumb {
	return append([]console.Crumb{{Text: "Directories", URL: "/d/"}, {Text: v.Directory.Name, URL: v.url("users")}}, more...)
}

// eventActor returns the signed-in operator as the actor of events. It returns the zero actor if no
// one is signed in.
func (v *operatorVisit) eventActor() event.Actor {
	if v.Operator.ID == "" {
		return event.Actor{}
	}
	return event.Actor{Kind: event.Operator, ID: v.Operator.ID, Name: v.Operator.Name}
}

// actorLabel returns the signed-in operator as the label by which events name an actor.
func (v *operatorVisit) actorLabel() string { return v.eventActor().Label() }

// appVisit is a request for a page of one enterprise application, with the data that all such pages
// need.
type appVisit struct {
	*directoryVisit
	App directory.Application
}

// withApplication returns a handler that finds the directory and the application that the path
// names, sets the page's menu, and calls handle.
func (p *Pages) withApplication(handle func(http.ResponseWriter, *http.Request, *appVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return p.withDirectory(func(w http.ResponseWriter, r *http.Request, d *directoryVisit) error {
		app, err := d.Application(r.Context(), r.PathValue("app"))
		if err != nil {
			return err
		}
		v := &appVisit{directoryVisit: d, App: app}
		if pathBelowApplication(r.URL.Path) != "" {
			v.page.Subject = app.Name // not on the overview, whose title is this name already
		}
		// The path may name the application by its id, or in a different case. The menu contains
		// the stored name, so look for the address with that name.
		v.page.Menu = console.MarkCurrent(v.menu(), v.url(pathBelowApplication(r.URL.Path)))
		return handle(w, r, v)
	})
}

// pathBelowApplication returns the part of the path after /d/{directory}/applications/{app}. It
// begins with a slash, or is empty.
func pathBelowApplication(path string) string {
	parts := strings.SplitN(path, "/", 6)
	if len(parts) < 6 {
		return ""
	}
	return "/" + parts[5]
}

// menu returns the menu of an application.
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
		{Text: "Discover identities", Icon: "list-filter", URL: v.url("/provisioning/discovered")},
		{Text: "Drift", Icon: "history", URL: v.url("/provisioning/drift")},
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

// url returns the address of a page of the application. rest is the address below the application's
// overview; it is empty or begins with a slash.
func (v *appVisit) url(rest string) string { return v.appURL(v.App) + rest }

// appURL returns the address of an application's overview.
func (v *directoryVisit) appURL(a directory.Application) string {
	return v.url("applications/" + url.PathEscape(a.Name))
}

// crumbs returns the links above the title of a page. Without arguments, they end with the list of
// applications. Otherwise the application itself takes the place of the first argument, and the
// other arguments follow.
func (v *appVisit) crumbs(more ...console.Crumb) []console.Crumb {
	way := v.directoryVisit.crumbs(console.Crumb{Text: "Enterprise applications", URL: v.directoryVisit.url("applications")})
	if more == nil {
		return way
	}
	return append(append(way, console.Crumb{Text: v.App.Name, URL: v.url("")}), more[1:]...)
}
