package provision

import (
	"context"
	"fmt"
	"sync"
)

// reader reads objects of a source, several of them in one read. Workers that ask for objects
// during a read share the next read. So many workers need few reads, and no read is delayed until
// more workers ask.
type reader struct {
	source     Source
	app        string
	goroutines goroutines

	mu      sync.Mutex
	asks    []*ask // the objects for which workers wait, without those of the current read
	reading bool   // whether serve is running
}

// ask is one object that a worker waits for.
type ask struct {
	id     string
	object *Object       // the object; nil if the source does not have it
	err    error         // the error of the read; nil for success
	done   chan struct{} // closed when object and err are set
}

// maxObjectsPerRead is the largest number of objects in one read.
const maxObjectsPerRead = 100

// read returns an object, or nil if the source no longer has it. The source is read after the call,
// so the object has every change that was made before.
func (r *reader) read(ctx context.Context, id string) (*Object, error) {
	a := &ask{id: id, done: make(chan struct{})}
	r.mu.Lock()
	r.asks = append(r.asks, a)
	if !r.reading {
		r.reading = true
		serving := context.WithoutCancel(ctx)
		r.goroutines.start(func() { r.serve(serving) })
	}
	r.mu.Unlock()
	self := r.goroutines.self()
	select {
	case <-a.done:
		r.goroutines.turn(self)
		return a.object, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve reads objects until no worker waits for one.
func (r *reader) serve(ctx context.Context) {
	for {
		r.goroutines.yield() // workers that are about to ask for objects too then share this read
		r.mu.Lock()
		batch := r.asks[:min(len(r.asks), maxObjectsPerRead)]
		r.asks = r.asks[len(batch):]
		r.reading = len(batch) > 0
		r.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		r.answer(ctx, batch)
	}
}

// answer reads the objects of a batch together, and passes each to the goroutine that asked for it.
func (r *reader) answer(ctx context.Context, batch []*ask) {
	ids := make([]string, len(batch))
	for i, a := range batch {
		ids[i] = a.id
	}
	found, err := r.source.Objects(ctx, r.app, ids)
	byID := make(map[string]*Object, len(found))
	for i := range found {
		byID[found[i].ID] = &found[i]
	}
	for _, a := range batch {
		if a.object = byID[a.id]; err != nil {
			a.object, a.err = nil, fmt.Errorf("import %s: %w", a.id, err)
		}
		close(a.done)
	}
}
