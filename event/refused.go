package event

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits on the rows about refused requests in the audit trail. They are needed because callers
// without a session can send any number of requests. One limit is for the rows with one name in one
// scope, the other for all rows together. Beyond the limits, Refused only counts the refusals and
// writes their number.
const (
	refusedAtOnce     = 20          // the number of rows with one name in one scope that may be written at once
	refusedEvery      = time.Minute // after refusedAtOnce rows, one more row with that name may be written in each period of this length
	refusedAllAtOnce  = 200         // the number of rows in all scopes together that may be written at once
	refusedFlushEvery = time.Second // how often Run flushes
)

// Refused collects the events of refused requests: sign-in links that do not open, and pages for
// which the caller has no session or no right. It keeps a limited number of events in memory and
// counts the others. It writes in the background, so that no request waits for the disk.
type Refused struct {
	Recorder Recorder
	Now      func() time.Time
	Failed   func(error) // called with the error of a failed flush; the next flush tries again

	mu        sync.Mutex
	waiting   []Event                  // the events for the next flush
	groups    map[refusalGroup]*bucket // the limit for each group
	allGroups bucket                   // the limit for all groups together
}

// refusalGroup is a group of refusals that share a limit.
type refusalGroup struct {
	scope Scope
	name  string // the name of the events
}

// bucket counts the written rows of one group of refusals, or of all groups, to limit them. It is a
// token bucket: time lowers the count, so that more rows may be written.
type bucket struct {
	used         int       // the number of rows that were written, reduced over time
	usedAt       time.Time // the time at which used was last updated
	leftOut      int       // the number of refusals for which no row was written
	firstLeftOut time.Time // the time of the first refusal for which no row was written
}

// refill lowers used by the number of rows that the time since usedAt allows again.
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

// allowRow reports whether one more row may be written according to a group's bucket and the bucket
// of all groups. If so, it counts the row in both.
func (r *Refused) allowRow(b *bucket, now time.Time) bool {
	b.refill(now)
	r.allGroups.refill(now)
	if b.used >= refusedAtOnce || r.allGroups.used >= refusedAllAtOnce {
		return false
	}
	b.used++
	r.allGroups.used++
	return true
}

// Add keeps an event for the next flush. If too many rows were written, it only counts the event.
func (r *Refused) Add(ctx context.Context, e Event) {
	e.FillFrom(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	e.Time = now
	b := r.bucket(refusalGroup{e.Scope, e.Name}, now)
	if !r.allowRow(b, now) {
		if b.leftOut++; b.leftOut == 1 {
			b.firstLeftOut = now
		}
		return
	}
	r.waiting = append(r.waiting, e)
}

// bucket returns the token bucket of a group of refusals. If the group has none yet, bucket makes a
// full one.
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

// addSummaries adds one event for each group that has refusals without a row, if a row may be
// written now. The event says how many there are. addSummaries deletes a group that has no such
// refusals and whose bucket is full again.
func (r *Refused) addSummaries() {
	now := r.Now()
	for c, b := range r.groups {
		if b.leftOut == 0 {
			if b.refill(now); b.used == 0 {
				delete(r.groups, c)
			}
			continue
		}
		if !r.allowRow(b, now) {
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
	r.addSummaries()
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

// Run flushes once a second until ctx ends. Then it flushes once more.
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
