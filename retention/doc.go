// Package retention decides how long logs and used-up records are kept, and removes older ones.
//
//	Policy  for how many days each kind is kept, in the whole installation
//	Pruner  removes one kind after the other, once an hour or on request;
//	        Store.Prune removes a few rows at a time, so that others can write
//
// Each kind has its own time. Events have one more rule: an event that a running provisioning job
// has not read yet stays. A paused job does not keep events. When it resumes and finds that events
// it has not read are gone, it starts with an initial cycle.
package retention
