// Package runner runs long work in short slices. The work for each key belongs to one process at a
// time, which holds a lease. A key that is due gets a slice of limited length, and is due again
// later if work is left.
//
//	SQLite      look (each second, when woken, after each slice) ─► Due ─► slice
//	PostgreSQL  look ─► Due ─► one River job for each key ─► slice, in any process
//
//	slice: Claim ─► Advance(key, epoch) ─► Release(next)
//	                 └─ Renew, while it runs
//
// The epoch of the lease protects the data: a slice whose lease was taken over can no longer write
// anything. If a process is killed, its keys become due again when their leases expire. On SQLite a
// process has the same owner name after a restart, so it takes its leases back at once.
//
// River distributes slices across processes on PostgreSQL, and has no other purpose here. River has
// one unique job for each key and epoch, however much work the key has. The job of a killed process
// stays "running" until River rescues it. Because its identity includes the epoch, that job does
// not keep other processes from working on the key.
//
// Callers decide what a slice does and when a key is due.
package runner
