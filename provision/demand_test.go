package provision_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// demand provisions people on demand.
func (w *world) demand(ids ...string) []provision.DemandResult {
	w.t.Helper()
	results, err := w.engine.OnDemand(w.t.Context(), w.key, "test", "cli", ids)
	if err != nil {
		w.t.Fatal(err)
	}
	return results
}

// wantDone checks the action of a result, and that it has Entra's steps.
func wantDone(t *testing.T, r provision.DemandResult, action provision.Action, status provision.Result, steps ...provision.StepType) {
	t.Helper()
	if len(r.Entries) != 1 || r.Waits != "" {
		t.Fatalf("%s: got %d entries; it waits: %q", r.ObjectID, len(r.Entries), r.Waits)
	}
	e := r.Entries[0]
	if e.Action != action || e.Status.Status != status {
		t.Errorf("%s: got %s %s (%s), want %s %s", r.ObjectID, e.Action, e.Status.Status, e.Status.Reason, action, status)
	}
	var got []provision.StepType
	for _, s := range e.Steps {
		got = append(got, s.Type)
	}
	if !slices.Equal(got, steps) {
		t.Errorf("%s: got the steps %v, want %v", r.ObjectID, got, steps)
	}
}

// TestOnDemand provisions people on demand: before the first cycle, while the job is off, after
// failures, and when there is nothing to do.
func TestOnDemand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Lund"))
	w.people.put("bo", person("bo@contoso.com", "Bo", "Lund"))
	all := []provision.StepType{provision.ImportStep, provision.ScopingStep, provision.MatchingStep, provision.ProcessingStep, provision.ExportStep}

	got := w.demand("ada")
	wantDone(t, got[0], provision.Create, provision.Success, all...)
	if w.app.user("ada@contoso.com") == nil {
		t.Fatal("Ada has no account")
	}
	if w.app.user("bo@contoso.com") != nil {
		t.Error("Bo was provisioned too")
	}
	if r := w.report(); r.State.Last != nil || r.State.Phase != provision.Idle {
		t.Errorf("a cycle was begun: %+v", r.State.Last)
	}

	// Nothing has changed. The engine reads the account nevertheless, and the log entry says so.
	w.app.asked()
	wantDone(t, w.demand("ada")[0], provision.Other, provision.Skipped, provision.ImportStep, provision.ScopingStep, provision.MatchingStep, provision.ExportStep)
	if asked := w.app.asked(); !slices.ContainsFunc(asked, func(s string) bool { return strings.HasPrefix(s, "GET /Users/") }) {
		t.Errorf("the account was not read: %q", asked)
	}

	// Somebody changed the account at the application.
	id := w.app.user("ada@contoso.com").String("id")
	w.app.mu.Lock()
	w.app.users[id]["displayName"] = "Someone else"
	w.app.mu.Unlock()
	wantDone(t, w.demand("ada")[0], provision.Update, provision.Success, all...)

	if _, err := w.jobs.Pause(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	w.people.enable("ada", false)
	wantDone(t, w.demand("ada")[0], provision.Disable, provision.Success, all...)
	if active, _ := w.app.user("ada@contoso.com").Bool("active"); active {
		t.Error("the account of Ada is still active")
	}
	w.people.put("cy", person("cy@contoso.com", "Cy", "Lund"))
	w.people.assign("cy", false)
	wantDone(t, w.demand("cy")[0], provision.Other, provision.Skipped, provision.ImportStep, provision.ScopingStep, provision.ExportStep)
}

func TestOnDemandRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name string
		ids  []string
		want string
	}{
		{"nobody", nil, "needs a person or a group"},
		{"a stranger", []string{"nobody"}, "knows nobody with the object id nobody"},
	} {
		_, err := w.engine.OnDemand(t.Context(), w.key, "test", "cli", c.ids)
		var input *provision.InputError
		if !errors.As(err, &input) || !strings.Contains(input.Text, c.want) {
			t.Errorf("%s: got %v, want an InputError with %q", c.name, err, c.want)
		}
	}
	if n := w.report().Pending; n != 0 {
		t.Errorf("%d are on the list", n)
	}
}

// TestOnDemandAtAFaultyApplication checks the results for failures and for work that has to wait.
func TestOnDemandAtAFaultyApplication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Lund"))
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			refuse(rw, http.StatusBadRequest, "", "no room")
			return true
		}
		return false
	}
	got := w.demand("ada")[0]
	if len(got.Entries) != 1 || got.Entries[0].Status.Status != provision.Failure || !strings.Contains(got.Entries[0].Status.Reason, "no room") {
		t.Fatalf("got %+v, want the application's words", got.Entries)
	}
	w.app.answer = nil
	// The next attempt does not wait until the retry is due.
	wantDone(t, w.demand("ada")[0], provision.Create, provision.Success, provision.ImportStep, provision.ScopingStep, provision.MatchingStep, provision.ProcessingStep, provision.ExportStep)
	w.app.Close()
	w.people.set("ada", "city", "Bergen")
	_, err := w.engine.OnDemand(t.Context(), w.key, "test", "cli", []string{"ada"})
	var refused *provision.TargetError
	if !errors.As(err, &refused) {
		t.Errorf("got %v, want a TargetError", err)
	}
}

// TestOnDemandLeavesWhatIsOnHold provisions a person whose operation is on hold together with many
// others. Then it provisions a single leaver.
func TestOnDemandLeavesWhatIsOnHold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGuarded(t, db, 60)
		g.importRows(blocking(0, 30), directory.ImportOptions{})
		g.cycle()
		g.wantActive("30 are on hold", 60)
		got := g.demand(g.ids[3])[0]
		if len(got.Entries) != 0 || got.Name != "user003@contoso.example" || !strings.Contains(got.Waits, "on hold") {
			t.Errorf("got %+v, want that it is on hold", got)
		}
		g.wantActive("one of them was demanded", 60)
		_, err := g.handle.Disable(t.Context(), g.ids[40], "cli")
		g.must(err)
		if got := g.demand(g.ids[40])[0]; len(got.Entries) != 1 || got.Entries[0].Action != provision.Disable {
			t.Errorf("got %+v, want a disable", got)
		}
		g.wantActive("one left", 59)
		if said := g.events(event.ProvisioningOnDemand); len(said) != 2 || !strings.Contains(said[0]+said[1], "Provisioned on demand: User 40") {
			t.Errorf("the audit log says %q", said)
		}
	})
}

// TestOnDemandWhileASliceRuns has whoever holds the job do the work: another process, or the runner
// of the same process. The call does not take the job away from either of them.
func TestOnDemandWhileASliceRuns(t *testing.T) {
	t.Parallel()
	for _, holder := range []string{"server", "test"} {
		t.Run(holder, func(t *testing.T) {
			t.Parallel()
			demandWhileHeld(t, holder)
		})
	}
}

func demandWhileHeld(t *testing.T, holder string) {
	t.Helper()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Lund"))
	epoch, err := w.leases.Claim(t.Context(), provision.LeaseKind, w.key.String(), holder, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan []provision.DemandResult, 1)
	go func() {
		results, err := w.engine.OnDemand(t.Context(), w.key, "test", "cli", []string{"ada"})
		if err != nil {
			t.Error(err)
		}
		done <- results
	}()
	for listed := false; !listed; time.Sleep(time.Millisecond) {
		rows, err := w.store.Demanded(t.Context(), w.key, []string{"ada"})
		if err != nil {
			t.Fatal(err)
		}
		listed = len(rows) == 1
	}
	for {
		if _, err := w.engine.Advance(t.Context(), w.key.String(), epoch); err != nil {
			t.Fatal(err)
		}
		select {
		case results := <-done:
			// The initial cycle that begins at the same time may look at Ada a second time.
			if len(results) != 1 || len(results[0].Entries) == 0 || results[0].Entries[0].Action != provision.Create {
				t.Errorf("got %+v, want a create", results)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestOnDemandForAGroup provisions a group with its members, and no other people.
func TestOnDemandForAGroup(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	g.hire("cy", true)
	team := g.group("Blue", ada, bo)
	got := g.demand(team)
	if len(got) != 3 {
		t.Fatalf("got %d results, want the group and two people", len(got))
	}
	for i, entries := range []int{2, 1, 1} { // the group, and then its members
		if r := got[i]; len(r.Entries) != entries || r.Waits != "" {
			t.Errorf("%s: got %d entries %q, want %d", r.Name, len(r.Entries), r.Waits, entries)
		}
		for _, e := range got[i].Entries {
			if e.Status.Status != provision.Success {
				t.Errorf("%s: got %+v", got[i].Name, e.Status)
			}
		}
	}
	g.expect("Blue: ada bo")
	if g.world.app.user("cy@contoso.example") != nil {
		t.Error("cy was provisioned too")
	}
	g.leave(team, bo)
	g.demand(team)
	g.expect("Blue: ada")
}

// TestOnDemandSendsTheManagerToo provisions a new person whose manager has an account, in one call.
func TestOnDemandSendsTheManagerToo(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.mapManager()
	boss, ada := g.hire("boss", true), g.hire("ada", true)
	g.manage(ada, boss)
	g.demand(boss)
	got := g.demand(ada)[0]
	if got.Waits != "" || len(got.Entries) != 2 {
		t.Errorf("got %d entries, it waits: %q; want a create and the manager", len(got.Entries), got.Waits)
	}
	account, id := string(encode(g.app.user("ada@contoso.example"))), g.app.user("boss@contoso.example").String("id")
	if !strings.Contains(account, id) {
		t.Errorf("the account of Ada is %s, want the id %s of her manager in it", account, id)
	}
}
