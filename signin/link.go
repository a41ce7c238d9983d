package signin

import (
	"fmt"
	"strings"
)

// LinkReason says why a link does not open.
type LinkReason string

// The reasons why a link does not open.
const (
	LinkUnknown     LinkReason = "unknown"
	LinkUsed        LinkReason = "used"
	LinkExpired     LinkReason = "expired"
	LinkDeactivated LinkReason = "deactivated" // the person's account is not active any more
	LinkBlocked     LinkReason = "blocked"     // an administrator blocked the person
	LinkOutdated    LinkReason = "outdated"    // it was deactivated after the link was made, and is active again
	LinkHasAdmin    LinkReason = "has-admin"   // the site has got an administrator in another way
)

// LinkError refuses a link. Its text is written for the person who opened it.
type LinkError struct {
	Reason   LinkReason
	Site     string
	UserName string // empty if unknown, or for a first administrator's link
}

// Error is a sentence with what to do next.
func (e *LinkError) Error() string {
	again := fmt.Sprintf("A new one is made on the server by: rollcall site link %s", e.Site)
	if e.UserName != "" {
		again += " " + word(e.UserName)
	} else if e.Reason == LinkUnknown || e.Reason == LinkHasAdmin {
		again += " USERNAME"
	}
	switch e.Reason {
	case LinkUsed:
		return "This link has been used already: each opens once. " + again
	case LinkExpired:
		return "This link has expired: each opens for 15 minutes. " + again
	case LinkDeactivated:
		return "This account is deactivated, so its links do not open. An administrator of the site can reactivate it."
	case LinkBlocked:
		return "This account is blocked, so its links do not open. An administrator of the site can unblock it."
	case LinkOutdated:
		return "This account was deactivated after the link was made, so the link does not open any more. " + again
	case LinkHasAdmin:
		return "This site has an administrator already, so the link for the first one does not open any more. " + again
	default:
		return "This link is not known here: it may be cut off, or a newer one took its place. " + again
	}
}

// word is a user name as a command line takes it for one word.
func word(name string) string {
	if strings.ContainsAny(name, " \t'\"\\$&|;<>()*?`!#~") {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}
