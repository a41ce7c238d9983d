package provision_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
)

// disable makes a plan that disables accounts.
func (w *world) disable(accounts ...string) provision.StoredPlan {
	w.t.Helper()
	p, err := w.engine.BeginDisable(w.t.Context(), w.key, accounts, "sam")
	if err != nil {
		w.t.Fatal(err)
	}
	if p, err = w.engine.FillPlan(w.t.Context(), p, nil); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// all returns a copy of all accounts, by id.
func (a *application) all() map[string]scim.Resource {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := map[string]scim.Resource{}
	for id, u := range a.users {
		found[id] = u.Clone()
		delete(found[id], "schemas") // a PATCH adds them
	}
	return found
}

// tellsSelf lets the application say at /Me whose token is used. It refuses to disable the account
// stubborn.
func (a *application) tellsSelf(self, stubborn string) {
	a.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path == "/scim/v2/Me":
			_, _ = fmt.Fprintf(rw, `{"schemas":[%q],"id":%q,"userName":"robot"}`, scim.UserURN, self)
			return true
		case r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/"+stubborn):
			refuse(rw, http.StatusBadRequest, "mutability", "The last owner cannot be disabled.")
			return true
		}
		return false
	}
}

// TestDisableUnmanaged disables accounts that no user has, with a plan, and takes that back. Every
// account that must stay as it is, stays and is named.
func TestDisableUnmanaged(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		ctx := t.Context()
		w.matchBy("userName")
		w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
		w.people.put("ivy", person("ivy@contoso.com", "Ivy", "Smith"))
		id := map[string]string{}
		for _, name := range []string{"old1", "old2", "old3", "old4", "old5", "old6", "kept", "renamed", "meanwhile", "gone", "robot", "late", "stubborn", "ada@contoso.com"} {
			id[name] = w.app.add(account(name))
		}
		id["ivy"] = w.app.add(account("ivy@old.example")) // Ivy nearly matches it
		id["off"] = w.app.add(scim.Resource{"userName": "off", "active": false})
		id["silent"] = w.app.add(scim.Resource{"userName": "silent"})
		for _, name := range []string{"chief", "second"} {
			id[name] = w.app.add(scim.Resource{"userName": name, "active": true, "roles": []any{map[string]any{"value": "Site Admin", "primary": true}}})
		}
		w.app.tellsSelf(id["robot"], id["stubborn"])
		w.cycle()
		w.discover()
		if _, err := w.engine.KeepAccounts(ctx, w.key, provision.UserKind, []string{id["kept"]}, true, "operator:kim"); err != nil {
			t.Fatal(err)
		}
		whole, left, err := w.engine.AccountsToDisable(ctx, w.key, nil)
		if err != nil || len(whole) != 14 || left != 4 || slices.Contains(whole, id["ivy"]) || slices.Contains(whole, id["kept"]) || slices.Contains(whole, id["ada@contoso.com"]) {
			t.Errorf("the whole class: %d accounts %v, %d left out, %v", len(whole), whole, left, err)
		}
		w.app.set("renamed", "displayName", "Somebody")
		w.app.remove(id["gone"])
		w.people.put("eve", person("eve@contoso.com", "Eve", "Smith"))
		if _, err := w.engine.Connect(ctx, w.key, "test", "kim", "eve", id["meanwhile"]); err != nil {
			t.Fatal(err)
		}
		w.cycle()

		var chosen []string
		for _, account := range id {
			chosen = append(chosen, account)
		}
		before := w.app.all()
		p := w.disable(append(chosen, chosen...)...)
		if diff := cmp.Diff(before, w.app.all()); diff != "" {
			t.Errorf("making the plan changed accounts:\n%s", diff)
		}
		rows := w.plannedRows(p)
		for name, want := range map[string]string{
			"kept":            "marked Keep, by kim",
			"renamed":         `displayName was "" and is "Somebody"`,
			"meanwhile":       "connected with a user now (object eve)",
			"gone":            "does not have the account any more",
			"robot":           "the Secret Token belongs to it",
			"off":             "disabled already",
			"silent":          "does not show whether the account is active",
			"chief":           "no other active administrator would be left",
			"second":          "no other active administrator would be left",
			"ada@contoso.com": "connected with a user now (object ada)",
			"old1":            "It will be on hold: 9 operations of one cause",
		} {
			if r := rows[provision.WorkOfAccount(id[name])]; !strings.Contains(r.Reason, want) {
				t.Errorf("%s: got %s %q, want %q", name, r.Result, r.Reason, want)
			}
		}
		// old1 to old6, late, stubborn, and ivy, who was chosen by name
		if r := p.Report; r.Kind != provision.DisablePlan || r.OnHold != 9 || r.Disables != 0 || r.NotUndone != 9 || r.Read != len(id) {
			t.Errorf("plan %+v", r)
		}

		w.approvePlan(p)
		w.app.set("late", "displayName", "Somebody else")
		p, counts := w.applyPlan(p)
		if counts.Sent != 7 || counts.Failed != 1 || counts.LeftOut != 1 || counts.Due != 0 || p.State != provision.PlanApplied {
			t.Errorf("applied %+v, %s", counts, p.State)
		}
		rows = w.plannedRows(p)
		if r := rows[provision.WorkOfAccount(id["late"])]; !strings.Contains(r.OutcomeText, "changed since the discovery") {
			t.Errorf("late: %+v", r)
		}
		if r := rows[provision.WorkOfAccount(id["stubborn"])]; r.Outcome != provision.PlanFailed || !strings.Contains(r.OutcomeText, "The last owner cannot be disabled") {
			t.Errorf("stubborn: %+v", r)
		}
		disabled := before
		for _, name := range []string{"old1", "old2", "old3", "old4", "old5", "old6", "ivy"} {
			disabled[id[name]]["active"] = false
		}
		disabled[id["late"]]["displayName"] = "Somebody else"
		if diff := cmp.Diff(disabled, w.app.all()); diff != "" {
			t.Errorf("accounts, want and got:\n%s", diff)
		}
		entries, _, err := w.store.Logs(ctx, w.key, provision.LogQuery{Cycle: p.ID, Limit: 100})
		if err != nil || len(entries) != 8 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		for _, e := range entries {
			if e.Action != provision.Disable || e.SourceIdentity.ID != "" || e.TargetIdentity.ID == "" || e.InitiatorName != "Discover identities" || len(e.Modified) != 1 || *e.Modified[0].OldValue != "True" {
				t.Errorf("entry %+v", e)
			}
		}

		// The job remembers nothing about these accounts, and its cycles leave them alone.
		if report := w.report(); report.Linked != 3 || report.State.Last.Failed != 0 {
			t.Errorf("report %+v", report)
		}
		w.cycle()
		now := w.app.all()
		w.cycle()
		if diff := cmp.Diff(now, w.app.all()); diff != "" {
			t.Errorf("a cycle changed accounts:\n%s", diff)
		}

		// An undo enables them again.
		u := w.undo(provision.Undo{Plan: p.Hash})
		if u.Report.Updates != 7 || u.Report.Disables+u.Report.Creates+u.Report.Deletes+u.Report.OnHold != 0 {
			t.Errorf("undo %+v", u.Report)
		}
		w.approvePlan(u)
		if _, counts := w.applyPlan(u); counts.Sent != 7 || counts.Failed+counts.LeftOut+counts.Due != 0 {
			t.Errorf("undo applied %+v", counts)
		}
		for _, name := range []string{"old1", "old6", "ivy@old.example"} {
			if !isActive(t, w, name) {
				t.Errorf("%s is disabled after the undo", name)
			}
		}
	})
}

// TestDisableAnAdministrator disables an administrator only while another one is active.
func TestDisableAnAdministrator(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		id := map[string]string{}
		for _, name := range []string{"chief", "second"} {
			id[name] = w.app.add(scim.Resource{"userName": name, "active": true, "userType": "Administrator"})
		}
		w.discover()
		p := w.disable(id["chief"])
		if r := w.plannedRows(p)[provision.WorkOfAccount(id["chief"])]; r.Action != provision.Disable || r.Result != provision.Success || r.Spare != id["second"] {
			t.Fatalf("planned %+v", r)
		}
		w.approvePlan(p)
		w.app.set("second", "active", false)
		p, counts := w.applyPlan(p)
		if counts.LeftOut != 1 || counts.Sent != 0 || !isActive(t, w, "chief") {
			t.Errorf("without another administrator: %+v", counts)
		}
		if r := w.plannedRows(p)[provision.WorkOfAccount(id["chief"])]; !strings.Contains(r.OutcomeText, "no other active administrator") {
			t.Errorf("left out because %q", r.OutcomeText)
		}
		w.app.set("second", "active", true)
		again := w.disable(id["chief"])
		w.approvePlan(again)
		if _, counts := w.applyPlan(again); counts.Sent != 1 || isActive(t, w, "chief") || !isActive(t, w, "second") {
			t.Errorf("with another administrator: %+v", counts)
		}
	})
}

// TestDisableOfUnknownOutcome applies a plan after a process has died between a request and its
// record. The log then has the entry from which an undo restores the account.
func TestDisableOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		ctx := t.Context()
		id := w.app.add(account("old"))
		w.discover()
		p := w.disable(id)
		w.approvePlan(p)
		epoch, err := w.leases.Claim(ctx, provision.LeaseKind, w.key.String(), "dead", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		state, err := w.store.State(ctx, w.key)
		if err != nil {
			t.Fatal(err)
		}
		state.InFlight, state.UnsureSince = []string{provision.WorkOfAccount(id)}, map[string]time.Time{provision.WorkOfAccount(id): w.clock.now()}
		if err := w.store.SaveState(ctx, provision.Fence{Key: w.key, Epoch: epoch}, state, nil); err != nil {
			t.Fatal(err)
		}
		if err := w.leases.Release(ctx, provision.LeaseKind, w.key.String(), "dead", epoch, w.clock.now()); err != nil {
			t.Fatal(err)
		}
		w.app.set("old", "active", false)
		p, counts := w.applyPlan(p)
		if counts.Sent != 1 {
			t.Errorf("applied %+v", counts)
		}
		if state, err := w.store.State(ctx, w.key); err != nil || len(state.InFlight) != 0 {
			t.Errorf("still under way: %v, %v", state.InFlight, err)
		}
		u := w.undo(provision.Undo{Plan: p.Hash})
		w.approvePlan(u)
		if _, counts := w.applyPlan(u); counts.Sent != 1 || !isActive(t, w, "old") {
			t.Errorf("undo %+v", counts)
		}
	})
}

// TestLinkDiscovered links accounts with the users who match or nearly match them.
func TestLinkDiscovered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		ctx := t.Context()
		w.matchBy("userName")
		for _, name := range []string{"ada", "bob", "cyr", "dio", "eve", "fay"} {
			w.people.put(name, person(name+"@contoso.com", strings.ToUpper(name[:1])+name[1:], "Smith"))
		}
		w.people.assign("bob", false)
		w.people.enable("cyr", false)
		id := map[string]string{}
		for _, name := range []string{"ada@old.example", "bob@old.example", "cyr@old.example", "dio@contoso.com", "eve@old.example", "eve@other.example", "fay@old.example", "nobody"} {
			id[name] = w.app.add(account(name))
		}
		w.discover()
		if _, err := w.engine.KeepAccounts(ctx, w.key, provision.UserKind, []string{id["fay@old.example"]}, true, "kim"); err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, name := range []string{"ada@old.example", "bob@old.example", "cyr@old.example", "dio@contoso.com", "eve@old.example", "eve@other.example", "fay@old.example", "nobody"} {
			all = append(all, id[name])
		}
		links, left, err := w.engine.AccountsToLink(ctx, w.key, provision.UserKind, append(all, all...))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, l := range links {
			got[l.Name] = l.ObjectID
		}
		for _, l := range left {
			got[l.Name] = l.Reason
		}
		want := map[string]string{
			"ada@old.example": "ada", "dio@contoso.com": "dio", "eve@old.example": "eve",
			"eve@other.example": "eve@contoso.com gets another of these accounts",
			"bob@old.example":   "bob@contoso.com is not in scope, so the next cycle would disable it",
			"cyr@old.example":   "cyr@contoso.com is not in scope, so the next cycle would disable it",
			"fay@old.example":   "it is marked Keep", "nobody": "no user matches or nearly matches",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("links, want and got:\n%s", diff)
		}
		// Meanwhile another user gets one of the accounts.
		if _, err := w.engine.Connect(ctx, w.key, "test", "kim", "fay", id["eve@old.example"]); err != nil {
			t.Fatal(err)
		}
		linked, left, err := w.engine.LinkAccounts(ctx, w.key, "test", "sam", links)
		if err != nil || len(linked) != 2 || len(left) != 1 || left[0].Name != "eve@old.example" || !strings.Contains(left[0].Reason, "belongs to the object fay") {
			t.Errorf("linked %+v, left %+v, %v", linked, left, err)
		}
		w.cycle()
		for object, account := range map[string]string{"ada": id["ada@old.example"], "dio": id["dio@contoso.com"], "fay": id["eve@old.example"]} {
			c, err := w.jobs.Connection(ctx, w.key, object)
			if err != nil || c.TargetID != account || c.How != "linked" || c.State != provision.Active {
				t.Errorf("%s: %+v, %v", object, c, err)
			}
		}
		if u := w.app.user("ada@contoso.com"); u == nil || u.String("id") != id["ada@old.example"] {
			t.Errorf("the cycle gave the account no values: %v", u)
		}
		if !isActive(t, w, "bob@old.example") || !isActive(t, w, "cyr@old.example") {
			t.Error("an account that was left out was disabled")
		}
	})
}

// TestDisableLeavesAccountsOfNewcomers has users who came after the discovery and match accounts:
// one before the plan is made, and one before it is applied. They are not assigned, so they have no
// connection.
func TestDisableLeavesAccountsOfNewcomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.matchBy("userName")
	w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
	id := map[string]string{}
	for _, name := range []string{"old", "bo", "cy"} {
		id[name] = w.app.add(account(name))
	}
	w.cycle()
	w.discover()
	come := func(name string) {
		w.people.put(name, person(name, name, "Smith"))
		w.people.assign(name, false)
	}
	come("bo")
	p := w.disable(id["old"], id["bo"], id["cy"])
	if r := w.plannedRows(p)[provision.WorkOfAccount(id["bo"])]; !strings.Contains(r.Reason, "who came or changed after the discovery matches the account (object bo)") {
		t.Errorf("planned %+v", r)
	}
	come("cy")
	w.approvePlan(p)
	p, counts := w.applyPlan(p)
	if r := w.plannedRows(p)[provision.WorkOfAccount(id["cy"])]; counts.Sent != 1 || counts.LeftOut != 1 || !strings.Contains(r.OutcomeText, "(object cy)") {
		t.Errorf("applied %+v: %+v", counts, r)
	}
	for name, active := range map[string]bool{"old": false, "bo": true, "cy": true} {
		if isActive(t, w, name) != active {
			t.Errorf("%s is active: %v", name, !active)
		}
	}
}
