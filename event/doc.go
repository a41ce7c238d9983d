// Package event records what changed: one row for each change, written in the same transaction as
// the change, and read back in commit order. The audit trail, the feed and a directory's watermark
// all read these rows.
//
//	a domain's change ── one transaction ──► data rows + event row
//	                                              │
//	     Read(scope, after)   Recent(scope, subject, before)   Last(scope)
//
// A [Position] is a place in that order. A reader that has read everything up to a position, and
// asks for what comes after it, misses nothing and gets nothing twice, on both databases.
package event
