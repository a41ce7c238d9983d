package signin

import (
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/refusal"
)

// The reasons why a one-time link does not work, in addition to the reasons of package onetime.
const (
	LinkDeactivated onetime.Reason = "deactivated"  // the person's account is no longer active
	LinkBlocked     onetime.Reason = "blocked"      // an administrator blocked the person
	LinkOutdated    onetime.Reason = "outdated"     // the account was deactivated after the link was made, and then reactivated
	LinkHasAdmin    onetime.Reason = "has-admin"    // the site has an administrator already
	LinkSSORequired onetime.Reason = "sso-required" // the site requires single sign-on, and the person is not an administrator
)

// Refusals that callers check for.
var (
	// ErrLinkEnded refuses a link that no longer works. A new link would work. Its Data field is a
	// ClosedLink.
	ErrLinkEnded = onetime.NewRefusal("link_ended")
	// ErrAccountClosed refuses a link because of the person's account or the site's settings. A new
	// link would not work either. Its Data field is a ClosedLink.
	ErrAccountClosed = refusal.New(refusal.Gone, "", "this account is closed, so its links do not open").Coded("link_account_closed")

	// ErrInactive and ErrBlocked refuse to make a link for a person whose account is deactivated or
	// blocked.
	ErrInactive = refusal.New(refusal.Conflict, "", "the account is deactivated").Advise("reactivate it first").Coded("link_inactive")
	ErrBlocked  = refusal.New(refusal.Conflict, "", "the account is blocked").Advise("unblock it first").Coded("link_blocked")
	// ErrSSORequired refuses to make a link for a person who is not an administrator, because the
	// site requires single sign-on.
	ErrSSORequired = refusal.New(refusal.Conflict, "", "this site requires single sign-on; links are for its administrators alone").
			Advise("sign in with single sign-on, or make it optional").Coded("link_sso_required")
	// ErrHasAdmin refuses to make a first administrator, because the site has an active
	// administrator.
	ErrHasAdmin = refusal.New(refusal.Conflict, "", "the site has an administrator already").
			Advise("make a link for a person of the site").Coded("site_has_admin")
)

// ClosedLink says why a link does not work. It is the data of ErrLinkEnded and ErrAccountClosed.
type ClosedLink struct {
	Reason   onetime.Reason
	Site     string // the name of the site
	UserName string // empty if it is unknown, and for a first administrator's link
}

// Refuse returns ErrLinkEnded or ErrAccountClosed with a message that tells the person why the link
// does not work.
func (l ClosedLink) Refuse() error {
	switch l.Reason {
	case LinkDeactivated:
		return ErrAccountClosed.Because("this account is deactivated, so its links do not open").
			Advise("an administrator of the site can reactivate it").WithData(l)
	case LinkBlocked:
		return ErrAccountClosed.Because("this account is blocked, so its links do not open").
			Advise("an administrator of the site can unblock it").WithData(l)
	case LinkSSORequired:
		return ErrAccountClosed.Because("this site requires single sign-on, so links do not open it").
			Advise("sign in with single sign-on").WithData(l)
	case LinkOutdated:
		return ErrLinkEnded.Because("this account was deactivated after the link was made, so the link does not open any more").WithData(l)
	case LinkHasAdmin:
		return ErrLinkEnded.Because("this site has an administrator already, so the link for the first one does not open any more").WithData(l)
	default:
		return l.Reason.Refuse(ErrLinkEnded, "a newer one took its place").WithData(l)
	}
}
