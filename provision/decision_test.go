package provision

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestSettle goes through every kind of decision and every result. It does so for an object with no
// stored data, and for one with all kinds of stored data.
func TestSettle(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 1, 9, 9, 0, 0, 0, time.UTC)
	soon := now.Add(time.Minute)
	yes, no := true, false
	old := Link{ObjectID: "p1", TargetID: "a1", State: Active}
	account := Link{ObjectID: "p1", TargetID: "a2", State: Active}
	with := func(l Link, s LinkState) *Link {
		l.State, l.Updated = s, now
		return &l
	}
	broken := &TargetError{Kind: Transient, Code: "Timeout", Detail: "It took too long."}
	waits := &Escrow{ObjectID: "p1", Name: "Ada", First: now, Last: now, Next: now.Add(time.Minute), Count: 1, Code: "Timeout", Reason: "It took too long."}
	again := &Escrow{ObjectID: "p1", Name: "Ada", First: now.Add(-time.Hour), Last: now, Next: now.Add(5 * time.Minute), Count: 2, Code: "Timeout", Reason: "It took too long."}

	fresh := memory{Pending: Pending{ObjectID: "p1"}, name: "Ada"}
	full := memory{Pending: Pending{
		ObjectID: "p1", Link: &old, Op: &Op{ObjectID: "p1"}, Unmatched: true,
		Escrow: &Escrow{ObjectID: "p1", First: now.Add(-time.Hour), Count: 1},
	}, name: "Ada"}
	resolved := full
	resolved.resolved = true

	tests := []struct {
		name     string
		decision decision
		result   result
		known    memory
		want     Outcome
	}{
		{"later", later{until: soon}, unsentResult{}, fresh, Outcome{Postpone: soon}},
		{"later_keeps_everything", later{until: soon}, unsentResult{}, full, Outcome{Postpone: soon}},
		{"later_after_a_create_is_resolved", later{until: soon}, unsentResult{}, resolved, Outcome{Postpone: soon, DropOp: true}},

		{"skip", skip{}, unsentResult{}, fresh, Outcome{}},
		{"skip_ends_a_failure", skip{}, unsentResult{}, full, Outcome{DropFail: true}},
		{"skip_without_an_account", skip{absence: noAccount}, unsentResult{}, fresh, Outcome{Unmatched: &yes}},
		{"skip_without_an_account_again", skip{absence: noAccount}, unsentResult{}, full, Outcome{DropFail: true}},
		{"skip_a_leaver_without_an_account", skip{absence: noneNeeded}, unsentResult{}, full, Outcome{DropFail: true, Unmatched: &no}},
		{"skip_with_a_pair", skip{pair: remember{account}}, unsentResult{}, resolved, Outcome{Link: with(account, Active), DropOp: true, DropFail: true, Unmatched: &no}},
		{"skip_with_a_lost_pair", skip{pair: rememberLost(old), absence: noAccount}, unsentResult{}, fresh, Outcome{Link: with(old, Lost), Unmatched: &yes}},
		{"skip_and_forget", skip{pair: forget{}}, unsentResult{}, fresh, Outcome{Unlink: true}},

		{"fail", fail{problem: broken}, unsentResult{}, fresh, Outcome{Escrow: waits}},
		{"fail_again", fail{problem: broken}, unsentResult{}, full, Outcome{Escrow: again}},
		{"fail_with_a_pair", fail{problem: broken, pair: remember{account}}, unsentResult{}, fresh, Outcome{Escrow: waits, Link: with(account, Active)}},
		{"fail_with_a_lost_pair", fail{problem: broken, pair: rememberLost(old)}, unsentResult{}, full, Outcome{Escrow: again, Link: with(old, Lost)}},

		{"create_unsent_takes_its_intent_back", create{}, unsentResult{}, full, Outcome{Postpone: now, DropOp: true}},
		{"create_done", create{}, doneResult{pair: remember{account}}, full, Outcome{Link: with(account, Active), DropOp: true, DropFail: true, Unmatched: &no}},
		{"create_refused", create{}, refusedResult{problem: broken}, full, Outcome{Escrow: again, DropOp: true}},
		{"create_that_may_have_happened_keeps_its_intent", create{}, refusedResult{problem: broken, mayHaveHappened: true}, resolved, Outcome{Escrow: again}},
		{"create_in_the_place_of_another_refused", create{replaces: &old}, refusedResult{problem: broken}, fresh, Outcome{Escrow: waits, Link: with(old, Lost)}},
		{"create_done_and_then_refused", create{replaces: &old}, refusedResult{problem: broken, pair: remember{account}}, fresh, Outcome{Escrow: waits, Link: with(account, Active)}},

		{"patch_unsent", patch{link: old}, unsentResult{}, full, Outcome{Postpone: now}},
		{"patch_done", patch{link: old}, doneResult{pair: remember{old}}, full, Outcome{Link: with(old, Active), DropFail: true, Unmatched: &no}},
		{"patch_done_for_a_purged_person", patch{link: old}, doneResult{pair: forget{}}, fresh, Outcome{Unlink: true}},
		{"patch_refused", patch{link: old}, refusedResult{problem: broken, mayHaveHappened: true}, full, Outcome{Escrow: again}},
		{"patch_of_a_pair_just_found_refused", patch{link: account}, refusedResult{problem: broken, pair: remember{account}}, resolved, Outcome{Escrow: again, Link: with(account, Active), DropOp: true, Unmatched: &no}},

		{"remove_unsent", remove{link: old}, unsentResult{}, full, Outcome{Postpone: now}},
		{"remove_done", remove{link: old}, doneResult{pair: forget{}}, full, Outcome{Unlink: true, DropFail: true, Unmatched: &no}},
		{"remove_refused", remove{link: old}, refusedResult{problem: broken}, full, Outcome{Escrow: again}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.want.ObjectID = "p1"
			if diff := cmp.Diff(settle(tt.decision, tt.result, tt.known, now), tt.want, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
	if old.State != Active {
		t.Error("settle changed a remembered link")
	}
}
