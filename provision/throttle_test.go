package provision_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

// fullHouse makes the application answer 429 to every create, as applications without free seats
// do.
func fullHouse(w *world) (creates, searches *atomic.Int32) {
	creates, searches = new(atomic.Int32), new(atomic.Int32)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.Contains(r.URL.RawQuery, "cyn") {
			searches.Add(1)
		}
		if r.Method != http.MethodPost {
			return false
		}
		creates.Add(1)
		rw.Header().Set("Retry-After", "2")
		refuse(rw, http.StatusTooManyRequests, "", "There are no seats left.")
		return true
	}
	return creates, searches
}

// TestAThrottledCreateHoldsUpNobodyElse disables a leaver while the application accepts no new
// people. In the end, the wait for a seat becomes a failure.
func TestAThrottledCreateHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := hired(t)
	creates, searches := fullHouse(w)
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.slice()
	s := w.report()
	if s.Pending != 1 || s.Escrowed != 0 || s.State.Last.Failed != 0 {
		t.Fatalf("%d waiting, %d failed; want Cyn waiting", s.Pending, s.Escrowed)
	}
	sent := creates.Load()
	w.people.enable("p2", false)
	w.people.set("p1", "city", "Bergen")
	w.slice()
	if bob := w.app.user("bob@contoso.com"); bob["active"] != false {
		t.Errorf("Bob left while Cyn waits: active %v", bob["active"])
	}
	if ada := w.app.user("ada@contoso.com"); ada.String("addresses[type eq \"work\"].locality") == "Oslo" {
		t.Errorf("Ada moved while Cyn waits: %v", ada)
	}
	if creates.Load() != sent {
		t.Errorf("%d creates were sent before the pause was over", creates.Load()-sent)
	}

	for i := 0; w.report().Escrowed == 0; i++ {
		if i == 20 {
			t.Fatalf("Cyn waits without end: %+v", w.report().State)
		}
		w.clock.advance(3 * time.Second)
		w.slice()
	}
	if n := creates.Load(); n != 6 {
		t.Errorf("%d creates; want 6: one, and one after each of five pauses", n)
	}
	if n := searches.Load(); n > 3 {
		t.Errorf("Cyn was searched for %d times", n)
	}
	failed, _, err := w.store.Logs(t.Context(), w.key, provision.LogQuery{ObjectID: "p3", Limit: 10})
	if err != nil || len(failed) != 1 || status(failed[0]) != "create failure TooManyRequests" {
		t.Errorf("the log says %v of Cyn, %v", failed, err)
	}
	if s := w.report(); s.Escrowed != 1 || s.State.Last.Failed != 1 || s.Pending != 0 {
		t.Errorf("%d failed and wait, last cycle %+v", s.Escrowed, s.State.Last)
	}

	w.app.answer = nil
	w.clock.advance(time.Hour)
	if _, entries := w.cycle(); status(entries["p3"]) != "create success " || w.app.created["cyn@contoso.com"] != 1 {
		t.Errorf("with a seat: got %q, %d accounts", status(entries["p3"]), w.app.created["cyn@contoso.com"])
	}
}

// TestALeaverGoesBeforeAllWhoWait has somebody leave in the middle of a long cycle. The leaver's
// account is disabled next, and not at the end of the cycle.
func TestALeaverGoesBeforeAllWhoWait(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{provision.IncrementalCycle, provision.InitialCycle} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			if kind == provision.InitialCycle {
				if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
					t.Fatal(err)
				}
			}
			const joiners = 400
			for i := range joiners {
				id := fmt.Sprintf("a%03d", i) // these ids come before Bob's in every list
				w.people.put(id, person(id+"@contoso.com", "New", id))
			}
			// After Bob has left, the application answers no create before his account is disabled.
			cut := make(chan struct{})
			var left, late atomic.Bool
			w.app.begun = func(r *http.Request) {
				switch {
				case r.Method == http.MethodPatch:
					close(cut)
				case r.Method == http.MethodPost && left.Swap(true):
					select {
					case <-cut:
					case <-time.After(20 * time.Second):
						late.Store(true)
					}
				case r.Method == http.MethodPost:
					w.people.enable("p2", false)
				}
			}
			report, _ := w.cycle()
			if report.Kind != kind || report.Created != joiners || late.Load() {
				t.Fatalf("got %+v, Bob was late: %v", report, late.Load())
			}
			if bob := w.app.user("bob@contoso.com"); bob["active"] != false {
				t.Errorf("Bob's account: active %v", bob["active"])
			}
		})
	}
}

// TestAThrottledSearchPausesOnlySearches has an application that asks for an hour without searches,
// from the connection test on. Leavers are disabled nevertheless, also by the next process, which
// keeps the pause.
func TestAThrottledSearchPausesOnlySearches(t *testing.T) {
	t.Parallel()
	w := hired(t)
	var searches atomic.Int32
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("filter") {
			return false
		}
		searches.Add(1)
		rw.Header().Set("Retry-After", "3600")
		refuse(rw, http.StatusTooManyRequests, "", "No searches now.")
		return true
	}
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.people.enable("p2", false)
	w.slice()
	if isActive(t, w, "bob@contoso.com") {
		t.Error("Bob left and waits for searches that he does not need")
	}
	asked := searches.Load()
	if s := w.report(); s.Pending != 1 || asked != 1 {
		t.Errorf("%d wait, %d searches; want Cyn waiting, and one search", s.Pending, asked)
	}

	w.wire() // the process is another one
	w.clock.advance(10 * time.Minute)
	w.people.enable("p1", false)
	w.slice()
	if isActive(t, w, "ada@contoso.com") {
		t.Error("Ada left during the pause and has an active account")
	}
	if n := searches.Load(); n != asked {
		t.Errorf("%d searches were sent during the pause", n-asked)
	}

	w.app.answer = nil
	w.clock.advance(time.Hour)
	w.slice()
	if w.app.created["cyn@contoso.com"] != 1 {
		t.Errorf("after the pause Cyn has %d accounts", w.app.created["cyn@contoso.com"])
	}
}
