package provision_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// TestLeaversAreClosedBeforeTheTenantURLMoves has leavers of each kind. One application works, one
// refuses a leaver, and one does not answer.
func TestLeaversAreClosedBeforeTheTenantURLMoves(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		for id, name := range map[string]string{"p1": "ada", "p2": "bob", "p3": "cy", "p4": "di"} {
			w.people.put(id, person(name+"@contoso.com", name, "Test"))
		}
		w.cycle()
		if _, err := w.jobs.Pause(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		closed := func(when string, want provision.Closed, active ...string) {
			t.Helper()
			got, err := w.engine.CloseLeavers(t.Context(), w.key, "test", "cli", 0)
			if want.Reason != "" && strings.Contains(got.Reason, want.Reason) {
				got.Reason = want.Reason
			}
			if got != want || err != nil {
				t.Errorf("%s: %+v, %v, want %+v", when, got, err, want)
			}
			for _, name := range []string{"ada", "bob", "cy", "di"} {
				if account := name + "@contoso.com"; w.app.user(account) != nil && isActive(t, w, account) != slices.Contains(active, name) {
					t.Errorf("%s: %s is active: %v", when, name, isActive(t, w, account))
				}
			}
		}
		closed("nobody has left", provision.Closed{}, "ada", "bob", "cy", "di")
		w.people.softDelete("p1")
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				refuse(rw, 400, "invalidValue", "Not this one.")
			}
			return r.Method == http.MethodPatch
		}
		closed("it is refused", provision.Closed{Left: 1, Reason: "Not this one."}, "ada", "bob", "cy", "di")
		w.app.answer = func(rw http.ResponseWriter, _ *http.Request) bool {
			refuse(rw, 401, "", "Who are you?")
			return true
		}
		closed("the token is refused", provision.Closed{Left: 1, Reason: "Who are you?"}, "ada", "bob", "cy", "di")
		w.app.answer = nil
		w.people.assign("p2", false)
		w.people.purge("p3")
		closed("the application works", provision.Closed{Off: 3}, "di")
		closed("once more", provision.Closed{}, "di")
	})
}

// TestLeaversBeyondTheGuardAreNotClosed has more leavers than the guard lets through. They are
// closed only if an administrator has agreed to their number, and never with Second approval.
func TestLeaversBeyondTheGuardAreNotClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		w.people.put(id, person(id+"@contoso.com", id, "Test"))
	}
	w.cycle()
	if _, err := w.jobs.Pause(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		w.people.assign(id, false)
	}
	writes := w.app.writes()
	refused := func(when string, confirmed int) {
		t.Helper()
		if _, err := w.engine.CloseLeavers(t.Context(), w.key, "test", "cli", confirmed); !errors.As(err, new(*provision.InputError)) || !strings.Contains(err.Error(), "6 accounts at the old one") || w.app.writes() != writes {
			t.Errorf("%s: %v, %d writes", when, err, w.app.writes()-writes)
		}
	}
	refused("nobody was asked", 0)
	second := func(on bool) {
		t.Helper()
		if _, err := w.jobs.Edit(t.Context(), w.key, func(s *provision.Settings) { s.SecondApproval = &on }, "cli"); err != nil {
			t.Fatal(err)
		}
	}
	second(true)
	refused("with Second approval", 6)
	if err := w.jobs.Delete(t.Context(), w.key, "kim"); !errors.As(err, new(*provision.InputError)) {
		t.Errorf("delete with Second approval: %v", err)
	}
	second(false)
	if got, err := w.engine.CloseLeavers(t.Context(), w.key, "test", "cli", 6); err != nil || got != (provision.Closed{Off: 6}) {
		t.Errorf("confirmed: %+v, %v", got, err)
	}
	second(true)
	if err := w.jobs.Delete(t.Context(), w.key, "cli"); err != nil {
		t.Errorf("delete on the server: %v", err)
	}
}

// TestMoveCountsWhatANewTenantURLLeavesBehind has one person of each kind that the job may forget.
func TestMoveCountsWhatANewTenantURLLeavesBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, name := range map[string]string{"p1": "ada", "p2": "bob", "p3": "cy", "p4": "di", "p5": "ed"} {
		w.people.put(id, person(name+"@contoso.com", name, "Test"))
	}
	w.cycle()
	w.people.enable("p5", false)
	w.cycle() // this cycle disables the account of p5
	w.people.softDelete("p1")
	w.people.assign("p2", false)
	w.people.purge("p3")
	job := w.report().Job
	for address, want := range map[string]provision.Move{
		w.app.url():                        {},
		w.app.url() + "/?aadOptscim062020": {},
		"https://other.example/scim":       {Linked: 5, Leavers: 3},
		"":                                 {Linked: 5, Leavers: 3},
	} {
		got, err := w.jobs.Move(t.Context(), job, address)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%q (-want +got):\n%s%v", address, d, err)
		}
	}
	w.cycle()
	got, err := w.jobs.Move(t.Context(), job, "https://other.example/scim")
	if want := (provision.Move{Linked: 4}); got != want || err != nil {
		t.Errorf("after a cycle %+v, %v, want %+v", got, err, want)
	}
}
