package provision

import (
	"context"
	"errors"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// StoredPlan is a plan that was made and kept, so that it can be reviewed, approved and applied.
type StoredPlan struct {
	Key      Key       `json:"-"`
	ID       string    `json:"id"`
	Hash     string    `json:"hash"` // of the job's settings and of every planned operation; "" until the plan is made
	State    PlanState `json:"state"`
	MadeBy   string    `json:"madeBy"`
	Started  time.Time `json:"started"`
	Made     time.Time `json:"made,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Settings string    `json:"-"` // the job's settings that the plan was made with
	Reads    bool      `json:"-"` // the plan has read every account

	Report  PlanReport `json:"report"`  // what was counted so far, while the plan is being made
	Problem string     `json:"problem"` // why the plan could not be made; "" if it could

	ApprovedBy string    `json:"approvedBy,omitempty"`
	Approved   time.Time `json:"approved,omitzero"`
	AppliedBy  string    `json:"appliedBy,omitempty"`
	Applied    time.Time `json:"applied,omitzero"` // when the last operation was done

	Alive time.Time `json:"-"` // when the process that makes the plan last wrote
}

// PlanState is how far a plan has come.
type PlanState string

// States of a plan. A plan goes from Making to Ready or Broken, then to Approved, Applying and
// Applied. Until it is applied it can be cancelled.
const (
	PlanMaking    PlanState = "making"
	PlanReady     PlanState = "ready"
	PlanApproved  PlanState = "approved"
	PlanApplying  PlanState = "applying"
	PlanApplied   PlanState = "applied"
	PlanCancelled PlanState = "cancelled"
	PlanBroken    PlanState = "failed"
)

// ErrNoPlan means that a job has no plan with this hash.
var ErrNoPlan = errors.New("there is no such plan: it may have expired, or a later one took its place")

// PlannedRow is one object of a stored plan.
type PlannedRow struct {
	PlannedObject
	Number      int        `json:"number"` // its place in the plan, from 1
	Fingerprint string     `json:"-"`      // a hash of the operation; "" if nothing would be sent
	Lane        Lane       `json:"-"`      // the lane in which the operation is sent
	Outcome     PlanResult `json:"outcome,omitempty"`
	OutcomeText string     `json:"outcomeReason,omitempty"`
}

// PlanResult is what became of a planned operation.
type PlanResult string

// Results of a planned operation. The empty result means that the plan was not applied, or that nothing was planned.
const (
	PlanDue      PlanResult = "due"       // it is on the work list
	PlanSent     PlanResult = "applied"   // the target has the planned state
	PlanFailed   PlanResult = "failed"    // the target refused it
	PlanLeftOut  PlanResult = "changed"   // something changed since the plan was made, so nothing was sent
	PlanNotBegun PlanResult = "cancelled" // the plan was cancelled before it was sent
)

// PlanFilter selects the objects of a plan to list.
type PlanFilter struct {
	All     bool       // also objects that are skipped
	Outcome PlanResult // only operations with this outcome; "" for all
	After   int        // the Number of the last object of the page before
	Limit   int
}

// PlanCounts says what became of a plan's operations.
type PlanCounts struct {
	Listed  int `json:"objects"` // all objects of the plan
	Shown   int `json:"shown"`   // of these: objects that are changed or cannot be
	Due     int `json:"due"`
	Sent    int `json:"applied"`
	Failed  int `json:"failed"`
	LeftOut int `json:"changed"`
}

// PlanStore stores plans.
type PlanStore interface {
	// StartPlan adds a plan. It removes plans of the job that have expired, and the oldest ones beyond
	// maxPlans. It leaves plans alone that are being applied.
	StartPlan(ctx context.Context, p StoredPlan) error
	// AddPlanned adds objects to a plan that is being made, and saves its report. It returns ErrNoPlan if
	// the plan was cancelled.
	AddPlanned(ctx context.Context, p StoredPlan, rows []PlannedRow) error
	// ChangePlan saves a plan whose stored state is one of from, with an event unless e is nil. It returns
	// ErrChanged if the state is another one. If the plan is then cancelled, its operations leave the work list.
	ChangePlan(ctx context.Context, p StoredPlan, from []PlanState, e *event.Event) error
	// ListPlans returns the plans of a job, the newest first.
	ListPlans(ctx context.Context, k Key) ([]StoredPlan, error)
	// PlannedRows returns a page of the objects of a plan, by Number.
	PlannedRows(ctx context.Context, k Key, plan string, f PlanFilter) ([]PlannedRow, error)
	// PlanCounts counts the objects of a plan.
	PlanCounts(ctx context.Context, k Key, plan string) (PlanCounts, error)
	// DemandPlanned puts the operations of a plan on the work list that come after a Number, at most
	// limit of them. It returns the Number of the last one, or 0 if there is none, and wakes the job.
	DemandPlanned(ctx context.Context, k Key, plan string, after, limit int) (last int, err error)
	// ExpectedOperation returns the operation of a plan that is being applied for an object, or nil.
	ExpectedOperation(ctx context.Context, k Key, objectID string) (*ExpectedOperation, error)
	// DuePlanned counts the operations of a plan that are on the work list and could be sent now.
	DuePlanned(ctx context.Context, k Key, plan string, now time.Time) (int, error)
}

// ExpectedOperation is the only operation that may be sent for an object, because a plan with it was
// approved.
type ExpectedOperation struct {
	Plan        string
	Fingerprint string
	Reads       bool // the plan has read the account
}

// PlannedOutcome says what became of a planned operation, in an Outcome.
type PlannedOutcome struct {
	Plan   string // "" if the outcome is not about a plan
	Result PlanResult
	Reason string
}
