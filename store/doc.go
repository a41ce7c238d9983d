// Package store knows the SQL behind every Store interface, on SQLite and on PostgreSQL from one
// text. Package sqldb below it opens the database and runs the transactions.
//
// Each domain has a file and a type (Sites, Rosters, Directories, …) whose methods own their
// transaction. What those call takes the *sqldb.Tx, such as appendEvent and checkLease. Such a type
// holds nothing but the DB. Helpers that several domains use are in sql.go.
//
// The doc of package sqldb has the rules for functions that run in a transaction. A time is stored as
// bigint microseconds UTC, 0 for never.
//
// It leaves rules to the domains, which never import it.
package store
