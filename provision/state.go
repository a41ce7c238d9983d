package provision

import (
	"encoding/json"
	"time"
)

// State is the progress of a job. Only the engine writes it.
type State struct {
	Asked // the requests that the engine has handled

	Phase Phase       `json:"phase"`
	Cycle CycleReport `json:"cycle,omitzero"` // the current cycle, if Phase is not Idle

	After string `json:"after"` // object id after which the import continues
	Start Cursor `json:"start"` // the watermark that applies after the current initial cycle
	// Watermark is the position before which all changes are imported. At the start of an initial
	// cycle it is still the position of the last cycle.
	Watermark Cursor `json:"watermark"`
	Ready     bool   `json:"ready"` // an initial import was completed, so Watermark is valid

	Why string `json:"why,omitempty"` // why the next initial cycle looks at everyone, in words
	// Allowed is how many accounts the next initial cycle may disable without asking. An
	// administrator accepted that number before saving the change.
	Allowed int `json:"allowed,omitempty"`

	// ReadAll makes the next initial cycle read every account at the target.
	ReadAll bool `json:"readAll,omitempty"`

	NextCycle time.Time `json:"nextCycle,omitzero"`
	Cooldown  time.Time `json:"cooldown,omitzero"` // end of the pause that the target asked for
	Pace      Pace      `json:"pace,omitzero"`
	// Drained is when the current cycle began to only wait; zero if it has work to do. DrainedRead
	// is how many objects it had looked at by then.
	Drained     time.Time `json:"drained,omitzero"`
	DrainedRead int       `json:"drainedRead,omitempty"`
	// Dialect holds the deviations from Entra's requests that the target was found to need.
	Dialect Dialect `json:"dialect"`
	// InFlight lists the objects whose update or deletion was about to be sent. It may have been
	// carried out.
	InFlight []string `json:"inFlight,omitempty"`
	// Flown holds the attributes to which such updates gave a value, by object id. The accounts may
	// have these values, which come from this job.
	Flown map[string][]string `json:"flown,omitempty"`

	NextUnmatched time.Time `json:"nextUnmatched,omitzero"`

	Late bool `json:"late,omitempty"` // an account has waited too long to be closed, and an event has reported it

	Domain string `json:"domain,omitempty"` // the source's default domain at the last look at everyone, if a mapping reads it

	Groups  GroupState   `json:"groups,omitzero"`
	Members MembersState `json:"members,omitzero"`

	Searches *Searches `json:"searches,omitempty"` // results of the search tests, from when the cycle began

	Quarantine *Quarantine  `json:"quarantine"`
	Trial      *Quarantine  `json:"trial,omitempty"`    // the target has refused every write, and one is on trial
	Last       *CycleReport `json:"last"`               // the last cycle that ended
	LastGood   *CycleReport `json:"lastGood"`           // the last cycle that ended without being stopped
	FirstDone  time.Time    `json:"firstDone,omitzero"` // when the first complete cycle ended
	FailedRuns int          `json:"failedCycles"`       // consecutive cycles that were stopped
}

// Phase says which objects the current cycle is importing. In every phase, the engine also works on
// objects that it has already imported.
type Phase string

// Phases of a cycle.
const (
	Idle          Phase = ""
	Snapshot      Phase = "snapshot"  // initial: every user of the source
	GroupSnapshot Phase = "groups"    // initial: every group of the source
	Links         Phase = "links"     // initial: linked accounts whose user is out of scope or gone
	Changes       Phase = "changes"   // incremental: the users that changed since the watermark
	Finishing     Phase = "finishing" // everything is imported; the engine works on the rest
)

// initial reports whether the phase belongs to an initial cycle's import.
func (p Phase) initial() bool { return p == Snapshot || p == GroupSnapshot || p == Links }

// Kinds of cycles.
const (
	InitialCycle     = "initial"
	IncrementalCycle = "incremental"
)

// CycleReport counts what one cycle did.
type CycleReport struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Why      string    `json:"why,omitempty"`     // why the cycle looks at everyone, in words
	Allowed  int       `json:"allowed,omitempty"` // how many accounts the cycle may disable without asking, as State.Allowed
	Reads    bool      `json:"reads,omitempty"`   // whether the cycle reads every account, because a person asked for a restart
	Started  time.Time `json:"started,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	Read     int       `json:"read"` // objects looked at
	Created  int       `json:"created"`
	Updated  int       `json:"updated"`
	Disabled int       `json:"disabled"`
	Deleted  int       `json:"deleted"`
	Skipped  int       `json:"skipped"`
	// Numbers of memberships that were added and removed.
	MembersAdded   int    `json:"membersAdded,omitempty"`
	MembersRemoved int    `json:"membersRemoved,omitempty"`
	Redundant      int    `json:"redundant"` // of Skipped: accounts that already had the wanted state; the log does not list them
	Failed         int    `json:"failed"`
	Waiting        int    `json:"waiting,omitempty"` // objects that were tried and still wait when the cycle ends
	State          string `json:"state"`             // Succeeded, EntryLevelErrors, Failed
	Error          string `json:"error,omitempty"`
}

// Final states of a cycle, in Graph's spelling.
const (
	Succeeded        = "Succeeded"
	EntryLevelErrors = "EntryLevelErrors"
	Failed           = "Failed"
)

// Quarantine says why the job is held back: all its requests would fail.
type Quarantine struct {
	Since       time.Time `json:"since"`
	Reason      string    `json:"reason"` // Graph's word EncounteredQuarantineException
	Code        string    `json:"code"`   // Entra's error code
	Message     string    `json:"message"`
	Status      int       `json:"status"`   // HTTP status of the failed request; 0 if there was no answer
	Advice      string    `json:"advice"`   // what an administrator can do now
	Evidence    string    `json:"evidence"` // the failed request
	NextAttempt time.Time `json:"nextAttempt,omitzero"`
	Attempts    int       `json:"attempts"`
}

// Link is the remembered pair of an object and its account at the target.
type Link struct {
	ObjectID string
	TargetID string
	How      string // created, matched, adopted
	State    LinkState
	Kind     ObjectKind // the kind of the object; "" means UserKind
	Hash     string     // hash of the values, in links of earlier versions; "" if Wrote is known
	Name     string     // the account's name, for messages
	Keys     []MatchKey // the account's matching values when it was last written or read
	Wrote    Ledger     // what was sent to the account and what came back, by attribute
	Version  string     // the account's version as the target last returned it; "" if none
	Refers   string     // the object that the account refers to, such as the manager; "" if none
	Aside    *Aside     // the account's temporary value in the middle of a swap; otherwise nil
	Proved   time.Time  // when the target last returned the account; zero in links of earlier versions
	Since    time.Time
	Updated  time.Time
}

// LinkState is the state of an account from the job's point of view.
type LinkState string

// States of a link.
const (
	Active   LinkState = "active"
	Disabled LinkState = "disabled" // blocked or soft-deleted in the source, still managed
	Released LinkState = "released" // the person is unassigned or out of scope: later changes in the source are not sent
	Held     LinkState = "held"     // the person should have access, but the target keeps the account blocked
	Missed   LinkState = "missed"   // the target just answered 404; the engine looks for the account in the same cycle
	Lost     LinkState = "lost"     // the target no longer has the account; the next cycle looks for it again
	Gone     LinkState = "gone"     // the second search found no account; the engine looks once a day for a while, when the person changes, and after a restart
)

// Op is a create that was about to be sent. The target may have carried it out.
type Op struct {
	ObjectID string
	ID       string
	Kind     ObjectKind // "" is a user
	Keys     []MatchKey // how to find the account again
	Sent     time.Time
	Times    int // how many earlier creates had an outcome that stayed unknown
	Cycle    string
	Drawn    []Drawn // the random and unique values that the create sends
}

// MatchKey is a matching attribute with the value that the account must have.
type MatchKey struct {
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// UnmarshalJSON decodes whole numbers as integers instead of floats.
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

// Escrow is the entry of an object that failed and waits for a retry.
type Escrow struct {
	ObjectID string
	Name     string
	First    time.Time
	Last     time.Time
	Next     time.Time
	Count    int
	Code     string
	Reason   string
	Lane     Lane // the lane of the work list to which the object returns
}

// Pending is an object to look at, with everything that the job remembers about it.
type Pending struct {
	ObjectID  string
	Why       Why
	Reads     bool // read the account even if nothing seems to have changed
	Lane      Lane
	Since     time.Time // when the object was put on the list
	Turn      int64     // how many times the object was put on the list
	Cause     string    // the cause of its change; "" for a single change, or after the guard let it through
	Verdict   Verdict   // "" if the object is not on the list
	Takes     bool      // the guard has let the account be disabled or deleted
	NotBefore time.Time
	Link      *Link
	Op        *Op
	Escrow    *Escrow
	Unmatched bool
}

// Why is the reason to look at an object.
type Why string

// Reasons to look at an object.
const (
	ByCycle   Why = "cycle"   // the initial cycle looks at everyone
	ByChange  Why = "change"  // the object changed in the source
	ByRetry   Why = "retry"   // the object failed before and is tried again
	ByDemand  Why = "demand"  // a person asked to provision the object on demand
	ByPlan    Why = "plan"    // an approved plan has an operation for the object
	ByAbsence Why = "absence" // the object had no account; the engine looks for one once a day
)

// Report is a job's status, as shown by the Provisioning page and by `provision status`.
type Report struct {
	Job       Job
	State     State
	Code      string // NotConfigured, NotRun, Active, Paused, Quarantine
	Linked    int
	Lost      int // people whose account is gone at the target
	Held      int // people whose account the target keeps blocked
	Escrowed  int
	Unmatched int
	Pending   int
	Groups    int      // linked groups
	Members   int      // memberships that the target has acknowledged
	OnHold    int      // operations that an administrator has to approve or reject
	Rejected  int      // operations that an administrator rejected
	Notes     []string // sentences that people should read

	Waits   []Waits
	Failing []Failing
	// OldestChange is the time since which the oldest unfinished change has waited. OldestLeaver is
	// the same for the oldest account that must be closed. Each is zero if none waits. Failed
	// objects count as waiting.
	OldestChange, OldestLeaver time.Time
	// LeaverLate reports whether an account has waited to be closed for longer than LeaverPatience.
	LeaverLate bool
}

// Waits counts the objects on the work list that wait for the same reason.
type Waits struct {
	Lane   Lane      `json:"-"`
	Reason string    `json:"reason"`
	Count  int       `json:"count"`
	Since  time.Time `json:"since"`         // when the first of them was put on the list
	Next   time.Time `json:"next,omitzero"` // when the first of them is tried next; zero means now
}

// Failing counts the objects that failed for the same reason and will be tried again.
type Failing struct {
	Lane   Lane      `json:"-"`
	Code   string    `json:"code"`
	Reason string    `json:"reason"` // the reason of one of the objects
	Count  int       `json:"count"`
	Since  time.Time `json:"since"`
}

// inLine is the reason shown for objects that wait only because others come first.
const inLine = "Its turn has not come yet."

// JudgedReason is the reason shown for objects whose cause the guard is counting.
const JudgedReason = "It is counted together with the other changes of its import or change of settings."

// settleOldest sets the fields about the oldest change and the oldest leaver.
func (r *Report) settleOldest(now time.Time, patience time.Duration) {
	see := func(lane Lane, since time.Time) {
		if lane != Checks {
			r.OldestChange = earliest(r.OldestChange, since)
		}
		if lane == Leavers {
			r.OldestLeaver = earliest(r.OldestLeaver, since)
		}
	}
	for i, w := range r.Waits {
		see(w.Lane, w.Since)
		if w.Reason == "" {
			r.Waits[i].Reason = inLine
		}
	}
	for _, f := range r.Failing {
		see(f.Lane, f.Since)
	}
	r.LeaverLate = !r.OldestLeaver.IsZero() && now.Sub(r.OldestLeaver) > patience
}

// Codes of a job's status, in Graph's spelling.
const (
	NotConfigured = "NotConfigured"
	NotRun        = "NotRun"
	Running       = "Active"
	Paused        = "Paused"
	Quarantined   = "Quarantine"
)
