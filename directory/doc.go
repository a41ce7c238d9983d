// Package directory knows the company's side of provisioning. It holds directories, their users
// under Entra's attribute names, their groups, soft delete, enterprise applications, assignments,
// and the changes since a position.
//
//	Directories ── Open ──► Handle ──┬─ users: PutUser, Enable, Disable, SoftDelete, Restore, Purge, Import
//	                                 ├─ groups: PutGroup, AddMembers, RemoveMembers, SoftDeleteGroup, RestoreGroup, PurgeGroup
//	                                 ├─ applications: CreateApplication, Assign, Unassign, PutRole
//	                                 └─ what an engine reads: Position, Snapshot, Changes, Object,
//	                                    and of groups GroupSnapshot, MemberIDs, GroupChanges
//
// A directory is reached only through its Handle, and every method of Store names the directory. A
// membership is a row of its own. The row of a member that left a group stays for as long as events
// are kept. A reader of an old event, such as one that a group was unassigned, can therefore still
// find every user that the event affects.
//
// Every change writes its event in the same transaction. Changes reads exactly those events, so no
// acknowledged change can be missed.
//
// Other packages handle files (directory/csv), SQL (store) and pages (console). Package provision
// decides what an application does with a user, and defines the interface that directory/source
// implements.
package directory
