package directorypages

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
)

// installationAuditURL is the address of the audit log of the whole installation.
const installationAuditURL = "/d/-/audit"

// directoryAuditLog returns the audit log of the directory, ready to be shown or exported.
func (p *Pages) directoryAuditLog(v *directoryVisit) console.AuditLog {
	return console.AuditLog{
		Console: p.Console, Trail: p.Events, Frame: v.page, Scope: event.Directory(string(v.Directory.ID)),
		Path: v.url("audit"), FileName: v.Directory.Name + "-audit", Crumbs: v.crumbs(),
		KindPrefixes: []string{"user.", "directory.", "application.", "assignment.", "provisioning.", "export."},
		Title:        "Audit log",
		Lead:         "Every change of a user, an assignment or a provisioning setting, who made it, and from where; also connection tests and exports. What the engine did at an application is in its provisioning logs.",
		SubjectURL:   v.eventURL,
	}
}

func (p *Pages) showAudit(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.directoryAuditLog(v).Show(w, r)
}

func (p *Pages) exportAudit(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.directoryAuditLog(v).Export(w, r)
}

// installationAuditLog returns the audit log of the installation. It includes all sites and
// directories, even deleted ones.
func (p *Pages) installationAuditLog(r *http.Request, v *operatorVisit) (console.AuditLog, error) {
	a := console.AuditLog{
		Console: p.Console, Trail: p.Events, Frame: v.page, Path: installationAuditURL, FileName: "audit",
		Crumbs: []console.Crumb{{Text: "Directories", URL: "/d/"}}, Title: "Audit log of the installation",
		Lead: "What happened on every site, in every directory and to the installation itself, who did it, and from where. What is deleted keeps its entries. " +
			"No page and no command changes an entry; whoever can write to the database can.",
	}
	a.Frame.Menu = installationMenu(installationAuditURL)
	sites, err := p.Sites.List(r.Context())
	if err != nil {
		return a, err
	}
	for _, s := range sites {
		a.Places = append(a.Places, console.AuditPlace{Scope: event.Site(string(s.ID)), Name: s.Name})
	}
	directories, err := p.Directories.List(r.Context())
	if err != nil {
		return a, err
	}
	open := map[event.Scope]*directoryVisit{}
	for _, d := range directories {
		scope := event.Directory(string(d.ID))
		a.Places = append(a.Places, console.AuditPlace{Scope: scope, Name: d.Name})
		open[scope] = &directoryVisit{operatorVisit: v, Handle: p.Directories.Open(d)}
	}
	a.SubjectURL = func(e event.Event) string {
		if d := open[e.Scope]; d != nil {
			return d.eventURL(e)
		}
		return ""
	}
	return a, nil
}

func (p *Pages) showInstallationAudit(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	a, err := p.installationAuditLog(r, v)
	if err != nil {
		return err
	}
	return a.Show(w, r)
}

func (p *Pages) exportInstallationAudit(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	a, err := p.installationAuditLog(r, v)
	if err != nil {
		return err
	}
	return a.Export(w, r)
}

// eventURL returns the address of the page of the object that an event is about. It returns "" if
// there is no such page, or if the event deleted the object permanently.
func (v *directoryVisit) eventURL(e event.Event) string {
	kind, _, _ := strings.Cut(e.Name, ".")
	switch {
	case e.Subject == "" || e.Name == event.UserPurged || e.Name == event.GroupPurged || e.Name == event.ApplicationDeleted:
	case kind == "group" || kind == "assignment" && isAboutGroup(e):
		return v.url("groups/" + e.Subject)
	case kind == "user" || kind == "assignment":
		return v.url("users/" + e.Subject)
	case kind == "application" || kind == "provisioning":
		return v.url("applications/" + e.Subject)
	}
	return ""
}

// isAboutGroup reports whether an event about an assignment concerns a group.
func isAboutGroup(e event.Event) bool {
	var d event.Assignment
	return json.Unmarshal(e.Data, &d) == nil && d.Kind == string(directory.GroupKind)
}

// eventRows turns events into rows of the history on the page of a user or group.
func (v *directoryVisit) eventRows(events []event.Event) []console.EventRow {
	var rows []console.EventRow
	for _, e := range events {
		rows = append(rows, console.EventRow{Time: e.Time, Text: e.Text, Actor: console.ActorName(e.Actor), URL: v.eventURL(e)})
	}
	return rows
}
