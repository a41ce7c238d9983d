// Package directory knows the company's end as its source has it: directories, their users under
// Entra's attribute names, soft delete, enterprise applications and who is assigned to them, and
// what changed since a position.
//
//	Directories ── Open ──► Handle ──┬─ users: PutUser, Enable, Disable, SoftDelete, Restore, Purge, Import
//	                                 ├─ applications: CreateApplication, Assign, Unassign
//	                                 └─ what an engine reads: Position, Snapshot, Changes, Object
//
// A directory is reached through its Handle only, and every method of Store names the directory.
// Every change writes its event in the same transaction; Changes reads exactly those events, so
// nothing that was acknowledged can be missed.
//
// It leaves to others: files (directory/csv), SQL (store), pages (console), and what an application
// does with a user (provision, which defines the interface that Handle fills).
package directory
