package provision

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// Store stores jobs and their state. Methods with a Fence write only while the Fence's epoch owns
// the job's lease. Otherwise they return [ErrLeaseLost].
type Store interface {
	// Job returns a job, or ErrNoJob.
	Job(ctx context.Context, k Key) (Job, error)
	// ListJobs returns the jobs of a directory, or all jobs if d is empty, ordered by key.
	ListJobs(ctx context.Context, d SourceID) ([]Job, error)
	// InsertJob adds a job and its lease. It returns ErrChanged if the job exists.
	InsertJob(ctx context.Context, j Job, e event.Event) error
	// UpdateJob replaces the job if its stored version is j.Version-1. Otherwise it returns
	// ErrChanged.
	UpdateJob(ctx context.Context, j Job, e event.Event) error
	// DeleteJob removes a job and everything remembered for it.
	DeleteJob(ctx context.Context, k Key, e event.Event) error

	// Secrets returns the sealed Secret Tokens of all jobs that have one, ordered by key.
	Secrets(ctx context.Context) ([]SealedSecret, error)
	// ReplaceSecret replaces old with sealed. It returns ErrChanged if the job has another secret
	// now.
	ReplaceSecret(ctx context.Context, old SealedSecret, sealed []byte) error

	// MappingVersions returns versions of a job's mappings, newest first, without their schemas.
	// before is the number where the last page ended, or 0.
	MappingVersions(ctx context.Context, k Key, before int64, limit int) ([]MappingVersion, error)
	// MappingVersion returns one version, or ErrNoVersion.
	MappingVersion(ctx context.Context, k Key, number int64) (MappingVersion, error)

	State(ctx context.Context, k Key) (State, error)
	// WatchedStates returns the states of jobs that are Automatic and On.
	WatchedStates(ctx context.Context) (map[Key]State, error)
	Counts(ctx context.Context, k Key) (Counts, error)
	Logs(ctx context.Context, k Key, q LogQuery) (entries []LogEntry, next string, err error)
	// CountLogs returns the number of entries that a query selects. It ignores the query's Before
	// and Limit.
	CountLogs(ctx context.Context, k Key, q LogQuery) (int, error)
	Log(ctx context.Context, k Key, id string) (LogEntry, error)

	// Pending returns the objects that are due, by lane and then those that have waited longest. It
	// leaves out the lane without.
	Pending(ctx context.Context, k Key, now time.Time, without Lane, limit int) ([]Pending, error)
	// PendingDemanded is like Pending, for objects that a person demanded.
	PendingDemanded(ctx context.Context, k Key, now time.Time, limit int) ([]Pending, error)
	// Demand puts objects on the work list for OnDemand, with an event unless e is nil, and wakes the
	// job. Of a group's memberships, all are looked at.
	Demand(ctx context.Context, k Key, listed []Listed, e *event.Event) error
	// Demanded returns those of some objects that are on the work list.
	Demanded(ctx context.Context, k Key, objectIDs []string) ([]Demanded, error)
	// NextPending returns when the first waiting object is due, or zero if none waits. It leaves out
	// the lane without.
	NextPending(ctx context.Context, k Key, without Lane) (time.Time, error)
	// LinkStates returns the states of the links of objects. Those without a link are not in it.
	LinkStates(ctx context.Context, k Key, objectIDs []string) (map[string]LinkState, error)
	// CountWaiting returns who is on the list and not held, by lane and reason.
	CountWaiting(ctx context.Context, k Key) ([]Waits, error)
	// CountFailing returns who is in escrow, by lane and code.
	CountFailing(ctx context.Context, k Key) ([]Failing, error)
	// CountPending returns how many objects are on the list.
	CountPending(ctx context.Context, k Key) (int, error)
	// PendingIDs returns the ids of all pending objects, including those that are not due yet.
	PendingIDs(ctx context.Context, k Key) ([]string, error)
	// KnownAbout returns everything remembered about one object, for a plan.
	KnownAbout(ctx context.Context, k Key, objectID string) (Pending, error)
	// Owner returns the object of a kind that is linked to an account or group of the target, or "".
	Owner(ctx context.Context, k Key, kind ObjectKind, targetID string) (objectID string, err error)
	// Connections pages through the pairs of objects of a kind, or of all kinds, by object id.
	Connections(ctx context.Context, k Key, kind ObjectKind, after string, limit int) ([]Connection, error)
	// Connection returns the pair with this object id, or else with this id at the target, or
	// ErrNoConnection.
	Connection(ctx context.Context, k Key, id string) (Connection, error)
	// RecordConnection writes a pair that a person made or forgot, with its event, and puts the object
	// on the work list.
	RecordConnection(ctx context.Context, f Fence, o Outcome, listed []Listed, e event.Event) error
	// Holder returns the object whose account has a value of the first matching attribute, or "".
	Holder(ctx context.Context, k Key, key MatchKey) (objectID string, err error)
	// Awaited returns the value that an object waits for, or nil.
	Awaited(ctx context.Context, k Key, objectID string) (*Awaited, error)
	// Drawn returns the random and unique values that were drawn for an object's account.
	Drawn(ctx context.Context, k Key, objectID string) ([]Drawn, error)
	// Drawer returns the object for which a value of a target attribute was drawn, or "". The value is
	// folded.
	Drawer(ctx context.Context, k Key, path, value string) (objectID string, err error)
	// LinkedIDs pages through the ids of linked objects of a kind; "" means all kinds.
	LinkedIDs(ctx context.Context, k Key, kind ObjectKind, after string, limit int) ([]string, error)
	// DueEscrowIDs returns the objects whose escrow is due by now, or all objects in escrow if now
	// is zero.
	DueEscrowIDs(ctx context.Context, k Key, now time.Time) ([]string, error)
	// TriedSince returns the objects in escrow, from first to last, that were last tried after since or
	// are on the list for a retry.
	TriedSince(ctx context.Context, k Key, first, last string, since time.Time) ([]string, error)
	// LostIDs returns the objects whose link is Lost.
	LostIDs(ctx context.Context, k Key) ([]string, error)
	// HeldIDs returns the objects whose link is Held.
	HeldIDs(ctx context.Context, k Key) ([]string, error)
	// GoneSince returns the objects whose link became Gone after since.
	GoneSince(ctx context.Context, k Key, since time.Time) ([]string, error)
	// NextRetry returns when the earliest escrow is due, or zero if there is none.
	NextRetry(ctx context.Context, k Key) (time.Time, error)
	// UnmatchedIDs returns the objects without an account.
	UnmatchedIDs(ctx context.Context, k Key) ([]string, error)

	// Memberships returns what is to be done about the memberships of a group, at most limit of them.
	Memberships(ctx context.Context, k Key, group string, limit int) (MembersWork, error)
	// MembershipsOf returns what is remembered of the memberships of a person, ordered by group.
	MembershipsOf(ctx context.Context, k Key, member string) ([]RememberedMembership, error)
	// MembershipsAfter returns what is remembered of the memberships of a group, ordered by member, at most
	// limit of them. With open, it returns only those that are not done or that the target refused.
	MembershipsAfter(ctx context.Context, k Key, group, after string, limit int, open bool) ([]Membership, error)
	// MembershipsAmong returns what is remembered of the memberships of some objects in a group.
	MembershipsAmong(ctx context.Context, k Key, group string, members []string) ([]Membership, error)
	// Referring returns the objects whose accounts refer to one of some objects, such as their manager.
	Referring(ctx context.Context, k Key, to []string) ([]string, error)
	// CountMembers counts the memberships of a group.
	CountMembers(ctx context.Context, k Key, group string) (ExplainedMembers, error)
	// RecordReadMembers puts members of a group on its list: those of a page, and whoever is
	// remembered between after and upTo and is not on the page. An empty upTo is the end.
	RecordReadMembers(ctx context.Context, f Fence, group, after, upTo string, members []string) error
	// RecordMembers writes what became of memberships, together with the state that counts them and a
	// log entry, if not nil.
	RecordMembers(ctx context.Context, f Fence, s State, group string, outcomes []MemberOutcome, entry *LogEntry) error
	// JudgeMembers notes what the guard has to know of memberships that would end.
	JudgeMembers(ctx context.Context, f Fence, group string, all []EndingMember) error
	// RetryMembers puts memberships that the target refused on the group's list again.
	RetryMembers(ctx context.Context, f Fence, group string) error
	// MarkGroupMissed notes that the target does not know a group any more, and has it looked for.
	MarkGroupMissed(ctx context.Context, f Fence, group string) error
	// MarkMembersLost notes that the target has lost all members of a group, and has all looked at.
	MarkMembersLost(ctx context.Context, f Fence, group string) error

	// SaveState writes only the state, with an event unless e is nil.
	SaveState(ctx context.Context, f Fence, s State, e *event.Event) error
	// Import adds objects to look at, together with the state whose watermark covers them.
	// ended are causes of which no change follows.
	Import(ctx context.Context, f Fence, s State, listed []Listed, ended ...string) error
	// CausesToJudge returns the causes that have rows to judge.
	CausesToJudge(ctx context.Context, k Key) ([]JudgedCause, error)
	// Judge counts the rows of a cause that are to be judged, and lets them through or holds them. It
	// appends the event of held, unless rows of the cause were on hold before. allowed is the
	// Tally.Allowed of its accounts, if it was not noted with an earlier judgement.
	Judge(ctx context.Context, f Fence, cause, words string, allowed int, held func(Judgement) event.Event) error
	// HeldCauses returns the causes with rows of a verdict, the oldest first.
	HeldCauses(ctx context.Context, k Key, v Verdict) ([]HeldCause, error)
	// HeldObjects pages through the rows of a cause with a verdict, by their Place.
	HeldObjects(ctx context.Context, k Key, cause string, v Verdict, after string, limit int) ([]HeldObject, error)
	// Decide approves or rejects the rows of a cause that are on hold and wakes the job. It returns
	// ErrChanged if the cause has another batch, and ErrNothingHeld if nothing of it is on hold.
	Decide(ctx context.Context, k Key, cause string, batch int, approve bool, decided func(HeldCause) event.Event) (HeldCause, error)
	// Forget drops links, escrows, intents or the memory of the unmatched, and saves state.
	Forget(ctx context.Context, f Fence, s State, what Forget) error
	// Record writes intents and outcomes, together with the state that counts them.
	Record(ctx context.Context, f Fence, s State, outcomes []Outcome) error
}

// Fence identifies the claim under which a process works on a job.
type Fence struct {
	Key   Key
	Epoch int64
}

// Counts holds the numbers that the status of a job shows.
type Counts struct {
	Linked, Lost, Held, Escrowed, Unmatched, Pending, OnHold, Rejected, Active int // people, or work on memberships
	Groups                                                                     int // linked groups
	Members                                                                    int // memberships that the target has acknowledged
}

// Forget says which stored state a restart or a new target drops.
type Forget struct {
	Links     bool // drop the links and the creates whose outcome is unknown
	Escrows   bool
	Unmatched bool
}

// Outcome is the result for one pending object. Fields that are nil or false change nothing.
type Outcome struct {
	ObjectID  string
	Turn      int64          // the Turn of the Pending that this outcome is about; 0 means any
	Intent    *Op            // a create that is about to be sent; everything else stays as it is
	Flies     bool           // an update is about to be sent; everything else stays as it is
	Gives     []string       // the attributes to which that update gives a value
	Judge     *Listed        // the object is put before the guard; everything else stays as it is
	Planned   PlannedOutcome // what became of the operation of a plan; if it is left out, everything else stays as it is
	Doubted   bool           // an earlier update may have been carried out, and nothing has shown it yet
	Postpone  time.Time      // when to look again; zero if the object is done
	Waits     string         // why the object is postponed
	Link      *Link          // the pair to remember
	Unlink    bool
	DropOp    bool
	Escrow    *Escrow
	DropFail  bool  // whether the object leaves escrow
	Unmatched *bool // whether to remember that the object has no account
	Entry     *LogEntry
	Counted   bool // the entry is shown to people who watch the cycle, but not stored

	Awaits   *Awaited      // the object waits for this value and is woken when it becomes free
	Frees    []MatchKey    // values that its account no longer has: objects that wait for one of them are woken
	Also     []string      // objects to look at now
	Members  MembersChange // what follows for the members of a group
	Moved    bool          // the account came, went or changed: memberships and references that it is part of are looked at
	MemberOf []string      // groups that its object is a member of
	Cause    string        // of memberships that are looked at because of this outcome; "" for a single change
	Settles  bool          // the account is no member any more, and nothing of that is left to be judged
	RefersTo string        // the account that Link.Refers was found to have; "" if none

	Takes string // the object whose account becomes this one's; its link is dropped
}

// MembersChange says what follows for the memberships of a group.
type MembersChange int

// What follows for the memberships of a group.
const (
	LeaveMembers   MembersChange = iota
	ReadMembers                  // all of them are looked at
	ReadNewMembers               // likewise, and the target has none of them
	ProveMembers                 // all of them are looked at and sent again
	ForgetMembers                // the group is gone
)

// Leases are the claims under which processes work on jobs.
type Leases interface {
	// Claim takes a lease for ttl. It returns a *HeldError if another owner has it.
	Claim(ctx context.Context, kind, key, owner string, ttl time.Duration) (epoch int64, err error)
	Renew(ctx context.Context, kind, key, owner string, epoch int64, ttl time.Duration) error
	Release(ctx context.Context, kind, key, owner string, epoch int64, nextAt time.Time) error
}
