package provision

import (
	"runtime"
	"time"
)

// Order decides in which order the goroutines of an engine go on. Only tests use an Order. With the
// same Order, an engine always does the same steps.
type Order interface {
	// Start starts a goroutine.
	Start(f func())
	// Self returns the number of the calling goroutine.
	Self() int
	// Turn waits until the calling goroutine may continue. The engine calls it after each operation
	// that may have woken another goroutine, or that had to wait. self is the number that Self
	// returned before the operation.
	Turn(self int)
	// After is like time.After.
	After(d time.Duration) <-chan time.Time
}

// goroutines starts the goroutines of an engine, and lets them wait. If order is nil, the Go
// runtime decides which goroutine continues.
type goroutines struct{ order Order }

func (g goroutines) start(f func()) {
	if g.order == nil {
		go f()
		return
	}
	g.order.Start(f)
}

func (g goroutines) self() int {
	if g.order == nil {
		return 0
	}
	return g.order.Self()
}

func (g goroutines) turn(self int) {
	if g.order != nil {
		g.order.Turn(self)
	}
}

func (g goroutines) after(d time.Duration) <-chan time.Time {
	if g.order == nil {
		return time.After(d)
	}
	return g.order.After(d)
}

// yield lets other goroutines run first. It does nothing under an Order, which decides this itself.
func (g goroutines) yield() {
	if g.order == nil {
		runtime.Gosched()
	}
}

// send sends a value and lets the receiver continue.
func send[T any](g goroutines, to chan<- T, v T) {
	self := g.self()
	to <- v
	g.turn(self)
}

// receive waits for a value, or for the channel to be closed.
func receive[T any](g goroutines, from <-chan T) T {
	self := g.self()
	v := <-from
	g.turn(self)
	return v
}

// lock is a mutex that its owner may hold while it waits for the store or the target. It is a
// channel, so that an [Order] can see which goroutines wait for it.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

func (l lock) acquire(g goroutines) { send(g, l, struct{}{}) }

func (l lock) release() { <-l }
