package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

const (
	codeOnHold   = "OnHold"   // our own code for an operation that is on hold
	codeRejected = "Rejected" // our own code for an operation that an administrator rejected
	// codeTakesAccess is our own code for an operation that a plan of a schedule leaves out.
	codeTakesAccess = "TakesAccess"

	onHoldAdvice      = "Approving a plan sends it, too. In a cycle it waits until somebody approves or rejects it: page On hold, or rollcall provision held."
	takesAccessReason = "The operation takes access away. A schedule does not send it: another plan has it, and waits for a person."
	rejectedReason    = "Somebody rejected this operation. It is looked at again when the person changes, or another import or change of settings concerns them."
)

// planGuard judges a plan's operations that take access away, in the way that the guard of a cycle
// does.
type planGuard struct {
	initial bool                          // whether the plan is for an initial cycle
	changed map[string]bool               // objects that have changed; for an initial cycle, only the people who lost access
	causes  map[string][]waitingOperation // operations to count, by cause
	members map[string][]endingMembership // removals of members to count, by cause
	judged  map[string]*Judgement         // the counted operations of each cause, by cause
}

// waitingOperation is an operation that waits until all operations of its cause are known.
type waitingOperation struct {
	o           PlannedObject // the operation
	consequence consequence   // the consequence of the operation if it is let through
}

// decidedAnew reports whether a change of the object cancels an earlier verdict on its operation.
func (g *planGuard) decidedAnew(w *work, origins map[string]Origin) bool {
	id := w.known.ObjectID
	return g.changed[id] && (w.known.Verdict == Rejected || origins[id].RemovesAccess)
}

// causeOf returns the cause of an object's change, or "" for a single change.
func (g *planGuard) causeOf(w *work, origins map[string]Origin) string {
	switch {
	case g.decidedAnew(w, origins):
	case w.known.Cause != "" && w.known.Verdict != Rejected:
		return w.known.Cause
	case g.initial && !w.known.removalFailed():
		return cycleCause
	}
	if w.p.job.Rules == RulesEntra {
		return cycleCause // the plan is for the next cycle
	}
	return origins[w.known.ObjectID].Cause
}

// keepForJudgement judges a planned operation o that may take access away. If the operation is on
// hold or rejected, keepForJudgement changes o to say so. waits reports whether the operation has
// to wait until all operations of its cause are known; then keepForJudgement keeps the operation
// with its consequence c.
func (g *planGuard) keepForJudgement(w *work, o *PlannedObject, c consequence, origins map[string]Origin) (waits bool) {
	if !w.takesAway() || w.known.Takes && w.known.Verdict == Ready {
		return false
	}
	switch anew := g.decidedAnew(w, origins); {
	case anew:
	case w.known.Verdict == OnHold:
		if !g.initial || w.known.Cause != "" {
			o.Result, o.Code, o.Reason, o.Advice = Skipped, codeOnHold, "This operation is on hold until somebody decides.", onHoldAdvice
			return false
		}
	case w.known.Verdict == Rejected:
		if !g.initial {
			o.Result, o.Code, o.Reason, o.Advice = Skipped, codeRejected, rejectedReason, ""
			return false
		}
	}
	cause := g.causeOf(w, origins)
	if cause == "" {
		return false
	}
	c.needsNoGuard = true
	g.causes[cause] = append(g.causes[cause], waitingOperation{o: *o, consequence: c})
	return true
}

// confirmedDisablesOfNextCycle returns how many accounts the current or next initial cycle may
// disable because an administrator accepted that number before.
func (r *run) confirmedDisablesOfNextCycle() int {
	switch {
	case r.state.LookAtAll != r.job.LookAtAll:
		return r.job.confirmedSince(r.state.Confirmed)
	case r.state.Phase != Idle:
		return r.state.Cycle.Allowed
	}
	return r.state.Allowed
}

// judgeAccounts judges the operations that wait for their causes, cause by cause, and shows them.
func (g *planGuard) judgeAccounts(ctx context.Context, f *forecast) error {
	for _, cause := range slices.Sorted(maps.Keys(g.causes)) {
		j, err := g.judgement(ctx, f.r, cause)
		if err != nil {
			return err
		}
		accounts := &j.Accounts
		accounts.Count = len(g.causes[cause])
		j.Judge()
		for _, waiting := range g.causes[cause] {
			o := waiting.o
			if accounts.Held {
				f.failed[o.ObjectID] = true
				o.Result, o.Code, o.Advice = Skipped, codeOnHold, onHoldAdvice
				o.Reason = fmt.Sprintf("It will be on hold: %d operations of one cause disable or delete, of %d active accounts, and more than %d are not sent unasked.", accounts.Total(), accounts.Active, accounts.limit())
				if accounts.Total() <= accounts.limit() {
					o.Reason = fmt.Sprintf("It will be on hold: %d operations disable or delete, after %d of other causes in the last 24 hours, of %d active accounts, and more than %d are not sent unasked.", accounts.Total(), accounts.Recent, accounts.Active, accounts.limit())
				}
			} else {
				f.recordConsequence(waiting.consequence)
			}
			if err := f.visit(o); err != nil {
				return err
			}
		}
	}
	g.causes = nil
	return nil
}

// judgeMembers judges the removals of members that were left to the guard, cause by cause, and
// shows them by group.
func (g *planGuard) judgeMembers(ctx context.Context, f *forecast) error {
	for _, cause := range slices.Sorted(maps.Keys(g.members)) {
		j, err := g.judgement(ctx, f.r, cause)
		if err != nil {
			return err
		}
		all := g.members[cause]
		j.Members.Count = len(all)
		j.Judge()
		for len(all) > 0 {
			var removed []PlannedMember
			first := all[0]
			for len(all) > 0 && all[0].group == first.group && len(removed) < membersPage {
				removed = append(removed, PlannedMember{ObjectID: all[0].member})
				all = all[1:]
			}
			o := f.plannedMembers(first.group, first.name, nil, removed)
			o.TargetID = first.target
			if j.Members.Held {
				o.Result, o.Code, o.Advice = Skipped, codeOnHold, onHoldAdvice
				o.Reason = fmt.Sprintf("They will be on hold with %d removals of members of one cause, of %d memberships.", j.Members.Total(), j.Members.Active)
			}
			if err := f.show(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// judgement returns the counts of a cause: the counts that the store has, and the operations of the
// plan that were counted before. The callers add further operations.
func (g *planGuard) judgement(ctx context.Context, r *run, cause string) (*Judgement, error) {
	if j := g.judged[cause]; j != nil {
		return j, nil
	}
	counts, err := r.e.Store.Counts(ctx, r.job.Key)
	if err != nil {
		return nil, err
	}
	held, err := r.e.Store.HeldCauses(ctx, r.job.Key, OnHold)
	if err != nil {
		return nil, err
	}
	j := &Judgement{Accounts: Tally{Active: counts.Active}, Members: Tally{Active: counts.Members}}
	recent, err := r.e.Store.PassedUnasked(ctx, r.job.Key, cause, r.e.Now().Add(-GuardWindow))
	if err != nil {
		return nil, err
	}
	c := CauseToJudge{ID: cause, Rules: r.job.Rules, Threshold: r.job.DeleteThreshold}
	if cause == cycleCause {
		c.Allowed = r.confirmedDisablesOfNextCycle()
	}
	c.SetLimits(j, recent)
	for _, h := range held {
		if h.ID == cause {
			j.Accounts.OnHold, j.Accounts.Active = h.Count-h.Members, max(j.Accounts.Active, h.Links)
			j.Members.OnHold, j.Members.Active = h.Members, max(j.Members.Active, h.Memberships)
		}
	}
	if g.judged == nil {
		g.judged = map[string]*Judgement{}
	}
	g.judged[cause] = j
	return j, nil
}
