package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"
)

// Watcher wakes jobs whose directory has changed, also if another process changed it. The Watcher
// itself changes nothing: a job that it wakes reads the changes again.
type Watcher struct {
	Store   Store
	Sources func(ctx context.Context, d SourceID) (Source, error)
	Wake    func(ctx context.Context, k Key) error
	// NewestPositions returns the newest position of every directory that has a running job. With
	// it, the Watcher needs only one statement to see whether there are changes. If it is nil, the
	// Watcher asks the sources one after the other.
	NewestPositions func(ctx context.Context) (map[SourceID]Cursor, error)
	// Woken gets a signal after each change that this process makes. It may be nil.
	Woken <-chan struct{}
	Every time.Duration // how often to look for changes by other processes; 0 means half a second
	Now   func() time.Time
	Log   *slog.Logger

	seen            map[Key]checkedPart // the part of the change feed that was checked for each job
	newestPositions map[SourceID]Cursor // the position up to which the jobs of each directory were checked
}

// checkedPart is a part of the change feed that has no changes for a job. It begins at the job's
// watermarks (from), and ends at the positions up to which the Watcher has checked (upTo).
type checkedPart struct{ from, upTo positions }

// positions are positions in the change feed: one for the changes of people, and one for the
// changes of groups.
type positions struct{ people, groups Cursor }

// Run calls Look at regular intervals until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	tick := time.NewTicker(orDefault(w.Every, time.Second/2))
	defer tick.Stop()
	for {
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.Log.Error("watch directories", "error", err)
		}
		select {
		case <-tick.C:
		case <-w.Woken:
		case <-ctx.Done():
			return
		}
	}
}

// changedDirectories returns the newest positions of the directories that may have changes. It
// returns nil if NewestPositions is nil.
func (w *Watcher) changedDirectories(ctx context.Context) (map[SourceID]Cursor, error) {
	if w.NewestPositions == nil {
		return nil, nil
	}
	heads, err := w.NewestPositions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read positions of directories: %w", err)
	}
	for d, at := range w.newestPositions {
		if now, ok := heads[d]; ok && now == at {
			delete(heads, d)
		}
	}
	return heads, nil
}

// Look checks the change feeds once, and wakes the jobs for which there are changes.
func (w *Watcher) Look(ctx context.Context) error {
	moved, err := w.changedDirectories(ctx)
	if err != nil || w.NewestPositions != nil && len(moved) == 0 {
		return err
	}
	states, err := w.Store.WatchedStates(ctx)
	if err != nil {
		return fmt.Errorf("read jobs: %w", err)
	}
	seen := make(map[Key]checkedPart, len(states))
	var importing []SourceID // directories with a job whose cycle may end without the newest changes
	for k, s := range states {
		if _, news := moved[k.Directory]; !news && w.NewestPositions != nil {
			if before, ok := w.seen[k]; ok {
				seen[k] = before
			}
			continue
		}
		if !s.Ready || s.Quarantine != nil || w.Now().Before(s.Cooldown) {
			continue // this job becomes due without being woken
		}
		if s.Phase != Idle && s.Phase != Finishing {
			importing = append(importing, k.Directory)
			continue
		}
		part := checkedPart{from: positions{s.Watermark, s.Groups.Mark}}
		part.upTo = part.from
		if before, ok := w.seen[k]; ok && before.from == part.from {
			part.upTo = before.upTo
		}
		found := false
		if found, part.upTo, err = w.hasNews(ctx, k, part.upTo, s.Groups.Ready); err != nil {
			return err
		}
		seen[k] = part
		if !found {
			continue
		}
		if err := w.Wake(ctx, k); err != nil {
			return fmt.Errorf("wake %s: %w", k, err)
		}
	}
	w.seen = seen
	if w.newestPositions == nil {
		w.newestPositions = map[SourceID]Cursor{}
	}
	for _, d := range importing {
		delete(moved, d) // the next Look checks this directory again
	}
	maps.Copy(w.newestPositions, moved)
	return nil
}

// hasNews reports whether there are changes for a job after the positions after. It looks for
// changes of groups if withGroups is true. upTo are the positions up to which there are none.
func (w *Watcher) hasNews(ctx context.Context, k Key, after positions, withGroups bool) (found bool, upTo positions, err error) {
	source, err := w.Sources(ctx, k.Directory)
	if err != nil {
		return false, after, fmt.Errorf("open directory of %s: %w", k, err)
	}
	for {
		c, err := source.Changes(ctx, k.App, after.people, importPage)
		if errors.Is(err, ErrBehind) {
			return true, after, nil // wake the job, which handles the error itself
		}
		if err != nil {
			return false, after, fmt.Errorf("read changes of %s: %w", k, err)
		}
		if c.concerns() {
			return true, after, nil
		}
		after.people = c.Cursor
		if !c.More {
			break
		}
	}
	found, after.groups, err = groupNews(ctx, source, k, withGroups, after.groups)
	return found, after, err
}

// groupNews reports whether there are changes of groups after a position. upTo is the position up
// to which there are none. If ready is false, the job has not looked at its groups yet, and
// groupNews returns false.
func groupNews(ctx context.Context, source Source, k Key, ready bool, after Cursor) (found bool, upTo Cursor, err error) {
	with, has := source.(GroupSource)
	if !has || !ready {
		return false, after, nil
	}
	for {
		c, err := with.GroupChanges(ctx, k.App, after, importPage)
		switch {
		case errors.Is(err, ErrBehind):
			return true, after, nil
		case err != nil:
			return false, after, fmt.Errorf("read changes of groups of %s: %w", k, err)
		case len(c.IDs) > 0 || len(c.Edges) > 0:
			return true, after, nil
		}
		after = c.Cursor
		if !c.More {
			return false, after, nil
		}
	}
}
