package provision

import (
	"context"
	"fmt"
	"time"
)

// evaluate reads one object from the source and decides what to do with its account.
func (r *run) evaluate(ctx context.Context, p *pass, known Pending) (*work, error) {
	if account, is := AccountOfWork(known.ObjectID); is {
		return r.evaluateUnmanaged(ctx, p, account, known)
	}
	o, err := r.readObject(ctx, known.ObjectID)
	if err != nil {
		return nil, err
	}
	if known.Restore != nil {
		return r.evaluateUndo(ctx, p, o, known)
	}
	of := p.passFor(o, known)
	if of == nil {
		return p.leaveGroup(known, o), nil
	}
	return of.evaluate(ctx, o, known, r.e.Now())
}

// problem returns what went wrong with the person or group, or nil.
func (w *work) problem() *TargetError { return problemOf(w.decision, w.result) }

// affectsEveryone reports whether a failure would affect everyone. After it, the engine starts no
// other work until a connection test has succeeded.
func affectsEveryone(te *TargetError) bool { return te.Kind == Credentials || te.Kind == Unreachable }

// mayConcernConnection reports whether a failure may be about the whole connection instead of one
// object.
func mayConcernConnection(te *TargetError) bool {
	switch te.Kind {
	case Throttled, Credentials, Unreachable, Incompatible, Transient:
		return true
	}
	return te.Status == http403
}

// http403 is the status Forbidden; the constant saves the import of an HTTP package. A target where
// SCIM is switched off answers every request with it.
const http403 = 403

// postpone changes the decision to a later attempt, because the failure is not about the person.
// why says in words what the work waits for.
func (w *work) postpone(until time.Time, why string) {
	next := later{until: until}
	if no, failed := w.result.(refusedResult); failed {
		if _, creating := w.decision.(create); creating {
			w.known.resolved = !no.mayHaveHappened
		}
		next.pair = no.pair
	}
	w.decision, w.result, w.waits = next, unsentResult{}, why
}

// showEntry passes the entry to the function that watches the run, if there is one.
func (r *run) showEntry(entry *LogEntry) error {
	if r.visit == nil {
		return nil
	}
	r.shows.Lock()
	defer r.shows.Unlock()
	return r.visit(*entry)
}

// keepCreated makes the decision also store the account that was found for a create of unknown
// outcome, if the decision is to fail or to wait. Without that, only the create's intent would lead
// to the account.
func (w *work) keepCreated() {
	if w.known.Op == nil || !w.known.resolved || !w.newLink() || w.known.takes != "" {
		return
	}
	switch d := w.decision.(type) {
	case later:
		if d.pair == nil {
			d.pair = remember{*w.link}
		}
		w.decision = d
	case fail:
		if d.pair == nil {
			d.pair = remember{*w.link}
		}
		w.decision = d
	}
}

// keepRead makes the decision also store what a read has shown about an account, if the decision is
// to fail or to wait. It does so only if the last update may have been carried out, if nothing was
// known about the account's values, or if the account has other matching values than before. So the
// account can be found by the values that it has, and not only by those that it had before.
func (w *work) keepRead() {
	if w.current == nil || w.wasReadTooEarly || w.known.Link == nil || w.newLink() || w.known.takes != "" {
		return
	}
	l := *w.link
	w.remember(&l, nil, nil)
	if !w.doubted && w.known.Link.Wrote != nil && sameKeys(l.Keys, w.known.Link.Keys) {
		return
	}
	switch d := w.decision.(type) {
	case later:
		if d.pair == nil {
			d.pair = remember{l}
		}
		w.decision = d
	case fail:
		if d.pair == nil {
			d.pair = remember{l}
		}
		w.decision = d
	}
}

// conclude returns the outcome to record for finished work. cycle is the id of the cycle or plan.
func (w *work) conclude(now time.Time, cycle string) Outcome {
	w.keepCreated()
	w.keepRead()
	o := settle(w.decision, w.result, w.known, now)
	if w.unmanaged {
		o = o.withoutMemory()
	}
	o.Turn, o.WaitReason = w.known.Turn, w.waits
	o.OutcomeUnknown = (w.doubted && !w.endsDoubt(o) || w.deleting) && !o.Unlink
	if _, open := w.decision.(later); open {
		o.WaitReason = w.whyLater()
	}
	s, skipped := w.decision.(skip)
	if w.known.Why == ByDemand {
		s.report = logged // the administrator who asked for this waits for the result
	}
	if !o.Postpone.IsZero() && !isDone(w.result) || skipped && s.report == silent {
		return o
	}
	o.Entry, o.OnlyShown = w.completeLogEntry(now, cycle), skipped && s.report == counted
	return o
}

// endsDoubt reports whether the outcome records what an earlier update of unknown outcome has done.
// If nothing was recorded after the account was read, the account must be read again.
func (w *work) endsDoubt(o Outcome) bool {
	_, skipped := w.decision.(skip)
	return w.current != nil && !w.wasReadTooEarly && (o.Link != nil || skipped || isDone(w.result))
}

// whyLater says in words what postponed work waits for.
func (w *work) whyLater() string {
	d, _ := w.decision.(later)
	switch {
	case w.waits != "":
		return w.waits
	case d.awaits != nil:
		return fmt.Sprintf("It waits for %s, which the account of another person has until now.", d.awaits.Key.Path)
	}
	return "A create that was sent has no known outcome yet; the application is searched again."
}

// count adds an outcome to the numbers of the cycle. It ignores three kinds of outcomes: results
// about memberships, which countMembers counts, requests that are about to be sent, and objects
// that still wait.
func (c *CycleReport) count(o Outcome) {
	if _, members := groupOf(o.ObjectID); members || !o.Postpone.IsZero() && o.Entry == nil || o.Intent != nil || o.AboutToSend {
		return
	}
	c.Read++
	if o.Entry == nil {
		c.Skipped++ // the object was skipped, and the log does not mention it
		return
	}
	switch o.Entry.Status.Status {
	case Failure:
		c.Failed++
	case Skipped:
		c.Skipped++
		if o.OnlyShown {
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
