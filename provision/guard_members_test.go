package provision_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// crew is a groupWorld with one group, blue, that has many members.
type crew struct {
	*groupWorld
	people []string
	blue   string
}

func newCrew(t *testing.T, db *store.DB, n int, options ...option) *crew {
	t.Helper()
	c := &crew{groupWorld: newGroupWorldOn(t, db, options...)}
	for i := range n {
		c.people = append(c.people, c.hire(fmt.Sprintf("p%02d", i), true))
	}
	c.blue = c.group("Team Blue", c.people...)
	c.sync()
	c.wantMembers("at first", n)
	return c
}

// wantMembers compares the number of members of the application's first group.
func (c *crew) wantMembers(when string, want int) {
	c.t.Helper()
	c.teams.mu.Lock()
	defer c.teams.mu.Unlock()
	members, _ := c.teams.byID[c.teams.order[0]]["members"].([]any)
	if len(members) != want {
		c.t.Errorf("%s: the group has %d members, want %d", when, len(members), want)
	}
}

// removeByFile imports a file that ends memberships of the group.
func (c *crew) removeByFile(members ...string) {
	c.t.Helper()
	r, err := c.handle.ImportMembers(c.t.Context(), memberFile(members...), directory.MemberImport{Group: c.blue, Remove: true, Actor: "cli"})
	if err != nil || len(r.Errors) > 0 || r.Changed != len(members) {
		c.t.Fatalf("import: %+v, %v", r, err)
	}
}

func memberFile(members ...string) (f directory.GroupFile) {
	for i, m := range members {
		f.Rows = append(f.Rows, directory.Row{Line: i + 2, Values: map[string]string{directory.RowMember: m}})
	}
	return f
}

// held returns the only cause that is on hold.
func (c *crew) held() provision.HeldCause {
	c.t.Helper()
	all, err := c.jobs.Held(c.t.Context(), c.key, provision.OnHold)
	c.must(err)
	if len(all) != 1 {
		c.t.Fatalf("on hold are %+v, want one cause", all)
	}
	return all[0]
}

func (c *crew) nothingHeld(when string) {
	c.t.Helper()
	if r := c.report(); r.OnHold != 0 {
		c.t.Errorf("%s: %d are on hold", when, r.OnHold)
	}
}

// TestTheGuardJudgesMembers ends memberships in several ways, and counts the members at the
// application.
func TestTheGuardJudgesMembers(t *testing.T) {
	t.Parallel()
	t.Run("a_file_that_ends_half_of_them_is_held_and_approved_as_it_was_seen", func(t *testing.T) {
		t.Parallel()
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			c := newCrew(t, db, 60)
			c.removeByFile(c.people[:30]...)
			c.sync()
			c.wantMembers("the file", 60)
			h := c.held()
			want := provision.HeldCause{
				ID: h.ID, Words: "Import of memberships by command line", Since: h.Since, Count: 30, Members: 30, Links: 61, Memberships: 60, Batch: 1,
				Reasons: []provision.HeldReason{{Reason: "no member of group 'Team Blue' in the directory", Count: 30}}, Names: h.Names,
			}
			if diff := cmp.Diff(want, h); diff != "" || len(h.Names) != 5 || !strings.HasPrefix(h.Names[0], "p") {
				t.Errorf("on hold (-want +got):\n%s\nnames %q", diff, h.Names)
			}
			if r := c.report(); r.OnHold != 30 || r.Pending != 0 {
				t.Errorf("status: %+v", r)
			}

			// One more member leaves by hand, and one of the thirty held members is added again by
			// hand.
			c.leave(c.blue, c.people[40])
			c.join(c.blue, c.people[3])
			c.sync()
			c.wantMembers("by hand", 59)
			h = c.held()
			if h.Count != 29 || h.Changed != 1 {
				t.Errorf("after one came back: %+v", h)
			}
			objects, next, err := c.jobs.HeldObjects(t.Context(), c.key, h.ID, provision.OnHold, "", 20)
			rest, end, err2 := c.jobs.HeldObjects(t.Context(), c.key, h.ID, provision.OnHold, next, 20)
			if err := errors.Join(err, err2); err != nil || len(objects) != 20 || len(rest) != 9 || end != "" {
				t.Errorf("pages of %d and %d, then %q, %v", len(objects), len(rest), end, err)
			}
			for _, o := range append(objects, rest...) {
				if o.Group != c.blue || o.TargetID == "" || o.ObjectID == c.people[3] || o.ObjectID == c.people[40] {
					t.Errorf("on hold is %+v", o)
				}
			}
			if _, err := c.jobs.Approve(t.Context(), c.key, h.ID, h.Batch+1, "cli"); !errors.Is(err, provision.ErrChanged) {
				t.Errorf("another batch than was seen: %v", err)
			}
			if did, err := c.jobs.Approve(t.Context(), c.key, h.ID, h.Batch, "cli"); err != nil || did.Count != 29 {
				t.Errorf("approved %+v, %v", did, err)
			}
			c.sync()
			c.wantMembers("approved", 30)
			c.nothingHeld("approved")
		})
	})
	t.Run("the_limit_is_5_or_10_percent_of_the_memberships", func(t *testing.T) {
		t.Parallel()
		for _, tt := range []struct{ members, removed, left int }{{20, 5, 15}, {20, 6, 20}, {60, 6, 54}, {60, 7, 60}} {
			c := newCrew(t, storetest.New(t), tt.members)
			c.removeByFile(c.people[:tt.removed]...)
			c.sync()
			c.wantMembers(fmt.Sprintf("%d of %d", tt.removed, tt.members), tt.left)
		}
	})
	t.Run("single_edits_go_through", func(t *testing.T) {
		t.Parallel()
		c := newCrew(t, storetest.New(t), 20)
		for _, p := range c.people[:10] {
			c.leave(c.blue, p)
		}
		c.sync()
		c.wantMembers("one by one", 10)
		c.leave(c.blue, c.people[10:]...)
		c.sync()
		c.wantMembers("several on one page", 0)
	})
	t.Run("rejected_ones_stay_until_somebody_ends_them_by_hand_or_a_restart", func(t *testing.T) {
		t.Parallel()
		c := newCrew(t, storetest.New(t), 20)
		c.removeByFile(c.people[:10]...)
		c.sync()
		h := c.held()
		_, err := c.jobs.Reject(t.Context(), c.key, h.ID, h.Batch, "cli")
		c.must(err)
		c.sync()
		c.wantMembers("rejected", 20)
		if r := c.report(); r.Rejected != 10 || r.OnHold != 0 {
			t.Errorf("status: %+v", r)
		}
		c.join(c.blue, c.people[0], c.people[1])
		c.leave(c.blue, c.people[0])
		c.sync()
		c.wantMembers("one ended by hand", 19)
		if r := c.report(); r.Rejected != 8 {
			t.Errorf("%d are rejected", r.Rejected)
		}
		scope := []provision.FilterGroup{{Name: "everyone in Oslo or elsewhere", Clauses: []provision.FilterClause{clause("displayName", "NOT EQUALS", "nobody")}}}
		_, err = c.jobs.SetMapping(t.Context(), c.key, userRows, provision.MappingEdit{Scope: &scope}, "cli")
		c.must(err)
		c.sync()
		c.wantMembers("another cause", 19)
		if h := c.held(); h.Members != 8 || !strings.Contains(h.Words, "Source Object Scope") {
			t.Errorf("on hold is %+v", h)
		}
	})
	t.Run("a_file_in_the_middle_of_its_import_is_not_sent", func(t *testing.T) {
		t.Parallel()
		c := newCrew(t, storetest.New(t), 20)
		ctx := event.WithCause(t.Context(), event.Cause{ID: event.ImportCause + "killed", Words: "Import of memberships by sam", Now: c.clock.now})
		for i, p := range c.people[:8] {
			_, err := c.handle.RemoveMembers(ctx, c.blue, []string{p}, "cli")
			c.must(err)
			if i%3 == 1 {
				c.slice()
				c.slice()
				c.wantMembers(fmt.Sprintf("after %d", i), 20)
				if r := c.report(); r.Pending != i+1 || len(r.Waits) != 1 || r.Waits[0].Reason != provision.JudgedReason || r.Waits[0].Count != i+1 {
					t.Errorf("waiting are %+v, %d", r.Waits, r.Pending)
				}
			}
		}
		c.clock.advance(2 * time.Minute)
		c.slice()
		c.slice()
		c.wantMembers("at the end", 20)
		if h := c.held(); h.Members != 8 || h.Words != "Import of memberships by sam" {
			t.Errorf("on hold is %+v", h)
		}
	})
	t.Run("members_go_with_accounts_that_are_on_hold", func(t *testing.T) {
		t.Parallel()
		c := newCrew(t, storetest.New(t), 20)
		ctx := event.WithCause(t.Context(), event.Cause{ID: event.ImportCause + "leavers", Words: "Import of users by sam", Now: c.clock.now})
		for _, p := range c.people[:8] {
			_, err := c.handle.SoftDelete(ctx, p, "cli")
			c.must(err)
		}
		c.clock.advance(2 * time.Minute)
		c.sync()
		c.wantMembers("the import", 20)
		h := c.held()
		if h.Count != 16 || h.Members != 8 {
			t.Errorf("on hold is %+v", h)
		}
		_, err := c.jobs.Approve(t.Context(), c.key, h.ID, h.Batch, "cli")
		c.must(err)
		c.sync()
		c.wantMembers("approved", 12)
		c.nothingHeld("approved")
	})
}

// TestTheGuardJudgesGroups deletes many groups with one cause.
func TestTheGuardJudgesGroups(t *testing.T) {
	t.Parallel()
	teams := func(t *testing.T, db *store.DB) (*crew, []string) {
		c := newCrew(t, db, 3)
		ids := []string{c.blue}
		for i := range 11 {
			ids = append(ids, c.group(fmt.Sprintf("Team %02d", i), c.people...))
		}
		c.sync()
		if got := len(c.has()); got != 12 {
			t.Fatalf("%d groups at first", got)
		}
		return c, ids
	}
	want := func(c *crew, when string, n int) {
		c.t.Helper()
		if got := len(c.has()); got != n {
			c.t.Errorf("%s: %d groups, want %d", when, got, n)
		}
	}
	t.Run("of_an_import", func(t *testing.T) {
		t.Parallel()
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			c, ids := teams(t, db)
			ctx := event.WithCause(t.Context(), event.Cause{ID: event.ImportCause + "groups", Words: "Import of groups by sam", Now: c.clock.now})
			for _, id := range ids[:6] {
				_, err := c.handle.SoftDeleteGroup(ctx, id, "cli")
				c.must(err)
			}
			c.clock.advance(2 * time.Minute)
			c.sync()
			want(c, "the import", 12)
			h := c.held()
			if h.Count != 6 || h.Reasons[0].Reason != "deleted in the directory" {
				t.Errorf("on hold is %+v", h)
			}
			_, err := c.handle.SoftDeleteGroup(t.Context(), ids[7], "cli")
			c.must(err)
			c.rename(ids[8], "Team Other")
			c.sync()
			want(c, "one by hand", 11)
			_, err = c.jobs.Approve(t.Context(), c.key, h.ID, h.Batch, "cli")
			c.must(err)
			c.sync()
			want(c, "approved", 5)
		})
	})
	t.Run("of_a_filter", func(t *testing.T) {
		t.Parallel()
		c, _ := teams(t, storetest.New(t))
		scope := []provision.FilterGroup{{Name: "Blue only", Clauses: []provision.FilterClause{clause("displayName", "EQUALS", "Team Blue")}}}
		_, err := c.jobs.SetMapping(t.Context(), c.key, groupRows, provision.MappingEdit{Scope: &scope}, "cli")
		c.must(err)
		c.sync()
		want(c, "the filter", 12)
		if h := c.held(); h.Count != 11 || !strings.Contains(h.Reasons[0].Reason, "displayName") {
			t.Errorf("on hold is %+v", h)
		}
	})
}
