package fair_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// queue starts a request that waits, and returns when it is in the line.
func queue(t *testing.T, g *fair.Gate, key string, weight int, in func()) {
	t.Helper()
	go func() {
		if err := g.Enter(t.Context(), key, weight); err != nil {
			t.Errorf("%s: %v", key, err)
			return
		}
		in()
	}()
	synctest.Wait()
}

func TestKeysTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := fair.NewGate(fair.Options{Capacity: 1})
		if err := g.Enter(t.Context(), "big", 1); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		note := func(name string) func() {
			return func() {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, name)
			}
		}
		for i := range 5 {
			queue(t, g, "big", 1, note(fmt.Sprint("big", i)))
		}
		queue(t, g, "small", 1, note("small"))
		queue(t, g, "other", 1, note("other"))
		queue(t, g, fair.System, 1, note("system"))
		for _, key := range []string{"big", fair.System, "big", "small", "other", "big", "big", "big", "big"} {
			g.Leave(key, 1)
			synctest.Wait()
		}
		if want := []string{"system", "big0", "small", "other", "big1", "big2", "big3", "big4"}; !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
	})
}

func TestShares(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g := fair.NewGate(fair.Options{Capacity: 10, PerKey: 6, Reserved: 2})
	for _, step := range []struct {
		key    string
		weight int
		want   error
	}{
		{"a", 6, nil},
		{"a", 1, fair.ErrKeyLimit},
		{"b", 3, fair.ErrOverloaded}, // 2 are reserved
		{"b", 2, nil},
		{"c", 1, fair.ErrOverloaded},
		{fair.System, 2, nil},
		{fair.System, 1, fair.ErrOverloaded},
	} {
		if err := g.TryEnter(step.key, step.weight); !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
			t.Errorf("%s with %d: got %v, want %v", step.key, step.weight, err, step.want)
		}
	}
	g.Leave("a", 6)
	if err := g.Enter(ctx, "c", 6); err != nil {
		t.Errorf("after room was made: %v", err)
	}
	if err := g.Enter(ctx, "d", 7); !errors.Is(err, fair.ErrKeyLimit) {
		t.Errorf("more than a key may ever have: got %v, want ErrKeyLimit", err)
	}
}

func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := fair.NewGate(fair.Options{Capacity: 2, PerKey: 1, MaxWaiting: 1, Patience: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		for _, key := range []string{"a", "b"} {
			if err := g.Enter(ctx, key, 1); err != nil {
				t.Fatal(err)
			}
		}
		errs := map[string]error{}
		var mu sync.Mutex
		wait := func(ctx context.Context, name, key string) {
			go func() {
				err := g.Enter(ctx, key, 1)
				mu.Lock()
				defer mu.Unlock()
				errs[name] = err
			}()
			synctest.Wait()
		}
		wait(ctx, "own", "a")
		wait(ctx, "line is full", "a")
		wait(ctx, "others", "c")
		gone, leave := context.WithCancel(ctx)
		wait(gone, "gone", "d")
		leave()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for name, want := range map[string]error{"own": fair.ErrKeyLimit, "line is full": fair.ErrKeyLimit, "others": fair.ErrOverloaded, "gone": context.Canceled} {
			if !errors.Is(errs[name], want) {
				t.Errorf("%s: got %v, want %v", name, errs[name], want)
			}
		}
		if n := g.Waiting(); n != 0 {
			t.Errorf("%d still wait", n)
		}
		// A request that stopped waiting has taken nothing.
		g.Leave("a", 1)
		g.Leave("b", 1)
		for _, key := range []string{"x", "y"} {
			if err := g.TryEnter(key, 1); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
		cancel()
	})
}

// TestAHeavyWeightIsNotOvertaken fills the gate with light requests while a heavy one waits.
func TestAHeavyWeightIsNotOvertaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := fair.NewGate(fair.Options{Capacity: 10})
		if err := g.Enter(t.Context(), "light", 5); err != nil {
			t.Fatal(err)
		}
		var in atomic.Value
		in.Store("")
		queue(t, g, "heavy", 10, func() { in.Store("heavy") })
		queue(t, g, "light", 1, func() { in.Store("light") })
		queue(t, g, "third", 1, func() { in.Store("third") })
		if got := in.Load(); got != "" {
			t.Errorf("%s overtook the heavy one", got)
		}
		g.Leave("light", 5)
		synctest.Wait()
		if got := in.Load(); got != "heavy" {
			t.Errorf("%q was let in, want the heavy one", got)
		}
		g.Leave("heavy", 10)
		synctest.Wait()
		g.Leave("light", 1)
		g.Leave("third", 1)
	})
}

// TestNothingIsLostOrDoubled lets many requests come and go; some of them stop waiting.
func TestNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	g := fair.NewGate(fair.Options{Capacity: 4, PerKey: 2, Reserved: 1, Patience: time.Millisecond})
	var mu sync.Mutex
	in, most := map[string]int{}, 0
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			key := []string{"a", "b", "c", fair.System}[i%4]
			for range 300 {
				if g.Enter(t.Context(), key, 1) != nil {
					continue
				}
				mu.Lock()
				in[key]++
				total := in["a"] + in["b"] + in["c"] + in[fair.System]
				most = max(most, total)
				if key != fair.System && in[key] > 2 || total > 4 {
					t.Errorf("%d of %s are in, %d altogether", in[key], key, total)
				}
				mu.Unlock()
				mu.Lock()
				in[key]--
				mu.Unlock()
				g.Leave(key, 1)
			}
		})
	}
	all.Wait()
	if err := g.TryEnter(fair.System, 4); err != nil {
		t.Errorf("the gate is not empty at the end: %v", err)
	}
	if most == 0 {
		t.Error("nobody was let in")
	}
}
