// Package erasure makes one person unrecognizable at a site or in a directory,
// and leaves the audit trail true.
//
//	who: a user name, or the id of somebody whose account is gone
//	  │  refused while the account is active: deactivate or delete it first
//	  ▼
//	what tells who it is: every value of the account and of the changes of it
//	  │  that no other account has
//	  ▼
//	entries about the person lose their details; in entries about others the
//	values become "erased person ID". Time, kind and actor stay.
//	  ▼
//	the account goes, with sessions and links; an event without the name says so
package erasure
