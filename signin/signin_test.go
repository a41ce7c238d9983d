package signin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// world is a site with its sign-in on a real store, with a clock that the test owns.
type world struct {
	*signin.SignIns
	ctx    context.Context
	site   site.Site
	sites  *site.Sites
	people *roster.Roster
	events store.Events

	mu  sync.Mutex
	now time.Time
	ids int
}

func newWorld(t testing.TB, db *store.DB) *world {
	t.Helper()
	w := &world{ctx: t.Context(), events: store.Events{DB: db}, now: time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC)}
	w.sites = &site.Sites{Store: store.Sites{DB: db}, Now: w.clock, NewID: w.id}
	rosters := &roster.Rosters{Store: store.Rosters{DB: db}, Now: w.clock, NewID: w.id}
	w.SignIns = &signin.SignIns{Store: store.SignIns{DB: db}, Rosters: rosters, Now: w.clock}
	var err error
	if w.site, err = w.sites.Create(w.ctx, "acme", site.Documented, "cli"); err != nil {
		t.Fatal(err)
	}
	w.people = rosters.Open(w.site)
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) id() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("id-%d", w.ids)
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// bring imports people as "userName role".
func (w *world) bring(t *testing.T, people ...string) {
	t.Helper()
	var rows []roster.ImportRow
	for _, p := range people {
		name, role, _ := strings.Cut(p, " ")
		rows = append(rows, roster.ImportRow{UserName: name, Role: roster.Role(role)})
	}
	report, err := w.people.Import(w.ctx, rows, roster.Change{Actor: "cli", Via: roster.ViaImport})
	if err != nil || len(report.Errors) > 0 {
		t.Fatalf("import: %v, %v", err, report.Errors)
	}
}

func (w *world) link(t *testing.T, userName string) signin.Link {
	t.Helper()
	l, err := w.IssueSiteLink(w.ctx, w.site, userName, "cli")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (w *world) firstLink(t *testing.T, email string) signin.Link {
	t.Helper()
	l, err := w.IssueFirstAdminLink(w.ctx, w.site, email, "cli")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (w *world) redeem(t *testing.T, secret string, f signin.Form) signin.Session {
	t.Helper()
	s, err := w.Redeem(w.ctx, w.site, secret, f, session.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantRefused(t *testing.T, err error, want onetime.Reason) {
	t.Helper()
	refused, ok := refusal.DataOf[signin.ClosedLink](err)
	if !ok || !errors.Is(err, refusal.Gone) {
		t.Fatalf("got error %v, want a closed link", err)
	}
	if refused.Reason != want {
		t.Errorf("got reason %q, want %q", refused.Reason, want)
	}
	renewable := want != signin.LinkDeactivated && want != signin.LinkBlocked
	if errors.Is(err, signin.ErrLinkEnded) != renewable || errors.Is(err, signin.ErrAccountClosed) == renewable || refused.Site != "acme" {
		t.Errorf("got %v about %+v, want a new link to help: %v", err, refused, renewable)
	}
	if text := err.Error(); renewable && !strings.HasSuffix(text, "; a new one is made on the server") {
		t.Errorf("the refusal does not say what to do: %q", text)
	}
}

func TestSiteLink(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.bring(t, "ada@acme.test Registered", "kim@acme.test Admin")
		l := w.link(t, "ADA@acme.test")
		if want := "/c/acme/sign-in/" + l.Secret; l.Path != want {
			t.Errorf("got path %q, want %q", l.Path, want)
		}
		for range 2 {
			p, err := w.LookUpLink(w.ctx, w.site, l.Secret)
			if err != nil {
				t.Fatal(err)
			}
			if p.Kind != signin.Person || p.Person.UserName != "ada@acme.test" {
				t.Errorf("got %+v", p)
			}
		}
		s := w.redeem(t, l.Secret, signin.Form{})
		who, err := w.people.UseSession(w.ctx, s.Secret, session.Browser{})
		if err != nil {
			t.Fatal(err)
		}
		if who.UserName != "ada@acme.test" || !s.Expires.Equal(w.now.Add(session.DefaultLength)) {
			t.Errorf("got %+v until %v", who, s.Expires)
		}
		_, err = w.Redeem(w.ctx, w.site, l.Secret, signin.Form{}, session.Browser{})
		wantRefused(t, err, onetime.Used)
	})
}

func TestSiteLinkLifetime(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.bring(t, "ada@acme.test Registered")
		l := w.link(t, "ada@acme.test")
		w.pass(15*time.Minute - time.Second)
		if _, err := w.LookUpLink(w.ctx, w.site, l.Secret); err != nil {
			t.Errorf("a second before its end: %v", err)
		}
		w.pass(time.Second)
		_, err := w.Redeem(w.ctx, w.site, l.Secret, signin.Form{}, session.Browser{})
		wantRefused(t, err, onetime.Expired)
		_, err = w.Redeem(w.ctx, w.site, "unknown", signin.Form{}, session.Browser{})
		wantRefused(t, err, onetime.Unknown)
	})
}

func TestSiteLinkIsRefusedToWhoIsNotThereOrNotActive(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.bring(t, "ada@acme.test Registered", "kim@acme.test Admin")
		l := w.link(t, "ada@acme.test")
		ada, err := w.people.PersonByUserName(w.ctx, "ada@acme.test")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.people.Deactivate(w.ctx, ada.ID, roster.Change{Actor: "admin:kim@acme.test", Via: roster.ViaAdmin}); err != nil {
			t.Fatal(err)
		}
		_, err = w.Redeem(w.ctx, w.site, l.Secret, signin.Form{}, session.Browser{})
		wantRefused(t, err, signin.LinkDeactivated)
		if _, err := w.IssueSiteLink(w.ctx, w.site, "ada@acme.test", "cli"); !errors.Is(err, signin.ErrInactive) {
			t.Errorf("got %v, want ErrInactive", err)
		}
		if _, err := w.IssueSiteLink(w.ctx, w.site, "bob@acme.test", "cli"); !errors.Is(err, refusal.NotFound) {
			t.Errorf("nobody of that name: got %v, want refusal.NotFound", err)
		}
	})
}

func TestSiteLinkDoesNotOutliveDeactivation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.bring(t, "ada@acme.test Registered", "kim@acme.test Admin")
		l := w.link(t, "ada@acme.test")
		ada, err := w.people.PersonByUserName(w.ctx, "ada@acme.test")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		byHand := roster.Change{Actor: "admin:kim@acme.test", Via: roster.ViaAdmin}
		if _, err := w.people.Deactivate(w.ctx, ada.ID, byHand); err != nil {
			t.Fatal(err)
		}
		if _, err := w.people.Reactivate(w.ctx, ada.ID, byHand); err != nil {
			t.Fatal(err)
		}
		_, err = w.Redeem(w.ctx, w.site, l.Secret, signin.Form{}, session.Browser{})
		wantRefused(t, err, signin.LinkOutdated)
		if s, err := w.Redeem(w.ctx, w.site, w.link(t, "ada@acme.test").Secret, signin.Form{}, session.Browser{}); err != nil || s.Person.ID != ada.ID {
			t.Errorf("a new link: got %+v, %v", s.Person, err)
		}
	})
}

func TestSiteLinkOpensNoOtherSite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.bring(t, "ada@acme.test Registered")
		other, err := w.sites.Create(w.ctx, "globex", site.Documented, "cli")
		if err != nil {
			t.Fatal(err)
		}
		l := w.link(t, "ada@acme.test")
		if _, err := w.Redeem(w.ctx, other, l.Secret, signin.Form{}, session.Browser{}); err == nil {
			t.Error("the link of acme opened globex")
		}
		w.redeem(t, l.Secret, signin.Form{})
	})
}

// TestALinkFollowsThePersonAndNotTheName: names and addresses are given to others; who gets one must not get the account.
func TestALinkFollowsThePersonAndNotTheName(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.bring(t, "kim@acme.test Registered", "lee@acme.test Admin")
		kim, err := w.people.PersonByUserName(w.ctx, "kim@acme.test")
		if err != nil {
			t.Fatal(err)
		}
		l := w.link(t, "kim@acme.test")
		rename := func(userName string) {
			patch, _, err := scim.DecodePatch(scim.UserType(), []byte(`{"Operations":[{"op":"replace","path":"userName","value":"`+userName+`"}]}`), scim.Lenient)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.people.Patch(w.ctx, roster.User, kim.ID, patch, roster.Change{Actor: "scim", Via: roster.ViaSCIM}); err != nil {
				t.Fatal(err)
			}
		}
		rename("kim.new@acme.test")
		w.bring(t, "kim@acme.test Registered") // somebody else now
		if s := w.redeem(t, l.Secret, signin.Form{}); s.Person.ID != kim.ID || s.Person.UserName != "kim.new@acme.test" {
			t.Errorf("the link made for %s lets in %+v", kim.ID, s.Person)
		}
	})
}

func TestFirstAdminByEmail(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		l := w.firstLink(t, "kim@acme.test")
		s := w.redeem(t, l.Secret, signin.Form{})
		if s.Person.Role != roster.RoleAdmin || s.Person.UserName != "kim@acme.test" || s.Person.Email != "kim@acme.test" {
			t.Errorf("got %+v", s.Person)
		}
		for _, email := range []string{"", "lee@acme.test"} {
			if _, err := w.IssueFirstAdminLink(w.ctx, w.site, email, "cli"); !errors.Is(err, signin.ErrHasAdmin) {
				t.Errorf("a second first administrator (%q): got %v, want ErrHasAdmin", email, err)
			}
		}
	})
}

func TestFirstAdminByForm(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		l := w.firstLink(t, "")
		p, err := w.LookUpLink(w.ctx, w.site, l.Secret)
		if err != nil || p.Kind != signin.FirstAdmin {
			t.Fatalf("got %+v, %v", p, err)
		}
		for field, form := range map[string]signin.Form{
			"name":  {Email: "kim@acme.test"},
			"email": {Name: "Kim", Email: "Kim <kim@acme.test>"},
		} {
			_, err := w.Redeem(w.ctx, w.site, l.Secret, form, session.Browser{})
			if wrong, _ := refusal.Find(err); !errors.Is(err, refusal.Invalid) || wrong.Field != field {
				t.Errorf("%+v: got %v, want it refused as invalid at %s", form, err, field)
			}
		}
		s := w.redeem(t, l.Secret, signin.Form{Name: " Kim Admin ", Email: "kim@acme.test"})
		if s.Person.Role != roster.RoleAdmin || s.Person.DisplayName != "Kim Admin" || s.Person.UserName != "kim@acme.test" {
			t.Errorf("got %+v", s.Person)
		}
		if _, err := w.people.UseSession(w.ctx, s.Secret, session.Browser{}); err != nil {
			t.Error(err)
		}
	})
}

func TestFirstAdminIsMadeOnceByManyAtTheSameMoment(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		l := w.firstLink(t, "")
		const many = 6
		results := make(chan error, many)
		for i := range many {
			go func() {
				_, err := w.Redeem(w.ctx, w.site, l.Secret, signin.Form{Name: "Kim", Email: fmt.Sprintf("kim%d@acme.test", i)}, session.Browser{})
				results <- err
			}()
		}
		redeemed := 0
		for range many {
			err := <-results
			switch {
			case err == nil:
				redeemed++
			case !errors.Is(err, refusal.Gone):
				t.Error(err)
			}
		}
		people, _, err := w.people.People(w.ctx, roster.PeopleQuery{})
		if err != nil {
			t.Fatal(err)
		}
		if redeemed != 1 || len(people) != 1 {
			t.Errorf("got %d sessions and %d accounts of one link, want 1 and 1", redeemed, len(people))
		}
	})
}

func TestFirstAdminLinkTakesThePlaceOfTheOneBefore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		lost, found := w.firstLink(t, ""), w.firstLink(t, "")
		_, err := w.LookUpLink(w.ctx, w.site, lost.Secret)
		wantRefused(t, err, onetime.Unknown)
		w.bring(t, "kim@acme.test Admin")
		_, err = w.Redeem(w.ctx, w.site, found.Secret, signin.Form{Name: "Eve", Email: "eve@acme.test"}, session.Browser{})
		wantRefused(t, err, signin.LinkHasAdmin)
	})
}

func TestFirstAdminLinkOpensAgainWhenTheAccountCannotBeMade(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.bring(t, "ada@acme.test Registered")
		ada, err := w.people.PersonByUserName(w.ctx, "ada@acme.test")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.people.Deactivate(w.ctx, ada.ID, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
			t.Fatal(err)
		}
		l := w.firstLink(t, "")
		// The address of somebody who was cut off does not let anybody in again.
		_, err = w.Redeem(w.ctx, w.site, l.Secret, signin.Form{Name: "Ada", Email: "ADA@acme.test"}, session.Browser{})
		if wrong, _ := refusal.Find(err); !errors.Is(err, refusal.Conflict) || wrong.Field != "email" {
			t.Fatalf("got %v, want a conflict at email", err)
		}
		if ada, err = w.people.Person(w.ctx, ada.ID); err != nil || ada.Role != roster.RoleRegistered || ada.Active {
			t.Errorf("the refused form changed the account: %+v, %v", ada, err)
		}
		w.redeem(t, l.Secret, signin.Form{Name: "Kim", Email: "kim@acme.test"})
	})
}

func TestLinksAreAudited(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.bring(t, "ada@acme.test Registered")
		l := w.link(t, "ada@acme.test")
		w.redeem(t, l.Secret, signin.Form{})
		events, err := w.events.Recent(w.ctx, event.Site(string(w.site.ID)), "", event.Position{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(events)
		var got []string
		for _, e := range events {
			if strings.HasPrefix(e.Name, "sign_in.") {
				got = append(got, e.Name+" by "+e.Actor+": "+e.Text)
			}
			if strings.Contains(e.Text+string(e.Data), l.Secret) {
				t.Errorf("event %s holds the link's secret", e.Name)
			}
		}
		want := []string{
			"sign_in.link_created by cli: One-time sign-in link made for ada@acme.test",
			"sign_in.link_used by user:ada@acme.test: One-time sign-in link of ada@acme.test opened",
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Error(diff)
		}
	})
}
