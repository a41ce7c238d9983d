package provision_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision"
)

// TestMoveCountsWhatANewTenantURLLeavesBehind has one person of each kind who may be forgotten.
func TestMoveCountsWhatANewTenantURLLeavesBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, name := range map[string]string{"p1": "ada", "p2": "bob", "p3": "cy", "p4": "di", "p5": "ed"} {
		w.people.put(id, person(name+"@contoso.com", name, "Test"))
	}
	w.cycle()
	w.people.enable("p5", false)
	w.cycle() // it is off already
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
