package provision_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
)

// keptPlan makes a plan and stores it.
func (w *world) keptPlan() provision.StoredPlan {
	w.t.Helper()
	p, err := w.engine.BeginPlan(w.t.Context(), w.key, "sam")
	if err != nil {
		w.t.Fatal(err)
	}
	if p, err = w.engine.FillPlan(w.t.Context(), p, nil); err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) plannedRows(p provision.StoredPlan) map[string]provision.PlannedRow {
	w.t.Helper()
	rows, err := w.engine.PlannedRows(w.t.Context(), p, provision.PlanFilter{All: true, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	byID := map[string]provision.PlannedRow{}
	for _, r := range rows {
		byID[r.ObjectID] = r
	}
	return byID
}

func (w *world) approvePlan(p provision.StoredPlan) {
	w.t.Helper()
	if _, err := w.engine.ApprovePlan(w.t.Context(), w.key, p.Hash[:8], "kim"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) applyPlan(p provision.StoredPlan) (provision.StoredPlan, provision.PlanCounts) {
	w.t.Helper()
	p, counts, err := w.engine.ApplyPlan(w.t.Context(), w.key, p.Hash, "test", "kim", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return p, counts
}

// off switches provisioning off.
func off(s *provision.Settings, _ *provision.FlowTypes) { s.Status = provision.Off }

// TestKeptPlans makes, approves and applies plans.
func TestKeptPlans(t *testing.T) {
	t.Parallel()
	inputError := func(t *testing.T, err error, words string) {
		t.Helper()
		var input *provision.InputError
		if !errors.As(err, &input) || !strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want %q", err, words)
		}
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db, off)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
		w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
		w.people.put("p3", person("cy@contoso.com", "Cy", "Young"))
		p := w.keptPlan()
		if p.State != provision.PlanReady || p.Report.Creates != 3 || len(p.Hash) != 64 || p.MadeBy != "sam" || !p.Expires.Equal(epoch.Add(24*time.Hour)) && p.Expires.Before(epoch) {
			t.Errorf("made %+v", p)
		}
		if again := w.keptPlan(); again.Hash != p.Hash {
			t.Errorf("two plans of the same operations have the hashes %s and %s", p.Hash, again.Hash)
		}
		if w.app.writes() != 0 {
			t.Error("making a plan changed the application")
		}
		_, _, err := w.engine.ApplyPlan(t.Context(), w.key, p.Hash, "test", "kim", nil)
		inputError(t, err, "is not approved yet")
		w.approvePlan(p)
		_, err = w.engine.ApprovePlan(t.Context(), w.key, p.Hash, "kim")
		inputError(t, err, "is approved already")

		// Before the plan is applied, Cy changes and a new person joins.
		w.people.set("p3", "city", "Bergen")
		w.people.put("p4", person("di@contoso.com", "Di", "Late"))
		p, counts := w.applyPlan(p)
		if counts.Sent != 2 || counts.LeftOut != 1 || counts.Due != 0 || p.State != provision.PlanApplied {
			t.Errorf("applied %+v: %+v", p, counts)
		}
		if len(w.app.users) != 2 || w.app.user("cy@contoso.com") != nil || w.app.user("di@contoso.com") != nil {
			t.Errorf("accounts %v", w.app.users)
		}
		rows := w.plannedRows(p)
		if r := rows["p3"]; r.Outcome != provision.PlanLeftOut || !strings.Contains(r.OutcomeText, "changed after the plan was made") || r.DisplayName != "Cy Young" {
			t.Errorf("left out %+v", r)
		}
		if r := rows["p1"]; r.Outcome != provision.PlanSent || r.OutcomeText != "" {
			t.Errorf("sent %+v", r)
		}
		_, _, err = w.engine.ApplyPlan(t.Context(), w.key, p.Hash, "test", "kim", nil)
		inputError(t, err, "is applied already")

		// The changes that were left out are in the next plan.
		next := w.keptPlan()
		if next.Report.Creates != 2 || next.Report.Updates != 0 {
			t.Errorf("next plan %+v", next.Report)
		}
		w.approvePlan(next)
		if _, counts = w.applyPlan(next); counts.Sent != 2 || len(w.app.users) != 4 {
			t.Errorf("applied %+v", counts)
		}
		if last := w.keptPlan(); last.Report.Operations() != 0 {
			t.Errorf("after all was applied, a plan has %+v", last.Report)
		}
	})
}

// TestAPlanIsTooLate refuses plans that can no longer be applied.
func TestAPlanIsTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
	refused := func(p provision.StoredPlan, words string) {
		t.Helper()
		if _, err := w.engine.ApprovePlan(t.Context(), w.key, p.Hash, "kim"); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want %q", err, words)
		}
	}
	p := w.keptPlan()
	w.setActions(provision.FlowAdd)
	refused(p, "was made with other settings")
	p = w.keptPlan()
	w.clock.advance(24 * time.Hour)
	refused(p, "has expired")
	p = w.keptPlan()
	if _, err := w.engine.CancelPlan(t.Context(), w.key, p.Hash, "kim"); err != nil {
		t.Fatal(err)
	}
	refused(p, "is cancelled already")
	if _, err := w.engine.FindPlan(t.Context(), w.key, "abcdef"); !errors.Is(err, provision.ErrNoPlan) {
		t.Errorf("got %v", err)
	}

	// A plan whose process died does not prevent the next plan.
	if _, err := w.engine.BeginPlan(t.Context(), w.key, "sam"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.BeginPlan(t.Context(), w.key, "sam"); err == nil || !strings.Contains(err.Error(), "is being made already") {
		t.Errorf("got %v", err)
	}
	w.clock.advance(3 * time.Minute)
	if found, err := w.engine.FindPlan(t.Context(), w.key, ""); err != nil || found.State != provision.PlanBroken || !strings.Contains(found.Problem, "interrupted") {
		t.Errorf("got %+v, %v", found, err)
	}
	if w.keptPlan().Report.Creates != 1 {
		t.Error("no plan after an interrupted one")
	}

	// The result shows what the application refuses.
	w.app.mu.Lock()
	w.app.token = "other"
	w.app.mu.Unlock()
	begun, err := w.engine.BeginPlan(t.Context(), w.key, "sam")
	if err != nil {
		t.Fatal(err)
	}
	var refusal *provision.TargetError
	if broken, err := w.engine.FillPlan(t.Context(), begun, nil); !errors.As(err, &refusal) || broken.State != provision.PlanBroken || broken.Problem == "" {
		t.Errorf("got %+v, %v", broken, err)
	}
	for range 2 * provision.KeptPlans {
		begun, err := w.engine.BeginPlan(t.Context(), w.key, "sam")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.engine.FillPlan(t.Context(), begun, nil); err == nil {
			t.Fatal("the application answered")
		}
	}
	if all, err := w.engine.ListPlans(t.Context(), w.key); err != nil || len(all) != provision.KeptPlans {
		t.Errorf("%d plans are kept, %v", len(all), err)
	}
}

// TestAnApprovedPlanTakesAway applies a plan that disables more people than the guard allows. No
// other person loses access. After the plan is cancelled in the middle, nothing more is sent.
func TestAnApprovedPlanTakesAway(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]bool{"applied": false, "cancelled": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t, storetest.New(t), 130, off) // more people than requests that can be under way at the same time
			g.importRows(blocking(0, 120), directory.ImportOptions{})
			p := g.keptPlan()
			if p.Report.OnHold != 120 || p.Report.Operations() != 120 {
				t.Fatalf("planned %+v", p.Report)
			}
			// One of these people comes back before the plan is applied.
			g.importRows(func(i int, values map[string]string) bool { return i == 3 || blocking(0, 120)(i, values) }, directory.ImportOptions{})
			g.approvePlan(p)
			if cancel {
				ctx, stop := context.WithCancel(t.Context())
				stopAfter(g.world, 5, stop)
				_, _, err := g.engine.ApplyPlan(ctx, g.key, p.Hash, "test", "kim", nil)
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("got %v", err)
				}
				if _, err := g.engine.CancelPlan(t.Context(), g.key, p.Hash, "kim"); err != nil {
					t.Fatal(err)
				}
				g.app.answer = nil
				before := g.active()
				if before <= 11 || before >= 130 {
					t.Fatalf("%d accounts are active after the plan was cancelled in the middle", before)
				}
				if left := g.report().Pending; left != 0 {
					t.Errorf("%d are on the list", left)
				}
				// The next cycle lets the guard judge the remaining operations.
				g.cycle()
				if after := g.active(); after != before {
					t.Errorf("a cycle disabled %d more: the guard did not see them", before-after)
				}
				return
			}
			_, counts := g.applyPlan(p)
			if counts.Sent != 119 || counts.LeftOut != 1 || g.active() != 11 {
				t.Errorf("applied %+v, %d accounts are active", counts, g.active())
			}
			if r := g.plannedRows(p)[g.ids[3]]; r.Outcome != provision.PlanLeftOut || r.OutcomeText != "Nothing has to be sent any more." {
				t.Errorf("who came back: %+v", r)
			}
			if r := g.report(); r.OnHold != 0 || r.Pending != 0 {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// TestALongPlanIsNotTakenForInterrupted has an application that answers late. In the meantime no
// object is added to the plan.
func TestALongPlanIsNotTakenForInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
	begun, err := w.engine.BeginPlan(t.Context(), w.key, "sam")
	if err != nil {
		t.Fatal(err)
	}
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Query().Get("filter"), "ada@contoso.com") {
			once.Do(func() { close(asked) })
			<-answer
		}
		return false
	}
	done := make(chan error, 1)
	go func() {
		_, err := w.engine.FillPlan(t.Context(), begun, nil)
		done <- err
	}()
	<-asked
	w.clock.advance(time.Hour)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		p, err := w.engine.FindPlan(t.Context(), w.key, "")
		if err != nil {
			t.Fatal(err)
		}
		if p.State == provision.PlanMaking {
			break
		}
		if time.Now().After(end) {
			t.Errorf("a plan that is being made is shown as %s: %s", p.State, p.Problem)
			break
		}
	}
	close(answer)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestAPlanOfWhatIsOnHold applies or cancels a plan whose operations the guard already holds.
func TestAPlanOfWhatIsOnHold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGuarded(t, db, 130) // more people than requests that can be under way at the same time
		g.importRows(blocking(0, 120), directory.ImportOptions{})
		g.cycle()
		g.wantActive("held", 130)
		held := g.held()
		p := g.keptPlan()
		if p.Report.OnHold != 120 {
			t.Fatalf("planned %+v", p.Report)
		}
		g.approvePlan(p)
		ctx, stop := context.WithCancel(t.Context())
		stopAfter(g.world, 4, stop)
		if _, _, err := g.engine.ApplyPlan(ctx, g.key, p.Hash, "test", "kim", nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		g.world.app.answer = nil
		if _, err := g.engine.CancelPlan(t.Context(), g.key, p.Hash, "kim"); err != nil {
			t.Fatal(err)
		}
		before := g.active()
		if now := g.held(); now.ID != held.ID || now.Count != before-10 || before <= 10 || before >= 130 {
			t.Errorf("%d accounts are active, and on hold is %+v", before, now)
		}
		g.cycle()
		g.wantActive("after a cycle", before)

		again := g.keptPlan()
		g.approvePlan(again)
		if _, counts := g.applyPlan(again); counts.Sent != before-10 {
			t.Errorf("applied %+v", counts)
		}
		g.wantActive("applied", 10)
		g.nothingHeld("applied")
		for name, want := range map[string][]string{
			event.ProvisioningPlanApproved:  {"Plan " + p.Short() + " was approved: 0 to create, 0 to update, 0 to disable, 0 to delete, 120 on hold.", "Plan " + again.Short() + " was approved: 0 to create"},
			event.ProvisioningPlanCancelled: {"Plan " + p.Short() + " was cancelled."},
			event.ProvisioningPlanApplied:   {fmt.Sprintf("Plan %s was applied: %d sent, 0 failed, 0 left out", again.Short(), before-10)},
		} {
			said := strings.Join(g.events(name), " ")
			for _, words := range want {
				if !strings.Contains(said, words) {
					t.Errorf("%s says %q, want %q", name, said, words)
				}
			}
		}
	})
}

// TestACancelledPlanGivesFailuresBackToTheGuard cancels a plan. Some of its operations were sent
// and failed. Operations that were on hold before are on hold again. The others are tried again if
// the mappings still need them.
func TestACancelledPlanGivesFailuresBackToTheGuard(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGuarded(t, db, 20)
		g.importRows(blocking(0, 15), directory.ImportOptions{})
		g.cycle()
		g.wantActive("held", 20)
		before := g.held()
		for i, title := range map[int]string{16: "Wanted", 17: "Unwanted"} {
			_, _, err := g.handle.PutUser(t.Context(), g.with(g.ids[i], "jobTitle", title), "cli")
			g.must(err)
		}
		p := g.keptPlan()
		if p.Report.OnHold != 15 || p.Report.Updates != 2 {
			t.Fatalf("planned %+v", p.Report)
		}
		g.approvePlan(p)
		// Requests about person 1 and about the titles fail with a temporary error. Then the
		// request about person 14 has to wait, so the plan stays open.
		failing, waiting := []string{g.targetID(1), g.targetID(16), g.targetID(17)}, g.targetID(14)
		var failures sync.WaitGroup
		failures.Add(len(failing))
		g.world.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
			switch id := path.Base(r.URL.Path); {
			case r.Method != http.MethodPatch:
				return false
			case slices.Contains(failing, id):
				w.WriteHeader(http.StatusServiceUnavailable)
				failures.Done()
				return true
			case id == waiting:
				failures.Wait()
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
			return false
		}
		_, counts := g.applyPlan(p) // a pause may delay more than one operation
		if counts.Failed != 3 || counts.Due == 0 || counts.Sent+counts.Due != 14 {
			t.Fatalf("applied %+v", counts)
		}
		active, onHold := 20-counts.Sent, counts.Due+1
		g.wantActive("applied", active)
		if r := g.plannedRows(p)[g.ids[1]]; r.Outcome != provision.PlanFailed {
			t.Fatalf("the operation that fails is %+v", r)
		}
		failed := g.escrowOf(g.ids[1])
		if _, err := g.engine.CancelPlan(t.Context(), g.key, p.Hash, "kim"); err != nil {
			t.Fatal(err)
		}
		g.world.app.answer = nil
		g.clock.advance(2 * time.Hour)
		if h := g.held(); h.ID != before.ID || h.Count != onHold || h.Batch <= before.Batch || h.Reasons[0].Count != onHold || h.Reasons[0].Reason != before.Reasons[0].Reason {
			t.Errorf("on hold is %+v, was %+v", h, before)
		}
		if _, err := g.jobs.Approve(t.Context(), g.key, before.ID, before.Batch, "kim"); !errors.Is(err, provision.ErrChanged) {
			t.Errorf("a page of before the plan approves, %v", err)
		}
		_, _, err := g.handle.PutUser(t.Context(), g.with(g.ids[17], "jobTitle", ""), "cli")
		g.must(err)
		g.cycle()
		g.cycle()
		g.wantActive("after two cycles", active)
		if now := g.escrowOf(g.ids[1]); now.Count != failed.Count || now.Reason != failed.Reason || !now.First.Equal(failed.First) {
			t.Errorf("the failure is %+v, was %+v", now, failed)
		}
		if r := g.report(); r.OnHold != onHold || r.Escrowed != 1 || r.Pending != 0 {
			t.Errorf("report %+v", r)
		}
		for i, want := range map[int]string{16: "Wanted", 17: ""} {
			if got := g.app.user(fmt.Sprintf("user%03d@contoso.example", i)).String("title"); got != want {
				t.Errorf("person %d has the title %q, want %q", i, got, want)
			}
		}
		if _, err := g.jobs.Approve(t.Context(), g.key, before.ID, provision.AnyBatch, "kim"); err != nil {
			t.Fatal(err)
		}
		g.cycle()
		g.wantActive("approved", 5)
		if r := g.report(); r.OnHold != 0 || r.Escrowed != 0 || r.Pending != 0 {
			t.Errorf("report %+v", r)
		}
	})
}

// targetID returns the id of the account of a person.
func (g *guarded) targetID(i int) string {
	g.t.Helper()
	known, err := g.store.KnownAbout(g.t.Context(), g.key, g.ids[i])
	g.must(err)
	return known.Link.TargetID
}

// escrowOf returns a person's entry in the retry queue.
func (g *guarded) escrowOf(id string) provision.Escrow {
	g.t.Helper()
	known, err := g.store.KnownAbout(g.t.Context(), g.key, id)
	g.must(err)
	if known.Escrow == nil {
		g.t.Fatalf("%s is not in the retry queue", id)
	}
	return *known.Escrow
}

// TestAPlanAfterARestart makes and applies a plan after a restart. Both read every account.
func TestAPlanAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
	w.cycle()
	w.app.mu.Lock()
	w.app.users["u1"]["displayName"] = "Changed at the application"
	w.app.mu.Unlock()
	if p := w.keptPlan(); p.Report.Operations() != 0 {
		t.Errorf("planned %+v", p.Report)
	}
	if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	p := w.keptPlan()
	w.approvePlan(p)
	if _, counts := w.applyPlan(p); counts.Sent != 1 || w.app.user("ada@contoso.com").String("displayName") != "Ada Lund" {
		t.Errorf("applied %+v: %v", counts, w.app.users)
	}
}

// stopAfter calls stop when the application gets its nth PATCH.
func stopAfter(w *world, n int, stop func()) {
	var writes atomic.Int32
	w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && int(writes.Add(1)) == n {
			stop()
		}
		return false
	}
}

// as returns a context in which an operator acts, and the operator's label.
func as(ctx context.Context, id, name string) (context.Context, string) {
	a := event.Actor{Kind: event.Operator, ID: id, Name: name}
	return event.WithActor(ctx, a), a.Label()
}

// TestASecondOperatorApproves has the setting on. Nobody approves a plan of their own, and whoever
// cannot be told apart approves none.
func TestASecondOperatorApproves(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db, off)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
		set := func(on bool, actor string) error {
			_, err := w.jobs.Edit(t.Context(), w.key, func(s *provision.Settings) { s.SecondApproval = &on }, actor)
			return err
		}
		refused := func(err error, words string) {
			t.Helper()
			var input *provision.InputError
			if !errors.As(err, &input) || !strings.Contains(err.Error(), words) {
				t.Errorf("got %v, want %q", err, words)
			}
		}
		kim, kimLabel := as(t.Context(), "o1", "kim")
		sam, samLabel := as(t.Context(), "o2", "sam")
		makePlan := func(ctx context.Context, actor string) provision.StoredPlan {
			t.Helper()
			p, err := w.engine.BeginPlan(ctx, w.key, actor)
			if err == nil {
				p, err = w.engine.FillPlan(ctx, p, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		approve := func(ctx context.Context, p provision.StoredPlan, actor string) error {
			_, err := w.engine.ApprovePlan(ctx, w.key, p.ID, actor)
			return err
		}
		// A plan that its maker approved before is not applied after the setting is on.
		early := makePlan(kim, kimLabel)
		if err := approve(kim, early, kimLabel); err != nil {
			t.Fatal(err)
		}
		if err := set(true, kimLabel); err != nil {
			t.Fatal(err)
		}
		_, _, err := w.engine.ApplyPlan(kim, w.key, early.ID, "test", kimLabel, nil)
		refused(err, "was made with other settings")

		p := makePlan(kim, kimLabel)
		_, _, err = w.engine.ApplyPlan(kim, w.key, p.ID, "test", kimLabel, nil)
		refused(err, "An operator other than the one who made it has to approve it on its page")
		refused(approve(kim, p, kimLabel), "was made by you. Another operator has to approve it")
		refused(approve(t.Context(), p, "cli"), "the command line and API keys do not show who you are")
		refused(approve(t.Context(), p, samLabel), "the command line and API keys do not show who you are")
		refused(approve(event.WithActor(t.Context(), event.Actor{Kind: event.APIKey, ID: "k1", Name: "key"}), p, "key:key"), "the command line and API keys do not show who you are")
		again, againLabel := as(t.Context(), "o3", "Kim")
		refused(approve(again, p, againLabel), "was made by you")
		renamed, renamedLabel := as(t.Context(), "o1", "kimberly")
		refused(approve(renamed, p, renamedLabel), "was made by you")
		refused(approve(sam, makePlan(t.Context(), "cli"), samLabel), "Make it again on its page")
		// Somebody is told of the plan that another operator can approve, and of no other.
		if texts := w.eventTexts(event.ProvisioningPlanWaits); len(texts) != 1 || !strings.Contains(texts[0], "Plan "+p.Short()+", made by kim (operator), waits for the approval of another operator: 1 to create") {
			t.Errorf("events %q", texts)
		}

		// Only the command line switches it off, and not in order to approve a plan that exists.
		refused(set(false, kimLabel), "can be switched off only on the server")
		p = makePlan(kim, kimLabel)
		if err := set(false, "cli"); err != nil {
			t.Fatal(err)
		}
		refused(approve(kim, p, kimLabel), "was made with other settings")
		if err := set(true, "cli"); err != nil {
			t.Fatal(err)
		}

		p = makePlan(kim, kimLabel)
		if err := approve(sam, p, samLabel); err != nil {
			t.Fatal(err)
		}
		p, counts, err := w.engine.ApplyPlan(kim, w.key, p.ID, "test", kimLabel, nil)
		if err != nil || counts.Sent != 1 || p.ApprovedBy != samLabel || p.MadeBy != kimLabel || w.app.user("ada@contoso.com") == nil {
			t.Errorf("applied %+v, %+v, %v", p, counts, err)
		}
		all, err := store.Events{DB: db}.Recent(t.Context(), event.Directory(string(w.key.Directory)), "", event.Position{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, e := range all {
			if e.Name == event.ProvisioningPlanApproved && e.By.ID == "o2" || strings.Contains(e.Text, "Second approval") {
				said = append(said, e.Actor+" "+e.Text)
			}
		}
		if got := strings.Join(said, "\n"); !strings.Contains(got, samLabel+" Plan "+p.Short()+", made by kim (operator), was approved: 1 to create") || !strings.Contains(got, "cli Second approval set to off.") {
			t.Errorf("the events are %q", got)
		}
	})
}

// TestOneOperatorDoesNotApproveWhatIsOnHold has the setting on. What is on hold is approved with a
// plan, and the agreement of one operator to a change of the settings lets nothing pass.
func TestOneOperatorDoesNotApproveWhatIsOnHold(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, storetest.New(t), 30)
	on := true
	_, err := g.jobs.Edit(t.Context(), g.key, func(s *provision.Settings) { s.SecondApproval = &on }, "cli")
	g.must(err)
	g.importRows(blocking(0, 20), directory.ImportOptions{})
	g.cycle()
	g.wantActive("held", 30)
	held := g.held()
	var input *provision.InputError
	if _, err := g.jobs.Approve(t.Context(), g.key, held.ID, provision.AnyBatch, "cli"); !errors.As(err, &input) || !strings.Contains(err.Error(), "Make a plan") {
		t.Errorf("got %v", err)
	}
	g.cycle()
	g.wantActive("still held", 30)
	kim, kimLabel := as(t.Context(), "o1", "kim")
	p, err := g.engine.BeginPlan(kim, g.key, kimLabel)
	g.must(err)
	p, err = g.engine.FillPlan(kim, p, nil)
	g.must(err)
	if p.Report.OnHold != 20 {
		t.Fatalf("planned %+v", p.Report)
	}
	sam, samLabel := as(t.Context(), "o2", "sam")
	_, err = g.engine.ApprovePlan(sam, g.key, p.ID, samLabel)
	g.must(err)
	g.applyPlan(p)
	g.wantActive("applied", 10)
	g.nothingHeld("applied")

	// One operator agrees that a change of the mapping disables nine more.
	scope := []provision.FilterGroup{{Name: "filter", Clauses: []provision.FilterClause{{SourceOperandName: "userPrincipalName", OperatorName: "EQUALS", TargetOperand: provision.FilterOperand{Values: []string{"user029@contoso.example"}}}}}}
	_, err = g.jobs.SetMapping(t.Context(), g.key, userRows, provision.MappingEdit{Scope: &scope, Confirmed: 9}, kimLabel)
	g.must(err)
	if report, err := g.engine.Plan(t.Context(), g.key, func(provision.PlannedObject) error { return nil }); err != nil || report.OnHold != 9 || report.Disables != 0 {
		t.Errorf("planned %+v, %v", report, err)
	}
	g.cycle()
	g.wantActive("confirmed by one", 10)
}

// TestOnePlanAtATime applies a plan while an operation of another one has to wait.
func TestOnePlanAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, off)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
	first := w.keptPlan()
	w.people.put("p2", person("bo@contoso.com", "Bo", "Lund"))
	second := w.keptPlan()
	w.approvePlan(first)
	w.approvePlan(second)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			rw.Header().Set("Retry-After", "3600")
			refuse(rw, http.StatusTooManyRequests, "", "Slow down.")
			return true
		}
		return false
	}
	if _, counts := w.applyPlan(first); counts.Due != 1 {
		t.Fatalf("applied %+v", counts)
	}
	if _, _, err := w.engine.ApplyPlan(t.Context(), w.key, second.Hash, "test", "kim", nil); err == nil || !strings.Contains(err.Error(), "cannot be applied while the plan "+first.Short()+" is being applied") {
		t.Errorf("got %v", err)
	}
	w.app.answer = nil
	w.clock.advance(2 * time.Hour)
	for _, p := range []provision.StoredPlan{first, second} {
		if p, _ := w.applyPlan(p); p.State != provision.PlanApplied {
			t.Errorf("%+v", p)
		}
	}
}

// TestAnApprovedPlanIsNotHidden makes the same plan again and again after somebody has approved one.
func TestAnApprovedPlanIsNotHidden(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db, off)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
		approved := w.keptPlan()
		w.approvePlan(approved)
		for range 2 * provision.KeptPlans {
			if again := w.keptPlan(); again.Hash != approved.Hash {
				t.Fatalf("another plan: %s", again.Hash)
			}
		}
		if found, err := w.engine.FindPlan(t.Context(), w.key, approved.Hash[:8]); err != nil || found.ID != approved.ID {
			t.Errorf("found %+v, %v", found, err)
		}
		all, err := w.engine.ListPlans(t.Context(), w.key)
		if err != nil || len(all) > provision.KeptPlans+1 {
			t.Errorf("%d plans are kept, %v", len(all), err)
		}
		if _, counts := w.applyPlan(approved); counts.Sent != 1 {
			t.Errorf("applied %+v", counts)
		}
	})
}

// TestAPlanLeavesNobodyOutWhoseAccountWasNotRead applies a plan at an application that answers no
// question for a while. The plan then goes on: a question without an answer is no change.
func TestAPlanLeavesNobodyOutWhoseAccountWasNotRead(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]func(http.ResponseWriter){
		"a pause": func(rw http.ResponseWriter) {
			rw.Header().Set("Retry-After", "3600")
			refuse(rw, http.StatusTooManyRequests, "", "Slow down.")
		},
		"another answer": func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, off)
			w.app.add(scim.Resource{"userName": "ada@contoso.com", "active": true})
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
			p := w.keptPlan()
			if p.Report.Updates != 1 {
				t.Fatalf("the plan: %+v", p.Report)
			}
			w.approvePlan(p)
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				asks := r.Method == http.MethodGet && strings.Contains(r.URL.RawQuery, "ada")
				if asks {
					refusal(rw)
				}
				return asks
			}
			_, counts, err := w.engine.ApplyPlan(t.Context(), w.key, p.Hash, "test", "kim", nil)
			if counts.LeftOut != 0 || counts.Sent != 0 {
				t.Fatalf("applied %+v, %v: nothing has changed", counts, err)
			}
			if name == "a pause" && counts.Due != 1 {
				t.Fatalf("applied %+v: the update has to wait", counts)
			}
			w.app.answer = nil
			w.clock.advance(2 * time.Hour)
			if name == "a pause" {
				if p, counts := w.applyPlan(p); p.State != provision.PlanApplied || counts.Sent != 1 {
					t.Errorf("%+v, %+v", p, counts)
				}
			}
		})
	}
}
