package directorypages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/provision"
)

// planPage is the data of the view "plan": what the next cycle would do.
type planPage struct {
	console.Page
	Action  string
	Button  string
	Made    time.Time       // when the plan was made; zero if there is none
	Old     *console.Notice // says that the settings have changed since
	Problem *console.Notice // why there is no plan
	Cut     *console.Notice // why the plan is incomplete
	Figures []console.Fact
	Tabs    []console.Tab
	People  []plannedPerson
	Pager   console.Pager
	Empty   console.EmptyState
	Notes   []string
}

// keptPlan is a finished plan. Every operator who opens the page sees it.
type keptPlan struct {
	Made         time.Time
	Job          int64 // version of the job that the plan is for
	Report       provision.PlanReport
	Objects      []provision.PlannedObject // skipped users come last
	Interesting  int                       // number of users before the skipped ones
	Left         int                       // number of users that were not kept
	Problem, Cut *console.Notice
}

// plannedPerson is one user of a plan.
type plannedPerson struct {
	Name, UserName, URL string
	Badge               console.Badge
	Code, Reason        string
	Advice              string
	Changes             []plannedChange
}

type plannedChange struct{ Path, Old, New string }

const (
	// planPatience is how long a page waits for a plan. Each user costs a request to the target.
	planPatience = 20 * time.Second
	planKept     = time.Hour
	planShown    = 50     // users per page
	planObjects  = 20_000 // users that are kept of a plan
	plansKept    = 8
)

// showPlan shows the last plan. It sends no requests to the target: only the button makes a plan.
func (p *Pages) showPlan(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	now := p.Console.Options.Now()
	base := v.url("/provisioning/plan")
	pg := planPage{Page: v.page, Action: base, Button: "Make a plan"}
	pg.Title = "Plan"
	pg.Lead = "What the next cycle would do in " + v.App.Name + ", person by person. Making a plan reads both sides and changes nothing."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	plan, _ := p.plans.Get(v.key().String(), now).(*keptPlan)
	if plan == nil {
		pg.Empty = console.EmptyState{Icon: "list-checks", Title: "No plan yet", Text: "A plan asks " + v.App.Name + " about each person that the next cycle would look at. It is kept for an hour."}
		return p.show(w, r, http.StatusOK, "plan", pg)
	}
	pg.Button, pg.Made, pg.Problem, pg.Cut, pg.Notes = "Make it again", plan.Made, plan.Problem, plan.Cut, plan.Report.Notes
	if job.Version != plan.Job {
		pg.Old = &console.Notice{Tone: console.ToneWarning, Title: "The settings have changed since this plan was made", Text: "Make it again to see what they would do."}
	}
	if plan.Problem == nil {
		pg.fill(plan, base, r.URL.Query().Get("show") == "all")
		pg.addUsersPage(v, plan, base, r.URL.Query())
	}
	return p.show(w, r, http.StatusOK, "plan", pg)
}

// makePlan makes a plan within limits and keeps it for a while.
func (p *Pages) makePlan(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), planPatience)
	defer cancel()
	plan := &keptPlan{Job: job.Version}
	var skipped []provision.PlannedObject
	plan.Report, err = p.Engine.Plan(ctx, v.key(), func(o provision.PlannedObject) error {
		switch {
		case len(plan.Objects)+len(skipped) >= planObjects && o.Result == provision.Skipped:
			plan.Left++
		case o.Result == provision.Skipped:
			skipped = append(skipped, o)
		case len(plan.Objects) >= planObjects:
			plan.Left++
		default:
			plan.Objects = append(plan.Objects, o)
		}
		return nil
	})
	if err := plan.recordProblem(err, r.Context(), v); err != nil {
		return err
	}
	plan.Made, plan.Interesting, plan.Objects = p.Console.Options.Now(), len(plan.Objects), append(plan.Objects, skipped...)
	p.plans.MaxItems = plansKept
	p.plans.Put(v.key().String(), plan, plan.Made, planKept)
	return p.Console.Redirect(w, r, v.url("/provisioning/plan"), console.Notice{})
}

// recordProblem records why a plan failed or is incomplete. It returns errors that it cannot explain.
func (k *keptPlan) recordProblem(err error, request context.Context, v *appVisit) error {
	var (
		refusal *provision.TargetError
		input   *provision.InputError
	)
	switch {
	case err == nil:
	case errors.Is(err, context.DeadlineExceeded) && request.Err() == nil:
		k.Cut = &console.Notice{
			Tone: console.ToneWarning, Title: "This plan is not complete: it has the first " + console.PluralForms(k.Report.Read, "person", "people"),
			Text: "It was cut off after " + console.SpellDuration(planPatience) + ". The command line makes a plan of any size: " + fmt.Sprintf("rollcall provision plan %s %q", v.Directory.Name, v.App.Name) + ".",
		}
	case errors.As(err, &refusal):
		k.Problem = &console.Notice{Tone: console.ToneProblem, Title: "No plan can be made: the application cannot be asked", Text: refusedText(refusal)}
	case errors.As(err, &input):
		k.Problem = &console.Notice{Tone: console.ToneInfo, Title: "No plan can be made yet", Text: console.AsSentence(input.Field + " " + input.Text)}
	default:
		return err
	}
	return nil
}

func (p *planPage) fill(plan *keptPlan, base string, all bool) {
	p.StatusLine = "The next cycle is an incremental one: it looks at who changed."
	if plan.Report.Kind == provision.InitialCycle {
		p.StatusLine = "The next cycle is an initial one: it looks at everybody."
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
		{"Skip", report.Skips},
		{"Fail", report.Failures},
	} {
		p.Figures = append(p.Figures, console.Fact{Name: f.name, Value: console.GroupDigits(f.n)})
	}
	p.Tabs = []console.Tab{
		{Text: "Changes and problems", URL: base, Selected: !all, Count: console.GroupDigits(plan.Interesting)},
		{Text: "Everybody", URL: base + "?show=all", Selected: all, Count: console.GroupDigits(len(plan.Objects))},
	}
	p.Empty = console.EmptyState{Icon: "circle-check", Title: "Nothing to do", Text: "The next cycle would change nobody’s account."}
}

// addUsersPage adds one page of users.
func (p *planPage) addUsersPage(v *appVisit, plan *keptPlan, base string, form url.Values) {
	people, query := plan.Objects[:plan.Interesting], url.Values{}
	if form.Get("show") == "all" {
		people = plan.Objects
		query.Set("show", "all")
	}
	from, err := strconv.Atoi(form.Get("from"))
	if err != nil || from < 0 || from >= len(people) {
		from = 0
	}
	to := min(from+planShown, len(people))
	for _, o := range people[from:to] {
		p.People = append(p.People, v.plannedPerson(o))
	}
	if from > 0 {
		p.Pager.First = base
		if len(query) > 0 {
			p.Pager.First += "?" + query.Encode()
		}
	}
	if to < len(people) {
		query.Set("from", strconv.Itoa(to))
		p.Pager.Next = base + "?" + query.Encode()
	}
	if len(people) > planShown {
		p.Pager.Text = console.GroupDigits(from+1) + " to " + console.GroupDigits(to) + " of " + console.PluralForms(len(people), "person", "people")
	}
	if plan.Left > 0 {
		p.Pager.Text += ". " + console.PluralForms(plan.Left, "more was", "more were") + " not kept"
	}
}

func (v *appVisit) plannedPerson(o provision.PlannedObject) plannedPerson {
	one := plannedPerson{
		Name: o.DisplayName, UserName: o.UserName, URL: v.directoryVisit.url("users/" + o.ObjectID), Code: o.Code, Reason: o.Reason, Advice: o.Advice, Badge: actionBadge(o.Action, o.Result),
	}
	if one.Name == "" {
		one.Name = o.ObjectID
	}
	for _, c := range o.Changes {
		change := plannedChange{Path: c.Path, Old: valueText(c.Old), New: valueText(c.New)}
		if c.Drawn {
			change.New += " (an example: drawn when the account is created)"
		}
		one.Changes = append(one.Changes, change)
	}
	return one
}

// actionBadge returns the badge for an action and its result.
func actionBadge(a provision.Action, result provision.Result) console.Badge {
	b := console.Badge{Tone: console.ToneInfo, Text: actionName(a)}
	switch {
	case result == provision.Failure:
		return console.Badge{Tone: console.ToneProblem, Text: "Failure"}
	case result == provision.Skipped:
		return console.Badge{Tone: console.ToneQuiet, Text: "Skipped"}
	case a == provision.Disable:
		b.Tone = console.ToneWarning
	case a == provision.Delete:
		b.Tone = console.ToneProblem
	case a == provision.Create:
		b.Tone = console.ToneGood
	}
	return b
}

// actionName returns an action as Entra's portal writes it.
func actionName(a provision.Action) string {
	if a == "" {
		return ""
	}
	return strings.ToUpper(string(a[:1])) + string(a[1:])
}

// valueText formats a value for the page.
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
