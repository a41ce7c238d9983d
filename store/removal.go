package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// A site, a directory or an application is deleted in two steps. First, one transaction hides it
// and records a removal, so that no query finds it any more. Then a background task removes its
// rows in slices. The record of the removal survives a crash.

// removal is a deleted site, directory or application that still has rows.
type removal struct {
	kind        string // siteRemoval or directoryRemoval
	owner       string // the id of the site or directory
	application string // the id of the deleted application; empty if the whole site or directory was deleted
}

// The kinds of removal. A deleted application has the kind of its directory. Each kind is also the
// name of the table of owners, and of the column with the owner's id in other tables.
const (
	siteRemoval      = "site"
	directoryRemoval = "directory"
)

// hiddenName returns the name of a deleted site or directory. No user can choose or request such a
// name.
func hiddenName(id string) string { return "~" + id }

// noteRemoval schedules the removal of rows. The removal starts as soon as the transaction has
// committed.
func noteRemoval(ctx context.Context, tx *sqldb.Tx, r removal) error {
	if _, err := tx.Exec(ctx, `
		insert into removal (kind, owner, part, since)
		values ($1, $2, $3, $4)
		on conflict do nothing`, r.kind, r.owner, r.application, micros(tx.Now())); err != nil {
		return err
	}
	return wakeLease(ctx, tx, retention.RemovalLease, retention.LeaseKey)
}

// hideRow marks a site or directory as deleted and frees its name.
func hideRow(ctx context.Context, tx *sqldb.Tx, table, id string) error {
	_, err := tx.Exec(ctx, `
		update `+table+`
		set name = $2, deleted = $3
		where id = $1`, id, hiddenName(id), max(micros(tx.Now()), 1))
	return err
}

// Removals counts the deleted sites, directories and applications that still have rows.
func (s Retention) Removals(ctx context.Context) (n int, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from removal").Scan(&n)
	})
	return n, err
}

// Remove removes the rows of deleted sites, directories and applications until none is left or the
// time end has come.
func (s Retention) Remove(ctx context.Context, end time.Time) (removed int, done bool, err error) {
	var all []removal
	if err := s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, func(row scanner) (r removal, err error) {
			return r, row.Scan(&r.kind, &r.owner, &r.application)
		}, `
			select kind, owner, part
			from removal
			order by since, kind, owner, part`)
		return err
	}); err != nil {
		return 0, false, err
	}
	work := s.DB.Slicer(end)
	for _, r := range all {
		n, done, err := s.remove(ctx, work, r)
		removed += n
		if err != nil || !done {
			return removed, false, err
		}
	}
	return removed, true, nil
}

// remove deletes rows of a removal. done is false if rows are left when the time for this work is
// over.
func (s Retention) remove(ctx context.Context, work *sqldb.Slicer, r removal) (removed int, done bool, err error) {
	tables, err := s.tablesOf(ctx, r)
	if err != nil {
		return 0, false, err
	}
	for _, table := range tables {
		n, done, err := s.emptyTable(ctx, work, table)
		removed += n
		if err != nil || !done {
			return removed, false, err
		}
	}
	return removed, true, work.Write(ctx, func(tx *sqldb.Tx) error { return finishRemoval(ctx, tx, r) })
}

// finishRemoval removes the row of the owner itself after its other rows were removed. It also
// removes rows that a concurrent request has added in the meantime.
func finishRemoval(ctx context.Context, tx *sqldb.Tx, r removal) error {
	if err := tx.Send(ctx, `
		delete from removal
		where kind = $1 and owner = $2 and part = $3`, r.kind, r.owner, r.application); err != nil {
		return err
	}
	if r.application != "" {
		return forgetPruned(ctx, tx, retention.Owner(r.owner, r.application))
	}
	if err := forgetPruned(ctx, tx, r.owner); err != nil {
		return err
	}
	// The owner's table has the same name as the kind.
	_, err := tx.Exec(ctx, `
		delete from `+r.kind+`
		where id = $1 and deleted > 0`, r.owner)
	return err
}

// ownedTable is a table whose rows belong to a site, directory or application, called the owner.
// The table's primary key begins with the owner's ids.
type ownedTable struct {
	name  string
	where string      // SQL condition for the owner's rows, with the owner's ids as the first arguments
	ids   []any       // the owner's ids
	key   []keyColumn // the other columns of the primary key
}

// keyColumn is a column of a primary key.
type keyColumn struct {
	name     string
	isNumber bool // whether the column has integers; otherwise it has strings
}

// tableKeyColumn is a column of a primary key, with the name of its table.
type tableKeyColumn struct {
	table string
	keyColumn
}

// keyColumns lists the columns of all primary keys, in the order of each key.
func keyColumns(ctx context.Context, tx *sqldb.Tx) ([]tableKeyColumn, error) {
	return collect(ctx, tx, func(row scanner) (c tableKeyColumn, err error) {
		var kind string
		err = row.Scan(&c.table, &c.name, &kind)
		c.isNumber = strings.Contains(kind, "int")
		return c, err
	}, tx.PrimaryKeys())
}

// tablesOf returns the tables with rows of an owner. It reads the database's own catalog, so that
// it also finds tables that are added later.
func (s Retention) tablesOf(ctx context.Context, r removal) ([]ownedTable, error) {
	var columns []tableKeyColumn
	if err := s.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		columns, err = keyColumns(ctx, tx)
		return err
	}); err != nil {
		return nil, err
	}
	byTable := map[string][]keyColumn{}
	for _, c := range columns {
		byTable[c.table] = append(byTable[c.table], c.keyColumn)
	}
	var tables []ownedTable
	for name, key := range byTable {
		if key[0].name != r.kind {
			continue
		}
		t := ownedTable{name: name, where: r.kind + " = $1", ids: []any{r.owner}, key: key[1:]}
		if r.application != "" {
			// The second column of the key is the application; it is called "app" or "application".
			if len(key) < 2 || key[1].name != "app" && key[1].name != "application" {
				continue
			}
			t.where, t.ids, t.key = t.where+" and "+key[1].name+" = $2", append(t.ids, r.application), key[2:]
		}
		tables = append(tables, t)
	}
	slices.SortFunc(tables, func(a, b ownedTable) int { return strings.Compare(a.name, b.name) })
	return tables, nil
}

// emptyTable removes an owner's rows from one table, in the order of the key. A read transaction
// finds the end of each slice, so that the write transaction only deletes.
func (s Retention) emptyTable(ctx context.Context, work *sqldb.Slicer, t ownedTable) (removed int, done bool, err error) {
	var after []any // the key up to which rows have been removed
	for {
		if work.IsOver() {
			return removed, false, nil
		}
		condition, args := t.conditionAfter(after)
		var last []any
		if len(t.key) > 0 {
			if last, err = s.sliceEndKey(ctx, work, t, after); err != nil {
				return removed, false, err
			}
		}
		if last != nil {
			condition += " and (" + t.keyNames() + ") <= (" + placeholders(len(args)+1, len(t.key)) + ")"
			args = append(args, last...)
		}
		before := removed
		if err := work.Write(ctx, func(tx *sqldb.Tx) error {
			result, err := tx.Exec(ctx, "delete from "+t.name+" where "+condition, args...)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			removed = before + int(n)
			return err
		}); err != nil {
			return removed, false, err
		}
		if last == nil && after == nil && removed == before {
			return removed, true, nil
		}
		after = last // nil after the last slice; the loop then starts again, because a concurrent request may have added rows
	}
}

// conditionAfter returns the condition for an owner's rows after a key, with its arguments.
func (t ownedTable) conditionAfter(after []any) (condition string, args []any) {
	if after == nil {
		return t.where, slices.Clone(t.ids)
	}
	return t.where + " and (" + t.keyNames() + ") > (" + placeholders(len(t.ids)+1, len(t.key)) + ")", append(slices.Clone(t.ids), after...)
}

// keyScan returns the destinations for scanning a row's key, and a function that returns the key
// afterwards.
func (t ownedTable) keyScan() (to []any, values func() []any) {
	texts, numbers := make([]string, len(t.key)), make([]int64, len(t.key))
	for i, c := range t.key {
		if c.isNumber {
			to = append(to, &numbers[i])
		} else {
			to = append(to, &texts[i])
		}
	}
	return to, func() []any {
		key := make([]any, len(t.key))
		for i, c := range t.key {
			if key[i] = texts[i]; c.isNumber {
				key[i] = numbers[i]
			}
		}
		return key
	}
}

// keyNames returns the names of the key's columns, for SQL.
func (t ownedTable) keyNames() string {
	names := make([]string, len(t.key))
	for i, c := range t.key {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// sliceEndKey returns the key of the last row of the next slice, or nil if the remaining rows are
// fewer than a slice.
func (s Retention) sliceEndKey(ctx context.Context, work *sqldb.Slicer, t ownedTable, after []any) (key []any, err error) {
	condition, args := t.conditionAfter(after)
	query := fmt.Sprintf(`
		select %s
		from %s
		where %s
		order by %s
		limit 1 offset $%d`, t.keyNames(), t.name, condition, t.keyNames(), len(args)+1)
	err = work.Lane().View(ctx, func(tx *sqldb.Tx) error {
		found, err := collect(ctx, tx, func(row scanner) ([]any, error) {
			to, values := t.keyScan()
			err := row.Scan(to...)
			return values(), err
		}, query, append(args, work.Rows()-1)...)
		if len(found) > 0 {
			key = found[0]
		}
		return err
	})
	return key, err
}

// hideJob removes a job and its leases, so that no process works on it any longer. It leaves the
// job's other rows.
func hideJob(ctx context.Context, tx *sqldb.Tx, k provision.Key) error {
	for _, table := range []string{"job", "job_state"} {
		if _, err := tx.Exec(ctx, `
			delete from `+table+`
			where directory = $1 and app = $2`, string(k.Directory), k.App); err != nil {
			return err
		}
	}
	if err := forgetLease(ctx, tx, provision.DriftKind, k.String()); err != nil {
		return err
	}
	if err := forgetLease(ctx, tx, provision.DiscoveryKind, k.String()); err != nil {
		return err
	}
	return forgetLease(ctx, tx, provision.LeaseKind, k.String())
}
