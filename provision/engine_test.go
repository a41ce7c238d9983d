package provision_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	report, entries := w.cycle()
	if report.Kind != provision.InitialCycle || report.Created != 1 || report.State != provision.Succeeded {
		t.Errorf("report %+v", report)
	}
	got := w.app.user("ada@contoso.com")
	delete(got, "id")
	want := scim.Resource{
		"schemas":  []any{scim.UserURN},
		"userName": "ada@contoso.com", "active": true, "displayName": "Ada Lovelace", "externalId": "Ada",
		"name":      map[string]any{"givenName": "Ada", "familyName": "Lovelace", "formatted": "Ada Lovelace"},
		"emails":    []any{map[string]any{"type": "work", "value": "ada@contoso.com", "primary": true}},
		"addresses": []any{map[string]any{"type": "work", "locality": "Oslo"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("account (-want +got):\n%s", d)
	}
	e := entries["p1"]
	if e.Action != provision.Create || e.Status.Status != provision.Success || e.TargetIdentity.ID != "u1" {
		t.Errorf("entry %+v", e)
	}
	// The requests are the connection test, the list that shows whether searches compare case, the
	// search for Ada, and the create.
	if d := cmp.Diff([]string{"GET /Users", "GET /Users", "GET /Users", "POST /Users"}, w.app.asked()); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
	var steps []provision.StepType
	for _, s := range e.Steps {
		steps = append(steps, s.Type)
	}
	if d := cmp.Diff([]provision.StepType{provision.ImportStep, provision.ScopingStep, provision.MatchingStep, provision.ProcessingStep, provision.ExportStep}, steps); d != "" {
		t.Errorf("steps (-want +got):\n%s", d)
	}
	w.cycle()
	if d := cmp.Diff([]string{"GET /Users"}, w.app.asked()); d != "" {
		t.Errorf("requests of a cycle with nothing to do (-want +got):\n%s", d)
	}
}

// account returns an account that exists at the application before the job runs.
func account(name string) scim.Resource {
	return scim.Resource{"userName": name, "active": true}
}

func isActive(t *testing.T, w *world, name string) bool {
	t.Helper()
	u := w.app.user(name)
	if u == nil {
		t.Fatalf("%s has no account", name)
	}
	active, _ := u.Bool("active")
	return active
}

func status(e provision.LogEntry) string {
	return fmt.Sprintf("%s %s %s", e.Action, e.Status.Status, e.Status.Code)
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	t.Run("only_changed_attributes_are_sent", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.app.asked()
		w.people.set("p1", "surname", "King")
		w.people.set("p1", "telephoneNumber", "+47 555")
		_, entries := w.cycle()
		want := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` +
			`{"op":"Replace","path":"name.familyName","value":"King"},` +
			`{"op":"Replace","path":"name.formatted","value":"Ada King"},` +
			`{"op":"Add","path":"phoneNumbers[type eq \"work\"].value","value":"+47 555"}]}`
		if d := cmp.Diff([]string{want}, w.app.bodies); d != "" {
			t.Errorf("bodies (-want +got):\n%s", d)
		}
		if d := cmp.Diff([]string{"GET /Users", "PATCH /Users/{id}"}, w.app.asked()); d != "" {
			t.Errorf("requests (-want +got):\n%s", d)
		}
		lovelace, king := "Lovelace", "King"
		if d := cmp.Diff(provision.ModifiedProperty{DisplayName: "name.familyName", OldValue: &lovelace, NewValue: &king}, entries["p1"].Modified[0]); d != "" {
			t.Errorf("modified property (-want +got):\n%s", d)
		}
	})
	t.Run("a_change_that_no_row_reads_costs_no_request", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.app.asked()
		w.people.set("p1", "department", "Analysis")
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "other skipped RedundantExport"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if d := cmp.Diff([]string{"GET /Users"}, w.app.asked()); d != "" {
			t.Errorf("requests (-want +got):\n%s", d)
		}
	})
	t.Run("letter_case_alone_is_no_change_of_an_inexact_attribute", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		before := w.app.writes()
		w.people.set("p1", "city", "OSLO")
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "other skipped RedundantExport"; got != want || w.app.writes() != before {
			t.Errorf("got %q with %d writes, want %q without", got, w.app.writes()-before, want)
		}
	})
	t.Run("update_unticked_sends_nothing_and_says_so", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, actions(provision.FlowAdd))
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.add(account("ada@contoso.com"))
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "other skipped UpdateDisabled"; got != want || w.app.writes() != 0 {
			t.Errorf("got %q and %d writes, want %q and none", got, w.app.writes(), want)
		}
	})
	t.Run("accounts_in_the_compliant_dialect_by_flag", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.add(account("ada@contoso.com"))
		job, err := w.jobs.Get(t.Context(), w.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{
			Mode: job.Mode, Status: job.Status, Scope: job.Scope, TenantURL: w.app.url() + "/?aadOptscim062020",
		}, "cli"); err != nil {
			t.Fatal(err)
		}
		w.people.enable("p1", false)
		w.cycle()
		if got := w.app.bodies; len(got) != 1 || !strings.Contains(got[0], `{"op":"replace","path":"active","value":false}`) {
			t.Errorf("bodies %s", got)
		}
	})
}

func TestDisable(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(p *people){
		"blocked_from_sign_in": func(p *people) { p.enable("p1", false) },
		"soft_deleted":         func(p *people) { p.softDelete("p1") },
		"unassigned":           func(p *people) { p.assign("p1", false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			w.cycle()
			w.app.asked()
			leave(w.people)
			report, entries := w.cycle()
			if got, want := status(entries["p1"]), "disable success "; got != want || report.Disabled != 1 {
				t.Errorf("got %q, want %q; report %+v", got, want, report)
			}
			want := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`
			if d := cmp.Diff([]string{want}, w.app.bodies); d != "" {
				t.Errorf("bodies (-want +got):\n%s", d)
			}
			w.app.asked()
			w.people.put("p1", person("ada@contoso.com", "Ada", "King")) // back, with another name
			_, entries = w.cycle()
			if got, want := status(entries["p1"]), "update success "; got != want || !isActive(t, w, "ada@contoso.com") {
				t.Errorf("after the return: got %q, want %q and active", got, want)
			}
		})
	}
	t.Run("attributes_of_leavers_are_not_sent", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.app.asked()
		w.people.set("p1", "userPrincipalName", "0123ada@contoso.com")
		w.people.softDelete("p1")
		w.cycle()
		if got := w.app.bodies; len(got) != 1 || strings.Contains(got[0], "0123ada") {
			t.Errorf("bodies %s", got)
		}
	})
	t.Run("somebody_disabled_from_the_start_is_disabled_but_never_created", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
		w.people.enable("p1", false)
		w.people.enable("p2", false)
		w.app.add(account("ada@contoso.com"))
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "disable success "; got != want || isActive(t, w, "ada@contoso.com") {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := status(entries["p2"]), "other skipped NotEffectivelyEntitled"; got != want || w.app.user("bob@contoso.com") != nil {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("the_log_claims_nothing_about_other_attributes_of_a_disabled_account", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.people.enable("p1", false)
		w.people.set("p1", "surname", "King")
		w.cycle()
		if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		before := w.app.writes()
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "other skipped RedundantExport"; got != want || w.app.writes() != before {
			t.Fatalf("got %q with %d writes, want %q without", got, w.app.writes()-before, want)
		}
		want := "The account was read and has the state of a person without access already (active); nothing had to be sent. Its other attributes were not compared: they are sent only to accounts that may be used."
		if got := entries["p1"].Status.Reason; got != want {
			t.Errorf("got the reason %q, want %q", got, want)
		}
	})
	t.Run("accounts_that_were_never_in_scope_are_left_alone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.assign("p1", false)
		w.app.add(account("ada@contoso.com"))
		report, entries := w.cycle()
		if report.Read != 0 || len(entries) != 0 || !isActive(t, w, "ada@contoso.com") {
			t.Errorf("report %+v, entries %v", report, entries)
		}
		w.people.set("p1", "city", "Bergen")
		if _, entries = w.cycle(); len(entries) != 0 {
			t.Errorf("entries %v", entries)
		}
	})
	t.Run("scope_all_needs_no_assignment", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, everyone)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.assign("p1", false)
		w.cycle()
		if !isActive(t, w, "ada@contoso.com") {
			t.Error("the account is not active")
		}
	})
	t.Run("a_person_unassigned_before_a_restart_is_disabled_by_it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.people.assign("p1", false)
		if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		report, entries := w.cycle()
		if got, want := status(entries["p1"]), "disable success "; got != want || report.Kind != provision.InitialCycle {
			t.Errorf("got %q in a cycle %q, want %q", got, report.Kind, want)
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	t.Run("a_purged_person_is_deleted", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.people.softDelete("p1")
		w.cycle()
		w.people.purge("p1")
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "delete success "; got != want || w.app.user("ada@contoso.com") != nil {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := w.report().Linked; got != 0 {
			t.Errorf("got %d links, want none", got)
		}
	})
	t.Run("without_delete_a_purged_person_is_disabled", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, actions(provision.FlowAdd|provision.FlowUpdate))
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.people.purge("p1")
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "disable success "; got != want || isActive(t, w, "ada@contoso.com") {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := w.report().Linked; got != 0 {
			t.Errorf("got %d links, want none", got)
		}
	})
	t.Run("somebody_unassigned_earlier_is_no_longer_managed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.people.assign("p1", false)
		w.cycle()
		w.app.asked()
		w.people.purge("p1")
		_, entries := w.cycle()
		if len(entries) != 0 || w.app.user("ada@contoso.com") == nil {
			t.Errorf("entries %v", entries)
		}
		if d := cmp.Diff([]string{"GET /Users"}, w.app.asked()); d != "" {
			t.Errorf("requests (-want +got):\n%s", d)
		}
	})
	t.Run("a_purge_before_a_restart_is_seen_by_it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.people.purge("p1")
		if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		if _, entries := w.cycle(); status(entries["p1"]) != "delete success " {
			t.Errorf("entry %+v", entries["p1"])
		}
	})
	t.Run("an_account_that_is_gone_already_is_deleted", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.app.mu.Lock()
		clear(w.app.users)
		w.app.mu.Unlock()
		w.people.purge("p1")
		if _, entries := w.cycle(); status(entries["p1"]) != "delete success " {
			t.Errorf("entry %+v", entries["p1"])
		}
	})
}

func TestMatching(t *testing.T) {
	t.Parallel()
	t.Run("one_account_is_linked_and_brought_up_to_date", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, actions(provision.FlowUpdate))
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.add(account("ADA@contoso.com"))
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "update success "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := w.app.user("ada@contoso.com").String("displayName"); got != "Ada Lovelace" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("update_only_skips_people_without_an_account_and_looks_again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, actions(provision.FlowUpdate))
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "other skipped NoMatchCreateDisabled"; got != want || w.app.writes() != 0 {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := w.report().Unmatched; got != 1 {
			t.Errorf("got %d unmatched, want 1", got)
		}
		w.app.asked()
		if _, entries = w.cycle(); len(entries) != 0 {
			t.Errorf("an unchanged person is logged again: %v", entries)
		}
		if d := cmp.Diff([]string{"GET /Users"}, w.app.asked()); d != "" {
			t.Errorf("requests before a day is over (-want +got):\n%s", d)
		}
		w.clock.advance(25 * time.Hour)
		if _, entries = w.cycle(); len(entries) != 0 {
			t.Errorf("a daily look that finds nothing is logged: %v", entries)
		}
		if d := cmp.Diff([]string{"GET /Users", "GET /Users"}, w.app.asked()); d != "" {
			t.Errorf("requests of the daily look (-want +got):\n%s", d)
		}
		w.app.add(account("ada@contoso.com"))
		w.clock.advance(25 * time.Hour)
		if _, entries = w.cycle(); status(entries["p1"]) != "update success " || w.report().Unmatched != 0 {
			t.Errorf("entry %+v", entries["p1"])
		}
	})
	t.Run("several_accounts_are_never_guessed_between", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.add(account("ada@contoso.com"))
		w.app.add(account("ada@contoso.com"))
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "other failure DuplicateTargetEntries"; got != want || w.app.writes() != 0 {
			t.Errorf("got %q and %d writes, want %q", got, w.app.writes(), want)
		}
	})
	t.Run("two_people_never_share_an_account", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.put("p2", person("ADA@contoso.com", "Ada", "Twin"))
		w.app.add(account("ada@contoso.com"))
		_, entries := w.cycle()
		// The person that the engine works on first gets the value. The failure of the other person
		// names the first.
		// names the first.
		winner, loser := "p1", "p2"
		if status(entries["p1"]) != "update success " {
			winner, loser = loser, winner
		}
		owner := entries[winner].SourceIdentity.DisplayName
		if status(entries[winner]) != "update success " || status(entries[loser]) != "other failure DuplicateSourceEntries" || !strings.Contains(entries[loser].Status.Reason, "object "+winner) {
			t.Errorf("at the same time: got %+v and %+v", entries["p1"].Status, entries["p2"].Status)
		}
		w.people.put("p3", person("ada@CONTOSO.com", "Ada", "Third"))
		if _, entries = w.cycle(); status(entries["p3"]) != "other failure DuplicateSourceEntries" {
			t.Errorf("in a later cycle: got %q", status(entries["p3"]))
		}
		if got := w.app.user("ada@contoso.com").String("displayName"); got != owner {
			t.Errorf("the account is %q, want %q", got, owner)
		}
	})
	t.Run("two_people_never_get_one_account_created", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.put("p2", person("ADA@contoso.com", "Ada", "Twin"))
		if _, objects := w.plan(); objects["p2"].Result != provision.Failure || objects["p2"].Code != "DuplicateSourceEntries" {
			t.Errorf("planned %+v", objects["p2"])
		}
		winner, loser := "p1", "p2"
		for round := range 2 {
			_, entries := w.cycle()
			if round == 0 && status(entries["p1"]) != "create success " { // the person worked on first has the value, and keeps it
				winner, loser = loser, winner
			}
			if round == 0 && status(entries[winner]) != "create success " || status(entries[loser]) != "other failure DuplicateSourceEntries" || !strings.Contains(entries[loser].Status.Reason, "object "+winner) {
				t.Errorf("round %d: %+v and %+v", round, entries["p1"].Status, entries["p2"].Status)
			}
			o, _ := w.people.Object(t.Context(), "", winner)
			if got := w.app.user("ada@contoso.com").String("displayName"); w.app.created["ada@contoso.com"] != 1 || got != o.Name {
				t.Errorf("round %d: created %v, the account is %q", round, w.app.created, got)
			}
		}
	})
	t.Run("one_at_a_time_the_first_of_two_people_has_the_account", func(t *testing.T) {
		t.Parallel()
		for _, there := range []bool{true, false} {
			w := newWorld(t)
			w.engine.Workers = 1
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			w.people.put("p2", person("ADA@contoso.com", "Ada", "Twin"))
			if there {
				w.app.add(account("ada@contoso.com"))
			}
			_, entries := w.cycle()
			if got := w.app.user("ada@contoso.com").String("displayName"); got != "Ada Lovelace" || status(entries["p2"]) != "other failure DuplicateSourceEntries" {
				t.Errorf("there before: %v: the account is %q, the second %+v", there, got, entries["p2"].Status)
			}
		}
	})
	t.Run("an_application_that_answers_creates_with_one_account_confuses_nobody", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
		w.people.put("p3", person("cy@contoso.com", "Cy", "Cypher"))
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			rw.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(rw, `{"id":"same"}`)
			return true
		}
		report, _ := w.cycle()
		if report.Created != 1 || report.Failed != 2 || w.report().Linked != 1 {
			t.Errorf("report %+v", report)
		}
		if report, _ = w.cycle(); report.Failed != 2 || w.report().Linked != 1 {
			t.Errorf("in the next cycle: %+v", report)
		}
	})
	t.Run("conflicts_about_one_account_give_it_to_one_person", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
		var created atomic.Bool
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.Method == http.MethodPost:
				created.Store(true)
				refuse(rw, http.StatusConflict, "uniqueness", "taken")
			case r.Method == http.MethodPatch:
				rw.WriteHeader(http.StatusNoContent)
			case created.Load():
				// The application returns one account for every search, with the name that was
				// searched for.
				name := strings.TrimPrefix(r.URL.Query().Get("filter"), "userName eq ")
				_, _ = io.WriteString(rw, `{"totalResults":1,"Resources":[{"id":"same","userName":`+name+`}]}`)
			default:
				return false
			}
			return true
		}
		if report, _ := w.cycle(); report.Failed != 1 || w.report().Linked != 1 {
			t.Errorf("report %+v", report)
		}
	})
	t.Run("somebody_without_a_matching_value_is_skipped", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", map[string]any{"displayName": "Nameless"})
		if _, entries := w.cycle(); status(entries["p1"]) != "other skipped ImportSkipped" {
			t.Errorf("got %q", status(entries["p1"]))
		}
	})
	t.Run("a_linked_person_is_not_matched_anew_after_a_rename", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.app.add(account("ada.king@contoso.com"))
		w.people.set("p1", "userPrincipalName", "ada.king@contoso.com")
		w.cycle()
		if got := w.app.users["u1"].String("userName"); got != "ada.king@contoso.com" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a_target_that_ignores_filters_matches_nobody", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || strings.Contains(r.URL.RawQuery, "00000000-0000") {
				return false
			}
			_, _ = io.WriteString(rw, `{"totalResults":1,"Resources":[{"id":"stranger","userName":"eve@contoso.com"}]}`)
			return true
		}
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "other failure SystemForCrossDomainIdentityManagementServiceIncompatible"; got != want || w.app.writes() != 0 {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestSlice(t *testing.T) {
	t.Parallel()
	t.Run("a_slow_application_makes_progress_in_bounded_slices", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.engine.Workers = 16 // because each worker moves the clock of the test
		for i := range 200 {
			w.people.put(fmt.Sprintf("p%03d", i), person(fmt.Sprintf("user%03d@contoso.com", i), "User", fmt.Sprint(i)))
		}
		w.app.begun = func(*http.Request) { w.clock.advance(200 * time.Millisecond) }
		for slices := 1; ; slices++ {
			began := w.clock.now()
			next := w.slice()
			if took := w.clock.now().Sub(began); took > 20*time.Second {
				t.Errorf("slice %d took %s", slices, took)
			}
			if next.After(w.clock.now()) {
				break
			}
			if slices > 40 {
				t.Fatalf("after %d slices: %+v", slices, w.report().State.Cycle)
			}
		}
		if got := w.report(); got.Linked != 200 || got.State.Last.Created != 200 {
			t.Errorf("report %+v, last cycle %+v", got, got.State.Last)
		}
	})
	t.Run("a_stop_in_the_middle_finishes_what_was_sent", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for i := range 50 {
			w.people.put(fmt.Sprintf("p%03d", i), person(fmt.Sprintf("user%03d@contoso.com", i), "User", fmt.Sprint(i)))
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var posts atomic.Int32
		w.app.begun = func(r *http.Request) {
			if r.Method == http.MethodPost && posts.Add(1) == 10 {
				stop()
			}
		}
		_, err := w.engine.RunCycle(ctx, w.key, "test", nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the stop", err)
		}
		created := len(w.app.created)
		if got := w.report(); got.Linked != created || created < 10 || created > 30 || got.Escrowed != 0 {
			t.Errorf("%d accounts, %d linked, %d escrowed", created, got.Linked, got.Escrowed)
		}
		w.cycle()
		for name, n := range w.app.created {
			if n != 1 {
				t.Errorf("%s was created %d times", name, n)
			}
		}
		if got := w.report().Linked; got != 50 {
			t.Errorf("got %d linked, want 50", got)
		}
	})
	t.Run("an_application_that_fails_for_everybody_is_not_asked_more_than_needed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for i := range 300 {
			w.people.put(fmt.Sprintf("p%03d", i), person(fmt.Sprintf("user%03d@contoso.com", i), "User", fmt.Sprint(i)))
		}
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				refuse(rw, http.StatusInternalServerError, "", "Out of order")
			}
			return r.Method == http.MethodPost
		}
		report, _ := w.cycle()
		if got := len(w.app.asked()); report.Failed != 300 || got > 310 {
			t.Errorf("%d failed with %d lookups", report.Failed, got)
		}
	})
}

func TestRunCycle(t *testing.T) {
	t.Parallel()
	t.Run("it_does_a_cycle_of_its_own_each_time_whatever_the_status", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		if _, err := w.jobs.Pause(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		first, _ := w.cycle()
		second, _ := w.cycle()
		if first.ID == second.ID || first.Kind != provision.InitialCycle || second.Kind != provision.IncrementalCycle || w.app.user("ada@contoso.com") == nil {
			t.Errorf("first %+v, second %+v", first, second)
		}
	})
	t.Run("it_waits_when_the_application_asks_for_a_pause", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.cycle()
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		var refused atomic.Bool
		w.app.answer = func(rw http.ResponseWriter, _ *http.Request) bool {
			if refused.Swap(true) {
				return false
			}
			rw.Header().Set("Retry-After", "0.05")
			refuse(rw, http.StatusTooManyRequests, "", "Slow down")
			w.clock.advance(40 * time.Millisecond)
			return true
		}
		done := make(chan struct{})
		go func() { // advance the clock during the request
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
					w.clock.advance(time.Millisecond)
				}
			}
		}()
		report, _ := w.cycle()
		close(done)
		if report.Created != 1 {
			t.Errorf("report %+v", report)
		}
	})
	t.Run("a_connection_that_does_not_work_is_the_answer", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.app.token = "another"
		_, _, err := w.tryCycle()
		var te *provision.TargetError
		if !errors.As(err, &te) || te.Status != http.StatusUnauthorized || !strings.Contains(te.Words(), "Secret Token") {
			t.Errorf("got %v", err)
		}
		w.app.token = "secret"
		if report, _ := w.cycle(); report.State != provision.Succeeded || w.report().Code != provision.Running {
			t.Errorf("a repaired connection is not tried at once: %+v", report)
		}
	})
}

func TestEscrow(t *testing.T) {
	t.Parallel()
	t.Run("a_refused_person_stops_nobody_else_and_is_tried_again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
		var broken atomic.Bool
		broken.Store(true)
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			if r.Method == http.MethodPost && broken.Load() && strings.Contains(string(body), "ada@") {
				refuse(rw, http.StatusBadRequest, "invalidValue", "Names must be longer")
				return true
			}
			return false
		}
		report, entries := w.cycle()
		if report.Created != 1 || report.Failed != 1 || report.State != provision.EntryLevelErrors {
			t.Errorf("report %+v", report)
		}
		e := entries["p1"]
		if got, want := status(e), "create failure UnprocessableEntity"; got != want || e.Status.Reason != "Names must be longer." || e.Status.RecommendedAction == "" {
			t.Errorf("got %q (%+v), want %q", got, e.Status, want)
		}
		if got := w.report(); got.Escrowed != 1 || got.Linked != 1 {
			t.Errorf("report %+v", got)
		}
		broken.Store(false)
		if next := w.slice(); next.Sub(w.clock.now()) > provision.DefaultInterval {
			t.Errorf("looked at again at %s", next)
		}
		w.clock.advance(provision.DefaultInterval)
		w.slice()
		if w.app.user("ada@contoso.com") == nil || w.report().Escrowed != 0 {
			t.Errorf("not repaired: %+v", w.report())
		}
	})
	t.Run("create_ticked_for_an_application_that_cannot_is_explained", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			refuse(rw, http.StatusNotImplemented, "", "This site does not create accounts by SCIM.")
			return true
		}
		_, entries := w.cycle()
		e := entries["p1"]
		if got, want := status(e), "create failure NotImplemented"; got != want || !strings.Contains(e.Status.RecommendedAction, "Untick") {
			t.Errorf("got %q (%q), want %q", got, e.Status.RecommendedAction, want)
		}
		w.setActions(provision.FlowUpdate)
		if _, entries = w.cycle(); status(entries["p1"]) != "other skipped NoMatchCreateDisabled" || w.report().Escrowed != 0 {
			t.Errorf("with Update only: %q, %d escrowed", status(entries["p1"]), w.report().Escrowed)
		}
	})
	t.Run("gaps_grow", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		var posts atomic.Int32
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			posts.Add(1)
			refuse(rw, http.StatusUnprocessableEntity, "", "never")
			return true
		}
		for range 6 * 36 { // a day and a half, every ten minutes
			w.slice()
			w.clock.advance(10 * time.Minute)
		}
		if got := posts.Load(); got < 5 || got > 6 {
			t.Errorf("got %d attempts in 36 hours, want 5 or 6", got)
		}
	})
	t.Run("a_conflict_adopts_the_account_that_appeared_meanwhile", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			w.app.add(account("ada@contoso.com"))
			refuse(rw, http.StatusConflict, "uniqueness", "taken")
			return true
		}
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "update success "; got != want || w.report().Linked != 1 {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestUnknownCreate(t *testing.T) {
	t.Parallel()
	lose := func(w *world, carriedOut bool) {
		var once atomic.Bool
		w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || once.Swap(true) {
				return false
			}
			if carriedOut {
				body, _ := io.ReadAll(r.Body)
				w.app.handle(r, "", body)
			}
			panic(http.ErrAbortHandler) // the connection breaks without an answer
		}
	}
	t.Run("a_lost_answer_is_resolved_by_a_read", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		lose(w, true)
		if _, entries := w.cycle(); entries["p1"].Status.Status != provision.Failure {
			t.Errorf("entry %+v", entries["p1"])
		}
		w.people.set("p1", "userPrincipalName", "ada.king@contoso.com") // renamed before the engine reads the account
		w.clock.advance(time.Minute)
		_, entries := w.cycle()
		if got, want := status(entries["p1"]), "update success "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if d := cmp.Diff(map[string]int{"ada@contoso.com": 1}, w.app.created); d != "" {
			t.Errorf("creates (-want +got):\n%s", d)
		}
		if got := w.app.users["u1"].String("userName"); got != "ada.king@contoso.com" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a_request_that_never_arrived_is_sent_again_once_it_cannot_arrive", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		lose(w, false)
		var sent time.Time
		w.app.begun = func(r *http.Request) {
			if r.Method == http.MethodPost && sent.IsZero() {
				sent = w.clock.now()
			}
		}
		w.cycle()
		w.app.asked()
		w.clock.advance(time.Second)
		w.people.set("p1", "city", "Bergen")
		next := w.slice() // too early: the request may still be on its way
		if d := cmp.Diff([]string{"GET /Users", "GET /Users"}, w.app.asked()); d != "" {
			t.Errorf("requests while it may be on its way (-want +got):\n%s", d)
		}
		for _, age := range []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute} {
			if got := next.Sub(sent).Round(time.Second); got != age || len(w.app.created) != 0 {
				t.Errorf("looked again %s after the create, want %s; created %v", got, age, w.app.created)
			}
			w.clock.advance(next.Sub(w.clock.now()))
			next = w.slice()
		}
		if d := cmp.Diff(map[string]int{"ada@contoso.com": 1}, w.app.created); d != "" {
			t.Errorf("creates (-want +got):\n%s", d)
		}
	})
	t.Run("an_account_that_shows_late_is_found", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				panic(http.ErrAbortHandler)
			}
			return false
		}
		w.cycle()
		sent := w.clock.now()
		for next := w.slice(); next.Before(sent.Add(30 * time.Second)); next = w.slice() {
			w.clock.advance(next.Sub(w.clock.now()))
		}
		w.app.add(account("ada@contoso.com")) // the application needed 20 seconds to commit the create
		w.clock.advance(2 * time.Minute)
		if w.cycle(); w.report().Linked != 1 || len(w.app.users) != 1 {
			t.Errorf("%d linked, accounts %v", w.report().Linked, w.app.users)
		}
	})
	t.Run("an_application_that_answers_500_is_asked_again_and_again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				refuse(rw, 500, "", "Out of order")
			}
			return r.Method == http.MethodPost
		}
		for range 60 {
			w.slice()
			w.clock.advance(10 * time.Minute)
		}
		w.app.answer = nil
		w.clock.advance(24 * time.Hour)
		if w.slice(); w.app.user("ada@contoso.com") == nil {
			t.Error("it was given up")
		}
	})
	t.Run("a_third_create_is_not_sent_to_an_application_that_may_make_doubles", func(t *testing.T) {
		t.Parallel()
		for _, unique := range []bool{false, true} {
			w := newWorld(t)
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			if unique { // the application has shown that it refuses duplicates
				w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
				w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
					if r.Method == http.MethodPost && strings.Contains(body(r), "bob@") {
						refuse(rw, 409, "uniqueness", "taken")
						return true
					}
					return false
				}
				w.people.assign("p1", false)
				w.cycle()
				w.people.assign("p1", true)
			}
			var posts atomic.Int32
			w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost && strings.Contains(body(r), "ada@") {
					posts.Add(1)
					panic(http.ErrAbortHandler)
				}
				return r.Method == http.MethodPost
			}
			for range 40 {
				w.slice()
				w.clock.advance(10 * time.Minute)
			}
			entries, _, err := w.jobs.Logs(t.Context(), w.key, provision.LogQuery{ObjectID: "p1", Limit: 1})
			if err != nil || len(entries) != 1 {
				t.Fatal(entries, err)
			}
			if got := posts.Load(); unique != (got > 2) || !unique && (got != 2 || entries[0].Status.Code != "CreateOutcomeUnknown") {
				t.Errorf("unique %v: %d creates, then %q", unique, got, entries[0].Status.Code)
			}
			if unique {
				continue
			}
			w.app.answer = nil
			if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
				t.Fatal(err)
			}
			if w.cycle(); w.app.user("ada@contoso.com") == nil {
				t.Error("a restart does not send it once more")
			}
		}
	})
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	t.Run("a_refused_token_stops_the_job_with_its_evidence_and_a_new_one_is_tried_at_once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.app.token = "another"
		next := w.slice()
		r := w.report()
		q := r.State.Quarantine
		if r.Code != provision.Quarantined || q == nil || q.Code != "SystemForCrossDomainIdentityManagementInvalidCredentials" || q.Status != 401 || q.Evidence != "GET /Users" {
			t.Fatalf("report %+v, quarantine %+v", r, q)
		}
		if got := next.Sub(w.clock.now()).Round(time.Second); got != time.Minute {
			t.Errorf("next attempt in %s, want 1m", got)
		}
		if w.app.asked(); w.slice() != next || len(w.app.asked()) != 0 {
			t.Error("a job in quarantine sent a request before its time")
		}
		secret := "another"
		job := r.Job
		if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: job.Mode, TenantURL: job.TenantURL, Status: job.Status, Scope: job.Scope, Secret: &secret}, "cli"); err != nil {
			t.Fatal(err)
		}
		w.slice()
		if r := w.report(); r.Code != provision.Running || w.app.user("ada@contoso.com") == nil {
			t.Errorf("report %+v", r)
		}
	})
	t.Run("attempts_come_less_often", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.app.token = "another"
		var gaps []string
		for range 9 {
			next := w.slice()
			gaps = append(gaps, next.Sub(w.clock.now()).Round(time.Minute).String())
			w.clock.advance(next.Sub(w.clock.now()))
		}
		if d := cmp.Diff([]string{"1m0s", "5m0s", "15m0s", "1h0m0s", "2h0m0s", "6h0m0s", "12h0m0s", "24h0m0s", "24h0m0s"}, gaps); d != "" {
			t.Errorf("gaps (-want +got):\n%s", d)
		}
	})
	t.Run("a_token_revoked_in_the_middle_fails_nobody", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for i := range 300 {
			w.people.put(fmt.Sprintf("p%03d", i), person(fmt.Sprintf("user%03d@contoso.com", i), "User", fmt.Sprint(i)))
		}
		var posts atomic.Int32
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				posts.Add(1)
			}
			if posts.Load() <= 150 {
				return false
			}
			refuse(rw, http.StatusForbidden, "", "SCIM is switched off.")
			return true
		}
		_, entries, err := w.tryCycle()
		var te *provision.TargetError
		if !errors.As(err, &te) || te.Status != 403 {
			t.Fatalf("got %v, want a refusal", err)
		}
		for id, e := range entries {
			if e.Status.Status == provision.Failure {
				t.Errorf("%s failed: %+v", id, e.Status)
			}
		}
		w.app.answer = nil
		report, _ := w.cycle()
		if got := w.report(); got.Linked != 300 || got.Escrowed != 0 || report.Created != 300 {
			t.Errorf("after the repair: %d linked, %d escrowed, %+v", got.Linked, got.Escrowed, report)
		}
		for name, n := range w.app.created {
			if n != 1 {
				t.Errorf("%s was created %d times", name, n)
			}
		}
	})
	t.Run("the_reasons_are_told_apart", func(t *testing.T) {
		t.Parallel()
		for name, tt := range map[string]struct {
			answer func(rw http.ResponseWriter)
			code   string
		}{
			"not_found":  {func(rw http.ResponseWriter) { refuse(rw, 404, "", "Nothing here") }, "SystemForCrossDomainIdentityManagementServiceIncompatible"},
			"a_web_page": {func(rw http.ResponseWriter) { _, _ = io.WriteString(rw, "<html>") }, "SystemForCrossDomainIdentityManagementServiceIncompatible"},
			"broken":     {func(rw http.ResponseWriter) { refuse(rw, 500, "", "Out of order") }, "InternalServerError"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.app.answer = func(rw http.ResponseWriter, _ *http.Request) bool { tt.answer(rw); return true }
				w.slice()
				if q := w.report().State.Quarantine; q == nil || q.Code != tt.code || q.Message == "" || q.Advice == "" {
					t.Errorf("quarantine %+v, want %s", q, tt.code)
				}
			})
		}
	})
	t.Run("too_many_requests_is_a_pause_and_no_failure", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		var refused atomic.Bool
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || refused.Swap(true) {
				return false
			}
			rw.Header().Set("Retry-After", "90.5")
			refuse(rw, http.StatusTooManyRequests, "", "Slow down")
			return true
		}
		next := w.slice()
		if got := next.Sub(w.clock.now()).Round(time.Second); got != 90*time.Second && got != 91*time.Second {
			t.Errorf("next slice in %s, want 90.5s", got)
		}
		if r := w.report(); r.Escrowed != 0 || r.State.Quarantine != nil || r.Pending != 1 {
			t.Errorf("report %+v", r)
		}
		w.clock.advance(91 * time.Second)
		w.slice()
		if w.app.user("ada@contoso.com") == nil {
			t.Error("not created after the pause")
		}
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	t.Run("a_changed_mapping_starts_an_initial_cycle_and_a_restart_repairs_drift", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		w.app.mu.Lock()
		w.app.users["u1"]["title"] = "Countess"
		w.app.users["u1"]["displayName"] = "drifted"
		w.app.mu.Unlock()
		if _, err := w.jobs.RestoreDefaultMappings(t.Context(), w.key, provision.AnyRevision, 0, "cli"); err != nil {
			t.Fatal(err)
		}
		report, _ := w.cycle()
		if got := w.app.user("ada@contoso.com"); report.Kind != provision.InitialCycle || report.Reads || got.String("displayName") != "drifted" {
			t.Errorf("after the change: cycle %+v, account %v", report, got)
		}
		if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		report, _ = w.cycle()
		if got := w.app.user("ada@contoso.com"); report.Kind != provision.InitialCycle || !report.Reads || got.String("displayName") != "Ada Lovelace" || got.String("title") != "Countess" {
			t.Errorf("after a restart: cycle %+v, account %v", report, got)
		}
	})
	t.Run("another_application_forgets_the_links_and_flags_do_not", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.cycle()
		job, err := w.jobs.Get(t.Context(), w.key)
		if err != nil {
			t.Fatal(err)
		}
		s := provision.Settings{Mode: job.Mode, Status: job.Status, Scope: job.Scope, TenantURL: job.TenantURL + "/?aadOptscim062020"}
		if job, err = w.jobs.Save(t.Context(), w.key, s, "cli"); err != nil || job.ForgetLinks != 1 || job.LookAtAll != 1 {
			t.Errorf("flags alone: %+v, %v", job, err)
		}
		other := newApplication(t)
		other.add(account("filler@contoso.com"))
		secret := other.token
		s.TenantURL, s.Secret = other.url(), &secret
		if _, err := w.jobs.Save(t.Context(), w.key, s, "cli"); err != nil {
			t.Fatal(err)
		}
		w.cycle()
		if other.users["u1"].String("userName") != "filler@contoso.com" || other.user("ada@contoso.com") == nil {
			t.Errorf("accounts %v", other.users)
		}
	})
	t.Run("off_pauses_and_on_continues", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		if _, err := w.jobs.Pause(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		if next := w.slice(); !next.IsZero() || len(w.app.asked()) != 0 {
			t.Errorf("a paused job worked; next %s", next)
		}
		if got := w.report().Code; got != provision.NotRun {
			t.Errorf("got %s", got)
		}
		if _, err := w.jobs.Start(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		w.slice()
		if w.app.user("ada@contoso.com") == nil {
			t.Error("a started job did not work")
		}
	})
	t.Run("starting_a_running_job_begins_a_cycle_at_once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.slice()
		first := w.report().State.Last
		w.slice()
		if again := w.report().State.Last; first == nil || again == nil || again.ID != first.ID {
			t.Fatalf("without a reason: cycle %+v after %+v", again, first)
		}
		if _, err := w.jobs.Start(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		w.slice()
		if got := w.report().State.Last; got.ID == first.ID || got.Kind != provision.IncrementalCycle {
			t.Errorf("got cycle %+v, want a new incremental one", got)
		}
	})
	t.Run("what_cannot_be_saved_names_its_field", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		secret := "x"
		good := provision.Settings{Mode: provision.Automatic, TenantURL: w.app.url(), Status: provision.On, Scope: provision.AssignedOnly}
		for field, change := range map[string]func(s *provision.Settings){
			"Provisioning Mode":   func(s *provision.Settings) { s.Mode, s.Status = provision.Manual, provision.Off },
			"Tenant URL":          func(s *provision.Settings) { s.TenantURL, s.Secret = "acme.example.com", &secret },
			"Scope":               func(s *provision.Settings) { s.Scope = "some" },
			"Provisioning Status": func(s *provision.Settings) { s.Status = "Maybe" },
			"Secret Token":        func(s *provision.Settings) { s.TenantURL = "https://evil.example.com/scim" },
		} {
			s := good
			change(&s)
			var input *provision.InputError
			if _, err := w.jobs.Save(t.Context(), w.key, s, "cli"); !errors.As(err, &input) || input.Field != field {
				t.Errorf("got %v, want an error of %s", err, field)
			}
		}
		off := false
		var input *provision.InputError
		if _, err := w.jobs.SetMapping(t.Context(), w.key, userRows, provision.MappingEdit{Enabled: &off}, "cli"); !errors.As(err, &input) {
			t.Errorf("the user mapping was switched off: %v", err)
		}
	})
	t.Run("every_change_is_an_event_and_no_event_has_the_secret", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		secret := "hunter2"
		job := w.report().Job
		if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{
			Mode: job.Mode, TenantURL: job.TenantURL, Status: provision.Off, Scope: provision.Everyone, Secret: &secret,
		}, "operator:kim"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.jobs.Restart(t.Context(), w.key, "operator:kim"); err != nil {
			t.Fatal(err)
		}
		events, err := store.Events{DB: w.db}.Read(t.Context(), eventScope(w.key), zeroPosition, 100)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range events {
			names = append(names, e.Name)
			if strings.Contains(e.Text+string(e.Data), secret) {
				t.Errorf("event %s tells the secret", e.Name)
			}
		}
		if d := cmp.Diff([]string{"provisioning.created", "provisioning.saved", "provisioning.restarted"}, names); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
	})
	t.Run("a_template_s_scoping_filter_decides_who_is_in", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		schema := w.report().Job.Schema.Clone()
		m, err := schema.UserMapping()
		if err != nil {
			t.Fatal(err)
		}
		m.Scope = &provision.Filter{Groups: []provision.FilterGroup{{Name: "Oslo", Clauses: []provision.FilterClause{
			{SourceOperandName: "city", OperatorName: "EQUALS", TargetOperand: provision.FilterOperand{Values: []string{"Oslo"}}},
		}}}}
		if _, err := w.jobs.SetSchema(t.Context(), w.key, schema, "cli"); err != nil {
			t.Fatal(err)
		}
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
		w.people.set("p2", "city", "Bergen")
		_, entries := w.cycle()
		if got, want := status(entries["p2"]), "other skipped NotEffectivelyEntitled"; got != want || w.app.user("bob@contoso.com") != nil {
			t.Errorf("got %q, want %q", got, want)
		}
		w.people.set("p1", "city", "Bergen")
		if _, entries = w.cycle(); status(entries["p1"]) != "disable success " {
			t.Errorf("got %q", status(entries["p1"]))
		}
	})
}

// lettingGo are leases that their owner gives back after some refusals.
type lettingGo struct {
	provision.Leases
	refusals int
	letGo    func() error
}

func (l *lettingGo) Claim(ctx context.Context, kind, key, owner string, ttl time.Duration) (int64, error) {
	if l.refusals--; l.refusals == 0 {
		if err := l.letGo(); err != nil {
			return 0, err
		}
	}
	return l.Leases.Claim(ctx, kind, key, owner, ttl)
}

func TestLease(t *testing.T) {
	t.Parallel()
	t.Run("a_cycle_is_refused_with_the_owner_s_name_while_another_holds_the_job", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		if _, err := w.leases.Claim(t.Context(), provision.LeaseKind, w.key.String(), "serve on host7", time.Minute); err != nil {
			t.Fatal(err)
		}
		_, _, err := w.tryCycle()
		var held *provision.HeldError
		if !errors.As(err, &held) || held.Owner != "serve on host7" {
			t.Errorf("got %v, want the owner", err)
		}
	})
	t.Run("a_process_that_only_looked_at_the_job_keeps_nobody_from_a_cycle", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		epoch, err := w.leases.Claim(t.Context(), provision.LeaseKind, w.key.String(), "serve on host7", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		w.engine.Leases = &lettingGo{Leases: w.leases, refusals: 3, letGo: func() error {
			return w.leases.Release(t.Context(), provision.LeaseKind, w.key.String(), "serve on host7", epoch, time.Time{})
		}}
		if report, _ := w.cycle(); report.Created != 1 {
			t.Errorf("got %+v", report)
		}
	})
	t.Run("a_late_owner_writes_nothing", func(t *testing.T) {
		t.Parallel()
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			w := newWorldOn(t, db)
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			old, err := w.leases.Claim(t.Context(), provision.LeaseKind, w.key.String(), "a", time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.leases.Claim(t.Context(), provision.LeaseKind, w.key.String(), "a", time.Minute); err != nil {
				t.Fatal(err)
			}
			if _, err := w.engine.Advance(t.Context(), w.key.String(), old); !errors.Is(err, store.ErrLeaseLost) {
				t.Errorf("got %v, want a lost lease", err)
			}
			if got := w.app.writes(); got != 0 {
				t.Errorf("got %d writes at the application, want none", got)
			}
		})
	})
}

func TestWatcher(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	woken := 0
	watcher := &provision.Watcher{
		Store: w.store, Sources: w.engine.Sources, Now: w.clock.now,
		Wake: func(context.Context, provision.Key) error { woken++; return nil },
	}
	look := func(want int, when string) {
		t.Helper()
		woken = 0
		if err := watcher.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if woken != want {
			t.Errorf("%s: woken %d times, want %d", when, woken, want)
		}
	}
	look(0, "before the initial cycle, which has a time of its own")
	w.slice()
	look(0, "with no news")
	w.people.edit("p1", func(*directory.User) {})
	look(1, "with news")
	look(1, "with news that were not dealt with yet")
	w.slice()
	look(0, "after the news were dealt with")
}

// countingStore counts how often the states of all jobs are read. It shows every job in the given
// phase, unless phase is empty.
type countingStore struct {
	provision.Store
	watched int
	phase   provision.Phase
}

func (s *countingStore) WatchedStates(ctx context.Context) (map[provision.Key]provision.State, error) {
	s.watched++
	states, err := s.Store.WatchedStates(ctx)
	if s.phase != "" {
		for k, state := range states {
			state.Phase = s.phase
			states[k] = state
		}
	}
	return states, err
}

// TestAChangeDuringAnImportWakesTheJobAfterwards makes a change after a cycle has read the changes,
// but before the cycle ends.
func TestAChangeDuringAnImportWakesTheJobAfterwards(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBothEnds(t, db, site.Full, allActions)
		b.hire("ada@contoso.com", "Ada", "Lovelace")
		b.cycle()
		counted := &countingStore{Store: b.store}
		woken := 0
		watcher := &provision.Watcher{
			Store: counted, Sources: b.engine.Sources, NewestPositions: b.store.NewestPositions, Now: b.clock.now,
			Wake: func(context.Context, provision.Key) error { woken++; return nil },
		}
		look := func() {
			t.Helper()
			if err := watcher.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		look()
		for _, phase := range []provision.Phase{provision.Changes, provision.Snapshot, provision.Links} {
			b.hire("bob-"+string(phase)+"@contoso.com", "Bob", "Byte")
			counted.phase, counted.watched = phase, 0
			for counted.watched == 0 { // PostgreSQL holds an event back while an older transaction runs
				look()
				time.Sleep(10 * time.Millisecond)
			}
			counted.phase, woken = "", 0
			if look(); woken == 0 {
				t.Errorf("a change during the phase %q wakes nobody after the cycle", phase)
			}
			b.cycle()
		}
	})
}

// TestIdleJobsAreAskedForInOneStatement looks for changes many times while nothing happens, and
// then after an event.
func TestIdleJobsAreAskedForInOneStatement(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBothEnds(t, db, site.Full, allActions)
		b.hire("ada@contoso.com", "Ada", "Lovelace")
		b.cycle()
		counted := &countingStore{Store: b.store}
		woken := 0
		watcher := &provision.Watcher{
			Store: counted, Sources: b.engine.Sources, NewestPositions: b.store.NewestPositions, Now: b.clock.now,
			Wake: func(context.Context, provision.Key) error { woken++; return nil },
		}
		look := func() {
			t.Helper()
			if err := watcher.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			look()
		}
		if counted.watched != 1 || woken != 0 {
			t.Errorf("with nothing new: the jobs were read %d times and woken %d times; want once, to begin with", counted.watched, woken)
		}
		select {
		case <-db.CommitSignals():
		default:
		}
		b.hire("bob@contoso.com", "Bob", "Byte")
		select {
		case <-db.CommitSignals():
		default:
			t.Error("nobody is told of a change of this process")
		}
		for range 100 { // PostgreSQL holds an event back while an older transaction runs
			if look(); woken > 0 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if woken == 0 {
			t.Error("a change woke nobody")
		}
	})
}
