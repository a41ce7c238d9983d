package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/internal/openidtest"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/oidcclient"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	protocol "github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// awkwardNames are display names that a layout must bear: too long, without a space, from right to left, or in tall letters.
var awkwardNames = []string{
	strings.Repeat("W", 200),
	"Ada <b>Lovelace</b> & Söhne",
	strings.Repeat("الموظفةفيقسمالهندسة", 10),
	"שלום לכולם (מנהלת) 42 – Engineering",
	"🦄🎉 " + strings.Repeat("👍", 99),
	strings.Repeat("山田雪", 66),
}

// awkward attributes of everybody in the world of everyPage.
var (
	awkwardJob  = strings.Repeat("Donaudampfschifffahrtsgesellschaftskapitän", 4)
	awkwardUnit = "Research\u00a0and\u00a0development\u00a0of\u00a0everything\u00a0that\u00a0has\u00a0no\u00a0other\u00a0department\u00a0yet"
	awkwardSite = "a" + strings.Repeat("cme", 20) + "-1"
	awkwardApp  = strings.Repeat("Application", 9)
)

// pageCollection gathers pages by name and the views that drew them.
type pageCollection struct {
	t     *testing.T
	pages map[string]*shown
	mu    sync.Mutex
	views map[string]bool
}

// watch notes each view that c draws from now on.
func (p *pageCollection) watch(c *console.Console) {
	c.Options.OnViewShown = func(view string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.views[view] = true
	}
}

func (p *pageCollection) add(name string, page *shown) *shown {
	p.t.Helper()
	if page.Root != nil {
		p.pages[name] = page
	}
	return page
}

// addRoutes opens the page of every GET route. A route is never left out: without values for its path, the test fails.
func (p *pageCollection) addRoutes(b *browser, routes []console.RouteInfo, values, queries map[string]string) {
	p.t.Helper()
	for _, rt := range routes {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		if method != http.MethodGet || rt.Access == console.Anyone || strings.HasSuffix(path, "/stream") {
			continue // a stream of events is no page
		}
		path = strings.TrimSuffix(path, "{$}")
		for name, value := range values {
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
		}
		if strings.Contains(path, "{") {
			p.t.Fatalf("%s: everyPage has no value for a part of this path; add one, so that the page is looked at", rt.Pattern)
		}
		page := b.get(path + queries[rt.Pattern])
		if page.Status != http.StatusOK {
			p.t.Fatalf("%s: got status %d for %s; everyPage needs a path that shows this page: %s", rt.Pattern, page.Status, path, page.words())
		}
		if page.Path == path+queries[rt.Pattern] { // else the route only leads to another
			p.add(rt.Pattern, page)
		}
	}
}

// everyPage is each page of both ends, and the answers to forms that are pages, in a world of awkward names.
func everyPage(t *testing.T) map[string]*shown {
	t.Helper()
	p := &pageCollection{t: t, pages: make(map[string]*shown), views: make(map[string]bool)}
	p.outside()
	p.ofASite()
	p.ofADirectory()
	for folder, set := range map[string]string{"": "", "sitepages/": "site/", "directorypages/": "directory/"} {
		files, err := filepath.Glob(folder + "*.html")
		if err != nil || len(files) == 0 {
			t.Fatal(folder, files, err)
		}
		for _, file := range files {
			view := set + strings.TrimSuffix(filepath.Base(file), ".html")
			if view != "layout" && view != "parts" && !p.views[view] {
				t.Errorf("no page of everyPage is drawn by %s; add one", file)
			}
		}
	}
	return p.pages
}

// outside is what people see who are not signed in.
func (p *pageCollection) outside() {
	w := newWorld(p.t)
	p.watch(w.pages.Console)
	s := w.site(awkwardSite, site.Documented)
	w.person(s, "kim@acme.example", awkwardNames[0], roster.RoleAdmin)
	p.add("front", w.browser().get("/"))
	p.add("signed out of a site", w.browser().get("/c/"+awkwardSite+"/"))
	p.add("signed out of the directories", w.browser().get("/d/"))
	p.add("unknown link", w.browser().get("/c/"+awkwardSite+"/sign-in/x"))
	p.add("not found", w.browser().get("/x"))
	p.add("wrong recovery code", w.browser().get("/c/"+awkwardSite+"/recover").submit("Sign in", url.Values{"code": {awkwardJob[:90]}}))
	link, err := w.pages.SignIns.IssueSiteLink(p.t.Context(), s, "kim@acme.example", "cli")
	if err != nil {
		p.t.Fatal(err)
	}
	p.add("link", w.browser().get(link.Path).wantStatus(http.StatusOK))
	fresh := w.site("fresh", site.Full)
	first, err := w.pages.SignIns.IssueFirstAdminLink(p.t.Context(), fresh, "", "cli")
	if err != nil {
		p.t.Fatal(err)
	}
	page := p.add("first link refused", w.browser().get(first.Path).submit("Make my account", url.Values{"name": {awkwardNames[0]}, "email": {"x"}}))
	page.wantStatus(http.StatusUnprocessableEntity)
}

func (p *pageCollection) ofASite() {
	t := p.t
	w := newWorld(t)
	p.watch(w.pages.Console)
	s := w.site(awkwardSite, site.Documented)
	root := "/c/" + awkwardSite + "/"
	w.person(s, "kim@acme.example", awkwardNames[0], roster.RoleAdmin)
	b := w.signIn(s, "kim@acme.example")
	scim := root + "admin/access/scim"
	p.add("site without calls", b.get(root+"admin/access/log"))
	p.add("site with nothing searchable", b.get(scim+"/searchable"))
	p.add("made", b.get(scim).submit("Generate", url.Values{"name": {strings.Repeat("W", 60)}}))
	p.add("bad expiry", b.send(http.MethodPost, scim+"/tokens", url.Values{"expires": {"never"}}))
	p.add("no attribute", b.get(scim+"/searchable").submit("Declare searchable", nil))
	token := w.liveTokens(s)[0]
	var people []string
	for i, name := range awkwardNames {
		userName := fmt.Sprintf("%s%d@acme.example", strings.Repeat("w", 180), i)
		if i == 1 {
			userName = "ada@acme.example"
		}
		people = append(people, w.person(s, userName, name, []roster.Role{roster.RoleRegistered, roster.RoleModerator, roster.RoleAdmin}[i%3]).ID)
	}
	off := people[2]
	if _, err := w.pages.Rosters.Open(s).Deactivate(t.Context(), off, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
		t.Fatal(err)
	}
	calls := sampleCalls(people[0])
	for i, name := range awkwardNames {
		calls = append(calls, requestlog.Request{
			Method: "PATCH", Path: "/c/" + awkwardSite + "/auth/scim/v2/Users/" + people[i] + "?filter=" + url.QueryEscape(`displayName eq "`+name+`"`), Status: 200 + 200*(i%2), UserName: name + "@acme.example", Subject: people[i],
			Sentence: "Changed displayName, title, " + strings.Repeat("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department, ", 4) + name,
			Fixes:    []string{name + ": read as text", awkwardUnit}, Ignored: []string{awkwardJob}, Remote: "2001:db8:1234:5678:9abc:def0:1234:5678", TokenID: token.ID, TokenLast4: token.Last4,
		})
	}
	w.logged(s, calls...)
	declared := w.declare(s, "title", "department", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter")
	b.get(scim).submit("Save", url.Values{"enabled": {"on"}})
	p.add("wrong site name", b.get(scim+"/off").submit("Turn SCIM off", url.Values{"confirm": {"x"}}))
	p.add("no document", b.get(scim+"/schemas").submit("Save schemas", url.Values{"document": {`{"schemas": [{"id": "` + awkwardJob + `"}]}`}}))
	p.add("nobody", b.get(root+"admin/people?q="+strings.Repeat("W", 200)))
	p.add("everything logged", b.get(root+"admin/access/log?show=all"))
	p.add("deactivated person", b.get(root+"admin/people/"+off))
	p.add("not found in a site", b.get(root+"x"))
	p.add("conflict", p.conflict(w.pages.Console, b))
	renamed, _, err := protocol.DecodePatch(protocol.UserType(), []byte(`{"Operations":[{"op":"replace","value":{"userName":"`+strings.Repeat("w", 180)+`@acme.example","displayName":"`+awkwardNames[3]+`"}}]}`), protocol.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.pages.Rosters.Open(s).Patch(t.Context(), roster.User, people[1], renamed, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
		t.Fatal(err)
	}
	ada := root + "admin/people/" + people[1]
	p.add("person with changes to decide on", b.get(ada))
	p.add("apply a change", b.get(ada+"/held/userName/apply"))
	p.add("refuse a change", b.get(ada+"/held/displayName/refuse"))
	p.add("block somebody", b.get(ada+"/block"))
	p.add("block several", b.get(root+"admin/people").press("Block", url.Values{"person": people}))
	p.add("block nobody", b.get(root+"admin/people").press("Block", nil))
	p.singleSignOn(w, s, b, root+"admin/access/authentication")
	p.addRoutes(
		b, w.pages.Routes(),
		map[string]string{"site": awkwardSite, "person": people[0], "token": token.ID, "declared": declared, "attribute": "userName", "decision": "apply"},
		map[string]string{"GET /c/{site}/admin/people/{person}/role": "?role=Moderator", "GET /c/{site}/admin/people": "?status=active"},
	)
	p.add("forbidden", w.signIn(s, "ada@acme.example").get(root+"admin/access"))
}

// singleSignOn shows the page in each of its states, with an identity provider that sends long values.
func (p *pageCollection) singleSignOn(w *world, s site.Site, b *browser, path string) {
	p.t.Helper()
	p.add("no single sign-on", b.get(path))
	idp := w.identityProvider()
	p.add("single sign-on refused", b.get(path).submit("Import", url.Values{"metadata": {awkwardJob}}))
	ask := p.add("identity provider asks", b.get(path).submit("Import", url.Values{"metadata": {idp.Metadata()}}))
	ask.submit("Save the identity provider", nil).wantStatus(http.StatusOK)
	p.add("wrong hours", b.get(path).submit("Save", url.Values{"hours": {awkwardJob}, "jobTitle": {awkwardJob}}))
	kim, err := w.pages.Rosters.Open(s).PersonByUserName(p.t.Context(), "kim@acme.example")
	if err != nil {
		p.t.Fatal(err)
	}
	w.tested(s, idp, kim.ID, strings.Repeat("w", 200), awkwardNames[0], demoidp.Claim{Name: awkwardJob, Values: awkwardNames})
	if err := w.pages.SSO.Store.PutConflict(p.t.Context(), s.ID, signin.Conflict{
		ID: "waiting", PersonID: kim.ID, Reason: "unproved", Issuer: idp.EntityID, Identifier: strings.Repeat("w", 200), Match: awkwardNames[0], DisplayName: awkwardNames[0], FirstTry: w.clock(), LastTry: w.clock(),
	}, time.Time{}); err != nil {
		p.t.Fatal(err)
	}
	for _, step := range []string{"Make a key", "Announce a new key", "Use the new key"} {
		p.add("keys: "+step, b.get(path).submit(step, nil).wantStatus(http.StatusOK))
	}
	const issuer = "https://login.example.com/wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
	p.add("openid not set up", b.get(path+"?protocol=oidc"))
	p.add("openid refused", b.get(path+"?protocol=oidc").submit("Connect the provider", url.Values{"issuer": {"https://login.microsoftonline.com/common/v2.0"}, "clientID": {awkwardJob}}).wantStatus(http.StatusUnprocessableEntity))
	p.add("openid saved", b.get(path+"?protocol=oidc").submit("Connect the provider", url.Values{"issuer": {issuer}, "clientID": {strings.Repeat("w", 200)}, "clientSecret": {"secret"}}).wantStatus(http.StatusOK))
	c, err := w.pages.SSO.Connection(p.t.Context(), s)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := w.pages.SSO.Store.PutTest(p.t.Context(), s.ID, kim.ID, signin.Test{Version: c.Version, Time: w.clock(), Result: signin.TestResult{
		Protocol: signin.OpenID, Issuer: issuer, Signed: "ID token (RS256)", Identifier: strings.Repeat("w", 200), Reason: "unproved", Failure: "an account with a role is not given to a user identifier that nobody has linked to it",
		Attributes: []saml.Attribute{{Name: "sub", Values: []string{strings.Repeat("w", 200)}}, {Name: awkwardJob, Values: awkwardNames}},
	}}, event.Event{Scope: event.Site(string(s.ID)), Name: event.SignInSSOTested, Time: w.clock(), Subject: kim.ID, Text: "A test of single sign-on failed"}); err != nil {
		p.t.Fatal(err)
	}
	p.add("openid tested", b.get(path+"?protocol=oidc").submit("Use OpenID Connect", nil).wantStatus(http.StatusOK))
	p.add("new recovery codes", b.get(path).submit("Make recovery codes", nil).wantStatus(http.StatusOK))
}

// conflict asks which of two long values counts.
func (p *pageCollection) conflict(c *console.Console, b *browser) *shown {
	p.t.Helper()
	m, err := console.MergeEdit(
		url.Values{"was.displayName": {""}, "displayName": {awkwardNames[0]}, "was.jobTitle": {"x"}, "jobTitle": {awkwardJob}},
		[]console.EditField{{Name: "displayName", Label: "Display name"}, {Name: "jobTitle", Label: "Job title"}},
		map[string]string{"displayName": awkwardNames[2]},
	)
	if err != nil || len(m.Conflicts) != 2 {
		p.t.Fatal(m.Conflicts, err)
	}
	answer := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(p.t.Context(), http.MethodPost, "/", nil)
	if err := c.AskAboutConflicts(answer, r, console.Page{}, m, "/", "/", nil); err != nil {
		p.t.Fatal(err)
	}
	header := answer.Header()
	header.Set("Content-Security-Policy", "default-src 'self'") // as web.Front sets it
	return &shown{b: b, Status: answer.Code, Header: header, Text: answer.Body.String(), Root: parseHTML(p.t, answer.Body.String())}
}

// awkwardFile is a file of people with awkward names.
func awkwardFile() string {
	var file strings.Builder
	file.WriteString("userPrincipalName,displayName,mail,jobTitle,department,streetAddress,employeeId\n")
	for i, name := range awkwardNames {
		fmt.Fprintf(&file, "%s%d@contoso.example,%s,%d@contoso.example,%s,%s,%s,%d\n", strings.Repeat("w", 150), i, name, i, awkwardJob, awkwardUnit, awkwardJob, i)
	}
	return file.String()
}

func (p *pageCollection) ofADirectory() {
	t := p.t
	o := newOffice(t)
	p.watch(o.pages.Console)
	b := o.operator()
	p.add("no directory", b.get("/d/"))
	name := strings.Repeat("c", 63)
	p.add("bad directory", b.get("/d/").press("Create directory", url.Values{"name": {awkwardNames[0]}}))
	h := o.directory(name, awkwardFile())
	root := "/d/" + name + "/"
	p.add("no application", b.get(root+"applications"))
	p.add("no job", b.get(root+"provisioning"))
	p.add("bad application", b.get(root+"applications").press("Create application", url.Values{"name": {awkwardNames[0]}}))
	p.add("import report", b.upload(root+"users/import", awkwardJob+".csv", awkwardFile()+awkwardNames[0]+",x,,,,,\n", map[string]string{"do": "preview"}))
	p.add("absent people", b.upload(root+"users/import", "one.csv", "userPrincipalName\nnew@contoso.example\n", map[string]string{"do": "preview", "absent": "soft-delete"}))
	p.add("import refused", b.upload(root+"users/import", "x.csv", "", nil))
	p.add("import asks", b.upload(root+"users/import", awkwardJob+".csv", "Work Email;Title;"+awkwardJob+";;Password\nada@contoso.example;"+awkwardJob+";"+awkwardNames[2]+";x;secret\n", nil))
	p.add("import asks for an encoding", b.upload(root+"users/import", "x.csv", "UPN,displayName\nada@contoso.example,Vlastn\xec\n", nil))
	p.add("import of numbers", b.upload(root+"users/import", "x.csv", "employeeId,First Name,Last Name\n88,Una,"+awkwardNames[0]+"\n", nil).press("Preview", url.Values{"make": {"{First Name}.{First Name}@contoso.example"}}))
	p.add("imported", b.upload(root+"users/import", "x.csv", "userPrincipalName,department\n"+strings.Repeat("w", 150)+"0@contoso.example,"+awkwardUnit+"\n", nil).press("Import", nil))
	p.add("import forgotten", b.get(root+"users/import?file=x"))
	p.add("nobody in the directory", b.get(root+"users?search="+awkwardNames[0]))
	p.add("user refused", b.get(root+"users/new").press("Add user", url.Values{"userPrincipalName": {awkwardNames[0]}, "displayName": {awkwardNames[0]}}))

	group, role := p.addGroups(h, b, root)
	apiKey := p.addKeys(o, h, b, root)
	recipient := p.addRecipients(o, h, b, root)
	hook := p.addWebhooks(o, h, b, root)

	unused := o.app(h, "Unused")
	p.add("provisioning not set up", b.get(root+"applications/"+url.PathEscape(unused.Name)+"/provisioning"))
	p.add("get started", b.get(root+"applications/"+url.PathEscape(unused.Name)+"/provisioning?get-started=yes"))
	p.add("plan not set up", b.get(root+"applications/"+url.PathEscape(unused.Name)+"/provisioning/plan"))

	// Half of the people have accounts, so that a cycle with Create left on updates some and is refused for the others.
	app := o.app(h, awkwardApp)
	var accounts []string
	for i := 0; i < len(awkwardNames); i += 2 {
		accounts = append(accounts, fmt.Sprintf("%s%d@contoso.example", strings.Repeat("w", 150), i))
	}
	tenantURL, token := o.site(awkwardSite, site.Documented, accounts...)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	save := func(app string, status provision.Status, secret string) {
		t.Helper()
		key := key
		key.App = app
		if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &secret, Status: status, Scope: provision.AssignedOnly}, "cli"); err != nil {
			t.Fatal(err)
		}
	}
	at := root + "applications/" + url.PathEscape(app.Name)
	save(app.ID, provision.On, "wrong")
	if _, err := o.engine.RunCycle(t.Context(), key, "test", nil); err == nil {
		t.Fatal("a cycle with a wrong token went through")
	}
	p.add("quarantine", b.get(at+"/provisioning"))
	save(app.ID, provision.On, token)
	p.add("connection refused", b.get(at+"/provisioning").press("Test Connection", url.Values{"secretToken": {"wrong"}}))
	p.add("connection tested", b.get(at+"/provisioning").press("Test Connection", nil))
	p.add("plan before a cycle", b.get(at+"/provisioning/plan"))
	o.cycle(h, app)
	entries, _, err := o.jobs.Logs(t.Context(), key, provision.LogQuery{})
	if err != nil || len(entries) < 2 {
		t.Fatalf("got %d log entries, %v", len(entries), err)
	}
	p.add("failed entry", b.get(at+"/provisioning/logs?status=failure").click("שלום"))
	p.add("no entry fits", b.get(at+"/provisioning/logs?search=nothing"))
	users, err := h.UserByUPN(t.Context(), accounts[0])
	if err != nil {
		t.Fatal(err)
	}
	assigned := b.get(at + "/users-and-groups")
	p.add("remove somebody", assigned.press("Remove", url.Values{"user": {users.ObjectID}}))
	p.add("tick somebody", assigned.press("Remove", nil))
	third, err := h.CreateApplication(t.Context(), "Third", "cli")
	if err != nil {
		t.Fatal(err)
	}
	p.add("assign", b.get(root+"applications/"+third.Name+"/users-and-groups/add"))
	p.add("assign a group", b.get(root+"applications/"+third.Name+"/users-and-groups/add?kind=groups"))
	p.add("no group assigned", b.get(root+"applications/"+third.Name+"/users-and-groups?kind=groups"))
	p.add("delete somebody", b.get(root+"users/"+users.ObjectID+"/delete"))
	scope := b.get(at + "/provisioning/mappings/Provision%20Azure%20Active%20Directory%20Users/scope")
	clause := url.Values{"filter1.title": {awkwardNames[0]}, "filter1.clause1.attribute": {"department"}, "filter1.clause1.operator": {"IS NULL"}, "filter1.clause1.value": {awkwardJob}}
	p.add("scope refused", scope.press("Save", clause)).wantStatus(http.StatusUnprocessableEntity)
	p.add("scope with more rows", scope.press("More rows", clause))
	clause.Set("filter1.clause1.operator", "EQUALS")
	p.add("scope that leaves people out", scope.press("Save", clause))
	rows := at + "/provisioning/mappings/Provision%20Azure%20Active%20Directory%20Users/row"
	p.add("new row", b.get(rows))
	p.add("row refused", b.get(rows+"?row=name.formatted").press("Save", url.Values{"expression": {`Join("", ` + strings.Repeat("[givenName], ", 40) + `Trim())`}})).wantStatus(http.StatusUnprocessableEntity)
	p.add("row that changes values", b.get(rows+"?row=name.formatted").press("Save", url.Values{"type": {"Constant"}, "constant": {awkwardJob}})).wantWords("Change values")
	lists := at + "/provisioning/mappings/Provision%20Azure%20Active%20Directory%20Users/attributes/"
	p.add("attribute refused", b.get(lists+"target").press("Add attribute", url.Values{"name": {"x:" + awkwardApp}, "required": {"yes"}})).wantStatus(http.StatusUnprocessableEntity)
	b.get(lists+"target").press("Add attribute", url.Values{"name": {"urn:ietf:params:scim:schemas:extension:" + awkwardApp + ":2.0:User:" + awkwardApp}, "required": {"yes"}}).wantWords("was added")
	p.add("attributes of the directory", b.get(lists+"source"))
	p.add("attribute of the directory", b.get(lists+"source/edit?name=surname"))
	p.add("attribute that stays", b.get(lists+"target/remove?name=displayName"))
	p.add("a file that is refused", b.upload(at+"/provisioning/schema", "schema.json", `{"synchronizationRules": 1}`, nil)).wantStatus(http.StatusUnprocessableEntity)
	p.add("provisioned on demand", b.get(at+"/provisioning/on-demand").press("Provision", nil)).wantWords("Determine if user is in scope")
	p.add("no group is found on demand", b.get(at+"/provisioning/on-demand?kind=groups&search=nothing"))
	p.add("why", b.get(at+"/provisioning/on-demand").click("Why?")).wantWords("In scope?")
	p.addHarm(o, b, at, key)
	p.add("no connection fits", b.get(at+"/connections?search=nothing"))
	p.add("connect by hand refused", b.get(at+"/connections/new").press("Connect", url.Values{"object": {awkwardNames[0]}, "account": {awkwardJob}})).wantStatus(http.StatusUnprocessableEntity)
	p.add("no plan", b.get(at+"/provisioning/plan"))
	p.addDrift(o, b, at, key)
	account := p.addDiscovery(o, b, at, key)
	p.add("sign-on refused", b.get(at+"/single-sign-on").press("Save", url.Values{"identifier": {awkwardJob}, "replyURL": {awkwardUnit}})).wantStatus(http.StatusUnprocessableEntity)
	b.get(at+"/single-sign-on").press("Save", url.Values{"identifier": {awkwardJob}, "replyURL": {"https://" + awkwardSite + ".example/" + awkwardApp}}).wantWords("saved")
	b.get(at+"/single-sign-on").press("New Certificate", nil).wantWords("A new certificate was made")
	p.add("two certificates", b.get(at+"/single-sign-on"))
	p.withoutSignOn(o, func() { p.add("no sign-on", b.get(at+"/single-sign-on")) })
	planned := o.settled(b.get(at+"/provisioning/plan").press("Make a plan", nil))
	p.add("plan", planned)
	kept, err := o.engine.FindPlan(t.Context(), key, "")
	if err != nil {
		t.Fatal(err)
	}
	identity := p.addIdentities(o, b)
	p.addRoutes(
		b, o.pages.Routes(),
		map[string]string{"directory": name, "user": users.ObjectID, "change": "disable", "app": app.Name, "mapping": "Provision Azure Active Directory Users", "entry": entries[0].ID, "site": awkwardSite, "group": group.ObjectID, "step": "delete", "role": role(app), "version": "1", "side": "target", "key": apiKey, "recipient": recipient, "webhook": hook, "connection": aConnection(t, o, key), "identity": identity},
		map[string]string{
			"GET /d/{directory}/applications/{app}/provisioning/plan": "?show=all", "GET /d/-/audit": "?kind=user.created",
			"GET /d/{directory}/applications/{app}/provisioning/plan/decide":            "?do=approve&plan=" + kept.ID,
			"GET /d/{directory}/applications/{app}/provisioning/undo":                   "?object=" + changedObject(t, entries),
			"GET /d/{directory}/applications/{app}/provisioning/discovered/account":     "?id=" + account,
			"GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row": "?row=name.formatted", "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/row/remove": "?row=title",
			"GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/edit": "?name=" + url.QueryEscape(`emails[type eq "work"].value`), "GET /d/{directory}/applications/{app}/provisioning/mappings/{mapping}/attributes/{side}/remove": "?name=nickName",
		},
	)
	if _, err := h.SoftDelete(t.Context(), users.ObjectID, "cli"); err != nil {
		t.Fatal(err)
	}
	p.add("deleted user", b.get(root+"users/"+users.ObjectID))
	p.add("not found in a directory", b.get(root+"users/nobody"))
}

// addWebhooks adds the pages of webhooks, and returns the id of one that has failed and is due again.
func (p *pageCollection) addWebhooks(o *office, h *directory.Handle, b *browser, root string) string {
	t := p.t
	p.add("no webhooks", b.get(root+"webhooks"))
	form := b.get(root + "webhooks/new")
	p.add("webhook refused", form.press("Add webhook", url.Values{"url": {awkwardJob}})).wantStatus(http.StatusUnprocessableEntity)
	p.add("webhook secret", form.press("Add webhook", url.Values{"url": {"http://127.0.0.1:9/" + strings.Repeat("hook", 100)}, "description": {awkwardUnit}})).wantWords("Save this secret")
	all, err := o.webhooks.List(t.Context(), string(h.Directory.ID))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	e := event.Event{Time: time.Now(), Scope: event.Directory(string(h.Directory.ID)), Name: event.ProvisioningHeld, Actor: "system", Subject: "x", Text: awkwardNames[0]}
	if err := o.events.Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	epoch, err := o.leases.Claim(t.Context(), notification.WebhookLeaseKind, notification.LeaseKey, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.webhooks.Advance(t.Context(), notification.LeaseKey, epoch); err != nil {
		t.Fatal(err)
	}
	if _, err := o.webhooks.SendTest(t.Context(), h.Directory.Name, all[0], "operator:kim"); err != nil {
		t.Fatal(err)
	}
	return all[0].ID
}

// withoutSignOn does something while the directories have no identity provider, as outside the demo.
func (p *pageCollection) withoutSignOn(o *office, do func()) {
	known := o.pages.SignOn
	o.pages.SignOn = nil
	do()
	o.pages.SignOn = known
}

// addDrift adds the pages of a comparison.
func (p *pageCollection) addDrift(o *office, b *browser, at string, key provision.Key) {
	p.t.Helper()
	p.add("no comparison", b.get(at+"/provisioning/drift"))
	p.add("a comparison runs", b.get(at+"/provisioning/drift").press("Compare now", nil)).wantWords("You can leave this page")
	if _, err := o.engine.AdvanceDrift(p.t.Context(), key.String(), "test"); err != nil {
		p.t.Fatal(err)
	}
	p.add("a comparison has ended", b.get(at+"/provisioning/drift"))
	last, err := o.engine.Drifts.LastDrift(p.t.Context(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := o.engine.Drifts.AddDrift(p.t.Context(), key, last.ID, []provision.Drift{
		{ObjectID: "a", Kind: provision.UserKind, Name: awkwardNames[0], TargetID: awkwardJob, Values: []provision.DriftValue{{Path: `emails[type eq "work"].value`, Wrote: awkwardUnit, Now: awkwardJob}, {Path: "title", Wrote: "Engineer"}}},
		{ObjectID: "b", Kind: provision.UserKind, Name: "Bo", TargetID: "b", Gone: true},
		{ObjectID: "c", Kind: provision.GroupKind, Name: awkwardUnit, TargetID: "c", Added: []string{awkwardJob, awkwardUnit}, Removed: []string{"d"}},
	}); err != nil {
		p.t.Fatal(err)
	}
	p.add("drift of every kind", b.get(at+"/provisioning/drift"))
}

// addDiscovery adds the pages of a discovery. It returns the id of an account that no user matches.
func (p *pageCollection) addDiscovery(o *office, b *browser, at string, key provision.Key) string {
	p.t.Helper()
	s, err := o.sites.ByName(p.t.Context(), awkwardSite)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := o.sites.Update(p.t.Context(), s.ID, "cli", func(s *site.Site) error {
		s.Groups = true
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
	o.siteGroup(awkwardSite, awkwardUnit)
	o.siteGroup(awkwardSite, awkwardNames[0]+"!")
	p.add("no discovery", b.get(at+"/provisioning/discovered"))
	p.add("discovery runs", b.get(at+"/provisioning/discovered").press("Discover identities", nil)).wantWords("You can leave this page")
	newest, _, err := o.engine.RunDiscovery(p.t.Context(), key, "test", func(provision.Discovery) {})
	if err != nil {
		p.t.Fatal(err)
	}
	p.add("discovery has ended", b.get(at+"/provisioning/discovered?watched="+newest.ID))
	p.add("no account fits", b.get(at+"/provisioning/discovered?search=nothing"))
	found, _, err := o.engine.Discovered(p.t.Context(), key, provision.DiscoveredQuery{})
	if err != nil || len(found) == 0 {
		p.t.Fatal(found, err)
	}
	p.add("an account of somebody", b.get(at+"/provisioning/discovered/account?id="+found[0].ID))
	p.add("discovered groups", b.get(at+"/provisioning/discovered?kind=groups")).wantWords("Near matches 1")
	groups, _, err := o.engine.Discovered(p.t.Context(), key, provision.DiscoveredQuery{Kind: provision.GroupKind, Near: true})
	if err != nil || len(groups) == 0 {
		p.t.Fatal(groups, err)
	}
	p.add("a discovered group", b.get(at+"/provisioning/discovered/account?kind=groups&id="+groups[0].ID))
	return found[len(found)-1].ID
}

// changedObject returns the id of an object whose account was changed.
func changedObject(t *testing.T, entries []provision.LogEntry) string {
	t.Helper()
	i := slices.IndexFunc(entries, provision.LogEntry.Changed)
	if i < 0 {
		t.Fatal("no account was changed")
	}
	return entries[i].SourceIdentity.ID
}

// aConnection returns the object id of a connection of a job.
func aConnection(t *testing.T, o *office, key provision.Key) string {
	t.Helper()
	page, _, err := o.jobs.Connections(t.Context(), key, provision.ConnectionQuery{Limit: 1})
	if err != nil || len(page) != 1 {
		t.Fatal(page, err)
	}
	return page[0].ObjectID
}

// addIdentities adds the pages of operators who sign in at an OpenID provider. It returns the id of
// an identity.
func (p *pageCollection) addIdentities(o *office, b *browser) string {
	p.t.Helper()
	stranger := &browser{t: p.t, base: o.server.URL, client: newClient(p.t, o.server)}
	op := o.openID(awkwardNames[0][:60] + "@corp.example")
	p.add("no identity", b.get("/d/-/account"))
	for i, e := range []string{"", awkwardNames[0][:60] + "@corp.example"} {
		op.AddUser(openidtest.User{ID: strings.Repeat("7", 200) + fmt.Sprint(i), Name: fmt.Sprintf("kim%d", i), Email: e})
		o.signInAtProvider(b, op, "/d/-/openid/link", fmt.Sprintf("kim%d", i)).wantWords("is linked")
	}
	p.add("signed out of the directories, with a provider", stranger.get("/d/"))
	p.add("identity of nobody", o.signInAtProvider(stranger, op, "/d/-/openid/login", "stranger")).wantStatus(http.StatusForbidden)
	op.Replace("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	o.pages.OpenID.Providers = oidcclient.New(outbound.Options{AllowLoopback: true}, time.Now)
	p.add("provider that does not answer", stranger.get("/d/-/openid/login")).wantStatus(http.StatusServiceUnavailable)
	p.add("signed out, and the provider does not answer", stranger.get("/d/")).wantWords("does not answer at the moment")
	op.Replace("/.well-known/openid-configuration", nil)
	o.pages.OpenID.Providers = oidcclient.New(outbound.Options{AllowLoopback: true}, time.Now)
	all, err := o.operators.Identities(p.t.Context(), "kim")
	if err != nil || len(all) != 2 {
		p.t.Fatal(all, err)
	}
	return all[1].ID
}

// addKeys adds the pages of API keys. It returns the id of a live one.
func (p *pageCollection) addKeys(o *office, h *directory.Handle, b *browser, root string) string {
	p.t.Helper()
	p.add("no API key", b.get(root+"keys"))
	p.add("API key refused", b.get(root+"keys/new").press("Make key", url.Values{"expires": {"never"}})).wantStatus(http.StatusUnprocessableEntity)
	p.add("API key", b.get(root+"keys/new").press("Make key", url.Values{"name": {awkwardNames[0][:100]}})).wantWords("Save this key")
	for i, name := range []string{awkwardNames[1], awkwardNames[3], "Ended"} {
		k, _, err := o.keys.CreateKey(p.t.Context(), operator.KeyRequest{Directory: string(h.Directory.ID), Name: name, Level: operator.Levels[i], Actor: "operator:" + awkwardNames[1]})
		if err != nil {
			p.t.Fatal(err)
		}
		if name != "Ended" {
			continue
		}
		if err := o.keys.RevokeKey(p.t.Context(), string(h.Directory.ID), k.ID, "cli"); err != nil {
			p.t.Fatal(err)
		}
	}
	all, err := o.keys.Keys(p.t.Context(), string(h.Directory.ID))
	if err != nil || len(all) != 4 {
		p.t.Fatal(all, err)
	}
	return all[1].ID
}

// addRecipients adds the pages of notifications. It returns the id of a recipient.
func (p *pageCollection) addRecipients(o *office, h *directory.Handle, b *browser, root string) string {
	p.t.Helper()
	p.add("no recipients", b.get(root+"notifications"))
	p.add("recipient refused", b.get(root+"notifications/new").press("Add recipient", url.Values{"address": {awkwardNames[0]}})).wantStatus(http.StatusUnprocessableEntity)
	at := time.Now().UTC().Add(-80 * time.Hour)
	long := strings.Repeat("a-long-name.", 15) + "x@contoso.example"
	for address, failures := range map[string]int{long: 0, "failing@contoso.example": 1, "stopped@contoso.example": 20} {
		r, err := o.notifications.Add(p.t.Context(), notification.NewRecipient{Directory: string(h.Directory.ID), Address: address, Actor: "operator:" + awkwardNames[1]})
		if err != nil {
			p.t.Fatal(err)
		}
		if failures == 0 {
			continue
		}
		r.Failures, r.FailingSince, r.NextTry, r.Error = failures, at, time.Now().Add(time.Hour), "the mail server mail.contoso.example:587 took no mail: 550 "+awkwardJob
		if failures > 1 {
			r.Stopped = at
		}
		o.failMail(p.t, r)
	}
	if err := o.events.Record(p.t.Context(), event.Event{Scope: event.Directory(string(h.Directory.ID)), Name: event.ProvisioningHeld, Actor: "system", Text: awkwardUnit}); err != nil {
		p.t.Fatal(err)
	}
	p.add("recipients", b.get(root+"notifications").wantWords("1 message waits", "Stopped", "Failing"))
	r, err := o.notifications.Find(p.t.Context(), string(h.Directory.ID), "stopped@contoso.example")
	if err != nil {
		p.t.Fatal(err)
	}
	return r.ID
}

// addGroups adds the pages of groups. It returns a group with awkward members, and what makes a role
// of an application and assigns the group with it.
func (p *pageCollection) addGroups(h *directory.Handle, b *browser, root string) (directory.Group, func(directory.Application) string) {
	p.t.Helper()
	must := func(err error) {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
	}
	p.add("no groups", b.get(root+"groups"))
	p.add("group refused", b.get(root+"groups/new").press("Create group", url.Values{"displayName": {"x"}, "mailNickname": {awkwardNames[0]}})).wantStatus(http.StatusUnprocessableEntity)
	var all []directory.Group
	for _, name := range append(awkwardNames, awkwardNames[0]) {
		g, _, err := h.PutGroup(p.t.Context(), directory.Group{Attributes: map[string]string{"displayName": name, "description": awkwardJob + awkwardUnit}}, "cli")
		must(err)
		all = append(all, g)
	}
	group, at := all[0], root+"groups/"+all[0].ObjectID
	p.add("no members", b.get(at))
	var ids []string
	must(h.EachUser(p.t.Context(), directory.UserQuery{}, func(u directory.User) error {
		ids = append(ids, u.ObjectID)
		return nil
	}))
	for _, g := range all[1:] {
		ids = append(ids, g.ObjectID)
	}
	_, err := h.AddMembers(p.t.Context(), group.ObjectID, ids, "cli")
	must(err)
	_, err = h.AddMembers(p.t.Context(), all[1].ObjectID, []string{group.ObjectID, ids[0]}, "cli")
	must(err)
	p.add("groups to add", b.get(root+"groups/"+all[1].ObjectID+"/members/add?kind=groups"))
	p.add("nobody to add", b.get(at+"/members/add"))
	p.add("member not found", b.get(at+"?search="+strings.Repeat("W", 190)+"x"))
	p.add("no member ticked", b.get(at).press("Remove", nil))
	p.add("group with the same name", b.get(root+"groups/"+all[1].ObjectID).press("Save", url.Values{"displayName": {awkwardNames[2]}}))
	_, err = h.SoftDeleteGroup(p.t.Context(), all[3].ObjectID, "cli")
	must(err)
	p.add("deleted group", b.get(root+"groups/"+all[3].ObjectID))
	p.add("deleted groups", b.get(root+"groups?status=deleted"))
	p.add("purge a group", b.get(root+"groups/"+all[3].ObjectID+"/purge"))
	return group, func(a directory.Application) string {
		role, _, err := h.PutRole(p.t.Context(), a.ID, directory.AppRole{Value: strings.Repeat("v", 200), DisplayName: awkwardNames[2], Description: awkwardJob, Enabled: true}, "cli")
		must(err)
		_, err = h.AssignRole(p.t.Context(), a.ID, role.ID, []string{group.ObjectID, all[2].ObjectID, ids[0]}, "cli")
		must(err)
		apps := root + "applications/" + url.PathEscape(a.Name)
		p.add("assigned groups", b.get(apps+"/users-and-groups?kind=groups"))
		p.add("remove a group", b.get(apps+"/users-and-groups?kind=groups").press("Remove", url.Values{"group": {group.ObjectID}}))
		p.add("role refused", b.get(apps+"/roles").press("Create role", url.Values{"value": {"a b"}})).wantStatus(http.StatusUnprocessableEntity)
		p.add("role in use", b.get(apps+"/roles/"+role.ID+"/delete").press("Delete", nil))
		p.add("remove members", b.get(at).press("Remove", url.Values{"member": ids[:3]}))
		return role.ID
	}
}

// addHarm adds the questions that are asked before accounts are switched off, made or deleted.
func (p *pageCollection) addHarm(o *office, b *browser, at string, key provision.Key) {
	p.t.Helper()
	users := at + "/provisioning/mappings/Provision%20Azure%20Active%20Directory%20Users"
	m, err := o.job(key).Schema.UserMapping()
	if err != nil {
		p.t.Fatal(err)
	}
	without := m.FlowTypes.With(provision.FlowAdd, false).With(provision.FlowDelete, false)
	if _, err := o.jobs.SetMapping(p.t.Context(), key, m.Name, provision.MappingEdit{Actions: &without}, "cli"); err != nil {
		p.t.Fatal(err)
	}
	p.add("Delete asks", b.get(users).press("Save", url.Values{"delete": {"yes"}, "create": {"yes"}}).wantWords("Let provisioning delete accounts", "will be made"))
	restore := b.get(at + "/provisioning/restore")
	tab := b.get(at+"/provisioning").press("Save", url.Values{"status": {"Off"}}).wantWords("Provisioning was saved.")
	if _, err := o.jobs.SetMapping(p.t.Context(), key, m.Name, provision.MappingEdit{Actions: &m.FlowTypes}, "cli"); err != nil {
		p.t.Fatal(err)
	}
	p.add("restore asks again", restore.press("Restore default mappings", nil)).wantStatus(http.StatusConflict)
	p.add("start after a change asks", tab.press("Start provisioning", nil).wantWords("Start with what was changed meanwhile?")).
		press("Set Provisioning Status to On", nil).wantWords("Provisioning was saved.")
}

// shelf serves pages that were made before, so that a browser can look at all of them, answers to forms too, without a session.
func shelf(t *testing.T, pages map[string]*shown) *httptest.Server {
	t.Helper()
	c, err := console.New(console.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(console.AssetPath, c.Assets())
	mux.HandleFunc("GET /shelf", func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Query().Get("page")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		for name := range page.Header {
			if name != "Set-Cookie" && name != "Content-Length" {
				w.Header().Set(name, page.Header.Get(name))
			}
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(page.Text))
	})
	mux.HandleFunc("GET /axe.js", testFile("axe-core/axe.min.js"))
	mux.HandleFunc("GET /look.js", testFile("look.js"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}
