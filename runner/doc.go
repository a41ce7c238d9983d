// Package runner keeps leased work advancing. Each key that is due gets one limited slice of work
// after another, in one process at a time.
//
//	SQLite      look (each second, when woken, after each slice) ─► Due ─► slice
//	PostgreSQL  look ─► Due ─► one River job for each key ─► slice, in any process
//
//	slice: Claim ─► Advance(key, epoch) ─► Release(next)
//	                 └─ Renew, while it runs
//
// The epoch of the lease protects the work, not the runner: a slice whose lease was taken over can
// no longer write anything. If a process is killed, its keys are due again when their leases
// expire. On SQLite a process has the same owner name after a restart, so it takes its leases back
// at once.
//
// River distributes slices across processes on PostgreSQL, and is used for nothing else. There is
// one unique job for each key and epoch, and never one for each piece of work. The job of a killed
// process stays "running" until River rescues it. Because its identity includes the epoch, that job
// does not keep other processes from working on the key.
//
// Callers decide what a slice does and when a key is due.
package runner
