package site

import (
	"context"
	"fmt"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
)

// DeleteMode says what a SCIM DELETE of a user does.
type DeleteMode string

const (
	RefuseDelete       DeleteMode = "refuse"     // answered with how to fix it
	DeactivateOnDelete DeleteMode = "deactivate" // the account stays, cut off
	DeleteForGood      DeleteMode = "delete"     // cannot be undone
)

// ParseDeleteMode reads a delete mode's name.
func ParseDeleteMode(text string) (DeleteMode, error) {
	switch m := DeleteMode(text); m {
	case RefuseDelete, DeactivateOnDelete, DeleteForGood:
		return m, nil
	}
	return "", refusal.New(refusal.Invalid, "delete", "%q is no way to answer a delete", text).Advise("use refuse, deactivate or delete")
}

// Bounds of Site.RateLimit, in requests per second. Entra sends up to 25 of its own accord, so less would stop a
// provisioning job that does nothing wrong.
const (
	MinRateLimit = 25
	MaxRateLimit = 100_000
)

// Choose sets the profile and the switches that it stands for: documented refuses create and delete and has no
// groups, full creates, deletes for good and has groups. Every other setting stays as it is.
func (s *Site) Choose(p Profile) {
	s.Profile = p
	s.Creates, s.Deletes, s.Groups = false, RefuseDelete, false
	if p == Full {
		s.Creates, s.Deletes, s.Groups = true, DeleteForGood, true
	}
}

func checkSwitches(s Site) error {
	if _, err := ParseDeleteMode(string(s.Deletes)); err != nil {
		return err
	}
	if s.RateLimit != 0 && (s.RateLimit < MinRateLimit || s.RateLimit > MaxRateLimit) {
		return refusal.New(refusal.Invalid, "rate", "a rate limit of %d requests per second cannot be kept", s.RateLimit).
			Advise("use 0 for none, or %d to %d", MinRateLimit, MaxRateLimit)
	}
	return nil
}

// GroupNamesUnique reports whether no two groups have the same displayName.
//
// RFC 7643 §8.7.1: uniqueness is "none", which strict sites keep to.
func (s Site) GroupNamesUnique() bool { return !s.Strict && !s.SharedGroupNames }

// keepGroupNames brings what is noted of the names of groups to what the next settings of a site ask for.
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

// switchEvents gives an event for each switch that differs.
func (s *Sites) switchEvents(old, next Site, actor string) []event.Event {
	var events []event.Event
	add := func(name, text, setting string, before, after any) {
		events = append(events, s.event(old.ID, name, actor, "", text, event.Changed(setting, before, after)))
	}
	if old.Creates != next.Creates {
		if next.Creates {
			add("site.creates_changed", "SCIM may now create accounts", "creates", old.Creates, next.Creates)
		} else {
			add("site.creates_changed", "SCIM may no longer create accounts", "creates", old.Creates, next.Creates)
		}
	}
	if old.Revives != next.Revives {
		if next.Revives {
			add("site.revives_changed", "A create over SCIM now revives who was deactivated over SCIM", "revives", old.Revives, next.Revives)
		} else {
			add("site.revives_changed", "A create over SCIM no longer revives who is deactivated: it is refused", "revives", old.Revives, next.Revives)
		}
	}
	if old.Deletes != next.Deletes {
		add("site.deletes_changed", map[DeleteMode]string{
			RefuseDelete:       "SCIM may no longer delete: a delete is refused",
			DeactivateOnDelete: "A delete over SCIM now deactivates the account",
			DeleteForGood:      "A delete over SCIM now deletes the account for good",
		}[next.Deletes], "deletes", old.Deletes, next.Deletes)
	}
	if old.Groups != next.Groups {
		if next.Groups {
			add("site.groups_changed", "SCIM now has groups", "groups", old.Groups, next.Groups)
		} else {
			add("site.groups_changed", "SCIM no longer has groups; those that are stored stay", "groups", old.Groups, next.Groups)
		}
	}
	if old.SharedGroupNames != next.SharedGroupNames {
		if next.SharedGroupNames {
			add("site.group_names_changed", "Several groups may now have one displayName", "sharedGroupNames", old.SharedGroupNames, next.SharedGroupNames)
		} else {
			add("site.group_names_changed", "Each group now needs a displayName of its own", "sharedGroupNames", old.SharedGroupNames, next.SharedGroupNames)
		}
	}
	if old.RateLimit != next.RateLimit {
		if next.RateLimit == 0 {
			add("site.rate_limit_changed", "SCIM requests are no longer limited", "rateLimit", old.RateLimit, next.RateLimit)
		} else {
			add("site.rate_limit_changed", fmt.Sprintf("SCIM requests are now limited to %d per second", next.RateLimit), "rateLimit", old.RateLimit, next.RateLimit)
		}
	}
	return events
}
