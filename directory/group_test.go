package directory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store"
)

// group makes a group with pairs of further attributes.
func (c company) group(t *testing.T, name string, pairs ...string) directory.Group {
	t.Helper()
	var g directory.Group
	for i, pairs := 0, append([]string{"displayName", name}, pairs...); i < len(pairs); i += 2 {
		if err := g.Set(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	g, did, err := c.PutGroup(t.Context(), g, "cli")
	if err != nil || !did {
		t.Fatalf("put group %s: did %v, error %v", name, did, err)
	}
	return g
}

// join adds members to a group, each of which is new.
func (c company) join(t *testing.T, g directory.Group, ids ...string) {
	t.Helper()
	if n, err := c.AddMembers(t.Context(), g.ObjectID, ids, "cli"); err != nil || n != len(ids) {
		t.Fatalf("add %v to %s: %d, %v", ids, g.DisplayName(), n, err)
	}
}

// members lists the names of all members, read in pages of a size.
func (c company) members(t *testing.T, group string, q directory.MemberQuery) []string {
	t.Helper()
	var list []string
	for {
		page, err := c.Members(t.Context(), group, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Members {
			list = append(list, string(m.Kind)+" "+m.DisplayName())
		}
		if !page.More {
			return list
		}
		q.After = page.Next
	}
}

func groupNames(groups []directory.Group) []string {
	var list []string
	for _, g := range groups {
		list = append(list, g.DisplayName())
	}
	return list
}

func ok[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestGroupsAreMadeRenamedDeletedAndRestored(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, c := t.Context(), newCompany(t, db)
		sales := c.group(t, " Sales ", "description", "Who sells", "mailNickname", "sales")
		team := c.group(t, "Team 1%")
		start := c.read(event.Position{})[2].Position

		sales.Attributes["displayName"] = "Sales Europe"
		sales, did, err := c.PutGroup(ctx, sales, "op")
		if err != nil || !did || sales.Version != 2 {
			t.Errorf("rename: %+v, %v, %v", sales, did, err)
		}
		stale := sales
		stale.Version = 1
		stale.Attributes = map[string]string{"displayName": "Old"}
		_, _, err = c.PutGroup(ctx, stale, "op")
		wantError(t, err, refusal.Stale, "Sales Europe was changed by somebody else")
		if _, did, err := c.PutGroup(ctx, sales, "op"); did || err != nil {
			t.Errorf("the same again: %v, %v", did, err)
		}
		for search, want := range map[string][]string{"": {"Sales Europe", "Team 1%"}, "SELLS europe": {"Sales Europe"}, "1%": {"Team 1%"}, "%": {"Team 1%"}, "nobody": nil} {
			page, err := c.Groups(ctx, directory.GroupQuery{Search: search})
			if diff := cmp.Diff(want, groupNames(page.Groups)); diff != "" || err != nil {
				t.Errorf("search %q: %v (-want +got):\n%s", search, err, diff)
			}
		}
		first := ok[directory.GroupPage](t)(c.Groups(ctx, directory.GroupQuery{Limit: 1}))
		second := ok[directory.GroupPage](t)(c.Groups(ctx, directory.GroupQuery{Limit: 1, After: first.Next}))
		if !first.More || second.More || second.Groups[0].ObjectID != team.ObjectID {
			t.Errorf("pages: %+v, then %+v", first, second)
		}

		wantError(t, c.PurgeGroup(ctx, sales.ObjectID, "op"), refusal.Conflict, "not deleted", "delete the group first")
		ok[directory.Group](t)(c.SoftDeleteGroup(ctx, sales.ObjectID, "op"))
		if n := ok[int](t)(c.CountGroups(ctx, directory.GroupQuery{})); n != 1 {
			t.Errorf("%d groups are left", n)
		}
		if page := ok[directory.GroupPage](t)(c.Groups(ctx, directory.GroupQuery{Deleted: true})); len(page.Groups) != 1 {
			t.Errorf("deleted are %v", groupNames(page.Groups))
		}
		_, _, err = c.PutGroup(ctx, directory.Group{ObjectID: sales.ObjectID, Attributes: map[string]string{"displayName": "X"}}, "op")
		wantError(t, err, refusal.Conflict, "is deleted", "restore")
		ok[directory.Group](t)(c.RestoreGroup(ctx, sales.ObjectID, "op"))
		ok[directory.Group](t)(c.SoftDeleteGroup(ctx, sales.ObjectID, "op"))
		if err := c.PurgeGroup(ctx, sales.ObjectID, "op"); err != nil {
			t.Fatal(err)
		}
		_, err = c.Group(ctx, sales.ObjectID)
		wantError(t, err, refusal.NotFound, "no group")
		_, err = c.RestoreGroup(ctx, sales.ObjectID, "op")
		wantError(t, err, refusal.NotFound, "no group")
		want := []string{
			"group.updated by op: Group Sales Europe was updated: displayName",
			"group.deleted by op: Group Sales Europe was deleted (can be restored)",
			"directory.group_changed by op: Deletion of group Sales Europe by op ended",
			"group.restored by op: Group Sales Europe was restored",
			"group.deleted by op: Group Sales Europe was deleted (can be restored)",
			"directory.group_changed by op: Deletion of group Sales Europe by op ended",
			"group.purged by op: Group Sales Europe was deleted permanently",
		}
		if diff := cmp.Diff(want, c.happened(start)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}

		// An object id belongs to one object forever.
		for _, used := range []string{sales.ObjectID, c.add(t, "Ada Okonkwo").ObjectID} {
			_, _, err = c.PutGroup(ctx, directory.Group{ObjectID: used, Attributes: map[string]string{"displayName": "X"}}, "op")
			wantError(t, err, refusal.Taken, used, "leave objectId out")
		}
		_, _, err = c.PutUser(ctx, directory.User{ObjectID: team.ObjectID, Attributes: map[string]any{"userPrincipalName": "x@contoso.example"}}, "op")
		wantError(t, err, refusal.Taken, team.ObjectID)
	})
}

func TestAGroupIsRefusedInWords(t *testing.T) {
	t.Parallel()
	c := newCompany(t, storetest.New(t))
	for _, refused := range []struct{ name, value, says string }{
		{"displayName", "", "displayName is empty"},
		{"displayName", "a\nb", "one line"},
		{"displayName", "Sal\u200bes", "U+200B"},
		{"displayName", strings.Repeat("x", 257), "256 are allowed"},
		{"mailNickname", "a b", "no space"},
		{"objectId", "42", "is a GUID"},
		{"owner", "ada", `no attribute "owner"`},
	} {
		g := directory.Group{Attributes: map[string]string{"displayName": "Sales"}}
		err := g.Set(refused.name, refused.value)
		if err == nil {
			_, _, err = c.PutGroup(t.Context(), g, "cli")
		}
		wantError(t, err, refusal.Invalid, refused.says)
	}
}

func TestGroupsWithOneNameAreFoundAndWarnedOf(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), newCompany(t, storetest.New(t))
	sales := c.group(t, "Sales")
	warning := func(g directory.Group) string { return ok[string](t)(c.NameWarning(ctx, g)) }
	if got := warning(sales); got != "" {
		t.Errorf("alone: %q", got)
	}
	if g := ok[directory.Group](t)(c.GroupNamed(ctx, " sales ")); g.ObjectID != sales.ObjectID {
		t.Errorf("found %+v", g)
	}
	twin := c.group(t, "Sales")
	if got := warning(twin); !strings.Contains(got, "is called Sales too (objectId "+sales.ObjectID+")") {
		t.Errorf("the same name: %q", got)
	}
	_, err := c.GroupNamed(ctx, "Sales")
	wantError(t, err, refusal.Conflict, "2 groups are called", sales.ObjectID, twin.ObjectID)
	if got := warning(c.group(t, "Sаles")); !strings.Contains(got, "2 more") && !strings.Contains(got, "looks the same") { // a Cyrillic letter
		t.Errorf("a look-alike: %q", got)
	}
	ok[directory.Group](t)(c.SoftDeleteGroup(ctx, twin.ObjectID, "cli"))
	if g := ok[directory.Group](t)(c.GroupNamed(ctx, "Sales")); g.ObjectID != sales.ObjectID {
		t.Errorf("found %+v", g)
	}
	ok[directory.Group](t)(c.SoftDeleteGroup(ctx, sales.ObjectID, "cli"))
	if err := c.PurgeGroup(ctx, sales.ObjectID, "cli"); err != nil {
		t.Fatal(err)
	}
	if g := ok[directory.Group](t)(c.GroupNamed(ctx, "Sales")); g.ObjectID != twin.ObjectID {
		t.Errorf("the deleted one: %+v", g)
	}
}

func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, c := t.Context(), newCompany(t, db)
		all, inner := c.group(t, "All"), c.group(t, "Inner circle")
		ada, bo, cy := c.add(t, "Ada Okonkwo"), c.add(t, "Bo Berg"), c.add(t, "Cy Young")
		c.join(t, all, ada.ObjectID, bo.ObjectID, inner.ObjectID)
		c.join(t, inner, cy.ObjectID)
		start := c.position(t)
		if n, err := c.AddMembers(ctx, all.ObjectID, []string{ada.ObjectID, strings.ToUpper(bo.ObjectID)}, "op"); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
		want := []string{"User Ada Okonkwo", "User Bo Berg", "Group Inner circle"}
		for _, limit := range []int{1, 2, 50} {
			if diff := cmp.Diff(want, c.members(t, all.ObjectID, directory.MemberQuery{Limit: limit})); diff != "" {
				t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
			}
		}
		if got := c.members(t, all.ObjectID, directory.MemberQuery{Search: "BERG"}); !slices.Equal(got, want[1:2]) {
			t.Errorf("search: %v", got)
		}
		if got := c.members(t, all.ObjectID, directory.MemberQuery{Kind: directory.GroupKind}); !slices.Equal(got, want[2:]) {
			t.Errorf("groups: %v", got)
		}

		_, err := c.AddMembers(ctx, all.ObjectID, []string{all.ObjectID}, "op")
		wantError(t, err, refusal.Invalid, "member of itself")
		_, err = c.AddMembers(ctx, all.ObjectID, []string{id(999)}, "op")
		wantError(t, err, refusal.NotFound, "no user or group", id(999))
		if w := ok[string](t)(c.NestingWarning(ctx, all.ObjectID)); w != "" {
			t.Errorf("no circle yet: %s", w)
		}
		c.join(t, inner, all.ObjectID)
		if w := ok[string](t)(c.NestingWarning(ctx, all.ObjectID)); !strings.Contains(w, "a member of itself") {
			t.Errorf("a circle: %q", w)
		}

		// A deleted user is no member until it is restored; a purged one has left.
		ok[directory.User](t)(c.SoftDelete(ctx, ada.ObjectID, "op"))
		if got := ok[directory.MemberCounts](t)(c.CountMembers(ctx, all.ObjectID)); got != (directory.MemberCounts{Users: 1, Groups: 1}) {
			t.Errorf("with Ada deleted: %+v", got)
		}
		if got := c.members(t, all.ObjectID, directory.MemberQuery{}); !slices.Equal(got, want[1:]) {
			t.Errorf("with Ada deleted: %v", got)
		}
		_, err = c.AddMembers(ctx, inner.ObjectID, []string{ada.ObjectID}, "op")
		wantError(t, err, refusal.Conflict, "is deleted")
		ok[directory.User](t)(c.Restore(ctx, ada.ObjectID, "op"))
		if got := c.members(t, all.ObjectID, directory.MemberQuery{}); !slices.Equal(got, want) {
			t.Errorf("with Ada restored: %v", got)
		}
		ok[directory.User](t)(c.SoftDelete(ctx, ada.ObjectID, "op"))
		if err := c.Purge(ctx, ada.ObjectID, "op"); err != nil {
			t.Fatal(err)
		}
		if n, err := c.RemoveMembers(ctx, all.ObjectID, []string{bo.ObjectID, cy.ObjectID}, "op"); n != 1 || err != nil {
			t.Errorf("remove Bo, and Cy who is no member: %d, %v", n, err)
		}
		ok[directory.Group](t)(c.SoftDeleteGroup(ctx, inner.ObjectID, "op"))
		if err := c.PurgeGroup(ctx, inner.ObjectID, "op"); err != nil {
			t.Fatal(err)
		}
		if got := c.members(t, all.ObjectID, directory.MemberQuery{}); len(got) != 0 {
			t.Errorf("left: %v", got)
		}
		c.join(t, all, bo.ObjectID)
		events := slices.DeleteFunc(c.happened(start), func(line string) bool { return !strings.HasPrefix(line, "group.member") })
		if diff := cmp.Diff([]string{
			"group.member_added by cli: Group All was added to group Inner circle",
			"group.member_removed by op: Ada Okonkwo (ada@contoso.example) was removed from group All",
			"group.member_removed by op: Bo Berg (bo@contoso.example) was removed from group All",
			"group.member_removed by op: Group Inner circle was removed from group All",
			"group.member_added by cli: Bo Berg (bo@contoso.example) was added to group All",
		}, events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// A group with more members than are sorted at once is read in the order of the directory's list.
func TestALargeGroupIsPagedInOrder(t *testing.T) {
	t.Parallel()
	c := newCompany(t, storetest.New(t))
	all := c.group(t, "All")
	if _, err := c.Import(t.Context(), func(yield func(directory.Row, error) bool) {
		for i := range 2_100 {
			if !yield(directory.Row{Line: i + 2, Values: map[string]string{
				"userPrincipalName": fmt.Sprintf("p%d@contoso.example", i), "displayName": fmt.Sprintf("Person %05d", (i*7919)%2_100),
			}}, nil) {
				return
			}
		}
	}, directory.ImportOptions{Actor: "cli"}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	if err := c.EachUser(t.Context(), directory.UserQuery{}, func(u directory.User) error {
		ids = append(ids, u.ObjectID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.join(t, all, ids...)
	got := c.members(t, all.ObjectID, directory.MemberQuery{Limit: 500})
	if len(got) != 2_100 || !slices.IsSorted(got) || got[0] != "User Person 00000" {
		t.Errorf("%d members, sorted %v, first %q", len(got), slices.IsSorted(got), got[0])
	}
	if got := c.members(t, all.ObjectID, directory.MemberQuery{Search: "person 02099"}); len(got) != 1 {
		t.Errorf("search: %v", got)
	}
}
