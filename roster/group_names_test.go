package roster_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

func TestGroupsOfOneName(t *testing.T) {
	set := func(t *testing.T, f fixture, change func(*site.Site)) (site.Site, error) {
		t.Helper()
		return f.sites.Update(t.Context(), f.full.ID, "cli", func(s *site.Site) error { change(s); return nil })
	}
	create := func(t *testing.T, f fixture, s site.Site, name string) error {
		t.Helper()
		_, err := f.rosters.Open(s).Create(t.Context(), roster.Group, scim.Resource{"schemas": []any{scim.GroupURN}, "displayName": name}, bySCIM)
		return err
	}
	ways := map[string]func(*site.Site, bool){
		"strict": func(s *site.Site, on bool) { s.Strict = on },
		"shared": func(s *site.Site, on bool) { s.SharedGroupNames = on },
	}
	t.Run("follow_strict_mode_and_the_setting", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for way, turn := range ways {
				name := "Team " + way
				s := f.full
				f.group(t, s, name)
				isError(t, create(t, f, s, strings.ToUpper(name)), 409, "uniqueness")
				s, err := set(t, f, func(s *site.Site) { turn(s, true) })
				if err != nil {
					t.Fatal(err)
				}
				if err := create(t, f, s, strings.ToUpper(name)); err != nil {
					t.Errorf("%s: %v", way, err)
				}
				// Two groups share a name now, so the site cannot require unique names again. The
				// error must name the shared name, and the groups must stay.
				_, err = set(t, f, func(s *site.Site) { turn(s, false) })
				if !errors.Is(err, site.ErrNameShared) || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(name)) {
					t.Errorf("%s: got %v", way, err)
				}
				page, err := f.rosters.Open(s).List(t.Context(), roster.Query{Kind: roster.Group, Count: 100})
				if err != nil {
					t.Fatal(err)
				}
				last := page.Documents[len(page.Documents)-1].ID
				if _, err := f.rosters.Open(s).Patch(t.Context(), roster.Group, last, groupPatch(t, `{"op":"replace","path":"displayName","value":"Other `+way+`"}`), bySCIM); err != nil {
					t.Fatal(err)
				}
				if s, err = set(t, f, func(s *site.Site) { turn(s, false) }); err != nil {
					t.Fatal(err)
				}
				isError(t, create(t, f, s, name), 409, "uniqueness")
				isError(t, create(t, f, s, "other "+way), 409, "uniqueness")
			}
		})
	})
	t.Run("of_many_creates_at_once_one_or_all_succeed", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			shared, err := f.sites.Update(t.Context(), f.site(t, "shared", site.Full).ID, "cli", func(s *site.Site) error { s.SharedGroupNames = true; return nil })
			if err != nil {
				t.Fatal(err)
			}
			const clients = 6
			for s, want := range map[*site.Site]int{&f.full: 1, &shared: clients} {
				var wg sync.WaitGroup
				errs := make([]error, clients)
				for i := range clients {
					wg.Go(func() { errs[i] = create(t, f, *s, "Team") })
				}
				wg.Wait()
				made := 0
				for _, err := range errs {
					if err == nil {
						made++
					} else {
						isError(t, err, 409, "uniqueness")
					}
				}
				if made != want {
					t.Errorf("%s: got %d groups, want %d", s.Name, made, want)
				}
			}
		})
	})
	t.Run("a_write_under_the_rule_of_before_is_not_made", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			before, err := set(t, f, func(s *site.Site) { s.SharedGroupNames = true })
			if err != nil {
				t.Fatal(err)
			}
			f.group(t, before, "Team")
			if _, err := set(t, f, func(s *site.Site) { s.SharedGroupNames = false }); err != nil {
				t.Fatal(err)
			}
			isError(t, create(t, f, before, "Team"), 503, "")
		})
	})
}
