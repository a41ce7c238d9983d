package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// column is a column of a table, according to the database.
type column struct{ table, name, kind string }

// tablesWith returns the columns of every table that has the column named owner, by table.
func tablesWith(t *testing.T, db *store.DB, owner string) map[string][]column {
	t.Helper()
	query := `
		select m.name, p.name, lower(p.type)
		from sqlite_master m, pragma_table_info(m.name) p
		where m.type = 'table'`
	if db.Kind() == sqldb.PostgreSQL {
		query = `
			select table_name, column_name, data_type
			from information_schema.columns
			where table_schema = current_schema()`
	}
	tables := map[string][]column{}
	for _, row := range texts(t, db, 3, query) {
		tables[row[0]] = append(tables[row[0]], column{row[0], row[1], row[2]})
	}
	for table, columns := range tables {
		if !slices.ContainsFunc(columns, func(c column) bool { return c.name == owner }) {
			delete(tables, table)
		}
	}
	return tables
}

// texts runs a query that returns n text columns, and returns all rows.
func texts(t *testing.T, db *store.DB, n int, query string, args ...any) (all [][]string) {
	t.Helper()
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(t.Context(), query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			row, to := make([]string, n), make([]any, n)
			for i := range row {
				to[i] = &row[i]
			}
			if err := rows.Scan(to...); err != nil {
				return err
			}
			all = append(all, row)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// fill writes one row into each table. It begins with the table first, because the other tables
// refer to it. given has the values of some columns; fill makes up the other values.
func fill(t *testing.T, db *store.DB, tables map[string][]column, first string, given map[string]string) {
	t.Helper()
	order := []string{}
	for table := range tables {
		order = append(order, table)
	}
	slices.Sort(order)
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		for _, table := range append([]string{first}, order...) { // the second insert into first does nothing
			var names, places []string
			var args []any
			for _, c := range tables[table] {
				names = append(names, c.name)
				places = append(places, fmt.Sprintf("$%d", len(names)))
				value, ok := given[c.name]
				switch {
				case ok:
					args = append(args, value)
				case strings.HasPrefix(c.kind, "bool"):
					args = append(args, true)
				case strings.Contains(c.kind, "int"):
					args = append(args, 1)
				default:
					args = append(args, strings.Join([]string{given["directory"], given["site"], given["app"], c.name}, " "))
				}
			}
			if _, err := tx.Exec(t.Context(), "insert into "+table+" ("+strings.Join(names, ", ")+") values ("+strings.Join(places, ", ")+") on conflict do nothing", args...); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// kept returns a line "table owner application" for every row, and a line for the key of each
// lease.
func kept(t *testing.T, db *store.DB, tables map[string][]column, owner string) []string {
	t.Helper()
	lines := []string{}
	for table, columns := range tables {
		application := "''"
		for _, c := range columns {
			if c.name == "app" || c.name == "application" || table == "directory_application" && c.name == "id" {
				application = c.name
			}
		}
		for _, row := range texts(t, db, 2, "select "+owner+", "+application+" from "+table) {
			lines = append(lines, strings.TrimSpace(table+" "+row[0]+" "+row[1]))
		}
	}
	for _, row := range texts(t, db, 1, "select key from lease where kind <> 'removal'") {
		lines = append(lines, "lease "+row[0])
	}
	slices.Sort(lines)
	return lines
}

// without returns the lines without those of an owner. owner may also be an owner followed by an
// application.
func without(lines []string, owner string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		_, rest, _ := strings.Cut(strings.ReplaceAll(line, "/", " "), " ")
		return rest == owner || strings.HasPrefix(rest, owner+" ")
	})
}

// removeRows removes the rows of deleted sites, directories and applications. Its first call has no
// time, so that it is interrupted.
func removeRows(t *testing.T, db *store.DB) {
	t.Helper()
	s := store.Retention{DB: db}
	if _, done, err := s.Remove(t.Context(), time.Now().Add(-time.Second)); done || err != nil {
		t.Errorf("without time: got done %v, %v", done, err)
	}
	if removed, done, err := s.Remove(t.Context(), time.Time{}); removed == 0 || !done || err != nil {
		t.Errorf("removed %d rows, done %v, %v", removed, done, err)
	}
	if n, err := s.Removals(t.Context()); n != 0 || err != nil {
		t.Errorf("left to remove: %d, %v", n, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestDeletionsLeaveNothingAndTakeNothingOfOthers fills every table of the database, so that it
// also covers tables that are added later.
func TestDeletionsLeaveNothingAndTakeNothingOfOthers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, s := t.Context(), store.Directories{DB: db}
		tables := tablesWith(t, db, "directory")
		if len(tables) < 10 {
			t.Fatalf("found the tables %v", tables)
		}
		for _, d := range []string{"contoso", "fabrikam"} {
			if err := s.CreateDirectory(ctx, directory.Directory{ID: directory.ID(d), Name: d}, event.Event{Scope: event.Directory(d), Name: "made"}); err != nil {
				t.Fatal(err)
			}
			for _, app := range []string{"acme", "beta"} {
				if err := s.Update(ctx, directory.ID(d), func(tx directory.Tx) error {
					return tx.CreateApplication(ctx, directory.Application{ID: app, Name: app})
				}); err != nil {
					t.Fatal(err)
				}
				fill(t, db, tables, "directory_user", map[string]string{"directory": d, "app": app, "application": app, "object_id": "p1"})
				if err := (store.Leases{DB: db}).Ensure(ctx, provision.LeaseKind, d+"/"+app); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := kept(t, db, tables, "directory")
		for table := range tables {
			if !slices.ContainsFunc(before, func(line string) bool { return strings.HasPrefix(line, table+" contoso") }) {
				t.Errorf("nothing was written into %s", table)
			}
		}

		var gone directory.Contents
		err := s.Update(ctx, "contoso", func(tx directory.Tx) (err error) {
			gone, err = tx.DeleteApplication(ctx, "acme")
			return err
		})
		if want := (directory.Contents{Assigned: 1, Linked: 1}); err != nil || gone != want {
			t.Errorf("got %+v, %v, want %+v", gone, err, want)
		}
		removeRows(t, db)
		want := without(before, "contoso acme")
		if diff := cmp.Diff(want, kept(t, db, tables, "directory")); diff != "" {
			t.Errorf("after the application (-want +got):\n%s", diff)
		}

		if got, err := s.Contents(ctx, "contoso", ""); err != nil || got.Users != 1 || got.Assigned != 1 || got.Linked != 1 {
			t.Errorf("contoso holds %+v, %v", got, err)
		}
		if err := s.DeleteDirectory(ctx, "contoso", func(c directory.Contents) event.Event {
			gone = c
			return event.Event{Scope: event.Installation(), Name: "gone"}
		}); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Directories(ctx); err != nil || len(all) != 1 {
			t.Errorf("there are %v, %v", all, err)
		}
		if err := s.CreateDirectory(ctx, directory.Directory{ID: "new", Name: "contoso"}, event.Event{Scope: event.Directory("new"), Name: "made"}); err != nil {
			t.Errorf("the name is not free: %v", err)
		}
		removeRows(t, db)
		if gone.Users != 1 || gone.Linked != 1 {
			t.Errorf("got %+v", gone)
		}
		if diff := cmp.Diff(without(want, "contoso"), kept(t, db, tables, "directory")); diff != "" {
			t.Errorf("after the directory (-want +got):\n%s", diff)
		}
		if err := s.DeleteDirectory(ctx, "contoso", func(directory.Contents) event.Event { return event.Event{} }); !errors.Is(err, refusal.NotFound) {
			t.Errorf("again: got %v", err)
		}
	})
}

func TestADeletedSiteLeavesNothingAndTakesNothingOfOthers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, s := t.Context(), store.Sites{DB: db}
		tables := tablesWith(t, db, "site")
		if len(tables) < 10 {
			t.Fatalf("found the tables %v", tables)
		}
		for _, id := range []string{"acme", "beta"} {
			if err := s.CreateSite(ctx, site.Site{ID: site.ID(id), Name: id}, event.Event{Scope: event.Site(id), Name: "made"}); err != nil {
				t.Fatal(err)
			}
			fill(t, db, tables, "resource", map[string]string{"site": id, "id": "p1", "resource": "p1", "person": "p1", "group_id": "p1", "member": "p1"})
		}
		write(t, db, `
			insert into request_log (site, time, id, token, token_last4, method, path, status, duration, user_name, subject, sentence, fixes, ignored, remote, result, change)
			with recursive n (i) as (select 1 union all select i + 1 from n where i < 700)
			select 'acme', i, 'r' || cast(i as text), '', '', 'GET', '', 200, 0, '', '', '', '', '', '', 'done', false from n`, `
			insert into resource_value (site, path, value, resource, element)
			with recursive n (i) as (select 1 union all select i + 1 from n where i < 700)
			select 'acme', 'p', 'v' || cast(i % 7 as text), 'r' || cast(i as text), i from n`)
		before := kept(t, db, tables, "site")
		for table := range tables {
			if !slices.Contains(before, table+" acme") {
				t.Errorf("nothing was written into %s", table)
			}
		}
		if err := s.UpdateSite(ctx, "acme", func(tx site.Tx) error { return tx.RenameSite(ctx, "gamma") }); err != nil {
			t.Fatal(err)
		}
		want := slices.DeleteFunc(slices.Clone(before), func(line string) bool { return line == "site_session acme" || line == "signin_link acme" })
		if diff := cmp.Diff(want, kept(t, db, tables, "site")); diff != "" {
			t.Errorf("a new name ends sessions and links alone (-want +got):\n%s", diff)
		}
		if err := s.UpdateSite(ctx, "acme", func(tx site.Tx) error { return tx.DeleteSite(ctx) }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, kept(t, db, tables, "site")); diff != "" {
			t.Errorf("deleting itself removes no row (-want +got):\n%s", diff)
		}
		if all, err := s.Sites(ctx); err != nil || len(all) != 1 {
			t.Errorf("there are %v, %v", all, err)
		}
		for what, err := range map[string]error{
			"by its id":   second(s.Site(ctx, "acme")),
			"by its name": second(s.SiteByName(ctx, "gamma")),
			"hidden name": second(s.SiteByName(ctx, "~acme")),
			"to change":   s.UpdateSite(ctx, "acme", func(site.Tx) error { return nil }),
		} {
			if !errors.Is(err, site.ErrNotFound) {
				t.Errorf("found %s: %v", what, err)
			}
		}
		if err := s.CreateSite(ctx, site.Site{ID: "another", Name: "gamma"}); err != nil {
			t.Errorf("the name is not free: %v", err)
		}
		if err := (store.RequestLogs{DB: db}).AppendRequests(ctx, []requestlog.Request{{Site: "acme", ID: "late", Time: time.Now(), Method: "GET"}}, nil); err != nil {
			t.Errorf("a late row: %v", err)
		}
		removeRows(t, db)
		if diff := cmp.Diff(without(before, "acme"), kept(t, db, tables, "site")); diff != "" {
			t.Errorf("after the site (-want +got):\n%s", diff)
		}
	})
}
