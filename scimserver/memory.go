package scimserver

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// memory bounds what requests hold at once: large bodies while they are read and decoded, large answers until a slow client
// has taken them. Small ones are not counted.
type memory struct {
	once     sync.Once
	gate     *fair.Gate
	patience time.Duration // how long a request waits for room; memoryPatience when zero
}

const (
	memoryMost = 48 << 20 // bytes of all sites
	memoryEach = 16 << 20 // bytes of one site
	smallBytes = 64 << 10 // what is not counted
	// decodedBytes is how many bytes a byte of a body takes while it is decoded. Of the body of a group only the ids of its
	// members are kept.
	decodedBytes   = 6
	groupDecodes   = 4 // bytes of a group's body that become one
	memoryPatience = 8 * time.Second
)

func (m *memory) open() *fair.Gate {
	m.once.Do(func() {
		m.gate = fair.NewGate(fair.Options{Capacity: memoryMost, Each: memoryEach, Patience: cmp.Or(m.patience, memoryPatience)})
	})
	return m.gate
}

// Memory is how the memory for large bodies and answers is used, in bytes.
func (h *Handler) Memory() fair.Stats { return h.memory.open().Stats() }

// holdBody waits until there is room for a body of that length, -1 for an unknown one, of which no more than limit is read.
func (x *exchange) holdBody(length, limit int64) error {
	if length < 0 {
		length = limit
	}
	if length <= smallBytes {
		return nil
	}
	n := int(length) * decodedBytes
	if limit == MaxGroupBody {
		n = int(length) / groupDecodes
	}
	n = min(n, memoryEach)
	if err := x.memory.open().Enter(x.ctx, string(x.site.ID), n); err != nil {
		return err
	}
	x.held += n
	return nil
}

// answered runs the action of a request and takes room for its answer. An answer that finds none is dropped: the request waits
// without it, and reads it again once there is room. The answer to a change is sent in any case, because the change was made.
func (x *exchange) answered() (answer, error) {
	asked := x.row
	a, err := x.guarded((*exchange).route)
	if err != nil || x.logged || x.method != http.MethodGet && x.row.IsChange() {
		return a, err
	}
	n := a.weight()
	if err := x.tryHold(n); err == nil || x.method != http.MethodGet { // a body cannot be read again
		return a, err
	}
	a = answer{}
	if err := x.memory.open().Enter(x.ctx, string(x.site.ID), n); err != nil {
		return a, err
	}
	x.held += n
	x.row = asked
	if a, err = x.guarded((*exchange).route); err != nil {
		return a, err
	}
	return a, x.tryHold(a.weight() - n) // it may have become larger
}

func (x *exchange) tryHold(n int) error {
	if n <= 0 {
		return nil
	}
	err := x.memory.open().TryEnter(string(x.site.ID), n)
	if err == nil {
		x.held += n
	}
	return err
}

// weight is how many bytes of an answer count.
func (a answer) weight() int {
	n := max(a.size, len(a.body))
	if n <= smallBytes {
		return 0
	}
	return min(n, memoryEach)
}

// letGo gives back what the request holds.
func (x *exchange) letGo() {
	if x.held > 0 {
		x.memory.open().Leave(string(x.site.ID), x.held)
		x.held = 0
	}
}
