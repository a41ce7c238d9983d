package provision_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// answersPatches makes the application answer each PATCH with status 200 and a body, as long as on
// is true. If carriesOut is true, it carries the PATCH out.
func answersPatches(w *world, on *atomic.Bool, carriesOut bool, body func(id string) string) {
	on.Store(true)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || !on.Load() {
			return false
		}
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if carriesOut {
			text, _ := io.ReadAll(r.Body)
			w.app.handle(r, id, text)
		}
		_, _ = io.WriteString(rw, body(id))
		return true
	}
}

// stored returns the account with an id as the application has it.
func (a *application) stored(id string) scim.Resource {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.users[id].Clone()
}

// TestAnAnswerWithoutActiveProvesNothing blocks a leaver at an application whose answer does not say
// whether the account is blocked.
func TestAnAnswerWithoutActiveProvesNothing(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"some attributes": `{"id":"u2","userName":"bob@contoso.com"}`,
		"the id alone":    `{"id":"u2"}`,
		"active is null":  `{"id":"u2","userName":"bob@contoso.com","active":null}`,
		"active is empty": `{"id":"u2","active":""}`,
		"an echo":         `{"schemas":["` + scim.PatchOpURN + `"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`,
	} {
		for _, carriesOut := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", carriesOut), func(t *testing.T) {
				t.Parallel()
				w := hired(t)
				var on atomic.Bool
				answersPatches(w, &on, carriesOut, func(string) string { return body })
				w.app.asked()
				w.people.enable("p2", false)
				_, entries := w.cycle()
				want := provision.Failure
				if carriesOut && name != "an echo" {
					want = provision.Success
					if got := probes(w.app.asked()); !slices.Equal(got, []string{"PATCH /Users/{id}", "GET /Users/{id}"}) {
						t.Errorf("the requests were %q", got)
					}
				}
				if e := entries["p2"]; e.Status.Status != want {
					t.Errorf("got %q (%s), want %s", status(e), e.Status.Reason, want)
				}
				on.Store(false)
				if w.cycle(); isActive(t, w, "bob@contoso.com") || w.report().Escrowed != 0 {
					t.Errorf("the leaver keeps access, %d escrowed", w.report().Escrowed)
				}
			})
		}
	}
	t.Run("an account that shows no active at all", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch && (r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/u2")) {
				return false
			}
			if r.Method == http.MethodPatch {
				w.app.handle(r, "u2", []byte(body(r)))
			}
			u := w.app.stored("u2")
			delete(u, "active")
			_, _ = rw.Write(encode(u))
			return true
		}
		w.people.enable("p2", false)
		_, entries := w.cycle()
		e := entries["p2"]
		warned := slices.ContainsFunc(e.Steps, func(s provision.Step) bool {
			return s.Status == provision.Warning && strings.Contains(s.Description, "shows no value for active")
		})
		if status(e) != "disable success " || !warned {
			t.Errorf("got %q, steps %+v", status(e), e.Steps)
		}
	})
}

// TestAnUpdateThatWasIgnoredIsAFailure answers an update of a title with the account as it was.
func TestAnUpdateThatWasIgnoredIsAFailure(t *testing.T) {
	t.Parallel()
	titled := func(t *testing.T) *world {
		w := hired(t)
		w.people.set("p2", "jobTitle", "Clerk")
		w.cycle()
		return w
	}
	t.Run("ignored", func(t *testing.T) {
		t.Parallel()
		w := titled(t)
		var on atomic.Bool
		answersPatches(w, &on, false, func(id string) string { return string(encode(w.app.stored(id))) })
		w.people.set("p2", "jobTitle", "Engineer")
		_, entries := w.cycle()
		if e := entries["p2"]; e.Status.Status != provision.Failure || !strings.Contains(e.Status.Reason, "the account is as it was before") {
			t.Errorf("got %q (%s)", status(e), e.Status.Reason)
		}
		on.Store(false)
		if w.cycle(); w.app.user("bob@contoso.com").String("title") != "Engineer" || w.report().Escrowed != 0 {
			t.Errorf("the account is %v", w.app.user("bob@contoso.com"))
		}
	})
	t.Run("carried out and answered with the account before it", func(t *testing.T) {
		t.Parallel()
		w := titled(t)
		var on atomic.Bool
		before := string(encode(w.app.stored("u2")))
		answersPatches(w, &on, true, func(string) string { return before })
		w.people.set("p2", "jobTitle", "Engineer")
		if _, entries := w.cycle(); status(entries["p2"]) != "update success " {
			t.Errorf("got %q (%s)", status(entries["p2"]), entries["p2"].Status.Reason)
		}
	})
	t.Run("another form of the value is no failure", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		var on atomic.Bool
		answersPatches(w, &on, true, func(id string) string {
			w.app.mu.Lock()
			defer w.app.mu.Unlock()
			w.app.users[id]["title"] = "Clerk" // the application's own
			return string(encode(w.app.users[id]))
		})
		for _, title := range []string{"Engineer", "Manager"} {
			w.people.set("p2", "jobTitle", title)
			if _, entries := w.cycle(); status(entries["p2"]) != "update success " {
				t.Errorf("%s: got %q (%s)", title, status(entries["p2"]), entries["p2"].Status.Reason)
			}
		}
	})
}

// TestSomebodyWhoIsKeptBlockedIsSentAgain enables Bob at an application that keeps him blocked for a
// while.
func TestSomebodyWhoIsKeptBlockedIsSentAgain(t *testing.T) {
	t.Parallel()
	blocked := func(t *testing.T, times int32) (*world, *atomic.Int32) {
		w := hired(t)
		w.people.enable("p2", false)
		w.cycle()
		var left atomic.Int32
		left.Store(times)
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch || left.Add(-1) < 0 {
				return false
			}
			_, _ = rw.Write(encode(w.app.stored("u2")))
			return true
		}
		w.people.enable("p2", true)
		return w, &left
	}
	t.Run("once", func(t *testing.T) {
		t.Parallel()
		w, _ := blocked(t, 1)
		if _, entries := w.cycle(); status(entries["p2"]) != "update success " || !isActive(t, w, "bob@contoso.com") || w.report().KeptBlocked != 0 {
			t.Errorf("got %q, %d kept blocked", status(entries["p2"]), w.report().KeptBlocked)
		}
	})
	t.Run("until another change", func(t *testing.T) {
		t.Parallel()
		w, left := blocked(t, 100)
		if w.cycle(); w.report().KeptBlocked != 1 || left.Load() != 98 {
			t.Fatalf("%d kept blocked after %d updates", w.report().KeptBlocked, 100-left.Load())
		}
		left.Store(0)
		w.app.asked()
		w.people.set("p2", "city", "Bergen")
		w.cycle()
		if w.report().KeptBlocked != 0 || !isActive(t, w, "bob@contoso.com") || len(probes(w.app.asked())) != 1 {
			t.Errorf("%d kept blocked", w.report().KeptBlocked)
		}
	})
}

// TestActiveAsANumber has an application that stores active as 1 and 0.
func TestActiveAsANumber(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]func(on bool) any{
		"number": func(on bool) any {
			if on {
				return 1
			}
			return 0
		},
		"text": func(on bool) any {
			if on {
				return "1"
			}
			return "0"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				path, is := strings.CutPrefix(r.URL.Path, "/scim/v2/Users")
				if !is || r.URL.RawQuery != "" {
					return false
				}
				code, answer := w.app.handle(r, strings.TrimPrefix(path, "/"), []byte(body(r)))
				var u map[string]any
				if json.Unmarshal(answer, &u) == nil && u["id"] != nil {
					on, _ := scim.Resource(u).Bool("active")
					u["active"] = form(on)
					answer = encode(u)
				}
				rw.WriteHeader(code)
				_, _ = rw.Write(answer)
				return true
			}
			w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
			w.cycle()
			if asked := w.app.asked(); slices.Contains(asked, "GET /Users/{id}") || slices.Contains(asked, "PATCH /Users/{id}") {
				t.Errorf("a new account is read or changed: %q", asked)
			}
			w.people.enable("p2", false)
			if _, entries := w.cycle(); status(entries["p2"]) != "disable success " {
				t.Errorf("got %q (%s)", status(entries["p2"]), entries["p2"].Status.Reason)
			}
			w.people.enable("p2", true)
			if _, entries := w.cycle(); status(entries["p2"]) != "update success " || w.report().KeptBlocked != 0 {
				t.Errorf("got %q (%s)", status(entries["p2"]), entries["p2"].Status.Reason)
			}
			w.people.enable("p2", false)
			w.cycle()
			// A DELETE is answered with the account, which is inactive.
			inner := w.app.answer
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodDelete {
					_, _ = io.WriteString(rw, `{"message":"deactivated"}`)
					return true
				}
				return inner(rw, r)
			}
			w.people.purge("p2")
			if _, entries := w.cycle(); status(entries["p2"]) != "delete success " {
				t.Errorf("got %q (%s)", status(entries["p2"]), entries["p2"].Status.Reason)
			}
		})
	}
}

// TestABooleanAsTextThatIsMisunderstood has applications that take the string False for true, or
// refuse it with another status than 400.
func TestABooleanAsTextThatIsMisunderstood(t *testing.T) {
	t.Parallel()
	isText := func(text string) bool { return strings.Contains(text, `"False"`) || strings.Contains(text, `"True"`) }
	for name, answer := range map[string]func(w *world, rw http.ResponseWriter){
		"takes it for true": func(w *world, rw http.ResponseWriter) { _, _ = rw.Write(encode(w.app.stored("u2"))) },
		"says nothing":      func(_ *world, rw http.ResponseWriter) { rw.WriteHeader(204) },
		"422":               func(_ *world, rw http.ResponseWriter) { refuse(rw, 422, "", "value is not a valid boolean") },
		"500":               func(_ *world, rw http.ResponseWriter) { refuse(rw, 500, "", "TypeError") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
			w.cycle()
			var texts atomic.Int32
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPatch {
					return false
				}
				text := body(r)
				if !isText(text) {
					id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
					_, result := w.app.handle(r, id, []byte(text))
					_, _ = rw.Write(result)
					return true
				}
				texts.Add(1)
				answer(w, rw)
				return true
			}
			w.people.enable("p2", false)
			if _, entries := w.cycle(); status(entries["p2"]) != "disable success " || isActive(t, w, "bob@contoso.com") {
				t.Errorf("got %q (%s)", status(entries["p2"]), entries["p2"].Status.Reason)
			}
			w.wire() // another process
			w.people.enable("p3", false)
			if _, entries := w.cycle(); status(entries["p3"]) != "disable success " || isActive(t, w, "cyn@contoso.com") {
				t.Errorf("the second leaver: got %q", status(entries["p3"]))
			}
			if texts.Load() != 1 || !strings.Contains(strings.Join(w.report().Notes, " "), "JSON booleans") {
				t.Errorf("the string was sent %d times, notes %q", texts.Load(), w.report().Notes)
			}
		})
	}
}

// TestACreateAnsweredWithAnAccountThatWasThere answers a create with an older account whose values
// differ, or are not shown.
func TestACreateAnsweredWithAnAccountThatWasThere(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		there  scim.Resource
		hidden string
	}{
		"another title":    {scim.Resource{"userName": "ada@contoso.com", "active": true, "title": "Intern"}, ""},
		"another name":     {scim.Resource{"userName": "ada@contoso.com", "active": true, "displayName": "Adele Lovelace"}, ""},
		"inactive, hidden": {scim.Resource{"userName": "ada@contoso.com", "active": false}, "active"},
		"renamed, hidden":  {scim.Resource{"userName": "ada", "active": true}, "userName"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ada := person("ada@contoso.com", "Ada", "Lovelace")
			ada["jobTitle"] = "Engineer"
			w.people.put("p1", ada)
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				u := w.app.stored(w.app.add(tt.there.Clone()))
				delete(u, tt.hidden)
				_, _ = rw.Write(encode(u))
				return true
			}
			_, entries := w.cycle()
			u := w.app.stored("u1")
			if active, _ := u.Bool("active"); status(entries["p1"]) != "create success " || !active || u.String("userName") != "ada@contoso.com" || u.String("displayName") != "Ada Lovelace" || u.String("title") != "Engineer" {
				t.Errorf("got %q (%s): %v", status(entries["p1"]), entries["p1"].Status.Reason, u)
			}
		})
	}
	t.Run("an application with its own forms is corrected once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for i := range 10 {
			p := person(fmt.Sprintf("user%d@contoso.com", i), "User", fmt.Sprint(i))
			p["country"] = "Norway"
			w.people.put(fmt.Sprint("p", i), p)
		}
		w.engine.Workers = 1
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost && r.Method != http.MethodPatch {
				return false
			}
			id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/scim/v2/Users"), "/")
			_, answer := w.app.handle(r, id, []byte(body(r)))
			_, _ = rw.Write([]byte(strings.ReplaceAll(string(answer), "Norway", "NO")))
			return true
		}
		report, _ := w.cycle()
		patches := strings.Count(strings.Join(w.app.asked(), "\n"), "PATCH")
		if report.Created != 10 || report.Failed != 0 || patches > 1 {
			t.Errorf("report %+v, %d updates", report, patches)
		}
	})
}

// TestACreateThatAGatewayAnsweredIsLookedFor has a gateway answer 503 with a time to a create that
// the application carries out.
func TestACreateThatAGatewayAnsweredIsLookedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	posts := 0
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		if posts++; posts == 1 {
			w.app.handle(r, "", []byte(body(r)))
		}
		rw.Header().Set("Retry-After", "2")
		refuse(rw, 503, "", "Later.")
		return true
	}
	for range 4 {
		w.slice()
		w.clock.advance(2 * time.Hour)
	}
	if n := w.app.created["ada@contoso.com"]; n != 1 || posts != 1 || w.report().Linked != 1 || w.report().Escrowed != 0 {
		t.Errorf("%d accounts after %d creates, report %+v", n, posts, w.report())
	}
}

// TestACreateThatWasThrottledIsSentSoon has an application that answers the first create with 503 and
// a time. It has carried out the create, or not.
func TestACreateThatWasThrottledIsSentSoon(t *testing.T) {
	t.Parallel()
	for _, carriedOut := range []bool{true, false} {
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		posts := 0
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			if posts++; posts > 1 {
				return false
			}
			if carriedOut {
				w.app.handle(r, "", []byte(body(r)))
			}
			rw.Header().Set("Retry-After", "2")
			refuse(rw, 503, "", "Later.")
			return true
		}
		for range 6 {
			w.slice()
			w.clock.advance(time.Minute)
		}
		if n := w.app.created["ada@contoso.com"]; n != 1 || w.report().Linked != 1 || w.report().Escrowed != 0 {
			t.Errorf("carried out %v: %d accounts after %d creates, report %+v", carriedOut, n, posts, w.report())
		}
	}
}

// TestAPauseOfGroupsHoldsUpNoLeaver has an application that takes no changes of groups for an hour.
func TestAPauseOfGroupsHoldsUpNoLeaver(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	bob := g.hire("bob", true)
	g.sync()
	g.group("Team Blue", bob)
	throttles := true
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method == http.MethodGet || !throttles {
			return false
		}
		w.Header().Set("Retry-After", "3600")
		refuse(w, http.StatusTooManyRequests, "", "Later.")
		return true
	}
	g.slice()
	g.enable(bob, false)
	g.hire("cyn", true)
	g.slice()
	if g.app.user("bob@contoso.example")["active"] != false || g.app.user("cyn@contoso.example") == nil {
		t.Errorf("Bob is %v, Cyn is %v", g.app.user("bob@contoso.example"), g.app.user("cyn@contoso.example"))
	}
	throttles = false
	g.clock.advance(2 * time.Hour)
	g.slice()
	g.clock.advance(time.Hour)
	g.slice()
	g.expect("Team Blue: bob")
}

// TestAChangeOfMembersIsNotBelievedForever has an application that carried out changes of members
// and then ignores them.
func TestAChangeOfMembersIsNotBelievedForever(t *testing.T) {
	t.Parallel()
	for _, shows := range []bool{false, true} {
		t.Run(fmt.Sprintf("shows members: %v", shows), func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			ids := []string{g.hire("ada", true), g.hire("bo", true), g.hire("cy", true)}
			g.sync()
			blue := g.group("Team Blue", ids...)
			g.sync()
			g.leave(blue, ids[0])
			g.sync()
			g.expect("Team Blue: bo cy")
			ignores := true
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if r.Method != http.MethodPatch || !ignores {
					return false
				}
				g.teams.mu.Lock()
				defer g.teams.mu.Unlock()
				if shows {
					_, _ = w.Write(encode(g.teams.byID["g1"]))
					return true
				}
				w.WriteHeader(http.StatusNoContent)
				return true
			}
			g.clock.advance(time.Hour)
			g.leave(blue, ids[1])
			g.join(blue, ids[0])
			g.sync()
			if r := g.report(); r.Escrowed != 1 {
				t.Errorf("%d are tried again", r.Escrowed)
			}
			ignores = false
			g.clock.advance(time.Hour)
			g.sync()
			g.expect("Team Blue: ada cy")
		})
	}
}

// TestAnAnswerWithTheMembersAsTheyWereIsChecked has an application that answers a change of members
// with the group as it was before.
func TestAnAnswerWithTheMembersAsTheyWereIsChecked(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ids := []string{g.hire("ada", true), g.hire("bo", true)}
	g.sync()
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		g.teams.mu.Lock()
		defer g.teams.mu.Unlock()
		before := encode(g.teams.byID["g1"])
		g.teams.handle(r, "g1", []byte(body))
		_, _ = w.Write(before)
		return true
	}
	blue := g.group("Team Blue", ids[0])
	g.sync()
	g.join(blue, ids[1])
	g.sync()
	g.leave(blue, ids[0])
	g.sync()
	if g.expect("Team Blue: bo"); g.report().Escrowed != 0 {
		t.Errorf("report %+v", g.report())
	}
}

// TestAWrongAnswerAboutAMember has applications that answer a question about a member with 200 and
// do not understand it.
func TestAWrongAnswerAboutAMember(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(g *groupWorld, w http.ResponseWriter){
		"finds no group": func(_ *groupWorld, w http.ResponseWriter) {
			fmt.Fprintf(w, `{"schemas":[%q],"totalResults":0,"Resources":[]}`, scim.ListResponseURN)
		},
		"ignores the member": func(_ *groupWorld, w http.ResponseWriter) {
			fmt.Fprintf(w, `{"schemas":[%q],"totalResults":1,"Resources":[{"id":"g1"}]}`, scim.ListResponseURN)
		},
		"answers 500": func(_ *groupWorld, w http.ResponseWriter) { refuse(w, 500, "", "Unknown filter.") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			ids := []string{g.hire("ada", true), g.hire("bo", true), g.hire("cy", true)}
			g.sync()
			g.teams.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				switch {
				case strings.Contains(r.URL.RawQuery, "members+eq"):
					answer(g, w)
				case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/g1") && !r.URL.Query().Has("excludedAttributes"):
					g.teams.mu.Lock()
					defer g.teams.mu.Unlock()
					_, _ = w.Write(encode(g.teams.byID["g1"]))
				default:
					return false
				}
				return true
			}
			blue := g.group("Team Blue", ids...)
			g.settle()
			g.leave(blue, ids[0])
			patches := 0
			for range 3 {
				patches += len(g.sync())
				g.clock.advance(time.Hour)
			}
			if g.expect("Team Blue: bo cy"); patches != 1 || g.report().Escrowed != 0 || g.report().Pending != 0 {
				t.Errorf("%d changes, report %+v", patches, g.report())
			}
		})
	}
}
