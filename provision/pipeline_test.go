package provision_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

// TestLanesOfTheWorkList looks at the order of the work list. Everything stays on the list, because
// the application accepts no requests.
func TestLanesOfTheWorkList(t *testing.T) {
	t.Parallel()
	w := hired(t) // p1 and p2 have accounts
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.cycle()
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.RawQuery, "filter") && !strings.Contains(r.URL.RawQuery, "contoso") {
			return false // let the connection test through
		}
		rw.Header().Set("Retry-After", "3600")
		refuse(rw, http.StatusTooManyRequests, "", "Later.")
		return true
	}
	w.people.put("a1", person("new@contoso.com", "New", "Joiner"))
	w.people.set("p1", "city", "Bergen")
	w.people.set("p2", "city", "Bergen")
	w.people.enable("p2", false)
	w.people.purge("p3")
	w.slice()
	far := w.clock.now().Add(2 * time.Hour)
	got := pendingLanes(t, w, far, false)
	want := fmt.Sprint([]string{
		fmt.Sprint("p2", provision.Leavers), fmt.Sprint("p3", provision.Leavers), fmt.Sprint("a1", provision.Joiners), fmt.Sprint("p1", provision.Updates),
	})
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	want = fmt.Sprint([]string{fmt.Sprint("p2", provision.Leavers), fmt.Sprint("p3", provision.Leavers), fmt.Sprint("p1", provision.Updates)})
	if got := fmt.Sprint(pendingLanes(t, w, far, true)); got != want {
		t.Errorf("without joiners: got %v, want %v", got, want)
	}
	if last := w.report().State.Last; last.Waiting != 4 || last.State != provision.Succeeded || last.Failed != 0 {
		t.Errorf("the cycle: %+v", last)
	}
}

// pendingLanes returns the objects that are due at a time, each with its lane, in the order of the list.
func pendingLanes(t *testing.T, w *world, at time.Time, withoutJoiners bool) (all []string) {
	t.Helper()
	list, err := w.store.Pending(t.Context(), w.key, at, withoutJoiners, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		all = append(all, fmt.Sprint(p.ObjectID, p.Lane))
	}
	return all
}

// TestAChangeDoesNotWaitForAnInitialCycle changes a person who has an account, while the initial
// cycle still has to create other accounts.
func TestAChangeDoesNotWaitForAnInitialCycle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("p1@contoso.com", "User", "p1"))
	w.cycle()
	for _, id := range []string{"p2", "p3"} {
		w.people.put(id, person(id+"@contoso.com", "User", id))
	}
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		rw.Header().Set("Retry-After", "3600")
		refuse(rw, http.StatusTooManyRequests, "", "Later.")
		return true
	}
	if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	w.slice()
	w.people.set("p1", "city", "Bergen")
	w.people.put("a1", person("new@contoso.com", "New", "Joiner"))
	w.slice()
	got := fmt.Sprint(pendingLanes(t, w, w.clock.now().Add(2*time.Hour), false))
	want := fmt.Sprint([]string{
		fmt.Sprint("a1", provision.Joiners), fmt.Sprint("p1", provision.Updates), fmt.Sprint("p2", provision.CycleJoiners), fmt.Sprint("p3", provision.CycleJoiners),
	})
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestALostAnswerStopsNobodyElse loses one of many answers. All other people are done in the same
// cycle.
func TestALostAnswerStopsNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const people = 300
	for i := range people {
		id := fmt.Sprintf("p%03d", i)
		w.people.put(id, person(id+"@contoso.com", "User", id))
	}
	var lost atomic.Bool
	var tests atomic.Int64
	w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if query := r.URL.Query(); r.Method == http.MethodGet && query.Has("filter") && !strings.Contains(query.Get("filter"), "contoso") {
			tests.Add(1)
		}
		if r.Method == http.MethodPost && !lost.Swap(true) {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	report, _ := w.cycle()
	if report.Created != people-1 || report.Failed != 1 {
		t.Errorf("got %+v", report)
	}
	if n := tests.Load(); n > 2 {
		t.Errorf("the connection was tested %d times", n)
	}
}

// TestAChangeWhileSomebodyIsWorkedOnIsNotLost changes a person between the evaluation and the
// record of its outcome.
func TestAChangeWhileSomebodyIsWorkedOnIsNotLost(t *testing.T) {
	t.Parallel()
	w := hired(t)
	var changed atomic.Bool
	w.app.done = func(r *http.Request) {
		if r.Method == http.MethodPatch && !changed.Swap(true) {
			w.people.enable("p1", false)
			for range 200 { // wait until the change is on the work list
				list, err := w.store.Pending(t.Context(), w.key, w.clock.now(), false, 10)
				if err != nil || len(list) == 1 && list[0].Turn > 1 {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Error("the change is not imported while somebody is worked on")
		}
	}
	w.people.set("p1", "city", "Bergen")
	w.cycle()
	if isActive(t, w, "ada@contoso.com") {
		t.Error("Ada left while her account was updated, and keeps it")
	}
	if s := w.report(); s.Pending != 0 {
		t.Errorf("%d wait", s.Pending)
	}
}

// TestTwoPeopleWithOneValueGetOneAccount runs many pairs of people with the same value through one
// pass. The application accepts duplicates.
func TestTwoPeopleWithOneValueGetOneAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const pairs = 100
	for i := range pairs {
		for _, twin := range []string{"a", "b"} {
			w.people.put(fmt.Sprintf("p%03d%s", i, twin), person(fmt.Sprintf("user%03d@contoso.com", i), "User", twin))
		}
	}
	report, _ := w.cycle()
	if report.Created != pairs || report.Failed != pairs {
		t.Errorf("got %+v", report)
	}
	for name, n := range w.app.created {
		if n != 1 {
			t.Errorf("%s was created %d times", name, n)
		}
	}
}

// TestNothingThatWasFoundOutIsThrownAway has an application that accepts 20 requests per second,
// and asks for pauses of one second. The engine searches for each of 300 people once, creates each
// once, and nearly uses the rate.
func TestNothingThatWasFoundOutIsThrownAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const people = 300
	for i := range people {
		id := fmt.Sprintf("p%03d", i)
		w.people.put(id, person(id+"@contoso.com", "User", id))
	}
	var refused atomic.Int64
	var mu sync.Mutex
	tokens, at := 20.0, w.clock.now()
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		now := w.clock.now()
		tokens = min(20, tokens+now.Sub(at).Seconds()*20)
		at = now
		if tokens < 1 {
			refused.Add(1)
			rw.Header().Set("Retry-After", "1")
			refuse(rw, http.StatusTooManyRequests, "", "Slowly.")
			return true
		}
		tokens--
		return false
	}
	began := w.clock.now()
	report, _ := w.cycle()
	took := w.clock.now().Sub(began)
	served := map[string]int{}
	for _, request := range w.app.asked() {
		served[strings.Fields(request)[0]]++
	}
	t.Logf("%s, %d refused, %v", took, refused.Load(), served)
	if report.Created != people || report.Failed != 0 {
		t.Errorf("got %+v", report)
	}
	if all := served["GET"] + served["POST"]; all > 2*people+people/3 {
		t.Errorf("%d requests, %d of them refused; 600 are needed", all, refused.Load())
	}
	if pace := w.report().State.Pace; pace.Rate < 10 || pace.Rate > 40 {
		t.Errorf("learned %+v; want about 20 in a second, for the next cycle", pace)
	}
}
