package scimserver

import (
	"strconv"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// limiter limits how many requests per second are answered for each site whose administrator has
// set a limit. Each site has a token bucket, which is full with as many tokens as the site may have
// requests in one second. Each request takes a token.
type limiter struct {
	mu      sync.Mutex
	buckets map[site.ID]bucket
}

// bucket is the token bucket of one site.
type bucket struct {
	remaining float64   // how many tokens are left
	updatedAt time.Time // when remaining was last computed
}

// maxBuckets is the largest number of buckets in memory. If a further one is needed, all buckets
// are dropped. A site without a bucket gets a full one with its next request.
const maxBuckets = 10_000

// takeToken reports whether a request of the site may be answered now. If ok is false, the client
// should wait for the duration wait.
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

// checkRate returns 429 if the request exceeds the site's limit of requests per second.
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
