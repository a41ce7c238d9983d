// Package store knows the SQL behind every Store interface, on SQLite and on
// PostgreSQL from one text.
//
//	Open ──► DB ── update(fn) ──► one write transaction, on disk when it returns
//	            ├─ view(fn) ────► one read snapshot
//	            └─ read(fn) ────► one query alone, by an index: no transaction to begin and end
//	                 fn(tx) ──► tx.Exec · tx.send · tx.Query · tx.QueryRow · tx.appendEvent · tx.checkLease
//
// Each domain has a file and a type (Sites, Rosters, Directories, …) whose
// methods own their transaction; what those call takes the *Tx. Such a type
// holds nothing but the DB.
//
// Rules for the functions given to update, view and read:
//
//   - they may run more than once, so they have no effects but through tx,
//     and set results they return from scratch on each run;
//   - they never call update, view or read again: on SQLite there is one writer, and
//     it is the one that is running them;
//   - rows are closed before the next statement of the same transaction;
//   - after a statement has failed the transaction is over: the error is
//     returned, or update returns it itself. What may conflict is asked first,
//     or written as "on conflict do nothing". [sql.ErrNoRows] is an answer, not
//     a failure.
//
// SQL is lower case with $1 placeholders and the types text, boolean and
// bigint; time is bigint microseconds UTC, 0 for never. What differs between
// the databases is in dialect.go. Text columns compare by code point on both
// databases, whatever the PostgreSQL database's own collation.
//
// It leaves rules to the domains, which never import it.
package store
