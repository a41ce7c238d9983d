package retention

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// PruneLease and RemovalLease are the kinds of two leases of package runner, and LeaseKey is the key
// of both. The server that holds the first prunes. The server that holds the second removes the rows
// of deleted sites, directories and applications.
const (
	PruneLease   = "prune"
	RemovalLease = "removal"
	LeaseKey     = "all"
)

const (
	pruneInterval = time.Hour       // the time from the end of pruning to the start of the next pruning
	sliceDuration = 8 * time.Second // how long one call of Advance works before it returns, so that the lease can be released
)

// Store keeps the policy and removes old rows.
type Store interface {
	// Policy returns the numbers of days that an operator has set. It leaves out the kinds for
	// which the default holds.
	Policy(ctx context.Context) (Policy, error)
	// SetPolicy stores a policy, together with the event that records the change.
	SetPolicy(ctx context.Context, p Policy, e event.Event) error
	// Prune removes the entries of a kind that are older than cutoff, a few at a time, until none
	// is left or the machine's clock reaches end. done is true when none is left. A zero end is no
	// limit.
	Prune(ctx context.Context, k Kind, cutoff, end time.Time) (removed int, done bool, err error)
	// Count returns how many entries Prune would remove.
	Count(ctx context.Context, k Kind, cutoff time.Time) (int, error)
	// Pruned returns the time before which Prune has removed the entries of a kind from one log. It
	// returns the zero time if Prune has removed none. owner names the log, in the form that
	// [Owner] returns.
	Pruned(ctx context.Context, k Kind, owner string) (time.Time, error)
	// Remove removes rows of deleted sites, directories and applications, a few at a time, until
	// none is left or the machine's clock reaches end.
	Remove(ctx context.Context, end time.Time) (removed int, done bool, err error)
	// Reclaim gives free space of the database back to the file system, a little at a time, until
	// only a reserve is left or the machine's clock reaches end.
	Reclaim(ctx context.Context, end time.Time) (pages int, done bool, err error)
}

// Owner returns the name that Store.Pruned has for the log of an owner. ids are the id of a site
// for its request log, the ids of a directory and an application for a provisioning log, or the
// kind and the id of a scope for events.
func Owner(ids ...string) string { return strings.Join(ids, "/") }

// Pruner removes entries that are older than the policy allows.
type Pruner struct {
	Store Store
	Now   func() time.Time
	Log   *slog.Logger
}

// Policy returns for how long each kind is kept: the operator's number of days, or the default.
func (p *Pruner) Policy(ctx context.Context) (Policy, error) {
	set, err := p.Store.Policy(ctx)
	if err != nil {
		return nil, fmt.Errorf("read retention: %w", err)
	}
	policy := Default()
	for k := range policy {
		if days, found := set[k]; found {
			policy[k] = days
		}
	}
	return policy, nil
}

// Set changes how long some kinds are kept, and returns the whole policy. It returns
// refusal.Invalid for an invalid number of days.
func (p *Pruner) Set(ctx context.Context, change Policy, actor string) (Policy, error) {
	old, err := p.Policy(ctx)
	if err != nil {
		return nil, err
	}
	next := Policy{}
	for k, days := range old {
		next[k] = days
	}
	text := ""
	var changes []event.Change
	for _, k := range Kinds() {
		days, found := change[k]
		if !found || days == old[k] {
			continue
		}
		next[k] = days
		changes = append(changes, event.Changed(string(k), DaysInWords(old[k]), DaysInWords(days)))
		text += fmt.Sprintf(" %s: kept %s instead of %s.", k, DaysInWords(days), DaysInWords(old[k]))
	}
	if err := next.validate(); err != nil {
		return nil, err
	}
	if text == "" {
		return old, nil
	}
	err = p.Store.SetPolicy(ctx, next, event.Event{
		Time: p.Now(), Scope: event.Installation(), Name: event.RetentionChanged, Actor: actor, Text: "Retention changed." + text, Data: event.DataOf(nil, changes...),
	})
	if err != nil {
		return nil, fmt.Errorf("set retention: %w", err)
	}
	return next, nil
}

// Before returns the time before which the policy removes entries of a kind now. It returns the
// zero time if they are kept forever.
func (p *Pruner) Before(policy Policy, k Kind) time.Time {
	if policy[k] == Forever {
		return time.Time{}
	}
	return p.Now().AddDate(0, 0, -policy[k])
}

// Advance prunes for a few seconds. It returns the time at which it must be called again.
func (p *Pruner) Advance(ctx context.Context, _ string, _ int64) (next time.Time, err error) {
	end := time.Now().Add(sliceDuration)
	done, err := p.prune(ctx, end, func(k Kind, removed int) {
		p.Log.Info("pruned", "kind", string(k), "rows", removed)
	})
	switch {
	case err != nil:
		return time.Time{}, err
	case !done:
		return p.Now(), nil
	}
	if done, err = p.reclaim(ctx, end); err != nil {
		return time.Time{}, err
	}
	if !done {
		return p.Now(), nil
	}
	return p.Now().Add(pruneInterval), nil
}

// AdvanceRemovals removes rows of deleted sites, directories and applications for a few seconds. It
// returns the time at which it must be called again, or the zero time when nothing is left to
// remove.
func (p *Pruner) AdvanceRemovals(ctx context.Context, _ string, _ int64) (next time.Time, err error) {
	end := time.Now().Add(sliceDuration)
	removed, done, err := p.Store.Remove(ctx, end)
	if removed > 0 {
		p.Log.Info("removed rows of what was deleted", "rows", removed)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("remove what was deleted: %w", err)
	}
	if done {
		if done, err = p.reclaim(ctx, end); err != nil {
			return time.Time{}, err
		}
	}
	if !done {
		return p.Now(), nil
	}
	return time.Time{}, nil
}

// reclaim gives free space of the database back to the file system, and stops at the time end. done
// is true when nothing is left to give back.
func (p *Pruner) reclaim(ctx context.Context, end time.Time) (done bool, err error) {
	pages, done, err := p.Store.Reclaim(ctx, end)
	if pages > 0 {
		p.Log.Info("gave space back", "pages", pages)
	}
	if err != nil {
		return false, fmt.Errorf("give space back: %w", err)
	}
	return done, nil
}

// PruneAll prunes every kind now, without a limit on time. It returns how many entries it removed.
func (p *Pruner) PruneAll(ctx context.Context) (removed map[Kind]int, err error) {
	removed = map[Kind]int{}
	if _, err = p.prune(ctx, time.Time{}, func(k Kind, n int) { removed[k] += n }); err != nil {
		return removed, err
	}
	_, err = p.reclaim(ctx, time.Time{})
	return removed, err
}

// prune removes entries that are older than the policy allows. It calls tell with the number of
// removed entries of each kind, unless that number is 0. It stops at the time end; a zero end means
// no limit. done is true when nothing is left to remove.
func (p *Pruner) prune(ctx context.Context, end time.Time, tell func(k Kind, removed int)) (done bool, err error) {
	policy, err := p.Policy(ctx)
	if err != nil {
		return false, err
	}
	for _, k := range Kinds() {
		before := p.Before(policy, k)
		if before.IsZero() {
			continue
		}
		removed, done, err := p.Store.Prune(ctx, k, before, end)
		if removed > 0 {
			tell(k, removed)
		}
		if err != nil {
			return false, fmt.Errorf("prune %s: %w", k, err)
		}
		if !done {
			return false, nil
		}
	}
	return true, nil
}

// Count returns how many entries of each kind PruneAll would remove.
func (p *Pruner) Count(ctx context.Context) (counts map[Kind]int, err error) {
	policy, err := p.Policy(ctx)
	if err != nil {
		return nil, err
	}
	counts = map[Kind]int{}
	for _, k := range Kinds() {
		before := p.Before(policy, k)
		if before.IsZero() {
			continue
		}
		if counts[k], err = p.Store.Count(ctx, k, before); err != nil {
			return nil, fmt.Errorf("count %s: %w", k, err)
		}
	}
	return counts, nil
}

// Retention says how long the entries of a log are kept, and the time before which entries have
// been removed. Pages show it.
type Retention struct {
	Days  int       // the number of days of the policy; may be Forever
	Since time.Time // entries before this time have been removed; zero if none has been removed yet
}

// RetentionOf returns how long entries of a kind are kept, and the time before which the entries of
// an owner's log have been removed.
func (p *Pruner) RetentionOf(ctx context.Context, k Kind, owner string) (Retention, error) {
	policy, err := p.Policy(ctx)
	if err != nil {
		return Retention{}, err
	}
	since, err := p.Store.Pruned(ctx, k, owner)
	if err != nil {
		return Retention{}, fmt.Errorf("read how far %s are pruned: %w", k, err)
	}
	return Retention{Days: policy[k], Since: since}, nil
}
