package scimserver

import (
	"net/http"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// memory bounds what requests hold at once: large bodies while they are read and decoded, large answers until a slow client
// has taken them. Small ones are not counted.
type memory struct {
	once sync.Once
	gate *fair.Gate
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
		m.gate = fair.NewGate(fair.Options{Capacity: memoryMost, Each: memoryEach, Patience: memoryPatience})
	})
	return m.gate
}

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

// holdAnswer takes room for an answer, or refuses it: it is in memory already, and must not wait there. The answer to a change
// is sent in any case, because the change was made.
func (x *exchange) holdAnswer(a answer) error {
	n := min(max(a.size, len(a.body)), memoryEach)
	if n <= smallBytes {
		return nil
	}
	err := x.memory.open().TryEnter(string(x.site.ID), n)
	switch {
	case err == nil:
		x.held += n
	case x.logged || x.method != http.MethodGet && x.row.IsChange():
		return nil
	}
	return err
}

// letGo gives back what the request holds.
func (x *exchange) letGo() {
	if x.held > 0 {
		x.memory.open().Leave(string(x.site.ID), x.held)
		x.held = 0
	}
}
