package provision

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// The guard holds operations that would take access away from too many people by mistake. It counts
// the operations that disable or delete by their cause: one import, or one look at everyone after a
// change of settings. The operations wait until all changes of the cause are on the work list. If
// there are more operations than the limit allows, all of them are held until an administrator
// approves or rejects them. All other work continues. Single changes have no cause and are never
// held. The guard also counts the operations of other causes that it let through in the last 24
// hours without asking anybody. So many small imports cannot together exceed the limit.
//
// By Entra's rules (see Rules), the cause of each operation is the cycle, single changes included.
//
// The guard counts the members that a cause removes from groups separately, against the number of
// all memberships. If accounts of the cause are on hold, its removals of members are too.
//
// Each row of the work list has a verdict. A row with a cause may take access away only after the
// guard has judged the cause:
//
//	directory ─► list ─► judging ─► ready, takes ─► sent
//	                        │  ▲
//	                        ▼  │
//	                      held └── late: a worker found that the row takes access away
//	                        │
//	                        ▼
//	                    rejected: until the person changes or another cause arrives

// Verdict says whether a row of the work list may be worked on.
type Verdict string

// The verdicts.
const (
	Ready    Verdict = "ready"    // the row may be worked on
	Judging  Verdict = "judging"  // the operations of the row's cause are being counted
	Late     Verdict = "late"     // like Judging, but a worker found that the row takes access away
	OnHold   Verdict = "held"     // an administrator has to approve or reject the row
	Rejected Verdict = "rejected" // an administrator decided that nothing is sent for the row
)

// Origin is where a change of an object comes from.
type Origin struct {
	Cause         string // the id of the import that made the change; "" for a single change
	RemovesAccess bool   // whether the change itself takes access away, such as a deletion
}

// CauseInfo is what a source knows about an import.
type CauseInfo struct {
	Words string    // a description of the import
	Seen  time.Time // when the import last wrote something; zero if the source does not know the import
}

// cycleCause is the prefix of a cause's id if the cause is an initial cycle. In a plan it is the
// whole id.
const cycleCause = "cycle-"

// importSilence is the time without a transaction after which an import counts as ended, even if
// it has not said that it ended. Its process was probably killed.
const importSilence = time.Minute

// KeptVerdicts says which verdicts a row keeps when its object is put on the work list again.
type KeptVerdicts struct {
	Held          bool // whether the row keeps the verdict OnHold
	Judging       bool // whether it keeps the verdicts Judging and Late
	ImportJudging bool // whether it keeps the verdict Judging if its cause is an import
	Rejected      bool // whether it keeps the verdict Rejected
	Allowed       bool // whether it keeps the verdict Ready and its permission to take access away
}

// GuardWindow is the length of the period whose operations the guard counts together.
const GuardWindow = 24 * time.Hour

// CauseToJudge is a cause whose operations the guard judges.
type CauseToJudge struct {
	ID      string
	Words   string    // a description of the cause
	At      time.Time // when the cause is judged
	Allowed int       // how many accounts an administrator has agreed to disable
	Rules   Rules     // the rules of the job
	// Threshold is how many accounts and groups a cycle may disable or delete by Entra's rules. 0
	// means any number.
	Threshold int
}

// PassedUnasked counts the operations that the guard let through in the last 24 hours without
// asking anybody.
type PassedUnasked struct {
	Accounts    int // operations on accounts
	Members     int // removals of members
	Active      int // the largest number of active links when these operations were judged
	Memberships int // the largest number of memberships when these operations were judged
}

// SetLimits sets the fields of the judgement that, besides the number of the cause's own
// operations, decide whether they are put on hold. By Entra's rules, it sets a fixed limit. By
// Rollcall's rules, it sets the number that an administrator agreed to, and the operations in
// recent.
func (c CauseToJudge) SetLimits(j *Judgement, recent PassedUnasked) {
	if c.Rules == RulesEntra {
		j.Accounts.FixedLimit, j.Members.FixedLimit = c.Threshold, NoLimit
		if c.Threshold == 0 {
			j.Accounts.FixedLimit = NoLimit
		}
		return
	}
	j.Accounts.Allowed = max(j.Accounts.Allowed, c.Allowed)
	j.Accounts.Recent, j.Accounts.Active = recent.Accounts, max(j.Accounts.Active, recent.Active)
	j.Members.Recent, j.Members.Active = recent.Members, max(j.Members.Active, recent.Memberships)
}

// JudgedCause is a cause with rows that wait for the guard.
type JudgedCause struct {
	ID       string
	Judging  int  // how many rows have the verdict Judging
	Late     int  // how many rows have the verdict Late
	Complete bool // whether the source has reported that the cause makes no more changes
}

// Judgement is the result of counting the operations of one cause.
type Judgement struct {
	Accounts Tally // operations that disable or delete accounts or groups; their limit depends on the number of active links
	Members  Tally // removals of members of groups; their limit depends on the number of all memberships
}

// Tally counts the operations of one cause: either those on accounts or those on memberships.
type Tally struct {
	Count      int  // how many operations are judged now
	Recent     int  // how many operations of other causes were let through in the last 24 hours without asking anybody
	FixedLimit int  // the limit by Entra's rules; NoLimit if there is none; 0 for Rollcall's own limit
	Passed     int  // how many operations were let through earlier
	OnHold     int  // how many operations are on hold from earlier
	Allowed    int  // how many operations an administrator accepted before saving the change
	Active     int  // how many active links, or memberships, there are; never fewer than at an earlier judgement
	Held       bool // whether the operations that are judged now are put on hold
}

// Total returns how many operations of the cause take access away. Operations that an administrator
// has rejected do not count.
func (t Tally) Total() int { return t.Count + t.Passed + t.OnHold }

// judge decides whether the operations that are judged now are put on hold.
func (t *Tally) judge() {
	t.Held = t.Count > 0 && t.Total() > t.Allowed && t.Total()+t.Recent > t.limit()
}

// limit returns how many operations of the cause, and of the last 24 hours, may take access away
// without approval. If there are more, all that are judged now are put on hold.
func (t Tally) limit() int {
	switch {
	case t.FixedLimit == NoLimit:
		return math.MaxInt
	case t.FixedLimit != 0:
		return t.FixedLimit
	}
	return max(limit(t.Active), t.Allowed)
}

// NoLimit is the value of Tally.FixedLimit if no number of operations is put on hold.
const NoLimit = -1

// Unasked returns how many of the operations judged now are let through without anybody having
// agreed to them.
func (t Tally) Unasked() int {
	if t.Held || t.Total() <= t.Allowed {
		return 0
	}
	return t.Count
}

// limit returns how many operations of one cause may take access away without approval, if no
// administrator accepted a number. active is how many active accounts, or memberships, there are.
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

// Recent returns how many operations of other causes, let through in the last 24 hours, are the
// reason why operations are on hold. It returns 0 if those of the cause are too many by themselves.
func (j Judgement) Recent() (n int) {
	for _, t := range []Tally{j.Accounts, j.Members} {
		if t.Held && t.Total() <= t.limit() {
			n += t.Recent
		}
	}
	return n
}

// words says in sentences how many operations are on hold after the judgement.
func (j Judgement) words() string {
	var parts []string
	if n := j.Accounts.OnHoldAfter(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d operations that disable or delete are on hold, of %d active accounts.", n, j.Accounts.Active))
	}
	if n := j.Members.OnHoldAfter(); n > 0 {
		parts = append(parts, fmt.Sprintf("%s on hold, of %d memberships.", countOf(n, "removal of a member is", "removals of members are"), j.Members.Active))
	}
	if n := j.Recent(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d of other causes were let through in the last 24 hours.", n))
	}
	return strings.Join(parts, " ")
}

// fillGuardFields fills in the fields of a listed object that the guard needs. o is the object, or
// nil if the source no longer has it. from is the origin of its change.
func (r *run) fillGuardFields(l *Listed, o *Object, from Origin) {
	switch l.Why {
	case ByCycle:
		l.Cause = r.cycleCause()
		l.KeptVerdicts = KeptVerdicts{Held: true, ImportJudging: true, Allowed: true}
	case ByChange:
		l.Cause = r.causeOf(from)
		l.KeptVerdicts = KeptVerdicts{Held: true, Judging: from.Cause == "", Allowed: true}
		if from.RemovesAccess {
			l.KeptVerdicts = KeptVerdicts{}
		}
	default: // a worker will find out whether the object takes access away
		l.Takes = false
		l.KeptVerdicts = KeptVerdicts{Held: true, Judging: true, Rejected: true, Allowed: true}
		return
	}
	if !l.Takes {
		l.KeptVerdicts = KeptVerdicts{}
		return
	}
	l.Reason = r.whyLeaves(o)
}

// verdict returns the verdict that the row gets when it is listed.
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

// causeOf returns the id of the cause of a change. By Entra's rules, it is always the cycle.
func (r *run) causeOf(from Origin) string {
	if r.job.Rules == RulesEntra {
		return r.cycleCause()
	}
	return from.Cause
}

// cycleCause returns the id of the current cycle as a cause.
func (r *run) cycleCause() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cycleCause + r.state.Cycle.ID
}

// takesAway reports whether the decision deletes an account, or disables an account that is not
// disabled yet.
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

// rowForGuard returns a row for the guard if the decision takes access away and the guard has not
// allowed this yet. The caller then lists that row and does not send the decision. Otherwise
// rowForGuard returns nil. It never holds back an object that is provisioned on demand, because the
// administrator who asked for that sees the result.
func (l *pipeline) rowForGuard(ctx context.Context, w *work) (*Listed, error) {
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
	case l.r.failedBefore(w.known.Pending), l.r.job.Rules == RulesEntra:
		listed.Cause = l.r.cycleCause()
	default:
		// The change may belong to a cause that is not imported yet. Importing the cause lists the
		// row again with a new Turn. Then the row returned here no longer applies.
		if err := l.r.importAllChanges(ctx); err != nil {
			return nil, err
		}
	}
	return &listed, nil
}

// failedBefore reports whether an initial cycle retries an object whose failed operation did not
// take access away. If the operation now takes access away, its cause is the initial cycle.
func (r *run) failedBefore(known Pending) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Phase != Idle && r.state.Cycle.Kind == InitialCycle && known.Why == ByRetry && !known.removalFailed()
}

// removalFailed reports whether the object is in the retry queue because disabling or deleting its
// account failed.
func (p Pending) removalFailed() bool { return p.Escrow != nil && p.Escrow.Lane == Leavers }

// errSliceIsOver is the error of an import that could not be finished in the current slice. What it
// imported is stored, and the next slice continues.
var errSliceIsOver = errors.New("the slice is over")

// checkSlice returns errSliceIsOver if the slice is over.
func (r *run) checkSlice() error {
	if r.e.Now().Before(r.sliceEnd) {
		return nil
	}
	return errSliceIsOver
}

// importAllChanges imports all changes that the directory has at this moment. The error is
// errSliceIsOver if the slice ends first.
func (r *run) importAllChanges(ctx context.Context) error {
	r.importing.acquire(r.e.goroutines())
	defer r.importing.release()
	if err := r.catchUpGroups(ctx); err != nil {
		return err
	}
	for r.phase() == Changes {
		if err := r.checkSlice(); err != nil {
			return err
		}
		if _, err := r.importPage(ctx); err != nil {
			return err
		}
	}
	for {
		// A page after which no more changes follow has all changes of this moment. Later ones do
		// not matter, and may never stop.
		found, err := r.importNews(ctx)
		if err != nil || !found || !r.hasMoreChanges {
			return err
		}
		if err := r.checkSlice(); err != nil {
			return err
		}
	}
}

// judge judges the causes whose changes are all on the work list. idle says that no object is left
// to work on. If all waiting rows of a cause are Late, judge judges the cause only if idle is true,
// because workers may still find more rows of that cause. did reports whether judge judged a cause,
// or imported changes of groups that must be listed first.
func (r *run) judge(ctx context.Context, idle bool) (did bool, err error) {
	all, err := r.e.Store.CausesToJudge(ctx, r.job.Key)
	if err != nil {
		return false, err
	}
	for _, c := range all {
		if c.Judging == 0 && !idle {
			continue
		}
		done, _, err := r.causeIsComplete(ctx, c)
		if err != nil {
			return did, err
		}
		if !done {
			continue
		}
		// Changes of groups have their own position, which may be behind the position for people.
		if before := r.groupsMark(); !did {
			err := r.catchUpGroups(ctx)
			if err != nil && !errors.Is(err, errSliceIsOver) {
				return false, err
			}
			if r.groupsMark() != before || err != nil {
				return true, nil
			}
		}
		words, err := r.causeWords(ctx, c.ID)
		if err != nil {
			return did, err
		}
		held := r.event(ctx, event.ProvisioningHeld, "")
		cause := CauseToJudge{ID: c.ID, Words: words, At: r.e.Now(), Allowed: r.confirmedDisables(c.ID), Rules: r.job.Rules, Threshold: r.job.DeleteThreshold}
		if err := r.e.Store.Judge(ctx, r.fence, cause, func(j Judgement) event.Event {
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

// causeIsComplete reports whether all changes of a cause are on the work list. If not, again is the
// time to look again; if again is zero, the import of the current cycle must continue first.
func (r *run) causeIsComplete(ctx context.Context, c JudgedCause) (done bool, again time.Time, err error) {
	if c.Complete {
		return true, time.Time{}, nil
	}
	if strings.HasPrefix(c.ID, cycleCause) {
		r.mu.Lock()
		defer r.mu.Unlock()
		importing := r.state.Phase.initial() || r.state.Phase == Changes && c.ID == cycleCause+r.state.Cycle.ID
		return r.state.Ready && !importing, time.Time{}, nil
	}
	if r.hasMoreChanges || r.phase() == Changes {
		return false, time.Time{}, nil // the rest of the import, and its end, may be among these changes
	}
	info, err := r.source.Cause(ctx, c.ID)
	if err != nil {
		return false, time.Time{}, fmt.Errorf("read cause %s: %w", c.ID, err)
	}
	again = info.Seen.Add(importSilence)
	return info.Seen.IsZero() || !r.e.Now().Before(again), again, nil
}

// canJudgeACause reports whether any cause can be judged now. If not, again is the time to look
// again; it is zero if no time is known.
func (r *run) canJudgeACause(ctx context.Context) (now bool, again time.Time, err error) {
	all, err := r.e.Store.CausesToJudge(ctx, r.job.Key)
	if err != nil {
		return false, time.Time{}, err
	}
	for _, c := range all {
		done, later, err := r.causeIsComplete(ctx, c)
		if err != nil || done {
			return done, time.Time{}, err
		}
		again = earliest(again, later)
	}
	return false, again, nil
}

// confirmedDisables returns how many accounts a cause may disable because an administrator accepted
// that number before saving a change. It is 0 if the cause is not the current initial cycle.
func (r *run) confirmedDisables(cause string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cause != cycleCause+r.state.Cycle.ID {
		return 0
	}
	return r.state.Cycle.Allowed
}

// causeWords returns a description of a cause, for messages.
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
