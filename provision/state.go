package provision

import (
	"encoding/json"
	"time"
)

// State is how a job is going: what the engine, and only the engine, writes.
type State struct {
	Asked // what of the job's settings the engine has taken up

	Phase Phase       `json:"phase"`
	Cycle CycleReport `json:"cycle"` // the one in progress, if Phase is not Idle

	After     string `json:"after"`     // import cursor: object id
	Start     Cursor `json:"start"`     // watermark that the initial cycle in progress will leave
	Watermark Cursor `json:"watermark"` // everything before it is imported
	Ready     bool   `json:"ready"`     // the watermark counts: an initial import was completed

	NextCycle time.Time `json:"nextCycle"`
	Cooldown  time.Time `json:"cooldown"` // the target asked for a pause until then
	// Creates is the pause that the target asked for when it was sent creates. Other requests go on.
	Creates       CreatePause `json:"creates"`
	NextUnmatched time.Time   `json:"nextUnmatched"`

	Searches *Searches `json:"searches,omitempty"` // which matching attributes the target proved when the cycle began

	Quarantine *Quarantine  `json:"quarantine"`
	Last       *CycleReport `json:"last"`         // the last cycle that ended
	LastGood   *CycleReport `json:"lastGood"`     // the last one that was not stopped
	FirstDone  time.Time    `json:"firstDone"`    // end of the first complete cycle
	FailedRuns int          `json:"failedCycles"` // consecutive cycles that were stopped
}

// CreatePause holds back creates alone.
type CreatePause struct {
	Until time.Time `json:"until"`
	Times int       `json:"times"` // pauses one after the other without an account made in between
}

// Phase is what the cycle in progress imports. Work on what was imported goes on in each of them.
type Phase string

// Phases of a cycle.
const (
	Idle      Phase = ""
	Snapshot  Phase = "snapshot"  // initial: every user of the source
	Links     Phase = "links"     // initial: linked accounts whose user is out of scope or gone
	Changes   Phase = "changes"   // incremental: what changed since the watermark
	Finishing Phase = "finishing" // everything is imported, the rest of the work goes on
)

// Kinds of cycles.
const (
	InitialCycle     = "initial"
	IncrementalCycle = "incremental"
)

// CycleReport counts what one cycle did.
type CycleReport struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
	Read      int       `json:"read"` // objects looked at
	Created   int       `json:"created"`
	Updated   int       `json:"updated"`
	Disabled  int       `json:"disabled"`
	Deleted   int       `json:"deleted"`
	Skipped   int       `json:"skipped"`
	Redundant int       `json:"redundant"` // of the skipped: as they should be, and not listed in the log
	Failed    int       `json:"failed"`
	State     string    `json:"state"` // Succeeded, EntryLevelErrors, Failed
	Error     string    `json:"error,omitempty"`
}

// Ends of a cycle, in Graph's spelling.
const (
	Succeeded        = "Succeeded"
	EntryLevelErrors = "EntryLevelErrors"
	Failed           = "Failed"
)

// Quarantine is a job that waits because every request would fail.
type Quarantine struct {
	Since       time.Time `json:"since"`
	Reason      string    `json:"reason"` // Graph's word, EncounteredQuarantineException
	Code        string    `json:"code"`   // Entra's error code
	Message     string    `json:"message"`
	Status      int       `json:"status"`   // HTTP status of the evidence, 0 when there was no answer
	Advice      string    `json:"advice"`   // what to do now
	Evidence    string    `json:"evidence"` // the request that failed
	NextAttempt time.Time `json:"nextAttempt"`
	Attempts    int       `json:"attempts"`
}

// Link is a remembered pair of a user and the account it has at the target.
type Link struct {
	ObjectID string
	TargetID string
	How      string // created, matched, adopted
	State    LinkState
	Hash     string     // of the values last written or found equal
	Name     string     // what people call the account, for messages
	Keys     []MatchKey // the matching values that the account had when it was last written or read
	Since    time.Time
	Updated  time.Time
}

// LinkState is what the target's account is to the job.
type LinkState string

// States of a link.
const (
	Active   LinkState = "active"
	Disabled LinkState = "disabled" // blocked or soft-deleted in the source, still managed
	Released LinkState = "released" // unassigned or out of scope: what follows in the source is not sent
	Lost     LinkState = "lost"     // the target has no such account any more; looked for again in the next cycle
	Gone     LinkState = "gone"     // it was looked for again in vain; looked for once a day for a while, when the person changes and by a restart
)

// Op is a create that was about to be sent: proof that it may have happened.
type Op struct {
	ObjectID string
	ID       string
	Keys     []MatchKey // how the account can be found again
	Sent     time.Time
	Cycle    string
}

// MatchKey is a matching attribute with the value the account must have.
type MatchKey struct {
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// UnmarshalJSON keeps whole numbers whole.
func (k *MatchKey) UnmarshalJSON(b []byte) error {
	var raw struct {
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	k.Path = raw.Path
	var n int64
	if json.Unmarshal(raw.Value, &n) == nil && string(raw.Value) != "null" {
		k.Value = n
		return nil
	}
	return json.Unmarshal(raw.Value, &k.Value)
}

// Escrow is an object that failed and waits to be tried again.
type Escrow struct {
	ObjectID string
	Name     string
	First    time.Time
	Last     time.Time
	Next     time.Time
	Count    int
	Code     string
	Reason   string
}

// Pending is an object to look at, with all that is remembered of it.
type Pending struct {
	ObjectID  string
	Why       Why
	NotBefore time.Time
	Link      *Link
	Op        *Op
	Escrow    *Escrow
	Unmatched bool
}

// Why says why an object is looked at.
type Why string

// Reasons to look at an object.
const (
	ByCycle   Why = "cycle"   // the initial cycle looks at everybody
	ByChange  Why = "change"  // it changed in the source
	ByRetry   Why = "retry"   // it failed before
	ByAbsence Why = "absence" // it had no account, looked up again once a day
)

// Report is what the Provisioning page and `provision status` show of a job.
type Report struct {
	Job       Job
	State     State
	Code      string // NotConfigured, NotRun, Active, Paused, Quarantine
	Linked    int
	Lost      int // people whose account is gone at the target
	Escrowed  int
	Unmatched int
	Pending   int
	Notes     []string // what a reader should know, in sentences
}

// Codes of a job's status, in Graph's spelling.
const (
	NotConfigured = "NotConfigured"
	NotRun        = "NotRun"
	Running       = "Active"
	Paused        = "Paused"
	Quarantined   = "Quarantine"
)
