package provision_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// scheduleDrift changes the schedule of comparisons.
func (w *world) scheduleDrift(every provision.DriftInterval, policy provision.DriftPolicy) {
	w.t.Helper()
	if _, err := w.engine.EditDriftSchedule(w.t.Context(), w.key, func(s *provision.DriftSchedule) error {
		s.Every, s.Policy = every, policy
		return nil
	}, "sam"); err != nil {
		w.t.Fatal(err)
	}
}

// advanceDrift works on the schedule as a server would, and returns when to do so again and how it
// went.
func (w *world) advanceDrift() (next time.Time, s provision.DriftSchedule) {
	w.t.Helper()
	next, err := w.engine.AdvanceDrift(w.t.Context(), w.key.String(), "test")
	if err != nil {
		w.t.Fatal(err)
	}
	if s, err = w.store.DriftSchedule(w.t.Context(), w.key); err != nil || !s.Started.IsZero() {
		w.t.Fatalf("schedule %+v, %v", s, err)
	}
	return next, s
}

// lastDrift returns the id of the last comparison.
func (w *world) lastDrift() string {
	w.t.Helper()
	r, err := w.store.LastDrift(w.t.Context(), w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.ID
}

// TestDriftOnASchedule compares an application every day, with each policy.
func TestDriftOnASchedule(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
		w.cycle()
		name := func() string { return w.app.user("ada@contoso.com").String("displayName") }
		if next, _ := w.advanceDrift(); !next.IsZero() || w.lastDrift() != "" {
			t.Errorf("without a schedule: due at %s, comparison %q", next, w.lastDrift())
		}
		if _, err := w.engine.EditDriftSchedule(t.Context(), w.key, func(s *provision.DriftSchedule) error {
			s.Every = "hourly"
			return nil
		}, "sam"); !errors.As(err, new(*provision.InputError)) {
			t.Errorf("an unknown interval: %v", err)
		}
		w.scheduleDrift(provision.DriftDaily, provision.DriftReports)
		w.scheduleDrift(provision.DriftDaily, provision.DriftReports) // changes nothing
		if texts := w.eventTexts(event.ProvisioningDriftScheduled); len(texts) != 1 || texts[0] != "sam: The application is compared with what provisioning wrote: every day. Policy: report only." {
			t.Errorf("events %q", texts)
		}
		next, _ := w.advanceDrift()
		first := w.lastDrift()
		if first == "" || !next.After(w.clock.now().Add(23*time.Hour)) {
			t.Fatalf("the first comparison %q, the next at %s", first, next)
		}

		w.app.set("ada@contoso.com", "displayName", "Countess")
		w.clock.advance(12 * time.Hour)
		if w.advanceDrift(); w.lastDrift() != first {
			t.Error("it compares before a day is over")
		}
		w.clock.advance(13 * time.Hour)
		_, s := w.advanceDrift()
		if w.lastDrift() == first || name() != "Countess" || s.Done != "" || len(w.eventTexts(event.ProvisioningDrift)) != 1 {
			t.Errorf("report: %q, %+v, events %q", name(), s, w.eventTexts(event.ProvisioningDrift))
		}

		w.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
		w.clock.advance(25 * time.Hour)
		if _, s = w.advanceDrift(); name() != "Ada Smith" || !strings.Contains(s.Done, "1 sent, 0 failed, 0 left out") {
			t.Errorf("re-assert: %q, %+v", name(), s)
		}
		w.app.set("ada@contoso.com", "displayName", "Countess")
		if _, err := w.jobs.Pause(t.Context(), w.key, "sam"); err != nil {
			t.Fatal(err)
		}
		w.clock.advance(25 * time.Hour)
		if _, s = w.advanceDrift(); name() != "Countess" || !strings.Contains(s.Done, "paused") {
			t.Errorf("re-assert while it is paused: %q, %+v", name(), s)
		}
		if _, err := w.jobs.Start(t.Context(), w.key, "sam"); err != nil {
			t.Fatal(err)
		}

		w.scheduleDrift(provision.DriftWeekly, provision.DriftAdopts)
		w.clock.advance(25 * time.Hour)
		last := w.lastDrift()
		if w.advanceDrift(); w.lastDrift() != last {
			t.Error("it compares before a week is over")
		}
		// Somebody asks: that only reports. A second request has to wait.
		if err := w.engine.AskForDrift(t.Context(), w.key, "kim"); err != nil {
			t.Fatal(err)
		}
		if err := w.engine.AskForDrift(t.Context(), w.key, "sam"); !errors.As(err, new(*provision.InputError)) {
			t.Errorf("asked twice: %v", err)
		}
		_, s = w.advanceDrift()
		if r, err := w.store.LastDrift(t.Context(), w.key); err != nil || r.By != "kim" || r.Changed != 1 || !s.Asked.IsZero() || s.Done != "" {
			t.Errorf("on request: %+v, %v; %+v", r, err, s)
		}
		// The application does not answer: it is asked again after a while.
		w.app.answer = func(rw http.ResponseWriter, _ *http.Request) bool {
			refuse(rw, http.StatusServiceUnavailable, "", "Closed for today.")
			return true
		}
		w.clock.advance(8 * 24 * time.Hour)
		next, s = w.advanceDrift()
		if s.Problem == "" || !next.After(w.clock.now()) {
			t.Errorf("without an answer: %+v, next %s", s, next)
		}
		w.app.answer = nil
		w.clock.advance(2 * time.Hour)
		if _, s = w.advanceDrift(); s.Problem != "" || name() != "Countess" || !strings.Contains(s.Done, "adopted, of accounts or groups: 1") && !strings.Contains(s.Done, "were adopted: 1") {
			t.Errorf("adopt: %q, %+v", name(), s)
		}
		if report, found := w.drift(); report.Changed != 0 || len(found) != 0 {
			t.Errorf("after it was adopted: %+v, %v", report, found)
		}
	})
}

// TestReassertWaitsForApproval has a plan of a schedule that disables more accounts than the guard
// lets through.
func TestReassertWaitsForApproval(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		leavers := []string{"l1", "l2", "l3", "l4", "l5", "l6"}
		for _, id := range leavers {
			w.people.put(id, person(id+"@contoso.com", id, "Smith"))
		}
		w.cycle()
		for _, id := range leavers {
			w.people.enable(id, false)
		}
		w.cycle()
		for _, id := range leavers {
			if isActive(t, w, id+"@contoso.com") {
				t.Fatalf("%s was not disabled", id)
			}
			w.app.set(id+"@contoso.com", "active", true)
		}
		w.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
		_, s := w.advanceDrift()
		if !strings.Contains(s.Done, "would take access away from 6 accounts, so it waits for your approval") || !isActive(t, w, "l1@contoso.com") {
			t.Fatalf("schedule %+v", s)
		}
		plans, err := w.engine.ListPlans(t.Context(), w.key)
		if err != nil || len(plans) != 2 || plans[0].State != provision.PlanReady || plans[1].State != provision.PlanCancelled {
			t.Fatalf("plans %+v, %v", plans, err)
		}
		w.approvePlan(plans[0])
		if _, counts := w.applyPlan(plans[0]); counts.Sent != 6 || isActive(t, w, "l1@contoso.com") {
			t.Errorf("applied %+v", counts)
		}
	})
}

// TestAdoptDrift keeps values that somebody changed, until the mapping yields another value.
func TestAdoptDrift(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		ctx := t.Context()
		for _, id := range []string{"ada", "bob", "cyr"} {
			w.people.put(id, person(id+"@contoso.com", id, "Smith"))
		}
		w.cycle()
		if _, err := w.engine.AdoptDrift(ctx, w.key, "test", "kim", nil); !errors.As(err, new(*provision.InputError)) {
			t.Errorf("before the first comparison: %v", err)
		}
		for _, id := range []string{"ada", "bob"} {
			w.app.set(id+"@contoso.com", "displayName", "By hand")
		}
		w.app.remove(w.app.user("cyr@contoso.com").String("id"))
		if report, _ := w.drift(); report.Changed != 2 || report.Gone != 1 {
			t.Fatalf("report %+v", report)
		}
		if n, err := w.engine.AdoptDrift(ctx, w.key, "test", "kim", []string{"ada", "cyr"}); err != nil || n != 1 {
			t.Errorf("adopted %d, %v", n, err)
		}
		// Why? tells what was found and what was decided.
		why := func(id string) provision.Explanation {
			x, err := w.engine.Explain(ctx, w.key, id)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		name := func(x provision.Explanation) provision.ExplainedAttribute {
			return x.Attributes[slices.IndexFunc(x.Attributes, func(a provision.ExplainedAttribute) bool { return a.Target == "displayName" })]
		}
		if a := name(why("ada")); a.State != provision.AttributeAdopted || !slices.Equal(a.Account, []string{"By hand"}) {
			t.Errorf("adopted: %+v", a)
		}
		if x := why("bob"); !slices.ContainsFunc(x.Notes, func(s string) bool {
			return strings.Contains(s, "somebody changed displayName at the application: bob Smith was written, and it was By hand.")
		}) {
			t.Errorf("bob: notes %q", x.Notes)
		}
		if x := why("cyr"); !slices.Contains(x.Notes, "The last comparison did not find the account at the application any more.") {
			t.Errorf("cyr: notes %q", x.Notes)
		}
		left, err := w.store.ListDrift(ctx, w.key, "", 10)
		if err != nil || len(left) != 2 || left[0].ObjectID != "bob" || left[1].ObjectID != "cyr" {
			t.Errorf("left %+v, %v", left, err)
		}
		if texts := w.eventTexts(event.ProvisioningDriftAdopted); len(texts) != 1 || texts[0] != "kim: Values that somebody changed at the application were adopted, of accounts or groups: 1." {
			t.Errorf("events %q", texts)
		}
		if report, found := w.drift(); report.Changed != 1 || found["ada"].ObjectID != "" {
			t.Errorf("compared again: %+v, %v", report, found)
		}
		// A change of another attribute leaves the value alone. A change of this one is sent.
		w.people.set("ada", "city", "Bergen")
		w.cycle()
		if u := w.app.user("ada@contoso.com"); u.String("displayName") != "By hand" {
			t.Errorf("after another change: %v", u)
		}
		w.people.set("ada", "displayName", "Ada Jones")
		w.cycle()
		if u := w.app.user("ada@contoso.com"); u.String("displayName") != "Ada Jones" {
			t.Errorf("after a change of the value: %v", u)
		}
	})
}

// TestAdoptBlockedAccounts adopts changes of active. An account that provisioning has blocked never
// stays open. An account that the application has blocked stays so.
func TestAdoptBlockedAccounts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		for _, id := range []string{"ada", "bo", "cy"} {
			w.people.put(id, person(id+"@contoso.com", id, "Smith"))
		}
		w.cycle()
		w.people.enable("ada", false)
		w.people.assign("cy", false)
		w.cycle()
		w.app.set("ada@contoso.com", "active", true)
		w.app.set("cy@contoso.com", "active", true)
		w.app.set("bo@contoso.com", "active", false)
		if report, _ := w.drift(); report.Changed != 3 {
			t.Fatalf("report %+v", report)
		}
		if n, err := w.engine.AdoptDrift(t.Context(), w.key, "test", "kim", nil); err != nil || n != 1 {
			t.Errorf("adopted %d, %v", n, err)
		}
		if report, found := w.drift(); report.Changed != 2 || found["bo"].ObjectID != "" {
			t.Errorf("compared again: %v", found)
		}
		w.people.set("bo", "city", "Bergen")
		w.cycle()
		if isActive(t, w, "bo@contoso.com") || w.report().KeptBlocked != 0 {
			t.Errorf("another change of Bo opens the account: %v, %d kept blocked", w.app.user("bo@contoso.com"), w.report().KeptBlocked)
		}
		// Only another value of the mapping changes it.
		w.people.enable("bo", false)
		w.cycle()
		w.people.enable("bo", true)
		if w.cycle(); !isActive(t, w, "bo@contoso.com") {
			t.Errorf("after Bo came back: %v", w.app.user("bo@contoso.com"))
		}
	})
}

// TestAdoptAnOldComparison adopts values that provisioning has changed since the comparison.
func TestAdoptAnOldComparison(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
	w.cycle()
	w.app.set("ada@contoso.com", "displayName", "By hand")
	w.drift()
	w.people.set("ada", "displayName", "Ada Jones")
	w.cycle()
	if n, err := w.engine.AdoptDrift(t.Context(), w.key, "test", "kim", nil); err != nil || n != 0 {
		t.Errorf("adopted %d, %v", n, err)
	}
	w.app.set("ada@contoso.com", "displayName", "By hand")
	if report, _ := w.drift(); report.Changed != 1 {
		t.Errorf("the same change is not found any more: %+v", report)
	}
}

// TestAScheduleIsNoSecondOperator has Second approval on. A schedule sends nothing by itself.
func TestAScheduleIsNoSecondOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
	w.cycle()
	w.app.set("ada@contoso.com", "displayName", "Changed")
	on := true
	if _, err := w.jobs.Edit(t.Context(), w.key, func(s *provision.Settings) { s.SecondApproval = &on }, "cli"); err != nil {
		t.Fatal(err)
	}
	w.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
	if _, s := w.advanceDrift(); !strings.Contains(s.Done, "Second approval is on, so nothing was sent") || w.app.user("ada@contoso.com").String("displayName") != "Changed" {
		t.Errorf("the schedule says %q, the account is %v", s.Done, w.app.user("ada@contoso.com"))
	}
	if texts := w.eventTexts(event.ProvisioningPlanWaits); len(texts) != 1 || !strings.Contains(texts[0], "has not corrected what somebody changed at the application, because Second approval is on") {
		t.Errorf("events %q", texts)
	}
}

// TestAScheduleTakesNoAccessAway edits the mapping so that it blocks more accounts than the guard
// lets through. A scheduled re-assert sends none of these operations, neither before the guard has
// judged them nor afterwards.
func TestAScheduleTakesNoAccessAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		gone := []string{"g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8"}
		for _, id := range append([]string{"stays"}, gone...) {
			w.people.put(id, person(id+"@contoso.com", id, "Smith"))
			if id != "stays" {
				w.people.set(id, "department", "Gone")
			}
		}
		w.cycle()
		w.edit(func(m *provision.ObjectMapping) {
			mapTo(m, "active", `Switch([department], "True", "Gone", "False")`)
		})
		for _, id := range append([]string{"stays"}, gone...) {
			w.app.set(id+"@contoso.com", "displayName", "By hand")
		}
		check := func(when string) {
			t.Helper()
			for _, id := range gone {
				if !isActive(t, w, id+"@contoso.com") {
					t.Errorf("%s: %s is blocked", when, id)
				}
			}
		}
		w.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
		next, s := w.advanceDrift()
		if check("before the look at everyone"); !strings.Contains(s.Done, "about to look at everyone") || next.After(w.clock.now().Add(time.Hour)) {
			t.Errorf("before the look at everyone: %+v, next %s", s, next)
		}
		w.cycle()
		w.clock.advance(time.Hour)
		_, s = w.advanceDrift()
		if check("on hold"); !strings.Contains(s.Done, "1 sent") || !strings.Contains(s.Done, "would take access away from 8 accounts") || w.app.user("stays@contoso.com").String("displayName") != "stays Smith" {
			t.Errorf("on hold: %+v; %v", s, w.app.user("stays@contoso.com"))
		}
		// Somebody is told, and the plan names the accounts.
		plans, err := w.engine.ListPlans(t.Context(), w.key)
		if err != nil || len(plans) == 0 {
			t.Fatal(plans, err)
		}
		if texts := w.eventTexts(event.ProvisioningPlanWaits); len(texts) != 1 || !strings.Contains(texts[0], "system: Plan "+plans[0].Short()+" of the schedule waits for approval, because it takes access away") {
			t.Errorf("events %q", texts)
		}
		if rows := w.plannedRows(plans[0]); rows["g1"].ObjectID != "g1" || rows["g8"].ObjectID != "g8" {
			t.Errorf("the plan %+v", rows)
		}
		if !s.Follow.IsZero() || s.Plan != "" {
			t.Errorf("it goes on: %+v", s)
		}
	})
}

// TestAScheduleWaitsForChanges has changes of the directory that are not imported yet.
func TestAScheduleWaitsForChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
	w.people.put("bob", person("bob@contoso.com", "Bob", "Smith"))
	w.cycle()
	w.app.set("ada@contoso.com", "displayName", "By hand")
	w.app.set("bob@contoso.com", "displayName", "By hand")
	w.people.enable("bob", false)
	w.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
	next, s := w.advanceDrift()
	if !strings.Contains(s.Done, "not imported yet") || !isActive(t, w, "bob@contoso.com") || next.After(w.clock.now().Add(time.Hour)) {
		t.Errorf("before the import: %+v", s)
	}
	first := w.lastDrift()
	w.cycle()
	w.clock.advance(time.Hour)
	if _, s = w.advanceDrift(); !strings.Contains(s.Done, "1 sent") || w.app.user("ada@contoso.com").String("displayName") != "Ada Smith" || w.lastDrift() != first {
		t.Errorf("after the import: %+v", s)
	}
}

// TestAReassertThatHasToWait leaves out what cannot be sent now, and does not prevent other plans.
func TestAReassertThatHasToWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
	w.cycle()
	w.app.set("ada@contoso.com", "displayName", "By hand")
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		rw.Header().Set("Retry-After", "7200")
		refuse(rw, http.StatusTooManyRequests, "", "Slow down.")
		return true
	}
	w.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
	_, s := w.advanceDrift()
	plans, err := w.engine.ListPlans(t.Context(), w.key)
	if err != nil || len(plans) != 1 || plans[0].State == provision.PlanApplying || !strings.Contains(s.Done, "has to wait: 1") {
		t.Errorf("plans %+v, %v; %+v", plans, err, s)
	}
	w.app.answer = nil
	w.clock.advance(3 * time.Hour)
	if w.cycle(); w.app.user("ada@contoso.com").String("displayName") != "Ada Smith" {
		t.Errorf("later: %v", w.app.user("ada@contoso.com"))
	}
}

// TestAPauseStopsAReassert pauses provisioning while a scheduled re-assert is under way.
func TestAPauseStopsAReassert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
	w.cycle()
	w.app.set("ada@contoso.com", "displayName", "By hand")
	var patches int
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		if patches++; patches == 1 {
			if _, err := w.jobs.Pause(t.Context(), w.key, "sam"); err != nil {
				t.Error(err)
			}
			w.clock.advance(time.Minute)
		}
		rw.Header().Set("Retry-After", "1")
		refuse(rw, http.StatusTooManyRequests, "", "Slow down.")
		return true
	}
	w.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
	_, s := w.advanceDrift()
	plans, err := w.engine.ListPlans(t.Context(), w.key)
	if err != nil || len(plans) != 1 || plans[0].State != provision.PlanCancelled {
		t.Errorf("plans %+v, %v; %+v", plans, err, s)
	}
	if patches != 1 {
		t.Errorf("%d requests were sent, and %q", patches, s.Done)
	}
}

// TestAComparisonThatWasInterrupted has a server that was killed, or stopped, in a comparison.
func TestAComparisonThatWasInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
	w.cycle()
	w.app.set("ada@contoso.com", "displayName", "By hand")
	w.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
	// The server was killed, and then somebody switches the schedule off.
	if _, err := w.store.ChangeDriftSchedule(t.Context(), w.key, func(s *provision.DriftSchedule) (*event.Event, error) {
		s.Started = w.clock.now()
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	w.scheduleDrift(provision.DriftOff, provision.DriftReasserts)
	if next, _ := w.advanceDrift(); !next.IsZero() || w.lastDrift() != "" {
		t.Errorf("switched off: next %s, comparison %q", next, w.lastDrift())
	}
	// The server is stopped while the policy works.
	w.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
	ctx, stop := context.WithCancel(t.Context())
	w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			stop()
		}
		return false
	}
	if _, err := w.engine.AdvanceDrift(ctx, w.key.String(), "test"); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	w.app.answer = nil
	first := w.lastDrift()
	if _, s := w.advanceDrift(); w.lastDrift() != first || s.Done == "" || w.app.user("ada@contoso.com").String("displayName") != "Ada Smith" {
		t.Errorf("after the restart: %+v, %v", s, w.app.user("ada@contoso.com"))
	}
	// Another process holds the job.
	w.app.set("ada@contoso.com", "displayName", "By hand")
	w.scheduleDrift(provision.DriftDaily, provision.DriftAdopts)
	w.clock.advance(25 * time.Hour)
	epoch, err := w.leases.Claim(t.Context(), provision.LeaseKind, w.key.String(), "another", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	next, s := w.advanceDrift()
	if !strings.Contains(s.Done, "Another process works on the job") || next.After(w.clock.now().Add(2*time.Hour)) || s.Problem != "" {
		t.Errorf("held: %+v, next %s", s, next)
	}
	if err := w.leases.Release(t.Context(), provision.LeaseKind, w.key.String(), "another", epoch, time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Hour)
	if _, s := w.advanceDrift(); !strings.Contains(s.Done, "were adopted") {
		t.Errorf("adopted later: %+v", s)
	}
}

// TestAFailedComparisonIsForgotten asks for a comparison again after one has failed.
func TestAFailedComparisonIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
	w.cycle()
	if err := w.engine.AskForDrift(t.Context(), w.key, "kim"); err != nil {
		t.Fatal(err)
	}
	w.app.answer = func(rw http.ResponseWriter, _ *http.Request) bool {
		refuse(rw, http.StatusServiceUnavailable, "", "Closed for today.")
		return true
	}
	if _, s := w.advanceDrift(); s.Problem == "" || !s.Asked.IsZero() {
		t.Errorf("failed: %+v", s)
	}
	w.app.answer = nil
	if err := w.engine.AskForDrift(t.Context(), w.key, "kim"); err != nil {
		t.Errorf("asked again: %v", err)
	}
	if s, err := w.store.DriftSchedule(t.Context(), w.key); err != nil || s.Problem != "" {
		t.Errorf("asked again: %+v, %v", s, err)
	}
	if _, s := w.advanceDrift(); s.Problem != "" || w.lastDrift() == "" {
		t.Errorf("compared: %+v", s)
	}
	// A clock that was ahead does not stop the schedule.
	w.scheduleDrift(provision.DriftDaily, provision.DriftReports)
	if _, err := w.store.ChangeDriftSchedule(t.Context(), w.key, func(s *provision.DriftSchedule) (*event.Event, error) {
		s.Scheduled = w.clock.now().AddDate(1, 0, 0)
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	last := w.lastDrift()
	if next, _ := w.advanceDrift(); w.lastDrift() == last || next.After(w.clock.now().Add(25*time.Hour)) {
		t.Errorf("with a clock that was ahead: next %s", next)
	}
}
