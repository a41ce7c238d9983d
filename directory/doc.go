// Package directory is the company's side of provisioning. It holds directories with their users,
// groups, enterprise applications and assignments. Users have Entra's attribute names. Users and
// groups can be soft-deleted and restored. The package can also list all changes since a position.
//
//	Directories ── Open ──► Handle ──┬─ users: PutUser, Enable, Disable, SoftDelete, Restore, Purge, Import
//	                                 ├─ groups: PutGroup, AddMembers, RemoveMembers, SoftDeleteGroup, RestoreGroup, PurgeGroup
//	                                 ├─ applications: CreateApplication, Assign, Unassign, PutRole
//	                                 └─ what an engine reads: Position, Snapshot, Changes, Object,
//	                                    and of groups GroupSnapshot, MemberIDs, GroupChanges
//
// Callers reach a directory only through its Handle, and every method of Store takes the id of the
// directory. A membership is a row of its own. After a member has left a group, the row stays as
// long as events are kept. So a reader of an old event, for example that a group was unassigned,
// can still find every user that the event affects.
//
// Every change writes its event in the same transaction. Changes reads these events, so no
// committed change can be missed.
//
// The comments use these words. A position is the place of an event in the order of all events. An
// object is a user or a group, and its object id is its attribute objectId. UPN is short for
// userPrincipalName. A folded string is in the form in which strings are compared without regard to
// case. A refusal is an error that says which rule a request breaks; see package refusal. The cause
// of a change is the import that made it.
//
// Other packages read files (directory/csv), run SQL (store) and show pages (console). Package
// provision decides what an application does with a user, and defines the interface that
// directory/source implements.
package directory
