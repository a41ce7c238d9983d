package provision_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// These tests are about memberships of accounts that get another person, and of people who get an
// account, in another way than by a create.

// TestAPersonWhoIsConnectedByHandJoinsTheGroups connects a person and an account by hand, one by one
// and as a discovered pair.
func TestAPersonWhoIsConnectedByHandJoinsTheGroups(t *testing.T) {
	t.Parallel()
	for _, discovered := range []bool{false, true} {
		t.Run(fmt.Sprintf("discovered %v", discovered), func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t, actions(provision.FlowUpdate|provision.FlowDelete))
			ada := g.hire("ada", true)
			account := g.app.add(account("lovelace@contoso.example"))
			g.group("Team Blue", ada)
			g.sync()
			g.expect("Team Blue: ")
			if discovered {
				linked, left, err := g.engine.LinkAccounts(t.Context(), g.key, "test", "cli", []provision.FoundLink{{Account: account, Name: "lovelace", ObjectID: ada}})
				if err != nil || len(linked) != 1 {
					t.Fatalf("linked %v, left out %v, %v", linked, left, err)
				}
			} else {
				_, err := g.engine.Connect(t.Context(), g.key, "test", "cli", ada, account)
				g.must(err)
			}
			g.sync()
			g.expect("Team Blue: ada")
		})
	}
}

// TestAGroupThatIsConnectedByHandGetsItsMembers forgets the connection of a group, and connects the
// group to another one at the application.
func TestAGroupThatIsConnectedByHandGetsItsMembers(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	blue := g.group("Team Blue", g.hire("ada", true))
	g.sync()
	g.expect("Team Blue: ada")
	g.teams.mu.Lock()
	g.teams.byID["g2"], g.teams.order = scim.Resource{"schemas": []any{scim.GroupURN}, "id": "g2", "displayName": "Other"}, append(g.teams.order, "g2")
	g.teams.mu.Unlock()
	_, err := g.engine.Forget(t.Context(), g.key, "test", "cli", blue)
	g.must(err)
	_, err = g.engine.Connect(t.Context(), g.key, "test", "cli", blue, "g2")
	g.must(err)
	g.sync()
	g.sync()
	g.expect("Team Blue: ada", "Team Blue: ada")
}

// TestAnAccountThatIsTakenOverLeavesTheFormerGroups hires somebody again, who takes over the account
// of the object before. That object is blocked, but not deleted, and it is still in its groups.
func TestAnAccountThatIsTakenOverLeavesTheFormerGroups(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.matchBy("userName", workMail)
	g.rules(provision.RehireAdopt, "")
	old := g.hire("ann", true)
	g.edit(old, func(u *directory.User) { u.Attributes["employeeId"] = "E1" })
	g.group("Finance", old, g.hire("bo", true))
	sales := g.group("Sales")
	g.sync()
	g.enable(old, false)
	g.sync()
	g.expect("Finance: ann bo", "Sales: ")
	again := g.hire("anna", false)
	g.edit(again, func(u *directory.User) {
		u.Attributes["employeeId"], u.Attributes["mail"] = "E1", "ann@contoso.example"
	})
	g.join(sales, again)
	g.assign(again, true)
	g.settle()
	g.expect("Finance: bo", "Sales: anna")
}

// TestALostAdditionThatIsThenRefusedIsRemembered has an application that carries out additions
// without an answer, and then refuses them because it has the members.
func TestALostAdditionThatIsThenRefusedIsRemembered(t *testing.T) {
	t.Parallel()
	for _, canBeAsked := range []bool{true, false} {
		t.Run(fmt.Sprintf("can be asked %v", canBeAsked), func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			ada, bo := g.hire("ada", true), g.hire("bo", true)
			g.sync()
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
				if !canBeAsked && strings.Contains(r.URL.RawQuery, "members+eq") {
					refuse(w, http.StatusBadRequest, "invalidFilter", "No such filter.")
					return true
				}
				if r.Method != http.MethodPatch || !strings.EqualFold(readPatch(body).Operations[0].Op, "add") {
					return false
				}
				if g.members("g1") > 0 {
					refuse(w, http.StatusConflict, "uniqueness", "It is a member already.")
					return true
				}
				g.teams.mu.Lock()
				defer g.teams.mu.Unlock()
				g.teams.handle(r, "g1", []byte(body))
				refuse(w, http.StatusGatewayTimeout, "", "Nobody knows.")
				return true
			}
			blue := g.group("Team Blue", ada, bo)
			g.settle()
			g.expect("Team Blue: ada bo")
			if r := g.report(); canBeAsked && r.Escrowed != 0 {
				t.Errorf("%d are tried again: %+v", r.Escrowed, r.Failing)
			}
			g.leave(blue, ada, bo)
			g.settle()
			g.expect("Team Blue: ")
			if r := g.report(); r.Escrowed != 0 {
				t.Errorf("at the end, %d are tried again: %+v", r.Escrowed, r.Failing)
			}
		})
	}
}

// busyFeed is a directory in which one more person changes each time somebody has read the changes.
type busyFeed struct {
	source.Directory
	changed func()
}

func (b busyFeed) Changes(ctx context.Context, app string, after provision.Cursor, limit int) (provision.Changed, error) {
	c, err := b.Directory.Changes(ctx, app, after, limit)
	b.changed()
	return c, err
}

// TestALeaverWhoIsTriedAgainDoesNotWaitForABusyDirectory has an application that once fails to
// disable an account, and a directory that changes all the time.
func TestALeaverWhoIsTriedAgainDoesNotWaitForABusyDirectory(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	bob, other := g.hire("bob", true), g.hire("other", true)
	g.sync()
	fails, serve := true, g.world.app.answer
	g.world.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && fails {
			refuse(w, http.StatusInternalServerError, "", "Not now.")
			return true
		}
		return serve(w, r)
	}
	g.enable(bob, false)
	g.slice()
	if fails = false; !isActive(t, g.world, "bob@contoso.example") || g.report().Escrowed != 1 {
		t.Fatalf("report %+v", g.report())
	}
	g.clock.advance(2 * time.Minute)
	n := 0
	g.engine.Sources = func(context.Context, provision.SourceID) (provision.Source, error) {
		return busyFeed{source.Of(g.handle), func() {
			g.clock.advance(500 * time.Millisecond)
			n++
			u, err := g.handle.User(t.Context(), other)
			if err == nil {
				u.Attributes["jobTitle"] = fmt.Sprint("Clerk ", n)
				_, _, err = g.handle.PutUser(t.Context(), directory.User{ObjectID: u.ObjectID, AccountEnabled: true, Attributes: u.Attributes}, "cli")
			}
			if err != nil {
				t.Error(err)
			}
		}}, nil
	}
	g.slice()
	g.slice()
	if isActive(t, g.world, "bob@contoso.example") {
		t.Error("after two slices the leaver can still sign in")
	}
}

// TestAPassingRefusalDoesNotMakeRequestsSmall has an application that does not know new accounts for
// a moment, and then one that took fewer members in a request for a while.
func TestAPassingRefusalDoesNotMakeRequestsSmall(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	people := g.staff(100)
	patches := func() int {
		n := 0
		for _, r := range g.sync() {
			if strings.HasPrefix(r, "PATCH") {
				n++
			}
		}
		return n
	}
	most := 1_000
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		if n := strings.Count(body, `"value":"u`); r.Method == http.MethodPatch && (n == 2 || n > most) {
			code := http.StatusNotFound
			if n > most {
				code = http.StatusRequestEntityTooLarge
			}
			refuse(w, code, "", "Not like this.")
			return true
		}
		return false
	}
	g.group("Team Two", people[:2]...)
	patches()
	g.group("Team Blue", people...)
	if n := patches(); n > 2 || g.members("g4") != 100 {
		t.Errorf("after a passing refusal: %d PATCHes, and %d members", n, g.members("g4"))
	}
	most = 30
	g.group("Team Navy", people...)
	patches()
	if got := g.members("g5"); got != 100 {
		t.Fatalf("the group has %d members", got)
	}
	g.group("Team Red", people...)
	if n := patches(); n < 4 || n > 5 {
		t.Errorf("with the limit: %d PATCHes", n)
	}
	most = 1_000
	g.clock.advance(25 * time.Hour)
	g.group("Team Green", people...)
	if n := patches(); n > 2 || g.members("g7") != 100 {
		t.Errorf("a day later: %d PATCHes, and %d members", n, g.members("g7"))
	}
}

// TestOnlyLeaversAreTriedAgainDuringACycle has an application that refuses an update of one person
// and a disable of another one, while a long cycle creates other accounts.
func TestOnlyLeaversAreTriedAgainDuringACycle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"ada", "bo"} {
		w.people.put(name, person(name+"@contoso.com", name, "Lund"))
	}
	w.cycle()
	var mu sync.Mutex
	tries := map[string]map[time.Time]bool{"u1": {}, "u2": {}} // by minute
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		switch r.Method {
		case http.MethodPost:
			w.clock.advance(3 * time.Second)
		case http.MethodPatch:
			mu.Lock()
			defer mu.Unlock()
			tries[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]][w.clock.now().Truncate(time.Minute)] = true
			refuse(rw, http.StatusInternalServerError, "", "Not now.")
			return true
		}
		return false
	}
	w.people.set("ada", "city", "Bergen")
	w.people.enable("bo", false)
	for i := range 60 {
		w.people.put(fmt.Sprint("p", i), person(fmt.Sprint("p", i, "@contoso.com"), "P", "Lund"))
	}
	w.cycle()
	updates, disables := tries["u1"], tries["u2"]
	if w.app.names()["u1"] != "ada@contoso.com" {
		updates, disables = disables, updates
	}
	if len(updates) != 1 || len(disables) < 2 {
		t.Errorf("the update was tried in %d different minutes, and the disable in %d", len(updates), len(disables))
	}
}

// TestMembersOnDemandBelongToNoCycle provisions a group on demand after a cycle has ended.
func TestMembersOnDemandBelongToNoCycle(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	blue := g.group("Team Blue", ada)
	g.sync()
	before := g.report().State.Cycle.MembersAdded
	g.join(blue, bo)
	_, err := g.engine.OnDemand(t.Context(), g.key, "test", "cli", []string{blue})
	g.must(err)
	g.expect("Team Blue: ada bo")
	if after := g.report().State.Cycle.MembersAdded; before != 1 || after != 1 {
		t.Errorf("the cycle counts %d new members, and %d after the group was provisioned on demand", before, after)
	}
}
