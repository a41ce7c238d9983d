// Package fair shares a limited capacity among many keys, such as sites. The capacity can be a
// number of workers or of bytes of memory. Each request has a key and a weight: the part of the
// capacity that it uses while it runs. When the capacity is used up, the keys take turns, even if
// one key has many more waiting requests than another. So no key can use up the capacity alone.
package fair

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// The errors that Enter and TryEnter return.
var (
	// ErrKeyLimit is returned when the key of the request has used up its share of the capacity, or
	// has too many waiting requests.
	ErrKeyLimit = errors.New("too much at once")
	// ErrOverloaded is returned when other keys use the whole capacity.
	ErrOverloaded = errors.New("overloaded")
)

// System is the key of work that must never wait behind other keys. Only System may use the
// reserved part of the capacity.
const System = ""

// Options are the limits of a Gate.
type Options struct {
	Capacity   int           // the sum of the weights that all keys may use at the same time
	PerKey     int           // the sum of the weights that one key may use at the same time; 0 means Capacity
	Reserved   int           // the part of Capacity that only System may use
	MaxWaiting int           // how many requests of one key may wait; 0 means any number
	Patience   time.Duration // the longest time that a request waits; 0 means until its context ends
}

// Gate admits requests while their weights fit into its capacity. It is safe for concurrent use.
type Gate struct {
	options       Options
	mu            sync.Mutex           // guards the fields below
	usedWeight    int                  // the sum of the weights of all running requests
	queues        map[string]*keyQueue // the queue of each key
	waitingQueues []*keyQueue          // the queues that have waiting requests, in the order of their turns

	// how many requests were admitted, refused with ErrKeyLimit, and refused with ErrOverloaded
	entered, refusedByKeyLimit, refusedOverloaded int64
}

// Stats has numbers about a gate: its current use, and how many requests it has admitted and
// refused since it was made.
type Stats struct {
	Capacity, Used, Waiting                       int   // the capacity, the weight in use, and the number of waiting requests
	Entered, RefusedByKeyLimit, RefusedOverloaded int64 // how many requests were admitted, refused with ErrKeyLimit, and refused with ErrOverloaded
}

// Stats returns the current numbers of the gate.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{Capacity: g.options.Capacity, Used: g.usedWeight, Entered: g.entered, RefusedByKeyLimit: g.refusedByKeyLimit, RefusedOverloaded: g.refusedOverloaded}
	for _, l := range g.waitingQueues {
		s.Waiting += len(l.waiting)
	}
	return s
}

// countRefusal counts a refusal by its error, and returns the error. The caller holds mu.
func (g *Gate) countRefusal(err error) error {
	switch err { //nolint:errorlint // our own errors, never wrapped
	case ErrKeyLimit:
		g.refusedByKeyLimit++
	case ErrOverloaded:
		g.refusedOverloaded++
	}
	return err
}

// keyQueue holds the weight that one key uses, and the requests of the key that wait.
type keyQueue struct {
	key        string
	usedWeight int // the sum of the weights of the key's running requests
	waiting    []*waiter
}

// waiter is a request that waits in a keyQueue.
type waiter struct {
	weight   int
	admitted chan struct{} // closed when the request is admitted
}

// NewGate returns a gate with these limits and no requests.
func NewGate(o Options) *Gate {
	if o.PerKey <= 0 {
		o.PerKey = o.Capacity
	}
	return &Gate{options: o, queues: map[string]*keyQueue{}}
}

// Enter waits until there is room for a request of this weight. If it returns nil, the caller must
// call Leave with the same key and weight after the request. Enter returns ErrKeyLimit,
// ErrOverloaded or the context's error if it does not admit the request.
func (g *Gate) Enter(ctx context.Context, key string, weight int) error {
	g.mu.Lock()
	l := g.queueOf(key)
	if len(l.waiting) == 0 && !g.overtakes(l) && g.fits(l, weight) {
		g.takeWeight(l, weight)
		g.mu.Unlock()
		return nil
	}
	if weight > g.limitOf(l) || g.options.MaxWaiting > 0 && len(l.waiting) >= g.options.MaxWaiting {
		g.forget(l)
		err := g.countRefusal(ErrKeyLimit)
		g.mu.Unlock()
		return err
	}
	w := &waiter{weight: weight, admitted: make(chan struct{})}
	if l.waiting = append(l.waiting, w); len(l.waiting) == 1 {
		g.waitingQueues = append(g.waitingQueues, l)
		if key == System { // requests of System are admitted before those of all other keys
			g.waitingQueues = slices.Insert(g.waitingQueues[:len(g.waitingQueues)-1], 0, l)
		}
	}
	g.mu.Unlock()
	return g.wait(ctx, l, w)
}

// wait waits until the request w is admitted. If the context or Options.Patience ends first, wait
// takes the request out of the queue and returns an error.
func (g *Gate) wait(ctx context.Context, l *keyQueue, w *waiter) error {
	var late <-chan time.Time
	if g.options.Patience > 0 {
		timer := time.NewTimer(g.options.Patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-w.admitted:
		return nil
	case <-ctx.Done():
	case <-late:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(l.waiting, w)
	if i < 0 {
		return nil // the request was admitted just before the context ended
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	if len(l.waiting) == 0 {
		g.waitingQueues = slices.DeleteFunc(g.waitingQueues, func(other *keyQueue) bool { return other == l })
	}
	own := l.usedWeight > 0
	g.forget(l)
	g.admitWaiting() // the request that gave up may have blocked lighter requests behind it
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case own:
		return g.countRefusal(ErrKeyLimit)
	}
	return g.countRefusal(ErrOverloaded)
}

// TryEnter is like Enter, but returns ErrKeyLimit or ErrOverloaded at once instead of waiting.
func (g *Gate) TryEnter(key string, weight int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.queueOf(key)
	switch {
	case g.fits(l, weight):
		g.takeWeight(l, weight)
		return nil
	case l.usedWeight+weight > g.limitOf(l):
		g.forget(l)
		return g.countRefusal(ErrKeyLimit)
	}
	g.forget(l)
	return g.countRefusal(ErrOverloaded)
}

// Leave gives back the weight that Enter or TryEnter took, and admits waiting requests that fit
// now.
func (g *Gate) Leave(key string, weight int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.queues[key]
	l.usedWeight -= weight
	g.usedWeight -= weight
	g.admitWaiting()
	g.forget(l)
}

// admitWaiting admits the waiting requests that fit. The keys take turns. admitWaiting skips a key
// that has used up its own share. But it stops at a request for which other keys leave no room, so
// that light requests cannot overtake a heavy request forever.
func (g *Gate) admitWaiting() {
	for passed := 0; passed < len(g.waitingQueues); {
		l := g.waitingQueues[0]
		w := l.waiting[0]
		if !g.fits(l, w.weight) {
			if l.usedWeight+w.weight <= g.limitOf(l) {
				return
			}
			g.waitingQueues = append(g.waitingQueues[1:], l)
			passed++
			continue
		}
		passed = 0
		g.takeWeight(l, w.weight)
		close(w.admitted)
		l.waiting = l.waiting[1:]
		g.waitingQueues = g.waitingQueues[1:]
		switch {
		case len(l.waiting) == 0:
		case l.key == System:
			g.waitingQueues = slices.Insert(g.waitingQueues, 0, l)
		default:
			g.waitingQueues = append(g.waitingQueues, l)
		}
	}
}

// overtakes reports whether a new request of this key would overtake the next waiting request,
// which waits for room that other keys use. A request that waits because its own key has used up
// its share may be overtaken.
func (g *Gate) overtakes(l *keyQueue) bool {
	if l.key == System || len(g.waitingQueues) == 0 {
		return false
	}
	first := g.waitingQueues[0]
	return first.usedWeight+first.waiting[0].weight <= g.limitOf(first)
}

// limitOf returns the largest sum of weights that the key may use at the same time.
func (g *Gate) limitOf(l *keyQueue) int {
	if l.key == System {
		return g.options.Capacity
	}
	return g.options.PerKey
}

// fits reports whether the capacity and the key's share have room for a request now.
func (g *Gate) fits(l *keyQueue, weight int) bool {
	if g.usedWeight+weight > g.options.Capacity {
		return false
	}
	if l.key == System {
		return true
	}
	others := g.usedWeight - g.queueOf(System).usedWeight
	return others+weight <= g.options.Capacity-g.options.Reserved && l.usedWeight+weight <= g.options.PerKey
}

// takeWeight admits a request of the key.
func (g *Gate) takeWeight(l *keyQueue, weight int) {
	l.usedWeight += weight
	g.usedWeight += weight
	g.entered++
}

// queueOf returns the queue of a key. It makes the queue if there is none.
func (g *Gate) queueOf(key string) *keyQueue {
	l := g.queues[key]
	if l == nil {
		l = &keyQueue{key: key}
		g.queues[key] = l
	}
	return l
}

// maxKeptQueues is how many keys a gate remembers before it forgets keys without requests.
const maxKeptQueues = 1_000

// forget removes a key that has neither running nor waiting requests, if the gate has more than
// maxKeptQueues keys.
func (g *Gate) forget(l *keyQueue) {
	if len(g.queues) > maxKeptQueues && l.usedWeight == 0 && len(l.waiting) == 0 {
		delete(g.queues, l.key)
	}
}

// Waiting returns how many requests wait.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, l := range g.waitingQueues {
		n += len(l.waiting)
	}
	return n
}
