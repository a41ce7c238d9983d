package provision_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// newMatchedWorld returns a world of people with accounts that no job knows yet. Every tenth person has no account,
// and every seventh account has another display name.
func newMatchedWorld(t *testing.T, people int) *world {
	t.Helper()
	w := newWorld(t)
	for i := range people {
		name := fmt.Sprintf("p%d@contoso.com", i)
		w.people.put(fmt.Sprintf("p%d", i), person(name, fmt.Sprintf("P%d", i), "Lund"))
		w.people.assign(fmt.Sprintf("p%d", i), true)
		if i%10 == 0 {
			continue
		}
		display := fmt.Sprintf("P%d Lund", i)
		if i%7 == 0 {
			display = "Somebody"
		}
		w.app.add(scim.Resource{"userName": strings.ToUpper(name[:1]) + name[1:], "active": true, "displayName": display})
	}
	return w
}

// listsAccounts makes the application answer requests for its list of accounts in pages.
func (w *world) listsAccounts() { w.app.page = 100 }

// TestAPlanReadsTheListOnce makes a plan for many people. The plan is the same as with one search
// for each person, but needs few requests.
func TestAPlanReadsTheListOnce(t *testing.T) {
	t.Parallel()
	const people = 400
	w := newMatchedWorld(t, people)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && r.URL.Query().Get("filter") == "" && strings.HasSuffix(r.URL.Path, "/Users") {
			refuse(rw, http.StatusForbidden, "", "Nobody may read the list.")
			return true
		}
		return false
	}
	searched, one := w.plan()
	if n := len(w.app.asked()); n < people || searched.AccountsRead != 0 {
		t.Fatalf("%d requests without the list, %d accounts read from it", n, searched.AccountsRead)
	}
	w.app.answer = nil
	w.listsAccounts()
	listed, other := w.plan()
	if n := len(w.app.asked()); n > 100 || listed.AccountsRead != people-people/10 {
		t.Errorf("%d requests with the list, %d accounts read from it", n, listed.AccountsRead)
	}
	if diff := cmp.Diff(one, other, cmpopts.IgnoreUnexported(provision.PlannedObject{})); diff != "" {
		t.Errorf("the plan with searches (-) and with the list (+):\n%s", diff)
	}
	if listed.Creates != people/10 || listed.Updates == 0 {
		t.Errorf("report %+v", listed)
	}

	// After a cycle and a restart, the plan would read each account.
	w.cycle()
	_, err := w.jobs.Restart(t.Context(), w.key, "cli")
	if err != nil {
		t.Fatal(err)
	}
	w.app.asked()
	again, _ := w.plan()
	if n := len(w.app.asked()); n > 100 || again.Creates+again.Updates > 0 {
		t.Errorf("after a restart: %d requests, report %+v", n, again)
	}
}

// TestAPlanTrustsNoListThatIsWrong has applications whose list differs from what searches and
// single accounts show. The plan is right nevertheless.
func TestAPlanTrustsNoListThatIsWrong(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(page map[string]any){
		"one account too few": func(page map[string]any) {
			all := page["Resources"].([]any)
			page["Resources"] = all[:len(all)-1]
		},
		"no display names": func(page map[string]any) {
			for _, o := range page["Resources"].([]any) {
				delete(o.(map[string]any), "displayName")
			}
		},
		"no user names": func(page map[string]any) {
			for _, o := range page["Resources"].([]any) {
				delete(o.(map[string]any), "userName")
			}
		},
		"only every second account": func(page map[string]any) {
			var some []any
			for i, o := range page["Resources"].([]any) {
				if i%2 == 0 {
					some = append(some, o)
				}
			}
			page["Resources"], page["totalResults"] = some, int64(len(some))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newMatchedWorld(t, 400)
			_, want := w.plan()
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || r.URL.Query().Get("filter") != "" || !strings.HasSuffix(r.URL.Path, "/Users") {
					return false
				}
				_, body := w.app.handle(r, "", nil)
				page, err := scim.Parse(body)
				if err != nil {
					t.Error(err)
				}
				spoil(page)
				rw.Header().Set("Content-Type", "application/scim+json")
				_, _ = rw.Write(encode(page))
				return true
			}
			_, got := w.plan()
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(provision.PlannedObject{})); diff != "" {
				t.Errorf("the plan without the list (-) and with a wrong one (+):\n%s", diff)
			}
		})
	}
}

// TestAPlanNoticesThatTheListMoves deletes an account that was already read, so that the next page
// of the list skips an account. It also adds an account, so that the number of accounts stays the
// same. The plan must not create an account for anyone who has one.
func TestAPlanNoticesThatTheListMoves(t *testing.T) {
	t.Parallel()
	w := newMatchedWorld(t, 400)
	w.listsAccounts()
	read := 0
	w.app.done = func(r *http.Request) {
		var start int
		if _, err := fmt.Sscan(r.URL.Query().Get("startIndex"), &start); err == nil && start > 150 {
			if read++; read == 1 {
				w.app.remove("u1")
				w.app.add(account("new@contoso.com"))
			}
		}
	}
	_, planned := w.plan()
	if read == 0 {
		t.Fatal("the list was not read that far")
	}
	for _, o := range planned {
		if o.Action == provision.Create && w.app.user(o.UserName) != nil {
			t.Errorf("%s has an account and would get another one", o.UserName)
		}
	}
}

// TestAPlanWaitsForTheList has an application that asks for a pause in the middle of its list.
func TestAPlanWaitsForTheList(t *testing.T) {
	t.Parallel()
	w := newMatchedWorld(t, 400)
	w.listsAccounts()
	paused := false
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("filter") != "" || !strings.HasPrefix(r.URL.Query().Get("startIndex"), "2") || paused {
			return false
		}
		paused = true
		rw.Header().Set("Retry-After", "1")
		refuse(rw, http.StatusTooManyRequests, "", "Not now.")
		return true
	}
	report, _ := w.plan()
	if !paused || report.AccountsRead != 360 || report.Creates != 40 {
		t.Errorf("paused %v, report %+v", paused, report)
	}
}

// TestAPlanOfManyPeopleReadsTheListAtOnce makes plans at an application with 8,000 accounts. A plan
// of as many people reads the list after 50 searches, because it would need more searches than the
// list needs requests. A plan of 60 people does without the list.
func TestAPlanOfManyPeopleReadsTheListAtOnce(t *testing.T) {
	t.Parallel()
	const accounts = 8_000
	for _, people := range []int{accounts, 60} {
		t.Run(fmt.Sprint(people), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.listsAccounts()
			for i := range accounts {
				name := fmt.Sprintf("p%d@contoso.com", i)
				if i < people {
					w.people.put(fmt.Sprintf("p%d", i), person(name, fmt.Sprintf("P%d", i), "Lund"))
					w.people.assign(fmt.Sprintf("p%d", i), true)
				}
				w.app.add(scim.Resource{"userName": name, "active": true})
			}
			report, _ := w.plan()
			requests := len(w.app.asked())
			wantRead, most := accounts, 150 // 81 pages and 50 searches, and some for the tests
			if people < accounts {
				wantRead, most = 0, 75
			}
			if report.Updates != people || report.AccountsRead != wantRead || requests > most {
				t.Errorf("%d updates, %d accounts read from the list, %d requests; want %d, %d and %d at most", report.Updates, report.AccountsRead, requests, people, wantRead, most)
			}
		})
	}
}
