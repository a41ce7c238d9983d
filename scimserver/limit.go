package scimserver

import (
	"strconv"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// limiter bounds how many requests a site answers in a second, where its administrator asked for that. A bucket holds one
// second's worth, so that a client may send them at once.
type limiter struct {
	mu      sync.Mutex
	buckets map[site.ID]bucket
}

type bucket struct {
	left float64 // requests
	at   time.Time
}

// keptBuckets bounds what is remembered; a forgotten bucket is a full one.
const keptBuckets = 10_000

// take reports whether a request of the site may be answered now, and if not, how long the client should wait.
func (l *limiter) take(id site.ID, perSecond int, now time.Time) (wait time.Duration, ok bool) {
	if perSecond <= 0 {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil || len(l.buckets) >= keptBuckets {
		l.buckets = map[site.ID]bucket{}
	}
	b, known := l.buckets[id]
	rate := float64(perSecond)
	if passed := now.Sub(b.at).Seconds(); !known {
		b.left = rate
	} else if passed > 0 {
		b.left = min(rate, b.left+passed*rate)
	}
	b.at = now
	if ok = b.left >= 1; ok {
		b.left--
	} else {
		wait = time.Duration((1 - b.left) / rate * float64(time.Second))
	}
	l.buckets[id] = b
	return wait, ok
}

// allowed refuses a request beyond the site's rate.
//
// RFC 6585 §4: Retry-After says when to come again, in whole seconds.
func (x *exchange) allowed() error {
	wait, ok := x.limits.take(x.site.ID, x.site.RateLimit, x.Now())
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
