package provision

import (
	"context"
	"fmt"
	"maps"
)

// Reach counts the people that a change of a job's settings affects. An administrator sees the
// numbers before saving the change.
type Reach struct {
	In      int // how many users are active and in scope after the change
	Leave   int // how many users leave the scope
	Come    int // how many users come into scope
	On      int // how many of Come have a linked account that is off now and will be switched on
	Off     int // how many users have a linked account that the change disables
	Make    int // how many users without a linked account will get an account because of the change
	Join    int // how many of Make were not in scope before
	Linked  int // how many linked accounts there are
	Out     int // how many of Linked belong to a user who is out of scope after the change, or was purged
	Deleted int // how many of Linked belong to a soft-deleted user
}

// scopeChecker decides which users are in a job's scope. It also says whether the job creates
// accounts for users in scope, and disables accounts of users out of scope. For groups, an account
// means a group at the target, which is deleted instead of disabled.
type scopeChecker struct {
	job     Job
	admits  func(Object) (bool, error) // reports whether an object passes the scoping filters
	makes   bool                       // whether the job creates accounts
	updates bool                       // whether the job may disable accounts or, for groups, delete groups
}

// newScopeChecker returns the scopeChecker of a job's users, or of its groups.
func newScopeChecker(job Job, kind ObjectKind) (scopeChecker, error) {
	m, err := job.Schema.mappingOf(string(kind))
	if err != nil {
		return scopeChecker{}, err
	}
	admits, err := m.Admits()
	ends := FlowUpdate
	if kind == GroupKind {
		ends = FlowDelete // a group without access is deleted
	}
	return scopeChecker{job: job, admits: boundedAdmits(admits), makes: job.Status == On && m.FlowTypes.Has(FlowAdd), updates: m.FlowTypes.Has(ends)}, err
}

// has reports whether a user is in scope. If a scoping filter cannot be evaluated for a user, the
// user counts as in scope, because the account then stays as it is.
func (r scopeChecker) has(o Object) bool {
	if !o.Assigned && r.job.Scope != Everyone {
		return false
	}
	in, err := r.admits(o)
	return in || err != nil
}

// maxSlowPatterns is how many times a comparison waits until a regular expression reaches its time
// limit. Each wait concerns one user and takes a tenth of a second.
const maxSlowPatterns = 20

// boundedAdmits returns a function like admits that remembers the result for the last object. After
// maxSlowPatterns errors, the function no longer calls admits, and returns the last error for every
// object.
func boundedAdmits(admits func(Object) (bool, error)) func(Object) (bool, error) {
	var (
		id     string
		in     bool
		err    error
		failed int
	)
	return func(o Object) (bool, error) {
		if o.ID == id && id != "" || failed >= maxSlowPatterns {
			return in, err
		}
		id = o.ID
		if in, err = admits(o); err != nil {
			failed++
		}
		return in, err
	}
}

// Reach counts the users that a change of a job affects. For every user in the directory, it
// compares the job before the change with the job after it.
func (j *Jobs) Reach(ctx context.Context, before, after Job) (Reach, error) {
	var n Reach
	source, err := j.Sources(ctx, after.Key.Directory)
	if err != nil {
		return n, fmt.Errorf("open the directory: %w", err)
	}
	was, err := newScopeChecker(before, UserKind)
	if err != nil {
		return n, fmt.Errorf("read the mapping: %w", err)
	}
	is, err := newScopeChecker(after, UserKind)
	if err != nil {
		return n, fmt.Errorf("read the mapping: %w", err)
	}
	err = j.compare(ctx, was, is, UserKind, source.Snapshot, &n, func(Object, bool) error { return nil })
	return n, err
}

// snapshotOf is a function that reads one page of users or groups.
type snapshotOf func(ctx context.Context, q SnapshotQuery) ([]Object, error)

// compare adds to n the number of objects that a change affects. It also calls visit with each
// object in the directory.
func (j *Jobs) compare(ctx context.Context, was, is scopeChecker, kind ObjectKind, snapshot snapshotOf, n *Reach, visit func(o Object, linked bool) error) error {
	linked, err := j.linkStates(ctx, is.job.Key, kind)
	if err != nil {
		return err
	}
	n.Linked, n.Out = len(linked), len(linked)
	q := SnapshotQuery{App: is.job.Key.App, Limit: importPage}
	for {
		list, err := snapshot(ctx, q)
		if err != nil {
			return fmt.Errorf("read the directory: %w", err)
		}
		for _, o := range list {
			state, has := linked[o.ID]
			n.add(o, was, is, has, state)
			if err := visit(o, has); err != nil {
				return err
			}
		}
		if len(list) < q.Limit {
			return nil
		}
		q.After = list[len(list)-1].ID
	}
}

// add counts one object. was checks the scope before the change, and is checks the scope after it.
// linked says whether the object has a link, and state is the state of the link.
func (n *Reach) add(o Object, was, is scopeChecker, linked bool, state LinkState) {
	had, has := was.has(o), is.has(o)
	if linked && has {
		n.Out--
	}
	if linked && !o.Deleted.IsZero() {
		n.Deleted++
	}
	if !o.Active() {
		return
	}
	switch {
	case has:
		n.In++
	case had:
		n.Leave++
	}
	if has && !had {
		n.Come++
		if (state == Disabled || state == Released) && is.updates {
			n.On++
		}
	}
	if linked && !has && is.updates && (had || !was.updates) {
		n.Off++
	}
	if !linked && has && is.makes && (!had || !was.makes) {
		n.Make++
		if !had {
			n.Join++
		}
	}
}

// linkStates returns the link states of a job's linked users or groups, by object id.
func (j *Jobs) linkStates(ctx context.Context, k Key, kind ObjectKind) (map[string]LinkState, error) {
	all := make(map[string]LinkState)
	after := ""
	for {
		ids, err := j.Store.LinkedIDs(ctx, k, kind, after, importPage)
		if err != nil {
			return nil, err
		}
		states, err := j.Store.LinkStates(ctx, k, ids)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, states)
		if len(ids) < importPage {
			return all, nil
		}
		after = ids[len(ids)-1]
	}
}

// With returns the job with the new settings that Reach depends on.
func (job Job) With(s Settings) (Job, error) {
	job.Scope, job.Status = s.Scope, s.Status
	if s.Actions == nil {
		return job, nil
	}
	m, err := job.Schema.UserMapping()
	if err != nil {
		return job, err
	}
	return job.WithActions(m.Name, *s.Actions)
}

// WithActions returns the job with new Target Object Actions in one of its mappings.
func (job Job) WithActions(name string, actions FlowTypes) (Job, error) {
	job.Schema = job.Schema.Clone()
	m, err := job.Schema.ObjectMapping(name)
	if err != nil {
		return job, err
	}
	m.FlowTypes = actions
	return job, nil
}

// WithScope returns the job with new scoping filters in one of its mappings.
func (job Job) WithScope(name string, groups []FilterGroup) (Job, error) {
	job.Schema = job.Schema.Clone()
	m, err := job.Schema.ObjectMapping(name)
	if err != nil {
		return job, err
	}
	m.SetScope(groups)
	return job, nil
}
