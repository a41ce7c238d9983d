package pace_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/pace"
)

func TestSlicesGrowWhileTheyAreShortAndShrinkWhenTheyAreLong(t *testing.T) {
	t.Parallel()
	p := pace.ForCleaning()
	for range 20 {
		p.RecordTime(time.Millisecond)
	}
	if got := p.Rows(); got != 2_000 {
		t.Errorf("after short slices: got %d rows", got)
	}
	p.RecordTime(100 * time.Millisecond)
	if got := p.Rows(); got != 500 {
		t.Errorf("after a long one: got %d rows", got)
	}
	p.RecordTime(4 * time.Millisecond)
	if got := p.Rows(); got != 500 {
		t.Errorf("after one as it should be: got %d rows", got)
	}
	for range 20 {
		p.RecordTime(time.Second)
	}
	if got := p.Rows(); got != 1 {
		t.Errorf("after very long ones: got %d rows", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := p.Pause(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("a pause after the end: %v", err)
	}
}

func TestSlicesAreShorterWhileOthersWait(t *testing.T) {
	t.Parallel()
	p := pace.ForCleaning()
	for _, step := range []struct {
		waited bool
		times  int
		want   time.Duration
	}{{false, 1, p.Aim}, {true, 1, p.Aim / 2}, {true, 9, p.Aim / 4}, {false, 24, p.Aim * 5 / 8}, {false, 99, p.Aim}} {
		for range step.times {
			p.RecordWaiting(step.waited)
		}
		if got := p.Length(); got != step.want {
			t.Errorf("%+v: got %s", step, got)
		}
	}
	for range 9 {
		p.RecordWaiting(true)
		p.RecordTime(p.Aim * 3 / 4)
	}
	if got := p.Rows(); got > 5 {
		t.Errorf("slices of three quarters of the aim, while others wait: got %d rows", got)
	}
}

func TestSlicesAreTheWholeInItsOrder(t *testing.T) {
	t.Parallel()
	all := make([]int, 1234)
	for i := range all {
		all[i] = i
	}
	var got []int
	calls := 0
	if err := pace.ForEachSlice(t.Context(), pace.ForImporting(), all, func(some []int) error {
		calls++
		got = append(got, some...)
		return nil
	}); err != nil || !slices.Equal(all, got) || calls < 2 {
		t.Errorf("got %d of %d in %d calls, %v", len(got), len(all), calls, err)
	}
	wrong := errors.New("wrong")
	if err := pace.ForEachSlice(t.Context(), pace.ForImporting(), all, func([]int) error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("an error: got %v", err)
	}
}
