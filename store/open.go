package store

import (
	"context"
	"embed"
	"io/fs"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// migrations contains the SQL files that create and change the tables.
//
//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open database of Rollcall.
type DB = sqldb.DB

// Options are optional settings of a DB. The zero value works.
type Options = sqldb.Options

// Open opens the database at url, as [sqldb.Open] does. It runs no migrations.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	return sqldb.Open(ctx, url, schema(), o)
}

// Restore replaces the SQLite database at path with a copy, as [sqldb.Schema.Restore] does.
func Restore(ctx context.Context, path, from, stamp string, prepare func(file string, c sqldb.Copy) error) (sqldb.Restored, error) {
	return schema().Restore(ctx, path, from, stamp, prepare)
}

// schema returns the description of the tables that package sqldb needs.
func schema() sqldb.Schema {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // cannot happen: the folder of migrations is embedded
	}
	return sqldb.Schema{
		Migrations: files,
		Migrated:   settleEvents,
		Tables:     []string{"event", "site"},
		Newest:     "select coalesce(max(time), 0) from event",
		Cached:     []string{"site", "token"},
		Touch:      touchLease,
	}
}

// touchLease writes a row to the lease table, to prove that the database accepts writes. No process
// claims that lease. The value must change, because SQLite writes nothing when it stays the same.
func touchLease(ctx context.Context, tx *sqldb.Tx) error {
	_, err := tx.Exec(ctx, `
		insert into lease (kind, key, owner, epoch, until, next_at)
		values ('ready', '', '', 0, 0, $1)
		on conflict (kind, key) do update
		set epoch = lease.epoch + 1`, never)
	return err
}
