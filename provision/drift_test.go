package provision_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// edit changes a resource of the site by hand.
func (b *bothEnds) edit(kind scim.TypeName, id, operation string) {
	b.t.Helper()
	of := scim.UserType()
	if kind == roster.Group {
		of = scim.GroupType()
	}
	patch, _, err := scim.DecodePatch(of, []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+operation+`]}`), scim.Lenient)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.roster.Patch(b.t.Context(), kind, id, patch, roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin}); err != nil {
		b.t.Fatal(err)
	}
}

// drift compares the application with what the job wrote. It returns the differences by object id.
func (w *world) drift() (provision.DriftReport, map[string]provision.Drift) {
	w.t.Helper()
	found := map[string]provision.Drift{}
	report, err := w.engine.FindDrift(w.t.Context(), w.key, "sam", func(d provision.Drift) error {
		found[d.ObjectID] = d
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	kept, err := w.store.LastDrift(w.t.Context(), w.key)
	if err != nil || kept.ID != report.ID || kept.Changed != report.Changed || kept.Gone != report.Gone {
		w.t.Errorf("kept %+v, %v; want %+v", kept, err, report)
	}
	for after, n := "", 0; ; n++ {
		page, err := w.store.ListDrift(w.t.Context(), w.key, after, 1)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			if n != len(found) {
				w.t.Errorf("%d differences are kept, want %d", n, len(found))
			}
			return report, found
		}
		after = page[0].ObjectID
		if fmt.Sprint(page[0]) != fmt.Sprint(found[after]) {
			w.t.Errorf("kept %+v, want %+v", page[0], found[after])
		}
	}
}

// TestDrift names the changes that somebody made at a real site: changed values, changed members,
// and a deleted account.
func TestDrift(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBothEnds(t, db, site.Full, allActions)
		ctx := t.Context()
		var ids []string
		for i := range 105 { // more than one page
			ids = append(ids, b.hire(fmt.Sprintf("p%03d@contoso.com", i), "P", fmt.Sprint(i)))
		}
		blue, _, err := b.handle.PutGroup(ctx, directory.Group{Attributes: map[string]string{"displayName": "Blue"}}, "cli")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.handle.AddMembers(ctx, blue.ObjectID, ids[:2], "cli"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.handle.Assign(ctx, b.app.ID, []string{blue.ObjectID}, "cli"); err != nil {
			t.Fatal(err)
		}
		b.cycle()
		if report, found := b.drift(); report.Linked != 106 || report.Accounts < 105 || report.Groups != 1 || len(found) != 0 || len(report.Notes) != 0 {
			t.Errorf("after a cycle: %+v, %v", report, found)
		}
		account := func(i int) string {
			t.Helper()
			r, found := b.member(fmt.Sprintf("p%03d@contoso.com", i))
			if !found {
				t.Fatalf("person %d has no account", i)
			}
			return r.String("id")
		}
		// A change only in the directory is no drift. A change of an attribute that the job never
		// wrote is no drift either.
		u, err := b.handle.User(ctx, ids[3])
		if err != nil {
			t.Fatal(err)
		}
		u.Attributes["city"] = "Bergen"
		if _, _, err := b.handle.PutUser(ctx, u, "cli"); err != nil {
			t.Fatal(err)
		}
		b.edit(roster.User, account(4), `{"op":"replace","path":"nickName","value":"Four"}`)
		// These changes are drift.
		b.edit(roster.User, account(5), `{"op":"replace","path":"displayName","value":"Five"},{"op":"replace","path":"active","value":false}`)
		b.edit(roster.User, account(104), `{"op":"remove","path":"name.familyName"}`)
		if _, err := b.roster.Delete(ctx, roster.User, account(6), roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin}); err != nil {
			t.Fatal(err)
		}
		group, err := b.jobs.Connection(ctx, b.key, blue.ObjectID)
		if err != nil {
			t.Fatal(err)
		}
		left, came := account(0), account(7)
		b.edit(roster.Group, group.TargetID, `{"op":"remove","path":"members[value eq \"`+left+`\"]"},{"op":"add","path":"members","value":[{"value":"`+came+`"}]}`)

		report, found := b.drift()
		if report.Changed != 3 || report.Gone != 1 || report.Members != 2 || len(found) != 4 {
			t.Errorf("report %+v: %v", report, found)
		}
		want := map[string]string{
			ids[5]:   "[{active true false} {displayName P 5 Five}]",
			ids[104]: "[{name.familyName 104 <nil>}]",
		}
		for id, values := range want {
			if got := fmt.Sprint(found[id].Values); got != values || found[id].Modified == "" {
				t.Errorf("%s: got %s at %q, want %s", id, got, found[id].Modified, values)
			}
		}
		if !found[ids[6]].Gone {
			t.Errorf("the account that is gone: %+v", found[ids[6]])
		}
		if g := found[blue.ObjectID]; fmt.Sprint(g.Added, g.Removed) != fmt.Sprint([]string{came}, []string{left}) {
			t.Errorf("members %v, %v; want %s, %s", g.Added, g.Removed, came, left)
		}
		if texts := b.eventTexts(event.ProvisioningDrift); len(texts) != 1 || !strings.Contains(texts[0], "3 accounts or groups were changed there, 1 are gone, 2 memberships differ") {
			t.Errorf("events %q", texts)
		}
		// A plan gives the accounts the values of the mapping again, and the group its members. It
		// leaves out the account that is gone, because the next cycles look for that account.
		p, err := b.engine.BeginReassert(ctx, b.key, "sam")
		if err != nil {
			t.Fatal(err)
		}
		if p, err = b.engine.FillPlan(ctx, p, nil); err != nil {
			t.Fatal(err)
		}
		if rows := b.plannedRows(p); p.Report.Kind != provision.ReassertPlan || p.Report.Updates != 2 || p.Report.MembersAdded != 1 || p.Report.MembersRemoved != 1 || rows[ids[3]].ObjectID != "" || fmt.Sprint(rows[ids[104]].Changes[0].New) != "104" {
			t.Errorf("plan %+v: %+v", p.Report, rows[ids[104]])
		}
		b.approvePlan(p)
		if _, counts := b.applyPlan(p); counts.Failed+counts.LeftOut+counts.Due+counts.MembersFailed+counts.MembersLeftOut != 0 || counts.MembersSent != 2 {
			t.Errorf("applied %+v", counts)
		}
		if report, found := b.drift(); report.Changed != 0 || report.Gone != 1 || report.Members != 0 {
			t.Errorf("written again: %+v, %v", report, found)
		}
		if r, _ := b.member("p005@contoso.com"); r["active"] != true || r.String("displayName") != "P 5" {
			t.Errorf("the account that was changed: %v", r)
		}
		b.edit(roster.User, account(104), `{"op":"remove","path":"name.familyName"}`)
		if report, _ := b.drift(); report.Changed != 1 {
			t.Errorf("changed again: %+v", report)
		}
		// After the difference is corrected, no record of it is kept.
		b.edit(roster.User, account(104), `{"op":"add","path":"name.familyName","value":"104"}`)
		if report, found := b.drift(); report.Changed != 0 || found[ids[104]].ObjectID != "" {
			t.Errorf("mended: %+v", report)
		}
	})
}

// TestTwoComparisonsAtOnce ends an earlier comparison while a later one is under way, and one after
// it. The later one keeps its differences.
func TestTwoComparisonsAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		ctx := t.Context()
		begun := func(id string, after time.Duration) provision.DriftReport {
			r := provision.DriftReport{ID: id, Started: epoch.Add(after)}
			if err := w.store.AddDrift(ctx, w.key, id, []provision.Drift{{ObjectID: "found by " + id}}); err != nil {
				t.Fatal(err)
			}
			return r
		}
		early, late := begun("0001", 0), begun("0002", time.Second)
		check := func(when string, r provision.DriftReport) {
			t.Helper()
			if err := w.store.EndDrift(ctx, w.key, r, nil); err != nil {
				t.Fatal(err)
			}
			last := w.lastDrift()
			found, err := w.store.ListDrift(ctx, w.key, "", 10)
			if err != nil || len(found) != 1 || found[0].ObjectID != "found by "+last {
				t.Errorf("%s: %v, %v; the last is %s", when, found, err, last)
			}
		}
		check("the early one ends", early)
		check("the late one ends", late)
		between := begun("00011", time.Second/2)
		if check("one that began before it ends", between); w.lastDrift() != late.ID {
			t.Errorf("the last is %s", w.lastDrift())
		}
		if err := w.jobs.Delete(ctx, w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"add": w.store.AddDrift(ctx, w.key, "0003", nil), "end": w.store.EndDrift(ctx, w.key, provision.DriftReport{ID: "0003"}, nil)} {
			if !errors.Is(err, provision.ErrNoJob) {
				t.Errorf("%s without a job: %v", what, err)
			}
		}
		if _, err := w.store.ChangeDriftSchedule(ctx, w.key, func(*provision.DriftSchedule) (*event.Event, error) { return nil, nil }); !errors.Is(err, provision.ErrNoJob) {
			t.Errorf("change the schedule without a job: %v", err)
		}
	})
}

// TestTheJobWritesWhileItIsCompared has the job change an account after the application has listed
// it. That is no drift.
func TestTheJobWritesWhileItIsCompared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Smith"))
	w.cycle()
	id := w.app.user("ada@contoso.com").String("id")
	w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path == "/scim/v2/Users" && r.URL.Query().Get("filter") == "":
			l := w.link("ada")
			l.Wrote["displayName"] = provision.Written{Sent: "Ada Jones", Got: "Ada Jones", Shown: true}
			l.Updated = w.clock.now()
			w.putLink(l)
		case strings.HasSuffix(r.URL.Path, "/"+id):
			w.app.set("ada@contoso.com", "displayName", "Ada Jones")
		}
		return false
	}
	if report, found := w.drift(); report.Changed != 0 || report.Linked != 1 {
		t.Errorf("%+v: %v", report, found)
	}
}
