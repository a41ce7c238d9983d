// Package store holds the SQL behind every Store interface. The same SQL runs on SQLite and on
// PostgreSQL. Package sqldb, below it, opens the database and runs the transactions.
//
// Each domain has a file and a type (Sites, Rosters, Directories, …). Such a type holds nothing but
// the DB, and its methods open and end their own transactions. Functions that they call inside a
// transaction, such as appendEvent and checkLease, take a *sqldb.Tx. Helpers that several domains
// use are in sql.go.
//
// The doc of package sqldb has the rules for functions that run in a transaction. Times are stored
// as bigint microseconds UTC; 0 means never.
//
// The package decides no rules: those belong to the domains. The domains never import this package.
package store
