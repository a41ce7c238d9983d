package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// LeaseKind is the kind of the leases under which processes work on jobs.
const LeaseKind = "job"

// Errors that callers check for.
var (
	ErrNoJob     = errors.New("provisioning is not set up for this application yet")
	ErrLeaseLost = errors.New("another process works on this job now")
	ErrChanged   = errors.New("somebody else changed these settings meanwhile; reload and try again")
	ErrNotFound  = errors.New("no such log entry")
)

// InputError is the error for a setting that cannot be accepted. Field is the name of the setting
// on the page. Text says what is wrong and what to do.
type InputError struct {
	Field string
	Text  string
}

func (e *InputError) Error() string { return e.Field + ": " + e.Text }

// Key identifies a job. An application has at most one job.
type Key struct {
	Directory SourceID
	App       string // the id of the enterprise application
}

// String returns the key of the job's lease.
func (k Key) String() string { return string(k.Directory) + "/" + k.App }

// ParseKey parses the result of [Key.String].
func ParseKey(text string) (Key, error) {
	d, app, ok := strings.Cut(text, "/")
	if !ok || d == "" || app == "" || strings.Contains(app, "/") {
		return Key{}, fmt.Errorf("%q is not a job's key: expected directory/application", text)
	}
	return Key{Directory: SourceID(d), App: app}, nil
}

// Mode is the setting that Microsoft's guide calls Provisioning Mode.
type Mode string

// Provisioning modes. A job that was saved as Automatic cannot go back to Manual.
const (
	Manual    Mode = "Manual"
	Automatic Mode = "Automatic"
)

// Status is the setting that Microsoft's guide calls Provisioning Status.
type Status string

// Provisioning statuses. Off pauses the job and keeps its state; On lets the job go on.
const (
	Off Status = "Off"
	On  Status = "On"
)

// Scope says which users' accounts a job manages.
type Scope string

// Scopes. Entra calls them "Sync only assigned users and groups" and "Sync all users and groups".
const (
	AssignedOnly Scope = "assigned"
	Everyone     Scope = "all"
)

// Rules say how many operations may take access away before an administrator is asked, and when a
// cycle begins.
type Rules string

// The values of Rules. Entra's rules are those of Entra's provisioning service: changes wait for
// the next cycle, and a cycle sends at most a fixed number of disables and deletions, including
// those of single changes. If there are more, the whole job is in quarantine until somebody
// decides.
const (
	RulesRollcall Rules = "rollcall"
	RulesEntra    Rules = "entra"
)

// DefaultDeleteThreshold is the number that Entra's page shows for a new job.
const DefaultDeleteThreshold = 500

// Job holds the settings of the provisioning of one application. [State] holds its progress.
type Job struct {
	Key       Key
	Mode      Mode
	TenantURL string
	Status    Status
	Scope     Scope
	Rehire    Rehire // what happens if a person needs an account that another person had
	Swaps     Swaps  // what happens if people swap their matching values
	Rules     Rules  // whose rules hold for mass changes and for the schedule
	// DeleteThreshold is how many accounts and groups a cycle may disable or delete by Entra's
	// rules before an administrator is asked. 0 means any number. It has no effect by Rollcall's
	// rules.
	DeleteThreshold int
	Schema          *Schema // the mappings
	// GroupsOffered says whether an administrator still has to decide about groups. Earlier
	// versions of Rollcall ignored the mapping of groups, so the update to this version switched it
	// off.
	GroupsOffered bool
	// Nested is true if groups, too, are sent as members of groups. Entra sends only people.
	Nested bool
	// SecondApproval is true if an operator other than the one who made a plan must approve it. See
	// Engine.ApprovePlan.
	SecondApproval bool
	// SealedSecret is the Secret Token, sealed for this job; nil if there is none.
	SealedSecret []byte

	// Version increases with every change of the job, which prevents lost updates.
	Version int64
	// Asked counts the requests that changes of the settings have made to the engine.
	Asked

	// AskedWhy describes the last change that requested an initial cycle.
	AskedWhy string

	// Searches holds the results of the search tests that were made when the connection or the
	// matching attributes were last saved; nil if the target could not be tested at that time.
	Searches *Searches

	Created  time.Time
	Modified time.Time
}

// Asked counts the requests that changes of a job's settings make to the engine. The engine keeps
// the counts that it has handled in its [State]. If a count of the job is higher, there is a new
// request. The JSON names come from an earlier version, so that stored states stay readable.
type Asked struct {
	// TryNow counts requests to begin a cycle at once, regardless of the schedule, a pause or a
	// quarantine. A start, a restart, a changed status or address, and a saved Secret Token make
	// such a request.
	TryNow int64 `json:"credentials"`
	// LookAtAll counts requests to begin an initial cycle. A new target, a restart, and a change of
	// the mappings or of a setting such as the scope make such a request.
	LookAtAll int64 `json:"revision"`
	// Confirmed is how many accounts administrators have agreed to disable: the sum over all
	// changes that requested an initial cycle.
	Confirmed int64 `json:"confirmed,omitempty"`
	// ForgetFailures counts requests to try everyone who failed again. A restart makes such a
	// request.
	ForgetFailures int64 `json:"restarts"`
	// ForgetLinks counts requests to forget all links. A Tenant URL that leads to another
	// application makes such a request, and so does a restart with Reset.Links.
	ForgetLinks int64 `json:"targetNo"`
}

// confirmedSince returns how many accounts administrators have agreed to disable since the count
// Confirmed was before. While a second operator must approve, the agreement of one does not count.
func (j *Job) confirmedSince(before int64) int {
	if j.SecondApproval {
		return 0
	}
	return int(j.Confirmed - before)
}

// sendsMember reports whether members of this kind are sent to the application.
func (j *Job) sendsMember(kind ObjectKind) bool { return kind != GroupKind || j.Nested }

// HasSecret reports whether a Secret Token is saved.
func (j Job) HasSecret() bool { return len(j.SealedSecret) > 0 }

// SecretMark returns a string that changes when another Secret Token is saved. It reveals nothing
// about the token. It is "" if there is no token.
func (j Job) SecretMark() string {
	if !j.HasSecret() {
		return ""
	}
	sum := sha256.Sum256(j.SealedSecret)
	return hex.EncodeToString(sum[:8])
}
