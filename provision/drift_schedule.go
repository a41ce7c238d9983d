package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// DriftKind is the kind of the leases of scheduled comparisons. The key of a lease is the job's key.
const DriftKind = "drift"

// DriftInterval says how often an application is compared with what provisioning wrote.
type DriftInterval string

// The intervals.
const (
	DriftOff    DriftInterval = "off"
	DriftDaily  DriftInterval = "daily"
	DriftWeekly DriftInterval = "weekly"
)

// DriftIntervals returns all intervals.
func DriftIntervals() []DriftInterval { return []DriftInterval{DriftOff, DriftDaily, DriftWeekly} }

// Words returns the name of the interval.
func (i DriftInterval) Words() string {
	return map[DriftInterval]string{DriftOff: "Only when somebody asks", DriftDaily: "Every day", DriftWeekly: "Every week"}[i]
}

// DriftPolicy says what happens to the differences that a scheduled comparison finds.
type DriftPolicy string

// The policies.
const (
	DriftReports   DriftPolicy = "report"    // nothing but the report and its event
	DriftReasserts DriftPolicy = "re-assert" // a plan gives the accounts the values of the mapping again
	DriftAdopts    DriftPolicy = "adopt"     // the values at the application stay
)

// DriftPolicies returns all policies.
func DriftPolicies() []DriftPolicy { return []DriftPolicy{DriftReports, DriftReasserts, DriftAdopts} }

// Words returns the name of the policy.
func (p DriftPolicy) Words() string {
	return map[DriftPolicy]string{DriftReports: "Report only", DriftReasserts: "Re-assert", DriftAdopts: "Adopt"}[p]
}

// driftRetry is how long a comparison that failed waits until it is tried again.
const driftRetry = time.Hour

// DriftSchedule says when an application is compared with what provisioning wrote, and how that is
// going.
type DriftSchedule struct {
	Every  DriftInterval `json:"every"`
	Policy DriftPolicy   `json:"policy"`

	AskedBy string    `json:"askedBy,omitempty"` // who asked for a comparison that has not ended
	Asked   time.Time `json:"asked,omitzero"`
	Started time.Time `json:"started,omitzero"`  // when the comparison that is running began; zero if none is
	Problem string    `json:"problem,omitempty"` // why the last comparison failed, in words
	Retry   time.Time `json:"retry,omitzero"`    // when it is tried again; zero if it did not fail
	Done    string    `json:"done,omitempty"`    // what the policy did after the last scheduled comparison, in words
}

// Next returns when the next comparison is due; the zero time means never. last is the last
// comparison.
func (s DriftSchedule) Next(last DriftReport) time.Time {
	next := s.Asked
	if s.Asked.IsZero() {
		gap := map[DriftInterval]time.Duration{DriftDaily: 24 * time.Hour, DriftWeekly: 7 * 24 * time.Hour}[s.Every]
		if gap == 0 {
			return time.Time{}
		}
		next = last.Started.Add(gap) // long ago if there was no comparison
	}
	if next.Before(s.Retry) {
		return s.Retry
	}
	return next
}

// EditDriftSchedule changes how often the application is compared, and what happens then. edit gets
// the saved schedule, and changes Every and Policy; it may run more than once. The error is ErrNoJob,
// the error of edit, or an *InputError if a value is unknown.
func (e *Engine) EditDriftSchedule(ctx context.Context, k Key, edit func(*DriftSchedule) error, actor string) (DriftSchedule, error) {
	r, err := e.open(ctx, k, 0)
	if err != nil {
		return DriftSchedule{}, err
	}
	return e.Drifts.ChangeDriftSchedule(ctx, k, func(s *DriftSchedule) (*event.Event, error) {
		before := *s
		if err := edit(s); err != nil {
			return nil, err
		}
		switch {
		case !slices.Contains(DriftIntervals(), s.Every):
			return nil, &InputError{Field: "Schedule", Text: "is off, daily or weekly"}
		case !slices.Contains(DriftPolicies(), s.Policy):
			return nil, &InputError{Field: "Policy", Text: "is report, re-assert or adopt"}
		}
		var changes []event.Change
		if s.Every != before.Every {
			changes = append(changes, event.Changed("schedule", string(before.Every), string(s.Every)))
		}
		if s.Policy != before.Policy {
			changes = append(changes, event.Changed("policy", string(before.Policy), string(s.Policy)))
		}
		if len(changes) == 0 {
			return nil, nil
		}
		s.Retry = time.Time{}
		one := r.event(ctx, event.ProvisioningDriftScheduled, fmt.Sprintf("The application is compared with what provisioning wrote: %s. Policy: %s.", lowerFirst(s.Every.Words()), lowerFirst(s.Policy.Words())))
		one.Actor, one.By, one.Data = actor, event.Actor{}, event.DataOf(nil, changes...)
		return one, nil
	})
}

// lowerFirst returns text with a small first letter.
func lowerFirst(text string) string {
	return strings.ToLower(text[:min(1, len(text))]) + text[min(1, len(text)):]
}

// AskForDrift lets a server compare the application soon. The error is ErrNoJob if the job is not
// set up, an *InputError if it cannot reach the application or if a comparison is under way, and a
// *TargetError if the connection does not work.
func (e *Engine) AskForDrift(ctx context.Context, k Key, actor string) error {
	if _, err := e.openConnected(ctx, k); err != nil {
		return err
	}
	_, err := e.Drifts.ChangeDriftSchedule(ctx, k, func(s *DriftSchedule) (*event.Event, error) {
		if !s.Asked.IsZero() {
			return nil, &InputError{Field: "Drift", Text: "is being looked for already; wait for the result"}
		}
		s.Asked, s.AskedBy, s.Retry = e.Now(), actor, time.Time{}
		return nil, nil
	})
	return err
}

// AdvanceDrift compares the job's application with what provisioning wrote, if that is due, and
// returns when to call it again. A zero time means that nothing is due until somebody asks. The
// caller must hold the lease of the kind DriftKind. owner is the name under which it claims the job
// to send the operations of a re-assert. Errors of the application are stored with the schedule.
func (e *Engine) AdvanceDrift(ctx context.Context, key, owner string) (next time.Time, err error) {
	k, err := ParseKey(key)
	if err != nil {
		return time.Time{}, err
	}
	if _, err := e.Store.Job(ctx, k); errors.Is(err, ErrNoJob) {
		return time.Time{}, nil
	} else if err != nil {
		return time.Time{}, err
	}
	s, err := e.Drifts.DriftSchedule(ctx, k)
	if err != nil {
		return time.Time{}, err
	}
	last, err := e.Drifts.LastDrift(ctx, k)
	if err != nil {
		return time.Time{}, err
	}
	if due := s.Next(last); due.IsZero() || e.Now().Before(due) {
		return due, nil
	}
	asked, began := s.Asked, e.Now()
	actor := "system"
	if !asked.IsZero() {
		actor = s.AskedBy
	}
	if _, err := e.Drifts.ChangeDriftSchedule(ctx, k, func(s *DriftSchedule) (*event.Event, error) {
		s.Started = began
		return nil, nil
	}); err != nil {
		return time.Time{}, err
	}
	report, err := e.FindDrift(ctx, k, actor, nil)
	done := ""
	if err == nil && asked.IsZero() && report.Changed > 0 {
		done, err = e.followDriftPolicy(ctx, k, s.Policy, owner)
	}
	var target *TargetError
	var input *InputError
	problem := ""
	switch {
	case ctx.Err() != nil:
		return time.Time{}, ctx.Err()
	case errors.As(err, &target):
		problem = target.Words()
	case errors.As(err, &input):
		problem = input.Field + " " + input.Text + "."
	case err != nil:
		return time.Time{}, err
	}
	s, err = e.Drifts.ChangeDriftSchedule(ctx, k, func(s *DriftSchedule) (*event.Event, error) {
		s.Started, s.Problem, s.Retry, s.Done = time.Time{}, problem, time.Time{}, done
		switch {
		case problem != "":
			s.Retry = e.Now().Add(driftRetry)
		case s.Asked.Equal(asked):
			s.Asked, s.AskedBy = time.Time{}, ""
		}
		return nil, nil
	})
	if err == nil {
		last, err = e.Drifts.LastDrift(ctx, k)
	}
	return s.Next(last), err
}

// followDriftPolicy does with the differences of the last comparison what the policy says. It
// returns what it did, in words.
func (e *Engine) followDriftPolicy(ctx context.Context, k Key, policy DriftPolicy, owner string) (done string, err error) {
	switch policy {
	case DriftReasserts:
		return e.reassertNow(ctx, k, owner)
	case DriftAdopts:
		n, err := e.AdoptDrift(ctx, k, owner, "system", nil)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("The values of accounts or groups at the application were adopted: %d.", n), nil
	}
	return "", nil
}

// reassertNow makes and applies a plan that gives the accounts of the last comparison the values of
// the mapping again. If the plan disables or deletes more accounts than the guard lets through, it
// stays for a person to approve. Nothing is sent while provisioning is paused.
func (e *Engine) reassertNow(ctx context.Context, k Key, owner string) (done string, err error) {
	job, err := e.Store.Job(ctx, k)
	if err != nil {
		return "", err
	}
	if job.Status != On {
		return "Provisioning is paused, so nothing was sent.", nil
	}
	p, err := e.BeginReassert(ctx, k, "system")
	if err != nil {
		return "", err
	}
	if p, err = e.FillPlan(ctx, p, nil); err != nil {
		return "", err
	}
	if p.Report.Operations() == 0 {
		return "The accounts have the values of the mapping; nothing had to be sent.", nil
	}
	counts, err := e.Store.Counts(ctx, k)
	if err != nil {
		return "", err
	}
	j := Judgement{Accounts: Tally{Active: counts.Active, Count: p.Report.Disables + p.Report.Deletes}}
	if j.Judge(); j.Accounts.Held || p.Report.OnHold > 0 {
		return fmt.Sprintf("Plan %s would disable or delete %d accounts, so it waits for your approval.", p.Short(), j.Accounts.Count+p.Report.OnHold), nil
	}
	if p, err = e.ApprovePlan(ctx, k, p.ID, "system"); err != nil {
		return "", err
	}
	p, sent, err := e.ApplyPlan(ctx, k, p.ID, owner, "system", nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Plan %s gave accounts the values of the mapping again: %d sent, %d failed, %d left out.", p.Short(), sent.Sent, sent.Failed, sent.LeftOut), nil
}

// AdoptDrift accepts the values that the accounts and groups of the last comparison have at the
// application. They are no difference any more, and provisioning does not change them until the
// mapping yields another value than before. With objects nil it adopts all, otherwise only those of
// these objects. It leaves out memberships, accounts that are gone, and values that are hidden. It
// returns how many accounts and groups it has adopted. The error is an *InputError if there was no
// comparison, and a *HeldError if another process works on the job.
func (e *Engine) AdoptDrift(ctx context.Context, k Key, owner, actor string, objects []string) (adopted int, err error) {
	last, err := e.Drifts.LastDrift(ctx, k)
	if err != nil {
		return 0, err
	}
	if last.ID == "" {
		return 0, &InputError{Field: "Drift", Text: "is not known: compare the application first"}
	}
	for after, more := "", true; more; {
		page, err := e.Drifts.ListDrift(ctx, k, after, driftPage)
		if err != nil {
			return adopted, err
		}
		if more = len(page) == driftPage; more {
			after = page[len(page)-1].ObjectID
		}
		page = slices.DeleteFunc(page, func(one Drift) bool {
			return one.Gone || len(one.Values) == 0 || objects != nil && !slices.Contains(objects, one.ObjectID)
		})
		if len(page) == 0 {
			continue
		}
		var n int
		if err := e.withClaim(ctx, k, owner, func(r *run) (err error) {
			n, err = r.adopt(ctx, page, actor)
			return err
		}); err != nil {
			return adopted, err
		}
		adopted += n
	}
	return adopted, nil
}

// adopt stores the values that accounts have at the application as those that the job knows.
func (r *run) adopt(ctx context.Context, page []Drift, actor string) (adopted int, err error) {
	var links []Link
	var rest []Drift
	for _, one := range page {
		known, err := r.e.Store.KnownAbout(ctx, r.job.Key, one.ObjectID)
		if err != nil {
			return 0, err
		}
		if known.Link == nil || known.Link.TargetID != one.TargetID {
			continue
		}
		l, kept := *known.Link, []DriftValue{}
		l.Wrote = maps.Clone(l.Wrote)
		for _, v := range one.Values {
			w, remembered := l.Wrote.known(v.Path)
			if !remembered || v.Wrote == hiddenValue {
				kept = append(kept, v)
				continue
			}
			w.Got, w.Shown = toLedgerValue(v.Now), true
			l.Wrote[v.Path] = w
		}
		if len(kept) == len(one.Values) {
			continue
		}
		l.Hash, l.Updated = "", r.e.Now()
		links = append(links, l)
		one.Values = kept
		rest = append(rest, one)
	}
	if len(links) == 0 {
		return 0, nil
	}
	e := r.event(ctx, event.ProvisioningDriftAdopted, fmt.Sprintf("Values that somebody changed at the application were adopted, of accounts or groups: %d.", len(links)))
	e.Actor, e.By = actor, event.Actor{}
	return len(links), r.e.Drifts.AdoptDrift(ctx, r.fence, links, rest, *e)
}
