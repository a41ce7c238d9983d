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
//
// The methods that implement an interface of a domain, such as directory.Tx, are described there.
// Some words mean the same in the whole package:
//
//   - A job sends the changes of a directory, which is its source, to one application, which is its
//     target. A link connects an object of the directory with its account in the application. An
//     object on the work list waits until the job works on it. Its lane says how urgent it is. Its
//     turn is a number that is increased when the object must be worked on again. An object that
//     failed waits in the retry queue, whose table is called job_escrow.
//   - The guard holds operations that would take access away from many people at once. The cause of
//     an operation is the import or change of settings that led to it. The verdict tells whether an
//     object on the work list may be worked on, or why not: the operations of its cause are still
//     being counted, or are on hold until an administrator decides, or were rejected.
//   - A membership is a group together with one of its members. A job remembers the memberships that
//     it has sent or must send. A membership is unsure if the outcome of its last request is unknown.
//   - A plan is a list of operations that an administrator approves before they are sent. A discovery
//     lists all accounts of an application and looks for the user of each.
//   - A lease gives one process the right to work, for instance on a job. The epoch is the number of
//     the claim of that lease; a process with an older epoch may no longer write. A provision.Fence
//     names the job and the epoch.
//   - Folded text is text in the form in which it is compared without regard to case.
//   - A log is pruned when its old entries are removed. A slice is the part of a long task that one
//     transaction does. A sqldb.Lane has nothing to do with the lanes of the work list: it is
//     the access of one site to a busy database.
//   - A declared attribute is one that the administrator of a site has made searchable. Its values
//     have rows of their own, which are called value rows.
package store
