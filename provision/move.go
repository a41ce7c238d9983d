package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
)

// Move holds the numbers of the accounts that a job forgets when its Tenant URL changes to another
// application.
type Move struct {
	Linked  int // how many accounts at the old application the job has linked
	Leavers int // how many of Linked the job still has to switch off
}

// Move counts the accounts that the job forgets if its Tenant URL changes to tenantURL. It returns
// zero if the new address leads to the same application.
func (j *Jobs) Move(ctx context.Context, job Job, tenantURL string) (Move, error) {
	var n Move
	if job.Version == 0 || job.TenantURL == "" || applicationAddress(tenantURL) == applicationAddress(job.TenantURL) {
		return n, nil
	}
	source, err := j.Sources(ctx, job.Key.Directory)
	if err != nil {
		return n, fmt.Errorf("open the directory: %w", err)
	}
	err = eachLeaver(ctx, j.Store, source, job, func(linked int, leavers []string) {
		n.Linked, n.Leavers = n.Linked+linked, n.Leavers+len(leavers)
	})
	return n, err
}

// closingTime is how long CloseLeavers may take.
const closingTime = time.Minute

// Closed is the result of CloseLeavers.
type Closed struct {
	Off    int    // how many accounts were switched off
	Left   int    // how many accounts should have been switched off but are still on
	Reason string // why accounts are still on; "" if Left is 0
}

// CloseLeavers switches off the accounts that a job still has to switch off. It is called before
// the Tenant URL of the job changes to another application. confirmed is how many accounts an
// administrator has agreed to switch off; 0 if nobody was asked. The guard does not see what
// CloseLeavers sends. So if there are more accounts than the guard lets through, and more than
// confirmed, CloseLeavers sends nothing and returns an *InputError. With Second approval, the
// agreement of one administrator does not count. If the application does not answer or refuses,
// CloseLeavers returns no error: c says how many accounts are left, and why.
func (e *Engine) CloseLeavers(ctx context.Context, k Key, owner, actor string, confirmed int) (c Closed, err error) {
	before, err := e.leavers(ctx, k)
	if err != nil || len(before) == 0 {
		return c, err
	}
	if err := e.checkClosing(ctx, k, len(before), confirmed); err != nil {
		return c, err
	}
	closing, cancel := context.WithTimeout(ctx, closingTime)
	defer cancel()
	for page := range slices.Chunk(before, MaxOnDemand) {
		results, err := e.OnDemand(closing, k, owner, actor, page)
		var (
			te    *TargetError
			input *InputError
		)
		switch {
		case errors.As(err, &te):
			c.Reason = te.Words()
		case errors.As(err, &input):
			c.Reason = input.Error()
		case err != nil && ctx.Err() == nil && closing.Err() != nil:
			c.Reason = "It took too long."
		case err != nil:
			return c, err
		}
		for _, r := range results {
			if why := r.whyNot(); why != "" {
				c.Reason = why
			}
		}
	}
	after, err := e.leavers(ctx, k)
	c.Off, c.Left = len(before)-len(after), len(after)
	if c.Left == 0 {
		c.Reason = ""
	}
	return c, err
}

// checkClosing returns an *InputError if so many accounts must not be switched off before the Tenant
// URL changes.
func (e *Engine) checkClosing(ctx context.Context, k Key, leavers, confirmed int) error {
	job, err := e.Store.Job(ctx, k)
	if err != nil {
		return err
	}
	if job.SecondApproval {
		confirmed = 0
	}
	counts, err := e.Store.Counts(ctx, k)
	if err != nil {
		return err
	}
	if limit := limit(counts.Active); leavers > max(limit, confirmed) {
		return &InputError{Field: "Tenant URL", Text: fmt.Sprintf("leads to another application, and %d accounts at the old one are to be switched off first. More than %d are not switched off unasked. Start provisioning with the old Tenant URL, approve what is on hold, and change the Tenant URL then", leavers, limit)}
	}
	return nil
}

// whyNot says why a demanded object could not be provisioned; "" if it could.
func (r DemandResult) whyNot() string {
	if r.Waits != "" {
		return r.Waits
	}
	for _, entry := range r.Entries {
		if entry.Status.Status == Failure {
			return entry.Status.Reason
		}
	}
	return ""
}

// leavers returns the ids of the objects whose account a job still has to switch off.
func (e *Engine) leavers(ctx context.Context, k Key) (ids []string, err error) {
	job, err := e.Store.Job(ctx, k)
	if err != nil {
		return nil, err
	}
	source, err := e.Sources(ctx, k.Directory)
	if err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	err = eachLeaver(ctx, e.Store, source, job, func(_ int, leavers []string) { ids = append(ids, leavers...) })
	return ids, err
}

// eachLeaver reads the linked objects of a job page by page. For each page it calls visit with the
// number of linked objects, and with the ids of those whose account is active but should not be.
func eachLeaver(ctx context.Context, store Store, source Source, job Job, visit func(linked int, leavers []string)) error {
	scope, err := newScopeChecker(job, UserKind)
	if err != nil {
		return fmt.Errorf("read the mapping: %w", err)
	}
	after := ""
	for {
		ids, err := store.LinkedIDs(ctx, job.Key, "", after, mostTogether)
		if err != nil {
			return err
		}
		leavers, err := leaversAmong(ctx, store, source, job, scope, ids)
		if err != nil {
			return err
		}
		visit(len(ids), leavers)
		if len(ids) < mostTogether {
			return nil
		}
		after = ids[len(ids)-1]
	}
}

// leaversAmong returns those of the linked objects ids whose account is active but should not be.
func leaversAmong(ctx context.Context, store Store, source Source, job Job, scope scopeChecker, ids []string) (leavers []string, err error) {
	if len(ids) == 0 || !scope.updates {
		return nil, nil
	}
	states, err := store.LinkStates(ctx, job.Key, ids)
	if err != nil {
		return nil, err
	}
	objects, err := source.Objects(ctx, job.Key.App, ids)
	if err != nil {
		return nil, fmt.Errorf("read the users: %w", err)
	}
	stays := make(map[string]bool, len(objects))
	for _, o := range objects {
		stays[o.ID] = o.Active() && scope.has(o)
	}
	groups, _ := source.(GroupSource)
	for _, id := range ids {
		if states[id] != Active && states[id] != Held || stays[id] {
			continue
		}
		if groups != nil {
			switch _, err := groups.GroupObject(ctx, job.Key.App, id); {
			case err == nil:
				continue // a group gives access to no one
			case !errors.Is(err, refusal.NotFound):
				return nil, fmt.Errorf("read the groups: %w", err)
			}
		}
		leavers = append(leavers, id)
	}
	return leavers, nil
}
