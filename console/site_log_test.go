package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

const logPath = "/c/acme/admin/access/log"

// logged writes rows, oldest first, a minute apart, the last one a minute ago.
func (w *world) logged(s site.Site, rows ...site.Request) {
	w.t.Helper()
	for i, r := range rows {
		r.Site = s.ID
		r.Time = w.clock().Add(-time.Duration(len(rows)-i) * time.Minute)
		if err := w.pages.Sites.Log().Write(w.t.Context(), r); err != nil {
			w.t.Fatal(err)
		}
	}
}

func sampleCalls(ada string) []site.Request {
	base := "/c/acme/auth/scim/v2/Users"
	return []site.Request{
		{Method: "GET", Path: base + "?filter=userName+eq+%22eve%40acme.example%22", Status: 200, Sentence: "Nobody matches", UserName: "eve@acme.example", TokenID: "t", TokenLast4: "a91f", Duration: 2 * time.Millisecond},
		{Method: "POST", Path: base, Status: 501, Sentence: "User creation over SCIM is off for this site.", UserName: "eve@acme.example", TokenID: "t", TokenLast4: "a91f"},
		{
			Method: "PATCH", Path: base + "/" + ada, Status: 200, Sentence: "Nothing: role Admn is not a role here", UserName: "ada@acme.example", Subject: ada, TokenID: "t", TokenLast4: "a91f",
			Fixes: []string{"op Replace read as replace"}, Ignored: []string{"userType: Admn is no role"},
		},
		{Method: "GET", Path: base, Status: 401, Sentence: "Refused: the token is not known", TokenLast4: "beef", Remote: "192.0.2.66"},
		{
			Method: "PATCH", Path: base + "/" + ada, Status: 200, Sentence: "Deactivated · 2 sessions ended", UserName: "ada@acme.example", Subject: ada, TokenID: "t", TokenLast4: "a91f",
			Remote: "20.1.2.3", Duration: 38 * time.Millisecond, Fixes: []string{`active: "False" read as false`},
		},
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
	b.get(logPath).wantWords("Nobody has called yet")
	w.logged(s, sampleCalls(ada.ID)...)

	t.Run("shows_changes_and_refusals_first_and_says_how_reads_are_written", func(t *testing.T) {
		page := b.get(logPath).wantWords("Provisioning log", "reads and a token’s last use are gathered and written each second", "4 calls")
		rows := page.rows()
		if len(rows) != 4 {
			t.Fatalf("got %d rows, want 4", len(rows))
		}
		newest := strings.Join(rows[0], "|")
		for _, text := range []string{"2030-05-06 07:07:09", "ada@acme.example", "Deactivated · 2 sessions ended", "200", "PATCH /Users/" + ada.ID, "38"} {
			if !strings.Contains(newest, text) {
				t.Errorf("the newest row does not say %q: %s", text, newest)
			}
		}
	})
	t.Run("expands_to_tolerances_and_where_it_came_from", func(t *testing.T) {
		b.get(logPath).wantWords(`active: "False" read as false`, "1 tolerated", "userType: Admn is no role", "1 ignored", "20.1.2.3", "…a91f", "…beef (not a live token of this site)")
	})
	t.Run("links_to_the_person", func(t *testing.T) {
		found := false
		for _, a := range b.get(logPath).Root.all("a") {
			found = found || a.attr["href"] == "/c/acme/admin/people/"+ada.ID
		}
		if !found {
			t.Error("no link to the person")
		}
	})
	t.Run("everything_has_the_reads_with_their_filter_as_it_reads", func(t *testing.T) {
		page := b.get(logPath+"?show=all").wantWords("5 calls", `GET /Users?filter=userName eq "eve@acme.example"`, "Nobody matches")
		if got := len(page.rows()); got != 5 {
			t.Errorf("got %d rows, want 5", got)
		}
	})
	t.Run("filters", func(t *testing.T) {
		for _, tt := range []struct {
			form url.Values
			want int
		}{
			{url.Values{"result": {"refused"}}, 2},
			{url.Values{"result": {"ignored"}}, 1},
			{url.Values{"result": {"done"}}, 1},
			{url.Values{"result": {"nonsense"}}, 4},
			{url.Values{"q": {"ADA@acme"}}, 2},
			{url.Values{"q": {ada.ID}}, 2},
			{url.Values{"q": {"eve"}, "result": {"refused"}}, 1},
		} {
			if got := len(b.get(logPath).submit("Filter", tt.form).rows()); got != tt.want {
				t.Errorf("%v: got %d rows, want %d", tt.form, got, tt.want)
			}
		}
		b.get(logPath+"?q=nobody").wantWords("No call fits", "Show everything")
	})
	t.Run("a_broken_place_in_the_log_leads_to_its_beginning", func(t *testing.T) {
		if page := b.get(logPath + "?before=nonsense"); page.Path != logPath {
			t.Errorf("leads to %s", page.Path)
		}
	})
	t.Run("pages_backwards_through_all_of_it", func(t *testing.T) {
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		var many []site.Request
		for i := range 130 {
			many = append(many, site.Request{Method: "PATCH", Path: "/x", Status: 200, Sentence: fmt.Sprintf("change %03d", i), TokenID: "t"})
		}
		w.logged(s, many...)
		seen := map[string]bool{}
		path := logPath
		for path != "" {
			page := b.get(path)
			for _, row := range page.rows() {
				seen[row[2]] = true
			}
			path = ""
			for _, a := range page.Root.all("a") {
				if a.attr["rel"] == "next" {
					path = a.attr["href"]
				}
			}
			if len(seen) > 130 {
				break
			}
		}
		if len(seen) != 130 {
			t.Errorf("saw %d rows, want 130", len(seen))
		}
	})
}

func TestOverview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
	path := "/c/acme/admin/access"
	b.get("/c/acme/admin").wantStatus(http.StatusOK).wantWords("Access management", "Not set up", "Nobody has called yet")
	b.get(scimPath).submit("Save", url.Values{"enabled": {"on"}})
	b.get(scimPath).submit("Generate", nil)
	b.get(path).wantWords("Waiting for first call", "Live tokens")
	w.logged(s, sampleCalls(ada.ID)...)
	b.get(path).wantWords("Working. Last call 1 minute ago.", "Needs attention",
		"ada@acme.example: Nothing: role Admn is not a role here.", "eve@acme.example: User creation over SCIM is off for this site.",
		"Of the last 4 calls: 2 made or asked for a change, 1 refused.", "There is one active administrator.", "Deactivated · 2 sessions ended")
	w.logged(s, site.Request{Method: "GET", Path: "/x", Status: 401, TokenLast4: "beef"})
	w.pass(30 * time.Second)
	b.get(path).wantWords("Working") // the stranger came before the last accepted call
}

func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
	b.get(peoplePath+"/"+ada.ID+"/deactivate").submit("Deactivate Ada", nil)
	b.get(scimPath).submit("Save", url.Values{"enabled": {"on"}})

	t.Run("lists_what_changed_with_who_did_it", func(t *testing.T) {
		page := b.get("/c/acme/admin/audit").wantWords("Audit log", "SCIM was switched on", "ada@acme.example was deactivated", "kim@acme.example", "command line", "The last event was just now.")
		found := false
		for _, a := range page.Root.all("a") {
			found = found || (a.attr["href"] == "/c/acme/admin/people/"+ada.ID && strings.Contains(a.text(), "was deactivated"))
		}
		if !found {
			t.Error("no link to the person")
		}
	})
	t.Run("pages_backwards", func(t *testing.T) {
		for i := range 60 {
			if _, err := w.pages.Sites.Update(t.Context(), s.ID, "cli", func(s *site.Site) error { s.ManageRoles = i%2 == 0; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		first := b.get("/c/acme/admin/audit")
		next := ""
		for _, a := range first.Root.all("a") {
			if a.attr["rel"] == "next" {
				next = a.attr["href"]
			}
		}
		if got := len(first.rows()); got != 50 || next == "" {
			t.Fatalf("got %d rows and next %q", got, next)
		}
		b.get(next).wantWords("First page", "SCIM was switched on").wantStatus(http.StatusOK)
		if page := b.get("/c/acme/admin/audit?before=nonsense"); page.Path != "/c/acme/admin/audit" {
			t.Errorf("a broken place leads to %s", page.Path)
		}
	})
}

func TestShortPath(t *testing.T) {
	t.Parallel()
	v := &siteVisit{Site: site.Site{Name: "acme"}}
	for path, want := range map[string]string{
		"/c/acme/auth/scim/v2/Users/187922c3150e41692ce96e7e7c68e76b": "/Users/187922c3…",
		"/c/acme/auth/scim/v2/ServiceProviderConfig":                  "/ServiceProviderConfig",
		"/c/acme/auth/scim/v2":                                        "/c/acme/auth/scim/v2",
		"/c/acme/auth/scim/v2/Users?filter=userName+eq+%22a%22":       `/Users?filter=userName eq "a"`,
		"/c/acme/auth/scim/v2/Users?filter=%zz":                       "/Users?filter=%zz",
	} {
		if got := shortPath(v, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
