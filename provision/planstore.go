package provision

import (
	"context"
	"errors"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// StoredPlan is a plan that is kept, so that people can review, approve and apply it.
type StoredPlan struct {
	Key      Key       `json:"-"`
	ID       string    `json:"id"`
	Hash     string    `json:"hash"` // hash of the job's settings and all planned operations; "" until the plan is made
	State    PlanState `json:"state"`
	MadeBy   string    `json:"madeBy"`
	Started  time.Time `json:"started"`
	Made     time.Time `json:"made,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Settings string    `json:"-"` // identifies the job's settings at the time of the plan
	Reads    bool      `json:"-"` // the plan reads every account

	Undo *Undo `json:"undo,omitempty"` // what the plan takes back; nil for a plan of what the next cycle would do

	Reasserts bool `json:"-"` // the plan writes again what somebody changed; used only while the plan is made

	Report  PlanReport `json:"report"`  // the numbers so far, while the plan is being made
	Problem string     `json:"problem"` // why the plan could not be made; "" if it could

	ApprovedBy string    `json:"approvedBy,omitempty"`
	Approved   time.Time `json:"approved,omitzero"`
	AppliedBy  string    `json:"appliedBy,omitempty"`
	Applied    time.Time `json:"applied,omitzero"` // when the last operation was sent

	Alive time.Time `json:"-"` // when the process that makes the plan last saved it
}

// PlanState is the stage that a plan has reached.
type PlanState string

// States of a plan. A plan goes from Making to Ready or Broken. A Ready plan goes on to Approved,
// Applying and Applied. Until it is applied, it can be cancelled.
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
	Fingerprint string     `json:"-"`      // hash of the operation; "" if nothing would be sent
	Lane        Lane       `json:"-"`      // the lane in which the operation is sent
	Outcome     PlanResult `json:"outcome,omitempty"`
	OutcomeText string     `json:"outcomeReason,omitempty"`
}

// PlanResult says what became of a planned operation.
type PlanResult string

// Results of a planned operation. The empty result means that the plan was not applied, or that no
// operation was planned for the object.
const (
	PlanDue      PlanResult = "due"       // the operation is on the work list
	PlanSent     PlanResult = "applied"   // the target has the planned state
	PlanFailed   PlanResult = "failed"    // the target refused the operation
	PlanLeftOut  PlanResult = "changed"   // the operation differs from the plan now, so nothing was sent
	PlanNotBegun PlanResult = "cancelled" // the plan was cancelled before the operation was sent
)

// PlanFilter selects which objects of a plan to list.
type PlanFilter struct {
	All     bool       // include objects that are skipped
	Outcome PlanResult // only operations with this result; "" for all
	After   int        // the Number of the last object on the previous page
	Limit   int
}

// PlanCounts counts a plan's operations by result.
type PlanCounts struct {
	Listed  int `json:"objects"` // all objects in the plan
	Shown   int `json:"shown"`   // of Listed: objects with a change or a failure
	Due     int `json:"due"`
	Sent    int `json:"applied"`
	Failed  int `json:"failed"`
	LeftOut int `json:"changed"`
}

// PlanStore stores plans.
type PlanStore interface {
	// StartPlan adds a plan. It removes the job's expired plans, and the oldest plans beyond
	// maxPlans. It does not remove plans that are being applied.
	StartPlan(ctx context.Context, p StoredPlan) error
	// AddPlanned adds objects to a plan that is being made, and saves the plan's report. It returns
	// ErrNoPlan if the plan was cancelled.
	AddPlanned(ctx context.Context, p StoredPlan, rows []PlannedRow) error
	// ChangePlan saves a plan, with an event unless e is nil. It returns ErrChanged if the state of
	// the stored plan is not in from. If the plan is now cancelled, its operations are removed from
	// the work list. Those that failed and were on hold before the plan was applied are on hold
	// again.
	ChangePlan(ctx context.Context, p StoredPlan, from []PlanState, e *event.Event) error
	// ListPlans returns the plans of a job, newest first.
	ListPlans(ctx context.Context, k Key) ([]StoredPlan, error)
	// PlannedRows returns a page of the objects of a plan, ordered by Number.
	PlannedRows(ctx context.Context, k Key, plan string, f PlanFilter) ([]PlannedRow, error)
	// PlanCounts counts the objects of a plan.
	PlanCounts(ctx context.Context, k Key, plan string) (PlanCounts, error)
	// DemandPlanned puts operations of a plan on the work list: at most limit, from those with a
	// Number greater than after. It wakes the job. It returns the Number of the last operation, or
	// 0 if there was none.
	DemandPlanned(ctx context.Context, k Key, plan string, after, limit int) (last int, err error)
	// ExpectedOperation returns the operation for an object in the plan that is being applied, or
	// nil.
	ExpectedOperation(ctx context.Context, k Key, objectID string) (*ExpectedOperation, error)
	// DuePlanned counts the operations of a plan that are on the work list and could be sent now.
	DuePlanned(ctx context.Context, k Key, plan string, now time.Time) (int, error)
}

// ExpectedOperation is the only operation that may be sent for an object while an approved plan is
// applied.
type ExpectedOperation struct {
	Plan        string
	Fingerprint string
	Reads       bool // the plan read the account

	Undo    *Undo         // what the plan takes back; nil for a plan of what the next cycle would do
	Planned PlannedObject // the planned operation; set only if Undo is set
}

// PlannedOutcome is the part of an Outcome that says what became of a planned operation.
type PlannedOutcome struct {
	Plan   string // the plan's id; "" if the outcome is not about a plan
	Result PlanResult
	Reason string
}
