package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// Target is the application that a job writes to, such as a *scimclient.Client. Its methods return
// a *TargetError, or an error that wraps the context's error.
type Target interface {
	// Test searches for an account that cannot exist, by the attribute at path. An error of Kind
	// Unsearchable concerns only this attribute. Every other error may concern the connection.
	Test(ctx context.Context, path string, t AttributeType) error
	// Find returns the accounts whose attribute at path equals value.
	Find(ctx context.Context, path string, value any) ([]TargetObject, error)
	// List returns a page of all accounts, without a filter. start is the index of the page's first
	// account; the first account of all has the index 1. The page may have fewer accounts than
	// count.
	List(ctx context.Context, start, count int) (ObjectPage, error)
	// Get returns the account with this id. An error of Kind NotFound means that the target itself
	// has no such account. If a proxy in front of the target answers, the error must be of another
	// Kind.
	Get(ctx context.Context, id string) (TargetObject, error)
	// Create creates an account and returns it with the target's id. An error with Sent and a
	// Status below 300 means that the target accepted the request but did not identify the account.
	Create(ctx context.Context, changes []Change) (TargetObject, error)
	// Patch changes only the given attributes. It returns the account as the answer shows it. The
	// Resource is nil if the answer shows nothing. If the answer is about another account, Patch
	// returns an error.
	Patch(ctx context.Context, id string, changes []Change) (TargetObject, error)
	// Delete removes an account. It returns nil if the target has proved that the account can no
	// longer be used. An error of Kind NotFound means that the target says that there is no such
	// account, without proof.
	Delete(ctx context.Context, id string) error
	// Groups returns the interface to the application's groups.
	Groups() GroupTarget
	// Dialect returns the deviations from Entra's requests that this target was found to need.
	Dialect() Dialect
	// Speak sets the deviations that an earlier Target for the same application found.
	Speak(d Dialect)
}

// GroupTarget reads and writes the application's groups. The methods of Target treat a group like
// an account, and never read or write its members. Members have their own methods.
type GroupTarget interface {
	Target
	// AddMembers makes accounts members of a group, in one request. Accounts that already are
	// members stay members.
	AddMembers(ctx context.Context, group string, members []string) error
	// RemoveMembers ends memberships, in one request. It ignores accounts that are not members, and
	// never removes other members.
	RemoveMembers(ctx context.Context, group string, members []string) error
	// ListWithMembers is like List, but the groups have their members, as far as the target shows
	// them.
	ListWithMembers(ctx context.Context, start, count int) (ObjectPage, error)
	// HasMember reports whether an account is a member, without reading the other members. An error
	// of Kind Unsearchable means that the target cannot answer.
	HasMember(ctx context.Context, group, member string) (bool, error)
}

// Dialect holds the forms of requests that a target needs although Entra does not send them. The
// engine learns such a form when the target refuses a request and accepts it in another form. The
// Dialect is stored with the job's state.
type Dialect struct {
	For      int64 `json:"for"`                // the job's count [Asked.ForgetLinks] when this was learned; another count means another target
	Booleans bool  `json:"booleans,omitempty"` // whether the target needs JSON booleans, because it refuses the strings True and False
	Elements bool  `json:"elements,omitempty"` // whether the target needs whole elements, because it refuses a path to a missing element
	Empties  bool  `json:"empties,omitempty"`  // whether the target needs an empty value, because it refuses to remove an attribute
	Unique   bool  `json:"unique,omitempty"`   // whether the target has ever refused a value because another account has it

	// References says whether the target needs an object with a value for a reference, because it
	// refuses a plain id. It then also refuses Entra's form of removing a reference.
	References bool `json:"references,omitempty"`

	// Removal is the form in which the target accepts removals of members. It is "" if the form is
	// not known. Then the form of the Tenant URL's flag is tried first.
	Removal RemovalForm `json:"removal,omitempty"`
	// BareMembers says whether the target refuses new members with "$ref": null, which Entra sends.
	BareMembers bool `json:"bareMembers,omitempty"`
	// PlainGroups says whether the target refuses a new group that names Microsoft's schema next to
	// the core schema, as Entra sends it.
	PlainGroups bool `json:"plainGroups,omitempty"`
}

// RemovalForm is a form in which a request removes members.
type RemovalForm string

// The forms of removal.
const (
	RemoveByValue  RemovalForm = "value"  // the form of Entra: the path "members" and a list of values
	RemoveByFilter RemovalForm = "filter" // the form of RFC 7644: a path with a filter for each member
)

// notes returns a sentence for each deviation of the dialect.
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
	Version  string // the version of the account (meta.version); "" if the target returned none
}

// ObjectPage is a page of the target's accounts.
type ObjectPage struct {
	Objects []TargetObject
	Named   int   // how many entries the answer lists; greater than the number of Objects if it lists an account more than once
	Total   int64 // how many accounts the target says that it has; 0 if it does not say
}

// Change is a change of one attribute of an account. Old is the target's value as far as it is
// known; nil if there is none. New is the new value; nil if the attribute should have no value.
// Values are string, bool, int64 or []any.
type Change struct {
	Path string `json:"path"`
	Old  any    `json:"old"`
	New  any    `json:"new"`
	Type string `json:"type"` // the type of the target attribute: String, Boolean, Integer, ...

	// Drawn is true in a plan for a random or unique value. New is then an example: the value is
	// generated when the account is created.
	Drawn bool `json:"drawn,omitempty"`

	// Unknown is true if the account's value is not known. Old is then nil.
	Unknown bool `json:"-"`
	// Alone is true if the mapping writes no other attribute of the element that Path selects.
	Alone bool `json:"-"`
	// Roles is the form in which roles are sent; "" if the change is not about roles.
	Roles RoleForm `json:"-"`
	// Assigned lists the roles of the person, if the change is about roles.
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
	ElementThere   ElementState = iota // the account has the element, or the path selects no element
	ElementMissing                     // the account does not have the element
	ElementUnknown                     // it is not known whether the account has the element
)

// Kind says how the engine must react to a failed request.
type Kind string

// Kinds of target errors. The engine decides by the kind, never by the message.
const (
	Transient    Kind = "transient"    // the same request may work later
	Throttled    Kind = "throttled"    // the target asks for a pause
	Permanent    Kind = "permanent"    // the target refuses this object
	Credentials  Kind = "credentials"  // the target refuses the token, for every object
	Conflict     Kind = "conflict"     // another account already has a value that must be unique
	NotFound     Kind = "notFound"     // the target has no such account or no such endpoint
	Incompatible Kind = "incompatible" // the answer breaks the rules of SCIM, or the mapping cannot be used
	Unreachable  Kind = "unreachable"  // there is no connection, because of the name, the certificate or a refused connection
	Unsearchable Kind = "unsearchable" // the target cannot search by a matching attribute
)

// TargetError is the error of a request that the target refused, did not receive, or did not answer
// as expected.
type TargetError struct {
	Kind       Kind
	Status     int           // the HTTP status; 0 if there was no answer
	Code       string        // the error code: Entra's, such as "EntryConflict", or our own
	Detail     string        // the target's message, or a description of the failure
	Advice     string        // the next thing that the administrator can do
	Request    string        // the method and path of the request
	RetryAfter time.Duration // the pause that the target asked for; 0 if it named none
	Sent       bool          // whether the target may have acted on the request
	Unchanged  bool          // whether the answer was a success, but showed a group whose members are as before
	Err        error         // the cause, which is not shown to people; may be nil

	postponed time.Time // when the request can be sent, if the pacer did not send it; otherwise zero
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

// asTargetError returns the *TargetError in err. If there is none, it returns a transient
// *TargetError that says that the target may have acted on the request.
func asTargetError(err error) *TargetError {
	var te *TargetError
	if errors.As(err, &te) {
		return te
	}
	return &TargetError{Kind: Transient, Code: "InternalError", Detail: err.Error(), Sent: true, Err: err}
}
