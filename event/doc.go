// Package event records what changed: one row for each change, written in the same transaction as
// the change, and read back in commit order. The audit trail on pages, the feed of events for
// programs, and provisioning jobs all read these rows. A scope is a site, a directory or the
// installation; each scope has its own feed.
//
//	a domain's change ── one transaction ──► data rows + event row
//	                                              │
//	     Read(scope, after)   Recent(scope, subject, before)   Last(scope)
//
// A [Position] is a place in commit order. If a reader has read all events up to a position and
// asks for the events after it, it misses no event and gets no event twice. This holds on SQLite
// and on PostgreSQL.
package event
