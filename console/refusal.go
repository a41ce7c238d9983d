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

// The functions in this file turn refusals into responses: a page, a notice, or an error beside an
// input. No other file does that.

// asRefusal returns the refusal that err is or wraps. It also turns a *scim.Error into a refusal,
// if its status is not 500. ok is false if there is no refusal.
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

// kindOfStatus returns the kind of refusal that fits an HTTP status.
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

// refusalPage turns a refusal into an error page. back is the link below the text; it may be nil.
func (c *Console) refusalPage(e *refusal.Error, back *Action) *PageError {
	shown := &PageError{Status: http.StatusUnprocessableEntity, Title: "This was not done", Text: e.Sentences(), Action: back}
	if link := newLinkCommand(e); link != "" {
		// The command comes last, so that users can copy the line from there to its end.
		shown.Text = e.Advise("").Sentences() + " " + cmp.Or(c.Options.NewLinks, "A new one is made on the server by: "+link)
	}
	if refused, ok := e.Data.(operator.RefusedSignIn); ok {
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

// newLinkCommand returns the command that creates a new sign-in link instead of the refused one. It
// returns "" if a new link would not help.
func newLinkCommand(e *refusal.Error) string {
	switch l := e.Data.(type) {
	case operator.ClosedLink:
		return "rollcall operator link " + cmp.Or(quoteForShell(l.Name), "NAME")
	case signin.ClosedLink:
		command := "rollcall site link " + l.Site
		switch {
		case errors.Is(e, signin.ErrAccountClosed):
			return ""
		case l.UserName != "":
			command += " " + quoteForShell(l.UserName)
		case l.Reason == onetime.Unknown, l.Reason == signin.LinkHasAdmin:
			command += " USERNAME"
		}
		return command
	}
	return ""
}

// quoteForShell quotes a name, if needed, so that a shell reads it as one word.
func quoteForShell(name string) string {
	if strings.ContainsAny(name, " \t'\"\\$&|;<>()*?`!#~") {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

// InputIDs maps the field that a refusal names to the id of the form's input. The entry for "" is
// the input for all other fields.
type InputIDs map[string]string

// InputError returns a refusal as the error of an input. It returns nil if err is not a refusal, or
// if no input of the form can fix it. The handler should then return err.
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

// AttributeError returns a refusal as the error of an input, for a form whose inputs are named like
// attributes. If the refusal names no field, the error's For is "", and the page shows it above the
// form. It returns nil if err is not a refusal, or if the object does not exist.
func AttributeError(err error) *FieldError {
	e, ok := asRefusal(err)
	if !ok || e.Kind == refusal.NotFound {
		return nil
	}
	return &FieldError{For: e.Field, Text: e.Sentences()}
}

// RefusalNotice returns a refusal as a notice. It returns nil if err is not a refusal, or if the
// object does not exist.
func RefusalNotice(title string, err error) *Notice {
	e, ok := asRefusal(err)
	if !ok || e.Kind == refusal.NotFound {
		return nil
	}
	return &Notice{Tone: ToneProblem, Title: title, Text: e.Sentences()}
}
