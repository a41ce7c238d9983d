package roster_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

var (
	bySCIM = roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}
	byKim  = roster.Change{Actor: "admin:kim@acme.test", Via: roster.ViaAdmin, Person: "kim"}
	byFile = roster.Change{Actor: "cli", Via: roster.ViaImport}
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond) // each reading of the clock is later than the one before
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a database with a site of each profile.
type fixture struct {
	db         *store.DB
	clock      *clock
	sites      *site.Sites
	rosters    *roster.Rosters
	requestLog *requestlog.Log
	documented site.Site
	full       site.Site // SCIM manages its roles
}

// each runs a test on SQLite and on PostgreSQL, with a new fixture each time.
func each(t *testing.T, test func(t *testing.T, f fixture)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(t, newFixture(t, db)) })
}

func newFixture(t testing.TB, db *store.DB) fixture {
	t.Helper()
	var ids atomic.Int64
	f := fixture{db: db, clock: &clock{now: time.Date(2026, 1, 12, 9, 0, 0, 0, time.UTC)}}
	newID := func() string { return fmt.Sprintf("id-%06d", ids.Add(1)) }
	f.sites = &site.Sites{Store: store.Sites{DB: db}, Now: f.clock.Now, NewID: newID}
	f.requestLog = &requestlog.Log{Store: store.RequestLogs{DB: db}, Sites: f.sites, Now: f.clock.Now, NewID: newID}
	f.rosters = &roster.Rosters{Store: store.Rosters{DB: db}, Now: f.clock.Now, NewID: newID}
	f.documented = f.site(t, "documented", site.Documented)
	f.full = f.site(t, "full", site.Full)
	return f
}

func (f fixture) site(t testing.TB, name string, p site.Profile) site.Site {
	t.Helper()
	made, err := f.sites.Create(t.Context(), name, p, "cli")
	if err != nil {
		t.Fatal(err)
	}
	made, err = f.sites.Update(t.Context(), made.ID, "cli", func(s *site.Site) error {
		s.SCIMEnabled, s.ManageRoles = true, p == site.Full
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// people opens the roster of a site with every right. Tests use it to prepare people in either
// profile.
func (f fixture) people(s site.Site) *roster.Roster {
	s.Choose(site.Full)
	s.ManageRoles = true
	return f.rosters.Open(s)
}

// user creates a user from a SCIM body and returns the id. On a site with the documented profile, a
// user without a userType gets the role Registered.
func (f fixture) user(t *testing.T, s site.Site, body string) string {
	t.Helper()
	doc := decode(t, body)
	if doc.String("userType") == "" && s.Profile == site.Documented {
		doc["userType"] = "Registered"
	}
	out, err := f.people(s).Create(t.Context(), roster.User, doc, bySCIM)
	if err != nil {
		t.Fatal(err)
	}
	return out.Document.ID
}

func decode(t *testing.T, body string) scim.Resource {
	t.Helper()
	doc, _, err := scim.Decode(scim.UserType(), []byte(body), scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func patch(t *testing.T, body string) *scim.Patch {
	t.Helper()
	p, _, err := scim.DecodePatch(scim.UserType(), []byte(body), scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// replace returns a PATCH that replaces one attribute, in the form that Entra sends.
func replace(t *testing.T, path, value string) *scim.Patch {
	t.Helper()
	return patch(t, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":%q,"value":%s}]}`, path, value))
}

func admin(userName string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"userType":"Admin"}`, userName)
}

func registered(userName string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q}`, userName)
}

func (f fixture) get(t *testing.T, s site.Site, id string) scim.Resource {
	t.Helper()
	doc, err := f.rosters.Open(s).Get(t.Context(), roster.User, id)
	if err != nil {
		t.Fatal(err)
	}
	r, err := scim.Parse(doc.JSON)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (f fixture) person(t *testing.T, s site.Site, id string) roster.Person {
	t.Helper()
	p, err := f.rosters.Open(s).Person(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// events returns the events of a site about a subject, oldest first.
func (f fixture) events(t *testing.T, s site.Site, subject string) []event.Event {
	t.Helper()
	about, err := store.Events{DB: f.db}.Recent(t.Context(), event.Site(string(s.ID)), subject, event.Position{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(about)
	return about
}

func names(events []event.Event) []string {
	var n []string
	for _, e := range events {
		n = append(n, e.Name)
	}
	return n
}

// isError fails the test unless err is the refusal that SCIM answers with this status and scimType.
// It returns the text of the refusal.
func isError(t *testing.T, err error, status int, scimType string) string {
	t.Helper()
	want := map[string]refusal.Kind{
		"400 invalidValue": refusal.Invalid, "400 tooMany": refusal.TooMuch, "403 ": refusal.Forbidden, "404 ": refusal.NotFound, "409 ": refusal.Conflict,
		"409 uniqueness": refusal.Taken, "412 ": refusal.Stale, "413 ": refusal.TooLarge, "501 ": refusal.Off, "503 ": refusal.Busy,
	}[fmt.Sprintf("%d %s", status, scimType)]
	if e, ok := refusal.Find(err); ok && e.Kind == want {
		return e.Sentences()
	}
	var e *scim.Error
	if !errors.As(err, &e) || e.Status != status || e.ScimType != scimType {
		t.Errorf("got %v, want %d %s", err, status, scimType)
		return ""
	}
	return e.Detail
}
