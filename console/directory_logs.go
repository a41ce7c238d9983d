package console

import (
	"errors"
	"net/http"
	"net/url"
	"sort"
	"strconv"

	"github.com/rollcall-scim/rollcall/provision"
)

// logsPage is the view "directory_logs": the provisioning logs.
type logsPage struct {
	page
	Base     string
	Query    provision.LogQuery
	Results  []option
	Kinds    []option // of actions
	Rows     []entryRow
	Filtered bool // something is filtered
	Empty    emptyState
	Pager    pager
}

type entryRow struct {
	provision.LogEntry
	URL    string
	Badge  badge
	Action string
	Text   string
}

func (p *DirectoryPages) showLogs(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form := r.URL.Query()
	q := provision.LogQuery{
		Search: form.Get("search"), Status: provision.Result(form.Get("status")), Action: provision.Action(form.Get("action")),
		ObjectID: form.Get("object"), Cycle: form.Get("cycle"), Before: form.Get("before"), Limit: 50,
	}
	entries, next, err := p.Jobs.Logs(r.Context(), v.key(), q)
	if err != nil {
		return err
	}
	pg := logsPage{page: v.page, Base: v.url("/provisioning/logs"), Query: q, Filtered: logsURL("", q, "") != ""}
	pg.Title = "Provisioning logs"
	pg.Lead = "What the engine did for each person, step by step, the newest first."
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	pg.Results = options(string(q.Status), "Any status", provision.Success, provision.Failure, provision.Skipped, provision.Warning)
	pg.Kinds = options(string(q.Action), "Any action", provision.Create, provision.Update, provision.Disable, provision.Delete, provision.Other)
	for _, e := range entries {
		pg.Rows = append(pg.Rows, v.entryRow(e))
	}
	if next != "" {
		pg.Pager.Next = logsURL(pg.Base, q, next)
	}
	if q.Before != "" {
		pg.Pager.First = logsURL(pg.Base, q, "")
	}
	pg.Empty = emptyState{Icon: "scroll-text", Title: "Nothing logged yet", Text: "Each person whom a cycle looks at and has something to say about gets an entry here."}
	if pg.Filtered {
		pg.Empty = emptyState{Icon: "search", Title: "No entry fits", Text: "Choose fewer conditions.", Action: &action{Text: "Clear", URL: pg.Base}}
	}
	return p.Console.view(w, r, http.StatusOK, "directory_logs", pg)
}

func logsURL(base string, q provision.LogQuery, before string) string {
	form := url.Values{}
	for name, value := range map[string]string{
		"search": q.Search, "status": string(q.Status), "action": string(q.Action), "object": q.ObjectID, "cycle": q.Cycle, "before": before,
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

func options[T ~string](chosen, none string, values ...T) []option {
	list := []option{{Text: none, Here: chosen == ""}}
	for _, v := range values {
		list = append(list, option{Value: string(v), Text: actionName(provision.Action(v)), Here: chosen == string(v)})
	}
	return list
}

func (v *appVisit) entryRow(e provision.LogEntry) entryRow {
	return entryRow{LogEntry: e, URL: v.url("/provisioning/logs/" + url.PathEscape(e.ID)), Badge: entryBadge(e.Status.Status), Action: actionName(e.Action), Text: entryText(e)}
}

// entryText is an entry in one sentence: why, or what the last step said.
func entryText(e provision.LogEntry) string {
	if e.Status.Reason != "" {
		return e.Status.Reason
	}
	if n := len(e.Steps); n > 0 {
		return e.Steps[n-1].Description
	}
	return ""
}

func entryBadge(r provision.Result) badge {
	switch r {
	case provision.Success:
		return badge{Tone: ok, Text: "Success"}
	case provision.Failure:
		return badge{Tone: bad, Text: "Failure"}
	case provision.Warning:
		return badge{Tone: warn, Text: "Warning"}
	}
	return badge{Tone: quiet, Text: "Skipped"}
}

// logEntryPage is the view "directory_log": one entry with what Entra shows on four tabs.
type logEntryPage struct {
	page
	Entry    provision.LogEntry
	Action   string
	Steps    []logStep
	Modified []plannedChange
	Summary  []figure
	User     string // where the person is
	Same     string // the log of the same person
}

type logStep struct {
	Title   string
	Step    provision.Step
	Badge   badge
	Details []figure
}

func (p *DirectoryPages) showLogEntry(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	e, err := p.Jobs.Log(r.Context(), v.key(), r.PathValue("entry"))
	if errors.Is(err, provision.ErrNotFound) || errors.Is(err, provision.ErrNoJob) {
		return &pageError{Status: http.StatusNotFound, Title: "There is no such log entry", Text: "It may have been removed with age.", Action: &action{Text: "Provisioning logs", URL: v.url("/provisioning/logs")}}
	}
	if err != nil {
		return err
	}
	b := entryBadge(e.Status.Status)
	pg := logEntryPage{page: v.page, Entry: e, Action: actionName(e.Action), Summary: summary(e)}
	pg.Title, pg.Badge = e.SourceIdentity.DisplayName, &b
	if pg.Title == "" {
		pg.Title = e.SourceIdentity.ID
	}
	pg.StatusLine = sentence(entryText(e))
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Provisioning", URL: v.url("/provisioning")}, crumb{Text: "Provisioning logs", URL: v.url("/provisioning/logs")})
	if e.SourceIdentity.ID != "" {
		pg.User = v.directoryVisit.url("users/" + url.PathEscape(e.SourceIdentity.ID))
		pg.Same = logsURL(v.url("/provisioning/logs"), provision.LogQuery{ObjectID: e.SourceIdentity.ID}, "")
	}
	for _, s := range e.Steps {
		pg.Steps = append(pg.Steps, logStep{Title: stepTitle(s.Type), Step: s, Badge: entryBadge(s.Status), Details: details(s.Details)})
	}
	for _, m := range e.Modified {
		c := plannedChange{Path: m.DisplayName}
		if m.OldValue != nil {
			c.Old = *m.OldValue
		}
		if m.NewValue != nil {
			c.New = *m.NewValue
		}
		pg.Modified = append(pg.Modified, c)
	}
	return p.Console.view(w, r, http.StatusOK, "directory_log", pg)
}

// stepTitle is what a step does, in the words of Entra's on-demand page.
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

func details(m map[string]string) []figure {
	var list []figure
	for name, value := range m {
		list = append(list, figure{Name: name, Value: value})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

func summary(e provision.LogEntry) []figure {
	var list []figure
	for _, f := range []figure{
		{"Date", stamp(e.ActivityTime)},
		{"Action", actionName(e.Action)},
		{"Status", actionName(provision.Action(e.Status.Status))},
		{"Duration", strconv.FormatInt(e.DurationMillis, 10) + " ms"},
		{"Source system", e.SourceSystem.DisplayName},
		{"Source ID", e.SourceIdentity.ID},
		{"Target system", e.TargetSystem.DisplayName},
		{"Target ID", e.TargetIdentity.ID},
		{"Mapping", e.Mapping},
		{"Initiated by", e.InitiatorName},
		{"Job ID", e.JobID},
		{"Cycle ID", e.CycleID},
		{"Change ID", e.ChangeID},
	} {
		if f.Value != "" {
			list = append(list, f)
		}
	}
	return list
}
