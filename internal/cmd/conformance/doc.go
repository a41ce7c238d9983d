// Command conformance knows how to show whether a server speaks SCIM 2.0 as the
// RFCs and the identity providers' own test suites ask for it.
//
//	rollcall site create, token create ─┐ one site for each suite, profile full,
//	                                    │ tolerant or strict, empty at first
//	rollcall serve ◄── HTTP ── vectors ─┤ our filters and patches, scim/testdata
//	               ◄── HTTP ── okta ────┤ Okta's SPEC test: our runner, their file
//	               ◄── newman ──────────┤ Microsoft's Postman collection
//	               ◄── scim2, scim-sanity, in a Python environment of their own
//	                        │
//	                        └─► checks ─► explained by name? ─► one table
//
// A check passes, fails, or was not run for a reason that the table names; what
// is missing on a machine (a collection, Python, npm) is never a pass. A check
// that asks for something else than the RFC does fails and is explained by name
// in explained.go, so that a new failure is told from a known one.
//
// It sees the product only from outside, through its binary and HTTP. The
// collections of others are read from a folder and are no part of this module.
package main
