package roster

import (
	"fmt"
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// asks reports whether the SCIM request addresses an attribute of the user.
func (d *draft) asks(name string) bool { return d.asked == nil || d.asked(name) }

// guards reports whether the person has a role that SCIM may not set here. SCIM cannot change what they sign in by, or it
// could give the role to anybody.
func (r *Roster) guards(rec Record) bool { return rec.Role != RoleRegistered && !r.site.ManageRoles }

// identity lists the attributes by which a later sign-in finds the person, and which SCIM cannot change of them. An
// externalId counts once it is set: the first sync of an identity provider sets it.
func (r *Roster) identity(rec Record) (names []string, why string) {
	switch {
	case rec.Block.On:
		names, why = []string{"userName", "emails"}, blockedNote
	case r.guards(rec):
		names, why = []string{"userName", "emails"}, fmt.Sprintf("this %s signs in by it, and \"Allow SCIM to manage user roles\" is off", rec.Role)
		if r.site.MatchesUserName == site.MatchesDisplayName {
			names = append(names, "displayName")
		}
	default:
		return nil, ""
	}
	if rec.ExternalID != "" {
		names = append(names, "externalId")
	}
	return names, why
}

// keepIdentity leaves what a person signs in by as it was, where SCIM cannot change it. What the request asks for must be
// valid all the same.
func (r *Roster) keepIdentity(rt *resourceType, d *draft, rec Record, old scim.Resource) error {
	names, why := r.identity(rec)
	var kept []string
	for _, name := range names {
		if sameIdentity(name, old[name], d.doc[name]) {
			continue
		}
		if len(kept) == 0 {
			if err := rt.check(d.doc); err != nil {
				return err
			}
		}
		if old[name] == nil {
			delete(d.doc, name)
		} else {
			d.doc[name] = old[name]
		}
		kept = append(kept, name)
		d.ignored = append(d.ignored, scim.Ignored{Path: name, Reason: "not changed: " + why})
	}
	if len(kept) > 0 {
		d.notes = append(d.notes, strings.Join(kept, ", ")+" not changed: "+why)
	}
	return nil
}

// sameIdentity reports whether two values of an attribute let in the same person: the case of names does not count.
func sameIdentity(name string, a, b any) bool {
	if was, ok := a.(string); ok && name != "externalId" {
		is, _ := b.(string)
		return scim.Fold(was) == scim.Fold(is)
	}
	return scim.Equal(scim.Resource{name: a}, scim.Resource{name: b}) && (a == nil) == (b == nil)
}
