package provision_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/store"
)

// TestAnInitialCycleTriesAFailureOnce has a person, a leaver, a group and a membership that the
// application refuses, and counts their failures in cycles of both kinds.
func TestAnInitialCycleTriesAFailureOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db)
		eve := g.hire("eve", true)
		gone := g.group("Team Gone")
		bo := g.hire("bo", true) // bo already has an account, because a new account would be a reason to try the memberships again
		g.sync()
		g.app.begun = func(*http.Request) { g.clock.advance(time.Millisecond) }
		refused := []string{"ada@contoso.example", `"displayName":"Team Red"`, "members", "PATCH /scim/v2/Users/" + g.app.user("eve@contoso.example").String("id"), "DELETE /scim/v2/Groups/g1"}
		answer := g.app.answer
		g.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
			line := r.Method + " " + r.URL.Path + " " + body(r)
			for _, part := range refused {
				if r.Method != http.MethodGet && strings.Contains(line, part) {
					refuse(w, 400, "invalidValue", "Not this one.")
					return true
				}
			}
			return answer(w, r)
		}
		ada := g.hire("ada", true)
		red, blue := g.group("Team Red", bo), g.group("Team Blue", bo)
		g.assign(eve, false)
		g.assign(gone, false)
		want := map[string]int{ada: 1, eve: 1, red: 1, gone: 1, blue + " members": 1}
		for i := range 3 {
			if i > 0 {
				exact := []string{[]string{"displayName", "title"}[i-1]}
				_, err := g.jobs.SetMapping(t.Context(), g.key, userRows, provision.MappingEdit{ExactCase: &exact}, "cli")
				g.must(err)
			}
			failed := map[string]int{}
			report, err := g.engine.RunCycle(t.Context(), g.key, "test", func(e provision.LogEntry) error {
				id := e.SourceIdentity.ID
				if len(e.Steps) > 0 && e.Steps[0].Name == "EntryExportUpdateMembers" {
					id += " members"
				}
				if e.Status.Status == provision.Failure {
					failed[id]++
				}
				return nil
			})
			g.must(err)
			if diff := cmp.Diff(want, failed); diff != "" || (report.Kind == provision.InitialCycle) != (i > 0) {
				t.Errorf("%s cycle %d: failures (-want +got):\n%s", report.Kind, i, diff)
			}
		}
	})
}

// TestLeaversGoBeforeAChangeOfSettings has one person leave. Then it changes a setting that
// concerns everyone.
func TestLeaversGoBeforeAChangeOfSettings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db)
		g.engine.Workers = 1
		var people []string
		for i := range 12 {
			people = append(people, g.hire(fmt.Sprintf("p%02d", i), true))
		}
		g.sync()
		account := func(i int) string { return g.app.user(fmt.Sprintf("p%02d@contoso.example", i)).String("id") }
		var mu sync.Mutex
		var written []string
		g.app.begun = func(r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if r.Method == http.MethodPatch {
				written = append(written, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
			}
		}
		// A new mapping changes the account of everyone. The leaver is sent first.
		g.assign(people[7], false)
		constant, err := expr.Parse(`"Somebody"`)
		g.must(err)
		_, err = g.jobs.EditSchema(t.Context(), g.key, func(now provision.Job) (provision.Job, error) {
			next := now
			next.Schema = now.Schema.Clone()
			m, err := next.Schema.UserMapping()
			if err != nil {
				return now, err
			}
			for i := range m.AttributeMappings {
				if row := &m.AttributeMappings[i]; row.TargetAttributeName == "displayName" {
					row.Source = constant.Source()
				}
			}
			return next, nil
		}, "cli")
		g.must(err)
		g.sync()
		if len(written) != 12 || written[0] != account(7) {
			t.Errorf("%d were written, first %q, want %q", len(written), written[:1], account(7))
		}

		// A filter leaves out everyone, and these operations are on hold. People who left before
		// are not among them.
		g.assign(people[3], false)
		g.assign(people[4], false)
		g.assign(people[4], true)
		_, err = g.handle.Disable(t.Context(), people[5], "cli")
		g.must(err)
		g.scopeTo("Bergen")
		plan, err := g.engine.Plan(t.Context(), g.key, func(provision.PlannedObject) error { return nil })
		if err != nil || plan.Disables != 2 || plan.OnHold != 9 {
			t.Errorf("planned are %d disables and %d on hold, %v", plan.Disables, plan.OnHold, err)
		}
		written = nil
		g.sync()
		if diff := cmp.Diff(slices.Sorted(slices.Values([]string{account(3), account(5)})), slices.Sorted(slices.Values(written))); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
		if r := g.report(); r.OnHold != 9 {
			t.Errorf("%d are on hold", r.OnHold)
		}
	})
}
