package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/templates"
	"github.com/rollcall-scim/rollcall/store"
)

var jobTime = time.Date(2025, 1, 9, 9, 0, 0, 123000, time.UTC)

func jobEvent(k provision.Key, name string) event.Event {
	return event.Event{Time: jobTime, Scope: event.Directory(string(k.Directory)), Name: name, Actor: "cli", Subject: k.App, Text: "x"}
}

func newJob(t *testing.T, app string) provision.Job {
	t.Helper()
	b, err := templates.Get(templates.Guide)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := provision.ParseSchema(b)
	if err != nil {
		t.Fatal(err)
	}
	return provision.Job{
		Key: provision.Key{Directory: "contoso", App: app}, Mode: provision.Automatic, TenantURL: "https://acme.example.com/scim",
		Status: provision.On, Scope: provision.AssignedOnly, Schema: schema, SealedSecret: []byte{0, 1, 255, '\n'},
		Version: 1, Asked: provision.Asked{LookAtAll: 2, TryNow: 3, ForgetFailures: 4, ForgetLinks: 5}, Created: jobTime, Modified: jobTime,
	}
}

// eachJob runs a test on each kind of database, with two stored jobs. The test's process has
// claimed the first job.
func eachJob(t *testing.T, test func(t *testing.T, s store.Provisioning, f provision.Fence, other provision.Fence)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := store.Provisioning{DB: db}
		var fences []provision.Fence
		for _, app := range []string{"acme", "beta"} {
			j := newJob(t, app)
			if err := s.InsertJob(t.Context(), j, jobEvent(j.Key, "made")); err != nil {
				t.Fatal(err)
			}
			epoch, err := store.Leases{DB: db}.Claim(t.Context(), provision.LeaseKind, j.Key.String(), "test", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			fences = append(fences, provision.Fence{Key: j.Key, Epoch: epoch})
		}
		test(t, s, fences[0], fences[1])
	})
}

func TestJobs(t *testing.T) {
	t.Parallel()
	t.Run("a_job_is_read_as_it_was_written", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			got, err := s.Job(t.Context(), f.Key)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(newJob(t, "acme"), got); d != "" {
				t.Errorf("job (-want +got):\n%s", d)
			}
			jobs, err := s.ListJobs(t.Context(), "contoso")
			if err != nil || len(jobs) != 2 || jobs[0].Key != f.Key || jobs[1].Key != other.Key {
				t.Errorf("jobs %v, %v", jobs, err)
			}
			if jobs, err = s.ListJobs(t.Context(), "fabrikam"); err != nil || len(jobs) != 0 {
				t.Errorf("another directory's jobs %v, %v", jobs, err)
			}
			if jobs, err = s.ListJobs(t.Context(), ""); err != nil || len(jobs) != 2 {
				t.Errorf("all jobs %v, %v", jobs, err)
			}
			if _, err := s.Job(t.Context(), provision.Key{Directory: "fabrikam", App: "acme"}); !errors.Is(err, provision.ErrNoJob) {
				t.Errorf("got %v, want ErrNoJob", err)
			}
		})
	})
	t.Run("a_job_is_made_once", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, _ provision.Fence) {
			j := newJob(t, "acme")
			if err := s.InsertJob(t.Context(), j, jobEvent(j.Key, "again")); !errors.Is(err, provision.ErrChanged) {
				t.Errorf("got %v, want ErrChanged", err)
			}
		})
	})
	t.Run("a_lost_update_is_refused", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, _ provision.Fence) {
			j := newJob(t, "acme")
			j.Version, j.Status, j.SealedSecret = 2, provision.Off, []byte{}
			if err := s.UpdateJob(t.Context(), j, jobEvent(j.Key, "changed")); err != nil {
				t.Fatal(err)
			}
			if err := s.UpdateJob(t.Context(), j, jobEvent(j.Key, "changed")); !errors.Is(err, provision.ErrChanged) {
				t.Errorf("got %v, want ErrChanged", err)
			}
			got, err := s.Job(t.Context(), f.Key)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(j, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("job (-want +got):\n%s", d)
			}
			events, err := store.Events{DB: s.DB}.Read(t.Context(), event.Directory("contoso"), event.Position{}, 10)
			if err != nil || len(events) != 3 {
				t.Errorf("got %d events, %v; want those of two jobs and one change", len(events), err)
			}
		})
	})
	t.Run("only_running_jobs_are_watched", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			j := newJob(t, "acme")
			j.Version, j.Status = 2, provision.Off
			if err := s.UpdateJob(t.Context(), j, jobEvent(j.Key, "changed")); err != nil {
				t.Fatal(err)
			}
			states, err := s.WatchedStates(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(map[provision.Key]provision.State{other.Key: {}}, states); d != "" {
				t.Errorf("watched (-want +got):\n%s", d)
			}
		})
	})
	t.Run("a_removed_job_leaves_nothing_and_takes_nobody_else_s", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			for _, fence := range []provision.Fence{f, other} {
				if err := s.Import(t.Context(), fence, provision.State{}, listed(provision.ByCycle, "p1")); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.DeleteJob(t.Context(), f.Key, jobEvent(f.Key, "removed")); err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteJob(t.Context(), f.Key, jobEvent(f.Key, "removed")); !errors.Is(err, provision.ErrNoJob) {
				t.Errorf("got %v, want ErrNoJob", err)
			}
			if err := s.SaveState(t.Context(), f, provision.State{}, nil); !errors.Is(err, store.ErrLeaseLost) {
				t.Errorf("a write of the removed job: got %v", err)
			}
			for k, want := range map[provision.Key]int{f.Key: 0, other.Key: 1} {
				if ids, err := s.PendingIDs(t.Context(), k); err != nil || len(ids) != want {
					t.Errorf("%s: %v, %v", k, ids, err)
				}
			}
		})
	})
}

func TestProvisioningState(t *testing.T) {
	t.Parallel()
	full := provision.State{
		Asked: provision.Asked{LookAtAll: 1, TryNow: 2, ForgetFailures: 3, ForgetLinks: 4}, Phase: provision.Snapshot,
		Cycle: provision.CycleReport{ID: "c1", Kind: provision.InitialCycle, Started: jobTime, Created: 7},
		After: "p9", Start: "3-8", Watermark: "0-5", Ready: true,
		NextCycle: jobTime, Cooldown: jobTime, NextUnmatched: jobTime, FirstDone: jobTime, FailedRuns: 2,
		Quarantine: &provision.Quarantine{Since: jobTime, Code: "x", NextAttempt: jobTime, Attempts: 3},
		Last:       &provision.CycleReport{ID: "c0"}, LastGood: &provision.CycleReport{ID: "c0"},
	}
	t.Run("it_is_read_as_it_was_written_with_its_event", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			e := jobEvent(f.Key, "provisioning.quarantined")
			if err := s.SaveState(t.Context(), f, full, &e); err != nil {
				t.Fatal(err)
			}
			got, err := s.State(t.Context(), f.Key)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(full, got); d != "" {
				t.Errorf("state (-want +got):\n%s", d)
			}
			if got, err = s.State(t.Context(), other.Key); err != nil || got.Phase != provision.Idle {
				t.Errorf("the other job's state %+v, %v", got, err)
			}
			if _, err := s.State(t.Context(), provision.Key{Directory: "contoso", App: "none"}); !errors.Is(err, provision.ErrNoJob) {
				t.Errorf("got %v, want ErrNoJob", err)
			}
		})
	})
	t.Run("no_write_of_a_late_owner_counts", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, _ provision.Fence) {
			if _, err := (store.Leases{DB: s.DB}).Claim(t.Context(), provision.LeaseKind, f.Key.String(), "test", time.Hour); err != nil {
				t.Fatal(err)
			}
			yes := true
			for name, write := range map[string]func() error{
				"SaveState": func() error { return s.SaveState(t.Context(), f, full, nil) },
				"Import":    func() error { return s.Import(t.Context(), f, full, listed(provision.ByChange, "p1")) },
				"Forget":    func() error { return s.Forget(t.Context(), f, full, provision.Forget{Links: true}) },
				"Intent": func() error {
					return s.Record(t.Context(), f, full, []provision.Outcome{{ObjectID: "p1", Intent: &provision.Op{ObjectID: "p1"}}})
				},
				"Record": func() error {
					return s.Record(t.Context(), f, full, []provision.Outcome{{ObjectID: "p1", Unmatched: &yes}})
				},
			} {
				if err := write(); !errors.Is(err, store.ErrLeaseLost) {
					t.Errorf("%s: got %v, want a lost lease", name, err)
				}
			}
			if st, err := s.State(t.Context(), f.Key); err != nil || st.Phase != provision.Idle {
				t.Errorf("state %+v, %v", st, err)
			}
			if c, err := s.Counts(t.Context(), f.Key); err != nil || c != (provision.Counts{}) {
				t.Errorf("counts %+v, %v", c, err)
			}
		})
	})
}

// listed returns rows that put these people into the lane Updates of the work list.
func listed(why provision.Why, ids ...string) (all []provision.Listed) {
	for _, id := range ids {
		all = append(all, provision.Listed{ObjectID: id, Why: why, Lane: provision.Updates})
	}
	return all
}

func intent(op provision.Op) provision.Outcome {
	return provision.Outcome{ObjectID: op.ObjectID, Intent: &op}
}

func record(t *testing.T, s store.Provisioning, f provision.Fence, outcomes ...provision.Outcome) {
	t.Helper()
	if err := s.Record(t.Context(), f, provision.State{}, outcomes); err != nil {
		t.Fatal(err)
	}
}

func TestProvisioningWork(t *testing.T) {
	t.Parallel()
	link := provision.Link{
		ObjectID: "p1", TargetID: "u1", How: "created", State: provision.Active, Kind: provision.UserKind, Hash: "h", Name: "Ada", Since: jobTime, Updated: jobTime,
		Keys: []provision.MatchKey{{Path: "userName", Value: "ada@contoso.com"}, {Path: "n", Value: int64(9007199254740993)}, {Path: "active", Value: true}},
		Wrote: provision.Ledger{
			"title": {Sent: "Countess", Got: "COUNTESS", Shown: true}, "active": {Sent: true}, "n": {Sent: int64(9007199254740993)}, "locale": {},
		},
		Version: `W/"7"`, Proved: jobTime,
	}
	op := provision.Op{ObjectID: "p1", ID: "o1", Keys: []provision.MatchKey{{Path: "userName", Value: "ada"}}, Sent: jobTime, Cycle: "c1"}
	escrow := provision.Escrow{ObjectID: "p1", Name: "Ada", First: jobTime, Last: jobTime, Next: jobTime.Add(time.Hour), Count: 2, Code: "Timeout", Reason: "slow"}
	yes, no := true, false

	t.Run("the_work_list_has_everybody_once_with_all_that_is_remembered", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			st := provision.State{After: "p2"}
			for _, why := range []provision.Why{provision.ByChange, provision.ByAbsence} {
				if err := s.Import(t.Context(), f, st, listed(why, "p2", "p1")); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Import(t.Context(), f, st, listed(provision.ByAbsence, "p3")); err != nil {
				t.Fatal(err)
			}
			if err := s.Import(t.Context(), other, st, listed(provision.ByCycle, "p1")); err != nil {
				t.Fatal(err)
			}
			record(t, s, f, intent(provision.Op{ObjectID: "p1", ID: "old"}))
			record(t, s, f, intent(op))
			record(t, s, f, provision.Outcome{ObjectID: "p1", Postpone: jobTime.Add(time.Second), Link: &link, Escrow: &escrow, Unmatched: &yes})
			ignored := cmpopts.IgnoreFields(provision.Pending{}, "Since")
			want := []provision.Pending{
				{ObjectID: "p2", Why: provision.ByChange, Lane: provision.Updates, Turn: 2, Verdict: provision.Ready}, {ObjectID: "p3", Why: provision.ByAbsence, Lane: provision.Updates, Turn: 1, Verdict: provision.Ready},
			}
			got, err := s.Pending(t.Context(), f.Key, jobTime, false, 10)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, ignored); d != "" {
				t.Errorf("pending (-want +got):\n%s", d)
			}
			first := provision.Pending{ObjectID: "p1", Why: provision.ByChange, Lane: provision.Updates, Turn: 2, Verdict: provision.Ready, NotBefore: jobTime.Add(time.Second), Link: &link, Op: &op, Escrow: &escrow, Unmatched: true}
			if got, err = s.Pending(t.Context(), f.Key, jobTime.Add(time.Second), false, 1); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]provision.Pending{first}, got, ignored); d != "" {
				t.Errorf("pending (-want +got):\n%s", d)
			}
			known, err := s.KnownAbout(t.Context(), f.Key, "p1")
			if err != nil {
				t.Fatal(err)
			}
			first.Why, first.NotBefore, first.Lane, first.Turn = "", time.Time{}, 0, 0
			if d := cmp.Diff(first, known); d != "" {
				t.Errorf("known (-want +got):\n%s", d)
			}
			if known, err = s.KnownAbout(t.Context(), f.Key, "stranger"); err != nil || known.Link != nil || known.Op != nil || known.Escrow != nil || known.Unmatched {
				t.Errorf("a stranger is known: %+v, %v", known, err)
			}
			ids, err := s.PendingIDs(t.Context(), f.Key)
			if d := cmp.Diff([]string{"p1", "p2", "p3"}, ids); d != "" || err != nil {
				t.Errorf("pending ids (-want +got):\n%s%v", d, err)
			}
			if c, err := s.Counts(t.Context(), f.Key); err != nil || c != (provision.Counts{Linked: 1, Active: 1, Escrowed: 1, Unmatched: 1, Pending: 3}) {
				t.Errorf("counts %+v, %v", c, err)
			}
			if st, err := s.State(t.Context(), f.Key); err != nil || st.After != "" {
				t.Errorf("the state was not saved with the work: %+v, %v", st, err)
			}
		})
	})
	t.Run("what_is_done_is_forgotten", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, _ provision.Fence) {
			if err := s.Import(t.Context(), f, provision.State{}, listed(provision.ByChange, "p1")); err != nil {
				t.Fatal(err)
			}
			record(t, s, f, intent(op))
			record(t, s, f, provision.Outcome{ObjectID: "p1", Postpone: jobTime, Link: &link, Escrow: &escrow, Unmatched: &yes})
			record(t, s, f, provision.Outcome{ObjectID: "p1", Unlink: true, DropOp: true, DropFail: true, Unmatched: &no})
			known, err := s.KnownAbout(t.Context(), f.Key, "p1")
			if d := cmp.Diff(provision.Pending{ObjectID: "p1"}, known); d != "" || err != nil {
				t.Errorf("known (-want +got):\n%s%v", d, err)
			}
			if next, err := s.NextPending(t.Context(), f.Key, false); err != nil || !next.IsZero() {
				t.Errorf("next pending %s, %v", next, err)
			}
		})
	})
	t.Run("whoever_was_tried_or_is_about_to_be_is_found", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			at := func(id string, last time.Time) provision.Outcome {
				e := escrow
				e.ObjectID, e.Last = id, last
				return provision.Outcome{ObjectID: id, Escrow: &e}
			}
			record(t, s, f, at("p1", jobTime), at("p2", jobTime.Add(time.Second)), at("p3", jobTime), at("p4", jobTime), at("p5", jobTime.Add(time.Second)))
			record(t, s, other, at("p1", jobTime.Add(time.Second)))
			held := provision.Listed{ObjectID: "p4", Why: provision.ByRetry, Lane: provision.Leavers, Takes: true, Cause: "import"}
			for _, l := range [][]provision.Listed{listed(provision.ByRetry, "p3", "p9"), listed(provision.ByCycle, "p1"), {held}} {
				if err := s.Import(t.Context(), f, provision.State{}, l); err != nil {
					t.Fatal(err)
				}
			}
			ids, err := s.TriedSince(t.Context(), f.Key, "p1", "p4", jobTime)
			if diff := cmp.Diff([]string{"p2", "p3"}, ids); diff != "" || err != nil {
				t.Errorf("tried (-want +got):\n%s%v", diff, err)
			}
		})
	})
	t.Run("a_look_at_everyone_takes_nothing_from_an_account_that_was_ended_meanwhile", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, _ provision.Fence) {
			ended := link
			ended.ObjectID, ended.TargetID, ended.State = "p2", "u2", provision.Disabled
			record(t, s, f, provision.Outcome{ObjectID: "p1", Link: &link}, provision.Outcome{ObjectID: "p2", Link: &ended})
			var all []provision.Listed
			for _, id := range []string{"p1", "p2"} {
				all = append(all, provision.Listed{ObjectID: id, Why: provision.ByCycle, Lane: provision.Leavers, Takes: true, Cause: "cycle-1", State: provision.Active})
			}
			if err := s.Import(t.Context(), f, provision.State{}, all); err != nil {
				t.Fatal(err)
			}
			for id, want := range map[string]provision.Verdict{"p1": provision.Judging, "p2": provision.Ready} {
				if known, err := s.KnownAbout(t.Context(), f.Key, id); err != nil || known.Verdict != want || known.Takes != (want == provision.Judging) {
					t.Errorf("%s: verdict %q, takes %v, %v; want %q", id, known.Verdict, known.Takes, err, want)
				}
			}
		})
	})
	t.Run("everything_that_jobs_have_linked_is_counted", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			group, lost := link, link
			group.ObjectID, group.TargetID, group.Kind = "g1", "t1", provision.GroupKind
			lost.ObjectID, lost.TargetID, lost.State = "p2", "u2", provision.Lost
			record(t, s, f, provision.Outcome{ObjectID: "p1", Link: &link}, provision.Outcome{ObjectID: "p2", Link: &lost}, provision.Outcome{ObjectID: "g1", Link: &group})
			record(t, s, other, provision.Outcome{ObjectID: "p1", Link: &link})
			work := provision.Listed{ObjectID: provision.MembersOf("g1"), Why: provision.ByChange, Lane: provision.Memberships, Members: []provision.ListedMember{{Member: "p1"}, {Member: "p2"}}}
			if err := s.Import(t.Context(), f, provision.State{}, []provision.Listed{work}); err != nil {
				t.Fatal(err)
			}
			sent := []provision.MemberOutcome{{Member: "p1", Turn: 1, Has: "u1"}, {Member: "p2", Turn: 1, Has: "u2", Unsure: true}}
			record(t, s, f, provision.Outcome{ObjectID: "g1", Memberships: &provision.MembersRecord{Outcomes: sent}})
			if people, groups, members, err := s.CountLinked(t.Context()); err != nil || people != 2 || groups != 1 || members != 1 {
				t.Errorf("counted %d people, %d groups and %d members, %v", people, groups, members, err)
			}
		})
	})
	t.Run("waiting_times_are_found", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, _ provision.Fence) {
			if next, err := s.NextRetry(t.Context(), f.Key); err != nil || !next.IsZero() {
				t.Errorf("next retry of nobody %s, %v", next, err)
			}
			later := escrow
			later.Next = jobTime.Add(2 * time.Hour)
			record(t, s, f, provision.Outcome{ObjectID: "p1", Escrow: &escrow}, provision.Outcome{ObjectID: "p2", Escrow: &later})
			if next, err := s.NextRetry(t.Context(), f.Key); err != nil || !next.Equal(escrow.Next) {
				t.Errorf("next retry %s, %v", next, err)
			}
			for at, want := range map[time.Time]int{jobTime: 0, escrow.Next: 1, later.Next: 2, {}: 2} {
				if ids, err := s.DueEscrowIDs(t.Context(), f.Key, at); err != nil || len(ids) != want {
					t.Errorf("recalled at %s: %v, %v; want %d", at, ids, err, want)
				}
			}
			if err := s.Import(t.Context(), f, provision.State{}, listed(provision.ByRetry, "p1")); err != nil {
				t.Fatal(err)
			}
			if next, err := s.NextPending(t.Context(), f.Key, false); err != nil || next.IsZero() || next.After(jobTime) {
				t.Errorf("somebody who waits for nothing: %s, %v", next, err)
			}
		})
	})
	t.Run("accounts_change_hands_within_one_batch", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			record(t, s, f, provision.Outcome{ObjectID: "p1", Link: &link})
			record(t, s, other, provision.Outcome{ObjectID: "p1", Link: &link}) // the account of another application
			taken, moved := link, link
			moved.TargetID = "u2"
			record(t, s, f,
				provision.Outcome{ObjectID: "p0", Link: &taken},
				provision.Outcome{ObjectID: "p1", Unlink: true, Link: &moved})
			for id, want := range map[string]string{"u1": "p0", "u2": "p1", "u3": ""} {
				if got, err := s.Owner(t.Context(), f.Key, provision.UserKind, id); err != nil || got != want {
					t.Errorf("%s belongs to %q, %v; want %q", id, got, err, want)
				}
			}
			if err := s.Record(t.Context(), f, provision.State{}, []provision.Outcome{{ObjectID: "p9", Link: &link}}); err == nil {
				t.Error("two people share an account")
			}
		})
	})
	t.Run("creates_of_unknown_outcome_are_listed", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			create := func(id string, kind provision.ObjectKind, name string) provision.Outcome {
				return provision.Outcome{ObjectID: id, Intent: &provision.Op{ObjectID: id, ID: "op-" + id, Kind: kind, Sent: jobTime, Keys: []provision.MatchKey{{Path: "userName", Value: name}}}}
			}
			record(t, s, f, create("p2", provision.UserKind, "bob"), create("p1", provision.UserKind, "ann"), create("g1", provision.GroupKind, "team"))
			record(t, s, other, create("p3", provision.UserKind, "cyn"))
			record(t, s, f, provision.Outcome{ObjectID: "p2", DropOp: true}, create("p0", provision.UserKind, "bob"))
			want := []provision.Op{{ObjectID: "p0", Keys: []provision.MatchKey{{Path: "userName", Value: "bob"}}}, {ObjectID: "p1", Keys: []provision.MatchKey{{Path: "userName", Value: "ann"}}}}
			got, err := s.OpenCreates(t.Context(), f.Key, provision.UserKind)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	})
	t.Run("links_are_paged_in_order", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, _ provision.Fence) {
			for i := range 5 {
				l := link
				l.TargetID = fmt.Sprint("u", i)
				record(t, s, f, provision.Outcome{ObjectID: fmt.Sprint("p", 4-i), Link: &l})
			}
			page, err := s.LinkedIDs(t.Context(), f.Key, provision.UserKind, "p1", 2)
			if d := cmp.Diff([]string{"p2", "p3"}, page); d != "" || err != nil {
				t.Errorf("page (-want +got):\n%s%v", d, err)
			}
		})
	})
	t.Run("accounts_that_are_gone_are_listed_by_how_sure_that_is", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			for i, state := range []provision.LinkState{provision.Active, provision.Lost, provision.Gone, provision.Gone} {
				l := link
				l.TargetID, l.State, l.Updated = fmt.Sprint("u", i), state, jobTime.Add(time.Duration(i)*time.Hour)
				record(t, s, f, provision.Outcome{ObjectID: fmt.Sprint("p", i), Link: &l})
				record(t, s, other, provision.Outcome{ObjectID: fmt.Sprint("q", i), Link: &l})
			}
			lost, err := s.LostIDs(t.Context(), f.Key)
			if d := cmp.Diff([]string{"p1"}, lost); d != "" || err != nil {
				t.Errorf("lost (-want +got):\n%s%v", d, err)
			}
			gone, err := s.GoneSince(t.Context(), f.Key, jobTime.Add(2*time.Hour))
			if d := cmp.Diff([]string{"p3"}, gone); d != "" || err != nil {
				t.Errorf("gone (-want +got):\n%s%v", d, err)
			}
			if c, err := s.Counts(t.Context(), f.Key); err != nil || c.Linked != 1 || c.Lost != 1 {
				t.Errorf("counts %+v, %v", c, err)
			}
		})
	})
	t.Run("forgetting_is_by_kind", func(t *testing.T) {
		t.Parallel()
		eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
			lost := link
			lost.TargetID, lost.State = "u9", provision.Lost
			for _, fence := range []provision.Fence{f, other} {
				record(t, s, fence, provision.Outcome{ObjectID: "p1", Link: &link, Escrow: &escrow, Unmatched: &yes}, provision.Outcome{ObjectID: "p2", Link: &lost})
			}
			count := func(what provision.Forget) provision.Counts {
				t.Helper()
				if err := s.Forget(t.Context(), f, provision.State{}, what); err != nil {
					t.Fatal(err)
				}
				c, err := s.Counts(t.Context(), f.Key)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			if got := count(provision.Forget{Escrows: true}); got != (provision.Counts{Linked: 1, Active: 1, Lost: 1, Unmatched: 1}) {
				t.Errorf("after a restart: %+v", got)
			}
			if got := count(provision.Forget{Links: true, Unmatched: true}); got != (provision.Counts{}) {
				t.Errorf("after another target: %+v", got)
			}
			if c, err := s.Counts(t.Context(), other.Key); err != nil || c != (provision.Counts{Linked: 1, Active: 1, Lost: 1, Escrowed: 1, Unmatched: 1}) {
				t.Errorf("the other job: %+v, %v", c, err)
			}
		})
	})
}

func TestProvisioningLog(t *testing.T) {
	t.Parallel()
	eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
		var all []provision.LogEntry
		for i := range 7 {
			e := provision.LogEntry{
				ID: fmt.Sprint("e", i), ActivityTime: jobTime.Add(time.Duration(i/2) * time.Second), CycleID: fmt.Sprint("c", i%2), Action: provision.Update,
				Status:         provision.StatusInfo{Status: provision.Success},
				SourceIdentity: provision.Identity{ID: fmt.Sprint("p", i), DisplayName: "Åse 100% Sture", Details: map[string]string{"userPrincipalName": fmt.Sprint("USER", i, "@contoso.com")}},
				Steps:          []provision.Step{{Name: "EntryImport", Type: provision.ImportStep, Details: map[string]string{"a": "b"}}}, Modified: []provision.ModifiedProperty{},
			}
			if i == 5 {
				e.Status.Status = provision.Skipped
			}
			if i == 3 {
				e.Action, e.Status = provision.Create, provision.StatusInfo{Status: provision.Failure, Code: "EntryConflict"}
			}
			all = append(all, e)
			record(t, s, f, provision.Outcome{ObjectID: e.SourceIdentity.ID, Entry: &e})
		}
		record(t, s, other, provision.Outcome{ObjectID: "p1", Entry: &all[1]})
		ids := func(q provision.LogQuery) (ids []string, next string) {
			t.Helper()
			if q.Limit == 0 {
				q.Limit = 50
			}
			page, next, err := s.Logs(t.Context(), f.Key, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				ids = append(ids, e.ID)
			}
			return ids, next
		}
		var paged []string
		for q := (provision.LogQuery{Limit: 3}); ; {
			page, next := ids(q)
			paged = append(paged, page...)
			if next == "" {
				break
			}
			q.Before = next
		}
		if d := cmp.Diff([]string{"e6", "e5", "e4", "e3", "e2", "e1", "e0"}, paged); d != "" {
			t.Errorf("pages (-want +got):\n%s", d)
		}
		for name, tt := range map[string]struct {
			q    provision.LogQuery
			want []string
		}{
			"by_status":        {provision.LogQuery{Status: provision.Failure}, []string{"e3"}},
			"by_action":        {provision.LogQuery{Action: provision.Create}, []string{"e3"}},
			"by_object":        {provision.LogQuery{ObjectID: "p2"}, []string{"e2"}},
			"by_cycle":         {provision.LogQuery{Cycle: "c1"}, []string{"e5", "e3", "e1"}},
			"by_user_name":     {provision.LogQuery{Search: "user5@"}, []string{"e5"}},
			"by_folded_words":  {provision.LogQuery{Search: "  ÅSE user4"}, []string{"e4"}},
			"by_code":          {provision.LogQuery{Search: "entryconflict"}, []string{"e3"}},
			"by_percent":       {provision.LogQuery{Search: "100% user1"}, []string{"e1"}},
			"wildcards_do_not": {provision.LogQuery{Search: "us_r1"}, nil},
			"without_skipped":  {provision.LogQuery{Cycle: "c1", Shown: true}, []string{"e3", "e1"}},
			"skipped_alone":    {provision.LogQuery{Status: provision.Skipped, Shown: true}, []string{"e5"}},
			"by_time":          {provision.LogQuery{From: jobTime.Add(time.Second), Until: jobTime.Add(2 * time.Second)}, []string{"e3", "e2"}},
		} {
			if n, err := s.CountLogs(t.Context(), f.Key, tt.q); n != len(tt.want) || err != nil {
				t.Errorf("%s: counted %d, %v, want %d", name, n, err, len(tt.want))
			}
			if got, _ := ids(tt.q); cmp.Diff(tt.want, got) != "" {
				t.Errorf("%s: got %v, want %v", name, got, tt.want)
			}
		}
		got, err := s.Log(t.Context(), f.Key, "e3")
		if d := cmp.Diff(all[3], got); d != "" || err != nil {
			t.Errorf("entry (-want +got):\n%s%v", d, err)
		}
		if _, err := s.Log(t.Context(), other.Key, "e3"); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("the other job's entry: %v", err)
		}
		for _, before := range []string{"x", "1", "x-1"} {
			var input *provision.InputError
			if _, _, err := s.Logs(t.Context(), f.Key, provision.LogQuery{Before: before, Limit: 1}); !errors.As(err, &input) {
				t.Errorf("cursor %q: got %v", before, err)
			}
		}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	eachJob(t, func(t *testing.T, s store.Provisioning, f, other provision.Fence) {
		all, err := s.Secrets(t.Context())
		want := []provision.SealedSecret{
			{Key: f.Key, TenantURL: "https://acme.example.com/scim", Sealed: []byte{0, 1, 255, '\n'}},
			{Key: other.Key, TenantURL: "https://acme.example.com/scim", Sealed: []byte{0, 1, 255, '\n'}},
		}
		if d := cmp.Diff(want, all); err != nil || d != "" {
			t.Fatalf("%v (-want +got):\n%s", err, d)
		}
		before, err := s.Job(t.Context(), f.Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ReplaceSecret(t.Context(), all[0], []byte("new")); err != nil {
			t.Fatal(err)
		}
		if err := s.ReplaceSecret(t.Context(), all[0], []byte("newer")); !errors.Is(err, provision.ErrChanged) {
			t.Errorf("got %v for a secret that is another one by now, want ErrChanged", err)
		}
		after, err := s.Job(t.Context(), f.Key)
		if err != nil || string(after.SealedSecret) != "new" {
			t.Errorf("got %q, %v", after.SealedSecret, err)
		}
		// A save by a caller that has read the old secret must not restore the old secret.
		before.Version++
		if err := s.UpdateJob(t.Context(), before, jobEvent(f.Key, "saved")); !errors.Is(err, provision.ErrChanged) {
			t.Errorf("got %v for a save of before, want ErrChanged", err)
		}
		if untouched, err := s.Job(t.Context(), other.Key); err != nil || string(untouched.SealedSecret) != "\x00\x01\xff\n" {
			t.Errorf("got %q, %v for the other job", untouched.SealedSecret, err)
		}
	})
}
