package roster_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"

	"github.com/rollcall-scim/rollcall/internal/session"
)

// reviving turns on "revives" of the site full and returns the site. If change is not nil, it makes
// further changes.
func (f fixture) reviving(t *testing.T, change func(*site.Site)) site.Site {
	t.Helper()
	s, err := f.sites.Update(t.Context(), f.full.ID, "cli", func(s *site.Site) error {
		s.Revives = true
		if change != nil {
			change(s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bob returns the body of a create of bob, with more inserted.
func bob(more string) string {
	return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob@acme.test"` + more + `}`
}

func (f fixture) create(t *testing.T, s site.Site, body string) (roster.Outcome, error) {
	t.Helper()
	return f.rosters.Open(s).Create(t.Context(), roster.User, decode(t, body), bySCIM)
}

// off takes the steps in way one after another. Each step deactivates, blocks, unblocks or
// reactivates the person.
func (f fixture) off(t *testing.T, s site.Site, id, way string) {
	t.Helper()
	r := f.rosters.Open(s)
	for step := range strings.FieldsSeq(way) {
		var err error
		switch step {
		case "patch":
			_, err = r.Patch(t.Context(), roster.User, id, replace(t, "active", "false"), bySCIM)
		case "on":
			_, err = r.Patch(t.Context(), roster.User, id, replace(t, "active", "true"), bySCIM)
		case "delete":
			s.Deletes = site.DeactivateOnDelete
			_, err = f.rosters.Open(s).Delete(t.Context(), roster.User, id, bySCIM)
		case "block":
			_, err = r.Block(t.Context(), id, byKim)
		case "unblock":
			_, err = r.Unblock(t.Context(), id, byKim)
		case "hand":
			_, err = r.Deactivate(t.Context(), id, byKim)
		case "hand-on":
			_, err = r.Reactivate(t.Context(), id, byKim)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRevive(t *testing.T) {
	t.Run("a_create_gives_back_the_account_with_what_was_sent", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.reviving(t, nil)
			id := f.user(t, s, bob(`,"externalId":"b-1","title":"Clerk","nickName":"Bobby"`))
			group := f.group(t, s, "Team", id)
			f.off(t, s, id, "patch")
			before := f.person(t, s, id)
			out, err := f.create(t, s, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"BOB@acme.test","title":"Lead","active":true}`)
			if err != nil {
				t.Fatal(err)
			}
			if out.Document.ID != id || out.Created || !out.Changed || out.Document.Version != before.Version+1 || !out.Document.Created.Equal(before.Created) {
				t.Errorf("got %+v", out)
			}
			if want := "Revived, as the account was deactivated · Updated nickName, title, userName"; out.Sentence != want {
				t.Errorf("got sentence %q, want %q", out.Sentence, want)
			}
			got := f.get(t, s, id)
			delete(got, "meta")
			want := scim.Resource{"schemas": []any{scim.UserURN}, "id": id, "externalId": "b-1", "userName": "BOB@acme.test", "title": "Lead", "active": true}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			f.hasMembers(t, s, group, id)
			about := f.events(t, s, id)
			if diff := cmp.Diff(names(about), []string{"user.created", "user.deactivated", "user.revived", "user.updated"}); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			if text := about[2].Text; text != "BOB@acme.test was revived: a create found the account deactivated" || about[2].Actor != bySCIM.Actor {
				t.Errorf("got %q by %s", text, about[2].Actor)
			}
			if now := f.person(t, s, id); now.LastActiveChange.Via != roster.ViaSCIM || !now.LastActiveChange.Time.After(before.LastActiveChange.Time) {
				t.Errorf("got %+v", now.LastActiveChange)
			}
		})
	})
	t.Run("the_same_create_again_is_refused", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.reviving(t, nil)
			id := f.user(t, s, bob(""))
			f.off(t, s, id, "patch")
			if _, err := f.create(t, s, bob("")); err != nil {
				t.Fatal(err)
			}
			before := f.person(t, s, id)
			_, err := f.create(t, s, bob(""))
			isError(t, err, 409, "uniqueness")
			if diff := cmp.Diff(f.person(t, s, id), before); diff != "" {
				t.Error(diff)
			}
			if counts, err := f.rosters.Open(s).Counts(t.Context()); err != nil || counts.All != 1 {
				t.Errorf("got %+v, %v", counts, err)
			}
		})
	})
	t.Run("of_many_at_once_one_revives", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.reviving(t, nil)
			id := f.user(t, s, bob(""))
			f.off(t, s, id, "patch")
			const clients = 8
			var wg sync.WaitGroup
			errs := make([]error, clients)
			for i := range clients {
				wg.Go(func() {
					_, errs[i] = f.rosters.Open(s).Create(t.Context(), roster.User, decode(t, bob(fmt.Sprintf(`,"title":"%d"`, i))), bySCIM)
				})
			}
			wg.Wait()
			revived := 0
			for _, err := range errs {
				if err == nil {
					revived++
				} else {
					isError(t, err, 409, "uniqueness")
				}
			}
			if now := f.person(t, s, id); revived != 1 || !now.Active || now.Version != 3 {
				t.Errorf("%d revived, %+v", revived, now)
			}
		})
	})
	t.Run("sessions_and_the_user_identifier_do_not_come_back", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.reviving(t, nil)
			r := f.rosters.Open(s)
			if report, err := r.Import(t.Context(), []roster.ImportRow{{UserName: "bob@acme.test", UserIdentifier: "name-id"}}, byFile); err != nil || len(report.Errors) > 0 {
				t.Fatal(report, err)
			}
			p, err := r.PersonByUserName(t.Context(), "bob@acme.test")
			if err != nil {
				t.Fatal(err)
			}
			secret := f.session(t, s, p.ID, time.Hour)
			f.off(t, s, p.ID, "patch")
			if _, err := f.create(t, s, bob("")); err != nil {
				t.Fatal(err)
			}
			if _, err := r.UseSession(t.Context(), secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("got %v, want ErrNoSession", err)
			}
			about := f.events(t, s, p.ID)
			if text := about[len(about)-1].Text; !strings.HasSuffix(text, "; the user identifier for sign-in was forgotten") {
				t.Errorf("got %q", text)
			}
			// The forgotten user identifier is free, so another person can get it.
			report, err := r.Import(t.Context(), []roster.ImportRow{{UserName: "eve@acme.test", UserIdentifier: "name-id"}}, byFile)
			if err != nil || report.Created != 1 || len(report.Errors) > 0 {
				t.Errorf("got %+v, %v", report, err)
			}
		})
	})
	t.Run("who_may_be_revived", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for name, c := range map[string]struct {
				was, way, sent string
				revived        bool
				detail         string
			}{
				"deactivated by PATCH":                {was: "", way: "patch", revived: true},
				"deactivated by DELETE":               {was: "", way: "delete", revived: true},
				"created inactive":                    {was: `,"active":false`, revived: true},
				"with the same externalId":            {was: `,"externalId":"b-1"`, way: "patch", sent: `,"externalId":"b-1"`, revived: true},
				"without externalId until now":        {was: "", way: "patch", sent: `,"externalId":"b-1"`, revived: true},
				"active":                              {was: ""},
				"active again":                        {was: "", way: "patch hand-on"},
				"with another externalId":             {was: `,"externalId":"b-1"`, way: "patch", sent: `,"externalId":"b-2"`, detail: "externalId is another one"},
				"deactivated by hand":                 {was: "", way: "hand", revived: true},
				"blocked":                             {was: "", way: "block", detail: "that an administrator blocked"},
				"blocked after SCIM deactivated them": {was: "", way: "patch block", detail: "that an administrator blocked"},
				"blocked, and SCIM deactivates them":  {was: "", way: "block patch", detail: "that an administrator blocked"},
				"blocked, and SCIM activates them":    {was: "", way: "patch block on", detail: "that an administrator blocked"},
				"blocked until now, and deactivated":  {was: "", way: "patch block unblock", revived: true},
				"the create wants them inactive, too": {was: "", way: "patch", sent: `,"active":false`},
			} {
				s := f.reviving(t, nil)
				id := f.user(t, s, bob(c.was))
				f.off(t, s, id, c.way)
				before := f.person(t, s, id)
				out, err := f.create(t, s, bob(c.sent))
				if c.revived {
					if err != nil || out.Document.ID != id || !f.person(t, s, id).Active {
						t.Errorf("%s: got %+v, %v", name, out, err)
					}
				} else {
					if detail := isError(t, err, 409, "uniqueness"); !strings.Contains(detail, c.detail) {
						t.Errorf("%s: got %q", name, detail)
					}
					if diff := cmp.Diff(f.person(t, s, id), before); diff != "" {
						t.Errorf("%s: %s", name, diff)
					}
				}
				if _, err := f.rosters.Open(s).Unblock(t.Context(), id, byKim); err != nil {
					t.Fatal(err)
				}
				if _, err := f.rosters.Open(s).Delete(t.Context(), roster.User, id, bySCIM); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("only_where_the_site_revives", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.full, bob(""))
			other := f.site(t, "other", site.Full)
			theirs := f.user(t, other, bob(""))
			f.off(t, f.full, id, "patch")
			f.off(t, other, theirs, "patch")
			_, err := f.create(t, f.full, bob(""))
			isError(t, err, 409, "uniqueness")
			_, err = f.create(t, f.reviving(t, func(s *site.Site) { s.Strict = true }), bob(""))
			isError(t, err, 409, "uniqueness")
			_, err = f.create(t, f.reviving(t, func(s *site.Site) { s.Strict, s.Creates = false, false }), bob(""))
			isError(t, err, 501, "")
			if f.person(t, f.full, id).Active {
				t.Error("revived all the same")
			}
			if _, err = f.create(t, f.reviving(t, func(s *site.Site) { s.Creates = true }), bob("")); err != nil {
				t.Error(err)
			}
			if f.person(t, other, theirs).Active {
				t.Error("somebody of another site was revived")
			}
		})
	})
	t.Run("roles_follow_their_switch", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.user(t, f.full, admin("kim@acme.test"))
			for name, c := range map[string]struct {
				manages bool
				sent    string
				want    roster.Role
				ignored bool
			}{
				"managed and named":     {true, `,"userType":"Registered"`, roster.RoleRegistered, false},
				"managed and not named": {true, "", roster.RoleModerator, false},
				"managed and unknown":   {true, `,"userType":"Boss"`, roster.RoleModerator, true},
				"not managed":           {false, `,"userType":"Admin"`, roster.RoleModerator, true},
			} {
				managed := f.reviving(t, func(s *site.Site) { s.ManageRoles = true })
				id := f.user(t, managed, bob(`,"userType":"Moderator"`))
				f.off(t, managed, id, "patch")
				s := f.reviving(t, func(s *site.Site) { s.ManageRoles = c.manages })
				out, err := f.create(t, s, bob(c.sent))
				if err != nil {
					t.Fatal(err)
				}
				if now := f.person(t, s, id); now.Role != c.want || (len(out.Ignored) > 0) != c.ignored {
					t.Errorf("%s: got %s, ignored %v", name, now.Role, out.Ignored)
				}
				if got := f.get(t, s, id).String("userType"); got != string(c.want) && c.want != roster.RoleRegistered {
					t.Errorf("%s: got userType %q", name, got)
				}
				if _, err := f.rosters.Open(managed).Patch(t.Context(), roster.User, id, replace(t, "userName", fmt.Sprintf("%q", "gone"+id)), bySCIM); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("what_cannot_be_taken_revives_nobody", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.reviving(t, nil)
			id := f.user(t, s, bob(""))
			f.off(t, s, id, "patch")
			_, err := f.create(t, s, bob(`,"emails":[{"value":"`+strings.Repeat("x", 1001)+`"}]`))
			isError(t, err, 400, "invalidValue")
			if f.person(t, s, id).Active {
				t.Error("revived all the same")
			}
		})
	})
}
