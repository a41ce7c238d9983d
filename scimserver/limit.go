package scimserver

import (
	"strconv"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// limiter bounds how many requests per second a site answers, if its administrator set a limit.
// Each site has a bucket with the requests of one second, and a client may use them all at once.
type limiter struct {
	mu      sync.Mutex
	buckets map[site.ID]bucket
}

type bucket struct {
	remaining float64 // how many requests may still be answered
	updatedAt time.Time
}

// maxBuckets bounds how many buckets are remembered. A site whose bucket was dropped gets a full
// bucket with its next request.
const maxBuckets = 10_000

// takeToken reports whether a request of the site may be answered now, and if not, how long the
// client should wait.
func (l *limiter) takeToken(id site.ID, perSecond int, now time.Time) (wait time.Duration, ok bool) {
	if perSecond <= 0 {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil || len(l.buckets) >= maxBuckets {
		l.buckets = map[site.ID]bucket{}
	}
	b, exists := l.buckets[id]
	rate := float64(perSecond)
	if passed := now.Sub(b.updatedAt).Seconds(); !exists {
		b.remaining = rate
	} else if passed > 0 {
		b.remaining = min(rate, b.remaining+passed*rate)
	}
	b.updatedAt = now
	if ok = b.remaining >= 1; ok {
		b.remaining--
	} else {
		wait = time.Duration((1 - b.remaining) / rate * float64(time.Second))
	}
	l.buckets[id] = b
	return wait, ok
}

// checkRate returns 429 for a request above the site's rate.
//
// RFC 6585 §4: Retry-After says when to try again, in whole seconds.
func (x *exchange) checkRate() error {
	wait, ok := x.handler.limits.takeToken(x.site.ID, x.site.RateLimit, x.handler.Now())
	if ok {
		return nil
	}
	seconds := int((wait + time.Second - 1) / time.Second)
	return &headerError{
		err:    scim.TooManyRequests("This site answers %d SCIM requests per second; send this one again in %d s.", x.site.RateLimit, seconds),
		header: "Retry-After",
		value:  strconv.Itoa(seconds),
	}
}
