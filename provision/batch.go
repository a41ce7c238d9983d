package provision

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// batch takes people through all steps: evaluate together, write down the
// creates, export together, record. wait is set when the target asks for a pause
// or refuses everything.
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
	// From here on requests change the target: what was begun is finished and
	// recorded, also when the process is asked to stop.
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

// each runs f for works with bounded concurrency and waits for all of them.
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

// evaluateAll returns the works of the people it got to until a time, or until the
// target refuses everybody. The rest of the slice is for exporting them.
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

// evaluate reads one object and decides what is to be done about it.
func (r *run) evaluate(ctx context.Context, p *pass, known Pending) (*work, error) {
	o, err := r.readObject(ctx, known.ObjectID)
	if err != nil {
		return nil, err
	}
	return p.evaluate(ctx, o, known, r.e.Now())
}

// problem is what went wrong with a person, nil if nothing did.
func (w *work) problem() *TargetError { return problemOf(w.decision, w.result) }

// intend writes creates down before the first of them is sent.
func (r *run) intend(ctx context.Context, works []*work) error {
	var ops []Op
	now := r.e.Now()
	for _, w := range works {
		w.entry.ID, w.entry.ChangeID = r.e.NewID(), r.e.NewID()
		if d, creating := w.decision.(create); creating {
			op := Op{ObjectID: w.known.ObjectID, ID: w.entry.ChangeID, Keys: d.keys, Sent: now, Cycle: r.state.Cycle.ID}
			ops = append(ops, op)
			w.known.Op, w.known.resolved = &op, false
		}
	}
	if len(ops) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return r.e.Store.Intend(ctx, r.fence, ops)
}

// exportAll sends what was decided. What it does not get to is left pending; its
// intents are taken back, since nothing was sent.
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

// throttledCreate says whether the target asked for a pause when it was sent a create.
func (w *work) throttledCreate() bool {
	no, failed := w.result.(refused)
	_, creating := w.decision.(create)
	return failed && creating && no.problem.Kind == Throttled
}

// holdCreates puts creates off while the target wants none.
func (r *run) holdCreates(works []*work, now time.Time) {
	until := r.state.Creates.Until
	for _, w := range works {
		if _, creating := w.decision.(create); creating && now.Before(until) {
			w.decision = later{until: until}
		}
	}
}

// maxCreatePauses is how many pauses in a row people wait for an account before
// that is a failure of theirs: an application without free seats may answer with
// 429 for good.
const maxCreatePauses = 5

// pauseCreates deals with creates that the target throttled. Whoever else there is
// goes on: an application that takes no new people may still let old ones go.
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

// defaultPause is the pause after a 429 that names none.
const defaultPause = 30 * time.Second

// general says whether a failure makes it pointless to go on before the connection
// was tested: it is not about this person, or each one more costs a time-out.
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

// suspicious says whether a failure may be that of the whole connection.
func suspicious(te *TargetError) bool {
	switch te.Kind {
	case Throttled, Credentials, Unreachable, Incompatible, Transient:
		return true
	}
	return te.Status == http403
}

// http403 without importing an HTTP package: a target that switched SCIM off
// refuses every request with it.
const http403 = 403

// judge tells failures of the connection from failures of people: if the
// connection test fails too, nobody's failure is recorded and the job waits.
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

// postpone leaves a failure that is not the person's for later.
func (w *work) postpone(until time.Time) {
	if no, failed := w.result.(refused); failed {
		if _, creating := w.decision.(create); creating {
			w.known.resolved = !no.mayHaveHappened
		}
	}
	w.decision, w.result = later{until: until}, unsent{}
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

// conclude makes what is to be recorded of a work that has ended.
func (w *work) conclude(now time.Time, cycle string) Outcome {
	o := settle(w.decision, w.result, w.known, now)
	s, skipped := w.decision.(skip)
	if !o.Postpone.IsZero() || skipped && s.telling == silent {
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
		c.Skipped++ // it is no news
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
