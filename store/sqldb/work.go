package sqldb

import (
	"context"
	"runtime"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// Costly work (a filter or a sort that no index answers, a PATCH of a large document) has a few
// places. One processor is left to everything else.
const (
	workPatience = 8 * time.Second // how long costly work waits for a place
	workWaiting  = 500             // how many requests of one site wait for a place
	// workLimit is how long costly work may take once it has a place.
	workLimit = 15 * time.Second
)

func newWorkGate() *fair.Gate {
	places := max(1, runtime.GOMAXPROCS(0)-1)
	return fair.NewGate(fair.Options{Capacity: places, PerKey: (places + 1) / 2, Waiting: workWaiting, Patience: workPatience})
}

// Costly runs costly work of the site with this key when the site has a place for it. It ends the
// context that fn gets when the work takes too long.
func (db *DB) Costly(ctx context.Context, key string, fn func(ctx context.Context) error) error {
	if err := db.work.Enter(ctx, key, 1); err != nil {
		return err
	}
	defer db.work.Leave(key, 1)
	ctx, cancel := context.WithTimeout(ctx, workLimit)
	defer cancel()
	return fn(ctx)
}
