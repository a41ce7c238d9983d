// Package provision knows how to keep an application's accounts in step with a
// directory: the provisioning engine, its jobs and what it writes down about
// each of them.
//
// A job belongs to one enterprise application of one directory. People change it
// through [Jobs]; [Engine.Advance] works on it, one bounded slice at a time, under
// a lease whose epoch fences every write:
//
//	       Source.Snapshot / Source.Changes
//	                    │  object ids, saved with the watermark that covers them
//	                    ▼
//	                 pending ◄──── escrow (retries), daily look at the unmatched
//	                    │
//	import ─► scoping ─► matching ─► processing ─► referenceResolution    (evaluate.go)
//	                    │                         Target.Find, Target.Get only
//	                    ▼
//	                 decision: skip, create, patch, remove, fail or later  (decision.go)
//	                    │
//	                    ▼
//	     intent: creates are written down as "sending" before they are sent
//	                    │
//	                 export                       Target.Create, Patch, Delete
//	                    │
//	                 settle: what the decision and its result leave to record
//	                    ▼
//	     record: links, escrow, log entries and the end of the work, in one transaction
//
// A plan shows the decisions that a cycle would carry out: it is the same code
// without intent, export and record.
//
// A change that arrives while a cycle runs goes before the rest of its work list,
// so a leaver does not wait for its end. A target that throttles creates pauses
// creates alone.
//
// A process may die at any point. Updates are sent again, which is harmless. A
// create whose outcome is unknown is resolved by reading the target, never by
// sending it again blindly.
//
// What a source or a target is made of, how state is stored and who wakes a job
// is left to others.
package provision
