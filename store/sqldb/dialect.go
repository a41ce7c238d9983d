package sqldb

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"
)

// PostgreSQL's error codes, from appendix A of its manual.
const (
	pgUniqueViolation      = "23505"
	pgSerializationFailure = "40001"
	pgDeadlock             = "40P01"
)

// ForUpdate returns the clause to append to a select whose rows the transaction is going to change.
// On SQLite, which has one writer, the clause is empty.
func (tx *Tx) ForUpdate() string {
	if tx.db.kind == PostgreSQL {
		return "\nfor update"
	}
	return ""
}

// ForNoKeyUpdate is like ForUpdate, but does not block inserts of rows that refer to the selected
// rows.
func (tx *Tx) ForNoKeyUpdate() string {
	if tx.db.kind == PostgreSQL {
		return "\nfor no key update"
	}
	return ""
}

// ForShare returns the clause to append to a select whose rows must not change until the
// transaction ends.
func (tx *Tx) ForShare() string {
	if tx.db.kind == PostgreSQL {
		return "\nfor share"
	}
	return ""
}

// ForKeyShare returns the clause to append to a select whose rows must not be deleted until the
// transaction ends.
func (tx *Tx) ForKeyShare() string {
	if tx.db.kind == PostgreSQL {
		return "\nfor key share"
	}
	return ""
}

// ErrOverlapped is the error for a transaction on PostgreSQL that has seen the changes of a
// transaction with a higher transaction number. Without this error, rows that are sorted by these
// numbers would be in the wrong order. Update runs the transaction again.
var ErrOverlapped = errors.New("a transaction that began later has changed the same")

// WrittenLater returns an SQL condition on a row of a table. The condition is true if the
// transaction that wrote the row has a higher number than this transaction. It is false if this
// transaction has no number yet, because it will then get a higher number than all others.
// Transaction numbers start again after 2^32. So a number counts as higher if it is less than 2^31
// ahead. On SQLite the condition is always false.
func (tx *Tx) WrittenLater(table string) string {
	if tx.db.kind == PostgreSQL {
		return "coalesce(((" + table + ".xmin::text::bigint - pg_current_xact_id_if_assigned()::text::bigint) & 4294967295) between 1 and 2147483647, false)"
	}
	return "false"
}

// PlanForValues makes PostgreSQL plan each further statement of the transaction for the actual
// values of its parameters. One plan cannot be good for all values if many rows match one value and
// few match another.
func (tx *Tx) PlanForValues(ctx context.Context) error {
	if tx.db.kind != PostgreSQL {
		return nil
	}
	for _, setting := range []string{
		"set local plan_cache_mode = force_custom_plan",
		"set local enable_seqscan to default",
		"set local max_parallel_workers_per_gather to default",
	} {
		if err := tx.Send(ctx, setting); err != nil {
			return err
		}
	}
	return nil
}

// DeleteSome returns a statement that deletes some of the rows for which a condition is true. limit
// is the placeholder, such as "$3", of the largest number of rows to delete.
func (tx *Tx) DeleteSome(table, condition, limit string) string {
	address, in := "rowid", "rowid in (%s)"
	if tx.db.kind == PostgreSQL {
		address, in = "ctid", "ctid = any(array(%s))"
	}
	return fmt.Sprintf("delete from "+table+" where "+in, "select "+address+" from "+table+" where "+condition+" limit "+limit)
}

// PrimaryKeys returns a query for the columns of all primary keys, in the order of the keys. Each
// row has the table, the name and the type of a column.
func (tx *Tx) PrimaryKeys() string {
	if tx.db.kind == PostgreSQL {
		return `
			select c.relname::text, a.attname::text, format_type(a.atttypid, null)
			from pg_index i
			join pg_class c on c.oid = i.indrelid
			cross join lateral unnest(i.indkey::int2[]) with ordinality k (number, place)
			join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
			where i.indisprimary and c.relnamespace = current_schema()::regnamespace
			order by c.relname, k.place`
	}
	return `
		select m.name, p.name, lower(p.type)
		from sqlite_master m, pragma_table_info(m.name) p
		where m.type = 'table' and p.pk > 0
		order by m.name, p.pk`
}

// TextColumns returns a query for all text columns. Each row has the table and the name of a
// column.
func (tx *Tx) TextColumns() string {
	if tx.db.kind == PostgreSQL {
		return `
			select table_name::text, column_name::text
			from information_schema.columns
			where table_schema = current_schema() and data_type = 'text'
			order by table_name, ordinal_position`
	}
	return `
		select m.name, p.name
		from sqlite_master m, pragma_table_info(m.name) p
		where m.type = 'table' and lower(p.type) = 'text'
		order by m.name, p.cid`
}

// OverwriteDeleted sets whether SQLite overwrites deleted rows with zeros even in pages that become
// free. If on is false, SQLite only marks such pages as free.
func (tx *Tx) OverwriteDeleted(ctx context.Context, on bool) error {
	if tx.db.kind != SQLite {
		return nil
	}
	mode := "fast"
	if on {
		mode = "on"
	}
	var now int
	return tx.QueryRow(ctx, "pragma secure_delete("+mode+")").Scan(&now)
}

// textColumnPattern matches the declaration of a column of the type text, in a create table or alter
// table statement that has one column on each line.
var textColumnPattern = regexp.MustCompile(`(?mi)^(\s*(?:alter table \w+\s+)?(?:add column )?\w+\s+text)\b`)

// postgresMigration changes the text of a migration for PostgreSQL: in text columns, it makes
// comparisons use code points, as SQLite and Go do, and not the rules of the database's language.
func postgresMigration(text []byte) []byte {
	return textColumnPattern.ReplaceAll(text, []byte(`${1} collate "C"`))
}

// UniqueViolation reports whether err means that another row has a value that must be unique.
// columns names the table and columns of the value, such as "resource(site, user_name)", in the
// same form on both databases.
func UniqueViolation(err error) (columns string, taken bool) {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == pgUniqueViolation {
		return e.TableName + "(" + postgresColumns(e.Detail) + ")", true
	}
	e, ok := errors.AsType[*sqliteError](err)
	if !ok || !hasCode(e, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY) {
		return "", false
	}
	return sqliteColumns(e.text), true
}

// postgresColumns returns the columns from "Key (site, user_name)=(…) already exists.". It does not
// depend on the words of the message, which are in the server's language.
func postgresColumns(detail string) string {
	_, rest, _ := strings.Cut(detail, "(")
	columns, _, _ := strings.Cut(rest, ")=(")
	return columns
}

// sqliteColumns returns the columns from "… UNIQUE constraint failed: resource.site,
// resource.user_name (2067)".
func sqliteColumns(message string) string {
	_, list, _ := strings.Cut(message, "UNIQUE constraint failed: ")
	list, _, _ = strings.Cut(list, " (")
	var table string
	columns := strings.Split(list, ", ")
	for i, name := range columns {
		if t, column, found := strings.Cut(name, "."); found {
			table, columns[i] = t, column
		}
	}
	return table + "(" + strings.Join(columns, ", ") + ")"
}

// isConflict reports whether PostgreSQL ended the transaction because it conflicted with another
// transaction. The transaction may succeed when it runs again.
func isConflict(err error) bool {
	if errors.Is(err, ErrOverlapped) {
		return true
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == pgSerializationFailure || e.Code == pgDeadlock)
}

// isBusy reports whether another process holds the lock of a SQLite file.
func isBusy(err error) bool { return hasCode(err, sqlite3.SQLITE_BUSY) }
