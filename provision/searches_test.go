package provision_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
)

// matchBy gives these target attributes a matching precedence, in this order. No other attributes
// have one.
func (w *world) matchBy(paths ...string) {
	w.t.Helper()
	schema := w.report().Job.Schema.Clone()
	m, err := schema.UserMapping()
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range m.AttributeMappings {
		row := &m.AttributeMappings[i]
		row.MatchingPriority = 0
		for n, path := range paths {
			if row.TargetAttributeName == path {
				row.MatchingPriority = n + 1
			}
		}
	}
	if _, err := w.jobs.SetSchema(w.t.Context(), w.key, schema, "cli"); err != nil {
		w.t.Fatal(err)
	}
}

// brokenSearch makes the application answer searches by one attribute as a broken application does.
// The application itself answers other searches.
func brokenSearch(w *world, attribute string, answer func(rw http.ResponseWriter, all []json.RawMessage)) {
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Query().Get("filter"), attribute+" eq ") {
			return false
		}
		w.app.mu.Lock()
		all := []json.RawMessage{}
		for _, id := range w.app.order {
			if u, ok := w.app.users[id]; ok {
				all = append(all, encode(u))
			}
		}
		w.app.mu.Unlock()
		answer(rw, all)
		return true
	}
}

func list(rw http.ResponseWriter, total int, resources []json.RawMessage) {
	b, _ := json.Marshal(map[string]any{"schemas": []string{scim.ListResponseURN}, "totalResults": total, "Resources": resources})
	_, _ = rw.Write(b)
}

// ways returns the ways in which real applications fail to search by an attribute.
func ways() map[string]struct {
	answer func(rw http.ResponseWriter, all []json.RawMessage)
	words  string
} {
	return map[string]struct {
		answer func(rw http.ResponseWriter, all []json.RawMessage)
		words  string
	}{
		"everybody":        {func(rw http.ResponseWriter, all []json.RawMessage) { list(rw, len(all), all) }, "The application ignores filters by externalId"},
		"the_first_row":    {func(rw http.ResponseWriter, all []json.RawMessage) { list(rw, 1, all[:1]) }, "The application ignores filters by externalId"},
		"one_page_of_many": {func(rw http.ResponseWriter, all []json.RawMessage) { list(rw, 500, all[:1]) }, "The application ignores filters by externalId"},
		"the_owner_without_the_attribute": {func(rw http.ResponseWriter, _ []json.RawMessage) {
			list(rw, 1, []json.RawMessage{json.RawMessage(`{"id":"u1","userName":"root"}`)})
		}, "The application ignores filters by externalId"},
		"the_count_of_all": {func(rw http.ResponseWriter, _ []json.RawMessage) { list(rw, 500, nil) }, "counts 500 accounts in its answer to a search by externalId but names none"},
		"invalid_filter": {func(rw http.ResponseWriter, _ []json.RawMessage) {
			refuse(rw, 400, "invalidFilter", "No such attribute")
		}, "cannot be searched by externalId. It answered 400 and said: No such attribute."},
		"not_implemented":   {func(rw http.ResponseWriter, _ []json.RawMessage) { refuse(rw, 501, "", "Not here") }, "cannot be searched by externalId"},
		"an_internal_error": {func(rw http.ResponseWriter, _ []json.RawMessage) { refuse(rw, 500, "", "NullPointerException") }, "could not be searched by externalId"},
		"forbidden":         {func(rw http.ResponseWriter, _ []json.RawMessage) { refuse(rw, 403, "", "Not this attribute") }, "could not be searched by externalId"},
		"not_found":         {func(rw http.ResponseWriter, _ []json.RawMessage) { refuse(rw, 404, "", "User not found") }, "404 to a search by externalId that finds no account"},
		"a_web_page":        {func(rw http.ResponseWriter, _ []json.RawMessage) { _, _ = io.WriteString(rw, "<html>Blocked</html>") }, "could not be searched by externalId"},
	}
}

func TestNobodyIsAdoptedByAnAttributeThatWasNotProved(t *testing.T) {
	t.Parallel()
	for name, way := range ways() {
		for _, order := range []string{"userName externalId", "externalId userName"} {
			t.Run(name+"/"+strings.ReplaceAll(order, " ", "_then_"), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.matchBy(strings.Fields(order)...)
				root := w.app.add(scim.Resource{"userName": "root", "active": true, "displayName": "Service owner"})
				w.app.add(account("bob@contoso.com"))
				brokenSearch(w, "externalId", way.answer)
				w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
				w.people.put("p2", person("bob@contoso.com", "Bob", "Byte"))
				noNickname := person("cy@contoso.com", "Cy", "Cypher")
				delete(noNickname, "mailNickname")
				w.people.put("p3", noNickname)
				tested, err := w.jobs.TestConnection(t.Context(), w.key, w.app.url(), nil)
				searches := tested.Users
				if err != nil || len(searches) != 2 {
					t.Fatalf("Test Connection: %v, %v", searches, err)
				}
				for _, s := range searches {
					if s.Proved != (s.Path == "userName") || !s.Proved && (!strings.Contains(s.Note(), way.words) || !strings.Contains(s.Note(), "Nobody is matched by externalId")) {
						t.Errorf("Test Connection says %+v (%s), want words about %q", s, s.Note(), way.words)
					}
				}
				report, objects := w.plan()
				if o := objects["p1"]; o.Result != provision.Failure || o.TargetID != "" || !strings.Contains(strings.Join(report.Notes, " "), way.words) {
					t.Errorf("planned %+v, notes %q", o, report.Notes)
				}
				_, entries := w.cycle()
				if got := w.app.users[root]; got.String("userName") != "root" || got.String("displayName") != "Service owner" {
					t.Errorf("the owner's account became %v", got)
				}
				e := entries["p1"]
				if e.Status.Status != provision.Failure || !strings.Contains(e.Status.Reason, way.words) || w.app.user("ada@contoso.com") != nil {
					t.Errorf("Ada, who may have an account: %q %q", status(e), e.Status.Reason)
				}
				if got := status(entries["p2"]); got != "update success " {
					t.Errorf("Bob, who is found by another attribute: %q", got)
				}
				if got := status(entries["p3"]); got != "create success " {
					t.Errorf("Cy, who has no value of the attribute: %q", got)
				}
				if notes := strings.Join(w.report().Notes, " "); !strings.Contains(notes, way.words) {
					t.Errorf("the status says %q", notes)
				}
				w.app.answer = nil // the application was corrected
				if _, entries = w.cycle(); status(entries["p1"]) != "create success " {
					t.Errorf("after the correction: %q", status(entries["p1"]))
				}
			})
		}
	}
}

func TestSearchesAreTestedAtTheStartOfACycleAndKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.matchBy("userName", "externalId")
	for i := range 20 {
		w.people.put(fmt.Sprint("p", i), person(fmt.Sprintf("user%d@contoso.com", i), fmt.Sprint("User", i), "X"))
	}
	w.app.asked()
	w.cycle()
	if got, want := len(w.app.asked()), 2+1+20*3; got != want {
		t.Errorf("got %d requests, want %d: one test for each attribute, the list once, two searches and a create for each person", got, want)
	}
	if s := w.report().State.Searches; s == nil || len(s.All) != 2 || !s.All[0].Proved || !s.All[1].Proved {
		t.Errorf("remembered %+v", s)
	}
}

func TestATargetThatCanBeSearchedByNothingIsQuarantined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app.add(account("root"))
	brokenSearch(w, "userName", func(rw http.ResponseWriter, all []json.RawMessage) { list(rw, len(all), all) })
	_, _, err := w.tryCycle()
	var te *provision.TargetError
	if !errors.As(err, &te) || !strings.Contains(te.Words(), "ignores filters by userName") || w.app.writes() != 0 {
		t.Errorf("got %v", err)
	}
}

func TestAnAnswerWithoutTheSearchedAttributeIsReadByItsID(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		id   string // the id of the account that the search returns
		want string
	}{
		"its_own":        {"u2", "update success "},
		"a_stranger_s":   {"u1", "other failure SystemForCrossDomainIdentityManagementServiceIncompatible"},
		"one_without_it": {"u3", "other failure SystemForCrossDomainIdentityManagementServiceIncompatible"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.app.add(account("root"))
			w.app.add(account("ada@contoso.com"))
			w.app.add(scim.Resource{"displayName": "Nameless"})
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.RawQuery, "ada") {
					return false
				}
				list(rw, 1, []json.RawMessage{json.RawMessage(`{"id":"` + tt.id + `"}`)})
				return true
			}
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			_, entries := w.cycle()
			if got := status(entries["p1"]); got != tt.want || w.app.users["u1"].String("userName") != "root" {
				t.Errorf("got %q (%s), want %q", got, entries["p1"].Status.Reason, tt.want)
			}
		})
	}
}

func TestAnAccountIsFoundByAnEmailWithoutItsType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.matchBy(`emails[type eq "work"].value`)
	id := w.app.add(scim.Resource{"userName": "ada", "emails": []any{map[string]any{"value": "other@x.example"}, map[string]any{"value": "ada@contoso.com"}}})
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.RawQuery, "ada%40") {
			return false
		}
		list(rw, 1, []json.RawMessage{encode(w.app.users[id])})
		return true
	}
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	if _, entries := w.cycle(); status(entries["p1"]) != "update success " {
		t.Errorf("got %q", status(entries["p1"]))
	}
}

func TestACreateWhoseAnswerNamesNoAccount(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(rw http.ResponseWriter, created []byte, id string)
	}{
		"location_only": {func(rw http.ResponseWriter, _ []byte, id string) {
			rw.Header().Set("Location", "http://10.0.0.7:8080/internal/Users/"+id)
			rw.WriteHeader(201)
		}},
		"accepted": {func(rw http.ResponseWriter, _ []byte, _ string) { rw.WriteHeader(202) }},
		"accepted_with_address": {func(rw http.ResponseWriter, _ []byte, id string) {
			rw.Header().Set("Location", "/scim/v2/Users/"+id)
			rw.WriteHeader(202)
		}},
		"an_empty_object": {func(rw http.ResponseWriter, _ []byte, _ string) { rw.WriteHeader(201); _, _ = io.WriteString(rw, "{}") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				body, _ := io.ReadAll(r.Body)
				_, created := w.app.handle(r, "", body)
				var account struct{ ID string }
				_ = json.Unmarshal(created, &account)
				tt.answer(rw, created, account.ID)
				return true
			}
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			report, entries := w.cycle()
			if got := status(entries["p1"]); got != "create success " || report.Created != 1 || w.report().Linked != 1 || entries["p1"].TargetIdentity.ID != "u1" {
				t.Errorf("got %q (%+v), report %+v", got, entries["p1"].Status, report)
			}
			w.people.enable("p1", false)
			if w.cycle(); isActive(t, w, "ada@contoso.com") || w.app.created["ada@contoso.com"] != 1 {
				t.Errorf("active %v, created %v", isActive(t, w, "ada@contoso.com"), w.app.created)
			}
		})
	}
	t.Run("not_there_yet", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		var pending atomic.Value
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			body, _ := io.ReadAll(r.Body)
			pending.Store(body)
			rw.WriteHeader(http.StatusAccepted)
			return true
		}
		w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
		_, entries := w.cycle()
		if e := entries["p1"]; e.Status.Status != provision.Failure || !strings.Contains(e.Status.Reason, "accepted the create") || w.report().Escrowed != 1 {
			t.Errorf("got %q %+v", status(e), e.Status)
		}
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		w.app.handle(r, "", pending.Load().([]byte)) // now the request is carried out
		if _, entries = w.cycle(); w.app.created["ada@contoso.com"] != 1 || w.report().Linked != 1 {
			t.Errorf("got %q, created %v", status(entries["p1"]), w.app.created)
		}
	})
}

func TestNumericIDsOfAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	numeric := func(b []byte) []byte { // as an application that sends the number of a row as the id
		return []byte(strings.ReplaceAll(string(b), `"id":"u`, `"id":9007199254740993`))
	}
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/scim/v2/Users"), "/")
		id = strings.Replace(id, "9007199254740993", "u", 1)
		status, answer := w.app.handle(r, id, body)
		answer = numeric(answer)
		answer = []byte(strings.NewReplacer(`90071992547409931"`, `90071992547409931`, `9007199254740993 2"`, `2`).Replace(string(answer)))
		rw.WriteHeader(status)
		_, _ = rw.Write(answer)
		return true
	}
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	_, entries := w.cycle()
	if e := entries["p1"]; status(e) != "create success " || e.TargetIdentity.ID != "90071992547409931" {
		t.Fatalf("got %q for %q: %+v", status(e), e.TargetIdentity.ID, e.Status)
	}
	w.people.enable("p1", false)
	if _, entries = w.cycle(); status(entries["p1"]) != "disable success " || isActive(t, w, "ada@contoso.com") {
		t.Errorf("got %q %+v", status(entries["p1"]), entries["p1"].Status)
	}
}

func TestSaveTestsTheMatchingAttributesAndRefusesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.matchBy("userName", "externalId")
	brokenSearch(w, "externalId", ways()["invalid_filter"].answer)
	save := func(tenantURL string) provision.Job {
		t.Helper()
		now := w.report().Job
		secret := w.app.token
		job, err := w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: now.Mode, TenantURL: tenantURL, Status: provision.Off, Scope: now.Scope, Secret: &secret}, "cli")
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	if s := save(w.app.url() + "/?aadOptscim062020").Searches; s == nil || len(s.All) != 2 || !s.All[0].Proved || s.All[1].Proved {
		t.Errorf("got %+v", s)
	}
	if notes := strings.Join(w.report().Notes, " "); !strings.Contains(notes, "cannot be searched by externalId") {
		t.Errorf("the status says %q", notes)
	}
	down := newApplication(t)
	down.Close()
	if s := save(down.url()).Searches; s != nil {
		t.Errorf("an application that is down proved %+v", s)
	}
	if notes := strings.Join(w.report().Notes, " "); strings.Contains(notes, "externalId") {
		t.Errorf("the status tells of the application before: %q", notes)
	}
}

func TestATokenThatIsReplacedInTheMiddleOfACycleIsTestedFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.matchBy("userName", "externalId")
	w.app.add(account("root"))
	for i := range 200 {
		w.people.put(fmt.Sprintf("p%03d", i), person(fmt.Sprintf("user%03d@contoso.com", i), fmt.Sprint("User", i), "X"))
	}
	w.app.begun = func(*http.Request) { w.clock.advance(100 * time.Millisecond) }
	w.slice()
	if w.report().State.Phase == provision.Idle {
		t.Fatal("the cycle is over after one slice")
	}
	w.app.mu.Lock()
	w.app.token = "narrower"
	w.app.mu.Unlock()
	brokenSearch(w, "externalId", ways()["the_first_row"].answer) // with the new token, searches by externalId give wrong answers
	now := w.report().Job
	secret := "narrower"
	if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: now.Mode, TenantURL: now.TenantURL, Status: now.Status, Scope: now.Scope, Secret: &secret}, "cli"); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		if w.slice(); w.report().State.Phase == provision.Idle {
			break
		}
	}
	if got := w.app.users["u1"].String("userName"); got != "root" || w.report().Escrowed == 0 {
		t.Errorf("the owner's account became %q; %d failed", got, w.report().Escrowed)
	}
}

// probeLog collects the searches for random values. Each has the kind and the attribute.
type probeLog struct {
	mu    sync.Mutex
	found []string
}

func (p *probeLog) note(r *http.Request) {
	attribute, value, is := strings.Cut(r.URL.Query().Get("filter"), " eq ")
	if !is || len(value) != len(`"3e59e27b-68ad-41f5-bb0e-dadf130e2ac8"`) {
		return
	}
	kind := "user "
	if strings.HasSuffix(r.URL.Path, "/Groups") {
		kind = "group "
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = append(p.found, kind+attribute)
}

func (p *probeLog) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := p.found
	p.found = nil
	return found
}

// TestEveryMatchingAttributeIsTestedWhenItMatters counts the searches for random values during Test
// Connection, during Save, and in cycles of both kinds.
func TestEveryMatchingAttributeIsTestedWhenItMatters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db)
		g.matchBy("userName", "externalId")
		g.hire("ada", true)
		g.group("Team Blue")
		var p probeLog
		g.app.begun = p.note
		all := []string{"user userName", "user externalId", "group displayName"}
		want := func(when string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, p.take()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		tested, err := g.jobs.TestConnection(t.Context(), g.key, g.app.url(), nil)
		proved := func(path string) provision.Searchable { return provision.Searchable{Path: path, Proved: true} }
		if diff := cmp.Diff(provision.ConnectionTest{Users: []provision.Searchable{proved("userName"), proved("externalId")}, Groups: []provision.Searchable{proved("displayName")}}, tested); err != nil || diff != "" {
			t.Errorf("Test Connection: %v (-want +got):\n%s", err, diff)
		}
		want("Test Connection", all...)
		secret := g.app.token
		_, err = g.jobs.Edit(t.Context(), g.key, func(s *provision.Settings) { s.Secret = &secret }, "cli")
		g.must(err)
		want("Save", all...)
		g.runCycle()
		want("an initial cycle", all...)
		g.runCycle()
		want("an incremental cycle", "user userName")
		_, err = g.jobs.Restart(t.Context(), g.key, "cli")
		g.must(err)
		g.runCycle()
		want("a restart", all...)
		off, on := false, true
		_, err = g.jobs.SetMapping(t.Context(), g.key, groupRows, provision.MappingEdit{Enabled: &off}, "cli")
		g.must(err)
		want("groups are switched off", all[:2]...)
		g.runCycle()
		want("an initial cycle without groups", all[:2]...)
		_, err = g.jobs.SetMapping(t.Context(), g.key, groupRows, provision.MappingEdit{Enabled: &on}, "cli")
		g.must(err)
		want("groups are switched on", all...)
	})
}

// runCycle runs a cycle and keeps the record of its requests.
func (g *groupWorld) runCycle() {
	g.t.Helper()
	_, _, err := g.tryCycle()
	g.must(err)
}

// TestTheTestOfGroupsSaysWhatDoesNotWork tests applications without groups, and applications whose
// groups cannot be searched.
func TestTheTestOfGroupsSaysWhatDoesNotWork(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(rw http.ResponseWriter)
		note   string
	}{
		"no_groups": {func(rw http.ResponseWriter) { refuse(rw, 501, "", "No groups here.") }, "The application takes no groups, so none are provisioned: "},
		"any_filter": {func(rw http.ResponseWriter) {
			list(rw, 1, []json.RawMessage{json.RawMessage(`{"id":"g1","displayName":"Owners"}`)})
		}, "The application takes no groups, so none are provisioned: The application ignores filters by displayName"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t)
			g.teams.answer = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
				tt.answer(w)
				return true
			}
			tested, err := g.jobs.TestConnection(t.Context(), g.key, g.app.url(), nil)
			if err != nil || !strings.HasPrefix(tested.NoGroups, tt.note) || len(tested.Users) != 1 || !tested.Users[0].Proved || len(tested.Groups) != 1 || tested.Groups[0].Proved {
				t.Errorf("Test Connection: %+v, %v", tested, err)
			}
			g.clock.advance(time.Second)
			secret := g.app.token
			job, err := g.jobs.Edit(t.Context(), g.key, func(s *provision.Settings) { s.Secret = &secret }, "cli")
			if err != nil || job.Searches == nil || !strings.HasPrefix(job.Searches.NoGroups, tt.note) {
				t.Errorf("Save: %+v, %v", job.Searches, err)
			}
			if notes := g.report().Notes; len(notes) != 1 || !strings.HasPrefix(notes[0], tt.note) {
				t.Errorf("the status says %q", notes)
			}
			g.runCycle()
			if notes := g.report().Notes; len(notes) != 1 || !strings.HasPrefix(notes[0], tt.note) {
				t.Errorf("after a cycle the status says %q", notes)
			}
		})
	}
	t.Run("throttled", func(t *testing.T) {
		t.Parallel()
		g := newGroupWorld(t)
		g.teams.answer = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			refuse(w, 429, "", "Later.")
			return true
		}
		_, err := g.jobs.TestConnection(t.Context(), g.key, g.app.url(), nil)
		var te *provision.TargetError
		if !errors.As(err, &te) || te.Kind != provision.Throttled {
			t.Errorf("got %v", err)
		}
	})
}
