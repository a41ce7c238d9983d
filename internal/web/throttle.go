package web

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// maxSources is the largest number of sources that a Throttle remembers.
const maxSources = 10_000

// Throttle limits how often each source may use something, such as a sign-in page. It allows a
// number of uses at once, and after that one use in each period. A source is a string such as a
// network address. Each process counts separately.
type Throttle struct {
	atOnce int           // how many uses a source has without waiting
	period time.Duration // how long a source waits for each further use

	mu      sync.Mutex           // guards sources
	sources map[string]time.Time // for each source, the time at which it has its whole allowance of atOnce uses again
}

// NewThrottle returns a Throttle that allows each source atOnce uses at once, and after that one
// use in each period.
func NewThrottle(atOnce int, period time.Duration) *Throttle {
	return &Throttle{atOnce: atOnce, period: period}
}

// NewFailureThrottle returns a Throttle for failed sign-ins. The caller must not count successful
// sign-ins, so that a company whose people share one address is not slowed down.
func NewFailureThrottle() *Throttle { return NewThrottle(20, 15*time.Second) }

// Wait returns how long the source must wait for its next use, or 0 if it need not wait.
func (t *Throttle) Wait(source string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	free := now.Add(time.Duration(t.atOnce-1) * t.period)
	if fullAgain := t.sources[source]; fullAgain.After(free) {
		return fullAgain.Sub(free)
	}
	return 0
}

// Count records one use by the source.
func (t *Throttle) Count(source string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sources == nil {
		t.sources = map[string]time.Time{}
	}
	if len(t.sources) >= maxSources {
		t.forgetIdle(now)
	}
	fullAgain := t.sources[source]
	if fullAgain.Before(now) {
		fullAgain = now
	}
	t.sources[source] = fullAgain.Add(t.period)
}

// UndoCount undoes one call of Count for the source.
func (t *Throttle) UndoCount(source string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fullAgain, known := t.sources[source]; known {
		t.sources[source] = fullAgain.Add(-t.period)
	}
}

// forgetIdle removes the sources that have their whole allowance again. If there are still maxSources sources
// after that, it removes all of them.
func (t *Throttle) forgetIdle(now time.Time) {
	for source, fullAgain := range t.sources {
		if !fullAgain.After(now) {
			delete(t.sources, source)
		}
	}
	if len(t.sources) >= maxSources {
		clear(t.sources)
	}
}

// subscriberNetwork returns the part of an address that belongs to one subscriber: the whole of an
// IPv4 address, or the first 64 bits of an IPv6 address.
func subscriberNetwork(address string) string {
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

// Seconds returns a waiting time in whole seconds, as the header Retry-After needs it.
func Seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

// SiteSource returns a source for a Throttle: the site in the path of a request, and the network
// from which the request comes.
func SiteSource(r *http.Request) string {
	return r.PathValue("site") + " " + subscriberNetwork(RemoteIP(r))
}
