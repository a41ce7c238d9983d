package provision_test

import (
	"errors"
	"net/http"
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
		if !strings.Contains(s.Done, "would disable or delete 6 accounts, so it waits for your approval") || !isActive(t, w, "l1@contoso.com") {
			t.Fatalf("schedule %+v", s)
		}
		plans, err := w.engine.ListPlans(t.Context(), w.key)
		if err != nil || len(plans) != 1 || plans[0].State != provision.PlanReady {
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
