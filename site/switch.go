package site

import "context"

// DeleteMode says what a SCIM DELETE of a user does.
type DeleteMode string

const (
	RefuseDelete       DeleteMode = "refuse"     // SCIM gets an error that says how to change this
	DeactivateOnDelete DeleteMode = "deactivate" // the account stays, but is deactivated
	DeleteForGood      DeleteMode = "delete"     // the account is deleted; this cannot be undone
)

// Bounds of Settings.RateLimit, in requests per second. Entra sends up to 25 by itself, so a lower
// limit would stop a provisioning job that does nothing wrong.
const (
	MinRateLimit = 25
	MaxRateLimit = 100_000
)

// Choose sets the profile, and sets the switches Creates, Deletes and Groups as the profile says.
// With Documented, SCIM neither creates nor deletes, and serves no groups. With Full, SCIM creates,
// deletes permanently and serves groups. Every other setting stays as it is.
func (s *Settings) Choose(p Profile) {
	s.Profile = p
	s.Creates, s.Deletes, s.Groups = false, RefuseDelete, false
	if p == Full {
		s.Creates, s.Deletes, s.Groups = true, DeleteForGood, true
	}
}

// GroupNamesUnique reports whether each group must have a displayName that no other group has. In
// RFC 7643 §8.7.1 the uniqueness of displayName is "none", so strict sites allow equal names.
func (s Settings) GroupNamesUnique() bool { return !s.Strict && !s.SharedGroupNames }

// updateGroupNameRule makes the names of groups unique, or lets groups share names, if next and the
// stored site differ in that rule.
func updateGroupNameRule(ctx context.Context, tx Tx, next Site) error {
	was, is := tx.Site().GroupNamesUnique(), next.GroupNamesUnique()
	switch {
	case is && !was:
		return tx.MakeGroupNamesUnique(ctx)
	case was && !is:
		return tx.FreeUniqueValues(ctx, "Group", "displayName")
	}
	return nil
}
