package site_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/site"
)

func TestCreateToken(t *testing.T) {
	t.Run("it_turns_scim_on_and_authenticates", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			token, secret := f.token(t, site.TokenRequest{Name: "Entra"})
			if !regexp.MustCompile(`^rollcall_[A-Za-z0-9_-]{43}[A-Za-z0-9_-]{6}$`).MatchString(secret) {
				t.Errorf("the secret has the form %q", secret)
			}
			if !strings.HasSuffix(secret, token.Last4) || len(token.Last4) != 4 {
				t.Errorf("last four %q of %q", token.Last4, secret)
			}
			gotSite, gotToken, err := f.sites.Authenticate(t.Context(), "acme", secret)
			if err != nil {
				t.Fatal(err)
			}
			wantSite := f.acme
			wantSite.SCIMEnabled, wantSite.Created, wantSite.SetUpLocked = true, time.Time{}, false
			if diff := cmp.Diff(gotSite, wantSite); diff != "" {
				t.Error(diff)
			}
			wantToken := site.Token{ID: token.ID, Site: token.Site, Last4: token.Last4, Expires: token.Expires}
			if diff := cmp.Diff(gotToken, wantToken); diff != "" {
				t.Error(diff)
			}
			want := []string{"site.created by cli", "token.created by admin:kim@acme.test", "site.scim_enabled by admin:kim@acme.test"}
			if diff := cmp.Diff(story(t, f.db, event.Site(string(f.acme.ID))), want); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("keep_off_leaves_scim_off", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			token, secret := f.token(t, site.TokenRequest{KeepOff: true})
			gotSite, gotToken, err := f.sites.Authenticate(t.Context(), "acme", secret)
			if !errors.Is(err, site.ErrSCIMOff) {
				t.Errorf("got %v, want ErrSCIMOff", err)
			}
			if gotSite.ID != f.acme.ID || gotToken.ID != token.ID {
				t.Errorf("got %v and %v, want both for the request log", gotSite, gotToken)
			}
		})
	})
	t.Run("a_live_token_asks_for_a_choice", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			first, _ := f.token(t, site.TokenRequest{Name: "first"})
			_, _, err := f.sites.CreateToken(t.Context(), f.acme.ID, site.TokenRequest{})
			live, _ := refusal.DataOf[site.LiveTokens](err)
			if !errors.Is(err, site.ErrOneLive) || len(live) != 1 || live[0].ID != first.ID {
				t.Errorf("got %v, want ErrOneLive with the live token", err)
			}
		})
	})
	t.Run("replace_ends_the_live_one_at_once", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, old := f.token(t, site.TokenRequest{})
			_, fresh := f.token(t, site.TokenRequest{Mode: site.Replace})
			f.refused(t, old)
			f.accepted(t, fresh)
		})
	})
	t.Run("kept_until_used_ends_with_the_first_accepted_request_of_the_new_one", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, old := f.token(t, site.TokenRequest{})
			_, fresh := f.token(t, site.TokenRequest{Mode: site.KeepUntilUsed})
			f.accepted(t, old)
			f.setSCIM(t, false)
			if _, _, err := f.sites.Authenticate(t.Context(), "acme", fresh); !errors.Is(err, site.ErrSCIMOff) {
				t.Fatalf("got %v, want ErrSCIMOff", err)
			}
			f.setSCIM(t, true)
			f.accepted(t, old) // a request that is not accepted ends nothing
			f.accepted(t, fresh)
			f.refused(t, old)
			f.accepted(t, fresh)
		})
	})
	t.Run("the_first_requests_of_the_new_one_may_come_together", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, old := f.token(t, site.TokenRequest{})
			_, fresh := f.token(t, site.TokenRequest{Mode: site.KeepUntilUsed})
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if _, _, err := f.sites.Authenticate(t.Context(), "acme", fresh); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			f.refused(t, old)
			revoked := 0
			for _, e := range story(t, f.db, event.Site(string(f.acme.ID))) {
				if strings.HasPrefix(e, "token.revoked") {
					revoked++
				}
			}
			if revoked != 1 {
				t.Errorf("the old token was revoked by %d events, want 1", revoked)
			}
		})
	})
	t.Run("a_third_is_refused_and_names_the_two", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.token(t, site.TokenRequest{Name: "Entra 2025"})
			f.token(t, site.TokenRequest{Name: "Entra 2026", Mode: site.KeepUntilUsed})
			for _, mode := range []site.TokenMode{site.NoReplacement, site.Replace, site.KeepUntilUsed} {
				_, _, err := f.sites.CreateToken(t.Context(), f.acme.ID, site.TokenRequest{Mode: mode})
				if !errors.Is(err, site.ErrTwoLive) || !strings.Contains(err.Error(), "Entra 2025") || !strings.Contains(err.Error(), "Entra 2026") {
					t.Errorf("mode %d: got %v, want ErrTwoLive with both names", mode, err)
				}
			}
			if all, err := f.sites.Tokens(t.Context(), f.acme.ID); err != nil || len(all) != 2 {
				t.Errorf("got %d tokens, %v; want 2", len(all), err)
			}
		})
	})
	t.Run("a_form_sent_again_makes_nothing", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, secret := f.token(t, site.TokenRequest{FormNumber: "n-1"})
			again := site.TokenRequest{FormNumber: "n-1", Mode: site.Replace}
			if _, _, err := f.sites.CreateToken(t.Context(), f.acme.ID, again); !errors.Is(err, site.ErrFormUsed) {
				t.Errorf("got %v, want ErrFormUsed", err)
			}
			f.accepted(t, secret)
		})
	})
	t.Run("a_refused_form_may_be_sent_again", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.token(t, site.TokenRequest{})
			r := site.TokenRequest{FormNumber: "n-1"}
			if _, _, err := f.sites.CreateToken(t.Context(), f.acme.ID, r); !errors.Is(err, site.ErrOneLive) {
				t.Fatalf("got %v, want ErrOneLive", err)
			}
			r.Mode = site.Replace
			if _, _, err := f.sites.CreateToken(t.Context(), f.acme.ID, r); err != nil {
				t.Errorf("with a choice made: %v", err)
			}
		})
	})
	t.Run("it_expires_when_it_says", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, secret := f.token(t, site.TokenRequest{Expires: f.clock.Now().Add(time.Hour)})
			f.clock.add(time.Hour - time.Second)
			f.accepted(t, secret)
			f.clock.add(time.Second)
			f.refused(t, secret)
			f.token(t, site.TokenRequest{}) // an expired token needs no choice
		})
	})
	t.Run("an_expiry_in_the_past_and_an_endless_name_are_refused", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for _, r := range []site.TokenRequest{
				{Expires: f.clock.Now()},
				{Name: strings.Repeat("x", 101)},
			} {
				if _, _, err := f.sites.CreateToken(t.Context(), f.acme.ID, r); !errors.Is(err, refusal.Invalid) {
					t.Errorf("got %v, want refusal.Invalid", err)
				}
			}
		})
	})
	t.Run("two_at_once_leave_at_most_two_live", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			f.token(t, site.TokenRequest{})
			var all sync.WaitGroup
			for range 6 {
				all.Go(func() {
					_, _, err := f.sites.CreateToken(t.Context(), f.acme.ID, site.TokenRequest{Mode: site.KeepUntilUsed})
					if err != nil && !errors.Is(err, site.ErrTwoLive) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if tokens, err := f.sites.Tokens(t.Context(), f.acme.ID); err != nil || len(tokens) != 2 {
				t.Errorf("got %d tokens, %v; want 2", len(tokens), err)
			}
		})
	})
}

func TestRevokeToken(t *testing.T) {
	t.Run("it_ends_at_once_and_only_once", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			token, secret := f.token(t, site.TokenRequest{})
			for range 2 {
				if err := f.sites.RevokeToken(t.Context(), f.acme.ID, token.ID, "admin:kim"); err != nil {
					t.Fatal(err)
				}
				f.clock.add(time.Minute)
			}
			f.refused(t, secret)
			all, err := f.sites.Tokens(t.Context(), f.acme.ID)
			if err != nil || len(all) != 1 || !all[0].Revoked.Equal(f.clock.Now().Add(-2*time.Minute)) {
				t.Errorf("got %+v, %v; want it revoked the first time", all, err)
			}
		})
	})
	t.Run("another_sites_token_is_not_found", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			token, secret := f.token(t, site.TokenRequest{})
			other := f.create(t, "other")
			if err := f.sites.RevokeToken(t.Context(), other.ID, token.ID, "admin:eve"); !errors.Is(err, site.ErrTokenNotFound) {
				t.Errorf("got %v, want ErrTokenNotFound", err)
			}
			f.accepted(t, secret)
		})
	})
}

func TestAuthenticate(t *testing.T) {
	t.Run("unknown_site_and_wrong_token_are_the_same_error", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, secret := f.token(t, site.TokenRequest{})
			f.create(t, "other")
			mistyped := secret[:len(secret)-1] + "~"
			for _, c := range []struct{ name, bearer string }{
				{"nobody", secret},
				{"other", secret},
				{"acme\x00", secret},
				{"acme", ""},
				{"acme", "x"},
				{"acme", mistyped},
				{"acme", strings.ToUpper(secret)},
				{"acme", secret + " "},
			} {
				gotSite, gotToken, err := f.sites.Authenticate(t.Context(), c.name, c.bearer)
				if err != site.ErrUnauthorized || gotSite.ID != "" || gotToken != (site.Token{}) {
					t.Errorf("%q %q: got %v, %v, %v; want ErrUnauthorized alone", c.name, c.bearer, gotSite, gotToken, err)
				}
			}
		})
	})
	t.Run("nothing_is_cached_between_processes", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			token, secret := f.token(t, site.TokenRequest{})
			here, elsewhere := f, f
			elsewhere.sites = newSites(f.db, f.clock)
			here.accepted(t, secret)
			if err := elsewhere.sites.RevokeToken(t.Context(), f.acme.ID, token.ID, "cli"); err != nil {
				t.Fatal(err)
			}
			here.refused(t, secret)
		})
	})
	t.Run("what_another_process_changes_holds_for_the_next_request", func(t *testing.T) {
		t.Parallel()
		storetest.EachURL(t, func(t *testing.T, url string) {
			c := newClock()
			here, elsewhere := newSites(storetest.Open(t, url), c), newSites(storetest.Open(t, url), c)
			s, err := elsewhere.Create(t.Context(), "acme", site.Full, "cli")
			if err != nil {
				t.Fatal(err)
			}
			token, secret, err := elsewhere.CreateToken(t.Context(), s.ID, site.TokenRequest{})
			if err != nil {
				t.Fatal(err)
			}
			// Often and at once, so that every connection has seen it before.
			same := func(want error, strict bool) {
				t.Helper()
				var all sync.WaitGroup
				for range 16 {
					all.Go(func() {
						for range 16 {
							got, _, err := here.Authenticate(t.Context(), "acme", secret)
							if !errors.Is(err, want) || err == nil && got.Strict != strict {
								t.Errorf("got %v, strict %t; want %v, strict %t", err, got.Strict, want, strict)
								return
							}
						}
					})
				}
				all.Wait()
			}
			set := func(change func(*site.Site)) {
				t.Helper()
				if _, err := elsewhere.Update(t.Context(), s.ID, "cli", func(s *site.Site) error { change(s); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			same(nil, false)
			set(func(s *site.Site) { s.Strict = true })
			same(nil, true)
			set(func(s *site.Site) { s.SCIMEnabled = false })
			same(site.ErrSCIMOff, true)
			set(func(s *site.Site) { s.SCIMEnabled = true })
			same(nil, true)
			if err := elsewhere.RevokeToken(t.Context(), s.ID, token.ID, "cli"); err != nil {
				t.Fatal(err)
			}
			same(site.ErrUnauthorized, false)
		})
	})
}

func TestTokenEndsInLettersAndDigits(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		for range 40 { // one in eight would not, by chance
			made, _ := f.token(t, site.TokenRequest{Mode: site.Replace})
			if strings.ContainsAny(made.Last4, "-_") {
				t.Fatalf("it ends in %q", made.Last4)
			}
		}
	})
}

func TestCreateToken_changes_settings_with_it_or_not_at_all(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		roles := func(on bool) func(*site.Site) error {
			return func(s *site.Site) error { s.ManageRoles = on; return nil }
		}
		f.token(t, site.TokenRequest{KeepOff: true, FormNumber: "1", Change: roles(true)})
		now := func() site.Site {
			t.Helper()
			s, err := f.sites.Get(t.Context(), f.acme.ID)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if s := now(); !s.ManageRoles {
			t.Errorf("after it was made: %+v", s)
		}
		refused := func(want error, r site.TokenRequest) {
			t.Helper()
			if _, _, err := f.sites.CreateToken(t.Context(), f.acme.ID, r); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if s := now(); !s.ManageRoles {
				t.Errorf("the settings changed all the same: %+v", s)
			}
		}
		refused(site.ErrFormUsed, site.TokenRequest{Mode: site.Replace, FormNumber: "1", Change: roles(false)})
		refused(site.ErrOneLive, site.TokenRequest{Change: roles(false)})
		refused(refusal.Invalid, site.TokenRequest{Mode: site.Replace, Change: func(s *site.Site) error { s.ManageRoles, s.RateLimit = false, 1; return nil }})
	})
}

func TestLooksLikeToken(t *testing.T) {
	t.Run("the_checksum_finds_a_typing_error", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, secret := f.token(t, site.TokenRequest{})
			if !site.LooksLikeToken(secret) {
				t.Errorf("%q does not", secret)
			}
			swapped := []byte(secret)
			for i := 10; i < len(swapped); i++ {
				if swapped[i] != swapped[i-1] {
					swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
					break
				}
			}
			if site.LooksLikeToken(string(swapped)) {
				t.Errorf("%q does, with two characters swapped", swapped)
			}
		})
	})
}

func (f fixture) accepted(t *testing.T, secret string) {
	t.Helper()
	if _, _, err := f.sites.Authenticate(t.Context(), "acme", secret); err != nil {
		t.Errorf("the token …%s is refused: %v", secret[len(secret)-4:], err)
	}
}

func (f fixture) refused(t *testing.T, secret string) {
	t.Helper()
	gotSite, gotToken, err := f.sites.Authenticate(t.Context(), "acme", secret)
	ended, _ := refusal.DataOf[site.Token](err)
	if !errors.Is(err, site.ErrUnauthorized) || ended.Last4 != secret[len(secret)-4:] || gotSite.ID != "" || gotToken != (site.Token{}) {
		t.Errorf("the token …%s: got %v, %v, %v, want ErrUnauthorized alone that names the token", secret[len(secret)-4:], gotSite, gotToken, err)
	}
}

func (f fixture) setSCIM(t *testing.T, on bool) {
	t.Helper()
	_, err := f.sites.Update(t.Context(), f.acme.ID, "admin:kim", func(s *site.Site) error {
		s.SCIMEnabled = on
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
