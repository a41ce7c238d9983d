package provision_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// TestAnUpdateOfUnknownOutcomeThatWasNotCarriedOutIsSentAgain cuts off the answer to a leaver's
// update. The engine then reads the unchanged account, and postpones the next update. It must not
// take the read value for the application's own form of the sent value. In the end the leaver's
// account is disabled.
func TestAnUpdateOfUnknownOutcomeThatWasNotCarriedOutIsSentAgain(t *testing.T) {
	t.Parallel()
	w := hired(t)
	patches := 0
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		switch patches++; patches {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			rw.Header().Set("Retry-After", "3600")
			refuse(rw, http.StatusTooManyRequests, "", "Later.")
			return true
		}
		return false
	}
	w.people.enable("p2", false)
	w.slice()
	for range 3 {
		w.clock.advance(2 * time.Hour)
		w.slice()
	}
	if isActive(t, w, "bob@contoso.com") {
		t.Errorf("Bob left and has an active account; %d updates were sent", patches)
	}
}

// TestADoubtAboutAnUpdateLastsUntilTheAccountWasRead has a process die between an update and its
// record. The first read of the account fails. Then the directory has the old values again, so only
// a read of the account can show that the update was carried out.
func TestADoubtAboutAnUpdateLastsUntilTheAccountWasRead(t *testing.T) {
	t.Parallel()
	w := hired(t)
	epoch, err := w.leases.Claim(t.Context(), provision.LeaseKind, w.key.String(), "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s := w.report().State
	s.InFlight = []string{"p2"}
	if err := w.store.SaveState(t.Context(), provision.Fence{Key: w.key, Epoch: epoch}, s, nil); err != nil {
		t.Fatal(err)
	}
	w.app.mu.Lock()
	w.app.users[w.app.byName["bob@contoso.com"][0]]["active"] = false
	w.app.mu.Unlock()
	reads := 0
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/Users/") {
			return false
		}
		if reads++; reads > 1 {
			return false
		}
		fmt.Fprint(rw, "<html>Please sign in</html>")
		return true
	}
	w.people.enable("p2", true)
	w.slice()
	w.clock.advance(2 * time.Hour)
	w.slice()
	if !isActive(t, w, "bob@contoso.com") {
		t.Errorf("Bob's account was blocked by an update that nobody recorded, and stays so; it was read %d times", reads)
	}
}

// TestAnAccountThatWasJustShownIsNotGone updates a new account. Some servers of the application do
// not know the account yet.
func TestAnAccountThatWasJustShownIsNotGone(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	w.cycle()
	until := w.clock.now().Add(4 * time.Second)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		switch {
		case w.clock.now().After(until):
		case strings.Contains(r.URL.Path, "/Users/"):
			refuse(rw, http.StatusNotFound, "", "There is no such user.")
			return true
		case strings.Contains(r.URL.RawQuery, "cyn"):
			fmt.Fprintf(rw, `{"schemas":[%q],"totalResults":0,"Resources":[]}`, scim.ListResponseURN)
			return true
		}
		return false
	}
	w.people.set("p3", "jobTitle", "Engineer")
	w.cycle()
	if n := w.app.created["cyn@contoso.com"]; n != 1 {
		t.Errorf("Cyn has %d accounts", n)
	}
	if got := w.app.user("cyn@contoso.com").String("title"); got != "Engineer" {
		t.Errorf("Cyn has the title %q", got)
	}
}

// TestAValueThatNobodyRecordedIsTakenAway has a process die between an update that adds a title and
// the update's record. Before the next process looks, the directory loses the title. The engine
// removes only values that it gave. It must know that it gave the title.
func TestAValueThatNobodyRecordedIsTakenAway(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.people.set("p2", "jobTitle", "Engineer")
	w.dieBeforeRecording()
	if got := w.app.user("bob@contoso.com").String("title"); got != "Engineer" {
		t.Fatalf("Bob has the title %q, want the one that nobody recorded", got)
	}
	w.people.set("p2", "jobTitle", "")
	for range 3 {
		w.slice()
		w.clock.advance(time.Hour)
	}
	if got := w.app.user("bob@contoso.com").String("title"); got != "" {
		t.Errorf("Bob has the title %q, which the directory does not give him", got)
	}
}

// dieBeforeRecording advances the job, and has the process die after it sent an update, before it
// records the outcome. From then on, another process works on the job.
func (w *world) dieBeforeRecording() {
	w.t.Helper()
	w.engine.Store = &failingStore{Store: w.store, fails: func(o provision.Outcome) bool { return o.Link != nil }}
	epoch, err := w.leases.Claim(w.t.Context(), provision.LeaseKind, w.key.String(), "test", time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.engine.Advance(w.t.Context(), w.key.String(), epoch); !errors.Is(err, errDied) {
		w.t.Fatalf("the engine returned %v", err)
	}
	if err := w.leases.Release(w.t.Context(), provision.LeaseKind, w.key.String(), "test", epoch, w.clock.now()); err != nil {
		w.t.Fatal(err)
	}
	w.wire()
}

// TestWhatAReadShowsIsNotForgotten has a process die between an update that blocks an account and
// its record. The person is enabled again, and the next process reads the account, but cannot send
// the update that the read asks for. It must send it later.
func TestWhatAReadShowsIsNotForgotten(t *testing.T) {
	t.Parallel()
	for name, hinders := range map[string]func(w *world, rw http.ResponseWriter, r *http.Request) (answered bool){
		"the update must wait": func(_ *world, rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch {
				return false
			}
			rw.Header().Set("Retry-After", "3600")
			refuse(rw, http.StatusTooManyRequests, "", "Later.")
			return true
		},
		"the update is refused": func(_ *world, rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch {
				return false
			}
			refuse(rw, http.StatusForbidden, "", "Not now.")
			return true
		},
		"the read takes longer than the slice": func(w *world, _ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/Users/u2") {
				w.clock.advance(time.Minute)
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			w.people.enable("p2", false)
			w.dieBeforeRecording()
			if isActive(t, w, "bob@contoso.com") {
				t.Fatal("Bob's account is active, so no update was carried out")
			}
			w.clock.advance(time.Minute)
			w.people.enable("p2", true)
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool { return hinders(w, rw, r) }
			w.slice()
			if isActive(t, w, "bob@contoso.com") {
				t.Fatal("Bob's account is active, so nothing was hindered")
			}
			w.app.answer = nil
			for range 3 {
				w.clock.advance(2 * time.Hour)
				w.slice()
			}
			if r := w.report(); !isActive(t, w, "bob@contoso.com") || len(r.State.InFlight) != 0 {
				t.Errorf("Bob is enabled, and his account is %v; in flight are %v", w.app.user("bob@contoso.com"), r.State.InFlight)
			}
		})
	}
}

// TestAValueThatAnUnrecordedUpdateGaveIsReplaced has a process die between an update that gives a
// title and its record. When the next process looks, the person is disabled and has the former
// title. It reads the account, whose title matters only after the person is enabled again.
func TestAValueThatAnUnrecordedUpdateGaveIsReplaced(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.people.set("p2", "jobTitle", "Engineer")
	w.cycle()
	w.people.set("p2", "jobTitle", "Director")
	w.dieBeforeRecording()
	w.people.set("p2", "jobTitle", "Engineer")
	for _, enabled := range []bool{false, true} {
		w.people.enable("p2", enabled)
		w.clock.advance(2 * time.Hour)
		w.cycle()
	}
	if bob := w.app.user("bob@contoso.com"); bob.String("title") != "Engineer" || !isActive(t, w, "bob@contoso.com") {
		t.Errorf("Bob should be an engineer with an active account, and has %v", bob)
	}
}

// TestACorrectionThatFailsIsTriedAgain restarts the job after somebody changed an account at the
// application. The application refuses the correction the first time.
func TestACorrectionThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.people.set("p2", "jobTitle", "Engineer")
	w.cycle()
	w.app.mu.Lock()
	w.app.users["u2"]["title"] = "Director"
	w.app.mu.Unlock()
	if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	refused := 0
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || refused > 0 {
			return false
		}
		refused++
		refuse(rw, http.StatusForbidden, "", "Not now.")
		return true
	}
	for range 3 {
		w.slice()
		w.clock.advance(2 * time.Hour)
	}
	if got := w.app.user("bob@contoso.com").String("title"); got != "Engineer" || refused != 1 {
		t.Errorf("Bob has the title %q after %d refusals", got, refused)
	}
}

// behind makes the application answer GETs of an account from an out-of-date copy for the time d.
func behind(w *world, id string, copied scim.Resource, d time.Duration) {
	until := w.clock.now().Add(d)
	inner := w.app.answer
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/Users/"+id) && w.clock.now().Before(until) {
			_, _ = rw.Write(encode(copied))
			return true
		}
		return inner != nil && inner(rw, r)
	}
}

// TestAnEarlyReadSettlesNoDoubt has an update of unknown outcome that adds a title. The directory
// loses the title at once, and the application still shows the account as it was before the update.
// That answer proves nothing.
func TestAnEarlyReadSettlesNoDoubt(t *testing.T) {
	t.Parallel()
	for name, unknown := range map[string]func(t *testing.T, w *world){
		"the process died": func(_ *testing.T, w *world) { w.dieBeforeRecording() },
		"the answer was lost": func(_ *testing.T, w *world) {
			w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPatch {
					return false
				}
				w.app.handle(r, "u2", []byte(body(r)))
				panic(http.ErrAbortHandler)
			}
			w.slice()
			w.app.answer = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			before := w.app.user("bob@contoso.com")
			w.people.set("p2", "jobTitle", "Engineer")
			unknown(t, w)
			if got := w.app.user("bob@contoso.com").String("title"); got != "Engineer" {
				t.Fatalf("Bob has the title %q, want the one of the update", got)
			}
			behind(w, "u2", before, 4*time.Second)
			w.people.set("p2", "jobTitle", "")
			w.people.set("p2", "city", "Bergen") // this is sent at once
			w.slice()
			if bob := w.app.user("bob@contoso.com"); !strings.Contains(fmt.Sprint(bob["addresses"]), "Bergen") {
				t.Errorf("another change waits, too: %v", bob)
			}
			for range 3 {
				w.clock.advance(10 * time.Second)
				w.slice()
			}
			if bob := w.app.user("bob@contoso.com"); bob.String("title") != "" {
				t.Errorf("Bob has the title %q, which the directory does not give him", bob.String("title"))
			}
			if r := w.report(); r.Pending != 0 || len(r.State.InFlight) != 0 || len(r.State.UnsureSince) != 0 {
				t.Errorf("%d wait, in flight %v, %v", r.Pending, r.State.InFlight, r.State.UnsureSince)
			}
		})
	}
}

// failingStore is a store that fails to record some outcomes.
type failingStore struct {
	provision.Store
	fails func(o provision.Outcome) bool
}

func (f *failingStore) Record(ctx context.Context, fence provision.Fence, s provision.State, all []provision.Outcome) error {
	if slices.ContainsFunc(all, f.fails) {
		return errDied
	}
	return f.Store.Record(ctx, fence, s, all)
}
