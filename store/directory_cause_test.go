package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestCausesGoWithTheirEvents prunes the events of three imports, and checks which records about
// the imports remain.
func TestCausesGoWithTheirEvents(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, now, ids := t.Context(), time.Date(2024, 3, 1, 8, 0, 0, 0, time.UTC), 0
		all := &directory.Directories{
			Store: store.Directories{DB: db}, Now: func() time.Time { now = now.Add(time.Second); return now },
			NewID: func() string { ids++; return fmt.Sprintf("00000000-0000-4000-8000-%012x", ids) },
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		d, err := all.Create(ctx, "contoso", "cli")
		must(err)
		h := all.Open(d)
		imports := func(name string) {
			t.Helper()
			r, err := h.Import(ctx, func(yield func(directory.Row, error) bool) {
				yield(directory.Row{Line: 2, Values: map[string]string{"userPrincipalName": name + "@contoso.example"}}, nil)
			}, directory.ImportOptions{Actor: "cli"})
			if err != nil || r.Created != 1 {
				t.Fatal(r, err)
			}
		}
		imports("ada")
		imports("bo")
		imports("cy")
		causes := func() (found []string) {
			for _, row := range texts(t, db, 1, "select id from directory_cause order by since") {
				found = append(found, row[0])
			}
			return found
		}
		three := causes()
		if len(three) != 3 {
			t.Fatalf("after three imports there are %v", three)
		}
		must(db.Update(ctx, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, `
				insert into job_pending (directory, app, object_id, why, not_before, verdict, cause)
				values ($1, 'acme', 'bo', 'change', 0, 'held', $2)`, string(d.ID), three[1]); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `
				insert into job_member (directory, app, group_id, member, verdict, cause)
				values ($1, 'acme', 'team', 'cy', 'rejected', $2)`, string(d.ID), three[2])
			return err
		}))
		prune := func(before time.Time) {
			t.Helper()
			if _, done, err := (store.Retention{DB: db}).Prune(ctx, retention.Events, before, time.Time{}); !done || err != nil {
				t.Fatalf("prune: %v, %v", done, err)
			}
		}
		prune(now.Add(-time.Hour))
		if got := causes(); len(got) != 3 {
			t.Errorf("before their time there are %v", got)
		}
		now = now.Add(30 * 24 * time.Hour)
		imports("dee")
		prune(now.Add(-20 * 24 * time.Hour))
		if diff := cmp.Diff(three[1:], causes()[:2]); diff != "" || len(causes()) != 3 {
			t.Errorf("what nothing refers to is still there (-want +got):\n%s\nall: %v", diff, causes())
		}

		_, err = all.Delete(ctx, d, "cli")
		must(err)
		if _, done, err := (store.Retention{DB: db}).Remove(ctx, time.Time{}); err != nil || !done {
			t.Fatalf("remove: %v, %v", done, err)
		}
		if got := causes(); len(got) != 0 {
			t.Errorf("of a deleted directory there are %v", got)
		}
	})
}
