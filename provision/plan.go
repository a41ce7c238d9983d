package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// PlannedObject says what the next cycle would do with one person or group, or with members of a
// group.
type PlannedObject struct {
	ObjectID    string     `json:"objectId"`
	Kind        ObjectKind `json:"type"`
	DisplayName string     `json:"displayName"`
	UserName    string     `json:"userPrincipalName"`
	Action      Action     `json:"action"` // Other: nothing would be sent
	Result      Result     `json:"result"` // Success: the action would be sent; Skipped, Warning or Failure: it would not
	TargetID    string     `json:"targetId,omitempty"`
	Code        string     `json:"code,omitempty"`   // Entra's code or our own for why nothing would be sent; "" if something would be
	Reason      string     `json:"reason,omitempty"` // the meaning of Code, or the values that an undo does not restore
	Advice      string     `json:"recommendedAction,omitempty"`
	Changes     []Change   `json:"changes"`
	// Added and Removed are the members of the group that would be added and removed. If there are
	// any, Changes is empty. The members of a large group are split over several PlannedObjects.
	Added   []PlannedMember `json:"membersAdded,omitempty"`
	Removed []PlannedMember `json:"membersRemoved,omitempty"`
	// Follows is true if Changes holds a reference, such as the manager, that is sent in a separate
	// request. That happens when the person's account is created in the same cycle, or when the
	// referenced account is created or removed in that cycle.
	Follows bool `json:"follows,omitempty"`
	// Spare is the id of the account of another active administrator, if the plan disables an
	// administrator's account.
	Spare string `json:"otherAdministrator,omitempty"`

	fingerprint string // the hash of the requests, as work.fingerprint returns it
	bare        string // the hash of the requests without references, as work.bareFingerprint returns it
	lane        Lane   // the lane in which the operation is sent
}

// ofMembers reports whether the planned object is about the members of a group.
func (o PlannedObject) ofMembers() bool { return len(o.Added)+len(o.Removed) > 0 }

// PlanReport summarizes a plan.
type PlanReport struct {
	Kind     string `json:"kind"` // the kind of cycle that would run, or UndoPlan, ReassertPlan or DisablePlan
	Read     int    `json:"read"` // how many people and groups were evaluated
	Creates  int    `json:"creates"`
	Updates  int    `json:"updates"`
	Disables int    `json:"disables"`
	Deletes  int    `json:"deletes"`
	Skips    int    `json:"skips"`
	Failures int    `json:"failures"`
	OnHold   int    `json:"onHold"` // how many of Skips have an operation that is on hold or will be
	// The next fields count the memberships to add, the memberships to remove, and the removals
	// that are on hold or will be.
	MembersAdded   int      `json:"membersAdded"`
	MembersRemoved int      `json:"membersRemoved"`
	MembersOnHold  int      `json:"membersOnHold"`
	References     int      `json:"references"` // how many references to people, such as the manager, would be set or removed
	Notes          []string `json:"notes"`

	AccountsRead int `json:"accountsRead,omitempty"` // how many accounts of the application's list were read, if the plan needed the list

	TakesAccess int `json:"takesAccess,omitempty"` // how many of Skips take access away, so that the plan of a schedule leaves them out
	// MembersLeft counts the accounts that somebody added to groups and that the plan of a schedule
	// does not remove.
	MembersLeft int `json:"membersLeft,omitempty"`

	NotUndone int            `json:"notUndone,omitempty"` // how many objects an undo leaves as they are
	Edit      *MappingEdited `json:"edit,omitempty"`      // the change of the mappings that the cycle would be the first to use; nil if none

	reads bool // whether the cycle would read every account
}

// Plan reports what the next cycle would do, and calls visit for each object. It only reads, and
// changes nothing at the source, at the target or in this installation. It can run at the same time
// as a cycle without disturbing the cycle. The error is an *InputError if the job is not set up to
// run cycles, and a *TargetError if the connection does not work.
func (e *Engine) Plan(ctx context.Context, k Key, visit func(PlannedObject) error) (PlanReport, error) {
	return e.PlanWith(ctx, k, nil, visit)
}

// PlanWith is Plan for mappings that are not saved yet. It reports what the next cycle would do if
// schema were saved now. A nil schema means the job's own mappings.
func (e *Engine) PlanWith(ctx context.Context, k Key, schema *Schema, visit func(PlannedObject) error) (PlanReport, error) {
	return e.planWith(ctx, k, schema, visit, func(int) {})
}

// planWith does the work of PlanWith. If it reads the list of the application's accounts, it calls
// listed with the number of accounts that were read so far.
func (e *Engine) planWith(ctx context.Context, k Key, schema *Schema, visit func(PlannedObject) error, listed func(read int)) (PlanReport, error) {
	r, err := e.open(ctx, k, 0)
	if err != nil {
		return PlanReport{}, err
	}
	if schema != nil {
		r.job.Schema = schema
		r.job.LookAtAll++ // saving the mappings does this, too
	}
	if r.job.Mode != Automatic {
		return PlanReport{}, &InputError{Field: "Provisioning Mode", Text: "is Manual; save the Admin Credentials with Automatic first"}
	}
	if err := r.connect(); err != nil {
		return PlanReport{}, err
	}
	r.noticeDomainChange()
	if err := r.test(ctx); err != nil {
		return PlanReport{}, err
	}
	read := 0
	lists := newListedTarget(r.target, r.m, func(n int) { read = n; listed(n) })
	r.target = lists
	report, err := r.plan(ctx, lists, visit)
	report.AccountsRead = read
	return report, err
}

// plan passes to visit what the next cycle would do with each object, and returns the report. The
// run must be connected. lists is its target.
func (r *run) plan(ctx context.Context, lists *listedTarget, visit func(PlannedObject) error) (PlanReport, error) {
	p := r.pass()
	p.readsEveryAccount = r.state.ReadAll || r.state.ForgetFailures != r.job.ForgetFailures
	initial := !r.state.Ready || r.state.LookAtAll != r.job.LookAtAll
	if !initial {
		_, _, err := r.sourceChanged(ctx)
		if initial = errors.Is(err, ErrBehind); err != nil && !initial {
			return PlanReport{}, err
		}
	}
	report := PlanReport{Kind: IncrementalCycle, Notes: []string{}, reads: p.readsEveryAccount}
	if initial {
		report.Kind = InitialCycle
		edit, err := r.mappingsEdited(ctx)
		if err != nil {
			return PlanReport{}, err
		}
		report.Edit = edit
		lists.willAsk = func(ctx context.Context, n int) (bool, error) { return r.hasPeopleToAsk(ctx, n, p.readsEveryAccount) }
	}
	if r.groups != nil {
		count, err := r.countGroups(ctx)
		if err != nil {
			return PlanReport{}, err
		}
		if count > 0 {
			report.Notes = append(report.Notes, r.groupsNote(count))
		}
	}
	report.Notes = append(report.Notes, r.state.Searches.notes()...)
	f := newForecast(r, p, initial, &report, visit)
	if err := f.evaluateCandidates(ctx); err != nil {
		return report, err
	}
	return report, f.finish(ctx)
}

// hasPeopleToAsk reports whether an initial cycle would ask the target about the accounts of at least
// n people: of those without a link or, if all is true, of everyone in scope.
func (r *run) hasPeopleToAsk(ctx context.Context, n int, all bool) (bool, error) {
	q := SnapshotQuery{App: r.job.Key.App, AssignedOnly: r.job.Scope == AssignedOnly, Limit: importPage, IDsOnly: true}
	for {
		page, err := r.source.Snapshot(ctx, q)
		if err != nil {
			return false, fmt.Errorf("read snapshot: %w", err)
		}
		ids, _ := indexByID(page)
		n -= len(ids)
		if !all {
			links, err := r.e.Store.MemberLinks(ctx, r.job.Key, ids)
			if err != nil {
				return false, err
			}
			n += len(links)
		}
		switch {
		case n <= 0:
			return true, nil
		case len(page) < q.Limit:
			return false, nil
		}
		q.After = page[len(page)-1].ID
	}
}

// evaluateCandidates evaluates the people and groups that the next cycle would look at, each once.
func (f *forecast) evaluateCandidates(ctx context.Context) error {
	r := f.r
	page := func(ids []string) error { return f.evaluate(ctx, ids) }
	if err := f.evaluateChanges(ctx); err != nil {
		return err
	}
	ids, err := r.e.Store.DueEscrowIDs(ctx, r.job.Key, time.Time{}) // the zero time means all failed objects: a cycle that a person starts retries them all
	if err != nil {
		return err
	}
	absent, err := r.withoutAccount(ctx)
	if err != nil {
		return err
	}
	pending, err := r.e.Store.PendingIDs(ctx, r.job.Key)
	if err != nil {
		return err
	}
	if err := page(slices.Concat(ids, absent, pending)); err != nil || !f.initial {
		return err
	}
	return r.preview(ctx, Snapshot, page)
}

// evaluateChanges evaluates the people and groups that have changed since the last cycle. If the
// next cycle is an initial one, it only records the people who have lost access (see
// recordLeavers).
func (f *forecast) evaluateChanges(ctx context.Context) error {
	if f.initial {
		return f.recordLeavers(ctx)
	}
	changed := func(ids []string) error {
		for _, id := range ids {
			f.guard.changed[id] = true
		}
		return f.evaluate(ctx, ids)
	}
	if err := f.r.preview(ctx, Changes, changed); err != nil {
		return err
	}
	return f.r.eachGroupNews(ctx, f.r.state.Groups.Mark, func(listed []Listed, _ Cursor) (bool, error) {
		ids := make([]string, len(listed))
		for i, l := range listed {
			ids[i] = l.ObjectID
			f.r.origins[l.ObjectID] = Origin{Cause: l.Cause, RemovesAccess: l.Takes && l.KeptVerdicts == KeptVerdicts{}}
		}
		f.noteListed(listed)
		return true, changed(ids)
	})
}

// recordLeavers records the people who have lost access by a change since the last cycle. An
// initial cycle lists them before it looks at everyone, and the guard attributes them to that
// change.
func (f *forecast) recordLeavers(ctx context.Context) error {
	r := f.r
	if r.state.ForgetLinks != r.job.ForgetLinks {
		return nil
	}
	return r.eachLeaver(ctx, func(ids []string, c Changed) error {
		if r.origins == nil {
			r.origins = map[string]Origin{}
		}
		for _, id := range ids {
			f.guard.changed[id], r.origins[id] = true, c.Origins[id]
		}
		return nil
	})
}

// evaluate evaluates the objects that were not evaluated before, and adds them to the plan. For an
// id of work on memberships, it only notes the group.
func (f *forecast) evaluate(ctx context.Context, ids []string) error {
	var fresh []string
	for _, id := range ids {
		switch group, members := groupOf(id); {
		case members:
			if f.notedMemberships[group] == nil {
				f.groupsWithOpenWork[group] = true
			}
		case !f.seen[id]:
			f.seen[id] = true
			fresh = append(fresh, id)
		}
	}
	for page := range slices.Chunk(fresh, importPage) { // so that only one page of people is in memory
		works, err := f.r.evaluateForPlan(ctx, f.p, page)
		if err != nil {
			return err
		}
		for _, w := range works {
			w.p.claim(w, math.MaxInt)
			if err := f.add(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// preview calls page with the ids of the objects that a cycle would import if it started in the
// phase from. It also stores the origins of their changes in r.
func (r *run) preview(ctx context.Context, from Phase, page func([]string) error) error {
	s := r.state
	s.Phase, s.After = from, ""
	for s.Phase != Finishing {
		read, err := r.readPage(ctx, s)
		if err != nil {
			return err
		}
		if r.origins == nil {
			r.origins = map[string]Origin{}
		}
		maps.Copy(r.origins, read.origins)
		if err := page(read.ids); err != nil {
			return err
		}
		s = read.nextState
	}
	return nil
}

// runConcurrently calls f with the numbers 0 to n-1, several at the same time, and waits until all
// calls have returned.
func runConcurrently(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(firstWidth, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// evaluateForPlan evaluates the objects with these ids, several at a time.
func (r *run) evaluateForPlan(ctx context.Context, p *pass, ids []string) ([]*work, error) {
	works, errs := make([]*work, len(ids)), make([]error, len(ids))
	runConcurrently(len(ids), func(i int) {
		if errs[i] = ctx.Err(); errs[i] != nil {
			return
		}
		known, err := r.e.Store.KnownAbout(ctx, r.job.Key, ids[i])
		if err != nil {
			errs[i] = err
			return
		}
		known.Why = ByCycle
		works[i], errs[i] = r.evaluate(ctx, p, known)
	})
	return works, errors.Join(errs...)
}

// whyLoses says in a sentence why the object loses access, with the clauses that it does not pass.
func (w *work) whyLoses() string {
	why := strings.TrimSuffix(w.whyDisabled(), ".")
	if w.assigned && !w.isPurged && len(w.failedClauses) > 0 {
		why += ": " + strings.Join(w.failedClauses, ", ")
	}
	return strings.ToUpper(why[:1]) + why[1:] + "."
}

// plannedObject returns what a cycle would do with the person or group.
func (w *work) plannedObject() PlannedObject {
	status := statusOf(w.decision, w.result)
	o := PlannedObject{
		ObjectID: w.known.ObjectID, Kind: w.m.kind, DisplayName: w.entry.SourceIdentity.DisplayName, UserName: w.entry.SourceIdentity.Details["userPrincipalName"],
		Action: actionOf(w.decision), Result: status.Status, TargetID: w.entry.TargetIdentity.ID, Changes: withoutPasswords(changesOf(w.decision)),
		Code: status.Code, Reason: status.Reason, Advice: status.RecommendedAction,
	}
	if _, open := w.decision.(later); open {
		o.Result = Skipped
		o.Reason = w.whyLater()
		if op := w.known.Op; op != nil {
			o.Reason = fmt.Sprintf("A create sent at %s has no known outcome yet; it is looked up first.", op.Sent.UTC().Format("15:04:05"))
		}
	}
	if c, creates := w.decision.(create); creates {
		for i := range o.Changes {
			o.Changes[i].Drawn = slices.Contains(c.fresh, o.Changes[i].Path)
		}
	}
	if o.Changes == nil {
		o.Changes = []Change{}
	}
	if o.Result == Success {
		notes := w.notesOnKeptValues
		if w.takesAway() && !w.entitled() {
			notes = append([]string{w.whyLoses()}, notes...)
		}
		o.Reason = strings.Join(notes, " ")
	}
	o.fingerprint, o.bare, o.lane, o.Spare = w.fingerprint(), w.bareFingerprint(), w.plannedLane(), w.otherAdministrator
	return o
}

func (r *PlanReport) add(o PlannedObject) {
	switch {
	case o.ofMembers() && o.Code == codeTakesAccess:
		r.MembersLeft += len(o.Removed)
		return
	case o.ofMembers() && o.Code == codeOnHold:
		r.MembersOnHold += len(o.Removed)
		return
	case o.ofMembers():
		r.MembersAdded += len(o.Added)
		r.MembersRemoved += len(o.Removed)
		return
	}
	for _, c := range o.Changes {
		if o.Result == Success && c.Type == string(TypeReference) {
			r.References++
		}
	}
	if o.Follows {
		return
	}
	r.Read++
	switch {
	case o.Result == Failure:
		r.Failures++
	case o.Result == Warning:
		r.NotUndone++
	case o.Result == Skipped:
		r.Skips++
		switch o.Code {
		case codeOnHold:
			r.OnHold++
		case codeTakesAccess:
			r.TakesAccess++
		}
	case o.Action == Create:
		r.Creates++
	case o.Action == Update:
		r.Updates++
	case o.Action == Disable:
		r.Disables++
	case o.Action == Delete:
		r.Deletes++
	}
}
