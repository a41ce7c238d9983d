// Package provision keeps an application's accounts in step with a directory. It contains the
// provisioning engine, its jobs, and the records that the engine keeps of each job.
//
// A job belongs to one enterprise application of one directory. Administrators change it through
// [Jobs]. [Engine.Advance] works on it, one bounded slice at a time. The engine holds a lease on
// the job, and each write to the store checks the lease's epoch, so a process that lost the lease
// cannot write:
//
//	       Source.Snapshot / Source.Changes
//	                    │  object ids, saved with the watermark that covers them
//	                    ▼
//	      work list, by lane ◄──── escrow (retries), daily look at people without an account
//	                    │
//	import ─► scoping ─► matching ─► processing ─► referenceResolution    (evaluate.go)
//	                    │                         Target.Find, Target.Get only
//	                    ▼
//	                 decision: skip, create, patch, remove, fail or later  (decision.go)
//	                    │
//	                    ▼
//	     intent: each write to the target is stored before it is sent        (pipeline.go)
//	                    │
//	                 export                       Target.Create, Patch, Delete
//	                    │
//	                 settle: turns the decision and its result into an Outcome
//	                    ▼
//	     record: stores links, escrow, log entries and the end of the work, many in one transaction
//
// A plan shows the decisions that a cycle would carry out. It runs the same code, but without the
// intent, export and record steps.
//
// Groups take the same steps as people, but in a pass of their own (group.go). Memberships are
// separate work: the engine compares the ledger of memberships with the directory and sends the
// difference (membership.go).
//
// A slice is a pipeline: import, workers and the recorder run at the same time. A change that
// arrives in the meantime goes to its lane of the work list. Leavers have the first lane, so they
// are next. Each kind of request has its own pace: if a target throttles creates, only creates
// pause.
//
// A process may die at any point. The next process sends updates again, which is harmless. If the
// outcome of a create is unknown, the engine first reads the target to find out. It never sends the
// create again without that read.
//
// Other packages implement sources and targets, store the state and wake the jobs.
package provision
