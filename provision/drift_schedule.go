package provision

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
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

const (
	// driftRetry is how long a scheduled comparison that failed waits until it is tried again, and
	// how long its policy waits after a failure.
	driftRetry = time.Hour
	// driftSettling is how long the policy re-assert waits while the job has changes that the guard
	// has not judged yet.
	driftSettling = 10 * time.Minute
	// pauseCheckInterval is how often a re-assert checks whether somebody has paused provisioning.
	pauseCheckInterval = time.Second
)

// DriftSchedule says when an application is compared with what provisioning wrote, and how that is
// going.
type DriftSchedule struct {
	Every  DriftInterval `json:"every"`
	Policy DriftPolicy   `json:"policy"`

	AskedBy   string    `json:"askedBy,omitempty"`  // who asked for a comparison that has not ended
	Asked     time.Time `json:"asked,omitzero"`     // when that person asked; zero if nobody has
	Started   time.Time `json:"started,omitzero"`   // when the comparison that is running began; zero if none is
	Scheduled time.Time `json:"scheduled,omitzero"` // when the last successful comparison of the schedule began
	Problem   string    `json:"problem,omitempty"`  // why the last comparison failed, in words
	Retry     time.Time `json:"retry,omitzero"`     // when a scheduled comparison that failed is tried again; zero if it did not fail
	Follow    time.Time `json:"follow,omitzero"`    // when to do what the policy says about the last comparison; zero if that is done
	Plan      string    `json:"plan,omitempty"`     // the id of the plan that the policy is making and applying; "" if there is none
	Done      string    `json:"done,omitempty"`     // what the policy did after the last scheduled comparison, in words
}

// Next returns when the schedule needs work: a comparison, or what the policy says. The zero time
// means never. If the clock was set back, a stored time may lie too far in the future; it then
// counts as the present.
func (s DriftSchedule) Next(now time.Time) time.Time {
	next := s.NextComparison(now)
	if !s.Follow.IsZero() {
		next = earliest(next, notLaterThan(now.Add(driftRetry), s.Follow))
	}
	return next
}

// NextComparison returns when the next comparison is due; zero means never.
func (s DriftSchedule) NextComparison(now time.Time) time.Time {
	if !s.Asked.IsZero() {
		return notLaterThan(now, s.Asked)
	}
	gap := map[DriftInterval]time.Duration{DriftDaily: 24 * time.Hour, DriftWeekly: 7 * 24 * time.Hour}[s.Every]
	if gap == 0 {
		return time.Time{}
	}
	next := s.Scheduled.Add(gap) // long ago if there was no comparison
	if s.Scheduled.After(now) {
		next = now
	}
	return latest(next, notLaterThan(now.Add(driftRetry), s.Retry))
}

// notLaterThan returns t, or limit if t is later.
func notLaterThan(limit, t time.Time) time.Time {
	if t.After(limit) {
		return limit
	}
	return t
}

// EditDriftSchedule changes how often the application is compared, and what happens then. edit gets
// the saved schedule, and changes Every and Policy; it may run more than once. The error is ErrNoJob,
// the error of edit, or an *InputError if a value is unknown.
func (e *Engine) EditDriftSchedule(ctx context.Context, k Key, edit func(*DriftSchedule) error, actor string) (DriftSchedule, error) {
	r, err := e.open(ctx, k, 0)
	if err != nil {
		return DriftSchedule{}, err
	}
	last, err := e.Drifts.LastDrift(ctx, k)
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
		switch {
		case s.Every == DriftOff:
			s.Follow = time.Time{}
		case before.Every == DriftOff: // the first interval begins with the last comparison
			s.Scheduled = last.Started
		}
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
		s.Asked, s.AskedBy, s.Retry, s.Problem = e.Now(), actor, time.Time{}, ""
		return nil, nil
	})
	return err
}

// AdvanceDrift compares the job's application with what provisioning wrote, if that is due, and
// then does what the policy says. It returns when to call it again. A zero time means that nothing
// is due until somebody asks. The caller must hold the lease of the kind DriftKind. owner is the
// name under which it claims the job to send the operations of a re-assert. Errors of the
// application are stored with the schedule.
func (e *Engine) AdvanceDrift(ctx context.Context, key, owner string) (next time.Time, err error) {
	k, err := ParseKey(key)
	if err != nil {
		return time.Time{}, err
	}
	next, err = e.advanceDrift(ctx, k, owner)
	if errors.Is(err, ErrNoJob) {
		return time.Time{}, nil
	}
	return next, err
}

func (e *Engine) advanceDrift(ctx context.Context, k Key, owner string) (next time.Time, err error) {
	if _, err := e.Store.Job(ctx, k); err != nil {
		return time.Time{}, err
	}
	s, err := e.Drifts.DriftSchedule(ctx, k)
	if err != nil {
		return time.Time{}, err
	}
	if !s.Started.IsZero() { // the process that made this comparison has died
		if s, err = e.changeDrift(ctx, k, func(s *DriftSchedule) { s.Started = time.Time{} }); err != nil {
			return time.Time{}, err
		}
	}
	if due := s.NextComparison(e.Now()); !due.IsZero() && !e.Now().Before(due) {
		if s, err = e.compareOnSchedule(ctx, k, s); err != nil {
			return time.Time{}, err
		}
	}
	if !s.Follow.IsZero() && !e.Now().Before(notLaterThan(e.Now().Add(driftRetry), s.Follow)) {
		if s, err = e.followDriftPolicy(ctx, k, s, owner); err != nil {
			return time.Time{}, err
		}
	}
	return s.Next(e.Now()), nil
}

// changeDrift changes the schedule, and records no event. It does so even if ctx has ended.
func (e *Engine) changeDrift(ctx context.Context, k Key, change func(*DriftSchedule)) (DriftSchedule, error) {
	return e.Drifts.ChangeDriftSchedule(context.WithoutCancel(ctx), k, func(s *DriftSchedule) (*event.Event, error) {
		change(s)
		return nil, nil
	})
}

// compareOnSchedule compares the application because somebody asked, or because the schedule says
// so. It stores how that went. If this process stops, the next one begins again.
func (e *Engine) compareOnSchedule(ctx context.Context, k Key, s DriftSchedule) (DriftSchedule, error) {
	asked, began := s.Asked, e.Now()
	actor := systemActor
	if !asked.IsZero() {
		actor = s.AskedBy
	}
	if _, err := e.changeDrift(ctx, k, func(s *DriftSchedule) { s.Started, s.Problem = began, "" }); err != nil {
		return s, err
	}
	report, err := e.FindDrift(ctx, k, actor, nil)
	stopped := errors.Is(ctx.Err(), context.Canceled)
	s, saving := e.changeDrift(ctx, k, func(s *DriftSchedule) {
		s.Started = time.Time{}
		if err != nil && stopped {
			return
		}
		if s.Asked.Equal(asked) {
			s.Asked, s.AskedBy = time.Time{}, ""
		}
		switch {
		case err != nil:
			s.Problem, s.Retry = e.driftProblem(ctx, err), e.Now().Add(driftRetry)
		case !asked.IsZero() && s.Follow.IsZero():
			s.Done = "" // the text was about the previous comparison
		case asked.IsZero():
			s.Scheduled, s.Retry, s.Done, s.Follow = began, time.Time{}, "", time.Time{}
			if report.Changed > 0 && s.Every != DriftOff && s.Policy != DriftReports {
				s.Follow = e.Now()
			}
		}
	})
	if err != nil && !stopped && isDriftProblem(err) {
		err = nil // the schedule has the reason
	}
	return s, errors.Join(err, saving)
}

// isDriftProblem reports whether an error has words for an administrator. Other errors also go to
// the log of the server.
func isDriftProblem(err error) bool {
	return errors.As(err, new(*TargetError)) || errors.As(err, new(*InputError)) || errors.As(err, new(*HeldError)) || errors.Is(err, ErrNoPlan) || errors.Is(err, ErrChanged)
}

// driftProblem says in words why a comparison, or what its policy says, failed.
func (e *Engine) driftProblem(ctx context.Context, err error) string {
	var target *TargetError
	var input *InputError
	switch {
	case errors.As(err, &target):
		return target.Words()
	case errors.As(err, &input):
		return strings.TrimSuffix(input.Field+" "+input.Text, ".") + "."
	case errors.As(err, new(*HeldError)):
		return "Another process works on the job."
	case errors.Is(err, ErrNoPlan), errors.Is(err, ErrChanged):
		return "Somebody cancelled or changed the plan."
	case ctx.Err() != nil:
		return "It took too long, so it was stopped."
	}
	return "An error of this server. Its log says more."
}

// followDriftPolicy does with the differences of the last comparison what the policy says, and
// stores what it did. If that fails, or if the job is not settled, it is tried again later.
func (e *Engine) followDriftPolicy(ctx context.Context, k Key, s DriftSchedule, owner string) (DriftSchedule, error) {
	done, err := "", error(nil)
	switch s.Policy {
	case DriftReasserts:
		done, err = e.reassertNow(ctx, k, s.Plan, owner)
	case DriftAdopts:
		var n int
		if n, err = e.AdoptDrift(ctx, k, owner, systemActor, nil); err == nil {
			done = fmt.Sprintf("The values of accounts or groups at the application were adopted: %d.", n)
		}
	}
	var later *notSettled
	follow := time.Time{}
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.Canceled): // the process stops; the next one goes on
		return s, err
	case errors.As(err, &later):
		done, follow = later.Error(), e.Now().Add(driftSettling)
	default:
		done, follow = fmt.Sprintf("The policy %s failed, and is tried again within an hour: %s", s.Policy.Words(), e.driftProblem(ctx, err)), e.Now().Add(driftRetry)
	}
	s, saving := e.changeDrift(ctx, k, func(s *DriftSchedule) { s.Done, s.Follow, s.Plan = done, follow, "" })
	if later != nil || isDriftProblem(err) {
		err = nil // the schedule has the reason
	}
	return s, errors.Join(err, saving)
}

// notSettled says why a schedule cannot re-assert values yet.
type notSettled struct{ why string }

func (n *notSettled) Error() string {
	return "Nothing was sent yet: " + n.why + ". It is tried again in a few minutes."
}

// checkSettled returns a *notSettled if the guard may still have to judge changes of the job.
// Before that, an operation that disables an account must not be sent, and a plan that a person
// approves would not show all of them.
func (e *Engine) checkSettled(ctx context.Context, k Key) error {
	r, err := e.open(ctx, k, 0)
	if err != nil {
		return err
	}
	if asks := r.state.LookAtAll != r.job.LookAtAll || r.state.ForgetLinks != r.job.ForgetLinks; !r.state.Ready || asks || r.state.Phase != Idle && r.state.Cycle.Kind == InitialCycle {
		return &notSettled{"provisioning is about to look at everyone, or is doing so"}
	}
	causes, err := e.Store.CausesToJudge(ctx, k)
	if err != nil {
		return err
	}
	if len(causes) > 0 {
		return &notSettled{"the guard is counting the operations of a cause"}
	}
	switch changed, _, err := r.sourceChanged(ctx); {
	case errors.Is(err, ErrBehind):
		return &notSettled{"provisioning is about to look at everyone"}
	case err != nil:
		return err
	case changed:
		return &notSettled{"changes of the directory are not imported yet"}
	}
	return nil
}

// errPaused is the reason for which a re-assert stops.
var errPaused = errors.New("provisioning was paused")

// reassertNow makes and applies a plan that gives the accounts of the last comparison the values of
// the mapping again. It sends nothing that takes access away, because nobody has judged that: such
// operations are left in a plan for a person. It also sends nothing while provisioning is paused.
// Operations that have to wait are left to provisioning, or to the next comparison. before is the id
// of the plan of an earlier call that was interrupted; "" if there is none. The error is a
// *notSettled if it is too early.
func (e *Engine) reassertNow(ctx context.Context, k Key, before, owner string) (done string, err error) {
	if err := e.dropReassert(ctx, k, before); err != nil {
		return "", err
	}
	job, err := e.Store.Job(ctx, k)
	if err != nil {
		return "", err
	}
	if job.Status != On {
		return "Provisioning is paused, so nothing was sent.", nil
	}
	if job.SecondApproval {
		return "Second approval is on, so nothing was sent: make the plan yourself, and have another operator approve it.", e.tellUnsent(ctx, k)
	}
	if err := e.checkSettled(ctx, k); err != nil {
		return "", err
	}
	p, err := e.fillReassert(ctx, k, true)
	if err != nil {
		return "", err
	}
	sent, takes, strangers := "", p.Report.TakesAccess, p.Report.MembersLeft
	if p.Report.SomethingToDo() {
		sent, err = e.applyReassert(ctx, p, owner)
	} else {
		err = e.dropReassert(ctx, k, p.ID)
	}
	if err != nil || takes+strangers == 0 {
		return cmp.Or(sent, "The accounts have the values of the mapping; nothing had to be sent."), err
	}
	if p, err = e.fillReassert(ctx, k, false); err != nil {
		return "", err
	}
	left := fmt.Sprintf("Plan %s would take access away from %s, so it waits for your approval.", p.Short(), countOf(takes, "account", "accounts"))
	switch {
	case takes == 0:
		left = fmt.Sprintf("Plan %s would remove %s that somebody added, so it waits for your approval.", p.Short(), countOf(strangers, "member", "members"))
	case strangers > 0:
		left = fmt.Sprintf("Plan %s would take access away from %s and remove %s that somebody added, so it waits for your approval.", p.Short(), countOf(takes, "account", "accounts"), countOf(strangers, "member", "members"))
	}
	return strings.TrimSpace(sent + " " + left), nil
}

// tellUnsent records that a schedule has sent nothing, because two operators have to approve what it
// would send.
func (e *Engine) tellUnsent(ctx context.Context, k Key) error {
	one := e.planEvent(ctx, StoredPlan{Key: k}, event.ProvisioningPlanWaits, systemActor,
		"The schedule has not corrected what somebody changed at the application, because Second approval is on. Make the plan on the page Drift, and have another operator approve it.")
	_, err := e.Drifts.ChangeDriftSchedule(ctx, k, func(*DriftSchedule) (*event.Event, error) { return one, nil })
	return err
}

// fillReassert makes a plan that gives the accounts of the last comparison the values of the
// mapping again. onlyGives says whether it leaves out operations that take access away.
func (e *Engine) fillReassert(ctx context.Context, k Key, onlyGives bool) (StoredPlan, error) {
	p, err := e.BeginReassert(ctx, k, systemActor)
	if err != nil {
		return p, err
	}
	if p.OnlyGives = onlyGives; onlyGives {
		if _, err := e.changeDrift(ctx, k, func(s *DriftSchedule) { s.Plan = p.ID }); err != nil {
			return p, err
		}
	}
	return e.FillPlan(ctx, p, nil)
}

// applyReassert approves and applies a plan of a schedule. It cancels the operations that could not
// be sent now, so that the plan does not prevent other plans. It stops if somebody pauses
// provisioning.
func (e *Engine) applyReassert(ctx context.Context, p StoredPlan, owner string) (done string, err error) {
	if p, err = e.ApprovePlan(ctx, p.Key, p.ID, systemActor); err != nil {
		return "", err
	}
	applying, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	checked := e.Now()
	p, counts, err := e.ApplyPlan(applying, p.Key, p.ID, owner, systemActor, func(PlanCounts) {
		if now := e.Now(); now.Sub(checked) >= pauseCheckInterval {
			checked = now
			if job, err := e.Store.Job(ctx, p.Key); err == nil && job.Status != On {
				stop(errPaused)
			}
		}
	})
	paused := errors.Is(context.Cause(applying), errPaused)
	if dropped := e.dropReassert(ctx, p.Key, p.ID); dropped != nil || err != nil && !paused {
		return "", errors.Join(err, dropped)
	}
	if paused {
		if counts, err = e.PlanCounts(ctx, p); err != nil {
			return "", err
		}
	}
	done = fmt.Sprintf("Plan %s gave accounts the values of the mapping again: %d sent, %d failed, %d left out.", p.Short(), counts.Sent, counts.Failed, counts.LeftOut)
	if n := counts.MembersSent + counts.MembersFailed + counts.MembersLeftOut; n > 0 {
		done += fmt.Sprintf(" Members of groups: %d sent, %d failed, %d left out.", counts.MembersSent, counts.MembersFailed, counts.MembersLeftOut)
	}
	switch {
	case paused:
		done += " The rest was not sent, because somebody paused provisioning."
	case counts.Due > 0:
		done += fmt.Sprintf(" Not sent, because it has to wait: %d. Provisioning tries it again later, or the next comparison finds it.", counts.Due)
	}
	return done, nil
}

// dropReassert cancels a plan of a schedule that takes no access away, if it is not applied yet. It
// does nothing if there is no such plan.
func (e *Engine) dropReassert(ctx context.Context, k Key, id string) error {
	ctx = context.WithoutCancel(ctx)
	all, err := e.Plans.ListPlans(ctx, k)
	if err != nil {
		return err
	}
	for _, p := range all {
		switch {
		case p.ID != id:
		case p.State == PlanApplying:
			p.State, p.OnlyGives = PlanCancelled, true
			return e.Plans.ChangePlan(ctx, p, []PlanState{PlanApplying}, e.planEvent(ctx, p, event.ProvisioningPlanCancelled, systemActor, fmt.Sprintf("Plan %s was cancelled: its last operations have to wait.", p.Short())))
		case p.State == PlanMaking || p.State == PlanApproved || p.State == PlanReady:
			p.State = PlanCancelled
			return e.Plans.ChangePlan(ctx, p, []PlanState{PlanMaking, PlanApproved, PlanReady}, nil)
		}
	}
	return nil
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
			n, err = r.adopt(ctx, page, last.Started, actor)
			return err
		}); err != nil {
			return adopted, err
		}
		adopted += n
	}
	return adopted, nil
}

// adopt stores the values that accounts have at the application as those that the job knows.
// compared is when the comparison began that found them.
func (r *run) adopt(ctx context.Context, page []Drift, compared time.Time, actor string) (adopted int, err error) {
	m, err := usableMapping(r.job.Schema, r.e.Attributes)
	if err != nil {
		return 0, err
	}
	var links []Link
	var rest []Drift
	for _, one := range page {
		known, err := r.e.Store.KnownAbout(ctx, r.job.Key, one.ObjectID)
		if err != nil {
			return 0, err
		}
		if known.Link == nil || known.Link.TargetID != one.TargetID || known.Link.Updated.After(compared) {
			continue
		}
		l, kept := *known.Link, []DriftValue{}
		l.Wrote = maps.Clone(l.Wrote)
		for _, v := range one.Values {
			w, remembered := l.Wrote.known(v.Path)
			if !remembered || v.Wrote == hiddenValue || !sameEncoded(w.Sent, v.Wrote) || one.Kind == UserKind && opensBlocked(m.row(v.Path), l.State, v) {
				kept = append(kept, v)
				continue
			}
			w.Got, w.Shown, w.Adopted = toLedgerValue(v.Now), true, true
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

// opensBlocked reports whether an account that provisioning has blocked would stay open if the value
// were adopted. r is the value's row; nil if the mapping no longer has it.
func opensBlocked(r *row, state LinkState, v DriftValue) bool {
	if r != nil && r.state && state != Active && state != Held {
		return true
	}
	wrote, isBool := readBool(v.Wrote)
	return strings.EqualFold(v.Path, "active") && isBool && !wrote
}

// sameEncoded reports whether two values are equal once they are encoded.
func sameEncoded(a, b any) bool {
	textA, errA := json.Marshal(a)
	textB, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(textA, textB)
}
