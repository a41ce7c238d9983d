package provision

import (
	"context"
	"fmt"

	"github.com/rollcall-scim/rollcall/event"
)

// The breaker stops a job whose target answers searches but refuses every write. It opens, which
// puts the job into quarantine, when the target has refused writes of 20 different objects that had
// not failed before, and has accepted no write in between. The target's last answer is kept as
// evidence. After a pause, the engine tries one write. If the target refuses that write, the
// breaker opens again.

const (
	// refusedInARow is how many different objects the target must refuse before the breaker opens.
	refusedInARow = 20
	// codeWritesRefused is our own code for a target that refuses every write.
	codeWritesRefused = "WritesRefused"
)

// onTrial waits until a write may be sent. While the target is on trial, only one write is sent at
// a time. After a refusal, onTrial limits the writes under way: even if all of them are refused,
// there are no more than refusedInARow refusals. ok is false if the breaker has opened, so that no
// write may be sent. In both cases, the caller must call ended at the end.
func (l *pipeline) onTrial() (ended func(), ok bool) {
	unlock := func() {}
	if l.trial.Load() {
		l.trying.acquire(l.g)
		unlock = l.trying.release
		if !l.trial.Load() {
			unlock()
			unlock = func() {}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.systemic == nil && len(l.refused) > 0 && len(l.refused)+l.writing >= refusedInARow {
		written := l.written
		l.mu.Unlock()
		receive(l.g, written)
		l.mu.Lock()
	}
	l.writing++
	return func() {
		l.mu.Lock()
		l.writing--
		close(l.written)
		l.written = make(chan struct{})
		l.mu.Unlock()
		unlock()
	}, l.systemic == nil
}

// trip looks at the result of a write. It opens the breaker if the target has now refused too many
// writes, or the only write on trial. A write that succeeded ends the trial.
func (l *pipeline) trip(ctx context.Context, w *work) {
	no, refused := w.result.(refusedResult)
	switch {
	case isDone(w.result), w.wrote:
		l.mu.Lock()
		l.refused = nil
		l.mu.Unlock()
		l.endTrial(ctx)
		return
	case !refused || no.problem.Kind != Permanent && no.problem.Kind != Credentials:
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.known.Escrow == nil && l.refused == nil {
		l.refused = map[string]bool{}
	}
	if w.known.Escrow == nil { // do not count an object that has failed before
		l.refused[w.known.ObjectID] = true
	}
	if len(l.refused) < refusedInARow && !l.trial.Load() || l.systemic != nil {
		return
	}
	te := *no.problem
	te.Code = codeWritesRefused
	te.Detail = fmt.Sprintf("The application refused the changes of %d different objects, and took none in between. The last answer: %s", refusedInARow, no.problem.Detail)
	if l.trial.Load() {
		te.Detail = "The application refused one change that was tried, after it had refused all others. The answer: " + no.problem.Detail
	}
	te.Advice = "Give the Secret Token the right to write, or correct what the answer names. One change is tried again after a pause, and at once when credentials are saved or provisioning is started."
	l.systemic = &te
}

// endTrial ends the trial, if there is one, after the target has accepted a write. It records the
// end of the quarantine.
func (l *pipeline) endTrial(ctx context.Context) {
	if !l.trial.CompareAndSwap(true, false) {
		return
	}
	lifted := l.r.event(ctx, event.ProvisioningReleased, "The application takes changes again; the quarantine is lifted.")
	if err := l.r.save(func(s *State) { s.Trial = nil }, func(s State) error { return l.r.e.Store.SaveState(ctx, l.r.fence, s, lifted) }); err != nil {
		l.fail(err)
	}
}
