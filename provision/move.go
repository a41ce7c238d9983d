package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-scim/rollcall/refusal"
)

// Move counts what a job forgets when its Tenant URL changes to another application.
type Move struct {
	Linked  int // accounts at the old application that the job links now
	Leavers int // of Linked: accounts that the job still has to switch off
}

// Move returns what the job forgets if its Tenant URL changes to tenantURL. It is zero if the new
// address leads to the same application.
func (j *Jobs) Move(ctx context.Context, job Job, tenantURL string) (Move, error) {
	var n Move
	if job.Version == 0 || job.TenantURL == "" || endpoint(tenantURL) == endpoint(job.TenantURL) {
		return n, nil
	}
	scope, err := newScopeChecker(job, UserKind)
	if err != nil {
		return n, fmt.Errorf("read the mapping: %w", err)
	}
	source, err := j.Sources(ctx, job.Key.Directory)
	if err != nil {
		return n, fmt.Errorf("open the directory: %w", err)
	}
	after := ""
	for {
		ids, err := j.Store.LinkedIDs(ctx, job.Key, "", after, mostTogether)
		if err != nil {
			return n, err
		}
		leavers, err := j.leavers(ctx, source, job, scope, ids)
		if err != nil {
			return n, err
		}
		n.Linked, n.Leavers = n.Linked+len(ids), n.Leavers+leavers
		if len(ids) < mostTogether {
			return n, nil
		}
		after = ids[len(ids)-1]
	}
}

// leavers counts the linked objects whose account is active but should not be.
func (j *Jobs) leavers(ctx context.Context, source Source, job Job, scope scopeChecker, ids []string) (int, error) {
	if len(ids) == 0 || !scope.updates {
		return 0, nil
	}
	states, err := j.Store.LinkStates(ctx, job.Key, ids)
	if err != nil {
		return 0, err
	}
	objects, err := source.Objects(ctx, job.Key.App, ids)
	if err != nil {
		return 0, fmt.Errorf("read the users: %w", err)
	}
	stays := make(map[string]bool, len(objects))
	for _, o := range objects {
		stays[o.ID] = o.Active() && scope.has(o)
	}
	groups, _ := source.(GroupSource)
	count := 0
	for _, id := range ids {
		if states[id] != Active && states[id] != Held || stays[id] {
			continue
		}
		if groups != nil {
			switch _, err := groups.GroupObject(ctx, job.Key.App, id); {
			case err == nil:
				continue // a group gives access to no one
			case !errors.Is(err, refusal.NotFound):
				return 0, fmt.Errorf("read the groups: %w", err)
			}
		}
		count++
	}
	return count, nil
}
