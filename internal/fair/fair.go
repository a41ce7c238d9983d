// Package fair shares a limited capacity among many: places for work, or bytes
// of memory. Whoever asks names a key, such as a site. When the capacity is
// used up, the keys take turns, however many requests each of them has waiting,
// so that one key cannot keep the others out.
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
	// ErrOwn: the key uses its own share, or has as many waiting as it may.
	ErrOwn = errors.New("too much at once")
	// ErrOverloaded: others use the capacity.
	ErrOverloaded = errors.New("overloaded")
)

// System is the key of work that must go on whatever the others do. It may use
// what is reserved.
const System = ""

// Options of a Gate.
type Options struct {
	Capacity int           // of all keys together
	Each     int           // of one key; 0: Capacity
	Reserved int           // part of Capacity that only System may use
	Waiting  int           // requests of one key that may wait; 0: any number
	Patience time.Duration // how long one waits at most; 0: until its context ends
}

// Gate lets requests in as long as their weights fit into its capacity. It is
// safe for concurrent use.
type Gate struct {
	o    Options
	mu   sync.Mutex
	used int
	keys map[string]*line
	turn []*line // lines with somebody waiting, the next to be served first

	entered, own, overloaded int64
}

// Stats is how a gate is used, and how often it let in and refused since it was made.
type Stats struct {
	Capacity, Used, Waiting  int
	Entered, Own, Overloaded int64
}

// Stats returns how the gate is used now.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{Capacity: g.o.Capacity, Used: g.used, Entered: g.entered, Own: g.own, Overloaded: g.overloaded}
	for _, l := range g.turn {
		s.Waiting += len(l.waiting)
	}
	return s
}

// refused counts a refusal. The caller holds mu.
func (g *Gate) refused(err error) error {
	switch err { //nolint:errorlint // our own
	case ErrOwn:
		g.own++
	case ErrOverloaded:
		g.overloaded++
	}
	return err
}

// line is what a gate knows of one key.
type line struct {
	key     string
	used    int
	waiting []*waiter
}

type waiter struct {
	weight int
	in     chan struct{} // closed when it was let in
}

// NewGate returns a gate.
func NewGate(o Options) *Gate {
	if o.Each <= 0 {
		o.Each = o.Capacity
	}
	return &Gate{o: o, keys: map[string]*line{}}
}

// Enter waits until there is room for the weight. Whoever was let in calls Leave
// with the same key and weight. ErrOwn, ErrOverloaded, or the context's error.
func (g *Gate) Enter(ctx context.Context, key string, weight int) error {
	g.mu.Lock()
	l := g.line(key)
	if len(l.waiting) == 0 && !g.overtakes(l) && g.fits(l, weight) {
		g.take(l, weight)
		g.mu.Unlock()
		return nil
	}
	if weight > g.most(l) || g.o.Waiting > 0 && len(l.waiting) >= g.o.Waiting {
		g.forget(l)
		err := g.refused(ErrOwn)
		g.mu.Unlock()
		return err
	}
	w := &waiter{weight: weight, in: make(chan struct{})}
	if l.waiting = append(l.waiting, w); len(l.waiting) == 1 {
		g.turn = append(g.turn, l)
		if key == System { // it never stands behind others
			g.turn = slices.Insert(g.turn[:len(g.turn)-1], 0, l)
		}
	}
	g.mu.Unlock()
	return g.wait(ctx, l, w)
}

func (g *Gate) wait(ctx context.Context, l *line, w *waiter) error {
	var late <-chan time.Time
	if g.o.Patience > 0 {
		timer := time.NewTimer(g.o.Patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-w.in:
		return nil
	case <-ctx.Done():
	case <-late:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(l.waiting, w)
	if i < 0 {
		return nil // it was let in at the last moment
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	if len(l.waiting) == 0 {
		g.turn = slices.DeleteFunc(g.turn, func(other *line) bool { return other == l })
	}
	own := l.used > 0
	g.forget(l)
	g.serve() // it may have stood before others
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case own:
		return g.refused(ErrOwn)
	}
	return g.refused(ErrOverloaded)
}

// TryEnter is Enter for those who cannot wait.
func (g *Gate) TryEnter(key string, weight int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.line(key)
	switch {
	case g.fits(l, weight):
		g.take(l, weight)
		return nil
	case l.used+weight > g.most(l):
		g.forget(l)
		return g.refused(ErrOwn)
	}
	g.forget(l)
	return g.refused(ErrOverloaded)
}

// Leave gives back what Enter or TryEnter took.
func (g *Gate) Leave(key string, weight int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.keys[key]
	l.used -= weight
	g.used -= weight
	g.serve()
	g.forget(l)
}

// serve lets in whoever fits, the lines taking turns. A line that waits for its
// own share is passed over; one that waits for the others is not, so that a
// heavy weight is not overtaken forever by light ones.
func (g *Gate) serve() {
	for passed := 0; passed < len(g.turn); {
		l := g.turn[0]
		w := l.waiting[0]
		if !g.fits(l, w.weight) {
			if l.used+w.weight <= g.most(l) {
				return
			}
			g.turn = append(g.turn[1:], l)
			passed++
			continue
		}
		passed = 0
		g.take(l, w.weight)
		close(w.in)
		l.waiting = l.waiting[1:]
		g.turn = g.turn[1:]
		switch {
		case len(l.waiting) == 0:
		case l.key == System:
			g.turn = slices.Insert(g.turn, 0, l)
		default:
			g.turn = append(g.turn, l)
		}
	}
}

// overtakes reports whether a line of its own, with nobody waiting in it, stands
// behind others that wait for room.
func (g *Gate) overtakes(l *line) bool {
	if l.key == System || len(g.turn) == 0 {
		return false
	}
	first := g.turn[0]
	return first.used+first.waiting[0].weight <= g.most(first)
}

// most is what one key may use.
func (g *Gate) most(l *line) int {
	if l.key == System {
		return g.o.Capacity
	}
	return g.o.Each
}

func (g *Gate) fits(l *line, weight int) bool {
	if g.used+weight > g.o.Capacity {
		return false
	}
	if l.key == System {
		return true
	}
	others := g.used - g.line(System).used
	return others+weight <= g.o.Capacity-g.o.Reserved && l.used+weight <= g.o.Each
}

func (g *Gate) take(l *line, weight int) {
	l.used += weight
	g.used += weight
	g.entered++
}

func (g *Gate) line(key string) *line {
	l := g.keys[key]
	if l == nil {
		l = &line{key: key}
		g.keys[key] = l
	}
	return l
}

// keptLines is how many keys a gate remembers that use nothing.
const keptLines = 1_000

// forget drops a line that nobody is in and nobody waits in.
func (g *Gate) forget(l *line) {
	if len(g.keys) > keptLines && l.used == 0 && len(l.waiting) == 0 {
		delete(g.keys, l.key)
	}
}

// Waiting returns how many requests wait.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, l := range g.turn {
		n += len(l.waiting)
	}
	return n
}
