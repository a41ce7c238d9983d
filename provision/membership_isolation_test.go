package provision_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// These tests are about groups of which the application refuses a few members, or fails for them.

// namesAny reports whether a PATCH names one of the accounts as a member.
func namesAny(body string, accounts ...string) bool {
	return slices.ContainsFunc(accounts, func(id string) bool {
		return strings.Contains(body, fmt.Sprintf("%q", id)) || strings.Contains(body, fmt.Sprintf(`\"%s\"`, id))
	})
}

// staff hires people and has the application carry out one addition of a member, so that the engine
// need not check additions any more. It returns the ids of the people, in the order of their
// accounts.
func (g *groupWorld) staff(n int) []string {
	g.t.Helper()
	people := make([]string, n)
	for i := range people {
		people[i] = g.hire(fmt.Sprintf("p%03d", i), true)
	}
	g.sync()
	for _, name := range []string{"Team First", "Team Second"} {
		g.group(name, people[0])
		g.sync()
	}
	return people
}

// accounts returns the ids of the accounts of people.
func (g *groupWorld) accounts(people []string, at ...int) []string {
	g.t.Helper()
	byName := map[string]string{}
	for id, name := range g.app.names() {
		byName[name] = id
	}
	var ids []string
	for _, i := range at {
		ids = append(ids, byName[fmt.Sprintf("p%03d@contoso.example", i)])
	}
	return ids
}

// members returns how many members a group has at the application.
func (g *groupWorld) members(id string) int {
	g.teams.mu.Lock()
	defer g.teams.mu.Unlock()
	members, _ := g.teams.byID[id]["members"].([]any)
	return len(members)
}

// syncFor runs cycles with ten minutes between them, and returns how many PATCHes of groups the
// application got.
func (g *groupWorld) syncFor(cycles int) (patches int) {
	g.t.Helper()
	for range cycles {
		for _, r := range g.sync() {
			if strings.HasPrefix(r, "PATCH") {
				patches++
			}
		}
		g.clock.advance(10 * time.Minute)
	}
	return patches
}

// TestAFewRefusedMembersDoNotHoldUpTheOthers has an application that refuses requests which name
// certain members.
func TestAFewRefusedMembersDoNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	var thirty []int
	for i := range 30 {
		thirty = append(thirty, 3+i*6)
	}
	for _, tt := range []struct {
		name    string
		code    int
		bad     []int
		patches int // at most
	}{
		{"three that it does not know", http.StatusNotFound, []int{4, 104, 184}, 100},
		{"thirty with 400", http.StatusBadRequest, thirty, 700},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			people := g.staff(200)
			bad := g.accounts(people, tt.bad...)
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
				if r.Method != http.MethodPatch || !namesAny(body, bad...) {
					return false
				}
				refuse(w, tt.code, "", "No such user.")
				return true
			}
			g.group("Team Blue", people...)
			patches := g.syncFor(3)
			if got, want := g.members("g3"), 200-len(bad); got != want {
				t.Errorf("the group has %d members, want %d", got, want)
			}
			if patches > tt.patches {
				t.Errorf("%d PATCHes, want at most %d", patches, tt.patches)
			}
			if r := g.report(); r.Escrowed != 1 || len(r.Failing) == 0 || !strings.Contains(fmt.Sprint(r.Failing), fmt.Sprintf("refused %d members", len(bad))) {
				t.Errorf("%d are tried again: %+v", r.Escrowed, r.Failing)
			}
		})
	}
}

// TestMembersThatAreAllRefusedCostFewRequests has an application that refuses every change of
// members.
func TestMembersThatAreAllRefusedCostFewRequests(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			people := g.staff(100)
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if r.Method != http.MethodPatch {
					return false
				}
				refuse(w, code, "", "Nobody.")
				return true
			}
			g.group("Team Blue", people...)
			if patches := g.syncFor(3); patches > 3*2*(1+2*14) {
				t.Errorf("%d PATCHes", patches)
			}
			if r := g.report(); r.Escrowed != 1 {
				t.Errorf("%d are tried again: %+v", r.Escrowed, r.Failing)
			}
			g.teams.answer = nil
			g.clock.advance(24 * time.Hour)
			g.syncFor(2)
			if got := g.members("g3"); got != 100 {
				t.Errorf("at last the group has %d members", got)
			}
		})
	}
}

// TestAnApplicationThatBreaksOnOneMemberGetsTheOthers has applications that answer with a server
// error when a request names one member, or names many.
func TestAnApplicationThatBreaksOnOneMemberGetsTheOthers(t *testing.T) {
	t.Parallel()
	t.Run("who is added", func(t *testing.T) {
		t.Parallel()
		g := newGroupWorld(t)
		people := g.staff(60)
		bad := g.accounts(people, 7)
		g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
			if r.Method != http.MethodPatch || !namesAny(body, bad...) {
				return false
			}
			refuse(w, http.StatusInternalServerError, "", "Broken.")
			return true
		}
		g.group("Team Blue", people...)
		g.syncFor(3)
		if got := g.members("g3"); got != 59 {
			t.Errorf("the group has %d members, want 59", got)
		}
		if r := g.report(); r.Escrowed != 1 {
			t.Errorf("%d are tried again: %+v", r.Escrowed, r.Failing)
		}
		g.teams.answer = nil
		g.clock.advance(24 * time.Hour)
		g.syncFor(2)
		if r := g.report(); r.Escrowed != 0 || g.members("g3") != 60 {
			t.Errorf("at last %d are tried again and the group has %d members", r.Escrowed, g.members("g3"))
		}
	})
	t.Run("who is removed", func(t *testing.T) {
		t.Parallel()
		g := newGroupWorld(t)
		people := g.staff(6)
		blue := g.group("Team Blue", people[:5]...)
		g.sync()
		g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
			if r.Method != http.MethodPatch || !strings.EqualFold(readPatch(body).Operations[0].Op, "remove") {
				return false
			}
			refuse(w, http.StatusInternalServerError, "", "Broken.")
			return true
		}
		g.leave(blue, people[2])
		g.join(blue, people[5])
		g.syncFor(3)
		if got := g.members("g3"); got != 6 {
			t.Errorf("the group has %d members, want the new one and the one who cannot be removed", got)
		}
		g.teams.answer = nil
		g.clock.advance(24 * time.Hour)
		g.syncFor(2)
		g.expect("Team Blue: p000 p001 p003 p004 p005", "Team First: p000", "Team Second: p000")
	})
	t.Run("or on more than fifty", func(t *testing.T) {
		t.Parallel()
		g := newGroupWorld(t)
		people := g.staff(120)
		g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
			if r.Method != http.MethodPatch || strings.Count(body, `"value":"u`) <= 50 {
				return false
			}
			g.clock.advance(15 * time.Second)
			refuse(w, http.StatusGatewayTimeout, "", "Too slow.")
			return true
		}
		g.group("Team Blue", people...)
		g.syncFor(8)
		if got := g.members("g3"); got != 120 {
			t.Errorf("the group has %d members, want 120", got)
		}
		if r := g.report(); r.Escrowed != 0 {
			t.Errorf("%d are tried again: %+v", r.Escrowed, r.Failing)
		}
		failed := 0
		g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
			if r.Method != http.MethodPatch || strings.Count(body, `"value":"u`) <= 50 {
				return false
			}
			failed++
			g.clock.advance(15 * time.Second)
			refuse(w, http.StatusGatewayTimeout, "", "Too slow.")
			return true
		}
		g.group("Team Navy", people...)
		g.syncFor(8)
		if got := g.members("g4"); got != 120 || failed != 0 {
			t.Errorf("the next group has %d members, and %d requests were too large", got, failed)
		}
	})
}

// TestRefusedMembersWaitForTheirRetry has a slow application that refuses thirty members. When the
// other members are sent, the refused ones wait for their retry.
func TestRefusedMembersWaitForTheirRetry(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	people := g.staff(60)
	var at []int
	for i := range 30 {
		at = append(at, 2*i)
	}
	bad := g.accounts(people, at...)
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		g.clock.advance(250 * time.Millisecond)
		if r.Method != http.MethodPatch || !namesAny(body, bad...) {
			return false
		}
		refuse(w, http.StatusBadRequest, "", "No such user.")
		return true
	}
	blue := g.group("Team Blue", people...)
	idle := func() (isIdle bool) {
		for range 40 {
			if next := g.slice(); next.IsZero() || next.After(g.clock.now()) {
				return true
			}
		}
		return false
	}
	if !idle() {
		t.Fatal("the work does not end")
	}
	if got := g.members("g3"); got != 30 {
		t.Errorf("the group has %d members, want 30", got)
	}
	if r := g.report(); r.Escrowed != 1 || !strings.Contains(fmt.Sprint(r.Failing), "refused 30 members") {
		t.Errorf("%d are tried again: %+v", r.Escrowed, r.Failing)
	}
	// A change of another member does not bring the refused ones back.
	g.teams.take()
	g.leave(blue, people[1])
	if !idle() {
		t.Fatal("the work does not end after a change")
	}
	for _, line := range g.teams.take() {
		if namesAny(line, bad...) {
			t.Errorf("before the retry: %s", line)
		}
	}
	if r := g.report(); r.Escrowed != 1 || g.members("g3") != 29 {
		t.Errorf("%d are tried again, and the group has %d members", r.Escrowed, g.members("g3"))
	}
	// The retry gets them in.
	g.teams.answer = nil
	g.clock.advance(24 * time.Hour)
	if !idle() || g.members("g3") != 59 || g.report().Escrowed != 0 {
		t.Errorf("after the retry the group has %d members: %+v", g.members("g3"), g.report().Failing)
	}
}

// TestARefusedMemberOfALargeGroupIsTriedAgain has a new group whose members are read and sent in
// several pages and slices. The application refuses one member of the first page.
func TestARefusedMemberOfALargeGroupIsTriedAgain(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.engine.MembersPage = 4
	people := g.staff(14)
	first := slices.Sorted(slices.Values(people))[1]
	bad := g.accounts(people, slices.Index(people, first))
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		g.clock.advance(3 * time.Second)
		if !namesAny(body, bad...) {
			return false
		}
		refuse(w, http.StatusBadRequest, "", "No such user.")
		return true
	}
	g.group("Team Blue", people...)
	for range 20 {
		if next := g.slice(); next.IsZero() || next.After(g.clock.now()) {
			break
		}
	}
	if r := g.report(); r.Escrowed != 1 || g.members("g3") != 13 {
		t.Errorf("%d are tried again, and the group has %d members", r.Escrowed, g.members("g3"))
	}
	g.teams.answer = nil
	g.clock.advance(24 * time.Hour)
	g.syncFor(2)
	if r := g.report(); r.Escrowed != 0 || g.members("g3") != 14 {
		t.Errorf("at last %d are tried again, and the group has %d members", r.Escrowed, g.members("g3"))
	}
}
