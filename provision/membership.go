package provision

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// membersIDSuffix is the suffix of the work-list id for a group's memberships.
const membersIDSuffix = "#members"

// MembersOf returns the work-list id for a group's memberships. They are listed separately from the
// group, with their own lane and failures.
func MembersOf(group string) string { return group + membersIDSuffix }

// groupOf returns the id of the group, and true, if id is a work-list id for memberships. Otherwise
// it returns id and false.
func groupOf(id string) (group string, is bool) {
	if _, account := AccountOfWork(id); account {
		return id, false
	}
	return strings.CutSuffix(id, membersIDSuffix)
}

// objectOfWork returns the id of the object that a work-list id is about; for memberships, this is
// their group. No two workers have the same object in hand at the same time.
func objectOfWork(id string) string {
	group, _ := groupOf(id)
	return group
}

// Membership holds the job's stored data about one member of one group, with the member's link.
type Membership struct {
	Member              string // the object id of the member
	AcknowledgedAccount string // the id of the account that the target has acknowledged as a member; "" if there is none
	Unsure              bool   // whether a request about the membership may or may not have been carried out
	Turn                int64  // a number that grows with each change of the membership
	Cause               string // the id of the cause of the change; "" for a single change
	Takes               bool   // whether the removal may be sent, because the guard has let it through or need not judge it
	Refused             string // why the target refused the change the last time; "" if it did not
	Link                *Link  // the member's link, without its ledger; nil if there is none
	Sharer              string // the id of another object that is now linked to the account AcknowledgedAccount; "" if there is none

	Verdict Verdict // the guard's verdict on the removal
	Open    bool    // whether the change still has to be sent or checked
}

// MembersWork is the work that is left to do on the memberships of a group.
type MembersWork struct {
	// Announced says whether the outcome of the last request was not recorded. Then the other
	// fields are not set.
	Announced      bool
	Reading        bool         // whether the engine is still reading all members of the group
	After          string       // the object id of the last member that was read
	NoneRemembered bool         // whether no membership after that member is remembered
	Open           []Membership // the memberships that still have to be sent or checked
	Other          string       // the account id of any member that the target has acknowledged and that needs no change; "" if there is none
	Refused        int          // how many memberships the target refused the last time, and that have not changed since
}

// EndingMember is a membership that would end, for the guard to judge.
type EndingMember struct {
	Member string // the object id of the member
	Turn   int64  // the Turn of the membership
	Passes bool   // whether the guard lets the removal pass; if not, the removal waits until its cause is judged
	Reason string // why the membership would end, in words
}

// MemberOutcome is the result for one membership.
type MemberOutcome struct {
	Member  string // the object id of the member
	Turn    int64  // the Turn of the membership that the engine worked on
	Has     string // the id of the account that is a member at the target; "" if there is none
	Unsure  bool   // whether the request may or may not have been carried out
	Refused string // why the target refused the change; "" if it did not
	Open    bool   // whether the membership still needs work

	Planned PlannedMemberOutcome // the result of a plan's change of the membership
}

const (
	membersPage = 1_000     // how many memberships are handled together, and the largest number in one request
	memberBytes = 256 << 10 // the largest size of the ids in one request, in bytes
	// filterOps is the largest number of removals in one request if each removal is a separate
	// operation.
	filterOps = 100
	// mostChecked is how many memberships one request carries if each of them may have to be
	// checked.
	mostChecked = 20
)

// usableAccountID returns the account's id if the account may be a member of groups, or may be
// referred to, for example as a manager. Otherwise it returns "". A blocked account keeps its
// memberships. An account whose person is no longer in scope loses its memberships.
func (l *Link) usableAccountID() string {
	if l == nil {
		return ""
	}
	switch {
	case l.State == Active, l.State == Held, l.State == Disabled && l.Kind != GroupKind:
		return l.TargetID
	}
	return ""
}

// listMembers returns the work that follows from changes of memberships. It leaves out groups
// without a link, because the engine looks at all members of a group when the group gets a link.
func (r *run) listMembers(edges []Edge, states map[string]LinkState) []Listed {
	type pair struct{ group, member string }
	var listed []Listed
	groupAt, memberAt := map[string]int{}, map[pair]int{}
	for _, e := range edges {
		if _, linked := states[e.Group]; !linked || !r.job.sendsMember(e.Kind) {
			continue
		}
		i, known := groupAt[e.Group]
		if !known {
			i, groupAt[e.Group] = len(listed), len(listed)
			listed = append(listed, Listed{ObjectID: MembersOf(e.Group), Why: ByChange, Lane: Memberships})
		}
		change := ListedMember{Member: e.Member, Cause: e.Cause, Takes: !e.Present && e.Cause == ""}
		if j, known := memberAt[pair{e.Group, e.Member}]; known {
			listed[i].Members[j] = change
		} else {
			memberAt[pair{e.Group, e.Member}] = len(listed[i].Members)
			listed[i].Members = append(listed[i].Members, change)
		}
	}
	return listed
}

// addRelatedWork adds to an outcome its effects on memberships and references. If a group was
// linked, all its memberships must be sent. If an account was created, removed or changed, the
// memberships and references with that account must be looked at.
func (r *run) addRelatedWork(ctx context.Context, w *work, o *Outcome) error {
	before := w.known.Link
	after := before
	switch {
	case o.Link != nil:
		after = o.Link
	case o.Unlink:
		after = nil
	}
	o.RefersTo, o.Cause = w.refersTo, w.known.Cause
	if w.m.kind == GroupKind {
		switch is := after.usableAccountID(); {
		case after == nil && before != nil:
			o.Members = ForgetMembers
		case is != "" && before.usableAccountID() == "" && before != nil && before.TargetID == is:
			// Until now, the group was not found or not in scope. At the target it still has the
			// members that it had before.
			o.Members = ProveMembers
		case is != "" && is != before.usableAccountID():
			o.Members = ReadNewMembers
		case is != "" && (w.known.Why == ByCycle || w.known.Why == ByRetry) && !w.skipped():
			// An initial cycle looks at all members of a group after the group. The group may have failed
			// then, and is tried again now.
			o.Members, o.Cause = ReadMembers, r.cycleCause()
			if w.p.readsEveryAccount {
				o.Members = ProveMembers
			}
		}
	}
	if before.usableAccountID() == after.usableAccountID() {
		return nil
	}
	o.AccountMoved = true
	// The guard has judged the accounts that are disabled or deleted, but not the accounts that the
	// job only releases.
	o.SkipsGuard = after.usableAccountID() == "" && (w.known.Takes || w.known.Cause == "")
	if after.usableAccountID() == "" || !r.groupsOn() || !r.job.sendsMember(w.m.kind) {
		return nil
	}
	var err error
	if o.MemberOf, err = r.groups.source.GroupsOf(ctx, w.known.ObjectID); err != nil {
		return fmt.Errorf("read the groups of %s: %w", w.known.ObjectID, err)
	}
	return nil
}

// skipped reports whether the group was skipped because groups are not provisioned now.
func (w *work) skipped() bool { return w.p.m.kind != w.m.kind }

// workMembers works on the memberships of a group. If it did not finish, so that the work stays on
// the list, it returns the work-list id of the memberships.
func (l *pipeline) workMembers(ctx context.Context, known Pending) (untouched []string) {
	group, _ := groupOf(known.ObjectID)
	s := memberSync{l: l, group: group, known: known, firm: withRequest(context.WithoutCancel(ctx), &request{lane: known.Lane})}
	work := s.run
	if known.Why == ByPlan {
		work = s.runPlanned
	}
	done, err := work(ctx)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			l.fail(err)
		}
		return []string{known.ObjectID}
	case !done && s.problem == nil && s.refused == 0:
		return []string{known.ObjectID}
	case !done && s.problem == nil: // the next slice continues, and need not try the refused members again
		s.waits = l.r.e.Now()
	}
	send(l.goroutines, l.records, record{outcome: s.conclude()})
	return nil
}

// memberSync sends the changes of one group's members to the target.
type memberSync struct {
	l           *pipeline
	group       string          // the object id of the group
	known       Pending         // the work on the memberships, with what the job has stored about it
	firm        context.Context // the context for requests that must be finished after they began
	link        Link            // the link of the group
	problem     *TargetError    // why the group must be tried again; nil if nothing failed
	refused     int             // how many memberships the target refused
	leftRefused int             // how many memberships are refused after all the others were sent
	hasRetried  bool            // whether memberships that were refused in an earlier run are tried again
	waits       time.Time       // the time until which the work must wait; zero if it need not wait
	budget      int             // how many more refused requests may be divided before the next success
	isShown     bool            // whether the target has shown the group in this run
	isBroken    bool            // whether the target failed for a membership, instead of refusing it
	other       string          // the account id of any member that stays in the group; "" if there is none
	groupIsGone bool            // whether the target no longer knows the group
	page        *readMembers    // the page of the group's members that was read last; nil if there is none
	isNewPage   bool            // whether the members of that page are sent before they are remembered

	planned *plannedMembers // the membership changes of an approved plan, if only they may be sent; otherwise nil
}

// readMembers is a page of a group's members, as read from the source.
type readMembers struct {
	after, upTo string                // the page begins after the member after; upTo is its last member, or "" if no page follows
	kinds       map[string]ObjectKind // the kinds of the members
	others      []string              // the members without an account, once that is known
}

// run does the work on the group's members. done is false if the slice ended first.
func (s *memberSync) run(ctx context.Context) (done bool, err error) {
	r := s.l.r
	if ready, err := s.begin(ctx); err != nil || !ready {
		return err == nil, err // the engine looks at all members when the group has a link again
	}
	for !s.stopped() {
		if ctx.Err() != nil || !r.e.Now().Before(s.l.until) {
			return false, nil
		}
		todo, err := r.e.Store.Memberships(ctx, r.job.Key, s.group, r.e.membersPage())
		switch {
		case err != nil:
			return false, err
		case todo.Announced: // a process died before it recorded the outcome
			if err := s.record(nil, nil); err != nil {
				return false, err
			}
		case todo.Refused > 0 && s.refused == 0 && !s.hasRetried && s.retryIsDue(): // all of these were refused in an earlier run
			s.hasRetried = true
			if err := r.e.Store.RetryMembers(ctx, r.fence, s.group); err != nil {
				return false, err
			}
		case todo.Reading:
			if err := s.readPage(ctx, todo); err != nil {
				return false, err
			}
		case len(todo.Open) == 0:
			s.leftRefused = todo.Refused
			return true, nil
		default:
			if err := s.send(ctx, todo); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// retryIsDue reports whether memberships that the target refused in an earlier run are tried again.
// A change of other members is no reason to try them again before the retry of the group's
// memberships is due. A new cycle, or somebody who asks for the group, is.
func (s *memberSync) retryIsDue() bool {
	e, r := s.known.Escrow, s.l.r
	if e == nil || !r.e.Now().Before(e.Next) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case s.known.Why == ByDemand:
		return e.Last.Before(s.known.Since)
	case s.known.Why == ByRetry || r.forced:
		return e.Last.Before(r.state.Cycle.Started)
	}
	return false
}

// begin prepares to send changes of the group's members. ready is false if none may be sent, for
// example because the target does not have the group.
func (s *memberSync) begin(ctx context.Context) (ready bool, err error) {
	r := s.l.r
	known, err := r.e.Store.KnownAbout(ctx, r.job.Key, s.group)
	if err != nil {
		return false, err
	}
	if known.Link.usableAccountID() == "" || s.l.p.groups == nil || !r.groups.syncsMembers() {
		return false, nil
	}
	s.link = *known.Link
	if !r.groups.m.can(FlowUpdate) && s.link.How != "created" {
		return false, nil
	}
	s.budget = maxIsolation
	return true, s.settleSuspicion(ctx)
}

// stopped reports whether no more requests about the group may be sent in this slice.
func (s *memberSync) stopped() bool { return s.problem != nil || !s.waits.IsZero() || s.groupIsGone }

// syncsMembers reports whether the mapping has a row for members.
func (g *groups) syncsMembers() bool {
	return slices.ContainsFunc(g.m.rows, func(r row) bool { return r.Type == TypeReference && strings.EqualFold(r.Target, "members") })
}

// readPage reads a page of the group's members in the directory. If no membership of the page is
// remembered, it sends them at once. Otherwise it adds them to the job's memberships of the group.
func (s *memberSync) readPage(ctx context.Context, todo MembersWork) error {
	r := s.l.r
	page, err := r.groups.source.Members(ctx, s.group, todo.After, r.e.membersPage())
	if err != nil {
		return fmt.Errorf("read the members of %s: %w", s.group, err)
	}
	upTo := "" // "" means that this is the last page
	if len(page) == r.e.membersPage() {
		upTo = page[len(page)-1].Member
	}
	s.page = &readMembers{after: todo.After, upTo: upTo, kinds: make(map[string]ObjectKind, len(page))}
	var members []string
	for _, e := range page {
		s.page.kinds[e.Member] = e.Kind
		if r.job.sendsMember(e.Kind) {
			members = append(members, e.Member)
		}
	}
	if todo.NoneRemembered {
		if done, err := s.sendNewPage(ctx, members); done || err != nil {
			return err
		}
	}
	return s.rememberPage(ctx, members)
}

// rememberPage adds these members of the page that was read to the job's memberships of the group.
func (s *memberSync) rememberPage(ctx context.Context, members []string) error {
	r := s.l.r
	return r.changeNothing(func() error {
		return r.e.Store.RecordReadMembers(ctx, r.fence, s.group, s.page.after, s.page.upTo, members)
	})
}

// sendNewPage sends these members of the page that was read. None of them is remembered, so they
// are stored only once, after they were sent. done is false if they do not fit into one request.
func (s *memberSync) sendNewPage(ctx context.Context, members []string) (done bool, err error) {
	r := s.l.r
	links, err := r.e.Store.MemberLinks(ctx, r.job.Key, members)
	if err != nil {
		return false, err
	}
	var changes []memberChange
	for _, m := range members {
		if id := links[m].usableAccountID(); id != "" {
			changes = append(changes, memberChange{Membership: Membership{Member: m, Turn: firstTurn, Link: links[m], Open: true}, id: id})
		} else {
			s.page.others = append(s.page.others, m)
		}
	}
	if len(s.chunks(changes, false)) > 1 {
		return false, nil
	}
	s.isNewPage = true
	defer func() { s.isNewPage = false }()
	if len(changes) == 0 {
		return true, s.recordNewPage(nil, nil)
	}
	return true, s.sendChanges(changes, false)
}

// recordNewPage stores the outcomes of a page that sendNewPage has sent, and a log entry if entry
// is not nil.
func (s *memberSync) recordNewPage(out []MemberOutcome, entry *LogEntry) error {
	page := s.page
	s.page = nil // a member may have left while the request was under way, so the directory is asked again
	return s.store(MembersRecord{Outcomes: out, Entry: entry, IsNewPage: true, UpTo: page.upTo, Others: page.others})
}

// memberChange is a membership that must be added or removed at the target.
type memberChange struct {
	Membership
	id   string // the id of the account
	ends string // why the membership ends, in words; "" if it only moves to another account, or if the account is lost
	// staysWith is the id of the account with which a member that is removed stays a member. It is
	// set only for a change of a plan.
	staysWith string
	// mayHaveHappened says whether an earlier request of this run may have carried out the change.
	mayHaveHappened bool
}

// decide compares memberships with the directory. It returns the memberships to remove, those to
// add, and the outcomes of those that need no request.
func (s *memberSync) decide(ctx context.Context, open []Membership) (removals, additions []memberChange, settled []MemberOutcome, err error) {
	r := s.l.r
	among, ids := map[string]ObjectKind{}, make([]string, 0, len(open))
	for _, m := range open {
		// A member of the page that was just read is a member. If the membership has changed since,
		// it was listed again, and has a later turn.
		if kind, is := s.kindOnPage(m); is {
			among[m.Member] = kind
		} else {
			ids = append(ids, m.Member)
		}
		if m.Sharer != "" {
			ids = append(ids, m.Sharer)
		}
	}
	s.page = nil
	if len(ids) > 0 {
		asked, err := r.groups.source.MembersAmong(ctx, s.group, ids)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("read the members of %s: %w", s.group, err)
		}
		maps.Copy(among, asked)
	}
	for _, m := range open {
		want := ""
		kind, in := among[m.Member]
		sent := r.job.sendsMember(kind)
		if in && sent {
			want = m.Link.usableAccountID()
		}
		_, shared := among[m.Sharer]
		switch adds, removes := m.compare(want, shared); {
		case adds:
			additions = append(additions, memberChange{Membership: m, id: want})
		case removes:
			removals = append(removals, memberChange{Membership: m, id: m.AcknowledgedAccount, ends: m.whyEnds(s.name(), in, sent, want)})
		default:
			settled = append(settled, MemberOutcome{Member: m.Member, Turn: m.Turn, Has: m.AcknowledgedAccount})
		}
	}
	return removals, additions, settled, nil
}

// firstTurn is the turn of a membership that was stored when the group's members were read, and
// that has not changed since. A membership that is stored because it changed has a later turn.
const firstTurn = 1

// kindOnPage returns the kind of a member that is on the page that was read last. is is false if
// the member is not on the page, or if the membership may have changed since.
func (s *memberSync) kindOnPage(m Membership) (kind ObjectKind, is bool) {
	if s.page == nil || m.Turn != firstTurn {
		return "", false
	}
	kind, is = s.page.kinds[m.Member]
	return kind, is
}

// compare reports whether a membership must be added or removed at the target. want is the id of
// the account that should be the member; "" if there is none. shared says whether the object
// Sharer, which is now linked to the account AcknowledgedAccount, is also a member.
func (m *Membership) compare(want string, shared bool) (adds, removes bool) {
	if m.AcknowledgedAccount != want && m.Sharer != "" && shared {
		m.AcknowledgedAccount = "" // the account belongs to another member now
	}
	if m.AcknowledgedAccount == "" || m.AcknowledgedAccount == want {
		return want != "" && (m.AcknowledgedAccount == "" || m.Unsure), false
	}
	return false, true
}

// whyEnds says in words why a membership of a group ends. It returns "" if the membership does not
// end, or if the member's account is lost. in says whether the membership exists in the directory.
// sent says whether members of this kind are sent. want is the id of the account that should be the
// member.
func (m *Membership) whyEnds(group string, in, sent bool, want string) string {
	switch {
	case want != "":
		return ""
	case !in:
		return fmt.Sprintf("no member of group '%s' in the directory", group)
	case m.Link != nil && (m.Link.State == Missed || m.Link.State == Lost || m.Link.State == Gone):
		return ""
	case !sent:
		return fmt.Sprintf("group in group '%s', which is left out because Nested groups is off", group)
	}
	return fmt.Sprintf("member of group '%s', but without access to the application", group)
}

// splitForGuard returns the removals that may be sent now, and stores the other removals for the
// guard. A removal with a cause waits until the guard has judged the cause. A removal without a
// cause is a single change, or its cause is not imported yet. So splitForGuard first imports all
// changes.
func (s *memberSync) splitForGuard(ctx context.Context, removals []memberChange) (free []memberChange, err error) {
	r := s.l.r
	var judged []EndingMember
	caughtUp := false
	for _, c := range removals {
		if c.ends == "" || c.Takes {
			free = append(free, c)
			continue
		}
		if c.Cause == "" && !caughtUp {
			caughtUp = true
			if err := r.importAllChanges(ctx); err != nil {
				return nil, err
			}
		}
		judged = append(judged, EndingMember{Member: c.Member, Turn: c.Turn, Passes: c.Cause == "", Reason: c.ends})
	}
	if len(judged) == 0 {
		return free, nil
	}
	return free, r.e.Store.JudgeMembers(ctx, r.fence, s.group, judged)
}

// send sends the open changes of memberships. It sends removals before additions.
func (s *memberSync) send(ctx context.Context, todo MembersWork) error {
	removals, additions, settled, err := s.decide(ctx, todo.Open)
	if err != nil {
		return err
	}
	if len(settled) > 0 {
		if err := s.record(settled, nil); err != nil {
			return err
		}
	}
	s.other = todo.Other
	for _, m := range settled {
		s.other = cmp.Or(s.other, m.Has)
	}
	// No other code removes members at the target.
	if removals, err = s.splitForGuard(ctx, removals); err != nil {
		return err
	}
	for _, chunk := range s.chunks(removals, true) {
		if err := s.sendChanges(chunk, true); err != nil || s.stopped() {
			return err
		}
	}
	for _, chunk := range s.chunks(additions, false) {
		if err := s.sendChanges(chunk, false); err != nil || s.stopped() {
			return err
		}
	}
	return nil
}

// chunks divides changes into groups, of which each is sent in one request. Changes that the target
// refused before come last, in requests of their own, so that the others do not fail with them.
func (s *memberSync) chunks(changes []memberChange, removing bool) [][]memberChange {
	wasRefused := func(c memberChange) int { return min(len(c.Refused), 1) }
	slices.SortStableFunc(changes, func(a, b memberChange) int { return cmp.Compare(wasRefused(a), wasRefused(b)) })
	most := s.l.membersAtOnce()
	if cut := s.l.memo.mostMembersOf(s.group); cut > 0 {
		most = min(most, cut)
	}
	if removing && s.l.r.removesByFilter() {
		most = min(most, filterOps)
	}
	if !s.isProved(removing) && slices.ContainsFunc(changes, func(c memberChange) bool { return c.Unsure }) {
		most = min(most, mostChecked)
	}
	var chunks [][]memberChange
	from, bytes := 0, 0
	for i, c := range changes {
		bytes += len(c.id) + 24
		if i-from == most || i > from && (bytes > memberBytes || wasRefused(c) != wasRefused(changes[i-1])) {
			chunks = append(chunks, changes[from:i])
			from, bytes = i, len(c.id)+24
		}
	}
	if from < len(changes) {
		chunks = append(chunks, changes[from:])
	}
	return chunks
}

// membersAtOnce returns how many memberships one request may carry.
func (l *pipeline) membersAtOnce() int {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if most := l.r.state.Members.mostAtOnce(l.r.e.Now()); most > 0 {
		return most
	}
	return l.r.e.membersPage()
}

// removesByFilter reports whether a request to remove members names them in filters of the path and
// not in its value.
func (r *run) removesByFilter() bool {
	return r.target.Dialect().Removal == RemoveByFilter || sendsCompliantly(r.job.TenantURL)
}

// recordUnsure records that a request with these changes failed, and may have been carried out. If
// the changes are a new page, it first adds the page to the job's memberships of the group.
func (s *memberSync) recordUnsure(changes []memberChange) error {
	if s.isNewPage {
		s.isNewPage = false
		members := slices.Clone(s.page.others)
		for _, c := range changes {
			members = append(members, c.Member)
		}
		if err := s.rememberPage(s.firm, members); err != nil {
			return err
		}
	}
	return s.record(nil, nil)
}

// sendChanges sends the changes in one request. If the target refuses them, sendChanges sends
// smaller requests. Right before each request, it announces the changes, so that the record is
// right even if the answer is lost. It announces nothing for a request that is not sent, because
// each unsure membership must be checked with the target later.
func (s *memberSync) sendChanges(changes []memberChange, removing bool) error {
	if s.l.r.e.Now().After(s.l.until) {
		s.waits = s.l.r.e.Now()
		return nil
	}
	announced := make([]MemberOutcome, len(changes))
	for i, c := range changes {
		announced[i] = MemberOutcome{Member: c.Member, Has: c.id}
	}
	began := s.l.r.e.Now()
	isAnnounced := false
	var storeError error
	ctx := withRequest(s.firm, &request{lane: s.known.Lane, beforeKind: UpdateRequest, before: func(context.Context) error {
		if !isAnnounced {
			isAnnounced = true
			storeError = s.l.r.e.Store.AnnounceMembers(s.firm, s.l.r.fence, s.group, announced)
		}
		return storeError
	}})
	te := s.request(ctx, changes, removing)
	if storeError != nil {
		return storeError
	}
	if te == nil {
		return s.succeed(changes, removing, began)
	}
	if isAnnounced {
		wasNewPage := s.isNewPage
		if err := s.recordUnsure(changes); err != nil {
			return err
		}
		if wasNewPage {
			// A member's account may have ended since the page was read. Until now, nothing was stored that
			// would have shown that.
			if ended, err := s.accountsHaveChanged(changes); err != nil || ended {
				s.waits = s.l.r.e.Now() // the memberships are read again
				return err
			}
		}
		for i := range changes {
			changes[i].mayHaveHappened = changes[i].mayHaveHappened || te.Sent
		}
	}
	if !te.postponed.IsZero() {
		s.waits = te.postponed
		return nil
	}
	groupIsShown := s.isShown
	if te.Kind == NotFound && (len(changes) == 1 || !s.isShown) || len(changes) == 1 && mayBeIsolated(te) {
		switch problem := s.readGroup(); {
		case problem == nil: // the refusal is about the members
			groupIsShown, s.isShown = true, true
		case !problem.postponed.IsZero():
			s.waits = problem.postponed
			return nil
		case problem.Kind != NotFound && te.Kind == NotFound:
			te = s.unchecked(problem) // it is not known yet whether the group or the member is gone
		case te.Kind == NotFound: // the group itself is gone: the engine looks for it, and then sends all members
			s.groupIsGone = true
			return s.l.r.e.Store.MarkGroupMissed(s.firm, s.l.r.fence, s.group)
		default:
			groupIsShown = false
		}
	}
	if mayConcernConnection(te) && s.l.testConnectionAfterFailure(s.firm, te) != nil {
		s.waits = s.l.r.e.Now()
		return nil
	}
	switch {
	case !s.mayConcernOneMember(te) && te.Status != http413:
	case len(changes) == 1 && te.Status != http413 && (groupIsShown || te.Kind == Transient):
		return s.refuse(changes, removing, te, began)
	case len(changes) > 1 && s.budget > 0:
		s.budget--
		return s.divide(changes, removing, te)
	case wereRefused(changes):
		return s.refuse(changes, removing, te, began)
	}
	s.problem = te
	return s.record(nil, s.entry(changes, removing, te, began))
}

// accountsHaveChanged reports whether any of the members now has another account than the one that
// was sent, or none.
func (s *memberSync) accountsHaveChanged(changes []memberChange) (bool, error) {
	members := make([]string, len(changes))
	for i, c := range changes {
		members[i] = c.Member
	}
	links, err := s.l.r.e.Store.MemberLinks(s.firm, s.l.r.job.Key, members)
	return slices.ContainsFunc(changes, func(c memberChange) bool { return links[c.Member].usableAccountID() != c.id }), err
}

// mayConcernOneMember reports whether a failure may be about a single membership, so that the
// target may accept the others. A failure that is not a refusal counts only if the group's
// memberships failed before, because most such failures pass.
func (s *memberSync) mayConcernOneMember(te *TargetError) bool {
	if te.Kind == Transient {
		ofTheChange := te.Code != codeIncompatible && strings.HasPrefix(te.Request, "PATCH") // not of a question about the change
		return ofTheChange && s.known.Escrow != nil && s.known.Escrow.Count > 0
	}
	return mayBeIsolated(te) || te.Kind == NotFound
}

// wereRefused reports whether the target refused all these memberships in an earlier run.
func wereRefused(changes []memberChange) bool {
	return !slices.ContainsFunc(changes, func(c memberChange) bool { return c.Refused == "" })
}

// divide sends changes in two requests after the target did not accept them in one. te is why it
// did not. If the target then accepts both, it seems to limit the number of members in a request;
// divide stores that, and the engine sends smaller requests from then on.
func (s *memberSync) divide(changes []memberChange, removing bool, te *TargetError) error {
	middle, refused := len(changes)/2, s.refused
	for _, half := range [][]memberChange{changes[:middle], changes[middle:]} {
		switch err := s.sendChanges(half, removing); {
		case err != nil:
			return err
		case !s.waits.IsZero() && te.Kind == Transient && s.l.r.e.Now().After(s.l.until):
			// The target is so slow that the slice is over. Without a pause, and with requests of
			// the same size, the next slice would end in the same way.
			s.problem, s.waits = te, time.Time{}
			return s.learnSize(max(middle+1, mostChecked))
		case !s.waits.IsZero() && s.l.r.e.Now().After(s.l.until):
			s.l.memo.cutMembers(s.group, len(changes)-middle) // the next slice goes on with smaller requests
			return nil
		case s.stopped():
			return nil
		}
	}
	switch {
	case te.Status == http413:
		return s.learnSize(middle + 1)
	case s.refused > refused || len(changes) <= mostChecked:
		return nil
	}
	return s.learnSize(max(middle+1, mostChecked)) // a failure that comes and goes must not lead to ever smaller requests
}

const http413 = 413

// learnSize records that the target accepts at most this many memberships in a request.
func (s *memberSync) learnSize(most int) error {
	r, now := s.l.r, s.l.r.e.Now()
	return r.changeState(func(st *State) {
		if before := st.Members.mostAtOnce(now); before == 0 || before > most {
			st.Members.AtOnce, st.Members.LearnedAt = most, now
		}
	}, func(st State) error { return r.e.Store.SaveState(s.firm, r.fence, st, nil) })
}

// request sends one request, and checks with some of the members whether the target carried it out.
// If the target ignores the usual form of removals, request tries the other form.
func (s *memberSync) request(ctx context.Context, changes []memberChange, removing bool) *TargetError {
	target := s.l.p.groups.members
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.id
	}
	send := target.AddMembers
	if removing {
		send = target.RemoveMembers
	}
	te := asProblem(send(ctx, s.link.TargetID, ids))
	if !removing && (te == nil || te.Sent) {
		s.l.memo.recordAdditions(s.group, ids, s.l.r.e.Now(), s.l.p.settle)
	}
	if te != nil && !te.Unchanged {
		if !removing || !te.Sent && !te.postponed.IsZero() {
			return te
		}
		// This request, or an earlier one whose outcome is not known, may have been carried out.
		if !te.Sent && !slices.ContainsFunc(changes, func(c memberChange) bool { return c.Unsure }) {
			return te
		}
		switch emptied, err := s.hasEmptied(); {
		case emptied:
			return s.suspect(changes, removing)
		case unanswered(err) && !te.Sent:
			return s.unchecked(err)
		}
		return te
	}
	if te != nil { // the answer may show the group as it was before the request
		te = s.checkAfter(te, changes, removing)
	}
	if te == nil {
		te = s.check(changes, removing)
	}
	before := target.Dialect()
	if te == nil || te.Code != codeIncompatible || !removing || before.Removal == RemoveByFilter {
		return te // a target that was found to need filters may remove all members in the other form
	}
	// The target may ignore removals in this form, so try the other form. If an earlier try led to the
	// values, the answer that decided then may have been out of date.
	other := before
	if other.Removal = RemoveByFilter; before.Removal == "" && s.l.r.removesByFilter() {
		other.Removal = RemoveByValue
	}
	target.Speak(other)
	if asProblem(send(ctx, s.link.TargetID, ids)) == nil {
		switch second := s.check(changes, removing); {
		case second == nil:
			return nil
		case !second.postponed.IsZero():
			te = second
		}
	}
	target.Speak(before)
	return te
}

// sampleOf returns the changes to check with the target. One change is enough if it was not sent
// before and its account still exists: its check proves that the target carries out such changes.
// For a removal, the account must also be active. Other memberships may have changed in another
// way: by an earlier request whose answer was lost, or because the account was deleted or blocked.
// If there are only such memberships, sampleOf returns all changes that may have been sent before,
// or else one change, and proves is false. That change is one whose account exists, if there is any:
// many targets end the memberships of an account that they delete, but not of one that is blocked.
func sampleOf(changes []memberChange, removing bool) (sample []memberChange, proves bool) {
	for _, c := range changes {
		if !c.Unsure && c.Link != nil && !c.Link.missing() && c.Link.TargetID == c.id && (!removing || c.Link.State == Active) {
			return []memberChange{c}, true
		}
		if c.Unsure {
			sample = append(sample, c)
		}
	}
	exists := func(c memberChange) bool {
		return !c.Unsure && c.Link != nil && !c.Link.missing() && c.Link.TargetID == c.id
	}
	switch at := slices.IndexFunc(changes, exists); {
	case at >= 0:
		sample = append(sample, changes[at])
	case len(sample) == 0:
		sample = changes[:1]
	}
	return sample, false
}

// checkAfter asks the target whether it carried out changes although its answer did not show them.
// If the target does not support the question, the answer te decides.
func (s *memberSync) checkAfter(te *TargetError, changes []memberChange, removing bool) *TargetError {
	sample, _ := sampleOf(changes, removing)
	for _, c := range sample {
		switch has, err := s.l.p.groups.members.HasMember(s.firm, s.link.TargetID, c.id); {
		case unanswered(err):
			return s.unchecked(err)
		case err != nil:
			return te
		case has == removing:
			s.l.p.groups.anAnswerWasFalse.Store(true)
			return ignoredMember(c.id, removing)
		}
	}
	return nil
}

// check asks the target whether the accounts in a sample of the changes are members. It asks after
// each request until the target has proved that its answers are true. Then it asks after one in
// fifty requests, and after the first request of the process and of each ten minutes. If the target
// does not support the question, check trusts the answer to the change. If the answer to the
// question is lost, check returns an error, so that the change is sent and checked again.
func (s *memberSync) check(changes []memberChange, removing bool) *TargetError {
	p := s.l.p.groups
	// The members that are added now may have been removed before, by a request that was not
	// checked.
	undoes := !removing && !s.isProved(true) && slices.ContainsFunc(changes, func(c memberChange) bool { return c.Unsure })
	now := s.l.r.e.Now()
	if !undoes && s.isProved(removing) && s.l.memo.hasProvedMembers(removing, now) && !p.anAnswerWasFalse.Load() && p.unshown.Add(1)%readBackEvery != 0 {
		return nil
	}
	if (removing || undoes) && s.other != "" {
		switch stays, err := p.members.HasMember(s.firm, s.link.TargetID, s.other); {
		case unanswered(err):
			return s.unchecked(err)
		case err == nil && !stays:
			return s.suspect(changes, removing)
		}
	}
	sample, proves, err := s.sampleOf(changes, removing)
	if err != nil {
		s.l.fail(err)
		return nil
	}
	for _, c := range sample {
		has, err := p.members.HasMember(s.firm, s.link.TargetID, c.id)
		if te := asProblem(err); unanswered(err) || te != nil && te.Kind == NotFound {
			return s.unchecked(err) // also if the group seems to be gone, because it has just taken the change
		}
		if err == nil && has == removing {
			p.anAnswerWasFalse.Store(true)
			return ignoredMember(c.id, removing)
		}
	}
	if early := s.tooEarly(sample, removing); early != nil {
		return early
	}
	p.anAnswerWasFalse.Store(false)
	if !proves {
		return nil
	}
	s.l.memo.recordMemberProof(removing, now)
	if removing && !s.isProved(true) {
		switch ended, err := s.mayHaveEnded(sample[0].Member); {
		case err != nil:
			s.l.fail(err)
			return nil
		case ended || s.other == "": // if no member should stay, a removal of some members looks the same as a removal of all
			return nil
		}
	}
	s.proved(removing)
	return nil
}

// sampleOf is like the function sampleOf. As long as the target has not proved that it carries out
// removals, it leaves out members whose account may just have ended, if there are others.
func (s *memberSync) sampleOf(changes []memberChange, removing bool) (sample []memberChange, proves bool, err error) {
	sample, proves = sampleOf(changes, removing)
	rest := changes
	for range mostAskedForOne {
		if !proves || !removing || s.isProved(true) {
			break
		}
		ended, err := s.mayHaveEnded(sample[0].Member)
		if err != nil || !ended {
			return sample, proves, err
		}
		first := sample[0].Member
		rest = slices.DeleteFunc(slices.Clone(rest), func(c memberChange) bool { return c.Member == first })
		if len(rest) == 0 {
			return sample, false, nil
		}
		sample, proves = sampleOf(rest, removing)
	}
	return sample, proves, nil
}

// tooEarly returns a postponement if the answers that do not show the removed members of the sample
// may be older than their additions. The removal is then sent and checked again. After the target has
// proved that it carries out removals, tooEarly returns nil. It also returns nil while a plan is
// applied, because that does not wait.
func (s *memberSync) tooEarly(sample []memberChange, removing bool) *TargetError {
	if !removing || s.planned != nil || s.isProved(true) {
		return nil
	}
	s.l.r.mu.Lock()
	first := s.l.r.state.FirstDone
	s.l.r.mu.Unlock()
	var at time.Time
	if first.Before(s.l.memo.began) {
		at = s.l.memo.began.Add(s.l.p.settle) // another process added members, and it is not known when
	}
	for _, c := range sample {
		if added := s.l.memo.additionOf(s.group, c.id); !added.IsZero() {
			at = latest(at, added.Add(s.l.p.settle))
		}
	}
	if !s.l.r.e.Now().Before(at) {
		return nil
	}
	return &TargetError{
		Kind: Transient, Code: "EntryUnsettled", Sent: true, postponed: at,
		Detail: "A member was added a moment ago and is removed. The application may be behind, so it is asked again.",
	}
}

// mayHaveEnded reports whether the member's account may have been blocked or deleted. Some targets
// end the memberships of such accounts, so a membership that is gone proves no removal. The links
// of the memberships were read before the request, and another worker may have begun since to block
// or delete the account.
func (s *memberSync) mayHaveEnded(member string) (bool, error) {
	p := s.l.p.groups
	_, doubted := p.doubt.find(member)
	_, closing := p.closing.find(member)
	if doubted || closing {
		return true, nil
	}
	known, err := s.l.r.e.Store.KnownAbout(s.firm, s.l.r.job.Key, member)
	return known.Link == nil || known.Link.State != Active || known.removalFailed(), err
}

// ignoredMember is the problem of a target that accepted a change of a member without carrying it
// out.
func ignoredMember(id string, removing bool) *TargetError {
	what := "a new member, but the group does not have it"
	if removing {
		what = "the removal of a member, but the group still has it"
	}
	return &TargetError{
		Kind: Transient, Code: codeIncompatible, Status: http200, Request: "PATCH /Groups/{id}", Sent: true,
		Detail: fmt.Sprintf("The application accepted %s: %s.", what, id),
		Advice: "This is tried again. Ask the makers of the application why it ignores the change.",
	}
}

// hasEmptied reports whether a removal whose outcome is not known has removed all members of the
// group. After the target has proved that it carries out removals, hasEmptied no longer asks it,
// and returns false.
func (s *memberSync) hasEmptied() (bool, error) {
	if s.isProved(true) || s.other == "" {
		return false, nil
	}
	stays, err := s.l.p.groups.members.HasMember(s.firm, s.link.TargetID, s.other)
	return err == nil && !stays, err
}

// unanswered reports whether a question to the target got no answer, or only a request to wait.
// Every other error counts as an answer, which says that the target does not support the question.
func unanswered(err error) bool {
	te := asProblem(err)
	if te == nil {
		return false
	}
	switch te.Kind {
	case Transient, Throttled, Unreachable, Credentials:
		return true
	}
	return false
}

// unchecked returns the problem of a change that may have been carried out, but whose check got no
// answer.
func (s *memberSync) unchecked(err error) *TargetError {
	te := *asTargetError(err)
	te.Sent = true
	return &te
}

// isProved reports whether the target has proved that it carries out removals or, if removing is
// false, additions.
func (s *memberSync) isProved(removing bool) bool {
	r := s.l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if removing {
		return r.state.Members.Removes
	}
	return r.state.Members.Adds
}

// proved records that the target carries out removals or, if removing is false, additions. It uses
// changeState, because the state must not change while another goroutine stores it: that goroutine
// would replace the change with the stored state.
func (s *memberSync) proved(removing bool) {
	if s.isProved(removing) {
		return
	}
	_ = s.l.r.changeState(func(st *State) {
		if removing {
			st.Members.Removes = true
		} else {
			st.Members.Adds = true
		}
	}, func(State) error { return nil }) // the next change of the state stores it
}

// suspicion says that a group at the target seems to have lost all its members, although only some
// were to be removed. The answer that shows this may be out of date. So the engine asks again after
// a while, and sends nothing to the group until then.
type suspicion struct {
	target   string         // the id of the group at the target
	other    string         // the account id of a member that should have stayed
	changes  []memberChange // the changes of the request
	removing bool           // whether changes are removals
	at       time.Time      // when the target did not show the member other
}

// suspect remembers that the target seems to have removed all members of the group. It returns a
// postponement of the work on the group.
func (s *memberSync) suspect(changes []memberChange, removing bool) *TargetError {
	now := s.l.r.e.Now()
	s.l.memo.suspect(s.group, suspicion{target: s.link.TargetID, other: s.other, changes: changes, removing: removing, at: now})
	return &TargetError{
		Kind: Transient, Code: "EntryUnsettled", Sent: true, postponed: now.Add(s.l.p.settle),
		Detail: "The application does not show a member that should have stayed. It may be behind, so it is asked again.",
	}
}

// settleSuspicion asks the target again about a group that seemed to have lost all its members. If
// the group has lost them, settleSuspicion records that, so that all of them are sent again.
func (s *memberSync) settleSuspicion(ctx context.Context) error {
	r := s.l.r
	e, is := s.l.memo.suspicion(s.group)
	if !is || e.target != s.link.TargetID {
		return nil
	}
	if at := e.at.Add(s.l.p.settle); r.e.Now().Before(at) {
		s.waits = at
		return nil
	}
	if emptied, err := s.isEmptied(ctx, e); err != nil || s.stopped() {
		return err
	} else if !emptied {
		s.l.memo.clearSuspicion(s.group)
		return nil
	}
	te := s.handleEmptiedGroup()
	if err := s.record(nil, s.entry(e.changes, e.removing, te, e.at)); err != nil {
		return err
	}
	s.waits = r.e.Now()
	if err := r.e.Store.MarkMembersLost(s.firm, r.fence, s.group); err != nil {
		return err
	}
	s.l.memo.clearSuspicion(s.group)
	return nil
}

const (
	mostWitnesses   = 2  // how many members that the target does not show prove that it removed all of them
	mostAskedForOne = 10 // how many members the engine asks about at most
)

// isEmptied reports whether the target has removed all members of a group of which it did not show
// a member that should have stayed. One such member proves little: somebody may have removed the
// member or the account at the target. So isEmptied asks about other members, too, and whether
// their accounts exist. A member that the target alone has lost is sent again. If there is nobody
// to ask, because the accounts of all who should have stayed may have been blocked, the group
// counts as emptied: that sends them again, and changes how members are removed. If a question gets
// no answer, isEmptied sets waits or problem.
func (s *memberSync) isEmptied(ctx context.Context, e suspicion) (bool, error) {
	members := s.l.p.groups.members
	if sample, _ := sampleOf(e.changes, true); e.removing {
		for _, c := range sample {
			has, err := members.HasMember(s.firm, s.link.TargetID, c.id)
			if s.isHeldUp(err) || err == nil && has {
				return false, nil
			}
		}
	}
	witnesses, onlyEnded, err := s.witnesses(ctx, e.other)
	if err != nil || len(witnesses) == 0 {
		return onlyEnded, err
	}
	var absent []Membership
	for _, m := range witnesses {
		has, err := members.HasMember(s.firm, s.link.TargetID, m.AcknowledgedAccount)
		switch {
		case s.isHeldUp(err):
			return false, nil
		case err == nil && has:
			return false, s.sendAgain(absent)
		case err != nil:
			continue // the target cannot be asked about this member
		}
		exists, err := s.accountExists(m)
		switch {
		case err != nil || s.stopped():
			return false, err
		case !exists:
			continue
		}
		if absent = append(absent, m); len(absent) == mostWitnesses {
			return true, nil
		}
	}
	return len(absent) > 0, nil
}

// witnesses returns members that the target has acknowledged and that should have stayed. The first
// one is the member whose account is first, if there is such a member. It leaves out members whose
// account may have been blocked or deleted. firstEnded reports whether first is one of these.
func (s *memberSync) witnesses(ctx context.Context, first string) (all []Membership, firstEnded bool, err error) {
	r := s.l.r
	isFirstFound := false
	for after := ""; !isFirstFound || len(all) < mostAskedForOne; {
		page, err := r.e.Store.MembershipsAfter(ctx, r.job.Key, s.group, after, membersPage, false)
		if err != nil {
			return nil, false, err
		}
		for _, m := range page {
			isFirst := m.AcknowledgedAccount == first
			if m.Open || m.Unsure || m.AcknowledgedAccount == "" || !isFirst && len(all) >= mostAskedForOne ||
				m.Link == nil || m.Link.TargetID != m.AcknowledgedAccount {
				continue
			}
			ended, err := s.mayHaveEnded(m.Member)
			if err != nil {
				return nil, false, err
			}
			if ended || m.Link.State != Active {
				firstEnded = firstEnded || isFirst
				continue
			}
			if isFirst {
				all, isFirstFound = slices.Insert(all, 0, m), true
			} else {
				all = append(all, m)
			}
		}
		if len(page) < membersPage {
			break
		}
		after = page[len(page)-1].Member
	}
	return all, firstEnded, nil
}

// accountExists asks the target whether a member's account exists. If it does not, the engine looks
// for the account of the object as usual. If the question gets no answer, accountExists sets waits
// or problem.
func (s *memberSync) accountExists(m Membership) (bool, error) {
	target := s.l.p.target
	if m.Link.Kind == GroupKind {
		target = s.l.p.groups.target
	}
	_, err := target.Get(s.firm, m.AcknowledgedAccount)
	te := asProblem(err)
	switch {
	case te == nil:
		return true, nil
	case s.isHeldUp(err) || te.Kind != NotFound:
		return false, nil
	}
	if err := s.l.r.e.Store.MarkGroupMissed(s.firm, s.l.r.fence, m.Member); err != nil {
		return false, err
	}
	return false, s.sendAgain([]Membership{m})
}

// sendAgain marks memberships that the target has lost, so that they are compared and sent again.
func (s *memberSync) sendAgain(all []Membership) error {
	if len(all) == 0 {
		return nil
	}
	out := make([]MemberOutcome, len(all))
	for i, m := range all {
		out[i] = MemberOutcome{Member: m.Member, Turn: m.Turn, Has: m.AcknowledgedAccount, Unsure: true, Open: true}
	}
	return s.record(out, nil)
}

// isHeldUp reports whether a question got no answer. It then sets waits or problem.
func (s *memberSync) isHeldUp(err error) bool {
	te := asProblem(err)
	switch {
	case te != nil && !te.postponed.IsZero():
		s.waits = te.postponed
	case unanswered(err):
		if s.problem = te; mayConcernConnection(te) && s.l.testConnectionAfterFailure(s.firm, te) != nil {
			s.problem, s.waits = nil, s.l.r.e.Now()
		}
	default:
		return false
	}
	return true
}

// handleEmptiedGroup handles a target that has removed all members although it was asked to remove
// some. From then on, removals are sent as a filter in the path. handleEmptiedGroup returns the
// problem for the log.
func (s *memberSync) handleEmptiedGroup() *TargetError {
	te := &TargetError{
		Kind: Incompatible, Code: codeIncompatible, Status: http200, Request: "PATCH /Groups/{id}", Sent: true,
		Detail: "The application took the removal of some members for the removal of all. All members are sent again.",
		Advice: "Removals are sent in another form from now on. Nothing is left to do.",
	}
	d := s.l.r.target.Dialect()
	if d.Removal != "" || s.l.r.removesByFilter() {
		te.Advice = "The application removes all members in both forms. Remove Update from the Target Object Actions of the groups until its makers have corrected it."
	}
	d.Removal = RemoveByFilter
	s.l.r.target.Speak(d)
	return te
}

// readGroup asks the target for the group. It returns nil if the target has the group.
func (s *memberSync) readGroup() *TargetError {
	_, err := s.l.p.groups.target.Get(s.firm, s.link.TargetID)
	return asProblem(err)
}

// succeed records changes that the target carried out.
func (s *memberSync) succeed(changes []memberChange, removing bool, began time.Time) error {
	s.budget = maxIsolation
	out := make([]MemberOutcome, len(changes))
	for i, c := range changes {
		out[i] = MemberOutcome{Member: c.Member, Turn: c.Turn, Has: c.id}
		if removing {
			out[i].Has, out[i].Open = "", c.Link.usableAccountID() != "" // the member may have another account, which must be added
			if s.planned != nil {
				out[i].Open = c.staysWith != ""
			}
		}
	}
	s.planned.mark(out, removing, PlanSent, "")
	if s.isNewPage {
		return s.recordNewPage(out, s.entry(changes, removing, nil, began))
	}
	return s.record(out, s.entry(changes, removing, nil, began))
}

// refuse records membership changes that the target refused, or for which it failed again. The
// removal of one member counts as done if the target does not show that member, and if the member's
// account ended or an earlier request may have carried the removal out. An addition counts as done
// if an earlier request may have carried it out and the target shows the member.
func (s *memberSync) refuse(changes []memberChange, removing bool, te *TargetError, began time.Time) error {
	isAbsent := false // whether the target says that it does not have the new member
	if c := changes[0]; !removing && len(changes) == 1 && te.Kind != Transient && (c.Unsure || c.mayHaveHappened) {
		has, err := s.l.p.groups.members.HasMember(s.firm, s.link.TargetID, c.id)
		if err == nil && has {
			done := []MemberOutcome{{Member: c.Member, Turn: c.Turn, Has: c.id}}
			s.planned.mark(done, removing, PlanSent, "")
			return s.record(done, nil)
		}
		isAbsent = err == nil
	}
	if c := changes[0]; removing && len(changes) == 1 && (c.Unsure || c.mayHaveHappened || c.Link.usableAccountID() == "") {
		has, err := s.l.p.groups.members.HasMember(s.firm, s.link.TargetID, c.id)
		isUnknown := err != nil && !unanswered(err) && c.Link.usableAccountID() == "" // the target cannot be asked
		// A single 404 may be untrue. So the removal counts as done after the second one.
		isGone := err == nil && !has || isUnknown && c.Refused != "" && (te.Kind == NotFound || c.Link == nil && te.Kind != Transient)
		if isGone { // an earlier request may have removed all members
			emptied, err := s.hasEmptied()
			if emptied {
				s.waits = s.suspect(changes, removing).postponed
				return nil
			}
			isGone = !unanswered(err)
		}
		if isGone {
			done := []MemberOutcome{{Member: c.Member, Turn: c.Turn, Open: s.planned == nil && c.Link.usableAccountID() != ""}}
			s.planned.mark(done, removing, PlanSent, "")
			return s.record(done, nil)
		}
	}
	s.refused += len(changes)
	s.isBroken = s.isBroken || te.Kind == Transient
	out := make([]MemberOutcome, len(changes))
	for i, c := range changes {
		mayBeMember := te.Kind == Transient || !removing && !isAbsent && (c.Unsure || c.mayHaveHappened)
		out[i] = MemberOutcome{Member: c.Member, Turn: c.Turn, Refused: te.Detail, Unsure: mayBeMember}
		if removing || mayBeMember {
			out[i].Has = c.id
		}
	}
	s.planned.mark(out, removing, PlanFailed, te.Detail)
	return s.record(out, s.entry(changes, removing, te, began))
}

// record stores outcomes, and a log entry if entry is not nil.
func (s *memberSync) record(out []MemberOutcome, entry *LogEntry) error {
	return s.store(MembersRecord{Outcomes: out, Entry: entry})
}

// store passes results to the recorder, and returns when they are on disk. The recorder stores the
// results of several groups in one commit.
func (s *memberSync) store(m MembersRecord) error {
	l := s.l
	saved := make(chan error, 1)
	send(l.goroutines, l.records, record{outcome: Outcome{ObjectID: s.group, Memberships: &m}, isOfPlan: s.planned != nil, saved: saved})
	if err := receive(l.goroutines, saved); err != nil || m.Entry == nil {
		return err
	}
	return l.r.showEntry(m.Entry)
}

// countMembers adds the results about memberships to the numbers of the cycle.
func (c *CycleReport) countMembers(m *MembersRecord) {
	if m.Entry == nil {
		return
	}
	if m.Entry.Status.Status == Failure {
		c.Failed++
		return
	}
	for _, p := range m.Entry.Modified {
		if p.OldValue == nil {
			c.MembersAdded += len(m.Outcomes)
		} else {
			c.MembersRemoved += len(m.Outcomes)
		}
	}
}

// conclude returns the outcome of the work on the group's memberships. Refused members are tried
// again when the escrow of the memberships is retried.
func (s *memberSync) conclude() Outcome {
	o := Outcome{ObjectID: s.known.ObjectID, Turn: s.known.Turn}
	if s.waits.IsZero() {
		s.l.memo.forgetCut(s.group)
	}
	switch {
	case !s.waits.IsZero():
		o.Postpone, o.WaitReason = s.waits, "It waits until the application takes changes again."
		if s.refused > 0 {
			o.Escrow = s.escrowOfRefused(s.refused)
		}
	case s.problem != nil:
		te := s.problem
		o.Escrow = escrow(te, memory{Pending: s.known, name: s.name()}, s.l.r.e.Now())
	case s.refused > 0 || s.leftRefused > 0:
		o.Escrow = s.escrowOfRefused(max(s.refused, s.leftRefused))
	default:
		o.DropFail = s.known.Escrow != nil
	}
	s.planned.conclude(&o, s.problem)
	return o
}

// escrowOfRefused returns the entry in the retry queue for the refused members of the group. An
// entry that is not due yet keeps its time, because this run has only found more of the same
// refusals.
func (s *memberSync) escrowOfRefused(n int) *Escrow {
	te := &TargetError{Kind: Permanent, Code: "MembersRefused", Detail: fmt.Sprintf("The application refused %d members of group '%s'; the others were sent. The log has each.", n, s.name())}
	if s.isBroken {
		te.Kind = Transient
	}
	now := s.l.r.e.Now()
	e := escrow(te, memory{Pending: s.known, name: s.name()}, now)
	if before := s.known.Escrow; before != nil && before.Code == te.Code && !s.hasRetried && now.Before(before.Next) {
		e.Count, e.Next, e.Last = before.Count, before.Next, before.Last
	}
	return e
}

// name returns the name of the group for messages; if it is not known, the group's object id.
func (s *memberSync) name() string {
	if s.link.Name != "" {
		return s.link.Name
	}
	return s.group
}

// entry returns the log entry about one request.
func (s *memberSync) entry(changes []memberChange, removing bool, te *TargetError, began time.Time) *LogEntry {
	r, now, cycle := s.l.r, s.l.r.e.Now(), s.l.cycle
	if s.planned != nil {
		cycle = s.planned.plan
	}
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = c.Member // the object id, because the log must not name a person who is erased later
	}
	listed := textOrNil(strings.Join(names, ", "))
	change, did := ModifiedProperty{DisplayName: "members", NewValue: listed}, "added to"
	if removing {
		change, did = ModifiedProperty{DisplayName: "members", OldValue: listed}, "removed from"
	}
	words := fmt.Sprintf("%s %s Group '%s' in %s.", countOf(len(changes), "member was", "members were"), did, s.name(), r.m.target)
	status, result := StatusInfo{Status: Success}, Success
	if te != nil {
		status, result = StatusInfo{Status: Failure, Code: te.Code, Reason: te.Detail, Category: "failure", RecommendedAction: te.Advice}, Failure
		if te.Status != 0 {
			status.AdditionalDetails = fmt.Sprintf("%s was answered with HTTP %d.", te.Request, te.Status)
		}
		words = fmt.Sprintf("Failed to change %s of Group '%s' in %s: %s", countOf(len(changes), "member", "members"), s.name(), r.m.target, te.Detail)
	}
	return &LogEntry{
		ID: r.e.NewID(), ChangeID: r.e.NewID(), ActivityTime: now, DurationMillis: now.Sub(began).Milliseconds(),
		JobID: r.job.Key.String(), CycleID: cycle, Action: Update, Status: status,
		SourceSystem:   System{ID: string(r.job.Key.Directory), DisplayName: r.m.source},
		TargetSystem:   System{ID: r.job.Key.App, DisplayName: r.m.target},
		SourceIdentity: Identity{ID: s.group, DisplayName: s.name(), Type: string(GroupKind)},
		TargetIdentity: Identity{ID: s.link.TargetID, Type: r.groups.m.object.TargetObjectName},
		Steps:          []Step{{Name: "EntryExportUpdateMembers", Type: ExportStep, Status: result, Description: words}},
		Modified:       []ModifiedProperty{change}, InitiatorName: "Rollcall provisioning", Mapping: r.groups.m.object.Name,
	}
}

// countOf returns a number with its noun: "One " and one, or the number and many.
func countOf(n int, one, many string) string {
	if n == 1 {
		return "One " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
