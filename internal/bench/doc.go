// Command bench knows how to measure Rollcall on one machine, side by side in
// one run: what counts are ratios of that run, not its figures.
//
//	parent ── load over loopback ──► rollcall serve          the product
//	   │                          ├► bench -child empty      an empty net/http handler
//	   │                          ├► bench -child serve      the same server code, one commit per request
//	   │                          └► bench -child store      the bare store, no HTTP
//	   └─ /proc/PID/stat and status: processor time and peak memory of each
//
// Contenders take turns (A B C, A B C, …) so that whatever else the machine
// does meets all of them alike; a figure is the median over the rounds with
// the least and the greatest beside it, and a ratio is made within each round
// before its median is taken.
//
// It judges nothing: no test and no exit code depends on a time. It needs
// Linux, whose /proc tells one process's processor time from another's.
package main
