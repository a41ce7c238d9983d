package provision

import (
	"context"
	"fmt"

	"github.com/rollcall-scim/rollcall/event"
)

// The breaker stops a job whose target answers searches but refuses every write. It opens, which
// puts the job into quarantine, when the target has refused writes of 20 different objects that had
// not failed before, and has accepted no write in between. The target's last answer is kept as
// evidence. After a pause, the trial begins: the engine sends one write. If the target refuses that
// write, the breaker opens again.

const (
	// refusedInARow is how many different objects the target must refuse before the breaker opens.
	refusedInARow = 20
	// codeWritesRefused is our own code for a target that refuses every write.
	codeWritesRefused = "WritesRefused"
)

// waitToWrite waits until a write may be sent. While the target is on trial, only one write is sent
// at a time. After a refusal, waitToWrite limits the writes under way: even if the target refuses
// all of them, there are no more than refusedInARow refusals. ok is false if the breaker has
// opened, so that no write may be sent. The caller must call ended when its write is over, and also
// if ok is false.
func (l *pipeline) waitToWrite() (ended func(), ok bool) {
	unlock := func() {}
	if l.onlyOneWriteAtATime.Load() {
		l.trialLock.acquire(l.goroutines)
		unlock = l.trialLock.release
		if !l.onlyOneWriteAtATime.Load() {
			unlock()
			unlock = func() {}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.connectionProblem == nil && len(l.refusedObjects) > 0 && len(l.refusedObjects)+l.writesUnderWay >= refusedInARow {
		written := l.writeEnded
		l.mu.Unlock()
		receive(l.goroutines, written)
		l.mu.Lock()
	}
	l.writesUnderWay++
	return func() {
		l.mu.Lock()
		l.writesUnderWay--
		close(l.writeEnded)
		l.writeEnded = make(chan struct{})
		l.mu.Unlock()
		unlock()
	}, l.connectionProblem == nil
}

// countWriteResult looks at the result of a write. It opens the breaker if the target has now
// refused too many writes, or if it has refused the single write of a trial. A write that succeeded
// ends the trial.
func (l *pipeline) countWriteResult(ctx context.Context, w *work) {
	no, refused := w.result.(refusedResult)
	switch {
	case isDone(w.result), w.wrote:
		l.mu.Lock()
		l.refusedObjects = nil
		l.mu.Unlock()
		l.endTrial(ctx)
		return
	case !refused || no.problem.Kind != Permanent && no.problem.Kind != Credentials:
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.known.Escrow == nil && l.refusedObjects == nil {
		l.refusedObjects = map[string]bool{}
	}
	if w.known.Escrow == nil { // do not count an object that has failed before
		l.refusedObjects[w.known.ObjectID] = true
	}
	if len(l.refusedObjects) < refusedInARow && !l.onlyOneWriteAtATime.Load() || l.connectionProblem != nil {
		return
	}
	te := *no.problem
	te.Code = codeWritesRefused
	te.Detail = fmt.Sprintf("The application refused the changes of %d different objects, and took none in between. The last answer: %s", refusedInARow, no.problem.Detail)
	if l.onlyOneWriteAtATime.Load() {
		te.Detail = "The application refused one change that was tried, after it had refused all others. The answer: " + no.problem.Detail
	}
	te.Advice = "Give the Secret Token the right to write, or correct what the answer names. One change is tried again after a pause, and at once when credentials are saved or provisioning is started."
	l.connectionProblem = &te
}

// endTrial ends the trial, if there is one, after the target has accepted a write. It records the
// end of the quarantine.
func (l *pipeline) endTrial(ctx context.Context) {
	if !l.onlyOneWriteAtATime.CompareAndSwap(true, false) {
		return
	}
	lifted := l.r.event(ctx, event.ProvisioningReleased, "The application takes changes again; the quarantine is lifted.")
	if err := l.r.changeState(func(s *State) { s.Trial = nil }, func(s State) error { return l.r.e.Store.SaveState(ctx, l.r.fence, s, lifted) }); err != nil {
		l.fail(err)
	}
}
