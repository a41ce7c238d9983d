package main

import (
	"context"
	"log/slog"
	"time"
)

// clockEvery is how often the clock is looked at, and clockSlack is how far it may move by itself in between.
const (
	clockEvery = 10 * time.Second
	clockSlack = 5 * time.Second
)

// clockWatch notices a clock that was set: it moves otherwise than time passes.
type clockWatch struct {
	log  *slog.Logger
	wake func(ctx context.Context) error // makes all work due

	clock  time.Time     // at the last look
	passed time.Duration // by then, since some moment
}

// look is told what the clock says and how much time has passed since some moment. After the clock was set back, work that
// was put off by the clock of before would wait too long: it is made due.
func (w *clockWatch) look(ctx context.Context, clock time.Time, passed time.Duration) {
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

// run looks until ctx ends.
func (w *clockWatch) run(ctx context.Context) {
	began := time.Now()
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		now := time.Now()
		w.look(ctx, now.Round(0), now.Sub(began)) // without and with the monotonic clock
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
