package main

import (
	"context"
	"log/slog"
	"time"
)

// clockEvery is how often clockWatch looks at the clock. clockSlack is how far the clock may differ
// from the time that passed.
const (
	clockEvery = 10 * time.Second
	clockSlack = 5 * time.Second
)

// clockWatch notices when someone sets the clock, by comparing it with the time that passed.
type clockWatch struct {
	log  *slog.Logger
	wake func(ctx context.Context) error // makes all work due

	clock  time.Time     // the time of the clock at the last check
	passed time.Duration // the time at the last check, by a clock that cannot be set
}

// checkClock compares how far the clock moved since the last check with how much time really passed.
// passed comes from a clock that cannot be set. If the clock was set back, checkClock makes all work
// due, because work would otherwise wait until the old time comes again.
func (w *clockWatch) checkClock(ctx context.Context, clock time.Time, passed time.Duration) {
	moved := clock.Sub(w.clock) - (passed - w.passed)
	first := w.clock.IsZero()
	w.clock, w.passed = clock, passed
	switch {
	case first || moved.Abs() < clockSlack:
	case moved > 0:
		w.log.Warn("the clock was set forward", "by", moved.Round(time.Second))
	default:
		w.log.Warn("the clock was set back; work that waits is looked at now", "by", moved.Abs().Round(time.Second))
		if err := w.wake(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("work that waits could not be made due", "error", err)
		}
	}
}

// run looks at the clock regularly until ctx ends.
func (w *clockWatch) run(ctx context.Context) {
	began := time.Now()
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		now := time.Now()
		w.checkClock(ctx, now.Round(0), now.Sub(began)) // the time of the clock, and the time that has really passed
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
