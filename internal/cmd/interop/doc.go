// Command interop has two parts. It provisions one directory into servers that other projects
// wrote, and compares the servers' users and groups with the values that the mappings give. And it
// signs people in at Rollcall sites, through identity providers that other projects wrote.
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
// A target is a server into which the command provisions. A recorder is a proxy that counts the
// requests to a target. A step is one change of the company, such as a hire or a new group. A month
// is the sequence of all steps, split into days. On each day, the command plays (carries out) some
// steps and then provisions each application once. It approves everything that is on hold, as an
// administrator would. At the end it provisions each application again. This last run must send
// nothing but the search that begins a cycle.
//
// The other part, which -only sign-in runs alone:
//
//	browser (cookies, redirects, forms) ──► a Rollcall site ◄──► SimpleSAMLphp (Debian), servers/simplesamlphp.txtar
//	                                    ──► a Rollcall site ◄──► samlp (npm), servers/samlp.cjs
//	                                    ──► a Rollcall site ◄──► oidc-provider (npm), servers/oidc-provider.mjs
//
// Everything listens on this machine only. Installed software goes into a temporary folder, except
// PHP, which apt-get installs.
package main
