package console

import (
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// auditPage is the view "site_audit": everything that changed on the site, newest first.
type auditPage struct {
	page
	Events []eventRow
	Empty  emptyState
	Pager  pager
}

const auditLimit = 50

func (p *SitePages) showAudit(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	self := v.url("admin/audit")
	before, err := event.ParsePosition(r.URL.Query().Get("before"))
	if err != nil {
		return p.Console.redirect(w, r, self, notice{})
	}
	events, err := p.Events.Recent(r.Context(), event.Site(string(v.Site.ID)), "", before, auditLimit+1)
	if err != nil {
		return err
	}
	pg := v.page
	pg.Title, pg.Crumbs = "Audit log", v.crumbs()
	pg.StatusLine = "Nothing has happened yet."
	if len(events) > 0 && before.IsZero() {
		pg.StatusLine = "The last event was " + relative(events[0].Time, p.Console.options.Now()) + "."
	} else if len(events) > 0 {
		pg.StatusLine = "Events from " + stamp(events[0].Time) + " back."
	}
	pg.Lead = "Every change of an account, a setting, a token or a sign-in link, with who did it. Nothing here can be changed."
	a := auditPage{page: pg, Empty: emptyState{Icon: "history", Title: "Nothing has happened yet", Text: "Changes appear here as they are made."}}
	if !before.IsZero() {
		a.Pager.First = self
	}
	if len(events) > auditLimit {
		events = events[:auditLimit]
		a.Pager.Next = withQuery(self, nil, "before", events[auditLimit-1].Position.String())
	}
	for _, e := range events {
		a.Events = append(a.Events, v.eventRow(e))
	}
	a.Pager.Text = count(len(events), "event")
	return p.Console.view(w, r, http.StatusOK, "site_audit", a)
}

// eventRow links to the person where the event is about one who is still there.
func (v *siteVisit) eventRow(e event.Event) eventRow {
	row := eventRow{Time: e.Time, Text: e.Text, Actor: actorName(e.Actor)}
	if strings.HasPrefix(e.Name, "user.") && e.Name != "user.deleted" && e.Subject != "" {
		row.URL = v.personURL(e.Subject, "")
	}
	return row
}
