package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// HeldCause is a cause with operations that are on hold or were rejected.
type HeldCause struct {
	ID          string
	Words       string       // a description of the cause
	Since       time.Time    // when the job first recorded the cause
	Count       int          // how many operations of the cause are on hold, or were rejected
	Members     int          // how many of Count are removals of members of groups
	Changed     int          // how many operations are no longer on hold because their object changed
	Links       int          // how many active links there were when the cause was judged
	Memberships int          // how many memberships all groups had then; 0 if no removals of members were judged
	Recent      int          // how many operations of other causes the guard let through in the 24 hours before, if that is why these are on hold; 0 if these are too many by themselves
	Batch       int          // a number that grows when more operations of the cause are put on hold
	Reasons     []HeldReason // the most frequent reasons, the most frequent first
	Names       []string     // the names of the first few objects, as examples
}

// Extent says in words how many operations of the cause are on hold, and how many active accounts
// and memberships there were. of is the string between the two numbers, such as " of".
func (h HeldCause) Extent(of string) string {
	var parts []string
	if accounts := h.Count - h.Members; accounts > 0 || h.Members == 0 {
		parts = append(parts, fmt.Sprintf("%s%s %d active accounts", countOf(accounts, "operation", "operations"), of, h.Links))
	}
	if h.Members > 0 {
		parts = append(parts, fmt.Sprintf("%s%s %s", countOf(h.Members, "removal of a member", "removals of members"), of, countOf(h.Memberships, "membership", "memberships")))
	}
	words := strings.Join(parts, ", and ")
	if h.Recent > 0 {
		words += fmt.Sprintf(", after %d of other causes in 24 hours", h.Recent)
	}
	return words
}

// HeldReason counts the operations of a cause that have the same reason.
type HeldReason struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// HeldObject is one operation that is on hold or was rejected. It concerns an account or a group,
// or it removes a member from a group.
type HeldObject struct {
	ObjectID string    `json:"objectId"`
	TargetID string    `json:"targetId"`
	Name     string    `json:"name"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
	Group    string    `json:"group,omitempty"` // the object id of the group from which ObjectID is removed; "" for an account or group
	Place    string    `json:"-"`               // the operation's place in the list; the next page begins after it
}

// ErrNothingHeld means that a cause has no operations on hold.
var ErrNothingHeld = errors.New("nothing of this cause is on hold")

// AnyBatch makes Approve or Reject apply to all operations of the cause that are on hold now.
const AnyBatch = -1

// Held returns the causes that have operations with the verdict v, OnHold or Rejected, oldest
// first.
func (j *Jobs) Held(ctx context.Context, k Key, v Verdict) ([]HeldCause, error) {
	return j.Store.HeldCauses(ctx, k, v)
}

// HeldObjects returns a page of the operations of a cause with this verdict. after is the next of
// the previous page, or "". next is "" on the last page. The error is ErrNothingHeld if no cause
// can have this id.
func (j *Jobs) HeldObjects(ctx context.Context, k Key, cause string, v Verdict, after string, limit int) (page []HeldObject, next string, err error) {
	if !storable(cause) || !storable(after) {
		return nil, "", ErrNothingHeld
	}
	page, err = j.Store.HeldObjects(ctx, k, cause, v, after, limit+1)
	if err == nil && len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Place
	}
	return page, next, err
}

// Approve lets the operations of a cause that are on hold be sent. An operation whose object has
// changed since is no longer on hold, so it is not approved. batch is the Batch of the HeldCause
// that the caller has seen, or AnyBatch. The error is ErrNothingHeld if no operation of the cause
// is on hold, ErrChanged if more operations were put on hold since batch, and an *InputError if
// Job.SecondApproval is true: then a plan is the way to approve them.
func (j *Jobs) Approve(ctx context.Context, k Key, cause string, batch int, actor string) (HeldCause, error) {
	return j.decide(ctx, k, cause, batch, true, actor)
}

// Reject prevents the operations of a cause that are on hold from being sent. When the object of an
// operation changes, or another cause concerns it, the engine decides anew. batch and the errors
// are as in Approve.
func (j *Jobs) Reject(ctx context.Context, k Key, cause string, batch int, actor string) (HeldCause, error) {
	return j.decide(ctx, k, cause, batch, false, actor)
}

func (j *Jobs) decide(ctx context.Context, k Key, cause string, batch int, approve bool, actor string) (HeldCause, error) {
	job, err := j.Store.Job(ctx, k)
	if err != nil {
		return HeldCause{}, err
	}
	if approve && job.SecondApproval {
		return HeldCause{}, &InputError{Field: "On hold", Text: "cannot be approved by one operator, because Second approval is on. Make a plan: it has these operations, and another operator can approve it"}
	}
	if !storable(cause) {
		return HeldCause{}, ErrNothingHeld
	}
	name, did := event.ProvisioningApproved, "%s approved. Cause: %s."
	if !approve {
		name, did = event.ProvisioningRejected, "%s rejected; nothing is sent. Cause: %s."
	}
	app := j.event(ctx, job, actor, name, "")
	held, err := j.Store.Decide(ctx, k, cause, batch, approve, func(h HeldCause) event.Event {
		e := app
		e.Text += fmt.Sprintf(did, operations(h.Count), h.Words)
		e.Data = event.DataOf(event.Held{Cause: h.ID, Count: h.Count})
		return e
	})
	if err != nil {
		return HeldCause{}, err
	}
	return held, j.wake(ctx, job)
}

// operations returns the start of a sentence about n operations, for example "2 operations on hold
// were".
func operations(n int) string {
	if n == 1 {
		return "1 operation on hold was"
	}
	return fmt.Sprintf("%d operations on hold were", n)
}
