package provision_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// unwell is an application with accounts and groups. It fails in the way that a seed decides.
type unwell struct {
	*application
	groups *teams
	s      *seeded
	calm   bool           // whether the application works without failures
	kinds  map[string]int // how likely each failure of this seed is, in thousandths
	traits traits

	lock   sync.Mutex         // makes the application handle one request at a time
	times  map[string]int     // how often each request was sent, by its method and object
	late   []lateEffect       // the requests that are carried out later
	asOf   time.Time          // when the late request happens that is carried out now; zero if there is none
	before map[string]version // what each account and group was before its last change
	alien  map[string]string  // the accounts and groups of strangers, which must not change
	sent   int                // how many requests that change something have arrived
}

// traits say how the application of a seed always behaves.
type traits struct {
	unique    bool   // whether a second account with the same userName is refused
	cascades  bool   // whether the deletion of an account ends its memberships
	shows     string // which members a GET of a group shows: "whole", "truncated" or "none"
	asks      bool   // whether a group can be searched by a member
	atOnce    int    // how many members one PATCH may have; 0 means no limit
	tooMany   int    // the HTTP status for a PATCH with more members
	byValue   string // what a removal by a list of values does: "removes", "is refused", "is ignored" or "empties"
	throttles string // the one method that is throttled far more often than others; "" if none
	compares  bool   // a search by userName compares case, and p0 has an account in capital letters
}

// version is an older state of an account or group. r is nil if the account or group did not exist.
type version struct {
	r     scim.Resource
	until time.Time // the time until which reads may still show the state
}

// lateEffect is a request that is carried out after its answer was lost.
type lateEffect struct {
	at time.Time
	id string // the id of the account or group
	do func()
}

const (
	staleTime = 4 * time.Second // the longest time by which reads are out of date
	shownMost = 50              // how many members a truncated list shows
)

func newUnwell(s *seeded) *unwell {
	u := &unwell{
		application: &application{token: "secret", users: map[string]scim.Resource{}, byName: map[string][]string{}, created: map[string]int{}},
		groups:      &teams{byID: map[string]scim.Resource{}},
		s:           s, kinds: map[string]int{}, times: map[string]int{}, before: map[string]version{}, alien: map[string]string{}, calm: true,
	}
	r := s.random
	for _, kind := range failures {
		if r.IntN(3) == 0 {
			u.kinds[kind] = 20 + r.IntN(160)
		}
	}
	u.traits = traits{
		unique: r.IntN(2) == 0, cascades: r.IntN(2) == 0, shows: []string{"whole", "truncated", "none"}[r.IntN(3)], asks: r.IntN(3) > 0,
		atOnce: []int{0, 0, 1, 2}[r.IntN(4)], tooMany: []int{400, 413}[r.IntN(2)],
		byValue:   []string{"removes", "removes", "is refused", "is ignored", "empties"}[r.IntN(5)],
		throttles: []string{"", "", http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete}[r.IntN(6)],
		compares:  rand.New(rand.NewPCG(s.seed, 13)).IntN(4) == 0,
	}
	u.application.compares = u.traits.compares
	if !u.traits.asks && u.traits.byValue != "is refused" {
		u.traits.byValue = "removes" // the engine could not notice any other behavior
	}
	return u
}

// failures are the failures that a request can meet.
var failures = []string{
	"throttled", "unavailable", "error", "gateway", "cut", "page", // the request is not carried out
	"error after", "cut after", "cut short", "gateway after", "slow", // the request is carried out
	"late", "gone", "gone page", "stale", "ignored", "location", "accepted", "change",
}

// strangers adds accounts and groups that no person or group of the directory may get.
func (u *unwell) strangers() {
	for _, name := range []string{"root", "svc@contoso.com"} {
		id := u.add(account(name))
		u.alien[id] = string(encode(u.users[id]))
	}
	team := scim.Resource{"schemas": []any{scim.GroupURN}, "displayName": "Strangers", "members": u.crowd("s")}
	u.alien[u.addTeam(team)] = string(encode(team))
}

// crowd returns members that only the application knows.
func (u *unwell) crowd(of string) (members []any) {
	for i := range shownMost + 5 {
		members = append(members, map[string]any{"value": fmt.Sprintf("%s-%d", of, i)})
	}
	return members
}

func (u *unwell) addTeam(r scim.Resource) string {
	u.groups.mu.Lock()
	defer u.groups.mu.Unlock()
	id := fmt.Sprintf("g%d", len(u.groups.order)+1)
	r["id"] = id
	u.groups.byID[id], u.groups.order = r, append(u.groups.order, id)
	return id
}

// heal makes the application work without failures, and carries out all late requests.
func (u *unwell) heal() {
	u.lock.Lock()
	defer u.lock.Unlock()
	u.calm = true
	u.flush(time.Time{}, "")
}

// flush carries out late requests: all of an account or group, all that are due by a time, or all
// of them.
func (u *unwell) flush(now time.Time, id string) {
	var due []lateEffect
	u.late = slices.DeleteFunc(u.late, func(l lateEffect) bool {
		is := now.IsZero() || !l.at.After(now) || id != "" && l.id == id
		if is {
			due = append(due, l)
		}
		return is
	})
	slices.SortStableFunc(due, func(a, b lateEffect) int { return a.at.Compare(b.at) })
	for _, l := range due {
		if !l.at.After(u.s.clock.now()) { // the change counts from the request's own time on, which is past
			u.asOf = l.at
		}
		l.do()
		u.asOf = time.Time{}
	}
}

// now returns the time of the request that is carried out.
func (u *unwell) now() time.Time {
	if !u.asOf.IsZero() {
		return u.asOf
	}
	return u.s.clock.now()
}

// personOf returns the id of the directory's object to which an account or group belongs.
func (u *unwell) personOf(a scim.Resource) string {
	if id := a.String("externalId"); id != "" {
		return id
	}
	id, _, _ := strings.Cut(a.String("userName"), "@")
	id, _, _ = strings.Cut(id, ".")
	if id != "" {
		return strings.ToLower(id)
	}
	id, _, _ = strings.Cut(strings.TrimPrefix(a.String("displayName"), "Team "), ".")
	return id
}

// accountsOf returns the accounts of a person.
func (u *unwell) accountsOf(person string) []scim.Resource {
	u.mu.Lock()
	defer u.mu.Unlock()
	return ofObject(u, u.order, u.users, person)
}

// everyAccount returns all accounts.
func (u *unwell) everyAccount() (all []scim.Resource) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range u.order {
		if a, ok := u.users[id]; ok {
			all = append(all, a)
		}
	}
	return all
}

// freeName gives an account a new name, as an administrator of the application would.
func (u *unwell) freeName(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.users[id].Clone()
	a["userName"] = "free-" + id
	u.users[id] = a
}

// teamsOf returns the application's groups that belong to a group of the directory.
func (u *unwell) teamsOf(group string) []scim.Resource {
	u.groups.mu.Lock()
	defer u.groups.mu.Unlock()
	return ofObject(u, u.groups.order, u.groups.byID, group)
}

func ofObject(u *unwell, order []string, all map[string]scim.Resource, object string) (found []scim.Resource) {
	for _, id := range order {
		if r, ok := all[id]; ok && u.personOf(r) == object {
			found = append(found, r)
		}
	}
	return found
}

// wire carries the requests of one engine.
type wire struct {
	u      *unwell
	number int
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
	}
	w.u.s.order.yield()
	response, slow, err := w.u.take(r, sent, w.number)
	if slow > 0 && w.number > 0 {
		w.u.s.order.Sleep(slow)
	}
	w.u.s.order.yield()
	return response, err
}

var errCut = fmt.Errorf("read: %w", io.ErrUnexpectedEOF)

// take handles a request. slow is how long the answer takes.
func (u *unwell) take(r *http.Request, sent []byte, engine int) (response *http.Response, slow time.Duration, err error) {
	u.lock.Lock()
	defer u.lock.Unlock()
	u.s.mu.Lock()
	dead := engine != 0 && (engine != u.s.born || u.s.crash.dead)
	u.s.mu.Unlock()
	if dead {
		return nil, 0, errCut
	}
	now := u.s.clock.now()
	u.flush(now, "")
	kind, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/scim/v2/"), "/")
	about := u.about(r, kind, id, sent)
	op := r.Method + " " + about
	u.times[op]++
	draw := u.drawer(op)
	failure := ""
	if !u.calm {
		failure = u.draw(draw, r.Method, kind, id, string(sent))
		if failure == "page" && strings.Contains(r.URL.Query().Get("filter"), "members") {
			failure = "" // as an answer, "page" would mean that the question is not supported, and the engine would trust that
		}
	}
	if failure != "" {
		u.s.say("%s %s/%s %s: %s %s", r.Method, kind, cmp.Or(id, "search"), about, failure, sent)
	} else {
		u.s.say("%s %s/%s %s %s", r.Method, kind, cmp.Or(id, "search"), about, sent)
	}
	do := func() (int, []byte, string) { return u.carryOut(r, kind, id, sent) }
	switch failure {
	case "throttled", "unavailable":
		status := map[string]int{"throttled": 429, "unavailable": 503}[failure]
		return respond(r, status, problem(status, "", "Later."), "Retry-After", fmt.Sprint(1+draw.IntN(40))), 0, nil
	case "error":
		return respond(r, 500, problem(500, "", "Broken.")), 0, nil
	case "gateway":
		return respond(r, 504, []byte("<html>timeout</html>")), 0, nil
	case "cut":
		return nil, 0, errCut
	case "page":
		return respond(r, 200, []byte("<html>Please sign in</html>"), "Content-Type", "text/html"), 0, nil
	case "gone":
		return respond(r, 404, problem(404, "", "There is no such user.")), 0, nil
	case "gone page":
		return respond(r, 404, []byte("<html>404</html>")), 0, nil
	case "error after":
		do()
		return respond(r, 500, problem(500, "", "Broken.")), 0, nil
	case "gateway after":
		do()
		return respond(r, 504, []byte("<html>timeout</html>")), 0, nil
	case "cut after":
		do()
		return nil, 0, errCut
	case "cut short":
		status, body, _ := do()
		return respond(r, status, body[:len(body)/2]), 0, nil
	case "late":
		delay := time.Duration(draw.IntN(1500)) * time.Millisecond
		if r.Method == http.MethodPost {
			delay = time.Duration(draw.IntN(90)) * time.Second // the engine searches for two minutes
		}
		u.late = append(u.late, lateEffect{at: now.Add(delay), id: id, do: func() {
			u.s.say("now %s %s is carried out", r.Method, about)
			do()
		}})
		if draw.IntN(2) == 0 {
			return respond(r, 504, []byte("<html>timeout</html>")), 0, nil
		}
		return nil, 0, errCut
	case "stale":
		return u.stale(r, kind, id, sent, now, draw), 0, nil
	case "ignored":
		u.mu.Lock()
		defer u.mu.Unlock()
		return respond(r, 200, encode(u.users[id])), 0, nil
	case "location":
		status, body, made := do()
		if status == 201 {
			return respond(r, 201, nil, "Location", "http://127.0.0.1:1/scim/v2/"+kind+"/"+made), 0, nil
		}
		return respond(r, status, body), 0, nil
	case "accepted":
		status, body, _ := do()
		if status == 201 {
			return respond(r, 202, nil), 0, nil
		}
		return respond(r, status, body), 0, nil
	case "slow":
		slow = time.Duration(draw.IntN(12_000)) * time.Millisecond
	case "change":
		u.s.step(draw, false)
	}
	u.flush(now.Add(-time.Hour), id)
	status, body, _ := do()
	return respond(r, status, body), slow, nil
}

// drawer returns the random numbers for one request. They depend on the request and on how often it
// was sent before, and hardly on other requests.
func (u *unwell) drawer(op string) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, op, " ", u.times[op])
	return rand.New(rand.NewPCG(u.s.seed, h.Sum64()))
}

// draw chooses the failure of a request; "" means none.
func (u *unwell) draw(r *rand.Rand, method, kind, id, sent string) string {
	if method == u.traits.throttles && r.IntN(3) == 0 {
		return "throttled"
	}
	for _, failure := range failures {
		if r.IntN(1000) >= u.kinds[failure] {
			continue
		}
		fits := true
		switch failure {
		case "error after", "cut after", "gateway after", "cut short", "late":
			fits = method != http.MethodGet && !(failure == "cut short" && (method == http.MethodDelete || kind == "Groups" && method == http.MethodPatch))
		case "gone": // RFC 7644 §3.6: this answer to a DELETE is proof
			fits = id != "" && method != http.MethodDelete
		case "gone page":
			fits = id != ""
		case "stale":
			fits = method == http.MethodGet
		case "ignored":
			// If the application returns another value than the sent one, the value counts as the
			// application's own form. It does not if the attribute blocks the account or is a
			// matching attribute. An application may also keep an account blocked.
			fits = method == http.MethodPatch && strings.Contains(sent, `"False"`)
		case "location", "accepted":
			fits = method == http.MethodPost
		}
		if fits {
			return failure
		}
	}
	return ""
}

// about returns the id of the directory's object that a request is about.
func (u *unwell) about(r *http.Request, kind, id string, sent []byte) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.groups.mu.Lock()
	defer u.groups.mu.Unlock()
	all, typ := u.users, scim.UserType()
	if kind == "Groups" {
		all, typ = u.groups.byID, scim.GroupType()
	}
	if id != "" {
		return u.personOf(all[id])
	}
	if r.Method == http.MethodPost {
		made, _, err := scim.Decode(typ, sent, scim.Lenient)
		if err != nil {
			return "nobody"
		}
		return u.personOf(made)
	}
	if filter := r.URL.Query().Get("filter"); strings.Contains(filter, "contoso") || kind == "Groups" && strings.Contains(filter, "Team") || strings.Contains(filter, "members") {
		return filter
	}
	return kind + " probe"
}

// carryOut carries out a request.
func (u *unwell) carryOut(r *http.Request, kind, id string, sent []byte) (status int, body []byte, made string) {
	now := u.now()
	if was, stranger := u.alien[id]; stranger && r.Method != http.MethodGet {
		u.s.fault("%s of what is a stranger's: %s", r.Method, was)
	}
	if r.Method != http.MethodGet {
		u.sent++
	}
	if kind == "Groups" {
		return u.carryOutTeam(r, id, sent, now)
	}
	u.mu.Lock()
	old, count := u.users[id], len(u.order)
	u.mu.Unlock()
	if r.Method == http.MethodPost {
		made, _, err := scim.Decode(scim.UserType(), sent, scim.Lenient)
		if err == nil && u.taken(made.String("userName"), "") {
			return http.StatusConflict, problem(409, "uniqueness", "There is an account with this userName."), ""
		}
		if err == nil {
			if have := u.accountsOf(u.personOf(made)); len(have) > 0 {
				u.s.fault("%s gets a second account; the first is %s", u.personOf(made), encode(have[0]))
			}
		}
	}
	status, body = u.handle(r, id, sent)
	if status >= 300 || r.Method == http.MethodGet {
		return status, body, ""
	}
	u.mu.Lock()
	is := u.users[id]
	u.mu.Unlock()
	if r.Method == http.MethodPatch && u.taken(is.String("userName"), id) {
		u.mu.Lock()
		u.users[id] = old
		u.mu.Unlock()
		return http.StatusConflict, problem(409, "uniqueness", "There is an account with this userName."), ""
	}
	if r.Method == http.MethodDelete && u.traits.cascades {
		u.leaveTeams(id)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.order) > count {
		id = u.order[count]
	}
	if old != nil || r.Method == http.MethodPost {
		u.before[id] = version{r: old, until: now.Add(staleTime)}
	}
	return status, body, id
}

// leaveTeams removes a deleted account from all groups.
func (u *unwell) leaveTeams(account string) {
	u.groups.mu.Lock()
	defer u.groups.mu.Unlock()
	for id, team := range u.groups.byID {
		members, _ := team["members"].([]any)
		left := slices.DeleteFunc(slices.Clone(members), func(m any) bool { return text(m.(map[string]any)["value"]) == account })
		if len(left) < len(members) {
			team = team.Clone()
			team["members"] = left
			u.groups.byID[id] = team
		}
	}
}

// taken reports whether an account other than but has the user name, which must be unique.
func (u *unwell) taken(name, but string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range u.byName[scim.Fold(name)] {
		if a, there := u.users[id]; there && id != but && u.traits.unique && scim.Fold(a.String("userName")) == scim.Fold(name) {
			return true
		}
	}
	return false
}

// carryOutTeam carries out a request about a group.
func (u *unwell) carryOutTeam(r *http.Request, id string, sent []byte, now time.Time) (status int, body []byte, made string) {
	t := u.groups
	t.mu.Lock()
	defer t.mu.Unlock()
	old, count := t.byID[id], len(t.order)
	filter := r.URL.Query().Get("filter")
	switch {
	case r.Method == http.MethodPost:
		made, _, err := scim.Decode(scim.GroupType(), sent, scim.Lenient)
		if have := ofObject(u, t.order, t.byID, u.personOf(made)); err == nil && len(have) > 0 {
			u.s.fault("%s gets a second group; the first is %s", u.personOf(made), encode(have[0]))
		}
	case r.Method == http.MethodPatch && old != nil:
		if status, answered := u.readsMembers(id, old, readPatch(string(sent))); answered {
			body = nil
			if status >= 300 {
				body = problem(status, "", "Not like this.")
			}
			return status, body, id
		}
	case r.Method == http.MethodGet && strings.Contains(filter, "members") && !u.traits.asks:
		return http.StatusBadRequest, problem(400, "invalidFilter", "No such filter."), ""
	}
	status, body = t.handle(r, id, sent)
	if status < 300 && r.Method == http.MethodGet && id != "" && u.traits.shows != "none" && !strings.Contains(r.URL.RawQuery, "excludedAttributes") {
		body = encode(u.shown(t.byID[id]))
	}
	if status >= 300 || r.Method == http.MethodGet {
		return status, body, ""
	}
	if len(t.order) > count {
		id = t.order[count]
	}
	if old != nil || r.Method == http.MethodPost {
		u.before[id] = version{r: old, until: now.Add(staleTime)}
	}
	return status, body, id
}

// shown returns a group as the application shows it.
func (u *unwell) shown(team scim.Resource) scim.Resource {
	team = team.Clone()
	if members, _ := team["members"].([]any); u.traits.shows == "truncated" && len(members) > shownMost {
		team["members"] = members[:shownMost]
	}
	return team
}

// readsMembers answers a change of members if the application has its own way of reading such
// changes.
func (u *unwell) readsMembers(id string, team scim.Resource, p memberPatch) (status int, answered bool) {
	count, byValue := 0, false
	for _, op := range p.Operations {
		if !strings.HasPrefix(op.Path, "members") {
			return 0, false
		}
		var values []json.RawMessage
		_ = json.Unmarshal(op.Value, &values)
		count += max(1, len(values))
		byValue = byValue || strings.EqualFold(op.Op, "remove") && op.Path == "members"
		if byValue && len(values) == 0 {
			u.s.fault("a removal that names no member of %s", id)
		}
	}
	switch {
	case u.traits.atOnce > 0 && count > u.traits.atOnce:
		return u.traits.tooMany, true
	case byValue && u.traits.byValue == "is refused":
		return http.StatusBadRequest, true
	case byValue && u.traits.byValue == "is ignored":
		return http.StatusNoContent, true
	case byValue && u.traits.byValue == "empties":
		team = team.Clone()
		delete(team, "members")
		u.groups.byID[id] = team
		return http.StatusNoContent, true
	}
	return 0, false
}

// stale answers a read from an out-of-date replica. The replica may be out of date for some objects
// only, so changes may become visible in another order.
func (u *unwell) stale(r *http.Request, kind, id string, sent []byte, now time.Time, draw *rand.Rand) *http.Response {
	all, lock := u.users, &u.mu
	if kind == "Groups" {
		all, lock = u.groups.byID, &u.groups.mu
	}
	lock.Lock()
	kept := map[string]scim.Resource{}
	for _, id := range slices.Sorted(maps.Keys(u.before)) {
		v := u.before[id]
		if _, is := all[id]; now.After(v.until) || strings.HasPrefix(id, "g") != (kind == "Groups") || draw.IntN(4) == 0 || !is && v.r == nil {
			continue
		}
		kept[id] = all[id]
		if v.r == nil {
			delete(all, id)
		} else {
			all[id] = v.r
		}
	}
	lock.Unlock()
	status, body, _ := u.carryOut(r, kind, id, sent)
	lock.Lock()
	defer lock.Unlock()
	for id, a := range kept {
		if a == nil {
			delete(all, id)
		} else {
			all[id] = a
		}
	}
	return respond(r, status, body)
}

// content returns all accounts and groups of the application as a string, for comparisons.
func (u *unwell) content() string {
	var b strings.Builder
	for _, id := range u.order {
		fmt.Fprintf(&b, "%s %s\n", id, encode(u.users[id]))
	}
	for _, id := range u.groups.order {
		fmt.Fprintf(&b, "%s %s\n", id, encode(u.groups.byID[id]))
	}
	return b.String()
}

func respond(r *http.Request, status int, body []byte, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/scim+json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(body)), Request: r, ProtoMajor: 1, ProtoMinor: 1}
}

// plantedTarget is a client with a fault that a test has planted.
type plantedTarget struct {
	provision.Target
	plant string
}

func (p plantedTarget) Patch(ctx context.Context, id string, changes []provision.Change) (provision.TargetObject, error) {
	o, err := p.Target.Patch(ctx, id, changes)
	if err != nil && p.plant == "a refused update is believed" {
		return provision.TargetObject{ID: id}, nil
	}
	return o, err
}

func (p plantedTarget) Groups() provision.GroupTarget {
	return plantedGroups{p.Target.Groups(), p.plant}
}

// plantedGroups is the interface to groups of a client with a planted fault.
type plantedGroups struct {
	provision.GroupTarget
	plant string
}

func (p plantedGroups) AddMembers(ctx context.Context, group string, members []string) error {
	err := p.GroupTarget.AddMembers(ctx, group, members)
	if p.plant == "a refused addition of members is believed" {
		return nil
	}
	return err
}

func (p plantedGroups) Patch(ctx context.Context, id string, changes []provision.Change) (provision.TargetObject, error) {
	return plantedTarget{p.GroupTarget, p.plant}.Patch(ctx, id, changes)
}

func (p plantedGroups) HasMember(ctx context.Context, group, member string) (bool, error) {
	if p.plant == "no removal of members is checked" {
		return false, &provision.TargetError{Kind: provision.Unsearchable}
	}
	return p.GroupTarget.HasMember(ctx, group, member)
}
