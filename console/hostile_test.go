package console_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/console/directorypages"
	"github.com/rollcall-scim/rollcall/console/sitepages"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// hostileValues are what may be written into any field of a form, any parameter and any part of a path.
var hostileValues = map[string]string{
	"nothing":              "",
	"NUL":                  "a\x00b",
	"bytes_of_no_text":     "\xff\xfe",
	"SQL":                  "' or 1=1; drop table site --",
	"a_pattern":            `%_\`,
	"line_ends":            "a\r\nX-Injected: 1",
	"a_number_of_65_bits":  "36893488147419103232",
	"less_than_nothing":    "-1",
	"a_path":               "../../../etc/passwd",
	"a_page":               `"><script>alert(1)</script>`,
	"a_template":           "{{.Console}}",
	"a_cursor_of_NUL":      "1-\x00",
	"a_cursor_of_no_text":  "00000000-0000-4000-8000-000000000001~\xff",
	"much_of_it":           strings.Repeat("x", 20_000),
	"more_than_a_field":    strings.Repeat("ä", 1_100),
	"an_address_elsewhere": "//evil.example/",
}

// asksBothDatabases are the values that mean something to a database, each in its own way. The others are the business of
// the pages, which are the same on both.
var asksBothDatabases = []string{"nothing", "NUL", "bytes_of_no_text", "SQL", "a_pattern", "a_number_of_65_bits", "less_than_nothing", "a_cursor_of_NUL", "a_cursor_of_no_text"}

// fieldNames are the names of every field and parameter that the pages read.
func fieldNames(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{}
	find := regexp.MustCompile(`name="([\w.\-]+)"|(?:FormValue|\.Get|\.Has)\("([\w.\-]+)"\)|Form\["([\w.\-]+)"\]`)
	for _, pattern := range []string{"*.go", "*.html", "sitepages/*.go", "sitepages/*.html", "directorypages/*.go", "directorypages/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range find.FindAllStringSubmatch(string(text), -1) {
				names[m[1]+m[2]+m[3]] = true
			}
		}
	}
	if len(names) < 60 {
		t.Fatalf("found only %d fields; are they written in another way?", len(names))
	}
	return slices.Sorted(maps.Keys(names))
}

// hostileRequests are the requests for a route in which each part of the path in turn, and all of them, have the value,
// and every field and parameter, as form has them.
func hostileRequests(t *testing.T, pattern string, valid map[string]string, form, value string) []*http.Request {
	t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	path = strings.TrimSuffix(path, "{$}")
	var parts []string
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
		parts = append(parts, m[1])
	}
	var requests []*http.Request
	for hostile := -1; hostile < len(parts); hostile++ {
		at := path
		for i, name := range parts {
			fill := valid[name]
			if i == hostile {
				fill = value
			}
			if fill == "" {
				fill = "x"
			}
			at = strings.ReplaceAll(at, "{"+name+"}", url.PathEscape(fill))
		}
		query, body := form, ""
		if method == http.MethodPost {
			query, body = "", query
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "https://rollcall.example"+at+"?"+query, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		requests = append(requests, r)
	}
	return requests
}

func TestNoInputBreaksAPage(t *testing.T) {
	t.Parallel()
	fields := fieldNames(t)
	// Many requests are answered with the same page, of which one look is enough.
	var looked sync.Map
	// ask reports whether the page was reached and nothing was changed: else the session may be over.
	ask := func(t *testing.T, handler http.Handler, r *http.Request) (shown bool) {
		t.Helper()
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if rec.Code >= http.StatusInternalServerError {
			t.Errorf("%s %s: got %d", r.Method, r.URL.Path, rec.Code)
		}
		if rec.Header().Get("X-Injected") != "" {
			t.Errorf("%s %s: a header was injected", r.Method, r.URL.Path)
		}
		if to := rec.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`)) {
			t.Errorf("%s %s: leads to %q", r.Method, r.URL.Path, to)
		}
		if strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") && r.Method != http.MethodHead {
			if _, had := looked.LoadOrStore(sha256.Sum256(rec.Body.Bytes()), true); !had {
				checkInert(t, r.URL.Path, rec.Body.String())
			}
		}
		changed := rec.Code >= http.StatusMultipleChoices && rec.Code < http.StatusBadRequest
		return !changed && rec.Code != http.StatusUnauthorized && rec.Code != http.StatusForbidden
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db, "https://rollcall.example")
		acme := w.site("acme", site.Full)
		kim := w.person(acme, "kim@acme.example", "Kim", roster.RoleAdmin)
		w.person(acme, "lee@acme.example", "Lee", roster.RoleAdmin)
		ada := w.person(acme, "ada@acme.example", "Ada", roster.RoleRegistered)
		token, _, err := w.pages.Sites.CreateToken(t.Context(), acme.ID, site.TokenRequest{Actor: "cli"})
		if err != nil {
			t.Fatal(err)
		}
		o := newOfficeOn(t, db)
		h := o.directory("contoso", "userPrincipalName,displayName\nada@contoso.example,Ada\n")
		app := o.app(h, "Acme")
		user, err := h.UserByUPN(t.Context(), "ada@contoso.example")
		if err != nil {
			t.Fatal(err)
		}
		group, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Sales"}}, "cli")
		if err != nil {
			t.Fatal(err)
		}
		role, _, err := h.PutRole(t.Context(), app.ID, directory.AppRole{Value: "editor", Enabled: true}, "cli")
		if err != nil {
			t.Fatal(err)
		}
		apiKey, _, err := o.keys.CreateKey(t.Context(), operator.KeyRequest{Directory: string(h.Directory.ID), Name: "script", Level: operator.Read, Actor: "cli"})
		if err != nil {
			t.Fatal(err)
		}
		recipient, err := o.notifications.Add(t.Context(), notification.NewRecipient{Directory: string(h.Directory.ID), Address: "it@contoso.example", Actor: "cli"})
		if err != nil {
			t.Fatal(err)
		}
		hook, _, err := o.webhooks.Add(t.Context(), notification.NewWebhook{WebhookSettings: notification.WebhookSettings{URL: "http://127.0.0.1:9/hook"}, Directory: string(h.Directory.ID), Actor: "cli"})
		if err != nil {
			t.Fatal(err)
		}
		valid := map[string]string{
			"recipient": recipient.ID, "webhook": hook.ID, "delivery": "msg_x",
			"group": group.ObjectID, "step": "delete", "role": role.ID,
			"site": "acme", "person": ada.ID, "token": token.ID, "secret": "unknown",
			"directory": "contoso", "user": user.ObjectID, "change": "disable", "app": app.Name, "mapping": "users", "entry": "x", "side": "target", "key": apiKey.ID, "connection": user.ObjectID, "identity": "x",
		}
		send := func(name, value string, patterns []string, handler http.Handler, cookie string, start func() string) {
			session, form := "", url.Values{}
			for _, field := range fields {
				form.Set(field, value)
			}
			encoded := form.Encode()
			for _, pattern := range patterns {
				for _, r := range hostileRequests(t, pattern, valid, encoded, value) {
					if session == "" {
						session = start()
					}
					r.AddCookie(&http.Cookie{Name: secureName(r.URL.EscapedPath(), cookie), Value: session})
					t.Run(name, func(t *testing.T) {
						if !ask(t, handler, r) {
							session = ""
						}
					})
				}
			}
		}
		sitePages := patternsOf(w.pages.Routes())
		officePages := patternsOf(o.pages.Routes())
		for name, value := range hostileValues {
			if db.Kind() == sqldb.PostgreSQL && !slices.Contains(asksBothDatabases, name) {
				continue
			}
			send(name, value, sitePages, w.pages.Handler(), sitepages.SessionCookie, func() string { return w.startSession(acme, kim.ID) })
			send(name, value, officePages, o.pages.Handler(), directorypages.SessionCookie, func() string { return o.startOperator("kim") })
		}
	})
}

func patternsOf(routes []console.RouteInfo) (patterns []string) {
	for _, rt := range routes {
		patterns = append(patterns, rt.Pattern)
	}
	return patterns
}

func (o *office) startOperator(name string) string {
	o.t.Helper()
	link, err := o.operators.Link(o.t.Context(), name, "cli")
	if err != nil {
		o.t.Fatal(err)
	}
	s, err := o.operators.Redeem(o.t.Context(), link.Secret, session.Browser{})
	if err != nil {
		o.t.Fatal(err)
	}
	return s.Secret
}

// checkInert fails when a page runs, or leads to, anything that is not the server's own.
func checkInert(t *testing.T, path, text string) {
	t.Helper()
	for _, n := range parseHTML(t, text).all("script", "img", "iframe", "object", "embed", "svg", "style", "base", "a", "form", "button", "input", "link", "use", "meta") {
		switch n.tag {
		case "img", "iframe", "object", "embed", "style", "base":
			t.Errorf("%s: the page has a <%s>", path, n.tag)
		case "script":
			if !strings.HasPrefix(n.attr["src"], "/assets/") || n.rawText() != "" {
				t.Errorf("%s: the page has a script %v %s", path, n.attr, n.rawText())
			}
		}
		for name, value := range n.attr {
			if strings.HasPrefix(strings.ToLower(name), "on") || name == "style" {
				t.Errorf("%s: <%s> has %s=%q", path, n.tag, name, value)
			}
			switch name {
			case "href", "src", "action", "formaction":
				if !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, "?") && value != "" && !strings.HasPrefix(value, "https://") || strings.HasPrefix(value, "//") {
					t.Errorf("%s: <%s> leads to %q", path, n.tag, value)
				}
			}
		}
	}
}

// markup is what somebody who can set a name may try to make the administrators' browsers run.
var markup = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title></style></script><script src=//evil.example></script>`, `' onmouseover='alert(1)`,
	`javascript:alert(1)`, `{{.Console}}`, `<svg/onload=alert(1)>`, `<a href="javascript:alert(1)">x</a>`, "\u202egro.elpmaxe", `&lt;script&gt;`,
}

// TestTextsOfAnIdentityProviderAreNeverMarkup sets every text that SCIM can set to what would run on a page, and opens all
// pages that show people, groups, calls and events.
func TestTextsOfAnIdentityProviderAreNeverMarkup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.site("acme", site.Full)
	people := w.pages.Rosters.Open(acme)
	kim := w.person(acme, markup[0]+"@kim", markup[1], roster.RoleAdmin)
	by := roster.Change{Actor: "scim:…" + markup[0], Via: roster.ViaSCIM}
	params := map[string]string{"site": "acme", "secret": "unknown", "declared": w.declare(acme, "title"), "attribute": "userName", "decision": "apply", "conflict": "c"}
	for i, text := range markup {
		doc := map[string]any{
			"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": strings.ReplaceAll(text, "\u202e", ""), "externalId": text, "displayName": text, "title": text, "userType": text, "profileUrl": "javascript:alert(1)",
			"name":   map[string]any{"givenName": text, "familyName": text, "formatted": text},
			"emails": []any{map[string]any{"value": text, "type": text, "display": text}},
			"photos": []any{map[string]any{"value": "javascript:alert(1)"}},
		}
		out, err := people.Create(t.Context(), roster.User, doc, by)
		if err != nil {
			t.Fatal(err)
		}
		params["person"] = out.Document.ID
		if _, err := people.Create(t.Context(), roster.Group, map[string]any{"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": text}, by); err != nil {
			t.Fatal(err)
		}
		if _, err := people.Deactivate(t.Context(), out.Document.ID, by); err != nil {
			t.Fatal(err)
		}
		token, _, err := w.pages.Sites.CreateToken(t.Context(), acme.ID, site.TokenRequest{Name: text, Actor: "admin:" + text, Mode: site.Replace})
		if err != nil {
			t.Fatal(err)
		}
		params["token"] = token.ID
		row := requestlog.Request{
			Site: acme.ID, Method: "PATCH" + text, Path: "/Users/" + url.PathEscape(text) + "?filter=" + url.QueryEscape(text) + "&x=" + text, Status: 200 + 200*(i%2),
			UserName: text, Subject: text, Sentence: text, Fixes: []string{text}, Ignored: []string{text}, Remote: text, TokenLast4: text,
		}
		if err := w.pages.Requests.Write(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	handler := w.pages.Handler()
	for _, rt := range w.pages.Routes() {
		if !strings.HasPrefix(rt.Pattern, "GET ") || rt.Access == console.Anyone {
			continue
		}
		got := knock(t, handler, rt.Pattern, params, sitepages.SessionCookie, w.startSession(acme, kim.ID))
		if got.Code >= http.StatusBadRequest {
			t.Errorf("%s: got %d", rt.Pattern, got.Code)
		}
		if strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
			checkInert(t, rt.Pattern, got.Body.String())
		}
	}
	b := w.signIn(acme, kim.UserName)
	for path, want := range map[string][]string{
		"/c/acme/admin/people?q=script":            {markup[0], markup[2]},
		"/c/acme/admin/people/" + params["person"]: {markup[9]},
		"/c/acme/admin/access/log?show=all":        {markup[0], markup[1], markup[7]},
		"/c/acme/admin/audit":                      {markup[0], "Group " + markup[8]},
		"/c/acme/":                                 {markup[1]},
		"/c/acme/admin/access/scim":                {markup[9]},
	} {
		page := b.get(path).wantStatus(http.StatusOK)
		for _, text := range want {
			// It stands there as it was written.
			page.wantWords(strings.Join(strings.Fields(text), " "))
		}
	}
}

// hostileApplication answers with texts that would run on a page, and that a database may refuse: in ids, values and errors.
func hostileApplication(t *testing.T) *httptest.Server {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		text := markup[int(n.Add(1))%len(markup)] + "\x00\u2028"
		answer, status := map[string]any{"status": "400", "detail": text, "scimType": text}, http.StatusBadRequest
		if r.Method == http.MethodGet {
			answer, status = map[string]any{"totalResults": 0, "Resources": []any{}}, http.StatusOK
			if filter := r.URL.Query().Get("filter"); strings.Contains(filter, "@contoso.example") {
				name := strings.Trim(filter[strings.IndexByte(filter, '"'):], `"`)
				account := map[string]any{"id": text + name, "userName": name, "displayName": text, "title": text, "active": text, text: text}
				answer = map[string]any{"totalResults": 1, "Resources": []any{account}}
			}
		}
		body, err := json.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		rw.Header().Set("Content-Type", "application/scim+json")
		rw.Header().Set("Retry-After", "soon; "+strings.ReplaceAll(text, "\x00", ""))
		rw.WriteHeader(status)
		rw.Write(body) //nolint:errcheck // the asker sees less
	}))
	t.Cleanup(server.Close)
	return server
}

// TestTextsOfAnApplicationAreNeverMarkup provisions people with hostile names into an application whose answers are as bad.
// The cycle ends, and its log can be read.
func TestTextsOfAnApplicationAreNeverMarkup(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString("userPrincipalName,displayName,department\n")
	persons := 0
	for i, text := range markup {
		if strings.ContainsRune(text, '\u202e') {
			continue // a directory refuses it in a name
		}
		persons++
		quoted := `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
		fmt.Fprintf(&file, "u%d@contoso.example,%s,%s\n", i, quoted, quoted)
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOfficeOn(t, db)
		h := o.directory("contoso", file.String())
		app := o.app(h, "Acme & Co")
		hostile := hostileApplication(t)
		b := o.operator()
		at := "/d/contoso/applications/" + url.PathEscape(app.Name)
		credentials := url.Values{"mode": {"Automatic"}, "tenantURL": {hostile.URL}, "secretToken": {"x"}}
		page := b.get(at + "/provisioning?get-started=yes").wantStatus(http.StatusOK)
		for _, wrong := range []string{hostile.URL + "/" + markup[0], markup[4], `https://"><script>alert(1)</script>`} {
			got := page.press("Test Connection", url.Values{"mode": {"Automatic"}, "tenantURL": {wrong}, "secretToken": {markup[0]}})
			checkInert(t, got.Path, got.Text)
		}
		page = page.press("Save", credentials).wantStatus(http.StatusOK)
		page.press("Test Connection", nil).wantWords("The supplied credentials are authorized")
		report := o.cycle(h, app)
		if report.State != provision.EntryLevelErrors || report.Failed != persons {
			t.Errorf("got %+v, want a cycle in which everybody failed", report)
		}
		entries, _, err := o.jobs.Logs(t.Context(), provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}, provision.LogQuery{})
		if err != nil || len(entries) < persons {
			t.Fatalf("got %d entries, %v", len(entries), err)
		}
		paths := []string{
			at, at + "/users-and-groups", at + "/users-and-groups/add", at + "/provisioning", at + "/provisioning/plan", at + "/provisioning/discovered", at + "/provisioning/logs",
			at + "/provisioning/logs?q=" + url.QueryEscape(markup[0]), "/d/contoso/users", "/d/contoso/audit",
		}
		for _, e := range entries {
			paths = append(paths, at+"/provisioning/logs/"+e.ID)
		}
		for _, path := range paths {
			page := b.get(path).wantStatus(http.StatusOK)
			checkInert(t, page.Path, page.Text)
		}
		b.get("/d/contoso/users").wantWords(markup[0], markup[6])
		b.get(at+"/provisioning/logs").wantWords(markup[0], markup[4])
	})
}
