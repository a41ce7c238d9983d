package provision

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Entra's reasons for a quarantine after a cycle. By Entra's rules, a job in such a quarantine
// sends nothing until the next attempt.
const (
	reasonTooManyDeletes   = "TooManyDeletes"
	reasonEscrowProportion = "EncounteredEscrowProportionThreshold"
	reasonBaseEscrow       = "EncounteredBaseEscrowThreshold"
	reasonTotalEscrow      = "EncounteredTotalEscrowThreshold"
)

// isEntraReason reports whether a quarantine with this code began after a cycle by Entra's rules.
func isEntraReason(code string) bool {
	return slices.Contains([]string{reasonTooManyDeletes, reasonEscrowProportion, reasonBaseEscrow, reasonTotalEscrow}, code)
}

// entraGaps are the times between the attempts of a job in quarantine by Entra's rules. The last
// one repeats.
func entraGaps() []time.Duration {
	return []time.Duration{6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
}

// problemAfterCycle returns why the job goes into quarantine after the cycle c by Entra's rules. It
// returns nil if there is no reason, or if the job has Rollcall's rules.
func (r *run) problemAfterCycle(ctx context.Context, c CycleReport) (*TargetError, error) {
	if r.job.Rules != RulesEntra {
		return nil, nil
	}
	counts, err := r.e.Store.Counts(ctx, r.job.Key)
	if err != nil {
		return nil, err
	}
	if counts.OnHold > 0 {
		return &TargetError{
			Kind: Permanent, Code: reasonTooManyDeletes,
			Detail: fmt.Sprintf("%s on hold. By Entra's rules, a cycle disables or deletes no more than %d without asking.", countOf(counts.OnHold, "operation that disables or deletes is", "operations that disable or delete are"), r.job.DeleteThreshold),
			Advice: "Approve or reject the operations on the page On hold, or with rollcall provision held. Or correct the scope or the directory, and restart provisioning.",
		}, nil
	}
	failing, err := r.e.Store.CountFailing(ctx, r.job.Key)
	if err != nil {
		return nil, err
	}
	references := 0
	for _, f := range failing {
		if f.Lane == References || f.Lane == Memberships {
			references += f.Count
		}
	}
	references = min(references, c.Failed)
	reason := escrowReason(c.Failed-references, references, c.Read-c.Failed)
	if reason == "" {
		return nil, nil
	}
	return &TargetError{
		Kind: Permanent, Code: reason,
		Detail: fmt.Sprintf("%d of the %d objects of the last cycle failed. By Entra's rules, that is too many.", c.Failed, max(c.Read, c.Failed)),
		Advice: "The provisioning logs say why they failed. Correct that, and restart provisioning.",
	}, nil
}

// escrowReason returns Entra's reason for a quarantine because too many objects failed in a cycle.
// It returns "" if they are not too many. references is the number of failures of managers and
// members, failed the number of all other failures, and good the number of objects that did not
// fail. The limits are those of Entra's documentation of quarantine.
func escrowReason(failed, references, good int) string {
	switch {
	case failed+references >= 60_000:
		return reasonTotalEscrow
	case failed > 40_000:
		return reasonBaseEscrow
	case failed >= 5_000 && failed*100 > 40*(failed+max(good, 0)):
		return reasonEscrowProportion
	}
	return ""
}

// tryAfterDecision makes the next attempt due at once if the job is in quarantine because of too
// many deletions, and somebody has decided about all of them.
func (r *run) tryAfterDecision(ctx context.Context) error {
	q := r.state.Quarantine
	if q == nil || q.Code != reasonTooManyDeletes || !r.e.Now().Before(q.NextAttempt) {
		return nil
	}
	counts, err := r.e.Store.Counts(ctx, r.job.Key)
	if err == nil && counts.OnHold == 0 {
		q.NextAttempt = time.Time{}
	}
	return err
}
