package provision_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

const groupRows = "Provision Azure Active Directory Groups"

// teams are the groups that an application has.
type teams struct {
	mu       sync.Mutex
	order    []string
	byID     map[string]scim.Resource
	requests []string // method, path and query or body
	compares bool     // whether a search by displayName compares case
	// answer may answer a request instead of teams. It returns true if it did. It may be nil.
	answer func(w http.ResponseWriter, r *http.Request, body string) bool
}

// groupWorld is a job between a real directory and an application with accounts and groups.
type groupWorld struct {
	*world
	handle      *directory.Handle
	teams       *teams
	readsGroups func() // see narrow
}

func newGroupWorld(t testing.TB, options ...option) *groupWorld {
	t.Helper()
	return newGroupWorldOn(t, storetest.New(t), options...)
}

func newGroupWorldOn(t testing.TB, db *store.DB, options ...option) *groupWorld {
	t.Helper()
	g := &groupWorld{
		world: &world{
			t: t, db: db, store: store.Provisioning{DB: db}, leases: store.Leases{DB: db}, app: newApplication(t), clock: &clock{at: epoch},
		},
		teams: &teams{byID: map[string]scim.Resource{}},
	}
	g.wire()
	g.world.app.answer = g.teams.serve
	directories := &directory.Directories{Store: store.Directories{DB: db}, Now: g.clock.now, NewID: g.newID}
	contoso, err := directories.Create(t.Context(), "contoso", "cli")
	g.must(err)
	g.handle = directories.Open(contoso)
	app, err := g.handle.CreateApplication(t.Context(), "acme", "cli")
	g.must(err)
	g.key = provision.Key{Directory: provision.SourceID(contoso.ID), App: app.ID}
	g.engine.Sources = source.Opener(directories.OpenByID)
	g.jobs.Sources = g.engine.Sources
	secret := g.world.app.token
	s := provision.Settings{Mode: provision.Automatic, TenantURL: g.world.app.url(), Secret: &secret, Status: provision.On, Scope: provision.AssignedOnly}
	flows := allActions
	for _, o := range options {
		o(&s, &flows)
	}
	_, err = g.jobs.Save(t.Context(), g.key, s, "cli")
	g.must(err)
	g.setActions(flows)
	return g
}

func (g *groupWorld) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// hire puts a person into the directory. If assigned is true, the person is assigned.
func (g *groupWorld) hire(name string, assigned bool) string {
	g.t.Helper()
	u, _, err := g.handle.PutUser(g.t.Context(), directory.User{AccountEnabled: true, Attributes: person(name+"@contoso.example", name, "Lund")}, "cli")
	g.must(err)
	if assigned {
		g.assign(u.ObjectID, true)
	}
	return u.ObjectID
}

func (g *groupWorld) assign(id string, on bool) {
	g.t.Helper()
	var err error
	if on {
		_, err = g.handle.Assign(g.t.Context(), g.key.App, []string{id}, "cli")
	} else {
		_, err = g.handle.Unassign(g.t.Context(), g.key.App, []string{id}, "cli")
	}
	g.must(err)
}

// group puts a group with members into the directory, and assigns it.
func (g *groupWorld) group(name string, members ...string) string {
	g.t.Helper()
	made, _, err := g.handle.PutGroup(g.t.Context(), directory.Group{Attributes: map[string]string{"displayName": name}}, "cli")
	g.must(err)
	g.join(made.ObjectID, members...)
	g.assign(made.ObjectID, true)
	return made.ObjectID
}

func (g *groupWorld) join(group string, members ...string) {
	g.t.Helper()
	_, err := g.handle.AddMembers(g.t.Context(), group, members, "cli")
	g.must(err)
}

func (g *groupWorld) leave(group string, members ...string) {
	g.t.Helper()
	_, err := g.handle.RemoveMembers(g.t.Context(), group, members, "cli")
	g.must(err)
}

func (g *groupWorld) rename(group, name string) {
	g.t.Helper()
	now, err := g.handle.Group(g.t.Context(), group)
	g.must(err)
	now.Attributes = map[string]string{"displayName": name}
	_, _, err = g.handle.PutGroup(g.t.Context(), now, "cli")
	g.must(err)
}

// entriesOf runs a cycle and returns the status of each entry about a group, in order.
func (g *groupWorld) entriesOf(group string) []string {
	g.t.Helper()
	var got []string
	_, err := g.engine.RunCycle(g.t.Context(), g.key, "test", func(e provision.LogEntry) error {
		if e.SourceIdentity.ID == group {
			got = append(got, status(e))
		}
		return nil
	})
	g.must(err)
	return got
}

// sync runs a cycle and returns the requests about groups that change something. Then it lets the
// time pass in which the application may still be working on them.
func (g *groupWorld) sync() []string {
	g.t.Helper()
	g.teams.take()
	_, _, err := g.tryCycle()
	g.must(err)
	g.clock.advance(provision.DefaultSettle)
	return slices.DeleteFunc(g.teams.take(), func(r string) bool { return strings.HasPrefix(r, "GET") })
}

// has describes the groups of the application: the name, a colon, and the user names of the
// members.
func (g *groupWorld) has() []string {
	g.teams.mu.Lock()
	defer g.teams.mu.Unlock()
	g.app.mu.Lock()
	defer g.app.mu.Unlock()
	var all []string
	for _, id := range g.teams.order {
		r, there := g.teams.byID[id]
		if !there {
			continue
		}
		var names []string
		members, _ := r["members"].([]any)
		for _, m := range members {
			id := fmt.Sprint(m.(map[string]any)["value"])
			name := id
			if u, known := g.app.users[id]; known {
				name, _, _ = strings.Cut(u.String("userName"), "@")
			}
			names = append(names, name)
		}
		slices.Sort(names)
		all = append(all, r.String("displayName")+": "+strings.Join(names, " "))
	}
	slices.Sort(all)
	return all
}

func (g *groupWorld) expect(want ...string) {
	g.t.Helper()
	if diff := cmp.Diff(want, g.has()); diff != "" {
		g.t.Errorf("groups of the application (-want +got):\n%s", diff)
	}
}

func (t *teams) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	requests := t.requests
	t.requests = nil
	return requests
}

// serve answers requests about groups.
func (t *teams) serve(w http.ResponseWriter, r *http.Request) bool {
	path, ok := strings.CutPrefix(r.URL.Path, "/scim/v2/Groups")
	if !ok {
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return true
	}
	t.mu.Lock()
	line := r.Method + " /Groups" + path
	if query := r.URL.RawQuery; query != "" {
		line += "?" + query
	}
	if len(body) > 0 {
		line += " " + string(body)
	}
	t.requests = append(t.requests, line)
	t.mu.Unlock()
	if t.answer != nil && t.answer(w, r, string(body)) {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	status, answer := t.handle(r, strings.TrimPrefix(path, "/"), body)
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	_, _ = w.Write(answer)
	return true
}

func (t *teams) handle(r *http.Request, id string, body []byte) (int, []byte) {
	team, known := t.byID[id]
	switch {
	case id != "" && !known:
		return http.StatusNotFound, problem(404, "", "There is no such group.")
	case r.Method == http.MethodGet && id == "":
		filter := r.URL.Query().Get("filter")
		f, _, err := scim.ParseFilter(scim.GroupType(), filter, scim.Lenient)
		if err != nil && filter != "" {
			return http.StatusBadRequest, problem(400, "invalidFilter", err.Error())
		}
		found := []json.RawMessage{}
		for _, id := range t.order {
			team, there := t.byID[id]
			if !there || filter != "" && (!f.Match(team) || t.compares && !strings.Contains(filter, fmt.Sprintf("%q", team.String("displayName")))) {
				continue
			}
			found = append(found, withoutMembers(team))
		}
		b, _ := json.Marshal(map[string]any{"schemas": []string{scim.ListResponseURN}, "totalResults": len(found), "Resources": found})
		return http.StatusOK, b
	case r.Method == http.MethodGet:
		return http.StatusOK, withoutMembers(team)
	case r.Method == http.MethodPost:
		created, _, err := scim.Decode(scim.GroupType(), body, scim.Lenient)
		if err != nil {
			return http.StatusBadRequest, problem(400, "invalidSyntax", err.Error())
		}
		id := fmt.Sprintf("g%d", len(t.order)+1)
		created["id"] = id
		t.byID[id], t.order = created, append(t.order, id)
		return http.StatusCreated, withoutMembers(created)
	case r.Method == http.MethodPatch:
		patch, _, err := scim.DecodePatch(scim.GroupType(), body, scim.Lenient)
		if err != nil {
			return http.StatusBadRequest, problem(400, "invalidSyntax", err.Error())
		}
		result, err := patch.Apply(scim.GroupType(), team)
		if err != nil {
			return http.StatusBadRequest, problem(400, "invalidValue", err.Error())
		}
		t.byID[id] = result.Resource
		return http.StatusNoContent, nil
	case r.Method == http.MethodDelete:
		delete(t.byID, id)
		return http.StatusNoContent, nil
	}
	return http.StatusMethodNotAllowed, problem(405, "", "No.")
}

func withoutMembers(r scim.Resource) []byte {
	r = r.Clone()
	delete(r, "members")
	return encode(r)
}

// TestGroupsAreProvisioned takes groups through their life.
func TestGroupsAreProvisioned(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	blue := g.group("Team Blue")
	made, _, err := g.handle.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Not assigned"}}, "cli")
	g.must(err)

	want := []string{
		`POST /Groups {"displayName":"Team Blue","externalId":"` + blue + `","meta":{"resourceType":"Group"},` +
			`"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"]}`,
	}
	if diff := cmp.Diff(want, g.sync()); diff != "" {
		t.Errorf("create (-want +got):\n%s", diff)
	}
	g.expect("Team Blue: ")
	if r := g.report(); r.Groups != 1 || r.Linked != 0 {
		t.Errorf("the status counts %d groups and %d people", r.Groups, r.Linked)
	}
	if got := g.sync(); len(got) != 0 {
		t.Errorf("with nothing to do: %q", got)
	}

	g.rename(blue, "Team Navy")
	want = []string{`PATCH /Groups/g1 {"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"displayName","value":"Team Navy"}]}`}
	if diff := cmp.Diff(want, g.sync()); diff != "" {
		t.Errorf("rename (-want +got):\n%s", diff)
	}

	g.assign(made.ObjectID, true)
	if got := g.entriesOf(made.ObjectID); !slices.Equal(got, []string{"create success "}) {
		t.Errorf("assigned: %q", got)
	}
	g.expect("Not assigned: ", "Team Navy: ")

	g.assign(made.ObjectID, false)
	if got := g.entriesOf(made.ObjectID); !slices.Equal(got, []string{"delete success "}) {
		t.Errorf("unassigned: %q", got)
	}
	g.expect("Team Navy: ")
	_, err = g.handle.SoftDeleteGroup(t.Context(), blue, "cli")
	g.must(err)
	if diff := cmp.Diff([]string{"DELETE /Groups/g1"}, g.sync()); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	_, err = g.handle.RestoreGroup(t.Context(), blue, "cli")
	g.must(err)
	g.sync()
	g.expect("Team Navy: ")
}

// TestAGroupThatIsThereIsTaken matches a group by its name. The match reads no members.
func TestAGroupThatIsThereIsTaken(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.teams.byID["g1"], g.teams.order = scim.Resource{"id": "g1", "displayName": "team blue", "members": []any{map[string]any{"value": "stranger"}}}, []string{"g1"}
	blue := g.group("Team Blue")
	g.teams.take()
	if got := g.entriesOf(blue); !slices.Equal(got, []string{"update success "}) {
		t.Errorf("got %q", got)
	}
	for _, r := range g.teams.take() {
		if strings.HasPrefix(r, "GET") && !strings.Contains(r, "excludedAttributes=members") {
			t.Errorf("%s reads members", r)
		}
	}
	g.expect("team blue: stranger")
}

// TestAnApplicationWithoutGroupsGetsPeople refuses every request about groups.
func TestAnApplicationWithoutGroupsGetsPeople(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 403, 404, 405, 501} {
		g := newGroupWorld(t)
		g.teams.answer = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			refuse(w, code, "", "No groups here.")
			return true
		}
		g.hire("ada", true)
		blue := g.group("Team Blue")
		report, entries := g.cycle()
		if report.Created != 1 || len(entries) != 1 {
			t.Errorf("%d: %+v, %v", code, report, entries)
		}
		if notes := g.report().Notes; len(notes) != 1 || !strings.HasPrefix(notes[0], "The application takes no groups") {
			t.Errorf("%d: the status says %q", code, notes)
		}
		// From now on, the application accepts groups.
		g.teams.answer = nil
		if got := g.entriesOf(blue); !slices.Equal(got, []string{"create success "}) {
			t.Errorf("%d: then %q", code, got)
		}
		if notes := g.report().Notes; len(notes) != 0 {
			t.Errorf("%d: then the status says %q", code, notes)
		}
	}
}

// TestTheFirstCycleSaysWhatItDoesWithGroups reads the log of a first cycle with and without groups.
func TestTheFirstCycleSaysWhatItDoesWithGroups(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	note := func() string {
		t.Helper()
		entries, _, err := g.jobs.Logs(t.Context(), g.key, provision.LogQuery{})
		g.must(err)
		for _, e := range entries {
			if e.Status.Code == "GroupsInScope" {
				return e.Status.Reason
			}
		}
		return ""
	}
	g.sync()
	if got := note(); got != "" {
		t.Errorf("without groups: %q", got)
	}
	g.group("Team Blue")
	plan, err := g.engine.Plan(t.Context(), g.key, func(provision.PlannedObject) error { return nil })
	if err != nil || plan.Creates != 1 || len(plan.Notes) != 1 || !strings.HasPrefix(plan.Notes[0], "One group is in scope. A group is looked for by displayName, created without members") {
		t.Errorf("plan: %+v, %v", plan, err)
	}
	_, err = g.jobs.Restart(t.Context(), g.key, "cli")
	g.must(err)
	g.sync()
	if got := note(); !strings.HasPrefix(got, "One group is in scope.") {
		t.Errorf("with one: %q", got)
	}
	off := false
	_, err = g.jobs.SetMapping(t.Context(), g.key, groupRows, provision.MappingEdit{Enabled: &off}, "cli")
	g.must(err)
	if got := g.sync(); len(got) != 0 {
		t.Errorf("switched off: %q", got)
	}
	g.expect("Team Blue: ")
}

// TestGroupsOfEarlierJobsWait has a job that an earlier version of Rollcall saved.
func TestGroupsOfEarlierJobsWait(t *testing.T) {
	t.Parallel()
	for _, answer := range []bool{true, false} {
		g := newGroupWorld(t)
		g.group("Team Blue")
		g.earlier()
		offered := func() bool {
			return slices.ContainsFunc(g.report().Notes, func(n string) bool { return strings.HasPrefix(n, "Groups can be provisioned now.") })
		}
		if got := g.sync(); len(got) != 0 || !offered() {
			t.Errorf("before anybody decided: %q, offered %v", got, offered())
		}
		g.setActions(allActions &^ provision.FlowDelete) // save a setting that is not about groups
		if got := g.sync(); len(got) != 0 || !offered() {
			t.Errorf("after another change: %q, offered %v", got, offered())
		}
		_, err := g.jobs.SetMapping(t.Context(), g.key, groupRows, provision.MappingEdit{Enabled: &answer}, "cli")
		g.must(err)
		if got := g.sync(); len(got) > 0 != answer || offered() {
			t.Errorf("answered %v: %q, offered %v", answer, got, offered())
		}
	}
}

// earlier changes the job into a job that an earlier version of Rollcall saved.
func (g *groupWorld) earlier() {
	g.t.Helper()
	g.must(g.db.Update(g.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(g.t.Context(), `update job set groups = 'offered'`)
		return err
	}))
}

// TestAGroupThatWaitsWhileTheApplicationTakesNoneIsCreatedAfterwards has a group wait on the work
// list when a connection test finds that the application accepts no groups. The group then leaves
// the work list. It is created when the application accepts groups again.
func TestAGroupThatWaitsWhileTheApplicationTakesNoneIsCreatedAfterwards(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada := g.hire("ada", true)
	g.rest()
	throttled := true
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		switch {
		case throttled && r.Method == http.MethodPost:
			w.Header().Set("Retry-After", "9")
			refuse(w, http.StatusTooManyRequests, "", "Too many groups.")
		case !throttled && r.Method == http.MethodGet:
			refuse(w, http.StatusInternalServerError, "", "Broken.")
		default:
			return false
		}
		return true
	}
	g.group("Sales", ada)
	g.rest()
	if got := g.report(); got.State.Phase == provision.Idle || got.Pending != 1 {
		t.Fatalf("%d wait in phase %q, want one, in a cycle that is not over", got.Pending, got.State.Phase)
	}
	throttled = false
	_, err := g.jobs.Edit(t.Context(), g.key, func(s *provision.Settings) { s.TenantURL += "?aadOptscim062020" }, "cli")
	g.must(err)
	g.clock.advance(10 * time.Second)
	g.rest()
	if got := g.report(); got.State.Groups.Off == "" || got.Pending != 0 {
		t.Fatalf("groups are off: %q, and %d wait", got.State.Groups.Off, got.Pending)
	}
	g.teams.answer = nil
	g.clock.advance(time.Hour)
	g.rest()
	g.expect("Sales: ada")
}

// TestAGroupOfACreateWithoutAnswerThatLeavesWhileGroupsAreOffIsRemoved loses the answer to the
// create of a group. The group leaves the scope while the application accepts no groups.
func TestAGroupOfACreateWithoutAnswerThatLeavesWhileGroupsAreOffIsRemoved(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada := g.hire("ada", true)
	g.rest()
	isLost, isThrottled, isBroken := false, false, false
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, body string) bool {
		switch {
		case isBroken:
			refuse(w, http.StatusInternalServerError, "", "Broken.")
		case isThrottled:
			w.Header().Set("Retry-After", "9")
			refuse(w, http.StatusTooManyRequests, "", "Too many requests.")
		case r.Method == http.MethodPost && !isLost:
			isLost = true
			g.teams.mu.Lock()
			defer g.teams.mu.Unlock()
			g.teams.handle(r, "", []byte(body))
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}
	sales := g.group("Sales", ada)
	g.slice()
	g.expect("Sales: ")
	isThrottled = true
	g.assign(sales, false)
	g.clock.advance(10 * time.Second)
	g.slice()
	if got := g.report(); got.Pending != 1 {
		t.Fatalf("%d wait, want the group: %+v", got.Pending, got.Waits)
	}
	isThrottled, isBroken = false, true
	_, err := g.jobs.Edit(t.Context(), g.key, func(s *provision.Settings) { s.TenantURL += "?aadOptscim062020" }, "cli")
	g.must(err)
	g.clock.advance(10 * time.Second)
	g.rest()
	if got := g.report(); got.State.Groups.Off == "" || got.Pending != 0 {
		t.Fatalf("groups are off: %q, and %d wait", got.State.Groups.Off, got.Pending)
	}
	isBroken = false
	g.clock.advance(time.Hour)
	g.rest()
	g.expect()
}

// TestGroupsThatAreSwitchedOffAreNoLeavers switches off the mapping of groups. The groups at the
// application stay, and the guard does not count them with the person who leaves then.
func TestGroupsThatAreSwitchedOffAreNoLeavers(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bob := g.hire("ada", true), g.hire("bob", true)
	for i := range 20 {
		g.group(fmt.Sprintf("Team %d", i), ada)
	}
	g.rest()
	off := false
	_, err := g.jobs.SetMapping(t.Context(), g.key, groupRows, provision.MappingEdit{Enabled: &off}, "cli")
	g.must(err)
	g.assign(bob, false)
	g.rest()
	if r := g.report(); r.OnHold != 0 || len(g.events(event.ProvisioningHeld)) != 0 {
		t.Errorf("%d on hold, %q", r.OnHold, g.events(event.ProvisioningHeld))
	}
	if isActive(t, g.world, "bob@contoso.example") || !isActive(t, g.world, "ada@contoso.example") {
		t.Error("want Bob's account disabled and Ada's active")
	}
	if len(g.has()) != 20 {
		t.Errorf("the application has %q", g.has())
	}
}
