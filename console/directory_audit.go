package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/retention"
)

// directoryAuditPage is the view "directory_audit": what changed in a directory, newest first.
type directoryAuditPage struct {
	page
	List        string
	Text, Actor string   // as typed
	From, Until string   // days, as typed
	Kinds       []option // of events
	Filtered    bool
	Events      []auditRow
	Empty       emptyState
	Pager       pager
}

// auditRow is an event; Important ones are rare and change how the directory works, the others are everyday changes of people.
type auditRow struct {
	eventRow
	Important bool
}

// directoryHistory gives event.Search the events of one directory.
type directoryHistory struct{ handle *directory.Handle }

func (h directoryHistory) Recent(ctx context.Context, _ event.Scope, subject string, before event.Position, limit int) ([]event.Event, error) {
	return h.handle.History(ctx, subject, before, limit)
}

// auditExportLimit is how many events a file holds at most.
const auditExportLimit = 50_000

// directoryAuditQuery reads the filters from the address.
func directoryAuditQuery(form url.Values) (event.Query, error) {
	before, err := event.ParsePosition(form.Get("before"))
	q := event.Query{Text: strings.TrimSpace(form.Get("text")), Actor: strings.TrimSpace(form.Get("actor")), From: day(form.Get("from")), Until: day(form.Get("until")), Before: before, Limit: auditLimit}
	if !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1) // the day itself belongs to it
	}
	if kind := form.Get("kind"); kind != "" {
		q.Kinds = []string{kind + "."}
	}
	return q, err
}

// auditURL keeps the filters of an address.
func auditURL(base string, form url.Values, before string) string {
	kept := url.Values{}
	for _, name := range []string{"text", "actor", "kind", "from", "until"} {
		if value := form.Get(name); value != "" {
			kept.Set(name, value)
		}
	}
	if before != "" {
		kept.Set("before", before)
	}
	if len(kept) == 0 {
		return base
	}
	return base + "?" + kept.Encode()
}

func (p *DirectoryPages) showAudit(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	self, form := v.url("audit"), r.URL.Query()
	q, err := directoryAuditQuery(form)
	if err != nil {
		return p.Console.redirect(w, r, self, notice{})
	}
	events, next, err := event.Search(r.Context(), directoryHistory{v.Handle}, event.Scope{}, q)
	if err != nil {
		return err
	}
	pg := directoryAuditPage{
		page: v.page, List: self, Text: form.Get("text"), Actor: form.Get("actor"), From: form.Get("from"), Until: form.Get("until"), Filtered: auditURL("", form, "") != "",
		Empty: emptyState{Icon: "history", Title: "Nothing has happened yet", Text: "Changes appear here as they are made."},
	}
	pg.Title, pg.Crumbs = "Audit log", v.crumbs()
	pg.Lead = "Every change of a user, an assignment or a provisioning setting, with who made it. What the engine did at an application is in its provisioning logs."
	kept, err := p.Console.kept(r.Context(), retention.Owner(event.KindDirectory, string(v.Directory.ID)), keptLog{retention.Events, "Entries"})
	if err != nil {
		return err
	}
	pg.Lead += kept
	pg.Actions = []action{{Text: "Export CSV", Icon: "download", URL: auditURL(v.url("audit/export"), form, "")}}
	pg.Kinds = auditKinds(form.Get("kind"))
	if !q.Before.IsZero() {
		pg.Pager.First = auditURL(self, form, "")
	}
	if !next.IsZero() {
		pg.Pager.Next = auditURL(self, form, next.String())
	}
	pg.Pager.Text = counted(len(events), "event", "events") + " on this page"
	if pg.Filtered {
		pg.Empty = emptyState{Icon: "search", Title: "No event fits", Text: "Choose fewer conditions.", Action: &action{Text: "Clear", URL: self}}
	}
	for i, row := range v.eventRows(events) {
		pg.Events = append(pg.Events, auditRow{eventRow: row, Important: important(events[i].Name)})
	}
	return p.Console.view(w, r, http.StatusOK, "directory_audit", pg)
}

func auditKinds(chosen string) []option {
	list := []option{{Text: "Any kind", Here: chosen == ""}}
	for _, k := range []struct{ value, text string }{
		{"user", "Users"}, {"assignment", "Assignments"}, {"application", "Applications"}, {"provisioning", "Provisioning"}, {"directory", "The directory"},
	} {
		list = append(list, option{Value: k.value, Text: k.text, Here: chosen == k.value})
	}
	return list
}

// important says whether an event is more than the everyday coming and going of people.
func important(name string) bool {
	kind, _, _ := strings.Cut(name, ".")
	return kind != "user" && kind != "assignment" || name == directory.EventUserPurged
}

// exportAudit sends the events that the filters select.
func (p *DirectoryPages) exportAudit(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	q, err := directoryAuditQuery(r.URL.Query())
	if err != nil {
		return p.Console.redirect(w, r, v.url("audit"), notice{})
	}
	q.Before, q.Limit = event.Position{}, 500
	events, next, err := event.Search(r.Context(), directoryHistory{v.Handle}, event.Scope{}, q)
	if err != nil {
		return err // while it can still be shown as a page
	}
	return p.Console.sendCSV(w, r, v.Directory.Name+"-audit.csv", []string{"time", "event", "actor", "subject", "text"}, func(line func(cells ...string) error) error {
		for sent := 0; ; {
			for _, e := range events {
				if err := line(e.Time.UTC().Format(time.RFC3339), e.Name, e.Actor, e.Subject, e.Text); err != nil {
					return err
				}
			}
			sent += len(events)
			if next.IsZero() || sent >= auditExportLimit {
				return nil
			}
			q.Before = next
			if events, next, err = event.Search(r.Context(), directoryHistory{v.Handle}, event.Scope{}, q); err != nil {
				return err
			}
		}
	})
}

// eventRows link to what the events are about, unless it is gone permanently.
func (v *directoryVisit) eventRows(events []event.Event) []eventRow {
	var rows []eventRow
	for _, e := range events {
		row := eventRow{Time: e.Time, Text: e.Text, Actor: actorName(e.Actor)}
		kind, _, _ := strings.Cut(e.Name, ".")
		switch {
		case e.Subject == "" || e.Name == directory.EventUserPurged || e.Name == directory.EventApplicationDeleted:
		case kind == "user" || kind == "assignment":
			row.URL = v.url("users/" + e.Subject)
		case kind == "application" || kind == "provisioning":
			row.URL = v.url("applications/" + e.Subject)
		}
		rows = append(rows, row)
	}
	return rows
}
