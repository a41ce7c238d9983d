package provision_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// dyingStore is a store of a process that dies before it records what it has sent.
type dyingStore struct {
	provision.Store
	dies atomic.Bool
}

var errProcessDied = errors.New("the process has died")

func (s *dyingStore) Record(ctx context.Context, f provision.Fence, st provision.State, all []provision.Outcome) error {
	isOutcome := func(o provision.Outcome) bool { return o.Intent == nil && !o.AboutToSend }
	if s.dies.Load() && slices.ContainsFunc(all, isOutcome) {
		return errProcessDied
	}
	return s.Store.Record(ctx, f, st, all)
}

// TestAPlanThatIsAppliedByTwoProcesses has the first process die before it records anything that it
// sent. The application accepts duplicates.
func TestAPlanThatIsAppliedByTwoProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, off)
	dying := &dyingStore{Store: w.store}
	w.engine.Store = dying
	w.people.put("leaver", person("leaver@contoso.com", "Lea", "Ver"))
	first := w.keptPlan()
	w.approvePlan(first)
	w.applyPlan(first)
	const people = 40
	for i := range people {
		id := fmt.Sprintf("p%02d", i)
		w.people.put(id, person(id+"@contoso.com", "User", id))
	}
	w.people.softDelete("leaver")
	p := w.keptPlan()
	if p.Report.Creates != people || p.Report.Disables != 1 {
		t.Fatalf("the plan is %+v", p.Report)
	}
	w.approvePlan(p)
	var posts atomic.Int64
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && dying.dies.Load() && posts.Add(1)%3 == 0 {
			refuse(rw, http.StatusServiceUnavailable, "", "Not now.") // not carried out
			return true
		}
		return false
	}
	dying.dies.Store(true)
	if _, _, err := w.engine.ApplyPlan(t.Context(), w.key, p.Hash, "test", "kim", nil); !errors.Is(err, errProcessDied) {
		t.Fatalf("the first process ended with %v", err)
	}
	dying.dies.Store(false)
	if posts.Load() < 3 {
		t.Fatalf("the first process sent %d creates", posts.Load())
	}
	// One of them changes. What the plan created is linked; the change is not sent.
	var changed string
	for i := range people {
		if id := fmt.Sprintf("p%02d", i); changed == "" && w.app.user(id+"@contoso.com") != nil {
			changed = id
		}
	}
	w.people.set(changed, "city", "Bergen")
	var counts provision.PlanCounts
	for range 5 {
		if p, counts = w.applyPlan(p); p.State == provision.PlanApplied {
			break
		}
		w.clock.advance(time.Minute)
	}
	if counts.Sent != people+1 || counts.LeftOut != 0 || counts.Failed != 0 || counts.Due != 0 || p.State != provision.PlanApplied {
		t.Errorf("the plan is %s with %+v; the rows are %+v", p.State, counts, w.plannedRows(p))
	}
	for name, n := range w.app.created {
		if n != 1 {
			t.Errorf("%s was created %d times", name, n)
		}
	}
	if got := w.report(); got.Linked != people+1 || got.Escrowed != 0 || got.Pending != 0 {
		t.Errorf("report %+v", got)
	}
	if active, _ := w.app.user("leaver@contoso.com")["active"].(bool); active {
		t.Error("the leaver can still sign in")
	}
	if u := fmt.Sprint(w.app.user(changed + "@contoso.com")); changed == "" || strings.Contains(u, "Bergen") {
		t.Errorf("the change after the plan was sent: %s", u)
	}
}

// slowly returns a timer for an engine whose clock stands nearly still while it works, and jumps
// while it rests.
func slowly(c *clock) func(d time.Duration) <-chan time.Time {
	return func(d time.Duration) <-chan time.Time {
		if d >= time.Second {
			return c.after(d)
		}
		c.advance(time.Millisecond)
		return time.After(time.Millisecond)
	}
}

// TestTwoPeopleWithOneValueGetOneAccountAfterAPause has people with the same value far apart on the
// work list. The application accepts duplicates.
func TestTwoPeopleWithOneValueGetOneAccountAfterAPause(t *testing.T) {
	t.Parallel()
	const pairs = 80
	twins := func(w *world) {
		for i := range pairs {
			for _, half := range []string{"p", "q"} {
				w.people.put(fmt.Sprintf("%s%03d", half, i), person(fmt.Sprintf("user%03d@contoso.com", i), "User", half))
			}
		}
	}
	check := func(t *testing.T, w *world) {
		t.Helper()
		for range 5 {
			w.cycle()
			w.clock.advance(45 * time.Second)
		}
		for name, n := range w.app.created {
			if n != 1 {
				t.Errorf("%s was created %d times", name, n)
			}
		}
		if got := w.report(); len(w.app.created) != pairs || got.Linked != pairs || got.Escrowed != pairs {
			t.Errorf("%d accounts, report %+v", len(w.app.created), got)
		}
	}
	t.Run("of creates", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.engine.Workers = 4
		w.engine.After = slowly(w.clock)
		twins(w)
		var refused atomic.Int64
		began := w.clock.now()
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || w.clock.now().Sub(began) > 20*time.Second {
				return false
			}
			refused.Add(1)
			refuse(rw, http.StatusTooManyRequests, "", "Slowly.")
			return true
		}
		check(t, w)
		if refused.Load() == 0 {
			t.Error("no create was refused")
		}
	})
	t.Run("until a search shows a new account", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.engine.Workers = 4
		w.engine.After = slowly(w.clock)
		twins(w)
		var made sync.Map // when each account was created, by user name
		names := regexp.MustCompile(`user[0-9]+@contoso\.com`)
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			switch r.Method {
			case http.MethodPost:
				made.Store(names.FindString(body(r)), w.clock.now())
			case http.MethodGet:
				if at, is := made.Load(names.FindString(r.URL.Query().Get("filter"))); is && w.clock.now().Sub(at.(time.Time)) < 20*time.Second {
					list(rw, 0, nil)
					return true
				}
			}
			return false
		}
		check(t, w)
	})
}

// TestAPlannedDisableThatWasNotCarriedOut has the process die after a request that the application did
// not carry out. The person comes back before the plan goes on. The plan does not say that it was
// sent.
func TestAPlannedDisableThatWasNotCarriedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, off)
	dying := &dyingStore{Store: w.store}
	w.engine.Store = dying
	w.people.put("lea", person("lea@contoso.com", "Lea", "Ver"))
	first := w.keptPlan()
	w.approvePlan(first)
	w.applyPlan(first)
	w.people.enable("lea", false)
	p := w.keptPlan()
	if p.Report.Disables != 1 {
		t.Fatalf("the plan is %+v", p.Report)
	}
	w.approvePlan(p)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			refuse(rw, http.StatusServiceUnavailable, "", "Not now.")
		}
		return r.Method == http.MethodPatch
	}
	dying.dies.Store(true)
	if _, _, err := w.engine.ApplyPlan(t.Context(), w.key, p.Hash, "test", "kim", nil); !errors.Is(err, errProcessDied) {
		t.Fatalf("the first process ended with %v", err)
	}
	dying.dies.Store(false)
	w.app.answer = nil
	w.people.enable("lea", true)
	w.clock.advance(time.Minute)
	_, counts := w.applyPlan(p)
	if row := w.plannedRows(p)["lea"]; row.Outcome != provision.PlanLeftOut || !strings.Contains(row.OutcomeText, "was not carried out") || counts.Sent != 0 || counts.LeftOut != 1 {
		t.Errorf("counts %+v, the row is %+v", counts, row)
	}
	if active, _ := w.app.user("lea@contoso.com")["active"].(bool); !active {
		t.Error("the account is blocked")
	}
}

// TestTwoPlansAtOnce begins plans at the same time. One of them begins.
func TestTwoPlansAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db, off)
		const calls = 8
		var begun, refused atomic.Int64
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				_, err := w.engine.BeginPlan(t.Context(), w.key, "sam")
				switch {
				case err == nil:
					begun.Add(1)
				case errors.As(err, new(*provision.InputError)):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if begun.Load() != 1 || refused.Load() != calls-1 {
			t.Errorf("%d plans were begun, %d refused", begun.Load(), refused.Load())
		}
	})
}
