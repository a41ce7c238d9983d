// Package sqldb is the SQL engine below package store: it opens SQLite and PostgreSQL databases and
// runs transactions on them, with the same SQL for both. It does not know the tables of the
// domains; a [Schema] gives it the few facts that it needs about them.
//
//	Open ──► DB ── Update(fn) ──► one write transaction, on disk when it returns
//	            ├─ View(fn) ────► one read snapshot
//	            ├─ Read(fn) ────► one query that uses an index, without a transaction
//	            ├─ Lane(key) ───► Update, View and Read for one site; busy sites take turns
//	            └─ Slicer(end) ─► long work in short transactions with pauses
//	                 fn(tx) ──► tx.Exec · tx.Send · tx.Query · tx.QueryRow
//
// In this package, the key of a call is the id of the site for which it is made, or fair.System for
// everything else. The reader and the writer are connections to a SQLite file: there are several
// readers and one writer. The log, if it is not a Logger, is SQLite's write-ahead log, the file
// whose name ends with -wal. A checkpoint copies the log into the database file; when all of it is
// copied, SQLite can restart the log, which means that it writes the log from the beginning again.
//
// Rules for the functions given to Update, View and Read:
//
//   - They may run more than once. So they have no effects except through tx, and set the results
//     they return anew on each run.
//   - They never call Update, View or Read again, because SQLite has one writer, and that writer is
//     running them.
//   - They close rows before the next statement of the same transaction.
//   - After a statement has failed, the transaction is over. They return the error; if they do not,
//     Update returns it. If a conflict is expected, they query first or write "on conflict do
//     nothing". [sql.ErrNoRows] is an answer and not a failure.
//
// SQL is lower case with $1 placeholders and the types text, boolean and bigint. Differences
// between the databases are named functions in dialect.go. Text columns compare by code point on
// both databases, even if the PostgreSQL database has another collation.
package sqldb
