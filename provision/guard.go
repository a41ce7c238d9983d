package provision

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// The guard holds operations that would take access away from too many people by mistake. It counts
// the operations that disable or delete by their cause: one import, or one look at everyone after a
// change of settings. The operations wait until all changes of the cause are on the work list. If
// there are more than the limit, all of them are held until an administrator approves or rejects
// them. All other work continues. Single changes have no cause and are never held.
//
// The guard counts the members that a cause removes from groups separately, against the number of
// all memberships. If accounts of the cause are on hold, its removals of members are too.
//
// Each row of the work list has a verdict. A row may take access away only if the guard has judged
// it:
//
//	directory ─► list ─► judging ─► ready, takes ─► sent
//	                        │  ▲
//	                        ▼  │
//	                      held └── late: found only when a worker evaluated the person
//	                        │
//	                        ▼
//	                    rejected: until the person changes or another cause arrives

// Verdict says whether a row of the work list may be worked on.
type Verdict string

// The verdicts.
const (
	Ready    Verdict = "ready"
	Judging  Verdict = "judging"  // the cause is being counted
	Late     Verdict = "late"     // the cause is being counted; this row was found after the cause was listed
	OnHold   Verdict = "held"     // a person has to approve or reject it
	Rejected Verdict = "rejected" // a person decided that nothing is sent
)

// Origin is where a change of an object comes from.
type Origin struct {
	Cause         string // the id of the import that made it; "" if it is a single change
	RemovesAccess bool   // the change itself takes access away, such as a deletion
}

// CauseInfo is what a source knows about an import.
type CauseInfo struct {
	Words string
	Seen  time.Time // when the cause last wrote something
}

// cycleCause is the prefix of a cause's id if the cause is an initial cycle.
const cycleCause = "cycle-"

// importSilence is how long after its last transaction an import counts as ended, even if it has
// not said so. Its process was probably killed.
const importSilence = time.Minute

// Keeps says which earlier verdicts of a row stay in force when the row is listed again.
type Keeps struct {
	Held, Judging, ImportJudging, Rejected, Free bool
}

// JudgedCause is a cause with rows that wait for the guard.
type JudgedCause struct {
	ID       string
	Judging  int
	Late     int
	Complete bool // the cause makes no more changes
}

// Judgement is the result of counting the operations of one cause.
type Judgement struct {
	Accounts Tally // operations that disable or delete accounts or groups, against the active links
	Members  Tally // removals of members of groups, against all memberships
}

// Tally counts the operations of one cause: either those on accounts or those on memberships.
type Tally struct {
	Count   int  // operations that are judged now
	Passed  int  // operations that were let through earlier
	OnHold  int  // operations that were put on hold earlier
	Allowed int  // operations that an administrator accepted before saving the change
	Active  int  // active links, or memberships, when the cause was first judged or now
	Held    bool // the operations that are judged now are put on hold
}

// Total returns how many operations of the cause take access away, whatever became of them.
func (t Tally) Total() int { return t.Count + t.Passed + t.OnHold }

func (t *Tally) judge() { t.Held = t.Count > 0 && t.Total() > t.limit() }

// limit returns how many of the operations may be sent without approval.
func (t Tally) limit() int { return max(limit(t.Active), t.Allowed) }

// limit returns how many operations of one cause may take access away without approval. active is
// how many accounts, or memberships, there are.
func limit(active int) int { return min(500, max(5, active/10)) }

// Judge decides which of the counted operations are put on hold.
func (j *Judgement) Judge() {
	j.Accounts.judge()
	j.Members.judge()
	if j.Members.Count > 0 && (j.Accounts.Held || j.Accounts.OnHold > 0) {
		j.Members.Held = true
	}
}

// Held reports whether any operations are put on hold.
func (j Judgement) Held() bool { return j.Accounts.Held || j.Members.Held }

// First reports whether no operation of the cause was on hold before.
func (j Judgement) First() bool { return j.Accounts.OnHold+j.Members.OnHold == 0 }

// OnHoldAfter returns how many operations are on hold after the judgement.
func (t Tally) OnHoldAfter() int {
	if t.Held {
		return t.OnHold + t.Count
	}
	return t.OnHold
}

// PassedAfter returns how many operations were let through, including by this judgement.
func (t Tally) PassedAfter() int {
	if t.Held {
		return t.Passed
	}
	return t.Passed + t.Count
}

// words says how many operations are on hold.
func (j Judgement) words() string {
	var parts []string
	if n := j.Accounts.OnHoldAfter(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d operations that disable or delete are on hold, of %d active accounts.", n, j.Accounts.Active))
	}
	if n := j.Members.OnHoldAfter(); n > 0 {
		parts = append(parts, fmt.Sprintf("%s on hold, of %d memberships.", countOf(n, "removal of a member is", "removals of members are"), j.Members.Active))
	}
	return strings.Join(parts, " ")
}

// guard fills in the fields of a listed object that the guard needs.
func (r *run) guard(l *Listed, o *Object, from Origin) {
	switch l.Why {
	case ByCycle:
		l.Cause = r.cycleCause()
		l.Keeps = Keeps{Held: true, ImportJudging: true, Free: true}
	case ByChange:
		l.Cause = from.Cause
		l.Keeps = Keeps{Held: true, Judging: from.Cause == "", Free: true}
		if from.RemovesAccess {
			l.Keeps = Keeps{}
		}
	default: // nothing is known about the change yet; a worker will find out
		l.Takes = false
		l.Keeps = Keeps{Held: true, Judging: true, Rejected: true, Free: true}
		return
	}
	if !l.Takes {
		l.Keeps = Keeps{}
		return
	}
	l.Reason = r.whyLeaves(o)
}

// verdict returns the verdict that a row gets when it is listed.
func (l Listed) verdict() Verdict {
	switch {
	case !l.Takes || l.Cause == "":
		return Ready
	case l.Turn != 0:
		return Late
	}
	return Judging
}

// Verdict returns the verdict that a row gets when it is listed.
func (l Listed) Verdict() Verdict { return l.verdict() }

// whyLeaves says why an object should lose its account, or have it disabled.
func (r *run) whyLeaves(o *Object) string {
	switch {
	case o == nil:
		return "deleted permanently in the directory"
	case !o.Deleted.IsZero():
		return "deleted in the directory"
	case !o.Enabled:
		return "blocked from sign-in in the directory"
	case !o.Assigned && r.job.Scope != Everyone:
		return "not assigned to the application"
	}
	m, attributes := r.m, filterAttributes(o)
	if o.Kind == GroupKind {
		m, attributes = r.groups.m, o.Attributes
	}
	_, clauses, _ := m.filter.admits(attributes) //nolint:errcheck // after an error, the person does not leave the scope
	var failed []string
	for _, c := range clauses {
		if !c.Holds {
			failed = append(failed, c.Clause)
		}
	}
	if len(failed) == 0 {
		return "told apart by the mapping"
	}
	return "not in the scoping filters: " + strings.Join(failed, ", ")
}

func (r *run) cycleCause() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cycleCause + r.state.Cycle.ID
}

// takesAway reports whether a decision disables or deletes an account.
func (w *work) takesAway() bool {
	switch d := w.decision.(type) {
	case remove:
		return true
	case patch:
		if d.action == Disable && (d.link.State == Active || d.link.State == Held || w.newLink()) {
			return true
		}
		for _, c := range d.changes {
			if strings.EqualFold(c.Path, "active") && strings.EqualFold(text(c.New), "false") {
				return true
			}
		}
	}
	return false
}

// holdsBack returns the row to list again for the guard if a decision takes access away but the
// guard has not judged the row. The decision is then not sent. A person who is provisioned on
// demand is never held back, because the person who asked sees the result.
func (l *pipeline) holdsBack(ctx context.Context, w *work) (*Listed, error) {
	if !w.takesAway() || w.known.Takes || w.known.Why == ByDemand {
		return nil, nil
	}
	why := strings.TrimSuffix(w.whyDisabled(), ".")
	if w.entitled() {
		why = "blocked by a value of the mapping"
	}
	lane := Leavers
	if w.m.kind == GroupKind {
		lane, why = w.known.Lane, "not in scope any more"
	}
	listed := Listed{
		ObjectID: w.known.ObjectID, Why: w.known.Why, Lane: lane, Takes: true, Cause: w.known.Cause, Reason: why, Turn: w.known.Turn,
	}
	switch {
	case listed.Cause != "":
	case l.r.failedBefore(w.known.Pending):
		listed.Cause = l.r.cycleCause()
	default:
		// The directory may know a cause that is not imported yet. If so, importing it lists the
		// row again with a new Turn, and this decision leaves that row alone.
		if err := l.r.catchUp(ctx); err != nil {
			return nil, err
		}
	}
	return &listed, nil
}

// failedBefore reports whether an initial cycle looks at an object only because it failed earlier,
// and its account was not to be taken away then. If it is now, the reason for the initial cycle is
// the cause.
func (r *run) failedBefore(known Pending) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Phase != Idle && r.state.Cycle.Kind == InitialCycle && known.Why == ByRetry && !known.leaves()
}

// leaves reports whether the object's account was to be taken away when that failed.
func (p Pending) leaves() bool { return p.Escrow != nil && p.Escrow.Lane == Leavers }

// catchUp imports all changes that the directory has at this moment.
func (r *run) catchUp(ctx context.Context) error {
	r.importing.acquire(r.e.goroutines())
	defer r.importing.release()
	if err := r.catchUpGroups(ctx); err != nil {
		return err
	}
	for r.phase() == Changes {
		if _, err := r.importPage(ctx); err != nil {
			return err
		}
	}
	for {
		found, err := r.importNews(ctx)
		if err != nil || !found {
			return err
		}
	}
}

// judge judges the causes whose changes are all on the work list. Rows that were found late wait
// until no object is left to look at, because only then are all of them known. It reports whether
// it judged anything.
func (r *run) judge(ctx context.Context, idle bool) (did bool, err error) {
	all, err := r.e.Store.CausesToJudge(ctx, r.job.Key)
	if err != nil {
		return false, err
	}
	for _, c := range all {
		if c.Judging == 0 && !idle {
			continue
		}
		done, _, err := r.complete(ctx, c)
		if err != nil {
			return did, err
		}
		if !done {
			continue
		}
		// Changes of groups have their own position, which may be behind the position for people.
		if before := r.groupsMark(); !did {
			if err := r.catchUpGroups(ctx); err != nil {
				return false, err
			}
			if r.groupsMark() != before {
				return true, nil
			}
		}
		words, err := r.causeWords(ctx, c.ID)
		if err != nil {
			return did, err
		}
		held := r.event(ctx, event.ProvisioningHeld, "")
		if err := r.e.Store.Judge(ctx, r.fence, c.ID, words, r.allowed(c.ID), func(j Judgement) event.Event {
			e := *held
			e.Text += fmt.Sprintf("%s Cause: %s.", j.words(), words)
			e.Data = event.DataOf(event.Held{Cause: c.ID, Count: j.Accounts.OnHoldAfter() + j.Members.OnHoldAfter()})
			return e
		}); err != nil {
			return did, err
		}
		did = true
	}
	return did, nil
}

// complete reports whether all changes of a cause are on the work list. If not, again is when to
// look again.
func (r *run) complete(ctx context.Context, c JudgedCause) (done bool, again time.Time, err error) {
	if c.Complete {
		return true, time.Time{}, nil
	}
	if strings.HasPrefix(c.ID, cycleCause) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.state.Ready && r.state.Phase != Snapshot && r.state.Phase != Links, time.Time{}, nil
	}
	info, err := r.source.Cause(ctx, c.ID)
	if err != nil {
		return false, time.Time{}, fmt.Errorf("read cause %s: %w", c.ID, err)
	}
	again = info.Seen.Add(importSilence)
	return info.Seen.IsZero() || !r.e.Now().Before(again), again, nil
}

// judgeable reports whether a cause can be judged now. If not, again is when to look again.
func (r *run) judgeable(ctx context.Context) (now bool, again time.Time, err error) {
	all, err := r.e.Store.CausesToJudge(ctx, r.job.Key)
	if err != nil {
		return false, time.Time{}, err
	}
	for _, c := range all {
		done, later, err := r.complete(ctx, c)
		if err != nil || done {
			return done, time.Time{}, err
		}
		again = earliest(again, later)
	}
	return false, again, nil
}

// allowed returns how many accounts a cause may disable because an administrator accepted that
// number before saving.
func (r *run) allowed(cause string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cause != cycleCause+r.state.Cycle.ID {
		return 0
	}
	return r.state.Cycle.Allowed
}

// causeWords describes a cause in words.
func (r *run) causeWords(ctx context.Context, id string) (string, error) {
	if cycle, ok := strings.CutPrefix(id, cycleCause); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		if c := r.state.Cycle; c.ID == cycle && c.Why != "" {
			return strings.TrimSuffix(c.Why, "."), nil
		}
		return "A look at everyone", nil
	}
	info, err := r.source.Cause(ctx, id)
	if info.Words == "" {
		info.Words = "An import"
	}
	return info.Words, err
}
