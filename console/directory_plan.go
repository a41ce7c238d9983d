package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

// planPage is the view "directory_plan": what the next cycle would do.
type planPage struct {
	page
	Problem *notice // why there is no plan
	Cut     *notice // why it is not whole
	Figures []figure
	Tabs    []tab
	People  []plannedPerson
	Hidden  int
	Empty   emptyState
	Notes   []string
	Command string // makes the same plan on the command line
}

// plannedPerson is one person of a plan.
type plannedPerson struct {
	Name, UserName, URL string
	Badge               badge
	Code, Reason        string
	Advice              string
	Changes             []plannedChange
}

type plannedChange struct{ Path, Old, New string }

const (
	// planPatience is how long a page waits for a plan. Each person costs a request to the target.
	planPatience = 20 * time.Second
	planShown    = 200
)

func (p *DirectoryPages) showPlan(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Get(r.Context(), v.key()); err != nil {
		return p.noJob(w, r, v, err)
	}
	base := v.url("/provisioning/plan")
	all := r.URL.Query().Get("show") == "all"
	pg := planPage{page: v.page, Command: fmt.Sprintf("rollcall provision plan %s %q", v.Directory.Name, v.App.Name)}
	pg.Title = "Plan"
	pg.Lead = "What the next cycle would do in " + v.App.Name + ", person by person. Making a plan reads both sides and changes nothing."
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	pg.Actions = []action{{Text: "Make it again", Icon: "refresh-cw", URL: base}}
	ctx, cancel := context.WithTimeout(r.Context(), planPatience)
	defer cancel()
	report, err := p.Engine.Plan(ctx, v.key(), func(o provision.PlannedObject) error {
		if !all && o.Result == provision.Skipped {
			return nil
		}
		if len(pg.People) == planShown {
			pg.Hidden++
			return nil
		}
		pg.People = append(pg.People, v.plannedPerson(o))
		return nil
	})
	if err := pg.explain(err, r.Context()); err != nil {
		return err
	}
	pg.Notes = report.Notes
	pg.fill(report, base, all)
	return p.Console.view(w, r, http.StatusOK, "directory_plan", pg)
}

// explain puts what kept the plan from being made on the page.
func (p *planPage) explain(err error, request context.Context) error {
	var (
		refusal *provision.TargetError
		input   *provision.InputError
	)
	switch {
	case err == nil:
	case errors.Is(err, context.DeadlineExceeded) && request.Err() == nil:
		p.Cut = &notice{Tone: warn, Title: "This plan is not complete", Text: "It was cut off after " + spell(planPatience) + ", because there are so many people. The command line makes a plan of any size: " + p.Command + "."}
	case errors.As(err, &refusal):
		p.Problem = &notice{Tone: bad, Title: "No plan can be made: the application cannot be asked", Text: refusedText(refusal)}
	case errors.As(err, &input):
		p.Problem = &notice{Tone: info, Title: "No plan can be made yet", Text: sentence(input.Field + " " + input.Text)}
	default:
		return err
	}
	return nil
}

func (p *planPage) fill(report provision.PlanReport, base string, all bool) {
	p.StatusLine = "The next cycle is an incremental one: it looks at who changed."
	if report.Kind == provision.InitialCycle {
		p.StatusLine = "The next cycle is an initial one: it looks at everybody."
	}
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
		p.Figures = append(p.Figures, figure{Name: f.name, Value: strconv.Itoa(f.n)})
	}
	p.Tabs = []tab{
		{Text: "Changes and problems", URL: base, Here: !all},
		{Text: "Everybody", URL: base + "?show=all", Here: all},
	}
	p.Empty = emptyState{Icon: "circle-check", Title: "Nothing to do", Text: "The next cycle would change nobody’s account."}
}

func (v *appVisit) plannedPerson(o provision.PlannedObject) plannedPerson {
	one := plannedPerson{
		Name: o.DisplayName, UserName: o.UserName, URL: v.directoryVisit.url("users/" + o.ObjectID), Code: o.Code, Reason: o.Reason, Advice: o.Advice, Badge: actionBadge(o.Action, o.Result),
	}
	if one.Name == "" {
		one.Name = o.ObjectID
	}
	for _, c := range o.Changes {
		one.Changes = append(one.Changes, plannedChange{Path: c.Path, Old: valueText(c.Old), New: valueText(c.New)})
	}
	return one
}

// actionBadge says what is done, or why it is not.
func actionBadge(a provision.Action, result provision.Result) badge {
	b := badge{Tone: info, Text: actionName(a)}
	switch {
	case result == provision.Failure:
		return badge{Tone: bad, Text: "Failure"}
	case result == provision.Skipped:
		return badge{Tone: quiet, Text: "Skipped"}
	case a == provision.Disable:
		b.Tone = warn
	case a == provision.Delete:
		b.Tone = bad
	case a == provision.Create:
		b.Tone = ok
	}
	return b
}

// actionName is an action as Entra's portal writes it.
func actionName(a provision.Action) string {
	if a == "" {
		return ""
	}
	return strings.ToUpper(string(a[:1])) + string(a[1:])
}

// valueText prints a value for people.
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
