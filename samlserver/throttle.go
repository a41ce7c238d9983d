package samlserver

import (
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// maxSources is how many sources a throttle remembers.
const maxSources = 10_000

// throttle lets each source do something a number of times at once, and from then on once in a
// while. Each process counts for itself.
type throttle struct {
	atOnce int
	every  time.Duration

	mu      sync.Mutex
	sources map[string]time.Time // when everything that was counted is paid off
}

// newFailures limits failed sign-ins of one source at one site. Sign-ins that succeed never count,
// so that a company behind one address is not slowed down.
func newFailures() *throttle { return &throttle{atOnce: 20, every: 15 * time.Second} }

// newStarts limits how many requests one source can have written down.
func newStarts() *throttle { return &throttle{atOnce: 200, every: 200 * time.Millisecond} }

// wait returns how long the source has to wait; 0 if it may go on.
func (t *throttle) wait(source string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	free := now.Add(time.Duration(t.atOnce-1) * t.every)
	if paid := t.sources[source]; paid.After(free) {
		return paid.Sub(free)
	}
	return 0
}

// count counts one time.
func (t *throttle) count(source string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sources == nil {
		t.sources = map[string]time.Time{}
	}
	if len(t.sources) >= maxSources {
		t.forget(now)
	}
	paid := t.sources[source]
	if paid.Before(now) {
		paid = now
	}
	t.sources[source] = paid.Add(t.every)
}

// forget removes the sources that have paid off everything; all of them if that is none.
func (t *throttle) forget(now time.Time) {
	for source, paid := range t.sources {
		if !paid.After(now) {
			delete(t.sources, source)
		}
	}
	if len(t.sources) >= maxSources {
		clear(t.sources)
	}
}

// network returns the part of an address that one subscriber has: all of an IPv4 address, 64 bits of
// an IPv6 address.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap(); a.Is4() {
		return a.String()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

func seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
