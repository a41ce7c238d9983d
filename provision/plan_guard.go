package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

const (
	codeOnHold   = "OnHold" // our own codes
	codeRejected = "Rejected"

	onHoldAdvice   = "Approve or reject it: page On hold, or rollcall provision held."
	rejectedReason = "Somebody rejected this operation. It is looked at again when the person changes, or another import or change of settings concerns them."
)

// planGuard judges a plan's operations that take access away, as the guard of a cycle does.
type planGuard struct {
	initial bool
	causes  map[string][]PlannedObject // of operations that are to be counted
}

// takes judges a planned operation. It reports whether the operation has to wait until all are known.
func (g *planGuard) takes(w *work, o *PlannedObject, origins map[string]Origin) (waits bool) {
	if !w.takesAway() || w.known.Takes && w.known.Verdict == Ready {
		return false
	}
	cause := w.known.Cause
	switch w.known.Verdict {
	case OnHold:
		if !g.initial || cause != "" {
			o.Result, o.Code, o.Reason, o.Advice = Skipped, codeOnHold, "This operation is on hold until somebody decides.", onHoldAdvice
			return false
		}
	case Rejected:
		if !g.initial {
			o.Result, o.Code, o.Reason, o.Advice = Skipped, codeRejected, rejectedReason, ""
			return false
		}
		cause = ""
	}
	if cause == "" && g.initial {
		cause = cycleCause
	}
	if cause == "" {
		cause = origins[w.known.ObjectID].Cause
	}
	if cause == "" {
		return false
	}
	g.causes[cause] = append(g.causes[cause], *o)
	return true
}

// allowedNext returns how many accounts the initial cycle that comes next, or is under way, may disable
// because an administrator was asked before.
func (r *run) allowedNext() int {
	switch {
	case r.state.LookAtAll != r.job.LookAtAll:
		return int(r.job.Confirmed - r.state.Confirmed)
	case r.state.Phase != Idle:
		return r.state.Cycle.Allowed
	}
	return r.state.Allowed
}

// finish visits the operations that had to be counted.
func (g *planGuard) finish(ctx context.Context, r *run, visit func(PlannedObject) error) error {
	if len(g.causes) == 0 {
		return nil
	}
	counts, err := r.e.Store.Counts(ctx, r.job.Key)
	if err != nil {
		return err
	}
	held, err := r.e.Store.HeldCauses(ctx, r.job.Key, OnHold)
	if err != nil {
		return err
	}
	for _, cause := range slices.Sorted(maps.Keys(g.causes)) {
		j := Judgement{Accounts: Tally{Count: len(g.causes[cause]), Active: counts.Active}}
		accounts := &j.Accounts
		if cause == cycleCause {
			accounts.Allowed = r.allowedNext()
		}
		for _, h := range held {
			if h.ID == cause {
				accounts.OnHold, accounts.Active = h.Count-h.Members, max(counts.Active, h.Links)
			}
		}
		j.Judge()
		for _, o := range g.causes[cause] {
			if accounts.Held {
				o.Result, o.Code, o.Advice = Skipped, codeOnHold, onHoldAdvice
				o.Reason = fmt.Sprintf("It will be on hold: %d operations of one cause disable or delete, of %d active accounts, and more than %d are not sent unasked.", accounts.Total(), accounts.Active, accounts.limit())
			}
			if err := visit(o); err != nil {
				return err
			}
		}
	}
	return nil
}
