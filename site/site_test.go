package site_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// story returns the names of a scope's events in commit order.
func story(t *testing.T, db *store.DB, scope event.Scope) []string {
	t.Helper()
	events, err := store.Events{DB: db}.Recent(t.Context(), scope, "", event.Position{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(events)
	var names []string
	for _, e := range events {
		names = append(names, e.Name+" by "+e.Actor)
	}
	return names
}

func TestCreate(t *testing.T) {
	t.Run("a_new_site_has_scim_and_roles_off", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			want := site.Site{
				ID: f.acme.ID, Name: "acme", Settings: site.Settings{Profile: site.Documented, Deletes: site.RefuseDelete},
				MatchesUserName: site.MatchesDisplayName, SetUpLocked: true, Created: f.clock.Now(),
			}
			got, err := f.sites.ByName(t.Context(), "acme")
			if diff := cmp.Diff(got, want); err != nil || diff != "" {
				t.Errorf("ByName: %v, got - want +\n%s", err, diff)
			}
			got, err = f.sites.Get(t.Context(), f.acme.ID)
			if diff := cmp.Diff(got, want); err != nil || diff != "" {
				t.Errorf("Get: %v, got - want +\n%s", err, diff)
			}
			if diff := cmp.Diff(story(t, f.db, event.Site(string(f.acme.ID))), []string{"site.created by cli"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("the_full_profile_matches_the_user_identifier", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			got, err := f.sites.Create(t.Context(), "globex", site.Full, "cli")
			if err != nil || got.Profile != site.Full || got.MatchesUserName != site.MatchesUserIdentifier {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	})
	t.Run("a_name_is_given_once", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, err := f.sites.Create(t.Context(), "acme", site.Full, "cli")
			if !errors.Is(err, site.ErrNameTaken) {
				t.Errorf("got %v, want ErrNameTaken", err)
			}
			all, err := f.sites.List(t.Context())
			if err != nil || len(all) != 1 || all[0].Profile != site.Documented {
				t.Errorf("got %+v, %v; want acme as it was", all, err)
			}
		})
	})
	t.Run("sites_are_listed_by_name", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.create(t, "zeta")
			f.create(t, "0beta")
			all, err := f.sites.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, s := range all {
				names = append(names, s.Name)
			}
			if diff := cmp.Diff(names, []string{"0beta", "acme", "zeta"}); diff != "" {
				t.Error(diff)
			}
		})
	})
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "0", "acme", "acme-2", "a-", strings.Repeat("x", 63)} {
		if err := site.CheckName(name); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
	}
	for _, name := range []string{"", "-a", "Acme", "a_b", "a.b", "a/b", "a b", "ä", "a\n", strings.Repeat("x", 64)} {
		if err := site.CheckName(name); !errors.Is(err, refusal.Invalid) {
			t.Errorf("%q: got %v, want refusal.Invalid", name, err)
		}
	}
}

func TestByName(t *testing.T) {
	t.Run("what_cannot_be_a_name_is_not_found", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for _, name := range []string{"", "nobody", "a\x00b", "\xff", "ACME"} {
				if _, err := f.sites.ByName(t.Context(), name); !errors.Is(err, site.ErrNotFound) {
					t.Errorf("%q: got %v, want ErrNotFound", name, err)
				}
			}
		})
	})
}

func TestUpdate(t *testing.T) {
	t.Run("each_setting_that_differs_is_an_event", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			change := func(s *site.Site) error {
				s.SCIMEnabled, s.ManageRoles, s.Strict, s.Profile = true, true, true, site.Full
				return nil
			}
			got, err := f.sites.Update(t.Context(), f.acme.ID, "admin:kim", change)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := f.sites.Get(t.Context(), f.acme.ID)
			if diff := cmp.Diff(stored, got); err != nil || diff != "" {
				t.Errorf("%v, stored - returned +\n%s", err, diff)
			}
			if !got.SCIMEnabled || !got.ManageRoles || !got.Strict || got.Profile != site.Full {
				t.Errorf("got %+v", got)
			}
			if _, err := f.sites.Update(t.Context(), f.acme.ID, "admin:kim", change); err != nil {
				t.Fatal(err)
			}
			want := []string{
				"site.created by cli", "site.profile_changed by admin:kim",
				"site.scim_enabled by admin:kim", "site.roles_managed by admin:kim", "site.strict_enabled by admin:kim",
			}
			if diff := cmp.Diff(story(t, f.db, event.Site(string(f.acme.ID))), want); diff != "" {
				t.Errorf("a repeat adds nothing: got - want +\n%s", diff)
			}
		})
	})
	t.Run("what_cannot_be_changed_is_refused", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for name, change := range map[string]func(*site.Site) error{
				"name":    func(s *site.Site) error { s.Name = "other"; return nil },
				"matches": func(s *site.Site) error { s.MatchesUserName = "shoe-size"; return nil },
				"profile": func(s *site.Site) error { s.Profile = "gold"; return nil },
			} {
				if _, err := f.sites.Update(t.Context(), f.acme.ID, "cli", change); !errors.Is(err, refusal.Invalid) {
					t.Errorf("%s: got %v, want refusal.Invalid", name, err)
				}
			}
			if got, err := f.sites.Get(t.Context(), f.acme.ID); err != nil || cmp.Diff(got, f.acme) != "" {
				t.Errorf("got %+v, %v; want it unchanged", got, err)
			}
		})
	})
	t.Run("a_site_that_is_gone_is_not_found", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, err := f.sites.Update(t.Context(), "nobody", "cli", func(*site.Site) error { return nil })
			if !errors.Is(err, site.ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
		})
	})
}

func TestRename(t *testing.T) {
	t.Run("the_site_goes_on_under_its_new_name_alone", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			ctx := t.Context()
			f.create(t, "other")
			_, secret := f.token(t, site.TokenRequest{FormNumber: "1"})
			if _, err := f.sites.Rename(ctx, f.acme.ID, "other", "cli"); !errors.Is(err, site.ErrNameTaken) {
				t.Errorf("a taken name: got %v", err)
			}
			if _, err := f.sites.Rename(ctx, f.acme.ID, "Acme Inc", "cli"); !errors.Is(err, refusal.Invalid) {
				t.Errorf("no name: got %v", err)
			}
			for range 2 { // its own name again changes nothing
				if renamed, err := f.sites.Rename(ctx, f.acme.ID, "acme-inc", "cli"); err != nil || renamed.Name != "acme-inc" || renamed.ID != f.acme.ID {
					t.Fatalf("got %+v, %v", renamed, err)
				}
			}
			if _, _, err := f.sites.Authenticate(ctx, "acme", secret); !errors.Is(err, site.ErrUnauthorized) {
				t.Errorf("its old address: got %v, want ErrUnauthorized", err)
			}
			if st, _, err := f.sites.Authenticate(ctx, "acme-inc", secret); err != nil || st.ID != f.acme.ID {
				t.Errorf("its new address: got %+v, %v", st, err)
			}
			events := story(t, f.db, event.Site(string(f.acme.ID)))
			if i := slices.Index(events, "site.renamed by cli"); i < 0 || slices.Contains(events[i+1:], "site.renamed by cli") {
				t.Errorf("got the events %v", events)
			}
			// Who gets the name next gets nothing of the site that had it.
			f.create(t, "acme")
			if _, _, err := f.sites.Authenticate(ctx, "acme", secret); !errors.Is(err, site.ErrUnauthorized) {
				t.Errorf("another site of the old name: got %v, want ErrUnauthorized", err)
			}
		})
	})
}

func TestDelete(t *testing.T) {
	t.Run("it_takes_the_name_and_leaves_nothing_but_events", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			other := f.create(t, "other")
			_, secret := f.token(t, site.TokenRequest{FormNumber: "1"})
			if err := f.requests.Write(context.Background(), requestlog.Request{Site: f.acme.ID, Method: "GET", Path: "/Users", Status: 200}); err != nil {
				t.Fatal(err)
			}
			if err := f.sites.Delete(t.Context(), f.acme.ID, "acm", "cli"); !errors.Is(err, site.ErrWrongConfirmation) {
				t.Fatalf("got %v, want ErrWrongConfirmation", err)
			}
			if err := f.sites.Delete(t.Context(), f.acme.ID, "acme", "cli"); err != nil {
				t.Fatal(err)
			}
			if _, _, err := f.sites.Authenticate(t.Context(), "acme", secret); !errors.Is(err, site.ErrUnauthorized) {
				t.Errorf("its token: got %v, want ErrUnauthorized", err)
			}
			if _, _, err := (store.Retention{DB: f.db}).Remove(t.Context(), time.Time{}); err != nil {
				t.Fatal(err)
			}
			if rows, _, err := f.requests.Page(t.Context(), f.acme.ID, requestlog.Query{}); err != nil || len(rows) > 0 {
				t.Errorf("its request log: got %v, %v", rows, err)
			}
			all, err := f.sites.List(t.Context())
			if err != nil || cmp.Diff(all, []site.Site{other}) != "" {
				t.Errorf("got %+v, %v; want the other site alone", all, err)
			}
			if diff := cmp.Diff(story(t, f.db, event.Installation()), []string{"site.deleted by cli"}); diff != "" {
				t.Error(diff)
			}
			f.create(t, "acme") // the name is free again
		})
	})
}
