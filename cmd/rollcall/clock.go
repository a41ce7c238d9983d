package main

import (
	"context"
	"log/slog"
	"time"
)

// clockCheckInterval is the time between two checks of the system time. If the system time differs
// from the time that really passed by less than clockTolerance, the difference is ignored.
const (
	clockCheckInterval = 10 * time.Second
	clockTolerance     = 5 * time.Second
)

// clockWatch notices when someone changes the system time. It compares the system time with the
// time that really passed.
type clockWatch struct {
	log  *slog.Logger
	wake func(ctx context.Context) error // makes all waiting work due at once

	clock  time.Time     // the system time at the last check
	passed time.Duration // the time from the start until the last check; changing the system time does not affect it
}

// checkClock compares the system time (clock) with the time since the start (passed), which no one
// can set. If they have moved differently since the last check, someone has set the system time. If
// the system time was set back, checkClock makes all waiting work due at once. Otherwise that work
// would wait until the system time reaches the old time again.
func (w *clockWatch) checkClock(ctx context.Context, clock time.Time, passed time.Duration) {
	moved := clock.Sub(w.clock) - (passed - w.passed)
	first := w.clock.IsZero()
	w.clock, w.passed = clock, passed
	switch {
	case first || moved.Abs() < clockTolerance:
	case moved > 0:
		w.log.Warn("the clock was set forward", "by", moved.Round(time.Second))
	default:
		w.log.Warn("the clock was set back; work that waits is looked at now", "by", moved.Abs().Round(time.Second))
		if err := w.wake(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("work that waits could not be made due", "error", err)
		}
	}
}

// run checks the clock at each interval until ctx ends.
func (w *clockWatch) run(ctx context.Context) {
	began := time.Now()
	tick := time.NewTicker(clockCheckInterval)
	defer tick.Stop()
	for {
		now := time.Now()
		// Round(0) leaves only the system time. Sub returns the time that has really passed.
		w.checkClock(ctx, now.Round(0), now.Sub(began))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
