package directorypages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/retention"
)

// logsPage is the data of the view "logs", the provisioning logs of an application.
type logsPage struct {
	console.Page
	BaseURL        string
	Query          provision.LogQuery
	From, Until    string // the first and the last day, as they were typed into the form
	StatusOptions  []console.Option
	ActionOptions  []console.Option
	Rows           []logEntryRow
	IsFiltered     bool // whether any filter is set
	Causes         []logCause
	CausesNote     string // says that Causes covers only the newest entries; empty if it covers all
	SkippedText    string // such as "1,200 skipped entries are hidden."; empty if none are hidden
	ShowSkippedURL string
	ShowText       string // the text of the link that shows hidden entries
	Empty          console.EmptyState
	Pager          console.Pager
}

type logEntryRow struct {
	provision.LogEntry
	URL          string
	Badge        console.Badge
	Action       string
	Text         string
	ChangedNames string // names of the attributes that provisioning wrote
	Changes      []attributeChange
}

// anyStatus is the value of the status filter that shows entries with any status, even skipped
// ones. Without a status filter, the page hides skipped entries.
const anyStatus = "any"

func (p *Pages) showLogs(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form := r.URL.Query()
	q := provision.LogQuery{
		Search: form.Get("search"), Status: provision.Result(form.Get("status")), Action: provision.Action(form.Get("action")),
		ObjectID: form.Get("object"), Cycle: form.Get("cycle"), Before: form.Get("before"), Limit: 50, Shown: true,
	}
	if q.Status == anyStatus {
		q.Status, q.Shown = "", false
	}
	pg := logsPage{Page: v.page, BaseURL: v.url("/provisioning/logs"), From: form.Get("from"), Until: form.Get("until")}
	q.From, q.Until = parseDay(pg.From), parseDay(pg.Until)
	if !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1) // include the day itself
	}
	entries, next, err := p.Jobs.Logs(r.Context(), v.jobKey(), q)
	if err != nil {
		return err
	}
	pg.Query, pg.IsFiltered = q, logsURL("", q, "") != ""
	pg.Title = "Provisioning logs"
	pg.Lead = "What the engine did for each person, step by step, the newest first."
	kept, err := p.Console.RetentionText(r.Context(), retention.Owner(string(v.Directory.ID), v.App.ID), console.RetainedLog{Kind: retention.Provisioning, Name: "Entries"})
	if err != nil {
		return err
	}
	pg.Lead += kept
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	pg.StatusOptions = filterOptions(form.Get("status"), "Changes and problems", provision.Success, provision.Failure, provision.Warning, provision.Skipped)
	pg.StatusOptions = append(pg.StatusOptions, console.Option{Value: anyStatus, Text: "Any status", Selected: form.Get("status") == anyStatus})
	pg.ActionOptions = filterOptions(string(q.Action), "Any action", provision.Create, provision.Update, provision.Disable, provision.Delete, provision.Other)
	for _, e := range entries {
		pg.Rows = append(pg.Rows, v.newLogEntryRow(e))
	}
	if err := p.addSkippedCount(r, v, &pg); err != nil {
		return err
	}
	if err := p.addCauses(r, v, &pg); err != nil {
		return err
	}
	if next != "" {
		pg.Pager.NextURL = logsURL(pg.BaseURL, q, next)
	}
	if q.Before != "" {
		pg.Pager.FirstURL = logsURL(pg.BaseURL, q, "")
	}
	pg.Empty = console.EmptyState{Icon: "scroll-text", Title: "Nothing logged yet", Text: "A cycle writes an entry here for each person it has something to say about."}
	if pg.IsFiltered || pg.SkippedText != "" {
		pg.Empty = console.EmptyState{Icon: "search", Title: "No entry fits", Text: "Choose fewer conditions.", Action: &console.Action{Text: "Clear", URL: pg.BaseURL}}
	}
	return p.show(w, r, http.StatusOK, "logs", pg)
}

// logCause is a line that represents several entries with the same cause.
type logCause struct {
	Text string
	URL  string // address of the logs, filtered for these entries
}

// addCauses groups the failures and warnings that match the filters, and adds a line for each group
// to the page. Entries belong to one group if they have the same error code and action, and the
// same reason apart from details that concern only one person.
func (p *Pages) addCauses(r *http.Request, v *appVisit, pg *logsPage) error {
	const newest, most = 500, 5
	type group struct {
		n     int
		first provision.LogEntry
	}
	var groups []*group
	for _, status := range []provision.Result{provision.Failure, provision.Warning} {
		q := pg.Query
		if q.Before != "" || q.Status != "" && q.Status != status {
			continue
		}
		q.Status, q.Limit = status, newest
		entries, next, err := p.Jobs.Logs(r.Context(), v.jobKey(), q)
		if err != nil {
			return err
		}
		if next != "" {
			pg.CausesNote = "Counted among the newest " + console.GroupDigits(newest) + " of each status."
		}
		byCause := map[string]*group{}
		for _, e := range entries {
			key := e.Status.Code + "\n" + string(e.Action) + "\n" + reasonWithoutDetails(e)
			if byCause[key] == nil {
				byCause[key] = &group{first: e}
				groups = append(groups, byCause[key])
			}
			byCause[key].n++
		}
	}
	groups = slices.DeleteFunc(groups, func(g *group) bool { return g.n < 2 })
	slices.SortStableFunc(groups, func(a, b *group) int { return b.n - a.n })
	for _, g := range groups[:min(len(groups), most)] {
		q := pg.Query
		q.Status, q.Action = g.first.Status.Status, g.first.Action
		if q.Search == "" {
			q.Search = g.first.Status.Code
		}
		pg.Causes = append(pg.Causes, logCause{
			Text: console.PluralForms(g.n, "entry", "entries") + " (" + actionName(g.first.Action) + ", " + actionName(provision.Action(g.first.Status.Status)) + "), same cause: " + console.AsSentence(entryText(g.first)),
			URL:  logsURL(pg.BaseURL, q, ""),
		})
	}
	return nil
}

// reasonWithoutDetails returns the reason of an entry, without the words that concern only one
// person, such as the display name.
func reasonWithoutDetails(e provision.LogEntry) string {
	text := entryText(e)
	for _, own := range []string{e.SourceIdentity.DisplayName, e.TargetIdentity.DisplayName} {
		if own != "" {
			text = strings.ReplaceAll(text, own, "")
		}
	}
	return console.ParticularWords.ReplaceAllString(text, "…")
}

// addSkippedCount counts the skipped entries that the page hides, and adds the number to the page.
func (p *Pages) addSkippedCount(r *http.Request, v *appVisit, pg *logsPage) error {
	q := pg.Query
	if !q.Shown || q.Status != "" {
		return nil
	}
	q.Status = provision.Skipped
	n, err := p.Jobs.CountLogs(r.Context(), v.jobKey(), q)
	if err != nil || n == 0 {
		return err
	}
	pg.SkippedText, pg.ShowText = console.PluralForms(n, "skipped entry is hidden.", "skipped entries are hidden."), "Show them"
	if n == 1 {
		pg.ShowText = "Show it"
	}
	q.Status, q.Shown, q.Before = "", false, ""
	pg.ShowSkippedURL = logsURL(pg.BaseURL, q, "")
	return nil
}

// parseDay parses the value of a date input. If the value is empty or invalid, it returns the zero
// time, which means no limit.
func parseDay(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

func logsURL(base string, q provision.LogQuery, before string) string {
	status := string(q.Status)
	if status == "" && !q.Shown {
		status = anyStatus
	}
	from, until := "", ""
	if !q.From.IsZero() {
		from = q.From.Format(time.DateOnly)
	}
	if !q.Until.IsZero() {
		until = q.Until.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	form := url.Values{}
	for name, value := range map[string]string{
		"search": q.Search, "status": status, "action": string(q.Action), "object": q.ObjectID, "cycle": q.Cycle, "from": from, "until": until, "before": before,
	} {
		if value != "" {
			form.Set(name, value)
		}
	}
	if len(form) == 0 {
		return base
	}
	return base + "?" + form.Encode()
}

func filterOptions[T ~string](chosen, none string, values ...T) []console.Option {
	list := []console.Option{{Text: none, Selected: chosen == ""}}
	for _, v := range values {
		list = append(list, console.Option{Value: string(v), Text: actionName(provision.Action(v)), Selected: chosen == string(v)})
	}
	return list
}

func (v *appVisit) newLogEntryRow(e provision.LogEntry) logEntryRow {
	row := logEntryRow{LogEntry: e, URL: v.url("/provisioning/logs/" + url.PathEscape(e.ID)), Badge: entryBadge(e.Status.Status), Action: actionName(e.Action), Text: entryText(e), Changes: changedAttributes(e)}
	const most = 6
	var names []string
	for _, c := range row.Changes {
		names = append(names, c.Path)
	}
	if len(names) > most {
		names = append(names[:most], console.PluralForms(len(names)-most, "more", "more"))
	}
	row.ChangedNames = strings.Join(names, ", ")
	return row
}

// changedAttributes lists the attributes that an entry wrote, with their old and new values.
func changedAttributes(e provision.LogEntry) []attributeChange {
	var list []attributeChange
	for _, m := range e.Modified {
		c := attributeChange{Path: m.DisplayName}
		if m.OldValue != nil {
			c.Old = *m.OldValue
		}
		if m.NewValue != nil {
			c.New = *m.NewValue
		}
		list = append(list, c)
	}
	return list
}

// entryText returns the reason of an entry. If the entry has no reason, it returns the description
// of the last step.
func entryText(e provision.LogEntry) string {
	if e.Status.Reason != "" {
		return e.Status.Reason
	}
	if n := len(e.Steps); n > 0 {
		return e.Steps[n-1].Description
	}
	return ""
}

func entryBadge(r provision.Result) console.Badge {
	switch r {
	case provision.Success:
		return console.Badge{Tone: console.ToneGood, Text: "Success"}
	case provision.Failure:
		return console.Badge{Tone: console.ToneProblem, Text: "Failure"}
	case provision.Warning:
		return console.Badge{Tone: console.ToneWarning, Text: "Warning"}
	}
	return console.Badge{Tone: console.ToneQuiet, Text: "Skipped"}
}

// logEntryPage is the data of the view "log". It shows one entry of the provisioning logs, with
// everything that Entra shows on four tabs.
type logEntryPage struct {
	console.Page
	Entry         provision.LogEntry
	Action        string
	Steps         []logStep
	Changes       []attributeChange
	Summary       []console.Fact
	ObjectURL     string // address of the page of the user or group
	WhyURL        string // address of the page that explains why the user or group has an account or has none
	SameObjectURL string // address of the logs about the same user or group
	SameCycleURL  string // address of the logs of the same cycle
	UndoURL       string // address of the page that asks whether to undo the cycle; empty if the entry is about no change
}

// logStep shows one step of a log entry.
type logStep struct {
	Title   string
	Step    provision.Step
	Badge   console.Badge
	Details []console.Fact
}

func (p *Pages) showLogEntry(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	e, err := p.Jobs.Log(r.Context(), v.jobKey(), r.PathValue("entry"))
	if errors.Is(err, provision.ErrNotFound) || errors.Is(err, provision.ErrNoJob) {
		return &console.PageError{Status: http.StatusNotFound, Title: "There is no such log entry", Text: "It may have been removed with age.", Action: &console.Action{Text: "Provisioning logs", URL: v.url("/provisioning/logs")}}
	}
	if err != nil {
		return err
	}
	b := entryBadge(e.Status.Status)
	pg := logEntryPage{Page: v.page, Entry: e, Action: actionName(e.Action), Summary: summaryFacts(e)}
	pg.Title, pg.Badge = e.SourceIdentity.DisplayName, &b
	if pg.Title == "" {
		pg.Title = e.SourceIdentity.ID
	}
	pg.StatusLine = console.AsSentence(entryText(e))
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: "Provisioning logs", URL: v.url("/provisioning/logs")})
	if e.SourceIdentity.ID != "" {
		pg.ObjectURL, pg.WhyURL = v.objectURL(provision.ObjectKind(e.SourceIdentity.Type), e.SourceIdentity.ID), whyURL(v.url(""), e.SourceIdentity.ID)
		pg.SameObjectURL = logsURL(v.url("/provisioning/logs"), provision.LogQuery{ObjectID: e.SourceIdentity.ID}, "")
	}
	if e.CycleID != "" {
		pg.SameCycleURL = logsURL(v.url("/provisioning/logs"), provision.LogQuery{Cycle: e.CycleID}, "")
		if e.Changed() {
			pg.UndoURL = v.undoURL(provision.Undo{Cycle: e.CycleID})
		}
	}
	pg.Steps = logSteps(e)
	pg.Changes = changedAttributes(e)
	return p.show(w, r, http.StatusOK, "log", pg)
}

// logSteps returns the steps of an entry, prepared for a page.
func logSteps(e provision.LogEntry) (steps []logStep) {
	for _, s := range e.Steps {
		steps = append(steps, logStep{Title: stepTitle(s.Type), Step: s, Badge: entryBadge(s.Status), Details: detailFacts(s.Details)})
	}
	return steps
}

// stepTitle returns the title that Entra's page "Provision on demand" gives to a step.
func stepTitle(t provision.StepType) string {
	switch t {
	case provision.ImportStep:
		return "Import user"
	case provision.ScopingStep:
		return "Determine if user is in scope"
	case provision.MatchingStep:
		return "Match user between source and target"
	case provision.ProcessingStep:
		return "Evaluate the attribute mappings"
	case provision.ReferenceStep:
		return "Resolve references"
	}
	return "Perform action"
}

// detailFacts lists the details of a step, sorted by name.
func detailFacts(m map[string]string) []console.Fact {
	var list []console.Fact
	for name, value := range m {
		list = append(list, console.Fact{Name: name, Value: value})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// summaryFacts lists the properties of a log entry that have a value.
func summaryFacts(e provision.LogEntry) []console.Fact {
	var list []console.Fact
	for _, f := range []console.Fact{
		{Name: "Action", Value: actionName(e.Action)},
		{Name: "Status", Value: actionName(provision.Action(e.Status.Status))},
		{Name: "Duration", Value: strconv.FormatInt(e.DurationMillis, 10) + " ms"},
		{Name: "Source system", Value: e.SourceSystem.DisplayName},
		{Name: "Source ID", Value: e.SourceIdentity.ID},
		{Name: "Target system", Value: e.TargetSystem.DisplayName},
		{Name: "Target ID", Value: e.TargetIdentity.ID},
		{Name: "Mapping", Value: e.Mapping},
		{Name: "Initiated by", Value: e.InitiatorName},
		{Name: "Job ID", Value: e.JobID},
		{Name: "Cycle ID", Value: e.CycleID},
		{Name: "Change ID", Value: e.ChangeID},
	} {
		if f.Value != "" {
			list = append(list, f)
		}
	}
	return list
}
