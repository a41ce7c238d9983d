package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// LeaseKind is the kind of the leases under which jobs are worked on.
const LeaseKind = "job"

// Errors that callers decide on.
var (
	ErrNoJob     = errors.New("provisioning is not set up for this application yet")
	ErrLeaseLost = errors.New("another process works on this job now")
	ErrChanged   = errors.New("somebody else changed these settings meanwhile; reload and try again")
	ErrNotFound  = errors.New("no such log entry")
)

// InputError is a setting that cannot be accepted. Field is the form's name for it.
type InputError struct {
	Field string
	Text  string
}

func (e *InputError) Error() string { return e.Field + ": " + e.Text }

// Key names a job: an application has at most one.
type Key struct {
	Directory SourceID
	App       string // id of the enterprise application
}

// String is the key of the job's lease.
func (k Key) String() string { return string(k.Directory) + "/" + k.App }

// ParseKey reads what [Key.String] printed.
func ParseKey(text string) (Key, error) {
	d, app, ok := strings.Cut(text, "/")
	if !ok || d == "" || app == "" || strings.Contains(app, "/") {
		return Key{}, fmt.Errorf("%q is not a job's key: expected directory/application", text)
	}
	return Key{Directory: SourceID(d), App: app}, nil
}

// Mode is the guide's Provisioning Mode.
type Mode string

// Provisioning modes. Once Automatic was saved a job cannot go back to Manual.
const (
	Manual    Mode = "Manual"
	Automatic Mode = "Automatic"
)

// Status is the guide's Provisioning Status.
type Status string

// Provisioning statuses. Off pauses: state is kept and On continues.
const (
	Off Status = "Off"
	On  Status = "On"
)

// Scope says whose accounts a job looks after.
type Scope string

// Scopes, in Entra's words "Sync only assigned users and groups" and "Sync all users and groups".
const (
	AssignedOnly Scope = "assigned"
	Everyone     Scope = "all"
)

// Job is one configured synchronization, as people set it. How it is going is in [State].
type Job struct {
	Key       Key
	Mode      Mode
	TenantURL string
	Status    Status
	Scope     Scope
	Schema    *Schema
	// SealedSecret is the Secret Token, sealed for this job; nil when there is none.
	SealedSecret []byte

	// Version counts every change; it guards against lost updates.
	Version int64
	// Asked counts what people asked the engine to do.
	Asked

	// Searches tells what the target showed when the connection or the mapping was
	// saved; nil if it could not be asked then.
	Searches *Searches

	Created  time.Time
	Modified time.Time
}

// Asked counts what changes of a job's settings ask of the engine. The engine
// keeps in its [State] which counts it has taken up; a higher one is a new order.
// Stored states have the JSON names of an earlier version.
type Asked struct {
	// TryNow: begin a cycle at once, whatever the schedule, a pause or a
	// quarantine says. Start, a new address and a new Secret Token ask for it.
	TryNow int64 `json:"credentials"`
	// LookAtAll: begin an initial cycle. Mappings, scope and another target ask for it.
	LookAtAll int64 `json:"revision"`
	// ForgetFailures: try everybody who failed again. A restart asks for it.
	ForgetFailures int64 `json:"restarts"`
	// ForgetLinks: the application behind the Tenant URL is another one.
	ForgetLinks int64 `json:"targetNo"`
}

// HasSecret says whether a Secret Token is saved.
func (j Job) HasSecret() bool { return len(j.SealedSecret) > 0 }

// SecretMark tells saved Secret Tokens apart without saying anything about them: it changes when another one is saved. It is "" when there
// is none.
func (j Job) SecretMark() string {
	if !j.HasSecret() {
		return ""
	}
	sum := sha256.Sum256(j.SealedSecret)
	return hex.EncodeToString(sum[:8])
}
