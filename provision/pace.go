package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is a kind of request to a target. When a target asks for a pause, only one kind of
// request pauses.
type Request string

// Kinds of requests.
const (
	SearchRequest Request = "search"
	ReadRequest   Request = "read"
	CreateRequest Request = "create"
	UpdateRequest Request = "update"
	DeleteRequest Request = "delete"
)

// groupKind is the prefix of a kind of request about groups. Such requests pause separately: a
// target that takes no changes of groups may take those of accounts.
const groupKind = "group "

// ofGroups returns the kind for the same requests about groups.
func (q Request) ofGroups() Request { return groupKind + q }

// plural returns the words for several requests of this kind.
func (q Request) plural() string {
	if of, groups := strings.CutPrefix(string(q), groupKind); groups {
		return Request(of).plural() + " of groups"
	}
	return map[Request]string{SearchRequest: "searches", ReadRequest: "reads", CreateRequest: "creates", UpdateRequest: "updates", DeleteRequest: "deletes"}[q]
}

// Pace says how fast the job may send requests to a target, as far as the job has learned it. It is
// stored with the state, so that a restart does not cause the same refusals again.
type Pace struct {
	Rate  float64              `json:"rate,omitempty"`  // the largest number of requests per second; 0 means that no limit is known
	Kinds map[Request]KindPace `json:"kinds,omitempty"` // the pace for each kind of request

	// Kept is how much longer the rate is kept before a higher rate is tried. It is negative if
	// higher rates are being tried. It is stored so that this time does not begin anew in each
	// slice.
	Kept    time.Duration `json:"kept,omitempty"`
	Holding time.Duration `json:"holding,omitempty"` // how long the current rate is kept before a higher rate is tried
	Step    float64       `json:"step,omitempty"`    // the factor by which the rate grows each second
}

// KindPace is the pace for one kind of request.
type KindPace struct {
	Width float64   `json:"width"`           // how many requests may run at the same time
	Until time.Time `json:"until,omitzero"`  // the end of the pause that the target asked for; zero if it asked for none
	Times int       `json:"times,omitempty"` // how many pauses there were since the last success
}

const (
	firstWidth   = 8                // how many requests of a kind may run at the same time at first
	defaultPause = 30 * time.Second // the length of a pause if the target names none
	// longestRatePause is the longest pause from which a rate is computed. A longer one, such as an
	// hour because all licenses are used, says nothing about the rate of other requests.
	longestRatePause = time.Minute
	// maxCreatePauses is how many pauses in a row a create may meet before the person fails. An
	// application without free licenses may answer 429 permanently.
	maxCreatePauses = 5

	searchHold = 2 * time.Second   // how long a rate is tried while the target's rate is searched for
	firstHold  = 20 * time.Second  // how long a learned rate is kept at first before a higher rate is tried
	maxHold    = 160 * time.Second // the longest time that a learned rate is kept
	// maxTrial limits the time that counts, at the start of a slice, as time in which higher rates
	// were tried. After a while without requests, the rate must not grow too quickly.
	maxTrial = 20 * time.Second
)

// pacer decides when requests to a target may begin. Each kind of request has a width: the number
// of requests that may run at the same time. The width grows while requests succeed, and is halved
// when the target asks for a pause. After its first pause, the target also has a rate for all
// kinds: the requests per second that it accepted. Among waiting requests, the most urgent lane
// goes first.
type pacer struct {
	now          func() time.Time
	after        func(time.Duration) <-chan time.Time
	end          time.Time // the time after which no request begins
	maxWidth     float64   // how many requests of one kind may run at the same time, at most
	onWaitChange func()    // called when a request begins to wait or ends waiting; may be nil
	// stopped reports whether the run was stopped, so that no further request may begin. It may be
	// nil.
	stopped    func() bool
	goroutines goroutines

	mu      sync.Mutex
	gates   map[Request]*gate // the limits of each kind of request
	waiting []*waiter
	ready   []*waiter // prepared requests that wait for a running one to end, or for the end of a pause; they go first
	alarm   time.Time // when the timer next checks whether a waiting request may begin; zero if no timer runs
	closed  bool      // whether waiting and later requests give up

	rate        float64       // the largest number of requests per second; 0 means that no limit is known
	next        time.Time     // when the rate allows the next request to begin
	raised      time.Time     // the time up to which the growth of the rate has been computed
	raiseAfter  time.Time     // the time before which no higher rate is tried
	holding     time.Duration // how long the current rate is kept before a higher rate is tried
	low, high   float64       // while the target's rate is searched for: a rate that it seems to accept, and one that it refused; otherwise high is 0
	step        float64       // the factor by which the rate grows each second
	since       time.Time     // the start of the period in which successes are counted
	slowed      time.Time     // when the rate was last lowered
	answerTimes []time.Time   // when the target answered the requests of this period, the earliest time first
}

// gate limits the requests of one kind.
type gate struct {
	KindPace
	waiting   int           // how many requests wait
	preparing int           // how many requests are being prepared: what must be stored before they are sent
	running   int           // how many requests are running
	halved    time.Time     // when Width was last halved; zero if it was not
	fastest   time.Duration // the shortest time that a request took
	refusal   *TargetError  // the last refusal
}

// waiter is a request that waits.
type waiter struct {
	kind      Request
	gate      *gate
	lane      Lane
	prepares  bool          // whether the request is prepared when its turn comes, and then waits once more
	open      chan struct{} // closed when the waiter may begin or must give up
	wasPaused bool          // for a prepared request: whether it had to wait for the end of a pause
	refusal   *TargetError  // why the waiter must give up; nil if it may begin
}

func newPacer(p Pace, now func() time.Time, after func(time.Duration) <-chan time.Time, end time.Time, most int) *pacer {
	c := &pacer{now: now, after: after, end: end, maxWidth: float64(most), gates: map[Request]*gate{}, rate: p.Rate, since: now(), holding: firstHold, step: slowStep}
	c.raiseAfter = c.since.Add(firstHold)
	if p.Rate > 0 && p.Step > 0 {
		c.raiseAfter, c.holding, c.step = c.since.Add(max(p.Kept, -maxTrial)), p.Holding, p.Step
	}
	kinds := []Request{SearchRequest, ReadRequest, CreateRequest, UpdateRequest, DeleteRequest}
	for _, kind := range kinds[:5:5] {
		kinds = append(kinds, kind.ofGroups())
	}
	for _, kind := range kinds {
		k := p.Kinds[kind]
		if k.Width < 1 {
			k.Width = firstWidth
		}
		k.Width = min(k.Width, c.maxWidth)
		c.gates[kind] = &gate{KindPace: k}
	}
	return c
}

const (
	slowStep  = 1.01 // growth per second of a rate that was measured
	quickStep = 2    // growth per second of a rate that was guessed after a burst
)

// learned returns the pace that the pacer has learned, to store it with the state.
func (c *pacer) learned() Pace {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := Pace{Rate: c.rate, Kinds: map[Request]KindPace{}}
	if c.rate > 0 {
		p.Kept, p.Holding, p.Step = c.raiseAfter.Sub(c.now()), c.holding, c.step
	}
	for kind, g := range c.gates {
		if g.KindPace != (KindPace{Width: firstWidth}) {
			p.Kinds[kind] = g.KindPace
		}
	}
	return p
}

// paused returns the end of a pause for a kind of request, or zero if there is none.
func (c *pacer) paused(kind Request) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := c.gates[kind].Until; c.now().Before(until) {
		return until
	}
	return time.Time{}
}

// why says in words why a kind of request waits.
func (c *pacer) why(kind Request) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.postponedError(kind, c.gates[kind], time.Time{}).Detail
}

// waits returns how many requests wait.
func (c *pacer) waits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}

// pausedUntil returns the end of a pause for a kind of request, or zero if there is none.
func (p Pace) pausedUntil(kind Request, now time.Time) time.Time {
	if until := p.Kinds[kind].Until; now.Before(until) {
		return until
	}
	return time.Time{}
}

// pausing returns a copy of the pace in which one kind of request pauses until a time, and in which
// half as many requests of this kind as before may run at the same time.
func (p Pace) pausing(kind Request, until time.Time) Pace {
	kinds := maps.Clone(p.Kinds)
	if kinds == nil {
		kinds = map[Request]KindPace{}
	}
	k := kinds[kind]
	k.Width, k.Until = max(1, k.Width/2), latest(k.Until, until)
	kinds[kind] = k
	p.Kinds = kinds
	return p
}

// waitForTurn waits until a request may begin. It returns an error if the request cannot begin
// before the end of the slice. If prepare is not nil, waitForTurn calls it when the request's turn
// has come, and returns its error. The width limits the requests that are being prepared and, apart
// from them, those that run: a request that is not ready yet takes no place from one that is.
func (c *pacer) waitForTurn(ctx context.Context, kind Request, lane Lane, prepare func(context.Context) error) error {
	w := &waiter{kind: kind, gate: c.gates[kind], lane: lane, prepares: prepare != nil, open: make(chan struct{})}
	if err := c.waitFor(ctx, w); err != nil || prepare == nil {
		return err
	}
	err := prepare(ctx)
	ready := &waiter{kind: kind, gate: w.gate, lane: lane, open: make(chan struct{})}
	c.mu.Lock()
	w.gate.preparing--
	if err == nil {
		c.ready = append(c.ready, ready)
	}
	c.letBegin()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.waitUntilOpen(ctx, ready)
}

// waitFor waits until the turn of a waiter has come.
func (c *pacer) waitFor(ctx context.Context, w *waiter) error {
	c.mu.Lock()
	at := len(c.waiting)
	for at > 0 && c.waiting[at-1].lane > w.lane {
		at--
	}
	c.waiting = slices.Insert(c.waiting, at, w)
	w.gate.waiting++
	c.letBegin()
	waits := slices.Contains(c.waiting, w)
	c.mu.Unlock()
	if waits {
		c.notifyWaitChange()
		defer c.notifyWaitChange()
	}
	return c.waitUntilOpen(ctx, w)
}

// waitUntilOpen waits until a listed waiter may begin, must give up, or is cancelled.
func (c *pacer) waitUntilOpen(ctx context.Context, w *waiter) error {
	self := c.goroutines.self()
	select {
	case <-w.open:
		c.goroutines.turn(self)
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		if i := slices.Index(c.waiting, w); i >= 0 {
			c.waiting = slices.Delete(c.waiting, i, i+1)
			w.gate.waiting--
			return ctx.Err()
		}
		if i := slices.Index(c.ready, w); i >= 0 {
			c.ready = slices.Delete(c.ready, i, i+1)
			return ctx.Err()
		}
	}
	if w.refusal != nil {
		return w.refusal
	}
	return nil
}

func (c *pacer) notifyWaitChange() {
	if c.onWaitChange != nil {
		c.onWaitChange()
	}
}

// close makes all waiting and later requests give up.
func (c *pacer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.letBegin()
}

// letBegin starts the waiting requests that may begin now. The caller must hold c.mu.
func (c *pacer) letBegin() {
	now := c.now()
	var look time.Time    // when to check again
	left := c.waiting[:0] // requests that still wait move to the front of the same array
	var full []*gate      // gates where no request may begin before a running one ends
	stop := false         // whether none of the requests that follow in the list may begin now
	closed := c.closed || c.stopped != nil && c.stopped()
	look = c.letReadyBegin(now, closed)
	for i, w := range c.waiting {
		g := w.gate
		begin, may := c.mayBegin(w, now)
		switch {
		case closed || begin.After(c.end):
			w.refusal = c.postponedError(w.kind, g, begin)
			g.waiting--
			close(w.open)
		case !may && begin.IsZero(): // letBegin checks this request again when a running request ends
			left = append(left, w)
			if !slices.Contains(full, g) {
				full = append(full, g)
				stop = c.onlyWaitAt(full)
			}
		case !may:
			look = earliest(look, begin)
			left = append(left, w)
			stop = c.rate > 0 && begin.Equal(c.next)
		default:
			if w.prepares {
				g.preparing++
			} else {
				g.running++
			}
			g.waiting--
			c.countBegin(now)
			close(w.open)
		}
		if stop {
			left = append(left, c.waiting[i+1:]...)
			break
		}
	}
	c.keepWaiting(left)
	c.wakeAt(now, look)
}

// letReadyBegin starts the prepared requests that may begin now, and returns the time of the next
// check, or zero. The rate counted these requests before they were prepared. It counts those that
// had to wait for the end of a pause once more, so that they do not begin all at once. Even if the
// pacer is closed, prepared requests begin, unless the target asked for a pause: what was stored
// for them says that they are about to be sent. The caller must hold c.mu.
func (c *pacer) letReadyBegin(now time.Time, closed bool) (look time.Time) {
	c.ready = slices.DeleteFunc(c.ready, func(w *waiter) bool {
		g := w.gate
		switch {
		case now.Before(g.Until) && (closed || g.Until.After(c.end)):
			w.refusal = c.postponedError(w.kind, g, g.Until)
		case now.Before(g.Until):
			w.wasPaused = true
			look = earliest(look, g.Until)
			return false
		case !g.hasRoom(g.running):
			return false
		case w.wasPaused && c.rate > 0 && now.Before(c.next):
			look = earliest(look, c.next)
			return false
		default:
			g.running++
			if w.wasPaused {
				c.countBegin(now)
			}
		}
		close(w.open)
		return true
	})
	return look
}

// hasRoom reports whether one more request may run, or be prepared, beside so many others.
func (g *gate) hasRoom(others int) bool { return float64(others) < max(1, g.Width-0.5) }

// onlyWaitAt reports whether all waiting requests belong to these gates.
func (c *pacer) onlyWaitAt(gates []*gate) bool {
	for _, g := range c.gates {
		if g.waiting > 0 && !slices.Contains(gates, g) {
			return false
		}
	}
	return true
}

// keepWaiting sets the list of waiting requests to left, which is the first part of the same array.
// It clears the rest of the array.
func (c *pacer) keepWaiting(left []*waiter) {
	clear(c.waiting[len(left):])
	c.waiting = left
}

// mayBegin reports whether a request may begin now. If it may not, at is the time at which it may
// begin; the zero time means that it may begin after a running request has ended.
func (c *pacer) mayBegin(w *waiter, now time.Time) (at time.Time, may bool) {
	g := w.gate
	others := g.running
	if w.prepares {
		others = g.preparing
	}
	switch {
	case now.Before(g.Until):
		return g.Until, false
	case !g.hasRoom(others):
		return time.Time{}, false
	case c.rate > 0 && now.Before(c.next):
		return c.next, false
	case now.After(c.end):
		return now, false
	}
	return now, true
}

// countBegin counts a request that begins, and sets the time at which the next request may begin.
// It also raises the rate if there was no refusal for long enough.
func (c *pacer) countBegin(now time.Time) {
	if c.rate <= 0 {
		return
	}
	switch {
	case !now.After(c.raiseAfter):
	case c.high > 0: // the rate was accepted, so the search goes on above it
		c.searchRate(c.rate, c.high)
		c.raiseAfter = now.Add(c.holding)
	default:
		seconds := min(now.Sub(latest(c.raised, c.raiseAfter)).Seconds(), 1)
		// After a while without refusals, the rate grows faster and faster.
		c.rate *= 1 + min(1, (c.step-1)*math.Exp2(now.Sub(c.raiseAfter).Seconds()/10))*seconds
	}
	c.raised = now
	gap := time.Duration(float64(time.Second) / c.rate)
	c.next = latest(c.next, now.Add(-gap)).Add(gap)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// postponedError returns the error for a request that cannot begin in this slice.
func (c *pacer) postponedError(kind Request, g *gate, until time.Time) *TargetError {
	te := &TargetError{Kind: Throttled, Code: "TooManyRequests", Detail: "It is not the turn of this request yet.", postponed: latest(until, c.now())}
	if c.now().Before(g.Until) {
		te.Detail = fmt.Sprintf("The application asked for a pause of %s (HTTP %d).", kind.plural(), g.status())
	}
	return te
}

// status returns the HTTP status of the last refusal.
func (g *gate) status() int {
	if g.refusal == nil {
		return 429 // the pause was kept from an earlier slice
	}
	return g.refusal.Status
}

// wakeAt starts a timer that calls letBegin at the time at. It does nothing if at is zero, or if a
// running timer calls letBegin earlier.
func (c *pacer) wakeAt(now, at time.Time) {
	if at.IsZero() || !c.alarm.IsZero() && !at.Before(c.alarm) {
		return
	}
	c.alarm = at
	timer := c.after(at.Sub(now))
	c.goroutines.start(func() {
		receive(c.goroutines, timer)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.alarm.Equal(at) {
			c.alarm = time.Time{}
		}
		c.letBegin()
	})
}

// endRequest ends a request that began at the time began, with the result err. again reports
// whether to send the request again, because the target only asked for a pause.
func (c *pacer) endRequest(kind Request, began time.Time, err error) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, now := c.gates[kind], c.now()
	g.running--
	defer c.letBegin()
	var te *TargetError
	if !errors.As(err, &te) || te.Kind != Throttled {
		if err == nil || te != nil && te.Status != 0 {
			c.countSuccess(g, now, now.Sub(began))
		}
		return false
	}
	g.refusal = te
	pause := orDefault(te.RetryAfter, defaultPause)
	if began.After(g.halved) || g.halved.IsZero() { // ignore refusals of requests that began before the last halving
		g.Times++
		g.Width = max(1, g.Width/2)
		g.halved = now
		if began.After(c.slowed) && !now.Before(c.since) && pause <= longestRatePause {
			c.lowerRate(now, pause)
		}
	}
	g.Until = latest(g.Until, now.Add(pause))
	if groups, people := c.gates[kind.ofGroups()]; people { // a pause of requests about people holds for groups, too
		groups.Until = latest(groups.Until, g.Until)
	}
	creates := kind == CreateRequest || kind == CreateRequest.ofGroups()
	return !te.Sent && (!creates || g.Times <= maxCreatePauses)
}

// countSuccess counts a request that the target answered. If requests do not take longer than
// before, it widens the gate.
func (c *pacer) countSuccess(g *gate, now time.Time, took time.Duration) {
	g.Times = 0
	if g.fastest == 0 || took < g.fastest {
		g.fastest = took
	}
	// When each request takes twice as long, a greater width no longer helps.
	if float64(g.running+1) >= g.Width-1 && took <= max(2*g.fastest, g.fastest+10*time.Millisecond) {
		more := 1 / g.Width
		if g.halved.IsZero() {
			more = 1 // there was no refusal yet, so the width doubles with each round
		}
		g.Width = min(c.maxWidth, g.Width+more)
	}
	c.answerTimes = append(c.answerTimes, now)
	if len(c.answerTimes) > 4096 {
		c.answerTimes = slices.Delete(c.answerTimes, 0, 2048)
	}
}

// lowerRate lowers the target's rate after a refusal. It computes the rate from the requests that
// the target accepted shortly before.
func (c *pacer) lowerRate(now time.Time, pause time.Duration) {
	accepted := float64(len(c.answerTimes))
	if accepted == 0 {
		c.since = now.Add(pause)
		return // no request was accepted, so there is no rate to measure
	}
	elapsed := now.Sub(c.since)
	before := c.rate
	switch {
	case c.rate == 0 && elapsed >= time.Second: // the first refusal: measure the time just before it
		high := max(firstWidth/2, c.acceptedRate(now, min(elapsed, 2*time.Second)))
		c.searchRate(min(high, max(firstWidth/2, accepted/(elapsed+pause).Seconds())), high)
	case c.rate == 0: // a refused burst: count the accepted requests over the elapsed time plus the pause
		c.rate = max(firstWidth/2, accepted/(elapsed+pause).Seconds())
		c.step, c.holding = quickStep, 0
	case c.step == quickStep: // the rate doubled each second: measure the last second
		high := min(c.rate, 1.2*c.acceptedRate(now, min(elapsed, time.Second)))
		c.searchRate(high/2, high)
	case c.high > 0 && c.rate >= 1.1*c.low:
		c.searchRate(c.low, c.rate)
	case c.high > 0: // the target refused a rate that it seemed to accept
		c.searchRate(max(accepted/now.Sub(c.slowed).Seconds(), 0.8*c.rate), c.rate)
	case elapsed > 5*time.Second:
		c.rate = 0.97 * min(c.rate, c.acceptedRate(now, 2*time.Second))
		c.step, c.holding = slowStep, min(max(2*c.holding, firstHold), maxHold)
	default:
		c.rate *= 0.95
		if elapsed >= time.Second { // less than a second is too short to measure
			c.rate = min(c.rate, c.acceptedRate(now, min(elapsed, 2*time.Second)))
		}
		c.step, c.holding = slowStep, firstHold
	}
	// The target may have accepted few requests only because few were sent. So one refusal never
	// lowers the rate by more than half.
	c.rate = max(c.rate, before/2, 0.1)
	c.slowed, c.since = now, now.Add(pause)
	c.raiseAfter, c.raised, c.next = c.since.Add(c.holding), c.since, now
	c.answerTimes = c.answerTimes[:0]
}

// searchRate searches for the target's rate between a rate that the target seems to accept and one
// that it refused. It tries a rate between them, nearer to the lower one, because a refusal costs a
// pause. When the two are close, the search ends with the lower one.
func (c *pacer) searchRate(low, high float64) {
	c.low, c.high, c.rate = low, high, math.Cbrt(low*low*high)
	c.step, c.holding = slowStep, searchHold
	if high < 1.06*low {
		c.rate, c.high, c.holding = low, 0, firstHold
	}
}

// acceptedRate returns how many requests per second the target accepted in a window of time.
func (c *pacer) acceptedRate(now time.Time, window time.Duration) float64 {
	at, _ := slices.BinarySearchFunc(c.answerTimes, now.Add(-window), time.Time.Compare)
	return float64(len(c.answerTimes)-at) / max(window, time.Second/4).Seconds()
}

// request holds the data about a request's object that the pacer needs. It is passed in the
// request's context.
type request struct {
	lane        Lane
	before      func(ctx context.Context) error // called right before a request of the kind beforeKind is sent; may be nil
	beforeKind  Request
	knownAbsent []MatchKey // values for which a search has just found no account; the next Find for each sends no search
}

type requestKey struct{}

// withRequest puts the request into the context, in which pacedTarget finds it.
func withRequest(ctx context.Context, r *request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{lane: Checks}
}

// pacedTarget is a target whose requests wait for the pacer. If the target only asks for a pause,
// pacedTarget sends the request again after the pause. So the caller need not repeat earlier steps.
type pacedTarget struct {
	Target
	pacer  *pacer
	groups bool // whether the requests are about groups
}

// do waits until the pacer allows a request of this kind, and sends it. If the target throttles the
// request and the pacer asks for another attempt, do sends it again.
func (t pacedTarget) do(ctx context.Context, kind Request, send func() error) error {
	r, beforeKind := requestOf(ctx), kind
	if t.groups {
		kind = kind.ofGroups()
	}
	for {
		var prepare func(context.Context) error
		if beforeKind == r.beforeKind {
			prepare = r.before
		}
		if err := t.pacer.waitForTurn(ctx, kind, r.lane, prepare); err != nil {
			return err
		}
		began := t.pacer.now()
		err := send()
		if !t.pacer.endRequest(kind, began, err) {
			return err
		}
	}
}

func (t pacedTarget) Test(ctx context.Context, path string, typ AttributeType) error {
	return t.do(ctx, SearchRequest, func() error { return t.Target.Test(ctx, path, typ) })
}

func (t pacedTarget) Find(ctx context.Context, path string, value any) (found []TargetObject, err error) {
	r := requestOf(ctx)
	if i := slices.IndexFunc(r.knownAbsent, func(k MatchKey) bool { return k.Path == path && text(k.Value) == text(value) }); i >= 0 {
		r.knownAbsent = slices.Delete(slices.Clone(r.knownAbsent), i, i+1)
		return nil, nil
	}
	err = t.do(ctx, SearchRequest, func() error {
		found, err = t.Target.Find(ctx, path, value)
		return err
	})
	return found, err
}

func (t pacedTarget) List(ctx context.Context, start, count int) (page ObjectPage, err error) {
	err = t.do(ctx, SearchRequest, func() error {
		page, err = t.Target.List(ctx, start, count)
		return err
	})
	return page, err
}

func (t pacedTarget) Get(ctx context.Context, id string) (o TargetObject, err error) {
	err = t.do(ctx, ReadRequest, func() error {
		o, err = t.Target.Get(ctx, id)
		return err
	})
	return o, err
}

func (t pacedTarget) Create(ctx context.Context, changes []Change) (o TargetObject, err error) {
	err = t.do(ctx, CreateRequest, func() error {
		o, err = t.Target.Create(ctx, changes)
		return err
	})
	return o, err
}

func (t pacedTarget) Patch(ctx context.Context, id string, changes []Change) (o TargetObject, err error) {
	err = t.do(ctx, UpdateRequest, func() error {
		o, err = t.Target.Patch(ctx, id, changes)
		return err
	})
	return o, err
}

// pacedGroups is a target of groups whose requests wait for the pacer.
type pacedGroups struct {
	pacedTarget
	members GroupTarget
}

func (t pacedGroups) ListWithMembers(ctx context.Context, start, count int) (page ObjectPage, err error) {
	err = t.do(ctx, SearchRequest, func() error {
		page, err = t.members.ListWithMembers(ctx, start, count)
		return err
	})
	return page, err
}

func (t pacedGroups) AddMembers(ctx context.Context, group string, members []string) error {
	return t.do(ctx, UpdateRequest, func() error { return t.members.AddMembers(ctx, group, members) })
}

func (t pacedGroups) RemoveMembers(ctx context.Context, group string, members []string) error {
	return t.do(ctx, UpdateRequest, func() error { return t.members.RemoveMembers(ctx, group, members) })
}

func (t pacedGroups) HasMember(ctx context.Context, group, member string) (has bool, err error) {
	err = t.do(ctx, SearchRequest, func() error {
		has, err = t.members.HasMember(ctx, group, member)
		return err
	})
	return has, err
}

func (t pacedTarget) Delete(ctx context.Context, id string) error {
	return t.do(ctx, DeleteRequest, func() error { return t.Target.Delete(ctx, id) })
}
