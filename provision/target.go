package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// Target is what a job writes to: one application. A *scimclient.Client is one.
// Every error is a *TargetError, or wraps the context's.
type Target interface {
	// Test searches for an account that cannot exist, by the attribute at path. An
	// error of Kind Unsearchable is about this attribute alone, any other about
	// the connection.
	Test(ctx context.Context, path string, t AttributeType) error
	// Find returns the accounts whose attribute at path equals value.
	Find(ctx context.Context, path string, value any) ([]TargetObject, error)
	// Get returns the account with an id. An error of Kind NotFound means that the
	// target, and not something in front of it, knows no such account.
	Get(ctx context.Context, id string) (TargetObject, error)
	// Create makes an account and returns it with the id the target gave it. An
	// error with Sent and a Status below 300 means that the target accepted the
	// request and did not say which account came of it.
	Create(ctx context.Context, changes []Change) (TargetObject, error)
	// Patch changes the named attributes and no others. An answer that
	// contradicts the change is an error.
	Patch(ctx context.Context, id string, changes []Change) error
	// Delete removes an account; one that is gone already is no error.
	Delete(ctx context.Context, id string) error
}

// TargetMaker opens the target of a job from its Admin Credentials.
type TargetMaker func(tenantURL, secret string) (Target, error)

// TargetObject is an account as the target answered it.
type TargetObject struct {
	ID       string
	Resource scim.Resource
}

// Change is one attribute of an account that a job would write. Values are
// string, bool, int64 or []any; Old is nil when the target has no value.
type Change struct {
	Path string `json:"path"`
	Old  any    `json:"old"`
	New  any    `json:"new"`
	Type string `json:"type"` // of the target attribute: String, Boolean, Integer, ...
}

// Kind says what a failed request means for the work that follows.
type Kind string

// Kinds of target errors. The engine decides on these, never on message text.
const (
	Transient    Kind = "transient"    // the same request may work later
	Throttled    Kind = "throttled"    // the target asks for a pause; never a failure
	Permanent    Kind = "permanent"    // the target refuses this object
	Credentials  Kind = "credentials"  // the token is refused, for every object
	Conflict     Kind = "conflict"     // a unique value is taken
	NotFound     Kind = "notFound"     // no such account, or no such endpoint
	Incompatible Kind = "incompatible" // the answer is not SCIM
	Unreachable  Kind = "unreachable"  // no connection: name, certificate, refused
	Unsearchable Kind = "unsearchable" // the target cannot search by a matching attribute
)

// TargetError is a request that a target refused or that never reached it.
type TargetError struct {
	Kind       Kind
	Status     int           // HTTP status, 0 when there was no answer
	Code       string        // Entra's error code, "EntryConflict"
	Detail     string        // what the target said, or what went wrong
	Advice     string        // what the administrator can do next
	Request    string        // method and path of the request
	RetryAfter time.Duration // pause the target asked for, 0 when it named none
	Sent       bool          // the target may have acted on the request
	Err        error         // the private cause, may be nil
}

func (e *TargetError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s (HTTP %d): %s", e.Code, e.Status, e.Detail)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Detail)
}

func (e *TargetError) Unwrap() error { return e.Err }

// Words is the error as one or two sentences for a person.
func (e *TargetError) Words() string {
	if e.Advice == "" {
		return e.Detail
	}
	return e.Detail + " " + e.Advice
}

// asTargetError returns err as a *TargetError; an unknown error counts as a
// transient one whose request may have been carried out.
func asTargetError(err error) *TargetError {
	var te *TargetError
	if errors.As(err, &te) {
		return te
	}
	return &TargetError{Kind: Transient, Code: "InternalError", Detail: err.Error(), Sent: true, Err: err}
}
