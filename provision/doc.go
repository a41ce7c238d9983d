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
//
// # Words
//
// The comments and names of this package use these words.
//
// The source is the directory that a job reads. An object is a user or a group of the source; most
// comments call a user a person. The target is the application, and an account is an object of the
// target. A person is in scope if the person is assigned to the application, or needs no
// assignment, and passes the scoping filters. A person is entitled if the person is in scope and
// enabled in the source. A leaver is a person whose account should be disabled or deleted; both are
// called closing it.
//
// A slice is one call of Advance. A cycle consists of many slices: an initial cycle looks at every
// object, and an incremental cycle only at objects that have changed. The watermark is the position
// in the source's changes up to which everything is imported. A cursor is a position, too, either
// there or in a list. A fence is a job's key with the epoch of its lease. A memo is what a process
// remembers about a job from one slice to the next.
//
// The work list holds one row for each object that the engine has to look at. Its lanes put urgent
// objects first. The turn of a row counts how many times its object was put on the list. A Pending
// is an object that the engine looks at, with all that the job has stored about it. The feed is the
// part of a slice that gives rows to the workers; an object is in hand while a worker works on it.
// A pass evaluates either people or groups, with one mapping, and a work is the data of one object
// during its steps. A postponed object stays on the list and waits.
//
// A mapping says which attributes the job sends; each of its rows is for one attribute of the
// target. Matching finds an object's account by a matching value, such as the user name. A link
// stores the pair of an object and its account. Its ledger holds the values that the job sent and
// those that the target returned. A link is lost if the target no longer has the account, and gone
// if a second search did not find it either. A held account is one that the target keeps blocked
// although the person should have access. A drawn value is a random or unique value that was
// generated for one account. A claim on an account or a value prevents two objects from using it
// at the same time.
//
// An intent is a create that is stored before it is sent; its type is Op. An outcome is what is
// stored after the work on one object. The recorder stores many outcomes in one transaction. The
// escrow is the retry queue of objects that failed.
//
// A cause is an import, or a cycle that looked at everyone. The guard holds the operations of a
// cause if they would close too many accounts or remove too many members. Its decision about a row
// of the work list is the verdict. An operation on hold waits until an administrator approves or
// rejects it.
//
// A job in quarantine sends only tests, because its connection does not work or because the target
// refuses every write. The breaker notices such refusals. During a trial, which follows, only one
// write at a time is sent.
//
// A dialect holds the deviations from Entra's requests that a target was found to need. The pacer
// delays requests, so that the target is not overloaded.
//
// A plan is known by a hash of what it contains, and its forecast is what the guard would say about
// it. An undo plans to bring back the values from before a cycle, a plan or a change. Drift is a
// difference that somebody made at the target: to re-assert is to send the job's value again, and
// to adopt is to keep the target's value. A discovery lists all accounts of the target and sorts
// them into classes, such as accounts that no user has.
package provision
