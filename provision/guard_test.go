package provision_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// guarded is a job between a real directory and an application.
type guarded struct {
	*world
	handle *directory.Handle
	acme   directory.Application
	opener func(context.Context, provision.SourceID) (provision.Source, error)
	ids    []string
}

// newGuarded makes a job that has provisioned n people. The first third is in Sales.
func newGuarded(t *testing.T, db *store.DB, n int, options ...option) *guarded {
	t.Helper()
	g := &guarded{world: &world{t: t, db: db, store: store.Provisioning{DB: db}, leases: store.Leases{DB: db}, clock: &clock{at: epoch}, app: newApplication(t)}}
	g.wire()
	all := &directory.Directories{Store: store.Directories{DB: db}, Now: g.clock.now, NewID: g.newID}
	g.opener = source.Opener(all.OpenByID)
	g.engine.Sources = g.opener
	d, err := all.Create(t.Context(), "contoso", "cli")
	g.must(err)
	g.handle = all.Open(d)
	g.acme, err = g.handle.CreateApplication(t.Context(), "Acme", "cli")
	g.must(err)
	g.key = provision.Key{Directory: provision.SourceID(d.ID), App: g.acme.ID}
	secret := g.world.app.token
	s := provision.Settings{Mode: provision.Automatic, TenantURL: g.world.app.url(), Secret: &secret, Status: provision.On, Scope: provision.Everyone}
	flows := allActions
	for _, o := range options {
		o(&s, &flows)
	}
	_, err = g.jobs.Save(t.Context(), g.key, s, "cli")
	g.must(err)
	g.setActions(flows)
	for i := range n {
		g.ids = append(g.ids, fmt.Sprintf("%08d-0000-4000-8000-000000000000", i))
	}
	g.importRows(nil, directory.ImportOptions{})
	g.cycle()
	if got := g.active(); got != n {
		t.Fatalf("%d of %d accounts are active", got, n)
	}
	return g
}

func (g *guarded) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// importRows imports the people. edit changes the values of a person. If edit returns false, the
// file leaves the person out.
func (g *guarded) importRows(edit func(i int, values map[string]string) bool, o directory.ImportOptions) directory.ImportReport {
	g.t.Helper()
	o.Actor = "cli"
	r, err := g.handle.Import(g.t.Context(), g.rows(edit), o)
	g.must(err)
	if len(r.Errors) > 0 || r.Refused != "" {
		g.t.Fatalf("import: %+v %s", r.Errors, r.Refused)
	}
	return r
}

func (g *guarded) rows(edit func(i int, values map[string]string) bool) iter.Seq2[directory.Row, error] {
	return func(yield func(directory.Row, error) bool) {
		for i, id := range g.ids {
			values := map[string]string{"objectId": id, "userPrincipalName": fmt.Sprintf("user%03d@contoso.example", i), "displayName": fmt.Sprintf("User %d", i), "mailNickname": fmt.Sprintf("user%d", i), "accountEnabled": "true", "department": "Sales"}
			if i >= len(g.ids)/3 {
				values["department"] = "Support"
			}
			if edit != nil && !edit(i, values) {
				continue
			}
			if !yield(directory.Row{Line: i + 2, Values: values}, nil) {
				return
			}
		}
	}
}

// blocking returns an edit for importRows that blocks the people with the numbers from to to-1.
func blocking(from, to int) func(int, map[string]string) bool {
	return func(i int, values map[string]string) bool {
		if i >= from && i < to {
			values["accountEnabled"] = "false"
		}
		return true
	}
}

// active counts the accounts that can be used.
func (g *guarded) active() (n int) {
	g.world.app.mu.Lock()
	defer g.world.app.mu.Unlock()
	for _, u := range g.world.app.users {
		if active, _ := u.Bool("active"); active {
			n++
		}
	}
	return n
}

func (g *guarded) wantActive(when string, want int) {
	g.t.Helper()
	if got := g.active(); got != want {
		g.t.Errorf("%s: %d accounts are active, want %d", when, got, want)
	}
}

// held returns the only cause that is on hold.
func (g *guarded) held() provision.HeldCause {
	g.t.Helper()
	all, err := g.jobs.Held(g.t.Context(), g.key, provision.OnHold)
	g.must(err)
	if len(all) != 1 {
		g.t.Fatalf("on hold are %+v, want one cause", all)
	}
	return all[0]
}

func (g *guarded) nothingHeld(when string) {
	g.t.Helper()
	if r := g.report(); r.OnHold != 0 {
		g.t.Errorf("%s: %d are on hold", when, r.OnHold)
	}
}

func (w *world) events(name string) (texts []string) {
	w.t.Helper()
	all, err := store.Events{DB: w.db}.Recent(w.t.Context(), event.Directory(string(w.key.Directory)), "", event.Position{}, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range all {
		if e.Name == name {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

func (g *guarded) filter(clauses ...provision.FilterClause) {
	g.t.Helper()
	scope := []provision.FilterGroup{{Name: "filter", Clauses: clauses}}
	_, err := g.jobs.SetMapping(g.t.Context(), g.key, userRows, provision.MappingEdit{Scope: &scope}, "cli")
	g.must(err)
}

func clause(attribute, operator, value string) provision.FilterClause {
	c := provision.FilterClause{SourceOperandName: attribute, OperatorName: operator}
	c.TargetOperand.Values = []string{value}
	return c
}

// TestGuard takes access away from many people by mistake, and then looks at the accounts at the
// application.
func TestGuard(t *testing.T) {
	t.Parallel()
	t.Run("an_import_that_loses_half_of_the_people_is_held_and_one_leaver_is_not", func(t *testing.T) {
		t.Parallel()
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			g := newGuarded(t, db, 60)
			g.importRows(func(i int, _ map[string]string) bool { return i%2 == 0 }, directory.ImportOptions{Absent: directory.AbsentSoftDelete, Force: true})
			g.block(t.Context(), g.ids[0])
			g.importRows(func(i int, values map[string]string) bool {
				values["displayName"] += " the other"
				return i == 2
			}, directory.ImportOptions{})
			r, _ := g.cycle()
			g.wantActive("the single leaver is cut off, nobody else", 59)
			if got := g.world.app.user("user002@contoso.example").String("displayName"); got != "User 2 the other" {
				t.Errorf("an update does not go on: %q", got)
			}
			h := g.held()
			if h.Count != 30 || h.Words != "Import of users by command line" || h.Links != 60 || len(h.Names) != 5 || h.Names[0] != "user001@contoso.example" ||
				len(h.Reasons) != 1 || h.Reasons[0] != (provision.HeldReason{Reason: "deleted in the directory", Count: 30}) {
				t.Errorf("on hold is %+v", h)
			}
			if s := g.report(); s.OnHold != 30 || s.Pending != 0 || !s.OldestLeaver.IsZero() || r.Waiting != 0 {
				t.Errorf("status: %+v, waiting %d", s, r.Waiting)
			}
			if texts := g.events(event.ProvisioningHeld); len(texts) != 1 || !strings.Contains(texts[0], "30 operations") {
				t.Errorf("events: %q", texts)
			}
			g.cycle()
			g.wantActive("the next cycle", 59)

			// Two people come back before an administrator approves the remaining operations.
			for _, i := range []int{1, 3} {
				_, err := g.handle.Restore(t.Context(), g.ids[i], "cli")
				g.must(err)
			}
			g.cycle()
			h = g.held()
			if h.Count != 28 || h.Changed != 2 {
				t.Errorf("after two came back: %+v", h)
			}
			if _, err := g.jobs.Approve(t.Context(), g.key, h.ID, h.Batch+1, "cli"); !errors.Is(err, provision.ErrChanged) {
				t.Errorf("another batch than was seen: %v", err)
			}
			if did, err := g.jobs.Approve(t.Context(), g.key, h.ID, h.Batch, "cli"); err != nil || did.Count != 28 || did.Changed != 2 {
				t.Errorf("approved %+v, %v", did, err)
			}
			g.cycle()
			g.wantActive("approved", 31)
			g.nothingHeld("approved")
			if texts := g.events(event.ProvisioningApproved); len(texts) != 1 || texts[0] != "28 operations on hold were approved. Cause: Import of users by command line." {
				t.Errorf("events: %q", texts)
			}
			if _, err := g.jobs.Approve(t.Context(), g.key, h.ID, provision.AnyBatch, "cli"); !errors.Is(err, provision.ErrNothingHeld) {
				t.Errorf("approved twice: %v", err)
			}
		})
	})
	t.Run("the_limit_is_5_or_10_percent_or_500", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct{ people, blocked, active int }{{20, 5, 15}, {20, 6, 20}, {60, 6, 54}, {60, 7, 60}} {
			g := newGuarded(t, storetest.New(t), c.people)
			g.importRows(blocking(0, c.blocked), directory.ImportOptions{})
			g.cycle()
			g.wantActive(fmt.Sprintf("%d of %d", c.blocked, c.people), c.active)
		}
	})
	t.Run("fifty_single_edits_go_through", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		for _, id := range g.ids[:50] {
			g.block(t.Context(), id)
		}
		g.cycle()
		g.wantActive("single edits", 10)
	})
	t.Run("a_filter_that_leaves_out_a_third_is_held_and_named", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		g.filter(clause("department", "NOT EQUALS", "Sales"))
		g.wantPlanned("before the cycle", 0, 20)
		g.cycle()
		g.wantPlanned("after the cycle", 0, 20)
		g.wantActive("the filter", 60)
		h := g.held()
		if h.Count != 20 || !strings.Contains(h.Words, "Source Object Scope") || !strings.Contains(h.Reasons[0].Reason, "department") {
			t.Errorf("on hold is %+v", h)
		}
		// The filter is corrected. After that, no operation is left to decide.
		scope := []provision.FilterGroup{}
		_, err := g.jobs.SetMapping(t.Context(), g.key, userRows, provision.MappingEdit{Scope: &scope}, "cli")
		g.must(err)
		g.cycle()
		g.wantActive("the corrected filter", 60)
		g.nothingHeld("the corrected filter")
	})
	t.Run("a_mapping_that_blocks_everyone_is_held", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		job, err := g.jobs.Get(t.Context(), g.key)
		g.must(err)
		schema := job.Schema.Clone()
		m, err := schema.UserMapping()
		g.must(err)
		for i := range m.AttributeMappings {
			if row := &m.AttributeMappings[i]; row.TargetAttributeName == "active" {
				row.Source = &provision.AttributeMappingSource{Type: "Function", Expression: `Switch([department], "True", "Sales", "False")`}
			}
		}
		_, err = g.jobs.SetSchema(t.Context(), g.key, schema, "cli")
		g.must(err)
		g.cycle()
		g.cycle()
		g.wantActive("the mapping", 60)
		h := g.held()
		if h.Count != 20 {
			t.Errorf("on hold is %+v", h)
		}
		// A small import changes three of these people in another way. Their operations stay on
		// hold.
		g.importRows(func(i int, values map[string]string) bool {
			values["displayName"] += " again"
			return i < 3
		}, directory.ImportOptions{})
		g.cycle()
		g.wantActive("three others changed", 60)
		if n := g.report().OnHold; n != 20 {
			t.Errorf("%d are on hold", n)
		}
		_, err = g.jobs.Reject(t.Context(), g.key, g.held().ID, provision.AnyBatch, "cli")
		g.must(err)
		g.cycle()
		g.wantActive("rejected", 60)
	})
	t.Run("a_plan_says_what_a_run_holds", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		g.importRows(blocking(0, 30), directory.ImportOptions{})
		g.block(t.Context(), g.ids[40])
		g.wantPlanned("an import", 1, 30)
		g.cycle()
		g.wantActive("an import", 59)
		g.wantPlanned("on hold", 0, 30)
		_, err := g.jobs.Reject(t.Context(), g.key, g.held().ID, provision.AnyBatch, "cli")
		g.must(err)
		g.wantPlanned("rejected", 0, 0)
		g.cycle()
		g.importRows(blocking(0, 0), directory.ImportOptions{})
		g.cycle()
		g.importRows(blocking(50, 55), directory.ImportOptions{})
		g.wantPlanned("a small import", 5, 0)
		g.cycle()
		g.wantActive("a small import", 55) // the import enables the one person again who was blocked alone
	})
	t.Run("small_imports_do_not_wear_a_large_one_down", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		g.importRows(blocking(0, 30), directory.ImportOptions{})
		g.cycle()
		for i := range 10 { // the changes concern the same people, but not their access
			g.importRows(func(at int, values map[string]string) bool {
				values["displayName"] += " again"
				return blocking(0, 30)(at, values) && at/3 == i
			}, directory.ImportOptions{})
			_, _, err := g.handle.PutUser(t.Context(), g.with(g.ids[i], "city", "Oslo"), "cli")
			g.must(err)
			g.cycle()
		}
		g.wantActive("small imports", 60)
		// A deletion by hand is intended, so the guard does not hold it.
		_, err := g.handle.SoftDelete(t.Context(), g.ids[4], "cli")
		g.must(err)
		g.cycle()
		g.wantActive("one deleted by hand", 59)
	})
	t.Run("rejected_operations_stay_until_the_person_changes_or_another_cause_comes", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		g.importRows(blocking(0, 30), directory.ImportOptions{})
		g.cycle()
		_, err := g.jobs.Reject(t.Context(), g.key, g.held().ID, provision.AnyBatch, "cli")
		g.must(err)
		g.cycle()
		g.nothingHeld("rejected")
		if r := g.report(); r.Rejected != 30 {
			t.Errorf("%d are rejected", r.Rejected)
		}
		g.wantActive("rejected", 60)
		if texts := g.events(event.ProvisioningRejected); len(texts) != 1 {
			t.Errorf("events: %q", texts)
		}
		_, _, err = g.handle.PutUser(t.Context(), g.with(g.ids[0], "city", "Oslo"), "cli")
		g.must(err)
		g.cycle()
		g.wantActive("one of them changed", 59)
		_, err = g.jobs.Restart(t.Context(), g.key, "cli")
		g.must(err)
		g.cycle()
		g.wantActive("a restart is another cause", 59)
		if h := g.held(); h.Count != 29 || !strings.Contains(h.Words, "restarted") {
			t.Errorf("on hold is %+v", h)
		}
	})
}

// TestTheGuardCountsFailuresWithTheChangeOfSettings edits the scoping filter while updates of the
// same people wait to be tried again.
func TestTheGuardCountsFailuresWithTheChangeOfSettings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGuarded(t, db, 30)
		g.world.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				w.WriteHeader(http.StatusConflict)
			}
			return r.Method == http.MethodPatch
		}
		g.importRows(func(i int, values map[string]string) bool {
			values["jobTitle"] = "Title"
			return true
		}, directory.ImportOptions{})
		g.cycle()
		if r := g.report(); r.Escrowed != 30 {
			t.Fatalf("report %+v", r)
		}
		g.world.app.answer = nil
		g.filter(clause("department", "EQUALS", "Support"))
		planned := 0
		_, err := g.engine.Plan(t.Context(), g.key, func(o provision.PlannedObject) error {
			if o.Code == "OnHold" {
				planned++
			}
			return nil
		})
		g.must(err)
		g.cycle()
		g.wantActive("after the filter", 30)
		if h := g.held(); h.Count != 10 || planned != 10 {
			t.Errorf("%d are planned to be on hold, on hold is %+v", planned, h)
		}
		if r := g.report(); r.Escrowed != 10 || r.Pending != 0 {
			t.Errorf("report %+v", r)
		}
	})
}

// with returns a person with a changed value of an attribute.
func (g *guarded) with(id, attribute, value string) directory.User {
	g.t.Helper()
	u, err := g.handle.User(g.t.Context(), id)
	g.must(err)
	g.must(u.Set(attribute, value))
	return u
}

// wantPlanned checks how many operations of a plan that take access away are sent, and how many are
// on hold.
func (g *guarded) wantPlanned(when string, sent, onHold int) {
	g.t.Helper()
	n := 0
	r, err := g.engine.Plan(g.t.Context(), g.key, func(o provision.PlannedObject) error {
		if o.Code == "OnHold" && o.Result == provision.Skipped {
			n++
		}
		return nil
	})
	g.must(err)
	if r.Disables+r.Deletes != sent || r.OnHold != onHold || n != onHold {
		g.t.Errorf("%s: planned %+v and %d objects on hold, want %d sent and %d on hold", when, r, n, sent, onHold)
	}
}

// block blocks a person's sign-in.
func (g *guarded) block(ctx context.Context, id string) {
	g.t.Helper()
	u, err := g.handle.User(ctx, id)
	g.must(err)
	u.AccountEnabled = false
	_, _, err = g.handle.PutUser(ctx, u, "cli")
	g.must(err)
}

// TestTheGuardCountsAnImportThatIsUnderWay runs slices between the transactions of an import. A
// second import is killed in the middle.
func TestTheGuardCountsAnImportThatIsUnderWay(t *testing.T) {
	t.Parallel()
	t.Run("that_ends", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		r := g.importRows(func(i int, values map[string]string) bool { return blocking(0, 4)(i, values) && i < 56 }, directory.ImportOptions{
			Absent: directory.AbsentSoftDelete,
			Progress: func(int, int) {
				g.slice()
				g.slice()
				g.wantActive("four are blocked, and the import goes on", 60)
				if s := g.report(); len(s.Waits) != 1 || s.Waits[0].Count != 4 || s.Waits[0].Reason != provision.JudgedReason {
					t.Errorf("waiting are %+v", s.Waits)
				}
			},
		})
		if r.SoftDeleted != 4 {
			t.Fatalf("the import: %+v", r)
		}
		g.slice()
		g.wantActive("all eight are counted", 60)
		if h := g.held(); h.Count != 8 {
			t.Errorf("on hold is %+v", h)
		}
	})
	t.Run("that_is_killed", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		ctx := event.WithCause(t.Context(), event.Cause{ID: event.ImportCause + "killed", Words: "Import of users by sam", Now: g.clock.now})
		for i, id := range g.ids[:30] {
			g.block(ctx, id)
			if i%7 == 3 {
				g.slice()
				g.wantActive(fmt.Sprintf("after %d", i), 60)
			}
		}
		next := g.slice()
		if wait := next.Sub(g.clock.now()); wait <= 0 || wait > 2*time.Minute {
			t.Errorf("the job looks again in %s", wait)
		}
		g.clock.advance(2 * time.Minute)
		g.wire() // another process
		g.engine.Sources = g.opener
		g.slice()
		g.wantActive("at the end", 60)
		if h := g.held(); h.Count != 30 || h.Words != "Import of users by sam" {
			t.Errorf("on hold is %+v", h)
		}
	})
}

// slowFeed is a directory whose reading takes time on the engine's clock.
type slowFeed struct {
	source.Directory
	clock *clock
	page  time.Duration // how long a page of changes takes
	limit int           // the largest number of changes of groups on a page
}

func (s slowFeed) Changes(ctx context.Context, app string, after provision.Cursor, limit int) (provision.Changed, error) {
	s.clock.advance(s.page)
	return s.Directory.Changes(ctx, app, after, limit)
}

func (s slowFeed) GroupChanges(ctx context.Context, app string, after provision.Cursor, limit int) (provision.GroupsChanged, error) {
	s.clock.advance(s.page)
	return s.Directory.GroupChanges(ctx, app, after, min(limit, s.limit))
}

// TestTheGuardWaitsForTheRestOfAnOldImport reads an import that was interrupted minutes ago, in parts.
func TestTheGuardWaitsForTheRestOfAnOldImport(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, storetest.New(t), 60)
	g.engine.Sources = func(context.Context, provision.SourceID) (provision.Source, error) {
		return slowFeed{source.Of(g.handle), g.clock, 600 * time.Millisecond, 500}, nil
	}
	ctx := event.WithCause(t.Context(), event.Cause{ID: event.ImportCause + "killed", Words: "Import of users by sam", Now: g.clock.now})
	block := func(from int) {
		for _, id := range g.ids[from : from+4] {
			g.block(ctx, id)
		}
	}
	block(0)
	for n := range 40 {
		g.importRows(func(i int, values map[string]string) bool {
			values["jobTitle"] = fmt.Sprint("Engineer ", n)
			return i >= 8
		}, directory.ImportOptions{})
	}
	block(4)
	g.clock.advance(2 * time.Minute)
	for range 4 {
		g.slice()
	}
	g.wantActive("at the end", 60)
	if h := g.held(); h.Count != 8 || h.Words != "Import of users by sam" {
		t.Errorf("on hold is %+v", h)
	}
}

// TestTheGuardAndWhatWasConfirmed changes settings that disable many people, with the number that an administrator agreed to.
func TestTheGuardAndWhatWasConfirmed(t *testing.T) {
	t.Parallel()
	leaveOut := func(g *guarded, department string, confirmed int) {
		t.Helper()
		scope := []provision.FilterGroup{{Name: "filter", Clauses: []provision.FilterClause{clause("department", "NOT EQUALS", department)}}}
		_, err := g.jobs.SetMapping(g.t.Context(), g.key, userRows, provision.MappingEdit{Scope: &scope, Confirmed: confirmed}, "cli")
		g.must(err)
	}
	t.Run("the_number_goes_through_once", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		leaveOut(g, "Sales", 20)
		g.wantPlanned("before the cycle", 20, 0)
		g.cycle()
		g.wantActive("twenty were confirmed", 40)
		g.nothingHeld("twenty were confirmed")
		// The next change was not confirmed, so the old number does not count for it.
		leaveOut(g, "Support", 0)
		g.cycle()
		g.wantActive("nobody was asked", 60)
		if h := g.held(); h.Count != 40 {
			t.Errorf("on hold is %+v", h)
		}
	})
	t.Run("more_than_the_number_is_held", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		leaveOut(g, "Sales", 19)
		g.wantPlanned("before the cycle", 0, 20)
		g.cycle()
		g.wantActive("nineteen were confirmed", 60)
		if h := g.held(); h.Count != 20 {
			t.Errorf("on hold is %+v", h)
		}
	})
	t.Run("two_changes_before_one_cycle_add_up", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		leaveOut(g, "Nobody", 0)
		g.cycle()
		_, err := g.jobs.SetMapping(t.Context(), g.key, userRows, provision.MappingEdit{ExactCase: &[]string{"displayName"}, Confirmed: 12}, "cli")
		g.must(err)
		leaveOut(g, "Sales", 8)
		g.cycle()
		g.wantActive("twelve and eight were confirmed", 40)
	})
	t.Run("a_change_that_looks_at_nobody_confirms_nothing", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 60)
		_, err := g.jobs.Edit(t.Context(), g.key, func(s *provision.Settings) { s.Status, s.Confirmed = provision.Off, 100 }, "cli")
		g.must(err)
		leaveOut(g, "Sales", 0)
		g.cycle()
		g.wantActive("Provisioning Status was set to Off before", 60)
	})
}

// TestTheGuardStopsAt500 disables 500 and 501 of 5,100 people with one file each.
func TestTheGuardStopsAt500(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, storetest.New(t), 5_100)
	g.importRows(blocking(0, 500), directory.ImportOptions{})
	g.cycle()
	g.wantActive("500 at once", 4_600)
	g.nothingHeld("500 at once")
	g.importRows(blocking(0, 0), directory.ImportOptions{})
	g.cycle()
	g.wantActive("all are back", 5_100)
	g.importRows(blocking(0, 501), directory.ImportOptions{})
	g.cycle()
	g.wantActive("501 at once", 5_100)
	if h := g.held(); h.Count != 501 || h.Links != 5_100 {
		t.Errorf("on hold are %d of %d", h.Count, h.Links)
	}
}

// TestTheGuardCountsTheOperationsOfADayTogether imports files that each block fewer people than the
// limit.
func TestTheGuardCountsTheOperationsOfADayTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGuarded(t, db, 100)
		g.importRows(blocking(0, 9), directory.ImportOptions{})
		g.cycle()
		g.wantActive("after 9 of 100", 91)
		g.clock.advance(12 * time.Hour)
		g.importRows(blocking(0, 18), directory.ImportOptions{})
		g.wantPlanned("the second file of the day", 0, 9)
		g.cycle()
		g.wantActive("after the second file of the day", 91)
		held := g.held()
		if held.Count != 9 || held.Recent != 9 || !strings.Contains(held.Extent(" of"), "9 operations of 100 active accounts, after 9 of other causes in 24 hours") {
			t.Errorf("held: %s", held.Extent(" of"))
		}
		if got := g.events(event.ProvisioningHeld); len(got) != 1 || !strings.Contains(got[0], "9 of other causes were let through in the last 24 hours.") {
			t.Errorf("events: %q", got)
		}
		_, err := g.jobs.Approve(t.Context(), g.key, held.ID, held.Batch, "cli")
		g.must(err)
		g.cycle()
		g.wantActive("after the approval", 82)

		// Single changes are never held, and do not count. What somebody approved does not count, and what
		// happened more than a day ago does not either.
		for i := 18; i < 30; i++ {
			g.block(t.Context(), g.ids[i])
		}
		g.cycle()
		g.wantActive("after twelve single changes", 70)
		g.clock.advance(13 * time.Hour)
		g.importRows(blocking(0, 37), directory.ImportOptions{})
		g.cycle()
		g.wantActive("after a file on the next day", 63)
		g.nothingHeld("after a file on the next day")
	})
}

// withRules makes the job follow Entra's rules with this threshold.
func withRules(threshold int) option {
	return func(s *provision.Settings, _ *provision.FlowTypes) {
		s.Rules, s.DeleteThreshold = provision.RulesEntra, &threshold
	}
}

// TestEntrasRules blocks people at an application whose job follows Entra's rules.
func TestEntrasRules(t *testing.T) {
	t.Parallel()
	t.Run("changes_wait_for_the_next_cycle", func(t *testing.T) {
		t.Parallel()
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			g := newGuarded(t, db, 20, withRules(5))
			g.rest()
			g.clock.advance(10 * time.Minute)
			g.block(t.Context(), g.ids[0])
			g.rest()
			g.wantActive("ten minutes after a cycle", 20)
			g.clock.advance(31 * time.Minute)
			g.rest()
			g.wantActive("after the next cycle", 19)
		})
	})
	t.Run("a_cycle_above_the_threshold_is_a_quarantine", func(t *testing.T) {
		t.Parallel()
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			g := newGuarded(t, db, 100, withRules(5))
			g.rest()
			g.importRows(blocking(0, 3), directory.ImportOptions{})
			for i := 3; i < 6; i++ { // single changes count, too
				g.block(t.Context(), g.ids[i])
			}
			g.importRows(func(i int, values map[string]string) bool {
				if i == 99 {
					values["displayName"] = "Changed"
				}
				return blocking(0, 6)(i, values)
			}, directory.ImportOptions{})
			g.clock.advance(41 * time.Minute)
			g.wantPlanned("before the cycle", 0, 6)
			g.rest()
			g.wantActive("after six of five", 100)
			if got := g.app.user("user099@contoso.example").String("displayName"); got != "Changed" {
				t.Errorf("the other change was not sent: %q", got)
			}
			q := g.report().State.Quarantine
			if q == nil || q.Reason != "TooManyDeletes" || q.Code != "TooManyDeletes" || !q.NextAttempt.Equal(q.Since.Add(6*time.Hour)) || g.report().Code != provision.Quarantined {
				t.Fatalf("quarantine: %+v", q)
			}
			if got := g.events(event.ProvisioningQuarantined); len(got) != 1 || !strings.Contains(got[0], "6 operations that disable or delete are on hold") {
				t.Errorf("events: %q", got)
			}

			// Nothing is sent in quarantine. The next attempt is after six hours, then after twelve.
			g.block(t.Context(), g.ids[50])
			g.clock.advance(time.Hour)
			g.rest()
			g.wantActive("in quarantine", 100)
			g.clock.advance(5 * time.Hour)
			g.rest()
			g.wantActive("after the second attempt", 99) // one more leaver belongs to the next cycle, and is below the threshold
			second := g.report().State.Quarantine
			if second == nil || second.Attempts != 2 || !second.Since.Equal(q.Since) || second.NextAttempt.Before(g.clock.now().Add(11*time.Hour)) || len(g.events(event.ProvisioningQuarantined)) != 1 {
				t.Fatalf("second attempt: %+v, %q", second, g.events(event.ProvisioningQuarantined))
			}

			held := g.held()
			_, err := g.jobs.Approve(t.Context(), g.key, held.ID, held.Batch, "cli")
			g.must(err)
			g.rest()
			g.wantActive("after the approval", 93)
			if r := g.report(); r.State.Quarantine != nil || len(g.events(event.ProvisioningReleased)) != 1 {
				t.Errorf("quarantine: %+v, %q", r.State.Quarantine, g.events(event.ProvisioningReleased))
			}
		})
	})
	t.Run("at_the_threshold_nothing_is_held_however_many_of_all_they_are", func(t *testing.T) {
		t.Parallel()
		for _, threshold := range []int{20, 0} {
			g := newGuarded(t, storetest.New(t), 40, withRules(threshold))
			g.importRows(blocking(0, 20), directory.ImportOptions{})
			g.clock.advance(41 * time.Minute)
			g.rest()
			g.wantActive(fmt.Sprintf("threshold %d", threshold), 20)
			g.nothingHeld("at the threshold")
		}
	})
	t.Run("back_to_Rollcalls_rules", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, storetest.New(t), 40, withRules(5))
		g.importRows(blocking(0, 6), directory.ImportOptions{})
		g.clock.advance(41 * time.Minute)
		g.rest()
		if g.report().State.Quarantine == nil {
			t.Fatal("the job is not in quarantine")
		}
		_, err := g.jobs.Edit(t.Context(), g.key, func(s *provision.Settings) { s.Rules = provision.RulesRollcall }, "cli")
		g.must(err)
		g.block(t.Context(), g.ids[20])
		g.rest()
		g.wantActive("by Rollcall's rules", 39)
		if g.report().State.Quarantine != nil || g.held().Count != 6 {
			t.Errorf("%+v, %+v", g.report().State.Quarantine, g.held())
		}
	})
}

// With Second approval, the rules that let a mass of people be disabled change only on the server.
func TestSecondApprovalProtectsTheRules(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, storetest.New(t), 1)
	on, none := true, 0
	edit := func(actor string, change func(*provision.Settings)) error {
		_, err := g.jobs.Edit(t.Context(), g.key, change, actor)
		return err
	}
	g.must(edit("operator kim", func(s *provision.Settings) { s.SecondApproval = &on }))
	for name, change := range map[string]func(*provision.Settings){
		"rules":     func(s *provision.Settings) { s.Rules = provision.RulesEntra },
		"threshold": func(s *provision.Settings) { s.DeleteThreshold = &none },
	} {
		if err := edit("operator kim", change); err == nil || !strings.Contains(err.Error(), "only on the server") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if job, err := g.jobs.Get(t.Context(), g.key); err != nil || job.Rules != provision.RulesRollcall || job.DeleteThreshold != provision.DefaultDeleteThreshold {
		t.Errorf("%+v %v", job, err)
	}
	g.must(edit("cli", func(s *provision.Settings) { s.Rules = provision.RulesEntra }))
}

// TestTheGuardHoldsTheEndOfAGroup assigns people through a group only. Then the group's assignment
// ends, by one change.
func TestTheGuardHoldsTheEndOfAGroup(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(g *guarded, group string) error{
		"unassigned": func(g *guarded, group string) error {
			_, err := g.handle.Unassign(g.t.Context(), g.acme.ID, []string{group}, "cli")
			return err
		},
		"deleted": func(g *guarded, group string) error {
			_, err := g.handle.SoftDeleteGroup(g.t.Context(), group, "cli")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				g := newGuarded(t, db, 30)
				var groups []string
				for i, members := range [][]string{g.ids[:3], g.ids[3:]} {
					made, _, err := g.handle.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": fmt.Sprintf("Group %d", i)}}, "cli")
					g.must(err)
					_, err = g.handle.AddMembers(t.Context(), made.ObjectID, members, "cli")
					g.must(err)
					_, err = g.handle.Assign(t.Context(), g.acme.ID, []string{made.ObjectID}, "cli")
					g.must(err)
					groups = append(groups, made.ObjectID)
				}
				_, err := g.jobs.Edit(t.Context(), g.key, func(s *provision.Settings) { s.Scope = provision.AssignedOnly }, "cli")
				g.must(err)
				g.cycle()
				g.wantActive("assigned through groups", 30)
				g.must(end(g, groups[0]))
				g.cycle()
				g.wantActive("after the end of a group of three", 27)
				g.nothingHeld("after the end of a group of three")
				g.clock.advance(25 * time.Hour)
				g.must(end(g, groups[1]))
				g.block(t.Context(), g.ids[29]) // a single leaver is not held behind the group
				g.cycle()
				g.wantActive("after the end of the other group", 26)
				held := g.held()
				if held.Count < 26 || !strings.Contains(held.Words, "Group 1 by ") {
					t.Errorf("held: %+v", held)
				}
				_, err = g.jobs.Approve(t.Context(), g.key, held.ID, held.Batch, "cli")
				g.must(err)
				g.cycle()
				g.wantActive("after the approval", 0)
			})
		})
	}
}

// TestAPlanSaysWhySomebodyLosesAccess blocks one person, and leaves another out by a filter.
func TestAPlanSaysWhySomebodyLosesAccess(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, storetest.New(t), 30)
	g.block(t.Context(), g.ids[29])
	why := map[string]string{}
	plan := func() {
		_, err := g.engine.Plan(t.Context(), g.key, func(o provision.PlannedObject) error {
			if o.Action == provision.Disable {
				why[o.ObjectID] = o.Reason
			}
			return nil
		})
		g.must(err)
	}
	plan()
	g.filter(clause("userPrincipalName", "NOT EQUALS", "user028@contoso.example"))
	plan()
	if why[g.ids[29]] != "Blocked from sign-in in the directory." || !strings.HasPrefix(why[g.ids[28]], "No longer in the scoping filters: ") || !strings.Contains(why[g.ids[28]], "userPrincipalName") {
		t.Errorf("reasons: %q", why)
	}
	if got := g.report().State; got.LastSent == nil || got.LastSent.Created != 30 {
		t.Errorf("the last cycle that sent something: %+v", got.LastSent)
	}
	g.cycle()
	sent := g.report().State.LastSent
	g.cycle() // nothing is left to do
	if again := g.report().State; sent == nil || sent.Disabled == 0 || again.LastSent == nil || again.LastSent.ID != sent.ID || again.LastGood.ID == sent.ID {
		t.Errorf("after a cycle that sent nothing: %+v, before: %+v", again.LastSent, sent)
	}
}
