// Package directory knows the company's end as its source has it: directories, their users under
// Entra's attribute names, their groups, soft delete, enterprise applications and who is assigned to
// them, and what changed since a position.
//
//	Directories ── Open ──► Handle ──┬─ users: PutUser, Enable, Disable, SoftDelete, Restore, Purge, Import
//	                                 ├─ groups: PutGroup, AddMembers, RemoveMembers, SoftDeleteGroup, RestoreGroup, PurgeGroup
//	                                 ├─ applications: CreateApplication, Assign, Unassign, PutRole
//	                                 └─ what an engine reads: Position, Snapshot, Changes, Object,
//	                                    and of groups GroupSnapshot, MemberIDs, GroupChanges
//
// A directory is reached through its Handle only, and every method of Store names the directory.
// A membership is a row of its own. What left a group stays as a row for as long as the events about
// it are kept: so whoever reads an event later, such as that a group was unassigned, still learns
// everyone it concerns.
//
// Every change writes its event in the same transaction; Changes reads exactly those events, so
// nothing that was acknowledged can be missed.
//
// It leaves to others: files (directory/csv), SQL (store), pages (console), and what an application
// does with a user (provision, which defines the interface that Handle fills).
package directory
