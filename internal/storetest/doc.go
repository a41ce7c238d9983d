// Package storetest knows how to give a test a fresh database of each kind.
//
//	Each(t, test) ──► test on SQLite (a file in t.TempDir)
//	             └──► test on PostgreSQL ──► a database of its own, copied from
//	                                         a migrated template
//
// The server comes from internal/pgtest.
//
// It leaves what the databases must do to the tests.
package storetest
