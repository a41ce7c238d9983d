package roster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// changeSummary describes what a change did. The sentence in the request log and the events are
// made from it.
type changeSummary struct {
	userName      string   // the user name of a person, or the name of another resource
	sentenceParts []string // the parts of the sentence
	sessionsEnded int      // how many sessions were ended
	// accessEvent is the event about active or the block: UserDeactivated, UserReactivated,
	// UserRevived, UserBlocked, UserUnblocked or UserBlockChanged. It is empty if neither changed.
	accessEvent         string
	block               []event.Change // the changes that concern only the block
	active              bool           // whether the account would be active without the block; only for a person who is or was blocked
	identifierRemoved   bool           // whether the user identifier of a revived person was removed
	fromRole            Role           // the old role; both roles are empty if the role stayed
	toRole              Role
	attributes          []string       // the names of the changed attributes; a change of active or of the role is not repeated here
	values              []event.Change // every attribute that changed, with its values
	oldName             string         // the name before the change, if the name changed
	reversedAccessActor string         // the administrator whose change of active is undone by this change
	reversedRoleActor   string         // the administrator whose change of the role is undone by this change
	members             memberDelta
}

// summarize describes the change. ended is the number of sessions that the change has ended.
func (p preparedChange) summarize(ended int, c Change) changeSummary {
	old, next, was, d := p.rec, p.next, p.old, p.draft
	s := changeSummary{userName: nameInSentence(next, d.doc), sessionsEnded: ended, attributes: slices.Clone(p.attributes), values: p.values, members: d.members}
	if former := nameInSentence(old, was); former != s.userName {
		s.oldName = former
	}
	if old.Role != next.Role {
		s.attributes = slices.DeleteFunc(s.attributes, func(name string) bool { return name == "userType" })
	}
	if old.Active != next.Active {
		s.attributes = slices.DeleteFunc(s.attributes, func(name string) bool { return name == "active" })
	}
	if old.Block != next.Block {
		s.addBlock(old, next)
	} else if old.Active != next.Active {
		s.accessEvent = event.UserReactivated
		done := "Reactivated"
		switch {
		case !next.Active:
			s.accessEvent = event.UserDeactivated
			done = "Deactivated"
		case d.revives:
			s.accessEvent = event.UserRevived
			s.identifierRemoved = d.dropsIdentifier
			done = "Revived, as the account was deactivated"
		}
		s.reversedAccessActor = reversedActor(old.LastActiveChange, c)
		s.sentenceParts = append(s.sentenceParts, done+s.sessionsEndedText(" · ")+reversingText(" · ", s.reversedAccessActor))
	}
	if old.Role != next.Role {
		s.fromRole, s.toRole = old.Role, next.Role
		s.reversedRoleActor = reversedActor(old.LastRoleChange, c)
		s.sentenceParts = append(s.sentenceParts, fmt.Sprintf("Role %s → %s", old.Role, next.Role)+reversingText(" · ", s.reversedRoleActor))
	}
	if len(s.attributes) > 0 {
		s.sentenceParts = append(s.sentenceParts, "Updated "+strings.Join(s.attributes, ", "))
	}
	if s.members.hasChanges() {
		s.sentenceParts = append(s.sentenceParts, s.members.describe(""))
	}
	return s
}

// addBlock adds to the summary that a person was blocked or unblocked. If the person stays blocked,
// it adds whether the account will be active once the person is unblocked.
func (s *changeSummary) addBlock(old, next Record) {
	var done string
	if old.Block.InForce != next.Block.InForce {
		s.block = []event.Change{event.Changed("blocked", old.Block.InForce, next.Block.InForce)}
	}
	switch {
	case !next.Block.InForce:
		s.accessEvent, s.active = event.UserUnblocked, next.Active
		done = "Unblocked"
		if !next.Active {
			done += " · stays deactivated"
		}
	case !old.Block.InForce:
		s.accessEvent, s.active = event.UserBlocked, next.Block.Active
		done = "Blocked" + s.sessionsEndedText(" · ")
	default:
		s.accessEvent, s.active = event.UserBlockChanged, next.Block.Active
		s.block = []event.Change{event.Changed("active once unblocked", old.Block.Active, next.Block.Active)}
		done = "Blocked still · once unblocked, the account is " + activeWord(next.Block.Active)
	}
	s.sentenceParts = append(s.sentenceParts, done)
}

// activeWord returns the word for an active or inactive account.
func activeWord(active bool) string {
	if active {
		return "active"
	}
	return "deactivated"
}

// reversedActor returns the actor of the last change of active or of the role, if an administrator
// made that change and SCIM undoes it now. Otherwise it returns "".
func reversedActor(last Stamp, c Change) string {
	if c.Via == ViaSCIM && last.Via == ViaAdmin {
		return last.Actor
	}
	return ""
}

// reversingText returns the words for a change that undoes the change of this actor, after the text
// of the parameter before. It returns "" if there is no actor.
func reversingText(before, actor string) string {
	if actor == "" {
		return ""
	}
	return before + "reverses the change by hand of " + actor
}

// sessionsEndedText says how many sessions ended, after the text of the parameter before. It
// returns "" if none ended.
func (s changeSummary) sessionsEndedText(before string) string {
	if s.sessionsEnded == 0 {
		return ""
	}
	return before + phrase.Count(s.sessionsEnded, "session", "sessions") + " ended"
}

// sentence returns the parts of the sentence as one string.
func (s changeSummary) sentence() string { return strings.Join(s.sentenceParts, " · ") }

// sentence returns the sentence for the request log: what was done, and what was ignored.
func (d *draft) sentence(done string) string {
	ignored := d.ignoredWords()
	switch {
	case done == "" && ignored == "":
		return "Nothing to change"
	case done == "":
		return "Nothing: " + ignored
	case ignored == "":
		return done
	}
	return done + " · ignored: " + ignored
}

// stampRecord writes into the record who made the last change of any kind, the last change of
// active, and the last change of the role.
func (s changeSummary) stampRecord(next *Record, c Change, at time.Time) {
	next.LastChange = Stamp{Actor: c.Actor, Via: c.Via, Time: at, Text: s.sentence()}
	if s.accessEvent != "" && s.accessEvent != event.UserBlockChanged {
		next.LastActiveChange = Stamp{Actor: c.Actor, Via: c.Via, Time: at}
	}
	if s.toRole != "" {
		next.LastRoleChange = Stamp{Actor: c.Actor, Via: c.Via, Time: at}
	}
}

// newEvents returns the events of the change.
func (s changeSummary) newEvents(id site.ID, next Record, c Change, at time.Time) []event.Event {
	var events []event.Event
	switch s.accessEvent {
	case event.UserDeactivated:
		text := s.userName + " was deactivated" + s.sessionsEndedText("; ") + reversingText("; this ", s.reversedAccessActor)
		events = append(events, newEvent(id, next, s.accessEvent, c, at, text, changesOf(s.values, activeAttribute)...))
	case event.UserBlocked:
		text := s.userName + " was blocked" + s.sessionsEndedText("; ")
		events = append(events, newEvent(id, next, s.accessEvent, c, at, text, append(s.block, changesOf(s.values, activeAttribute)...)...))
	case event.UserUnblocked:
		text := s.userName + " was unblocked"
		if !s.active {
			text += "; the account stays deactivated"
		}
		events = append(events, newEvent(id, next, s.accessEvent, c, at, text, append(s.block, changesOf(s.values, activeAttribute)...)...))
	case event.UserBlockChanged:
		text := s.userName + " stays blocked; once unblocked, the account is " + activeWord(s.active)
		events = append(events, newEvent(id, next, s.accessEvent, c, at, text, append(s.block, changesOf(s.values, activeAttribute)...)...))
	case event.UserRevived:
		text := s.userName + " was revived: a create found the account deactivated"
		if s.identifierRemoved {
			text += "; the user identifier for sign-in was forgotten"
		}
		events = append(events, newEvent(id, next, s.accessEvent, c, at, text, changesOf(s.values, activeAttribute)...))
	case event.UserReactivated:
		text := s.userName + " was reactivated" + reversingText("; this ", s.reversedAccessActor)
		events = append(events, newEvent(id, next, s.accessEvent, c, at, text, changesOf(s.values, activeAttribute)...))
	}
	if s.toRole != "" {
		text := fmt.Sprintf("The role of %s changed from %s to %s", s.userName, s.fromRole, s.toRole) + reversingText("; this ", s.reversedRoleActor)
		events = append(events, newEvent(id, next, event.UserRoleChanged, c, at, text, event.Changed(roleAttribute, s.fromRole, s.toRole)))
	}
	if changes := s.changedAttributeNames(); len(changes) > 0 {
		text := s.userName + " was updated: " + strings.Join(changes, ", ")
		if s.oldName != "" {
			text = s.oldName + " is now " + text
		}
		e := newEvent(id, next, eventsOf(next.Kind).updated, c, at, text)
		e.Data = event.DataOf(eventData(next, s.attributes, s.members), changesExcept(s.values, activeAttribute, roleAttribute)...)
		events = append(events, e)
	}
	return events
}

// changedAttributeNames returns the names of the changed attributes, with members if the members
// changed.
func (s changeSummary) changedAttributeNames() []string {
	if !s.members.hasChanges() {
		return s.attributes
	}
	return append(slices.Clone(s.attributes), s.members.describe(""))
}

// newEvent returns an event about a resource.
func newEvent(id site.ID, rec Record, name string, c Change, at time.Time, text string, changes ...event.Change) event.Event {
	return event.Event{
		Time:    at,
		Scope:   event.Site(string(id)),
		Name:    name,
		Actor:   c.Actor,
		Subject: rec.ID,
		Text:    text,
		Data:    event.DataOf(eventData(rec, nil, memberDelta{}), changes...),
	}
}

// eventData returns the part of an event that programs read: the state of the resource after the
// change, the names of the changed attributes, and the members that a group gained and lost.
func eventData(rec Record, attributes []string, members memberDelta) event.Data {
	if rec.Kind == User {
		return event.Account{Version: rec.Version, Active: rec.Active, Role: string(rec.Role), Attributes: attributes}
	}
	return event.Resource{
		Version: rec.Version, Attributes: attributes, Type: string(rec.Kind),
		Added: members.added, Removed: members.removed, AddedCount: members.addedCount, RemovedCount: members.removedCount,
	}
}

// Changes of these attributes have their own events.
const (
	activeAttribute = "active"
	roleAttribute   = "userType"
)

// changesOf returns those of the given changes that concern one attribute.
func changesOf(all []event.Change, name string) []event.Change {
	return slices.DeleteFunc(slices.Clone(all), func(c event.Change) bool { return c.Name != name })
}

// changesExcept returns the changes of all attributes except the named ones.
func changesExcept(all []event.Change, names ...string) []event.Change {
	return slices.DeleteFunc(slices.Clone(all), func(c event.Change) bool { return slices.Contains(names, c.Name) })
}

// changedValues returns each attribute that differs, with its values before and after, for the
// audit trail. An attribute of an extension has its plain name, without the URN.
func changedValues(was, is scim.Resource) []event.Change {
	var changes []event.Change
	for _, name := range attributeNames(was, is) {
		if name == "id" || name == "meta" || name == "schemas" || sameAttribute(name, was, is) {
			continue
		}
		if !strings.Contains(name, ":") {
			changes = append(changes, event.Changed(name, was[name], is[name]))
			continue
		}
		before, _ := was[name].(map[string]any)
		after, _ := is[name].(map[string]any)
		changes = append(changes, changedValues(before, after)...)
	}
	return changes
}

// sameAttribute reports whether an attribute has the same value in both resources.
func sameAttribute(name string, was, is scim.Resource) bool {
	return (was[name] == nil) == (is[name] == nil) && scim.EqualValues(was[name], is[name])
}

// changedAttributes returns the names of the attributes that differ. It leaves out attributes that
// the server sets. An attribute of an extension has its plain name, without the URN.
func changedAttributes(was, is scim.Resource) []string {
	var names, extended []string
	for _, name := range attributeNames(was, is) {
		switch name {
		case "id", "meta", "schemas":
			continue
		}
		if sameAttribute(name, was, is) {
			continue
		}
		if !strings.Contains(name, ":") {
			names = append(names, name)
			continue
		}
		before, _ := was[name].(map[string]any)
		after, _ := is[name].(map[string]any)
		extended = append(extended, changedAttributes(before, after)...)
	}
	return append(names, extended...)
}

// attributeNames returns the names of all attributes that one of the resources has, sorted.
func attributeNames(a, b scim.Resource) []string {
	all := maps.Clone(map[string]any(a))
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
