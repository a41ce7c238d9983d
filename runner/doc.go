// Package runner knows how to keep leased work advancing: each key that is due
// gets one bounded slice of work after the other, in one process at a time.
//
//	SQLite      look (each second, when woken, after each slice) ─► Due ─► slice
//	PostgreSQL  look ─► Due ─► one River job for each key ─► slice, in any process
//
//	slice: Claim ─► Advance(key, epoch) ─► Release(next)
//	                 └─ Renew, as long as it runs
//
// What protects the work is the lease's epoch, not the runner: a slice that
// goes on after its lease was taken over can write nothing any more. A killed
// process's keys are due again when their leases expire; on SQLite, where an
// owner keeps its name, its own restart takes them back at once.
//
// River schedules slices across processes on PostgreSQL and is used nowhere
// else. There is one unique job for each key and epoch, never one for each
// piece of work: the job of a killed process stays "running" until River
// rescues it, and with the epoch in its identity it keeps nobody from working
// on the key meanwhile.
//
// It leaves to others what a slice does, and who decides that a key is due.
package runner
