package provision_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// memberPatch is a PATCH of a group as a faulty application reads it.
type memberPatch struct {
	Operations []struct {
		Op    string
		Path  string
		Value json.RawMessage
	}
}

func readPatch(body string) (p memberPatch) {
	_ = json.Unmarshal([]byte(body), &p) // a body that is not a PATCH gives no operations
	return p
}

// TestMembersAtFaultyApplications has applications that refuse, ignore or misread changes of members.
func TestMembersAtFaultyApplications(t *testing.T) {
	t.Parallel()
	refusing := func(when func(p memberPatch, body string) bool, code int) func(g *groupWorld) {
		return func(g *groupWorld) {
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
				if r.Method != http.MethodPatch || !when(readPatch(body), body) {
					return false
				}
				refuse(w, code, "", "Not like this.")
				return true
			}
		}
	}
	for _, tt := range []struct {
		name   string
		faults func(g *groupWorld)
		want   []string // the members after Ada, Bo, Cy and Dee joined and Ada left
		failed int      // how many people are tried again at the end
		note   string
	}{
		{
			name: "refuses one member",
			faults: refusing(func(_ memberPatch, body string) bool {
				return strings.Contains(body, `"value":"u3"`)
			}, http.StatusBadRequest),
			want: []string{"Team Blue: bo dee"}, failed: 1,
		},
		{
			name: "takes two members at a time",
			faults: refusing(func(_ memberPatch, body string) bool {
				return strings.Count(body, `"value":"u`) > 2
			}, http.StatusRequestEntityTooLarge),
			want: []string{"Team Blue: bo cy dee"},
		},
		{
			name: "takes one member at a time and says so with 400",
			faults: refusing(func(_ memberPatch, body string) bool {
				return strings.Count(body, `"value":"u`) > 1
			}, http.StatusBadRequest),
			want: []string{"Team Blue: bo cy dee"},
		},
		{
			name: "refuses $ref",
			faults: refusing(func(_ memberPatch, body string) bool {
				return strings.Contains(body, "$ref")
			}, http.StatusBadRequest),
			want: []string{"Team Blue: bo cy dee"},
		},
		{
			name: "refuses Microsoft's schema of a new group",
			faults: func(g *groupWorld) {
				g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
					if r.Method != http.MethodPost || !strings.Contains(body, "schemas.microsoft.com") {
						return false
					}
					refuse(w, http.StatusBadRequest, "invalidSyntax", "Unknown schema.")
					return true
				}
			},
			want: []string{"Team Blue: bo cy dee"}, note: "takes the core schema alone",
		},
		{
			name: "refuses removals by value",
			faults: refusing(func(p memberPatch, _ string) bool {
				return strings.EqualFold(p.Operations[0].Op, "remove") && p.Operations[0].Path == "members"
			}, http.StatusBadRequest),
			want: []string{"Team Blue: bo cy dee"}, note: "refuses the removal of members by a list of values",
		},
		{
			name: "removes everybody if the path has no filter",
			faults: func(g *groupWorld) {
				g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
					if p := readPatch(body); r.Method != http.MethodPatch || !strings.EqualFold(p.Operations[0].Op, "remove") || p.Operations[0].Path != "members" {
						return false
					}
					g.teams.mu.Lock()
					defer g.teams.mu.Unlock()
					delete(g.teams.byID["g1"], "members")
					w.WriteHeader(http.StatusNoContent)
					return true
				}
			},
			want: []string{"Team Blue: bo cy dee"}, note: "takes a path with a filter for each",
		},
		{
			name: "ignores removals by value",
			faults: func(g *groupWorld) {
				g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
					if p := readPatch(body); r.Method != http.MethodPatch || !strings.EqualFold(p.Operations[0].Op, "remove") || p.Operations[0].Path != "members" {
						return false
					}
					w.WriteHeader(http.StatusNoContent)
					return true
				}
			},
			want: []string{"Team Blue: bo cy dee"},
		},
		{
			name: "cannot be asked for a member",
			faults: func(g *groupWorld) {
				g.teams.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
					if !strings.Contains(r.URL.RawQuery, "members+eq") {
						return false
					}
					refuse(w, http.StatusBadRequest, "invalidFilter", "No such filter.")
					return true
				}
			},
			want: []string{"Team Blue: bo cy dee"},
		},
		{
			name: "is slow and forgets the first answer to each change",
			faults: func(g *groupWorld) {
				seen := map[string]bool{}
				g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
					if r.Method != http.MethodPatch || seen[body] {
						return false
					}
					seen[body] = true
					g.teams.mu.Lock()
					defer g.teams.mu.Unlock()
					g.teams.handle(r, strings.TrimPrefix(r.URL.Path, "/scim/v2/Groups/"), []byte(body))
					refuse(w, http.StatusBadGateway, "", "Nobody knows.")
					return true
				}
			},
			want: []string{"Team Blue: bo cy dee"},
		},
		{
			name: "asks for pauses",
			faults: func(g *groupWorld) {
				n := 0
				g.teams.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
					if n++; r.Method != http.MethodPatch || n%2 == 0 {
						return false
					}
					w.Header().Set("Retry-After", "1")
					refuse(w, http.StatusTooManyRequests, "", "Slowly.")
					return true
				}
			},
			want: []string{"Team Blue: bo cy dee"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			var people []string
			for _, name := range []string{"ada", "bo", "cy", "dee"} {
				people = append(people, g.hire(name, true))
				g.sync()
			}
			tt.faults(g)
			blue := g.group("Team Blue", people...)
			settle := func() {
				for range 3 {
					g.sync()
					g.clock.advance(10 * time.Minute)
				}
			}
			settle()
			g.leave(blue, people[0])
			settle()
			g.expect(tt.want...)
			r := g.report()
			if r.Escrowed != tt.failed {
				t.Errorf("%d are tried again, want %d: %+v", r.Escrowed, tt.failed, r.Failing)
			}
			if tt.note != "" && !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, tt.note) }) {
				t.Errorf("the status says %q", r.Notes)
			}
			for _, line := range g.teams.take() {
				for _, op := range readPatch(line[strings.Index(line, "{")+0:]).Operations {
					if strings.EqualFold(op.Op, "remove") && op.Path == "members" && len(op.Value) == 0 {
						t.Errorf("%s would empty the group", line)
					}
				}
			}
		})
	}
}

// TestGroupsWithoutMicrosoftsSchemaAreRemembered creates several groups. The application refuses
// only the first request, even if another process sends the others.
func TestGroupsWithoutMicrosoftsSchemaAreRemembered(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	refused, sources := 0, g.engine.Sources
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		if r.Method != http.MethodPost || !strings.Contains(body, "schemas.microsoft.com") {
			return false
		}
		refused++
		refuse(w, http.StatusBadRequest, "invalidSyntax", "Unknown schema.")
		return true
	}
	for _, name := range []string{"Team Blue", "Team Navy"} {
		id := g.group(name)
		if got := g.entriesOf(id); !slices.Equal(got, []string{"create success "}) {
			t.Errorf("%s: %q", name, got)
		}
		g.wire() // another process
		g.engine.Sources = sources
	}
	if refused != 1 {
		t.Errorf("%d refusals, want 1", refused)
	}
}

// TestAGroupThatIsGoneComesBackWithItsMembers removes a group at the application.
func TestAGroupThatIsGoneComesBackWithItsMembers(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	blue := g.group("Team Blue", ada)
	g.sync()
	g.teams.mu.Lock()
	delete(g.teams.byID, "g1")
	g.teams.mu.Unlock()
	g.join(blue, bo)
	g.sync()
	g.sync()
	g.expect("Team Blue: ada bo")
	if r := g.report(); r.Escrowed != 0 || r.Members != 2 {
		t.Errorf("%d are tried again, %d members", r.Escrowed, r.Members)
	}
}

// TestARestartSendsMembersAgain restarts provisioning after somebody has removed a member at the
// application.
func TestARestartSendsMembersAgain(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	g.group("Team Blue", ada, bo)
	g.sync()
	g.teams.mu.Lock()
	delete(g.teams.byID["g1"], "members")
	g.teams.mu.Unlock()
	g.sync()
	g.expect("Team Blue: ")
	_, err := g.jobs.Restart(t.Context(), g.key, "cli")
	g.must(err)
	g.sync()
	g.expect("Team Blue: ada bo")
	if got := g.sync(); len(got) != 0 {
		t.Errorf("with nothing to do: %q", got)
	}
}

// TestMembershipsConverge changes a directory at random, while the application fails at random.
// When the application no longer fails, it must get the state of the directory.
func TestMembershipsConverge(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed_", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a seed must give the same run again
			options := []option{}
			if seed%2 == 1 {
				options = append(options, compliant)
			}
			g := newGroupWorld(t, options...)
			g.mapManager()
			fails := false
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
				if !fails || r.Method == http.MethodGet {
					return false
				}
				g.teams.mu.Lock()
				dice := random.IntN(10)
				g.teams.mu.Unlock()
				switch dice {
				case 0:
					refuse(w, http.StatusServiceUnavailable, "", "Not now.")
				case 1: // the request is carried out, and its answer is lost
					g.teams.mu.Lock()
					g.teams.handle(r, strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/scim/v2/Groups"), "/"), []byte(body))
					g.teams.mu.Unlock()
					refuse(w, http.StatusBadGateway, "", "Nobody knows.")
				default:
					return false
				}
				return true
			}
			var people, groups []string
			for i := range 8 {
				people = append(people, g.hire(fmt.Sprint("p", i), i%3 > 0))
			}
			for i := range 3 {
				groups = append(groups, g.group(fmt.Sprint("Team ", i)))
			}
			pick := func(of []string) string { return of[random.IntN(len(of))] }
			for range 12 {
				fails = random.IntN(2) == 0
				for range 1 + random.IntN(5) {
					p, q := pick(people), pick(groups)
					switch random.IntN(9) {
					case 0, 1, 2:
						g.join(q, p)
					case 3, 4:
						g.leave(q, p)
					case 5:
						g.assign(p, random.IntN(2) == 0)
					case 6:
						g.assign(q, random.IntN(3) > 0)
					case 7:
						if m := pick(people); m != p {
							g.manage(p, m)
						}
					case 8:
						g.rename(q, fmt.Sprint("Team ", q[len(q)-3:], " ", random.IntN(100)))
					}
				}
				g.sync()
			}
			fails = false
			for range 5 {
				g.clock.advance(13 * time.Hour)
				g.sync()
			}
			g.equalsDirectory(people, groups)
			if got := g.sync(); len(got) != 0 {
				t.Errorf("with nothing to do: %q", got)
			}
		})
	}
}

// equalsDirectory compares the application's groups and managers with the directory.
func (g *groupWorld) equalsDirectory(people, groups []string) {
	g.t.Helper()
	handleOf := func(id string) string {
		u, err := g.handle.User(g.t.Context(), id)
		g.must(err)
		name, _, _ := strings.Cut(u.UPN(), "@")
		return name
	}
	entitled := func(id string) bool {
		o, err := g.handle.Object(g.t.Context(), g.key.App, id)
		g.must(err)
		return o.Assigned
	}
	var want []string
	for _, id := range groups {
		o, err := g.handle.GroupObject(g.t.Context(), g.key.App, id)
		g.must(err)
		if !o.Assigned {
			continue
		}
		edges, err := g.handle.MemberIDs(g.t.Context(), id, "", 0)
		g.must(err)
		var names []string
		for _, e := range edges {
			if entitled(e.Member) {
				names = append(names, handleOf(e.Member))
			}
		}
		slices.Sort(names)
		want = append(want, o.Group.DisplayName()+": "+strings.Join(names, " "))
	}
	slices.Sort(want)
	g.expect(want...)
	for _, id := range people {
		if !entitled(id) {
			continue
		}
		u, err := g.handle.User(g.t.Context(), id)
		g.must(err)
		manager := ""
		if m, _ := u.Attributes["manager"].(string); m != "" && entitled(m) {
			manager = handleOf(m)
		}
		if got := g.managerOf(handleOf(id)); got != manager {
			g.t.Errorf("the manager of %s is %q, want %q", handleOf(id), got, manager)
		}
	}
}

// TestAQuestionWithoutAnswerProvesNoRemoval has an application that ignores the first form of a
// removal, and answers the question about the member with an error.
func TestAQuestionWithoutAnswerProvesNoRemoval(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	blue := g.group("Team Blue", ada, bo)
	g.sync()
	g.expect("Team Blue: ada bo")
	asked := 0
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		switch p := readPatch(body); {
		case strings.Contains(r.URL.RawQuery, "members+eq"):
			if asked++; asked > 2 {
				return false
			}
			refuse(w, http.StatusInternalServerError, "", "Broken.")
			return true
		case r.Method == http.MethodPatch && strings.EqualFold(p.Operations[0].Op, "remove") && p.Operations[0].Path == "members":
			w.WriteHeader(http.StatusNoContent)
			return true
		}
		return false
	}
	g.leave(blue, ada)
	for range 3 {
		g.sync()
		g.clock.advance(10 * time.Minute)
	}
	g.expect("Team Blue: bo")
}

// TestARemovalThatEmptiesAGroupIsNoticed has an application that treats the removal of one member
// as the removal of all. It tests this in an initial cycle, which looks at all members at once, and
// with a lost answer.
func TestARemovalThatEmptiesAGroupIsNoticed(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"in an initial cycle": false, "with a lost answer": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			ada, bo := g.hire("ada", true), g.hire("bo", true)
			blue := g.group("Team Blue", ada, bo)
			g.sync()
			g.expect("Team Blue: ada bo")
			fails := lost
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
				if p := readPatch(body); r.Method != http.MethodPatch || !strings.EqualFold(p.Operations[0].Op, "remove") || p.Operations[0].Path != "members" {
					return false
				}
				g.teams.mu.Lock()
				delete(g.teams.byID["g1"], "members")
				g.teams.mu.Unlock()
				if fails {
					fails = false
					refuse(w, http.StatusBadGateway, "", "Nobody knows.")
					return true
				}
				w.WriteHeader(http.StatusNoContent)
				return true
			}
			g.leave(blue, ada)
			if lost {
				g.sync()
				g.join(blue, ada) // no removal is left to send
			} else {
				_, err := g.jobs.Restart(t.Context(), g.key, "cli")
				g.must(err)
			}
			for range 3 {
				g.sync()
				g.clock.advance(10 * time.Minute)
			}
			if lost {
				g.expect("Team Blue: ada bo")
				return
			}
			g.expect("Team Blue: bo")
		})
	}
}
