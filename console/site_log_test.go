package console_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

const logPath = "/c/acme/admin/access/log"

// logged writes rows, oldest first, a minute apart, the last one a minute ago.
func (w *world) logged(s site.Site, rows ...requestlog.Request) {
	w.t.Helper()
	for i, r := range rows {
		r.Site = s.ID
		r.Time = w.clock().Add(-time.Duration(len(rows)-i) * time.Minute)
		if err := w.pages.Requests.Write(w.t.Context(), r); err != nil {
			w.t.Fatal(err)
		}
	}
}

func sampleCalls(ada string) []requestlog.Request {
	base := "/c/acme/auth/scim/v2/Users"
	return []requestlog.Request{
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
		page := b.get(logPath).wantWords("Request log", "reads and a token’s last use within a second or two", "4 calls")
		rows := page.callRows()
		if len(rows) != 4 {
			t.Fatalf("got %d rows, want 4", len(rows))
		}
		newest := rows[0]
		for _, text := range []string{"2030-05-06 07:07:09", "ada@acme.example", "Deactivated · 2 sessions ended", "200", "PATCH /Users/" + ada.ID, "38"} {
			if !strings.Contains(newest, text) {
				t.Errorf("the newest row does not say %q: %s", text, newest)
			}
		}
	})
	t.Run("expands_to_tolerances_and_where_it_came_from", func(t *testing.T) {
		b.get(logPath).wantWords(`active: "False" read as false`, "1 corrected", "userType: Admn is no role", "1 not applied", "20.1.2.3", "…a91f", "…beef (not a token of this site)", "Refused: unknown token, ending …beef")
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
		if got := len(page.callRows()); got != 5 {
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
			{url.Values{"method": {"PATCH"}}, 2},
			{url.Values{"method": {"nonsense"}}, 4},
			{url.Values{"token": {"none"}}, 1},
			{url.Values{"q": {"session"}}, 1},
			{url.Values{"q": {"/v2/users"}, "result": {"refused"}}, 2},
			{url.Values{"from": {"2030-05-06"}, "to": {"2030-05-06"}}, 4},
			{url.Values{"from": {"2030-05-07"}}, 0},
			{url.Values{"to": {"2030-05-05"}}, 0},
		} {
			if got := len(b.get(logPath).submit("Filter", tt.form).callRows()); got != tt.want {
				t.Errorf("%v: got %d rows, want %d", tt.form, got, tt.want)
			}
		}
		b.get(logPath+"?q=nobody").wantWords("No call fits", "Show everything")
	})
	t.Run("a_day_that_is_none_is_said", func(t *testing.T) {
		b.get(logPath + "?from=tomorrow").wantWords("Write the day as 2027-01-31.")
	})
	t.Run("details_have_values_the_whole_request_and_curl_without_the_token", func(t *testing.T) {
		page := b.get(logPath).wantWords("active true → false", "PATCH /c/acme/auth/scim/v2/Users/"+ada.ID, "Answer 200 Deactivated · 2 sessions ended")
		found := false
		for _, n := range page.Root.all("input") {
			found = found || n.attr["value"] == `curl -X 'PATCH' 'https://rollcall.example/c/acme/auth/scim/v2/Users/`+ada.ID+`' -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/scim+json' --data @body.json`
		}
		if !found {
			t.Error("no curl command")
		}
	})
	t.Run("is_asked_for_again_on_its_newest_page_only", func(t *testing.T) {
		live := func(page *shown) string { return page.byID("found").attr["hx-get"] }
		if got := live(b.get(logPath + "?result=refused")); got != logPath+"?result=refused" {
			t.Errorf("the newest page asks for %q", got)
		}
		if got := live(b.get(logPath + "?before=1000-x")); got != "" {
			t.Errorf("an older page asks for %q", got)
		}
	})
	t.Run("is_exported_as_it_is_filtered_and_holds_no_formula", func(t *testing.T) {
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		var many []requestlog.Request
		for i := range 620 {
			many = append(many, requestlog.Request{Method: "PATCH", Path: "/x", Status: 200, UserName: `=HYPERLINK("http://evil")`, Sentence: fmt.Sprintf("+cmd|' /C calc'!A%d", i), TokenID: "t"})
		}
		many = append(many, requestlog.Request{Method: "DELETE", Path: "/y", Status: 501, UserName: "ada@acme.example", Sentence: "refused", TokenID: "t"})
		w.logged(s, many...)
		read := func(page *shown) [][]string {
			t.Helper()
			page.wantStatus(http.StatusOK)
			if got := page.Header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
				t.Fatalf("got the type %q", got)
			}
			lines, err := csv.NewReader(strings.NewReader(page.Text)).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			return lines
		}
		lines := read(b.get(logPath).click("Export CSV"))
		if len(lines) != 622 {
			t.Fatalf("got %d lines, want the header and 621", len(lines))
		}
		for _, line := range lines[1:] {
			for _, cell := range line {
				if strings.HasPrefix(cell, "=") || strings.HasPrefix(cell, "+") {
					t.Fatalf("a formula: %q", cell)
				}
			}
		}
		if got := lines[1]; got[1] != "ada@acme.example" || got[4] != "501" || got[5] != "DELETE" {
			t.Errorf("the newest line is %q", got)
		}
		if lines := read(b.get(logPath + "?method=DELETE").click("Export CSV")); len(lines) != 2 {
			t.Errorf("filtered: got %d lines, want 2", len(lines))
		}
	})
	t.Run("a_broken_place_in_the_log_leads_to_its_beginning", func(t *testing.T) {
		if page := b.get(logPath + "?before=nonsense"); page.Path != logPath {
			t.Errorf("leads to %s", page.Path)
		}
	})
	t.Run("pages_backwards_through_all_of_it", func(t *testing.T) {
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		var many []requestlog.Request
		for i := range 130 {
			many = append(many, requestlog.Request{Method: "PATCH", Path: "/x", Status: 200, Sentence: fmt.Sprintf("change %03d", i), TokenID: "t"})
		}
		w.logged(s, many...)
		seen := map[string]bool{}
		path := logPath
		for path != "" {
			page := b.get(path)
			for _, row := range page.callRows() {
				seen[row] = true
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
	b.get(scimPath).submit("Save", url.Values{"enabled": {"on"}}).submit("Generate", nil)
	b.get(path).wantWords("Waiting for first call", "Live tokens")
	w.pass(time.Hour)
	w.logged(s, sampleCalls(ada.ID)...)
	b.get(path).wantWords("Access management Working Last call 1 minute ago.", "Needs attention",
		"ada@acme.example: Nothing: role Admn is not a role here.", "eve@acme.example: User creation over SCIM is off for this site.",
		"Of the last 4 calls: 2 made or asked for a change, 1 refused.", "There is one active administrator.", "Deactivated · 2 sessions ended")
	if n := strings.Count(b.get(path).words(), "Working"); n != 1 {
		t.Errorf("the overview says Working %d times, want once", n)
	}
}

// callRows are the summaries of the calls that a page lists, newest first.
func (s *shown) callRows() []string {
	var list []string
	for _, n := range s.Root.all("summary") {
		if n.parent.attr["class"] == "call" {
			list = append(list, n.text())
		}
	}
	return list
}

func TestOverview_gives_one_line_to_one_cause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	b.get(scimPath).submit("Generate", url.Values{"enabled": {"yes"}})
	w.pass(time.Hour)
	var calls []requestlog.Request
	for i := range 37 {
		calls = append(calls, requestlog.Request{
			Method: "POST", Path: "/c/acme/auth/scim/v2/Users", Status: 501, UserName: fmt.Sprintf("p%d@acme.example", i), TokenID: "t", TokenLast4: "a91f",
			Sentence: "User creation over SCIM is off for this site.",
		})
	}
	taken := func(name string) requestlog.Request {
		return requestlog.Request{
			Method: "PATCH", Path: "/c/acme/auth/scim/v2/Users/" + name, Status: 409, UserName: name, Subject: name, TokenID: "t", TokenLast4: "a91f",
			Sentence: `The user name "` + name + `" is taken.`,
		}
	}
	fixed := taken("cy@acme.example")
	fixed.Status, fixed.Sentence = 200, "Updated userName"
	calls = append(calls, taken("ada@acme.example"), taken("bob@acme.example"), taken("cy@acme.example"), fixed)
	w.logged(s, calls...)
	page := b.get("/c/acme/admin/access").wantWords(
		"37 creates refused, same cause: User creation over SCIM is off for this site.",
		`2 updates refused, same cause: The user name "bob@acme.example" is taken.`,
	).wantNoWords("cy@acme.example:")
	got := page.click("Show")
	if rows := got.callRows(); len(rows) != 37 {
		t.Errorf("Show leads to %d calls, want the 37: %s", len(rows), got.Path)
	}
	// A setting that answers the refusals takes them off the list.
	b = w.signIn(s, "kim@acme.example") // an hour has passed, and settings need a fresh sign-in
	b.get(scimPath).submit("Save", url.Values{"create": {"create"}}).wantWords("Saved.")
	b.get("/c/acme/admin/access").wantNoWords("creates refused").wantWords("2 updates refused")
}

// TestStrangersChangeNothing is about calls of whoever knows the address: nothing of a site's state hangs on them.
func TestStrangersChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	const path = "/c/acme/admin/access"
	secret := secretOn(b.get(scimPath).submit("Generate", url.Values{"enabled": {"yes"}}))
	live := w.liveTokens(s)[0]
	w.pass(time.Hour)
	w.logged(s, requestlog.Request{Method: "GET", Path: "/x", Status: 200, TokenID: live.ID, TokenLast4: live.Last4, Sentence: "Found"})
	refuse := func(bearer string) {
		t.Helper()
		row := requestlog.Request{Time: w.clock(), Method: "GET", Path: "/c/acme/auth/scim/v2", Status: http.StatusUnauthorized, Sentence: "The token is missing, wrong, expired or revoked."}
		_, _, err := w.pages.Sites.Authenticate(t.Context(), "acme", bearer)
		if err == nil {
			t.Fatal("the token is accepted")
		}
		if ended, ok := refusal.DataOf[site.Token](err); ok {
			row.TokenID, row.TokenLast4 = ended.ID, ended.Last4
		}
		if err := w.pages.Requests.GatherRefused(t.Context(), "acme", row); err != nil {
			t.Fatal(err)
		}
	}
	flush := func() {
		t.Helper()
		if err := w.pages.Requests.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
	}
	// More than the rows by which the state is judged.
	for range 60 {
		refuse("")
		refuse("a random string that nobody issued")
	}
	flush()
	b.get(path).wantWords("Access management Working", "100 calls or more without a token of this site within a day; refused").wantNoWords("Rejected", "Problem:")

	if err := w.pages.Sites.RevokeToken(t.Context(), s.ID, live.ID, "cli"); err != nil {
		t.Fatal(err)
	}
	b.get(path).wantWords("Not set up", "No token is live").wantNoWords("Rejected")
	// However many strangers there are, the call with the revoked token is kept.
	for range 200 {
		refuse("")
	}
	refuse(secret)
	flush()
	b.get(path).wantWords("Access management Rejected", "a call came with the token "+live.Label()+", which was revoked or replaced", "Needs attention")
	if rows := b.get(path).click("Show the calls").callRows(); len(rows) != 1 || !strings.Contains(rows[0], "the token has ended") {
		t.Errorf("the calls of the token: %q", rows)
	}
	// The last use of a token is the last accepted one.
	all, err := w.pages.Sites.Tokens(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if all[0].LastUsed.After(w.clock().Add(-time.Minute)) {
		t.Errorf("a refused call counts as a use, at %s", all[0].LastUsed)
	}
}

// TestHeadAfterSave: what a save answers does not stand in the head as if nothing had happened.
func TestHeadAfterSave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	b.get(scimPath).submit("Generate", nil)
	live := w.liveTokens(s)[0]
	w.logged(s, requestlog.Request{Method: "GET", Path: "/x", Status: 403, TokenID: live.ID, TokenLast4: live.Last4, Sentence: "SCIM is switched off for this site."})
	b.get(scimPath).submit("Save", url.Values{"enabled": {"yes"}}).wantWords("SCIM is on.", "Waiting for first call", "since SCIM was switched on").wantNoWords("Failing", "SCIM is switched off")
	w.logged(s, requestlog.Request{Method: "POST", Path: "/x", Status: 501, TokenID: live.ID, TokenLast4: live.Last4, Sentence: "User creation over SCIM is off for this site."})
	w.pass(time.Minute)
	w.logged(s, requestlog.Request{Method: "POST", Path: "/x", Status: 501, TokenID: live.ID, TokenLast4: live.Last4, Sentence: "User creation over SCIM is off for this site."})
	b.get(scimPath).wantWords("Failing", "User creation over SCIM is off").submit("Save", url.Values{"create": {"create"}}).wantWords("Saved.").wantNoWords("Failing")
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
			found = found || a.attr["href"] == "/c/acme/admin/people/"+ada.ID
		}
		if !found {
			t.Error("no link to the person")
		}
	})
	t.Run("filters_by_kind_actor_text_and_day", func(t *testing.T) {
		const path = "/c/acme/admin/audit"
		for _, tt := range []struct {
			form url.Values
			has  string
			not  string
		}{
			{url.Values{"kind": {"site."}}, "SCIM was switched on", "was deactivated"},
			{url.Values{"kind": {"user."}}, "ada@acme.example was deactivated", "SCIM was switched on"},
			{url.Values{"actor": {"KIM@"}}, "SCIM was switched on", "was made with profile"},
			{url.Values{"actor": {"cli"}}, "was made with profile", "SCIM was switched on"},
			{url.Values{"q": {"DEACTIV"}}, "ada@acme.example was deactivated", "SCIM was switched on"},
			{url.Values{"from": {"2030-05-06"}, "to": {"2030-05-06"}}, "SCIM was switched on", "No event fits"},
			{url.Values{"to": {"2030-05-05"}}, "No event fits", "SCIM was switched on"},
		} {
			b.get(path).submit("Filter", tt.form).wantWords(tt.has).wantNoWords(tt.not)
		}
		b.get(path + "?from=soon").wantWords("Write the day as 2027-01-31.")
	})
	t.Run("settings_stand_out_and_scim_does_not", func(t *testing.T) {
		if _, err := w.pages.Rosters.Open(s).Deactivate(t.Context(), w.person(s, "cy@acme.example", "Cy", roster.RoleRegistered).ID, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
			t.Fatal(err)
		}
		classes := map[string]string{}
		for _, n := range b.get("/c/acme/admin/audit").Root.all("span") {
			classes[n.text()] = n.attr["class"]
		}
		for text, want := range map[string]string{"SCIM was switched on": "trail-what strong", "cy@acme.example was deactivated": "trail-what soft", "ada@acme.example was deactivated": "trail-what"} {
			if classes[text] != want {
				t.Errorf("%s: got %q, want %q", text, classes[text], want)
			}
		}
	})
	t.Run("is_exported_as_it_is_filtered", func(t *testing.T) {
		page := b.get("/c/acme/admin/audit?kind=site.").click("Export CSV").wantStatus(http.StatusOK)
		lines, err := csv.NewReader(strings.NewReader(page.Text)).ReadAll()
		if err != nil || len(lines) != 4 || lines[1][2] != "SCIM was switched on" || lines[2][2] != "The pages may now set up SCIM" || lines[1][3] != "admin" || lines[1][4] != "kim@acme.example" {
			t.Errorf("got %q, %v", lines, err)
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
		if got := len(first.Root.all("summary")); got < 50 || next == "" {
			t.Fatalf("got %d rows and next %q", got, next)
		}
		b.get(next).wantWords("First page", "SCIM was switched on").wantStatus(http.StatusOK)
		if page := b.get("/c/acme/admin/audit?before=nonsense"); page.Path != "/c/acme/admin/audit" {
			t.Errorf("a broken place leads to %s", page.Path)
		}
	})
}

func TestTestConnectionIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	const random = "524cdd49-86e2-4c3b-9d8a-0b6a7f1c2d3e"
	lookup := func(filter, sentence string) requestlog.Request {
		return requestlog.Request{Method: "GET", Path: "/c/acme/auth/scim/v2/Users?filter=" + url.QueryEscape(filter), Status: 200, Sentence: sentence, TokenID: "t", UserName: random}
	}
	for _, tt := range []struct {
		name string
		call requestlog.Request
		want bool
	}{
		{"a random user name", lookup(`userName eq "`+random+`"`, "Not found (no user here has this userName)"), true},
		{"a random address", lookup(`emails[type eq "work"].value eq "`+random+`"`, "Not found (no user here has this emails)"), true},
		{"somebody has it", lookup(`userName eq "`+random+`"`, "Found"), false},
		{"a name", lookup(`userName eq "ada@acme.example"`, "Not found (no user here has this userName)"), false},
		{"an external id, which can be a GUID", lookup(`externalId eq "`+random+`"`, "Not found (no user here has this externalId)"), false},
		{"two conditions", lookup(`userName eq "`+random+`" or userName eq "ada"`, "Not found (no user here matches the filter)"), false},
	} {
		w.logged(s, tt.call)
		page := b.get(logPath + "?show=all")
		if got := strings.Contains(page.callRows()[0], "Test Connection"); got != tt.want {
			t.Errorf("%s: named %t, want %t: %s", tt.name, got, tt.want, page.callRows()[0])
		}
		page.wantWords("GET " + tt.call.Path) // the request itself stays on the page
		w.pass(time.Hour)
	}
}

func TestLongListsOfAttributesAreCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	w.logged(s, requestlog.Request{Method: "PATCH", Path: "/x", Status: 200, Sentence: "Role Registered → Admin · Updated addresses, displayName, emails, name, phoneNumbers, title", TokenID: "t"})
	page := b.get(logPath).wantWords("userType Registered → Admin", "Changed addresses, displayName, emails, name, phoneNumbers, title")
	if got := page.callRows()[0]; !strings.Contains(got, "Updated addresses, displayName, emails and 3 more") || strings.Contains(got, "phoneNumbers") {
		t.Errorf("the row says %s", got)
	}
}
