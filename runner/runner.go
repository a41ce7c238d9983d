package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Leases stores which process holds the lease of each key, and when each key is due. While another
// owner holds the lease, Claim returns an error with the method Holder() (owner string, until
// time.Time). After another owner has taken the lease over, Renew and Release return an error with
// a method LeaseLost() that returns true.
type Leases interface {
	// Claim takes the lease of a key for the time ttl, and returns the new epoch of the key.
	Claim(ctx context.Context, kind, key, owner string, ttl time.Duration) (epoch int64, err error)
	// Renew extends a lease, so that it expires after the time ttl.
	Renew(ctx context.Context, kind, key, owner string, epoch int64, ttl time.Duration) error
	// Release gives a lease back. The key is due again at nextAt. If nextAt is zero, the key is due
	// only after Wake.
	Release(ctx context.Context, kind, key, owner string, epoch int64, nextAt time.Time) error
	// Due returns up to limit keys that are due and whose lease no owner holds. DueEpochs returns
	// the same keys, each with the epoch of its last claim.
	Due(ctx context.Context, kind string, now time.Time, limit int) ([]string, error)
	DueEpochs(ctx context.Context, kind string, now time.Time, limit int) (map[string]int64, error)
	// Held returns the keys whose leases the owner holds.
	Held(ctx context.Context, kind, owner string) ([]string, error)
	// Epoch returns the epoch of the last claim of a key, or 0 if the key was never claimed.
	Epoch(ctx context.Context, kind, key string) (int64, error)
	// Wake makes a key due at once.
	Wake(ctx context.Context, kind, key string) error
}

// Runner runs the slices for all keys of one kind of work. Set its fields before Run, and do not
// change them afterwards.
type Runner struct {
	Kind   string // the kind of work, such as "job" or "searchable"; leases are taken by kind and key
	Leases Leases
	// Advance does one slice of work for a key, and should return after at most ten seconds. It
	// passes the epoch of the lease to its writes, so that they fail if another process has taken
	// the lease since. It returns the time at which the key is due again. A past time means at
	// once, and the zero time means that only Wake makes the key due. Advance must do nothing if it
	// is called for a key without work.
	Advance func(ctx context.Context, key string, epoch int64) (next time.Time, err error)
	// Owner is the name of this process in leases. On SQLite it is the same after a restart, and no
	// two running processes share it. On PostgreSQL every process has its own.
	Owner string
	// Pool is the pool with which River distributes the slices across processes. It is nil on
	// SQLite. It is also nil for rare work; each process then looks for due keys itself.
	Pool *pgxpool.Pool

	// The fields below are optional, and have defaults.
	Log        *slog.Logger
	Now        func() time.Time
	Workers    int           // how many slices this process may run at the same time; default 4
	TTL        time.Duration // how long a lease lasts unless it is renewed; default 20 s
	LookEvery  time.Duration // how often the runner looks for due keys; default 1 s
	SliceLimit time.Duration // how long a slice may run before it is stopped; default 25 s
	Grace      time.Duration // how long Run waits for slices after its context ends, before it stops them; default 15 s
	RetryAfter time.Duration // how long to wait before a failed slice is tried again, if Advance returned no time; default 30 s

	makeWoken sync.Once     // makes the channel woken, once
	woken     chan struct{} // a buffered channel; LookNow sends to it, so that Run looks for due keys at once
}

// Wake makes a key due at once, and makes Run look for it. It may be called before Run, and in a
// process that never calls Run. In that case, the process that runs slices finds the key within
// LookEvery.
func (r *Runner) Wake(ctx context.Context, key string) error {
	if err := r.Leases.Wake(ctx, r.Kind, key); err != nil {
		return fmt.Errorf("wake %s %s: %w", r.Kind, key, err)
	}
	r.LookNow()
	return nil
}

// Run runs slices for due keys until ctx ends. Then it starts no further slices, waits for the
// running slices, releases their leases and returns nil. It returns an error if River does not
// start or stop.
func (r *Runner) Run(ctx context.Context) error {
	if r.Pool != nil {
		return r.runRiver(ctx)
	}
	return r.runLocally(ctx)
}

// LookNow makes Run look for due keys at once.
func (r *Runner) LookNow() {
	select {
	case r.wakeChannel() <- struct{}{}:
	default: // the channel is full, so Run will look for due keys anyway
	}
}

// wakeChannel returns the channel woken. The first call makes it.
func (r *Runner) wakeChannel() chan struct{} {
	r.makeWoken.Do(func() { r.woken = make(chan struct{}, 1) })
	return r.woken
}

// lookRegularly calls find at once, then every LookEvery and after each LookNow, until ctx ends.
func (r *Runner) lookRegularly(ctx context.Context, find func()) {
	tick := time.NewTicker(cmp.Or(r.LookEvery, time.Second))
	defer tick.Stop()
	for ctx.Err() == nil {
		find()
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-r.wakeChannel():
		}
	}
}

// runSlice runs one slice of a key, unless another owner holds the key. It reports whether it ran a
// slice.
func (r *Runner) runSlice(ctx context.Context, key string) bool {
	epoch, err := r.Leases.Claim(ctx, r.Kind, key, r.Owner, r.ttl())
	if holder, ok := errors.AsType[leaseHeldError](err); ok {
		owner, until := holder.Holder()
		r.log().Debug("another process works on it", "kind", r.Kind, "key", key, "owner", owner, "until", until)
		return false
	}
	if err != nil {
		r.log().Error("claim the lease", "kind", r.Kind, "key", key, "error", err)
		return false
	}
	next, err := r.advance(ctx, key, epoch)
	if err != nil && !isLeaseLost(err) {
		next = r.retryTime(ctx, key, next, err)
	}
	if !isLeaseLost(err) {
		// Release the lease even while this process is shutting down.
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = r.Leases.Release(release, r.Kind, key, r.Owner, epoch, next)
	}
	switch {
	case isLeaseLost(err):
		r.log().Warn("another process has taken over", "kind", r.Kind, "key", key, "epoch", epoch)
	case err != nil:
		r.log().Error("release the lease", "kind", r.Kind, "key", key, "error", err)
	}
	return true
}

// These are the errors of Leases: another owner holds the lease, or has taken it over.
type (
	leaseHeldError interface {
		error
		Holder() (owner string, until time.Time)
	}
	leaseLostError interface {
		error
		LeaseLost() bool
	}
)

func isLeaseLost(err error) bool {
	e, ok := errors.AsType[leaseLostError](err)
	return ok && e.LeaseLost()
}

// retryTime returns the time at which the key of a failed slice is due again. next is the time that
// Advance returned with the error err. If the slice was stopped because this process ends,
// retryTime returns the present time. Otherwise it returns a time at least one second later, so
// that a slice that always fails does not keep the machine busy.
func (r *Runner) retryTime(ctx context.Context, key string, next time.Time, err error) time.Time {
	if ctx.Err() != nil {
		r.log().Info("stopped in the middle of a slice", "kind", r.Kind, "key", key, "error", err)
		return r.now()
	}
	if next.IsZero() {
		next = r.now().Add(cmp.Or(r.RetryAfter, 30*time.Second))
	} else if soon := r.now().Add(time.Second); next.Before(soon) {
		next = soon
	}
	r.log().Error("advance", "kind", r.Kind, "key", key, "next", next, "error", err)
	return next
}

// advance calls Advance and renews the lease while it runs. If the lease is lost, it cancels the
// context of Advance.
func (r *Runner) advance(ctx context.Context, key string, epoch int64) (next time.Time, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	limit := cmp.Or(r.SliceLimit, 25*time.Second)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("stopped after %s: a slice of work has to be shorter", limit))
	defer cancel()
	var renewing sync.WaitGroup
	renewing.Go(func() { stop(r.renew(ctx, key, epoch)) })
	defer renewing.Wait()
	defer stop(nil)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil && errors.Is(err, ctx.Err()) {
			err = context.Cause(ctx)
		}
	}()
	return r.Advance(ctx, key, epoch)
}

// renew renews the lease regularly until ctx ends. It returns an error if another owner has taken
// the lease over, or if no renewal has succeeded for the time TTL.
func (r *Runner) renew(ctx context.Context, key string, epoch int64) error {
	tick := time.NewTicker(r.ttl() / 4)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := r.Leases.Renew(ctx, r.Kind, key, r.Owner, epoch, r.ttl())
		if isLeaseLost(err) {
			return err
		}
		if err == nil {
			renewed = time.Now()
			continue
		}
		if time.Since(renewed) > r.ttl() {
			return fmt.Errorf("the lease could not be renewed: %w", err)
		}
	}
}

func (r *Runner) ttl() time.Duration   { return cmp.Or(r.TTL, 20*time.Second) }
func (r *Runner) grace() time.Duration { return cmp.Or(r.Grace, 15*time.Second) }
func (r *Runner) workers() int         { return cmp.Or(r.Workers, 4) }

func (r *Runner) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

func (r *Runner) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}
