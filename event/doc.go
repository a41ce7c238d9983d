// Package event knows what changed: one row for each change, written in the
// change's own transaction and read back in commit order. The audit trail, the
// feed by cursor and a directory's watermark all read it.
//
//	a domain's change ── one transaction ──► data rows + event row
//	                                              │
//	     Read(scope, after)   Recent(scope, subject, before)   Last(scope)
//
// A [Position] is a place in that order. Whoever has seen everything up to a
// position and asks for what is after it misses nothing and sees nothing
// twice, on both databases.
//
// It leaves to others who reads the feed and how events travel on from here.
package event
