package roster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// SCIM may not change the values by which a Moderator, an Admin or a blocked person signs in.
// Otherwise it could give such an account, with its role, to another person. If SCIM requests such
// a change, the roster holds it: the attribute keeps its value, the request log says so, and an
// administrator applies or refuses the change later.
//
//	SCIM requests another value              the change is held; it replaces an earlier held change
//	SCIM sends the same request again        nothing changes
//	SCIM requests the value that is stored   the held change is dropped
//	the person is no longer protected        the next request is applied and the held change is dropped

// HeldChange is a change of one attribute that SCIM requested and the roster holds. An
// administrator applies or refuses the change.
type HeldChange struct {
	Attribute string    `json:"attribute"`
	Value     any       `json:"value"` // the requested value; nil if the request removes the value
	Actor     string    `json:"actor"` // the actor who requested the change, in the form that events use
	Time      time.Time `json:"time"`
	// RefusedBy is the administrator who refused the change. A refused change is kept, so that the
	// same request is not held again.
	RefusedBy string `json:"refusedBy,omitempty"`
}

// Waits reports whether an administrator still has to decide.
func (h HeldChange) Waits() bool { return h.RefusedBy == "" }

// maxHeldBytes is the maximum size of the value of a held change, in bytes. It is small because
// every read of a person also reads the person's held changes.
const maxHeldBytes = 16 << 10

// size returns the size of the value in bytes of JSON.
func (h HeldChange) size() int {
	text, _ := json.Marshal(h.Value) // values of JSON always marshal
	return len(text)
}

// ValueHash returns a hash of the value. An administrator sends it with the decision, so that the
// decision is about the value that they saw.
func (h HeldChange) ValueHash() string {
	text, _ := json.Marshal(h.Value) // values of JSON always marshal
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// HeldChoice says on which held change an administrator decides. If ValueHash is not empty, the
// decision is only for a value with this hash.
type HeldChoice struct{ Attribute, ValueHash string }

// asksFor reports whether the request names the attribute, and so may change it; see
// namesAttribute.
func (d *draft) asksFor(name string) bool { return d.namesAttribute == nil || d.namesAttribute(name) }

// hasProtectedRole reports whether the person has a role that SCIM may not set on this site.
func (r *Roster) hasProtectedRole(rec Record) bool {
	return rec.Role != RoleRegistered && !r.site.ManageRoles
}

// identityAttributes returns the attributes that identify the person at sign-in and that SCIM
// cannot change, and the reason. It returns none if SCIM can change them. externalId is included
// only when it has a value, because an identity provider sets it with its first sync.
func (r *Roster) identityAttributes(rec Record) (names []string, why string) {
	switch {
	case rec.Block.InForce:
		names, why = []string{"userName", "emails"}, blockedNote
	case r.hasProtectedRole(rec):
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

// keepIdentity restores the old values of the attributes that identityAttributes returns, and holds
// the requested changes. It returns the validation error if the requested document is not valid.
func (r *Roster) keepIdentity(rt *resourceType, d *draft, rec Record, old scim.Resource) error {
	names, why := r.identityAttributes(rec)
	held := slices.Clone(rec.Held)
	checked := false
	for _, name := range names {
		wanted := d.doc[name]
		if sameIdentity(name, old[name], wanted) {
			if d.asksFor(name) {
				held = withoutHeld(held, name)
			}
			continue
		}
		if !checked {
			if err := rt.check(d); err != nil {
				return err
			}
			checked = true
		}
		setOrDelete(d.doc, name, old[name])
		reason := why
		if before := findHeld(held, name); before != nil && sameIdentity(name, before.Value, wanted) {
			if !before.Waits() {
				reason = "refused by an administrator"
			}
		} else {
			held = withoutHeld(held, name)
			if h := (HeldChange{Attribute: name, Value: wanted}); h.size() <= maxHeldBytes {
				held = append(held, h)
			} else {
				reason += "; the value is too large to wait for an administrator"
			}
		}
		d.keepAttribute(name, reason)
	}
	for _, h := range rec.Held {
		if !slices.Contains(names, h.Attribute) && d.asksFor(h.Attribute) {
			held = withoutHeld(held, h.Attribute)
		}
	}
	d.setHeld(held)
	return nil
}

// setHeld sets the held changes that the person has after this change.
func (d *draft) setHeld(held []HeldChange) { d.held, d.setsHeld = held, true }

// setOrDelete sets an attribute of the document, or deletes it if value is nil.
func setOrDelete(doc scim.Resource, name string, value any) {
	if value == nil {
		delete(doc, name)
		return
	}
	doc[name] = value
}

// findHeld returns the held change of an attribute, or nil.
func findHeld(held []HeldChange, name string) *HeldChange {
	i := slices.IndexFunc(held, func(h HeldChange) bool { return h.Attribute == name })
	if i < 0 {
		return nil
	}
	return &held[i]
}

// withoutHeld returns the held changes of all attributes except this one.
func withoutHeld(held []HeldChange, name string) []HeldChange {
	return slices.DeleteFunc(slices.Clone(held), func(h HeldChange) bool { return h.Attribute == name })
}

// sameHeld reports whether two lists hold the same changes with the same decisions.
func sameHeld(a, b []HeldChange) bool {
	return slices.EqualFunc(a, b, func(a, b HeldChange) bool {
		return a.Attribute == b.Attribute && a.RefusedBy == b.RefusedBy && sameValue(a.Value, b.Value)
	})
}

// sameValue reports whether two values of an attribute are equal. nil equals only nil.
func sameValue(a, b any) bool {
	return scim.Equal(scim.Resource{"v": a}, scim.Resource{"v": b}) && (a == nil) == (b == nil)
}

// sameIdentity reports whether two values of an attribute identify the same person. It ignores case
// in names and addresses.
func sameIdentity(name string, a, b any) bool {
	if name == "externalId" {
		return sameValue(a, b)
	}
	return sameValue(foldStrings(a), foldStrings(b))
}

// foldStrings returns a value with all strings in it case-folded.
func foldStrings(value any) any {
	switch value := value.(type) {
	case string:
		return scim.Fold(value)
	case []any:
		list := make([]any, len(value))
		for i, e := range value {
			list[i] = foldStrings(e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(value))
		for name, v := range value {
			m[name] = foldStrings(v)
		}
		return m
	}
	return value
}

// ApplyHeld applies held changes of a person. It returns refusal.Conflict if a change is no longer
// held, or if its value is not the value that the administrator saw; see HeldChoice.
func (r *Roster) ApplyHeld(ctx context.Context, id string, choices []HeldChoice, c Change) (Outcome, error) {
	return r.changeByHand(ctx, id, c, func(rec Record, d *draft) error {
		return d.decideHeld(rec, choices, func(h HeldChange) {
			setOrDelete(d.doc, h.Attribute, h.Value)
			d.setHeld(withoutHeld(d.held, h.Attribute))
			d.appliedHeld = append(d.appliedHeld, h.Attribute)
		})
	})
}

// RefuseHeld marks held changes of a person as refused, with the same errors as ApplyHeld. Refused
// changes are kept, so that the same request is not held again.
func (r *Roster) RefuseHeld(ctx context.Context, id string, choices []HeldChoice, c Change) (Outcome, error) {
	return r.changeByHand(ctx, id, c, func(rec Record, d *draft) error {
		return d.decideHeld(rec, choices, func(h HeldChange) {
			if h.Waits() {
				findHeld(d.held, h.Attribute).RefusedBy = c.Actor
			}
		})
	})
}

// decideHeld calls do with each held change that the choices name. It returns refusal.Conflict if
// one of them is no longer held, or has another value.
func (d *draft) decideHeld(rec Record, choices []HeldChoice, do func(HeldChange)) error {
	d.setHeld(slices.Clone(rec.Held))
	for _, choice := range choices {
		h := findHeld(rec.Held, choice.Attribute)
		switch {
		case h == nil:
			return refusal.New(refusal.Conflict, "", "no change of %s waits for %s any more", choice.Attribute, d.doc.String("userName"))
		case choice.ValueHash != "" && choice.ValueHash != h.ValueHash():
			return refusal.New(refusal.Conflict, "", "the change of %s that waits for %s is another one now", choice.Attribute, d.doc.String("userName")).Advise("look at it again")
		}
		do(*h)
	}
	return nil
}

// describeDecision returns the sentence about an administrator's decision on held changes, if it
// did not change the document. It returns "" for a SCIM request.
func (d *draft) describeDecision(rec Record) string {
	var refused []string
	for _, h := range d.held {
		if before := findHeld(rec.Held, h.Attribute); before != nil && before.Waits() && !h.Waits() {
			refused = append(refused, h.Attribute)
		}
	}
	switch {
	case len(refused) > 0:
		return "Refused the change of " + strings.Join(refused, ", ")
	case len(d.appliedHeld) > 0:
		return "Nothing to change: " + strings.Join(d.appliedHeld, ", ") + " is so already"
	}
	return ""
}

// stampHeld records who requested the changes that are newly held, and when.
func stampHeld(held []HeldChange, c Change, at time.Time) {
	for i := range held {
		if held[i].Time.IsZero() {
			held[i].Time, held[i].Actor = at, c.Actor
		}
	}
}

// heldEvents returns the events of changes that were held, withdrawn, applied or refused.
func (r *Roster) heldEvents(p preparedChange, c Change, at time.Time) []event.Event {
	var events []event.Event
	userName := p.draft.doc.String("userName")
	add := func(name, format string, h HeldChange, change event.Change) {
		was := ValueWords(p.old[h.Attribute])
		text := fmt.Sprintf(format, h.Attribute, userName, was, ValueWords(h.Value))
		events = append(events, newEvent(r.site.ID, p.next, name, c, at, text, change))
	}
	for _, h := range p.next.Held {
		before := findHeld(p.rec.Held, h.Attribute)
		switch {
		case before == nil || !sameValue(before.Value, h.Value):
			add(event.UserChangeHeld, "SCIM asked to change %s of %s from %s to %s; an administrator has to decide", h, heldEventChange(h.Attribute, before, &h))
		case before.Waits() && !h.Waits():
			add(event.UserChangeRefused, "The change of %s of %s from %s to %s, which SCIM asked for, was refused", h, heldEventChange(h.Attribute, &h, nil))
		}
	}
	for _, h := range p.rec.Held {
		switch {
		case findHeld(p.next.Held, h.Attribute) != nil:
		case slices.Contains(p.draft.appliedHeld, h.Attribute):
			add(event.UserChangeApplied, "The change of %s of %s from %s to %s, which SCIM asked for, was applied", h, event.Changed(h.Attribute, p.old[h.Attribute], h.Value))
		case sameIdentity(h.Attribute, p.draft.doc[h.Attribute], h.Value): // the event user.updated reports this change
		default:
			add(event.UserChangeWithdrawn, "The change of %s of %s from %s to %s, which SCIM asked for, is no longer asked for", h, heldEventChange(h.Attribute, &h, nil))
		}
	}
	return events
}

// heldEventChange returns the list entry of an event that says that a held change was added or
// removed. before is nil if there was no held change before, and after is nil if there is none now.
func heldEventChange(attribute string, before, after *HeldChange) event.Change {
	value := func(h *HeldChange) any {
		if h == nil {
			return nil
		}
		return h.Value
	}
	return event.Changed(attribute+" (asked for)", value(before), value(after))
}

// maxValueWords is the maximum length, in bytes, of the result of ValueWords.
const maxValueWords = 500

// ValueWords returns a value of a held attribute in words for people.
func ValueWords(value any) string {
	return phrase.Cut(valueWords(value), maxValueWords)
}

// valueWords does the work of ValueWords, without a limit on the length.
func valueWords(value any) string {
	switch value := value.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("%q", value)
	case []any:
		var list []string
		for _, e := range value {
			list = append(list, valueWords(e))
		}
		return strings.Join(list, ", ")
	case map[string]any:
		text, _ := value["value"].(string)
		var more []string
		if kind, _ := value["type"].(string); kind != "" {
			more = append(more, kind)
		}
		if primary, _ := value["primary"].(bool); primary {
			more = append(more, "primary")
		}
		if len(more) > 0 {
			return fmt.Sprintf("%q (%s)", text, strings.Join(more, ", "))
		}
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(value)
}
