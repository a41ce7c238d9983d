package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/signin"
)

// recordRefusal records in the audit log that a page or a sign-in link was refused. It records the
// pattern of the route instead of the address, because the address may contain a secret.
func (c *Console) recordRefusal(r *http.Request, scope event.Scope, pattern string, err error) {
	if c.Options.Refused == nil {
		return
	}
	e := event.Event{Scope: scope, Name: event.PageRefused}
	var shown *PageError
	why, isLink := refusedLink(err)
	switch {
	case isLink:
		e.Name, e.Text = event.SignInLinkRefused, "A sign-in link was refused: "+why
	case !errors.As(err, &shown):
		return
	case shown.Status == http.StatusUnauthorized:
		e.Text = "A page was refused, as nobody was signed in: " + pattern
	case shown.Status == http.StatusForbidden:
		e.Text = "A page was refused, as the role does not allow it: " + pattern
	default:
		return
	}
	c.Options.Refused.Add(r.Context(), e)
}

// refusedLink returns why a sign-in link was refused. If it is known which person the link was made
// for, the text also names that person. isLink is false if err is not about a sign-in link.
func refusedLink(err error) (why string, isLink bool) {
	e, ok := asRefusal(err)
	if !ok {
		return "", false
	}
	name := ""
	switch link := e.Data.(type) {
	case signin.ClosedLink:
		why, name = string(link.Reason), link.UserName
	case operator.ClosedLink:
		why, name = string(link.Reason), link.Name
	default:
		return "", false
	}
	if name != "" {
		why += ", of " + name
	}
	return why, true
}

// recordForeignForm records in the audit log that a form was refused, because a page of another
// website sent it.
func (c *Console) recordForeignForm(r *http.Request) {
	if c.Options.Refused == nil {
		return
	}
	_, below, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	area := strings.TrimSuffix(r.URL.Path, below)
	c.Options.Refused.Add(withBrowser(r).Context(), event.Event{
		Scope: event.Installation(), Name: event.PageRefused, Text: "A form was refused, as another site sent it: " + r.Method + " " + area + "…",
	})
}
