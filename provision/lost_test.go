package provision_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// hired returns a job for Ada, who has the account u1, and Bob, who has the account u2.
func hired(t *testing.T, options ...option) *world {
	t.Helper()
	w := newWorld(t, options...)
	if len(options) > 0 { // the options may remove Create from the actions
		w.app.add(account("ada@contoso.com"))
		w.app.add(account("bob@contoso.com"))
	}
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.cycle()
	w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
	w.cycle()
	if got := w.report().Linked; got != 2 {
		t.Fatalf("got %d linked, want 2", got)
	}
	return w
}

// remove deletes an account without a request, and returns it.
func (a *application) remove(id string) scim.Resource {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.users[id]
	delete(a.users, id)
	return u
}

// rename changes the user name of an account without a request.
func (a *application) rename(id, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[id]["userName"] = name
	a.byName[scim.Fold(name)] = append(a.byName[scim.Fold(name)], id)
}

// forgets makes the application answer 404 to the next n requests of a method about one account.
func forgets(w *world, method, id string, n int32, answer func(rw http.ResponseWriter)) {
	var left atomic.Int32
	left.Store(n)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.HasSuffix(r.URL.Path, "/Users/"+id) || left.Add(-1) < 0 {
			return false
		}
		answer(rw)
		return true
	}
}

func scim404(rw http.ResponseWriter) { refuse(rw, 404, "", "There is no such user.") }

func html404(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "text/html")
	rw.WriteHeader(404)
	_, _ = io.WriteString(rw, "<html><h1>Not Found</h1></html>")
}

func empty404(rw http.ResponseWriter) { rw.WriteHeader(404) }

func gateway404(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(404)
	_, _ = io.WriteString(rw, `{"message":"no Route matched with those values"}`)
}

// The application once answers a wrong 404 to a change that does not matter. A person who leaves
// later is disabled nevertheless.
func TestOne404DetachesNobody(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter){"scim": scim404, "html": html404, "empty": empty404, "gateway": gateway404} {
		for _, method := range []string{http.MethodGet, http.MethodPatch} {
			t.Run(name+"_"+method, func(t *testing.T) {
				t.Parallel()
				w := hired(t)
				forgets(w, method, "u2", 1, answer)
				w.people.set("p2", "city", "Bergen")
				if method == http.MethodGet { // only a restart reads accounts that should be known
					if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
						t.Fatal(err)
					}
				}
				report, entries := w.cycle()
				if method == http.MethodPatch && (name == "scim" || name == "empty") {
					// The engine reads the account at once, and the application has it.
					if r := w.report(); status(entries["p2"]) != "update success " || r.Linked != 2 || r.Escrowed != 0 {
						t.Errorf("after the 404: %q, report %+v", status(entries["p2"]), r)
					}
				} else if r := w.report(); entries["p2"].Status.Status != provision.Failure || report.State != provision.EntryLevelErrors || r.Escrowed != 1 || r.Linked+r.Lost != 2 {
					t.Errorf("after the 404: %q, report %+v, %d linked, %d lost, %d escrowed", status(entries["p2"]), report, r.Linked, r.Lost, r.Escrowed)
				}
				w.people.enable("p2", false)
				if _, entries = w.cycle(); status(entries["p2"]) != "disable success " || isActive(t, w, "bob@contoso.com") {
					t.Errorf("the leaver: %q, active %v", status(entries["p2"]), isActive(t, w, "bob@contoso.com"))
				}
				if got := len(w.app.users); got != 2 {
					t.Errorf("got %d accounts, want 2", got)
				}
				if r := w.report(); r.Linked != 2 || r.Lost != 0 || r.Escrowed != 0 {
					t.Errorf("at the end %d linked, %d lost, %d escrowed", r.Linked, r.Lost, r.Escrowed)
				}
			})
		}
	}
}

// The application answers a wrong 404 while the engine disables a person. Then provisioning is
// restarted.
func TestA404WhileUnassigningKeepsTheLeaverInSight(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter){"scim": scim404, "html": html404} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			forgets(w, http.MethodPatch, "u2", 1, answer)
			w.people.assign("p2", false)
			w.cycle()
			if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
				t.Fatal(err)
			}
			if w.cycle(); isActive(t, w, "bob@contoso.com") {
				t.Error("the leaver's account is active after a restart")
			}
		})
	}
	t.Run("both_the_account_and_the_search_fail_for_a_while", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		var down atomic.Bool
		down.Store(true)
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			switch { // the answer comes from a replica that does not know Bob's account yet
			case !down.Load():
				return false
			case strings.HasSuffix(r.URL.Path, "/Users/u2"):
				scim404(rw)
			case strings.Contains(r.URL.RawQuery, "bob%40"):
				list(rw, 0, nil)
			default:
				return false
			}
			return true
		}
		w.people.assign("p2", false)
		report, entries := w.cycle()
		if e := entries["p2"]; status(e) != "other skipped InvalidAnchor" || report.Failed != 0 || w.report().Lost != 1 {
			t.Errorf("got %q (%s), %d failed, %d lost", status(e), e.Status.Reason, report.Failed, w.report().Lost)
		}
		down.Store(false)
		if w.cycle(); isActive(t, w, "bob@contoso.com") || w.report().Lost != 0 {
			t.Errorf("in the next cycle: active %v, %d lost", isActive(t, w, "bob@contoso.com"), w.report().Lost)
		}
	})
}

// The application deletes an account when the account is disabled.
func TestAnAccountThatIsRemovedByDisablingIsCreatedAgain(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter){"204": func(rw http.ResponseWriter) { rw.WriteHeader(204) }, "404": scim404} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPatch {
					return false
				}
				w.app.remove("u2")
				answer(rw)
				return true
			}
			w.people.enable("p2", false)
			w.cycle()
			w.cycle()
			if r := w.report(); r.Escrowed != 0 {
				t.Errorf("a leaver without an account is still to be retried: %+v", r)
			}
			w.app.answer = nil
			w.people.enable("p2", true)
			if _, entries := w.cycle(); status(entries["p2"]) != "create success " || !isActive(t, w, "bob@contoso.com") {
				t.Errorf("back: %q", status(entries["p2"]))
			}
			if r := w.report(); r.Linked != 2 || r.Lost != 0 {
				t.Errorf("%d linked, %d lost", r.Linked, r.Lost)
			}
		})
	}
}

func TestAnAccountThatIsGone(t *testing.T) {
	t.Parallel()
	t.Run("another_account_of_the_person_takes_its_place", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		restored := w.app.remove("u2")
		w.app.add(restored) // the account is restored from a backup, with another id
		w.people.set("p2", "surname", "Bit")
		_, entries := w.cycle()
		if got := status(entries["p2"]); got != "update success " || entries["p2"].TargetIdentity.ID != "u3" || w.app.user("bob@contoso.com").String("displayName") == "" {
			t.Errorf("got %q for %s", got, entries["p2"].TargetIdentity.ID)
		}
		w.people.enable("p2", false)
		if w.cycle(); isActive(t, w, "bob@contoso.com") || len(w.app.users) != 2 {
			t.Error("the leaver keeps access")
		}
	})
	t.Run("it_is_looked_for_by_the_values_that_it_had", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		restored := w.app.remove("u2")
		w.app.add(restored)
		w.people.set("p2", "userPrincipalName", "0123bob@contoso.com") // the form in which a directory renames deleted users
		w.people.softDelete("p2")
		if _, entries := w.cycle(); status(entries["p2"]) != "disable success " || isActive(t, w, "bob@contoso.com") {
			t.Errorf("got %q", status(entries["p2"]))
		}
	})
	t.Run("a_name_that_the_application_changed_is_remembered_too", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.app.rename("u2", "bob.byte@acme.example")
		w.people.set("p2", "city", "Bergen")
		w.setActions(provision.FlowUpdate)
		job := w.report().Job.Schema.Clone()
		m, _ := job.UserMapping()
		m.AttributeMappings[0].FlowType = provision.FlowObjectAddOnly // the application may change the names
		if _, err := w.jobs.SetSchema(t.Context(), w.key, job, "cli"); err != nil {
			t.Fatal(err)
		}
		w.cycle()
		w.app.add(w.app.remove("u2"))
		w.people.enable("p2", false)
		if _, entries := w.cycle(); status(entries["p2"]) != "disable success " || isActive(t, w, "bob.byte@acme.example") {
			t.Errorf("got %q (%s)", status(entries["p2"]), entries["p2"].Status.Reason)
		}
	})
	t.Run("a_leaver_s_is_counted_and_looked_for_once_more", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		gone := w.app.remove("u2")
		w.people.enable("p2", false)
		report, entries := w.cycle()
		if e := entries["p2"]; status(e) != "other skipped InvalidAnchor" || !strings.Contains(e.Status.Reason, "next cycle") || report.State != provision.Succeeded || w.report().Lost != 1 {
			t.Errorf("got %q (%s), %d lost", status(e), e.Status.Reason, w.report().Lost)
		}
		if _, entries = w.cycle(); status(entries["p2"]) != "other skipped InvalidAnchor" || w.report().Lost != 0 || w.report().Linked != 1 {
			t.Errorf("in the next cycle %q, %d lost", status(entries["p2"]), w.report().Lost)
		}
		w.app.asked()
		if _, entries = w.cycle(); len(entries) != 0 || len(w.app.asked()) != 1 {
			t.Errorf("a leaver without an account is looked for in every cycle: %v", entries)
		}
		w.app.add(gone) // somebody restores the account
		w.clock.advance(25 * time.Hour)
		if _, entries = w.cycle(); status(entries["p2"]) != "disable success " || isActive(t, w, "bob@contoso.com") {
			t.Errorf("a day later: %q", status(entries["p2"]))
		}
	})
	t.Run("a_restart_looks_for_those_out_of_scope_as_well", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		gone := w.app.remove("u2")
		w.people.assign("p2", false)
		w.cycle()
		w.cycle()
		w.clock.advance(60 * 24 * time.Hour)
		w.cycle()
		w.app.add(gone)
		if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		if _, entries := w.cycle(); status(entries["p2"]) != "disable success " || isActive(t, w, "bob@contoso.com") {
			t.Errorf("got %q", status(entries["p2"]))
		}
	})
	t.Run("without_create_the_person_is_listed_as_unmatched", func(t *testing.T) {
		t.Parallel()
		w := hired(t, actions(provision.FlowUpdate))
		gone := w.app.remove("u2")
		w.people.set("p2", "city", "Bergen")
		_, entries := w.cycle()
		if e, r := entries["p2"], w.report(); status(e) != "other skipped InvalidAnchor" || !strings.Contains(e.Status.Reason, "Create is not among") || r.Lost != 1 || r.Unmatched != 1 || r.Linked != 1 {
			t.Errorf("got %q (%s), report %+v", status(e), e.Status.Reason, r)
		}
		w.app.add(gone)
		if _, entries = w.cycle(); status(entries["p2"]) != "update success " || w.report().Unmatched != 0 || w.report().Lost != 0 {
			t.Errorf("in the next cycle %q, report %+v", status(entries["p2"]), w.report())
		}
	})
	t.Run("an_account_of_another_person_is_never_taken", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.app.remove("u2")
		w.app.rename("u1", "bob@contoso.com") // Ada has Bob's old name at the application
		w.people.enable("p2", false)
		if w.cycle(); !isActive(t, w, "bob@contoso.com") || w.report().Lost != 1 {
			t.Errorf("Ada's account was disabled for Bob; %d lost", w.report().Lost)
		}
	})
	t.Run("it_is_not_given_up_while_the_search_proves_nothing", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.matchBy("userName", "externalId")
		w.cycle()
		brokenSearch(w, "externalId", ways()["invalid_filter"].answer)
		gone := w.app.remove("u2")
		w.people.enable("p2", false)
		for range 3 {
			if _, entries := w.cycle(); entries["p2"].Status.Status != provision.Failure || w.report().Lost != 1 || w.report().Escrowed != 1 {
				t.Fatalf("got %q, %d lost, %d escrowed", status(entries["p2"]), w.report().Lost, w.report().Escrowed)
			}
		}
		gone["userName"] = "bob2@contoso.com" // a search finds the account only by externalId
		w.app.add(gone)
		w.app.answer = nil
		if w.cycle(); isActive(t, w, "bob2@contoso.com") {
			t.Error("the leaver keeps access")
		}
	})
	t.Run("a_purged_person_s_is_done", func(t *testing.T) {
		t.Parallel()
		for _, flows := range []provision.FlowTypes{allActions, provision.FlowAdd | provision.FlowUpdate} {
			w := hired(t)
			w.setActions(flows)
			w.cycle()
			w.app.remove("u2")
			w.people.purge("p2")
			w.cycle()
			w.cycle()
			if r := w.report(); r.Linked != 1 || r.Lost != 0 || r.Escrowed != 0 {
				t.Errorf("%v: report %+v", flows, r)
			}
		}
	})
	t.Run("a_lost_answer_to_the_create_in_its_place_doubles_nobody", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.app.remove("u2")
		w.people.set("p2", "city", "Bergen")
		var once atomic.Bool
		w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || once.Swap(true) {
				return false
			}
			body, _ := io.ReadAll(r.Body)
			w.app.handle(r, "", body)
			panic(http.ErrAbortHandler)
		}
		w.cycle()
		w.clock.advance(time.Minute)
		w.cycle()
		if got := w.app.created["bob@contoso.com"]; got != 2 || len(w.app.users) != 2 || w.report().Linked != 2 {
			t.Errorf("created %d times with the first, %d accounts, report %+v", got, len(w.app.users), w.report())
		}
	})
}

// Only an answer of the application itself proves that an account is deleted.
func TestADeleteIsProved(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(rw http.ResponseWriter)
		want   provision.Result
	}{
		"html_404":   {html404, provision.Failure},
		"gateway":    {gateway404, provision.Failure},
		"empty_404":  {empty404, provision.Failure}, // the search still finds the account
		"a_web_page": {func(rw http.ResponseWriter) { _, _ = io.WriteString(rw, "<html>Request Rejected</html>") }, provision.Failure},
		"scim_error": {func(rw http.ResponseWriter) { _, _ = rw.Write(problem(403, "", "No.")) }, provision.Failure},
		"scim_404":   {scim404, provision.Success},
		"nothing":    {func(rw http.ResponseWriter) { rw.WriteHeader(204) }, provision.Success},
		"a_resource": {func(rw http.ResponseWriter) { _, _ = io.WriteString(rw, `{"id":"u2","active":false}`) }, provision.Failure}, // a read finds it active
		"empty_200":  {func(http.ResponseWriter) {}, provision.Failure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			forgets(w, http.MethodDelete, "u2", 1, tt.answer)
			w.people.purge("p2")
			_, entries := w.cycle()
			if got := entries["p2"].Status.Status; got != tt.want {
				t.Errorf("got %s (%s), want %s", got, entries["p2"].Status.Reason, tt.want)
			}
			if tt.want == provision.Success {
				return
			}
			if w.cycle(); w.app.user("bob@contoso.com") != nil || w.report().Linked != 1 {
				t.Error("it was not tried again")
			}
		})
	}
	t.Run("a_success_with_a_body_and_an_account_that_is_inactive_or_gone", func(t *testing.T) {
		t.Parallel()
		for name, carry := range map[string]func(w *world){
			"gone":     func(w *world) { w.app.remove("u2") },
			"inactive": func(w *world) { w.app.mu.Lock(); w.app.users["u2"]["active"] = false; w.app.mu.Unlock() },
		} {
			w := hired(t)
			forgets(w, http.MethodDelete, "u2", 1, func(rw http.ResponseWriter) {
				carry(w)
				_, _ = io.WriteString(rw, `{"message":"done"}`)
			})
			w.people.purge("p2")
			if _, entries := w.cycle(); status(entries["p2"]) != "delete success " || w.report().Linked != 1 {
				t.Errorf("%s: got %q (%s)", name, status(entries["p2"]), entries["p2"].Status.Reason)
			}
		}
	})
	t.Run("empty_404_a_search_that_finds_nobody_and_a_read_that_finds_the_account", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.app.rename("u2", "bob@acme.example")
		w.app.mu.Lock()
		w.app.byName["bob@contoso.com"] = nil
		w.app.mu.Unlock()
		forgets(w, http.MethodDelete, "u2", 1, empty404)
		w.people.purge("p2")
		if _, entries := w.cycle(); entries["p2"].Status.Status != provision.Failure {
			t.Errorf("got %q", status(entries["p2"]))
		}
		if w.cycle(); w.app.user("bob@acme.example") != nil {
			t.Error("it was not tried again")
		}
	})
	t.Run("empty_404_and_a_search_that_finds_nobody", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.app.remove("u2")
		forgets(w, http.MethodDelete, "u2", 1, empty404)
		w.people.purge("p2")
		if _, entries := w.cycle(); status(entries["p2"]) != "delete success " {
			t.Errorf("got %q", status(entries["p2"]))
		}
	})
}

// A success answer to a PATCH does not count if it is about something else.
func TestAnAnswerToAPatchIsBelievedOnlyIfItFits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer string
		done   bool // whether the PATCH is carried out
		want   provision.Result
	}{
		"a_web_page":       {"<html>Request Rejected</html>", false, provision.Failure},
		"a_scim_error":     {string(problem(403, "", "No.")), false, provision.Failure},
		"a_list":           {`{"schemas":["` + scim.ListResponseURN + `"],"totalResults":0}`, false, provision.Failure},
		"still_active":     {`{"id":"u2","userName":"bob@contoso.com","active":true}`, false, provision.Failure},
		"still_as_text":    {`{"id":"u2","active":"True"}`, false, provision.Failure},
		"somebody_else":    {`{"id":"u1","active":false}`, false, provision.Failure},
		"some_json":        {`{"message":"denied"}`, false, provision.Failure},
		"text":             {`OK`, false, provision.Failure},
		"disabled":         {`{"id":"u2","active":false}`, true, provision.Success},
		"disabled_as_text": {`{"id":"u2","active":"false"}`, true, provision.Success},
		"nothing":          {"", true, provision.Success},
		"an_empty_object":  {"{}", true, provision.Success},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			var broken atomic.Bool
			broken.Store(true)
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPatch || !broken.Load() {
					return false
				}
				if tt.done {
					body, _ := io.ReadAll(r.Body)
					w.app.handle(r, "u2", body)
				}
				_, _ = io.WriteString(rw, tt.answer)
				return true
			}
			w.people.enable("p2", false)
			_, entries := w.cycle()
			if got := entries["p2"].Status; got.Status != tt.want || tt.want == provision.Failure && w.report().Escrowed != 1 {
				t.Errorf("got %s (%s), want %s; %d escrowed", got.Status, got.Reason, tt.want, w.report().Escrowed)
			}
			broken.Store(false)
			if w.cycle(); isActive(t, w, "bob@contoso.com") || w.report().Escrowed != 0 {
				t.Error("the leaver keeps access")
			}
		})
	}
}

// An application may answer a create with an account that already existed, or that is inactive.
func TestACreateAnsweredWithAnAccountThatDiffers(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]scim.Resource{
		"inactive":     {"userName": "ada@contoso.com", "active": false},
		"another_name": {"userName": "ada", "active": true},
		"both":         {"userName": "ada", "active": "False"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				id := w.app.add(there.Clone())
				w.app.mu.Lock()
				_, _ = rw.Write(encode(w.app.users[id]))
				w.app.mu.Unlock()
				return true
			}
			report, entries := w.cycle()
			u := w.app.users["u1"]
			if active, _ := u.Bool("active"); status(entries["p1"]) != "create success " || report.Created != 1 || !active || u.String("userName") != "ada@contoso.com" || u.String("displayName") != "Ada Lovelace" {
				t.Errorf("got %q (%s): %v", status(entries["p1"]), entries["p1"].Status.Reason, u)
			}
		})
	}
}

// The log names the values that were compared, and those that were left alone.
func TestTheLogSaysWhatWasLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "ADA", "LOVELACE"))
	w.cycle()
	look := func(words ...string) {
		t.Helper()
		_, entries := w.cycle()
		e := entries["p1"]
		for _, word := range words {
			if got := e.Status.Reason + " " + e.Status.RecommendedAction; status(e) != "other skipped RedundantExport" || !strings.Contains(got, word) {
				t.Errorf("%s: %q does not say %q", status(e), got, word)
			}
		}
	}
	w.people.set("p1", "department", "no row reads it")
	look("Not read: nothing that the mapping sends has changed since", "at 2025-01-09 09:00 UTC")
	w.people.set("p1", "displayName", "Ada Lovelace")
	look("Not read:", "capital letters", "displayName")
	w.app.mu.Lock()
	w.app.users["u1"]["title"] = "Countess" // the job did not write this value
	w.app.mu.Unlock()
	if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	look("The account was read", "capital letters", "displayName", "were not written by this job: title")
	schema := w.report().Job.Schema.Clone()
	m, err := schema.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	m.AttributeMappings[1].Source = &provision.AttributeMappingSource{Type: "Attribute", Name: "accountEnabled", Expression: "[accountEnabled]"}
	if _, err := w.jobs.SetSchema(t.Context(), w.key, schema, "cli"); err != nil {
		t.Fatal(err)
	}
	w.cycle()
	w.people.assign("p1", false)
	look("Map active from IsSoftDeleted")
}
