package event

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of refusals in the audit trail. Callers without a session can send any number of requests,
// so the rows are limited: those of one kind in one scope, and all together. Refused counts the
// rest and writes the count.
const (
	refusedAtOnce     = 20          // rows of one kind in one scope, before refusedEvery applies
	refusedEvery      = time.Minute // after this time, one more row of that kind is written
	refusedAllAtOnce  = 200         // rows of all kinds in all scopes
	refusedFlushEvery = time.Second
)

// Refused collects the events of refused requests: links that do not open, and pages for which the
// caller has no session or no right. It keeps a limited number, counts the others, and writes in
// the background, so that no refusal waits for the disk.
type Refused struct {
	Recorder Recorder
	Now      func() time.Time
	Failed   func(error) // called with the error if rows could not be written; they are tried again

	mu      sync.Mutex
	waiting []Event
	groups  map[refusalGroup]*bucket
	all     bucket
}

// refusalGroup is a group of refusals that share a limit.
type refusalGroup struct {
	scope Scope
	name  string
}

// bucket holds how many rows may still be written. The number grows back with time.
type bucket struct {
	used         int       // rows written, less those that time has given back
	usedAt       time.Time // the time for which used is right
	leftOut      int       // refusals that got no row
	firstLeftOut time.Time // the time of the first refusal that got no row
}

// refill lowers used, because more rows are allowed as time passes.
func (b *bucket) refill(now time.Time) {
	back := int(now.Sub(b.usedAt) / refusedEvery)
	if back <= 0 && !now.Before(b.usedAt) {
		return
	}
	if b.used = max(0, b.used-back); b.used == 0 || now.Before(b.usedAt) {
		b.usedAt = now
		return
	}
	b.usedAt = b.usedAt.Add(time.Duration(back) * refusedEvery)
}

// take reports whether one more row may be written, and counts it.
func (r *Refused) take(b *bucket, now time.Time) bool {
	b.refill(now)
	r.all.refill(now)
	if b.used >= refusedAtOnce || r.all.used >= refusedAllAtOnce {
		return false
	}
	b.used++
	r.all.used++
	return true
}

// Add keeps an event for the next flush, or only counts it.
func (r *Refused) Add(ctx context.Context, e Event) {
	e.Attribute(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	e.Time = now
	b := r.bucket(refusalGroup{e.Scope, e.Name}, now)
	if !r.take(b, now) {
		if b.leftOut++; b.leftOut == 1 {
			b.firstLeftOut = now
		}
		return
	}
	r.waiting = append(r.waiting, e)
}

func (r *Refused) bucket(c refusalGroup, now time.Time) *bucket {
	if r.groups == nil {
		r.groups = map[refusalGroup]*bucket{}
	}
	b := r.groups[c]
	if b == nil {
		b = &bucket{usedAt: now}
		r.groups[c] = b
	}
	return b
}

// summaries adds a row for each count that may be written, and forgets the groups that have nothing
// left to count.
func (r *Refused) summaries() {
	now := r.Now()
	for c, b := range r.groups {
		if b.leftOut == 0 {
			if b.refill(now); b.used == 0 {
				delete(r.groups, c)
			}
			continue
		}
		if !r.take(b, now) {
			continue
		}
		r.waiting = append(r.waiting, Event{
			Time: now, Scope: c.scope, Name: c.name, By: Actor{Kind: Anybody}, Data: DataOf(Refusals{LeftOut: b.leftOut}),
			Text: fmt.Sprintf("%d more like this were refused since %s and are not listed", b.leftOut, b.firstLeftOut.UTC().Format(time.DateTime)+" UTC"),
		})
		b.leftOut = 0
	}
}

// Flush writes the collected events. If writing fails, it keeps them for the next flush, within the
// limits.
func (r *Refused) Flush(ctx context.Context) error {
	r.mu.Lock()
	r.summaries()
	rows := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	slices.SortStableFunc(rows, func(a, b Event) int { return strings.Compare(a.Scope.ID, b.Scope.ID) })
	err := r.Recorder.Record(ctx, rows...)
	if err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting = append(rows, r.waiting...); len(r.waiting) > refusedAllAtOnce {
		for _, e := range r.waiting[refusedAllAtOnce:] {
			r.bucket(refusalGroup{e.Scope, e.Name}, e.Time).leftOut++
		}
		r.waiting = r.waiting[:refusedAllAtOnce]
	}
	return fmt.Errorf("write %d events of refused requests: %w", len(rows), err)
}

// Run flushes once a second until ctx ends, and once more then.
func (r *Refused) Run(ctx context.Context) error {
	tick := time.NewTicker(refusedFlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return r.Flush(last)
		case <-tick.C:
			if err := r.Flush(ctx); err != nil && ctx.Err() == nil && r.Failed != nil {
				r.Failed(err)
			}
		}
	}
}
