package console

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/internal/web"
)

// RefuseFlood returns an error with status 429 if too many sign-ins from the visitor's network have
// failed at this site. Otherwise it returns nil. Successful sign-ins do not count.
func (c *Console) RefuseFlood(w http.ResponseWriter, r *http.Request) error {
	wait := c.failures.Wait(web.SiteSource(r), c.Options.Now())
	if wait <= 0 {
		return nil
	}
	w.Header().Set("Retry-After", web.Seconds(wait))
	return &PageError{
		Status: http.StatusTooManyRequests, Title: "Too many sign-ins",
		Text: "Sign-ins from your address failed too often. Wait " + web.Seconds(wait) + " seconds, then try again.",
	}
}

// CountFailure counts a failed sign-in with an unknown link or recovery code, for RefuseFlood.
func (c *Console) CountFailure(r *http.Request) {
	c.failures.Count(web.SiteSource(r), c.Options.Now())
}
