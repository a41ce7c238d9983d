package provision_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/apptest"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

const workMail = `emails[type eq "work"].value`

// discover runs a discovery to its end. It returns the discovery's numbers, and all accounts by
// user name.
func (w *world) discover() (provision.Discovery, map[string]provision.DiscoveredAccount) {
	w.t.Helper()
	if _, err := w.engine.BeginDiscovery(w.t.Context(), w.key, "sam"); err != nil {
		w.t.Fatal(err)
	}
	d, _, err := w.engine.RunDiscovery(w.t.Context(), w.key, "test", func(provision.Discovery) {})
	if err != nil || d.State != provision.DiscoveryDone {
		w.t.Fatalf("discovery %+v, %v", d, err)
	}
	return d, w.discovered(provision.DiscoveredQuery{})
}

// discovered reads the accounts that a query selects, in small pages.
func (w *world) discovered(q provision.DiscoveredQuery) map[string]provision.DiscoveredAccount {
	w.t.Helper()
	found := map[string]provision.DiscoveredAccount{}
	for q.Limit = 2; ; {
		page, next, err := w.engine.Discovered(w.t.Context(), w.key, q)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, a := range page {
			if _, twice := found[a.UserName]; twice {
				w.t.Errorf("%s is listed twice", a.UserName)
			}
			found[a.UserName] = a
		}
		if q.After = next; next == "" {
			return found
		}
	}
}

// inShort describes in a few words what a discovery found about an account.
func inShort(a provision.DiscoveredAccount) string {
	text := string(a.Class) + a.Remarks()
	for _, m := range a.Matches {
		text += "; " + m.Name + " by " + m.By
	}
	for _, m := range a.Near {
		text += "; nearly " + m.Name + ": " + m.Reason
	}
	return text
}

// TestDiscovery sorts accounts of every kind, at an application whose list has pages, and compares
// a second discovery with the first.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		w.matchBy("userName", workMail)
		w.edit(func(m *provision.ObjectMapping) {
			for i := range m.AttributeMappings {
				if row := &m.AttributeMappings[i]; row.TargetAttributeName == workMail {
					row.Source = &provision.AttributeMappingSource{Type: "Function", Expression: `ToLower(Trim([mail]), )`}
				}
			}
		})
		w.app.page = 3
		if _, _, err := w.engine.Discovered(t.Context(), w.key, provision.DiscoveredQuery{}); err == nil || !strings.Contains(err.Error(), "not discovered yet") {
			t.Errorf("before the first discovery: %v", err)
		}
		mail := func(r scim.Resource, address string) scim.Resource {
			r["emails"] = []any{map[string]any{"type": "work", "value": address}}
			return r
		}
		for _, name := range []string{"ada", "bo", "cy", "di", "ed", "fay", "gus", "hal", "ida", "jon", "kay", "lee"} {
			w.people.put(name, person(name+"@contoso.com", strings.ToUpper(name[:1])+name[1:], "Smith"))
		}
		w.people.set("lee", "employeeId", "0815")
		w.people.assign("bo", false)
		w.people.softDelete("cy")
		w.people.enable("di", false)
		for _, name := range []string{"ADA", "bo", "cy", "di"} {
			w.app.add(account(name + "@contoso.com"))
		}
		w.app.add(mail(account("ed.old@contoso.com"), "ED@contoso.com")) // matches by the second attribute
		w.app.add(mail(account("fay.a@x.example"), "fay@contoso.com"))   // one of two accounts of one person
		w.app.add(mail(account("fay.b@x.example"), "fay@contoso.com"))   //
		w.app.add(mail(account("couple@x.example"), "gus@contoso.com"))  // one of two people who match the same account
		w.people.set("hal", "mail", " GUS@contoso.com")                  //
		w.app.add(account("ida @contoso.com"))                           // the name has a space too many
		w.app.add(account("jon@old.example"))                            // the domain differs
		w.app.add(scim.Resource{"userName": "k.s", "displayName": "KAY smith", "active": false})
		w.app.add(scim.Resource{"userName": "x815", scim.EnterpriseURN: map[string]any{"employeeNumber": "0815"}})
		w.app.add(scim.Resource{"userName": "backup-service"})
		w.app.add(mail(account("second@x.example"), "ada@contoso.com")) // of a user that another account matches by the first attribute

		d, found := w.discover()
		want := map[string]string{
			"ADA@contoso.com":    "assigned; ada@contoso.com by userName",
			"bo@contoso.com":     "unassigned; bo@contoso.com by userName",
			"cy@contoso.com":     "local; nearly cy@contoso.com: the user was deleted in the directory",
			"di@contoso.com":     "assigned; di@contoso.com by userName",
			"ed.old@contoso.com": "assigned; ed@contoso.com by " + workMail,
			"fay.a@x.example":    "assigned, fay@contoso.com matches 2 accounts; fay@contoso.com by " + workMail,
			"fay.b@x.example":    "assigned, fay@contoso.com matches 2 accounts; fay@contoso.com by " + workMail,
			"couple@x.example":   "assigned, 2 users match the account; gus@contoso.com by " + workMail + "; hal@contoso.com by " + workMail,
			"ida @contoso.com":   "local; nearly ida@contoso.com: userName differs only in spaces or invisible characters",
			"jon@old.example":    "local; nearly jon@contoso.com: the same name before the @",
			"k.s":                "local, inactive; nearly kay@contoso.com: the same display name",
			"x815":               "local; nearly lee@contoso.com: the same employee number",
			"backup-service":     "local",
			"second@x.example":   "local; nearly ada@contoso.com: the user was matched with another account by userName",
		}
		for name, text := range want {
			if got := inShort(found[name]); got != text {
				t.Errorf("%s: got %q, want %q", name, got, text)
			}
		}
		if len(found) != len(want) || d.Accounts != len(want) || d.Total != int64(len(want)) || d.Users != 12 || d.Assigned != 6 || d.Unassigned != 1 || d.Local != 7 || d.Ambiguous != 3 || d.Near != 6 || d.Compared || d.New != 0 {
			t.Errorf("numbers %+v of %d accounts", d, len(found))
		}
		if b, err := json.Marshal(found["ed.old@contoso.com"].Matches[0].Attributes); err != nil || string(b) != `[{"attribute":"userName","user":"ed@contoso.com","account":"ed.old@contoso.com","same":false},{"attribute":"emails[type eq \"work\"].value","user":"ed@contoso.com","account":"ED@contoso.com","same":true}]` {
			t.Errorf("attributes %s, %v", b, err)
		}
		if len(d.Matching) != 2 || d.Matching[1].Expression != "ToLower(Trim([mail]), )" {
			t.Errorf("matching attributes %+v", d.Matching)
		}
		for _, of := range []struct {
			q    provision.DiscoveredQuery
			want []string
		}{
			{provision.DiscoveredQuery{Class: provision.UnassignedUsers}, []string{"bo@contoso.com"}},
			{provision.DiscoveredQuery{Ambiguous: true}, []string{"couple@x.example", "fay.a@x.example", "fay.b@x.example"}},
			{provision.DiscoveredQuery{Near: true, Search: "SMITH"}, []string{"k.s"}},
			{provision.DiscoveredQuery{Search: "hal@"}, []string{"couple@x.example"}}, // found by the user's name
			{provision.DiscoveredQuery{Search: "0815"}, []string{"x815"}},
			{provision.DiscoveredQuery{Search: "%"}, nil},
		} {
			if got := slices.Sorted(maps.Keys(w.discovered(of.q))); !slices.Equal(got, of.want) {
				t.Errorf("%+v: got %q, want %q", of.q, got, of.want)
			}
		}
		if texts := w.eventTexts(event.ProvisioningDiscovered); len(texts) != 1 || !strings.Contains(texts[0], "14, of them 6 of assigned users, 1 of unassigned users, 7 local accounts") {
			t.Errorf("events %q", texts)
		}

		// A cycle connects some of them. After that, the connection decides, whatever name the
		// account has.
		w.cycle()
		gone := found["jon@old.example"].ID
		w.app.mu.Lock()
		delete(w.app.users, gone)
		w.app.users[found["ADA@contoso.com"].ID]["userName"] = "somebody"
		w.app.mu.Unlock()
		w.app.add(scim.Resource{"userName": "newcomer"})
		w.people.assign("bo", true)
		d, found = w.discover()
		want = map[string]string{
			"somebody":         "assigned, changed; ada@contoso.com by connection",
			"bo@contoso.com":   "assigned, was one of the unassigned users; bo@contoso.com by userName",
			"second@x.example": "local; nearly ada@contoso.com: the user is connected with another account",
			"newcomer":         "local, new",
			"backup-service":   "local",
			"cy@contoso.com":   "local, changed, inactive; nearly cy@contoso.com: the user was deleted in the directory",
		}
		for name, text := range want {
			if got := inShort(found[name]); got != text {
				t.Errorf("later, %s: got %q, want %q", name, got, text)
			}
		}
		lost := w.discovered(provision.DiscoveredQuery{Change: provision.IdentityGone})
		if got := inShort(lost["jon@old.example"]); got != ", gone, was one of the local accounts" || len(lost) != 1 || d.Gone != 1 {
			t.Errorf("gone: %q of %d", got, len(lost))
		}
		if n := len(w.discovered(provision.DiscoveredQuery{Change: provision.IdentityNew})); n != d.New || d.New < 1 || !d.Compared {
			t.Errorf("%d new, want %+v", n, d)
		}
		// Nothing has changed since the last discovery, and the account that is gone is no longer
		// reported.
		if d, _ = w.discover(); d.New+d.Changed+d.Gone != 0 || d.Accounts != len(w.app.users) {
			t.Errorf("the same again: %+v", d)
		}
		if all, err := w.store.Discoveries(t.Context(), w.key); err != nil || len(all) != 1 {
			t.Errorf("%d discoveries are kept, %v", len(all), err)
		}
	})
}

// TestKeepAndAssign marks accounts, and names the users who own unassigned accounts.
func TestKeepAndAssign(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		w.matchBy("userName", workMail)
		ids := map[string]string{}
		for _, name := range []string{"ada", "bo", "cy"} {
			w.people.put(name, person(name+"@contoso.com", name, "Smith"))
			w.people.assign(name, name == "ada")
			ids[name] = w.app.add(account(name + "@contoso.com"))
		}
		for _, name := range []string{"twin.a", "twin.b"} { // two accounts of one user who is not assigned
			ids[name] = w.app.add(scim.Resource{"userName": name, "emails": []any{map[string]any{"type": "work", "value": "di@contoso.com"}}})
		}
		w.people.put("di", person("di@contoso.com", "Di", "Smith"))
		w.people.assign("di", false)
		ids["backup"] = w.app.add(scim.Resource{"userName": "backup"})
		if _, err := w.engine.KeepAccounts(t.Context(), w.key, provision.UserKind, []string{ids["backup"]}, true, "sam"); !errors.Is(err, provision.ErrNoDiscovery) {
			t.Errorf("before the first discovery: %v", err)
		}
		w.discover()
		users := func(accounts []string, left int, want ...string) {
			t.Helper()
			got, n, err := w.engine.ObjectsToAssign(t.Context(), w.key, provision.UserKind, accounts)
			if slices.Sort(got); err != nil || n != left || !slices.Equal(got, want) {
				t.Errorf("%v: got %q and %d left out, %v; want %q and %d", accounts, got, n, err, want, left)
			}
		}
		users(nil, 2, "bo", "cy")
		users([]string{ids["cy"], ids["ada"], ids["twin.a"], ids["backup"]}, 3, "cy")
		users([]string{}, 0)
		w.people.softDelete("cy")
		users(nil, 3, "bo")
		w.people.purge("cy")
		users([]string{ids["bo"], ids["cy"]}, 1, "bo")
		w.people.put("cy", person("cy@contoso.com", "cy", "Smith"))
		w.people.assign("cy", false)
		keep := func(on bool, want int, accounts ...string) {
			t.Helper()
			if n, err := w.engine.KeepAccounts(t.Context(), w.key, provision.UserKind, accounts, on, "sam"); err != nil || n != want {
				t.Errorf("keep %v %v: got %d, %v; want %d", accounts, on, n, err, want)
			}
		}
		keep(true, 2, ids["backup"], ids["bo"])
		keep(true, 1, ids["backup"], ids["cy"])
		keep(false, 1, ids["cy"])
		keep(false, 0, ids["cy"])
		if _, err := w.engine.KeepAccounts(t.Context(), w.key, provision.UserKind, []string{ids["cy"], "nobody"}, true, "sam"); !errors.Is(err, provision.ErrNoAccount) {
			t.Errorf("an account that is not there: %v", err)
		}
		users(nil, 3, "cy") // bo's account is kept
		w.discover()        // the marks stay
		for filter, want := range map[provision.KeptFilter][]string{
			provision.OnlyKept:    {"backup", "bo@contoso.com"},
			provision.WithoutKept: {"ada@contoso.com", "cy@contoso.com", "twin.a", "twin.b"},
		} {
			found := w.discovered(provision.DiscoveredQuery{Kept: filter})
			if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", filter, got, want)
			}
			if by := found["backup"].KeptBy; filter == provision.OnlyKept && by != "sam" {
				t.Errorf("kept by %q", by)
			}
		}
		// Nobody gets access back if provisioning has disabled the account.
		w.cycle()
		w.people.assign("ada", false)
		w.cycle()
		w.discover()
		if a := w.discovered(provision.DiscoveredQuery{})["ada@contoso.com"]; inShort(a) != "unassigned, was one of the assigned users, inactive; ada@contoso.com by connection" {
			t.Errorf("a leaver: %q", inShort(a))
		}
		users(nil, 4, "cy")
		texts := append(w.eventTexts(event.ProvisioningKept), w.eventTexts(event.ProvisioningNotKept)...)
		slices.Sort(texts)
		want := []string{
			"sam: Accounts at the application were marked Keep: 1.", "sam: Accounts at the application were marked Keep: 2.",
			"sam: The mark Keep was removed from accounts at the application: 1.",
		}
		if !slices.Equal(texts, want) {
			t.Errorf("events %q, want %q", texts, want)
		}
	})
}

// TestDiscoveryMatchesByTheRightValue has accounts that match by a later attribute, accounts whose
// value is in an element of another type, and accounts with values in odd forms.
func TestDiscoveryMatchesByTheRightValue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		number := scim.EnterpriseURN + ":employeeNumber"
		w.edit(func(m *provision.ObjectMapping) { mapTo(m, number, "[employeeId]") })
		w.matchBy("userName", number, workMail)
		for _, name := range []string{"anna", "jo", "una"} {
			w.people.put(name, person(name+"@contoso.com", strings.ToUpper(name[:1])+name[1:], "Smith"))
		}
		w.people.set("anna", "employeeId", "E1")
		email := func(kind, address string) map[string]any {
			one := map[string]any{"value": address}
			if kind != "" {
				one["type"] = kind
			}
			return one
		}
		w.app.add(scim.Resource{"userName": "anna@contoso.com ", scim.EnterpriseURN: map[string]any{"employeeNumber": "E1"}})
		w.app.add(scim.Resource{"userName": "other", "emails": []any{email("home", "jo@contoso.com"), email("work", "x@y.example")}})
		w.app.add(scim.Resource{"userName": "untyped", "emails": []any{email("", "una@contoso.com")}})
		w.app.add(scim.Resource{"displayName": "odd", "userName": []any{
			map[string]any{"value": []any{"a"}}, map[string]any{"value": []any{"b"}}, map[string]any{"value": map[string]any{}}, map[string]any{"value": map[string]any{}},
		}})
		_, found := w.discover()
		for name, want := range map[string]string{
			"anna@contoso.com ": "assigned; anna@contoso.com by " + number,
			"other":             "local; nearly jo@contoso.com: the same e-mail address",
			"untyped":           "assigned; una@contoso.com by " + workMail,
			"":                  "local",
		} {
			if got := inShort(found[name]); got != want {
				t.Errorf("%q: got %q, want %q", name, got, want)
			}
		}
		if len(found) != 4 {
			t.Errorf("%d accounts", len(found))
		}
	})
}

// TestDiscoveryAfterChangesOfSettings changes settings that do not matter for a running discovery,
// which goes on. A discovery of another application is not compared with the previous one.
func TestDiscoveryAfterChangesOfSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app.add(account("ada@contoso.com"))
	w.discover()
	if _, err := w.engine.BeginDiscovery(t.Context(), w.key, "sam"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	w.edit(func(m *provision.ObjectMapping) { mapTo(m, "displayName", `"x"`) })
	d, _, err := w.engine.RunDiscovery(t.Context(), w.key, "test", func(provision.Discovery) {})
	if err != nil || d.State != provision.DiscoveryDone || !d.Compared || d.Problem != "" {
		t.Errorf("after a restart: %+v, %v", d, err)
	}
	other := newApplication(t)
	other.add(account("bo@contoso.com"))
	secret, job := other.token, w.report().Job
	if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: job.Mode, Status: job.Status, Scope: job.Scope, TenantURL: other.url(), Secret: &secret}, "cli"); err != nil {
		t.Fatal(err)
	}
	for _, compared := range []bool{false, true} {
		if d, _ := w.discover(); d.Compared != compared || d.New+d.Gone != 0 || d.Accounts != 1 {
			t.Errorf("another application: %+v", d)
		}
	}
}

// TestDiscoveryOfSharedValues has a value that many accounts and a user share.
func TestDiscoveryOfSharedValues(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		w.matchBy("userName", workMail)
		const many = provision.MaxCandidates + 3
		w.people.put("bo", person("bo@contoso.com", "Bo", "Smith"))
		w.people.set("bo", "mail", "none@contoso.com")
		w.people.assign("bo", false)
		w.people.put("al", person("al@contoso.com", "Al", "Smith"))
		for i := range many {
			r := account(fmt.Sprintf("shared%d", i))
			r["emails"] = []any{map[string]any{"type": "work", "value": "none@contoso.com"}}
			w.app.add(r)
			w.app.add(scim.Resource{"userName": fmt.Sprintf("alike%d", i), "displayName": text(person("al@contoso.com", "Al", "Smith")["displayName"])})
		}
		w.app.add(account("al@contoso.com"))
		d, found := w.discover()
		for i := range many {
			if got, want := inShort(found[fmt.Sprintf("shared%d", i)]), "unassigned, more than 20 accounts share a user’s value of "+workMail; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := inShort(found[fmt.Sprintf("alike%d", i)]); got != "local" {
				t.Errorf("a likeness that many have: %q", got)
			}
		}
		if got := inShort(found["al@contoso.com"]); got != "assigned; al@contoso.com by userName" || d.Ambiguous != many || d.Unassigned != many {
			t.Errorf("al is %q, discovery %+v", got, d)
		}
		if ids, left, err := w.engine.ObjectsToAssign(t.Context(), w.key, provision.UserKind, nil); err != nil || len(ids) != 0 || left != many {
			t.Errorf("to assign %q, %d left out, %v", ids, left, err)
		}
	})
}

// TestDiscoveryOfAListThatShrinks deletes an account of the first page while the list is read, and
// later shows fewer accounts than it has.
func TestDiscoveryOfAListThatShrinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := map[string]string{}
	for i := range 6 {
		name := fmt.Sprintf("a%d@contoso.com", i)
		ids[name] = w.app.add(account(name))
	}
	w.app.page = 2
	w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("startIndex") == "3" {
			w.app.mu.Lock()
			delete(w.app.users, ids["a0@contoso.com"])
			w.app.mu.Unlock()
		}
		return false
	}
	if _, found := w.discover(); len(found) != 6 {
		t.Errorf("found %q", slices.Sorted(maps.Keys(found)))
	}
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("startIndex") == "" {
			return false
		}
		one := map[string]any{"schemas": []string{scim.UserURN}, "id": ids["a1@contoso.com"], "userName": "a1@contoso.com"}
		rw.Header().Set("Content-Type", "application/scim+json")
		_ = json.NewEncoder(rw).Encode(map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}, "Resources": []any{one}, "totalResults": 5, "startIndex": 1, "itemsPerPage": 1})
		return true
	}
	if d, _ := w.discover(); d.Gone != 0 || d.Accounts != 1 || len(d.Notes) != 1 {
		t.Errorf("a list that hides accounts: %+v", d)
	}
}

// TestDiscoveryThatCannotGoOn has discoveries that fail with a reason, wait, or are cancelled. The
// last complete discovery stays.
func TestDiscoveryThatCannotGoOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		w.app.page = 2
		for i := range 5 {
			w.app.add(account(fmt.Sprintf("a%d@contoso.com", i)))
		}
		if d, _ := w.discover(); d.Accounts != 5 || d.Local != 5 {
			t.Fatalf("discovery %+v", d)
		}
		status, asked := 0, 0
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.RawQuery, "startIndex=2") || status == 0 {
				return false
			}
			asked++
			refuse(rw, status, "", "Not now.")
			return true
		}
		begin := func() {
			t.Helper()
			if _, err := w.engine.BeginDiscovery(t.Context(), w.key, "sam"); err != nil {
				t.Fatal(err)
			}
		}
		slice := func() (time.Time, provision.Discovery) {
			t.Helper()
			epoch, err := w.leases.Claim(t.Context(), provision.DiscoveryKind, w.key.String(), "test", time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			next, err := w.engine.AdvanceDiscovery(t.Context(), w.key.String(), epoch)
			if err != nil {
				t.Fatal(err)
			}
			newest, complete, err := w.engine.LastDiscoveries(t.Context(), w.key, provision.UserKind)
			if err != nil || complete.Accounts != 5 {
				t.Fatalf("complete %+v, %v", complete, err)
			}
			return next, newest
		}
		begin()
		if _, err := w.engine.BeginDiscovery(t.Context(), w.key, "sam"); err == nil || !strings.Contains(err.Error(), "is running already") {
			t.Errorf("a second one: %v", err)
		}
		status = http.StatusServiceUnavailable
		next, d := slice()
		if d.State != provision.DiscoveryRunning || d.Accounts != 2 || !strings.Contains(d.Problem, "Not now") || !next.After(w.clock.now()) {
			t.Errorf("while the application is unavailable: %+v until %v", d, next)
		}
		status = 0
		if _, d = slice(); d.State != provision.DiscoveryDone || d.Accounts != 5 || d.Problem != "" || d.Changed+d.New+d.Gone != 0 {
			t.Errorf("afterwards: %+v", d)
		}
		// A command that works on the discovery waits, too.
		status, asked = http.StatusServiceUnavailable, 0
		begin()
		polls := 0
		d, _, err := w.engine.RunDiscovery(t.Context(), w.key, "test", func(d provision.Discovery) {
			if polls++; polls == 4 {
				if d.Problem == "" || asked != 1 {
					t.Errorf("asked %d times: %+v", asked, d)
				}
				status = 0
				w.clock.advance(time.Hour)
			}
		})
		if err != nil || d.State != provision.DiscoveryDone || polls < 4 {
			t.Errorf("after %d polls: %+v, %v", polls, d, err)
		}
		status = http.StatusUnauthorized
		begin()
		if _, d = slice(); d.State != provision.DiscoveryFailed || !strings.Contains(d.Problem, "Not now") {
			t.Errorf("with a token that is refused: %+v", d)
		}
		status = http.StatusServiceUnavailable
		begin()
		slice()
		if err := w.engine.CancelDiscovery(t.Context(), w.key); err != nil {
			t.Fatal(err)
		}
		before := asked
		if _, d = slice(); d.State != provision.DiscoveryCancelled || asked != before {
			t.Errorf("cancelled: %+v, asked %d times more", d, asked-before)
		}
		if err := w.engine.CancelDiscovery(t.Context(), w.key); err == nil || !strings.Contains(err.Error(), "is not running") {
			t.Errorf("cancelled again: %v", err)
		}
		begin()
		slice()
		w.matchBy(workMail)
		if _, d = slice(); d.State != provision.DiscoveryFailed || !strings.Contains(d.Problem, "were changed meanwhile") {
			t.Errorf("after a change of the mapping: %+v", d)
		}
		if n := len(w.discovered(provision.DiscoveredQuery{})); n != 5 {
			t.Errorf("%d accounts are kept", n)
		}
	})
}

// TestDiscoveryOfListsThatLie reads lists that end too early, or never.
func TestDiscoveryOfListsThatLie(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]struct {
		total     int // 0 if the application does not say, less than 0 if it counts only the page
		page      func(start int) []int
		accounts  int
		requests  int // one more than the pages, because the test of the connection lists accounts, too
		mentioned string
	}{
		"the same page forever": {500, func(int) []int { return []int{1, 2, 3} }, 3, 5, "says that it has 500 accounts, but its list shows only 3"},
		"no total": {0, func(start int) []int {
			if start > 5 {
				return nil
			}
			return []int{start, start + 1}
		}, 6, 7, ""},
		"an account that moves": {6, func() func(int) []int {
			calls := 0
			return func(start int) []int {
				if calls++; calls == 1 {
					return []int{1, 2}
				}
				if start >= 2 && calls < 4 {
					return []int{start + 1, start + 2}[:min(2, 6-start)] // an account has moved to the previous page
				}
				return []int{start, start + 1}
			}
		}(), 6, 11, ""},
		"an account that moves, without a total": {0, func() func(int) []int {
			calls := 0
			return func(start int) []int {
				calls++
				all := []int{1, 2, 3, 4, 5, 6, 7}
				if calls > 2 { // the test of the connection, and the first page
					all = []int{1, 3, 4, 5, 6, 7, 8} // account 2 is deleted, and account 8 is new
				}
				if calls > 4 {
					all = []int{1, 3, 4, 5, 6, 7, 8, 9}
				}
				return all[min(start-1, len(all)):min(start+1, len(all))]
			}
		}(), 9, 17, ""},
		"an account that moves twice": {12, func() func(int) []int {
			calls := 0
			return func(start int) []int {
				if calls++; start == 11 && calls < 24 {
					return []int{11, 1}
				}
				return []int{start, start + 1}
			}
		}(), 12, 34, ""},
		"one goes and one comes": {7, func() func(int) []int {
			calls := 0
			return func(start int) []int {
				if calls++; calls <= 2 {
					return []int{1, 2, 3} // the test of the connection, and the first page
				}
				all := []int{2, 3, 4, 5, 6, 7, 8} // then account 1 is deleted, and account 8 is new
				return all[start-1 : min(start+2, 7)]
			}
		}(), 8, 7, ""},
		"a total of the page alone": {-3, func(start int) []int {
			return []int{start, start + 1, start + 2}[:max(0, min(3, 8-start))]
		}, 7, 5, ""},
		"a page of one": {3, func(start int) []int { return []int{start} }, 3, 6, ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			asked := 0
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				start, err := strconv.Atoi(r.URL.Query().Get("startIndex"))
				if err != nil {
					return false
				}
				asked++
				all := []any{}
				for _, i := range list.page(start) {
					all = append(all, map[string]any{"schemas": []string{scim.UserURN}, "id": fmt.Sprint("x", i), "userName": fmt.Sprint("x", i)})
				}
				body := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}, "Resources": all, "startIndex": start, "itemsPerPage": len(all)}
				switch {
				case list.total > 0:
					body["totalResults"] = list.total
				case list.total < 0:
					body["totalResults"] = len(all)
				}
				rw.Header().Set("Content-Type", "application/scim+json")
				_ = json.NewEncoder(rw).Encode(body)
				return true
			}
			d, found := w.discover()
			if d.Accounts != list.accounts || len(found) != list.accounts || asked != list.requests || !strings.Contains(strings.Join(d.Notes, " "), list.mentioned) || len(d.Notes) > 0 && list.mentioned == "" {
				t.Errorf("got %d accounts by %d requests, notes %q; want %d by %d, %q", d.Accounts, asked, d.Notes, list.accounts, list.requests, list.mentioned)
			}
		})
	}
}

// knownTruth is a directory and the accounts of an application, with what a discovery must find.
type knownTruth struct {
	users, later, members, accounts strings.Builder   // the contents of the files; later leaves out the deleted users
	class                           map[string]string // the class by user name, with + if it is ambiguous and ~ if a user nearly matches
}

// newTruth makes n accounts. Each of the oddities occurs in one percent of them.
func newTruth(n int) *knownTruth {
	k := &knownTruth{class: map[string]string{}}
	k.users.WriteString("objectId,userPrincipalName,displayName,mail,accountEnabled\n")
	k.later.WriteString("objectId,userPrincipalName,displayName,mail,accountEnabled\n")
	k.members.WriteString("group,member\n")
	k.accounts.WriteString("userName,displayName,email\n")
	account := func(name, display, mail, class string) {
		fmt.Fprintf(&k.accounts, "%s,%s,%s\n", name, display, mail)
		k.class[name] = class
	}
	for i := range n {
		upn, display := fmt.Sprintf("user%06d@contoso.example", i), fmt.Sprintf("Person %06d", i)
		user := func(id, upn, mail string, enabled, deleted, assigned bool) {
			line := fmt.Sprintf("%08d-0000-4000-8000-%s,%s,%s,%s,%v\n", i, id, upn, display, mail, enabled)
			k.users.WriteString(line)
			if !deleted {
				k.later.WriteString(line)
			}
			if assigned {
				fmt.Fprintf(&k.members, "Staff,%s\n", upn)
			}
		}
		const first = "000000000000"
		switch i % 100 {
		case 0: // the case differs
			user(first, upn, upn, true, false, true)
			account(strings.ToUpper(upn), display, "", "assigned")
		case 1: // the name has a space too many
			user(first, upn, upn, true, false, true)
			account(strings.Replace(upn, "@", " @", 1), "", "", "local~")
		case 2: // the domain differs
			user(first, upn, upn, true, false, true)
			account(fmt.Sprintf("user%06d@old.example", i), "", "", "local~")
		case 3: // only the second matching attribute fits, after its expression
			user(first, upn, " "+strings.ToUpper(upn), true, false, true)
			account(fmt.Sprintf("other%06d@x.example", i), "", upn, "assigned")
		case 4: // only the display name matches
			user(first, upn, upn, true, false, true)
			account(fmt.Sprintf("named%06d", i), strings.ToUpper(display), "", "local~")
		case 5: // no user matches
			account(fmt.Sprintf("service%06d", i), "", "", "local")
		case 6, 12: // the user is not assigned
			user(first, upn, upn, true, false, false)
			account(upn, display, "", "unassigned")
		case 7: // two accounts match one person
			user(first, upn, upn, true, false, true)
			account(fmt.Sprintf("one%06d", i), "", upn, "assigned+")
			account(fmt.Sprintf("two%06d", i), "", upn, "assigned+")
		case 8: // one account matches two people
			user(first, upn, upn, true, false, false)
			user("000000000001", "twin"+upn, upn, true, false, false)
			account(fmt.Sprintf("shared%06d", i), "", upn, "unassigned+")
		case 9: // a leaver who was never removed
			user(first, upn, upn, true, true, true)
			account(upn, display, "", "local~")
		case 10: // a user who may not sign in
			user(first, upn, upn, false, false, true)
			account(upn, display, "", "assigned")
		case 11: // a user without an account
			user(first, upn, upn, true, false, true)
		default:
			user(first, upn, upn, true, false, true)
			account(upn, display, upn, "assigned")
		}
	}
	return k
}

// TestDiscoveryAgainstAKnownTruth runs the real server. It discovers the accounts of a real site,
// one percent of which have each oddity. ROLLCALL_TEST_DISCOVERY sets the number of accounts; the
// default is 2,000.
func TestDiscoveryAgainstAKnownTruth(t *testing.T) {
	t.Parallel()
	n := 2000
	if text := os.Getenv("ROLLCALL_TEST_DISCOVERY"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	storetest.EachURL(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		truth := newTruth(n)
		file := func(name, content string) string {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		env := []string{"ROLLCALL_DATABASE=" + url, "ROLLCALL_KEY_FILE=" + filepath.Join(dir, "key")}
		run := func(args ...string) string {
			t.Helper()
			return apptest.Run(t, env, args...)
		}
		run("key", "create", filepath.Join(dir, "key"))
		run("site", "create", "acme", "--profile", string(site.Full), "--admin", "kim@acme.example")
		run("site", "import-people", "acme", file("accounts.csv", truth.accounts.String()))
		secret := file("secret", run("token", "create", "acme"))
		run("directory", "create", "contoso")
		run("directory", "import", "contoso", file("users.csv", truth.users.String()))
		run("directory", "group", "create", "contoso", "Staff")
		run("directory", "import-members", "contoso", file("members.csv", truth.members.String()))
		run("directory", "import", "contoso", file("later.csv", truth.later.String()), "--absent", "soft-delete", "--force")
		server := apptest.Start(t, env, "serve", "--listen", "127.0.0.1:0")
		address := regexp.MustCompile(`public_url=(\S+)`).FindStringSubmatch(server.Await(t, "msg=serving"))[1]
		run("app", "create", "contoso", "Acme", "--tenant-url", address+"/c/acme/auth/scim/v2", "--secret-token-file", secret, "--scope", "assigned", "--actions", "create,update", "--allow-loopback-targets")
		run("app", "assign", "contoso", "Acme", "--group", "Staff")
		run("app", "mapping", "set", "contoso", "Acme", workMail, "--expression", "ToLower(Trim([mail]), )", "--match", "2", "--allow-loopback-targets")
		began := time.Now()
		run("provision", "discover", "contoso", "Acme", "--wait", "--allow-loopback-targets")
		t.Logf("%d users: discovered in %s; the server had %s", n, time.Since(began).Round(time.Second), peakMemory(server.PID()))
		rows, err := csv.NewReader(strings.NewReader(run("provision", "discovered", "contoso", "Acme", "--csv"))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		seen, wrong := map[string]bool{}, 0
		for _, row := range rows[1:] {
			line := map[string]string{}
			for i, column := range rows[0] {
				line[column] = row[i]
			}
			name := line["userName"]
			if name == "kim@acme.example" {
				continue
			}
			got := line["class"]
			if line["ambiguous"] != "" {
				got += "+"
			}
			if line["nearMatches"] != "" && line["matches"] == "" {
				got += "~"
			}
			if want := truth.class[name]; got != want || seen[name] {
				if wrong++; wrong < 10 {
					t.Errorf("%s: got %q, want %q (%v)", name, got, want, row)
				}
			}
			seen[name] = true
		}
		if len(seen) != len(truth.class) {
			t.Errorf("%d accounts were found, want %d", len(seen), len(truth.class))
		}
	})
}

// peakMemory returns the largest memory that a process has used, if the system reports it.
func peakMemory(pid int) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown memory"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			return strings.TrimSpace(value)
		}
	}
	return "unknown memory"
}

// TestDiscoveryGoesOnAfterKills kills the real server in the middle of a discovery. The discovery
// continues where it was, and counts each account once.
func TestDiscoveryGoesOnAfterKills(t *testing.T) {
	t.Parallel()
	const accounts = 450
	dir := t.TempDir()
	app := newApplication(t)
	app.page = 51 // each page repeats the last account of the page before
	for i := range accounts {
		app.add(account(fmt.Sprintf("user%04d@contoso.example", i)))
	}
	var server atomic.Pointer[apptest.Process]
	var pages atomic.Int64
	var counts atomic.Bool // whether pages are counted, because the discovery is running
	kill := func() {
		if s := server.Load(); s != nil {
			s.Kill()
		}
	}
	list := func(r *http.Request) bool { return counts.Load() && r.URL.Query().Has("startIndex") }
	app.begun = func(r *http.Request) {
		if list(r) && pages.Add(1) == 3 {
			kill() // the request has arrived, but is never answered
		}
	}
	app.done = func(r *http.Request) {
		switch pages.Load() {
		case 6, 11: // the answer is sent, and may have been stored
			if list(r) {
				time.AfterFunc(time.Duration(pages.Load())*500*time.Microsecond, kill)
			}
		}
	}
	env := []string{"ROLLCALL_DATABASE=" + filepath.Join(dir, "rollcall.db")}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(app.token), 0o600); err != nil {
		t.Fatal(err)
	}
	people := filepath.Join(dir, "people.csv")
	text := "userPrincipalName,displayName\n"
	for i := range accounts {
		if i%3 > 0 {
			text += fmt.Sprintf("user%04d@contoso.example,User %d\n", i, i)
		}
	}
	if err := os.WriteFile(people, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	apptest.Run(t, env, "directory", "create", "contoso")
	apptest.Run(t, env, "directory", "import", "contoso", people)
	apptest.Run(t, env, "app", "create", "contoso", "acme", "--tenant-url", app.url(), "--secret-token-file", secret, "--scope", "all", "--actions", "update")
	apptest.Run(t, env, "provision", "discover", "contoso", "acme")
	counts.Store(true)
	lives := 0
	for done := false; !done; {
		p := apptest.Start(t, env, "serve", "--listen", "127.0.0.1:0")
		server.Store(p)
		for lives++; !done; {
			stdout, stderr, err := apptest.Try(t, env, "provision", "discovered", "contoso", "acme", "--json", "--limit", "1000")
			if err != nil && !strings.Contains(stderr, "were not discovered yet") {
				t.Fatal(err, stderr)
			}
			if done = err == nil; done {
				var out struct {
					Discovery provision.Discovery
					Accounts  []provision.DiscoveredAccount
				}
				if err := json.Unmarshal([]byte(stdout), &out); err != nil {
					t.Fatal(err)
				}
				d, seen := out.Discovery, map[string]bool{}
				for _, a := range out.Accounts {
					seen[a.ID] = true
				}
				if len(out.Accounts) != accounts || len(seen) != accounts || d.Accounts != accounts || d.Assigned != 300 || d.Local != 150 || d.Users != 300 {
					t.Errorf("%d accounts, %d different: %+v", len(out.Accounts), len(seen), d)
				}
			}
			select {
			case <-p.Done():
			default:
				continue
			}
			break
		}
	}
	if lives < 3 {
		t.Errorf("the server had %d lives", lives)
	}
	// Each kill loses one page at most.
	if n := pages.Load(); n > 9+3 {
		t.Errorf("%d pages were asked for", n)
	}
}
