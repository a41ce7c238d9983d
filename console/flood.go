package console

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/internal/web"
)

// RefuseFlood refuses a source whose sign-ins at this site failed too often, with 429. Sign-ins that
// succeed do not count. It returns nil if the source may go on.
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

// CountFailure counts a sign-in with a link or a recovery code that is not known.
func (c *Console) CountFailure(r *http.Request) {
	c.failures.Count(web.SiteSource(r), c.Options.Now())
}
