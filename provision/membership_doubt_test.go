package provision_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

// These tests are about groups whose requests got no answer, or an answer that is not true.

// settle runs a few cycles. Time passes between them, so that waiting and failed work is tried
// again.
func (g *groupWorld) settle() {
	g.t.Helper()
	for range 4 {
		g.sync()
		g.clock.advance(3 * time.Hour)
	}
}

// isRemoval reports whether a request removes members by a list of values, which is Entra's form.
func isRemoval(r *http.Request, body string) bool {
	p := readPatch(body)
	return r.Method == http.MethodPatch && len(p.Operations) > 0 && strings.EqualFold(p.Operations[0].Op, "remove") && p.Operations[0].Path == "members"
}

// TestAGroupThatWasNotFoundOnceKeepsItsMembers has an application that once answers 404 for a group
// while a member leaves. The member is removed nevertheless.
func TestAGroupThatWasNotFoundOnceKeepsItsMembers(t *testing.T) {
	t.Parallel()
	for name, get := range map[string]int{"404 when it is read too": http.StatusNotFound, "a pause when it is read": http.StatusTooManyRequests} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			ada, bo := g.hire("ada", true), g.hire("bo", true)
			blue := g.group("Team Blue", ada, bo)
			g.sync()
			g.expect("Team Blue: ada bo")
			patches, reads := 0, 0
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
				switch {
				case r.Method == http.MethodPatch && patches == 0:
					patches++
					refuse(w, http.StatusNotFound, "", "There is no such group.")
					return true
				case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/g1") && reads == 0:
					reads++
					w.Header().Set("Retry-After", "60")
					refuse(w, get, "", "Not now.")
					return true
				}
				return false
			}
			g.leave(blue, ada)
			g.settle()
			g.expect("Team Blue: bo")
			if patches != 1 || reads != 1 {
				t.Errorf("%d PATCHes and %d reads were refused, want one each", patches, reads)
			}
			if r := g.report(); r.Members != 1 || r.Escrowed != 0 {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// TestADeletedAccountProvesNoRemoval has an application that ignores removals in Entra's form, and
// takes a deleted account out of its groups.
func TestADeletedAccountProvesNoRemoval(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo, cy := g.hire("ada", true), g.hire("bo", true), g.hire("cy", true)
	blue := g.group("Team Blue", ada, bo, cy)
	g.sync()
	g.expect("Team Blue: ada bo cy")
	g.teams.answer = ignoresRemovals
	g.endsMemberships(func(r *http.Request) bool { return r.Method == http.MethodDelete })
	_, err := g.handle.SoftDelete(t.Context(), ada, "cli")
	g.must(err)
	g.must(g.handle.Purge(t.Context(), ada, "cli"))
	g.settle()
	g.expect("Team Blue: bo cy")
	g.leave(blue, bo)
	g.settle()
	g.expect("Team Blue: cy")
}

// ignoresRemovals accepts removals in Entra's form without carrying them out.
func ignoresRemovals(w http.ResponseWriter, r *http.Request, body string) bool {
	if isRemoval(r, body) {
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	return false
}

// endsMemberships makes the application take an account out of the group g1 when it gets a request
// about the account for which when returns true.
func (g *groupWorld) endsMemberships(when func(r *http.Request) bool) {
	serve := g.world.app.answer
	g.world.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/Users/") && when(r) {
			id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
			g.teams.mu.Lock()
			team := g.teams.byID["g1"].Clone()
			var left []any
			for _, m := range team["members"].([]any) {
				if text(m.(map[string]any)["value"]) != id {
					left = append(left, m)
				}
			}
			team["members"] = left
			g.teams.byID["g1"] = team
			g.teams.mu.Unlock()
		}
		return serve(w, r)
	}
}

// TestABlockedAccountProvesNoRemoval has an application that ignores removals in Entra's form, and
// takes a blocked account out of its groups. The member leaves the group at the same time, or later.
func TestABlockedAccountProvesNoRemoval(t *testing.T) {
	t.Parallel()
	for _, later := range []bool{false, true} {
		t.Run(fmt.Sprintf("later %v", later), func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			ada, bo, cy := g.hire("ada", true), g.hire("bo", true), g.hire("cy", true)
			blue := g.group("Team Blue", ada, bo, cy)
			g.sync()
			g.expect("Team Blue: ada bo cy")
			g.teams.answer = ignoresRemovals
			g.endsMemberships(func(r *http.Request) bool {
				return r.Method == http.MethodPatch && strings.Contains(body(r), `"active"`)
			})
			now, err := g.handle.User(t.Context(), ada)
			g.must(err)
			now.AccountEnabled = false
			_, _, err = g.handle.PutUser(t.Context(), now, "cli")
			g.must(err)
			if later {
				g.sync()
			}
			g.leave(blue, ada)
			g.settle()
			g.expect("Team Blue: bo cy")
			g.leave(blue, bo)
			g.settle()
			g.expect("Team Blue: cy")
		})
	}
}

// TestAnUncheckedRemovalProvesNothingForOthers has an application that ignores removals in Entra's
// form. The other form works, but the question whether it did gets no answer. Then another member
// leaves.
func TestAnUncheckedRemovalProvesNothingForOthers(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo, cy := g.hire("ada", true), g.hire("bo", true), g.hire("cy", true)
	blue := g.group("Team Blue", ada, bo, cy)
	g.sync()
	g.expect("Team Blue: ada bo cy")
	removed, failed := false, false
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		switch {
		case isRemoval(r, body):
			w.WriteHeader(http.StatusNoContent)
			return true
		case r.Method == http.MethodPatch && strings.Contains(body, "members["):
			removed = true
		case removed && !failed && strings.Contains(r.URL.RawQuery, "members+eq"):
			failed = true
			refuse(w, http.StatusInternalServerError, "", "Broken.")
			return true
		}
		return false
	}
	g.leave(blue, ada)
	g.sync()
	g.leave(blue, bo)
	g.settle()
	g.expect("Team Blue: cy")
	if !failed {
		t.Error("no question failed")
	}
}

// TestADeletionOfUnknownOutcomeIsLookedAt deletes a group. The group comes back into scope before
// the outcome of the deletion is known.
func TestADeletionOfUnknownOutcomeIsLookedAt(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	blue := g.group("Team Blue", g.hire("ada", true))
	g.sync()
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method == http.MethodDelete {
			g.teams.mu.Lock()
			delete(g.teams.byID, "g1")
			g.teams.mu.Unlock()
			refuse(w, http.StatusInternalServerError, "", "Broken.")
			return true
		}
		return false
	}
	g.assign(blue, false)
	g.sync()
	g.assign(blue, true)
	g.settle()
	g.expect("Team Blue: ada")
	if r := g.report(); r.Escrowed != 0 || r.Lost != 0 {
		t.Errorf("report %+v", r)
	}
}

// TestAGroupThatEndsWhileItIsCreated ends a group in the directory while the application creates it.
func TestAGroupThatEndsWhileItIsCreated(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(g *groupWorld, id string) error
		lost bool // whether the answer to the create is lost
	}{
		"deleted": {func(g *groupWorld, id string) error {
			_, err := g.handle.SoftDeleteGroup(g.t.Context(), id, "cli")
			return err
		}, false},
		"deleted, no answer": {func(g *groupWorld, id string) error {
			_, err := g.handle.SoftDeleteGroup(g.t.Context(), id, "cli")
			return err
		}, true},
		"purged, no answer":   {purgeGroup, true},
		"unassigned":          {func(g *groupWorld, id string) error { g.assign(id, false); return nil }, false},
		"purged, with answer": {purgeGroup, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			g.hire("ada", true)
			g.sync()
			blue := g.group("Team Blue")
			ended := false
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
				if r.Method != http.MethodPost || ended {
					return false
				}
				ended = true
				if err := tt.end(g, blue); err != nil {
					t.Error(err)
				}
				if !tt.lost {
					return false
				}
				g.teams.mu.Lock()
				g.teams.handle(r, "", []byte(body))
				g.teams.mu.Unlock()
				refuse(w, http.StatusGatewayTimeout, "", "No answer.")
				return true
			}
			g.settle()
			g.expect()
			if r := g.report(); !ended || r.Groups != 0 || r.Escrowed != 0 || r.Pending != 0 {
				t.Errorf("ended %v, report %+v", ended, r)
			}
		})
	}
}

func purgeGroup(g *groupWorld, id string) error {
	if _, err := g.handle.SoftDeleteGroup(g.t.Context(), id, "cli"); err != nil {
		return err
	}
	return g.handle.PurgeGroup(g.t.Context(), id, "cli")
}

// TestARefusedMemberIsTriedAgainAfterAPause has an application that refuses one new member, and
// asks for a pause before the next request. Later it accepts both members.
func TestARefusedMemberIsTriedAgainAfterAPause(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	blue := g.group("Team Blue")
	g.sync()
	refused, paused := false, false
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		if r.Method != http.MethodPatch || refused && paused {
			return false
		}
		switch u1, u2 := strings.Contains(body, `"u1"`), strings.Contains(body, `"u2"`); {
		case u1 && !u2 && !refused && strings.Contains(body, "$ref"):
			refuse(w, http.StatusBadRequest, "", "Not this one.")
		case u1 && !u2 && !refused:
			refused = true
			refuse(w, http.StatusBadRequest, "", "Not this one.")
		case refused:
			paused = true
			w.Header().Set("Retry-After", "3600")
			refuse(w, http.StatusTooManyRequests, "", "Later.")
		default:
			refuse(w, http.StatusBadRequest, "", "Not these.")
		}
		return true
	}
	g.join(blue, ada, bo)
	g.settle()
	if !refused || !paused {
		t.Fatalf("refused %v, paused %v", refused, paused)
	}
	g.expect("Team Blue: ada bo")
	if r := g.report(); r.Escrowed != 0 || r.Pending != 0 {
		t.Errorf("report %+v", r)
	}
}

// TestAnUncheckedRemovalThatEmptiesAGroupIsNoticed has an application that treats the removal of
// one member as the removal of all. Asked about the remaining members, it asks for a pause. Then
// the removed member comes back.
func TestAnUncheckedRemovalThatEmptiesAGroupIsNoticed(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	blue := g.group("Team Blue", ada, bo)
	g.sync()
	g.expect("Team Blue: ada bo")
	emptied, paused := false, false
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		switch {
		case isRemoval(r, body):
			emptied = true
			g.teams.mu.Lock()
			team := g.teams.byID["g1"].Clone()
			delete(team, "members")
			g.teams.byID["g1"] = team
			g.teams.mu.Unlock()
			w.WriteHeader(http.StatusNoContent)
			return true
		case emptied && !paused && strings.Contains(r.URL.RawQuery, "members+eq"):
			paused = true
			w.Header().Set("Retry-After", "3600")
			refuse(w, http.StatusTooManyRequests, "", "Later.")
			return true
		}
		return false
	}
	g.leave(blue, ada)
	g.sync()
	g.join(blue, ada)
	g.settle()
	if !emptied || !paused {
		t.Fatalf("emptied %v, paused %v", emptied, paused)
	}
	g.expect("Team Blue: ada bo")
}

// TestARefusedRemovalShowsThatAnEarlierOneEmptiedTheGroup has an application that treats the
// removal of one member as the removal of all. Asked about the remaining members, it asks for a
// pause. Later it answers 404 to the removal, because it no longer has the member.
func TestARefusedRemovalShowsThatAnEarlierOneEmptiedTheGroup(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	blue := g.group("Team Blue", ada, bo)
	g.sync()
	g.expect("Team Blue: ada bo")
	removals, paused := 0, false
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		switch {
		case isRemoval(r, body):
			if removals++; removals > 1 {
				refuse(w, http.StatusNotFound, "", "The group has no such member.")
				return true
			}
			g.teams.mu.Lock()
			team := g.teams.byID["g1"].Clone()
			delete(team, "members")
			g.teams.byID["g1"] = team
			g.teams.mu.Unlock()
			w.WriteHeader(http.StatusNoContent)
			return true
		case removals == 1 && !paused && strings.Contains(r.URL.RawQuery, "members+eq"):
			paused = true
			w.Header().Set("Retry-After", "3600")
			refuse(w, http.StatusTooManyRequests, "", "Later.")
			return true
		}
		return false
	}
	g.leave(blue, ada)
	g.sync()
	g.settle()
	if removals < 2 || !paused {
		t.Fatalf("%d removals, paused %v", removals, paused)
	}
	g.expect("Team Blue: bo")
}

// TestTheRemovalOfTheLastMemberProvesNoRemoval has an application that treats the removal of one
// member by a list of values as the removal of all. This does not show when the last member of a
// group leaves.
func TestTheRemovalOfTheLastMemberProvesNoRemoval(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	red, blue := g.group("Team Red", ada), g.group("Team Blue", ada, bo)
	g.sync()
	g.expect("Team Blue: ada bo", "Team Red: ada")
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		if !isRemoval(r, body) || !strings.Contains(body, `"path":"members"`) {
			return false
		}
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		g.teams.mu.Lock()
		defer g.teams.mu.Unlock()
		team := g.teams.byID[id].Clone()
		delete(team, "members")
		g.teams.byID[id] = team
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	g.leave(red, ada)
	g.sync()
	g.leave(blue, ada)
	g.settle()
	g.expect("Team Blue: bo", "Team Red: ")
}

// TestAnAnswerThatIsOutOfDateEmptiesNoGroup has an application that ignores removals in Entra's
// form. When it is asked about a member that stays, it once answers that the group has no such
// member.
func TestAnAnswerThatIsOutOfDateEmptiesNoGroup(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	blue := g.group("Team Blue", ada, bo)
	g.sync()
	g.expect("Team Blue: ada bo")
	removed, questions := 0, 0
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		switch {
		case isRemoval(r, body):
			removed++
			w.WriteHeader(http.StatusNoContent)
			return true
		case removed > 0 && strings.Contains(r.URL.RawQuery, "members+eq"):
			if questions++; questions == 1 {
				list(w, 0, nil)
				return true
			}
		}
		return false
	}
	g.leave(blue, ada)
	g.settle()
	if removed == 0 || questions < 2 {
		t.Fatalf("%d removals, %d questions", removed, questions)
	}
	g.expect("Team Blue: bo")
	if r := g.report(); r.Members != 1 || r.Escrowed != 0 || r.Pending != 0 {
		t.Errorf("report %+v", r)
	}
}

// TestAManagerFollowsACreateWhoseAnswerWasCutShort has an application that creates an account and
// breaks off its answer.
func TestAManagerFollowsACreateWhoseAnswerWasCutShort(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.mapManager()
	boss := g.hire("boss", true)
	g.sync()
	cut := false
	serve := g.world.app.answer
	g.world.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || cut || !strings.HasSuffix(r.URL.Path, "/Users") {
			return serve(w, r)
		}
		cut = true
		_, answer := g.world.app.handle(r, "", []byte(body(r)))
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(answer[:len(answer)/2])
		return true
	}
	ada := g.hire("ada", false)
	g.manage(ada, boss)
	g.assign(ada, true)
	g.settle()
	if got := managerID(g.app.user("ada@contoso.example")); !cut || got != "u1" {
		t.Errorf("cut %v, the manager is %q, want u1", cut, got)
	}
}

// TestARenameOfUnknownOutcomeIsLookedFor has an application that carries out a rename but does not
// answer. Then it once says that it has no such account.
func TestARenameOfUnknownOutcomeIsLookedFor(t *testing.T) {
	t.Parallel()
	w := hired(t)
	renamed, gone := false, false
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method == http.MethodPatch && !renamed:
			renamed = true
			w.app.handle(r, "u2", []byte(body(r)))
			refuse(rw, http.StatusGatewayTimeout, "", "No answer.")
			return true
		case r.Method == http.MethodGet && renamed && !gone && strings.HasSuffix(r.URL.Path, "/u2"):
			gone = true
			scim404(rw)
			return true
		}
		return false
	}
	w.people.set("p2", "userPrincipalName", "bo@contoso.com")
	w.cycle()
	w.people.set("p2", "userPrincipalName", "rob@contoso.com")
	for range 3 {
		w.clock.advance(3 * time.Hour)
		w.cycle()
	}
	if !renamed || !gone {
		t.Fatalf("renamed %v, gone %v", renamed, gone)
	}
	if got := w.app.names(); len(got) != 2 || got["u2"] != "rob@contoso.com" {
		t.Errorf("the accounts are %v", got)
	}
}

// TestARefusalOfATakenNameForbidsNoTemporaryValue renames a person to a name that another account
// gets at the same moment. Then the two have each other's names.
func TestARefusalOfATakenNameForbidsNoTemporaryValue(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.rules("", provision.SwapsTemporary)
	unique(w)
	// Somebody made an account with this name at the application.
	id := w.app.add(account("cy@contoso.com"))
	w.people.set("p1", "userPrincipalName", "cy@contoso.com")
	w.cycle()
	if got := w.report().Escrowed; got != 1 {
		t.Fatalf("%d are tried again, want one", got)
	}
	// The account belongs to Cy, who should now have Ada's name.
	w.people.put("p3", person("cy@contoso.com", "Cy", "Young"))
	w.people.set("p1", "userPrincipalName", "ada@contoso.com")
	w.cycle()
	w.people.set("p1", "userPrincipalName", "cy@contoso.com")
	w.people.set("p3", "userPrincipalName", "ada@contoso.com")
	for range 4 {
		w.clock.advance(time.Minute)
		w.cycle()
	}
	if got := w.app.names(); got["u1"] != "cy@contoso.com" || got[id] != "ada@contoso.com" {
		t.Errorf("the accounts are %v", got)
	}
}
