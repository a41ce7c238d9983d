package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// An undo takes back what the job sent in a cycle, with a plan, or in the last change of one user
// or group. It is a plan whose operations restore the old values in the log:
//
//	log ─► history of each object ─► what to restore ─► read the account ─► plan ─► approve ─► apply
//	                                                         │
//	                                                         ▼
//	                            left as it is, and named: the account was deleted, a value was not
//	                            recorded, somebody changed it since, the person has no access today
//
// When the plan is applied, each account is read once more. If its values differ from those in the
// plan, nothing is sent for it.

// Undo says what a plan takes back: a cycle, a plan, or the last change of one user or group.
type Undo struct {
	Cycle  string `json:"cycle,omitempty"`    // the id of the cycle
	Plan   string `json:"plan,omitempty"`     // the hash of the applied plan
	Object string `json:"objectId,omitempty"` // the id of the user or group

	Logged string         `json:"logged,omitempty"` // the LogEntry.CycleID of the changes; "" for an object
	Entry  string         `json:"entry,omitempty"`  // for an object: the id of the log entry
	Since  time.Time      `json:"since"`            // when the first change was logged
	Causes []string       `json:"causes"`           // the causes of the changes, in words
	Edit   *MappingEdited `json:"edit,omitempty"`   // the change of the mappings that was a cause; nil if there was none
	// InForce is true if the job's mappings still differ from the mappings before Edit. The undo
	// then uses the mappings before Edit to decide which people may have access.
	InForce bool `json:"inForce,omitempty"`
	// CanRevert is true if InForce is true and the mappings have not changed again since.
	CanRevert bool `json:"canRevert,omitempty"`
}

// MappingEdited is a change of the mappings, with the cycle that was the first to use them.
type MappingEdited struct {
	Cycle   string `json:"cycle,omitempty"` // the id of the cycle; "" if a plan was the first
	Version int64  `json:"version"`         // the version of the mappings
	Before  int64  `json:"before"`          // the version that was in force before
}

// UndoPlan is the [PlanReport.Kind] of a plan that takes something back.
const UndoPlan = "undo"

// Codes of planned objects that an undo leaves as they are.
const (
	codeAsBefore  = "AsBefore"
	codeNotUndone = "CannotBeUndone"
	codeChanged   = "ChangedMeanwhile"
	codeNoAccess  = "NotEffectivelyEntitled"
)

const (
	maxBefore      = 20_000 // the largest old value that the log keeps for an undo, in bytes
	maxEdits       = 50     // how many entries State.Edits has at most
	undoLook       = 500    // how many log entries are read at a time to find the causes of a cycle
	undoHistory    = 500    // how many log entries of one object are read at a time
	undoneTogether = 200    // how many objects are planned together
)

// settings returns the Jobs with which the engine changes the settings of a job.
func (e *Engine) settings() *Jobs {
	return &Jobs{Store: e.Store, Now: e.Now, Applications: e.Applications}
}

// newestMappings returns the number of the version of the mappings that this run uses.
func (r *run) newestMappings(ctx context.Context) (int64, error) {
	list, err := r.e.Store.MappingVersions(ctx, r.job.Key, r.job.Version+1, 1)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].Number, nil
}

// mappingsEdited returns the change of the mappings since the last look at everyone, or nil.
func (r *run) mappingsEdited(ctx context.Context) (*MappingEdited, error) {
	now, err := r.newestMappings(ctx)
	if err != nil || r.state.Mappings == 0 || r.state.Mappings == now {
		return nil, err
	}
	return &MappingEdited{Version: now, Before: r.state.Mappings}, nil
}

// noteMappings records which mappings the cycle that begins uses.
func (r *run) noteMappings(ctx context.Context) error {
	s := &r.state
	if s.Cycle.Kind != InitialCycle && s.Mappings != 0 {
		return nil // changed mappings always make an initial cycle
	}
	edit, err := r.mappingsEdited(ctx)
	if err != nil {
		return err
	}
	if edit != nil {
		edit.Cycle = s.Cycle.ID
		s.Edits = append(slices.Clone(s.Edits), *edit)
		s.Edits = s.Edits[max(0, len(s.Edits)-maxEdits):]
	}
	if s.Mappings, err = r.newestMappings(ctx); err != nil {
		return err
	}
	return r.e.Store.SaveState(ctx, r.fence, *s, nil)
}

// valuesBefore returns the old values that the log's text for the changes does not show exactly. It
// leaves out values that are not known, that are secret, or that are too long.
func valuesBefore(changes []Change) map[string]any {
	var exact map[string]any
	for _, c := range changes {
		if c.Unknown || c.Redacted || isPassword(c.Path) || c.Roles != "" {
			continue
		}
		switch old := c.Old.(type) {
		case bool, int64:
			continue
		case string:
			if isHashed(old) || len(old) <= maxLogged {
				continue
			}
		case []any:
			// The ledger keeps the elements of a list as strings. An undo cannot restore complex
			// elements from them.
			if slices.ContainsFunc(old, func(e any) bool { return isHashed(e) || strings.HasPrefix(text(e), "{") }) {
				continue
			}
		}
		if len(text(c.Old)) > maxBefore {
			continue
		}
		if exact == nil {
			exact = map[string]any{}
		}
		exact[c.Path] = c.Old
	}
	return exact
}

// valueBefore returns the value that an attribute had before the change of an entry. If the value
// is not recorded, problem says why.
func (e LogEntry) valueBefore(m ModifiedProperty) (value any, problem string) {
	exact, known := e.Before[m.DisplayName]
	switch {
	case known:
		return exact, ""
	case isPassword(m.DisplayName):
		return nil, "a password is never recorded"
	case m.OldValue == nil:
		return nil, "its value before was not recorded"
	case *m.OldValue == redactedValue:
		return nil, "its expression keeps the value out of the log"
	case isHashed(*m.OldValue), len(*m.OldValue) > maxLogged:
		return nil, "its value before was too long to be recorded"
	}
	return *m.OldValue, ""
}

// words says what the undo takes back. It names no person, because a plan may outlive an erasure.
func (u Undo) words() string {
	switch {
	case u.Cycle != "":
		return "the cycle " + u.Cycle
	case u.Plan != "":
		return "the plan " + u.Plan[:min(12, len(u.Plan))]
	}
	return "the last change of the object " + u.Object
}

// mappings returns the version of the mappings with which the undo works; 0 means the current
// mappings.
func (u Undo) mappings() int64 {
	if u.InForce {
		return u.Edit.Before
	}
	return 0
}

// Changed reports whether the entry says that the account changed.
func (e LogEntry) Changed() bool {
	return e.Action != Other && (e.Status.Status == Success || e.Status.Status == Warning)
}

// FindUndo completes an Undo of which only the cycle, the plan or the object is set. It finds out
// what made the changes. The error is ErrNoPlan, or an *InputError if there is nothing to take
// back.
func (e *Engine) FindUndo(ctx context.Context, k Key, u Undo) (Undo, error) {
	none := func(field, words string) (Undo, error) { return u, &InputError{Field: field, Text: words} }
	job, err := e.Store.Job(ctx, k)
	if err != nil {
		return u, err
	}
	state, err := e.Store.State(ctx, k)
	if err != nil {
		return u, err
	}
	u.Causes = []string{}
	var entries []LogEntry
	plans, err := e.ListPlans(ctx, k)
	if err != nil {
		return u, err
	}
	var plan *StoredPlan
	for i := range plans {
		if plans[i].ID == u.Cycle {
			plan = &plans[i]
		}
	}
	switch {
	case u.Cycle != "":
		if state.Phase != Idle && state.Cycle.ID == u.Cycle && job.Status == On {
			return none("Cycle", "is still running; pause provisioning first, or wait until the cycle has ended")
		}
		if u.Logged = u.Cycle; plan != nil { // u.Cycle came from a log entry, which has the id of a plan instead of a cycle
			u = u.ofPlan(*plan)
			break
		}
		for i := range state.Edits {
			if state.Edits[i].Cycle == u.Cycle {
				u.Edit = &state.Edits[i]
			}
		}
	case u.Plan != "":
		p, err := e.FindPlan(ctx, k, u.Plan)
		if err != nil {
			return u, err
		}
		u = u.ofPlan(p)
	case u.Object != "":
		if entries, err = e.lastChange(ctx, k, u.Object); err != nil {
			return u, err
		}
		if len(entries) == 0 {
			return none("Undo", "has nothing to take back: the log has no change of this user or group")
		}
		u.Entry = entries[0].ID
	default:
		return none("Undo", "needs a cycle, a plan, or a user or group")
	}
	if u.Logged != "" {
		if entries, err = e.firstChanges(ctx, k, u.Logged); err != nil {
			return u, err
		}
		if len(entries) == 0 {
			return none("Undo", "has nothing to take back: the log has no change of "+u.words())
		}
	}
	u.Since = entries[0].ActivityTime
	err = e.findCauses(ctx, job, state, &u, entries)
	return u, err
}

// firstChanges returns the first entries of a cycle, or of a plan, that say that an account
// changed.
func (e *Engine) firstChanges(ctx context.Context, k Key, logged string) ([]LogEntry, error) {
	if !storable(logged) {
		return nil, nil
	}
	for before := ""; ; {
		page, next, err := e.Store.Logs(ctx, k, LogQuery{Cycle: logged, OldestFirst: true, Shown: true, Before: before, Limit: undoLook})
		page = slices.DeleteFunc(page, func(e LogEntry) bool { return !e.Changed() })
		if before = next; err != nil || len(page) > 0 || next == "" {
			return page, err
		}
	}
}

// ofPlan returns the undo of an applied plan.
func (u Undo) ofPlan(p StoredPlan) Undo {
	u.Cycle, u.Plan, u.Logged, u.Edit = "", p.Hash, p.ID, p.Report.Edit
	u.Causes = append(u.Causes, fmt.Sprintf("The plan %s, approved by %s and applied by %s", p.Short(), event.ParseActor(p.ApprovedBy).Words(), event.ParseActor(p.AppliedBy).Words()))
	return u
}

// lastChange returns the entry of the last change of an object, as a list. The list is empty if the
// log has no change of the object. Changes of a group's members do not count.
func (e *Engine) lastChange(ctx context.Context, k Key, objectID string) ([]LogEntry, error) {
	if !storable(objectID) {
		return nil, nil
	}
	for before := ""; ; {
		page, next, err := e.Store.Logs(ctx, k, LogQuery{ObjectID: objectID, Shown: true, Before: before, Limit: 50})
		if err != nil {
			return nil, err
		}
		for _, entry := range page {
			if entry.Changed() && !entry.ofMembers() {
				return []LogEntry{entry}, nil
			}
		}
		if before = next; next == "" {
			return nil, nil
		}
	}
}

// ofMembers reports whether an entry is about the members of a group.
func (e LogEntry) ofMembers() bool {
	return e.SourceIdentity.Type == string(GroupKind) && len(e.Modified) == 1 && strings.EqualFold(e.Modified[0].DisplayName, "members")
}

// findCauses sets Causes, Edit, InForce and CanRevert from entries of the log.
func (e *Engine) findCauses(ctx context.Context, job Job, state State, u *Undo, entries []LogEntry) error {
	source, err := e.Sources(ctx, job.Key.Directory)
	if err != nil {
		return fmt.Errorf("open directory of %s: %w", job.Key, err)
	}
	singles := false
	var ids []string
	for _, entry := range entries {
		singles = singles || entry.Cause == ""
		if entry.Cause != "" && !slices.Contains(ids, entry.Cause) {
			ids = append(ids, entry.Cause)
		}
	}
	for _, id := range ids {
		cycle, looked := strings.CutPrefix(id, cycleCause)
		if !looked {
			info, err := source.Cause(ctx, id)
			if err != nil {
				return fmt.Errorf("read cause %s: %w", id, err)
			}
			u.Causes = append(u.Causes, cmp.Or(info.Words, "An import"))
			continue
		}
		for i := range state.Edits {
			if state.Edits[i].Cycle == cycle {
				u.Edit = &state.Edits[i]
			}
		}
		if u.Edit == nil {
			u.Causes = append(u.Causes, state.whyLooked(cycle))
		}
	}
	if singles && u.Plan == "" {
		u.Causes = append(u.Causes, "Changes of single people and groups in the directory")
	}
	if u.Edit == nil {
		return nil
	}
	return e.findEdit(ctx, job, u)
}

// whyLooked says in words why a cycle looked at everyone.
func (s State) whyLooked(cycle string) string {
	for _, c := range []*CycleReport{&s.Cycle, s.Last, s.LastGood} {
		if c != nil && c.ID == cycle && c.Why != "" {
			return strings.TrimSuffix(c.Why, ".")
		}
	}
	return "A look at everyone, after a change of the settings or a restart"
}

// findEdit adds the change of the mappings to the causes, and finds out whether it is in force.
func (e *Engine) findEdit(ctx context.Context, job Job, u *Undo) error {
	is, err := e.Store.MappingVersion(ctx, job.Key, u.Edit.Version)
	if errors.Is(err, ErrNoVersion) {
		u.Edit = nil
		u.Causes = append(u.Causes, "A change of the mappings whose version is not kept any more")
		return nil
	}
	if err != nil {
		return err
	}
	words := fmt.Sprintf("Version %d of the mappings, saved at %s by %s. %s", is.Number, is.At.UTC().Format("2006-01-02 15:04 UTC"), event.ParseActor(is.Actor).Words(), strings.TrimSuffix(is.Words, "."))
	u.Causes = slices.Insert(u.Causes, 0, words)
	before, err := e.Store.MappingVersion(ctx, job.Key, u.Edit.Before)
	if errors.Is(err, ErrNoVersion) {
		u.Edit = nil
		return nil
	}
	if err != nil {
		return err
	}
	u.InForce = len(Compare(before.Schema, job.Schema)) > 0
	u.CanRevert = u.InForce && len(Compare(is.Schema, job.Schema)) == 0
	return nil
}

// RevertCause reverts the change of the mappings that caused the changes of an undo. The mappings
// from before that change are in force again. RevertCause pauses provisioning first, so that the
// plan of the undo restores the accounts, and not the next cycle. The error is an *InputError if no
// change of the mappings was the cause, or if it cannot be reverted.
func (j *Jobs) RevertCause(ctx context.Context, k Key, u Undo, actor string) (Job, error) {
	switch {
	case u.Edit == nil || !u.InForce:
		return Job{}, &InputError{Field: "Revert", Text: "is not possible: no change of the mappings that is still in force was the cause"}
	case !u.CanRevert:
		return Job{}, &InputError{Field: "Revert", Text: fmt.Sprintf("is not possible: the mappings have changed again after version %d; correct them by hand", u.Edit.Version)}
	}
	if _, err := j.Pause(ctx, k, actor); err != nil {
		return Job{}, err
	}
	return j.GoBack(ctx, k, u.Edit.Before, func(_, _ Job) (int, error) { return 0, nil }, actor)
}

// BeginUndo adds an empty plan, which FillPlan then fills with the operations that take something
// back. Only the cycle, the plan or the object of u need be set. The errors are those of FindUndo
// and BeginPlan.
func (e *Engine) BeginUndo(ctx context.Context, k Key, u Undo, actor string) (StoredPlan, error) {
	u, err := e.FindUndo(ctx, k, u)
	if err != nil {
		return StoredPlan{}, err
	}
	return e.beginPlan(ctx, k, actor, &u)
}

// planUndo plans the operations that take something back.
func (e *Engine) planUndo(ctx context.Context, k Key, u Undo, visit func(PlannedObject) error) (PlanReport, error) {
	r, err := e.openConnected(ctx, k)
	if err != nil {
		return PlanReport{}, err
	}
	report := PlanReport{Kind: UndoPlan, Notes: u.notes(r.job)}
	f := newForecast(r, r.pass(), false, &report, visit)
	err = r.eachUndone(ctx, u, func(ids []string) error { return f.undo(ctx, u, ids) })
	if err != nil {
		return report, err
	}
	return report, f.guard.judgeAccounts(ctx, f)
}

// notes returns sentences about the undo for people.
func (u Undo) notes(job Job) []string {
	notes := []string{"This plan takes back " + u.words() + "."}
	for _, cause := range u.Causes {
		notes = append(notes, "Cause: "+cause+".")
	}
	switch {
	case u.CanRevert:
		notes = append(notes, fmt.Sprintf("These mappings are still in force. Set version %d again before provisioning is started; otherwise the next look at everyone does the same again.", u.Edit.Before))
	case u.InForce:
		notes = append(notes, fmt.Sprintf("The mappings have changed again since, and still differ from version %d. Correct them before provisioning is started; otherwise the next look at everyone may do the same again.", u.Edit.Before))
	}
	if job.Status == On {
		notes = append(notes, "Applying this plan pauses provisioning.")
	}
	return append(notes, "Members of groups follow the directory: the next cycle sends those of people whose accounts come back.")
}

// eachUndone calls visit with the ids of the objects that an undo concerns, each once.
func (r *run) eachUndone(ctx context.Context, u Undo, visit func(ids []string) error) error {
	if u.Object != "" {
		return visit([]string{u.Object})
	}
	seen := map[string]bool{}
	for before := ""; ; {
		page, next, err := r.e.Store.Logs(ctx, r.job.Key, LogQuery{Cycle: u.Logged, From: u.Since, OldestFirst: true, Shown: true, Before: before, Limit: undoneTogether})
		if err != nil {
			return err
		}
		var ids []string
		for _, entry := range page {
			if id := entry.workID(); !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
		if err := visit(ids); err != nil {
			return err
		}
		if before = next; next == "" {
			return nil
		}
	}
}

// undo plans the operations that restore the accounts of these objects.
func (f *forecast) undo(ctx context.Context, u Undo, ids []string) error {
	works, errs := make([]*work, len(ids)), make([]error, len(ids))
	runConcurrently(len(ids), func(i int) { works[i], errs[i] = f.undoOne(ctx, u, ids[i]) })
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return f.addAll(works, UndoPlan)
}

// addAll adds evaluated objects to a plan that somebody made for these objects. The guard counts all
// operations that take access away under one cause.
func (f *forecast) addAll(works []*work, cause string) error {
	for _, w := range works {
		o := w.plannedObject()
		switch {
		case w.takesAway():
			f.guard.causes[cause] = append(f.guard.causes[cause], waitingOperation{o: o})
			continue
		case o.Result == Skipped && o.Code != codeAsBefore:
			o.Result = Warning // unlike a skipped object, this one is shown in the plan
		}
		if err := f.visit(o); err != nil {
			return err
		}
	}
	return nil
}

// undoOne plans the undo for one object.
func (f *forecast) undoOne(ctx context.Context, u Undo, id string) (*work, error) {
	known, err := f.r.e.Store.KnownAbout(ctx, f.r.job.Key, id)
	if err != nil {
		return nil, err
	}
	known.Why = ByCycle
	if known.Restore, err = f.r.e.history(ctx, f.r.job.Key, u, id); err != nil {
		return nil, err
	}
	return f.r.evaluate(ctx, f.p, known)
}
