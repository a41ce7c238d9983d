package directorypages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

// driftPage is the data of the view "drift". It lists the accounts and groups that somebody changed
// at the application since provisioning wrote them.
type driftPage struct {
	console.Page
	PageURL       string
	PollURL       string // address that the page polls while a comparison is under way; empty otherwise
	Progress      string // says that a comparison is under way; empty if none is
	ProblemNotice *console.Notice
	DoneNotice    *console.Notice // what the policy did after the last scheduled comparison; may be nil
	ButtonText    string          // text of the button that starts a comparison
	Report        provision.DriftReport
	ReportedBy    string
	Counts        []console.Fact
	Rows          []driftRow
	Pager         console.Pager
	Empty         console.EmptyState
	CanCorrect    bool // whether there are values that a plan can write again, or that can be adopted
	Intervals     []console.Choice
	Policies      []console.Choice
	StartValues   []console.HiddenField
	NextText      string // says when the next scheduled comparison is due; empty if there is none
}

// driftRow shows an account or group that differs.
type driftRow struct {
	ID        string // the object id
	Name, URL string
	TargetID  string // the id at the application
	Badge     console.Badge
	Changes   []attributeChange
	Members   []string // what differs about members, in words
	CanAdopt  bool
}

const (
	driftRowsOnPage = 50
	// maxDriftMembers is how many members of a group the page names at most.
	maxDriftMembers = 20
)

func (v *appVisit) driftURL() string { return v.url("/provisioning/drift") }

// driftFields returns the fields of the form for the schedule.
func driftFields() []console.EditField {
	intervals, policies := map[string]string{}, map[string]string{}
	for _, i := range provision.DriftIntervals() {
		intervals[string(i)] = i.Words()
	}
	for _, p := range provision.DriftPolicies() {
		policies[string(p)] = p.Words()
	}
	return []console.EditField{console.ChoiceField("every", "How often", intervals), console.ChoiceField("policy", "What happens then", policies)}
}

// driftValues returns the saved values of the form for the schedule.
func driftValues(s provision.DriftSchedule) map[string]string {
	return map[string]string{"every": string(s.Every), "policy": string(s.Policy)}
}

// driftPolicyHelp says what each policy does.
func driftPolicyHelp(p provision.DriftPolicy) string {
	switch p {
	case provision.DriftReasserts:
		return "A plan gives the accounts the values of the mapping again, and is applied at once. Members that somebody removed from a group are added again. What takes access away, such as disabling an account or removing a member that somebody added, is in another plan that waits for you."
	case provision.DriftAdopts:
		return "The values at the application stay, until the mapping yields another value than before. An account that provisioning blocked stays in the list if somebody enabled it again."
	}
	return "The differences are listed here, and an event is written."
}

func (p *Pages) showDrift(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Get(r.Context(), v.jobKey()); err != nil {
		return p.handleJobError(w, r, v, err)
	}
	pg := driftPage{Page: v.page, PageURL: v.driftURL(), ButtonText: "Compare now"}
	pg.Title = "Drift"
	pg.Lead = "What somebody changed at " + v.App.Name + " since provisioning wrote it. A comparison reads all accounts and groups, and changes nothing."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	schedule, err := p.Engine.Drifts.DriftSchedule(r.Context(), v.jobKey())
	if err != nil {
		return err
	}
	if pg.Report, err = p.Engine.Drifts.LastDrift(r.Context(), v.jobKey()); err != nil {
		return err
	}
	pg.fillSchedule(schedule)
	if pg.Report.ID == "" {
		pg.Empty = console.EmptyState{Icon: "list-checks", Title: "No comparison yet", Text: "A comparison names each attribute with the value that was written and the value of now, members that somebody added or removed, and accounts that are gone."}
		return p.show(w, r, http.StatusOK, "drift", pg)
	}
	if next := schedule.NextComparison(p.Console.Options.Now()); !next.IsZero() && schedule.Asked.IsZero() {
		pg.NextText = "The next scheduled comparison is due " + console.RelativeTime(next, p.Console.Options.Now()) + "."
	}
	return p.listDrift(w, r, v, pg)
}

// fillSchedule adds the form for the schedule, and says how the comparison is going.
func (pg *driftPage) fillSchedule(s provision.DriftSchedule) {
	pg.StartValues = console.StartValueFields(driftFields(), driftValues(s))
	for _, i := range provision.DriftIntervals() {
		pg.Intervals = append(pg.Intervals, console.Choice{Name: "every", Value: string(i), Text: i.Words(), Checked: i == s.Every})
	}
	for _, one := range provision.DriftPolicies() {
		pg.Policies = append(pg.Policies, console.Choice{Name: "policy", Value: string(one), Text: one.Words(), Help: driftPolicyHelp(one), Checked: one == s.Policy})
	}
	switch {
	case s.Problem != "":
		pg.ProblemNotice = &console.Notice{Tone: console.ToneProblem, Title: "The last comparison failed", Text: s.Problem}
	case !s.Asked.IsZero() || !s.Started.IsZero():
		pg.PollURL, pg.Progress = pg.PageURL, "The application is being compared. You can leave this page."
	}
	if s.Done != "" {
		pg.DoneNotice = &console.Notice{Tone: console.ToneInfo, Text: s.Done}
	}
}

// listDrift shows one page of the differences.
func (p *Pages) listDrift(w http.ResponseWriter, r *http.Request, v *appVisit, pg driftPage) error {
	n := pg.Report
	pg.ReportedBy = console.ActorName(n.By)
	for _, f := range []struct {
		name string
		n    int
	}{
		{"Accounts", n.Accounts},
		{"Groups", n.Groups},
		{"Managed", n.Linked},
		{"Changed", n.Changed},
		{"Gone", n.Gone},
		{"Memberships", n.Members},
	} {
		pg.Counts = append(pg.Counts, console.Fact{Name: f.name, Value: console.GroupDigits(f.n)})
	}
	after := r.URL.Query().Get("after")
	page, err := p.Engine.Drifts.ListDrift(r.Context(), v.jobKey(), phrase.Storable(after), driftRowsOnPage+1)
	if err != nil {
		return err
	}
	if after != "" {
		pg.Pager.FirstURL = pg.PageURL
	}
	if len(page) > driftRowsOnPage {
		page = page[:driftRowsOnPage]
		pg.Pager.NextURL = pg.PageURL + "?" + url.Values{"after": {page[driftRowsOnPage-1].ObjectID}}.Encode()
	}
	for _, d := range page {
		row := v.newDriftRow(d)
		pg.CanCorrect = pg.CanCorrect || row.CanAdopt
		pg.Rows = append(pg.Rows, row)
	}
	pg.Empty = console.EmptyState{Icon: "circle-check", Title: "Nothing differs", Text: "The accounts and groups have the values and members that provisioning wrote."}
	return p.show(w, r, http.StatusOK, "drift", pg)
}

func (v *appVisit) newDriftRow(d provision.Drift) driftRow {
	row := driftRow{ID: d.ObjectID, Name: d.Name, TargetID: d.TargetID, URL: v.objectURL(d.Kind, d.ObjectID), Badge: console.Badge{Tone: console.ToneWarning, Text: "Changed"}, CanAdopt: !d.Gone && len(d.Values) > 0}
	if row.Name == "" {
		row.Name = d.ObjectID
	}
	if d.Gone {
		row.Badge = console.Badge{Tone: console.ToneProblem, Text: "Gone", Hint: "The application does not have it any more."}
	}
	for _, value := range d.Values {
		row.Changes = append(row.Changes, attributeChange{Path: value.Path, Old: valueText(value.Wrote), New: valueText(value.Now)})
	}
	for _, of := range []struct {
		words string
		ids   []string
	}{{"Members that were added: ", d.Added}, {"Members that were removed: ", d.Removed}} {
		if len(of.ids) == 0 {
			continue
		}
		text := of.words
		for i, id := range of.ids[:min(len(of.ids), maxDriftMembers)] {
			if i > 0 {
				text += ", "
			}
			text += id
		}
		if more := len(of.ids) - maxDriftMembers; more > 0 {
			text += " and " + console.GroupDigits(more) + " more"
		}
		row.Members = append(row.Members, text)
	}
	return row
}

// changeDrift starts a comparison, saves the schedule, makes a plan, or adopts values.
func (p *Pages) changeDrift(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	switch r.PostForm.Get("do") {
	case "compare":
		err := p.Engine.AskForDrift(r.Context(), v.jobKey(), v.actorLabel())
		if err != nil {
			return p.refuseDrift(w, r, v, err)
		}
		return p.Console.Redirect(w, r, v.driftURL(), console.Notice{})
	case "schedule":
		return p.saveDriftSchedule(w, r, v)
	case "re-assert":
		return p.makeReassert(w, r, v)
	case "adopt":
		return p.adoptDrift(w, r, v, r.PostForm["object"])
	case "adopt-all":
		return p.adoptDrift(w, r, v, nil)
	}
	return console.ErrNotFound
}

// refuseDrift shows why nothing was done about drift.
func (p *Pages) refuseDrift(w http.ResponseWriter, r *http.Request, v *appVisit, err error) error {
	var input *provision.InputError
	var target *provision.TargetError
	var busy *provision.HeldError
	notice := console.Notice{Tone: console.ToneWarning, Title: "Nothing was done."}
	switch {
	case errors.As(err, &input):
		notice.Text = console.AsSentence(input.Field + " " + input.Text)
	case errors.As(err, &target):
		notice.Tone, notice.Text = console.ToneProblem, refusalText(target)
	case errors.As(err, &busy):
		notice.Text = "Another process works on the job now. Try again in a moment."
	default:
		return p.handleJobError(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.driftURL(), notice)
}

// saveDriftSchedule saves when the application is compared, and what happens then.
func (p *Pages) saveDriftSchedule(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	var m console.MergedEdit
	conflicts := errors.New("the form conflicts with the saved schedule")
	_, err := p.Engine.EditDriftSchedule(r.Context(), v.jobKey(), func(s *provision.DriftSchedule) (err error) {
		if m, err = console.MergeEdit(r.PostForm, driftFields(), driftValues(*s)); err != nil {
			return err
		}
		if len(m.Conflicts) > 0 {
			return conflicts
		}
		s.Every, s.Policy = provision.DriftInterval(m.Values["every"]), provision.DriftPolicy(m.Values["policy"])
		return nil
	}, v.actorLabel())
	switch {
	case errors.Is(err, conflicts):
		return p.Console.AskAboutConflicts(w, r, v.page, m, v.driftURL(), v.driftURL(), nil, console.HiddenField{Name: "do", Value: "schedule"})
	case err != nil:
		return p.refuseDrift(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.driftURL(), console.DoneNotice("The schedule was saved."+m.OthersText(nil)))
}

// makeReassert makes a plan that gives the accounts the values of the mapping again.
func (p *Pages) makeReassert(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	plan, err := p.Engine.BeginReassert(r.Context(), v.jobKey(), v.actorLabel())
	if err != nil {
		return p.refuseDrift(w, r, v, err)
	}
	p.runInBackground(func(ctx context.Context) {
		if _, err := p.Engine.FillPlan(ctx, plan, nil); err != nil {
			p.Console.Options.Log.Info("plan of a re-assert", "job", v.jobKey().String(), "error", err) // the page of the plan shows the error too
		}
	})
	return p.Console.Redirect(w, r, v.url("/provisioning/plan")+"?"+url.Values{"plan": {plan.ID}}.Encode(), console.Notice{})
}

// adoptDrift accepts the values that the ticked accounts, or all listed accounts, now have at the
// application, so that provisioning keeps them. For all accounts it first asks for confirmation.
func (p *Pages) adoptDrift(w http.ResponseWriter, r *http.Request, v *appVisit, objects []string) error {
	all := r.PostForm.Get("do") == "adopt-all"
	if len(objects) == 0 && !all {
		return p.Console.Redirect(w, r, v.driftURL(), console.Notice{Tone: console.ToneWarning, Text: "Tick at least one account or group."})
	}
	last, err := p.Engine.Drifts.LastDrift(r.Context(), v.jobKey())
	if err != nil {
		return err
	}
	if all && !console.ConfirmsNumber(r, last.Changed) {
		pg := console.ConfirmPage{
			Page: v.page, FormURL: v.driftURL(), CancelURL: v.driftURL(), Button: "Adopt all",
			Fields:       []console.HiddenField{{Name: "do", Value: "adopt-all"}, {Name: "sure", Value: strconv.Itoa(last.Changed)}},
			Consequences: []string{"The values that accounts and groups have at " + v.App.Name + " stay. They are no difference any more.", "Provisioning leaves them alone until the mapping yields another value than before, or the account is read again after a restart or on demand.", "Memberships and accounts that are gone stay in the list. So does an account that provisioning blocked, if somebody enabled it again."},
			Undo:         "To undo it, restart provisioning: it reads every account, and gives it the values of the mapping.",
		}
		pg.Title, pg.Narrow = "Adopt all values?", true
		pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Drift", URL: v.driftURL()})
		return p.Console.View(w, r, http.StatusOK, "confirm", pg)
	}
	n, err := p.Engine.AdoptDrift(r.Context(), v.jobKey(), p.Owner, v.actorLabel(), objects)
	if err != nil && n > 0 {
		return p.Console.Redirect(w, r, v.driftURL(), console.Notice{Tone: console.ToneWarning, Text: "The values of " + console.PluralForms(n, "account or group were", "accounts and groups were") + " adopted, and then it was interrupted. The list shows the rest."})
	}
	if err != nil {
		return p.refuseDrift(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.driftURL(), console.DoneNotice("The values of "+console.PluralForms(n, "account or group were", "accounts and groups were")+" adopted."))
}
