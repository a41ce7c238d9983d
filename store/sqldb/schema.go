package sqldb

import (
	"context"
	"io/fs"
)

// Schema is what the engine has to know about the tables of a database. The zero Schema is a
// database without tables of its own.
type Schema struct {
	// Migrations are SQL files for goose, "0001_name.sql" and so on. A migration that differs
	// between the databases has two files: "0012_name.sqlite.sql" and "0012_name.postgres.sql".
	Migrations fs.FS

	// Migrated runs at the end of each Migrate, for what the content of the tables needs. Nil:
	// nothing.
	Migrated func(ctx context.Context, db *DB) error

	// Tables are tables that every database of this schema has. Restore refuses a file without
	// them.
	Tables []string

	// Newest is a query for the time of the newest change in microseconds, 0 for none. It is
	// reported for a copy. "": not reported.
	Newest string

	// Touch writes to the database, in a way that is never a change to nothing. Ready asks it
	// whether the database takes writes. Nil: Ready only asks whether it answers.
	Touch func(ctx context.Context, tx *Tx) error
}
