package provision_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// TestStatusSaysWhoWaitsAndWhoFails has a joiner wait, an update fail, and a leaver fail until the
// leaver counts as late.
func TestStatusSaysWhoWaitsAndWhoFails(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		switch r.Method {
		case http.MethodPost:
			rw.Header().Set("Retry-After", "3600")
			refuse(rw, http.StatusTooManyRequests, "", "No seats.")
		case http.MethodPatch:
			refuse(rw, http.StatusBadRequest, "invalidValue", "Not today.")
		}
		return r.Method != http.MethodGet
	}
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.people.set("p1", "city", "Bergen")
	w.people.enable("p2", false)
	began := w.clock.now()
	report, _ := w.cycle()
	if report.Waiting != 1 || report.Failed != 2 {
		t.Errorf("the cycle: %+v", report)
	}
	r := w.report()
	if len(r.Waits) != 1 || r.Waits[0].Count != 1 || !strings.Contains(r.Waits[0].Reason, "asked for a pause of creates (HTTP 429)") || r.Waits[0].Next.Before(began.Add(time.Hour)) || r.Waits[0].Since.IsZero() {
		t.Errorf("waits: %+v", r.Waits)
	}
	if len(r.Failing) != 2 || r.Failing[0].Lane != provision.Leavers || r.Failing[0].Count != 1 || !strings.Contains(r.Failing[0].Reason, "Not today") || r.Failing[1].Lane != provision.Updates {
		t.Errorf("failing: %+v", r.Failing)
	}
	if r.OldestLeaver.Before(began) || r.LeaverLate || r.OldestChange.IsZero() {
		t.Errorf("oldest leaver %s, late %v, oldest change %s", r.OldestLeaver, r.LeaverLate, r.OldestChange)
	}
	late := func() (n int) {
		t.Helper()
		events, err := store.Events{DB: w.db}.Read(t.Context(), eventScope(w.key), event.Position{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Name == event.ProvisioningLate {
				n++
			}
		}
		return n
	}
	if late() != 0 {
		t.Error("an alarm before its time")
	}
	for range 2 {
		w.clock.advance(20 * time.Minute)
		w.cycle()
	}
	if r := w.report(); !r.LeaverLate || late() != 1 {
		t.Errorf("after 40 minutes: late %v, %d events; want one", r.LeaverLate, late())
	}
	if since, err := w.store.OldestLeaver(t.Context()); err != nil || !since.Equal(r.OldestLeaver) {
		t.Errorf("the metric: %s, %v; want %s", since, err, r.OldestLeaver)
	}
	w.app.answer = nil
	w.clock.advance(2 * time.Hour)
	w.cycle()
	if r := w.report(); r.LeaverLate || !r.OldestLeaver.IsZero() || len(r.Waits)+len(r.Failing) != 0 || isActive(t, w, "bob@contoso.com") {
		t.Errorf("afterwards: %+v %+v, oldest leaver %s", r.Waits, r.Failing, r.OldestLeaver)
	}
}

// TestLogsWithoutALimit reads a page of the log with a query that has no limit.
func TestLogsWithoutALimit(t *testing.T) {
	t.Parallel()
	w := hired(t)
	entries, next, err := w.store.Logs(t.Context(), w.key, provision.LogQuery{})
	if err != nil || len(entries) < 2 || next != "" {
		t.Errorf("got %d entries, next %q, %v", len(entries), next, err)
	}
}
