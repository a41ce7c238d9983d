package provision

import "time"

// decision says what the engine does about one object: skip, create, patch, remove, fail or later.
// Evaluation makes the decision, a plan shows it, and export carries it out.
type decision interface{ isDecision() }

// skip is the decision to do nothing.
type skip struct {
	code, reason, advice string
	pair                 pair
	absence              absence    // whether to look for an account once a day from now on
	report               skipReport // where the skip is reported
}

// create is the decision to create an account for the object.
type create struct {
	keys     []MatchKey // the matching values by which the account can be found again
	changes  []Change   // the values of the new account
	replaces *Link      // the pair whose account is gone; nil if the object never had an account
	drawn    []Drawn    // the random and unique values of the new account
	fresh    []string   // the target attributes whose random or unique value this pass generated
}

// patch is the decision to send the changes to the account of link.
type patch struct {
	action            Action // Update, Disable, or Create if the patch corrects a new account
	link              Link
	changes           []Change
	decisionAboutRest decision // what to do about changes that are not sent now: nil, fail or later
}

// remove is the decision to delete the account of link.
type remove struct{ link Link }

// fail is the decision not to act because of a problem. The engine tries again later.
type fail struct {
	problem *TargetError // why nothing is sent
	action  Action       // the intended action, as far as it was known
	pair    pair
	awaits  *Awaited // the value for which the object waits; nil if there is none
}

// later is the decision to look at the object again later, because the engine cannot decide yet.
type later struct {
	until  time.Time // when the engine looks at the object again
	pair   pair
	awaits *Awaited // the value for which the object waits; nil if there is none
	also   []string // the ids of other objects that the engine must look at first
}

func (skip) isDecision()   {}
func (create) isDecision() {}
func (patch) isDecision()  {}
func (remove) isDecision() {}
func (fail) isDecision()   {}
func (later) isDecision()  {}

// result is the result of sending a create, patch or remove: unsent, done or refused.
type result interface{ isResult() }

// unsentResult means that nothing was sent.
type unsentResult struct{}

// doneResult means that the target has the wanted state, or has accepted that state but keeps the
// account blocked.
type doneResult struct {
	pair      pair
	blockedBy string // the attribute by which the target keeps the account blocked; "" if it is not blocked
}

// refusedResult means that the target does not have the wanted state, or that its state is unknown.
type refusedResult struct {
	problem         *TargetError
	pair            pair   // the pair to remember although the target refused
	mayHaveHappened bool   // whether the create may have been carried out; only a read can show that
	action          Action // the action that the log shows; "" means the action of the decision
}

func (unsentResult) isResult()  {}
func (doneResult) isResult()    {}
func (refusedResult) isResult() {}

// pair says what the engine does with the stored pair of an object and its account. It is remember,
// forget, or nil, which keeps the stored pair.
type pair interface{ isPair() }

// remember stores link as the pair.
type remember struct{ link Link }

// forget removes the pair.
type forget struct{}

func (remember) isPair() {}
func (forget) isPair()   {}

// rememberLost returns a pair that stores a link with the state Lost, because the target no longer
// knows the account.
func rememberLost(l Link) pair {
	l.State = Lost
	return remember{l}
}

// absence says whether the engine must look for an account of the object once a day.
type absence int

const (
	asBefore   absence = iota // the stored record stays as it is
	noAccount                 // the object has no account, so the engine looks for one once a day
	noneNeeded                // the engine need not look for an account
)

// skipReport says where a skip is reported.
type skipReport int

const (
	logged  skipReport = iota // the skip is in the log
	counted                   // the cycle counts the skip and shows it to people who watch, but does not log it
	silent                    // the skip is not reported
)

// memory holds all data that the job has stored about an object. It holds no data of the source or
// the target.
type memory struct {
	Pending
	name string // the object's name, for messages
	// resolved is true after the outcome of the create in Op has become known.
	resolved bool
	takes    string // the id of the object from which this object takes over the account; "" if there is none
}

// unknownCreates returns how many creates for the object had an unknown outcome. It does not count
// an intent whose process died, because that process may have sent nothing. If such intents
// counted, a server that is killed often would soon send no more creates for the same few people.
func (m memory) unknownCreates() int {
	switch {
	case m.Op == nil:
		return 0
	case m.Escrow == nil: // no failure was recorded since the intent
		return m.Op.Times
	}
	return m.Op.Times + 1
}

// settle turns a decision and its result into the Outcome to record.
func settle(d decision, r result, known memory, now time.Time) Outcome {
	o := Outcome{ObjectID: known.ObjectID, DropOp: known.resolved}
	switch d := d.(type) {
	case later:
		o.setLink(d.pair)
		o.Postpone, o.Awaits, o.LookAtToo = d.until, d.awaits, d.also
	case skip:
		o.setLink(d.pair)
		o.DropFail = true
		o.setAbsence(d.absence, known)
	case fail:
		o.setLink(d.pair)
		o.Escrow, o.Awaits = escrow(d.problem, known, now), d.awaits
	case create, patch, remove:
		o.addResult(d, r, known, now)
	}
	if o.Unlink || o.Link != nil {
		o.FreedKeys = freedKeys(known.Link, o.Link)
	}
	if o.Link != nil {
		o.TakesAccountOf = known.takes
	}
	if o.Link != nil {
		o.Link.Updated = now
		if !o.Link.missing() {
			o.setAbsence(noneNeeded, known)
		}
	}
	o.DropOp = o.DropOp && known.Op != nil
	o.DropFail = o.DropFail && known.Escrow != nil
	return o
}

// addResult adds to the outcome the result of a decision that needs a request.
func (o *Outcome) addResult(d decision, r result, known memory, now time.Time) {
	creating, isCreate := d.(create)
	switch r := r.(type) {
	case doneResult:
		o.setLink(r.pair)
		o.DropFail, o.DropOp = true, o.DropOp || isCreate
		o.setAbsence(noneNeeded, known)
		if p, updated := d.(patch); updated {
			o.addRest(p.decisionAboutRest, known, now)
		}
	case refusedResult:
		o.setLink(r.pair)
		if r.pair == nil && creating.replaces != nil {
			o.setLink(rememberLost(*creating.replaces)) // no new account has replaced the lost account
		}
		if isCreate {
			o.DropOp = !r.mayHaveHappened
		}
		o.Escrow = escrow(r.problem, known, now)
	default:
		o.Postpone, o.DropOp = now, o.DropOp || isCreate
		o.keepFound(d, known)
	}
}

// keepFound stores the account that was found for a create of unknown outcome, if the update or
// deletion of that account was not sent. Without that, nothing would lead to the account any more.
func (o *Outcome) keepFound(d decision, known memory) {
	var found Link
	switch d := d.(type) {
	case patch:
		found = d.link
	case remove:
		found = d.link
	default:
		return
	}
	if known.Op != nil && known.resolved && known.takes == "" && (known.Link == nil || known.Link.TargetID != found.TargetID) {
		o.setLink(remember{found})
	}
}

// addRest adds the decision about the changes that were not sent to the outcome.
func (o *Outcome) addRest(rest decision, known memory, now time.Time) {
	switch rest := rest.(type) {
	case later:
		o.Postpone, o.Awaits, o.LookAtToo, o.DropFail = rest.until, rest.awaits, rest.also, false
	case fail:
		o.Escrow, o.Awaits, o.DropFail = escrow(rest.problem, known, now), rest.awaits, false
	}
}

// setLink sets what the outcome does with the link of the object.
func (o *Outcome) setLink(p pair) {
	switch p := p.(type) {
	case remember:
		o.Link, o.Unlink = &p.link, false
	case forget:
		o.Link, o.Unlink = nil, true
	}
}

// setAbsence sets whether the store remembers that the object has no account.
func (o *Outcome) setAbsence(a absence, known memory) {
	switch {
	case a == noAccount && !known.Unmatched:
		yes := true
		o.Unmatched = &yes
	case a == noneNeeded && known.Unmatched:
		no := false
		o.Unmatched = &no
	}
}

// escrow returns the object's entry in the retry queue after one more failure. The engine tries the
// object again at growing intervals. The first intervals are shorter if the failure is transient or
// a 404, or if the target asked for a pause and may nevertheless have carried out the request.
func escrow(problem *TargetError, known memory, now time.Time) *Escrow {
	e := Escrow{ObjectID: known.ObjectID, First: now}
	if known.Escrow != nil {
		e = *known.Escrow
	}
	e.Name, e.Last, e.Code, e.Reason, e.Lane = known.name, now, problem.Code, problem.Detail, known.Lane
	e.Count++
	gaps := []time.Duration{DefaultInterval, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
	if problem.Kind == Transient || problem.Kind == NotFound || problem.Kind == Throttled && problem.Sent {
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
		return problemOf(p.decisionAboutRest, nil)
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

// changesPair reports whether a decision may change the stored pair of an object and its account.
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

// changesOf returns the changes that a decision sends.
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
