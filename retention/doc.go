// Package retention decides how long logs and spent records are kept, and
// removes what is older.
//
//	Policy: how many days each kind is kept, for the whole installation
//	Pruner: once an hour, or when somebody asks, one kind after the other
//	        Store.Prune removes a few rows at a time, so that others can write
//
// Each kind has its own time. Events have one more rule: what a running
// provisioning job has not read yet stays. A job that is paused holds nothing
// back; when it finds that events are gone, it starts with an initial cycle.
package retention
