// Command interop provisions one directory into servers that other projects wrote. Then it compares
// the servers' users and groups with the values that the mappings give.
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
//	compare: pages of /Users and /Groups against the company; the log must name each difference
//
// On each day of the month, the command plays some steps and then provisions each application once.
// It approves everything that is on hold, as an administrator would. At the end it provisions each
// application again. This last run must send nothing but the search that begins a cycle.
//
// Everything listens on this machine only. Installed software goes into a temporary folder.
package main
