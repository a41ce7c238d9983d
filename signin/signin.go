package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// LinkTTL is how long a one-time link opens.
const LinkTTL = 15 * time.Minute

// Kind is what a link does.
type Kind string

// The kinds of links.
const (
	// Person signs in one person of the site.
	Person Kind = "person"
	// FirstAdmin asks for a name and an e-mail address and makes the site's first administrator.
	FirstAdmin Kind = "first-admin"
)

// Link is a one-time link as its maker gets it, once.
type Link struct {
	Kind     Kind
	UserName string    // empty for FirstAdmin
	Secret   string    // never stored
	Path     string    // to be put behind the public URL
	Expires  time.Time // LinkTTL after it was made
}

// LinkPath is the path at which a site's link of this secret is shown and redeemed.
func LinkPath(siteName, secret string) string { return "/c/" + siteName + "/sign-in/" + secret }

// LinkRecord is a link as it is stored.
type LinkRecord struct {
	Site     site.ID
	Hash     string
	Kind     Kind
	PersonID string // empty for FirstAdmin
	Created  time.Time
	Expires  time.Time
	Used     time.Time // zero: not yet
}

// Store keeps links. Secrets reach it only as hashes, and every method names the site.
type Store interface {
	// AddLink stores a link and its event. A FirstAdmin link replaces every earlier one of its site, so that at most one
	// opens. Links that expired long ago are forgotten.
	AddLink(ctx context.Context, l LinkRecord, e event.Event) error
	// FindLink returns a link by hash, used and expired ones too, or ErrLinkEnded.
	FindLink(ctx context.Context, id site.ID, hash string) (LinkRecord, error)
	// UseLink marks the link used and appends the event, in one transaction; ErrLinkEnded, and nothing done, if it is unknown,
	// used or expired at now.
	UseLink(ctx context.Context, id site.ID, hash string, now time.Time, e event.Event) error
	// ReturnLink makes a link usable again whose use at this time came to nothing.
	ReturnLink(ctx context.Context, id site.ID, hash string, used time.Time) error
}

// SignIns is the service over a Store and the rosters of the sites.
type SignIns struct {
	Store   Store
	Rosters *roster.Rosters
	Now     func() time.Time
	Limits  session.Limits // of sessions that start
}

// Session is a started session as its browser gets it, once.
type Session struct {
	Person  roster.Person
	Secret  string // the cookie's value; never stored
	Expires time.Time
}

// newSecret returns 32 random bytes as 43 URL-safe characters.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // never fails, by its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
