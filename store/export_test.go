package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing/fstest"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// This file gives tests outside the package access to unexported parts. These tests are outside
// because storetest imports this package.

// Plan returns SQLite's plan for a list: a line for each table or index that it reads.
func Plan(ctx context.Context, db *DB, id site.ID, q roster.ListQuery) (lines []string, err error) {
	l := newListing(id, q, declaredRows{})
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		args, n := l.withArguments(q.Count)
		lines, err = collect(ctx, tx, func(row scanner) (line string, err error) {
			var number, parent, unused int
			err = row.Scan(&number, &parent, &unused, &line)
			return line, err
		}, `
			explain query plan
			select `+documentColumns+`
			from resource r
			where `+l.where+`
			limit $`+strconv.Itoa(n), args...)
		return err
	})
	return lines, err
}

// PlanOfWalk returns the plan with which PostgreSQL reads a list in its order, for a filter on a
// declared attribute that many resources match.
func PlanOfWalk(ctx context.Context, db *DB, id site.ID, q roster.ListQuery, path scim.AttrPath, rows string) (lines []string, err error) {
	var used []valueRange
	d := declaredRows{paths: map[scim.AttrPath]string{path: rows}, usedRanges: &used, many: map[valueRange]bool{}}
	newPrefilter(q, string(id), d, 0)
	d.usedRanges = nil
	for _, r := range used {
		d.many[r] = true
	}
	l := newListing(id, q, d)
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		if err := tx.PlanForValues(ctx); err != nil {
			return err
		}
		lines, err = collect(ctx, tx, func(row scanner) (line string, err error) { return line, row.Scan(&line) }, `
			explain select r.seq, r.id
			from resource r
			where `+l.where+`
			order by `+l.placeOrder(), l.args...)
		return err
	})
	return lines, err
}

// PlanOfRoles returns SQLite's plans for reading the assignments of some users, and those of a page
// of users.
func PlanOfRoles(ctx context.Context, db *DB) (lines []string, err error) {
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		for _, query := range []string{
			rolesQuery("in ($3, $4)", false), rolesQuery("in ($3, $4)", true), rolesQuery("between $3 and $4", false), rolesQuery("between $3 and $4", true),
		} {
			plan, err := collect(ctx, tx, func(row scanner) (line string, err error) {
				var id, parent, unused int
				err = row.Scan(&id, &parent, &unused, &line)
				return line, err
			}, `explain query plan `+query, "d", "a", "u1", "u2")
			if err != nil {
				return err
			}
			lines = append(lines, plan...)
		}
		return nil
	})
	return lines, err
}

// PlanOfGroupsWithMember returns SQLite's plan for finding the groups whose members include an
// object.
func PlanOfGroupsWithMember(ctx context.Context, db *DB) (lines []string, err error) {
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		lines, err = collect(ctx, tx, func(row scanner) (line string, err error) {
			var id, parent, unused int
			err = row.Scan(&id, &parent, &unused, &line)
			return line, err
		}, `explain query plan `+strings.ReplaceAll(groupsWithMember, "$7", "$3"), "d", "a", "u1")
		return err
	})
	return lines, err
}

// PlansOfForgetting returns SQLite's plans for deleting the expired requests and assertions of a
// site.
func PlansOfForgetting(ctx context.Context, db *DB) (lines []string, err error) {
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		for _, query := range []string{forgetRequestsQuery, forgetAssertionsQuery} {
			plan, err := collect(ctx, tx, func(row scanner) (line string, err error) {
				var id, parent, unused int
				err = row.Scan(&id, &parent, &unused, &line)
				return line, err
			}, `explain query plan `+query, "s", 1)
			if err != nil {
				return err
			}
			lines = append(lines, plan...)
		}
		return nil
	})
	return lines, err
}

var (
	AppendEvent = appendEvent
	CheckLease  = checkLease
)

// MigrationNames returns the kinds of database for which each migration has a file. The kind ""
// means one file for both databases.
func MigrationNames() (map[string][]string, error) {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return nil, err
	}
	kinds := map[string][]string{}
	for _, e := range entries {
		name, kind, _ := strings.Cut(strings.TrimSuffix(e.Name(), ".sql"), ".")
		kinds[name] = append(kinds[name], kind)
	}
	return kinds, nil
}

// PlanCountAssignments returns SQLite's plan for counting the users of an application.
func PlanCountAssignments(ctx context.Context, db *DB) (lines []string, err error) {
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		lines, err = collect(ctx, tx, func(row scanner) (line string, err error) {
			var a, b, c int
			return line, row.Scan(&a, &b, &c, &line)
		}, "explain query plan"+countAssignments, "d", "a")
		return err
	})
	return lines, err
}

// PlanReadEvents returns SQLite's plan for finding the events of a scope after a position.
func PlanReadEvents(ctx context.Context, db *DB) (lines []string, err error) {
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		lines, err = collect(ctx, tx, func(row scanner) (line string, err error) {
			var a, b, c int
			return line, row.Scan(&a, &b, &c, &line)
		}, "explain query plan"+readEventsQuery(tx), "directory", "d", 0, 7, 10)
		return err
	})
	return lines, err
}

// PlanOfSelection returns the database's plan for a selection of the audit trail. On PostgreSQL it
// first updates the statistics.
func PlanOfSelection(ctx context.Context, db *DB, s event.Selection) (lines []string, err error) {
	name := ""
	if len(s.Names) > 0 {
		name = s.Names[0]
	}
	query, args := selectionQuery(s, name)
	explain, text := "explain query plan ", func(row scanner) (line string, err error) {
		var a, b, c int
		return line, row.Scan(&a, &b, &c, &line)
	}
	if db.Kind() == sqldb.PostgreSQL {
		if err := db.Update(ctx, func(tx *sqldb.Tx) error { return tx.Send(ctx, "analyze event") }); err != nil {
			return nil, err
		}
		explain, text = "explain ", func(row scanner) (line string, err error) { return line, row.Scan(&line) }
	}
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		lines, err = collect(ctx, tx, text, explain+query, args...)
		return err
	})
	return lines, err
}

// MigrateTo makes a database of an older version: it runs the migrations up to this number.
func MigrateTo(ctx context.Context, url string, version int) error {
	older := fstest.MapFS{}
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	for _, f := range files {
		number, err := strconv.Atoi(f.Name()[:4])
		if err != nil {
			return err
		}
		if number > version {
			continue
		}
		text, err := migrations.ReadFile("migrations/" + f.Name())
		if err != nil {
			return err
		}
		older[f.Name()] = &fstest.MapFile{Data: text}
	}
	db, err := sqldb.Open(ctx, url, sqldb.Schema{Migrations: older}, Options{})
	if err != nil {
		return err
	}
	return errors.Join(db.Migrate(ctx), db.Close())
}

// PlanOfExpectedOperation returns SQLite's plan for the query of Provisioning.ExpectedOperation.
func PlanOfExpectedOperation(ctx context.Context, db *DB) (lines []string, err error) {
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		lines, err = collect(ctx, tx, func(row scanner) (line string, err error) {
			var number, parent, unused int
			return line, row.Scan(&number, &parent, &unused, &line)
		}, `explain query plan `+expectedOperation, "directory", "app", "object")
		return err
	})
	return lines, err
}
