package directory

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// Store keeps directories. Every method takes the directory's id, and answers refusal.NotFound if
// it finds nothing.
type Store interface {
	Directories(ctx context.Context) ([]Directory, error)
	Directory(ctx context.Context, id ID) (Directory, error)
	DirectoryByName(ctx context.Context, name string) (Directory, error)
	// CreateDirectory answers refusal.Taken when the name is taken.
	CreateDirectory(ctx context.Context, d Directory, e event.Event) error
	// RenameDirectory answers refusal.Taken when the name is taken.
	RenameDirectory(ctx context.Context, id ID, name string, e event.Event) error
	// DeleteDirectory removes the directory, its users, its applications and their provisioning,
	// and appends the event made from what it counted.
	DeleteDirectory(ctx context.Context, id ID, deleted func(Contents) event.Event) error
	// Contents counts what a directory holds, or one application of it.
	Contents(ctx context.Context, d ID, application string) (Contents, error)

	User(ctx context.Context, d ID, objectID string) (User, error)
	// UserByUPN finds a user that is not deleted by the folded userPrincipalName.
	UserByUPN(ctx context.Context, d ID, foldedUPN string) (User, error)
	// Users lists by (SortKey, ObjectID). Search holds folded words, all of which must occur in the
	// user's SearchText.
	Users(ctx context.Context, d ID, q UserQuery) ([]User, error)
	CountUsers(ctx context.Context, d ID) (Counts, error)
	// CountFound counts the users that a query selects, whatever its Limit.
	CountFound(ctx context.Context, d ID, q UserQuery) (int, error)

	Applications(ctx context.Context, d ID) ([]Application, error)
	ApplicationsOf(ctx context.Context, d ID, objectID string) ([]Application, error)
	CountAssignments(ctx context.Context, d ID, application string) (int, error)

	// Snapshot lists by object id, deleted users included.
	Snapshot(ctx context.Context, d ID, q SnapshotQuery) ([]Object, error)
	Object(ctx context.Context, d ID, application, objectID string) (Object, error)
	// Events reads the directory's events after a position, oldest first.
	Events(ctx context.Context, d ID, after event.Position, limit int) ([]event.Event, error)
	// LastEvent returns the newest position before which no event can appear any more.
	LastEvent(ctx context.Context, d ID) (event.Position, error)
	// History reads the newest events about one object first, those before a position.
	History(ctx context.Context, d ID, subject string, before event.Position, limit int) ([]event.Event, error)

	// Update runs fn in one transaction. Transactions on one directory run one after the other. fn
	// may run more than once.
	Update(ctx context.Context, d ID, fn func(tx Tx) error) error
}

// Tx is a transaction on one directory.
type Tx interface {
	User(ctx context.Context, objectID string) (User, error)
	UserByUPN(ctx context.Context, foldedUPN string) (User, error)
	// DeletedByUPN finds the soft-deleted user that had the name last.
	DeletedByUPN(ctx context.Context, foldedUPN string) (User, error)
	// ReportsTo lists the users whose manager this is.
	ReportsTo(ctx context.Context, objectID string) ([]User, error)
	// PutUser inserts a user or overwrites it.
	PutUser(ctx context.Context, u User) error
	// RemoveUser removes a user and its assignments.
	RemoveUser(ctx context.Context, objectID string) error

	Application(ctx context.Context, id string) (Application, error)
	// CreateApplication answers refusal.Taken when the name is taken.
	CreateApplication(ctx context.Context, a Application) error
	// RenameApplication stores the name; refusal.Taken when it is taken.
	RenameApplication(ctx context.Context, a Application) error
	// DeleteApplication removes an application, its assignments and its provisioning, and counts
	// them.
	DeleteApplication(ctx context.Context, id string) (Contents, error)
	// Assign and Unassign report whether they changed anything.
	Assign(ctx context.Context, application, objectID string, at time.Time) (bool, error)
	Unassign(ctx context.Context, application, objectID string) (bool, error)

	AppendEvent(ctx context.Context, e event.Event) error
}
