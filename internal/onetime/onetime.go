// Package onetime is what the one-time sign-in links of people and of operators have in common.
//
//	New  →  a Link, for its maker, and a Record, for the store
//	Look →  the record of a link that opens, or why it does not. It leaves the link unused, because
//	        mail programs open links before people do.
//	Use  →  uses the link up, once, or says why it does not open
package onetime

import (
	"errors"
	"time"

	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/refusal"
)

// TTL is how long a link opens.
const TTL = 15 * time.Minute

// Link is a one-time link as its maker gets it, once.
type Link struct {
	Secret  string    // never stored
	Path    string    // to be put behind the public URL
	Expires time.Time // TTL after it was made
}

// Record is a link as it is stored.
type Record struct {
	Hash    secret.Hash
	Created time.Time
	Expires time.Time
	Used    time.Time // zero: not yet
}

// New makes a link. path returns the path at which the link of a secret is shown and redeemed.
func New(now time.Time, path func(secret string) string) (Link, Record) {
	s := secret.New()
	l := Link{Secret: s, Path: path(s), Expires: now.Add(TTL)}
	return l, Record{Hash: secret.HashOf(s), Created: now, Expires: l.Expires}
}

// Reason says why a link does not open. Domains have more of them than these.
type Reason string

// Why a link does not open, whatever it is for.
const (
	Unknown Reason = "unknown"
	Used    Reason = "used"
	Expired Reason = "expired"
)

// Closed says why the link does not open at a time. It is empty when the link opens.
func (r Record) Closed(now time.Time) Reason {
	switch {
	case !r.Used.IsZero():
		return Used
	case !now.Before(r.Expires):
		return Expired
	}
	return ""
}

// ErrClosed is what a store returns for a link that it does not have, or that does not open.
var ErrClosed = errors.New("the link does not open")

// Look returns the record of a link that opens at a time. find reads it, and refuse makes the
// refusal of a link that does not open; its record is empty for an unknown link.
func Look[R interface{ Closed(time.Time) Reason }](now time.Time, find func() (R, error), refuse func(R, Reason) error) (R, error) {
	var none R
	r, err := find()
	switch {
	case errors.Is(err, ErrClosed):
		return none, refuse(none, Unknown)
	case err != nil:
		return none, err
	}
	if why := r.Closed(now); why != "" {
		return none, refuse(r, why)
	}
	return r, nil
}

// Use runs use, which has a store use the link up. When the store returns ErrClosed, look finds out
// why; if it finds nothing, the link is refused as unknown.
func Use(use, look func() error, unknown error) error {
	err := use()
	if !errors.Is(err, ErrClosed) {
		return err
	}
	if err := look(); err != nil {
		return err
	}
	return unknown
}

// Ended makes the refusal of a link in whose place a new one opens.
func Ended(code string) *refusal.Error {
	return refusal.New(refusal.Gone, "", "this link does not open any more").
		Advise("a new one is made on the server").Coded(code)
}

// Refuse gives ended the words for a reason, which are for the person who opened the link. unknown
// says why it may be unknown.
func (r Reason) Refuse(ended *refusal.Error, unknown string) *refusal.Error {
	switch r {
	case Used:
		return ended.Because("this link has been used already: each opens once")
	case Expired:
		return ended.Because("this link has expired: each opens for %d minutes", int(TTL.Minutes()))
	default:
		return ended.Because("this link is not known here: it may be cut off, or %s", unknown)
	}
}
