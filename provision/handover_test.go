package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// unique makes the application refuse a user name that another account has. asked returns the user
// names in PATCHes. refusals counts the refused requests.
func unique(w *world) (asked func() []string, refusals *atomic.Int32) {
	refusals = new(atomic.Int32)
	var mu sync.Mutex
	var names []string
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost && r.Method != http.MethodPatch {
			return false
		}
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		name := userNameIn(w.t, body(r))
		if name == "" {
			return false
		}
		mu.Lock()
		names = append(names, name)
		mu.Unlock()
		w.app.mu.Lock()
		defer w.app.mu.Unlock()
		for other, u := range w.app.users {
			if other != id && scim.Fold(u.String("userName")) == scim.Fold(name) {
				refusals.Add(1)
				refuse(rw, http.StatusConflict, "uniqueness", "userName is taken.")
				return true
			}
		}
		return false
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return names
	}, refusals
}

// userNameIn returns the user name in the body of a create or a PATCH.
func userNameIn(t testing.TB, text string) string {
	var request struct {
		UserName   string
		Operations []struct {
			Path  string
			Value any
		}
	}
	if err := json.Unmarshal([]byte(text), &request); err != nil {
		t.Error(err)
	}
	for _, op := range request.Operations {
		if op.Path == "userName" {
			return op.Value.(string)
		}
	}
	return request.UserName
}

// rules sets the job's rules.
func (w *world) rules(r provision.Rehire, s provision.Swaps) {
	w.t.Helper()
	if _, err := w.jobs.Edit(w.t.Context(), w.key, func(set *provision.Settings) { set.Rehire, set.Swaps = r, s }, "cli"); err != nil {
		w.t.Fatal(err)
	}
}

// names returns the user names of the accounts by id.
func (a *application) names() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := map[string]string{}
	for id, u := range a.users {
		names[id] = u.String("userName")
	}
	return names
}

func (w *world) wantNames(when string, want map[string]string) {
	w.t.Helper()
	for id, name := range w.app.names() {
		if name != want[id] {
			w.t.Errorf("%s: %s has the name %q, want %q", when, id, name, want[id])
		}
	}
}

func TestSwapOfNames(t *testing.T) {
	t.Parallel()
	// swap gives Ada and Bob each other's names, and Ada another title.
	swap := func(w *world) {
		w.people.set("p1", "userPrincipalName", "bob@contoso.com")
		w.people.set("p2", "userPrincipalName", "ada@contoso.com")
		w.people.set("p1", "jobTitle", "Countess")
	}
	before := map[string]string{"u1": "ada@contoso.com", "u2": "bob@contoso.com"}
	after := map[string]string{"u1": "bob@contoso.com", "u2": "ada@contoso.com"}
	t.Run("asks_by_default_and_writes_everything_else", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		_, refusals := unique(w)
		swap(w)
		_, entries := w.cycle()
		for id, e := range entries {
			if e.Status.Status != provision.Failure || !strings.Contains(e.Status.Reason, "have each other's values") || !strings.Contains(e.Status.RecommendedAction, "Swapped names") {
				t.Errorf("%s: got %q (%s)", id, status(e), e.Status.Reason)
			}
		}
		w.wantNames("nothing was swapped", before)
		if got := w.app.users["u1"]["title"]; got != "Countess" || refusals.Load() != 0 || w.report().Escrowed != 2 {
			t.Errorf("title %v, %d refusals, %d escrowed", got, refusals.Load(), w.report().Escrowed)
		}
		// An administrator answers the question by setting the rule.
		w.rules("", provision.SwapsTemporary)
		w.cycle()
		w.wantNames("after temporary values were allowed", after)
		if r := w.report(); r.Escrowed != 0 || r.Pending != 0 || refusals.Load() != 0 {
			t.Errorf("report %+v, %d refusals", r, refusals.Load())
		}
	})
	t.Run("goes_through_a_temporary_value_in_one_cycle", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.rules("", provision.SwapsTemporary)
		w.cycle()
		asked, refusals := unique(w)
		swap(w)
		report, entries := w.cycle()
		w.wantNames("swapped", after)
		names := asked()
		if len(names) != 3 || strings.Contains(names[0], "@") || refusals.Load() != 0 || report.Failed != 0 || len(entries) != 2 {
			t.Errorf("names asked for: %v, %d refusals; report %+v", names, refusals.Load(), report)
		}
		w.app.asked()
		if w.cycle(); probes(w.app.asked()) != nil || w.link("p1").Aside != nil {
			t.Error("a second cycle sends something")
		}
	})
	t.Run("three_people_in_a_circle", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.rules("", provision.SwapsTemporary)
		w.people.put("p3", person("cy@contoso.com", "Cy", "Cypher"))
		w.cycle()
		_, refusals := unique(w)
		w.people.set("p3", "userPrincipalName", "ada@contoso.com")
		w.people.set("p2", "userPrincipalName", "cy@contoso.com")
		w.people.set("p1", "userPrincipalName", "bob@contoso.com")
		w.cycle()
		w.wantNames("after the circle", map[string]string{"u1": "bob@contoso.com", "u2": "cy@contoso.com", "u3": "ada@contoso.com"})
		if r := w.report(); refusals.Load() != 0 || r.Escrowed != 0 || r.Pending != 0 {
			t.Errorf("%d refusals, report %+v", refusals.Load(), r)
		}
	})
	t.Run("a_leaver_in_a_circle_ends_the_wait", func(t *testing.T) {
		t.Parallel()
		// Ada, Bob and Cy wait for each other's names when Bob leaves, and the application refuses to
		// disable Bob's account. Ada fails, because nobody gives away the name of a leaver. Cy, who
		// waits for Ada's name, must not ask again and again that Ada goes first.
		w := hired(t)
		w.people.put("p3", person("cy@contoso.com", "Cy", "Cypher"))
		w.cycle()
		unique(w)
		inner := w.app.answer
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/u2") {
				refuse(rw, 400, "mutability", "Bob stays.")
				return true
			}
			return inner(rw, r)
		}
		w.people.set("p2", "userPrincipalName", "cy@contoso.com")
		w.people.set("p3", "userPrincipalName", "ada@contoso.com")
		w.people.set("p1", "userPrincipalName", "bob@contoso.com")
		w.cycle() // all three wait
		w.people.enable("p2", false)
		w.rules("", provision.SwapsTemporary)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		epoch, err := w.leases.Claim(ctx, provision.LeaseKind, w.key.String(), "test", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.engine.Advance(ctx, w.key.String(), epoch); err != nil || ctx.Err() != nil {
			t.Fatalf("the slice did not end: %v, %v", err, ctx.Err())
		}
		w.wantNames("with a leaver in the circle", map[string]string{"u1": "ada@contoso.com", "u2": "bob@contoso.com", "u3": "cy@contoso.com"})
	})
	t.Run("a_crash_in_the_middle_is_finished", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.rules("", provision.SwapsTemporary)
		w.cycle()
		asked, _ := unique(w)
		crash := &crashing{Store: w.store, when: func() bool { return len(asked()) == 1 }}
		w.engine.Store = crash
		swap(w)
		if _, _, err := w.tryCycle(); err == nil || !crash.done.Load() {
			t.Fatal("the process did not stop")
		}
		if names := w.app.names(); strings.Contains(names["u1"], "@") {
			t.Fatalf("the crash was not in the middle: %v", names)
		}
		w.wire()
		w.cycle()
		w.wantNames("after the crash", after)
		if r := w.report(); r.Escrowed != 0 || r.Pending != 0 {
			t.Errorf("report %+v", r)
		}
	})
	t.Run("is_undone_if_the_second_step_is_refused", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.rules("", provision.SwapsTemporary)
		w.cycle()
		unique(w)
		inner := w.app.answer
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/u2") && strings.Contains(body(r), "ada@") {
				refuse(rw, 400, "mutability", "Bob keeps his name.")
				return true
			}
			return inner(rw, r)
		}
		swap(w)
		w.cycle()
		w.wantNames("undone", before)
		if r := w.report(); r.Escrowed != 2 || r.Pending != 0 || w.link("p1").Aside != nil {
			t.Errorf("report %+v", r)
		}
	})
	t.Run("with_a_name_whose_update_got_no_answer", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.rules("", provision.SwapsTemporary)
		w.cycle()
		unique(w)
		w.app.done = func(r *http.Request) {
			if r.Method == http.MethodPatch {
				panic(http.ErrAbortHandler)
			}
		}
		w.people.set("p1", "userPrincipalName", "ada.byte@contoso.com")
		w.slice()
		w.app.done = nil
		w.people.set("p1", "userPrincipalName", "bob@contoso.com")
		w.people.set("p2", "userPrincipalName", "ada.byte@contoso.com")
		for range 5 {
			w.clock.advance(time.Hour)
			w.slice()
		}
		w.wantNames("swapped", map[string]string{"u1": "bob@contoso.com", "u2": "ada.byte@contoso.com"})
		if r := w.report(); r.Escrowed != 0 || r.Pending != 0 {
			t.Errorf("report %+v", r)
		}
	})
	t.Run("a_chain_needs_no_temporary_value", func(t *testing.T) {
		t.Parallel()
		for range 3 {
			w := hired(t)
			_, refusals := unique(w)
			w.people.set("p1", "userPrincipalName", "bob@contoso.com")
			w.people.set("p2", "userPrincipalName", "bob.bit@contoso.com")
			report, entries := w.cycle()
			w.wantNames("chain", map[string]string{"u1": "bob@contoso.com", "u2": "bob.bit@contoso.com"})
			if refusals.Load() != 0 || report.Failed != 0 || status(entries["p1"]) != "update success " {
				t.Errorf("%d refusals, report %+v", refusals.Load(), report)
			}
		}
	})
}

// firstKey returns the first matching value of the account that a person is linked to.
func firstKey(w *world, id string) string {
	w.t.Helper()
	l := w.link(id)
	return l.FirstKey()
}

// crashing is a store whose Record fails from the time at which when first returns true.
type crashing struct {
	provision.Store
	when func() bool
	done atomic.Bool
}

func (s *crashing) Record(ctx context.Context, f provision.Fence, st provision.State, outcomes []provision.Outcome) error {
	if s.done.Load() || s.when() {
		s.done.Store(true)
		return errors.New("killed")
	}
	return s.Store.Record(ctx, f, st, outcomes)
}

// TestRehire hires somebody with the name of Bob, who has left.
func TestRehire(t *testing.T) {
	t.Parallel()
	// left returns a job whose person Bob has the employee id E2. Bob was soft-deleted and his
	// account is disabled. Then Bob is hired again as another object, with the employee id in
	// employee.
	left := func(t *testing.T, rule provision.Rehire, employee string) *world {
		t.Helper()
		w := hired(t)
		w.rules(rule, "")
		w.people.set("p2", "employeeId", "E2")
		w.cycle()
		w.people.set("p2", "jobTitle", "Clerk")
		w.cycle()
		w.people.softDelete("p2")
		w.cycle()
		if isActive(t, w, "bob@contoso.com") {
			t.Fatal("Bob is active")
		}
		unique(w)
		again := person("bob@contoso.com", "Bob", "Byte")
		again["employeeId"], again["city"] = employee, "Bergen"
		w.people.put("p9", again)
		return w
	}
	for name, tt := range map[string]struct {
		rule     provision.Rehire
		employee string
		words    []string
	}{
		"asks_by_default":                        {"", "E2", []string{"who was deleted in the directory", "Nothing was done", "set the job's rule for a re-hire to adopt"}},
		"adopts_nobody_without_an_employee_id":   {provision.RehireAdopt, "", []string{"one of them has none"}},
		"adopts_nobody_with_another_employee_id": {provision.RehireAdopt, "E9", []string{"'E9' and 'E2'", "If they are two people"}},
		"new_says_which_name_must_be_freed":      {provision.RehireNew, "E2", []string{"The name must be freed first", "'bob@contoso.com'"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := left(t, tt.rule, tt.employee)
			_, entries := w.cycle()
			e := entries["p9"]
			for _, word := range tt.words {
				if got := e.Status.Reason + " " + e.Status.RecommendedAction; status(e) != "other failure HandoverNeeded" || !strings.Contains(got, word) {
					t.Errorf("got %q: %q does not say %q", status(e), got, word)
				}
			}
			if isActive(t, w, "bob@contoso.com") || len(w.app.users) != 2 {
				t.Error("the account was touched")
			}
			// The leaver is purged. His account is deleted, and the new person gets an account in
			// the same cycle.
			w.people.purge("p2")
			if w.cycle(); !isActive(t, w, "bob@contoso.com") || w.report().Escrowed != 0 || w.report().Linked != 2 {
				t.Errorf("after the purge: accounts %v, report %+v", w.app.users, w.report())
			}
		})
	}
	t.Run("adopt_takes_the_account_over", func(t *testing.T) {
		t.Parallel()
		w := left(t, provision.RehireAdopt, "E2")
		_, objects := w.plan()
		if o := objects["p9"]; o.TargetID != "u2" || o.Action != provision.Update {
			t.Errorf("planned %+v", o)
		}
		_, entries := w.cycle()
		if e := entries["p9"]; status(e) != "update success " || !isActive(t, w, "bob@contoso.com") || len(w.app.users) != 2 {
			t.Errorf("got %q (%s)", status(e), e.Status.Reason)
		}
		if got := w.link("p9"); got.TargetID != "u2" || w.report().Linked != 2 {
			t.Errorf("linked %+v", got)
		}
		if title := w.app.user("bob@contoso.com").String("title"); title != "" {
			t.Errorf("the new person has no title, and the account still has %q, which the job wrote for the former one", title)
		}
		w.people.purge("p2") // the account no longer belongs to the old object
		if w.cycle(); !isActive(t, w, "bob@contoso.com") {
			t.Error("the purge of the old object took the account away")
		}
	})
	t.Run("adopt_removes_former_values_after_a_pause_too", func(t *testing.T) {
		t.Parallel()
		w := left(t, provision.RehireAdopt, "E2")
		paused := false
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch || paused {
				return false
			}
			paused = true
			rw.Header().Set("Retry-After", "3600")
			rw.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		w.cycle()
		w.clock.advance(2 * time.Hour)
		w.cycle()
		if title := w.app.user("bob@contoso.com").String("title"); !paused || title != "" || !isActive(t, w, "bob@contoso.com") {
			t.Errorf("paused %v, the account has the title %q", paused, title)
		}
	})
	t.Run("a_name_that_is_freed_wakes_whoever_waits", func(t *testing.T) {
		t.Parallel()
		w := left(t, "", "E9")
		w.cycle()
		w.people.edit("p2", func(u *directory.User) { u.Deleted = time.Time{} })
		w.people.set("p2", "userPrincipalName", "bob.old@contoso.com")
		if w.cycle(); !isActive(t, w, "bob@contoso.com") || !isActive(t, w, "bob.old@contoso.com") || len(w.app.users) != 3 {
			t.Errorf("accounts %v", w.app.users)
		}
	})
	t.Run("somebody_who_is_being_renamed_is_waited_for", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		_, refusals := unique(w)
		w.people.put("p0", person("bob@contoso.com", "Bob", "Newman"))
		w.people.set("p2", "userPrincipalName", "bob.byte@contoso.com")
		report, _ := w.cycle()
		w.wantNames("in one cycle", map[string]string{"u1": "ada@contoso.com", "u2": "bob.byte@contoso.com", "u3": "bob@contoso.com"})
		if report.Failed != 0 || refusals.Load() != 0 {
			t.Errorf("report %+v, %d refusals", report, refusals.Load())
		}
	})
	t.Run("a_search_that_was_answered_before_the_other_one_was_renamed", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.people.put("p0", person("bob@contoso.com", "Bob", "Newman"))
		w.people.set("p2", "userPrincipalName", "bob.byte@contoso.com")
		var late atomic.Int32
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Query().Get("filter"), `"bob@contoso.com"`) || late.Add(1) > 1 {
				return false
			}
			w.app.mu.Lock()
			old, err := json.Marshal(w.app.users["u2"])
			w.app.mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if !strings.Contains(string(old), "bob@contoso.com") {
				t.Errorf("Bob was renamed before the search: %s", old)
			}
			for end := time.Now().Add(20 * time.Second); firstKey(w, "p2") != "username bob.byte@contoso.com" && time.Now().Before(end); {
				time.Sleep(5 * time.Millisecond)
			}
			rw.Header().Set("Content-Type", "application/scim+json")
			fmt.Fprintf(rw, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"Resources":[%s]}`, old)
			return true
		}
		report, entries := w.cycle()
		w.wantNames("in one cycle", map[string]string{"u1": "ada@contoso.com", "u2": "bob.byte@contoso.com", "u3": "bob@contoso.com"})
		if report.Failed != 0 || late.Load() < 2 {
			t.Errorf("%d searches, report %+v, entry %+v", late.Load(), report, entries["p0"].Status)
		}
	})
}

// TestSomebodyWithoutAccessDoesNotFailForAnotherPersonsAccount has a person who was never enabled.
// Another person's account still has the name of this person.
func TestSomebodyWithoutAccessDoesNotFailForAnotherPersonsAccount(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.people.assign("p2", false)
	w.people.set("p2", "userPrincipalName", "bob.byte@contoso.com")
	w.cycle()
	w.people.put("p3", person("bob@contoso.com", "Bob", "Bit"))
	w.people.enable("p3", false)
	w.cycle()
	if r := w.report(); r.Escrowed != 0 || r.Pending != 0 {
		t.Errorf("%d fail and %d wait: %+v", r.Escrowed, r.Pending, r.Failing)
	}
	if got := w.app.user("bob@contoso.com").String("externalId"); got != "Bob" || isActive(t, w, "bob@contoso.com") {
		t.Errorf("the other person's account has the externalId %q", got)
	}
}

// TestANewNameDoesNotForgetACreateOfUnknownOutcome loses the answer to a create. Before the engine
// finds the account, the person gets a name that another account still has. Then the person waits
// for that name, and keeps the created account.
func TestANewNameDoesNotForgetACreateOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	w := hired(t, func(s *provision.Settings, _ *provision.FlowTypes) { s.Swaps = provision.SwapsTemporary })
	lost := 0
	w.app.done = func(r *http.Request) {
		if r.Method == http.MethodPost {
			lost++
			panic(http.ErrAbortHandler)
		}
	}
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.slice()
	w.app.done = nil
	w.people.set("p2", "userPrincipalName", "bob.byte@contoso.com")
	w.people.set("p3", "userPrincipalName", "bob@contoso.com")
	for range 4 {
		w.clock.advance(10 * time.Minute)
		w.slice()
	}
	if n := w.app.created["cyn@contoso.com"] + w.app.created["bob@contoso.com"]; lost != 1 || n != 1 {
		t.Errorf("%d accounts were created for Bob and Cyn, %d answers were lost", n, lost)
	}
	if got := w.app.names(); len(got) != 3 || got["u2"] != "bob.byte@contoso.com" || got["u3"] != "bob@contoso.com" {
		t.Errorf("the names are not as in the directory: %v", got)
	}
}

// TestACreateOfUnknownOutcomeIsNotAnothersAccount loses the answer to a create. The person gets
// another name, and another person's account gets the person's former name.
func TestACreateOfUnknownOutcomeIsNotAnothersAccount(t *testing.T) {
	t.Parallel()
	w := hired(t)
	refused := 0
	w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			refused++
			panic(http.ErrAbortHandler)
		}
		return false
	}
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.slice()
	w.people.set("p3", "userPrincipalName", "cyn.cipher@contoso.com")
	w.people.set("p2", "userPrincipalName", "cyn@contoso.com")
	w.slice()
	w.app.answer = nil
	w.people.assign("p2", false) // the account of p2 keeps the name
	for range 4 {
		w.clock.advance(time.Hour)
		w.slice()
	}
	if n := w.app.created["cyn.cipher@contoso.com"]; refused == 0 || n != 1 {
		t.Errorf("Cyn has %d accounts; %d creates were refused; failing: %+v", n, refused, w.report().Failing)
	}
}

// TestAnAccountOfACreateWithoutAnswerIsNotSwitchedOffForSomebodyElse has a person who was never
// enabled, and another one with the same name, whose create gets no answer.
func TestAnAccountOfACreateWithoutAnswerIsNotSwitchedOffForSomebodyElse(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.app.done = func(r *http.Request) {
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
	}
	w.people.put("p4", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.slice()
	w.app.done = nil
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Former"))
	w.people.enable("p3", false)
	var words []string
	for range 4 {
		w.clock.advance(time.Second)
		w.slice()
		for _, waiting := range w.report().Waits {
			words = append(words, waiting.Reason)
		}
		w.clock.advance(time.Minute)
	}
	if got := w.app.user("cyn@contoso.com").String("externalId"); w.app.created["cyn@contoso.com"] != 1 || got != "Cyn" || !isActive(t, w, "cyn@contoso.com") {
		t.Errorf("%d accounts were created; the account has the externalId %q, active: %t", w.app.created["cyn@contoso.com"], got, isActive(t, w, "cyn@contoso.com"))
	}
	if !slices.ContainsFunc(words, func(s string) bool {
		return strings.Contains(s, "(object p4), whose create got no answer. That object comes first.")
	}) {
		t.Errorf("nobody waited for the create of p4: %q", words)
	}
	if r := w.report(); r.Escrowed != 0 || r.Pending != 0 {
		t.Errorf("%d fail and %d wait: %+v", r.Escrowed, r.Pending, r.Failing)
	}
}

// TestLeaversWithOneNameDoNotWaitForEachOther loses the answers to the creates of two people with
// the same name, who then both leave. The account that exists is disabled.
func TestLeaversWithOneNameDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	w := hired(t)
	lose := func(*http.Request) { panic(http.ErrAbortHandler) }
	w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			lose(r)
		}
		return false
	}
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.slice()
	w.app.answer, w.app.done = nil, func(r *http.Request) {
		if r.Method == http.MethodPost {
			lose(r)
		}
	}
	w.people.put("p4", person("cyn@contoso.com", "Cyn", "Second"))
	w.slice()
	w.app.done = nil
	w.people.enable("p3", false)
	w.people.enable("p4", false)
	for range 6 {
		w.clock.advance(time.Minute)
		w.slice()
	}
	if w.app.created["cyn@contoso.com"] != 1 || isActive(t, w, "cyn@contoso.com") {
		t.Errorf("%d accounts were created, active: %t", w.app.created["cyn@contoso.com"], isActive(t, w, "cyn@contoso.com"))
	}
	if r := w.report(); r.Escrowed != 0 || r.Pending != 0 {
		t.Errorf("%d fail and %d wait: %+v %+v", r.Escrowed, r.Pending, r.Failing, r.Waits)
	}
}

// TestAnAccountThatWasMadeActiveWithoutARecordIsEndedWithItsPerson has a person come back. The
// process dies before it records that the account is active again, and the person is purged.
func TestAnAccountThatWasMadeActiveWithoutARecordIsEndedWithItsPerson(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.people.assign("p2", false)
	w.cycle()
	if isActive(t, w, "bob@contoso.com") || w.link("p2").State != provision.Released {
		t.Fatalf("the leaver's account is active, or %s", w.link("p2").State)
	}
	w.people.assign("p2", true)
	crash := &crashing{Store: w.store, when: func() bool { return isActive(t, w, "bob@contoso.com") }}
	w.engine.Store = crash
	if _, _, err := w.tryCycle(); err == nil || !crash.done.Load() {
		t.Fatal("the process did not stop")
	}
	w.people.purge("p2")
	w.wire()
	w.cycle()
	if w.app.user("bob@contoso.com") != nil && isActive(t, w, "bob@contoso.com") {
		t.Error("the account of a person who was purged is active")
	}
}

// matchedByExternalID makes externalId the first matching attribute and userName the second.
func matchedByExternalID(w *world) {
	w.edit(func(m *provision.ObjectMapping) {
		for i := range m.AttributeMappings {
			switch row := &m.AttributeMappings[i]; row.TargetAttributeName {
			case "externalId":
				row.MatchingPriority = 1
			case "userName":
				row.MatchingPriority = 2
			}
		}
	})
	w.cycle()
}

// TestANameThatIsNotTheFirstMatchingAttribute has people swap, pass on and take over names at an
// application where accounts are found by externalId first.
func TestANameThatIsNotTheFirstMatchingAttribute(t *testing.T) {
	t.Parallel()
	t.Run("swap", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		matchedByExternalID(w)
		w.rules("", provision.SwapsTemporary)
		w.cycle()
		unique(w)
		w.people.set("p1", "userPrincipalName", "bob@contoso.com")
		w.people.set("p2", "userPrincipalName", "ada@contoso.com")
		w.people.set("p1", "jobTitle", "Countess")
		for range 2 {
			w.cycle()
		}
		w.wantNames("swapped", map[string]string{"u1": "bob@contoso.com", "u2": "ada@contoso.com"})
		if r := w.report(); r.Escrowed != 0 || r.Pending != 0 || w.link("p1").Aside != nil || w.app.stored("u1").String("title") != "Countess" {
			t.Errorf("report %+v", r)
		}
	})
	t.Run("swap that asks", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		matchedByExternalID(w)
		unique(w)
		w.people.set("p1", "userPrincipalName", "bob@contoso.com")
		w.people.set("p2", "userPrincipalName", "ada@contoso.com")
		w.cycle()
		_, entries := w.cycle()
		for id, e := range entries {
			if !strings.Contains(e.Status.Reason, "have each other's values") {
				t.Errorf("%s: got %q (%s)", id, status(e), e.Status.Reason)
			}
		}
		if w.report().Escrowed != 2 {
			t.Errorf("report %+v", w.report())
		}
	})
	t.Run("chain", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.engine.Workers = 1 // Ada goes first
		matchedByExternalID(w)
		unique(w)
		w.people.set("p1", "userPrincipalName", "bob@contoso.com")
		w.people.set("p2", "userPrincipalName", "bob.bit@contoso.com")
		report, _ := w.cycle()
		w.wantNames("chain", map[string]string{"u1": "bob@contoso.com", "u2": "bob.bit@contoso.com"})
		if report.Failed != 0 || w.report().Escrowed != 0 {
			t.Errorf("report %+v, %d escrowed", report, w.report().Escrowed)
		}
	})
	rehired := func(t *testing.T, rule provision.Rehire) *world {
		w := hired(t)
		matchedByExternalID(w)
		w.rules(rule, "")
		w.people.set("p2", "employeeId", "E2")
		w.cycle()
		w.people.softDelete("p2")
		w.cycle()
		unique(w)
		again := person("bob@contoso.com", "Bob", "Byte")
		again["employeeId"], again["mailNickname"] = "E2", "Bob2"
		w.people.put("p9", again)
		return w
	}
	t.Run("re-hire that takes the account over", func(t *testing.T) {
		t.Parallel()
		w := rehired(t, provision.RehireAdopt)
		_, entries := w.cycle()
		if e := entries["p9"]; status(e) != "update success " || !isActive(t, w, "bob@contoso.com") || len(w.app.users) != 2 || w.link("p9").TargetID != "u2" {
			t.Errorf("got %q (%s)", status(e), e.Status.Reason)
		}
	})
	t.Run("re-hire that asks", func(t *testing.T) {
		t.Parallel()
		w := rehired(t, "")
		_, entries := w.cycle()
		if e := entries["p9"]; status(e) != "other failure HandoverNeeded" {
			t.Errorf("got %q (%s)", status(e), e.Status.Reason)
		}
		w.people.purge("p2")
		if w.cycle(); !isActive(t, w, "bob@contoso.com") || w.report().Escrowed != 0 || w.report().Linked != 2 {
			t.Errorf("after the purge: accounts %v, report %+v", w.app.users, w.report())
		}
	})
}
