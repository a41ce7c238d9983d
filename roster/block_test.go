package roster_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

func TestBlock(t *testing.T) {
	t.Run("ends_the_sessions_at_once_and_is_lifted_by_an_administrator_alone", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			id := f.user(t, f.full, bob(""))
			secret := f.session(t, f.full, id, time.Hour)
			out, err := r.Block(t.Context(), id, byKim)
			if err != nil || out.Sentence != "Blocked · 1 session ended" || out.SessionsEnded != 1 {
				t.Fatalf("got %+v, %v", out, err)
			}
			if _, err := r.UseSession(t.Context(), secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("got %v, want ErrNoSession", err)
			}
			_, err = r.StartSession(t.Context(), id, session.Limits{Length: time.Hour}, session.Browser{})
			isError(t, err, 403, "")
			_, err = r.Reactivate(t.Context(), id, byKim)
			isError(t, err, 409, "")
			for _, value := range []string{`true`, `"True"`} {
				if _, err := r.Patch(t.Context(), roster.User, id, replace(t, "active", value), bySCIM); err != nil {
					t.Fatal(err)
				}
			}
			if p := f.person(t, f.full, id); p.Active || !p.Block.InForce || p.Version != 2 {
				t.Errorf("got %+v", p)
			}
			if out, err = r.Block(t.Context(), id, byKim); err != nil || out.Changed {
				t.Errorf("blocked again: got %+v, %v", out, err)
			}
			if out, err = r.Unblock(t.Context(), id, byKim); err != nil || out.Sentence != "Unblocked" {
				t.Errorf("got %+v, %v", out, err)
			}
			if p := f.person(t, f.full, id); !p.Active || p.Block.InForce {
				t.Errorf("got %+v", p)
			}
			if diff := cmp.Diff(names(f.events(t, f.full, id)), []string{"user.created", "user.blocked", "user.unblocked"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("people_who_leave_meanwhile_do_not_come_back_with_its_end", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			for way, active := range map[string]bool{
				"block":             true,
				"block on":          true,
				"block patch":       false,
				"block patch on":    true,
				"patch block":       false,
				"patch block on":    true,
				"block delete":      false,
				"hand block":        false,
				"block hand":        false,
				"block patch block": false,
			} {
				id := f.user(t, f.full, bob(""))
				f.off(t, f.full, id, way)
				if p := f.person(t, f.full, id); p.Active || !p.Block.InForce {
					t.Errorf("%s: got %+v", way, p)
				}
				if _, err := r.Unblock(t.Context(), id, byKim); err != nil {
					t.Fatal(err)
				}
				if p := f.person(t, f.full, id); p.Active != active {
					t.Errorf("%s, then unblocked: active is %t", way, p.Active)
				}
				if _, err := r.Delete(t.Context(), roster.User, id, bySCIM); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("keeps_the_name_and_what_the_person_signs_in_by", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			id := f.user(t, f.full, bob(`,"externalId":"b-1","emails":[{"value":"bob@acme.test"}]`))
			f.off(t, f.full, id, "block")
			for path, value := range map[string]string{"userName": `"eve@acme.test"`, "externalId": `"e-1"`, "emails": `[{"value":"eve@acme.test"}]`} {
				out, err := r.Patch(t.Context(), roster.User, id, replace(t, path, value), bySCIM)
				if err != nil || out.Changed || len(out.Ignored) != 1 {
					t.Errorf("%s: got %+v, %v", path, out, err)
				}
			}
			_, err := r.Patch(t.Context(), roster.User, id, replace(t, "userName", `" "`), bySCIM)
			isError(t, err, 400, "invalidValue")
			_, err = f.create(t, f.full, bob(""))
			isError(t, err, 409, "uniqueness")
			_, err = r.Delete(t.Context(), roster.User, id, bySCIM)
			isError(t, err, 409, "")
			if p := f.person(t, f.full, id); p.UserName != "bob@acme.test" || p.ExternalID != "b-1" || p.Email != "bob@acme.test" {
				t.Errorf("got %+v", p)
			}
		})
	})
	t.Run("neither_the_last_administrator_nor_oneself", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			kim := f.user(t, f.full, admin("kim@acme.test"))
			_, err := r.Block(t.Context(), kim, byKim)
			isError(t, err, 409, "")
			lee := f.user(t, f.full, admin("lee@acme.test"))
			_, err = r.Block(t.Context(), kim, roster.Change{Actor: "admin:kim@acme.test", Via: roster.ViaAdmin, Person: kim})
			isError(t, err, 403, "")
			if _, err = r.Block(t.Context(), kim, byKim); err != nil {
				t.Error(err)
			}
			_, err = r.Block(t.Context(), lee, byKim)
			isError(t, err, 409, "")
		})
	})
	t.Run("is_counted_and_listed_on_its_own_site_alone", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			other := f.site(t, "other", site.Full)
			id, theirs := f.user(t, f.full, bob("")), f.user(t, other, bob(""))
			f.user(t, f.full, registered("ann@acme.test"))
			f.off(t, f.full, id, "block")
			people, _, err := f.rosters.Open(f.full).People(t.Context(), roster.PeopleQuery{Status: roster.StatusBlocked})
			if err != nil || len(people) != 1 || people[0].ID != id {
				t.Errorf("got %+v, %v", people, err)
			}
			if c, err := f.rosters.Open(f.full).Counts(t.Context()); err != nil || c != (roster.Counts{All: 2, Active: 1, Deactivated: 1, Blocked: 1, NeverSignedIn: 1}) {
				t.Errorf("got %+v, %v", c, err)
			}
			if c, err := f.rosters.Open(other).Counts(t.Context()); err != nil || c.Blocked != 0 || !f.person(t, other, theirs).Active {
				t.Errorf("got %+v, %v", c, err)
			}
			_, err = f.rosters.Open(other).Unblock(t.Context(), id, byKim)
			isError(t, err, 404, "")
		})
	})
}
