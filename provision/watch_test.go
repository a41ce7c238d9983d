package provision_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// lookedAt is a store that says when a watcher has read the jobs.
type lookedAt struct {
	provision.Store
	looked chan struct{}
}

func (l lookedAt) WatchedStates(ctx context.Context) (map[provision.Key]provision.State, error) {
	states, err := l.Store.WatchedStates(ctx)
	select {
	case l.looked <- struct{}{}:
	default:
	}
	return states, err
}

// TestAChangeInThisProcessWakesItsJobAtOnce has a watcher that looks for changes of other processes
// once an hour. A change of its own process wakes the job without waiting for that.
func TestAChangeInThisProcessWakesItsJobAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.slice()
	changed, woken, ended := make(chan struct{}, 1), make(chan provision.Key, 1), make(chan struct{})
	store := lookedAt{w.store, make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	watcher := &provision.Watcher{
		Store: store, Sources: w.engine.Sources, Now: w.clock.now, Every: time.Hour, Woken: changed, Log: slog.New(slog.DiscardHandler),
		Wake: func(_ context.Context, k provision.Key) error {
			woken <- k
			return nil
		},
	}
	go func() {
		defer close(ended)
		watcher.Run(ctx)
	}()
	<-store.looked // there is nothing yet
	w.people.changed = func() { changed <- struct{}{} }
	w.people.edit("p1", func(*directory.User) {})
	select {
	case k := <-woken:
		if k != w.key {
			t.Errorf("%s was woken, want %s", k, w.key)
		}
	case <-time.After(time.Minute):
		t.Error("nobody was woken")
	}
	stop()
	<-ended
}
