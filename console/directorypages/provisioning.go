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
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// provisioningPage is the data of the view "provisioning". It uses the words and the order of the
// setup guide (docs/guide.md).
type provisioningPage struct {
	console.Page
	App      string
	Started  bool // Get started was clicked, or the job exists
	Start    string
	Saved    bool // the job exists, with its mappings, settings and status
	Form     provisioningForm
	Was      []console.HiddenField          // the values that the form started from
	Errors   map[string]*console.FieldError // keyed by the name of the input
	Tested   *console.Notice                // result of Test Connection, or an error of no input
	TestedAt time.Time                      // time of the test; zero if Tested is not its result
	Works    bool                           // the test found that the connection works
	Unsaved  bool                           // the form shows typed values that are not saved yet
	Draft    string                         // id of the draft with the typed values; may be empty
	Typed    bool                           // the draft includes a Secret Token
	Action   string
	Test     string
	Discard  string
	NowText  string
	Restart  string
	Held     string
	Logs     string
	Reload   string
	Poll     string // how often the page polls for progress, such as "3s"; empty: never

	Locked   bool // Automatic cannot go back to Manual
	Source   string
	Target   string
	Mappings []mappingLink
	Versions string // address of the versions of the mappings
	State    *provisioningState
}

// provisioningForm holds the values of the inputs.
type provisioningForm struct {
	Mode      provision.Mode
	TenantURL string
	Secret    string // typed just now; a saved one is never shown
	HasSecret bool
	Restore   bool
	Scope     provision.Scope
	Rehire    provision.Rehire
	Swaps     provision.Swaps
	Nested    string // nestedOff or nestedOn
	Status    provision.Status
}

// Automatic reports whether the mode is Automatic. Automatic and On save the templates a
// comparison.
func (f provisioningForm) Automatic() bool { return f.Mode == provision.Automatic }

// On reports whether Provisioning Status is On.
func (f provisioningForm) On() bool { return f.Status == provision.On }

// Everyone reports whether the scope is all users and groups.
func (f provisioningForm) Everyone() bool { return f.Scope == provision.Everyone }

// Adopts, Renews and Swapping report the rules that differ from ask.
func (f provisioningForm) Adopts() bool   { return f.Rehire == provision.RehireAdopt }
func (f provisioningForm) Renews() bool   { return f.Rehire == provision.RehireNew }
func (f provisioningForm) Swapping() bool { return f.Swaps == provision.SwapsTemporary }

// Nests reports whether groups are sent as members of groups.
func (f provisioningForm) Nests() bool { return f.Nested == nestedOn }

// The values of the input Nested groups.
const (
	nestedOff = "off"
	nestedOn  = "on"
)

func nestedValue(nested bool) string {
	if nested {
		return nestedOn
	}
	return nestedOff
}

type mappingLink struct {
	Name, URL string
	Enabled   bool
}

// provisioningState describes how a job is going.
type provisioningState struct {
	provision.Report
	Quarantine *provision.Quarantine
	Running    *cycleView
	Last       *cycleView
	Figures    []console.Fact
	Next       time.Time
}

// On reports whether the saved Provisioning Status is On. The form may say something else.
func (s provisioningState) On() bool { return s.Job.Status == provision.On }

// cycleView describes a cycle in words.
type cycleView struct {
	Name    string // such as "Initial cycle"
	Started time.Time
	Ended   time.Time
	Took    string
	Badge   console.Badge
	Error   string
	Figures []console.Fact
}

func (v *appVisit) key() provision.Key {
	return provision.Key{Directory: provision.SourceID(v.Directory.ID), App: v.App.ID}
}

func (p *Pages) toProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.Console.Redirect(w, r, v.url("/provisioning"), console.Notice{})
}

func (p *Pages) showProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	pg, err := p.buildProvisioning(r, v)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "provisioning", pg)
}

// testedAt is the query parameter that names a draft in the address to which Test Connection leads.
// Going back or reloading keeps that address, and so the typed values. The page's own address
// always shows the saved values.
const testedAt = "tested"

// buildProvisioning builds the page from the saved values, or from the draft if the address names one.
func (p *Pages) buildProvisioning(r *http.Request, v *appVisit) (*provisioningPage, error) {
	base := v.url("/provisioning")
	pg := &provisioningPage{
		Page: v.page, App: v.App.Name, Start: base + "?get-started=yes", Errors: map[string]*console.FieldError{},
		Action: base, Test: base + "/test", Discard: base, Restart: base + "/restart", Held: base + "/held", Logs: base + "/logs", Reload: base,
	}
	pg.Title = "Provisioning"
	pg.Crumbs = v.crumbs(console.Crumb{})
	asked := r.URL.Query().Get(testedAt)
	draft := p.findDraft(r, v, asked)
	report, err := p.Jobs.Report(r.Context(), v.key())
	if errors.Is(err, provision.ErrNoJob) {
		pg.Started = r.URL.Query().Has("get-started") || r.Method == http.MethodPost || asked != ""
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
	pg.Form = provisioningForm{Mode: job.Mode, TenantURL: job.TenantURL, HasSecret: job.HasSecret(), Scope: job.Scope, Rehire: job.Rehire, Swaps: job.Swaps, Nested: nestedValue(job.Nested), Status: job.Status}
	fields := provisioningFields()
	if !pg.Saved {
		fields = fields[:3] // the first form has neither scope nor status
	}
	pg.Was = append(console.WasFields(fields, provisioningValues(job)), console.HiddenField{Name: openedField, Value: revisionText(job)})
	pg.Locked = job.Mode == provision.Automatic
	pg.Source, pg.Target = systemNames(job.Schema)
	pg.Versions = v.versionsURL()
	for _, m := range job.Schema.ObjectMappings() {
		pg.Mappings = append(pg.Mappings, mappingLink{Name: m.Name, URL: v.mappingURL(m.Name), Enabled: m.Enabled})
	}
	if pg.Saved {
		pg.State = provisioningStateOf(report)
		b := jobBadge(report.Code)
		pg.Badge = &b
		pg.StatusLine = p.statusLine(report)
		switch {
		case report.State.Phase != provision.Idle:
			pg.Poll = "3s"
		case job.Status == provision.On && report.State.Last == nil:
			pg.Poll = "3s" // the first cycle begins within moments
		case job.Status == provision.On:
			pg.Poll = "20s"
		}
		pg.NowText = "Provision now"
		if job.Status != provision.On {
			pg.NowText = "Start provisioning"
		}
	}
	switch {
	case draft != nil:
		pg.showDraft(draft)
		pg.Reload += "?" + testedAt + "=" + url.QueryEscape(draft.ID)
	case asked != "":
		pg.Tested = &console.Notice{Tone: console.ToneInfo, Title: "This test is over", Text: "It was saved or discarded, or 30 minutes have passed. The page shows what is saved now."}
	}
	return pg, nil
}

// showDraft puts a draft into the page. The page contains the draft's id but never a Secret Token.
func (pg *provisioningPage) showDraft(d *provisioningDraft) {
	d.Form.HasSecret = pg.Form.HasSecret
	pg.Form, pg.Was, pg.Unsaved, pg.Works = d.Form, d.Was, true, d.Works
	pg.Draft, pg.Typed = d.ID, d.Form.Secret != ""
	if d.Tested != nil {
		pg.Tested, pg.TestedAt = d.Tested, d.At
	}
}

// provisioningDraft holds values that an operator typed into the page and has not saved yet.
type provisioningDraft struct {
	ID     string
	Form   provisioningForm
	Was    []console.HiddenField
	Tested *console.Notice // the result of Test Connection; nil if it was not tested
	Works  bool
	At     time.Time
}

// draftKept is how long a draft is remembered. It is short because a draft may contain a Secret
// Token. For the same reason drafts live only in memory and belong to one session.
const draftKept = 30 * time.Minute

// draftKey ties a draft to the operator's session and to the job, so its id alone opens nothing.
func (p *Pages) draftKey(r *http.Request, v *appVisit, id string) string {
	return p.Console.SessionSecret(r, SessionCookie) + " " + v.key().String() + " " + id
}

// findDraft returns a copy of the draft, or nil if it does not exist or has expired.
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
	was := append(console.RepeatWasFields(r.PostForm, provisioningFields()), console.HiddenField{Name: openedField, Value: r.PostForm.Get(openedField)})
	d := &provisioningDraft{ID: console.NewFormNumber(), Form: form, Was: was, Tested: tested, Works: works, At: now}
	p.drafts.Put(p.draftKey(r, v, d.ID), d, now, draftKept)
	return d
}

// discardProvisioning drops the draft and goes back to the saved page.
func (p *Pages) discardProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	p.dropDraft(r, v)
	return p.Console.Redirect(w, r, v.url("/provisioning"), console.Notice{})
}

// dropDraft drops the draft that the form was made from.
func (p *Pages) dropDraft(r *http.Request, v *appVisit) {
	p.drafts.Drop(p.draftKey(r, v, r.PostForm.Get(draftField)))
}

const draftField = "draft" // form field with the draft's id

const typedSecret = "typed" // in an edit, the value that means that a Secret Token was typed; a saved token is represented by its mark

// provisioningFields lists the settings that the page edits. The Secret Token is compared but never
// shown.
func provisioningFields() []console.EditField {
	return []console.EditField{
		{Name: "mode", Label: "Provisioning Mode"},
		{Name: "tenantURL", Label: "Tenant URL"},
		{
			Name: "secret", Label: "Secret Token",
			Read: func(form url.Values) string {
				switch {
				case form.Has("secret"):
					return form.Get("secret")
				case strings.TrimSpace(form.Get("secretToken")) != "" || form.Get("secretTyped") != "":
					return typedSecret
				}
				return form.Get(console.WasPrefix + "secret")
			},
			Words: func(value string) string {
				switch value {
				case "":
					return "No token"
				case typedSecret:
					return "The token that you typed"
				}
				return "The token that is saved now"
			},
		},
		console.EditChoice("scope", "Scope", map[string]string{string(provision.AssignedOnly): "Sync only assigned users and groups", string(provision.Everyone): "Sync all users and groups"}),
		console.EditChoice("rehire", "Re-hire", map[string]string{
			string(provision.RehireAsk): "Ask", string(provision.RehireAdopt): "Take the account over", string(provision.RehireNew): "New account",
		}),
		console.EditChoice("swaps", "Swapped names", map[string]string{string(provision.SwapsAsk): "Ask", string(provision.SwapsTemporary): "Use a temporary name"}),
		console.EditChoice("nested", "Nested groups", map[string]string{nestedOff: "Leave them out", nestedOn: "Send them as members"}),
		{Name: "status", Label: "Provisioning Status"},
	}
}

func provisioningValues(job provision.Job) map[string]string {
	return map[string]string{
		"mode": string(job.Mode), "tenantURL": job.TenantURL, "secret": job.SecretMark(), "scope": string(job.Scope), "status": string(job.Status),
		"rehire": string(job.Rehire), "swaps": string(job.Swaps), "nested": nestedValue(job.Nested),
	}
}

// systemNames returns the names that the schema gives to the source and the target.
func systemNames(s *provision.Schema) (source, target string) {
	for _, rule := range s.SynchronizationRules {
		return rule.SourceDirectoryName, rule.TargetDirectoryName
	}
	return "", ""
}

// readProvisioning reads the form. If the Secret Token was typed earlier, it comes from the draft.
func (p *Pages) readProvisioning(r *http.Request, v *appVisit) (provisioningForm, error) {
	if err := r.ParseForm(); err != nil {
		return provisioningForm{}, err
	}
	f := provisioningForm{
		Mode: provision.Mode(r.PostForm.Get("mode")), TenantURL: strings.TrimSpace(r.PostForm.Get("tenantURL")), Secret: strings.TrimSpace(r.PostForm.Get("secretToken")),
		Restore: r.PostForm.Get("restore") != "", Scope: provision.Scope(r.PostForm.Get("scope")), Status: provision.Status(r.PostForm.Get("status")),
		Rehire: provision.Rehire(r.PostForm.Get("rehire")), Swaps: provision.Swaps(r.PostForm.Get("swaps")), Nested: r.PostForm.Get("nested"),
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

// errAsk stops a save when two people changed the same field.
var errAsk = errors.New("two values for one field")

// errClose stops a save until the accounts that must be switched off at the old Tenant URL are.
var errClose = errors.New("leavers have to be switched off first")

func (p *Pages) saveProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form, err := p.readProvisioning(r, v)
	if err != nil {
		return err
	}
	start, typed := r.PostForm.Get("do") == "start", form
	if start { // this button saves the page and turns provisioning on
		form.Status = provision.On
		r.PostForm.Set("status", string(provision.On))
	}
	var (
		before provision.Job
		m      console.MergedEdit
		harm   provisioningHarm
		asked  *provision.Move // confirmed, and its leavers are switched off
		closed provision.Closed
	)
	by, err := v.lastChange(r.Context(), v.App.ID)
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
			return provision.Settings{}, errAsk
		}
		if !fresh && (form.Secret != "" || m.Values["tenantURL"] != now.TenantURL) {
			return provision.Settings{}, &console.OldSignIn{Renew: renewURL}
		}
		s, err := settingsOf(m.Values, form.Secret)
		if err != nil {
			return s, err
		}
		if harm, err = p.provisioningHarm(r, v, now, s, asked); err == nil && harm.needsConfirmation() && r.PostForm.Get("confirmed") != harm.confirmationValue() {
			err = errConfirm
		}
		if err == nil && harm.move.Leavers > 0 && asked == nil {
			err = errClose
		}
		s.Confirmed = harm.confirmed()
		return s, err
	}
	job, err := p.Jobs.SaveFrom(r.Context(), v.key(), decide, v.actor())
	if errors.Is(err, errClose) {
		if closed, err = p.Engine.CloseLeavers(r.Context(), v.key(), "pages "+p.Engine.NewID(), v.actor()); err != nil {
			return err
		}
		asked = &harm.move
		job, err = p.Jobs.SaveFrom(r.Context(), v.key(), decide, v.actor())
	}
	var input *provision.InputError
	switch {
	case errors.Is(err, errAsk):
		return p.askProvisioning(w, r, v, form, m, by)
	case errors.Is(err, errConfirm):
		return p.askHarm(w, r, v, typed, m, harm, by)
	case errors.As(err, &input):
		return p.viewRefused(w, r, v, form, input)
	case err != nil:
		return err
	}
	p.dropDraft(r, v)
	n := savedNotice(before, job)
	if start {
		if _, err := p.Jobs.Start(r.Context(), v.key(), v.actor()); err != nil {
			return p.handleJobError(w, r, v, err)
		}
		n = console.DoneNotice("A cycle begins now.")
		if before.Version != job.Version {
			n.Text = "Provisioning was saved. " + n.Text
		}
	}
	n.Text = strings.TrimSpace(strings.TrimSpace(n.Text+" "+closedWords(closed)) + " " + m.FromOthers(by))
	to := v.url("/provisioning")
	if form.Restore && before.Version > 0 {
		to += "/restore"
	}
	return p.Console.Redirect(w, r, to, n)
}

// askProvisioning asks about the fields that someone else changed too. It keeps the typed values in
// a draft, because a Secret Token must not travel in the page.
func (p *Pages) askProvisioning(w http.ResponseWriter, r *http.Request, v *appVisit, form provisioningForm, m console.MergedEdit, by *event.Event) error {
	more := append(p.typedFields(r, p.keepDraft(r, v, form, nil, false)), console.HiddenField{Name: openedField, Value: r.PostForm.Get(openedField)})
	frame := v.page
	frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	return p.Console.AskEdit(w, r, frame, m, v.url("/provisioning"), v.url("/provisioning"), by, more...)
}

// lastChange returns the newest change that a person made to a user or an application, or nil.
func (v *directoryVisit) lastChange(ctx context.Context, subject string) (*event.Event, error) {
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

func settingsOf(values map[string]string, secret string) (provision.Settings, error) {
	s := provision.Settings{
		Mode: provision.Mode(values["mode"]), TenantURL: values["tenantURL"], Status: provision.Status(values["status"]), Scope: provision.Scope(values["scope"]),
		Rehire: provision.Rehire(values["rehire"]), Swaps: provision.Swaps(values["swaps"]),
	}
	nested := values["nested"] == nestedOn
	if !nested && values["nested"] != nestedOff {
		return s, &provision.InputError{Field: "Nested groups", Text: "must be on or off"}
	}
	s.Nested = &nested
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

// viewRefused shows the form again, as it was filled in, with the error.
func (p *Pages) viewRefused(w http.ResponseWriter, r *http.Request, v *appVisit, form provisioningForm, input *provision.InputError) error {
	draft := p.keepDraft(r, v, form, nil, false)
	pg, err := p.buildProvisioning(r, v)
	if err != nil {
		return err
	}
	pg.showDraft(draft)
	pg.Started = true
	names := map[string]string{"Provisioning Mode": "mode", "Tenant URL": "tenantURL", "Secret Token": "secretToken", "Scope": "scope", "Re-hire": "rehire", "Swapped names": "swaps", "Nested groups": "nested", "Provisioning Status": "status"}
	text := console.AsSentence(input.Field + " " + input.Text)
	if name, ok := names[input.Field]; ok {
		pg.Errors[name] = &console.FieldError{For: name, Text: text}
	} else {
		pg.Tested = &console.Notice{Tone: console.ToneProblem, Title: "This was not saved", Text: text}
	}
	return p.show(w, r, http.StatusUnprocessableEntity, "provisioning", pg)
}

// testConnection keeps the typed values in a draft and redirects to the page. Going back or
// reloading then shows the result again, and the browser does not ask to send the form twice.
func (p *Pages) testConnection(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form, err := p.readProvisioning(r, v)
	if err != nil {
		return err
	}
	var secret *string
	if form.Secret != "" {
		secret = &form.Secret
	}
	found, err := p.Jobs.TestConnection(r.Context(), v.key(), form.TenantURL, secret)
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
	tested := &console.Notice{Tone: console.ToneGood, Title: "Testing connection to " + v.App.Name, Text: "The supplied credentials are authorized to enable provisioning. Don’t forget to Save."}
	for _, one := range found.Users {
		if !one.Proved {
			tested.Tone = console.ToneWarning
			tested.Text += " " + one.Note()
		}
	}
	for _, note := range found.GroupNotes() {
		if found.NoGroups == "" { // an application without groups is no fault of the connection
			tested.Tone = console.ToneWarning
		}
		tested.Text += " " + note
	}
	if refusal != nil {
		tested = &console.Notice{Tone: console.ToneProblem, Title: refusedTitle(refusal.Kind), Text: refusedText(refusal)}
	}
	draft := p.keepDraft(r, v, form, tested, refusal == nil)
	return p.Console.Redirect(w, r, v.url("/provisioning")+"?"+testedAt+"="+url.QueryEscape(draft.ID), console.Notice{})
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

// askRestore shows the confirmation page that lists what the template would bring back.
func (p *Pages) askRestore(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.askRestoreOf(w, r, v, false)
}

// askRestoreOf asks for confirmation. moved means that it asks again, because the mappings changed
// since the first time.
func (p *Pages) askRestoreOf(w http.ResponseWriter, r *http.Request, v *appVisit, moved bool) error {
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	template, err := p.Jobs.Default(v.key())
	if err != nil {
		return err
	}
	after, err := p.Jobs.WithDefaultMappings(job)
	if err != nil {
		return err
	}
	change, err := p.reachOf(r.Context(), v, job, after)
	if err != nil {
		return err
	}
	pg := console.ConfirmPage{
		Page: v.page, Action: v.url("/provisioning/restore"), Button: "Restore default mappings", Danger: true, Cancel: v.url("/provisioning"),
		Fields:       []console.HiddenField{{Name: openedField, Value: revisionText(job)}, {Name: "confirmed", Value: strconv.Itoa(change.confirmed())}},
		Consequences: restoredActions(job.Schema, template.Schema), Undo: "The mappings of today stay as a version and can be set again.",
	}
	status := http.StatusOK
	if moved {
		status = http.StatusConflict
		by, err := v.lastChange(r.Context(), v.App.ID)
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
	for _, words := range provision.ChangeWords(job.Schema, after.Schema, maxEffects) {
		pg.Consequences = append(pg.Consequences, console.AsSentence(words))
	}
	pg.Consequences = append(pg.Consequences, change.words(v)...)
	linked, err := p.Jobs.Report(r.Context(), v.key())
	if err != nil {
		return err
	}
	pg.Consequences = append(pg.Consequences, "Everybody in scope is looked at again, and compared with "+v.App.Name+": "+console.PluralForms(linked.Linked, "linked account", "linked accounts")+".")
	pg.Title, pg.Narrow = "Restore default mappings?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: pg.Cancel})
	return p.Console.View(w, r, status, "confirm", pg)
}

// restoredActions describes the mappings and target object actions that are on in the template and
// off in the job.
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
	seen, err := strconv.ParseInt(r.PostForm.Get(openedField), 10, 64)
	if err != nil || seen < 0 {
		return p.askRestore(w, r, v)
	}
	confirmed, err := strconv.Atoi(r.PostForm.Get("confirmed"))
	if err != nil || confirmed < 0 {
		return p.askRestore(w, r, v)
	}
	_, err = p.Jobs.RestoreDefaultMappings(r.Context(), v.key(), seen, confirmed, v.actor())
	switch {
	case errors.Is(err, provision.ErrChanged):
		return p.askRestoreOf(w, r, v, true)
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.url("/provisioning"), console.DoneNotice("The default mappings are restored: everybody is looked at again."))
}

func (p *Pages) askRestart(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	n, err := p.Jobs.Reach(r.Context(), job, job)
	if err != nil {
		return err
	}
	pg := console.ConfirmPage{
		Page: v.page, Action: v.url("/provisioning/restart"), Button: "Restart provisioning", Cancel: v.url("/provisioning"),
		Consequences: []string{
			"A new initial cycle begins: everybody in scope is looked at again and compared with " + v.App.Name + ": " + console.PluralForms(n.In, "user", "users") + ", " + console.PluralForms(n.Linked, "linked account", "linked accounts") + ".",
			"Failures that wait for a retry and a quarantine are forgotten. The links between users and accounts are kept.",
			"Provisioning Status is set to On.",
		},
		Undo: "Nothing is lost: only what differs is written.",
	}
	pg.Title, pg.Narrow = "Restart provisioning?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: pg.Cancel})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) restart(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Restart(r.Context(), v.key(), v.actor()); err != nil {
		return p.handleJobError(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.url("/provisioning"), console.DoneNotice("Provisioning was restarted: an initial cycle begins within moments."))
}

// handleJobError handles errors of Jobs. If there is no job yet, it redirects to Get started.
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

// cycleSentence counts what a cycle did, such as "3 created, 1 failed".
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

func provisioningStateOf(r provision.Report) *provisioningState {
	s := &provisioningState{Report: r, Quarantine: r.State.Quarantine, Last: cycleViewOf(r.State.Last), Next: r.State.NextCycle}
	if r.State.Phase != provision.Idle {
		c := r.State.Cycle
		s.Running = cycleViewOf(&c)
		s.Running.Badge = console.Badge{Tone: console.ToneInfo, Text: "In progress"}
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"Users linked", r.Linked}, {"Account gone", r.Lost}, {"Kept blocked", r.Held}, {"Without an account", r.Unmatched}, {"Waiting for a retry", r.Escrowed}, {"Still to look at", r.Pending}, {"On hold", r.OnHold}, {"Rejected", r.Rejected}, {"Groups linked", r.Groups}, {"Members of groups", r.Members}} {
		switch f.name {
		case "On hold", "Rejected", "Groups linked", "Members of groups":
			if f.n == 0 {
				continue // rare
			}
		}
		s.Figures = append(s.Figures, console.Fact{Name: f.name, Value: console.GroupDigits(f.n)})
	}
	for i, f := range s.Failing {
		s.Failing[i].Reason = fmt.Sprintf("%s: %s", f.Code, f.Reason)
	}
	return s
}

func cycleViewOf(c *provision.CycleReport) *cycleView {
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
		v.Figures = append(v.Figures, console.Fact{Name: f.name, Value: console.GroupDigits(f.n)})
	}
	if c.Redundant > 0 {
		v.Figures = append(v.Figures, console.Fact{Name: "Skipped as unchanged, not listed", Value: console.GroupDigits(c.Redundant)})
	}
	return v
}

// provisioningBadge returns the badge of an application's provisioning in a list.
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

// onHoldBadge returns the badge of a job that waits for a decision.
func onHoldBadge(r provision.Report) console.Badge {
	return console.Badge{Tone: console.ToneWarning, Text: console.GroupDigits(r.OnHold) + " on hold", Hint: "Approve or reject them"}
}

// provisioningSummary describes an application's provisioning for its overview.
func (p *Pages) provisioningSummary(ctx context.Context, v *appVisit) (provisioningSummary, error) {
	s := provisioningSummary{URL: v.url("/provisioning"), Badge: jobBadge(provision.NotConfigured), Text: "Creates, updates and switches off accounts in " + v.App.Name + " as people change here."}
	s.Next = console.Action{Text: "Provisioning", URL: s.URL, Primary: true}
	report, err := p.Jobs.Report(ctx, v.key())
	if errors.Is(err, provision.ErrNoJob) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Badge, s.Text, s.Next.Primary = jobBadge(report.Code), p.statusLine(report), false
	if report.OnHold > 0 {
		s.Badge = onHoldBadge(report)
		s.Text = console.PluralForms(report.OnHold, "operation is", "operations are") + " on hold: somebody has to decide. " + s.Text
		s.Next = console.Action{Text: "See and decide", URL: v.url("/provisioning/held"), Primary: true}
	}
	return s, nil
}
