// Command bench measures Rollcall on one machine, side by side in one run. The ratios of that run
// matter, not its absolute figures.
//
//	parent ── load over loopback ──► rollcall serve ──► SQLite file, or a PostgreSQL server of its own
//	   │                          ├► bench -child empty      an empty net/http handler
//	   │                          ├► bench -child serve      the same server code, one commit per request
//	   │                          └► bench -child store      the bare store, no HTTP
//	   └─ /proc/PID/stat and status: processor time and peak memory of each
//
// On each kind of database, a site of each size is filled once. Then each part (read, list, group,
// write and others) starts a server for every site, adds its rows and the rows to compare them with, and
// measures all of them. If a row or a part fails, the report has the reason in its place. At the
// time limit, the run skips the remaining parts. It always writes the report.
//
// The part load sends reads and writes at rising fixed rates, and finds the highest rate at which
// answers still come in time.
//
// The part signin measures how soon a site answers sign-ins by SAML and SCIM requests that come at
// the same time, each at a fixed rate.
//
// Contenders take turns (A B C, A B C, …), so that other load on the machine affects all of them
// equally. A figure is the median over the rounds, followed by the smallest and the largest value.
// Ratios are computed within each round before their median is taken.
//
// The words of this command:
//
//	row, contender  a server under one kind of load; a contender is a row of the report
//	round, sample   one measurement of a contender, and its result
//	claim           a statement about a row, such as the ratio of its rate to that of another row
//	aim             the limit that the project has set for a measured value
//	section         the results of one part on one kind of database
//	population      a site that is filled with users and groups
//	rival           the server of another project, which is measured beside Rollcall
//	end             one side of provisioning: the site, or the directory
//	engine          the provisioning engine, which runs in the directory's server
//	child           this program, started again in another process
//
// The report shows the project's aims beside the ratios, and whether they hold. No test and no exit
// code depends on a time. The command needs Linux, because it reads each process's processor time
// from /proc.
package main
