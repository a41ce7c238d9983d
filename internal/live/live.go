// Package live lets many viewers follow the same changing value. All viewers of one value in this
// process share one look at it: the first one that needs a newer value looks, and the others get
// its result.
package live

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The defaults of a Board.
const (
	defaultEvery = 3 * time.Second
	defaultGap   = time.Second
	// maxShare is the part of the time that looking at one value may take: one twentieth.
	maxShare = 20
)

// Board holds the values that viewers follow at the moment. The zero value is ready to use. A value
// without viewers costs nothing.
type Board struct {
	// Every is how long to wait before looking again without a call of Wake, to see the changes of
	// other processes; 0 means three seconds.
	Every time.Duration
	// Gap is the shortest time between two looks at the same value; 0 means one second.
	Gap time.Duration

	mu     sync.Mutex
	values map[string]*value // by key
}

// value is a value that somebody follows.
type value struct {
	subject   string
	followers int           // guarded by the mutex of the Board
	turn      chan struct{} // has an element while a follower looks
	woken     chan struct{} // has an element if the value has changed since the last look

	mu      sync.Mutex
	version int           // grows with each look
	newest  any           // the result of the last look
	changed chan struct{} // is closed by the next look
	looked  time.Time     // when the last look ended
	took    time.Duration // how long the last look took
}

// Follower is one viewer of a value. Only one goroutine may use it.
type Follower[T any] struct {
	board *Board
	key   string
	value *value
	look  func(ctx context.Context) (T, error)
	seen  int // the version that Next returned last
}

// Wake makes the followers of a subject look at once, because it has changed.
func (b *Board) Wake(subject string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.values {
		if v.subject == subject {
			v.wake()
		}
	}
}

// wake makes a follower of the value look at once.
func (v *value) wake() {
	select {
	case v.woken <- struct{}{}:
	default: // the followers will look anyway
	}
}

// Followers returns how many viewers follow a value at the moment.
func (b *Board) Followers() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.values {
		n += v.followers
	}
	return n
}

// Follow begins to follow the value with this key. subject names what the value depends on: a call
// of Wake with this subject makes the value's followers look at once. look reads the value; for the
// same key, it must return the same value and type for every follower. Call Close when the viewer
// leaves.
func Follow[T any](b *Board, subject, key string, look func(ctx context.Context) (T, error)) *Follower[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.values[key]
	if v == nil {
		v = &value{subject: subject, turn: make(chan struct{}, 1), woken: make(chan struct{}, 1), changed: make(chan struct{})}
		if b.values == nil {
			b.values = map[string]*value{}
		}
		b.values[key] = v
	}
	v.followers++
	f := &Follower[T]{board: b, key: key, value: v, look: look}
	v.mu.Lock()
	f.seen = v.version
	v.mu.Unlock()
	if f.seen > 0 {
		v.wake() // the last look may be older than what this viewer knows already
	}
	return f
}

// Close ends the following.
func (f *Follower[T]) Close() {
	f.board.mu.Lock()
	defer f.board.mu.Unlock()
	f.value.followers--
	if f.value.followers == 0 {
		delete(f.board.values, f.key)
	}
}

// ErrNothingNew says that there was no look at the value for as long as the follower waited.
var ErrNothingNew = errors.New("nothing new")

// Next waits until there was a look at the value since the last call, and returns its result. The
// first call waits for a look that ends after the call of Follow; if the value has no other
// followers, that look begins at once. The result may equal the one before. Next returns
// ErrNothingNew after the time patience, the error of the look if this follower was the one that
// looked, or the error of ctx.
func (f *Follower[T]) Next(ctx context.Context, patience time.Duration) (newest T, err error) {
	impatient := time.NewTimer(patience)
	defer impatient.Stop()
	v := f.value
	for {
		v.mu.Lock()
		version, value, changed := v.version, v.newest, v.changed
		v.mu.Unlock()
		if version > f.seen {
			f.seen = version
			return value.(T), nil //nolint:forcetypeassert // the followers of one key have one type
		}
		select {
		case <-ctx.Done():
			return newest, ctx.Err()
		case <-impatient.C:
			return newest, ErrNothingNew
		case <-changed:
		case v.turn <- struct{}{}:
			if err := f.takeTurn(ctx, impatient.C); err != nil {
				return newest, err
			}
		}
	}
}

// takeTurn waits until it is time to look, looks, and hands the result to all followers. It waits
// until impatient sends, and then returns ErrNothingNew. It ends the turn, also if the look panics.
func (f *Follower[T]) takeTurn(ctx context.Context, impatient <-chan time.Time) error {
	v := f.value
	defer func() { <-v.turn }()
	v.mu.Lock()
	version, looked, took := v.version, v.looked, v.took
	v.mu.Unlock()
	if version > f.seen {
		return nil // another follower has looked meanwhile
	}
	if version > 0 {
		if err := f.waitUntilDue(ctx, impatient, looked, took); err != nil {
			return err
		}
	}
	began := time.Now()
	newest, err := f.look(ctx)
	if err != nil {
		v.wake() // this look may have used up a call of Wake, so another follower must look
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.version++
	v.newest = newest
	v.looked = time.Now()
	v.took = v.looked.Sub(began)
	close(v.changed)
	v.changed = make(chan struct{})
	return nil
}

// waitUntilDue waits for a call of Wake or for the regular time to look, and in either case until
// the shortest time between two looks has passed.
func (f *Follower[T]) waitUntilDue(ctx context.Context, impatient <-chan time.Time, looked time.Time, took time.Duration) error {
	every, gap := f.board.Every, f.board.Gap
	if every == 0 {
		every = defaultEvery
	}
	if gap == 0 {
		gap = defaultGap
	}
	gap = max(gap, maxShare*took)
	regular := time.NewTimer(time.Until(looked.Add(max(every, gap))))
	defer regular.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-impatient:
		return ErrNothingNew
	case <-regular.C:
		return nil
	case <-f.value.woken:
	}
	soonest := time.NewTimer(time.Until(looked.Add(gap)))
	defer soonest.Stop()
	select {
	case <-ctx.Done():
		f.value.wake() // another follower has to look in place of this one
		return ctx.Err()
	case <-impatient:
		f.value.wake()
		return ErrNothingNew
	case <-soonest.C:
		return nil
	}
}
