package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// advance does one slice of work. It returns when to call it again. If the source no longer keeps
// all changes that the job has not read yet, the next slice starts an initial cycle.
func (r *run) advance(ctx context.Context) (next time.Time, err error) {
	next, err = r.workOneSlice(ctx)
	if !errors.Is(err, ErrBehind) {
		return next, err
	}
	s := &r.state
	s.Ready, s.Watermark, s.NextCycle, s.Why = false, "", time.Time{}, prunedNote
	r.abandon(prunedNote)
	if err := r.e.Store.SaveState(ctx, r.fence, *s, r.event(ctx, event.ProvisioningBehind, prunedNote)); err != nil {
		return time.Time{}, err
	}
	return r.e.Now(), nil
}

const prunedNote = "The directory no longer keeps all changes since the last cycle. An initial cycle looks at everybody."

// workOneSlice does one slice of work: it begins a cycle if one is due, imports changes, works on
// the work list, and ends the cycle if nothing is left to do. It returns when to call it again.
func (r *run) workOneSlice(ctx context.Context) (next time.Time, err error) {
	if err := r.applyRequests(ctx); err != nil {
		return time.Time{}, err
	}
	if err := r.tryAfterDecision(ctx); err != nil {
		return time.Time{}, err
	}
	if wait := r.pausedUntil(); !wait.IsZero() {
		return wait, nil
	}
	if r.state.Phase == Idle {
		due, next, err := r.cycleIsDue(ctx, r.e.Now(), r.forced)
		if err != nil || !due {
			return next, err
		}
	}
	if te := asProblem(r.connect()); te != nil {
		return r.quarantine(ctx, te)
	}
	r.noticeDomainChange()
	if r.state.Phase == Idle || r.state.Quarantine != nil || !r.state.Searches.isCurrentFor(r.job) {
		if te := r.testUnlessPaused(ctx); te != nil {
			if err := ctx.Err(); err != nil {
				return time.Time{}, err
			}
			return r.handleFailedTest(ctx, te)
		}
	}
	if r.state.Phase == Idle || r.state.Quarantine != nil {
		if err := r.beginCycle(ctx); err != nil {
			return time.Time{}, err
		}
	} else if err := r.relistDueRetries(ctx); err != nil {
		return time.Time{}, err
	}
	done, wait, err := r.drain(ctx)
	switch {
	case err != nil:
		return time.Time{}, err
	case !wait.IsZero():
		return wait, nil
	case done:
		if judged, err := r.judge(ctx, true); err != nil || judged {
			return r.e.Now(), err
		}
		return r.pauseOrFinish(ctx)
	}
	return r.e.Now(), ctx.Err()
}

// testUnlessPaused tests the connection and returns the problem, or nil. If an earlier test has
// shown which attributes can be searched, it also returns nil while the target asks for a pause of
// searches. So leavers do not have to wait, because the engine needs no search for them.
func (r *run) testUnlessPaused(ctx context.Context) *TargetError {
	known := r.state.Searches.isCurrentFor(r.job) && r.state.Quarantine == nil
	if known && !r.state.Pace.pausedUntil(SearchRequest, r.e.Now()).IsZero() {
		return nil
	}
	te := asProblem(r.test(ctx))
	if te == nil || te.Kind != Throttled || !known {
		return te
	}
	r.state.Pace = r.state.Pace.pausing(SearchRequest, r.e.Now().Add(orDefault(te.RetryAfter, defaultPause)))
	return nil
}

// The limits on how long a cycle stays open for objects that have to wait.
const (
	maxWaitForNext = 10 * time.Second // a cycle stays open if the next object is due within this time
	maxIdleTime    = 30 * time.Second // the cycle ends if no work was done for this long
)

// pauseOrFinish is called when no object is due. It ends the cycle, or pauses it until the next
// object is due if that is soon.
func (r *run) pauseOrFinish(ctx context.Context) (next time.Time, err error) {
	s, now := &r.state, r.e.Now()
	next, err = r.nextPending(ctx, now)
	if err != nil || next.IsZero() || next.After(now.Add(maxWaitForNext)) {
		return r.endCycle(ctx)
	}
	if s.WaitingSince.IsZero() || s.ReadAtWaitingSince != s.Cycle.Read {
		s.WaitingSince, s.ReadAtWaitingSince = now, s.Cycle.Read
		return next, r.e.Store.SaveState(ctx, r.fence, *s, nil)
	}
	if now.Sub(s.WaitingSince) > maxIdleTime {
		return r.endCycle(ctx)
	}
	return next, nil
}

func asProblem(err error) *TargetError {
	if err == nil {
		return nil
	}
	return asTargetError(err)
}

// applyRequests applies what people have requested by changing the job. A restart drops the
// failures, a new target drops the links, and a change that affects everyone starts an initial
// cycle.
func (r *run) applyRequests(ctx context.Context) error {
	s, j := &r.state, r.job
	if s.Asked == j.Asked {
		return nil
	}
	var what Forget
	if s.ForgetLinks != j.ForgetLinks {
		what = Forget{Links: true, Escrows: true, Unmatched: true}
		s.Watermark = "" // there are no links, so an initial cycle need not list leavers first
	}
	if s.ForgetFailures != j.ForgetFailures {
		what.Escrows, s.ReadAll = true, true
	}
	if s.LookAtAll != j.LookAtAll {
		s.Ready, s.NextCycle, s.Why = false, time.Time{}, j.AskedWhy
		s.Allowed = j.confirmedSince(s.Confirmed)
		r.abandon("A change of the job's settings started a new initial cycle.")
	}
	if (s.TryNow != j.TryNow || s.LookAtAll != j.LookAtAll) && s.Quarantine != nil {
		s.Quarantine.NextAttempt = time.Time{} // the zero time lets this slice try again at once
	}
	if s.TryNow != j.TryNow {
		s.Cooldown, s.Pace, s.NextCycle = time.Time{}, Pace{}, time.Time{} // Start and newly saved credentials begin a cycle at once
	}
	s.Asked = j.Asked
	return r.e.Store.Forget(ctx, r.fence, *s, what)
}

// noticeDomainChange makes the next cycle an initial one if a mapping reads the default domain of
// the directory and the domain has changed.
func (r *run) noticeDomainChange() {
	s := &r.state
	if s.Domain == r.m.domain || !r.m.readsDomain() && (r.groups == nil || !r.groups.m.readsDomain()) {
		return
	}
	s.Domain = r.m.domain
	if s.Ready {
		s.Ready, s.Why = false, "The default domain of the directory has changed."
		r.abandon(s.Why)
	}
}

// abandon ends the current cycle early. Its work list stays, and the next cycle continues with it.
func (r *run) abandon(why string) {
	if r.state.Phase == Idle {
		return
	}
	c := r.state.Cycle
	c.Ended, c.State, c.Error = r.e.Now(), Failed, why
	r.state.Last, r.state.Phase = &c, Idle
}

// pausedUntil returns the time until which the job may send nothing, because of a pause or a
// quarantine. It returns the zero time if the job may send requests.
func (r *run) pausedUntil() time.Time {
	now := r.e.Now()
	if now.Before(r.state.Cooldown) {
		return r.state.Cooldown
	}
	if q := r.state.Quarantine; q != nil && now.Before(q.NextAttempt) && !r.forced {
		return q.NextAttempt
	}
	return time.Time{}
}

// cycleIsDue reports whether a cycle should begin now. If not, next is when to call cycleIsDue
// again. If forced is true, a cycle begins regardless of the schedule.
func (r *run) cycleIsDue(ctx context.Context, now time.Time, forced bool) (due bool, next time.Time, err error) {
	k := r.job.Key
	if forced || !r.state.Ready || r.state.Quarantine != nil || !now.Before(r.state.NextCycle) || r.clockWasAhead(now) {
		return true, time.Time{}, nil
	}
	if r.job.Rules != RulesEntra { // by Entra's rules, changes and failures wait for the next cycle
		changed, upTo, err := r.sourceChanged(ctx)
		if err != nil || changed {
			return changed, time.Time{}, err
		}
		if err := r.skipTo(ctx, upTo); err != nil {
			return false, time.Time{}, err
		}
	}
	judgeable, judged, err := r.canJudgeACause(ctx)
	if err != nil || judgeable {
		return judgeable, time.Time{}, err
	}
	var retry time.Time
	if r.job.Rules != RulesEntra {
		if retry, err = r.e.Store.NextRetry(ctx, k); err != nil {
			return false, time.Time{}, err
		}
	}
	pending, err := r.nextPending(ctx, now)
	if err != nil {
		return false, time.Time{}, err
	}
	next = earliest(r.state.NextCycle, retry, pending, judged)
	return !now.Before(next), next, nil
}

// nextPending returns when the next object on the work list is due. It returns the zero time if no
// object can become due. While the target accepts no creates, people who need an account become due
// when that pause ends.
func (r *run) nextPending(ctx context.Context, now time.Time) (time.Time, error) {
	next, err := r.e.Store.NextPending(ctx, r.job.Key, false)
	paused := r.state.Pace.pausedUntil(CreateRequest, now)
	if err != nil || next.IsZero() || paused.IsZero() {
		return next, err
	}
	next, err = r.e.Store.NextPending(ctx, r.job.Key, true)
	return earliest(next, paused), err
}

// clockWasAhead reports whether the next cycle is scheduled later than the interval allows. This is
// so if the clock was ahead when the cycle was scheduled.
func (r *run) clockWasAhead(now time.Time) bool {
	return r.state.NextCycle.After(now.Add(r.e.interval()))
}

// lookedUpTo says how far the engine has looked for changes that concern a job, without finding any.
type lookedUpTo struct {
	watermark, mark Cursor // the positions up to which the engine looked, for people and for groups
	isFar           bool   // whether the engine had to read more than one page
}

// sourceChanged reports whether the source has changes that concern the job. If there are none, it
// also returns how far it has looked. It looks for a limited time. If more changes are left then, it
// reports a change, and the cycle that begins reads the rest.
func (r *run) sourceChanged(ctx context.Context) (changed bool, upTo lookedUpTo, err error) {
	upTo = lookedUpTo{watermark: r.state.Watermark, mark: r.state.Groups.Mark}
	until := r.e.Now().Add(maxLookTime)
	for more := true; more; {
		c, err := r.source.Changes(ctx, r.job.Key.App, upTo.watermark, importPage)
		if err != nil {
			return false, upTo, fmt.Errorf("read changes: %w", err)
		}
		if c.concerns() {
			return true, upTo, nil
		}
		upTo.watermark, more = c.Cursor, c.More
		upTo.isFar = upTo.isFar || more
		if more && !r.e.Now().Before(until) {
			return true, upTo, nil
		}
	}
	if r.m == nil { // without the mapping of a connected job, it is not known which groups concern the job
		found := false
		if found, upTo.mark, err = groupNews(ctx, r.source, r.job.Key, r.state.Groups.Ready, upTo.mark); err != nil || !found {
			return false, upTo, err
		}
		if r.connect() != nil {
			return true, upTo, nil // the cycle connects again, and handles the problem
		}
	}
	err = r.eachGroupNews(ctx, upTo.mark, func(listed []Listed, at Cursor) (more bool, err error) {
		if changed = len(listed) > 0; !changed {
			upTo.mark = at
			changed = !r.e.Now().Before(until)
		}
		return !changed, nil
	})
	return changed, upTo, err
}

// skipTo moves the watermarks of a job past changes that do not concern the job. It is called while
// no cycle of the job is open. The engine then does not read these changes again each time the job
// is woken. If the changes fit on one page, skipTo does nothing: reading them again costs less than
// storing the state.
func (r *run) skipTo(ctx context.Context, upTo lookedUpTo) error {
	if !upTo.isFar {
		return nil
	}
	s := r.state
	s.Watermark, s.Groups.Mark = upTo.watermark, upTo.mark
	if err := r.e.Store.SaveState(ctx, r.fence, s, nil); err != nil {
		return err
	}
	r.state = s
	return nil
}

// beginCycle starts a cycle, or continues a cycle that a quarantine interrupted.
func (r *run) beginCycle(ctx context.Context) error {
	s, now := &r.state, r.e.Now()
	var lifted *event.Event
	if q := s.Quarantine; q != nil && (q.Code == codeWritesRefused || isEntraReason(q.Code)) {
		// If writes were refused, a single write is tried; when it works, endTrial announces the end of
		// the quarantine. By Entra's rules, the end of the cycle decides.
		s.Trial, s.Quarantine = q, nil
	}
	if s.Quarantine != nil {
		lifted = r.event(ctx, event.ProvisioningReleased, "The connection test worked; the quarantine is lifted.")
		s.Quarantine, s.FailedRuns = nil, 0
	}
	if s.Phase != Idle {
		return r.e.Store.SaveState(ctx, r.fence, *s, lifted)
	}
	s.Cycle = CycleReport{ID: r.e.NewID(), Kind: IncrementalCycle, Started: now}
	s.Phase, s.After = Changes, ""
	if s.Groups.Ready = s.Groups.Ready && r.groupsOn(); !s.Ready || r.groupsOn() && !s.Groups.Ready {
		start, err := r.source.Position(ctx)
		if err != nil {
			return fmt.Errorf("read position: %w", err)
		}
		if err := r.listLeavers(ctx); err != nil {
			return err
		}
		s.Cycle.Kind, s.Phase, s.Start, s.Watermark = InitialCycle, Snapshot, start, start
		s.Groups.Mark = start
		s.Cycle.Reads, s.Cycle.Why, s.Cycle.Allowed = s.ReadAll, s.Why, s.Allowed
		s.Allowed = 0 // the confirmed number of disables is for this cycle only
	}
	if err := r.noteMappings(ctx); err != nil {
		return err
	}
	if err := r.e.Store.SaveState(ctx, r.fence, *s, lifted); err != nil {
		return err
	}
	if err := r.mentionGroups(ctx); err != nil {
		return err
	}
	return r.relistDue(ctx)
}

// listLeavers puts leavers on the work list before an initial cycle looks at everyone. Leavers are
// people who have lost access by a change since the last cycle. So they come first, and the guard
// attributes them to that change and not to the reason for the initial cycle.
func (r *run) listLeavers(ctx context.Context) error {
	return r.eachLeaver(ctx, func(ids []string, c Changed) error {
		listed, err := r.list(ctx, ByChange, ids, nil, c.Origins)
		if err != nil {
			return err
		}
		r.state.Watermark = c.Cursor
		return r.e.Store.Import(ctx, r.fence, r.state, listed, c.Ended...)
	})
}

// eachLeaver calls visit for each page of changes since the watermark, with the ids of the people
// who have lost access by these changes. A person who is out of scope only because the job's
// settings changed is not among them.
func (r *run) eachLeaver(ctx context.Context, visit func(ids []string, c Changed) error) error {
	for at, more := r.state.Watermark, r.state.Watermark != ""; more; {
		c, err := r.source.Changes(ctx, r.job.Key.App, at, importPage)
		if errors.Is(err, ErrBehind) {
			return nil // the source no longer keeps these changes; the initial cycle finds the leavers anyway
		}
		if err != nil {
			return fmt.Errorf("read changes: %w", err)
		}
		ids := slices.DeleteFunc(slices.Clone(c.IDs), func(id string) bool { return !c.Origins[id].RemovesAccess })
		objects, err := r.objects(ctx, ids)
		if err != nil {
			return err
		}
		ids = slices.DeleteFunc(ids, func(id string) bool {
			o := objects[id]
			return o != nil && o.Active() && (o.Assigned || r.job.Scope == Everyone)
		})
		if err := visit(ids, c); err != nil {
			return err
		}
		at, more = c.Cursor, c.More
	}
	return nil
}

// relistDue puts objects whose retry is due back on the work list. It also lists the people whose
// accounts this cycle searches for again (see withoutAccount).
func (r *run) relistDue(ctx context.Context) error {
	now, k := r.e.Now(), r.job.Key
	until := now
	if r.forced || r.state.Cycle.Kind == InitialCycle {
		until = time.Time{} // the zero time makes DueEscrowIDs return all failed objects
	}
	ids, err := r.e.Store.DueEscrowIDs(ctx, k, until)
	if err != nil {
		return err
	}
	if err := r.listRetries(ctx, ids); err != nil {
		return err
	}
	if ids, err = r.withoutAccount(ctx); err != nil {
		return err
	}
	then := r.state
	if !now.Before(then.NextUnmatched) {
		then.NextUnmatched = now.Add(unmatchedSearchInterval)
	}
	if err := r.listAll(ctx, then, ByAbsence, ids); err != nil {
		return err
	}
	r.state = then
	return nil
}

// relistDueRetries puts leavers whose retry has become due in the course of a long cycle back on the
// work list, so that a leaver whose account could not be disabled does not wait for the end of the
// cycle. All other retries wait for the next cycle.
func (r *run) relistDueRetries(ctx context.Context) error {
	ids, err := r.e.Store.DueLeaverIDs(ctx, r.job.Key, r.e.Now(), importPage)
	if err != nil || len(ids) == 0 {
		return err
	}
	return r.listRetries(ctx, ids)
}

// listRetries puts failed objects back on the work list, without those that an initial cycle lists
// itself.
func (r *run) listRetries(ctx context.Context, ids []string) (err error) {
	if r.state.Cycle.Kind == InitialCycle {
		if ids, err = r.withoutCycleGroups(ctx, ids); err != nil {
			return err
		}
		if ids, err = r.withoutPeopleLosingAccess(ctx, ids); err != nil {
			return err
		}
	}
	return r.listAll(ctx, r.state, ByRetry, ids)
}

// withoutCycleGroups removes from ids the memberships, and the groups that an initial cycle looks
// at anyway. If the job provisions no groups, it removes nothing.
func (r *run) withoutCycleGroups(ctx context.Context, ids []string) ([]string, error) {
	if !r.groupsOn() {
		return ids, nil
	}
	ids = slices.DeleteFunc(ids, func(id string) bool {
		_, is := groupOf(id)
		return is
	})
	objects, err := r.objects(ctx, ids)
	return slices.DeleteFunc(ids, func(id string) bool { return r.inGroupSnapshot(objects[id]) }), err
}

// withoutPeopleLosingAccess removes from ids the people who lose access because of this initial
// cycle. The cycle itself lists them later, so that the guard counts them. It does not remove
// people whose account the engine already failed to disable or delete: these are tried again at
// once.
func (r *run) withoutPeopleLosingAccess(ctx context.Context, ids []string) (left []string, err error) {
	listed, err := r.list(ctx, ByCycle, ids, nil, nil)
	if err != nil {
		return nil, err
	}
	for _, l := range listed {
		if l.Takes {
			known, err := r.e.Store.KnownAbout(ctx, r.job.Key, l.ObjectID)
			if err != nil {
				return nil, err
			}
			if !known.removalFailed() {
				continue
			}
		}
		left = append(left, l.ObjectID)
	}
	return left, nil
}

func (r *run) inGroupSnapshot(o *Object) bool {
	return o != nil && o.Kind == GroupKind && (o.Assigned || r.job.Scope == Everyone)
}

// withoutTried returns the listed objects without those that this initial cycle has tried already.
// It keeps groups, because the engine looks at the members of a group only after the group.
func (r *run) withoutTried(ctx context.Context, listed []Listed, objects map[string]*Object) ([]Listed, error) {
	if len(listed) == 0 {
		return listed, nil
	}
	r.mu.Lock()
	since := r.state.Cycle.Started
	r.mu.Unlock()
	first, last := listed[0].ObjectID, listed[0].ObjectID
	for _, l := range listed {
		first, last = min(first, l.ObjectID), max(last, l.ObjectID)
	}
	tried, err := r.e.Store.TriedSince(ctx, r.job.Key, first, last, since)
	return slices.DeleteFunc(listed, func(l Listed) bool {
		return slices.Contains(tried, l.ObjectID) && !r.inGroupSnapshot(objects[l.ObjectID])
	}), err
}

// withoutAccount returns the people whose accounts this cycle searches for again. In each cycle
// these are the people whose account was lost a short time ago. Once a day they are also the people
// without an account, those whose account the target keeps blocked, and those whose account was
// lost earlier.
func (r *run) withoutAccount(ctx context.Context) ([]string, error) {
	now, k := r.e.Now(), r.job.Key
	ids, err := r.e.Store.LostIDs(ctx, k)
	if err != nil || now.Before(r.state.NextUnmatched) {
		return ids, err
	}
	unmatched, err := r.e.Store.UnmatchedIDs(ctx, k)
	if err != nil {
		return nil, err
	}
	held, err := r.e.Store.HeldIDs(ctx, k)
	if err != nil {
		return nil, err
	}
	gone, err := r.e.Store.GoneSince(ctx, k, now.Add(-goneSearchPeriod))
	return slices.Concat(ids, unmatched, held, gone), err
}

// phase returns the phase of the cycle. Several goroutines may call it at the same time.
func (r *run) phase() Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Phase
}

// changeState applies change to a copy of the state. Then it calls write, which stores the copy
// together with other data. If write succeeds, the copy becomes the state.
func (r *run) changeState(change func(s *State), write func(s State) error) error {
	r.write.acquire(r.e.goroutines())
	defer r.write.release()
	r.mu.Lock()
	s := r.state
	r.mu.Unlock()
	change(&s)
	if err := write(s); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = s
	return nil
}

// changeNothing calls write, which stores memberships and does not change the state. During the
// call, no outcome is recorded and nothing is imported. Otherwise, on PostgreSQL, write and such a
// change might not see each other's rows.
func (r *run) changeNothing(write func() error) error {
	r.write.acquire(r.e.goroutines())
	defer r.write.release()
	return write()
}

// importNews imports the new changes of the source during a cycle. found reports whether any change
// concerns the job. importNews puts the changed objects into their lanes of the work list at once,
// so that a leaver does not wait for the end of a long cycle.
func (r *run) importNews(ctx context.Context) (found bool, err error) {
	r.mu.Lock()
	at, phase := r.state.Watermark, r.state.Phase
	if phase.initial() {
		at = r.state.Start // the changes after this position are not imported by the initial cycle
	}
	r.mu.Unlock()
	if phase == Changes {
		return false, nil // in this phase, importPage reads the changes
	}
	c, err := r.changesAfter(ctx, at)
	if err != nil {
		return false, err
	}
	r.hasMoreChanges = c.More
	if len(c.IDs) == 0 && c.Cursor == at {
		return false, nil
	}
	page := importedPage{ids: c.IDs, why: ByChange, origins: c.Origins, endedCauses: c.Ended}
	_, err = r.listPage(ctx, page, func(s *State) {
		if phase.initial() {
			s.Start = c.Cursor
		} else {
			s.Watermark = c.Cursor
		}
	})
	return len(c.IDs) > 0 || len(c.Ended) > 0 || c.More, err
}

const (
	maxLookTime   = 2 * time.Second // how long sourceChanged looks for changes that concern a job
	maxImportTime = time.Second     // how long changesAfter reads further pages of changes
	maxChangedIDs = 20 * importPage // when this many objects have changed, changesAfter reads no further page
)

// changesAfter reads the changes after a position, and combines several pages into one. An import
// may change the same person many times, for example once for each group that the person joins. So
// the person is put on the work list once, and not once for each page.
func (r *run) changesAfter(ctx context.Context, at Cursor) (all Changed, err error) {
	for until := r.e.Now().Add(maxImportTime); ; {
		c, err := r.source.Changes(ctx, r.job.Key.App, at, importPage)
		if err != nil {
			return Changed{}, fmt.Errorf("read changes: %w", err)
		}
		all.add(c)
		if !c.More || c.Cursor == at || len(all.IDs) >= maxChangedIDs || !r.e.Now().Before(until) {
			return all, nil
		}
		at = c.Cursor
	}
}

// importPage adds one page of objects to the work list. In the same transaction it saves the cursor
// for the next page. It returns the most urgent lane of these objects.
func (r *run) importPage(ctx context.Context) (first Lane, err error) {
	r.mu.Lock()
	s := r.state
	r.mu.Unlock()
	page, err := r.readPage(ctx, s)
	if err != nil {
		return 0, err
	}
	return r.listPage(ctx, page, func(s *State) {
		s.Phase, s.After, s.Watermark, s.Ready = page.nextState.Phase, page.nextState.After, page.nextState.Watermark, page.nextState.Ready
		s.Groups.Ready, s.Groups.Seen = page.nextState.Groups.Ready, page.nextState.Groups.Seen
	})
}

// listPage adds the objects of a page to the work list. If they are many, it does so in several
// transactions, so that none of them takes long. The last transaction also stores the ended causes
// and the changed state. If the process dies before that, the next process lists all objects of the
// page again. listPage returns the most urgent lane of the objects.
func (r *run) listPage(ctx context.Context, page importedPage, change func(s *State)) (first Lane, err error) {
	first = Checks
	for from := 0; ; from += importPage {
		upTo := min(from+importPage, len(page.ids))
		listed, err := r.list(ctx, page.why, page.ids[from:upTo], page.objects, page.origins)
		if err == nil && page.why == ByCycle {
			listed, err = r.withoutTried(ctx, listed, page.objects)
		}
		if err != nil {
			return 0, err
		}
		for _, l := range listed {
			first = min(first, l.Lane)
		}
		if upTo == len(page.ids) {
			return first, r.changeState(change, func(s State) error { return r.e.Store.Import(ctx, r.fence, s, listed, page.endedCauses...) })
		}
		if err := r.changeState(func(*State) {}, func(s State) error { return r.e.Store.Import(ctx, r.fence, s, listed) }); err != nil {
			return 0, err
		}
	}
}

// importedPage is one page of objects read from the source.
type importedPage struct {
	ids         []string
	why         Why                // the reason why the objects are put on the work list
	objects     map[string]*Object // the objects of the page that were read
	origins     map[string]Origin  // the origins of their changes, by object id
	endedCauses []string           // causes that will make no further changes
	nextState   State              // the state to save with the page; its import cursor is at the next page
}

// readPage reads the page at the import cursor of s.
func (r *run) readPage(ctx context.Context, s State) (importedPage, error) {
	switch s.Phase {
	case Snapshot:
		first := s.FirstDone.IsZero() // in the first cycle hardly anyone has a link; without a link, the id is enough
		page, err := r.source.Snapshot(ctx, SnapshotQuery{
			App: r.job.Key.App, AssignedOnly: r.job.Scope == AssignedOnly, After: s.After, Limit: importPage, IDsOnly: first,
		})
		if err != nil {
			return importedPage{}, fmt.Errorf("read snapshot: %w", err)
		}
		ids, objects := indexByID(page)
		if first {
			if objects, err = r.linkedObjects(ctx, ids); err != nil {
				return importedPage{}, err
			}
		}
		nextPhase := Links
		if r.groupsOn() {
			nextPhase = GroupSnapshot
		}
		s.advanceImport(ids, nextPhase)
		return importedPage{ids: ids, why: ByCycle, objects: objects, nextState: s}, nil
	case GroupSnapshot:
		if !r.groupsOn() {
			s.advanceImport(nil, Links)
			return importedPage{why: ByCycle, nextState: s}, nil
		}
		page, err := r.groups.source.GroupSnapshot(ctx, SnapshotQuery{
			App: r.job.Key.App, AssignedOnly: r.job.Scope == AssignedOnly, After: s.After, Limit: importPage,
		})
		if err != nil {
			return importedPage{}, fmt.Errorf("read snapshot of groups: %w", err)
		}
		ids, objects := indexByID(page)
		if s.advanceImport(ids, Links); s.Phase == Links {
			s.Groups.Seen = s.Cycle.ID
		}
		return importedPage{ids: ids, why: ByCycle, objects: objects, nextState: s}, nil
	case Links:
		kind := ObjectKind("")
		if r.groups == nil {
			kind = UserKind // nobody looks at groups, so a linked group is not missing
		}
		ids, err := r.e.Store.LinkedIDs(ctx, r.job.Key, kind, s.After, importPage)
		if err != nil {
			return importedPage{}, err
		}
		s.advanceImport(ids, Finishing)
		if s.Phase == Finishing {
			s.Watermark, s.Ready, s.Groups.Ready = s.Start, true, r.groupsOn() && s.Groups.Seen == s.Cycle.ID
			created, err := r.openCreateIDs(ctx)
			if err != nil {
				return importedPage{}, err
			}
			ids = slices.Compact(slices.Sorted(slices.Values(slices.Concat(ids, created))))
		}
		ids, err = r.missingFromSnapshot(ctx, ids)
		return importedPage{ids: ids, why: ByCycle, nextState: s}, err
	}
	c, err := r.changesAfter(ctx, s.Watermark)
	if err != nil {
		return importedPage{}, err
	}
	s.Watermark = c.Cursor
	if !c.More {
		s.Phase = Finishing
	}
	return importedPage{ids: c.IDs, why: ByChange, origins: c.Origins, endedCauses: c.Ended, nextState: s}, nil
}

// openCreateIDs returns the ids of the objects whose create has no known outcome. The target may
// have an account or group for them, although they have no link yet.
func (r *run) openCreateIDs(ctx context.Context) (ids []string, err error) {
	kinds := []ObjectKind{UserKind}
	if r.groups != nil {
		kinds = append(kinds, GroupKind)
	}
	for _, kind := range kinds {
		open, err := r.e.Store.OpenCreates(ctx, r.job.Key, kind)
		if err != nil {
			return nil, err
		}
		for _, op := range open {
			ids = append(ids, op.ObjectID)
		}
	}
	return ids, nil
}

// linkedObjects reads the objects with these ids that have a link.
func (r *run) linkedObjects(ctx context.Context, ids []string) (map[string]*Object, error) {
	states, err := r.e.Store.LinkStates(ctx, r.job.Key, ids)
	if err != nil {
		return nil, err
	}
	return r.objects(ctx, slices.Sorted(maps.Keys(states)))
}

func indexByID(page []Object) (ids []string, objects map[string]*Object) {
	ids, objects = make([]string, 0, len(page)), make(map[string]*Object, len(page))
	for _, o := range page {
		ids = append(ids, o.ID)
		objects[o.ID] = &o
	}
	return ids, objects
}

// advanceImport moves the import past the page with these ids. A page that is not full is the last
// page of its phase. After the last page, nextPhase begins.
func (s *State) advanceImport(ids []string, nextPhase Phase) {
	if len(ids) < importPage {
		s.Phase, s.After = nextPhase, ""
		return
	}
	s.After = ids[len(ids)-1]
}

// missingFromSnapshot returns the ids of the objects among ids that the snapshot did not contain.
// These objects were purged, or are no longer assigned.
func (r *run) missingFromSnapshot(ctx context.Context, ids []string) ([]string, error) {
	objects, err := r.objects(ctx, ids)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, id := range ids {
		if o := objects[id]; o == nil || r.job.Scope == AssignedOnly && !o.Assigned {
			out = append(out, id)
		}
	}
	return out, nil
}

// endCycle ends the cycle. It returns when the next cycle begins: at once if a change has arrived
// in the meantime.
func (r *run) endCycle(ctx context.Context) (next time.Time, err error) {
	s, now := &r.state, r.e.Now()
	c := s.Cycle
	c.Ended, c.State = now, Succeeded
	if c.Failed > 0 {
		c.State = EntryLevelErrors
	}
	if c.Waiting, err = r.e.Store.CountPending(ctx, r.job.Key); err != nil {
		return time.Time{}, err
	}
	s.Phase, s.Last, s.LastGood, s.FailedRuns, s.WaitingSince = Idle, &c, &c, 0, time.Time{}
	if c.Sent() > 0 {
		s.LastSent = &c
	}
	s.ReadAll = s.ReadAll && !c.Reads
	if s.FirstDone.IsZero() {
		s.FirstDone = now
	}
	s.NextCycle = c.Started.Add(r.e.interval())
	if s.NextCycle.Before(now) || r.groupsOn() && !s.Groups.Ready {
		s.NextCycle = now // this cycle began before the target accepted groups, so the next one must look at them
	}
	te, err := r.problemAfterCycle(ctx, c)
	if err != nil {
		return time.Time{}, err
	}
	if change := r.changeQuarantine(ctx, te); change != nil {
		if err := r.e.Store.SaveState(ctx, r.fence, *s, change); err != nil {
			return time.Time{}, err
		}
	}
	late, err := r.lateLeaver(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if err := r.e.Store.SaveState(ctx, r.fence, *s, late); err != nil {
		return time.Time{}, err
	}
	r.e.Log.Info("cycle ended", "job", r.job.Key.String(), "cycle", c.ID, "kind", c.Kind, "read", c.Read, "created", c.Created,
		"updated", c.Updated, "disabled", c.Disabled, "deleted", c.Deleted, "skipped", c.Skipped, "failed", c.Failed)
	if s.Quarantine != nil {
		return s.Quarantine.NextAttempt, nil
	}
	due, next, err := r.cycleIsDue(ctx, r.e.Now(), false)
	if due {
		next = now
	}
	return next, err
}

// changeQuarantine puts the job into quarantine at the end of a cycle if te is a problem. Otherwise
// it ends a quarantine by Entra's rules. It returns the event of the change; nil if none is due.
func (r *run) changeQuarantine(ctx context.Context, te *TargetError) *event.Event {
	s := &r.state
	switch {
	case te != nil:
		return r.enterQuarantine(ctx, te)
	case s.Trial != nil && isEntraReason(s.Trial.Code):
		s.Trial = nil
		return r.event(ctx, event.ProvisioningReleased, "The quarantine is lifted.")
	}
	return nil
}

// lateLeaver returns an event if an account has waited too long to be closed, and no event has
// reported this yet. Otherwise it returns nil. It also updates State.LateIsReported.
func (r *run) lateLeaver(ctx context.Context) (*event.Event, error) {
	var p Report
	var err error
	if p.Waits, err = r.e.Store.CountWaiting(ctx, r.job.Key); err != nil {
		return nil, err
	}
	if p.Failing, err = r.e.Store.CountFailing(ctx, r.job.Key); err != nil {
		return nil, err
	}
	p.setOldest(r.e.Now(), orDefault(r.e.LeaverPatience, DefaultLeaverPatience))
	before := r.state.LateIsReported
	r.state.LateIsReported = p.LeaverLate
	if before || !p.LeaverLate {
		return nil, nil
	}
	return r.event(ctx, event.ProvisioningLate, fmt.Sprintf("An account waits to be closed since %s. Somebody who should lose access still has it.", p.OldestLeaver.UTC().Format("2006-01-02 15:04 UTC"))), nil
}

// handleFailedTest pauses the job if the target only asks for a pause. Otherwise it puts the job
// into quarantine. It returns when to try again.
func (r *run) handleFailedTest(ctx context.Context, te *TargetError) (time.Time, error) {
	if te.Kind == Throttled {
		return r.coolDown(ctx, te)
	}
	return r.quarantine(ctx, te)
}

// coolDown pauses the job for the time that the target asked for. A pause does not count as a
// failure.
func (r *run) coolDown(ctx context.Context, te *TargetError) (time.Time, error) {
	r.state.Cooldown = r.e.Now().Add(orDefault(te.RetryAfter, defaultPause))
	return r.state.Cooldown, r.e.Store.SaveState(ctx, r.fence, r.state, nil)
}

// quarantine puts a job into quarantine because all of its requests would fail, and records the
// failure as evidence. The job then tries again at growing intervals, or at once after its
// credentials were changed (see applyRequests).
func (r *run) quarantine(ctx context.Context, te *TargetError) (time.Time, error) {
	s, now := &r.state, r.e.Now()
	e := r.enterQuarantine(ctx, te)
	if s.Phase == Idle {
		s.Last = &CycleReport{ID: r.e.NewID(), Kind: r.nextCycleKind(), Started: now, Ended: now, State: Failed, Error: te.Words()}
	}
	if err := r.e.Store.SaveState(ctx, r.fence, *s, e); err != nil {
		return time.Time{}, err
	}
	late, err := r.lateLeaver(ctx)
	if err != nil || late == nil {
		return s.Quarantine.NextAttempt, err
	}
	return s.Quarantine.NextAttempt, r.e.Store.SaveState(ctx, r.fence, *s, late)
}

// enterQuarantine puts the job into quarantine, or keeps it there after another attempt. It changes
// only the state in memory. It returns the event to record; nil if the reason is not new.
func (r *run) enterQuarantine(ctx context.Context, te *TargetError) (e *event.Event) {
	s, now := &r.state, r.e.Now()
	q := Quarantine{Since: now}
	known := s.Quarantine
	if known == nil && (te.Code == codeWritesRefused || isEntraReason(te.Code)) {
		known = s.Trial
	}
	if known != nil {
		q = *known
	}
	s.Trial = nil
	if known == nil || q.Code != te.Code {
		e = r.event(ctx, event.ProvisioningQuarantined, "Provisioning is in quarantine: "+te.Detail)
	}
	gaps := []time.Duration{
		time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	}
	switch {
	case r.job.Rules == RulesEntra:
		gaps = entraGaps()
	case te.Code == codeWritesRefused:
		gaps = gaps[:3] // at most 15 minutes, because the connection works and a single write costs little
	}
	q.Attempts++
	q.Reason, q.Code, q.Message, q.Status = "EncounteredQuarantineException", te.Code, te.Detail, te.Status
	if isEntraReason(te.Code) {
		q.Reason = te.Code
	}
	q.Advice, q.Evidence = te.Advice, te.Request
	q.NextAttempt = now.Add(max(gaps[min(q.Attempts, len(gaps))-1], te.RetryAfter))
	if now.Sub(q.Since) > maxQuarantine {
		q.NextAttempt = now.Add(365 * 24 * time.Hour)
		q.Advice = "Provisioning was in quarantine for four weeks and stays so until it is restarted. " + te.Advice
	}
	s.Quarantine, s.FailedRuns = &q, s.FailedRuns+1
	return e
}

func (r *run) nextCycleKind() string {
	if r.state.Ready {
		return IncrementalCycle
	}
	return InitialCycle
}

func (r *run) event(ctx context.Context, name, words string) *event.Event {
	app := r.e.Applications.name(ctx, r.job.Key)
	if app != "" {
		words = app + ": " + words
	}
	return &event.Event{
		Time: r.e.Now(), Scope: event.Directory(string(r.job.Key.Directory)), Name: name, Actor: systemActor, Subject: r.job.Key.App, Text: words,
		By: event.Actor{Kind: event.Job, ID: r.job.Key.App, Name: app},
	}
}
