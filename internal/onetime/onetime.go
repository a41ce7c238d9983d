// Package onetime holds the shared code for the one-time sign-in links of people and of operators.
// A link opens, which means that it signs the person in, until it was used or has expired.
//
//	New       makes a Link for the person, and a Record for the store.
//	FindOpen  returns the record of a link that opens, or the reason why the link does not open.
//	          FindOpen does not use the link up, because mail programs open links before people do.
//	Use       marks the link as used, once, or returns the reason why the link does not open.
package onetime

import (
	"errors"
	"time"

	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/refusal"
)

// TTL is how long a link can be opened.
const TTL = 15 * time.Minute

// Link is a new one-time link. Its secret cannot be read again later.
type Link struct {
	Secret  string    // the secret in the path; it is never stored
	Path    string    // the path of the page that opens the link; it follows the public URL
	Expires time.Time // when the link expires: TTL after it was made
}

// Record is the stored form of a link.
type Record struct {
	Hash    secret.Hash // the hash of the secret
	Created time.Time
	Expires time.Time
	Used    time.Time // when the link was used; zero if it was not used yet
}

// New makes a link. The function path returns the path of the page that opens the link with this
// secret.
func New(now time.Time, path func(secret string) string) (Link, Record) {
	s := secret.New()
	l := Link{Secret: s, Path: path(s), Expires: now.Add(TTL)}
	return l, Record{Hash: secret.HashOf(s), Created: now, Expires: l.Expires}
}

// Reason says why a link does not open. Other packages define more reasons.
type Reason string

// The reasons that all links share.
const (
	Unknown Reason = "unknown" // the link does not exist
	Used    Reason = "used"
	Expired Reason = "expired"
)

// ClosedReason returns the reason why the link does not open at the time now, or "" if it opens.
func (r Record) ClosedReason(now time.Time) Reason {
	switch {
	case !r.Used.IsZero():
		return Used
	case !now.Before(r.Expires):
		return Expired
	}
	return ""
}

// ErrClosed is returned by stores for a link that does not exist or does not open.
var ErrClosed = errors.New("the link does not open")

// FindOpen returns the record of a link that opens at the time now. The function find reads the
// record. The function refuse makes the error for a link that does not open. If find returns
// ErrClosed, refuse gets an empty record.
func FindOpen[R interface{ ClosedReason(time.Time) Reason }](now time.Time, find func() (R, error), refuse func(R, Reason) error) (R, error) {
	var none R
	r, err := find()
	switch {
	case errors.Is(err, ErrClosed):
		return none, refuse(none, Unknown)
	case err != nil:
		return none, err
	}
	if why := r.ClosedReason(now); why != "" {
		return none, refuse(r, why)
	}
	return r, nil
}

// Use calls the function markUsed, which marks the link as used in the store. If markUsed returns
// ErrClosed, Use calls findReason, which reads the link again and returns an error that says why
// the link does not open. If findReason returns nil, Use returns unknownReason.
func Use(markUsed, findReason func() error, unknownReason error) error {
	err := markUsed()
	if !errors.Is(err, ErrClosed) {
		return err
	}
	if err := findReason(); err != nil {
		return err
	}
	return unknownReason
}

// NewRefusal returns the refusal for a link that does not open. code names the refusal for
// programs.
func NewRefusal(code string) *refusal.Error {
	return refusal.New(refusal.Gone, "", "this link does not open any more").
		Advise("a new one is made on the server").Coded(code)
}

// Refuse returns a copy of base, which NewRefusal made. The copy has a message that explains the
// reason r to the person who opened the link. unknown is the end of the message for a link that
// does not exist.
func (r Reason) Refuse(base *refusal.Error, unknown string) *refusal.Error {
	switch r {
	case Used:
		return base.Because("this link has been used already: each opens once")
	case Expired:
		return base.Because("this link has expired: each opens for %d minutes", int(TTL.Minutes()))
	default:
		return base.Because("this link is not known here: it may be cut off, or %s", unknown)
	}
}
