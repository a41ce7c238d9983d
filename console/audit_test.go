package console_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

const usersCSV = "userPrincipalName,displayName\nada@contoso.example,Ada Lovelace\n"

// installation is an office with a site, a deleted site and a directory, all of which have events.
func installation(t *testing.T) (*office, *store.DB, site.Site) {
	t.Helper()
	db := storetest.New(t)
	o := newOfficeOn(t, db)
	o.directory("contoso", usersCSV)
	acme, err := o.sites.Create(t.Context(), "acme", site.Documented, "cli")
	if err != nil {
		t.Fatal(err)
	}
	gone, err := o.sites.Create(t.Context(), "gone", site.Documented, "cli")
	if err == nil {
		err = o.sites.Delete(t.Context(), gone.ID, "gone", "cli")
	}
	if err != nil {
		t.Fatal(err)
	}
	return o, db, acme
}

func TestTheAuditLogOfTheInstallation(t *testing.T) {
	t.Parallel()
	o, db, acme := installation(t)
	b := o.operator()
	if !strings.Contains(b.get("/d/").Text, `href="/d/-/audit"`) {
		t.Error("the menu does not lead there")
	}
	page := b.get("/d/-/audit").wantStatus(http.StatusOK).
		wantWords("Audit log of the installation", "acme was made", "Ada Lovelace (ada@contoso.example) was created", "Site gone was deleted", "kim signed in by one-time link", "deleted site", "directory contoso")
	t.Run("is_filtered_by_place_kind_actor_text_and_day", func(t *testing.T) {
		for _, tt := range []struct {
			form     url.Values
			has, not string
		}{
			{url.Values{"of": {"site"}}, "acme was made", "contoso was created"},
			{url.Values{"of": {"site:" + string(acme.ID)}}, "acme was made", "gone was made"},
			{url.Values{"of": {"directory"}}, "contoso was created", "acme was made"},
			{url.Values{"of": {"installation"}}, "Site gone was deleted", "acme was made"},
			{url.Values{"kind": {"directory.created"}}, "contoso was created", "Ada Lovelace"},
			{url.Values{"actor": {"operator:KIM"}}, "signed in", "acme was made"},
			{url.Values{"q": {"LOVELACE"}}, "was created", "acme was made"},
			{url.Values{"to": {"2020-01-01"}}, "No event fits", "acme was made"},
		} {
			page.press("Filter", tt.form).wantWords(tt.has).wantNoWords(tt.not)
		}
		b.get("/d/-/audit?from=soon").wantWords("Write the day as 2027-01-31.")
		for _, address := range []string{"?of=nowhere", "?kind=nothing", "?before=x", "?after=x"} {
			if page := b.get("/d/-/audit" + address).wantStatus(http.StatusOK); page.Path != "/d/-/audit" {
				t.Errorf("%s leads to %s", address, page.Path)
			}
		}
		b.get("/d/-/audit?q=%ff%00").wantStatus(http.StatusOK).wantWords("No event fits")
	})
	t.Run("links_lead_to_the_events_of_one_place_one_actor_and_one_subject", func(t *testing.T) {
		b.get("/d/-/audit?q=Ada").click("All about it").wantWords("Ada Lovelace (ada@contoso.example) was created").wantNoWords("Directory contoso was created")
		b.get("/d/-/audit?kind=operator.signed_in").click("All by this one").wantWords("signed in").wantNoWords("acme was made")
		b.get("/d/-/audit?q=Ada").click("directory contoso").wantWords("Directory contoso was created").wantNoWords("acme was made")
		b.get("/d/-/audit?q=Ada").click("Open its page").wantWords("Object ID")
	})
	t.Run("pages_go_back_and_forth", func(t *testing.T) {
		many := make([]event.Event, 120)
		for i := range many {
			many[i] = event.Event{Scope: event.Installation(), Name: "retention.changed", Actor: "cli", Text: "numbered"}
		}
		if err := (store.Events{DB: db}).Record(t.Context(), many...); err != nil {
			t.Fatal(err)
		}
		first := b.get("/d/-/audit?q=numbered")
		second := first.click("Next page")
		third := second.click("Next page").wantWords("20 events")
		if again := third.click("Previous page"); again.words() != second.words() && !strings.Contains(again.words(), "50 events") {
			t.Errorf("the way back shows %s", again.words())
		}
		third.click("Previous page").click("Previous page").wantWords("50 events", "Next page").wantNoWords("First page")
	})
}

func TestTheAuditLogOfTheInstallationIsForOperators(t *testing.T) {
	t.Parallel()
	o, _, _ := installation(t)
	for _, path := range []string{"/d/-/audit", "/d/-/audit/export", "/d/-/audit/export?format=json"} {
		(&browser{t: t, base: o.server.URL, client: newClient(t, o.server)}).get(path).wantStatus(http.StatusUnauthorized).wantWords("Sign in as an operator").wantNoWords("acme")
	}
	w := newWorld(t)
	_, admin := w.admin(site.Documented)
	admin.get("/d/-/audit").wantStatus(http.StatusUnauthorized).wantWords("Sign in as an operator")
}

// TestExportsAreEvents takes each file that the pages offer and finds in the audit trail who took how much of what.
func TestExportsAreEvents(t *testing.T) {
	t.Parallel()
	o, db, _ := installation(t)
	if err := (store.Events{DB: db}).Record(t.Context(), event.Event{Scope: event.Installation(), Name: "retention.changed", Actor: "cli", Text: "=cmd|' /C calc'!A0", Data: []byte(`{"changes":[{"name":"events","before":1,"after":"=2+3"}]}`)}); err != nil {
		t.Fatal(err)
	}
	b := o.operator()
	t.Run("csv", func(t *testing.T) {
		file := b.get("/d/-/audit?kind=retention.").click("Export CSV").wantStatus(http.StatusOK)
		lines, err := csv.NewReader(strings.NewReader(file.Text)).ReadAll()
		if err != nil || len(lines) != 2 || strings.Join(lines[0], ",") != strings.Join(event.Columns, ",") {
			t.Fatalf("got %q, %v", lines, err)
		}
		if lines[1][2] != "'=cmd|' /C calc'!A0" || lines[1][11] != "events: 1 → =2+3" {
			t.Errorf("got %q", lines[1])
		}
		b.get("/d/-/audit?kind=export.audit").wantWords("The audit log was exported: 1 event", "kim (operator)", "127.0.0.1")
		wantExport(t, db, event.Installation(), "export.audit", `"rows":1`, `"kind":"retention."`)
	})
	t.Run("json", func(t *testing.T) {
		file := b.get("/d/-/audit?of=directory").click("Export JSON").wantStatus(http.StatusOK)
		var list []event.Entry
		if err := json.Unmarshal([]byte(file.Text), &list); err != nil || len(list) != 3 || list[1].Event != "user.created" || list[0].Event != "directory.imported" || list[0].Actor.Kind != "command" {
			t.Errorf("got %+v, %v", list, err)
		}
		wantExport(t, db, event.Installation(), "export.audit", `"rows":3`, `"of":"directory"`)
		if none := b.get("/d/-/audit/export?format=json&q=nothing+like+it"); strings.TrimSpace(none.Text) != "[]" {
			t.Errorf("nothing is exported as %q", none.Text)
		}
	})
	t.Run("users_of_a_directory", func(t *testing.T) {
		b.get("/d/contoso/users/export").wantStatus(http.StatusOK)
		h, err := o.directories.OpenNamed(t.Context(), "contoso")
		if err != nil {
			t.Fatal(err)
		}
		wantExport(t, db, event.Directory(string(h.Directory.ID)), "export.users", `"rows":1`)
	})
	t.Run("request_log_and_audit_log_of_a_site", func(t *testing.T) {
		w := newWorld(t)
		s, admin := w.admin(site.Documented)
		w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		admin.get("/c/acme/admin/access/log/export?q=ada").wantStatus(http.StatusOK)
		admin.get("/c/acme/admin/audit/export?format=json&kind=user.").wantStatus(http.StatusOK)
		events := w.ofSite(s)
		for i, want := range []string{"export.audit", "export.request_log"} {
			if e := events[i]; e.Name != want || e.By.Kind != event.Admin || e.By.Name != "kim@acme.example" || e.By.ID == "" || !strings.Contains(string(e.Data), `"filter"`) {
				t.Errorf("got %+v, want %s by kim", e, want)
			}
		}
	})
}

// wantExport checks the newest event of a scope.
func wantExport(t *testing.T, db *store.DB, scope event.Scope, name string, data ...string) {
	t.Helper()
	p, err := event.Search(t.Context(), store.Events{DB: db}, event.Query{Scope: scope, Limit: 1})
	if err != nil || len(p.Events) != 1 {
		t.Fatalf("got %+v, %v", p, err)
	}
	e := p.Events[0]
	if e.Name != name || e.By.Kind != event.Operator || e.By.Name != "kim" || e.By.ID == "" || e.By.Address != "127.0.0.1" {
		t.Errorf("got %+v, want %s by the operator kim", e, name)
	}
	for _, part := range data {
		if !strings.Contains(string(e.Data), part) {
			t.Errorf("%s has the data %s, want %s", name, e.Data, part)
		}
	}
}

// TestRefusalsAreEvents asks for what nobody may have, and finds who was refused, bounded however often it was asked.
func TestRefusalsAreEvents(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	w := newWorldOn(t, db, "https://rollcall.example")
	events := store.Events{DB: db}
	refused := &event.Refused{Recorder: events, Now: w.clock}
	w.pages.Console.Options.Refused = refused
	s, admin := w.admin(site.Documented)
	ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
	link, err := w.pages.SignIns.IssueSiteLink(t.Context(), s, "ada@acme.example", "cli")
	if err != nil {
		t.Fatal(err)
	}
	signedIn := w.signIn(s, "ada@acme.example")
	signedIn.get("/c/acme/admin/people").wantStatus(http.StatusForbidden)
	w.browser().get(link.Path).wantStatus(http.StatusOK)
	w.pass(onetime.TTL + time.Minute)
	w.browser().get(link.Path).wantStatus(http.StatusGone)
	for range 100 {
		w.browser().get("/c/acme/admin/people?token=x").wantStatus(http.StatusUnauthorized)
		w.browser().get("/c/none/admin/people").wantStatus(http.StatusUnauthorized)
	}
	w.browser().get("/c/none/sign-in/x").wantStatus(http.StatusGone)
	if err := refused.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	of := func(scope event.Scope, name string) []event.Event {
		p, err := event.Search(t.Context(), events, event.Query{Scope: scope, Kinds: []string{name}, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		return p.Events
	}
	pages, links := of(event.Site(string(s.ID)), "page.refused"), of(event.Site(string(s.ID)), "sign_in.link_refused")
	if len(pages) != 21 || pages[20].By.ID != ada.ID || pages[20].By.Name != "ada@acme.example" || pages[20].Text != "A page was refused, as the role does not allow it: GET /c/{site}/admin/people" {
		t.Errorf("got %d refused pages, the first %+v", len(pages), pages[len(pages)-1])
	}
	if p := pages[0]; p.By.Kind != event.Anybody || p.By.Address != "127.0.0.1" || p.Text != "A page was refused, as nobody was signed in: GET /c/{site}/admin/people" {
		t.Errorf("got %+v", p)
	}
	if len(links) != 1 || links[0].Text != "A sign-in link was refused: expired, of ada@acme.example" || links[0].By.Kind != event.Anybody {
		t.Errorf("got the refused links %+v", links)
	}
	if p, l := of(event.Installation(), "page.refused"), of(event.Installation(), "sign_in.link_refused"); len(p) != 20 || len(l) != 1 {
		t.Errorf("of a site that does not exist: got %d pages and %d links", len(p), len(l))
	}
	w.pass(2 * time.Minute)
	if err := refused.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := of(event.Site(string(s.ID)), "page.refused")[0]; string(p.Data) != `{"leftOut":80}` {
		t.Errorf("what was left out is told as %q %s", p.Text, p.Data)
	}
	if text := admin.get("/c/acme/admin/audit?kind=page.").Text; strings.Contains(text, "token=x") {
		t.Error("the event holds what was asked for")
	}
}

func TestSigningOutIsAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, admin := w.admin(site.Documented)
	admin.send(http.MethodPost, "/c/acme/sign-out", nil)
	admin.send(http.MethodPost, "/c/acme/sign-out", nil)
	events := w.ofSite(s)
	if e := events[0]; e.Name != "user.signed_out" || e.By.Kind != event.Admin || e.By.Name != "kim@acme.example" || e.By.ID == "" || e.By.ID != e.Subject || e.By.Address != "127.0.0.1" {
		t.Errorf("got %+v", e)
	}
	if events[1].Name == "user.signed_out" {
		t.Error("signing out without a session is an event too")
	}
}
