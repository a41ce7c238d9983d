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

// A site, a directory or an application is deleted in two steps. One
// transaction hides it and notes a removal: from then on nobody finds it. Then
// its rows are removed in slices, by whoever has the time; after a crash the
// note is still there.

// removal is what was deleted and still has rows.
type removal struct {
	kind  string
	owner string
	part  string // an application's id
}

// The kinds of removal are the names of the columns that tell the owner.
const (
	siteRemoval      = "site"
	directoryRemoval = "directory"
)

// hiddenName is the name of what was deleted: nobody can give or ask for it.
func hiddenName(id string) string { return "~" + id }

// noteRemoval has rows removed as soon as the transaction is on disk.
func noteRemoval(ctx context.Context, tx *sqldb.Tx, r removal) error {
	if _, err := tx.Exec(ctx, `
		insert into removal (kind, owner, part, since)
		values ($1, $2, $3, $4)
		on conflict do nothing`, r.kind, r.owner, r.part, micros(tx.Now())); err != nil {
		return err
	}
	return wakeLease(ctx, tx, retention.RemovalKind, retention.LeaseKey)
}

// hide takes the name from a site or directory that is not hidden yet.
func hideRow(ctx context.Context, tx *sqldb.Tx, table, id string) error {
	_, err := tx.Exec(ctx, `
		update `+table+`
		set name = $2, deleted = $3
		where id = $1`, id, hiddenName(id), max(micros(tx.Now()), 1))
	return err
}

// Removals returns how many deleted things still have rows.
func (s Retention) Removals(ctx context.Context) (n int, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from removal").Scan(&n)
	})
	return n, err
}

// Remove removes rows of what was deleted, until none is left or end has come.
func (s Retention) Remove(ctx context.Context, end time.Time) (removed int, done bool, err error) {
	var all []removal
	if err := s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, func(row scanner) (r removal, err error) {
			return r, row.Scan(&r.kind, &r.owner, &r.part)
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

func (s Retention) remove(ctx context.Context, work *sqldb.Slicer, r removal) (removed int, done bool, err error) {
	tables, err := s.tablesOf(ctx, r)
	if err != nil {
		return 0, false, err
	}
	for _, table := range tables {
		n, done, err := s.empty(ctx, work, table)
		removed += n
		if err != nil || !done {
			return removed, false, err
		}
	}
	return removed, true, work.Write(ctx, func(tx *sqldb.Tx) error { return finishRemoval(ctx, tx, r) })
}

// finishRemoval removes the owner itself, whose rows are gone. What a request that was under way has added since goes too.
func finishRemoval(ctx context.Context, tx *sqldb.Tx, r removal) error {
	if err := tx.Send(ctx, `
		delete from removal
		where kind = $1 and owner = $2 and part = $3`, r.kind, r.owner, r.part); err != nil {
		return err
	}
	if r.part != "" {
		return forgetPruned(ctx, tx, retention.Owner(r.owner, r.part))
	}
	if err := forgetPruned(ctx, tx, r.owner); err != nil {
		return err
	}
	// The kind is the name of the owner's table too.
	_, err := tx.Exec(ctx, `
		delete from `+r.kind+`
		where id = $1 and deleted > 0`, r.owner)
	return err
}

// ownedTable is a table whose rows belong to an owner. Its key begins with the owner.
type ownedTable struct {
	name  string
	where string      // condition on the owner's rows, with the owner's ids as the first arguments
	ids   []any       // the owner's ids
	key   []keyColumn // the rest of its primary key
}

type keyColumn struct {
	name   string
	number bool
}

// columnOfKey is a column of a table's primary key.
type columnOfKey struct {
	table string
	keyColumn
}

// keyColumns lists the columns of all primary keys, in the order of each key.
func keyColumns(ctx context.Context, tx *sqldb.Tx) ([]columnOfKey, error) {
	return collect(ctx, tx, func(row scanner) (c columnOfKey, err error) {
		var kind string
		err = row.Scan(&c.table, &c.name, &kind)
		c.number = strings.Contains(kind, "int")
		return c, err
	}, tx.PrimaryKeys())
}

// tablesOf finds the tables with rows of an owner in the database's own description, so that a table that is added later is
// found too.
func (s Retention) tablesOf(ctx context.Context, r removal) ([]ownedTable, error) {
	var columns []columnOfKey
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
		if r.part != "" {
			// The second column of the key is the application, under either name.
			if len(key) < 2 || key[1].name != "app" && key[1].name != "application" {
				continue
			}
			t.where, t.ids, t.key = t.where+" and "+key[1].name+" = $2", append(t.ids, r.part), key[2:]
		}
		tables = append(tables, t)
	}
	slices.SortFunc(tables, func(a, b ownedTable) int { return strings.Compare(a.name, b.name) })
	return tables, nil
}

// empty removes an owner's rows of one table, in the order of its key. A reader finds the end of each slice; the writer only
// deletes.
func (s Retention) empty(ctx context.Context, work *sqldb.Slicer, t ownedTable) (removed int, done bool, err error) {
	var after []any // the key up to which the rows are gone
	for {
		if work.Over() {
			return removed, false, nil
		}
		condition, args := t.behind(after)
		var last []any
		if len(t.key) > 0 {
			if last, err = s.keyAt(ctx, work, t, after); err != nil {
				return removed, false, err
			}
		}
		if last != nil {
			condition += " and (" + t.names() + ") <= (" + placeholders(len(args)+1, len(t.key)) + ")"
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
		after = last // at the end once more from the beginning: a request may have been under way
	}
}

// behind is the condition on an owner's rows that come after a key, with its arguments.
func (t ownedTable) behind(after []any) (condition string, args []any) {
	if after == nil {
		return t.where, slices.Clone(t.ids)
	}
	return t.where + " and (" + t.names() + ") > (" + placeholders(len(t.ids)+1, len(t.key)) + ")", append(slices.Clone(t.ids), after...)
}

// places are where a row's key is scanned to, and what it is afterwards.
func (t ownedTable) places() (to []any, values func() []any) {
	texts, numbers := make([]string, len(t.key)), make([]int64, len(t.key))
	for i, c := range t.key {
		if c.number {
			to = append(to, &numbers[i])
		} else {
			to = append(to, &texts[i])
		}
	}
	return to, func() []any {
		key := make([]any, len(t.key))
		for i, c := range t.key {
			if key[i] = texts[i]; c.number {
				key[i] = numbers[i]
			}
		}
		return key
	}
}

func (t ownedTable) names() string {
	names := make([]string, len(t.key))
	for i, c := range t.key {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// keyAt returns the key of the last row of the next slice, nil when less is left.
func (s Retention) keyAt(ctx context.Context, work *sqldb.Slicer, t ownedTable, after []any) (key []any, err error) {
	condition, args := t.behind(after)
	query := fmt.Sprintf(`
		select %s
		from %s
		where %s
		order by %s
		limit 1 offset $%d`, t.names(), t.name, condition, t.names(), len(args)+1)
	err = work.Lane().View(ctx, func(tx *sqldb.Tx) error {
		found, err := collect(ctx, tx, func(row scanner) ([]any, error) {
			to, values := t.places()
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

// hideJob takes a job away, so that nobody works on it any more. The rest of its rows is left.
func hideJob(ctx context.Context, tx *sqldb.Tx, k provision.Key) error {
	for _, table := range []string{"job", "job_state"} {
		if _, err := tx.Exec(ctx, `
			delete from `+table+`
			where directory = $1 and app = $2`, string(k.Directory), k.App); err != nil {
			return err
		}
	}
	return forgetLease(ctx, tx, provision.LeaseKind, k.String())
}
