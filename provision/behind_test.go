package provision_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// TestAJobThatIsPausedLongerThanEventsAreKeptLosesNobody prunes events that a paused job has not
// read. When the job starts again, it begins an initial cycle.
func TestAJobThatIsPausedLongerThanEventsAreKeptLosesNobody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBothEnds(t, db, site.Full, allActions)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		switchTo := func(status provision.Status) {
			t.Helper()
			job := b.report().Job
			_, err := b.jobs.Save(t.Context(), b.key, provision.Settings{Mode: job.Mode, TenantURL: job.TenantURL, Status: status, Scope: job.Scope}, "cli")
			must(err)
		}
		ada, bob := b.hire("ada@contoso.com", "Ada", "Lovelace"), b.hire("bob@contoso.com", "Bob", "Byte")
		b.cycle()

		pruner := &retention.Pruner{Store: store.Retention{DB: db}, Now: b.clock.now, Log: slog.New(slog.DiscardHandler)}
		_, err := pruner.Set(t.Context(), retention.Policy{retention.Events: 10}, "cli")
		must(err)

		// Events that a running job has not read yet are kept.
		zoe := b.hire("zoe@contoso.com", "Zoe", "Zed")
		b.clock.advance(11 * 24 * time.Hour)
		_, err = pruner.PruneAll(t.Context())
		must(err)
		if report, entries := b.cycle(); report.Kind != provision.IncrementalCycle || status(entries[zoe]) != "create success " {
			t.Errorf("the running job: got a cycle %+v and for Zoe %q", report, status(entries[zoe]))
		}

		switchTo(provision.Off)
		_, err = b.handle.Unassign(t.Context(), b.app.ID, []string{ada}, "cli")
		must(err)
		_, err = b.handle.SoftDelete(t.Context(), bob, "cli")
		must(err)
		must(b.handle.Purge(t.Context(), bob, "cli"))
		carl := b.hire("carl@contoso.com", "Carl", "Cipher")
		b.clock.advance(11 * 24 * time.Hour)
		removed, err := pruner.PruneAll(t.Context())
		must(err)
		if removed[retention.Events] == 0 {
			t.Fatalf("nothing was pruned: %v", removed)
		}
		plan, err := b.engine.Plan(t.Context(), b.key, func(provision.PlannedObject) error { return nil })
		must(err)
		if plan.Kind != provision.InitialCycle || plan.Creates != 1 {
			t.Errorf("planned %+v", plan)
		}
		switchTo(provision.On)
		for b.slice(); b.report().State.Phase != provision.Idle || !b.report().State.Ready; b.slice() {
		}
		if last := b.report().State.Last; last.Kind != provision.InitialCycle || last.State != provision.Succeeded {
			t.Errorf("the cycle after the pause: got %+v", last)
		}
		for name, active := range map[string]bool{"ada@contoso.com": false, "carl@contoso.com": true, "zoe@contoso.com": true} {
			if r, found := b.member(name); !found || r["active"] != active {
				t.Errorf("%s: got %v, want active %v", name, r, active)
			}
		}
		if r, found := b.member("bob@contoso.com"); found && r["active"] != false {
			t.Errorf("Bob was purged and is still in: %v", r)
		}
		// From here on, the job reads changes again.
		if _, err := b.handle.Unassign(t.Context(), b.app.ID, []string{carl}, "cli"); err != nil {
			t.Fatal(err)
		}
		if report, entries := b.cycle(); report.Kind != provision.IncrementalCycle || status(entries[carl]) != "disable success " {
			t.Errorf("afterwards: got %+v and for Carl %q", report, status(entries[carl]))
		}
	})
}

// TestAnInitialCycleCountsWhoIsAsTheyWereLeft checks that initial cycles add no log entries for
// people whose accounts need no change.
func TestAnInitialCycleCountsWhoIsAsTheyWereLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"p1", "p2", "p3"} {
		w.people.put(id, person(id+"@contoso.com", id, "Person"))
	}
	w.cycle()
	entries := func() (n int) {
		t.Helper()
		n, err := w.store.CountLogs(t.Context(), w.key, provision.LogQuery{Search: "Person"})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := entries()
	for range 2 {
		if _, err := w.jobs.Restart(t.Context(), w.key, "operator:kim"); err != nil {
			t.Fatal(err)
		}
		w.people.set("p3", "city", "Bergen"+time.Now().String())
		report, seen := w.cycle()
		if report.Kind != provision.InitialCycle || report.Read != 3 || report.Skipped != 2 || report.Redundant != 2 {
			t.Errorf("got %+v", report)
		}
		if got := status(seen["p1"]); got != "other skipped RedundantExport" {
			t.Errorf("who watches sees %q", got)
		}
	}
	if got, want := entries(), before+2; got != want {
		t.Errorf("the log has %d entries, want %d", got, want)
	}
}
