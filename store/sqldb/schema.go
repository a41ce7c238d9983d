package sqldb

import (
	"context"
	"io/fs"
)

// Schema describes the tables of a database, as far as the engine must know them. The zero Schema
// describes a database without tables.
type Schema struct {
	// Migrations are SQL files for goose, "0001_name.sql" and so on. A migration that differs
	// between the databases has two files: "0012_name.sqlite.sql" and "0012_name.postgres.sql".
	Migrations fs.FS

	// Migrated is called at the end of each Migrate. It may change rows so that they fit the new
	// tables. It may be nil.
	Migrated func(ctx context.Context, db *DB) error

	// Tables are tables that every database of this schema has. Restore refuses a file without
	// them.
	Tables []string

	// Newest is a query for the time of the newest change, in microseconds, or 0 if there is none.
	// Backup and Restore report that time for a copy. Newest may be empty.
	Newest string

	// Cached are the tables that queries of ReadCached read. Neither a trigger nor a foreign key may
	// change them because of a change of another table. If there are none, each commit ends all
	// cached values.
	Cached []string

	// Touch makes a small change that always writes something. DB.Ready calls it to find out
	// whether the database accepts writes. If it is nil, Ready only asks whether the database
	// answers.
	Touch func(ctx context.Context, tx *Tx) error
}
