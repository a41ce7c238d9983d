package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

const (
	// MaxOnDemand is the largest number of people and groups that one call may provision on demand.
	// The members of the groups count, too.
	MaxOnDemand = 500
	demandPoll  = 100 * time.Millisecond // the time between two checks whether another process has done the work
	// judgingPolls is how many more times OnDemand checks while a server's guard counts the
	// operations of an object's cause. Counting takes a moment. After that, the engine works on the
	// object, or the operation is on hold.
	judgingPolls = 50
)

// DemandResult is the result for one object that was provisioned on demand.
type DemandResult struct {
	ObjectID string `json:"objectId"`
	Name     string `json:"displayName"`
	// Entries are the log entries with their steps, oldest first. A group may have several: its own
	// entry and those of its memberships.
	Entries []LogEntry `json:"entries"`
	// Waits says why some of the work could not be done yet; "" if all work was done.
	Waits string `json:"waits,omitempty"`
	// Until is when the engine tries again. It is zero if all work was done, or if the guard or an
	// administrator has to decide first.
	Until time.Time `json:"until,omitzero"`
}

// Demanded is a row of the work list, with the fields that say whether and why its object waits.
type Demanded struct {
	ObjectID  string
	Why       Why
	Lane      Lane
	NotBefore time.Time // the time before which the engine does not work on the object
	Reason    string    // why the object was postponed; "" if it was not postponed
	Verdict   Verdict
}

// OnDemand provisions people and groups at once, before all other work. For a group, OnDemand first
// provisions its direct members and then its memberships. It returns a result for each object, in
// the order of objectIDs; the members of a group follow the group. It reads and compares each
// account even if nothing has changed. It follows the same rules as a cycle: the scope, the
// matching, the retries.
//
// OnDemand also works if the job's status is Off. If another process works on the job, that process
// does the work. The guard puts no operation on hold because of OnDemand. But operations that are
// already on hold or rejected stay so, and the result says so.
//
// OnDemand returns an *InputError if an object is unknown or if there are too many, and a
// *TargetError if the connection does not work.
func (e *Engine) OnDemand(ctx context.Context, k Key, owner, actor string, objectIDs []string) ([]DemandResult, error) {
	return e.onDemand(ctx, k, owner, actor, objectIDs, nil)
}

// OnDemandGroup is like OnDemand, for a group and some of its direct members. It does not provision
// the other members, but it updates the memberships of all members that have an account. It also
// returns an *InputError if members contains an object that is not a direct member.
func (e *Engine) OnDemandGroup(ctx context.Context, k Key, owner, actor, group string, members []string) ([]DemandResult, error) {
	if members == nil {
		members = []string{}
	}
	return e.onDemand(ctx, k, owner, actor, []string{group}, members)
}

// onDemand provisions objects as OnDemand does. If only is not nil, onDemand provisions only those
// members of the requested groups.
func (e *Engine) onDemand(ctx context.Context, k Key, owner, actor string, objectIDs, only []string) ([]DemandResult, error) {
	r, err := e.open(ctx, k, 0)
	if err != nil {
		return nil, err
	}
	if r.job.Mode != Automatic {
		return nil, &InputError{Field: "Provisioning Mode", Text: "is Manual; save the Admin Credentials with Automatic first"}
	}
	if err := r.connect(); err != nil {
		return nil, err
	}
	d, err := r.newDemand(ctx, objectIDs, only)
	if err != nil {
		return nil, err
	}
	d.owner = owner
	started := e.Now()
	announced := r.event(ctx, event.ProvisioningOnDemand, d.words()+".")
	announced.Actor, announced.By = actor, event.Actor{}
	if err := d.send(ctx, d.people, announced); err != nil {
		return nil, err
	}
	if err := d.sendReferences(ctx); err != nil {
		return nil, err
	}
	if len(d.memberships) > 0 {
		if err := d.send(ctx, d.memberships, nil); err != nil {
			return nil, err
		}
	}
	results := make([]DemandResult, 0, len(d.people))
	for _, l := range d.people {
		one, err := e.DemandResult(ctx, k, l.ObjectID, started)
		if err != nil {
			return nil, err
		}
		results = append(results, one)
	}
	return results, nil
}

// demand holds the data of one call of OnDemand.
type demand struct {
	r           *run
	owner       string
	names       []string // the names of the requested objects
	people      []Listed // the people and groups to put on the work list
	memberships []Listed // the memberships of the requested groups, to put on the work list
}

// newDemand returns a demand for the requested objects and the members of requested groups. If only
// is not nil, the demand includes only those members.
func (r *run) newDemand(ctx context.Context, objectIDs, only []string) (*demand, error) {
	if len(objectIDs) == 0 {
		return nil, &InputError{Field: "Provision on demand", Text: "needs a person or a group"}
	}
	d := &demand{r: r}
	var ids []string
	listed := map[string]bool{}
	add := func(id string) {
		if !listed[id] {
			listed[id] = true
			ids = append(ids, id)
		}
	}
	for _, id := range objectIDs {
		o, err := r.readObject(ctx, id)
		if err != nil {
			return nil, err
		}
		known, err := r.e.Store.KnownAbout(ctx, r.job.Key, id)
		if err != nil {
			return nil, err
		}
		if o == nil && known.Link == nil {
			return nil, &InputError{Field: "Provision on demand", Text: fmt.Sprintf("knows nobody with the object id %s: neither the directory nor a linked account has it", id)}
		}
		add(id)
		if o == nil {
			d.names = append(d.names, known.Link.Name)
			continue
		}
		d.names = append(d.names, o.Name)
		if o.Kind != GroupKind {
			continue
		}
		members, err := r.demandedMembers(ctx, o, only)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			add(m)
		}
		d.memberships = append(d.memberships, Listed{ObjectID: MembersOf(id), Why: ByDemand, Lane: Memberships})
	}
	if len(ids) > MaxOnDemand {
		return nil, &InputError{Field: "Provision on demand", Text: fmt.Sprintf("takes at most %d people and groups at once, with the members of the groups; these are %d", MaxOnDemand, len(ids))}
	}
	var err error
	d.people, err = r.list(ctx, ByDemand, ids, nil, nil)
	return d, err
}

// demandedMembers returns the direct members of a group that are people. If only is not nil, it
// returns only these members. It returns an *InputError if an object in only is not a direct member
// that is a person.
func (r *run) demandedMembers(ctx context.Context, group *Object, only []string) ([]string, error) {
	if !r.groupsOn() {
		return nil, &InputError{Field: "Provision on demand", Text: fmt.Sprintf("cannot provision the group %s: the mapping of groups is switched off", group.Name)}
	}
	if only != nil {
		kinds, err := r.groups.source.MembersAmong(ctx, group.ID, only)
		if err != nil {
			return nil, fmt.Errorf("read the members of a group: %w", err)
		}
		for _, id := range only {
			if kinds[id] != UserKind {
				return nil, &InputError{Field: "Provision on demand", Text: fmt.Sprintf("takes direct members of %s that are people, and %s is none", group.Name, id)}
			}
		}
		return only, nil
	}
	var members []string
	for after := ""; ; {
		page, err := r.groups.source.Members(ctx, group.ID, after, membersPage)
		if err != nil {
			return nil, fmt.Errorf("read the members of a group: %w", err)
		}
		for _, m := range page {
			if m.Kind != GroupKind {
				members = append(members, m.Member)
			}
		}
		if len(members) > MaxOnDemand {
			return nil, &InputError{Field: "Provision on demand", Text: fmt.Sprintf("takes groups of at most %d members, and %s has more: name some of its people instead", MaxOnDemand, group.Name)}
		}
		if len(page) < membersPage {
			return members, nil
		}
		after = page[len(page)-1].Member
	}
}

// words returns a sentence for the audit log that names the first ten requested objects.
func (d *demand) words() string {
	text := "Provisioned on demand: " + d.names[0]
	for i, name := range d.names[1:] {
		if i == 9 {
			return fmt.Sprintf("%s and %d more", text, len(d.names)-10)
		}
		text += ", " + name
	}
	return text
}

// send puts objects on the work list and lets the engine work on them. It returns when each of them
// is done, postponed or on hold. If announced is not nil, send appends this event.
func (d *demand) send(ctx context.Context, listed []Listed, announced *event.Event) error {
	r := d.r
	if err := r.e.Store.Demand(ctx, r.job.Key, listed, announced); err != nil {
		return err
	}
	r.e.Wake(r.job.Key)
	ids := make([]string, len(listed))
	for i, l := range listed {
		ids[i] = l.ObjectID
	}
	again := time.NewTicker(demandPoll)
	defer again.Stop()
	for polls := 0; ; polls++ {
		err := r.e.workOnDemand(ctx, r.job.Key, d.owner)
		var other *HeldError
		if err != nil && !errors.As(err, &other) {
			return err
		}
		if open, err := r.stillDemanded(ctx, ids, other != nil && polls < judgingPolls); err != nil || !open {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendReferences provisions again the people whose new account refers to another person, such as a
// manager. Such an account stays on the work list until its reference is sent.
func (d *demand) sendReferences(ctx context.Context) error {
	var ids []string
	for _, l := range d.people {
		ids = append(ids, l.ObjectID)
	}
	rows, err := d.r.e.Store.Demanded(ctx, d.r.job.Key, ids)
	if err != nil {
		return err
	}
	var again []Listed
	now := d.r.e.Now()
	for _, row := range rows {
		if row.Lane == References && row.Verdict == Ready && !row.NotBefore.After(now) {
			again = append(again, Listed{ObjectID: row.ObjectID, Why: ByDemand, Lane: References, KeptVerdicts: KeptVerdicts{Allowed: true}})
		}
	}
	if len(again) == 0 {
		return nil
	}
	return d.send(ctx, again, nil)
}

// stillDemanded reports whether the engine still has to work on one of these objects now. If
// judging is true, it also counts an object whose cause the guard is still counting.
func (r *run) stillDemanded(ctx context.Context, ids []string, judging bool) (bool, error) {
	rows, err := r.e.Store.Demanded(ctx, r.job.Key, ids)
	if err != nil {
		return false, err
	}
	now := r.e.Now()
	for _, row := range rows {
		counted := row.Verdict == Judging || row.Verdict == Late
		if row.Why == ByDemand && (row.Verdict == Ready || judging && counted) && !row.NotBefore.After(now) {
			return true, nil
		}
	}
	return false, nil
}

// workOnDemand claims the job and works on the requested objects. It returns a *HeldError if
// another process works on the job, or another part of this process.
func (e *Engine) workOnDemand(ctx context.Context, k Key, owner string) error {
	owner = e.ownerOfCall(owner)
	epoch, err := e.Leases.Claim(ctx, LeaseKind, k.String(), owner, leaseTime)
	if err != nil {
		return asHeldError(err)
	}
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
		// Make the job due at once, so that a server checks whether it has other work.
		if err := e.Leases.Release(release, LeaseKind, k.String(), owner, epoch, e.Now()); err != nil && !lost(err) {
			e.Log.Error("release lease", "job", k.String(), "error", err)
		}
	}()
	r, err := e.open(ctx, k, epoch)
	if err != nil {
		return err
	}
	return r.workOnDemand(ctx)
}

// workOnDemand works on the requested objects for one slice. It works on no other objects.
func (r *run) workOnDemand(ctx context.Context) error {
	if err := r.applyRequests(ctx); err != nil {
		return err
	}
	if now := r.e.Now(); now.Before(r.state.Cooldown) {
		return &TargetError{
			Kind: Throttled, Code: "TooManyRequests", Detail: fmt.Sprintf("The application asked for a pause until %s.", r.state.Cooldown.UTC().Format("2006-01-02 15:04:05 UTC")),
			Advice: "Wait until then. What was asked for stays on the work list.",
		}
	}
	if err := r.connect(); err != nil {
		return err
	}
	if r.state.Quarantine != nil || !r.state.Searches.isCurrentFor(r.job) {
		if err := r.test(ctx); err != nil {
			return err
		}
	}
	_, wait, err := r.drainDemanded(ctx)
	if err == nil && !wait.IsZero() {
		q := r.state.Quarantine
		return &TargetError{Kind: Unreachable, Code: q.Code, Status: q.Status, Detail: q.Message, Advice: q.Advice, Request: q.Evidence}
	}
	return err
}

// DemandResult returns the result for an object that was requested at the time since.
func (e *Engine) DemandResult(ctx context.Context, k Key, id string, since time.Time) (DemandResult, error) {
	result := DemandResult{ObjectID: id, Name: id}
	entries, _, err := e.Store.Logs(ctx, k, LogQuery{ObjectID: id, From: since, Limit: MaxOnDemand})
	if err != nil {
		return result, err
	}
	slices.Reverse(entries)
	result.Entries = append([]LogEntry{}, entries...)
	known, err := e.Store.KnownAbout(ctx, k, id)
	if err != nil {
		return result, err
	}
	switch {
	case len(entries) > 0:
		result.Name = cmp.Or(entries[0].SourceIdentity.DisplayName, id)
	case known.Link != nil:
		result.Name = cmp.Or(known.Link.Name, id)
	}
	rows, err := e.Store.Demanded(ctx, k, []string{id, MembersOf(id)})
	if err != nil || len(rows) == 0 {
		return result, err
	}
	result.Waits = rows[0].waits()
	if rows[0].Verdict == Ready {
		result.Until = rows[0].NotBefore
	}
	return result, nil
}

// waits says in words why the object has to wait.
func (d Demanded) waits() string {
	switch d.Verdict {
	case OnHold:
		return "The operation is on hold. Approve or reject its cause first."
	case Rejected:
		return "The operation was rejected. The account stays as it is until the person changes."
	case Judging, Late:
		return JudgedReason
	}
	return cmp.Or(d.Reason, inLine)
}

// initiator returns the name that the log shows as the initiator of the work on an object.
func initiator(why Why) string {
	if why == ByDemand {
		return "Provision on demand"
	}
	return "Rollcall provisioning"
}
