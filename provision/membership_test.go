package provision_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// patchOf is a PATCH of a group with one operation.
func patchOf(group, operation string) string {
	return `PATCH /Groups/` + group + ` {"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`
}

func compliant(s *provision.Settings, _ *provision.FlowTypes) { s.TenantURL += "?aadOptscim062020" }

// TestMembersOnTheWire compares the requests about members with Entra's requests, in both dialects.
func TestMembersOnTheWire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		options        []option
		flag           string
		add, remove    string
		removeOfBoth   string
		addOfLatecomer string
	}{
		{
			name:         "as Entra sends by default",
			add:          `{"op":"Add","path":"members","value":[{"$ref":null,"value":"u1"},{"$ref":null,"value":"u2"}]}`,
			remove:       `{"op":"Remove","path":"members","value":[{"value":"u1"}]}`,
			removeOfBoth: `{"op":"Remove","path":"members","value":[{"value":"u2"},{"value":"u3"}]}`, addOfLatecomer: `{"op":"Add","path":"members","value":[{"$ref":null,"value":"u3"}]}`,
		},
		{
			name: "with the flag", options: []option{compliant}, flag: "aadOptscim062020",
			add:          `{"op":"add","path":"members","value":[{"value":"u1"},{"value":"u2"}]}`,
			remove:       `{"op":"remove","path":"members[value eq \"u1\"]"}`,
			removeOfBoth: `{"op":"remove","path":"members[value eq \"u2\"]"},{"op":"remove","path":"members[value eq \"u3\"]"}`, addOfLatecomer: `{"op":"add","path":"members","value":[{"value":"u3"}]}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t, tt.options...)
			ada := g.hire("ada", true)
			g.sync()
			bo := g.hire("bo", true)
			blue := g.group("Team Blue")
			g.sync()
			at := "g1"
			if tt.flag != "" {
				at += "?" + tt.flag
			}
			step := func(what string, want ...string) {
				t.Helper()
				for i := range want {
					want[i] = patchOf(at, want[i])
				}
				if diff := cmp.Diff(want, g.sync()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			g.join(blue, ada, bo)
			step("two come", tt.add)
			g.leave(blue, ada)
			step("one goes", tt.remove)
			cy := g.hire("cy", true)
			g.sync()
			g.join(blue, cy)
			step("one more comes", tt.addOfLatecomer)
			g.expect("Team Blue: bo cy")
			g.leave(blue, bo, cy)
			step("all go", tt.removeOfBoth)
			g.expect("Team Blue: ")
			if r := g.report(); r.Members != 0 {
				t.Errorf("the status counts %d memberships", r.Members)
			}
		})
	}
}

// TestMembersComeWithTheirAccounts has members who are out of scope, come into scope and leave the
// scope.
func TestMembersComeWithTheirAccounts(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	// Scope through a group would make its members entitled, so Bo is kept out by a filter.
	g.scopeTo("Oslo")
	ada := g.hire("ada", true)
	g.sync()
	bo := g.hire("bo", true)
	g.move(bo, "Paris")
	blue := g.group("Team Blue", ada, bo)
	g.sync()
	g.expect("Team Blue: ada")

	g.move(bo, "Oslo")
	if diff := cmp.Diff([]string{patchOf("g1", `{"op":"Add","path":"members","value":[{"$ref":null,"value":"u2"}]}`)}, g.sync()); diff != "" {
		t.Errorf("Bo comes into scope (-want +got):\n%s", diff)
	}
	g.move(ada, "Paris")
	if diff := cmp.Diff([]string{patchOf("g1", `{"op":"Remove","path":"members","value":[{"value":"u1"}]}`)}, g.sync()); diff != "" {
		t.Errorf("Ada leaves the scope (-want +got):\n%s", diff)
	}
	g.move(ada, "Oslo")
	g.sync()
	g.expect("Team Blue: ada bo")

	// A deleted person leaves all groups. A restored person joins them again.
	_, err := g.handle.SoftDelete(t.Context(), bo, "cli")
	g.must(err)
	g.sync()
	g.expect("Team Blue: ada")
	_, err = g.handle.Restore(t.Context(), bo, "cli")
	g.must(err)
	g.sync()
	g.expect("Team Blue: ada bo")

	// A person whose sign-in is blocked keeps the memberships.
	g.enable(ada, false)
	if got := g.sync(); len(got) != 0 {
		t.Errorf("Ada is blocked: %q", got)
	}
	g.enable(ada, true)
	if got := g.sync(); len(got) != 0 {
		t.Errorf("Ada is not blocked any more: %q", got)
	}

	// A group that leaves the scope and comes back gets all its members again.
	g.assign(blue, false)
	g.sync()
	g.expect()
	g.assign(blue, true)
	g.sync()
	g.expect("Team Blue: ada bo")
	if r := g.report(); r.Members != 2 || r.Groups != 1 {
		t.Errorf("the status counts %d members in %d groups", r.Members, r.Groups)
	}
	if got := g.sync(); len(got) != 0 {
		t.Errorf("with nothing to do: %q", got)
	}
}

// TestAMemberOfALargeGroupIsOneSmallRequest adds one member to a group of many members.
func TestAMemberOfALargeGroupIsOneSmallRequest(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	var all []string
	for i := range 40 {
		all = append(all, g.hire(string(rune('a'+i/26))+string(rune('a'+i%26)), true))
	}
	blue := g.group("Team Blue", all...)
	g.sync()
	late := g.hire("late", true)
	g.sync()
	g.join(blue, late)
	g.teams.take()
	_, _, err := g.tryCycle()
	g.must(err)
	want := []string{patchOf("g1", `{"op":"Add","path":"members","value":[{"$ref":null,"value":"u41"}]}`)}
	got := slices.DeleteFunc(g.teams.take(), func(r string) bool { return strings.Contains(r, "displayName") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// scopeTo lets only people of a city have accounts.
func (g *groupWorld) scopeTo(city string) {
	g.t.Helper()
	scope := []provision.FilterGroup{{Name: "city", Clauses: []provision.FilterClause{{SourceOperandName: "city", OperatorName: "EQUALS", TargetOperand: provision.FilterOperand{Values: []string{city}}}}}}
	_, err := g.jobs.SetMapping(g.t.Context(), g.key, userRows, provision.MappingEdit{Scope: &scope}, "cli")
	g.must(err)
}

func (g *groupWorld) edit(id string, fn func(u *directory.User)) {
	g.t.Helper()
	u, err := g.handle.User(g.t.Context(), id)
	g.must(err)
	fn(&u)
	_, _, err = g.handle.PutUser(g.t.Context(), u, "cli")
	g.must(err)
}

func (g *groupWorld) move(id, city string) {
	g.edit(id, func(u *directory.User) {
		attributes := map[string]any{}
		for name, v := range u.Attributes {
			attributes[name] = v
		}
		attributes["city"] = city
		u.Attributes = attributes
	})
}

func (g *groupWorld) enable(id string, on bool) {
	g.edit(id, func(u *directory.User) { u.AccountEnabled = on })
}

// TestMembershipsThatWereNotSentAreNotChecked has an application that asks for a pause of changes.
// The pause lasts longer than a slice, so the members of a new group wait. When they are sent at
// last, the engine checks only one of them, because no earlier request was about them.
func TestMembershipsThatWereNotSentAreNotChecked(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo, cy := g.hire("ada", true), g.hire("bo", true), g.hire("cy", true)
	g.rest()
	serve := g.app.answer
	g.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/Users/") {
			w.Header().Set("Retry-After", "60")
			refuse(w, http.StatusTooManyRequests, "", "Too many changes.")
			return true
		}
		return serve(w, r)
	}
	g.edit(ada, func(u *directory.User) { u.Attributes["jobTitle"] = "Engineer" })
	g.rest()
	g.group("Sales", ada, bo, cy)
	g.rest()
	g.expect("Sales: ")
	g.app.answer = serve
	g.teams.take()
	g.clock.advance(time.Hour)
	g.rest()
	g.expect("Sales: ada bo cy")
	checks := 0
	for _, r := range g.teams.take() {
		if strings.HasPrefix(r, "GET") && strings.Contains(r, "members") {
			checks++
		}
	}
	if checks != 1 {
		t.Errorf("%d memberships were checked, want one", checks)
	}
}

// TestResultsAboutSeveralGroupsShareACommit has an application that answers the changes of members
// of six groups only when all six have arrived. Their results are then stored with fewer commits.
func TestResultsAboutSeveralGroupsShareACommit(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada := g.hire("ada", true)
	g.rest()
	const groups = 6
	var arrived atomic.Int64
	all := make(chan struct{})
	serve := g.app.answer
	g.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/Groups/") {
			if arrived.Add(1) == groups {
				close(all)
			}
			<-all
		}
		return serve(w, r)
	}
	counting := &resultStore{Store: g.store}
	g.engine.Store = counting
	var want []string
	for i := range groups {
		g.group(fmt.Sprintf("Team %d", i), ada)
		want = append(want, fmt.Sprintf("Team %d: ada", i))
	}
	g.rest()
	g.expect(want...)
	if counting.results.Load() != groups || counting.commits.Load() >= groups {
		t.Errorf("%d results about memberships were stored with %d commits, want %d results and fewer commits", counting.results.Load(), counting.commits.Load(), groups)
	}
}

// resultStore counts the results about memberships, and the commits that store such results.
type resultStore struct {
	provision.Store
	results, commits atomic.Int64
}

func (s *resultStore) Record(ctx context.Context, f provision.Fence, st provision.State, outcomes []provision.Outcome) error {
	about := 0
	for _, o := range outcomes {
		if o.Memberships != nil {
			about++
		}
	}
	s.results.Add(int64(about))
	s.commits.Add(int64(min(about, 1)))
	return s.Store.Record(ctx, f, st, outcomes)
}
