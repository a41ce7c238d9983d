package provision

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// slowSource answers a read when the test allows it, and counts the reads.
type slowSource struct {
	Source
	reads atomic.Int64
	may   chan struct{}
}

func (s *slowSource) Objects(_ context.Context, _ string, ids []string) ([]Object, error) {
	s.reads.Add(1)
	<-s.may
	var found []Object
	for _, id := range ids {
		if id != "gone" {
			found = append(found, Object{ID: id, Name: "name of " + id})
		}
	}
	return found, nil
}

// TestWorkersShareAReadOfTheDirectory has fifty workers ask while one read is under way. One more
// read gives each of them its own object.
func TestWorkersShareAReadOfTheDirectory(t *testing.T) {
	t.Parallel()
	s := &slowSource{may: make(chan struct{})}
	r := &reader{source: s, app: "acme"}
	var all sync.WaitGroup
	ask := func(id string) {
		all.Go(func() {
			o, err := r.read(t.Context(), id)
			switch {
			case err != nil:
				t.Error(err)
			case id == "gone" && o != nil, id != "gone" && (o == nil || o.Name != "name of "+id):
				t.Errorf("%s: got %+v", id, o)
			}
		})
	}
	ask("first")
	for s.reads.Load() == 0 {
		runtime.Gosched()
	}
	for i := range 49 {
		ask(fmt.Sprint("p", i))
	}
	ask("gone")
	for waiting := 0; waiting < 50; {
		r.mu.Lock()
		waiting = len(r.asks)
		r.mu.Unlock()
		runtime.Gosched()
	}
	close(s.may)
	all.Wait()
	if n := s.reads.Load(); n != 2 {
		t.Errorf("%d reads; want 2", n)
	}
}
