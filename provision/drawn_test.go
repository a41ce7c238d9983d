package provision_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// TestDrawnValues maps a random title and the year of the evaluation. The random value is generated
// when the account is created, and stays. The year comes from the engine's clock.
func TestDrawnValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit(func(m *provision.ObjectMapping) {
		mapTo(m, "title", `Append("drawn-", RandomString(12, 3, 0, 3, 3))`)
		mapTo(m, "preferredLanguage", `FormatDateTime(Now(), , "G", "yyyy")`)
	})
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.cycle()
	first := w.app.user("ada@contoso.com")
	if title := first.String("title"); len(title) != 18 || title[:6] != "drawn-" {
		t.Errorf("created with the title %q", title)
	}
	if got, want := first.String("preferredLanguage"), epoch.UTC().Format("2006"); got != want {
		t.Errorf("the year of the evaluation is %q, want %q", got, want)
	}
	w.people.set("p1", "displayName", "Countess")
	w.cycle()
	second := w.app.user("ada@contoso.com")
	if second.String("displayName") != "Countess" || second.String("title") != first.String("title") {
		t.Errorf("after an update the account is %v, and was %v", second, first)
	}
}

// TestRedactedValues sends a value that the log of a create and of an update does not show.
func TestRedactedValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit(func(m *provision.ObjectMapping) { mapTo(m, "title", `Redact([jobTitle])`) })
	ada := person("ada@contoso.com", "Ada", "Lovelace")
	ada["jobTitle"] = "Secret Countess"
	w.people.put("p1", ada)
	for _, title := range []string{"Secret Countess", "Secret Duchess"} {
		w.people.set("p1", "jobTitle", title)
		_, entries := w.cycle()
		if got := w.app.user("ada@contoso.com").String("title"); got != title {
			t.Errorf("the account's title is %q, want %q", got, title)
		}
		found := false
		for _, p := range entries["p1"].Modified {
			if p.DisplayName != "title" {
				continue
			}
			found = p.NewValue != nil && *p.NewValue == "[Redact]"
			if p.OldValue != nil && *p.OldValue != "[Redact]" {
				t.Errorf("the log shows the old value %q", *p.OldValue)
			}
		}
		if !found {
			t.Errorf("the log has %+v, want [Redact] for the title", entries["p1"].Modified)
		}
	}
}

const uniqueTitle = `SelectUniqueValue(Join(".", [givenName], [surname]), Join(".", Left([givenName], 1), [surname]), Join(".", Left([givenName], 2), [surname]))`

// titles returns the titles of the application's accounts by user name.
func (a *application) titles() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	titles := map[string]string{}
	for _, u := range a.users {
		titles[u.String("userName")] = u.String("title")
	}
	return titles
}

// uniqueWorld is a job whose titles are unique.
func uniqueWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.edit(func(m *provision.ObjectMapping) { mapTo(m, "title", uniqueTitle) })
	w.app.asked()
	return w
}

// posted returns the values of an attribute in the creates that reached the application.
func posted(bodies *[]string, attribute string) (values []string) {
	for _, b := range *bodies {
		var r map[string]any
		if json.Unmarshal([]byte(b), &r) == nil {
			values = append(values, fmt.Sprint(r[attribute]))
		}
	}
	return values
}

// recordCreates keeps the bodies of creates, including those that are refused or lost.
func recordCreates(w *world, answer func(w http.ResponseWriter, r *http.Request, n int) bool) *[]string {
	var mu sync.Mutex
	var bodies []string
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		mu.Lock()
		bodies = append(bodies, body(r))
		n := len(bodies)
		mu.Unlock()
		return answer != nil && answer(rw, r, n)
	}
	return &bodies
}

func TestUniqueValues(t *testing.T) {
	t.Parallel()
	t.Run("the_first_value_that_no_account_has_is_taken_and_stays", func(t *testing.T) {
		t.Parallel()
		w := uniqueWorld(t)
		w.app.add(scim.Resource{"userName": "root", "title": "JOHN.Smith"})
		w.people.put("p1", person("john@contoso.com", "John", "Smith"))
		w.cycle()
		if got := w.app.user("john@contoso.com").String("title"); got != "J.Smith" {
			t.Fatalf("the title is %q, want J.Smith: an account has John.Smith", got)
		}
		w.people.set("p1", "surname", "Miller")
		w.cycle()
		john := w.app.user("john@contoso.com")
		if john.String("title") != "J.Smith" || !strings.Contains(string(encode(john)), "Miller") {
			t.Errorf("after a change of its inputs the account is %v", john)
		}
		if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		w.app.asked()
		w.cycle()
		if got := w.app.writes(); got != 0 {
			t.Errorf("a restart wrote %d times", got)
		}
	})
	t.Run("people_of_one_cycle_get_different_values", func(t *testing.T) {
		t.Parallel()
		w := uniqueWorld(t)
		for i := range 3 {
			w.people.put(fmt.Sprintf("p%d", i), person(fmt.Sprintf("john%d@contoso.com", i), "John", "Smith"))
		}
		w.people.put("p3", person("john3@contoso.com", "John", "Smith"))
		report, entries := w.cycle()
		var got []string
		for _, title := range w.app.titles() {
			got = append(got, title)
		}
		slices.Sort(got)
		if d := cmp.Diff([]string{"J.Smith", "Jo.Smith", "John.Smith"}, got); d != "" {
			t.Errorf("titles (-want +got):\n%s", d)
		}
		failed := 0
		for _, e := range entries {
			if e.Status.Status == provision.Failure {
				failed++
				if !strings.Contains(e.Status.Reason, "already has every value") {
					t.Errorf("the reason is %q", e.Status.Reason)
				}
			}
		}
		if failed != 1 || report.Created != 3 {
			t.Errorf("failed %d, created %d, want 1 and 3", failed, report.Created)
		}
	})
	t.Run("a_value_of_an_account_that_the_search_does_not_show_yet_is_not_given_again", func(t *testing.T) {
		t.Parallel()
		w := uniqueWorld(t)
		w.people.put("p1", person("john@contoso.com", "John", "Smith"))
		w.cycle()
		var blind atomic.Bool
		blind.Store(true)
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if !blind.Load() || !strings.HasPrefix(r.URL.Query().Get("filter"), "title") {
				return false
			}
			rw.Header().Set("Content-Type", "application/scim+json")
			_, _ = io.WriteString(rw, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"Resources":[]}`)
			return true
		}
		w.people.put("p2", person("jane@contoso.com", "John", "Smith"))
		w.cycle()
		if d := cmp.Diff(map[string]string{"john@contoso.com": "John.Smith", "jane@contoso.com": "J.Smith"}, w.app.titles()); d != "" {
			t.Errorf("titles (-want +got):\n%s", d)
		}
	})
	t.Run("a_value_is_free_again_when_its_account_is_deleted", func(t *testing.T) {
		t.Parallel()
		w := uniqueWorld(t)
		w.people.put("p1", person("john@contoso.com", "John", "Smith"))
		w.cycle()
		w.people.purge("p1")
		w.cycle()
		w.people.put("p2", person("john2@contoso.com", "John", "Smith"))
		w.cycle()
		if got := w.app.user("john2@contoso.com").String("title"); got != "John.Smith" {
			t.Errorf("the title is %q, want John.Smith, which is free again", got)
		}
	})
	t.Run("a_create_that_collides_with_another_program_takes_the_next_value_in_the_same_cycle", func(t *testing.T) {
		t.Parallel()
		w := uniqueWorld(t)
		bodies := recordCreates(w, func(rw http.ResponseWriter, _ *http.Request, n int) bool {
			if n > 1 {
				return false
			}
			w.app.add(scim.Resource{"userName": "somebody", "title": "John.Smith"})
			refuse(rw, http.StatusConflict, "uniqueness", "The title is taken.")
			return true
		})
		w.people.put("p1", person("john@contoso.com", "John", "Smith"))
		_, entries := w.cycle()
		if d := cmp.Diff([]string{"John.Smith", "J.Smith"}, posted(bodies, "title")); d != "" || status(entries["p1"]) != "create success " {
			t.Errorf("%s; titles that were sent (-want +got):\n%s", status(entries["p1"]), d)
		}
	})
	t.Run("a_target_that_cannot_be_searched_by_the_attribute_gets_no_account", func(t *testing.T) {
		t.Parallel()
		w := uniqueWorld(t)
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Query().Get("filter"), "title") {
				return false
			}
			_, all := w.app.search("")
			_, _ = rw.Write(all) // the answer ignores the filter
			return true
		}
		w.app.add(scim.Resource{"userName": "root", "title": "Root"})
		w.people.put("p1", person("john@contoso.com", "John", "Smith"))
		_, entries := w.cycle()
		if e := entries["p1"]; e.Status.Status != provision.Failure || w.app.writes() != 0 || !strings.Contains(e.Status.Reason, "SelectUniqueValue") {
			t.Errorf("entry %+v, %d writes", e.Status, w.app.writes())
		}
	})
}

// TestDrawnValuesSurviveACrash kills the process after it has drawn the values of a create.
func TestDrawnValuesSurviveACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mapPassword(`RandomString(20, 3, 0, 3, 3)`)
	w.edit(func(m *provision.ObjectMapping) {
		mapTo(m, "title", uniqueTitle)
		mapTo(m, "nickName", `RandomString(20, 3, 0, 3, 3)`)
	})
	crash := &crashing{Store: w.store}
	var arrived atomic.Bool
	crash.when = arrived.Load
	bodies := recordCreates(w, func(_ http.ResponseWriter, _ *http.Request, n int) bool {
		if n > 1 {
			return false
		}
		arrived.Store(true)
		panic(http.ErrAbortHandler) // the create is not carried out
	})
	w.engine.Store = crash
	w.people.put("p1", person("john@contoso.com", "John", "Smith"))
	if _, _, err := w.tryCycle(); err == nil || !crash.done.Load() {
		t.Fatalf("the process was not killed: %v", err)
	}
	drawn, err := w.store.Drawn(t.Context(), w.key, "p1")
	if err != nil || len(drawn) != 2 {
		t.Fatalf("stored %v, %v; want the title and the nickname, and no password", drawn, err)
	}
	w.wire() // another process
	w.clock.advance(5 * time.Minute)
	w.cycle()
	if len(*bodies) != 2 {
		t.Fatalf("%d creates, want 2", len(*bodies))
	}
	for _, attribute := range []string{"title", "nickName"} {
		if sent := posted(bodies, attribute); sent[0] != sent[1] {
			t.Errorf("%s was sent as %q and, after the crash, as %q", attribute, sent[0], sent[1])
		}
	}
	if sent := posted(bodies, "password"); sent[0] == sent[1] {
		t.Error("the password was stored: it is the same in both creates")
	}
	account := w.app.user("john@contoso.com")
	if account.String("title") != "John.Smith" || account.String("nickName") != posted(bodies, "nickName")[0] {
		t.Errorf("the account is %v", account)
	}
}

// TestAFrozenValueIsCheckedAgain gives the generated value to another account between the crash and
// the retry.
func TestAFrozenValueIsCheckedAgain(t *testing.T) {
	t.Parallel()
	w := uniqueWorld(t)
	bodies := recordCreates(w, func(_ http.ResponseWriter, _ *http.Request, n int) bool {
		if n > 1 {
			return false
		}
		panic(http.ErrAbortHandler)
	})
	w.people.put("p1", person("john@contoso.com", "John", "Smith"))
	w.cycle()
	w.app.add(scim.Resource{"userName": "somebody", "title": "John.Smith"})
	w.clock.advance(5 * time.Minute)
	w.cycle()
	if d := cmp.Diff([]string{"John.Smith", "J.Smith"}, posted(bodies, "title")); d != "" {
		t.Errorf("titles that were sent (-want +got):\n%s", d)
	}
}

// TestTimeAloneChangesNothing moves the clock on, for an expression that reads the clock.
func TestTimeAloneChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit(func(m *provision.ObjectMapping) {
		mapTo(m, "title", `Append([jobTitle], FormatDateTime(Now(), , "G", "yyyy"))`)
		mapTo(m, "nickName", `IIF(DateDiff("d", CDate("2025-01-09"), Now()) > 3, "old", "")`)
	})
	ada := person("ada@contoso.com", "Ada", "Lovelace")
	ada["jobTitle"] = "Countess"
	w.people.put("p1", ada)
	w.cycle()
	want := func(when, title, nick string) {
		t.Helper()
		if u := w.app.user("ada@contoso.com"); u.String("title") != title || u.String("nickName") != nick {
			t.Errorf("%s: title %q and nickName %q, want %q and %q", when, u.String("title"), u.String("nickName"), title, nick)
		}
	}
	want("created", "Countess2025", "")
	w.clock.advance(400 * 24 * time.Hour)
	w.app.asked()
	w.cycle()
	if got := w.app.writes(); got != 0 {
		t.Errorf("time alone wrote %d times", got)
	}
	w.people.set("p1", "city", "Bergen")
	w.cycle()
	want("another attribute changed", "Countess2025", "")
	if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	w.app.asked()
	w.cycle()
	want("a restart", "Countess2025", "")
	if got := w.app.writes(); got != 0 {
		t.Errorf("a restart wrote %d times", got)
	}
	w.people.set("p1", "jobTitle", "Duchess")
	w.cycle()
	want("its own input changed", "Duchess2026", "")
	w.edit(func(m *provision.ObjectMapping) {
		mapTo(m, "nickName", `IIF(DateDiff("d", CDate("2025-01-09"), Now()) > 5, "old", "")`)
	})
	w.cycle()
	want("its expression changed", "Duchess2026", "old")
}

// TestDefaultDomain maps the directory's default domain and changes it.
func TestDefaultDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit(func(m *provision.ObjectMapping) { mapTo(m, "nickName", `Join("@", [mailNickname], DefaultDomain())`) })
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	if _, entries := w.cycle(); entries["p1"].Status.Status != provision.Failure || !strings.Contains(entries["p1"].Status.Reason, "no default domain") {
		t.Errorf("without a default domain: %+v", entries["p1"].Status)
	}
	for _, domain := range []string{"contoso.com", "contoso.example"} {
		w.people.domain = domain
		w.cycle()
		if got, want := w.app.user("ada@contoso.com").String("nickName"), "Ada@"+domain; got != want {
			t.Errorf("nickName %q, want %q", got, want)
		}
	}
	w.app.asked()
	w.cycle()
	if got := w.app.writes(); got != 0 {
		t.Errorf("an unchanged domain wrote %d times", got)
	}
}
