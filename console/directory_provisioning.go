package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// provisioningPage is the view "directory_provisioning", in the guide's words and order.
type provisioningPage struct {
	page
	App     string
	Started bool // past Get started
	Start   string
	Saved   bool // saved once: mappings, settings and status are there
	Form    provisioningForm
	Errors  map[string]*fieldError // by the form's name of the input
	Tested  *notice                // what Test Connection found
	Works   bool                   // it found that the connection works
	Action  string
	Test    string
	Discard string
	Now     string
	NowText string
	Restart string
	Plan    string
	Logs    string

	Locked   bool // Automatic cannot go back to Manual
	Source   string
	Target   string
	Mappings []mappingLink
	State    *provisioningState
}

// provisioningForm is what the inputs hold.
type provisioningForm struct {
	Mode      provision.Mode
	TenantURL string
	Secret    string // typed just now; a saved one is never shown
	HasSecret bool
	Restore   bool
	Scope     provision.Scope
	Status    provision.Status
}

// Automatic and On save templates a comparison.
func (f provisioningForm) Automatic() bool { return f.Mode == provision.Automatic }

// On says whether Provisioning Status is On.
func (f provisioningForm) On() bool { return f.Status == provision.On }

// Everyone says whether the scope is everybody.
func (f provisioningForm) Everyone() bool { return f.Scope == provision.Everyone }

type mappingLink struct {
	Name, URL string
	Enabled   bool
}

// provisioningState is how a job is going.
type provisioningState struct {
	provision.Report
	Quarantine *provision.Quarantine
	Running    *cycleView
	Last       *cycleView
	Figures    []figure
	Next       time.Time
}

// cycleView is a cycle in words.
type cycleView struct {
	Name    string // "Initial cycle"
	Started time.Time
	Ended   time.Time
	Took    string
	Badge   badge
	Error   string
	Figures []figure
}

func (v *appVisit) key() provision.Key {
	return provision.Key{Directory: v.Directory.ID, App: v.App.ID}
}

func (p *DirectoryPages) toProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.Console.redirect(w, r, v.url("/provisioning"), notice{})
}

func (p *DirectoryPages) showProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	pg, err := p.provisioning(r, v)
	if err != nil {
		return err
	}
	return p.Console.view(w, r, http.StatusOK, "directory_provisioning", pg)
}

// provisioning is the page as it is saved.
func (p *DirectoryPages) provisioning(r *http.Request, v *appVisit) (*provisioningPage, error) {
	base := v.url("/provisioning")
	pg := &provisioningPage{
		page: v.page, App: v.App.Name, Start: base + "?get-started=yes", Errors: map[string]*fieldError{},
		Action: base, Test: base + "/test", Discard: base, Now: base + "/now", Restart: base + "/restart", Plan: base + "/plan", Logs: base + "/logs",
	}
	pg.Title = "Provisioning"
	pg.Crumbs = v.crumbs(crumb{})
	report, err := p.Jobs.Report(r.Context(), v.key())
	if errors.Is(err, provision.ErrNoJob) {
		pg.Started = r.URL.Query().Has("get-started") || r.Method == http.MethodPost
		report.Job, err = p.Jobs.Default(v.key())
		if pg.Started {
			pg.Discard = pg.Start
		}
	} else {
		pg.Started, pg.Saved = true, true
	}
	if err != nil {
		return nil, err
	}
	job := report.Job
	pg.Form = provisioningForm{Mode: job.Mode, TenantURL: job.TenantURL, HasSecret: job.HasSecret(), Scope: job.Scope, Status: job.Status}
	pg.Locked = job.Mode == provision.Automatic
	pg.Source, pg.Target = systems(job.Schema)
	for _, m := range job.Schema.ObjectMappings() {
		pg.Mappings = append(pg.Mappings, mappingLink{Name: m.Name, URL: v.mappingURL(m.Name), Enabled: m.Enabled})
	}
	if pg.Saved {
		pg.State = provisioningStateOf(report)
		b := jobBadge(report.Code)
		pg.Badge = &b
		pg.StatusLine = p.statusLine(report)
		pg.NowText = "Provision now"
		if job.Status != provision.On {
			pg.NowText = "Start provisioning"
		}
	}
	return pg, nil
}

// systems are the names that the schema gives to both sides.
func systems(s *provision.Schema) (source, target string) {
	for _, rule := range s.SynchronizationRules {
		return rule.SourceDirectoryName, rule.TargetDirectoryName
	}
	return "", ""
}

// settings reads the form. A Secret Token that is left empty keeps the saved one.
func settings(r *http.Request) (provisioningForm, provision.Settings, error) {
	if err := r.ParseForm(); err != nil {
		return provisioningForm{}, provision.Settings{}, err
	}
	f := provisioningForm{
		Mode: provision.Mode(r.PostForm.Get("mode")), TenantURL: strings.TrimSpace(r.PostForm.Get("tenantURL")), Secret: strings.TrimSpace(r.PostForm.Get("secretToken")),
		Restore: r.PostForm.Get("restore") != "", Scope: provision.Scope(r.PostForm.Get("scope")), Status: provision.Status(r.PostForm.Get("status")),
	}
	// Before the first Save the form has neither.
	if f.Scope == "" {
		f.Scope = provision.AssignedOnly
	}
	if f.Status == "" {
		f.Status = provision.Off
	}
	s := provision.Settings{Mode: f.Mode, TenantURL: f.TenantURL, Status: f.Status, Scope: f.Scope}
	if f.Secret != "" {
		s.Secret = &f.Secret
	}
	return f, s, nil
}

func (p *DirectoryPages) saveProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form, s, err := settings(r)
	if err != nil {
		return err
	}
	before, err := p.Jobs.Get(r.Context(), v.key())
	first := errors.Is(err, provision.ErrNoJob)
	if err != nil && !first {
		return err
	}
	job, err := p.Jobs.Save(r.Context(), v.key(), s, v.actor())
	var input *provision.InputError
	if errors.As(err, &input) {
		return p.viewRefused(w, r, v, form, input)
	}
	if err != nil {
		return err
	}
	if form.Restore {
		if job, err = p.Jobs.RestoreDefaultMappings(r.Context(), v.key(), v.actor()); err != nil {
			return err
		}
	}
	return p.Console.redirect(w, r, v.url("/provisioning"), savedNotice(first, before, job, form.Restore))
}

func savedNotice(first bool, before, job provision.Job, restored bool) notice {
	n := notice{Tone: ok, Title: "Provisioning was saved."}
	switch {
	case !first && before.Version == job.Version:
		return notice{Tone: info, Text: "Nothing was changed: it was saved like that already."}
	case restored:
		n.Text = "The default mappings are restored: everybody is looked at again."
	case job.Mode == provision.Automatic && job.Status == provision.On:
		n.Text = "Provisioning Status is On: the next cycle begins within moments."
	case first && job.Mode == provision.Automatic:
		n.Text = "Look at the mappings next, then set Provisioning Status to On."
	}
	return n
}

// viewRefused shows the form again, as it was filled in.
func (p *DirectoryPages) viewRefused(w http.ResponseWriter, r *http.Request, v *appVisit, form provisioningForm, input *provision.InputError) error {
	pg, err := p.filledIn(r, v, form)
	if err != nil {
		return err
	}
	names := map[string]string{"Provisioning Mode": "mode", "Tenant URL": "tenantURL", "Secret Token": "secretToken", "Scope": "scope", "Provisioning Status": "status"}
	text := sentence(input.Field + " " + input.Text)
	name, ok := names[input.Field]
	if !ok {
		return &pageError{Status: http.StatusUnprocessableEntity, Title: "This was not saved", Text: text}
	}
	pg.Errors[name] = &fieldError{For: name, Text: text}
	return p.Console.view(w, r, http.StatusUnprocessableEntity, "directory_provisioning", pg)
}

func (p *DirectoryPages) filledIn(r *http.Request, v *appVisit, form provisioningForm) (*provisioningPage, error) {
	pg, err := p.provisioning(r, v)
	if err != nil {
		return nil, err
	}
	form.HasSecret = pg.Form.HasSecret
	pg.Form = form
	return pg, nil
}

// testConnection answers with the form as it was filled in, the Secret Token too: it is not saved yet, and typing it twice would be the
// only other way. The answer is no-store.
func (p *DirectoryPages) testConnection(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form, s, err := settings(r)
	if err != nil {
		return err
	}
	searches, err := p.Jobs.TestConnection(r.Context(), v.key(), s.TenantURL, s.Secret)
	var (
		input   *provision.InputError
		refusal *provision.TargetError
	)
	switch {
	case errors.As(err, &input):
		return p.viewRefused(w, r, v, form, input)
	case err != nil && !errors.As(err, &refusal):
		return err
	}
	pg, err := p.filledIn(r, v, form)
	if err != nil {
		return err
	}
	pg.Works = refusal == nil
	pg.Tested = &notice{Tone: ok, Title: "Testing connection to " + v.App.Name, Text: "The supplied credentials are authorized to enable provisioning. Don’t forget to Save."}
	for _, one := range searches {
		if refusal == nil && !one.Proved {
			pg.Tested.Tone = warn
			pg.Tested.Text += " " + one.Note()
		}
	}
	if refusal != nil {
		pg.Tested = &notice{Tone: bad, Title: refusedTitle(refusal.Kind), Text: refusedText(refusal)}
	}
	return p.Console.view(w, r, http.StatusOK, "directory_provisioning", pg)
}

// refusedTitle says in a few words why a connection does not work.
func refusedTitle(k provision.Kind) string {
	switch k {
	case provision.Credentials:
		return "You appear to have entered invalid credentials"
	case provision.Unreachable:
		return "The application cannot be reached at this Tenant URL"
	case provision.Unsearchable:
		return "The application cannot be searched for people"
	case provision.NotFound, provision.Incompatible:
		return "There is no SCIM endpoint at this Tenant URL"
	case provision.Throttled, provision.Transient:
		return "The application does not answer at the moment"
	}
	return "The application refused the connection"
}

func refusedText(e *provision.TargetError) string {
	text := e.Words()
	if e.Request != "" {
		text += " The request was " + e.Request
		if e.Status != 0 {
			text += fmt.Sprintf(", the answer HTTP %d %s", e.Status, http.StatusText(e.Status))
		}
		text += "."
	}
	return text + " Error code: " + e.Code + "."
}

// provisionNow switches provisioning on if it is off, and has the engine look for work at once.
func (p *DirectoryPages) provisionNow(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Start(r.Context(), v.key(), v.actor()); err != nil {
		return p.noJob(w, r, v, err)
	}
	return p.Console.redirect(w, r, v.url("/provisioning"), done("A cycle begins now. Reload this page to see how it goes."))
}

func (p *DirectoryPages) askRestart(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Get(r.Context(), v.key()); err != nil {
		return p.noJob(w, r, v, err)
	}
	pg := confirmPage{
		page: v.page, Action: v.url("/provisioning/restart"), Button: "Restart provisioning", Cancel: v.url("/provisioning"),
		Consequences: []string{
			"A new initial cycle begins: everybody in scope is looked at again and compared with " + v.App.Name + ".",
			"Failures that wait for a retry and a quarantine are forgotten. Which account belongs to whom is kept.",
			"Provisioning Status is set to On.",
		},
		Undo: "Nothing is lost: only what differs is written.",
	}
	pg.Title, pg.Narrow = "Restart provisioning?", true
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Provisioning", URL: pg.Cancel})
	return p.Console.view(w, r, http.StatusOK, "confirm", pg)
}

func (p *DirectoryPages) restart(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Restart(r.Context(), v.key(), v.actor()); err != nil {
		return p.noJob(w, r, v, err)
	}
	return p.Console.redirect(w, r, v.url("/provisioning"), done("Provisioning was restarted: an initial cycle begins within moments."))
}

// noJob leads to Get started where there is no job yet.
func (p *DirectoryPages) noJob(w http.ResponseWriter, r *http.Request, v *appVisit, err error) error {
	var input *provision.InputError
	if errors.As(err, &input) {
		return &pageError{Status: http.StatusUnprocessableEntity, Title: "This was not done", Text: sentence(input.Field + " " + input.Text)}
	}
	if !errors.Is(err, provision.ErrNoJob) {
		return err
	}
	return p.Console.redirect(w, r, v.url("/provisioning"), notice{Tone: info, Text: "Provisioning is not set up for " + v.App.Name + " yet. Click Get started."})
}

func jobBadge(code string) badge {
	switch code {
	case provision.Running:
		return badge{Tone: ok, Text: "On"}
	case provision.Paused:
		return badge{Tone: warn, Text: "Off", Hint: "Paused: state is kept"}
	case provision.Quarantined:
		return badge{Tone: bad, Text: "Quarantine"}
	case provision.NotRun:
		return badge{Tone: info, Text: "Not started"}
	}
	return badge{Tone: quiet, Text: "Not set up"}
}

func (p *DirectoryPages) statusLine(r provision.Report) string {
	now := p.Console.options.Now()
	switch last := r.State.Last; {
	case r.Code == provision.NotConfigured:
		return "Provisioning Mode is Manual: nothing is sent."
	case r.Code == provision.NotRun:
		return "Set up, not started yet."
	case r.State.Quarantine != nil:
		return "In quarantine since " + relative(r.State.Quarantine.Since, now) + "."
	case r.State.Phase != provision.Idle:
		return "A cycle is in progress since " + relative(r.State.Cycle.Started, now) + "."
	case last == nil && r.Code == provision.Paused:
		return "Off. No cycle was completed yet."
	case last == nil:
		return "On. The first cycle begins within moments."
	case r.Code == provision.Paused:
		return "Off. The last cycle ended " + relative(last.Ended, now) + "."
	default:
		return "On. The last cycle ended " + relative(last.Ended, now) + ": " + cycleSentence(*last) + "."
	}
}

// cycleSentence counts what a cycle did.
func cycleSentence(c provision.CycleReport) string {
	var parts []string
	for _, f := range []struct {
		n    int
		what string
	}{{c.Created, "created"}, {c.Updated, "updated"}, {c.Disabled, "disabled"}, {c.Deleted, "deleted"}, {c.Failed, "failed"}} {
		if f.n > 0 {
			parts = append(parts, strconv.Itoa(f.n)+" "+f.what)
		}
	}
	if parts == nil {
		return "nothing had to be changed"
	}
	return strings.Join(parts, ", ")
}

func provisioningStateOf(r provision.Report) *provisioningState {
	s := &provisioningState{Report: r, Quarantine: r.State.Quarantine, Last: cycleViewOf(r.State.Last), Next: r.State.NextCycle}
	if r.State.Phase != provision.Idle {
		c := r.State.Cycle
		s.Running = cycleViewOf(&c)
		s.Running.Badge = badge{Tone: info, Text: "In progress"}
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"Users linked", r.Linked}, {"Account gone", r.Lost}, {"Without an account", r.Unmatched}, {"Waiting for a retry", r.Escrowed}, {"Still to look at", r.Pending}} {
		s.Figures = append(s.Figures, figure{Name: f.name, Value: strconv.Itoa(f.n)})
	}
	return s
}

func cycleViewOf(c *provision.CycleReport) *cycleView {
	if c == nil {
		return nil
	}
	v := &cycleView{Name: "Incremental cycle", Started: c.Started, Ended: c.Ended, Error: c.Error, Badge: badge{Tone: ok, Text: "Completed"}}
	if c.Kind == provision.InitialCycle {
		v.Name = "Initial cycle"
	}
	switch c.State {
	case provision.EntryLevelErrors:
		v.Badge = badge{Tone: warn, Text: "Completed with errors"}
	case provision.Failed:
		v.Badge = badge{Tone: bad, Text: "Stopped"}
	}
	if !c.Ended.IsZero() {
		v.Took = c.Ended.Sub(c.Started).Round(10 * time.Millisecond).String()
	}
	for _, f := range []struct {
		name string
		n    int
	}{
		{"Looked at", c.Read},
		{"Created", c.Created},
		{"Updated", c.Updated},
		{"Disabled", c.Disabled},
		{"Deleted", c.Deleted},
		{"Skipped", c.Skipped},
		{"Failed", c.Failed},
	} {
		v.Figures = append(v.Figures, figure{Name: f.name, Value: strconv.Itoa(f.n)})
	}
	return v
}

// provisioningBadge is an application's state in a list.
func (p *DirectoryPages) provisioningBadge(ctx context.Context, d directory.ID, a directory.Application) (badge, error) {
	report, err := p.Jobs.Report(ctx, provision.Key{Directory: d, App: a.ID})
	if errors.Is(err, provision.ErrNoJob) {
		return jobBadge(provision.NotConfigured), nil
	}
	return jobBadge(report.Code), err
}

// provisioningSummary is an application's state on its overview.
func (p *DirectoryPages) provisioningSummary(ctx context.Context, v *appVisit) (provisioningSummary, error) {
	s := provisioningSummary{URL: v.url("/provisioning"), Badge: jobBadge(provision.NotConfigured), Text: "Creates, updates and switches off accounts in " + v.App.Name + " as people change here."}
	s.Next = action{Text: "Provisioning", URL: s.URL, Primary: true}
	report, err := p.Jobs.Report(ctx, v.key())
	if errors.Is(err, provision.ErrNoJob) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Badge, s.Text, s.Next.Primary = jobBadge(report.Code), p.statusLine(report), false
	return s, nil
}
