// Package runner runs long work in short slices. A key names one piece of work, such as the id of a
// provisioning job. A slice is one call of Runner.Advance, which works on one key for a limited
// time. If work is left, the key is due again later. Only one process at a time works on a key.
// This process holds the lease of the key. The epoch of a key is a number that grows whenever a
// process takes the lease.
//
//	SQLite      each second, when woken, and after each slice: find due keys ─► slices
//	PostgreSQL  the same ─► one River job for each due key ─► slices, in any process
//
//	slice: Claim ─► Advance(key, epoch) ─► Release(next)
//	                 └─ Renew, while it runs
//
// The epoch protects the data: after another process has taken the lease over, a slice with the old
// epoch can no longer write anything. If a process is killed, its keys become due again when their
// leases expire. On SQLite a process has the same owner name after a restart, so it takes its
// leases back at once.
//
// River distributes slices across processes on PostgreSQL, and has no other purpose here. River has
// one unique job for each key and epoch, however much work the key has. The job of a killed process
// stays "running" until River rescues it. Because its identity includes the epoch, that job does
// not keep other processes from working on the key.
//
// Callers decide what a slice does and when a key is due.
package runner
