package provision_test

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

// conductor is a provision.Order: it decides from a seed in which order the goroutines of an engine
// continue. It lets one of them run until all goroutines wait, and then chooses the next. Time
// passes only while no goroutine can continue. So the same seed always gives the same requests in
// the same order.
//
// conductor must be used in a bubble of testing/synctest, which detects that all goroutines wait.
type conductor struct {
	random *rand.Rand
	clock  *clock
	most   int // the largest number of turns; a run with more turns is an endless loop

	mu      sync.Mutex
	turns   int      // how many turns there were so far
	born    int      // how many goroutines were started; the last one has this number
	alive   int      // how many of the goroutines have not ended
	current int      // the number of the goroutine that runs
	ready   []*turn  // the goroutines that wait for their turn
	alarms  []*alarm // the goroutines that wait until a time
	order   uint64   // a hash of all turns so far
}

var _ provision.Order = &conductor{}

// turn is a goroutine that waits for its turn.
type turn struct {
	number int           // the number of the goroutine
	begin  chan struct{} // closed when the turn begins
}

// alarm is a goroutine that waits until a time.
type alarm struct {
	at    time.Time
	rings chan time.Time // gets the time at
}

func newConductor(seed uint64, clock *clock) *conductor {
	return &conductor{random: rand.New(rand.NewPCG(seed, 11)), clock: clock, most: 400_000}
}

// Start starts a goroutine, which waits for its first turn.
func (c *conductor) Start(f func()) {
	c.mu.Lock()
	c.born++
	c.alive++
	number := c.born
	c.mu.Unlock()
	go func() {
		c.Turn(number)
		f()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.alive--
	}()
}

// Self returns the number of the goroutine that runs; only one runs at a time. It returns 0 outside
// of the engine.
func (c *conductor) Self() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// Turn waits until the conductor chooses the calling goroutine.
func (c *conductor) Turn(self int) {
	if self == 0 {
		return
	}
	t := &turn{number: self, begin: make(chan struct{})}
	c.mu.Lock()
	c.ready = append(c.ready, t)
	c.mu.Unlock()
	<-t.begin
}

// yield lets other goroutines run before the calling goroutine continues.
func (c *conductor) yield() { c.Turn(c.Self()) }

// After returns a channel that gets the time when no goroutine can continue earlier.
func (c *conductor) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{at: c.clock.read().Add(max(d, 0)), rings: make(chan time.Time, 1)}
	c.alarms = append(c.alarms, a)
	return a.rings
}

// Sleep makes a goroutine of the engine wait.
func (c *conductor) Sleep(d time.Duration) {
	self := c.Self()
	<-c.After(d)
	c.Turn(self)
}

// run calls f, and conducts the goroutines until f has ended. It returns why it gave up, or "".
func (c *conductor) run(f func()) string {
	ended, began := false, c.turns
	c.Start(func() {
		f()
		c.mu.Lock()
		defer c.mu.Unlock()
		ended = true
	})
	for {
		synctest.Wait()
		c.mu.Lock()
		c.current = 0
		switch {
		case ended && len(c.ready) == 0:
			c.mu.Unlock()
			return ""
		case c.turns-began > c.most:
			defer c.mu.Unlock()
			return fmt.Sprintf("%d turns, and no end", c.turns-began)
		case !c.goOn():
			defer c.mu.Unlock()
			return fmt.Sprintf("%d goroutines wait for each other", c.alive)
		}
		c.mu.Unlock()
	}
}

// rest lets time pass until no goroutine of the engine is left. It returns how many goroutines wait
// forever.
func (c *conductor) rest() int {
	for {
		synctest.Wait()
		c.mu.Lock()
		c.current = 0
		if c.alive == 0 || !c.goOn() {
			defer c.mu.Unlock()
			return c.alive
		}
		c.mu.Unlock()
	}
}

// goOn lets one goroutine continue, or lets time pass. It reports whether it could do either. The
// caller must hold c.mu.
func (c *conductor) goOn() bool {
	if len(c.ready) > 0 {
		// These goroutines may have arrived at the same time, so their order must not matter.
		slices.SortFunc(c.ready, func(a, b *turn) int { return cmp.Compare(a.number, b.number) })
		i := c.random.IntN(len(c.ready))
		next := c.ready[i]
		c.ready = slices.Delete(c.ready, i, i+1)
		c.current = next.number
		c.turns++
		h := fnv.New64a()
		_, _ = fmt.Fprint(h, c.order, next.number, len(c.ready))
		c.order = h.Sum64()
		close(next.begin)
		return true
	}
	if len(c.alarms) == 0 {
		return false
	}
	first := 0
	for i, a := range c.alarms {
		if a.at.Before(c.alarms[first].at) {
			first = i
		}
	}
	a := c.alarms[first]
	c.alarms = slices.Delete(c.alarms, first, first+1)
	c.clock.reach(a.at)
	a.rings <- a.at
	return true
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// reach moves the clock forward to a time. It never moves the clock back.
func (c *clock) reach(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.at) {
		c.at = at
	}
}

// outside carries out calls that must not run in a bubble of testing/synctest, such as calls of a
// database: the database's goroutines and the channels of outside are older than the bubble.
type outside struct {
	calls chan func()
	done  chan struct{}
}

// newOutside returns an outside that ends with the test.
func newOutside(t *testing.T) outside {
	o := outside{calls: make(chan func()), done: make(chan struct{})}
	go func() {
		for f := range o.calls {
			f()
			o.done <- struct{}{}
		}
	}()
	t.Cleanup(func() { close(o.calls) })
	return o
}

// call carries out a call outside the bubble, with a context from outside. It carries out one call
// at a time.
func (o outside) call(f func(ctx context.Context) error) (err error) {
	o.calls <- func() { err = f(context.Background()) }
	<-o.done
	return err
}

// outsideLeases are leases outside the bubble.
type outsideLeases struct {
	provision.Leases
	out outside
}

func (l outsideLeases) Claim(_ context.Context, kind, key, owner string, ttl time.Duration) (epoch int64, err error) {
	err = l.out.call(func(ctx context.Context) (err error) {
		epoch, err = l.Leases.Claim(ctx, kind, key, owner, ttl)
		return err
	})
	return epoch, err
}

func (l outsideLeases) Renew(_ context.Context, kind, key, owner string, epoch int64, ttl time.Duration) error {
	return l.out.call(func(ctx context.Context) error { return l.Leases.Renew(ctx, kind, key, owner, epoch, ttl) })
}

func (l outsideLeases) Release(_ context.Context, kind, key, owner string, epoch int64, nextAt time.Time) error {
	return l.out.call(func(ctx context.Context) error { return l.Leases.Release(ctx, kind, key, owner, epoch, nextAt) })
}
