// Package storetest knows how to give a test a fresh database of each kind.
//
//	Each(t, test) ──► test on SQLite (a file in t.TempDir)
//	             └──► test on PostgreSQL ──► a database of its own, copied from
//	                                         a migrated template
//
// PostgreSQL is started when the first test asks for it, once for each test
// process, from the binaries Debian installs, as an unprivileged user, on a
// socket in a temporary folder. It stops when the test process ends, in
// whatever way that happens; [Main] waits for it. Where the binaries are
// missing those tests are skipped, or fail when ROLLCALL_TEST_ALL=1.
//
// The server sorts text by the rules of a language, as production servers do,
// so that a query which relies on the order of bytes is found out.
//
// It leaves what the databases must do to the tests.
package storetest
