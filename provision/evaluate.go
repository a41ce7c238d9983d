package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// pass is one look at people: a batch of a cycle, or a plan. What it decides
// depends on the source, the target and what is remembered, and on nothing it
// writes: it writes nothing.
type pass struct {
	job     Job
	m       *mapping
	source  Source
	target  Target
	initial bool // every account is read again, also those that should be unchanged
	settle  time.Duration
	// searcher knows by which attributes accounts may be looked for.
	searcher *searcher
	owner    func(ctx context.Context, targetID string) (objectID string, err error)
	now      func() time.Time
	newID    func() string
	claims   claims
}

// work is one person on the way through the steps.
type work struct {
	known    Pending
	object   Object
	gone     bool // purged from the source
	assigned bool // the job looks after this person
	admitted bool // by the scoping filter
	started  time.Time

	m        *mapping
	link     *Link // the pair, remembered before or found now
	linked   bool  // link is new and has to be remembered
	before   *Link // the pair whose account is gone, while another account is being created
	current  scim.Resource
	values   []value
	hash     string
	keys     []MatchKey
	changes  []Change
	verdict  verdict
	entry    LogEntry
	counted  bool // the log does not keep it: the cycle counts it
	silent   bool // nothing happened that the log should tell
	problem  *TargetError
	outcome  Outcome
	deferred bool // put off; not an end
	intended bool // a create of this person is written down
}

// verdict is what the export step has to do.
type verdict int

const (
	nothing verdict = iota
	toCreate
	toPatch
	toDelete
)

// active says whether the person may sign in at all, as far as the directory goes.
func (w *work) active() bool {
	return !w.gone && w.object.Active()
}

// entitled is Entra's "effectively entitled": looked after, admitted and active.
func (w *work) entitled() bool { return w.assigned && w.admitted && w.active() }

// attributes are what a mapping reads, with IsSoftDeleted as the engine sees it.
func (w *work) attributes() map[string]any {
	a := map[string]any{attrEnabled: false}
	maps.Copy(a, w.object.Attributes)
	a[attrSoftDeleted] = !w.entitled()
	return a
}

// evaluate takes one person through the steps up to, but without, export. Its
// error is about the source or the store and ends the whole batch; what is wrong
// with this person or the target's answers is in the work.
func (p *pass) evaluate(ctx context.Context, known Pending) (*work, error) {
	w := &work{known: known, started: p.now(), m: p.m, link: known.Link}
	w.entry = LogEntry{
		ID: p.newID(), ChangeID: p.newID(), JobID: p.job.Key.String(), Action: Other,
		SourceSystem: System{ID: string(p.job.Key.Directory), DisplayName: p.m.source}, TargetSystem: System{ID: p.job.Key.App, DisplayName: p.m.target},
		InitiatorName: "Rollcall provisioning", Mapping: p.m.object.Name, Modified: []ModifiedProperty{},
	}
	if err := p.importObject(ctx, w); err != nil {
		return nil, err
	}
	attributes := w.attributes()
	p.scoping(w, attributes)
	if err := p.decide(ctx, w, attributes); err != nil {
		return nil, err
	}
	return w, nil
}

func (p *pass) importObject(ctx context.Context, w *work) error {
	o, err := p.source.Object(ctx, p.job.Key.App, w.known.ObjectID)
	switch {
	case errors.Is(err, refusal.NotFound):
		w.gone = true
		w.entry.SourceIdentity = Identity{ID: w.known.ObjectID, DisplayName: w.rememberedName(), Type: "User"}
		w.step("EntryImportObjectNotFound", ImportStep, Success, fmt.Sprintf("User '%s' was deleted permanently in %s.", w.name(), p.m.source), nil)
		return nil
	case err != nil:
		return fmt.Errorf("import %s: %w", w.known.ObjectID, err)
	}
	w.object = o
	w.entry.SourceIdentity = Identity{ID: o.ID, DisplayName: o.Name, Type: "User", Details: map[string]string{"userPrincipalName": text(o.Attributes["userPrincipalName"])}}
	return nil
}

// name is what people call the person in messages.
func (w *work) name() string {
	if upn := w.entry.SourceIdentity.Details["userPrincipalName"]; upn != "" {
		return upn
	}
	if name := w.entry.SourceIdentity.DisplayName; name != "" {
		return name
	}
	return w.known.ObjectID
}

func (w *work) rememberedName() string {
	switch {
	case w.known.Link != nil && w.known.Link.Name != "":
		return w.known.Link.Name
	case w.known.Escrow != nil && w.known.Escrow.Name != "":
		return w.known.Escrow.Name
	}
	return w.known.ObjectID
}

// scoping decides whether the person is the job's business and active.
func (p *pass) scoping(w *work, attributes map[string]any) {
	w.assigned = !w.gone && (w.object.Assigned || p.job.Scope == Everyone)
	var clauses []scopeResult
	w.admitted, clauses = p.m.filter.admits(attributes)
	attributes[attrSoftDeleted] = !w.entitled()
	if w.gone {
		return
	}
	w.step("EntryImport", ImportStep, Success, fmt.Sprintf("Received User '%s' from %s.", w.name(), p.m.source), p.read(attributes))
	details := map[string]string{
		"IsActive":                             text(w.active()),
		"Assigned":                             text(w.object.Assigned),
		"ScopeSyncAll":                         text(p.job.Scope == Everyone),
		"IsEffectivelyEntitledForProvisioning": text(w.entitled()),
	}
	for _, c := range clauses {
		details[c.Clause] = text(c.Holds)
	}
	status, words := Success, "User '%s' is in scope."
	switch {
	case !w.assigned:
		status, words = Skipped, "User '%s' is not assigned to the application."
	case !w.admitted:
		status, words = Skipped, "User '%s' does not pass the scoping filters."
	case !w.active():
		words = "User '%s' is in scope, but not active in the directory."
	}
	w.step("EntrySynchronizationScoping", ScopingStep, status, fmt.Sprintf(words, w.name()), details)
}

// read lists the source attributes that the mapping reads, for the import step.
func (p *pass) read(attributes map[string]any) map[string]string {
	details := map[string]string{attrEnabled: text(attributes[attrEnabled]), attrSoftDeleted: text(attributes[attrSoftDeleted])}
	for _, r := range p.m.rows {
		if r.Expr == nil {
			continue
		}
		for _, name := range r.Expr.Attributes() {
			if v, ok := attributes[name]; ok && !empty(v) {
				details[name] = sourceValue(v).Text()
			}
		}
	}
	return details
}

// decide finds the account and what has to be done to it.
func (p *pass) decide(ctx context.Context, w *work, attributes map[string]any) error {
	if w.known.Op != nil {
		if stop, err := p.resolve(ctx, w); stop || err != nil {
			return err
		}
	}
	switch {
	case w.gone:
		return p.decideGone(ctx, w, attributes)
	case w.link != nil:
		return p.decideLinked(ctx, w, attributes)
	case !w.assigned || !w.admitted:
		p.leaveAlone(w)
		return nil
	}
	return p.match(ctx, w, attributes)
}

// leaveAlone ends the work on somebody who is out of scope and has no account
// through this job. Accounts that were never in scope are left alone.
func (p *pass) leaveAlone(w *work) {
	w.outcome.DropFail = true
	w.forgetUnmatched()
	w.skip("NotEffectivelyEntitled", "The person is not in scope and has no account through this job.", "")
	w.silent = !w.assigned
}

// resolve looks for the account of a create whose outcome nobody knows: the
// process died, or the answer was lost. Nothing is created for this person until
// a read has told.
func (p *pass) resolve(ctx context.Context, w *work) (stop bool, err error) {
	op := w.known.Op
	l := p.find(ctx, op.Keys)
	if l.problem != nil {
		w.fail(l.problem)
		return true, ctx.Err()
	}
	switch len(l.found) {
	case 0:
		if len(l.skipped) > 0 {
			w.failUnsearchable(l.skipped)
			return true, nil
		}
		if settled := op.Sent.Add(p.settle); p.now().Before(settled) {
			// The request may still be on its way through the application.
			w.postpone(settled)
			return true, nil
		}
		w.outcome.DropOp = true
		return false, nil
	case 1:
		return p.adopt(ctx, w, l.found[0], l.key, "adopted")
	}
	w.ambiguous(l.found, l.key)
	return true, nil
}

// adopt makes the pair, unless another person has the account already.
func (p *pass) adopt(ctx context.Context, w *work, o TargetObject, key MatchKey, how string) (stop bool, err error) {
	owner, err := p.owner(ctx, o.ID)
	if err != nil {
		return true, err
	}
	if owner != "" && owner != w.known.ObjectID {
		w.taken(o.ID, owner)
		return true, nil
	}
	w.link = &Link{ObjectID: w.known.ObjectID, TargetID: o.ID, How: how, State: Active, Name: w.name(), Since: p.now()}
	w.linked, w.current = true, o.Resource
	w.link.Keys = w.accountKeys(nil)
	w.outcome.DropOp = w.known.Op != nil
	w.entry.TargetIdentity = Identity{ID: o.ID, Type: p.m.object.TargetObjectName}
	w.step("EntryImport", MatchingStep, Success, fmt.Sprintf("Found one account in %s by %s '%s'.", p.m.target, key.Path, text(key.Value)), map[string]string{"id": o.ID})
	return false, nil
}

func (w *work) ambiguous(found []TargetObject, key MatchKey) {
	ids := make([]string, len(found))
	for i, o := range found {
		ids[i] = o.ID
	}
	w.fail(&TargetError{
		Kind: Permanent, Code: "DuplicateTargetEntries",
		Detail: fmt.Sprintf("The application has %d accounts with %s '%s': %s. Nothing was done.", len(found), key.Path, text(key.Value), strings.Join(ids, ", ")),
		Advice: "Correct the accounts at the application so that one is left, or match by another attribute.",
	})
}

// match looks for the account of somebody in scope who has none through this job.
func (p *pass) match(ctx context.Context, w *work, attributes map[string]any) error {
	keys, problem := p.m.keys(attributes)
	if problem != nil {
		w.failRow(problem)
		return nil
	}
	if len(keys) == 0 {
		w.skip("ImportSkipped", "The person has no value in any matching attribute, so no account can be found for them.", "Fill in a matching attribute of this person in the directory.")
		return nil
	}
	w.keys = keys
	l := p.find(ctx, keys)
	if l.problem != nil {
		w.entryStepFailed("EntryImport", MatchingStep, l.problem)
		w.fail(l.problem)
		return ctx.Err()
	}
	switch len(l.found) {
	case 0:
		p.nobodyFound(w, keys, l)
		p.decideUnmatched(w, attributes, l)
		return nil
	case 1:
		if stop, err := p.adopt(ctx, w, l.found[0], l.key, "matched"); stop || err != nil {
			return err
		}
		w.forgetUnmatched()
		return p.decideLinked(ctx, w, attributes)
	}
	w.ambiguous(l.found, l.key)
	return nil
}

// nobodyFound notes what was searched for in vain, and what could not be.
func (p *pass) nobodyFound(w *work, keys []MatchKey, l lookup) {
	var asked []MatchKey
	for _, k := range keys {
		if !slices.ContainsFunc(l.skipped, func(s Searchable) bool { return s.Path == k.Path }) {
			asked = append(asked, k)
		}
	}
	if len(asked) > 0 {
		w.step("EntryImport", MatchingStep, Success, fmt.Sprintf("No account in %s has %s.", p.m.target, describeKeys(asked)), nil)
	}
	for _, s := range l.skipped {
		w.step("EntryImport", MatchingStep, Skipped, "Not searched. "+s.Detail, nil)
	}
}

func describeKeys(keys []MatchKey) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = fmt.Sprintf("%s '%s'", k.Path, text(k.Value))
	}
	return strings.Join(parts, " or ")
}

// decideUnmatched creates an account where that is allowed and makes sense.
func (p *pass) decideUnmatched(w *work, attributes map[string]any, l lookup) {
	switch {
	case !w.active():
		w.forgetUnmatched()
		w.skip("NotEffectivelyEntitled", "The person has no account at the application and is not active in the directory.", "")
	case !p.m.can(FlowAdd):
		// A daily look that finds nothing again is no news.
		w.silent = w.known.Why == ByAbsence && w.known.Unmatched
		w.rememberUnmatched()
		w.skip("NoMatchCreateDisabled", "The person has no account at the application, and Create is not among the Target Object Actions.",
			"Add the person at the application, or tick Create if it supports that. They are looked up again when they change, and once a day.")
	case len(l.skipped) > 0:
		w.failUnsearchable(l.skipped)
	default:
		p.prepareCreate(w, attributes)
	}
}

func (p *pass) prepareCreate(w *work, attributes map[string]any) {
	if !p.process(w, attributes, true) {
		return
	}
	for _, r := range p.m.rows {
		if r.Required && r.Type != TypeReference && !slices.ContainsFunc(w.values, func(v value) bool { return v.row.Target == r.Target }) {
			w.fail(&TargetError{
				Kind: Permanent, Code: "MissingValues",
				Detail: fmt.Sprintf("The application needs %s, and the person has no value for it.", r.Target),
				Advice: "Fill it in in the directory, or give the row a default value.",
			})
			return
		}
	}
	w.changes = diff(scim.Resource{}, w.values)
	w.entry.Action = Create
	w.verdict = toCreate
	w.step("EntrySynchronizationAdd", ProcessingStep, Success, fmt.Sprintf("User '%s' will be created in %s: active and in scope, and no account was found.", w.name(), p.m.target), nil)
	p.mentionReferences(w, attributes)
}

// mentionReferences says which attributes this version leaves alone.
func (p *pass) mentionReferences(w *work, attributes map[string]any) {
	for _, r := range p.m.rows {
		if r.Type != TypeReference || r.Expr == nil || !slices.ContainsFunc(r.Expr.Attributes(), func(name string) bool { return !empty(attributes[name]) }) {
			continue
		}
		w.step("EntrySynchronizationReferences", ReferenceStep, Skipped, fmt.Sprintf("%s was not sent: references to other people are not provisioned in this version.", r.Target), nil)
	}
}

// process evaluates the mapping; false if it cannot.
func (p *pass) process(w *work, attributes map[string]any, creating bool) bool {
	values, problem := p.m.values(attributes, w.entitled(), creating)
	if problem != nil {
		w.failRow(problem)
		return false
	}
	w.values, w.hash = values, hash(values)
	return true
}

// decideLinked brings an existing account up to date.
func (p *pass) decideLinked(ctx context.Context, w *work, attributes map[string]any) error {
	w.entry.TargetIdentity = Identity{ID: w.link.TargetID, Type: p.m.object.TargetObjectName}
	if !p.process(w, attributes, false) {
		return nil
	}
	if !w.entitled() {
		w.entry.Action = Disable
	} else {
		w.entry.Action = Update
	}
	if len(w.values) == 0 {
		w.skipUpdate("NotEffectivelyEntitled", "The person is out of scope, and no row of the mapping tells the application so.", "Map IsSoftDeleted to active to disable such accounts.")
		return nil
	}
	if !p.m.can(FlowUpdate) {
		w.skipUpdate("UpdateDisabled", "Update is not among the Target Object Actions.", "Tick Update to keep accounts up to date and to disable them.")
		return nil
	}
	if !w.linked && w.link.Hash == w.hash && !p.initial && !w.link.missing() {
		w.redundant()
		return nil
	}
	if stop, err := p.readAccount(ctx, w, attributes); stop || err != nil {
		return err
	}
	w.changes = diff(w.current, w.values)
	if len(w.changes) == 0 {
		w.redundant()
		return nil
	}
	w.verdict = toPatch
	words := "User '%s' will be updated in %s."
	if w.entry.Action == Disable {
		words = "User '%s' will be disabled in %s: " + w.whyDisabled()
	}
	w.step("EntrySynchronizationUpdate", ProcessingStep, Success, fmt.Sprintf(words, w.name(), p.m.target), nil)
	p.mentionReferences(w, attributes)
	return nil
}

func (w *work) whyDisabled() string {
	switch {
	case w.gone:
		return "deleted permanently in the directory."
	case !w.assigned:
		return "no longer assigned to the application."
	case !w.admitted:
		return "no longer in the scoping filters."
	case !w.object.Deleted.IsZero():
		return "deleted in the directory."
	}
	return "blocked from sign-in in the directory."
}

// readAccount gets the account's current values, unless matching brought them. If
// the account is gone, it looks for the person's account as match does.
func (p *pass) readAccount(ctx context.Context, w *work, attributes map[string]any) (stop bool, err error) {
	if w.current != nil {
		return false, nil
	}
	o, err := p.target.Get(ctx, w.link.TargetID)
	if err == nil {
		w.current = o.Resource
		w.step("EntryImport", MatchingStep, Success, fmt.Sprintf("User '%s' is linked to an account in %s.", w.name(), p.m.target), map[string]string{"id": w.link.TargetID})
		return false, nil
	}
	te := asTargetError(err)
	if te.Kind != NotFound {
		w.entryStepFailed("EntryImport", MatchingStep, te)
		w.fail(te)
		return true, ctx.Err()
	}
	return p.relocate(ctx, w, attributes)
}

// decideGone ends what the job has to do with a purged person.
func (p *pass) decideGone(ctx context.Context, w *work, attributes map[string]any) error {
	switch {
	case w.link == nil || w.link.State == Released:
		// Unassigned earlier and deleted later: no longer managed, nothing is sent.
		w.outcome.Unlink = w.link != nil
		w.outcome.DropFail = true
		w.forgetUnmatched()
		w.skip("NotEffectivelyEntitled", "The person is deleted and has no account through this job.", "")
		w.silent = true
		return nil
	case p.m.can(FlowDelete):
		if w.link.missing() {
			if stop, err := p.readAccount(ctx, w, attributes); stop || err != nil {
				return err
			}
		}
		w.entry.Action = Delete
		w.entry.TargetIdentity = Identity{ID: w.link.TargetID, Type: p.m.object.TargetObjectName}
		w.verdict = toDelete
		w.step("EntrySynchronizationDelete", ProcessingStep, Success, fmt.Sprintf("User '%s' will be deleted in %s.", w.name(), p.m.target), nil)
		return nil
	}
	err := p.decideLinked(ctx, w, attributes)
	if w.link != nil && w.entry.Status.Status == Skipped && (w.link.State != Lost || !p.m.can(FlowUpdate)) {
		w.outcome.Link, w.outcome.Unlink = nil, true
	}
	return err
}

// step notes one stage.
func (w *work) step(name string, kind StepType, status Result, description string, details map[string]string) {
	w.entry.Steps = append(w.entry.Steps, Step{Name: name, Type: kind, Status: status, Description: description, Details: maps.Clone(details)})
}

func (w *work) entryStepFailed(name string, kind StepType, te *TargetError) {
	w.step(name, kind, Failure, te.Detail, nil)
}

// skip ends the work: nothing is to be done.
func (w *work) skip(code, reason, advice string) {
	w.verdict = nothing
	w.entry.Action = Other
	w.entry.Status = StatusInfo{Status: Skipped, Code: code, Reason: reason, Category: "nonServiceFailure", RecommendedAction: advice}
	w.step("EntrySynchronizationSkip", ExportStep, Skipped, reason, map[string]string{"SkipReason": code})
	w.outcome.DropFail = true
}

// skipUpdate skips, but remembers a pair that was just found.
func (w *work) skipUpdate(code, reason, advice string) {
	w.skip(code, reason, advice)
	w.silent = w.known.Why == ByAbsence && w.link != nil && w.link.missing()
	w.keepLink(false)
}

// redundant ends the work: the account is as it should be.
func (w *work) redundant() {
	reason, advice := w.whyRedundant()
	w.skip("RedundantExport", reason, advice)
	// What becomes of somebody the job has let go is nobody's news.
	w.silent = w.known.Link != nil && w.known.Link.State == Released && w.disabledState() == Released && !w.entitled()
	// An initial cycle looks at everybody. Who is as they were left needs no entry.
	w.counted = w.known.Why == ByCycle && w.known.Link != nil && !w.known.Link.missing() && w.known.Escrow == nil && advice == ""
	w.keepLink(true)
}

// whyRedundant says what was looked at, and which differences are left alone.
func (w *work) whyRedundant() (reason, advice string) {
	if w.current == nil {
		return "Nothing that the mapping reads has changed since the account was last written or read, so the account was not read.", ""
	}
	reason = "The account was read and has the values of the mapping; nothing had to be sent."
	if !w.entitled() {
		state := make([]string, len(w.values))
		for i, v := range w.values {
			state[i] = v.row.Target
		}
		reason = fmt.Sprintf("The account was read and has the state of a person without access already (%s); nothing had to be sent. Its other attributes were not compared: they are sent only to accounts that may be used.", strings.Join(state, ", "))
	}
	var byCase, cleared []string
	for i := range w.m.rows {
		r := &w.m.rows[i]
		at := slices.IndexFunc(w.values, func(v value) bool { return v.row.Target == r.Target })
		switch {
		case at >= 0:
			want := w.values[at].want
			old, _ := r.compare(w.current, want)
			if s, ok := want.(string); ok && !r.CaseExact && old != nil && text(old) != s && strings.EqualFold(text(old), s) {
				byCase = append(byCase, r.Target)
			}
			if !w.entitled() && r.state && want == true {
				advice = "The person must not have access, but the mapping gives active the value True. Map active from IsSoftDeleted to disable such accounts."
			}
		case w.entitled() && r.FlowType == FlowAlways && r.Type != TypeReference && r.Expr != nil:
			if old, _ := r.compare(w.current, nil); old != nil {
				cleared = append(cleared, r.Target)
			}
		}
	}
	if len(byCase) > 0 {
		reason += fmt.Sprintf(" Differences of capital letters alone are not sent unless the attribute is marked exact case: %s.", strings.Join(byCase, ", "))
	}
	if len(cleared) > 0 {
		reason += fmt.Sprintf(" The account keeps values that the mapping does not yield; empty values are not sent: %s.", strings.Join(cleared, ", "))
	}
	return reason, advice
}

// keepLink remembers the pair, with the values as the account has them if known is true.
func (w *work) keepLink(known bool) {
	if w.link == nil {
		return
	}
	l := *w.link
	if known {
		l.Hash = w.hash
		if w.current != nil || w.verdict == toCreate {
			l.Keys = w.accountKeys(w.changes)
		}
	}
	l.Name = w.name()
	switch {
	case l.missing() && w.current == nil: // it was not looked for
	case w.entitled():
		l.State = Active
	default:
		l.State = w.disabledState()
	}
	if k := w.known.Link; !w.linked && k != nil && l.Hash == k.Hash && l.State == k.State && l.Name == k.Name && sameKeys(l.Keys, k.Keys) {
		return
	}
	w.link = &l
	w.outcome.Link = &l
}

// disabledState tells those that the job still manages from those it has let go.
func (w *work) disabledState() LinkState {
	if !w.gone && (!w.assigned || !w.admitted) {
		return Released
	}
	return Disabled
}

// fail ends the work with a problem; it is tried again later.
func (w *work) fail(te *TargetError) {
	w.verdict = nothing
	w.problem = te
	w.entry.Status = StatusInfo{Status: Failure, Code: te.Code, Reason: te.Detail, Category: "failure", RecommendedAction: te.Advice}
	if te.Status != 0 {
		w.entry.Status.AdditionalDetails = fmt.Sprintf("%s was answered with HTTP %d.", te.Request, te.Status)
	}
}

func (w *work) failRow(p *rowProblem) {
	te := &TargetError{Kind: Permanent, Code: p.Code, Detail: p.Text, Advice: p.Advice}
	w.entryStepFailed("EntrySynchronization", ProcessingStep, te)
	w.fail(te)
}

// postpone leaves the work for later without an outcome.
func (w *work) postpone(until time.Time) {
	w.verdict, w.silent, w.deferred = nothing, true, true
	w.outcome = Outcome{Postpone: until}
}

func (w *work) rememberUnmatched() {
	if !w.known.Unmatched {
		yes := true
		w.outcome.Unmatched = &yes
	}
}

func (w *work) forgetUnmatched() {
	if w.known.Unmatched {
		no := false
		w.outcome.Unmatched = &no
	}
}
