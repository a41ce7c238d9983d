package runner

import (
	"context"
	"sync"
	"time"
)

// localRunner runs slices in this process. A slice is one call of Runner.Advance.
type localRunner struct {
	runner       *Runner
	sliceContext context.Context // the context of the slices; canceled if slices still run after the time Runner.Grace

	mu            sync.Mutex
	running       map[string]bool // the keys for which a slice is running
	runningSlices sync.WaitGroup  // counts the running slices; runLocally waits until none is left
}

// runLocally does the work of Run without River. This process looks for due keys and runs their
// slices itself.
func (r *Runner) runLocally(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	h := &localRunner{runner: r, sliceContext: work, running: map[string]bool{}}
	h.resumeHeldKeys(ctx)
	r.lookRegularly(ctx, func() { h.startDue(ctx) })
	late := time.AfterFunc(r.grace(), cancel)
	defer late.Stop()
	h.runningSlices.Wait()
	return nil
}

// resumeHeldKeys starts slices for the keys whose leases this process held before it was restarted.
// It does not wait until the leases expire.
func (h *localRunner) resumeHeldKeys(ctx context.Context) {
	keys, err := h.runner.Leases.Held(ctx, h.runner.Kind, h.runner.Owner)
	if err != nil {
		// Do not return the error: the keys become due anyway when their leases expire.
		h.runner.log().Error("take leases back", "kind", h.runner.Kind, "error", err)
		return
	}
	h.startSlices(keys)
}

// startDue starts slices for due keys, up to the number of slices that may run at the same time.
func (h *localRunner) startDue(ctx context.Context) {
	h.mu.Lock()
	limit := h.runner.workers() + len(h.running)
	h.mu.Unlock()
	keys, err := h.runner.Leases.Due(ctx, h.runner.Kind, h.runner.now(), limit)
	if err != nil {
		if ctx.Err() == nil {
			h.runner.log().Error("look for due work", "kind", h.runner.Kind, "error", err)
		}
		return
	}
	h.startSlices(keys)
}

// startSlices starts a slice for each key, until the largest number of slices runs. It skips a key
// whose slice still runs in this process: such a key is due if its lease has expired.
func (h *localRunner) startSlices(keys []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range keys {
		if h.running[key] || len(h.running) >= h.runner.workers() {
			continue
		}
		h.running[key] = true
		h.runningSlices.Go(func() {
			worked := h.runner.runSlice(h.sliceContext, key)
			h.finish(key)
			if worked {
				h.runner.LookNow()
			}
		})
	}
}

// finish records that the slice of a key has ended, so that the next slice may start.
func (h *localRunner) finish(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.running, key)
}
