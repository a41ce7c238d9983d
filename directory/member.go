package directory

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
)

// Member is a direct member of a group: a user or another group. Depending on Kind, only User or
// only Group is set.
type Member struct {
	Kind  Kind
	User  User
	Group Group
}

// ObjectID returns the member's object id.
func (m Member) ObjectID() string {
	if m.Kind == GroupKind {
		return m.Group.ObjectID
	}
	return m.User.ObjectID
}

// DisplayName returns the member's display name.
func (m Member) DisplayName() string {
	if m.Kind == GroupKind {
		return m.Group.DisplayName()
	}
	return m.User.DisplayName()
}

// sortKey returns the string by which lists of members are sorted.
func (m Member) sortKey() string {
	if m.Kind == GroupKind {
		return m.Group.SortKey()
	}
	return m.User.SortKey()
}

// MemberQuery selects direct members of a group, sorted by display name.
type MemberQuery struct {
	Search string // words to search for, as in UserQuery and GroupQuery
	Kind   Kind   // select only users or only groups; "" means both
	After  Cursor
	Limit  int // the largest number of members on the page, up to 500; zero means 50
}

// MemberPage is one page of members. If More is true, there is another page, and Next is the cursor
// for it.
type MemberPage struct {
	Members []Member
	More    bool
	Next    Cursor
}

// MemberCounts counts a group's direct members that are not deleted.
type MemberCounts struct{ Users, Groups int }

// Total returns the number of users and groups together.
func (c MemberCounts) Total() int { return c.Users + c.Groups }

// Members returns one page of a group's direct members. Soft-deleted users and groups are left out.
func (h *Handle) Members(ctx context.Context, group string, q MemberQuery) (MemberPage, error) {
	q.Search = searchWords(q.Search)
	if q.Limit <= 0 {
		q.Limit = 50
	}
	limit := min(q.Limit, 500)
	q.Limit = limit + 1
	members, err := h.store.Members(ctx, h.Directory.ID, strings.ToLower(group), q)
	if err != nil {
		return MemberPage{}, err
	}
	slices.SortFunc(members, func(a, b Member) int {
		if c := strings.Compare(a.sortKey(), b.sortKey()); c != 0 {
			return c
		}
		return strings.Compare(a.ObjectID(), b.ObjectID())
	})
	page := MemberPage{Members: members}
	if len(members) > limit {
		page.Members, page.More = members[:limit], true
		last := members[limit-1]
		page.Next = Cursor{Key: last.sortKey(), ObjectID: last.ObjectID()}
	}
	return page, nil
}

// EachMember calls visit with every member that a query selects. It stops at the first error.
func (h *Handle) EachMember(ctx context.Context, group string, q MemberQuery, visit func(Member) error) error {
	q.Limit = 500
	for {
		page, err := h.Members(ctx, group, q)
		if err != nil {
			return err
		}
		for _, m := range page.Members {
			if err := visit(m); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		q.After = page.Next
	}
}

// CountMembers counts a group's direct members that are not deleted.
func (h *Handle) CountMembers(ctx context.Context, group string) (MemberCounts, error) {
	return h.store.CountMembers(ctx, h.Directory.ID, strings.ToLower(group))
}

// memberName identifies a user or group in an event about a membership or an assignment. label is
// the words for it in the event's text.
type memberName struct {
	kind     Kind
	objectID string
	label    string
}

// AddMembers adds users and groups to a group. It returns how many were not members before. It
// writes one row and one event for each new membership, however large the group is.
//
// Each transaction adds a few hundred members. If an id is neither a user nor a group of the
// directory, AddMembers stops and returns an error. It does not undo earlier transactions.
//
// As in Entra, a group cannot be a direct member of itself, but groups may be members of each other
// in a circle; see NestingWarning.
func (h *Handle) AddMembers(ctx context.Context, group string, objectIDs []string, actor string) (int, error) {
	return h.changeMembers(ctx, group, objectIDs, false, h.addMember(ctx, actor))
}

// RemoveMembers removes users and groups from a group. It returns how many were members. It splits
// the work into transactions as AddMembers does.
func (h *Handle) RemoveMembers(ctx context.Context, group string, objectIDs []string, actor string) (int, error) {
	return h.changeMembers(ctx, group, objectIDs, false, h.removeMember(ctx, actor))
}

// memberChange adds one member to a group or removes it, and reports whether that changed anything.
type memberChange func(tx Tx, g Group, m Member) (bool, error)

// addMember returns a memberChange that adds a member.
func (h *Handle) addMember(ctx context.Context, actor string) memberChange {
	return func(tx Tx, g Group, m Member) (bool, error) {
		name := memberNameOf(m)
		if m.User.IsDeleted() || m.Group.IsDeleted() {
			return false, conflict("", "%s is deleted", name.label).Advise("restore it first")
		}
		if name.objectID == g.ObjectID {
			return false, invalid("", "a group cannot be a member of itself")
		}
		now := h.nowToMicrosecond()
		did, err := tx.AddMember(ctx, g.ObjectID, m.Kind, name.objectID, now)
		if err != nil || !did {
			return false, err
		}
		return true, h.appendMembershipEvent(ctx, tx, event.GroupMemberAdded, g, name, actor, now)
	}
}

// removeMember returns a memberChange that removes a member.
func (h *Handle) removeMember(ctx context.Context, actor string) memberChange {
	return func(tx Tx, g Group, m Member) (bool, error) {
		name, now := memberNameOf(m), h.nowToMicrosecond()
		did, err := tx.RemoveMember(ctx, g.ObjectID, name.objectID, now)
		if err != nil || !did {
			return false, err
		}
		return true, h.appendMembershipEvent(ctx, tx, event.GroupMemberRemoved, g, name, actor, now)
	}
}

// memberNameOf returns how events and errors name a member.
func memberNameOf(m Member) memberName {
	if m.Kind == GroupKind {
		return memberName{GroupKind, m.Group.ObjectID, m.Group.description()}
	}
	return memberName{UserKind, m.User.ObjectID, m.User.description()}
}

// changeMembers calls the function one for each object id, a few hundred times in each transaction.
// It returns how many calls changed something. If dryRun is true, it rolls the transactions back.
func (h *Handle) changeMembers(ctx context.Context, group string, objectIDs []string, dryRun bool, one memberChange) (int, error) {
	total := 0
	for batch := range slices.Chunk(objectIDs, batchRows) {
		n := 0
		err := h.update(ctx, func(tx Tx) error {
			n = 0
			g, err := h.findGroup(ctx, tx, group)
			if err != nil {
				return err
			}
			if g.IsDeleted() {
				return conflict("", "%s is deleted", g.description()).Advise("restore the group first")
			}
			for _, id := range batch {
				m, err := h.findMember(ctx, tx, id)
				if err != nil {
					return err
				}
				did, err := one(tx, g, m)
				if err != nil {
					return err
				}
				if did {
					n++
				}
			}
			if dryRun {
				return errDryRun
			}
			return nil
		})
		if err != nil && !errors.Is(err, errDryRun) {
			return total, err
		}
		total += n
	}
	return total, nil
}

// findMember returns the user or group with an object id. It returns refusal.NotFound if there is
// none.
func (h *Handle) findMember(ctx context.Context, tx Tx, id string) (Member, error) {
	lower := strings.ToLower(id)
	if !isGUID(lower) {
		return Member{}, notFound("there is no user or group %q in directory %s", id, h.Directory.Name)
	}
	u, err := tx.User(ctx, lower)
	if !errors.Is(err, refusal.NotFound) {
		return Member{Kind: UserKind, User: u}, err
	}
	g, err := tx.Group(ctx, lower)
	if errors.Is(err, refusal.NotFound) {
		return Member{}, notFound("there is no user or group %q in directory %s", id, h.Directory.Name)
	}
	return Member{Kind: GroupKind, Group: g}, err
}

func (h *Handle) appendMembershipEvent(ctx context.Context, tx Tx, name string, g Group, m memberName, actor string, at time.Time) error {
	text := " was added to group " + g.DisplayName()
	if name == event.GroupMemberRemoved {
		text = " was removed from group " + g.DisplayName()
	}
	who := m.label
	if m.kind == GroupKind {
		who = "Group" + strings.TrimPrefix(who, "group")
	}
	return tx.AppendEvent(ctx, event.Event{
		Time: at, Scope: event.Directory(string(h.Directory.ID)), Name: name, Actor: actor, Subject: g.ObjectID, Text: who + text,
		Data: event.DataOf(event.GroupMember{Member: m.objectID, Kind: string(m.kind)}),
	})
}

// leaveGroups removes a user or group from all groups that it is a member of. It writes one event
// for each of these groups.
func (h *Handle) leaveGroups(ctx context.Context, tx Tx, m memberName, actor string) error {
	groups, err := tx.GroupsOf(ctx, m.objectID)
	if err != nil {
		return err
	}
	for _, g := range groups {
		now := h.nowToMicrosecond()
		if _, err := tx.RemoveMember(ctx, g.ObjectID, m.objectID, now); err != nil {
			return err
		}
		if err := h.appendMembershipEvent(ctx, tx, event.GroupMemberRemoved, g, m, actor, now); err != nil {
			return err
		}
	}
	return nil
}

// maxNestedGroups is how many groups NestingWarning reads at most.
const maxNestedGroups = 1_000

// NestingWarning returns a warning if the group is a member of itself through other groups.
// Otherwise it returns "".
func (h *Handle) NestingWarning(ctx context.Context, group string) (string, error) {
	start := strings.ToLower(group)
	seen, next := map[string]bool{}, []string{start}
	for len(next) > 0 && len(seen) < maxNestedGroups {
		id := next[0]
		next = next[1:]
		parents, err := h.Groups(ctx, GroupQuery{HasMember: id, Limit: 500})
		if err != nil {
			return "", err
		}
		for _, p := range parents.Groups {
			if p.ObjectID == start {
				return "The group " + p.DisplayName() + " is now, through other groups, a member of itself. Entra allows such a circle too. It changes nothing about who is in scope of an application, because only direct members count.", nil
			}
			if !seen[p.ObjectID] {
				seen[p.ObjectID] = true
				next = append(next, p.ObjectID)
			}
		}
	}
	return "", nil
}
