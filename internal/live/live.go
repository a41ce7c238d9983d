// Package live lets many viewers follow the same changing value. The value is read once for all
// viewers in this process: the first viewer that needs a newer value reads it, and the other
// viewers get the result. Such a read is called a look. A Board holds the values. Each viewer has a
// Follower, which returns the results of looks.
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
	// minGapFactor limits how often a value is looked at: the time between two looks is at least
	// minGapFactor times as long as the last look took.
	minGapFactor = 20
)

// Board holds the values that have viewers at the moment. The zero value is ready to use.
type Board struct {
	// Every is the time from one look to the next if Wake is not called in between. Such looks find
	// the changes of other processes. 0 means three seconds.
	Every time.Duration
	// Gap is the shortest time between two looks at the same value; 0 means one second.
	Gap time.Duration

	mu     sync.Mutex        // guards values
	values map[string]*value // by key
}

// value is a value that has at least one follower.
type value struct {
	subject   string        // what the value depends on; see Follow
	followers int           // guarded by the mutex of the Board
	turn      chan struct{} // has an element while one follower has the turn: it looks, or waits until the next look is due
	woken     chan struct{} // has an element if wake was called since the last look

	mu           sync.Mutex    // guards the fields below
	version      int           // how many looks there were
	newest       any           // the result of the last look
	changed      chan struct{} // closed when the next look ends
	lookEndedAt  time.Time     // when the last look ended
	lookDuration time.Duration // how long the last look took
}

// Follower is one viewer of a value. Only one goroutine may use it.
type Follower[T any] struct {
	board *Board
	key   string
	value *value
	look  func(ctx context.Context) (T, error) // reads the value
	seen  int                                  // the version that Next returned last
}

// For each value with this subject, Wake makes one of the followers look as soon as possible. Call
// Wake when the subject has changed.
func (b *Board) Wake(subject string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.values {
		if v.subject == subject {
			v.wake()
		}
	}
}

// wake makes one of the followers of the value look as soon as possible.
func (v *value) wake() {
	select {
	case v.woken <- struct{}{}:
	default: // an earlier call of wake has not led to a look yet, and one look is enough for both
	}
}

// Followers returns how many followers all values together have at the moment.
func (b *Board) Followers() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.values {
		n += v.followers
	}
	return n
}

// Follow begins to follow the value with this key. subject names what the value depends on: a call
// of Wake with this subject makes a follower look. The function look reads the value. For the same
// key, look must return the same value and type for every follower. Call Close when the viewer
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
		v.wake() // this viewer may already have seen a newer value than that of the last look
	}
	return f
}

// Close makes the viewer stop following the value.
func (f *Follower[T]) Close() {
	f.board.mu.Lock()
	defer f.board.mu.Unlock()
	f.value.followers--
	if f.value.followers == 0 {
		delete(f.board.values, f.key)
	}
}

// ErrNothingNew says that no look at the value ended in the time that the follower waited.
var ErrNothingNew = errors.New("nothing new")

// Next waits until a look has ended since the last call of Next, and returns the result of the
// look. The result may equal the one that Next returned before. The first call of Next waits for a
// look that ends after the call of Follow; if the value has no other followers, that look begins at
// once. Next returns ErrNothingNew after the time patience, the error of ctx if ctx ends, and the
// error of a look that this follower makes.
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

// takeTurn waits until the next look is due, looks, and gives the result to all followers. Next
// calls it after it has put an element into turn. If impatient sends before the look is due,
// takeTurn returns ErrNothingNew. It always takes the element out of turn, even if the look panics.
func (f *Follower[T]) takeTurn(ctx context.Context, impatient <-chan time.Time) error {
	v := f.value
	defer func() { <-v.turn }()
	v.mu.Lock()
	version, looked, took := v.version, v.lookEndedAt, v.lookDuration
	v.mu.Unlock()
	if version > f.seen {
		return nil // another follower has looked in the meantime
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
	v.lookEndedAt = time.Now()
	v.lookDuration = v.lookEndedAt.Sub(began)
	close(v.changed)
	v.changed = make(chan struct{})
	return nil
}

// waitUntilDue waits until the next look is due: after the regular time, or earlier after a call of
// Wake, but never before the shortest time between two looks has passed.
func (f *Follower[T]) waitUntilDue(ctx context.Context, impatient <-chan time.Time, looked time.Time, took time.Duration) error {
	every, gap := f.board.Every, f.board.Gap
	if every == 0 {
		every = defaultEvery
	}
	if gap == 0 {
		gap = defaultGap
	}
	gap = max(gap, minGapFactor*took)
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
		f.value.wake() // another follower must look in place of this one
		return ctx.Err()
	case <-impatient:
		f.value.wake()
		return ErrNothingNew
	case <-soonest.C:
		return nil
	}
}
