package provision

import "time"

// decision says what to do about one object: skip, create, patch, remove, fail or later. Evaluation
// makes the decision, a plan shows it, and export carries it out.
type decision interface{ isDecision() }

// skip: there is nothing to do.
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
	replaces *Link // the pair whose account is gone; nil if the object never had one
	drawn    []Drawn
	fresh    []string // target attributes with a random or unique value that this pass generated
}

// patch: the account of link gets the changes.
type patch struct {
	action  Action // Update, Disable, or Create while a new account is corrected
	link    Link
	changes []Change
	rest    decision // what to do about changes that are not sent now: nil, fail or later
}

// remove: the account of link is deleted.
type remove struct{ link Link }

// fail: the engine cannot decide what to do, or must not act. It tries again later.
type fail struct {
	problem *TargetError
	action  Action // the intended action, as far as it was known
	pair    pair
	awaits  *Awaited // the value that is missing
}

// later: the engine cannot decide yet and looks at the object again later.
type later struct {
	until  time.Time
	pair   pair
	awaits *Awaited // the value that is missing
	also   []string // other objects to look at in the meantime
}

func (skip) isDecision()   {}
func (create) isDecision() {}
func (patch) isDecision()  {}
func (remove) isDecision() {}
func (fail) isDecision()   {}
func (later) isDecision()  {}

// result is the outcome of sending a create, patch or remove: unsent, done or refused.
type result interface{ isResult() }

// unsentResult: nothing was sent.
type unsentResult struct{}

// doneResult: the target has the wanted state, or it accepted the state but keeps the account
// blocked.
type doneResult struct {
	pair      pair
	blockedBy string // the attribute by which the target keeps the account blocked; "" if it does not
}

// refusedResult: the target does not have the wanted state, or its state is unknown.
type refusedResult struct {
	problem         *TargetError
	pair            pair   // what to remember although the target refused
	mayHaveHappened bool   // the create may have been carried out; only a read can show that
	action          Action // the action in the log; "" for the action that was decided
}

func (unsentResult) isResult()  {}
func (doneResult) isResult()    {}
func (refusedResult) isResult() {}

// pair says what to do with the remembered pair of an object and its account: nil (keep it),
// remember or forget.
type pair interface{ isPair() }

type remember struct{ link Link }

type forget struct{}

func (remember) isPair() {}
func (forget) isPair()   {}

// rememberLost keeps a pair with the state Lost: the target no longer knows the account.
func rememberLost(l Link) pair {
	l.State = Lost
	return remember{l}
}

// absence says what to do with the record that an object has no account.
type absence int

const (
	asBefore  absence = iota
	noAccount         // the engine looks for an account once a day
	noMatter          // there is no need to look for an account
)

// telling says where a skip is reported. The log shows a logged skip.
type telling int

const (
	logged  telling = iota
	counted         // shown to people who watch the cycle and counted by the cycle, but not kept in the log
	silent          // the skip is not reported
)

// memory is everything that the job remembers about an object. It has nothing read from the source
// or target.
type memory struct {
	Pending
	name string // the object's display name, for messages
	// resolved is true once the outcome of the create in Op is known.
	resolved bool
	takes    string // the object from which this one takes over the account
}

// creates returns how many creates for the object had an outcome that stayed unknown. It does not
// count an intent whose process died, because that process may have sent nothing. Otherwise a
// server that is killed often would use up the tries of the same few people.
func (m memory) creates() int {
	switch {
	case m.Op == nil:
		return 0
	case m.Escrow == nil: // no failure was recorded since the intent
		return m.Op.Times
	}
	return m.Op.Times + 1
}

// settle turns a decision and its result into the outcome to record. All outcomes come from this
// function.
func settle(d decision, r result, known memory, now time.Time) Outcome {
	o := Outcome{ObjectID: known.ObjectID, DropOp: known.resolved}
	switch d := d.(type) {
	case later:
		o.keep(d.pair)
		o.Postpone, o.Awaits, o.Also = d.until, d.awaits, d.also
	case skip:
		o.keep(d.pair)
		o.DropFail = true
		o.remembersAbsence(d.absence, known)
	case fail:
		o.keep(d.pair)
		o.Escrow, o.Awaits = escrow(d.problem, known, now), d.awaits
	case create, patch, remove:
		o.sent(d, r, known, now)
	}
	if o.Unlink || o.Link != nil {
		o.Frees = freed(known.Link, o.Link)
	}
	if o.Link != nil {
		o.Takes = known.takes
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

// sent adds to the outcome of a decision that needs a request.
func (o *Outcome) sent(d decision, r result, known memory, now time.Time) {
	creating, isCreate := d.(create)
	switch r := r.(type) {
	case doneResult:
		o.keep(r.pair)
		o.DropFail, o.DropOp = true, o.DropOp || isCreate
		o.remembersAbsence(noMatter, known)
		if p, updated := d.(patch); updated {
			o.left(p.rest, known, now)
		}
	case refusedResult:
		o.keep(r.pair)
		if r.pair == nil && creating.replaces != nil {
			o.keep(rememberLost(*creating.replaces)) // no account replaced it
		}
		if isCreate {
			o.DropOp = !r.mayHaveHappened
		}
		o.Escrow = escrow(r.problem, known, now)
	default:
		o.Postpone, o.DropOp = now, o.DropOp || isCreate
	}
}

// left adds to the outcome what happens to changes that were not sent with the others.
func (o *Outcome) left(rest decision, known memory, now time.Time) {
	switch rest := rest.(type) {
	case later:
		o.Postpone, o.Awaits, o.Also, o.DropFail = rest.until, rest.awaits, rest.also, false
	case fail:
		o.Escrow, o.Awaits, o.DropFail = escrow(rest.problem, known, now), rest.awaits, false
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

// escrow returns the object's place in the retry queue. If the target refused the object, later
// cycles try again at growing intervals. Other failures are tried again soon.
func escrow(problem *TargetError, known memory, now time.Time) *Escrow {
	e := Escrow{ObjectID: known.ObjectID, First: now}
	if known.Escrow != nil {
		e = *known.Escrow
	}
	e.Name, e.Last, e.Code, e.Reason, e.Lane = known.name, now, problem.Code, problem.Detail, known.Lane
	e.Count++
	gaps := []time.Duration{DefaultInterval, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
	if problem.Kind == Transient || problem.Kind == NotFound {
		gaps = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour}
	}
	e.Next = now.Add(max(gaps[min(e.Count, len(gaps))-1], min(problem.RetryAfter, 24*time.Hour)))
	return &e
}

// problemOf returns the error of a decision or of its result, or nil.
func problemOf(d decision, r result) *TargetError {
	if f, failed := d.(fail); failed {
		return f.problem
	}
	if no, failed := r.(refusedResult); failed {
		return no.problem
	}
	if p, updated := d.(patch); updated && isDone(r) {
		return problemOf(p.rest, nil)
	}
	return nil
}

func isDone(r result) bool {
	_, ok := r.(doneResult)
	return ok
}

// requests reports whether a decision needs a request that changes the target.
func requests(d decision) bool {
	switch d.(type) {
	case create, patch, remove:
		return true
	}
	return false
}

// changesPair reports whether a decision may change the remembered pair of an object and its
// account.
func changesPair(d decision) bool {
	switch d := d.(type) {
	case skip:
		return d.pair != nil
	case fail:
		return d.pair != nil
	case later:
		return d.pair != nil
	}
	return requests(d)
}

// changesOf returns the attributes that a decision writes.
func changesOf(d decision) []Change {
	switch d := d.(type) {
	case create:
		return d.changes
	case patch:
		return d.changes
	}
	return nil
}

// actionOf returns the action that the log shows for a decision.
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
