package provision

import "time"

// decision is what is to be done about one object. Evaluation makes it, a plan
// shows it, export carries it out. It is one of skip, create, patch, remove, fail
// and later.
type decision interface{ isDecision() }

// skip: nothing is to be done.
type skip struct {
	code, reason, advice string
	pair                 pair
	absence              absence
	telling              telling
}

// create: the object gets an account.
type create struct {
	keys     []MatchKey // how the account can be found again
	changes  []Change
	replaces *Link // the pair whose account is gone; nil: the object never had one
}

// patch: the account of link gets the changes.
type patch struct {
	action  Action // what the log calls it: Update, Disable, or Create while a new account is corrected
	link    Link
	changes []Change
}

// remove: the account of link is deleted.
type remove struct{ link Link }

// fail: it cannot be told what is to be done, or it must not be done. It is tried
// again later.
type fail struct {
	problem *TargetError
	action  Action // what would have been done, as far as that was known
	pair    pair
}

// later: it is too early to tell.
type later struct{ until time.Time }

func (skip) isDecision()   {}
func (create) isDecision() {}
func (patch) isDecision()  {}
func (remove) isDecision() {}
func (fail) isDecision()   {}
func (later) isDecision()  {}

// result is what came of sending a create, patch or remove: one of unsent, done
// and refused.
type result interface{ isResult() }

// unsent: nothing was sent.
type unsent struct{}

// done: the target has what it should have.
type done struct {
	pair pair
}

// refused: it has not, or that is not known.
type refused struct {
	problem         *TargetError
	pair            pair   // what is true all the same
	mayHaveHappened bool   // a read has to tell whether the create was carried out
	action          Action // what the log calls it; "": what was decided
}

func (unsent) isResult()  {}
func (done) isResult()    {}
func (refused) isResult() {}

// pair is what becomes of the remembered pair of an object and its account: one of
// nil (it stays as it is), remember and forget.
type pair interface{ isPair() }

type remember struct{ link Link }

type forget struct{}

func (remember) isPair() {}
func (forget) isPair()   {}

// rememberLost remembers a pair whose account the target no longer knows.
func rememberLost(l Link) pair {
	l.State = Lost
	return remember{l}
}

// absence is what becomes of the memory that an object has no account.
type absence int

const (
	asBefore  absence = iota
	noAccount         // look for one once a day
	noMatter          // no need to look
)

// telling says who hears of a skip.
type telling int

const (
	logged  telling = iota
	counted         // shown to people who watch, and counted by the cycle; the log does not keep it
	silent          // it is no news
)

// memory is what is known of an object apart from the source and the target.
type memory struct {
	Pending
	name string // what people call the object
	// resolved: what became of the create in Op is known now.
	resolved bool
}

// settle turns a decision and what came of it into what is to be recorded. Nothing
// else decides that.
func settle(d decision, r result, known memory, now time.Time) Outcome {
	o := Outcome{ObjectID: known.ObjectID, DropOp: known.resolved}
	switch d := d.(type) {
	case later:
		o.Postpone = d.until
	case skip:
		o.keep(d.pair)
		o.DropFail = true
		o.remembersAbsence(d.absence, known)
	case fail:
		o.keep(d.pair)
		o.Escrow = escrow(d.problem, known, now)
	case create, patch, remove:
		o.sent(d, r, known, now)
	}
	if o.Link != nil {
		o.Link.Updated = now
		if !o.Link.missing() {
			o.remembersAbsence(noMatter, known)
		}
	}
	o.DropOp = o.DropOp && known.Op != nil
	o.DropFail = o.DropFail && known.Escrow != nil
	return o
}

// sent settles a decision that asks for a request.
func (o *Outcome) sent(d decision, r result, known memory, now time.Time) {
	creating, isCreate := d.(create)
	switch r := r.(type) {
	case done:
		o.keep(r.pair)
		o.DropFail, o.DropOp = true, o.DropOp || isCreate
		o.remembersAbsence(noMatter, known)
	case refused:
		o.keep(r.pair)
		if r.pair == nil && creating.replaces != nil {
			o.keep(rememberLost(*creating.replaces)) // no account took its place
		}
		if isCreate {
			o.DropOp = !r.mayHaveHappened
		}
		o.Escrow = escrow(r.problem, known, now)
	default:
		o.Postpone, o.DropOp = now, o.DropOp || isCreate
	}
}

func (o *Outcome) keep(p pair) {
	switch p := p.(type) {
	case remember:
		o.Link, o.Unlink = &p.link, false
	case forget:
		o.Link, o.Unlink = nil, true
	}
}

func (o *Outcome) remembersAbsence(a absence, known memory) {
	switch {
	case a == noAccount && !known.Unmatched:
		yes := true
		o.Unmatched = &yes
	case a == noMatter && known.Unmatched:
		no := false
		o.Unmatched = &no
	}
}

// escrow is the object's place in the queue of retries. What the target refuses
// is tried again in later cycles, with growing gaps; what merely went wrong is
// tried again soon.
func escrow(problem *TargetError, known memory, now time.Time) *Escrow {
	e := Escrow{ObjectID: known.ObjectID, First: now}
	if known.Escrow != nil {
		e = *known.Escrow
	}
	e.Name, e.Last, e.Code, e.Reason = known.name, now, problem.Code, problem.Detail
	e.Count++
	gaps := []time.Duration{DefaultInterval, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
	if problem.Kind == Transient || problem.Kind == NotFound {
		gaps = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour}
	}
	e.Next = now.Add(max(gaps[min(e.Count, len(gaps))-1], min(problem.RetryAfter, 24*time.Hour)))
	return &e
}

// problemOf is what went wrong, nil if nothing did.
func problemOf(d decision, r result) *TargetError {
	if f, failed := d.(fail); failed {
		return f.problem
	}
	if no, failed := r.(refused); failed {
		return no.problem
	}
	return nil
}

// requests says whether a decision asks for a request that changes the target.
func requests(d decision) bool {
	switch d.(type) {
	case create, patch, remove:
		return true
	}
	return false
}

// changesOf are the attributes that a decision writes.
func changesOf(d decision) []Change {
	switch d := d.(type) {
	case create:
		return d.changes
	case patch:
		return d.changes
	}
	return nil
}

// actionOf is what the log calls a decision.
func actionOf(d decision) Action {
	switch d := d.(type) {
	case create:
		return Create
	case patch:
		return d.action
	case remove:
		return Delete
	case fail:
		if d.action != "" {
			return d.action
		}
	}
	return Other
}
