package directorypages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/provision"
)

// planPage is the data of the view "plan", which shows a saved plan.
type planPage struct {
	console.Page
	PageURL        string
	ButtonText     string // text of the button that makes a plan
	State          console.Badge
	Hash           string          // the first characters of the plan's hash; empty until the plan is complete
	MadeBy         string          // the actor who made the plan
	StartedAt      time.Time       // when the server began to make the plan; zero if there is no plan
	Expires        time.Time       // until when the plan can be approved and applied; zero if it can no longer be approved or applied
	ApprovedBy     string          // the actor who approved the plan; empty if it is not approved
	PollURL        string          // address that the page polls while the server makes or applies the plan, if there is no event stream; empty otherwise
	StreamURL      string          // address of the event stream with the progress
	Progress       string          // says how much of the plan has been made or applied
	ApprovalNotice *console.Notice // says that another operator has to approve the plan; may be nil
	OutdatedNotice *console.Notice // says that the settings have changed since the plan was made; may be nil
	ProblemNotice  *console.Notice // says why no plan could be made; may be nil
	ResultNotice   *console.Notice // says how many operations of the plan were sent, failed or were left out; may be nil
	Decisions      []planDecision  // the decisions that are possible about the plan
	Counts         []console.Fact
	Tabs           []console.Tab
	Rows           []plannedRow
	Pager          console.Pager
	Empty          console.EmptyState
	Notes          []string
}

// planDecision is a button that leads to a question about the plan, such as whether to approve it.
type planDecision struct {
	Text, Icon, URL string
	IsPrimary       bool
}

// plannedRow shows what a plan does for one user or group.
type plannedRow struct {
	Name, UserName, URL      string
	Badge                    console.Badge
	Code                     string // why nothing would be sent, as a code; empty if something would be sent
	Reason                   string // the meaning of Code, or the values that an undo does not restore
	Advice                   string
	Changes                  []attributeChange
	Outcome                  string // the result of the operation; empty if the plan was not applied
	OutcomeTone              console.Tone
	AddedNames, RemovedNames []string // names of the members that the plan adds to the group or removes from it
	MoreMembersText          string   // says how many further members there are; may be empty
	MemberOutcomes           []memberOutcome
}

// memberOutcome says why a planned change of a member was not sent.
type memberOutcome struct{ Name, Text string }

// attributeChange shows a planned change of one attribute.
type attributeChange struct{ Path, Old, New string }

// maxMembersShown is how many members of one group the page shows at most.
const maxMembersShown = 100

const (
	// maxPlanWait is how long a request waits, at most, for a plan that the server makes or applies
	// in the background.
	maxPlanWait       = 2 * time.Second
	plannedRowsOnPage = 50 // how many users and groups one page shows
)

// showPlan shows a saved plan: the plan that the address names, or else the newest. It sends no
// requests to the target, unlike makePlan.
func (p *Pages) showPlan(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Get(r.Context(), v.jobKey()); err != nil {
		return p.handleJobError(w, r, v, err)
	}
	pg, err := p.buildPlanPage(r.Context(), v, r.URL.Query())
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "plan", pg)
}

// streamPlan sends the page's plan as server-sent events while the server makes or applies it.
func (p *Pages) streamPlan(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Get(r.Context(), v.jobKey()); errors.Is(err, provision.ErrNoJob) {
		return console.ErrNotFound
	} else if err != nil {
		return err
	}
	form := r.URL.Query()
	return p.stream(w, r, v, v.url("/provisioning/plan/stream?")+form.Encode(), func(ctx context.Context) (livePart, error) {
		pg, err := p.buildPlanPage(ctx, v, form)
		if err != nil {
			return livePart{}, err
		}
		html, err := p.views().Live("plan", pg)
		return livePart{HTML: html, IsLast: pg.PollURL == ""}, err
	})
}

// buildPlanPage returns the page with the plan that the form names, or else with the newest plan.
func (p *Pages) buildPlanPage(ctx context.Context, v *appVisit, form url.Values) (*planPage, error) {
	base := v.url("/provisioning/plan")
	pg := &planPage{Page: v.page, PageURL: base, ButtonText: "Make a plan"}
	pg.Title = "Plan"
	pg.Lead = "What the next cycle would do in " + v.App.Name + ", person by person. Making a plan reads both sides and changes nothing. An approved plan is applied exactly, or not at all."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	plan, err := p.Engine.FindPlan(ctx, v.jobKey(), form.Get("plan"))
	var input *provision.InputError
	switch {
	case errors.Is(err, provision.ErrNoPlan), errors.As(err, &input):
		pg.Empty = console.EmptyState{Icon: "list-checks", Title: "No plan yet", Text: "A plan asks " + v.App.Name + " about each person that the next cycle would look at. It is kept for a day."}
		return pg, nil
	case err != nil:
		return nil, err
	}
	counts, err := p.Engine.PlanCounts(ctx, plan)
	if err != nil {
		return nil, err
	}
	pg.ButtonText, pg.Notes = "Make it again", plan.Report.Notes
	pg.fillState(v, plan, counts, p.Engine.OutOfDate(ctx, plan), p.Engine.CheckApprover(ctx, plan, v.actorLabel()))
	if plan.State == provision.PlanMaking || plan.State == provision.PlanApplying {
		pg.PollURL = base + "?" + form.Encode()
		pg.StreamURL = base + "/stream?" + form.Encode()
	}
	if plan.State == provision.PlanMaking || plan.State == provision.PlanBroken {
		return pg, nil
	}
	return pg, p.addPlannedRows(ctx, v, pg, plan, counts, form)
}

// fillState sets the fields that show the state of the plan, and which decisions are possible.
// cannotApprove says why the operator who looks at the page cannot approve it; nil if the operator
// can.
func (pg *planPage) fillState(v *appVisit, plan provision.StoredPlan, counts provision.PlanCounts, outOfDate, cannotApprove error) {
	pg.Hash, pg.MadeBy, pg.StartedAt = plan.Short(), console.ActorName(plan.MadeBy), plan.Started
	pg.State = console.Badge{Tone: console.ToneInfo, Text: actionName(provision.Action(plan.State))}
	if plan.ApprovedBy != "" {
		pg.ApprovedBy = console.ActorName(plan.ApprovedBy)
	}
	step := func(text, icon, do string, primary bool) {
		pg.Decisions = append(pg.Decisions, planDecision{Text: text, Icon: icon, IsPrimary: primary, URL: v.url("/provisioning/plan/decide") + "?" + url.Values{"plan": {plan.ID}, "do": {do}}.Encode()})
	}
	done := fmt.Sprintf("%s sent, %s failed, %s left out because something had changed.", console.GroupDigits(counts.Sent), console.GroupDigits(counts.Failed), console.GroupDigits(counts.LeftOut))
	if counts.MembersSent+counts.MembersFailed+counts.MembersLeftOut > 0 {
		done += fmt.Sprintf(" Members of groups: %s sent, %s failed, %s left out.", console.GroupDigits(counts.MembersSent), console.GroupDigits(counts.MembersFailed), console.GroupDigits(counts.MembersLeftOut))
	}
	switch plan.State {
	case provision.PlanMaking:
		pg.Progress = "The plan is being made. " + console.PluralForms(plan.Report.Read, "person was", "people were") + " looked at so far"
		if read := plan.Report.AccountsRead; read > 0 {
			pg.Progress += ", and " + console.PluralForms(read, "account was", "accounts were") + " read from the application's list"
		}
		pg.Progress += ". You can leave this page."
		step("Cancel", "x", cancelPlan, false)
	case provision.PlanBroken:
		pg.State.Tone = console.ToneProblem
		pg.ProblemNotice = &console.Notice{Tone: console.ToneProblem, Title: "No plan could be made", Text: plan.Problem}
	case provision.PlanReady, provision.PlanApproved:
		if outOfDate != nil {
			pg.OutdatedNotice = &console.Notice{Tone: console.ToneWarning, Title: "This plan cannot be applied any more", Text: console.AsSentence(outOfDate.Error()) + " Make it again to see what would be done now."}
			return
		}
		pg.Expires = plan.Expires
		if !plan.Report.SomethingToDo() {
			return
		}
		switch {
		case plan.State == provision.PlanReady && cannotApprove != nil:
			pg.ApprovalNotice = &console.Notice{Tone: console.ToneInfo, Title: "Another operator has to approve this plan", Text: console.AsSentence(cannotApprove.Error())}
		case plan.State == provision.PlanReady:
			step("Approve…", "check", approvePlan, true)
		default:
			pg.State.Tone = console.ToneGood
			step("Apply…", "send", applyPlan, true)
		}
		step("Cancel", "x", cancelPlan, false)
	case provision.PlanApplying:
		pg.Progress = "The plan is being applied. " + done + " " + console.PluralForms(counts.Due, "operation is", "operations are") + " left."
		step("Go on", "send", applyPlan, false)
		step("Cancel", "x", cancelPlan, false)
	case provision.PlanApplied:
		pg.State.Tone = console.ToneGood
		pg.ResultNotice = &console.Notice{Tone: console.ToneGood, Title: "This plan was applied by " + console.ActorName(plan.AppliedBy), Text: done}
		if counts.Failed+counts.LeftOut+counts.MembersFailed+counts.MembersLeftOut > 0 {
			pg.ResultNotice.Tone = console.ToneWarning
		}
		if counts.Sent > 0 {
			pg.Decisions = append(pg.Decisions, planDecision{Text: "Take back…", Icon: "rotate-ccw", URL: v.undoURL(provision.Undo{Plan: plan.Hash})})
		}
	case provision.PlanCancelled:
		pg.State.Tone = console.ToneQuiet
	}
}

// addPlannedRows adds the plan's numbers, and one page of its users and groups.
func (p *Pages) addPlannedRows(ctx context.Context, v *appVisit, pg *planPage, plan provision.StoredPlan, counts provision.PlanCounts, form url.Values) error {
	pg.StatusLine = "The next cycle is an incremental one: it looks at who changed."
	nothing := "The next cycle would change no account."
	switch plan.Report.Kind {
	case provision.InitialCycle:
		pg.StatusLine = "The next cycle is an initial one: it looks at everybody."
	case provision.ReassertPlan:
		pg.StatusLine = "This plan gives accounts that somebody changed the values of the mapping again."
		nothing = "The accounts have the values of the mapping."
	case provision.DisablePlan:
		pg.StatusLine = "This plan disables accounts that no user of the directory matches."
		nothing = "No account would be disabled."
	case provision.UndoPlan:
		pg.StatusLine = "This plan gives accounts the values that they had before."
		nothing = "The accounts have the values that they had before."
	}
	report := plan.Report
	for _, f := range []struct {
		name string
		n    int
	}{
		{"Looked at", report.Read},
		{"Create", report.Creates},
		{"Update", report.Updates},
		{"Disable", report.Disables},
		{"Delete", report.Deletes},
		{"On hold", report.OnHold},
		{"Skip", report.Skips - report.OnHold},
		{"Fail", report.Failures},
		{"Left as they are", report.NotUndone},
		{"Add members", report.MembersAdded},
		{"Remove members", report.MembersRemoved},
		{"Members on hold", report.MembersOnHold},
		{"Set managers", report.References},
	} {
		// Some numbers are shown only if they are not zero, because many jobs have no groups and
		// managers, and few plans have operations on hold or take something back.
		always := f.name != "On hold" && f.name != "Left as they are" && !strings.Contains(strings.ToLower(f.name), "members") && !strings.HasSuffix(f.name, "managers")
		if always || f.n > 0 {
			pg.Counts = append(pg.Counts, console.Fact{Name: f.name, Value: console.GroupDigits(f.n)})
		}
	}
	all := form.Get("show") == "all"
	query := func(all bool, after, from int) string {
		q := url.Values{"plan": {plan.ID}}
		if all {
			q.Set("show", "all")
		}
		if after > 0 {
			q.Set("after", strconv.Itoa(after))
			q.Set("from", strconv.Itoa(from))
		}
		return pg.PageURL + "?" + q.Encode()
	}
	pg.Tabs = []console.Tab{
		{Text: "Changes and problems", URL: query(false, 0, 0), Selected: !all, Count: console.GroupDigits(counts.Shown)},
		{Text: "Everybody", URL: query(true, 0, 0), Selected: all, Count: console.GroupDigits(counts.Listed)},
	}
	pg.Empty = console.EmptyState{Icon: "circle-check", Title: "Nothing to do", Text: nothing}
	after, err := strconv.Atoi(form.Get("after"))
	if err != nil || after < 0 {
		after = 0
	}
	total := counts.Shown
	if all {
		total = counts.Listed
	}
	from, err := strconv.Atoi(form.Get("from")) // how many rows the previous pages show
	if err != nil || from < 0 || from >= total || after == 0 {
		from = 0
	}
	rows, err := p.Engine.PlannedRows(ctx, plan, provision.PlanFilter{All: all, After: after, Limit: plannedRowsOnPage + 1, Names: maxMembersShown})
	if err != nil {
		return err
	}
	if len(rows) > plannedRowsOnPage {
		rows = rows[:plannedRowsOnPage]
		pg.Pager.NextURL = query(all, rows[plannedRowsOnPage-1].Number, from+plannedRowsOnPage)
	}
	if after > 0 {
		pg.Pager.FirstURL = query(all, 0, 0)
	}
	if total > plannedRowsOnPage {
		pg.Pager.Text = console.GroupDigits(from+1) + " to " + console.GroupDigits(from+len(rows)) + " of " + console.PluralForms(total, "person", "people")
	}
	for _, row := range rows {
		pg.Rows = append(pg.Rows, v.newPlannedRowWithOutcome(row))
	}
	return nil
}

// newPlannedRowWithOutcome is like newPlannedRow, but also shows what became of the operation.
func (v *appVisit) newPlannedRowWithOutcome(row provision.PlannedRow) plannedRow {
	one := v.newPlannedRow(row.PlannedObject)
	switch row.Outcome {
	case provision.PlanDue:
		one.Outcome, one.OutcomeTone = strings.TrimSpace("Not sent yet. "+row.OutcomeText), console.ToneInfo
	case provision.PlanSent:
		one.Outcome, one.OutcomeTone = "Sent.", console.ToneGood
	case provision.PlanFailed:
		one.Outcome, one.OutcomeTone = "Failed: "+row.OutcomeText, console.ToneProblem
		if row.OutcomeText == "" {
			one.Outcome = "Some members could not be changed."
		}
	case provision.PlanLeftOut:
		one.Outcome, one.OutcomeTone = "Left out: "+row.OutcomeText, console.ToneWarning
		if row.OutcomeText == "" {
			one.Outcome = "Some members were left out because something had changed."
		}
	case provision.PlanNotBegun:
		one.Outcome, one.OutcomeTone = "Cancelled before it was sent.", console.ToneQuiet
	}
	for _, members := range [][]provision.PlannedMember{row.Removed, row.Added} {
		for _, m := range members {
			switch {
			case len(one.MemberOutcomes) == maxMembersShown:
			case m.Outcome == provision.PlanFailed:
				one.MemberOutcomes = append(one.MemberOutcomes, memberOutcome{Name: m.DisplayName, Text: "failed: " + m.OutcomeText})
			case m.Outcome == provision.PlanLeftOut:
				one.MemberOutcomes = append(one.MemberOutcomes, memberOutcome{Name: m.DisplayName, Text: "left out: " + m.OutcomeText})
			}
		}
	}
	return one
}

// runInBackground calls do in a new goroutine and waits until it returns, at most maxPlanWait. If
// do takes longer, it continues after the response. Its context ends when the server ends.
func (p *Pages) runInBackground(do func(ctx context.Context)) {
	ctx := p.Lifetime
	if ctx == nil {
		ctx = context.Background()
	}
	done := make(chan struct{})
	p.background.Go(func() {
		defer close(done)
		do(ctx)
	})
	select {
	case <-done:
	case <-time.After(maxPlanWait):
	}
}

// WaitForBackground waits until all background work of the pages has ended.
func (p *Pages) WaitForBackground() { p.background.Wait() }

// makePlan begins a new plan, makes it in the background, and redirects to its page.
func (p *Pages) makePlan(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	base := v.url("/provisioning/plan")
	plan, err := p.Engine.BeginPlan(r.Context(), v.jobKey(), v.actorLabel())
	var input *provision.InputError
	switch {
	case errors.As(err, &input):
		return p.Console.Redirect(w, r, base, console.Notice{Tone: console.ToneWarning, Title: "No plan was begun.", Text: console.AsSentence(input.Error())})
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	p.runInBackground(func(ctx context.Context) {
		if _, err := p.Engine.FillPlan(ctx, plan, nil); err != nil {
			p.Console.Options.Log.Info("plan", "job", v.jobKey().String(), "error", err) // the page of the plan shows the error too
		}
	})
	return p.Console.Redirect(w, r, base, console.Notice{})
}

// The possible decisions about a plan.
const (
	approvePlan = "approve"
	applyPlan   = "apply"
	cancelPlan  = "cancel"
)

// askPlanDecision asks for confirmation before a plan is approved, applied or cancelled.
func (p *Pages) askPlanDecision(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form := r.URL.Query()
	base := v.url("/provisioning/plan")
	plan, err := p.Engine.FindPlan(r.Context(), v.jobKey(), form.Get("plan"))
	var input *provision.InputError
	switch {
	case errors.Is(err, provision.ErrNoPlan), errors.As(err, &input):
		return p.Console.Redirect(w, r, base, console.Notice{Tone: console.ToneWarning, Title: "Nothing was decided.", Text: "This plan is not kept any more."})
	case err != nil:
		return err
	}
	report := plan.Report
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("/provisioning/plan/decide"), CancelURL: base + "?" + url.Values{"plan": {plan.ID}}.Encode(),
		Fields: []console.HiddenField{{Name: "plan", Value: plan.ID}, {Name: "do", Value: form.Get("do")}},
	}
	operations := console.PluralForms(report.Operations(), "operation", "operations")
	if report.Operations() == 0 {
		operations = "this plan"
	}
	var consequences []string
	for _, line := range []struct {
		n         int
		one, many string
	}{
		{report.Creates, "account will be created", "accounts will be created"},
		{report.Updates, "account will be updated", "accounts will be updated"},
		{report.Disables, "account will be disabled", "accounts will be disabled"},
		{report.Deletes, "account will be deleted", "accounts will be deleted"},
		{report.OnHold, "operation that the guard holds will be sent: it disables or deletes an account", "operations that the guard holds will be sent: they disable or delete accounts"},
		{report.MembersAdded, "member will be added to a group", "members will be added to groups"},
		{report.MembersRemoved, "member will be removed from a group", "members will be removed from groups"},
		{report.MembersOnHold, "removal of a member that the guard holds will be sent", "removals of members that the guard holds will be sent"},
		{report.References, "manager will be set or removed", "managers will be set or removed"},
	} {
		if line.n > 0 {
			consequences = append(consequences, console.PluralForms(line.n, line.one, line.many)+" at "+v.App.Name+".")
		}
	}
	switch form.Get("do") {
	case approvePlan:
		pg.Title, pg.Button = "Approve this plan?", "Approve "+operations
		pg.IsDangerous = report.Disables+report.Deletes+report.OnHold+report.MembersRemoved+report.MembersOnHold > 0
		pg.Consequences = append(consequences, "Nothing is sent before the plan is applied.")
		pg.Undo = "You can cancel the plan until it is applied."
	case applyPlan:
		pg.Title, pg.Button = "Apply this plan?", "Apply "+operations
		pg.IsDangerous = report.Disables+report.Deletes+report.OnHold+report.MembersRemoved+report.MembersOnHold > 0
		pg.Consequences = append(consequences, "Exactly these are sent. A person or a member of a group that has changed since the plan was made is left out and named.")
		pg.Undo = "What was sent stays sent. Operations that were not sent yet can still be cancelled."
	default:
		pg.Title, pg.Button, pg.IsDangerous = "Cancel this plan?", "Cancel the plan", true
		pg.Consequences = []string{"Operations of this plan that were not sent yet are not sent.", "The next cycle looks at these people as if there had been no plan."}
		pg.Undo = "Make another plan."
	}
	pg.Narrow = true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: "Plan", URL: pg.CancelURL})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// decidePlan approves, applies or cancels a plan.
func (p *Pages) decidePlan(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	id, ctx := r.PostForm.Get("plan"), r.Context()
	back := v.url("/provisioning/plan") + "?" + url.Values{"plan": {id}}.Encode()
	var err error
	var done string
	switch r.PostForm.Get("do") {
	case approvePlan:
		_, err = p.Engine.ApprovePlan(ctx, v.jobKey(), id, v.actorLabel())
		done = "The plan is approved. Nothing was sent yet."
	case applyPlan:
		err = p.applyPlan(ctx, v, id)
	case cancelPlan:
		_, err = p.Engine.CancelPlan(ctx, v.jobKey(), id, v.actorLabel())
		done = "The plan is cancelled."
	default:
		err = &provision.InputError{Field: "Plan", Text: "can be approved, applied or cancelled"}
	}
	var input *provision.InputError
	switch {
	case errors.As(err, &input), errors.Is(err, provision.ErrNoPlan), errors.Is(err, provision.ErrChanged):
		return p.Console.Redirect(w, r, back, console.Notice{Tone: console.ToneWarning, Title: "Nothing was decided.", Text: console.AsSentence(err.Error())})
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	notice := console.Notice{}
	if done != "" {
		notice = console.DoneNotice(done)
	}
	return p.Console.Redirect(w, r, back, notice)
}

// applyPlan applies a plan in the background. It returns only errors that occur within maxPlanWait.
func (p *Pages) applyPlan(ctx context.Context, v *appVisit, id string) error {
	if err := p.Engine.CanApply(ctx, v.jobKey(), id); err != nil {
		return err
	}
	var mu sync.Mutex
	var failed error
	p.runInBackground(func(ctx context.Context) {
		_, _, err := p.Engine.ApplyPlan(ctx, v.jobKey(), id, p.Owner, v.actorLabel(), nil)
		mu.Lock()
		defer mu.Unlock()
		if failed = err; err != nil {
			p.Console.Options.Log.Info("apply plan", "job", v.jobKey().String(), "error", err)
		}
	})
	mu.Lock()
	defer mu.Unlock()
	var refusal *provision.TargetError
	if errors.As(failed, &refusal) {
		return &provision.InputError{Field: "The plan", Text: "could not be applied yet: " + refusalText(refusal)}
	}
	return failed
}

func (v *appVisit) newPlannedRow(o provision.PlannedObject) plannedRow {
	one := plannedRow{
		Name: o.DisplayName, UserName: o.UserName, URL: v.directoryVisit.url("users/" + o.ObjectID), Code: o.Code, Reason: o.Reason, Advice: o.Advice, Badge: actionBadge(o.Action, o.Result),
	}
	if one.Name == "" {
		one.Name = o.ObjectID
	}
	if o.Kind == provision.GroupKind {
		one.URL = v.directoryVisit.url("groups/" + o.ObjectID)
	}
	if account, is := provision.AccountOfWork(o.ObjectID); is {
		one.URL = v.discoveredAccountURL(provision.UserKind, account)
	}
	one.addMembers(o)
	for _, c := range o.Changes {
		change := attributeChange{Path: c.Path, Old: valueText(c.Old), New: valueText(c.New)}
		if c.Drawn {
			change.New += " (an example: drawn when the account is created)"
		}
		one.Changes = append(one.Changes, change)
	}
	return one
}

// addMembers adds to the row the names of the members that the plan adds to the group or removes
// from it.
func (p *plannedRow) addMembers(o provision.PlannedObject) {
	left := maxMembersShown
	names := func(members []provision.PlannedMember) (names []string) {
		for _, m := range members[:min(len(members), left)] {
			names = append(names, m.DisplayName)
		}
		left -= len(names)
		return names
	}
	p.AddedNames, p.RemovedNames = names(o.Added), names(o.Removed)
	if hidden := len(o.Added) + len(o.Removed) - len(p.AddedNames) - len(p.RemovedNames); hidden > 0 {
		p.MoreMembersText = console.PluralForms(hidden, "more member", "more members")
	}
}

// actionBadge returns the badge for an action and its result.
func actionBadge(a provision.Action, result provision.Result) console.Badge {
	b := console.Badge{Tone: console.ToneInfo, Text: actionName(a)}
	switch {
	case result == provision.Failure:
		return console.Badge{Tone: console.ToneProblem, Text: "Failure"}
	case result == provision.Skipped:
		return console.Badge{Tone: console.ToneQuiet, Text: "Skipped"}
	case result == provision.Warning && a == provision.Other:
		return console.Badge{Tone: console.ToneWarning, Text: "Left as it is"}
	case a == provision.Disable:
		b.Tone = console.ToneWarning
	case a == provision.Delete:
		b.Tone = console.ToneProblem
	case a == provision.Create:
		b.Tone = console.ToneGood
	}
	return b
}

// actionName returns the name of an action as Entra's portal shows it, with a capital letter.
func actionName(a provision.Action) string {
	if a == "" {
		return ""
	}
	return strings.ToUpper(string(a[:1])) + string(a[1:])
}

// valueText returns the value of an attribute as text for the page.
func valueText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = valueText(e)
		}
		return strings.Join(parts, "; ")
	}
	return fmt.Sprint(value)
}
