package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// DirectoryPages are the pages of the company's end.
type DirectoryPages struct {
	Console     *Console
	Operators   *operator.Operators
	Directories *directory.Directories
	Jobs        *provision.Jobs
	Engine      *provision.Engine // makes plans; it is not run from here
	Sites       *site.Sites       // operators make, rename and delete sites
	Rosters     *roster.Rosters
	SignIns     *signin.SignIns
	Eraser      *erasure.Eraser
	Events      event.Trail
	// ReadUsers and WriteUsers are the files that the pages import and export: directory/csv.
	ReadUsers  func(io.Reader, directory.FileOptions) (directory.File, error)
	WriteUsers func(io.Writer) UserWriter

	plans   memory // plans that were made
	drafts  memory // what was typed into a Provisioning page and is not saved yet
	imports memory // files between their preview and their import
}

// UserWriter writes users to a file; manager is a userPrincipalName. Flush ends the file.
type UserWriter interface {
	Write(u directory.User, manager string) error
	Flush() error
}

// maxImportBytes bounds an uploaded file: some hundred thousand people.
const maxImportBytes = 64 << 20

// routes is every page of the company's end but the sign-in.
func (p *DirectoryPages) routes() []route[*operatorVisit] {
	return []route[*operatorVisit]{
		// Directories
		{pattern: "GET /d", access: anyone, handle: p.toDirectories}, // the cookie's path does not cover it
		{pattern: "GET /d/{$}", access: administrator, handle: p.showDirectories},
		{pattern: "POST /d/{$}", access: administrator, handle: p.createDirectory},
		{pattern: "GET /d/{directory}", access: administrator, handle: p.in(p.toUsers)},
		{pattern: "GET /d/{directory}/{$}", access: administrator, handle: p.in(p.toUsers)},
		{pattern: "GET /d/{directory}/settings", access: administrator, handle: p.in(p.showDirectorySettings)},
		{pattern: "POST /d/{directory}/settings", access: administrator, handle: p.renamedDirectory(p.renameDirectory)},
		{pattern: "GET /d/{directory}/delete", access: administrator, handle: p.in(p.askDeleteDirectory)},
		{pattern: "POST /d/{directory}/delete", access: administrator, handle: p.in(p.deleteDirectory)},
		{pattern: "GET /d/{directory}/audit", access: administrator, handle: p.in(p.showAudit)},
		{pattern: "GET /d/{directory}/audit/export", access: administrator, handle: p.in(p.exportAudit)},

		// The operator. No directory is named "-".
		{pattern: "GET /d/-/account", access: administrator, handle: p.showAccount},
		{pattern: "GET /d/-/account/sign-out", access: administrator, handle: p.askSignOutEverywhere},
		{pattern: "POST /d/-/account/sign-out", access: administrator, handle: p.signOutEverywhere},

		// The audit log of the installation
		{pattern: "GET /d/-/audit", access: administrator, handle: p.showWholeAudit},
		{pattern: "GET /d/-/audit/export", access: administrator, handle: p.exportWholeAudit},

		// Sites
		{pattern: "GET /d/-/sites", access: administrator, handle: p.showSites},
		{pattern: "POST /d/-/sites", access: administrator, handle: p.createSite},
		{pattern: "GET /d/-/sites/{site}", access: administrator, handle: p.ofSite(p.showSiteSettings)},
		{pattern: "POST /d/-/sites/{site}", access: administrator, handle: p.ofSite(p.renameSite)},
		{pattern: "GET /d/-/sites/{site}/delete", access: administrator, handle: p.ofSite(p.askDeleteSite)},
		{pattern: "POST /d/-/sites/{site}/delete", access: administrator, handle: p.ofSite(p.deleteSite)},

		// Users
		{pattern: "GET /d/{directory}/users", access: administrator, handle: p.in(p.showUsers)},
		{pattern: "POST /d/{directory}/users", access: administrator, handle: p.in(p.addUser)},
		{pattern: "POST /d/{directory}/users/change", access: administrator, handle: p.in(p.changeUsers)},
		{pattern: "GET /d/{directory}/users/new", access: administrator, handle: p.in(p.newUser)},
		{pattern: "GET /d/{directory}/users/import", access: administrator, handle: p.in(p.showImport)},
		{pattern: "POST /d/{directory}/users/import", access: administrator, handle: p.in(p.importUsers), maxBody: maxImportBytes},
		{pattern: "GET /d/{directory}/users/export", access: administrator, handle: p.in(p.exportUsers)},
		{pattern: "GET /d/{directory}/users/{user}", access: administrator, handle: p.in(p.showUser)},
		{pattern: "POST /d/{directory}/users/{user}", access: administrator, handle: p.in(p.saveUser)},
		{pattern: "GET /d/{directory}/users/{user}/{change}", access: administrator, handle: p.in(p.askUserChange)},
		{pattern: "POST /d/{directory}/users/{user}/{change}", access: administrator, handle: p.in(p.changeUser)},

		// Enterprise applications
		{pattern: "GET /d/{directory}/applications", access: administrator, handle: p.in(p.showApplications)},
		{pattern: "POST /d/{directory}/applications", access: administrator, handle: p.in(p.createApplication)},
		{pattern: "GET /d/{directory}/applications/{app}", access: administrator, handle: p.of(p.showApplication)},
		{pattern: "GET /d/{directory}/applications/{app}/settings", access: administrator, handle: p.of(p.showApplicationSettings)},
		{pattern: "POST /d/{directory}/applications/{app}/settings", access: administrator, handle: p.of(p.renameApplication)},
		{pattern: "GET /d/{directory}/applications/{app}/delete", access: administrator, handle: p.of(p.askDeleteApplication)},
		{pattern: "POST /d/{directory}/applications/{app}/delete", access: administrator, handle: p.of(p.deleteApplication)},
		{pattern: "GET /d/{directory}/applications/{app}/users-and-groups", access: administrator, handle: p.of(p.showAssignments)},
		{pattern: "POST /d/{directory}/applications/{app}/users-and-groups", access: administrator, handle: p.of(p.unassign)},
		{pattern: "GET /d/{directory}/applications/{app}/users-and-groups/add", access: administrator, handle: p.of(p.showUnassigned)},
		{pattern: "POST /d/{directory}/applications/{app}/users-and-groups/add", access: administrator, handle: p.of(p.assign)},

		// Provisioning
		{pattern: "GET /d/{directory}/applications/{app}/provisioning", access: administrator, handle: p.of(p.showProvisioning)},
		{pattern: "POST /d/{directory}/applications/{app}/provisioning", access: administrator, handle: p.of(p.saveProvisioning)},
		{pattern: "GET /d/{directory}/applications/{app}/provisioning/test", access: administrator, handle: p.of(p.toProvisioning)},
		{pattern: "POST /d/{directory}/applications/{app}/provisioning/test", access: administrator, handle: p.of(p.testConnection)},
		{pattern: "POST /d/{directory}/applications/{app}/provisioning/discard", access: administrator, handle: p.of(p.discardProvisioning)},
		{pattern: "GET /d/{directory}/applications/{app}/provisioning/restore", access: administrator, handle: p.of(p.askRestore)},
		{pattern: "POST /d/{directory}/applications/{app}/provisioning/restore", access: administrator, handle: p.of(p.restore)},
		{pattern: "GET /d/{directory}/applications/{app}/provisioning/restart", access: administrator, handle: p.of(p.askRestart)},
		{pattern: "POST /d/{directory}/applications/{app}/provisioning/restart", access: administrator, handle: p.of(p.restart)},
		{pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}", access: administrator, handle: p.of(p.showMapping)},
		{pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}", access: administrator, handle: p.of(p.saveMapping)},
		{pattern: "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/scope", access: administrator, handle: p.of(p.showScope)},
		{pattern: "POST /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/scope", access: administrator, handle: p.of(p.saveScope)},
		{pattern: "GET /d/{directory}/applications/{app}/provisioning/plan", access: administrator, handle: p.of(p.showPlan)},
		{pattern: "POST /d/{directory}/applications/{app}/provisioning/plan", access: administrator, handle: p.of(p.makePlan)},
		{pattern: "GET /d/{directory}/applications/{app}/provisioning/logs", access: administrator, handle: p.of(p.showLogs)},
		{pattern: "GET /d/{directory}/applications/{app}/provisioning/logs/{entry}", access: administrator, handle: p.of(p.showLogEntry)},
	}
}

// Routes lists every route under /d/, with who may ask for it.
func (p *DirectoryPages) Routes() []RouteInfo {
	return routeInfos(operatorDoor{console: p.Console, operators: p.Operators}.routes(), p.routes())
}

// Handler serves /d/….
func (p *DirectoryPages) Handler() http.Handler {
	door := operatorDoor{console: p.Console, operators: p.Operators}
	pages := p.routes()
	for i := range pages {
		pages[i].handle = inWords(pages[i].handle)
	}
	return area[*operatorVisit]{
		console: p.Console,
		tables:  [][]route[*operatorVisit]{door.routes(), pages},
		guard:   door.guard,
		actor:   (*operatorVisit).who,
		scope:   func(*operatorVisit) event.Scope { return event.Installation() },
		frame:   func(v *operatorVisit) page { return v.page },
	}.handler()
}

// inWords turns the domains' broken rules into pages that say them.
func inWords(handle func(http.ResponseWriter, *http.Request, *operatorVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return func(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
		err := handle(w, r, v)
		var input *provision.InputError
		if errors.Is(err, context.DeadlineExceeded) && r.Context().Err() != nil {
			return &pageError{
				Status: http.StatusServiceUnavailable, Title: "This took too long", Text: "It was cut off. What was done until then stays: send the form again to go on from there. The command line has no such limit.",
			}
		}
		if errors.As(err, &input) {
			return &pageError{Status: http.StatusUnprocessableEntity, Title: "This was not done", Text: sentence(input.Field + " " + input.Text)}
		}
		return err
	}
}

// directoryVisit is a request for a page of one directory.
type directoryVisit struct {
	*operatorVisit
	*directory.Handle
}

// in opens the directory that the path names.
func (p *DirectoryPages) in(handle func(http.ResponseWriter, *http.Request, *directoryVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return func(w http.ResponseWriter, r *http.Request, o *operatorVisit) error {
		h, err := p.Directories.OpenNamed(r.Context(), r.PathValue("directory"))
		if err != nil {
			return err
		}
		v := &directoryVisit{operatorVisit: o, Handle: h}
		o.page.Area = areaName{Name: h.Directory.Name, Kind: "Directory", URL: v.url("users")}
		o.page.Menu = mark(v.menu(), r.URL.Path)
		return handle(w, r, v)
	}
}

func (v *directoryVisit) menu() []menuItem {
	return []menuItem{
		{Text: "Directory"},
		{Text: "Users", Icon: "users", URL: v.url("users")},
		{Text: "Import users", Icon: "upload", URL: v.url("users/import")},
		{Text: "Audit log", Icon: "history", URL: v.url("audit")},
		{Text: "Rename or delete", Icon: "settings", URL: v.url("settings")},
		{Text: "Applications"},
		{Text: "Enterprise applications", Icon: "app-window", URL: v.url("applications")},
		{Text: "Installation"},
		{Text: "All directories", Icon: "building-2", URL: "/d/"},
		{Text: "Sites", Icon: "users", URL: sitesURL},
		{Text: "Audit log of everything", Icon: "history", URL: auditURL},
	}
}

// url is a path of the directory; rest has no leading slash.
func (v *directoryVisit) url(rest string) string {
	return "/d/" + url.PathEscape(v.Directory.Name) + "/" + rest
}

func (v *directoryVisit) crumbs(more ...crumb) []crumb {
	return append([]crumb{{Text: "Directories", URL: "/d/"}, {Text: v.Directory.Name, URL: v.url("users")}}, more...)
}

// who is the operator in events.
func (v *operatorVisit) who() event.Actor {
	if v.Operator.ID == "" {
		return event.Actor{}
	}
	return event.Actor{Kind: event.Operator, ID: v.Operator.ID, Name: v.Operator.Name}
}

// actor is how events name the operator in short.
func (v *operatorVisit) actor() string { return v.who().Label() }

// appVisit is a request for a page of one enterprise application.
type appVisit struct {
	*directoryVisit
	App directory.Application
}

// of finds the application that the path names.
func (p *DirectoryPages) of(handle func(http.ResponseWriter, *http.Request, *appVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return p.in(func(w http.ResponseWriter, r *http.Request, d *directoryVisit) error {
		app, err := d.Application(r.Context(), r.PathValue("app"))
		if err != nil {
			return err
		}
		v := &appVisit{directoryVisit: d, App: app}
		if belowApplication(r.URL.Path) != "" {
			v.page.Within = app.Name // its overview has it as its title
		}
		// The path may name the application in another way than the menu: in other letters, or by id.
		v.page.Menu = mark(v.menu(), v.url(belowApplication(r.URL.Path)))
		return handle(w, r, v)
	})
}

// belowApplication is what follows /d/{directory}/applications/{app}, with its slash.
func belowApplication(path string) string {
	parts := strings.SplitN(path, "/", 6)
	if len(parts) < 6 {
		return ""
	}
	return "/" + parts[5]
}

func (v *appVisit) menu() []menuItem {
	return []menuItem{
		{Text: v.App.Name},
		{Text: "Overview", Icon: "layout-dashboard", URL: v.url("")},
		{Text: "Users and groups", Icon: "users", URL: v.url("/users-and-groups")},
		{Text: "Provisioning", Icon: "refresh-cw", URL: v.url("/provisioning")},
		{Text: "Plan", Icon: "list-checks", URL: v.url("/provisioning/plan")},
		{Text: "Provisioning logs", Icon: "scroll-text", URL: v.url("/provisioning/logs")},
		{Text: "Rename or delete", Icon: "settings", URL: v.url("/settings")},
		{Text: "Directory"},
		{Text: "Users", Icon: "user-round", URL: v.directoryVisit.url("users")},
		{Text: "Enterprise applications", Icon: "app-window", URL: v.directoryVisit.url("applications")},
		{Text: "All directories", Icon: "building-2", URL: "/d/"},
	}
}

// url is a path of the application; rest is empty or begins with a slash.
func (v *appVisit) url(rest string) string { return v.appURL(v.App) + rest }

// appURL is the overview of an application.
func (v *directoryVisit) appURL(a directory.Application) string {
	return v.url("applications/" + url.PathEscape(a.Name))
}

func (v *appVisit) crumbs(more ...crumb) []crumb {
	way := v.directoryVisit.crumbs(crumb{Text: "Enterprise applications", URL: v.directoryVisit.url("applications")})
	if more == nil {
		return way
	}
	return append(append(way, crumb{Text: v.App.Name, URL: v.url("")}), more[1:]...)
}
