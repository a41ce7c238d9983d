package scimserver

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// memory bounds how much memory requests hold at the same time: large bodies while they are read
// and decoded, and large answers until a slow client has received them. Small bodies and answers do
// not count.
type memory struct {
	once     sync.Once
	gate     *fair.Gate
	patience time.Duration // how long a request waits for room; memoryPatience when zero
}

const (
	maxMemory     = 48 << 20 // bytes for all sites
	maxSiteMemory = 16 << 20 // bytes for one site
	smallBytes    = 64 << 10 // bodies and answers up to this size do not count
	// memoryPerBodyByte is how many bytes of memory one byte of a body takes while it is decoded. A
	// group's body takes less, because only the ids of its members are kept.
	memoryPerBodyByte       = 6
	groupBytesPerMemoryByte = 4 // the number of bytes of a group's body that need one byte of memory
	memoryPatience          = 8 * time.Second
)

func (m *memory) openGate() *fair.Gate {
	m.once.Do(func() {
		m.gate = fair.NewGate(fair.Options{Capacity: maxMemory, PerKey: maxSiteMemory, Patience: cmp.Or(m.patience, memoryPatience)})
	})
	return m.gate
}

// Memory returns the use of the memory for large bodies and answers, in bytes.
func (h *Handler) Memory() fair.Stats { return h.memory.openGate().Stats() }

// holdBody waits until there is memory for a body of the given length; -1 means unknown. At most
// limit bytes of the body are read.
func (x *exchange) holdBody(length, limit int64) error {
	if length < 0 {
		length = limit
	}
	if length <= smallBytes {
		return nil
	}
	n := int(length) * memoryPerBodyByte
	if limit == MaxGroupBody {
		n = int(length) / groupBytesPerMemoryByte
	}
	n = min(n, maxSiteMemory)
	if err := x.handler.memory.openGate().Enter(x.ctx, string(x.site.ID), n); err != nil {
		return err
	}
	x.heldBytes += n
	return nil
}

// answerWithinMemory runs the action of a request and reserves memory for its answer. If memory is
// short and the request is a read, answerWithinMemory drops the answer, waits, and reads again. It
// never drops the answer to a change, because the change is already stored.
func (x *exchange) answerWithinMemory() (answer, error) {
	rowBefore := x.requestRow
	a, err := x.runGuarded((*exchange).route)
	if err != nil || x.rowWritten || x.method != http.MethodGet && x.requestRow.IsChange() {
		return a, err
	}
	n := a.countedBytes()
	if err := x.tryHold(n); err == nil || x.method != http.MethodGet { // only a GET runs again, because a body cannot be read twice
		return a, err
	}
	a = answer{}
	if err := x.handler.memory.openGate().Enter(x.ctx, string(x.site.ID), n); err != nil {
		return a, err
	}
	x.heldBytes += n
	x.requestRow = rowBefore
	if a, err = x.runGuarded((*exchange).route); err != nil {
		return a, err
	}
	return a, x.tryHold(a.countedBytes() - n) // the answer may have become larger
}

func (x *exchange) tryHold(n int) error {
	if n <= 0 {
		return nil
	}
	err := x.handler.memory.openGate().TryEnter(string(x.site.ID), n)
	if err == nil {
		x.heldBytes += n
	}
	return err
}

// countedBytes returns how many bytes of an answer count against the memory limit.
func (a answer) countedBytes() int {
	n := max(a.size, len(a.body))
	if n <= smallBytes {
		return 0
	}
	return min(n, maxSiteMemory)
}

// releaseMemory gives back the memory that the request holds.
func (x *exchange) releaseMemory() {
	if x.heldBytes > 0 {
		x.handler.memory.openGate().Leave(string(x.site.ID), x.heldBytes)
		x.heldBytes = 0
	}
}
