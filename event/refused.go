package event

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// How many refusals stand in the audit trail. Whoever has no session can ask as often as they like, so rows are bounded: of one
// kind in one scope, and over everything. What is left out is counted, and the count is written.
const (
	refusedAtOnce    = 20          // rows of one kind in one scope
	refusedEvery     = time.Minute // then one in so long
	refusedAllAtOnce = 200         // rows over everything
	refusedFlush     = time.Second
)

// Refused gathers events of requests that were refused: links that do not open, pages without a session or the right to them. It
// keeps a bounded number and counts the others, and writes in the background, so that a refusal waits for nothing.
type Refused struct {
	Recorder Recorder
	Now      func() time.Time
	Failed   func(error) // told of rows that could not be written; they are tried again

	mu      sync.Mutex
	waiting []Event
	crowds  map[crowd]*bucket
	all     bucket
}

// crowd is what is bounded together.
type crowd struct {
	scope Scope
	name  string
}

// bucket holds the right to write rows, which comes back with time.
type bucket struct {
	used  int       // of what may be written at once
	since time.Time // when used was right
	out   int       // how many were left out
	first time.Time // the first that was
}

// refill gives back what time has given.
func (b *bucket) refill(now time.Time) {
	back := int(now.Sub(b.since) / refusedEvery)
	if back <= 0 && !now.Before(b.since) {
		return
	}
	if b.used = max(0, b.used-back); b.used == 0 || now.Before(b.since) {
		b.since = now
		return
	}
	b.since = b.since.Add(time.Duration(back) * refusedEvery)
}

// take says whether one more row may be written, and counts it.
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

// Add keeps an event for the next flush, or counts it.
func (r *Refused) Add(ctx context.Context, e Event) {
	e.Attribute(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	e.Time = now
	b := r.bucket(crowd{e.Scope, e.Name}, now)
	if !r.take(b, now) {
		if b.out++; b.out == 1 {
			b.first = now
		}
		return
	}
	r.waiting = append(r.waiting, e)
}

func (r *Refused) bucket(c crowd, now time.Time) *bucket {
	if r.crowds == nil {
		r.crowds = map[crowd]*bucket{}
	}
	b := r.crowds[c]
	if b == nil {
		b = &bucket{since: now}
		r.crowds[c] = b
	}
	return b
}

// summaries adds a row for each count that may be written, and forgets crowds that are over.
func (r *Refused) summaries() {
	now := r.Now()
	for c, b := range r.crowds {
		if b.out == 0 {
			if b.refill(now); b.used == 0 {
				delete(r.crowds, c)
			}
			continue
		}
		if !r.take(b, now) {
			continue
		}
		r.waiting = append(r.waiting, Event{
			Time: now, Scope: c.scope, Name: c.name, By: Actor{Kind: Anybody}, Data: DataOf(Refusals{LeftOut: b.out}),
			Text: fmt.Sprintf("%d more like this were refused since %s and are not listed", b.out, b.first.UTC().Format(time.DateTime)+" UTC"),
		})
		b.out = 0
	}
}

// Flush writes what is gathered. What could not be written stays, as far as the bounds allow.
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
			r.bucket(crowd{e.Scope, e.Name}, e.Time).out++
		}
		r.waiting = r.waiting[:refusedAllAtOnce]
	}
	return fmt.Errorf("write %d events of refused requests: %w", len(rows), err)
}

// Run flushes once a second until ctx ends, and once more then.
func (r *Refused) Run(ctx context.Context) error {
	tick := time.NewTicker(refusedFlush)
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
