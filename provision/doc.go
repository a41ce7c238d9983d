// Package provision keeps an application's accounts in step with a directory. It contains the
// provisioning engine, its jobs, and the records that the engine keeps of each job.
//
// A job belongs to one enterprise application of one directory. People change it through [Jobs].
// [Engine.Advance] works on it, one bounded slice at a time. It works under a lease, and the
// lease's epoch fences every write:
//
//	       Source.Snapshot / Source.Changes
//	                    │  object ids, saved with the watermark that covers them
//	                    ▼
//	      work list, by lane ◄──── escrow (retries), daily look at the unmatched
//	                    │
//	import ─► scoping ─► matching ─► processing ─► referenceResolution    (evaluate.go)
//	                    │                         Target.Find, Target.Get only
//	                    ▼
//	                 decision: skip, create, patch, remove, fail or later  (decision.go)
//	                    │
//	                    ▼
//	     intent: creates and updates are written down before they are sent   (pipeline.go)
//	                    │
//	                 export                       Target.Create, Patch, Delete
//	                    │
//	                 settle: what the decision and its result leave to record
//	                    ▼
//	     record: links, escrow, log entries and the end of the work, those of many in one transaction
//
// A plan shows the decisions that a cycle would carry out. It runs the same code without intent,
// export and record.
//
// Groups take the same steps as people, with a pass of their own (group.go). Who is a member is work
// of its own: the ledger of memberships is compared with the directory, and the difference is sent
// (membership.go).
//
// A slice is a pipeline: import, workers and the recorder run beside each other. A change that
// arrives meanwhile goes to its lane of the work list, so a leaver is next. Each kind of request has
// a pace of its own: if a target throttles creates, only creates pause.
//
// A process may die at any point. Updates are sent again, which is harmless. If the outcome of a
// create is unknown, the engine finds out by reading the target. It never just sends the create
// again.
//
// Other packages implement sources and targets, store the state and wake the jobs.
package provision
