package store_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// TestAMembershipThatChangedHasALaterTurn records a page of new members while one of them is listed
// as changed. The turn of that membership must show that the membership has changed since the page
// was read, because turn 1 means that it has not.
func TestAMembershipThatChangedHasALaterTurn(t *testing.T) {
	t.Parallel()
	eachJob(t, func(t *testing.T, s store.Provisioning, f, _ provision.Fence) {
		ctx := t.Context()
		listed := []provision.Listed{{ObjectID: provision.MembersOf("blue"), Why: provision.ByChange, Members: []provision.ListedMember{{Member: "ada", Takes: true}}}}
		if err := s.Import(ctx, f, provision.State{}, listed); err != nil {
			t.Fatal(err)
		}
		sent := []provision.MemberOutcome{{Member: "ada", Turn: 1, Has: "u1"}}
		record(t, s, f, provision.Outcome{ObjectID: "blue", Memberships: &provision.MembersRecord{Outcomes: sent, IsNewPage: true}})
		work, err := s.Memberships(ctx, f.Key, "blue", 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(work.Open) != 1 || work.Open[0].Turn < 2 || work.Open[0].AcknowledgedAccount != "u1" || !work.Open[0].Takes {
			t.Errorf("open memberships %+v", work.Open)
		}
	})
}
