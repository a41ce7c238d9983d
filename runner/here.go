package runner

import (
	"context"
	"sync"
	"time"
)

// here runs slices in this process.
type here struct {
	r    *Runner
	work context.Context // of the slices; it outlives Run's by the grace

	mu      sync.Mutex
	running map[string]bool
	wait    sync.WaitGroup
}

// runHere is Run without River: the one process that works on a SQLite file
// looks for due keys itself.
func (r *Runner) runHere(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	h := &here{r: r, work: work, running: map[string]bool{}}
	h.takeBack(ctx)
	r.looks(ctx, func() { h.startDue(ctx) })
	late := time.AfterFunc(r.grace(), cancel)
	defer late.Stop()
	h.wait.Wait()
	return nil
}

// takeBack starts on what this owner held before a restart, without waiting
// for those leases to expire.
func (h *here) takeBack(ctx context.Context) {
	keys, err := h.r.Leases.Held(ctx, h.r.Kind, h.r.Owner)
	if err != nil {
		// They are due when they expire.
		h.r.log().Error("take leases back", "kind", h.r.Kind, "error", err)
		return
	}
	h.start(keys)
}

// startDue starts as many due keys as there is room for. One whose lease ran
// out while its slice runs here is not due to us.
func (h *here) startDue(ctx context.Context) {
	h.mu.Lock()
	limit := h.r.workers() + len(h.running)
	h.mu.Unlock()
	keys, err := h.r.Leases.Due(ctx, h.r.Kind, h.r.now(), limit)
	if err != nil {
		if ctx.Err() == nil {
			h.r.log().Error("look for due work", "kind", h.r.Kind, "error", err)
		}
		return
	}
	h.start(keys)
}

func (h *here) start(keys []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range keys {
		if h.running[key] || len(h.running) >= h.r.workers() {
			continue
		}
		h.running[key] = true
		h.wait.Go(func() {
			worked := h.r.slice(h.work, key)
			h.ended(key)
			if worked {
				h.r.look()
			}
		})
	}
}

// ended makes room for the next key.
func (h *here) ended(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.running, key)
}
