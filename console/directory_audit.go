package console

import (
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
)

// directoryAuditPage is the view "directory_audit": everything that changed in a directory, newest first.
type directoryAuditPage struct {
	page
	Events []eventRow
	Empty  emptyState
	Pager  pager
}

func (p *DirectoryPages) showAudit(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	self := v.url("audit")
	before, err := event.ParsePosition(r.URL.Query().Get("before"))
	if err != nil {
		return p.Console.redirect(w, r, self, notice{})
	}
	events, err := v.History(r.Context(), "", before, auditLimit+1)
	if err != nil {
		return err
	}
	pg := directoryAuditPage{page: v.page, Empty: emptyState{Icon: "history", Title: "Nothing has happened yet", Text: "Changes appear here as they are made."}}
	pg.Title, pg.Crumbs = "Audit log", v.crumbs()
	pg.Lead = "Every change of a user, an assignment or a provisioning setting, with who made it. What the engine did at an application is in its provisioning logs."
	if !before.IsZero() {
		pg.Pager.First = self
	}
	if len(events) > auditLimit {
		events = events[:auditLimit]
		pg.Pager.Next = self + "?before=" + events[auditLimit-1].Position.String()
	}
	pg.Pager.Text = count(len(events), "event")
	pg.Events = v.eventRows(events)
	return p.Console.view(w, r, http.StatusOK, "directory_audit", pg)
}

// eventRows link to what the events are about, unless it is gone for ever.
func (v *directoryVisit) eventRows(events []event.Event) []eventRow {
	var rows []eventRow
	for _, e := range events {
		row := eventRow{Time: e.Time, Text: e.Text, Actor: actorName(e.Actor)}
		kind, _, _ := strings.Cut(e.Name, ".")
		switch {
		case e.Subject == "" || e.Name == directory.EventUserPurged:
		case kind == "user" || kind == "assignment":
			row.URL = v.url("users/" + e.Subject)
		case kind == "application" || kind == "provisioning":
			row.URL = v.url("applications/" + e.Subject)
		}
		rows = append(rows, row)
	}
	return rows
}
