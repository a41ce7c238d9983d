package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
)

// GroupSource is a Source that also has groups.
type GroupSource interface {
	Source
	// GroupSnapshot returns one page of groups, ordered by id. It includes soft-deleted groups.
	GroupSnapshot(ctx context.Context, q SnapshotQuery) ([]Object, error)
	// GroupObject returns one group, or refusal.NotFound if it was purged.
	GroupObject(ctx context.Context, app, id string) (Object, error)
	// GroupChanges returns the groups that have changed after a position, or whose assignment to
	// app has changed since then. It also returns all changes of direct memberships since then. It
	// returns [ErrBehind] if the source no longer keeps all these changes.
	GroupChanges(ctx context.Context, app string, after Cursor, limit int) (GroupsChanged, error)
	// Members returns a page of a group's direct members, ordered by id. If the page is shorter
	// than the limit, it is the last page.
	Members(ctx context.Context, group, after string, limit int) ([]Edge, error)
	// MembersAmong returns which of the objects with these ids are direct members of a group, with
	// their kinds.
	MembersAmong(ctx context.Context, group string, ids []string) (map[string]ObjectKind, error)
	// GroupsOf returns the groups that an object is a direct member of.
	GroupsOf(ctx context.Context, member string) ([]string, error)
}

// Edge is a membership, or a change of a membership.
type Edge struct {
	Group, Member string     // the ids of the group and of its member
	Kind          ObjectKind // the kind of the member
	Present       bool       // whether the object is a member; false if it was removed
	Cursor        Cursor     // the position of the change; empty for a membership from Members
	Cause         string     // the id of the import that made the change; "" for a single change
}

// GroupsChanged lists groups and memberships that have changed.
type GroupsChanged struct {
	IDs     []string          // the ids of the groups, each once, in the order of their first change
	Origins map[string]Origin // the origin of the changes of these groups, by group id
	Edges   []Edge            // the changes of memberships, in the order in which they happened
	Cursor  Cursor            // where to continue after these changes
	More    bool              // whether there may be more changes now
}

// GroupState is the progress of a job's groups.
type GroupState struct {
	Ready    bool      `json:"ready,omitempty"`    // whether the engine has looked at every group in scope since the job began to provision groups
	Seen     string    `json:"seen,omitempty"`     // the id of the last cycle in which the engine looked at every group in scope
	Mark     Cursor    `json:"mark,omitempty"`     // the position up to which all changes of groups are imported
	Off      string    `json:"off,omitempty"`      // a sentence that says why the target accepts no groups; "" if it accepts them
	Searches *Searches `json:"searches,omitempty"` // the results of testing the matching attributes of groups
}

// MembersState holds the facts that a job has learned about how the target handles group members.
type MembersState struct {
	For    int64 `json:"for"`              // the job's count [Asked.ForgetLinks] when this was learned
	AtOnce int   `json:"atOnce,omitempty"` // how many members one request may have; 0 means that no limit is known; see mostAtOnce
	// LearnedAt is when AtOnce was learned.
	LearnedAt time.Time `json:"learnedAt,omitzero"`
	Adds      bool      `json:"adds,omitempty"`    // whether the target has proved that it carries out additions
	Removes   bool      `json:"removes,omitempty"` // whether the target has proved that it carries out removals
}

// membersLimitTime is how long a learned limit of members in a request holds. Then larger requests
// are tried again, because the limit may have come from a passing failure.
const membersLimitTime = 24 * time.Hour

// mostAtOnce returns how many members one request may have; 0 means that no limit is known.
func (m MembersState) mostAtOnce(now time.Time) int {
	if now.After(m.LearnedAt.Add(membersLimitTime)) {
		return 0
	}
	return m.AtOnce
}

// groups holds the parts that a run needs to provision groups.
type groups struct {
	m      *mapping
	source GroupSource
	target GroupTarget
	off    bool // whether the last test of groups found that the target accepts none
}

// connectGroups prepares to provision groups if the job's mapping of groups is enabled.
func (r *run) connectGroups() error {
	r.groups = nil
	object, err := r.job.Schema.GroupMapping()
	source, has := r.source.(GroupSource)
	if err != nil || !object.Enabled || !has {
		return nil
	}
	m, err := compileObject(r.job.Schema, object, GroupKind, nil)
	if err != nil {
		return err
	}
	if r.state.Members.For != r.job.ForgetLinks {
		r.state.Members = MembersState{For: r.job.ForgetLinks}
	}
	m.now, m.domain = r.e.Now, r.source.DefaultDomain()
	r.groups = &groups{m: m, source: source, target: r.target.Groups(), off: r.state.Groups.Off != ""}
	return nil
}

// groupsOn reports whether the job provisions groups and the target accepts them.
func (r *run) groupsOn() bool { return r.groups != nil && !r.groups.off }

// testGroups tests whether the target can be searched for groups. If the target accepts no groups,
// testGroups returns no error, and the job provisions only accounts. In an incremental cycle,
// testGroups sends nothing if an earlier test was successful. So a cycle that has nothing to do
// sends only one request: the test of the connection.
func (r *run) testGroups(ctx context.Context) error {
	if r.groups == nil {
		r.state.Groups.Off = ""
		return nil
	}
	s := &r.state.Groups
	if r.state.Ready && s.Ready && s.Off == "" && s.Searches != nil && s.Searches.For == r.job.connection() && len(s.Searches.All) == len(r.groups.m.matching) {
		return nil
	}
	all, err := testSearches(ctx, r.groups.target, r.groups.m, nil)
	if all == nil && err != nil {
		return err
	}
	if err == nil {
		learnCases(ctx, r.groups.target, r.groups.m, all, r.knownGroupCases())
	}
	s.Searches, s.Off = &Searches{For: r.job.connection(), At: r.e.Now(), All: all}, ""
	if err != nil {
		// While groups are off, groups and memberships leave the work list without being worked on. So
		// the engine looks at all groups again when the target accepts them.
		s.Off, s.Ready, s.Seen = noGroups(err), false, ""
	}
	r.groups.off = s.Off != ""
	return nil
}

// knownGroupCases returns the newest results of testing the matching attributes of groups that were
// made with the current settings.
func (r *run) knownGroupCases() []Searchable {
	switch s := r.state.Groups.Searches; {
	case s.isCurrentFor(r.job):
		return s.All
	case r.job.Searches.isCurrentFor(r.job):
		return r.job.Searches.Groups
	}
	return nil
}

// groupPass returns the pass that evaluates groups. It returns nil if groups are not provisioned
// now.
func (r *run) groupPass(p *pass) *pass {
	if !r.groupsOn() {
		return nil
	}
	g := &pass{
		job: r.job, m: r.groups.m, target: r.groups.target, members: r.groups.target, searcher: newSearcher(r.groups.target, r.state.Groups.Searches, p.goroutines), goroutines: p.goroutines, firstCheckLock: newLock(),
		readsEveryAccount: p.readsEveryAccount, settle: p.settle, doubt: p.doubt, closing: p.closing, unsureAttributes: p.unsureAttributes, otherObjects: p.otherObjects, claims: p.claims,
		listed: r.e.memoOf(r.job).groups, listedSince: p.listedSince,
		owner: func(ctx context.Context, id string) (string, error) {
			return r.e.Store.Owner(ctx, r.job.Key, GroupKind, id)
		},
		openCreates: func(ctx context.Context) ([]Op, error) { return r.e.Store.OpenCreates(ctx, r.job.Key, GroupKind) },
	}
	// A group never waits until another group gives up its name.
	g.otherObjects.holder = func(context.Context, MatchKey) (string, error) { return "", nil }
	return g
}

// readGroup reads one group, or returns nil if the source no longer has it.
func (r *run) readGroup(ctx context.Context, id string) (*Object, error) {
	if r.groups == nil {
		return nil, nil
	}
	return readGroupFrom(ctx, r.groups.source, r.job.Key.App, id)
}

// readGroupFrom reads one group, or returns nil if the source does not have it.
func readGroupFrom(ctx context.Context, source GroupSource, app, id string) (*Object, error) {
	o, err := source.GroupObject(ctx, app, id)
	switch {
	case errors.Is(err, refusal.NotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("import group %s: %w", id, err)
	}
	return &o, nil
}

// passFor returns the pass that evaluates an object. It is nil if the object is a group and groups
// are not provisioned now. object is nil if the source no longer has it.
func (p *pass) passFor(object *Object, known Pending) *pass {
	kind := UserKind
	switch {
	case object != nil:
		kind = object.Kind
	case known.Link != nil && known.Link.Kind != "":
		kind = known.Link.Kind
	case known.Op != nil && known.Op.Kind != "":
		kind = known.Op.Kind
	}
	if kind == GroupKind {
		return p.groups
	}
	return p
}

// leaveGroup returns the work of a group that is skipped, because groups are not provisioned now.
func (p *pass) leaveGroup(known Pending, object *Object) *work {
	w := &work{p: p, known: memory{Pending: known}, m: p.m, link: known.Link, result: unsentResult{}, decision: skip{report: silent}}
	w.unknownSince, w.doubted = p.doubt.find(known.ObjectID) // what is not known about the group stays unknown
	if object != nil {
		w.object = *object
	}
	return w
}

// decideGroup decides what to do with a group. A group has no attribute that disables it, so a
// group that should not be at the target is deleted, or left as it is if the job may not delete.
func (p *pass) decideGroup(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
	switch {
	case w.entitled() && w.link != nil:
		return p.decideLinked(ctx, w, attributes)
	case w.entitled():
		return p.findAccount(ctx, w, attributes)
	case w.link == nil:
		return p.leaveAlone(w), nil
	case !p.m.can(FlowDelete):
		s := w.skip("DeleteDisabled", "The group is not in scope any more, and Delete is not among the Target Object Actions.", "Tick Delete to remove such groups, or remove the group at the application.")
		if w.isPurged {
			s.pair = forget{}
		} else if w.link.State != Released {
			released := *w.link
			released.State = Released
			s.pair = remember{released}
		} else {
			s.report = silent
		}
		return s, nil
	}
	if w.link.missing() {
		if d, err := p.readAccount(ctx, w, attributes); d != nil || err != nil {
			return d, err
		}
	}
	w.identify(w.link.TargetID)
	w.step("EntrySynchronizationDelete", ProcessingStep, Success, fmt.Sprintf("%s will be deleted in %s: %s", w.describeObject(), p.m.target, w.whyDisabled()), nil)
	return remove{link: *w.link}, nil
}

// aboutGroups changes a sentence about a person into a sentence about a group.
var aboutGroups = strings.NewReplacer(
	"The person", "The group", "the person", "the group", "a person without access", "a group without access",
	"an account", "a group", "An account", "A group", "The account", "The group at the application", "the account", "the group at the application",
	"such accounts", "such groups", "accounts", "groups",
)

// words returns a sentence about a person. If the object is a group, it returns the same sentence
// about a group.
func (w *work) words(sentence string) string {
	if w.m.kind == GroupKind {
		return aboutGroups.Replace(sentence)
	}
	return sentence
}

// laneOfGroup returns the lane of a group. state is the state of its link; "" if it has no link.
func (r *run) laneOfGroup(why Why, state LinkState, o *Object) Lane {
	if (why == ByCycle || why == ByAbsence) && state == Active && r.groups != nil && r.groups.entitles(o, r.job.Scope) {
		return Checks
	}
	return Groups
}

// endsGroup reports whether the group at the target that belongs to the object should be deleted.
// state is the state of the object's link; "" if it has no link.
func (r *run) endsGroup(state LinkState, o *Object) bool {
	return r.groups != nil && o != nil && o.Kind == GroupKind && state == Active && r.groups.m.can(FlowDelete) && !r.groups.entitles(o, r.job.Scope)
}

// entitles reports whether a group may exist at the target: it is not deleted, it is assigned or
// needs no assignment, and it passes the scoping filters. A filter that cannot be evaluated does
// not exclude it.
func (g *groups) entitles(o *Object, s Scope) bool {
	if o == nil || !o.Active() || !o.Assigned && s != Everyone {
		return false
	}
	admitted, _, err := g.m.filter.admits(o.Attributes)
	return admitted || err != nil
}

// importGroupNews imports changes of groups and memberships that are not imported yet. It reads
// pages of changes until there is a page of work, or until a short time has passed. found reports
// whether there may be new work. It sets hasMoreGroupChanges.
func (r *run) importGroupNews(ctx context.Context) (found bool, err error) {
	r.mu.Lock()
	at, on := r.state.Groups.Mark, r.groupsOn()
	r.mu.Unlock()
	if !on {
		return false, nil
	}
	var listed []Listed
	from, rows, more := at, 0, true
	for until := r.e.Now().Add(maxImportTime); more && rows < importPage && r.e.Now().Before(until); {
		c, err := r.groups.source.GroupChanges(ctx, r.job.Key.App, at, importPage)
		if err != nil {
			return false, fmt.Errorf("read changes of groups: %w", err)
		}
		page, err := r.listGroups(ctx, c)
		if err != nil {
			return false, err
		}
		for _, l := range page {
			rows += 1 + len(l.Members)
		}
		listed = append(listed, page...)
		at, more = c.Cursor, c.More
	}
	r.hasMoreGroupChanges = more
	if at == from {
		return false, nil
	}
	return len(listed) > 0 || more, r.changeState(func(s *State) { s.Groups.Mark = at }, func(s State) error { return r.e.Store.Import(ctx, r.fence, s, listed) })
}

// catchUpGroups imports all changes of groups that the directory has at this time. The error is
// errSliceIsOver if the slice ends first.
func (r *run) catchUpGroups(ctx context.Context) error {
	for {
		before := r.groupsMark()
		r.hasMoreGroupChanges = false
		if _, err := r.importGroupNews(ctx); err != nil || !r.hasMoreGroupChanges || r.groupsMark() == before {
			return err
		}
		if err := r.checkSlice(); err != nil {
			return err
		}
	}
}

// groupsMark returns the position up to which changes of groups are imported.
func (r *run) groupsMark() Cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Groups.Mark
}

// listGroups returns the work that follows from changes of groups, as rows for the work list.
func (r *run) listGroups(ctx context.Context, c GroupsChanged) ([]Listed, error) {
	objects := make(map[string]*Object, len(c.IDs))
	for _, id := range c.IDs {
		o, err := r.readGroup(ctx, id)
		if err != nil {
			return nil, err
		}
		objects[id] = o
	}
	states, err := r.e.Store.LinkStates(ctx, r.job.Key, c.groups())
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, id := range c.IDs {
		_, concerns := states[id]
		if concerns = concerns || r.groups.entitles(objects[id], r.job.Scope); !concerns {
			if concerns, err = r.mayBeCreated(ctx, id); err != nil {
				return nil, err
			}
		}
		if concerns {
			ids = append(ids, id)
		}
	}
	listed, err := r.list(ctx, ByChange, ids, objects, c.Origins)
	if err != nil {
		return nil, err
	}
	return append(listed, r.listMembers(c.Edges, states)...), nil
}

// mayBeCreated reports whether a worker may be creating this group now, or has just created it.
// This is possible even if the group is no longer in scope.
func (r *run) mayBeCreated(ctx context.Context, id string) (bool, error) {
	known, err := r.e.Store.KnownAbout(ctx, r.job.Key, id)
	return known.Op != nil || known.Verdict != "" || known.Link != nil, err
}

// groups returns the ids of all groups that the changes concern.
func (c GroupsChanged) groups() []string {
	ids := append([]string{}, c.IDs...)
	seen := map[string]bool{}
	for _, e := range c.Edges {
		if !seen[e.Group] {
			seen[e.Group] = true
			ids = append(ids, e.Group)
		}
	}
	return ids
}

// eachGroupNews calls visit with the work that follows from the changes of groups after a position,
// page by page, and with the position after each page. It stops when visit returns false, or when
// there are no more changes.
func (r *run) eachGroupNews(ctx context.Context, at Cursor, visit func(listed []Listed, upTo Cursor) (more bool, err error)) error {
	if !r.groupsOn() || !r.state.Groups.Ready {
		return nil
	}
	for {
		c, err := r.groups.source.GroupChanges(ctx, r.job.Key.App, at, importPage)
		if err != nil {
			return fmt.Errorf("read changes of groups: %w", err)
		}
		listed, err := r.listGroups(ctx, c)
		if err != nil {
			return err
		}
		if more, err := visit(listed, c.Cursor); err != nil || !more || !c.More {
			return err
		}
		at = c.Cursor
	}
}

// mentionGroups adds an entry to the log, once per initial cycle, that says what the job does with
// groups. It adds none if no group is in scope.
func (r *run) mentionGroups(ctx context.Context) error {
	if r.groups == nil || r.state.Cycle.Kind != InitialCycle {
		return nil
	}
	count, err := r.countGroups(ctx)
	if err != nil || count == 0 {
		return err
	}
	entry := LogEntry{
		ID: r.e.NewID(), ChangeID: r.e.NewID(), ActivityTime: r.e.Now(), JobID: r.job.Key.String(), CycleID: r.state.Cycle.ID, Action: Other,
		Status:         StatusInfo{Status: Skipped, Code: "GroupsInScope", Reason: r.groupsNote(count), Category: "nonServiceFailure"},
		SourceSystem:   System{ID: string(r.job.Key.Directory), DisplayName: r.m.source},
		TargetSystem:   System{ID: r.job.Key.App, DisplayName: r.m.target},
		SourceIdentity: Identity{DisplayName: "All groups", Type: string(GroupKind)}, TargetIdentity: Identity{Type: string(GroupKind)},
		Steps: []Step{}, Modified: []ModifiedProperty{}, InitiatorName: "Rollcall provisioning", Mapping: r.groups.m.object.Name,
	}
	if r.state.Groups.Off != "" {
		entry.Status.Code = "GroupsNotProvisioned"
	}
	if err := r.e.Store.Record(ctx, r.fence, r.state, []Outcome{{Entry: &entry}}); err != nil {
		return err
	}
	return r.showEntry(&entry)
}

// groupsNote says in words what the job does with the groups in scope.
func (r *run) groupsNote(count int) string {
	many := fmt.Sprintf("%d groups are", count)
	if count == 1 {
		many = "One group is"
	}
	if off := r.state.Groups.Off; off != "" {
		return many + " in scope. " + off
	}
	return fmt.Sprintf("%s in scope. A group is looked for by %s, created without members if it is not there, and gets as members those who have an account through this job. To provision no groups, set Enabled to No in %s.",
		many, matchingPaths(r.groups.m), r.groups.m.object.Name)
}

func matchingPaths(m *mapping) string {
	names := make([]string, len(m.matching))
	for i := range m.matching {
		names[i] = m.matching[i].Target
	}
	return strings.Join(names, " and ")
}

// countGroups counts the groups in scope.
func (r *run) countGroups(ctx context.Context) (n int, err error) {
	q := SnapshotQuery{App: r.job.Key.App, AssignedOnly: r.job.Scope == AssignedOnly, Limit: importPage}
	for {
		page, err := r.groups.source.GroupSnapshot(ctx, q)
		if err != nil {
			return 0, fmt.Errorf("read groups: %w", err)
		}
		for i := range page {
			if r.groups.entitles(&page[i], r.job.Scope) {
				n++
			}
		}
		if len(page) < importPage {
			return n, nil
		}
		q.After = page[len(page)-1].ID
	}
}
