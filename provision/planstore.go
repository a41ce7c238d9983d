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
	MadeBy   string    `json:"madeBy"` // the person who had the plan made
	MadeByID string    `json:"-"`      // the id of the operator who had the plan made; "" if it was somebody else
	Started  time.Time `json:"started"`
	Made     time.Time `json:"made,omitzero"`    // when the plan was complete, or could not be made; zero until then
	Expires  time.Time `json:"expires,omitzero"` // when it is too late to approve or apply the plan; zero until it is made
	Settings string    `json:"-"`                // identifies the job's settings at the time of the plan
	Reads    bool      `json:"-"`                // whether the plan read every account

	Undo *Undo `json:"undo,omitempty"` // what the plan takes back; nil for a plan of what the next cycle would do

	// The next fields say what the plan does. They are used only while the plan is made.
	Reasserts bool     `json:"-"` // whether the plan restores values that somebody changed
	Disables  []string `json:"-"` // the ids of accounts that no user has and that the plan disables; nil for other plans
	OnlyGives bool     `json:"-"` // whether the plan leaves out operations that take access away; ChangePlan needs it, too

	Report  PlanReport `json:"report"`  // the numbers of the plan; while it is being made, the numbers so far
	Problem string     `json:"problem"` // why the plan could not be made; "" if it could

	ApprovedBy string    `json:"approvedBy,omitempty"`
	Approved   time.Time `json:"approved,omitzero"`
	ApprovedID string    `json:"-"` // the id of the operator who approved the plan; "" if it was somebody else
	AppliedBy  string    `json:"appliedBy,omitempty"`
	Applied    time.Time `json:"applied,omitzero"` // when no operation was left to send; zero until then

	Alive time.Time `json:"-"` // when the process that makes the plan last saved it
}

// PlanState is the stage that a plan has reached.
type PlanState string

// States of a plan. A plan goes from Making to Ready or Broken. A Ready plan goes on to Approved,
// Applying and Applied. A plan that is Making, Ready, Approved or Applying can be cancelled.
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
	Bare        string     `json:"-"`      // hash of the operation without its references; "" if nothing would be sent
	Lane        Lane       `json:"-"`      // the lane in which the operation is sent
	Outcome     PlanResult `json:"outcome,omitempty"`
	OutcomeText string     `json:"outcomeReason,omitempty"` // the reason of the Outcome, in words; "" if there is none
}

// WorkID returns the work-list id under which the row's operation is sent.
func (r *PlannedRow) WorkID() string {
	if r.ofMembers() {
		return MembersOf(r.ObjectID)
	}
	return r.ObjectID
}

// PlanStage is a part of a plan. All operations of a stage are sent before the next stage begins.
type PlanStage int

// The stages of a plan, in their order.
const (
	PlanAccounts   PlanStage = iota // people and groups
	PlanReferences                  // references that depend on accounts that come or go
	PlanMembers                     // members of groups
)

// PlanResult is the result of a planned operation.
type PlanResult string

// Results of a planned operation. The empty result means that the plan was not applied, or that no
// operation was planned for the object.
const (
	PlanDue      PlanResult = "due"       // the operation is on the work list
	PlanSent     PlanResult = "applied"   // the target has the planned state
	PlanFailed   PlanResult = "failed"    // the operation failed
	PlanLeftOut  PlanResult = "changed"   // the operation now differs from the planned operation, so nothing was sent
	PlanNotBegun PlanResult = "cancelled" // the plan was cancelled before the operation was sent
)

// PlanFilter selects which objects of a plan to list.
type PlanFilter struct {
	All     bool       // whether to list all objects; otherwise only those with an operation or a problem
	Outcome PlanResult // list only operations with this result; "" means any
	After   int        // the Number of the last object on the previous page; 0 for the first page
	Limit   int        // the largest number of objects on the page
}

// PlanCounts counts a plan's operations by result. Due also counts the operations of a later stage
// of a plan that is being applied. Due counts the members of a group as one operation; Sent, Failed
// and LeftOut do not count members, which have numbers of their own.
type PlanCounts struct {
	Listed  int `json:"objects"` // how many objects the plan has
	Shown   int `json:"shown"`   // how many of Listed have an operation or a problem
	Due     int `json:"due"`
	Sent    int `json:"applied"`
	Failed  int `json:"failed"`
	LeftOut int `json:"changed"`

	MembersSent    int `json:"membersApplied"`
	MembersFailed  int `json:"membersFailed"`
	MembersLeftOut int `json:"membersChanged"`
}

// PlanStore stores plans.
type PlanStore interface {
	// StartPlan adds a plan. It removes the job's expired plans, and the oldest plans if the job
	// then has more than KeptPlans. It does not remove plans that are being applied.
	StartPlan(ctx context.Context, p StoredPlan) error
	// AddPlanned adds objects to a plan that is being made, and saves the plan's report. It returns
	// ErrNoPlan if the plan is no longer being made, for example because it was cancelled.
	AddPlanned(ctx context.Context, p StoredPlan, rows []PlannedRow) error
	// ChangePlan saves a plan, with an event unless e is nil. It returns ErrNoPlan if there is no
	// such plan, and ErrChanged if the state of the stored plan is not in from. If the plan is now
	// cancelled, its operations that were not sent leave the work list, unless their objects were
	// listed for another reason, too. Operations that failed, and that were waiting for the guard
	// or on hold before the plan was applied, get that verdict again. If OnlyGives is true,
	// operations that were tried and have to wait stay on the work list as changes.
	ChangePlan(ctx context.Context, p StoredPlan, from []PlanState, e *event.Event) error
	// ListPlans returns the plans of a job, newest first.
	ListPlans(ctx context.Context, k Key) ([]StoredPlan, error)
	// PlannedRows returns a page of the objects of a plan, ordered by Number.
	PlannedRows(ctx context.Context, k Key, plan string, f PlanFilter) ([]PlannedRow, error)
	// PlanCounts counts the objects of a plan.
	PlanCounts(ctx context.Context, k Key, plan string) (PlanCounts, error)
	// DemandPlanned puts operations of one stage of a plan on the work list and wakes the job. It
	// takes at most limit operations, in the order of their Numbers, beginning after the Number
	// after. It returns the Number of the last of them, or 0 if there was none.
	DemandPlanned(ctx context.Context, k Key, plan string, stage PlanStage, after, limit int) (last int, err error)
	// CountDemanded counts the operations of a plan that are on the work list, whether or not they
	// could be sent now.
	CountDemanded(ctx context.Context, k Key, plan string) (int, error)
	// ExpectedMembers returns those membership changes of a group that the plan that is being
	// applied lists and that have no result yet. It returns nil if there is no such plan.
	ExpectedMembers(ctx context.Context, k Key, group string) (*ExpectedMembers, error)
	// ExpectedOperation returns the operation for an object in the plan that is being applied, or
	// nil.
	ExpectedOperation(ctx context.Context, k Key, objectID string) (*ExpectedOperation, error)
	// DuePlanned counts the operations of a plan that are on the work list and could be sent now.
	DuePlanned(ctx context.Context, k Key, plan string, now time.Time) (int, error)
}

// ExpectedOperation is the only operation that may be sent for an object while an approved plan is
// applied. The zero value allows no operation.
type ExpectedOperation struct {
	Plan        string // the plan's id
	Fingerprint string // the hash of the planned operation
	Reads       bool   // whether the plan read the account

	Bare    string         // the hash of the planned operation without its references
	Undo    *Undo          // what the plan takes back; nil for a plan of what the next cycle would do
	Planned PlannedObject  // the planned operation
	Follow  *PlannedObject // the change of the object's references that the plan sends afterwards; nil if there is none
}

// ExpectedMembers are the membership changes of one group that may be sent while an approved plan
// is applied.
type ExpectedMembers struct {
	Plan    string // the plan's id
	Reads   bool   // whether the plan sends all members again
	Rows    []int  // the Numbers of the rows of the plan that are on the work list
	Changes []ExpectedMember
}

// ExpectedMember is one planned change of a membership.
type ExpectedMember struct {
	Row    int    // the Number of the PlannedRow that lists the change
	Target string // the id of the group at the target; "" if the plan creates the group
	Member string // the object id of the member
	Adds   bool   // whether the member is to be added; otherwise it is to be removed
}

// PlannedMemberOutcome is the result of a planned change of a membership.
type PlannedMemberOutcome struct {
	Plan   string // the plan's id; "" if the change is not planned
	Row    int    // the Number of the PlannedRow that lists the change
	Member string // the object id of the member
	Adds   bool   // whether the member was to be added
	Result PlanResult
	Reason string // why the change has this result, in words; "" if it was sent
}

// PlannedOutcome is the part of an Outcome that holds the result of a planned operation.
type PlannedOutcome struct {
	Plan   string // the plan's id; "" if the outcome is not about a plan
	Result PlanResult
	Reason string // why the operation has this result, in words; "" if it was sent
	Rows   []int  // for work on the members of a group: the Numbers of the rows that the work was about
}
