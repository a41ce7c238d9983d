// Command conformance shows whether a server speaks SCIM 2.0 as the RFCs and the identity
// providers' own test suites require.
//
//	rollcall site create, token create ─┐ one site for each suite,
//	                                    │ tolerant or strict, empty at first
//	rollcall serve ◄── HTTP ── vectors ─┤ our filters and patches, scim/testdata
//	               ◄── HTTP ── okta ────┤ Okta's SPEC test: its file, run by this command
//	               ◄── newman ──────────┤ Microsoft's Postman collection
//	               ◄── scim2, scim-sanity, in their own Python environment
//	                        │
//	                        └─► checks ─► known failure? (explained.go) ─► one table
//
// A suite is a group of checks that has its own site. A vector is one of our own tests, with its
// data in scim/testdata. A collection is a file of tests that another project publishes. A strict
// site refuses everything that the RFCs do not allow; a tolerant site accepts known deviations of
// clients.
//
// A check passes, fails, or was not run for a reason that the table names. If the machine lacks a
// collection, Python or npm, the checks that need it never count as passed. Some checks expect more
// than the RFC requires. They fail, and explained.go has the reason for each of them. So the table
// tells new failures from known ones.
//
// The command uses the product only from outside, through its binary and HTTP. It reads other
// projects' collections from a folder; they are not part of this module.
package main
