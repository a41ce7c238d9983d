// Package source connects a directory to the provisioning engine: it implements provision.Source
// and provision.Catalog. It exists because packages directory and provision do not import each
// other.
//
// A source is what the engine reads users and groups from. Both are called objects. A position, or
// cursor, is the place of an event in the order of all events of the directory. Soft-deleted
// objects can be restored; objects that were deleted permanently are gone.
//
// File source.go handles users. File group.go handles groups, their members and the changes of
// both.
package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// Directory makes a directory usable as a source of provisioning. It implements provision.Source.
type Directory struct{ handle *directory.Handle }

// Of returns the source of provisioning that reads a directory.
func Of(h *directory.Handle) Directory { return Directory{handle: h} }

// Opener returns a function that opens the source with an id. The id of a source is the id of its
// directory. The function uses open to open that directory.
func Opener(open func(context.Context, directory.ID) (*directory.Handle, error)) func(context.Context, provision.SourceID) (provision.Source, error) {
	return func(ctx context.Context, id provision.SourceID) (provision.Source, error) {
		h, err := open(ctx, directory.ID(id))
		if err != nil {
			return nil, err
		}
		return Of(h), nil
	}
}

// DefaultDomain returns the default domain that the directory had when it was opened.
func (d Directory) DefaultDomain() string { return d.handle.Directory.DefaultDomain }

// Position returns the position of the directory's newest event.
func (d Directory) Position(ctx context.Context) (provision.Cursor, error) {
	p, err := d.handle.Position(ctx)
	return CursorOf(p), err
}

// Snapshot returns a page of users, ordered by id.
func (d Directory) Snapshot(ctx context.Context, q provision.SnapshotQuery) ([]provision.Object, error) {
	page, err := d.handle.Snapshot(ctx, directory.SnapshotQuery{App: q.App, AssignedOnly: q.AssignedOnly, After: q.After, Limit: q.Limit, IDsOnly: q.IDsOnly})
	if err != nil {
		return nil, err
	}
	objects := make([]provision.Object, len(page))
	for i, o := range page {
		objects[i] = User(o)
	}
	return objects, nil
}

// Changes returns the users that are affected by the changes after a position. It returns
// provision.ErrBehind if the directory no longer has all changes since that position. A user is
// affected if the user or its direct assignment changed, or if there was a change of a group
// through which the user is or was assigned.
func (d Directory) Changes(ctx context.Context, app string, after provision.Cursor, limit int) (provision.Changed, error) {
	from, err := directory.ParseProgress(string(after))
	if err != nil {
		return provision.Changed{}, err
	}
	c, err := d.handle.Changes(ctx, app, from, limit)
	if errors.Is(err, event.ErrPruned) {
		err = fmt.Errorf("%w: %w", provision.ErrBehind, err)
	}
	if err != nil {
		return provision.Changed{}, err
	}
	cursor := CursorOf(c.Progress.Position)
	if c.Progress.Within != "" {
		cursor = provision.Cursor(c.Progress.String())
	}
	return provision.Changed{IDs: c.ObjectIDs, Origins: originsOf(c.Origins), Ended: c.Ended, Cursor: cursor, More: c.More}, nil
}

// originsOf converts the origins of changes from the type of package directory to that of package
// provision. An origin says which import made a change, and whether the change removes access.
func originsOf(all map[string]directory.Origin) map[string]provision.Origin {
	origins := make(map[string]provision.Origin, len(all))
	for id, o := range all {
		origins[id] = provision.Origin{Cause: o.Cause, RemovesAccess: o.TakesAccess}
	}
	return origins
}

// Cause returns the description of the import with this id, and when the import last wrote
// something. An import is the cause of the changes that it makes.
func (d Directory) Cause(ctx context.Context, id string) (provision.CauseInfo, error) {
	info, err := d.handle.Cause(ctx, id)
	return provision.CauseInfo{Words: info.Words, Seen: info.Seen}, err
}

// Object returns one user, or refusal.NotFound if the user was deleted permanently.
func (d Directory) Object(ctx context.Context, app, id string) (provision.Object, error) {
	o, err := d.handle.Object(ctx, app, id)
	if err != nil {
		return provision.Object{}, err
	}
	return User(o), nil
}

// Objects returns the users with these ids. It leaves out ids that do not exist.
func (d Directory) Objects(ctx context.Context, app string, ids []string) ([]provision.Object, error) {
	found, err := d.handle.Objects(ctx, app, ids)
	if err != nil {
		return nil, err
	}
	objects := make([]provision.Object, len(found))
	for i, o := range found {
		objects[i] = User(o)
	}
	return objects, nil
}

// CursorOf converts a position to the form that the engine stores. The zero position, which is
// before the first event, becomes "".
func CursorOf(p event.Position) provision.Cursor {
	if p.IsZero() {
		return ""
	}
	return provision.Cursor(p.String())
}

// User converts a user from the type of package directory to that of package provision.
func User(o directory.Object) provision.Object {
	attributes := o.Attributes()
	name, _ := attributes["displayName"].(string)
	upn, _ := attributes["userPrincipalName"].(string)
	return provision.Object{
		Kind: provision.UserKind, ID: o.User.ObjectID, Name: cmp.Or(name, upn), Attributes: attributes,
		Enabled: o.User.AccountEnabled, Deleted: o.User.Deleted, Assigned: o.Assigned,
	}
}

// UserAttributes is the catalog of the attributes of users that mappings can read.
type UserAttributes struct{}

// Attribute returns the attribute with exactly this name, if mappings can read it.
func (UserAttributes) Attribute(name string) (provision.SourceAttribute, bool) {
	a, ok := directory.SourceAttribute(name)
	return provision.SourceAttribute{Type: provision.AttributeType(a.Type), MultiValued: a.MultiValued, Always: a.HasAlways()}, ok
}

// Suggest returns the attribute that the user probably meant by an unknown name, or "".
func (UserAttributes) Suggest(name string) string { return directory.Suggest(name) }
