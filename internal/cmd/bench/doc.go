// Command bench knows how to measure Rollcall on one machine, side by side in
// one run: what counts are ratios of that run, not its figures.
//
//	parent ── load over loopback ──► rollcall serve ──► SQLite file, or a PostgreSQL server of its own
//	   │                          ├► bench -child empty      an empty net/http handler
//	   │                          ├► bench -child serve      the same server code, one commit per request
//	   │                          └► bench -child store      the bare store, no HTTP
//	   └─ /proc/PID/stat and status: processor time and peak memory of each
//
// On each kind of database a site of each size is filled once; then each part
// (read, list, group, write) starts a server for every site, lays down its rows
// with what they are compared to, and measures them. What goes wrong costs its
// row, its part or, at the time limit, what is left; the report always comes,
// and says in the rows that lack figures why they do.
//
// Contenders take turns (A B C, A B C, …) so that whatever else the machine
// does meets all of them alike; a figure is the median over the rounds with
// the least and the greatest beside it, and a ratio is made within each round
// before its median is taken.
//
// It prints the aims of the project beside its ratios, and whether they hold;
// no test and no exit code depends on a time. It needs
// Linux, whose /proc tells one process's processor time from another's.
package main
