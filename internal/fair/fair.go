// Package fair shares a limited capacity among many users of it. The capacity can be a number of
// workers or of bytes of memory. Each request names a key, such as a site. When the capacity is
// used up, the keys take turns, however many requests each of them has waiting. So no key can keep
// the others out.
package fair

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Errors of Enter and TryEnter.
var (
	// ErrKeyLimit refuses a request because its own key has used up the share of one key, or has
	// too many requests waiting.
	ErrKeyLimit = errors.New("too much at once")
	// ErrOverloaded refuses a request because other keys use the whole capacity.
	ErrOverloaded = errors.New("overloaded")
)

// System is the key of work that must never wait behind other keys. Only System may use the
// reserved part of the capacity.
const System = ""

// Options are the limits of a Gate.
type Options struct {
	Capacity int           // the sum of the weights that all keys may use at the same time
	PerKey   int           // the sum of the weights that one key may use at the same time; 0 means Capacity
	Reserved int           // the part of Capacity that only System may use
	Waiting  int           // how many requests of one key may wait; 0 means any number
	Patience time.Duration // how long a request waits at most; 0 means until its context ends
}

// Gate admits requests while their weights fit into its capacity. It is safe for concurrent use.
type Gate struct {
	options      Options
	mu           sync.Mutex
	used         int
	keys         map[string]*line
	waitingLines []*line // the keys that have waiting requests, in the order in which they are served

	entered, refusedByKeyLimit, refusedOverloaded int64
}

// Stats shows how a gate is used now, and how often it admitted and refused requests since it was
// made.
type Stats struct {
	Capacity, Used, Waiting                       int
	Entered, RefusedByKeyLimit, RefusedOverloaded int64
}

// Stats returns the present numbers of the gate.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{Capacity: g.options.Capacity, Used: g.used, Entered: g.entered, RefusedByKeyLimit: g.refusedByKeyLimit, RefusedOverloaded: g.refusedOverloaded}
	for _, l := range g.waitingLines {
		s.Waiting += len(l.waiting)
	}
	return s
}

// countRefusal counts a refusal and returns it. The caller holds mu.
func (g *Gate) countRefusal(err error) error {
	switch err { //nolint:errorlint // our own errors, never wrapped
	case ErrKeyLimit:
		g.refusedByKeyLimit++
	case ErrOverloaded:
		g.refusedOverloaded++
	}
	return err
}

// line holds the weight that one key uses, and the key's waiting requests.
type line struct {
	key     string
	used    int
	waiting []*waiter
}

type waiter struct {
	weight   int
	admitted chan struct{} // closed when the request is admitted
}

// NewGate returns a gate.
func NewGate(o Options) *Gate {
	if o.PerKey <= 0 {
		o.PerKey = o.Capacity
	}
	return &Gate{options: o, keys: map[string]*line{}}
}

// Enter waits until there is room for a request of this weight. After the request, the caller calls
// Leave with the same key and weight. Enter returns ErrKeyLimit, ErrOverloaded or the context's
// error if it does not admit the request.
func (g *Gate) Enter(ctx context.Context, key string, weight int) error {
	g.mu.Lock()
	l := g.lineOf(key)
	if len(l.waiting) == 0 && !g.overtakes(l) && g.fits(l, weight) {
		g.take(l, weight)
		g.mu.Unlock()
		return nil
	}
	if weight > g.limitOf(l) || g.options.Waiting > 0 && len(l.waiting) >= g.options.Waiting {
		g.forget(l)
		err := g.countRefusal(ErrKeyLimit)
		g.mu.Unlock()
		return err
	}
	w := &waiter{weight: weight, admitted: make(chan struct{})}
	if l.waiting = append(l.waiting, w); len(l.waiting) == 1 {
		g.waitingLines = append(g.waitingLines, l)
		if key == System { // requests of System are admitted before those of all other keys
			g.waitingLines = slices.Insert(g.waitingLines[:len(g.waitingLines)-1], 0, l)
		}
	}
	g.mu.Unlock()
	return g.wait(ctx, l, w)
}

func (g *Gate) wait(ctx context.Context, l *line, w *waiter) error {
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
		g.waitingLines = slices.DeleteFunc(g.waitingLines, func(other *line) bool { return other == l })
	}
	own := l.used > 0
	g.forget(l)
	g.admitWaiting() // requests behind the one that gave up may fit now
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
	l := g.lineOf(key)
	switch {
	case g.fits(l, weight):
		g.take(l, weight)
		return nil
	case l.used+weight > g.limitOf(l):
		g.forget(l)
		return g.countRefusal(ErrKeyLimit)
	}
	g.forget(l)
	return g.countRefusal(ErrOverloaded)
}

// Leave frees the weight that Enter or TryEnter took.
func (g *Gate) Leave(key string, weight int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.keys[key]
	l.used -= weight
	g.used -= weight
	g.admitWaiting()
	g.forget(l)
}

// admitWaiting admits the waiting requests that fit. The keys take turns. It skips a key that has
// used up its own share. It does not skip a key that waits for the others, so that light requests
// cannot overtake a heavy one forever.
func (g *Gate) admitWaiting() {
	for passed := 0; passed < len(g.waitingLines); {
		l := g.waitingLines[0]
		w := l.waiting[0]
		if !g.fits(l, w.weight) {
			if l.used+w.weight <= g.limitOf(l) {
				return
			}
			g.waitingLines = append(g.waitingLines[1:], l)
			passed++
			continue
		}
		passed = 0
		g.take(l, w.weight)
		close(w.admitted)
		l.waiting = l.waiting[1:]
		g.waitingLines = g.waitingLines[1:]
		switch {
		case len(l.waiting) == 0:
		case l.key == System:
			g.waitingLines = slices.Insert(g.waitingLines, 0, l)
		default:
			g.waitingLines = append(g.waitingLines, l)
		}
	}
}

// overtakes reports whether a new request of this key would overtake another key that waits for
// room.
func (g *Gate) overtakes(l *line) bool {
	if l.key == System || len(g.waitingLines) == 0 {
		return false
	}
	first := g.waitingLines[0]
	return first.used+first.waiting[0].weight <= g.limitOf(first)
}

// limitOf returns the largest weight that one key may use.
func (g *Gate) limitOf(l *line) int {
	if l.key == System {
		return g.options.Capacity
	}
	return g.options.PerKey
}

func (g *Gate) fits(l *line, weight int) bool {
	if g.used+weight > g.options.Capacity {
		return false
	}
	if l.key == System {
		return true
	}
	others := g.used - g.lineOf(System).used
	return others+weight <= g.options.Capacity-g.options.Reserved && l.used+weight <= g.options.PerKey
}

func (g *Gate) take(l *line, weight int) {
	l.used += weight
	g.used += weight
	g.entered++
}

func (g *Gate) lineOf(key string) *line {
	l := g.keys[key]
	if l == nil {
		l = &line{key: key}
		g.keys[key] = l
	}
	return l
}

// maxKeptLines is how many keys without requests a gate remembers.
const maxKeptLines = 1_000

// forget removes a key that uses nothing and has no waiting request, if the gate knows many keys.
func (g *Gate) forget(l *line) {
	if len(g.keys) > maxKeptLines && l.used == 0 && len(l.waiting) == 0 {
		delete(g.keys, l.key)
	}
}

// Waiting returns how many requests wait.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, l := range g.waitingLines {
		n += len(l.waiting)
	}
	return n
}
