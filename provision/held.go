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
	Words       string
	Since       time.Time // when the cause was first judged
	Count       int
	Members     int // of Count: removals of members of groups
	Changed     int // operations that were on hold too, until their person changed
	Links       int // active links when it was judged
	Memberships int // memberships of all groups at that time; 0 if no removals were judged
	Batch       int // grows when more operations of the cause are held
	Reasons     []HeldReason
	Names       []string // names of the first accounts
}

// Extent says how many operations of the cause are on hold, out of how many accounts and
// memberships. of is the word put between the two numbers, such as " of".
func (h HeldCause) Extent(of string) string {
	var parts []string
	if accounts := h.Count - h.Members; accounts > 0 || h.Members == 0 {
		parts = append(parts, fmt.Sprintf("%s%s %d active accounts", countOf(accounts, "operation", "operations"), of, h.Links))
	}
	if h.Members > 0 {
		parts = append(parts, fmt.Sprintf("%s%s %s", countOf(h.Members, "removal of a member", "removals of members"), of, countOf(h.Memberships, "membership", "memberships")))
	}
	return strings.Join(parts, ", and ")
}

// HeldReason counts operations that are on hold for the same reason.
type HeldReason struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// HeldObject is one operation on hold: on an account or a group, or the removal of a member.
type HeldObject struct {
	ObjectID string    `json:"objectId"`
	TargetID string    `json:"targetId"`
	Name     string    `json:"name"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
	Group    string    `json:"group,omitempty"` // if a member is removed: the object id of the group
	Place    string    `json:"-"`               // the object's place in the list, for the next page
}

// ErrNothingHeld means that a cause has no operations on hold.
var ErrNothingHeld = errors.New("nothing of this cause is on hold")

// AnyBatch makes Approve or Reject apply to everything that is on hold now.
const AnyBatch = -1

// Held returns the causes with operations on hold, or with rejected operations, oldest first.
func (j *Jobs) Held(ctx context.Context, k Key, v Verdict) ([]HeldCause, error) {
	return j.Store.HeldCauses(ctx, k, v)
}

// HeldObjects returns a page of the operations of a cause with this verdict. next is empty on the
// last page.
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

// Approve lets the operations of a cause that are on hold be sent. It does not cover operations
// whose person has changed since. batch is the Batch of the HeldCause that the caller has seen, or
// AnyBatch. The error is ErrChanged if more operations were held since.
func (j *Jobs) Approve(ctx context.Context, k Key, cause string, batch int, actor string) (HeldCause, error) {
	return j.decide(ctx, k, cause, batch, true, actor)
}

// Reject prevents the operations of a cause that are on hold from being sent, until the person
// changes or another cause concerns them. batch and the errors are as in Approve.
func (j *Jobs) Reject(ctx context.Context, k Key, cause string, batch int, actor string) (HeldCause, error) {
	return j.decide(ctx, k, cause, batch, false, actor)
}

func (j *Jobs) decide(ctx context.Context, k Key, cause string, batch int, approve bool, actor string) (HeldCause, error) {
	job, err := j.Store.Job(ctx, k)
	if err != nil {
		return HeldCause{}, err
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

// operations returns the start of a sentence, such as "2 operations on hold were".
func operations(n int) string {
	if n == 1 {
		return "1 operation on hold was"
	}
	return fmt.Sprintf("%d operations on hold were", n)
}
