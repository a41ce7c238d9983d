package provision_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

// fullHouse answers 429 to every create, as applications without free seats do.
func fullHouse(w *world) *atomic.Int32 {
	var creates atomic.Int32
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		creates.Add(1)
		rw.Header().Set("Retry-After", "2")
		refuse(rw, http.StatusTooManyRequests, "", "There are no seats left.")
		return true
	}
	return &creates
}

// TestAThrottledCreateHoldsUpNobodyElse cuts a leaver off while the application
// takes no new people, and makes the wait for a seat a failure in the end.
func TestAThrottledCreateHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := hired(t)
	creates := fullHouse(w)
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.slice()
	if s := w.report(); creates.Load() != 1 || s.Pending != 1 || s.State.Phase != provision.Finishing {
		t.Fatalf("%d creates, %d waiting, phase %q; want one create and Cyn waiting", creates.Load(), s.Pending, s.State.Phase)
	}
	w.people.enable("p2", false)
	w.people.set("p1", "city", "Bergen")
	w.slice()
	if bob := w.app.user("bob@contoso.com"); bob["active"] != false {
		t.Errorf("Bob left while Cyn waits: active %v", bob["active"])
	}
	if creates.Load() != 1 {
		t.Errorf("%d creates were sent before the pause was over", creates.Load())
	}

	for i := 0; w.report().State.Phase != provision.Idle; i++ {
		if i == 20 {
			t.Fatalf("the cycle does not end: %+v", w.report().State)
		}
		w.clock.advance(3 * time.Second)
		w.slice()
	}
	if n := creates.Load(); n != 6 {
		t.Errorf("%d creates; want 6: one, and one after each of five pauses", n)
	}
	failed, _, err := w.store.Logs(t.Context(), w.key, provision.LogQuery{ObjectID: "p3", Limit: 10})
	if err != nil || len(failed) != 1 || status(failed[0]) != "create failure TooManyRequests" {
		t.Errorf("the log says %v of Cyn, %v", failed, err)
	}
	if s := w.report(); s.Escrowed != 1 || s.State.Last.Failed != 1 || s.State.Last.Disabled != 1 {
		t.Errorf("%d failed and wait, last cycle %+v", s.Escrowed, s.State.Last)
	}

	w.app.answer = nil
	w.clock.advance(time.Hour)
	if _, entries := w.cycle(); status(entries["p3"]) != "create success " || w.app.created["cyn@contoso.com"] != 1 {
		t.Errorf("with a seat: got %q, %d accounts", status(entries["p3"]), w.app.created["cyn@contoso.com"])
	}
}

// TestALeaverGoesBeforeAllWhoWait has somebody leave in the middle of a long
// cycle: they are cut off with the next batch, not at its end.
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
				id := fmt.Sprintf("a%03d", i) // before Bob in every list
				w.people.put(id, person(id+"@contoso.com", "New", id))
			}
			var left atomic.Bool
			w.app.done = func(r *http.Request) {
				if r.Method == http.MethodPost && left.CompareAndSwap(false, true) {
					w.people.enable("p2", false)
				}
			}
			w.app.asked()
			report, _ := w.cycle()
			if report.Kind != kind || report.Created != joiners {
				t.Fatalf("got %+v", report)
			}
			creates := 0
			asked := w.app.asked()
			cut := slices.IndexFunc(asked, func(request string) bool {
				if strings.HasPrefix(request, "POST") {
					creates++
				}
				return strings.HasPrefix(request, "PATCH")
			})
			if cut < 0 || creates > 128 {
				t.Errorf("Bob was cut off after %d creates (request %d of %d); want at most one batch of 128", creates, cut, len(asked))
			}
			if bob := w.app.user("bob@contoso.com"); bob["active"] != false {
				t.Errorf("Bob's account: active %v", bob["active"])
			}
		})
	}
}
