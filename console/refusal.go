package console

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/signin"
)

// This file is the only place where a refusal becomes a response: a page, a notice, or an error
// next to an input.

// asRefusal returns the refusal in err's chain. Errors of package scim count too, except those with
// status 500.
func asRefusal(err error) (*refusal.Error, bool) {
	if e, ok := refusal.Find(err); ok {
		return e, true
	}
	var wire *scim.Error
	if !errors.As(err, &wire) || wire.Status == http.StatusInternalServerError {
		return nil, false
	}
	return refusal.New(kindOfStatus(wire.Status), "", "%s", wire.Detail), true
}

func kindOfStatus(status int) refusal.Kind {
	switch status {
	case http.StatusUnauthorized:
		return refusal.Unauthorized
	case http.StatusForbidden:
		return refusal.Forbidden
	case http.StatusNotFound:
		return refusal.NotFound
	case http.StatusConflict:
		return refusal.Conflict
	case http.StatusPreconditionFailed:
		return refusal.Stale
	case http.StatusRequestEntityTooLarge:
		return refusal.TooLarge
	case http.StatusNotImplemented:
		return refusal.Off
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return refusal.Busy
	default:
		return refusal.Invalid
	}
}

// pageOfRefusal turns a refusal into a page of its own. back is a link for the visitor; it may be
// nil.
func (c *Console) pageOfRefusal(e *refusal.Error, back *Action) *PageError {
	shown := &PageError{Status: http.StatusUnprocessableEntity, Title: "This was not done", Text: e.Sentences(), Action: back}
	if link := newLink(e); link != "" {
		// The command comes last, so that users can copy it up to the end of the line.
		shown.Text = e.Advise("").Sentences() + " " + cmp.Or(c.Options.NewLinks, "A new one is made on the server by: "+link)
	}
	if refused, ok := e.About.(operator.RefusedSignIn); ok {
		if shown.Title = "You are not signed in"; refused.Linking {
			shown.Title = "No identity was linked"
		}
	}
	switch e.Kind {
	case refusal.NotFound:
		shown.Status, shown.Title = http.StatusNotFound, ErrNotFound.Title
	case refusal.Gone:
		shown.Status, shown.Title = http.StatusGone, "This link does not open"
	case refusal.Taken, refusal.Conflict, refusal.Stale:
		shown.Status = http.StatusConflict
	case refusal.Unauthorized:
		shown.Status = http.StatusUnauthorized
	case refusal.Forbidden:
		shown.Status = http.StatusForbidden
	case refusal.TooLarge:
		shown.Status = http.StatusRequestEntityTooLarge
	case refusal.Off:
		shown.Status = http.StatusNotImplemented
	case refusal.Busy:
		shown.Status = http.StatusServiceUnavailable
	}
	return shown
}

// newLink returns the command that creates a link to replace the refused one, or "" if a new link
// would not help.
func newLink(e *refusal.Error) string {
	switch l := e.About.(type) {
	case operator.ClosedLink:
		return "rollcall operator link " + cmp.Or(shellWord(l.Name), "NAME")
	case signin.ClosedLink:
		command := "rollcall site link " + l.Site
		switch {
		case errors.Is(e, signin.ErrAccountClosed):
			return ""
		case l.UserName != "":
			command += " " + shellWord(l.UserName)
		case l.Reason == onetime.Unknown, l.Reason == signin.LinkHasAdmin:
			command += " USERNAME"
		}
		return command
	}
	return ""
}

// shellWord quotes a name so that a shell reads it as one word.
func shellWord(name string) string {
	if strings.ContainsAny(name, " \t'\"\\$&|;<>()*?`!#~") {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

// InputIDs maps the field of a refusal to the id of the form's input. The entry for "" is for all
// other fields.
type InputIDs map[string]string

// InputError returns a refusal as an error next to an input. It returns nil if err is not a
// refusal, or if no input of the form can fix it; such errors become pages.
func InputError(err error, ids InputIDs) *FieldError {
	e, ok := asRefusal(err)
	if !ok {
		return nil
	}
	switch e.Kind {
	case refusal.Invalid, refusal.Taken, refusal.Conflict, refusal.TooLarge:
	default:
		return nil
	}
	id, known := ids[e.Field]
	if !known {
		id = ids[""]
	}
	if id == "" {
		return nil
	}
	return &FieldError{For: id, Text: e.Sentences()}
}

// AttributeError returns a refusal as an error for a form whose inputs are named like attributes.
// Errors without an attribute appear above the form. It returns nil if err is not a refusal, or if
// the object does not exist.
func AttributeError(err error) *FieldError {
	e, ok := asRefusal(err)
	if !ok || e.Kind == refusal.NotFound {
		return nil
	}
	return &FieldError{For: e.Field, Text: e.Sentences()}
}

// RefusalNotice returns a refusal as a notice above the unchanged page. It returns nil if err is
// not a refusal, or if the object does not exist.
func RefusalNotice(title string, err error) *Notice {
	e, ok := asRefusal(err)
	if !ok || e.Kind == refusal.NotFound {
		return nil
	}
	return &Notice{Tone: ToneProblem, Title: title, Text: e.Sentences()}
}
