package provision

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// leaseTime is how long a job stays claimed if its process dies in RunCycle.
	leaseTime = 45 * time.Second
	// claimPatience is how long a server may need to check a job that has nothing to do, or to
	// release a job after its work.
	claimPatience = 2 * time.Second
)

// HeldError is the error of a claim while another process works on the job.
type HeldError struct {
	Owner string    // the other process
	Until time.Time // when the claim of the other process ends, unless it is renewed
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is working on this job; its claim lasts until %s unless renewed", e.Owner, e.Until.UTC().Format(time.RFC3339))
}

// RunCycle runs one cycle in this process, whether or not the job's status is On. It continues an
// interrupted cycle, or starts a new one. It calls visit with each log entry after it is recorded,
// never twice at the same time. The error is a *HeldError if another process works on the job, an
// *InputError if the job is not set up, and a *TargetError if the connection does not work.
func (e *Engine) RunCycle(ctx context.Context, k Key, owner string, visit func(LogEntry) error) (CycleReport, error) {
	return e.RunWatched(ctx, k, owner, visit, nil)
}

// RunWatched is like RunCycle. Each time it has to wait, it also calls waits with the cycle so far,
// the time at which it continues, and the reason. waits may be nil.
func (e *Engine) RunWatched(ctx context.Context, k Key, owner string, visit func(LogEntry) error, waits func(r CycleReport, until time.Time, why string)) (CycleReport, error) {
	epoch, err := e.claim(ctx, k, owner)
	if err != nil {
		return CycleReport{}, err
	}
	next := e.Now() // after an error, any process may work on the job at once
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
		if err := e.Leases.Release(release, LeaseKind, k.String(), owner, epoch, next); err != nil && !lost(err) {
			e.Log.Error("release lease", "job", k.String(), "error", err)
		}
	}()
	report, next, err := e.cycle(ctx, k, epoch, visit, waits, func() error {
		return e.Leases.Renew(ctx, LeaseKind, k.String(), owner, epoch, leaseTime)
	})
	return report, err
}

// claim claims a job. If another process holds it, claim retries for a while, because that process
// may only be checking the job.
func (e *Engine) claim(ctx context.Context, k Key, owner string) (epoch int64, err error) {
	again := time.NewTicker(claimPatience / 20)
	defer again.Stop()
	patience, cancel := context.WithTimeout(ctx, claimPatience)
	defer cancel()
	for {
		epoch, err = e.Leases.Claim(ctx, LeaseKind, k.String(), owner, leaseTime)
		if err == nil {
			return epoch, nil
		}
		var other *HeldError
		if err = asHeldError(err); !errors.As(err, &other) {
			return 0, err
		}
		select {
		case <-again.C:
		case <-patience.Done():
			return 0, errors.Join(ctx.Err(), err)
		}
	}
}

func asHeldError(err error) error {
	var h interface {
		Holder() (owner string, until time.Time)
	}
	if errors.As(err, &h) {
		owner, until := h.Holder()
		return &HeldError{Owner: owner, Until: until}
	}
	return fmt.Errorf("claim job: %w", err)
}

// cycle advances a job slice by slice until a cycle has ended. It also returns when the next cycle
// begins.
func (e *Engine) cycle(ctx context.Context, k Key, epoch int64, visit func(LogEntry) error, waits func(CycleReport, time.Time, string), renew func() error) (CycleReport, time.Time, error) {
	before, first := "", true
	for {
		r, err := e.open(ctx, k, epoch)
		if err != nil {
			return CycleReport{}, e.Now(), err
		}
		if r.job.Mode != Automatic {
			return CycleReport{}, time.Time{}, &InputError{Field: "Provisioning Mode", Text: "is Manual; save the Admin Credentials with Automatic first"}
		}
		if first {
			before, first = r.state.lastCycle(), false
		}
		r.visit, r.forced = visit, true
		next, err := r.advance(ctx)
		if err != nil {
			return r.state.Cycle, e.Now(), err
		}
		if q := r.state.Quarantine; q != nil {
			return r.state.Cycle, next, &TargetError{Kind: Unreachable, Code: q.Code, Status: q.Status, Detail: q.Message, Advice: q.Advice, Request: q.Evidence}
		}
		// If a change of settings has ended the cycle, wait for the cycle that follows.
		if s := r.state; s.Phase == Idle && s.lastCycle() != before && s.Last.State != Failed {
			return *s.Last, next, nil
		}
		if waits != nil && next.After(e.Now()) {
			why, err := r.whyWaits(ctx)
			if err != nil {
				return r.state.Cycle, e.Now(), err
			}
			waits(r.state.Cycle, next, why)
		}
		if err := e.waitAndRenew(ctx, next, renew); err != nil {
			return r.state.Cycle, e.Now(), err
		}
	}
}

// whyWaits says in words what the job waits for.
func (r *run) whyWaits(ctx context.Context) (string, error) {
	if r.e.Now().Before(r.state.Cooldown) {
		return "The application asked for a pause.", nil
	}
	waits, err := r.e.Store.CountWaiting(ctx, r.job.Key)
	for _, w := range waits {
		if w.Reason != "" {
			return w.Reason, err
		}
	}
	return inLine, err
}

// lastCycle returns the id of the last cycle that ended; "" if there was none.
func (s State) lastCycle() string {
	if s.Last == nil {
		return ""
	}
	return s.Last.ID
}

// waitAndRenew waits until a job may continue. It renews the job's lease in the meantime.
func (e *Engine) waitAndRenew(ctx context.Context, until time.Time, renew func() error) error {
	for {
		if err := renew(); err != nil {
			return err
		}
		wait := min(until.Sub(e.Now()), leaseTime/3)
		if wait <= 0 {
			return ctx.Err()
		}
		self := e.goroutines().self()
		select {
		case <-e.after()(wait):
			e.goroutines().turn(self)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
