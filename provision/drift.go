package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// Drift says how an account or group at the application differs from what the job last wrote to it.
// Someone else has made the change, because the job records all values that it writes.
type Drift struct {
	ObjectID string       `json:"objectId"`
	Kind     ObjectKind   `json:"type"`
	Name     string       `json:"displayName"` // the name when the job last wrote or read the account
	TargetID string       `json:"targetAnchor"`
	Gone     bool         `json:"gone,omitempty"`         // whether the application no longer has the account
	Modified string       `json:"lastModified,omitempty"` // when the account last changed, as the application says
	Values   []DriftValue `json:"values"`
	Added    []string     `json:"membersAdded,omitempty"`   // ids of accounts that somebody made members of the group
	Removed  []string     `json:"membersRemoved,omitempty"` // ids of accounts that somebody removed from the group
}

// DriftValue is an attribute whose value differs from the value that the job wrote.
type DriftValue struct {
	Path  string `json:"path"`
	Wrote any    `json:"wrote"`
	Now   any    `json:"now"` // nil if the account has no value
}

// DriftReport says with numbers what a comparison found.
type DriftReport struct {
	ID       string    `json:"id"`
	By       string    `json:"by"` // who started the comparison
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	Accounts int       `json:"accounts"` // how many accounts the application has
	Groups   int       `json:"groups"`   // how many groups the application has
	Linked   int       `json:"linked"`   // how many of these accounts and groups the job manages
	Changed  int       `json:"changed"`  // how many of Linked have a difference
	Gone     int       `json:"gone"`     // how many accounts and groups the job manages but the application no longer has
	Members  int       `json:"members"`  // how many memberships somebody added or removed
	Notes    []string  `json:"notes"`
}

// DriftStore stores the result of the last comparison of each job.
type DriftStore interface {
	// AddDrift adds differences to a comparison that has not ended.
	AddDrift(ctx context.Context, k Key, id string, found []Drift) error
	// EndDrift makes a comparison the last one of the job, and removes the differences of the
	// comparisons with a smaller id. If a comparison that began later has ended already, that one
	// stays the last, and EndDrift removes the differences of this one. If e is not nil, EndDrift
	// records this event. EndDrift, AddDrift and ChangeDriftSchedule return ErrNoJob if there is no
	// job.
	EndDrift(ctx context.Context, k Key, r DriftReport, e *event.Event) error
	// LastDrift returns the last comparison. If there was no comparison, the report's ID is "".
	LastDrift(ctx context.Context, k Key) (DriftReport, error)
	// DriftSchedule returns the schedule of a job's comparisons. Before the first change it is
	// DriftOff with the policy DriftReports.
	DriftSchedule(ctx context.Context, k Key) (DriftSchedule, error)
	// ChangeDriftSchedule changes the schedule, makes its lease due, and records the event that
	// change returns unless it is nil. It returns the new schedule. If change returns an error,
	// nothing is changed. change may run more than once.
	ChangeDriftSchedule(ctx context.Context, k Key, change func(*DriftSchedule) (*event.Event, error)) (DriftSchedule, error)
	// AdoptDrift stores links with changed ledgers, and records the event. rest holds, for each of
	// these links, what is left of its difference in the last comparison. If no values and members
	// are left, the difference is removed.
	AdoptDrift(ctx context.Context, f Fence, links []Link, rest []Drift, e event.Event) error
	// DriftOf returns the difference of one object in the last comparison. If there is none, its
	// ObjectID is "".
	DriftOf(ctx context.Context, k Key, objectID string) (Drift, error)
	// ListDrift returns a page of the differences of the last comparison, ordered by object id.
	ListDrift(ctx context.Context, k Key, after string, limit int) ([]Drift, error)
}

// driftPage is how many differences are stored at once.
const driftPage = 200

// FindDrift reads all accounts and groups of the application once, and compares those that the job
// manages with what the job wrote last. It changes nothing at the application. It stores the
// differences and calls visit with each, unless visit is nil. The error is an *InputError if the
// job is not set up, or a *TargetError if the application does not answer.
func (e *Engine) FindDrift(ctx context.Context, k Key, actor string, visit func(Drift) error) (DriftReport, error) {
	d := &driftFinder{visit: visit, report: DriftReport{By: actor, Started: e.Now(), Notes: []string{}}}
	// A later comparison has a greater id. So EndDrift removes what earlier comparisons have
	// stored, and not what another process is storing for a later comparison.
	d.report.ID = fmt.Sprintf("%016x-%s", d.report.Started.UnixMicro(), e.NewID())
	r, err := e.openConnected(ctx, k)
	if err != nil {
		return d.report, err
	}
	d.r = r
	if err := d.compareAll(ctx, r.pass()); err != nil {
		return d.report, err
	}
	if p := r.pass().groups; p != nil {
		if err := d.compareAll(ctx, p); err != nil {
			return d.report, err
		}
	}
	if err := d.save(ctx); err != nil {
		return d.report, err
	}
	d.report.Ended = e.Now()
	return d.report, e.Drifts.EndDrift(ctx, k, d.report, d.event(ctx, actor))
}

// openConnected opens a job that may only read the target, and tests the connection.
func (e *Engine) openConnected(ctx context.Context, k Key) (*run, error) {
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
	return r, r.test(ctx)
}

// ReassertPlan is the [PlanReport.Kind] of a plan that restores the values that someone else
// changed.
const ReassertPlan = "re-assert"

// BeginReassert adds an empty plan, which FillPlan then fills with the operations that give the
// accounts of the last comparison the values of the mapping again. The errors are those of
// BeginPlan, and an *InputError if the application was not compared yet.
func (e *Engine) BeginReassert(ctx context.Context, k Key, actor string) (StoredPlan, error) {
	last, err := e.Drifts.LastDrift(ctx, k)
	if err != nil {
		return StoredPlan{}, err
	}
	if last.ID == "" {
		return StoredPlan{}, &InputError{Field: "Drift", Text: "is not known: compare the application first"}
	}
	p, err := e.BeginPlan(ctx, k, actor)
	p.Reasserts = true
	return p, err
}

// planReassert plans the operations that give the accounts and groups of the last comparison the
// values of the mapping again, and the groups their members. If onlyGives is true, it leaves out
// operations that take access away.
func (e *Engine) planReassert(ctx context.Context, k Key, onlyGives bool, visit func(PlannedObject) error) (PlanReport, error) {
	r, err := e.openConnected(ctx, k)
	if err != nil {
		return PlanReport{}, err
	}
	p := r.pass()
	if p.readsEveryAccount = true; p.groups != nil {
		p.groups.readsEveryAccount = true
	}
	report := PlanReport{Kind: ReassertPlan, reads: true, Notes: []string{
		"This plan gives accounts and groups that somebody changed the values of the mapping again. Members that somebody removed from a group are added again, and accounts that somebody added to a group are removed.",
		"Accounts that are gone are not in it: the next cycles look for them, and then create them.",
	}}
	f := newForecast(r, p, false, &report, visit)
	if f.onlyGives = onlyGives; onlyGives {
		report.Notes = append(report.Notes, "A schedule made this plan, so it leaves out what takes access away.")
	}
	for after := ""; ; {
		page, err := e.Drifts.ListDrift(ctx, k, after, driftPage)
		if err != nil {
			return report, err
		}
		ids := make([]string, len(page))
		for i, one := range page {
			ids[i], after = one.ObjectID, one.ObjectID
		}
		if err := f.evaluate(ctx, ids); err != nil {
			return report, err
		}
		for _, one := range page {
			if err := f.driftedMembers(ctx, one); err != nil {
				return report, err
			}
		}
		if len(page) == driftPage {
			continue
		}
		if err := f.guard.judgeAccounts(ctx, f); err != nil {
			return report, err
		}
		return report, f.guard.judgeMembers(ctx, f)
	}
}

// driftFinder holds the data of one comparison.
type driftFinder struct {
	r                    *run
	visit                func(Drift) error
	report               DriftReport
	found                []Drift // differences that are not stored yet
	groupsWithoutMembers []Drift // groups whose members the application did not show
	showsMembers         bool    // whether the application has shown members of any group
}

// event returns the event about the comparison, or nil if all accounts and groups were as expected.
func (d *driftFinder) event(ctx context.Context, actor string) *event.Event {
	n := d.report
	if n.Changed+n.Gone == 0 {
		return nil
	}
	e := d.r.event(ctx, event.ProvisioningDrift, fmt.Sprintf("The application was compared with what provisioning wrote: %d accounts or groups were changed there, %d are gone, %d memberships differ.",
		n.Changed, n.Gone, n.Members))
	e.Actor, e.By = actor, event.Actor{}
	e.Data = event.DataOf(event.Drift{Changed: n.Changed, Gone: n.Gone, Members: n.Members})
	return e
}

// compareAll compares all accounts, or all groups, of the application.
func (d *driftFinder) compareAll(ctx context.Context, p *pass) error {
	seen := map[string]bool{}
	list := p.target.List
	if p.members != nil {
		list = p.members.ListWithMembers
	}
	asked := d.r.e.Now() // when the page was asked for
	err := eachAccount(ctx, list, func(page []TargetObject) error {
		defer func() { asked = d.r.e.Now() }()
		for _, o := range page {
			if p.m.kind == GroupKind {
				d.report.Groups++
			} else {
				d.report.Accounts++
			}
			seen[o.ID] = true
			owner, err := p.owner(ctx, o.ID)
			if err != nil {
				return err
			}
			if owner == "" {
				continue
			}
			if err := d.compare(ctx, p, owner, o, asked); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := d.reportGroupsWithoutMembers(ctx); err != nil {
		return err
	}
	return d.findGone(ctx, p, seen)
}

// compare compares one account or group. asked is when the application was asked for it. If the job
// has changed the account since, compare reads it again. If the job changes it once more in that
// time, compare finds no difference: the next comparison does.
func (d *driftFinder) compare(ctx context.Context, p *pass, objectID string, o TargetObject, asked time.Time) error {
	known, err := d.r.e.Store.KnownAbout(ctx, d.r.job.Key, objectID)
	if err != nil || known.Link == nil {
		return err
	}
	if known.Link.Updated.After(asked) && p.m.kind == UserKind {
		asked = d.r.e.Now()
		switch o, err = p.target.Get(ctx, known.Link.TargetID); {
		case err != nil && asTargetError(err).Kind == NotFound:
			return d.add(ctx, Drift{ObjectID: objectID, Kind: p.m.kind, Name: known.Link.Name, TargetID: known.Link.TargetID, Gone: true, Values: []DriftValue{}})
		case err != nil:
			return err
		}
		if known, err = d.r.e.Store.KnownAbout(ctx, d.r.job.Key, objectID); err != nil || known.Link == nil {
			return err
		}
		if known.Link.Updated.After(asked) || known.Link.TargetID != o.ID {
			d.report.Linked++
			return nil
		}
	}
	d.report.Linked++
	one := Drift{ObjectID: objectID, Kind: p.m.kind, Name: known.Link.Name, TargetID: o.ID, Values: p.m.drifted(known.Link.Wrote, o)}
	if meta, is := o.Resource["meta"].(map[string]any); is {
		one.Modified = text(meta["lastModified"])
	}
	if p.m.kind == GroupKind && d.r.groups.syncsMembers() {
		listed := len(shownMembers(o)) > 0
		d.showsMembers = d.showsMembers || listed
		if err := d.compareMembers(ctx, &one, o); err != nil {
			return err
		}
		if !listed && len(one.Removed) > 0 {
			d.groupsWithoutMembers = append(d.groupsWithoutMembers, one)
			return nil
		}
	}
	return d.add(ctx, one)
}

// drifted returns the attributes of an account that have another value than the job wrote. It
// leaves out attributes that the job did not write.
func (m *mapping) drifted(wrote Ledger, o TargetObject) []DriftValue {
	values := []DriftValue{}
	for i := range m.rows {
		r := &m.rows[i]
		w, known := wrote.known(r.Target)
		if !known || w.Sent == nil || isPassword(r.Target) || r.Type == TypeReference && m.kind == GroupKind {
			continue
		}
		now := rememberedAs(r.Target, r.valueIn(o.Resource))
		if r.agreesWithLedger(now, w.Sent) || w.Shown && sameLedgerValue(now, w.Got) {
			continue
		}
		v := DriftValue{Path: r.Target, Wrote: w.Sent, Now: now}
		if m.hidesValues(r.Target) {
			v.Wrote, v.Now = hiddenValue, hiddenValue
		}
		values = append(values, v)
	}
	return values
}

// shownMembers returns the ids of the members that a group at the application shows.
func shownMembers(o TargetObject) map[string]bool {
	ids := map[string]bool{}
	list, _ := o.Resource["members"].([]any)
	for _, m := range list {
		if one, is := m.(map[string]any); is && text(one["value"]) != "" {
			ids[text(one["value"])] = true
		}
	}
	return ids
}

// compareMembers compares the members of a group with the memberships that the job has sent.
func (d *driftFinder) compareMembers(ctx context.Context, one *Drift, o TargetObject) error {
	extra := shownMembers(o)
	for after := ""; ; {
		page, err := d.r.e.Store.MembershipsAfter(ctx, d.r.job.Key, one.ObjectID, after, membersPage, false)
		if err != nil {
			return err
		}
		for _, m := range page {
			after = m.Member
			switch {
			case m.AcknowledgedAccount == "":
			case extra[m.AcknowledgedAccount]:
				delete(extra, m.AcknowledgedAccount)
			case !m.Unsure:
				one.Removed = append(one.Removed, m.AcknowledgedAccount)
			}
		}
		if len(page) < membersPage {
			break
		}
	}
	one.Added = slices.Sorted(maps.Keys(extra))
	return nil
}

// reportGroupsWithoutMembers reports the groups that showed no members. If the application has
// shown no members of any group, it may not be able to show them. Then reportGroupsWithoutMembers
// asks about one member of each group, and reports no removed members if the application cannot be
// asked, or has the member.
func (d *driftFinder) reportGroupsWithoutMembers(ctx context.Context) error {
	isNoted := false
	for _, one := range d.groupsWithoutMembers {
		if !d.showsMembers {
			has, err := d.r.groups.target.HasMember(ctx, one.TargetID, one.Removed[0])
			if err != nil || has {
				one.Removed = nil
			}
			if one.Removed == nil && !isNoted {
				isNoted = true
				d.report.Notes = append(d.report.Notes, "The application shows no members of groups, so memberships were not compared.")
			}
		}
		if err := d.add(ctx, one); err != nil {
			return err
		}
	}
	d.groupsWithoutMembers = nil
	return nil
}

// findGone reports the accounts that the job manages and that the list did not show. It reads each
// of them, because a list may be incomplete.
func (d *driftFinder) findGone(ctx context.Context, p *pass, seen map[string]bool) error {
	for after := ""; ; {
		page, err := d.r.e.Store.Connections(ctx, d.r.job.Key, p.m.kind, after, connectionChunk)
		if err != nil {
			return err
		}
		for _, c := range page {
			after = c.ObjectID
			if seen[c.TargetID] || c.State == Lost || c.State == Gone {
				continue
			}
			asked := d.r.e.Now()
			o, err := p.target.Get(ctx, c.TargetID)
			switch te := asProblem(err); {
			case te == nil:
				err = d.compare(ctx, p, c.ObjectID, o, asked)
			case te.Kind == NotFound:
				err = d.add(ctx, Drift{ObjectID: c.ObjectID, Kind: c.Kind, Name: c.Name, TargetID: c.TargetID, Gone: true, Values: []DriftValue{}})
			}
			if err != nil {
				return err
			}
		}
		if len(page) < connectionChunk {
			return nil
		}
	}
}

// add counts a difference, stores it and calls visit. It ignores accounts without a difference.
func (d *driftFinder) add(ctx context.Context, one Drift) error {
	switch {
	case one.Gone:
		d.report.Gone++
	case len(one.Values)+len(one.Added)+len(one.Removed) == 0:
		return nil
	default:
		d.report.Changed++
		d.report.Members += len(one.Added) + len(one.Removed)
	}
	if d.found = append(d.found, one); len(d.found) >= driftPage {
		if err := d.save(ctx); err != nil {
			return err
		}
	}
	if d.visit == nil {
		return nil
	}
	return d.visit(one)
}

// save adds the differences that were found since the last call to the stored comparison.
func (d *driftFinder) save(ctx context.Context) error {
	if len(d.found) == 0 {
		return nil
	}
	err := d.r.e.Drifts.AddDrift(ctx, d.r.job.Key, d.report.ID, d.found)
	d.found = d.found[:0]
	return err
}
