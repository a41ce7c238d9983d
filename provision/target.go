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
	// has no such account; the answer does not come from something in front of it.
	Get(ctx context.Context, id string) (TargetObject, error)
	// Create creates an account and returns it with the target's id. An error with Sent and a
	// Status below 300 means that the target accepted the request but did not identify the account.
	Create(ctx context.Context, changes []Change) (TargetObject, error)
	// Patch changes only the named attributes. It returns the account as the answer shows it. The
	// Resource is nil if the answer shows nothing. An answer that is not about this account is an
	// error.
	Patch(ctx context.Context, id string, changes []Change) (TargetObject, error)
	// Delete removes an account. It succeeds if the target has proved that the account cannot be used
	// any more. An error of Kind NotFound means that the target says so without proof.
	Delete(ctx context.Context, id string) error
	// Groups returns the target of the application's groups.
	Groups() GroupTarget
	// Dialect returns the deviations that the target was found to need. Speak sets those that an
	// earlier Target found.
	Dialect() Dialect
	Speak(d Dialect)
}

// GroupTarget is the application's groups. Its methods treat a group as those of Target treat an
// account, and never read or write members. Members have methods of their own.
type GroupTarget interface {
	Target
	// AddMembers makes accounts members of a group, in one request. Whoever is a member already
	// stays one.
	AddMembers(ctx context.Context, group string, members []string) error
	// RemoveMembers ends memberships, in one request. Whoever is no member stays none. It never
	// removes anybody else.
	RemoveMembers(ctx context.Context, group string, members []string) error
	// HasMember asks whether an account is a member, without reading the others. An error of Kind
	// Unsearchable means that the target cannot say.
	HasMember(ctx context.Context, group, member string) (bool, error)
}

// Dialect is what a target needs that Entra does not send by itself. It is found out when the target
// refuses a request and takes it in another form, and kept with the job's state.
type Dialect struct {
	For      int64 `json:"for"`                // the job's count [Asked.ForgetLinks] when this was found out; another count means another target
	Booleans bool  `json:"booleans,omitempty"` // the target refuses the strings True and False and accepts JSON booleans
	Elements bool  `json:"elements,omitempty"` // the target refuses a path to a missing element and accepts the whole element
	Empties  bool  `json:"empties,omitempty"`  // the target refuses to remove an attribute and accepts an empty value instead
	Unique   bool  `json:"unique,omitempty"`   // the target has refused a value because another account has it

	// References: it refuses a reference as a plain id and takes it as an object with a value; and it
	// refuses Entra's form of the end of one.
	References bool `json:"references,omitempty"`

	// Removal is how it takes the removal of members; "" means that the form of the Tenant URL's flag
	// is tried first.
	Removal RemovalForm `json:"removal,omitempty"`
	// BareMembers: it refuses new members with "$ref": null, which Entra sends.
	BareMembers bool `json:"bareMembers,omitempty"`
	// PlainGroups: it refuses the schema of Microsoft's beside the core one, which Entra sends with a
	// new group.
	PlainGroups bool `json:"plainGroups,omitempty"`
}

// RemovalForm is a form in which members are removed.
type RemovalForm string

// The forms.
const (
	RemoveByValue  RemovalForm = "value"  // Entra's: the path members and a list of values
	RemoveByFilter RemovalForm = "filter" // RFC 7644: a path with a filter for each member
)

// notes explains a dialect.
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

// TargetMaker opens the target of a job from its Admin Credentials.
type TargetMaker func(tenantURL, secret string) (Target, error)

// TargetObject is an account as the target returned it.
type TargetObject struct {
	ID       string
	Resource scim.Resource
	Version  string // the account's version; "" if the target gives none
}

// Change is one attribute of an account that a job would write. Values are
// string, bool, int64 or []any. Old is nil if the target has no value, as far as that is known. New
// is nil if the attribute should have no value.
type Change struct {
	Path string `json:"path"`
	Old  any    `json:"old"`
	New  any    `json:"new"`
	Type string `json:"type"` // the type of the target attribute: String, Boolean, Integer, ...

	// Drawn is true in a plan for a random or unique value. New is an example: the value is drawn when
	// the account is created.
	Drawn bool `json:"drawn,omitempty"`

	// Alone is true if the mapping writes no other attribute of the element that Path selects.
	Alone bool `json:"-"`
	// Roles is the form in which roles are sent, and Assigned are the roles that the person has.
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

// Kind says what a failed request means for the following work.
type Kind string

// Kinds of target errors. The engine decides by kind, never by message text.
const (
	Transient    Kind = "transient"    // the same request may work later
	Throttled    Kind = "throttled"    // the target asks for a pause; never a failure
	Permanent    Kind = "permanent"    // the target refuses this object
	Credentials  Kind = "credentials"  // the token is refused, for every object
	Conflict     Kind = "conflict"     // a unique value is taken
	NotFound     Kind = "notFound"     // the target has no such account or no such endpoint
	Incompatible Kind = "incompatible" // the answer is not SCIM
	Unreachable  Kind = "unreachable"  // there is no connection, because of the name, the certificate or a refusal
	Unsearchable Kind = "unsearchable" // the target cannot search by a matching attribute
)

// TargetError is a request that the target refused or did not receive.
type TargetError struct {
	Kind       Kind
	Status     int           // HTTP status, 0 if there was no answer
	Code       string        // Entra's error code, "EntryConflict"
	Detail     string        // what the target said, or what went wrong
	Advice     string        // what the administrator can do next
	Request    string        // method and path of the request
	RetryAfter time.Duration // the pause that the target asked for, 0 if it did not say how long
	Sent       bool          // the target may have acted on the request
	Err        error         // the private cause, may be nil

	postponed time.Time // the request was not sent, or only asked to wait: when it can be sent
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

// asTargetError returns err as a *TargetError. An unknown error becomes a transient one whose
// request may have been carried out.
func asTargetError(err error) *TargetError {
	var te *TargetError
	if errors.As(err, &te) {
		return te
	}
	return &TargetError{Kind: Transient, Code: "InternalError", Detail: err.Error(), Sent: true, Err: err}
}
