package provision

import (
	"context"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
)

// Source is what a job reads from: one directory. A *directory.Handle is one.
type Source interface {
	// Position returns the newest position of the change feed. Taken before a
	// snapshot, it is the watermark that the snapshot covers.
	Position(ctx context.Context) (event.Position, error)
	// Snapshot returns one page of users in the order of their object ids,
	// soft-deleted ones included.
	Snapshot(ctx context.Context, q directory.SnapshotQuery) ([]directory.Object, error)
	// Changes returns the ids of the objects that changed after a position, as
	// users or in their assignment to app, and the position that covers them.
	Changes(ctx context.Context, app string, after event.Position, limit int) (directory.Changes, error)
	// Object returns one user; refusal.NotFound when it was purged.
	Object(ctx context.Context, app, objectID string) (directory.Object, error)
}
