package scimserver

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// memory limits how much memory large bodies and large answers may take at the same time. A body
// counts while it is read and decoded, and an answer until the client has received it. Small bodies
// and answers do not count.
type memory struct {
	once     sync.Once     // makes gate, once
	gate     *fair.Gate    // counts the reserved bytes of each site, and lets requests wait
	patience time.Duration // how long a request waits until there is enough memory; zero means memoryPatience
}

const (
	maxMemory     = 48 << 20 // how many bytes the requests of all sites may reserve together
	maxSiteMemory = 16 << 20 // how many bytes the requests of one site may reserve together
	smallBytes    = 64 << 10 // bodies and answers of up to this many bytes do not count
	// memoryPerBodyByte is how many bytes of memory one byte of a body needs while the body is
	// decoded. A group's body needs less, because only the ids of its members are kept.
	memoryPerBodyByte       = 6
	groupBytesPerMemoryByte = 4               // this many bytes of a group's body need one byte of memory
	memoryPatience          = 8 * time.Second // how long a request waits until there is enough memory
)

// openGate returns the gate. The first call makes it.
func (m *memory) openGate() *fair.Gate {
	m.once.Do(func() {
		m.gate = fair.NewGate(fair.Options{Capacity: maxMemory, PerKey: maxSiteMemory, Patience: cmp.Or(m.patience, memoryPatience)})
	})
	return m.gate
}

// Memory returns how many bytes of memory large bodies and answers use at the moment, and other
// figures about this limit.
func (h *Handler) Memory() fair.Stats { return h.memory.openGate().Stats() }

// reserveForBody waits until there is memory for a body, and reserves it. length is the length of
// the body in bytes; -1 means unknown. limit is the largest number of bytes that will be read.
func (x *exchange) reserveForBody(length, limit int64) error {
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
	x.reservedBytes += n
	return nil
}

// answerWithinMemory runs the action of a request and reserves memory for its answer. If there is
// not enough memory for the answer to a GET, answerWithinMemory drops the answer, waits for memory,
// and runs the action again. It never drops the answer to a change, because the change is already
// stored.
func (x *exchange) answerWithinMemory() (answer, error) {
	rowBefore := x.requestRow
	a, err := x.runGuarded((*exchange).route)
	if err != nil || x.rowWritten || x.method != http.MethodGet && x.requestRow.IsChange() {
		return a, err
	}
	n := a.countedBytes()
	if err := x.tryReserve(n); err == nil || x.method != http.MethodGet { // only a GET runs again, because a body cannot be read twice
		return a, err
	}
	a = answer{}
	if err := x.handler.memory.openGate().Enter(x.ctx, string(x.site.ID), n); err != nil {
		return a, err
	}
	x.reservedBytes += n
	x.requestRow = rowBefore
	if a, err = x.runGuarded((*exchange).route); err != nil {
		return a, err
	}
	return a, x.tryReserve(a.countedBytes() - n) // the answer may have become larger
}

// tryReserve reserves n bytes of memory without waiting. It returns an error if there is not enough
// memory.
func (x *exchange) tryReserve(n int) error {
	if n <= 0 {
		return nil
	}
	err := x.handler.memory.openGate().TryEnter(string(x.site.ID), n)
	if err == nil {
		x.reservedBytes += n
	}
	return err
}

// countedBytes returns how many bytes an answer counts against the memory limit.
func (a answer) countedBytes() int {
	n := max(a.size, len(a.body))
	if n <= smallBytes {
		return 0
	}
	return min(n, maxSiteMemory)
}

// releaseMemory gives back the memory that the request has reserved.
func (x *exchange) releaseMemory() {
	if x.reservedBytes > 0 {
		x.handler.memory.openGate().Leave(string(x.site.ID), x.reservedBytes)
		x.reservedBytes = 0
	}
}
