package provision_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
)

// agreeWorld is a group world that changes at random.
type agreeWorld struct {
	*groupWorld
	random         *rand.Rand
	people, groups []string
	hired          int
}

// TestPlanAndRunAgree compares plans with the cycles that follow, over random histories of people,
// groups, memberships and managers.
func TestPlanAndRunAgree(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed_", seed), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				a := &agreeWorld{groupWorld: newGroupWorldOn(t, db, everyOther(seed)), random: rand.New(rand.NewPCG(seed, 7))}
				a.mapManager()
				a.app.add(scim.Resource{"userName": "p001@contoso.example", "active": true, "displayName": "There before"})
				a.app.add(account("p004@contoso.example"))
				a.app.add(account("p004@contoso.example"))
				for round := range 8 {
					var words []string
					for range 1 + a.random.IntN(9) {
						words = append(words, a.change())
					}
					a.compare(fmt.Sprintf("round %d, after %s", round, strings.Join(words, ", ")))
				}
			})
		})
	}
}

// change makes one random change and returns it in words.
func (a *agreeWorld) change() string {
	pick := func(list []string) string { return list[a.random.IntN(len(list))] }
	n := a.random.IntN(22)
	if len(a.people) < 4 || n < 3 {
		a.hired++
		id := a.hire(fmt.Sprintf("p%03d", a.hired), a.random.IntN(4) > 0)
		if len(a.people) > 0 && a.random.IntN(2) == 0 {
			a.manage(id, pick(a.people))
		}
		a.people = append(a.people, id)
		return "hire " + id
	}
	if len(a.groups) < 2 || n == 3 {
		id := a.group(fmt.Sprintf("Team %d", len(a.groups)), pick(a.people), a.people[0])
		a.groups = append(a.groups, id)
		return "group " + id
	}
	who, group, ctx := pick(a.people), pick(a.groups), a.t.Context()
	switch n {
	case 4, 5:
		on := a.random.IntN(2) == 0
		a.assign(who, on)
		return fmt.Sprintf("assign %s %v", who, on)
	case 6:
		on := a.random.IntN(3) == 0
		a.enable(who, on)
		return fmt.Sprintf("enable %s %v", who, on)
	case 7:
		a.move(who, pick([]string{"Oslo", "Bergen"}))
		return "move " + who
	case 8, 9:
		manager := pick(append(a.people, ""))
		if manager == who {
			manager = ""
		}
		a.manage(who, manager)
		return fmt.Sprintf("manage %s by %q", who, manager)
	case 10, 11:
		a.join(group, who)
		return fmt.Sprintf("%s joins %s", who, group)
	case 12:
		a.leave(group, who)
		return fmt.Sprintf("%s leaves %s", who, group)
	case 13:
		a.rename(group, fmt.Sprintf("Team %d", 100+a.random.IntN(1000)))
		return "rename " + group
	case 14:
		on := a.random.IntN(2) == 0
		a.assign(group, on)
		return fmt.Sprintf("assign %s %v", group, on)
	case 18, 19:
		inner := pick(a.groups)
		if inner == group {
			return "nothing"
		}
		a.join(group, inner)
		return fmt.Sprintf("group %s joins %s", inner, group)
	case 20:
		inner := pick(a.groups)
		a.leave(group, inner)
		return fmt.Sprintf("group %s leaves %s", inner, group)
	case 21:
		on := a.random.IntN(3) > 0
		a.nest(on)
		return fmt.Sprintf("nested groups %v", on)
	}
	if n == 15 || n == 16 {
		last := len(a.people) - 1
		id := a.people[last]
		a.people = a.people[:last]
		_, err := a.handle.SoftDelete(ctx, id, "cli")
		a.must(err)
		if n == 16 {
			a.must(a.handle.Purge(ctx, id, "cli"))
		}
		return fmt.Sprintf("delete %s, for good %v", id, n == 16)
	}
	if a.random.IntN(3) == 0 {
		_, err := a.jobs.Restart(ctx, a.key, "cli")
		a.must(err)
		return "restart"
	}
	city := pick([]string{"Oslo", "Oslo", "Bergen"})
	a.scopeTo(city)
	return "scope " + city
}

// everyOther makes every second world provision everyone.
func everyOther(seed uint64) option {
	return func(s *provision.Settings, _ *provision.FlowTypes) {
		if seed%2 == 1 {
			s.Scope = provision.Everyone
		}
	}
}

// agreed holds the operations of a plan or a cycle, for the comparison.
type agreed struct {
	Actions  []string          // the action and the object
	Values   map[string]string // the last value that is sent, by object and attribute
	Added    []string          // the group and the member
	Removed  []string
	Failures []string
}

// compare makes a plan, runs a cycle, and compares the two.
func (a *agreeWorld) compare(when string) {
	a.t.Helper()
	planned, done := agreed{Values: map[string]string{}}, agreed{Values: map[string]string{}}
	accounts := func(v any) string { // an account gets its id only when it is created
		if s := fmt.Sprint(v); strings.HasPrefix(s, "u") || strings.HasPrefix(s, "(new)") {
			return "an account"
		}
		return strings.ToLower(fmt.Sprint(v)) // the log has booleans as Entra writes them
	}
	report, err := a.engine.Plan(a.t.Context(), a.key, func(o provision.PlannedObject) error {
		if o.Result == provision.Failure {
			planned.Failures = append(planned.Failures, o.ObjectID)
		}
		if o.Result != provision.Success || o.Action == provision.Other {
			return nil
		}
		for _, m := range o.Added {
			planned.Added = append(planned.Added, o.ObjectID+" "+m.ObjectID)
		}
		for _, m := range o.Removed {
			planned.Removed = append(planned.Removed, o.ObjectID+" "+m.ObjectID)
		}
		if len(o.Added)+len(o.Removed) > 0 {
			return nil
		}
		only := len(o.Changes) == 1 && o.Changes[0].Path == managerPath
		if !only {
			planned.Actions = append(planned.Actions, fmt.Sprintf("%s %s", o.Action, o.ObjectID))
		}
		for _, c := range o.Changes {
			value := "none"
			if c.New != nil {
				value = accounts(c.New)
			}
			planned.Values[o.ObjectID+" "+c.Path] = value
		}
		return nil
	})
	a.must(err)
	cycle, err := a.engine.RunCycle(a.t.Context(), a.key, "test", func(e provision.LogEntry) error {
		id := e.SourceIdentity.ID
		if e.Status.Status == provision.Failure {
			done.Failures = append(done.Failures, id)
		}
		if e.Status.Status != provision.Success || e.Action == provision.Other {
			return nil
		}
		if e.Steps[0].Name == "EntryExportUpdateMembers" {
			for _, m := range e.Modified {
				if m.NewValue != nil {
					for member := range strings.SplitSeq(*m.NewValue, ", ") {
						done.Added = append(done.Added, id+" "+member)
					}
				} else {
					for member := range strings.SplitSeq(*m.OldValue, ", ") {
						done.Removed = append(done.Removed, id+" "+member)
					}
				}
			}
			return nil
		}
		if only := len(e.Modified) == 1 && e.Modified[0].DisplayName == managerPath; !only {
			done.Actions = append(done.Actions, fmt.Sprintf("%s %s", e.Action, id))
		}
		for _, m := range e.Modified {
			value := "none"
			if m.NewValue != nil {
				value = accounts(*m.NewValue)
			}
			done.Values[id+" "+m.DisplayName] = value
		}
		return nil
	})
	a.must(err)
	// While a leaver waits for the guard, the account may still join a group. It leaves the group
	// after the guard lets the leaver through.
	left := func(op string) bool { return slices.Contains(done.Added, op) && slices.Contains(done.Removed, op) }
	added := slices.DeleteFunc(slices.Clone(done.Added), func(op string) bool { return left(op) && !slices.Contains(planned.Added, op) })
	removed := slices.DeleteFunc(slices.Clone(done.Removed), func(op string) bool { return left(op) && !slices.Contains(planned.Removed, op) })
	done.Added, done.Removed = added, removed
	// In the same way, a new account may refer to an account that is about to be removed.
	maps.DeleteFunc(done.Values, func(of, value string) bool {
		id, path, _ := strings.Cut(of, " ")
		return path == managerPath && value == "none" && planned.Values[of] == "" && slices.Contains(done.Actions, "create "+id)
	})
	if report.Kind != cycle.Kind || report.MembersAdded != len(planned.Added) || report.MembersRemoved != len(planned.Removed) {
		a.t.Errorf("%s: planned %+v with %d members added and %d removed, done %+v", when, report, len(planned.Added), len(planned.Removed), cycle)
	}
	if r := a.report(); report.OnHold+report.MembersOnHold != r.OnHold {
		a.t.Errorf("%s: planned %d and %d on hold, %d are", when, report.OnHold, report.MembersOnHold, r.OnHold)
	}
	for _, all := range []*agreed{&planned, &done} {
		for _, list := range []*[]string{&all.Actions, &all.Added, &all.Removed, &all.Failures} {
			slices.Sort(*list)
			*list = append([]string{}, slices.Compact(*list)...)
		}
	}
	if diff := cmp.Diff(planned, done); diff != "" {
		a.t.Errorf("%s (-planned +done):\n%s", when, diff)
	}
}
