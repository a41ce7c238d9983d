package directorypages

import (
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
)

// directoriesPage is the data of the view "directories", the list of all directories.
type directoriesPage struct {
	console.Page
	Rows  []directoryRow
	Empty console.EmptyState
	Name  string // the name that was typed into the form
	Error *console.FieldError
}

// directoryRow shows one directory in the list.
type directoryRow struct {
	Directory     directory.Directory
	URL           string
	SettingsURL   string
	UserCount     int
	DisabledCount int
	Applications  []appLink
}

type appLink struct{ Name, URL string }

func (p *Pages) redirectToDirectories(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	return p.Console.Redirect(w, r, "/d/", console.Notice{})
}

func (p *Pages) redirectToUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.Console.Redirect(w, r, v.url("users"), console.Notice{})
}

func (p *Pages) showDirectories(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	return p.renderDirectories(w, r, v, http.StatusOK, "", nil)
}

func (p *Pages) renderDirectories(w http.ResponseWriter, r *http.Request, v *operatorVisit, status int, name string, wrong *console.FieldError) error {
	all, err := p.Directories.List(r.Context())
	if err != nil {
		return err
	}
	pg := directoriesPage{Page: v.page, Name: name, Error: wrong, Empty: console.EmptyState{
		Icon: "building-2", Title: "No directory yet", Text: "A directory holds a company’s people. Make one below, then import them from a CSV file or add them by hand.",
	}}
	pg.Title = "Directories"
	pg.Lead = "Each directory holds one company’s people, and the enterprise applications that are kept in step with them."
	pg.Menu = installationMenu("/d/")
	if len(all) > 0 {
		pg.Menu = append(pg.Menu, console.MenuItem{Text: "Directories"})
	}
	for _, d := range all {
		row, err := p.newDirectoryRow(r, v, d)
		if err != nil {
			return err
		}
		pg.Rows = append(pg.Rows, row)
		pg.Menu = append(pg.Menu, console.MenuItem{Text: d.Name, Icon: "network", URL: row.URL})
	}
	return p.show(w, r, status, "directories", pg)
}

// installationMenu returns the menu for pages that belong to no directory. here is the address of
// the menu item that is marked as the current page.
func installationMenu(here string) []console.MenuItem {
	menu := []console.MenuItem{{Text: "Installation"}, {Text: "All directories", Icon: "building-2", URL: "/d/"}, {Text: "Sites", Icon: "users", URL: sitesURL}, {Text: "Audit log", Icon: "history", URL: installationAuditURL}}
	for i := range menu {
		menu[i].Selected = menu[i].URL == here
	}
	return menu
}

func (p *Pages) newDirectoryRow(r *http.Request, v *operatorVisit, d directory.Directory) (directoryRow, error) {
	h := &directoryVisit{operatorVisit: v, Handle: p.Directories.Open(d)}
	counts, err := h.Counts(r.Context())
	if err != nil {
		return directoryRow{}, err
	}
	applications, err := h.Applications(r.Context())
	if err != nil {
		return directoryRow{}, err
	}
	row := directoryRow{Directory: d, URL: h.url("users"), SettingsURL: h.url("settings"), UserCount: counts.Enabled + counts.Disabled, DisabledCount: counts.Disabled}
	for _, a := range applications {
		row.Applications = append(row.Applications, appLink{Name: a.Name, URL: h.appURL(a)})
	}
	return row, nil
}

func (p *Pages) createDirectory(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	name := strings.TrimSpace(r.PostFormValue("name"))
	d, err := p.Directories.Create(r.Context(), name, v.actorLabel())
	if wrong := console.InputError(err, console.InputIDs{"name": "directory-name"}); wrong != nil {
		return p.renderDirectories(w, r, v, http.StatusUnprocessableEntity, name, wrong)
	}
	if err != nil {
		return err
	}
	h := directoryVisit{operatorVisit: v, Handle: p.Directories.Open(d)}
	return p.Console.Redirect(w, r, h.url("users"), console.DoneNotice("Directory "+d.Name+" was created. It has no users yet."))
}
