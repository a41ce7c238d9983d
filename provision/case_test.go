package provision_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// newCaseWorld is a job for an application whose searches by userName compare case.
func newCaseWorld(t *testing.T, options ...option) *world {
	t.Helper()
	w := newWorld(t, options...)
	w.app.compares, w.app.page = true, 100
	return w
}

// TestAnAccountInAnotherCaseIsFound has people whose accounts have their user names in another
// case, at an application that compares case.
func TestAnAccountInAnotherCaseIsFound(t *testing.T) {
	t.Parallel()
	w := newCaseWorld(t)
	bob := w.app.add(account("BOB@Contoso.com"))
	for i := range 250 { // so that Cyn is on another page of the list
		w.app.add(account(fmt.Sprintf("Somebody%d@contoso.com", i)))
	}
	cyn := w.app.add(account("cyn@CONTOSO.com"))
	w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
	w.people.put("p4", person("dee@contoso.com", "Dee", "Data"))
	_, objects := w.plan()
	if o := objects["p2"]; o.TargetID != bob || o.Action != provision.Update {
		t.Errorf("planned %+v", o)
	}
	_, entries := w.cycle()
	if got := status(entries["p2"]); got != "update success " || entries["p2"].TargetIdentity.ID != bob {
		t.Errorf("Bob: %q for %s", got, entries["p2"].TargetIdentity.ID)
	}
	if got := status(entries["p4"]); got != "create success " {
		t.Errorf("Dee, who has no account: %q", got)
	}
	w.people.put("p3", person("Cyn@contoso.com", "Cyn", "Cipher"))
	report, entries := w.cycle()
	if got := status(entries["p3"]); got != "update success " || entries["p3"].TargetIdentity.ID != cyn || report.Kind != provision.IncrementalCycle {
		t.Errorf("Cyn, in an %s cycle: %q for %s", report.Kind, got, entries["p3"].TargetIdentity.ID)
	}
	if diff := cmp.Diff(map[string]int{"dee@contoso.com": 1}, w.app.created); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if notes := strings.Join(w.report().Notes, " "); !strings.Contains(notes, "The application compares case when it is searched by userName.") {
		t.Errorf("the status says %q", notes)
	}
	w.people.enable("p2", false)
	if w.cycle(); isActive(t, w, "bob@contoso.com") {
		t.Error("Bob left and has an active account")
	}
}

// TestAnAccountInAnotherCaseThatAppearsLater adds an account by hand between two cycles, and
// another between two searches of one cycle.
func TestAnAccountInAnotherCaseThatAppearsLater(t *testing.T) {
	t.Parallel()
	w := newCaseWorld(t, actions(provision.FlowAdd|provision.FlowUpdate))
	w.app.add(account("Root@contoso.com"))
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.cycle()
	bob := w.app.add(account("Bob@contoso.com"))
	w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
	if _, entries := w.cycle(); status(entries["p2"]) != "update success " || entries["p2"].TargetIdentity.ID != bob {
		t.Errorf("got %q (%s)", status(entries["p2"]), entries["p2"].Status.Reason)
	}
	// A job that only updates also links such an account, so that it can disable a leaver.
	w.setActions(provision.FlowUpdate)
	w.people.put("p3", person("cyn@contoso.com", "Cyn", "Cipher"))
	if _, entries := w.cycle(); status(entries["p3"]) != "other skipped NoMatchCreateDisabled" {
		t.Errorf("Cyn, who has no account: %q", status(entries["p3"]))
	}
	cyn := w.app.add(account("CYN@contoso.com"))
	w.people.set("p3", "city", "Bergen")
	if _, entries := w.cycle(); status(entries["p3"]) != "update success " || entries["p3"].TargetIdentity.ID != cyn {
		t.Errorf("Cyn, who has one: %q (%s)", status(entries["p3"]), entries["p3"].Status.Reason)
	}
}

// TestAccountsThatDifferInCaseAloneAreShown has an application with two accounts for one person.
// The engine links neither of them and creates no account.
func TestAccountsThatDifferInCaseAloneAreShown(t *testing.T) {
	t.Parallel()
	w := newCaseWorld(t)
	one, two := w.app.add(account("BOB@contoso.com")), w.app.add(account("Bob@contoso.com"))
	w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
	_, entries := w.cycle()
	if e := entries["p2"]; status(e) != "other failure DuplicateTargetEntries" || !strings.Contains(e.Status.Reason, one+", "+two) || len(w.app.users) != 2 {
		t.Errorf("got %q (%s), %d accounts", status(e), e.Status.Reason, len(w.app.users))
	}
	w.app.remove(one)
	if _, entries = w.cycle(); status(entries["p2"]) != "update success " || entries["p2"].TargetIdentity.ID != two {
		t.Errorf("with one account left: %q", status(entries["p2"]))
	}
}

// TestAListThatIsIncompleteProvesNothing has an application that compares case and whose list lacks
// some accounts. So the list does not show whether a person has an account.
func TestAListThatIsIncompleteProvesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		list  func(w *world, rw http.ResponseWriter, start string)
		words string
	}{
		"the same page again": {func(w *world, rw http.ResponseWriter, _ string) {
			list(rw, 3, []json.RawMessage{encode(w.app.users["u1"]), encode(w.app.users["u2"])})
		}, "Its list shows only 2 of 3 accounts."},
		"no pages": {func(w *world, rw http.ResponseWriter, start string) {
			if start != "1" {
				refuse(rw, 400, "invalidValue", "No pages here.")
				return
			}
			list(rw, 3, []json.RawMessage{encode(w.app.users["u1"])})
		}, "Its list of accounts cannot be read: No pages here."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCaseWorld(t)
			for _, name := range []string{"Root@contoso.com", "Svc@contoso.com", "BOB@contoso.com"} {
				w.app.add(account(name))
			}
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/scim/v2/Users" || r.Method != http.MethodGet || r.URL.Query().Has("filter") {
					return false
				}
				w.app.mu.Lock()
				defer w.app.mu.Unlock()
				tt.list(w, rw, r.URL.Query().Get("startIndex"))
				return true
			}
			w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
			w.people.put("p4", person("dee@contoso.com", "Dee", "Data"))
			_, entries := w.cycle()
			for _, id := range []string{"p2", "p4"} {
				if e := entries[id]; e.Status.Status != provision.Failure || !strings.Contains(e.Status.Reason, tt.words) || !strings.Contains(e.Status.RecommendedAction, "exact case") {
					t.Errorf("%s: %q (%s)", id, status(e), e.Status.Reason)
				}
			}
			if len(w.app.users) != 3 {
				t.Errorf("got %d accounts", len(w.app.users))
			}
			// The administrator declares that names in another case belong to other people.
			exact := []string{"userName"}
			if _, err := w.jobs.SetMapping(t.Context(), w.key, userRows, provision.MappingEdit{ExactCase: &exact}, "cli"); err != nil {
				t.Fatal(err)
			}
			if _, entries = w.cycle(); status(entries["p2"]) != "create success " || status(entries["p4"]) != "create success " {
				t.Errorf("with exact case: %q, %q", status(entries["p2"]), status(entries["p4"]))
			}
		})
	}
}

// TestTheCaseRuleIsLearnedOnce counts the requests that find out whether the application compares
// case.
func TestTheCaseRuleIsLearnedOnce(t *testing.T) {
	t.Parallel()
	const first = "startIndex=1&count=10"
	for name, tt := range map[string]struct {
		accounts []string
		compares bool
		rule     provision.CaseRule
		tested   []string // the requests of Test Connection after the search for a random value
		cycle    []string // the requests for the list in the first cycle
		next     []string // the requests for the list in the next cycle, in which somebody is hired
	}{
		"no account": {nil, true, provision.CaseUnknown, []string{first}, []string{first}, nil},
		"no letter":  {[]string{"1234"}, true, provision.CaseUnknown, []string{first}, []string{first}, nil},
		"ignores case": {
			[]string{"1234", "Root@x"}, false, provision.CaseIgnored, []string{first, `userName eq "rOOT@X"`}, []string{first}, nil,
		},
		"compares case": {
			[]string{"1234", "Root@x"},
			true, provision.CaseCompared,
			[]string{first, `userName eq "rOOT@X"`, `userName eq "Root@x"`},
			[]string{first, "startIndex=1&count=100"},
			[]string{"startIndex=1&count=100"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCaseWorld(t)
			w.app.compares = tt.compares
			for _, name := range tt.accounts {
				w.app.add(account(name))
			}
			var asked []string
			w.app.begun = func(r *http.Request) {
				query := r.URL.Query()
				if r.URL.Path != "/scim/v2/Users" {
					return
				}
				if asked = append(asked, query.Get("filter")); !query.Has("filter") {
					asked[len(asked)-1] = r.URL.RawQuery
				}
			}
			found, err := w.jobs.TestConnection(t.Context(), w.key, w.app.url(), nil)
			if err != nil || len(found.Users) != 1 || found.Users[0].Case != tt.rule {
				t.Errorf("Test Connection: %+v, %v", found, err)
			}
			if diff := cmp.Diff(tt.tested, asked[1:]); diff != "" {
				t.Errorf("Test Connection (-want +got):\n%s", diff)
			}
			if note := found.Users[0].CaseNote(); (note != "") != (tt.rule == provision.CaseCompared) {
				t.Errorf("note %q", note)
			}
			w.app.begun = nil
			cycle := func(when string, want []string) {
				t.Helper()
				w.app.lists = nil
				if w.cycle(); !slices.Equal(w.app.lists, want) {
					t.Errorf("%s: the list was asked for with %q, want %q", when, w.app.lists, want)
				}
			}
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			cycle("initial cycle", tt.cycle)
			cycle("nothing to do", nil)
			w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
			cycle("somebody is hired", tt.next)
		})
	}
}

// TestTheCaseRuleOfASaveIsKept saves the credentials at an application with accounts. The save
// learns the case rule, so the first cycle already knows it.
func TestTheCaseRuleOfASaveIsKept(t *testing.T) {
	t.Parallel()
	w := newCaseWorld(t)
	w.app.add(account("Root@contoso.com"))
	secret := w.app.token
	job, err := w.jobs.Edit(t.Context(), w.key, func(s *provision.Settings) { s.Secret = &secret }, "cli")
	if err != nil || job.Searches == nil || job.Searches.All[0].Case != provision.CaseCompared {
		t.Fatalf("saved %+v, %v", job.Searches, err)
	}
	w.app.lists = nil
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	if w.cycle(); !slices.Equal(w.app.lists, []string{"startIndex=1&count=100"}) {
		t.Errorf("the list was asked for with %q", w.app.lists)
	}
}

// TestAGroupInAnotherCaseIsFound does the test of TestAnAccountInAnotherCaseIsFound for groups.
func TestAGroupInAnotherCaseIsFound(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.teams.compares = true
	g.teams.byID["g1"], g.teams.order = scim.Resource{"id": "g1", "displayName": "TEAM BLUE"}, []string{"g1"}
	ada := g.hire("ada", true)
	g.group("Team Blue", ada)
	g.group("Team Red")
	g.sync()
	g.expect("TEAM BLUE: ada", "Team Red: ")
	if notes := strings.Join(g.report().Notes, " "); !strings.Contains(notes, "Groups: The application compares case when it is searched by displayName.") {
		t.Errorf("the status says %q", notes)
	}
}
