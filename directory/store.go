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
	SetDefaultDomain(ctx context.Context, id ID, domain string, e event.Event) error
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

	Group(ctx context.Context, d ID, objectID string) (Group, error)
	// GroupsNamed returns the groups with a sort key, soft-deleted ones or others, at most 100.
	GroupsNamed(ctx context.Context, d ID, sortKey string, deleted bool) ([]Group, error)
	// GroupsLookingLike returns the groups with a look that are not deleted, at most 100.
	GroupsLookingLike(ctx context.Context, d ID, look string) ([]Group, error)
	// Groups lists by (SortKey, ObjectID), as Users does.
	Groups(ctx context.Context, d ID, q GroupQuery) ([]Group, error)
	CountGroups(ctx context.Context, d ID, q GroupQuery) (int, error)
	// Members returns the first q.Limit users and the first q.Limit groups after q.After, as far as
	// q.Kind allows.
	Members(ctx context.Context, d ID, group string, q MemberQuery) ([]Member, error)
	CountMembers(ctx context.Context, d ID, group string) (MemberCounts, error)

	Applications(ctx context.Context, d ID) ([]Application, error)
	// AssignmentsOf returns those of a user or group by application, its own first. Assignments
	// through deleted groups are left out.
	AssignmentsOf(ctx context.Context, d ID, objectID string) ([]Assignment, error)
	CountAssignments(ctx context.Context, d ID, application string) (int, error)
	RolesOf(ctx context.Context, d ID, application string, objectIDs []string) (map[string]AppRole, error)
	Roles(ctx context.Context, d ID, application string) ([]AppRole, error)
	CountRole(ctx context.Context, d ID, application, role string) (int, error)

	// Snapshot lists by object id, deleted users included.
	Snapshot(ctx context.Context, d ID, q SnapshotQuery) ([]Object, error)
	Object(ctx context.Context, d ID, application, objectID string) (Object, error)
	// Objects returns the users with these ids that exist, in no order.
	Objects(ctx context.Context, d ID, application string, objectIDs []string) ([]Object, error)
	GroupSnapshot(ctx context.Context, d ID, q SnapshotQuery) ([]GroupObject, error)
	GroupObject(ctx context.Context, d ID, application, objectID string) (GroupObject, error)
	// MemberIDs lists the members of a group that are not deleted, by object id.
	MemberIDs(ctx context.Context, d ID, group, after string, limit int) ([]Edge, error)
	// MembersAmong returns which of some objects are members of a group that are not deleted.
	MembersAmong(ctx context.Context, d ID, group string, objectIDs []string) (map[string]Kind, error)
	// GroupsWith lists the groups that an object is a direct member of, by object id.
	GroupsWith(ctx context.Context, d ID, objectID string) ([]string, error)
	// WasAssigned reports whether a group is assigned to an application, or was as long ago as events
	// are kept.
	WasAssigned(ctx context.Context, d ID, application, group string) (bool, error)
	// AffectedUsers lists users by object id: those who are direct members of a group, or were as
	// long ago as events are kept; or, if role is not empty, those who have a role of an
	// application.
	AffectedUsers(ctx context.Context, d ID, application, group, role, after string, limit int) ([]string, error)
	// Events reads the directory's events after a position, oldest first.
	Events(ctx context.Context, d ID, after event.Position, limit int) ([]event.Event, error)
	// LastEvent returns the newest position before which no event can appear any more.
	LastEvent(ctx context.Context, d ID) (event.Position, error)
	// Cause returns what is known of an import; the zero CauseInfo if there is none. Update notes it for
	// the cause of its context.
	Cause(ctx context.Context, d ID, id string) (CauseInfo, error)
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
	// RemoveUser removes a user, its assignments and its memberships.
	RemoveUser(ctx context.Context, objectID string) error

	Application(ctx context.Context, id string) (Application, error)
	// CreateApplication answers refusal.Taken when the name is taken.
	CreateApplication(ctx context.Context, a Application) error
	// RenameApplication stores the name; refusal.Taken when it is taken.
	RenameApplication(ctx context.Context, a Application) error
	// DeleteApplication removes an application, its assignments and its provisioning, and counts
	// them.
	DeleteApplication(ctx context.Context, id string) (Contents, error)
	// AssignedRole returns the role of the object's own assignment, and whether it has one.
	AssignedRole(ctx context.Context, application string, kind Kind, objectID string) (role string, assigned bool, err error)
	// Assign writes an assignment, or gives an existing one another role.
	Assign(ctx context.Context, application string, kind Kind, objectID, role string, at time.Time) error
	// Unassign reports whether there was an assignment.
	Unassign(ctx context.Context, application string, kind Kind, objectID string, at time.Time) (bool, error)

	Role(ctx context.Context, application, id string) (AppRole, error)
	// PutRole inserts a role or overwrites it; refusal.Taken when another has the value.
	PutRole(ctx context.Context, application string, r AppRole) error
	DeleteRole(ctx context.Context, application, id string) error
	CountRole(ctx context.Context, application, role string) (int, error)

	Group(ctx context.Context, objectID string) (Group, error)
	// PutGroup inserts a group or overwrites it.
	PutGroup(ctx context.Context, g Group) error
	// PurgeGroup hides a group for good. Its memberships and assignments stay as long as the events
	// about them.
	PurgeGroup(ctx context.Context, objectID string, at time.Time) error
	// ObjectExists reports whether a user or group has the object id, or a purged group had it.
	ObjectExists(ctx context.Context, objectID string) (bool, error)
	// GroupsOf lists the groups that a user or group is a direct member of, soft-deleted ones included.
	GroupsOf(ctx context.Context, objectID string) ([]Group, error)
	// AddMember and RemoveMember report whether they changed anything.
	AddMember(ctx context.Context, group string, kind Kind, member string, at time.Time) (bool, error)
	RemoveMember(ctx context.Context, group, member string, at time.Time) (bool, error)

	AppendEvent(ctx context.Context, e event.Event) error
}
