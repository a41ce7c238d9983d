// Command interop provisions one directory into servers that other projects wrote, and compares what
// they hold at the end with what the mappings say.
//
//	company (the expectation) ──┐ seeded steps: each changes the company
//	                            ├─ and, by a command of the real binary, the directory
//	                            ▼
//	rollcall directory …, app …, provision run ──► recorder ──► a Rollcall site
//	                                          ──► recorder ──► SCIMMY (npm)
//	                                          ──► recorder ──► scim2-server (PyPI)
//	                                          ──► recorder ──► elimity-com/scim (Go module), servers/elimity.txtar
//	                            │
//	                            ▼
//	compare: pages of /Users and /Groups against the company; what differs must be in the log
//
// Each day of the month some steps come, and then each application is provisioned once. Everything
// that is on hold is approved, as an administrator would. At the end each application is run again,
// and must send nothing but the search that begins a cycle.
//
// Everything listens on this machine only. Installed software goes into a temporary folder.
package main
