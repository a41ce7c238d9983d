package console

import (
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// auditURL is the audit log of the whole installation.
const auditURL = "/d/-/audit"

// audit is the audit log of the directory.
func (p *DirectoryPages) audit(v *directoryVisit) auditLog {
	return auditLog{
		console: p.Console, trail: p.Events, frame: v.page, scope: event.Directory(string(v.Directory.ID)),
		self: v.url("audit"), file: v.Directory.Name + "-audit", crumbs: v.crumbs(),
		kinds: []string{"user.", "directory.", "application.", "assignment.", "provisioning.", "export."},
		title: "Audit log",
		lead:  "Every change of a user, an assignment or a provisioning setting, with who made it and from where; also connection tests and exports. What the engine did at an application is in its provisioning logs.",
		link:  v.eventURL,
	}
}

func (p *DirectoryPages) showAudit(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.audit(v).show(w, r)
}

func (p *DirectoryPages) exportAudit(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.audit(v).export(w, r)
}

// wholeAudit is the audit log of the installation, with all sites and directories, deleted ones too.
func (p *DirectoryPages) wholeAudit(r *http.Request, v *operatorVisit) (auditLog, error) {
	a := auditLog{
		console: p.Console, trail: p.Events, frame: v.page, self: auditURL, file: "audit",
		crumbs: []crumb{{Text: "Directories", URL: "/d/"}}, title: "Audit log of the installation",
		lead: "What happened on every site, in every directory and to the installation itself, with who did it and from where. What is deleted keeps its entries. " +
			"No page and no command changes an entry; whoever can write to the database can.",
	}
	a.frame.Menu = installationMenu(auditURL)
	sites, err := p.Sites.List(r.Context())
	if err != nil {
		return a, err
	}
	for _, s := range sites {
		a.places = append(a.places, place{event.Site(string(s.ID)), s.Name})
	}
	directories, err := p.Directories.List(r.Context())
	if err != nil {
		return a, err
	}
	open := map[event.Scope]*directoryVisit{}
	for _, d := range directories {
		scope := event.Directory(string(d.ID))
		a.places = append(a.places, place{scope, d.Name})
		open[scope] = &directoryVisit{operatorVisit: v, Handle: p.Directories.Open(d)}
	}
	a.link = func(e event.Event) string {
		if d := open[e.Scope]; d != nil {
			return d.eventURL(e)
		}
		return ""
	}
	return a, nil
}

func (p *DirectoryPages) showWholeAudit(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	a, err := p.wholeAudit(r, v)
	if err != nil {
		return err
	}
	return a.show(w, r)
}

func (p *DirectoryPages) exportWholeAudit(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	a, err := p.wholeAudit(r, v)
	if err != nil {
		return err
	}
	return a.export(w, r)
}

// eventURL leads to what an event is about, unless it is gone permanently.
func (v *directoryVisit) eventURL(e event.Event) string {
	kind, _, _ := strings.Cut(e.Name, ".")
	switch {
	case e.Subject == "" || e.Name == event.UserPurged || e.Name == event.ApplicationDeleted:
	case kind == "user" || kind == "assignment":
		return v.url("users/" + e.Subject)
	case kind == "application" || kind == "provisioning":
		return v.url("applications/" + e.Subject)
	}
	return ""
}

// eventRows are events in the history of a user or an application.
func (v *directoryVisit) eventRows(events []event.Event) []eventRow {
	var rows []eventRow
	for _, e := range events {
		rows = append(rows, eventRow{Time: e.Time, Text: e.Text, Actor: actorName(e.Actor), URL: v.eventURL(e)})
	}
	return rows
}
