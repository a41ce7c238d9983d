package provision_test

import (
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
			got, err := w.engine.CloseLeavers(t.Context(), w.key, "test", "cli")
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
