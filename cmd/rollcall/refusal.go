package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// describeError turns an error into the text for standard error and an exit code. Every error that
// ends a command goes through this function. The text is empty if the command has already printed
// the reason.
func describeError(err error) (text string, code int) {
	var usage usageError
	var unanswered unansweredError
	switch {
	case err == nil:
		return "", 0
	case errors.As(err, &usage):
		return "rollcall: " + errorLine(err) + "\nTry 'rollcall " + usage.command + "--help'.\n", 2
	case errors.As(err, &unanswered):
		return errorLine(err) + "\n", 4
	case errors.Is(err, errAlreadyPrinted):
		return "", 1
	case errors.Is(err, errSomethingToDo):
		return "", 2
	case errors.Is(err, errLeftWaiting):
		return "", 3
	default:
		return "rollcall: " + errorLine(err) + "\n", 1
	}
}

// errorLine returns an error as one line. It adds the field and the advice of a refusal. It does
// not reword errors of targets and of package scim.
func errorLine(err error) string {
	text := err.Error()
	var target *provision.TargetError
	if errors.As(err, &target) {
		return strings.Replace(text, target.Error(), target.Words(), 1)
	}
	e, ok := refusal.Find(err)
	if !ok {
		var wire *scim.Error
		if errors.As(err, &wire) {
			return strings.Replace(text, wire.Error(), wire.Detail, 1)
		}
		return text
	}
	said := e.Advise("%s", adviceFor(e)).Error()
	if e.Field != "" && !strings.Contains(said, e.Field) {
		said = e.Field + ": " + said
	}
	return strings.Replace(text, e.Error(), said, 1)
}

// adviceFor returns the refusal's advice. If a command or flag can do what the advice says,
// adviceFor returns advice that names this command or flag.
func adviceFor(e *refusal.Error) string {
	switch {
	case errors.Is(e, site.ErrOneLive):
		return "add --replace to end it now, or --until-used to keep it until the new one is used"
	case errors.Is(e, site.ErrTwoLive):
		return "revoke one first: rollcall token revoke SITE LAST4"
	case errors.Is(e, signin.ErrHasAdmin):
		return "use: rollcall site link SITE USERNAME"
	case errors.Is(e, signin.ErrBlocked):
		return "unblock it first: rollcall site unblock SITE USERNAME"
	case errors.Is(e, directory.ErrNoDirectory):
		return fmt.Sprintf("make one with: rollcall directory create %s", e.Data)
	case errors.Is(e, operator.ErrKeyNotFound):
		return "rollcall directory key list DIRECTORY --json shows them with their ids"
	case errors.Is(e, notification.ErrNotFound) && e.Advice == "":
		return "rollcall notification list DIRECTORY shows them"
	case errors.Is(e, notification.ErrNoWebhook) && e.Advice == "":
		return "rollcall webhook list DIRECTORY shows them"
	case errors.Is(e, notification.ErrNoDelivery):
		return "rollcall webhook deliveries DIRECTORY WEBHOOK shows them"
	case errors.Is(e, notification.ErrWebhookOff):
		return "enable it first: rollcall webhook enable DIRECTORY WEBHOOK"
	case errors.Is(e, notification.ErrNoSecret):
		return "rotate the secret first: rollcall webhook rotate DIRECTORY WEBHOOK"
	case errors.Is(e, operator.ErrUnknown):
		return "rollcall operator list shows them"
	}
	return e.Advice
}
