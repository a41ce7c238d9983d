package provision_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// bothEnds is a job between a real directory and a real site, over HTTP.
type bothEnds struct {
	*world
	handle   *directory.Handle
	app      directory.Application
	sites    *site.Sites
	requests *requestlog.Log
	site     site.Site
	roster   *roster.Roster
}

func newBothEnds(t *testing.T, db *store.DB, profile site.Profile, flows provision.FlowTypes) *bothEnds {
	t.Helper()
	ctx := t.Context()
	b := &bothEnds{world: &world{
		t: t, db: db, store: store.Provisioning{DB: db}, leases: store.Leases{DB: db}, clock: &clock{at: epoch},
	}}
	b.wire()
	b.sites = &site.Sites{Store: store.Sites{DB: db}, Now: b.clock.now, NewID: b.newID}
	b.requests = &requestlog.Log{Store: store.RequestLogs{DB: db}, Sites: b.sites, Now: b.clock.now, NewID: b.newID}
	rosters := &roster.Rosters{Store: store.Rosters{DB: db}, Now: b.clock.now, NewID: b.newID}
	directories := &directory.Directories{Store: store.Directories{DB: db}, Now: b.clock.now, NewID: b.newID}
	b.engine.Sources = source.Opener(directories.OpenByID)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	b.site, err = b.sites.Create(ctx, "acme", profile, "cli")
	must(err)
	_, token, err := b.sites.CreateToken(ctx, b.site.ID, site.TokenRequest{Actor: "cli"})
	must(err)
	b.site, err = b.sites.ByName(ctx, "acme")
	must(err)
	b.roster = rosters.Open(b.site)
	handler := &scimserver.Handler{
		Sites: b.sites, Rosters: rosters, Requests: b.requests, Log: slog.New(slog.DiscardHandler), Now: b.clock.now,
		BaseURL: func(r *http.Request) string { return "http://" + r.Host },
	}
	server := httptest.NewServer(handler.Before(http.NotFoundHandler()))
	t.Cleanup(server.Close)
	contoso, err := directories.Create(ctx, "contoso", "cli")
	must(err)
	b.handle = directories.Open(contoso)
	b.app, err = b.handle.CreateApplication(ctx, "acme", "cli")
	must(err)
	b.key = provision.Key{Directory: provision.SourceID(contoso.ID), App: b.app.ID}
	_, err = b.jobs.Save(ctx, b.key, provision.Settings{
		Mode: provision.Automatic, TenantURL: server.URL + "/c/acme/auth/scim/v2", Secret: &token, Status: provision.On, Scope: provision.AssignedOnly,
	}, "cli")
	must(err)
	b.setActions(flows)
	return b
}

// hire puts a person into the directory and assigns them.
func (b *bothEnds) hire(upn, given, family string) string {
	b.t.Helper()
	u, _, err := b.handle.PutUser(b.t.Context(), directory.User{ObjectID: b.newID(), AccountEnabled: true, Attributes: person(upn, given, family)}, "cli")
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.handle.Assign(b.t.Context(), b.app.ID, []string{u.ObjectID}, "cli"); err != nil {
		b.t.Fatal(err)
	}
	return u.ObjectID
}

// member returns a person of the site, as SCIM shows the person. ok is false if the site does not
// have the person.
func (b *bothEnds) member(userName string) (scim.Resource, bool) {
	b.t.Helper()
	f, _, err := scim.ParseFilter(scim.UserType(), fmt.Sprintf("userName eq %q", userName), scim.Lenient)
	if err != nil {
		b.t.Fatal(err)
	}
	page, err := b.roster.List(b.t.Context(), roster.Query{Filter: f, Count: 10, StartIndex: 1})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(page.Documents) == 0 {
		return nil, false
	}
	r, err := scim.Parse(page.Documents[0].JSON)
	if err != nil {
		b.t.Fatal(err)
	}
	return r, true
}

func TestBothEnds(t *testing.T) {
	t.Parallel()
	t.Run("the_guide_s_site_takes_updates_and_explains_what_it_does_not_take", func(t *testing.T) {
		t.Parallel()
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			b := newBothEnds(t, db, site.Documented, allActions)
			if _, err := b.roster.Import(t.Context(), []roster.ImportRow{{UserName: "ada@contoso.com", DisplayName: "Ada", Email: "ada@contoso.com"}}, roster.Change{Actor: "cli", Via: "import"}); err != nil {
				t.Fatal(err)
			}
			ada := b.hire("ada@contoso.com", "Ada", "Lovelace")
			bob := b.hire("bob@contoso.com", "Bob", "Byte")
			if _, err := b.jobs.TestConnection(t.Context(), b.key, b.report().Job.TenantURL, nil); err != nil {
				t.Errorf("test connection: %v", err)
			}
			_, entries := b.cycle()
			if got, want := status(entries[ada]), "update success "; got != want {
				t.Errorf("Ada: got %q (%+v), want %q", got, entries[ada].Status, want)
			}
			if got, want := status(entries[bob]), "create failure NotImplemented"; got != want || !strings.Contains(entries[bob].Status.RecommendedAction, "Untick") {
				t.Errorf("Bob: got %q (%+v), want %q", got, entries[bob].Status, want)
			}
			b.setActions(provision.FlowUpdate)
			if _, entries = b.cycle(); status(entries[bob]) != "other skipped NoMatchCreateDisabled" {
				t.Errorf("Bob with Update only: got %q", status(entries[bob]))
			}
			if got, want := status(entries[ada]), "other skipped RedundantExport"; got != want {
				t.Errorf("Ada again: got %q (%v), want %q", got, entries[ada].Modified, want)
			}
			if _, err := b.handle.Disable(t.Context(), ada, "cli"); err != nil {
				t.Fatal(err)
			}
			if _, entries = b.cycle(); status(entries[ada]) != "disable success " {
				t.Errorf("Ada blocked: got %q", status(entries[ada]))
			}
			if r, _ := b.member("ada@contoso.com"); r["active"] != false {
				t.Errorf("Ada's account is %v", r)
			}
			if _, err := b.handle.Enable(t.Context(), ada, "cli"); err != nil {
				t.Fatal(err)
			}
			b.cycle()
			if r, _ := b.member("ada@contoso.com"); r["active"] != true || r.String("displayName") != "Ada Lovelace" {
				t.Errorf("Ada's account is %v", r)
			}
		})
	})
	t.Run("a_full_site_follows_a_whole_life", func(t *testing.T) {
		t.Parallel()
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			b := newBothEnds(t, db, site.Full, allActions)
			ada := b.hire("ada@contoso.com", "Ada", "Lovelace")
			step := func(what string, want string) {
				t.Helper()
				report, err := b.engine.Plan(t.Context(), b.key, func(provision.PlannedObject) error { return nil })
				if err != nil {
					t.Fatal(err)
				}
				done, entries := b.cycle()
				if got := status(entries[ada]); got != want {
					t.Errorf("%s: got %q (%+v), want %q", what, got, entries[ada].Status, want)
				}
				if report.Creates != done.Created || report.Updates != done.Updated || report.Disables != done.Disabled || report.Deletes != done.Deleted {
					t.Errorf("%s: planned %+v, done %+v", what, report, done)
				}
			}
			step("hired", "create success ")
			u, err := b.handle.User(t.Context(), ada)
			if err != nil {
				t.Fatal(err)
			}
			u.Attributes["surname"] = "King"
			if _, _, err := b.handle.PutUser(t.Context(), u, "cli"); err != nil {
				t.Fatal(err)
			}
			step("renamed", "update success ")
			if r, _ := b.member("ada@contoso.com"); r["name"].(map[string]any)["familyName"] != "King" {
				t.Errorf("account %v", r)
			}
			if _, err := b.handle.Unassign(t.Context(), b.app.ID, []string{ada}, "cli"); err != nil {
				t.Fatal(err)
			}
			step("unassigned", "disable success ")
			if _, err := b.handle.Assign(t.Context(), b.app.ID, []string{ada}, "cli"); err != nil {
				t.Fatal(err)
			}
			step("assigned again", "update success ")
			if _, err := b.handle.SoftDelete(t.Context(), ada, "cli"); err != nil {
				t.Fatal(err)
			}
			step("deleted", "disable success ")
			if err := b.handle.Purge(t.Context(), ada, "cli"); err != nil {
				t.Fatal(err)
			}
			step("purged", "delete success ")
			if _, found := b.member("ada@contoso.com"); found {
				t.Error("the account is still there")
			}
		})
	})
}
