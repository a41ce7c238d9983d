package site

import "context"

// DeleteMode says what a SCIM DELETE of a user does.
type DeleteMode string

const (
	RefuseDelete       DeleteMode = "refuse"     // answered with how to fix it
	DeactivateOnDelete DeleteMode = "deactivate" // the account stays, cut off
	DeleteForGood      DeleteMode = "delete"     // cannot be undone
)

// Bounds of Site.RateLimit, in requests per second. Entra sends up to 25 of its own accord, so less
// would stop a provisioning job that does nothing wrong.
const (
	MinRateLimit = 25
	MaxRateLimit = 100_000
)

// Choose sets the profile and the switches that it stands for: documented refuses create and delete
// and has no groups, full creates, deletes for good and has groups. Every other setting stays as it
// is.
func (s *Settings) Choose(p Profile) {
	s.Profile = p
	s.Creates, s.Deletes, s.Groups = false, RefuseDelete, false
	if p == Full {
		s.Creates, s.Deletes, s.Groups = true, DeleteForGood, true
	}
}

// GroupNamesUnique reports whether no two groups have the same displayName.
//
// RFC 7643 §8.7.1 says uniqueness "none", and strict sites follow it.
func (s Settings) GroupNamesUnique() bool { return !s.Strict && !s.SharedGroupNames }

// keepGroupNames starts or stops keeping the names of groups unique, if the next settings ask for
// that.
func keepGroupNames(ctx context.Context, tx Tx, next Site) error {
	was, is := tx.Site().GroupNamesUnique(), next.GroupNamesUnique()
	switch {
	case is && !was:
		return tx.KeepGroupNames(ctx)
	case was && !is:
		return tx.FreeUnique(ctx, "Group", "displayName")
	}
	return nil
}
