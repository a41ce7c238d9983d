package provision

import (
	"strconv"
	"time"
)

// LogEntry is one entry of the provisioning log, in the form of Graph's provisioningObjectSummary.
type LogEntry struct {
	ID             string             `json:"id"`
	ActivityTime   time.Time          `json:"activityDateTime"`
	JobID          string             `json:"jobId"`
	CycleID        string             `json:"cycleId"` // the id of the plan if an approved plan sent the operation
	ChangeID       string             `json:"changeId"`
	Action         Action             `json:"provisioningAction"`
	DurationMillis int64              `json:"durationInMilliseconds"`
	Status         StatusInfo         `json:"provisioningStatusInfo"`
	Steps          []Step             `json:"provisioningSteps"`
	Modified       []ModifiedProperty `json:"modifiedProperties"`
	SourceSystem   System             `json:"sourceSystem"`
	TargetSystem   System             `json:"targetSystem"`
	SourceIdentity Identity           `json:"sourceIdentity"`
	TargetIdentity Identity           `json:"targetIdentity"`
	InitiatorName  string             `json:"initiatedBy"`
	Mapping        string             `json:"mapping"`
	// Cause is the id of the cause of the change: an import, or the cycle that looked at everyone.
	// It is "" for a single change.
	Cause string `json:"cause,omitempty"`
	// Before holds old values, by attribute, for an undo. It holds only values that the text in
	// Modified does not show exactly, such as a list. nil stands for no value.
	Before map[string]any `json:"before,omitempty"`
}

// Cursor returns the [LogQuery.Before] for the page that begins after this entry.
func (e LogEntry) Cursor() string {
	return LogCursor(e.ActivityTime, e.ID)
}

// LogCursor returns the [LogQuery.Before] for the page that begins after the entry with this time
// and id. An empty id stands before all ids. With an empty id, a page with the oldest entries first
// has all entries with this time, and a page with the newest entries first has none of them.
func LogCursor(at time.Time, id string) string {
	return strconv.FormatInt(at.UnixMicro(), 10) + "-" + id
}

// Action says what the engine did, or tried to do, with an account.
type Action string

// Actions, in Graph's spelling.
const (
	Create  Action = "create"
	Update  Action = "update"
	Disable Action = "disable"
	Delete  Action = "delete"
	Other   Action = "other" // the object was skipped, or failed before the action was known
)

// Result is the outcome of an action.
type Result string

// Results, in Graph's spelling.
const (
	Success Result = "success"
	Warning Result = "warning"
	Failure Result = "failure"
	Skipped Result = "skipped"
)

// StatusInfo is the outcome of one log entry. If Status is Success, the other fields are empty.
// Otherwise Code is the error code, Entra's or our own. Reason explains the outcome, and
// RecommendedAction says what to do.
type StatusInfo struct {
	Status            Result `json:"status"`
	Code              string `json:"errorCode,omitempty"`
	Reason            string `json:"reason,omitempty"`
	AdditionalDetails string `json:"additionalDetails,omitempty"`
	Category          string `json:"errorCategory,omitempty"` // "failure", or "nonServiceFailure" for a skip or a warning
	RecommendedAction string `json:"recommendedAction,omitempty"`
}

// StepType is the kind of a step that the engine takes for one object.
type StepType string

// Step types, in the order in which an object passes through them.
const (
	ImportStep     StepType = "import"
	ScopingStep    StepType = "scoping"
	MatchingStep   StepType = "matching"
	ProcessingStep StepType = "processing"
	ReferenceStep  StepType = "referenceResolution"
	ExportStep     StepType = "export"
)

// Step is one step in a log entry.
type Step struct {
	Name        string            `json:"name"`
	Type        StepType          `json:"provisioningStepType"`
	Status      Result            `json:"status"`
	Description string            `json:"description"`
	Details     map[string]string `json:"details,omitempty"`
}

// ModifiedProperty is one attribute that was written, or that a failed request tried to write.
type ModifiedProperty struct {
	DisplayName string  `json:"displayName"`
	OldValue    *string `json:"oldValue"`
	NewValue    *string `json:"newValue"`
}

// System is the source or the target of a log entry.
type System struct {
	ID          string `json:"id,omitempty"`
	DisplayName string `json:"displayName"`
}

// Identity is the object, or the account, of a log entry.
type Identity struct {
	ID          string            `json:"id,omitempty"`
	DisplayName string            `json:"displayName,omitempty"`
	Type        string            `json:"identityType"`
	Details     map[string]string `json:"details,omitempty"`
}

// LogQuery narrows the provisioning log. Fields with zero values do not narrow it.
type LogQuery struct {
	Search   string // words that the names, ids or error code of an entry must contain; case does not matter
	Status   Result
	Action   Action
	ObjectID string
	Cycle    string
	From     time.Time // select only entries at this time or later
	Until    time.Time // select only entries before this time
	Shown    bool      // whether to leave out skipped entries; ignored if Status is set
	Before   string    // the cursor returned with the previous page; "" for the first page
	Limit    int       // the largest number of entries, at most 500; 0 means 50

	OldestFirst bool // whether the oldest entries come first; otherwise the newest do
}
