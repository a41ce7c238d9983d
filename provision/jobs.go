package provision

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/redact"
)

// Jobs carries out what administrators do on the Provisioning page and the command line: it
// creates, changes, starts, pauses and shows jobs.
type Jobs struct {
	Store    Store
	Sealer   Sealer
	Targets  TargetMaker
	Template func() (*Schema, error)                // the default mappings
	Wake     func(ctx context.Context, k Key) error // makes the engine look at a job now; if nil, the engine must notice changes by itself
	Now      func() time.Time
	NewID    func() string

	Sources         func(ctx context.Context, d SourceID) (Source, error) // opens the source of a directory
	Attributes      Catalog                                               // the attributes that mappings of users can read
	GroupAttributes Catalog                                               // the attributes that mappings of groups can read

	// LeaverPatience is how long an account may wait to be closed; 0 means DefaultLeaverPatience.
	LeaverPatience time.Duration

	Applications NameApplication // returns names of applications, for the sentences of events
	Events       event.Recorder  // receives the events of connection tests; nil discards them
}

// CatalogOf returns the catalog of the attributes that a mapping can read.
func (j *Jobs) CatalogOf(m *ObjectMapping) Catalog {
	if m.SourceObjectName == string(GroupKind) {
		return j.GroupAttributes
	}
	return j.Attributes
}

// Settings are the fields of the Provisioning page.
type Settings struct {
	Mode      Mode
	TenantURL string
	Secret    *string // the new Secret Token; nil keeps the saved one, "" removes it
	Status    Status
	Scope     Scope
	Actions   *FlowTypes // Target Object Actions of the user mapping; nil keeps the saved ones
	ExactCase *[]string  // target attributes of the user mapping whose case counts; nil keeps the saved ones
	Rehire    Rehire     // the new rule; "" keeps the saved one
	Swaps     Swaps      // the new rule; "" keeps the saved one
	Rules     Rules      // the new rules; "" keeps the saved ones
	// DeleteThreshold is the new Job.DeleteThreshold; nil keeps the saved one.
	DeleteThreshold *int
	Nested          *bool // whether groups are sent as members of groups; nil keeps the saved one
	// SecondApproval says whether a second operator must approve plans; nil keeps the saved value.
	// Only the command line can switch it off: an operator must not be able to lift the rule in
	// order to approve a plan of their own.
	SecondApproval *bool
	Confirmed      int // how many accounts the change may disable: the number to which an administrator agreed
}

// MappingEdit changes an object mapping. Fields that are nil change nothing.
type MappingEdit struct {
	Enabled *bool
	Actions *FlowTypes     // Target Object Actions
	Scope   *[]FilterGroup // Source Object Scope; an empty list admits all objects
	// ExactCase lists the target attributes of the mapping for which a difference only in case
	// counts as a change. For all others, case is ignored.
	ExactCase *[]string
	Confirmed int // how many accounts the change may disable, as in Settings
}

// Default returns the job that the Provisioning page shows before the first Save.
func (j *Jobs) Default(k Key) (Job, error) {
	s, err := j.Template()
	if err != nil {
		return Job{}, fmt.Errorf("read default mappings: %w", err)
	}
	return Job{Key: k, Mode: Manual, Status: Off, Scope: AssignedOnly, Rehire: RehireAsk, Swaps: SwapsAsk, Rules: RulesRollcall, DeleteThreshold: DefaultDeleteThreshold, Schema: s}, nil
}

// Get returns a job. Before the first Save it returns ErrNoJob.
func (j *Jobs) Get(ctx context.Context, k Key) (Job, error) { return j.Store.Job(ctx, k) }

// List returns the jobs of a directory.
func (j *Jobs) List(ctx context.Context, d SourceID) ([]Job, error) {
	return j.Store.ListJobs(ctx, d)
}

// Save saves the settings of the Provisioning page. The first Save creates the job. The error is an
// *InputError if the settings cannot be saved.
func (j *Jobs) Save(ctx context.Context, k Key, s Settings, actor string) (Job, error) {
	return j.SaveFrom(ctx, k, func(Job) (Settings, error) { return s, nil }, actor)
}

// Edit calls the function edit to change the current settings, and saves the result. The first call
// of Edit creates the job. All changes take effect together: a job that is switched on starts with
// the mapping from the same edit. edit may run more than once.
func (j *Jobs) Edit(ctx context.Context, k Key, edit func(*Settings), actor string) (Job, error) {
	return j.SaveFrom(ctx, k, func(now Job) (Settings, error) {
		s := Settings{Mode: now.Mode, TenantURL: now.TenantURL, Status: now.Status, Scope: now.Scope}
		edit(&s)
		return s, nil
	}, actor)
}

// CheckEdit returns the error with which Edit would refuse the change, and saves nothing.
func (j *Jobs) CheckEdit(ctx context.Context, k Key, edit func(*Settings)) error {
	job, err := j.Store.Job(ctx, k)
	if errors.Is(err, ErrNoJob) {
		job, err = j.Default(k)
	}
	if err != nil {
		return err
	}
	s := Settings{Mode: job.Mode, TenantURL: job.TenantURL, Status: job.Status, Scope: job.Scope}
	edit(&s)
	_, err = j.apply(&job, s)
	return err
}

// SaveFrom saves settings that depend on the current job. decide gets that job, or the default job
// before the first Save. If another change comes in between, decide runs again, so it must have no
// side effects.
func (j *Jobs) SaveFrom(ctx context.Context, k Key, decide func(now Job) (Settings, error), actor string) (Job, error) {
	fn := func(job *Job) (string, error) {
		s, err := decide(*job)
		if err != nil {
			return "", err
		}
		if off := s.SecondApproval != nil && !*s.SecondApproval; off && job.SecondApproval && event.ParseActor(actor).Kind != event.Command {
			return "", &InputError{Field: fieldSecondApproval, Text: "can be switched off only on the server, with rollcall app set --second-approval off"}
		}
		if changes := s.Rules != "" && s.Rules != job.Rules || s.DeleteThreshold != nil && *s.DeleteThreshold != job.DeleteThreshold; changes && job.SecondApproval && event.ParseActor(actor).Kind != event.Command {
			return "", &InputError{Field: fieldRules, Text: "can be changed only on the server while " + fieldSecondApproval + " is on, with rollcall app set --rules and --delete-threshold"}
		}
		before := job.connection()
		words, err := j.apply(job, s)
		if err == nil && (job.connection() != before || job.Version == 0) {
			j.testSearches(ctx, job)
		}
		return words, err
	}
	for attempt := 0; ; attempt++ {
		job, err := j.change(ctx, k, actor, event.ProvisioningSaved, fn)
		if errors.Is(err, ErrNoJob) {
			job, err = j.createJob(ctx, k, fn, actor)
		}
		if !errors.Is(err, ErrChanged) || attempt == 5 {
			return job, err
		}
	}
}

// Create creates a job with these mappings. The job is off and has no credentials yet. The error is
// an *InputError if the mappings cannot be used, and ErrChanged if the application already has a
// job.
func (j *Jobs) Create(ctx context.Context, k Key, schema *Schema, actor string) (Job, error) {
	if err := j.CheckSchema(schema); err != nil {
		return Job{}, err
	}
	return j.createJob(ctx, k, func(job *Job) (string, error) {
		job.Schema = schema.Clone()
		return "Provisioning was set up.", nil
	}, actor)
}

// createJob creates a job: the default job, changed by fn. It returns ErrChanged if the job exists
// already.
func (j *Jobs) createJob(ctx context.Context, k Key, fn func(*Job) (string, error), actor string) (Job, error) {
	job, err := j.Default(k)
	if err != nil {
		return Job{}, err
	}
	if _, err := fn(&job); err != nil {
		return Job{}, err
	}
	job.Version, job.Asked = 1, Asked{TryNow: 1, LookAtAll: 1, ForgetLinks: 1}
	job.Created, job.Modified, job.AskedWhy = j.Now(), j.Now(), "Provisioning was set up"
	if job.Searches != nil {
		job.Searches.For = job.connection()
	}
	e := j.event(ctx, job, actor, event.ProvisioningCreated, fmt.Sprintf("Provisioning was set up: %s, status %s.", job.Mode, job.Status), changedSettings(Job{Schema: job.Schema}, job)...)
	if err := j.Store.InsertJob(ctx, job, e); err != nil {
		return Job{}, err
	}
	return job, j.wake(ctx, job)
}

// apply applies settings to a job and returns a sentence about the changes, or "" if nothing
// changed.
func (j *Jobs) apply(job *Job, s Settings) (string, error) {
	s.TenantURL = strings.TrimSpace(s.TenantURL)
	var did []string
	if s.Actions != nil || s.ExactCase != nil {
		words, err := j.setMapping(job, "", MappingEdit{Actions: s.Actions, ExactCase: s.ExactCase})
		if err != nil {
			return "", err
		}
		if words != "" {
			did = append(did, strings.TrimSuffix(words, "."))
		}
	}
	if err := j.Check(*job, s); err != nil {
		return "", err
	}
	if s.Mode != job.Mode {
		did = append(did, fmt.Sprintf("Provisioning Mode set to %s", s.Mode))
		job.Mode = s.Mode
	}
	if s.TenantURL != job.TenantURL {
		did = append(did, "Tenant URL changed")
		if applicationAddress(s.TenantURL) != applicationAddress(job.TenantURL) {
			job.ForgetLinks++
			job.LookAtAll++
		}
		job.TenantURL = s.TenantURL
		job.TryNow++
	}
	if s.Secret != nil {
		changed, err := j.seal(job, *s.Secret)
		if err != nil {
			return "", err
		}
		if changed {
			did = append(did, "Secret Token changed")
		} else {
			did = append(did, "Secret Token saved again")
		}
		job.TryNow++ // the administrator who saved the token wants to know at once whether it works
	}
	if s.Scope != job.Scope {
		did = append(did, fmt.Sprintf("Scope set to %s", s.Scope))
		job.Scope = s.Scope
		job.LookAtAll++
	}
	if s.Rehire != "" && s.Rehire != job.Rehire {
		did = append(did, fmt.Sprintf("Re-hire set to %s", s.Rehire))
		job.Rehire = s.Rehire
		job.LookAtAll++ // with the new rule, people who waited for a decision may get their accounts
	}
	if s.Swaps != "" && s.Swaps != job.Swaps {
		did = append(did, fmt.Sprintf("Swapped names set to %s", s.Swaps))
		job.Swaps = s.Swaps
		job.LookAtAll++ // with the new rule, updates that waited for a decision may be sent
	}
	if s.Rules != "" && s.Rules != job.Rules {
		did = append(did, fieldRules+" set to "+s.Rules.Words())
		job.Rules = s.Rules
		job.TryNow++ // a cycle with the new rules begins at once
	}
	if s.DeleteThreshold != nil && *s.DeleteThreshold != job.DeleteThreshold {
		did = append(did, fmt.Sprintf("%s set to %d", fieldThreshold, *s.DeleteThreshold))
		job.DeleteThreshold = *s.DeleteThreshold
	}
	if s.Nested != nil && *s.Nested != job.Nested {
		did = append(did, "Nested groups set to "+onOrOff(*s.Nested))
		job.Nested = *s.Nested
		job.LookAtAll++ // the members of all groups are compared again
	}
	if s.SecondApproval != nil && *s.SecondApproval != job.SecondApproval {
		did = append(did, fieldSecondApproval+" set to "+onOrOff(*s.SecondApproval))
		job.SecondApproval = *s.SecondApproval
	}
	if s.Status != job.Status {
		did = append(did, fmt.Sprintf("Provisioning Status set to %s", s.Status))
		job.Status = s.Status
		job.TryNow++
	}
	if len(did) == 0 {
		return "", nil
	}
	job.Confirmed += int64(s.Confirmed)
	return strings.Join(did, ", ") + ".", nil
}

// The names of settings.
const (
	fieldSecondApproval = "Second approval"
	fieldRules          = "Rules"
	fieldThreshold      = "Deletion threshold"
)

// Words returns the name of the rules.
func (r Rules) Words() string {
	if r == RulesEntra {
		return "Entra's rules"
	}
	return "Rollcall's rules"
}

// maxDeleteThreshold is the largest deletion threshold.
const maxDeleteThreshold = 10_000_000

func onOrOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Check returns an *InputError if the settings cannot be saved.
func (j *Jobs) Check(job Job, s Settings) error {
	switch {
	case s.Mode != Manual && s.Mode != Automatic:
		return &InputError{Field: "Provisioning Mode", Text: "must be Manual or Automatic"}
	case s.Mode == Manual && job.Mode == Automatic:
		return &InputError{Field: "Provisioning Mode", Text: "cannot go back to Manual; set Provisioning Status to Off instead"}
	case s.Scope != AssignedOnly && s.Scope != Everyone:
		return &InputError{Field: "Scope", Text: "must be assigned or all"}
	case s.Rehire != "" && s.Rehire != RehireAsk && s.Rehire != RehireAdopt && s.Rehire != RehireNew:
		return &InputError{Field: "Re-hire", Text: "must be ask, adopt or new"}
	case s.Swaps != "" && s.Swaps != SwapsAsk && s.Swaps != SwapsTemporary:
		return &InputError{Field: "Swapped names", Text: "must be ask or temporary"}
	case s.Rules != "" && s.Rules != RulesRollcall && s.Rules != RulesEntra:
		return &InputError{Field: fieldRules, Text: "must be rollcall or entra"}
	case s.DeleteThreshold != nil && (*s.DeleteThreshold < 0 || *s.DeleteThreshold > maxDeleteThreshold):
		return &InputError{Field: fieldThreshold, Text: fmt.Sprintf("must be a number from 0 to %d; 0 means that no number of deletions is held", maxDeleteThreshold)}
	case s.Status != On && s.Status != Off:
		return &InputError{Field: "Provisioning Status", Text: "must be On or Off"}
	case s.Mode == Manual && s.Status == On:
		return &InputError{Field: "Provisioning Status", Text: "can be On with Provisioning Mode Automatic only"}
	case s.Mode == Automatic && s.TenantURL == "":
		return &InputError{Field: "Tenant URL", Text: "is needed; it is the address of the application's SCIM endpoint"}
	case s.Secret == nil && job.HasSecret() && !sameOrigin(s.TenantURL, job.TenantURL):
		return &InputError{Field: "Secret Token", Text: "must be entered again for another host: the saved one belongs to " + hostOf(job.TenantURL)}
	case redact.Tokens(s.TenantURL) != s.TenantURL:
		return &InputError{Field: "Tenant URL", Text: "contains a token, which everybody who sees this page could read; enter it as Secret Token instead"}
	case s.TenantURL == "":
		return nil
	}
	_, err := j.Targets(s.TenantURL, "")
	var te *TargetError
	if errors.As(err, &te) {
		return &InputError{Field: "Tenant URL", Text: te.Words()}
	}
	return err
}

// usableMapping compiles the user mapping. It returns an *InputError if that fails.
func usableMapping(s *Schema, c Catalog) (*mapping, error) {
	m, err := compileMapping(s, c)
	if err != nil {
		return nil, &InputError{Field: "Mapping", Text: "cannot be used: " + err.Error() + ". Correct the mapping, or restore the default mappings"}
	}
	return m, nil
}

// seal encrypts the Secret Token and stores it in the job; "" removes the stored token. It ignores
// white space around the token, which comes from copying. changed is false if the job already has
// this token.
func (j *Jobs) seal(job *Job, secret string) (changed bool, err error) {
	secret = strings.TrimSpace(secret)
	if strings.ContainsAny(secret, "\r\n\x00") {
		return false, &InputError{Field: "Secret Token", Text: "contains a line break; paste the token alone"}
	}
	if old, err := openSecret(j.Sealer, *job); err == nil && old == secret {
		return false, nil
	}
	if secret == "" {
		job.SealedSecret = nil
		return true, nil
	}
	job.SealedSecret, err = j.Sealer.Seal([]byte(secret), secretContext(job.Key, job.TenantURL))
	if err != nil {
		return false, fmt.Errorf("seal secret token: %w", err)
	}
	return true, nil
}

// applicationAddress returns the part of a Tenant URL that identifies the application: everything
// before the query string, which holds only flags, in lower case.
func applicationAddress(tenantURL string) string {
	base, _, _ := strings.Cut(tenantURL, "?")
	return strings.ToLower(strings.TrimRight(base, "/"))
}

// saveTest is the time limit of the connection test during a save.
const saveTest = 5 * time.Second

// testSearches tests by which matching attributes of users and groups the target can be searched
// with a job's new settings, and stores the results in job.Searches. The results are only
// information: a target that cannot be reached does not prevent the save, and every cycle tests
// again before it does any work.
func (j *Jobs) testSearches(ctx context.Context, job *Job) {
	job.Searches = nil
	if job.Mode != Automatic || job.TenantURL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, saveTest)
	defer cancel()
	secret, err := openSecret(j.Sealer, *job)
	if err != nil {
		return
	}
	m, err := compileMapping(job.Schema, j.Attributes)
	if err != nil {
		return
	}
	target, err := j.Targets(job.TenantURL, secret)
	if err != nil {
		return
	}
	found, err := testConnection(ctx, target, *job, m)
	if err == nil || asTargetError(err).Kind == Unsearchable {
		job.Searches = &Searches{For: job.connection(), At: j.Now(), All: found.Users, Groups: found.Groups, NoGroups: found.NoGroups}
	}
}

// TestConnection searches the target, by every matching attribute, for accounts that cannot exist.
// If the job provisions groups, it also searches for groups that cannot exist. If secret is nil, it
// uses the saved Secret Token. The result says for each attribute whether the target can be
// searched by it. The error is an *InputError if the settings cannot be used. If the target
// refuses, it is a *TargetError whose Words explain the problem.
func (j *Jobs) TestConnection(ctx context.Context, k Key, tenantURL string, secret *string) (ConnectionTest, error) {
	job, err := j.Store.Job(ctx, k)
	if errors.Is(err, ErrNoJob) {
		job, err = j.Default(k)
	}
	if err != nil {
		return ConnectionTest{}, err
	}
	if tenantURL = strings.TrimSpace(tenantURL); tenantURL == "" {
		return ConnectionTest{}, &InputError{Field: "Tenant URL", Text: "is needed; it is the address of the application's SCIM endpoint"}
	}
	var token string
	switch {
	case secret != nil:
		token = strings.TrimSpace(*secret)
	case job.HasSecret() && !sameOrigin(tenantURL, job.TenantURL):
		return ConnectionTest{}, &InputError{Field: "Secret Token", Text: "must be entered again for another host: the saved one belongs to " + hostOf(job.TenantURL)}
	default:
		if token, err = openSecret(j.Sealer, job); err != nil {
			return ConnectionTest{}, err
		}
	}
	m, err := usableMapping(job.Schema, j.Attributes)
	if err != nil {
		return ConnectionTest{}, err
	}
	target, err := j.Targets(tenantURL, token)
	if err != nil {
		return ConnectionTest{}, err
	}
	found, err := testConnection(ctx, target, job, m)
	if failed := j.recordTest(ctx, job, tenantURL, err); failed != nil {
		return ConnectionTest{}, failed
	}
	return found, err
}

// recordTest records a connection test as an event, with the host and the result. refused is the
// error of the test; nil if the test worked. The event does not contain the application's answer.
func (j *Jobs) recordTest(ctx context.Context, job Job, tenantURL string, refused error) error {
	if j.Events == nil {
		return nil
	}
	outcome := "worked"
	if refused != nil {
		te := asTargetError(refused)
		outcome = "failed: " + string(te.Kind)
		if te.Status != 0 {
			outcome += fmt.Sprintf(" (HTTP %d)", te.Status)
		}
	}
	e := j.event(ctx, job, "", event.ProvisioningConnectionTested, fmt.Sprintf("Test Connection to %s %s.", hostOf(tenantURL), outcome))
	e.Data = event.DataOf(event.ConnectionTest{Host: hostOf(tenantURL), Outcome: outcome})
	// The test has taken place, so record it even if the caller has disconnected.
	if err := j.Events.Record(context.WithoutCancel(ctx), e); err != nil {
		return fmt.Errorf("note the test in the audit trail: %w", err)
	}
	return nil
}

// Start sets Provisioning Status to On and begins a cycle at once, even during a quarantine.
func (j *Jobs) Start(ctx context.Context, k Key, actor string) (Job, error) {
	return j.change(ctx, k, actor, event.ProvisioningStarted, func(job *Job) (string, error) {
		if job.Mode != Automatic {
			return "", &InputError{Field: "Provisioning Mode", Text: "is Manual; save the Admin Credentials with Automatic first"}
		}
		if _, err := usableMapping(job.Schema, j.Attributes); err != nil {
			return "", err
		}
		job.Status = On
		job.TryNow++
		return "Provisioning was started.", nil
	})
}

// Pause sets Provisioning Status to Off. A cycle that is under way stops, and keeps its state until
// the job is started again.
func (j *Jobs) Pause(ctx context.Context, k Key, actor string) (Job, error) {
	return j.change(ctx, k, actor, event.ProvisioningPaused, func(job *Job) (string, error) {
		if job.Status == Off {
			return "", nil
		}
		job.Status = Off
		return "Provisioning was paused.", nil
	})
}

// Restart starts a new initial cycle. It forgets failures and ends a quarantine, but keeps the
// links to accounts.
func (j *Jobs) Restart(ctx context.Context, k Key, actor string) (Job, error) {
	return j.Reset(ctx, k, Reset{Everybody: true, Failures: true, Quarantine: true}, actor)
}

// Reset says what a restart does. Failures and Links include Everybody.
type Reset struct {
	Everybody  bool // whether to look at everyone again
	Failures   bool // whether to forget failures, and to read all accounts again
	Quarantine bool // whether to try again at once, even in quarantine; every restart does this anyway
	Links      bool // whether to forget the links to accounts, so that everyone is matched again
}

// words describes the restart, for its event.
func (r Reset) words() string {
	switch {
	case r.Links:
		return "Provisioning was restarted: the links to accounts were forgotten, and everybody is looked at again."
	case r.Everybody:
		return "Provisioning was restarted: everybody is looked at again."
	}
	return "Provisioning was restarted: it tries again at once."
}

// Reset restarts a job as the argument what says, and sets Provisioning Status to On. The error is
// an *InputError if the job is not set up.
func (j *Jobs) Reset(ctx context.Context, k Key, what Reset, actor string) (Job, error) {
	return j.change(ctx, k, actor, event.ProvisioningRestarted, func(job *Job) (string, error) {
		if job.Mode != Automatic {
			return "", &InputError{Field: "Provisioning Mode", Text: "is Manual; save the Admin Credentials with Automatic first"}
		}
		if _, err := usableMapping(job.Schema, j.Attributes); err != nil {
			return "", err
		}
		what.Everybody = what.Everybody || what.Failures || what.Links
		job.Status = On
		job.TryNow++
		if what.Everybody {
			job.LookAtAll++
		}
		if what.Failures {
			job.ForgetFailures++
		}
		if what.Links {
			job.ForgetLinks++
		}
		return what.words(), nil
	})
}

// SetMapping changes the object mapping with this name. The user mapping cannot be disabled. The
// error is an *InputError if the change cannot be saved.
func (j *Jobs) SetMapping(ctx context.Context, k Key, name string, edit MappingEdit, actor string) (Job, error) {
	return j.EditMapping(ctx, k, name, func(*Schema, *ObjectMapping) (MappingEdit, error) { return edit, nil }, actor)
}

// EditMapping changes the object mapping with this name. decide gets its current state and returns
// the change. If another change comes in between, decide runs again, so it must have no side
// effects.
func (j *Jobs) EditMapping(ctx context.Context, k Key, name string, decide func(schema *Schema, now *ObjectMapping) (MappingEdit, error), actor string) (Job, error) {
	return j.change(ctx, k, actor, event.ProvisioningMappingChanged, func(job *Job) (string, error) {
		m, err := job.Schema.ObjectMapping(name)
		if err != nil {
			return "", &InputError{Field: "Mapping", Text: err.Error()}
		}
		edit, err := decide(job.Schema, m)
		if err != nil {
			return "", err
		}
		job.Confirmed += int64(edit.Confirmed)
		before := matchingTargets(job.Schema)
		words, err := j.setMapping(job, name, edit)
		if err == nil && !slices.Equal(before, matchingTargets(job.Schema)) {
			j.testSearches(ctx, job)
		}
		return words, err
	})
}

// setMapping changes the object mapping with this name, or the user mapping if name is empty. It
// returns a sentence about the changes.
func (j *Jobs) setMapping(job *Job, name string, edit MappingEdit) (string, error) {
	schema := job.Schema.Clone()
	m, err := schema.UserMapping()
	if name != "" {
		m, err = schema.ObjectMapping(name)
	}
	if err != nil {
		return "", &InputError{Field: "Mapping", Text: err.Error()}
	}
	enabled, actions := m.Enabled, m.FlowTypes
	if edit.Enabled != nil {
		m.Enabled = *edit.Enabled
	}
	if edit.Actions != nil {
		m.FlowTypes = *edit.Actions
	}
	if m.SourceObjectName == "User" && !m.Enabled {
		return "", errKeepUsers
	}
	scoped := false
	if edit.Scope != nil {
		var now []FilterGroup
		if m.Scope != nil {
			now = m.Scope.Groups
		}
		scoped = !slices.EqualFunc(now, *edit.Scope, sameGroup)
		m.SetScope(*edit.Scope)
	}
	exact := ""
	if edit.ExactCase != nil {
		if exact, err = schema.setExactCase(m, *edit.ExactCase); err != nil {
			return "", err
		}
	}
	if edit.Enabled != nil && m.SourceObjectName == string(GroupKind) && job.GroupsOffered {
		// Saving counts as the decision about groups, even if Enabled stays as it is. The opposite
		// value in the variable enabled makes the next comparison find a change, so that the
		// decision is stored.
		job.GroupsOffered, enabled = false, !m.Enabled
	}
	if enabled == m.Enabled && actions == m.FlowTypes && !scoped && exact == "" {
		return "", nil
	}
	if scoped {
		if err := schema.CheckScope(m.Name, *edit.Scope, j.Attributes); err != nil {
			return "", err
		}
	}
	if _, err := usableMapping(schema, j.Attributes); err != nil {
		return "", err
	}
	words := "Mapping changed: " + changeWords(job.Schema, schema) + "."
	if sameJSON(job.Schema, schema) { // the decision about groups was to leave their mapping as it is
		words = fmt.Sprintf("It was decided that %q stays: Enabled %s.", m.Name, PartWords(m.Enabled))
	}
	j.replaceSchema(job, schema)
	return words, nil
}

// EditSchema changes the mappings of a job. decide gets the current job and returns it with the new
// schema, as [Job.SetRow] does. If another change comes in between, decide runs again, so it must
// have no side effects.
func (j *Jobs) EditSchema(ctx context.Context, k Key, decide func(now Job) (Job, error), actor string) (Job, error) {
	return j.change(ctx, k, actor, event.ProvisioningMappingChanged, func(job *Job) (string, error) {
		next, err := decide(*job)
		if err != nil {
			return "", err
		}
		words := changeWords(job.Schema, next.Schema)
		if words == "" && sameJSON(job.Schema, next.Schema) {
			return "", nil
		}
		probe := !slices.Equal(matchingTargets(job.Schema), matchingTargets(next.Schema))
		j.replaceSchema(job, next.Schema.Clone())
		job.Confirmed = next.Confirmed
		if probe {
			j.testSearches(ctx, job)
		}
		return "Mapping changed: " + cmp.Or(words, "its metadata") + ".", nil
	})
}

// sameJSON reports whether two schemas are equal apart from their version, which each change sets
// anew.
func sameJSON(a, b *Schema) bool {
	a, b = a.Clone(), b.Clone()
	a.Version, b.Version = "", ""
	x, errX := a.JSON()
	y, errY := b.JSON()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// matchingTargets returns the matching attributes of the enabled mappings, each preceded by the
// name of its mapping.
func matchingTargets(s *Schema) []string {
	var targets []string
	for _, m := range s.ObjectMappings() {
		for _, row := range m.AttributeMappings {
			if m.Enabled && row.MatchingPriority > 0 {
				targets = append(targets, m.Name+" "+row.TargetAttributeName)
			}
		}
	}
	return targets
}

// AnyRevision tells RestoreDefaultMappings not to check whether the job has changed since the
// caller read it.
const AnyRevision int64 = -1

// WithDefaultMappings returns the job with the mappings and scoping filters of the template.
func (j *Jobs) WithDefaultMappings(job Job) (Job, error) {
	schema, err := j.Template()
	if err != nil {
		return job, fmt.Errorf("read default mappings: %w", err)
	}
	restored := schema.Clone()
	if g, err := restored.GroupMapping(); err == nil && job.GroupsOffered {
		g.Enabled = false // an administrator has not decided about groups yet
	}
	job.Schema = restored
	return job, nil
}

// RestoreDefaultMappings resets all mappings and scoping filters to the template. seen is the
// LookAtAll of the job that the caller has seen, or AnyRevision. If the job now has another
// LookAtAll, the error is ErrChanged. confirmed is how many accounts the change may disable: the
// number to which an administrator agreed, or 0.
func (j *Jobs) RestoreDefaultMappings(ctx context.Context, k Key, seen int64, confirmed int, actor string) (Job, error) {
	return j.change(ctx, k, actor, event.ProvisioningMappingsRestored, func(job *Job) (string, error) {
		if seen != AnyRevision && seen != job.LookAtAll {
			return "", ErrChanged
		}
		restored, err := j.WithDefaultMappings(*job)
		if err != nil {
			return "", err
		}
		job.Confirmed += int64(confirmed)
		words := andChanges("Default mappings were restored.", job.Schema, restored.Schema)
		j.replaceSchema(job, restored.Schema)
		j.testSearches(ctx, job)
		return words, nil
	})
}

// CheckSchema returns an *InputError if a job cannot use the schema document, for example because
// its parts contradict each other.
func (j *Jobs) CheckSchema(schema *Schema) error {
	err := errors.Join(schema.checkTexts(), schema.Validate(j.Attributes))
	if err == nil {
		_, err = compileMapping(schema, j.Attributes)
	}
	if err != nil {
		return &InputError{Field: "Schema", Text: err.Error()}
	}
	if m, err := schema.UserMapping(); err == nil && !m.Enabled {
		return errKeepUsers
	}
	return nil
}

// replaceSchema replaces the mappings and requests an initial cycle. It also gives the schema a new
// version, because in Graph the version of a schema differs after every change.
func (j *Jobs) replaceSchema(job *Job, schema *Schema) {
	job.LookAtAll++
	schema.Version = fmt.Sprintf("%d.0", job.LookAtAll)
	job.Schema = schema
}

// Delete removes a job and all data that is stored for it. It changes nothing at the target. The
// error is ErrNoJob if there is no job, and the error of CheckDelete.
func (j *Jobs) Delete(ctx context.Context, k Key, actor string) error {
	job, err := j.Store.Job(ctx, k)
	if err != nil {
		return err
	}
	if err := job.CheckDelete(actor); err != nil {
		return err
	}
	return j.Store.DeleteJob(ctx, k, j.event(ctx, job, actor, event.ProvisioningDeleted, "Provisioning was removed."))
}

// CheckDelete returns an *InputError if Second approval is on and the actor is not the command line
// on the server. Otherwise anybody could get rid of Second approval: they could delete the job and
// create it again.
func (j *Job) CheckDelete(actor string) error {
	if j.SecondApproval && event.ParseActor(actor).Kind != event.Command {
		return &InputError{Field: fieldSecondApproval, Text: "is on, so provisioning can be removed only on the server: with rollcall app delete, or after rollcall app set --second-approval off"}
	}
	return nil
}

// CheckDeleteAll returns an *InputError if the actor may not delete a directory, because Second
// approval is on for a job of the directory. See CheckDelete.
func (j *Jobs) CheckDeleteAll(ctx context.Context, d SourceID, actor string) error {
	jobs, err := j.List(ctx, d)
	if err != nil {
		return err
	}
	for i := range jobs {
		if jobs[i].CheckDelete(actor) != nil {
			name := cmp.Or(j.Applications.name(ctx, jobs[i].Key), jobs[i].Key.App)
			return &InputError{Field: fieldSecondApproval, Text: "is on for " + name + ", so the directory can be deleted only on the server: with rollcall directory delete, or after rollcall app set --second-approval off"}
		}
	}
	return nil
}

// change applies fn to the current job and saves the job together with an event. name is the name
// of the event, and its text is the sentence that fn returns. If fn returns "", nothing is saved.
// fn may run more than once, because another change may come in between.
func (j *Jobs) change(ctx context.Context, k Key, actor, name string, fn func(*Job) (string, error)) (Job, error) {
	for attempt := 0; ; attempt++ {
		job, err := j.Store.Job(ctx, k)
		if err != nil {
			return Job{}, err
		}
		before := job
		words, err := fn(&job)
		if err != nil || words == "" {
			return job, err
		}
		job.Version++
		job.Modified = j.Now()
		if job.LookAtAll != before.LookAtAll {
			job.AskedWhy = words
		} else {
			job.Confirmed = before.Confirmed // the change begins no initial cycle, so it disables no account
		}
		err = j.Store.UpdateJob(ctx, job, j.event(ctx, job, actor, name, words, changedSettings(before, job)...))
		if errors.Is(err, ErrChanged) && attempt < 5 {
			continue
		}
		if err != nil {
			return Job{}, err
		}
		return job, j.wake(ctx, job)
	}
}

// wake makes the engine work on a job that is on.
func (j *Jobs) wake(ctx context.Context, job Job) error {
	if j.Wake == nil || job.Status != On {
		return nil
	}
	if err := j.Wake(ctx, job.Key); err != nil {
		return fmt.Errorf("the change is saved, but the engine was not woken: %w", err)
	}
	return nil
}

func (j *Jobs) event(ctx context.Context, job Job, actor, name, words string, changes ...event.Change) event.Event {
	if app := j.Applications.name(ctx, job.Key); app != "" {
		words = app + ": " + words
	}
	return event.Event{
		Data: event.DataOf(nil, changes...),
		Time: j.Now(), Scope: event.Directory(string(job.Key.Directory)), Name: name, Actor: actor, Subject: job.Key.App, Text: words,
	}
}

// NameApplication returns the name of an application, for the texts of events. A nil function
// knows no names.
type NameApplication func(ctx context.Context, k Key) (string, error)

// name returns the name of the application, or "" if it is unknown, for example after a deletion.
func (n NameApplication) name(ctx context.Context, k Key) string {
	if n == nil {
		return ""
	}
	name, err := n(ctx, k)
	if err != nil {
		return ""
	}
	return name
}

// Report returns the status of a job, or ErrNoJob.
func (j *Jobs) Report(ctx context.Context, k Key) (Report, error) {
	job, err := j.Store.Job(ctx, k)
	if err != nil {
		return Report{}, err
	}
	state, err := j.Store.State(ctx, k)
	if err != nil {
		return Report{}, err
	}
	counts, err := j.Store.Counts(ctx, k)
	if err != nil {
		return Report{}, err
	}
	waits, err := j.Store.CountWaiting(ctx, k)
	if err != nil {
		return Report{}, err
	}
	failing, err := j.Store.CountFailing(ctx, k)
	if err != nil {
		return Report{}, err
	}
	r := Report{
		Job: job, State: state, Code: statusCode(job, state), Waits: waits, Failing: failing,
		Linked: counts.Linked, Lost: counts.Lost, KeptBlocked: counts.Held, Escrowed: counts.Escrowed, Unmatched: counts.Unmatched, Pending: counts.Pending,
		Groups: counts.Groups, Members: counts.Members,
		OnHold: counts.OnHold, Rejected: counts.Rejected,
	}
	r.setOldest(j.Now(), orDefault(j.LeaverPatience, DefaultLeaverPatience))
	searches := state.Searches
	if !searches.isCurrentFor(job) || job.Searches.isCurrentFor(job) && job.Searches.At.After(searches.At) {
		searches = job.Searches
	}
	if m, err := job.Schema.GroupMapping(); err == nil && m.Enabled {
		r.Notes = append(r.Notes, groupsSearched(job, state, searches).GroupNotes()...)
	} else if err == nil && job.GroupsOffered {
		r.Notes = append(r.Notes, fmt.Sprintf("Groups can be provisioned now. Earlier versions did nothing with groups, so the update switched the mapping %q off. Set its Enabled to Yes to provision groups, or to No to leave it so.", m.Name))
	}
	r.Notes = append(r.Notes, searches.notes()...)
	if state.Dialect.For == job.ForgetLinks {
		r.Notes = append(r.Notes, state.Dialect.notes()...)
	}
	return r, nil
}

// groupsSearched returns the results of the newest search tests of groups. searches holds the
// newest search tests of users.
func groupsSearched(job Job, s State, searches *Searches) (t ConnectionTest) {
	switch known := s.Groups.Searches; {
	case searches != nil && searches == job.Searches:
		t.Groups, t.NoGroups = searches.Groups, searches.NoGroups
	case known != nil:
		t.Groups, t.NoGroups = known.All, s.Groups.Off
	}
	return t
}

func statusCode(job Job, s State) string {
	switch {
	case job.Mode != Automatic:
		return NotConfigured
	case s.Quarantine != nil:
		return Quarantined
	case job.Status == Off && s.Last == nil && s.Phase == Idle:
		return NotRun
	case job.Status == Off:
		return Paused
	}
	return Running
}

// Logs returns one page of the provisioning log, newest first unless the query says otherwise.
// next is the Before of the query for the next page; it is empty on the last page. The error is an
// *InputError if the Before of the query is not a cursor.
func (j *Jobs) Logs(ctx context.Context, k Key, q LogQuery) (entries []LogEntry, next string, err error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 500)
	if !q.storable() {
		return nil, "", nil
	}
	if !storable(q.Before) {
		return nil, "", &InputError{Field: "before", Text: "is not a cursor of this log"}
	}
	return j.Store.Logs(ctx, k, q)
}

// CountLogs returns the number of entries that a query selects. It ignores the query's Before and
// Limit.
func (j *Jobs) CountLogs(ctx context.Context, k Key, q LogQuery) (int, error) {
	if !q.storable() {
		return 0, nil
	}
	return j.Store.CountLogs(ctx, k, q)
}

// storable reports whether the database can store all strings for which the query looks. If it
// cannot, no entry matches the query.
func (q LogQuery) storable() bool {
	for _, text := range []string{q.Search, q.ObjectID, q.Cycle, string(q.Action), string(q.Status)} {
		if !storable(text) {
			return false
		}
	}
	return true
}

// storable reports whether the database can store a string. The strings that callers send, for
// example in addresses and forms, can contain any bytes.
func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// Log returns one entry, or ErrNotFound.
func (j *Jobs) Log(ctx context.Context, k Key, id string) (LogEntry, error) {
	if !storable(id) {
		return LogEntry{}, ErrNotFound
	}
	return j.Store.Log(ctx, k, id)
}
