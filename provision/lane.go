package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Lane is a lane of a job's work list. The engine takes objects from the first lane that has an
// object which is due. Within a lane it takes the object that has waited longest.
type Lane int

// Lanes, the most urgent first.
const (
	Leavers Lane = 1 + iota // people whose account should be disabled or deleted
	Joiners                 // people who have no account yet and have changed
	Updates                 // people who have an account and have changed
	// CycleJoiners is the lane of people without an account that a cycle or a plan lists. An
	// initial cycle lists everyone, and a single change does not wait for all of them.
	CycleJoiners
)

// Lanes of groups and references, which come after people.
const (
	Groups      Lane = 10 + iota
	Memberships      // the memberships of one group
	References       // references from people to people, such as the manager
)

// Checks is the last lane. It holds the objects of an initial cycle or of the daily search.
const Checks Lane = 20

// Listed is an object that is to be put on the work list.
type Listed struct {
	ObjectID string
	Why      Why
	Lane     Lane
	Members  []ListedMember // for work on a group's memberships: the memberships that have changed

	Takes        bool         // whether the object's account would be disabled or deleted
	Cause        string       // the id of the cause of the object's change; "" for a single change
	Reason       string       // why the account would be disabled or deleted, in words
	KeptVerdicts KeptVerdicts // which verdicts stay if the object is on the work list already
	Turn         int64        // if it is not 0, the object is listed only if its row has this turn
	State        LinkState    // the state of the object's link when the object was listed; "" if it has no link
}

// WithoutGuard returns the row to list instead of l if the object's link no longer has the state
// l.State. This happens if a worker has disabled or deleted the account since l was made. The guard
// does not count the returned row.
func (l Listed) WithoutGuard() Listed {
	return Listed{ObjectID: l.ObjectID, Why: l.Why, Lane: Checks, Cause: l.Cause}
}

// ListedMember is a membership that has changed.
type ListedMember struct {
	Member string // the object id of the member
	Cause  string // the id of the cause of the change; "" for a single change
	Takes  bool   // whether a single change ended the membership; the guard does not judge single changes
}

// list returns a row of the work list for each object, with its lane and the fields for the guard.
// objects holds the objects, as read from the source. If it is nil, list reads the objects whose
// lane depends on them. origins says where the changes of the objects come from.
func (r *run) list(ctx context.Context, why Why, ids []string, objects map[string]*Object, origins map[string]Origin) ([]Listed, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	states, err := r.e.Store.LinkStates(ctx, r.job.Key, ids)
	if err != nil {
		return nil, err
	}
	if objects == nil {
		known := slices.Sorted(maps.Keys(states))
		if r.groups != nil && why != ByChange {
			known = ids // a group without a link has a lane of its own
		}
		if objects, err = r.objects(ctx, known); err != nil {
			return nil, err
		}
	}
	listed := make([]Listed, len(ids))
	for i, id := range ids {
		if _, is := groupOf(id); is {
			listed[i] = Listed{ObjectID: id, Why: why, Lane: Memberships}
			continue
		}
		listed[i] = Listed{ObjectID: id, Why: why, Lane: r.lane(why, states[id], objects[id]), State: states[id]}
		listed[i].Takes = listed[i].Lane == Leavers || r.endsGroup(states[id], objects[id])
		r.fillGuardFields(&listed[i], objects[id], origins[id])
	}
	return listed, nil
}

// objects reads the objects with these ids from the source. It leaves out purged objects.
func (r *run) objects(ctx context.Context, ids []string) (map[string]*Object, error) {
	found := make(map[string]*Object, len(ids))
	for page := range slices.Chunk(ids, maxObjectsPerRead) {
		read, err := r.source.Objects(ctx, r.job.Key.App, page)
		if err != nil {
			return nil, fmt.Errorf("read objects: %w", err)
		}
		for i := range read {
			found[read[i].ID] = &read[i]
		}
	}
	for _, id := range ids {
		if _, isMembers := groupOf(id); found[id] != nil || r.groups == nil || isMembers {
			continue
		}
		o, err := r.readGroup(ctx, id)
		if err != nil {
			return nil, err
		}
		found[id] = o
	}
	return found, nil
}

// lane returns the lane of an object. state is the state of its link; "" if it has no link. o is
// nil if the source no longer has the object.
func (r *run) lane(why Why, state LinkState, o *Object) Lane {
	switch {
	case o != nil && o.Kind == GroupKind:
		return r.laneOfGroup(why, state, o)
	case state == "" && why == ByAbsence:
		return Checks
	case state == "" && why == ByCycle:
		return CycleJoiners
	case state == "":
		return Joiners
	case state != Released && o == nil, state == Active && !r.entitles(o):
		return Leavers
	case why == ByCycle || why == ByAbsence:
		return Checks
	}
	return Updates
}

// entitles reports whether an object should have a usable account.
func (r *run) entitles(o *Object) bool {
	if o == nil || !o.Active() || !o.Assigned && r.job.Scope != Everyone {
		return false
	}
	admitted, _, err := r.m.filter.admits(filterAttributes(o))
	return admitted || err != nil
}

// filterAttributes returns the attributes of an object that a scoping filter can read.
func filterAttributes(o *Object) map[string]any {
	a := map[string]any{attrEnabled: false, attrSoftDeleted: false}
	maps.Copy(a, o.Attributes)
	return a
}

// listAll puts objects on the work list. Each page has its own transaction, so that no transaction
// takes long. The transaction of the last page also saves the state s.
func (r *run) listAll(ctx context.Context, s State, why Why, ids []string) error {
	for {
		page := ids[:min(len(ids), importPage)]
		ids = ids[len(page):]
		listed, err := r.list(ctx, why, page, nil, nil)
		if err != nil {
			return err
		}
		saved := r.state
		if len(ids) == 0 {
			saved = s
		}
		if err := r.e.Store.Import(ctx, r.fence, saved, listed); err != nil {
			return err
		}
		if len(ids) == 0 {
			return nil
		}
	}
}

// earliest returns the earliest of several times. It ignores zero times.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
