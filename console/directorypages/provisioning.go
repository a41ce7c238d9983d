package directorypages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// provisioningPage is the data of the view "provisioning". The page follows the order and the words
// of the setup guide (docs/guide.md).
type provisioningPage struct {
	console.Page
	AppName            string
	IsStarted          bool // whether the operator clicked "Get started", or the job exists
	StartURL           string
	IsSaved            bool // whether the job exists; then the page also shows its mappings, settings and status
	Form               provisioningForm
	StartValues        []console.HiddenField          // the stored values with which the form started
	SecondApprovalIsOn bool                           // whether Second approval is on, so that this page cannot switch it off
	Errors             map[string]*console.FieldError // the inputs' errors, by the name of the input
	TestNotice         *console.Notice                // the result of "Test Connection", or an error that is not about an input; may be nil
	TestedAt           time.Time                      // when the connection was tested; zero if TestNotice is not the result of a test
	ConnectionWorks    bool                           // whether the test succeeded
	HasUnsavedValues   bool                           // whether the form shows typed values that are not saved yet
	DraftID            string                         // id of the draft that holds the typed values; may be empty
	HasTypedSecret     bool                           // whether the draft includes a Secret Token
	FormURL            string
	TestURL            string
	DiscardURL         string
	StartButtonText    string
	RestartURL         string
	HeldURL            string
	LogsURL            string
	ReloadURL          string
	StreamURL          string // address of the event stream with the progress
	PollInterval       string // how often the page polls for progress without an event stream, such as "3s"; empty means that there is nothing to follow

	IsLocked    bool // whether the mode can no longer be changed from Automatic to Manual
	SourceName  string
	TargetName  string
	Mappings    []mappingLink
	VersionsURL string // address of the page "Mapping versions"
	State       *provisioningState
}

// provisioningForm holds the values of the form's inputs.
type provisioningForm struct {
	Mode             provision.Mode
	TenantURL        string
	Secret           string // the Secret Token that was just typed; a saved token is never shown
	HasSecret        bool
	RestoresMappings bool // whether the default mappings are to be restored
	Scope            provision.Scope
	Rehire           provision.Rehire
	Swaps            provision.Swaps
	Rules            provision.Rules
	Threshold        string // how many accounts and groups a cycle may disable or delete by Entra's rules, as it was typed
	NestedGroups     string // whether groups are sent as members of groups: choiceOff or choiceOn
	SecondApproval   string // whether a second operator must approve plans: choiceOff or choiceOn
	Status           provision.Status
}

// IsAutomatic reports whether the mode is Automatic. Templates call this method and the methods
// below, so that they need not compare strings.
func (f provisioningForm) IsAutomatic() bool { return f.Mode == provision.Automatic }

// IsOn reports whether Provisioning Status is On in the form.
func (f provisioningForm) IsOn() bool { return f.Status == provision.On }

// SyncsEveryone reports whether the scope is all users and groups.
func (f provisioningForm) SyncsEveryone() bool { return f.Scope == provision.Everyone }

// AdoptsAccounts and MakesNewAccounts report which rule is chosen for a person who is hired again.
// UsesTemporaryNames reports whether two people may swap their names by way of a temporary name.
// All three are false if the rule is to ask an operator.
func (f provisioningForm) AdoptsAccounts() bool     { return f.Rehire == provision.RehireAdopt }
func (f provisioningForm) MakesNewAccounts() bool   { return f.Rehire == provision.RehireNew }
func (f provisioningForm) UsesTemporaryNames() bool { return f.Swaps == provision.SwapsTemporary }

// UsesEntraRules reports whether the chosen rules for mass changes and for the schedule are
// Entra's.
func (f provisioningForm) UsesEntraRules() bool { return f.Rules == provision.RulesEntra }

// SendsNestedGroups reports whether groups are sent as members of other groups.
func (f provisioningForm) SendsNestedGroups() bool { return f.NestedGroups == choiceOn }

// NeedsSecondApproval reports whether a second operator must approve plans.
func (f provisioningForm) NeedsSecondApproval() bool { return f.SecondApproval == choiceOn }

// The values of the inputs "Nested groups" and "Second approval".
const (
	choiceOff = "off"
	choiceOn  = "on"
)

// choiceValue returns the value of a choice between on and off.
func choiceValue(on bool) string {
	if on {
		return choiceOn
	}
	return choiceOff
}

// mappingLink is a link to the page of a mapping.
type mappingLink struct {
	Name, URL string
	IsEnabled bool
}

// provisioningState shows the current state of a job.
type provisioningState struct {
	provision.Report
	Quarantine   *provision.Quarantine
	RunningCycle *cycleView
	LastCycle    *cycleView
	Counts       []console.Fact
	NextCycle    time.Time
}

// IsOn reports whether the saved Provisioning Status is On. The form may show another status.
func (s provisioningState) IsOn() bool { return s.Job.Status == provision.On }

// cycleView shows one cycle of a job.
type cycleView struct {
	Name     string // such as "Initial cycle"
	Started  time.Time
	Ended    time.Time
	Duration string
	Rate     string // how many objects the running cycle has looked at in a minute, in words; empty if it has just begun
	Badge    console.Badge
	Error    string
	Counts   []console.Fact
	UndoURL  string // address of the page that asks whether to undo the cycle; empty if it changed no account
}

func (v *appVisit) jobKey() provision.Key {
	return provision.Key{Directory: provision.SourceID(v.Directory.ID), App: v.App.ID}
}

func (p *Pages) redirectToProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.Console.Redirect(w, r, v.url("/provisioning"), console.Notice{})
}

func (p *Pages) showProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	pg, err := p.buildProvisioningPage(r, v)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "provisioning", pg)
}

// draftParam is the query parameter that names a draft. "Test Connection" redirects to an address
// with this parameter, so that the typed values stay when the browser reloads the page or goes back
// to it. Without the parameter, the page shows the saved values.
const draftParam = "tested"

// buildProvisioningPage returns the page. The form contains the values of the draft that the
// address names, or the saved values if the address names none.
func (p *Pages) buildProvisioningPage(r *http.Request, v *appVisit) (*provisioningPage, error) {
	base := v.url("/provisioning")
	pg := &provisioningPage{
		Page: v.page, AppName: v.App.Name, StartURL: base + "?get-started=yes", Errors: map[string]*console.FieldError{},
		FormURL: base, TestURL: base + "/test", DiscardURL: base, RestartURL: base + "/restart", HeldURL: base + "/held", LogsURL: base + "/logs", ReloadURL: base, StreamURL: base + "/stream",
	}
	pg.Title = "Provisioning"
	pg.Crumbs = v.crumbs(console.Crumb{})
	asked := r.URL.Query().Get(draftParam)
	draft := p.findDraft(r, v, asked)
	report, err := p.Jobs.Report(r.Context(), v.jobKey())
	if errors.Is(err, provision.ErrNoJob) {
		pg.IsStarted = r.URL.Query().Has("get-started") || r.Method == http.MethodPost || asked != ""
		report.Job, err = p.Jobs.Default(v.jobKey())
		if pg.IsStarted {
			pg.DiscardURL = pg.StartURL
		}
	} else {
		pg.IsStarted, pg.IsSaved = true, true
	}
	if err != nil {
		return nil, err
	}
	job := report.Job
	pg.Form = provisioningForm{Mode: job.Mode, TenantURL: job.TenantURL, HasSecret: job.HasSecret(), Scope: job.Scope, Rehire: job.Rehire, Swaps: job.Swaps, Rules: job.Rules, Threshold: strconv.Itoa(job.DeleteThreshold), NestedGroups: choiceValue(job.Nested), SecondApproval: choiceValue(job.SecondApproval), Status: job.Status}
	pg.SecondApprovalIsOn = job.SecondApproval
	fields := provisioningFields()
	if !pg.IsSaved {
		fields = fields[:3] // the first form has neither scope nor status
	}
	pg.StartValues = append(console.StartValueFields(fields, provisioningValues(job)), console.HiddenField{Name: openedInput, Value: revisionText(job)})
	pg.IsLocked = job.Mode == provision.Automatic
	pg.SourceName, pg.TargetName = systemNames(job.Schema)
	pg.VersionsURL = v.versionsURL()
	for _, m := range job.Schema.ObjectMappings() {
		pg.Mappings = append(pg.Mappings, mappingLink{Name: m.Name, URL: v.mappingURL(m.Name), IsEnabled: m.Enabled})
	}
	if pg.IsSaved {
		p.showReport(pg, v, report)
		pg.StartButtonText = "Provision now"
		if job.Status != provision.On {
			pg.StartButtonText = "Start provisioning"
		}
	}
	switch {
	case draft != nil:
		pg.showDraft(draft)
		query := "?" + draftParam + "=" + url.QueryEscape(draft.ID)
		pg.ReloadURL += query
		pg.StreamURL += query
	case asked != "":
		pg.TestNotice = &console.Notice{Tone: console.ToneInfo, Title: "This test is over", Text: "It was saved or discarded, or 30 minutes have passed. The page shows what is saved now."}
	}
	return pg, nil
}

// showReport puts the state of the job into the page. It sets the fields that can change while the
// page is open; streamProvisioning sends them again.
func (p *Pages) showReport(pg *provisioningPage, v *appVisit, report provision.Report) {
	pg.State = newProvisioningState(report, p.Console.Options.Now())
	if last := report.State.Last; last != nil && last.Created+last.Updated+last.Disabled+last.Deleted > 0 {
		pg.State.LastCycle.UndoURL = v.undoURL(provision.Undo{Cycle: last.ID})
	}
	b := jobBadge(report.Code)
	pg.Badge = &b
	pg.StatusLine = p.statusLine(report)
	switch {
	case report.State.Phase != provision.Idle:
		pg.PollInterval = "3s"
	case report.Job.Status == provision.On && report.State.Last == nil:
		pg.PollInterval = "3s" // the first cycle begins soon
	case report.Job.Status == provision.On:
		pg.PollInterval = "20s"
	default:
		pg.PollInterval = ""
	}
}

// HasWarnings reports whether the page shows a warning about the job.
func (pg *provisioningPage) HasWarnings() bool {
	return pg.State != nil && (pg.State.Quarantine != nil || pg.State.LeaverLate || pg.State.OnHold > 0)
}

// streamProvisioning sends the progress of the job as server-sent events.
func (p *Pages) streamProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	pg, err := p.buildProvisioningPage(r, v)
	if err != nil {
		return err
	}
	if !pg.IsSaved {
		return console.ErrNotFound
	}
	return p.stream(w, r, v, pg.StreamURL, func(ctx context.Context) (livePart, error) {
		report, err := p.Jobs.Report(ctx, v.jobKey())
		if err != nil {
			return livePart{}, err
		}
		now := *pg
		p.showReport(&now, v, report)
		html, err := p.views().Live("provisioning", &now)
		return livePart{HTML: html, IsLast: now.PollInterval == ""}, err
	})
}

// showDraft puts the values of a draft into the page. The page contains the id of the draft, but
// never a Secret Token.
func (pg *provisioningPage) showDraft(d *provisioningDraft) {
	d.Form.HasSecret = pg.Form.HasSecret
	pg.Form, pg.StartValues, pg.HasUnsavedValues, pg.ConnectionWorks = d.Form, d.StartValues, true, d.ConnectionWorks
	pg.DraftID, pg.HasTypedSecret = d.ID, d.Form.Secret != ""
	if d.TestNotice != nil {
		pg.TestNotice, pg.TestedAt = d.TestNotice, d.KeptAt
	}
}

// provisioningDraft holds values that an operator typed into the page and that are not saved yet.
type provisioningDraft struct {
	ID              string
	Form            provisioningForm
	StartValues     []console.HiddenField
	TestNotice      *console.Notice // the result of "Test Connection"; nil if there was no test
	ConnectionWorks bool
	KeptAt          time.Time
}

// draftLifetime is how long the server keeps a draft. It is short because a draft may contain a
// Secret Token. For the same reason, drafts are kept only in memory, and each belongs to one
// session.
const draftLifetime = 30 * time.Minute

// draftKey returns the key under which a draft is kept. The key contains the operator's session and
// the job, so that the id alone does not give access to the draft.
func (p *Pages) draftKey(r *http.Request, v *appVisit, id string) string {
	return p.Console.SessionSecret(r, SessionCookie) + " " + v.jobKey().String() + " " + id
}

// findDraft returns a copy of the draft with this id. It returns nil if there is none, or if it has
// expired.
func (p *Pages) findDraft(r *http.Request, v *appVisit, id string) *provisioningDraft {
	d, _ := p.drafts.Get(p.draftKey(r, v, id), p.Console.Options.Now()).(*provisioningDraft)
	if d == nil {
		return nil
	}
	kept := *d
	return &kept
}

func (p *Pages) keepDraft(r *http.Request, v *appVisit, form provisioningForm, tested *console.Notice, works bool) *provisioningDraft {
	now := p.Console.Options.Now()
	was := append(console.RepeatStartValueFields(r.PostForm, provisioningFields()), console.HiddenField{Name: openedInput, Value: r.PostForm.Get(openedInput)})
	d := &provisioningDraft{ID: console.NewFormNumber(), Form: form, StartValues: was, TestNotice: tested, ConnectionWorks: works, KeptAt: now}
	p.drafts.Put(p.draftKey(r, v, d.ID), d, now, draftLifetime)
	return d
}

// discardProvisioning drops the draft and redirects to the page with the saved values.
func (p *Pages) discardProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	p.dropDraft(r, v)
	return p.Console.Redirect(w, r, v.url("/provisioning"), console.Notice{})
}

// dropDraft drops the draft whose id the form contains.
func (p *Pages) dropDraft(r *http.Request, v *appVisit) {
	p.drafts.Drop(p.draftKey(r, v, r.PostForm.Get(draftField)))
}

// draftField is the name of the hidden input that holds the id of a draft.
const draftField = "draft"

// typedSecret is the value of the field "secret" in an edit if the operator typed a new Secret
// Token. For the saved token, the value is the token's mark (provision.Job.SecretMark).
const typedSecret = "typed"

// provisioningFields lists the settings that the page edits. The field "secret" says whether the
// Secret Token has changed, but never contains the token.
func provisioningFields() []console.EditField {
	return []console.EditField{
		{Name: "mode", Label: "Provisioning Mode"},
		{Name: "tenantURL", Label: "Tenant URL"},
		{
			Name: "secret", Label: "Secret Token",
			ReadValue: func(form url.Values) string {
				switch {
				case form.Has("secret"):
					return form.Get("secret")
				case strings.TrimSpace(form.Get("secretToken")) != "" || form.Get("secretTyped") != "":
					return typedSecret
				}
				return form.Get(console.StartValuePrefix + "secret")
			},
			FormatValue: func(value string) string {
				switch value {
				case "":
					return "No token"
				case typedSecret:
					return "The token that you typed"
				}
				return "The token that is saved now"
			},
		},
		console.ChoiceField("scope", "Scope", map[string]string{string(provision.AssignedOnly): "Sync only assigned users and groups", string(provision.Everyone): "Sync all users and groups"}),
		console.ChoiceField("rehire", "Re-hire", map[string]string{
			string(provision.RehireAsk): "Ask", string(provision.RehireAdopt): "Take the account over", string(provision.RehireNew): "New account",
		}),
		console.ChoiceField("swaps", "Swapped names", map[string]string{string(provision.SwapsAsk): "Ask", string(provision.SwapsTemporary): "Use a temporary name"}),
		console.ChoiceField("rules", "Rules", map[string]string{string(provision.RulesRollcall): "Rollcall’s rules", string(provision.RulesEntra): "Entra’s rules"}),
		{Name: "threshold", Label: "Deletion threshold"},
		console.ChoiceField("nested", "Nested groups", map[string]string{choiceOff: "Leave them out", choiceOn: "Send them as members"}),
		console.ChoiceField("second", "Second approval", map[string]string{choiceOff: "One person is enough", choiceOn: "Another operator approves"}),
		{Name: "status", Label: "Provisioning Status"},
	}
}

// provisioningValues returns the values of the form that stand for the stored settings of a job.
func provisioningValues(job provision.Job) map[string]string {
	return map[string]string{
		"mode": string(job.Mode), "tenantURL": job.TenantURL, "secret": job.SecretMark(), "scope": string(job.Scope), "status": string(job.Status),
		"rehire": string(job.Rehire), "swaps": string(job.Swaps), "rules": string(job.Rules), "threshold": strconv.Itoa(job.DeleteThreshold), "nested": choiceValue(job.Nested), "second": choiceValue(job.SecondApproval),
	}
}

// systemNames returns the names that the schema gives to the directory and to the application.
func systemNames(s *provision.Schema) (source, target string) {
	for _, rule := range s.SynchronizationRules {
		return rule.SourceDirectoryName, rule.TargetDirectoryName
	}
	return "", ""
}

// readProvisioningForm reads the form. If the Secret Token was typed on an earlier page, it reads
// the token from the draft.
func (p *Pages) readProvisioningForm(r *http.Request, v *appVisit) (provisioningForm, error) {
	if err := r.ParseForm(); err != nil {
		return provisioningForm{}, err
	}
	f := provisioningForm{
		Mode: provision.Mode(r.PostForm.Get("mode")), TenantURL: strings.TrimSpace(r.PostForm.Get("tenantURL")), Secret: strings.TrimSpace(r.PostForm.Get("secretToken")),
		RestoresMappings: r.PostForm.Get("restore") != "", Scope: provision.Scope(r.PostForm.Get("scope")), Status: provision.Status(r.PostForm.Get("status")),
		Rehire: provision.Rehire(r.PostForm.Get("rehire")), Swaps: provision.Swaps(r.PostForm.Get("swaps")), NestedGroups: r.PostForm.Get("nested"),
		Rules: provision.Rules(r.PostForm.Get("rules")), Threshold: strings.TrimSpace(r.PostForm.Get("threshold")), SecondApproval: r.PostForm.Get("second"),
	}
	if f.Secret == "" && r.PostForm.Get("secretTyped") != "" {
		if d := p.findDraft(r, v, r.PostForm.Get(draftField)); d != nil {
			f.Secret = d.Form.Secret
		}
	}
	// The form has no scope and no status before the first Save.
	if f.Scope == "" {
		f.Scope = provision.AssignedOnly
	}
	if f.Status == "" {
		f.Status = provision.Off
	}
	return f, nil
}

// errConflict is the error of an edit that was not saved because someone else changed the same
// field.
var errConflict = errors.New("two values for one field")

// errSwitchOffLeavers is the error of an edit that changes the Tenant URL. Before it can be saved,
// the accounts of leavers at the old Tenant URL must be switched off.
var errSwitchOffLeavers = errors.New("leavers have to be switched off first")

func (p *Pages) saveProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form, err := p.readProvisioningForm(r, v)
	if err != nil {
		return err
	}
	start, typed := r.PostForm.Get("do") == "start", form
	if start { // the button also turns provisioning on
		form.Status = provision.On
		r.PostForm.Set("status", string(provision.On))
	}
	var (
		before provision.Job
		m      console.MergedEdit
		harm   provisioningHarm
		asked  *provision.Move // the confirmed change of the Tenant URL, once the accounts of leavers are switched off; nil before
		closed provision.Closed
	)
	by, err := v.findLastChange(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	fresh, err := p.Operators.HasFreshSession(r.Context(), p.Console.SessionSecret(r, SessionCookie))
	if err != nil {
		return err
	}
	decide := func(now provision.Job) (provision.Settings, error) {
		before = now
		var err error
		if m, err = console.MergeEdit(r.PostForm, provisioningFields(), provisioningValues(now)); err != nil {
			return provision.Settings{}, err
		}
		if len(m.Conflicts) > 0 {
			return provision.Settings{}, errConflict
		}
		if !fresh && (form.Secret != "" || m.Values["tenantURL"] != now.TenantURL) {
			return provision.Settings{}, &console.OldSignIn{RenewURL: renewURL}
		}
		s, err := newSettings(m.Values, form.Secret)
		if err != nil {
			return s, err
		}
		if harm, err = p.checkProvisioningHarm(r, v, now, s, asked); err == nil && harm.needsConfirmation() && r.PostForm.Get("confirmed") != harm.confirmationValue() {
			err = errConfirm
		}
		if err == nil && harm.move.Leavers > 0 && asked == nil {
			err = errSwitchOffLeavers
		}
		s.Confirmed = harm.mayDisableCount()
		return s, err
	}
	job, err := p.Jobs.SaveFrom(r.Context(), v.jobKey(), decide, v.actorLabel())
	if errors.Is(err, errSwitchOffLeavers) {
		if closed, err = p.Engine.CloseLeavers(r.Context(), v.jobKey(), p.Owner, v.actorLabel(), harm.move.Leavers); err == nil {
			asked = &harm.move
			job, err = p.Jobs.SaveFrom(r.Context(), v.jobKey(), decide, v.actorLabel())
		}
	}
	var input *provision.InputError
	switch {
	case errors.Is(err, errConflict):
		return p.askProvisioningConflict(w, r, v, form, m, by)
	case errors.Is(err, errConfirm):
		return p.askProvisioningHarm(w, r, v, typed, m, harm, by)
	case errors.As(err, &input):
		return p.showRefusedForm(w, r, v, form, input)
	case err != nil:
		return err
	}
	p.dropDraft(r, v)
	n := savedNotice(before, job)
	if start {
		if _, err := p.Jobs.Start(r.Context(), v.jobKey(), v.actorLabel()); err != nil {
			return p.handleJobError(w, r, v, err)
		}
		n = console.DoneNotice("A cycle begins now.")
		if before.Version != job.Version {
			n.Text = "Provisioning was saved. " + n.Text
		}
	}
	n.Text = strings.TrimSpace(strings.TrimSpace(n.Text+" "+switchedOffText(closed)) + " " + m.OthersText(by))
	to := v.url("/provisioning")
	if form.RestoresMappings && before.Version > 0 {
		to += "/restore"
	}
	return p.Console.Redirect(w, r, to, n)
}

// askProvisioningConflict asks which value to keep for each field that someone else changed too. It
// keeps the typed values in a draft, because the page must not contain a Secret Token.
func (p *Pages) askProvisioningConflict(w http.ResponseWriter, r *http.Request, v *appVisit, form provisioningForm, m console.MergedEdit, by *event.Event) error {
	more := append(p.draftFields(r, p.keepDraft(r, v, form, nil, false)), console.HiddenField{Name: openedInput, Value: r.PostForm.Get(openedInput)})
	frame := v.page
	frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	return p.Console.AskAboutConflicts(w, r, frame, m, v.url("/provisioning"), v.url("/provisioning"), by, more...)
}

// findLastChange returns the newest event in which a person changed a user, group or application.
// It returns nil if there is none.
func (v *directoryVisit) findLastChange(ctx context.Context, subject string) (*event.Event, error) {
	events, err := v.History(ctx, subject, event.Position{}, 20)
	if err != nil {
		return nil, err
	}
	for i := range events {
		if !events[i].By.IsAutomatic() && events[i].Name != event.ProvisioningConnectionTested {
			return &events[i], nil
		}
	}
	return nil, nil
}

// newSettings returns the settings that the values of the form stand for.
func newSettings(values map[string]string, secret string) (provision.Settings, error) {
	s := provision.Settings{
		Mode: provision.Mode(values["mode"]), TenantURL: values["tenantURL"], Status: provision.Status(values["status"]), Scope: provision.Scope(values["scope"]),
		Rehire: provision.Rehire(values["rehire"]), Swaps: provision.Swaps(values["swaps"]),
	}
	s.Rules = provision.Rules(values["rules"])
	threshold, err := strconv.Atoi(values["threshold"])
	if err != nil {
		return s, &provision.InputError{Field: "Deletion threshold", Text: "must be a number; 0 means that no number of deletions is held"}
	}
	s.DeleteThreshold = &threshold
	nested := values["nested"] == choiceOn
	if !nested && values["nested"] != choiceOff {
		return s, &provision.InputError{Field: "Nested groups", Text: "must be on or off"}
	}
	s.Nested = &nested
	second := values["second"] == choiceOn
	if !second && values["second"] != choiceOff {
		return s, &provision.InputError{Field: "Second approval", Text: "must be on or off"}
	}
	s.SecondApproval = &second
	if values["secret"] == typedSecret {
		if secret == "" {
			return s, &provision.InputError{Field: "Secret Token", Text: "was typed too long ago; type it again"}
		}
		s.Secret = &secret
	}
	return s, nil
}

func savedNotice(before, job provision.Job) console.Notice {
	n := console.Notice{Tone: console.ToneGood, Title: "Provisioning was saved."}
	switch {
	case before.Version == job.Version:
		return console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: it was saved like that already."}
	case job.Mode == provision.Automatic && job.Status == provision.On:
		n.Text = "Provisioning Status is On: the next cycle begins within moments."
	case before.Version == 0 && job.Mode == provision.Automatic:
		n.Text = "Look at the mappings next, then set Provisioning Status to On."
	}
	return n
}

// showRefusedForm shows the form again, with the values that were sent and the error.
func (p *Pages) showRefusedForm(w http.ResponseWriter, r *http.Request, v *appVisit, form provisioningForm, input *provision.InputError) error {
	draft := p.keepDraft(r, v, form, nil, false)
	pg, err := p.buildProvisioningPage(r, v)
	if err != nil {
		return err
	}
	pg.showDraft(draft)
	pg.IsStarted = true
	names := map[string]string{"Provisioning Mode": "mode", "Tenant URL": "tenantURL", "Secret Token": "secretToken", "Scope": "scope", "Re-hire": "rehire", "Swapped names": "swaps", "Rules": "rules", "Deletion threshold": "threshold", "Nested groups": "nested", "Second approval": "second", "Provisioning Status": "status"}
	text := console.AsSentence(input.Field + " " + input.Text)
	if name, ok := names[input.Field]; ok {
		pg.Errors[name] = &console.FieldError{For: name, Text: text}
	} else {
		pg.TestNotice = &console.Notice{Tone: console.ToneProblem, Title: "This was not saved", Text: text}
	}
	return p.show(w, r, http.StatusUnprocessableEntity, "provisioning", pg)
}

// testConnection tests the connection to the application. It keeps the typed values and the result
// in a draft and redirects to the page, so that a reload shows the result again and does not send
// the form twice.
func (p *Pages) testConnection(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form, err := p.readProvisioningForm(r, v)
	if err != nil {
		return err
	}
	var secret *string
	if form.Secret != "" {
		secret = &form.Secret
	}
	found, err := p.Jobs.TestConnection(r.Context(), v.jobKey(), form.TenantURL, secret)
	var (
		input   *provision.InputError
		refusal *provision.TargetError
	)
	switch {
	case errors.As(err, &input):
		return p.showRefusedForm(w, r, v, form, input)
	case err != nil && !errors.As(err, &refusal):
		return err
	}
	tested := &console.Notice{Tone: console.ToneGood, Title: "Testing connection to " + v.App.Name, Text: "The supplied credentials are authorized to enable provisioning. Don’t forget to Save."}
	for _, one := range found.Users {
		if !one.Proved {
			tested.Tone = console.ToneWarning
			tested.Text += " " + one.Note()
		}
		if note := one.CaseNote(); note != "" {
			tested.Tone = console.ToneWarning
			tested.Text += " " + note
		}
	}
	for _, note := range found.GroupNotes() {
		if found.NoGroups == "" { // warn, unless the application has no groups at all
			tested.Tone = console.ToneWarning
		}
		tested.Text += " " + note
	}
	if refusal != nil {
		tested = &console.Notice{Tone: console.ToneProblem, Title: refusalTitle(refusal.Kind), Text: refusalText(refusal)}
	}
	draft := p.keepDraft(r, v, form, tested, refusal == nil)
	return p.Console.Redirect(w, r, v.url("/provisioning")+"?"+draftParam+"="+url.QueryEscape(draft.ID), console.Notice{})
}

// refusalTitle says in a few words why a connection does not work.
func refusalTitle(k provision.Kind) string {
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

// refusalText describes why the application refused a request, with the request and the answer.
func refusalText(e *provision.TargetError) string {
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

// askRestore asks for confirmation before the default mappings are restored.
func (p *Pages) askRestore(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.askRestoreOnce(w, r, v, false)
}

// askRestoreOnce asks for confirmation before the default mappings are restored. It lists the
// effects. moved is true if it asks again, because the mappings have changed since the first
// question.
func (p *Pages) askRestoreOnce(w http.ResponseWriter, r *http.Request, v *appVisit, moved bool) error {
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	template, err := p.Jobs.Default(v.jobKey())
	if err != nil {
		return err
	}
	after, err := p.Jobs.WithDefaultMappings(job)
	if err != nil {
		return err
	}
	change, err := p.computeReachChange(r.Context(), v, job, after)
	if err != nil {
		return err
	}
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("/provisioning/restore"), Button: "Restore default mappings", IsDangerous: true, CancelURL: v.url("/provisioning"),
		Fields:       []console.HiddenField{{Name: openedInput, Value: revisionText(job)}, {Name: "confirmed", Value: strconv.Itoa(change.mayDisableCount())}},
		Consequences: restoredActions(job.Schema, template.Schema), Undo: "The mappings of today stay as a version and can be set again.",
	}
	status := http.StatusOK
	if moved {
		status = http.StatusConflict
		by, err := v.findLastChange(r.Context(), v.App.ID)
		if err != nil {
			return err
		}
		who := "Somebody"
		if by != nil {
			who = console.ActorName(by.Actor)
		}
		pg.Lead = "Nothing was restored yet. " + who + " changed the scope or the mappings after this page asked you. The answer counts for what is saved now."
	}
	pg.Consequences = append(pg.Consequences, "Every mapping, its attributes, its actions and its scope return to the template.")
	for _, words := range provision.ChangeWords(job.Schema, after.Schema, maxPartsNamed) {
		pg.Consequences = append(pg.Consequences, console.AsSentence(words))
	}
	pg.Consequences = append(pg.Consequences, change.sentences(v)...)
	linked, err := p.Jobs.Report(r.Context(), v.jobKey())
	if err != nil {
		return err
	}
	pg.Consequences = append(pg.Consequences, "Everybody in scope is looked at again, and compared with "+v.App.Name+": "+console.PluralForms(linked.Linked, "linked account", "linked accounts")+".")
	pg.Title, pg.Narrow = "Restore default mappings?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: pg.CancelURL})
	return p.Console.View(w, r, status, "confirm", pg)
}

// restoredActions returns sentences about the mappings and Target Object Actions that are off in
// the job and on in the template.
func restoredActions(now, template *provision.Schema) []string {
	var list []string
	for _, t := range template.ObjectMappings() {
		m, err := now.ObjectMapping(t.Name)
		if err != nil {
			continue
		}
		var names []string
		for _, f := range []struct {
			flow provision.FlowTypes
			name string
		}{{provision.FlowAdd, "Create"}, {provision.FlowUpdate, "Update"}, {provision.FlowDelete, "Delete"}} {
			if t.FlowTypes.Has(f.flow) && !m.FlowTypes.Has(f.flow) {
				names = append(names, f.name)
			}
		}
		switch {
		case len(names) == 1:
			list = append(list, names[0]+" will be on again in "+t.Name+".")
		case len(names) > 1:
			list = append(list, strings.Join(names[:len(names)-1], ", ")+" and "+names[len(names)-1]+" will be on again in "+t.Name+".")
		}
		if t.Enabled && !m.Enabled {
			list = append(list, t.Name+" will be enabled again.")
		}
	}
	return list
}

func (p *Pages) restore(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	seen, err := strconv.ParseInt(r.PostForm.Get(openedInput), 10, 64)
	if err != nil || seen < 0 {
		return p.askRestore(w, r, v)
	}
	confirmed, err := strconv.Atoi(r.PostForm.Get("confirmed"))
	if err != nil || confirmed < 0 {
		return p.askRestore(w, r, v)
	}
	_, err = p.Jobs.RestoreDefaultMappings(r.Context(), v.jobKey(), seen, confirmed, v.actorLabel())
	switch {
	case errors.Is(err, provision.ErrChanged):
		return p.askRestoreOnce(w, r, v, true)
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.url("/provisioning"), console.DoneNotice("The default mappings are restored: everybody is looked at again."))
}

func (p *Pages) askRestart(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	n, err := p.Jobs.Reach(r.Context(), job, job)
	if err != nil {
		return err
	}
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("/provisioning/restart"), Button: "Restart provisioning", CancelURL: v.url("/provisioning"),
		Consequences: []string{
			"A new initial cycle begins: everybody in scope is looked at again and compared with " + v.App.Name + ": " + console.PluralForms(n.In, "user", "users") + ", " + console.PluralForms(n.Linked, "linked account", "linked accounts") + ".",
			"Failures that wait for a retry and a quarantine are forgotten. The links between users and accounts are kept.",
			"Provisioning Status is set to On.",
		},
		Undo: "Nothing is lost: only what differs is written.",
	}
	pg.Title, pg.Narrow = "Restart provisioning?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: pg.CancelURL})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) restart(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Restart(r.Context(), v.jobKey(), v.actorLabel()); err != nil {
		return p.handleJobError(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.url("/provisioning"), console.DoneNotice("Provisioning was restarted: an initial cycle begins within moments."))
}

// handleJobError handles an error of p.Jobs. If there is no job yet, it redirects to the page where
// one can be started. For an InputError it returns a page that explains it. It returns other errors
// unchanged.
func (p *Pages) handleJobError(w http.ResponseWriter, r *http.Request, v *appVisit, err error) error {
	var input *provision.InputError
	if errors.As(err, &input) {
		return &console.PageError{Status: http.StatusUnprocessableEntity, Title: "This was not done", Text: console.AsSentence(input.Field + " " + input.Text)}
	}
	if !errors.Is(err, provision.ErrNoJob) {
		return err
	}
	return p.Console.Redirect(w, r, v.url("/provisioning"), console.Notice{Tone: console.ToneInfo, Text: "Provisioning is not set up for " + v.App.Name + " yet. Click Get started."})
}

// jobBadge returns the badge for the status of a job.
func jobBadge(code string) console.Badge {
	switch code {
	case provision.Running:
		return console.Badge{Tone: console.ToneGood, Text: "On"}
	case provision.Paused:
		return console.Badge{Tone: console.ToneWarning, Text: "Off", Hint: "Paused: state is kept"}
	case provision.Quarantined:
		return console.Badge{Tone: console.ToneProblem, Text: "Quarantine"}
	case provision.NotRun:
		return console.Badge{Tone: console.ToneInfo, Text: "Not started"}
	}
	return console.Badge{Tone: console.ToneQuiet, Text: "Not set up"}
}

func (p *Pages) statusLine(r provision.Report) string {
	now := p.Console.Options.Now()
	switch last := r.State.Last; {
	case r.Code == provision.NotConfigured:
		return "Provisioning Mode is Manual: nothing is sent."
	case r.Code == provision.NotRun:
		return "Set up, not started yet."
	case r.State.Quarantine != nil:
		return "In quarantine since " + console.RelativeTime(r.State.Quarantine.Since, now) + "."
	case r.State.Phase != provision.Idle:
		return "A cycle is in progress since " + console.RelativeTime(r.State.Cycle.Started, now) + "."
	case last == nil && r.Code == provision.Paused:
		return "Off. No cycle was completed yet."
	case last == nil:
		return "On. The first cycle begins within moments."
	case r.Code == provision.Paused:
		return "Off. The last cycle ended " + console.RelativeTime(last.Ended, now) + "."
	default:
		return "On. The last cycle ended " + console.RelativeTime(last.Ended, now) + ": " + cycleSentence(*last) + "."
	}
}

// cycleSentence returns the numbers of a cycle, such as "3 created, 1 failed".
func cycleSentence(c provision.CycleReport) string {
	var parts []string
	for _, f := range []struct {
		n    int
		what string
	}{{c.Created, "created"}, {c.Updated, "updated"}, {c.Disabled, "disabled"}, {c.Deleted, "deleted"}, {c.Failed, "failed"}} {
		if f.n > 0 {
			parts = append(parts, console.GroupDigits(f.n)+" "+f.what)
		}
	}
	if parts == nil {
		return "nothing had to be changed"
	}
	return strings.Join(parts, ", ")
}

// newProvisioningState prepares a job's report for the page.
func newProvisioningState(r provision.Report, now time.Time) *provisioningState {
	s := &provisioningState{Report: r, Quarantine: r.State.Quarantine, LastCycle: newCycleView(r.State.Last), NextCycle: r.State.NextCycle}
	if r.State.Phase != provision.Idle {
		c := r.State.Cycle
		s.RunningCycle = newCycleView(&c)
		s.RunningCycle.Badge = console.Badge{Tone: console.ToneInfo, Text: "In progress"}
		s.RunningCycle.Rate = rateText(c, now)
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"Users linked", r.Linked}, {"Account gone", r.Lost}, {"Kept blocked", r.KeptBlocked}, {"Without an account", r.Unmatched}, {"Waiting for a retry", r.Escrowed}, {"Still to look at", r.Pending}, {"On hold", r.OnHold}, {"Rejected", r.Rejected}, {"Groups linked", r.Groups}, {"Members of groups", r.Members}} {
		switch f.name {
		case "On hold", "Rejected", "Groups linked", "Members of groups":
			if f.n == 0 {
				continue // most jobs have none of these, so the page does not show a zero
			}
		}
		s.Counts = append(s.Counts, console.Fact{Name: f.name, Value: console.GroupDigits(f.n)})
	}
	s.Failing = slices.Clone(s.Failing)
	for i, f := range s.Failing {
		s.Failing[i].Reason = fmt.Sprintf("%s: %s", f.Code, f.Reason)
	}
	return s
}

// rateText says how fast a running cycle goes on average, such as "1,200 a minute". It returns ""
// in the first seconds of the cycle, when the average says nothing.
func rateText(c provision.CycleReport, now time.Time) string {
	took := now.Sub(c.Started)
	if took < 5*time.Second || c.Read == 0 {
		return ""
	}
	return console.GroupDigits(int(float64(c.Read)/took.Minutes())) + " looked at in a minute"
}

// newCycleView prepares the report of a cycle for the page. It returns nil for nil.
func newCycleView(c *provision.CycleReport) *cycleView {
	if c == nil {
		return nil
	}
	v := &cycleView{Name: "Incremental cycle", Started: c.Started, Ended: c.Ended, Error: c.Error, Badge: console.Badge{Tone: console.ToneGood, Text: "Completed"}}
	if c.Kind == provision.InitialCycle {
		v.Name = "Initial cycle"
	}
	switch c.State {
	case provision.EntryLevelErrors:
		v.Badge = console.Badge{Tone: console.ToneWarning, Text: "Completed with errors"}
	case provision.Failed:
		v.Badge = console.Badge{Tone: console.ToneProblem, Text: "Stopped"}
	}
	if !c.Ended.IsZero() {
		v.Duration = c.Ended.Sub(c.Started).Round(10 * time.Millisecond).String()
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
		v.Counts = append(v.Counts, console.Fact{Name: f.name, Value: console.GroupDigits(f.n)})
	}
	if c.Redundant > 0 {
		v.Counts = append(v.Counts, console.Fact{Name: "Skipped as unchanged, not listed", Value: console.GroupDigits(c.Redundant)})
	}
	return v
}

// provisioningBadge returns the badge that shows the state of an application's provisioning in a
// list of applications.
func (p *Pages) provisioningBadge(ctx context.Context, d directory.ID, a directory.Application) (console.Badge, error) {
	report, err := p.Jobs.Report(ctx, provision.Key{Directory: provision.SourceID(d), App: a.ID})
	if errors.Is(err, provision.ErrNoJob) {
		return jobBadge(provision.NotConfigured), nil
	}
	if report.OnHold > 0 {
		return onHoldBadge(report), err
	}
	return jobBadge(report.Code), err
}

// onHoldBadge returns the badge of a job with operations on hold, which wait for a decision.
func onHoldBadge(r provision.Report) console.Badge {
	return console.Badge{Tone: console.ToneWarning, Text: console.GroupDigits(r.OnHold) + " on hold", Hint: "Approve or reject them"}
}

// summarizeProvisioning describes an application's provisioning for the application's overview.
func (p *Pages) summarizeProvisioning(ctx context.Context, v *appVisit) (provisioningSummary, error) {
	s := provisioningSummary{URL: v.url("/provisioning"), Badge: jobBadge(provision.NotConfigured), Text: "Creates, updates and switches off accounts in " + v.App.Name + " as people change here."}
	s.NextAction = console.Action{Text: "Provisioning", URL: s.URL, IsPrimary: true}
	report, err := p.Jobs.Report(ctx, v.jobKey())
	if errors.Is(err, provision.ErrNoJob) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Badge, s.Text, s.NextAction.IsPrimary = jobBadge(report.Code), p.statusLine(report), false
	if report.OnHold > 0 {
		s.Badge = onHoldBadge(report)
		s.Text = console.PluralForms(report.OnHold, "operation is", "operations are") + " on hold: somebody has to decide. " + s.Text
		s.NextAction = console.Action{Text: "See and decide", URL: v.url("/provisioning/held"), IsPrimary: true}
	}
	return s, nil
}
