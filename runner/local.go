package runner

import (
	"context"
	"sync"
	"time"
)

// localRunner runs slices in this process. A slice is one call of Runner.Advance.
type localRunner struct {
	runner       *Runner
	sliceContext context.Context // the context of slices; Run cancels it if slices still run when the time Grace is over

	mu            sync.Mutex
	running       map[string]bool // the keys for which a slice is running
	runningSlices sync.WaitGroup  // waits for the running slices
}

// runLocally does the work of Run without River, for the only process that works on a SQLite file.
func (r *Runner) runLocally(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	h := &localRunner{runner: r, sliceContext: work, running: map[string]bool{}}
	h.takeBackLeases(ctx)
	r.lookRegularly(ctx, func() { h.startDue(ctx) })
	late := time.AfterFunc(r.grace(), cancel)
	defer late.Stop()
	h.runningSlices.Wait()
	return nil
}

// takeBackLeases starts slices for the keys that this owner held before a restart, without waiting
// until their leases expire.
func (h *localRunner) takeBackLeases(ctx context.Context) {
	keys, err := h.runner.Leases.Held(ctx, h.runner.Kind, h.runner.Owner)
	if err != nil {
		// Do not return the error: the keys become due anyway when their leases expire.
		h.runner.log().Error("take leases back", "kind", h.runner.Kind, "error", err)
		return
	}
	h.start(keys)
}

// startDue starts slices for as many due keys as this process may still run. It skips a key whose
// lease has expired while its slice still runs in this process.
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
	h.start(keys)
}

func (h *localRunner) start(keys []string) {
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
