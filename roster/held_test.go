package roster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// guarded creates a site where SCIM may not set roles, with the Admin kim and the Moderator mo.
func (f fixture) guarded(t *testing.T, p site.Profile, change func(*site.Site)) (s site.Site, kim, mo string) {
	t.Helper()
	s = f.site(t, "guarded", p)
	user := func(name, role string) string {
		return f.user(t, s, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%[1]s@acme.test","displayName":"%[1]s","externalId":"%[1]s-1","emails":[{"value":"%[1]s@acme.test","type":"work"}],"userType":%[2]q}`, name, role))
	}
	kim, mo = user("kim", "Admin"), user("mo", "Moderator")
	s, err := f.sites.Update(t.Context(), s.ID, "cli", func(s *site.Site) error {
		s.ManageRoles = false
		if change != nil {
			change(s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, kim, mo
}

// held returns the held changes of a person, like `userName="eve"`. A "!" stands before each change
// that was refused.
func (f fixture) held(t *testing.T, s site.Site, id string) string {
	t.Helper()
	var list []string
	for _, h := range f.person(t, s, id).Held {
		text := h.Attribute + "=" + roster.ValueWords(h.Value)
		if !h.Waits() {
			text = "!" + text
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func all(held []roster.HeldChange) (choices []roster.HeldChoice) {
	for _, h := range held {
		choices = append(choices, roster.HeldChoice{Attribute: h.Attribute, ValueHash: h.ValueHash()})
	}
	return choices
}

const takeOver = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[
	{"op":"replace","value":{"userName":"eve@acme.test","displayName":"Eve","externalId":"e-1","title":"Boss"}},
	{"op":"replace","path":"emails[type eq \"work\"].value","value":"eve@acme.test"}]}`

func TestHeld(t *testing.T) {
	t.Run("scim_cannot_say_who_signs_in_with_a_role_it_may_not_set", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for _, p := range []site.Profile{site.Documented, site.Full} {
				s, kim, mo := f.guarded(t, p, nil)
				r := f.rosters.Open(s)
				for _, id := range []string{kim, mo} {
					before := f.person(t, s, id)
					names := []string{"userName", "emails", "displayName", "externalId"}
					wantName := before.DisplayName
					if p == site.Full { // in this profile the display name identifies nobody, so it is not held
						names = []string{"userName", "emails", "externalId"}
						wantName = "Eve"
					}
					out, err := r.Patch(t.Context(), roster.User, id, patch(t, takeOver), bySCIM)
					if err != nil {
						t.Fatal(err)
					}
					var ignored []string
					for _, i := range out.Ignored {
						ignored = append(ignored, i.Path)
					}
					if diff := cmp.Diff(ignored, names); diff != "" {
						t.Errorf("%s: got - want +\n%s", p, diff)
					}
					if !strings.Contains(out.Sentence, `userName, emails`) || !strings.Contains(out.Sentence, `"Allow SCIM to manage user roles" is off`) {
						t.Errorf("got %q", out.Sentence)
					}
					now := f.person(t, s, id)
					if now.UserName != before.UserName || now.Email != before.Email || now.ExternalID != before.ExternalID || now.DisplayName != wantName || now.Version != 2 {
						t.Errorf("%s: got %+v", p, now)
					}
					if got := f.get(t, s, id).String("title"); got != "Boss" {
						t.Errorf("the rest of the request was not done: title is %q", got)
					}
					// The same request once more changes nothing.
					events := len(f.events(t, s, id))
					out, err = r.Patch(t.Context(), roster.User, id, patch(t, takeOver), bySCIM)
					if err != nil || out.Changed || out.Document.Version != 2 || len(f.events(t, s, id)) != events {
						t.Errorf("again: got %+v, %v, %d events", out, err, len(f.events(t, s, id))-events)
					}
				}
				if err := f.sites.Delete(t.Context(), s.ID, s.Name, "cli"); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("by_every_kind_of_request", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s, kim, _ := f.guarded(t, site.Full, func(s *site.Site) { s.Deletes, s.Revives = site.DeactivateOnDelete, true })
			f.user(t, s, admin("lee@acme.test"))
			r := f.rosters.Open(s)
			want := `userName="eve@acme.test" emails="eve@acme.test" externalId="e-1"`
			put := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"eve@acme.test","externalId":"e-1","emails":[{"value":"eve@acme.test"}],"active":true}`
			if _, err := r.Replace(t.Context(), roster.User, kim, decode(t, put), bySCIM); err != nil {
				t.Fatal(err)
			}
			if got := f.held(t, s, kim); got != want {
				t.Errorf("PUT: got %s", got)
			}
			if out, err := r.Replace(t.Context(), roster.User, kim, decode(t, put), bySCIM); err != nil || out.Changed {
				t.Errorf("PUT again: got %+v, %v", out, err)
			}
			// SCIM deletes kim and creates the same user name again. The account is revived, and
			// the values by which kim signs in are held.
			report, err := r.Import(t.Context(), []roster.ImportRow{{UserName: "kim@acme.test", UserIdentifier: "name-id"}}, byFile)
			if err != nil || len(report.Errors) > 0 {
				t.Fatal(report, err)
			}
			if _, err := r.Delete(t.Context(), roster.User, kim, bySCIM); err != nil {
				t.Fatal(err)
			}
			_, err = f.create(t, s, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim@acme.test","externalId":"e-2"}`)
			isError(t, err, 409, "uniqueness")
			out, err := f.create(t, s, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"KIM@acme.test","emails":[{"value":"eve@acme.test"}],"title":"Boss"}`)
			if err != nil || out.Document.ID != kim {
				t.Fatal(out, err)
			}
			if p := f.person(t, s, kim); !p.Active || p.Email != "kim@acme.test" {
				t.Errorf("got %+v", p)
			}
			report, err = r.Import(t.Context(), []roster.ImportRow{{UserName: "eve@acme.test", UserIdentifier: "name-id"}}, byFile)
			if err != nil || len(report.Errors) != 1 {
				t.Errorf("the user identifier of an Admin was forgotten: %+v, %v", report, err)
			}
			// The removal of a value is held too. A deactivation is never held.
			p := patch(t, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"emails"},{"op":"replace","path":"active","value":"False"}]}`)
			if _, err := r.Patch(t.Context(), roster.User, kim, p, bySCIM); err != nil {
				t.Fatal(err)
			}
			if p := f.person(t, s, kim); p.Active || p.Email != "kim@acme.test" || !strings.Contains(f.held(t, s, kim), "emails=nothing") {
				t.Errorf("got %+v", p)
			}
			_, err = r.Patch(t.Context(), roster.User, kim, replace(t, "userName", `" "`), bySCIM)
			isError(t, err, 400, "invalidValue")
		})
	})
	t.Run("an_account_that_was_deleted_and_created_again_is_no_admin", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s, kim, _ := f.guarded(t, site.Full, nil)
			f.user(t, s, admin("lee@acme.test"))
			r := f.rosters.Open(s)
			_, err := r.Delete(t.Context(), roster.User, kim, bySCIM)
			isError(t, err, 409, "")
			// The account of jo has no externalId. A create with an externalId may be about another
			// person, so it must not revive jo.
			s, err = f.sites.Update(t.Context(), s.ID, "cli", func(s *site.Site) error { s.Deletes, s.Revives = site.DeactivateOnDelete, true; return nil })
			if err != nil {
				t.Fatal(err)
			}
			jo := f.user(t, s, admin("jo@acme.test"))
			if _, err := f.rosters.Open(s).Delete(t.Context(), roster.User, jo, bySCIM); err != nil {
				t.Fatal(err)
			}
			_, err = f.create(t, s, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"jo@acme.test","externalId":"mine"}`)
			if detail := isError(t, err, 409, "uniqueness"); !strings.Contains(detail, "deactivated Admin") {
				t.Errorf("got %q", detail)
			}
			if f.person(t, s, jo).Active {
				t.Error("revived all the same")
			}
		})
	})
	t.Run("the_newest_counts_and_what_is_so_already_is_dropped", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s, kim, _ := f.guarded(t, site.Full, nil)
			r := f.rosters.Open(s)
			for _, step := range []struct{ path, value, want string }{
				{"externalId", `"k-2"`, `externalId="k-2"`},
				{"externalId", `"k-3"`, `externalId="k-3"`},
				{"userName", `"eve@acme.test"`, `externalId="k-3" userName="eve@acme.test"`},
				{"title", `"Boss"`, `externalId="k-3" userName="eve@acme.test"`},
				{"externalId", `"kim-1"`, `userName="eve@acme.test"`},
				{"userName", `"KIM@acme.test"`, ``}, // names that differ only in case are the same name
			} {
				if _, err := r.Patch(t.Context(), roster.User, kim, replace(t, step.path, step.value), bySCIM); err != nil {
					t.Fatal(err)
				}
				if got := f.held(t, s, kim); got != step.want {
					t.Errorf("%s %s: got %s, want %s", step.path, step.value, got, step.want)
				}
			}
			if p := f.person(t, s, kim); p.UserName != "KIM@acme.test" {
				t.Errorf("got %+v", p)
			}
			want := []string{"user.created", "user.change_held", "user.change_held", "user.change_held", "user.updated", "user.change_withdrawn", "user.updated", "user.change_withdrawn"}
			if diff := cmp.Diff(names(f.events(t, s, kim)), want); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("an_administrator_applies_or_refuses", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s, kim, mo := f.guarded(t, site.Full, nil)
			other := f.site(t, "other", site.Full)
			r := f.rosters.Open(s)
			if _, err := r.Patch(t.Context(), roster.User, kim, patch(t, takeOver), bySCIM); err != nil {
				t.Fatal(err)
			}
			if c, err := r.Counts(t.Context()); err != nil || c.Waiting != 1 {
				t.Errorf("got %+v, %v", c, err)
			}
			if list, _, err := r.People(t.Context(), roster.PeopleQuery{Status: roster.StatusWaiting}); err != nil || len(list) != 1 || list[0].ID != kim {
				t.Errorf("got %+v, %v", list, err)
			}
			_, err := f.rosters.Open(other).ApplyHeld(t.Context(), kim, all(f.person(t, s, kim).Held), byKim)
			isError(t, err, 404, "")
			seen := f.person(t, s, kim).Held
			if _, err := r.Patch(t.Context(), roster.User, kim, replace(t, "userName", `"mallory@acme.test"`), bySCIM); err != nil {
				t.Fatal(err)
			}
			_, err = r.ApplyHeld(t.Context(), kim, all(seen), byKim) // the user name has changed since seen was read
			isError(t, err, 409, "")
			// After a refusal, the same request does not wait for a decision again.
			out, err := r.RefuseHeld(t.Context(), kim, []roster.HeldChoice{{Attribute: "userName"}}, byKim)
			if err != nil || out.Sentence != "Refused the change of userName" || out.Document.Version != 2 {
				t.Errorf("got %+v, %v", out, err)
			}
			out, err = r.Patch(t.Context(), roster.User, kim, replace(t, "userName", `"mallory@acme.test"`), bySCIM)
			if err != nil || out.Changed || !strings.Contains(out.Sentence, "userName not changed: refused by an administrator") {
				t.Errorf("got %+v, %v", out, err)
			}
			if got := f.held(t, s, kim); got != `emails="eve@acme.test" (work) externalId="e-1" !userName="mallory@acme.test"` {
				t.Errorf("got %s", got)
			}
			// A held change that is applied takes effect, with the administrator as the actor.
			out, err = r.ApplyHeld(t.Context(), kim, []roster.HeldChoice{{Attribute: "emails"}, {Attribute: "externalId"}}, byKim)
			if err != nil || out.Sentence != "Updated emails, externalId" {
				t.Errorf("got %+v, %v", out, err)
			}
			p := f.person(t, s, kim)
			if p.Email != "eve@acme.test" || p.ExternalID != "e-1" || p.UserName != "kim@acme.test" || p.LastChange.Actor != byKim.Actor {
				t.Errorf("got %+v", p)
			}
			if c, err := r.Counts(t.Context()); err != nil || c.Waiting != 0 {
				t.Errorf("got %+v, %v", c, err)
			}
			last := f.events(t, s, kim)
			if e := last[len(last)-1]; e.Name != "user.change_applied" || e.Actor != byKim.Actor || e.Text != `The change of externalId of kim@acme.test from "kim-1" to "e-1", which SCIM asked for, was applied` {
				t.Errorf("got %+v", e)
			}
			_, err = r.ApplyHeld(t.Context(), kim, []roster.HeldChoice{{Attribute: "emails"}}, byKim)
			isError(t, err, 409, "")
			// If another person has got the user name meanwhile, applying the change fails, and the
			// change keeps waiting.
			if _, err := r.Patch(t.Context(), roster.User, mo, replace(t, "userName", `"taken@acme.test"`), bySCIM); err != nil {
				t.Fatal(err)
			}
			f.user(t, s, registered("taken@acme.test"))
			_, err = r.ApplyHeld(t.Context(), mo, []roster.HeldChoice{{Attribute: "userName"}}, byKim)
			isError(t, err, 409, "uniqueness")
			if got := f.held(t, s, mo); got != `userName="taken@acme.test"` {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("what_is_too_large_to_wait_is_ignored", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s, kim, _ := f.guarded(t, site.Full, nil)
			var many []string
			for i := range 20 {
				many = append(many, fmt.Sprintf(`{"value":"%d%s@acme.test"}`, i, strings.Repeat("x", 900)))
			}
			for range 2 {
				out, err := f.rosters.Open(s).Patch(t.Context(), roster.User, kim, replace(t, "emails", "["+strings.Join(many, ",")+"]"), bySCIM)
				if err != nil || out.Changed || len(out.Ignored) != 1 || !strings.Contains(out.Ignored[0].Reason, "too large") || f.held(t, s, kim) != "" {
					t.Errorf("got %v, %v", out.Ignored, err)
				}
			}
		})
	})
	t.Run("only_of_people_whose_role_scim_may_not_set", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s, kim, mo := f.guarded(t, site.Full, nil)
			ann := f.user(t, s, registered("ann@acme.test"))
			r := f.rosters.Open(s)
			rename := func(r *roster.Roster, id, to string) roster.Outcome {
				t.Helper()
				out, err := r.Patch(t.Context(), roster.User, id, replace(t, "userName", fmt.Sprintf("%q", to)), bySCIM)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			if out := rename(r, ann, "ann.2@acme.test"); !out.Changed {
				t.Error("an ordinary person was not renamed")
			}
			if _, err := r.SetRole(t.Context(), ann, roster.RoleModerator, byKim); err != nil {
				t.Fatal(err)
			}
			if rename(r, ann, "ann.3@acme.test"); f.person(t, s, ann).UserName != "ann.2@acme.test" {
				t.Error("a person who was promoted was renamed")
			}
			// Once ann is no Admin or Moderator any more, SCIM may rename her again.
			if _, err := r.SetRole(t.Context(), ann, roster.RoleRegistered, byKim); err != nil {
				t.Fatal(err)
			}
			if rename(r, ann, "ann.3@acme.test"); f.person(t, s, ann).UserName != "ann.3@acme.test" || f.held(t, s, ann) != "" {
				t.Errorf("got %+v", f.person(t, s, ann))
			}
			// An Admin without an externalId gets the first one without a decision of an
			// administrator.
			if _, err := r.SetRole(t.Context(), ann, roster.RoleAdmin, byKim); err != nil {
				t.Fatal(err)
			}
			if out, err := r.Patch(t.Context(), roster.User, ann, replace(t, "externalId", `"a-1"`), bySCIM); err != nil || !out.Changed {
				t.Errorf("got %+v, %v", out, err)
			}
			if _, err := r.Patch(t.Context(), roster.User, ann, replace(t, "externalId", `"a-2"`), bySCIM); err != nil || f.person(t, s, ann).ExternalID != "a-1" {
				t.Errorf("got %+v, %v", f.person(t, s, ann), err)
			}
			// Where SCIM manages roles, it may rename a Moderator. The rename also drops the held
			// change.
			rename(r, mo, "mo.2@acme.test")
			managed := s
			managed.ManageRoles = true
			if rename(f.rosters.Open(managed), mo, "mo.3@acme.test"); f.person(t, s, mo).UserName != "mo.3@acme.test" || f.held(t, s, mo) != "" {
				t.Errorf("got %+v", f.person(t, s, mo))
			}
			if p := f.person(t, s, kim); p.UserName != "kim@acme.test" {
				t.Errorf("got %+v", p)
			}
		})
	})
	t.Run("a_blocked_person_does_not_come_back_under_another_name", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			id := f.user(t, f.full, bob(`,"externalId":"b-1","emails":[{"value":"Bob@acme.test"}]`))
			f.off(t, f.full, id, "block")
			for body, why := range map[string]string{
				`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bobby@acme.test","externalId":"b-1"}`:                          "externalId",
				`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bobby@acme.test","emails":[{"value":"BOB@acme.test"}]}`:        "e-mail address",
				`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"Bob@acme.test","externalId":"x","emails":[{"value":"x@x.x"}]}`: "userName",
			} {
				_, err := r.Create(t.Context(), roster.User, decode(t, body), bySCIM)
				if detail := isError(t, err, 409, "uniqueness"); !strings.Contains(detail, why) {
					t.Errorf("got %q", detail)
				}
			}
			// A create with the externalId of the blocked person must not revive another account
			// either.
			reviving := f.reviving(t, nil)
			cleo := f.user(t, reviving, registered("cleo@acme.test"))
			f.off(t, reviving, cleo, "patch")
			_, err := f.create(t, reviving, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"cleo@acme.test","externalId":"b-1"}`)
			isError(t, err, 409, "uniqueness")
			if f.person(t, reviving, cleo).Active {
				t.Error("revived all the same")
			}
			if _, err := r.Create(t.Context(), roster.User, decode(t, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann@acme.test","externalId":"a-1","emails":[{"value":"ann@acme.test"}]}`), bySCIM); err != nil {
				t.Error(err)
			}
			if _, err := r.Unblock(t.Context(), id, byKim); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Create(t.Context(), roster.User, decode(t, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bobby@acme.test","emails":[{"value":"bob@acme.test"}]}`), bySCIM); err != nil {
				t.Error(err)
			}
		})
	})
}
