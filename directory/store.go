package directory

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// Store keeps directories in a database. A method that reads or changes one thing returns
// refusal.NotFound if there is no such thing.
type Store interface {
	Directories(ctx context.Context) ([]Directory, error)
	Directory(ctx context.Context, id ID) (Directory, error)
	DirectoryByName(ctx context.Context, name string) (Directory, error)
	// CreateDirectory returns refusal.Taken if another directory has the name.
	CreateDirectory(ctx context.Context, d Directory, e event.Event) error
	// RenameDirectory returns refusal.Taken if another directory has the name.
	RenameDirectory(ctx context.Context, id ID, name string, e event.Event) error
	SetDefaultDomain(ctx context.Context, id ID, domain string, e event.Event) error
	// DeleteDirectory removes the directory, its users, its groups, its applications and their
	// provisioning. It counts the removed objects, calls the function deleted with the counts, and
	// appends the event that deleted returns.
	DeleteDirectory(ctx context.Context, id ID, deleted func(Contents) event.Event) error
	// Contents counts the objects of a directory, or those of one application if application is not
	// "".
	Contents(ctx context.Context, d ID, application string) (Contents, error)

	User(ctx context.Context, d ID, objectID string) (User, error)
	// UserByUPN returns the user that is not deleted and has this folded userPrincipalName.
	UserByUPN(ctx context.Context, d ID, foldedUPN string) (User, error)
	// Users returns the users that a query selects, sorted by SortKey and ObjectID. The words of
	// q.Search are folded, and all of them must occur in the user's SearchText.
	Users(ctx context.Context, d ID, q UserQuery) ([]User, error)
	CountUsers(ctx context.Context, d ID) (Counts, error)
	// CountFound counts the users that a query selects. It ignores the query's After and Limit.
	CountFound(ctx context.Context, d ID, q UserQuery) (int, error)

	Group(ctx context.Context, d ID, objectID string) (Group, error)
	// GroupsNamed returns at most 100 groups with this sort key. It returns only soft-deleted
	// groups if deleted is true, and otherwise only groups that are not deleted.
	GroupsNamed(ctx context.Context, d ID, sortKey string, deleted bool) ([]Group, error)
	// GroupsLookingLike returns at most 100 groups that are not deleted and whose Group.LookKey
	// returns look.
	GroupsLookingLike(ctx context.Context, d ID, look string) ([]Group, error)
	// Groups returns the groups that a query selects, sorted by SortKey and ObjectID. It searches
	// in the same way as Users.
	Groups(ctx context.Context, d ID, q GroupQuery) ([]Group, error)
	CountGroups(ctx context.Context, d ID, q GroupQuery) (int, error)
	// Members returns the first q.Limit users and the first q.Limit groups that follow q.After. If
	// q.Kind is set, it returns only users or only groups.
	Members(ctx context.Context, d ID, group string, q MemberQuery) ([]Member, error)
	CountMembers(ctx context.Context, d ID, group string) (MemberCounts, error)

	Applications(ctx context.Context, d ID) ([]Application, error)
	// AssignmentsOf returns the assignments of a user or group, sorted by application. For each
	// application, the direct assignment comes first. Assignments through deleted groups are left
	// out.
	AssignmentsOf(ctx context.Context, d ID, objectID string) ([]Assignment, error)
	CountAssignments(ctx context.Context, d ID, application string) (int, error)
	RolesOf(ctx context.Context, d ID, application string, objectIDs []string) (map[string]AppRole, error)
	Roles(ctx context.Context, d ID, application string) ([]AppRole, error)
	CountRole(ctx context.Context, d ID, application, role string) (int, error)

	// Snapshot returns a page of users, sorted by object id. It includes soft-deleted users.
	Snapshot(ctx context.Context, d ID, q SnapshotQuery) ([]Object, error)
	Object(ctx context.Context, d ID, application, objectID string) (Object, error)
	// Objects returns the users with these ids, in no particular order. It leaves out ids that do
	// not exist.
	Objects(ctx context.Context, d ID, application string, objectIDs []string) ([]Object, error)
	GroupSnapshot(ctx context.Context, d ID, q SnapshotQuery) ([]GroupObject, error)
	GroupObject(ctx context.Context, d ID, application, objectID string) (GroupObject, error)
	// MemberIDs returns a page of a group's direct members that are not deleted, sorted by object
	// id.
	MemberIDs(ctx context.Context, d ID, group, after string, limit int) ([]Edge, error)
	// MembersAmong returns the kind of each given object that is a direct member of the group and
	// not deleted.
	MembersAmong(ctx context.Context, d ID, group string, objectIDs []string) (map[string]Kind, error)
	// GroupsWith returns the object ids of the groups that an object is a direct member of.
	GroupsWith(ctx context.Context, d ID, objectID string) ([]string, error)
	// WasAssigned reports whether a group is assigned to an application, or was assigned to it at
	// some time for which events are still kept.
	WasAssigned(ctx context.Context, d ID, application, group string) (bool, error)
	// AffectedUsers returns a page of object ids of users, sorted. If role is not "", these are the
	// users with this role of the application. Otherwise they are the users that are direct members
	// of the group, or were members at some time for which events are still kept.
	AffectedUsers(ctx context.Context, d ID, application, group, role, after string, limit int) ([]string, error)
	// Events returns the directory's events after a position, the oldest first. It returns
	// event.ErrPruned if events after the position have been deleted.
	Events(ctx context.Context, d ID, after event.Position, limit int) ([]event.Event, error)
	// LastEvent returns the newest position up to which all events have been committed. All later
	// events get higher positions.
	LastEvent(ctx context.Context, d ID) (event.Position, error)
	// Cause returns the description and times of the import with an id, or the zero CauseInfo if
	// there is none. Update records the description and times of the import that is in its context.
	Cause(ctx context.Context, d ID, id string) (CauseInfo, error)
	// History returns the events about one object before a position, the newest first.
	History(ctx context.Context, d ID, subject string, before event.Position, limit int) ([]event.Event, error)

	// Update runs fn in one transaction. Transactions on one directory run one after the other. fn
	// may run more than once.
	Update(ctx context.Context, d ID, fn func(tx Tx) error) error
}

// Tx is a transaction on one directory.
type Tx interface {
	User(ctx context.Context, objectID string) (User, error)
	UserByUPN(ctx context.Context, foldedUPN string) (User, error)
	// DeletedByUPN returns the soft-deleted user with this folded userPrincipalName. If there are
	// several, it returns the user that was deleted last.
	DeletedByUPN(ctx context.Context, foldedUPN string) (User, error)
	// DirectReports returns the users whose manager has this object id.
	DirectReports(ctx context.Context, objectID string) ([]User, error)
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
	// AssignedRole returns the id of the role of an object's direct assignment, and whether there
	// is such an assignment.
	AssignedRole(ctx context.Context, application string, kind Kind, objectID string) (role string, assigned bool, err error)
	// Assign writes a direct assignment, or changes the role of an existing direct assignment.
	Assign(ctx context.Context, application string, kind Kind, objectID, role string, at time.Time) error
	// Unassign removes a direct assignment. It reports whether there was one.
	Unassign(ctx context.Context, application string, kind Kind, objectID string, at time.Time) (bool, error)

	Role(ctx context.Context, application, id string) (AppRole, error)
	// PutRole inserts a role or overwrites it. It returns refusal.Taken if another role of the
	// application has the value.
	PutRole(ctx context.Context, application string, r AppRole) error
	DeleteRole(ctx context.Context, application, id string) error
	CountRole(ctx context.Context, application, role string) (int, error)

	Group(ctx context.Context, objectID string) (Group, error)
	// PutGroup inserts a group or overwrites it.
	PutGroup(ctx context.Context, g Group) error
	// PurgeGroup hides a group permanently. The group's memberships and assignments stay in the
	// database as long as the events about them.
	PurgeGroup(ctx context.Context, objectID string, at time.Time) error
	// ObjectExists reports whether a user or a group has the object id. Purged groups count too.
	ObjectExists(ctx context.Context, objectID string) (bool, error)
	// GroupsOf returns the groups that a user or group is a direct member of. It includes
	// soft-deleted groups.
	GroupsOf(ctx context.Context, objectID string) ([]Group, error)
	// AddMember and RemoveMember return false if they changed nothing.
	AddMember(ctx context.Context, group string, kind Kind, member string, at time.Time) (bool, error)
	RemoveMember(ctx context.Context, group, member string, at time.Time) (bool, error)

	AppendEvent(ctx context.Context, e event.Event) error
}
