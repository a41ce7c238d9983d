package directory

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// Store keeps directories. Every method takes the directory's id. A method returns refusal.NotFound
// if it finds nothing.
type Store interface {
	Directories(ctx context.Context) ([]Directory, error)
	Directory(ctx context.Context, id ID) (Directory, error)
	DirectoryByName(ctx context.Context, name string) (Directory, error)
	// CreateDirectory returns refusal.Taken if another directory has the name.
	CreateDirectory(ctx context.Context, d Directory, e event.Event) error
	// RenameDirectory returns refusal.Taken if another directory has the name.
	RenameDirectory(ctx context.Context, id ID, name string, e event.Event) error
	SetDefaultDomain(ctx context.Context, id ID, domain string, e event.Event) error
	// DeleteDirectory removes the directory, its users, its applications and their provisioning. It
	// counts the removed objects, calls the argument deleted with the counts, and appends the event
	// that deleted returns.
	DeleteDirectory(ctx context.Context, id ID, deleted func(Contents) event.Event) error
	// Contents counts the objects of a directory, or of one application if application is not "".
	Contents(ctx context.Context, d ID, application string) (Contents, error)

	User(ctx context.Context, d ID, objectID string) (User, error)
	// UserByUPN finds a user that is not deleted by the folded userPrincipalName.
	UserByUPN(ctx context.Context, d ID, foldedUPN string) (User, error)
	// Users lists users, ordered by SortKey and ObjectID. The words of q.Search are folded, and all
	// of them must occur in the user's SearchText.
	Users(ctx context.Context, d ID, q UserQuery) ([]User, error)
	CountUsers(ctx context.Context, d ID) (Counts, error)
	// CountFound counts the users that a query selects. It ignores the query's Limit.
	CountFound(ctx context.Context, d ID, q UserQuery) (int, error)

	Group(ctx context.Context, d ID, objectID string) (Group, error)
	// GroupsNamed returns at most 100 groups with this sort key. It returns only soft-deleted
	// groups if deleted is true, and otherwise only groups that are not deleted.
	GroupsNamed(ctx context.Context, d ID, sortKey string, deleted bool) ([]Group, error)
	// GroupsLookingLike returns at most 100 groups that are not deleted and whose Group.Look is
	// look.
	GroupsLookingLike(ctx context.Context, d ID, look string) ([]Group, error)
	// Groups lists groups, ordered by SortKey and ObjectID. It searches as Users does.
	Groups(ctx context.Context, d ID, q GroupQuery) ([]Group, error)
	CountGroups(ctx context.Context, d ID, q GroupQuery) (int, error)
	// Members returns the first q.Limit users and the first q.Limit groups that follow q.After. If
	// q.Kind is set, it returns only users or only groups.
	Members(ctx context.Context, d ID, group string, q MemberQuery) ([]Member, error)
	CountMembers(ctx context.Context, d ID, group string) (MemberCounts, error)

	Applications(ctx context.Context, d ID) ([]Application, error)
	// AssignmentsOf returns the assignments of a user or group, ordered by application. In each
	// application the direct assignment comes first. Assignments through deleted groups are left
	// out.
	AssignmentsOf(ctx context.Context, d ID, objectID string) ([]Assignment, error)
	CountAssignments(ctx context.Context, d ID, application string) (int, error)
	RolesOf(ctx context.Context, d ID, application string, objectIDs []string) (map[string]AppRole, error)
	Roles(ctx context.Context, d ID, application string) ([]AppRole, error)
	CountRole(ctx context.Context, d ID, application, role string) (int, error)

	// Snapshot lists users by object id, including soft-deleted ones.
	Snapshot(ctx context.Context, d ID, q SnapshotQuery) ([]Object, error)
	Object(ctx context.Context, d ID, application, objectID string) (Object, error)
	// Objects returns the users with these ids, in no particular order. It leaves out ids that do
	// not exist.
	Objects(ctx context.Context, d ID, application string, objectIDs []string) ([]Object, error)
	GroupSnapshot(ctx context.Context, d ID, q SnapshotQuery) ([]GroupObject, error)
	GroupObject(ctx context.Context, d ID, application, objectID string) (GroupObject, error)
	// MemberIDs lists the members of a group that are not deleted, by object id.
	MemberIDs(ctx context.Context, d ID, group, after string, limit int) ([]Edge, error)
	// MembersAmong returns those of the given objects that are members of a group and not deleted,
	// each with its kind.
	MembersAmong(ctx context.Context, d ID, group string, objectIDs []string) (map[string]Kind, error)
	// GroupsWith lists the groups that an object is a direct member of, by object id.
	GroupsWith(ctx context.Context, d ID, objectID string) ([]string, error)
	// WasAssigned reports whether a group is assigned to an application, or was assigned to it
	// within the time for which events are kept.
	WasAssigned(ctx context.Context, d ID, application, group string) (bool, error)
	// AffectedUsers lists the ids of users, in order. If role is set, these are the users with that
	// role of the application. Otherwise they are the direct members of a group, including users
	// that were members within the time for which events are kept.
	AffectedUsers(ctx context.Context, d ID, application, group, role, after string, limit int) ([]string, error)
	// Events reads the directory's events after a position, oldest first.
	Events(ctx context.Context, d ID, after event.Position, limit int) ([]event.Event, error)
	// LastEvent returns the newest position up to which all events have been committed. Later
	// events get higher positions.
	LastEvent(ctx context.Context, d ID) (event.Position, error)
	// Cause returns the description and times of an import, or the zero CauseInfo if there is none.
	// Update records both for the import that its context names.
	Cause(ctx context.Context, d ID, id string) (CauseInfo, error)
	// History reads the events about one object that come before a position, the newest first.
	History(ctx context.Context, d ID, subject string, before event.Position, limit int) ([]event.Event, error)

	// Update runs fn in one transaction. Transactions on one directory run one after the other. fn
	// may run more than once.
	Update(ctx context.Context, d ID, fn func(tx Tx) error) error
}

// Tx is a transaction on one directory.
type Tx interface {
	User(ctx context.Context, objectID string) (User, error)
	UserByUPN(ctx context.Context, foldedUPN string) (User, error)
	// DeletedByUPN finds the soft-deleted user that had this userPrincipalName last.
	DeletedByUPN(ctx context.Context, foldedUPN string) (User, error)
	// ReportsTo lists the users whose manager has this object id.
	ReportsTo(ctx context.Context, objectID string) ([]User, error)
	// PutUser inserts a user or overwrites it.
	PutUser(ctx context.Context, u User) error
	// RemoveUser removes a user, its assignments and its memberships.
	RemoveUser(ctx context.Context, objectID string) error

	Application(ctx context.Context, id string) (Application, error)
	// CreateApplication returns refusal.Taken if another application has the name.
	CreateApplication(ctx context.Context, a Application) error
	// RenameApplication stores the new name. It returns refusal.Taken if another application has
	// the name.
	RenameApplication(ctx context.Context, a Application) error
	// DeleteApplication removes an application, its assignments and its provisioning. It counts the
	// removed objects.
	DeleteApplication(ctx context.Context, id string) (Contents, error)
	// AssignedRole returns the role of an object's direct assignment, and whether there is one.
	AssignedRole(ctx context.Context, application string, kind Kind, objectID string) (role string, assigned bool, err error)
	// Assign writes a direct assignment, or gives an existing one another role.
	Assign(ctx context.Context, application string, kind Kind, objectID, role string, at time.Time) error
	// Unassign removes a direct assignment. It reports whether there was one.
	Unassign(ctx context.Context, application string, kind Kind, objectID string, at time.Time) (bool, error)

	Role(ctx context.Context, application, id string) (AppRole, error)
	// PutRole inserts a role or overwrites it. It returns refusal.Taken if another role has the
	// value.
	PutRole(ctx context.Context, application string, r AppRole) error
	DeleteRole(ctx context.Context, application, id string) error
	CountRole(ctx context.Context, application, role string) (int, error)

	Group(ctx context.Context, objectID string) (Group, error)
	// PutGroup inserts a group or overwrites it.
	PutGroup(ctx context.Context, g Group) error
	// PurgeGroup hides a group permanently. Its memberships and assignments stay in the database as
	// long as the events about them.
	PurgeGroup(ctx context.Context, objectID string, at time.Time) error
	// ObjectExists reports whether a user or group has the object id, or whether a purged group had
	// it.
	ObjectExists(ctx context.Context, objectID string) (bool, error)
	// GroupsOf lists the groups that a user or group is a direct member of, soft-deleted ones
	// included.
	GroupsOf(ctx context.Context, objectID string) ([]Group, error)
	// AddMember and RemoveMember report whether they changed anything.
	AddMember(ctx context.Context, group string, kind Kind, member string, at time.Time) (bool, error)
	RemoveMember(ctx context.Context, group, member string, at time.Time) (bool, error)

	AppendEvent(ctx context.Context, e event.Event) error
}
