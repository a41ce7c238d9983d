package web

import (
	"context"
	"sync"
	"time"
)

// WithTimeout is like context.WithTimeout, but starts a timer only when somebody waits for the end of
// the context. Most requests are answered before anybody does.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	c := &deadlineContext{Context: parent, deadline: time.Now().Add(d)}
	if earlier, ok := parent.Deadline(); ok && earlier.Before(c.deadline) {
		c.deadline = earlier
	}
	return c, c.cancel
}

// deadlineContext is a context that ends at its deadline, with its parent, or when it is cancelled.
type deadlineContext struct {
	context.Context // the parent
	deadline        time.Time

	mu    sync.Mutex
	asked uint            // how often Err was called
	err   error           // why the context has ended; only used while timed is nil
	timed context.Context // ends at the same time, with a timer; nil until somebody waits
	stop  context.CancelFunc
}

// clockInterval is after how many calls of Err one of them looks at the clock. A query calls Err again
// and again, and the clock costs more than all the rest of Err.
const clockInterval = 16

func (c *deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }

// ended is the channel of contexts that have ended before somebody waited.
var ended = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (c *deadlineContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		if c.updateErr(true); c.err != nil {
			return ended
		}
		c.timed, c.stop = context.WithDeadline(c.Context, c.deadline)
	}
	return c.timed.Done()
}

func (c *deadlineContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed != nil {
		return c.timed.Err()
	}
	c.asked++
	c.updateErr(c.asked%clockInterval == 0)
	return c.err
}

// updateErr sets err if the parent has ended or, with a look at the clock, if the deadline is over. The
// caller holds mu.
func (c *deadlineContext) updateErr(atClock bool) {
	if c.err == nil {
		c.err = c.Context.Err()
	}
	if c.err == nil && atClock && !time.Now().Before(c.deadline) {
		c.err = context.DeadlineExceeded
	}
}

func (c *deadlineContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
		return
	}
	if c.updateErr(true); c.err == nil {
		c.err = context.Canceled
	}
}
