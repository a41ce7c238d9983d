package live_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcall-scim/rollcall/internal/live"
)

const patience = time.Minute

// counter is a value that grows. It counts how often it was looked at.
type counter struct {
	value, looks atomic.Int64
}

func (c *counter) look(context.Context) (int64, error) {
	c.looks.Add(1)
	return c.value.Load(), nil
}

// results returns the results of all Next of a follower, until its context ends.
func results(ctx context.Context, f *live.Follower[int64]) <-chan int64 {
	found := make(chan int64, 100)
	go func() {
		defer close(found)
		for {
			n, err := f.Next(ctx, patience)
			if err != nil {
				return
			}
			found <- n
		}
	}()
	return found
}

// await reads results until one is want.
func await(t *testing.T, found <-chan int64, want int64) {
	t.Helper()
	for {
		select {
		case n, ok := <-found:
			if !ok {
				t.Fatalf("the follower ended before it saw %d", want)
			}
			if n == want {
				return
			}
		case <-time.After(patience):
			t.Fatalf("the follower did not see %d", want)
		}
	}
}

func TestManyFollowersShareOneLook(t *testing.T) {
	t.Parallel()
	b := &live.Board{Every: time.Hour, Gap: time.Nanosecond}
	c := &counter{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var followers []*live.Follower[int64]
	for range 50 {
		f := live.Follow(b, "job", "page", c.look)
		defer f.Close()
		followers = append(followers, f)
	}
	var all []<-chan int64
	for _, f := range followers {
		all = append(all, results(ctx, f))
	}
	for _, found := range all {
		await(t, found, 0)
	}
	if n := c.looks.Load(); n != 1 {
		t.Errorf("50 followers looked %d times, want once", n)
	}
	c.value.Store(7)
	b.Wake("job of somebody else")
	b.Wake("job")
	for _, found := range all {
		await(t, found, 7)
	}
	if n := c.looks.Load(); n != 2 {
		t.Errorf("50 followers looked %d times, want twice", n)
	}
}

// TestAFollowerThatLeavesHandsItsTurnOver ends the follower that waits to look. The other one sees
// the change.
func TestAFollowerThatLeavesHandsItsTurnOver(t *testing.T) {
	t.Parallel()
	b := &live.Board{Every: time.Hour, Gap: time.Nanosecond}
	c := &counter{}
	first, leave := context.WithCancel(t.Context())
	one := live.Follow(b, "job", "page", c.look)
	leaving := results(first, one)
	await(t, leaving, 0) // it waits to look from now on
	two := live.Follow(b, "job", "page", c.look)
	defer two.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	staying := results(ctx, two)
	await(t, staying, 0)
	leave()
	for range leaving {
	}
	one.Close()
	c.value.Store(3)
	b.Wake("job")
	await(t, staying, 3)
}

func TestChangesOfOtherProcessesAreSeenWithoutAWake(t *testing.T) {
	t.Parallel()
	b := &live.Board{Every: time.Millisecond, Gap: time.Nanosecond}
	c := &counter{}
	f := live.Follow(b, "job", "page", c.look)
	defer f.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	found := results(ctx, f)
	await(t, found, 0)
	c.value.Store(5)
	await(t, found, 5)
}

func TestAFollowerLearnsThatThereIsNothingNew(t *testing.T) {
	t.Parallel()
	b := &live.Board{Every: time.Hour}
	c := &counter{}
	one, two := live.Follow(b, "job", "page", c.look), live.Follow(b, "job", "page", c.look)
	for _, f := range []*live.Follower[int64]{one, two} {
		if n, err := f.Next(t.Context(), patience); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if _, err := f.Next(t.Context(), time.Millisecond); !errors.Is(err, live.ErrNothingNew) {
			t.Errorf("got %v", err)
		}
	}
	if n := b.Followers(); n != 2 {
		t.Errorf("the board has %d followers, want 2", n)
	}
	one.Close()
	two.Close()
	if n := b.Followers(); n != 0 {
		t.Errorf("the board has %d followers after both have left", n)
	}
}

// TestAFailedLookConcernsTheFollowerThatLooked fails one look. The follower gets the error, and the
// next look succeeds.
func TestAFailedLookConcernsTheFollowerThatLooked(t *testing.T) {
	t.Parallel()
	b := &live.Board{Every: time.Hour}
	broken := errors.New("broken")
	fails := true
	f := live.Follow(b, "job", "page", func(context.Context) (int64, error) {
		if fails {
			return 0, broken
		}
		return 1, nil
	})
	defer f.Close()
	if _, err := f.Next(t.Context(), patience); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	fails = false
	if n, err := f.Next(t.Context(), patience); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestALateFollowerSeesNoOldValue lets a viewer come after the value has changed. Its page already
// shows the new value, so the old one must not come back.
func TestALateFollowerSeesNoOldValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &live.Board{}
		value := "old"
		look := func(context.Context) (string, error) { return value, nil }
		first := live.Follow(b, "job", "page", look)
		defer first.Close()
		if got, err := first.Next(t.Context(), time.Minute); err != nil || got != "old" {
			t.Fatal(got, err)
		}
		value = "new"
		second := live.Follow(b, "job", "page", look)
		defer second.Close()
		if got, err := second.Next(t.Context(), time.Minute); err != nil || got != "new" {
			t.Errorf("the late follower got %q, %v", got, err)
		}
	})
}
