package source

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// GroupSnapshot returns a page of groups, ordered by id. It includes soft-deleted groups. If
// q.AssignedOnly is true, it returns only the groups that are assigned to the application.
func (d Directory) GroupSnapshot(ctx context.Context, q provision.SnapshotQuery) ([]provision.Object, error) {
	page, err := d.handle.GroupSnapshot(ctx, directory.SnapshotQuery{App: q.App, AssignedOnly: q.AssignedOnly, After: q.After, Limit: q.Limit})
	if err != nil {
		return nil, err
	}
	objects := make([]provision.Object, len(page))
	for i, o := range page {
		objects[i] = Group(o)
	}
	return objects, nil
}

// GroupObject returns one group, or refusal.NotFound if it was deleted permanently.
func (d Directory) GroupObject(ctx context.Context, app, id string) (provision.Object, error) {
	o, err := d.handle.GroupObject(ctx, app, id)
	if err != nil {
		return provision.Object{}, err
	}
	return Group(o), nil
}

// Members returns a page of a group's direct members, ordered by id. A page shorter than the limit
// is the last page.
func (d Directory) Members(ctx context.Context, group, after string, limit int) ([]provision.Edge, error) {
	page, err := d.handle.MemberIDs(ctx, group, after, limit)
	return edgesOf(page), err
}

// MembersAmong returns which of the given objects are direct members of the group, and for each of
// them whether it is a user or a group.
func (d Directory) MembersAmong(ctx context.Context, group string, ids []string) (map[string]provision.ObjectKind, error) {
	kinds, err := d.handle.MembersAmong(ctx, group, ids)
	among := make(map[string]provision.ObjectKind, len(kinds))
	for id, kind := range kinds {
		among[id] = provision.ObjectKind(kind)
	}
	return among, err
}

// GroupsOf returns the ids of the groups that an object is a direct member of.
func (d Directory) GroupsOf(ctx context.Context, member string) ([]string, error) {
	return d.handle.GroupsOf(ctx, member)
}

// AssignedThrough returns how an object is assigned to an application: directly, through groups, or
// both.
func (d Directory) AssignedThrough(ctx context.Context, app, objectID string) ([]provision.AssignedThrough, error) {
	all, err := d.handle.AssignmentsOf(ctx, objectID)
	if err != nil {
		return nil, err
	}
	var through []provision.AssignedThrough
	for _, a := range all {
		if a.Application.ID != app {
			continue
		}
		one := provision.AssignedThrough{Group: a.Through.DisplayName()}
		if a.Role.ID != directory.DefaultAccess.ID {
			one.Role = a.Role.DisplayName
		}
		through = append(through, one)
	}
	return through, nil
}

// ChangesOf returns up to limit changes of a user or group, newest first.
func (d Directory) ChangesOf(ctx context.Context, objectID string, limit int) ([]provision.SourceChange, error) {
	events, err := d.handle.History(ctx, objectID, event.Position{}, limit)
	changes := make([]provision.SourceChange, len(events))
	for i, e := range events {
		changes[i] = provision.SourceChange{Time: e.Time, Actor: e.Actor, Text: e.Text}
	}
	return changes, err
}

// GroupChanges returns what has changed after a position: the groups that changed or whose
// assignment to app changed, and all changes of direct memberships. It returns provision.ErrBehind
// if the directory no longer has all changes since that position.
func (d Directory) GroupChanges(ctx context.Context, app string, after provision.Cursor, limit int) (provision.GroupsChanged, error) {
	from, err := event.ParsePosition(string(after))
	if err != nil {
		return provision.GroupsChanged{}, err
	}
	c, err := d.handle.GroupChanges(ctx, app, from, limit)
	if errors.Is(err, event.ErrPruned) {
		err = fmt.Errorf("%w: %w", provision.ErrBehind, err)
	}
	return provision.GroupsChanged{
		IDs: c.ObjectIDs, Origins: originsOf(c.Origins), Edges: edgesOf(c.Edges), Cursor: CursorOf(c.Position), More: c.More,
	}, err
}

// edgesOf converts memberships, or changes of memberships, from the type of package directory to
// that of package provision.
func edgesOf(page []directory.Edge) []provision.Edge {
	all := make([]provision.Edge, len(page))
	for i, e := range page {
		all[i] = provision.Edge{
			Group: e.Group, Member: e.Member, Kind: provision.ObjectKind(e.Kind), Present: e.Present, Cursor: CursorOf(e.Position), Cause: e.Cause,
		}
	}
	return all
}

// Group converts a group from the type of package directory to that of package provision.
func Group(o directory.GroupObject) provision.Object {
	return provision.Object{
		Kind: provision.GroupKind, ID: o.Group.ObjectID, Name: o.Group.DisplayName(), Attributes: o.Attributes(),
		Enabled: true, Deleted: o.Group.Deleted, Assigned: o.Assigned,
	}
}

// GroupAttributes is the catalog of the attributes of groups that mappings can read.
type GroupAttributes struct{}

// Attribute returns the attribute with exactly this name, if mappings can read it.
func (GroupAttributes) Attribute(name string) (provision.SourceAttribute, bool) {
	a, ok := directory.GroupSourceAttribute(name)
	always := name == "objectId" || name == "displayName" || a.Type == directory.Boolean
	return provision.SourceAttribute{Type: provision.AttributeType(a.Type), MultiValued: a.MultiValued, Always: always}, ok
}

// Suggest returns the attribute that the user probably meant by an unknown name, or "".
func (GroupAttributes) Suggest(name string) string {
	if a, ok := directory.GroupAttributeNamed(name); ok {
		return a.Name
	}
	return ""
}
