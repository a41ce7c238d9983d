package roster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

const patchHead = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`

func groupPatch(t *testing.T, operations string) *scim.Patch {
	t.Helper()
	p, _, err := scim.DecodePatch(scim.GroupType(), []byte(patchHead+operations+`]}`), scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func groupDoc(t *testing.T, body string) scim.Resource {
	t.Helper()
	doc, _, err := scim.Decode(scim.GroupType(), []byte(body), scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// group creates a group with the given members and returns its id.
func (f fixture) group(t *testing.T, s site.Site, name string, members ...string) string {
	t.Helper()
	var list roster.MemberList
	for _, id := range members {
		list.Add(id)
	}
	out, err := f.rosters.Open(s).CreateGroup(t.Context(), scim.Resource{"displayName": name}, &list, bySCIM)
	if err != nil {
		t.Fatal(err)
	}
	return out.Document.ID
}

func (f fixture) members(t *testing.T, s site.Site, group string) []string {
	t.Helper()
	var ids []string
	for m, err := range f.rosters.Open(s).Members(t.Context(), group, false) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	return ids
}

// hasMembers fails the test unless the group has exactly the given members.
func (f fixture) hasMembers(t *testing.T, s site.Site, group string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(f.members(t, s, group), want); diff != "" {
		t.Errorf("members, got - want +\n%s", diff)
	}
}

func (f fixture) users(t *testing.T, s site.Site, n int) []string {
	t.Helper()
	var ids []string
	for i := range n {
		ids = append(ids, f.user(t, s, registered(fmt.Sprintf("user%02d", i))))
	}
	return ids
}

func values(ids ...string) string {
	var list []string
	for _, id := range ids {
		list = append(list, `{"$ref":null,"value":`+quoted(id)+`}`)
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestGroup(t *testing.T) {
	t.Run("entra_creates_a_group_without_members_and_finds_it", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
				"externalId":"8aa1a0c0","displayName":"Team Blue","meta":{"resourceType":"Group"}}`
			out, err := r.Create(t.Context(), roster.Group, groupDoc(t, body), bySCIM)
			if err != nil || !out.Created || out.UserName != "Team Blue" || out.Sentence != "Created" {
				t.Fatalf("got %+v, %v", out, err)
			}
			doc, err := r.Get(t.Context(), roster.Group, out.Document.ID)
			if diff := cmp.Diff(doc, out.Document); err != nil || diff != "" {
				t.Errorf("%v, stored - returned +\n%s", err, diff)
			}
			if text := string(doc.JSON); !strings.Contains(text, `"resourceType":"Group"`) || strings.Contains(text, "members") {
				t.Errorf("got %s", text)
			}
			if diff := cmp.Diff(names(f.events(t, f.full, doc.ID)), []string{"group.created"}); diff != "" {
				t.Error(diff)
			}
			if _, err := r.Get(t.Context(), roster.User, doc.ID); err == nil {
				t.Error("a group was found among the users")
			}
		})
	})
	t.Run("a_name_in_use_is_409_in_any_letter_case", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			blue := f.group(t, f.full, "Team Blue")
			navy := f.group(t, f.full, "Team Navy")
			f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"x","displayName":"team blue"}`)
			_, err := r.CreateGroup(t.Context(), scim.Resource{"displayName": "team BLUE"}, nil, bySCIM)
			if detail := isError(t, err, 409, "uniqueness"); detail != `The displayName "team BLUE" is in use on this site already.` {
				t.Error(detail)
			}
			_, err = r.Patch(t.Context(), roster.Group, navy, groupPatch(t, `{"op":"Replace","path":"displayName","value":"TEAM blue"}`), bySCIM)
			isError(t, err, 409, "uniqueness")
			if _, err := r.Patch(t.Context(), roster.Group, blue, groupPatch(t, `{"op":"Replace","path":"displayName","value":"TEAM Blue"}`), bySCIM); err != nil {
				t.Errorf("one's own name in another case: %v", err)
			}
			if _, err := r.Delete(t.Context(), roster.Group, blue, bySCIM); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Patch(t.Context(), roster.Group, navy, groupPatch(t, `{"op":"Replace","path":"displayName","value":"TEAM blue"}`), bySCIM); err != nil {
				t.Errorf("the name of a deleted group: %v", err)
			}
			other := f.site(t, "other", site.Full)
			f.group(t, other, "Team Blue")
		})
	})
	t.Run("a_name_is_required", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, err := f.rosters.Open(f.full).CreateGroup(t.Context(), scim.Resource{}, nil, bySCIM)
			isError(t, err, 400, "invalidValue")
		})
	})
	t.Run("every_form_of_adding_and_removing_does_what_it_means", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 5)
			inner := f.group(t, f.full, "Inner")
			r := f.rosters.Open(f.full)
			for i, c := range []struct {
				name   string
				before []string
				patch  string
				want   []string
			}{
				{"entra add", u[:1], `{"op":"Add","path":"members","value":` + values(u[1], u[2]) + `}`, u[:3]},
				{"entra add, one object", nil, `{"op":"Add","path":"members","value":{"value":"` + u[1] + `"}}`, u[1:2]},
				{"entra add, a bare text", nil, `{"op":"Add","path":"members","value":"` + u[1] + `"}`, u[1:2]},
				{"entra add, upper case", nil, `{"op":"Add","path":"members","value":[{"value":"` + strings.ToUpper(u[1]) + `"}]}`, u[1:2]},
				{"okta add", u[:1], `{"op":"add","path":"members","value":[{"value":"` + u[1] + `","display":"a@x"}]}`, u[:2]},
				{"a group", u[:1], `{"op":"add","path":"members","value":[{"value":"` + inner + `","type":"Group"}]}`, []string{u[0], inner}},
				{"P12 the same member again", u[:2], `{"op":"Add","path":"members","value":` + values(u[0]) + `},{"op":"Add","path":"members","value":` + values(u[0], u[1], u[1]) + `}`, u[:2]},
				{"P2 entra remove with values", u[:3], `{"op":"Remove","path":"members","value":` + values(u[1]) + `}`, []string{u[0], u[2]}},
				{"P2 entra remove with one value", u[:3], `{"op":"Remove","path":"members","value":{"value":"` + u[1] + `"}}`, []string{u[0], u[2]}},
				{"P2 entra remove of nothing", u[:3], `{"op":"Remove","path":"members","value":[]}`, u[:3]},
				{"remove all", u[:3], `{"op":"remove","path":"members"}`, nil},
				{"P3 remove by filter", u[:3], `{"op":"remove","path":"members[value eq \"` + u[1] + `\"]"}`, []string{u[0], u[2]}},
				{"P3 remove somebody who is no member", u[:3], `{"op":"remove","path":"members[value eq \"` + u[4] + `\"]"}`, u[:3]},
				{"remove by type", append(slices.Clone(u[:2]), inner), `{"op":"remove","path":"members[type eq \"Group\"]"}`, u[:2]},
				{"remove by a part", u[:3], `{"op":"remove","path":"members[value sw \"` + u[1] + `\"]"}`, []string{u[0], u[2]}},
				{"P8 okta replaces all", u[:3], `{"op":"replace","path":"members","value":` + values(u[2], u[3]) + `}`, u[2:4]},
				{"P8 okta empties", u[:3], `{"op":"replace","path":"members","value":[]}`, nil},
				{"P9 rename leaves members", u[:3], `{"op":"replace","value":{"id":"THIS","displayName":"New %d"}}`, u[:3]},
				{"P10 a value with members", u[:3], `{"op":"replace","value":{"id":"THIS","displayName":"Newer %d","members":[]}}`, nil},
				{"remove then add", u[:3], `{"op":"remove","path":"members"},{"op":"add","path":"members","value":` + values(u[4]) + `}`, u[4:5]},
				{"add then remove", u[:2], `{"op":"add","path":"members","value":` + values(u[2]) + `},{"op":"remove","path":"members[value eq \"` + u[2] + `\"]"}`, u[:2]},
			} {
				id := f.group(t, f.full, fmt.Sprintf("Group %d", i), c.before...)
				text := strings.ReplaceAll(strings.ReplaceAll(c.patch, "THIS", id), "%d", fmt.Sprint(i))
				p := groupPatch(t, text)
				if _, err := r.Patch(t.Context(), roster.Group, id, p, bySCIM); err != nil {
					t.Errorf("%s: %v", c.name, err)
					continue
				}
				before := f.members(t, f.full, id)
				f.hasMembers(t, f.full, id, c.want...)
				if t.Failed() {
					t.Fatalf("%s: got %v", c.name, before)
				}
				again, err := r.Patch(t.Context(), roster.Group, id, p, bySCIM)
				if err != nil || again.Changed && c.name != "remove then add" && c.name != "add then remove" {
					t.Errorf("%s, again: %+v, %v", c.name, again, err)
				}
			}
		})
	})
	t.Run("another_id_in_a_value_is_refused", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.group(t, f.full, "G")
			_, err := f.rosters.Open(f.full).Patch(t.Context(), roster.Group, id, groupPatch(t, `{"op":"replace","value":{"id":"other","displayName":"N"}}`), bySCIM)
			isError(t, err, 400, "mutability")
		})
	})
	t.Run("the_version_moves_with_members_and_only_then", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 3)
			id := f.group(t, f.full, "G", u[0])
			r := f.rosters.Open(f.full)
			add := groupPatch(t, `{"op":"Add","path":"members","value":`+values(u[0], u[1])+`}`)
			out, err := r.Patch(t.Context(), roster.Group, id, add, bySCIM)
			if err != nil || !out.Changed || out.Document.Version != 2 || out.Sentence != "1 member added" || !out.Document.Modified.After(out.Document.Created) {
				t.Errorf("got %+v, %v", out, err)
			}
			if again, err := r.Patch(t.Context(), roster.Group, id, add, bySCIM); err != nil || again.Changed || again.Document.Version != 2 || !again.Document.Modified.Equal(out.Document.Modified) {
				t.Errorf("again: got %+v, %v", again, err)
			}
			both := groupPatch(t, `{"op":"replace","value":{"displayName":"H","members":`+values(u[1], u[2])+`}}`)
			if out, err := r.Patch(t.Context(), roster.Group, id, both, bySCIM); err != nil || out.Sentence != "Updated displayName · 1 member added, 1 member removed" {
				t.Errorf("got %+v, %v", out, err)
			}
			events := f.events(t, f.full, id)
			last := events[len(events)-1]
			if last.Text != "Group G is now Group H was updated: displayName, 1 member added, 1 member removed" ||
				!strings.Contains(string(last.Data), `"membersAdded":["`+u[2]+`"]`) || !strings.Contains(string(last.Data), `"membersRemoved":["`+u[0]+`"]`) {
				t.Errorf("got %s %s", last.Text, last.Data)
			}
			stale := bySCIM
			stale.IfVersion = 2
			_, err = r.Patch(t.Context(), roster.Group, id, add, stale)
			isError(t, err, 412, "")
			f.hasMembers(t, f.full, id, u[1], u[2])
		})
	})
	t.Run("the_row_has_another_status_from_that_many_members_on", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 4)
			id := f.group(t, f.full, "G", u[0])
			f.group(t, f.full, "H", u...)
			for _, c := range []struct {
				large roster.LargeGroupStatus
				want  int
				op    string
			}{
				{roster.LargeGroupStatus{}, 200, `{"op":"add","path":"members","value":` + values(u[1]) + `}`},
				{roster.LargeGroupStatus{MinMembers: 3, Status: 204}, 200, `{"op":"add","path":"members","value":` + values(u[1]) + `}`},
				{roster.LargeGroupStatus{MinMembers: 3, Status: 204}, 204, `{"op":"add","path":"members","value":` + values(u...) + `}`},
				{roster.LargeGroupStatus{MinMembers: 3, Status: 204}, 200, `{"op":"remove","path":"members"}`},
				{roster.LargeGroupStatus{MinMembers: 0, Status: 204}, 204, `{"op":"remove","path":"members"}`},
			} {
				by := bySCIM
				by.LargeGroup = c.large
				by.Request = f.requestLog.BeginRow(requestlog.Request{Time: f.clock.Now(), Site: f.full.ID, Method: "PATCH", Path: "/Groups/" + id, Status: 200})
				out, err := f.rosters.Open(f.full).Patch(t.Context(), roster.Group, id, groupPatch(t, c.op), by)
				if err != nil || out.Request.Status != c.want {
					t.Errorf("%s with %+v: got status %d, %v; want %d", c.op, c.large, out.Request.Status, err, c.want)
				}
			}
		})
	})
	t.Run("members_that_do_not_exist_are_skipped_or_refused", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 1)
			stranger := f.user(t, f.documented, registered("stranger")) // of another site
			id := f.group(t, f.full, "G")
			add := groupPatch(t, `{"op":"Add","path":"members","value":`+values("nobody", stranger, u[0], strings.Repeat("x", 2000))+`}`)
			out, err := f.rosters.Open(f.full).Patch(t.Context(), roster.Group, id, add, bySCIM)
			if err != nil || len(out.Ignored) < 2 || !strings.Contains(out.Sentence, `1 member added · ignored: there is no user or group with the id "`) {
				t.Errorf("got %+v, %v", out, err)
			}
			f.hasMembers(t, f.full, id, u[0])
			strict, err := f.sites.Update(t.Context(), f.full.ID, "cli", func(s *site.Site) error {
				s.Strict = true
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			r := f.rosters.Open(strict)
			_, err = r.Patch(t.Context(), roster.Group, id, groupPatch(t, `{"op":"Add","path":"members","value":`+values(stranger)+`}`), bySCIM)
			isError(t, err, 400, "invalidValue")
			var list roster.MemberList
			list.Add("nobody")
			_, err = r.CreateGroup(t.Context(), scim.Resource{"displayName": "H"}, &list, bySCIM)
			isError(t, err, 400, "invalidValue")
			if _, total := f.list(t, f.full, roster.Query{Kind: roster.Group, Count: 10}); total != 1 {
				t.Errorf("%d groups; the refused one is there", total)
			}
		})
	})
	t.Run("put_replaces_the_members", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 3)
			id := f.group(t, f.full, "G", u[0], u[1])
			r := f.rosters.Open(f.full)
			put := groupDoc(t, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"G","members":`+values(u[1], u[2], u[1])+`}`)
			for _, want := range []bool{true, false} {
				out, err := r.Replace(t.Context(), roster.Group, id, put, bySCIM)
				if err != nil || out.Changed != want {
					t.Errorf("got %+v, %v", out, err)
				}
				f.hasMembers(t, f.full, id, u[1], u[2])
			}
			if _, err := r.ReplaceGroup(t.Context(), id, scim.Resource{"displayName": "G"}, nil, bySCIM); err != nil {
				t.Fatal(err)
			}
			f.hasMembers(t, f.full, id)
		})
	})
	t.Run("who_is_deleted_leaves_and_who_is_deactivated_stays", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 3)
			inner := f.group(t, f.full, "Inner", u[0])
			outer := f.group(t, f.full, "Outer", u[0], u[1], inner)
			r := f.rosters.Open(f.full)
			if _, err := r.Patch(t.Context(), roster.User, u[1], replace(t, "active", `"False"`), bySCIM); err != nil {
				t.Fatal(err)
			}
			f.hasMembers(t, f.full, outer, u[0], u[1], inner)
			before, err := r.Get(t.Context(), roster.Group, outer)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Delete(t.Context(), roster.User, u[0], bySCIM); err != nil {
				t.Fatal(err)
			}
			f.hasMembers(t, f.full, outer, u[1], inner)
			f.hasMembers(t, f.full, inner)
			after, err := r.Get(t.Context(), roster.Group, outer)
			if err != nil || after.Version != before.Version+1 || !after.Modified.After(before.Modified) || !strings.Contains(string(after.JSON), roster.ETag(after.Version, nil)[3:4]) {
				t.Errorf("got %+v, %v", after, err)
			}
			if _, err := r.Delete(t.Context(), roster.Group, inner, bySCIM); err != nil {
				t.Fatal(err)
			}
			f.hasMembers(t, f.full, outer, u[1])
			if groups, err := r.Groups(t.Context(), u[1], u[0]); err != nil || len(groups[u[0]]) != 0 || len(groups[u[1]]) != 1 {
				t.Errorf("got %v, %v", groups, err)
			}
		})
	})
	t.Run("groups_in_each_other_do_no_harm", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			a := f.group(t, f.full, "A")
			b := f.group(t, f.full, "B", a)
			r := f.rosters.Open(f.full)
			if _, err := r.Patch(t.Context(), roster.Group, a, groupPatch(t, `{"op":"add","path":"members","value":`+values(a, b)+`}`), bySCIM); err != nil {
				t.Fatal(err)
			}
			f.hasMembers(t, f.full, a, a, b)
			if _, err := r.Delete(t.Context(), roster.Group, a, bySCIM); err != nil {
				t.Fatal(err)
			}
			f.hasMembers(t, f.full, b)
		})
	})
	t.Run("a_user_knows_the_groups", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 3)
			a := f.group(t, f.full, "Team A", u[0], u[1])
			b := f.group(t, f.full, "Team B", u[0], a)
			got, err := f.rosters.Open(f.full).Groups(t.Context(), u[0], u[1], u[2], "nobody", u[0], "\xff")
			want := map[string][]roster.Membership{u[0]: {{Group: a, Display: "Team A"}, {Group: b, Display: "Team B"}}, u[1]: {{Group: a, Display: "Team A"}}}
			if diff := cmp.Diff(got, want); err != nil || diff != "" {
				t.Errorf("%v, got - want +\n%s", err, diff)
			}
			off := f.full
			off.Groups = false
			if got, err := f.rosters.Open(off).Groups(t.Context(), u[0]); err != nil || len(got) > 0 {
				t.Errorf("switched off: got %v, %v", got, err)
			}
			for text, when := range map[string]struct{ on, off []string }{
				`groups.value eq "` + a + `"`:       {on: u[:2]},
				`groups eq "` + a + `"`:             {on: u[:2]},
				`groups[value eq "` + a + `"]`:      {on: u[:2]},
				`groups.display eq "Team A"`:        {on: u[:2]},
				`groups pr`:                         {on: u[:2]},
				`not (groups pr)`:                   {on: u[2:], off: u},
				`groups eq null`:                    {on: u[2:], off: u},
				`groups.value ne "` + b + `"`:       {on: u, off: u},
				`not (groups.value eq "` + b + `")`: {on: u[1:], off: u},
			} {
				f.finds(t, f.full, text, when.on...)
				f.finds(t, off, text, when.off...)
			}
			for _, id := range u {
				for _, s := range []site.Site{f.full, off} {
					r := f.rosters.Open(s)
					doc, groups, err := r.GetWithGroups(t.Context(), roster.User, id)
					alone, notFound := r.Get(t.Context(), roster.User, id)
					in, notRead := r.Groups(t.Context(), id)
					if err := errors.Join(err, notFound, notRead); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(doc, alone) + cmp.Diff(groups, in[id]); diff != "" {
						t.Errorf("together - one by one +\n%s", diff)
					}
				}
			}
			for _, id := range []string{a, "nobody", "\xff"} { // a is the id of a group that is in another group
				_, groups, err := f.rosters.Open(f.full).GetWithGroups(t.Context(), roster.User, id)
				if isError(t, err, 404, ""); groups != nil {
					t.Errorf("%q is no user and is in %v", id, groups)
				}
			}
		})
	})
	t.Run("filters_find_by_members", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 3)
			a := f.group(t, f.full, "Team A", u[0], u[1])
			b := f.group(t, f.full, "Team B", u[1], a)
			c := f.group(t, f.full, "Team C")
			for text, want := range map[string][]string{
				`members eq "` + u[1] + `"`:                                     {a, b},
				`members.value eq "` + strings.ToUpper(u[0]) + `"`:              {a},
				`members[value eq "` + u[1] + `"]`:                              {a, b},
				`members[value eq "` + u[1] + `" and type eq "User"]`:           {a, b},
				`members[value eq "` + a + `" and type eq "User"]`:              nil,
				`id eq "` + a + `" and members eq "` + u[1] + `"`:               {a},
				`id eq "` + a + `" and members eq "` + u[2] + `"`:               nil,
				`members.type eq "Group"`:                                       {b},
				`members pr`:                                                    {a, b},
				`not (members pr)`:                                              {c},
				`members ne "` + u[0] + `"`:                                     {a, b, c},
				`not (members eq "` + u[0] + `")`:                               {b, c},
				`displayName sw "team" and members.value co "` + u[0][2:] + `"`: {a},
				`members eq "nobody"`:                                           nil,
				`members eq "` + u[0] + `" or displayName eq "team c"`:          {a, c},
			} {
				parsed, _, err := scim.ParseFilter(scim.GroupType(), text, scim.Lenient)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				ids, total := f.list(t, f.full, roster.Query{Kind: roster.Group, Filter: parsed, Count: 100})
				if diff := cmp.Diff(ids, want); diff != "" || total != len(want) {
					t.Errorf("%s: %d altogether, got - want +\n%s", text, total, diff)
				}
			}
			f.finds(t, f.full, `groups eq "`+a+`"`, u[0], u[1])
			f.finds(t, f.full, `groups.value eq "`+b+`"`, u[1])
			f.finds(t, f.full, `groups[value eq "`+b+`"] and userName eq "user01"`, u[1])
			f.finds(t, f.full, `groups.display eq "team b"`, u[1])
			f.finds(t, f.full, `groups pr`, u[0], u[1])
			f.finds(t, f.full, `not (groups pr)`, u[2])
			f.finds(t, f.full, `groups.type eq "direct" and groups.display ew "A"`, u[0], u[1])
		})
	})
	t.Run("entras_check_of_the_manager", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			boss := f.user(t, f.full, registered("boss"))
			ada := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"`+boss+`"}}}`)
			f.finds(t, f.full, `id eq "`+ada+`" and manager eq "`+boss+`"`, ada)
			f.finds(t, f.full, `id eq "`+boss+`" and manager eq "`+boss+`"`)
			f.finds(t, f.full, `manager eq "`+boss+`"`, ada)
		})
	})
	t.Run("two_parallel_patches_both_survive", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 16)
			id := f.group(t, f.full, "G")
			var all sync.WaitGroup
			for _, member := range u {
				p := groupPatch(t, `{"op":"Add","path":"members","value":`+values(member)+`}`)
				all.Go(func() {
					if _, err := f.rosters.Open(f.full).Patch(context.Background(), roster.Group, id, p, bySCIM); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			f.hasMembers(t, f.full, id, u...)
			doc, err := f.rosters.Open(f.full).Get(t.Context(), roster.Group, id)
			if err != nil || doc.Version != 17 {
				t.Errorf("got version %d, %v", doc.Version, err)
			}
		})
	})
	t.Run("a_member_deleted_at_the_same_time_leaves_no_row", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			u := f.users(t, f.full, 8)
			id := f.group(t, f.full, "G")
			r := f.rosters.Open(f.full)
			var all sync.WaitGroup
			for _, member := range u {
				p := groupPatch(t, `{"op":"Add","path":"members","value":`+values(member)+`}`)
				all.Go(func() {
					if _, err := r.Patch(context.Background(), roster.Group, id, p, bySCIM); err != nil {
						t.Error(err)
					}
				})
				all.Go(func() {
					if _, err := r.Delete(context.Background(), roster.User, member, bySCIM); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			f.hasMembers(t, f.full, id)
		})
	})
	t.Run("many_members_cost_what_few_do", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			const many = 10_000
			rows := make([]roster.ImportRow, many)
			for i := range rows {
				rows[i] = roster.ImportRow{UserName: fmt.Sprintf("u%05d", i)}
			}
			r := f.rosters.Open(f.full)
			if report, err := r.Import(t.Context(), rows, byFile); err != nil || report.Created != many {
				t.Fatalf("%+v, %v", report, err)
			}
			all := f.everyone(t, f.full)
			var list roster.MemberList
			for _, id := range all[1:] {
				list.Add(id)
			}
			out, err := r.CreateGroup(t.Context(), scim.Resource{"displayName": "Everybody"}, &list, bySCIM)
			if err != nil || out.Sentence != "Created · 9999 members added" {
				t.Fatalf("got %+v, %v", out, err)
			}
			id := out.Document.ID
			// A benchmark measures that adding one member touches one row.
			if out, err := r.Patch(t.Context(), roster.Group, id, groupPatch(t, `{"op":"Add","path":"members","value":`+values(all[0])+`}`), bySCIM); err != nil || out.Sentence != "1 member added" {
				t.Fatalf("got %q, %v", out.Sentence, err)
			}
			slices.Sort(all)
			if diff := cmp.Diff(f.members(t, f.full, id), all); diff != "" {
				t.Error("the members are not everybody")
			}
			if out, err := r.ReplaceGroup(t.Context(), id, scim.Resource{"displayName": "Everybody"}, &list, bySCIM); err != nil || out.Sentence != "1 member removed" {
				t.Errorf("got %+v, %v", out.Sentence, err)
			}
		})
	})
	t.Run("members_have_their_current_names", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			ada := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada"}`)
			inner := f.group(t, f.full, "Inner")
			outer := f.group(t, f.full, "Outer", ada, inner)
			hasNames := func(want ...string) {
				t.Helper()
				got := map[string]string{}
				for m, err := range r.Members(t.Context(), outer, true) {
					if err != nil {
						t.Fatal(err)
					}
					got[m.ID] = m.Display
				}
				if diff := cmp.Diff(got, map[string]string{ada: want[0], inner: want[1]}); diff != "" {
					t.Errorf("names, got - want +\n%s", diff)
				}
			}
			rename := func(kind scim.TypeName, id, name string) {
				t.Helper()
				rt := scim.UserType()
				if kind == roster.Group {
					rt = scim.GroupType()
				}
				p, _, err := scim.DecodePatch(rt, []byte(patchHead+`{"op":"replace","path":"displayName","value":"`+name+`"}]}`), scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Patch(t.Context(), kind, id, p, bySCIM); err != nil {
					t.Error(err)
				}
			}
			hasNames("", "Inner")
			rename(roster.User, ada, "Ada Lund")
			rename(roster.Group, inner, "Innermost")
			hasNames("Ada Lund", "Innermost")

			for i := range 20 {
				var both sync.WaitGroup
				name := fmt.Sprintf("Ada %d", i)
				both.Go(func() { rename(roster.User, ada, name) })
				both.Go(func() {
					for _, op := range []string{"remove", "add"} {
						p, _, err := scim.DecodePatch(scim.GroupType(), []byte(patchHead+`{"op":"`+op+`","path":"members","value":`+values(ada)+`}]}`), scim.Lenient)
						if err == nil {
							_, err = r.Patch(context.Background(), roster.Group, outer, p, bySCIM)
						}
						if err != nil {
							t.Error(err)
						}
					}
				})
				both.Wait()
				hasNames(name, "Innermost")
			}
		})
	})
	t.Run("reading_can_stop_and_fail_on_the_way", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.group(t, f.full, "G", f.users(t, f.full, 3)...)
			n := 0
			for range f.rosters.Open(f.full).Members(t.Context(), id, false) {
				if n++; n == 2 {
					break
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var last error
			for _, err := range f.rosters.Open(f.full).Members(ctx, id, false) {
				last = err
			}
			if n != 2 || !errors.Is(last, context.Canceled) {
				t.Errorf("got %d, %v", n, last)
			}
		})
	})
}

// everyone returns the ids of all users, in the order of the list.
func (f fixture) everyone(t *testing.T, s site.Site) []string {
	t.Helper()
	var all []string
	for start := 1; ; start += 500 {
		ids, total := f.list(t, s, roster.Query{StartIndex: start, Count: 500})
		all = append(all, ids...)
		if len(all) >= total {
			return all
		}
	}
}
