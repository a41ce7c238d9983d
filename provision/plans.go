package provision

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

const (
	planExpiry       = 24 * time.Hour  // how long a plan can be approved and applied after it was made
	planStaleAfter   = 2 * time.Minute // a plan that is being made counts as interrupted if it was not saved for this time
	planBatch        = 200             // the largest number of planned objects in one transaction
	planSaveInterval = time.Second     // how often the progress of a plan is saved, and told while the plan is applied
	// KeptPlans is how many plans of a job are kept.
	KeptPlans = 5
	// minHashLength is how many characters of a plan's hash a person must give at least.
	minHashLength = 6
)

// BeginPlan adds an empty plan, which FillPlan then fills. The error is ErrNoJob if the job is not
// set up, and an *InputError if another plan of the job is being made or applied.
func (e *Engine) BeginPlan(ctx context.Context, k Key, actor string) (StoredPlan, error) {
	return e.beginPlan(ctx, k, actor, nil)
}

func (e *Engine) beginPlan(ctx context.Context, k Key, actor string, undo *Undo) (StoredPlan, error) {
	job, err := e.Store.Job(ctx, k)
	if err != nil {
		return StoredPlan{}, err
	}
	all, err := e.ListPlans(ctx, k)
	if err != nil {
		return StoredPlan{}, err
	}
	for _, other := range all {
		switch other.State {
		case PlanMaking:
			return StoredPlan{}, &InputError{Field: "Plan", Text: "is being made already, since " + other.Started.UTC().Format("15:04:05 UTC") + "; wait for it, or cancel it"}
		case PlanApplying:
			return StoredPlan{}, &InputError{Field: "Plan", Text: "cannot be made while the plan " + other.Short() + " is being applied; wait for it, or cancel it"}
		}
	}
	now := e.Now()
	p := StoredPlan{Key: k, ID: e.NewID(), State: PlanMaking, MadeBy: actor, MadeByID: operatorID(ctx, actor), Started: now, Alive: now, Settings: job.settingsOfPlans(), Undo: undo, Report: PlanReport{Notes: []string{}}}
	err = e.Plans.StartPlan(ctx, p)
	if errors.Is(err, ErrChanged) {
		err = &InputError{Field: "Plan", Text: "cannot be made now: another plan has just been begun; wait for it, or cancel it"}
	}
	return p, err
}

// IsBusy reports whether the plan is being made or applied, so that no other plan of the job can be
// made. A plan that was not saved for some time is not being made any more.
func (p *StoredPlan) IsBusy(now time.Time) bool {
	return p.State == PlanApplying || p.State == PlanMaking && now.Sub(p.Alive) <= planStaleAfter
}

// FillPlan fills a plan that BeginPlan has added. It evaluates the objects that the next cycle
// would look at, as Plan does, or the objects that an undo takes back, or the accounts that
// BeginDisable was given. It stores the results. visit gets each object; it may be nil. FillPlan
// returns the errors of Plan, and ErrNoPlan if the plan was cancelled in the meantime. It also
// stores the error with the plan.
func (e *Engine) FillPlan(ctx context.Context, p StoredPlan, visit func(PlannedObject) error) (StoredPlan, error) {
	f := &planFiller{e: e, plan: p, saved: e.Now()}
	stop := f.stayAlive(ctx)
	add := func(o PlannedObject) error {
		if err := f.add(ctx, o); err != nil || visit == nil {
			return err
		}
		return visit(o)
	}
	var report PlanReport
	var err error
	switch {
	case p.Undo != nil:
		report, err = e.planUndo(ctx, p.Key, *p.Undo, add)
	case p.Disables != nil:
		report, err = e.planDisable(ctx, p.Key, p.Disables, add)
	case p.Reasserts:
		report, err = e.planReassert(ctx, p.Key, p.OnlyGives, add)
	default:
		report, err = e.planWith(ctx, p.Key, nil, add, f.noteListed)
	}
	stop()
	if err == nil {
		err = f.save(ctx)
	}
	after := context.WithoutCancel(ctx)
	now := e.Now()
	f.plan.Alive = now
	if err != nil {
		f.plan.State, f.plan.Problem, f.plan.Made = PlanBroken, planProblem(err), now
		if saving := e.Plans.ChangePlan(after, f.plan, []PlanState{PlanMaking}, nil); saving != nil && !errors.Is(saving, ErrChanged) && !errors.Is(saving, ErrNoPlan) {
			err = errors.Join(err, saving)
		}
		return f.plan, err
	}
	f.plan.Report, f.plan.State, f.plan.Reads = report, PlanReady, report.reads
	f.plan.Hash = hex.EncodeToString(f.hash(p))
	f.plan.Made, f.plan.Expires = now, now.Add(planExpiry)
	err = e.Plans.ChangePlan(after, f.plan, []PlanState{PlanMaking}, e.waitsEvent(ctx, f.plan))
	if errors.Is(err, ErrChanged) {
		err = ErrNoPlan
	}
	return f.plan, err
}

// waitsEvent returns the event that a finished plan waits for a person who did not make it. It
// returns nil for a plan that has nothing to do, that a schedule applies by itself, or that its
// maker can approve.
func (e *Engine) waitsEvent(ctx context.Context, p StoredPlan) *event.Event {
	if p.OnlyGives || !p.Report.SomethingToDo() {
		return nil
	}
	var words string
	switch {
	case p.Reasserts && p.MadeBy == systemActor:
		words = fmt.Sprintf("Plan %s of the schedule waits for approval, because it takes access away: %s.", p.Short(), p.Report.operations())
	case p.NeedsSecondApproval() && p.MadeByID != "":
		words = fmt.Sprintf("Plan %s, made by %s, waits for the approval of another operator: %s.", p.Short(), event.ParseActor(p.MadeBy).Words(), p.Report.operations())
	default:
		return nil
	}
	return e.planEvent(ctx, p, event.ProvisioningPlanWaits, p.MadeBy, words)
}

// systemActor is the actor of what a server does by itself.
const systemActor = "system"

// planProblem returns the words in which an error is stored with the plan.
func planProblem(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "It was interrupted."
	case errors.Is(err, ErrNoPlan):
		return "It was cancelled."
	}
	var te *TargetError
	if errors.As(err, &te) {
		if te.Status > 0 {
			return fmt.Sprintf("%s (HTTP %d)", te.Words(), te.Status)
		}
		return te.Words()
	}
	return err.Error()
}

// planFiller stores the objects of a plan, many in one transaction.
type planFiller struct {
	e          *Engine
	mu         sync.Mutex // protects the fields below
	plan       StoredPlan
	rows       []PlannedRow // the objects that are not stored yet
	count      int          // how many objects were added
	operations [][16]byte   // a hash of each operation's line, for the plan's hash
	saved      time.Time    // when the plan was last saved
}

// add adds one planned object to the plan. It stores the objects in batches.
func (f *planFiller) add(ctx context.Context, o PlannedObject) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	f.plan.Report.add(o)
	if o.Code == codeRejected || o.Code == codeTakesAccess {
		o.fingerprint = ""
	}
	for _, line := range o.operationLines() {
		sum := sha256.Sum256([]byte(line))
		f.operations = append(f.operations, [16]byte(sum[:])) // half a sum, because a plan may have a million operations
	}
	o.Added, o.Removed = withoutNames(o.Added), withoutNames(o.Removed)
	f.rows = append(f.rows, PlannedRow{PlannedObject: o, Number: f.count, Fingerprint: o.fingerprint, Bare: o.bare, Lane: o.lane})
	if len(f.rows) < planBatch && f.e.Now().Sub(f.saved) < planSaveInterval {
		return nil
	}
	return f.save(ctx)
}

// operationLines returns the lines about the object for the plan's hash. There are none if nothing
// would be sent. Each membership has a line of its own, because the members of a group may be split
// over several objects.
func (o *PlannedObject) operationLines() []string {
	switch {
	case o.fingerprint == "":
		return nil
	case !o.ofMembers():
		return []string{o.ObjectID + " " + o.fingerprint}
	}
	var lines []string
	for _, m := range o.Added {
		lines = append(lines, MembersOf(o.ObjectID)+" + "+m.ObjectID)
	}
	for _, m := range o.Removed {
		lines = append(lines, MembersOf(o.ObjectID)+" - "+m.ObjectID)
	}
	return lines
}

// noteListed notes how many accounts of the application's list were read.
func (f *planFiller) noteListed(read int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan.Report.AccountsRead = read
}

// withoutNames returns members without their names: a plan must not keep the name of a person who
// is erased later.
func withoutNames(members []PlannedMember) []PlannedMember {
	var all []PlannedMember
	for _, m := range members {
		all = append(all, PlannedMember{ObjectID: m.ObjectID})
	}
	return all
}

// stayAlive starts to save the plan every planSaveInterval, so that the plan does not count as
// interrupted while many objects without a change are evaluated. It goes on until the caller calls
// stop, ctx ends or a save fails.
func (f *planFiller) stayAlive(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		beat := time.NewTicker(planSaveInterval)
		defer beat.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
			}
			f.mu.Lock()
			err := f.save(context.WithoutCancel(ctx)) // finish a save that has begun, even if the plan ends
			f.mu.Unlock()
			if err != nil {
				return // the next save meets the same error and reports it
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// save stores the plan and the objects that are not stored yet.
func (f *planFiller) save(ctx context.Context) error {
	f.saved = f.e.Now()
	f.plan.Alive = f.saved
	err := f.e.Plans.AddPlanned(ctx, f.plan, f.rows)
	if err == nil {
		f.rows = f.rows[:0]
	}
	return err
}

// hash returns a hash of the job's key, its settings and all operations of the plan. It does not
// depend on the order of the operations.
func (f *planFiller) hash(p StoredPlan) []byte {
	slices.SortFunc(f.operations, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", p.Key, p.Settings)
	for _, sum := range f.operations {
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

// fingerprint returns a hash of the requests that would be sent for the object, or "" if none would
// be sent. The hash leaves out secrets, and values that are random or depend on the time.
func (w *work) fingerprint() string { return w.fingerprintOf(changesOf(w.decision)) }

// bareFingerprint is like fingerprint, but it leaves out references, such as the manager. They may
// differ if the plan also changes them in a separate request.
func (w *work) bareFingerprint() string {
	return w.fingerprintOf(slices.DeleteFunc(slices.Clone(changesOf(w.decision)), isReference))
}

func isReference(c Change) bool { return c.Type == string(TypeReference) }

// fingerprintOf returns the fingerprint of the decision with these changes.
func (w *work) fingerprintOf(changes []Change) string {
	if !requests(w.decision) {
		return ""
	}
	changes = withoutPasswords(changes)
	for i, c := range changes {
		if r := w.m.row(c.Path); r != nil && r.Expr != nil && (r.Expr.Draws() || r.Expr.ReadsClock()) {
			changes[i].New = nil
		}
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %q\n", actionOf(w.decision), w.entry.TargetIdentity.ID)
	for _, c := range changes {
		fmt.Fprintf(h, "%q %s %q %q\n", c.Path, c.Type, text(c.Old), text(c.New))
	}
	if w.unmanagedValues != "" {
		fmt.Fprintln(h, w.unmanagedValues)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// plannedLane returns the lane in which a planned operation is sent.
func (w *work) plannedLane() Lane {
	switch d := w.decision.(type) {
	case remove:
		return Leavers
	case create:
		if w.m.kind == GroupKind {
			return Groups
		}
		return CycleJoiners
	case patch:
		if d.action == Disable {
			return Leavers
		}
	}
	if w.m.kind == GroupKind {
		return Groups
	}
	return Updates
}

// settingsOfPlans returns a string that identifies the settings on which a plan depends. Any change
// of these settings changes the string.
func (j Job) settingsOfPlans() string {
	settings := fmt.Sprintf("%d.%d %s %s %s %t", j.ForgetLinks, j.LookAtAll, j.Scope, j.Rehire, j.Swaps, j.Nested)
	if j.Rules == RulesEntra {
		settings += fmt.Sprintf(" %s %d", j.Rules, j.DeleteThreshold)
	}
	if j.SecondApproval {
		settings += secondApprovalMark
	}
	return settings
}

// secondApprovalMark is added at the end of StoredPlan.Settings if a second operator must approve
// the plan.
const secondApprovalMark = " second approval"

// NeedsSecondApproval reports whether only an operator other than the one who made the plan can
// approve it.
func (p *StoredPlan) NeedsSecondApproval() bool {
	return strings.HasSuffix(p.Settings, secondApprovalMark)
}

// operatorID returns the id of the operator that ctx carries as the actor. It returns "" if the
// actor is not an operator, such as the command line or an API key.
func operatorID(ctx context.Context, actor string) string {
	if in := event.ActorIn(ctx); in.Kind == event.Operator && in.Label() == actor {
		return in.ID
	}
	return ""
}

// CheckApprover returns an *InputError if the plan needs the approval of a second operator, and the
// actor cannot give it. The actor must be an operator: the command line and API keys do not show
// which person uses them. Nor may the actor be the operator who made the plan, whose id and name
// both count, so that somebody who is removed and added again is no second person.
func (e *Engine) CheckApprover(ctx context.Context, p StoredPlan, actor string) error {
	if !p.NeedsSecondApproval() {
		return nil
	}
	no := func(text string) error { return &InputError{Field: "Plan", Text: p.Short() + " " + text} }
	id := operatorID(ctx, actor)
	switch {
	case id == "":
		return no("needs the approval of a second operator, because Second approval is on. Approve it on its page: the command line and API keys do not show who you are")
	case p.MadeByID == "":
		return no("was not made by an operator on its page, so no other operator can be told from its maker. Make it again on its page, and have another operator approve it")
	case id == p.MadeByID, strings.EqualFold(actor, p.MadeBy):
		return no("was made by you. Another operator has to approve it, because Second approval is on")
	}
	return nil
}

// Short returns the first characters of the plan's hash, which name the plan in commands. It
// returns "" until the plan is made.
func (p *StoredPlan) Short() string { return p.Hash[:min(12, len(p.Hash))] }

// Expired reports whether it is too late to approve or apply the plan.
func (p *StoredPlan) Expired(now time.Time) bool {
	return (p.State == PlanReady || p.State == PlanApproved) && !now.Before(p.Expires)
}

// ListPlans returns the plans of a job, newest first. If the process that was making a plan has
// died, ListPlans returns the plan with the state PlanBroken.
func (e *Engine) ListPlans(ctx context.Context, k Key) ([]StoredPlan, error) {
	all, err := e.Plans.ListPlans(ctx, k)
	for i := range all {
		if all[i].State == PlanMaking && e.Now().Sub(all[i].Alive) > planStaleAfter {
			all[i].State, all[i].Problem = PlanBroken, "It was interrupted: the process that made it has ended. Make it again."
		}
	}
	return all, err
}

// NamedPlan is like FindPlan, but an empty hash is an *InputError: what changes a plan must name it.
func (e *Engine) NamedPlan(ctx context.Context, k Key, hash string) (StoredPlan, error) {
	if hash == "" {
		return StoredPlan{}, &InputError{Field: "HASH", Text: "is empty; name the plan by its hash, or by the first characters of it"}
	}
	return e.FindPlan(ctx, k, hash)
}

// FindPlan finds a plan by its hash, by the first characters of its hash, or by its id. If several
// plans match, it returns one that is approved or being applied, or else the newest. An empty hash
// matches all plans. The error is ErrNoPlan if there is no such plan, and an *InputError if hash is
// too short.
func (e *Engine) FindPlan(ctx context.Context, k Key, hash string) (StoredPlan, error) {
	all, err := e.ListPlans(ctx, k)
	if err != nil {
		return StoredPlan{}, err
	}
	if hash == "" {
		if len(all) == 0 {
			return StoredPlan{}, ErrNoPlan
		}
		return all[0], nil
	}
	var found []StoredPlan
	for _, p := range all {
		if hash == p.ID {
			return p, nil
		}
		if len(hash) >= minHashLength && strings.HasPrefix(p.Hash, strings.ToLower(hash)) {
			found = append(found, p)
		}
	}
	switch {
	case len(found) == 0 && len(hash) < minHashLength:
		return StoredPlan{}, &InputError{Field: "HASH", Text: fmt.Sprintf("needs at least the first %d characters of the plan's hash", minHashLength)}
	case len(found) == 0:
		return StoredPlan{}, ErrNoPlan
	}
	// Plans with the same hash have the same operations. A plan that somebody has approved is not
	// hidden by a later one.
	for _, state := range []PlanState{PlanApplying, PlanApproved} {
		if i := slices.IndexFunc(found, func(p StoredPlan) bool { return p.State == state && !p.Expired(e.Now()) }); i >= 0 {
			return found[i], nil
		}
	}
	return found[0], nil
}

// PlannedRows returns a page of the objects of a plan, ordered by Number, with the current names of
// members.
func (e *Engine) PlannedRows(ctx context.Context, p StoredPlan, f PlanFilter) ([]PlannedRow, error) {
	rows, err := e.Plans.PlannedRows(ctx, p.Key, p.ID, f)
	if err != nil {
		return nil, err
	}
	return rows, e.nameMembers(ctx, p.Key, rows, f.Names)
}

// nameMembers fills in the current names of the members that are added or removed, as the directory
// has them. A member that the directory no longer has gets its id as the name. limit is the Names
// of a PlanFilter.
func (e *Engine) nameMembers(ctx context.Context, k Key, rows []PlannedRow, limit int) error {
	var ids []string
	each := func(name func(m *PlannedMember)) {
		for _, row := range rows {
			for _, members := range [][]PlannedMember{row.Added, row.Removed} {
				for i := range members {
					name(&members[i])
				}
			}
		}
	}
	for _, row := range rows {
		first, undone := 0, 0
		for _, m := range slices.Concat(row.Added, row.Removed) {
			if limit == 0 || first < limit {
				ids = append(ids, m.ObjectID)
				first++
			} else if undone < limit && (m.Outcome == PlanFailed || m.Outcome == PlanLeftOut) {
				ids = append(ids, m.ObjectID)
				undone++
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	source, err := e.Sources(ctx, k.Directory)
	if err != nil {
		return fmt.Errorf("open directory of %s: %w", k, err)
	}
	names := map[string]string{}
	for page := range slices.Chunk(ids, maxObjectsPerRead) {
		found, err := source.Objects(ctx, k.App, page)
		if err != nil {
			return fmt.Errorf("read objects: %w", err)
		}
		for _, o := range found {
			names[o.ID] = o.Name
		}
	}
	each(func(m *PlannedMember) {
		account, _ := AccountOfWork(m.ObjectID) // the id alone for another object
		m.DisplayName = cmp.Or(names[m.ObjectID], account)
	})
	return nil
}

// PlanCounts counts the objects of a plan, and its operations by result.
func (e *Engine) PlanCounts(ctx context.Context, p StoredPlan) (PlanCounts, error) {
	return e.Plans.PlanCounts(ctx, p.Key, p.ID)
}

// checkUsable returns an *InputError if the plan is not in one of these states, has expired, or was
// made with other settings than the job has now. Once a plan is being applied, only its state
// matters.
func (e *Engine) checkUsable(ctx context.Context, p StoredPlan, states ...PlanState) error {
	no := func(text string) error { return &InputError{Field: "Plan", Text: p.Short() + " " + text} }
	if !slices.Contains(states, p.State) {
		switch p.State {
		case PlanReady:
			if p.NeedsSecondApproval() {
				return no("is not approved yet. An operator other than the one who made it has to approve it on its page")
			}
			return no("is not approved yet")
		case PlanApproved:
			return no("is approved already")
		case PlanMaking:
			return &InputError{Field: "Plan", Text: "is still being made"}
		case PlanBroken:
			return &InputError{Field: "Plan", Text: "could not be made: " + p.Problem}
		}
		return no(fmt.Sprintf("is %s already", p.State))
	}
	if p.State == PlanApplying {
		return nil
	}
	if p.Expired(e.Now()) {
		return no("has expired at " + p.Expires.UTC().Format("2006-01-02 15:04 UTC") + "; make a new one")
	}
	job, err := e.Store.Job(ctx, p.Key)
	if err != nil {
		return err
	}
	if job.settingsOfPlans() != p.Settings {
		return no("was made with other settings than the job has now; make a new one")
	}
	return nil
}

// OutOfDate returns the reason why a plan that is ready or approved can no longer be approved or
// applied. It returns nil if it still can.
func (e *Engine) OutOfDate(ctx context.Context, p StoredPlan) error {
	return e.checkUsable(ctx, p, p.State)
}

// CanApply returns the error with which ApplyPlan would refuse the plan, or nil if ApplyPlan would
// begin.
func (e *Engine) CanApply(ctx context.Context, k Key, hash string) error {
	p, err := e.NamedPlan(ctx, k, hash)
	if err != nil {
		return err
	}
	return e.checkApply(ctx, p)
}

// checkApply returns an *InputError if the plan cannot be applied now. Only one plan of a job is
// applied at a time: an object on the work list has room for the operation of one plan.
func (e *Engine) checkApply(ctx context.Context, p StoredPlan) error {
	if err := e.checkUsable(ctx, p, PlanApproved, PlanApplying); err != nil {
		return err
	}
	all, err := e.ListPlans(ctx, p.Key)
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.State == PlanApplying && other.ID != p.ID {
			return &InputError{Field: "Plan", Text: p.Short() + " cannot be applied while the plan " + other.Short() + " is being applied; wait for it, or cancel it"}
		}
	}
	return nil
}

// CanApprove returns the error with which ApprovePlan would refuse the plan, or nil if the actor
// can approve it.
func (e *Engine) CanApprove(ctx context.Context, p StoredPlan, actor string) error {
	if err := e.checkUsable(ctx, p, PlanReady); err != nil {
		return err
	}
	return e.CheckApprover(ctx, p, actor)
}

// ApprovePlan allows a plan to be applied with all its operations, including those that the guard
// would hold. The error is ErrNoPlan if there is no such plan, an *InputError if it cannot be
// approved or if the actor may not approve it, see CheckApprover, and ErrChanged if its state has
// just changed.
func (e *Engine) ApprovePlan(ctx context.Context, k Key, hash, actor string) (StoredPlan, error) {
	p, err := e.NamedPlan(ctx, k, hash)
	if err != nil {
		return p, err
	}
	if err := e.CanApprove(ctx, p, actor); err != nil {
		return p, err
	}
	before := p.State
	p.State, p.ApprovedBy, p.ApprovedID, p.Approved = PlanApproved, actor, operatorID(ctx, actor), e.Now()
	words := fmt.Sprintf("Plan %s was approved: %s.", p.Short(), p.Report.operations())
	if p.NeedsSecondApproval() {
		words = fmt.Sprintf("Plan %s, made by %s, was approved: %s.", p.Short(), event.ParseActor(p.MadeBy).Words(), p.Report.operations())
	}
	return p, e.Plans.ChangePlan(ctx, p, []PlanState{before}, e.planEvent(ctx, p, event.ProvisioningPlanApproved, actor, words))
}

// CancelPlan prevents a plan from being applied. If the plan is being applied, operations that were
// not sent yet are dropped. The error is ErrNoPlan if there is no such plan, an *InputError if the
// plan was already applied or cancelled or could not be made, and ErrChanged if its state has just
// changed.
func (e *Engine) CancelPlan(ctx context.Context, k Key, hash, actor string) (StoredPlan, error) {
	p, err := e.NamedPlan(ctx, k, hash)
	if err != nil {
		return p, err
	}
	open := []PlanState{PlanMaking, PlanReady, PlanApproved, PlanApplying}
	if !slices.Contains(open, p.State) {
		return p, e.checkUsable(ctx, p)
	}
	name := p.Short()
	if name == "" {
		name = "that was being made"
	}
	p.State = PlanCancelled
	return p, e.Plans.ChangePlan(ctx, p, open, e.planEvent(ctx, p, event.ProvisioningPlanCancelled, actor, fmt.Sprintf("Plan %s was cancelled.", name)))
}

func (e *Engine) planEvent(ctx context.Context, p StoredPlan, name, actor, words string) *event.Event {
	undoes := ""
	if p.Undo != nil {
		undoes = p.Undo.words()
		words = strings.TrimSuffix(words, ".") + ". It takes back " + undoes + "."
	}
	if app := e.Applications.name(ctx, p.Key); app != "" {
		words = app + ": " + words
	}
	return &event.Event{
		Time: e.Now(), Scope: event.Directory(string(p.Key.Directory)), Name: name, Actor: actor, Subject: p.Key.App, Text: words,
		Data: event.DataOf(event.Plan{Hash: p.Hash, Undoes: undoes}),
	}
}

// operations says in words how many operations would be sent, by kind.
func (r *PlanReport) operations() string {
	text := fmt.Sprintf("%d to create, %d to update, %d to disable, %d to delete, %d on hold", r.Creates, r.Updates, r.Disables, r.Deletes, r.OnHold)
	if n := r.MembersAdded + r.MembersRemoved + r.MembersOnHold; n > 0 {
		text += fmt.Sprintf("; members: %d to add, %d to remove, %d on hold", r.MembersAdded, r.MembersRemoved, r.MembersOnHold)
	}
	return text
}

// Operations returns how many operations on accounts and groups the plan would send, including
// those that are on hold or that the guard would hold. It does not count memberships and
// references.
func (r *PlanReport) Operations() int {
	return r.Creates + r.Updates + r.Disables + r.Deletes + r.OnHold
}

// SomethingToDo reports whether the next cycle would send anything or put anything on hold. Changes
// of members of groups and of references count, too.
func (r *PlanReport) SomethingToDo() bool {
	return r.Operations()+r.MembersAdded+r.MembersRemoved+r.MembersOnHold+r.References > 0
}

// ApplyPlan sends the operations of an approved plan, and nothing else. It evaluates each object
// once more. If the result is not exactly the planned operation, it sends nothing for the object
// and marks the object's row with PlanLeftOut. It calls progress now and then, unless progress is
// nil. If the plan is an undo, ApplyPlan first pauses the job.
//
// It first sends the operations on people and groups, then the references that depend on them, such
// as the manager whose account is new, and then the memberships. It begins the next of these stages
// when no operation of the stage before is left. Each membership is compared once more, and left
// out by itself. While the job's status is On, a cycle may send references and memberships before
// the plan does. They count as sent.
//
// ApplyPlan returns when no operation is left that could be sent now. It works whether the job's
// status is On or Off. If another process works on the job, that process sends the operations. If
// ApplyPlan is interrupted, another call continues. Operations that have to wait stay on the work
// list, and the plan stays Applying. The error is ErrNoPlan if there is no such plan, an
// *InputError if the plan cannot be applied, and a *TargetError if the connection does not work.
func (e *Engine) ApplyPlan(ctx context.Context, k Key, hash, owner, actor string, progress func(PlanCounts)) (StoredPlan, PlanCounts, error) {
	p, err := e.NamedPlan(ctx, k, hash)
	if err != nil {
		return p, PlanCounts{}, err
	}
	if err := e.checkApply(ctx, p); err != nil {
		return p, PlanCounts{}, err
	}
	if p.State == PlanApproved {
		p.State, p.AppliedBy = PlanApplying, actor
		if err := e.Plans.ChangePlan(ctx, p, []PlanState{PlanApproved}, nil); err != nil {
			return p, PlanCounts{}, err
		}
	}
	if p.Undo != nil { // pause the job, or its next cycle would send again what the plan takes back
		if _, err := e.settings().Pause(ctx, k, actor); err != nil {
			return p, PlanCounts{}, err
		}
	}
	for _, stage := range []PlanStage{PlanAccounts, PlanReferences, PlanMembers} {
		if done, err := e.applyStage(ctx, p, stage, owner, progress); err != nil {
			return p, PlanCounts{}, err
		} else if !done {
			break
		}
	}
	counts, err := e.PlanCounts(ctx, p)
	if err != nil || counts.Due > 0 {
		return p, counts, err
	}
	p.State, p.Applied = PlanApplied, e.Now()
	words := fmt.Sprintf("Plan %s was applied: %s.", p.Short(), counts.words())
	err = e.Plans.ChangePlan(ctx, p, []PlanState{PlanApplying}, e.planEvent(ctx, p, event.ProvisioningPlanApplied, actor, words))
	if errors.Is(err, ErrChanged) { // another call, which applied the plan too, may have ended first
		if now, finding := e.FindPlan(ctx, k, p.ID); finding == nil && now.State == PlanApplied {
			return now, counts, nil
		}
	}
	return p, counts, err
}

// words says how many operations were sent, have failed or were left out.
func (c PlanCounts) words() string {
	text := fmt.Sprintf("%d sent, %d failed, %d left out because something had changed", c.Sent, c.Failed, c.LeftOut)
	if c.MembersSent+c.MembersFailed+c.MembersLeftOut > 0 {
		text += fmt.Sprintf("; members: %d sent, %d failed, %d left out", c.MembersSent, c.MembersFailed, c.MembersLeftOut)
	}
	return text
}

// applyStage puts the operations of one stage of a plan on the work list, and works on them until
// none is left that could be sent now. done is false if some of them have to wait.
func (e *Engine) applyStage(ctx context.Context, p StoredPlan, stage PlanStage, owner string, progress func(PlanCounts)) (done bool, err error) {
	for after := 0; ; {
		last, err := e.Plans.DemandPlanned(ctx, p.Key, p.ID, stage, after, importPage)
		if err != nil {
			return false, err
		}
		if last == 0 {
			break
		}
		after = last
	}
	left, err := e.Plans.CountDemanded(ctx, p.Key, p.ID)
	if err != nil || left == 0 {
		return true, err
	}
	e.Wake(p.Key)
	if err := e.sendPlanned(ctx, p, owner, progress); err != nil {
		return false, err
	}
	left, err = e.Plans.CountDemanded(ctx, p.Key, p.ID)
	return left == 0, err
}

// sendPlanned works on the operations of a plan until none is left that could be sent now.
func (e *Engine) sendPlanned(ctx context.Context, p StoredPlan, owner string, progress func(PlanCounts)) error {
	again := time.NewTicker(demandPoll)
	defer again.Stop()
	var told time.Time // when progress was last called
	for {
		err := e.workOnDemand(ctx, p.Key, owner)
		var other *HeldError
		if err != nil && !errors.As(err, &other) {
			return err
		}
		due, err := e.Plans.DuePlanned(ctx, p.Key, p.ID, e.Now())
		if err != nil {
			return err
		}
		// Counting reads the whole plan, so it is not done each time.
		if now := e.Now(); progress != nil && (due == 0 || now.Sub(told) >= planSaveInterval) {
			told = now
			counts, err := e.PlanCounts(ctx, p)
			if err != nil {
				return err
			}
			progress(counts)
		}
		if due == 0 {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// expectedOperation returns the operation that a plan allows for an object on the work list. It is
// nil if the object is not listed for a plan, and empty if the plan was cancelled.
// expectedOperation also changes known, so that the object is evaluated as it was for the plan.
func (r *run) expectedOperation(ctx context.Context, known *Pending) (*ExpectedOperation, error) {
	if known.Why != ByPlan {
		return nil, nil
	}
	x, err := r.e.Plans.ExpectedOperation(ctx, r.job.Key, known.ObjectID)
	if err != nil {
		return nil, err
	}
	if x == nil {
		x = &ExpectedOperation{} // the plan was cancelled: no operation is allowed
	}
	_, account := AccountOfWork(known.ObjectID)
	switch {
	case x.Undo != nil:
		known.Restore = x.newRestore()
	case account && x.Plan != "":
		known.Disable = &disabling{planned: &x.Planned}
	}
	known.Why, known.Reads = ByCycle, x.Reads // evaluate the object as the plan did
	return x, nil
}

// allows reports whether the operation that would be sent for an object now is the planned one.
func (x *ExpectedOperation) allows(w *work) bool {
	switch {
	case x.Plan == "":
		return false
	case x.Planned.Follows:
		return requests(w.decision) && actionOf(w.decision) == Update && x.allowsReferences(w, true) || x.isReached(w)
	case x.Fingerprint == w.fingerprint():
		return true
	}
	// The plan changes a reference of the object after this operation, because the account that it
	// refers to comes or goes. That account may have come or gone already. Then this operation
	// sends the reference, too.
	return x.Follow != nil && x.Bare != "" && x.Bare == w.bareFingerprint() && x.allowsReferences(w, false)
}

// finishesEarlierWork reports whether the operation of the plan may have been sent before, by a
// process that did not record its outcome, and only has to be recorded now, or looked at again
// later.
func (x *ExpectedOperation) finishesEarlierWork(w *work) bool {
	return x.Plan != "" && !x.Planned.Follows && (w.findsCreated() || (w.known.Op != nil || w.doubted) && !requests(w.decision))
}

// wasNotCarriedOut reports whether an operation of the plan may have been sent, and the account as
// it was read now shows that it was not carried out: a value differs from the planned one.
func (x *ExpectedOperation) wasNotCarriedOut(w *work) bool {
	if w.current == nil || x.Planned.Action != Update && x.Planned.Action != Disable || requests(w.decision) {
		return false
	}
	for _, c := range x.Planned.Changes {
		row := w.m.row(c.Path)
		if row == nil || isReference(c) || isPassword(c.Path) {
			continue
		}
		if want, ok := row.toAttributeForm(c.New); ok && !row.agreesWithLedger(toLedgerValue(row.valueIn(w.current)), toLedgerValue(want)) {
			return true
		}
	}
	return false
}

// findsCreated reports whether the account of a create of unknown outcome was found and has to be
// linked.
func (w *work) findsCreated() bool {
	return w.known.Op != nil && w.known.resolved && w.newLink() && w.known.takes == ""
}

// keepOnlyCreated changes the decision about an account that the plan created: the account is
// linked, and nothing else is sent to it.
func (w *work) keepOnlyCreated() {
	if !requests(w.decision) {
		return
	}
	s := w.skip("PlannedCreateFound", "The account that the plan created was found and linked. What changed after the plan was made is not sent by the plan.", "")
	s.pair, s.report = remember{*w.link}, logged
	w.decision = s
}

// allowsReferences reports whether the plan lists the value that each changed reference had, and
// the value that it gets. If only is true, the decision may change nothing but references.
func (x *ExpectedOperation) allowsReferences(w *work, only bool) bool {
	planned := x.Planned.Changes
	if x.Follow != nil {
		planned = slices.Concat(planned, x.Follow.Changes)
	}
	for _, c := range changesOf(w.decision) {
		switch {
		case !isReference(c) && only:
			return false
		case !isReference(c):
			continue
		}
		had := c.Unknown || slices.ContainsFunc(planned, func(p Change) bool { return p.Path == c.Path && text(p.Old) == text(c.Old) })
		gets := slices.ContainsFunc(planned, func(p Change) bool { return p.Path == c.Path && w.refersAs(p, text(c.New)) })
		if !had || !gets {
			return false
		}
	}
	return true
}

// refersAs reports whether account is the id of the account to which a planned change refers. If
// the plan creates that account, the plan has the object id of its person.
func (w *work) refersAs(planned Change, account string) bool {
	if objectID, isNew := strings.CutPrefix(text(planned.New), newAccount+" "); isNew {
		return account != "" && account == w.refersTo && w.link != nil && w.link.Refers == objectID
	}
	return account == text(planned.New)
}

// isReached reports whether nothing has to be sent for a planned reference, because the account
// refers to the planned account already. A cycle may have sent it in the meantime.
func (x *ExpectedOperation) isReached(w *work) bool {
	if !x.Planned.Follows {
		return false
	}
	if _, skipped := w.decision.(skip); !skipped || !w.entitled() {
		return false
	}
	for _, c := range x.Planned.Changes {
		if !slices.ContainsFunc(w.values, func(v value) bool { return v.row.Target == c.Path && w.refersAs(c, text(v.want)) }) {
			return false
		}
	}
	return true
}

// isUnanswered reports whether the evaluation failed because a question to the target got no
// answer, for example because the slice is over. Then it is not known whether the operation has
// changed since the plan was made.
func (w *work) isUnanswered() bool {
	d, failed := w.decision.(fail)
	return failed && unanswered(d.problem)
}

// leftOutOutcome returns the outcome for an object for which nothing is sent, because its operation
// now differs from the planned operation.
func (w *work) leftOutOutcome(x *ExpectedOperation) Outcome {
	reason := "Nothing has to be sent any more."
	switch d := w.decision.(type) {
	case fail:
		reason = "It would fail now: " + d.problem.Detail
	case skip:
		if w.unmanaged && d.reason != "" {
			reason = d.reason
		}
	case later:
		reason = "It has to wait now: " + w.whyLater()
	default:
		if requests(w.decision) {
			reason = "Something else would be sent now: the person, the account or what is known about it changed after the plan was made."
		}
	}
	return Outcome{ObjectID: w.known.ObjectID, Turn: w.known.Turn, Planned: PlannedOutcome{Plan: x.Plan, Result: PlanLeftOut, Reason: reason}}
}

// settlePlanned sets the field Planned of an outcome: whether the planned operation was sent, has
// failed, or is still due. It does nothing if x is nil, because no plan lists the object then.
func (o *Outcome) settlePlanned(x *ExpectedOperation, w *work) {
	if x == nil {
		return
	}
	o.Planned = PlannedOutcome{Plan: x.Plan, Result: PlanSent}
	switch te := w.problem(); {
	case te != nil:
		o.Planned.Result, o.Planned.Reason = PlanFailed, te.Detail
	case x.finishesEarlierWork(w) && o.Postpone.IsZero() && x.wasNotCarriedOut(w):
		o.Planned.Result, o.Planned.Reason = PlanLeftOut, "It was not carried out, and nothing has to be sent any more: the person or the account changed after the plan was made."
	case x.isReached(w), x.finishesEarlierWork(w) && o.Postpone.IsZero():
	case !isDone(w.result):
		o.Planned.Result, o.Planned.Reason = PlanDue, o.WaitReason
	}
}
