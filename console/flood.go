package console

import (
	"net/http"
	"time"

	"github.com/rollcall-scim/rollcall/internal/web"
)

// RefuseFlood returns an error with status 429 if too many sign-ins from the visitor's network have
// failed at this site. Otherwise it returns nil. Successful sign-ins do not count.
func (c *Console) RefuseFlood(w http.ResponseWriter, r *http.Request) error {
	wait := c.failures.Wait(web.SiteSource(r), c.Options.Now())
	if wait <= 0 {
		return nil
	}
	return tooManySignIns(w, wait, "failed")
}

// CountFailure counts a failed sign-in for RefuseFlood, such as a sign-in with an unknown link or
// recovery code.
func (c *Console) CountFailure(r *http.Request) {
	c.failures.Count(web.SiteSource(r), c.Options.Now())
}

// The limits for sign-ins of operators that begin from one network: startsAtOnce may begin at once,
// and after that one more in each interval of the length startsEvery. Sign-ins that succeed do not
// count.
const (
	startsAtOnce = 100
	startsEvery  = time.Second
)

// RefuseStart counts a sign-in that is sent to the operators' provider. It returns an error with
// status 429 if too many sign-ins from the same network have begun.
func (c *Console) RefuseStart(w http.ResponseWriter, r *http.Request) error {
	source, now := web.SiteSource(r), c.Options.Now()
	if wait := c.starts.Wait(source, now); wait > 0 {
		return tooManySignIns(w, wait, "began")
	}
	c.starts.Count(source, now)
	return nil
}

// UncountStart undoes the count of a sign-in that has succeeded.
func (c *Console) UncountStart(r *http.Request) { c.starts.UndoCount(web.SiteSource(r)) }

// tooManySignIns returns the error for a client that must wait. what is the verb that says what its
// sign-ins did too often: "failed" or "began".
func tooManySignIns(w http.ResponseWriter, wait time.Duration, what string) error {
	w.Header().Set("Retry-After", web.Seconds(wait))
	return &PageError{
		Status: http.StatusTooManyRequests, Title: "Too many sign-ins",
		Text: "Sign-ins from your address " + what + " too often. Wait " + web.Seconds(wait) + " seconds, then try again.",
	}
}
