package web

import (
	"context"
	"sync"
	"time"
)

// WithTimeout is like context.WithTimeout, but starts a timer only when Done is first called. For
// most requests it never is.
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
	calls uint               // how often Err was called
	err   error              // why the context has ended; only used while timed is nil
	timed context.Context    // a context with a timer, which ends at the same time; nil until Done is called
	stop  context.CancelFunc // ends timed; nil if timed is nil
}

// clockInterval says how often Err reads the clock: in one of this many calls. A database query
// calls Err many times, and reading the clock takes longer than the rest of Err.
const clockInterval = 16

func (c *deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }

// closedChannel is a closed channel. Done returns it for a context that has ended before Done was
// first called.
var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (c *deadlineContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		if c.updateErr(true); c.err != nil {
			return closedChannel
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
	c.calls++
	c.updateErr(c.calls%clockInterval == 0)
	return c.err
}

// updateErr sets err if the parent has ended. If readsClock is true, it also sets err if the
// deadline has passed. The caller must hold mu.
func (c *deadlineContext) updateErr(readsClock bool) {
	if c.err == nil {
		c.err = c.Context.Err()
	}
	if c.err == nil && readsClock && !time.Now().Before(c.deadline) {
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
