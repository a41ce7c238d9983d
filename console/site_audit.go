package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/retention"
)

// auditPage is the view "site_audit": everything that changed on the site, newest first.
type auditPage struct {
	page
	Filter auditFilter
	Events []eventRow
	Empty  emptyState
	Pager  pager
}

// auditFilter is what the reader asked to see.
type auditFilter struct {
	Action   string
	Search   string
	Actor    string
	From, To string // days, as typed
	Kinds    []option
	Set      bool
	Clear    string
	Error    *fieldError
}

const auditLimit = 50

// auditQuery reads what a request asks to see.
func auditQuery(q url.Values) (event.Query, *fieldError) {
	query := event.Query{Text: strings.TrimSpace(q.Get("q")), Actor: strings.TrimSpace(q.Get("actor"))}
	switch q.Get("kind") {
	case "settings":
		query.Kinds = []string{"site.", "token."}
	case "people":
		query.Kinds = []string{"user."}
	case "groups":
		query.Kinds = []string{"group."}
	}
	var wrong *fieldError
	query.From, query.Until, wrong = daysOf(q)
	return query, wrong
}

func auditKindOptions(here string) []option {
	return chosen(here, []option{
		{Value: "", Text: "Everything"},
		{Value: "settings", Text: "Settings and tokens"},
		{Value: "people", Text: "People"},
		{Value: "groups", Text: "Groups"},
	})
}

func (p *SitePages) showAudit(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	self, q := v.url("admin/audit"), r.URL.Query()
	before, err := event.ParsePosition(q.Get("before"))
	if err != nil {
		return p.Console.redirect(w, r, self, notice{})
	}
	query, wrong := auditQuery(q)
	query.Before, query.Limit = before, auditLimit
	events, next, err := event.Search(r.Context(), p.Events, event.Site(string(v.Site.ID)), query)
	if err != nil {
		return err
	}
	narrowed := query.Text != "" || query.Actor != "" || len(query.Kinds) > 0 || !query.From.IsZero() || !query.Until.IsZero() || wrong != nil
	pg := v.page
	pg.Title, pg.Crumbs = "Audit log", v.crumbs()
	pg.StatusLine = auditStatus(events, narrowed, before, p.Console.options.Now())
	pg.Lead = "Every change of an account, a setting, a token or a sign-in link, with who did it. No page and no command changes an entry; whoever can write to the database can."
	kept, err := p.Console.kept(r.Context(), retention.Owner(event.KindSite, string(v.Site.ID)), keptLog{retention.Events, "Entries"})
	if err != nil {
		return err
	}
	pg.Lead += kept
	pg.Actions = []action{{Text: "Export CSV", Icon: "download", URL: withQuery(v.url("admin/audit/export"), q, "before", "")}}
	a := auditPage{
		page: pg,
		Filter: auditFilter{
			Action: self, Search: query.Text, Actor: query.Actor, From: q.Get("from"), To: q.Get("to"), Kinds: auditKindOptions(q.Get("kind")),
			Set: narrowed, Clear: self, Error: wrong,
		},
		Empty: emptyState{Icon: "history", Title: "Nothing has happened yet", Text: "Changes appear here as they are made."},
	}
	if narrowed {
		a.Empty = emptyState{Icon: "search", Title: "No event fits", Text: "Nothing in the audit log matches what you asked to see.", Action: &action{Text: "Show everything", URL: self}}
	}
	if !before.IsZero() {
		a.Pager.First = withQuery(self, q, "before", "")
	}
	a.Pager.Text = count(len(events), "event")
	if !next.IsZero() {
		a.Pager.Next = withQuery(self, q, "before", next.String())
		if len(events) == 0 {
			a.Pager.Text = "None among the events looked through so far; older ones follow"
		}
	}
	for _, e := range events {
		a.Events = append(a.Events, v.eventRow(e))
	}
	return p.Console.view(w, r, http.StatusOK, "site_audit", a)
}

func auditStatus(events []event.Event, narrowed bool, before event.Position, now time.Time) string {
	switch {
	case len(events) > 0 && !before.IsZero():
		return "Events from " + stamp(events[0].Time) + " back."
	case narrowed:
		return ""
	case len(events) == 0:
		return "Nothing has happened yet."
	}
	return "The last event was " + relative(events[0].Time, now) + "."
}

// exportAudit sends every event that the page's filters let through.
func (p *SitePages) exportAudit(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	query, wrong := auditQuery(r.URL.Query())
	if wrong != nil {
		return p.Console.redirect(w, r, withQuery(v.url("admin/audit"), r.URL.Query()), notice{})
	}
	query.Limit = 500
	events, next, err := p.auditPage(r.Context(), v, query)
	if err != nil {
		return err
	}
	header := []string{"time", "what", "by", "name", "subject", "data", "position"}
	return p.Console.sendCSV(w, r, v.Site.Name+"-audit-log.csv", header, func(line func(...string) error) error {
		for {
			for _, e := range events {
				if err := line(e.Time.UTC().Format(time.RFC3339Nano), e.Text, e.Actor, e.Name, e.Subject, string(e.Data), e.Position.String()); err != nil {
					return err
				}
			}
			if next.IsZero() {
				return nil
			}
			query.Before = next
			if events, next, err = p.auditPage(r.Context(), v, query); err != nil {
				return err
			}
		}
	})
}

func (p *SitePages) auditPage(ctx context.Context, v *siteVisit, q event.Query) ([]event.Event, event.Position, error) {
	return event.Search(ctx, p.Events, event.Site(string(v.Site.ID)), q)
}

// eventRow links to the person where the event is about one who is still there. A changed setting stands out; what SCIM does
// to people day by day does not.
func (v *siteVisit) eventRow(e event.Event) eventRow {
	row := eventRow{Time: e.Time, Text: e.Text, Actor: actorName(e.Actor)}
	row.Strong = strings.HasPrefix(e.Name, "site.") || strings.HasPrefix(e.Name, "token.")
	row.Plain = strings.HasPrefix(e.Actor, "scim:") && !row.Strong
	if strings.HasPrefix(e.Name, "user.") && e.Name != "user.deleted" && e.Subject != "" {
		row.URL = v.personURL(e.Subject, "")
	}
	return row
}
