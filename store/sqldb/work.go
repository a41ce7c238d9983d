package sqldb

import (
	"context"
	"runtime"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// Costly work is a filter or a sort that no index answers, or a PATCH of a large document. The
// number of processors limits how many pieces of costly work run at the same time: one processor
// less than there are, so that one is left for everything else.
const (
	workPatience   = 8 * time.Second // how long costly work waits for its turn
	maxWorkWaiting = 500             // the largest number of requests of one site that may wait
	// workLimit is how long costly work may take once it runs.
	workLimit = 15 * time.Second
)

// newWorkGate returns the gate through which all costly work goes.
func newWorkGate() *fair.Gate {
	places := max(1, runtime.GOMAXPROCS(0)-1)
	return fair.NewGate(fair.Options{Capacity: places, PerKey: (places + 1) / 2, MaxWaiting: maxWorkWaiting, Patience: workPatience})
}

// RunCostly waits until costly work of the site with this key may run, and then calls fn. fn's
// context ends after workLimit.
func (db *DB) RunCostly(ctx context.Context, key string, fn func(ctx context.Context) error) error {
	if err := db.workGate.Enter(ctx, key, 1); err != nil {
		return err
	}
	defer db.workGate.Leave(key, 1)
	ctx, cancel := context.WithTimeout(ctx, workLimit)
	defer cancel()
	return fn(ctx)
}
