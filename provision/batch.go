package provision

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// batch takes people through all steps: it evaluates all of them, records the creates, exports all
// of them and records the outcomes. wait is set if the target asks for a pause or refuses
// everything.
func (r *run) batch(ctx context.Context, pending []Pending) (wait time.Time, err error) {
	p := r.pass()
	now := r.e.Now()
	works, err := r.evaluateAll(ctx, p, pending, now.Add(r.end.Sub(now)/2))
	if err != nil {
		return time.Time{}, err
	}
	for _, w := range works {
		p.claim(w)
	}
	r.holdCreates(works, r.e.Now())
	// From here on requests change the target. Finish and record what was begun, even if the
	// process is asked to stop.
	firm := context.WithoutCancel(ctx)
	if err := r.intend(firm, works); err != nil {
		return time.Time{}, err
	}
	r.exportAll(ctx, p, works)
	r.pauseCreates(works, r.e.Now())
	systemic := r.judge(firm, works)
	if err := r.record(firm, works); err != nil {
		return time.Time{}, err
	}
	switch {
	case systemic == nil:
		return time.Time{}, nil
	case systemic.Kind == Throttled:
		return r.coolDown(firm, systemic)
	}
	return r.quarantine(firm, systemic)
}

// each runs f for n works with bounded concurrency and waits until all have ended.
func (r *run) each(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(r.e.workers(), n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// evaluateAll evaluates people until a time, or until the target refuses everyone, and returns
// their works. The rest of the slice is left for exporting them.
func (r *run) evaluateAll(ctx context.Context, p *pass, pending []Pending, until time.Time) ([]*work, error) {
	works, errs := make([]*work, len(pending)), make([]error, len(pending))
	var halt atomic.Bool
	r.each(len(pending), func(i int) {
		if halt.Load() || ctx.Err() != nil || i >= r.e.workers() && !r.e.Now().Before(until) {
			return
		}
		works[i], errs[i] = r.evaluate(ctx, p, pending[i])
		if errs[i] != nil || general(works[i].problem()) {
			halt.Store(true)
		}
	})
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, err
	}
	begun := works[:0]
	for _, w := range works {
		if w != nil {
			begun = append(begun, w)
		}
	}
	return begun, nil
}

// evaluate reads one object and decides what to do about it.
func (r *run) evaluate(ctx context.Context, p *pass, known Pending) (*work, error) {
	o, err := r.readObject(ctx, known.ObjectID)
	if err != nil {
		return nil, err
	}
	return p.evaluate(ctx, o, known, r.e.Now())
}

// problem returns what went wrong with a person, or nil.
func (w *work) problem() *TargetError { return problemOf(w.decision, w.result) }

// intend records the creates before the first of them is sent.
func (r *run) intend(ctx context.Context, works []*work) error {
	var ops []Op
	var updates []string
	now := r.e.Now()
	for _, w := range works {
		w.entry.ID, w.entry.ChangeID = r.e.NewID(), r.e.NewID()
		if d, creating := w.decision.(create); creating {
			op := Op{ObjectID: w.known.ObjectID, ID: w.entry.ChangeID, Keys: d.keys, Sent: now, Times: w.known.creates() + 1, Cycle: r.state.Cycle.ID}
			ops = append(ops, op)
			w.known.Op, w.known.resolved = &op, false
		}
		if _, updating := w.decision.(patch); updating {
			updates = append(updates, w.known.ObjectID)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	if len(ops) > 0 {
		if err := r.e.Store.Intend(ctx, r.fence, ops); err != nil {
			return err
		}
	}
	if len(updates) == 0 {
		return nil
	}
	// If the process dies now, the next one reads these accounts before it compares anything with
	// them.
	for _, id := range updates {
		if !slices.Contains(r.state.InFlight, id) {
			r.state.InFlight = append(r.state.InFlight, id)
		}
	}
	return r.e.Store.SaveState(ctx, r.fence, r.state, nil)
}

// exportAll sends what was decided. Works that it does not get to stay pending. Their recorded
// creates are withdrawn, because nothing was sent.
func (r *run) exportAll(ctx context.Context, p *pass, works []*work) {
	firm := context.WithoutCancel(ctx)
	until := r.end.Add(exportGrace)
	var halt, haltCreates atomic.Bool
	r.each(len(works), func(i int) {
		w := works[i]
		_, creating := w.decision.(create)
		if !requests(w.decision) || halt.Load() || creating && haltCreates.Load() || ctx.Err() != nil || !r.e.Now().Before(until) {
			return
		}
		p.export(firm, w, r.e.Now())
		switch te := w.problem(); {
		case w.throttledCreate():
			haltCreates.Store(true)
		case general(te):
			halt.Store(true)
		}
	})
}

// throttledCreate reports whether the target asked for a pause in answer to a create.
func (w *work) throttledCreate() bool {
	no, failed := w.result.(refused)
	_, creating := w.decision.(create)
	return failed && creating && no.problem.Kind == Throttled
}

// holdCreates postpones creates while the target accepts none.
func (r *run) holdCreates(works []*work, now time.Time) {
	until := r.state.Creates.Until
	for _, w := range works {
		if _, creating := w.decision.(create); creating && now.Before(until) {
			w.decision = later{until: until}
		}
	}
}

// maxCreatePauses is how many pauses in a row a person waits for an account. After that it counts
// as the person's failure: an application without free seats may answer with 429 permanently.
const maxCreatePauses = 5

// pauseCreates handles creates that the target throttled. Other work continues: an application that
// takes no new people may still accept changes for existing ones.
func (r *run) pauseCreates(works []*work, now time.Time) {
	var refusal *TargetError
	for _, w := range works {
		if w.throttledCreate() && (refusal == nil || refusal.RetryAfter < w.problem().RetryAfter) {
			refusal = w.problem()
		}
		if _, made := w.result.(done); made && actionOf(w.decision) == Create {
			r.state.Creates = CreatePause{}
		}
	}
	if refusal == nil {
		return
	}
	c := &r.state.Creates
	c.Times++
	c.Until = now.Add(orDefault(refusal.RetryAfter, defaultPause))
	for _, w := range works {
		_, creating := w.decision.(create)
		_, open := w.result.(unsent)
		switch {
		case !creating || !open && !w.throttledCreate():
		case c.Times > maxCreatePauses:
			w.result = refused{problem: refusal}
		default:
			w.known.resolved = w.known.resolved || open // nothing was sent
			w.postpone(c.Until)
		}
	}
}

// defaultPause is the pause after a 429 that does not say how long to wait.
const defaultPause = 30 * time.Second

// general reports whether to test the connection before going on after a failure: either the
// failure is not about this person, or each further request would cost a time-out.
func general(te *TargetError) bool {
	if te == nil {
		return false
	}
	switch te.Kind {
	case Throttled, Credentials, Unreachable:
		return true
	}
	return te.Kind == Transient && te.Status == 0
}

// suspicious reports whether a failure may concern the whole connection.
func suspicious(te *TargetError) bool {
	switch te.Kind {
	case Throttled, Credentials, Unreachable, Incompatible, Transient:
		return true
	}
	return te.Status == http403
}

// http403 avoids importing an HTTP package. A target that has switched SCIM off refuses every
// request with it.
const http403 = 403

// judge separates failures of the connection from failures of people. If the connection test fails
// too, it records no one's failure and the job waits.
func (r *run) judge(ctx context.Context, works []*work) *TargetError {
	var suspects []*work
	var systemic *TargetError
	for _, w := range works {
		te := w.problem()
		if te == nil || !suspicious(te) || w.throttledCreate() {
			continue
		}
		suspects = append(suspects, w)
		if te.Kind == Throttled && (systemic == nil || systemic.RetryAfter < te.RetryAfter) {
			systemic = te
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	if systemic == nil {
		systemic = asProblem(r.testAgain(ctx))
	}
	if systemic == nil {
		return nil
	}
	for _, w := range suspects {
		if systemic.Kind == Throttled && w.problem().Kind != Throttled {
			continue
		}
		w.postpone(r.e.Now())
	}
	return systemic
}

// postpone reschedules a work whose failure is not about the person.
func (w *work) postpone(until time.Time) {
	next := later{until: until}
	if no, failed := w.result.(refused); failed {
		if _, creating := w.decision.(create); creating {
			w.known.resolved = !no.mayHaveHappened
		}
		next.pair = no.pair
	}
	w.decision, w.result = next, unsent{}
}

// record writes all outcomes of a batch in one transaction.
func (r *run) record(ctx context.Context, works []*work) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	now := r.e.Now()
	outcomes := make([]Outcome, 0, len(works))
	for _, w := range works {
		o := w.conclude(now, r.state.Cycle.ID)
		outcomes = append(outcomes, o)
		r.count(o)
	}
	r.state.InFlight = slices.DeleteFunc(r.state.InFlight, func(id string) bool {
		return slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.ObjectID == id })
	})
	r.state.Dialect = r.target.Dialect()
	if err := r.e.Store.Record(ctx, r.fence, r.state, outcomes); err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.Entry != nil {
			if err := r.show(o.Entry); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) show(entry *LogEntry) error {
	if r.visit == nil {
		return nil
	}
	return r.visit(*entry)
}

// conclude returns the outcome to record for a work that has ended.
func (w *work) conclude(now time.Time, cycle string) Outcome {
	o := settle(w.decision, w.result, w.known, now)
	s, skipped := w.decision.(skip)
	if !o.Postpone.IsZero() && !isDone(w.result) || skipped && s.telling == silent {
		return o
	}
	o.Entry, o.Counted = w.report(now, cycle), skipped && s.telling == counted
	return o
}

// count adds an outcome to the cycle's numbers.
func (r *run) count(o Outcome) {
	if !o.Postpone.IsZero() {
		return
	}
	c := &r.state.Cycle
	c.Read++
	if o.Entry == nil {
		c.Skipped++ // a skip that is not reported
		return
	}
	switch o.Entry.Status.Status {
	case Failure:
		c.Failed++
	case Skipped:
		c.Skipped++
		if o.Counted {
			c.Redundant++
		}
	case Success:
		switch o.Entry.Action {
		case Create:
			c.Created++
		case Update:
			c.Updated++
		case Disable:
			c.Disabled++
		case Delete:
			c.Deleted++
		}
	}
}
