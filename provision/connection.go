package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// Connection pairs a user or group of the directory with its account or group at the application.
// Pages and commands show a Link in this form.
type Connection struct {
	ObjectID string     `json:"objectId"`
	TargetID string     `json:"targetAnchor"`
	Name     string     `json:"displayName"` // the object's name in the directory when the account was last written or read
	Kind     ObjectKind `json:"objectTypeName"`
	State    LinkState  `json:"state"`
	How      string     `json:"how"` // how the pair was made: created, matched, adopted or linked
	Since    time.Time  `json:"since"`
	Updated  time.Time  `json:"updated"`
}

// linkedByHand is the value of How for a pair that an administrator made.
const linkedByHand = "linked"

// ConnectionQuery selects connections of a job. A field with the zero value selects all of them.
type ConnectionQuery struct {
	Search string // part of the name, or a whole object id or target id; case is ignored
	Kind   ObjectKind
	After  string // the last object id of the previous page; "" for the first page
	Limit  int    // the largest number of connections in a page, at most 500; 0 means 50
}

// Limits of a page of connections.
const (
	// connectionChunk is how many connections are read from the store at once.
	connectionChunk = 500
	// maxConnectionScan is how many connections are examined for one page of search results.
	maxConnectionScan = 100_000
)

// Refusals about connections.
var (
	ErrNoConnection = refusal.New(refusal.NotFound, "", "there is no such connection").Coded("connection_unknown")
	// ErrNotPaused refuses an action that needs provisioning to be off.
	ErrNotPaused = refusal.New(refusal.Conflict, "", "provisioning is on").Advise("pause it first").Coded("not_paused")
)

// Connections returns one page of the connections of a job, ordered by object id. next is empty on
// the last page; otherwise it is the value of After for the next page. With a search, a page may
// have fewer than Limit connections although more pages follow.
func (j *Jobs) Connections(ctx context.Context, k Key, q ConnectionQuery) (page []Connection, next string, err error) {
	if _, err := j.Store.Job(ctx, k); err != nil {
		return nil, "", err
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 500)
	word := scim.Fold(strings.TrimSpace(q.Search))
	if !storable(word) || !storable(q.After) {
		return nil, "", nil
	}
	after := q.After
	for seen := 0; seen < maxConnectionScan; {
		chunk, err := j.Store.Connections(ctx, k, q.Kind, after, connectionChunk)
		if err != nil {
			return nil, "", err
		}
		for _, c := range chunk {
			if len(page) == q.Limit {
				return page, after, nil
			}
			after = c.ObjectID
			if c.matchesSearch(word) {
				page = append(page, c)
			}
		}
		if seen += len(chunk); len(chunk) < connectionChunk {
			return page, "", nil
		}
	}
	return page, after, nil
}

// matchesSearch reports whether a connection matches a search. word must be case-folded.
func (c Connection) matchesSearch(word string) bool {
	return word == "" || strings.Contains(scim.Fold(c.Name), word) || scim.Fold(c.ObjectID) == word || scim.Fold(c.TargetID) == word
}

// Connection returns the connection with this object id or target id, or ErrNoConnection.
func (j *Jobs) Connection(ctx context.Context, k Key, id string) (Connection, error) {
	if id == "" || !storable(id) {
		return Connection{}, ErrNoConnection
	}
	return j.Store.Connection(ctx, k, id)
}

// claimPolls is how many times the engine tries again to claim a job that another process holds.
// All these tries together take a little longer than one slice.
const claimPolls = 120

// ownerOfCall returns the name under which a single call holds the lease of a job. An owner can
// claim its own lease again at once, so the call must not have the name of the runner: it would end
// a slice that runs in the same process.
func (e *Engine) ownerOfCall(owner string) string { return owner + " " + e.NewID() }

// withClaim claims the job, runs do, and releases the job. If another process works on the job, or
// another part of this process, withClaim first waits for that slice to end. It returns a
// *HeldError if the job is not released in time.
func (e *Engine) withClaim(ctx context.Context, k Key, owner string, do func(r *run) error) error {
	owner = e.ownerOfCall(owner)
	again := time.NewTicker(demandPoll)
	defer again.Stop()
	for polls := 0; ; polls++ {
		epoch, err := e.Leases.Claim(ctx, LeaseKind, k.String(), owner, leaseTime)
		if err == nil {
			return e.withLease(ctx, k, owner, epoch, do)
		}
		if err = asHeldError(err); !errors.As(err, new(*HeldError)) || polls == claimPolls {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// withLease opens the job under a lease that the caller has claimed, calls do, and releases the
// lease.
func (e *Engine) withLease(ctx context.Context, k Key, owner string, epoch int64, do func(r *run) error) error {
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
		if err := e.Leases.Release(release, LeaseKind, k.String(), owner, epoch, e.Now()); err != nil && !lost(err) {
			e.Log.Error("release lease", "job", k.String(), "error", err)
		}
	}()
	r, err := e.open(ctx, k, epoch)
	if err != nil {
		return err
	}
	return do(r)
}

// Forget removes the link between an object and its account. The account itself does not change.
// The engine then looks at the object and matches it again. id is the object id or the account's
// id. Forget returns ErrNoConnection if there is no link, and a *HeldError if another process works
// on the job.
func (e *Engine) Forget(ctx context.Context, k Key, owner, actor, id string) (Connection, error) {
	if id == "" || !storable(id) {
		return Connection{}, ErrNoConnection
	}
	var c Connection
	err := e.withClaim(ctx, k, owner, func(r *run) (err error) {
		if c, err = e.Store.Connection(ctx, k, id); err != nil {
			return err
		}
		if err := r.connect(); err != nil {
			return err
		}
		e := r.event(ctx, event.ProvisioningForgotten, fmt.Sprintf("The connection of %s with the account %s was forgotten. The account stays as it is.", c.words(), c.TargetID))
		e.Data = event.DataOf(event.Connection{Object: c.ObjectID, Account: c.TargetID})
		o := Outcome{ObjectID: c.ObjectID, Unlink: true, DropFail: true}
		if c.Kind == GroupKind {
			o.Members = ForgetMembers
		}
		return r.recordConnection(ctx, o, e, actor)
	})
	return c, err
}

// Connect links an object to an account of the application. It does not change the account. The
// engine looks at the object next, and then the account gets its values. Connect returns a refusal
// if the object is unknown or has an account, if another object has this account, or if the target
// has no such account. It returns a *TargetError if the target does not answer, and a *HeldError if
// another process works on the job.
func (e *Engine) Connect(ctx context.Context, k Key, owner, actor, objectID, targetID string) (Connection, error) {
	objectID, targetID = strings.TrimSpace(objectID), strings.TrimSpace(targetID)
	if targetID == "" || !storable(targetID) || len(targetID) > maxTargetID {
		return Connection{}, refusal.New(refusal.Invalid, "account", "%q is not the id of an account", targetID).Advise("copy the id from the application")
	}
	if objectID == "" || !storable(objectID) {
		return Connection{}, refusal.New(refusal.Invalid, "object", "%q is not the id of a user or group", objectID)
	}
	err := e.withClaim(ctx, k, owner, func(r *run) error { return r.connectPair(ctx, actor, objectID, targetID) })
	if err != nil {
		return Connection{}, err
	}
	return e.Store.Connection(ctx, k, objectID)
}

// maxTargetID is the longest id of an account that a person may type, in bytes.
const maxTargetID = 1000

// connectPair connects a user or group with the account that has the id targetID.
func (r *run) connectPair(ctx context.Context, actor, objectID, targetID string) error {
	if err := r.connect(); err != nil {
		return err
	}
	// The first cycle at an application forgets all links. Do that now, or it would forget this one.
	if r.state.ForgetLinks != r.job.ForgetLinks {
		if err := r.applyRequests(ctx); err != nil {
			return err
		}
	}
	o, err := r.readObject(ctx, objectID)
	if err != nil {
		return err
	}
	if o == nil {
		return refusal.New(refusal.NotFound, "object", "the directory has no user or group with the object id %s", objectID)
	}
	known, err := r.e.Store.KnownAbout(ctx, r.job.Key, objectID)
	if err != nil {
		return err
	}
	target := r.target
	if o.Kind == GroupKind {
		if !r.groupsOn() {
			return refusal.New(refusal.Conflict, "object", "the mapping of groups is switched off").Advise("switch it on first")
		}
		target = r.groups.target
	}
	switch {
	case known.Link != nil && known.Link.TargetID == targetID:
		return refusal.New(refusal.Conflict, "object", "%s has the account %s already", o.Name, targetID)
	case known.Link != nil:
		return refusal.New(refusal.Conflict, "object", "%s has the account %s", o.Name, known.Link.TargetID).Advise("forget that connection first")
	case known.Op != nil:
		return refusal.New(refusal.Conflict, "object", "an account is being created for %s", o.Name).Advise("wait for the next cycle")
	}
	holder, err := r.e.Store.Owner(ctx, r.job.Key, o.Kind, targetID)
	if err != nil {
		return err
	}
	if holder != "" {
		return refusal.New(refusal.Taken, "account", "the account %s belongs to the object %s", targetID, holder).Advise("forget that connection first")
	}
	if _, err := target.Get(ctx, targetID); err != nil {
		if te := asTargetError(err); te.Kind == NotFound {
			return refusal.New(refusal.NotFound, "account", "the application has no account with the id %s", targetID).Advise("copy the id from the application")
		}
		return err
	}
	now := r.e.Now()
	name := text(o.Attributes["userPrincipalName"])
	if name == "" {
		name = o.Name
	}
	matched := false
	e := r.event(ctx, event.ProvisioningConnected, fmt.Sprintf("%s was connected with the account %s by hand.", o.Name, targetID))
	e.Data = event.DataOf(event.Connection{Object: objectID, Account: targetID})
	outcome := Outcome{
		ObjectID: objectID, DropFail: true, Unmatched: &matched, AccountMoved: true,
		Link: &Link{ObjectID: objectID, TargetID: targetID, How: linkedByHand, State: Active, Kind: o.Kind, Name: name, Since: now, Updated: now, Proved: now},
	}
	if o.Kind == GroupKind {
		outcome.Members = ReadNewMembers
	}
	if r.groupsOn() && r.job.sendsMember(o.Kind) {
		if outcome.MemberOf, err = r.groups.source.GroupsOf(ctx, objectID); err != nil {
			return fmt.Errorf("read the groups of %s: %w", objectID, err)
		}
	}
	return r.recordConnection(ctx, outcome, e, actor)
}

// recordConnection records a pair that an administrator made or removed, and puts the object on the
// work list.
func (r *run) recordConnection(ctx context.Context, o Outcome, e *event.Event, actor string) error {
	listed, err := r.list(ctx, ByDemand, []string{o.ObjectID}, nil, nil)
	if err != nil {
		return err
	}
	e.Actor, e.By = actor, event.Actor{}
	if err := r.e.Store.RecordConnection(ctx, r.fence, o, listed, *e); err != nil {
		return err
	}
	r.e.Wake(r.job.Key)
	return nil
}

// words returns the name of the connection for a sentence, or the object id if there is no name.
func (c Connection) words() string {
	if c.Name == "" {
		return c.ObjectID
	}
	return c.Name
}
