package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// newcomers knows the users who have changed since the last complete discovery began. The discovery
// may have compared them as they were before, or not at all.
type newcomers struct {
	mu     sync.Mutex
	begun  bool   // whether reading the changes has begun
	at     Cursor // the position up to which changes were read
	users  map[string]discoveredUser
	byHash map[int64][]string // the ids of users, by the hashes of their matching values
}

// newcomer returns the id of a user who has changed since the last complete discovery began, and
// who matches the account; "" if there is none. It returns ErrBehind if the directory no longer
// keeps these changes.
func (r *run) newcomer(ctx context.Context, p *pass, found FoundAccount) (objectID string, err error) {
	n := &r.newcomers
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := r.readNewcomers(ctx, p); err != nil {
		return "", err
	}
	for _, hash := range found.keys() {
		for _, id := range n.byHash[hash] {
			all, _, _ := n.users[id].matches(r.m, candidates{hash: {{FoundAccount: found, Hash: hash}}})
			if slices.ContainsFunc(all, func(m DiscoveredMatch) bool { return !m.Near }) {
				return id, nil
			}
		}
	}
	return "", nil
}

// readNewcomers reads the changes of the directory that were not read yet.
func (r *run) readNewcomers(ctx context.Context, p *pass) error {
	n := &r.newcomers
	if !n.begun {
		_, last, err := r.e.LastDiscoveries(ctx, r.job.Key, UserKind)
		if err != nil {
			return err
		}
		n.at = last.Progress.Position
		n.begun, n.users, n.byHash = true, map[string]discoveredUser{}, map[int64][]string{}
	}
	for more := true; more; {
		c, err := r.source.Changes(ctx, r.job.Key.App, n.at, importPage)
		if err != nil {
			if errors.Is(err, ErrBehind) {
				return err
			}
			return fmt.Errorf("read changes: %w", err)
		}
		objects, err := r.objects(ctx, c.IDs)
		if err != nil {
			return err
		}
		for _, id := range c.IDs {
			o := objects[id]
			if o == nil || o.Kind == GroupKind || !o.Deleted.IsZero() {
				delete(n.users, id)
				continue
			}
			u, _ := p.discoveredUser(o, r.e.Now())
			n.users[id] = u
			for _, hash := range u.hashes() {
				if !slices.Contains(n.byHash[hash], id) {
					n.byHash[hash] = append(n.byHash[hash], id)
				}
			}
		}
		n.at, more = c.Cursor, c.More
	}
	return nil
}
