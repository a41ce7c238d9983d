package provision_test

import (
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// If a pattern of a scoping filter runs out of time, that person fails, and the failure names the
// person. Nobody loses access because of it, the other people are provisioned, and a person who has
// left is disabled nevertheless.
func TestAScopingPatternThatRunsOutOfTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, city := range map[string]string{"p1": "Oslo", "p2": "Oslo", "p3": "Oslo"} {
		attributes := person(id+"@contoso.com", "Given", "Surname")
		attributes["city"] = city
		w.people.put(id, attributes)
	}
	w.cycle()
	hostile := strings.Repeat("O", 40) + "!"
	w.people.set("p1", "city", hostile)
	w.people.set("p2", "city", hostile)
	w.people.enable("p2", false)
	before := w.report().Job
	scope := []provision.FilterGroup{filterOf("city", "REGEX MATCH", `^(O+)+$|^Oslo(?<!x)$`)}
	after, err := before.WithScope(userRows, scope)
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.jobs.Effect(t.Context(), before, after)
	if err != nil || e.Failing != 1 || e.Leave != 0 || e.Failures[0].ObjectID != "p1" || !strings.Contains(e.Failures[0].Text, `filter "filter" cannot be evaluated: city REGEX MATCH ^(O+)+$|^Oslo(?<!x)$: the regular expression took too long`) {
		t.Errorf("what-if: %+v, %v", e, err)
	}
	if _, err := w.jobs.SetMapping(t.Context(), w.key, userRows, provision.MappingEdit{Scope: &scope}, "cli"); err != nil {
		t.Fatal(err)
	}
	_, entries := w.cycle()
	if got := entries["p1"]; got.Status.Code != "InvalidScopingFilter" || got.Status.Status != provision.Failure || !strings.Contains(got.Status.Reason, "took too long") {
		t.Errorf("p1 was logged as %+v", got.Status)
	}
	for name, want := range map[string]bool{"p1@contoso.com": true, "p2@contoso.com": false, "p3@contoso.com": true} {
		if got := w.app.user(name)["active"]; got != want {
			t.Errorf("%s is active: %v, want %t", name, got, want)
		}
	}
}
