package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// querier runs queries: a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// storedResource holds the database's data about one resource.
type storedResource struct {
	version, events, logRows int    // the version of the resource, and how many events and request-log rows name it
	name, title              string // the userName or displayName, and the title
	active                   bool
	copies                   int // how many times the resource is stored: 1, or 0 if it was deleted
	members                  map[string]bool
}

// compare compares all data in the database with the data that the clients expect.
func (r *killTest) compare(ctx context.Context, db querier) error {
	found, err := r.readStored(ctx, db)
	if err != nil {
		return err
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	known := map[string]bool{}
	for _, c := range r.allClients {
		mine := slices.Concat(c.users, c.members)
		if c.group != nil {
			mine = append(mine, c.group)
		}
		for _, want := range mine {
			known[want.id] = true
			got := found[want.id]
			if got == nil {
				got = &storedResource{}
			}
			if got.events != want.changes {
				fault("%s %s: %d events, %d changes", want.name, want.id, got.events, want.changes)
			}
			if got.logRows != want.changes {
				fault("%s %s: %d rows of the request log, %d changes", want.name, want.id, got.logRows, want.changes)
			}
			if want.deleted {
				if got.copies != 0 {
					fault("%s %s was deleted and is there", want.name, want.id)
				}
				continue
			}
			if got.copies != 1 {
				fault("%s %s is lost", want.name, want.id)
				continue
			}
			if got.version != want.changes {
				fault("%s %s: version %d, %d changes", want.name, want.id, got.version, want.changes)
			}
			if got.name != want.name || got.title != want.title || !want.isGroup && got.active != want.active {
				fault("%s %s: got %+v, want %+v", want.name, want.id, *got, *want)
			}
			if want.isGroup && !maps.Equal(got.members, want.members) {
				fault("%s %s: members %v, want %v", want.name, want.id, slices.Sorted(maps.Keys(got.members)), slices.Sorted(maps.Keys(want.members)))
			}
		}
	}
	names := map[string]int{}
	for id, got := range found {
		if !known[id] {
			fault("nobody knows %s: %+v", id, *got)
		}
		if names[got.name]++; got.copies > 0 && names[got.name] > 1 {
			fault("%s is there twice", got.name)
		}
	}
	if len(faults) > 5 {
		faults = append(faults[:5], fmt.Errorf("and %d more", len(faults)-5))
	}
	return errors.Join(faults...)
}

// readStored reads everything that requests have written for the site.
func (r *killTest) readStored(ctx context.Context, db querier) (map[string]*storedResource, error) {
	found := map[string]*storedResource{}
	at := func(id string) *storedResource {
		if found[id] == nil {
			found[id] = &storedResource{members: map[string]bool{}}
		}
		return found[id]
	}
	err := errors.Join(
		r.eachRow(ctx, db, "select id, version, active, doc from resource where site = $1", func(rows *sql.Rows) error {
			var id, doc string
			var version int
			var active bool
			if err := rows.Scan(&id, &version, &active, &doc); err != nil {
				return err
			}
			var content struct{ UserName, DisplayName, Title string }
			if err := json.Unmarshal([]byte(doc), &content); err != nil {
				return err
			}
			s := at(id)
			s.copies, s.version, s.active, s.title = s.copies+1, version, active, content.Title
			s.name = content.UserName + content.DisplayName
			return nil
		}),
		r.eachRow(ctx, db, "select group_id, member from membership where site = $1", func(rows *sql.Rows) error {
			var group, member string
			err := rows.Scan(&group, &member)
			at(group).members[member] = true
			return err
		}),
		r.eachRow(ctx, db, "select subject, count(*) from event where scope_kind = 'site' and scope_id = $1 and (name like 'user.%' or name like 'group.%' or name like 'resource.%') and subject <> '' group by subject", func(rows *sql.Rows) error {
			var subject string
			var n int
			err := rows.Scan(&subject, &n)
			at(subject).events = n
			return err
		}),
		r.eachRow(ctx, db, "select subject, count(*) from request_log where site = $1 and method <> 'GET' and status < 300 group by subject", func(rows *sql.Rows) error {
			var subject string
			var n int
			err := rows.Scan(&subject, &n)
			at(subject).logRows = n
			return err
		}),
	)
	return found, err
}

// eachRow calls do for each row of a query. The argument $1 of the query is the id of the site.
func (r *killTest) eachRow(ctx context.Context, db querier, query string, do func(*sql.Rows) error) (err error) {
	rows, err := db.QueryContext(ctx, query, r.siteID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := do(rows); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return rows.Err()
}

// checkComparison checks that the comparison works. It damages the data in several ways, each in a
// transaction that is rolled back, and expects the comparison to notice each.
func (r *killTest) checkComparison(ctx context.Context) error {
	one := "(select min(id) from resource where site = '" + r.siteID + "' and kind = 'User')"
	for name, statement := range map[string]string{
		"a lost user":           "delete from resource where id = " + one,
		"a lost event":          "delete from event where seq = (select max(seq) from event where subject = " + one + ")",
		"an event twice":        "insert into event (time, scope_kind, scope_id, name, actor, subject, text, data) select time, scope_kind, scope_id, name, actor, subject, text, data from event where seq = (select max(seq) from event where subject = " + one + ")",
		"a lost row of the log": "delete from request_log where id = (select max(id) from request_log where subject = " + one + ")",
		"an older title":        `update resource set doc = replace(doc, '"title":"', '"title":"x') where id = ` + one,
		"a version too few":     "update resource set version = version - 1 where id = " + one,
		"an undone switch":      "update resource set active = not active where id = " + one,
		"a lost member":         "delete from membership where member = (select min(member) from membership where site = '" + r.siteID + "')",
	} {
		tx, err := r.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, statement)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", name, err), tx.Rollback())
		}
		n, err := result.RowsAffected()
		seen := r.compare(ctx, tx)
		if err := errors.Join(err, tx.Rollback()); err != nil {
			return err
		}
		if n == 0 || seen == nil {
			return fmt.Errorf("the comparison does not see %s (%d rows changed)", name, n)
		}
		first, _, _ := strings.Cut(seen.Error(), "\n")
		fmt.Printf("sabotage, %s: %s\n", name, first)
	}
	return r.compare(ctx, r.db)
}
