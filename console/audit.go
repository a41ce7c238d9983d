package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/retention"
)

// auditPage is the data of the view "audit". It shows the events of a site, a directory or the
// installation, newest first.
type auditPage struct {
	Page
	Label       string // label of the list for screen readers
	Filter      auditFilter
	Rows        []auditRow
	ShowsPlaces bool // whether each row says where its event happened
	Empty       EmptyState
	Pager       Pager
}

// auditFilter is the form in which the user chooses which events the page shows.
type auditFilter struct {
	FormURL    string // address to which the form is sent
	Search     string
	Actor      string
	Subject    string // the page shows only events about the object with this id; set by links on the page
	From, To   string // the first and the last day, as they were typed into the form
	Kinds      []choiceGroup
	Scopes     []choiceGroup // the choices of sites and directories; empty on pages about only one of them
	IsNarrowed bool          // whether any filter leaves out events
	ClearURL   string        // address of the list without filters
	Error      *FieldError
}

// choiceGroup is a group of options in a select box. If the title is empty, the options have no
// heading.
type choiceGroup struct {
	Title   string
	Options []Option
}

// auditRow shows one event.
type auditRow struct {
	ID           string // the position of the event in the audit trail
	Time         time.Time
	Text         string
	IsEmphasized bool   // whether the row is emphasized, such as the change of a setting
	IsGrey       bool   // whether the row is shown in grey, such as routine work of SCIM and provisioning
	ActorText    string // the actor of the event
	Address      string // network address of the actor
	Browser      string // the actor's browser in short, such as "Firefox on Linux"
	UserAgent    string // the actor's complete User-Agent
	PlaceName    string // the name of the site or directory where the event happened
	PlaceURL     string // address of the events of that site or directory
	URL          string // address of the page of the object that the event is about; may be empty

	EventName      string // such as the name [event.UserCreated]
	ActorKind      string
	ActorID        string
	Subject        string // id of the object that the event is about
	SameActorURL   string // address of all events of this actor
	SameAddressURL string // address of all events from this network address
	SameSubjectURL string // address of all events about this object
	Changes        []auditChange
}

// auditChange is a value before and after a change. If the values must not be shown, Note says so
// instead.
type auditChange struct{ Name, Before, After, Note string }

// AuditLog shows and exports the events of one scope, or of all scopes. The audit logs of sites,
// directories and the installation differ only in these fields.
type AuditLog struct {
	Console      *Console
	Trail        event.Trail
	Frame        Page
	Scope        event.Scope  // whose events the page shows; the zero Scope means the events of all scopes
	Places       []AuditPlace // the sites and directories that the filter offers; only for the log of the installation
	Path         string       // path of the page
	FileName     string       // name of exported files, without the extension
	KindPrefixes []string     // the kinds of events that the filter offers, as prefixes of event names; empty means all kinds
	Crumbs       []Crumb
	Title        string
	Lead         string                   // one or two sentences under the title
	SubjectURL   func(event.Event) string // returns the address of the page of the object that an event is about, or ""; may be nil
}

// AuditPlace is a site or directory where events can happen, with its name.
type AuditPlace struct {
	Scope event.Scope
	Name  string
}

const maxEventsOnPage = 50

// readQuery reads a query from the parameters of an address. If a date is invalid, it returns a
// field error. If another parameter is invalid, the error is event.ErrPosition.
func (a AuditLog) readQuery(form url.Values) (event.Query, *FieldError, error) {
	q := event.Query{
		Scope: a.Scope, Text: strings.TrimSpace(form.Get("q")), Actor: strings.TrimSpace(form.Get("actor")),
		Subject: form.Get("subject"), Limit: maxEventsOnPage,
	}
	var wrong *FieldError
	q.From, q.Until, wrong = DayRange(form)
	if kind := form.Get("kind"); kind != "" {
		if len(event.NamesOf(kind)) == 0 {
			return q, nil, event.ErrPosition
		}
		q.Kinds = []string{kind}
	}
	if a.Scope == (event.Scope{}) {
		kind, id, _ := strings.Cut(form.Get("of"), ":")
		q.Scope = event.Scope{Kind: kind, ID: id}
		if kind != "" && kind != event.KindSite && kind != event.KindDirectory && q.Scope != event.Installation() {
			return q, nil, event.ErrPosition
		}
	}
	var err error
	if q.Before, err = event.ParsePosition(form.Get("before")); err == nil {
		q.After, err = event.ParsePosition(form.Get("after"))
	}
	return q, wrong, err
}

// isNarrowed reports whether a query has a filter that leaves out events of a.Scope.
func (a AuditLog) isNarrowed(q event.Query) bool {
	q.Before, q.After, q.Limit = event.Position{}, event.Position{}, 0
	return q.Text != "" || q.Actor != "" || q.Subject != "" || len(q.Kinds) > 0 || !q.From.IsZero() || !q.Until.IsZero() || q.Scope != a.Scope
}

// Show responds with the page of the audit log.
func (a AuditLog) Show(w http.ResponseWriter, r *http.Request) error {
	form := r.URL.Query()
	q, wrong, err := a.readQuery(form)
	if err != nil {
		return a.Console.Redirect(w, r, a.Path, Notice{})
	}
	found, err := event.Search(r.Context(), a.Trail, q)
	if err != nil {
		return err
	}
	if !q.After.IsZero() && found.Newer.IsZero() {
		// The user has come back to the newest events, so show the first page, which is full.
		q.Before, q.After = event.Position{}, event.Position{}
		form.Del("after")
		if found, err = event.Search(r.Context(), a.Trail, q); err != nil {
			return err
		}
	}
	pg := auditPage{Page: a.Frame, Label: a.Title, ShowsPlaces: a.Scope == (event.Scope{})}
	pg.Title, pg.Crumbs = a.Title, a.Crumbs
	pg.Filter = a.newFilter(form, q, wrong)
	pg.StatusLine = auditStatusLine(found.Events, pg.Filter.IsNarrowed, !q.Before.IsZero() || !q.After.IsZero(), a.Console.Options.Now())
	if pg.Lead, err = a.leadText(r.Context()); err != nil {
		return err
	}
	pg.Actions = []Action{
		{Text: "Export CSV", Icon: "download", URL: a.urlWithFilters(form, a.Path+"/export", "format", "csv")},
		{Text: "Export JSON", Icon: "download", URL: a.urlWithFilters(form, a.Path+"/export", "format", "json")},
	}
	pg.Empty = EmptyState{Icon: "history", Title: "Nothing has happened yet", Text: "Changes appear here as they are made."}
	if pg.Filter.IsNarrowed {
		pg.Empty = EmptyState{Icon: "search", Title: "No event fits", Text: "Nothing in the audit log matches what you asked to see.", Action: &Action{Text: "Show everything", URL: a.Path}}
	}
	pg.Pager = a.newPager(form, q, found)
	for _, e := range found.Events {
		pg.Rows = append(pg.Rows, a.newRow(form, e))
	}
	return a.Console.View(w, r, http.StatusOK, "audit", pg)
}

// leadText returns the text under the page's title. It ends with a sentence that says how long
// events are kept.
func (a AuditLog) leadText(ctx context.Context) (string, error) {
	owner := ""
	if a.Scope.IsSingle() {
		owner = retention.Owner(a.Scope.Kind, a.Scope.ID)
	}
	kept, err := a.Console.RetentionText(ctx, owner, RetainedLog{retention.Events, "Entries"})
	return a.Lead + kept, err
}

func (a AuditLog) newFilter(form url.Values, q event.Query, wrong *FieldError) auditFilter {
	f := auditFilter{
		FormURL: a.Path, Search: q.Text, Actor: q.Actor, Subject: q.Subject, From: form.Get("from"), To: form.Get("to"),
		IsNarrowed: a.isNarrowed(q) || wrong != nil, ClearURL: a.Path, Error: wrong, Kinds: a.kindOptions(form.Get("kind")),
	}
	if a.Scope == (event.Scope{}) {
		f.Scopes = a.scopeOptions(form.Get("of"))
	}
	return f
}

// kindOptions returns the options of the filter by kind of event. here is the value of the selected
// option.
func (a AuditLog) kindOptions(here string) []choiceGroup {
	groups := []choiceGroup{{Options: SelectOption(here, []Option{{Value: "", Text: "Everything"}})}}
	for _, k := range event.Kinds {
		if !slices.Contains(a.KindPrefixes, k.Prefix) && len(a.KindPrefixes) > 0 {
			continue
		}
		options := []Option{{Value: k.Prefix, Text: k.Title}}
		for _, name := range event.NamesOf(k.Prefix) {
			options = append(options, Option{Value: name, Text: name})
		}
		groups = append(groups, choiceGroup{Title: k.Title, Options: SelectOption(here, options)})
	}
	return groups
}

// scopeOptions returns the options of the filter by site or directory. here is the value of the
// selected option.
func (a AuditLog) scopeOptions(here string) []choiceGroup {
	sites, directories := choiceGroup{Title: "Sites"}, choiceGroup{Title: "Directories"}
	for _, p := range a.Places {
		o := Option{Value: p.Scope.Kind + ":" + p.Scope.ID, Text: p.Name}
		if p.Scope.Kind == event.KindSite {
			sites.Options = append(sites.Options, o)
		} else {
			directories.Options = append(directories.Options, o)
		}
	}
	groups := []choiceGroup{{Options: []Option{
		{Value: "", Text: "Everywhere"},
		{Value: event.KindInstallation, Text: "The installation itself"},
		{Value: event.KindSite, Text: "All sites"},
		{Value: event.KindDirectory, Text: "All directories"},
	}}, sites, directories}
	known := false
	for i := range groups {
		groups[i].Options = SelectOption(here, groups[i].Options)
		known = known || slices.ContainsFunc(groups[i].Options, func(o Option) bool { return o.Selected })
	}
	if !known {
		kind, id, _ := strings.Cut(here, ":")
		groups[0].Options = append(groups[0].Options, Option{Value: here, Text: "Deleted " + kind + " " + id, Selected: true})
	}
	return slices.DeleteFunc(groups, func(g choiceGroup) bool { return len(g.Options) == 0 })
}

func (a AuditLog) newPager(form url.Values, q event.Query, found event.Page) Pager {
	p := Pager{Text: Plural(len(found.Events), "event")}
	if len(found.Events) == 0 && !found.Older.IsZero() {
		p.Text = "None among the events looked through so far; older ones follow"
	}
	if !q.Before.IsZero() || !q.After.IsZero() {
		p.FirstURL = a.urlWithFilters(form, a.Path)
	}
	if !found.Newer.IsZero() {
		p.PreviousURL = a.urlWithFilters(form, a.Path, "after", found.Newer.String())
	}
	if !found.Older.IsZero() {
		p.NextURL = a.urlWithFilters(form, a.Path, "before", found.Older.String())
	}
	return p
}

// urlWithFilters returns the address path with the filters from form, but without a position. pairs
// holds further query parameters, as names and values in turn.
func (a AuditLog) urlWithFilters(form url.Values, path string, pairs ...string) string {
	kept := url.Values{}
	for _, name := range []string{"q", "of", "kind", "actor", "subject", "from", "to"} {
		if value := form.Get(name); value != "" {
			kept.Set(name, value)
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		kept.Set(pairs[i], pairs[i+1])
	}
	if len(kept) == 0 {
		return path
	}
	return path + "?" + kept.Encode()
}

// auditStatusLine returns the sentence above a page of events. narrowed says whether the operator
// filters the events, and isOtherPage whether the page is not the first.
func auditStatusLine(events []event.Event, narrowed, isOtherPage bool, now time.Time) string {
	switch {
	case len(events) > 0 && isOtherPage:
		return "Events from " + Timestamp(events[0].Time) + " back."
	case narrowed:
		return ""
	case len(events) == 0:
		return "Nothing has happened yet."
	}
	return "The last event was " + RelativeTime(events[0].Time, now) + "."
}

func (a AuditLog) newRow(form url.Values, e event.Event) auditRow {
	row := auditRow{
		ID: e.Position.String(), Time: e.Time, Text: e.Text, IsEmphasized: isImportant(e.Name), ActorText: actorText(e), Address: e.By.Address, UserAgent: e.By.UserAgent,
		EventName: e.Name, ActorKind: string(e.By.Kind), ActorID: e.By.ID, Subject: e.Subject,
	}
	row.IsGrey = !row.IsEmphasized && (e.By.Kind == event.Token || e.By.Kind == event.Job || e.By.Kind == event.System)
	if row.UserAgent != "" {
		row.Browser = session.Browser{Agent: row.UserAgent}.String()
	}
	if a.SubjectURL != nil {
		row.URL = a.SubjectURL(e)
	}
	none := url.Values{}
	if row.ActorID != "" && row.ActorKind != string(event.Command) {
		row.SameActorURL = a.urlWithFilters(none, a.Path, "actor", row.ActorID)
	}
	if row.Address != "" {
		row.SameAddressURL = a.urlWithFilters(none, a.Path, "actor", row.Address)
	}
	if e.Subject != "" {
		row.SameSubjectURL = a.urlWithFilters(none, a.Path, "subject", e.Subject)
	}
	if a.Scope == (event.Scope{}) {
		row.PlaceName = a.placeName(e.Scope)
		of := strings.TrimSuffix(e.Scope.Kind+":"+e.Scope.ID, ":")
		row.PlaceURL = a.urlWithFilters(none, a.Path, "of", of)
		if e.Subject != "" {
			row.SameSubjectURL = a.urlWithFilters(none, a.Path, "subject", e.Subject, "of", of)
		}
	}
	for _, c := range event.Changes(e.Data) {
		change := auditChange{Name: c.Name}
		change.Before, change.After = c.Words()
		switch {
		case c.Secret:
			change.Note = "changed; the values are secret"
		case c.Erased:
			change.Note = "changed; the values were erased"
		case c.Cut:
			change.After += " (shortened)"
		}
		row.Changes = append(row.Changes, change)
	}
	return row
}

// placeName returns the words that name the site, the directory or the installation of an event.
func (a AuditLog) placeName(s event.Scope) string {
	if s.Kind == event.KindInstallation {
		return "the installation"
	}
	for _, p := range a.Places {
		if p.Scope == s {
			return s.Kind + " " + p.Name
		}
	}
	return "deleted " + s.Kind + " " + s.ID
}

// isImportant reports whether an event is more than daily work. Events of accounts, groups,
// resources, assignments, sign-ins, refused pages and exports are daily work. Only the purge and
// the erasure of a user are important events of accounts.
func isImportant(name string) bool {
	kind, _, _ := strings.Cut(name, ".")
	return !slices.Contains([]string{"user", "group", "resource", "assignment", "sign_in", "page", "export"}, kind) || name == event.UserPurged || name == event.UserErased
}

// actorText names the actor of an event in words.
func actorText(e event.Event) string {
	switch e.By.Kind {
	case event.Command:
		return strings.TrimSpace("command line " + e.By.Name)
	case event.Job:
		return "provisioning of " + e.By.Name
	case event.Token:
		return "SCIM, token " + e.By.Name
	case event.APIKey:
		return "API key " + e.By.Name
	case event.Anybody:
		return "somebody unknown"
	}
	return ActorName(e.Actor)
}

// Export responds with a file of all events that match the filters. It sends the end of the file
// only after the audit log has recorded the export.
func (a AuditLog) Export(w http.ResponseWriter, r *http.Request) error {
	form := r.URL.Query()
	q, wrong, err := a.readQuery(form)
	if err != nil || wrong != nil {
		return a.Console.Redirect(w, r, a.urlWithFilters(form, a.Path), Notice{})
	}
	q.Before, q.After, q.Limit = event.Position{}, event.Position{}, 500
	first, err := event.Search(r.Context(), a.Trail, q)
	if err != nil {
		return err // before the file begins, a page can still show an error
	}
	of := ExportRecord{Scope: a.Scope, EventName: event.ExportAudit, ListTitle: "The audit log", RowNoun: "event", Filter: FilterParameters(form, "q", "of", "kind", "actor", "subject", "from", "to")}
	if !a.Scope.IsSingle() {
		of.Scope = event.Installation()
	}
	each := func(send func(event.Event) error) error {
		return a.Console.RecordExport(r.Context(), of, func(sent *int) error {
			return eachEvent(r.Context(), a.Trail, q, first, func(e event.Event) error {
				*sent++
				return send(e)
			})
		})
	}
	if form.Get("format") == "json" {
		return a.Console.sendJSON(w, r, a.FileName+".json", func(item func(any) error) error {
			return each(func(e event.Event) error { return item(e.Entry()) })
		})
	}
	return a.Console.SendCSV(w, r, a.FileName+".csv", event.Columns, func(line func(...string) error) error {
		return each(func(e event.Event) error { return line(e.Cells()...) })
	})
}

// eachEvent calls fn for each event on all pages of a query. page is the first page, which the
// caller has already read.
func eachEvent(ctx context.Context, trail event.Trail, q event.Query, page event.Page, fn func(event.Event) error) error {
	for {
		for _, e := range page.Events {
			if err := fn(e); err != nil {
				return err
			}
		}
		if page.Older.IsZero() {
			return nil
		}
		q.Before = page.Older
		var err error
		if page, err = event.Search(ctx, trail, q); err != nil {
			return err
		}
	}
}

// ExportRecord describes an exported file for the event that records the export.
type ExportRecord struct {
	Scope     event.Scope
	EventName string            // name of the event
	ListTitle string            // what was exported, such as "The request log"
	RowNoun   string            // noun for a row, such as "event"
	Filter    map[string]string // the filters of the export; may be empty
}

// FilterParameters returns those of the named parameters of a request that are not empty.
func FilterParameters(form url.Values, names ...string) map[string]string {
	filter := map[string]string{}
	for _, name := range names {
		if value := form.Get(name); value != "" {
			filter[name] = strings.ToValidUTF8(value, "\uFFFD")
		}
	}
	return filter
}

// recordTimeout is how long a response waits, at most, until its event is written.
const recordTimeout = 5 * time.Second

// RecordExport calls fill, which sends the rows of a file and counts them in sent. Then it records
// the export in the audit log. If fill fails or the event cannot be stored, RecordExport returns
// the error, and the caller must cut the file off.
func (c *Console) RecordExport(ctx context.Context, x ExportRecord, fill func(sent *int) error) error {
	sent := 0
	err := fill(&sent)
	text := x.ListTitle + " was exported: " + Plural(sent, x.RowNoun)
	if err != nil {
		text += ", then it was cut off"
	}
	data := event.DataOf(event.Export{Rows: sent, Filter: x.Filter, CutOff: err != nil})
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if failed := c.recordEvents(writing, event.Event{Scope: x.Scope, Name: x.EventName, Text: text, Data: data}); err == nil {
		err = failed
	}
	return err
}

// recordEvents records events about actions that change nothing, such as exports.
func (c *Console) recordEvents(ctx context.Context, events ...event.Event) error {
	if c.Options.Events == nil {
		return nil
	}
	if err := c.Options.Events.Record(ctx, events...); err != nil {
		return fmt.Errorf("write the audit trail: %w", err)
	}
	return nil
}

// sendJSON responds with a file that contains a JSON list. fill sends the items, one per call.
func (c *Console) sendJSON(w http.ResponseWriter, r *http.Request, name string, fill func(item func(any) error) error) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	separator := "[\n"
	err := fill(func(item any) error {
		if _, err := out.WriteString(separator); err != nil {
			return err
		}
		separator = ","
		return encoder.Encode(item)
	})
	if err == nil {
		end := "]\n"
		if separator != "," {
			end = "[]\n"
		}
		_, err = out.WriteString(end)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		c.Options.Log.Error("export cut off", "request", web.RequestID(r), "route", r.Pattern, "error", err)
		panic(http.ErrAbortHandler) // breaks the connection, so that the partial file does not look complete
	}
	return nil
}
