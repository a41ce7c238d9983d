package roster

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// story tells what a change did, in the words of the request log and of the events.
type story struct {
	userName    string
	done        []string // parts of the sentence
	ended       int      // sessions
	activated   string   // "user.deactivated", "user.reactivated" or empty
	fromRole    Role     // both empty when the role stayed
	toRole      Role
	attributes  []string // the others that changed
	reverseOf   string   // whose change of active by hand this undoes
	reverseRole string   // the same for the role
}

func tell(old, next Record, was, is scim.Resource, ended int, c Change) story {
	s := story{userName: is.String("userName"), ended: ended, attributes: changedAttributes(was, is)}
	if old.Role != next.Role {
		s.attributes = slices.DeleteFunc(s.attributes, func(name string) bool { return name == "userType" })
	}
	if old.Active != next.Active {
		s.activated = "user.reactivated"
		done := "Reactivated"
		if !next.Active {
			s.activated = "user.deactivated"
			done = "Deactivated"
		}
		s.reverseOf = reversed(old.LastActive, c)
		s.done = append(s.done, done+s.andSessions(" · ")+reversing(" · ", s.reverseOf))
	}
	if old.Role != next.Role {
		s.fromRole, s.toRole = old.Role, next.Role
		s.reverseRole = reversed(old.LastRole, c)
		s.done = append(s.done, fmt.Sprintf("Role %s → %s", old.Role, next.Role)+reversing(" · ", s.reverseRole))
	}
	if len(s.attributes) > 0 {
		s.done = append(s.done, "Updated "+strings.Join(s.attributes, ", "))
	}
	return s
}

// reversed names the administrator whose change by hand SCIM undoes now.
func reversed(last Stamp, c Change) string {
	if c.Via == ViaSCIM && last.Via == ViaAdmin {
		return last.Actor
	}
	return ""
}

func reversing(before, actor string) string {
	if actor == "" {
		return ""
	}
	return before + "reverses the change by hand of " + actor
}

func (s story) andSessions(before string) string {
	switch s.ended {
	case 0:
		return ""
	case 1:
		return before + "1 session ended"
	}
	return fmt.Sprintf("%s%d sessions ended", before, s.ended)
}

func (s story) sentence() string { return strings.Join(s.done, " · ") }

// sentence adds to what was done what was not.
func (d *draft) sentence(done string) string {
	notes := strings.Join(d.notes, "; ")
	switch {
	case done == "" && notes == "":
		return "Nothing to change"
	case done == "":
		return "Nothing: " + notes
	case notes == "":
		return done
	}
	return done + " · ignored: " + notes
}

// stamp notes who changed what last.
func (s story) stamp(next *Record, c Change, at time.Time) {
	next.Last = Stamp{Actor: c.Actor, Via: c.Via, Time: at, Text: s.sentence()}
	if s.activated != "" {
		next.LastActive = Stamp{Actor: c.Actor, Via: c.Via, Time: at}
	}
	if s.toRole != "" {
		next.LastRole = Stamp{Actor: c.Actor, Via: c.Via, Time: at}
	}
}

func (s story) events(id site.ID, next Record, c Change, at time.Time) []event.Event {
	var events []event.Event
	switch s.activated {
	case "user.deactivated":
		text := s.userName + " was deactivated" + s.andSessions("; ") + reversing("; this ", s.reverseOf)
		events = append(events, eventOf(id, next, s.activated, c, at, text))
	case "user.reactivated":
		text := s.userName + " was reactivated" + reversing("; this ", s.reverseOf)
		events = append(events, eventOf(id, next, s.activated, c, at, text))
	}
	if s.toRole != "" {
		text := fmt.Sprintf("The role of %s changed from %s to %s", s.userName, s.fromRole, s.toRole) + reversing("; this ", s.reverseRole)
		events = append(events, eventOf(id, next, "user.role_changed", c, at, text))
	}
	if len(s.attributes) > 0 {
		e := eventOf(id, next, "user.updated", c, at, s.userName+" was updated: "+strings.Join(s.attributes, ", "))
		e.Data = data(next, s.attributes)
		events = append(events, e)
	}
	return events
}

func eventOf(id site.ID, rec Record, name string, c Change, at time.Time, text string) event.Event {
	return event.Event{
		Time:    at,
		Scope:   event.Site(string(id)),
		Name:    name,
		Actor:   c.Actor,
		Subject: rec.ID,
		Text:    text,
		Data:    data(rec, nil),
	}
}

// data is what an event says to programs: the state after the change, and which other attributes changed.
func data(rec Record, attributes []string) []byte {
	b, _ := json.Marshal(struct { // cannot fail: text, booleans and numbers only
		Version    int64    `json:"version"`
		Active     bool     `json:"active"`
		Role       Role     `json:"userType"`
		Attributes []string `json:"attributes,omitempty"`
	}{rec.Version, rec.Active, rec.Role, attributes})
	return b
}

// changedAttributes names what differs beside active and what the server itself sets; an extension's attributes by
// their own names.
func changedAttributes(was, is scim.Resource) []string {
	var names, extended []string
	for _, name := range keys(was, is) {
		switch name {
		case "id", "meta", "schemas", "active":
			continue
		}
		if scim.Equal(scim.Resource{name: was[name]}, scim.Resource{name: is[name]}) && (was[name] == nil) == (is[name] == nil) {
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

func keys(a, b scim.Resource) []string {
	all := maps.Clone(map[string]any(a))
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
