// Package binary builds, starts and stops the real rollcall binary, for tests and for programs that
// measure it.
//
//	Build ─► the path of the binary
//	Start ─► a Process: its log, its address, Stop and Kill
//
//	New ──► an Installation: a folder with a key and a SQLite file, or a PostgreSQL server
//	 ├── CreateSite ─► rollcall site create, rollcall token create
//	 ├── Serve ─► rollcall serve, and waits until /readyz is 200
//	 ├── Send ──► one SCIM request
//	 └── Close ─► ends both servers, removes the folder
package binary
