// Package retention decides how long the entries of logs, and expired records such as old sessions,
// are kept. It removes older entries; this is called pruning. A Kind is a group of entries that are
// kept for the same time.
//
//	Policy  for how many days each kind is kept, in the whole installation
//	Pruner  prunes one kind after the other, once an hour or on request;
//	        Store.Prune removes a few rows at a time, so that others can write
//
// Events have one more rule: an event is not removed before every running provisioning job has read
// it. Paused jobs do not count. When a paused job resumes and events that it has not read are gone,
// it starts with an initial cycle.
package retention
