package provision_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// undo makes a plan that takes back the changes that u selects.
func (w *world) undo(u provision.Undo) provision.StoredPlan {
	w.t.Helper()
	p, err := w.engine.BeginUndo(w.t.Context(), w.key, u, "sam")
	if err != nil {
		w.t.Fatal(err)
	}
	if p, err = w.engine.FillPlan(w.t.Context(), p, nil); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// set changes an attribute of an account without a request.
func (a *application) set(userName, attribute string, value any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range a.users {
		if u.String("userName") == userName {
			u[attribute] = value
		}
	}
}

// approveHeld approves everything that is on hold.
func (w *world) approveHeld() (operations int) {
	w.t.Helper()
	held, err := w.jobs.Held(w.t.Context(), w.key, provision.OnHold)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, h := range held {
		if _, err := w.jobs.Approve(w.t.Context(), w.key, h.ID, h.Batch, "cli"); err != nil {
			w.t.Fatal(err)
		}
		operations += h.Count
	}
	return operations
}

// accounts returns each account of the site as a JSON document without its meta data, and its
// version, by userName.
func (b *bothEnds) accounts() (documents map[string]string, versions map[string]int64) {
	b.t.Helper()
	documents, versions = map[string]string{}, map[string]int64{}
	for start := 1; ; start += 100 {
		page, err := b.roster.List(b.t.Context(), roster.Query{Count: 100, StartIndex: start})
		if err != nil {
			b.t.Fatal(err)
		}
		for _, d := range page.Documents {
			r, err := scim.Parse(d.JSON)
			if err != nil {
				b.t.Fatal(err)
			}
			delete(r, "meta")
			text, err := json.Marshal(r)
			if err != nil {
				b.t.Fatal(err)
			}
			documents[r.String("userName")], versions[r.String("userName")] = string(text), d.Version
		}
		if len(page.Documents) < 100 {
			return documents, versions
		}
	}
}

// TestUndoOfAWrongFilter disables 200 people by a wrong filter, and takes this back. After that,
// the accounts of the site are as before, and no other account was touched.
func TestUndoOfAWrongFilter(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBothEnds(t, db, site.Full, provision.FlowAdd|provision.FlowUpdate)
		ctx := t.Context()
		var ids []string
		for i := range 210 {
			ids = append(ids, b.hire(fmt.Sprintf("p%03d@contoso.com", i), "P", fmt.Sprint(i)))
		}
		for _, id := range ids[200:] {
			u, err := b.handle.User(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			u.Attributes["city"] = "Bergen"
			if _, _, err := b.handle.PutUser(ctx, u, "cli"); err != nil {
				t.Fatal(err)
			}
		}
		if report, _ := b.cycle(); report.Created != 210 {
			t.Fatalf("first cycle %+v", report)
		}
		before, _ := b.accounts()

		wrong := filter("city", "EQUALS", "Bergen")
		if _, err := b.jobs.SetMapping(ctx, b.key, userRows, provision.MappingEdit{Scope: &wrong}, "operator:kim"); err != nil {
			t.Fatal(err)
		}
		b.cycle()
		if n := b.approveHeld(); n != 200 {
			t.Fatalf("%d operations were on hold, want 200", n)
		}
		report, _ := b.cycle()
		if report.Disabled != 200 {
			t.Fatalf("the cycle of the wrong filter: %+v", report)
		}
		// On the same day, one person leaves, and an administrator gives another person a new
		// title.
		if _, err := b.handle.Disable(ctx, ids[0], "cli"); err != nil {
			t.Fatal(err)
		}
		renamed, _ := b.member("p001@contoso.com")
		patch, _, err := scim.DecodePatch(scim.UserType(), []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"Hand-made"}]}`), scim.Lenient)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.roster.Patch(ctx, roster.User, renamed.String("id"), patch, roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin}); err != nil {
			t.Fatal(err)
		}

		u, err := b.engine.FindUndo(ctx, b.key, provision.Undo{Cycle: report.ID})
		if err != nil {
			t.Fatal(err)
		}
		if len(u.Causes) != 1 || !strings.Contains(u.Causes[0], "Version ") || !strings.Contains(u.Causes[0], "by kim") || !u.InForce || !u.CanRevert {
			t.Errorf("cause %+v", u)
		}
		job, err := b.jobs.RevertCause(ctx, b.key, u, "sam")
		if err != nil || job.Status != provision.Off {
			t.Fatalf("revert: %v, %v", job.Status, err)
		}
		disabled, versions := b.accounts()
		p := b.undo(provision.Undo{Cycle: report.ID})
		if still, _ := b.accounts(); cmp.Diff(disabled, still) != "" {
			t.Error("making the plan changed accounts")
		}
		if p.Report.Updates != 199 || p.Report.NotUndone != 1 || p.Report.Failures+p.Report.Creates+p.Report.Disables+p.Report.Deletes != 0 || p.Report.Kind != provision.UndoPlan {
			t.Errorf("plan %+v", p.Report)
		}
		if r := b.plannedRows(p)[ids[0]]; r.Result != provision.Warning || !strings.Contains(r.Reason, "no access today: blocked from sign-in") {
			t.Errorf("the person who leaves: %+v", r)
		}
		b.approvePlan(p)
		p, counts := b.applyPlan(p)
		if counts.Sent != 199 || counts.Failed+counts.LeftOut+counts.Due != 0 {
			t.Errorf("applied %+v", counts)
		}
		after, now := b.accounts()
		want := map[string]string{}
		for name, document := range before {
			want[name] = document
		}
		want["p000@contoso.com"] = disabled["p000@contoso.com"]
		want["p001@contoso.com"] = strings.Replace(disabled["p001@contoso.com"], `"active":false`, `"active":true`, 1)
		if diff := cmp.Diff(want, after); diff != "" {
			t.Errorf("the accounts, want and got:\n%s", diff)
		}
		for name, version := range versions {
			changed := name != "p000@contoso.com" && strings.Contains(disabled[name], `"active":false`)
			if now[name]-version != map[bool]int64{true: 1}[changed] {
				t.Errorf("%s went from version %d to %d", name, version, now[name])
			}
		}
		// With the right filter, a look at everyone finds nothing more to do.
		if _, err := b.jobs.Start(ctx, b.key, "sam"); err != nil {
			t.Fatal(err)
		}
		if report, _ := b.cycle(); report.Kind != provision.InitialCycle || report.Updated+report.Disabled+report.Created+report.Failed != 0 {
			t.Errorf("the cycle after the undo: %+v", report)
		}
		// The undo can be taken back as well.
		if again := b.undo(provision.Undo{Plan: p.Hash}); again.Report.Disables+again.Report.OnHold != 199 {
			t.Errorf("undo of the undo: %+v", again.Report)
		}
	})
}

// TestUndoDecidesWithTheMappingsOfBefore leaves a wrong filter in force. The plan pauses
// provisioning, and restores the accounts nevertheless.
func TestUndoDecidesWithTheMappingsOfBefore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		for i := range 3 {
			w.people.put(fmt.Sprintf("p%d", i), person(fmt.Sprintf("p%d@contoso.com", i), "P", fmt.Sprint(i)))
		}
		w.cycle()
		wrong := filter("city", "EQUALS", "Bergen")
		if _, err := w.jobs.SetMapping(t.Context(), w.key, userRows, provision.MappingEdit{Scope: &wrong}, "cli"); err != nil {
			t.Fatal(err)
		}
		report, _ := w.cycle()
		if report.Disabled != 3 {
			t.Fatalf("the cycle of the wrong filter: %+v", report)
		}
		w.people.assign("p1", false)                          // unassigned today
		w.app.set("p2@contoso.com", "active", true)           // switched on by hand
		w.app.set("p0@contoso.com", "displayName", "By hand") // a change that the undo is not about
		p := w.undo(provision.Undo{Cycle: report.ID})
		rows := w.plannedRows(p)
		if got, want := fmt.Sprint(p.Report.Notes), "Set version"; !strings.Contains(got, want) || !strings.Contains(got, "Applying this plan pauses provisioning.") {
			t.Errorf("notes %s", got)
		}
		if p.Report.Updates != 1 || p.Report.NotUndone != 1 || p.Report.Skips != 1 {
			t.Errorf("plan %+v", p.Report)
		}
		if r := rows["p1"]; r.Code != "NotEffectivelyEntitled" || !strings.Contains(r.Reason, "no longer assigned") {
			t.Errorf("p1 %+v", r)
		}
		if r := rows["p2"]; r.Code != "AsBefore" {
			t.Errorf("p2 %+v", r)
		}
		w.approvePlan(p)
		if _, counts := w.applyPlan(p); counts.Sent != 1 {
			t.Errorf("applied %+v", counts)
		}
		if a := w.app.user("p0@contoso.com"); a["active"] != true || a.String("displayName") != "By hand" {
			t.Errorf("p0 %v", a)
		}
		if a := w.app.user("p1@contoso.com"); a["active"] != false {
			t.Errorf("p1 %v", a)
		}
		r := w.report()
		if r.Job.Status != provision.Off {
			t.Error("provisioning goes on with the wrong filter")
		}
		entries, _, err := w.jobs.Logs(t.Context(), w.key, provision.LogQuery{Cycle: p.ID})
		if err != nil || len(entries) != 1 || entries[0].InitiatorName != "Undo" {
			t.Errorf("logged %+v, %v", entries, err)
		}
		if texts := w.eventTexts(event.ProvisioningPlanApplied); len(texts) != 1 || !strings.Contains(texts[0], "It takes back the cycle "+report.ID) {
			t.Errorf("events %q", texts)
		}
		// The wrong filter is corrected. The new plan has the same operations.
		if _, err := w.jobs.RevertCause(t.Context(), w.key, *p.Undo, "sam"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.jobs.RevertCause(t.Context(), w.key, provision.Undo{}, "sam"); err == nil {
			t.Error("nothing was reverted twice")
		}
		if report, _ := w.cycle(); report.Updated != 1 || report.Disabled != 0 { // somebody switched p2 on by hand, which the job does not know
			t.Errorf("with the right filter: %+v", report)
		}
	})
}

// TestUndoOfOnePerson takes back the last change of single people, and names the values that it
// cannot restore.
func TestUndoOfOnePerson(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		refused := func(u provision.Undo, words string) {
			t.Helper()
			_, err := w.engine.BeginUndo(t.Context(), w.key, u, "sam")
			if input := (*provision.InputError)(nil); !errors.As(err, &input) && !errors.Is(err, provision.ErrNoPlan) || !strings.Contains(err.Error(), words) {
				t.Errorf("%+v: got %v, want %q", u, err, words)
			}
		}
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
		refused(provision.Undo{Object: "p1"}, "has nothing to take back")
		refused(provision.Undo{Cycle: "no such cycle"}, "has nothing to take back")
		refused(provision.Undo{Plan: "abcdef01"}, "there is no such plan")
		refused(provision.Undo{}, "needs a cycle")
		w.cycle()

		// A name and a title change. The account had no title.
		w.people.edit("p1", func(u *directory.User) {
			u.Attributes = person("ada@contoso.com", "Ada", "King")
			u.Attributes["jobTitle"] = "Countess"
		})
		w.cycle()
		p := w.undo(provision.Undo{Object: "p1"})
		changes := map[string]string{}
		for _, c := range w.plannedRows(p)["p1"].Changes {
			changes[c.Path] = fmt.Sprint(c.Old, " to ", c.New)
		}
		want := map[string]string{"displayName": "Ada King to Ada Lund", "name.familyName": "King to Lund", "title": "Countess to <nil>"}
		for path, words := range want {
			if changes[path] != words {
				t.Errorf("%s: planned %q, want %q", path, changes[path], words)
			}
		}
		if !strings.Contains(fmt.Sprint(p.Report.Notes), "single people") {
			t.Errorf("notes %v", p.Report.Notes)
		}
		w.approvePlan(p)
		// Somebody changes the account after the plan was made, so the plan sends nothing for it.
		w.app.set("ada@contoso.com", "title", "Programmer")
		if _, counts := w.applyPlan(p); counts.LeftOut != 1 || counts.Sent != 0 {
			t.Errorf("applied after a change at the application: %+v", counts)
		}
		p = w.undo(provision.Undo{Object: "p1"})
		if r := w.plannedRows(p)["p1"]; r.Result != provision.Success || !strings.Contains(r.Reason, "title stays as it is: it was changed at the application meanwhile, and is now Programmer") {
			t.Errorf("with another title: %+v", r)
		}
		w.app.set("ada@contoso.com", "title", "Countess")
		p = w.undo(provision.Undo{Object: "p1"})
		w.approvePlan(p)
		if _, counts := w.applyPlan(p); counts.Sent != 1 {
			t.Errorf("applied %+v", counts)
		}
		a := w.app.user("ada@contoso.com")
		if _, has := a["title"]; has || a.String("displayName") != "Ada Lund" {
			t.Errorf("Ada's account %v", a)
		}
		again := w.undo(provision.Undo{Object: "p1"})
		if again.Report.Updates != 1 {
			t.Errorf("undo of the undo: %+v", again.Report)
		}

		// An account that the job created is deleted. An account that somebody changed since stays.
		if _, err := w.jobs.Start(t.Context(), w.key, "sam"); err != nil {
			t.Fatal(err)
		}
		w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
		w.people.put("p3", person("cy@contoso.com", "Cy", "Young"))
		report, _ := w.cycle()
		w.app.set("cy@contoso.com", "displayName", "Cyrus")
		p = w.undo(provision.Undo{Cycle: report.ID})
		rows := w.plannedRows(p)
		if r := rows["p2"]; r.Action != provision.Delete || r.Result != provision.Success {
			t.Errorf("Bob %+v", r)
		}
		if r := rows["p3"]; r.Result != provision.Warning || !strings.Contains(r.Reason, "displayName") {
			t.Errorf("Cy %+v", r)
		}
		w.approvePlan(p)
		if w.applyPlan(p); w.app.user("bob@contoso.com") != nil || w.app.user("cy@contoso.com") == nil {
			t.Error("Bob has an account, or Cy has none")
		}
		refused(provision.Undo{Cycle: report.ID + "x"}, "has nothing to take back")
		p = w.undo(provision.Undo{Object: "p2"})
		if r := w.plannedRows(p)["p2"]; r.Result != provision.Warning || !strings.Contains(r.Reason, "cannot be brought back") {
			t.Errorf("Bob after the deletion: %+v", r)
		}
		// Without Delete, the account is disabled.
		w.setActions(provision.FlowAdd | provision.FlowUpdate)
		w.app.set("cy@contoso.com", "displayName", "Cy Young")
		p = w.undo(provision.Undo{Object: "p3"})
		w.approvePlan(p)
		if w.applyPlan(p); w.app.user("cy@contoso.com")["active"] != false {
			t.Errorf("Cy's account %v, by %+v", w.app.user("cy@contoso.com"), w.plannedRows(p))
		}
	})
}

// TestUndoOfWhatIsNotKnown changes a value without knowing the old value. The undo does not remove
// the new value.
func TestUndoOfWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
	w.people.set("p1", "jobTitle", "Countess")
	job, err := w.jobs.Get(t.Context(), w.key)
	if err != nil {
		t.Fatal(err)
	}
	without, err := job.RemoveRow(userRows, "title", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.jobs.SetSchema(t.Context(), w.key, without.Schema, "cli"); err != nil {
		t.Fatal(err)
	}
	w.cycle()
	w.app.set("ada@contoso.com", "title", "Programmer")
	if _, err := w.jobs.SetSchema(t.Context(), w.key, job.Schema, "cli"); err != nil {
		t.Fatal(err)
	}
	report, _ := w.cycle()
	if w.app.user("ada@contoso.com").String("title") != "Countess" {
		t.Fatalf("Ada's account %v", w.app.user("ada@contoso.com"))
	}
	p := w.undo(provision.Undo{Cycle: report.ID})
	if r := w.plannedRows(p)["p1"]; r.Result != provision.Warning || len(r.Changes) > 0 {
		t.Errorf("planned %+v", r)
	}
}
