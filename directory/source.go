package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// Object is a user, with its assignments to one application.
type Object struct {
	User     User
	Assigned bool      // whether the user is assigned to the application, directly or as a direct member of an assigned group
	Roles    []AppRole // the roles of these assignments, without duplicates and without Default Access
}

// Attributes returns the user's values that a mapping can read, under Entra's names. A value is a
// string, a bool or a []string. IsSoftDeleted is not among them; the engine computes it.
func (o Object) Attributes() map[string]any {
	u := o.User
	values := make(map[string]any, len(u.Attributes)+3)
	for name, v := range u.Attributes {
		values[name] = v
	}
	values[attrObjectID] = u.ObjectID
	values[attrAccountEnabled] = u.AccountEnabled
	values[attrOriginalUPN] = u.UPN()
	values[attrUPN] = withoutGuestSuffix(u.UPN())
	if len(o.Roles) > 0 {
		roles := make([]string, len(o.Roles))
		for i, r := range o.Roles {
			roles[i] = r.assignmentJSON()
		}
		values[attrAppRoleAssignments] = roles
	}
	return values
}

// SourceAttribute returns the attribute with exactly this name, if Object.Attributes can return it.
func SourceAttribute(name string) (Attribute, bool) {
	switch name {
	case attrOriginalUPN:
		name = attrUPN
	case attrAppRoleAssignments:
		return Attribute{Name: name, Label: "App role assignments", Type: String, MultiValued: true}, true
	}
	a, ok := AttributeNamed(name)
	return a, ok && a.Name == name
}

// SourceNames returns the names of the attributes of users that mappings can read.
func SourceNames() []string { return append(AttributeNames(), attrOriginalUPN, attrAppRoleAssignments) }

// HasAlways reports whether every user has a value of the attribute.
func (a Attribute) HasAlways() bool {
	return a.Name == attrObjectID || a.Name == attrUPN || a.Name == attrAccountEnabled
}

// withoutGuestSuffix returns the userPrincipalName that Entra gives to mappings. For a guest,
// alias_domain#EXT#@tenant becomes alias@domain. Other names stay the same.
func withoutGuestSuffix(upn string) string {
	name, _, guest := strings.Cut(upn, "#EXT#@")
	i := strings.LastIndexByte(name, '_')
	if !guest || i < 1 {
		return upn
	}
	return name[:i] + "@" + name[i+1:]
}

// Position returns the position of the newest event. A caller that wants a snapshot must call
// Position before it reads the first page. Then all changes during the reading come after this
// position.
func (h *Handle) Position(ctx context.Context) (event.Position, error) {
	return h.store.LastEvent(ctx, h.Directory.ID)
}

// SnapshotQuery selects a page of a snapshot.
type SnapshotQuery struct {
	App          string // id of the application for which Assigned and Roles are set
	AssignedOnly bool   // whether to return only objects that are assigned to the application
	After        string // the last object id of the previous page; "" for the first page
	Limit        int    // how many objects the page has at most; zero means 500
	IDsOnly      bool   // whether to leave out the attributes and assignments of users
}

// Snapshot returns a page of users, sorted by object id. It includes soft-deleted users. A page
// shorter than the limit is the last page.
func (h *Handle) Snapshot(ctx context.Context, q SnapshotQuery) ([]Object, error) {
	if q.Limit <= 0 {
		q.Limit = batchRows
	}
	return h.store.Snapshot(ctx, h.Directory.ID, q)
}

// Object returns one user, with its assignments to an application. It returns refusal.NotFound if
// the user never existed or was deleted permanently.
func (h *Handle) Object(ctx context.Context, app, objectID string) (Object, error) {
	o, err := h.store.Object(ctx, h.Directory.ID, app, strings.ToLower(objectID))
	return o, h.userNotFound(err, objectID)
}

// Objects returns several users, with their assignments to an application, in no particular order.
// Users that never existed or were deleted permanently are left out.
func (h *Handle) Objects(ctx context.Context, app string, objectIDs []string) ([]Object, error) {
	lower := make([]string, len(objectIDs))
	for i, id := range objectIDs {
		lower[i] = strings.ToLower(id)
	}
	return h.store.Objects(ctx, h.Directory.ID, app, lower)
}

// Progress says how far a reader has read the changes of users. The zero value is before the first
// change.
type Progress struct {
	Position event.Position // all changes up to this position have been read
	// Within is the object id of the last user that was read, if the event after Position affects
	// more users than fit on a page and only some of them have been read. Otherwise Within is "".
	Within string
}

// String returns the progress as text; ParseProgress reads this text.
func (p Progress) String() string {
	if p.Within == "" {
		return p.Position.String()
	}
	return p.Position.String() + "~" + p.Within
}

// ParseProgress reads the result of Progress.String, or the text of a position. It returns
// event.ErrPosition for any other text.
func ParseProgress(text string) (Progress, error) {
	position, within, _ := strings.Cut(text, "~")
	p, err := event.ParsePosition(position)
	if err == nil && within != "" && !isGUID(within) {
		err = fmt.Errorf("%q: %w", text, event.ErrPosition)
	}
	return Progress{Position: p, Within: within}, err
}

// Changes is a page of users that changed. For the next page, the caller calls Handle.Changes again
// with Progress. If More is true, there may be more changes already.
type Changes struct {
	ObjectIDs []string          // the users' object ids without duplicates, in the order of their first changes
	Origins   map[string]Origin // the origin of each user's changes, by object id
	Ended     []string          // the ids of imports that have ended, so that no further changes of these imports follow
	Progress  Progress
	More      bool
}

// Changes returns the users that changed after a progress, at most limit users; zero means 500. A
// user counts as changed if it was created, changed or deleted, or if its assignment to this
// application changed, directly or through a group. If a group is assigned, unassigned, deleted or
// restored, all its direct members count as changed. Former members may be among them, which does
// no harm. If events after the progress have been deleted, Changes returns event.ErrPruned.
func (h *Handle) Changes(ctx context.Context, app string, after Progress, limit int) (Changes, error) {
	if limit <= 0 {
		limit = batchRows
	}
	events, err := h.store.Events(ctx, h.Directory.ID, after.Position, limit)
	if err != nil {
		return Changes{}, err
	}
	c := Changes{Progress: after, More: len(events) == limit, Origins: make(map[string]Origin, len(events))}
	add := func(id string, o Origin) {
		older, seen := c.Origins[id]
		if !seen {
			c.ObjectIDs = append(c.ObjectIDs, id)
		}
		c.Origins[id] = o.combineWithOlder(older)
	}
	groups := assignedGroups{Handle: h, app: app, answerByGroup: map[string]bool{}}
	for i, e := range events {
		what, err := groups.usersAffectedBy(ctx, e)
		if err != nil {
			return Changes{}, fmt.Errorf("read event %v: %w", e.Position, err)
		}
		if what.user != "" {
			add(what.user, originOf(e))
		}
		if id := endedCause(e); id != "" {
			c.Ended = append(c.Ended, id)
		}
		if what.group != "" || what.role != "" {
			from, room := "", limit-len(c.ObjectIDs)
			if i == 0 {
				from = after.Within
			}
			if room <= 0 {
				c.More = true
				return c, nil
			}
			some, err := h.store.AffectedUsers(ctx, h.Directory.ID, app, what.group, what.role, from, room)
			if err != nil {
				return Changes{}, err
			}
			for _, id := range some {
				add(id, originOf(e))
			}
			if len(some) == room {
				c.Progress.Within, c.More = some[len(some)-1], true
				return c, nil
			}
		}
		c.Progress = Progress{Position: e.Position}
	}
	return c, nil
}

// affectedUsers says which users an event affects: the user with the id user, all users that are or
// were direct members of the group with the id group, or all users that have the role with the id
// role. If all three are "", the event affects no users.
type affectedUsers struct{ user, group, role string }

// assignedGroups says which groups are or were assigned to the application app. It caches the
// answers.
type assignedGroups struct {
	*Handle
	app           string
	answerByGroup map[string]bool // the cached answers, by the object id of the group
}

// hasGroup reports whether a group is or was assigned to the application.
func (g assignedGroups) hasGroup(ctx context.Context, group string) (bool, error) {
	if has, known := g.answerByGroup[group]; known {
		return has, nil
	}
	has, err := g.store.WasAssigned(ctx, g.Directory.ID, g.app, group)
	if err == nil {
		g.answerByGroup[group] = has
	}
	return has, err
}

// usersAffectedBy returns the users whose assignment to the application an event may change.
func (g assignedGroups) usersAffectedBy(ctx context.Context, e event.Event) (c affectedUsers, err error) {
	switch e.Name {
	case event.AssignmentAdded, event.AssignmentRemoved, event.AssignmentChanged:
		var d event.Assignment
		if err := json.Unmarshal(e.Data, &d); err != nil || d.Application != g.app {
			return c, err
		}
		if d.Kind == string(GroupKind) {
			return affectedUsers{group: e.Subject}, nil
		}
		return affectedUsers{user: e.Subject}, nil
	case event.GroupMemberAdded, event.GroupMemberRemoved:
		var d event.GroupMember
		if err := json.Unmarshal(e.Data, &d); err != nil || d.Kind != string(UserKind) {
			return c, err
		}
		has, err := g.hasGroup(ctx, e.Subject)
		if has {
			c.user = d.Member
		}
		return c, err
	case event.GroupDeleted, event.GroupRestored, event.GroupPurged:
		has, err := g.hasGroup(ctx, e.Subject)
		if has {
			c.group = e.Subject
		}
		return c, err
	case event.ApplicationRoleChanged:
		var d event.ApplicationRole
		if err := json.Unmarshal(e.Data, &d); err != nil || e.Subject != g.app {
			return c, err
		}
		return affectedUsers{role: d.Role}, nil
	}
	if strings.HasPrefix(e.Name, "user.") {
		c.user = e.Subject
	}
	return c, nil
}

// GroupObject is a group, and whether it is assigned to one application.
type GroupObject struct {
	Group    Group
	Assigned bool // whether the group is assigned to the application
}

// Attributes returns the group's values that a mapping can read, under Entra's names. It leaves out
// the members, which MemberIDs reads.
func (o GroupObject) Attributes() map[string]any {
	values := map[string]any{attrObjectID: o.Group.ObjectID, "securityEnabled": true, "mailEnabled": false}
	for name, text := range o.Group.Attributes {
		values[name] = text
	}
	return values
}

// GroupSourceNames returns the names of the attributes of groups that mappings can read.
func GroupSourceNames() []string {
	names := []string{attrObjectID, "securityEnabled", "mailEnabled", "members"}
	for _, a := range GroupAttributes() {
		names = append(names, a.Name)
	}
	return names
}

// GroupSourceAttribute returns the attribute of groups with exactly this name, if mappings can read
// it.
func GroupSourceAttribute(name string) (Attribute, bool) {
	switch name {
	case attrObjectID:
		return Attribute{Name: name, Label: "Object ID", Type: String}, true
	case "securityEnabled", "mailEnabled":
		return Attribute{Name: name, Type: Boolean}, true
	case "members":
		return Attribute{Name: name, Type: Reference, MultiValued: true}, true
	}
	a, ok := GroupAttributeNamed(name)
	return Attribute{Name: a.Name, Label: a.Label, Type: String}, ok && a.Name == name
}

// GroupSnapshot returns a page of groups, sorted by object id. It includes soft-deleted groups. A
// page shorter than the limit is the last page.
func (h *Handle) GroupSnapshot(ctx context.Context, q SnapshotQuery) ([]GroupObject, error) {
	if q.Limit <= 0 {
		q.Limit = batchRows
	}
	return h.store.GroupSnapshot(ctx, h.Directory.ID, q)
}

// GroupObject returns one group, and whether it is assigned to an application. It returns
// refusal.NotFound if the group never existed or was deleted permanently.
func (h *Handle) GroupObject(ctx context.Context, app, objectID string) (GroupObject, error) {
	o, err := h.store.GroupObject(ctx, h.Directory.ID, app, strings.ToLower(objectID))
	return o, h.groupNotFound(err, objectID)
}

// Edge is a direct membership of a group, or a change of a membership.
type Edge struct {
	Group, Member string
	Kind          Kind           // the kind of the member
	Present       bool           // whether the membership exists, or the change adds it; false if the change removes it
	Position      event.Position // the position of the change's event; zero for a result of MemberIDs
	Cause         string         // the id of the import that made the change; "" if no import made it, and for a result of MemberIDs
}

// MemberIDs returns a page of a group's direct members that are not deleted, sorted by object id.
// after is the last object id of the previous page. A page shorter than the limit is the last page.
func (h *Handle) MemberIDs(ctx context.Context, group, after string, limit int) ([]Edge, error) {
	if limit <= 0 {
		limit = batchRows
	}
	return h.store.MemberIDs(ctx, h.Directory.ID, strings.ToLower(group), after, limit)
}

// MembersAmong returns the kind of each given object that is a direct member of the group and not
// deleted. Other objects are left out.
func (h *Handle) MembersAmong(ctx context.Context, group string, objectIDs []string) (map[string]Kind, error) {
	return h.store.MembersAmong(ctx, h.Directory.ID, strings.ToLower(group), objectIDs)
}

// GroupsOf returns the object ids of the groups that a user or group is a direct member of.
func (h *Handle) GroupsOf(ctx context.Context, objectID string) ([]string, error) {
	return h.store.GroupsWith(ctx, h.Directory.ID, strings.ToLower(objectID))
}

// GroupChanges is a page of changes of groups and of memberships. For the next page, the caller
// calls Handle.GroupChanges again with Position. If More is true, there may be more changes
// already.
type GroupChanges struct {
	ObjectIDs []string          // the groups that were created, changed or deleted, or whose assignment changed, without duplicates
	Origins   map[string]Origin // the origin of each group's changes, by object id
	Edges     []Edge            // the changes of memberships, in the order in which they happened
	Position  event.Position
	More      bool
}

// GroupChanges returns the changes of groups and memberships after a position, for one application.
// It reads at most limit events; zero means 500.
func (h *Handle) GroupChanges(ctx context.Context, app string, after event.Position, limit int) (GroupChanges, error) {
	if limit <= 0 {
		limit = batchRows
	}
	events, err := h.store.Events(ctx, h.Directory.ID, after, limit)
	if err != nil {
		return GroupChanges{}, err
	}
	c := GroupChanges{Position: after, More: len(events) == limit, Origins: map[string]Origin{}}
	for _, e := range events {
		if err := c.addEvent(ctx, h, app, e); err != nil {
			return GroupChanges{}, fmt.Errorf("read event %v: %w", e.Position, err)
		}
		c.Position = e.Position
	}
	return c, nil
}

// addEvent adds the groups and memberships that an event changes, as far as they matter to the
// application app.
func (c *GroupChanges) addEvent(ctx context.Context, h *Handle, app string, e event.Event) error {
	name := func(group string) {
		older, seen := c.Origins[group]
		if !seen {
			c.ObjectIDs = append(c.ObjectIDs, group)
		}
		c.Origins[group] = originOf(e).combineWithOlder(older)
	}
	switch e.Name {
	case event.AssignmentAdded, event.AssignmentRemoved:
		var d event.Assignment
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return err
		}
		if d.Application == app && d.Kind == string(GroupKind) {
			name(e.Subject)
		}
	case event.GroupMemberAdded, event.GroupMemberRemoved:
		var d event.GroupMember
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return err
		}
		c.Edges = append(c.Edges, Edge{
			Group: e.Subject, Member: d.Member, Kind: Kind(d.Kind), Present: e.Name == event.GroupMemberAdded, Position: e.Position, Cause: e.Cause,
		})
	case event.GroupCreated, event.GroupUpdated, event.GroupPurged:
		name(e.Subject)
	case event.GroupDeleted, event.GroupRestored:
		name(e.Subject)
		return c.addEdges(ctx, h, e, GroupKind, e.Name == event.GroupRestored)
	case event.UserDeleted, event.UserRestored:
		return c.addEdges(ctx, h, e, UserKind, e.Name == event.UserRestored)
	}
	return nil
}

// addEdges handles an event that a user or group was deleted or restored. It adds one change of a
// membership for each group that this object is a direct member of.
func (c *GroupChanges) addEdges(ctx context.Context, h *Handle, e event.Event, kind Kind, present bool) error {
	return h.EachGroup(ctx, GroupQuery{HasMember: e.Subject}, func(g Group) error {
		c.Edges = append(c.Edges, Edge{Group: g.ObjectID, Member: e.Subject, Kind: kind, Present: present, Position: e.Position, Cause: e.Cause})
		return nil
	})
}
