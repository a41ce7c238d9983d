package provision

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// Store stores jobs and their state. Methods with a Fence write only while the Fence's epoch owns
// the job's lease. Otherwise they return [ErrLeaseLost], or an error with a method LeaseLost.
type Store interface {
	// Job returns a job, or ErrNoJob.
	Job(ctx context.Context, k Key) (Job, error)
	// ListJobs returns the jobs of a directory, or all jobs if d is empty, ordered by key.
	ListJobs(ctx context.Context, d SourceID) ([]Job, error)
	// InsertJob adds a job and its lease, and records the event. It returns ErrChanged if the job
	// exists.
	InsertJob(ctx context.Context, j Job, e event.Event) error
	// UpdateJob replaces the job if its stored version is j.Version-1, wakes it and records the
	// event. Otherwise it returns ErrChanged.
	UpdateJob(ctx context.Context, j Job, e event.Event) error
	// DeleteJob removes a job and everything that is remembered for it, and records the event. It
	// returns ErrNoJob if there is no such job.
	DeleteJob(ctx context.Context, k Key, e event.Event) error

	// Secrets returns the sealed Secret Tokens of all jobs that have one, ordered by key.
	Secrets(ctx context.Context) ([]SealedSecret, error)
	// ReplaceSecret replaces old with sealed. It returns ErrChanged if the job's secret is not old.
	ReplaceSecret(ctx context.Context, old SealedSecret, sealed []byte) error

	// MappingVersions returns versions of a job's mappings, newest first, without their schemas. It
	// returns only versions with a number smaller than before; 0 means all.
	MappingVersions(ctx context.Context, k Key, before int64, limit int) ([]MappingVersion, error)
	// MappingVersion returns one version, or ErrNoVersion.
	MappingVersion(ctx context.Context, k Key, number int64) (MappingVersion, error)

	// State returns the progress of a job, or ErrNoJob.
	State(ctx context.Context, k Key) (State, error)
	// WatchedStates returns the states of all jobs that are Automatic and On.
	WatchedStates(ctx context.Context) (map[Key]State, error)
	// Counts returns the numbers that the status of a job shows.
	Counts(ctx context.Context, k Key) (Counts, error)
	// Logs returns a page of the log. next is the Before of the next page; "" on the last page.
	Logs(ctx context.Context, k Key, q LogQuery) (entries []LogEntry, next string, err error)
	// CountLogs returns the number of entries that a query selects. It ignores the query's Before
	// and Limit.
	CountLogs(ctx context.Context, k Key, q LogQuery) (int, error)
	// Log returns one log entry, or ErrNotFound.
	Log(ctx context.Context, k Key, id string) (LogEntry, error)

	// Pending returns the objects that are due and have the verdict Ready. They are ordered by
	// lane, and within a lane by the time at which they began to wait. If withoutJoiners is true,
	// it leaves out people who have no account yet.
	Pending(ctx context.Context, k Key, now time.Time, withoutJoiners bool, limit int) ([]Pending, error)
	// PendingDemanded is like Pending, but returns only objects that were provisioned on demand,
	// and objects for which an approved plan has an operation. The latter may have any verdict.
	PendingDemanded(ctx context.Context, k Key, now time.Time, limit int) ([]Pending, error)
	// Demand puts objects on the work list for OnDemand and wakes the job. It records an event
	// unless e is nil. If listed contains the memberships of a group, all its members are looked
	// at.
	Demand(ctx context.Context, k Key, listed []Listed, e *event.Event) error
	// Demanded returns the work-list rows of these objects. It leaves out objects that are not on
	// the list.
	Demanded(ctx context.Context, k Key, objectIDs []string) ([]Demanded, error)
	// NextPending returns when the first object with the verdict Ready is due, or zero if there is
	// none. If withoutJoiners is true, it ignores people who have no account yet.
	NextPending(ctx context.Context, k Key, withoutJoiners bool) (time.Time, error)
	// LinkStates returns the states of the links of objects, by object id. It leaves out objects
	// without a link.
	LinkStates(ctx context.Context, k Key, objectIDs []string) (map[string]LinkState, error)
	// CountWaiting counts the objects on the work list, and the removals of members that wait for
	// the guard, by lane and reason. It leaves out operations that are on hold or rejected.
	CountWaiting(ctx context.Context, k Key) ([]Waits, error)
	// CountFailing counts the objects in escrow, by lane and code.
	CountFailing(ctx context.Context, k Key) ([]Failing, error)
	// CountPending returns how many objects are on the work list, without those that are on hold or
	// rejected.
	CountPending(ctx context.Context, k Key) (int, error)
	// PendingIDs returns the ids of all objects on the work list, whatever their verdict, and even
	// if they are not due yet.
	PendingIDs(ctx context.Context, k Key) ([]string, error)
	// KnownAbout returns everything that the job remembers about one object. It returns only the
	// guard's fields of the object's work-list row; they are empty if the object has no row.
	KnownAbout(ctx context.Context, k Key, objectID string) (Pending, error)
	// Owner returns the id of the user or group that is linked to an account or group of the
	// target, or "" if there is none.
	Owner(ctx context.Context, k Key, kind ObjectKind, targetID string) (objectID string, err error)
	// OpenCreates returns the creates of a kind whose outcome is unknown, ordered by object id. Only
	// their object ids and matching values are set.
	OpenCreates(ctx context.Context, k Key, kind ObjectKind) ([]Op, error)
	// Connections returns a page of the connections of a kind, ordered by object id; "" means all
	// kinds.
	Connections(ctx context.Context, k Key, kind ObjectKind, after string, limit int) ([]Connection, error)
	// Connection returns the connection whose object has this id, or else the connection whose
	// account has this id. If there is neither, it returns ErrNoConnection.
	Connection(ctx context.Context, k Key, id string) (Connection, error)
	// RecordConnection stores a connection that an administrator made, or removes one, as o says. It
	// also puts the listed objects on the work list, and records the event.
	RecordConnection(ctx context.Context, f Fence, o Outcome, listed []Listed, e event.Event) error
	// Holder returns the id of the object whose account has this value of the first matching
	// attribute, or "" if there is none.
	Holder(ctx context.Context, k Key, key MatchKey) (objectID string, err error)
	// Awaited returns the matching value for which an object waits, or nil if it waits for none.
	Awaited(ctx context.Context, k Key, objectID string) (*Awaited, error)
	// Drawn returns the random and unique values that were generated for an object's account.
	Drawn(ctx context.Context, k Key, objectID string) ([]Drawn, error)
	// Drawer returns the id of the object for which this value of a target attribute was generated,
	// or "" if there is none. value must be case-folded.
	Drawer(ctx context.Context, k Key, path, value string) (objectID string, err error)
	// LinkedIDs returns a page of the ids of linked objects of a kind; "" means all kinds.
	LinkedIDs(ctx context.Context, k Key, kind ObjectKind, after string, limit int) ([]string, error)
	// DueEscrowIDs returns the ids of objects in escrow whose retry is due by now and that are not
	// on the work list. If now is zero, it returns the ids of all objects in escrow.
	DueEscrowIDs(ctx context.Context, k Key, now time.Time) ([]string, error)
	// DueLeaverIDs returns up to limit ids of objects in escrow whose account could not be disabled
	// or deleted, whose retry is due by now, and that are not on the work list.
	DueLeaverIDs(ctx context.Context, k Key, now time.Time, limit int) ([]string, error)
	// TriedSince returns the ids of objects in escrow, from the id first to the id last. It returns
	// only objects that were last tried after since, or that are on the work list for a retry.
	TriedSince(ctx context.Context, k Key, first, last string, since time.Time) ([]string, error)
	// LostIDs returns the ids of the objects whose link is Lost.
	LostIDs(ctx context.Context, k Key) ([]string, error)
	// HeldIDs returns the ids of the objects whose link is Held.
	HeldIDs(ctx context.Context, k Key) ([]string, error)
	// GoneSince returns the ids of the objects whose link is Gone and was last changed after since.
	GoneSince(ctx context.Context, k Key, since time.Time) ([]string, error)
	// NextRetry returns when the first object in escrow is due for a retry, or zero if there is
	// none. It ignores objects that are on the work list.
	NextRetry(ctx context.Context, k Key) (time.Time, error)
	// UnmatchedIDs returns the ids of the objects that are recorded as having no account.
	UnmatchedIDs(ctx context.Context, k Key) ([]string, error)

	// Memberships returns the open work on the memberships of a group, with at most limit
	// memberships.
	Memberships(ctx context.Context, k Key, group string, limit int) (MembersWork, error)
	// MembershipsOf returns the remembered memberships of a person, ordered by group.
	MembershipsOf(ctx context.Context, k Key, member string) ([]RememberedMembership, error)
	// MembershipsAfter returns the remembered memberships of a group, ordered by member: at most
	// limit of them, beginning after the member after. If open is true, it returns only memberships
	// that still need work or that the target refused.
	MembershipsAfter(ctx context.Context, k Key, group, after string, limit int, open bool) ([]Membership, error)
	// MembershipsAmong returns the remembered memberships of some objects in a group.
	MembershipsAmong(ctx context.Context, k Key, group string, members []string) ([]Membership, error)
	// Referring returns the ids of the objects whose accounts refer to one of these objects, for
	// example as their manager.
	Referring(ctx context.Context, k Key, to []string) ([]string, error)
	// CountMembers counts the memberships of a group.
	CountMembers(ctx context.Context, k Key, group string) (ExplainedMembers, error)
	// RecordReadMembers remembers one page of a group's members, as read from the source. The page
	// contains the members after the id after, up to the id upTo; "" means that it is the last
	// page. All remembered members in this range then need work, also those that are not on the
	// page, because they may have been removed.
	RecordReadMembers(ctx context.Context, f Fence, group, after, upTo string, members []string) error
	// MemberLinks returns the links of objects, without their ledgers, by object id.
	MemberLinks(ctx context.Context, k Key, objectIDs []string) (map[string]*Link, error)
	// AnnounceMembers stores which memberships of a group a request is about to change. The field
	// Has of each change is the id of the account. Until Record is called with a MembersRecord of
	// the group, Memberships reports that the outcome is not recorded.
	AnnounceMembers(ctx context.Context, f Fence, group string, changes []MemberOutcome) error
	// RememberMembers remembers memberships of a group that must be sent. It does not change
	// memberships that the job remembers already.
	RememberMembers(ctx context.Context, f Fence, group string, members []string) error
	// JudgeMembers stores which memberships of a group would end. Those that do not pass wait until
	// the guard decides on their cause.
	JudgeMembers(ctx context.Context, f Fence, group string, all []EndingMember) error
	// RetryMembers makes the engine send again the memberships of a group that the target refused.
	RetryMembers(ctx context.Context, f Fence, group string) error
	// MarkGroupMissed records that the target no longer has the account of an object: a group, or a
	// member of a group. It puts the object on the work list, so that the engine looks for the
	// account.
	MarkGroupMissed(ctx context.Context, f Fence, group string) error
	// MarkMembersLost records that the target may have lost the members of a group. The engine then
	// reads all members from the source again and sends them again.
	MarkMembersLost(ctx context.Context, f Fence, group string) error

	// SaveState stores only the state, with an event unless e is nil.
	SaveState(ctx context.Context, f Fence, s State, e *event.Event) error
	// Import adds objects to the work list, and saves the state whose watermark covers them. ended
	// lists causes that will make no more changes.
	Import(ctx context.Context, f Fence, s State, listed []Listed, ended ...string) error
	// CausesToJudge returns the causes that have rows on which the guard has not decided yet.
	CausesToJudge(ctx context.Context, k Key) ([]JudgedCause, error)
	// Judge counts the waiting rows of a cause, and either lets them through or puts them on hold.
	// If it puts rows on hold and none was on hold before, it records the event that held returns.
	// The Tally.Allowed of the accounts becomes c.Allowed, unless an earlier judgement has stored a
	// larger number.
	Judge(ctx context.Context, f Fence, c CauseToJudge, held func(Judgement) event.Event) error
	// PassedUnasked returns how many operations of other causes than this one the guard has let
	// through since a time without asking anybody.
	PassedUnasked(ctx context.Context, k Key, cause string, since time.Time) (PassedUnasked, error)
	// HeldCauses returns the causes that have rows with this verdict, oldest first.
	HeldCauses(ctx context.Context, k Key, v Verdict) ([]HeldCause, error)
	// HeldObjects returns a page of the rows of a cause with this verdict, ordered by Place.
	HeldObjects(ctx context.Context, k Key, cause string, v Verdict, after string, limit int) ([]HeldObject, error)
	// Decide approves or rejects the rows of a cause that are on hold, wakes the job, and records
	// the event that decided returns. It returns ErrNothingHeld if no row of the cause is on hold.
	// Unless batch is AnyBatch, it returns ErrChanged if the cause now has another batch.
	Decide(ctx context.Context, k Key, cause string, batch int, approve bool, decided func(HeldCause) event.Event) (HeldCause, error)
	// Forget removes links, escrows, intents or the records of unmatched objects, and saves the
	// state.
	Forget(ctx context.Context, f Fence, s State, what Forget) error
	// Record stores intents and outcomes, together with the state that counts them.
	Record(ctx context.Context, f Fence, s State, outcomes []Outcome) error
}

// Fence identifies the claim under which a process works on a job. Epoch is the epoch of the lease
// at the time of the claim; a later claim has a greater one.
type Fence struct {
	Key   Key
	Epoch int64
}

// Counts holds the numbers that the status of a job shows. They are explained at the fields of
// [Report] with the same names. Active is how many links have the state Active.
type Counts struct {
	Linked, Lost, Held, Escrowed, Unmatched, Pending, OnHold, Rejected, Active int
	Groups                                                                     int
	Members                                                                    int
}

// Forget says which stored records a restart or a new target removes.
type Forget struct {
	Links     bool // whether to remove the links and all records that depend on them, such as memberships
	Escrows   bool // whether to remove the escrows, so that no failure is remembered
	Unmatched bool // whether to remove the records of objects that have no account
}

// Outcome is the result for one pending object. Fields that are nil, zero or false change nothing.
type Outcome struct {
	ObjectID        string
	Turn            int64          // the Turn of the Pending that the outcome is about; 0 means any
	Intent          *Op            // a create that is about to be sent; the outcome changes nothing else
	AboutToSend     bool           // whether an update or deletion is about to be sent; if so, the outcome changes nothing else
	GivenAttributes []string       // the attributes to which that update gives a value
	Judge           *Listed        // lists the object for the guard; the outcome changes nothing else
	Memberships     *MembersRecord // the results about memberships of the group ObjectID; the outcome changes nothing else
	Planned         PlannedOutcome // the result of a plan's operation; if it is PlanLeftOut, the outcome changes nothing else
	// PlannedMembers are the results of a plan's membership changes that needed no request. They
	// belong to an outcome of a plan's work on memberships. In such an outcome, Planned.Result is
	// PlanDue or empty. If it is empty, it follows from the results of all memberships.
	PlannedMembers []PlannedMemberOutcome
	OutcomeUnknown bool      // whether an earlier update or deletion may have been carried out, and no read has shown it yet
	Postpone       time.Time // when to look at the object again; zero if the object is done
	WaitReason     string    // why the object is postponed, in words
	Link           *Link     // the pair to remember
	Unlink         bool      // whether to forget the object's pair
	DropOp         bool      // whether to forget the create of unknown outcome
	Escrow         *Escrow   // the failure to remember, with its retry
	DropFail       bool      // whether the object leaves escrow
	Unmatched      *bool     // whether to record that the object has no account; nil changes nothing
	Entry          *LogEntry // the log entry to store
	OnlyShown      bool      // whether Entry is only shown to people who watch the cycle, and not stored

	Awaits       *Awaited      // the object waits for this value, and is woken when the value becomes free
	FreedKeys    []MatchKey    // values that the account no longer has; objects that wait for them are woken
	LookAtToo    []string      // other objects to look at now
	Members      MembersChange // which memberships of this group must be looked at
	AccountMoved bool          // whether the account was created, removed or changed; then its memberships and references are looked at
	MemberOf     []string      // groups of which the object is a member
	Cause        string        // the cause of memberships that are looked at because of this outcome; "" for a single change
	SkipsGuard   bool          // whether the guard need not judge the removals of the account from groups
	RefersTo     string        // the target id of the account of Link.Refers; "" if there is none

	TakesAccountOf string // the id of the object whose account this object takes over, and whose link is removed; "" if none
}

// MembersRecord holds the results of one request about the memberships of a group, or results that
// needed no request. Announced memberships without a result become unsure.
type MembersRecord struct {
	Outcomes []MemberOutcome
	Entry    *LogEntry // the log entry about the request; nil if there was none

	// IsNewPage says whether the results are about a page of the group's members of which none was
	// remembered before. Then Others are the members of the page that have no account. UpTo is the
	// position up to which the members are read now; "" means that all were read.
	IsNewPage bool
	UpTo      string
	Others    []string
}

// MembersChange says which memberships of a group have to be looked at.
type MembersChange int

// The values of MembersChange. The zero value changes nothing.
const (
	LeaveMembers   MembersChange = iota // look at no member
	ReadMembers                         // look at all members
	ReadNewMembers                      // look at all members; the group at the target has none of them yet
	ProveMembers                        // look at all members and send them again
	ForgetMembers                       // forget the group's memberships, because the group is no longer linked
)

// Leases claims jobs, so that only one process works on a job at a time.
type Leases interface {
	// Claim takes a lease for the time ttl. If another owner has it, Claim returns an error with a
	// method Holder, which the engine turns into a *HeldError.
	Claim(ctx context.Context, kind, key, owner string, ttl time.Duration) (epoch int64, err error)
	// Renew extends a lease, so that it ends after ttl from now. It fails if the lease was claimed
	// again.
	Renew(ctx context.Context, kind, key, owner string, epoch int64, ttl time.Duration) error
	// Release gives a lease back. The job is due again at nextAt, or earlier if it is woken.
	// Release fails if the lease was claimed again.
	Release(ctx context.Context, kind, key, owner string, epoch int64, nextAt time.Time) error
}
