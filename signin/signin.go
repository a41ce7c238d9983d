package signin

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// Kind says what a link does.
type Kind string

// The kinds of links.
const (
	// Person signs in one person of the site.
	Person Kind = "person"
	// FirstAdmin asks for a name and an e-mail address and makes the site's first administrator.
	FirstAdmin Kind = "first-admin"
)

// Link is a new one-time link to sign in at a site. Its secret cannot be read again later.
type Link struct {
	onetime.Link
	Kind     Kind
	UserName string // empty for FirstAdmin
}

// LinkPath returns the path of the page that shows and redeems a site's link.
func LinkPath(siteName, secret string) string { return "/c/" + siteName + "/sign-in/" + secret }

// LinkRecord is a link as it is stored.
type LinkRecord struct {
	onetime.Record
	Site     site.ID
	Kind     Kind
	PersonID string // empty for FirstAdmin
}

// Store keeps links. It gets only hashes of secrets. Every method names the site.
type Store interface {
	// AddLink stores a link and appends its event. A FirstAdmin link replaces every earlier
	// FirstAdmin link of its site, so that at most one works. AddLink removes links that expired
	// long ago.
	AddLink(ctx context.Context, l LinkRecord, e event.Event) error
	// FindLink returns a link by its hash, even if the link is used or has expired. It returns
	// onetime.ErrClosed if there is no such link.
	FindLink(ctx context.Context, id site.ID, hash secret.Hash) (LinkRecord, error)
	// UseLink marks the link as used and appends the event, in one transaction. If the link is
	// unknown or used, or has expired at the time now, it does nothing and returns
	// onetime.ErrClosed.
	UseLink(ctx context.Context, id site.ID, hash secret.Hash, now time.Time, e event.Event) error
	// RequiresSSO reports whether the site's mode is SSORequired.
	RequiresSSO(ctx context.Context, id site.ID) (bool, error)
	// ReturnLink makes a used link usable again, because the sign-in with it failed. used is the
	// time at which UseLink marked it as used; a link that was used at another time stays used.
	ReturnLink(ctx context.Context, id site.ID, hash secret.Hash, used time.Time) error
}

// SignIns makes and redeems one-time links. All fields are required.
type SignIns struct {
	Store   Store
	Rosters *roster.Rosters
	Now     func() time.Time
	Limits  session.Limits // how long new sessions last
}

// Session is a session that has just started, with the secret for the browser's cookie.
type Session struct {
	Person  roster.Person
	Secret  string // the cookie's value; never stored
	Expires time.Time
}
