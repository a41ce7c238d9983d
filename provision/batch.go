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
	// From here on requests change the target: what was begun is finished and
	// recorded, also when the process is asked to stop.
	firm := context.WithoutCancel(ctx)
	if err := r.intend(firm, works); err != nil {
		return time.Time{}, err
	}
	r.exportAll(ctx, p, works)
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
		works[i], errs[i] = p.evaluate(ctx, pending[i])
		if errs[i] != nil || works[i].problem != nil && general(works[i].problem) {
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

// intend writes creates down before the first of them is sent.
func (r *run) intend(ctx context.Context, works []*work) error {
	var ops []Op
	now := r.e.Now()
	for _, w := range works {
		if w.verdict == toCreate {
			w.intended = true
			ops = append(ops, Op{ObjectID: w.known.ObjectID, ID: w.entry.ChangeID, Keys: w.keys, Sent: now, Cycle: r.state.Cycle.ID})
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
	var halt atomic.Bool
	r.each(len(works), func(i int) {
		w := works[i]
		if w.verdict == nothing {
			return
		}
		if halt.Load() || ctx.Err() != nil || !r.e.Now().Before(until) {
			created := w.verdict == toCreate
			w.postpone(r.e.Now())
			w.outcome.DropOp = created
			return
		}
		p.export(firm, w)
		if w.problem != nil && general(w.problem) {
			halt.Store(true)
		}
	})
}

// general says whether a failure makes it pointless to go on before the connection
// was tested: it is not about this person, or each one more costs a time-out.
func general(te *TargetError) bool {
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
		if w.problem == nil || !suspicious(w.problem) {
			continue
		}
		suspects = append(suspects, w)
		if w.problem.Kind == Throttled && (systemic == nil || systemic.RetryAfter < w.problem.RetryAfter) {
			systemic = w.problem
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
		if systemic.Kind == Throttled && w.problem.Kind != Throttled {
			continue
		}
		dropOp := w.outcome.DropOp
		w.problem = nil
		w.postpone(r.e.Now())
		w.outcome.DropOp = dropOp
	}
	return systemic
}

// record writes all outcomes of a batch in one transaction.
func (r *run) record(ctx context.Context, works []*work) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	now := r.e.Now()
	outcomes := make([]Outcome, 0, len(works))
	for _, w := range works {
		outcomes = append(outcomes, w.conclude(now, r.state.Cycle.ID))
		r.count(w)
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

// count adds a work to the cycle's numbers.
func (r *run) count(w *work) {
	if w.deferred {
		return
	}
	c := &r.state.Cycle
	c.Read++
	switch w.entry.Status.Status {
	case Failure:
		c.Failed++
	case Skipped:
		c.Skipped++
		if w.counted {
			c.Redundant++
		}
	case Success:
		switch w.entry.Action {
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
