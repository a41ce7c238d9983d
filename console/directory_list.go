package console

import (
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
)

// directoriesPage is the view "directory_list".
type directoriesPage struct {
	page
	Rows  []directoryRow
	Empty emptyState
	Name  string // as typed
	Error *fieldError
}

type directoryRow struct {
	Directory    directory.Directory
	URL          string
	Settings     string
	Users        int
	Disabled     int
	Applications []appLink
}

type appLink struct{ Name, URL string }

func (p *DirectoryPages) toDirectories(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	return p.Console.redirect(w, r, "/d/", notice{})
}

func (p *DirectoryPages) toUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.Console.redirect(w, r, v.url("users"), notice{})
}

func (p *DirectoryPages) showDirectories(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	return p.viewDirectories(w, r, v, http.StatusOK, "", nil)
}

func (p *DirectoryPages) viewDirectories(w http.ResponseWriter, r *http.Request, v *operatorVisit, status int, name string, wrong *fieldError) error {
	all, err := p.Directories.List(r.Context())
	if err != nil {
		return err
	}
	pg := directoriesPage{page: v.page, Name: name, Error: wrong, Empty: emptyState{
		Icon: "building-2", Title: "No directory yet", Text: "A directory holds a company’s people. Make one below, then import them from a CSV file or add them by hand.",
	}}
	pg.Title = "Directories"
	pg.Lead = "Each directory holds one company’s people, and the enterprise applications that are kept in step with them."
	pg.Menu = installationMenu("/d/")
	if len(all) > 0 {
		pg.Menu = append(pg.Menu, menuItem{Text: "Directories"})
	}
	for _, d := range all {
		row, err := p.directoryRow(r, v, d)
		if err != nil {
			return err
		}
		pg.Rows = append(pg.Rows, row)
		pg.Menu = append(pg.Menu, menuItem{Text: d.Name, Icon: "network", URL: row.URL})
	}
	return p.Console.view(w, r, status, "directory_list", pg)
}

// installationMenu is the menu of the pages that belong to no directory.
func installationMenu(here string) []menuItem {
	menu := []menuItem{{Text: "Installation"}, {Text: "All directories", Icon: "building-2", URL: "/d/"}, {Text: "Sites", Icon: "users", URL: sitesURL}, {Text: "Audit log", Icon: "history", URL: auditURL}}
	for i := range menu {
		menu[i].Here = menu[i].URL == here
	}
	return menu
}

func (p *DirectoryPages) directoryRow(r *http.Request, v *operatorVisit, d directory.Directory) (directoryRow, error) {
	h := &directoryVisit{operatorVisit: v, Handle: p.Directories.Open(d)}
	counts, err := h.Counts(r.Context())
	if err != nil {
		return directoryRow{}, err
	}
	applications, err := h.Applications(r.Context())
	if err != nil {
		return directoryRow{}, err
	}
	row := directoryRow{Directory: d, URL: h.url("users"), Settings: h.url("settings"), Users: counts.Enabled + counts.Disabled, Disabled: counts.Disabled}
	for _, a := range applications {
		row.Applications = append(row.Applications, appLink{Name: a.Name, URL: h.appURL(a)})
	}
	return row, nil
}

func (p *DirectoryPages) createDirectory(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	name := strings.TrimSpace(r.PostFormValue("name"))
	d, err := p.Directories.Create(r.Context(), name, v.actor())
	if wrong := beside(err, inputs{"name": "directory-name"}); wrong != nil {
		return p.viewDirectories(w, r, v, http.StatusUnprocessableEntity, name, wrong)
	}
	if err != nil {
		return err
	}
	h := directoryVisit{operatorVisit: v, Handle: p.Directories.Open(d)}
	return p.Console.redirect(w, r, h.url("users"), done("Directory "+d.Name+" was created. It has no users yet."))
}
