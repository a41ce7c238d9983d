package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// Target is the application that a job writes to, such as a *scimclient.Client. Every error is a
// *TargetError or wraps the context's error.
type Target interface {
	// Test searches, by the attribute at path, for an account that cannot exist. An error of Kind
	// Unsearchable concerns only this attribute. Any other error concerns the connection.
	Test(ctx context.Context, path string, t AttributeType) error
	// Find returns the accounts whose attribute at path equals value.
	Find(ctx context.Context, path string, value any) ([]TargetObject, error)
	// Get returns the account with this id. An error of Kind NotFound means that the target itself
	// has no such account. The implementation must not use this Kind for an answer of a proxy in
	// front of it.
	Get(ctx context.Context, id string) (TargetObject, error)
	// Create creates an account and returns it with the target's id. An error with Sent and a
	// Status below 300 means that the target accepted the request but did not identify the account.
	Create(ctx context.Context, changes []Change) (TargetObject, error)
	// Patch changes only the given attributes. It returns the account as the answer shows it. The
	// Resource is nil if the answer shows nothing. An answer that is not about this account is an
	// error.
	Patch(ctx context.Context, id string, changes []Change) (TargetObject, error)
	// Delete removes an account. It succeeds if the target has proved that the account can no
	// longer be used. An error of Kind NotFound means that the target says so without proof.
	Delete(ctx context.Context, id string) error
	// Groups returns the interface to the application's groups.
	Groups() GroupTarget
	// Dialect returns the deviations that the target was found to need. Speak sets deviations that
	// an earlier Target found.
	Dialect() Dialect
	Speak(d Dialect)
}

// GroupTarget reads and writes the application's groups. Its methods treat a group as those of
// Target treat an account. They never read or write members, for which there are separate methods.
type GroupTarget interface {
	Target
	// AddMembers makes accounts members of a group, in one request. Accounts that already are
	// members stay members.
	AddMembers(ctx context.Context, group string, members []string) error
	// RemoveMembers ends memberships, in one request. It ignores accounts that are not members, and
	// never removes other members.
	RemoveMembers(ctx context.Context, group string, members []string) error
	// HasMember reports whether an account is a member, without reading the other members. An error
	// of Kind Unsearchable means that the target cannot answer.
	HasMember(ctx context.Context, group, member string) (bool, error)
}

// Dialect holds the forms of requests that a target needs but that Entra does not send by itself.
// The engine learns one when the target refuses a request and accepts it in another form. The
// dialect is kept with the job's state.
type Dialect struct {
	For      int64 `json:"for"`                // the job's count [Asked.ForgetLinks] when this was learned; another count means another target
	Booleans bool  `json:"booleans,omitempty"` // the target refuses the strings True and False and accepts JSON booleans
	Elements bool  `json:"elements,omitempty"` // the target refuses a path to a missing element and accepts the whole element
	Empties  bool  `json:"empties,omitempty"`  // the target refuses to remove an attribute and accepts an empty value instead
	Unique   bool  `json:"unique,omitempty"`   // the target has refused a value because another account has it

	// References: the target refuses a reference as a plain id, and accepts an object with a value.
	// It also refuses Entra's form of removing a reference.
	References bool `json:"references,omitempty"`

	// Removal is the form in which the target accepts removals of members. "" means that it is not
	// known: then the form of the Tenant URL's flag is tried first.
	Removal RemovalForm `json:"removal,omitempty"`
	// BareMembers: the target refuses new members with "$ref": null, which Entra sends.
	BareMembers bool `json:"bareMembers,omitempty"`
	// PlainGroups: the target refuses a new group with Microsoft's schema next to the core schema,
	// as Entra sends it.
	PlainGroups bool `json:"plainGroups,omitempty"`
}

// RemovalForm is a form in which a request removes members.
type RemovalForm string

// The forms of removal.
const (
	RemoveByValue  RemovalForm = "value"  // Entra's: the path members and a list of values
	RemoveByFilter RemovalForm = "filter" // RFC 7644: a path with a filter for each member
)

// notes explains a dialect in sentences.
func (d Dialect) notes() []string {
	var notes []string
	for _, one := range []struct {
		found bool
		words string
	}{
		{d.Booleans, `The application refuses the strings "True" and "False", which Entra sends, and takes JSON booleans. They are sent from now on.`},
		{d.Elements, "The application refuses to write into an element that an account does not have yet, such as the first fax number, and takes the whole element. It is sent from now on."},
		{d.References, "The application refuses a manager as a plain id, which Entra sends, and takes an object with a value. It is sent from now on."},
		{d.Removal == RemoveByFilter, "The application refuses the removal of members by a list of values, which Entra sends, and takes a path with a filter for each. It is sent from now on."},
		{d.Removal == RemoveByValue, "The application refuses the removal of members by a path with a filter, and takes a list of values. It is sent from now on."},
		{d.PlainGroups, "The application refuses a new group with Microsoft's own schema, which Entra sends, and takes the core schema alone. It is sent from now on."},
		{d.Empties, "The application refuses to remove an attribute and takes an empty value for it. It is sent from now on."},
	} {
		if one.found {
			notes = append(notes, one.words)
		}
	}
	return notes
}

// TargetMaker opens the target of a job with its Admin Credentials.
type TargetMaker func(tenantURL, secret string) (Target, error)

// TargetObject is an account as the target returned it.
type TargetObject struct {
	ID       string
	Resource scim.Resource
	Version  string // the account's version; "" if the target returned none
}

// Change is a new value for one attribute of an account. Values are string, bool, int64 or []any.
// Old is the target's value as far as it is known; nil if there is none. New is nil if the
// attribute should have no value.
type Change struct {
	Path string `json:"path"`
	Old  any    `json:"old"`
	New  any    `json:"new"`
	Type string `json:"type"` // the type of the target attribute: String, Boolean, Integer, ...

	// Drawn is true in a plan for a random or unique value. New is then an example: the value is
	// generated when the account is created.
	Drawn bool `json:"drawn,omitempty"`

	// Alone is true if the mapping writes no other attribute of the element that Path selects.
	Alone bool `json:"-"`
	// Roles is the form in which roles are sent; "" if the change is not about roles. Assigned has
	// the roles of the person.
	Roles    RoleForm       `json:"-"`
	Assigned []AssignedRole `json:"-"`
	// Redacted is true if the row's expression hides the value in logs.
	Redacted bool `json:"-"`
	// Element says whether the account has the element that Path selects.
	Element ElementState `json:"-"`
}

// ElementState says whether an account has an element of a multi-valued attribute.
type ElementState int

// States of an element.
const (
	ElementThere ElementState = iota // the account has the element, or the path selects none
	ElementMissing
	ElementUnknown
)

// Kind says how the engine must react to a failed request.
type Kind string

// Kinds of target errors. The engine decides by the kind, never by the message.
const (
	Transient    Kind = "transient"    // the same request may work later
	Throttled    Kind = "throttled"    // the target asks for a pause, which never counts as a failure
	Permanent    Kind = "permanent"    // the target refuses this object
	Credentials  Kind = "credentials"  // the target refuses the token, for every object
	Conflict     Kind = "conflict"     // another account already has a value that must be unique
	NotFound     Kind = "notFound"     // the target has no such account or no such endpoint
	Incompatible Kind = "incompatible" // the answer is not SCIM
	Unreachable  Kind = "unreachable"  // no connection: the name, the certificate, or the connection was refused
	Unsearchable Kind = "unsearchable" // the target cannot search by a matching attribute
)

// TargetError is a request that the target refused or did not receive.
type TargetError struct {
	Kind       Kind
	Status     int           // HTTP status; 0 if there was no answer
	Code       string        // Entra's error code, such as "EntryConflict"
	Detail     string        // what the target said, or what went wrong
	Advice     string        // what the administrator can do next
	Request    string        // method and path of the request
	RetryAfter time.Duration // the pause that the target asked for; 0 if it did not say
	Sent       bool          // the target may have acted on the request
	Err        error         // the private cause; may be nil

	postponed time.Time // when the request can be sent, if it was not sent or only asked to wait
}

func (e *TargetError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s (HTTP %d): %s", e.Code, e.Status, e.Detail)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Detail)
}

func (e *TargetError) Unwrap() error { return e.Err }

// Words returns the error as one or two sentences for a person.
func (e *TargetError) Words() string {
	if e.Advice == "" {
		return e.Detail
	}
	return e.Detail + " " + e.Advice
}

// asTargetError returns err as a *TargetError. It turns any other error into a transient one whose
// request may have been carried out.
func asTargetError(err error) *TargetError {
	var te *TargetError
	if errors.As(err, &te) {
		return te
	}
	return &TargetError{Kind: Transient, Code: "InternalError", Detail: err.Error(), Sent: true, Err: err}
}
