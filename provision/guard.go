package provision

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// The guard holds what would take access away from too many people by mistake. It counts the
// operations that disable or delete by their cause: one import, or one look at everyone after a
// change of settings. They wait until all changes of the cause are on the work list. If they are
// more than the limit, all of them are held until somebody approves or rejects them. Everything else
// goes on. Single changes have no cause and are never held.
//
// Members that a cause removes from groups are counted beside them, of all memberships. If accounts
// of the cause are on hold, so are its removals of members.
//
// A row of the work list has a verdict and may take access away only if the guard has seen it:
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
	Late     Verdict = "late"     // the same, found after the cause was listed
	OnHold   Verdict = "held"     // somebody has to decide
	Rejected Verdict = "rejected" // somebody decided that nothing is sent
)

// Origin is where a change of an object comes from.
type Origin struct {
	Cause string // the id of the import that made it; "" if it is a single change
	Takes bool   // the change itself takes access away, such as a deletion
}

// CauseInfo is what a source knows of an import.
type CauseInfo struct {
	Words string
	Seen  time.Time // when the cause last wrote something
}

// cycleCause is how the id of the cause begins that an initial cycle is.
const cycleCause = "cycle-"

// importSilence is how long after its last transaction an import counts as ended, although it has
// not said so: its process was killed.
const importSilence = time.Minute

// Keeps says which verdicts of a row survive when it is listed again.
type Keeps struct {
	Held, Judging, ImportJudging, Rejected, Free bool
}

// JudgedCause is a cause with rows that are to be judged.
type JudgedCause struct {
	ID       string
	Judging  int
	Late     int
	Complete bool // no change of it follows
}

// Judgement is the outcome of counting a cause.
type Judgement struct {
	Accounts Tally // operations that disable or delete accounts or groups, of the active links
	Members  Tally // removals of members of groups, of all memberships
}

// Tally counts what one cause takes away of one kind.
type Tally struct {
	Count   int  // what is judged now
	Passed  int  // what was let through earlier
	OnHold  int  // what was put on hold earlier
	Allowed int  // what an administrator has agreed to, when asked before the change was saved
	Active  int  // how many of the kind there are, or were when the cause was first judged
	Held    bool // what is judged now is put on hold
}

// Total returns everything that the cause takes away of this kind.
func (t Tally) Total() int { return t.Count + t.Passed + t.OnHold }

func (t *Tally) judge() { t.Held = t.Count > 0 && t.Total() > t.limit() }

// limit returns how many of them are sent without approval.
func (t Tally) limit() int { return max(limit(t.Active), t.Allowed) }

// limit returns how many operations of one cause may take access away without approval. active is
// how many accounts, or memberships, there are.
func limit(active int) int { return min(500, max(5, active/10)) }

// Judge decides about what is counted.
func (j *Judgement) Judge() {
	j.Accounts.judge()
	j.Members.judge()
	if j.Members.Count > 0 && (j.Accounts.Held || j.Accounts.OnHold > 0) {
		j.Members.Held = true
	}
}

// Held reports whether anything is put on hold.
func (j Judgement) Held() bool { return j.Accounts.Held || j.Members.Held }

// First reports whether nothing of the cause was on hold before.
func (j Judgement) First() bool { return j.Accounts.OnHold+j.Members.OnHold == 0 }

// OnHoldAfter returns how many are on hold after the judgement.
func (t Tally) OnHoldAfter() int {
	if t.Held {
		return t.OnHold + t.Count
	}
	return t.OnHold
}

// PassedAfter returns how many were let through, the judgement included.
func (t Tally) PassedAfter() int {
	if t.Held {
		return t.Passed
	}
	return t.Passed + t.Count
}

// words says what is on hold.
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

// guard fills in what the guard needs to know of an object that is listed.
func (r *run) guard(l *Listed, o *Object, from Origin) {
	switch l.Why {
	case ByCycle:
		l.Cause = r.cycleCause()
		l.Keeps = Keeps{Held: true, ImportJudging: true, Free: true}
	case ByChange:
		l.Cause = from.Cause
		l.Keeps = Keeps{Held: true, Judging: from.Cause == "", Free: true}
		if from.Takes {
			l.Keeps = Keeps{}
		}
	default: // nothing is known about a change; a worker finds out
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

// verdict returns the verdict of a row that is listed.
func (l Listed) verdict() Verdict {
	switch {
	case !l.Takes || l.Cause == "":
		return Ready
	case l.Turn != 0:
		return Late
	}
	return Judging
}

// Verdict returns the verdict of a row that is listed.
func (l Listed) Verdict() Verdict { return l.verdict() }

// whyLeaves says in words why an object should lose its account, or its use.
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
	_, clauses, _ := m.filter.admits(attributes) //nolint:errcheck // a person who fails by it leaves nothing
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

// holdsBack returns the row as it is listed again for the guard, if a decision takes access away
// although the guard has not seen it. Then nothing is sent. A person who is provisioned on demand is
// never held back: another person looks at the result.
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
	if listed.Cause == "" {
		// The directory may know a cause that was not imported yet. If so, the row has another turn after
		// this, and stays as it is.
		if err := l.r.catchUp(ctx); err != nil {
			return nil, err
		}
	}
	return &listed, nil
}

// catchUp imports all changes that the directory has now.
func (r *run) catchUp(ctx context.Context) error {
	r.importing.acquire(r.e.goroutines())
	defer r.importing.release()
	if err := r.catchUpGroups(ctx); err != nil {
		return err
	}
	for r.phase() == Changes {
		if err := r.importPage(ctx); err != nil {
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

// judge decides about the causes that are complete. Rows that were found late wait until nobody is
// left to be looked at: then all of them are known. It reports whether it decided anything.
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
		// The changes of groups have a position of their own, which may be behind that of people.
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

// complete reports whether all changes of a cause are on the work list, and otherwise when to look
// again.
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

// judgeable reports whether a cause can be judged now, and otherwise when to look again.
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

// allowed returns how many accounts a cause may disable because an administrator was asked before.
func (r *run) allowed(cause string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cause != cycleCause+r.state.Cycle.ID {
		return 0
	}
	return r.state.Cycle.Allowed
}

// causeWords returns a cause in words for people.
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
