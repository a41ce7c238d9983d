package roster_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

const ada = `{
	"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
	"externalId": "Ada-1", "userName": "Ada@Acme.test", "displayName": "Ada Lovelace", "title": "Engineer",
	"name": {"givenName": "Ada", "familyName": "Lovelace"},
	"emails": [{"value": "ada@acme.test", "type": "work", "primary": true}, {"value": "ADA@home.test", "type": "home"}],
	"password": "secret",
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Engines"}
}`

func TestCreate(t *testing.T) {
	t.Run("the_full_profile_stores_what_was_accepted", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			out, err := f.rosters.Open(f.full).Create(t.Context(), roster.User, decode(t, ada), bySCIM)
			if err != nil {
				t.Fatal(err)
			}
			if !out.Created || !out.Changed || out.Sentence != "Created" || out.UserName != "Ada@Acme.test" || out.Document.Version != 1 {
				t.Errorf("got %+v", out)
			}
			got := f.get(t, f.full, out.Document.ID)
			want := decode(t, ada)
			delete(want, "password")
			want["id"], want["active"] = out.Document.ID, true
			created := out.Document.Created.Format("2006-01-02T15:04:05.000Z")
			want["meta"] = map[string]any{"resourceType": "User", "created": created, "lastModified": created, "version": `W/"1"`}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			doc, err := f.rosters.Open(f.full).Get(t.Context(), roster.User, out.Document.ID)
			if diff := cmp.Diff(doc, out.Document); err != nil || diff != "" {
				t.Errorf("%v, stored - returned +\n%s", err, diff)
			}
			if diff := cmp.Diff(names(f.events(t, f.full, out.Document.ID)), []string{"user.created"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("the_documented_profile_answers_501_and_says_what_to_do", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, err := f.rosters.Open(f.documented).Create(t.Context(), roster.User, decode(t, ada), bySCIM)
			if detail := isError(t, err, 501, ""); !strings.Contains(detail, "Set Target Object Actions to Update only.") {
				t.Errorf("detail %q", detail)
			}
		})
	})
	t.Run("a_user_name_in_another_letter_case_is_taken", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.user(t, f.full, ada)
			_, err := f.rosters.Open(f.full).Create(t.Context(), roster.User, decode(t, registered("ADA@ACME.TEST")), bySCIM)
			isError(t, err, 409, "uniqueness")
			f.user(t, f.documented, ada) // the same user name in another site is no conflict
		})
	})
	t.Run("its_row_of_the_request_log_is_written_with_it_or_neither", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			row := requestlog.Request{Time: f.clock.Now(), ID: "row", Site: f.full.ID, Method: "POST", Path: "/Users", Status: 201}
			by := bySCIM
			by.Request = row
			out, err := f.rosters.Open(f.full).Create(t.Context(), roster.User, decode(t, ada), by)
			if err != nil {
				t.Fatal(err)
			}
			logged := func() []requestlog.Request {
				t.Helper()
				rows, _, err := f.requestLog.Page(t.Context(), f.full.ID, requestlog.Query{})
				if err != nil {
					t.Fatal(err)
				}
				return rows
			}
			if got := logged(); len(got) != 1 || got[0].Subject != out.Document.ID || got[0].Sentence != "Created" {
				t.Errorf("the log has %+v", got)
			} else if diff := cmp.Diff(out.Request, got[0]); diff != "" {
				t.Errorf("the outcome and the log differ (-outcome +log):\n%s", diff)
			}
			if by.Request.Subject != "" || by.Request.Sentence != "" {
				t.Errorf("the change altered the row that was passed to it: %+v", by.Request)
			}
			// The request log cannot hold a second row of the same time and id, so Bob cannot be
			// created.
			if out, err := f.rosters.Open(f.full).Create(t.Context(), roster.User, decode(t, registered("bob")), by); err == nil {
				t.Errorf("made %+v, though its row cannot be written", out)
			}
			if _, err := f.rosters.Open(f.full).PersonByUserName(t.Context(), "bob"); err == nil {
				t.Error("bob is there without a row")
			}
			if got := logged(); len(got) != 1 {
				t.Errorf("the log has %+v", got)
			}
		})
	})
	t.Run("a_deactivated_user_keeps_the_name", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob","active":false}`)
			_, err := f.rosters.Open(f.full).Create(t.Context(), roster.User, decode(t, registered("Bob")), bySCIM)
			isError(t, err, 409, "uniqueness")
		})
	})
	t.Run("many_at_once_with_one_name_make_one_user", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			var made, refused int
			var mu sync.Mutex
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					doc, _, err := scim.Decode(scim.UserType(), []byte(registered("ada")), scim.Lenient)
					if err == nil {
						_, err = f.rosters.Open(f.full).Create(t.Context(), roster.User, doc, bySCIM)
					}
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						made++
					case errors.Is(err, refusal.Taken):
						refused++
					default:
						t.Error(err)
					}
				})
			}
			all.Wait()
			if made != 1 || refused != 7 {
				t.Errorf("%d made, %d refused", made, refused)
			}
		})
	})
	t.Run("a_role_needs_the_checkbox_and_a_known_name", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			out, err := f.rosters.Open(s).Create(t.Context(), roster.User, decode(t, strings.Replace(admin("a"), "Admin", "moderator", 1)), bySCIM)
			if err != nil || f.get(t, s, out.Document.ID).String("userType") != "Moderator" || len(out.Ignored) > 0 {
				t.Errorf("got %+v, %v", out, err)
			}
			s.ManageRoles = false
			out, err = f.rosters.Open(s).Create(t.Context(), roster.User, decode(t, admin("b")), bySCIM)
			if err != nil || f.person(t, s, out.Document.ID).Role != roster.RoleRegistered || f.get(t, s, out.Document.ID)["userType"] != nil {
				t.Errorf("got %+v, %v", out, err)
			}
			if diff := cmp.Diff(out.Sentence, `Created · ignored: role Admin not set, "Allow SCIM to manage user roles" is off`); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("the_full_profile_keeps_a_user_type_that_is_no_role", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.user(t, f.full, admin("other"))
			r := f.rosters.Open(f.full)
			out, err := r.Create(t.Context(), roster.User, decode(t, strings.Replace(admin("a"), "Admin", "Employee", 1)), bySCIM)
			id := out.Document.ID
			if err != nil || out.Sentence != `Created · ignored: role "Employee" unknown` {
				t.Errorf("got %+v, %v", out, err)
			}
			check := func(step, userType string, role roster.Role) {
				t.Helper()
				if got := f.get(t, f.full, id).String("userType"); got != userType || f.person(t, f.full, id).Role != role {
					t.Errorf("%s: got userType %q and role %s, want %q and %s", step, got, f.person(t, f.full, id).Role, userType, role)
				}
			}
			check("created", "Employee", roster.RoleRegistered)
			f.finds(t, f.full, `userType eq "employee"`, id)
			f.finds(t, f.full, `userType eq "Registered"`)
			out, err = r.Patch(t.Context(), roster.User, id, replace(t, "title", `"x"`), bySCIM)
			if err != nil || out.Sentence != "Updated title" {
				t.Errorf("a change of something else: got %q, %v", out.Sentence, err)
			}
			out, err = r.Patch(t.Context(), roster.User, id, replace(t, "userType", `"Contractor"`), bySCIM)
			if err != nil || out.Sentence != `Updated userType · ignored: role "Contractor" unknown` {
				t.Errorf("got %q, %v", out.Sentence, err)
			}
			check("changed", "Contractor", roster.RoleRegistered)
			if diff := cmp.Diff(names(f.events(t, f.full, id)), []string{"user.created", "user.updated", "user.updated"}); diff != "" {
				t.Error(diff)
			}
			for _, step := range []struct {
				sent, userType string
				role           roster.Role
			}{
				{"Admin", "Admin", roster.RoleAdmin},
				{"Employee", "Admin", roster.RoleAdmin},
				{"", "Admin", roster.RoleAdmin},
				{"registered", "Registered", roster.RoleRegistered},
				{"Employee", "Employee", roster.RoleRegistered},
				{"", "", roster.RoleRegistered},
			} {
				if _, err := r.Replace(t.Context(), roster.User, id, decode(t, strings.Replace(admin("a"), "Admin", step.sent, 1)), bySCIM); err != nil {
					t.Fatal(err)
				}
				check("sent "+step.sent, step.userType, step.role)
			}
		})
	})
	t.Run("the_documented_profile_always_shows_the_role", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.documented)
			if _, err := r.Import(t.Context(), []roster.ImportRow{{UserName: "ada"}}, byFile); err != nil {
				t.Fatal(err)
			}
			p, err := r.PersonByUserName(t.Context(), "ada")
			if err != nil {
				t.Fatal(err)
			}
			for _, userType := range []string{"Employee", "", "Registered"} {
				if _, err := r.Replace(t.Context(), roster.User, p.ID, decode(t, strings.Replace(admin("ada"), "Admin", userType, 1)), bySCIM); err != nil {
					t.Fatal(err)
				}
				if got := f.get(t, f.documented, p.ID).String("userType"); got != "Registered" {
					t.Errorf("sent %q: got %q, want Registered", userType, got)
				}
			}
		})
	})
	t.Run("texts_too_long_for_an_index_are_refused", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for _, body := range []string{
				registered(strings.Repeat("ü", 501)),
				fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"x","emails":[{"value":"%s"}]}`, strings.Repeat("x", 1001)),
				fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"x","externalId":"%s"}`, strings.Repeat("x", 1001)),
			} {
				_, err := f.rosters.Open(f.full).Create(t.Context(), roster.User, decode(t, body), bySCIM)
				isError(t, err, 400, "invalidValue")
			}
			f.user(t, f.full, registered(strings.Repeat("x", 1000)))
		})
	})
	t.Run("without_groups_writing_one_is_501_and_there_are_none", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			off := f.full
			off.Groups = false
			for _, s := range []site.Site{f.documented, off} {
				r := f.rosters.Open(s)
				_, err := r.Create(t.Context(), roster.Group, scim.Resource{"displayName": "G"}, bySCIM)
				isError(t, err, 501, "")
				_, err = r.Delete(t.Context(), roster.Group, "1", bySCIM)
				isError(t, err, 501, "")
				_, err = r.Get(t.Context(), roster.Group, "1")
				isError(t, err, 404, "")
				page, err := r.List(t.Context(), roster.Query{Kind: roster.Group, Count: 10})
				if err != nil || page.TotalResults != 0 {
					t.Errorf("got %+v, %v; want an empty list", page, err)
				}
			}
		})
	})
}

func TestPatch(t *testing.T) {
	t.Run("deactivating_ends_the_sessions_in_the_same_go", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.documented, ada)
			r := f.rosters.Open(f.documented)
			first := f.session(t, f.documented, id, time.Hour)
			second := f.session(t, f.documented, id, time.Hour)
			f.session(t, f.documented, id, -time.Hour) // this session is over already, so it is not counted
			out, err := r.Patch(t.Context(), roster.User, id, replace(t, "active", `"False"`), bySCIM)
			if err != nil {
				t.Fatal(err)
			}
			if out.Sentence != "Deactivated · 2 sessions ended" || out.SessionsEnded != 2 || !out.Changed || out.Document.Version != 2 {
				t.Errorf("got %+v", out)
			}
			for _, secret := range []string{first, second} {
				if _, err := r.UseSession(t.Context(), secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
					t.Errorf("got %v, want ErrNoSession", err)
				}
			}
			events := f.events(t, f.documented, id)
			if diff := cmp.Diff(names(events), []string{"user.created", "user.deactivated"}); diff != "" {
				t.Error(diff)
			}
			if got := events[len(events)-1]; got.Text != "Ada@Acme.test was deactivated; 2 sessions ended" || got.Actor != "scim:…a91f" {
				t.Errorf("got %+v", got)
			}
			if _, err := r.Reactivate(t.Context(), id, byKim); err != nil {
				t.Fatal(err)
			}
			if _, err := r.UseSession(t.Context(), first, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("reactivating revived a session: %v", err)
			}
		})
	})
	t.Run("a_repeat_changes_neither_version_nor_feed", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.documented, ada)
			r := f.rosters.Open(f.documented)
			var outs []roster.Outcome
			for range 2 {
				out, err := r.Patch(t.Context(), roster.User, id, replace(t, "active", `false`), bySCIM)
				if err != nil {
					t.Fatal(err)
				}
				outs = append(outs, out)
			}
			if diff := cmp.Diff(outs[1].Document, outs[0].Document); diff != "" || outs[1].Changed || outs[1].Sentence != "Nothing to change" {
				t.Errorf("%+v\n%s", outs[1], diff)
			}
			if diff := cmp.Diff(names(f.events(t, f.documented, id)), []string{"user.created", "user.deactivated"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("the_sentence_names_the_attributes", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.documented, ada)
			p := patch(t, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[
				{"op":"Replace","path":"title","value":"Countess"},
				{"op":"Add","path":"emails[type eq \"work\"].value","value":"ada@new.test"},
				{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"Poems"},
				{"op":"Replace","path":"active","value":"False"}]}`)
			out, err := f.rosters.Open(f.documented).Patch(t.Context(), roster.User, id, p, bySCIM)
			if err != nil || out.Sentence != "Deactivated · Updated emails, title, department" {
				t.Errorf("got %q, %v", out.Sentence, err)
			}
			if diff := cmp.Diff(names(f.events(t, f.documented, id)), []string{"user.created", "user.deactivated", "user.updated"}); diff != "" {
				t.Error(diff)
			}
			f.finds(t, f.documented, `emails.value eq "ada@new.test"`, id)
			f.finds(t, f.documented, `emails.value eq "ada@acme.test"`)
			f.finds(t, f.documented, `emails.value eq "ada@HOME.test"`, id)
		})
	})
	t.Run("a_role_is_left_alone_unless_scim_manages_roles", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.documented, ada)
			out, err := f.rosters.Open(f.documented).Patch(t.Context(), roster.User, id, replace(t, "userType", `"Admin"`), bySCIM)
			if err != nil || out.Changed || len(out.Ignored) != 1 || out.Ignored[0].Path != "userType" {
				t.Errorf("got %+v, %v", out, err)
			}
			if diff := cmp.Diff(out.Sentence, `Nothing: role Admin not set, "Allow SCIM to manage user roles" is off`); diff != "" {
				t.Error(diff)
			}
			f.user(t, f.full, admin("other"))
			id = f.user(t, f.full, ada)
			out, err = f.rosters.Open(f.full).Patch(t.Context(), roster.User, id, replace(t, "userType", `"admin"`), bySCIM)
			if err != nil || out.Sentence != "Role Registered → Admin" || f.person(t, f.full, id).Role != roster.RoleAdmin {
				t.Errorf("got %+v, %v", out, err)
			}
			if diff := cmp.Diff(names(f.events(t, f.full, id)), []string{"user.created", "user.role_changed"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("nothing_but_a_known_role_demotes", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.user(t, f.full, admin("other"))
			id := f.user(t, f.full, admin("ada"))
			for _, p := range []*scim.Patch{
				replace(t, "userType", `"Admn"`),
				replace(t, "userType", `""`),
				patch(t, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"userType"}]}`),
			} {
				out, err := f.rosters.Open(f.full).Patch(t.Context(), roster.User, id, p, bySCIM)
				if err != nil || out.Changed || len(out.Ignored) != 1 || !strings.HasPrefix(out.Sentence, "Nothing: ") {
					t.Errorf("got %+v, %v", out, err)
				}
			}
			if got := f.get(t, f.full, id).String("userType"); got != "Admin" {
				t.Errorf("got %q, want Admin", got)
			}
		})
	})
	t.Run("removing_active_changes_nothing", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.documented, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob","active":false}`)
			p := patch(t, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"active"}]}`)
			out, err := f.rosters.Open(f.documented).Patch(t.Context(), roster.User, id, p, bySCIM)
			if err != nil || out.Changed || len(out.Ignored) != 1 || f.person(t, f.documented, id).Active {
				t.Errorf("got %+v, %v", out, err)
			}
		})
	})
	t.Run("the_request_log_learns_that_scim_reversed_a_change_by_hand", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.user(t, f.full, admin("other"))
			id := f.user(t, f.full, ada)
			r := f.rosters.Open(f.full)
			if _, err := r.Deactivate(t.Context(), id, byKim); err != nil {
				t.Fatal(err)
			}
			if _, err := r.SetRole(t.Context(), id, roster.RoleModerator, byKim); err != nil {
				t.Fatal(err)
			}
			p := patch(t, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":true,"userType":"Registered"}}]}`)
			out, err := r.Patch(t.Context(), roster.User, id, p, bySCIM)
			if err != nil {
				t.Fatal(err)
			}
			want := "Reactivated · reverses the change by hand of admin:kim@acme.test · Role Moderator → Registered · reverses the change by hand of admin:kim@acme.test"
			if diff := cmp.Diff(out.Sentence, want); diff != "" {
				t.Error(diff)
			}
			events := f.events(t, f.full, id)
			if got := events[len(events)-2].Text; got != "Ada@Acme.test was reactivated; this reverses the change by hand of admin:kim@acme.test" {
				t.Errorf("got %q", got)
			}
			out, err = r.Patch(t.Context(), roster.User, id, replace(t, "active", "false"), bySCIM)
			if err != nil || out.Sentence != "Deactivated" {
				t.Errorf("SCIM reversing itself: got %q, %v", out.Sentence, err)
			}
		})
	})
	t.Run("another_version_than_asked_for_is_412", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, ada)
			r := f.rosters.Open(f.full)
			first := bySCIM
			first.IfVersion = 1
			if _, err := r.Patch(t.Context(), roster.User, id, replace(t, "title", `"x"`), first); err != nil {
				t.Fatal(err)
			}
			_, err := r.Patch(t.Context(), roster.User, id, replace(t, "title", `"y"`), first)
			isError(t, err, 412, "")
			_, err = r.Replace(t.Context(), roster.User, id, decode(t, ada), first)
			isError(t, err, 412, "")
			_, err = r.Delete(t.Context(), roster.User, id, first)
			isError(t, err, 412, "")
			if got := f.get(t, f.full, id).String("title"); got != "x" {
				t.Errorf("got %q", got)
			}
		})
	})
	t.Run("parallel_patches_both_survive", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, registered("ada"))
			attributes := []string{"title", "nickName", "displayName", "locale", "timezone", "preferredLanguage"}
			var all sync.WaitGroup
			for _, name := range attributes {
				p := replace(t, name, `"set"`)
				all.Go(func() {
					if _, err := f.rosters.Open(f.full).Patch(t.Context(), roster.User, id, p, bySCIM); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			doc := f.get(t, f.full, id)
			for _, name := range attributes {
				if doc.String(name) != "set" {
					t.Errorf("%s was lost", name)
				}
			}
			if got := doc["meta"].(map[string]any)["version"]; got != `W/"7"` {
				t.Errorf("got version %v, want 7", got)
			}
		})
	})
	t.Run("a_user_name_that_is_taken_is_409", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, registered("ada"))
			f.user(t, f.full, registered("bob"))
			_, err := f.rosters.Open(f.full).Patch(t.Context(), roster.User, id, replace(t, "userName", `"BOB"`), bySCIM)
			isError(t, err, 409, "uniqueness")
			if _, err := f.rosters.Open(f.full).Patch(t.Context(), roster.User, id, replace(t, "userName", `"ADA"`), bySCIM); err != nil {
				t.Errorf("one's own in another case: %v", err)
			}
			if got := f.get(t, f.full, id).String("userName"); got != "ADA" {
				t.Errorf("got %q", got)
			}
		})
	})
	t.Run("an_id_that_nobody_has_is_404", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			here := f.user(t, f.documented, ada)
			for _, id := range []string{"nobody", "", "\x00", "\xff", here} {
				r := f.rosters.Open(f.full) // here is an id of another site
				_, err := r.Patch(t.Context(), roster.User, id, replace(t, "active", "false"), bySCIM)
				isError(t, err, 404, "")
				_, err = r.Get(t.Context(), roster.User, id)
				isError(t, err, 404, "")
				_, err = r.Replace(t.Context(), roster.User, id, decode(t, ada), bySCIM)
				isError(t, err, 404, "")
				_, err = r.Delete(t.Context(), roster.User, id, bySCIM)
				isError(t, err, 404, "")
				_, err = r.Person(t.Context(), id)
				isError(t, err, 404, "")
				_, err = r.StartSession(t.Context(), id, session.Limits{Length: time.Hour, Idle: time.Hour}, session.Browser{})
				isError(t, err, 404, "")
			}
		})
	})
}

func TestReplace(t *testing.T) {
	t.Run("what_it_leaves_out_is_cleared_but_for_active_external_id_and_role", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.user(t, f.full, admin("other"))
			id := f.user(t, f.full, strings.Replace(ada, `"password": "secret",`, `"active": false, "userType": "Moderator",`, 1))
			out, err := f.rosters.Open(f.full).Replace(t.Context(), roster.User, id, decode(t, registered("ada@acme.test")), bySCIM)
			if err != nil {
				t.Fatal(err)
			}
			got := f.get(t, f.full, id)
			delete(got, "meta")
			want := scim.Resource{
				"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:User"}, "id": id, "userName": "ada@acme.test",
				"externalId": "Ada-1", "active": false, "userType": "Moderator",
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			if out.Sentence != "Updated displayName, emails, name, title, userName, department" {
				t.Errorf("got %q", out.Sentence)
			}
		})
	})
	t.Run("our_own_answer_sent_back_changes_nothing", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, ada)
			r := f.rosters.Open(f.full)
			doc, err := r.Get(t.Context(), roster.User, id)
			if err != nil {
				t.Fatal(err)
			}
			out, err := r.Replace(t.Context(), roster.User, id, decode(t, string(doc.JSON)), bySCIM)
			if err != nil || out.Changed {
				t.Errorf("got %+v, %v", out, err)
			}
			if diff := cmp.Diff(out.Document, doc); diff != "" {
				t.Error(diff)
			}
		})
	})
}

func TestDelete(t *testing.T) {
	t.Run("the_full_profile_frees_the_name_and_never_the_id", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			id := f.user(t, f.full, ada)
			secret := f.session(t, f.full, id, time.Hour)
			out, err := r.Delete(t.Context(), roster.User, id, bySCIM)
			if err != nil || out.Sentence != "Deleted · 1 session ended" || out.SessionsEnded != 1 || !out.Changed || out.UserName != "Ada@Acme.test" {
				t.Errorf("got %+v, %v", out, err)
			}
			_, err = r.Get(t.Context(), roster.User, id)
			isError(t, err, 404, "")
			_, err = r.Delete(t.Context(), roster.User, id, bySCIM)
			isError(t, err, 404, "")
			if _, err := r.UseSession(t.Context(), secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("got %v, want ErrNoSession", err)
			}
			f.finds(t, f.full, `emails.value eq "ada@acme.test"`)
			again := f.user(t, f.full, ada)
			if again == id {
				t.Errorf("the id %s was used again", id)
			}
			f.finds(t, f.full, `emails.value eq "ada@acme.test"`, again)
			if diff := cmp.Diff(names(f.events(t, f.full, id)), []string{"user.created", "user.deleted"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("the_documented_profile_answers_501_and_says_what_to_do", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.documented, ada)
			_, err := f.rosters.Open(f.documented).Delete(t.Context(), roster.User, id, bySCIM)
			if detail := isError(t, err, 501, ""); !strings.Contains(detail, "deletion over SCIM is off") {
				t.Errorf("detail %q", detail)
			}
			f.get(t, f.documented, id)
		})
	})
	t.Run("moderators_and_administrators_are_demoted_first", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.user(t, f.full, admin("other"))
			id := f.user(t, f.full, admin("ada"))
			_, err := f.rosters.Open(f.full).Delete(t.Context(), roster.User, id, bySCIM)
			if detail := isError(t, err, 409, ""); !strings.Contains(detail, "Set userType to Registered first") {
				t.Errorf("detail %q", detail)
			}
		})
	})
}

func TestLastAdministrator(t *testing.T) {
	t.Run("nobody_demotes_or_deactivates_the_last_active_one", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, admin("ada"))
			gone := f.user(t, f.full, admin("gone"))
			f.user(t, f.documented, admin("elsewhere"))
			r := f.rosters.Open(f.full)
			if _, err := r.Deactivate(t.Context(), gone, byKim); err != nil {
				t.Fatal(err)
			}
			put := decode(t, strings.Replace(admin("ada"), "Admin", "Registered", 1))
			tries := map[string]func() error{
				"patch active": func() error {
					_, err := r.Patch(t.Context(), roster.User, id, replace(t, "active", "false"), bySCIM)
					return err
				},
				"patch userType": func() error {
					_, err := r.Patch(t.Context(), roster.User, id, replace(t, "userType", `"Moderator"`), bySCIM)
					return err
				},
				"put":        func() error { _, err := r.Replace(t.Context(), roster.User, id, put, bySCIM); return err },
				"delete":     func() error { _, err := r.Delete(t.Context(), roster.User, id, bySCIM); return err },
				"deactivate": func() error { _, err := r.Deactivate(t.Context(), id, byKim); return err },
				"set role":   func() error { _, err := r.SetRole(t.Context(), id, roster.RoleRegistered, byKim); return err },
			}
			for name, try := range tries {
				t.Log(name)
				isError(t, try(), 409, "")
			}
			report, err := r.Import(t.Context(), []roster.ImportRow{{UserName: "ADA", Role: roster.RoleModerator}}, byFile)
			if err != nil || len(report.Errors) != 1 || !strings.Contains(report.Errors[0].Why.Detail, "last active administrator") {
				t.Errorf("import: got %+v, %v", report, err)
			}
			p := f.person(t, f.full, id)
			if !p.Active || p.Role != roster.RoleAdmin || p.Version != 1 {
				t.Errorf("got %+v, want it untouched", p)
			}
			if diff := cmp.Diff(names(f.events(t, f.full, id)), []string{"user.created"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("administrators_who_demote_each_other_at_once_leave_one", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for round := range 10 {
				s := f.site(t, fmt.Sprintf("round-%d", round), site.Full)
				a, b := f.user(t, s, admin("a")), f.user(t, s, admin("b"))
				r := f.rosters.Open(s)
				var all sync.WaitGroup
				all.Go(func() {
					if _, err := r.SetRole(t.Context(), a, roster.RoleRegistered, roster.Change{Actor: "admin:b", Via: roster.ViaAdmin, Person: b}); err != nil {
						isError(t, err, 409, "")
					}
				})
				all.Go(func() {
					if _, err := r.Deactivate(t.Context(), b, roster.Change{Actor: "admin:a", Via: roster.ViaAdmin, Person: a}); err != nil {
						isError(t, err, 409, "")
					}
				})
				all.Wait()
				if counts, err := r.Counts(t.Context()); err != nil || counts.Admins != 1 {
					t.Errorf("round %d: %+v, %v; want one administrator", round, counts, err)
				}
			}
		})
	})
}

func TestByHand(t *testing.T) {
	t.Run("an_administrator_changes_role_and_access_in_the_documented_profile_too", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.documented, ada)
			r := f.rosters.Open(f.documented)
			out, err := r.SetRole(t.Context(), id, "moderator", byKim)
			if err != nil || out.Sentence != "Role Registered → Moderator" {
				t.Errorf("got %+v, %v", out, err)
			}
			f.session(t, f.documented, id, time.Hour)
			out, err = r.Deactivate(t.Context(), id, byKim)
			if err != nil || out.Sentence != "Deactivated · 1 session ended" {
				t.Errorf("got %+v, %v", out, err)
			}
			p := f.person(t, f.documented, id)
			want := roster.Stamp{Actor: "admin:kim@acme.test", Via: roster.ViaAdmin, Time: out.Document.Modified, Text: "Deactivated · 1 session ended"}
			if diff := cmp.Diff(p.LastChange, want); diff != "" {
				t.Error(diff)
			}
			want.Text = ""
			if diff := cmp.Diff(p.LastActiveChange, want); diff != "" || p.LastRoleChange.Actor != "admin:kim@acme.test" || !p.LastRoleChange.Time.Before(want.Time) {
				t.Errorf("role %+v\n%s", p.LastRoleChange, diff)
			}
			out, err = r.Reactivate(t.Context(), id, byKim)
			if p := f.person(t, f.documented, id); err != nil || out.Sentence != "Reactivated" || !p.Active || p.Role != roster.RoleModerator {
				t.Errorf("got %+v, %+v, %v; want the role kept", out, p, err)
			}
			out, err = r.Reactivate(t.Context(), id, byKim)
			if err != nil || out.Changed {
				t.Errorf("a repeat: got %+v, %v", out, err)
			}
		})
	})
	t.Run("nobody_changes_their_own_role_or_cuts_themselves_off", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.user(t, f.full, admin("other"))
			id := f.user(t, f.full, admin("kim"))
			self := roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin, Person: id}
			_, err := f.rosters.Open(f.full).SetRole(t.Context(), id, roster.RoleRegistered, self)
			isError(t, err, 403, "")
			_, err = f.rosters.Open(f.full).Deactivate(t.Context(), id, self)
			isError(t, err, 403, "")
		})
	})
	t.Run("an_unknown_role_is_refused", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, ada)
			_, err := f.rosters.Open(f.full).SetRole(t.Context(), id, "Admn", byKim)
			isError(t, err, 400, "invalidValue")
		})
	})
}
