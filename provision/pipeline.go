package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	changesPollInterval = 200 * time.Millisecond // how often a running slice looks for changes when nothing wakes it
	connectionProofTime = changesPollInterval    // for this time after a successful connection test, a failure such as a 403 needs no new test
	// intentTime is how long an intent waits for other intents, to be committed with them. Fewer
	// commits also help the readers of a SQLite database: after each commit, they must read their
	// pages again.
	intentTime = 8 * time.Millisecond
	// outcomeTime is how long an outcome waits to be committed with other outcomes. If the process
	// dies in that time, the next process reads the account.
	outcomeTime         = 100 * time.Millisecond
	maxWaitingOutcomes  = 128             // when this many outcomes wait, they are committed at once
	maxWaitingMembers   = 4096            // when results about this many memberships wait, they are committed at once
	maxRecordsPerCommit = 512             // the largest number of intents and outcomes in one commit
	mostFirstTime       = 2 * time.Second // the longest time that the work of a cycle waits for changes to be listed
	mostGroupsTime      = time.Minute     // the longest time, since a cycle began, that groups wait for changes to be listed
	feedPageSize        = 1024            // how many new objects the feed reads from the work list at a time
	maxWaitingRequests  = 128             // while this many requests wait for the pacer, only urgent objects are begun
)

// pipeline works through a job's work list for one slice. Its parts run at the same time:
//
//	directory ─► import ─► work list ─► feed ─► workers ─► recorder ─► store
//	                       (by lane)            evaluate,   (intents and outcomes of many in one commit)
//	                                            export
//
// A worker takes one person through all steps. An intent is on disk before its create is sent. A
// person is in hand from the time the feed passes the person to a worker. The time ends when the
// person's outcome is committed, or when the worker leaves the person on the list unchanged.
type pipeline struct {
	r          *run
	p          *pass
	goroutines goroutines
	pacer      *pacer
	// demanded is true if this slice works only on objects that were provisioned on demand, and
	// imports nothing.
	demanded bool
	cycle    string
	memo     *memo
	until    time.Time // after this time, no worker starts to send a decision's requests

	inHand map[string]bool // people in hand; only the feed uses it
	queue  []Pending       // people read from the work list but not yet in hand; only the feed uses it
	readAt int             // what p.claims.now returned before the queue was read; only the feed uses it
	busy   int             // number of workers that are running; only the feed uses it

	onlyOneWriteAtATime atomic.Bool     // whether the target refused every write before, so that only one write at a time is tried
	trialLock           lock            // held while the single write of a trial is sent
	refusedObjects      map[string]bool // objects whose first write was refused, since the last success; protected by mu

	changesLeft    bool      // whether there may be changes that are not listed; only the feed uses it
	holdsBackUntil time.Time // the time after which groups no longer wait until all changes are listed

	hasCalledGuard bool // whether an import of this slice has called the guard; only imports use it

	workersSaving  atomic.Int64 // how many workers wait until what they are about to send is on disk
	runningWorkers atomic.Int64 // how many workers are running, for the recorder, which cannot read busy

	messages     chan feedMessage // messages to the feed
	wakeFeed     chan struct{}    // wakes the feed without a message
	records      chan record      // what the recorder has to store
	commitAtOnce chan struct{}    // tells the recorder to commit its waiting records at once

	mu                  sync.Mutex    // protects the fields below
	writesUnderWay      int           // how many writes are under way
	writeEnded          chan struct{} // closed and replaced when a write has ended
	failuresBeingTested int           // how many failures of the connection wait for a connection test; meanwhile no work begins
	testEnded           chan struct{} // closed when the running connection test has ended; nil if none runs
	lastTestProblem     *TargetError  // the problem that the last connection test found; nil if it succeeded
	lastTestSuccess     time.Time     // when a connection test last succeeded; zero if none has
	connectionProblem   *TargetError  // why all requests would fail; nil if they would not
	installationError   error         // the error of this installation that ends the slice; nil if there is none
}

// feedMessage is a message to the feed: a worker has ended, an import has ended, or outcomes were
// committed.
type feedMessage struct {
	released        []string // objects that are no longer in hand
	ended           bool     // whether a worker has ended
	importEnded     bool     // whether an import has ended; the fields below belong to it
	importFoundWork bool     // whether the import found work
	changesLeft     bool     // whether there may be changes that this cycle has not imported yet
	lane            Lane     // the most urgent lane of the objects that the import found; 0 if that is not known
	err             error    // the import's error
}

// record is something that the recorder has to store: an intent, the outcome for an object, or
// results about memberships.
type record struct {
	outcome     Outcome
	isOfPlan    bool       // whether results about memberships belong to a plan, and not to a cycle
	afterCommit func()     // called after the commit; may be nil
	saved       chan error // receives the result of storing the record, for which a worker waits; nil if none waits
}

// drain works on the work list until no object on it is due or the slice is over. done reports that
// no object is due. If the job went into quarantine, wait is when to try again; otherwise it is
// zero.
func (r *run) drain(ctx context.Context) (done bool, wait time.Time, err error) {
	return r.newPipeline(false).drain(ctx)
}

// drainDemanded is like drain, but it works only on objects that were provisioned on demand, and
// imports nothing.
func (r *run) drainDemanded(ctx context.Context) (done bool, wait time.Time, err error) {
	return r.newPipeline(true).drain(ctx)
}

func (r *run) newPipeline(demanded bool) *pipeline {
	l := &pipeline{
		r: r, demanded: demanded, memo: r.e.memoOf(r.job), until: r.sliceEnd.Add(exportGrace),
		inHand: map[string]bool{}, messages: make(chan feedMessage),
		wakeFeed: make(chan struct{}, 1), records: make(chan record), commitAtOnce: make(chan struct{}, 1),
	}
	l.goroutines, l.trialLock, l.writeEnded = r.e.goroutines(), newLock(), make(chan struct{})
	if r.state.Phase != Idle {
		l.cycle = r.state.Cycle.ID
		l.changesLeft, l.holdsBackUntil = !demanded, r.state.Cycle.Started.Add(mostGroupsTime)
	}
	l.onlyOneWriteAtATime.Store(r.state.Trial != nil && r.state.Trial.Code == codeWritesRefused)
	l.pacer = newPacer(r.state.Pace, r.e.Now, r.e.after(), r.sliceEnd, r.e.workers())
	l.pacer.onWaitChange, l.pacer.goroutines = l.wakeTheFeed, l.goroutines
	l.p = r.pass()
	l.p.target = pacedTarget{Target: r.target, pacer: l.pacer}
	l.p.searcher = newSearcher(l.p.target, r.state.Searches, l.goroutines)
	if g := l.p.groups; g != nil {
		paced := pacedGroups{pacedTarget{Target: r.groups.target, pacer: l.pacer, groups: true}, r.groups.target}
		g.target, g.members, g.searcher = paced, paced, newSearcher(paced, r.state.Groups.Searches, l.goroutines)
	}
	return l
}

// drain runs the parts of the pipeline until no object on the work list is due or the slice is
// over, and waits until all results are stored. It returns the same as run.drain.
func (l *pipeline) drain(ctx context.Context) (done bool, wait time.Time, err error) {
	r := l.r
	recorded, firm := make(chan struct{}), context.WithoutCancel(ctx)
	l.pacer.stopped = func() bool { return ctx.Err() != nil }
	l.goroutines.start(func() {
		defer close(recorded)
		l.recorder(firm)
	})
	done, err = l.feed(ctx)
	close(l.records)
	receive(l.goroutines, recorded)
	l.mu.Lock()
	defer l.mu.Unlock()
	r.state.Pace = l.pacer.learned()
	err = errors.Join(l.installationError, err)
	switch {
	case err != nil:
		return false, time.Time{}, err
	case l.connectionProblem != nil:
		wait, err := r.quarantine(context.WithoutCancel(ctx), l.connectionProblem)
		return false, wait, err
	}
	return done, time.Time{}, nil
}

// wakeTheFeed makes the feed look at the work list again.
func (l *pipeline) wakeTheFeed() {
	select {
	case l.wakeFeed <- struct{}{}:
	default:
	}
}

// feed gives people to workers in the order of the list. It imports changes at the same time. It
// returns when all workers have ended. done is false if the slice was over before the work was
// done.
func (l *pipeline) feed(ctx context.Context) (done bool, err error) {
	tick := l.goroutines.after(changesPollInterval)
	woken := l.r.e.wakeSignal(l.r.job.Key)
	importing, look, refill := false, true, true
	// While first is true, no work begins: changed objects, and the first page of an initial cycle,
	// must be listed first, or some objects would be worked on twice.
	phase := l.r.phase()
	first, firstUntil := !l.demanded && (phase == Changes || phase.initial()), l.r.e.Now().Add(mostFirstTime)
	stop := ctx.Done()
	for {
		over := l.sliceIsOver(ctx) || err != nil
		if over {
			l.pacer.close()
		} else {
			if !importing && !l.demanded && (look || l.r.phase() != Finishing) {
				importing, look = true, false
				l.goroutines.start(func() { send(l.goroutines, l.messages, l.importNext(ctx)) })
			}
			if !first {
				if refill, err = l.dispatch(ctx, refill); err != nil {
					continue
				}
			}
		}
		if l.busy == 0 {
			l.commitWaitingRecords()
		}
		imported := l.demanded || l.r.phase() == Finishing && !look
		if l.busy == 0 && len(l.inHand) == 0 && !importing && (over || !refill && len(l.queue) == 0 && imported) {
			return !over, err
		}
		self := l.goroutines.self()
		switch {
		case tryReceive(woken):
			look = true
		case tryReceive(l.wakeFeed):
		default:
			select {
			case news := <-l.messages:
				for _, id := range news.released {
					delete(l.inHand, objectOfWork(id))
				}
				switch {
				case news.ended:
					l.busy--
				case news.importEnded:
					// A leaver does not wait until everything is listed.
					importing, first = false, first && news.changesLeft && news.err == nil && news.lane != Leavers && l.r.e.Now().Before(firstUntil)
					refill = refill || news.importFoundWork && l.goesFirst(news.lane)
					l.changesLeft = news.changesLeft
					look = look || news.importFoundWork && l.r.phase() == Finishing
					err = errors.Join(err, news.err)
				default:
					refill = refill || len(l.queue) == 0
				}
			case <-woken:
				look = true
			case <-tick:
				tick = l.goroutines.after(changesPollInterval)
				look, refill = true, refill || len(l.queue) == 0
			case <-l.wakeFeed:
			case <-stop:
				stop = nil
			}
		}
		l.goroutines.turn(self)
	}
}

// goesFirst reports whether an object of this lane goes before at least one object in the queue, or
// the queue is empty. Only then must the queue be read again.
func (l *pipeline) goesFirst(lane Lane) bool {
	return len(l.queue) == 0 || lane < l.queue[len(l.queue)-1].Lane
}

// tryReceive receives a signal if one is ready, and reports whether it received one. Callers use it
// to check channels in a fixed order; a select would pick any ready channel.
func tryReceive(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}

// sliceIsOver reports whether no more work may begin in this slice, because its time is up, it was
// cancelled, or an error or a quarantine ends it.
func (l *pipeline) sliceIsOver(ctx context.Context) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ctx.Err() != nil || l.installationError != nil || l.connectionProblem != nil || !l.r.e.Now().Before(l.r.sliceEnd)
}

// isTestingConnection reports whether failures of the connection wait for a connection test.
func (l *pipeline) isTestingConnection() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failuresBeingTested > 0
}

// commitWaitingRecords has the recorder commit its waiting records at once.
func (l *pipeline) commitWaitingRecords() {
	select {
	case l.commitAtOnce <- struct{}{}:
	default:
	}
}

// dispatch passes people to workers while workers are free. If refill is true, it first reads the
// work list again. It returns true if the next call must read the list again.
func (l *pipeline) dispatch(ctx context.Context, refill bool) (bool, error) {
	parked, started := l.pacer.waits(), false
	for !l.isTestingConnection() {
		if refill {
			l.readAt = l.p.claims.now()
			page, err := l.nextPage(ctx, parked)
			if err != nil {
				return true, err
			}
			l.queue = slices.DeleteFunc(page, func(p Pending) bool { return l.inHand[objectOfWork(p.ObjectID)] })
			refill = false
		}
		if len(l.queue) == 0 {
			return false, nil
		}
		next := l.queue[0]
		if l.holdsBack(next) {
			return false, nil // all that follow in the queue are held back, too
		}
		if l.inHand[objectOfWork(next.ObjectID)] { // a group and its memberships are never in hand at the same time
			l.queue = l.queue[1:]
			continue
		}
		room := l.r.e.workers()
		free := 1 // how many workers must be free before one gets the next object
		switch {
		case next.Lane == Leavers || next.Why == ByDemand:
			room += firstWidth // more workers may run for urgent work, so that it does not wait for other work
		case parked >= maxWaitingRequests:
			return false, nil
		case !started:
			free = max(1, room/8) // several workers start together, so that one read serves them
		}
		if room-(l.busy-parked-int(l.workersSaving.Load())) < free || len(l.inHand) >= maxRecordsPerCommit+maxWaitingRequests {
			return false, nil
		}
		started = true
		l.queue = l.queue[1:]
		refill = len(l.queue) == 0
		l.inHand[objectOfWork(next.ObjectID)] = true
		l.busy++
		l.runningWorkers.Add(1)
		readAt := l.readAt
		l.goroutines.start(func() {
			untouched := l.workOn(ctx, next, readAt)
			l.runningWorkers.Add(-1)
			send(l.goroutines, l.messages, feedMessage{ended: true, released: untouched})
		})
	}
	return refill, nil
}

// holdsBack reports whether a changed group, or changed memberships, must wait until all changes
// are listed. The members of a new group are read when it is created; changes of them that are
// listed later would be looked at once more, one by one.
func (l *pipeline) holdsBack(next Pending) bool {
	return l.changesLeft && next.Lane >= Groups && next.Lane < Checks && next.Why == ByChange && l.r.e.Now().Before(l.holdsBackUntil)
}

// nextPage returns the next objects that are due. Objects that were provisioned on demand or that
// an approved plan lists come first, then the others by lane. While no creates can be sent, it
// leaves out people who have no account yet. parked is how many requests wait for the pacer.
func (l *pipeline) nextPage(ctx context.Context, parked int) ([]Pending, error) {
	r, now, limit := l.r, l.r.e.Now(), feedPageSize+len(l.inHand)
	page, err := r.e.Store.PendingDemanded(ctx, r.job.Key, now, limit)
	if err != nil || l.demanded {
		return page, err
	}
	noCreates := l.pacer.paused(CreateRequest).After(r.sliceEnd) || parked >= maxWaitingRequests
	others, err := r.e.Store.Pending(ctx, r.job.Key, now, noCreates, limit)
	if len(page) > 0 {
		others = slices.DeleteFunc(others, func(p Pending) bool { return p.Why == ByDemand || p.Why == ByPlan })
	}
	return append(page, others...), err
}

// importNext imports new changes or, if there are none, the next page of the cycle. Then it calls
// the guard if it found work, or if this is the first import of the slice.
func (l *pipeline) importNext(ctx context.Context) feedMessage {
	l.r.importing.acquire(l.goroutines)
	defer l.r.importing.release()
	lane := Lane(0)
	found, err := l.r.importNews(ctx)
	// In this phase, importPage lists the changed people. They do not wait behind changed groups.
	changesLeft := err == nil && !found && l.r.phase() == Changes
	if err == nil && !found && !changesLeft {
		found, err = l.r.importGroupNews(ctx)
		changesLeft = found
	}
	if err == nil && !found && l.r.phase() != Finishing {
		found = true
		lane, err = l.r.importPage(ctx)
	}
	if err == nil && (found || !l.hasCalledGuard) {
		l.hasCalledGuard = true // the first import of a slice also judges causes that an earlier process did not judge before it died
		var did bool
		if did, err = l.r.judge(ctx, false); did {
			found, lane = true, 0
		}
	}
	return feedMessage{importEnded: true, importFoundWork: found, changesLeft: changesLeft || l.r.phase() == Changes, lane: lane, err: err}
}

// workOn takes one person through all steps. If it has no outcome to record, so that the person
// stays on the list unchanged, it returns the person's id. Otherwise it returns nil. readAt is
// what the clock of the claims showed before known was read from the work list.
func (l *pipeline) workOn(ctx context.Context, known Pending, readAt int) (untouched []string) {
	if _, members := groupOf(known.ObjectID); members {
		return l.workMembers(ctx, known)
	}
	planned, err := l.r.expectedOperation(ctx, &known)
	if err != nil {
		if ctx.Err() == nil {
			l.fail(err)
		}
		return []string{known.ObjectID}
	}
	req := &request{lane: known.Lane}
	if known.Op == nil {
		req.knownAbsent = l.memo.takeRememberedSearch(known.ObjectID, l.r.e.Now())
	}
	w, err := l.evaluate(withRequest(ctx, req), known, readAt)
	if err != nil {
		if ctx.Err() == nil {
			l.fail(err)
		}
		return []string{known.ObjectID}
	}
	if planned != nil && planned.finishesEarlierWork(w) {
		w.keepOnlyCreated()
	} else if planned != nil && !planned.allows(w) && !w.isUnanswered() {
		send(l.goroutines, l.records, record{outcome: w.leftOutOutcome(planned), afterCommit: func() { w.p.claims.release(known.ObjectID) }})
		return nil
	}
	var judged *Listed
	if planned == nil { // the guard does not judge the operations of a plan, because an administrator has approved them
		judged, err = l.rowForGuard(ctx, w)
	}
	switch {
	case err != nil:
		if ctx.Err() == nil {
			l.fail(err)
		}
		w.p.claims.release(known.ObjectID)
		return []string{known.ObjectID}
	case judged != nil:
		send(l.goroutines, l.records, record{outcome: Outcome{ObjectID: known.ObjectID, Judge: judged}, afterCommit: func() { w.p.claims.release(known.ObjectID) }})
		return nil
	}
	w.entry.ID, w.entry.ChangeID = l.r.e.NewID(), l.r.e.NewID()
	// From here on, requests change the target. Finish and record the work even if the process is
	// asked to stop.
	firm := withRequest(context.WithoutCancel(ctx), req)
	if requests(w.decision) && ctx.Err() == nil && l.r.e.Now().Before(l.until) {
		ended, ok := l.waitToWrite()
		if !ok {
			ended()
			return []string{known.ObjectID}
		}
		err := l.export(firm, w, req)
		l.countWriteResult(firm, w)
		ended()
		if err != nil {
			l.fail(err)
			return []string{known.ObjectID}
		}
	}
	l.judgeFailure(firm, w)
	cycle := l.cycle
	if planned != nil {
		cycle = planned.Plan
	}
	o := w.conclude(l.r.e.Now(), cycle)
	o.settlePlanned(planned, w)
	l.rememberNewKeys(w, o)
	if err := l.r.addRelatedWork(firm, w, &o); err != nil {
		l.fail(err)
		return []string{known.ObjectID}
	}
	send(l.goroutines, l.records, record{outcome: o, afterCommit: func() { w.p.claims.release(known.ObjectID) }})
	return nil
}

// evaluate decides what to do about one person and claims the account. If another person has
// released a claim on that account since the clock showed readAt, the account may belong to that
// person now. Then evaluate reads what is known about the person again, and repeats the evaluation.
func (l *pipeline) evaluate(ctx context.Context, known Pending, readAt int) (*work, error) {
	for {
		w, err := l.r.evaluate(ctx, l.p, known)
		if err != nil {
			return nil, err
		}
		if !w.p.claim(w, readAt) {
			return w, l.checkNewAccounts(ctx, w)
		}
		readAt = l.p.claims.now()
		now, err := l.r.e.Store.KnownAbout(ctx, l.r.job.Key, known.ObjectID)
		if err != nil {
			return nil, err
		}
		known.Link, known.Op, known.Escrow, known.Unmatched = now.Link, now.Op, now.Escrow, now.Unmatched
	}
}

// checkNewAccounts makes a create wait if another object has just got an account with one of its
// matching values. The search may not show that account yet, or may have been sent before it was
// created. If it still does not show the account after the settle time, the create fails.
func (l *pipeline) checkNewAccounts(ctx context.Context, w *work) error {
	d, creating := w.decision.(create)
	if !creating {
		return nil
	}
	for _, k := range d.keys {
		owner, at := l.memo.newAccountWith(w.p.matchingValue(k), w.known.ObjectID, l.r.e.Now())
		if owner == "" {
			continue
		}
		known, err := l.p.otherObjects.known(ctx, owner)
		if err != nil {
			return err
		}
		same := func(has MatchKey) bool { return w.p.matchingValue(has) == w.p.matchingValue(k) }
		if known.Link == nil || !slices.ContainsFunc(known.Link.Keys, same) {
			continue // the other object does not have the value any more
		}
		if until := at.Add(l.p.settle); l.r.e.Now().Before(until) {
			w.decision, w.waits = later{until: until}, fmt.Sprintf("An account with %s '%s' was just created for another person of the directory; the application is searched again.", k.Path, text(k.Value))
			return nil
		}
		w.decision = w.fail(&TargetError{
			Kind: Permanent, Code: "DuplicateSourceEntries",
			Detail: fmt.Sprintf("An account with %s '%s' was just created for another person of the directory (object %s).", k.Path, text(k.Value), owner),
			Advice: "Give the two people different values of the matching attribute.",
		})
		return nil
	}
	return nil
}

// rememberNewKeys remembers the matching values that an account got with this outcome.
func (l *pipeline) rememberNewKeys(w *work, o Outcome) {
	if o.Link == nil || !isDone(w.result) {
		return
	}
	var values []thing
	for _, k := range o.Link.Keys {
		had := func(has MatchKey) bool { return w.p.matchingValue(has) == w.p.matchingValue(k) }
		if w.known.Link == nil || w.known.Link.TargetID != o.Link.TargetID || !slices.ContainsFunc(w.known.Link.Keys, had) {
			values = append(values, w.p.matchingValue(k))
		}
	}
	l.memo.rememberNewKeys(values, w.known.ObjectID, l.r.e.Now())
}

// export stores that a create, update or deletion is about to be sent, and then sends the requests
// of the decision. If the target accepts no creates in this slice, export postpones a create. It
// returns an error only if storing fails.
func (l *pipeline) export(ctx context.Context, w *work, req *request) error {
	d, creating := w.decision.(create)
	if !creating {
		// If the process dies now, the next process reads this account before it compares the
		// account with anything.
		flies := Outcome{ObjectID: w.known.ObjectID, AboutToSend: true}
		switch d := w.decision.(type) {
		case patch:
			flies.GivenAttributes = attributesGivenValues(d.changes)
			if w.takesAway() {
				w.p.closing.add(w.known.ObjectID, l.r.e.Now())
			}
		case remove: // if the object comes back into scope before the outcome is known, the account is read first
			w.deleting = true
			w.p.doubt.add(w.known.ObjectID, l.r.e.Now())
			w.p.closing.add(w.known.ObjectID, l.r.e.Now())
		}
		if err := l.storeBeforeSending(w, flies); err != nil {
			return err
		}
		w.p.export(ctx, w, l.r.e.Now())
		return nil
	}
	kind := CreateRequest
	if w.m.kind == GroupKind {
		kind = kind.ofGroups()
	}
	if until := l.pacer.paused(kind); until.After(l.r.sliceEnd) {
		l.memo.rememberSearch(w.known.ObjectID, d.keys, l.r.e.Now())
		w.postpone(until, l.pacer.why(kind))
		return nil
	}
	// Store the intent right before the create is sent. The time in the intent tells how long the
	// create may still be under way, and few people should have an intent when the process dies. If
	// the create had to wait for more than a second, store the intent again.
	times := w.known.unknownCreates()
	var broken error
	var written time.Time
	req.beforeKind = CreateRequest
	req.before = func(context.Context) error {
		if now := l.r.e.Now(); written.IsZero() || now.Sub(written) > time.Second {
			written, broken = now, l.intend(w, d, times)
		}
		return broken
	}
	w.p.export(ctx, w, l.r.e.Now())
	return broken
}

// intend stores the intent of a create that is about to be sent. times is how many earlier creates
// of the person had an unknown outcome.
func (l *pipeline) intend(w *work, d create, times int) error {
	op := Op{ObjectID: w.known.ObjectID, ID: w.entry.ChangeID, Kind: w.m.kind, Keys: d.keys, Sent: l.r.e.Now(), Times: times, Cycle: l.cycle, Drawn: d.drawn}
	w.known.Op, w.known.resolved = &op, false
	return l.storeBeforeSending(w, Outcome{ObjectID: op.ObjectID, Intent: &op})
}

// storeBeforeSending stores the outcome o, which says that a request about a person is about to be
// sent. It returns when the outcome is on disk.
func (l *pipeline) storeBeforeSending(w *work, o Outcome) error {
	saved := make(chan error, 1)
	if w.known.Lane != Leavers { // while this worker waits, no other worker may take its place and overtake a leaver
		l.workersSaving.Add(1)
		l.wakeTheFeed()
		defer l.workersSaving.Add(-1)
	}
	send(l.goroutines, l.records, record{outcome: o, saved: saved})
	return receive(l.goroutines, saved)
}

// judgeFailure separates failures of the connection from failures of people. If a connection test
// fails too, no person's failure is recorded and the job waits. A pause that the target asked for
// is not a person's failure either.
func (l *pipeline) judgeFailure(ctx context.Context, w *work) {
	te := w.problem()
	switch {
	case te == nil:
	case !te.postponed.IsZero():
		if d, creating := w.decision.(create); creating && te.Status == 0 {
			l.memo.rememberSearch(w.known.ObjectID, d.keys, l.r.e.Now())
		}
		w.postpone(te.postponed, te.Detail)
	case te.Kind == Throttled: // a failure of the person: the request met too many pauses, or may have been carried out
	case mayConcernConnection(te):
		if l.testConnectionAfterFailure(ctx, te) != nil {
			w.postpone(l.r.e.Now(), te.Detail)
		}
	}
}

// testConnectionAfterFailure tests the connection after a failure, and returns the problem of the
// connection, or nil if it works. Failures that occur during a test share its result. If a test
// succeeded just before, only a failure that would affect everyone causes another test.
func (l *pipeline) testConnectionAfterFailure(ctx context.Context, te *TargetError) *TargetError {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connectionProblem != nil {
		return l.connectionProblem
	}
	if affectsEveryone(te) {
		l.failuresBeingTested++
		defer func() { l.failuresBeingTested--; l.wakeTheFeed() }()
	}
	if !affectsEveryone(te) && l.r.e.Now().Before(l.lastTestSuccess.Add(connectionProofTime)) {
		return nil
	}
	if running := l.testEnded; running != nil {
		l.mu.Unlock()
		receive(l.goroutines, running)
		l.mu.Lock()
		return l.lastTestProblem
	}
	running := make(chan struct{})
	l.testEnded = running
	l.mu.Unlock()
	problem := asProblem(l.r.testAgain(ctx))
	l.mu.Lock()
	if problem != nil && problem.Kind == Throttled {
		problem = nil // the target answers, so the connection works
	}
	l.lastTestProblem, l.testEnded, l.connectionProblem = problem, nil, problem
	if problem == nil {
		l.lastTestSuccess = l.r.e.Now()
	}
	close(running)
	return problem
}

// fail ends the slice because of an error of this installation, such as a failed write to the
// store. It does nothing if the slice is over already.
func (l *pipeline) fail(err error) {
	if errors.Is(err, errSliceIsOver) {
		return
	}
	l.mu.Lock()
	l.installationError = errors.Join(l.installationError, err)
	l.mu.Unlock()
	l.wakeTheFeed()
}

// recorder commits records, many at a time. A worker waits for each intent, and has sent no request
// yet, so intents are committed soon. No worker waits for an outcome, so outcomes are committed
// when there are many or after outcomeTime. That writes far fewer pages of the database than adding
// a few outcomes to each commit of intents. A worker waits for results about memberships, too. But
// they are committed like outcomes, as long as other workers have something to do: the results of
// one group change hundreds of rows, and rows of several groups are in the same pages.
func (l *pipeline) recorder(ctx context.Context) {
	var w waitingRecords
	var soon, late <-chan time.Time
	for open := true; open; {
		self, all, now := l.goroutines.self(), tryReceive(l.commitAtOnce), false
		if !all {
			select {
			case one, ok := <-l.records:
				open = ok
				w.add(one, ok)
			case <-l.commitAtOnce:
				all = true
			case <-soon:
				now = true
			case <-late:
				all = true
			}
		}
		l.goroutines.turn(self)
		if len(w.intents) > 0 && soon == nil {
			soon = l.goroutines.after(intentTime)
		}
		if len(w.outcomes) > 0 && late == nil {
			late = l.goroutines.after(outcomeTime)
		}
		doAllWait := int64(len(w.intents)+w.memberships) >= l.runningWorkers.Load()
		all = all || !open || len(w.outcomes) >= maxWaitingOutcomes || w.memberChanges >= maxWaitingMembers || doAllWait && w.memberships > 0
		if now = now || all || doAllWait; !now || len(w.intents) == 0 && !all {
			continue
		}
		for there := open; there && w.count() < maxRecordsPerCommit && w.memberChanges < maxWaitingMembers; {
			select {
			case one, ok := <-l.records:
				open, there = ok, ok
				w.add(one, ok)
			default:
				there = false
			}
		}
		batch := w.intents
		soon = nil
		if all || !open {
			batch = append(batch, w.outcomes...)
			w, late = waitingRecords{}, nil
		} else {
			w.intents = nil
		}
		if len(batch) > 0 {
			l.reportCommit(batch, l.commit(ctx, batch))
		}
	}
}

// waitingRecords are the records that wait for the recorder's next commit.
type waitingRecords struct {
	intents       []record
	outcomes      []record // the other records
	memberships   int      // how many of these are results about memberships
	memberChanges int      // how many memberships those results are about
}

// add adds a record. If ok is false, there is no record.
func (w *waitingRecords) add(one record, ok bool) {
	m := one.outcome.Memberships
	switch {
	case !ok:
	case m != nil:
		w.outcomes = append(w.outcomes, one)
		w.memberships++
		w.memberChanges += len(m.Outcomes) + len(m.Others)
	case one.saved != nil:
		w.intents = append(w.intents, one)
	default:
		w.outcomes = append(w.outcomes, one)
	}
}

// count returns how many intents and outcomes wait.
func (w *waitingRecords) count() int { return len(w.intents) + len(w.outcomes) }

// reportCommit passes the result of a commit on: to the workers that wait for their records, and to
// the feed, for which the objects with outcomes are no longer in hand. An error ends the slice.
func (l *pipeline) reportCommit(batch []record, err error) {
	var ids []string
	for _, one := range batch {
		if one.saved != nil {
			one.saved <- err
			continue
		}
		if one.afterCommit != nil {
			one.afterCommit()
		}
		ids = append(ids, one.outcome.ObjectID)
	}
	if err != nil {
		l.fail(err)
	}
	if len(ids) > 0 {
		send(l.goroutines, l.messages, feedMessage{released: ids})
	}
}

// commit stores a batch in one transaction, together with the state, whose numbers then include the
// batch. After that, it shows the new log entries to people who watch the cycle.
func (l *pipeline) commit(ctx context.Context, batch []record) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	outcomes := make([]Outcome, len(batch))
	for i, one := range batch {
		outcomes[i] = one.outcome
	}
	r := l.r
	if err := r.changeState(func(s *State) {
		s.InFlight, s.UnsureAttributes, s.UnsureSince = slices.Clone(s.InFlight), maps.Clone(s.UnsureAttributes), maps.Clone(s.UnsureSince)
		for i, o := range outcomes {
			if o.Memberships != nil {
				if !batch[i].isOfPlan && s.Phase != Idle { // what is sent on demand while no cycle runs belongs to no cycle
					s.Cycle.countMembers(o.Memberships)
				}
				continue
			}
			if o.Judge != nil || o.Planned.Result == PlanLeftOut {
				continue
			}
			if s.Phase != Idle {
				s.Cycle.count(o)
			}
			s.updateInFlight(o, r.e.Now())
		}
		s.Dialect = r.target.Dialect()
		s.Pace = l.pacer.learned()
	}, func(s State) error { return r.e.Store.Record(ctx, r.fence, s, outcomes) }); err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.Entry != nil {
			if err := r.showEntry(o.Entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// updateInFlight adds an object to InFlight if its update or deletion is about to be sent, and
// removes the object if the outcome is known.
func (s *State) updateInFlight(o Outcome, now time.Time) {
	at := slices.Index(s.InFlight, o.ObjectID)
	switch {
	case o.AboutToSend:
		if at < 0 {
			s.InFlight = append(s.InFlight, o.ObjectID)
		}
		if s.UnsureAttributes == nil {
			s.UnsureAttributes = map[string][]string{}
		}
		if s.UnsureSince == nil {
			s.UnsureSince = map[string]time.Time{}
		}
		s.UnsureSince[o.ObjectID] = now
		all := slices.Concat(s.UnsureAttributes[o.ObjectID], o.GivenAttributes) // the outcome of an earlier update may still be unknown
		slices.Sort(all)
		s.UnsureAttributes[o.ObjectID] = slices.Compact(all)
	case o.Intent == nil && !o.OutcomeUnknown && at >= 0:
		s.InFlight = slices.Delete(s.InFlight, at, at+1)
		delete(s.UnsureAttributes, o.ObjectID)
		delete(s.UnsureSince, o.ObjectID)
	}
}

// attributesGivenValues returns the attributes to which the changes give a value.
func attributesGivenValues(changes []Change) []string {
	var names []string
	for _, c := range changes {
		if c.New != nil {
			names = append(names, c.Path)
		}
	}
	return names
}

// memo remembers people for a short time if a search found no account for them and the create was
// postponed. The next attempt can then skip the search. memo also remembers groups that seem to
// have lost all members, and the lists of accounts and groups.
type memo struct {
	began             time.Time    // when the memo was made
	settings          string       // identifies the settings of the job for which the memo was made
	users, groups     *accountList // the lists of all accounts and of all groups, for a target that compares case in searches
	mu                sync.Mutex
	fruitlessSearches map[string]fruitlessSearch // the searches that found no account, by object id
	suspected         map[string]suspicion       // the groups that seem to have lost all members, by object id
	membersProved     [2]time.Time               // when the target last proved that it carried out an addition (0) or a removal (1) of members
	membersCut        map[string]int             // how many members a request about a group may carry, because the slice ended while refused members were isolated; by object id
	membersAdded      map[thing]time.Time        // when accounts were last added to groups; old entries may be missing
	newKeys           map[thing]newKey           // the matching values that accounts have just got
	newKeysPruned     time.Time                  // when old values were last removed from newKeys
}

// memberProofTime is how long the engine trusts that the target carries out changes of members,
// after it has checked one change. When that time is over, it checks the next change too.
const memberProofTime = 10 * time.Minute

// recordMemberProof records that the target has carried out an addition or a removal of members.
func (m *memo) recordMemberProof(removing bool, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.membersProved[indexOf(removing)] = now
}

// mostAdded is how many entries membersAdded has at most before those that no longer matter are
// removed.
const mostAdded = 1000

// recordAdditions records that these accounts were added to a group. settle is how long that matters.
func (m *memo) recordAdditions(group string, accounts []string, now time.Time, settle time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.membersAdded) >= mostAdded {
		maps.DeleteFunc(m.membersAdded, func(_ thing, at time.Time) bool { return !now.Before(at.Add(settle)) })
	}
	for _, id := range accounts {
		m.membersAdded[membership(group, id)] = now
	}
}

// additionOf returns when an account was last added to a group; zero if that is not known.
func (m *memo) additionOf(group, account string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.membersAdded[membership(group, account)]
}

// membership returns the membership of an account in a group as a key of membersAdded.
func membership(group, account string) thing { return thingOf(group + " " + account) }

// hasProvedMembers reports whether the target has carried out an addition or a removal of members
// less than memberProofTime ago.
func (m *memo) hasProvedMembers(removing bool, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.membersProved[indexOf(removing)].Add(memberProofTime))
}

// indexOf returns the index in memo.membersProved: 0 for additions of members, 1 for removals.
func indexOf(removing bool) int {
	if removing {
		return 1
	}
	return 0
}

func newMemo(settings string, now time.Time) *memo {
	return &memo{
		began:    now,
		settings: settings, users: newAccountList(), groups: newAccountList(), fruitlessSearches: map[string]fruitlessSearch{}, suspected: map[string]suspicion{},
		membersCut: map[string]int{}, membersAdded: map[thing]time.Time{}, newKeys: map[thing]newKey{},
	}
}

// suspect remembers that a group seems to have lost all members.
func (m *memo) suspect(group string, s suspicion) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspected[group] = s
}

// suspicion returns what suspect has remembered about a group. It returns false if there is
// nothing.
func (m *memo) suspicion(group string) (s suspicion, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, is = m.suspected[group]
	return s, is
}

// clearSuspicion forgets that a group seemed to have lost all members.
func (m *memo) clearSuspicion(group string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.suspected, group)
}

// cutMembers remembers that requests about a group may carry at most this many members.
func (m *memo) cutMembers(group string, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before := m.membersCut[group]; before == 0 || before > most {
		m.membersCut[group] = most
	}
}

// mostMembersOf returns how many members a request about a group may carry; 0 means that there is
// no limit for the group.
func (m *memo) mostMembersOf(group string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.membersCut[group]
}

// forgetCut forgets what cutMembers has remembered about a group.
func (m *memo) forgetCut(group string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.membersCut, group)
}

// newKey is a matching value that an account has just got.
type newKey struct {
	objectID string // the object that has the account
	at       time.Time
}

// rememberNewKeys remembers for a short time that the account of an object got matching values.
func (m *memo) rememberNewKeys(values []thing, objectID string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.newKeysPruned) > memoTime {
		m.newKeysPruned = now
		maps.DeleteFunc(m.newKeys, func(_ thing, k newKey) bool { return now.Sub(k.at) > memoTime })
	}
	for _, value := range values {
		m.newKeys[value] = newKey{objectID, now}
	}
}

// newAccountWith returns the other object whose account has just got a matching value, and when it
// got the value. It returns "" if there is none.
func (m *memo) newAccountWith(value thing, objectID string, now time.Time) (owner string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, is := m.newKeys[value]
	if !is || k.objectID == objectID || now.Sub(k.at) > memoTime {
		return "", time.Time{}
	}
	return k.objectID, k.at
}

// fruitlessSearch is a search that found no account.
type fruitlessSearch struct {
	keys []MatchKey
	at   time.Time
}

// memoTime is how long a memo remembers a search.
const memoTime = 2 * time.Minute

// rememberSearch remembers that a search for an object by these matching values found no account.
func (m *memo) rememberSearch(objectID string, keys []MatchKey, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fruitlessSearches[objectID] = fruitlessSearch{keys, now}
}

// takeRememberedSearch returns the matching values for which a recent search for this object found
// no account, and forgets them. It returns nil if there was no such search.
func (m *memo) takeRememberedSearch(objectID string, now time.Time) []MatchKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.fruitlessSearches[objectID]
	delete(m.fruitlessSearches, objectID)
	if !ok || now.Sub(s.at) > memoTime {
		return nil
	}
	return s.keys
}
