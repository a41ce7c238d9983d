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
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// A role that SCIM may not set is as good as given away when SCIM may say who signs in with it. So SCIM cannot change what a
// Moderator, an Admin or a blocked person signs in by. The change is held instead: the attribute stays as it is, the
// request log says so, and an administrator applies or refuses it.
//
//	a request asks for another value     held; replaces what was held of the attribute
//	the same request again               nothing changes
//	a request asks for the value there   what was held of the attribute goes
//	the person is held no longer         the next request is done, and what was held goes

// HeldChange is a change of an attribute that SCIM asked for and an administrator has to decide on.
type HeldChange struct {
	Attribute string    `json:"attribute"`
	Value     any       `json:"value"` // nil: the attribute goes
	Actor     string    `json:"actor"` // who asked, as in events
	Time      time.Time `json:"time"`
	// RefusedBy is the administrator who refused the change. It stays, so that the same request does not ask again.
	RefusedBy string `json:"refusedBy,omitempty"`
}

// Waits reports whether an administrator has still to decide.
func (h HeldChange) Waits() bool { return h.RefusedBy == "" }

// maxHeld bounds what is kept of one held change, in bytes: lists of people carry them.
const maxHeld = 16 << 10

func (h HeldChange) size() int {
	text, _ := json.Marshal(h.Value) // text, booleans, lists and objects only
	return len(text)
}

// Token stands for the value, so that an administrator decides on the value that they saw.
func (h HeldChange) Token() string {
	text, _ := json.Marshal(h.Value) // text, booleans, lists and objects only
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// HeldChoice names a held change. Token is that of the value to decide on; empty for whatever it is.
type HeldChoice struct{ Attribute, Token string }

// asks reports whether the SCIM request addresses an attribute of the user.
func (d *draft) asks(name string) bool { return d.asked == nil || d.asked(name) }

// guards reports whether the person has a role that SCIM may not set here.
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

// keepIdentity leaves what a person signs in by as it was, where SCIM cannot change it, and holds the change. What the
// request asks for must be valid all the same.
func (r *Roster) keepIdentity(rt *resourceType, d *draft, rec Record, old scim.Resource) error {
	names, why := r.identity(rec)
	held := slices.Clone(rec.Held)
	var waits, refused []string
	for _, name := range names {
		wanted := d.doc[name]
		if sameIdentity(name, old[name], wanted) {
			if d.asks(name) {
				held = withoutHeld(held, name)
			}
			continue
		}
		if len(waits)+len(refused) == 0 {
			if err := rt.check(d); err != nil {
				return err
			}
		}
		setOrDelete(d.doc, name, old[name])
		reason := "not changed: " + why
		if before := findHeld(held, name); before != nil && sameIdentity(name, before.Value, wanted) {
			if !before.Waits() {
				reason = "not changed: refused by an administrator"
				refused = append(refused, name)
			} else {
				waits = append(waits, name)
			}
		} else {
			held = withoutHeld(held, name)
			if h := (HeldChange{Attribute: name, Value: wanted}); h.size() <= maxHeld {
				held = append(held, h)
			} else {
				reason += "; the value is too large to wait for an administrator"
			}
			waits = append(waits, name)
		}
		d.ignored = append(d.ignored, scim.Ignored{Path: name, Reason: reason})
	}
	for _, h := range rec.Held {
		if !slices.Contains(names, h.Attribute) && d.asks(h.Attribute) {
			held = withoutHeld(held, h.Attribute)
		}
	}
	if len(waits) > 0 {
		d.notes = append(d.notes, strings.Join(waits, ", ")+" not changed: "+why)
	}
	if len(refused) > 0 {
		d.notes = append(d.notes, strings.Join(refused, ", ")+" not changed: refused by an administrator")
	}
	d.hold(held)
	return nil
}

// hold sets what is held of the person.
func (d *draft) hold(held []HeldChange) { d.held, d.holds = held, true }

func setOrDelete(doc scim.Resource, name string, value any) {
	if value == nil {
		delete(doc, name)
		return
	}
	doc[name] = value
}

func findHeld(held []HeldChange, name string) *HeldChange {
	i := slices.IndexFunc(held, func(h HeldChange) bool { return h.Attribute == name })
	if i < 0 {
		return nil
	}
	return &held[i]
}

func withoutHeld(held []HeldChange, name string) []HeldChange {
	return slices.DeleteFunc(slices.Clone(held), func(h HeldChange) bool { return h.Attribute == name })
}

// sameHeld reports whether the same changes are held and decided on alike.
func sameHeld(a, b []HeldChange) bool {
	return slices.EqualFunc(a, b, func(a, b HeldChange) bool {
		return a.Attribute == b.Attribute && a.RefusedBy == b.RefusedBy && sameValue(a.Value, b.Value)
	})
}

func sameValue(a, b any) bool {
	return scim.Equal(scim.Resource{"v": a}, scim.Resource{"v": b}) && (a == nil) == (b == nil)
}

// sameIdentity reports whether two values of an attribute let in the same person: the case of names and addresses does
// not count.
func sameIdentity(name string, a, b any) bool {
	if name == "externalId" {
		return sameValue(a, b)
	}
	return sameValue(folded(a), folded(b))
}

func folded(value any) any {
	switch value := value.(type) {
	case string:
		return scim.Fold(value)
	case []any:
		list := make([]any, len(value))
		for i, e := range value {
			list[i] = folded(e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(value))
		for name, v := range value {
			m[name] = folded(v)
		}
		return m
	}
	return value
}

// ApplyHeld makes held changes of a person. The value that is applied must be the one that was seen: see HeldChoice.
func (r *Roster) ApplyHeld(ctx context.Context, id string, choices []HeldChoice, c Change) (Outcome, error) {
	return r.byHand(ctx, id, c, func(rec Record, d *draft) error {
		return d.decide(rec, choices, func(h HeldChange) {
			setOrDelete(d.doc, h.Attribute, h.Value)
			d.hold(withoutHeld(d.held, h.Attribute))
			d.applied = append(d.applied, h.Attribute)
		})
	})
}

// RefuseHeld refuses held changes of a person. They are kept as refused, so that the same request is not held again.
func (r *Roster) RefuseHeld(ctx context.Context, id string, choices []HeldChoice, c Change) (Outcome, error) {
	return r.byHand(ctx, id, c, func(rec Record, d *draft) error {
		return d.decide(rec, choices, func(h HeldChange) {
			if h.Waits() {
				findHeld(d.held, h.Attribute).RefusedBy = c.Actor
			}
		})
	})
}

func (d *draft) decide(rec Record, choices []HeldChoice, do func(HeldChange)) error {
	d.hold(slices.Clone(rec.Held))
	for _, choice := range choices {
		h := findHeld(rec.Held, choice.Attribute)
		switch {
		case h == nil:
			return refusal.New(refusal.Conflict, "", "no change of %s waits for %s any more", choice.Attribute, d.doc.String("userName"))
		case choice.Token != "" && choice.Token != h.Token():
			return refusal.New(refusal.Conflict, "", "the change of %s that waits for %s is another one now", choice.Attribute, d.doc.String("userName")).Advise("look at it again")
		}
		do(*h)
	}
	return nil
}

// decision is what a change of what is held did, in words; empty for what a SCIM request asked for.
func (d *draft) decision(rec Record) string {
	var refused []string
	for _, h := range d.held {
		if before := findHeld(rec.Held, h.Attribute); before != nil && before.Waits() && !h.Waits() {
			refused = append(refused, h.Attribute)
		}
	}
	switch {
	case len(refused) > 0:
		return "Refused the change of " + strings.Join(refused, ", ")
	case len(d.applied) > 0:
		return "Nothing to change: " + strings.Join(d.applied, ", ") + " is so already"
	}
	return ""
}

// stampHeld notes who asked for what is held now, and when.
func stampHeld(held []HeldChange, c Change, at time.Time) {
	for i := range held {
		if held[i].Time.IsZero() {
			held[i].Time, held[i].Actor = at, c.Actor
		}
	}
}

// heldEvents tells of changes that were held, withdrawn, applied or refused.
func (r *Roster) heldEvents(p prepared, c Change, at time.Time) []event.Event {
	var events []event.Event
	userName := p.draft.doc.String("userName")
	add := func(name, format string, h HeldChange, change event.Change) {
		was := ValueWords(p.old[h.Attribute])
		text := fmt.Sprintf(format, h.Attribute, userName, was, ValueWords(h.Value))
		events = append(events, eventOf(r.site.ID, p.next, name, c, at, text, change))
	}
	for _, h := range p.next.Held {
		before := findHeld(p.rec.Held, h.Attribute)
		switch {
		case before == nil || !sameValue(before.Value, h.Value):
			add(event.UserChangeHeld, "SCIM asked to change %s of %s from %s to %s; an administrator has to decide", h, wish(h.Attribute, before, &h))
		case before.Waits() && !h.Waits():
			add(event.UserChangeRefused, "The change of %s of %s from %s to %s, which SCIM asked for, was refused", h, wish(h.Attribute, &h, nil))
		}
	}
	for _, h := range p.rec.Held {
		switch {
		case findHeld(p.next.Held, h.Attribute) != nil:
		case slices.Contains(p.draft.applied, h.Attribute):
			add(event.UserChangeApplied, "The change of %s of %s from %s to %s, which SCIM asked for, was applied", h, event.Changed(h.Attribute, p.old[h.Attribute], h.Value))
		case sameIdentity(h.Attribute, p.draft.doc[h.Attribute], h.Value): // user.updated tells of it
		default:
			add(event.UserChangeWithdrawn, "The change of %s of %s from %s to %s, which SCIM asked for, is no longer asked for", h, wish(h.Attribute, &h, nil))
		}
	}
	return events
}

// wish is the change of what SCIM asks for, which the attribute itself does not follow.
func wish(attribute string, before, after *HeldChange) event.Change {
	value := func(h *HeldChange) any {
		if h == nil {
			return nil
		}
		return h.Value
	}
	return event.Changed(attribute+" (asked for)", value(before), value(after))
}

// mostWords bounds the words of one value.
const mostWords = 500

// ValueWords is a value of a held attribute for people to read.
func ValueWords(value any) string {
	words := valueWords(value)
	if len(words) > mostWords {
		words = strings.ToValidUTF8(words[:mostWords], "") + "…"
	}
	return words
}

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
