package web

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestTimeoutsEndAsThoseOfPackageContext compares WithTimeout with context.WithTimeout.
func TestTimeoutsEndAsThoseOfPackageContext(t *testing.T) {
	t.Parallel()
	type ends struct {
		parent context.CancelFunc
		own    context.CancelFunc
	}
	for _, tt := range []struct {
		name string
		end  func(ends)
	}{
		{"stays open", func(ends) {}},
		{"its deadline", func(ends) { time.Sleep(2 * time.Minute) }},
		{"its parent", func(e ends) { e.parent() }},
		{"cancelled", func(e ends) { e.own() }},
		{"cancelled after its parent", func(e ends) { e.parent(); e.own() }},
		{"cancelled after its deadline", func(e ends) { time.Sleep(2 * time.Minute); e.own() }},
		{"cancelled before its deadline", func(e ends) { e.own(); time.Sleep(2 * time.Minute) }},
	} {
		for _, waits := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					outcome := func(with func(context.Context, time.Duration) (context.Context, context.CancelFunc)) (isDone bool, err error) {
						parent, cancelParent := context.WithCancel(t.Context())
						defer cancelParent()
						ctx, cancel := with(parent, time.Minute)
						defer cancel()
						if waits {
							ctx.Done()
						}
						tt.end(ends{cancelParent, cancel})
						synctest.Wait()
						for range clockInterval {
							err = ctx.Err()
						}
						select {
						case <-ctx.Done():
							isDone = true
						default:
						}
						if again := ctx.Err(); !errors.Is(again, err) || !errors.Is(err, again) {
							t.Errorf("the error is %v first and then %v", err, again)
						}
						return isDone, err
					}
					isDone, err := outcome(WithTimeout)
					wantDone, want := outcome(context.WithTimeout)
					if isDone != wantDone || !errors.Is(err, want) || !errors.Is(want, err) {
						t.Errorf("got %v, %v; package context has %v, %v", isDone, err, wantDone, want)
					}
				})
			})
		}
	}
}

func TestATimeoutIsNoLongerThanItsParents(t *testing.T) {
	t.Parallel()
	parent, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, cancelIt := WithTimeout(parent, time.Hour)
	defer cancelIt()
	want, _ := parent.Deadline()
	if got, ok := ctx.Deadline(); !ok || !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
