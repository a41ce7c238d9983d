// Package storetest gives each test its own databases, on SQLite and on PostgreSQL.
//
//	Each(t, test) ──► test on SQLite (a file in t.TempDir)
//	             └──► test on PostgreSQL ──► a copy of a migrated template
//
// The PostgreSQL server comes from internal/pgtest.
package storetest
