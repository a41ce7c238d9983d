package provision_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

func (w *world) plan() (provision.PlanReport, map[string]provision.PlannedObject) {
	w.t.Helper()
	objects := map[string]provision.PlannedObject{}
	report, err := w.engine.Plan(w.t.Context(), w.key, func(o provision.PlannedObject) error {
		if _, twice := objects[o.ObjectID]; twice {
			w.t.Errorf("%s is planned twice", o.ObjectID)
		}
		objects[o.ObjectID] = o
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return report, objects
}

// dump returns every row of every table as a string.
func dump(t *testing.T, file string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var b strings.Builder
	for _, table := range column(t, db, `select name from sqlite_master where type = 'table' order by name`) {
		rows, err := db.QueryContext(t.Context(), "select * from "+table)
		if err != nil {
			t.Fatal(err)
		}
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(names))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			b.WriteString(table)
			for _, v := range values {
				fmt.Fprintf(&b, "|%v", *v.(*any))
			}
			b.WriteByte('\n')
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func column(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func TestPlan(t *testing.T) {
	t.Parallel()
	t.Run("it_names_each_person_and_attribute_and_changes_nothing", func(t *testing.T) {
		t.Parallel()
		url := storetest.SQLiteURL(t)
		w := newWorldOn(t, storetest.Open(t, url))
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
		w.people.put("p3", person("cy@contoso.com", "Cy", "Cypher"))
		w.people.put("p4", person("dee@contoso.com", "Dee", "Twice"))
		w.people.enable("p3", false)
		w.app.add(scim.Resource{"userName": "ada@contoso.com", "active": true, "displayName": "Ada King", "externalId": "Ada"})
		w.app.add(account("cy@contoso.com"))
		w.app.add(account("dee@contoso.com"))
		w.app.add(account("dee@contoso.com"))
		before := dump(t, url)
		report, objects := w.plan()
		if d := cmp.Diff(before, dump(t, url)); d != "" {
			t.Errorf("the plan changed the database (-before +after):\n%s", d)
		}
		if got := w.app.writes(); got != 0 {
			t.Errorf("the plan sent %d writes", got)
		}
		want := provision.PlanReport{Kind: provision.InitialCycle, Read: 4, Creates: 1, Updates: 1, Disables: 1, Failures: 1}
		want.Notes = report.Notes
		if d := cmp.Diff(want, report, cmpopts.IgnoreUnexported(provision.PlanReport{})); d != "" {
			t.Errorf("report (-want +got):\n%s", d)
		}
		if d := cmp.Diff([]provision.Change{{Path: "active", Old: true, New: false, Type: "Boolean"}}, objects["p3"].Changes); d != "" {
			t.Errorf("the leaver's changes (-want +got):\n%s", d)
		}
		if d := cmp.Diff(provision.Change{Path: "displayName", Old: "Ada King", New: "Ada Lovelace", Type: "String"}, objects["p1"].Changes[0]); d != "" {
			t.Errorf("a change (-want +got):\n%s", d)
		}
		if o := objects["p4"]; o.Result != provision.Failure || o.Code != "DuplicateTargetEntries" {
			t.Errorf("the ambiguous person: %+v", o)
		}
	})
	t.Run("a_cycle_does_what_the_plan_said", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		script := func() {
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
			w.people.put("p3", person("cy@contoso.com", "Cy", "Cypher"))
			w.people.put("p4", person("dee@contoso.com", "Dee", "Delete"))
		}
		script()
		for round := range 3 {
			switch round {
			case 1:
				w.people.set("p1", "city", "Bergen")
				w.people.assign("p2", false)
				w.people.set("p3", "department", "none of its business")
				w.people.purge("p4")
			case 2:
				w.people.assign("p2", true)
			}
			report, objects := w.plan()
			done, entries := w.cycle()
			if report.Kind != done.Kind || report.Creates != done.Created || report.Updates != done.Updated ||
				report.Disables != done.Disabled || report.Deletes != done.Deleted || report.Skips != done.Skipped {
				t.Errorf("round %d: planned %+v, done %+v", round, report, done)
			}
			for id, e := range entries {
				o := objects[id]
				if o.Action != e.Action || o.Result != e.Status.Status || len(o.Changes) != len(e.Modified) {
					t.Errorf("round %d: %s planned %+v, done %s", round, id, o, status(e))
				}
			}
		}
	})
	t.Run("a_connection_that_does_not_work_is_the_answer", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.app.token = "another"
		_, err := w.engine.Plan(t.Context(), w.key, func(provision.PlannedObject) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "refused the Secret Token") {
			t.Errorf("got %v", err)
		}
	})
}
