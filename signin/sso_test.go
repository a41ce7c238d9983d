package signin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// company is a world whose site is connected to an identity provider.
type company struct {
	*world
	*demoidp.Provider
	sso    *signin.SingleSignOn
	sealer signin.Sealer
	db     *store.DB
}

func newCompany(t testing.TB, db *store.DB) *company {
	t.Helper()
	c := &company{world: newWorld(t, db), sealer: newSealer(t), db: db}
	var err error
	if c.Provider, err = demoidp.New("https://login.example.com/saml2", c.clock); err != nil {
		t.Fatal(err)
	}
	c.sso = c.process()
	c.connect(t, c.site, func(n *signin.Connection) { n.Mode = signin.SSOOptional })
	return c
}

// process is single sign-on as another process on the same database has it.
func (c *company) process() *signin.SingleSignOn {
	return &signin.SingleSignOn{
		Store: store.SingleSignOn{DB: c.db}, Rosters: c.Rosters, Sites: c.sites, Now: c.clock, PublicURL: "https://people.example.com", Sealer: c.sealer,
		Refused: &event.Refused{Recorder: c.events, Now: c.clock},
	}
}

func (c *company) connect(t testing.TB, st site.Site, change func(*signin.Connection)) signin.Connection {
	t.Helper()
	idp, err := saml.ParseMetadata([]byte(c.Metadata()))
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.sso.SetConnection(c.ctx, st, -1, "admin:kim", func(n *signin.Connection) error {
		n.Provider = idp
		change(n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

const browser = "the browser's cookie"

// start begins a sign-in and returns what the identity provider is asked.
func (c *company) start(t testing.TB, returnTo string) demoidp.Request {
	t.Helper()
	address, err := c.sso.Start(c.ctx, c.site, browser, returnTo, false)
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, address)
}

func parsed(t testing.TB, address string) demoidp.Request {
	t.Helper()
	r, err := demoidp.ParseRequest(address)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func claims(userName, email string) []demoidp.Claim {
	return []demoidp.Claim{{Name: demoidp.ClaimName, Values: []string{userName}}, {Name: demoidp.ClaimEmail, Values: []string{email}}}
}

// about answers a request about a person.
func (c *company) about(t testing.TB, r demoidp.Request, nameID, userName, email string) signin.Response {
	t.Helper()
	a := r.Answer(nameID)
	a.Claims = claims(userName, email)
	return c.answer(t, r, a)
}

func (c *company) answer(t testing.TB, r demoidp.Request, a demoidp.Answer) signin.Response {
	t.Helper()
	encoded, err := c.Respond(a)
	if err != nil {
		t.Fatal(err)
	}
	return signin.Response{SAMLResponse: encoded, RelayState: r.RelayState, Browser: browser}
}

func (c *company) finish(in signin.Response) (signin.Finished, error) {
	return c.sso.Finish(c.ctx, c.site, in, session.Browser{})
}

// refused fails the test unless the response is refused for this reason.
func (c *company) refused(t *testing.T, in signin.Response, want string) signin.FailedSignIn {
	t.Helper()
	got, err := c.finish(in)
	f, ok := refusal.DataOf[signin.FailedSignIn](err)
	if !ok || f.Reason != want || f.Reference == "" {
		t.Fatalf("got %+v, %v (%+v); want the reason %s", got, err, f, want)
	}
	return f
}

func TestSSO(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		t.Run("a person signs in, and SCIM cuts them off at the next click", func(t *testing.T) {
			r := c.start(t, "/c/acme/admin/people")
			got, err := c.finish(c.about(t, r, "ada", "ada@acme.example", "ada@acme.example"))
			if err != nil || got.ReturnTo != "/c/acme/admin/people" || got.Session.Person.UserName != "ada@acme.example" {
				t.Fatalf("got %+v, %v", got, err)
			}
			if _, err := c.people.UseSession(c.ctx, got.Session.Secret, session.Browser{}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.people.Deactivate(c.ctx, got.Session.Person.ID, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.people.UseSession(c.ctx, got.Session.Secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("the session goes on: %v", err)
			}
			c.refused(t, c.about(t, c.start(t, ""), "ada", "ada@acme.example", "ada@acme.example"), "deactivated")
		})
		t.Run("an assertion is good once, in all processes", func(t *testing.T) {
			r := c.start(t, "")
			in := c.about(t, r, "bo", "bo@acme.example", "bo@acme.example")
			if _, err := c.finish(in); err != nil {
				t.Fatal(err)
			}
			c.refused(t, in, "unknown_request") // the request was used up
			c.connect(t, c.site, func(n *signin.Connection) { n.Unsolicited = true })
			a := r.Answer("bo")
			a.InResponseTo, a.Claims = "", claims("bo@acme.example", "bo@acme.example")
			in = c.answer(t, demoidp.Request{}, a)
			var wait sync.WaitGroup
			var mu sync.Mutex
			var in1, refused int
			for range 4 {
				wait.Go(func() {
					_, err := c.process().Finish(c.ctx, c.site, in, session.Browser{})
					f, _ := refusal.DataOf[signin.FailedSignIn](err)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						in1++
					} else if f.Reason == "replayed" {
						refused++
					}
				})
			}
			wait.Wait()
			if in1 != 1 || refused != 3 {
				t.Errorf("%d came in and %d were refused; want 1 and 3", in1, refused)
			}
			c.connect(t, c.site, func(n *signin.Connection) { n.Unsolicited = false })
			c.refused(t, in, "unknown_request")
		})
		t.Run("a response counts in its browser, for ten minutes", func(t *testing.T) {
			in := c.about(t, c.start(t, ""), "cy", "cy@acme.example", "cy@acme.example")
			in.Browser = "another browser"
			c.refused(t, in, "other_browser")
			in.Browser = browser
			c.refused(t, in, "unknown_request") // the first try used the request up
			in = c.about(t, c.start(t, ""), "cy", "cy@acme.example", "cy@acme.example")
			in.Browser = ""
			c.refused(t, in, "other_browser")
			r := c.start(t, "")
			c.pass(10*time.Minute + time.Second)
			c.refused(t, c.about(t, r, "cy", "cy@acme.example", "cy@acme.example"), "unknown_request")
		})
		t.Run("a response to one request does not answer another", func(t *testing.T) {
			first, second := c.start(t, ""), c.start(t, "")
			in := c.about(t, first, "cy", "cy@acme.example", "cy@acme.example")
			in.RelayState = second.RelayState
			c.refused(t, in, "unknown_request")
		})
		t.Run("a response for one site gets nothing at another", func(t *testing.T) {
			other, err := c.sites.Create(c.ctx, "other", site.Documented, "cli")
			if err != nil {
				t.Fatal(err)
			}
			c.connect(t, other, func(n *signin.Connection) { n.Mode, n.Unsolicited = signin.SSOOptional, true })
			in := c.about(t, c.start(t, ""), "dee", "dee@acme.example", "dee@acme.example")
			_, err = c.sso.Finish(c.ctx, other, in, session.Browser{})
			if f, _ := refusal.DataOf[signin.FailedSignIn](err); f.Reason != string(saml.WrongDestination) {
				t.Errorf("got %v", err)
			}
			a := demoidp.Answer{ACS: "https://people.example.com/c/other/auth/saml2/post", Audience: "https://people.example.com/c/acme/auth/saml2/metadata", NameID: "dee", Claims: claims("dee", "")}
			_, err = c.sso.Finish(c.ctx, other, c.answer(t, demoidp.Request{}, a), session.Browser{})
			if f, _ := refusal.DataOf[signin.FailedSignIn](err); f.Reason != string(saml.AudienceMismatch) {
				t.Errorf("got %v", err)
			}
		})
		t.Run("a sign-in ends on this site, whatever address is asked for", func(t *testing.T) {
			for asked, want := range map[string]string{
				"/c/acme/admin/access?x=1": "/c/acme/admin/access?x=1", "": "/c/acme/", "https://evil.example/": "/c/acme/", "//evil.example": "/c/acme/", "/c/other/": "/c/acme/",
				"/c/acme//evil.example": "/c/acme/", "/c/acme/../../d/": "/c/acme/", `/c/acme/\evil`: "/c/acme/", "/c/acme/%2e%2e/": "/c/acme/", "/c/acme/\r\nx": "/c/acme/",
			} {
				r := c.start(t, asked)
				got, err := c.finish(c.about(t, r, "eve", "eve@acme.example", "eve@acme.example"))
				if err != nil || got.ReturnTo != want {
					t.Errorf("%q: got %q, %v; want %q", asked, got.ReturnTo, err, want)
				}
			}
		})
		t.Run("a test shows what would happen, and does nothing", func(t *testing.T) {
			c.bring(t, "kim@acme.example Admin")
			kim, err := c.people.PersonByUserName(c.ctx, "kim@acme.example")
			if err != nil {
				t.Fatal(err)
			}
			before, err := c.people.Counts(c.ctx)
			if err != nil {
				t.Fatal(err)
			}
			test := func(nameID, userName string) signin.Test {
				address, err := c.sso.StartTest(c.ctx, c.site, signin.SAML, browser, kim.ID)
				if err != nil {
					t.Fatal(err)
				}
				r := parsed(t, address)
				in := c.about(t, r, nameID, userName, userName)
				got, err := c.finish(in)
				c.refused(t, in, "unknown_request")
				if err != nil || got.Purpose != signin.ToTest || got.Session.Secret != "" || got.ReturnTo != "/c/acme/admin/access/authentication" {
					t.Fatalf("got %+v, %v", got, err)
				}
				found, ok, err := c.sso.LastTest(c.ctx, c.site, kim.ID)
				if !ok || err != nil {
					t.Fatal(ok, err)
				}
				return found
			}
			if got := test("fay", "fay@acme.example"); !got.Passed || got.Result.WouldDo != "make the account fay@acme.example" || len(got.Result.Attributes) != 2 {
				t.Errorf("got %+v", got)
			}
			if after, err := c.people.Counts(c.ctx); err != nil || after != before {
				t.Errorf("got %+v, %v; want %+v", after, err, before)
			}
			if got := test("kim-id", "kim@acme.example"); got.Passed || got.Result.Reason != "unproved" {
				t.Errorf("got %+v", got)
			}
			c.refused(t, c.about(t, c.start(t, ""), "kim-id", "kim@acme.example", ""), "unproved")
			if err := c.sso.LinkTested(c.ctx, c.site, kim, roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin, Person: kim.ID}); err != nil {
				t.Fatal(err)
			}
			got, err := c.finish(c.about(t, c.start(t, ""), "kim-id", "kim@acme.example", ""))
			if err != nil || got.Session.Person.ID != kim.ID || got.Session.Person.Role != roster.RoleAdmin {
				t.Errorf("got %+v, %v", got, err)
			}
			c.pass(31 * time.Minute)
			if err := c.sso.LinkTested(c.ctx, c.site, kim, roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin, Person: kim.ID}); !errors.Is(err, refusal.Conflict) {
				t.Errorf("an old test was linked: %v", err)
			}
		})
		t.Run("a site that is off starts nothing and takes nothing", func(t *testing.T) {
			in := c.about(t, c.start(t, ""), "gil", "gil@acme.example", "gil@acme.example")
			c.connect(t, c.site, func(n *signin.Connection) { n.Mode = signin.SSOOff })
			if _, err := c.sso.Start(c.ctx, c.site, browser, "", false); !errors.Is(err, signin.ErrSSOOff) {
				t.Errorf("start: %v", err)
			}
			if _, err := c.finish(in); !errors.Is(err, signin.ErrSSOOff) {
				t.Errorf("finish: %v", err)
			}
			c.connect(t, c.site, func(n *signin.Connection) { n.Mode = signin.SSOOptional })
		})
		t.Run("each sign-in and each refusal is an event", func(t *testing.T) {
			if err := c.sso.Refused.Flush(c.ctx); err != nil {
				t.Fatal(err)
			}
			all, err := c.events.Recent(c.ctx, event.Site(string(c.site.ID)), "", event.Position{}, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{event.SignInSSOUsed, event.SignInSSORefused, event.SignInSSOTested, event.SiteSSOChanged, event.UserIdentified} {
				if !slices.ContainsFunc(all, func(e event.Event) bool { return e.Name == name }) {
					t.Errorf("there is no event %s", name)
				}
			}
			for _, e := range all {
				if e.Name == event.SignInSSORefused && !strings.Contains(e.Text, "Reference ") {
					t.Errorf("no reference in %q", e.Text)
				}
			}
		})
	})
}

func TestWhatUserNameMatchesIsASetting(t *testing.T) {
	t.Parallel()
	c := newCompany(t, storetest.New(t))
	for matches, want := range map[string]string{
		site.MatchesUserIdentifier: "name-id", site.MatchesDisplayName: "display", site.MatchesEmail: "mail@acme.example",
	} {
		st, err := c.sites.Update(c.ctx, c.site.ID, "cli", func(s *site.Site) error { s.MatchesUserName = matches; return nil })
		if err != nil {
			t.Fatal(err)
		}
		c.site, c.people = st, c.Rosters.Open(st)
		got, err := c.finish(c.about(t, c.start(t, ""), "name-id", "display", "mail@acme.example"))
		if err != nil || got.Session.Person.UserName != want {
			t.Errorf("%s: got %+v, %v; want %s", matches, got.Session.Person, err, want)
		}
		if _, err := c.people.Unlink(c.ctx, got.Session.Person.ID, roster.Change{Actor: "cli"}); err != nil {
			t.Fatal(err)
		}
		if err := c.forget(got.Session.Person.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// forget deletes a person, whatever the site allows.
func (c *company) forget(id string) error {
	full := c.site
	full.Choose(site.Full)
	_, err := c.Rosters.Open(full).Delete(c.ctx, roster.User, id, roster.Change{Actor: "cli"})
	return err
}

func TestConnections(t *testing.T) {
	t.Parallel()
	c := newCompany(t, storetest.New(t))
	stored, err := c.sso.Connection(c.ctx, c.site)
	if err != nil || !stored.IsReady() || stored.Version != 1 || len(stored.Provider.Certificates) != 1 {
		t.Fatalf("got %+v, %v", stored, err)
	}
	t.Run("who saw an older one saves nothing", func(t *testing.T) {
		if _, err := c.sso.SetConnection(c.ctx, c.site, stored.Version-1, "admin:kim", func(n *signin.Connection) error { n.Creates = false; return nil }); !errors.Is(err, refusal.Stale) {
			t.Errorf("got %v", err)
		}
	})
	for name, change := range map[string]func(*signin.Connection){
		"an unknown mode":          func(n *signin.Connection) { n.Mode = "maybe" },
		"http":                     func(n *signin.Connection) { n.Provider.SignInURL = "http://login.example.com/" },
		"no certificate":           func(n *signin.Connection) { n.Provider.Certificates = nil },
		"a claim of two lines":     func(n *signin.Connection) { n.Claims.Email = "a\nb" },
		"a session of a second":    func(n *signin.Connection) { n.Length = time.Second },
		"no identity provider":     func(n *signin.Connection) { n.Provider = saml.IdentityProvider{} },
		"an entity id without end": func(n *signin.Connection) { n.EntityID = strings.Repeat("x", 1025) },
	} {
		if _, err := c.sso.SetConnection(c.ctx, c.site, -1, "admin:kim", func(n *signin.Connection) error { change(n); return nil }); refusalOf(err) == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if now, err := c.sso.Connection(c.ctx, c.site); err != nil || len(signin.Differences(stored, now)) > 0 || now.Version != stored.Version {
		t.Errorf("got %+v, %v", now, err)
	}
}

func refusalOf(err error) string {
	e, ok := refusal.Find(err)
	if !ok {
		return ""
	}
	return e.Detail
}

func TestASAMLSignInIsAsFreshAsItsAuthnInstant(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		for name, tt := range map[string]struct {
			renew, noStatement bool
			ago, after         time.Duration
			fresh              bool
		}{
			"just now":                         {fresh: true},
			"29 minutes ago":                   {ago: 29 * time.Minute, fresh: true},
			"30 minutes ago":                   {ago: 30 * time.Minute},
			"this morning":                     {ago: 5 * time.Hour},
			"20 minutes ago, and 10 here":      {ago: 20 * time.Minute, after: 10 * time.Minute},
			"in two minutes, 29 minutes later": {ago: -2 * time.Minute, after: 29 * time.Minute, fresh: true},
			"in two minutes, 31 minutes later": {ago: -2 * time.Minute, after: 31 * time.Minute},
			"nobody knows":                     {noStatement: true},
			"renewed":                          {renew: true, ago: 5 * time.Minute, after: 29 * time.Minute, fresh: true},
			"renewed, 30 minutes later":        {renew: true, after: 30 * time.Minute},
		} {
			address, err := c.sso.Start(c.ctx, c.site, browser, "", tt.renew)
			if err != nil {
				t.Fatal(err)
			}
			r := parsed(t, address)
			a := r.Answer("fresh-1")
			a.Claims, a.SignedIn, a.NoAuthnStatement = claims("fresh@acme.test", ""), c.clock().Add(-tt.ago), tt.noStatement
			got, err := c.finish(c.answer(t, r, a))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			c.pass(tt.after)
			if fresh, err := c.people.HasFreshSession(c.ctx, got.Session.Secret); err != nil || fresh != tt.fresh {
				t.Errorf("%s: fresh is %t, %v; want %t", name, fresh, err, tt.fresh)
			}
		}
	})
}

func TestAReplayIsRefusedAfterARestart(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		c := newCompany(t, db)
		c.connect(t, c.site, func(n *signin.Connection) { n.Unsolicited = true })
		a := demoidp.Answer{
			ACS: "https://people.example.com/c/acme/auth/saml2/post", Audience: "https://people.example.com/c/acme/auth/saml2/metadata",
			NameID: "bo", Claims: claims("bo@acme.example", "bo@acme.example"),
		}
		in := c.answer(t, demoidp.Request{}, a)
		if _, err := c.finish(in); err != nil {
			t.Fatal(err)
		}
		// Another process, which has only the database in common with the one before.
		c.db = storetest.Open(t, url)
		rosters := &roster.Rosters{Store: store.Rosters{DB: c.db}, Now: c.clock, NewID: c.id}
		sites := &site.Sites{Store: store.Sites{DB: c.db}, Now: c.clock, NewID: c.id}
		next := &signin.SingleSignOn{Store: store.SingleSignOn{DB: c.db}, Rosters: rosters, Sites: sites, Now: c.clock, PublicURL: "https://people.example.com", Sealer: c.sealer}
		for name, again := range map[string]signin.Response{"as it was": in, "with another relay state": {SAMLResponse: in.SAMLResponse, RelayState: "x", Browser: "another browser"}} {
			_, err := next.Finish(c.ctx, c.site, again, session.Browser{})
			if got := reasonOf(err); got != "replayed" {
				t.Errorf("%s: %s, %v", name, got, err)
			}
		}
		// Until no clock that is allowed would accept it.
		c.pass(72 * time.Minute)
		if _, err := next.Finish(c.ctx, c.site, in, session.Browser{}); reasonOf(err) != string(saml.Expired) && reasonOf(err) != "replayed" {
			t.Errorf("72 minutes later: %v", err)
		}
	})
}

// dyingRosters is a store of rosters whose process dies in the transaction of a sign-in: before the
// transaction is committed, or after it.
type dyingRosters struct {
	roster.Store
	committed bool
}

var errDied = errors.New("the process died")

func (d dyingRosters) Update(ctx context.Context, on site.Site, fn func(roster.Tx) error) error {
	err := d.Store.Update(ctx, on, func(tx roster.Tx) error {
		if err := fn(tx); err != nil || d.committed {
			return err
		}
		return errDied
	})
	if err != nil {
		return err
	}
	return errDied
}

func TestASignInIsDoneOnceOrNotAtAllWhenTheProcessDies(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		for _, tt := range []struct {
			name        string
			unsolicited bool
			committed   bool
			again       string // the reason why the same response is refused afterwards; empty if it is accepted
		}{
			{name: "a request, before the commit"},
			{name: "a request, after the commit", committed: true, again: "unknown_request"},
			{name: "no request, before the commit", unsolicited: true},
			{name: "no request, after the commit", unsolicited: true, committed: true, again: "replayed"},
		} {
			c.connect(t, c.site, func(n *signin.Connection) { n.Unsolicited = tt.unsolicited })
			name := strings.NewReplacer(" ", "-", ",", "").Replace(tt.name) + "@acme.example"
			r := c.start(t, "")
			in := c.about(t, r, name, name, name)
			if tt.unsolicited {
				a := r.Answer(name)
				a.InResponseTo, a.Claims = "", claims(name, name)
				in = c.answer(t, demoidp.Request{}, a)
			}
			dying := c.process()
			dying.Rosters = &roster.Rosters{Store: dyingRosters{c.Rosters.Store, tt.committed}, Now: c.clock, NewID: c.id}
			if _, err := dying.Finish(c.ctx, c.site, in, session.Browser{}); !errors.Is(err, errDied) {
				t.Fatalf("%s: got %v", tt.name, err)
			}
			got, err := c.finish(in)
			if reasonOf(err) != tt.again || (err == nil) != (tt.again == "") {
				t.Errorf("%s: the same response again: %+v, %v; want the reason %q", tt.name, got, err, tt.again)
			}
			person, err := c.people.PersonByUserName(c.ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			if sessions, err := c.people.Sessions(c.ctx, person.ID, ""); err != nil || len(sessions) != 1 {
				t.Errorf("%s: %d sessions, %v; want 1", tt.name, len(sessions), err)
			}
			if _, err := c.finish(in); reasonOf(err) != "unknown_request" && reasonOf(err) != "replayed" {
				t.Errorf("%s: the same response for the third time: %v", tt.name, err)
			}
		}
	})
}

func TestARefusedSignInUsesUpItsRequestAndItsAssertion(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		c.connect(t, c.site, func(n *signin.Connection) { n.Creates, n.Unsolicited = false, true })
		r := c.start(t, "")
		answered := c.about(t, r, "ann", "ann@acme.example", "ann@acme.example")
		a := r.Answer("ann")
		a.InResponseTo, a.Claims = "", claims("ann@acme.example", "ann@acme.example")
		unsolicited := c.answer(t, demoidp.Request{}, a)
		r2 := c.start(t, "")
		a.InResponseTo, a.NameID = r2.ID, ""
		nameless := c.answer(t, r2, a)
		c.refused(t, answered, "no_account")
		c.refused(t, unsolicited, "no_account")
		c.refused(t, nameless, "identifier")
		// The account is made only now. What was refused before stays refused.
		c.connect(t, c.site, func(n *signin.Connection) { n.Creates = true })
		c.refused(t, unsolicited, "replayed")
		answered.RelayState = "" // as if it answered no request
		c.refused(t, answered, "unknown_request")
		c.connect(t, c.site, func(n *signin.Connection) { n.Unsolicited = false })
		answered.RelayState = r.RelayState
		c.refused(t, answered, "unknown_request")
		c.refused(t, nameless, "unknown_request")
	})
}

func TestOneResponseSentToSeveralProcessesAtOnceSignsInOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		for round := range 5 {
			name := fmt.Sprintf("new-%d@acme.example", round) // of a person who has no account yet
			in := c.about(t, c.start(t, ""), name, name, name)
			var wait sync.WaitGroup
			var in1 atomic.Int64
			for range 4 {
				wait.Go(func() {
					_, err := c.process().Finish(c.ctx, c.site, in, session.Browser{})
					switch {
					case err == nil:
						in1.Add(1)
					case reasonOf(err) != "unknown_request":
						t.Errorf("got the reason %q, %v", reasonOf(err), err)
					}
				})
			}
			wait.Wait()
			if in1.Load() != 1 {
				t.Errorf("%d came in; want 1", in1.Load())
			}
		}
		if waiting, err := c.sso.Conflicts(c.ctx, c.site); err != nil || len(waiting) > 0 {
			t.Errorf("got the conflicts %+v, %v", waiting, err)
		}
	})
}

// gatedStore lets several sign-ins find their request before any of them goes on. The first one
// that verifies its response waits until all others have ended, or until another one verifies too.
type gatedStore struct {
	signin.SSOStore
	found     sync.WaitGroup
	verifying atomic.Int64
	goOn      chan struct{} // closed when the first one may go on
	once      sync.Once
}

func (g *gatedStore) FindRequest(ctx context.Context, id site.ID, hash secret.Hash, now time.Time) (signin.RequestRecord, error) {
	r, err := g.SSOStore.FindRequest(ctx, id, hash, now)
	g.found.Done()
	g.found.Wait()
	return r, err
}

func (g *gatedStore) SiteKeys(ctx context.Context, id site.ID) ([]signin.SealedKey, error) {
	if g.verifying.Add(1) > 1 {
		g.once.Do(func() { close(g.goOn) })
	}
	<-g.goOn
	return g.SSOStore.SiteKeys(ctx, id)
}

func TestAServerVerifiesOneResponseToARequestAtATime(t *testing.T) {
	t.Parallel()
	c := newCompany(t, storetest.New(t))
	in := c.about(t, c.start(t, ""), "ada", "ada@acme.example", "ada@acme.example")
	const tries = 4
	g := &gatedStore{SSOStore: c.sso.Store, goOn: make(chan struct{})}
	g.found.Add(tries)
	c.sso.Store = g
	var all sync.WaitGroup
	var refused atomic.Int64
	for range tries {
		all.Go(func() {
			_, err := c.finish(in)
			if err == nil {
				return
			}
			if reasonOf(err) != "unknown_request" {
				t.Errorf("got %v", err)
			}
			if refused.Add(1) == tries-1 {
				g.once.Do(func() { close(g.goOn) })
			}
		})
	}
	all.Wait()
	if refused.Load() != tries-1 || g.verifying.Load() != 1 {
		t.Errorf("%d were refused and %d verified; want %d and 1", refused.Load(), g.verifying.Load(), tries-1)
	}
}
