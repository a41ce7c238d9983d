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

	After string `json:"after"` // the object id after which the import of the current phase continues
	Start Cursor `json:"start"` // the position that becomes the Watermark after an initial cycle has imported everything
	// Watermark is the position up to which all changes are imported. When an initial cycle begins,
	// it first lists the leavers since this position, and then moves it to the newest change.
	Watermark Cursor `json:"watermark"`
	Ready     bool   `json:"ready"` // whether an initial import was completed, so that Watermark is valid

	Why string `json:"why,omitempty"` // why the next initial cycle looks at everyone, in words
	// Allowed is how many accounts the next initial cycle may disable without asking. An
	// administrator accepted that number before saving the change.
	Allowed int `json:"allowed,omitempty"`

	// ReadAll makes the next initial cycle read every account at the target.
	ReadAll bool `json:"readAll,omitempty"`

	NextCycle time.Time `json:"nextCycle,omitzero"` // when the next cycle begins even if nothing changes; zero means now
	Cooldown  time.Time `json:"cooldown,omitzero"`  // the end of the pause that the target asked for; zero if it asked for none
	Pace      Pace      `json:"pace,omitzero"`      // how fast the job may send requests, as it has learned
	// WaitingSince is when the cycle last began to wait because no object was due; zero if it has
	// not waited yet.
	WaitingSince time.Time `json:"drained,omitzero"`
	// ReadAtWaitingSince is how many objects the cycle had looked at by the time WaitingSince.
	ReadAtWaitingSince int `json:"drainedRead,omitempty"`
	// Dialect holds the deviations from Entra's requests that the target was found to need.
	Dialect Dialect `json:"dialect"`
	// InFlight lists the ids of the objects whose update or deletion was about to be sent, and
	// whose outcome is not recorded yet. The request may have been carried out.
	InFlight []string `json:"inFlight,omitempty"`
	// UnsureAttributes holds the attributes to which the updates of the objects in InFlight gave a
	// value, by object id. If an account has such a value, the value comes from this job.
	UnsureAttributes map[string][]string `json:"flown,omitempty"`
	// UnsureSince holds the times at which the requests about the objects in InFlight were about to
	// be sent, by object id.
	UnsureSince map[string]time.Time `json:"flownAt,omitempty"`

	NextUnmatched time.Time `json:"nextUnmatched,omitzero"` // when the engine next looks for accounts of people who have none

	LateIsReported bool `json:"late,omitempty"` // whether an event has reported that an account waits too long to be closed

	// Mappings is the number of the version of the mappings when the engine last looked at
	// everyone.
	Mappings int64 `json:"mappings,omitempty"`
	// Edits lists the last initial cycles that were the first to use changed mappings, oldest
	// first.
	Edits []MappingEdited `json:"edits,omitempty"`

	Domain string `json:"domain,omitempty"` // the source's default domain that the mappings last used; "" if they never used it

	Groups  GroupState   `json:"groups,omitzero"`
	Members MembersState `json:"members,omitzero"`

	Searches *Searches `json:"searches,omitempty"` // the results of the last search tests that the engine made; nil if it made none

	Quarantine *Quarantine  `json:"quarantine"`         // why the job is in quarantine; nil if it is not
	Trial      *Quarantine  `json:"trial,omitempty"`    // the last quarantine, while a single write tests whether the target accepts writes again; otherwise nil
	Last       *CycleReport `json:"last"`               // the last cycle that ended; nil if none has
	LastGood   *CycleReport `json:"lastGood"`           // the last cycle that ended without being stopped; nil if none has
	LastSent   *CycleReport `json:"lastSent,omitempty"` // the last of these cycles that changed something at the application; nil if none has
	FirstDone  time.Time    `json:"firstDone,omitzero"` // when the first complete cycle ended; zero if none has
	FailedRuns int          `json:"failedCycles"`       // how many attempts in a row ended in quarantine
}

// Phase says which objects the current cycle is importing. In every phase, the engine also works on
// objects that it has already imported.
type Phase string

// Phases of a cycle.
const (
	Idle          Phase = ""          // no cycle runs
	Snapshot      Phase = "snapshot"  // an initial cycle imports every user of the source, or every assigned user
	GroupSnapshot Phase = "groups"    // an initial cycle imports every group of the source, or every assigned group
	Links         Phase = "links"     // an initial cycle imports linked objects that are no longer assigned, or were purged
	Changes       Phase = "changes"   // an incremental cycle imports the users that changed since the watermark
	Finishing     Phase = "finishing" // everything is imported; the engine works on the remaining objects
)

// initial reports whether an initial cycle is importing objects in this phase.
func (p Phase) initial() bool { return p == Snapshot || p == GroupSnapshot || p == Links }

// Kinds of cycles.
const (
	InitialCycle     = "initial"
	IncrementalCycle = "incremental"
)

// CycleReport says what one cycle did, with numbers.
type CycleReport struct {
	ID             string    `json:"id"`
	Kind           string    `json:"kind"`
	Why            string    `json:"why,omitempty"`     // why the cycle looks at everyone, in words
	Allowed        int       `json:"allowed,omitempty"` // how many accounts the cycle may disable without asking, as State.Allowed
	Reads          bool      `json:"reads,omitempty"`   // whether the cycle reads every account, because a person asked for a restart
	Started        time.Time `json:"started,omitzero"`
	Ended          time.Time `json:"ended,omitzero"`
	Read           int       `json:"read"` // how many objects the cycle looked at
	Created        int       `json:"created"`
	Updated        int       `json:"updated"`
	Disabled       int       `json:"disabled"`
	Deleted        int       `json:"deleted"`
	Skipped        int       `json:"skipped"`
	MembersAdded   int       `json:"membersAdded,omitempty"`   // how many memberships were added
	MembersRemoved int       `json:"membersRemoved,omitempty"` // how many memberships were removed
	Redundant      int       `json:"redundant"`                // how many of Skipped already had the wanted values; the log does not list them
	Failed         int       `json:"failed"`
	Waiting        int       `json:"waiting,omitempty"` // how many objects were still on the work list when the cycle ended
	State          string    `json:"state"`             // Succeeded, EntryLevelErrors or Failed
	Error          string    `json:"error,omitempty"`
}

// Sent returns how many operations the cycle has sent that changed something at the application.
func (c CycleReport) Sent() int {
	return c.Created + c.Updated + c.Disabled + c.Deleted + c.MembersAdded + c.MembersRemoved
}

// Final states of a cycle, in Graph's spelling.
const (
	Succeeded        = "Succeeded"
	EntryLevelErrors = "EntryLevelErrors"
	Failed           = "Failed"
)

// Quarantine says why the job is in quarantine. In quarantine the engine only sends a test from
// time to time, because all other requests would fail.
type Quarantine struct {
	Since       time.Time `json:"since"`
	Reason      string    `json:"reason"` // the reason in Graph's words: EncounteredQuarantineException
	Code        string    `json:"code"`   // the error code: Entra's, or our own
	Message     string    `json:"message"`
	Status      int       `json:"status"`               // the HTTP status of the failed request; 0 if there was no answer
	Advice      string    `json:"advice"`               // the next thing that an administrator can do
	Evidence    string    `json:"evidence"`             // the method and path of the failed request
	NextAttempt time.Time `json:"nextAttempt,omitzero"` // when the engine tries again
	Attempts    int       `json:"attempts"`             // how many attempts have failed, including the attempt that began the quarantine
}

// Link is the stored pair of an object and its account at the target.
type Link struct {
	ObjectID string
	TargetID string
	How      string // how the pair was made: created, matched, adopted or linked
	State    LinkState
	Kind     ObjectKind // the kind of the object; "" means UserKind
	Hash     string     // the hash of the values, if an earlier version of Rollcall stored the link; otherwise ""
	Name     string     // the object's name at the source, for messages: the userPrincipalName, or else the display name
	Keys     []MatchKey // the account's matching values when it was last written or read
	Wrote    Ledger     // the values that were sent to the account and that the target returned
	Version  string     // the account's version as the target last returned it; "" if it returned none
	Refers   string     // the id of the object that the account refers to, such as the manager; "" if there is none
	Aside    *Aside     // the account's temporary value during a swap; otherwise nil
	Proved   time.Time  // when the target last showed the account; zero if that was not recorded
	Since    time.Time  // when the pair was made
	Updated  time.Time  // when the link was last changed
}

// LinkState is the state of an account from the job's point of view.
type LinkState string

// States of a link.
const (
	Active   LinkState = "active"
	Disabled LinkState = "disabled" // the person is blocked or soft-deleted in the source; the job still manages the account
	Released LinkState = "released" // the person is unassigned or out of scope, so later changes in the source are not sent
	Held     LinkState = "held"     // the person should have access, but the target keeps the account blocked
	Missed   LinkState = "missed"   // the target just answered 404; the engine looks for the account in the same cycle
	Lost     LinkState = "lost"     // the target no longer has the account; the next cycle looks for it again
	Gone     LinkState = "gone"     // the second search found no account either; the engine looks for it only once a day, when the person changes, and after a restart
)

// Op is a create that was about to be sent. The target may have carried it out.
type Op struct {
	ObjectID string
	ID       string     // the LogEntry.ChangeID of the create
	Kind     ObjectKind // the kind of the object; "" is a user
	Keys     []MatchKey // the matching values by which the account can be found again
	Sent     time.Time  // when the create was about to be sent
	Times    int        // how many earlier creates for the object had an unknown outcome
	Cycle    string     // the id of the cycle that sent the create
	Drawn    []Drawn    // the random and unique values that the create sends
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

// Escrow is the entry of a failed object in the retry queue, in which the object waits for a retry.
type Escrow struct {
	ObjectID string
	Name     string    // the object's name, for messages
	First    time.Time // when the object first failed
	Last     time.Time // when the object last failed
	Next     time.Time // when the object is tried again
	Count    int       // how often the object has failed
	Code     string    // the error code of the last failure
	Reason   string    // the reason of the last failure, in words
	Lane     Lane      // the lane of the work list to which the object returns
}

// Pending is an object that the engine looks at, with all data that the job has stored about it.
type Pending struct {
	ObjectID  string
	Why       Why
	Reads     bool // whether to read the account even if nothing seems to have changed
	Lane      Lane
	Since     time.Time // when the object was put on the work list
	Turn      int64     // how many times the object was put on the work list
	Cause     string    // the id of the cause of the object's change; "" for a single change, or after the guard let the change through
	Origin    string    // the same id as Cause, but it stays after the guard let the change through
	Verdict   Verdict   // the guard's verdict; "" if the object is not on the work list
	Takes     bool      // whether the account would be disabled or deleted; with the verdict Ready, it may be
	NotBefore time.Time // the time before which the engine does not work on the object
	Link      *Link     // nil if the object has no link
	Op        *Op       // the create whose outcome is unknown; nil if there is none
	Escrow    *Escrow   // nil if the object has not failed
	Unmatched bool      // whether the object has no account, so that the engine looks for one once a day

	Restore *restore   // what an undo has to restore; nil if the object is evaluated as usual
	Disable *disabling // how to disable an account that no user has; nil if nothing is to be disabled
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
	Job         Job
	State       State
	Code        string   // NotConfigured, NotRun, Active, Paused or Quarantine
	Linked      int      // how many people have a link whose state is neither Lost nor Gone
	Lost        int      // how many objects have a link in the state Lost
	KeptBlocked int      // how many people have an account that the target keeps blocked
	Escrowed    int      // how many objects have failed and wait for a retry
	Unmatched   int      // how many objects have no account, so that the engine looks for one once a day
	Pending     int      // how many objects on the work list, and removals of members, are neither on hold nor rejected
	Groups      int      // how many groups have a link whose state is neither Lost nor Gone
	Members     int      // how many memberships the target has acknowledged
	OnHold      int      // how many operations an administrator has to approve or reject
	Rejected    int      // how many operations an administrator has rejected
	Notes       []string // sentences for people about the target and about groups, for example what the target cannot do

	Waits   []Waits
	Failing []Failing
	// OldestChange is when the oldest change that is not finished began to wait; zero if no change
	// waits. Changes of failed objects count, too.
	OldestChange time.Time
	// OldestLeaver is when the first account that must still be closed began to wait; zero if none
	// waits. Failed objects count, too.
	OldestLeaver time.Time
	// LeaverLate says whether an account has waited to be closed for longer than LeaverPatience.
	LeaverLate bool
}

// Waits counts the objects on the work list that wait for the same reason.
type Waits struct {
	Lane   Lane      `json:"-"`
	Reason string    `json:"reason"`
	Count  int       `json:"count"`
	Since  time.Time `json:"since"`         // when the object that waits longest was put on the work list
	Next   time.Time `json:"next,omitzero"` // when the first of these objects is tried next; zero means now
}

// Failing counts the objects that failed for the same reason and will be tried again.
type Failing struct {
	Lane   Lane      `json:"-"`
	Code   string    `json:"code"`
	Reason string    `json:"reason"` // the reason of one of the objects
	Count  int       `json:"count"`
	Since  time.Time `json:"since"` // when the first of these objects first failed
}

// inLine is the reason shown for an object that waits only because other objects come first.
const inLine = "Its turn has not come yet."

// JudgedReason is the reason shown for an object that waits because the guard is counting the
// operations of its cause.
const JudgedReason = "It is counted together with the other changes of its import or change of settings."

// setOldest sets OldestChange, OldestLeaver and LeaverLate. It also sets the reason of objects
// that wait only because other objects come first. patience is LeaverPatience.
func (r *Report) setOldest(now time.Time, patience time.Duration) {
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
